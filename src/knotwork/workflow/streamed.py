"""From a file that is read in pieces to a certified fit of one input."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..datasets.columns import Columns
from ..scaling import TaskScaling
from ..streaming.reading import Progress, Reader
from ..streaming.solve_file import MEMORY, FileFit, solve_file
from ..streaming.sources import open_source
from ..tables import Table, TableError
from .extrapolation import Extrapolation, InputBox, check_extrapolation
from .fitting import PLAIN_RATIO
from .result import Knot, knots_of
from .units import Scale, Units

Array = NDArray[np.float64]
SHARE_OF_MEMORY = 0.1
_ENDINGS = (".parquet", ".pq", ".npy")
_MOST_ROWS = 6_000
_PIECE = 1 << 22


@dataclass(frozen=True, eq=False)
class FileFitResult:
    """A fit of a file that was read in pieces.

    fit : the network, what is proven of it, and how it was found.
    sample : rows of the file, evenly thinned: what a picture shows.
    box : of all inputs of the file.
    scale, extrapolation : what was asked for.
    seconds : spent on all of this.
    notices : what was chosen without being asked.
    """

    fit: FileFit
    sample: Table
    box: InputBox
    scale: Scale
    extrapolation: Extrapolation
    seconds: float
    notices: tuple[str, ...]

    @property
    def columns(self) -> Columns:
        return Columns.of(self.sample)

    @property
    def units(self) -> Units:
        return Units(self.fit.scaling, TaskScaling.none(1))

    @property
    def n_missing(self) -> int:
        """Labels of the file that are missing."""
        return self.fit.n_rows * len(self.fit.task_names) - int(self.fit.n_labels.sum())

    def knots(self) -> list[Knot]:
        """The bends, from left to right."""
        return knots_of(self.units.to_fit_units(self.fit.network), self.units, self.sample)


def is_large(path: str | os.PathLike[str]) -> bool:
    """Whether a file can be read in pieces and is larger than a tenth of this machine's memory."""
    file = Path(path)
    if file.suffix.lower() not in _ENDINGS or not file.is_file():
        return False
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        # a system that does not say
        return False
    return file.stat().st_size > SHARE_OF_MEMORY * memory


def fit_file(
    path: str | os.PathLike[str],
    *,
    input: str | None,
    tasks: Sequence[str] | None = None,
    lam: float | None = None,
    lam_ratio: float | None = None,
    scale: Scale = "task",
    extrapolation: Extrapolation = "linear",
    tol: float = 1e-8,
    memory: int = MEMORY,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> FileFitResult:
    """Fit a Parquet or .npy file without holding it: `solve_file`, and rows enough for a picture.

    Parameters
    ----------
    path, scale, tol, memory, max_seconds, progress : as in `solve_file`.
    input, tasks : columns by name; of a .npy file by their number, as text.
    lam, lam_ratio : at most one; with none lam_ratio 0.01, for nothing is cross-validated.
    extrapolation : as in `fit_table`.

    Raises
    ------
    TableError, ReadingStopped, TypeError, ValueError, OSError : as `solve_file`; without an input.
    """
    began = time.monotonic()
    check_extrapolation(extrapolation)
    large = "is larger than a tenth of the memory, so it " if is_large(path) else ""
    notices = [f"the file {large}was read in pieces; the picture shows evenly thinned rows"]
    if input is None:
        raise TableError(
            "input: a file that is read in pieces is not searched for one; name the input column"
        )
    if lam is None and lam_ratio is None:
        lam_ratio = PLAIN_RATIO
        notices.append(f"lam = {PLAIN_RATIO} lam_max: a file read in pieces is not cross-validated")
    # first, for a stop here loses nothing
    sample, box = _thinned(path, input, tasks, progress, max_seconds)
    left = None if max_seconds is None else max(max_seconds - (time.monotonic() - began), 1e-3)
    fit = solve_file(
        path,
        input=input,
        tasks=tasks,
        lam=lam,
        lam_ratio=lam_ratio,
        tol=tol,
        scale=scale,
        memory=memory,
        max_seconds=left,
        progress=progress,
    )
    return FileFitResult(fit, sample, box, scale, extrapolation, time.monotonic() - began, tuple(notices))


def _thinned(
    path: str | os.PathLike[str],
    input: str,
    tasks: Sequence[str] | None,
    progress: Progress | None,
    max_seconds: float | None,
) -> tuple[Table, InputBox]:
    """Every k-th row of a file, and the box of all inputs."""
    source = open_source(path, input, tasks)
    step = max(1, -(-source.n_rows // _MOST_ROWS))
    low, high = np.inf, -np.inf
    X, Y = [np.zeros(0)], [np.zeros((0, len(source.task_names)))]
    for row, x, y in Reader(source, _PIECE, progress, max_seconds).all_rows("picture"):
        inside = x[np.isfinite(x)]
        low, high = min(low, inside.min(initial=np.inf)), max(high, inside.max(initial=-np.inf))
        taken = slice(-row % step, None, step)
        X.append(x[taken])
        Y.append(y[taken])
    x, y = np.concatenate(X), np.concatenate(Y)
    # what is not usable is named, with its column and row, by the survey of the file
    usable = np.isfinite(x) & ~np.isinf(y).any(axis=1)
    table = Table(Path(path).stem, source.input_name, source.task_names, x[usable], y[usable])
    corners = (low, high) if low <= high else (0.0, 0.0)
    return table, InputBox(*(np.array([corner]) for corner in corners))
