"""The certified optimum of a table that does not fit in memory: one input, squared loss.

The loss of a piecewise-linear fit depends on the data between two knots by their count, means and spread
alone. So one pass gathers the moments of blocks of consecutive points; the solver and the branch and
bound of its certificate work on these, and read single points of those blocks only where a knot is
or could hide.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._table_files import TableError
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..scaling import TaskScaling
from ..solution import Status, TraceEntry
from ..solvers.blas import one_blas_thread
from ..solvers.centred import moved
from ..solvers.watch import Watch
from .blocks import Frame
from .optimum import Strength, fits_in_memory, optimum_in_memory, optimum_in_pieces
from .reading import Progress, Reader
from .sorting import sorted_rows
from .sources import open_source
from .survey import survey

Array = NDArray[np.float64]
MEMORY = 1 << 26


@dataclass(frozen=True, eq=False)
class FileFit:
    """A network fitted to a file, and what is proven of it.

    network : in data units.
    lam, lam_max : of the problem solved: the labels in task units. lam_max is 0 where they lie on lines.
    primal, dual, gap, relative_gap, rigour : of `Certificate`, in task units.
    status : why the solver stopped.
    scaling : Y = scale * Y_task + centre; the problem solved has Y_task.
    input_name, task_names : the columns; T of the latter.
    n_rows : of the file.
    n_points : distinct inputs with a label; n_labels (T,) the labels of each task.
    passes : rows read from the file, over all passes, over n_rows; with `sorted_rows` also those that
        were read from the sorted copy.
    sorted_rows : whether the rows had to be put in order of the input.
    seconds : spent on all of it.
    trace : the solver's rounds.
    """

    network: ReLUNetwork
    lam: float
    lam_max: float
    primal: float
    dual: float
    gap: float
    relative_gap: float
    rigour: Rigour
    status: Status
    scaling: TaskScaling
    input_name: str
    task_names: tuple[str, ...]
    n_rows: int
    n_points: int
    n_labels: NDArray[np.intp]
    passes: float
    sorted_rows: bool
    seconds: float
    trace: tuple[TraceEntry, ...] = ()


def solve_file(
    path: str | os.PathLike[str],
    *,
    input: str | int,
    tasks: Sequence[str] | Sequence[int] | None = None,
    lam: float | None = None,
    lam_ratio: float | None = None,
    tol: float = 1e-6,
    memory: int = MEMORY,
    scale: Literal["task", "none"] = "task",
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    scratch: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> FileFit:
    """min over networks of sum_it (y_it - f_t(x_i))^2 / 2 + lam sum_k |v_k| |w_k| (A (9)), the data read
    in pieces.

    As `solve` on the whole table. Two passes over the file, and parts of one in each round; where the
    rows are not in order of the input, one more and a sorted copy in a temporary file. A table that
    `memory` holds eight times is solved in memory.

    Parameters
    ----------
    path : a Parquet file (numbers and nulls), or a .npy file of shape (N, columns).
    input, tasks : columns by name, of a .npy file by index. When tasks is None: all other columns of
        numbers. Null and NaN are missing labels.
    lam, lam_ratio : one of them: the strength of weight decay > 0, or its share of lam_max.
    tol : stop when the relative gap is at most this.
    memory : bytes to be held of the data and of what is made of them, about; the libraries come on top.
    scale : "task" centres every task and divides it by its standard deviation; "none" takes labels as
        they are.
    max_rounds, max_seconds : stop there with the best network found and its certificate; the time is
        looked at between pieces of the first passes, and then between rounds.
    scratch : the folder for the sorted copy; the system's temporary folder when None.
    progress : called with a `Reading` after every piece of the first passes and with a `TraceEntry` every
        round; returning True stops.

    Raises
    ------
    TableError : for a file that is no such table, naming the column and row.
    ReadingStopped : where time or `progress` ends a first pass, when nothing can be returned yet.
    TypeError, ValueError, OSError : naming the argument.
    """
    _check_options(memory, scale)
    strength = _strength(lam, lam_ratio)
    watch = Watch(tol, max_rounds, max_seconds, progress)
    source = open_source(path, input, tasks)
    try:
        with one_blas_thread(), _scratch(scratch) as folder:
            reader = Reader(source, memory // 32, progress, max_seconds)
            return _fit(reader, strength, memory, scale, watch, folder)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def _fit(
    reader: Reader, strength: Strength, memory: int, scale: str, watch: Watch, folder: _Scratch
) -> FileFit:
    source = reader.source
    found = survey(reader)
    scaling = found.scaling if scale == "task" else TaskScaling.none(len(source.task_names))
    frame = Frame(scaling, found.partial, found.origin)
    ordered, n_distinct = reader, found.n_distinct
    if fits_in_memory(reader, memory):
        best = optimum_in_memory(reader, frame, strength, watch)
    else:
        if not found.in_order:
            rows, n_distinct = sorted_rows(reader, folder.path(), memory // 2)
            ordered = reader.onto(rows)
        best = optimum_in_pieces(ordered, frame, n_distinct, memory, strength, watch)
    proof = best.certificate
    done = proof.relative_gap <= watch.tol
    read = source.rows_read + (0 if ordered is reader else ordered.source.rows_read)
    return FileFit(
        scaling.to_data_units(moved(best.network, np.array([frame.origin]))),
        best.lam,
        best.lam_max,
        proof.primal,
        proof.dual,
        proof.gap,
        proof.relative_gap,
        proof.rigour,
        Status.OPTIMAL if done else watch.status or Status.STALLED,
        scaling,
        source.input_name,
        source.task_names,
        source.n_rows,
        best.n_points,
        found.n_labels,
        read / source.n_rows,
        ordered is not reader,
        time.monotonic() - watch.began,
        tuple(watch.trace),
    )


def _strength(lam: float | None, lam_ratio: float | None) -> Strength:
    """lam, or its share of lam_max; 1 where that is 0, as no lam > 0 needs a neuron there."""
    if (lam is None) == (lam_ratio is None):
        given = "neither" if lam is None else "both"
        raise ValueError(f"lam: give one of lam and lam_ratio, got {given}")
    for name, value in (("lam", lam), ("lam_ratio", lam_ratio)):
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.number)
            or not 0 < value < math.inf
        ):
            raise ValueError(f"{name}: must be a finite number > 0, got {value!r}")
    if lam is not None:
        strength = float(lam)
        return lambda largest: strength
    assert lam_ratio is not None
    ratio = float(lam_ratio)
    return lambda largest: ratio * largest if largest > 0 else 1.0


def _check_options(memory: int, scale: str) -> None:
    if isinstance(memory, bool) or not isinstance(memory, int | np.integer) or memory <= 0:
        raise ValueError(f"memory: must be a number of bytes > 0, got {memory!r}")
    if scale not in ("task", "none"):
        raise ValueError(f"scale: must be 'task' or 'none', got {scale!r}")


class _Scratch:
    """A temporary folder, made when it is asked for."""

    def __init__(self, parent: str | os.PathLike[str] | None) -> None:
        self.parent = parent
        self.made: tempfile.TemporaryDirectory[str] | None = None

    def path(self) -> Path:
        if self.made is None:
            self.made = tempfile.TemporaryDirectory(prefix="knotwork-", dir=self.parent)
        return Path(self.made.name)


@contextmanager
def _scratch(parent: str | os.PathLike[str] | None) -> Iterator[_Scratch]:
    folder = _Scratch(parent)
    try:
        yield folder
    finally:
        if folder.made is not None:
            folder.made.cleanup()
