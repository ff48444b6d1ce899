"""Tasks with inputs of their own, as one table with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array

Array = NDArray[np.float64]


class StackedTasks(NamedTuple):
    """X (N, d) the inputs of all tasks, no row twice, and Y (N, T) their labels, NaN where there is none."""

    X: Array
    Y: Array


def stack_tasks(tasks: Sequence[tuple[ArrayLike, ArrayLike]]) -> StackedTasks:
    """The union of the inputs of T tasks; task t has labels at its own inputs only.

    Parameters
    ----------
    tasks : T pairs of inputs (n_t, d) or (n_t,) and labels (n_t,), NaN where missing.

    Raises
    ------
    TypeError, ValueError : naming the task that does not fit; for two labels at one input, which need a
        row each (give `Problem` the rows instead).
    """
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not tasks:
        raise TypeError(f"tasks: must be a sequence of pairs (x, y), one each task, got {tasks!r}")
    inputs, labels = [], []
    for t, pair in enumerate(tasks):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"tasks: number {t} must be a pair (x, y)")
        x = as_float_array(pair[0], f"tasks[{t}][0]")
        x = x[:, None] if x.ndim == 1 else x
        y = as_float_array(pair[1], f"tasks[{t}][1]", allow_nan=True)
        if x.ndim != 2 or y.shape != (len(x),) or not len(x):
            raise ValueError(f"tasks: number {t} has inputs {x.shape} and labels {y.shape}; rows must match")
        if x.shape[1] != (inputs[0] if inputs else x).shape[1]:
            raise ValueError(f"tasks: number {t} has {x.shape[1]} inputs, number 0 {inputs[0].shape[1]}")
        if len(np.unique(x, axis=0)) < len(x):
            raise ValueError(
                f"tasks: number {t} has two labels at one input; give a Problem with a row for each"
            )
        inputs.append(x)
        labels.append(y)
    X, row = np.unique(np.vstack(inputs), axis=0, return_inverse=True)
    Y = np.full((len(X), len(tasks)), np.nan)
    ends = np.cumsum([len(x) for x in inputs])[:-1]
    for t, (rows, y) in enumerate(zip(np.split(row.ravel(), ends), labels, strict=True)):
        Y[rows, t] = y
    return StackedTasks(X, Y)
