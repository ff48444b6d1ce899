"""What an audit found, in sentences that the page and the console share."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context

from ..auditing import Audit
from ..dual_norm import Rigour
from ..solution import Status
from .text import count

_SOME = 12
# what rescaling takes away is worth a sentence from this share on
_RESCALED = 0.1
_BETTER = 1e-6


def percent_up(share: float) -> str:
    """A share in per cent, rounded up to three digits: what is "at most" so stays true."""
    if not math.isfinite(share):
        return "∞ %"
    rounded = Context(prec=3, rounding=ROUND_CEILING).create_decimal_from_float(100.0 * share)
    return f"{float(rounded):.5g} %"


def verdict(audit: Audit) -> str:
    """How far from the optimum the network is, and how much of that is proven."""
    certificate, given = audit.certificate, audit.objectives.given
    rigour = certificate.rigour
    if not math.isfinite(given):
        missed = audit.problem.misfit(audit.network)
        return (
            f"At lam = 0 labels are to be met, and the network misses one by {missed:.3g}: its objective is "
            f"infinite. That of any network that meets them is at least {certificate.bound:.6g}."
        )
    if rigour is Rigour.HEURISTIC:
        proven = audit.proven_excess
        known = (
            f"What is proven: at most {percent_up(proven)} above the least objective of any network."
            if math.isfinite(proven)
            else "No bound above 0 is proven."
        )
        if not math.isfinite(audit.excess):
            return f"Not even a search bounds the least objective of any network from 0. {known}"
        return (
            f"By a search, which proves nothing, the network is {percent_up(audit.excess)} above the least "
            f"objective of any network ({rigour.name}). {known}"
        )
    if not math.isfinite(audit.excess):
        return (
            f"The network is at most {given:.6g} above the global optimum ({rigour.name}): that is its whole "
            "objective, as the optimum may be 0."
        )
    said = f"The network is at most {percent_up(audit.excess)} above the global optimum ({rigour.name})."
    if audit.rescaled_excess < (1.0 - _RESCALED) * audit.excess:
        left = percent_up(audit.rescaled_excess)
        said += f" Rescaling its neurons, which moves no prediction, leaves at most {left}."
    return said


def improvement(audit: Audit) -> str:
    """What the better network is worth."""
    given, improved = audit.objectives.given, audit.objectives.improved
    if audit.improved is audit.network:
        return "No better network was found."
    neurons = f"{count(audit.improved.n_neurons, 'neuron')} instead of {audit.network.n_neurons}"
    if not math.isfinite(given):
        return f"A network of objective {improved:.8g} was found, with {neurons}."
    if improved > (1.0 - _BETTER) * given:
        return f"The best network found is no more than a millionth better; it has {neurons}."
    less = f"{100.0 * (1.0 - improved / given):.3g} % less"
    return f"A network of objective {improved:.8g} was found, {less} than {given:.8g}, with {neurons}."


def objective_rows(audit: Audit) -> list[tuple[str, float, int, str, str]]:
    """Name, objective, neurons, excess over the dual bound, and what was done, from worst to best."""
    penalised = "½ sum of squares" + (" + |A|_*" if audit.problem.penalty.skip == "nuclear" else "")
    networks = (
        ("as given", audit.network, f"loss + lam · ({penalised} of the decayed parameters)"),
        ("rescaled", audit.balanced, f"loss + lam · ({audit.problem.penalty.formula})"),
        ("merged", audit.merged, "equal neurons made one"),
        ("compressed", audit.compressed, "the same predictions on the data, at the least cost"),
        ("solver's", audit.solution.network, "best of any width that was found"),
    )
    rows = []
    for (name, network, what), value in zip(networks, audit.objectives, strict=False):
        excess = audit.excess_of(value)
        above = percent_up(excess) if math.isfinite(excess) else ""
        rows.append((name, value, network.n_neurons, above, what))
    return rows


def bound_sentences(audit: Audit) -> list[str]:
    """The bound, how it was proven, and what the network's own residual would have proven."""
    best, own = audit.certificate, audit.own_certificate
    said = [f"Dual bound {best.dual:.10g}; {best.rigour.value}."]
    if best.rigour is Rigour.HEURISTIC:
        said.append(f"Proven bound {best.bound:.10g}, by the spectral norm.")
    only = " only" if own.dual < best.dual else ""
    searched = " (by search)" if own.rigour is Rigour.HEURISTIC else ""
    said.append(
        f"The gap to it is {best.gap:.3g}, {percent_up(best.relative_gap)} of the objective at the best "
        f"scaling. The network's own residual bounds the least objective by {own.dual:.10g}{only}{searched}."
    )
    status = audit.solution.status
    if status is not Status.OPTIMAL:
        said.append(f"The solver: {status.value}.")
    return said


def bound_meaning(audit: Audit) -> str:
    """Why the bound is one, and for which networks."""
    known = "was found that responds" if audit.certificate.rigour is Rigour.HEURISTIC else "responds"
    return (
        "The bound is for networks of any width, with biases: by weak duality, from a point to which no unit "
        f"neuron {known} more than lam."
    )


def neuron_sentences(audit: Audit) -> list[str]:
    """How many neurons are dead, repeated and shared, and which."""
    neurons, n_tasks = audit.neurons, audit.problem.n_tasks
    said = [
        f"{len(neurons.dead)} of {count(audit.network.n_neurons, 'neuron')} dead on the data"
        f"{_listed(neurons.dead.tolist())}",
        f"{count(len(neurons.duplicate), 'duplicate')} up to scale{_listed(neurons.duplicate.tolist())}",
    ]
    if n_tasks > 1:
        which = _listed(neurons.shared.tolist())
        said.append(f"{len(neurons.shared)} used by more than one of {n_tasks} tasks{which}")
    return said


def uniqueness_sentence(audit: Audit) -> str:
    """Whether the network could have become another one just as good."""
    found = audit.uniqueness
    if found is None:
        return "Not known: only a search ran."
    word = {True: "One solution only", False: "More than one solution", None: "Not known"}[found.unique]
    return f"{word}: {found.reason}."


def _listed(indices: list[int]) -> str:
    if not indices:
        return ""
    return ": " + ", ".join(map(str, indices[:_SOME])) + (", ..." if len(indices) > _SOME else "")
