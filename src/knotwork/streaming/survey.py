"""The first pass: whether the rows are in order, what is missing, and the scale of every task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._table_files import TableError
from ..scaling import TaskScaling
from .reading import Reader

Array = NDArray[np.float64]
_LIMIT = 1e50


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass tells of a file.

    in_order : whether x never decreases from row to row.
    n_inputs : changes of x from row to row, and one: the distinct inputs where they are in order.
    partial : whether any row has some of its labels, but not all.
    n_labels : (T,).
    scaling : mean and standard deviation of every task.
    """

    in_order: bool
    n_inputs: int
    partial: bool
    n_labels: NDArray[np.intp]
    scaling: TaskScaling


def survey(reader: Reader) -> Survey:
    """One pass over the file.

    Raises
    ------
    TableError : naming the row of an input that is missing, or a value that is not finite or too large.
    """
    names = reader.source.task_names
    n_tasks = len(names)
    moments = _Moments(n_tasks)
    in_order, partial, n_inputs = True, False, 0
    last = -np.inf
    for row, x, Y in reader.all_rows("survey"):
        _check(x[:, None], row, (reader.source.input_name,), "input", allow_nan=False)
        seen = ~np.isnan(Y)
        _check(Y, row, names, "tasks", allow_nan=True)
        if not seen.all():
            some = seen.any(axis=1)
            partial = partial or not np.array_equal(some, seen.all(axis=1))
        step = np.diff(x, prepend=last)
        in_order = in_order and not np.any(step < 0)
        n_inputs += int(np.count_nonzero(step))
        last = float(x[-1])
        moments.add(Y, seen)
    if n_inputs == 0:
        raise TableError("has no rows; a fit needs at least one")
    empty = np.flatnonzero(moments.count == 0)
    if len(empty):
        raise TableError(f"tasks: column {names[int(empty[0])]!r} holds no number; leave it out")
    return Survey(in_order, n_inputs, partial, moments.count.astype(np.intp), moments.scaling())


class _Moments:
    """Count, range, mean and spread of every task (Chan, Golub, LeVeque 1983)."""

    def __init__(self, n_tasks: int) -> None:
        self.count, self.mean, self.spread = np.zeros((3, n_tasks))
        self.low, self.high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)

    def add(self, Y: Array, seen: NDArray[np.bool_]) -> None:
        n = np.count_nonzero(seen, axis=0).astype(np.float64)
        safe = np.maximum(n, 1.0)
        self.low = np.minimum(self.low, np.where(seen, Y, np.inf).min(axis=0))
        self.high = np.maximum(self.high, np.where(seen, Y, -np.inf).max(axis=0))
        mean = np.where(seen, Y, 0.0).sum(axis=0) / safe
        deviation = np.where(seen, Y - mean, 0.0)
        step = mean - self.mean
        total = np.maximum(self.count + n, 1.0)
        self.spread += np.einsum("nt,nt->t", deviation, deviation) + step * step * self.count * (n / total)
        self.mean += step * (n / total)
        self.count += n

    def scaling(self) -> TaskScaling:
        """As `TaskScaling.of`: scale 1 where all labels are equal."""
        varies = self.high > self.low
        deviation = np.sqrt(self.spread / self.count)
        return TaskScaling(np.where(varies, self.mean, self.low), np.where(varies, deviation, 1.0))


def _check(values: Array, row: int, names: tuple[str, ...], role: str, allow_nan: bool) -> None:
    wrong = np.isinf(values) | (np.abs(values) > _LIMIT) if allow_nan else ~(np.abs(values) <= _LIMIT)
    if wrong.any():
        at, column = (int(i) for i in np.argwhere(wrong)[0])
        value = values[at, column]
        what = "is empty" if np.isnan(value) else f"holds {value:g}"
        raise TableError(
            f"{role}: column {names[column]!r} {what} in row {row + at + 1}; "
            f"{'fill it in or remove the row' if role == 'input' else 'mark it missing (null)'}"
        )
