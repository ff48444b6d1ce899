"""Independent oracles for every loss and penalty of one input: closed forms, brute force, CVXPY.

A loss is a word or pair: "squared", ("huber", delta), "logistic", "multinomial", "poisson",
("quantile", tau), or a list of T of them. A penalty is (biases, skip). Nothing here calls the library.
"""

from __future__ import annotations

from typing import NamedTuple

import cvxpy as cp
import numpy as np
from references import _solve as _solve_tightly
from references import label_weights, second_differences
from scipy.special import logsumexp

PENALTIES = [(False, "free"), (False, "none"), (True, "none"), (True, "frobenius"), (True, "nuclear")]
SPECS = ["squared", ("huber", 0.4), "logistic", "multinomial", "poisson", ("quantile", 0.3)]


class Bracket(NamedTuple):
    """The least objective over the oracle's networks, and its predictions (N, T)."""

    primal: float
    fitted: np.ndarray


def _solve(objective, constraints):
    try:
        return _solve_tightly(objective, constraints)
    except cp.SolverError:
        # Clarabel's own tolerances, 1e-8, are within its reach where 1e-12 is not
        problem = cp.Problem(cp.Minimize(objective), constraints)
        problem.solve(solver=cp.CLARABEL)
        return problem


def _parts(spec):
    return spec if isinstance(spec, tuple) else (spec, None)


def _by_column(spec, n_tasks):
    return list(spec) if isinstance(spec, list) else [spec] * n_tasks


# ----------------------------------------------------------------------------------- random data


def random_labels(rng, spec, signal):
    """(N, T) labels of the loss's kind, around `signal` (N, T)."""
    if isinstance(spec, list):
        columns = [random_labels(rng, one, signal[:, [t]]) for t, one in enumerate(spec)]
        return np.hstack(columns)
    name, _ = _parts(spec)
    if name == "logistic":
        return (rng.uniform(size=signal.shape) < 1.0 / (1.0 + np.exp(-signal))).astype(float)
    if name == "poisson":
        return rng.poisson(np.exp(np.clip(signal, -3.0, 3.0))).astype(float)
    if name == "multinomial":
        scores = signal + rng.gumbel(size=signal.shape)
        return (scores == scores.max(axis=1, keepdims=True)).astype(float)
    return signal + 0.3 * rng.standard_normal(signal.shape)


def with_gaps(rng, spec, Y, share):
    """Y with missing labels (whole rows for classes); every task keeps its first one."""
    shape = (len(Y), 1) if spec == "multinomial" else Y.shape
    gone = np.broadcast_to(rng.uniform(size=shape) < share, Y.shape).copy()
    gone[rng.integers(len(Y))] = False
    return np.where(gone, np.nan, Y)


# ---------------------------------------------------------------------------------- closed forms


def _x_log_x(x):
    """0 at 0; in the precision of `x`."""
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0)


def loss_values(spec, Y, F):
    """(N, T) l(y, f) by the textbook; of classes the whole loss stands in the first column."""
    if isinstance(spec, list):
        return np.hstack([loss_values(one, Y[:, [t]], F[:, [t]]) for t, one in enumerate(spec)])
    name, parameter = _parts(spec)
    r = Y - F
    if name == "squared":
        return r * r / 2.0
    if name == "huber":
        return np.where(np.abs(r) <= parameter, r * r / 2.0, parameter * (np.abs(r) - parameter / 2.0))
    if name == "logistic":
        return np.logaddexp(0.0, F) - Y * F
    if name == "poisson":
        return np.exp(F) - Y * F + _x_log_x(Y) - Y
    if name == "quantile":
        return np.maximum(parameter * r, (parameter - 1.0) * r)
    total = np.zeros_like(F)
    total[:, 0] = logsumexp(F, axis=1) - np.sum(Y * F, axis=1) + np.sum(_x_log_x(Y), axis=1)
    return total


def conjugate_values(spec, Y, G):
    """(N, T) l*(y, g) = sup over f of g f - l(y, f), infinite outside its domain."""
    if isinstance(spec, list):
        return np.hstack([conjugate_values(one, Y[:, [t]], G[:, [t]]) for t, one in enumerate(spec)])
    name, parameter = _parts(spec)
    # the ends of a domain are reached by rounding only
    eps = 1e-12
    if name == "squared":
        return G * G / 2.0 + Y * G
    if name == "huber":
        return np.where(np.abs(G) <= parameter + eps, G * G / 2.0 + Y * G, np.inf)
    if name == "quantile":
        return np.where((-parameter - eps <= G) & (1.0 - parameter + eps >= G), Y * G, np.inf)
    Q = Y + G
    if name == "poisson":
        value = _x_log_x(Q) - Q + Y - _x_log_x(Y)
        return np.where(-eps <= Q, value, np.inf)
    inside = np.clip(Q, 0.0, 1.0)
    if name == "logistic":
        value = _x_log_x(inside) + _x_log_x(1 - inside)
        return np.where((-eps <= Q) & (1.0 + eps >= Q), value, np.inf)
    total = np.zeros_like(G)
    astray = np.any(-eps > Q, axis=1) | (np.abs(Q.sum(axis=1) - 1.0) > 1e-9)
    total[:, 0] = np.where(astray, np.inf, np.sum(_x_log_x(inside) - _x_log_x(Y), axis=1))
    return total


def dual_value(spec, penalty, X, Y, lam, alpha, weight=None):
    """D(alpha) = - sum w l*(y, - alpha / w) - (|sum alpha|^2 + |sum alpha x|^2) / (2 lam)."""
    biases, skip = penalty
    w, x = label_weights(Y, weight), np.asarray(X, dtype=float).reshape(-1)
    seen = w > 0
    filler = 1.0 / Y.shape[1] if spec == "multinomial" else 0.0
    y = np.where(seen, Y, filler)
    g = np.where(seen, -alpha / np.where(seen, w, 1.0), 0.0)
    parts = np.where(seen, w, 0.0) * np.where(seen, conjugate_values(spec, y, g), 0.0)
    value = -float(parts.sum())
    if biases:
        value -= float(np.sum(alpha.sum(axis=0) ** 2)) / (2.0 * lam)
    if skip == "frobenius":
        value -= float(np.sum((x @ alpha) ** 2)) / (2.0 * lam)
    return value


def _columns(values, biases):
    if biases:
        return np.column_stack([np.cos(values), np.sin(values)])
    return np.concatenate([np.column_stack([s * np.ones_like(values), -s * values]) for s in (1.0, -1.0)])


def unit_neurons(x, biases, n_grid):
    """(M, 2) rows (w, b): of both facings at the data and on a fine grid."""
    x = np.unique(x)
    if biases:
        turns = np.concatenate([-np.arctan(x), np.pi - np.arctan(x), np.linspace(-np.pi, np.pi, n_grid)])
        return _columns(np.concatenate([turns, [0.0, np.pi / 2, np.pi, -np.pi / 2]]), True)
    pad = max(np.ptp(x), 1.0)
    return _columns(np.concatenate([x, np.linspace(x[0] - pad, x[-1] + pad, n_grid)]), False)


def brute_force_response(x, alpha, biases, n_grid=20001):
    """max over the grid's unit neurons of |sum_i alpha_i relu(w x_i + b)|, in extended precision."""
    neurons = unit_neurons(x, biases, n_grid).astype(np.longdouble)
    x, alpha = np.asarray(x, dtype=np.longdouble), np.asarray(alpha, dtype=np.longdouble)
    largest = 0.0
    for part in np.array_split(neurons, max(1, len(neurons) * len(x) // 10**6)):
        hidden = np.maximum(part[:, :1] * x + part[:, 1:], 0.0)
        largest = max(largest, float(np.sqrt(np.sum((hidden @ alpha) ** 2, axis=1).max())))
    return largest


def dense_objective(spec, penalty, X, Y, lam, network, weight=None):
    """F = sum w l(y, f) + lam R, term by term."""
    biases, skip = penalty
    x, w = np.asarray(X, dtype=float).reshape(-1), label_weights(Y, weight)
    seen = w > 0
    f = x[:, None] * network.A + network.c
    cost = 0.0
    for (a,), b, v in zip(network.W, network.b, network.V, strict=True):
        f = f + np.outer(np.maximum(a * x + b, 0.0), v)
        cost += np.linalg.norm(v) * (np.hypot(a, b) if biases else abs(a))
    cost += 0.5 * float(network.c @ network.c) if biases else 0.0
    size = float(np.linalg.norm(network.A))
    cost += {"free": 0.0, "none": 0.0, "frobenius": 0.5 * size**2, "nuclear": size}[skip]
    y = np.where(seen, Y, 1.0 / Y.shape[1] if spec == "multinomial" else 0.0)
    return float(np.sum(w * np.where(seen, loss_values(spec, y, f), 0.0))) + lam * cost


# --------------------------------------------------------------------------------- conic oracles


def conic_loss(spec, Y, w, F, size=1.0):
    """CVXPY expression of sum w l(y, size F), divided by size^2 for the losses of real labels."""
    terms = []
    if spec == "multinomial":
        for i in np.flatnonzero(w[:, 0] > 0):
            terms.append(w[i, 0] * (cp.log_sum_exp(F[i]) - Y[i] @ F[i] + float(_x_log_x(Y[i]).sum())))
        return sum(terms)
    for t, one in enumerate(_by_column(spec, Y.shape[1])):
        name, parameter = _parts(one)
        i = np.flatnonzero(w[:, t] > 0)
        y, f, s = Y[i, t], F[i, t], w[i, t]
        r = y - f
        if name == "squared":
            terms.append(0.5 * cp.sum_squares(cp.multiply(np.sqrt(s), r)))
        elif name == "huber":
            terms.append(0.5 * (s @ cp.huber(r, parameter)))
        elif name == "logistic":
            terms.append(s @ (cp.logistic(f) - cp.multiply(y, f)))
        elif name == "poisson":
            terms.append(s @ (cp.exp(f) - cp.multiply(y, f)) + float(s @ (_x_log_x(y) - y)))
        else:
            terms.append(s @ cp.maximum(parameter * r, (parameter - 1.0) * r))
    return sum(terms)


def conic_loss_optimum(spec, penalty, X, Y, lam, weight=None, n_grid=400, refinements=2):
    """The least objective: over values at the data (biases and skip connection free), neurons of
    both facings at the data (no skip connection), or neurons on a grid of angles, refined where
    they respond too much (biases penalised: an upper bound, close to the optimum)."""
    biases, skip = penalty
    x, Y = np.asarray(X, dtype=float).reshape(-1), np.asarray(Y, dtype=float).reshape(len(X), -1)
    w = label_weights(Y, weight)
    y = np.where(w > 0, Y, 1.0 / Y.shape[1] if spec == "multinomial" else 0.0)
    n_tasks = Y.shape[1]
    if not biases:
        places, which = np.unique(x, return_inverse=True)
        span = max(np.ptp(x), 1e-300)
        z = (places - places[0]) / span
        if skip == "free":
            f = cp.Variable((len(z), n_tasks))
            D = second_differences(z)
            cost = cp.sum(cp.norm(D @ f, 2, axis=1)) if len(D) else cp.Constant(0.0)
        else:
            hidden = np.hstack([np.maximum(z[:, None] - z, 0.0), np.maximum(z - z[:, None], 0.0)])
            V, c = cp.Variable((hidden.shape[1], n_tasks)), cp.Variable((1, n_tasks))
            f, cost = hidden @ V + np.ones((len(z), 1)) @ c, cp.sum(cp.norm(V, 2, axis=1))
        problem = _solve(conic_loss(spec, y, w, f[which]) + lam / span * cost, [])
        return Bracket(float(problem.value), np.asarray(f.value)[which])
    neurons = unit_neurons(x, True, n_grid)
    best = None
    for step in range(refinements + 1):
        hidden = np.maximum(neurons[:, 0] * x[:, None] + neurons[:, 1], 0.0)
        neurons, hidden = neurons[hidden.any(axis=0)], hidden[:, hidden.any(axis=0)]
        V, c, A = cp.Variable((len(neurons), n_tasks)), cp.Variable((1, n_tasks)), cp.Variable((1, n_tasks))
        f = hidden @ V + np.ones((len(x), 1)) @ c + x[:, None] @ A
        cost = cp.sum(cp.norm(V, 2, axis=1)) + 0.5 * cp.sum_squares(c)
        cost += {"none": 0.0, "frobenius": 0.5 * cp.sum_squares(A), "nuclear": cp.norm(A, "fro")}[skip]
        try:
            problem = _solve(conic_loss(spec, y, w, f) + lam * cost, [A == 0] if skip == "none" else [])
        except cp.SolverError:
            # neurons too close together: the grid before them is an upper bound as well
            if best is None and n_grid > 50:
                return conic_loss_optimum(spec, penalty, X, Y, lam, weight, n_grid // 2, 0)
            if best is None:
                raise
            return best
        best = Bracket(float(problem.value), np.asarray(f.value))
        if step == refinements:
            break
        # the angles beside those in use, finer each time
        size = np.linalg.norm(V.value, axis=1)
        used = np.argsort(-size)[: min(40, int(np.sum(size > 1e-6 * size.max())))]
        turn = np.arctan2(neurons[used, 1], neurons[used, 0])
        width = 2.0 * np.pi / n_grid * 0.05**step
        fresh = (turn[:, None] + width * np.linspace(-1.0, 1.0, 41)).ravel()
        neurons = np.concatenate([unit_neurons(x, True, 2), _columns(fresh, True)])
    return best


def conic_interpolation(penalty, X, Y, n_grid=600):
    """The least R of networks that meet every label: neurons of both facings at the data (no skip
    connection), or on a grid of angles (biases penalised: an upper bound, close to the optimum)."""
    biases, skip = penalty
    x, Y = np.asarray(X, dtype=float).reshape(-1), np.asarray(Y, dtype=float).reshape(len(X), -1)
    places = np.unique(x)
    if biases:
        neurons = unit_neurons(x, True, n_grid)
    else:
        neurons = np.concatenate([np.column_stack([s * np.ones_like(places), -s * places]) for s in (1, -1)])
    hidden = np.maximum(neurons[:, 0] * x[:, None] + neurons[:, 1], 0.0)
    V, c, A = (cp.Variable((k, Y.shape[1])) for k in (len(neurons), 1, 1))
    f = hidden @ V + np.ones((len(x), 1)) @ c + x[:, None] @ A
    cost = cp.sum(cp.norm(V, 2, axis=1)) + (0.5 * cp.sum_squares(c) if biases else 0.0)
    cost += {"none": 0.0, "frobenius": 0.5 * cp.sum_squares(A), "nuclear": cp.norm(A, "fro")}[skip]
    constraints = [f[i, t] == Y[i, t] for i, t in np.argwhere(~np.isnan(Y))]
    return float(_solve(cost, [*constraints, A == 0] if skip == "none" else constraints).value)
