"""From a table to a certified fit: scale, choose lam, solve all tasks together and each alone."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .network import ReLUNetwork
from .problem import Problem
from .scaling import TaskScaling
from .selection import CrossValidation, Refit, cross_validate
from .selection import refit as least_squares_on_knots
from .selection.cross_validation import Rule
from .selection.folds import Scheme
from .solution import Solution, Status
from .solvers.solve import lam_max, solve, solve_n_knots
from .solvers.watch import Progress
from .tables import Table

Array = NDArray[np.float64]
Scale = Literal["task", "none"]

MOST_SHOWN = 16
DEFAULT_FOLDS = 10
_LEADERS = 3
_N_LAMS, _LAM_RATIO = 50, 1e-4
_PLAIN_RATIO = 0.01


@dataclass(frozen=True)
class Knot:
    """One place where the joint fit bends.

    place : in units of the input (days since the origin, where inputs are dates).
    label : the place as the table writes inputs.
    strength : |jump of the slope|, in task units (labels over their scale) per input.
    jumps : (T,) jump of each task's slope, in data units per input.
    leaders : the tasks that bend there most, in task units, strongest first.
    """

    place: float
    label: Any
    strength: float
    jumps: tuple[float, ...]
    leaders: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FitResult:
    """A table, the problem made of it, and its solution.

    table : in data units.
    scaling : Y = scale * Y_task + centre; the problem solved has Y_task.
    scale : "task" or "none", what was asked for.
    solution : in task units: its lam, objective and gap are of the problem solved.
    lam_max : the least lam without a neuron; 0 where the data are affine.
    network : the solution's, in data units.
    shown : the tasks (at most 16, the first) that were also fitted alone.
    apart : their single-task solutions at the same lam, in task units; shorter than `shown`, or
        empty, when the time ran out or the user stopped.
    seconds : spent on all of this.
    notices : what was chosen without being asked.
    cross_validation : how lam was chosen, where it was by held-out data; losses and lams are of the
        scaled problem.
    scheme : how its folds were made, "blocked" or "interleaved".
    refit : least squares on the knots, in task units, where it was asked for.
    """

    table: Table
    scaling: TaskScaling
    scale: Scale
    solution: Solution
    lam_max: float
    network: ReLUNetwork
    shown: tuple[int, ...]
    apart: tuple[Solution, ...]
    seconds: float
    notices: tuple[str, ...] = ()
    cross_validation: CrossValidation | None = None
    scheme: Scheme = "blocked"
    refit: Refit | None = None

    @property
    def fitted_network(self) -> ReLUNetwork:
        """In data units: the refit where it was asked for, else `network`."""
        return self.network if self.refit is None else self.scaling.to_data_units(self.refit.network)

    @property
    def lam_ratio(self) -> float | None:
        """lam / lam_max, None where lam_max is 0."""
        return self.solution.problem.lam / self.lam_max if self.lam_max > 0 else None

    def apart_networks(self) -> tuple[ReLUNetwork, ...]:
        """The single-task networks in data units."""
        return tuple(
            TaskScaling(self.scaling.centre[[t]], self.scaling.scale[[t]]).to_data_units(one.network)
            for t, one in zip(self.shown, self.apart, strict=False)
        )

    def knots(self) -> list[Knot]:
        """The bends of the joint fit, from left to right."""
        location, jump = self.solution.network.knots
        labels = self.table.input_labels(location)
        found = []
        for place, label, row in zip(location.tolist(), labels, jump, strict=True):
            order = np.argsort(-np.abs(row), kind="stable")[:_LEADERS]
            leaders = tuple(self.table.task_names[t] for t in order if row[t] != 0)
            jumps = tuple((row * self.scaling.scale).tolist())
            found.append(Knot(place, label, float(np.linalg.norm(row)), jumps, leaders))
        return found


def fit_table(
    table: Table,
    *,
    lam: float | None = None,
    lam_ratio: float | None = None,
    n_knots: int | None = None,
    cv: int | None = None,
    scheme: Scheme = "blocked",
    rule: Rule = "1se",
    n_jobs: int | None = None,
    refit: bool = False,
    scale: Scale = "task",
    tol: float = 1e-8,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit all tasks of `table` with shared knots, and for comparison each alone at the same lam.

    Parameters
    ----------
    table : see `read_table`.
    lam, lam_ratio, n_knots, cv : at most one: the strength of weight decay, its share of lam_max,
        the largest lam with at least so many knots, or the number of folds by which lam is
        cross-validated. With none, 10 folds; where the data make no folds, lam_ratio 0.01.
    scheme, rule, n_jobs : as in `cross_validate`. By default runs of consecutive inputs are held
        out, for neighbours in a series err alike and interleaved folds then ask for all knots
        there are; and of the lams within one standard error the largest is taken, for every
        knot is to be read and explained.
    refit : also fit the knots by least squares, without shrinkage.
    scale : "task" centres every task and divides it by its standard deviation before the fit, so
        that none owns the knots by its unit; "none" takes labels as they are.
    tol, max_seconds, progress : as in `solve`; the seconds are for everything together.

    Raises
    ------
    ValueError : naming the argument.
    """
    began = time.monotonic()
    chosen = [
        name
        for name, one in (("lam", lam), ("lam_ratio", lam_ratio), ("n_knots", n_knots), ("cv", cv))
        if one is not None
    ]
    if len(chosen) > 1:
        raise ValueError(f"{chosen[1]}: cannot be given beside {chosen[0]}; choose one of them")
    if lam_ratio is not None and not 0 < lam_ratio < math.inf:
        raise ValueError(f"lam_ratio: must be a number > 0, got {lam_ratio!r}; lam=0 interpolates")
    scaling = table_scaling(table, scale)
    problem = Problem(table.X, scaling.apply(table.Y), 1.0 if lam is None else lam)
    notices = list(table.notices)
    largest = lam_max(problem)
    if largest == 0 and problem.lam > 0:
        notices.append("the labels lie on straight lines: no lam > 0 needs a knot")
    validation = None
    if n_knots is not None:
        solution = solve_n_knots(problem, n_knots, tol=tol, max_seconds=max_seconds, progress=progress)
    else:
        if not chosen or cv is not None:
            validation = _cross_validated(
                problem, largest, cv, scheme, rule, tol, n_jobs, max_seconds, progress, notices
            )
        if validation is not None:
            solution = validation.solution
        else:
            if lam is None and largest > 0:
                problem = problem.with_lam((_PLAIN_RATIO if lam_ratio is None else lam_ratio) * largest)
            solution = solve(problem, tol=tol, max_seconds=max_seconds, progress=progress)
    shown = tuple(range(min(table.n_tasks, MOST_SHOWN)))
    deadline = None if max_seconds is None else began + max_seconds
    stopped = Status.STOPPED in (solution.status, validation.status if validation else None)
    apart = () if stopped else _solve_apart(solution, shown, tol, deadline, progress)
    if len(apart) < len(shown):
        notices.append(f"stopped early: {len(apart)} of {len(shown)} tasks were fitted alone for comparison")
    return FitResult(
        table,
        scaling,
        scale,
        solution,
        largest,
        scaling.to_data_units(solution.network),
        shown,
        apart,
        time.monotonic() - began,
        tuple(notices),
        validation,
        scheme,
        least_squares_on_knots(solution) if refit else None,
    )


def _cross_validated(
    problem: Problem,
    largest: float,
    cv: int | None,
    scheme: Scheme,
    rule: Rule,
    tol: float,
    n_jobs: int | None,
    max_seconds: float | None,
    progress: Progress | None,
    notices: list[str],
) -> CrossValidation | None:
    """lam by held-out data; None, and a notice, where nobody asked for it and it cannot be."""
    folds = min(DEFAULT_FOLDS, len(np.unique(problem.X))) if cv is None else cv
    if largest == 0 and cv is None:
        return None
    try:
        found = cross_validate(
            problem,
            folds,
            scheme=scheme,
            rule=rule,
            n_lams=_N_LAMS,
            lam_ratio=_LAM_RATIO,
            tol=tol,
            n_jobs=n_jobs,
            max_seconds=max_seconds,
            progress=progress,
        )
    except ValueError as error:
        if cv is not None or not str(error).startswith("cv:"):
            raise
        notices.append(f"lam = {_PLAIN_RATIO} lam_max, without cross-validation ({error})")
        return None
    if len(found.lams) < _N_LAMS and largest > 0:
        notices.append(f"stopped early: lam is the best of the {len(found.lams)} that every fold finished")
    elif found.lam == found.lams[-1] and largest > 0:
        notices.append(
            f"the smallest of the lams compared was chosen, {_LAM_RATIO:g} lam_max: the labels may have "
            "next to no noise; compare with a smaller --lam"
        )
    return found


def table_scaling(table: Table, scale: str) -> TaskScaling:
    """The scaling that `scale` ("task" or "none") names.

    Raises
    ------
    ValueError : for another name, or a table without tasks.
    """
    if table.n_tasks == 0:
        raise ValueError("tasks: none was chosen; a fit needs at least one")
    if scale == "task":
        return TaskScaling.of(table.Y)
    if scale == "none":
        return TaskScaling.none(table.n_tasks)
    raise ValueError(f"scale: must be 'task' or 'none', got {scale!r}")


def _solve_apart(
    solution: Solution,
    shown: Sequence[int],
    tol: float,
    deadline: float | None,
    progress: Progress | None,
) -> tuple[Solution, ...]:
    if solution.problem.n_tasks == 1:
        return (solution,)
    apart: list[Solution] = []
    for t in shown:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            break
        alone = Problem(solution.problem.X, solution.problem.Y[:, t], solution.problem.lam)
        one = solve(alone, tol=tol, max_seconds=left, progress=progress)
        if one.status in (Status.STOPPED, Status.MAX_SECONDS):
            break
        apart.append(one)
    return tuple(apart)
