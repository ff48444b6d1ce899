"""Univariate data at distinct inputs: sorted, merged where inputs are equal, rid of empty rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from .problem import Problem

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Points:
    """Data at distinct, increasing inputs; labels at equal inputs are averaged.

    x : (n,) distinct inputs, increasing.
    y : (n, T) labels; arbitrary (also NaN) where the weight is 0.
    w : weights, (n, T), or (n, 1) where all tasks share them, or None where all are 1; truth
        values where labels are only seen or missing.
    scatter : the part of the loss no function can reach: half the weighted spread of the labels
        at equal inputs.
    """

    x: Array
    y: Array
    w: Array | Mask | None
    scatter: float = 0.0

    @property
    def n_tasks(self) -> int:
        return self.y.shape[1]

    @classmethod
    def from_problem(cls, problem: Problem) -> Points:
        """The labelled rows of a univariate problem, sorted and with equal inputs merged."""
        x, y = problem.X[:, 0], problem.Y
        weight = problem.sample_weight
        plain = weight is None and not problem.has_gaps
        w = None if plain else _shared_if_possible(problem)
        if w is not None:
            # column by column: NumPy is slow over short rows
            labelled = reduce(np.logical_or, (w > 0).T)
            if not labelled.all():
                x, y, w = x[labelled], y[labelled], w[labelled]
            if w.shape[1] == 1 and np.all(w == 1.0):
                w = None
        if not np.all(x[1:] > x[:-1]):
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
            w = None if w is None else w[order]
        if np.all(x[1:] > x[:-1]):
            return cls(x, y, w)
        return _merge_equal(x, y, w)

    @classmethod
    def merged(cls, x: Array, y: Array, w: Array | None) -> Points:
        """Of sorted inputs `x` (n,), equal ones merged; weights (n, 1) or (n, T) > 0 or None."""
        return cls(x, y, w) if np.all(x[1:] > x[:-1]) else _merge_equal(x, y, w)

    def weights(self) -> Array:
        """(n, T) weights as floats."""
        shape = self.y.shape
        return (
            np.ones(shape) if self.w is None else np.array(np.broadcast_to(self.w, shape), dtype=np.float64)
        )

    def to_rows(self, alpha: Array, problem: Problem) -> Array:
        """A dual point (n, T) on the points as one (N, T) on the rows of the problem, split
        among equal inputs in proportion to their weights."""
        where, weight = self._where(problem), problem.label_weight()
        total = np.zeros_like(alpha)
        np.add.at(total, where, weight)
        return alpha[where] * np.divide(weight, total[where], out=np.zeros_like(weight), where=weight > 0)

    def spread_in_rows(self, problem: Problem) -> Array:
        """(N, T) w (y - mean) about the mean label at equal inputs: what no function can fit."""
        if self.scatter == 0:
            return np.zeros(problem.Y.shape)
        weight = problem.label_weight()
        return np.where(weight > 0, weight * (problem.Y - self.y[self._where(problem)]), 0.0)

    def _where(self, problem: Problem) -> Index:
        """(N,) the point of each row; rows without a label may go anywhere."""
        return np.minimum(np.searchsorted(self.x, problem.X[:, 0]), len(self.x) - 1)


def _shared_if_possible(problem: Problem) -> Array | Mask:
    """(N, 1) weights where every row has all its labels or none and one weight, else (N, T);
    truth values where labels are only seen or missing."""
    if problem.sample_weight is None:
        seen = ~np.isnan(problem.Y)
        complete: Mask = reduce(np.logical_and, seen.T)
        if np.array_equal(complete, reduce(np.logical_or, seen.T)):
            return complete[:, None].astype(np.float64)
        return seen
    weight = problem.label_weight()
    if np.all(weight == weight[:, :1]):
        return np.ascontiguousarray(weight[:, :1])
    return weight


def _merge_equal(x: Array, y: Array, w: Array | Mask | None) -> Points:
    start = np.flatnonzero(np.concatenate([[True], x[1:] > x[:-1]]))
    w = np.ones((len(x), 1)) if w is None else w.astype(np.float64)
    y = np.where(w > 0, y, 0.0)
    total = np.add.reduceat(w, start, axis=0)
    which = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(x))))
    safe = np.where(total > 0, total, 1.0)
    mean = np.add.reduceat(w * y, start, axis=0) / safe
    deviation = y - mean[which]
    # a second mean removes the rounding of the first
    mean += np.add.reduceat(w * deviation, start, axis=0) / safe
    deviation = y - mean[which]
    return Points(x[start], mean, total, 0.5 * float(np.sum(w * deviation * deviation)))
