"""Several inputs: the finite problem that a set of neurons leaves, row by row, and their motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from .corrective import Reduced, correct
from .sliding import Moves, descend

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ON_KINK = 1e-9
_MOST_COORDINATES = 900


@dataclass(frozen=True, eq=False)
class Squares:
    """sum w (y - f)^2 / 2 over X (N, d), y (N, T); w (N, T), (N, 1) where tasks share it, or None."""

    X: Array
    y: Array
    w: Array | None

    @property
    def root(self) -> Array:
        """(P, N, 1) square roots of the weights."""
        if self.w is None:
            return np.ones((1, len(self.X), 1))
        return np.sqrt(self.w.T)[:, :, None]

    def residual(self, f: Array) -> tuple[Array, float]:
        """alpha = w (y - f), and sum alpha^2 / w."""
        if self.w is None:
            alpha = self.y - f
            return alpha, float(np.sum(alpha * alpha))
        error = np.where(self.w > 0, self.y - f, 0.0)
        alpha = np.asarray(self.w * error, dtype=np.float64)
        return alpha, float(np.sum(alpha * error))


@dataclass(frozen=True, eq=False)
class Atoms:
    """Unit neurons (K, d + 1), rows (w, b), with masses; `linear` marks those that stand for w.x on
    all data, the terms of the skip connection under a nuclear norm."""

    neurons: Array
    mass: Array
    linear: Mask

    @classmethod
    def of(cls, neurons: Array, linear: bool = False) -> Atoms:
        n = len(neurons)
        return cls(neurons, np.zeros(n), np.full(n, linear))

    def __len__(self) -> int:
        return len(self.mass)

    def take(self, chosen: Mask | NDArray[np.intp]) -> Atoms:
        return Atoms(self.neurons[chosen], self.mass[chosen], self.linear[chosen])

    def joined(self, other: Atoms) -> Atoms:
        return Atoms(
            np.concatenate([self.neurons, other.neurons]),
            np.concatenate([self.mass, other.mass]),
            np.concatenate([self.linear, other.linear]),
        )

    def features(self, X: Array) -> Array:
        """(N, K)."""
        z = X @ self.neurons[:, :-1].T + self.neurons[:, -1]
        return np.where(self.linear, z, np.maximum(z, 0.0))


@dataclass(frozen=True, eq=False)
class Corrected:
    """Atoms with their optimal masses, output weights V (K, T) and free parts (f, T)."""

    atoms: Atoms
    V: Array
    free: Array

    def network(self, penalty: Penalty) -> ReLUNetwork:
        d, n_tasks = self.atoms.neurons.shape[1] - 1, self.V.shape[1]
        A = np.zeros((d, n_tasks))
        if len(self.free) > 1:
            A += self.free[1:]
        linear = self.atoms.linear
        A += self.atoms.neurons[linear, :-1].T @ self.V[linear]
        bends = self.atoms.neurons[~linear]
        return ReLUNetwork(bends[:, :-1], bends[:, -1], self.V[~linear], A, self.free[0])


class Dense:
    """The squared problem under a penalty, its free parts rotated away by QR."""

    def __init__(
        self,
        squares: Squares,
        lam: float,
        penalty: Penalty,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        self.squares, self.lam, self.penalty, self.out_of_time = squares, lam, penalty, out_of_time
        X, root = squares.X, squares.root
        n = len(X)
        linear = penalty.skip in ("free", "frobenius")
        free = np.column_stack([np.ones(n), X]) if linear else np.ones((n, 1))
        labels = squares.y if squares.w is None else np.where(squares.w > 0, squares.y, 0.0)
        # a penalised part is a free one with one row more
        ridge = np.zeros((0, free.shape[1]))
        if penalty.biases:
            ridge = np.sqrt(self.lam) * np.eye(free.shape[1])
        self.extra = len(ridge)
        P = len(root)
        rows = np.concatenate([root * free, np.broadcast_to(ridge, (P, *ridge.shape))], axis=1)
        by_pattern = labels[None] if P == 1 else labels.T[:, :, None]
        targets = self._padded(root * by_pattern)
        self.basis, self.inverse = _orthonormal(rows)
        self.targets = self.off_free(targets)
        self.free_targets = self.basis.transpose(0, 2, 1) @ targets
        self.X1 = np.column_stack([X, np.ones(n)])

    def _padded(self, rows: Array) -> Array:
        return np.pad(rows, ((0, 0), (0, self.extra), (0, 0)))

    def off_free(self, rows: Array) -> Array:
        for _ in range(2):
            rows = rows - self.basis @ (self.basis.transpose(0, 2, 1) @ rows)
        return rows

    def weighted(self, features: Array) -> Array:
        """(P, n, Q) features on the labels of each task."""
        return self._padded(self.squares.root * features[None])

    def rotated(self, atoms: Atoms) -> Array:
        """(P, n, K) the features of atoms with the free parts rotated away."""
        return self.off_free(self.weighted(atoms.features(self.squares.X)))

    def corrected(self, atoms: Atoms, tol: float, loose: float = 0.0) -> Corrected:
        """The optimal masses, or with time up what was reached; atoms without any leave."""
        rows = self.weighted(atoms.features(self.squares.X))
        if len(atoms):
            features = self.off_free(rows)
            R = np.asarray(np.linalg.qr(np.concatenate([features, self.targets], axis=2), mode="r"))
            K = len(atoms)
            reduced = Reduced(R[:, :K, :K], R[:, :K, K:])
            mass, V = correct(reduced, self.lam, atoms.mass, tol, loose, self.out_of_time)
        else:
            mass, V = atoms.mass, np.zeros((0, self.squares.y.shape[1]))
        per_pattern = V[None] if len(rows) == 1 else V.T[:, :, None]
        onto = self.basis.transpose(0, 2, 1) @ rows
        free = self.inverse @ (self.free_targets - onto @ per_pattern)
        free = free[0] if len(rows) == 1 else free[:, :, 0].T
        alive = mass > 0
        return Corrected(Atoms(atoms.neurons, mass, atoms.linear).take(alive), V[alive], free)

    def objective(self, state: Corrected) -> float:
        rows = self.weighted(state.atoms.features(self.squares.X))
        V = state.V[None] if len(rows) == 1 else state.V.T[:, :, None]
        left = self.targets - self.off_free(rows) @ V
        return 0.5 * float(np.sum(left * left)) + self.lam * float(np.linalg.norm(state.V, axis=1).sum())

    def slid(self, atoms: Atoms, steps: int) -> Atoms:
        """Atoms of lower objective: masses and directions moved together, each on its face."""
        atoms = atoms.take(atoms.mass > 0)
        faces = [
            self.face(neuron, linear) for neuron, linear in zip(atoms.neurons, atoms.linear, strict=True)
        ]
        sizes = np.array([face.basis.shape[1] for face in faces])
        if sizes.sum() > _MOST_COORDINATES or len(atoms) == 0:
            return atoms
        owner = np.repeat(np.arange(len(atoms)), sizes)
        columns = np.concatenate([face.seen @ face.basis for face in faces], axis=1)
        rows = self.off_free(self.weighted(columns))
        R = np.asarray(np.linalg.qr(np.concatenate([rows, self.targets], axis=2), mode="r"))
        Q = len(owner)
        moves = Moves(R[:, :Q, :Q], R[:, :Q, Q:], owner, self.lam)
        edges = np.concatenate([[0], np.cumsum(sizes)])
        u = np.concatenate(
            [np.sqrt(m) * (face.unit @ face.basis) for m, face in zip(atoms.mass, faces, strict=True)]
        )

        def directions(at: Array, gradient: Array) -> Array:
            return np.eye(Q)

        def keep(at: Array, trial: Array) -> Array:
            out = trial.copy()
            for k, face in enumerate(faces):
                part = slice(edges[k], edges[k + 1])
                out[part] = face.keep(at[part], trial[part])
            return out

        u = descend(moves, u, steps, directions, keep, out_of_time=self.out_of_time)
        neurons, mass = atoms.neurons.copy(), atoms.mass.copy()
        for k, face in enumerate(faces):
            part = u[edges[k] : edges[k + 1]]
            size = float(np.linalg.norm(part))
            mass[k] = size * size
            if size > 0:
                neurons[k] = face.neuron(part / size)
        return Atoms(neurons, mass, atoms.linear)

    def face(self, neuron: Array, linear: bool) -> Face:
        X, d = self.squares.X, self.squares.X.shape[1]
        if linear:
            basis = np.eye(d + 1)[:, :d]
            return Face(neuron, basis, np.column_stack([X, np.zeros(len(X))]), np.zeros((0, d)), None)
        z = self.X1 @ neuron
        scale = np.abs(self.X1) @ np.abs(neuron)
        kink = np.abs(z) <= _ON_KINK * scale
        on = (z > 0) & ~kink
        if self.penalty.biases:
            unit, points, anchor = neuron, self.X1, None
        else:
            nearest = int(np.argmin(np.abs(z)))
            unit, anchor = neuron[:-1], X[nearest]
            points = X - anchor
        across = points[kink]
        across = across[np.any(across != 0, axis=1)]
        basis = _across(unit, across)
        signed = np.where(on, 1.0, -1.0)[~kink, None] * points[~kink]
        return Face(unit, basis, points * on[:, None], signed @ basis, anchor)


@dataclass(frozen=True, eq=False)
class Face:
    """Where one neuron may move without changing what it sees: unit weights spanned by `basis`
    (m, q); `seen` (N, m) the data it acts on; `signed` (M, q) keeps positive; its anchor, if any."""

    unit: Array
    basis: Array
    seen: Array
    signed: Array
    anchor: Array | None

    def keep(self, at: Array, trial: Array) -> Array:
        if float(trial @ at) <= 0.0:
            # a step through 0 leaves a little of the neuron: the masses' own step will drop it
            return 0.03 * at
        now, then = self.signed @ at, self.signed @ trial
        out = then < 0
        if not out.any():
            return trial
        share = float(np.min(np.maximum(now[out], 0.0) / (np.maximum(now[out], 0.0) - then[out])))
        return at + share * (trial - at)

    def neuron(self, coordinates: Array) -> Array:
        """(d + 1,) the unit neuron of these coordinates."""
        w = self.basis @ coordinates
        w = w / np.linalg.norm(w)
        if self.anchor is None:
            return w
        return np.append(w, -float(w @ self.anchor))


def _across(unit: Array, across: Array) -> Array:
    """(m, q) an orthonormal basis of the directions that keep `across` (s, m) on the kink; it holds
    `unit` but for rounding."""
    m = len(unit)
    if len(across) == 0:
        return np.eye(m)
    _, s, Vt = np.linalg.svd(across, full_matrices=True)
    rank = int(np.sum(s > 1e-9 * s[0]))
    basis = Vt[rank:].T
    if basis.shape[1] == 0 or np.linalg.norm(basis.T @ unit) < 0.99:
        return unit[:, None]
    return basis


def _orthonormal(rows: Array) -> tuple[Array, Array]:
    """(P, n, f), (P, f, f): an orthonormal basis of the free columns, and what makes coefficients of
    coordinates in it; what the labels of a task leave open takes minimum norm."""
    U, s, Vt = np.linalg.svd(rows, full_matrices=False)
    keep = s > 1e-12 * s.max(axis=1, keepdims=True)
    inverse = np.where(keep, 1.0 / np.where(keep, s, 1.0), 0.0)
    return U * keep[:, None, :], (Vt.transpose(0, 2, 1) * inverse[:, None, :])
