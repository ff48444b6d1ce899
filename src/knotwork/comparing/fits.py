"""Tasks fitted together and apart, the strength of weight decay chosen on the training part alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..losses import Loss, Squared
from ..network import ReLUNetwork
from ..problem import Problem
from ..selection.held_out import Mask, Scheme, held_out
from ..selection.path import lam_grid
from ..selection.refit import refit
from ..solution import Solution
from ..solvers.path import solve_path
from ..solvers.solve import lam_max, solve

Array = NDArray[np.float64]

# neurons of several inputs are enumerated up to so many cells, else searched: a proof is not asked for
_MAX_CELLS = 20_000
_PATH_TOL, _FIT_TOL = 1e-4, 1e-6
_ONE_INPUT, _SEVERAL = (20, 1e-4), (15, 1e-3)
_AT_A_TIME = 5
_PATIENCE, _WORSE = 4, 0.02
_AFFINE = 1e-20


class OutOfTime(Exception):
    """The seconds are over before a fold was done."""


@dataclass(frozen=True)
class Setting:
    """What every fit of a comparison shares.

    loss : what is fitted, and what an error is; twice it for squared loss, so the squared error.
    lam : fixed, for all data; chosen by inner cross-validation when None.
    scheme, inner_folds : of the inner cross-validation, the scheme of the outer one.
    refit : whether least squares on the chosen knots is a second candidate.
    seed : of the inner folds and all else that is random.
    share : of all labels, what is learned from: the loss is a sum over labels, so a fixed lam is taken
        times it.
    deadline : of the system's clock, or None.
    """

    loss: Loss
    lam: float | None
    scheme: Scheme
    inner_folds: int
    refit: bool
    seed: int
    share: float = 1.0
    deadline: float | None = None

    def seconds_left(self) -> float | None:
        """Until the deadline; raises OutOfTime past it."""
        if self.deadline is None:
            return None
        left = self.deadline - time.time()
        if left <= 0:
            raise OutOfTime
        return left


@dataclass(frozen=True)
class Choice:
    """What the inner cross-validation chose: lam, of the scaled training part, over the least lam without
    a neuron (NaN where the labels are affine), and whether the knots were refitted."""

    lam_ratio: float
    refitted: bool


def error_of(loss: Loss, Y: Array, f: Array) -> Array:
    """(n, T) the error of every label: (y - f)^2 for squared loss, else l(y, f); NaN where none is."""
    if isinstance(loss, Squared):
        return (Y - f) ** 2
    seen = ~np.isnan(Y)
    return np.where(seen, loss.value(np.where(seen, Y, 0.0), f), np.nan)


def task_means(errors: Array, where: Mask) -> Array:
    """(T,) mean error of each task over the labels `where`; NaN where it has none."""
    count = where.sum(axis=0)
    total = np.where(where, errors, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def fit_together(X: Array, Y: Array, setting: Setting) -> tuple[ReLUNetwork, tuple[Choice, ...]]:
    """One network for all tasks, with one lam."""
    tests = _inner_folds(X, Y, setting)
    network, choice = _chosen_fit(X, Y, tests, setting)
    return network, (choice,)


def fit_apart(X: Array, Y: Array, setting: Setting) -> tuple[tuple[ReLUNetwork, ...], tuple[Choice, ...]]:
    """A network for each task, each with its own lam, chosen by the same inner folds as together."""
    tests = _inner_folds(X, Y, setting)
    fits = [_chosen_fit(X, Y[:, [t]], [test[:, [t]] for test in tests], setting) for t in range(Y.shape[1])]
    return tuple(network for network, _ in fits), tuple(choice for _, choice in fits)


def _inner_folds(X: Array, Y: Array, setting: Setting) -> list[Mask]:
    if setting.lam is not None:
        return []
    rng = np.random.default_rng(setting.seed)
    return held_out(X, ~np.isnan(Y), setting.inner_folds, setting.scheme, rng)


def _chosen_fit(X: Array, Y: Array, tests: list[Mask], setting: Setting) -> tuple[ReLUNetwork, Choice]:
    """The fit at the lam, refitted or not, of least error at the labels in `tests`."""
    problem = _problem(X, Y, 1.0, setting)
    largest = lam_max(problem, max_cells=_MAX_CELLS)
    if setting.lam is None:
        lam, refitted = _choose(X, Y, largest, tests, setting)
    else:
        lam, refitted = setting.lam * setting.share, False
    left = setting.seconds_left()
    solution = solve(problem.with_lam(lam), tol=_FIT_TOL, max_cells=_MAX_CELLS, max_seconds=left)
    setting.seconds_left()
    network = refit(solution).network if refitted else solution.network
    return network, Choice(lam / largest if largest > 0 else float("nan"), refitted)


def _choose(X: Array, Y: Array, largest: float, tests: list[Mask], setting: Setting) -> tuple[float, bool]:
    seen = ~np.isnan(Y)
    lams = lam_grid(largest, *(_ONE_INPUT if X.shape[1] == 1 else _SEVERAL))
    parts = []
    for test in tests:
        if not test.any():
            # this task has no label in this part
            continue
        known = seen & ~test
        share = float(known.sum()) / float(seen.sum())
        part = _problem(X, np.where(known, Y, np.nan), 1.0, setting)
        parts.append((test, _solutions(part, share * lams, setting)))
    n_kinds = 2 if setting.refit else 1
    # mean over tasks of the log of their errors: what compare reports, and no task outweighs the others
    errors = np.full((len(lams), n_kinds), np.inf)
    for k in range(len(lams)):
        held = np.full((n_kinds, *Y.shape), np.nan)
        for test, solutions in parts:
            solution = next(solutions)
            networks = (solution.network, refit(solution).network) if setting.refit else (solution.network,)
            for kind, network in enumerate(networks):
                error = error_of(setting.loss, Y, network.predict(X))
                held[kind] = np.where(test, error, held[kind])
        errors[k] = [_mean_log(task_means(one, seen)) for one in held]
        best = int(np.argmin(errors.min(axis=1)))
        # the smallest lams cost most, and are not looked at when it has long been worse
        if k - best >= _PATIENCE and errors[k].min() > errors.min() + _WORSE:
            break
    k, kind = divmod(int(np.argmin(errors)), n_kinds)
    return float(lams[k]), kind == 1


def _mean_log(errors: Array) -> float:
    """Of the tasks that have one; labels on a line are missed by rounding alone, whose log means nothing."""
    errors = errors[~np.isnan(errors)]
    return float(np.mean(np.log(np.maximum(errors, _AFFINE * max(float(errors.max()), 1e-300)))))


def _solutions(problem: Problem, lams: Array, setting: Setting) -> Iterator[Solution]:
    """At decreasing lams, each from the one before."""
    if problem.n_inputs == 1:
        for first in range(0, len(lams), _AT_A_TIME):
            some = lams[first : first + _AT_A_TIME]
            solutions, _ = solve_path(problem, some, _PATH_TOL, setting.seconds_left(), None)
            if len(solutions) < len(some):
                raise OutOfTime
            yield from solutions
        return
    start = None
    for lam in lams.tolist():
        left = setting.seconds_left()
        one = solve(problem.with_lam(lam), tol=_PATH_TOL, start=start, max_cells=_MAX_CELLS, max_seconds=left)
        setting.seconds_left()
        start = one.network
        yield one


def _problem(X: Array, Y: Array, lam: float, setting: Setting) -> Problem:
    """Of the rows with a label: others would only slow it down."""
    some = ~np.isnan(Y).all(axis=1)
    return (
        Problem(X[some], Y[some], lam, setting.loss) if not some.all() else Problem(X, Y, lam, setting.loss)
    )
