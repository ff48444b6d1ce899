"""Lifts told apart by signs, one datum at a time, where that proves most.

The relaxation is loose where the products of a lift mix neurons that lie on both sides of a datum. Few
lifts have products at all: those are told apart further, and the others, of which it is enough to know
that no neuron there responds more than lam, wait.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._splitting import Part, Quadratic, Splitting
from .relaxation import Lift, proven_norms

Array = NDArray[np.float64]
# how many lifts are told apart at a time, and from which share of what the first of them mixes
_AT_ONCE, _WORTH = 8, 0.3
# shares of all products: no less is told apart, and less waits
_SOME, _NONE = 1e-3, 1e-6
_ABOVE = 1e-3
_STEPS = 100


class Branching:
    """Lifts that together stand for `lift`: those of `splitting`, which go on, and those that wait."""

    def __init__(self, lift: Lift, quadratic: Quadratic, lam: float, seen: Array, V: Array) -> None:
        self.splitting = Splitting([lift], quadratic, lam, seen, V)
        self.waiting: list[Part] = []
        self._norms, self._waiting_norms = np.full(1, np.inf), np.zeros(0)

    def norm_here(self, alpha: Array) -> float:
        """No unit neuron of the lifts that go on responds more to `alpha` (N, T)."""
        splitting = self.splitting
        self._norms = proven_norms(splitting.lifts, alpha, splitting.multipliers())
        return float(self._norms.max())

    def norm_elsewhere(self, alpha: Array, out_of_time: Callable[[], bool]) -> float:
        """None of those that wait, either: their multipliers are first brought up to `alpha`."""
        if not self.waiting:
            return 0.0
        held = self.splitting.held_at(alpha, self.waiting)
        for _ in range(_STEPS):
            if out_of_time():
                break
            held.advance()
        self.waiting = held.apart()
        self._waiting_norms = proven_norms(held.lifts, alpha, held.multipliers())
        return float(self._waiting_norms.max())

    def grow(self) -> None:
        """Tell apart the lifts that mix most; those without products wait, and those that wait and are
        now needed, by the norms last asked for, go on. Where none was a lift goes on."""
        parts, lam = self.splitting.apart(), self.splitting.lam
        mass = np.array([np.trace(part.C) for part in parts])
        mixed = self._mixed(parts)
        most = mixed.max(axis=1)
        worth = (most > _WORTH * most.max()) & (mass > _SOME * mass.sum())
        chosen = set(np.flatnonzero(worth)[np.argsort(-most[worth], kind="stable")][:_AT_ONCE].tolist())
        enough = lam * (1.0 + _ABOVE)
        go_on: list[Part] = []
        wait: list[Part] = []
        for j, part in enumerate(parts):
            if j in chosen:
                go_on += part.halves(int(np.argmax(mixed[j])))
            elif mass[j] < _NONE * mass.sum() and self._norms[j] <= enough:
                wait.append(part)
            else:
                go_on.append(part)
        for part, norm in zip(self.waiting, self._waiting_norms, strict=True):
            (go_on if norm > enough else wait).append(part)
        self.waiting, self._waiting_norms = wait, np.full(len(wait), np.inf)
        self.splitting.gather(go_on)

    def _mixed(self, parts: list[Part]) -> Array:
        """(L, n) how much of the response comes from both sides of a datum: 0 where its sign is given."""
        n = len(self.splitting.alpha)
        squares = np.array([np.diagonal(part.C) for part in parts])
        on, off = squares[:, :n], squares[:, n:]
        both = on * off / np.maximum(on + off, 1e-300)
        weight = np.sum(self.splitting.alpha**2, axis=1)
        return np.where(self.splitting.signs == 0, weight * both, 0.0)
