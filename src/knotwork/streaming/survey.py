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
_FAR = 10.0


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass tells of a file.

    in_order : whether x never decreases from row to row.
    n_distinct : changes of x from row to row, and one: the distinct inputs where they are in order.
    partial : whether any row has some of its labels, but not all.
    n_labels : (T,).
    origin : what to subtract from inputs that lie many times their range away from 0, else 0; so far
        away the subtraction is exact (Sterbenz).
    scaling : mean and standard deviation of every task.
    """

    in_order: bool
    n_distinct: int
    partial: bool
    n_labels: NDArray[np.intp]
    origin: float
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
    in_order, partial, n_distinct = True, False, 0
    last = high = -np.inf
    low = np.inf
    for row, x, Y in reader.all_rows("survey"):
        _check(x[:, None], row, (reader.source.input_name,), "input", allow_nan=False)
        # column by column: NumPy is slow over short rows
        seen = [~np.isnan(y) for y in Y.T]
        _check(Y, row, names, "tasks", allow_nan=True)
        if not partial:
            partial = not all(np.array_equal(seen[0], one) for one in seen[1:])
        step = np.diff(x, prepend=last)
        in_order = in_order and not np.any(step < 0)
        n_distinct += int(np.count_nonzero(step))
        last, low, high = float(x[-1]), min(low, float(x.min())), max(high, float(x.max()))
        moments.add(Y, seen)
    if n_distinct == 0:
        raise TableError("has no rows; a fit needs at least one")
    empty = np.flatnonzero(moments.count == 0)
    if len(empty):
        raise TableError(f"tasks: column {names[int(empty[0])]!r} holds no number; leave it out")
    origin = low if min(abs(low), abs(high)) > _FAR * (high - low) else 0.0
    n_labels = moments.count.astype(np.intp)
    return Survey(in_order, n_distinct, partial, n_labels, origin, moments.scaling())


class _Moments:
    """Count, range, mean and spread of every task (Chan, Golub, LeVeque 1983).

    The mean is held as what the first label lacks of it, for far from 0 a mean has few digits.
    """

    def __init__(self, n_tasks: int) -> None:
        self.count, self.mean, self.spread, self.origin = np.zeros((4, n_tasks))
        self.low, self.high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)

    def add(self, Y: Array, seen: list[NDArray[np.bool_]]) -> None:
        for t, there in enumerate(seen):
            y = Y[:, t][there]
            n = len(y)
            if n == 0:
                continue
            if self.count[t] == 0:
                self.origin[t] = y[0]
            self.low[t], self.high[t] = min(self.low[t], y.min()), max(self.high[t], y.max())
            y -= self.origin[t]
            mean = float(y.mean())
            deviation = y - mean
            step, share = mean - self.mean[t], n / (self.count[t] + n)
            self.spread[t] += deviation @ deviation + step * step * self.count[t] * share
            self.mean[t] += step * share
            self.count[t] += n

    def scaling(self) -> TaskScaling:
        """As `TaskScaling.of`: scale 1 where all labels are equal."""
        varies = self.high > self.low
        deviation = np.sqrt(self.spread / self.count)
        return TaskScaling(
            np.where(varies, self.origin + self.mean, self.low), np.where(varies, deviation, 1.0)
        )


def _check(values: Array, row: int, names: tuple[str, ...], role: str, allow_nan: bool) -> None:
    size = np.abs(values)
    wrong = size > _LIMIT if allow_nan else ~(size <= _LIMIT)
    if wrong.any():
        at, column = (int(i) for i in np.argwhere(wrong)[0])
        value = values[at, column]
        what = "is empty" if np.isnan(value) else f"holds {value:g}"
        raise TableError(
            f"{role}: column {names[column]!r} {what} in row {row + at + 1}; "
            f"{'fill it in or remove the row' if role == 'input' else 'mark it missing (null)'}"
        )
