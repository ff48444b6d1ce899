"""One input, neurons that face either way: the finite problem that a set of them leaves.

Between the places where neurons switch on or off the data enter by weight, mean and spread
alone, as two rows each; a penalised constant or linear part is a free one with one row more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, segment_moments
from ..dual_norm.arcs import active_range
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..points import Points

Array = NDArray[np.float64]
_ALL_SINGLE = 1 << 13


@dataclass(frozen=True, eq=False)
class Atoms:
    """Unit neurons (w, b) with masses; `linear` marks the one that stands for x itself, the
    skip connection under a nuclear norm."""

    w: Array
    b: Array
    mass: Array
    linear: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Atoms:
        return cls(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))

    def __len__(self) -> int:
        return len(self.w)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Atoms:
        return Atoms(self.w[chosen], self.b[chosen], self.mass[chosen], self.linear[chosen])

    def with_mass(self, mass: Array) -> Atoms:
        return replace(self, mass=mass)

    def joined(self, other: Atoms) -> Atoms:
        pairs = zip(
            (self.w, self.b, self.mass, self.linear),
            (other.w, other.b, other.mass, other.linear),
            strict=True,
        )
        return Atoms(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]

    def active(self, x: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(K,), (K,): atom k is active on x[low_k : high_k]."""
        low, high = active_range(x, self.w, self.b)
        return np.where(self.linear, 0, low), np.where(self.linear, len(x), high)


@dataclass(frozen=True, eq=False)
class Rows:
    """The data as the atoms see them, in few rows: P is 1 where tasks share weights, else T.

    free : (P, n, f) the free parts.  pairs : (P, n, K, 2) x and 1 on the active data of each atom.
    labels : (P, n, T / P).
    """

    free: Array
    pairs: Array
    labels: Array


class Dictionary:
    """Weighted squared loss on `points` under a penalty with biases penalised or no skip connection."""

    def __init__(self, points: Points, lam: float, penalty: Penalty) -> None:
        self.points, self.lam, self.penalty = points, lam, penalty
        n = len(points.x)
        self.bins = Bins(points, coarse=n if n <= _ALL_SINGLE else None)

    @property
    def slides(self) -> bool:
        """Whether the best knots can lie between data points."""
        return self.penalty.biases

    def rows(self, atoms: Atoms) -> Rows:
        bins, low_high = self.bins, atoms.active(self.points.x)
        cuts = np.unique(np.concatenate([*low_high, [0]]))
        cuts = cuts[cuts < len(self.points.x)]
        self._show(cuts)
        start = np.searchsorted(bins.start, cuts)
        weight, mean_x, mean_y, sxx, sxy = segment_moments(bins, start, 0.0)
        n_segments, n_patterns = weight.shape
        first, last = (np.searchsorted(cuts, ends)[None, :] for ends in low_high)
        segment = np.arange(n_segments)[:, None]
        on = ((segment >= first) & (segment < last)).astype(np.float64)
        ridges = self._ridges()
        n_free = len(ridges)
        n_rows = 2 * n_segments + n_free
        free = np.zeros((n_patterns, n_rows, n_free))
        pairs = np.zeros((n_patterns, n_rows, len(atoms), 2))
        labels = np.zeros((n_patterns, n_rows, mean_y.shape[1] // n_patterns))
        root, spread = np.sqrt(weight.T), np.sqrt(sxx.T)
        a, z = slice(0, n_segments), slice(n_segments, 2 * n_segments)
        for k, ridge in enumerate(ridges):
            free[:, a, k] = root if k == 0 else root * mean_x.T
            free[:, z, k] = 0.0 if k == 0 else spread
            free[:, 2 * n_segments + k, k] = np.sqrt(ridge)
        pairs[:, a, :, 0] = (root * mean_x.T)[:, :, None] * on
        pairs[:, a, :, 1] = root[:, :, None] * on
        pairs[:, z, :, 0] = spread[:, :, None] * on
        safe = np.where(spread > 0, spread, 1.0)
        if n_patterns == 1:
            labels[:, a], labels[:, z] = root[:, :, None] * mean_y, sxy / safe[:, :, None]
        else:
            labels[:, a, 0], labels[:, z, 0] = root * mean_y.T, sxy.T / safe
        return Rows(free, pairs, labels)

    def _ridges(self) -> list[float]:
        if not self.penalty.biases:
            return [0.0]
        return [self.lam, self.lam] if self.penalty.skip == "frobenius" else [self.lam]

    def _show(self, cuts: NDArray[np.intp]) -> None:
        """Split bins until every cut begins one."""
        while True:
            holder = np.searchsorted(self.bins.start, cuts, side="right") - 1
            split = np.zeros(len(self.bins), dtype=bool)
            split[holder[self.bins.start[holder] != cuts]] = True
            if not split.any():
                return
            self.bins.refine(split)

    def network(self, atoms: Atoms, V: Array, free: Array) -> ReLUNetwork:
        """The network of unit neurons with output weights V (K, T) and free parts (f, T)."""
        n_tasks = V.shape[1]
        A = np.zeros((1, n_tasks))
        if len(free) == 2:
            A[0] = free[1]
        A[0] += V[atoms.linear].sum(axis=0)
        bends = ~atoms.linear
        return ReLUNetwork(atoms.w[bends, None], atoms.b[bends], V[bends], A, free[0])


def rotated(free: Array, features: Array, labels: Array) -> tuple[Array, Array]:
    """(P, r, f + K), (P, r, T / P): the R factor of [free, features], and the labels in its terms."""
    table = np.concatenate([free, features, labels], axis=2)
    R = np.asarray(np.linalg.qr(table, mode="r"))
    n = free.shape[2] + features.shape[2]
    return R[:, :n, :n], R[:, :n, n:]
