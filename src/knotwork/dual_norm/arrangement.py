"""The largest response over the circle or the sphere: sweeps over an arrangement of lines or planes.

Maximise h(u) = |sum_j a_j (z_j . u)_+| over unit u in R^2 or R^3. Between the places where some
z_j . u = 0 the response is linear in u, so that a maximiser is a leading eigenvector of a cell,
of an edge between cells, or a vertex. Circles are swept in angular order with cumulative sums; on the
sphere every edge lies on the great circle of one z_j, and every cell has an edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._clock import heed

Array = NDArray[np.float64]
_WORK = 1 << 22
_GENERIC = np.array([0.8414709848, 0.3090169944, 0.1123595506])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Unit vectors u (K, m), and the responses h(u) that they attain (K,)."""

    u: Array
    values: Array

    @property
    def largest(self) -> float:
        return float(self.values.max(initial=0.0))

    def best(self, floor: float, n: int) -> Candidates:
        """The `n` highest above `floor`."""
        order = np.argsort(-self.values, kind="stable")
        order = order[self.values[order] > floor][:n]
        return Candidates(self.u[order], self.values[order])


def merge_parallel(Z: Array, A: Array) -> tuple[Array, Array, Array]:
    """(normals (C, m) of unit length, weights (C, r), linear (m, r)) with the same response:
    sum_c weights_c (normals_c . u)_+ + linear' u. No two normals are parallel, none is zero."""
    size = np.sqrt(np.einsum("jm,jm->j", Z, Z))
    keep = size > 0
    unit, A = Z[keep] / size[keep, None], A[keep] * size[keep, None]
    if len(unit) == 0:
        return unit, A, np.zeros((Z.shape[1], A.shape[1]))
    # the first entry that is not rounding is positive, so that opposite directions meet
    clear = np.abs(unit) > 1e-9
    first = unit[np.arange(len(unit)), np.argmax(clear, axis=1)]
    sign = np.where(first < 0, -1.0, 1.0)
    turned = unit * sign[:, None]
    _, index, which = np.unique(np.round(turned, 12) + 0.0, axis=0, return_index=True, return_inverse=True)
    which = which.ravel()
    weights = np.zeros((len(index), A.shape[1]))
    np.add.at(weights, which, A)
    against = sign < 0
    # a (-n.u)_+ = a (n.u)_+ - a n.u
    linear = -turned[against].T @ A[against]
    return turned[index], weights, linear


def response(Z: Array, A: Array, u: Array) -> Array:
    """(K,) h(u) of rows u (K, m)."""
    out = np.empty(len(u))
    step = max(1, _WORK // max(1, len(Z)))
    for low in range(0, len(u), step):
        hidden = np.maximum(u[low : low + step] @ Z.T, 0.0)
        out[low : low + step] = np.sqrt(np.sum((hidden @ A) ** 2, axis=1))
    return out


def circle_candidates(Z: Array, A: Array, linear: Array) -> tuple[Array, Array]:
    """The best u of every arc of B circles: u (B, E, 2) and its response (B, E), E = 2 M arcs each.

    Z : (B, M, 2) or (M, 2) for each circle.  A : (M, r).  linear : (B, 2, r) added to the response.
    """
    sums, start, stop = _sweep(Z, A[None] if A.ndim == 2 else A, Z)
    sums += linear[:, None]
    return _best_of_arcs(sums, start, stop)


def _sweep(Z: Array, A: Array, carried: Array) -> tuple[Array, Array, Array]:
    """Between consecutive events of each circle: sum over the active j of carried_j a_j' (B, E, m, r),
    and the angles at which each arc starts and stops (B, E)."""
    B, M, _ = Z.shape
    angle = np.arctan2(Z[..., 1], Z[..., 0])
    enter = _wrapped(angle - 0.5 * np.pi)
    leave = _wrapped(angle + 0.5 * np.pi)
    events = np.concatenate([enter, leave], axis=1)
    order = np.argsort(events, axis=1, kind="stable")
    place = np.take_along_axis(events, order, axis=1)
    products = carried[..., :, None] * A[:, :, None, :]
    products = np.broadcast_to(products, (B, M, *products.shape[2:])).reshape(B, M, -1)
    # what is left before it is entered was active from the start; by order, not by angle, for ties
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(2 * M), order.shape), axis=1)
    at_start = rank[:, M:] < rank[:, :M]
    first = np.einsum("bm,bmk->bk", at_start.astype(np.float64), products)
    change = np.concatenate([products, -products], axis=1)
    change = np.take_along_axis(change, order[..., None], axis=1)
    sums = first[:, None] + np.cumsum(change, axis=1)
    stop = np.concatenate([place[:, 1:], place[:, :1] + 2.0 * np.pi], axis=1)
    return sums.reshape(B, 2 * M, carried.shape[-1], -1), place, stop


def _wrapped(angle: Array) -> Array:
    return np.where(angle >= np.pi, angle - 2.0 * np.pi, np.where(angle < -np.pi, angle + 2.0 * np.pi, angle))


def _best_of_arcs(sums: Array, start: Array, stop: Array) -> tuple[Array, Array]:
    """sums (B, E, 2, r): the maximiser of |sums' u| on each arc, and the maximum."""
    p, q = sums[..., 0, :], sums[..., 1, :]
    pp, pq, qq = np.sum(p * p, -1), np.sum(p * q, -1), np.sum(q * q, -1)
    top = 0.5 * np.arctan2(2.0 * pq, pp - qq)
    # an eigenvector has two signs: the first of them that is not before the start
    top = start + np.mod(top - start, np.pi)

    def square(theta: Array) -> Array:
        c, s = np.cos(theta), np.sin(theta)
        return np.maximum(c * c * pp + 2.0 * c * s * pq + s * s * qq, 0.0)

    best, value = start, square(start)
    for theta, allowed in ((stop, True), (top, top <= stop)):
        here = square(theta)
        better = (here > value) & allowed
        best, value = np.where(better, theta, best), np.where(better, here, value)
    return np.stack([np.cos(best), np.sin(best)], axis=-1), np.sqrt(value)


def circle(Z: Array, A: Array) -> Candidates:
    """Every local best of the circle, m = 2."""
    normals, weights, linear = merge_parallel(Z, A)
    if len(normals) == 0:
        return Candidates(np.zeros((0, 2)), np.zeros(0))
    u, values = circle_candidates(normals[None], weights, linear[None])
    return Candidates(u[0], values[0])


def sphere(Z: Array, A: Array, floor: float = 0.0) -> Candidates:
    """Every local best of the sphere above `floor`, m = 3: edges and vertices by sweeping the great
    circles, cells by the eigenvectors of those whose trace allows more than the edges reach."""
    normals, weights, linear = merge_parallel(Z, A)
    M, r = weights.shape
    if M == 0:
        return Candidates(np.zeros((0, 3)), np.zeros(0))
    first, second = _planes(normals)
    found_u, found_value = [], []
    step = max(1, _WORK // max(1, 6 * M * r))
    best = floor
    for low in range(0, M, step):
        heed()
        part = slice(low, min(low + step, M))
        basis = np.stack([first[part], second[part]], axis=-1)
        inside = np.einsum("mk,bki->bmi", normals, basis)
        own = np.arange(part.start, part.stop)
        # on its own circle a plane's normal vanishes: rounding must not give it an angle
        inside[np.arange(len(own)), own] = 0.0
        carried = np.repeat(normals[None], len(own), axis=0)
        carried[np.arange(len(own)), own] = 0.0
        sums, start, stop = _sweep(inside, weights[None], carried)
        sums += linear
        flat = np.einsum("beki,bkj->beji", sums, basis)
        theta, value = _best_of_arcs(flat, start, stop)
        u: Array = np.einsum("bej,bkj->bek", theta, basis)
        found_u.append(u.reshape(-1, 3))
        found_value.append(value.ravel())
        best = max(best, float(value.max(initial=0.0)))
        for with_own in (False, True):
            heed()
            cells = sums + (normals[own, :, None] * weights[own, None, :])[:, None] if with_own else sums
            gram = np.einsum("beki,beli->bekl", cells, cells).reshape(-1, 3, 3)
            trace = gram[:, 0, 0] + gram[:, 1, 1] + gram[:, 2, 2]
            gram = gram[trace > best * best]
            if len(gram) == 0:
                continue
            values, vectors = np.linalg.eigh(gram)
            above = values[:, 2] > best * best * (1.0 - 1e-12)
            tops = _distinct(vectors[above, :, 2])
            tops = np.concatenate([tops, -tops])
            attained = _value(normals, weights, linear, tops)
            found_u.append(tops)
            found_value.append(attained)
    return Candidates(np.concatenate(found_u), np.concatenate(found_value))


def _distinct(u: Array) -> Array:
    """Each line (K, 3) once: a cell is met at every one of its edges."""
    if len(u) == 0:
        return u
    u = u * np.where(u[np.arange(len(u)), np.argmax(np.abs(u), axis=1)] < 0, -1.0, 1.0)[:, None]
    key = np.round(u @ _GENERIC, 11)
    return u[np.unique(key, return_index=True)[1]]


def _planes(normals: Array) -> tuple[Array, Array]:
    """Two orthonormal vectors across each unit normal (M, 3)."""
    axis = np.zeros_like(normals)
    axis[np.arange(len(normals)), np.argmin(np.abs(normals), axis=1)] = 1.0
    first = np.asarray(np.cross(normals, axis), dtype=np.float64)
    first /= np.linalg.norm(first, axis=1)[:, None]
    return first, np.asarray(np.cross(normals, first), dtype=np.float64)


def _value(normals: Array, weights: Array, linear: Array, u: Array) -> Array:
    out = np.empty(len(u))
    step = max(1, _WORK // max(1, len(normals)))
    for low in range(0, len(u), step):
        part = u[low : low + step]
        answer = np.maximum(part @ normals.T, 0.0) @ weights + part @ linear
        out[low : low + step] = np.sqrt(np.sum(answer * answer, axis=1))
    return out
