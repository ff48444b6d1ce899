"""The Sobolev kernel of paper A, and its interpolant of least norm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SobolevInterpolant:
    """f(x) = sum_j coefficients_j k(x, inputs_j), the interpolant of least norm (A (6)).

    The squared norm is f(first)^2 + the integral of f'^2. Between labels f is a straight line,
    and it is constant outside the inputs, where connect the dots goes on as a line.

    inputs : (n,) the distinct inputs, increasing.
    labels : (n, T), NaN where missing.
    coefficients : (n, T), 0 at missing labels, in units of label per input.
    first : x_1 of the kernel, the least input.
    """

    inputs: Array
    labels: Array
    coefficients: Array
    first: float

    def predict(self, x: ArrayLike) -> Array:
        """f(x), (n, T); x is (n,) or (n, 1)."""
        x = _as_inputs(x, "x")
        out = np.empty((len(x), self.labels.shape[1]))
        for t, y in enumerate(self.labels.T):
            seen = np.flatnonzero(~np.isnan(y))
            at, values = self.inputs[seen], y[seen]
            # to the left of its first label a task shrinks to what it costs at x_1
            start = values[0] / (1.0 + at[0] - self.first)
            out[:, t] = np.interp(x, np.append(self.first, at), np.append(start, values))
        return out


def sobolev_kernel(x: ArrayLike, x_other: ArrayLike, first: float) -> Array:
    """k(x, x') = 1 - (x - x')_+ + (x - x_1)_+ + (x_1 - x')_+ of all pairs, (n, m) (A (6)).

    On one side of x_1 it is 1 + the smaller distance from x_1; across x_1 it is 1. So it is
    symmetric and positive definite on the whole line.

    Parameters
    ----------
    x, x_other : (n,) and (m,) or (m, 1) inputs.
    first : x_1, in the units of x.

    Raises
    ------
    TypeError, ValueError : for arrays that are not finite numbers of that shape.
    """
    x, x_other = _as_inputs(x, "x")[:, None], _as_inputs(x_other, "x_other")[None, :]
    anchor = as_float_array(first, "first")
    if anchor.ndim != 0:
        raise ValueError(f"first: must be one number, got shape {anchor.shape}")
    # the sum of the four terms would lose digits far from x_1
    same_side = np.maximum(np.minimum(x, x_other) - anchor, 0.0)
    return 1.0 + same_side + np.maximum(anchor - np.maximum(x, x_other), 0.0)


def sobolev_interpolant(X: ArrayLike, Y: ArrayLike) -> SobolevInterpolant:
    """The least norm sum_ij alpha_i alpha_j k(x_i, x_j) subject to sum_j alpha_j k(x_i, x_j) = y_i.

    A (6), each task on its own labels, x_1 being the least input that has one. In closed form,
    O(N T): alpha_j is the slope before x_j less the slope after it, 0 after the last; before the
    first label of a task it is that label over 1 + its distance from x_1.

    Parameters
    ----------
    X : (N,) or (N, 1) inputs in any order; equal inputs must have equal labels.
    Y : (N, T) or (N,) labels; NaN is a missing label.

    Raises
    ------
    TypeError, ValueError : for arrays of the wrong shape, tasks without a label, and labels that
        differ at equal inputs (no function interpolates them).
    """
    x = _as_inputs(X, "X")
    y = as_float_array(Y, "Y", allow_nan=True)
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.shape[1] == 0 or len(y) != len(x):
        raise ValueError(f"Y: must have shape ({len(x)}, T) with T >= 1, got {np.shape(Y)}")
    seen = ~np.isnan(y)
    if not seen.any(axis=0).all():
        empty = int(np.argmin(seen.any(axis=0)))
        raise ValueError(f"Y: column {empty} has no label; drop that task")
    rows = seen.any(axis=1)
    inputs, which = np.unique(x[rows], return_inverse=True)
    labels = np.full((len(inputs), y.shape[1]), np.nan)
    row, task = np.nonzero(seen[rows])
    labels[which[row], task] = y[rows][row, task]
    clash = np.flatnonzero(labels[which[row], task] != y[rows][row, task])
    if len(clash):
        at, t = float(x[rows][row[clash[0]]]), int(task[clash[0]])
        raise ValueError(
            f"Y: labels of column {t} differ at X = {at!r}; no function interpolates them, "
            "average labels at equal inputs first"
        )
    coefficients = np.zeros_like(labels)
    for t in range(y.shape[1]):
        known = np.flatnonzero(~np.isnan(labels[:, t]))
        at, values = inputs[known], labels[known, t]
        slopes = np.diff(values) / np.diff(at)
        before = np.append(values[0] / (1.0 + at[0] - inputs[0]), slopes)
        coefficients[known, t] = before - np.append(slopes, 0.0)
    return SobolevInterpolant(read_only(inputs), read_only(labels), read_only(coefficients), float(inputs[0]))


def _as_inputs(value: ArrayLike, name: str) -> Array:
    x = as_float_array(value, name)
    if x.ndim == 2 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,) or (n, 1), got {x.shape}")
    return x
