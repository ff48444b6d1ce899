"""The loops that NumPy cannot fuse, compiled by Numba; import this file only where they are needed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Moments = tuple[Array, Array, Array, Array, Array]
# sums over tasks may be taken in any order; NaN and infinity keep their meaning
_MATHS = {"reassoc", "contract"}
_RUN = 32
_ON_KINK, _DEPENDENT, _LEVEL, _ENOUGH = 1e-10, 1e-9, 1e-14, 1e-12


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def potential(
    x: Array,
    y: Array,
    w: Array,
    start: Index,
    value: Array,
    slope: Array,
    p: Array,
    norms: Array,
) -> tuple[float, Array, Array]:
    """p (N, T) and |p| (N,), filled in, of the residual alpha = w (y - f) in one pass over
    increasing x (N,): p_j = sum over i < j of alpha_i (x_j - x_i).

    f is value[k] + slope[k] (x - x[start[k]]) from the point start[k] to the next; w is (N, 1) or
    (N, T). Returns sum alpha^2 / w, sum alpha (T,), and sum alpha_i (x_N - x_i) (T,).
    """
    n, n_tasks = y.shape
    total, rise, square = np.zeros(n_tasks), np.zeros(n_tasks), 0.0
    own = w.shape[1] > 1
    for k in range(len(start)):
        first = start[k]
        end = start[k + 1] if k + 1 < len(start) else n
        for i in range(first, end):
            step = x[i] - x[i - 1] if i > 0 else 0.0
            offset = x[i] - x[first]
            size = 0.0
            if own:
                for t in range(n_tasks):
                    rise[t] += total[t] * step
                    p[i, t] = rise[t]
                    size += rise[t] * rise[t]
                    error = y[i, t] - value[k, t] - slope[k, t] * offset
                    alpha = w[i, t] * error
                    total[t] += alpha
                    square += alpha * error
            else:
                shared = w[i, 0]
                for t in range(n_tasks):
                    rise[t] += total[t] * step
                    p[i, t] = rise[t]
                    size += rise[t] * rise[t]
                    error = y[i, t] - value[k, t] - slope[k, t] * offset
                    alpha = shared * error
                    total[t] += alpha
                    square += alpha * error
            norms[i] = np.sqrt(size)
    return square, total, rise


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def extended_norms(now: Array, before: Array, ahead: float, norms: Array) -> None:
    """|now + ahead (now - before)| of the rows (N, T), filled in."""
    for i in range(len(now)):
        size = 0.0
        for t in range(now.shape[1]):
            one = now[i, t] + ahead * (now[i, t] - before[i, t])
            size += one * one
        norms[i] = np.sqrt(size)


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def segment_moments(
    x: Array,
    y: Array,
    w: Array,
    start: Index,
    size: int,
    blocks: Moments,
) -> Moments:
    """Of the runs of points that begin at `start` (S,): weight (S, P), mean of x - x[0] (S, P), mean
    label (S, T), and the centred sums sxx (S, P), sxy (S, T); w is (N, P).

    Blocks of `size` points whose moments are known (`block_moments`) are added up whole, by the
    parallel-variance formulas (Chan, Golub, LeVeque 1983), which cancel no digits.
    """
    n, n_tasks = y.shape
    n_runs, n_patterns = len(start), w.shape[1]
    by_pattern, by_task = (n_runs, n_patterns), (n_runs, n_tasks)
    weight, mean_x, sxx = (
        np.zeros(by_pattern),
        np.zeros(by_pattern),
        np.zeros(by_pattern),
    )
    mean_y, sxy = np.zeros(by_task), np.zeros(by_task)
    block_weight, block_x, block_y, block_xx, block_xy = blocks
    n_blocks = len(block_weight)
    for k in range(n_runs):
        first = start[k]
        end = start[k + 1] if k + 1 < n_runs else n
        origin = x[first] - x[0]
        i = first
        while i < end:
            b = i // size
            whole = b < n_blocks and b * size == i and i + size <= end
            for t in range(n_tasks):
                q = t if n_patterns > 1 else 0
                if whole:
                    mean_y[k, t] += block_weight[b, q] * block_y[b, t]
                else:
                    mean_y[k, t] += w[i, q] * y[i, t]
            for q in range(n_patterns):
                if whole:
                    weight[k, q] += block_weight[b, q]
                    mean_x[k, q] += block_weight[b, q] * (block_x[b, q] - origin)
                else:
                    weight[k, q] += w[i, q]
                    mean_x[k, q] += w[i, q] * (x[i] - x[first])
            i += size if whole else 1
        for q in range(n_patterns):
            if weight[k, q] > 0.0:
                mean_x[k, q] /= weight[k, q]
        for t in range(n_tasks):
            total = weight[k, t if n_patterns > 1 else 0]
            if total > 0.0:
                mean_y[k, t] /= total
        i = first
        while i < end:
            b = i // size
            whole = b < n_blocks and b * size == i and i + size <= end
            for t in range(n_tasks):
                q = t if n_patterns > 1 else 0
                if whole:
                    away = block_x[b, q] - origin - mean_x[k, q]
                    sxy[k, t] += block_xy[b, t] + block_weight[b, q] * away * (block_y[b, t] - mean_y[k, t])
                else:
                    away = x[i] - x[first] - mean_x[k, q]
                    sxy[k, t] += w[i, q] * away * (y[i, t] - mean_y[k, t])
            for q in range(n_patterns):
                if whole:
                    away = block_x[b, q] - origin - mean_x[k, q]
                    sxx[k, q] += block_xx[b, q] + block_weight[b, q] * away * away
                else:
                    away = x[i] - x[first] - mean_x[k, q]
                    sxx[k, q] += w[i, q] * away * away
            i += size if whole else 1
        for q in range(n_patterns):
            mean_x[k, q] += origin
    return weight, mean_x, mean_y, sxx, sxy


def block_moments(x: Array, y: Array, w: Array, size: int) -> Moments:
    """`segment_moments` of blocks of `size` points."""
    n = len(x) // size * size
    none, tasks = np.zeros((0, w.shape[1])), np.zeros((0, y.shape[1]))
    start = np.arange(0, n, size)
    return segment_moments(x[:n], y[:n], w[:n], start, len(x) + 1, (none, none, tasks, none, tasks))


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def climb(X: Array, alpha: Array, u: Array, anchored: bool, even: bool, moves: int) -> tuple[Index, Array]:
    """Moves weights u (S, m), |u| = 1, to where |sum_i alpha_i relu(u.(x_i - a))| is larger; returns which
    datum a is (S,) and the responses reached (S,).

    A move goes to the best of the circle through u and the gradient: it crosses cells and never goes
    down. Where there is none, the data on the kink stay there in the next: across it the response may fall.

    X : (m, N).  alpha : (T, N).
    anchored : a is the best there is, which is a datum where the sum of alpha is 0; else a = 0.
    even : u and -u respond alike.
    """
    m, n = X.shape
    anchor, values = np.zeros(len(u), dtype=np.intp), np.full(len(u), -np.inf)
    z, other, pull, kink = np.empty(n), np.empty(n), np.empty(n), np.empty(n, dtype=np.bool_)
    by_height, by_angle = np.arange(n), np.arange(n)
    at, tangent, turned, fixed = np.zeros(m), np.empty(m), np.empty(m), np.empty((m, m))
    for k in range(len(u)):
        now = u[k]
        if anchored:
            anchor[k] = _best_anchor(X, alpha, now, z, by_height)
        left, on_kink, failed = moves, False, 0
        while left > 0 and failed < 2:
            if anchored:
                at[:] = X[:, anchor[k]]
            _heights(X, now, at, z)
            for c in range(m):
                fixed[0, c] = now[c]
            n_fixed = _hold_kink(X, at, anchored, z, kink, fixed) if on_kink else 1
            failed += 1
            values[k] = max(values[k], _respond(z, alpha, pull))
            if n_fixed > 0 and _gradient(X, z, pull, at, fixed[:n_fixed], tangent):
                _heights(X, tangent, at, other)
                if on_kink:
                    other[kink] = 0.0
                along, across = _best_turn(z, other, alpha, by_angle, even)
                for c in range(m):
                    turned[c] = along * now[c] + across * tangent[c]
                _normalise(turned)
                there = _best_anchor(X, alpha, turned, z, by_height) if anchored else 0
                if anchored:
                    at[:] = X[:, there]
                _heights(X, turned, at, z)
                value = _respond(z, alpha, pull)
                if value > values[k] * (1.0 + _ENOUGH):
                    now[:], anchor[k], values[k] = turned, there, value
                    left, failed = left - 1, 0
            if failed > 0:
                on_kink = not on_kink
    return anchor, values


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _heights(X: Array, u: Array, at: Array, z: Array) -> None:
    """u.(x_i - at), filled in."""
    z[:] = 0.0
    for c in range(len(u)):
        for i in range(len(z)):
            z[i] += (X[c, i] - at[c]) * u[c]


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _normalise(u: Array) -> float:
    """u made of length 1 where it has a length, which is returned."""
    size = np.sqrt(np.sum(u * u))
    if size > 0.0:
        u /= size
    return size


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _leave(u: Array, direction: Array) -> None:
    """u without its part along a unit direction."""
    along = 0.0
    for c in range(len(u)):
        along += u[c] * direction[c]
    u -= along * direction


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _respond(z: Array, alpha: Array, pull: Array) -> float:
    """|r| of r = sum_i alpha_i relu(z_i); alpha_i.r (N,) is filled in."""
    square = 0.0
    pull[:] = 0.0
    for t in range(len(alpha)):
        r = 0.0
        for i in range(len(z)):
            r += alpha[t, i] * max(z[i], 0.0)
        for i in range(len(z)):
            pull[i] += alpha[t, i] * r
        square += r * r
    return np.sqrt(square)


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _gradient(X: Array, z: Array, pull: Array, at: Array, fixed: Array, tangent: Array) -> bool:
    """Fills in the unit gradient of the response across orthonormal `fixed` (k, m); false without one."""
    for c in range(len(at)):
        total = 0.0
        for i in range(len(z)):
            total += (pull[i] if z[i] > 0.0 else 0.0) * (X[c, i] - at[c])
        tangent[c] = total
    if _normalise(tangent) == 0.0:
        # nothing responds here: away
        tangent[np.argmin(np.abs(fixed[0]))] = 1.0
    for _ in range(2):
        for k in range(len(fixed)):
            _leave(tangent, fixed[k])
    return _normalise(tangent) > _LEVEL


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _hold_kink(X: Array, at: Array, anchored: bool, z: Array, kink: NDArray[np.bool_], fixed: Array) -> int:
    """Marks the data on the kink of u = fixed[0], whose heights become 0. Fills `fixed` with an orthonormal
    basis of u and of these data about `at`, and says its size; 0 where there are none but the anchor."""
    m, n = X.shape
    rank = 1
    for i in range(n):
        scale = 0.0
        for c in range(m):
            scale += (abs(X[c, i]) + abs(at[c])) * abs(fixed[0, c])
        kink[i] = abs(z[i]) <= _ON_KINK * scale
        if kink[i]:
            z[i] = 0.0
        if kink[i] and rank < m:
            row = fixed[rank]
            for c in range(m):
                row[c] = X[c, i] - at[c]
            _normalise(row)
            for _ in range(2):
                for k in range(rank):
                    _leave(row, fixed[k])
            if _normalise(row) > _DEPENDENT:
                rank += 1
    return rank if np.sum(kink) > (1 if anchored else 0) else 0


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _sort(key: Array, order: Index) -> None:
    """Puts any order of the keys into increasing order: runs by insertion, then merged."""
    n, width = len(key), _RUN
    for i in range(n):
        one, k = order[i], i
        while k % width > 0 and key[order[k - 1]] > key[one]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = one
    while width < n:
        before = order.copy()
        for first in range(0, n, 2 * width):
            middle, end = min(first + width, n), min(first + 2 * width, n)
            i, j = first, middle
            for k in range(first, end):
                if i < middle and (j == end or key[before[i]] <= key[before[j]]):
                    order[k] = before[i]
                    i += 1
                else:
                    order[k] = before[j]
                    j += 1
        width *= 2


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _best_anchor(X: Array, alpha: Array, u: Array, z: Array, order: Index) -> int:
    """The datum at which u responds most with its kink: between data the response is convex in the bias."""
    _heights(X, u, np.zeros(len(u)), z)
    _sort(z, order)
    square = np.zeros(len(z))
    for t in range(len(alpha)):
        total, answer = 0.0, 0.0
        for k in range(len(z) - 1, 0, -1):
            total += alpha[t, order[k]]
            answer += total * (z[order[k]] - z[order[k - 1]])
            square[k - 1] += answer * answer
    return order[np.argmax(square)]


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def _best_turn(z: Array, other: Array, alpha: Array, order: Index, even: bool) -> tuple[float, float]:
    """(c, s) on the unit circle of largest |sum_i alpha_i relu(c z_i + s other_i)|; where `even`, (c, s) and
    (-c, -s) respond alike.

    Half a turn meets every line c z_i + s other_i = 0 once. What is not active on an arc is on the opposite.
    """
    n = len(z)
    x, y, place, leaves = np.empty(n + 1), np.empty(n + 1), np.empty(n), np.empty(n)
    for i in range(n):
        size = np.sqrt(z[i] * z[i] + other[i] * other[i])
        c, s = (-other[i] / size, z[i] / size) if size > 0.0 else (1.0, 0.0)
        leaves[i] = 1.0 if s > 0.0 or (s == 0.0 and c > 0.0) else -1.0
        x[i], y[i] = leaves[i] * c, leaves[i] * s
        # increasing with the angle of the line
        place[i] = -x[i] / (abs(x[i]) + y[i])
    _sort(place, order)
    x[:n], y[:n] = x[order], y[order]
    x[n], y[n] = -x[0], -y[0]
    best, best_c, best_s = -1.0, 1.0, 0.0
    for side in range(1 if even else 2):
        pp, pq, qq = np.zeros(n), np.zeros(n), np.zeros(n)
        for t in range(len(alpha)):
            p, q = 0.0, 0.0
            for i in range(n):
                # active at the start, or on the other side not
                if (leaves[i] > 0.0) == (side == 0):
                    p += z[i] * alpha[t, i]
                    q += other[i] * alpha[t, i]
            for k in range(n):
                i = order[k]
                change = (2.0 * side - 1.0) * leaves[i] * alpha[t, i]
                p += change * z[i]
                q += change * other[i]
                pp[k] += p * p
                pq[k] += p * q
                qq[k] += q * q
        turn = 1.0 - 2.0 * side
        for k in range(n):
            value = x[k] * x[k] * pp[k] + 2.0 * x[k] * y[k] * pq[k] + y[k] * y[k] * qq[k]
            if value > best:
                best, best_c, best_s = value, turn * x[k], turn * y[k]
        for k in range(n):
            apart = pp[k] - qq[k]
            value = 0.5 * (pp[k] + qq[k] + np.sqrt(apart * apart + 4.0 * pq[k] * pq[k]))
            if value <= best:
                continue
            angle = 0.5 * np.arctan2(2.0 * pq[k], apart)
            c, s = np.cos(angle), np.sin(angle)
            if x[k] * s < y[k] * c:
                c, s = -c, -s
            # inside its arc, which is less than half a turn
            if c * y[k + 1] >= s * x[k + 1]:
                best, best_c, best_s = value, turn * c, turn * s
    return best_c, best_s
