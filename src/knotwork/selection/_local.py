"""A fit near its labels: its neurons on the faces where they may move, and what moves with the labels.

Given u (Q,), sqrt(mass) times the unit weights of every neuron in an orthonormal basis of its face, the
output weights are ridge regression, task by task, on psi_k = Z_k u_k, and what is left is the smooth
g(u) of `solvers/sliding.py`. By the implicit function theorem at a minimum of g

    df / dy = (ridge with the kernel held fixed) + E g_uu^-1 E' W,     E = df / du, W the label weights,

since dg / dy is the dual point alpha, and d alpha / du = -W E. Only the second term crosses tasks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..problem import Problem
from ..solvers.dense import Corrected, Dense, Face, Squares
from ..solvers.several_inputs import start_atoms
from ..solvers.sliding import Moves

Array = NDArray[np.float64]
_SLIDES, _NEWTON_STEPS = 30, 12
_STATIONARY, _NULL, _NEGATIVE = 1e-8, 1e-11, -1e-7


@dataclass(frozen=True, eq=False)
class Point:
    """The fit at some u: A = lam I + psi' psi of each pattern inverted (P, K, K), psi' Z (P, K, Q), output
    weights V (P, K, T / P), Z' alpha (P, Q, T / P), and the gradient (Q,) and Hessian (Q, Q) of g."""

    u: Array
    A: Array
    overlap: Array
    V: Array
    pull: Array
    gradient: Array
    hessian: Array


@dataclass(frozen=True, eq=False)
class View:
    """Inputs as a fit sees them: the free parts in an orthonormal basis (P, n, f), and the neurons'
    columns off them (P, n, Q)."""

    free: Array
    columns: Array

    def rows(self, rows: NDArray[np.intp]) -> View:
        return View(self.free[:, rows], self.columns[:, rows])


@dataclass(frozen=True, eq=False)
class Local:
    """The data as the neurons of one fit see them; P is 1 where tasks share their weights, else T.

    faces, linear : of every neuron.  owner : (Q,) the neuron of each coordinate.
    basis : (P, N + e, f) orthonormal, of the weighted free parts, e rows for those that are penalised.
    inverse : (P, f, f) makes coefficients of coordinates in it.
    onto : (P, f, Q) the coefficients of the free parts in the neurons' columns.
    frame : (P, N + e, r) orthonormal, of the weighted columns off the free parts.
    Z : (P, r, Q) and C : (P, r, T / P), columns and labels in that frame.
    targets : (P, f, T / P) the labels in `basis`.  weight : (N, T).  u : (Q,).
    """

    problem: Problem
    faces: tuple[Face, ...]
    linear: NDArray[np.bool_]
    owner: NDArray[np.intp]
    basis: Array
    inverse: Array
    onto: Array
    frame: Array
    Z: Array
    C: Array
    targets: Array
    weight: Array
    u: Array

    @property
    def n_neurons(self) -> int:
        return len(self.faces)

    @classmethod
    def of(cls, problem: Problem, network: ReLUNetwork) -> Local:
        """From a near-optimal network, its masses solved for and its neurons slid; those of no mass leave."""
        weight = problem.label_weight()
        dense = Dense(_squares(problem, weight), problem.lam, problem.penalty)
        state = dense.corrected(start_atoms(network, problem.penalty), 0.0)
        if problem.n_inputs > 1 or problem.penalty.biases:
            state = dense.corrected(dense.slid(state.atoms, _SLIDES), 0.0)
        return cls._on_faces(problem, dense, state, weight)

    @classmethod
    def _on_faces(cls, problem: Problem, dense: Dense, state: Corrected, weight: Array) -> Local:
        neurons, linear = state.atoms.neurons, state.atoms.linear
        faces = tuple(
            dense.face(neuron, is_linear) for neuron, is_linear in zip(neurons, linear, strict=True)
        )
        sizes = [face.basis.shape[1] for face in faces]
        owner = np.repeat(np.arange(len(faces)), sizes)
        parts = [np.zeros((problem.n_rows, 0)), *(face.seen @ face.basis for face in faces)]
        columns = dense.weighted(np.concatenate(parts, axis=1))
        off = dense.off_free(columns)
        frame, Z = np.linalg.qr(off)
        mass = zip(state.atoms.mass, faces, strict=True)
        u = [np.zeros(0), *(np.sqrt(m) * (face.unit @ face.basis) for m, face in mass)]
        return cls(
            problem,
            faces,
            linear,
            owner,
            dense.basis,
            dense.inverse,
            dense.inverse @ (dense.basis.transpose(0, 2, 1) @ columns),
            frame,
            Z,
            frame.transpose(0, 2, 1) @ dense.targets,
            dense.free_targets,
            weight,
            np.concatenate(u),
        )

    def at(self, u: Array) -> Point:
        """The fit at u."""
        if self.n_neurons == 0:
            P, columns = len(self.C), self.C.shape[2]
            none, flat = np.zeros((P, 0, columns)), np.zeros((P, 0, 0))
            return Point(u, flat, flat, none, none, np.zeros(0), np.zeros((0, 0)))
        moves = Moves(self.Z, self.C, self.owner, self.problem.lam)
        here = moves.at(u)
        psi = moves.per_neuron(self.Z * u)
        overlap = psi.transpose(0, 2, 1) @ self.Z
        A = psi.transpose(0, 2, 1) @ psi
        A[:, np.arange(self.n_neurons), np.arange(self.n_neurons)] += self.problem.lam
        V = moves.per_neuron((u[:, None] * here.pull).transpose(0, 2, 1)).transpose(0, 2, 1)
        inverse = np.asarray(np.linalg.inv(A), dtype=np.float64)
        hessian = moves.hessian(u, here)
        return Point(u, inverse, overlap, V / self.problem.lam, here.pull, here.gradient, hessian)

    def settled(self) -> Point:
        """Newton's method from u, on the faces, to where rounding ends it.

        Raises
        ------
        ValueError : where it ends at no minimum.
        """
        u, here = self.u, self.at(self.u)
        error = float(np.abs(here.gradient).max(initial=0.0))
        for _ in range(_NEWTON_STEPS):
            values, vectors = _modes(here.hessian)
            kept = np.abs(values) > _NULL
            vectors = vectors[:, kept]
            trial = u - vectors @ ((vectors.T @ here.gradient) / np.abs(values[kept]))
            there = self.at(trial)
            moved = float(np.abs(there.gradient).max(initial=0.0))
            if not moved < error or not self.keeps(trial):
                break
            u, here, error = trial, there, moved
        if not error <= _STATIONARY * self.problem.lam * float(np.abs(u).max(initial=0.0)):
            raise ValueError(
                "solution: its neurons are not near a minimum of the objective; solve to a smaller tol"
            )
        return here

    def keeps(self, u: Array) -> bool:
        """Whether every neuron is on its face at u."""
        pairs = zip(self.faces, self._units(u), strict=True)
        return all(float((face.signed @ unit).min(initial=0.0)) >= 0.0 for face, unit in pairs)

    def network(self, here: Point) -> ReLUNetwork:
        """The fit as a network of unit neurons."""
        d, n_tasks = self.problem.n_inputs, self.problem.n_tasks
        free = self.inverse @ self.targets - self._per_neuron(self.onto * here.u) @ here.V
        c, A = per_task(free[:, :1])[0], np.zeros((d, n_tasks))
        if free.shape[1] > 1:
            A += per_task(free[:, 1:])
        neurons = self._neurons(here.u)
        size = np.sqrt(self._per_neuron(here.u * here.u))
        V, linear = size[:, None] * per_task(here.V), self.linear
        A += neurons[linear, :d].T @ V[linear]
        bends = neurons[~linear]
        return ReLUNetwork(bends[:, :d], bends[:, d], V[~linear], A, c)

    def view(self, X: Array, u: Array) -> View:
        """What the fit at u is made of at inputs X (n, d)."""
        free = np.ones((len(X), 1))
        if self.inverse.shape[1] > 1:
            free = np.column_stack([free, X])
        parts = [np.zeros((len(X), 0))]
        for face, linear, neuron in zip(self.faces, self.linear, self._neurons(u), strict=True):
            points = np.column_stack([X, free[:, 0]]) if face.anchor is None else X - face.anchor
            on = linear | (X @ neuron[:-1] + neuron[-1] > 0)
            parts.append((points * np.reshape(on, (-1, 1))) @ face.basis)
        return View(free @ self.inverse, np.concatenate(parts, axis=1) - free @ self.onto)

    def own(self, view: View, here: Point) -> Array:
        """(P, n, f + K) B such that B(x) B(x')' w' is what the label at x' adds to the fit at x while the
        kernel stays: the free parts, and ridge on the neurons."""
        ridge = self._per_neuron(view.columns * here.u) @ np.linalg.cholesky(here.A)
        return np.concatenate([view.free, ridge], axis=2)

    def moves(self, view: View, here: Point) -> Array:
        """(n, T, Q) E, what the fits gain when the coordinates u move."""
        psi = self._per_neuron(view.columns * here.u)
        # a column as ridge makes room for it, and its output weights as they follow
        turn = view.columns - psi @ (here.A @ here.overlap)
        grow = (psi @ here.A)[:, :, self.owner]
        V = here.V[:, self.owner]
        E = turn[:, :, :, None] * V[:, None] + grow[:, :, :, None] * here.pull[:, None]
        return np.concatenate(list(E), axis=2).transpose(0, 2, 1)

    def relabelled(self, rows: NDArray[np.intp], tasks: NDArray[np.intp], change: Array) -> Local:
        """The same neurons with labels (rows, tasks) changed by `change` (m,)."""
        P, e = len(self.frame), self.frame.shape[1]
        difference = np.zeros((P, e, self.C.shape[2]))
        pattern, column = (np.zeros_like(tasks), tasks) if P == 1 else (tasks, np.zeros_like(tasks))
        difference[pattern, rows, column] = np.sqrt(self.weight[rows, tasks]) * change
        return replace(
            self,
            C=self.C + self.frame.transpose(0, 2, 1) @ difference,
            targets=self.targets + self.basis.transpose(0, 2, 1) @ difference,
        )

    def _neurons(self, u: Array) -> Array:
        rows = [face.neuron(unit) for face, unit in zip(self.faces, self._units(u), strict=True)]
        return np.reshape(rows, (self.n_neurons, self.problem.n_inputs + 1))

    def _units(self, u: Array) -> list[Array]:
        cuts = np.searchsorted(self.owner, np.arange(1, self.n_neurons))
        return np.split(u, cuts) if self.n_neurons else []

    def _per_neuron(self, values: Array) -> Array:
        if self.n_neurons == 0:
            return values
        return np.add.reduceat(values, np.searchsorted(self.owner, np.arange(self.n_neurons)), axis=-1)


def inverse_root(hessian: Array) -> tuple[Array, Array]:
    """(Q, m) B with B B' the inverse of the Hessian off its null space, and a basis (Q, Q - m) of that.

    Raises
    ------
    ValueError : for a direction of negative curvature.
    """
    values, vectors = _modes(hessian)
    if values.min(initial=0.0) < _NEGATIVE:
        raise ValueError("solution: its neurons are at no minimum of the objective; solve to a smaller tol")
    kept = values > _NULL
    return vectors[:, kept] / np.sqrt(values[kept]), vectors[:, ~kept]


def _modes(hessian: Array) -> tuple[Array, Array]:
    """Eigenvalues (Q,) and vectors (Q, Q) of the Hessian over its diagonal, in the coordinates u."""
    size = np.sqrt(np.maximum(hessian.diagonal(), 1e-14 * hessian.diagonal().max(initial=0.0)))
    values, vectors = np.linalg.eigh(hessian / size / size[:, None])
    return values, vectors / size[:, None]


def per_task(M: Array) -> Array:
    """(m, T) from the (P, m, T / P) of each pattern."""
    return np.concatenate(list(M), axis=1)


def _squares(problem: Problem, weight: Array) -> Squares:
    shared = bool(np.all(weight == weight[:, :1]))
    return Squares(problem.X, np.where(weight > 0, problem.Y, 0.0), weight[:, :1] if shared else weight)
