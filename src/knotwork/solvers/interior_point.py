"""The dense regime, where a large share of the data are knots: everything is banded there.

minimise sum w (f - y)^2 / 2 + lam sum_j t_j subject to |D f|_j <= t_j over fitted values, D the
changes of slope, by a primal-dual interior-point method with Nesterov-Todd scaling and Mehrotra's
corrector (Vandenberghe 2010). The Newton system D W^-1 D' + H has bandwidth 2T. Labels with
infinite weight are interpolated: so `lam = 0` with missing labels is solved here too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded

from ..dual_norm.knots import dual_point_of, row_norms, slope_changes
from .cones import ConeScaling, cone_reach, divide, dual_reach

Array = NDArray[np.float64]
_MAX_STEPS = 100
_PATIENCE = 10
_MOST_DAMPING = 1e-6


@dataclass(frozen=True, eq=False)
class Iterate:
    """Fitted values (n, T), their changes of slope and the dual potential p (n - 2, T), the gap
    sum <s, z> that these leave, and whether the dual point is stationary to rounding."""

    values: Array
    bends: Array
    p: Array
    complementarity: float
    settled: bool


def interior_point(
    x: Array, y: Array, weight: Array, lam: float, step_done: Callable[[Iterate], bool]
) -> Iterate:
    """Iterate until `step_done` or until float64 allows no further step.

    x : (n,) increasing, n >= 3.  y : (n, T) labels, anything where the weight is 0.
    weight : (n, T); 0 marks a missing label, infinity an interpolated one.
    """
    n_bends = len(x) - 2
    seen, interpolated = weight > 0, np.isinf(weight)
    y = np.where(seen, y, 0.0)
    finite = np.where(interpolated, 0.0, weight)
    f = _fill_gaps(x, y, seen)
    # missing labels get a proximal term, small beside what the bends around them ask for; its
    # pull vanishes as the steps do
    pull = 1e-7 * lam * _slope_scale(np.diff(x))[:, None] / (float(np.abs(f).max()) or 1.0)
    omega = np.where(seen, 1.0 / np.where(seen, weight, 1.0), 1.0 / pull)
    gram = _difference_gram(np.diff(x), omega)

    u = slope_changes(x, f)
    size = row_norms(u)
    t = np.sqrt(size * size + (float(np.mean(size * size)) or 1.0))
    z = np.zeros_like(u)
    least, since = float("inf"), 0
    for step_number in range(_MAX_STEPS + 1):
        dual = dual_point_of(x, z)
        residual = np.where(interpolated, 0.0, finite * (f - y) - dual)
        complement = t * lam + np.einsum("ij,ij->i", u, z)
        settled = np.abs(residual).max() <= 1e-9 * np.abs(dual).max()
        state = Iterate(f, u, -z, float(complement.sum()), bool(settled))
        if state.complementarity < 0.5 * least:
            least, since = state.complementarity, step_number
        if step_done(state) or step_number == _MAX_STEPS or step_number - since > _PATIENCE:
            return state
        scaling = ConeScaling(t, u, lam, z)
        try:
            newton = _Newton(x, omega, gram, scaling, residual, slope_changes(x, f) - u)
        except np.linalg.LinAlgError:
            return state

        l0, l1 = scaling.point
        dt, du, dz, _ = newton.direction(-l0, -l1)
        reach = min(1.0, cone_reach(t, u, dt, du), dual_reach(lam, z, dz))
        mu = float(complement.sum()) / n_bends
        ahead = (t + reach * dt) * lam + np.einsum("ij,ij->i", u + reach * du, z + reach * dz)
        centring = min(1.0, max(float(ahead.mean()) / mu, 0.0)) ** 3 * mu

        a0, a1 = scaling.inverse_times(dt, du)
        b0, b1 = scaling.times(np.zeros(n_bends), dz)
        c0 = centring - (a0 * b0 + np.einsum("ij,ij->i", a1, b1))
        c1 = -(a0[:, None] * b1 + b0[:, None] * a1)
        q0, q1 = divide(l0, l1, c0, c1)
        dt, du, dz, df = newton.direction(q0 - l0, q1 - l1)
        step = min(1.0, 0.99 * min(cone_reach(t, u, dt, du), dual_reach(lam, z, dz)))
        t, u, z, f = t + step * dt, u + step * du, z + step * dz, f + step * df
        inside = np.all(t > row_norms(u)) and np.all(row_norms(z) < lam)
        if not (step > 1e-8 and inside and np.isfinite(f).all()):
            return state
    raise AssertionError("unreachable: the last step returns")


class _Newton:
    """One factorised Newton system; its right-hand sides differ in the complementarity alone."""

    def __init__(
        self,
        x: Array,
        omega: Array,
        gram: tuple[Array, Array, Array],
        scaling: ConeScaling,
        residual: Array,
        infeasible: Array,
    ) -> None:
        self.x, self.omega, self.scaling, self.residual = x, omega, scaling, residual
        self.factor = _factorise(_system(gram, scaling))
        self.push = slope_changes(x, omega * residual) - infeasible

    def direction(self, r0: Array, r1: Array) -> tuple[Array, Array, Array, Array]:
        """(dt, du, dz, df) with W^-1 ds + W dz = r, D df - du = -infeasible, and stationarity."""
        x0, x1 = self.scaling.times(r0, r1)
        right = (x1 + self.push).ravel()
        dz = cho_solve_banded((self.factor, True), right, check_finite=False).reshape(x1.shape)
        q0, q1 = self.scaling.square_times(dz)
        return x0 - q0, x1 - q1, dz, self.omega * (dual_point_of(self.x, dz) - self.residual)


def _factorise(bands: Array) -> Array:
    """The banded Cholesky factor, of a matrix as little larger as rounding asks for: what that
    costs in a direction, the next step mends."""
    damping = 1e-15
    while True:
        try:
            return cholesky_banded(bands, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            if damping > _MOST_DAMPING:
                raise
            bands[0] *= 1.0 + damping
            damping *= 10.0


def _fill_gaps(x: Array, y: Array, seen: NDArray[np.bool_]) -> Array:
    filled = y.copy()
    for t in np.flatnonzero(~seen.all(axis=0)):
        filled[:, t] = np.interp(x, x[seen[:, t]], y[seen[:, t], t])
    return filled


def _slope_scale(h: Array) -> Array:
    """(n,) how strongly a unit of value at each point changes the slopes beside it."""
    steep = 1.0 / h
    return np.append(steep, 0.0) + np.append(0.0, steep)


def _difference_gram(h: Array, omega: Array) -> tuple[Array, Array, Array]:
    """The three bands (m, T), (m - 1, T), (m - 2, T) of D diag(omega) D'."""
    a, c = (1.0 / h[:-1])[:, None], (1.0 / h[1:])[:, None]
    b = -(a + c)
    first = a * a * omega[:-2] + b * b * omega[1:-1] + c * c * omega[2:]
    second = b[:-1] * a[1:] * omega[1:-2] + c[:-1] * b[1:] * omega[2:-1]
    third = c[:-2] * a[2:] * omega[2:-2]
    return first, second, third


def _system(gram: tuple[Array, Array, Array], scaling: ConeScaling) -> Array:
    """Lower bands (2T + 1, m T) of D diag(omega) D' + eta^2 (I + 2 w1 w1')."""
    m, n_tasks = scaling.w1.shape
    square = (scaling.eta * scaling.eta)[:, None]
    w1 = scaling.w1
    bands = np.zeros((2 * n_tasks + 1, m, n_tasks))
    bands[0] = gram[0] + square * (1.0 + 2.0 * w1 * w1)
    for k in range(1, n_tasks):
        bands[k, :, : n_tasks - k] = 2.0 * square * w1[:, : n_tasks - k] * w1[:, k:]
    bands[n_tasks, :-1] = gram[1]
    bands[2 * n_tasks, :-2] = gram[2]
    return bands.reshape(2 * n_tasks + 1, m * n_tasks)
