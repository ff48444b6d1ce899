"""From a table to a certified fit: scale, choose lam, solve all tasks together and each alone."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._validate import as_count
from ..datasets.columns import Columns
from ..losses import Loss, Multinomial, resolve_loss
from ..penalty import Penalty, as_penalty
from ..problem import Problem
from ..selection import CrossValidation
from ..selection import refit as least_squares_on_knots
from ..selection.cross_validation import Criterion, Rule
from ..selection.features import has_features
from ..selection.folds import Scheme, make_folds
from ..selection.walk import PATH, WALK, LamDone, Limits, choose, largest_lam, on_merged_rows
from ..solution import Solution, Status
from ..solvers.solve import lam_max, solve_n_knots
from ..solvers.watch import Progress, Watch
from ..tables import Table
from .extrapolation import Extrapolation, check_extrapolation
from .result import FitResult
from .units import Scale, loss_of, require_tasks, units_of

MOST_SHOWN = 16
DEFAULT_FOLDS, _FOLDS_OF_A_WALK = 10, 5
MAX_CELLS = 50_000
PLAIN_RATIO = 0.01
_COUNTING_TOL = 1e-6
_CUT_SHORT = (Status.STOPPED, Status.MAX_SECONDS)


def fit_table(
    table: Table | Columns,
    *,
    lam: float | None = None,
    lam_ratio: float | None = None,
    n_knots: int | None = None,
    cv: int | bool | None = None,
    scheme: Scheme | None = None,
    rule: Rule = "1se",
    criterion: Criterion = "mean",
    n_jobs: int | None = None,
    refit: bool = False,
    scale: Scale = "task",
    loss: str | Loss | Sequence[str | Loss] = "squared",
    penalty: str | Penalty = "weights-free-skip",
    extrapolation: Extrapolation = "linear",
    tol: float = 1e-8,
    max_seconds: float | None = None,
    max_cells: int = MAX_CELLS,
    random_state: int = 0,
    progress: Progress | None = None,
    lam_done: LamDone | None = None,
) -> FitResult:
    """Fit all tasks of `table` with shared neurons, and in one input each alone at the same lam.

    Parameters
    ----------
    table : see `read_table`; of several inputs see `datasets.columns.read_task_columns`.
    lam, lam_ratio, n_knots, cv : at most one: the strength of weight decay, its share of lam_max,
        the largest lam with at least so many knots, or the number of folds by which lam is
        cross-validated. With none, or cv=True, 10 folds, or 5 where every lam is a solve of its own
        (several inputs, another loss or penalty); with none, where the data make no folds, lam_ratio 0.01.
    scheme, rule, criterion, n_jobs : as in `cross_validate`. By default runs of consecutive inputs are held
        out ("blocked"), for neighbours in a series err alike and interleaved folds then ask for all knots
        there are; several inputs have no order, and "random" ones are. Of the lams within one standard
        error the largest is taken, for every knot is to be read and explained. Where labels are missing and
        are to be filled, scheme "gaps" or "labels", rule "min" and criterion "log" choose for that.
    refit : also fit the knots by least squares, without shrinkage.
    scale : "task" centres every task and divides it by its standard deviation before the fit, so
        that none owns the knots by its unit (counts and classes stay as they are), and every input too
        where there are several or biases cost; "none" takes labels and inputs as they are.
    loss : see `Problem`, "huber:0.5" and "quantile:0.9" with their numbers, in units of scaled labels.
    penalty : a `Penalty`, "weights-free-skip", "weights", "all", "all-skip" or "all-nuclear".
    extrapolation : what predictions are outside of the box of the inputs, see `FitResult.predict`.
    tol, max_seconds, max_cells, random_state, progress : as in `solve`; the seconds are for everything
        together.
    lam_done : called with every lam and its mean held-out loss where lams are tried one by one.

    Raises
    ------
    ValueError : naming the argument.
    """
    cv = None if cv is False else cv
    chosen = _only_one(lam=lam, lam_ratio=lam_ratio, n_knots=n_knots, cv=cv)
    if lam_ratio is not None and not 0 < lam_ratio < math.inf:
        raise ValueError(f"lam_ratio: must be a number > 0, got {lam_ratio!r}; lam=0 interpolates")
    check_extrapolation(extrapolation)
    columns = Columns.of(table) if isinstance(table, Table) else table
    require_tasks(columns.table)
    kind, decay = resolve_loss(loss), as_penalty(penalty)
    units = units_of(columns.X, columns.table.Y, scale, kind, decay)
    problem = Problem(
        units.inputs.apply(columns.X),
        units.tasks.apply(columns.table.Y),
        1.0 if lam is None else lam,
        kind,
        decay,
    )
    if refit and not has_features(problem):
        raise ValueError(
            "refit: takes one input, squared loss and the penalty 'weights-free-skip'; leave it out"
        )
    if problem.n_inputs > 1 and n_knots is not None:
        raise ValueError("n_knots: knots are counted in one input; give lam, lam_ratio or cv")
    job = _Job(
        problem,
        Watch(tol, None, max_seconds, progress),
        Limits(tol, max_seconds, as_count(max_cells, "max_cells"), random_state, progress=progress),
        scheme or ("blocked" if problem.n_inputs == 1 else "random"),
        rule,
        criterion,
        n_jobs,
        lam_done,
        [*columns.table.notices],
    )
    largest = job.lam_max()
    validation = job.cross_validated(largest, cv) if not chosen or cv is not None else None
    if n_knots is not None:
        solution = job.with_n_knots(n_knots)
    elif validation is not None:
        solution = validation.solution
    else:
        if lam is None and largest > 0:
            job.problem = problem.with_lam((PLAIN_RATIO if lam_ratio is None else lam_ratio) * largest)
        solution = job.solve(job.problem)
    shown = tuple(range(min(columns.table.n_tasks, MOST_SHOWN)))
    stopped = Status.STOPPED in (solution.status, validation.status if validation else None)
    alternative = None if validation is None or stopped else job.alternative(validation)
    apart = () if stopped else job.apart(solution, shown)
    if len(apart) < len(shown) and job.fits_apart:
        job.notices.append(
            f"stopped early: {len(apart)} of {len(shown)} tasks were fitted alone for comparison"
        )
    return FitResult(
        columns,
        units,
        scale,
        solution,
        largest,
        units.to_data_units(solution.network),
        shown,
        apart,
        time.monotonic() - job.watch.began,
        tuple(job.notices),
        validation,
        job.scheme,
        least_squares_on_knots(solution) if refit else None,
        extrapolation,
        alternative,
    )


def _only_one(**given: object) -> list[str]:
    chosen = [name for name, one in given.items() if one is not None]
    if len(chosen) > 1:
        raise ValueError(f"{chosen[1]}: cannot be given beside {chosen[0]}; choose one of them")
    return chosen


@dataclass(eq=False)
class _Job:
    """One fit under way: its problem, what is left of its limits, and what is to be told of it."""

    problem: Problem
    watch: Watch
    limits: Limits
    scheme: Scheme
    rule: Rule
    criterion: Criterion
    n_jobs: int | None
    lam_done: LamDone | None
    notices: list[str]

    def lam_max(self) -> float:
        problem, left = self.problem, self.watch.seconds_left()
        # a quarter of the time at most: without it there is still lam to solve at
        limits = replace(self.limits, max_seconds=None if left is None else 0.25 * left)
        if problem.n_inputs > 1 and problem.lam > 0:
            largest = largest_lam(on_merged_rows(problem), limits)
        else:
            largest = lam_max(problem, max_seconds=limits.max_seconds)
        if largest == 0 and self.problem.lam > 0:
            self.notices.append("the labels lie on straight lines: no lam > 0 needs a knot")
        return largest

    def solve(self, problem: Problem) -> Solution:
        return self.limits.solve(on_merged_rows(problem), None, self.watch.seconds_left())

    def with_n_knots(self, n_knots: int) -> Solution:
        return solve_n_knots(
            self.problem,
            n_knots,
            tol=self.limits.tol,
            max_seconds=self.watch.seconds_left(),
            max_cells=self.limits.max_cells,
            random_state=self.limits.seed,
            progress=self.limits.progress,
        )

    def cross_validated(self, largest: float, cv: int | bool | None) -> CrossValidation | None:
        """lam by held-out data; None, and a notice, where nobody asked for it and it cannot be."""
        if largest == 0 and cv is None:
            return None
        problem, path = self.problem, has_features(self.problem)
        n_lams, ratio = PATH if path else WALK
        default = DEFAULT_FOLDS if path else _FOLDS_OF_A_WALK
        folds = min(default, len(np.unique(problem.X, axis=0))) if cv is None or cv is True else cv
        try:
            parts = make_folds(problem, folds, self.scheme)
        except ValueError as error:
            if cv is not None or not str(error).startswith("cv:"):
                raise
            self.notices.append(f"lam = {PLAIN_RATIO} lam_max, without cross-validation ({error})")
            return None
        found = choose(
            problem,
            parts,
            replace(self.limits, max_seconds=self.watch.seconds_left()),
            rule=self.rule,
            criterion=self.criterion,
            n_jobs=self.n_jobs,
            lam_done=self.lam_done,
            largest=largest,
        )
        if found.status in _CUT_SHORT and len(found.lams) < n_lams and largest > 0:
            self.notices.append(
                f"stopped early: lam is the best of the {len(found.lams)} that every fold finished"
            )
        elif len(found.lams) == n_lams and found.lam == found.lams[-1] and largest > 0:
            self.notices.append(
                f"the smallest of the lams compared was chosen, {ratio:g} lam_max: the labels may have "
                "next to no noise; compare with a smaller --lam"
            )
        return found

    def alternative(self, validation: CrossValidation) -> Solution | None:
        """At the lam that rule "min" would have taken, where another was and a path makes it cheap."""
        if not has_features(self.problem) or validation.lam == validation.lam_min or self.watch.out_of_time():
            return None
        problem, start = self.problem.with_lam(validation.lam_min), validation.solution.network
        rough = replace(self.limits, tol=max(self.limits.tol, _COUNTING_TOL))
        return rough.solve(problem, start, self.watch.seconds_left())

    @property
    def fits_apart(self) -> bool:
        """Whether tasks are fitted alone too: in one input, where no loss joins them."""
        return self.problem.n_inputs == 1 and not isinstance(self.problem.loss, Multinomial)

    def apart(self, solution: Solution, shown: Sequence[int]) -> tuple[Solution, ...]:
        if not self.fits_apart:
            return ()
        problem = solution.problem
        if problem.n_tasks == 1:
            return (solution,)
        apart: list[Solution] = []
        for t in shown:
            if self.watch.out_of_time():
                break
            loss = loss_of(problem.loss_function, t)
            one = self.solve(Problem(problem.X, problem.Y[:, t], problem.lam, loss, problem.penalty))
            if one.status in _CUT_SHORT:
                break
            apart.append(one)
        return tuple(apart)
