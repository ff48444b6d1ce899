"""Several inputs, many data: all weights of the network move together, by L-BFGS.

With balanced neurons (w, b), v the objective is |root (y - relu(X W' + b) V - free parts)|^2 / 2 +
lam (|W|^2 + |V|^2) / 2, where biases are penalised with |b|^2 in it; the free parts are rotated away, so
that one gradient is a few matrix products. It is not convex: what it gives are neurons, whose masses the
convex step solves for, and whose optimality the dual norm judges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..dual_norm.ascent import Rows
from ..penalty import Penalty
from .dense import Atoms, Dense, Squares

Array = NDArray[np.float64]
Real = NDArray[np.floating]
_BLOCK = 1 << 16
_MEMORY = 20
_FLAT = 1e-9
_ROWS, _GROWTH = 2000, 10
_NEURONS = 128
_FIRST_STEPS, _LATER_STEPS = 200, 50
_LEAST = 1e-7


class Weights:
    """The objective of `dense` in the weights of K neurons, some of them `linear`, and its gradient."""

    def __init__(self, dense: Dense, linear: NDArray[np.bool_]) -> None:
        X, self.penalised, self.linear = dense.squares.X, dense.penalty.biases, linear
        self.shape = (len(linear), X.shape[1] + 1, dense.squares.y.shape[1])
        self.rows = Rows.of(X, self.penalised)
        self.X, kind = self.rows.X, self.rows.X.dtype
        # what the output weights are measured in, so that single precision neither over- nor underflows
        self.unit = (float(np.abs(dense.targets).max(initial=0.0)) or 1.0) / self.rows.reach
        scale = self.unit * self.rows.reach
        self.lam = dense.lam / (scale * self.rows.reach)
        self.shared = len(dense.basis) == 1
        root = dense.squares.root
        self.root: Real = (root[0] if self.shared else root[:, :, 0].T).astype(kind)
        self.basis: Real = dense.basis.astype(kind)
        targets = dense.targets[0] if self.shared else dense.targets[:, :, 0].T
        self.targets: Real = (targets / scale).astype(kind)

    def pack(self, atoms: Atoms, V: Array) -> Array:
        """The balanced weights of unit neurons with output weights V (K, T), as one vector."""
        root = np.sqrt(np.linalg.norm(V, axis=1) / self.unit)
        u = self.rows.moved(atoms.neurons) * root[:, None]
        return np.concatenate([u.ravel(), (V / (self.unit * np.where(root > 0, root, 1.0)[:, None])).ravel()])

    def unpack(self, theta: Array) -> tuple[Array, Array]:
        K, m, n_tasks = self.shape
        return theta[: K * m].reshape(K, m), theta[K * m :].reshape(K, n_tasks)

    def atoms(self, theta: Array) -> Atoms:
        """Unit neurons with the masses |w| |v|; those of next to none leave."""
        u, V = self.unpack(theta)
        neurons = self.rows.back(u)
        neurons[self.linear, -1] = 0.0
        size = np.linalg.norm(neurons if self.penalised else neurons[:, :-1], axis=1)
        mass = size * np.linalg.norm(V, axis=1) * self.unit
        alive = mass > _LEAST * mass.max(initial=0.0)
        return Atoms(neurons[alive] / size[alive, None], mass[alive], self.linear[alive])

    def __call__(self, theta: Array) -> tuple[float, Array]:
        u, V = self.unpack(theta)
        rows, v = u.astype(self.X.dtype), V.astype(self.X.dtype)
        n, block = len(self.X), max(64, _BLOCK // max(1, len(rows)))
        error = np.zeros_like(self.targets)
        for low in range(0, n, block):
            part = slice(low, min(low + block, n))
            error[part] = self._hidden(part, rows)[0] @ v
        error[:n] *= self.root
        error = self._off_free(error) - self.targets
        back = self.root * error[:n]
        on_u, on_v = np.zeros_like(u), np.zeros_like(V)
        for low in range(0, n, block):
            part = slice(low, min(low + block, n))
            hidden, active = self._hidden(part, rows)
            on_v += hidden.T @ back[part]
            pull = back[part] @ v.T
            pull *= active
            on_u += pull.T @ self.X[part]
        charged = u.copy()
        charged[self.linear, -1] = 0.0
        on_u[self.linear, -1] = 0.0
        if not self.penalised:
            charged[:, -1] = 0.0
        square = np.sum(error.astype(np.float64) ** 2) + self.lam * (np.sum(charged**2) + np.sum(V * V))
        slope = np.concatenate([(on_u + self.lam * charged).ravel(), (on_v + self.lam * V).ravel()])
        return 0.5 * float(square), slope

    def _hidden(self, part: slice, rows: Real) -> tuple[Real, NDArray[np.bool_]]:
        z = self.X[part] @ rows.T
        active = z > 0
        if self.linear.any():
            active[:, self.linear] = True
            z[:, self.linear] -= rows[self.linear, -1]
        z *= active
        return z, active

    def _off_free(self, error: Real) -> Real:
        if self.shared:
            return error - self.basis[0] @ (self.basis[0].T @ error)
        by_task = error.T[:, :, None]
        left = by_task - self.basis @ (self.basis.transpose(0, 2, 1) @ by_task)
        return np.asarray(left[:, :, 0].T, dtype=error.dtype)


def descended(dense: Dense, atoms: Atoms, V: Array, steps: int, out_of_time: Callable[[], bool]) -> Atoms:
    """Atoms after at most `steps` of L-BFGS from output weights V (K, T); the same where time is up."""
    if len(atoms) == 0 or out_of_time():
        return atoms
    weights = Weights(dense, atoms.linear)

    def heed(intermediate_result: object) -> None:
        if out_of_time():
            raise StopIteration

    found = minimize(
        weights,
        weights.pack(atoms, V),
        jac=True,
        method="L-BFGS-B",
        callback=heed,
        options={"maxiter": steps, "maxfun": 2 * steps, "maxcor": _MEMORY, "ftol": _FLAT, "gtol": 0.0},
    )
    return weights.atoms(np.asarray(found.x, dtype=np.float64))


def first_atoms(
    squares: Squares,
    lam: float,
    penalty: Penalty,
    rng: np.random.Generator,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Atoms:
    """Atoms to start from: random neurons that descend on a few of the rows, then on more of them."""
    n = len(squares.X)
    rows, size = rng.permutation(n), min(n, _ROWS)
    if n < 2 * _ROWS:
        size = n
    atoms = _random_atoms(squares.X, penalty, rng)
    V, steps = None, _FIRST_STEPS
    while True:
        some = np.sort(rows[:size])
        w = None if squares.w is None else squares.w[some]
        share = size / n
        dense = Dense(Squares(squares.X[some], squares.y[some], w), share * lam, penalty)
        if V is None:
            V = _ridge(dense, atoms)
        atoms = descended(dense, atoms, V, steps, out_of_time)
        if size == n or out_of_time():
            return atoms
        state = dense.corrected(atoms, 0.0, np.inf)
        atoms, V, steps = state.atoms, state.V, _LATER_STEPS
        size = min(n, _GROWTH * size)
        if size == n:
            return atoms


def _random_atoms(X: Array, penalty: Penalty, rng: np.random.Generator) -> Atoms:
    """Directions that all columns have a say in, kinks at data."""
    spread = X.std(axis=0)
    w = rng.standard_normal((_NEURONS, X.shape[1])) / np.where(spread > 0, spread, 1.0)
    b = -np.einsum("kd,kd->k", w, X[rng.integers(len(X), size=_NEURONS)])
    rows = np.column_stack([w, b])
    atoms = Atoms.of(rows / np.linalg.norm(rows if penalty.biases else w, axis=1)[:, None])
    if penalty.skip != "nuclear":
        return atoms
    d = X.shape[1]
    return atoms.joined(Atoms.of(np.eye(d, d + 1), linear=True))


def _ridge(dense: Dense, atoms: Atoms) -> Array:
    """(K, T) output weights at masses all alike, that cost a tenth of what all can cost."""
    features = dense.rotated(atoms)
    square = float(np.sum(dense.targets**2))
    K = len(atoms)
    if square == 0.0:
        return np.zeros((K, dense.squares.y.shape[1]))
    mass = 0.05 * square / (dense.lam * K)
    flat = features.transpose(0, 2, 1)
    V = np.linalg.solve(flat @ features + dense.lam / mass * np.eye(K), flat @ dense.targets)
    return np.asarray(V[0] if len(V) == 1 else V[:, :, 0].T, dtype=np.float64)
