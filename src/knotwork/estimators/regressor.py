"""`MultiTaskReLURegressor`: all tasks share their neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from ..losses import Logistic, Loss, Multinomial, PerTask, Squared, resolve_loss
from ..network import ReLUNetwork
from ..penalty import Penalty, as_penalty
from ..problem import Problem
from ..scaling import TaskScaling
from ..selection.cross_validation import Rule
from ..workflow import Extrapolation, responses
from ..workflow.units import where_scalable
from ._callbacks import with_callbacks
from ._certified import CertifiedEstimator, refit_network
from ._inputs import as_inputs, as_labels, as_weight, label_weight, require_tasks, weighted_scaling

Array = NDArray[np.float64]


class MultiTaskReLURegressor(RegressorMixin, CertifiedEstimator):
    """min sum_it w_it l(y_it, f_t(x_i)) + lam R(f) over ReLU networks f of any width, to a proven gap.

    f(x) = V' relu(W x + b) + A' x + c; R charges a neuron |v_k| |w_k|, so that tasks that share neurons
    pay less (`knotwork.Problem`, `knotwork.Penalty`). Labels may be missing: NaN, pandas' NA and masked
    entries of y are left out of the loss. The penalty depends on the units of the inputs: where there are
    several, a StandardScaler before this makes them alike.

    Parameters
    ----------
    lam : "cv" (by cross-validation) or a number >= 0, in units of scaled label x input, for a loss that is
        a sum over labels: twice the rows need twice the lam.
    lam_ratio : instead, the share of lam_max, the least lam without a neuron. The one to search over.
    penalty : a `Penalty`, "weights-free-skip" (what "auto" is: biases and a linear part cost nothing),
        "weights" (no linear part), "all", "all-skip" or "all-nuclear" (biases decayed; no, a squared or a
        nuclear norm of the linear part).
    loss : "squared", "huber", "quantile", "poisson", "huber:0.5", "quantile:0.9", an object such as
        `Huber(delta)`, or one for each task.
        Under "poisson" predictions are rates; delta is in units of the scaled labels.
    scale : "task" centres every task and divides it by its standard deviation before the fit, so that none
        owns the neurons by its unit; "none" takes labels as they are. Counts are never scaled.
    refit : predict by least squares on the neurons chosen, without shrinkage. Squared loss only.
    extrapolation : outside of the box of the inputs of `fit`. "linear" goes on as the network does;
        "constant" predicts at the nearest point of the box; "raise" refuses with a ValueError.
    cv : folds, splitter or pairs of rows as in scikit-learn. A number makes unshuffled runs of rows.
    rule : "min", the lam of least held-out loss, or "1se", the largest within one standard error of it, for
        fewer neurons; what each would have chosen is `cross_validation_.lam_min` and `.lam_1se`.
    n_lams : how many lams are compared. None is 50 down to 1e-4 lam_max in one input (squared loss, biases
        and skip connection free), and else 10 down to 1e-3 lam_max, each fold roughly solved, ended where
        a lam is worse in every fold than the best, or two in a row are no better.
    tol : the certified relative gap to reach, else there is a ConvergenceWarning.
    max_seconds : stop there with the best network found and its certificate.
    max_cells : in three inputs and more, look at no more cells of the data's arrangement to prove the
        certificate; beyond it neurons are searched and `rigour_` is HEURISTIC.
    random_state : the seed of that search (None is 0); all else is deterministic.
    n_jobs : folds side by side, as in joblib.
    verbose : 1 prints the held-out loss of every lam, where they are walked through one by one.

    Attributes
    ----------
    network_ : ReLUNetwork that predicts, in units of the data.
    solution_ : the problem solved (labels scaled; in several inputs equal rows merged), its network,
        certificate and status.
    scaling_ : y = scaling_.scale * scaled + scaling_.centre.
    lam_ : of `solution_`.  n_knots_ : neurons of `solution_`.
    duality_gap_ : certified, relative to the objective.  rigour_ : what is proven of it, `Rigour`.
    n_iter_ : rounds of the last solve.  cross_validation_ : `CrossValidation`, None without.
    n_tasks_, n_features_in_, feature_names_in_, input_box_ : of the data.

    With scikit-learn 1.9 callbacks may be set (`set_callbacks`, a `ProgressBar`, say): every round of a
    solver is a task, in folds too where n_jobs is None, and a callback that asks to stop stops it.
    """

    def __init__(
        self,
        lam: float | str = "cv",
        *,
        lam_ratio: float | None = None,
        penalty: str | Penalty = "auto",
        loss: str | Loss | Sequence[str | Loss] = "squared",
        scale: str = "task",
        refit: bool = False,
        extrapolation: Extrapolation = "linear",
        cv: Any = 5,
        rule: Rule = "min",
        n_lams: int | None = None,
        tol: float = 1e-6,
        max_seconds: float | None = None,
        max_cells: int = 20_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.lam = lam
        self.lam_ratio = lam_ratio
        self.penalty = penalty
        self.loss = loss
        self.scale = scale
        self.refit = refit
        self.extrapolation = extrapolation
        self.cv = cv
        self.rule = rule
        self.n_lams = n_lams
        self.tol = tol
        self.max_seconds = max_seconds
        self.max_cells = max_cells
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MultiTaskReLURegressor:
        """Solve; X (n, d), y (n,) or (n, T) with NaN where a label is missing, sample_weight (n,) or (n, T).

        Raises
        ------
        ValueError, TypeError : naming the argument; a task without labels, in all or in a fold, too.
        """
        X = as_inputs(self, X, reset=True)
        Y = as_labels(self, X, y)
        self._one_column = Y.ndim == 1
        Y = Y[:, None] if Y.ndim == 1 else Y
        weight = as_weight(sample_weight, Y)
        require_tasks(Y, weight)
        self._note_box(X, Y, weight)
        self._loss = _regression_loss(self.loss)
        self.n_tasks_ = Y.shape[1]
        self.scaling_ = _scaling(Y, weight, self._loss, self.scale)
        problem = Problem(
            X,
            self.scaling_.apply(Y),
            1.0,
            self._loss,
            as_penalty(self.penalty, "weights-free-skip"),
            weight,
        )
        if self.refit and not isinstance(self._loss, Squared):
            raise ValueError(f"refit: takes squared loss, got loss={self.loss!r}; use refit=False")
        solution = self._solve(problem)
        network = refit_network(solution) if self.refit else solution.network
        self.network_: ReLUNetwork = self.scaling_.to_data_units(network)
        return self

    def predict(self, X: Any) -> Array:
        """(n,) or (n, T), as the labels were; rates under Poisson loss."""
        check_is_fitted(self)
        f = responses(self._loss, self.network_.predict(self._inside(as_inputs(self, X, reset=False))))
        return f[:, 0] if self._one_column else f

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Mean over tasks of R^2 at the labels that are there; tasks with fewer than two of them are left
        out, and where that leaves none the score is NaN."""
        return labelled_r2(self, self.predict(X), y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def labelled_r2(estimator: Any, f: Array, y: Any, sample_weight: Any) -> float:
    """Mean over tasks of R^2 of the predictions f (n,) or (n, T) at the labels that are there."""
    f = f[:, None] if f.ndim == 1 else f
    Y = as_labels(estimator, f, y)
    Y = Y[:, None] if Y.ndim == 1 else Y
    if Y.shape != f.shape:
        raise ValueError(f"y: has {Y.shape[1]} columns but the fit has {f.shape[1]} tasks")
    weight = label_weight(Y, as_weight(sample_weight, Y))
    found = []
    for t in range(Y.shape[1]):
        seen = weight[:, t] > 0
        if np.count_nonzero(seen) >= 2:
            found.append(r2_score(Y[seen, t], f[seen, t], sample_weight=weight[seen, t]))
    return float(np.mean(found)) if found else float("nan")


def _regression_loss(loss: str | Loss | Sequence[str | Loss]) -> Loss:
    found = resolve_loss(loss)
    each = found.losses if isinstance(found, PerTask) else (found,)
    if any(isinstance(one, Logistic | Multinomial) for one in each):
        raise ValueError(f"loss: {loss!r} is of classes; use knotwork.MultiTaskReLUClassifier")
    return found


def _scaling(Y: Array, weight: Array | None, loss: Loss, scale: str) -> TaskScaling:
    if scale not in ("task", "none"):
        raise ValueError(f"scale: must be 'task' or 'none', got {scale!r}")
    if scale == "none":
        return TaskScaling.none(Y.shape[1])
    return where_scalable(weighted_scaling(Y, weight), loss)
