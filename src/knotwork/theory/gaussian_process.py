"""Gaussian processes with any kernel, tasks uncorrelated a priori: the shallow GPs of paper B.

    f_t ~ GP(0, k) independently for each task t,      y_it = f_t(x_i) + noise of a known variance.

With a kernel that does not depend on the labels nothing of one task enters the others' posterior
(B, sections 1 and 4). `coregionalised` is the process whose tasks are correlated a priori.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from .._validate import as_count, as_float_array, as_generator, read_only
from ._inputs import as_number, as_pair, as_rows

Array = NDArray[np.float64]
Kernel = Callable[..., Array]
_LOG_TWO_PI = float(np.log(2.0 * np.pi))
_BLOCK = 64
_STEP = 1e-5
_REACH = 1e5
_SPREAD = 1.5


class Factor(NamedTuple):
    """The Cholesky factor L of the covariance of the labels in `rows`, which `tasks` share."""

    tasks: NDArray[np.intp]
    rows: NDArray[np.intp]
    L: Array


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """The posterior given labels: f_t(x) has mean k(x, X) alpha_t and a variance.

    kernel : k(X, X_other) -> (n, m).
    X, Y : (N, d), (N, T), NaN in Y where a label is missing.
    noise_variance : (N, T).
    coefficients : (N, T) alpha_t = (k(X, X) + noise)^-1 y_t on the rows that task t has, else 0.
    log_marginal_likelihood : (T,) log p(y_t); the tasks' sum is that of all labels.
    factors : for each pattern of rows and noise the Cholesky factor of k(X, X) + noise.
    """

    kernel: Kernel
    X: Array
    Y: Array
    noise_variance: Array
    coefficients: Array
    log_marginal_likelihood: Array
    factors: tuple[Factor, ...] = field(repr=False)

    def predict(self, X: ArrayLike) -> Array:
        """The posterior mean of f, (n, T): for Gaussian processes also the mode (B, footnote 7)."""
        return gram(self.kernel, as_rows(X, "X", self.X.shape[1]), self.X) @ self.coefficients

    def variance(self, X: ArrayLike) -> Array:
        """The posterior variance of f, without the noise, (n, T), in label^2."""
        X = as_rows(X, "X", self.X.shape[1])
        cross, before = gram(self.kernel, self.X, X), diagonal(self.kernel, X)
        out = np.empty((len(X), self.Y.shape[1]))
        for tasks, rows, L in self.factors:
            known = np.sum(solve_triangular(L, cross[rows], lower=True) ** 2, axis=0)
            out[:, tasks] = np.maximum(before - known, 0.0)[:, None]
        return out


@dataclass(frozen=True, eq=False)
class GaussianProcessFit:
    """The process of largest marginal likelihood, and how it was found.

    process : its posterior.
    parameters : what was fitted, by name.
    log_marginal_likelihood : of all labels, the largest of `restarts`.
    restarts : (n,) where each start led; -inf where the covariance was singular at it.
    """

    process: GaussianProcess
    parameters: dict[str, float]
    log_marginal_likelihood: float
    restarts: Array


def rbf_kernel(
    X: ArrayLike, X_other: ArrayLike | None = None, *, variance: float = 1.0, length_scale: float = 1.0
) -> Array:
    """variance exp(-|x - x'|^2 / (2 length_scale^2)) of all pairs, (n, m); X_other = X when left out.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    left, right = as_pair(X, X_other)
    scale = as_number(length_scale, "length_scale", positive=True)
    distance = cdist(left / scale, right / scale, "sqeuclidean")
    return as_number(variance, "variance", positive=True) * np.exp(-0.5 * distance)


def gaussian_process(
    X: ArrayLike, Y: ArrayLike, kernel: Kernel, noise_variance: ArrayLike
) -> GaussianProcess:
    """The posterior of f_t ~ GP(0, kernel), t = 1..T, given y_it = f_t(x_i) + noise.

    Tasks with the same labels missing and the same noise share one factorisation, O(N^3).

    Parameters
    ----------
    X : (N, d) or (N,) inputs.
    Y : (N, T) or (N,) labels; NaN is a missing label.
    kernel : (X, X_other) -> (n, m), symmetric and positive semi-definite. Keywords are set by
        `functools.partial(arc_cosine_kernel, depth=2)`.
    noise_variance : >= 0; one number, (T,) or (N, T). The library's weights w and strength lam are
        lam / w here. 0 interpolates, where the kernel is positive definite.

    Raises
    ------
    TypeError, ValueError : naming the argument; for kernels of the wrong shape, and where the
        covariance of the labels is singular.
    """
    X, Y = as_data(X, Y)
    noise = as_noise(noise_variance, Y.shape)
    K = gram(kernel, X, X)
    seen = ~np.isnan(Y)
    if not seen.any(axis=0).all():
        empty = int(np.argmin(seen.any(axis=0)))
        raise ValueError(f"Y: column {empty} has no label; drop that task, its posterior is the prior")
    alpha, likelihood = np.zeros_like(Y), np.zeros(Y.shape[1])
    factors = []
    for tasks in _patterns(np.where(seen, noise, np.nan)):
        rows = np.flatnonzero(seen[:, tasks[0]])
        L = factorise(K[np.ix_(rows, rows)], noise[rows, tasks[0]])
        y = Y[np.ix_(rows, tasks)]
        alpha[np.ix_(rows, tasks)] = cho_solve((L, True), y)
        fit = np.sum(y * alpha[np.ix_(rows, tasks)], axis=0)
        likelihood[tasks] = -0.5 * (fit + len(rows) * _LOG_TWO_PI) - np.sum(np.log(np.diag(L)))
        factors.append(Factor(tasks, rows, L))
    X, Y, noise, alpha, likelihood = (read_only(part) for part in (X, Y, noise, alpha, likelihood))
    return GaussianProcess(kernel, X, Y, noise, alpha, likelihood, tuple(factors))


def fit_gaussian_process(
    X: ArrayLike,
    Y: ArrayLike,
    kernel: Kernel,
    start: Mapping[str, float],
    *,
    noise_variance: ArrayLike | None = None,
    n_restarts: int = 4,
    random_state: int | np.random.Generator | None = 0,
) -> GaussianProcessFit:
    """Maximise sum_t log p(y_t) over the logarithms of the parameters named in `start`.

    L-BFGS with the gradient tr((alpha alpha' - C^-1) dC) / 2, dC by central differences of the
    kernel (log steps of 1e-5). Every parameter stays within a factor 1e5 of its start. The first
    start is `start`, the others are drawn log-normally around it. The maximum is local: compare
    `restarts`.

    Parameters
    ----------
    X, Y : as in `gaussian_process`; the tasks share all parameters.
    kernel : (X, X_other, **parameters) -> (n, m), smooth in them.
    start : positive values by name; "noise_variance" is the noise of every label, the others are
        keywords of the kernel.
    noise_variance : where `start` does not name it: fixed, as in `gaussian_process`.
    n_restarts : starts in all, >= 1.
    random_state : seed or generator of the others.

    Raises
    ------
    TypeError, ValueError : naming the argument; where no start leads to a covariance that is
        positive definite.
    """
    X, Y = as_data(X, Y)
    names, first, fixed = as_start(start, noise_variance, Y.shape)

    def likelihood(logs: Array) -> tuple[float, Array]:
        values = dict(zip(names, np.exp(logs), strict=True))
        noise = fixed if fixed is not None else np.full(Y.shape, values.pop("noise_variance"))
        inside = {name: float(value) for name, value in values.items()}
        process = gaussian_process(X, Y, partial(kernel, **inside), noise)
        slopes = kernel_slopes(kernel, inside, X)
        slope = dict.fromkeys(names, 0.0)
        for tasks, rows, L in process.factors:
            alpha = process.coefficients[np.ix_(rows, tasks)]
            inner = 0.5 * (alpha @ alpha.T - len(tasks) * cho_solve((L, True), np.eye(len(rows))))
            for name, dK in slopes.items():
                slope[name] += float(np.sum(inner * dK[np.ix_(rows, rows)]))
            if fixed is None:
                slope["noise_variance"] += float(np.trace(inner)) * noise[0, 0]
        return float(process.log_marginal_likelihood.sum()), np.array(list(slope.values()))

    spread = np.log(_REACH)
    rng = as_generator(random_state, "random_state")
    starts = [first] + [
        first + np.clip(_SPREAD * rng.standard_normal(len(first)), -spread, spread)
        for _ in range(as_restarts(n_restarts) - 1)
    ]
    bounds = [(log - spread, log + spread) for log in first]
    best, values = maximise(likelihood, starts, bounds)
    parameters = {name: float(np.exp(log)) for name, log in zip(names, best, strict=True)}
    inside = {name: value for name, value in parameters.items() if name != "noise_variance"}
    noise = parameters["noise_variance"] if fixed is None else fixed
    process = gaussian_process(X, Y, partial(kernel, **inside), noise)
    return GaussianProcessFit(process, parameters, float(values.max()), read_only(values))


def as_data(X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
    """(N, d) and (N, T), NaN allowed in Y; ValueError where they do not match or hold nothing."""
    X = as_rows(X, "X").copy()
    Y = as_float_array(Y, "Y", allow_nan=True, copy=True)
    Y = Y[:, None] if Y.ndim == 1 else Y
    if Y.ndim != 2 or Y.shape[1] == 0 or len(Y) != len(X):
        raise ValueError(f"Y: must have shape ({len(X)}, T) with T >= 1, got {Y.shape}")
    if np.isnan(Y).all():
        raise ValueError("Y: holds no label")
    return X, Y


def as_noise(value: ArrayLike, shape: tuple[int, ...]) -> Array:
    """(N, T) noise variances >= 0 from a number, (T,) or (N, T)."""
    noise = as_float_array(value, "noise_variance", copy=True)
    if noise.shape not in ((), shape[1:], shape):
        raise ValueError(
            f"noise_variance: must be a number or of shape {shape[1:]} or {shape}, got {noise.shape}"
        )
    if noise.min() < 0:
        raise ValueError("noise_variance: has a negative entry; variances must be >= 0")
    return np.array(np.broadcast_to(noise, shape))


def as_start(
    start: Mapping[str, float], noise_variance: ArrayLike | None, shape: tuple[int, ...]
) -> tuple[list[str], Array, Array | None]:
    """Names, logarithms, and the noise where it is fixed."""
    if not isinstance(start, Mapping):
        raise TypeError(f"start: must map names to positive numbers, got {start!r}")
    values = [as_number(value, f"start[{name!r}]", positive=True) for name, value in start.items()]
    if ("noise_variance" in start) == (noise_variance is not None):
        raise ValueError("noise_variance: fix it by this argument, or name it in start to fit it, not both")
    fixed = None if noise_variance is None else as_noise(noise_variance, shape)
    return list(start), np.log(np.array(values, dtype=np.float64)), fixed


def as_restarts(value: int) -> int:
    if as_count(value, "n_restarts") < 1:
        raise ValueError(f"n_restarts: must be an integer >= 1 (starts in all), got {value!r}")
    return int(value)


def gram(kernel: Kernel, X: Array, X_other: Array) -> Array:
    """kernel(X, X_other), checked for its shape."""
    if not callable(kernel):
        raise TypeError(f"kernel: must be a function (X, X_other) -> (n, m), got {kernel!r}")
    K = as_float_array(kernel(X, X_other), "kernel")
    if K.shape != (len(X), len(X_other)):
        raise ValueError(f"kernel: must return shape ({len(X)}, {len(X_other)}), got {K.shape}")
    return K


def diagonal(kernel: Kernel, X: Array) -> Array:
    """(n,) k(x, x), in blocks."""
    blocks = [X[low : low + _BLOCK] for low in range(0, len(X), _BLOCK)]
    return np.concatenate([np.zeros(0), *(np.diag(gram(kernel, block, block)) for block in blocks)])


def factorise(K: Array, noise: Array) -> Array:
    """L, lower, of K + diag(noise)."""
    try:
        return cholesky(K + np.diag(noise), lower=True)
    except np.linalg.LinAlgError:
        raise ValueError(
            "noise_variance: the covariance of the labels, kernel + noise, is not positive definite in "
            "float64; take a larger noise_variance, or a kernel that is positive semi-definite"
        ) from None


def kernel_slopes(kernel: Kernel, parameters: dict[str, float], X: Array) -> dict[str, Array]:
    """The derivatives of kernel(X, X) in the logarithm of each parameter, by central differences."""
    slopes = {}
    for name, value in parameters.items():
        up, down = (
            as_float_array(kernel(X, X, **{**parameters, name: value * float(np.exp(step))}), "kernel")
            for step in (_STEP, -_STEP)
        )
        slopes[name] = (up - down) / (2.0 * _STEP)
    return slopes


def maximise(
    value_and_slope: Callable[[Array], tuple[float, Array]],
    starts: list[Array],
    bounds: list[tuple[float, float]],
) -> tuple[Array, Array]:
    """(where, ends): the best point, and the value that every start led to.

    A start where the value cannot be computed leads to -inf; if all do, the first one's error is raised.
    """
    ends, points = np.full(len(starts), -np.inf), list(starts)
    errors: list[ValueError] = []
    for number, start in enumerate(starts):
        try:
            least = -value_and_slope(start)[0]
        except ValueError as error:
            errors.append(error)
            continue

        def loss(point: Array) -> tuple[float, Array]:
            nonlocal least
            try:
                value, slope = value_and_slope(point)
            except ValueError:
                # singular there: worse than all before, so that the line search comes back
                return least + 1.0 + abs(least), np.zeros_like(point)
            least = min(least, -value)
            return -value, -slope

        ends[number] = -least
        if len(start):
            options = {"ftol": 1e-13, "gtol": 1e-7, "maxiter": 500}
            found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            ends[number], points[number] = -float(found.fun), found.x
    if len(errors) == len(starts):
        raise errors[0]
    return points[int(np.argmax(ends))], ends


def _patterns(noise: Array) -> list[NDArray[np.intp]]:
    """The tasks, grouped by equal columns; NaN equals NaN."""
    keyed: dict[bytes, list[int]] = {}
    for t in range(noise.shape[1]):
        keyed.setdefault(noise[:, t].tobytes(), []).append(t)
    return [np.array(tasks, dtype=np.intp) for tasks in keyed.values()]
