"""The kernels of infinitely wide ReLU networks whose hidden layers are not learned: NNGP and NTK.

The network of `depth` = L hidden layers is, with every entry of W, V, b and c standard normal,

    h_1 = sqrt(input_variance) W_1 x + sqrt(bias_variance) b_1
    h_l = sqrt(weight_variance / n) W_l relu(h_{l-1}) + sqrt(bias_variance) b_l            l = 2..L
    f   = sqrt(weight_variance / n) V relu(h_L) + sqrt(output_bias_variance) c

(the "NTK parametrisation"). As the widths n go to infinity, f is a Gaussian process of independent
outputs with kernel `arc_cosine_kernel` (Neal 1996; Lee et al. 2018), and gradient flow on all
parameters from there is kernel regression with `neural_tangent_kernel` (Jacot, Gabriel, Hongler
2018). Neither kernel depends on the labels: the limits that paper B sets itself apart from (B, 1, 4).

The variance of the first layer is not divided by the number of inputs d: where another library has
W_std^2 / d (neural-tangents, and Lee et al.), that is `input_variance` here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from .._validate import as_count
from ._inputs import as_number, as_pair

Array = NDArray[np.float64]


def arc_cosine_kernel(
    X: ArrayLike,
    X_other: ArrayLike | None = None,
    *,
    depth: int = 1,
    input_variance: float = 1.0,
    bias_variance: float = 1.0,
    weight_variance: float = 2.0,
    output_bias_variance: float = 0.0,
) -> Array:
    """Cov(f(x), f(x')) of all pairs, (n, m): the kernel of the network as a Gaussian process (NNGP).

        K_1     = input_variance x . x' + bias_variance
        K_{l+1} = weight_variance sqrt(K_l(x, x) K_l(x', x')) J(t) / (2 pi) + bias_variance,
        J(t)    = sin t + (pi - t) cos t,      cos t = K_l(x, x') / sqrt(K_l(x, x) K_l(x', x')),

    `output_bias_variance` in place of `bias_variance` in the last, K_{L+1}: the arc-cosine kernel
    of order 1 (Cho and Saul 2009), whose own scaling is the defaults without biases.

    Parameters
    ----------
    X, X_other : (n, d) and (m, d) inputs, or (n,) and (m,); X_other = X when left out.
    depth : hidden layers, >= 1.
    input_variance, bias_variance, weight_variance, output_bias_variance : >= 0, see the head of
        `knotwork.theory.arc_cosine`; no output bias by default. In units of label^2 is
        weight_variance times what stands beside it.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    variances = (input_variance, bias_variance, weight_variance, output_bias_variance)
    return _kernels(X, X_other, depth, *variances)[0]


def neural_tangent_kernel(
    X: ArrayLike,
    X_other: ArrayLike | None = None,
    *,
    depth: int = 1,
    input_variance: float = 1.0,
    bias_variance: float = 1.0,
    weight_variance: float = 2.0,
    output_bias_variance: float = 0.0,
) -> Array:
    """sum over all parameters of df(x)/dp df(x')/dp, in the limit of infinite width, (n, m).

        Theta_1 = K_1,    Theta_{l+1} = K_{l+1} + weight_variance (pi - t) / (2 pi) Theta_l,

    K and t being those of `arc_cosine_kernel`, (pi - t) / (2 pi) = E[relu'(h) relu'(h')] (Jacot,
    Gabriel, Hongler 2018, Theorem 1). Same arguments and errors as `arc_cosine_kernel`.

    Accurate to rounding for inputs however close: the angle t is carried from layer to layer as
    1 - cos t, for near coinciding inputs arccos would lose half the digits of pi - t.
    """
    variances = (input_variance, bias_variance, weight_variance, output_bias_variance)
    return _kernels(X, X_other, depth, *variances)[1]


def _kernels(
    X: ArrayLike,
    X_other: ArrayLike | None,
    depth: int,
    input_variance: float,
    bias_variance: float,
    weight_variance: float,
    output_bias_variance: float,
) -> tuple[Array, Array]:
    """(K_{L+1}, Theta_{L+1}) of all pairs."""
    left, right = as_pair(X, X_other)
    if as_count(depth, "depth") < 1:
        raise ValueError(f"depth: must be an integer >= 1 (hidden layers), got {depth!r}")
    first = as_number(input_variance, "input_variance")
    bias = as_number(bias_variance, "bias_variance")
    half = 0.5 * as_number(weight_variance, "weight_variance")
    last = as_number(output_bias_variance, "output_bias_variance")
    left, right = (
        np.column_stack([np.sqrt(first) * x, np.full(len(x), np.sqrt(bias))]) for x in (left, right)
    )
    size, size_other = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
    angle = _angles(left, size, right, size_other)
    tangent = kernel = left @ right.T
    for layer in range(1, depth + 1):
        shift = bias if layer < depth else last
        product = np.outer(size, size_other)
        # 1 - J(t) / pi without cancellation at t = 0
        short = 2.0 * np.sin(0.5 * angle) ** 2 - (np.sin(angle) - angle * np.cos(angle)) / np.pi
        kernel = half * product * (1.0 - short) + shift
        tangent = kernel + half * (1.0 - angle / np.pi) * tangent
        if layer == depth:
            break
        spread = (size[:, None] - size_other) ** 2
        size, size_other = (np.sqrt(half * s * s + shift) for s in (size, size_other))
        angle = _next_angles(half * product, half * spread, short, shift, np.outer(size, size_other))
    return kernel, tangent


def _angles(left: Array, size: Array, right: Array, size_other: Array) -> Array:
    """(n, m) angles between rows, accurate near 0 and pi (Kahan)."""
    unit = left / np.where(size > 0, size, 1.0)[:, None]
    other = right / np.where(size_other > 0, size_other, 1.0)[:, None]
    return 2.0 * np.arctan2(cdist(unit, other), cdist(unit, -other))


def _next_angles(product: Array, spread: Array, short: Array, shift: float, sizes: Array) -> Array:
    """The angles one layer on, from (1 - cos t) |h| |h'| = |h| |h'| - K, both terms of it >= 0."""
    middle = shift + product
    gap = product * np.maximum(short, 0.0) + np.divide(
        shift * spread, sizes + middle, out=np.zeros_like(sizes), where=sizes + middle > 0
    )
    share = np.divide(gap, sizes, out=np.ones_like(sizes), where=sizes > 0)
    return 2.0 * np.arcsin(np.sqrt(np.minimum(0.5 * share, 1.0)))
