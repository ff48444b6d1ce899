"""Files that are read in pieces: Parquet in row groups, and arrays of float64 rows."""

from __future__ import annotations

import difflib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._table_files import TableError, existing_table
from .._validate import as_float_array

Array = NDArray[np.float64]
# (first row, inputs (n,), labels (n, T))
Piece = tuple[int, Array, Array]
Ranges = Sequence[tuple[int, int]]
_BUFFER = 1 << 18


class Source(Protocol):
    """Rows of one input and T labels in a file.

    rows_read : rows taken from the file so far, over all passes.
    """

    input_name: str
    task_names: tuple[str, ...]
    n_rows: int
    rows_read: int

    def read(self, ranges: Ranges, most: int) -> Iterator[Piece]:
        """The rows of increasing `ranges` (from, to), in pieces of at most `most` rows of one range."""
        ...


def open_source(
    path: str | os.PathLike[str], input: str | int, tasks: Sequence[str] | Sequence[int] | None
) -> Source:
    """The source in a Parquet file or a .npy file.

    Raises
    ------
    TableError, TypeError, OSError : naming the file, what is wrong in it and the remedy.
    """
    file = existing_table(path)
    if isinstance(tasks, str):
        raise TypeError(f"tasks: must be a sequence of columns, got {tasks!r}; write [{tasks!r}]")
    with file.open("rb") as handle:
        magic = handle.read(6)
    try:
        if magic[:4] == b"PAR1":
            return ParquetSource(file, input, tasks)
        if magic == b"\x93NUMPY":
            return _npy_source(file, input, tasks)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    raise TableError(
        f"{path}: is neither Parquet nor .npy, which can be read in pieces; write it as Parquet, or use "
        "knotwork.read_table where it fits in memory"
    )


class ParquetSource:
    """A Parquet file, of which a part of a row group is decoded at a time."""

    def __init__(self, file: Path, input: str | int, tasks: Sequence[Any] | None) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise TableError(
                "Parquet needs the pyarrow package; run: pip install 'knotwork[parquet]'"
            ) from None
        try:
            self._file: Any = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
            fields = {str(field.name): field.type for field in self._file.schema_arrow}
        except (pa.ArrowException, OSError, ValueError) as error:
            raise TableError(f"is no whole Parquet file ({error}); write it anew") from None
        names = [str(name) for name in self._file.schema_arrow.names]
        if tasks is None:
            tasks = [name for name in names if name != input and _is_number(fields[name])]
        self.input_name, self.task_names = _columns(names, input, tasks)
        for role, name in [("input", self.input_name), *(("tasks", name) for name in self.task_names)]:
            if not _is_number(fields[name]) and not pa.types.is_boolean(fields[name]):
                remedy = "write dates as a number of days" if role == "input" else "leave it out"
                raise TableError(f"{role}: column {name!r} holds {fields[name]}, no numbers; {remedy}")
        metadata = self._file.metadata
        sizes = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
        self._group_ends = np.cumsum(sizes)
        self.n_rows, self.rows_read = int(sum(sizes)), 0

    def read(self, ranges: Ranges, most: int) -> Iterator[Piece]:
        names = [self.input_name, *self.task_names]
        starts, ends = [a for a, _ in ranges], [b for _, b in ranges]
        low = 0
        for group, high in enumerate(self._group_ends.tolist()):
            near = ranges[bisect_right(ends, low) : bisect_left(starts, high)]
            inside = [(max(a, low), min(b, high)) for a, b in near]
            if inside:
                batches = self._file.iter_batches(most, row_groups=[group], columns=names, use_threads=False)
                yield from self._pick(batches, inside, low)
            low = high

    def _pick(self, batches: Any, inside: Ranges, row: int) -> Iterator[Piece]:
        """The rows `inside` of a row group that begins at `row`."""
        last = inside[-1][1]
        for batch in batches:
            self.rows_read += len(batch)
            end = row + len(batch)
            for a, b in inside:
                a, b = max(a, row), min(b, end)
                if a < b:
                    yield (a, *self._floats(batch.slice(a - row, b - a)))
            row = end
            if row >= last:
                return

    def _floats(self, batch: Any) -> tuple[Array, Array]:
        Y = np.empty((len(batch), len(self.task_names)))
        for t, name in enumerate(self.task_names):
            Y[:, t] = _float_column(batch.column(name), name)
        return _float_column(batch.column(self.input_name), self.input_name), Y


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _float_column(column: Any, name: str) -> Array:
    """(n,) floats of an Arrow column, NaN where it is null."""
    import pyarrow as pa

    if column.type != pa.float64():
        try:
            if pa.types.is_float16(column.type):
                column = column.cast(pa.float32())
            # a safe cast, which integers too large for float64 do not pass
            column = column.cast(pa.float64())
        except pa.ArrowException as error:
            raise TableError(f"column {name!r} does not fit float64 ({error}); subtract an origin") from None
    # not column.to_numpy(), which imports pandas where it is installed: 40 MB
    here = slice(column.offset, column.offset + len(column))
    valid, data = column.buffers()
    if data is None:
        return np.full(len(column), np.nan)
    values = np.frombuffer(data, np.float64)[here]
    if column.null_count:
        seen = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")[here]
        return np.where(seen, values, np.nan)
    return values


class RowFile:
    """Rows of D numbers of one type, one after another from the byte `offset` on."""

    def __init__(
        self,
        file: Path,
        dtype: np.dtype[Any],
        offset: int,
        shape: tuple[int, int],
        chosen: NDArray[np.intp],
        names: tuple[str, tuple[str, ...]],
    ) -> None:
        self._path, self._dtype, self._offset, self._width = file, dtype, offset, shape[1]
        self._chosen = chosen
        self.input_name, self.task_names = names
        self.n_rows, self.rows_read = shape[0], 0

    def read(self, ranges: Ranges, most: int) -> Iterator[Piece]:
        width, chosen = self._width, self._chosen
        with self._path.open("rb") as handle:
            for a, b in ranges:
                for low in range(a, b, most):
                    n = min(most, b - low)
                    handle.seek(self._offset + low * width * self._dtype.itemsize)
                    # read, not mapped: pages of a map would count as memory that is held
                    rows = np.fromfile(handle, self._dtype, n * width).reshape(n, width)
                    self.rows_read += n
                    if self._dtype.kind in "iu":
                        rows = as_float_array(rows, "table")
                    yield low, rows[:, chosen[0]].astype(np.float64), rows[:, chosen[1:]].astype(np.float64)


def _npy_source(file: Path, input: str | int, tasks: Sequence[Any] | None) -> RowFile:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise TableError(f"is no array of numbers ({error}); save a two-dimensional float64 array") from None
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.flags.c_contiguous:
        raise TableError(
            f"holds an array of {array.dtype} and shape {array.shape}"
            f"{'' if array.flags.c_contiguous else ' in Fortran order'}; save numbers of shape "
            "(N, columns) in C order"
        )
    names = [str(k) for k in range(array.shape[1])]
    if tasks is None:
        tasks = [name for name in names if name != str(input)]
    named = _columns(names, str(input), [str(t) for t in tasks])
    chosen = np.array([names.index(name) for name in (named[0], *named[1])])
    return RowFile(file, array.dtype, array.offset, array.shape, chosen, named)


def _columns(names: Sequence[str], input: str | int, tasks: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
    """The input and the tasks, when the file has each of them once."""
    wanted = [("input", input), *(("tasks", task) for task in tasks)]
    for role, name in wanted:
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=3) or list(names[:8])
            raise TableError(
                f"{role}: there is no column {name!r}; there are {', '.join(map(repr, close))}"
                f"{', ...' if len(names) > len(close) else ''}"
            )
        if list(names).count(str(name)) > 1:
            raise TableError(f"{role}: column {name!r} occurs twice; give every one a name of its own")
    if len(tasks) == 0:
        raise TableError("tasks: none was chosen; a fit needs at least one")
    if input in tasks or len(set(tasks)) < len(tasks):
        raise TableError("tasks: a column is named twice, or is the input; name each once")
    return str(input), tuple(str(task) for task in tasks)
