"""Stacks that speak in no more dimensions than there are data (B, Corollary 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import read_only
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..stacked import StackedNetwork

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReducedBottlenecks:
    """The same predictions on the data through narrower bottlenecks.

    network : d_j <= N between any two stacks, N the number of distinct rows of the data.
    before, after : d_1, ..., d_{S-1} of the network given and of `network`.
    cost_before, cost : (S,) R of each stack, see `Penalty`; none rises.
    largest_change : the largest |f_t(x_i) - g_t(x_i)| on the data, in the unit of the outputs.
    """

    network: StackedNetwork
    before: tuple[int, ...]
    after: tuple[int, ...]
    cost_before: Array
    cost: Array
    largest_change: float


def reduce_bottleneck(
    network: StackedNetwork, X: ArrayLike, penalties: Penalty | Sequence[Penalty] | None = None
) -> ReducedBottlenecks:
    """h_j becomes U' h_j and h_{j+1} becomes h_{j+1}(U .), U (d_j, r) a basis of what h_j puts out on X.

    Where nothing stands between stacks (act is the identity). U has orthonormal columns that span the
    outputs h_j(x_1), ..., h_j(x_N), so that U U' h_j(x_i) = h_j(x_i): predictions on the data stay, and
    d_j falls to r <= N. Output weights v_k become U' v_k and input weights U' w_k, c and A of h_j and A
    of h_{j+1} likewise, so that no norm rises: neither R of a stack under any `Penalty` nor the sum of
    squares of its parameters. Away from the data f may change, but not at an optimum with penalised
    biases: there no norm can fall, so that h_j puts out nothing outside the span of U, anywhere.

    So d_j = N is enough for linear act, one less than B asks for. A bottleneck whose outputs on the data
    already have rank d_j stays as it is.

    Parameters
    ----------
    network : act "identity"; any stacks, skip connections and link.
    X : (N, d), or (N,) when d = 1. Equal rows count once.
    penalties : as for `StackedNetwork.costs`.

    Raises
    ------
    TypeError : for what is no `StackedNetwork`.
    ValueError : for another act: it does not commute with U (B's N + 1 for ReLU is unproven); for X that
        does not fit, and for penalties that do not allow a stack's skip connection.
    """
    if not isinstance(network, StackedNetwork):
        raise TypeError(f"network: must be a knotwork.StackedNetwork, got {type(network).__name__}")
    if network.activation != "identity":
        raise ValueError(
            f"activation: must be 'identity', got {network.activation!r}; a function between stacks does "
            "not commute with the projection, and the N + 1 dimensions of B's Corollary 3.2 for ReLU are "
            "unproven"
        )
    penalties = network.penalties(penalties)
    cost_before, wanted = network.costs(penalties), network.predict(X)
    stacks = list(network.stacks)
    inputs = np.unique(network.inputs(X)[0], axis=0)
    for j in range(len(stacks) - 1):
        one, following = stacks[j], stacks[j + 1]
        outputs = one.predict(inputs)
        U = _row_basis(outputs)
        if U.shape[1] < one.n_tasks:
            stacks[j] = ReLUNetwork(one.W, one.b, one.V @ U, one.A @ U, one.c @ U)
            stacks[j + 1] = ReLUNetwork(
                following.W @ U, following.b, following.V, U.T @ following.A, following.c
            )
            outputs = outputs @ U
        inputs = outputs
    reduced = StackedNetwork(tuple(stacks), network.activation, network.link)
    return ReducedBottlenecks(
        reduced,
        network.bottlenecks,
        reduced.bottlenecks,
        read_only(cost_before),
        read_only(reduced.costs(penalties)),
        float(np.abs(reduced.predict(X) - wanted).max(initial=0.0)),
    )


def _row_basis(Z: Array) -> Array:
    """(d, r) orthonormal columns that span the rows of Z (n, d) up to rounding; r = 1 where Z = 0."""
    _, size, rows = np.linalg.svd(Z, full_matrices=False)
    smallest = max(Z.shape) * np.finfo(float).eps * size.max(initial=0.0)
    return rows[: max(int(np.count_nonzero(size > smallest)), 1)].T
