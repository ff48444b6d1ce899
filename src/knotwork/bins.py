"""Univariate data in bins that lose nothing: exact moments, refined only where it matters.

Inside a bin every function considered here is a straight line, so the count, mean and
spread of the bin's data are all that its loss depends on. The bins are merged and split by the
parallel-variance formulas (Chan, Golub, LeVeque 1983), which cancel no digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .points import Index, Points

Array = NDArray[np.float64]
_FAN = 8
_WORK = 1 << 17
_CANCELLATION = 1e5
_TABLE = 10_000


@dataclass(frozen=True, eq=False)
class Line:
    """A piecewise-linear curve on the bins: `value` (m, T) at each anchor, `slope` (m, T) after it."""

    value: Array
    slope: Array


@dataclass(frozen=True, eq=False)
class Affine:
    """mean + slope (x - centre), all (T,): the least-squares line through residuals, and the sum
    of its weighted squares (T,)."""

    centre: Array
    mean: Array
    slope: Array
    square: Array

    def at(self, x: Array) -> Array:
        """(n, T) values at x, (n, 1) or (n, T)."""
        return self.mean + self.slope * (x - self.centre)


class Bins:
    """Consecutive bins over `points`; bin i starts at the data point `x[i]`, its anchor.

    Per bin: `weight` (m, P), `mean_x` (m, P), `mean_y` (m, T), the centred second moments
    `sxx` (m, P), `sxy` (m, T), `syy` (m, P); P is 1 where all tasks share their weights, else T.
    `start` (m,) is the index of the anchor among the points and `size` (m,) the points in the bin.
    There are between `coarse` and twice as many, or as many as points if those are fewer.
    """

    _fields = ("start", "size", "x", "weight", "mean_x", "mean_y", "sxx", "sxy", "syy")

    def __init__(self, points: Points, coarse: int | None = None) -> None:
        self.points = points
        n = len(points.x)
        if coarse is None:
            coarse = min(max(_TABLE // points.n_tasks, 256), 1024)
        size = 1
        while n > 2 * coarse * size:
            size *= 2
        self._tile(size)

    def _tile(self, size: int) -> None:
        """Bins of `size` points each, the last of what is left."""
        n = len(self.points.x)
        edges = np.arange(0, n, size)
        full = edges[: n // size] if size > 1 else edges
        parts = [self._summary(full, size)]
        if len(full) < len(edges):
            parts.append(self._summary(edges[len(full) :], n - int(edges[-1])))
        self._set([np.concatenate(column) for column in zip(*parts, strict=True)])

    def _summary(self, starts: Index, size: int) -> list[Array]:
        """The columns of `_fields` for bins of `size` consecutive points each."""
        return summarise(self.points, starts, size)

    def _child_size(self, size: int) -> int:
        """Points in each child of a bin of `size` points."""
        return max(1, size // _FAN) if size > _FAN else 1

    def _set(self, columns: list[Array]) -> None:
        self.start: Index = columns[0].astype(np.intp)
        self.size: Index = columns[1].astype(np.intp)
        self.x: Array = columns[2]
        self.weight, self.mean_x, self.mean_y, self.sxx, self.sxy, self.syy = columns[3:]
        self.next_x: Array = np.append(self.x[1:], self.points.x[-1])

    def __len__(self) -> int:
        return len(self.start)

    def children(self, chosen: Index) -> Iterator[tuple[Index, Bins]]:
        """The bins `chosen`, split: (parents, their children), as many children for each parent
        of a pair, in order. The children's line is the parent's; `self` stays as it is."""
        for size in np.unique(self.size[chosen]):
            parents = chosen[self.size[chosen] == size]
            child = self._child_size(int(size))
            offsets = np.arange(0, size, child)
            whole = offsets[offsets + child <= size]
            start = self.start[parents]
            columns = self._summary((start[:, None] + whole).ravel(), child)
            if len(whole) < len(offsets):
                rest = self._summary(start + offsets[-1], int(size - offsets[-1]))
                columns = [_append_each(many, one) for many, one in zip(columns, rest, strict=True)]
            part = copy(self)
            part._set(columns)
            part.next_x.reshape(len(parents), -1)[:, -1] = self.next_x[parents]
            yield parents, part

    def refine(self, mask: NDArray[np.bool_]) -> Index:
        """Split the bins of `mask`; returns where each bin that was there stands now."""
        chosen = np.flatnonzero(mask & (self.size > 1))
        if len(chosen) == 0:
            return np.arange(len(self))
        keep = np.ones(len(self), dtype=bool)
        keep[chosen] = False
        parts = [[getattr(self, name)[keep] for name in self._fields]]
        parts += [[getattr(part, name) for name in self._fields] for _, part in self.children(chosen)]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        old = self.start
        self._set([column[order] for column in columns])
        return np.searchsorted(self.start, old)

    def refine_around(self, location: Array) -> None:
        """Split bins until those of several points have none of `location` strictly inside."""
        location = location[(location > self.x[0]) & (location < self.points.x[-1])]
        while True:
            holder = np.searchsorted(self.x, location, side="right") - 1
            holder = holder[self.x[holder] < location]
            split = np.zeros(len(self), dtype=bool)
            split[holder] = self.size[holder] > 1
            if not split.any():
                return
            self.refine(split)

    def residual_sums(self, *curves: Line | Affine) -> tuple[Array, Array, Array]:
        """Of alpha = w (y - the curves): its sum (m, T), its first moment about `mean_x` (m, T),
        and sum alpha^2 / w (m, P), bin by bin.

        The curves are taken off one by one: residuals, and corrections to them, may be many
        orders smaller than labels.
        """
        error, moment, square = self.mean_y, self.sxy, self.syy
        for curve in curves:
            if isinstance(curve, Line):
                error = error - curve.value - curve.slope * (self.mean_x - self.x[:, None])
            else:
                error = error - curve.at(self.mean_x)
            less = moment - curve.slope * self.sxx
            square = square - self._product(np.broadcast_to(curve.slope, less.shape), moment + less)
            moment = less
        total = self.weight * error
        return total, moment, np.maximum(square, 0.0) + self._product(total, error)

    def energy(self, *curves: Line | Affine) -> float:
        """sum w f^2 over the data, f the sum of the curves."""
        value, slope = np.zeros_like(self.mean_y), np.zeros_like(self.mean_y)
        for curve in curves:
            if isinstance(curve, Line):
                value += curve.value + curve.slope * (self.mean_x - self.x[:, None])
            else:
                value += curve.at(self.mean_x)
            slope += curve.slope
        return float(np.sum(self.weight * value * value + self.sxx * slope * slope))

    def _product(self, a: Array, b: Array) -> Array:
        """a b, (m, P): summed over the tasks that share their weights."""
        if self.weight.shape[1] == a.shape[1]:
            return a * b
        return np.einsum("mt,mt->m", a, b)[:, None]

    def affine_part(self, total: Array, moment: Array) -> Affine:
        """The weighted least-squares line through the residuals of `residual_sums`."""
        weight = self.weight.sum(axis=0)
        centre = np.sum(self.weight * self.mean_x, axis=0) / weight
        offset = self.mean_x - centre
        sxx = np.sum(self.sxx + self.weight * offset * offset, axis=0)
        mean = total.sum(axis=0) / weight
        sxy = np.sum(moment + total * offset, axis=0)
        slope = np.divide(sxy, sxx, out=np.zeros_like(sxy), where=sxx > 0)
        return Affine(centre, mean, slope, weight * mean * mean + sxx * slope * slope)

    def potential(self, total: Array, moment: Array) -> tuple[Array, Array]:
        """p (m, T) at the anchors, p(x) = sum over x_i > x of alpha_i (x_i - x), and the sum of
        alpha over all later bins (m, T)."""
        later = np.zeros_like(total)
        later[:-1] = np.cumsum(total[:0:-1], axis=0)[::-1]
        return np.cumsum(self.rise(total, moment, later)[::-1], axis=0)[::-1], later

    def rise(self, total: Array, moment: Array, later: Array) -> Array:
        """(m, T) by how much p at each anchor exceeds p at the next."""
        step = later * (self.next_x - self.x)[:, None]
        step += moment
        step += total * (self.mean_x - self.x[:, None])
        return step

    def slack(self, square: Array) -> Array:
        """(m,) how far |p| inside a bin can exceed its larger end: h/4 sum |alpha_i| bounds it,
        for p is linear but for bends alpha_i at the data; Cauchy-Schwarz bounds the sum."""
        spread = np.sqrt(np.sum(self.weight * square, axis=1))
        return np.where(self.size > 1, 0.25 * (self.next_x - self.x) * spread, 0.0)


def segment_moments(bins: Bins, start: Index, origin: float) -> tuple[Array, Array, Array, Array, Array]:
    """Of the runs of bins that begin at `start` (S,): weight (S, P), mean of x - origin (S, P), mean
    label (S, T), and the centred sums sxx (S, P), sxy (S, T)."""
    which = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(bins))))
    weight = np.add.reduceat(bins.weight, start, axis=0)
    safe = np.where(weight > 0, weight, 1.0)
    offset = bins.mean_x - origin
    mean_x = np.add.reduceat(bins.weight * offset, start, axis=0) / safe
    mean_y = np.add.reduceat(bins.weight * bins.mean_y, start, axis=0) / safe
    d = offset - mean_x[which]
    pull = bins.weight * d
    sxx = np.add.reduceat(bins.sxx + pull * d, start, axis=0)
    sxy = np.add.reduceat(bins.sxy + pull * (bins.mean_y - mean_y[which]), start, axis=0)
    return weight, mean_x, mean_y, sxx, sxy


def feature_factor(bins: Bins, knots: Index) -> Array:
    """`moments_factor` of the data in `bins`, the knots (K,) at anchors."""
    start = np.concatenate([[0], knots]).astype(np.intp)
    origin = float(bins.x[0])
    return moments_factor(bins.x[knots] - origin, *segment_moments(bins, start, origin))


def moments_factor(
    place: Array, weight: Array, mean_x: Array, mean_y: Array, sxx: Array, sxy: Array
) -> Array:
    """(P, K + 2, K + 2 + T / P): the R factor of the features [1, x, hinges] and of the labels, with
    knots at `place` (K,), from the `segment_moments` before, between and after them.

    The data between two knots enter a piecewise-linear fit by their weight, mean and spread alone:
    as two rows, one for the mean and one for the slope. No Gram matrix is formed, so no
    condition number is squared.
    """
    n_knots, n_patterns = len(place), weight.shape[1]
    root_weight, root_sxx = np.sqrt(weight.T), np.sqrt(sxx.T)
    rows = np.zeros((n_patterns, 2, n_knots + 1, n_knots + 2 + mean_y.shape[1] // n_patterns))
    mean_rows, slope_rows = rows[:, 0], rows[:, 1]
    mean_rows[:, :, 0] = root_weight
    mean_rows[:, :, 1] = root_weight * mean_x.T
    slope_rows[:, :, 1] = root_sxx
    mean_rows[:, :, 2 : n_knots + 2] = root_weight[:, :, None] * np.maximum(mean_x.T[:, :, None] - place, 0.0)
    slope_rows[:, :, 2 : n_knots + 2] = root_sxx[:, :, None] * np.tri(n_knots + 1, n_knots, -1)
    labels_y = mean_y[None] if n_patterns == 1 else mean_y.T[:, :, None]
    labels_xy = sxy[None] if n_patterns == 1 else sxy.T[:, :, None]
    mean_rows[:, :, n_knots + 2 :] = root_weight[:, :, None] * labels_y
    safe_root = np.where(root_sxx > 0, root_sxx, 1.0)
    slope_rows[:, :, n_knots + 2 :] = labels_xy / safe_root[:, :, None]
    flat = rows.reshape(n_patterns, 2 * (n_knots + 1), -1)
    return np.asarray(np.linalg.qr(flat, mode="r"))[:, : n_knots + 2]


def _append_each(many: Array, one: Array) -> Array:
    """Each of the c equal groups of rows in `many` followed by its row of `one`."""
    groups = many.reshape(len(one), -1, *many.shape[1:])
    return np.concatenate([groups, one[:, None]], axis=1).reshape(-1, *many.shape[1:])


def summarise(points: Points, starts: Index, size: int) -> list[Array]:
    """The columns of `Bins._fields` for bins of `size` consecutive points each."""
    c, n_tasks = len(starts), points.n_tasks
    n_patterns = 1 if points.w is None else points.w.shape[1]
    weight = np.empty((c, n_patterns))
    mean_x, sxx = np.empty((c, n_patterns)), np.zeros((c, n_patterns))
    mean_y = np.empty((c, n_tasks))
    sxy, syy = np.zeros((c, n_tasks)), np.zeros((c, n_patterns))
    out = [starts, np.full(c, size), points.x[starts], weight, mean_x, mean_y, sxx, sxy, syy]
    if size == 1:
        weight[:] = 1.0 if points.w is None else points.w[starts]
        mean_x[:] = points.x[starts, None]
        mean_y[:] = np.where(weight > 0, points.y[starts], 0.0)
        return out
    contiguous = c > 0 and starts[-1] - starts[0] == (c - 1) * size
    step = max(1, _WORK // (size * n_tasks))
    for low in range(0, c, step):
        part = slice(low, min(low + step, c))
        if contiguous:
            rows: slice | Index = slice(int(starts[low]), int(starts[low]) + size * (part.stop - low))
        else:
            rows = (starts[part, None] + np.arange(size)).ravel()
        x = points.x[rows].reshape(-1, size)
        y = points.y[rows].reshape(-1, size, n_tasks)
        w = None if points.w is None else points.w[rows].reshape(-1, size, n_patterns).astype(np.float64)
        moments = _shared_moments(x, y, w) if n_patterns == 1 else _own_moments(x, y, w)
        for column, values in zip(out[3:], moments, strict=True):
            column[part] = values
    return out


def _shared_moments(x: Array, y: Array, w: Array | None) -> tuple[Array, ...]:
    size = x.shape[1]
    features = np.empty((len(x), 2, size))
    if w is None:
        weight = np.full((len(x), 1), float(size))
        mean_x = x.mean(axis=1, keepdims=True)
        features[:, 0], features[:, 1] = 1.0, x - mean_x
        flat = y.reshape(len(y), 1, -1)
        squares = (flat @ flat.transpose(0, 2, 1))[:, :, 0]
    else:
        shares = w[:, :, 0]
        weight = shares.sum(axis=1, keepdims=True)
        mean_x = np.sum(shares * x, axis=1, keepdims=True) / weight
        features[:, 0], features[:, 1] = shares, shares * (x - mean_x)
        squares = np.einsum("cb,cbt,cbt->c", shares, y, y, optimize=True)[:, None]
    sxx = np.einsum("cb,cb->c", features[:, 1], x - mean_x)[:, None]
    sums = features @ y
    mean_y = sums[:, 0] / weight
    # the first moment is about the rounded mean of x: take its remainder off
    sxy = sums[:, 1] - features[:, 1].sum(axis=1, keepdims=True) * mean_y
    between = weight * np.einsum("ct,ct->c", mean_y, mean_y)[:, None]
    syy = np.maximum(squares - between, 0.0)
    moments = (weight, mean_x, mean_y, sxx, sxy, syy)
    rough = np.any(between > _CANCELLATION * syy, axis=1)
    return _recompute(moments, rough, x, y, w)


def _own_moments(x: Array, y: Array, w: Array | None) -> tuple[Array, ...]:
    assert w is not None
    weighted = np.where(w > 0, y, 0.0)
    values = weighted.copy()
    weighted *= w
    squares = np.einsum("cbt,cbt->ct", values, weighted)
    centre = 0.5 * (x[:, :1] + x[:, -1:])
    d = x - centre
    powers = np.stack([np.ones_like(d), d, d * d], axis=1)
    wsum = powers @ w
    ysum = powers[:, :2] @ weighted
    weight = wsum[:, 0]
    safe = np.where(weight > 0, weight, 1.0)
    shift, mean_y = wsum[:, 1] / safe, ysum[:, 0] / safe
    sxx = np.maximum(wsum[:, 2] - shift * wsum[:, 1], 0.0)
    sxy = ysum[:, 1] - shift * ysum[:, 0]
    between = weight * mean_y * mean_y
    syy = np.maximum(squares - between, 0.0)
    moments = (weight, centre + shift, mean_y, sxx, sxy, syy)
    rough = (between > _CANCELLATION * syy) | (wsum[:, 2] > _CANCELLATION * sxx)
    return _recompute(moments, np.any(rough & (weight > 0), axis=1), x, y, w)


def _recompute(
    moments: tuple[Array, ...], rough: NDArray[np.bool_], x: Array, y: Array, w: Array | None
) -> tuple[Array, ...]:
    """`moments`, in the bins where differences lost their digits by one more pass about the means."""
    if not rough.any():
        return moments
    weight, mean_x, mean_y, sxx, sxy, syy = moments
    total = np.where(weight > 0, weight, 1.0)[rough]
    share = np.ones((len(total), x.shape[1], 1)) if w is None else w[rough]
    dx = x[rough][:, :, None] - mean_x[rough][:, None, :]
    drift = np.sum(share * dx, axis=1) / total
    dx -= drift[:, None, :]
    dy = np.where(share > 0, y[rough] - mean_y[rough][:, None, :], 0.0)
    rise = np.sum(share * dy, axis=1) / total
    dy = np.where(share > 0, dy - rise[:, None, :], 0.0)
    mean_x[rough] += drift
    mean_y[rough] += rise
    sxx[rough] = np.sum(share * dx * dx, axis=1)
    sxy[rough] = np.sum(share * dx * dy, axis=1)
    squares = np.sum(share * dy * dy, axis=1)
    syy[rough] = squares if syy.shape[1] == squares.shape[1] else squares.sum(axis=1, keepdims=True)
    return moments
