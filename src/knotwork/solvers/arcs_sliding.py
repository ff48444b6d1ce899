"""One input: neurons that turn on their arcs, the places between two data points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sliding import Moves, descend

Array = NDArray[np.float64]


def slide(
    Z: Array, C: Array, lam: float, u: Array, first: Array, last: Array, moves: NDArray[np.bool_], steps: int
) -> Array:
    """u (K, 2) of lower objective, each on its arc from `first` to `last` (K, 2), counter-clockwise.

    Z : (P, n, K, 2), C : (P, n, T / P) with the free parts rotated away.  moves : which may turn; one
    at the end of its arc, a data point, keeps its angle.
    """
    P, n, K, _ = Z.shape
    problem = Moves(Z.reshape(P, n, 2 * K), C, np.repeat(np.arange(K), 2), lam)

    turning = moves

    def directions(at: Array, gradient: Array) -> Array:
        nonlocal turning
        basis, turning = _directions(at.reshape(K, 2), first, last, gradient.reshape(K, 2), moves)
        return basis

    def keep(at: Array, trial: Array) -> Array:
        return _onto_arcs(at.reshape(K, 2), trial.reshape(K, 2), first, last, turning).ravel()

    return descend(problem, u.ravel(), steps, directions, keep).reshape(K, 2)


def _directions(
    u: Array, first: Array, last: Array, gradient: Array, moves: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_]]:
    """(2K, m) an orthonormal basis of the directions open to descent, and (K,) which atoms turn."""
    K = len(u)
    unit = u / np.sqrt(np.sum(u * u, axis=1))[:, None]
    turn = np.column_stack([-unit[:, 1], unit[:, 0]])
    push = -np.sum(turn * gradient, axis=1)
    at_first = _cross(first, unit) <= 1e-14
    at_last = _cross(unit, last) <= 1e-14
    turning = moves & ~(at_first & (push <= 0)) & ~(at_last & (push >= 0))
    basis = np.zeros((2 * K, K + int(turning.sum())))
    own = np.arange(K)
    basis[2 * own, own], basis[2 * own + 1, own] = unit[:, 0], unit[:, 1]
    k = np.flatnonzero(turning)
    column = K + np.arange(len(k))
    basis[2 * k, column], basis[2 * k + 1, column] = turn[k, 0], turn[k, 1]
    return basis, turning


def _onto_arcs(u: Array, trial: Array, first: Array, last: Array, turning: NDArray[np.bool_]) -> Array:
    size = np.sqrt(np.sum(trial * trial, axis=1))
    old = np.sqrt(np.sum(u * u, axis=1))
    unit = u / old[:, None]
    # a step through 0 leaves a little of the neuron: the masses' own step will drop it
    forward = np.sum(trial * unit, axis=1)
    size = np.where(forward <= 0, 1e-3 * old, size)
    way = np.where((forward > 0)[:, None], trial / size[:, None], unit)
    way = np.where(turning[:, None], way, unit)
    before, after = _cross(first, way) < 0, _cross(way, last) < 0
    way = np.where(before[:, None], first, np.where(after[:, None], last, way))
    return way * size[:, None]


def _cross(a: Array, b: Array) -> Array:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
