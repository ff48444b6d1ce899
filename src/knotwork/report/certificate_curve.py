"""The response of every unit neuron to a dual point, at enough neurons that no peak is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dual_norm.arcs import response_of, responses
from ..dual_norm.knots import row_norms
from ..solution import Solution

Array = NDArray[np.float64]
_GRID = 1440


@dataclass(frozen=True, eq=False)
class Curve:
    """|sum_i alpha_i relu(w x_i + b)| over unit neurons.

    name : which neurons.
    at : (m,) increasing: angles in [-pi/2, 3 pi/2] of (w, b), or knots in units of the input.
    value : (m,) the responses.
    """

    name: str
    at: Array
    value: Array

    @property
    def largest(self) -> float:
        """The dual norm: the best neuron of every arc is among the points."""
        return float(self.value.max())


def response_curves(solution: Solution) -> list[Curve]:
    """Responses to the dual point of `solution`: on a grid, at every input's breakpoint, and at the
    best neuron between any two of these.

    Penalised biases have one curve, over angles. Free ones have one over knots, and where there is no
    skip connection a second one, for neurons facing left (else both respond alike).
    """
    x, alpha = _sorted_data(solution)
    if solution.problem.penalty.biases:
        found = responses(x, alpha, biases=True)
        grid = np.linspace(-0.5 * np.pi, 1.5 * np.pi, _GRID + 1)
        theta = np.concatenate([grid, -np.arctan(x), np.pi - np.arctan(x)])
        value = row_norms(response_of(x, alpha, np.cos(theta), np.sin(theta)))
        theta = np.concatenate([theta, angle_of(found.neurons)])
        return [_sorted_curve("any neuron", theta, np.concatenate([value, found.values]))]
    # responses do not change where all inputs and knots are shifted, for sum alpha = 0
    middle = 0.5 * (x[0] + x[-1])
    x = x - middle
    found = responses(x, alpha, biases=False)
    margin = 0.05 * float(x[-1] - x[0]) or 1.0
    grid = np.linspace(x[0] - margin, x[-1] + margin, _GRID + 1)
    curves = []
    for side, name in ((1.0, "facing right"), (-1.0, "facing left")):
        faces = found.neurons[:, 0] == side
        value = row_norms(response_of(x, alpha, np.full(len(grid), side), -side * grid))
        knots = np.concatenate([grid, -side * found.neurons[faces, 1]])
        value = np.concatenate([value, found.values[faces]])
        curves.append(_sorted_curve(name, knots + middle, value))
    return curves if solution.problem.penalty.skip == "none" else [_renamed(curves[0], "any neuron")]


def active_neurons(solution: Solution) -> tuple[Array, Array, Array]:
    """Of every neuron of the network, merged where equal: its angle or knot, as in `response_curves`,
    the response of the unit neuron there, and what the neuron costs; each (K,)."""
    penalty = solution.problem.penalty
    network = solution.network.canonicalise(penalty)
    cost = network.neuron_costs(penalty)
    x, alpha = _sorted_data(solution)
    w, b = network.W[:, 0], network.b
    if penalty.biases:
        return angle_of(np.column_stack([w, b])), row_norms(response_of(x, alpha, w, b)), cost
    middle = 0.5 * (x[0] + x[-1])
    return -b / w, row_norms(response_of(x - middle, alpha, w, b + w * middle)), cost


def angle_of(neurons: Array) -> Array:
    """(K,) theta in [-pi/2, 3 pi/2) of neurons (w, b) = r (cos theta, sin theta), rows of (K, 2)."""
    theta = np.arctan2(neurons[:, 1], neurons[:, 0])
    return np.where(theta < -0.5 * np.pi, theta + 2.0 * np.pi, theta)


def _sorted_data(solution: Solution) -> tuple[Array, Array]:
    x = solution.problem.X[:, 0]
    order = np.argsort(x, kind="stable")
    return x[order], solution.certificate.dual_point[order]


def _sorted_curve(name: str, at: Array, value: Array) -> Curve:
    order = np.argsort(at, kind="stable")
    return Curve(name, at[order], value[order])


def _renamed(curve: Curve, name: str) -> Curve:
    return Curve(name, curve.at, curve.value)
