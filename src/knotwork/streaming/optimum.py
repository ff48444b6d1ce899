"""The optimum of the rows of a file: in memory where they fit there several times, else in pieces."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._table_files import TableError
from ..bins import Bins
from ..certificate import Certificate
from ..certificate.moments import bound_residual
from ..certificate.record import assemble
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.one_input import Found, rounds, solve_one_input
from ..solvers.solve import lam_max, lam_max_on
from ..solvers.watch import Watch
from ..solvers.working_set import WorkingSet
from .blocks import Frame, PointStore, gather_blocks
from .reading import Reader
from .streamed_bins import StreamedBins

Array = NDArray[np.float64]
# lam from lam_max
Strength = Callable[[float], float]
_ATTEMPTS = 3
_COPIES = 8


@dataclass(frozen=True, eq=False)
class Optimum:
    """A network in the frame's units, what is proven of it, and of how many distinct inputs."""

    network: ReLUNetwork
    certificate: Certificate
    lam: float
    lam_max: float
    n_points: int


def fits_in_memory(reader: Reader, memory: int) -> bool:
    """Whether `memory` holds the rows as often as solving in memory may ask for."""
    return _COPIES * 8 * (1 + len(reader.source.task_names)) * reader.source.n_rows <= memory


def optimum_in_memory(reader: Reader, frame: Frame, strength: Strength, watch: Watch) -> Optimum:
    """By one more pass over the file, whose rows may have any order."""
    _, x, Y = zip(*reader.all_rows("moments"), strict=True)
    X, Y = np.concatenate(x) - frame.origin, frame.scaling.apply(np.concatenate(Y))
    problem = Problem(X, Y, 1.0, copy=False)
    largest = lam_max(problem)
    problem = problem.with_lam(strength(largest))
    solution = solve_one_input(problem, watch, None)
    n_points = len(np.unique(X[~np.all(np.isnan(Y), axis=1)]))
    return Optimum(solution.network, solution.certificate, problem.lam, largest, n_points)


def optimum_in_pieces(
    reader: Reader, frame: Frame, n_distinct: int, memory: int, strength: Strength, watch: Watch
) -> Optimum:
    """By one more pass over rows in order of `n_distinct` inputs, and parts of one in each round."""
    n_tasks = len(reader.source.task_names)
    size = _block_size(n_distinct, n_tasks, frame.own, memory // 4)
    blocks = gather_blocks(reader, frame, size, n_distinct)
    bins = StreamedBins(PointStore(reader, blocks, frame, memory // 8))
    _require_lines(bins, reader.source.task_names)
    largest = lam_max_on(bins)
    lam = strength(largest)
    best = _solve(bins, lam, watch)
    return Optimum(best.network, best.certificate, lam, largest, blocks.n_points)


def _solve(bins: StreamedBins, lam: float, watch: Watch) -> Found:
    """Rounds of the working set, the gap asked of them smaller where the certificate asks for more."""

    def certified(
        small: ReLUNetwork, alpha: Array | None, bins: Bins | None = None, polish: bool = True
    ) -> Found:
        assert bins is not None
        bound = bound_residual(copy(bins), small, lam, Penalty(), polish)
        primal, gap = bound.primal, bound.gap
        proof = assemble(primal, primal - gap, gap, bound.floor, bound.worst, _no_dual_point)
        return Found(small, proof, bound.peak)

    working = WorkingSet(bins.points, lam, watch.out_of_time, bins)
    best: Found | None = None
    tol = 0.5 * watch.tol
    for _ in range(_ATTEMPTS):
        found = rounds(working, tol, watch, False, certified)
        assert found is not None
        if best is None or found.certificate.gap < best.certificate.gap:
            best = found
        if best.certificate.relative_gap <= watch.tol or watch.status is not None:
            break
        tol *= 0.03
    assert best is not None
    return best


def _no_dual_point() -> Array:
    raise NotImplementedError("the dual point of a file has as many rows as the file and is not kept")


def _block_size(n_distinct: int, n_tasks: int, own: bool, memory: int) -> int:
    """The least power of 2 with which the moments of all blocks take no more than `memory` bytes."""
    patterns = n_tasks if own else 1
    most = max(64, memory // (8 * (2 + 3 * patterns + 2 * n_tasks)))
    size = 1
    while size * most < n_distinct:
        size *= 2
    return size


def _require_lines(bins: StreamedBins, names: tuple[str, ...]) -> None:
    """Raise where a task has all its labels at one input: no slope is determined by them."""
    weight = bins.weight.sum(axis=0)
    centre = np.sum(bins.weight * bins.mean_x, axis=0) / weight
    offset = bins.mean_x - centre
    spread = np.sum(bins.sxx + bins.weight * offset * offset, axis=0)
    single = np.flatnonzero(spread == 0)
    if len(single):
        name = names[int(single[0])]
        raise TableError(f"tasks: column {name!r} has labels at one input only; leave it out")
