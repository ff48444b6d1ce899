"""How far a trained network is from the global optimum, and a network that is better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..certificate import Certificate, certify
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..problem import INTERPOLATION_TOLERANCE, Problem
from ..solution import Solution
from ..solvers.solve import solve
from ..solvers.watch import Progress
from ..theory.compression import compress
from ..theory.uniqueness import Uniqueness, uniqueness
from .neurons import look_at
from .result import Audit, Objectives


def audit(
    network: ReLUNetwork,
    problem: Problem,
    *,
    tol: float = 1e-8,
    max_seconds: float | None = None,
    max_cells: int = 2_000_000,
    random_state: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Audit:
    """min over networks of any width of F <= F(network) <= loss + lam (sum of squares of its parameters) / 2

    for a network trained anywhere: all three, and what stands between them. The problem is solved from
    the network, which bounds the left side by its dual point; the network is rescaled, its equal
    neurons merged, and compressed; its neurons are looked at one by one.

    Parameters
    ----------
    network : of as many inputs and tasks as the problem.
    problem : the data in the units that the network was trained in, and the penalty and `lam` it was
        trained with (`knotwork.lam_from_weight_decay`). PyTorch's weight decay acts on biases
        too: that is `Penalty(True, "none")`, or `Penalty(True, "frobenius")` with a skip connection.
    tol, max_seconds, max_cells, random_state, progress : of the solver, see `solve`. However early it
        stops, the bound is valid; the seconds are the solver's alone. `max_cells` also decides how
        the network's own certificate is found.

    Raises
    ------
    TypeError, ValueError : for arguments of the wrong kind; for a skip connection that the penalty
        does not allow; as `solve` does.
    """
    _check(network, problem)
    own = certify(problem, network, max_cells=max_cells, random_state=random_state)
    solution = solve(
        problem,
        tol=tol,
        start=network,
        max_seconds=max_seconds,
        max_cells=max_cells,
        random_state=random_state,
        progress=progress,
    )
    penalty = problem.penalty
    balanced, merged = network.balance(penalty), network.canonicalise(penalty)
    compressed, notices = _compressed(merged, problem)
    chain = [network, balanced, *(one.balance(penalty) for one in (merged, compressed, solution.network))]
    values = [parameter_objective(problem, one) for one in chain]
    best = int(np.argmin(values))
    objectives = Objectives(
        values[0],
        problem.objective(network),
        problem.objective(merged),
        problem.objective(compressed),
        solution.certificate.primal,
        values[best],
    )
    return Audit(
        problem,
        network,
        balanced,
        merged,
        compressed,
        objectives,
        solution,
        _certificate(problem, network, objectives.balanced, solution.certificate, own),
        own,
        look_at(network, problem),
        _uniqueness(solution),
        chain[best],
        notices,
    )


def parameter_objective(problem: Problem, network: ReLUNetwork) -> float:
    """Loss + lam (sum of squares of the penalised parameters) / 2, at the scaling of the neurons as it is;
    a nuclear skip connection counts |A|_*. At lam = 0 the penalty, infinite where labels are missed."""
    penalty = problem.penalty
    parts = [network.W, network.V]
    if penalty.biases:
        parts += [network.b, network.c]
    if penalty.skip == "frobenius":
        parts.append(network.A)
    with np.errstate(over="ignore"):
        cost = 0.5 * float(sum(np.sum(part * part) for part in parts))
    if penalty.skip == "nuclear":
        cost += float(np.linalg.svd(network.A, compute_uv=False).sum())
    if problem.lam > 0:
        return problem.loss_value(network) + problem.lam * cost
    met = problem.misfit(network) <= INTERPOLATION_TOLERANCE * problem.label_scale
    return cost if met else float("inf")


def _check(network: object, problem: object) -> None:
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    if not isinstance(network, ReLUNetwork):
        raise TypeError(
            f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}; of a model file "
            "kw.load_network makes one, of a Solution pass solution.network"
        )
    problem.check_network(network)


def _compressed(merged: ReLUNetwork, problem: Problem) -> tuple[ReLUNetwork, tuple[str, ...]]:
    """`merged` compressed; as it is where rounding keeps its predictions from being kept, or where the
    compressed one's rounding costs more."""
    try:
        small = compress(merged, problem.X, problem.penalty).network
    except ArithmeticError as error:
        return merged, (f"not compressed ({error})",)
    return (small if problem.objective(small) <= problem.objective(merged) else merged), ()


def _certificate(
    problem: Problem, network: ReLUNetwork, primal: float, solved: Certificate, own: Certificate
) -> Certificate:
    best = max(solved, own, key=lambda one: (one.bound, one.dual))
    gap, relative, slack = max(primal - best.dual, 0.0), 0.0, 0.0
    if gap > 4.0 * np.finfo(float).eps * abs(primal):
        relative = gap / max(abs(primal), abs(best.dual)) if np.isfinite(primal) else float("inf")
    if problem.lam == 0:
        slack = float(np.nansum(best.dual_point * (problem.Y - network.predict(problem.X))))
    return replace(best, primal=primal, gap=gap, relative_gap=relative, slack=slack)


def _uniqueness(solution: Solution) -> Uniqueness | None:
    return None if solution.certificate.rigour is Rigour.HEURISTIC else uniqueness(solution)
