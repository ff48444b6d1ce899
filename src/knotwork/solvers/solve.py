"""The front door: choose the method from the problem, run it, certify what came out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import brentq

from .._validate import as_count, as_generator
from ..bins import Bins
from ..certificate import sees_moments
from ..certificate.labels import Labels
from ..dual_norm.knots import maximise
from ..dual_norm.several import MAX_CELLS, UnitNeurons
from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem
from ..solution import Solution, Status
from .any_loss import solve_any_loss
from .blas import one_blas_thread
from .centred import about, far_origin
from .one_input import solve_one_input
from .watch import Progress, Watch

_HUGE_LAM = 1e6
_CUT_SHORT = (Status.STOPPED, Status.MAX_SECONDS)


def solve(
    problem: Problem,
    *,
    tol: float = 1e-8,
    start: ReLUNetwork | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Solution:
    """The global optimum of `problem` over networks of any width, to a certified gap.

    Every loss, penalty and number of inputs; the method follows from them. With free biases (A (9), (12),
    B (9); A (3) at lam = 0) the network returned has its knots at data points (A, Lemma 3.2); with
    penalised ones (B (4), (7), (11), (12)) they lie where the optimum has them.

    Parameters
    ----------
    problem : see `Problem`.
    tol : stop when `certificate.relative_gap` is at most this.
    start : a network whose knots are tried first.
    max_rounds, max_seconds : stop there with the best network found and its certificate.
    max_cells : in three inputs and more the neurons are enumerated, and the certificate is EXACT,
        where that looks at no more cells of the data's arrangement; else they are searched, and
        the certificate is HEURISTIC (status SEARCHED) with the proven bound beside it.
    random_state : the seed of that search; all else is deterministic.
    progress : called with a `TraceEntry` every round; returning True stops.

    Raises
    ------
    TypeError, ValueError : for arguments of the wrong kind; at lam = 0 for labels that
        differ at equal inputs (no network interpolates them).
    """
    watch = Watch(tol, max_rounds, max_seconds, progress)
    max_cells, rng = as_count(max_cells, "max_cells"), as_generator(random_state, "random_state")
    if start is not None:
        problem.check_network(start)
    with one_blas_thread():
        if sees_moments(problem):
            return solve_one_input(problem, watch, start)
        return solve_any_loss(problem, watch, start, max_cells, rng)


def lam_max(
    problem: Problem,
    *,
    max_cells: int = MAX_CELLS,
    max_seconds: float | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> float:
    """The least lam at and above which the optimum has no neuron; 0 for affine data.

    Where the free parts cost nothing it is the dual norm at the free fit. Penalised c and A change
    with lam, and the neuron-free lams need be no half-line: then it is found by going down from
    above in steps of 5 % and bisecting.

    Parameters
    ----------
    problem : see `Problem`; its lam is not used.
    max_cells, random_state : as in `solve`; where neurons are searched the value may be too low.
    max_seconds : in several inputs, or under a loss that is not smooth: after that the neurons are
        searched, and the value reached so far is returned.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    watch = Watch(1.0, None, max_seconds, None)
    cells, rng = as_count(max_cells, "max_cells"), as_generator(random_state, "random_state")
    with one_blas_thread():
        if isinstance(problem.loss, Squared) and sees_moments(problem):
            return _knots_lam_max(problem)
        problem = problem if problem.lam > 0 else problem.with_lam(1.0)
        origin = far_origin(problem)
        if origin is not None:
            problem = about(problem, origin)
        if not problem.loss_function.smooth:
            return _lam_max_by_solving(problem, watch, cells, rng)
        units = None
        if problem.n_inputs > 1:
            # at every lam the same: their faces are enumerated once
            units = UnitNeurons(problem.X, problem.penalty, cells, rng, watch.out_of_time)
        if not problem.penalty.biases:
            return response_at_free_fit(problem, units)
        return _lam_max_of_fixed_point(problem, units, watch)


def _lam_max_of_fixed_point(problem: Problem, units: UnitNeurons | None, watch: Watch) -> float:
    """The largest lam that is the dual norm at its own free fit."""

    def response(lam: float) -> float:
        return response_at_free_fit(problem.with_lam(lam), units)

    here = response(problem.lam)
    high = max(response(_HUGE_LAM * max(here, 1e-300)), here)
    while response(high) > high > 0:
        high *= 2.0
    low = high
    while low > 1e-9 * high:
        if watch.out_of_time():
            return low
        low *= 0.95
        if response(low) > low:
            break
    else:
        return 0.0

    def excess(log_lam: float) -> float:
        lam = float(np.exp(log_lam))
        return response(lam) / lam - 1.0

    if watch.out_of_time() or excess(np.log(low / 0.95)) >= 0.0:
        # the response hardly changes with lam, and rounding has it above even there
        return low / 0.95
    root: Any = brentq(excess, np.log(low), np.log(low / 0.95), xtol=1e-14)
    return float(np.exp(root))


def response_at_free_fit(problem: Problem, units: UnitNeurons | None = None) -> float:
    """The dual norm at the fit without neurons; 0 where that is rounding. In several inputs of `units`."""
    labels = Labels.of(problem, units)
    f = problem.free_fit().predict(labels.X)
    alpha = labels.gradient_point(f)
    largest = labels.largest_response(alpha).largest
    reach = _reach(problem)
    size = np.abs(labels.w * f) if labels.loss.interpolates else np.abs(alpha)
    noise = 64.0 * np.finfo(float).eps * reach * float(np.sum(size))
    return largest if largest > noise else 0.0


def _reach(problem: Problem) -> float:
    """What a unit neuron is at most at an input; where biases are free, about the inputs' mean."""
    if problem.penalty.biases:
        return float(np.linalg.norm(problem.X, axis=1).max()) + 1.0
    return float(np.linalg.norm(problem.X - problem.X.mean(axis=0), axis=1).max())


def _lam_max_by_solving(problem: Problem, watch: Watch, max_cells: int, rng: np.random.Generator) -> float:
    def has_neurons(lam: float) -> bool:
        found = solve(
            problem.with_lam(lam),
            tol=1e-6,
            max_seconds=watch.seconds_left(),
            max_cells=max_cells,
            random_state=rng,
        )
        return found.network.n_neurons > 0

    # the total weight times the inputs' reach bounds every response to a subgradient of size 1
    high = float(problem.label_weight().sum()) * _reach(problem)
    if high == 0:
        return 0.0
    low = 0.0
    while not watch.out_of_time() and has_neurons(high):
        high *= 4.0
    least = 1e-12 * high
    while high - low > 1e-3 * high and not watch.out_of_time():
        middle = 0.5 * high if low == 0.0 else float(np.sqrt(low * high))
        if middle < least:
            return 0.0
        if has_neurons(middle):
            low = middle
        else:
            high = middle
    return high


def _knots_lam_max(problem: Problem) -> float:
    points = Points.from_problem(problem)
    if len(points.x) <= 2:
        return 0.0
    return lam_max_on(Bins(points))


def lam_max_on(bins: Bins) -> float:
    """`lam_max` of binned data, squared loss, biases and skip connection free."""
    total, moment, square = bins.residual_sums()
    largest = maximise(bins, bins.affine_part(total, moment)).largest
    # what rounding leaves of affine data is no bend
    size = np.sqrt(float(square.sum()) * float(bins.weight.sum()))
    noise = 64.0 * np.finfo(float).eps * size * float(bins.points.x[-1] - bins.x[0])
    return largest if largest > noise else 0.0


def solve_n_knots(
    problem: Problem,
    n_knots: int,
    *,
    tol: float = 1e-8,
    max_seconds: float | None = None,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Solution:
    """The solution at the largest lam whose optimum has at least `n_knots` knots.

    `problem.lam` is not used; `solution.problem.lam` is the lam that was found, by descending
    from lam_max and bisecting to one per cent. The count is of neurons: a bend that the data
    place between two inputs is two of them.

    Other arguments are those of `solve`. Where time runs out or `progress` stops, the best fit so far
    with that status.

    Raises
    ------
    ValueError : when no lam above 1e-9 lam_max has that many knots.
    """
    n_knots = as_count(n_knots, "n_knots")
    watch = Watch(tol, None, max_seconds, progress)
    rng = as_generator(random_state, "random_state")

    def at(lam: float, start: ReLUNetwork | None) -> Solution:
        return solve(
            problem.with_lam(lam),
            tol=tol,
            start=start,
            max_seconds=watch.seconds_left(),
            max_cells=max_cells,
            random_state=rng,
            progress=progress,
        )

    largest = lam_max(problem, max_cells=max_cells, max_seconds=watch.seconds_left(), random_state=rng)
    if n_knots == 0:
        return at(largest if largest > 0 else 1.0, None)
    if largest == 0:
        raise ValueError(f"n_knots: the data are affine, so no lam has {n_knots} knots; ask for 0")
    high = low = largest
    found: Solution | None = None
    while found is None:
        high, low = low, low / 2.0
        if low < 1e-9 * largest:
            raise ValueError(f"n_knots: no lam >= 1e-9 lam_max has {n_knots} knots; ask for fewer")
        trial = at(low, None)
        if trial.network.n_neurons >= n_knots or trial.status in _CUT_SHORT:
            found = trial
    while high / low > 1.01 and found.status not in _CUT_SHORT:
        middle = float(np.sqrt(high * low))
        trial = at(middle, found.network)
        if trial.network.n_neurons >= n_knots:
            low, found = middle, trial
        elif trial.status in _CUT_SHORT:
            # the fit found is certified, the search for a larger lam is not finished
            return replace(found, status=trial.status)
        else:
            high = middle
    return found
