"""Gaussian processes whose tasks are correlated a priori: what footnote 1 of paper B leaves aside.

    Cov(f_t(x), f_s(x')) = B_ts k(x, x'),      y_it = f_t(x_i) + noise,

the intrinsic model of coregionalisation (Goovaerts 1997; Bonilla, Chai, Williams 2008). The tasks help
each other as far as B says so: told with the wrong sign it does harm, and with labels of all
tasks at the same inputs and no noise it cancels. Fitted B is a kernel learned from the labels, and
no longer the fixed-kernel process that B speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, solve_triangular

from .._validate import as_count, as_float_array, as_generator, read_only
from ._inputs import as_rows
from .gaussian_process import (
    Kernel,
    as_data,
    as_noise,
    as_restarts,
    as_start,
    diagonal,
    factorise,
    gram,
    kernel_slopes,
    maximise,
)

Array = NDArray[np.float64]
_LOG_TWO_PI = float(np.log(2.0 * np.pi))
_ROUNDING = 1e-12
_REACH = 1e5
_OWN, _LEAST_OWN = 0.1, 1e-8


@dataclass(frozen=True, eq=False)
class Coregionalised:
    """The posterior: f_t(x) has mean sum_is B_ts k(x, x_i) alpha_is and a variance.

    kernel : k(X, X_other) -> (n, m).
    task_covariance : (T, T) B, in label^2 where k has no unit.
    X, Y : (N, d), (N, T), NaN in Y where a label is missing.
    noise_variance : (N, T).
    coefficients : (N, T) alpha, 0 at missing labels.
    log_marginal_likelihood : log p of all labels.
    L : the Cholesky factor of their covariance, in the order of Y[~isnan(Y)].
    """

    kernel: Kernel
    task_covariance: Array
    X: Array
    Y: Array
    noise_variance: Array
    coefficients: Array
    log_marginal_likelihood: float
    L: Array = field(repr=False)

    def predict(self, X: ArrayLike) -> Array:
        """The posterior mean of f, (n, T)."""
        cross = gram(self.kernel, as_rows(X, "X", self.X.shape[1]), self.X)
        return cross @ self.coefficients @ self.task_covariance

    def variance(self, X: ArrayLike) -> Array:
        """The posterior variance of f, without the noise, (n, T)."""
        X = as_rows(X, "X", self.X.shape[1])
        row, task = np.nonzero(~np.isnan(self.Y))
        cross, before = gram(self.kernel, self.X, X)[row], diagonal(self.kernel, X)
        out = np.empty((len(X), self.Y.shape[1]))
        for t, of_task in enumerate(self.task_covariance):
            known = solve_triangular(self.L, cross * of_task[task, None], lower=True)
            out[:, t] = np.maximum(before * of_task[t] - np.sum(known**2, axis=0), 0.0)
        return out


@dataclass(frozen=True, eq=False)
class CoregionalisedFit:
    """The coregionalised process of largest marginal likelihood, and how it was found.

    process : its posterior.
    loadings : (T, rank) A, unique up to a rotation of its columns.
    own : (T,) kappa, with B = A A' + diag(kappa).
    parameters : what else was fitted, by name.
    log_marginal_likelihood, restarts : as in `GaussianProcessFit`.
    """

    process: Coregionalised
    loadings: Array
    own: Array
    parameters: dict[str, float]
    log_marginal_likelihood: float
    restarts: Array


def coregionalised(
    X: ArrayLike, Y: ArrayLike, kernel: Kernel, noise_variance: ArrayLike, task_covariance: ArrayLike
) -> Coregionalised:
    """The posterior under Cov(f_t(x), f_s(x')) = B_ts k(x, x'), exact: O((N T)^3) in the labels there are.

    Parameters
    ----------
    X, Y, kernel, noise_variance : as in `gaussian_process`.
    task_covariance : (T, T) B, symmetric and positive semi-definite.

    Raises
    ------
    TypeError, ValueError : naming the argument; where the covariance of the labels is singular.
    """
    X, Y = as_data(X, Y)
    noise = as_noise(noise_variance, Y.shape)
    B = _as_covariance(task_covariance, Y.shape[1])
    seen = ~np.isnan(Y)
    row, task = np.nonzero(seen)
    y = Y[seen]
    L = factorise(gram(kernel, X, X)[np.ix_(row, row)] * B[np.ix_(task, task)], noise[seen])
    alpha = np.zeros_like(Y)
    alpha[seen] = cho_solve((L, True), y)
    likelihood = -0.5 * (y @ alpha[seen] + len(y) * _LOG_TWO_PI) - np.sum(np.log(np.diag(L)))
    B, X, Y, noise, alpha = (read_only(part) for part in (B, X, Y, noise, alpha))
    return Coregionalised(kernel, B, X, Y, noise, alpha, float(likelihood), L)


def fit_coregionalised(
    X: ArrayLike,
    Y: ArrayLike,
    kernel: Kernel,
    start: Mapping[str, float] | None = None,
    *,
    rank: int = 1,
    noise_variance: ArrayLike | None = None,
    n_restarts: int = 4,
    random_state: int | np.random.Generator | None = 0,
) -> CoregionalisedFit:
    """Maximise log p(labels) over B = A A' + diag(kappa), A (T, rank), and the logarithms of kappa and
    of the parameters named in `start`.

    L-BFGS with exact gradients in A, kappa and the noise. Every start draws A normally, of half
    the labels' mean square s: A = 0 is a saddle, and no sign is preferred. kappa stays within
    [1e-8, 1e5] s. B carries the variance: a variance of the kernel's own would be one too many.

    Parameters
    ----------
    X, Y, start, noise_variance, n_restarts, random_state : as in `fit_gaussian_process`; `start` may
        be empty where the noise is fixed.
    kernel : (X, X_other, **parameters) -> (n, m).
    rank : columns of A, 0 to T.

    Raises
    ------
    TypeError, ValueError : naming the argument; where no start leads to a covariance that is
        positive definite.
    """
    X, Y = as_data(X, Y)
    names, logs, fixed = as_start({} if start is None else start, noise_variance, Y.shape)
    n_tasks, seen = Y.shape[1], ~np.isnan(Y)
    if as_count(rank, "rank") > n_tasks:
        raise ValueError(f"rank: must be 0 to {n_tasks} (the tasks), got {rank!r}")
    row, task = np.nonzero(seen)
    square = float(np.mean(Y[seen] ** 2)) or 1.0

    def unpack(point: Array) -> tuple[Array, Array, dict[str, float], Array]:
        A, rest = point[: n_tasks * rank].reshape(n_tasks, rank), point[n_tasks * rank :]
        inside = {name: float(np.exp(log)) for name, log in zip(names, rest[n_tasks:], strict=True)}
        noise = fixed if fixed is not None else np.full(Y.shape, inside.pop("noise_variance"))
        return A, np.exp(rest[:n_tasks]), inside, noise

    def posterior(point: Array) -> Coregionalised:
        A, own, inside, noise = unpack(point)
        return coregionalised(X, Y, partial(kernel, **inside), noise, A @ A.T + np.diag(own))

    def likelihood(point: Array) -> tuple[float, Array]:
        A, own, inside, noise = unpack(point)
        process = posterior(point)
        alpha = process.coefficients[seen]
        inner = 0.5 * (np.outer(alpha, alpha) - cho_solve((process.L, True), np.eye(len(alpha))))
        K = gram(process.kernel, X, X)[np.ix_(row, row)]
        of_B = np.zeros((n_tasks, n_tasks))
        np.add.at(of_B, (task[:, None], task), inner * K)
        slope = dict.fromkeys(names, 0.0)
        scaled = inner * process.task_covariance[np.ix_(task, task)]
        for name, dK in kernel_slopes(kernel, inside, X).items():
            slope[name] = float(np.sum(scaled * dK[np.ix_(row, row)]))
        if fixed is None:
            slope["noise_variance"] = float(np.trace(inner)) * noise[0, 0]
        parts = ((2.0 * of_B @ A).ravel(), np.diag(of_B) * own, list(slope.values()))
        return process.log_marginal_likelihood, np.concatenate(parts)

    rng = as_generator(random_state, "random_state")
    starts = []
    for number in range(as_restarts(n_restarts)):
        A = np.sqrt(0.5 * square / max(rank, 1)) * rng.standard_normal(n_tasks * rank)
        shift = rng.standard_normal(len(logs)) if number else np.zeros(len(logs))
        starts.append(np.concatenate([A, np.full(n_tasks, np.log(_OWN * square)), logs + shift]))
    reach = np.log(_REACH)
    own_bounds = (np.log(_LEAST_OWN * square), np.log(_REACH * square))
    bounds = [(-np.inf, np.inf)] * (n_tasks * rank) + [own_bounds] * n_tasks
    bounds += [(log - reach, log + reach) for log in logs]
    best, values = maximise(likelihood, starts, bounds)
    A, own, parameters, noise = unpack(best)
    if fixed is None:
        parameters["noise_variance"] = float(noise[0, 0])
    fitted = (read_only(A), read_only(own), parameters)
    return CoregionalisedFit(posterior(best), *fitted, float(values.max()), read_only(values))


def _as_covariance(value: ArrayLike, n_tasks: int) -> Array:
    B = as_float_array(value, "task_covariance", copy=True)
    if B.shape != (n_tasks, n_tasks):
        raise ValueError(f"task_covariance: must have shape ({n_tasks}, {n_tasks}), got {B.shape}")
    size = float(np.abs(B).max())
    if np.abs(B - B.T).max() > _ROUNDING * size:
        raise ValueError("task_covariance: is not symmetric; take (B + B.T) / 2")
    B = 0.5 * (B + B.T)
    if float(np.linalg.eigvalsh(B)[0]) < -_ROUNDING * n_tasks * size:
        raise ValueError("task_covariance: has a negative eigenvalue; it must be positive semi-definite")
    return B
