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
(_potrf, _potrs, _trtrs) = get_lapack_funcs(("potrf", "potrs", "trtrs"), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Reduced:
    """Least squares in rotated coordinates: features `R` (P, n, K) and labels `C` (P, n, T/P);
    P is 1 where the tasks share their features, else the number of tasks."""

    R: Array
    C: Array


@dataclass(frozen=True, eq=False)
class _Pattern:
    """One pattern of a state: the root of S (n, n), and R' alpha (K, T/P)."""

    root: Array
    response: Array


@dataclass(frozen=True, eq=False)
class _State:
    value: float
    patterns: list[_Pattern]
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
    share = eta[:, None] / lam
    V = [share * one.response for one in state.patterns]
    kept, mismatch = V, np.inf
    for _ in range(_REFINEMENTS):
        off = [v - share * (R.T @ (C - R @ v)) for R, C, v in zip(reduced.R, reduced.C, V, strict=True)]
        size = max(float(np.abs(one).max(initial=0.0)) for one in off)
        if not size < 0.5 * mismatch:
            return _stack(kept)
        mismatch, kept = size, V
        V = [
            v - o + lam * share * (R.T @ _potrs(one.root, R @ o, lower=1)[0])
            for v, o, one, R in zip(V, off, state.patterns, reduced.R, strict=True)
        ]
    return _stack(V)


def _evaluate(reduced: Reduced, lam: float, eta: Array) -> _State:
    patterns, value, square = [], float(eta.sum()), np.zeros(len(eta))
    for R, C in zip(reduced.R, reduced.C, strict=True):
        S = (R * eta) @ R.T
        S.ravel()[:: len(S) + 1] += lam
        root = _root(S)
        z = _trtrs(root, C, lower=1)[0]
        response = lam * (R.T @ _trtrs(root, z, lower=1, trans=1)[0])
        value += float(np.vdot(z, z))
        square += np.einsum("kt,kt->k", response, response)
        patterns.append(_Pattern(root, response))
    return _State(0.5 * lam * value, patterns, np.sqrt(square))


def _root(S: Array) -> Array:
    """The Cholesky factor of S (n, n)."""
    root, failed = _potrf(S.T, lower=1)
    return cholesky(S[None])[0] if failed else root


def cholesky(S: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(S), dtype=np.float64)
    except np.linalg.LinAlgError:
        # lam is below the rounding of the features: fit to rounding, and let pricing judge
        diagonal = np.arange(S.shape[1])
        largest = S[:, diagonal, diagonal].max(axis=1, keepdims=True)
        S[:, diagonal, diagonal] += 8.0 * np.finfo(float).eps * S.shape[1] * largest
        return np.asarray(np.linalg.cholesky(S), dtype=np.float64)


def _gradient(state: _State, lam: float) -> Array:
    ratio = state.norms / lam
    return 0.5 * lam * (1.0 - ratio * ratio)


def _gap(state: _State, eta: Array, lam: float) -> float:
    """Primal at V = eta G / lam minus dual at the residual, scaled to feasibility."""
    ratio = state.norms / lam
    scale = 1.0 / max(1.0, float(ratio.max(initial=0.0)))
    charge = float(eta @ ratio)
    fit = float((eta * ratio) @ ratio)
    square = max(2.0 * state.value - lam * (float(eta.sum()) + fit), 0.0)
    return lam * (charge - scale * fit) + 0.5 * (1.0 - scale) ** 2 * square


def _stack(V: list[Array]) -> Array:
    """(K, T) from the (K, T/P) of each pattern."""
    return V[0] if len(V) == 1 else np.concatenate(V, axis=1)


def _newton_target(reduced: Reduced, lam: float, eta: Array, state: _State) -> Array:
    slopes = _gradient(state, lam)
    # a neuron without mass that would not gain any stays so
    moving = np.flatnonzero((eta > 0) | (slopes < 0))
    H = np.zeros((len(moving), len(moving)))
    for R, one in zip(reduced.R, state.patterns, strict=True):
        factor = _trtrs(one.root, R[:, moving], lower=1)[0]
        response = one.response[moving]
        H += (factor.T @ factor) * (response @ response.T)
    H /= lam
    # one that the data hardly see has no curvature: its mass is for nothing
    diagonal = H.diagonal()
    seen = np.flatnonzero(diagonal > 1e-20 * float(diagonal.max(initial=0.0)))
    target = np.zeros_like(eta)
    if len(seen) == 0:
        return target
    scale = 1.0 / np.sqrt(diagonal[seen])
    if len(seen) < len(moving):
        H = H[np.ix_(seen, seen)]
        moving = moving[seen]
    L = _cholesky(H * scale * scale[:, None])
    goal = L.T @ (eta[moving] / scale) - _trtrs(L, slopes[moving] * scale, lower=1)[0]
    solution, _ = nnls(np.ascontiguousarray(L.T), goal, maxiter=30 * len(L))
    target[moving] = solution * scale
    return target


def _cholesky(H: Array) -> Array:
    """The Cholesky factor of H (K, K), of unit diagonal, and of as little more as rounding asks for."""
    jitter = 1e-15 * len(H)
    while True:
        lifted = H.copy()
        lifted.ravel()[:: len(H) + 1] += jitter
        root, failed = _potrf(lifted.T, lower=1)
        if not failed:
            return root
        jitter *= 10.0
