"""From parameters to solutions: polished where asked for, pruned, certified."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from ..certificate import Certificate, certify
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solution import Solution, Status, TraceEntry
from ._jax import precision
from ._model import Model, to_network
from ._options import Options
from ._polish import polish
from .training import Training


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the loop ended with, seed by seed; `witness` has the best lower bound certified on the way."""

    parameters: list[dict[str, np.ndarray]]
    traces: list[tuple[TraceEntry, ...]]
    steps: tuple[int, ...]
    finite: tuple[bool, ...]
    stopped: bool
    witness: dict[str, np.ndarray] | None
    batching: str


def finish(problem: Problem, options: Options, model: Model, outcome: Outcome, began: float) -> Training:
    """The solutions of all seeds."""
    parameters = outcome.parameters
    if options.polish:
        with precision("float64"):
            parameters = [polish(problem, model, one, options.polish) for one in parameters]
    networks = [prune(to_network(one), problem.penalty, options.prune) for one in parameters]
    objectives = [problem.objective(network) for network in networks]
    base = _bound(problem, networks[int(np.argmin(objectives))], options)
    if outcome.witness is not None:
        base = max(base, certify(problem, to_network(outcome.witness)), key=proven)
    solutions = []
    for k, network in enumerate(networks):
        certificate = _certificate(base, objectives[k])
        status = _status(certificate, options, outcome, k)
        solutions.append(Solution(problem, network, certificate, status, outcome.traces[k]))
    return Training(
        problem,
        tuple(solutions),
        options.seed_numbers,
        outcome.steps,
        base.dual,
        time.monotonic() - began,
        outcome.batching,
    )


def prune(network: ReLUNetwork, penalty: Penalty, threshold: float) -> ReLUNetwork:
    """Without the neurons that cost at most `threshold`; at 0 no prediction changes.

    Where biases are free, constant neurons cost nothing and move into c.
    """
    if not penalty.biases:
        return network.prune(threshold)
    keep = network.neuron_costs(penalty) > threshold
    return ReLUNetwork(network.W[keep], network.b[keep], network.V[keep], network.A, network.c)


def _bound(problem: Problem, network: ReLUNetwork, options: Options) -> Certificate:
    """The certificate whose lower bound stands for all seeds."""
    if isinstance(options.lower_bound, Solution):
        return options.lower_bound.certificate
    if options.certify:
        return certify(problem, network)
    primal, nothing = problem.objective(network), np.zeros(problem.Y.shape)
    # no loss and no cost is negative: what the dual point 0 proves
    return Certificate(primal, 0.0, primal, 1.0, Rigour.EXACT, 0.0, None, 0.0, lambda: nothing)


def proven(certificate: Certificate) -> float:
    """The lower bound that rests on no search."""
    return certificate.bound if certificate.rigour is Rigour.HEURISTIC else certificate.dual


def _certificate(base: Certificate, objective: float) -> Certificate:
    """Weak duality holds of every network: `base` with another primal."""
    if objective == base.primal:
        return base
    gap = max(objective - base.dual, 0.0)
    size = max(abs(objective), abs(base.dual))
    return replace(base, primal=objective, gap=gap, relative_gap=gap / size if size > 0 else 0.0)


def _status(certificate: Certificate, options: Options, outcome: Outcome, k: int) -> Status:
    if options.tol is not None and certificate.relative_gap <= options.tol:
        return Status.SEARCHED if certificate.rigour is Rigour.HEURISTIC else Status.OPTIMAL
    if not outcome.finite[k]:
        return Status.DIVERGED
    if outcome.stopped or outcome.steps[k] < options.steps:
        return Status.STOPPED
    return Status.MAX_STEPS
