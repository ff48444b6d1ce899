"""Labels that free parts without bound fit ever better: directions in which the loss only falls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from ..losses import Logistic, Loss, Multinomial, PerTask, Poisson
from .separation import recession_in_several

Array = NDArray[np.float64]


def recession(
    X: Array, Y: Array, weight: Array, loss: Loss, linear: bool
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Where the least loss is reached only by free parts without bound (separable labels).

    (A (d, T), c (T,), lost (N, T)): along it the loss of the labels `lost` goes to 0 at a rate of at
    least 1 and that of the others stays; every label that can be lost is. None where there is no such
    direction. X is (N, d), or (N,) where d = 1.
    """
    if X.ndim == 2 and X.shape[1] > 1:
        return recession_in_several(X, Y, weight, loss, linear)
    x = X.reshape(len(X))
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
