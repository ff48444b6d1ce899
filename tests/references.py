"""Independent oracles: dense formulas, brute force, and conic programmes (CVXPY with Clarabel).

Nothing here calls the library's own algorithms; data are plain arrays, a network is its five arrays.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import cvxpy as cp
import numpy as np

CLARABEL = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "max_iter": 200}


class Data(NamedTuple):
    """Inputs (N,), labels (N, T) with NaN for a missing one, weights (N,), (N, T) or None."""

    X: np.ndarray
    Y: np.ndarray
    weight: np.ndarray | None = None


class Optimum(NamedTuple):
    """A bracket of the optimum, dual <= F* <= primal, and the values at the distinct inputs."""

    primal: float
    dual: float
    x: np.ndarray
    fitted: np.ndarray
    alpha: np.ndarray


# ---------------------------------------------------------------------------------- random data


def random_inputs(rng, n, spacing="random"):
    """(n,) inputs in [0, 1], unsorted but for "regular": the spacings of the benchmark."""
    if spacing == "regular":
        return np.linspace(0.0, 1.0, n)
    if spacing == "random":
        return rng.uniform(0.0, 1.0, n)
    if spacing == "log-normal":
        x = np.cumsum(np.exp(1.5 * rng.standard_normal(n)))
        return rng.permutation((x - x[0]) / max(np.ptp(x), 1.0))
    if spacing == "clustered":
        return rng.permutation((np.arange(n) // 2 + 1e-8 * (np.arange(n) % 2)) / n)
    if spacing == "repeated":
        return rng.choice(np.sort(rng.uniform(0.0, 1.0, max(2, n // 2))), n)
    raise ValueError(spacing)


def random_data(rng, n=20, n_tasks=2, spacing="random", gaps=0.0, weights=None):
    """Noisy broken lines with kinks shared by the tasks; every task keeps at least one label.

    weights: None, "rows" (N,) or "labels" (N, T); both hold some zeros.
    """
    x = random_inputs(rng, n, spacing)
    kinks = rng.uniform(0.0, 1.0, 3)
    jumps = 10.0 * rng.standard_normal((3, n_tasks))
    Y = np.maximum(x[:, None] - kinks, 0.0) @ jumps + rng.standard_normal(n_tasks) * x[:, None]
    Y += 0.3 * rng.standard_normal(Y.shape)
    Y[rng.uniform(size=Y.shape) < gaps] = np.nan
    weight = None
    if weights is not None:
        shape = (n,) if weights == "rows" else Y.shape
        weight = rng.uniform(0.2, 3.0, shape) * (rng.uniform(size=shape) > 0.1)
    keep = rng.integers(n)
    Y[keep] = np.where(np.isnan(Y[keep]), 1.0, Y[keep])
    if weight is not None:
        weight[keep] = 1.0
    return Data(x, Y, weight)


# -------------------------------------------------------------------------------- dense formulas


def label_weights(Y, weight=None):
    """(N, T) weights, 0 at missing labels."""
    w = np.ones(Y.shape) if weight is None else np.asarray(weight, dtype=float)
    w = np.broadcast_to(w if w.ndim == 2 else w[:, None], Y.shape)
    return np.where(np.isnan(Y), 0.0, w)


def dense_predict(network, X):
    """f(X), neuron by neuron."""
    X = np.asarray(X, dtype=float).reshape(len(X), -1)
    out = X @ network.A + network.c
    for w, b, v in zip(network.W, network.b, network.V, strict=True):
        out += np.outer(np.maximum(X @ w + b, 0.0), v)
    return out


def dense_loss(Y, fitted, weight=None):
    """sum w (y - f)^2 / 2 over the labels."""
    total = 0.0
    w = label_weights(Y, weight)
    for i, t in np.argwhere(w > 0):
        total += 0.5 * w[i, t] * (Y[i, t] - fitted[i, t]) ** 2
    return total


def dense_objective(X, Y, lam, network, weight=None):
    """F = sum w (y - f)^2 / 2 + lam sum |v_k| |w_k|, term by term."""
    cost = sum(np.linalg.norm(v) * np.linalg.norm(w) for w, v in zip(network.W, network.V, strict=True))
    return dense_loss(Y, dense_predict(network, X), weight) + lam * cost


def dense_potential(x, alpha, at):
    """p(t) = sum_i alpha_i (x_i - t)_+ at each t, (len(at), T)."""
    return np.maximum(x[None, :] - np.asarray(at)[:, None], 0.0) @ alpha


def dense_dual_value(Y, alpha, lam, weight=None):
    """D(alpha) = <alpha, y> - sum alpha^2 / (2 w), without the square at lam = 0."""
    w = label_weights(Y, weight)
    seen = w > 0
    value = float(np.sum(alpha[seen] * Y[seen]))
    if lam > 0:
        value -= 0.5 * float(np.sum(alpha[seen] ** 2 / w[seen]))
    return value


def brute_force_dual_norm(x, alpha, n_grid=4001):
    """max over knots on a fine grid and at the data, of both facings, of |sum alpha_i relu|."""
    pad = max(np.ptp(x), 1.0)
    knots = np.concatenate([x, np.linspace(x.min() - pad, x.max() + pad, n_grid)])
    right = np.maximum(x[None, :] - knots[:, None], 0.0) @ alpha
    left = np.maximum(knots[:, None] - x[None, :], 0.0) @ alpha
    return max(np.linalg.norm(right, axis=1).max(), np.linalg.norm(left, axis=1).max())


def project_off_lines(x, alpha, weight):
    """`alpha` (N, T) made orthogonal to 1 and x per task on its labels, in the metric of 1 / w."""
    alpha = np.where(weight > 0, alpha, 0.0)
    for t in range(alpha.shape[1]):
        root = np.sqrt(weight[:, t])
        seen = root > 0
        # inputs are centred and the projection is repeated, so that the leak stays at rounding
        basis = np.linalg.svd(np.column_stack([root, root * (x - x[seen].mean())]), full_matrices=False)
        Q = basis[0][:, basis[1] > 1e-13 * basis[1][0]]
        for _ in range(2):
            scaled = np.divide(alpha[:, t], root, out=np.zeros_like(root), where=seen)
            alpha[:, t] = root * (scaled - Q @ (Q.T @ scaled))
    return alpha


def feasible_dual_point(x, alpha, lam, weight):
    """`alpha` (N, T) off the lines, and scaled to |p| <= lam."""
    alpha = project_off_lines(x, alpha, weight)
    largest = np.linalg.norm(dense_potential(x, alpha, x), axis=1).max()
    return alpha * min(1.0, lam / largest) if largest > 0 else alpha


# --------------------------------------------------------------------------------- conic oracles


def second_differences(x):
    """(n - 2, n) dense D: (D f)_j is the change of slope of connect the dots at x_{j+1}."""
    h = np.diff(x)
    D = np.zeros((max(len(x) - 2, 0), len(x)))
    for j in range(len(D)):
        D[j, j : j + 3] = 1.0 / h[j], -1.0 / h[j] - 1.0 / h[j + 1], 1.0 / h[j + 1]
    return D


def _solve(objective, constraints):
    problem = cp.Problem(cp.Minimize(objective), constraints)
    with warnings.catch_warnings():
        # "may be inaccurate": the tolerances asked for are beyond what Clarabel always reaches
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL, **CLARABEL)
    return problem


def conic_optimum(X, Y, lam, weight=None):
    """min over values at the distinct inputs of sum w (y - f)^2 / 2 + lam sum_j |slope change_j|_2;
    at lam = 0 of the sum of slope changes, subject to f = y at the labels."""
    X, Y = np.asarray(X, dtype=float).reshape(-1), np.asarray(Y, dtype=float).reshape(len(X), -1)
    w = label_weights(Y, weight)
    rows = np.any(w > 0, axis=1)
    x, which = np.unique(X[rows], return_inverse=True)
    y, root = np.where(w > 0, Y, 0.0)[rows], np.sqrt(w[rows])
    # solved in units where the inputs span 1 and the labels are of size 1
    span, size = max(np.ptp(x), 1e-300), np.abs(y).max(initial=0.0) or 1.0
    D = second_differences((x - x[0]) / span)
    f = cp.Variable((len(x), Y.shape[1]))
    bends = cp.sum(cp.norm(D @ f, 2, axis=1)) if len(D) else cp.Constant(0.0)
    if lam > 0:
        residual = cp.multiply(root, y / size - f[which])
        _solve(0.5 * cp.sum_squares(residual) + lam / (span * size) * bends, [])
        fitted = f.value * size
        primal = 0.5 * np.sum((root * (y - fitted[which])) ** 2)
        primal += lam * np.linalg.norm(D @ fitted / span, axis=1).sum()
        raw = root**2 * (y - fitted[which])
    else:
        seen = np.argwhere(w[rows] > 0)
        labels = f[which[seen[:, 0]], seen[:, 1]] == y[seen[:, 0], seen[:, 1]] / size
        _solve(bends, [labels])
        fitted = f.value * size
        primal = np.linalg.norm(D @ fitted / span, axis=1).sum()
        raw = np.zeros(y.shape)
        raw[seen[:, 0], seen[:, 1]] = -labels.dual_value / span
    alpha = np.zeros(Y.shape)
    alpha[rows] = raw
    alpha = feasible_dual_point(X, alpha, lam if lam > 0 else 1.0, w)
    return Optimum(float(primal), dense_dual_value(Y, alpha, lam, weight), x, fitted, alpha)


def conic_dictionary_optimum(X, Y, lam, knots, weight=None):
    """The same optimum as a network: neurons of both facings at `knots`, free skip and bias."""
    X, Y = np.asarray(X, dtype=float).reshape(-1), np.asarray(Y, dtype=float).reshape(len(X), -1)
    w = label_weights(Y, weight)
    right = np.maximum(X[:, None] - np.asarray(knots)[None, :], 0.0)
    left = np.maximum(np.asarray(knots)[None, :] - X[:, None], 0.0)
    hidden = np.hstack([right, left])
    V = cp.Variable((hidden.shape[1], Y.shape[1]))
    A, c = cp.Variable((1, Y.shape[1])), cp.Variable((1, Y.shape[1]))
    fitted = hidden @ V + X[:, None] @ A + np.ones((len(X), 1)) @ c
    residual = cp.multiply(np.sqrt(w), np.where(w > 0, Y, 0.0) - fitted)
    problem = _solve(0.5 * cp.sum_squares(residual) + lam * cp.sum(cp.norm(V, 2, axis=1)), [])
    return float(problem.value)
