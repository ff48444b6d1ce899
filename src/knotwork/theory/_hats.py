"""What labels on a grid say of a function of one output and of the bends between them.

A function that passes through given labels at g_1 < ... < g_m has, by the hat functions H_k of that
grid, int H_k df' = the slope change of its labels at g_k, k = 2..m-1; and any measure df' with these
moments belongs to one such function. Between neighbouring inputs hats are straight, so a mass there
acts like two at the inputs beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


def through(grid: Array, values: Array, at: Array) -> Array:
    """Connect the dots, with straight ends."""
    cell = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(grid) - 2)
    share = (at - grid[cell]) / (grid[cell + 1] - grid[cell])
    return (1.0 - share) * values[cell] + share * values[cell + 1]


def hats(grid: Array, s: Array) -> Array:
    """(m - 2, k) the hat functions of the inner points of `grid` (m,) at the places s (k,)."""
    out = np.zeros((len(grid), len(s)))
    if len(grid) < 3:
        return out[:0]
    cell = np.clip(np.searchsorted(grid, s, side="right") - 1, 0, len(grid) - 2)
    share = (s - grid[cell]) / (grid[cell + 1] - grid[cell])
    inside = (s >= grid[0]) & (s <= grid[-1])
    out[cell, np.arange(len(s))] = np.where(inside, 1.0 - share, 0.0)
    out[cell + 1, np.arange(len(s))] = np.where(inside, share, 0.0)
    return out[1:-1]


def response(grid: Array, x: Array, s: Array) -> Array:
    """(n, k) what a unit jump of slope at s_k adds at x_i to the function of one output whose values
    on `grid` (m,) stay: a sag between grid points, a straight line outside them."""
    out = np.zeros((len(x), len(s)))
    if len(grid) < 2:
        return out
    cell = np.clip(np.searchsorted(grid, s, side="right") - 1, 0, len(grid) - 2)
    low, high = grid[cell], grid[cell + 1]
    inside = (s > low) & (s < high)
    left, right = np.minimum(x[:, None], s), np.maximum(x[:, None], s)
    sag = -(left - low) * (high - right) / (high - low)
    out = np.where(inside & (x[:, None] > low) & (x[:, None] < high), sag, 0.0)
    before, after = inside & (cell == 0), inside & (cell == len(grid) - 2)
    out += np.where(before, (high - s) / (high - low), 0.0) * np.maximum(grid[0] - x, 0.0)[:, None]
    out += np.where(after, (s - low) / (high - low), 0.0) * np.maximum(x - grid[-1], 0.0)[:, None]
    return out


def moments(x: Array, seen: Mask, knot: Index, direction: Array) -> Array:
    """(rows, k): row (t, h) holds the hat h of task t's labels at the knots, times direction_kt."""
    blocks = [hats(x[seen[:, t]], x[knot]) * direction[:, t] for t in range(seen.shape[1])]
    rows = np.vstack(blocks)
    return rows[np.any(rows != 0.0, axis=1)]


def may_bend(x: Array, seen: Mask, knot: Index) -> Mask:
    """(k, T) whether the knot lies strictly among the labels of the task, where alone it can pay."""
    out = np.zeros((len(knot), seen.shape[1]), dtype=bool)
    for t in range(seen.shape[1]):
        grid = x[seen[:, t]]
        out[:, t] = (x[knot] > grid[0]) & (x[knot] < grid[-1])
    return out
