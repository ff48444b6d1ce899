"""Several inputs: which way the dual norm is maximised, and what that proves.

Exact in two inputs by sweeps over circles (free biases: one about every data point) or over the
sphere, in three by spheres about every data point, and in more by enumerating the faces of the
arrangement where a count of them allows it. Elsewhere a search, with the spectral bound beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..penalty import Penalty
from . import DualNorm, Rigour
from ._faces import NotEnumerable
from .arrangement import circle_candidates, sphere
from .cells import AnchoredFaces, Faces
from .search import best_biases, climb, response

Array = NDArray[np.float64]
MAX_CELLS = 2_000_000
_WORK = 1 << 23
_STARTS = 64
_ALIKE = 1e-9


@dataclass(frozen=True, eq=False)
class Best:
    """Neurons (K, d + 1) that respond most, the best first, their responses (K,), and what is proven:
    no unit neuron responds more than `proven`; where rigour is EXACT that is attained."""

    neurons: Array
    values: Array
    proven: float
    rigour: Rigour

    @property
    def largest(self) -> float:
        """The proven maximum, or where only a search ran the best value found."""
        return float(self.values.max(initial=0.0)) if self.rigour is Rigour.HEURISTIC else self.proven


class UnitNeurons:
    """All unit neurons over inputs X (N, d), d >= 2, under a penalty: |(w, b)| = 1 where biases are
    penalised, else |w| = 1 and the dual point is presumed orthogonal to the free parts."""

    def __init__(
        self,
        X: Array,
        penalty: Penalty,
        max_cells: int = MAX_CELLS,
        random_state: int | np.random.Generator | None = 0,
    ) -> None:
        self.X, self.penalty, self.max_cells = X, penalty, max_cells
        self.rng = np.random.default_rng(random_state)

    @cached_property
    def distinct(self) -> tuple[Array, NDArray[np.intp]]:
        X, which = np.unique(self.X, axis=0, return_inverse=True)
        return X, which.ravel()

    @cached_property
    def n_cells(self) -> int:
        """A bound on the cells that exact maximisation looks at."""
        n, d = len(self.distinct[0]), self.X.shape[1]
        if not self.penalty.biases:
            return n * _most_cells(n - 1, d)
        return _most_cells(n, d + 1)

    @cached_property
    def method(self) -> str:
        """ "circles", "sphere", "spheres", "faces" or "search"."""
        n, d = len(self.distinct[0]), self.X.shape[1]
        dimension = d + 1 if self.penalty.biases else d
        if dimension <= 3 and self.n_cells <= 16 * self.max_cells:
            if dimension == 2:
                return "circles"
            return "sphere" if self.penalty.biases else "spheres"
        if n <= 63 and self.n_cells <= self.max_cells and self.faces is not None:
            return "faces"
        return "search"

    @cached_property
    def faces(self) -> Faces | AnchoredFaces | None:
        X, most = self.distinct[0], 8 * self.max_cells
        try:
            if self.penalty.biases:
                return Faces.of(np.column_stack([X, np.ones(len(X))]), max_faces=most)
            return AnchoredFaces.of(X, max_faces=most, symmetric=self.penalty.skip == "free")
        except NotEnumerable:
            return None

    @property
    def is_exact(self) -> bool:
        return self.method != "search"

    @property
    def is_cheap(self) -> bool:
        """Whether the exact maximum costs no more than a search."""
        n = len(self.distinct[0])
        return (self.method == "circles" and n <= 150) or (self.method == "sphere" and n <= 60)

    def spectral_bound(self, alpha: Array) -> float:
        """|alpha|_op times the largest that the responses of a unit neuron at the data can be: relu is
        1-Lipschitz, so their spread about any constant is at most that of the inputs."""
        size = float(np.linalg.norm(alpha, 2)) if alpha.size else 0.0
        if self.penalty.biases:
            return size * float(np.linalg.norm(np.column_stack([self.X, np.ones(len(self.X))]), 2))
        spread = float(np.linalg.norm(self.X - self.X.mean(axis=0), 2))
        # relu(z) = z / 2 + |z| / 2, and a free skip connection takes the first
        return size * spread * (0.5 if self.penalty.skip == "free" else 1.0)

    def search(self, alpha: Array, starts: Array | None = None, n_starts: int = _STARTS) -> Best:
        """The best of climbs from `starts` (S, d + 1) and from random neurons."""
        found = self._random_starts(alpha, n_starts)
        if starts is not None and len(starts):
            found = np.concatenate([starts, found])
        climbed = climb(self.X, alpha, found, self.penalty.biases)
        neurons, values = self._canonical(climbed.neurons, climbed.values)
        return Best(neurons, values, self.spectral_bound(alpha), Rigour.HEURISTIC)

    def maximise(self, alpha: Array, floor: float = 0.0, n_best: int = 200) -> Best:
        """The exact maximum where it is in reach, else a search. Below `floor` the neurons returned are
        not all there are, and the maximum is not told from the floor."""
        X, which = self.distinct
        merged = np.zeros((len(X), alpha.shape[1]))
        np.add.at(merged, which, alpha)
        if alpha.shape[1] > 1:
            # only the size of responses counts: rotated, they have as many columns as their rank
            Q = np.asarray(np.linalg.qr(merged.T, mode="r"))
            merged = np.ascontiguousarray(Q.T) if Q.shape[0] < merged.shape[1] else merged
        method = self.method
        if method == "search":
            return self.search(alpha)
        if method == "circles":
            neurons, values = self._circles(X, merged)
        elif method == "sphere":
            found = sphere(np.column_stack([X, np.ones(len(X))]), merged, floor)
            neurons, values = found.u, found.values
        elif method == "spheres":
            neurons, values = self._spheres(X, merged, floor)
        else:
            assert self.faces is not None
            neurons, values, upper = self.faces.maximise(merged, floor, n_best)
            neurons, values = self._canonical(neurons, values)
            # nearly degenerate data leave a slack above what is attained
            attained = max(float(values.max(initial=0.0)), floor) * (1.0 + 1e-9)
            return Best(neurons, values, float(upper), Rigour.EXACT if upper <= attained else Rigour.BOUNDED)
        order = np.argsort(-values, kind="stable")[: 4 * n_best]
        top = float(values.max(initial=0.0))
        neurons, values = self._canonical(neurons[order], values[order])
        return Best(neurons[:n_best], values[:n_best], max(top, floor), Rigour.EXACT)

    def _circles(self, X: Array, alpha: Array) -> tuple[Array, Array]:
        found_w, found_b, found_value = [], [], []
        step = max(1, _WORK // (len(X) * 4 * (alpha.shape[1] + 2)))
        for low in range(0, len(X), step):
            at = X[low : low + step]
            Z = X[None] - at[:, None]
            u, values = circle_candidates(Z, alpha, np.zeros((len(at), 2, alpha.shape[1])))
            around = np.concatenate([values[:, -1:], values, values[:, :1]], axis=1)
            peak = (values >= around[:, :-2]) & (values >= around[:, 2:]) & (values > 0)
            anchor, arc = np.nonzero(peak)
            w = u[anchor, arc]
            found_w.append(w)
            found_b.append(-np.einsum("kd,kd->k", w, at[anchor]))
            found_value.append(values[anchor, arc])
        neurons = np.column_stack([np.concatenate(found_w), np.concatenate(found_b)])
        return neurons, np.concatenate(found_value)

    def _spheres(self, X: Array, alpha: Array, floor: float) -> tuple[Array, Array]:
        neurons, values, best = [], [], floor
        for at in X:
            found = sphere(X - at, alpha, best)
            keep = found.values > 0.5 * best
            neurons.append(np.column_stack([found.u[keep], -found.u[keep] @ at]))
            values.append(found.values[keep])
            best = max(best, 0.999 * found.largest)
        return np.concatenate(neurons), np.concatenate(values)

    def _random_starts(self, alpha: Array, n: int) -> Array:
        N, d = self.X.shape
        w = self.rng.standard_normal((n, d))
        if N > 1:
            # half of them along differences of data, in which directions there is something to see
            i, j = self.rng.integers(N, size=(2, n // 2))
            some = self.X[i] - self.X[j]
            w[: n // 2] = np.where(np.any(some != 0, axis=1)[:, None], some, w[: n // 2])
        w /= np.linalg.norm(w, axis=1)[:, None]
        neurons = best_biases(self.X, alpha, w)
        return neurons / np.linalg.norm(neurons, axis=1)[:, None] if self.penalty.biases else neurons

    def _canonical(self, neurons: Array, values: Array) -> tuple[Array, Array]:
        """The best first, each neuron once; with a free skip connection facing one way."""
        order = np.argsort(-values, kind="stable")
        neurons, values = neurons[order], values[order]
        if self.penalty.skip == "free" and len(neurons):
            clear = np.abs(neurons[:, :-1]) > 1e-9
            first = neurons[np.arange(len(neurons)), np.argmax(clear, axis=1)]
            neurons = neurons * np.where(first < 0, -1.0, 1.0)[:, None]
        _, index = np.unique(np.round(neurons, 9), axis=0, return_index=True)
        index = np.sort(index)
        return neurons[index], values[index]


def _most_cells(n_planes: int, dimension: int) -> int:
    """Cells of a central arrangement in general position."""
    total, term = 0, 1
    for k in range(dimension):
        total += term
        term = term * max(n_planes - 1 - k, 0) // (k + 1)
    return 2 * total


def dual_norm(
    X: ArrayLike, alpha: ArrayLike, penalty: Penalty | None = None, *, max_cells: int = MAX_CELLS
) -> DualNorm:
    """max over unit neurons of |sum_i alpha_i relu(w.x_i + b)|, for inputs X (N, d), d >= 2.

    Units have |(w, b)| = 1 where `penalty` charges biases, else |w| = 1; then alpha (N, T) must be
    orthogonal to the free parts, or the maximum is infinite. Exact for d = 2, for d = 3 with free
    biases, and where at most `max_cells` cells have to be looked at; elsewhere HEURISTIC: the values
    are the best found and `upper_bound` is the spectral bound, which is proven.

    Raises
    ------
    TypeError, ValueError : for arrays of the wrong type or shape.
    """
    penalty = penalty or Penalty()
    x = as_float_array(X, "X")
    a = as_float_array(alpha, "alpha")
    a = a[:, None] if a.ndim == 1 else a
    if x.ndim != 2 or x.shape[1] < 2 or len(x) == 0:
        raise ValueError(f"X: must have shape (N, d) with d >= 2, got {x.shape}; d = 1 has its own functions")
    if a.ndim != 2 or len(a) != len(x):
        raise ValueError(f"alpha: must have shape ({len(x)}, T), got {a.shape}")
    if not penalty.biases:
        Z = (
            np.column_stack([np.ones(len(x)), x - x.mean(axis=0)])
            if penalty.skip == "free"
            else np.ones((len(x), 1))
        )
        leak = np.abs(Z.T @ a).max(axis=1) / np.maximum(np.abs(Z).max(axis=0), 1e-300)
        if np.any(leak > 1e-9 * np.abs(a).sum(axis=0).max()):
            return DualNorm(np.zeros((0, x.shape[1] + 1)), np.zeros(0), float("inf"), Rigour.EXACT)
    best = UnitNeurons(x, penalty, max_cells).maximise(a)
    return DualNorm(best.neurons, best.values, best.proven, best.rigour)


__all__ = ["MAX_CELLS", "Best", "UnitNeurons", "dual_norm", "response"]
