"""Tasks that need no neurons at the infimum, and labels that free parts without bound fit ever better.

Separable labels (logistic, multinomial, Poisson) are lost: along a direction of the free parts their
loss goes to 0 and that of the others stays, so the infimum is the optimum of the others alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..certificate.labels import Labels, judge
from ..free_parts import affine_fit, recession
from ..losses import Multinomial
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution, Status
from .watch import Watch

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
FAR = 60.0

Solve = Callable[[Problem, ReLUNetwork | None], Solution]


def as_unattained(solution: Solution) -> Solution:
    """The solution of a problem with an infimum only."""
    ended_well = solution.status is Status.OPTIMAL
    return replace(solution, status=Status.UNATTAINED) if ended_well else solution


def free_network(A: Array, c: Array) -> ReLUNetwork:
    d = len(A)
    return ReLUNetwork(np.zeros((0, d)), np.zeros(0), np.zeros((0, len(c))), A, c)


def without_tasks_that_never_bend(
    problem: Problem, watch: Watch, start: ReLUNetwork | None, free_knots: bool, solve: Solve
) -> Solution | None:
    """One input, biases free: separable tasks, and those seen at one input, need no knots. The others
    are solved without them; None where every task may bend."""
    aside = _set_aside(problem, free_knots)
    if aside is None:
        return None
    which, A, c, unattained = aside
    network = free_network(A, c)
    if not which.all():
        network = _joined(problem, network, ~which, start, problem.sample_weight, solve)
    solution = _finished(problem, Labels.of(problem), watch, network)
    return as_unattained(solution) if unattained else solution


def without_lost_labels(
    problem: Problem, labels: Labels, watch: Watch, start: ReLUNetwork | None, solve: Solve
) -> Solution | None:
    """Several inputs, biases free, a loss of its own for each task: solved for the labels that are not
    lost, then moved far along the direction that loses the others; None where none is lost."""
    found = recession(labels.X, labels.y, labels.w, labels.loss, labels.linear_free)
    if found is None:
        return None
    A, c, lost = found
    weight = np.where(lost, 0.0, labels.w)
    alive = np.any(weight > 0, axis=0)
    network = free_network(np.zeros_like(A), np.zeros_like(c))
    if alive.any():
        network = _joined(problem, network, alive, start, weight, solve)
    length = FAR + float(np.abs(network.predict(labels.X))[lost].max())
    network = ReLUNetwork(network.W, network.b, network.V, network.A + length * A, network.c + length * c)
    return as_unattained(_finished(problem, labels, watch, network))


def _set_aside(problem: Problem, free_knots: bool) -> tuple[Mask, Array, Array, bool] | None:
    """Tasks that never bend: (which, their A (1, T), their c (T,), whether any is separable)."""
    loss, labels = problem.loss_function, Labels.of(problem)
    n_tasks = problem.n_tasks
    A, c = np.zeros((1, n_tasks)), np.zeros(n_tasks)
    few = np.zeros(n_tasks, dtype=bool)
    if free_knots:
        x = np.where(labels.w > 0, labels.x[:, None], np.nan)
        few = np.nanmax(x, axis=0) == np.nanmin(x, axis=0)
    if isinstance(loss, Multinomial):
        if not few.all():
            return None
        return _classes_at_one_input(labels)
    found = recession(labels.x, labels.y, labels.w, loss, free_knots)
    lost = np.zeros(n_tasks, dtype=bool)
    rest = labels.w
    if found is not None:
        lost = found[2].any(axis=0)
        rest = np.where(found[2], 0.0, labels.w)
    aside = few | lost
    if not aside.any():
        return None
    own = loss.of_tasks(aside)
    A_own, c_own = affine_fit(labels.x[:, None], labels.y[:, aside], rest[:, aside], own, linear=False)
    A[:, aside], c[aside] = A_own, c_own
    if found is not None:
        length = FAR + np.abs(c)
        A, c = A + length * found[0], c + length * found[1]
    return aside, A, c, bool(lost.any())


def _classes_at_one_input(labels: Labels) -> tuple[Mask, Array, Array, bool]:
    """Constants are all there is; those of classes never seen go far down."""
    n_tasks = labels.y.shape[1]
    found = recession(labels.x, labels.y, labels.w, labels.loss, False)
    far = np.zeros(n_tasks) if found is None else FAR * found[1]
    _, c = affine_fit(
        labels.X, labels.y, labels.w, labels.loss, linear=False, offset=np.zeros_like(labels.y) + far
    )
    return np.ones(n_tasks, dtype=bool), np.zeros((1, n_tasks)), far + c, found is not None


def _joined(
    problem: Problem,
    network: ReLUNetwork,
    chosen: Mask,
    start: ReLUNetwork | None,
    weight: Array | None,
    solve: Solve,
) -> ReLUNetwork:
    """The solution for the chosen tasks under other weights, beside a network without neurons."""
    small = Problem(
        problem.X,
        problem.Y[:, chosen],
        problem.lam,
        problem.loss_function.of_tasks(chosen),
        problem.penalty,
        weight if weight is None or weight.ndim == 1 else weight[:, chosen],
    )
    if start is not None:
        start = ReLUNetwork(start.W, start.b, start.V[:, chosen], start.A[:, chosen], start.c[chosen])
    found = solve(small, start).network
    V, A, c = np.zeros((found.n_neurons, problem.n_tasks)), network.A.copy(), network.c.copy()
    V[:, chosen], A[:, chosen], c[chosen] = found.V, found.A, found.c
    return ReLUNetwork(found.W, found.b, V, A, c)


def _finished(problem: Problem, labels: Labels, watch: Watch, network: ReLUNetwork) -> Solution:
    f = network.predict(labels.X)
    judged = judge(labels, network, f, labels.gradient_point(f))
    if not watch.trace:
        watch.round_done(judged.certificate.primal, judged.certificate.gap, network.n_neurons)
    return watch.finish(problem, network, judged.certificate)
