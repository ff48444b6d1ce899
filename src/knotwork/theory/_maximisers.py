"""Several inputs: one solution where all neurons that touch the bound are independent on the data."""

from __future__ import annotations

import numpy as np

from ..dual_norm import Rigour
from ..dual_norm.several import UnitNeurons
from ..losses import Multinomial
from ..solution import Solution, Status
from ._continua import may_go_on
from .independence import neurons_independent

_MOST = 5000
SHARED_BY_CLASSES = "a constant added to all classes changes neither loss nor cost"


def decide_by_maximisers(solution: Solution) -> tuple[bool | None, str]:
    """(True, why) where the solution is proven unique, (False, why) for classes with free biases, else
    (None, why not).

    With a certified gap e the dual point is known to about sqrt(e): every local maximiser of the dual
    norm within ten times that of lam is counted, and so is any dependence that small.
    """
    problem, certificate = solution.problem, solution.certificate
    classes = isinstance(problem.loss, Multinomial)
    if solution.status is Status.UNATTAINED:
        return None, f"there is no solution: {solution.status.value}"
    if classes and not problem.penalty.biases:
        return False, SHARED_BY_CLASSES
    if solution.status is not Status.OPTIMAL:
        return None, "the solution is not certified optimal; solve to a smaller gap first"
    if certificate.rigour is not Rigour.EXACT:
        return None, "the dual norm was not maximised exactly, so that not all maximisers are known"
    # of classes the fitted values but for what all share; penalised, that is 0 in every optimum
    if problem.lam == 0 or not (classes or problem.loss_function.strictly_convex):
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
    if not found.independent:
        reached = f"{found.n_neurons} neurons reach the bound, of rank {found.rank}"
        return None, f"{reached}: several networks may be optimal"
    near = max(10.0 * close, 1e-5)
    if any(may_go_on(problem.X, alpha, one, problem.penalty.biases, near) for one in touching):
        return None, "neurons that reach the bound may be a continuum: several networks may be optimal"
    return True, f"the {found.n_neurons} neurons that reach the bound are independent on the data"
