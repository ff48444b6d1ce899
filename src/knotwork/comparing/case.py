"""A table of one or several inputs, with the names that its reader knows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..datasets.columns import read_columns

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """What a comparison is about.

    X, Y : (N, d) and (N, T), NaN in Y where a label is missing.
    data : the name of the file or bundled table.
    input_names : d of them, a date as "days since ...".
    task_names : T of them.
    notices : what the reader of the table chose by itself.
    """

    X: Array
    Y: Array
    data: str
    input_names: tuple[str, ...]
    task_names: tuple[str, ...]
    notices: tuple[str, ...] = ()


def read_case(
    data: str | os.PathLike[str],
    *,
    inputs: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    series: str | None = None,
    value: str | None = None,
) -> Case:
    """A table with its columns of inputs and tasks.

    Parameters
    ----------
    data, series, value : as in `read_data`.
    inputs, tasks : columns; as the reader chooses when None.

    Raises
    ------
    ValueError, OSError : as `read_data`.
    """
    table, X, names = read_columns(data, inputs, tasks, series, value)
    return Case(X, table.Y, table.name, names, table.task_names, table.notices)
