"""Proven bounds in ten inputs: the relative gap that `kw.tighten` proves, beside that of the spectral norm.

    python benchmarks/relaxation.py [--quick] [--only N ...] [--lam SHARE ...] [--seconds S] [--cpu]

d = 10, T = 5, lam = .02 and .1 lam_max. teachers: every task is one ReLU of unit weights, no noise (A B.2);
bends: 20 bends shared by the tasks, and noise. Three penalties, seeds 0, 1, 2 (one with --quick); the worst
of the seeds is reported, and how many lie within the bar: 8 % at N = 20, half the spectral gap at 50 and 100.
The network is that of `kw.solve`; its own distance from the optimum is in the gap too. Seconds are of one
thread, and of `tighten` alone; with --cpu they are the processor's, the limit too, as beside other work.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import product
from unittest.mock import patch

import numpy as np
from several_peers import bends, teachers
from threadpoolctl import threadpool_limits

import knotwork as kw
from knotwork.certificate.tighten import tighten

D, T = 10, 5
PENALTIES = (kw.Penalty(False, "none"), kw.Penalty(False, "free"), kw.Penalty(True, "none"))
HEADER = (
    "| data | penalty | N | lam / lam_max | spectral gap | ours | bar | within | s |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def problem_of(data: str, n: int, penalty: kw.Penalty, share: float, seed: int) -> kw.Problem:
    X, Y = teachers(seed, n, D, T) if data == "teachers" else bends(n, D, T, seed)
    problem = kw.Problem(X, Y, 1.0, penalty=penalty)
    return problem.with_lam(share * kw.lam_max(problem, max_cells=1))


def row(
    data: str,
    n: int,
    penalty: kw.Penalty,
    share: float,
    seeds: int,
    seconds: float,
    clock: Callable[[], float],
) -> str:
    spectral, ours, spent = [], [], []
    for seed in range(seeds):
        problem = problem_of(data, n, penalty, share, seed)
        solution = kw.solve(problem, tol=1e-5, max_cells=1, max_seconds=60.0)
        before = solution.certificate
        spectral.append(1.0 - before.bound / before.primal)
        began = clock()
        found = tighten(problem, solution.network, max_seconds=seconds, max_cells=1)
        spent.append(clock() - began)
        assert found.rigour is kw.Rigour.BOUNDED
        ours.append(1.0 - found.bound / found.primal)
    bars = [0.08 if n == 20 else 0.5 * gap for gap in spectral]
    within = sum(gap <= bar for gap, bar in zip(ours, bars, strict=True))
    name = f"biases {'penalised' if penalty.biases else 'free'}, skip {penalty.skip}"
    return (
        f"| {data} | {name} | {n} | {share:g} | {max(spectral):.1%} | {max(ours):.2%} | {min(bars):.1%} "
        f"| {within} of {seeds} | {max(spent):.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", type=int, default=[20, 50, 100], help="N to measure")
    parser.add_argument("--quick", action="store_true", help="one seed where three are meant")
    parser.add_argument("--seconds", type=float, default=10.0, help="limit of each bound")
    parser.add_argument("--lam", nargs="+", type=float, default=[0.1, 0.02], help="shares of lam_max")
    parser.add_argument("--cpu", action="store_true", help="seconds of the processor, not the wall's")
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    as_limit = patch("knotwork.certificate.tighten.time.monotonic", clock) if options.cpu else nullcontext()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one thread")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}\n\n{HEADER}")
    seeds = 1 if options.quick else 3
    settings = product(options.only, options.lam, ("teachers", "bends"), PENALTIES)
    with threadpool_limits(1, user_api="blas"), as_limit:
        for n, share, data, penalty in settings:
            print(row(data, n, penalty, share, seeds, options.seconds, clock), flush=True)


if __name__ == "__main__":
    main()
