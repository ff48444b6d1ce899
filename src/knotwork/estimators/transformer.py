"""`SharedKnotTransformer`: the neurons that tasks share, as features for any model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from ..losses import Loss
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..selection.cross_validation import Rule
from ._inputs import as_inputs
from .regressor import MultiTaskReLURegressor

Array = NDArray[np.float64]


class SharedKnotTransformer(TransformerMixin, BaseEstimator):
    """x -> [x, relu(w_1 x + b_1), ..., relu(w_K x + b_K)], the neurons of a `MultiTaskReLURegressor`.

    The neurons are those of least cost over all tasks, of unit input norm (|w_k| = 1; where biases are
    decayed |(w_k, b_k)| = 1): a feature is a distance from its knot, in units of the inputs. A linear model
    on the features can say all that the network says.

    Parameters
    ----------
    include_inputs : whether the inputs come first; without them there may be no feature at all.
    lam, lam_ratio, penalty, loss, scale, cv, rule, n_lams, tol, max_seconds, max_cells, random_state,
        n_jobs : as in `MultiTaskReLURegressor`.

    Attributes
    ----------
    regressor_ : the fitted `MultiTaskReLURegressor`, with the certificate.
    neurons_ : (K, d + 1) rows (w_k, b_k).
    n_features_in_, feature_names_in_ : of the data.
    """

    def __init__(
        self,
        lam: float | str = "cv",
        *,
        include_inputs: bool = True,
        lam_ratio: float | None = None,
        penalty: str | Penalty = "auto",
        loss: str | Loss | Sequence[str | Loss] = "squared",
        scale: str = "task",
        cv: Any = 5,
        rule: Rule = "min",
        n_lams: int | None = None,
        tol: float = 1e-6,
        max_seconds: float | None = None,
        max_cells: int = 20_000,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.lam = lam
        self.include_inputs = include_inputs
        self.lam_ratio = lam_ratio
        self.penalty = penalty
        self.loss = loss
        self.scale = scale
        self.cv = cv
        self.rule = rule
        self.n_lams = n_lams
        self.tol = tol
        self.max_seconds = max_seconds
        self.max_cells = max_cells
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SharedKnotTransformer:
        """Learn the neurons; arguments and errors as in `MultiTaskReLURegressor.fit`."""
        checked = as_inputs(self, X, reset=True)
        arguments = {k: v for k, v in self.get_params(deep=False).items() if k != "include_inputs"}
        if y is None:
            raise ValueError(
                "This SharedKnotTransformer estimator requires y to be passed, but the target y is None."
            )
        self.regressor_ = MultiTaskReLURegressor(**arguments).fit(checked, y, sample_weight)
        solution = self.regressor_.solution_
        network: ReLUNetwork = solution.network.canonicalise(solution.problem.penalty)
        self.neurons_ = np.column_stack([network.W, network.b])
        return self

    def transform(self, X: Any) -> Array:
        """(n, d + K), or (n, K) without the inputs."""
        check_is_fitted(self)
        X = as_inputs(self, X, reset=False)
        hinges = np.maximum(X @ self.neurons_[:, :-1].T + self.neurons_[:, -1], 0.0)
        return np.column_stack([X, hinges]) if self.include_inputs else hinges

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The inputs' names, then "neuron0", "neuron1", ..."""
        check_is_fitted(self)
        inputs: Any = _check_feature_names_in(self, input_features)
        neurons = [f"neuron{k}" for k in range(len(self.neurons_))]
        return np.array([*(inputs if self.include_inputs else []), *neurons], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
