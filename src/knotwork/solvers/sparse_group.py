"""Shared and private knots: the certified optimum of a sparse-group penalty in one input.

A working set of knots is solved exactly (`sparse_group_step.py`); the potential of its residual then
shows at all data points where |q(p)| exceeds lam, and knots are added at the peaks. Where slopes are held,
or knots are many, an interior point takes its place (`shaped.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..bins import Bins, feature_factor
from ..certificate.knot_penalty import (
    KnotPenalty,
    Monotone,
    Places,
    Shape,
    knot_penalty,
    knot_places,
)
from ..certificate.sparse_group import certify_at
from ..dual_norm.knots import row_norms
from ..network import Knots, ReLUNetwork
from ..points import Index, Mask, Points
from ..problem import Problem
from ..solution import Solution
from .blas import one_blas_thread
from .shaped import solve_shaped
from .sparse_group_step import Features, fit_knots
from .spline import Spline
from .watch import Progress, Watch
from .working_set import WorkingSet, new_peaks

Array = NDArray[np.float64]
_IDLE_ROUNDS = 12
_ROUGH = 1e-3
_FEW, _DENSE = 50, 0.2


@dataclass(frozen=True, eq=False)
class SparseGroupSolution(Solution):
    """A solved sparse-group problem: its certificate is of the objective with `lam_private`.

    lam_private : what |v_k|_1 costs.
    """

    lam_private: float = 0.0

    @property
    def users(self) -> NDArray[np.bool_]:
        """(K, T) whether task t bends at knot k of `network.knots`: the zeros of V are exact."""
        return self.network.knots.jump != 0


def solve_sparse_group(
    problem: Problem,
    lam_private: float,
    *,
    shape: Shape | Sequence[Shape] = None,
    monotone: Monotone | Sequence[Monotone] = None,
    allowed: ArrayLike | None = None,
    forbidden: ArrayLike | None = None,
    forced: ArrayLike | None = None,
    tol: float = 1e-8,
    start: ReLUNetwork | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> SparseGroupSolution:
    """min sum w (y - f)^2 / 2 + lam sum_k |v_k|_2 + lam_private sum_kt |v_kt|, to a certified gap.

    One input, squared loss, biases and skip connection free, unit input weights. lam draws the tasks to
    common knots, lam_private lets a task stay away from a knot of others: its v_kt is exactly 0. At
    lam_private = 0 it is `solve`; at lam = 0 the tasks are apart.

    Parameters
    ----------
    problem : its lam is the weight of |v_k|_2. Below about 1e-6 lam_private it is lost to rounding
        (status STALLED): take 0.
    lam_private : >= 0, in units of label x input; > 0 where lam is 0.
    shape : "convex", "concave" or None (free), for all tasks or one for each of them: the slope of such
        a task only rises, or only falls.
    monotone : "increasing", "decreasing" or None (free), for all tasks or one for each of them: the sign of
        the slope of such a task, on the whole line. Solved by an interior-point method.
    allowed : (m,) places or (m, 2) closed intervals where knots may be; everywhere by default.
    forbidden : (m, 2) open intervals where they may not; instead of `allowed`.
    forced : (m,) places of knots that cost nothing, strictly between the first and last input; not with
        `shape`.
    tol : stop when `certificate.relative_gap` is at most this.
    start : a network whose knots are tried first.
    max_rounds, max_seconds : stop there with the best network found and its certificate.
    progress : called with a `TraceEntry` every round; returning True stops.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    watch = Watch(tol, max_rounds, max_seconds, progress)
    penalty = knot_penalty(problem, lam_private, shape, monotone)
    places = knot_places(problem, shape, allowed, forbidden, forced)
    if start is not None:
        problem.check_network(start)
    begin = None if start is None else start.knots
    with one_blas_thread():
        if problem.lam == 0:
            network = _apart(places, penalty, problem, watch, begin)
        else:
            network = _together(places, penalty, problem, watch, begin)
        certificate = certify_at(places, penalty, problem, network)
    done = watch.finish(problem, network, certificate)
    return SparseGroupSolution(
        done.problem, done.network, done.certificate, done.status, done.trace, penalty.lam_private
    )


class _Working:
    """Knots under consideration, the forced ones among them, with their masses."""

    def __init__(self, places: Places, penalty: KnotPenalty, watch: Watch) -> None:
        self.places, self.penalty, self.watch = places, penalty, watch
        x = places.x
        self.bins = Bins(Points(x, places.y, places.root**2), coarse=len(x))
        self.knots: Index = np.zeros(0, dtype=np.intp)
        self.masses: Array = np.zeros(0)
        self.p: Array = np.zeros_like(places.y)
        self.objective = self.gap = float("inf")
        self.grew = True

    def start_from(self, knots: Knots) -> None:
        """Warm start: `knots`, moved to the open places around them."""
        open_at = np.flatnonzero(self.places.open)
        if len(open_at) == 0:
            return
        x = self.places.x[open_at]
        left = np.clip(np.searchsorted(x, knots.location, side="right") - 1, 0, len(x) - 1)
        right = np.minimum(left + 1, len(x) - 1)
        step = np.where(right > left, x[right] - x[left], 1.0)
        share = np.clip((knots.location - x[left]) / step, 0.0, 1.0)
        jump = np.zeros((len(x), self.places.points.n_tasks))
        np.add.at(jump, left, (1.0 - share)[:, None] * knots.jump)
        np.add.at(jump, right, share[:, None] * knots.jump)
        wanted = np.flatnonzero(jump.any(axis=1))
        self.knots, self.masses = open_at[wanted], row_norms(jump[wanted])
        # each task starts from the knots it has there
        self.p[self.knots] = (self.penalty.lam + self.penalty.lam_private) * np.sign(jump[wanted])

    def fit(self, tol: float) -> Spline:
        """Solve for the present knots, finely enough for a relative gap of `tol` in the end; those of
        zero mass leave the set."""
        fine = 0.05 * tol * self.objective if np.isfinite(self.objective) else 0.0
        # no digit is wasted while knots are still missing
        loose = 0.01 * self.gap if self.grew else 0.0
        places, n_tasks = self.places, self.places.points.n_tasks
        at = np.union1d(self.knots, places.forced)
        forced = np.isin(at, places.forced)
        features = Features.of(feature_factor(self.bins, at), np.concatenate([[True, True], forced]))
        V = np.zeros((0, n_tasks))
        if len(self.knots):
            guess, out_of_time = self.p[self.knots], self.watch.out_of_time
            self.masses, V = fit_knots(features, self.penalty, self.masses, guess, fine, loose, out_of_time)
        free = features.free_parts(V)
        jumps = np.zeros((len(at), n_tasks))
        jumps[forced], jumps[~forced] = free[2:], V
        alive = np.any(V != 0, axis=1)
        self.knots, self.masses = self.knots[alive], self.masses[alive]
        kept = np.any(jumps != 0, axis=1)
        return Spline(places.x[0], free[0], free[1], places.x[at[kept]], jumps[kept])

    def price(self, spline: Spline, tol: float) -> None:
        """Update objective and gap for `spline`; while the gap is above `tol` of the objective, add knots
        where |q(p)| peaks above lam."""
        places, penalty = self.places, self.penalty
        e = places.root * (places.y - _values(spline, places.x))
        self.p = places.potential(places.root * e)
        response = np.where(places.open, penalty.response(self.p), 0.0)
        scale = float(penalty.scale(self.p[response > penalty.lam]).min())
        V = spline.V[~np.isin(spline.location, places.x[places.forced])]
        cost = penalty.cost(V)
        fit = np.einsum("kt,kt->k", V, self.p[self.knots])
        misfit = float(np.vdot(e, e))
        self.objective = places.points.scatter + 0.5 * misfit + float(cost.sum())
        self.gap = float(np.maximum(cost - scale * fit, 0.0).sum()) + 0.5 * (1.0 - scale) ** 2 * misfit
        self.grew = self.gap > tol * self.objective and self._add(response)

    def _add(self, response: Array) -> bool:
        new = new_peaks(response, self.penalty.lam, self.knots, False)
        knots = np.concatenate([self.knots, new])
        order = np.argsort(knots)
        self.knots = knots[order]
        self.masses = np.concatenate([self.masses, np.zeros(len(new))])[order]
        return len(new) > 0


def _plain_knots(places: Places, penalty: KnotPenalty, watch: Watch) -> Knots:
    """Knots of roughly the optimum at lam_private = 0 and the sum of both for lam, which charges no
    knot more."""
    points, solved = places.points, np.count_nonzero(places.root, axis=0) > 1
    if not solved.any():
        return Knots(np.zeros(0), np.zeros((0, points.n_tasks)))
    solved = np.broadcast_to(solved, points.n_tasks)
    if points.w is not None and not solved.all():
        # a task seen at one input is met by a constant
        points = replace(points, y=points.y[:, solved], w=points.w[:, solved])
    working = WorkingSet(points, penalty.lam + penalty.lam_private, watch.out_of_time)
    while True:
        spline = working.fit(_ROUGH)
        working.price(spline, _ROUGH)
        if not working.grew or watch.out_of_time() or _many(spline.location, places):
            jump = np.zeros((len(spline.location), len(solved)))
            jump[:, solved] = spline.V
            return Knots(spline.location, jump)


def _many(knots: Array | Index, places: Places) -> bool:
    """Whether a large share of the places are knots: the interior point's regime."""
    return len(knots) > max(_FEW, _DENSE * len(places.x))


def _search(places: Places, penalty: KnotPenalty, watch: Watch, begin: Knots) -> tuple[ReLUNetwork, bool]:
    """Rounds of the working set from the knots of `begin`, as far as they lead or until knots are many;
    whether to the end."""
    working = _Working(places, penalty, watch)
    working.start_from(begin)
    best: tuple[float, Spline] | None = None
    tol, progress_at = 0.5 * watch.tol, len(watch.trace)
    while True:
        fine = not working.grew
        spline = working.fit(tol)
        working.price(spline, tol)
        if best is None or working.gap < best[0]:
            if best is None or working.gap < 0.9 * best[0]:
                progress_at = len(watch.trace)
            best = working.gap, spline
        stop = watch.round_done(working.objective, working.gap, len(spline.location))
        done = working.gap <= tol * working.objective or (fine and not working.grew)
        stuck = len(watch.trace) - progress_at > _IDLE_ROUNDS or _many(working.knots, places)
        if stop or done or stuck:
            return best[1].network(), best[0] <= watch.tol * working.objective


def _values(spline: Spline, x: Array) -> Array:
    """(n, T) at increasing x."""
    start = np.concatenate([[spline.origin], spline.location])
    values, slopes = spline.pieces()
    size = np.diff(np.searchsorted(x, spline.location), prepend=0, append=len(x))
    offset = x - np.repeat(start, size)
    return np.repeat(values, size, axis=0) + np.repeat(slopes, size, axis=0) * offset[:, None]


def _together(
    places: Places, penalty: KnotPenalty, problem: Problem, watch: Watch, begin: Knots | None
) -> ReLUNetwork:
    """By the working set; where slopes are held, knots are many, or it stalls, by the interior point."""
    if not penalty.direction.any() and begin is None:
        begin = _plain_knots(places, penalty, watch)
    if begin is None or penalty.direction.any() or _many(begin.location, places):
        return solve_shaped(places, penalty, problem, watch, begin)
    network, solved = _search(places, penalty, watch, begin)
    if solved or watch.status is not None:
        return network
    other = solve_shaped(places, penalty, problem, watch, network.knots)
    gap, other_gap = (certify_at(places, penalty, problem, one).gap for one in (network, other))
    return other if other_gap < gap else network


def _apart(
    places: Places, penalty: KnotPenalty, problem: Problem, watch: Watch, begin: Knots | None
) -> ReLUNetwork:
    """lam = 0: each task alone, where lam_private |v| is the group penalty of one."""
    parts: list[ReLUNetwork] = []
    for t in range(places.points.n_tasks):
        one: Mask = np.arange(places.points.n_tasks) == t
        root = places.root if places.root.shape[1] == 1 else places.root[:, one]
        w = places.points.w
        own = w if w is None or w.shape[1] == 1 else w[:, one]
        points = replace(places.points, y=places.points.y[:, one], w=own, scatter=0.0)
        signs = penalty.up[one], penalty.down[one], penalty.direction[one]
        group = KnotPenalty(penalty.lam_private, 0.0, *signs)
        task = replace(places, points=points, y=places.y[:, one], root=root)
        knots = None if begin is None else Knots(begin.location, begin.jump[:, one])
        alone = _together(task, group, problem, watch, knots)
        parts.append(ReLUNetwork(alone.W, alone.b, alone.V * one, alone.A * one, alone.c * one))
    return ReLUNetwork(
        np.concatenate([part.W for part in parts]),
        np.concatenate([part.b for part in parts]),
        np.concatenate([part.V for part in parts]),
        np.sum([part.A for part in parts], axis=0),
        np.sum([part.c for part in parts], axis=0),
    ).canonicalise()
