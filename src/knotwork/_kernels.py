"""The loops that NumPy cannot fuse, compiled by Numba; import this file only where they are needed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Moments = tuple[Array, Array, Array, Array, Array]
# sums over tasks may be taken in any order; NaN and infinity keep their meaning
_MATHS = {"reassoc", "contract"}


@njit(cache=True, fastmath=_MATHS, error_model="numpy")
def potential(
    x: Array,
    y: Array,
    w: Array,
    start: NDArray[np.intp],
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
    start: NDArray[np.intp],
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
    weight, mean_x, sxx = np.zeros(by_pattern), np.zeros(by_pattern), np.zeros(by_pattern)
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
