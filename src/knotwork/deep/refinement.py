"""Convex steps on a stacked network: each stack by the certified solver, the others held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..stacked import StackedNetwork

Array = NDArray[np.float64]
# acts for which act(s z) = s act(z) at s > 0
HOMOGENEOUS = ("identity", "relu", "leaky_relu")
_SWEEPS, _STILL = 40, 1e-5
_TOL = 1e-6
# of the least-norm interpolation: where its dual ascent slows down, the network is good enough
_TOL_INTERPOLATION, _ROUNDS = 1e-2, 100


def stacked_objective(problem: Problem, network: StackedNetwork) -> float:
    """sum w l(y, f) + lam sum_j R(stack j): (4) of paper B at balanced neurons, in the library's scaling.

    Parameters
    ----------
    problem : its inputs are those of the first stack, its penalty that of every stack.

    Raises
    ------
    ValueError : where the network does not fit the problem.
    """
    if (network.n_inputs, network.n_tasks) != (problem.n_inputs, problem.n_tasks):
        raise ValueError(
            f"network: maps {network.n_inputs} inputs to {network.n_tasks} tasks, but the problem has "
            f"{problem.n_inputs} inputs and {problem.n_tasks} tasks"
        )
    weight, f = problem.label_weight(), network.predict(problem.X)
    seen = weight > 0
    each = problem.loss_function.value(np.where(seen, problem.Y, 0.0), f)
    loss = float(np.sum(weight * np.where(seen, each, 0.0)))
    return loss + problem.lam * float(network.costs(problem.penalty).sum())


def rebalance(network: StackedNetwork, penalty: Penalty) -> StackedNetwork:
    """The same function at no higher cost: neurons balanced, and stacks against each other.

    Output t of stack j is multiplied by s_t and what reads it divided by it, s_t^4 being the ratio of the
    sums of squares of what reads and of what makes it; only where act commutes with scales.
    """
    network = network.balance(penalty)
    if network.activation not in HOMOGENEOUS:
        return network
    for _ in range(_SWEEPS):
        moved = 0.0
        for j in range(len(network.stacks) - 1):
            scales = [np.ones(d) for d in network.bottlenecks]
            made, read = _made(network.stacks[j], penalty), _read(network.stacks[j + 1], penalty)
            both = (made > 0) & (read > 0)
            scales[j][both] = np.sqrt(np.sqrt(read[both] / made[both]))
            moved = max(moved, float(np.abs(scales[j] - 1.0).max()))
            network = network.rescaled(scales).balance(penalty)
        if moved <= _STILL:
            break
    return network


def solve_last(problem: Problem, network: StackedNetwork, width: int | None = None) -> StackedNetwork:
    """The last stack's global optimum on what the others put out, certified; the objective never rises.

    Only without a link; a network wider than `width` is not taken.
    """
    if network.link != "identity":
        return network
    inputs = network.inputs(problem.X)[-1]
    convex = Problem(
        inputs, problem.Y, problem.lam, problem.loss, problem.penalty, problem.sample_weight, copy=False
    )
    found = solve(convex, tol=_TOL, start=network.stacks[-1]).network
    return _if_better(problem, network, len(network.stacks) - 1, found, width)


def interpolate_inner(problem: Problem, network: StackedNetwork, width: int | None = None) -> StackedNetwork:
    """Every stack but the last replaced by the least-cost network of the same outputs on the data.

    Predictions on the data stay, and the objective does not rise; predictions elsewhere may change.
    """
    for j in range(len(network.stacks) - 1):
        stack = network.stacks[j]
        inputs = np.unique(network.inputs(problem.X)[j], axis=0)
        least = Problem(inputs, stack.predict(inputs), 0.0, penalty=problem.penalty)
        found = solve(least, tol=_TOL_INTERPOLATION, start=stack, max_rounds=_ROUNDS).network
        network = _if_better(problem, network, j, found, width)
    return network


def _linear_neurons(A: Array, penalty: Penalty) -> tuple[Array, Array]:
    """What decays of the linear part: by input and output, the squares of L (r, d) and S (r, T), A = L'S."""
    if penalty.skip != "nuclear":
        return A.T**2, A**2
    left, size, right = np.linalg.svd(A, full_matrices=False)
    return size[:, None] * left.T**2, size[:, None] * right**2


def _made(stack: ReLUNetwork, penalty: Penalty) -> Array:
    linear = _linear_neurons(stack.A, penalty)[1]
    return np.sum(stack.V**2, axis=0) + stack.c**2 + linear.sum(axis=0)


def _read(stack: ReLUNetwork, penalty: Penalty) -> Array:
    return np.sum(stack.W**2, axis=0) + _linear_neurons(stack.A, penalty)[0].sum(axis=0)


def _if_better(
    problem: Problem, network: StackedNetwork, j: int, stack: ReLUNetwork, width: int | None
) -> StackedNetwork:
    stacks = (*network.stacks[:j], stack.balance(problem.penalty), *network.stacks[j + 1 :])
    trial = replace(network, stacks=stacks)
    fits = width is None or trial.stacks[j].n_neurons <= width
    better = fits and stacked_objective(problem, trial) < stacked_objective(problem, network)
    return trial if better else network
