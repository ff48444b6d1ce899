"""lam by held-out labels for any loss, penalty and number of inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..dual_norm.several import UnitNeurons
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution, Status
from ..solvers.solve import lam_max, response_at_free_fit, solve
from ..solvers.watch import Progress
from .calls import whole_call
from .cross_validation import (
    Criterion,
    CrossValidation,
    Rule,
    Stoppable,
    check_choice,
    chosen,
    cross_validate,
    losses_at,
    score_of,
)
from .features import has_features
from .folds import Fold, Rows, labels_of, part_of
from .path import lam_grid
from .rows import merged_rows

Array = NDArray[np.float64]
LamDone = Callable[[float, float], object]

# how many lams, and the last over the first
PATH = (50, 1e-4)
WALK = (10, 1e-3)
# held-out losses differ by far more than what a certificate would still find
_FOLD_TOL, _FOLD_ROUNDS, _FOLD_CELLS = 1e-2, 5, 3_000
_PATIENCE = 2
_SHARE_OF_TIME = 0.8
_CLOSE, _MOST_ROUNDS = 1e-3, 30


@dataclass(frozen=True)
class Limits:
    """Of every solve: `tol`, `max_seconds`, `max_cells`, `max_rounds` and `progress` as in `solve`, and
    its seed."""

    tol: float
    max_seconds: float | None
    max_cells: int
    seed: int
    max_rounds: int | None = None
    progress: Progress | None = None

    def solve(
        self, problem: Problem, start: ReLUNetwork | None = None, seconds: float | None = None
    ) -> Solution:
        return solve(
            problem,
            tol=self.tol,
            start=start,
            max_rounds=self.max_rounds,
            max_seconds=self.max_seconds if seconds is None else seconds,
            max_cells=self.max_cells,
            random_state=self.seed,
            progress=self.progress,
        )


def largest_lam(problem: Problem, limits: Limits) -> float:
    """About the least lam without a neuron, as `knotwork.lam_max`, to 1e-3: where c and A are penalised the
    fixed point lam = |response at the free fit of lam| is followed from lam = infinity."""
    if not (problem.penalty.biases and problem.loss_function.smooth):
        return lam_max(
            problem,
            max_cells=limits.max_cells,
            max_seconds=limits.max_seconds,
            random_state=limits.seed,
        )
    began, units = time.monotonic(), None

    def out_of_time() -> bool:
        return limits.max_seconds is not None and time.monotonic() - began >= limits.max_seconds

    if problem.n_inputs > 1:
        units = UnitNeurons(problem.X, problem.penalty, limits.max_cells, limits.seed, out_of_time)

    def response(lam: float) -> float:
        return response_at_free_fit(problem.with_lam(lam), units)

    lam = response(1e6 * max(response(problem.lam), 1e-300))
    for _ in range(_MOST_ROUNDS):
        if lam == 0 or out_of_time():
            break
        last, lam = lam, response(lam)
        if abs(lam - last) <= _CLOSE * last:
            break
    return lam


def choose(
    problem: Problem,
    folds: Sequence[Fold],
    limits: Limits,
    *,
    rule: Rule,
    criterion: Criterion = "mean",
    n_lams: int | None = None,
    n_jobs: int | None = None,
    lam_done: LamDone | None = None,
    largest: float | None = None,
) -> CrossValidation:
    """lam by held-out labels. Where a path costs little, at all its lams; else from lam_max down, all folds
    side by side and roughly solved, until a lam is worse in every fold than the best, or two in a row are
    no better.

    criterion : "mean" or "log", as in `cross_validate`.
    lam_done : called with each lam of such a walk and its mean held-out loss.
    largest : the first lam of such a walk, where it is known; `largest_lam` when None.
    """
    if has_features(problem):
        count, ratio = PATH
        return cross_validate(
            problem,
            folds,
            rule=rule,
            criterion=criterion,
            n_lams=count if n_lams is None else n_lams,
            lam_ratio=ratio,
            tol=limits.tol,
            n_jobs=n_jobs,
            max_seconds=limits.max_seconds,
            progress=limits.progress,
        )
    return _walk(problem, folds, limits, rule, criterion, n_lams, n_jobs, lam_done, largest)


def on_merged_rows(problem: Problem) -> Problem:
    """In several inputs, where searches start from rows: the problem of `merged_rows`."""
    return problem if problem.n_inputs == 1 else merged_rows(problem)


def _walk(
    problem: Problem,
    folds: Sequence[Fold],
    limits: Limits,
    rule: Rule,
    criterion: Criterion,
    n_lams: int | None,
    n_jobs: int | None,
    lam_done: LamDone | None,
    largest: float | None,
) -> CrossValidation:
    from joblib import Parallel, effective_n_jobs

    began = time.monotonic()
    check_choice(rule, criterion, len(folds))

    def seconds_left(share: float) -> float | None:
        if limits.max_seconds is None:
            return None
        return max(share * limits.max_seconds - (time.monotonic() - began), 1e-3)

    watched = None if limits.progress is None else Stoppable(limits.progress)
    here = effective_n_jobs(n_jobs) == 1  # type: ignore[arg-type]
    fast = Limits(
        max(limits.tol, _FOLD_TOL),
        seconds_left(_SHARE_OF_TIME),
        min(limits.max_cells, _FOLD_CELLS),
        limits.seed,
        _FOLD_ROUNDS,
        watched if here else None,
    )
    count, ratio = WALK
    if largest is None:
        largest = largest_lam(on_merged_rows(problem), fast)
    lams = lam_grid(largest, count if n_lams is None else n_lams, ratio)
    parts = [_Part.of(problem, train, test) for train, test in folds]
    starts: list[ReLUNetwork | None] = [None] * len(parts)
    losses: list[Array] = []
    first: dict[float, ReLUNetwork] = {}
    status = Status.OPTIMAL
    weights = np.stack([part.weight for part in parts])
    scores: list[float] = []
    for lam in lams.tolist():
        seconds = seconds_left(_SHARE_OF_TIME)
        late = seconds is not None and seconds <= 1e-3
        if scores and (late or (watched is not None and watched.stopped)):
            status = Status.MAX_SECONDS if late else Status.STOPPED
            break
        steps = (
            whole_call(_step, part, lam, start, fast, seconds)
            for part, start in zip(parts, starts, strict=True)
        )
        found: list[tuple[ReLUNetwork, Array]] = list(Parallel(n_jobs=n_jobs)(steps))  # type: ignore[arg-type]
        starts = [network for network, _ in found]
        first[lam] = found[0][0]
        losses.append(np.stack([held for _, held in found]))
        scores.append(float(score_of(losses[-1][:, None], weights, criterion)[0][0]))
        if lam_done is not None:
            lam_done(lam, float(losses[-1].sum() / weights.sum()))
        least = int(np.argmin(scores))
        worse = np.all(losses[-1].sum(axis=1) > losses[least].sum(axis=1))
        # without a neuron nothing has changed: the first lam was far above lam_max
        bent = any(network.n_neurons for network in starts if network is not None)
        if bent and (len(scores) - 1 - least >= _PATIENCE or (len(parts) > 1 and worse)):
            break

    def solve_at(lam: float) -> Solution:
        last = replace(limits, progress=watched)
        # with little time the fit of a fold is a better beginning than none
        start = None if limits.max_seconds is None else first[lam]
        return last.solve(on_merged_rows(problem).with_lam(lam), start, seconds_left(1.0))

    held_out = np.stack(losses, axis=1)
    return chosen(lams[: len(scores)], held_out, weights, folds, rule, status, solve_at, criterion)


@dataclass(frozen=True, eq=False)
class _Part:
    """One fold: what it learns from, that part's share of the weight, the rows with labels held out and
    the weights (n, T) of these."""

    problem: Problem
    seen: Problem
    share: float
    test: Rows
    held: Array

    @classmethod
    def of(cls, problem: Problem, train: Rows, test: Rows) -> _Part:
        seen = part_of(problem, train)
        share = float(seen.label_weight().sum() / problem.label_weight().sum())
        rows, held = labels_of(problem, test)
        return cls(problem, merged_rows(seen), share, rows, held)

    @property
    def weight(self) -> Array:
        """(T,) of the held-out labels."""
        return self.held.sum(axis=0)


def _step(
    part: _Part, lam: float, start: ReLUNetwork | None, limits: Limits, seconds: float | None
) -> tuple[ReLUNetwork, Array]:
    """The fold's network at `lam`, and each task's summed loss (T,) at the held-out labels."""
    network = limits.solve(part.seen.with_lam(lam * part.share), start, seconds).network
    return network, losses_at(part.problem, network, part.test, part.held)
