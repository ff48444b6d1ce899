"""All lams of a path, each from its neighbours.

For squared loss on one input with free biases and skip connection, sorted data and knots are shared
by all lams. The potential p and the jumps of the last two lams, extended to the next, say
where its knots will be and of what mass, so that most lams are solved and proven in one round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins
from ..dual_norm.knots import row_norms
from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Index, Points
from ..problem import Problem
from ..solution import Solution, Status
from .blas import one_blas_thread
from .path_bins import BinnedView
from .path_view import Solved, View, with_lam
from .solve import solve
from .watch import Progress, Watch
from .working_set import peaks_above

Array = NDArray[np.float64]
_CUT_SHORT = (Status.STOPPED, Status.MAX_SECONDS)
_COARSE = 256
_COMPILED = (20_000, 2_000_000)
_MOST_ROUNDS = 20
_LOOSE = 8.0
_NEAR = 0.9999
_FEW = 6
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


class _Shared:
    """What all lams share: the data, sorted, a view of them, and the last two solutions."""

    def __init__(self, problem: Problem, points: Points, watch: Watch) -> None:
        self.problem, self.points, self.watch = problem, points, watch
        n, n_tasks = points.y.shape
        self.most_knots = max(int((320 * n * n_tasks) ** (1 / 3)), n // 20)
        self.view = _view(problem, points, watch.out_of_time)
        self.objective = self.view.objective
        self.last: Solved | None = None
        self.before: Solved | None = None
        self.network: ReLUNetwork | None = None

    def solve(self, lam: float) -> Solution:
        """The solution at a lam below the last one."""
        problem = with_lam(self.problem, lam)
        view, watch, began = self.view, self.watch, len(self.watch.trace)
        # F is concave in lam, and F(0) >= 0
        objective = self.objective * (lam / self.last.lam if self.last else 1.0)
        view.begin(lam, *self._guess(lam), objective)
        tol = watch.tol
        for _ in range(_MOST_ROUNDS):
            # what the masses leave of the gap is proven with the rest of it
            network = view.fit(_LOOSE * tol)
            if network.n_neurons > self.most_knots:
                break
            knots, masses = view.knots, view.masses
            proof = view.prove(network, watch.tol)
            certificate = proof.certificate
            stop = watch.round_done(certificate.primal, certificate.gap, network.n_neurons)
            if certificate.relative_gap <= watch.tol or stop:
                solved = Solved(lam, knots, masses, proof.anchors, proof.p)
                self.before, self.last, self.network = self.last, solved, network
                view.settled()
                self.objective = certificate.primal
                status = watch.finish(problem, network, certificate).status
                return Solution(problem, network, certificate, status, tuple(watch.trace[began:]))
            self.network = network
            if not view.grew:
                if tol < 1e-3 * watch.tol:
                    break
                tol *= 0.1
        solution = _from_start(problem, self.network, watch)
        location, jump = solution.network.knots
        knots, nothing = np.searchsorted(self.points.x, location), np.zeros((0, problem.n_tasks))
        self.before, self.last = None, Solved(lam, knots, row_norms(jump), knots[:0], nothing)
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
        anchors, norms = self.view.extended(last, before, ahead)
        if len(anchors) == 0:
            return last.knots, masses
        at = np.flatnonzero(peaks_above(norms, _NEAR * lam))
        new = anchors[at]
        if len(last.knots) <= _FEW:
            # few knots move far from lam to lam, and more places to choose from cost little
            new = _around(self.points.x, anchors, norms, at, last.knots, _LEVEL * lam)
        knots = np.union1d(last.knots, new)
        extended = np.zeros(len(knots))
        extended[np.searchsorted(knots, last.knots)] = masses
        return knots, extended


def _view(problem: Problem, points: Points, out_of_time: Callable[[], bool]) -> View:
    bins = Bins(points, _COARSE)
    if not _COMPILED[0] <= points.y.size <= _COMPILED[1]:
        return BinnedView(problem, points, out_of_time, bins)
    # not above: compiled code takes a moment to load, which few data do not repay
    from .path_points import PointView

    return PointView(problem, points, out_of_time, bins)


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
