"""Labels cut out of US employment and filled again: all series together against each by itself.

    python benchmarks/gaps.py [--draws 10] [--jobs 1]

15 series of 120 months, standardised. Two runs of 15 months, anywhere and apart, are cut out of each series,
its own ones; or 30 % of the labels at random. lam is chosen by cross-validation on what is left, of the
same labels together and apart: 6 folds that look like what is missing, runs of each series' own months or
single ones. Together has one lam, by the mean over the series of log(error), apart each series its own.
The error is squared, in standard deviations of the series, over all labels cut out.

Two more choices are printed: lam together by the mean error, where the worst series decides alone, and lam
apart by the mean over the folds of log(error), where the worst fold does not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

import knotwork as kw
from knotwork.scaling import TaskScaling
from knotwork.selection.folds import Fold, Scheme

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MONTHS, RUNS, SHARE = 15, 2, 0.3
FOLDS, LAMS, LAM_RATIO = 6, 25, 1e-4
COLUMNS = ("together", "apart", "ratio", "together by mean", "ratio", "apart by folds", "ratio")


def runs(shape: tuple[int, int], rng: np.random.Generator, *, inside: bool = False) -> Mask:
    """Of each series RUNS runs of MONTHS months that do not meet; `inside`: none at an end."""
    gone = np.zeros(shape, dtype=bool)
    first, past = (1, shape[0] - MONTHS) if inside else (0, shape[0] - MONTHS + 1)
    for t in range(shape[1]):
        starts = np.sort(rng.integers(first, past, RUNS))
        while np.diff(starts).min() < MONTHS + inside:
            starts = np.sort(rng.integers(first, past, RUNS))
        for start in starts:
            gone[start : start + MONTHS, t] = True
    return gone


def scattered(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """SHARE of the labels."""
    return rng.uniform(size=shape) < SHARE


CASES: dict[str, tuple[Callable[..., Mask], Scheme]] = {
    "two gaps of 15 months in each series, anywhere": (runs, "gaps"),
    "the same, none of them at an end": (partial(runs, inside=True), "gaps"),
    "30 % of the labels": (scattered, "labels"),
}


def errors(X: Array, Y: Array, gone: Mask, scheme: Scheme, jobs: int) -> tuple[float, float, float, float]:
    """Together, apart, and by the other two choices of lam."""
    scaling = TaskScaling.of(np.where(gone, np.nan, Y))
    problem = kw.Problem(X, scaling.apply(np.where(gone, np.nan, Y)), 1.0)
    options = {"n_lams": LAMS, "lam_ratio": LAM_RATIO, "n_jobs": jobs}

    def error(networks: list[kw.ReLUNetwork]) -> float:
        f = np.hstack([network.predict(X) for network in networks])
        return float((((scaling.scale * f + scaling.centre - Y) / Y.std(axis=0)) ** 2)[gone].mean())

    together = kw.cross_validate(problem, FOLDS, scheme=scheme, criterion="log", **options)
    by_mean = kw.solve(problem.with_lam(float(together.lams[np.argmin(together.mean_loss)])))
    apart, by_folds = [], []
    for t in range(problem.n_tasks):
        alone = kw.Problem(X, problem.Y[:, t], 1.0)
        found = kw.cross_validate(alone, folds_of(t, together.folds), **options)
        apart.append(found.solution.network)
        lam = float(found.lams[np.argmin(np.log(found.fold_losses).mean(axis=0))])
        by_folds.append(kw.solve(alone.with_lam(lam)).network)
    return error([together.solution.network]), error(apart), error([by_mean.network]), error(by_folds)


def folds_of(task: int, folds: tuple[Fold, ...]) -> list[Fold]:
    """The part of each fold that is about one task."""
    return [(train[:, [task]], test[:, [task]]) for train, test in folds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    table = kw.load_dataset("us-employment")
    X = TaskScaling.of(table.X).apply(table.X)
    for name, (draw, scheme) in CASES.items():
        print(f"\n{name}\n\n| draw | {' | '.join(COLUMNS)} | seconds |\n|{'---|' * (len(COLUMNS) + 2)}")
        ratios = []
        for seed in range(options.draws):
            began = time.perf_counter()
            gone = draw(table.Y.shape, np.random.default_rng(seed))
            together, apart, by_mean, by_folds = errors(X, table.Y, gone, scheme, options.jobs)
            ratios.append((together / apart, by_mean / apart, together / by_folds))
            shown = (together, apart, ratios[-1][0], by_mean, ratios[-1][1], by_folds, ratios[-1][2])
            numbers = " | ".join(f"{one:.4f}" for one in shown)
            print(f"| {seed} | {numbers} | {time.perf_counter() - began:.0f} |", flush=True)
        for what, of in (
            ("mean", np.mean(ratios, axis=0)),
            ("geometric mean", np.exp(np.log(ratios).mean(axis=0))),
            ("draws below 1", np.sum(np.array(ratios) < 1.0, axis=0)),
        ):
            print(f"| {what} | | | {of[0]:.3g} | | {of[1]:.3g} | | {of[2]:.3g} | |")


if __name__ == "__main__":
    main()
