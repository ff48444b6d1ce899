"""How the bends of a function are best shared between neurons that face right and neurons that
face left, so that what remains is affine at least cost: a second-order cone programme."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Array = NDArray[np.float64]
Cones = tuple[Array, Array]
_MOST_STEPS = 80
_PATIENCE = 12
_FRACTION = 0.99
_REFINEMENTS = 2
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Splitting:
    """min sum_j (|R_j| + |L_j|) + sum_k |v_k| + sum_i h_i |Q_i|^2 / 2

    subject to R_j + L_j = W_j and E'(R - L) + d'v + h Q = M. The dual is to maximise

    D(Q) = <M, Q> + sum_j S(E_j Q; W_j) - sum_i h_i |Q_i|^2 / 2,    |E_j Q| <= 1, |d_k Q| <= 1,

    where S(q; W) = max {<P, W> : |P + q| <= 1, |P - q| <= 1}.

    W : (J, T) bends; zero for a pair of neurons whose sum is affine.
    E : (J, m) half the affine functions by which facing right differs from facing left.
    d : (n, m) affine functions to be had from one neuron.
    h : (m,) >= 0; h_i Q_i is a parameter whose square is penalised, 0 where there is none.
    M : (m, T) the affine part to be made; the pairs (W_j = 0) and d must span it.
    """

    W: Array
    E: Array
    d: Array
    h: Array
    M: Array

    def dual_value(self, Q: Array) -> float:
        """D(Q), a lower bound of the minimum where Q is feasible."""
        linear = float(np.sum(self.M * Q)) + float(lens_support(self.E @ Q, self.W).sum())
        return linear - 0.5 * float(self.h @ _squares(Q))


@dataclass(frozen=True, eq=False)
class Split:
    """A point of a `Splitting` and of its dual: R, L (J, T), v (n, T) and Q (m, T)."""

    R: Array
    L: Array
    v: Array
    Q: Array


def lens_support(q: Array, W: Array) -> Array:
    """(J,) S(q; W) of each row, |q| <= 1: the support function of the lens of two unit balls.

    The maximiser is that of one ball where it lies in the other; else it lies on the rim, the
    points of length sqrt(1 - |q|^2) orthogonal to q.
    """
    size, along, square = _norms(W), _dots(q, W), _squares(q)
    share = np.divide(along, square, out=np.zeros_like(along), where=square > 0)
    length = np.sqrt(square)
    rim = np.sqrt(np.maximum((1.0 - length) * (1.0 + length), 0.0)) * _norms(W - share[:, None] * q)
    # |W / |W| -+ 2 q| <= 1
    return np.where(square * size <= np.abs(along), size - np.abs(along), rim)


def split(problem: Splitting, tol: float) -> Split:
    """The minimiser to a relative gap of `tol`, as far as float64 allows.

    Primal-dual interior-point steps with Nesterov-Todd scaling and Mehrotra's correction. Every
    Q is strictly feasible. The 2J + n cones |R_j|, |L_j|, |v_k| meet in Q alone, so that a step
    is O(J T^2) and one factorisation of size m T.
    """
    p, J = problem, len(problem.W)
    pairs = _squares(p.W) == 0
    share = np.linalg.pinv(np.vstack([p.E[pairs], p.d]).T) @ p.M
    R = 0.5 * p.W
    R[pairs] = 0.5 * share[: pairs.sum()]
    L, v = p.W - R, share[pairs.sum() :]
    P, Q = np.zeros_like(p.W), np.zeros_like(p.M)
    x1 = np.vstack([R, L, v])
    x0 = _norms(x1) + _norms(x1).max()
    ones, zeros = np.ones(len(x0)), np.zeros(len(x0))
    best, best_excess, least_mu, waited = Split(R, L, v, Q), np.inf, np.inf, 0
    for _ in range(_MOST_STEPS):
        q = p.E @ Q
        s1 = -np.vstack([P + q, P - q, p.d @ Q])
        missing = p.M - p.E.T @ (R - L) - p.d.T @ v - p.h[:, None] * Q
        excess, primal = _excess(p, R, L, v, Q, missing)
        mu = float(x0.sum() + np.sum(x1 * s1)) / len(x0)
        waited = 0 if excess < 0.5 * best_excess or mu < 0.5 * least_mu else waited + 1
        least_mu = min(mu, least_mu)
        if excess < best_excess:
            best, best_excess = Split(R, L, v, Q), excess
        interior = min(_determinant(x0, x1).min(), _determinant(ones, s1).min()) > 0
        if excess <= tol * primal or waited >= _PATIENCE or not interior:
            break
        scaling = _Scaling(x0, x1, ones, s1)
        try:
            step = _newton(p, scaling, p.W - R - L, missing)
        except (LinAlgError, ValueError):
            break
        square = _product(scaling.point, scaling.point)
        dx0, dx1, ds1, _, _ = step((-square[0], -square[1]))
        reach = min(1.0, _reach(x0, x1, dx0, dx1), _reach(ones, s1, zeros, ds1))
        ahead = float(np.sum(x0 + reach * dx0) + np.sum((x1 + reach * dx1) * (s1 + reach * ds1)))
        centring = min(1.0, max(ahead / len(x0) / mu, 0.0) ** 3) * mu
        bent = _product(scaling.inverse(dx0, dx1), scaling.apply(zeros, ds1))
        dx0, dx1, ds1, dP, dQ = step((centring - square[0] - bent[0], -square[1] - bent[1]))
        reach = min(1.0, _FRACTION * min(_reach(x0, x1, dx0, dx1), _reach(ones, s1, zeros, ds1)))
        x1 = x1 + reach * dx1
        x0 = np.maximum(x0 + reach * dx0, _norms(x1) * (1.0 + 4.0 * _EPS))
        P, Q = P + reach * dP, Q + reach * dQ
        R, L, v = np.split(x1, [J, 2 * J])
    return best


def _excess(p: Splitting, R: Array, L: Array, v: Array, Q: Array, missing: Array) -> tuple[float, float]:
    """The gap once the affine part still missing is paid for, and the primal objective."""
    square = 0.5 * p.h * _squares(Q)
    by_neurons = square + 2.0 * _norms(missing)
    free = p.h > 0
    by_squares = 0.5 * _squares(p.h[free, None] * Q[free] + missing[free]) / p.h[free]
    by_neurons[free] = np.minimum(by_neurons[free], by_squares)
    primal = float(_norms(R).sum() + _norms(L).sum() + _norms(v).sum() + by_neurons.sum())
    return primal - p.dual_value(Q), primal


class _Scaling:
    """W = W' of every cone with W s = W^-1 x, both equal to `point`: W^2 = eta^2 (2 w w' - J)."""

    def __init__(self, x0: Array, x1: Array, s0: Array, s1: Array) -> None:
        x_size, s_size = np.sqrt(_determinant(x0, x1)), np.sqrt(_determinant(s0, s1))
        a0, b0 = x0 / x_size, s0 / s_size
        a1, b1 = x1 / x_size[:, None], s1 / s_size[:, None]
        self.w1 = (a1 - b1) / np.sqrt(2.0 * (1.0 + a0 * b0 + _dots(a1, b1)))[:, None]
        self.w0 = np.sqrt(1.0 + _squares(self.w1))
        self.eta = np.sqrt(x_size / s_size)
        self.point = self.apply(s0, s1)

    def apply(self, y0: Array, y1: Array) -> Cones:
        along = _dots(self.w1, y1)
        y1 = y1 + self.w1 * (y0 + along / (1.0 + self.w0))[:, None]
        return self.eta * (self.w0 * y0 + along), self.eta[:, None] * y1

    def inverse(self, y0: Array, y1: Array) -> Cones:
        along = _dots(self.w1, y1)
        y1 = y1 + self.w1 * (along / (1.0 + self.w0) - y0)[:, None]
        return (self.w0 * y0 - along) / self.eta, y1 / self.eta[:, None]

    def divided(self, y: Cones) -> Cones:
        """W u for the u whose Jordan product with `point` is y."""
        z0, z1 = self.point
        u0 = (z0 * y[0] - _dots(z1, y[1])) / _determinant(z0, z1)
        return self.apply(u0, (y[1] - u0[:, None] * z1) / z0[:, None])


class _Pair:
    """Theta = eta^2 (I + 2 w w') of the two cones of every bend, the stiffer one named first.

    Inverse and parallel sum are formed in the plane of the two w (unit vectors e and f, e the
    stiffer's), where no entry cancels; outside of it they are multiples of the identity.
    """

    def __init__(self, eta_R: Array, w_R: Array, eta_L: Array, w_L: Array) -> None:
        stiff = eta_R**2 * (1.0 + 2.0 * _squares(w_R)) >= eta_L**2 * (1.0 + 2.0 * _squares(w_L))
        self.right_is_stiff = stiff[:, None]
        self.sign = np.where(self.right_is_stiff, 1.0, -1.0)
        t, self.t_soft = np.where(stiff, eta_R, eta_L) ** 2, np.where(stiff, eta_L, eta_R) ** 2
        w, self.w_soft = np.where(stiff[:, None], w_R, w_L), np.where(stiff[:, None], w_L, w_R)
        stretch, stretch_soft = 2.0 * _squares(w), 2.0 * _squares(self.w_soft)
        self.e, soft = _unit(w), _unit(self.w_soft)
        cos = _dots(self.e, soft)
        across = soft - cos[:, None] * self.e
        across = across - _dots(self.e, across)[:, None] * self.e
        sin = _norms(across)
        self.f = np.divide(across, sin[:, None], out=np.zeros_like(across), where=sin[:, None] > 1e-150)
        c2, s2 = cos * cos, sin * sin
        # the inverse of the sum of the two
        h, a, b = t + self.t_soft, t * stretch, self.t_soft * stretch_soft
        det = h * h + h * (a + b) + a * b * s2
        self.outside = 1.0 / h
        self.inner = (h + b * s2) / det, (h + a + b * c2) / det, -b * cos * sin / det
        # 4 (Theta_R^-1 + Theta_L^-1)^-1
        g, g_soft = 1.0 / t, 1.0 / self.t_soft
        k, k_soft = 1.0 / (1.0 + stretch), 1.0 / (1.0 + stretch_soft)
        det = g * g * k + g_soft * g_soft * k_soft
        det += g * g_soft * (k * (c2 + k_soft * s2) + s2 + k_soft * c2)
        self.parallel_outside = 4.0 / (g + g_soft)
        self.parallel = (
            4.0 * (g + g_soft * (c2 + k_soft * s2)) / det,
            4.0 * (g * k + g_soft * (s2 + k_soft * c2)) / det,
            4.0 * g_soft * (1.0 - k_soft) * sin * cos / det,
        )

    def soft(self, y: Array) -> Array:
        """Theta y of the softer cone; the stiffer is never applied, it would blow up rounding."""
        return self.t_soft[:, None] * (y + (2.0 * _dots(self.w_soft, y))[:, None] * self.w_soft)

    def solve(self, y: Array) -> Array:
        """(Theta_R + Theta_L)^-1 y."""
        along, across = _dots(self.e, y), _dots(self.f, y)
        rest = y - along[:, None] * self.e - across[:, None] * self.f
        # twice, for what rounding leaves in the plane would be blown up
        rest = rest - _dots(self.e, rest)[:, None] * self.e - _dots(self.f, rest)[:, None] * self.f
        ee, ff, ef = self.inner
        out = self.outside[:, None] * rest + (ee * along + ef * across)[:, None] * self.e
        return out + (ef * along + ff * across)[:, None] * self.f

    def parallel_sum(self, weight: Array) -> Array:
        """sum_j weight_j 4 (Theta_R^-1 + Theta_L^-1)^-1, (T, T)."""
        (ee, ff, ef), outside = self.parallel, self.parallel_outside
        total = np.eye(self.e.shape[1]) * float(weight @ outside)
        total += self.e.T @ ((weight * (ee - outside))[:, None] * self.e)
        total += self.f.T @ ((weight * (ff - outside))[:, None] * self.f)
        mixed = self.e.T @ ((weight * ef)[:, None] * self.f)
        return total + mixed + mixed.T


def _newton(
    p: Splitting, scaling: _Scaling, missing_bend: Array, missing: Array
) -> Callable[[Cones], tuple[Array, Array, Array, Array, Array]]:
    """Steps (dx0, dx1, ds1, dP, dQ) for right-hand sides of the linearised complementarity."""
    J, (m, n_tasks) = len(p.W), p.M.shape
    eta, w1 = scaling.eta, scaling.w1
    pair = _Pair(eta[:J], w1[:J], eta[J : 2 * J], w1[J : 2 * J])
    t_v, w_v, stretch = eta[2 * J :] ** 2, w1[2 * J :], _squares(w1)
    schur = np.empty((m, n_tasks, m, n_tasks))
    for i in range(m):
        for k in range(i + 1):
            block = pair.parallel_sum(p.E[:, i] * p.E[:, k])
            weight = p.d[:, i] * p.d[:, k] * t_v
            block += np.eye(n_tasks) * (weight.sum() + (p.h[i] if i == k else 0.0))
            block += 2.0 * w_v.T @ (weight[:, None] * w_v)
            schur[i, :, k], schur[k, :, i] = block, block.T
    schur = schur.reshape(m * n_tasks, m * n_tasks)
    unit = 1.0 / np.sqrt(np.diag(schur))
    factor = cho_factor(schur * unit[:, None] * unit, lower=True)

    def step(target: Cones) -> tuple[Array, Array, Array, Array, Array]:
        rho0, rho1 = scaling.divided(target)
        rho_R, rho_L, rho_v = np.split(rho1, [J, 2 * J])
        bend = missing_bend - rho_R - rho_L
        base = pair.solve(bend)
        moved = pair.sign * (bend - 2.0 * pair.soft(base)) + rho_R - rho_L
        lacking = missing - p.E.T @ moved - p.d.T @ rho_v
        dR, dL, dv, da, dQ = rho_R, rho_L, rho_v, np.zeros_like(base), np.zeros_like(p.M)
        for _ in range(_REFINEMENTS):
            more_Q = (unit * cho_solve(factor, unit * lacking.ravel())).reshape(m, n_tasks)
            turn, da_v = pair.sign * (p.E @ more_Q), p.d @ more_Q
            # of the slack of the stiffer cone; that of the softer is 2 turn less
            more_a = base + 2.0 * pair.solve(pair.soft(turn))
            to_soft = pair.soft(more_a - 2.0 * turn)
            dR = dR + np.where(pair.right_is_stiff, bend - to_soft, to_soft)
            dL = dL + np.where(pair.right_is_stiff, to_soft, bend - to_soft)
            dv = dv + t_v[:, None] * (da_v + (2.0 * _dots(w_v, da_v))[:, None] * w_v)
            da, dQ = da + more_a, dQ + more_Q
            base, bend = np.zeros_like(base), np.zeros_like(bend)
            lacking = missing - p.E.T @ (dR - dL) - p.d.T @ dv - p.h[:, None] * dQ
        dq = p.E @ dQ
        da_soft = da - 2.0 * pair.sign * dq
        da_R = np.where(pair.right_is_stiff, da, da_soft)
        da_L = np.where(pair.right_is_stiff, da_soft, da)
        dx1 = np.vstack([dR, dL, dv])
        # from dx1, not from da: along w a rounding of da is blown up, and would leave the cone
        along = _dots(w1, dx1 - rho1) / (1.0 + 2.0 * stretch)
        dx0 = 2.0 * scaling.w0 * along + rho0
        return dx0, dx1, -np.vstack([da_R, da_L, p.d @ dQ]), da - pair.sign * dq, dQ

    return step


def _product(a: Cones, b: Cones) -> Cones:
    """The Jordan product of the second-order cone."""
    return a[0] * b[0] + _dots(a[1], b[1]), a[0][:, None] * b[1] + b[0][:, None] * a[1]


def _determinant(x0: Array, x1: Array) -> Array:
    size = _norms(x1)
    return (x0 - size) * (x0 + size)


def _reach(x0: Array, x1: Array, d0: Array, d1: Array) -> float:
    """The largest step along d that keeps every x in its cone."""
    slope, inside = x0 * d0 - _dots(x1, d1), _determinant(x0, x1)
    root = slope * slope - _determinant(d0, d1) * inside
    below = np.sqrt(np.maximum(root, 0.0)) - slope
    leaves = (root >= 0) & (below > 0)
    return float(np.min(inside[leaves] / below[leaves], initial=np.inf))


def _unit(M: Array) -> Array:
    size = _norms(M)[:, None]
    unit = np.divide(M, size, out=np.zeros_like(M), where=size > 0)
    unit[size[:, 0] == 0, 0] = 1.0
    return unit


def _dots(a: Array, b: Array) -> Array:
    return np.einsum("ij,ij->i", a, b)


def _squares(M: Array) -> Array:
    return _dots(M, M)


def _norms(M: Array) -> Array:
    return np.sqrt(_squares(M))
