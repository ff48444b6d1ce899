"""Slopes of given signs: the multipliers that a network which keeps them suggests for the dual point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..points import Index, Mask
from .knot_penalty import KnotPenalty, Places

Array = NDArray[np.float64]
_ROUNDING = 64.0 * float(np.finfo(float).eps)
_SWEEPS = 3
_BISECTIONS = 40
_NARROW = 1e-6


def slopes_of(network: ReLUNetwork) -> tuple[Array, Array]:
    """(K + 1, T) slopes before, between and after the knots, and (T,) what rounding may do to them."""
    w = network.W[:, 0]
    first = network.A[0] + w[w < 0] @ network.V[w < 0]
    slopes = np.cumsum(np.vstack([first, network.knots.jump]), axis=0)
    return slopes, _ROUNDING * (np.abs(network.A[0]) + np.abs(w) @ np.abs(network.V))


def slope_multipliers(places: Places, penalty: KnotPenalty, network: ReLUNetwork, e: Array) -> Array:
    """(n - 1, T) >= 0 for the slopes between neighbouring places, 0 where a slope is not 0.

    Along a run of places where a held task stands still, from one knot of it to the next, their sum is what
    takes the potential of the residual e (n, T), root times label less fit, to the gradient of the penalty
    at those knots. Within the run they are spread so that the potential leaves the room that the other tasks
    leave it by the smallest factor.
    """
    out = np.zeros((len(places.x) - 1, network.n_tasks))
    if not penalty.direction.any():
        return out
    p = places.potential(places.root * e)
    location, jump = network.knots
    at = np.clip(np.searchsorted(places.x, location), 0, len(out))
    met = places.x[at] == location
    wanted = np.zeros_like(p)
    wanted[at[met]] = penalty.marginal(jump[met])
    wanted[places.forced] = 0.0
    slopes, rounding = slopes_of(network)
    before = np.searchsorted(location, places.x[:-1], side="right")
    straight = before == np.searchsorted(location, places.x[1:], side="left")
    held = np.flatnonzero(penalty.direction)
    for _ in range(_SWEEPS if len(held) > 1 else 1):
        for t in held:
            q = penalty.shrink(places.potential(places.root * e, penalty.direction * out))
            q[:, t] = 0.0
            square = penalty.lam**2 - np.einsum("nt,nt->n", q, q)
            room = np.sqrt(np.maximum(square, (_NARROW * penalty.lam) ** 2))
            room[~places.open] = np.inf
            bounds = [bound[t] + room for bound in penalty.bounds]
            above, below = bounds if penalty.direction[t] > 0 else bounds[::-1]
            still = straight & (np.abs(slopes[before, t]) <= rounding[t])
            for first, last in _runs(still, places.forced):
                run = slice(first, last + 1)
                rise = penalty.direction[t] * (p[run, t] - p[first, t] + wanted[first, t])
                total = max(rise[-1] - penalty.direction[t] * wanted[last, t], 0.0)
                out[first:last, t] = _evenest(rise, total, above[run], below[run])
    return out


def _runs(still: Mask, forced: Index) -> list[tuple[int, int]]:
    """First and last places of the runs of `still` (n - 1,); where a free knot is, one ends."""
    edges = np.diff(still, prepend=False, append=False)
    edges[forced] |= still[forced]
    starts, ends = edges.copy(), edges.copy()
    starts[:-1] &= still
    starts[-1] = False
    ends[1:] &= still
    ends[0] = False
    return list(zip(np.flatnonzero(starts).tolist(), np.flatnonzero(ends).tolist(), strict=True))


def _evenest(rise: Array, total: float, above: Array, below: Array) -> Array:
    """The steps of a non-decreasing curve from 0 to `total` that `rise` exceeds by at most s times `above`
    and falls short of by at most s times `below`, with the least s."""
    # wider than all is wide enough
    widest = float(np.ptp(rise)) + total
    above, below = np.minimum(above, widest), np.minimum(below, widest)
    low, high = 0.0, widest / max(min(above.min(), below.min()), np.finfo(float).tiny)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        lowest, highest = _between(rise, middle * above, middle * below)
        if np.all(lowest <= highest):
            high = middle
        else:
            low = middle
    lowest, highest = (np.clip(one, 0.0, total) for one in _between(rise, high * above, high * below))
    curve = 0.5 * (lowest + highest)
    curve[0], curve[-1] = 0.0, total
    return np.diff(curve)


def _between(rise: Array, above: Array, below: Array) -> tuple[Array, Array]:
    """The lowest and the highest non-decreasing curve between `rise - above` and `rise + below`."""
    return np.maximum.accumulate(rise - above), np.minimum.accumulate((rise + below)[::-1])[::-1]
