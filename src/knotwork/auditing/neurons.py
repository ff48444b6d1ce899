"""Which neurons of a network do nothing, which repeat another, and which tasks use them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from .._validate import read_only
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ..problem import Problem

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_CHUNK = 1 << 18
_NOTHING = 1e-12
_SAME = 1e-6
_USES = 0.01


@dataclass(frozen=True, eq=False)
class Neurons:
    """The K neurons of a network on the data of a problem.

    cost : (K,) lam times what the penalty charges for each, in units of the objective.
    active : (K,) the share of the labelled rows on which each is active, w_k x_i + b_k > 0.
    dead : neurons that never are, or whose weights are zero: what they add to any labelled row
        is at most 1e-12 of the most that any neuron adds.
    duplicate : living neurons that are another one up to scale: their (w, b), of unit length in
        inputs shifted and scaled to [-1, 1], are within 1e-6 of it. Under a free skip connection
        relu(-z) = relu(z) - z is a duplicate of relu(z).
    duplicate_of : the first of those that each one repeats.
    shared : living neurons that more than one task uses, which is to have over 1 % of `sharing`.
    sharing : (T, K) v_kt^2 / |v_k|^2: the share of each task in the cost of each neuron (A, Lemma
        4.2); columns sum to 1, or are 0 where v_k = 0.
    """

    cost: Array
    active: Array
    dead: Index
    duplicate: Index
    duplicate_of: Index
    shared: Index
    sharing: Array


def look_at(network: ReLUNetwork, problem: Problem) -> Neurons:
    """The neurons of a network that fits the problem."""
    X = problem.X[problem.label_weight().any(axis=1)]
    norms = safe_row_norms(network.V)
    largest, active = _activity(network, X)
    added = largest * norms
    dead = added <= _NOTHING * added.max(initial=0.0)
    alive = np.flatnonzero(~dead)
    duplicate, duplicate_of = _duplicates(network, alive, X, problem.penalty)
    with np.errstate(invalid="ignore", divide="ignore"):
        sharing = np.where(norms > 0, (network.V.T / norms) ** 2, 0.0)
    users = np.count_nonzero(sharing > _USES, axis=0)
    return Neurons(
        read_only(problem.lam * network.neuron_costs(problem.penalty)),
        read_only(active),
        np.flatnonzero(dead),
        duplicate,
        duplicate_of,
        alive[users[alive] > 1],
        read_only(sharing),
    )


def _activity(network: ReLUNetwork, X: Array) -> tuple[Array, Array]:
    """(K,) the largest value of each neuron on the rows, and the share of rows where it is positive."""
    largest, count = np.zeros(network.n_neurons), np.zeros(network.n_neurons)
    step = max(1, _CHUNK // max(1, network.n_neurons))
    for low in range(0, len(X), step):
        values = X[low : low + step] @ network.W.T + network.b
        largest = np.maximum(largest, values.max(axis=0))
        count += np.count_nonzero(values > 0, axis=0)
    return largest, count / len(X)


def _duplicates(network: ReLUNetwork, alive: Index, X: Array, penalty: Penalty) -> tuple[Index, Index]:
    """Living neurons that repeat an earlier one up to scale, and which."""
    nothing = np.zeros(0, dtype=np.intp)
    if len(alive) < 2:
        return nothing, nothing
    low, high = X.min(axis=0), X.max(axis=0)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    # an input that never varies cannot tell neurons apart
    unit = np.column_stack([network.W[alive] * half, network.W[alive] @ middle + network.b[alive]])
    unit /= safe_row_norms(unit)[:, None]
    # under a free skip connection -z is as good as z
    points = np.vstack([unit, -unit]) if penalty.skip == "free" else unit
    pairs = KDTree(points).query_pairs(_SAME, output_type="ndarray") % len(alive)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(alive), len(alive)))
    _, group = connected_components(graph, directed=False)
    _, first_of = np.unique(group, return_index=True)
    repeats = np.flatnonzero(first_of[group] != np.arange(len(alive)))
    return alive[repeats], alive[first_of[group[repeats]]]
