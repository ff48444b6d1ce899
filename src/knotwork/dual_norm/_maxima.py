"""Maximise |sum_i a_i (row_i . u)_+| where all faces are known: which of them to look into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ._clock import heed
from ._faces import Flats, Index, Level, Mask, caps, enumerate_faces, merge_parallel, unpack

Array = NDArray[np.float64]
_PARALLEL = 1e-10
_DISTINCT = 1e-7
ROUNDING = 1e-14
_WORK = 1 << 20


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Everything about the inputs that a search over faces needs; u (m,) are coordinates in their span.

    normals : (M, m) unit normals, no two parallel.
    which, sign, size : (n,) row i is sign_i size_i normals_which_i.
    stray : (n,) how far a row is from that, or from vanishing where it is taken to vanish, relative to it.
    metric : (m,) 1 where a coordinate counts for the length of u, else 0.
    flats, levels : from the least rank held to m - 1, the bases orthonormal in `metric`.
    rays : (R, m) the points of the last level.
    centre, cosine : a point of each face (F, m), and the least cosine from it to another (F,).
    masks, mask_of : the distinct active sets, and the one of each face of each level.
    """

    normals: Array
    which: Index
    sign: Array
    size: Array
    stray: Array
    metric: Array
    flats: list[Flats]
    levels: list[Level]
    rays: Array
    centre: tuple[Array, ...]
    cosine: tuple[Array, ...]
    masks: Mask
    mask_of: list[Index]

    @classmethod
    def of(cls, rows: Array, metric: Array, max_faces: int, symmetric: bool) -> Arrangement:
        """rows : (n, m) of rank m, none zero. With a coordinate that has no length, the last, 1 in
        every row, only faces where some row vanishes are kept: elsewhere u has no finite length."""
        least_rank = int(np.sum(metric == 0))
        # what is positive where does not depend on the coordinates: rounding is least in those without scale
        columns = np.linalg.norm(rows, axis=0)
        U, scale, Vt = np.linalg.svd(rows / columns, full_matrices=False)
        Y, which, sign = merge_parallel(U / np.linalg.norm(U, axis=1)[:, None], _PARALLEL)
        flats, levels = enumerate_faces(Y, least_rank, max_faces, symmetric)
        lead = rows[np.unique(which, return_index=True)[1]]
        normals = lead / np.linalg.norm(lead, axis=1)[:, None]
        size = np.abs(np.einsum("im,im->i", rows, normals[which]))
        back = Vt.T / scale / columns[:, None]
        kept = [_in_metric(f, back, lead, metric) for f in flats[least_rank:]]
        apart = np.linalg.norm(rows - (sign * size)[:, None] * normals[which], axis=1) / size
        if least_rank:
            apart *= np.linalg.norm(rows, axis=1).max()
        stray = apart + np.max([_left(f.zero, f.basis, normals).max(axis=0) for f in kept], axis=0)[which]
        stray[stray <= ROUNDING] = 0.0
        masks, mask_of = np.unique(np.concatenate([f.active for f in levels]), return_inverse=True)
        parts = np.split(mask_of, np.cumsum([len(f) for f in levels])[:-1])
        level, rays = levels[-1], kept[-1].basis[levels[-1].flat, :, 0]
        side = np.where(unpack(level.active, len(normals)), 1.0, -1.0) * (rays @ normals.T)
        side[unpack(kept[-1].zero[level.flat], len(normals))] = 0.0
        rays = rays * np.where(side.sum(axis=1) > 0, 1.0, -1.0)[:, None]
        centre, cosine = zip(*caps(levels, rays, metric), strict=True) if len(levels) > 1 else ((), ())
        return cls(
            normals, which, sign, size, stray, metric, kept, levels, rays, centre, cosine, masks, parts
        )

    @property
    def n_faces(self) -> int:
        return sum(len(level) for level in self.levels)

    def maximise(self, A: Array, floor: float, n_best: int) -> tuple[Array, float]:
        """(K, m) the best local maximisers of |sum_i a_i (row_i . u)_+|, and an upper bound."""
        weights = self.size[:, None] * _fewest_columns(A)
        scale = float(np.abs(weights).max(initial=0.0))
        if scale == 0:
            return np.zeros((0, len(self.metric))), floor
        by_row = weights / scale
        weights = np.zeros((len(self.normals), by_row.shape[1]))
        np.add.at(weights, self.which, by_row)
        # a (-n.u)_+ = a (n.u)_+ - a n.u
        against = self.sign < 0
        linear = -self.normals[self.which[against]].T @ by_row[against]
        search = _Search(self, weights, linear, floor / scale, n_best)
        least = most = search.collect(len(self.levels) - 1, np.arange(len(self.rays)), self.rays)
        for rank in range(len(self.levels) - 2, -1, -1):
            level = self.levels[rank]
            least = np.minimum.reduceat(least[level.facet], level.first[:-1])
            most = np.maximum.reduceat(most[level.facet], level.first[:-1])
            search.explore(rank, least, most)
        slack = float(np.linalg.norm(by_row, axis=1) @ self.stray)
        return search.result(), max(floor, scale * max(search.best_value, search.rounding)) + scale * slack


class _Search:
    """One dual point's way through the faces: what was found, and what is not worth a look."""

    # responses of this size are those of rounding alone
    rounding: float

    def __init__(self, of: Arrangement, weights: Array, linear: Array, floor: float, n_best: int) -> None:
        self.of, self.weights, self.linear, self.floor, self.n_best = of, weights, linear, floor, n_best
        M, m = of.normals.shape
        self.found_u, self.found_value = np.zeros((0, m)), np.zeros(0)
        self.best_u, self.best_value = np.zeros(m), 0.0
        self.rounding = 1e-13 * float(np.linalg.norm(weights, axis=1).sum() + np.abs(linear).sum())
        self.table = (of.normals[:, :, None] * weights[:, None, :]).reshape(M, -1)
        self.grams = np.empty((len(of.masks), m, m))
        step = max(1, _WORK // self.table.shape[1])
        for low in range(0, len(of.masks), step):
            heed()
            maps = self._maps(of.masks[low : low + step])
            self.grams[low : low + step] = maps @ maps.transpose(0, 2, 1)

    def _maps(self, active: Mask) -> Array:
        """(c, m, r) M_D for each set of active normals: where they are, the response is |M_D' u|."""
        bits = unpack(active, len(self.weights)).astype(np.float64)
        return (bits @ self.table).reshape(-1, *self.linear.shape) + self.linear

    @property
    def threshold(self) -> float:
        """The response below which nothing is looked at any more."""
        full = len(self.found_value) >= self.n_best
        return max(self.floor, self.rounding, float(self.found_value[self.n_best - 1]) if full else 0.0)

    def explore(self, rank: int, least: Array, most: Array) -> None:
        """Look into the faces of one level. least, most : (F,) the responses of the weakest ray and of
        the best point known; on return `most` is the maximum of all faces that reach the threshold.

        A maximiser inside is the leading eigenvector of the flat, so that the response at an angle of phi
        from it is at least cos(phi) of its own. Where a ray or the centre responds less, there is none.
        """
        cosine, centre = np.maximum(self.of.cosine[rank], 0.0), self.of.centre[rank]
        # two points of a cap are apart by twice its angle at most
        across = np.maximum(2.0 * cosine * cosine - 1.0, 0.0)
        worth = np.flatnonzero(least + self.rounding >= across * np.maximum(most, self.threshold))
        M, m = self.of.normals.shape
        step = max(1, _WORK // (M * m))
        kept = []
        for low in range(0, len(worth), step):
            heed()
            part = worth[low : low + step]
            gram, x = self.grams[self.of.mask_of[rank][part]], centre[part]
            square = np.einsum("fm,fm->f", (gram @ x[:, :, None])[:, :, 0], x)
            square += 1e-13 * np.einsum("fmm->f", gram)
            kept.append(part[square >= (cosine[part] * np.maximum(most[part], self.threshold)) ** 2])
        worth = np.concatenate(kept) if kept else worth
        step = max(1, _WORK // self.table.shape[1])
        for low in range(0, len(worth), step):
            heed()
            part = worth[low : low + step]
            most[part] = np.maximum(most[part], self._look_into(rank, part))

    def _look_into(self, rank: int, faces: Index) -> Array:
        """Collect the maximisers inside `faces`; (c,) what they attain, 0 where there is none."""
        level, flats = self.of.levels[rank], self.of.flats[rank]
        M, _ = self.of.normals.shape
        basis = flats.basis[level.flat[faces]]
        # not from the Gram matrices: where points nearly meet, what is left of them is in the last digits
        inside = basis.transpose(0, 2, 1) @ self._maps(level.active[faces])
        values, vectors = np.linalg.eigh(inside @ inside.transpose(0, 2, 1))
        u = np.einsum("cmk,ck->cm", basis, vectors[:, :, -1])
        side = np.where(unpack(level.active[faces], M), 1.0, -1.0)
        side[unpack(flats.zero[level.flat[faces]], M)] = 0.0
        side *= u @ self.of.normals.T
        ahead, behind = side.min(axis=1) >= 0, side.max(axis=1) <= 0
        attained = np.zeros(len(faces))
        own = np.flatnonzero((ahead | behind) & (values[:, -1] > 0))
        attained[own] = self.collect(rank, faces[own], u[own] * np.where(ahead[own], 1.0, -1.0)[:, None])
        return attained

    def collect(self, rank: int, faces: Index, u: Array) -> Array:
        """Value the maximiser `u` of each face, and keep the local maximisers."""
        answer = np.maximum(u @ self.of.normals.T, 0.0) @ self.weights + u @ self.linear
        value = np.linalg.norm(answer, axis=1)
        if len(value) == 0:
            return value
        highest = int(np.argmax(value))
        if value[highest] > self.best_value:
            self.best_u, self.best_value = u[highest], float(value[highest])
        high = np.flatnonzero(value > self.threshold)
        high = high[self._local(rank, faces[high], u[high], answer[high])]
        self.found_u = np.concatenate([self.found_u, u[high]])
        self.found_value = np.concatenate([self.found_value, value[high]])
        self._keep_best()
        return value

    def _local(self, rank: int, faces: Index, u: Array, answer: Array) -> NDArray[np.bool_]:
        """Whether the response rises in no direction off the face. It is linear to first order
        between the faces that this one borders, so their directions are enough."""
        level, flats = self.of.levels[rank], self.of.flats[rank]
        M, _ = self.of.normals.shape
        flat = level.flat[faces]
        slope = answer @ self.weights.T
        square = np.einsum("cr,cr->c", answer, answer)
        active = unpack(level.active[faces], M)
        rise = (active * slope) @ self.of.normals + answer @ self.linear.T
        rise -= square[:, None] * self.of.metric * u
        count = flats.first[flat + 1] - flats.first[flat]
        one = np.repeat(np.arange(len(faces)), count)
        start = np.cumsum(count) - count
        across = flats.across[np.arange(len(one)) - np.repeat(start - flats.first[flat], count)]
        along = np.einsum("cm,cm->c", rise[one], across)
        bend = np.where(unpack(flats.zero[flat], M)[one], across @ self.of.normals.T, 0.0)
        plus = along + np.einsum("cm,cm->c", np.maximum(bend, 0.0), slope[one])
        minus = -along + np.einsum("cm,cm->c", np.maximum(-bend, 0.0), slope[one])
        rises = np.maximum(plus, minus) > (1e-9 * square + self.rounding * np.sqrt(square))[one]
        return np.bincount(one[rises], minlength=len(faces)) == 0

    def _keep_best(self) -> None:
        """The found sorted, no place twice, no more than `n_best`."""
        order = np.argsort(-self.found_value, kind="stable")
        u, value = self.found_u[order], self.found_value[order]
        pairs = KDTree(u).query_pairs(_DISTINCT, p=np.inf, output_type="ndarray") if len(u) > 1 else None
        again = np.zeros(len(u), dtype=bool)
        if pairs is not None:
            again[pairs.max(axis=1)] = True
        self.found_u, self.found_value = u[~again][: self.n_best], value[~again][: self.n_best]

    def result(self) -> Array:
        """(K, m) the local maximisers above the floor, the best first."""
        if self.best_value <= max(self.floor, self.rounding):
            return np.zeros((0, len(self.best_u)))
        if self.best_value > self.found_value.max(initial=0.0):
            self.found_u = np.concatenate([self.best_u[None], self.found_u])
            self.found_value = np.concatenate([[self.best_value], self.found_value])
            self._keep_best()
        return self.found_u


def _in_metric(flats: Flats, back: Array, lead: Array, metric: Array) -> Flats:
    """Flats in the coordinates of the rows, `back` (m, m) from the ones they were found in."""
    basis = _orthonormal(back @ flats.basis, flats, lead, metric)
    normals = lead / np.linalg.norm(lead, axis=1)[:, None]
    # coordinates of very different scales lose digits on the way: what is left of the normals is taken off
    short = np.flatnonzero(_left(flats.zero, basis, normals).max(axis=1) > ROUNDING)
    step = max(1, _WORK // normals.size)
    for low in range(0, len(short), step):
        part = short[low : low + step]
        zero = np.where(unpack(flats.zero[part], len(normals))[:, :, None], normals, 0.0)
        basis[part] -= np.linalg.pinv(zero, rcond=1e-12) @ (zero @ basis[part])
    basis = _orthonormal(basis, flats, lead, metric) if len(short) else basis
    across = flats.across @ back.T
    across /= np.linalg.norm(across, axis=1)[:, None]
    return Flats(flats.zero, basis, flats.first, flats.parent, flats.plus, flats.minus, across)


def _orthonormal(basis: Array, flats: Flats, lead: Array, metric: Array) -> Array:
    """The bases (n, m, k) made orthonormal; a coordinate without length is what makes a point vanish."""
    if metric.all():
        return np.linalg.qr(basis)[0]
    w = np.linalg.qr(basis[:, :-1])[0]
    anchor = lead[np.argmax(unpack(flats.zero, len(lead)), axis=1), :-1]
    return np.concatenate([w, -np.einsum("nm,nmk->nk", anchor, w)[:, None]], axis=1)


def _left(zero: Mask, basis: Array, normals: Array) -> Array:
    """(n, M) what is left of each normal on the flats where it is taken to vanish."""
    out = np.empty((len(zero), len(normals)))
    step = max(1, _WORK // normals.size)
    for low in range(0, len(zero), step):
        part = slice(low, low + step)
        left = np.linalg.norm(normals @ basis[part], axis=2)
        out[part] = np.where(unpack(zero[part], len(normals)), left, 0.0)
    return out


def _fewest_columns(A: Array) -> Array:
    """(n, rank) with the same A A'."""
    U, size, _ = np.linalg.svd(A, full_matrices=False)
    keep = size > np.finfo(float).eps * size[0]
    keep[0] = True
    return U[:, keep] * size[keep]
