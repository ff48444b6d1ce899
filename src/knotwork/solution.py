"""What was solved, how it ended, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .certificate import Certificate
from .network import ReLUNetwork
from .problem import Problem


class Status(Enum):
    """Why the solver stopped; the value is the message to the user, remedy included."""

    OPTIMAL = "the certified gap is within tol"
    MAX_ROUNDS = "stopped at max_rounds before the gap was within tol; increase max_rounds or loosen tol"
    MAX_STEPS = (
        "trained for all steps before the gap was within tol; increase steps, ask for polish, or hand the "
        "network to knotwork.solve as its start"
    )
    DIVERGED = "training left float64, and the best network before that is returned; lower the learning rate"
    MAX_SECONDS = "stopped at max_seconds before the gap was within tol; increase max_seconds or loosen tol"
    STOPPED = "stopped on request before the gap was within tol; solve again with start=solution.network"
    SEARCHED = (
        "no neuron was found that betters the fit by more than tol: a search, not a proof; "
        "certificate.bound is proven, and a larger max_cells may make all of it so"
    )
    UNATTAINED = (
        "the labels are separable, so that no network attains the infimum; the network returned is within "
        "the certified gap of it"
    )
    STALLED = (
        "no step lessened the gap any more; loosen tol. In one input that is the end of float64: subtract an "
        "origin from X if its values are large beside their range. In several inputs it may be the end of a "
        "search, which another random_state or a larger max_cells carries on"
    )


@dataclass(frozen=True)
class TraceEntry:
    """One round of a solver: what it knew by then.

    round : counted from 0.
    seconds : since `solve` began.
    objective : F of the iterate.
    gap : its duality gap, in the units of F.
    n_knots : neurons of the iterate.
    """

    round: int
    seconds: float
    objective: float
    gap: float
    n_knots: int


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved problem: the best network found, its certificate, and the solver's account.

    The certificate comes from the network and the data alone, by none of the solver's numbers.
    """

    problem: Problem
    network: ReLUNetwork
    certificate: Certificate
    status: Status
    trace: tuple[TraceEntry, ...] = ()
