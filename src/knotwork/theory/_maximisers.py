"""Several inputs: one solution where all neurons that touch the bound are independent on the data."""

from __future__ import annotations

import numpy as np

from ..dual_norm import Rigour
from ..dual_norm.several import UnitNeurons
from ..solution import Solution, Status
from .independence import neurons_independent

_MOST = 5000


def decide_by_maximisers(solution: Solution) -> tuple[bool | None, str]:
    """(True, why) where the solution is proven unique, else (None, why not).

    With a certified gap e the dual point is known to about sqrt(e): every local maximiser of the dual
    norm within ten times that of lam is counted, and so is any dependence that small.
    """
    problem, certificate = solution.problem, solution.certificate
    if solution.status is not Status.OPTIMAL:
        return None, "the solution is not certified optimal; solve to a smaller gap first"
    if certificate.rigour is not Rigour.EXACT:
        return None, "the dual norm was not maximised exactly, so that not all maximisers are known"
    if problem.lam == 0 or not problem.loss_function.strictly_convex:
        return None, "only for lam > 0 and a strictly convex loss are the fitted values known to be unique"
    alpha, lam = certificate.dual_point, problem.lam
    close = 10.0 * float(np.sqrt(max(certificate.relative_gap, 1e-20)))
    units = UnitNeurons(problem.X, problem.penalty)
    best = units.maximise(alpha, lam * (1.0 - 2.0 * close), _MOST)
    touching = best.neurons[best.values >= lam * (1.0 - close)]
    if best.rigour is not Rigour.EXACT or len(best.neurons) >= _MOST:
        return None, "not all maximisers of the dual norm could be listed"
    if len(touching) == 0:
        return True, "no neuron reaches the bound: the solution is its free parts"
    found = neurons_independent(
        problem.X, touching, alpha, problem.penalty, problem.label_weight() > 0, tol=max(close, 1e-7)
    )
    if found.independent:
        return True, f"the {found.n_neurons} neurons that reach the bound are independent on the data"
    return (
        None,
        f"{found.n_neurons} neurons reach the bound, of rank {found.rank}: several networks may be optimal",
    )
