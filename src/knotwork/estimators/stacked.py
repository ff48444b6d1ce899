"""`StackedReLURegressor`: shallow networks one after another, trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._validate import as_count
from ..deep.training import train_stacked
from ..penalty import Penalty, as_penalty
from ..problem import Problem
from ..scaling import TaskScaling
from ..selection.rows import merged_rows
from ..stacked import StackedNetwork
from ..workflow import Extrapolation
from ._extrapolating import Extrapolating
from ._inputs import as_inputs, as_labels, as_weight, require_tasks, weighted_scaling
from .regressor import labelled_r2

Array = NDArray[np.float64]


class StackedReLURegressor(RegressorMixin, Extrapolating, BaseEstimator):
    """min over stacked networks of sum w (y - f)^2 / 2 + (lam / 2) sum of squares of all parameters.

    f = h_S(act( ... act(h_1(x)))), h_j shallow ReLU networks with `bottlenecks` outputs in between
    (`knotwork.train_stacked`). The problem is not convex: the best of the seeds is only the best seen, and
    there is no certificate. Needs JAX and Optax (pip install 'knotwork[train]').

    Parameters
    ----------
    bottlenecks : d_1, ..., d_{S-1}, the outputs of all stacks but the last; () for a shallow network.
    widths : neurons of every stack, or n_1, ..., n_S.
    lam : > 0, in units of the scaled labels, for a loss that is a sum over labels.
    penalty : "all" (no skip connections), "all-skip" or "all-nuclear".
    activation : between stacks, as in `knotwork.StackedNetwork`.
    scale : "task" centres every task and divides it by its standard deviation, "none" does not. Inputs are
        always standardised, for the training's sake; predictions take them as they are.
    extrapolation : as in `MultiTaskReLURegressor`.
    n_seeds, steps, learning_rate, rounds : as `seeds`, ... of `knotwork.train_stacked`; few and short by
        default, 40 seeds of 3000 steps find better networks.
    random_state : chooses the seeds.

    Attributes
    ----------
    network_ : `StackedNetwork` of standardised inputs and scaled labels.  training_objectives_ : (n_seeds,).
    scaling_, input_mean_, input_scale_ : what was scaled.  n_tasks_, n_features_in_, feature_names_in_,
    input_box_.
    n_iter_ : steps of Adam.
    """

    def __init__(
        self,
        bottlenecks: Sequence[int] = (2,),
        *,
        widths: int | Sequence[int] = 20,
        lam: float = 0.05,
        penalty: str | Penalty = "all-skip",
        activation: str = "identity",
        scale: str = "task",
        extrapolation: Extrapolation = "linear",
        n_seeds: int = 4,
        steps: int = 500,
        learning_rate: float = 1e-2,
        rounds: int = 0,
        random_state: Any = None,
    ) -> None:
        self.bottlenecks = bottlenecks
        self.widths = widths
        self.lam = lam
        self.penalty = penalty
        self.activation = activation
        self.scale = scale
        self.extrapolation = extrapolation
        self.n_seeds = n_seeds
        self.steps = steps
        self.learning_rate = learning_rate
        self.rounds = rounds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> StackedReLURegressor:
        """Train; X (n, d), y (n,) or (n, T) with NaN where a label is missing, sample_weight (n,) or (n, T).

        Raises
        ------
        ImportError : without JAX and Optax.
        ValueError, TypeError : naming the argument.
        """
        X = as_inputs(self, X, reset=True)
        Y = as_labels(self, X, y)
        self._one_column = Y.ndim == 1
        Y = Y[:, None] if Y.ndim == 1 else Y
        weight = as_weight(sample_weight, Y)
        require_tasks(Y, weight)
        self._note_box(X, Y, weight)
        if self.scale not in ("task", "none"):
            raise ValueError(f"scale: must be 'task' or 'none', got {self.scale!r}")
        self.n_tasks_ = Y.shape[1]
        none = TaskScaling.none(self.n_tasks_)
        self.scaling_ = weighted_scaling(Y, weight) if self.scale == "task" else none
        rows = np.ones(len(X)) if weight is None else weight if weight.ndim == 1 else weight.max(axis=1)
        inputs = weighted_scaling(X, rows)
        self.input_mean_, self.input_scale_ = inputs.centre, inputs.scale
        penalty = as_penalty(self.penalty, "all-skip")
        if not penalty.biases:
            raise ValueError(f"penalty: a stack decays its biases; use 'all-skip', got {self.penalty!r}")
        problem = merged_rows(
            Problem(inputs.apply(X), self.scaling_.apply(Y), self.lam, "squared", penalty, weight)
        )
        training = train_stacked(
            problem,
            self.bottlenecks,
            self.widths,
            activation=self.activation,  # type: ignore[arg-type]
            seeds=self._seeds(),
            steps=self.steps,
            learning_rate=self.learning_rate,
            rounds=self.rounds,
            check_every=500,
        )
        self.network_: StackedNetwork = training.best
        self.training_objectives_ = training.objectives
        self.n_iter_ = self.steps
        return self

    def predict(self, X: Any) -> Array:
        """(n,) or (n, T), as the labels were."""
        check_is_fitted(self)
        X = self._inside(as_inputs(self, X, reset=False))
        X = (X - self.input_mean_) / self.input_scale_
        f = self.network_.predict(X) * self.scaling_.scale + self.scaling_.centre
        return f[:, 0] if self._one_column else f

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """As `MultiTaskReLURegressor.score`: missing labels are left out."""
        return labelled_r2(self, self.predict(X), y, sample_weight)

    def _seeds(self) -> list[int]:
        if as_count(self.n_seeds, "n_seeds") == 0:
            raise ValueError("n_seeds: must be at least 1, got 0")
        if self.random_state is None:
            return list(range(self.n_seeds))
        first = check_random_state(self.random_state).randint(2**31 - self.n_seeds)
        return list(range(int(first), int(first) + self.n_seeds))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
