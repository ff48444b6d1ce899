"""One input, biases free: every unit neuron is a knot, and the best knots are data points.

p(x) = sum over x_i > x of alpha_i (x_i - x) is the response of the knot at x; where
sum alpha_i = 0 and sum alpha_i x_i = 0, the left-facing neuron at x responds alike. |p| is
convex between data points, so its maximum is attained at one (A, Lemma 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..bins import Affine, Bins, Line
from ..points import Index, Points
from . import DualNorm, Rigour

Array = NDArray[np.float64]
_ROUNDING = 1e-13


def row_norms(M: Array) -> Array:
    """(m,) Euclidean norms of the rows."""
    return np.sqrt(np.einsum("ij,ij->i", M, M))


def hidden_bound(norms: Array, slack: Array) -> Array:
    """(m,) what |p| cannot exceed inside each bin, from its values at the anchors."""
    return np.maximum(norms, np.append(norms[1:], 0.0)) + slack


@dataclass(frozen=True, eq=False)
class Maximum:
    """What `maximise` found.

    p : (m, T) the potential at the anchors.
    largest : the maximum of |p|, or at most the floor.
    hidden, hidden_norms : (h,) the points inside bins, at most one a bin, where |p| exceeds the
        floor most, and |p| there.
    """

    p: Array
    largest: float
    hidden: Index
    hidden_norms: Array


def maximise(bins: Bins, *curves: Line | Affine, floor: float = 0.0) -> Maximum:
    """The potential p of alpha = w (y - the curves), and the exact maximum of |p|.

    Branch and bound: only bins that may hide a value above both `floor` and the best one are
    looked into, so that below `floor` the number returned is an upper bound, not the maximum.
    `bins` stay as they are.
    """
    total, moment, square = bins.residual_sums(*curves)
    p, later = bins.potential(total, moment)
    norms = row_norms(p)
    best = float(norms.max(initial=0.0))
    bound = hidden_bound(norms, bins.slack(square))
    next_p = np.concatenate([p[1:], np.zeros((1, p.shape[1]))])
    root = np.arange(len(bins))
    found: list[tuple[Index, Index, Array]] = []
    largest = 0.0
    queue = [(bins, curves, bound, next_p, later, root)]
    while queue:
        bins, curves, bound, next_p, later, root = queue.pop()
        # rounding of p itself is of this size; below it a split settles nothing
        hides = (bins.size > 1) & (bound > max(floor, best * (1.0 + _ROUNDING)))
        largest = max(largest, float(bound[~hides].max(initial=0.0)))
        if not hides.any():
            continue
        for parents, part in bins.children(np.flatnonzero(hides)):
            groups = (len(parents), -1, p.shape[1])
            of = np.repeat(parents, len(part) // len(parents))
            inside = tuple(_carry(curve, bins, part, of) for curve in curves)
            total, moment, square = part.residual_sums(*inside)
            after = np.zeros_like(total).reshape(groups)
            after[:, :-1] = np.cumsum(total.reshape(groups)[:, :0:-1], axis=1)[:, ::-1]
            after = (after + later[parents][:, None]).reshape(total.shape)
            rise = part.rise(total, moment, after).reshape(groups)
            inner = np.cumsum(rise[:, ::-1], axis=1)[:, ::-1] + next_p[parents][:, None]
            following = np.concatenate([inner[:, 1:], next_p[parents][:, None]], axis=1)
            norms = row_norms(inner.reshape(total.shape))
            part_bound = np.maximum(norms, row_norms(following.reshape(total.shape))) + part.slack(square)
            best = max(best, float(norms.max()))
            found.append((root[of], part.start, norms))
            queue.append((part, inside, part_bound, following.reshape(total.shape), after, root[of]))
    return Maximum(p, max(largest, best), *_best_of_each(found, floor))


def _carry(curve: Line | Affine, bins: Bins, part: Bins, of: Index) -> Line | Affine:
    """A curve on `bins` as one on their children `part`, child i being of bin of[i]."""
    if isinstance(curve, Affine):
        return curve
    slope = curve.slope[of]
    return Line(curve.value[of] + slope * (part.x - bins.x[of])[:, None], slope)


def _best_of_each(found: list[tuple[Index, Index, Array]], floor: float) -> tuple[Index, Array]:
    if not found:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    root, start, norms = (np.concatenate(column) for column in zip(*found, strict=True))
    above = np.flatnonzero(norms > floor)
    above = above[np.lexsort((-norms[above], root[above]))]
    first = above[np.unique(root[above], return_index=True)[1]]
    order = first[np.argsort(start[first])]
    return start[order], norms[order]


def knots_dual_norm(X: ArrayLike, alpha: ArrayLike) -> DualNorm:
    """max over knots of |p(x)| for a dual point `alpha` (N, T) on inputs `X` (N,) or (N, 1).

    Exact, O(N T) after sorting. Infinite when alpha is not orthogonal to 1 and x, the free
    parts of the network, up to 1e-9 of its size.

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
    x, a = x[order], a[order]
    start = np.flatnonzero(np.concatenate([[True], x[1:] > x[:-1]]))
    points = Points(x[start], np.add.reduceat(a, start, axis=0), None)
    centred = points.x - points.x.mean()
    size = np.abs(a).sum(axis=0)
    leak = np.maximum(
        np.abs(points.y.sum(axis=0)), np.abs(centred @ points.y) / max(np.ptp(points.x), 1e-300)
    )
    if np.any(leak > 1e-9 * size):
        return DualNorm(np.zeros((0, 2)), np.zeros(0), float("inf"), Rigour.EXACT)
    bins = Bins(points, coarse=len(points.x))
    best = maximise(bins)
    norms = row_norms(best.p)
    inner = np.concatenate([[0.0], norms, [0.0]])
    peaks = np.flatnonzero((norms > 0) & (norms >= inner[:-2]) & (norms > inner[2:]))
    peaks = peaks[np.argsort(-norms[peaks], kind="stable")]
    neurons = np.column_stack([np.ones(len(peaks)), -bins.x[peaks]])
    return DualNorm(neurons, norms[peaks], best.largest, Rigour.EXACT)


def slope_changes(x: Array, values: Array) -> Array:
    """(n - 2, T) changes of slope of connect the dots at the inner points: D `values`."""
    slopes = np.diff(values, axis=0) / np.diff(x)[:, None]
    return np.diff(slopes, axis=0)


def dual_point_of(x: Array, p: Array) -> Array:
    """(n, T) D' p, the dual point whose potential is `p` (n - 2, T) at the inner points."""
    padded = np.zeros((len(x), p.shape[1]))
    padded[1:-1] = p
    slopes = np.diff(padded, axis=0) / np.diff(x)[:, None]
    return np.diff(slopes, axis=0, prepend=0.0, append=0.0)


def keep_to_labels(x: Array, p: Array, seen: NDArray[np.bool_]) -> Array:
    """`p` (n - 2, T) made linear where a label is missing, so that its dual point is 0 there."""
    if seen.all():
        return p
    out = p.copy()
    for t in np.flatnonzero(~seen.all(axis=0)):
        known = np.flatnonzero(seen[:, t])
        padded = np.zeros(len(x))
        padded[1:-1] = p[:, t]
        heights = padded[known]
        heights[0] = heights[-1] = 0.0
        out[:, t] = np.interp(x, x[known], heights)[1:-1]
    return out
