"""Paper B's Appendix B: whether a stacked network finds the period of its tasks, and what that is worth.

    python benchmarks/periodic.py [--quick] [--only NAME ...]

Held-out mean squared error against the truth, inside the data hull, of the start of least objective.
Labels have unit variance and noise of standard deviation .1; lam = .02, d_1 = d_2 = 1, 40 neurons a stack.

error      7 tasks, 48 common inputs, period 1, x0 = .17: stacked joint over the best of the shallow joint,
           the shallow single-task fits (global optima, lam chosen by the truth) and the arc-cosine Gaussian
           process (depth and variance chosen by the truth).
single     stacked joint over the same network for each task alone.
periodic   the share of starts whose H = h_2(h_1) has rms(H(x + 1) - H(x)) / std(H) <= .15 inside the hull.
origin     x0 drawn for every seed: solved where the error is at most 1/10 of the best other.
masked     every task has 20 inputs of its own.
phases     every task has an x0 of its own, d_1 = d_2 = 2.
seconds    40 starts of 3,000 steps on one data seed, compiled anew; of the process, all threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator

import numpy as np
from one_input import HEADER, Row

import knotwork as kw
from knotwork.deep.periodic import (
    NUCLEAR,
    PeriodicComparison,
    compare_on_periodic,
    measured_period,
    periodic_tasks,
)
from knotwork.deep.training import train_stacked

STARTS, FEWER, SINGLE = 40, 20, 10


def told(found: PeriodicComparison) -> str:
    return ", ".join(f"{name} {error:.4f}" for name, error in found.errors.items())


def common_period(seeds: int) -> Iterator[Row]:
    ratios, singles, shares = [], [], []
    for seed in range(seeds):
        began = time.perf_counter()
        found = compare_on_periodic(periodic_tasks(seed), seeds=STARTS, single_seeds=SINGLE)
        ratios.append(found.ratio)
        singles.append(found.errors["stacked joint"] / found.errors["stacked single"])
        shares.append(found.share_periodic)
        period = measured_period(found.joint.best, *found.data.hull)
        yield Row(
            "",
            f"data seed {seed}",
            f"1/{1 / ratios[-1]:.0f}; of single {singles[-1]:.2f}; periodic {shares[-1]:.0%}",
            ours=time.perf_counter() - began,
            other=f"{told(found)}; period of H {period.length:.3f}, shift error {period.error:.3f}",
        )
    good, great = (sum(ratio <= bar for ratio in ratios) for bar in (1 / 10, 1 / 50))
    yield Row(
        "error",
        "joint / best other",
        f"≤ 1/10 on {good}, ≤ 1/50 on {great} of {seeds}; worst 1/{1 / max(ratios):.0f}",
        "1/10 on 4 of 5",
        "1/50 on 5 of 5",
        good >= 0.8 * seeds,
    )
    yield Row(
        "single",
        f"joint / single ({SINGLE} starts a task)",
        f"worst {max(singles):.2f}",
        "≤ 1",
        "",
        max(singles) <= 1,
    )
    yield Row(
        "periodic",
        f"{STARTS} starts a data seed",
        f"{np.mean(shares):.0%}, from {min(shares):.0%} to {max(shares):.0%}",
        "≥ 50 %",
        "",
        bool(np.mean(shares) >= 0.5),
    )


def variant(
    bar: str, setting: str, floor: str, bar_ratio: float, **options
) -> Callable[[int], Iterator[Row]]:
    """Rows of other data; `floor` is empty where there is nothing to reach."""
    dims = options.pop("bottlenecks", (1, 1))

    def rows(seeds: int) -> Iterator[Row]:
        ratios = []
        for seed in range(seeds):
            began = time.perf_counter()
            data = periodic_tasks(100 + seed, **options)
            found = compare_on_periodic(data, bottlenecks=dims, seeds=FEWER)
            ratios.append(found.ratio)
            yield Row(
                "",
                f"data seed {seed}, {FEWER} starts",
                f"{found.ratio:.3f}; periodic {found.share_periodic:.0%}",
                ours=time.perf_counter() - began,
                other=f"x0 {np.round(data.origins[:2], 2)}, {told(found)}",
            )
        good = sum(ratio <= bar_ratio for ratio in ratios)
        met = good >= 0.6 * seeds if floor else None
        measured = f"{good} of {seeds}; median ratio {np.median(ratios):.3f}"
        yield Row(bar, setting, measured, floor, "", met)

    return rows


def seconds(seeds: int) -> Iterator[Row]:
    data = periodic_tasks(0)
    problem = kw.Problem(data.X, data.Y, 0.02, penalty=NUCLEAR)
    began, used = time.perf_counter(), time.process_time()
    train_stacked(problem, seeds=STARTS, steps=3000, rounds=0)
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    yield Row(
        "seconds",
        f"{STARTS} starts, 3,000 steps, 40 neurons",
        f"{wall:.0f} s, {cpu:.0f} s of CPU",
        "≤ 180 s",
        "≤ 60 s",
        wall <= 180,
        ours=wall,
    )


BARS: dict[str, Callable[[int], Iterator[Row]]] = {
    "seconds": seconds,
    "common": common_period,
    "origin": variant("origin", "x0 drawn, ≤ 1/10", "3 of 5", 0.1, x0=None),
    "masked": variant("masked", "20 own inputs each, below all others", "3 of 5", 1.0, own_inputs=20),
    "phases": variant("phases", "own x0, d = 2, ≤ 1/10", "", 0.1, own_phases=True, bottlenecks=(2, 2)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="one data seed where five are meant")
    options = parser.parse_args()
    seeds = 1 if options.quick else 5
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, data seeds: {seeds}\n\n{HEADER}")
    began = time.perf_counter()
    for name in options.only:
        for row in BARS[name](seeds):
            print(row, flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
