"""Vector-valued linear splines: what the one-input solvers work with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, Line
from ..dual_norm.knots import slope_changes
from ..network import ReLUNetwork

Array = NDArray[np.float64]
_CORRECTIONS = 2
_MISSED = 1e-11


@dataclass(frozen=True, eq=False)
class Spline:
    """f(x) = value + slope (x - origin) + sum_k V_k (x - location_k)_+, locations increasing."""

    origin: float
    value: Array
    slope: Array
    location: Array
    V: Array

    def on(self, bins: Bins) -> Line:
        """The curve on bins that have no knot strictly inside."""
        start = np.concatenate([[self.origin], self.location])
        slopes = self.slope + np.vstack([np.zeros_like(self.slope), np.cumsum(self.V, axis=0)])
        steps = slopes[:-1] * np.diff(start)[:, None]
        values = self.value + np.vstack([np.zeros_like(self.value), np.cumsum(steps, axis=0)])
        which = np.searchsorted(self.location, bins.x, side="right")
        slope = slopes[which]
        return Line(values[which] + slope * (bins.x - start[which])[:, None], slope)

    def network(self) -> ReLUNetwork:
        """One unit neuron per knot, all facing right."""
        return ReLUNetwork(
            np.ones((len(self.location), 1)),
            0.0 - self.location,
            self.V,
            self.slope[None, :],
            self.value - self.origin * self.slope,
        )


def connect_the_dots(x: Array, values: Array) -> ReLUNetwork:
    """The network through `values` (n, T) at increasing x (n,), n >= 2 (A, section 3).

    Its neurons face away from the widest gap between inputs, so that steep bends among close
    inputs are never summed across it.
    """
    widest = int(np.argmax(np.diff(x)))
    knots = x[1:-1]
    facing = np.where(np.arange(1, len(x) - 1) <= widest, -1.0, 1.0)
    origin, step = x[widest], x[widest + 1] - x[widest]

    def network(V: Array, value: Array, slope: Array) -> ReLUNetwork:
        return ReLUNetwork(facing[:, None], 0.0 - facing * knots, V, slope[None, :], value - origin * slope)

    V, value = slope_changes(x, values), values[widest]
    slope = (values[widest + 1] - value) / step
    for _ in range(_CORRECTIONS):
        # bends among close inputs leave rounding errors that grow outwards; a pass removes most,
        # and costs a little, so none is made for less than what counts as interpolation
        error = values - network(V, value, slope).predict(x)
        if np.abs(error).max() <= _MISSED * np.abs(values).max():
            break
        V = V + slope_changes(x, error)
        value = value + error[widest]
        slope = slope + (error[widest + 1] - error[widest]) / step
    return network(V, value, slope)
