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
from .calls import whole_call
from .folds import Fold, Rows, Scheme, labels_of, make_folds, part_of
from .path import check_grid, lam_grid

Array = NDArray[np.float64]
Rule = Literal["min", "1se"]
Criterion = Literal["mean", "log"]
_SHARE_OF_TIME = 0.8
_FOLD_TOL = 1e-6
_ROUNDING = 1e-24


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Losses at labels that the fit did not see, and the lam that they chose.

    All losses are per unit of label weight (per label, without weights): the mean of l(y, f).

    lams : (m,) decreasing, for all data; after a stop those that every fold finished.
    mean_loss : (m,) over all held-out labels.
    standard_error : (m,) of `mean_loss`, from the spread of the folds; NaN for one fold.
    fold_losses : (k, m) of each fold.
    task_losses : (m, T) of each task, over the folds; NaN where none of its labels was held out.
    lam_min : the lam of least `score`.
    lam_1se : the largest lam whose `score` is within one standard error of the least; NaN for
        one fold.
    rule : "min" or "1se".
    lam : the one that `rule` names.
    solution : on all data at `lam`, certified.
    folds : the (train, test) rows, or masks (N, T) of labels.
    status : OPTIMAL, or why lams are missing.
    criterion : "mean" or "log".
    score : (m,) what is to be least: `mean_loss`, or the mean over tasks of log(`task_losses`).
    score_error : (m,) its standard error, from the spread of the folds; NaN for one fold.
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
    criterion: Criterion
    score: Array
    score_error: Array


def cross_validate(
    problem: Problem,
    cv: int | Iterable[tuple[object, object]] = 5,
    *,
    scheme: Scheme = "interleaved",
    rule: Rule = "min",
    criterion: Criterion = "mean",
    n_lams: int = 100,
    lam_ratio: float = 1e-4,
    tol: float = 1e-8,
    random_state: int | np.random.Generator | None = 0,
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
    cv : the number of folds, or (train, test) pairs of rows, or of masks (N, T) of labels.
    scheme : "interleaved": every cv-th distinct input is held out, which asks the fit to fill gaps of
        one input. "blocked": runs of consecutive inputs are, which asks it to bridge long gaps and,
        at both ends, to extrapolate. Where the errors of neighbours are alike (a time series), a fit
        that follows them does well at interleaved folds, and blocked ones choose a larger lam. "random":
        distinct inputs in a random order, always the same one. "labels": of each task its own labels at
        random, so that others are known at the same inputs. "gaps": of each task its own run of labels,
        beginning anywhere, where the last goes on at the first. For missing labels that are to be filled,
        take of these two what looks like them. For several inputs, "random" or "labels".
    rule : "min", the lam of least loss, or "1se", the largest within one standard error of it.
    criterion : "mean", the mean loss over all held-out labels, or "log", the mean over tasks of the log of
        each task's: for squared loss, and as many labels each, the likelihood of normal errors whose
        variance is each task's own. Where one task errs more than all others together, the mean chooses
        lam for that task.
    n_lams, lam_ratio : as in `path`.
    tol : the relative gap of the last solution; the folds are solved to 1e-6, or `tol` if that is more.
    random_state : of the folds of schemes "labels" and "gaps".
    n_jobs : as in joblib.Parallel, over the folds; its backend is whichever joblib is set to. The
        result does not depend on it.
    max_seconds, progress : as in `solve`, for everything together, four fifths of the seconds for the
        folds. `progress` is called in this process only: for folds that run here, and the last fit.

    Raises
    ------
    TypeError, ValueError : naming the argument; where a fold leaves a task without labels, the task.
    """
    from joblib import Parallel, effective_n_jobs

    began = time.monotonic()
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    check_grid(n_lams, lam_ratio)
    Watch(tol, None, max_seconds, progress)
    folds = make_folds(problem, cv, scheme, random_state)
    check_choice(rule, criterion, len(folds))
    lams = lam_grid(lam_max(problem), n_lams, lam_ratio)
    workers = effective_n_jobs(n_jobs)  # type: ignore[arg-type]
    seconds = None
    if max_seconds is not None:
        seconds = _SHARE_OF_TIME * max_seconds * min(1.0, workers / len(folds))
    progress = None if progress is None else Stoppable(progress)
    watched = progress if workers == 1 else None
    calls = (
        whole_call(_held_out, problem, train, test, lams, max(tol, _FOLD_TOL), seconds, watched)
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
    return chosen(lams, losses, weights, folds, rule, status, solve_at, criterion)


def check_choice(rule: str, criterion: str, n_folds: int) -> None:
    """Raise ValueError for a rule or criterion that is none, and a rule that asks for more folds."""
    if rule not in ("min", "1se"):
        raise ValueError(f"rule: must be 'min' or '1se', got {rule!r}")
    if criterion not in ("mean", "log"):
        raise ValueError(f"criterion: must be 'mean' or 'log', got {criterion!r}")
    if rule == "1se" and n_folds == 1:
        raise ValueError("rule: '1se' needs the spread of several folds, got one; use rule='min'")


def chosen(
    lams: Array,
    losses: Array,
    weights: Array,
    folds: Sequence[Fold],
    rule: Rule,
    status: Status,
    solve_at: Callable[[float], Solution],
    criterion: Criterion = "mean",
) -> CrossValidation:
    """The lam that held-out losses choose, and the solution there.

    Parameters
    ----------
    lams : (m,), from the largest down.
    losses, weights : (k, m, T) summed losses at the held-out labels of each fold, (k, T) their weights.
    status : how the folds ended; where OPTIMAL, that of the solution is taken.
    """
    mean, error = _mean(losses, weights)
    task_weight = weights.sum(axis=0)
    held = np.where(task_weight > 0, task_weight, np.nan)
    score, score_error = score_of(losses, weights, criterion)
    least = int(np.argmin(score))
    lam_min, lam_1se = float(lams[least]), float("nan")
    if len(folds) > 1:
        lam_1se = float(lams[np.flatnonzero(score <= score[least] + score_error[least])[0]])
    lam = lam_min if rule == "min" else lam_1se
    solution = solve_at(lam)
    return CrossValidation(
        read_only(lams),
        read_only(mean),
        read_only(error),
        read_only(losses.sum(axis=2) / weights.sum(axis=1)[:, None]),
        read_only(losses.sum(axis=0) / held),
        lam_min,
        lam_1se,
        rule,
        lam,
        solution,
        tuple(folds),
        status if status is not Status.OPTIMAL else solution.status,
        criterion,
        read_only(score),
        read_only(score_error),
    )


def score_of(losses: Array, weights: Array, criterion: Criterion) -> tuple[Array, Array]:
    """(m,) what is to be least, and its standard error, NaN for one fold; arguments as in `chosen`."""
    return _mean(losses, weights) if criterion == "mean" else _mean_log(losses, weights)


def _mean(losses: Array, weights: Array) -> tuple[Array, Array]:
    """The mean loss over all labels, and its standard error from the spread of the folds."""
    fold_weight = weights.sum(axis=1)
    fold_losses = losses.sum(axis=2) / fold_weight[:, None]
    mean = fold_weight @ fold_losses / fold_weight.sum()
    if len(losses) == 1:
        return mean, np.full(len(mean), np.nan)
    spread = fold_weight @ (fold_losses - mean) ** 2 / fold_weight.sum()
    return mean, np.sqrt(spread / (len(losses) - 1))


def _mean_log(losses: Array, weights: Array) -> tuple[Array, Array]:
    """The mean over tasks of the log of their mean losses, and its standard error by the delta method.

    losses, weights : (k, m, T) and (k, T), as in `chosen`.
    """
    counted = weights.sum(axis=0) > 0
    losses, weights = losses[:, :, counted], weights[:, counted]
    total = weights.sum(axis=0)
    task = losses.sum(axis=0) / total
    # labels on a line are missed by rounding alone, whose log means nothing
    task = np.maximum(task, _ROUNDING * task.max() if task.any() else 1.0)
    score, n_folds = np.log(task).mean(axis=1), len(losses)
    if n_folds == 1:
        return score, np.full(len(score), np.nan)
    pulls = ((losses - weights[:, None] * task) / (total * task)).mean(axis=2)
    return score, np.sqrt(n_folds / (n_folds - 1) * np.sum(pulls**2, axis=0))


class Stoppable:
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
    seen = part_of(problem, train)
    share = _total_weight(seen) / _total_weight(problem)
    solutions, status = solve_path(seen, lams * share, tol, max_seconds, progress)
    finished = {one.problem.lam for one in solutions}
    done = np.array([lam * share in finished for lam in lams.tolist()])
    rows, weight = labels_of(problem, test)
    losses = np.stack([losses_at(problem, one.network, rows, weight) for one in solutions])
    return _HeldOut(lams[done], losses, weight.sum(axis=0), status)


def losses_at(problem: Problem, network: ReLUNetwork, rows: Rows, weight: Array) -> Array:
    """(T,) summed loss of each task at the rows, whose labels have weights (n, T)."""
    labels = np.where(weight > 0, problem.Y[rows], 0.0)
    value = resolve_loss(problem.loss).value(labels, network.predict(problem.X[rows]))
    return np.sum(weight * np.where(weight > 0, value, 0.0), axis=0)


def _total_weight(problem: Problem) -> float:
    if problem.sample_weight is None:
        return float(problem.n_labels.sum())
    return float(problem.label_weight().sum())
