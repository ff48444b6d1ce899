"""Is there one solution only? Paper A, Theorem 3.1, and what decides where labels are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import read_only
from ..certificate import Certificate, certify
from ..dual_norm.knots import row_norms, slope_changes
from ..losses import Multinomial
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..points import Points
from ..problem import Problem
from ..solution import Solution, Status
from ..solvers.solve import solve
from ._curvature import curvature_weights
from ._masses import free_masses, potential
from ._maximisers import SHARED_BY_CLASSES, decide_by_maximisers
from ._newton import bends_of, polished_fit
from .solution_set import SolutionSet, as_tolerance

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
_EPS = float(np.finfo(float).eps)
_SMALLER = "solve with a smaller tol"


@dataclass(frozen=True, eq=False)
class Uniqueness:
    """Whether a problem has one solution as a function on all of R, and where it has more.

    unique : True, False, or None where the numbers at hand do not decide.
    intervals : (M, 2) neighbouring distinct inputs [x_i, x_{i+1}] between which solutions differ.
    tol : slope changes within this angle, in radians, counted as aligned.
    size_tol : slope changes up to this share of the largest counted as none.
    solution_set : all solutions; None where undecided, and for classes.
    reason : why, in a sentence; the remedy where undecided.
    """

    unique: bool | None
    intervals: Array
    tol: float
    size_tol: float
    solution_set: SolutionSet | None
    reason: str


class _Verdict(NamedTuple):
    unique: bool | None
    reason: str
    solutions: SolutionSet | None = None
    n_open: int = 0


class _Fit(NamedTuple):
    """Fitted values (n, T) at distinct inputs, fixed where `seen`, and how far they may be off.

    change : (n - 2, T) slope changes at the inner inputs, each within `change_error` (n - 2,).
    p : (n, T) dual potential over lam, each within `p_error` (n,); None where it is not needed.
    step_error : (n - 1,) how far p_{j+1} - p_j may be off.
    """

    x: Array
    values: Array
    seen: Mask
    change: Array
    change_error: Array
    p: Array | None
    p_error: Array
    step_error: Array


def uniqueness(
    solution: Solution | ArrayLike,
    Y: ArrayLike | None = None,
    *,
    tol: float = 1e-5,
    size_tol: float = 1e-9,
) -> Uniqueness:
    """Whether argmin F(f) is one function (A, Theorem 3.1), and the whole set of solutions.

    `uniqueness(solution)` speaks of the problem that was solved; `uniqueness(X, Y)` of the
    minimum-norm interpolation of data, sum_k |v_k| |w_k| subject to f(x_i) = y_i (lam = 0).

    Without missing labels there is more than one solution if and only if at some neighbours
    x_i, x_{i+1} the slope changes s_i - s_{i-1} and s_{i+1} - s_i of the fitted values are both
    nonzero and point the same way. At lam > 0 that holds for losses that are strictly convex in every
    label (squared, logistic, Poisson, or tasks of these), and fitted values are known up to the
    certified gap e: sum w h |f - f*|^2 <= 2 e, h the least curvature in between, and as much for the
    dual point. Only what holds for all values and dual points that close is called True or False.
    Classes (multinomial) with free biases are never unique: one function may be added to all of them.

    Where labels are missing (or have weight 0) the theorem can be wrong: values there may be free
    too. Every solution bends only where |p| = lam, along p, for any dual optimum p; so its masses
    are a polytope {masses >= 0, labels kept}, and the solution is unique if and only if that is one
    point without two neighbouring knots of one direction.

    In several inputs the answer is True where the neurons that reach the dual bound are linearly
    independent on the data (`neurons_independent`) and no others next to them reach it (several tasks
    can make a whole arc of them); it is False for classes with free biases, and None elsewhere.

    Parameters
    ----------
    solution : of `solve`, or X (N,) or (N, 1) when Y is given.
    Y : (N, T) or (N,) labels; NaN is a missing label.
    tol : the angle, in radians, up to which slope changes count as aligned. Members of the set
        keep fitted values, and cost more than the optimum by at most this share.
    size_tol : slope changes up to this share of the largest one count as none.

    Raises
    ------
    TypeError, ValueError : for arguments of the wrong kind; as `Problem` and `solve` do for data.
    NotImplementedError : for data (X, Y) of more than one input.
    """
    tol, size_tol = as_tolerance(tol, "tol"), as_tolerance(size_tol, "size_tol")
    if Y is not None:
        if isinstance(solution, Solution):
            raise TypeError("Y: a solution holds its labels; call uniqueness(solution) or uniqueness(X, Y)")
        problem = Problem(solution, Y, 0.0)  # type: ignore[arg-type]
        _require_one_input(problem)
        solution = solve(problem)
    elif not isinstance(solution, Solution):
        raise TypeError(
            f"solution: must be a knotwork.Solution, got {type(solution).__name__}; "
            "for data call uniqueness(X, Y)"
        )
    if solution.problem.n_inputs > 1:
        unique, reason = decide_by_maximisers(solution)
        return Uniqueness(unique, read_only(np.zeros((0, 2))), tol, size_tol, None, reason)
    verdict = _decide(solution, tol, size_tol)
    intervals = np.zeros((0, 2)) if verdict.solutions is None else _open_intervals(verdict.solutions)
    solutions = None if verdict.unique is None else verdict.solutions
    return Uniqueness(verdict.unique, read_only(intervals), tol, size_tol, solutions, verdict.reason)


def _require_one_input(problem: Problem) -> None:
    if problem.n_inputs != 1:
        raise NotImplementedError(
            f"X: {problem.n_inputs} inputs are not implemented yet; uniqueness takes one input"
        )


def _decide(solution: Solution, tol: float, size_tol: float) -> _Verdict:
    problem = solution.problem
    if problem.penalty != Penalty():
        return _Verdict(
            None, f"penalty: the theory is of free biases and skip connection, not of {problem.penalty}"
        )
    if solution.status is Status.UNATTAINED:
        return _Verdict(None, f"there is no solution: {solution.status.value}")
    if isinstance(problem.loss, Multinomial):
        return _Verdict(False, SHARED_BY_CLASSES)
    if problem.lam > 0 and not problem.loss_function.strictly_convex:
        return _Verdict(None, "loss: only of a strictly convex one are the fitted values known to be unique")
    if problem.lam > 0 and solution.status is not Status.OPTIMAL:
        return _Verdict(None, f"the solution is not optimal: {solution.status.value}")
    points = Points.from_problem(problem)
    if len(points.x) == 1:
        return _one_input_only(points)

    def verdict(network: ReLUNetwork, certificate: Certificate) -> _Verdict:
        fit = _fit(problem, network, certificate, points)
        return _without_gaps(fit, tol, size_tol) if fit.seen.all() else _with_gaps(fit, tol, size_tol)

    if problem.lam == 0:
        return verdict(solution.network, solution.certificate)
    seen = points.weights() > 0
    if seen.all():
        found = verdict(solution.network, solution.certificate)
        if found.unique or (problem.n_tasks == 1 and not found.n_open):
            return found
    else:
        found = None
    # angles are known to the square root of the gap only: a few Newton steps make it rounding
    polished = polished_fit(problem, points, solution.network)
    if polished is not None:
        certificate = certify(problem, polished)
        if certificate.gap < solution.certificate.gap:
            return verdict(polished, certificate)
    return found or verdict(solution.network, solution.certificate)


def _one_input_only(points: Points) -> _Verdict:
    seen = points.weights() > 0
    values = np.where(seen, points.y, 0.0)
    nothing = np.zeros(0, dtype=np.intp)
    jump = np.zeros((0, points.n_tasks))
    solutions = SolutionSet(points.x, values, seen, nothing, jump, np.zeros(0, dtype=bool), np.zeros((0, 0)))
    return _Verdict(False, "all labels are at one input: any line through them costs nothing", solutions)


def _fit(problem: Problem, network: ReLUNetwork, certificate: Certificate, points: Points) -> _Fit:
    x = points.x
    weight = points.weights()
    seen = weight > 0
    fitted = network.predict(x)
    values = np.where(seen, points.y, fitted) if problem.lam == 0 else fitted
    h = np.diff(x)
    inverse = 1.0 / h[:-1] + 1.0 / h[1:]
    rounding = 4.0 * _EPS * float(np.abs(values).max()) * inverse
    nothing = np.zeros(len(x))
    if problem.lam == 0:
        return _Fit(x, values, seen, slope_changes(x, values), rounding, None, nothing, nothing[1:])
    gap = max(certificate.gap, 0.0)
    radius = np.sqrt(2.0 * gap)
    least, greatest = curvature_weights(problem, network, gap, points)
    change = bends_of(network, x)
    # sum_i (D_ji)^2 / w_i: how far a slope change moves when the values move by `radius`
    spread = np.divide(1.0, least, out=np.full(weight.shape, np.inf), where=least > 0).max(axis=1)
    row = np.sqrt(spread[:-2] / h[:-1] ** 2 + spread[1:-1] * inverse**2 + spread[2:] / h[1:] ** 2)
    p, p_error, step_error = _potential(x, problem, greatest, certificate.dual_point, radius)
    exact = change is not None
    change = slope_changes(x, values) if change is None else change
    rounding = 4.0 * _EPS * row_norms(change) if exact else rounding
    # a value without a label is not known at all, even at a gap of 0
    off = np.multiply(radius, row, out=np.full(row.shape, np.inf), where=np.isfinite(row))
    return _Fit(x, values, seen, change, off + rounding, p, p_error, step_error)


def _potential(
    x: Array, problem: Problem, greatest: Array, alpha: Array, radius: float
) -> tuple[Array, Array, Array]:
    """p_j / lam = sum_{i > j} alpha_i (x_i - x_j) / lam, and how far it and its steps may be off."""
    weight = problem.label_weight()
    rows = np.any(weight > 0, axis=1)
    at_points = np.zeros((len(x), alpha.shape[1]))
    np.add.at(at_points, np.searchsorted(x, problem.X[rows, 0]), alpha[rows])
    heaviest = greatest.max(axis=1)
    p = potential(x, at_points)
    # Cauchy-Schwarz: |sum a_i (x_i - x_j)| <= |a / sqrt w| |sqrt w (x - x_j)|, over either side
    centre = x - x[0]
    reach = []
    for mass, place in ((heaviest, centre), (heaviest[::-1], centre[-1] - centre[::-1])):
        m0, m1, m2 = (np.cumsum((mass * place**k)[::-1])[::-1] for k in range(3))
        square = np.maximum(m2 - 2.0 * place * m1 + place**2 * m0, 0.0)
        reach.append((np.sqrt(square), np.sqrt(m0)))
    p_reach = np.minimum(reach[0][0], reach[1][0][::-1])
    step_reach = np.diff(x) * np.minimum(reach[0][1][1:], reach[1][1][::-1][:-1])
    rounding = 8.0 * _EPS * float(np.abs(at_points).sum()) * float(x[-1] - x[0])
    lam = problem.lam
    return p / lam, (radius * p_reach + rounding) / lam, (radius * step_reach + rounding) / lam


def _angles(u: Array, v: Array) -> Array:
    """(m,) angles between the rows, in radians, to full accuracy near 0; 0 where one is 0."""
    both = (row_norms(u) > 0) & (row_norms(v) > 0)
    a, b = u[both] / row_norms(u[both])[:, None], v[both] / row_norms(v[both])[:, None]
    out = np.zeros(len(u))
    out[both] = 2.0 * np.arctan2(row_norms(a - b), row_norms(a + b))
    return out


def _without_gaps(fit: _Fit, tol: float, size_tol: float) -> _Verdict:
    """Theorem 3.1, at every pair of neighbouring inner inputs."""
    size = row_norms(fit.change)
    least = size_tol * float(size.max(initial=0.0))
    bends = (size > fit.change_error) & (size > least)
    if fit.p is None:
        # these are the labels: what their rounding alone makes is no bend
        may_bend = bends
    else:
        p = fit.p[1:-1]
        straight = (size + fit.change_error <= least) | (row_norms(p) < 1.0 - fit.p_error[1:-1])
        may_bend = bends | ~straight
    if fit.change.shape[1] == 1:
        sign = np.sign(
            fit.change[:, 0] if fit.p is None else np.where(bends, fit.change[:, 0], fit.p[1:-1, 0])
        )
        aligned, differs = sign[1:] == sign[:-1], sign[1:] != sign[:-1]
    else:
        off = np.arcsin(
            np.minimum(np.divide(fit.change_error, size, out=np.ones_like(size), where=size > 0), 1.0)
        )
        angle, error = _angles(fit.change[1:], fit.change[:-1]), off[1:] + off[:-1]
        aligned, differs = angle + error <= tol, angle - error > tol
        if fit.p is not None:
            # between knots p is on the sphere: its chord tells the angle, often more sharply
            chord, error = row_norms(np.diff(fit.p[1:-1], axis=0)), fit.step_error[1:-1]
            aligned |= chord + error <= tol
            differs |= chord - error > tol
    if fit.p is not None:
        differs |= _one_straight(fit)
    flat = bends[1:] & bends[:-1] & aligned & ~differs
    open_ = may_bend[1:] & may_bend[:-1] & ~differs & ~flat
    solutions = _set_of_runs(fit, flat)
    n_open = int(np.count_nonzero(open_))
    if flat.any():
        more = f"; {n_open} more are open at this gap" if n_open else ""
        return _Verdict(
            False,
            f"neighbouring slope changes are aligned at {int(flat.sum())} intervals{more}",
            solutions,
            n_open,
        )
    if n_open:
        cause = "the rounding of the labels" if fit.p is None else "the solution's gap"
        remedy = "give labels with more digits" if fit.p is None else _SMALLER
        return _Verdict(
            None, f"{cause} leaves open whether {n_open} intervals are determined; {remedy}", None, n_open
        )
    return _Verdict(True, "no two neighbouring slope changes are aligned", solutions)


def _one_straight(fit: _Fit) -> Mask:
    """(n - 3,) intervals of which both ends cannot bend: at one that does |p| = 1, and the step of p
    from there, known much better than p, leads to |p| < 1 at the other."""
    assert fit.p is not None
    size = row_norms(fit.p)[:, None]
    unit = np.divide(fit.p, size, out=np.zeros_like(fit.p), where=size > 0)
    step = np.diff(fit.p, axis=0)
    turned = fit.step_error + 2.0 * row_norms(step) * np.maximum(fit.p_error[1:], fit.p_error[:-1])
    ends = np.minimum(row_norms(unit[:-1] + step), row_norms(unit[1:] - step))
    return (ends + turned < 1.0)[1:-1]


def _set_of_runs(fit: _Fit, flat: Mask) -> SolutionSet:
    """Runs of aligned slope changes about connect the dots; bends of rounding are left out."""
    x, values = fit.x, fit.values
    size = row_norms(fit.change)
    limit = fit.change_error if fit.p is None else np.zeros_like(size)
    knot = np.flatnonzero(size > limit)
    node = np.concatenate([[0], knot + 1, [len(x) - 1]])
    missed = max(
        float(np.abs(np.interp(x, x[node], values[node, t]) - values[:, t]).max())
        for t in range(values.shape[1])
    )
    if missed > 1e-12 * float(np.abs(values).max()):
        knot = np.flatnonzero(size > 0)
    neighbours = np.diff(knot) == 1
    aligned = neighbours & flat[knot[:-1]] if len(flat) else neighbours
    nowhere = np.zeros((len(knot), 0))
    return SolutionSet(x, values, fit.seen, knot + 1, fit.change[knot], aligned, nowhere)


def _open_intervals(solutions: SolutionSet) -> Array:
    """(M, 2) the intervals between neighbouring inputs inside which members differ."""
    x = solutions.x
    free = np.zeros(max(len(x) - 1, 0), dtype=bool)
    free[solutions.knot[:-1][solutions.flat]] = True
    if solutions.moves.shape[1]:
        moved = solutions.moving_values()
        free |= moved[1:] | moved[:-1]
    if np.any(np.count_nonzero(solutions.seen, axis=0) == 1):
        free[:] = True
    at = np.flatnonzero(free)
    return np.column_stack([x[at], x[at + 1]])


def _with_gaps(fit: _Fit, tol: float, size_tol: float) -> _Verdict:
    """The masses of the knots that a dual optimum allows and the labels leave free."""
    labels = np.where(fit.seen, fit.values, np.nan)
    found = free_masses(fit.x, labels, fit.p, fit.p_error, tol, size_tol)
    if isinstance(found, str):
        return _Verdict(None, found)
    solutions = SolutionSet(fit.x, found.values, fit.seen, found.knot, found.jump, found.flat, found.moves)
    if solutions.is_single:
        return _Verdict(
            True, "the labels determine the mass of every knot, and no neighbours are aligned", solutions
        )
    causes = []
    for t in solutions.undetermined_lines:
        causes.append(f"task {t} has labels at one input only")
    if found.moves.shape[1]:
        causes.append("the labels leave masses of knots free")
    if found.flat.any():
        causes.append(f"neighbouring knots are aligned at {int(found.flat.sum())} intervals")
    return _Verdict(False, " and ".join(causes), solutions)
