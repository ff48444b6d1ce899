"""A path that looks at every data point: one pass shows the potential everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from ..bins import Bins, moments_factor
from ..network import ReLUNetwork
from ..points import Index, Points
from ..problem import Problem
from .path_view import Gap, Proof, Solved, View
from .spline import Spline
from .working_set import fit_masses, new_peaks

Array = NDArray[np.float64]
_BLOCK = 32


class PointView(View):
    """Knots are points, and nothing is hidden between those."""

    def __init__(self, problem: Problem, points: Points, out_of_time: Callable[[], bool], bins: Bins) -> None:
        super().__init__(problem, points, out_of_time, bins)
        self.w = np.ones((len(points.x), 1)) if points.w is None else points.w.astype(np.float64)
        self.y = np.ascontiguousarray(np.where(self.w > 0, points.y, 0.0))
        offset = (points.x - points.x[0])[:, None]
        self.sums = self.w.sum(axis=0)
        self.first = np.sum(self.w * offset, axis=0) / self.sums
        self.second = np.sum(self.w * (offset - self.first) ** 2, axis=0)
        self.blocks = _kernels.block_moments(points.x, self.y, self.w, _BLOCK)
        self._anchors = np.arange(len(points.x))
        self._knots: Index = np.zeros(0, dtype=np.intp)

    @property
    def knots(self) -> Index:
        return self._knots

    def begin(self, lam: float, knots: Index, masses: Array, objective: float) -> None:
        super().begin(lam, knots, masses, objective)
        self._knots = knots

    def fit(self, tol: float) -> ReLUNetwork:
        x, start = self.points.x, np.concatenate([[0], self._knots])
        moments = _kernels.segment_moments(x, self.y, self.w, start, _BLOCK, self.blocks)
        table = moments_factor(x[self._knots] - x[0], *moments)
        loose = 0.01 * self.gap if self.grew else 0.0
        fine = 0.05 * tol * self.objective
        masses, V, free = fit_masses(table, self.lam, self.masses, fine, loose, self.out_of_time)
        alive = masses > 0
        self._knots, self.masses = self._knots[alive], masses[alive]
        return Spline(x[0], free[0], free[1], x[self._knots], V[alive]).network()

    def prove(self, network: ReLUNetwork, tol: float) -> Proof:
        lam, knots, x = self.lam, self._knots, self.points.x
        start, (value, slope) = np.concatenate([[0], knots]), self.spline_of(network).pieces()
        p, norms = np.empty_like(self.y), np.empty(len(x))
        square, total, rise = _kernels.potential(x, self.y, self.w, start, value, slope, p, norms)
        span = float(x[-1] - x[0])
        tilt = total * (span - self.first) - rise
        steep = np.divide(tilt, self.second, out=np.zeros_like(tilt), where=self.second > 0)
        energy = float(np.sum(total * total / self.sums + steep * tilt))
        # what |p| of the best line through the residual cannot exceed (Cauchy-Schwarz)
        reach = span * float(np.sqrt(energy * self.sums.max()))
        square = max(square - energy, 0.0)
        if reach > 1e-3 * tol * lam:
            # the dual point must be orthogonal to the free parts: take that line off the residual
            value += total / self.sums + steep * ((x[start] - x[0])[:, None] - self.first)
            square, _, _ = _kernels.potential(x, self.y, self.w, start, value, slope + steep, p, norms)
            reach = 0.0
        gap_at = Gap.of(self, network, p[knots], square, energy, reach)
        seen, primal = float(norms.max()), gap_at.primal(self.points.scatter)
        gap = gap_at(seen + reach)
        self.objective, self.gap, self.grew = primal, gap, False
        if gap > max(tol * primal, self.no_gap):
            new = new_peaks(norms, lam, knots, sides=True)
            self.grew = len(new) > 0
            knots, masses = np.concatenate([knots, new]), np.concatenate([self.masses, np.zeros(len(new))])
            order = np.argsort(knots)
            self._knots, self.masses = knots[order], masses[order]
        worst = float(x[int(np.argmax(norms))]) if seen > 0 else None
        return Proof(self.certificate(network, primal, gap, worst), self._anchors, p)

    def settled(self) -> None:
        """Nothing was split for it."""

    def extended(self, last: Solved, before: Solved, ahead: float) -> tuple[Index, Array]:
        if min(len(last.p), len(before.p)) == 0:
            return self._anchors[:0], np.zeros(0)
        norms = np.empty(len(last.p))
        _kernels.extended_norms(last.p, before.p, ahead, norms)
        return last.anchors, norms
