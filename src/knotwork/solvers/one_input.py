"""One input, free biases and skip connection, squared loss: which method, and its certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins
from ..certificate import Certificate, certify_interpolation, certify_on
from ..dual_norm.knots import Maximum, dual_point_of, keep_to_labels, row_norms, slope_changes
from ..network import ReLUNetwork
from ..points import Points
from ..problem import INTERPOLATION_TOLERANCE, Problem
from ..solution import Solution
from .consistent import require_consistent
from .interior_point import Iterate, interior_point
from .spline import Spline, connect_the_dots
from .watch import Watch
from .working_set import WorkingSet

Array = NDArray[np.float64]


class Found(NamedTuple):
    """A network, what is proven of it, and where its dual point is largest."""

    network: ReLUNetwork
    certificate: Certificate
    peak: Maximum


class Certify(Protocol):
    """A network of the tasks solved, made one of all tasks and certified; `bins` may be shared."""

    def __call__(
        self, small: ReLUNetwork, alpha: Array | None, bins: Bins | None = None, polish: bool = True
    ) -> Found: ...


_DENSE_BYTES = 4 << 30
_IDLE_ROUNDS = 12
_SMALL = 5000
_MOST_KNOTS = 1500
_CLOSEST = 1e-60
_ROUNDING = 1e-13
_ATTEMPTS = 3


@dataclass(frozen=True, eq=False)
class _Tasks:
    """The tasks a solver works on: what is left after those it need not, rotated to fewer.

    With labels Y = U Q', Q orthonormal, solving for U gives the solution for Y (squared loss and
    shared weights are invariant under rotations of the tasks).
    """

    points: Points
    solved: NDArray[np.bool_]
    rotation: Array | None = None

    @classmethod
    def of(cls, points: Points) -> _Tasks:
        n, n_tasks = points.y.shape
        solved = np.ones(n_tasks, dtype=bool)
        shared = points.w is None or points.w.shape[1] == 1
        if not shared:
            # a task seen at one input is met exactly by a constant and bends nowhere
            solved = np.count_nonzero(points.w > 0, axis=0) > 1  # type: ignore[operator]
            if not solved.all():
                points = replace(points, y=points.y[:, solved], w=points.w[:, solved])  # type: ignore[index]
            return cls(points, solved)
        if n_tasks > n:
            Q, R = np.linalg.qr(points.y.T)
            return cls(replace(points, y=np.ascontiguousarray(R.T)), solved, Q)
        return cls(points, solved)

    def all_tasks(self, alpha: Array) -> Array:
        """A dual point of the tasks solved as one of all tasks."""
        if self.rotation is not None:
            return alpha @ self.rotation.T
        full = np.zeros((len(alpha), len(self.solved)))
        full[:, self.solved] = alpha
        return full

    def network(self, small: ReLUNetwork, free: ReLUNetwork | None) -> ReLUNetwork:
        """The network of the tasks solved as one of all tasks; the others are as in `free`."""
        V, A, c = small.V, small.A, small.c
        if self.rotation is not None:
            V, A, c = V @ self.rotation.T, A @ self.rotation.T, c @ self.rotation.T
        if free is not None:
            full_V = np.zeros((len(V), len(self.solved)))
            full_A, full_c = free.A.copy(), free.c.copy()
            full_V[:, self.solved], full_A[:, self.solved], full_c[self.solved] = V, A, c
            V, A, c = full_V, full_A, full_c
        return ReLUNetwork(small.W, small.b, V, A, c)


def solve_one_input(problem: Problem, watch: Watch, start: ReLUNetwork | None) -> Solution:
    """The certified optimum, by the working set or, where many data are knots, the interior point."""
    points = Points.from_problem(problem)
    if problem.lam == 0:
        require_consistent(problem)
        _require_spaced(points.x)
    tasks = _Tasks.of(points)
    if len(points.x) == 1 or not tasks.solved.any():
        free = problem.free_fit()
        watch.round_done(problem.objective(free), 0.0, 0)
        return watch.finish(problem, free, certify_on(points, problem, free)[0])
    rest = None if tasks.solved.all() else problem.free_fit()
    if problem.lam == 0:
        free = rest or problem.free_fit()
        if problem.misfit(free) <= _ROUNDING * problem.label_scale:
            watch.round_done(0.0, 0.0, 0)
            return watch.finish(problem, free, certify_on(points, problem, free)[0])

    def certified(
        small: ReLUNetwork, alpha: Array | None, bins: Bins | None = None, polish: bool = True
    ) -> Found:
        network = tasks.network(small, rest)
        if alpha is None:
            shared = bins if tasks.points is points else None
            return Found(network, *certify_on(points, problem, network, bins=shared, polish=polish))
        dual_point = points.to_rows(tasks.all_tasks(alpha), problem) + points.spread_in_rows(problem)
        return Found(network, *certify_on(points, problem, network, dual_point))

    if problem.lam == 0:
        found = _interpolate(problem, points, tasks, rest, watch)
    else:
        found = _penalised(problem, tasks, watch, start, certified)
    return watch.finish(problem, found.network, found.certificate)


def _penalised(
    problem: Problem,
    tasks: _Tasks,
    watch: Watch,
    start: ReLUNetwork | None,
    certified: Certify,
) -> Found:
    working = WorkingSet(tasks.points, problem.lam, watch.out_of_time)
    if start is not None:
        location, jump = start.knots
        working.start_from(location, row_norms(jump))
    best: Found | None = None
    tol, try_dense = 0.5 * watch.tol, True
    for _ in range(_ATTEMPTS):
        found = rounds(working, tol, watch, try_dense, certified)
        if found is not None:
            best = _better(best, found)
            if best.certificate.relative_gap <= watch.tol or watch.status is not None:
                break
            tol *= 0.03
            continue
        state, found = _dense(tasks.points, problem.lam, watch, certified)
        best = _better(best, found)
        if best.certificate.relative_gap <= watch.tol or watch.status is not None:
            break
        # the interior point finds the knots, the corrective step the last digits
        bends = _bends(state, problem.lam)
        if np.count_nonzero(bends) > _MOST_KNOTS:
            break
        working = WorkingSet(tasks.points, problem.lam, watch.out_of_time)
        working.start_from(tasks.points.x[1:-1][bends], row_norms(state.bends[bends]))
        try_dense = False
    assert best is not None
    return best


def _better(one: Found | None, other: Found) -> Found:
    return other if one is None or other.certificate.gap < one.certificate.gap else one


def rounds(
    working: WorkingSet, tol: float, watch: Watch, try_dense: bool, certified: Certify
) -> Found | None:
    """Rounds of the working set to a relative gap of `tol`, or as far as they lead; None when the
    interior point should take over."""
    n, n_tasks = working.points.y.shape
    # where a round on K knots (K^3) starts to cost more than the interior point (n T)
    most = min(max(int((40 * n * n_tasks) ** (1 / 3)), n // 40), _MOST_KNOTS)
    dense_fits = try_dense and 16 * n * n_tasks * (n_tasks + 1) <= _DENSE_BYTES
    dense_fits = dense_fits and n > 2 and _spaced(working.points.x)
    best: tuple[float, Spline] | None = None
    progress_at = len(watch.trace)
    while True:
        fine = not working.grew
        spline = working.fit(tol)
        working.price(spline, tol)
        stuck = fine and not working.grew
        proven, found, done = working.proven_gap, None, False
        if working.gap <= tol * working.objective or stuck:
            # nothing is left to do beside the knots: the certificate looks everywhere
            found = certified(spline.network(), None, working.bins, polish=stuck)
            proven = found.certificate.gap
            done = found.certificate.relative_gap <= watch.tol
            if not done:
                working.add_hidden(found.peak)
        if best is None or working.gap < best[0]:
            if best is None or working.gap < 0.9 * best[0]:
                progress_at = len(watch.trace)
            best = working.gap, spline
        stop = watch.round_done(working.objective, proven, len(spline.location))
        if stop or done:
            return found or certified(best[1].network(), None, working.bins)
        many = len(spline.location) > most
        # a dozen knots that explain next to nothing: a large share of the data will be knots
        many = many or (n <= _SMALL and len(spline.location) > 12 and working.gap > 0.99 * working.objective)
        if dense_fits and many:
            return None
        ended = found is not None and not working.grew
        if (stuck and ended) or len(watch.trace) - progress_at > _IDLE_ROUNDS:
            if dense_fits and (n <= _SMALL or len(working.knots) > n // 100):
                return None
            return found or certified(best[1].network(), None, working.bins)
        if ended:
            return found


def _dense(
    points: Points,
    lam: float,
    watch: Watch,
    certified: Certify,
) -> tuple[Iterate, Found]:
    x = points.x
    weight = points.weights()
    y = np.where(weight > 0, points.y, 0.0)

    def step_done(state: Iterate) -> bool:
        error = y - state.values
        bends = row_norms(slope_changes(x, state.values))
        objective = points.scatter + 0.5 * float(np.sum(weight * error * error)) + lam * float(bends.sum())
        gap = max(state.complementarity, 0.0)
        stop = watch.round_done(objective, gap, int(np.count_nonzero(_bends(state, lam))))
        return stop or (gap <= 0.1 * watch.tol * objective and state.settled)

    state = interior_point(x, y, weight, lam, step_done)
    alpha = dual_point_of(x, keep_to_labels(x, state.p, weight > 0))
    everywhere = np.ones(len(x) - 2, dtype=bool)
    best: Found | None = None
    for bends in _bends(state, lam), everywhere:
        at = np.flatnonzero(np.concatenate([[True], bends, [True]]))
        best = _better(best, certified(connect_the_dots(x[at], state.values[at]), alpha))
        if best.certificate.relative_gap <= watch.tol:
            break
    assert best is not None
    return state, best


def _bends(state: Iterate, lam: float) -> NDArray[np.bool_]:
    """(n - 2,) where the iterate tends to a bend: either |u| or lam - |p| tends to 0."""
    size = row_norms(state.bends)
    typical = float(size.mean()) if len(size) else 0.0
    return size * lam > (lam - row_norms(state.p)) * typical


def _require_spaced(x: Array) -> None:
    """Raise where slopes between neighbours leave float64."""
    if not _spaced(x):
        i = int(np.argmin(np.diff(x)))
        raise ValueError(
            f"X: inputs {x[i]:g} and {x[i + 1]:g} are too close to be interpolated in float64; "
            "merge them, or use lam > 0"
        )


def _spaced(x: Array) -> bool:
    return len(x) < 2 or float(np.diff(x).min()) > _CLOSEST * float(x[-1] - x[0])


def _interpolate(
    problem: Problem, points: Points, tasks: _Tasks, rest: ReLUNetwork | None, watch: Watch
) -> Found:
    """Connect the dots (A, section 3); where labels are missing, a convex problem fills them in."""
    x, y = tasks.points.x, tasks.points.y
    if tasks.points.w is None or tasks.points.w.shape[1] == 1 or len(x) < 3:
        # where one task is left, inputs may remain that only the others had labels at
        kept = slice(None) if tasks.points.w is None else np.all(tasks.points.w > 0, axis=1)
        if tasks.points.w is None or tasks.points.w.shape[1] == 1:
            x, y = x[kept], y[kept]
        network = tasks.network(_interpolant(x, y), rest)
        found = Found(network, *certify_on(points, problem, network))
    else:
        seen = tasks.points.w > 0

        def step_done(state: Iterate) -> bool:
            cost = float(row_norms(slope_changes(x, state.values)).sum())
            gap = max(state.complementarity, 0.0)
            stop = watch.round_done(cost, gap, int(np.count_nonzero(_bends(state, 1.0))))
            return stop or (gap <= 0.1 * watch.tol * cost and state.settled)

        state = interior_point(x, y, np.where(seen, np.inf, 0.0), 1.0, step_done)
        network = tasks.network(_interpolant(x, np.where(seen, y, state.values)), rest)
        p = tasks.all_tasks(state.p)
        found = Found(network, *certify_interpolation(points, problem, network, p))
    watch.round_done(found.certificate.primal, found.certificate.gap, found.network.n_neurons)
    return found


def _interpolant(x: Array, values: Array) -> ReLUNetwork:
    """Connect the dots, without the bends that are rounding where that misses no dot."""
    largest = float(np.abs(values).max())
    if len(x) > 2:
        h = np.diff(x)
        noise = 8.0 * np.finfo(float).eps * largest * (1.0 / h[:-1] + 1.0 / h[1:])
        bends = row_norms(slope_changes(x, values)) > noise
        at = np.flatnonzero(np.concatenate([[True], bends, [True]]))
        plain = connect_the_dots(x[at], values[at])
        if np.abs(plain.predict(x) - values).max() <= 0.1 * INTERPOLATION_TOLERANCE * largest:
            return plain
    return connect_the_dots(x, values)
