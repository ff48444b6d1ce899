"""Gradient descent on the squared loss without weight decay, of many networks side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, as_float_array, read_only
from ._jax import precision, require_jax
from ._options import positive

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Descent:
    """Where R runs ended.

    W, b, V : (R, K, d), (R, K), (R, K, T) the parameters.
    label_error : (R,) max |f(x_i) - y_i|, in units of label.
    output : the constant before f, see `descend`.
    start : W, b, V whose function is subtracted, or None.
    """

    W: Array
    b: Array
    V: Array
    label_error: Array
    output: float
    start: tuple[Array, Array, Array] | None

    def predict(self, X: ArrayLike) -> Array:
        """(R, n, T) f at inputs (n, d), the same for all runs, or (R, n, d)."""
        X = as_float_array(X, "X")
        f = _forward(X, self.W, self.b, self.V)
        if self.start is not None:
            f = f - _forward(X, *self.start)
        return self.output * f


def descend(
    W: ArrayLike,
    b: ArrayLike,
    V: ArrayLike,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    steps: int,
    rate: float | None = None,
    output: float = 1.0,
    from_zero: bool = False,
) -> Descent:
    """Full-batch gradient descent on sum_it (f_t(x_i) - y_it)^2 / 2 over W, b and V; nothing is decayed.

        f(x) = output relu(x W' + b) V,    minus the same of the start where `from_zero`

    Without an output bias. Weights, hidden biases and output weights take the same steps.

    Parameters
    ----------
    W, b, V : (R, K, d), (R, K), (R, K, T) where the R runs start.
    X, Y : (R, N, d) and (R, N, T), the data of every run; no gaps.
    steps : how many.
    rate : their length. None: the reciprocal of a bound of the loss's second derivative where the run is,
        sum_i |x_i, 1| |e_i| + sum_ik (relu(z_ik)^2 + [z_ik > 0] |v_k|^2 |x_i, 1|^2) at output 1, e the errors
        and z the neurons' inputs: large steps from a small start, and small ones where neurons are steep.
    output : > 0, a constant.
    from_zero : subtract the function at the start, so that every run starts at f = 0.

    Raises
    ------
    ImportError : without JAX; pip install 'knotwork[train]'.
    TypeError, ValueError : naming the argument.
    """
    W, b, V = (
        as_float_array(W, "W", copy=True),
        as_float_array(b, "b", copy=True),
        as_float_array(V, "V", copy=True),
    )
    X, Y = as_float_array(X, "X"), as_float_array(Y, "Y")
    for name, array, n_axes in (("W", W, 3), ("V", V, 3), ("X", X, 3), ("Y", Y, 3), ("b", b, 2)):
        if array.ndim != n_axes:
            raise ValueError(f"{name}: must have {n_axes} axes, the first one runs, got shape {array.shape}")
    (R, K, d), T, N = W.shape, V.shape[2], X.shape[1]
    expected = {"b": (b, (R, K)), "V": (V, (R, K, T)), "X": (X, (R, N, d)), "Y": (Y, (R, N, T))}
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{name}: must have shape {shape} beside W {W.shape}, got {array.shape}")
    steps, output = as_count(steps, "steps"), positive(output, "output")
    rate = None if rate is None else positive(rate, "rate")
    require_jax()
    from ._descent import run

    with precision("float64"):
        end = run(W, b, V, X, Y, steps, rate, output, from_zero)
        final_W, final_b, final_V = (read_only(np.asarray(part)) for part in end)
    if not all(np.isfinite(part).all() for part in (final_W, final_b, final_V)):
        raise ValueError(f"rate: descent at {rate!r} left float64; take a smaller one, or None")
    start = (read_only(W), read_only(b), read_only(V)) if from_zero else None
    final = Descent(final_W, final_b, final_V, np.zeros(R), output, start)
    error = np.abs(final.predict(X) - Y).max(axis=(1, 2), initial=0.0)
    return replace(final, label_error=read_only(error))


def _forward(X: Array, W: Array, b: Array, V: Array) -> Array:
    return np.maximum(X @ np.swapaxes(W, 1, 2) + b[:, None], 0.0) @ V
