"""Tables of one input column and many task columns, from CSV and Parquet files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._table_files import MANY_COLUMNS, Frame, Read, TableError, existing_table, open_table
from ._validate import as_float_array, read_only
from .dates import dates_of, days_since, looks_like_dates

Array = NDArray[np.float64]
_LARGEST_TABLE = 1 << 28


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of one input and T labels, in the units of the file.

    name : of the file or data set, without folder and ending.
    input_name, task_names : the columns, T of the latter.
    X : (N,) inputs; days since `origin` where they are dates.
    Y : (N, T) labels, NaN where missing.
    origin : the ISO date of X = 0; None where the inputs are numbers.
    task_units : units of the labels, () where unknown.
    notices : what the reader chose by itself.
    """

    name: str
    input_name: str
    task_names: tuple[str, ...]
    X: Array
    Y: Array
    origin: str | None = None
    task_units: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        X = as_float_array(self.X, "X", copy=True)
        Y = as_float_array(self.Y, "Y", allow_nan=True, copy=True)
        if X.ndim != 1 or Y.shape != (len(X), len(self.task_names)):
            raise ValueError(
                f"Y: must have shape ({len(X)}, {len(self.task_names)}), a row per input and a column "
                f"per task name, got {Y.shape} beside X {X.shape}"
            )
        object.__setattr__(self, "X", read_only(X))
        object.__setattr__(self, "Y", read_only(Y))

    @property
    def n_rows(self) -> int:
        return len(self.X)

    @property
    def n_tasks(self) -> int:
        return len(self.task_names)

    @property
    def n_missing(self) -> int:
        """Labels that are missing."""
        return int(np.isnan(self.Y).sum())

    def input_labels(self, x: ArrayLike) -> list[Any]:
        """Inputs `x` (n,) as the file writes them: ISO dates, or the numbers."""
        x = np.asarray(x, dtype=float)
        return x.tolist() if self.origin is None else dates_of(x, self.origin)


def read_table(
    path: str | os.PathLike[str],
    *,
    input: str | None = None,
    tasks: Sequence[str] | None = None,
    series: str | None = None,
    value: str | None = None,
    origin: str | None = None,
) -> Table:
    """Read a wide table (a column per task), or a long one (series, x, y) where `series` is given.

    Parameters
    ----------
    path : a CSV file with a header (.tsv: separated by tabs) or a Parquet file.
    input : the input column. When None: the one named x, or else the only one of dates, or else
        the first.
    tasks : the columns (or, of a long table, the series) to take. When None: every other column
        of numbers, or every series. () takes none, for reading inputs alone.
    series, value : the columns of a long table that hold the name and the label. Each series has
        its own inputs: a row of the result is an input of any of them, and a repeated input
        within a series makes a further row, so that every label is kept.
    origin : the ISO date to count days from; the first date when None.

    Raises
    ------
    TableError : naming the file, what is wrong in it and the remedy.
    OSError : when it cannot be opened.
    """
    file = existing_table(path)
    if (series is None) != (value is None):
        missing = "value" if value is None else "series"
        raise TableError(f"{missing}: a long table needs both the series and the value column; name it too")
    try:
        header, read = open_table(file)
        _check_names(header)
        for role, name in (("input", input), ("series", series), ("value", value)):
            if name is not None:
                _check_known(role, [name], header)
        if series is not None and value is not None:
            return _long_table(file, header, read, input, tasks, series, value, origin)
        return _wide_table(file, header, read, input, tasks, origin)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _wide_table(
    file: Path,
    header: Sequence[str],
    read: Read,
    input: str | None,
    tasks: Sequence[str] | None,
    origin: str | None,
) -> Table:
    named = [name for name in header if name]
    if tasks is None:
        if len(named) > MANY_COLUMNS:
            raise TableError(f"has {len(named)} columns, more than {MANY_COLUMNS}; name the tasks to fit")
    else:
        _check_known("tasks", tasks, header)
        _check_names(tasks, "tasks")
    notices: list[str] = []
    if input is None:
        input = _choose_input(read(named[:MANY_COLUMNS], 1000), notices)
    if tasks is not None and input in tasks:
        raise TableError(f"tasks: {input!r} is the input column; name another one with input")
    wanted = [input, *(name for name in (named if tasks is None else tasks) if name != input)]
    frame = read(wanted, None)
    _check_rows(frame)
    X, origin = _inputs(frame[input], input, origin)
    if tasks is None:
        tasks = _number_columns(frame, wanted[1:], notices)
        if len(named) < len(header):
            notices.append("left out a column without a name")
    Y = np.empty((len(X), len(tasks)))
    for t, name in enumerate(tasks):
        Y[:, t] = _labels(frame[name], name)
    return Table(file.stem, input, tuple(tasks), X, Y, origin, notices=tuple(notices))


def _long_table(
    file: Path,
    header: Sequence[str],
    read: Read,
    input: str | None,
    tasks: Sequence[str] | None,
    series: str,
    value: str,
    origin: str | None,
) -> Table:
    import pandas as pd

    notices: list[str] = []
    others = [name for name in header if name and name not in (series, value)]
    if input is None:
        if not others:
            raise TableError("has no column left for the input; a long table has series, input and value")
        input = _choose_input(read(others[:MANY_COLUMNS], 1000), notices)
    if len({series, value, input}) < 3:
        raise TableError(
            f"input: series {series!r}, input {input!r} and value {value!r} must be three columns"
        )
    frame = read([series, input, value], None)
    _check_rows(frame)
    nameless = np.flatnonzero(frame[series].isna())
    if len(nameless):
        raise TableError(f"series: row {int(nameless[0]) + 1} of {series!r} is empty; fill it in")
    X, origin = _inputs(frame[input], input, origin)
    Y = _labels(frame[value], value)
    of = frame[series].astype(str)
    empty = set(of) - set(of[~np.isnan(Y)])
    if tasks is None:
        names = [str(name) for name in pd.unique(of) if name not in empty]
        if empty:
            notices.append(f"left out series that hold no numbers: {_some(sorted(empty))}")
    else:
        names = list(tasks)
        _check_names(names, "tasks")
        _check_known("tasks", names, list(pd.unique(of)), what="series")
        if wrong := [name for name in names if name in empty]:
            raise TableError(f"tasks: series {wrong[0]!r} holds no number; leave it out")
    if not names:
        return Table(file.stem, input, (), X, np.empty((len(X), 0)), origin, notices=tuple(notices))
    keep = of.isin(names).to_numpy()
    X, Y, of = X[keep], Y[keep], of[keep]
    X = X + 0.0  # -0.0 and 0.0 are one input
    # the count of earlier equal (series, x) tells repeated inputs of a series apart
    keys = pd.DataFrame({"x": X, "series": of.to_numpy()})
    repeat = keys.groupby(["series", "x"]).cumcount().to_numpy()
    rows, row = np.unique(np.column_stack([X, repeat]), axis=0, return_inverse=True)
    if len(rows) * len(names) > _LARGEST_TABLE:
        raise TableError(
            f"{len(names)} series on {len(rows)} distinct inputs make a table too large to hold; "
            "round the inputs or name fewer tasks"
        )
    wide = np.full((len(rows), len(names)), np.nan)
    column = pd.Categorical(of, categories=names).codes
    wide[row.ravel(), column] = Y
    return Table(file.stem, input, tuple(names), rows[:, 0], wide, origin, notices=tuple(notices))


def _check_names(names: Sequence[str], role: str = "columns") -> None:
    if role == "columns" and not any(names):
        raise TableError("has no columns with a name; its first line must name them")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise TableError(f"{role}: {twice!r} occurs twice; give every one a name of its own")


def _check_known(role: str, names: Sequence[str], known: Sequence[str], what: str = "column") -> None:
    present = set(known)
    for name in names:
        if name not in present or not name:
            close = difflib.get_close_matches(name, known[:MANY_COLUMNS], n=3)
            some = ", ".join(repr(n) for n in (close or [n for n in known[:8] if n]))
            hint = f"did you mean {some}?" if close else f"there are {some}{', ...' * (len(known) > 8)}"
            raise TableError(f"{role}: there is no {what} {name!r}; {hint}")


def _check_rows(frame: Frame) -> None:
    if len(frame) == 0:
        raise TableError("has a header but no rows; a fit needs at least one")


def _choose_input(head: Frame, notices: list[str]) -> str:
    names = [str(name) for name in head.columns]
    dates = [name for name in names if looks_like_dates(head[name])]
    if "x" in names:
        chosen, why = "x", "by its name"
    elif len(dates) == 1:
        chosen, why = dates[0], "the only one of dates"
    else:
        chosen, why = names[0], "the first"
    notices.append(f"took column {chosen!r} as the input ({why})")
    return chosen


def _inputs(values: Frame, name: str, origin: str | None) -> tuple[Array, str | None]:
    if looks_like_dates(values):
        try:
            return days_since(values, origin)
        except ValueError as error:
            raise TableError(f"input: column {name!r}: {error}") from None
    if origin is not None:
        raise TableError(
            f"input: column {name!r} must hold dates (YYYY-MM-DD), as days since {origin} are asked"
        )
    x = _numbers(values, name, "input")
    missing = np.flatnonzero(np.isnan(x))
    if len(missing):
        raise TableError(
            f"input: column {name!r} is empty in row {int(missing[0]) + 1}; fill it in or remove the row"
        )
    return x, None


def _labels(values: Frame, name: str) -> Array:
    y = _numbers(values, name, "tasks")
    if np.isnan(y).all():
        raise TableError(f"tasks: column {name!r} holds no number; leave it out")
    return y


def _numbers(values: Frame, name: str, role: str) -> Array:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values):
        read: Frame = pd.to_numeric(values, errors="coerce")
        wrong = np.flatnonzero((read.isna() & values.notna()).to_numpy())
        row = int(wrong[0]) if len(wrong) else 0
        remedy = "write dates as YYYY-MM-DD" if role == "input" else "leave it out or write numbers"
        raise TableError(
            f"{role}: column {name!r} holds {str(values.iloc[row])!r} in row {row + 1}, "
            f"which is no number; {remedy}"
        )
    # a NumPy column as it is, so that integers too large for float64 are seen
    plain = values.to_numpy() if isinstance(values.dtype, np.dtype) else values
    try:
        y = as_float_array(plain, f"{role}: column {name!r}", allow_nan=True)
    except (TypeError, ValueError) as error:
        raise TableError(str(error)) from None
    return y


def _number_columns(frame: Frame, names: Sequence[str], notices: list[str]) -> list[str]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    fit = [
        name
        for name in names
        if is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name]) and frame[name].notna().any()
    ]
    left = [name for name in names if name not in set(fit)]
    if left:
        notices.append(f"left out columns that hold no numbers: {_some(left)}")
    if not fit:
        raise TableError("tasks: no column beside the input holds numbers; a fit needs at least one")
    return fit


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
