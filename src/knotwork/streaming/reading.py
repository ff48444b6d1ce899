"""What every pass over a file has in common: pieces of a size, a report, an end on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..solution import TraceEntry
from .sources import Piece, Ranges, Source


class ReadingStopped(RuntimeError):
    """The user, or max_seconds, ended a pass before there was anything to return."""


@dataclass(frozen=True)
class Reading:
    """How far a pass over the file has come.

    stage : "survey", "sort" or "moments".
    rows : read in this pass.
    n_rows : of the file.
    seconds : since `solve_file` began.
    """

    stage: str
    rows: int
    n_rows: int
    seconds: float


Progress = Callable[[Reading | TraceEntry], bool | None]


class Reader:
    """Passes over a source in pieces of about `piece_bytes`."""

    def __init__(
        self, source: Source, piece_bytes: int, progress: Progress | None, max_seconds: float | None
    ) -> None:
        self.source = source
        self.most = max(256, piece_bytes // (8 * (1 + len(source.task_names))))
        self._progress, self._max_seconds = progress, max_seconds
        self._began = time.monotonic()

    def onto(self, source: Source) -> Reader:
        """The same over another source."""
        other = Reader(source, 0, self._progress, self._max_seconds)
        other.most, other._began = self.most, self._began
        return other

    def ranges(self, ranges: Ranges) -> Iterator[Piece]:
        """The rows of `ranges`, which are increasing."""
        return self.source.read(ranges, self.most)

    def all_rows(self, stage: str) -> Iterator[Piece]:
        """One pass.

        Raises
        ------
        ReadingStopped : when the user or the time ends it.
        """
        n_rows = self.source.n_rows
        for row, x, Y in self.source.read([(0, n_rows)], self.most):
            yield row, x, Y
            self.report(stage, row + len(x))

    def report(self, stage: str, rows: int) -> None:
        """Tell the user; ReadingStopped when the user or the time ends the pass."""
        n_rows = self.source.n_rows
        seconds = time.monotonic() - self._began
        where = f"while reading the file ({stage}, row {rows} of {n_rows}), before anything could be fitted"
        if self._progress is not None and self._progress(Reading(stage, rows, n_rows, seconds)) is True:
            raise ReadingStopped(f"stopped on request {where}")
        if self._max_seconds is not None and seconds >= self._max_seconds and rows < n_rows:
            raise ReadingStopped(f"max_seconds={self._max_seconds:g} passed {where}; increase it")
