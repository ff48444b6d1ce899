"""What each stack of a deep network costs, from its parameters down to a bound by its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ..dual_norm import Rigour
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..stacked import StackedNetwork
from ..theory.representational_cost import representational_cost

Array = NDArray[np.float64]
_ROUNDING = 16.0 * float(np.finfo(np.float64).eps)
_NEAR = 1e-6


@dataclass(frozen=True, eq=False)
class StackCost:
    """One stack's cost, read four ways, each at most the one before.

    raw : half the sum of squares of its penalised parameters as they are (a skip connection under the
        nuclear norm counts with that norm: its factors are not kept).
    balanced : R of the parameters, every neuron balanced; an upper bound of P_j(h_j), not P_j itself.
    merged : the same once neurons that are positive multiples of one another, to rounding, are one.
    function : P_j(h_j), what the function costs whichever network writes it, for one input (B (7), (11),
        (12) in the scaling of `Penalty`); None for several inputs.
    data_bound : a proven lower bound of what any function with the same outputs on the stack's inputs
        costs, and so of P_j(h_j). Inputs within 1e-6 of their range count once, and what rounding of
        the outputs may hide is taken off.
    rigour : of the dual point behind `data_bound`; where it is HEURISTIC the bound may be far below.
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
        merged = _merged(stack, penalty)
        bound, rigour = _data_bound(merged, inputs, penalty, tol, max_seconds)
        function = float(representational_cost(merged, penalty)) if stack.n_inputs == 1 else None
        balanced = stack.cost(penalty)
        costs.append(
            StackCost(raw_cost(stack, penalty), balanced, merged.cost(penalty), function, bound, rigour)
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


def _merged(stack: ReLUNetwork, penalty: Penalty) -> ReLUNetwork:
    """`canonicalise`, and neurons that only rounding keeps apart are one too."""
    network = stack.canonicalise(penalty)
    rows = np.column_stack([network.W, network.b])
    if len(rows) < 2:
        return network
    pairs = KDTree(rows / safe_row_norms(rows)[:, None]).query_pairs(_ROUNDING, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(rows),) * 2)
    number, group = connected_components(links, directed=False)
    V = np.zeros((number, network.n_tasks))
    np.add.at(V, group, network.V)
    first = np.unique(group, return_index=True)[1]
    return ReLUNetwork(network.W[first], network.b[first], V, network.A, network.c)


def _data_bound(
    stack: ReLUNetwork, inputs: Array, penalty: Penalty, tol: float, max_seconds: float | None
) -> tuple[float, Rigour]:
    inputs = _apart(inputs)
    problem = Problem(inputs, stack.predict(inputs), 0.0, penalty=penalty)
    certificate = solve(problem, tol=tol, max_seconds=max_seconds).certificate
    # the dual value is linear in the labels, and these are the outputs but for rounding
    hidden = float(safe_row_norms(certificate.dual_point) @ _rounding_of_outputs(stack, inputs))
    return max(certificate.bound - hidden, 0.0), certificate.rigour


def _apart(inputs: Array) -> Array:
    """Those of the inputs that are not near one before: across small steps rounding makes steep slopes."""
    tree, kept = KDTree(inputs), np.ones(len(inputs), dtype=bool)
    radius = _NEAR * float(np.linalg.norm(np.ptp(inputs, axis=0)))
    for i, near in enumerate(tree.query_ball_point(inputs, radius)):
        if kept[i]:
            kept[near] = False
            kept[i] = True
    return inputs[kept]


def _rounding_of_outputs(stack: ReLUNetwork, inputs: Array) -> Array:
    """(n,) how far the outputs computed may be from those in exact arithmetic, at most."""
    x = np.abs(inputs)
    terms = (
        (x @ np.abs(stack.W).T + np.abs(stack.b)) @ np.abs(stack.V) + x @ np.abs(stack.A) + np.abs(stack.c)
    )
    steps = stack.n_neurons + 2 * stack.n_inputs + 4
    return steps * np.finfo(np.float64).eps * safe_row_norms(terms)
