"""Newton's method on near-optimal fits, so that directions are known to rounding, not to sqrt(gap)."""

from __future__ import annotations

import numpy as np

from ..dual_norm.knots import row_norms, slope_changes
from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem
from ..solvers.spline import connect_the_dots
from ._hats import Array, Index, Mask, hats, may_bend

MOST_UNKNOWNS = 1200
_STEPS = 12
_NO_BEND = 1e-7


def bends_of(network: ReLUNetwork, x: Array) -> Array | None:
    """(n - 2, T) the network's bends at the inner inputs; None if it bends elsewhere too."""
    location, jump = network.knots
    at = np.clip(np.searchsorted(x, location), 1, max(len(x) - 2, 1))
    if len(x) < 3 or not np.array_equal(x[at], location):
        return None
    out = np.zeros((len(x) - 2, network.n_tasks))
    out[at - 1] = jump
    return out


def polished_fit(problem: Problem, points: Points, network: ReLUNetwork) -> ReLUNetwork | None:
    """Newton's method on F over values at the ends and the knots of a near-optimal network, where no
    bend is 0; None where it leads nowhere or the knots are too many."""
    x, lam, loss = points.x, problem.lam, problem.loss_function
    squared = isinstance(problem.loss, Squared)
    if squared:
        rows, weight, y = x, points.weights(), points.y
    else:
        rows, weight, y = problem.X[:, 0], problem.label_weight(), problem.Y
    y = np.where(weight > 0, y, 0.0)
    change = bends_of(network, x)
    if change is None:
        return None
    n_tasks = y.shape[1]
    bends = row_norms(change)
    bends = bends > _NO_BEND * bends.max(initial=0.0)
    node = np.concatenate([[0], 1 + np.flatnonzero(bends), [len(x) - 1]])
    if len(node) * n_tasks > MOST_UNKNOWNS:
        return None
    values = network.predict(x[node])
    heights = np.array([np.interp(rows, x[node], row) for row in np.eye(len(node))]).T
    D = slope_changes(x[node], np.eye(len(node)))
    data = _data_hessian(heights, weight) if squared else np.zeros(0)
    moved, unit = np.inf, np.zeros_like(D @ values)
    for _ in range(_STEPS):
        u, f = D @ values, heights @ values
        size = row_norms(u)
        # a bend that turned round is none of the optimum
        if not (np.all(size > 0.0) and np.all(np.sum(u * unit, axis=1) >= 0.0)):
            return None
        unit = u / size[:, None]
        curvature = (np.eye(n_tasks) - unit[:, :, None] * unit[:, None, :]) / size[:, None, None]
        if not squared:
            data = _data_hessian(heights, weight * loss.curvature(y, f))
        hessian = data + lam * np.einsum("ka,kst,kb->asbt", D, curvature, D, optimize=True)
        gradient = heights.T @ (weight * loss.gradient(y, f)) + lam * D.T @ unit
        step = np.linalg.lstsq(hessian.reshape(gradient.size, -1), gradient.ravel(), rcond=1e-11)[0]
        last, moved = moved, float(np.abs(step).max())
        if not moved < last:
            break
        values = values - step.reshape(values.shape)
    return connect_the_dots(x[node], values)


def _data_hessian(heights: Array, weight: Array) -> Array:
    k, n_tasks = heights.shape[1], weight.shape[1]
    data = np.zeros((k, n_tasks, k, n_tasks))
    for t in range(n_tasks):
        data[:, t, :, t] = heights.T @ (weight[:, t, None] * heights)
    return data


def polished_jumps(x: Array, y: Array, seen: Mask, knot: Index, jump: Array) -> Array:
    """Newton's method for min sum_k |u_k| over jumps u (k, T) at the knots that keep the labels.

    Quadratic near an optimum in which no u_k is 0; what the labels leave open stays where it was.
    Returns the last jumps (k, T), checked by the caller.
    """
    free = may_bend(x, seen, knot)
    k, n_tasks = jump.shape
    size = float(row_norms(jump).mean())
    u = np.where(free, jump / size, 0.0)
    at = np.flatnonzero(free.ravel())
    blocks, labels = [], []
    for t in range(n_tasks):
        grid = x[seen[:, t]]
        heights = hats(grid, x[knot])
        held = np.any(heights != 0.0, axis=1)
        block = np.zeros((int(held.sum()), k, n_tasks))
        block[:, :, t] = heights[held]
        blocks.append(block.reshape(len(block), k * n_tasks)[:, at])
        if held.any():
            labels.append(slope_changes(grid, y[seen[:, t], t][:, None])[held, 0] / size)
    H, h = np.vstack(blocks), np.concatenate([np.zeros(0), *labels])
    best = np.inf
    for _ in range(_STEPS):
        norms = row_norms(u)
        if not np.all(norms > 0.0):
            break
        unit = u / norms[:, None]
        blocks_of_knots = (np.eye(n_tasks) - unit[:, :, None] * unit[:, None, :]) / norms[:, None, None]
        W = np.zeros((k, n_tasks, k, n_tasks))
        W[np.arange(k), :, np.arange(k), :] = blocks_of_knots
        W = W.reshape(k * n_tasks, -1)[np.ix_(at, at)]
        kkt = np.block([[W, H.T], [H, np.zeros((len(H), len(H)))]])
        right = np.concatenate([-unit.ravel()[at], h - H @ u.ravel()[at]])
        step = np.linalg.lstsq(kkt, right, rcond=1e-13)[0][: len(at)]
        change = np.zeros(k * n_tasks)
        change[at] = step
        u = u + change.reshape(k, n_tasks)
        moved = float(np.abs(step).max(initial=0.0))
        if moved <= 1e-15 or moved >= best:
            break
        best = moved
    return u * size
