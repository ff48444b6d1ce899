"""Bands over all near-optimal networks, against a conic solver and against the set of all solutions.

    python benchmarks/ambiguity.py [--sets 20]

conic      random data of one input, N = 20, T = 2, a fifth of the labels missing, eps in 1e-3, 1e-2, 1e-1:
           the worst difference of low and high from CVXPY + Clarabel (all knots at data and at x).
envelopes  eps = 0 on data with aligned bends, at lam = 0 and lam > 0: against the solution set's envelopes.
attained   what is proven over what some network attains: the widest distance over the band's width, over
           penalties, losses, one and two inputs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import knotwork as kw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "theory"))
from test_ambiguity import bent_data, conic_end, hinges


def conic(sets: int) -> str:
    worst, ours, theirs, solves = 0.0, 0.0, 0.0, 0
    for seed in range(sets):
        x, Y = bent_data(seed, n=20, gaps=0.2)
        solution = kw.solve(kw.Problem(x, Y, 0.02), tol=1e-12)
        eps = (1e-3, 1e-2, 1e-1)[seed % 3]
        places = np.array([-0.1, 0.3, 0.55, x[4]])
        began = time.process_time()
        found = kw.ambiguity(solution, places, eps)
        ours, solves = ours + time.process_time() - began, solves + found.n_solves
        began = time.process_time()
        level = (1.0 + eps) * solution.certificate.primal
        for sign, band in ((-1, found.low), (1, found.high)):
            for i, place in enumerate(places):
                for t in range(2):
                    end = conic_end(solution.problem, hinges(x, place), np.array([place]), t, sign, level)
                    worst = max(worst, abs(end - band[i, t]))
        theirs += time.process_time() - began
    ends = 16 * sets
    return (
        f"| conic | {sets} sets, {ends} ends | {worst:.0e} | 1e-5 | "
        f"{'yes' if worst <= 1e-5 else 'NO'} | {1e3 * ours / ends:.0f} ms an end ({solves / ends:.1f} "
        f"solves); CVXPY {1e3 * theirs / ends:.0f} ms |"
    )


def envelopes(sets: int) -> str:
    worst, widest, ends = 0.0, 0.0, 0
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        n_tasks, lam = 1 + seed % 3, (0.0, 0.05)[seed // 3 % 2]
        x = np.arange(7.0)
        size = rng.uniform(0.5, 2.0, (1, n_tasks))
        jumps = np.array([1.0, 0.5, -2.0]) * rng.uniform(0.8, 1.2, 3)
        bends = sum(j * np.maximum(x - p, 0.0) for p, j in zip((1, 2, 4), jumps, strict=True))
        solution = kw.solve(kw.Problem(x, bends[:, None] * size, lam), tol=1e-13)
        answer = kw.uniqueness(solution)
        if answer.solution_set is None:
            continue
        places = np.array([0.5, 1.5, 3.3])
        found = kw.ambiguity(solution, places, 0.0, tol=1e-8)
        low, high = answer.solution_set.envelopes(places)
        worst = max(worst, np.abs(found.low - low).max(), np.abs(found.high - high).max())
        widest, ends = max(widest, float((high - low).max())), ends + 2 * low.size
    ok = "yes" if worst <= 1e-6 else "NO"
    return f"| envelopes | {sets} sets, {ends} ends, widths to {widest:.2f} | {worst:.0e} | 1e-6 | {ok} | |"


def attained() -> str:
    x, Y = bent_data(3, n=25)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (20, 2))
    Z = np.abs(X @ [1.0, 0.5])[:, None] + 0.1 * rng.standard_normal((20, 1))
    coins = np.greater(Y, Y.mean(axis=0)).astype(float)
    none, every = kw.Penalty(False, "none"), kw.Penalty(True, "none")
    problems = [
        *(kw.Problem(x, Y, 0.02, penalty=one) for one in (kw.Penalty(), none, every)),
        *(kw.Problem(x, Y, 0.02, penalty=kw.Penalty(True, skip)) for skip in ("frobenius", "nuclear")),
        *(kw.Problem(x, Y, 0.05, kw.Huber(0.05)), kw.Problem(x, coins, 0.1, "logistic")),
        *(kw.Problem(X, Z, 0.05, penalty=one) for one in (kw.Penalty(), none, every)),
    ]
    worst = 0.0
    for problem in problems:
        places = [0.33, 1.1] if problem.n_inputs == 1 else [[0.1, 0.2], [1.2, 0.5]]
        found = kw.ambiguity(problem, places, 0.01)
        apart = np.maximum(found.high - found.found_high, found.found_low - found.low)
        worst = max(worst, float(np.max(apart / (found.high - found.low))))
    return f"| attained | {len(problems)} problems, eps = 0.01 | {worst:.0e} of the width | | | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=20)
    options = parser.parse_args()
    print("| bar | setting | measured | floor | floor met | |")
    print("|---|---|---|---|---|---|")
    for row in (conic(options.sets), envelopes(options.sets), attained()):
        print(row, flush=True)


if __name__ == "__main__":
    main()
