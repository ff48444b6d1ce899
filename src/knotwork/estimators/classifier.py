"""`MultiTaskReLUClassifier`: many binary labels, or classes, that share their neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ..network import ReLUNetwork
from ..penalty import Penalty, as_penalty
from ..problem import Problem
from ..selection.cross_validation import Rule
from ..workflow import Extrapolation
from ._callbacks import with_callbacks
from ._certified import CertifiedEstimator
from ._inputs import as_inputs, as_labels, as_weight, label_weight, require_tasks

Array = NDArray[np.float64]


class MultiTaskReLUClassifier(ClassifierMixin, CertifiedEstimator):
    """min sum_it w_it l(y_it, f_t(x_i)) + lam R(f) over ReLU networks f of any width, l minus the log
    likelihood, to a proven gap.

    y (n,) of two classes: f is the log odds of the second. y (n,) of more: f has one output for each
    class, softmax(f) their probabilities. y (n, T) of zeros and ones: T labels, f_t the log odds of each;
    labels may be missing there (NaN, pandas' NA, masked entries) and are left out of the loss. In all
    cases the outputs share their neurons. Standardise the inputs, for the penalty depends on their units.

    Parameters
    ----------
    penalty : as in `MultiTaskReLURegressor`, but "auto" is "all-skip": everything is decayed, so that
        separable classes have an optimum too. Where biases cost nothing they have none: then a network far
        on the way to the infimum is returned, with a ConvergenceWarning.
    lam, lam_ratio, extrapolation, cv, rule, n_lams, tol, max_seconds, max_cells, random_state, n_jobs,
        verbose : as in `MultiTaskReLURegressor`, callbacks too; held-out loss is minus the log likelihood.
        A number of folds is stratified where y is (n,).

    Attributes
    ----------
    classes_ : (C,) the classes, sorted; of labels (n, T) their columns 0, ..., T - 1.
    network_ : ReLUNetwork of f.
    solution_, lam_, n_knots_, duality_gap_, rigour_, n_iter_, cross_validation_, n_features_in_,
    feature_names_in_, input_box_ : as in `MultiTaskReLURegressor`.
    """

    def __init__(
        self,
        lam: float | str = "cv",
        *,
        lam_ratio: float | None = None,
        penalty: str | Penalty = "auto",
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
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MultiTaskReLUClassifier:
        """Solve; X (n, d), y (n,) classes or (n, T) labels 0, 1 and NaN.

        Raises
        ------
        ValueError, TypeError : naming the argument; for one class only, and a label without entries.
        """
        X = as_inputs(self, X, reset=True)
        table, kind = _as_table(y)
        weight = None
        if table is not None:
            Y = _as_indicators(self, X, table)
            self._label_dtype = kind
            self.classes_ = np.arange(Y.shape[1])
            weight = as_weight(sample_weight, Y)
            require_tasks(Y, weight)
            which = None
            self._kind = "labels"
        else:
            if y is None:
                as_labels(self, X, y)
            y = column_or_1d(y, warn=True)
            assert_all_finite(y, input_name="y")
            check_classification_targets(y)
            if len(y) != len(X):
                raise ValueError(f"y: has {len(y)} entries but X has {len(X)} rows; they must match")
            weight = as_weight(sample_weight, np.zeros((len(y), 1)))
            weight = weight[:, 0] if weight is not None and weight.ndim == 2 else weight
            self.classes_, which = np.unique(y, return_inverse=True)
            counted = np.ones(len(y), dtype=bool) if weight is None else weight > 0
            if len(np.unique(which[counted])) < 2:
                raise ValueError(
                    "y: has one class only (of positive weight); a classifier needs at least two classes"
                )
            n_classes = len(self.classes_)
            Y = which[:, None].astype(np.float64) if n_classes == 2 else np.eye(n_classes)[which]
            self._kind = "binary" if n_classes == 2 else "classes"
        self._note_box(X, Y, weight)
        loss = "multinomial" if self._kind == "classes" else "logistic"
        problem = Problem(X, Y, 1.0, loss, as_penalty(self.penalty, "all-skip"), weight)
        self.network_: ReLUNetwork = self._solve(problem, which, classifier=True).network
        return self

    def decision_function(self, X: Any) -> Array:
        """f(X): (n,) log odds of the second class, (n, C) of classes, or (n, T) log odds of labels."""
        check_is_fitted(self)
        f = self.network_.predict(self._inside(as_inputs(self, X, reset=False)))
        return f[:, 0] if self._kind == "binary" else f

    def predict_proba(self, X: Any) -> Array:
        """(n, C) probabilities of the classes, or (n, T) of every label's being 1."""
        f = self.decision_function(X)
        if self._kind == "classes":
            return softmax(f, axis=1)
        if self._kind == "labels":
            return expit(f)
        return np.column_stack([expit(-f), expit(f)])

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the likeliest class, or (n, T) labels of the type they were given in."""
        f = self.decision_function(X)
        if self._kind == "classes":
            return self.classes_[np.argmax(f, axis=1)]
        if self._kind == "labels":
            return (f > 0).astype(self._label_dtype)
        return self.classes_[(f > 0).astype(np.intp)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right answers: of rows where y is (n,), of all labels that are there where it is
        (n, T) (scikit-learn asks for whole rows, which missing labels forbid)."""
        check_is_fitted(self)
        if self._kind != "labels":
            return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))
        table, _ = _as_table(y)
        f = self.predict(X).astype(np.float64)
        Y = _as_indicators(self, f, y if table is None else table)
        if Y.shape != f.shape:
            raise ValueError(f"y: has {Y.shape[1]} columns but the fit has {f.shape[1]} labels")
        weight = label_weight(Y, as_weight(sample_weight, Y))
        total = float(weight.sum())
        return float(np.sum(weight * (f == Y)) / total) if total > 0 else float("nan")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _as_table(y: Any) -> tuple[Any, np.dtype[Any] | None]:
    """y and its type where it has several columns, else None."""
    if not hasattr(y, "shape"):
        y = None if y is None else np.asarray(y)
    shape = () if y is None else y.shape
    if len(shape) != 2 or shape[1] < 2:
        return None, None
    if np.ma.isMaskedArray(y):
        return y, np.dtype(np.float64)
    dtype = np.asarray(y).dtype
    return y, dtype if dtype.kind in "iubf" else np.dtype(np.float64)


def _as_indicators(estimator: Any, X: Array, table: Any) -> Array:
    Y = as_labels(estimator, X, table)
    Y = Y[:, None] if Y.ndim == 1 else Y
    seen = Y[~np.isnan(Y)]
    if not np.isin(seen, (0.0, 1.0)).all():
        wrong = seen[~np.isin(seen, (0.0, 1.0))][0]
        raise ValueError(
            f"y: columns are labels 0 or 1 (or NaN), got {wrong:g}; give several classes as one column"
        )
    return Y
