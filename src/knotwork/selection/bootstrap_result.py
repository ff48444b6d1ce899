"""What a bootstrap found: bands of predictions, intervals of bends, and where replicates bend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..network import ReLUNetwork, safe_row_norms
from ..solution import Solution
from .cells import bends_in, cells_of

Array = NDArray[np.float64]
Scheme = Literal["residual", "block"]
Kind = Literal["percentile", "basic"]

_MOST_PLACES = 500
_NEAR, _NEAR_DENSITY = 0.05, 0.01


class Band(NamedTuple):
    """Intervals around a fit.

    x : (n,) inputs.
    fit, low, high : (n, T) the fit that was bootstrapped, and the ends of its intervals.
    """

    x: Array
    fit: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class BendInterval:
    """One bend of a fit, and what the replicates make of it.

    place : in units of the input; the |jump|-weighted mean where it is several knots.
    strength : |sum of the jumps|, the total bend, in units of label per input.
    share : of the replicates, with a bend there.
    place_low, place_high : the interval of the place among those; NaN where there are none.
    strength_low, strength_high : that of the strength among all replicates, 0 where there is no bend.
    """

    place: float
    strength: float
    share: float
    place_low: float
    place_high: float
    strength_low: float
    strength_high: float


class BendDensity(NamedTuple):
    """Where the replicates bend.

    x : (n,) inputs.
    share : (n,) of the replicates, with a bend within `distance` of x.
    density : (n,) mean over replicates of sum |jump| within `distance` of x, over 2 `distance`.
    distance : in units of the input.
    """

    x: Array
    share: Array
    density: Array
    distance: float


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A fit, and fits to labels drawn anew, see `knotwork.bootstrap`.

    solution : the penalised fit.
    network : the fit whose errors are asked for: the solution's, or its refit.
    networks : the same of every replicate.
    relative_gaps : (B,) certified gaps of the replicates' penalised fits.
    scheme : "residual" or "block".
    block : consecutive rows drawn together; 1 under "residual".
    refit : whether the networks are least squares on the knots.
    inflation : (T,) by how much residuals were enlarged.
    seconds : spent on all of this.
    notices : what was stopped.
    """

    solution: Solution
    network: ReLUNetwork
    networks: tuple[ReLUNetwork, ...]
    relative_gaps: Array
    scheme: Scheme
    block: int
    refit: bool
    inflation: Array
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def n_replicates(self) -> int:
        return len(self.networks)

    def band(
        self,
        x: ArrayLike | None = None,
        *,
        level: float = 0.9,
        kind: Kind = "percentile",
        simultaneous: bool = False,
    ) -> Band:
        """Intervals of the predictions f_t(x), of the fit only: labels scatter about it by their own errors.

        With q_a the quantile a of the replicates' f*(x) and a = (1 - level) / 2:

            percentile    [q_a, q_(1-a)]
            basic         [2 f - q_(1-a), 2 f - q_a]
            simultaneous  m ± c s, m and s the replicates' mean and standard deviation at x; for each task
                          c is such that a share `level` of them lies within at all of x; "basic" mirrors
                          it at f too

        Weight decay shrinks, so f is off from the truth, and f* from f about as much again in the same
        direction: a percentile band lies around a fit of twice the bias. "basic" takes that off, as far as
        the two are alike; `bootstrap(refit=True)` has little of it to begin with.

        Parameters
        ----------
        x : (n,) inputs; the data's, or 500 evenly spaced where they are more, when None.
        level : between 0 and 1.

        Raises
        ------
        TypeError, ValueError : naming the argument.
        """
        ends = interval_ends(level)
        if kind not in ("percentile", "basic"):
            raise ValueError(f"kind: must be 'percentile' or 'basic', got {kind!r}")
        places = self._places(x)
        fit = self.network.predict(places)
        values = np.stack([network.predict(places) for network in self.networks])
        if simultaneous:
            mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
            size = np.divide(np.abs(values - mean), sd, out=np.zeros_like(values), where=sd > 0)
            width = np.quantile(size.max(axis=1), level, axis=0) * sd
            low, high = mean - width, mean + width
        else:
            low, high = np.quantile(values, ends, axis=0)
        if kind == "basic":
            low, high = 2.0 * fit - high, 2.0 * fit - low
        return Band(*(read_only(part) for part in (places, fit, low, high)))

    def bends(self, *, level: float = 0.9, distance: float | None = None) -> tuple[BendInterval, ...]:
        """Every bend of the fit, from left to right: does it come back, where, and how strong?

        Knots at neighbouring inputs whose jumps point the same way, v_k'v_l > 0, are one bend: one that
        lies between two inputs is two knots. A bend of a replicate belongs to the bend of the fit that
        is nearest, if at most `distance` away; all that belong to one are summed up.

        Intervals are percentiles. Weight decay makes bends weaker and moves them, mostly towards the middle
        of the data; a refit restores their strength, but not their place.

        Parameters
        ----------
        level : of the intervals, between 0 and 1.
        distance : in units of the input; a twentieth of the data's range when None.

        Raises
        ------
        TypeError, ValueError : naming the argument.
        """
        ends = interval_ends(level)
        reach = self._distance(distance, _NEAR)
        cells = cells_of(self.solution, reach)
        if len(cells.place) == 0:
            return ()
        own = bends_in(self.network, cells)
        places, strengths = (
            np.stack(part) for part in zip(*(bends_in(one, cells) for one in self.networks), strict=True)
        )
        found = []
        for k, place in enumerate(cells.place.tolist()):
            there = places[~np.isnan(places[:, k]), k]
            low, high = np.quantile(there, ends).tolist() if len(there) else (math.nan, math.nan)
            weak, strong = np.quantile(strengths[:, k], ends).tolist()
            share = len(there) / len(places)
            found.append(BendInterval(place, float(own[1][k]), share, low, high, weak, strong))
        return tuple(found)

    def density(self, x: ArrayLike | None = None, *, distance: float | None = None) -> BendDensity:
        """How often, and how strongly, the replicates bend about every input.

        Parameters
        ----------
        x : as in `band`.
        distance : in units of the input; a hundredth of the data's range when None.

        Raises
        ------
        TypeError, ValueError : naming the argument.
        """
        places, reach = self._places(x), self._distance(distance, _NEAR_DENSITY)
        share, total = np.zeros(len(places)), np.zeros(len(places))
        for network in self.networks:
            location, jump = network.knots
            first = np.searchsorted(location, places - reach)
            last = np.searchsorted(location, places + reach, side="right")
            summed = np.concatenate([[0.0], np.cumsum(safe_row_norms(jump))])
            share += last > first
            total += summed[last] - summed[first]
        many = self.n_replicates
        return BendDensity(places, read_only(share / many), read_only(total / (2.0 * reach * many)), reach)

    def _places(self, x: ArrayLike | None) -> Array:
        if x is None:
            distinct = np.unique(self.solution.problem.X[:, 0])
            if len(distinct) > _MOST_PLACES:
                distinct = np.linspace(distinct[0], distinct[-1], _MOST_PLACES)
            return distinct
        places = as_float_array(x, "x", copy=True)
        if places.ndim == 2 and places.shape[1] == 1:
            places = places[:, 0]
        if places.ndim != 1 or len(places) == 0:
            raise ValueError(f"x: must be (n,) inputs, got shape {places.shape}")
        return places

    def _distance(self, distance: float | None, share: float) -> float:
        if distance is None:
            return share * float(np.ptp(self.solution.problem.X)) or 1.0
        if isinstance(distance, bool) or not isinstance(distance, int | float | np.number):
            raise TypeError(f"distance: must be a number > 0, got {distance!r}")
        if not 0 < distance < math.inf:
            raise ValueError(f"distance: must be finite and > 0, got {distance!r}")
        return float(distance)


def interval_ends(level: float) -> Array:
    """(2,) the quantiles at the ends of an interval of that level.

    Raises
    ------
    TypeError, ValueError : for what is no level.
    """
    if isinstance(level, bool) or not isinstance(level, int | float | np.number):
        raise TypeError(f"level: must be a number between 0 and 1, got {level!r}")
    if not 0 < level < 1:
        raise ValueError(f"level: must be between 0 and 1, got {level!r}")
    return np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
