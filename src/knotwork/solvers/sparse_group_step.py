"""Shared and private knots: the convex problem that is left when the candidate knots are known.

With masses eta >= 0, lam |v|_2 = min (lam / 2) (|v|^2 / eta + eta) makes the tasks separate. The dual
point rho_t of each solves rho + R diag(eta) q(R' rho) / lam = C with q the soft threshold of
`KnotPenalty`: the stationary point of a strongly convex, piecewise quadratic function, found by a
semismooth Newton method. What remains, g(eta), is convex with one variable per knot, as in
`corrective.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ..certificate.knot_penalty import KnotPenalty, column_space
from ..dual_norm.knots import row_norms
from ..points import Mask

Array = NDArray[np.float64]
_MAX_STEPS = 80
_INNER_STEPS = 60
_LOOSE = 1e-3
_FLAT = 1e-11
_ROUNDING = 1e-13
_SHORTEST = 1e-3
_REFINEMENTS = 2


@dataclass(frozen=True, eq=False)
class Features:
    """Least squares in rotated coordinates, its free parts projected out.

    R : (P, n, K) hinges of the penalised knots; P = 1 where the tasks share them, else T.
    C : (T, n) labels.
    to_free : (P, f, n) the free parts' coefficients from what of the `labels` (P, n, T / P) the
        `hinges` (P, n, K), both before the projection, leave.
    """

    R: Array
    C: Array
    to_free: Array
    hinges: Array
    labels: Array

    @classmethod
    def of(cls, table: Array, free: Mask) -> Features:
        """From a `moments_factor`; `free` (f + K,) says which of its features cost nothing."""
        n = len(free)
        basis, inverse = column_space(table[:, :, :n][:, :, free])
        across = basis.transpose(0, 2, 1)
        hinges, labels = table[:, :, :n][:, :, ~free], table[:, :, n:]
        C = labels - basis @ (across @ labels)
        C = C[0].T if len(C) == 1 else C[:, :, 0]
        R = hinges - basis @ (across @ hinges)
        return cls(R, np.ascontiguousarray(C), inverse @ across, hinges, labels)

    def free_parts(self, V: Array) -> Array:
        """(f, T) the best coefficients of the free parts beside jumps V (K, T)."""
        shared = len(self.R) == 1
        rest = self.labels - self.hinges @ (V[None] if shared else V.T[:, :, None])
        free = self.to_free @ rest
        return free[0] if shared else free[:, :, 0].T

    def respond(self, rho: Array) -> Array:
        """R' rho, (K, T), of rho (T, n)."""
        return (rho[:, None, :] @ self.R)[:, 0].T

    def fit(self, V: Array) -> Array:
        """R V, (T, n), of V (K, T)."""
        return (self.R @ V.T[:, :, None])[:, :, 0]


@dataclass(frozen=True, eq=False)
class State:
    """At masses eta: g, the dual point rho (T, n), q (K, T) and its norms (K,), z = R' rho (K, T), and
    the inverses of lam I + R_A diag(eta) R_A' (T, n, n), A the knots that each task uses."""

    eta: Array
    value: float
    rho: Array
    z: Array
    q: Array
    norms: Array
    inverse: Array


def fit_knots(
    features: Features,
    penalty: KnotPenalty,
    eta: Array,
    z: Array,
    tol: float,
    loose: float,
    out_of_time: Callable[[], bool],
) -> tuple[Array, Array]:
    """Masses (K,) and jumps V (K, T) to a duality gap of at most `tol`; or of at most `loose`, when that
    is also small beside the objective; or as far as time allows. `z` (K, T) is a guess of R' rho.

    Newton's method on g, each step a quadratic programme over eta >= 0 (NNLS), with a line search.
    """
    rho = _newton_point(features, penalty.lam, eta, z, penalty.shrink(z))[0]
    state = _evaluate(features, penalty, eta, rho)
    gap = _gap(state, penalty)
    for _ in range(_MAX_STEPS):
        if gap <= tol or gap <= min(loose, _LOOSE * state.value) or out_of_time():
            break
        slopes = 0.5 * penalty.lam * (1.0 - (state.norms / penalty.lam) ** 2)
        direction = _newton_target(features, penalty.lam, state, slopes) - state.eta
        decrease = -float(slopes @ direction)
        # near the optimum g no longer tells steps apart, but the gap, of first order, does
        flat = decrease <= _FLAT * state.value
        step = 1.0
        while True:
            trial = np.maximum(state.eta + step * direction, 0.0)
            moved = _evaluate(features, penalty, trial, state.rho)
            moved_gap = _gap(moved, penalty)
            if moved_gap < gap if flat else moved.value <= state.value - 1e-4 * step * decrease:
                break
            step *= 0.5
            if flat or step < 1e-10:
                return state.eta, _jumps(state, penalty)
        stuck = flat and not moved_gap < 0.99 * gap
        state, gap = moved, moved_gap
        if stuck:
            break
    return state.eta, _jumps(state, penalty)


def _jumps(state: State, penalty: KnotPenalty) -> Array:
    return state.eta[:, None] * state.q / penalty.lam


def _evaluate(features: Features, penalty: KnotPenalty, eta: Array, rho: Array) -> State:
    """g at eta, by a semismooth Newton method with a line search for each task, from `rho`; once no task
    changes its knots it has ended."""
    C, lam, share = features.C, penalty.lam, eta[:, None] / penalty.lam
    z = features.respond(rho)
    q = penalty.shrink(z)
    merit = _merit(rho, C, q, share)
    target, inverse = _newton_point(features, lam, eta, z, q)
    for _ in range(_INNER_STEPS):
        step = np.ones((len(C), 1))
        while True:
            moved = rho + step * (target - rho)
            z = features.respond(moved)
            moved_q = penalty.shrink(z)
            moved_merit = _merit(moved, C, moved_q, share)
            worse = (moved_merit > merit + _ROUNDING * np.abs(merit)) & (step[:, 0] > 0.0)
            if not worse.any():
                break
            step[worse] *= np.where(step[worse] > _SHORTEST, 0.5, 0.0)
        ended = bool(np.all(step == 1.0)) and np.array_equal(np.sign(moved_q), np.sign(q))
        rho, q, merit = moved, moved_q, moved_merit
        if ended or not step.any():
            break
        target, inverse = _newton_point(features, lam, eta, z, q)
    # what rounding of the inverse leaves of the equation
    off = C - rho - features.fit(share * q)
    for _ in range(_REFINEMENTS):
        moved = rho + lam * (inverse @ off[:, :, None])[:, :, 0]
        moved_z = features.respond(moved)
        moved_q = penalty.shrink(moved_z)
        moved_off = C - moved - features.fit(share * moved_q)
        if not np.vdot(moved_off, moved_off) < np.vdot(off, off):
            break
        rho, z, q, off = moved, moved_z, moved_q, moved_off
    norms = row_norms(q)
    value = 0.5 * float(np.vdot(rho, rho)) + penalty.lam_private * float(np.abs(share * q).sum())
    value += 0.5 * float(eta @ (norms * norms)) / lam + 0.5 * lam * float(eta.sum())
    return State(eta, value, rho, z, q, norms, inverse)


def _newton_point(features: Features, lam: float, eta: Array, z: Array, q: Array) -> tuple[Array, Array]:
    """The dual points (T, n) if every task used the knots where q is not 0, and the inverses (T, n, n)."""
    R, C = features.R, features.C
    mass = np.where(q != 0, eta[:, None], 0.0)
    S = (R * mass.T[:, None, :]) @ R.transpose(0, 2, 1)
    S.reshape(len(S), -1)[:, :: S.shape[1] + 1] += lam
    inverse = np.asarray(np.linalg.inv(S), dtype=np.float64)
    right = lam * C + features.fit(mass * (z - q))
    return (inverse @ right[:, :, None])[:, :, 0], inverse


def _merit(rho: Array, C: Array, q: Array, share: Array) -> Array:
    """(T,) |rho|^2 / 2 - C rho + sum_k eta_k q_k^2 / (2 lam), least at the dual points of the tasks."""
    return 0.5 * np.sum(rho * rho, axis=1) - np.sum(C * rho, axis=1) + 0.5 * np.sum(share * q * q, axis=0)


def _gap(state: State, penalty: KnotPenalty) -> float:
    """Primal at V = eta q / lam less dual at rho, scaled to feasibility."""
    V = _jumps(state, penalty)
    scale = float(penalty.scale(state.z[state.norms > penalty.lam]).min())
    terms = penalty.cost(V) - scale * np.einsum("kt,kt->k", V, state.z)
    return float(np.maximum(terms, 0.0).sum()) + 0.5 * (1.0 - scale) ** 2 * float(np.sum(state.rho**2))


def _newton_target(features: Features, lam: float, state: State, slopes: Array) -> Array:
    # a knot without mass that would not gain any stays so
    moving = np.flatnonzero((state.eta > 0) | (slopes < 0))
    R, q = features.R[:, :, moving], state.q[moving].T
    curvature = R.transpose(0, 2, 1) @ (state.inverse @ R)
    H = np.sum(curvature * q[:, :, None] * q[:, None, :], axis=0) / lam
    target = np.zeros_like(state.eta)
    # one that the data hardly see has no curvature: its mass is for nothing
    diagonal = H.diagonal()
    seen = diagonal > 1e-20 * float(diagonal.max(initial=0.0))
    if not seen.any():
        return target
    moving, H = moving[seen], H[np.ix_(seen, seen)]
    scale = 1.0 / np.sqrt(diagonal[seen])
    L = _root(H * scale * scale[:, None])
    goal = L.T @ (state.eta[moving] / scale) - np.linalg.solve(L, slopes[moving] * scale)
    target[moving] = nnls(np.ascontiguousarray(L.T), goal, maxiter=30 * len(L))[0] * scale
    return target


def _root(H: Array) -> Array:
    """The Cholesky factor of H (K, K), of unit diagonal, and of as little more as rounding asks for."""
    jitter = 1e-15 * len(H)
    while True:
        try:
            return np.asarray(np.linalg.cholesky(H + jitter * np.eye(len(H))), dtype=np.float64)
        except np.linalg.LinAlgError:
            jitter *= 10.0
