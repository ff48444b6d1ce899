"""Paper A, section B.2 (Figs. 8, 9, 10): 25 tasks of one ReLU neuron each, learned alone and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..dual_norm import Rigour
from ..dual_norm.several import UnitNeurons
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution
from ..solvers.solve import solve
from ..theory.compression import most_neurons
from ..train.adam import adam
from ..train.presets import RECIPES, Reading
from .experiment import Experiment, Plan
from .records import Settings
from .teachers_claims import judge_teachers

Array = NDArray[np.float64]

RECIPE = RECIPES["teachers"]
N_DATA, N_INPUTS, N_TASKS = 20, 5, 25
N_LINES, REACH = 200, 3.0
ALONG = np.linspace(-REACH, REACH, 161)
# neurons below this share of the costliest are counted as none
ACTIVE = (1e-2, 1e-3, 1e-4)
_USED = 1e-3
_BENDS = 60
_ALL_CELLS, _FEW_CELLS = 2_000_000, 1000


def teachers(seed: int) -> tuple[Array, Array, Array]:
    """X (20, 5) standard normal, Y (20, 25) = relu(X W'), and W (25, 5), rows uniform on the sphere."""
    rng = np.random.default_rng(seed)
    W, X = rng.standard_normal((N_TASKS, N_INPUTS)), rng.standard_normal((N_DATA, N_INPUTS))
    W /= np.linalg.norm(W, axis=1)[:, None]
    return X, np.maximum(X @ W.T, 0.0), W


def lines(seed: int) -> Array:
    """(200, 5) unit vectors: functions are looked at along t u, |t| <= 3."""
    U = np.random.default_rng([seed, 1]).standard_normal((N_LINES, N_INPUTS))
    return U / np.linalg.norm(U, axis=1)[:, None]


def along_lines(network: ReLUNetwork, U: Array, W: Array) -> dict[str, Array]:
    """How the outputs look on every line, beside their teachers relu(w_t . x).

    error : (lines, T) root mean square of f_t - teacher.
    size : (lines, T) root mean square of the teacher.
    bends : (lines, T) how many of 60 equal pieces of |t| <= 3 hold 90 % of the change of slope; a ReLU ridge
        function has 1.
    slices : (T, 161) the outputs on the first line.
    """
    error, size, bends = [], [], []
    net = network.canonicalise(RECIPE.penalty)
    edges = np.linspace(-REACH, REACH, _BENDS + 1)
    for u in U:
        f, g = network.predict(np.outer(ALONG, u)), np.maximum(np.outer(ALONG, W @ u), 0.0)
        error.append(np.sqrt(np.mean((f - g) ** 2, axis=0)))
        size.append(np.sqrt(np.mean(g**2, axis=0)))
        bends.append(_pieces_with_most(net, u, edges))
    first = network.predict(np.outer(ALONG, U[0])).T
    return {"error": np.array(error), "size": np.array(size), "bends": np.array(bends), "slices": first}


def _pieces_with_most(net: ReLUNetwork, u: Array, edges: Array) -> Array:
    """(T,) the least number of pieces with 90 % of sum |change of slope|."""
    slope = net.W @ u
    with np.errstate(divide="ignore", invalid="ignore"):
        place = -net.b / slope
    inside = np.abs(place) < REACH
    change = np.zeros((len(edges) - 1, net.n_tasks))
    piece = np.searchsorted(edges, place[inside], side="right") - 1
    np.add.at(change, piece, np.abs(slope[inside, None]) * net.V[inside])
    share = np.sort(np.abs(change), axis=0)[::-1].cumsum(axis=0)
    total = share[-1]
    return np.where(total > 0, 1 + np.sum(share < 0.9 * total, axis=0), 0)


def _told(problem: Problem, network: ReLUNetwork) -> dict[str, ArrayLike]:
    cost = np.sort(network.canonicalise(problem.penalty).neuron_costs(problem.penalty))[::-1]
    return {
        "objective": problem.objective(network),
        "mse": 2.0 * problem.loss_value(network) / problem.Y.size,
        "active": np.array([np.count_nonzero(cost > share * cost.max(initial=0.0)) for share in ACTIVE]),
    }


def _multi(reading: Reading, seed: int, max_cells: int, tol: float) -> dict[str, ArrayLike]:
    X, Y, W = teachers(seed)
    problem = RECIPE.problem(X, Y, reading)
    solution = solve(problem, tol=tol, max_cells=max_cells)
    certificate, network = solution.certificate, solution.network.canonicalise(problem.penalty)
    found = _told(problem, network) | along_lines(network, lines(seed), W) | _shared(network)
    return found | {
        "lam": problem.lam,
        "gap": certificate.relative_gap,
        "exact": certificate.rigour is Rigour.EXACT,
        "neurons": network.n_neurons,
        "enough": most_neurons(N_DATA - 1, N_TASKS),
    }


def _shared(network: ReLUNetwork) -> dict[str, ArrayLike]:
    """How neurons (above 1e-3 of the costliest) are shared: (K, T) entries v_kt beside |v_k|."""
    size = np.linalg.norm(network.V, axis=1)
    active = size > ACTIVE[1] * size.max(initial=0.0)
    users = np.count_nonzero(np.abs(network.V[active]) > _USED * size[active, None], axis=1)
    return {"users": users, "pattern": network.V}


def _trained(reading: Reading, seed: int, start: int, steps: int) -> dict[str, ArrayLike]:
    X, Y, W = teachers(seed)
    problem = RECIPE.problem(X, Y, reading)
    network = _by_adam(problem, start, steps)
    unit = _unit(network)
    return _told(problem, network) | along_lines(network, lines(seed), W) | _shared(unit)


def _by_adam(problem: Problem, start: int, steps: int) -> ReLUNetwork:
    training = adam(
        problem, RECIPE.width, seeds=[start], steps=steps, check_every=max(steps // 10, 1), certify=False
    )
    return training[0].network


def _unit(network: ReLUNetwork) -> ReLUNetwork:
    """The same neurons, in their order, with input weights of norm 1."""
    size = np.linalg.norm(network.W, axis=1)
    safe = np.where(size > 0, size, 1.0)
    return ReLUNetwork(network.W / safe[:, None], network.b / safe, network.V * size[:, None], c=network.c)


def _single(
    reading: Reading, seed: int, tasks: Sequence[int], exact: bool, steps: int
) -> dict[str, ArrayLike]:
    """Every task alone: the certified optimum in both readings, and a network trained from one start."""
    X, Y, W = teachers(seed)
    U, units = lines(seed), UnitNeurons(X, RECIPE.penalty, _ALL_CELLS if exact else _FEW_CELLS)
    rows: list[dict[str, ArrayLike]] = []
    for t in tasks:
        problem = RECIPE.problem(X, Y[:, [t]], reading)
        least = solve(problem.with_lam(0.0), max_cells=_FEW_CELLS).network
        solution, gap = _certified(problem, least, units, exact)
        smaller = RECIPE.problem(X, Y[:, [t]], "(3)")
        other = solve(smaller, start=solution.network, max_cells=_FEW_CELLS)
        other_gap = _gap(smaller, other.network, units) if exact else other.certificate.relative_gap
        told = _told(problem, solution.network) | {"lam": problem.lam, "gap": gap}
        told |= {"neurons": solution.network.n_neurons, "least_cost": least.cost(problem.penalty)}
        told |= {"(3).neurons": other.network.n_neurons, "(3).gap": other_gap}
        told["misfit"] = problem.with_lam(0.0).misfit(least)
        network = _by_adam(problem, t, steps)
        seen = _told(problem, network) | along_lines(network, U, W[[t]])
        rows.append(
            told
            | along_lines(solution.network, U, W[[t]])
            | {f"trained.{name}": value for name, value in seen.items()}
        )
    found = {}
    for name in rows[0]:
        parts = [np.asarray(row[name]) for row in rows]
        joined = name.split(".")[-1] in ("error", "size", "bends")
        found[name] = np.concatenate(parts, axis=1) if joined else np.array(parts)
    found["slices"], found["trained.slices"] = found["slices"][:, 0], found["trained.slices"][:, 0]
    return found | {"exact": exact and units.is_exact, "tasks": np.array(tasks)}


def _certified(
    problem: Problem, least: ReLUNetwork, units: UnitNeurons, exact: bool
) -> tuple[Solution, float]:
    """The optimum, searched for from an interpolant of least cost, and its gap by the one enumeration of
    neurons that all tasks share; where the search has missed some, all neurons are enumerated for it."""
    solution = solve(problem, start=least, max_cells=_FEW_CELLS)
    if not exact:
        return solution, solution.certificate.relative_gap
    gap = _gap(problem, solution.network, units)
    if gap > 1e-6:
        solution = solve(problem, start=solution.network, max_cells=_ALL_CELLS)
        gap = _gap(problem, solution.network, units)
    return solution, gap


def _gap(problem: Problem, network: ReLUNetwork, units: UnitNeurons) -> float:
    """1 - dual / primal, the dual point being the residual scaled into the constraint."""
    alpha = problem.Y - network.predict(problem.X)
    alpha = alpha - alpha.mean(axis=0)
    scale = min(1.0, problem.lam / units.maximise(alpha, problem.lam).largest)
    dual = scale * np.sum(alpha * problem.Y) - 0.5 * scale**2 * np.sum(alpha**2)
    return float(1.0 - dual / problem.objective(network))


def _compute(part: str, reading: Reading, seed: int, **settings: Any) -> Mapping[str, ArrayLike]:
    found = {"multi": _multi, "trained": _trained, "single": _single}[part](reading, seed, **settings)
    u = lines(seed)[0]
    return found | {"along": ALONG, "teacher": np.maximum(np.outer(teachers(seed)[2] @ u, ALONG), 0.0)}


def _pieces(plan: Plan) -> list[Settings]:
    quick = plan.quick
    cells, tol = (_FEW_CELLS, 3e-2) if quick else (_ALL_CELLS, 1e-8)
    steps = (2000, 10_000) if quick else (30_000, 20_000)
    groups = [[1, 3]] if quick else [list(range(low, N_TASKS, 2)) for low in range(2)]
    found: list[Settings] = []
    for reading in ("all",) if quick else ("all", "(3)"):
        found.append({"part": "multi", "reading": reading, "seed": 0, "max_cells": cells, "tol": tol})
        for start in range(plan.draws(2, 1) if reading == "all" else 1):
            told = {"start": start, "steps": steps[0]}
            found.append({"part": "trained", "reading": reading, "seed": 0, **told})
    for tasks in groups:
        told = {"tasks": tasks, "exact": not quick, "steps": steps[1]}
        found.append({"part": "single", "reading": "all", "seed": 0, **told})
    return found


EXPERIMENTS = (
    Experiment(
        name="a-figures-8-10",
        title="Students of 25 single neurons",
        figures=("A 8", "A 9", "A 10"),
        shows="Twenty points in five inputs; each of 25 tasks is one ReLU neuron. Fig. 8: each neuron of the "
        "student of all tasks serves all of them or none. Fig. 9: along a line its outputs look nothing "
        "like a ReLU. Fig. 10: those of 25 students of one task each do.",
        ours="Seeds, learning rate .01 on a cosine, steps, and PyTorch's initialisation are ours, as is "
        "the reading "
        'of lambda = 1e-4: as weight_decay beside PyTorch\'s mean over points and tasks ("all": lam = .025 '
        'for all tasks, .001 for one), and as the factor of (3)\'s norms ("(3)": lam = .0001). The line of '
        "Figs. 9 and 10 is the first of 200 random ones through the origin.",
        pieces=_pieces,
        compute=_compute,
        judge=judge_teachers,
        effort=100.0,
        needs=("jax", "optax"),
    ),
)
