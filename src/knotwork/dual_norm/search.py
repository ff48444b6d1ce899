"""Several inputs, beyond exact reach: climb along great circles from many starts.

A step sweeps the whole circle through a neuron and its gradient, so that it crosses cells and never
goes down. What is found is attained, nothing is proven: rigour HEURISTIC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_WORK = 1 << 23
_MOVES = 100
_TOGETHER = 32
_ENOUGH = 1e-12
_EVEN = 1e-14
_POLISHED = 40


@dataclass(frozen=True, eq=False)
class Climb:
    """Neurons (S, d + 1), rows (w, b), and the responses (S,) that they attain."""

    neurons: Array
    values: Array


def climb(
    X: Array,
    alpha: Array,
    starts: Array,
    biases: bool,
    moves: int = _MOVES,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Climb:
    """Climb from every start (S, d + 1) to a local maximum of |sum_i alpha_i relu(w.x_i + b)| over unit
    neurons, |(w, b)| = 1 where `biases`, else |w| = 1 with the kink at a data point; one move is made
    whatever the clock says."""
    if not biases:
        even = _respond_alike(X, alpha)
        w, anchor, values = _moved(X, alpha, starts[:, :-1], True, even, moves, out_of_time)
        return Climb(np.column_stack([w, -np.einsum("sd,sd->s", w, X[anchor])]), values)
    rows = np.column_stack([X, np.ones(len(X))])
    u, _, values = _moved(rows, alpha, starts, False, False, moves, out_of_time)
    top = np.argsort(-values, kind="stable")[:_POLISHED]
    if not out_of_time() and _to_eigenvectors(rows, alpha, u, values, top):
        u[top], _, values[top] = _moved(rows, alpha, u[top], False, False, moves, out_of_time)
    return Climb(u, values)


def _moved(
    rows: Array,
    alpha: Array,
    starts: Array,
    anchored: bool,
    even: bool,
    moves: int,
    out_of_time: Callable[[], bool],
) -> tuple[Array, NDArray[np.intp], Array]:
    """Weights (S, m), anchors (S,) and values (S,) where the compiled climb from `starts` (S, m) ends."""
    from .. import _kernels

    u = starts / np.linalg.norm(starts, axis=1)[:, None]
    columns, by_task = np.ascontiguousarray(rows.T), np.ascontiguousarray(alpha.T)
    anchor, values = np.empty(len(u), dtype=np.intp), np.empty(len(u))
    for low in range(0, len(u), _TOGETHER):
        some = slice(low, low + _TOGETHER)
        left = 1 if out_of_time() else moves
        anchor[some], values[some] = _kernels.climb(columns, by_task, u[some], anchored, even, left)
    return u, anchor, values


def _respond_alike(X: Array, alpha: Array) -> bool:
    """Whether every neuron and its opposite respond alike: sum_i alpha_i relu(z_i) - alpha_i relu(-z_i) is
    sum_i alpha_i z_i."""
    Z = X - X.mean(axis=0)
    reach = float(np.abs(Z).max(initial=0.0))
    leak = max(float(np.abs(Z.T @ alpha).max()), reach * float(np.abs(alpha.sum(axis=0)).max()))
    return leak <= _EVEN * reach * float(np.abs(alpha).sum())


def _to_eigenvectors(rows: Array, alpha: Array, u: Array, values: Array, top: NDArray[np.intp]) -> bool:
    """Moves the neurons `top` to where they are best as long as the same data are active: there the
    response is |M' u|. Says whether any moved."""
    n, m = rows.shape
    products = (rows[:, :, None] * alpha[:, None, :]).reshape(n, -1)
    moved = False
    for _ in range(3):
        active = (rows @ u[top].T > 0.0).T.astype(np.float64)
        M = (active @ products).reshape(len(top), m, -1)
        vectors = np.linalg.eigh(M @ M.transpose(0, 2, 1))[1][:, :, -1]
        both = np.stack([vectors, -vectors])
        there = np.stack([response(rows[:, :-1], alpha, one) for one in both])
        side = np.argmax(there, axis=0)
        own = np.arange(len(top))
        better = there[side, own] > values[top] * (1.0 + _ENOUGH)
        top, side, own = top[better], side[better], own[better]
        if len(top) == 0:
            break
        u[top], values[top], moved = both[side, own], there[side, own], True
    return moved


def response(X: Array, alpha: Array, neurons: Array) -> Array:
    """(S,) |sum_i alpha_i relu(w.x_i + b)|."""
    out = np.empty(len(neurons))
    step = max(1, _WORK // len(X))
    for low in range(0, len(neurons), step):
        part = neurons[low : low + step]
        hidden = np.maximum(X @ part[:, :-1].T + part[:, -1], 0.0)
        out[low : low + step] = np.sqrt(np.sum((hidden.T @ alpha) ** 2, axis=1))
    return out


def best_biases(X: Array, alpha: Array, W: Array) -> Array:
    """(S, d + 1) the unit directions W (S, d), each with the bias at which it responds most: between
    data points the response is convex in the bias, so that one of the N kinks there is best."""
    out = np.empty((len(W), X.shape[1] + 1))
    step = max(1, _WORK // (len(X) * (alpha.shape[1] + 2)))
    for low in range(0, len(W), step):
        w = W[low : low + step]
        z = (X @ w.T).T
        order = np.argsort(-z, axis=1, kind="stable")
        z = np.take_along_axis(z, order, axis=1)
        sums = np.cumsum(alpha[order], axis=1)
        fall = np.zeros_like(sums)
        fall[:, 1:] = np.cumsum(sums[:, :-1] * (z[:, :-1] - z[:, 1:])[..., None], axis=1)
        best = np.argmax(np.einsum("snt,snt->sn", fall, fall), axis=1)
        out[low : low + step, :-1] = w
        out[low : low + step, -1] = -z[np.arange(len(w)), best]
    return out
