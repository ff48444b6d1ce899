"""All lams of a path, each from its neighbours.

For squared loss on one input with free biases and skip connection, sorted data, bins and knots are
shared by all lams. The potential p and the jumps of the last two lams, extended to the next, say
where its knots will be and of what mass, so that most lams are solved and proven in one round.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, Line
from ..certificate import Certificate, certify
from ..dual_norm import Rigour
from ..dual_norm.knots import hidden_bound, row_norms
from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Index, Points
from ..problem import Problem
from ..solution import Solution, Status
from .blas import one_blas_thread
from .solve import solve
from .spline import Spline
from .watch import Progress, Watch
from .working_set import WorkingSet, peaks_above

Array = NDArray[np.float64]
_CUT_SHORT = (Status.STOPPED, Status.MAX_SECONDS)
_COARSE = 256
_MOST_ROUNDS = 20
_LOOSE = 8.0
_ROUNDING = 1e-13
_NEAR = 0.9999
_FEW = 12
_LEVEL = 2e-6
_OFFSETS = np.array([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0])


def solve_path(
    problem: Problem, lams: Array, tol: float, max_seconds: float | None, progress: Progress | None
) -> tuple[list[Solution], Status]:
    """Solutions at the decreasing `lams` to relative gaps of `tol`, and how the whole ended.

    After a stop: those that were finished, at least one; the first one may then be unfinished.
    """
    watch = Watch(tol, None, max_seconds, progress)
    solutions: list[Solution] = []
    with one_blas_thread():
        for one in _solutions(problem, lams, watch):
            stopped = one.status if one.status in _CUT_SHORT else watch.status
            if one.status not in _CUT_SHORT or not solutions:
                solutions.append(one)
            if stopped is not None and (len(solutions) < len(lams) or one.status in _CUT_SHORT):
                return solutions, stopped
    short = (one.status for one in solutions if one.status is not Status.OPTIMAL)
    return solutions, next(short, Status.OPTIMAL)


def _solutions(problem: Problem, lams: Array, watch: Watch) -> Iterator[Solution]:
    free = not problem.penalty.biases and problem.penalty.skip == "free"
    if problem.n_inputs == 1 and free and isinstance(problem.loss, Squared):
        points = Points.from_problem(problem)
        own = points.w is not None and points.w.shape[1] > 1
        lines = not own or np.count_nonzero(points.w > 0, axis=0).min() > 1  # type: ignore[operator]
        if lines and 2 < len(points.x) >= problem.n_tasks:
            shared = _Shared(problem, points, watch)
            return (shared.solve(lam) for lam in lams.tolist())
    return _one_after_another(problem, lams, watch)


def _one_after_another(problem: Problem, lams: Array, watch: Watch) -> Iterator[Solution]:
    """Warm starts from the lam before."""
    start = None
    for lam in lams.tolist():
        one = _from_start(problem.with_lam(lam), start, watch)
        start = one.network
        yield one


def _from_start(problem: Problem, start: ReLUNetwork | None, watch: Watch) -> Solution:
    left = None
    if watch.max_seconds is not None:
        left = max(watch.began + watch.max_seconds - time.monotonic(), 1e-3)
    return solve(problem, tol=watch.tol, start=start, max_seconds=left, progress=watch.progress)


@dataclass(frozen=True, eq=False)
class _Solved:
    """A network at lam: the points (K,) and masses (K,) of its knots, and its potential p (m, T) at
    the points `anchors` (m,)."""

    lam: float
    knots: Index
    masses: Array
    anchors: Index
    p: Array


class _Shared:
    """What all lams share: the data, sorted and binned, and the bins as refined so far."""

    def __init__(self, problem: Problem, points: Points, watch: Watch) -> None:
        self.problem, self.points, self.watch = problem, points, watch
        self.coarse = bins = Bins(points, _COARSE)
        self.working = WorkingSet(points, 1.0, watch.out_of_time, copy(bins))
        n, n_tasks = points.y.shape
        self.most_knots = max(int((320 * n * n_tasks) ** (1 / 3)), n // 20)
        total, moment, square = bins.residual_sums()
        self.labels = float(square.sum())
        bent = max(self.labels - float(bins.affine_part(total, moment).square.sum()), 0.0)
        self.no_gap = max(1e-14 * (points.scatter + 0.5 * bent), 1e-28 * self.labels)
        self.objective = points.scatter + 0.5 * bent
        self.fresh, self.most_bins = True, 0
        self.last: _Solved | None = None
        self.before: _Solved | None = None
        self.network: ReLUNetwork | None = None

    def solve(self, lam: float) -> Solution:
        """The solution at a lam below the last one."""
        problem = _with_lam(self.problem, lam)
        working, watch, began = self.working, self.watch, len(self.watch.trace)
        if self.fresh or len(working.bins) > self.most_bins:
            # knots have moved on: what was split for them only costs time
            working.bins, self.fresh = copy(self.coarse), True
        # F is concave in lam, and F(0) >= 0
        objective = self.objective * (lam / self.last.lam if self.last else 1.0)
        working.restart(lam, *self._guess(lam), objective)
        tol = watch.tol
        for _ in range(_MOST_ROUNDS):
            # what the masses leave of the gap is proven with the rest of it
            network = working.fit(_LOOSE * tol).network()
            if network.n_neurons > self.most_knots:
                break
            certificate, p = self._prove(network)
            stop = watch.round_done(certificate.primal, certificate.gap, network.n_neurons)
            if certificate.relative_gap <= watch.tol or stop:
                solved = _Solved(lam, working.points_of_knots, working.masses, working.bins.start, p)
                self.before, self.last, self.network = self.last, solved, network
                if self.fresh:
                    self.fresh, self.most_bins = False, 2 * len(working.bins)
                self.objective = certificate.primal
                status = watch.finish(problem, network, certificate).status
                return Solution(problem, network, certificate, status, tuple(watch.trace[began:]))
            self.network = network
            if not working.grew:
                if tol < 1e-3 * watch.tol:
                    break
                tol *= 0.1
        solution = _from_start(problem, self.network, watch)
        location, jump = solution.network.knots
        knots, nothing = np.searchsorted(self.points.x, location), np.zeros((0, problem.n_tasks))
        self.before, self.last = None, _Solved(lam, knots, row_norms(jump), knots[:0], nothing)
        self.network, self.objective = solution.network, solution.certificate.primal
        return solution

    def _guess(self, lam: float) -> tuple[Index, Array]:
        """Knots and masses at lam, for p and the jumps are nearly linear in lam."""
        last, before = self.last, self.before
        if last is None:
            return np.zeros(0, dtype=np.intp), np.zeros(0)
        if before is None:
            return last.knots, last.masses
        ahead = (last.lam - lam) / (before.lam - last.lam)
        masses = last.masses.copy()
        _, now, then = np.intersect1d(last.knots, before.knots, True, return_indices=True)
        masses[now] = np.maximum(masses[now] + ahead * (masses[now] - before.masses[then]), 0.0)
        anchors, now, then = np.intersect1d(last.anchors, before.anchors, True, return_indices=True)
        if len(anchors) == 0:
            return last.knots, masses
        norms = row_norms(last.p[now] + ahead * (last.p[now] - before.p[then]))
        at = np.flatnonzero(peaks_above(norms, _NEAR * lam))
        new = anchors[at]
        if len(last.knots) <= _FEW:
            # few knots move far from lam to lam, and more places to choose from cost little
            new = _around(self.points.x, anchors, norms, at, last.knots, _LEVEL * lam)
        knots = np.union1d(last.knots, new)
        extended = np.zeros(len(knots))
        extended[np.searchsorted(knots, last.knots)] = masses
        return knots, extended

    def _prove(self, network: ReLUNetwork) -> tuple[Certificate, Array]:
        """The certificate of a network with its knots at those of the working set, and p (m, T).

        While the gap is above tol, bins are split that hide too much, and then knots are added;
        `working.grew` says whether any were.
        """
        working, lam, tol = self.working, self.working.lam, self.watch.tol
        cost = row_norms(network.V)
        location = -network.b
        while True:
            bins = working.bins
            start = float(bins.x[0])
            spline = Spline(start, network.c + start * network.A[0], network.A[0], location, network.V)
            seen_by = _residual(bins, spline.on(bins), 1e-3 * tol * lam)
            p, norms, bound = seen_by.p, seen_by.norms, seen_by.norms_bound
            gap_at = _Gap(
                lam,
                cost,
                np.einsum("kt,kt->k", network.V, p[working.knots]) - seen_by.reach * cost,
                seen_by.square,
                seen_by.energy,
                self.labels,
            )
            primal = self.points.scatter + 0.5 * (gap_at.square + gap_at.energy) + lam * float(cost.sum())
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
        relative = 0.0 if gap <= self.no_gap else gap / max(abs(primal), abs(primal - gap))
        worst = None if seen == 0 else np.array([1.0, -bins.x[int(np.argmax(norms))]])
        problem = _with_lam(self.problem, lam)
        certificate = Certificate(
            primal,
            primal - gap,
            gap,
            relative,
            Rigour.EXACT,
            primal - gap,
            worst,
            0.0,
            lambda: certify(problem, network).dual_point,
        )
        return certificate, p


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


@dataclass(frozen=True, eq=False)
class _Gap:
    """Objective less the dual value at the residual, scaled so that the `largest` |p| becomes lam."""

    lam: float
    cost: Array
    response: Array
    square: float
    energy: float
    labels: float

    def __call__(self, largest: float) -> float:
        scale = self.lam / largest if largest > 0 else np.inf
        if self.square > _ROUNDING**2 * self.labels:
            scale = min(scale, max((float(self.response.sum()) + self.square) / self.square, 0.0))
        else:
            scale = min(scale, 1.0)
        terms = np.maximum(self.lam * self.cost - scale * self.response, 0.0)
        return float(terms.sum()) + 0.5 * ((1.0 - scale) ** 2 * self.square + self.energy)

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


def _around(x: Array, anchors: Index, norms: Array, peaks: Index, knots: Index, drop: float) -> Index:
    """Points at and about those `peaks` of |p| (m,) that have no knot near.

    Near is where |p| has come down by less than `drop`. A peak that p was extended to is a guess: so
    points are taken on both sides of it, as far apart as |p| tells them apart.
    """
    places: list[Array] = []
    covered = np.zeros(len(anchors), dtype=bool)
    known = np.isin(anchors, knots, assume_unique=True)
    for peak in peaks[np.argsort(-norms[peaks], kind="stable")].tolist():
        if covered[peak]:
            continue
        low = norms < norms[peak] - drop
        left, right = peak - int(np.argmax(low[peak::-1])), peak + int(np.argmax(low[peak:]))
        covered[left : right + 1] = True
        if not known[left : right + 1].any():
            start, end = x[anchors[left]], x[anchors[right]]
            places.append(0.5 * (start + end) + 0.5 * (end - start) * _OFFSETS)
    if not places:
        return np.zeros(0, dtype=np.intp)
    return np.unique(np.clip(np.searchsorted(x, np.concatenate(places)), 1, len(x) - 2))


def _with_lam(problem: Problem, lam: float) -> Problem:
    """`problem.with_lam` without looking at all data again."""
    other = copy(problem)
    object.__setattr__(other, "lam", lam)
    return other
