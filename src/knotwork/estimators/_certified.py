"""What the estimators share: solve, keep the certificate, say what it says."""

from __future__ import annotations

import html
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._validate import as_count, read_only
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..problem import Problem
from ..selection import CrossValidation, refit
from ..selection.walk import Limits, choose, largest_lam, on_merged_rows
from ..solution import Solution, Status
from ._callbacks import CallbackSupport, watched
from ._extrapolating import Extrapolating
from ._folds import make_folds

Array = NDArray[np.float64]


class CertifiedEstimator(Extrapolating, CallbackSupport, BaseEstimator):
    """Solves a `Problem` at the lam that its parameters ask for.

    Attributes after `fit`: solution_, lam_, n_knots_, duality_gap_, rigour_, n_iter_, cross_validation_.
    """

    lam: Any
    lam_ratio: Any
    tol: float
    max_seconds: float | None
    max_cells: int
    cv: Any
    rule: Any
    n_lams: int | None
    random_state: Any
    n_jobs: int | None
    verbose: int
    solution_: Solution
    cross_validation_: CrossValidation | None
    n_knots_: int
    duality_gap_: float
    rigour_: Rigour

    def _solve(self, problem: Problem, y: Any = None, classifier: bool = False) -> Solution:
        """The certified optimum; sets the attributes that tell of it, and warns where it is none."""
        progress, done = watched(self, problem.X, y)
        limits = replace(self._limits(), progress=progress)
        share = self._lam_ratio()
        validation: CrossValidation | None = None
        if share is None and isinstance(self.lam, str):
            folds = make_folds(self.cv, problem, y, classifier)
            validation = choose(
                problem,
                folds,
                limits,
                rule=self.rule,
                n_lams=self.n_lams,
                n_jobs=self.n_jobs,
                lam_done=_print_loss if self.verbose else None,
            )
            solution = validation.solution
        else:
            problem = on_merged_rows(problem)
            lam = self.lam
            if share is not None:
                largest = largest_lam(problem, limits)
                # straight labels need no neuron at any lam > 0
                lam = share * largest if largest > 0 else 1.0
            solution = limits.solve(problem.with_lam(lam))
        self.cross_validation_ = validation
        self.solution_ = solution
        self.lam_ = solution.problem.lam
        self.n_knots_ = solution.network.n_neurons
        self.duality_gap_ = float(solution.certificate.relative_gap)
        self.rigour_ = solution.certificate.rigour
        self.n_iter_ = max(1, len(solution.trace))
        done()
        self._warn()
        return solution

    def _limits(self) -> Limits:
        seed = self.random_state
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
            seed = 0 if seed is None else check_random_state(seed).randint(np.iinfo(np.int32).max)
        return Limits(self.tol, self.max_seconds, as_count(self.max_cells, "max_cells"), int(seed))

    def _lam_ratio(self) -> float | None:
        if isinstance(self.lam, str) and self.lam != "cv":
            raise ValueError(f"lam: must be 'cv' or a number >= 0, got {self.lam!r}")
        if self.lam_ratio is None:
            return None
        if not isinstance(self.lam, str):
            raise ValueError(f"lam_ratio: cannot be given beside lam={self.lam!r}; leave lam at 'cv'")
        ratio = self.lam_ratio
        if (
            isinstance(ratio, bool)
            or not isinstance(ratio, int | float | np.number)
            or not 0 < ratio < math.inf
        ):
            raise ValueError(f"lam_ratio: must be a number > 0, got {ratio!r}; lam=0 interpolates")
        return float(ratio)

    def _warn(self) -> None:
        solution, gap = self.solution_, self.duality_gap_
        if solution.status is Status.UNATTAINED:
            said = (
                f"{solution.status.value}: predictions far from the labels' border are as sure as float64 "
                "can say; choose a penalty that decays biases and skip connection, as 'all-skip' does"
            )
        elif gap > self.tol:
            said = f"the certified relative gap {gap:.2g} is above tol={self.tol:g}: {solution.status.value}"
        else:
            return
        warnings.warn(f"{type(self).__name__}: {said}", ConvergenceWarning, stacklevel=4)

    def _certificate_text(self) -> str:
        neurons = "1 neuron" if self.n_knots_ == 1 else f"{self.n_knots_} neurons"
        said = (
            f"n_knots_ = {self.n_knots_} ({neurons}), duality_gap_ = {self.duality_gap_:.2g} "
            f"(relative), rigour_ = {self.rigour_.value}"
        )
        found = self.cross_validation_
        if found is not None and found.lam != found.lam_min:
            said += f"; lam_ = {self.lam_:.4g} by rule '{found.rule}', 'min' has {found.lam_min:.4g}"
        return said

    def _repr_html_inner(self) -> str:
        return self._with_certificate(super()._repr_html_inner())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] = self._with_certificate(bundle["text/html"])
        return bundle

    def _with_certificate(self, diagram: str) -> str:
        if not hasattr(self, "solution_"):
            return diagram
        return f"<div><p>{html.escape(self._certificate_text())}</p>{diagram}</div>"

    def __getstate__(self) -> dict[str, Any]:
        kept: Any = super().__getstate__()
        state: dict[str, Any] = dict(kept)
        if isinstance(state.get("solution_"), Solution):
            state["solution_"] = _portable(state["solution_"])
        validation = state.get("cross_validation_")
        if validation is not None:
            state["cross_validation_"] = replace(validation, solution=state["solution_"])
        return state


def _print_loss(lam: float, loss: float) -> None:
    print(f"lam = {lam:.4g}: held-out loss {loss:.6g} per label")


@dataclass(frozen=True, eq=False)
class _Known:
    """A dual point that is computed already, for functions made while solving cannot be pickled."""

    point: Array

    def __call__(self) -> Array:
        return self.point


def _portable(solution: Solution) -> Solution:
    make: Callable[[], Array] = _Known(solution.certificate.dual_point)
    return replace(solution, certificate=replace(solution.certificate, _make_dual_point=make))


def refit_network(solution: Solution) -> ReLUNetwork:
    """Least squares on the neurons of `solution`, in its units: `knotwork.refit` in one input; in several
    inputs on [relu(X W^T + b), X, 1], what the labels leave open of minimum norm."""
    problem, network = solution.problem, solution.network
    if problem.n_inputs == 1:
        return refit(solution).network
    linear = problem.penalty.skip != "none"
    hidden = np.maximum(problem.X @ network.W.T + network.b, 0.0)
    inputs = problem.X if linear else problem.X[:, :0]
    features = np.column_stack([hidden, inputs, np.ones(len(hidden))])
    weight = problem.label_weight()
    fitted = np.zeros((features.shape[1], problem.n_tasks))
    for t in range(problem.n_tasks):
        seen = weight[:, t] > 0
        root = np.sqrt(weight[seen, t])
        fitted[:, t] = np.linalg.lstsq(features[seen] * root[:, None], problem.Y[seen, t] * root, rcond=None)[
            0
        ]
    k, d = network.n_neurons, inputs.shape[1]
    A = fitted[k : k + d] if linear else None
    return ReLUNetwork(network.W, network.b, read_only(fitted[:k]), A, fitted[-1])  # type: ignore[arg-type]
