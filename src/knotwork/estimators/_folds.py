"""Rows held out in turn, as scikit-learn makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from ..problem import Problem
from ..selection.folds import Fold


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
    folds: list[Fold] = [
        (rows[np.asarray(train)], rows[np.asarray(test)])
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
