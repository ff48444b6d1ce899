"""What an analyst would use instead of a network, task by task: a line, a Gaussian process, trees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..losses import Loss
from ..problem import Problem
from ..theory.arc_cosine import arc_cosine_kernel

Array = NDArray[np.float64]

MOST_KERNEL_ROWS = 2000
_BIASES = (0.01, 0.1, 1.0, 10.0, 100.0)
_NOISES = np.geomspace(1e-6, 1e4, 61)


def linear(X: Array, Y: Array, X_new: Array, loss: Loss) -> Array:
    """(n, T) the predictions of the best affine function of each task, nothing penalised."""
    return Problem(X, Y, 1.0, loss).free_fit().predict(X_new)


def kernel_process(X: Array, Y: Array, X_new: Array) -> Array:
    """(n, T) the posterior mean of y_t = f_t(x) + noise, f_t ~ GP(0, s_t^2 K_b), K_b the kernel of an
    infinitely wide ReLU network (`arc_cosine_kernel`) with bias variance b, scaled to a mean variance of 1.

    For each task its own s_t^2, r_t = noise / s_t^2 and b, of largest marginal likelihood: s_t^2 in closed
    form, r_t and b on grids (61 from 1e-6 to 1e4; .01, .1, 1, 10, 100). It is kernel ridge with the
    ridge r_t.

    Parameters
    ----------
    X, Y, X_new : (N, d), (N, T) with NaN at gaps, (n, d); inputs and labels standardised.
    """
    kernels = [_kernel(X, X, b) for b in _BIASES]
    scales = [float(np.mean(np.diag(K))) for K in kernels]
    crosses = [_kernel(X_new, X, b) for b in _BIASES]
    out = np.empty((len(X_new), Y.shape[1]))
    known: dict[bytes, list[tuple[Array, Array]]] = {}
    for t in range(Y.shape[1]):
        rows = np.flatnonzero(~np.isnan(Y[:, t]))
        if rows.tobytes() not in known:
            known[rows.tobytes()] = [
                _decomposed(K[np.ix_(rows, rows)] / scale) for K, scale in zip(kernels, scales, strict=True)
            ]
        out[:, t] = _posterior_mean(Y[rows, t], known[rows.tobytes()], crosses, scales, rows)
    return out


def boosting(X: Array, Y: Array, X_new: Array, seed: int) -> Array:
    """(n, T) gradient-boosted trees of scikit-learn, its defaults, for each task.

    Raises
    ------
    ImportError : without scikit-learn.
    """
    trees = boosted_trees()
    out = np.empty((len(X_new), Y.shape[1]))
    for t in range(Y.shape[1]):
        rows = ~np.isnan(Y[:, t])
        out[:, t] = trees(random_state=seed).fit(X[rows], Y[rows, t]).predict(X_new)
    return out


def boosted_trees() -> Any:
    """scikit-learn's class.

    Raises
    ------
    ImportError : without scikit-learn, naming the remedy.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ImportError as error:
        raise ImportError(
            "methods: boosting needs scikit-learn; pip install 'knotwork[sklearn]', or leave it out"
        ) from error
    return HistGradientBoostingRegressor


def log_likelihoods(y: Array, values: Array, vectors: Array) -> Array:
    """(61,) log p(y) at each ratio r, the signal's variance s^2 = y' (K + r)^-1 y / n at its best."""
    n = len(y)
    turned = (vectors.T @ y) ** 2
    spread = values[None] + _NOISES[:, None]
    variance = np.maximum((turned / spread).sum(axis=1) / n, np.finfo(float).tiny)
    return -0.5 * (n * (np.log(2.0 * np.pi * variance) + 1.0) + np.log(spread).sum(axis=1))


def _posterior_mean(
    y: Array,
    parts: list[tuple[Array, Array]],
    crosses: list[Array],
    scales: list[float],
    rows: NDArray[np.intp],
) -> Array:
    likelihoods = np.array([log_likelihoods(y, *part) for part in parts])
    b, r = np.unravel_index(int(np.argmax(likelihoods)), likelihoods.shape)
    values, vectors = parts[b]
    alpha = vectors @ ((vectors.T @ y) / (values + _NOISES[r]))
    return crosses[b][:, rows] @ alpha / scales[b]


def _decomposed(K: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(K)
    return np.maximum(values, 0.0), vectors


def _kernel(X: Array, X_other: Array, bias: float) -> Array:
    return arc_cosine_kernel(X, X_other, input_variance=1.0 / X.shape[1], bias_variance=bias)
