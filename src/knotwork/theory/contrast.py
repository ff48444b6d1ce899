"""What tasks learn from each other, measured: trained networks beside methods with a fixed kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, read_only
from ._inputs import as_number, as_rows
from .coregionalised import coregionalised, fit_coregionalised
from .gaussian_process import as_data, gaussian_process, rbf_kernel

Array = NDArray[np.float64]
_TEST = 200


class Predictor(Protocol):
    """Whatever a fit returns: it predicts (n, T)."""

    def predict(self, X: ArrayLike, /) -> Array: ...


Fit = Callable[[Array, Array], Predictor]


@dataclass(frozen=True, eq=False)
class CoregionalisationExperiment:
    """Mean squared error of the data-poor task over [0, 1], one entry for each draw, in label^2.

    alone : a Gaussian process on that task's labels only; the kernel and noise are the true ones
        here and below.
    uncorrelated : all tasks, B = I. Equal to `alone`.
    told : all tasks, the true B.
    told_wrong_sign : all tasks, B with the sign of the data-poor task's correlations turned.
    fitted : all tasks, B = A A' + diag(kappa) of rank 1 by marginal likelihood.
    """

    alone: Array
    uncorrelated: Array
    told: Array
    told_wrong_sign: Array
    fitted: Array


def joint_minus_separate(fit: Fit, X: ArrayLike, Y: ArrayLike, at: ArrayLike) -> float:
    """max over x in `at` and tasks t of |fit(X, Y)_t(x) - fit(X, y_t)(x)|, in units of label.

    0, to rounding, for ridge regression on random features and for Gaussian processes with tasks
    uncorrelated a priori (B, Remark 3.4 and section 4); not for networks whose first layer is trained.

    Parameters
    ----------
    fit : (X, Y) -> anything that has `predict`, such as
        `lambda X, Y: kw.solve(kw.Problem(X, Y, lam)).network`.
    X, Y : (N, d) and (N, T), NaN in Y where a label is missing; one task is fitted on the rows that
        have its label.
    at : (n, d) or (n,) inputs.

    Raises
    ------
    TypeError, ValueError : naming the argument; for predictions of the wrong shape.
    """
    X, Y = as_data(X, Y)
    at = as_rows(at, "at", X.shape[1])
    joint = np.asarray(fit(X, Y).predict(at))
    if joint.shape != (len(at), Y.shape[1]):
        raise ValueError(f"fit: must predict shape ({len(at)}, {Y.shape[1]}), got {joint.shape}")
    worst = 0.0
    for t in range(Y.shape[1]):
        rows = ~np.isnan(Y[:, t])
        if not rows.any():
            raise ValueError(f"Y: column {t} has no label; drop that task")
        separate = np.asarray(fit(X[rows], Y[rows][:, [t]]).predict(at))
        worst = max(worst, float(np.abs(joint[:, [t]] - separate).max(initial=0.0)))
    return worst


def coregionalisation_experiment(
    *,
    correlation: float = 0.95,
    n_poor: int = 4,
    n_rich: int = 20,
    n_rich_tasks: int = 3,
    length_scale: float = 0.1,
    noise: float = 0.1,
    n_draws: int = 20,
    n_restarts: int = 2,
    random_state: int = 0,
) -> CoregionalisationExperiment:
    """What a data-poor task gains from others in a Gaussian process, by what B is (B, footnote 1).

    The truth is drawn from the coregionalised process with an RBF kernel on [0, 1], unit variances and
    |B_ts| = correlation, the tasks' signs +-1 at random; each task has its own inputs, uniform.

    Parameters
    ----------
    correlation : in [0, 1).
    n_poor, n_rich, n_rich_tasks : labels of the data-poor task, of each other, and how many others.
    length_scale, noise : of the kernel; standard deviation of the noise. Both > 0.
    n_draws : independent repetitions.
    n_restarts : starts of each fit of B.
    random_state : seed, >= 0.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    counts = {"n_poor": n_poor, "n_rich": n_rich, "n_rich_tasks": n_rich_tasks, "n_draws": n_draws}
    for name, value in counts.items():
        if as_count(value, name) < 1:
            raise ValueError(f"{name}: must be an integer >= 1, got {value!r}")
    if not as_number(correlation, "correlation") < 1:
        raise ValueError(f"correlation: must be in [0, 1), got {correlation!r}")
    variance = as_number(noise, "noise", positive=True) ** 2
    kernel = partial(rbf_kernel, length_scale=as_number(length_scale, "length_scale", positive=True))
    as_count(random_state, "random_state")
    n_tasks, n_rows = 1 + n_rich_tasks, n_poor + n_rich * n_rich_tasks
    task = np.repeat(np.arange(n_tasks), [n_poor] + [n_rich] * n_rich_tasks)
    rows = []
    for draw in range(n_draws):
        rng = np.random.default_rng([random_state, draw])
        sign = rng.choice([-1.0, 1.0], n_tasks)
        B = (1.0 - correlation) * np.eye(n_tasks) + correlation * np.outer(sign, sign)
        turned = np.where(np.arange(n_tasks) == 0, -1.0, 1.0)
        X = np.concatenate([rng.uniform(size=n_rows), (np.arange(_TEST) + 0.5) / _TEST])
        f = _draw(kernel(X), rng, n_tasks) @ _root(B).T
        Y = np.full((n_rows, n_tasks), np.nan)
        Y[np.arange(n_rows), task] = f[np.arange(n_rows), task] + noise * rng.standard_normal(n_rows)
        X, at, poor = X[:n_rows], X[n_rows:], task == 0
        fitted = fit_coregionalised(
            X, Y, kernel, noise_variance=variance, n_restarts=n_restarts, random_state=draw
        )
        fits = [
            gaussian_process(X[poor], Y[poor, 0], kernel, variance),
            coregionalised(X, Y, kernel, variance, np.eye(n_tasks)),
            coregionalised(X, Y, kernel, variance, B),
            coregionalised(X, Y, kernel, variance, B * np.outer(turned, turned)),
            fitted.process,
        ]
        rows.append([float(np.mean((fit.predict(at)[:, 0] - f[n_rows:, 0]) ** 2)) for fit in fits])
    return CoregionalisationExperiment(*(read_only(np.array(part)) for part in zip(*rows, strict=True)))


def _root(K: Array) -> Array:
    """S with S S' = K, for K positive semi-definite to rounding."""
    size, axes = np.linalg.eigh(K)
    return axes * np.sqrt(np.maximum(size, 0.0))


def _draw(K: Array, rng: np.random.Generator, n: int) -> Array:
    """(N, n) independent draws of N(0, K)."""
    return _root(K) @ rng.standard_normal((len(K), n))
