"""What an audit found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._files import finite
from ..certificate import Certificate
from ..losses import PerTask
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution
from ..theory.uniqueness import Uniqueness
from .neurons import Neurons

_ROUNDING = 1e-14


class Objectives(NamedTuple):
    """Loss plus lam times the penalty, of one function after another; none is larger than the one before
    but `solved`, where the solver was stopped early.

    given : of the parameters as they are. Sums of squares are halved and summed, as a gradient step with
        weight decay sees them: sum_k (|v_k|^2 + |w_k|^2) / 2, with b_k^2, |c|^2 and |A|_F^2 where they
        are decayed.
    balanced : the same function, its neurons rescaled: sum_k |v_k| |w_k| (`ReLUNetwork.balance`).
    merged : equal neurons are one (`ReLUNetwork.canonicalise`).
    compressed : the same predictions on the data at the least cost (`knotwork.compress`).
    solved : of the solver's network.
    improved : of the parameters of `Audit.improved`, as `given` is.
    """

    given: float
    balanced: float
    merged: float
    compressed: float
    solved: float
    improved: float


@dataclass(frozen=True, eq=False)
class Audit:
    """What is known of a network on a problem, see `knotwork.audit`.

    problem, network : what was given.
    balanced, merged, compressed : networks of the same predictions on the data, see `Objectives`.
    objectives : of all of them.
    solution : the solver's, started from the network.
    certificate : of the network, its dual bound the better one of the solver's and its own:
        `primal` is F(network), as `objectives.balanced`.
    own_certificate : `knotwork.certify(problem, network)`: valid, and loose where the network is
        not stationary.
    neurons : which are dead, duplicates or shared.
    uniqueness : of the solution; None where its certificate is no proof.
    improved : the network of least `Objectives.improved` of all here, never above `given`; balanced.
    notices : what could not be done.
    """

    problem: Problem
    network: ReLUNetwork
    balanced: ReLUNetwork
    merged: ReLUNetwork
    compressed: ReLUNetwork
    objectives: Objectives
    solution: Solution
    certificate: Certificate
    own_certificate: Certificate
    neurons: Neurons
    uniqueness: Uniqueness | None
    improved: ReLUNetwork
    notices: tuple[str, ...] = ()

    @property
    def excess(self) -> float:
        """objectives.given / dual - 1: how far above the global optimum the parameters are at most, as a
        share of it, as far as `certificate.rigour` says; infinite where the dual bound is 0."""
        return self.excess_of(self.objectives.given)

    @property
    def rescaled_excess(self) -> float:
        """The same of `balanced`: what is left once its neurons are rescaled."""
        return self.excess_of(self.objectives.balanced)

    @property
    def proven_excess(self) -> float:
        """`excess` by the proven bound, which is another one where rigour is HEURISTIC."""
        return self._excess(self.objectives.given, self.certificate.bound)

    def excess_of(self, objective: float) -> float:
        """objective / dual - 1 of any objective."""
        return self._excess(objective, self.certificate.dual)

    def _excess(self, objective: float, bound: float) -> float:
        return max(objective / bound - 1.0, 0.0) if bound > self._rounding else math.inf

    @cached_property
    def _rounding(self) -> float:
        """A bound up to this is the rounding of 0: 1e-14 of the loss without any network."""
        problem = self.problem
        if problem.lam == 0:
            return _ROUNDING * problem.label_scale
        nothing = np.zeros((0, problem.n_inputs)), np.zeros(0), np.zeros((0, problem.n_tasks))
        return _ROUNDING * problem.loss_value(ReLUNetwork(*nothing))

    def record(self) -> dict[str, Any]:
        """Plain numbers and text, None for what is not finite: what JSON can hold."""
        problem, neurons, loss = self.problem, self.neurons, self.problem.loss_function
        names = [one.name for one in loss.losses] if isinstance(loss, PerTask) else loss.name
        unique = self.uniqueness
        networks = {
            "given": self.network,
            "balanced": self.balanced,
            "merged": self.merged,
            "compressed": self.compressed,
            "solved": self.solution.network,
            "improved": self.improved,
        }
        record = {
            "problem": {
                "loss": names,
                "penalty": problem.penalty.formula,
                "lam": problem.lam,
                "rows": problem.n_rows,
                "inputs": problem.n_inputs,
                "tasks": problem.n_tasks,
                "labels": int(problem.n_labels.sum()),
            },
            "objectives": self.objectives._asdict(),
            "neurons": {name: network.n_neurons for name, network in networks.items()},
            "excess": self.excess,
            "rescaled_excess": self.rescaled_excess,
            "proven_excess": self.proven_excess,
            "certificate": _numbers(self.certificate),
            "own_certificate": _numbers(self.own_certificate),
            "solver": {
                "status": self.solution.status.name,
                "message": self.solution.status.value,
                **_numbers(self.solution.certificate),
                "rounds": len(self.solution.trace),
            },
            "dead": neurons.dead.tolist(),
            "duplicate": neurons.duplicate.tolist(),
            "duplicate_of": neurons.duplicate_of.tolist(),
            "shared": neurons.shared.tolist(),
            "sharing": neurons.sharing.tolist(),
            "unique": None if unique is None else unique.unique,
            "unique_reason": None if unique is None else unique.reason,
            "notices": list(self.notices),
        }
        return finite(record)


def _numbers(certificate: Certificate) -> dict[str, Any]:
    return {
        "objective": certificate.primal,
        "dual": certificate.dual,
        "bound": certificate.bound,
        "gap": certificate.gap,
        "relative_gap": certificate.relative_gap,
        "rigour": certificate.rigour.name,
    }
