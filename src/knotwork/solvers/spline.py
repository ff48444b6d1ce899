"""Vector-valued linear splines: what the one-input solvers work with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, Line
from ..dual_norm.knots import slope_changes
from ..network import ReLUNetwork

Array = NDArray[np.float64]
_CORRECTIONS = 2


@dataclass(frozen=True, eq=False)
class Spline:
    """f(x) = value + slope (x - origin) + sum_k V_k (x - location_k)_+, locations increasing."""

    origin: float
    value: Array
    slope: Array
    location: Array
    V: Array

    @classmethod
    def through(cls, x: Array, values: Array) -> Spline:
        """Connect the dots `values` (n, T) at increasing x (n,), n >= 2 (A, section 3)."""
        slope = (values[1] - values[0]) / (x[1] - x[0])
        spline = cls(float(x[0]), values[0], slope, x[1:-1], slope_changes(x, values))
        for _ in range(_CORRECTIONS):
            # steep neighbours leave rounding errors that grow with x; each pass removes most of them
            error = values - spline.network().predict(x)
            slope = (error[1] - error[0]) / (x[1] - x[0])
            spline = replace(
                spline,
                value=spline.value + error[0],
                slope=spline.slope + slope,
                V=spline.V + slope_changes(x, error),
            )
        return spline

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
        """One unit neuron per knot."""
        return ReLUNetwork(
            np.ones((len(self.location), 1)),
            0.0 - self.location,
            self.V,
            self.slope[None, :],
            self.value - self.origin * self.slope,
        )
