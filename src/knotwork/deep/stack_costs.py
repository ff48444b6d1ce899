"""What each stack of a deep network costs, from its parameters down to a bound by its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..stacked import StackedNetwork
from ..theory.representational_cost import representational_cost

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StackCost:
    """One stack's cost, read four ways, each at most the one before.

    raw : half the sum of squares of its penalised parameters as they are (a skip connection under the
        nuclear norm counts with that norm: its factors are not kept).
    balanced : R of the parameters, every neuron balanced; an upper bound of P_j(h_j), not P_j itself.
    merged : the same once neurons that are positive multiples of one another are one.
    function : P_j(h_j), what the function costs whichever network writes it, for one input (B (7), (11),
        (12) in the scaling of `Penalty`); None for several inputs.
    data_bound : the least cost of any function with the same outputs on the stack's inputs: a proven
        lower bound of P_j(h_j), but where `rigour` is HEURISTIC.
    rigour : of `data_bound`.
    """

    raw: float
    balanced: float
    merged: float
    function: float | None
    data_bound: float
    rigour: Rigour


def stack_costs(
    network: StackedNetwork,
    X: ArrayLike,
    penalties: Penalty | Sequence[Penalty] | None = None,
    *,
    tol: float = 1e-8,
    max_seconds: float | None = None,
) -> list[StackCost]:
    """The chain raw >= balanced >= merged (>= function) >= data bound of every stack (B (6), (7)).

    Parameters
    ----------
    X : (n, d) the inputs of the first stack; those of the others are what the stacks before put out.
    penalties : one for all stacks or one each; by default all parameters are decayed (B (4)).
    tol, max_seconds : of the minimum-norm interpolation that gives each data bound; a bound from a solve
        that was cut short is valid, and lower.

    Raises
    ------
    TypeError, ValueError : as `StackedNetwork.penalties` and `Problem`.
    """
    costs = []
    pairs = zip(network.stacks, network.inputs(X), network.penalties(penalties), strict=True)
    for stack, inputs, penalty in pairs:
        # equal inputs have equal outputs, but for the order in which a sum was rounded
        inputs = np.unique(inputs, axis=0)
        problem = Problem(inputs, stack.predict(inputs), 0.0, penalty=penalty)
        certificate = solve(problem, tol=tol, max_seconds=max_seconds).certificate
        heuristic = certificate.rigour is Rigour.HEURISTIC
        merged = stack.canonicalise(penalty).cost(penalty)
        function = float(representational_cost(stack, penalty)) if stack.n_inputs == 1 else None
        costs.append(
            StackCost(
                raw_cost(stack, penalty),
                stack.cost(penalty),
                merged,
                function,
                certificate.bound if heuristic else certificate.dual,
                certificate.rigour,
            )
        )
    return costs


def raw_cost(network: ReLUNetwork, penalty: Penalty) -> float:
    """Half the sum of squares of the penalised parameters, unbalanced; |A|_* under the nuclear norm."""
    square = float(np.sum(network.W**2) + np.sum(network.V**2))
    if penalty.biases:
        square += float(np.sum(network.b**2) + np.sum(network.c**2))
    if penalty.skip == "frobenius":
        square += float(np.sum(network.A**2))
    nuclear = float(np.linalg.svd(network.A, compute_uv=False).sum()) if penalty.skip == "nuclear" else 0.0
    return 0.5 * square + nuclear
