"""Bins over points that stay in a file: whole blocks by their moments, the inside of blocks by reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, summarise
from ..points import Index, Points
from .blocks import PointStore

Array = NDArray[np.float64]
_COARSE = 10_000
_AT_ONCE = 1 << 14


class _Inputs:
    """x of the points of a store, as far as it is asked for: their number, the last, some of them."""

    def __init__(self, store: PointStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            if index in (-1, len(self) - 1):
                return self.store.blocks.last_x
            return float(self.store.inputs(np.array([index]))[0])
        return self.store.inputs(np.asarray(index, dtype=np.intp))


def streamed_points(store: PointStore) -> Points:
    """Points as `Bins` and the working set see them: x reads the file, y and w have shapes alone."""
    blocks = store.blocks
    n, n_tasks = blocks.n_points, blocks.n_tasks
    nothing = np.full((1, 1), np.nan)
    y = np.broadcast_to(nothing, (n, n_tasks))
    w = np.broadcast_to(nothing, (n, n_tasks if blocks.own else 1))
    return Points(cast(Array, _Inputs(store)), y, w, blocks.scatter)


class StreamedBins(Bins):
    """`Bins` over a store; a bin of more than a block consists of whole blocks."""

    def __init__(self, store: PointStore, coarse: int | None = None) -> None:
        self.store = store
        self.points = streamed_points(store)
        n = len(store)
        if coarse is None:
            coarse = min(max(_COARSE // store.blocks.n_tasks, 256), 1024)
        size = store.blocks.size
        while n > 2 * coarse * size:
            size *= 2
        self._tile(size)

    def children(self, chosen: Index) -> Iterator[tuple[Index, Bins]]:
        within = chosen[(self.size[chosen] > 1) & (self.size[chosen] <= self.store.blocks.size)]
        wanted = np.unique(self.start[within] // self.store.blocks.size)
        if 0 < len(wanted) <= self.store.capacity:
            # all of them in one sweep over the file, not one for every size
            self.store.load(wanted)
        yield from super().children(chosen)

    def _child_size(self, size: int) -> int:
        block = self.store.blocks.size
        child = super()._child_size(size)
        return child if size <= block else max(block, child // block * block)

    def _summary(self, starts: Index, size: int) -> list[Array]:
        block = self.store.blocks.size
        n = self.store.blocks.n_points
        if size >= block or (len(starts) == 1 and starts[0] % block == 0 and starts[0] + size == n):
            columns: list[Any] = [starts, np.full(len(starts), size)]
            return columns + self._merged(starts // block, -(-size // block))
        return self._read(starts, size)

    def _merged(self, first: Index, count: int) -> list[Array]:
        """x and the moments of runs of `count` blocks."""
        blocks = self.store.blocks
        if count == 1:
            return [blocks.x[first], *(column[first] for column in blocks.columns)]
        step = max(1, _AT_ONCE // count)
        parts = [
            _merge([column[rows] for column in blocks.columns])
            for low in range(0, len(first), step)
            for rows in [first[low : low + step, None] + np.arange(count)]
        ]
        if not parts:
            return [blocks.x[first], *(column[first] for column in blocks.columns)]
        return [blocks.x[first], *(np.concatenate(column) for column in zip(*parts, strict=True))]

    def _read(self, starts: Index, size: int) -> list[Array]:
        """x and the moments of parts of blocks."""
        of = starts // self.store.blocks.size
        out: list[list[Any]] = []
        for wanted in self.store.batches(np.unique(of)):
            loaded = self.store.load(wanted)
            inside = (of >= wanted[0]) & (of <= wanted[-1])
            ends = np.cumsum([len(points.x) for points in loaded])
            offset = np.concatenate([[0], ends[:-1]]) - wanted * self.store.blocks.size
            local = starts[inside] + offset[np.searchsorted(wanted, of[inside])]
            columns: list[Any] = summarise(_together(loaded), local, size)
            columns[0] = starts[inside]
            out.append(columns)
        return [np.concatenate(column) for column in zip(*out, strict=True)]


def _together(parts: list[Points]) -> Points:
    x = np.concatenate([part.x for part in parts])
    y = np.concatenate([part.y for part in parts])
    return Points(x, y, np.concatenate([cast(Array, part.w) for part in parts]))


def _merge(columns: list[Array]) -> list[Array]:
    """Moments (c, k, ...) of the k blocks of each of c runs, summed up (Chan, Golub, LeVeque 1983)."""
    weight, mean_x, mean_y, sxx, sxy, syy = columns
    total = weight.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    # about a block of the run, so that no digits are lost to a far origin
    origin_x, origin_y = mean_x[:, :1], mean_y[:, :1]
    dx, dy = mean_x - origin_x, mean_y - origin_y
    centre_x, centre_y = np.sum(weight * dx, axis=1) / safe, np.sum(weight * dy, axis=1) / safe
    dx -= centre_x[:, None]
    dy -= centre_y[:, None]
    square = weight * dy * dy
    if syy.shape[2] == 1 < square.shape[2]:
        square = square.sum(axis=2, keepdims=True)
    return [
        total,
        origin_x[:, 0] + centre_x,
        origin_y[:, 0] + centre_y,
        sxx.sum(axis=1) + np.sum(weight * dx * dx, axis=1),
        sxy.sum(axis=1) + np.sum(weight * dx * dy, axis=1),
        syy.sum(axis=1) + square.sum(axis=1),
    ]
