"""Rows, or single labels, held out in turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .._validate import as_generator
from ..losses import Multinomial
from ..problem import Problem
from .held_out import held_out

Array = NDArray[np.float64]
# row numbers, or a mask (N, T) of labels
Rows = NDArray[np.intp] | NDArray[np.bool_]
Scheme = Literal["interleaved", "blocked", "random", "labels", "gaps"]
Fold = tuple[Rows, Rows]
SCHEMES = get_args(Scheme)


def make_folds(
    problem: Problem,
    cv: int | Iterable[tuple[object, object]],
    scheme: Scheme,
    random_state: int | np.random.Generator | None = 0,
) -> list[Fold]:
    """(train, test) of each fold; every label is held out once where `cv` is a number.

    Row numbers, or masks (N, T) of labels where tasks are held out at rows of their own. Equal inputs
    stay together. "interleaved": of the distinct inputs in order, every cv-th one;
    "blocked": consecutive runs of inputs; "random": of any number of inputs, in a random order that is
    always the same; "labels" and "gaps": single labels, or runs of them, of each task by itself, drawn
    with `random_state`.

    Raises
    ------
    TypeError, ValueError : for a `cv` that makes no folds of these rows, or leaves a task without
        any label to learn from.
    """
    if scheme not in SCHEMES:
        raise ValueError(
            f"scheme: must be 'interleaved' or 'blocked', 'random', 'labels' or 'gaps', got {scheme!r}"
        )
    labelled = np.flatnonzero((problem.label_weight() > 0).any(axis=1))
    if isinstance(cv, bool) or not isinstance(cv, int | np.integer | Iterable) or isinstance(cv, str):
        raise TypeError(f"cv: must be a number of folds or pairs of (train, test) rows, got {cv!r}")
    if isinstance(cv, Iterable):
        folds = [_as_fold(pair, problem) for pair in cv]
        if not folds:
            raise ValueError("cv: holds no fold; give at least one pair of (train, test) rows")
    else:
        if problem.n_inputs != 1 and scheme not in ("random", "labels"):
            raise ValueError(
                f"cv: {problem.n_inputs} inputs have no order to make folds of; use scheme='random', or "
                "give pairs of (train, test) rows"
            )
        if scheme == "labels" or scheme == "gaps":
            folds = _folds_of_labels(problem, int(cv), scheme, as_generator(random_state, "random_state"))
        else:
            folds = _numbered_folds(problem, labelled, int(cv), scheme)
    for k, (train, test) in enumerate(folds):
        _require_labels(problem, k, train, test)
    return folds


def labels_of(problem: Problem, rows: Rows) -> tuple[NDArray[np.intp], Array]:
    """The row numbers of `rows`, and the weights (n, T) of their labels, 0 for labels that are not meant."""
    weight = problem.label_weight()
    if rows.dtype != bool:
        numbers = rows.astype(np.intp, copy=False)
        return numbers, weight[numbers]
    numbers = np.flatnonzero(rows.any(axis=1))
    return numbers, np.where(rows[numbers], weight[numbers], 0.0)


def part_of(problem: Problem, rows: Rows) -> Problem:
    """`problem` of these labels alone."""
    numbers, Y = rows, problem.Y
    if rows.dtype == bool:
        numbers, Y = np.flatnonzero(rows.any(axis=1)), np.where(rows, Y, np.nan)
    weight = None if problem.sample_weight is None else problem.sample_weight[numbers]
    return Problem(
        problem.X[numbers], Y[numbers], problem.lam, problem.loss, problem.penalty, weight, copy=False
    )


def _folds_of_labels(
    problem: Problem, n_folds: int, scheme: Literal["labels", "gaps"], rng: np.random.Generator
) -> list[Fold]:
    seen = problem.label_weight() > 0
    most = int(seen.sum(axis=0).max())
    if not 2 <= n_folds <= most:
        raise ValueError(f"cv: must be from 2 to {most}, the labels of a task, got {n_folds}")
    tests = held_out(problem.X, seen, n_folds, scheme, rng, "cv")
    return [(seen & ~test, test) for test in tests]


def _numbered_folds(problem: Problem, labelled: Rows, n_folds: int, scheme: Scheme) -> list[Fold]:
    X = problem.X[labelled]
    if problem.n_inputs == 1:
        X = X[:, 0]
    distinct, place = np.unique(X, axis=0, return_inverse=True)
    if not 2 <= n_folds <= len(distinct):
        raise ValueError(
            f"cv: must be from 2 to {len(distinct)}, the number of distinct inputs with a label, "
            f"got {n_folds}"
        )
    which = np.arange(len(distinct))
    if scheme == "random":
        which = np.random.default_rng(0).permutation(which)
    fold_of = which * n_folds // len(distinct) if scheme == "blocked" else which % n_folds
    fold = fold_of[place.ravel()]
    return [(labelled[fold != k], labelled[fold == k]) for k in range(n_folds)]


def _as_fold(pair: object, problem: Problem) -> Fold:
    try:
        train, test = pair  # type: ignore[misc]
    except (TypeError, ValueError):
        raise TypeError(f"cv: must hold pairs of (train, test) rows, got {pair!r}") from None
    masks = [np.asarray(one) for one in (train, test)]
    if all(one.dtype == bool and one.ndim == 2 for one in masks):
        return _as_mask(masks[0], "train", problem), _as_mask(masks[1], "test", problem)
    return _as_rows(train, "train", problem.n_rows), _as_rows(test, "test", problem.n_rows)


def _as_mask(mask: NDArray[np.bool_], which: str, problem: Problem) -> Rows:
    if mask.shape != problem.Y.shape:
        raise ValueError(f"cv: a mask of {which} labels must have shape {problem.Y.shape}, got {mask.shape}")
    return mask & (problem.label_weight() > 0)


def _as_rows(rows: object, which: str, n_rows: int) -> Rows:
    array = np.asarray(rows)
    if array.dtype == bool and array.shape == (n_rows,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) == 0:
        raise ValueError(f"cv: {which} rows must be a list of row numbers, got {rows!r}")
    if array.min() < 0 or array.max() >= n_rows:
        raise ValueError(f"cv: {which} rows must be from 0 to {n_rows - 1}, got {int(array.max())}")
    if len(np.unique(array)) < len(array):
        raise ValueError(f"cv: {which} rows name a row twice; use sample_weight to count it twice")
    return array.astype(np.intp)


def _require_labels(problem: Problem, k: int, train: Rows, test: Rows) -> None:
    if train.dtype == bool and isinstance(problem.loss, Multinomial):
        raise ValueError("cv: under loss='multinomial' a row of classes is held out as a whole; give rows")
    numbers, known = labels_of(problem, train)
    held_numbers, held = labels_of(problem, test)
    both = np.intersect1d(numbers, held_numbers)
    if train.dtype == bool:
        both = np.flatnonzero((train & test).any(axis=1))
    if len(both):
        raise ValueError(
            f"cv: fold {k} has row {int(both[0])} both in train and in test; hold it out or use it"
        )
    bare = np.flatnonzero(~(known > 0).any(axis=0))
    if len(bare):
        raise ValueError(
            f"cv: fold {k} leaves no label of task {int(bare[0])} to learn from; use more folds or "
            "scheme='interleaved', or drop that task"
        )
    if not (held > 0).any():
        raise ValueError(f"cv: fold {k} holds out no label; give test rows with labels")
