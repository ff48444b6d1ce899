"""Uniqueness in any number of inputs: are the neurons that a dual point allows linearly independent?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..network import safe_row_norms
from ..penalty import Penalty
from ._own_neurons import as_rows, free_basis, off

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_SAME = 1e-9
_NONE = 1e-12


@dataclass(frozen=True, eq=False)
class Independence:
    """Whether the matrices phi_k g_k' of neurons are linearly independent.

    independent : smallest_singular_value > tol.
    smallest_singular_value : of the matrix whose columns are the phi_k g_k', each of unit norm,
        relative to its largest; 0 where there are more columns than labels, 1 without columns.
    rank : the number of singular values above tol, relative to the largest.
    n_neurons : columns: distinct neurons, and symmetric pairs of linear ones, see `neurons_independent`.
    tol : the relative tolerance of the rank.
    """

    independent: bool
    smallest_singular_value: float
    rank: int
    n_neurons: int
    tol: float


def neurons_independent(
    X: ArrayLike,
    neurons: ArrayLike,
    alpha: ArrayLike,
    penalty: Penalty | None = None,
    mask: ArrayLike | None = None,
    *,
    tol: float = 1e-7,
) -> Independence:
    """Whether sum_k m_k phi_k g_k' = 0 on the labels, off the free parts, for m = 0 only.

    phi_k = relu(X w_k + b_k) and g_k is the unit vector along G_k = sum_i alpha_i phi_k(x_i). At any
    optimum v_k = m_k g_k with m_k >= 0, and m_k > 0 only where |G_k| is the largest of all unit
    neurons. So if `neurons` are *all* the maximisers of |G| for the dual optimum alpha, and the loss
    is strictly convex in every label, independence is enough for one solution: the fitted values
    determine the masses. It is not necessary, as masses are also >= 0.

    Free parts are projected off task by task, on the labels that task has: constants where the
    biases are free, and linear functions where the skip connection is. Then

    - a neuron that is given twice counts once; so does one of an antipodal pair under a free skip
      connection, relu(z) - relu(-z) = z being free;
    - under skip="nuclear" the skip connection is U M U' X' alpha / lam, M symmetric and U the
      singular vectors of X' alpha of value lam: the matrices X u_a h_b' + X u_b h_a', h = alpha' X u,
      are columns too;
    - under biases=False, skip="none" the same matrices stand for all neurons that are active on
      all data, where one of those given is: they are a linear part.

    One solution means one measure over neurons; of a neuron that is active on all data, or of one on
    the boundary of two cells, only what it does on the data is determined.

    Parameters
    ----------
    X : (N, d), or (N,) when d = 1.
    neurons : (M, d + 1) rows (w_k, b_k), at any scale.
    alpha : (N, T) or (N,) the dual point, orthogonal to the free parts.
    penalty : which parts are free; `Penalty()` when left out.
    mask : (N, T) or (N,), True where there is a label (of positive weight); all when left out.
    tol : the rank counts singular values above this share of the largest. It must exceed the
        relative error of alpha.

    Raises
    ------
    TypeError, ValueError : naming the argument; a neuron with G_k = 0 is no maximiser.
    """
    if penalty is None:
        penalty = Penalty()
    if not isinstance(penalty, Penalty):
        raise TypeError(f"penalty: must be a knotwork.Penalty, got {penalty!r}")
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 0 < tol < 1:
        raise ValueError(f"tol: must be a number between 0 and 1, got {tol!r}")
    units = as_float_array(neurons, "neurons")
    if units.ndim != 2 or units.shape[1] < 2:
        raise ValueError(f"neurons: must have shape (M, d + 1), rows (w, b), got {units.shape}")
    X = as_rows(X, units.shape[1] - 1)
    alpha = as_float_array(alpha, "alpha")
    alpha = alpha[:, None] if alpha.ndim == 1 else alpha
    if alpha.ndim != 2 or len(alpha) != len(X) or alpha.shape[1] == 0:
        raise ValueError(f"alpha: must have shape ({len(X)}, T), got {alpha.shape}")
    seen = _as_mask(mask, alpha)
    kept, units = _distinct(units, penalty)
    Phi = np.maximum(X @ units[:, :-1].T + units[:, -1], 0.0)
    bases = _free_bases(X, seen, penalty)
    left = _off_free(Phi, bases, seen)
    G = np.einsum("tik,it->kt", left, np.where(seen, alpha, 0.0))
    size = safe_row_norms(G)
    reach = np.linalg.norm(Phi, axis=0) * float(np.linalg.norm(np.where(seen, alpha, 0.0)))
    lost = np.flatnonzero(size <= _NONE * reach)
    if len(lost):
        raise ValueError(f"neurons: row {kept[lost[0]]} responds to alpha with 0; pass maximisers only")
    columns = left * (G / size[:, None]).T[:, None, :]
    columns = columns.reshape(left.shape[0] * left.shape[1], len(units))
    linear = _linear_columns(X, units, alpha, seen, bases, penalty, tol)
    if linear is not None:
        through = _active_on_all(X, units, seen) & (not penalty.biases)
        columns = np.hstack([columns[:, ~through], linear])
    return _judge(columns, float(tol))


def _as_mask(mask: ArrayLike | None, alpha: Array) -> Mask:
    if mask is None:
        return np.ones(alpha.shape, dtype=bool)
    seen = np.asarray(mask)
    if seen.dtype != bool:
        raise TypeError(f"mask: must be an array of True and False, got dtype {seen.dtype}")
    seen = seen[:, None] if seen.ndim == 1 else seen
    if seen.shape not in (alpha.shape, (len(alpha), 1)):
        raise ValueError(f"mask: must have shape {alpha.shape}, got {seen.shape}")
    return np.broadcast_to(seen, alpha.shape)


def _distinct(units: Array, penalty: Penalty) -> tuple[list[int], Array]:
    """The first row of each neuron, and (M', d + 1) these rows at unit penalised norm."""
    norms = safe_row_norms(units if penalty.biases else units[:, :-1])
    if np.any(norms == 0):
        raise ValueError(f"neurons: row {int(np.argmin(norms))} has no weight; pass unit neurons (w, b)")
    units = units / norms[:, None]
    kept: list[int] = []
    for k, unit in enumerate(units):
        size = _SAME * (1.0 + np.abs(unit).max())
        same = np.abs(units[kept] - unit).max(axis=1) <= size
        if penalty.skip == "free":
            same |= np.abs(units[kept] + unit).max(axis=1) <= size
        if not same.any():
            kept.append(k)
    return kept, units[kept]


def _free_bases(X: Array, seen: Mask, penalty: Penalty) -> list[Array]:
    """(N, q) per task: the free functions on its labels, orthonormal, 0 elsewhere."""
    bases = []
    for t in range(seen.shape[1]):
        rows = seen[:, t]
        if penalty.biases or not rows.any():
            bases.append(np.zeros((len(X), 0)))
            continue
        part = free_basis(X[rows], penalty.skip == "free")
        basis = np.zeros((len(X), part.shape[1]))
        basis[rows] = part
        bases.append(basis)
    return bases


def _off_free(Phi: Array, bases: list[Array], seen: Mask) -> Array:
    """(T, N, M) the features on the labels of every task, less what is free there."""
    return np.stack([off(basis, np.where(seen[:, t, None], Phi, 0.0)) for t, basis in enumerate(bases)])


def _active_on_all(X: Array, units: Array, seen: Mask) -> Mask:
    rows = X[seen.any(axis=1)]
    before = rows @ units[:, :-1].T + units[:, -1]
    return np.all(before >= -_SAME * (1.0 + np.abs(before).max(initial=0.0)), axis=0)


def _linear_columns(
    X: Array, units: Array, alpha: Array, seen: Mask, bases: list[Array], penalty: Penalty, tol: float
) -> Array | None:
    """(T N, m (m + 1) / 2) what a linear part of nuclear norm is made of; None if there is none."""
    by_neurons = penalty == Penalty(biases=False, skip="none") and _active_on_all(X, units, seen).any()
    if penalty.skip != "nuclear" and not by_neurons:
        return None
    left, size, right = np.linalg.svd(X.T @ np.where(seen, alpha, 0.0), full_matrices=False)
    top = size >= (1.0 - tol) * _largest(X, units, alpha, seen, penalty, size)
    m = int(top.sum())
    lines = _off_free(X @ left[:, :m], bases, seen)
    columns = [
        lines[:, :, a] * right[b][:, None] + lines[:, :, b] * right[a][:, None]
        for a in range(m)
        for b in range(a + 1)
    ]
    return np.stack([one.ravel() for one in columns], axis=1) if columns else None


def _largest(X: Array, units: Array, alpha: Array, seen: Mask, penalty: Penalty, size: Array) -> float:
    """lam, as the responses of the maximisers say, or the largest singular value where there are none."""
    if len(units) == 0 or not penalty.biases:
        return float(size.max(initial=0.0))
    Phi = np.maximum(X @ units[:, :-1].T + units[:, -1], 0.0)
    return float(safe_row_norms(Phi.T @ np.where(seen, alpha, 0.0)).max())


def _judge(columns: Array, tol: float) -> Independence:
    m = columns.shape[1]
    if m == 0:
        return Independence(True, 1.0, 0, 0, tol)
    norms = np.linalg.norm(columns, axis=0)
    s = np.linalg.svd(columns / np.where(norms > 0, norms, 1.0), compute_uv=False)
    smallest = float(s[-1] / s[0]) if m <= len(columns) and s[0] > 0 else 0.0
    rank = int(np.sum(s > tol * s[0]))
    return Independence(bool(smallest > tol), smallest, rank, m, tol)
