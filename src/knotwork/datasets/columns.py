"""Tables of several inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..tables import Table, TableError
from . import read_data

Array = NDArray[np.float64]


def read_columns(
    data: str | os.PathLike[str],
    inputs: Sequence[str] | None,
    tasks: Sequence[str] | None,
    series: str | None = None,
    value: str | None = None,
    origin: str | None = None,
) -> tuple[Table, Array, tuple[str, ...]]:
    """A table with its tasks, the inputs (N, d), and their names, a date as "days since ...".

    Parameters
    ----------
    data, tasks, series, value, origin : as in `read_data`.
    inputs : the columns of the inputs; as the reader chooses when None. Columns that are inputs are no tasks.

    Raises
    ------
    TableError, ValueError, OSError : as `read_data`; for a column named twice.
    """
    first, *others = list(inputs) if inputs else [None]
    if others and series is not None:
        raise TableError("input: a long table has one input; name one, or give a wide table")
    repeated = [name for k, name in enumerate(others) if name in [first, *others[:k]]]
    if repeated:
        raise TableError(f"input: {repeated[0]!r} occurs twice; give every input a column of its own")
    columns = [read_data(data, input=name, tasks=()) for name in others]
    if tasks is not None and (taken := [name for name in others if name in tasks]):
        raise TableError(f"tasks: {taken[0]!r} is an input column; name another one with input")
    table = read_data(data, input=first, tasks=tasks, series=series, value=value, origin=origin)
    kept = [t for t, name in enumerate(table.task_names) if name not in others]
    if not kept:
        raise TableError("tasks: no column beside the inputs holds numbers; at least one is needed")
    X = np.column_stack([table.X, *(column.X for column in columns)])
    names = tuple(table.task_names[t] for t in kept)
    table = replace(table, task_names=names, Y=table.Y[:, kept], task_units=())
    named = [(one.input_name, one.origin) for one in (table, *columns)]
    return table, X, tuple(name if day is None else f"{name} (days since {day})" for name, day in named)
