"""The loops that NumPy cannot fuse, compiled by Numba; import this file only where they are needed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
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
    x: Array, y: Array, w: Array, start: NDArray[np.intp]
) -> tuple[Array, Array, Array, Array, Array]:
    """Of the runs of points that begin at `start` (S,): weight (S, P), mean of x - x[0] (S, P), mean
    label (S, T), and the centred sums sxx (S, P), sxy (S, T); w is (N, P)."""
    n, n_tasks = y.shape
    n_runs, n_patterns = len(start), w.shape[1]
    weight, mean_x, sxx = (
        np.zeros((n_runs, n_patterns)),
        np.zeros((n_runs, n_patterns)),
        np.zeros((n_runs, n_patterns)),
    )
    mean_y, sxy = np.zeros((n_runs, n_tasks)), np.zeros((n_runs, n_tasks))
    for k in range(n_runs):
        first = start[k]
        end = start[k + 1] if k + 1 < n_runs else n
        for i in range(first, end):
            offset = x[i] - x[first]
            for q in range(n_patterns):
                weight[k, q] += w[i, q]
                mean_x[k, q] += w[i, q] * offset
            if n_patterns > 1:
                for t in range(n_tasks):
                    mean_y[k, t] += w[i, t] * y[i, t]
            else:
                shared = w[i, 0]
                for t in range(n_tasks):
                    mean_y[k, t] += shared * y[i, t]
        for q in range(n_patterns):
            if weight[k, q] > 0.0:
                mean_x[k, q] /= weight[k, q]
        for t in range(n_tasks):
            total = weight[k, t if n_patterns > 1 else 0]
            if total > 0.0:
                mean_y[k, t] /= total
        for i in range(first, end):
            offset = x[i] - x[first]
            for q in range(n_patterns):
                away = offset - mean_x[k, q]
                sxx[k, q] += w[i, q] * away * away
            if n_patterns > 1:
                for t in range(n_tasks):
                    sxy[k, t] += w[i, t] * (offset - mean_x[k, t]) * (y[i, t] - mean_y[k, t])
            else:
                pull = w[i, 0] * (offset - mean_x[k, 0])
                for t in range(n_tasks):
                    sxy[k, t] += pull * (y[i, t] - mean_y[k, t])
        for q in range(n_patterns):
            mean_x[k, q] += x[first] - x[0]
    return weight, mean_x, mean_y, sxx, sxy
