"""The best dual point, and its multipliers, under the doubly non-negative relaxation of the dual norm.

    minimise (lam / 2) sum_j (|w_j|^2 + |v_j|^2) + loss(sum_j z_j v_j')

over lifts j (`relaxation.py`), products of (u, z, v) relaxed to a positive semidefinite matrix whose
products of (z, s) are >= 0 and of z_i s_i 0; at rank one that is the network's objective. (z, s) lies in
a subspace with orthonormal basis `basis`, so that positive semidefiniteness there and the signs are two
sets with a projection each: alternating directions (over-relaxed, the penalty balanced) need one
eigenvalue problem of p + n + T a step. The scaled duals of the signs are the multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .relaxation import Lift

Array = NDArray[np.float64]
_OVER = 1.6
_BALANCE_EVERY, _MOST, _BALANCED = 25, 2.0, 1.2
_FLAT = 1e-5


@dataclass(frozen=True, eq=False)
class Quadratic:
    """<alpha, y> - sum e alpha^2 / 2 - |Z' alpha|^2 / (2 ridge), ridge = 0 for Z' alpha = 0: the dual
    objective or a model of it. y, e (N, T), e infinite where alpha must be 0; Z (N, q)."""

    y: Array
    e: Array
    Z: Array
    ridge: float

    def proximal(self, r: Array, kappa: Array) -> Array:
        """(N, T) the maximiser of <alpha, r> - ... - sum kappa_i alpha_it^2 / 2."""
        D = 1.0 / (self.e + kappa[:, None])
        gram = np.einsum("np,nt,nq->tpq", self.Z, D, self.Z, optimize=True)
        core = np.linalg.pinv(gram + self.ridge * np.eye(self.Z.shape[1]), rcond=1e-12, hermitian=True)
        along = np.einsum("tpq,qt->pt", core, self.Z.T @ (D * r))
        return D * (r - self.Z @ along)


class Splitting:
    """Alternating directions, from unit neurons that see (K, N) of the data and weigh V (K, T). `advance`
    them, then read `alpha` (N, T) and `multipliers`: nearly the best dual point, and what proves it."""

    def __init__(self, lifts: list[Lift], quadratic: Quadratic, lam: float, seen: Array, V: Array) -> None:
        self.quadratic, self.lam = quadratic, lam
        self.rows = np.array([lift.rows for lift in lifts])
        L, n = self.rows.shape
        T = quadratic.y.shape[1]
        self.counts = np.bincount(self.rows.ravel(), minlength=len(quadratic.y)).astype(np.float64)
        bases, norms = zip(*(_coordinates(lift) for lift in lifts), strict=True)
        Q, square = np.array(bases), np.array(norms)
        eye = np.broadcast_to(np.eye(n), (L, n, n))
        self.z = np.concatenate([Q, eye], axis=2) / np.sqrt(2.0)
        self.s = np.concatenate([-Q, eye], axis=2) / np.sqrt(2.0)
        self.basis = np.concatenate([self.z, self.s], axis=1)
        # units in which a typical |t|^2 is that of a unit neuron
        self.unit = float(np.sqrt(1.0 / np.median(square[square > 0])))
        linear = np.concatenate([square * self.unit**2, np.zeros((L, n)), np.ones((L, T))], axis=1)
        self.linear = 0.5 * lam * linear
        self.C, self.U = np.zeros((L, 2 * n, 2 * n)), np.zeros((L, n, T))
        self.dual_C, self.dual_U = np.zeros_like(self.C), np.zeros_like(self.U)
        self.U_s, self.V = np.zeros_like(self.U), np.zeros((L, T, T))
        self.alpha = np.zeros_like(quadratic.y)
        # the trace is of the size of the neurons' cost
        least = 1e-3 * float(np.abs(quadratic.y).max(initial=0.0)) / self.unit
        mass = max(float(np.linalg.norm(V, axis=1).sum()), least)
        self.penalty = L * lam / mass if mass > 0.0 else 1.0
        self.steps = 0
        self._start(seen, V)

    @cached_property
    def _cross(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        i, n = np.arange(self.rows.shape[1]), self.rows.shape[1]
        return np.concatenate([i, i + n]), np.concatenate([i + n, i])

    def _start(self, seen: Array, V: Array) -> None:
        """The products of the neurons, each in the lift that leaves out the data on its kink."""
        n = self.U.shape[1]
        for t, v, mass in zip(seen, V, np.linalg.norm(V, axis=1), strict=True):
            if mass == 0.0:
                continue
            j = int(np.argmin(np.abs(t))) if len(self.rows) > 1 else 0
            t = t[self.rows[j]] / self.unit
            c = np.concatenate([np.maximum(t, 0.0), np.maximum(-t, 0.0)])
            products = np.outer(c, v)
            self.C[j] += mass * np.outer(c, c)
            self.U[j] += products[:n]
            self.U_s[j] += products[n:]
            self.V[j] += np.outer(v, v) / mass

    def advance(self) -> None:
        """One step."""
        C, U = self._definite()
        old_C, old_U = self.C, self.U
        W = _OVER * C + (1.0 - _OVER) * old_C + self.dual_C
        self.C = np.maximum(W, 0.0)
        self.C[:, *self._cross] = 0.0
        self.dual_C = W - self.C
        W = _OVER * U + (1.0 - _OVER) * old_U + self.dual_U
        total = np.zeros_like(self.alpha)
        np.add.at(total, self.rows, W)
        pull = 0.5 * self.unit / self.penalty
        r = self.quadratic.y - self.unit * total
        self.alpha = self.quadratic.proximal(r, self.unit * pull * self.counts)
        self.U = W + pull * self.alpha[self.rows]
        self.dual_U = W - self.U
        self.steps += 1
        if self.steps % _BALANCE_EVERY == 0:
            self._balance(C, U, old_C, old_U)

    def _definite(self) -> tuple[Array, Array]:
        """The products of (z, s), and of z with v, of the nearest positive semidefinite matrix."""
        k = self.basis.shape[2]
        size = k + self.V.shape[1]
        A = np.empty((len(self.rows), size, size))
        A[:, :k, :k] = _t(self.basis) @ (self.C - self.dual_C) @ self.basis
        A[:, :k, k:] = _t(self.z) @ (self.U - self.dual_U) + _t(self.s) @ self.U_s
        A[:, k:, :k] = _t(A[:, :k, k:])
        A[:, k:, k:] = self.V
        i = np.arange(size)
        A[:, i, i] -= self.linear / self.penalty
        values, E = np.linalg.eigh(0.5 * (A + _t(A)))
        K = (E * np.maximum(values, 0.0)[:, None, :]) @ _t(E)
        self.U_s, self.V = self.s @ K[:, :k, k:], K[:, k:, k:]
        return self.basis @ K[:, :k, :k] @ _t(self.basis), self.z @ K[:, :k, k:]

    def _balance(self, C: Array, U: Array, old_C: Array, old_U: Array) -> None:
        def norm(c: Array, u: Array) -> float:
            return float(np.sqrt(np.sum(c * c) + 2.0 * np.sum(u * u)))

        primal = norm(C - self.C, U - self.U) / max(norm(C, U), norm(self.C, self.U), 1e-300)
        dual = norm(self.C - old_C, self.U - old_U) / max(norm(self.dual_C, self.dual_U), 1e-300)
        factor = float(np.clip(np.sqrt(primal / max(dual, 1e-300)), 1.0 / _MOST, _MOST))
        if max(factor, 1.0 / factor) < _BALANCED:
            return
        self.penalty *= factor
        self.dual_C /= factor
        self.dual_U /= factor

    @property
    def predictions(self) -> Array:
        """(N, T) where the quadratic's loss has the gradient -alpha; its y where alpha must be 0."""
        e = np.where(np.isfinite(self.quadratic.e), self.quadratic.e, 0.0)
        return self.quadratic.y - e * self.alpha

    def multipliers(self) -> Array:
        """(L, 2n, 2n) for `proven_norm`, of the signs of the products of (z, s)."""
        return -2.0 * self.lam * self.penalty / self.unit**2 * self.dual_C


def _coordinates(lift: Lift) -> tuple[Array, Array]:
    """An orthonormal basis (n, r) of all t, and 2 / (singular value)^2 for each: |w|^2 along it."""
    P, S, _ = np.linalg.svd(lift.charged, full_matrices=False)
    # flat directions are dear, but not beyond float64
    square = 2.0 / np.maximum(S, _FLAT * max(float(S[0]), 1e-300)) ** 2
    if lift.reach is None:
        return P, square
    return np.column_stack([P, np.full(len(P), len(P) ** -0.5)]), np.append(square, 0.0)


def _t(A: Array) -> Array:
    return A.transpose(0, 2, 1)
