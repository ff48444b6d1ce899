"""Vector-valued linear splines: what the one-input solvers work with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, Line
from ..dual_norm.knots import slope_changes
from ..network import ReLUNetwork
from ..points import Mask

Array = NDArray[np.float64]
_MISSED = 1e-11


@dataclass(frozen=True, eq=False)
class Spline:
    """f(x) = value + slope (x - origin) + sum_k V_k (x - location_k)_+, locations increasing."""

    origin: float
    value: Array
    slope: Array
    location: Array
    V: Array

    def pieces(self) -> tuple[Array, Array]:
        """(K + 1, T) values at the origin and at the knots, and (K + 1, T) slopes after them."""
        start = np.concatenate([[self.origin], self.location])
        slopes = np.cumsum(np.vstack([self.slope, self.V]), axis=0)
        steps = slopes[:-1] * np.diff(start)[:, None]
        return np.cumsum(np.vstack([self.value, steps]), axis=0), slopes

    def on(self, bins: Bins) -> Line:
        """The curve on bins that have no knot strictly inside."""
        start = np.concatenate([[self.origin], self.location])
        values, slopes = self.pieces()
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


def connect_the_dots(x: Array, values: Array, users: Mask | None = None) -> ReLUNetwork:
    """The network through `values` (n, T) at increasing x (n,), n >= 2 (A, section 3).

    Its neurons face away from the widest gap between inputs, so that steep bends among close
    inputs are never summed across it. Where `users` (n - 2, T) says who bends at which inner input the
    others pass straight through, values or no values, and the users aim as well as float64 can.
    """
    widest = int(np.argmax(np.diff(x)))
    facing = np.where(np.arange(1, len(x) - 1) <= widest, -1.0, 1.0)
    slope = (values[widest + 1] - values[widest]) / (x[widest + 1] - x[widest])
    value = values[widest] - x[widest] * slope

    def network(V: Array) -> ReLUNetwork:
        return ReLUNetwork(facing[:, None], 0.0 - facing * x[1:-1], V, slope[None, :], value)

    if users is None:
        plain = network(slope_changes(x, values))
        if np.abs(values - plain.predict(x)).max() <= _MISSED * np.abs(values).max():
            return plain
        users = np.ones((len(x) - 2, values.shape[1]), dtype=bool)
    V = np.empty((len(x) - 2, values.shape[1]))
    V[widest:] = _fed_back(x[widest + 1 :], values[widest + 1 :], slope, users[widest:])
    left = _fed_back(-x[widest::-1], values[widest::-1], -slope, users[:widest][::-1])
    V[:widest] = left[::-1]
    return network(V)


def _fed_back(x: Array, values: Array, slope: Array, users: Mask) -> Array:
    """Jumps of slope (n - 1, T) of the `users` at x_0 .. x_{n-2} that lead a line of `slope`, arriving at
    (x_0, values_0), through the values at their next jumps and at the end.

    A jump of 1e10 is rounded by 1e-6, and so is every later slope: each jump here aims at the
    next value from where the rounded sums, in the order in which `predict` takes them, have led.
    """
    jumps = np.zeros((max(len(x) - 1, 0), values.shape[1]))
    tasks = np.arange(values.shape[1])
    aims = np.where(users, np.arange(len(jumps))[:, None], len(jumps))
    aims = np.minimum.accumulate(np.vstack([aims, np.full_like(tasks, len(jumps))])[::-1])[::-1]
    bent, risen = np.zeros_like(slope), np.zeros_like(slope)
    for k in range(len(jumps)):
        aim = aims[k + 1]
        wanted = (values[aim, tasks] - (values[0] + risen)) / (x[aim] - x[k]) - slope - bent
        jumps[k] = np.where(users[k], wanted, 0.0)
        bent = bent + jumps[k]
        risen = risen + (slope + bent) * (x[k + 1] - x[k])
    return jumps
