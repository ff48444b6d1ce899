"""Neurons whose knots move: Newton's method on masses and angles together.

With psi_k = Z_k u_k, Z_k the data's (x, 1) where neuron k is active and u_k = sqrt(eta_k) (w_k, b_k), the
objective is g(u) = (lam/2) (tr C' S^-1 C + sum |u_k|^2), S = lam I + sum psi_k psi_k': smooth as long as
every u_k stays on its arc. A neuron at the end of its arc, a data point, keeps its angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .corrective import cholesky

Array = NDArray[np.float64]
_LEAST = 1e-12
_FLAT = 1e-13


@dataclass(frozen=True, eq=False)
class _Point:
    value: float
    inverse_root: Array
    alpha: Array
    pull: Array
    gradient: Array


def slide(
    Z: Array, C: Array, lam: float, u: Array, first: Array, last: Array, moves: NDArray[np.bool_], steps: int
) -> Array:
    """u (K, 2) of lower objective, each on its arc from `first` to `last` (K, 2), counter-clockwise.

    Z : (P, n, K, 2), C : (P, n, T / P) with the free parts rotated away.  moves : which may turn.
    """
    here = _evaluate(Z, C, lam, u)
    for _ in range(steps):
        basis, turning = _directions(u, first, last, here.gradient, moves)
        slope = basis.T @ here.gradient.ravel()
        size = lam * float(np.abs(u).max())
        error = float(np.abs(slope).max())
        if error <= _LEAST * size:
            break
        H = basis.T @ _hessian(Z, lam, u, here) @ basis
        values, vectors = np.linalg.eigh(0.5 * (H + H.T))
        values = np.maximum(np.abs(values), 1e-10 * float(np.abs(values).max()))
        step = -(basis @ (vectors @ ((vectors.T @ slope) / values))).reshape(u.shape)
        decrease = -float(np.sum(step * here.gradient))
        flat = decrease <= _FLAT * abs(here.value)
        length, moved = 1.0, False
        trial, there = u, here
        while length > 1e-6:
            trial = _onto_arcs(u, u + length * step, first, last, turning)
            there = _evaluate(Z, C, lam, trial)
            if flat:
                basis, _ = _directions(trial, first, last, there.gradient, moves)
                better = float(np.abs(basis.T @ there.gradient.ravel()).max()) < 0.5 * error
            else:
                better = there.value <= here.value - 1e-4 * length * decrease
            if better:
                moved = True
                break
            if flat:
                break
            length *= 0.5
        if not moved:
            break
        u, here = trial, there
    return u


def _evaluate(Z: Array, C: Array, lam: float, u: Array) -> _Point:
    psi = np.einsum("pnki,ki->pnk", Z, u)
    S = psi @ psi.transpose(0, 2, 1)
    n = np.arange(S.shape[1])
    S[:, n, n] += lam
    inverse_root = np.asarray(np.linalg.inv(cholesky(S)), dtype=np.float64)
    half = inverse_root @ C
    alpha = lam * (inverse_root.transpose(0, 2, 1) @ half)
    pull = np.einsum("pnki,pnt->pkit", Z, alpha, optimize=True)
    along = np.einsum("ki,pkit->pkt", u, pull)
    gradient = lam * u - np.einsum("pkit,pkt->ki", pull, along) / lam
    value = 0.5 * lam * (float(np.sum(half * half)) + float(np.sum(u * u)))
    return _Point(value, inverse_root, alpha, pull, gradient)


def _hessian(Z: Array, lam: float, u: Array, here: _Point) -> Array:
    P, n, K, _ = Z.shape
    B = here.pull
    root = (here.inverse_root @ Z.reshape(P, n, 2 * K)).reshape(P, n, K, 2)
    along = np.einsum("pnki,ki->pnk", root, u)
    g = np.einsum("ki,pkit->pkt", u, B)
    flat, flat_B = root.reshape(P, n, 2 * K), B.reshape(P, 2 * K, -1)
    ZZ = (flat.transpose(0, 2, 1) @ flat).reshape(P, K, 2, K, 2)
    Zpsi = (flat.transpose(0, 2, 1) @ along).reshape(P, K, 2, K)
    psipsi = along.transpose(0, 2, 1) @ along
    GG = g @ g.transpose(0, 2, 1)
    BG = (flat_B @ g.transpose(0, 2, 1)).reshape(P, K, 2, K)
    BB = (flat_B @ flat_B.transpose(0, 2, 1)).reshape(P, K, 2, K, 2)
    H = ZZ * GG[:, :, None, :, None] + BB * psipsi[:, :, None, :, None]
    H += Zpsi[:, :, :, :, None] * BG.transpose(0, 3, 1, 2)[:, :, None, :, :]
    H += Zpsi.transpose(0, 3, 1, 2)[:, :, None, :, :] * BG[:, :, :, :, None]
    total = H.sum(axis=0) / lam
    own = np.arange(K)
    total[own, :, own, :] += lam * np.eye(2) - BB[:, own, :, own, :].sum(axis=1) / lam
    return total.reshape(2 * K, 2 * K)


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
