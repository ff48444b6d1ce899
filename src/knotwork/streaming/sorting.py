"""Rows put in order of x outside memory: sorted runs in one file, merged into another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .reading import Reader
from .sources import RowFile

Array = NDArray[np.float64]


def sorted_rows(reader: Reader, folder: Path, memory: int) -> tuple[RowFile, int]:
    """The rows of a source in order of x, in a file of `folder`, and how many distinct inputs they
    have. The folder takes twice the rows' bytes while they are merged, and once afterwards.

    Raises
    ------
    OSError : when the folder has not enough room.
    """
    source = reader.source
    width = 1 + len(source.task_names)
    _require_room(folder, 2 * 8 * width * source.n_rows)
    runs_file, rows_file = folder / "runs", folder / "rows"
    # a run, its order, and the run in order are held at once
    ends = _write_runs(reader, runs_file, max(reader.most, memory // (3 * 8 * width)))
    n_distinct, last = 0, np.nan
    with rows_file.open("wb") as out:
        each = max(16, memory // (3 * 8 * width * len(ends)))
        written = 0
        for rows in _merged(runs_file, ends, width, each):
            n_distinct += int(np.count_nonzero(np.diff(rows[:, 0], prepend=last)))
            last = float(rows[-1, 0])
            rows.tofile(out)
            written += len(rows)
            reader.report("sort", written)
    runs_file.unlink()
    names = (source.input_name, source.task_names)
    dtype, shape = np.dtype(np.float64), (source.n_rows, width)
    return RowFile(rows_file, dtype, 0, shape, np.arange(width), names), n_distinct


def _write_runs(reader: Reader, file: Path, run_rows: int) -> list[int]:
    """Sorted runs of about `run_rows` rows; where each ends."""
    ends: list[int] = []
    held: list[Array] = []
    count = written = 0

    with file.open("wb") as out:

        def flush() -> None:
            nonlocal held, count, written
            rows = np.concatenate(held)
            held = []
            rows[np.argsort(rows[:, 0], kind="stable")].tofile(out)
            written += count
            count = 0
            ends.append(written)

        for _, x, Y in reader.all_rows("sort"):
            held.append(np.column_stack([x, Y]))
            count += len(x)
            if count + reader.most > run_rows:
                flush()
        if count:
            flush()
    return ends


def _merged(file: Path, ends: list[int], width: int, each: int) -> Iterator[Array]:
    """The rows of all runs in order; `each` rows of every run are held."""
    at = [0, *ends[:-1]]
    held = [np.empty((0, width)) for _ in ends]
    with file.open("rb") as handle:
        while True:
            for k, end in enumerate(ends):
                if len(held[k]) == 0 and at[k] < end:
                    n = min(each, end - at[k])
                    handle.seek(8 * width * at[k])
                    held[k] = np.fromfile(handle, np.float64, n * width).reshape(n, width)
                    at[k] += n
            # beyond the least of the last rows held, a run may have more that come before
            upto = min((rows[-1, 0] for k, rows in enumerate(held) if at[k] < ends[k]), default=np.inf)
            taken = []
            for k, rows in enumerate(held):
                n = int(np.searchsorted(rows[:, 0], upto, side="right"))
                taken.append(rows[:n])
                held[k] = rows[n:]
            part = np.concatenate(taken)
            if len(part) == 0:
                return
            yield part[np.argsort(part[:, 0], kind="stable")]


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"scratch: sorting needs {needed / 2**30:.3g} GiB in {folder}, which has {free / 2**30:.3g} GiB "
            "free; name another folder, or write the file in order of its input"
        )
