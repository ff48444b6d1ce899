"""What a path looks at its data through: the knots of one lam, their fit, and its gap.

`path_bins.py` sees data in bins, refined where it matters; `path_points.py` sees every point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins
from ..certificate import Certificate, certify
from ..dual_norm import Rigour
from ..dual_norm.knots import row_norms
from ..network import ReLUNetwork
from ..points import Index, Points
from ..problem import Problem
from .spline import Spline

Array = NDArray[np.float64]
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Solved:
    """A network at lam: the points (K,) and masses (K,) of its knots, and its potential p (m, T) at
    the points `anchors` (m,)."""

    lam: float
    knots: Index
    masses: Array
    anchors: Index
    p: Array


@dataclass(frozen=True, eq=False)
class Proof:
    """The certificate of a network, and its potential p (m, T) at the points `anchors` (m,)."""

    certificate: Certificate
    anchors: Index
    p: Array


class View(ABC):
    """The knots of one lam, their masses, and what is known of their fit.

    `objective` and `gap` are those of the last proof, `grew` says whether it added knots.
    """

    def __init__(self, problem: Problem, points: Points, out_of_time: Callable[[], bool], bins: Bins) -> None:
        self.problem, self.points, self.out_of_time = problem, points, out_of_time
        total, moment, square = bins.residual_sums()
        self.labels = float(square.sum())
        bent = max(self.labels - float(bins.affine_part(total, moment).square.sum()), 0.0)
        self.no_gap = max(1e-14 * (points.scatter + 0.5 * bent), 1e-28 * self.labels)
        self.objective = self.gap = points.scatter + 0.5 * bent
        self.lam, self.masses, self.grew = 1.0, np.zeros(0), False

    def begin(self, lam: float, knots: Index, masses: Array, objective: float) -> None:
        """Go on to another lam with knots at the points `knots` (K,), increasing, their masses (K,),
        and about what the objective will be."""
        self.lam, self.masses = lam, masses
        self.objective = self.gap = objective
        self.grew = False

    @property
    @abstractmethod
    def knots(self) -> Index:
        """(K,) the knots as indices of the points."""

    @abstractmethod
    def fit(self, tol: float) -> ReLUNetwork:
        """The network of the present knots, finely enough for a relative gap of `tol` in the end;
        those of zero mass leave."""

    @abstractmethod
    def prove(self, network: ReLUNetwork, tol: float) -> Proof:
        """The certificate of a network with its knots at those of the view; while its gap is above
        `tol` knots are added."""

    @abstractmethod
    def settled(self) -> None:
        """The lam is done."""

    @abstractmethod
    def extended(self, last: Solved, before: Solved, ahead: float) -> tuple[Index, Array]:
        """Points (m,) and |p + ahead (p - p before)| (m,) there."""

    def spline_of(self, network: ReLUNetwork) -> Spline:
        start = float(self.points.x[0])
        return Spline(start, network.c + start * network.A[0], network.A[0], -network.b, network.V)

    def certificate(
        self, network: ReLUNetwork, primal: float, gap: float, worst: float | None
    ) -> Certificate:
        """`worst` is the place of the neuron that responds most."""
        relative = 0.0 if gap <= self.no_gap else gap / max(abs(primal), abs(primal - gap))
        problem = with_lam(self.problem, self.lam)
        return Certificate(
            primal,
            primal - gap,
            gap,
            relative,
            Rigour.EXACT,
            primal - gap,
            None if worst is None else np.array([1.0, -worst]),
            0.0,
            lambda: certify(problem, network).dual_point,
        )


@dataclass(frozen=True, eq=False)
class Gap:
    """Objective less the dual value at the residual, scaled so that the `largest` |p| becomes lam.

    `cost` (K,) and `response` (K,) of the neurons, `square` of the residual off its best line and
    `energy` of that line, `labels` the sum of their squares.
    """

    lam: float
    cost: Array
    response: Array
    square: float
    energy: float
    labels: float

    @classmethod
    def of(
        cls, view: View, network: ReLUNetwork, p: Array, square: float, energy: float, reach: float
    ) -> Gap:
        """At the potential p (K, T) of the knots, of which a line of at most `reach` is no part."""
        cost = row_norms(network.V)
        response = np.einsum("kt,kt->k", network.V, p) - reach * cost
        return cls(view.lam, cost, response, square, energy, view.labels)

    def __call__(self, largest: float) -> float:
        scale = self.lam / largest if largest > 0 else np.inf
        if self.square > _ROUNDING**2 * self.labels:
            scale = min(scale, max((float(self.response.sum()) + self.square) / self.square, 0.0))
        else:
            scale = min(scale, 1.0)
        terms = np.maximum(self.lam * self.cost - scale * self.response, 0.0)
        return float(terms.sum()) + 0.5 * ((1.0 - scale) ** 2 * self.square + self.energy)

    def primal(self, scatter: float) -> float:
        """The objective."""
        return scatter + 0.5 * (self.square + self.energy) + self.lam * float(self.cost.sum())

    def slack_for(self, gap: float) -> float:
        """By how much |p| may exceed lam at the optimum for no more than about `gap`."""
        linear = self.lam * float(self.cost.sum())
        return self.lam * 2.0 * gap / (linear + np.sqrt(linear * linear + 2.0 * self.square * gap))

    def largest_for(self, gap: float, low: float, high: float) -> float:
        """About the largest |p| that leaves no more than `gap`, between `low`, which does, and `high`."""
        for _ in range(6):
            middle = 0.5 * (low + high)
            if self(middle) <= gap:
                low = middle
            else:
                high = middle
        return low


def with_lam(problem: Problem, lam: float) -> Problem:
    """`problem.with_lam` without looking at all data again."""
    other = copy(problem)
    object.__setattr__(other, "lam", lam)
    return other
