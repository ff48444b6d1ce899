"""Tables of several inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..tables import Table, TableError
from . import read_data

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Columns:
    """A table of T tasks over d inputs.

    table : its own input is the first one.
    X : (N, d) inputs; days since their origin where they are dates.
    names : (d,) columns of the inputs.
    origins : (d,) the ISO date of 0, None where the input is a number.
    """

    table: Table
    X: Array
    names: tuple[str, ...]
    origins: tuple[str | None, ...]

    @classmethod
    def of(cls, *tables: Table) -> Columns:
        """The tasks of the first table over the inputs of all."""
        X = np.column_stack([one.X for one in tables])
        return cls(tables[0], X, tuple(one.input_name for one in tables), tuple(one.origin for one in tables))

    @property
    def n_inputs(self) -> int:
        return self.X.shape[1]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the inputs, a date as "days since ..."."""
        pairs = zip(self.names, self.origins, strict=True)
        return tuple(name if day is None else f"{name} (days since {day})" for name, day in pairs)


def read_columns(
    data: str | os.PathLike[str],
    inputs: Sequence[str] | None,
    tasks: Sequence[str] | None,
    series: str | None = None,
    value: str | None = None,
    origin: str | None = None,
) -> tuple[Table, Array, tuple[str, ...]]:
    """As `read_task_columns`: the table, the inputs (N, d) and their labels."""
    found = read_task_columns(data, inputs, tasks, series, value, (origin,))
    return found.table, found.X, found.labels


def read_task_columns(
    data: str | os.PathLike[str],
    inputs: Sequence[str] | None,
    tasks: Sequence[str] | None,
    series: str | None = None,
    value: str | None = None,
    origins: Sequence[str | None] = (),
) -> Columns:
    """A table with its tasks, over one or several of its columns.

    Parameters
    ----------
    data, tasks, series, value : as in `read_data`.
    inputs : the columns of the inputs; as the reader chooses when None. Columns that are inputs are no tasks.
    origins : of the inputs, as far as given; see `read_data`.

    Raises
    ------
    TableError, ValueError, OSError : as `read_data`; for a column named twice.
    """
    first, others = _first_of(inputs)
    if others and series is not None:
        raise TableError("input: a long table has one input; name one, or give a wide table")
    columns = _other_inputs(data, first, others, origins)
    if tasks is not None and (taken := [name for name in others if name in tasks]):
        raise TableError(f"tasks: {taken[0]!r} is an input column; name another one with input")
    origin = origins[0] if origins else None
    table = read_data(data, input=first, tasks=tasks, series=series, value=value, origin=origin)
    kept = [t for t, name in enumerate(table.task_names) if name not in others]
    if not kept:
        raise TableError("tasks: no column beside the inputs holds numbers; at least one is needed")
    if len(kept) < table.n_tasks:
        units = tuple(table.task_units[t] for t in kept) if table.task_units else ()
        names = tuple(table.task_names[t] for t in kept)
        table = replace(table, task_names=names, Y=table.Y[:, kept], task_units=units)
    return Columns.of(table, *columns)


def read_inputs(
    data: str | os.PathLike[str], inputs: Sequence[str] | None, origins: Sequence[str | None] = ()
) -> Columns:
    """The inputs of a table alone; arguments and errors as in `read_task_columns`."""
    first, others = _first_of(inputs)
    table = read_data(data, input=first, tasks=(), origin=origins[0] if origins else None)
    return Columns.of(table, *_other_inputs(data, first, others, origins))


def _first_of(inputs: Sequence[str] | None) -> tuple[str | None, list[str]]:
    return (inputs[0], list(inputs[1:])) if inputs else (None, [])


def _other_inputs(
    data: str | os.PathLike[str],
    first: str | None,
    others: Sequence[str],
    origins: Sequence[str | None],
) -> list[Table]:
    repeated = [name for k, name in enumerate(others) if name in [first, *others[:k]]]
    if repeated:
        raise TableError(f"input: {repeated[0]!r} occurs twice; give every input a column of its own")
    days = [*origins[1:], *([None] * len(others))]
    return [
        read_data(data, input=name, tasks=(), origin=day) for name, day in zip(others, days, strict=False)
    ]
