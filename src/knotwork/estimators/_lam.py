"""How much weight decay: a number, a share of lam_max, or what held-out labels ask for."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from ..certificate import sees_moments
from ..certificate.labels import Labels
from ..losses import Squared
from ..network import ReLUNetwork
from ..problem import Problem
from ..selection import CrossValidation, cross_validate
from ..selection.cross_validation import Rule, chosen
from ..selection.path import lam_grid
from ..solution import Solution, Status
from ..solvers.solve import lam_max, solve
from ._inputs import merged

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]
Seed = int | np.random.Generator | None

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
    """Of every solve: `tol`, `max_seconds`, `max_cells`, `max_rounds` as in `solve`, and its seed."""

    tol: float
    max_seconds: float | None
    max_cells: int
    seed: int
    max_rounds: int | None = None

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
        )


def largest_lam(problem: Problem, limits: Limits) -> float:
    """The least lam without a neuron, as `knotwork.lam_max`; in several inputs the neurons are searched
    where there are more than `max_cells`, and where c and A are penalised the fixed point lam = |response
    at the free fit of lam| is followed from lam = infinity."""
    if not problem.loss_function.smooth or _has_path(problem):
        return lam_max(problem)
    if not problem.penalty.biases:
        return _response(problem, limits)
    lam = _response(problem.with_lam(1e6 * max(_response(problem, limits), 1e-300)), limits)
    for _ in range(_MOST_ROUNDS):
        if lam == 0:
            return 0.0
        last, lam = lam, _response(problem.with_lam(lam), limits)
        if abs(lam - last) <= _CLOSE * last:
            break
    return lam


def _has_path(problem: Problem) -> bool:
    """Squared loss, one input, biases and skip connection free."""
    return sees_moments(problem) and isinstance(problem.loss, Squared)


def _response(problem: Problem, limits: Limits) -> float:
    """The dual norm at the fit without neurons; 0 where that is rounding."""
    labels = Labels.of(problem, max_cells=limits.max_cells, random_state=limits.seed)
    f = problem.free_fit().predict(labels.X)
    alpha = labels.gradient_point(f)
    reach = float(np.linalg.norm(problem.X - problem.X.mean(axis=0), axis=1).max()) + 1.0
    size = np.abs(labels.w * f) if labels.loss.interpolates else np.abs(alpha)
    noise = 64.0 * np.finfo(float).eps * reach * float(np.sum(size))
    largest = labels.largest_response(alpha).largest
    return largest if largest > noise else 0.0


def make_folds(cv: Any, problem: Problem, y: Any, classifier: bool) -> list[Fold]:
    """(train, test) rows, as scikit-learn makes them of a number, a splitter or pairs of rows. A number
    splits the rows that have a label of positive weight.

    Raises
    ------
    ValueError : where a fold leaves a task without a label to learn from, or holds none out.
    """
    weight = problem.label_weight()
    rows = np.arange(problem.n_rows)
    if cv is None or isinstance(cv, int | np.integer):
        rows = np.flatnonzero((weight > 0).any(axis=1))
    y = None if y is None else y[rows]
    checked: Any = check_cv
    splitter = checked(cv, y, classifier=classifier)
    stand_in = np.zeros(len(rows)) if y is None else y
    folds = [
        (_as_rows(rows, train), _as_rows(rows, test))
        for train, test in splitter.split(problem.X[rows], stand_in)
    ]
    for k, (train, test) in enumerate(folds):
        bare = np.flatnonzero(~(weight[train] > 0).any(axis=0))
        if len(bare):
            raise ValueError(
                f"cv: fold {k} leaves no label of task {int(bare[0])} to learn from; use more folds, "
                "KFold(shuffle=True), or drop that task"
            )
        if not (weight[test] > 0).any():
            raise ValueError(f"cv: fold {k} holds out no label; use fewer folds or KFold(shuffle=True)")
    return folds


def _as_rows(rows: Rows, part: Any) -> Rows:
    return rows[np.asarray(part)]


def choose(
    problem: Problem,
    folds: list[Fold],
    limits: Limits,
    *,
    rule: Rule,
    n_lams: int | None,
    n_jobs: int | None,
    verbose: int,
) -> CrossValidation:
    """lam by held-out labels. Where a path costs little, at all its lams; else from lam_max down, all folds
    side by side and roughly solved, until a lam is worse in every fold than the best, or two in a row are
    no better."""
    if _has_path(problem):
        count, ratio = PATH
        return cross_validate(
            problem,
            folds,
            rule=rule,
            n_lams=count if n_lams is None else n_lams,
            lam_ratio=ratio,
            tol=limits.tol,
            n_jobs=n_jobs,
            max_seconds=limits.max_seconds,
        )
    return _walk(problem, folds, limits, rule, n_lams, n_jobs, verbose)


def _walk(
    problem: Problem,
    folds: list[Fold],
    limits: Limits,
    rule: Rule,
    n_lams: int | None,
    n_jobs: int | None,
    verbose: int,
) -> CrossValidation:
    began = time.monotonic()
    if rule not in ("min", "1se"):
        raise ValueError(f"rule: must be 'min' or '1se', got {rule!r}")
    if rule == "1se" and len(folds) == 1:
        raise ValueError("rule: '1se' needs the spread of several folds, got one; use rule='min'")
    count, ratio = WALK
    fast = Limits(
        max(limits.tol, _FOLD_TOL), None, min(limits.max_cells, _FOLD_CELLS), limits.seed, _FOLD_ROUNDS
    )
    lams = lam_grid(largest_lam(on_merged_rows(problem), fast), count if n_lams is None else n_lams, ratio)
    parts = [_Part.of(problem, train, test) for train, test in folds]
    starts: list[ReLUNetwork | None] = [None] * len(parts)
    losses: list[Array] = []
    status = Status.OPTIMAL
    fold_weight = np.array([part.weight.sum() for part in parts])
    means: list[float] = []
    for lam in lams.tolist():
        seconds = None
        if limits.max_seconds is not None:
            seconds = _SHARE_OF_TIME * limits.max_seconds - (time.monotonic() - began)
            if seconds <= 0:
                status = Status.MAX_SECONDS
                break
        found: Iterable[tuple[ReLUNetwork, Array]] = Parallel(n_jobs=n_jobs)(
            delayed(_step)(part, lam, start, fast, seconds) for part, start in zip(parts, starts, strict=True)
        )  # type: ignore[assignment]
        networks, held = zip(*found, strict=True)
        starts = list(networks)
        losses.append(np.stack(held))
        means.append(float(losses[-1].sum() / fold_weight.sum()))
        if verbose:
            print(f"lam = {lam:.4g}: held-out loss {means[-1]:.6g} per label")
        least = int(np.argmin(means))
        worse = np.all(losses[-1].sum(axis=1) > losses[least].sum(axis=1))
        if len(means) - 1 - least >= _PATIENCE or (len(parts) > 1 and worse):
            break
    if not means:
        raise ValueError(
            f"max_seconds: {limits.max_seconds} s were over before one lam was tried; allow more or give lam"
        )
    tried = lams[: len(means)]

    def solve_at(lam: float) -> Solution:
        left = None
        if limits.max_seconds is not None:
            left = max(limits.max_seconds - (time.monotonic() - began), 1e-3)
        return limits.solve(on_merged_rows(problem).with_lam(lam), None, left)

    weights = np.stack([part.weight for part in parts])
    return chosen(tried, np.stack(losses, axis=1), weights, folds, rule, status, solve_at)


@dataclass(frozen=True, eq=False)
class _Part:
    """One fold: what it learns from, its share of the weight, and its held-out labels and their weight."""

    seen: Problem
    share: float
    X: Array
    Y: Array
    held: Array

    @classmethod
    def of(cls, problem: Problem, train: Rows, test: Rows) -> _Part:
        w = problem.label_weight()
        weight = None if problem.sample_weight is None else problem.sample_weight[train]
        X, Y, weight = merged(problem.X[train], problem.Y[train], weight)
        seen = Problem(X, Y, problem.lam, problem.loss, problem.penalty, weight)
        return cls(seen, float(w[train].sum() / w.sum()), problem.X[test], problem.Y[test], w[test])

    @property
    def weight(self) -> Array:
        """(T,) of the held-out labels."""
        return self.held.sum(axis=0)


def _step(
    part: _Part, lam: float, start: ReLUNetwork | None, limits: Limits, seconds: float | None
) -> tuple[ReLUNetwork, Array]:
    """The fold's network at `lam`, and each task's summed loss (T,) at the held-out labels."""
    network = limits.solve(part.seen.with_lam(lam * part.share), start, seconds).network
    seen = part.held > 0
    labels = np.where(seen, part.Y, 0.0)
    value = part.seen.loss_function.value(labels, network.predict(part.X))
    return network, np.sum(part.held * np.where(seen, value, 0.0), axis=0)


def on_merged_rows(problem: Problem) -> Problem:
    """In several inputs, where searches start from rows: the problem of `merged` rows."""
    if problem.n_inputs == 1:
        return problem
    X, Y, weight = merged(problem.X, problem.Y, problem.sample_weight)
    if X is problem.X:
        return problem
    return Problem(X, Y, problem.lam, problem.loss, problem.penalty, weight)
