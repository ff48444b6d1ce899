"""Paper A, Theorem 4.1 and the lemmas of its proof, measured over the number of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import lam_max, solve
from ..theory.exchangeability import (
    Growth,
    Kind,
    exchangeable_tasks,
    kernel_approximation,
    task_shares,
    theorem_rate,
)
from ..theory.task_objective import task_objective
from .experiment import Experiment, Plan
from .many_tasks_claims import judge_lemmas, judge_theorem
from .records import Settings
from .squares_data import N_TASKS, RECIPE, two_squares

Array = NDArray[np.float64]

NO_SKIP = Penalty(False, "none")
# at one task on the squares: "sqrt" has .404 at T = 101, "linear" is PyTorch's mean with weight_decay 1e-3
_LAM = {"fixed": 0.0402, "sqrt": 0.0402, "linear": 0.004}
BETAS = (0.25, 0.5, 0.75)


def _inputs(data: str) -> Array:
    """The two squares of Fig. 5, nine points in one input, or eight in three."""
    if data == "squares":
        return two_squares(1, 0)[0]
    if data == "line":
        return np.sort(np.random.default_rng(7).uniform(0.0, 1.0, 9))[:, None]
    return np.random.default_rng(7).standard_normal((8, 3))


def _rate(
    data: str, kind: Kind, growth: Growth, lam: float, n_tasks: list[int], draws: int, seed: int
) -> dict[str, ArrayLike]:
    rate = theorem_rate(
        np.random.default_rng(seed), _inputs(data), n_tasks, lam=lam, growth=growth, kind=kind,
        n_draws=draws, tasks_per_draw=16, penalty=NO_SKIP,
    )  # fmt: skip
    # a task may use no neuron
    used = rate.right > 0
    found: dict[str, ArrayLike] = {
        "n_tasks": rate.n_tasks, "lam": rate.lam, "well_defined": rate.well_defined,
        "above": np.max(rate.excess - rate.difference), "below": np.min(rate.difference),
        "least_excess": np.min(rate.excess), "left_over_right": np.max(rate.left[used] / rate.right[used]),
    }  # fmt: skip
    for what in ("left", "right", "excess", "relative_left", "relative_excess"):
        # at the theorem's own level, 1 - T^(-1/3)
        found[what], found[f"exponent.{what}"] = rate.quantile(what), rate.exponent(what)
    return found


def _collapse(n_tasks: list[int], seed: int) -> dict[str, ArrayLike]:
    """The squares as T grows and lam = .004 T: how many neurons are left, and the least lam that leaves
    none."""
    neurons, largest = [], []
    for T in n_tasks:
        X, Y = two_squares(T, seed)
        problem = Problem(X, Y, _LAM["linear"] * T, penalty=NO_SKIP)
        neurons.append(solve(problem).network.n_neurons)
        largest.append(lam_max(problem))
    return {"n_tasks": n_tasks, "neurons": neurons, "lam_max": largest}


def _one_task(seed: int) -> dict[str, ArrayLike]:
    """J and H off the optimum, twice lam, and one task that owns the neurons."""
    X, Y = two_squares(N_TASKS, seed)
    problem = RECIPE.problem(X, Y, "all")
    network = solve(problem, tol=1e-10).network
    view, rng = task_objective(problem, network, 0), np.random.default_rng(seed)
    twice = task_objective(problem.with_lam(2.0 * problem.lam), network, 0)
    below, within, doubled = [], [], []
    for size in np.geomspace(1e-2, 1e3, 60):
        v = size * rng.standard_normal(view.v.shape) * view.kernel.strength
        below.append((view.quadratic(v) - view.exact(v)) / view.quadratic(v))
        within.append(view.difference(v) / view.bound(v))
        doubled.append(twice.difference(v) / view.difference(v))
    labels = exchangeable_tasks(np.random.default_rng(seed), X, 50)
    labels[:, 0] = 20.0 * (np.arange(len(X)) % 2)
    owned = Problem(X, labels, problem.lam, penalty=NO_SKIP)
    owner = solve(owned).network
    approximations = [kernel_approximation(owned, owner, s) for s in range(owned.n_tasks)]
    relative = np.array([one.relative_left for one in approximations])
    alone = Problem(X, np.column_stack([Y[:, 0], np.zeros(len(X))]), 0.01, penalty=NO_SKIP)
    return {
        "below": below, "within": within, "doubled": doubled,
        "owner.share": task_shares(owner, penalty=NO_SKIP).share[:, 0],
        "owner.relative": relative[0], "others.relative": np.median(relative[1:]),
        "alone.defined": kernel_approximation(alone, solve(alone).network, 0).well_defined,
    }  # fmt: skip


def _theorem(part: str, **settings: Any) -> Mapping[str, ArrayLike]:
    return {"rate": _rate, "collapse": _collapse, "one_task": _one_task}[part](**settings)


def _theorem_pieces(plan: Plan) -> list[Settings]:
    n_tasks = [2, 8, 32, 128, 1000] if plan.quick else [2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    cases = [
        ("squares", "coins", "fixed"), ("squares", "coins", "sqrt"), ("squares", "coins", "linear"),
        ("line", "waves", "fixed"), ("line", "waves", "sqrt"),
    ]  # fmt: skip
    if not plan.quick:
        cases += [("space", "hinges", "sqrt")]
    found: list[Settings] = [
        {
            "part": "rate", "data": data, "kind": kind, "growth": growth, "lam": _LAM[growth],
            "n_tasks": n_tasks, "draws": plan.draws(4 if data != "space" else 2, 1), "seed": 0,
        }
        for data, kind, growth in cases
    ]  # fmt: skip
    found.append({"part": "collapse", "n_tasks": [1000, 10_000, 50_000, 78_000, 100_000], "seed": 0})
    found.append({"part": "one_task", "seed": 0})
    return found


# -------------------------------------------------------------------------------------- lemmas


def _orders(seed: int, data: str, n_tasks: int) -> dict[str, ArrayLike]:
    """(36): tasks in all orders, solved anew each time; the share of whichever is first."""
    X, rng = _inputs(data), np.random.default_rng(seed)
    Y = rng.standard_normal((len(X), n_tasks)) * rng.uniform(0.3, 2.0, n_tasks)
    firsts, moved = [], 0.0
    plain = solve(Problem(X, Y, 0.05, penalty=NO_SKIP), tol=1e-12).network
    wanted = plain.predict(X)
    for order in permutations(range(n_tasks)):
        network = solve(Problem(X, Y[:, order], 0.05, penalty=NO_SKIP), tol=1e-12).network
        moved = max(moved, float(np.abs(network.predict(X) - wanted[:, order]).max()))
        # neurons are sorted by their input weights, which no order of the tasks changes
        firsts.append(task_shares(network, penalty=NO_SKIP).share[:, 0])
    same = min(map(len, firsts)) == max(map(len, firsts))
    means = np.mean(firsts, axis=0) if same else np.array([np.nan])
    return {"means": means, "spread": np.ptp(np.array(firsts), axis=0) if same else means, "moved": moved}


def _shares(n_tasks: list[int], kind: Kind, seed: int) -> dict[str, ArrayLike]:
    """(20), (43) and (46) at certified optima: tasks that are exceptions, neuron by neuron."""
    worst, bound, second, off = [], [], [], []
    X, rng = _inputs("squares"), np.random.default_rng(seed)
    for T in n_tasks:
        Y = exchangeable_tasks(rng, X, T, kind)
        shares = task_shares(
            solve(Problem(X, Y, 0.0402 * np.sqrt(T), penalty=NO_SKIP)).network, penalty=NO_SKIP
        )
        worst.append([shares.exceptions(beta).max() for beta in BETAS])
        bound.append([shares.bound(beta) for beta in BETAS])
        levels = [T**beta for beta in BETAS]
        above = [np.mean(shares.share >= 1.0 / (1.0 + level), axis=1).max() for level in levels]
        second.append([part * T / (1.0 + level) for part, level in zip(above, levels, strict=True)])
        off.append(np.abs(shares.share.mean(axis=1) * T - 1.0).max())
    return {"n_tasks": n_tasks, "worst": worst, "bound": bound, "second": second, "mean_off": off}


def _sharp(tails: int, seed: int) -> dict[str, ArrayLike]:
    """A neuron of 7 equal tasks of 64, and networks that no training made, of heavy tails."""
    V = np.zeros((1, 64))
    V[0, :7] = 1.0
    seven = task_shares(ReLUNetwork(np.ones((1, 1)), np.zeros(1), V))
    rng, ratios = np.random.default_rng(seed), []
    for _ in range(tails):
        T = int(rng.integers(2, 200))
        V = rng.standard_t(0.7, (5, T))
        shares = task_shares(ReLUNetwork(rng.standard_normal((5, 2)), rng.standard_normal(5), V))
        ratios += [shares.exceptions(beta).max() / shares.bound(beta) for beta in BETAS]
    return {"seven": seven.exceptions(0.5)[0], "allowed": seven.bound(0.5), "ratio": max(ratios)}


def _weights(n_tasks: list[int], seed: int) -> dict[str, ArrayLike]:
    """Lemma A.4: labels in [-1, 1], interpolated; and its proof's two scalings on three points."""
    X, rng = _inputs("line"), np.random.default_rng(seed)
    x = X[:, 0]
    D = np.column_stack([np.ones_like(x), np.maximum(x[:, None] - x[:-1], 0.0)])
    price = np.abs(np.linalg.pinv(D)[1:]).sum()
    cost, largest = [], []
    for T in n_tasks:
        Y = exchangeable_tasks(rng, X, T, "uniform")
        network = solve(Problem(X, Y, 0.0, penalty=NO_SKIP)).network.canonicalise(NO_SKIP)
        cost.append(network.cost(NO_SKIP))
        largest.append(np.abs(network.V).max())
    three = solve(Problem(np.array([0.0, 1.0, 2.0]), np.array([0.0, 100.0, 0.0]), 0.0)).network
    three = three.canonicalise()
    return {
        "n_tasks": n_tasks, "cost": cost, "largest": largest, "price": price * np.sqrt(n_tasks),
        "square": np.abs(three.V).max() ** 2, "proof": 2.0 * three.cost(),
    }  # fmt: skip


def _lemmas(part: str, seed: int, **settings: Any) -> Mapping[str, ArrayLike]:
    parts = {"orders": _orders, "shares": _shares, "sharp": _sharp, "weights": _weights}
    return parts[part](seed=seed, **settings)


def _lemma_pieces(plan: Plan) -> list[Settings]:
    counts = [4, 16, 64, 256, 1024]
    found: list[Settings] = [
        {"part": "orders", "data": data, "n_tasks": n, "seed": 1} for data, n in (("line", 4), ("space", 3))
    ]
    for kind in ("coins", "waves"):
        for seed in range(plan.draws(5, 1)):
            found.append({"part": "shares", "n_tasks": counts, "kind": kind, "seed": seed})
    found.append({"part": "sharp", "tails": 200, "seed": 0})
    found.append({"part": "weights", "n_tasks": counts[: 3 if plan.quick else 5], "seed": 16})
    return found


EXPERIMENTS = (
    Experiment(
        name="a-theorem-4-1",
        title="One of many tasks sees a quadratic penalty",
        figures=(),
        shows="For a task drawn at random from T exchangeable ones its view J of the objective and the "
        "quadratic H differ by O(T^(-1/4)) near the optimum, with probability 1 - O(T^(-1/3)) (16), and so "
        "does J at the minimiser of H from its least value (17).",
        ours="The theorem leaves open how lambda grows with T: fixed (networks tend to interpolate), with "
        "the square root of T (networks converge), and with T (PyTorch's mean over tasks) are run. Data: "
        "the two squares of Fig. 5 with coins, nine points of one input with random waves, eight of three "
        "inputs with random ReLUs; 16 tasks drawn from each of several draws.",
        pieces=_theorem_pieces,
        compute=_theorem,
        judge=judge_theorem,
        effort=20.0,
    ),
    Experiment(
        name="a-lemma-4-2",
        title="Exchangeable tasks share every neuron",
        figures=(),
        shows="A task drawn at random has 1/T of a neuron's squared output weights on average (Lemma A.1), "
        "so that few tasks have much (Lemmas 4.2, A.2, A.3); output weights grow no faster than the root "
        "of T (A.4).",
        ours="Counted over the tasks of certified optima on the two squares, lam = .0402 times the root of "
        "T; of networks with heavy-tailed random weights; and of three and four tasks in all orders.",
        pieces=_lemma_pieces,
        compute=_lemmas,
        judge=judge_lemmas,
        effort=10.0,
    ),
)
