"""A network's own neurons on data: their features, off the free parts, in as few rows as they span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..free_parts import least_squares
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ._least_masses import Dictionary

Array = NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class OwnNeurons:
    """f = Phi V + fixed u + free parts at the distinct rows of the data, in coordinates of size (n, r).

    network : the neurons, of unit penalised norm and distinct, their output weights and free parts.
    penalty : what costs.
    X : (N, d) distinct rows.
    n_free : the rank of the free parts on X.
    rows : (N, n) orthonormal; tasks : (T, r) orthonormal.
    Phi : (n, K + m) the neurons, then the linear neurons X u_j of a nuclear skip connection.
    fixed : (n, q) the features [1, X] of a penalised c and A that cost half their square.
    C : (n, r) the values off the free parts.  scale : the largest of them, or of f if less.
    spread : (n,) singular values of [Phi, fixed].
    lines : (d, m) the unit vectors u_j.
    masses : (K + m,) |v_k| of the network as it is, and what the linear neurons have of A.
    """

    network: ReLUNetwork
    penalty: Penalty
    X: Array
    n_free: int
    rows: Array
    tasks: Array
    Phi: Array
    fixed: Array
    C: Array
    scale: float
    spread: Array
    lines: Array
    masses: Array

    @property
    def dictionary(self) -> Dictionary:
        """The same in rows that are whitened, so that [Phi, fixed] has condition number 1."""
        s = self.spread[:, None]
        return Dictionary(self.Phi / s, self.fixed / s, self.C / s)

    def error(self, V: Array, u: Array) -> Array:
        """(n, r) what output weights V (K + m, r) and u (q, r) still miss of C."""
        return self.C - self.Phi @ V - self.fixed @ u

    def steeper_lines(self, alpha: Array, tol: float) -> Array:
        """(d, m') the directions u in which a nuclear skip connection could cost less: |alpha' X u| > 1.

        alpha : (n, r) in the coordinates of `dictionary`.
        """
        if self.penalty.skip != "nuclear":
            return np.zeros((self.X.shape[1], 0))
        left, size, _ = np.linalg.svd(
            (self.X.T @ self.rows) @ (alpha / self.spread[:, None]), full_matrices=False
        )
        return left[:, size > 1.0 + tol]

    def rebuilt(self, V: Array, u: Array) -> ReLUNetwork:
        """The network of these output weights, without neurons of weight 0; free parts by least squares."""
        old, K = self.network, self.network.n_neurons
        kept = np.flatnonzero(np.any(V[:K] != 0, axis=1))
        W, b, out = old.W[kept], old.b[kept], V[kept] @ self.tasks.T
        A, c = old.A, old.c
        if self.penalty.biases:
            more = u @ self.tasks.T
            c, A = more[0], more[1:] if len(more) > 1 else np.zeros_like(A)
            if self.penalty.skip == "nuclear":
                A = self.lines @ (V[K:] @ self.tasks.T)
        else:
            left = predictions(old, self.X) - predictions(ReLUNetwork(W, b, out, A, c), self.X)
            for _ in range(2):
                A_more, c_more = least_squares(self.X, left, None, self.penalty.skip == "free")
                A, c, left = A + A_more, c + c_more, left - self.X @ A_more - c_more
        return ReLUNetwork(W, b, out, A, c)


def own_neurons(unit: ReLUNetwork, X: Array, penalty: Penalty, lines: Array | None = None) -> OwnNeurons:
    """The dictionary of a canonical network on distinct rows `X` (N, d).

    lines : (d, m') of a nuclear skip connection, beside the left singular vectors of A.
    """
    # off the constants a neuron that is active on all data is linear: its bias would only cost digits
    inner = X @ unit.W.T
    through = np.all(inner + unit.b >= 0, axis=0) & (not penalty.biases)
    hidden = np.where(through, (X - X.mean(axis=0)) @ unit.W.T, np.maximum(inner + unit.b, 0.0))
    lines = np.zeros((X.shape[1], 0)) if lines is None else lines
    fixed, free = np.zeros((len(X), 0)), np.zeros((len(X), 0))
    weights = unit.V
    if not penalty.biases:
        free = free_basis(X, penalty.skip == "free")
    elif penalty.skip == "nuclear":
        left, size, right = np.linalg.svd(unit.A, full_matrices=False)
        weights = np.vstack([unit.V, size[:, None] * right, np.zeros((lines.shape[1], unit.n_tasks))])
        lines = np.hstack([left, lines])
    if penalty.biases:
        fixed = np.ones((len(X), 1))
    if penalty.skip == "frobenius":
        fixed = np.hstack([fixed, X])
    features = off(free, np.hstack([hidden, X @ lines]))
    noise = 32.0 * _EPS * np.linalg.norm(hidden, axis=0)
    features[:, : unit.n_neurons][:, np.linalg.norm(features[:, : unit.n_neurons], axis=0) <= noise] = 0.0
    made = features @ weights + fixed @ np.vstack([unit.c, unit.A])[: fixed.shape[1]]
    scale = float(np.abs(made).max(initial=0.0))
    features = np.hstack([features, fixed])
    U, s, _ = np.linalg.svd(features, full_matrices=False)
    cost = unit.cost(penalty)
    # a direction that no weights of this cost can fill beyond the rounding of the predictions
    n = int(np.sum((s > _EPS * len(X) * s.max(initial=0.0)) & (s * (cost + np.sqrt(cost)) > _EPS * scale)))
    rows = U[:, :n]
    reduced = rows.T @ made
    _, size, basis = np.linalg.svd(reduced, full_matrices=False)
    r = int(np.sum(size > 4.0 * _EPS * np.sqrt(made.size) * scale))
    tasks = basis[:r].T
    features = rows.T @ features
    K = len(weights)
    return OwnNeurons(
        network=unit,
        penalty=penalty,
        X=X,
        n_free=free.shape[1],
        rows=rows,
        tasks=tasks,
        Phi=features[:, :K],
        fixed=features[:, K:],
        C=reduced @ tasks,
        scale=min(scale, float(np.abs(predictions(unit, X)).max())),
        spread=s[:n],
        lines=lines,
        masses=safe_row_norms(weights),
    )


def predictions(network: ReLUNetwork, X: Array) -> Array:
    """f(X), neuron by neuron: knots far from the data cost `ReLUNetwork.predict` digits in one input."""
    return np.maximum(X @ network.W.T + network.b, 0.0) @ network.V + X @ network.A + network.c


def free_basis(X: Array, linear: bool) -> Array:
    """(N, q) an orthonormal basis of the constants, and with `linear` of the affine functions, on X."""
    N = len(X)
    constant = np.full((N, 1), 1.0 / np.sqrt(N))
    if not linear:
        return constant
    centred = X - X.mean(axis=0)
    U, s, _ = np.linalg.svd(centred, full_matrices=False)
    noise = _EPS * max(8.0 * np.sqrt(N) * float(np.abs(X).max(initial=0.0)), N * float(s.max(initial=0.0)))
    return np.linalg.qr(np.hstack([constant, U[:, s > noise]]))[0]


def off(basis: Array, M: Array) -> Array:
    """M less its part in the span of `basis`, twice, so that what is left is rounding."""
    for _ in range(2):
        M = M - basis @ (basis.T @ M)
    return M


def as_rows(X: ArrayLike, n_inputs: int) -> Array:
    """`X` as (N, d) with N >= 1."""
    X = as_float_array(X, "X")
    if X.ndim == 1 and n_inputs == 1:
        X = X[:, None]
    if X.ndim != 2 or X.shape[1] != n_inputs or len(X) == 0:
        raise ValueError(f"X: must have shape (N, {n_inputs}) with N >= 1, got {X.shape}")
    return X
