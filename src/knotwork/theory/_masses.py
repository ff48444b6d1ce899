"""Missing labels in one input: what the labels that are there say of the masses of the knots."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from ..dual_norm.knots import row_norms, slope_changes
from ..problem import Problem
from ..solvers.solve import solve
from ._hats import Array, Index, Mask, hats, may_bend, moments, response, through
from ._newton import MOST_UNKNOWNS, polished_jumps

_PROVEN = 1e-9
_EXACT = 1e-10
_ATTEMPTS = 6
_LEAST_MASSES = (1e-8, 1e-6, 1e-4)
_AT_THE_EDGE = (
    "a knot's mass is too small to tell whether it may bend, so rounding decides the verdict; "
    "merge very close inputs, or fill in a missing label"
)
_SMALLER = "solve with a smaller tol"
_LP = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Masses(NamedTuple):
    """Knots of a member inside the set of solutions, and how their masses can move.

    values : (n, T) the member at the inputs.
    knot, jump : (k,), (k, T) the places of its knots among the inputs, and its slope changes there.
    flat : (k - 1,) whether one knot between k and k + 1 may carry mass of both.
    moves : (k, r) orthonormal directions in which |jump| moves.
    """

    values: Array
    knot: Index
    jump: Array
    flat: Mask
    moves: Array


def free_masses(
    x: Array, labels: Array, p: Array | None, p_error: Array, tol: float, size_tol: float
) -> Masses | str:
    """All minimum-norm interpolants of `labels` (n, T), NaN where missing; or why they stay open.

    p : (n, T) the dual optimum over lam, each p_j within p_error_j; None at lam = 0, where that of the
        interpolation serves.
    """
    seen = ~np.isnan(labels)
    kept = np.arange(len(x)) if p is None else _rows_beside_knots(seen, row_norms(p) >= 1.0 - p_error)
    small = None if p is None else p[kept]
    found = _masses_between(x[kept], labels[kept], small, p_error[kept], np.diff(kept) == 1, tol, size_tol)
    if isinstance(found, str):
        return found
    values, knot = np.array(labels), kept[found.knot]
    values[kept] = found.values
    for t in range(labels.shape[1]):
        grid, missing = x[seen[:, t]], ~seen[:, t]
        if len(grid) > 1:
            line = through(grid, labels[seen[:, t], t], x[missing])
            values[missing, t] = line + response(grid, x[missing], x[knot]) @ found.jump[:, t]
        else:
            values[:, t] = labels[seen[:, t], t]
    return found._replace(values=values, knot=knot)


def _rows_beside_knots(seen: Mask, may: Mask) -> Index:
    """The rows where a solution may bend, the ends, and the first and last label of every task between
    two of them: the others say nothing new of a function that is straight there."""
    n = len(seen)
    kept = may.copy()
    kept[[0, -1]] = True
    cell = np.cumsum(kept)
    for t in range(seen.shape[1]):
        rows = np.flatnonzero(seen[:, t] & ~may)
        kept[rows[np.unique(cell[rows], return_index=True)[1]]] = True
        kept[rows[len(rows) - 1 - np.unique(cell[rows][::-1], return_index=True)[1]]] = True
    return np.arange(n)[kept]


def _masses_between(
    x: Array,
    labels: Array,
    p: Array | None,
    p_error: Array,
    adjacent: Mask,
    tol: float,
    size_tol: float,
) -> Masses | str:
    """`free_masses` on few rows, of which `adjacent` (n - 1,) are neighbours in the data."""
    seen = ~np.isnan(labels)
    # a task of one or two labels is a line, whatever the others do
    may = np.count_nonzero(seen, axis=0) > 2
    values, own, gap = np.where(seen, labels, 0.0), np.zeros_like(labels), 0.0
    for t in np.flatnonzero(~may):
        grid = x[seen[:, t]]
        values[:, t] = through(grid, labels[seen[:, t], t], x) if len(grid) > 1 else labels[seen[:, t], t]
    if may.any():
        # the interior point ends inside the set of solutions, where every knot that may bend does;
        # asked for more than float64 may hold, it is judged by its certificate
        place = (x - x[0]) / (x[-1] - x[0])
        with np.errstate(all="ignore"):
            inner = solve(Problem(place, labels[:, may], 0.0), tol=1e-14)
        values[:, may] = np.where(seen[:, may], labels[:, may], inner.network.predict(place))
        own[:, may], gap = potential(place, inner.certificate.dual_point), inner.certificate.relative_gap
    own = own[1:-1]
    change, h = slope_changes(x, values), np.diff(x)
    size = row_norms(change)
    noise = 64.0 * np.finfo(float).eps * np.abs(values).max() * (1.0 / h[:-1] + 1.0 / h[1:])
    none = np.zeros(0, dtype=np.intp)
    if not np.any(size > noise):
        return Masses(values, none, np.zeros((0, labels.shape[1])), none.astype(bool), np.zeros((0, 0)))
    if gap > _PROVEN:
        return f"missing labels were filled in to a relative gap of {gap:.1g} only; merge very close inputs"
    if p is None:
        # a knot with |p| < 1 - s carries at most gap / s in any solution
        p, error = own, np.full(len(own), max(1e-7, float(np.sqrt(gap))))
    else:
        p, error = p[1:-1], p_error[1:-1]
    bends = (size > noise) & (size > (1.0 - row_norms(own)) * size.mean())
    allowed = row_norms(p) >= 1.0 - error
    found = _inside(x, labels, seen, change, bends, p, allowed | bends)
    if isinstance(found, str):
        return found
    knot, jump, M = found
    mass = row_norms(jump)
    off = 0.0 if p is own else 2.0 * float(error[knot].max())
    if p is not own and np.any(row_norms(jump / mass[:, None] - p[knot]) > 2.0 * error[knot] + tol):
        return f"the solution's gap leaves the directions of its knots open; {_SMALLER}"
    moves, singular = null_space(M, _PROVEN)
    unit = jump / mass[:, None]
    angle = row_norms(np.diff(unit, axis=0))
    neighbours = (
        (np.diff(knot) == 1)
        & adjacent[1:][knot[:-1]]
        & (np.minimum(mass[1:], mass[:-1]) > size_tol * mass.max())
    )
    # an error in the directions moves singular values and angles by no more than itself
    shift = off * np.sqrt(len(knot))
    doubtful = np.any((singular > _PROVEN) & (singular < tol + shift))
    doubtful |= moves.shape[1] > 0 and shift > tol
    if labels.shape[1] > 1 and (doubtful or np.any(neighbours & (np.abs(angle - tol) <= off))):
        return f"the solution's gap leaves open which knots are aligned; {_SMALLER}"
    corners = [extreme_masses(mass, moves, sign * column) for column in moves.T for sign in (1.0, -1.0)]
    if not any(np.abs(corner - mass).max() > size_tol * mass.max() for corner in corners):
        moves = moves[:, :0]
    return Masses(values, knot + 1, jump, neighbours & (angle <= tol), moves)


def _inside(
    x: Array, labels: Array, seen: Mask, change: Array, bends: Mask, p: Array, allowed: Mask
) -> tuple[Index, Array, Array] | str:
    """Knots, jumps and moments of a solution that bends wherever any solution does."""
    total = float(row_norms(change).sum())
    jump = np.where(bends[:, None], change, 0.0)
    leasts = iter(_LEAST_MASSES)
    for _ in range(_ATTEMPTS):
        size = row_norms(jump)
        knot = np.flatnonzero(size > 0.0)
        if len(knot) * labels.shape[1] > MOST_UNKNOWNS:
            return f"{len(knot)} knots between missing labels are too many to decide; use fewer tasks or rows"
        polished = polished_jumps(x, labels, seen, knot + 1, jump[knot])
        mass = row_norms(polished)
        kept = _misses(x, labels, seen, knot + 1, polished) <= _EXACT * total
        if not (kept and mass.min() > 0.0 and mass.sum() <= total * (1.0 + _PROVEN)):
            # a knot that must have no mass keeps a little in an interior point
            least = next(leasts, None)
            if least is None:
                return _AT_THE_EDGE
            jump = np.where((size > least * size.max())[:, None], jump, 0.0)
            continue
        every = np.flatnonzero(allowed)
        unit = p[every] / np.maximum(row_norms(p[every]), 1e-300)[:, None]
        at = np.searchsorted(every, knot)
        unit[at] = polished / mass[:, None]
        start = np.zeros(len(every))
        start[at] = mass
        extra = start == 0.0
        unit = np.where(may_bend(x, seen, every + 1), unit, 0.0)
        new = start
        if extra.any():
            new = largest_masses(moments(x, seen, every + 1, unit), start, extra, _PROVEN)
        if not new[extra].sum() > 1e-6 * total:
            return knot, polished, moments(x, seen, knot + 1, unit[at])
        jump = np.zeros_like(change)
        jump[every] = 0.5 * (start + np.where(new > 1e-7 * total, new, 0.0))[:, None] * unit
        total = min(total, float(mass.sum()))
    return _AT_THE_EDGE


def _misses(x: Array, labels: Array, seen: Mask, knot: Index, jump: Array) -> float:
    """How far the jumps are from the slope changes of the labels, at the worst."""
    worst = 0.0
    for t in range(labels.shape[1]):
        grid = x[seen[:, t]]
        if len(grid) > 2:
            wanted = slope_changes(grid, labels[seen[:, t], t][:, None])[:, 0]
            worst = max(worst, float(np.abs(hats(grid, x[knot]) @ jump[:, t] - wanted).max()))
    return worst


def potential(x: Array, alpha: Array) -> Array:
    """(n, T) p_j = sum_{i > j} alpha_i (x_i - x_j)."""
    steps = np.diff(x)[:, None] * np.cumsum(alpha[::-1], axis=0)[::-1][1:]
    return np.concatenate([np.cumsum(steps[::-1], axis=0)[::-1], np.zeros((1, alpha.shape[1]))])


def null_space(M: Array, tol: float) -> tuple[Array, Array]:
    """(k, r) an orthonormal basis of what M maps to at most `tol` times its size, and all singular
    values, (k,)."""
    k = M.shape[1]
    if len(M) == 0:
        return np.eye(k), np.zeros(k)
    _, s, Vt = np.linalg.svd(M, full_matrices=True)
    s = np.concatenate([s, np.zeros(k - len(s))])
    return Vt[s <= tol].T.copy(), s


def largest_masses(M: Array, mass: Array, extra: Mask, slack: float) -> Array:
    """(k,) masses >= 0 with |M (masses - mass)| <= slack that carry the most on the knots `extra`."""
    total = float(mass.sum())
    limit = slack * np.ones(len(M))
    right = M @ (mass / total)
    found = linprog(
        -extra.astype(np.float64),
        A_ub=np.vstack([M, -M]),
        b_ub=np.concatenate([right + limit, limit - right]),
        bounds=(0.0, 2.0),
        method="highs",
        options=_LP,
    )
    return mass if found.x is None else np.maximum(found.x, 0.0) * total


def extreme_masses(mass: Array, moves: Array, goal: Array) -> Array:
    """(k,) mass + moves z >= 0 that minimises <goal, masses>; `mass` > 0 lies inside."""
    total = float(mass.sum())
    found = linprog(
        goal @ moves, A_ub=-moves, b_ub=mass / total, bounds=(None, None), method="highs", options=_LP
    )
    step = np.zeros(len(mass)) if found.x is None else moves @ found.x * total
    # what the tolerance of the programme left below 0 is taken back towards the inside
    falling = step < 0
    shrink = min(1.0, float(np.min(mass[falling] / -step[falling], initial=1.0)))
    return np.maximum(mass + shrink * step, 0.0)


def extreme_value(mass: Array, moves: Array, goal: Array, bend: tuple[int, float, float] | None) -> float:
    """min of <goal, moves z> over masses mass + moves z >= 0; `bend` = (k, s, gain) lets a knot at
    the share s between the knots k and k + 1 take mass m from both for `gain` m."""
    total = float(mass.sum())
    take = np.zeros((len(mass), 1 if bend else 0))
    cost = goal @ moves
    if bend:
        k, s, gain = bend
        take[k, 0], take[k + 1, 0] = 1.0 - s, s
        cost = np.append(cost, gain)
    found = linprog(
        cost,
        A_ub=np.hstack([-moves, take]),
        b_ub=mass / total,
        bounds=[(None, None)] * moves.shape[1] + [(0.0, None)] * take.shape[1],
        method="highs",
        options=_LP,
    )
    if found.x is None:
        raise RuntimeError(f"envelopes: the linear programme failed ({found.message}); this is a bug")
    return float(found.fun) * total


def fewest_blocks(mass: Array, moves: Array, flat: Mask) -> Array:
    """(k,) masses mass + moves z >= 0 that the fewest blocks hold: a block is a knot, or two
    neighbouring knots between which `flat` (k - 1,) lets one knot carry both.

    A mixed-integer programme, so exact but for its tolerance.
    """
    k, r = moves.shape
    pairs = [(i, i + 1) for i in range(k - 1) if flat[i]]
    alone = set(range(k)) - {i for pair in pairs for i in pair}
    blocks = pairs + [(i,) for i in sorted(alone)]
    total = float(mass.sum())
    cover = np.zeros((k, len(blocks)))
    for b, block in enumerate(blocks):
        cover[list(block), b] = 1.0
    none = np.zeros((k, len(blocks)))
    held = LinearConstraint(np.hstack([moves, none]), -mass / total, np.inf)  # type: ignore[arg-type]
    covered = LinearConstraint(np.hstack([-moves, cover]), mass / total, np.inf)  # type: ignore[arg-type]
    lower = np.concatenate([np.full(r, -np.inf), np.zeros(len(blocks))])
    upper = np.concatenate([np.full(r, np.inf), np.ones(len(blocks))])
    found = milp(
        np.concatenate([np.zeros(r), np.ones(len(blocks))]),
        constraints=[held, covered],
        integrality=np.concatenate([np.zeros(r), np.ones(len(blocks))]),
        bounds=Bounds(lower, upper),  # type: ignore[arg-type]
    )
    if found.x is None:
        raise RuntimeError(f"sparsest: the integer programme failed ({found.message}); this is a bug")
    empty = cover @ np.round(found.x[r:]) < 0.5
    # among the masses these blocks hold, some that are far from 0; then the empty ones exactly 0
    inner = linprog(
        np.append(np.zeros(r), -1.0),
        A_ub=np.hstack([-moves[~empty], np.ones((int((~empty).sum()), 1))]),
        b_ub=mass[~empty] / total,
        A_eq=np.hstack([moves[empty], np.zeros((int(empty.sum()), 1))]),
        b_eq=-mass[empty] / total,
        bounds=[(None, None)] * r + [(0.0, 1.0)],
        method="highs",
        options=_LP,
    )
    z = found.x[:r] if inner.x is None else inner.x[:r]
    if empty.any():
        z = z - np.linalg.lstsq(moves[empty], mass[empty] / total + moves[empty] @ z, rcond=1e-12)[0]
    out = np.maximum(mass + moves @ z * total, 0.0)
    out[empty] = 0.0
    return out
