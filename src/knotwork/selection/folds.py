"""Rows held out in turn: folds of ordered inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..problem import Problem

Rows = NDArray[np.intp]
Scheme = Literal["interleaved", "blocked"]
Fold = tuple[Rows, Rows]


def make_folds(problem: Problem, cv: int | Iterable[tuple[object, object]], scheme: Scheme) -> list[Fold]:
    """(train, test) rows of each fold; every labelled row is held out once where `cv` is a number.

    Equal inputs stay together. "interleaved": of the distinct inputs in order, every cv-th one;
    "blocked": consecutive runs of inputs.

    Raises
    ------
    TypeError, ValueError : for a `cv` that makes no folds of these rows, or leaves a task without
        any label to learn from.
    """
    if scheme not in ("interleaved", "blocked"):
        raise ValueError(f"scheme: must be 'interleaved' or 'blocked', got {scheme!r}")
    labelled = np.flatnonzero((problem.label_weight() > 0).any(axis=1))
    if isinstance(cv, bool) or not isinstance(cv, int | np.integer | Iterable) or isinstance(cv, str):
        raise TypeError(f"cv: must be a number of folds or pairs of (train, test) rows, got {cv!r}")
    if isinstance(cv, Iterable):
        folds = [_as_fold(pair, problem.n_rows) for pair in cv]
        if not folds:
            raise ValueError("cv: holds no fold; give at least one pair of (train, test) rows")
    else:
        if problem.n_inputs != 1:
            raise ValueError(
                f"cv: {problem.n_inputs} inputs have no order to make folds of; "
                "give pairs of (train, test) rows"
            )
        folds = _ordered_folds(problem, labelled, int(cv), scheme)
    for k, (train, test) in enumerate(folds):
        _require_labels(problem, k, train, test)
    return folds


def _ordered_folds(problem: Problem, labelled: Rows, n_folds: int, scheme: Scheme) -> list[Fold]:
    distinct, place = np.unique(problem.X[labelled, 0], return_inverse=True)
    if not 2 <= n_folds <= len(distinct):
        raise ValueError(
            f"cv: must be from 2 to {len(distinct)}, the number of distinct inputs with a label, "
            f"got {n_folds}"
        )
    which = np.arange(len(distinct))
    fold_of = which % n_folds if scheme == "interleaved" else which * n_folds // len(distinct)
    fold = fold_of[place.ravel()]
    return [(labelled[fold != k], labelled[fold == k]) for k in range(n_folds)]


def _as_fold(pair: object, n_rows: int) -> Fold:
    try:
        train, test = pair  # type: ignore[misc]
    except (TypeError, ValueError):
        raise TypeError(f"cv: must hold pairs of (train, test) rows, got {pair!r}") from None
    return _as_rows(train, "train", n_rows), _as_rows(test, "test", n_rows)


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
    both = np.intersect1d(train, test)
    if len(both):
        raise ValueError(
            f"cv: fold {k} has row {int(both[0])} both in train and in test; hold it out or use it"
        )
    weight = problem.label_weight()
    bare = np.flatnonzero(~(weight[train] > 0).any(axis=0))
    if len(bare):
        raise ValueError(
            f"cv: fold {k} leaves no label of task {int(bare[0])} to learn from; use more folds or "
            "scheme='interleaved', or drop that task"
        )
    if not (weight[test] > 0).any():
        raise ValueError(f"cv: fold {k} holds out no label; give test rows with labels")
