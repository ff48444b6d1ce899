"""lam from data held out in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._validate import read_only
from ..losses import resolve_loss
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution, Status, TraceEntry
from ..solvers.path import solve_path
from ..solvers.solve import lam_max, solve
from ..solvers.watch import Progress, Watch
from .folds import Fold, Rows, Scheme, make_folds
from .path import check_grid, lam_grid

Array = NDArray[np.float64]
Rule = Literal["min", "1se"]
_SHARE_OF_TIME = 0.8
_FOLD_TOL = 1e-6


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Losses at labels that the fit did not see, and the lam that they chose.

    All losses are per unit of label weight (per label, without weights): the mean of l(y, f).

    lams : (m,) decreasing, for all data; after a stop those that every fold finished.
    mean_loss : (m,) over all held-out labels.
    standard_error : (m,) of `mean_loss`, from the spread of the folds; NaN for one fold.
    fold_losses : (k, m) of each fold.
    task_losses : (m, T) of each task, over the folds; NaN where none of its labels was held out.
    lam_min : the lam of least `mean_loss`.
    lam_1se : the largest lam whose `mean_loss` is within one standard error of the least; NaN for
        one fold.
    rule : "min" or "1se".
    lam : the one that `rule` names.
    solution : on all data at `lam`, certified.
    folds : the (train, test) rows.
    status : OPTIMAL, or why lams are missing.
    """

    lams: Array
    mean_loss: Array
    standard_error: Array
    fold_losses: Array
    task_losses: Array
    lam_min: float
    lam_1se: float
    rule: Rule
    lam: float
    solution: Solution
    folds: tuple[Fold, ...]
    status: Status


def cross_validate(
    problem: Problem,
    cv: int | Iterable[tuple[object, object]] = 5,
    *,
    scheme: Scheme = "interleaved",
    rule: Rule = "min",
    n_lams: int = 100,
    lam_ratio: float = 1e-4,
    tol: float = 1e-8,
    n_jobs: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> CrossValidation:
    """Choose lam by the loss at held-out labels, and solve on all data with it.

    The lams are those of `path` on all data. The loss is a sum over labels, so a fold that
    learns from a share s of the label weight is solved at s lam.

    Parameters
    ----------
    problem : see `Problem`; its lam is not used.
    cv : the number of folds, or (train, test) pairs of rows.
    scheme : "interleaved": every cv-th distinct input is held out, which asks the fit to fill gaps of
        one input. "blocked": runs of consecutive inputs are, which asks it to bridge long gaps and,
        at both ends, to extrapolate. Where the errors of neighbours are alike (a time series), a fit
        that follows them does well at interleaved folds, and blocked ones choose a larger lam.
    rule : "min", the lam of least loss, or "1se", the largest within one standard error of it.
    n_lams, lam_ratio : as in `path`.
    tol : the relative gap of the last solution; the folds are solved to 1e-6, or `tol` if that is more.
    n_jobs : as in joblib.Parallel, over the folds; its backend is whichever joblib is set to. The
        result does not depend on it.
    max_seconds, progress : as in `solve`, for everything together, four fifths of the seconds for the
        folds. `progress` is called in this process only: for folds that run here, and the last fit.

    Raises
    ------
    TypeError, ValueError : naming the argument; where a fold leaves a task without labels, the task.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    began = time.monotonic()
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    if rule not in ("min", "1se"):
        raise ValueError(f"rule: must be 'min' or '1se', got {rule!r}")
    check_grid(n_lams, lam_ratio)
    Watch(tol, None, max_seconds, progress)
    folds = make_folds(problem, cv, scheme)
    if rule == "1se" and len(folds) == 1:
        raise ValueError("rule: '1se' needs the spread of several folds, got one; use rule='min'")
    lams = lam_grid(lam_max(problem), n_lams, lam_ratio)
    workers = effective_n_jobs(n_jobs)  # type: ignore[arg-type]
    seconds = None
    if max_seconds is not None:
        seconds = _SHARE_OF_TIME * max_seconds * min(1.0, workers / len(folds))
    progress = None if progress is None else _Stoppable(progress)
    watched = progress if workers == 1 else None
    calls = (
        delayed(_held_out)(problem, train, test, lams, max(tol, _FOLD_TOL), seconds, watched)
        for train, test in folds
    )
    parts: list[_HeldOut] = list(Parallel(n_jobs=n_jobs)(calls))  # type: ignore[arg-type]

    done = np.isin(lams, np.array(list(set.intersection(*(set(part.lams.tolist()) for part in parts)))))
    lams = lams[done]
    losses = np.stack([part.losses[np.isin(part.lams, lams)] for part in parts])
    weights = np.stack([part.weight for part in parts])

    def solve_at(lam: float) -> Solution:
        left = None if max_seconds is None else max(max_seconds - (time.monotonic() - began), 1e-3)
        return solve(problem.with_lam(lam), tol=tol, max_seconds=left, progress=progress)

    status = next((part.status for part in parts if part.status is not Status.OPTIMAL), Status.OPTIMAL)
    return chosen(lams, losses, weights, folds, rule, status, solve_at)


def chosen(
    lams: Array,
    losses: Array,
    weights: Array,
    folds: Sequence[Fold],
    rule: Rule,
    status: Status,
    solve_at: Callable[[float], Solution],
) -> CrossValidation:
    """The lam that held-out losses choose, and the solution there.

    Parameters
    ----------
    lams : (m,), from the largest down.
    losses, weights : (k, m, T) summed losses at the held-out labels of each fold, (k, T) their weights.
    status : how the folds ended; where OPTIMAL, that of the solution is taken.
    """
    fold_weight = weights.sum(axis=1)
    fold_losses = losses.sum(axis=2) / fold_weight[:, None]
    mean = fold_weight @ fold_losses / fold_weight.sum()
    error = np.full(len(lams), np.nan)
    if len(folds) > 1:
        spread = fold_weight @ (fold_losses - mean) ** 2 / fold_weight.sum()
        error = np.sqrt(spread / (len(folds) - 1))
    task_weight = weights.sum(axis=0)
    held = np.where(task_weight > 0, task_weight, np.nan)
    least = int(np.argmin(mean))
    lam_min, lam_1se = float(lams[least]), float("nan")
    if len(folds) > 1:
        lam_1se = float(lams[np.flatnonzero(mean <= mean[least] + error[least])[0]])
    lam = lam_min if rule == "min" else lam_1se
    solution = solve_at(lam)
    return CrossValidation(
        read_only(lams),
        read_only(mean),
        read_only(error),
        read_only(fold_losses),
        read_only(losses.sum(axis=0) / held),
        lam_min,
        lam_1se,
        rule,
        lam,
        solution,
        tuple(folds),
        status if status is not Status.OPTIMAL else solution.status,
    )


class _Stoppable:
    """`progress`, asked no more once it has stopped one fold: the others stop too."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.stopped = progress, False

    def __call__(self, entry: TraceEntry) -> bool:
        self.stopped = self.stopped or self.progress(entry) is True
        return self.stopped


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """One fold: the lams (of all data) that were finished, the summed loss (m, T) at its held-out
    labels, their weight (T,), and how its path ended."""

    lams: Array
    losses: Array
    weight: Array
    status: Status


def _held_out(
    problem: Problem,
    train: Rows,
    test: Rows,
    lams: Array,
    tol: float,
    max_seconds: float | None,
    progress: Progress | None,
) -> _HeldOut:
    """One fold, wherever joblib runs it."""
    seen = _rows_of(problem, train)
    share = _total_weight(seen) / _total_weight(problem)
    solutions, status = solve_path(seen, lams * share, tol, max_seconds, progress)
    finished = {one.problem.lam for one in solutions}
    done = np.array([lam * share in finished for lam in lams.tolist()])
    weight = problem.label_weight()[test]
    losses = np.stack([_losses(problem, one.network, test, weight) for one in solutions])
    return _HeldOut(lams[done], losses, weight.sum(axis=0), status)


def _losses(problem: Problem, network: ReLUNetwork, rows: Rows, weight: Array) -> Array:
    """(T,) summed loss of each task at the rows."""
    labels = np.where(weight > 0, problem.Y[rows], 0.0)
    value = resolve_loss(problem.loss).value(labels, network.predict(problem.X[rows]))
    return np.sum(weight * np.where(weight > 0, value, 0.0), axis=0)


def _rows_of(problem: Problem, rows: Rows) -> Problem:
    weight = None if problem.sample_weight is None else problem.sample_weight[rows]
    return Problem(
        problem.X[rows], problem.Y[rows], problem.lam, problem.loss, problem.penalty, weight, copy=False
    )


def _total_weight(problem: Problem) -> float:
    if problem.sample_weight is None:
        return float(problem.n_labels.sum())
    return float(problem.label_weight().sum())
