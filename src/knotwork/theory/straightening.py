"""Straight lines between data points in place of any univariate network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..network import ReLUNetwork, safe_row_norms

Array = NDArray[np.float64]


def straighten(network: ReLUNetwork, X: ArrayLike) -> ReLUNetwork:
    """The network of straight lines through f(x_i), at no more cost sum_k |v_k| |w_k|.

    A, Lemma 3.2, for every interval between neighbouring inputs, whatever the loss. A neuron
    that bends in [x_i, x_{i+1}] is shared between the two ends in proportion to its nearness,
    which keeps its values at the data, so that

        jump at x_i = sum_k jump_k hat_i(xi_k),

    hat_i being 1 at x_i, 0 at its neighbours and linear in between. (The lemma says "closest
    knots"; the closest of knots and data points are meant.) Outside the data f goes on as a line,
    since a bend there costs and no datum needs it. One input gives a constant, two a line.

    Parameters
    ----------
    network : one input, any number of tasks.
    X : (N,) or (N, 1) inputs, in any order; equal inputs count once.

    Raises
    ------
    TypeError : for what is not a network, and for arrays that are not numbers.
    ValueError : for a network of several inputs, and for no or infinite inputs.
    """
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
    if network.n_inputs != 1:
        raise ValueError(f"network: must have one input to be straightened, got {network.n_inputs}")
    x = as_float_array(X, "X")
    if x.ndim == 2 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(f"X: must have shape (N,) or (N, 1) with N >= 1, got {x.shape}")
    x = np.unique(x)
    if len(x) == 1:
        nothing = np.zeros((0, 1))
        return ReLUNetwork(nothing, nothing[:, 0], np.zeros((0, network.n_tasks)), c=network.predict(x)[0])
    w, b, V = network.W[:, 0], network.b, network.V
    first, last = np.maximum(w * x[0] + b, 0.0), np.maximum(w * x[-1] + b, 0.0)
    # neurons that do not bend between the data are a line there, or nothing
    line = (np.minimum(w * x[0], w * x[-1]) + b >= 0) | (w == 0)
    on = line & ((w != 0) | (b > 0))
    A, c = network.A[0] + w[on] @ V[on], network.c + b[on] @ V[on]
    bends = ~line & (np.maximum(first, last) > 0)
    w, b, V = w[bends], b[bends], V[bends]
    place = np.clip(-b / w, x[0], x[-1])
    left = np.clip(np.searchsorted(x, place, side="right") - 1, 0, len(x) - 2)
    share = (place - x[left]) / (x[left + 1] - x[left])
    masses = np.zeros((2, len(x), network.n_tasks))
    facing = (w < 0).astype(np.intp)
    jump = np.abs(w)[:, None] * V
    np.add.at(masses, (facing, left), (1.0 - share)[:, None] * jump)
    np.add.at(masses, (facing, left + 1), share[:, None] * jump)
    right_facing, left_facing = masses
    # a bend at an end is a line on the data: x - x_1 to the right of x_1, x_N - x to the left of x_N
    A = A + right_facing[0] - left_facing[-1]
    c = c - x[0] * right_facing[0] + x[-1] * left_facing[-1]
    R, L, x = right_facing[1:-1], left_facing[1:-1], x[1:-1]
    to_right = safe_row_norms(R) >= safe_row_norms(L)
    turned = np.where(to_right[:, None], -L, R)
    A, c = A + turned.sum(axis=0), c - x @ turned
    W, sign = R + L, np.where(to_right, 1.0, -1.0)
    kept = np.any(W != 0, axis=1)
    return ReLUNetwork(sign[kept, None], (0.0 - sign * x)[kept], W[kept], A[None, :], c)
