"""What a user would pick instead, on min sum (y - f)^2 / 2 + lam sum_j |slope change_j|_2."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse import csr_matrix, diags_array

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PeerResult:
    """Fitted values' objective, seconds to state the problem and to solve it, and how it ended."""

    primal: float
    compile_seconds: float
    solve_seconds: float
    status: str

    @property
    def seconds(self) -> float:
        return self.compile_seconds + self.solve_seconds

    def excess(self, dual: float) -> float:
        """How far the objective lies above a lower bound of the optimum, relative to it."""
        return self.primal / dual - 1.0


def second_differences(x: Array) -> csr_matrix:
    """(n - 2, n) D with (D f)_j the change of slope at x_{j + 1}."""
    r = 1.0 / np.diff(x)
    return csr_matrix(
        diags_array([r[:-1], -r[:-1] - r[1:], r[1:]], offsets=[0, 1, 2], shape=(len(x) - 2, len(x)))
    )


def objective(x: Array, Y: Array, lam: float, fitted: Array) -> float:
    bends = np.diff(np.diff(fitted, axis=0) / np.diff(x)[:, None], axis=0)
    return 0.5 * float(np.sum((Y - fitted) ** 2)) + lam * float(np.linalg.norm(bends, axis=1).sum())


def cvxpy_clarabel(x: Array, Y: Array, lam: float) -> PeerResult:
    """CVXPY with Clarabel at its default tolerances (1e-8)."""
    began = time.perf_counter()
    F = cp.Variable(Y.shape)
    cost = 0.5 * cp.sum_squares(Y - F) + lam * cp.sum(cp.norm(second_differences(x) @ F, 2, axis=1))
    problem = cp.Problem(cp.Minimize(cost))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        total, compiled = time.perf_counter() - began, float(problem.compilation_time or 0.0)
        return PeerResult(np.nan, compiled, total - compiled, "failed")
    total, solved = time.perf_counter() - began, float(problem.solver_stats.solve_time)
    return PeerResult(objective(x, Y, lam, F.value), total - solved, solved, problem.status)


def banded_interior_point(
    x: Array, Y: Array, lam: float, tol: float = 1e-8, max_steps: int = 60
) -> PeerResult:
    """Nesterov-Todd predictor-corrector (Vandenberghe 2010) on the cones s_j = (t_j, u_j) and
    (lam, z_j), with u = D f and f = Y + D'z: one LAPACK banded Cholesky of D D' + W^2, bandwidth
    2T, a step."""
    began = time.perf_counter()
    D = second_differences(x)
    m, n_tasks = D.shape[0], Y.shape[1]
    gram = (D @ D.T).tocsr()
    base = np.zeros((2 * n_tasks + 1, m * n_tasks))
    for k in range(3):
        base[k * n_tasks, : (m - k) * n_tasks] = np.repeat(gram.diagonal(k), n_tasks)
    u = D @ Y
    size = np.linalg.norm(u, axis=1)
    s = np.column_stack([size + size.mean(), u])
    z = np.column_stack([np.full(m, lam), np.zeros_like(u)])
    fitted, status = Y, "max_steps"
    for _ in range(max_steps):
        bends, residual = D @ fitted, fitted - Y - D.T @ z[:, 1:]
        mu, drift = np.sum(s * z) / m, bends - s[:, 1:] - D @ residual
        if mu * m <= tol * objective(x, Y, lam, fitted):
            status = "optimal"
            break
        w = _unit(s) + _flip(_unit(z))
        w /= np.sqrt(2.0 * (1.0 + np.sum(_unit(s) * _unit(z), axis=1)))[:, None]
        eta = np.sqrt(_length(s) / _length(z))[:, None]
        scaled = _scale(w, eta, z)
        band = base.copy()
        for k in range(n_tasks):
            blocks = band[k].reshape(m, n_tasks)
            blocks[:, : n_tasks - k] += 2.0 * eta**2 * w[:, 1 + k :] * w[:, 1 : n_tasks - k + 1]
        band[0] += np.repeat(eta[:, 0] ** 2, n_tasks)
        factor = _factorise(band)
        if factor is None:
            status = "not positive definite"
            break

        def newton(r, s=s, z=z, w=w, eta=eta, factor=factor, drift=drift):
            right = _scale(w, eta, r)
            dz = np.zeros_like(right)
            dz[:, 1:] = cho_solve_banded((factor, True), (right[:, 1:] - drift).ravel()).reshape(m, n_tasks)
            ds = right - _scale(w, eta, _scale(w, eta, dz))
            return ds, dz, min(1.0, _reach(s, ds), _reach(z, dz))

        ds, dz, step = newton(-scaled)
        sigma = (np.sum((s + step * ds) * (z + step * dz)) / m / mu) ** 3
        a, b = _scale(_flip(w), 1.0 / eta, ds), _scale(w, eta, dz)
        r = -np.column_stack([np.sum(a * b, axis=1), a[:, :1] * b[:, 1:] + b[:, :1] * a[:, 1:]])
        r[:, 0] += sigma * mu
        q0 = np.sum(_flip(scaled) * r, axis=1) / _length(scaled) ** 2
        q = np.column_stack([q0, (r[:, 1:] - q0[:, None] * scaled[:, 1:]) / scaled[:, :1]])
        ds, dz, _ = newton(q - scaled)
        step = min(1.0, 0.99 * min(_reach(s, ds), _reach(z, dz)))
        s, z = s + step * ds, z + step * dz
        fitted = fitted + step * (D.T @ dz[:, 1:] - residual)
        if not (step > 1e-8 and np.all(_length(s) > 0) and np.all(_length(z) > 0)):
            status = "stalled"
            break
    return PeerResult(objective(x, Y, lam, fitted), 0.0, time.perf_counter() - began, status)


def _factorise(band: Array) -> Array | None:
    """Banded Cholesky, damped by as little as rounding asks for."""
    for damping in (0.0, 1e-15, 1e-13, 1e-11, 1e-9):
        band[0] *= 1.0 + damping
        try:
            return cholesky_banded(band, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            continue
    return None


def _flip(v: Array) -> Array:
    return np.column_stack([v[:, 0], -v[:, 1:]])


def _length(v: Array) -> Array:
    size = np.linalg.norm(v[:, 1:], axis=1)
    return np.sqrt(np.maximum((v[:, 0] - size) * (v[:, 0] + size), 0.0))


def _unit(v: Array) -> Array:
    return v / _length(v)[:, None]


def _scale(w: Array, eta: Array, v: Array) -> Array:
    """W v, the Nesterov-Todd scaling with point w and size eta."""
    inner = np.sum(w[:, 1:] * v[:, 1:], axis=1)
    along = (v[:, 0] + inner / (1.0 + w[:, 0]))[:, None]
    return eta * np.column_stack([w[:, 0] * v[:, 0] + inner, v[:, 1:] + along * w[:, 1:]])


def _reach(v: Array, dv: Array) -> float:
    """The longest step that keeps v in the cones."""
    a = np.sum(_flip(dv) * dv, axis=1)
    b = np.sum(_flip(v) * dv, axis=1)
    c = _length(v) ** 2
    below = np.sqrt(np.maximum(b * b - a * c, 0.0)) - b
    return float(np.min(np.where(below > 0, c / np.where(below > 0, below, 1.0), np.inf)))
