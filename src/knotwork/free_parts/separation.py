"""Separable labels in several inputs: the direction that loses most labels, by linear programmes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, identity

from ..losses import Logistic, Loss, Multinomial, PerTask, Poisson
from .fits import affine_fit

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ZERO = 1e-10
_HARDLY = 1e-9


def recession_in_several(
    X: Array, Y: Array, weight: Array, loss: Loss, linear: bool
) -> tuple[Array, Array, Mask] | None:
    """`recession` for X (N, d): A (d, T), c (T,), lost (N, T)."""
    d, n_tasks = X.shape[1], Y.shape[1]
    Z, back = _basis(X, linear)
    if isinstance(loss, Multinomial):
        beta, lost = _classes(X, Z, Y, weight, loss, linear)
    else:
        beta, lost = np.zeros((Z.shape[1], n_tasks)), np.zeros(Y.shape, dtype=bool)
        losses = loss.losses if isinstance(loss, PerTask) else (loss,) * n_tasks
        for t, one in enumerate(losses):
            if isinstance(one, Logistic | Poisson):
                beta[:, t], lost[:, t] = _one_task(X, Z, Y[:, t], weight[:, t], one, linear)
    if not lost.any():
        return None
    slopes = back @ beta
    return slopes[:d], slopes[d], lost


def _basis(X: Array, linear: bool) -> tuple[Array, Array]:
    """Z (N, p) that spans the free parts at the data, its rows of length at most 2, and (d + 1, p) what
    makes (A; c) of coefficients."""
    n, d = X.shape
    constant = np.append(np.zeros(d), 1.0)[:, None]
    if not linear:
        return np.ones((n, 1)), constant
    middle = X.mean(axis=0)
    centred = X - middle
    size = np.abs(centred).max(axis=0)
    size[size <= 16.0 * np.finfo(float).eps * np.abs(X).max(axis=0)] = np.inf
    U, s, Vt = np.linalg.svd(centred / size, full_matrices=False)
    rank = int(np.sum(s > 1e-12 * max(s[0], 1e-300)))
    reach = max(float(np.linalg.norm(U[:, :rank], axis=1).max(initial=0.0)), 1e-300)
    slopes = (Vt[:rank].T / s[:rank] / reach) / size[:, None]
    Z = np.column_stack([np.ones(n), U[:, :rank] / reach])
    return Z, np.hstack([constant, np.vstack([slopes, -middle @ slopes])])


def _one_task(X: Array, Z: Array, y: Array, w: Array, loss: Loss, linear: bool) -> tuple[Array, Mask]:
    lost = np.zeros(len(y), dtype=bool)
    rows = np.flatnonzero(w > 0)
    events = y[rows] > 0
    held = np.zeros((0, Z.shape[1]))
    if isinstance(loss, Poisson):
        # a count above 0 loses where its rate moves either way
        held, rows = Z[rows[events]], rows[~events]
        margins = -Z[rows]
    else:
        margins = np.where(events, 1.0, -1.0)[:, None] * Z[rows]
        A, c = affine_fit(X[rows], y[rows, None], w[rows, None], loss, linear=linear)
        f = X[rows] @ A[:, 0] + c[0]
        wrong = w[rows] * np.abs(loss.gradient(y[rows, None], f[:, None])[:, 0])
        fixed = _balanced(margins, wrong)
        held, margins, rows = margins[fixed], margins[~fixed], rows[~fixed]
    beta, positive = _most_positive(margins, held)
    lost[rows[positive]] = True
    return beta, lost


def _classes(
    X: Array, Z: Array, Y: Array, weight: Array, loss: Multinomial, linear: bool
) -> tuple[Array, Mask]:
    """Every class seen in a row stays level with its first, every other falls or stays."""
    n_tasks, p = Y.shape[1], Z.shape[1]
    lost = np.zeros(Y.shape, dtype=bool)
    rows = np.flatnonzero(weight[:, 0] > 0)
    top = np.argmax(Y[rows] > 0, axis=1)
    i, s = np.nonzero(np.arange(n_tasks) != top[:, None])
    level = Y[rows[i], s] > 0
    # all classes moved alike change nothing: the last one stays
    entries = np.zeros((len(i), n_tasks, p))
    entries[np.arange(len(i)), top[i]] = Z[rows[i]]
    entries[np.arange(len(i)), s] -= Z[rows[i]]
    entries = entries[:, :-1].reshape(len(i), -1)
    A, c = affine_fit(X[rows], Y[rows], weight[rows], loss, linear=linear)
    share = loss.gradient(Y[rows], X[rows] @ A + c) + Y[rows]
    balance = weight[rows[i], 0] * np.where(level, share[i, s] - Y[rows[i], s], share[i, s])
    beta = np.zeros((p, n_tasks))
    level |= _balanced(entries, balance)
    flat, positive = _most_positive(entries[~level], entries[level])
    beta[:, :-1] = flat.reshape(n_tasks - 1, p).T
    lost[rows[i[~level][positive]], s[~level][positive]] = True
    return beta, lost


def _balanced(margins: Array, prices: Array) -> Mask:
    """Which margins no direction of recession raises: prices > 0 with sum of prices x margins = 0 in every
    direction prove that, and where that sum is only small, for the larger prices."""
    size = np.abs(prices)
    leak = float(np.abs(prices @ margins).sum()) + 4.0 * np.finfo(float).eps * float(size.sum())
    return prices * _HARDLY >= leak


def _most_positive(margins: Array, held: Array) -> tuple[Array, Mask]:
    """The direction with margins @ direction >= 0 = held @ direction that has most margins positive, the
    least of them 1; and which they are. Zero where none can be."""
    n, p = margins.shape
    nothing = np.zeros(p), np.zeros(n, dtype=bool)
    inside = _null_space(held, p)
    free = margins @ inside
    size = np.linalg.norm(free, axis=1)
    moves = size > _ZERO * np.maximum(np.linalg.norm(margins, axis=1), 1e-300)
    if inside.shape[1] == 0 or not moves.any():
        return nothing
    rows = free[moves] / size[moves, None]
    m, q = rows.shape
    # each margin counts up to 1: all that can be positive are, along one direction
    found = linprog(
        np.concatenate([np.zeros(q), -np.ones(m)]),
        A_ub=hstack([csr_matrix(-rows), identity(m)]),
        b_ub=np.zeros(m),
        bounds=[(None, None)] * q + [(0.0, 1.0)] * m,
        method="highs",
    )
    if found.status != 0:
        return nothing
    strict = found.x[q:] > 0.5
    level = _null_space(rows[~strict], q)
    direction = level @ (level.T @ found.x[:q])
    reached = rows @ direction
    if not strict.any() or reached[strict].min() < 0.5:
        return nothing
    direction = inside @ direction
    positive = moves.copy()
    positive[moves] = strict
    return direction / float((margins @ direction)[positive].min()), positive


def _null_space(rows: Array, p: int) -> Array:
    """(p, q) an orthonormal basis of what all rows vanish on."""
    if len(rows) == 0:
        return np.eye(p)
    small = np.linalg.qr(rows, mode="r") if len(rows) > p else rows
    _, s, Vt = np.linalg.svd(small, full_matrices=True)
    return Vt[int(np.sum(s > _ZERO * max(s[0], 1e-300))) :].T
