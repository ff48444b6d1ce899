"""A path of 100 lams against 100 cold solves and against CVXPY with Clarabel, in one run.

    python benchmarks/path.py [--quick]

N = 10^4, T = 10, lams from lam_max down to 1e-4 lam_max, every relative gap <= 1e-6. CVXPY is
measured at a few lams, once each, and counted 100 times at their mean. The last rows are whole
cross-validations and degrees of freedom.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator

import numpy as np
from data import SPACINGS, shared_kinks
from one_input import HEADER, Row, median_seconds
from peers import cvxpy_clarabel

import knotwork as kw

N, N_TASKS, N_LAMS, TOL = 10_000, 10, 100, 1e-6


def against_cold_solves(spacing: str, seeds: int, conic_at: tuple[int, ...]) -> Iterator[Row]:
    """The path, cold solves at its lams, and a conic solver at some of them."""
    cold_ratio, conic_ratio, ours, gaps, knots, conic_seconds = [], [], [], [], [], []
    for seed in range(seeds):
        X, Y = shared_kinks(N, N_TASKS, seed, spacing)
        problem = kw.Problem(X, Y, 1.0)
        seconds, path = median_seconds(lambda p=problem: kw.path(p, N_LAMS, tol=TOL), 7)
        assert isinstance(path, kw.Path)
        assert path.status is kw.Status.OPTIMAL
        assert len(path.lams) == N_LAMS

        def cold(p=problem, lams=path.lams):
            return [kw.solve(p.with_lam(lam), tol=TOL) for lam in lams.tolist()]

        cold_seconds, _ = median_seconds(cold, 3)
        ours.append(seconds)
        gaps.append(float(path.gaps.max()))
        knots.append(int(path.n_knots[-1]))
        cold_ratio.append(cold_seconds / seconds)
        if seed == 0 and conic_at:
            peers = [cvxpy_clarabel(X, Y, float(path.lams[i])) for i in conic_at]
            conic_seconds = [peer.seconds for peer in peers]
            conic_ratio.append(N_LAMS * float(np.mean(conic_seconds)) / seconds)
    worst = min(cold_ratio)
    other = f"{min(knots)}-{max(knots)} knots at the end"
    measured = f"{worst:.1f}× {N_LAMS} cold solves"
    if conic_ratio:
        measured += f", {conic_ratio[0]:.0f}× CVXPY+Clarabel"
        other += "; CVXPY " + " ".join(f"{s:.1f}" for s in conic_seconds) + " s a lam"
    yield Row(
        "path",
        f"N=1e4 T=10 {spacing} {N_LAMS} lams to 1e-4 lam_max",
        measured,
        "5×",
        "20×, 1000× CVXPY",
        worst >= 5 and max(gaps) <= TOL,
        max(gaps),
        max(ours),
        other,
    )


def what_follows() -> Iterator[Row]:
    """Degrees of freedom of a path, and a cross-validation."""
    X, Y = shared_kinks(N, N_TASKS, 0, "random")
    problem = kw.Problem(X, Y, 1.0)
    path = kw.path(problem)
    seconds, _ = median_seconds(lambda: path.df, 1)
    yield Row("df", f"N=1e4 T=10 random, {N_LAMS} lams", f"{seconds:.3f} s", ours=seconds)
    seconds, found = median_seconds(lambda: kw.cross_validate(problem), 1)
    assert isinstance(found, kw.CrossValidation)
    knots = found.solution.network.n_neurons
    yield Row(
        "cross-validation",
        f"N=1e4 T=10 random, 5 folds, {N_LAMS} lams",
        f"{seconds:.2f} s",
        gap=found.solution.certificate.relative_gap,
        ours=seconds,
        other=f"{knots} knots",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one seed, regular and random x, no CVXPY")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}\n\n{HEADER}")
    X, Y = shared_kinks(2000, 3, 0)
    kw.path(kw.Problem(X, Y, 1.0), 5)
    for spacing in SPACINGS[:2] if options.quick else SPACINGS:
        conic_at = () if options.quick else (20, 50, 80)
        for row in against_cold_solves(spacing, 1 if options.quick else 3, conic_at):
            print(row, flush=True)
    for row in what_follows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
