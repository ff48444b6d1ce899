"""The largest response over all unit neurons in any number of inputs, by enumeration of faces.

h(u) = |sum_j a_j (z_j . u)_+| is |M_D' u| where the set D of active j does not change, with
M_D = sum over D of z_j a_j': the cells of the hyperplanes z_j . u = 0. A convex function has no maximum
inside a cell but along the sphere: there u is the leading eigenvector of M_D M_D'. If that is outside the
cell, the maximum is on a face of it, and so on down to rays. The faces depend on the inputs alone: they are
enumerated once (`_faces.py`), and searched for each dual point (`_maxima.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ._faces import NotEnumerable
from ._maxima import ROUNDING, Arrangement

__all__ = ["AnchoredFaces", "Faces", "Maxima", "NotEnumerable"]

Array = NDArray[np.float64]
_LEAK = 1e-9


class Maxima(NamedTuple):
    """What a search over faces found.

    neurons : (K, m) local maximisers above the floor, the best first.  values : (K,) what they attain.
    upper_bound : no unit neuron responds more: the best value, or the floor, up to rounding, plus
        what may be lost where points nearly on one line or plane were taken to be on it.
    """

    neurons: Array
    values: Array
    upper_bound: float


@dataclass(frozen=True, eq=False)
class Faces:
    """max over unit u in R^m of |sum_j a_j (z_j . u)_+|, exactly, for many weights a and one Z.

    With Z = (x_j, 1) it is the dual norm where biases are penalised. Made by `Faces.of`.
    """

    Z: Array
    symmetric: bool
    _span: Array
    _lost: Array
    _rows: NDArray[np.bool_]
    _arrangement: Arrangement | None

    @classmethod
    def of(cls, Z: ArrayLike, max_faces: int = 2_000_000, symmetric: bool = False) -> Faces:
        """Enumerate the faces of the hyperplanes z_j . u = 0.

        Parameters
        ----------
        Z : (M, m) vectors of any rank, some of them parallel or zero; 63 directions at most.
        max_faces : refuse to hold more; each takes about 120 bytes, 300 while they are made.
        symmetric : enumerate one of u and -u, for weights with sum_j a_j z_j' = 0, where both
            respond alike.

        Raises
        ------
        NotEnumerable : for more faces, more than 63 directions, or nearly degenerate data.
        TypeError, ValueError : for an array of the wrong type or shape.
        """
        Z = as_float_array(Z, "Z", copy=True)
        if Z.ndim != 2 or Z.size == 0:
            raise ValueError(f"Z: must have shape (M, m) with M, m >= 1, got {Z.shape}")
        _check_max_faces(max_faces)
        span, lost = _span_of(Z, Z)
        inside = Z @ span
        rows = np.linalg.norm(inside, axis=1) > 0
        if not rows.any():
            return cls(Z, symmetric, span, lost, rows, None)
        faces = Arrangement.of(inside[rows], np.ones(span.shape[1]), max_faces, symmetric)
        return cls(Z, symmetric, span, lost, rows, faces)

    @property
    def n_faces(self) -> int:
        """How many faces are held."""
        return self._arrangement.n_faces if self._arrangement else 0

    def maximise(self, A: ArrayLike, floor: float = 0.0, n_best: int = 50) -> Maxima:
        """The best unit u for weights `A` (M, r).

        Returns the `n_best` best local maximisers above `floor` (M, m), what they attain, and the
        maximum over all unit u, or `floor` where it is not above it.

        Raises
        ------
        TypeError, ValueError : for arrays of the wrong type or shape, a negative floor, n_best < 1, and
            where u and -u were taken as one but respond differently.
        """
        A = _as_weights(A, len(self.Z), "A")
        _check_search(floor, n_best)
        if self._arrangement is None:
            return Maxima(np.zeros((0, self.Z.shape[1])), np.zeros(0), floor)
        leak = _leak(self.Z, A) if self.symmetric else 0.0
        if leak > _LEAK * _size(self.Z, A):
            raise ValueError("A: sum_j a_j z_j' is not zero; use Faces.of(Z, symmetric=False)")
        u, upper = self._arrangement.maximise(A[self._rows], floor, n_best)
        upper += leak + float(np.linalg.norm(A, axis=1) @ self._lost)
        u = u @ self._span.T
        return _valued(u / np.linalg.norm(u, axis=1)[:, None], self.Z, A, upper)


@dataclass(frozen=True, eq=False)
class AnchoredFaces:
    """max over |w| = 1 and all b of |sum_i alpha_i relu(w.x_i + b)|, exactly, where sum_i alpha_i = 0.

    The dual norm where biases are free. The response is convex in b between breakpoints, so the best
    neurons have w.x_i + b = 0 at some data point; faces through several points are held once. Made by
    `AnchoredFaces.of`.
    """

    X: Array
    symmetric: bool
    _span: Array
    _lost: Array
    _scale: float
    _centre: Array
    _arrangement: Arrangement | None

    @classmethod
    def of(cls, X: ArrayLike, max_faces: int = 2_000_000, symmetric: bool = False) -> AnchoredFaces:
        """Enumerate the faces of the hyperplanes w.x_i + b = 0 of (w, b).

        Parameters
        ----------
        X : (N, d) points, at most 63 of them distinct.
        max_faces : refuse to hold more; each takes about 120 bytes, 300 while they are made.
        symmetric : enumerate one of (w, b) and (-w, -b), for alpha with sum_i alpha_i x_i' = 0 too
            (a free skip connection), where both respond alike.

        Raises
        ------
        NotEnumerable : for more faces, more than 63 points, or nearly degenerate data.
        TypeError, ValueError : for an array of the wrong type or shape.
        """
        X = as_float_array(X, "X", copy=True)
        if X.ndim != 2 or X.size == 0:
            raise ValueError(f"X: must have shape (N, d) with N, d >= 1, got {X.shape}")
        _check_max_faces(max_faces)
        centre = X.mean(axis=0)
        span, lost = _span_of(X - centre, X)
        inside = (X - centre) @ span
        scale = float(np.abs(inside).max(initial=0.0))
        if scale == 0:
            return cls(X, symmetric, span, lost, 1.0, centre, None)
        rows = np.column_stack([inside / scale, np.ones(len(X))])
        metric = np.append(np.ones(span.shape[1]), 0.0)
        faces = Arrangement.of(rows, metric, max_faces, symmetric)
        return cls(X, symmetric, span, lost, scale, centre, faces)

    @property
    def n_faces(self) -> int:
        """How many faces are held."""
        return self._arrangement.n_faces if self._arrangement else 0

    def maximise(self, alpha: ArrayLike, floor: float = 0.0, n_best: int = 50) -> Maxima:
        """The best unit neurons for a dual point `alpha` (N, T).

        Returns the `n_best` best local maximisers above `floor` as rows (w, b), |w| = 1, (K, d + 1), what
        they attain, and the maximum over all unit neurons, or `floor` where it is not above it. It is
        infinite where alpha is not orthogonal to 1, or, if `symmetric`, to X, the free parts of the
        network, up to 1e-9 of its size.

        Raises
        ------
        TypeError, ValueError : for arrays of the wrong type or shape, a negative floor, n_best < 1.
        """
        a = _as_weights(alpha, len(self.X), "alpha")
        _check_search(floor, n_best)
        if self._arrangement is None:
            return Maxima(np.zeros((0, self.X.shape[1] + 1)), np.zeros(0), floor)
        rows = np.column_stack([self.X, np.ones(len(self.X))])
        # what u and -u, or neurons far from the data, respond differently
        ones = np.full((len(self.X), 1), self._scale * np.sqrt(self.X.shape[1]))
        free = np.column_stack([self.X - self._centre, ones]) if self.symmetric else ones
        leak = _leak(free, a)
        if leak > _LEAK * _size(free, a):
            return Maxima(np.zeros((0, rows.shape[1])), np.zeros(0), float("inf"))
        u, upper = self._arrangement.maximise(self._scale * a, floor, n_best)
        upper += leak * self.symmetric + float(np.linalg.norm(a, axis=1) @ self._lost)
        w = u[:, :-1] @ self._span.T
        w /= np.linalg.norm(w, axis=1)[:, None]
        height = (self.X - self._centre) @ w.T + self._scale * u[:, -1]
        anchor = np.argmin(np.abs(height), axis=0)
        neurons = np.column_stack([w, -np.einsum("kd,kd->k", w, self.X[anchor])])
        return _valued(neurons, rows, a, upper)


def _span_of(rows: Array, inputs: Array) -> tuple[Array, Array]:
    """(m, rank) an orthonormal basis of the rows up to the rounding of the inputs, and what it leaves
    out of each row (n,)."""
    _, size, Vt = np.linalg.svd(rows, full_matrices=False)
    span = Vt[size > 2.0 * max(rows.shape) * np.finfo(float).eps * np.linalg.norm(inputs)].T
    lost = np.linalg.norm(rows - rows @ span @ span.T, axis=1)
    return span, np.where(lost > ROUNDING * np.linalg.norm(inputs), lost, 0.0)


def _leak(rows: Array, A: Array) -> float:
    """|sum_i a_i row_i'|, the norm of the matrix, or 0 where it is rounding."""
    leak = float(np.linalg.norm(rows.T @ A))
    return leak if leak > ROUNDING * _size(rows, A) else 0.0


def _size(rows: Array, A: Array) -> float:
    """The norms of the terms of that sum, added."""
    return float(np.linalg.norm(A, axis=1) @ np.linalg.norm(rows, axis=1))


def _valued(neurons: Array, rows: Array, A: Array, upper: float) -> Maxima:
    values = np.linalg.norm(np.maximum(neurons @ rows.T, 0.0) @ A, axis=1)
    order = np.argsort(-values, kind="stable")
    return Maxima(neurons[order], values[order], max(upper, float(values.max(initial=0.0))))


def _as_weights(value: ArrayLike, n: int, name: str) -> Array:
    A = as_float_array(value, name)
    A = A[:, None] if A.ndim == 1 else A
    if A.ndim != 2 or len(A) != n or A.shape[1] == 0:
        raise ValueError(f"{name}: must have shape ({n}, r) with r >= 1, got {A.shape}")
    return A


def _check_max_faces(max_faces: int) -> None:
    if max_faces < 1:
        raise ValueError(f"max_faces: must be at least 1, got {max_faces!r}")


def _check_search(floor: float, n_best: int) -> None:
    if not 0.0 <= floor < np.inf:
        raise ValueError(f"floor: must be a finite number >= 0, got {floor!r}")
    if n_best < 1:
        raise ValueError(f"n_best: must be at least 1, got {n_best!r}")
