"""The fit without neurons: the constant and linear parts of a network, for any loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from .losses import Logistic, Loss, Multinomial, PerTask, Poisson, Quantile, SmoothedQuantile

Array = NDArray[np.float64]
_MAX_STEPS = 200
_LEAST_DAMPING = 1e-6
_LARGEST = 1e6
_MULTIPLIER_STEPS = 40


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

    X : (N, d); d = 1 where `nuclear` > 0.  Y, weight, offset : (N, T), anything where the weight
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
    beta = np.zeros((Z.shape[1], n_tasks))
    if nuclear > 0:
        return _nuclear_fit(X, y, weight, loss, f0, ridge_c, nuclear)
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
    for _ in range(_MAX_STEPS):
        g = weight * loss.gradient(y, f)
        h = weight * (loss.curvature(y, f) + damping * loss.curvature_bound(y, f))
        slope = Z.T @ g + ridge[:, None] * beta
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


def _nuclear_fit(
    X: Array, y: Array, weight: Array, loss: Loss, f0: Array, ridge_c: float, nuclear: float
) -> tuple[Array, Array]:
    """d = 1: |A|_* = |A|_2, so A = 0 or the objective is smooth; |A| = min (|A|^2/eta + eta)/2."""
    Z = np.column_stack([np.ones(len(X)), X[:, 0]])
    size = np.abs(Z).max(axis=0)
    size[size == 0] = 1.0
    Z = Z / size
    ridge = np.array([ridge_c, 0.0])
    first = _newton(Z[:, :1], y, weight, loss, f0, ridge[:1], np.zeros((1, y.shape[1])))
    beta = np.vstack([first, np.zeros_like(first)])
    pull = Z[:, 1] @ (weight * loss.gradient(y, f0 + Z @ beta))
    bar = nuclear / size[1]
    if np.linalg.norm(pull) <= bar * (1.0 + 1e-12):
        return np.zeros((1, y.shape[1])), first[0]
    eta = np.linalg.norm(pull) / max(float(np.sum(weight)), 1e-300)
    for _ in range(_MAX_STEPS):
        beta = _newton(Z, y, weight, loss, f0, np.array([ridge_c, bar / eta]), beta)
        new = float(np.linalg.norm(beta[1]))
        if abs(new - eta) <= 1e-13 * new or new == 0:
            break
        eta = new
    return beta[1:] / size[1], beta[0]


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


def recession(
    x: Array, Y: Array, weight: Array, loss: Loss, linear: bool
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Where the least loss is reached only by free parts without bound (separable labels).

    (A (1, T), c (T,), lost (N, T)): along it the loss of the labels `lost` goes to 0 at a rate of at
    least 1 and that of the others stays. None where there is no such direction. One input x (N,).
    """
    n_tasks = Y.shape[1]
    A, c = np.zeros((1, n_tasks)), np.zeros(n_tasks)
    if isinstance(loss, Multinomial):
        return _recession_of_classes(x, Y, weight, linear and float(np.ptp(x)) > 0)
    losses = loss.losses if isinstance(loss, PerTask) else (loss,) * n_tasks
    for t, one in enumerate(losses):
        if not isinstance(one, Logistic | Poisson):
            continue
        seen = weight[:, t] > 0
        up, down = seen & (Y[:, t] > 0), seen & (Y[:, t] == 0)
        if isinstance(one, Logistic):
            A[0, t], c[t] = _separation(x, up, down, linear)
        else:
            A[0, t], c[t] = _emptiness(x, up, down, linear)
    signed = (x[:, None] * A + c) * np.where(Y > 0, 1.0, -1.0)
    lost = (
        (weight > 0)
        & ((A[0] != 0) | (c != 0))
        & (np.abs(signed) > 1e-12 * (np.abs(x[:, None] * A) + np.abs(c)))
    )
    return (A, c, lost) if lost.any() else None


def _separation(
    x: Array, up: NDArray[np.bool_], down: NDArray[np.bool_], linear: bool
) -> tuple[float, float]:
    if not down.any() or not up.any():
        return 0.0, 1.0 if up.any() else -1.0
    if not linear:
        return 0.0, 0.0
    for sign in (1.0, -1.0):
        low, high = float((sign * x[down]).max()), float((sign * x[up]).min())
        ends = sign * x[up | down]
        if low < high:
            # margin 1 at the closest labels
            return 2.0 * sign / (high - low), -(high + low) / (high - low)
        if low == high and ends.min() < ends.max():
            others = np.abs(ends - low)
            steep = 1.0 / float(others[others > 0].min())
            return sign * steep, -low * steep
    return 0.0, 0.0


def _emptiness(x: Array, up: NDArray[np.bool_], down: NDArray[np.bool_], linear: bool) -> tuple[float, float]:
    if not up.any():
        return 0.0, -1.0
    places = np.unique(x[up])
    if not linear or len(places) > 1 or not down.any():
        return 0.0, 0.0
    off = x[down] - places[0]
    if not off.any() or (off.min() < 0 < off.max()):
        return 0.0, 0.0
    steep = 1.0 / float(np.abs(off[off != 0]).min())
    sign = -1.0 if off.max() > 0 else 1.0
    return sign * steep, -sign * steep * float(places[0])


def _recession_of_classes(
    x: Array, Y: Array, weight: Array, linear: bool
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Lines d_t with d_t >= d_s wherever class t was seen: linear in x, so its extremes decide."""
    n_tasks = Y.shape[1]
    seen = (weight > 0) & (Y > 0)
    middle, span = 0.5 * (x.max() + x.min()), max(float(np.ptp(x)), 1e-300)
    rows = []
    for t in range(n_tasks):
        if seen[:, t].any():
            own = (x[seen[:, t]] - middle) / span
            rows += [(t, s, place) for place in {own.min(), own.max()} for s in range(n_tasks) if s != t]
    margins = np.zeros((len(rows), 2 * n_tasks))
    for k, (t, s, place) in enumerate(rows):
        margins[k, [t, s]] = 1.0, -1.0
        margins[k, [n_tasks + t, n_tasks + s]] = place, -place
    # maximise the sum of margins, each counted up to 1
    cost = np.concatenate([np.zeros(2 * n_tasks), -np.ones(len(rows))])
    reach = np.hstack([-margins, np.eye(len(rows))])
    slope_bound = (-1e4, 1e4) if linear else (0.0, 0.0)
    bounds = [(-1e4, 1e4)] * n_tasks + [slope_bound] * n_tasks + [(0.0, 1.0)] * len(rows)
    found = linprog(cost, A_ub=reach, b_ub=np.zeros(len(rows)), bounds=bounds, method="highs")
    if found.status != 0 or -found.fun < 1e-9:
        return None
    strict = margins @ found.x[: 2 * n_tasks] > 1e-9
    # the smallest such lines with margins of at least 1
    least = np.concatenate([np.zeros(2 * n_tasks), [1.0]])
    size = np.hstack([np.vstack([np.eye(2 * n_tasks), -np.eye(2 * n_tasks)]), -np.ones((4 * n_tasks, 1))])
    reach = np.vstack([np.hstack([-margins, np.zeros((len(rows), 1))]), size])
    wanted = np.concatenate([np.where(strict, -1.0, 0.0), np.zeros(4 * n_tasks)])
    bounds = [(None, None)] * n_tasks + [(None, None) if linear else (0.0, 0.0)] * n_tasks + [(0.0, None)]
    found = linprog(least, A_ub=reach, b_ub=wanted, bounds=bounds, method="highs")
    if found.status != 0:
        return None
    c, slope = found.x[:n_tasks], found.x[n_tasks : 2 * n_tasks] / span
    value = c + (x[:, None] - middle) * slope
    behind = np.max(np.where(Y > 0, value, -np.inf), axis=1, keepdims=True) - value
    lost = (weight > 0) & (behind > 1e-9)
    if not lost.any():
        return None
    # between the extremes of a class a margin may be smaller than at them
    grow = max(1.0, 1.0 / float(behind[lost].min()))
    return (grow * slope)[None, :], grow * (c - middle * slope), lost
