"""The network of infinitely many tasks against networks of many, on paper A's two squares.

    python benchmarks/infinite_tasks.py [--draws 10] [--mu 0.0402]

The first task is the squares' own, the others are fair coins, lam = mu sqrt(T), no skip connection. Of
`draws` sets of coins for each T: the root mean square, over draws and a grid, of the distance between the
first task's network and the limit's (`distance`, which should fall as 1 / sqrt(T)), and the distance of the
draws' mean network from it (`bias`), in standard errors of that mean at the grid's worst point. At few tasks
there is a bias, of order 1 / T; below 4 standard errors is sampling error.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np

import knotwork as kw
from knotwork.experiments.squares_data import surface, two_squares

PENALTY = kw.Penalty(False, "none")
N_TASKS = (11, 101, 1_001, 10_001)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--mu", type=float, default=0.0402)
    options = parser.parse_args()
    X, first = two_squares(1, 0)
    limit = kw.infinite_tasks(X, 0.25 * np.eye(8) + 0.25, options.mu, PENALTY)
    ridge = limit.fit(first)
    found = surface(ridge.network)[::5, ::5]
    values = ridge.predict(X)[:, 0]
    gap = limit.solution.certificate.relative_gap
    print(f"limit: values {values[0]:.4f} and {values[-1]:.4f}, gap {gap:.0e}\n")
    print("| T | distance | times sqrt(T) | bias, standard errors | gap | s a fit |")
    print("|---|---|---|---|---|---|")
    distances = []
    for n_tasks in N_TASKS:
        began, surfaces, gap = time.perf_counter(), [], 0.0
        for draw in range(options.draws):
            Y = two_squares(n_tasks, 100 + draw)[1]
            fit = kw.solve(kw.Problem(X, Y, options.mu * np.sqrt(n_tasks), penalty=PENALTY), tol=1e-10)
            surfaces.append(surface(fit.network)[::5, ::5])
            gap = max(gap, fit.certificate.relative_gap)
        seconds = (time.perf_counter() - began) / options.draws
        apart = np.array(surfaces) - found
        distances.append(float(np.sqrt(np.mean(apart**2))))
        error = apart.std(axis=0, ddof=1) / np.sqrt(options.draws)
        bias = float(np.abs(apart.mean(axis=0) / error).max())
        print(
            f"| {n_tasks:,} | {distances[-1]:.5f} | {distances[-1] * np.sqrt(n_tasks):.3f} | {bias:.1f} | "
            f"{gap:.0e} | {seconds:.2f} |",
            flush=True,
        )
    print(f"\nfalls with T: {all(b < a for a, b in itertools.pairwise(distances))}")


if __name__ == "__main__":
    main()
