"""Several inputs: conditional gradient over all neurons, by whichever dual norm is in reach.

Price the neurons at the residual (exactly, or by search), add the best, solve for the masses, merge
and slide; the same loop as in one input, row by row. Many data start from a gradient descent, and all
their neurons slide together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dual_norm import Rigour
from ..dual_norm.several import MANY, UnitNeurons
from ..network import ReLUNetwork
from ..penalty import Penalty
from .dense import Atoms, Corrected, Dense, Squares
from .descent import descended, first_atoms

Array = NDArray[np.float64]
_IDLE_ROUNDS = 8
_MOST_NEW = 60
_SLIDES = 8
_DESCENTS, _DESCENT_STEPS = 3, 50
_SINGLE, _SMOOTH = 1e-6, 1e-5
_ALIKE = 0.999999


@dataclass(frozen=True, eq=False)
class Fit:
    """Atoms, their network, its predictions, its objective and gap, and what the gap rests on."""

    atoms: Atoms
    network: ReLUNetwork
    fitted: Array
    objective: float
    gap: float
    rigour: Rigour


def start_atoms(network: ReLUNetwork, penalty: Penalty) -> Atoms:
    """The neurons of a network as atoms, with the masses that they have there."""
    canonical = network.canonicalise(penalty)
    neurons = np.column_stack([canonical.W, canonical.b])
    atoms = Atoms(neurons, np.linalg.norm(canonical.V, axis=1), np.zeros(len(neurons), dtype=bool))
    if penalty.skip != "nuclear" or not np.any(network.A):
        return atoms
    U, s, _ = np.linalg.svd(network.A, full_matrices=False)
    rows = np.column_stack([U.T, np.zeros(len(s))])[s > 0]
    return atoms.joined(Atoms(rows, s[s > 0], np.ones(len(rows), dtype=bool)))


def minimise(
    squares: Squares,
    lam: float,
    penalty: Penalty,
    units: UnitNeurons,
    atoms: Atoms,
    tol: float,
    round_done: Callable[[Fit], bool],
    exact: bool = False,
) -> Fit:
    """sum w (y - f)^2 / 2 + lam R to a relative gap of `tol`, from `atoms`; `round_done` may stop it.

    Masses are corrected only as far as the gap asks for, unless `exact`.
    """
    problem = Dense(squares, lam, penalty, units.out_of_time)
    best: Fit | None = None
    idle, target = 0, 0.0
    many = len(squares.X) >= MANY
    if many and len(atoms) == 0:
        atoms = first_atoms(squares, lam, penalty, units.rng, units.out_of_time)
    while True:
        loose = np.inf if many else 0.0
        if best is not None:
            loose = 0.0 if exact else 0.01 * best.gap
        state = problem.corrected(atoms, 0.02 * target, loose)
        if many:
            state = _descended(problem, state, max(target, tol * problem.objective(state)))
        if len(state.atoms) and not (many and (best is None or best.gap > _SMOOTH * best.objective)):
            state = _settled(problem, state, target)
        network = state.network(penalty)
        fitted = network.predict(squares.X)
        fit, new = _price(squares, lam, penalty, units, state, network, fitted, target)
        if best is not None and (fit.rigour is not best.rigour or _refutes(fit, best, target)):
            best = None
        progress = best is None or fit.gap < 0.9 * best.gap
        idle = 0 if progress else idle + 1
        if best is None or fit.gap < best.gap:
            best = fit
        target = tol * abs(fit.objective)
        if round_done(fit) or best.gap <= target or idle >= _IDLE_ROUNDS:
            return best
        new = _unknown(new, state.atoms)
        if len(new) == 0 and not progress:
            return best
        atoms = state.atoms.joined(new)


def _refutes(fit: Fit, best: Fit, target: float) -> bool:
    """Whether this objective is below what the gap of `best` allows: its search missed neurons."""
    return fit.objective < best.objective - best.gap - 0.1 * target


def _settled(problem: Dense, state: Corrected, target: float) -> Corrected:
    """After slides; neurons that see the same data merged where that loses nothing."""
    value = problem.objective(state)
    for merge in (False, True):
        if problem.out_of_time():
            break
        atoms = _merged(state.atoms, problem.squares.X) if merge else state.atoms
        if merge and len(atoms) == len(state.atoms):
            break
        moved = problem.corrected(_unique(problem.slid(atoms, _SLIDES)), 0.02 * target)
        there = problem.objective(moved)
        if there <= value * (1.0 + 1e-12):
            state, value = moved, there
    return state


def _descended(problem: Dense, state: Corrected, target: float) -> Corrected:
    """After descents in the weights, as long as these gain."""
    value = problem.objective(state)
    for _ in range(_DESCENTS):
        if problem.out_of_time():
            break
        atoms = descended(problem, state.atoms, state.V, _DESCENT_STEPS, problem.out_of_time)
        moved = problem.corrected(_unique(atoms), 0.02 * target)
        there = problem.objective(moved)
        gain = value - there
        if gain > 0.0:
            state, value = moved, there
        if gain <= max(0.1 * target, _SINGLE * value):
            break
    return state


def _price(
    squares: Squares,
    lam: float,
    penalty: Penalty,
    units: UnitNeurons,
    state: Corrected,
    network: ReLUNetwork,
    fitted: Array,
    target: float,
) -> tuple[Fit, Atoms]:
    alpha, misfit = squares.residual(fitted)
    if not penalty.biases:
        alpha = _off_free(squares, alpha, penalty.skip == "free")
    sums, moments = alpha.sum(axis=0), squares.X.T @ alpha
    answers = state.atoms.features(squares.X).T @ alpha
    charge = np.linalg.norm(state.V, axis=1)
    fit = np.sum(state.V * answers, axis=1)
    ridge = 0.0
    if penalty.biases:
        ridge += float(sums @ sums) / lam
    along, direction = 0.0, np.zeros((0, squares.X.shape[1]))
    if penalty.skip == "frobenius":
        ridge += float(np.sum(moments * moments)) / lam
    elif penalty.skip == "nuclear":
        U, s, _ = np.linalg.svd(moments, full_matrices=False)
        along, direction = float(s[0]), U[:, s > lam * (1.0 + 1e-14)].T
    objective = 0.5 * (misfit + ridge) + lam * float(charge.sum())

    def gap_at(largest: float) -> float:
        scale = min(1.0, lam / largest) if largest > 0 else 1.0
        terms = np.maximum(lam * charge - scale * fit, 0.0)
        return float(terms.sum()) + 0.5 * (1.0 - scale) ** 2 * (misfit + ridge)

    bends = state.atoms.neurons[~state.atoms.linear]
    cheap = units.is_cheap
    found = units.maximise(alpha, lam) if cheap else units.search(alpha, bends)
    gap = gap_at(max(found.largest, along))
    if not cheap and gap <= max(10.0 * target, 1e-3 * objective) and units.is_exact:
        # the search has little left to find: now every neuron is looked at
        found = units.maximise(alpha, lam)
        gap = gap_at(max(found.largest, along))
    elif not cheap and gap <= target:
        found = units.search(alpha, bends, thorough=True)
        gap = gap_at(max(found.largest, along))
    new = Atoms.of(_different(found.neurons[found.values > lam * (1.0 + 1e-14)], squares.X, len(state.atoms)))
    rows = np.column_stack([direction, np.zeros(len(direction))])
    return Fit(state.atoms, network, fitted, objective, gap, found.rigour), new.joined(Atoms.of(rows, True))


def _off_free(squares: Squares, alpha: Array, linear: bool) -> Array:
    """alpha without what rounding leaves of its sums with the free parts."""
    Z = np.ones((len(alpha), 1))
    if linear:
        Z = np.column_stack([Z, squares.X - squares.X.mean(axis=0)])
    w = np.ones((len(alpha), 1)) if squares.w is None else squares.w
    for t in range(w.shape[1]):
        columns = slice(None) if w.shape[1] == 1 else slice(t, t + 1)
        root = np.sqrt(w[:, t])[:, None]
        U, s, _ = np.linalg.svd(root * Z, full_matrices=False)
        Q = root * U[:, s > 1e-12 * s[0]]
        safe = np.where(w[:, t] > 0, w[:, t], 1.0)[:, None]
        alpha[:, columns] -= Q @ ((Q / safe).T @ alpha[:, columns])
    return alpha


def _different(neurons: Array, X: Array, n_atoms: int) -> Array:
    """The first of the candidates that do not see the data alike."""
    most = min(_MOST_NEW, max(12, 2 * n_atoms))
    Phi = np.maximum(X @ neurons[: 10 * most, :-1].T + neurons[: 10 * most, -1], 0.0)
    size = np.linalg.norm(Phi, axis=0)
    Phi = Phi / np.where(size > 0, size, 1.0)
    chosen: list[int] = []
    for k in range(Phi.shape[1]):
        if size[k] > 0 and (not chosen or np.max(Phi[:, chosen].T @ Phi[:, k]) < _ALIKE):
            chosen.append(k)
            if len(chosen) == most:
                break
    return neurons[chosen]


def _unknown(new: Atoms, atoms: Atoms) -> Atoms:
    if len(new) == 0 or len(atoms) == 0:
        return new
    near = np.abs(new.neurons[:, None] - atoms.neurons[None]).max(axis=2) < 1e-13
    near &= new.linear[:, None] == atoms.linear[None]
    return new.take(np.asarray(~near.any(axis=1), dtype=np.bool_))


def _unique(atoms: Atoms) -> Atoms:
    """Atoms that have come to the same place, joined."""
    if len(atoms) < 2:
        return atoms
    key = np.column_stack([np.round(atoms.neurons, 10), atoms.linear])
    _, index, which = np.unique(key, axis=0, return_index=True, return_inverse=True)
    mass = np.bincount(which.ravel(), weights=atoms.mass).astype(np.float64)
    return Atoms(atoms.neurons[index], mass, atoms.linear[index])


def _merged(atoms: Atoms, X: Array) -> Atoms:
    """Atoms with the same active data replaced by one between them."""
    bends = np.flatnonzero(~atoms.linear & (atoms.mass > 0))
    z = X @ atoms.neurons[bends, :-1].T + atoms.neurons[bends, -1]
    scale = np.abs(X) @ np.abs(atoms.neurons[bends, :-1].T) + np.abs(atoms.neurons[bends, -1])
    sign = np.where(np.abs(z) <= 1e-9 * scale, 0, np.sign(z)).astype(np.int8)
    _, which = np.unique(sign.T, axis=0, return_inverse=True)
    which = which.ravel()
    if len(bends) == 0 or which.max() + 1 == len(bends):
        return atoms
    mass = np.bincount(which, weights=atoms.mass[bends]).astype(np.float64)
    sums = np.zeros((len(mass), atoms.neurons.shape[1]))
    np.add.at(sums, which, atoms.mass[bends, None] * atoms.neurons[bends])
    penalised = np.allclose(np.linalg.norm(atoms.neurons[bends], axis=1), 1.0)
    size = np.linalg.norm(sums if penalised else sums[:, :-1], axis=1)
    rest = np.ones(len(atoms), dtype=bool)
    rest[bends] = False
    merged = Atoms(sums / size[:, None], mass, np.zeros(len(mass), dtype=bool))
    return atoms.take(rest).joined(merged)
