"""Several inputs: which way the dual norm is maximised, and what that proves.

Exact in two inputs by sweeps over circles (free biases: one about every data point) or over the
sphere, in three by spheres about every data point, and in more by enumerating the faces of the
arrangement where a count of them allows it. Elsewhere a search (along great circles, of many data by
gradients), with the spectral bound beside it; and a search where time runs out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..penalty import Penalty
from . import DualNorm, Rigour
from ._clock import OutOfTime, heed, heeding
from ._faces import NotEnumerable
from .arrangement import circle_candidates, sphere
from .ascent import ascend
from .cells import AnchoredFaces, Faces
from .search import best_biases, climb, response

Array = NDArray[np.float64]
MAX_CELLS = 2_000_000
_WORK = 1 << 23
MANY = 200
_STARTS, _STARTS_OF_MANY, _AT_LEAST = 64, 256, 32
_THOROUGH = 5_000_000
_SAME = 1e-12
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


@dataclass(frozen=True, eq=False)
class _Answer:
    """What was found for a dual point at the distinct inputs, of neurons above `floor` the `n_best`."""

    alpha: Array
    floor: float
    n_best: float
    best: Best


class UnitNeurons:
    """All unit neurons over inputs X (N, d), d >= 2, under a penalty: |(w, b)| = 1 where biases are
    penalised, else |w| = 1 and the dual point is presumed orthogonal to the free parts.

    max_cells : exact where no more cells than these have to be looked at.  random_state : of searches.
    out_of_time : once it is true, exact passes give way to searches, and searches end with what they have.
    """

    def __init__(
        self,
        X: Array,
        penalty: Penalty,
        max_cells: int = MAX_CELLS,
        random_state: int | np.random.Generator | None = 0,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        self.X, self.penalty, self.max_cells = X, penalty, max_cells
        self.out_of_time = out_of_time
        self.rng = np.random.default_rng(random_state)
        self._last: _Answer | None = None

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

    @property
    def method(self) -> str:
        """ "circles", "sphere", "spheres", "faces" or "search", which it is too where no time is left to
        enumerate the faces."""
        try:
            with heeding(self.out_of_time):
                return self._method
        except OutOfTime:
            return "search"

    @cached_property
    def _method(self) -> str:
        if self._sweep is not None:
            return self._sweep
        n = len(self.distinct[0])
        if n <= 63 and self.n_cells <= self.max_cells and self.faces is not None:
            return "faces"
        return "search"

    @cached_property
    def _sweep(self) -> str | None:
        d = self.X.shape[1]
        dimension = d + 1 if self.penalty.biases else d
        # an arc of a circle or sphere costs less than a cell; a sphere for every row costs more
        worth = 1 if dimension == d == 3 else 16
        if dimension > 3 or self.n_cells > worth * self.max_cells:
            return None
        if dimension == 2:
            return "circles"
        return "sphere" if self.penalty.biases else "spheres"

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
        return (self._sweep == "circles" and n <= 150) or (self._sweep == "sphere" and n <= 60)

    def spectral_bound(self, alpha: Array) -> float:
        """|alpha|_op times the largest that the responses of a unit neuron at the data can be: relu is
        1-Lipschitz, so their spread about any constant is at most that of the inputs."""
        return self._bound(self.X, alpha)

    def _bound(self, X: Array, alpha: Array) -> float:
        size = float(np.linalg.norm(alpha, 2)) if alpha.size else 0.0
        if self.penalty.biases:
            return size * float(np.linalg.norm(np.column_stack([X, np.ones(len(X))]), 2))
        spread = float(np.linalg.norm(X - X.mean(axis=0), 2))
        # relu(z) = z / 2 + |z| / 2, and a free skip connection takes the first
        return size * spread * (0.5 if self.penalty.skip == "free" else 1.0)

    def search(
        self,
        alpha: Array,
        starts: Array | None = None,
        n_starts: int | None = None,
        thorough: bool = False,
    ) -> Best:
        """The best of climbs from `starts` (S, d + 1), from the best of the last dual point, and from
        `n_starts` random neurons: by default some, or for an answer to build on many."""
        many = len(self.X) >= MANY
        if n_starts is None:
            n_starts = _STARTS_OF_MANY if many else _STARTS
            if thorough:
                n_starts = (
                    int(np.clip(_THOROUGH // len(self.X), 2 * n_starts, 4096)) if many else 4 * n_starts
                )
        if self.out_of_time():
            n_starts = min(n_starts, _AT_LEAST)
        random = self._random_starts(alpha, n_starts)
        found = [random]
        if self._last is not None:
            found.insert(0, self._last.best.neurons[:_AT_LEAST])
        if starts is not None:
            found.insert(0, starts)
        way = ascend if many else climb
        climbed = way(self.X, alpha, np.concatenate(found), self.penalty.biases, out_of_time=self.out_of_time)
        neurons, values = climbed.neurons, climbed.values
        if many and thorough and not self.out_of_time():
            # by great circles too: they end at other maxima
            top = np.argsort(-values, kind="stable")[:_AT_LEAST]
            further = np.concatenate([neurons[top], random[:_AT_LEAST]])
            other = climb(self.X, alpha, further, self.penalty.biases, out_of_time=self.out_of_time)
            neurons, values = np.concatenate([neurons, other.neurons]), np.append(values, other.values)
        neurons, values = self._canonical(neurons, values)
        best = Best(neurons, values, self.spectral_bound(alpha), Rigour.HEURISTIC)
        self._last = _Answer(self._merged(alpha), 0.0, np.inf, best)
        return best

    def maximise(self, alpha: Array, floor: float = 0.0, n_best: int = 200) -> Best:
        """The exact maximum where it is in reach, and in time, else a search; the last answer again
        where the dual point is the last one but for rounding. Below `floor` the neurons returned are not
        all there are, and the maximum is not told from the floor."""
        merged = self._merged(alpha)
        if not self.is_cheap:
            known = self._known(merged, n_best)
            if known is not None:
                return known
        try:
            with heeding((lambda: False) if self.is_cheap else self.out_of_time):
                best = self._exact(merged, floor, n_best)
        except OutOfTime:
            best = None
        if best is None:
            return self.search(alpha, thorough=True)
        self._last = _Answer(merged, floor, n_best, best)
        return best

    def _merged(self, alpha: Array) -> Array:
        """alpha added up at equal inputs, rotated to a triangle where it has as many columns as rows."""
        X, which = self.distinct
        merged = alpha
        if len(X) < len(alpha):
            merged = np.zeros((len(X), alpha.shape[1]))
            np.add.at(merged, which, alpha)
        else:
            merged = np.empty_like(alpha)
            merged[which] = alpha
        if len(X) <= alpha.shape[1]:
            # only the size of responses counts
            R = np.asarray(np.linalg.qr(merged.T, mode="r"))
            merged = np.ascontiguousarray((R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None]).T)
        return merged

    def _known(self, merged: Array, n_best: int) -> Best | None:
        """The last answer, if it is one for this dual point too."""
        last = self._last
        if last is None or last.alpha.shape != merged.shape or n_best > last.n_best:
            return None
        best, top = last.best, float(last.best.values.max(initial=0.0))
        if top < last.floor * (1.0 - _ALIKE) or (best.rigour is Rigour.HEURISTIC and self.is_exact):
            return None
        # whatever unit neuron, its response differs by no more than this
        slack = self._bound(self.distinct[0], merged - last.alpha)
        return replace(best, proven=best.proven + slack) if slack <= _SAME * top else None

    def _exact(self, merged: Array, floor: float, n_best: int) -> Best | None:
        """None where it is out of reach."""
        X, method = self.distinct[0], self._method
        if method == "search":
            return None
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
            heed()
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
            heed()
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
        if N >= MANY:
            b = -np.einsum("kd,kd->k", w, self.X[self.rng.integers(N, size=n)])
            neurons = np.column_stack([w, b])
        elif self.penalty.biases:
            neurons = best_biases(self.X, alpha, w)
        else:
            # a climb begins at the best bias
            neurons = np.column_stack([w, np.zeros(n)])
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
