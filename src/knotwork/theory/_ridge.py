"""Penalised least loss over given features, for every loss: Newton's method, column by column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..losses import Loss, Multinomial, PerTask, Quantile, SmoothedQuantile

Array = NDArray[np.float64]
_MAX_STEPS = 200
_LEAST_DAMPING = 1e-8
_MULTIPLIER_STEPS = 60
_SMOOTHING = 1e-4


def ridge_fit(
    B: Array, U: Array, y: Array, weight: Array, loss: Loss, lam: float
) -> tuple[Array, Array, Array]:
    """(Z, Theta, alpha) of least sum w l(y, B Z + U Theta) + lam |Z|_F^2 / 2; at lam = 0 of least
    |Z|_F^2 / 2 subject to B Z + U Theta = y.

    B : (n, p) features that cost.  U : (n, q) features that are free.  y, weight : (n, T), anything
    where the weight is 0.  alpha : (n, T) with Z = B' alpha and U' alpha = 0 (the representer
    theorem). What the labels leave open of the free features takes minimum norm, each
    feature measured in its largest value.

    Raises
    ------
    ValueError : at lam = 0, for labels that the features cannot meet (the column is named).
    """
    n_tasks = y.shape[1]
    fill = 1.0 / n_tasks if isinstance(loss, Multinomial) else 0.0
    y = np.where(weight > 0, y, fill)
    Z, Theta = np.zeros((B.shape[1], n_tasks)), np.zeros((U.shape[1], n_tasks))
    alpha = np.zeros_like(y)
    together = isinstance(loss, Multinomial)
    for group in [np.arange(n_tasks)] if together else np.arange(n_tasks)[:, None]:
        rows = weight[:, group[0]] > 0
        w, labels = weight[np.ix_(rows, group)], y[np.ix_(rows, group)]
        frame = _determined(U[rows])
        own = loss.of_tasks(np.isin(np.arange(n_tasks), group))
        if lam == 0:
            beta, dual = _interpolate(B[rows], U[rows] @ frame, labels, int(group[0]))
        else:
            D = np.hstack([B[rows], U[rows] @ frame])
            ridge = np.concatenate([np.full(B.shape[1], lam), np.zeros(frame.shape[1])])
            beta, dual = _least_loss(D, ridge, labels, w, own)
            dual /= lam
        Z[:, group], Theta[:, group] = beta[: B.shape[1]], frame @ beta[B.shape[1] :]
        alpha[np.ix_(rows, group)] = dual
    return Z, Theta, alpha


def _determined(U: Array) -> Array:
    """(q, r) an inverse on its range: U @ it has orthonormal columns."""
    if U.shape[1] == 0:
        return np.zeros((0, 0))
    size = np.abs(U).max(axis=0, initial=0.0)
    size[size == 0] = 1.0
    _, s, Vt = np.linalg.svd(U / size, full_matrices=False)
    rank = int(np.sum(s > 1e-12 * s.max(initial=0.0)))
    return (Vt[:rank].T / s[:rank]) / size[:, None]


def _interpolate(B: Array, U: Array, y: Array, task: int) -> tuple[Array, Array]:
    # U has orthonormal columns; labels off the free features are met by B alone
    full: Array = np.linalg.svd(U, full_matrices=True)[0]
    off = full[:, U.shape[1] :]
    left, s, Vt = np.linalg.svd(off.T @ B, full_matrices=False)
    rank = int(np.sum(s > 1e-12 * s.max(initial=0.0)))
    target = left[:, :rank].T @ (off.T @ y)
    Z = Vt[:rank].T @ (target / s[:rank, None])
    alpha = off @ (left[:, :rank] @ (target / s[:rank, None] ** 2))
    theta = U.T @ (y - B @ Z)
    miss = float(np.abs(y - B @ Z - U @ theta).max(initial=0.0))
    if miss > 1e-9 * float(np.abs(y).max(initial=0.0)):
        raise ValueError(
            f"lam: is 0, but the neurons at hand miss the labels of task {task} by {miss:.3g}; "
            "take lam > 0, or a network whose other tasks use more neurons"
        )
    return np.vstack([Z, theta]), alpha


def _least_loss(D: Array, ridge: Array, y: Array, w: Array, loss: Loss) -> tuple[Array, Array]:
    """(beta, -w l'(y, D beta)); for quantile losses a subgradient in its place."""
    zero = np.zeros((D.shape[1], y.shape[1]))
    if loss.smooth:
        beta = _newton(D, ridge, y, w, loss, zero)
        return beta, -w * loss.gradient(y, D @ beta)
    only = loss.losses[0] if isinstance(loss, PerTask) else loss
    assert isinstance(only, Quantile)
    # the method of multipliers: labels shifted by mu times the dual estimate
    spread = float(np.ptp(y)) or 1.0
    a, beta = np.zeros_like(y), zero
    mu = 0.1 * spread
    for _ in range(_MULTIPLIER_STEPS):
        smooth = SmoothedQuantile(only.tau, mu)
        shifted = y + mu * a
        before, beta = beta, _newton(D, ridge, shifted, w, smooth, beta)
        a = -smooth.gradient(shifted, D @ beta)
        if mu <= _SMOOTHING * spread and np.abs(D @ (beta - before)).max() <= 1e-13 * spread:
            break
        mu = max(0.2 * mu, _SMOOTHING * spread)
    return beta, w * a


def _newton(D: Array, ridge: Array, y: Array, w: Array, loss: Loss, beta: Array) -> Array:
    def value(b: Array) -> float:
        with np.errstate(over="ignore"):
            return float(np.sum(w * loss.value(y, D @ b))) + 0.5 * float(np.sum(ridge[:, None] * b * b))

    def slope(b: Array) -> Array:
        return D.T @ (w * loss.gradient(y, D @ b)) + ridge[:, None] * b

    now, g = value(beta), slope(beta)
    # losses of probabilities have a scale of their own, at which a minimum far away is reached
    least = 0.0 if loss.interpolates else 1e-30 * float(np.sum(w))
    floor = _LEAST_DAMPING if y.shape[1] > 1 else 0.0
    damping = floor
    for _ in range(_MAX_STEPS):
        try:
            step = -_solve(_hessian(D, ridge, y, D @ beta, w, loss, damping), g)
        except np.linalg.LinAlgError:
            damping = max(10.0 * damping, _LEAST_DAMPING)
            continue
        decrease = -float(np.sum(step * g))
        if not decrease > least:
            break
        if decrease <= 1e-12 * now:
            # the objective no longer tells, the gradient does
            g_next = slope(beta + step)
            if not np.linalg.norm(g_next) < 0.5 * np.linalg.norm(g):
                break
            beta, g = beta + step, g_next
            now = value(beta)
            continue
        share = 1.0
        while (trial := value(beta + share * step)) > now - 1e-4 * share * decrease and share > 0.1:
            share *= 0.5
        if trial > now - 1e-4 * share * decrease:
            damping = max(10.0 * damping, _LEAST_DAMPING)
            continue
        beta, now = beta + share * step, trial
        g = slope(beta)
        if share == 1.0:
            damping = max(floor, 0.1 * damping if damping > _LEAST_DAMPING else 0.0)
    return beta


def _hessian(D: Array, ridge: Array, y: Array, f: Array, w: Array, loss: Loss, damping: float) -> Array:
    n_tasks, size = y.shape[1], D.shape[1]
    if n_tasks == 1:
        h = w * (loss.curvature(y, f) + damping * loss.curvature_bound(y, f))
        return D.T @ (h * D) + np.diag(ridge)
    # classes: the derivative of the softmax p, tasks outermost
    p = y + loss.gradient(y, f)
    blocks = -np.einsum("np,nt,ns,nq->tpsq", D, w * p, p, D, optimize=True)
    own = np.einsum("np,nt,nq->tpq", D, w * (p * (1.0 + damping) + 1e-30), D, optimize=True) + np.diag(ridge)
    blocks[np.arange(n_tasks), :, np.arange(n_tasks)] += own
    return blocks.reshape(n_tasks * size, -1)


def _solve(H: Array, g: Array) -> Array:
    scale = np.sqrt(np.diag(H))
    if not np.all(scale > 0):
        raise np.linalg.LinAlgError("a direction without curvature")
    flat = g.T.ravel()
    factor = cho_factor(H / np.outer(scale, scale))
    return (cho_solve(factor, flat / scale) / scale).reshape(g.shape[1], -1).T
