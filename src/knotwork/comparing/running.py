"""Repeated cross-validation of all methods on the same folds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, as_float_array, as_generator, read_only
from ..losses import Huber, Loss, Quantile, SmoothedQuantile, Squared, resolve_loss
from ..problem import Problem
from ..scaling import TaskScaling
from ..selection.calls import whole_call
from ..selection.held_out import SCHEMES, Mask, Scheme, held_out
from ..solvers.blas import one_blas_thread
from . import peers
from .fits import Choice, OutOfTime, Setting, error_of, fit_apart, fit_together, task_means
from .intervals import units_of
from .result import APART, TOGETHER, Comparison

Array = NDArray[np.float64]
Other = Callable[[Array, Array, Array], ArrayLike]
Progress = Callable[[int, int], bool | None]

PEERS = ("linear", "kernel", "boosting")
_MEASURABLE = (Squared, Huber, Quantile, SmoothedQuantile)


def compare(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    lam: float | None = None,
    folds: int = 5,
    repeats: int = 5,
    methods: Sequence[str] | None = None,
    others: Mapping[str, Other] | None = None,
    loss: str | Loss = "squared",
    scale: str = "task",
    scheme: Scheme = "rows",
    inner_folds: int = 5,
    refit: bool = False,
    level: float = 0.95,
    margin: float = 0.02,
    random_state: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Train the tasks together, apart, or does it make no difference? By errors at held-out labels.

    `folds` x `repeats` times a part of the labels is held out, and every method learns from the others
    alone: scales, lam and everything else that is chosen is chosen on them. Together is
    min sum_it l(y_it, f_t(x_i)) + lam sum_k |v_k| |w_k| over networks of all tasks, apart the same for
    each task with a lam of its own; lam is that of least error, mean over tasks of its log, in an inner
    cross-validation of the training part. With the largest lam each is a line, so that neither can be much
    worse than that.

    The verdict rests on the ratio of the held-out errors, together over apart, the geometric mean over the
    tasks, and on its interval, see `Comparison.ratio` and `Comparison.verdict`.

    Parameters
    ----------
    X : (N, d) or (N,) inputs.
    Y : (N, T) labels, T >= 2, NaN where missing; what is missing is neither learned from nor counted.
    lam : fixed instead, for together and each apart, of all data in task units and inputs standardised; no
        inner cross-validation and no refit.
    folds, repeats : at least 2 and 1.
    methods : which others are compared: of "linear" (least squares), "kernel" (a Gaussian process with
        the kernel of wide ReLU networks, hyperparameters by marginal likelihood, up to 2000 rows) and
        "boosting" (scikit-learn's gradient-boosted trees, left out with a notice where it is not
        installed), each task by itself. All that the loss allows when None; "together" and "apart"
        always run.
    others : more of them by name, functions of (X_train, Y_train, X_new) in the units given that return
        (n, T) predictions; with n_jobs, such as can be pickled.
    loss : "squared", "huber", `Huber(delta)`, "quantile" or `Quantile(tau)`: fitted, and what errors are
        measured in, in task units. Other than squared, only together, apart and linear follow it.
    scale : "task" fits each task centred and over its standard deviation, "none" as it is. Inputs are
        standardised, and errors in task units, either way.
    scheme : what is held out, and what the answer is about: "rows", all labels at random inputs (what will
        tasks be at a new input?), "labels", single labels at random (what is missing here, given other
        tasks at the same inputs?), "blocks", runs of consecutive inputs (how are gaps that all tasks have
        bridged, and ends extended?), or "gaps", runs of each task by itself (how are its gaps bridged where
        others are known?); the last two for one input.
    inner_folds : of the inner cross-validation, by the same scheme.
    refit : whether least squares on the chosen knots (`knotwork.refit`; one input, squared loss) is tried in
        the inner cross-validation too. It takes shrinkage away, and where a knot has
        few labels beyond it, errors of single labels become so large that they decide the ratio.
    level : of all intervals.
    margin : errors within this share of each other make no difference, however sure it is.
    random_state : seed of all folds.
    n_jobs : as in joblib.Parallel, over the folds; the result does not depend on it.
    max_seconds : no fold is begun or finished after them; those done are reported, with a notice.
    progress : called in this process after every fold with how many are done, of how many; returning
        True stops as `max_seconds` does.

    Raises
    ------
    TypeError, ValueError : naming the argument; where fewer than 2 folds were done in time.
    ImportError : for "boosting" by name without scikit-learn.
    """
    began = time.monotonic()
    problem = _checked_problem(X, Y, loss)
    options = (folds, repeats, inner_folds, scheme, scale, level, margin, max_seconds, progress)
    _check_options(problem, *options)
    notices: list[str] = []
    names = _method_names(problem, methods, others or {}, notices)
    rng = as_generator(random_state, "random_state")
    X, Y = problem.X, problem.Y
    seen = ~np.isnan(Y)
    tests = [test for _ in range(repeats) for test in held_out(X, seen, folds, scheme, rng)]
    deadline = None if max_seconds is None else time.time() + max_seconds
    setting = Setting(
        resolve_loss(problem.loss),
        _as_lam(lam),
        scheme,
        inner_folds,
        refit and lam is None and X.shape[1] == 1 and isinstance(problem.loss, Squared),
        0,
        deadline=deadline,
    )
    seeds = rng.integers(2**32, size=len(tests)).tolist()
    work = partial(_fold, X, Y, names, dict(others or {}), setting, scale)
    done = _run(work, list(zip(tests, seeds, strict=True)), n_jobs, progress)
    if len(done) < 2:
        raise ValueError(
            f"max_seconds: {len(done)} of {len(tests)} folds were done before the stop, and an interval "
            "needs 2; give more seconds, fewer methods or n_jobs"
        )
    if len(done) < len(tests):
        notices.append(f"stopped early: {len(done)} of {len(tests)} folds were done")
    held = np.stack([~np.isnan(fold.errors[0]) for fold in done])
    counts = held.sum(axis=1).T.astype(np.float64)
    return Comparison(
        names,
        read_only(np.stack([_task_means(fold.errors) for fold in done], axis=2)),
        read_only(_label_means([fold.errors for fold in done], held.sum(axis=0))),
        units_of(X, seen, scheme, folds),
        read_only(seen.sum(axis=0)[:, None] - counts),
        read_only(counts),
        folds,
        repeats,
        scheme,
        level,
        margin,
        {name: tuple(fold.choices[name] for fold in done) for name in (TOGETHER, APART)},
        time.monotonic() - began,
        tuple(notices),
    )


@dataclass(frozen=True, eq=False)
class _Done:
    """One fold: errors (M, N, T), NaN but at the labels held out, and what the inner cross-validations
    chose."""

    errors: Array
    choices: dict[str, tuple[Choice, ...]]


def _task_means(errors: Array) -> Array:
    """(M, T) of one fold; NaN where it held out none of a task's labels."""
    return np.stack([task_means(one, ~np.isnan(one)) for one in errors])


def _label_means(folds: list[Array], times: NDArray[np.intp]) -> Array:
    """(M, N, T) mean error of every label over the `times` (N, T) that it was held out; NaN where never."""
    total = np.zeros_like(folds[0])
    for errors in folds:
        total += np.nan_to_num(errors)
    return np.divide(total, times, out=np.full_like(total, np.nan), where=times > 0)


def _fold(
    X: Array,
    Y: Array,
    names: tuple[str, ...],
    others: dict[str, Other],
    setting: Setting,
    scale: str,
    test: Mask,
    seed: int,
) -> _Done | None:
    """One fold, wherever joblib runs it; None where its time ran out."""
    new = test.any(axis=1)
    known = np.where(test, np.nan, Y)
    rows = ~np.isnan(known).all(axis=1)
    share = float(1.0 - test.sum() / (~np.isnan(Y)).sum())
    setting = replace(setting, seed=seed, share=share)
    units, errors, choices = TaskScaling.of(Y), [], {}
    try:
        with one_blas_thread():
            for name in names:
                predicted, chosen = predictions(
                    name, X[rows], known[rows], X[new], setting, scale, others.get(name)
                )
                if chosen is not None:
                    choices[name] = chosen
                error = np.full(Y.shape, np.nan)
                error[new] = error_of(setting.loss, units.apply(Y)[new], units.apply(predicted))
                errors.append(np.where(test, error, np.nan))
                setting.seconds_left()
    except OutOfTime:
        return None
    return _Done(np.stack(errors), choices)


def predictions(
    name: str,
    X: Array,
    Y: Array,
    X_new: Array,
    setting: Setting,
    scale: str = "task",
    other: Other | None = None,
) -> tuple[Array, tuple[Choice, ...] | None]:
    """(n, T) what a method that learns from X (N, d), Y (N, T) alone predicts at X_new (n, d)."""
    if other is not None:
        return _checked_predictions(name, other(X, Y, X_new), (len(X_new), Y.shape[1])), None
    if name == "boosting":
        return peers.boosting(X, Y, X_new, setting.seed), None
    own = name in (TOGETHER, APART)
    scaling = TaskScaling.none(Y.shape[1]) if own and scale == "none" else TaskScaling.of(Y)
    inputs = TaskScaling.of(X)
    X, X_new, Y = inputs.apply(X), inputs.apply(X_new), scaling.apply(Y)
    chosen = None
    if name == TOGETHER:
        network, chosen = fit_together(X, Y, setting)
        f = network.predict(X_new)
    elif name == APART:
        networks, chosen = fit_apart(X, Y, setting)
        f = np.column_stack([network.predict(X_new) for network in networks])
    elif name == "linear":
        f = peers.linear(X, Y, X_new, setting.loss)
    else:
        f = peers.kernel_process(X, Y, X_new)
    return scaling.scale * f + scaling.centre, chosen


def _run(
    work: Callable[[Mask, int], _Done | None],
    jobs: list[tuple[Mask, int]],
    n_jobs: int | None,
    progress: Progress | None,
) -> list[_Done]:
    """The folds that were done, in order."""
    from joblib import Parallel

    done: list[_Done] = []
    results: Any = Parallel(n_jobs=n_jobs, return_as="generator")(whole_call(work, *job) for job in jobs)
    for fold in results:
        if fold is not None:
            done.append(fold)
        if progress is not None and progress(len(done), len(jobs)) is True:
            results.close()
            break
    return done


def _checked_problem(X: ArrayLike, Y: ArrayLike, loss: str | Loss) -> Problem:
    Y = as_float_array(Y, "Y", allow_nan=True)
    if Y.ndim != 2 or Y.shape[1] < 2:
        raise ValueError(f"Y: must be (N, T) with T >= 2 tasks, got {Y.shape}; one task has no other to join")
    problem = Problem(as_float_array(X, "X"), Y, 1.0, loss)
    if not isinstance(problem.loss, _MEASURABLE):
        raise ValueError(f"loss: must be squared, huber or quantile, one for all tasks, got {loss!r}")
    bare = np.flatnonzero(np.isnan(Y).all(axis=0))
    if len(bare):
        raise ValueError(f"Y: column {int(bare[0])} has no label; drop that task")
    return problem


def _check_options(
    problem: Problem,
    folds: int,
    repeats: int,
    inner_folds: int,
    scheme: str,
    scale: str,
    level: float,
    margin: float,
    max_seconds: float | None,
    progress: Progress | None,
) -> None:
    for name, value, least in (("folds", folds, 2), ("repeats", repeats, 1), ("inner_folds", inner_folds, 2)):
        if as_count(value, name) < least:
            raise ValueError(f"{name}: must be an integer >= {least}, got {value!r}")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme: must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    if scheme in ("blocks", "gaps") and problem.n_inputs > 1:
        raise ValueError(f"scheme: {problem.n_inputs} inputs have no order to make {scheme} of; use rows")
    if scale not in ("task", "none"):
        raise ValueError(f"scale: must be 'task' or 'none', got {scale!r}")
    if scale == "none" and not isinstance(problem.loss, Squared):
        raise ValueError("scale: only squared loss can be fitted unscaled; use 'task'")
    for name, share in (("level", level), ("margin", margin)):
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise TypeError(f"{name}: must be a number, got {share!r}")
        if not 0 <= share < 1 or (name == "level" and share == 0):
            raise ValueError(f"{name}: must be a share below 1, got {share!r}")
    if max_seconds is not None and not 0 < max_seconds < math.inf:
        raise ValueError(f"max_seconds: must be finite and > 0, got {max_seconds!r}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: must be a function of two numbers, got {progress!r}")


def _as_lam(lam: float | None) -> float | None:
    if lam is None:
        return None
    if isinstance(lam, bool) or not isinstance(lam, int | float | np.number):
        raise TypeError(f"lam: must be a number > 0, got {lam!r}")
    if not 0 < lam < math.inf:
        raise ValueError(f"lam: must be finite and > 0, got {lam!r}")
    return float(lam)


def _method_names(
    problem: Problem, methods: Sequence[str] | None, others: Mapping[str, Other], notices: list[str]
) -> tuple[str, ...]:
    """Together and apart first; what nobody named is left out where it cannot run, with a notice."""
    known = (TOGETHER, APART, *PEERS)
    if methods is not None:
        if isinstance(methods, str):
            raise TypeError(f"methods: must be a list of names, got {methods!r}")
        if wrong := [name for name in methods if name not in known]:
            raise ValueError(f"methods: must be of {', '.join(known)}, got {wrong[0]!r}")
    asked = [name for name in PEERS if methods is None or name in methods]
    kept = []
    for name in asked:
        reason = _cannot_run(name, problem)
        if reason is None:
            kept.append(name)
        elif methods is not None:
            raise (ImportError if "scikit-learn" in reason else ValueError)(f"methods: {reason}")
        else:
            notices.append(f"left out: {reason}")
    for name, other in others.items():
        if name in known:
            raise ValueError(f"others: {name!r} is a method already; give it another name")
        if not callable(other):
            raise TypeError(f"others: {name!r} must be a function, got {other!r}")
    return (TOGETHER, APART, *kept, *others)


def _cannot_run(name: str, problem: Problem) -> str | None:
    if name == "linear":
        return None
    if not isinstance(problem.loss, Squared):
        return f"{name} is for squared loss"
    if name == "kernel" and problem.n_rows > peers.MOST_KERNEL_ROWS:
        return f"kernel takes up to {peers.MOST_KERNEL_ROWS} rows, these are {problem.n_rows}"
    if name == "boosting":
        try:
            peers.boosted_trees()
        except ImportError:
            return "boosting needs scikit-learn; pip install 'knotwork[sklearn]'"
    return None


def _checked_predictions(name: str, found: ArrayLike, shape: tuple[int, int]) -> Array:
    f = as_float_array(found, f"others: predictions of {name!r}")
    if f.shape != shape:
        raise ValueError(f"others: {name!r} must return shape {shape}, got {f.shape}")
    return f
