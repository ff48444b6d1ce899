"""The fit without neurons, against CVXPY and by its optimality conditions; and where there is none."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import MIXED, PAIRS, SMOOTH_MIXED, Case, loss_of, name_of, random_case
from references import _solve, label_weights
from references_losses import SPECS, conic_loss, loss_values, random_labels
from scipy.optimize import linprog
from scipy.special import expit

import knotwork as kw
from knotwork.free_parts import affine_fit, least_squares, recession
from knotwork.losses import resolve_loss


def conic_free_fit(case):
    """The least objective over constants and linear parts."""
    biases, skip = case.penalty
    n_tasks = case.Y.shape[1]
    w = label_weights(case.Y, case.weight)
    y = np.where(w > 0, case.Y, 1.0 / n_tasks if case.spec == "multinomial" else 0.0)
    A, c = cp.Variable((1, n_tasks)), cp.Variable((1, n_tasks))
    f = case.X[:, None] @ A + np.ones((len(y), 1)) @ c
    price = 0.5 * cp.sum_squares(c) if biases else 0.0
    price += {"frobenius": 0.5 * cp.sum_squares(A), "nuclear": cp.norm(A, "fro")}.get(skip, 0.0)
    constraints = [A == 0] if skip == "none" else []
    return float(_solve(conic_loss(case.spec, y, w, f) + case.lam * price, constraints).value)


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, "labels")])
@pytest.mark.parametrize(
    ("spec", "penalty"),
    [*PAIRS, *((mix, penalty) for mix in (MIXED, SMOOTH_MIXED) for _, penalty in PAIRS[:5])],
    ids=name_of,
)
def test_no_affine_fit_is_better(spec, penalty, gaps, weights):
    case = random_case(31, spec, penalty, n=16, gaps=gaps, weights=weights)
    fit = case.problem.free_fit()
    assert fit.n_neurons == 0
    assert penalty[1] != "none" or not fit.A.any()
    value, best = case.objective(fit), conic_free_fit(case)
    assert value == pytest.approx(best, rel=1e-7)
    # of twenty neighbours none is lower; steps for classes end earlier
    slack = 1e-9 if spec == "multinomial" else 1e-13
    rng = np.random.default_rng(0)
    for size in np.repeat([1e-2, 1e-4, 1e-6, 1e-8], 5):
        A = fit.A + size * rng.standard_normal(fit.A.shape) * (penalty[1] != "none")
        beside = kw.ReLUNetwork(fit.W, fit.b, fit.V, A, fit.c + size * rng.standard_normal(len(fit.c)))
        assert case.objective(beside) >= value * (1.0 - slack)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize(
    "spec", ["squared", ("huber", 0.4), "logistic", "multinomial", "poisson"], ids=name_of
)
def test_gradients_are_orthogonal_to_the_free_parts(spec, linear):
    case = random_case(32, spec, (False, "free"), n=20, gaps=0.2, weights="labels")
    w = label_weights(case.Y, case.weight)
    loss = resolve_loss(loss_of(spec))
    rng = np.random.default_rng(1)
    offset = rng.standard_normal(case.Y.shape)
    A, c = affine_fit(case.X[:, None], case.Y, w, loss, linear=linear, offset=offset)
    y = np.where(w > 0, case.Y, 1.0 / case.Y.shape[1] if spec == "multinomial" else 0.0)
    g = w * loss.gradient(y, offset + case.X[:, None] * A + c)
    size = np.abs(g).sum(axis=0)
    assert np.all(size > 0.1)
    small = 1e-6 if spec == "multinomial" else 1e-8
    assert np.all(np.abs(g.sum(axis=0)) <= small * size)
    if linear:
        assert np.all(np.abs(case.X @ g) <= 3.0 * small * size)
    else:
        assert not A.any()


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("spec", [("huber", 0.4), "logistic", "poisson", ("quantile", 0.3)], ids=name_of)
def test_several_inputs(spec, ridge):
    rng = np.random.default_rng(33)
    X = rng.standard_normal((40, 3))
    Y = random_labels(rng, spec, 0.5 * X @ rng.standard_normal((3, 2)))
    w = rng.uniform(0.5, 2.0, Y.shape)
    A, c = affine_fit(X, Y, w, resolve_loss(loss_of(spec)), linear=True, ridge_c=ridge, ridge_A=0.5 * ridge)
    slope, constant = cp.Variable((3, 2)), cp.Variable((1, 2))
    f = X @ slope + np.ones((40, 1)) @ constant
    price = 0.5 * ridge * cp.sum_squares(constant) + 0.25 * ridge * cp.sum_squares(slope)
    best = float(_solve(conic_loss(spec, Y, w, f) + price, []).value)
    value = float(np.sum(w * loss_values(spec, Y, X @ A + c)))
    value += 0.5 * ridge * float(c @ c) + 0.25 * ridge * float(np.sum(A * A))
    assert value == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
@pytest.mark.parametrize("penalty", [(False, "free"), (True, "frobenius"), (True, "nuclear")])
def test_one_distinct_input(spec, penalty):
    case = random_case(34, spec, penalty, n=12, lam=0.3)
    case = Case(spec, penalty, np.full(12, 0.75), case.Y, case.lam)
    fit = case.problem.free_fit()
    assert case.objective(fit) == pytest.approx(conic_free_fit(case), rel=1e-7)
    if spec in ("squared", "logistic", "poisson") and not penalty[0]:
        mean = case.Y.mean(axis=0)
        rate = {"squared": lambda f: f, "logistic": expit, "poisson": np.exp}[spec]
        np.testing.assert_allclose(rate(fit.predict([0.75])[0]), mean, rtol=1e-8)


@pytest.mark.parametrize("origin", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("spec", ["logistic", "poisson", ("huber", 0.4), ("quantile", 0.3)], ids=name_of)
def test_far_from_the_origin_the_fit_keeps_its_digits(spec, origin):
    # binary fractions: the shifted inputs are exact
    rng = np.random.default_rng(35)
    x = rng.integers(0, 64, 30) / 64.0
    Y = random_labels(rng, spec, np.column_stack([x, 1.0 - x]))
    near = kw.Problem(x, Y, 0.1, loss_of(spec)).free_fit().predict(x)
    fit = kw.Problem(x + origin, Y, 0.1, loss_of(spec)).free_fit()
    np.testing.assert_allclose(fit.predict(x + origin), near, atol=1e-7 + 1e-13 * abs(origin))


@pytest.mark.parametrize("shape", [(30,), (30, 2)])
def test_weights_are_repeated_rows(shape):
    rng = np.random.default_rng(36)
    x, Y = rng.standard_normal(30), rng.integers(0, 2, (30, 2)).astype(float)
    weight = rng.integers(0, 3, shape)
    weight[:2] = 1
    one = kw.Problem(x, Y, 0.1, "logistic", sample_weight=weight).free_fit()
    for t in range(2):
        times = weight if weight.ndim == 1 else weight[:, t]
        other = kw.Problem(np.repeat(x, times), np.repeat(Y[:, t], times), 0.1, "logistic").free_fit()
        np.testing.assert_allclose(one.A[:, t], other.A[:, 0], rtol=1e-7)
        np.testing.assert_allclose(one.c[t], other.c[0], rtol=1e-7)


def test_minimum_norm_where_the_labels_leave_it_open():
    # equal rows in two inputs: A in their span, and as little of it as of c
    A, c = least_squares(np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[3.0], [3.0]]), None, True)
    np.testing.assert_allclose([*A[:, 0], c[0]], np.array([1.0, 2.0, 1.0]) * 3.0 / 6.0, rtol=1e-14)


@pytest.mark.parametrize("penalty", [(False, "free"), (False, "none")])
@pytest.mark.parametrize("spec", ["logistic", "poisson", "multinomial"])
def test_separable_labels_are_followed_far(spec, penalty):
    # the least loss is 0, or that of the labels that nothing separates
    x = np.arange(6.0)
    Y = {
        "logistic": np.column_stack([np.ones(6), np.arange(6) > 2.5]).astype(float),
        "poisson": np.column_stack([np.zeros(6), [1, 2, 0, 0, 3, 1]]).astype(float),
        "multinomial": np.eye(3)[[0, 0, 0, 0, 0, 0]],
    }[spec]
    problem = kw.Problem(x, Y, 0.1, spec, kw.Penalty(*penalty))
    fit = problem.free_fit()
    f = fit.predict(x)
    assert np.all(np.isfinite(f))
    losses = loss_values(spec, Y, f)
    assert losses.sum(axis=0)[0] < 1e-7
    if spec == "logistic":
        separated = penalty[1] == "free"
        assert losses[:, 1].sum() == pytest.approx(0.0 if separated else 6.0 * np.log(2.0), abs=1e-7)


# ------------------------------------------------------------------------------ recession directions


def loses(spec, y, w, z):
    """Whether the loss of each label goes to its infimum 0 along f = s z (z of (N, T)): True, and
    False where it stays; None where it grows somewhere."""
    if spec == "multinomial":
        seen = w[:, 0] > 0
        top = np.where(y > 0, z, np.inf).min(axis=1)
        if np.any((top < z.max(axis=1) - 1e-9)[seen]):
            return None
        return (w > 0) & (z < z.max(axis=1, keepdims=True) - 1e-9)
    away = np.where(y > 0, -z, z)
    if spec == "poisson":
        away = np.where(y > 0, np.abs(z), z)
    if np.any((away > 1e-9) & (w > 0)):
        return None
    return (w > 0) & (np.abs(z) > 1e-9)


def most_lost(spec, x, y, w, linear):
    """(N, T) labels that some direction loses, by a linear programme for each task: the sum of
    all margins, each counted up to 1, is largest where every one of them is positive."""
    lost = np.zeros(y.shape, dtype=bool)
    for t in range(y.shape[1]):
        rows = np.flatnonzero(w[:, t] > 0)
        sign = np.where(y[rows, t] > 0, 1.0, -1.0)
        Z = np.column_stack([np.ones(len(rows)), x[rows] if linear else np.zeros(len(rows))])
        margin = sign[:, None] * Z
        equal = margin[y[rows, t] > 0] if spec == "poisson" else np.zeros((0, 2))
        n = len(rows)
        found = linprog(
            np.concatenate([np.zeros(2), -np.ones(n)]),
            A_ub=np.hstack([-margin, np.eye(n)]),
            b_ub=np.zeros(n),
            A_eq=np.hstack([equal, np.zeros((len(equal), n))]),
            b_eq=np.zeros(len(equal)),
            bounds=[(-1e4, 1e4)] * 2 + [(0.0, 1.0)] * n,
        )
        lost[rows, t] = found.x[2:] > 1e-6
    return lost


def class_is_lost(x, y, w, linear):
    """(N, T) entries some direction loses: one linear programme for each of them."""
    T = y.shape[1]
    seen = [(i, t) for i, t in np.argwhere(y > 0) if w[i, 0] > 0]
    rows = []
    for i, t in seen:
        for s in set(range(T)) - {t}:
            row = np.zeros(2 * T)
            row[[t, s]] += [1.0, -1.0]
            row[[T + t, T + s]] += [x[i] * linear, -x[i] * linear]
            rows.append((i, s, row))
    M = np.array([row for _, _, row in rows])
    lost = np.zeros(y.shape, dtype=bool)
    for i, s, row in rows:
        found = linprog(-row, A_ub=-M, b_ub=np.zeros(len(M)), bounds=[(-1.0, 1.0)] * (2 * T))
        lost[i, s] |= -found.fun > 1e-7
    return lost


small_x = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=9)
few_x = st.lists(st.integers(-2, 2).map(float), min_size=2, max_size=5).filter(lambda x: min(x) < max(x))


@given(small_x, st.sampled_from(["logistic", "poisson"]), st.booleans(), st.integers(0, 10**6))
def test_recession_finds_every_label_that_can_be_lost(x, spec, linear, seed):
    rng, x = np.random.default_rng(seed), np.array(x)
    n = len(x)
    if rng.uniform() < 0.6:
        # separable at a threshold, some of them up to labels on it
        at, sign = rng.choice(x), rng.choice([1.0, -1.0])
        y = (sign * (x - at) > 0).astype(float)
        y[x == at] = rng.integers(0, 2, int(np.sum(x == at)))
        if spec == "poisson":
            y = (x == at) * rng.integers(0, 3, n) + (rng.uniform(size=n) < 0.1)
    else:
        y = rng.integers(0, 2, n).astype(float)
    Y = np.column_stack([y, rng.integers(0, 2, n)]).astype(float)
    w = (rng.uniform(size=Y.shape) > 0.2).astype(float)
    w[0] = 1.0
    expected = most_lost(spec, x, Y, w, linear)
    found = recession(x, Y, w, resolve_loss(spec), linear)
    if found is None:
        assert not expected.any()
        return
    A, c, lost = found
    assert linear or not A.any()
    assert np.array_equal(lost, expected)
    z = x[:, None] * A + c
    assert np.array_equal(loses(spec, Y, w, z), lost)
    assert np.abs(z[lost]).min() >= 1.0 - 1e-9


@settings(max_examples=30)
@given(few_x, st.booleans(), st.integers(0, 10**6), st.integers(2, 3))
def test_recession_of_classes_finds_every_margin(x, linear, seed, n_tasks):
    rng, x = np.random.default_rng(seed), np.array(x)
    n = len(x)
    which = np.searchsorted(np.sort(rng.choice(x, n_tasks - 1)), x, side="left")
    if rng.uniform() < 0.4:
        which = rng.integers(0, n_tasks, n)
    Y = np.eye(n_tasks)[which]
    if rng.uniform() < 0.3:
        Y[rng.integers(n)] = rng.dirichlet(np.ones(n_tasks))
    w = np.repeat((rng.uniform(size=(n, 1)) > 0.2).astype(float), n_tasks, axis=1)
    w[0] = 1.0
    expected = class_is_lost(x, Y, w, linear)
    found = recession(x, Y, w, resolve_loss("multinomial"), linear)
    if found is None:
        assert not expected.any()
        return
    A, c, lost = found
    assert linear or not A.any()
    z = x[:, None] * A + c
    assert np.array_equal(loses("multinomial", Y, w, z), lost)
    assert np.array_equal(lost, expected)
    assert (z.max(axis=1, keepdims=True) - z)[lost].min() >= 1.0 - 1e-9


@pytest.mark.parametrize("spec", ["squared", "huber", "quantile"])
def test_quantities_are_never_separable(spec):
    x, Y = np.arange(3.0), np.ones((3, 1))
    assert recession(x, Y, np.ones((3, 1)), resolve_loss(spec), True) is None
