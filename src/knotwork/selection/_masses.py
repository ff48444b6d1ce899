"""Many small problems in their knots' Gram matrices at once: the masses of least objective.

With output weights V of unit neurons, min over V of |y - H V|^2 / 2 + lam sum |v_k| is min over masses
eta >= 0 of lam sum eta / 2 - b' E (E G E + lam)^-1 E b / 2 + |y|^2 / 2, E = diag(eta)^(1/2), which is convex.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
_STEPS, _HALVINGS, _PIVOTS, _PATIENCE = 8, 8, 30, 2
_FLAT, _BLIND, _LARGE = 1e-13, 1e-9, 1e3


@dataclass(frozen=True, eq=False)
class Grams:
    """Problems in their knots: G (n, P, K, K), b (n, P, K, T / P), 0 beyond the `known` (n, K) of each, half
    the labels' squares `energy` (n,), and lam (n,)."""

    G: Array
    b: Array
    known: Mask
    energy: Array
    lam: Array

    def take(self, rows: Index) -> Grams:
        return Grams(*(getattr(self, field.name)[rows] for field in fields(self)))

    def at(self, eta: Array) -> State:
        root = np.sqrt(eta)[:, None, :, None]
        scaled = self.G * root
        S = scaled * root.swapaxes(2, 3)
        k = np.arange(S.shape[-1])
        own = S[..., k, k] + self.lam[:, None, None]
        S[..., k, k] = own
        inverse = np.asarray(np.linalg.inv(S), dtype=np.float64)
        b = root * self.b
        V = inverse @ b
        if np.any(own > _LARGE * self.lam[:, None, None]):
            # the inverse has few digits; what it leaves of the equations has them
            V += inverse @ (b - S @ V)
        V *= root
        response = self.b - self.G @ V
        value = self.energy + 0.5 * (self.lam * eta.sum(axis=1) - np.einsum("npkt,npkt->n", self.b, V))
        lam = self.lam[:, None]
        slope = 0.5 * np.where(self.known, lam - np.einsum("npkt,npkt->nk", response, response) / lam, 0.0)
        steepest = np.where(eta > 0, np.abs(slope), -slope).max(axis=1)
        return State(value, V, response, slope, steepest, scaled, inverse)

    def hessian(self, state: State) -> Array:
        """(n, K, K) of the objective in the masses, 1 on the diagonal beyond the known."""
        Q = self.G - state.scaled.swapaxes(2, 3) @ state.inverse @ state.scaled
        unit = state.response / self.lam[:, None, None, None]
        Q *= unit @ unit.swapaxes(2, 3)
        H = Q[:, 0] if Q.shape[1] == 1 else Q.sum(axis=1)
        k = np.arange(H.shape[-1])
        H[:, k, k] += 1e-13 * np.abs(H[:, k, k]) + np.where(self.known, 1e-300, 1.0)
        return H

    def target(self, eta: Array, state: State) -> Array:
        """(n, K) the masses >= 0 of least quadratic model, by block principal pivoting.

        Masses that come out negative leave, and those whose slope does come in, all at once; where that
        does not make them fewer, the last alone (Murty's rule, which cannot cycle).
        """
        H = self.hessian(state)
        linear = state.slope - (H @ eta[..., None])[..., 0]
        passive = (eta > 0) | (state.slope < 0)
        rounding = _FLAT * self.lam[:, None]
        goal, wrong = _of_passive(H, linear, passive, rounding)
        at = np.flatnonzero(wrong.any(axis=1))
        if len(at) == 0:
            return np.maximum(goal, 0.0)
        H, linear, passive, wrong, rounding = H[at], linear[at], passive[at], wrong[at], rounding[at]
        K = eta.shape[1]
        fewest, patience = np.full(len(at), K + 1), np.full(len(at), _PATIENCE)
        for _ in range(_PIVOTS):
            count = wrong.sum(axis=1)
            if not count.any():
                break
            patience = np.where(count < fewest, _PATIENCE, patience - 1)
            fewest = np.minimum(count, fewest)
            last, alone = K - 1 - np.argmax(wrong[:, ::-1], axis=1), patience < 0
            wrong[alone] &= np.arange(K) == last[alone, None]
            passive ^= wrong
            goal[at], wrong = _of_passive(H, linear, passive, rounding)
        return np.maximum(goal, 0.0)


@dataclass(frozen=True, eq=False)
class State:
    """The objective (n,), V and b - G V (n, P, K, T / P), its slope (n, K) in the masses and the steepest way
    down (n,) that one has, E G and (E G E + lam)^-1 (n, P, K, K)."""

    value: Array
    V: Array
    response: Array
    slope: Array
    steepest: Array
    scaled: Array
    inverse: Array

    def take(self, rows: Index) -> State:
        return State(*(getattr(self, field.name)[rows] for field in fields(self)))

    def put(self, rows: Index, other: State) -> None:
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)


def least(grams: Grams, eta: Array, enough: Array) -> tuple[Array, Array, Array]:
    """Masses (n, K) of least objective by Newton's method from `eta`, V and b - G V (n, P, K, T / P); a
    problem is done with the step that promises to lower it by no more than its share `enough` (n,)."""
    here, state, now, at = grams, grams.at(eta), eta, np.arange(len(eta))
    out = eta.copy(), state.V.copy(), state.response.copy()
    for _ in range(_STEPS):
        step = here.target(now, state) - now
        decrease = -np.einsum("nk,nk->n", state.slope, step)
        size = np.abs(state.value) + here.energy
        trial = np.maximum(now + step, 0.0)
        there, length = here.at(trial), 1.0
        # where the objective no longer tells steps apart, slopes do
        trusted = (there.steepest <= 0.5 * state.steepest) & (decrease <= _BLIND * size)
        high = state.value - 1e-4 * decrease + _FLAT * size
        bad = np.flatnonzero((there.value > high) & ~trusted)
        for _ in range(_HALVINGS):
            if len(bad) == 0:
                break
            length *= 0.5
            trial[bad] = np.maximum(now[bad] + length * step[bad], 0.0)
            there.put(bad, here.take(bad).at(trial[bad]))
            high = state.value[bad] - 1e-4 * length * decrease[bad] + _FLAT * size[bad]
            bad = bad[there.value[bad] > high]
        good = np.ones(len(at), dtype=bool)
        good[bad] = False
        for reached, new in zip(out, (trial, there.V, there.response), strict=True):
            reached[at[good]] = new[good]
        going = good & (decrease > np.maximum(_FLAT * size, enough[at] * state.value))
        if not going.any():
            break
        now, state = trial, there
        if not going.all():
            rest = np.flatnonzero(going)
            at, here, now, state = at[rest], here.take(rest), now[rest], state.take(rest)
    return out


def _of_passive(H: Array, linear: Array, passive: Mask, rounding: Array) -> tuple[Array, Mask]:
    """(n, K) where z' H z / 2 + linear' z is least over the `passive` z, others 0, and which of those are < 0
    or, of the others, would lower it by more than `rounding` (n, 1)."""
    k = np.arange(H.shape[1])
    kept = np.where(passive[:, :, None] & passive[:, None, :], H, 0.0)
    kept[:, k, k] = np.where(passive, H[:, k, k], 1.0)
    goal = np.linalg.solve(kept, np.where(passive, -linear, 0.0)[..., None])
    rise = (H @ goal)[..., 0] + linear
    goal = goal[..., 0]
    return goal, np.where(passive, goal < 0, rise < -rounding)
