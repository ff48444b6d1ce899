"""Independent oracles on neurons that are given, any number of inputs: many tasks at once (group lasso),
one task's view of it, and weighted l2. CVXPY with Clarabel; nothing here calls the library."""

from __future__ import annotations

from typing import NamedTuple

import cvxpy as cp
import numpy as np
from references import _solve, label_weights
from references_losses import conic_loss


class Weights(NamedTuple):
    """The least objective over the neurons at hand, and where: V (K, T), A (d, T), c (T,)."""

    objective: float
    V: np.ndarray
    A: np.ndarray
    c: np.ndarray


def random_neurons(rng, K, d, biases=False):
    """(W (K, d), b (K,)) distinct neurons of unit input norm that bend near the origin."""
    rows = np.column_stack([rng.standard_normal((K, d)), 0.7 * rng.standard_normal(K)])
    rows /= np.linalg.norm(rows if biases else rows[:, :d], axis=1, keepdims=True)
    return rows[:, :d], rows[:, d]


def responses(W, b, X):
    """(N, K) relu(w . x + b), neuron by neuron."""
    return np.column_stack([np.maximum(X @ w + bias, 0.0) for w, bias in zip(W, b, strict=True)])


def _variables(X, hidden, n_tasks, penalty):
    biases, skip = penalty
    V, A, c = (cp.Variable((k, n_tasks)) for k in (hidden.shape[1], X.shape[1], 1))
    f = hidden @ V + X @ A + np.ones((len(X), 1)) @ c
    price = {"free": 0.0, "none": 0.0, "frobenius": 0.5 * cp.sum_squares(A), "nuclear": cp.normNuc(A)}[skip]
    price += 0.5 * cp.sum_squares(c) if biases else 0.0
    return V, A, c, f, price, [A == 0] if skip == "none" else []


def _filled(spec, Y, w):
    return np.where(w > 0, Y, 1.0 / Y.shape[1] if spec == "multinomial" else 0.0)


def conic_many_tasks(spec, penalty, W, b, X, Y, lam, weight=None):
    """min sum w l + lam (sum_k |v_k| + free parts) over networks of the unit neurons (W, b)."""
    w = label_weights(Y, weight)
    V, A, c, f, price, held = _variables(X, responses(W, b, X), Y.shape[1], penalty)
    price = cp.sum(cp.norm(V, 2, axis=1)) + price
    problem = _solve(conic_loss(spec, _filled(spec, Y, w), w, f) + lam * price, held)
    return Weights(float(problem.value), V.value, A.value, c.value[0])


def conic_ridge(spec, penalty, W, b, X, Y, lam, gamma, weight=None, S=None):
    """min sum w l + lam (sum_k gamma_k |v_k|^2 / 2 + free parts); at lam = 0 the price subject to f = y.
    Under a nuclear skip a = S theta costs |theta|^2 / 2."""
    w = label_weights(Y, weight)
    hidden = responses(W, b, X)
    V, A, c, f, price, held = _variables(X, hidden, Y.shape[1], (penalty[0], "free"))
    if penalty[1] == "none":
        held = [A == 0]
    elif penalty[1] == "frobenius":
        price += 0.5 * cp.sum_squares(A)
    elif penalty[1] == "nuclear":
        theta = cp.Variable((S.shape[1], Y.shape[1]))
        price, held = price + 0.5 * cp.sum_squares(theta), [S @ theta == A]
    price += 0.5 * cp.sum_squares(cp.multiply(np.sqrt(gamma)[:, None] * np.ones(V.shape), V))
    y = _filled(spec, Y, w)
    if lam == 0:
        held += [f[i, t] == y[i, t] for i, t in np.argwhere(w > 0)]
        problem = _solve(price, held)
    else:
        problem = _solve(conic_loss(spec, y, w, f) + lam * price, held)
    return Weights(float(problem.value), V.value, A.value, c.value[0])


def conic_task_view(spec, penalty, W, b, X, y, lam, others, weight=None, A_others=None):
    """min J (A (14)): one task's loss + lam (sum_k |(v_k, others_k)| + free parts), others (K,) >= 0."""
    w = label_weights(y, weight)
    V, A, c, f, price, held = _variables(X, responses(W, b, X), 1, (penalty[0], "free"))
    price += cp.sum(cp.norm(cp.hstack([V, others[:, None]]), 2, axis=1))
    if penalty[1] == "none":
        held = [A == 0]
    elif penalty[1] == "frobenius":
        price += 0.5 * cp.sum_squares(A)
    elif penalty[1] == "nuclear":
        price += cp.normNuc(cp.hstack([A, A_others]))
    problem = _solve(conic_loss(spec, _filled(spec, y, w), w, f) + lam * price, held)
    return Weights(float(problem.value), V.value, A.value, c.value[0])
