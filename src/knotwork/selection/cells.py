"""The bends of a fit, and the stretch of input that belongs to each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork, safe_row_norms
from ..solution import Solution

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """place : (M,) of each bend; low, high : (M,) the ends of its stretch, the lower one left out."""

    place: Array
    low: Array
    high: Array


def cells_of(solution: Solution, reach: float) -> Cells:
    """Knots at neighbouring inputs that bend the same way as one bend each, and what is nearest to it
    within `reach`."""
    location, jump = solution.network.knots
    if len(location) == 0:
        return Cells(location, location, location)
    x = np.unique(solution.problem.X[:, 0])
    apart = np.diff(np.searchsorted(x, location)) > 1
    against = np.einsum("kt,kt->k", jump[1:], jump[:-1]) <= 0
    first = np.flatnonzero(np.concatenate([[True], apart | against]))
    last = np.append(first[1:], len(location)) - 1
    size = safe_row_norms(jump)
    place = np.add.reduceat(size * location, first) / np.add.reduceat(size, first)
    middle = 0.5 * (location[last[:-1]] + location[first[1:]])
    low = np.maximum(
        np.minimum(place - reach, np.nextafter(location[first], -np.inf)), np.append(-np.inf, middle)
    )
    high = np.minimum(np.maximum(place + reach, location[last]), np.append(middle, np.inf))
    return Cells(place, low, high)


def bends_in(network: ReLUNetwork, cells: Cells) -> tuple[Array, Array]:
    """(M,) the |jump|-weighted mean place of the knots in each cell, NaN where there are none, and
    (M,) the length of the sum of their jumps."""
    location, jump = network.knots
    place, strength = np.full(len(cells.place), np.nan), np.zeros(len(cells.place))
    size = safe_row_norms(jump)
    first = np.searchsorted(location, cells.low, side="right")
    last = np.searchsorted(location, cells.high, side="right")
    for k in np.flatnonzero(last > first).tolist():
        there = slice(first[k], last[k])
        place[k] = np.average(location[there], weights=size[there])
        strength[k] = np.linalg.norm(jump[there].sum(axis=0))
    return place, strength
