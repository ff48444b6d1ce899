"""The least cost of given predictions over a fixed dictionary of neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

Array = NDArray[np.float64]
_MAX_STEPS = 150
_FRACTION = 0.99
_LEAST_CENTRING = 1e-3
_WELL_CONDITIONED = 1e-7
_RANK = 1e-14


@dataclass(frozen=True, eq=False)
class Masses:
    """Masses eta (K,) and the dual point `alpha` (n, r) at them.

    response : (K, r) Phi' alpha; the output weights are eta_k response_k.
    cost : of these output weights and of the fixed features together.
    bound : a proven lower bound of the least cost.
    """

    eta: Array
    alpha: Array
    response: Array
    cost: float
    bound: float


@dataclass(frozen=True, eq=False)
class Dictionary:
    """min sum_k |v_k| + |u|_F^2 / 2 subject to Phi V + fixed u = C.

    As |v| = min over eta >= 0 of (|v|^2 / eta + eta) / 2, it is the minimum over eta >= 0 of
    h(eta) = (tr C' S^-1 C + sum eta) / 2, S = Phi diag(eta) Phi' + fixed fixed', attained at
    alpha = S^-1 C, V = eta Phi' alpha, u = fixed' alpha. A dual point bounds it from below by
    <alpha, C> - |fixed' alpha|_F^2 / 2 where |alpha' phi_k| <= 1.

    Phi : (n, K).  fixed : (n, m).  C : (n, r).  The rank of [Phi, fixed] is n.
    """

    Phi: Array
    fixed: Array
    C: Array

    def of(self, neurons: NDArray[np.bool_]) -> Dictionary:
        """With these neurons (K,) only."""
        return Dictionary(self.Phi[:, neurons], self.fixed, self.C)

    def at(self, eta: Array) -> Masses:
        """The best output weights at these masses, some of which may be 0.

        They cost at most h(eta): with eta_k = |v_k| no more than any V that makes C.
        """
        features = np.hstack([self.Phi * np.sqrt(eta), self.fixed])
        R = np.asarray(np.linalg.qr(features.T, mode="r"))
        size = np.abs(np.diag(R))
        if len(R) == R.shape[1] and size.min(initial=1.0) > _WELL_CONDITIONED * size.max(initial=0.0):
            alpha = solve_triangular(R, solve_triangular(R, self.C, trans=1))
        else:
            U, s, _ = np.linalg.svd(features, full_matrices=False)
            kept = s > _RANK * s.max(initial=0.0)
            alpha = U[:, kept] @ ((U[:, kept].T @ self.C) / s[kept, None] ** 2)
        return self.judge(eta, alpha)

    def judge(self, eta: Array, alpha: Array) -> Masses:
        response = self.Phi.T @ alpha
        norms = np.linalg.norm(response, axis=1)
        u = self.fixed.T @ alpha
        square = float(np.sum(u * u))
        scale = 1.0 / max(1.0, float(norms.max(initial=0.0)))
        bound = scale * float(np.sum(alpha * self.C)) - 0.5 * scale**2 * square
        return Masses(eta, alpha, response, float(eta @ norms) + 0.5 * square, bound)


class _State(NamedTuple):
    """h, alpha, Phi' alpha and Phi' S^-1 Phi at masses > 0."""

    value: float
    alpha: Array
    response: Array
    M: Array

    @property
    def gradient(self) -> Array:
        return 0.5 * (1.0 - np.sum(self.response**2, axis=1))


def least_masses(dictionary: Dictionary, tol: float) -> Masses:
    """Masses of the least cost, to a relative duality gap of `tol` or as far as float64 goes.

    A primal-dual interior-point method on h: one symmetric K x K system a step, whatever the numbers
    of data and tasks. It ends inside the set of solutions, where every neuron that may have mass does.
    """
    K = dictionary.Phi.shape[1]
    eta = _start(dictionary)
    state = _evaluate(dictionary, eta)
    z = np.maximum(state.gradient, 0.1)
    best = dictionary.judge(eta, state.alpha)
    for _ in range(_MAX_STEPS):
        if best.cost - best.bound <= tol * best.cost:
            break
        gradient, mu = state.gradient, float(eta @ z) / K
        H = state.M * (state.response @ state.response.T)
        H[np.diag_indices(K)] += z / eta
        scale = 1.0 / np.sqrt(np.diag(H))
        factor = _factor(H * scale * scale[:, None])
        # a step towards mu = 0 says how much centring the next one needs
        d = -scale * cho_solve(factor, scale * gradient)
        dz = -z * d / eta - z
        left = float((eta + _reach(eta, d) * d) @ (z + _reach(z, dz) * dz)) / K
        goal = min(max((left / mu) ** 3, _LEAST_CENTRING), 1.0) * mu
        d = scale * cho_solve(factor, scale * (goal / eta - gradient))
        dz = (goal - z * d) / eta - z
        step = _line_search(dictionary, eta, state, d, goal)
        if step is None:
            break
        eta, state = step
        z = np.maximum(z + _reach(z, dz) * dz, _LEAST_CENTRING * goal / eta)
        now = dictionary.judge(eta, state.alpha)
        if now.cost - now.bound < best.cost - best.bound:
            best = now
    return best


def _line_search(
    dictionary: Dictionary, eta: Array, state: _State, d: Array, goal: float
) -> tuple[Array, _State] | None:
    """Along d, a point of less h - goal sum log eta; None where rounding hides any."""
    merit = state.value - goal * float(np.log(eta).sum())
    slope = float((state.gradient - goal / eta) @ d)
    noise = 1e-12 * abs(merit)
    step = _reach(eta, d)
    while step > 1e-8:
        trial = eta + step * d
        moved = _evaluate(dictionary, trial)
        if moved.value - goal * float(np.log(trial).sum()) <= merit + 1e-4 * step * slope + noise:
            return trial, moved
        step *= 0.5
    return None


def _start(dictionary: Dictionary) -> Array:
    """Equal masses at which the largest response is a little below 1."""
    K = dictionary.Phi.shape[1]
    mass = 1.0
    for _ in range(100):
        S = mass * dictionary.Phi @ dictionary.Phi.T + dictionary.fixed @ dictionary.fixed.T
        alpha = cho_solve(_factor(S), dictionary.C)
        size = float(np.linalg.norm(dictionary.Phi.T @ alpha, axis=1).max())
        if 0.3 <= size <= 0.9:
            break
        mass *= max(size / 0.6, 1e-6)
    return np.full(K, mass)


def _evaluate(dictionary: Dictionary, eta: Array) -> _State:
    S = (dictionary.Phi * eta) @ dictionary.Phi.T + dictionary.fixed @ dictionary.fixed.T
    L = _factor(S)[0]
    Z = solve_triangular(L, dictionary.Phi, lower=True)
    y = solve_triangular(L, dictionary.C, lower=True)
    value = 0.5 * (float(np.sum(y * y)) + float(eta.sum()))
    alpha = solve_triangular(L, y, lower=True, trans=1)
    return _State(value, alpha, dictionary.Phi.T @ alpha, Z.T @ Z)


def _factor(S: Array) -> tuple[Array, bool]:
    """The Cholesky factor of S, with as little more on its diagonal as rounding asks for."""
    jitter = 0.0
    while True:
        try:
            return cho_factor(S + jitter * np.diag(np.diag(S)), lower=True)
        except np.linalg.LinAlgError:
            jitter = max(10.0 * jitter, 1e-16 * len(S))


def _reach(a: Array, d: Array) -> float:
    """The step along d, at most 1, that leaves a > 0."""
    falling = d < 0
    return min(1.0, _FRACTION * float(np.min(a[falling] / -d[falling], initial=np.inf)))
