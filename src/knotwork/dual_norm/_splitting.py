"""The best dual point, and its multipliers, under the doubly non-negative relaxation of the dual norm.

    minimise (lam / 2) sum_j (|w_j|^2 + |v_j|^2) + loss(sum_j z_j v_j')

over lifts j (`relaxation.py`), products of (u, z, v) relaxed to a positive semidefinite matrix whose
products of (z, s) are >= 0 and of z_i s_i 0; at rank one that is the network's objective. (z, s) lies in
a subspace with orthonormal basis `basis`, so that positive semidefiniteness there and the signs are two
sets with a projection each: alternating directions (over-relaxed, the penalty balanced) need one
eigenvalue problem of p + n + T a step and lift. The scaled duals of the signs are the multipliers.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._anderson import Anderson
from .relaxation import Lift

Array = NDArray[np.float64]
_OVER = 1.6
_BALANCE_EVERY, _MOST, _BALANCED = 25, 2.0, 1.2
# a small penalty moves the products far and the dual point little: that is what is proven from
_LEAN = 0.07
_FLAT = 1e-5


@dataclass(frozen=True, eq=False)
class Quadratic:
    """<alpha, y> - sum e alpha^2 / 2 - |Z' alpha|^2 / (2 ridge), ridge = 0 for Z' alpha = 0: the dual
    objective or a model of it. y, e (N, T), e infinite where alpha must be 0; Z (N, q)."""

    y: Array
    e: Array
    Z: Array
    ridge: float

    def proximal(self, kappa: Array) -> Callable[[Array], Array]:
        """From r (N, T) to the maximiser of <alpha, r> - ... - sum kappa_i alpha_it^2 / 2."""
        D = 1.0 / (self.e + kappa[:, None])
        gram = np.einsum("np,nt,nq->tpq", self.Z, D, self.Z, optimize=True)
        core = np.linalg.pinv(gram + self.ridge * np.eye(self.Z.shape[1]), rcond=1e-12, hermitian=True)

        def maximiser(r: Array) -> Array:
            along = (core @ (self.Z.T @ (D * r)).T[:, :, None])[:, :, 0].T
            return D * (r - self.Z @ along)

        return maximiser


@dataclass(frozen=True, eq=False)
class _Held(Quadratic):
    """The dual point is `alpha` (N, T), whatever it costs."""

    alpha: Array

    def proximal(self, kappa: Array) -> Callable[[Array], Array]:
        return lambda r: self.alpha


@dataclass(frozen=True, eq=False)
class Part:
    """One lift's part in a step: products C (2n, 2n) of (z, s), U and U_s (n, T) of z and of s with v,
    V (T, T) of v, and the multipliers (2n, 2n)."""

    lift: Lift
    C: Array
    U: Array
    U_s: Array
    V: Array
    multipliers: Array

    def halves(self, datum: int) -> list[Part]:
        """The products told apart by the sign at an open datum, each side a share of them."""
        n = len(self.U)
        square = np.diagonal(self.C)[[datum, n + datum]]
        lifts, parts = self.lift.halves(datum), []
        for lift in lifts:
            on = bool(lift.signs[datum] > 0)
            share = square[0 if on else 1] / max(float(square.sum()), 1e-300) if len(lifts) > 1 else 1.0
            none = np.arange(2 * n) == (n + datum if on else datum)
            none = none[:, None] | none
            C, N = np.where(none, 0.0, share * self.C), np.where(none, 0.0, self.multipliers)
            parts.append(Part(lift, C, share * self.U, share * self.U_s, share * self.V, N))
        return parts


class Splitting:
    """Alternating directions, from unit neurons that see (K, N) of the data and weigh V (K, T). `advance`
    them, then read `alpha` (N, T) and `multipliers`: nearly the best dual point, and what proves it."""

    def __init__(self, lifts: list[Lift], quadratic: Quadratic, lam: float, seen: Array, V: Array) -> None:
        self.lam = lam
        # units in which |t| of a unit neuron is about 1
        self.unit = float(np.median(np.linalg.svd(lifts[0].F, compute_uv=False))) / np.sqrt(2.0)
        # the trace is of the size of the neurons' cost
        least = 1e-3 * float(np.abs(quadratic.y).max(initial=0.0)) / self.unit
        mass = max(float(np.linalg.norm(V, axis=1).sum()), least)
        self.penalty = len(lifts) * lam / mass if mass > 0.0 else 1.0
        self.steps = 0
        self.quadratic = quadratic
        self.alpha = np.zeros_like(quadratic.y)
        self.gather(self._start(lifts, seen, V))

    def gather(self, parts: list[Part]) -> None:
        """Go on with these, from where each of them stands."""
        self.lifts = [part.lift for part in parts]
        self.signs = np.array([lift.signs for lift in self.lifts])
        (L, n), T = self.signs.shape, self.alpha.shape[1]
        found = [_coordinates(lift) for lift in self.lifts]
        r = max(len(square) for _, square in found)
        # of fewer coordinates than others have the rest is 0
        self.basis, self.linear = np.zeros((L, 2 * n, r)), np.zeros((L, r + T, r + T))
        for j, (basis, square) in enumerate(found):
            k = len(square)
            self.basis[j, :, :k] = basis
            self.linear[j, :k, :k] = square * (0.5 * self.lam * self.unit**2)
        self.linear[:, r:, r:] = 0.5 * self.lam * np.eye(T)
        self.z, self.s = self.basis[:, :n], self.basis[:, n:]
        # z is 0 in a lift where t <= 0
        self.mask = (self.signs >= 0)[:, :, None].astype(np.float64)
        self.counts = self.mask[:, :, 0].sum(axis=0)
        self._shapes = (L, 2 * n, 2 * n), (L, n, T), (L, n, T), (L, T, T)
        C, U, U_s, V, N = (
            np.array([getattr(part, name) for part in parts])
            for name in ("C", "U", "U_s", "V", "multipliers")
        )
        W_C = C + N / self._per_dual
        W_U = self.mask * (U - 0.5 * self.unit / self.penalty * self.alpha)
        state = _flat(W_C, W_U, U_s, V)
        self._anderson = Anderson(len(state))
        self._model_at(self.quadratic)
        self._read(state)

    def apart(self) -> list[Part]:
        """The parts of the lifts, as `gather` takes them."""
        each = zip(self.lifts, self.C, self.U, self.U_s, self.V, self.multipliers(), strict=True)
        return [Part(*of) for of in each]

    def held_at(self, alpha: Array, parts: list[Part]) -> Splitting:
        """Beside this one, other parts whose multipliers are to prove what they can of `alpha`."""
        held = copy(self)
        held.quadratic, held.alpha = _Held(**vars(self.quadratic), alpha=alpha), alpha
        held.gather(parts)
        return held

    def _model_at(self, quadratic: Quadratic) -> None:
        self.quadratic = quadratic
        self._proximal = quadratic.proximal(0.5 * self.unit**2 / self.penalty * self.counts)

    def change(self, quadratic: Quadratic) -> None:
        """Go on with another model of the dual objective."""
        self._model_at(quadratic)
        self._anderson.forget()

    def _start(self, lifts: list[Lift], seen: Array, V: Array) -> list[Part]:
        """The products of the neurons, each in the lift whose signs it has."""
        n, T = self.alpha.shape
        square, wide = (2 * n, 2 * n), (n, T)
        shapes = square, wide, wide, (T, T), square
        parts = [Part(lift, *map(np.zeros, shapes)) for lift in lifts]
        signs, side_of = np.array([lift.signs for lift in lifts]), (1.0, -1.0)
        for t, v, mass in zip(seen, V, np.linalg.norm(V, axis=1), strict=True):
            if mass == 0.0:
                continue
            # of a neuron and its opposite, which may stand for it, one has the signs of a lift
            against = [np.maximum(-side * t * signs, 0.0).sum(axis=1) for side in side_of]
            side, j = np.unravel_index(np.argmin(against), (2, len(signs)))
            t = side_of[side] * t / self.unit
            c = np.concatenate([np.maximum(t, 0.0), np.maximum(-t, 0.0)])
            products, part = np.outer(c, v), parts[j]
            part.C[:] += mass * np.outer(c, c)
            part.U[:] += products[:n]
            part.U_s[:] += products[n:]
            part.V[:] += np.outer(v, v) / mass
        return parts

    def _read(self, state: Array) -> None:
        """The signs' half of a step: the nearest products that have them, and the dual point."""
        self._state = state
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        parts = np.split(state, ends)
        W_C, W_U, self.U_s, self.V = (
            part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)
        )
        n = self._shapes[1][1]
        i = np.arange(n)
        self.C = np.maximum(W_C, 0.0)
        self.C[:, i, i + n] = self.C[:, i + n, i] = 0.0
        self.dual_C = W_C - self.C
        total = np.sum(self.mask * W_U, axis=0)
        pull = 0.5 * self.unit / self.penalty
        r = self.quadratic.y - self.unit * total
        self.alpha = self._proximal(r)
        self.U = self.mask * (W_U + pull * self.alpha)
        self.dual_U = W_U - self.U

    def advance(self) -> None:
        """One step."""
        products = self._definite()
        signed = _flat(self.C, self.U, self.U_s, self.V)
        image = _OVER * products + (1.0 - _OVER) * signed
        ends = self.C.size, self.C.size + self.U.size
        image[: ends[0]] += self.dual_C.ravel()
        image[ends[0] : ends[1]] += self.dual_U.ravel()
        self.steps += 1
        if self.steps % _BALANCE_EVERY == 0 and self._balanced(products, signed, image):
            return
        self._read(self._anderson.next(self._state, image))

    def _definite(self) -> Array:
        """The products in the nearest positive semidefinite matrix."""
        k = self.basis.shape[2]
        size = k + self._shapes[3][1]
        A = np.empty((len(self.basis), size, size))
        A[:, :k, :k] = _t(self.basis) @ (self.C - self.dual_C) @ self.basis
        A[:, :k, k:] = _t(self.z) @ (self.U - self.dual_U) + _t(self.s) @ self.U_s
        A[:, k:, :k] = _t(A[:, :k, k:])
        A[:, k:, k:] = self.V
        A -= self.linear / self.penalty
        values, E = np.linalg.eigh(0.5 * (A + _t(A)))
        K = (E * np.maximum(values, 0.0)[:, None, :]) @ _t(E)
        across = K[:, :k, k:]
        return _flat(
            self.basis @ K[:, :k, :k] @ _t(self.basis), self.z @ across, self.s @ across, K[:, k:, k:]
        )

    def _balanced(self, products: Array, signed: Array, image: Array) -> bool:
        """Whether the penalty had to change for primal and dual to go on at one pace."""
        end = self.C.size + self.U.size
        dual = _flat(self.dual_C, self.dual_U)
        self._read(image)
        moved = _flat(self.C, self.U)
        primal = np.linalg.norm(products[:end] - moved) / max(float(np.linalg.norm(moved)), 1e-300)
        change = np.linalg.norm(moved - signed[:end]) / max(float(np.linalg.norm(dual)), 1e-300)
        ratio = _LEAN * primal / max(change, 1e-6 * primal, 1e-300)
        factor = float(np.clip(np.sqrt(ratio), 1.0 / _MOST, _MOST))
        if max(factor, 1.0 / factor) < _BALANCED:
            return False
        self.penalty *= factor
        self._model_at(self.quadratic)
        state = _flat(self.C + self.dual_C / factor, self.U + self.dual_U / factor, self.U_s, self.V)
        self._anderson.forget()
        self._read(state)
        return True

    @property
    def predictions(self) -> Array:
        """(N, T) where the quadratic's loss has the gradient -alpha; its y where alpha must be 0."""
        e = np.where(np.isfinite(self.quadratic.e), self.quadratic.e, 0.0)
        return self.quadratic.y - e * self.alpha

    def multipliers(self) -> Array:
        """(L, 2n, 2n) for `proven_norms`, of the signs of the products of (z, s)."""
        return self._per_dual * self.dual_C

    @property
    def _per_dual(self) -> float:
        return -2.0 * self.lam * self.penalty / self.unit**2


def _coordinates(lift: Lift) -> tuple[Array, Array]:
    """An orthonormal basis (2n, r) of all (z, s), and the quadratic form (r, r) that |w|^2 is there."""
    P, S, _ = np.linalg.svd(lift.F if lift.reach is None else lift.F[:, :-1], full_matrices=False)
    # flat directions are dear, but not beyond float64
    square = 1.0 / np.maximum(S, _FLAT * max(float(S[0]), 1e-300)) ** 2
    if lift.reach is not None:
        P = np.column_stack([P, np.full(len(P), len(P) ** -0.5)])
        square = np.append(square, 0.0)
    basis, R = np.linalg.qr(lift.map(P))
    inverse = np.linalg.pinv(R)[: len(square)]
    return basis, (inverse.T * square) @ inverse


def _flat(*parts: Array) -> Array:
    return np.concatenate([part.ravel() for part in parts])


def _t(A: Array) -> Array:
    return A.transpose(0, 2, 1)
