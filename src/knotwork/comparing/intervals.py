"""Ratios of held-out errors, how sure they are, and what that says of the truth."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ..selection.held_out import Mask, Scheme

Array = NDArray[np.float64]


class LogRatio(NamedTuple):
    """An estimate of a log ratio, its standard error, and the degrees of freedom of that."""

    mean: float
    error: float
    dof: int

    def ends(self, level: float) -> tuple[float, float]:
        """mean -+ t error, of the two-sided interval of Student's t; NaN where the error is unknown."""
        if self.dof < 1:
            return math.nan, math.nan
        reach = float(stdtrit(self.dof, 0.5 + 0.5 * level)) * self.error
        return self.mean - reach, self.mean + reach

    def chance_below(self, bound: float) -> float:
        """How sure the true log ratio is to be below `bound`: the level of the one-sided interval that
        ends there (with a flat prior, its probability); NaN where the error is unknown."""
        if self.dof < 1:
            return math.nan
        if self.error == 0.0:
            return float(self.mean < bound)
        return float(stdtr(self.dof, (bound - self.mean) / self.error))


def log_ratio(errors: Array, others: Array, units: NDArray[np.intp]) -> LogRatio:
    """mean_t log(sum_i e_it / sum_i o_it), the linearised standard error over units of rows.

    In first order row i moves it by u_i = mean_t (e_it / sum_j e_jt - o_it / sum_j o_jt), which is 0 in
    sum. With U_g the sum over the rows of unit g the variance is G/(G - 1) sum_g U_g^2: what errors of one
    unit have in common, over tasks too, is in it, and so is that both methods miss the same labels.

    A label of repeated cross-validation counts once, by its mean over the repeats, so that repeats take
    away what is due to the folds alone and make nothing look surer than the rows allow. What the error
    leaves out, that all folds learn from the same rows, is measured in benchmarks/compare_coverage.py.

    Parameters
    ----------
    errors, others : (N, T) > 0 at the same labels, NaN elsewhere; every task has one.
    units : (N,) numbers from 0, equal for rows that are no evidence of their own.
    """
    total, other = np.nansum(errors, axis=0), np.nansum(others, axis=0)
    mean = float(np.mean(np.log(total / other)))
    known = ~np.isnan(errors).all(axis=1)
    n_units = len(np.unique(units[known]))
    if n_units < 2:
        return LogRatio(mean, math.nan, 0)
    moved = np.bincount(units, np.nan_to_num(errors / total - others / other).mean(axis=1))
    return LogRatio(mean, math.sqrt(n_units / (n_units - 1) * float(moved @ moved)), n_units - 1)


def units_of(X: Array, seen: Mask, scheme: Scheme, folds: int) -> NDArray[np.intp]:
    """(N,) what counts as one piece of evidence: a distinct input; where runs of inputs are held out
    ("blocks", "gaps"), whose errors go together, as many runs as there are folds."""
    units = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    if scheme in ("blocks", "gaps"):
        some = seen.any(axis=1)
        known, place = np.unique(units[some], return_inverse=True)
        units = np.zeros(len(X), dtype=np.intp)
        units[some] = place.ravel() * folds // len(known)
    units.setflags(write=False)
    return units
