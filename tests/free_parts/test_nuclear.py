"""The fit without neurons under a nuclear norm, several inputs: closed forms, CVXPY, and its duality gap."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import MIXED, SMOOTH_MIXED, loss_of, name_of
from references import _solve, label_weights
from references_losses import conic_loss, conjugate_values, loss_values
from references_several import Data, objective, random_data

import knotwork as kw
from knotwork.free_parts.nuclear import norm_gradient, norm_hessian, smoothed_norm

NUCLEAR = (True, "nuclear")
SMOOTH = ["squared", ("huber", 0.4), "logistic", "multinomial", "poisson", SMOOTH_MIXED]


def problem_of(data):
    return kw.Problem(data.X, data.Y, data.lam, loss_of(data.spec), kw.Penalty(*NUCLEAR), data.weight)


def labels_of(data):
    w = label_weights(data.Y, data.weight)
    return w, np.where(w > 0, data.Y, 1.0 / data.Y.shape[1] if data.spec == "multinomial" else 0.0)


def relative_gap(data, fit):
    """(F - D) / F without neurons: minus the gradient there, made short enough for |X' alpha|_op <= lam."""
    w, y = labels_of(data)
    g = problem_of(data).loss_function.gradient(y, data.X @ fit.A + fit.c)
    pull = np.linalg.norm(data.X.T @ (w * g), 2)
    g = g * min(1.0, data.lam / pull) if pull > 0 else g
    dual = -float(np.sum(w * np.where(w > 0, conjugate_values(data.spec, y, g), 0.0)))
    dual -= float(np.sum((w * g).sum(axis=0) ** 2)) / (2.0 * data.lam)
    return 1.0 - dual / objective(data, fit)


def conic_fit(data):
    w, y = labels_of(data)
    A, c = cp.Variable((data.X.shape[1], y.shape[1])), cp.Variable((1, y.shape[1]))
    f = data.X @ A + np.ones((len(y), 1)) @ c
    price = cp.normNuc(A) + 0.5 * cp.sum_squares(c)
    return float(_solve(conic_loss(data.spec, y, w, f) + data.lam * price, []).value)


@pytest.mark.parametrize("spec", [*SMOOTH, ("quantile", 0.3), MIXED], ids=name_of)
@pytest.mark.parametrize(
    ("d", "lam", "gaps", "weights"), [(2, 0.3, 0.0, None), (3, 1.0, 0.2, "labels"), (5, 0.02, 0.0, "rows")]
)
def test_the_conic_programme_finds_no_better(spec, d, lam, gaps, weights):
    data = random_data(d, spec, NUCLEAR, 12, d, 3, lam, gaps, weights)
    fit = problem_of(data).free_fit()
    assert fit.n_neurons == 0
    assert objective(data, fit) == pytest.approx(conic_fit(data), rel=1e-7)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 18), st.floats(-3.0, 1.0))
def test_the_gap_closes(seed, d, n, log_lam):
    spec = SMOOTH[seed % len(SMOOTH)]
    weights = [None, "rows", "labels"][seed % 3]
    data = random_data(seed, spec, NUCLEAR, n, d, 1 + seed % 5, 10.0**log_lam, 0.2 * (seed % 2), weights)
    fit = problem_of(data).free_fit()
    w, y = labels_of(data)
    if objective(data, fit) > 1e-6 * float(np.sum(w * loss_values(data.spec, y, np.zeros_like(y)))):
        assert -1e-11 <= relative_gap(data, fit) <= 1e-9


@pytest.mark.parametrize("lam", [0.1, 1.0, 2.9, 3.1])
@pytest.mark.parametrize("n_tasks", [1, 2, 7])
def test_orthonormal_inputs_shrink_the_singular_values(lam, n_tasks):
    rng = np.random.default_rng(n_tasks)
    Q, _ = np.linalg.qr(np.column_stack([np.ones(20), rng.standard_normal((20, 3))]))
    X, Y = Q[:, 1:], rng.standard_normal((20, n_tasks))
    U, s, Vt = np.linalg.svd(X.T @ Y, full_matrices=False)
    # the largest singular value becomes 3
    Y = 3.0 * Y / s[0]
    fit = kw.Problem(X, Y, lam, penalty=kw.Penalty(*NUCLEAR)).free_fit()
    shrunk = np.maximum(3.0 * s / s[0] - lam, 0.0)
    np.testing.assert_allclose(fit.A, (U * shrunk) @ Vt, atol=1e-12)
    np.testing.assert_allclose(fit.c, Y.sum(axis=0) / (20.0 + lam), atol=1e-12)
    assert np.linalg.matrix_rank(fit.A) == np.sum(shrunk > 0)
    if lam > 3.0:
        assert not fit.A.any()


def test_the_rank_is_the_least_that_the_gap_allows():
    # two directions in the labels of six tasks, one of them too weak to pay for itself
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(np.column_stack([np.ones(40), rng.standard_normal((40, 3))]))
    Y = 5.0 * np.outer(Q[:, 1], np.ones(6) / np.sqrt(6.0)) + 0.5 * np.outer(Q[:, 2], [1, -1, 1, -1, 1, -1])
    for spec in ("squared", kw.Huber(10.0)):
        fit = kw.Problem(Q[:, 1:], Y, 2.0, spec, kw.Penalty(*NUCLEAR)).free_fit()
        assert np.linalg.matrix_rank(fit.A, tol=1e-12) == 1


@pytest.mark.parametrize("case", ["repeated rows", "a constant column", "equal columns", "few rows"])
def test_degenerate_inputs(case):
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((6, 2)), rng.standard_normal((6, 3))
    if case == "repeated rows":
        X[3:] = X[:3]
    elif case == "a constant column":
        X[:, 1] = 2.0
    elif case == "equal columns":
        X = np.column_stack([X, X])
    else:
        X = rng.standard_normal((6, 10))
    data = Data("squared", NUCLEAR, X, Y, 0.1)
    fit = problem_of(data).free_fit()
    assert relative_gap(data, fit) <= 1e-10
    if case == "equal columns":
        np.testing.assert_allclose(fit.A[:2], fit.A[2:], atol=1e-10)


def test_rotations_and_weights_change_nothing():
    data = random_data(3, "squared", NUCLEAR, 10, 3, 4, 0.3)
    best = objective(data, problem_of(data).free_fit())
    rng = np.random.default_rng(0)
    P, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    Q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    twice = np.concatenate([np.arange(10), np.arange(5)])
    for other in (data._replace(Y=data.Y @ P), data._replace(X=data.X @ Q)):
        assert objective(other, problem_of(other).free_fit()) == pytest.approx(best, rel=1e-12)
    repeated = data._replace(X=data.X[twice], Y=data.Y[twice])
    weighted = data._replace(weight=np.bincount(twice).astype(float))
    one, other = problem_of(repeated).free_fit(), problem_of(weighted).free_fit()
    np.testing.assert_allclose(one.A, other.A, atol=1e-9)
    # weights that tasks do not share take the way without reduction
    each = weighted._replace(weight=weighted.weight[:, None] * (1.0 + 1e-14 * rng.uniform(size=(10, 4))))
    np.testing.assert_allclose(problem_of(each).free_fit().A, other.A, atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (1, 3)])
@pytest.mark.parametrize("case", ["generic", "rank one", "equal", "zero"])
def test_derivatives_of_the_smoothed_norm(shape, case):
    rng = np.random.default_rng(4)
    M = {
        "generic": rng.standard_normal(shape),
        "rank one": np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1])),
        "equal": np.eye(*shape),
        "zero": np.zeros(shape),
    }[case]
    mu, size = 0.3, 1e-5
    gradient, H = norm_gradient(M, mu), norm_hessian(M, mu)
    for _ in range(4):
        move = rng.standard_normal(shape)
        up, down = M + size * move, M - size * move
        slope = (smoothed_norm(up, mu) - smoothed_norm(down, mu)) / (2.0 * size)
        assert float(np.sum(gradient * move)) == pytest.approx(slope, abs=1e-8)
        bend = (norm_gradient(up, mu) - norm_gradient(down, mu)) / (2.0 * size)
        np.testing.assert_allclose(np.einsum("atbs,bs->at", H, move), bend, atol=1e-8)
    # closer to the norm with mu, and never steeper
    assert np.linalg.norm(gradient, 2) < 1.0
    s = np.linalg.svd(M, compute_uv=False)
    assert smoothed_norm(M, 1e-12) == pytest.approx(float(s.sum()), abs=1e-9)
