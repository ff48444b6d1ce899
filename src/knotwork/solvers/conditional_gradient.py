"""Conditional gradient over all univariate neurons: price every neuron exactly, add the best, correct.

For penalised biases (B (4), (7), (11), (12)), where knots lie anywhere, and for free biases without a
skip connection (A (12), B (9)), where they are data points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..dual_norm.arcs import response_of, responses
from ..dual_norm.knots import row_norms
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..points import Points
from .arcs_sliding import slide
from .corrective import Reduced, correct
from .dictionary import Atoms, Dictionary, rotated

Array = NDArray[np.float64]
_IDLE_ROUNDS = 10
_ALIKE = 1e-9


@dataclass(frozen=True, eq=False)
class Fit:
    """A solved squared problem: atoms, their network, its predictions at the points, what it is worth."""

    atoms: Atoms
    network: ReLUNetwork
    fitted: Array
    objective: float
    gap: float


def start_atoms(network: ReLUNetwork, penalty: Penalty) -> Atoms:
    """The neurons of a network as atoms, with the masses that they have there."""
    canonical = network.canonicalise(penalty)
    mass = row_norms(canonical.V)
    atoms = Atoms(canonical.W[:, 0], canonical.b, mass, np.zeros(len(mass), dtype=bool))
    if penalty.skip != "nuclear":
        return atoms
    skip = Atoms(np.ones(1), np.zeros(1), row_norms(network.A), np.ones(1, dtype=bool))
    return atoms.joined(skip)


def minimise(
    points: Points,
    lam: float,
    penalty: Penalty,
    atoms: Atoms,
    tol: float,
    round_done: Callable[[Fit], bool],
    out_of_time: Callable[[], bool] = lambda: False,
    exact: bool = False,
) -> Fit:
    """sum w (y - f)^2 / 2 + lam R to a relative gap of `tol`, from `atoms`; `round_done` may stop it.

    Masses are corrected only as far as the gap asks for, unless `exact`.
    """
    dictionary = Dictionary(points, lam, penalty)
    if penalty.skip == "nuclear" and not atoms.linear.any():
        atoms = atoms.joined(Atoms(np.ones(1), np.zeros(1), np.zeros(1), np.ones(1, dtype=bool)))
    best: Fit | None = None
    idle, target = 0, 0.0
    while True:
        loose = 0.0 if best is None or exact else 0.01 * best.gap
        atoms, V, free = _corrected(dictionary, atoms, target, loose, out_of_time)
        if dictionary.slides and np.any(~atoms.linear):
            atoms, V, free = _slid(dictionary, atoms, V, free, target, out_of_time)
        network = dictionary.network(atoms, V, free)
        fit, new = _price(dictionary, atoms, V, network)
        progress = best is None or fit.gap < 0.9 * best.gap
        idle = 0 if progress else idle + 1
        if best is None or fit.gap < best.gap:
            best = fit
        target = tol * abs(fit.objective)
        if round_done(fit) or best.gap <= target or idle >= _IDLE_ROUNDS:
            return best
        new = _unknown(new, atoms)
        if len(new) == 0 and not progress:
            return best
        atoms = atoms.joined(new)


def _corrected(
    dictionary: Dictionary, atoms: Atoms, target: float, loose: float, out_of_time: Callable[[], bool]
) -> tuple[Atoms, Array, Array]:
    """The optimal masses of the atoms, output weights V (K, T) and free parts (f, T)."""
    lam, rows = dictionary.lam, dictionary.rows(atoms)
    features = rows.pairs[..., 0] * atoms.w + rows.pairs[..., 1] * atoms.b
    R, C = rotated(rows.free, features, rows.labels)
    f = rows.free.shape[2]
    if len(atoms):
        mass, V = correct(Reduced(R[:, f:, f:], C[:, f:]), lam, atoms.mass, 0.02 * target, loose, out_of_time)
    else:
        mass, V = atoms.mass, np.zeros((0, dictionary.points.n_tasks))
    per_pattern = V[None] if len(R) == 1 else V.T[:, :, None]
    free = np.linalg.solve(R[:, :f, :f], C[:, :f] - R[:, :f, f:] @ per_pattern)
    free = np.asarray(free[0] if len(R) == 1 else free[:, :, 0].T, dtype=np.float64)
    alive = (mass > 0) | atoms.linear
    return atoms.with_mass(mass).take(alive), V[alive], free


def _slid(
    dictionary: Dictionary,
    atoms: Atoms,
    V: Array,
    free: Array,
    target: float,
    out_of_time: Callable[[], bool],
) -> tuple[Atoms, Array, Array]:
    """Knots moved to where the objective is least, neurons of one arc merged where that loses nothing."""
    plain = _settled(dictionary, atoms, target, out_of_time)
    merged = _merged(atoms, dictionary.points.x)
    if len(merged) == len(atoms):
        return plain[0]
    other = _settled(dictionary, merged, target, out_of_time)
    return other[0] if other[1] <= plain[1] * (1.0 + 1e-12) else plain[0]


def _settled(
    dictionary: Dictionary, atoms: Atoms, target: float, out_of_time: Callable[[], bool]
) -> tuple[tuple[Atoms, Array, Array], float]:
    """The atoms after a slide and their masses' own step; and the objective but for a constant."""
    alive = atoms.mass > 0
    resting, moving = atoms.take(~alive), atoms.take(alive)
    if len(moving):
        rows = dictionary.rows(moving)
        P, n, K, _ = rows.pairs.shape
        R, C = rotated(rows.free, rows.pairs.reshape(P, n, 2 * K), rows.labels)
        f = rows.free.shape[2]
        Z = R[:, f:, f:].reshape(P, -1, K, 2)
        u = np.sqrt(moving.mass)[:, None] * np.column_stack([moving.w, moving.b])
        first, last = arc_ends(moving, dictionary.points.x)
        u = slide(Z, C[:, f:], dictionary.lam, u, first, last, ~moving.linear, 12)
        mass = np.sum(u * u, axis=1)
        unit = u / np.sqrt(mass)[:, None]
        moving = _unique(Atoms(unit[:, 0], unit[:, 1], mass, moving.linear))
    state = _corrected(dictionary, moving.joined(resting), target, 0.0, out_of_time)
    return state, _objective(dictionary, *state)


def _objective(dictionary: Dictionary, atoms: Atoms, V: Array, free: Array) -> float:
    rows = dictionary.rows(atoms)
    features = rows.pairs[..., 0] * atoms.w + rows.pairs[..., 1] * atoms.b

    def per_pattern(M: Array) -> Array:
        return M[None] if len(features) == 1 else M.T[:, :, None]

    error = rows.labels - rows.free @ per_pattern(free) - features @ per_pattern(V)
    return 0.5 * float(np.sum(error * error)) + dictionary.lam * float(row_norms(V).sum())


def _price(dictionary: Dictionary, atoms: Atoms, V: Array, network: ReLUNetwork) -> tuple[Fit, Atoms]:
    """The fit with its gap, and the neurons that respond too much, the best first."""
    points, lam, penalty = dictionary.points, dictionary.lam, dictionary.penalty
    fitted = network.predict(points.x)
    if points.w is None:
        alpha = points.y - fitted
        misfit = float(np.sum(alpha * alpha))
    else:
        error = np.where(points.w > 0, points.y - fitted, 0.0)
        alpha = np.asarray(points.w * error, dtype=np.float64)
        misfit = float(np.sum(alpha * error))
    found = responses(points.x, alpha, penalty.biases)
    sums, moments = alpha.sum(axis=0), points.x @ alpha
    answer = response_of(points.x, alpha, atoms.w, atoms.b)
    answer[atoms.linear] = moments
    charge, answer = row_norms(V), np.sum(V * answer, axis=1)
    largest = found.largest
    ridge = 0.0
    if penalty.biases:
        ridge += float(sums @ sums) / lam
    if penalty.skip == "frobenius":
        ridge += float(moments @ moments) / lam
    elif penalty.skip == "nuclear":
        largest = max(largest, float(np.linalg.norm(moments)))
    scale = min(1.0, lam / largest) if largest > 0 else 1.0
    gap = float(np.sum(np.maximum(lam * charge - scale * answer, 0.0)))
    gap += 0.5 * (1.0 - scale) ** 2 * (misfit + ridge)
    objective = points.scatter + 0.5 * (misfit + ridge) + lam * float(charge.sum())
    peaks = found.peaks(lam * (1.0 + 1e-14))[: max(12, 2 * len(atoms))]
    w, b = found.neurons[peaks].T
    new = Atoms(w, b, np.zeros(len(w)), np.zeros(len(w), dtype=bool))
    return Fit(atoms, network, fitted, objective, gap), new


def _unknown(new: Atoms, atoms: Atoms) -> Atoms:
    """Those of `new` that are not among the atoms."""
    bends = atoms.take(~atoms.linear)
    if len(bends) == 0 or len(new) == 0:
        return new
    same = (np.abs(new.w[:, None] - bends.w) < 1e-14) & (np.abs(new.b[:, None] - bends.b) < 1e-14)
    fresh = np.asarray(~np.any(same, axis=1), dtype=np.bool_)
    return new.take(fresh)


def _unique(atoms: Atoms) -> Atoms:
    """Atoms that have come to the same place, joined."""
    order = np.lexsort((np.arctan2(atoms.b, atoms.w), atoms.linear))
    atoms = atoms.take(order)
    angle = np.arctan2(atoms.b, atoms.w)
    fresh = np.ones(len(atoms), dtype=bool)
    fresh[1:] = (np.diff(angle) > _ALIKE) | atoms.linear[1:]
    group = np.cumsum(fresh) - 1
    mass = np.bincount(group, weights=atoms.mass).astype(np.float64)
    heaviest = np.lexsort((-atoms.mass, group))
    chosen = heaviest[np.unique(group[heaviest], return_index=True)[1]]
    return replace(atoms.take(chosen), mass=mass)


def _merged(atoms: Atoms, x: Array) -> Atoms:
    """The atoms inside one arc replaced by one between them."""
    first, last = arc_ends(atoms, x)
    unit = np.column_stack([atoms.w, atoms.b])
    inside = ~atoms.linear & (_cross(first, unit) > 1e-14) & (_cross(unit, last) > 1e-14) & (atoms.mass > 0)
    low, high = atoms.active(x)
    kept = atoms.take(~inside)
    k = np.flatnonzero(inside)
    if len(k) < 2:
        return atoms
    arc, which = np.unique(np.column_stack([low[k], high[k]]), axis=0, return_inverse=True)
    which = which.ravel()
    if len(arc) == len(k):
        return atoms
    mass = np.bincount(which, weights=atoms.mass[k]).astype(np.float64)
    w = np.bincount(which, weights=atoms.mass[k] * atoms.w[k])
    b = np.bincount(which, weights=atoms.mass[k] * atoms.b[k])
    size = np.hypot(w, b)
    return kept.joined(Atoms(w / size, b / size, mass, np.zeros(len(mass), dtype=bool)))


def arc_ends(atoms: Atoms, x: Array) -> tuple[Array, Array]:
    """(K, 2), (K, 2): the ends of the arc of unit neurons with the same active data, counter-clockwise."""
    low, high = atoms.active(x)
    n = len(x)
    whole = (low == 0) & (high == n)
    right = ~whole & (high == n)
    first_x = np.where(right, x[np.minimum(low, n - 1)], x[np.minimum(high, n - 1)])
    last_x = np.where(right, x[np.maximum(low - 1, 0)], x[np.maximum(high - 1, 0)])
    first_sign = np.where(right | whole, 1.0, -1.0)
    last_sign = np.where(right, 1.0, -1.0)
    first_x, last_x = np.where(whole, x[0], first_x), np.where(whole, x[-1], last_x)
    ends = []
    for sign, place in ((first_sign, first_x), (last_sign, last_x)):
        size = np.hypot(1.0, place)
        ends.append(np.column_stack([sign / size, -sign * place / size]))
    unit = np.column_stack([atoms.w, atoms.b])
    still = atoms.linear | (low >= high)
    return tuple(np.where(still[:, None], unit, end) for end in ends)  # type: ignore[return-value]


def _cross(a: Array, b: Array) -> Array:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
