"""Intervals of means over folds that share their training rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def corrected_interval(values: Array, test_over_train: float, level: float) -> Interval:
    """mean +- t sqrt((1/n + n_test / n_train) s^2), t of n - 1 degrees of freedom.

    Folds of repeated cross-validation learn from much the same rows, so that s^2 / n, their variance over
    their number, is far too small: more repeats would make any difference certain. The second term, which
    no repeats make smaller, corrects for that (Nadeau and Bengio, Inference for the Generalization Error,
    Machine Learning 52, 2003; Bouckaert and Frank 2004 for repeated folds).

    Parameters
    ----------
    values : (n,) one for each fold; NaN is left out.
    test_over_train : labels held out over labels learned from.
    level : of the interval, 0.95 for 95 %.

    Returns NaN for the ends where fewer than two values are known.
    """
    known = values[~np.isnan(values)]
    n = len(known)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(known.mean())
    if n == 1:
        return Interval(mean, np.nan, np.nan)
    error = float(np.sqrt((1.0 / n + test_over_train) * known.var(ddof=1)))
    reach = float(stdtrit(n - 1, 0.5 + 0.5 * level)) * error
    return Interval(mean, mean - reach, mean + reach)
