"""Gaussian processes whose kernels the labels choose, by their marginal likelihood."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..theory.arc_cosine import arc_cosine_kernel
from ..theory.gaussian_process import fit_gaussian_process

Array = NDArray[np.float64]
_DEPTHS = (1, 2, 3)
_START = {"input_variance": 100.0, "bias_variance": 100.0}


def require_sklearn() -> None:
    """Raise ImportError with the remedy where scikit-learn is missing."""
    try:
        import sklearn.gaussian_process  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"this needs scikit-learn ({error}); install it with: pip install 'knotwork[sklearn]'"
        ) from None


def rbf_baseline(
    X: Array, Y: Array, *, n_restarts: int = 5, random_state: int = 0
) -> Callable[[Array], Array]:
    """x -> (n, T), the posterior mean under variance exp(-|x - x'|^2 / (2 length^2)), by scikit-learn.

    Variance, length and the noise's variance maximise the marginal likelihood as scikit-learn's
    `GaussianProcessRegressor` does, from 1 + `n_restarts` starts. Tasks with labels in the same rows share
    them, as its outputs do; every other task has its own, from its own rows.

    Parameters
    ----------
    X, Y : (N, d) and (N, T), NaN where a label is missing.

    Raises
    ------
    ImportError : without scikit-learn; pip install 'knotwork[sklearn]'.
    """
    require_sklearn()
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    fits = []
    patterns, which = np.unique(~np.isnan(Y), axis=1, return_inverse=True)
    for number, rows in enumerate(patterns.T):
        tasks = np.flatnonzero(which.ravel() == number)
        kernel = ConstantKernel() * RBF() + WhiteKernel(0.1)
        process = GaussianProcessRegressor(kernel, n_restarts_optimizer=n_restarts, random_state=random_state)
        with warnings.catch_warnings():
            # a parameter that ends at its bound is an answer
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(X[rows], Y[np.ix_(rows, tasks)])
        fits.append((tasks, process))

    def predict(at: Array) -> Array:
        out = np.empty((len(at), Y.shape[1]))
        for tasks, process in fits:
            out[:, tasks] = process.predict(at).reshape(len(at), -1)
        return out

    return predict


def arc_cosine_baseline(
    X: Array, Y: Array, noise_variance: float, *, random_state: int = 0
) -> Callable[[Array], Array]:
    """x -> (n, T), the posterior mean under the arc-cosine kernel of largest marginal likelihood.

    `fit_gaussian_process` fits the variances of input weights and biases, common to all tasks, at depths 1,
    2 and 3; the depth is that of the largest likelihood. The noise is told: if it were fitted too, tasks
    that vary faster than these kernels would be most likely as noise alone.
    """
    fits = [
        fit_gaussian_process(
            X,
            Y,
            partial(arc_cosine_kernel, depth=depth),
            _START,
            noise_variance=noise_variance,
            random_state=random_state,
        )
        for depth in _DEPTHS
    ]
    return max(fits, key=lambda fit: fit.log_marginal_likelihood).process.predict
