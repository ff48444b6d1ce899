"""Independent oracles for several inputs: every activation pattern, conic programmes, closed forms.

Losses and penalties are named as in references_losses. Nothing here calls the library.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import cvxpy as cp
import numpy as np
from references import _solve, label_weights
from references_losses import conic_loss, conjugate_values, loss_values, random_labels, with_gaps


class Data(NamedTuple):
    """Inputs (N, d), labels (N, T) with NaN for a missing one, weights (N,), (N, T) or None."""

    spec: object
    penalty: tuple[bool, str]
    X: np.ndarray
    Y: np.ndarray
    lam: float
    weight: np.ndarray | None = None


class Upper(NamedTuple):
    """The least objective over the oracle's networks, their neurons, the predictions there, and minus
    the gradient of the loss."""

    primal: float
    neurons: np.ndarray
    fitted: np.ndarray
    alpha: np.ndarray


# ------------------------------------------------------------------------------------------- data


def grid(*sides):
    return np.array(np.meshgrid(*map(range, sides), indexing="ij"), dtype=float).reshape(len(sides), -1).T


DEGENERATE = {
    "repeated": np.array([[0, 0], [0, 0], [1, 2], [1, 2], [3, 1], [-1, 2], [4, 4]], dtype=float),
    "collinear": np.outer([0.0, 0.1, 0.2, 0.7, 1.0, 1.5, -0.4], [1.0, 2.0]) + np.array([0.3, 0.1]),
    "three of a line": np.array([[0, 0], [0.1, 0.3], [0.2, 0.6], [1, -1], [0.3, 0.3], [0.7, 0.1]]),
    "grid": 0.1 * grid(3, 3),
    "far off": 0.1 * grid(3, 3) + 1e4,
    "two squares": np.vstack([2 * grid(2, 2) - 1, grid(2, 2) - 0.5]),
    "two points": np.array([[0.0, 1.0], [2.0, -1.0]]),
    "one point": np.array([[0.4, 1.0]]),
    "one point twice": np.array([[0.4, 1.0], [0.4, 1.0]]),
    "cube": grid(2, 2, 2),
    "coplanar": np.column_stack([grid(3, 3), grid(3, 3) @ [0.3, -0.7]]),
    "line in space": np.outer([0.0, 0.1, 0.2, 0.7, 1.0, 1.5], [1.0, 2.0, -0.3]) + 0.1,
    "two points in space": np.array([[0.0, 1.0, 0.5], [2.0, -1.0, 0.1]]),
    "far cube": 0.1 * grid(2, 2, 2) + 1e3,
}


def two_squares(n_random=0, seed=0):
    """A, Fig. 5: eight points, the vertices of squares of side 2 (label 0) and 1 (label 1) about the
    origin; beside that task `n_random` of Bernoulli labels."""
    X = DEGENERATE["two squares"]
    extra = np.random.default_rng(seed).integers(0, 2, (8, n_random)).astype(float)
    return X, np.column_stack([np.repeat([0.0, 1.0], 4), extra])


def random_data(
    seed, spec="squared", penalty=(False, "free"), n=9, d=2, n_tasks=2, lam=0.1, gaps=0.0, weights=None
):
    """Noisy labels around a few ridges; weights None, "rows" or "labels", some of them 0."""
    rng = np.random.default_rng(seed)
    n_tasks = len(spec) if isinstance(spec, list) else 3 if spec == "multinomial" else n_tasks
    X = rng.standard_normal((n, d))
    hidden = np.maximum(X @ rng.standard_normal((d, 3)) + 0.5 * rng.standard_normal(3), 0.0)
    Y = random_labels(rng, spec, 0.8 * hidden @ rng.standard_normal((3, n_tasks)))
    if spec == "poisson":
        Y = Y + 1.0
    if spec == "multinomial":
        # soft labels, which no classes separate
        Y = 0.8 * Y + 0.2 / n_tasks
    binary = np.array([one == "logistic" for one in (spec if isinstance(spec, list) else [spec] * n_tasks)])
    if binary.any():
        # both labels at as many points as it takes that nothing affine separates them
        half = min(d + 1, n // 2)
        X[half : 2 * half] = X[:half]
        Y[half : 2 * half, binary] = 1.0 - Y[:half, binary]
    if gaps:
        Y = with_gaps(rng, spec, Y, gaps)
    weight = None
    if weights is not None:
        shape = (n,) if weights == "rows" or spec == "multinomial" else Y.shape
        weight = rng.uniform(0.3, 3.0, shape) * (rng.uniform(size=shape) > 0.1)
    keep = np.flatnonzero(~np.isnan(Y).any(axis=1))[:1]
    if weight is not None:
        weight[keep] = 1.0
    return Data(spec, penalty, X, Y, lam, weight)


def project_free(X, alpha, skip, weight=None):
    """`alpha` (N, T) made orthogonal to the free parts, in the metric of 1 / w."""
    w = np.ones(alpha.shape) if weight is None else weight
    columns = [np.ones(len(X)), *((X - X.mean(axis=0)).T if skip == "free" else [])]
    out = np.where(w > 0, alpha, 0.0)
    for t in range(out.shape[1]):
        root = np.sqrt(w[:, t])
        U, s, _ = np.linalg.svd(root[:, None] * np.column_stack(columns), full_matrices=False)
        Q = U[:, s > 1e-11 * s[0]]
        for _ in range(2):
            scaled = np.divide(out[:, t], root, out=np.zeros_like(root), where=root > 0)
            out[:, t] = root * (scaled - Q @ (Q.T @ scaled))
        # few data leave nothing but rounding
        if np.abs(out[:, t]).max() <= 1e-13 * np.abs(alpha[:, t]).max():
            out[:, t] = 0.0
    return out


# ------------------------------------------------------------------------------------ dual norms


def respond(X, alpha, neurons):
    """(K,) |sum_i alpha_i relu(w . x_i + b)| of rows (w, b), summed about each neuron's own kink."""
    hidden = np.maximum(neurons[:, :-1] @ X.T + neurons[:, -1:], 0.0)
    return np.linalg.norm(hidden @ alpha, axis=1)


def patterns(Z, n_samples=4000, seed=0):
    """(P, M) the sign patterns of rows z_j . u > 0 that sampling finds, near vertices too."""
    rng = np.random.default_rng(seed)
    _, s, Vt = np.linalg.svd(Z, full_matrices=False)
    rank = int(np.sum(s > 1e-9 * max(s[0], 1e-300)))
    if rank == 0:
        return np.zeros((1, len(Z)), dtype=bool)
    inside = Z @ Vt[:rank].T / s[:rank]
    inside = inside / np.maximum(np.linalg.norm(inside, axis=1), 1e-300)[:, None]
    u = [rng.standard_normal((n_samples, rank))]
    for some in combinations(range(len(Z)), rank - 1):
        # a vertex, and the cells that meet there
        direction = np.linalg.svd(inside[list(some)].reshape(rank - 1, rank))[2][-1]
        for size in (1e-2, 1e-5):
            near = direction + size * rng.standard_normal((4 * 2**rank, rank))
            u += [near, -near]
    return np.unique(np.concatenate(u) @ inside.T > 0, axis=0)


def candidates(Z, A):
    """Unit u (K, m) among which is the maximiser of |sum_j a_j (z_j . u)_+|: the leading eigenvectors
    of every activation pattern within every flat, either way round (N of ten or so)."""
    m = Z.shape[1]
    size = np.linalg.norm(Z, axis=1)
    Z, A = Z[size > 0] / size[size > 0, None], A[size > 0] * size[size > 0, None]
    if len(Z) == 0:
        return np.eye(m)[:1]
    maps = np.einsum("pj,jm,jr->pmr", patterns(Z).astype(float), Z, A)
    found = []
    for count in range(m):
        for zero in combinations(range(len(Z)), count):
            _, s, Vt = np.linalg.svd(Z[list(zero)].reshape(count, m))
            basis = Vt[int(np.sum(s > 1e-9)) :].T
            if count and int(np.sum(s > 1e-9)) < count:
                continue
            inside = basis.T @ maps
            found.append(np.linalg.eigh(inside @ inside.transpose(0, 2, 1))[1][:, :, -1] @ basis.T)
    u = np.concatenate(found)
    return np.concatenate([u, -u])


def all_neurons(X, alpha, biases):
    """Rows (w, b) of unit neurons among which is the one that responds most."""
    if biases:
        return candidates(np.column_stack([X, np.ones(len(X))]), alpha)
    found = []
    for at in np.unique(X, axis=0):
        w = candidates(X - at, alpha)
        found.append(np.column_stack([w, -w @ at]))
    return np.concatenate(found)


def exhaustive_dual_norm(X, alpha, biases):
    """max over unit neurons of |sum_i alpha_i relu(w . x_i + b)|; with free biases the kink of the best
    one is at a data point. Data are moved to the origin first where that changes no response."""
    if not biases:
        X = X - X.mean(axis=0)
    return float(respond(X, alpha, all_neurons(X, alpha, biases)).max())


def sampled_dual_norm(X, alpha, biases, n=4000, seed=0, rounds=40):
    """The same from below: many random neurons, the best of them refined by ever smaller steps."""
    rng = np.random.default_rng(seed)
    d = X.shape[1]
    if not biases:
        X = X - X.mean(axis=0)

    def unit(rows):
        return rows / np.linalg.norm(rows if biases else rows[:, :d], axis=1)[:, None]

    rows = rng.standard_normal((n, d + 1))
    rows[:, d] *= np.linalg.norm(X, axis=1).mean() + 1e-3
    if not biases:
        at = X[rng.integers(len(X), size=n)]
        rows[:, d] = -np.einsum("kd,kd->k", rows[:, :d], at)
    best = unit(rows)
    size = 0.5
    for _ in range(rounds):
        values = respond(X, alpha, best)
        top = best[np.argsort(-values)[:40]]
        moved = np.repeat(top, 25, axis=0)
        moved = moved + size * rng.standard_normal(moved.shape)
        if not biases:
            at = X[np.argmin(np.abs(np.repeat(top[:, :d] @ X.T + top[:, d:], 25, axis=0)), axis=1)]
            moved[:, d] = -np.einsum("kd,kd->k", moved[:, :d], at)
        best = np.concatenate([top, unit(moved)])
        size *= 0.7
    return float(respond(X, alpha, best).max())


# --------------------------------------------------------------------------------- dense formulas


def free_cost(penalty, A, c):
    biases, skip = penalty
    cost = 0.5 * float(c @ c) if biases else 0.0
    if skip == "frobenius":
        cost += 0.5 * float(np.sum(A * A))
    elif skip == "nuclear":
        cost += float(np.linalg.svd(A, compute_uv=False).sum())
    return cost


def objective(data, network):
    """F = sum w l(y, f) + lam R, term by term."""
    biases, _ = data.penalty
    w = label_weights(data.Y, data.weight)
    f = data.X @ network.A + network.c
    cost = free_cost(data.penalty, network.A, network.c)
    for a, b, v in zip(network.W, network.b, network.V, strict=True):
        f = f + np.outer(np.maximum(data.X @ a + b, 0.0), v)
        cost += np.linalg.norm(v) * np.linalg.norm(np.append(a, b) if biases else a)
    if data.lam == 0:
        return cost
    y = np.where(w > 0, data.Y, 1.0 / data.Y.shape[1] if data.spec == "multinomial" else 0.0)
    return float(np.sum(w * np.where(w > 0, loss_values(data.spec, y, f), 0.0))) + data.lam * cost


def dual_value(data, alpha):
    """D(alpha) = - sum w l*(y, - alpha / w) - (|sum alpha|^2 + |sum alpha x|_F^2) / (2 lam); at lam = 0
    <alpha, y> - ... with 1 for lam."""
    biases, skip = data.penalty
    w = label_weights(data.Y, data.weight)
    seen, lam = w > 0, data.lam if data.lam > 0 else 1.0
    y = np.where(seen, data.Y, 1.0 / data.Y.shape[1] if data.spec == "multinomial" else 0.0)
    if data.lam > 0:
        g = np.where(seen, -alpha / np.where(seen, w, 1.0), 0.0)
        value = -float(np.sum(w * np.where(seen, conjugate_values(data.spec, y, g), 0.0)))
    else:
        value = float(np.sum(alpha * np.where(seen, y, 0.0)))
    if biases:
        value -= float(np.sum(alpha.sum(axis=0) ** 2)) / (2.0 * lam)
    if skip == "frobenius":
        value -= float(np.sum((data.X.T @ alpha) ** 2)) / (2.0 * lam)
    return value


def assert_sound(certificate, data, best, rel=1e-9, dual_norm=exhaustive_dual_norm, feasible=True):
    """The dual point satisfies every constraint (that of the neurons where `feasible`), is worth what
    is said, and no bound is above `best`, the objective of some network."""
    (biases, skip), lam = data.penalty, data.lam if data.lam > 0 else 1.0
    w, alpha, X = label_weights(data.Y, data.weight), certificate.dual_point, data.X
    assert certificate.gap >= 0.0
    assert 0.0 <= certificate.bound <= best * (1.0 + rel)
    assert alpha.shape == data.Y.shape
    assert np.all(alpha[w == 0.0] == 0.0)
    size = np.abs(alpha).sum(axis=0) + 1e-12 * lam
    if not biases:
        assert np.all(np.abs(alpha.sum(axis=0)) <= 1e-9 * size)
    if skip == "free":
        Z = X - X.mean(axis=0)
        assert np.all(np.abs(Z.T @ alpha) <= 1e-9 * size * max(np.abs(Z).max(), 1e-300))
    if skip == "nuclear":
        assert np.linalg.norm(X.T @ alpha, 2) <= lam * (1.0 + 1e-9)
    assert certificate.dual <= dual_value(data, alpha) + rel * best
    if feasible:
        assert 0.0 <= certificate.dual <= best * (1.0 + rel)
        assert dual_norm(X, alpha, biases) <= lam * (1.0 + 1e-8)


# ---------------------------------------------------------------------------------- conic oracles


def _free_variables(data):
    biases, skip = data.penalty
    d, n_tasks = data.X.shape[1], data.Y.shape[1]
    A, c = cp.Variable((d, n_tasks)), cp.Variable((1, n_tasks))
    price = {"free": 0.0, "none": 0.0, "frobenius": 0.5 * cp.sum_squares(A), "nuclear": cp.normNuc(A)}[skip]
    price += 0.5 * cp.sum_squares(c) if biases else 0.0
    held = [A == 0] if skip == "none" else []
    return data.X @ A + np.ones((len(data.X), 1)) @ c, price, held


def _finish(data, f, price, held):
    """(the optimum, the predictions, minus the gradient of the loss there), by the multiplier of
    "predictions = network": at kinks of the loss too."""
    w = label_weights(data.Y, data.weight)
    y = np.where(w > 0, data.Y, 1.0 / data.Y.shape[1] if data.spec == "multinomial" else 0.0)
    F = cp.Variable(y.shape)
    made = f == F
    if data.lam == 0:
        problem = _solve(price, [*held, made, *(F[i, t] == y[i, t] for i, t in np.argwhere(w > 0))])
    else:
        problem = _solve(conic_loss(data.spec, y, w, F) + data.lam * price, [*held, made])
    return float(problem.value), F.value, np.where(w > 0, made.dual_value, 0.0)


def ergen_pilanci_optimum(data):
    """One task, exactly: the convex programme over every activation pattern D_p of the data (Ergen and
    Pilanci 2021), sum_p D_p [X, 1] (u_p - v_p) with u_p, v_p in the cone of their pattern."""
    biases, _ = data.penalty
    assert data.Y.shape[1] == 1
    Z = np.column_stack([data.X, np.ones(len(data.X))])
    d = data.X.shape[1]
    f, price, held = _free_variables(data)
    for on in patterns(Z):
        if not on.any():
            continue
        sign = np.where(on, 1.0, -1.0)
        for way in (1.0, -1.0):
            u = cp.Variable((d + 1, 1))
            held.append((sign[:, None] * Z) @ u >= 0)
            f = f + way * (on[:, None] * Z) @ u
            price += cp.norm(u if biases else u[:d], "fro")
    return _finish(data, f, price, held)[0]


def _unit(rows, biases):
    return rows / np.linalg.norm(rows if biases else rows[:, :-1], axis=1)[:, None]


def dictionary_optimum(data, neurons):
    """The least objective over networks of the unit neurons (K, d + 1)."""
    hidden = np.maximum(data.X @ neurons[:, :-1].T + neurons[:, -1], 0.0)
    f, price, held = _free_variables(data)
    V = cp.Variable((len(neurons), data.Y.shape[1]))
    f, price = f + hidden @ V, price + cp.sum(cp.norm(V, 2, axis=1))
    value, fitted, alpha = _finish(data, f, price, held)
    return Upper(value, neurons[np.linalg.norm(V.value, axis=1) > 1e-7], fitted, alpha)


def column_generation(data, rounds=8, n_start=60, n_new=30, seed=0):
    """Any number of tasks, from above: networks of given neurons, to which those that respond most to
    the gradient of the loss, and neighbours of those in use, are added again and again (every pattern
    is looked at, so N of ten or so)."""
    rng = np.random.default_rng(seed)
    biases, d = data.penalty[0], data.X.shape[1]
    w = rng.standard_normal((n_start, d))
    at = data.X[rng.integers(len(data.X), size=n_start)] + 0.1 * biases * rng.standard_normal((n_start, d))
    neurons = _unit(np.column_stack([w, -np.einsum("kd,kd->k", w, at)]), biases)
    best = None
    for step in range(rounds):
        try:
            now = dictionary_optimum(data, neurons)
        except cp.SolverError:
            # neurons too close together: the ones before them are an upper bound as well
            if best is None:
                raise
            return best
        if best is not None and now.primal > best.primal * (1.0 - 1e-9):
            return best
        best, alpha = now, now.alpha
        if not biases:
            alpha = project_free(data.X, alpha, data.penalty[1], label_weights(data.Y, data.weight))
        fresh = all_neurons(data.X, alpha, biases)
        fresh = fresh[np.argsort(-respond(data.X, alpha, fresh))]
        _, first = np.unique(np.round(fresh[:4000], 6), axis=0, return_index=True)
        near = np.repeat(now.neurons, 6, axis=0)
        near = _unit(near + 0.2 * 0.3**step * rng.standard_normal(near.shape), biases)
        neurons = np.concatenate([now.neurons, fresh[np.sort(first)[:n_new]], near])
    return best
