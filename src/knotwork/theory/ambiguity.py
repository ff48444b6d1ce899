"""How far predictions of near-optimal networks can differ: certified bands over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, as_float_array, as_generator, read_only
from ..certificate import Certificate
from ..dual_norm import Rigour
from ..dual_norm.several import MAX_CELLS
from ..losses import Multinomial
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution
from ..solvers.solve import solve
from ..solvers.watch import Watch
from ._pulls import Pull, Pulled

Array = NDArray[np.float64]
_MOST_SOLVES = 40
_TIGHTEST, _LOOSEST = 1e-13, 1e-9
_FIRST = 10.0
# of the objective, what is called no more than the optimum's
_ROUNDING = 1e-14
_WEAKEST_FIRST = {Rigour.HEURISTIC: 0, Rigour.BOUNDED: 1, Rigour.EXACT: 2}


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """What every network within a relative `eps` of the optimum predicts, and what some of them do.

    All of { f : F(f) <= (1 + eps) F(solution) }, which holds every network within eps of the optimum,
    have  low <= f_t(x) <= high;  some reach found_low and found_high.

    x : (n, d).
    eps : the share of the objective.
    solution : what they are compared with.
    low, high : (n, T), infinite where the labels leave a task's free parts open at x.
    found_low, found_high : (n, T), within [low, high].
    tasks : the columns of `problem.Y` that these arrays have.
    rigour : EXACT where low and high are proven; HEURISTIC where the dual constraint was searched.
    finished : whether every band is as tight as `tol` asks; else some are wider than need be.
    n_solves : problems solved.
    """

    x: Array
    eps: float
    solution: Solution
    low: Array
    high: Array
    found_low: Array
    found_high: Array
    tasks: tuple[int, ...]
    rigour: Rigour
    finished: bool
    n_solves: int


def ambiguity(
    solution: Solution | Problem,
    x: ArrayLike,
    eps: float = 0.01,
    *,
    tasks: Sequence[int] | None = None,
    tol: float = 1e-6,
    max_seconds: float | None = None,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
) -> Ambiguity:
    """The least and the greatest prediction of each task at x over all networks within eps of the optimum.

    With phi(z) the least F among networks with f_t(x) = z, any (z, theta) on it and D a lower bound of
    F(f) - theta f_t(x) over all networks prove, for B = (1 + eps) F(solution) and theta > 0, that
    F(f) <= B implies f_t(x) <= (B - D) / theta. They come from the same solver: x is one more row, whose
    label pulls task t, harder until phi = B.

    Uniqueness says whether there is another optimum; this says how much the data determine the
    prediction, for every loss but the multinomial one. It is no interval of confidence.

    Parameters
    ----------
    solution : from `solve`; a problem is solved first.
    x : (n, d), or (n,) when d = 1.
    eps : >= 0. At 0, the optima alone: in one input `uniqueness(solution).solution_set.envelopes`
        has them attained too.
    tasks : columns of Y; all when None.
    tol : low and high are within `tol` of what is attained, as a share of the task's spread
        (standard deviation) of labels or of the band's width, whichever is more.
    max_seconds : after them, what is proven by then (infinite where nothing is).
    max_cells, random_state : as in `solve`.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    watch = Watch(tol, None, max_seconds, None)
    max_cells, rng = as_count(max_cells, "max_cells"), as_generator(random_state, "random_state")
    eps = _as_share(eps)
    if isinstance(solution, Problem):
        tight = _solver_tol(eps)
        solution = solve(solution, tol=tight, max_cells=max_cells, random_state=rng, max_seconds=max_seconds)
    elif not isinstance(solution, Solution):
        raise TypeError(f"solution: must be a knotwork.Solution or Problem, got {type(solution).__name__}")
    problem = solution.problem
    if isinstance(problem.loss_function, Multinomial):
        raise ValueError("solution: the classes of multinomial loss have no band of their own; use logistic")
    x = _as_places(x, problem.n_inputs)
    chosen = _as_tasks(tasks, problem.n_tasks)
    search = _Search(solution, eps, tol, max_cells, rng, watch)
    shape = (len(x), len(chosen))
    outer, inner = np.empty((2, *shape)), np.empty((2, *shape))
    for column, task in enumerate(chosen):
        for side, sign in enumerate((-1, 1)):
            start = solution.network
            for row, place in enumerate(x):
                outer[side, row, column], inner[side, row, column], start = search.extreme(
                    place, task, sign, start
                )
    return Ambiguity(
        x=read_only(x),
        eps=eps,
        solution=solution,
        low=read_only(outer[0]),
        high=read_only(outer[1]),
        found_low=read_only(inner[0]),
        found_high=read_only(inner[1]),
        tasks=chosen,
        rigour=search.rigour,
        finished=search.finished,
        n_solves=search.n_solves,
    )


@dataclass
class _Aim:
    """How hard to pull until the objective has risen by `excess`: by its power law between the last two
    pulls, kept between what was too little and too much."""

    excess: float
    low: float = 0.0
    high: float = np.inf
    power: float = 2.0
    before: tuple[float, float] | None = None

    def next(self, strength: float, risen: float) -> float:
        """After a pull of this strength raised the objective by `risen`."""
        if risen <= self.excess:
            self.low = max(self.low, strength)
        else:
            self.high = min(self.high, strength)
        if self.before is not None and min(risen, self.before[1]) > 0 and self.before[0] != strength:
            slope = np.log(risen / self.before[1]) / np.log(strength / self.before[0])
            self.power = float(np.clip(slope, 0.5, 8.0))
        self.before = (strength, risen)
        growth = (self.excess / risen) ** (1.0 / self.power) if risen > 1e-3 * self.excess else 30.0
        wanted = strength * float(np.clip(growth, 1e-3, 30.0))
        if self.low < wanted < self.high:
            return wanted
        return float(np.sqrt(self.low * self.high)) if self.low > 0 else 0.5 * self.high


@dataclass(eq=False)
class _Search:
    """All bands of one solution."""

    solution: Solution
    eps: float
    tol: float
    max_cells: int
    rng: np.random.Generator
    watch: Watch
    finished: bool = True
    n_solves: int = 0

    def __post_init__(self) -> None:
        self.problem = self.solution.problem
        self.primal = self.solution.certificate.primal
        self.target = (1.0 + max(self.eps, _ROUNDING)) * self.primal
        self.rigour = self.solution.certificate.rigour
        self.solver_tol = _solver_tol(self.eps)

    def extreme(self, x: Array, task: int, sign: int, start: ReLUNetwork) -> tuple[float, float, ReLUNetwork]:
        """The proven and the attained end of task `task` at x upwards (sign = 1) or downwards, and a
        network to start the next place from."""
        if self._is_open(x, task):
            return sign * np.inf, sign * np.inf, start
        pull = Pull.of(self.problem, self.solution.network, x, task, sign)
        if pull.fixed:
            return pull.origin, pull.origin, start
        below, above = (self.primal, pull.origin), None
        outer = np.inf
        close = self.tol * pull.spread
        aim = _Aim(self.target - self.primal) if self.eps > 0 else None
        strength = pull.first(self.target - self.primal) if aim is not None else _FIRST * pull.unit
        for _ in range(_MOST_SOLVES):
            if self.watch.out_of_time():
                break
            found = self._pulled(pull, strength, start)
            start, reached = found.network, sign * found.value
            if found.theta > 0.0:
                outer = min(outer, (self.target - found.dual) / found.theta)
            if found.primal <= self.target:
                if reached > sign * below[1]:
                    below = (found.primal, found.value)
            elif above is None or reached < sign * above[1]:
                above = (found.primal, found.value)
            inner = sign * self._between(below, above)
            at_the_rise = self.eps == 0 and abs(reached - outer) <= 0.01 * close
            if at_the_rise or outer - inner <= max(close, self.tol * (inner - sign * pull.origin)):
                break
            if aim is not None:
                strength = aim.next(strength, found.primal - self.primal)
            else:
                # from far to where the objective begins to rise: the proven end is never short of it
                end = outer - sign * pull.origin if pull.by_label and outer < np.inf else 0.0
                strength = end + 0.1 * (strength - end)
        else:
            self.finished = False
        self.finished = self.finished and not self.watch.out_of_time()
        inner = sign * self._between(below, above)
        return sign * max(outer, inner), sign * inner, start

    def _pulled(self, pull: Pull, strength: float, start: ReLUNetwork) -> Pulled:
        solved = solve(
            pull.problem(strength),
            tol=self.solver_tol,
            start=start,
            max_seconds=self.watch.seconds_left(),
            max_cells=self.max_cells,
            random_state=self.rng,
        )
        self.n_solves += 1
        certificate: Certificate = solved.certificate
        self.rigour = min(self.rigour, certificate.rigour, key=_WEAKEST_FIRST.__getitem__)
        return pull.judge(solved, strength)

    def _between(self, below: tuple[float, float], above: tuple[float, float] | None) -> float:
        """The value of the mixture of two networks whose objective, convex, is at most the target."""
        if above is None or above[0] <= below[0]:
            return below[1]
        share = max(self.target - below[0], 0.0) / (above[0] - below[0])
        return below[1] + min(share, 1.0) * (above[1] - below[1])

    def _is_open(self, x: Array, task: int) -> bool:
        """Whether the free parts can move f_t(x) without moving the task's labels."""
        penalty = self.problem.penalty
        if penalty.biases or penalty.skip == "none":
            return False
        X = self.problem.X[self.problem.label_weight()[:, task] > 0]
        offset, here = X - X.mean(axis=0), x - X.mean(axis=0)
        size = max(float(np.abs(offset).max()), float(np.abs(here).max()))
        _, spread, axes = np.linalg.svd(offset, full_matrices=False)
        axes = axes[spread > 1e-12 * size * np.sqrt(len(X))]
        return bool(np.linalg.norm(here - axes.T @ (axes @ here)) > 1e-9 * size)


def _solver_tol(eps: float) -> float:
    """The relative gap that leaves bands their digits: they move by it over eps."""
    return float(np.clip(1e-6 * eps, _TIGHTEST, _LOOSEST))


def _as_share(eps: float) -> float:
    if isinstance(eps, bool) or not isinstance(eps, int | float | np.number):
        raise TypeError(f"eps: must be a number >= 0, got {eps!r}")
    if not 0 <= eps < np.inf:
        raise ValueError(f"eps: must be finite and >= 0, got {eps!r}")
    return float(eps)


def _as_places(x: ArrayLike, d: int) -> Array:
    places = as_float_array(x, "x")
    if places.ndim == 1 and d == 1:
        places = places[:, None]
    if places.ndim != 2 or places.shape[1] != d:
        raise ValueError(f"x: must have shape (n, {d}), got {places.shape}")
    return places


def _as_tasks(tasks: Sequence[int] | None, n_tasks: int) -> tuple[int, ...]:
    if tasks is None:
        return tuple(range(n_tasks))
    chosen = tuple(as_count(task, "tasks") for task in tasks)
    wrong = [task for task in chosen if task >= n_tasks]
    if wrong:
        raise ValueError(f"tasks: must be of 0 to {n_tasks - 1}, got {wrong[0]}")
    return chosen
