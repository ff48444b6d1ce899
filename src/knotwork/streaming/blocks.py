"""The moments of blocks of consecutive points, held in memory; the points themselves stay in the file.

A point is a distinct input, with the mean of its labels; every block but the last has as many points.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..bins import summarise
from ..points import Index, Points
from ..scaling import TaskScaling
from .reading import Reader

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frame:
    """How rows are seen: labels scaled, inputs less `origin`; `own` where every task has its own weights."""

    scaling: TaskScaling
    own: bool
    origin: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows merged to points, and the row each begins at."""

    points: Points
    rows: Index

    def __len__(self) -> int:
        return len(self.rows)


class Merger:
    """Rows in order of x made points: labels scaled, rows without labels left out, equal inputs merged
    across pieces too. The last point is held back until a later input shows that it is whole."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.scatter = frame, 0.0
        self._held: Part | None = None

    def feed(self, row: int, x: Array, Y: Array) -> Part | None:
        """The points that are complete after these rows, the first of which is `row`."""
        scaling, own = self.frame.scaling, self.frame.own
        x, y = x - self.frame.origin, (Y - scaling.centre) / scaling.scale
        rows = np.arange(row, row + len(x))
        seen = ~np.isnan(y)
        if np.all(seen.ravel()):
            w = np.ones((len(x), y.shape[1] if own else 1), dtype=np.float64)
        else:
            # column by column: NumPy is slow over short rows
            some = reduce(np.logical_or, seen.T)
            if not some.all():
                x, y, rows, seen = x[some], y[some], rows[some], seen[some]
            if len(x) == 0:
                return None
            w = seen.astype(np.float64) if own else np.ones((len(x), 1))
        y[~seen] = 0.0
        if self._held is not None:
            one, first = self._held.points, self._held.rows
            x, y = np.concatenate([one.x, x]), np.concatenate([one.y, y])
            w, rows = np.concatenate([cast(Array, one.w), w]), np.concatenate([first, rows])
        points = Points.merged(x, y, w)
        self.scatter += points.scatter
        if len(points.x) < len(x):
            rows = rows[np.concatenate([[True], x[1:] > x[:-1]])]
        whole = Part(points, rows)
        self._held = _slice(whole, slice(-1, None))
        return _slice(whole, slice(0, -1)) if len(whole) > 1 else None

    def last(self) -> Part | None:
        """The point held back, at the end."""
        held, self._held = self._held, None
        return held


def _slice(part: Part, which: slice) -> Part:
    points = part.points
    w = cast(Array, points.w)
    return Part(Points(points.x[which], points.y[which], w[which]), part.rows[which])


def _joined(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    columns = zip(*((p.points.x, p.points.y, p.points.w, p.rows) for p in parts), strict=True)
    x, y, w, rows = (np.concatenate(column) for column in columns)
    return Part(Points(x, y, w), rows)


@dataclass(frozen=True, eq=False)
class Blocks:
    """The columns of `Bins` for every block of `size` points, and where its rows are.

    row : (m + 1,) the row each block begins at, and the end of the last.
    x, columns : of `Bins`; the columns are weight, mean_x, mean_y, sxx, sxy and syy.
    n_points, last_x, scatter : of all the data.
    own : of `Frame`.
    """

    size: int
    row: Index
    x: Array
    columns: list[Array]
    n_points: int
    last_x: float
    scatter: float
    own: bool

    def __len__(self) -> int:
        return len(self.x)

    @property
    def n_tasks(self) -> int:
        return self.columns[2].shape[1]


class _Gathering:
    """Blocks in the making: their columns filled in as far as `filled`, and points that wait for more."""

    def __init__(self, size: int, most: int, n_tasks: int, own: bool) -> None:
        self.size, self.filled, self.n_points = size, 0, 0
        patterns = n_tasks if own else 1
        widths = (patterns, patterns, n_tasks, patterns, n_tasks, patterns)
        self.row, self.x = np.empty(most + 1, dtype=np.intp), np.empty(most)
        self.columns = [np.empty((most, width)) for width in widths]
        self._waiting: list[Part] = []

    def add(self, part: Part) -> None:
        self.n_points += len(part)
        self._waiting.append(part)
        if sum(map(len, self._waiting)) >= self.size:
            whole = _joined(self._waiting)
            n = len(whole) // self.size * self.size
            self._append(whole, np.arange(0, n, self.size), self.size)
            self._waiting = [_slice(whole, slice(n, None))] if n < len(whole) else []

    def finish(self) -> None:
        """What waits becomes the last block."""
        if self._waiting:
            rest = _joined(self._waiting)
            self._append(rest, np.zeros(1, dtype=np.intp), len(rest))

    def _append(self, part: Part, firsts: Index, size: int) -> None:
        _, _, x, *columns = summarise(part.points, firsts, size)
        here = slice(self.filled, self.filled + len(firsts))
        self.row[here], self.x[here] = part.rows[firsts], x
        for whole, column in zip(self.columns, columns, strict=True):
            whole[here] = column
        self.filled = here.stop


def gather_blocks(reader: Reader, frame: Frame, size: int, n_distinct: int) -> Blocks:
    """One pass over rows in order of x, of no more than `n_distinct` distinct ones: the moments of every
    `size` points."""
    merger = Merger(frame)
    blocks = _Gathering(size, -(-n_distinct // size), frame.scaling.n_tasks, frame.own)
    for row, x, Y in reader.all_rows("moments"):
        part = merger.feed(row, x, Y)
        if part is not None:
            blocks.add(part)
    last = merger.last()
    assert last is not None
    blocks.add(last)
    blocks.finish()
    m = blocks.filled
    blocks.row[m] = reader.source.n_rows
    columns = [column[:m] for column in blocks.columns]
    last_x = float(last.points.x[-1])
    return Blocks(
        size, blocks.row[: m + 1], blocks.x[:m], columns, blocks.n_points, last_x, merger.scatter, frame.own
    )


class PointStore:
    """Points of single blocks, read from the file when they are asked for, the latest kept.

    room : bytes of points that may be kept.
    """

    def __init__(self, reader: Reader, blocks: Blocks, frame: Frame, room: int) -> None:
        self.reader, self.blocks, self.frame = reader, blocks, frame
        patterns = blocks.n_tasks if blocks.own else 1
        self.capacity = max(4, room // (8 * blocks.size * (2 + blocks.n_tasks + patterns)))
        self._kept: OrderedDict[int, Points] = OrderedDict()

    def __len__(self) -> int:
        return self.blocks.n_points

    def batches(self, wanted: Index) -> Iterator[Index]:
        """The increasing blocks `wanted` in batches that may be kept together."""
        for low in range(0, len(wanted), self.capacity):
            yield wanted[low : low + self.capacity]

    def load(self, wanted: Index) -> list[Points]:
        """The points of the increasing blocks `wanted`, no more than `capacity`, in one sweep."""
        missing = [b for b in wanted.tolist() if b not in self._kept]
        for b in wanted.tolist():
            if b in self._kept:
                self._kept.move_to_end(b)
        if missing:
            chosen = self._with_neighbours(missing, self.capacity - len(wanted))
            while len(self._kept) + len(chosen) > self.capacity:
                self._kept.popitem(last=False)
            self._kept.update(self._read(chosen))
            for b in wanted.tolist():
                self._kept.move_to_end(b)
        return [self._kept[b] for b in wanted.tolist()]

    def _with_neighbours(self, missing: list[int], room: int) -> list[int]:
        """With the blocks beside them while there is room: a row group is decoded as a whole, and knots
        move to neighbours."""
        chosen = set(missing)
        for away in range(1, 9):
            more = {b + s for b in missing for s in (-away, away)} - chosen - self._kept.keys()
            more = {b for b in more if 0 <= b < len(self.blocks)}
            if len(more) > room:
                break
            room -= len(more)
            chosen |= more
        return sorted(chosen)

    def _read(self, chosen: list[int]) -> Iterator[tuple[int, Points]]:
        row = self.blocks.row
        ends = {int(row[b + 1]): b for b in chosen}
        merger, parts = Merger(self.frame), []
        for low, x, Y in self.reader.ranges([(int(row[b]), int(row[b + 1])) for b in chosen]):
            parts.append(merger.feed(low, x, Y))
            block = ends.get(low + len(x))
            if block is not None:
                parts.append(merger.last())
                yield block, _joined([part for part in parts if part is not None]).points
                parts = []

    def inputs(self, index: Index) -> Array:
        """x of the points `index`."""
        size = self.blocks.size
        block, place = np.divmod(index, size)
        out = self.blocks.x[block]
        for chosen in self.batches(np.unique(block[place > 0])):
            for b, points in zip(chosen.tolist(), self.load(chosen), strict=True):
                here = block == b
                out[here] = points.x[place[here]]
        return out
