"""A path that sees its data in bins, and looks inside them where what they hide matters."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, Line
from ..dual_norm.knots import hidden_bound, row_norms
from ..network import ReLUNetwork
from ..points import Index, Points
from ..problem import Problem
from .path_view import Gap, Proof, Solved, View
from .working_set import WorkingSet, peaks_above

Array = NDArray[np.float64]


class BinnedView(View):
    """Knots are anchors of bins, and bins are split for them and for what they may hide."""

    def __init__(self, problem: Problem, points: Points, out_of_time: Callable[[], bool], bins: Bins) -> None:
        super().__init__(problem, points, out_of_time, bins)
        self.coarse = bins
        self.working = WorkingSet(points, 1.0, out_of_time, copy(bins))
        self.fresh, self.most_bins = True, 0

    @property
    def knots(self) -> Index:
        return self.working.points_of_knots

    def begin(self, lam: float, knots: Index, masses: Array, objective: float) -> None:
        super().begin(lam, knots, masses, objective)
        working = self.working
        if self.fresh or len(working.bins) > self.most_bins:
            # knots have moved on: what was split for them only costs time
            working.bins, self.fresh = copy(self.coarse), True
        working.bins.refine_around(self.points.x[knots])
        working.knots, working.masses = np.searchsorted(working.bins.start, knots), masses
        working.lam, working.objective, working.gap, working.grew = lam, objective, objective, False

    def settled(self) -> None:
        if self.fresh:
            self.fresh, self.most_bins = False, 2 * len(self.working.bins)

    def fit(self, tol: float) -> ReLUNetwork:
        network = self.working.fit(tol).network()
        self.masses = self.working.masses
        return network

    def prove(self, network: ReLUNetwork, tol: float) -> Proof:
        working, lam = self.working, self.lam
        spline = self.spline_of(network)
        while True:
            bins = working.bins
            seen_by = _residual(bins, spline.on(bins), 1e-3 * tol * lam)
            p, norms, bound = seen_by.p, seen_by.norms, seen_by.norms_bound
            gap_at = Gap.of(self, network, p[working.knots], seen_by.square, seen_by.energy, seen_by.reach)
            primal = gap_at.primal(self.points.scatter)
            seen, most = float(norms.max(initial=0.0)), float(bound.max(initial=0.0))
            gap, seen_gap, target = gap_at(most), gap_at(seen), tol * primal
            if gap <= max(target, self.no_gap):
                working.grew = False
                break
            peaks = peaks_above(norms, lam)
            peaks[working.knots] = False
            more = seen_gap > 0.7 * target and bool(peaks.any())
            if more:
                # where a knot is to be added, and what its bins hide is too much at the end
                split = peaks
                split[:-1] |= peaks[1:]
                split &= seen_by.slack > gap_at.slack_for(target)
            elif seen_gap <= target:
                split = bound > gap_at.largest_for(0.5 * (seen_gap + target), seen, most)
            else:
                split = np.zeros(len(bins), dtype=bool)
            split &= bins.size > 1
            if not split.any():
                working.grew = more and working.add_peaks(norms, sides=True)
                break
            working.knots = bins.refine(split)[working.knots]
        working.objective, working.gap = primal, seen_gap
        self.objective, self.gap, self.grew = primal, seen_gap, working.grew
        worst = None if seen == 0 else float(bins.x[int(np.argmax(norms))])
        return Proof(self.certificate(network, primal, gap, worst), bins.start, p)

    def extended(self, last: Solved, before: Solved, ahead: float) -> tuple[Index, Array]:
        anchors, now, then = np.intersect1d(last.anchors, before.anchors, True, return_indices=True)
        return anchors, row_norms(last.p[now] + ahead * (last.p[now] - before.p[then]))


@dataclass(frozen=True, eq=False)
class _Residual:
    """The residual of a curve, off its best line: its potential p (m, T) and |p| (m,) at the anchors,
    what |p| exceeds its ends by at most inside each bin, and what it cannot exceed there; the sum of
    its weighted squares, and that of the line; what |p| of the line is at most, where that is
    negligible and has been left in p."""

    p: Array
    norms: Array
    slack: Array
    norms_bound: Array
    square: float
    energy: float
    reach: float


def _residual(bins: Bins, line: Line, negligible: float) -> _Residual:
    weight, sxx = bins.weight, bins.sxx
    offset = bins.mean_x - bins.x[:, None]
    error = bins.mean_y - line.value - line.slope * offset
    total = weight * error
    moment = bins.sxy - line.slope * sxx
    shared = weight.shape[1] < error.shape[1]
    if shared:
        square = np.einsum("mt,mt->m", total, error)[:, None]
        square += bins.syy - np.einsum("mt,mt->m", line.slope, bins.sxy + moment)[:, None]
    else:
        square = total * error + bins.syy - line.slope * (bins.sxy + moment)
    square = np.maximum(square, 0.0)
    spread = np.sqrt(np.sum(weight * square, axis=1))
    energy, reach = _line_left(bins, total, moment)
    if reach > negligible:
        # the dual point must be orthogonal to the free parts: take the best line off the residual
        shift = bins.affine_part(total, moment)
        total -= weight * shift.at(bins.mean_x)
        moment -= shift.slope * sxx
        # the line may add to the square of any bin what it has in all
        spread += np.sqrt(weight @ (shift.square.sum(keepdims=True) if shared else shift.square))
        reach = 0.0
    later = np.zeros_like(total)
    np.cumsum(total[:0:-1], axis=0, out=later[-2::-1])
    p = np.cumsum(bins.rise(total, moment, later)[::-1], axis=0)[::-1]
    norms = row_norms(p)
    slack = np.where(bins.size > 1, 0.25 * (bins.next_x - bins.x) * spread, 0.0)
    bound = hidden_bound(norms, slack) + reach
    return _Residual(p, norms, slack, bound, max(float(square.sum()) - energy, 0.0), energy, reach)


def _line_left(bins: Bins, total: Array, moment: Array) -> tuple[float, float]:
    """The sum of weighted squares of the best line through residuals, and what |p| of that line
    cannot exceed anywhere (Cauchy-Schwarz)."""
    weight, span = bins.weight, float(bins.points.x[-1] - bins.x[0])
    ones = np.ones(len(weight))
    sums = ones @ weight
    offset = bins.mean_x - bins.x[0]
    first = ones @ (weight * offset) / sums
    second = ones @ (bins.sxx + weight * offset * offset) - sums * first * first
    level = ones @ total
    if weight.shape[1] == 1:
        tilt = offset[:, 0] @ total + ones @ moment - first * level
    else:
        tilt = ones @ (offset * total + moment) - first * level
    steep = np.divide(tilt * tilt, second, out=np.zeros_like(tilt), where=second > 0)
    energy = float(np.sum(level * level / sums + steep))
    return energy, span * float(np.sqrt(energy * sums.max()))
