"""Oracles of the sparse-group penalty: conic programmes, dense formulas, what a dual point proves."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
from references import (
    CLARABEL,
    dense_dual_value,
    dense_loss,
    dense_potential,
    dense_predict,
    label_weights,
    project_off_lines,
)

import knotwork as kw


def conic_sparse_group(data, lam, lam_private, knots=None, forced=(), up=None, down=None, direction=None):
    """The optimum with hinges at `knots` (all inputs by default) and free ones at `forced`, and V; slopes
    of the sign of `direction` (T,) where it is not 0."""
    X, Y, weight = data
    w, n_tasks = label_weights(Y, weight), Y.shape[1]
    knots = np.unique(X)[1:-1] if knots is None else np.asarray(knots)
    hinges = np.maximum(X[:, None] - knots, 0.0)
    free = np.column_stack([np.ones_like(X), X, *(np.maximum(X - place, 0.0) for place in forced)])
    V, C = cp.Variable((len(knots), n_tasks)), cp.Variable((free.shape[1], n_tasks))
    residual = cp.multiply(np.sqrt(w), np.where(w > 0, Y, 0.0) - hinges @ V - free @ C)
    cost = 0.5 * cp.sum_squares(residual) + lam_private * cp.sum(cp.abs(V))
    cost += lam * cp.sum(cp.norm(V, 2, axis=1))
    signs = [V[:, t] <= 0 for t in range(n_tasks) if up is not None and not up[t]]
    signs += [V[:, t] >= 0 for t in range(n_tasks) if down is not None and not down[t]]
    if direction is not None:
        x = np.unique(np.concatenate([X, knots, forced]))
        far = np.maximum(x[1:, None] - np.concatenate([knots, forced]), 0.0)
        near = np.maximum(x[:-1, None] - np.concatenate([knots, forced]), 0.0)
        steps = ((far - near) / np.diff(x)[:, None]).round(12)
        for t in np.flatnonzero(direction):
            signs.append(direction[t] * (C[1, t] + steps @ cp.hstack([V[:, t], C[2:, t]])) >= 0)
            signs.append(direction[t] * C[1, t] >= 0)
    problem = cp.Problem(cp.Minimize(cost), signs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL, **CLARABEL)
    return float(problem.value), knots, np.asarray(V.value)


def dense_objective(data, lam, lam_private, network, forced=()):
    """F term by term, knots at `forced` for nothing."""
    total = dense_loss(data.Y, dense_predict(network, data.X), data.weight)
    for w, b, v in zip(network.W[:, 0], network.b, network.V, strict=True):
        if not np.any(np.isclose(-b / w, forced, rtol=0, atol=1e-12)):
            total += abs(w) * (lam * np.linalg.norm(v) + lam_private * np.abs(v).sum())
    return total


def soft_norm(p, lam_private):
    return np.linalg.norm(np.maximum(np.abs(p) - lam_private, 0.0), axis=1)


def slopes_between(network, lowest=-1.0, highest=2.0):
    """(m, T) slopes of the network between its knots and beyond them, by its values."""
    location = network.knots.location
    x = np.concatenate([[min(lowest, *location, 0.0) - 1.0], location, [max(highest, *location, 0.0) + 1.0]])
    middle, reach = 0.5 * (x[1:] + x[:-1]), 0.25 * np.diff(x)
    rise = dense_predict(network, middle + reach) - dense_predict(network, middle - reach)
    return rise / (2.0 * reach)[:, None]


def problem_of(data, lam):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


def proven_bound(data, lam, lam_private, alpha, places=None):
    """What `alpha` proves: its dual value after it is checked to be off lines and feasible, on a fine
    grid of `places` and at all inputs."""
    weight = label_weights(data.Y, data.weight)
    size = np.abs(alpha).sum() + 1e-300
    assert not alpha[weight == 0].any()
    np.testing.assert_allclose(alpha, project_off_lines(data.X, alpha.copy(), weight), atol=1e-10 * size)
    if places is None:
        places = np.concatenate([data.X, np.linspace(data.X.min() - 0.5, data.X.max() + 0.5, 3001)])
    norms = soft_norm(dense_potential(data.X, alpha, places), lam_private)
    assert norms.max() <= lam * (1 + 1e-9)
    return dense_dual_value(data.Y, alpha, lam=1.0, weight=data.weight)
