"""Networks of one input as the piecewise linear functions that paper A's figures draw, and what the
experiments on them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork, safe_row_norms
from ..solvers.spline import connect_the_dots
from .records import Record

Array = NDArray[np.float64]
Flags = NDArray[Any]

# the five points of one task, for A's Figs. 1 and 4: its slopes fall at every inner point, so that all of its
# slope changes are aligned
FIVE_X = (-1.0, -0.5, 0.0, 0.5, 1.0)
FIVE_Y = (-0.5, 0.5, 0.8, 0.6, -0.2)
# places of a knot more, as shares of its interval
SHARES = (0.2, 0.5, 0.8)
_ROUNDING = 1e-9


def from_slopes(places: ArrayLike, slopes: ArrayLike, at: float, value: ArrayLike) -> ReLUNetwork:
    """f with f(at) = value (T,) and slope `slopes[k]` (K + 1, T) between places[k - 1] and places[k]."""
    knots, slope = np.asarray(places, dtype=float), np.asarray(slopes, dtype=float)
    W = np.ones((len(knots), 1))
    through_zero = ReLUNetwork(W, -knots, np.diff(slope, axis=0), slope[:1], np.zeros(slope.shape[1]))
    shift = np.asarray(value, dtype=float) - through_zero.predict([at])[0]
    return ReLUNetwork(W, -knots, through_zero.V, slope[:1], shift)


def mixture(networks: Sequence[ReLUNetwork], shares: Sequence[float]) -> ReLUNetwork:
    """sum_j share_j f_j, by the neurons of all of them."""
    pairs = list(zip(networks, shares, strict=True))
    return ReLUNetwork(
        np.vstack([one.W for one, _ in pairs]),
        np.concatenate([one.b for one, _ in pairs]),
        np.vstack([share * one.V for one, share in pairs]),
        sum(share * one.A for one, share in pairs),  # type: ignore[arg-type]
        sum(share * one.c for one, share in pairs),  # type: ignore[arg-type]
    )


def bent_between(x: Array, Y: Array, i: int, share: float, delta: Array) -> ReLUNetwork:
    """Connect the dots, but with one more knot at x_i + share (x_{i+1} - x_i), i from 0: the slope before
    it is larger by `delta` (T,), as in A, Fig. 3. Before x_1 f goes on with that slope, too (Fig. 6)."""
    place = x[i] + share * (x[i + 1] - x[i])
    slope = (Y[i + 1] - Y[i]) / (x[i + 1] - x[i])
    height = Y[i] + (place - x[i]) * (slope + delta)
    return connect_the_dots(np.insert(x, i + 1, place), np.insert(Y, i + 1, height, axis=0))


def angles(u: Array, v: Array) -> Array:
    """(m,) radians between the rows of u and v (m, T), to full accuracy near 0; NaN where one is 0."""
    nu, nv = safe_row_norms(u), safe_row_norms(v)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = u / nu[:, None], v / nv[:, None]
    return 2.0 * np.arctan2(safe_row_norms(a - b), safe_row_norms(a + b))


def least_rise(x: Array, Y: Array, i: int, share: float, rng: np.random.Generator) -> float:
    """The least rise of R, over |delta|, of a knot more between x_i and x_{i+1} (from 0): for the delta that
    costs least to first order, and for directions at random; delta is small beside the bends next to it."""
    straight = connect_the_dots(x, Y)
    around = np.zeros((2, Y.shape[1]))
    slopes = np.diff(Y, axis=0) / np.diff(x)[:, None]
    if i > 0:
        around[0] = slopes[i] - slopes[i - 1]
    if i < len(x) - 2:
        around[1] = slopes[i + 1] - slopes[i]
    size = safe_row_norms(around)
    flat = size <= _ROUNDING * float(np.abs(slopes).max(initial=0.0))
    weight = np.array([1.0 - share, share])
    unit = np.where(flat[:, None], 0.0, around / np.where(flat, 1.0, size)[:, None])
    room = np.where(flat, np.inf, size * np.array([1.0, (1.0 - share) / share]))
    length = 0.3 * (float(room.min()) if np.isfinite(room.min()) else 1.0)
    found = []
    for u in (-(weight @ unit), *rng.standard_normal((4, Y.shape[1]))):
        if not u.any():
            continue
        delta = length * u / np.linalg.norm(u)
        bent = bent_between(x, Y, i, share, delta)
        found.append((bent.canonicalise().cost() - straight.cost()) / length)
    return min(found)


def bent_labels(x: Array, jumps: Array, rng: np.random.Generator | None) -> Array:
    """Labels whose connect the dots has these bends, beside a random line."""
    Y = np.maximum(x[:, None] - x[1:-1], 0.0) @ jumps
    return Y if rng is None else Y + np.outer(x - x[0], rng.standard_normal(Y.shape[1]))


def joined(records: Sequence[Record]) -> Mapping[str, NDArray[Any]]:
    """The arrays of all records, one after another."""
    return {name: np.concatenate([record[name] for record in records]) for name in records[0].arrays}


def same_by_set(data_set: Array, found: Flags, said: Flags) -> bool:
    """Whether some interval of a data set is open exactly where it is said not to be unique."""
    return all(found[data_set == k].any() == said[data_set == k].any() for k in np.unique(data_set))
