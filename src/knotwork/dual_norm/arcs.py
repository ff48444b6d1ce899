"""One input, every unit neuron: facing right or left, with its knot anywhere, poles included.

A neuron is active on a suffix (facing right), a prefix (facing left) or all of the sorted data.
On an arc of (w, b) between two data points the active set is fixed and the response is
w P + b Q, P = sum of alpha_i x_i and Q = sum of alpha_i over it. Where weight decay acts on
biases too, units have |(w, b)| = 1 and the best of an arc is the leading eigenvector of the 2 x 2
matrix of (P, Q), or an end; else units have |w| = 1, responses are convex between data
points, and the ends are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from . import DualNorm, Rigour

Array = NDArray[np.float64]
_TIE = 1e-11


@dataclass(frozen=True, eq=False)
class Responses:
    """The best unit neuron of each arc, in the order of the circle, and its response.

    neurons : (M, 2) rows (w, b).  values : (M,) |sum_i alpha_i relu(w x_i + b)|.
    """

    neurons: Array
    values: Array

    @property
    def largest(self) -> float:
        return float(self.values.max(initial=0.0))

    def peaks(self, floor: float) -> NDArray[np.intp]:
        """Local maxima along the circle above `floor`, the highest first."""
        values = self.values
        around = np.concatenate([values[-1:], values, values[:1]])
        top = (values > floor) & (values >= around[:-2]) & (values > around[2:])
        found = np.flatnonzero(top)
        if len(found) == 0 and self.largest > floor:
            found = np.array([int(np.argmax(values))])
        return found[np.argsort(-values[found], kind="stable")]


def responses(x: Array, alpha: Array, biases: bool) -> Responses:
    """The best neuron of every arc for a dual point `alpha` (N, T) on sorted inputs `x` (N,).

    biases : whether units have |(w, b)| = 1, else |w| = 1 and sum alpha = 0 is presumed.
    """
    sums = _Sums.of(x, alpha)
    if not biases:
        ones = np.ones(len(x))
        neurons = np.concatenate([np.column_stack([ones, -x])[::-1], np.column_stack([-ones, x])[::-1]])
        return Responses(neurons, _norms(np.concatenate([sums.right[::-1], sums.left[::-1]])))
    # facing right, the last datum alone active, then more and more until all are; facing left,
    # all but the last datum active, then fewer. An arc begins at the ray (w, b) whose knot is at
    # `place`; turning from it by t responds cos t p + sin t q
    place = np.concatenate([x[::-1], x[:0:-1]])
    sign = np.repeat([1.0, -1.0], [len(x), len(x) - 1])
    root = np.hypot(1.0, place)
    about = np.concatenate([sums.right[::-1], sums.left[:0:-1]])
    total = np.concatenate([sums.after[::-1], sums.before[-2::-1]])
    p = about / root[:, None]
    q = sign[:, None] * root[:, None] * total + (place / root)[:, None] * about
    following = np.append(place[1:], x[0])
    width = np.arctan2(place - following, 1.0 + place * following)
    whole = len(x) - 1
    width[whole] = np.arctan2(x[-1] - x[0], -(1.0 + x[0] * x[-1]))
    pp, pq, qq = (np.einsum("mt,mt->m", a, b) for a, b in ((p, p), (p, q), (q, q)))
    top = np.mod(0.5 * np.arctan2(2.0 * pq, pp - qq), np.pi)
    turns = np.stack([np.zeros_like(width), width, np.minimum(top, width)])
    answers = np.stack([_norms(np.cos(t)[:, None] * p + np.sin(t)[:, None] * q) for t in turns])
    best = np.argmax(answers, axis=0)
    each = np.arange(len(best))
    c, s = np.cos(turns[best, each]), np.sin(turns[best, each])
    w, b = sign / root, -sign * place / root
    return Responses(np.column_stack([c * w - s * b, c * b + s * w]), answers[best, each])


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of alpha (N, T): `after` and `before`, its sums from each datum on and up to it, and `right`,
    `left`, what the unit knots at the data respond: summed up step by step, so that no large
    inputs cancel."""

    after: Array
    before: Array
    right: Array
    left: Array

    @classmethod
    def of(cls, x: Array, alpha: Array) -> _Sums:
        after, before = _suffix_sums(alpha), np.cumsum(alpha, axis=0)
        step = np.diff(x)[:, None]
        right, left = np.zeros_like(alpha), np.zeros_like(alpha)
        right[:-1] = _suffix_sums(after[1:] * step)
        left[1:] = np.cumsum(before[:-1] * step, axis=0)
        return cls(after, before, right, left)


def response_of(x: Array, alpha: Array, w: Array, b: Array) -> Array:
    """(K, T) sum_i alpha_i relu(w_k x_i + b_k) of the neurons (w, b) on sorted inputs `x`."""
    sums = _Sums.of(x, alpha)
    low, high = active_range(x, w, b)
    faces_left = high < len(x)
    end = np.where(faces_left, np.maximum(high - 1, 0), np.minimum(low, len(x) - 1))
    about = np.where(faces_left[:, None], -sums.left[end], sums.right[end])
    total = np.where(faces_left[:, None], sums.before[end], sums.after[end])
    answer = w[:, None] * about + (w * x[end] + b)[:, None] * total
    return np.where((low < high)[:, None], answer, 0.0)


def active_range(x: Array, w: Array, b: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(K,), (K,): neuron k is active on x[low_k : high_k], x sorted."""
    n = len(x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        knot = np.where(w != 0, -b / w, 0.0)
    right = np.searchsorted(x, knot, side="left")
    low = np.where(w > 0, right, 0)
    high = np.where(w < 0, np.searchsorted(x, knot, side="right"), n)
    high = np.where((w == 0) & (b <= 0), 0, high)
    return low, high


def arcs_dual_norm(X: ArrayLike, alpha: ArrayLike) -> DualNorm:
    """max over unit neurons, |(w, b)| = 1, of |sum_i alpha_i relu(w x_i + b)|: biases penalised.

    Exact, O(N T) after sorting, for a dual point `alpha` (N, T) on inputs `X` (N,) or (N, 1). B (4),
    (7), (11), (12); knots need not be at data points.

    Raises
    ------
    TypeError, ValueError : for arrays of the wrong type or shape.
    """
    x = as_float_array(X, "X").reshape(-1)
    a = as_float_array(alpha, "alpha")
    a = a[:, None] if a.ndim == 1 else a
    if a.ndim != 2 or len(a) != len(x) or len(x) == 0:
        raise ValueError(f"alpha: must have shape ({len(x)}, T) with at least one row, got {a.shape}")
    order = np.argsort(x, kind="stable")
    found = responses(x[order], a[order], biases=True)
    values = found.values
    around = np.concatenate([values[-1:], values, values[:1]]) * (1.0 - _TIE)
    # neighbouring arcs may tie: at one neuron, their common end, or at two
    top = np.flatnonzero((values > 0) & (values >= around[:-2]) & (values >= around[2:]))
    top = top[np.unique(np.round(found.neurons[top], 12), axis=0, return_index=True)[1]]
    top = top[np.argsort(-values[top], kind="stable")]
    return DualNorm(found.neurons[top], values[top], found.largest, Rigour.EXACT)


def _suffix_sums(values: Array) -> Array:
    return np.cumsum(values[::-1], axis=0)[::-1]


def _norms(M: Array) -> Array:
    return np.sqrt(np.einsum("ij,ij->i", M, M))
