"""Paper A, section 4, (13) to (27): the kernel that many tasks learn; and how many neurons are enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..theory.compression import compress
from ..theory.exchangeability import exchangeable_tasks, infinite_task_problem
from ..theory.learned_kernel import kernel_ridge, learned_kernel
from ..theory.task_objective import single_task, task_objective
from .experiment import Experiment, Plan
from .kernel_view_claims import judge_kernel, judge_width
from .records import Settings
from .squares_data import LINE, N_TASKS, RECIPE, surface, two_squares

Array = NDArray[np.float64]

NO_SKIP = Penalty(False, "none")
# (T, lam) = (101, .404) is lam = mu root(T)
_MU = 0.0402
_WIDE = 300


def _random_network(rng: np.random.Generator, width: int, n_tasks: int) -> ReLUNetwork:
    """Neurons of two inputs with all kinds of weights."""
    W, b = rng.standard_normal((width, 2)), rng.standard_normal(width)
    return ReLUNetwork(W, b, rng.standard_normal((width, n_tasks)))


def _formulas(seed: int) -> dict[str, ArrayLike]:
    """(13), (18) and (22) to (27) for random networks and for the optimum of 101 tasks."""
    rng = np.random.default_rng(seed)
    X, Y = two_squares(5, seed)
    network = _random_network(rng, 6, 5).canonicalise(NO_SKIP)
    view = task_objective(Problem(X, Y, 0.3, penalty=NO_SKIP), network, 1)
    v = rng.standard_normal(6)
    others = np.linalg.norm(np.delete(network.V, 1, axis=1), axis=1)
    # as the line below (13) has it: T - 1 times the square of the task's own weight
    own = np.sqrt(4.0) * np.abs(network.V[:, 1])
    parts = [np.sqrt(v**2 + size**2).sum() for size in (others, own)]
    price = (view.exact(v) - view.problem.loss_value(_with(network, v))) / 0.3
    kernel = view.kernel
    # (23)-(26) with Q = diag(gamma / 2), and with Q = diag(gamma^2) as our text of it reads
    x = rng.standard_normal((1, 2))
    phi = kernel.features(x)[0]
    found = {
        "norms": np.abs(np.array(parts) / price - 1.0),
        "twice": np.sum(phi * phi / (kernel.gamma / 2.0)) / kernel(x)[0, 0],
    }
    optimum = RECIPE.problem(*two_squares(N_TASKS, seed), "all")
    best = solve(optimum, tol=1e-10).network
    task = single_task(optimum, 0)
    learned = learned_kernel(best, 0, penalty=NO_SKIP)
    fits = [kernel_ridge(learned, task, space=space).network for space in ("weights", "kernel")]
    found["spaces"] = np.abs(fits[0].predict(X) - fits[1].predict(X)).max()
    found["readings"] = _ridge_of(learned.features(X), task, learned.gamma, fits[0])
    # (21): every task counted
    whole = kernel_ridge(learned_kernel(best, penalty=NO_SKIP), optimum).network
    few = Problem(X, Y[:, :2], 0.05, penalty=NO_SKIP)
    two = solve(few, tol=1e-12).network
    same = kernel_ridge(learned_kernel(two, penalty=NO_SKIP), few).network
    without = kernel_ridge(learned_kernel(two, 0, penalty=NO_SKIP), single_task(few, 0)).network
    found["itself"] = [
        np.abs(whole.predict(X) - best.predict(X)).max(), np.abs(same.predict(X) - two.predict(X)).max()
    ]  # fmt: skip
    found["without"] = [
        np.abs(fits[0].predict(X)[:, 0] - best.predict(X)[:, 0]).max(),
        np.abs(without.predict(X)[:, 0] - two.predict(X)[:, 0]).max(),
    ]
    gamma = learned.gamma * np.linalg.norm(learned.network.V, axis=1)
    found["gamma"] = float(np.abs(gamma - 1.0).max())
    return found


def _with(network: ReLUNetwork, v: Array) -> ReLUNetwork:
    return ReLUNetwork(network.W, network.b, v[:, None], c=network.c[[1]])


def _ridge_of(Phi: Array, task: Problem, gamma: Array, fit: ReLUNetwork) -> Array:
    """(2,) how far from (18)'s fit is (27), sum of losses + lam v'Qv, for Q = gamma / 2 and for gamma^2."""
    off = []
    y, lam = task.Y[:, 0], task.lam
    for Q in (0.5 * gamma, gamma**2):
        # a free constant, as the networks have
        design, ridge = np.column_stack([Phi, np.ones(len(y))]), np.append(2.0 * lam * Q, 0.0)
        v = np.linalg.solve(design.T @ design + np.diag(ridge), design.T @ y)
        off.append(np.abs(design @ v - fit.predict(task.X)[:, 0]).max())
    return np.array(off)


def _dependent(seed: int) -> dict[str, ArrayLike]:
    """relu(z) - relu(-z) = z at three knots: the same function by other weights; and a neuron of one task."""
    places = np.array([-1.0, 0.0, 1.0])
    W, b = np.repeat([1.0, -1.0], 3)[:, None], np.concatenate([-places, places])
    rng = np.random.default_rng(seed)
    kernel = learned_kernel(ReLUNetwork(W, b, rng.uniform(0.5, 2.0, (6, 3))), 0, penalty=NO_SKIP)
    net = kernel.network
    null = np.where(net.W[:, 0] > 0, 1.0, -1.0) * np.where(net.b == 0, -2.0, 1.0)
    v, x = rng.standard_normal(6), np.linspace(-3.0, 3.0, 41)
    values = [float(np.sum(kernel.gamma * u * u)) for u in (v, v + null)]
    f = kernel.features(x) @ v
    norm = f @ np.linalg.pinv(kernel(x), rcond=1e-11, hermitian=True) @ f
    alone = learned_kernel(
        ReLUNetwork(np.ones((2, 1)), np.array([0.0, -1.0]), np.array([[2.0, 0], [1, 3]])), 0
    )
    return {
        "values": values, "norm": norm, "apart": np.abs(kernel.features(x) @ null).max(),
        "alone.strength": np.sort(alone.strength), "alone.kernel": alone(np.array([2.0]))[0, 0],
    }  # fmt: skip


def _limit(n_tasks: list[int], draws: int, seed: int) -> dict[str, ArrayLike]:
    """The first task of T on the squares at lam = .0402 root(T), beside the network of infinitely many."""
    X, Y = two_squares(1, 0)
    limit = solve(infinite_task_problem(X, 0.25 * (1.0 + np.eye(8)), _MU, penalty=NO_SKIP), tol=1e-10)
    kernel = learned_kernel(limit.network, penalty=NO_SKIP)
    ridge = kernel_ridge(kernel, Problem(X, Y, _MU, penalty=NO_SKIP)).network
    fits, off = [], []
    for T in n_tasks:
        drawn = [two_squares(T, seed + k)[1] for k in range(draws)]
        networks = [solve(Problem(X, Z, _MU * np.sqrt(T), penalty=NO_SKIP)).network for Z in drawn]
        fits.append([network.predict(X)[:, 0] for network in networks])
        off.append([np.abs(surface(network) - surface(ridge)).max() for network in networks])
    # the pseudo-tasks of the labels' own second moment are another way to the same optimum
    Z = exchangeable_tasks(np.random.default_rng(seed), X, 30)
    full = solve(Problem(X, Z, _MU * np.sqrt(30.0), penalty=NO_SKIP), tol=1e-10)
    few = solve(infinite_task_problem(X, Z @ Z.T / 30.0, _MU, penalty=NO_SKIP), tol=1e-10)
    return {
        "n_tasks": n_tasks, "fits": fits, "off": off, "limit": ridge.predict(X)[:, 0],
        "moment": 30.0 * few.certificate.primal / full.certificate.primal - 1.0,
        "grid": LINE, "surface.limit": surface(ridge),
    }  # fmt: skip


def _kernel(part: str, seed: int, **settings: Any) -> Mapping[str, ArrayLike]:
    return {"formulas": _formulas, "dependent": _dependent, "limit": _limit}[part](seed=seed, **settings)


def _kernel_pieces(plan: Plan) -> list[Settings]:
    counts = [11, 101, 1001, 20_001] if plan.quick else [11, 31, 101, 301, 1001, 3001, 20_001]
    return [
        {"part": "formulas", "seed": 0},
        {"part": "dependent", "seed": 3},
        {"part": "limit", "seed": 1, "n_tasks": counts, "draws": plan.draws(20, 3)},
    ]


# --------------------------------------------------------------------------------------- width


def _width(n_tasks: list[int], seed: int) -> dict[str, ArrayLike]:
    """Eight points of two inputs: a network of 300 random neurons compressed, and certified optima."""
    rng = np.random.default_rng(seed)
    X = two_squares(1, 0)[0]
    found: dict[str, list[float]] = {
        name: [] for name in ("compressed", "bound", "change", "cost", "optimum", "optimum_before")
    }
    for T in n_tasks:
        network = _random_network(rng, _WIDE, T)
        small = compress(network, X, NO_SKIP)
        Y = rng.standard_normal((len(X), T))
        best = solve(Problem(X, Y, 1e-3 * np.sqrt(T), penalty=NO_SKIP)).network
        found["compressed"].append(small.n_neurons)
        found["bound"].append(small.bound)
        found["change"].append(small.largest_change / np.abs(network.predict(X)).max())
        found["cost"].append(small.cost / small.cost_before)
        found["optimum_before"].append(best.n_neurons)
        found["optimum"].append(compress(best, X, NO_SKIP).n_neurons)
    return {"n_tasks": n_tasks, "n_data": len(X), **found}


def _width_pieces(plan: Plan) -> list[Settings]:
    counts = [1, 2, 3, 4, 5, 6, 7, 8, 16, 64]
    return [{"n_tasks": counts, "seed": seed} for seed in range(plan.draws(10, 2))]


_TASKS = "the two squares of Fig. 5 and coins"

EXPERIMENTS = (
    Experiment(
        name="a-learned-kernel",
        title="The kernel that many tasks learn, and that of infinitely many",
        figures=(),
        shows="Ridge regression over the learned neurons (18) is a kernel method (22)-(27); what the kernel "
        "is A leaves open (section 5).",
        ours=f"Data: {_TASKS}. The limit of infinitely many tasks is ours: lam = .0402 times the root of T, "
        "which at T = 101 is A's weight_decay 1e-3 beside PyTorch's mean.",
        pieces=_kernel_pieces,
        compute=_kernel,
        judge=judge_kernel,
        effort=5.0,
    ),
    Experiment(
        name="a-width",
        title="How many neurons are enough for many tasks",
        figures=(),
        shows="N^2 neurons are enough, whatever the number of tasks (footnote 1).",
        ours="Eight points in two inputs; networks of 300 random neurons, which `compress` brings down "
        "without moving a prediction or raising the cost, and certified optima for Gaussian labels.",
        pieces=_width_pieces,
        compute=_width,
        judge=judge_width,
        effort=5.0,
    ),
)
