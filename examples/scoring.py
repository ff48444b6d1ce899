"""Held-out errors of several methods on the same labels, as a table with paired intervals."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Array = NDArray[np.float64]
OURS = "knotwork"
Scores = dict[str, tuple[Array, float]]


def available(packages: dict[str, str | None]) -> list[str]:
    """The methods whose package is installed; a line for each that is left out."""
    kept = []
    for method, package in packages.items():
        if package is None or importlib.util.find_spec(package) is not None:
            kept.append(method)
        else:
            print(f"left out: {method}; pip install {package}")
    return kept


def held_out_errors(Y: Array, predicted: Array, held: NDArray[np.bool_]) -> Array:
    """(T,) mean squared error of each task where `held` (n, T), over the variance of its labels."""
    squares = np.where(held, (predicted - Y) ** 2, np.nan)
    return np.nanmean(squares, axis=0) / np.nanvar(Y, axis=0)


def table(folds: list[Scores], test_over_train: float) -> str:
    """Markdown of a row for each method: error, ours over its error with a 95 % interval, seconds.

    The ratio is a geometric mean over tasks and folds. Its interval is paired, and corrected for folds that
    share their training rows, s^2 (1/n + test/train) for s^2/n: Nadeau and Bengio, Inference for the
    Generalization Error, Machine Learning 52, 2003. Below 1 ours is better; an interval that holds 1 leaves
    it open.

    Parameters
    ----------
    folds : of each fold, method to (errors (T,), seconds).
    test_over_train : labels held out over labels learned from.
    """
    lines = [
        "| method | held-out error | knotwork / it | 95 % interval | CPU s a fit |",
        "|---|---|---|---|---|",
    ]
    errors = {name: np.array([fold[name][0] for fold in folds]) for name in folds[0]}
    lost = []
    for name, error in errors.items():
        logs = np.log(errors[OURS] / error).mean(axis=1)
        n = len(logs)
        reach = student.ppf(0.975, n - 1) * logs.std(ddof=1) * np.sqrt(1 / n + test_over_train)
        ratio, low, high = np.exp(logs.mean() + np.array([0.0, -reach, reach]))
        seconds = np.mean([fold[name][1] for fold in folds])
        interval = "" if name == OURS else f"{ratio:.2f} | {low:.2f} to {high:.2f}"
        lines.append(f"| {name} | {error.mean():.4f} | {interval or ' | '} | {seconds:.2f} |")
        if low > 1:
            lost.append(name)
    lines.append("")
    lines.append(
        "knotwork is the best, or within the interval of the best"
        if not lost
        else f"better than knotwork beyond the interval: {', '.join(lost)}"
    )
    return "\n".join(lines)
