"""The convex problem that is left when the candidate neurons are known.

With masses eta >= 0, |v| = min (|v|^2 / eta + eta) / 2 turns the objective into
g(eta) = (lam/2) (sum_t c_t' S_t^-1 c_t + sum eta), S_t = lam I + R_t diag(eta) R_t':
convex, one variable per neuron however many tasks and data there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs
from scipy.optimize import nnls

Array = NDArray[np.float64]
_MAX_STEPS = 60
_LOOSE = 1e-3
_FLAT = 1e-11
_REFINEMENTS = 4
(_trtrs,) = get_lapack_funcs(("trtrs",), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Reduced:
    """Least squares in rotated coordinates: features `R` (P, n, K) and labels `C` (P, n, T/P);
    P is 1 where the tasks share their features, else the number of tasks."""

    R: Array
    C: Array


@dataclass(frozen=True, eq=False)
class _State:
    value: float
    root: Array
    factor: Array
    response: Array
    norms: Array


def correct(
    reduced: Reduced,
    lam: float,
    eta: Array,
    tol: float,
    loose: float = 0.0,
    out_of_time: Callable[[], bool] = lambda: False,
) -> tuple[Array, Array]:
    """Masses (K,) and output weights V (K, T) to a duality gap of at most `tol`; or of at most
    `loose`, when that is also small beside the objective; or as far as time allows.

    Newton's method on g, each step a quadratic programme over eta >= 0 (NNLS), with a line
    search; the gap is that of the reduced problem.
    """
    state = _evaluate(reduced, lam, eta)
    gap = _gap(state, eta, lam)
    for _ in range(_MAX_STEPS):
        if gap <= tol or gap <= min(loose, _LOOSE * state.value) or out_of_time():
            break
        direction = _newton_target(reduced, lam, eta, state) - eta
        decrease = -float(_gradient(state, lam) @ direction)
        # the last digits of the gap are first order where those of g are second: near the
        # optimum g no longer tells steps apart, but the gap does
        flat = decrease <= _FLAT * state.value
        step = 1.0
        while True:
            trial = np.maximum(eta + step * direction, 0.0)
            moved = _evaluate(reduced, lam, trial)
            moved_gap = _gap(moved, trial, lam)
            if moved_gap < gap if flat else moved.value <= state.value - 1e-4 * step * decrease:
                break
            step *= 0.5
            if flat or step < 1e-10:
                return eta, _output_weights(reduced, lam, eta, state)
        stuck = flat and not moved_gap < 0.99 * gap
        eta, state, gap = trial, moved, moved_gap
        if stuck:
            break
    return eta, _output_weights(reduced, lam, eta, state)


def _output_weights(reduced: Reduced, lam: float, eta: Array, state: _State) -> Array:
    """V (K, T) = eta R' alpha / lam, refined until the residual C - R V itself says so: where lam is
    small beside the features, the digits that S^-1 loses would show in the dual point."""
    R, C = reduced.R, reduced.C
    V = eta[:, None] * state.response / lam
    kept, mismatch = V, np.inf
    for _ in range(_REFINEMENTS):
        off = V - eta[:, None] * (R.transpose(0, 2, 1) @ (C - R @ V)) / lam
        size = float(np.abs(off).max(initial=0.0))
        if not size < 0.5 * mismatch:
            break
        mismatch, kept = size, V
        half = _solve(state.root, R @ off)
        V = V - off + eta[:, None] * (state.factor.transpose(0, 2, 1) @ half)
    else:
        return _stack(V)
    return _stack(kept)


def _evaluate(reduced: Reduced, lam: float, eta: Array) -> _State:
    R, C = reduced.R, reduced.C
    S = (R * eta) @ R.transpose(0, 2, 1)
    diagonal = np.arange(S.shape[1])
    S[:, diagonal, diagonal] += lam
    root = cholesky(S)
    solved = _solve(root, np.concatenate([C, R], axis=2))
    z, factor = solved[:, :, : C.shape[2]], solved[:, :, C.shape[2] :]
    response = lam * (factor.transpose(0, 2, 1) @ z)
    value = 0.5 * lam * (float(np.sum(z * z)) + float(eta.sum()))
    norms = np.sqrt(np.einsum("pkt,pkt->k", response, response))
    return _State(value, root, factor, response, norms)


def cholesky(S: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(S), dtype=np.float64)
    except np.linalg.LinAlgError:
        # lam is below the rounding of the features: fit to rounding, and let pricing judge
        diagonal = np.arange(S.shape[1])
        largest = S[:, diagonal, diagonal].max(axis=1, keepdims=True)
        S[:, diagonal, diagonal] += 8.0 * np.finfo(float).eps * S.shape[1] * largest
        return np.asarray(np.linalg.cholesky(S), dtype=np.float64)


def _solve(L: Array, B: Array) -> Array:
    """L^-1 B, pattern by pattern."""
    return np.stack([_trtrs(one, b, lower=1)[0] for one, b in zip(L, B, strict=True)])


def _gradient(state: _State, lam: float) -> Array:
    ratio = state.norms / lam
    return 0.5 * lam * (1.0 - ratio * ratio)


def _gap(state: _State, eta: Array, lam: float) -> float:
    """Primal at V = eta G / lam minus dual at the residual, scaled to feasibility."""
    ratio = state.norms / lam
    scale = 1.0 / max(1.0, float(ratio.max(initial=0.0)))
    fit = float(np.sum(eta * ratio * ratio)) * lam
    square = max(2.0 * state.value - lam * float(eta.sum()) - fit, 0.0)
    return lam * float(np.sum(eta * ratio * (1.0 - scale * ratio))) + 0.5 * (1.0 - scale) ** 2 * square


def _stack(response: Array) -> Array:
    """(P, K, T/P) to (K, T)."""
    return response[0] if len(response) == 1 else response[:, :, 0].T


def _newton_target(reduced: Reduced, lam: float, eta: Array, state: _State) -> Array:
    M = state.factor.transpose(0, 2, 1) @ state.factor
    outer = state.response @ state.response.transpose(0, 2, 1)
    H = np.sum(M * outer, axis=0) / lam
    # a neuron that the data hardly see has no curvature: its mass is for nothing
    diagonal = np.diag(H)
    seen = np.flatnonzero(diagonal > 1e-20 * float(diagonal.max(initial=0.0)))
    target = np.zeros_like(eta)
    if len(seen) == 0:
        return target
    scale = 1.0 / np.sqrt(diagonal[seen])
    H = H[np.ix_(seen, seen)] * scale * scale[:, None]
    L = _cholesky(H)
    gradient = _gradient(state, lam)[seen] * scale
    goal = L.T @ (eta[seen] / scale) - _trtrs(L, gradient, lower=1)[0]
    solution, _ = nnls(np.ascontiguousarray(L.T), goal, maxiter=30 * len(H))
    target[seen] = solution * scale
    return target


def _cholesky(H: Array) -> Array:
    """The Cholesky factor of H (K, K), of unit diagonal, and of as little more as rounding asks for."""
    jitter = 1e-15 * len(H)
    while True:
        try:
            return np.asarray(np.linalg.cholesky(H + jitter * np.eye(len(H))), dtype=np.float64)
        except np.linalg.LinAlgError:
            jitter *= 10.0
