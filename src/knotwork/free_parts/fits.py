"""The fit without neurons: the constant and linear parts of a network, for any loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from ..losses import Loss, Multinomial, PerTask, Quantile, SmoothedQuantile
from .nuclear import hessian, nuclear_fit

Array = NDArray[np.float64]
_MAX_STEPS = 200
_LEAST_DAMPING = 1e-6
_LARGEST = 1e6
_MULTIPLIER_STEPS = 40
_MOST_JOINED = 200


def least_squares(X: Array, Y: Array, weight: Array | None, linear: bool) -> tuple[Array, Array]:
    """(A, c) of least sum w (y - c - x A)^2; minimum norm in what the labels leave open.

    X : (N, d).  Y : (N, T) without gaps.  weight : (N,) or None.
    """
    w = np.ones(len(X)) if weight is None else weight
    keep = w > 0
    if not keep.all():
        X, Y, w = X[keep], Y[keep], w[keep]
    share = w / w.sum()
    x_mean, y_mean = share @ X, share @ Y
    A = np.zeros((X.shape[1], Y.shape[1]))
    if not linear:
        return A, y_mean
    centred = X - x_mean
    root = np.sqrt(w)[:, None]
    U, s, Vt = np.linalg.svd(centred * root, full_matrices=False)
    noise = 8.0 * np.finfo(float).eps * np.sqrt(w.sum()) * np.abs(X).max(initial=0.0)
    rank = int(np.sum(s > max(noise, np.finfo(float).eps * len(X) * s.max(initial=0.0))))
    # U is orthogonal to the weighted constant, so Y needs no centring (no copy of Y either)
    A = Vt[:rank].T @ (((U[:, :rank] * root).T @ Y) / s[:rank, None])
    null = _null_space(Vt[:rank], X.shape[1])
    g = x_mean @ null
    c = y_mean - x_mean @ A
    B = np.outer(g, c) / (1.0 + g @ g)
    return A + null @ B, c - g @ B


def _null_space(rows: Array, d: int) -> Array:
    if len(rows) == d:
        return np.zeros((d, 0))
    if len(rows) == 0:
        return np.eye(d)
    return np.linalg.svd(rows, full_matrices=True)[2][len(rows) :].T


def affine_fit(
    X: Array,
    Y: Array,
    weight: Array,
    loss: Loss,
    *,
    linear: bool,
    offset: Array | None = None,
    ridge_c: float = 0.0,
    ridge_A: float = 0.0,
    nuclear: float = 0.0,
) -> tuple[Array, Array]:
    """(A, c) of least sum w l(y, offset + c + x A) + ridge_c |c|^2/2 + ridge_A |A|_F^2/2 + nuclear |A|_*.

    X : (N, d).  Y, weight, offset : (N, T), anything where the weight
    is 0. A = 0 unless `linear`. Newton's method on the working least-squares problem of a
    smooth loss; where the minimum is not attained, a point from which it goes on for ever.
    """
    d, n_tasks = X.shape[1], Y.shape[1]
    f0 = np.zeros(Y.shape) if offset is None else offset
    seen = weight > 0
    y = np.where(seen, Y, 0.0) if not isinstance(loss, Multinomial) else np.where(seen, Y, 1.0 / n_tasks)
    if not loss.smooth and ridge_c == ridge_A == nuclear == 0:
        return _quantile_fit(X, y, weight, loss, linear, f0)
    if not loss.smooth:
        return _multiplier_fit(X, y, weight, loss, linear, f0, (ridge_c, ridge_A, nuclear))
    centre = X.mean(axis=0) if ridge_c == 0 else np.zeros(d)
    Z = np.column_stack([np.ones(len(X)), X - centre]) if linear else np.ones((len(X), 1))
    size = np.abs(Z).max(axis=0)
    # inputs that are all one differ from their mean by rounding, and have no slope
    noise = 16.0 * np.finfo(float).eps * np.abs(X).max(axis=0, initial=0.0)
    if linear and ridge_c == 0:
        Z[:, 1:][:, size[1:] <= noise] = 0.0
        size[1:][size[1:] <= noise] = 1.0
    size[size == 0] = 1.0
    Z = Z / size
    ridge = np.full(Z.shape[1], ridge_A) / size**2
    ridge[0] = ridge_c / size[0] ** 2
    if nuclear > 0:
        zero = np.zeros((1, n_tasks))
        c = _newton(Z[:, :1], y, weight, loss, f0, ridge[:1], zero)[0]
        return nuclear_fit(X, y, weight, loss, f0, ridge_c, nuclear, c)
    beta = np.zeros((Z.shape[1], n_tasks))
    beta = _newton(Z, y, weight, loss, f0, ridge, beta)
    A = beta[1:] / size[1:, None] if linear else np.zeros((d, n_tasks))
    return A, beta[0] / size[0] - centre @ A


def _newton(Z: Array, y: Array, weight: Array, loss: Loss, f0: Array, ridge: Array, beta: Array) -> Array:
    def value(b: Array) -> tuple[float, Array]:
        f = f0 + Z @ b
        total = float(np.sum(weight * np.where(weight > 0, loss.value(y, f), 0.0)))
        return total + 0.5 * float(np.sum(ridge[:, None] * b * b)), f

    now, f = value(beta)
    # losses of probabilities have a scale of their own, at which a minimum far away is reached
    least = 0.0 if loss.interpolates else 1e-18 * float(np.sum(weight))
    damping = _LEAST_DAMPING
    eye = np.eye(Z.shape[1])
    joined = isinstance(loss, Multinomial) and beta.size <= _MOST_JOINED
    for _ in range(_MAX_STEPS):
        g = weight * loss.gradient(y, f)
        h = weight * (loss.curvature(y, f) + damping * loss.curvature_bound(y, f))
        slope = Z.T @ g + ridge[:, None] * beta
        if joined:
            H = hessian(Z, weight, loss, y, f).reshape(beta.size, beta.size)
            bound = weight * loss.curvature_bound(y, f)
            H += np.diag((damping * np.einsum("np,nt->pt", Z * Z, bound) + ridge[:, None]).ravel())
            step = -(np.linalg.pinv(H, rcond=1e-13, hermitian=True) @ slope.ravel()).reshape(beta.shape)
        else:
            H = np.einsum("np,nt,nq->tpq", Z, h, Z, optimize=True) + ridge * eye
            step = -np.einsum("tpq,qt->pt", np.linalg.pinv(H, rcond=1e-13, hermitian=True), slope)
        decrease = -float(np.sum(step * slope))
        if not decrease > least or np.abs(beta).max() > _LARGEST:
            break
        trial, moved = value(beta + step)
        if decrease <= 1e-13 * max(now, 1e-300):
            # the objective no longer tells; the step itself is exact to second order
            return beta + step if trial <= now * (1.0 + 1e-12) else beta
        if trial <= now - 1e-4 * decrease:
            beta, now, f = beta + step, trial, moved
            damping = max(0.1 * damping, _LEAST_DAMPING)
            continue
        shrunk = 0.5
        while shrunk > 1e-12:
            trial, moved = value(beta + shrunk * step)
            if trial <= now - 1e-4 * shrunk * decrease:
                break
            shrunk *= 0.5
        else:
            break
        beta, now, f = beta + shrunk * step, trial, moved
        damping *= 10.0 if shrunk < 0.1 else 1.0
    return beta


def _quantile_fit(
    X: Array, y: Array, weight: Array, loss: Loss, linear: bool, f0: Array
) -> tuple[Array, Array]:
    d, n_tasks = X.shape[1], y.shape[1]
    A, c = np.zeros((d, n_tasks)), np.zeros(n_tasks)
    losses = loss.losses if isinstance(loss, PerTask) else (loss,) * n_tasks
    for t, one in enumerate(losses):
        keep = weight[:, t] > 0
        x, w, target = X[keep], weight[keep, t], (y - f0)[keep, t]
        if not keep.any():
            continue
        if not isinstance(one, Quantile):
            own = affine_fit(x, target[:, None], w[:, None], one, linear=linear)
            A[:, t], c[t] = own[0][:, 0], own[1][0]
            continue
        centre = x.mean(axis=0)
        Z = np.column_stack([np.ones(len(x)), x - centre]) if linear else np.ones((len(x), 1))
        size = np.abs(Z).max(axis=0)
        size[size == 0] = 1.0
        # the dual programme has as many rows as the fit has parameters
        scale = float(np.abs(target).max()) or 1.0
        found = linprog(
            -target / scale,
            A_eq=(Z / size).T,
            b_eq=np.zeros(Z.shape[1]),
            bounds=np.column_stack([(one.tau - 1.0) * w, one.tau * w]),
            method="highs",
        )
        beta = -np.asarray(found.eqlin.marginals) * scale / size
        A[:, t] = beta[1:] if linear else 0.0
        c[t] = beta[0] - (centre @ A[:, t] if linear else 0.0)
    return A, c


def _multiplier_fit(
    X: Array,
    y: Array,
    weight: Array,
    loss: Loss,
    linear: bool,
    f0: Array,
    prices: tuple[float, float, float],
) -> tuple[Array, Array]:
    """Quantile losses under penalised free parts: the method of multipliers on their envelopes."""
    n_tasks = y.shape[1]
    losses = loss.losses if isinstance(loss, PerTask) else (loss,) * n_tasks
    steep = np.array([isinstance(one, Quantile) for one in losses])
    spread = float(np.std((y - f0)[weight > 0])) or 1.0
    a, mu = np.zeros_like(y), 0.1 * spread
    A, c = np.zeros((X.shape[1], n_tasks)), np.zeros(n_tasks)
    for _ in range(_MULTIPLIER_STEPS):
        smooth = PerTask(
            tuple(SmoothedQuantile(one.tau, mu) if isinstance(one, Quantile) else one for one in losses)
        )
        shifted = y + mu * np.where(steep, a, 0.0)
        before = c
        A, c = affine_fit(
            X,
            shifted,
            weight,
            smooth,
            linear=linear,
            offset=f0,
            ridge_c=prices[0],
            ridge_A=prices[1],
            nuclear=prices[2],
        )
        a = -smooth.gradient(shifted, f0 + X @ A + c)
        if mu <= 1e-4 * spread and np.abs(c - before).max() <= 1e-13 * spread:
            break
        mu = max(0.2 * mu, 1e-4 * spread)
    return A, c
