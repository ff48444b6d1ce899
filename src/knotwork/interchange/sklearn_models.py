"""Networks from fitted scikit-learn estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validate import as_float_array
from ..network import ReLUNetwork
from ._shared import needing

Array = NDArray[np.float64]

_SUPPORTED = (
    "supported are MLPRegressor and MLPClassifier with one hidden layer of activation='relu', after any "
    "number of StandardScalers in a Pipeline, and in a TransformedTargetRegressor with a StandardScaler"
)


def from_sklearn(estimator: Any) -> ReLUNetwork:
    """The network f(X) = relu(X W^T + b) V + X A + c of a fitted scikit-learn estimator, in float64.

    Of an MLPRegressor f is its prediction, with `loss="poisson"` the log of it. Of an MLPClassifier f is
    the log odds: of the second class where there are two, of every label where there are many, and what
    softmax makes probabilities of where there are several classes. StandardScalers before the network in
    a Pipeline, and of the labels in a TransformedTargetRegressor, are folded into the weights.

    Parameters
    ----------
    estimator : fitted; with one hidden layer of activation="relu", or with none (then K = 0).

    Raises
    ------
    ImportError : without scikit-learn.
    TypeError : for another object or estimator.
    ValueError : for one that is not fitted, another activation, more layers, another step in the
        Pipeline, or weights that are not finite.
    """
    with needing("scikit-learn"):
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        network = from_sklearn(estimator.steps[-1][1])
        for name, step in reversed(estimator.steps[:-1]):
            if step is not None and step != "passthrough":
                network = _of_scaled_inputs(network, *_standardisation(step, f"step {name!r}"))
        return network
    if isinstance(estimator, TransformedTargetRegressor):
        _check_fitted(estimator, "regressor_")
        network = from_sklearn(estimator.regressor_)
        return _of_scaled_labels(network, estimator.transformer_)
    if not isinstance(estimator, MLPRegressor | MLPClassifier):
        raise TypeError(f"estimator: got {type(estimator).__name__}; {_SUPPORTED}")
    _check_fitted(estimator, "coefs_")
    weights = [as_float_array(weight, f"coefs_[{i}]") for i, weight in enumerate(estimator.coefs_)]
    biases = [as_float_array(bias, f"intercepts_[{i}]") for i, bias in enumerate(estimator.intercepts_)]
    if len(weights) == 1:
        d, n_tasks = weights[0].shape
        return ReLUNetwork(np.zeros((0, d)), np.zeros(0), np.zeros((0, n_tasks)), weights[0], biases[0])
    if len(weights) != 2:
        raise ValueError(f"estimator: has {len(weights) - 1} hidden layers; {_SUPPORTED}")
    if estimator.activation != "relu":
        raise ValueError(f"estimator: has activation={estimator.activation!r}; {_SUPPORTED}")
    return ReLUNetwork(weights[0].T, biases[0], weights[1], c=biases[1])


def _check_fitted(estimator: Any, attribute: str) -> None:
    if not hasattr(estimator, attribute):
        raise ValueError(f"estimator: this {type(estimator).__name__} is not fitted; call its fit first")


def _standardisation(step: Any, name: str) -> tuple[Array, Array]:
    """Mean and scale, each (m,) or (1,), of a fitted StandardScaler."""
    from sklearn.preprocessing import StandardScaler

    if not isinstance(step, StandardScaler):
        raise ValueError(f"estimator: {name} is a {type(step).__name__}; {_SUPPORTED}")
    _check_fitted(step, "scale_")
    mean = as_float_array(step.mean_, f"mean_ of {name}") if step.with_mean else np.zeros(1)
    scale = as_float_array(step.scale_, f"scale_ of {name}") if step.with_std else np.ones(1)
    return mean, scale


def _of_scaled_inputs(network: ReLUNetwork, mean: Array, scale: Array) -> ReLUNetwork:
    """x -> f((x - mean) / scale)."""
    W, A = network.W / scale, network.A / scale[:, None]
    origin = np.broadcast_to(mean, network.n_inputs)
    return ReLUNetwork(W, network.b - W @ origin, network.V, A, network.c - origin @ A)


def _of_scaled_labels(network: ReLUNetwork, transformer: Any) -> ReLUNetwork:
    """x -> f(x) scale + mean."""
    from sklearn.preprocessing import FunctionTransformer

    if isinstance(transformer, FunctionTransformer) and transformer.inverse_func is None:
        return network
    mean, scale = _standardisation(transformer, "the transformer of labels")
    return ReLUNetwork(network.W, network.b, network.V * scale, network.A * scale, network.c * scale + mean)
