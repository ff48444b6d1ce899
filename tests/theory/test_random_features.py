"""Random first layers (B, Remark 3.4): against normal equations, kernels and the limit of infinite width."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_losses import loss_values, random_labels
from scipy.integrate import quad
from scipy.optimize import minimize

import knotwork as kw
from knotwork.theory.arc_cosine import arc_cosine_kernel
from knotwork.theory.gaussian_process import gaussian_process
from knotwork.theory.random_features import RandomFeatures, fit_random_features, random_features

BIASES = kw.Penalty(biases=True, skip="none")
PENALTIES = [BIASES, kw.Penalty(True, "frobenius"), kw.Penalty(False, "none"), kw.Penalty()]
VARIANCES = {"input_variance": 0.7, "bias_variance": 0.4, "weight_variance": 1.5}


def data(seed, n=12, T=3, gaps=0.0, weighted=False):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, 2)), rng.standard_normal((n, T))
    Y[4:][rng.uniform(size=(n - 4, T)) < gaps] = np.nan
    return X, Y, rng.uniform(0.3, 2.0, Y.shape) if weighted else None


def parts(features, penalty, X):
    """Features that cost, and those that are free."""
    hidden = features.scale * np.maximum(X @ features.W.T + features.b, 0.0)
    one = np.ones((len(X), 1))
    paid = [hidden] + ([one] if penalty.biases else []) + ([X] if penalty.skip == "frobenius" else [])
    free = ([] if penalty.biases else [one]) + ([X] if penalty.skip == "free" else [])
    return np.hstack(paid), np.hstack([np.zeros((len(X), 0)), *free])


@pytest.mark.parametrize("penalty", PENALTIES)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 5, 40]),
    gaps=st.sampled_from([0.0, 0.4]),
    weighted=st.booleans(),
)
def test_both_spaces_solve_the_normal_equations_of_every_task(penalty, seed, width, gaps, weighted):
    X, Y, weight = data(seed, gaps=gaps, weighted=weighted)
    features = random_features(2, width, random_state=seed)
    problem = kw.Problem(X, Y, 0.1, penalty=penalty, sample_weight=weight)
    paid, free = parts(features, penalty, X)
    D = np.hstack([paid, free])
    ridge = np.diag(np.r_[np.full(paid.shape[1], 0.1), np.zeros(free.shape[1])])
    fits = [fit_random_features(features, problem, space=space) for space in ("weights", "kernel")]
    objective = 0.0
    for t in range(3):
        w = problem.label_weight()[:, t]
        y = np.where(w > 0, Y[:, t], 0.0)
        beta = np.linalg.solve(D.T @ (w[:, None] * D) + ridge, D.T @ (w * y))
        objective += 0.5 * w @ (y - D @ beta) ** 2 + 0.5 * beta @ ridge @ beta
        for fit in fits:
            np.testing.assert_allclose(fit.predict(X)[:, t], D @ beta, atol=1e-9)
    for fit in fits:
        assert fit.objective == pytest.approx(objective, rel=1e-9)
        # the representer theorem, in the weights of the objective
        np.testing.assert_allclose(
            fit.network.V / features.scale, features.features(X).T @ fit.coefficients, atol=1e-8
        )
        assert not fit.coefficients[np.isnan(Y)].any()
        np.testing.assert_array_equal(fit.network.W, features.W)


def test_the_smaller_space_is_taken():
    X, Y, _ = data(0)
    for width, space in ((5, "weights"), (12, "kernel"), (3000, "kernel")):
        features = random_features(2, width, random_state=0)
        assert fit_random_features(features, kw.Problem(X, Y, 0.1, penalty=BIASES)).space == space


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.4]))
def test_it_is_the_mean_of_the_gaussian_process_with_its_kernel(seed, gaps):
    X, Y, weight = data(seed, gaps=gaps, weighted=True)
    features, at = random_features(2, 30, random_state=seed), data(seed + 1)[0]
    problem = kw.Problem(X, Y, 0.2, penalty=BIASES, sample_weight=weight)
    process = gaussian_process(X, Y, lambda a, b: features(a, b) + 1.0, 0.2 / weight)
    fit = fit_random_features(features, problem)
    np.testing.assert_allclose(fit.predict(at), process.predict(at), atol=1e-10)
    np.testing.assert_allclose(fit.coefficients, process.coefficients, atol=1e-9)


def test_as_the_width_grows_it_is_the_process_of_the_arc_cosine_kernel():
    X, Y, _ = data(2)
    kernel = partial(arc_cosine_kernel, output_bias_variance=1.0, **VARIANCES)
    process = gaussian_process(X, Y, kernel, 0.3)
    problem = kw.Problem(X, Y, 0.3, penalty=BIASES)
    misses = []
    for width in (100, 5_000, 200_000):
        features = random_features(2, width, random_state=0, **VARIANCES)
        misses.append(np.abs(fit_random_features(features, problem).predict(X) - process.predict(X)).max())
    assert misses[2] < 1e-2 < misses[0]
    assert misses[2] < misses[1] < misses[0]


def test_the_kernel_of_a_million_features_is_within_four_standard_errors():
    X = data(3, n=4)[0]
    features = random_features(2, 1_000_000, random_state=1, **VARIANCES)
    phi = features.features(X) * np.sqrt(features.n_neurons)
    right = arc_cosine_kernel(X, **VARIANCES)
    np.testing.assert_allclose(features(X), phi @ phi.T / features.n_neurons, rtol=1e-10)
    no_bias = arc_cosine_kernel(X, **(VARIANCES | {"bias_variance": 0.0}))
    apart = 0.0
    for i in range(4):
        for j in range(i + 1):
            error = (phi[i] * phi[j]).std() / np.sqrt(features.n_neurons)
            assert abs(features(X)[i, j] - right[i, j]) <= 4.0 * error
            assert abs(features(X)[i, j] - 2.0 * right[i, j]) > 20.0 * error
            apart = max(apart, abs(features(X)[i, j] - no_bias[i, j]) / error)
    assert apart > 20.0


@pytest.mark.parametrize("penalty", PENALTIES)
def test_lam_zero_interpolates_with_the_least_norm(penalty):
    X, Y, _ = data(4, gaps=0.3)
    features = random_features(2, 50, random_state=0)
    fit = fit_random_features(features, kw.Problem(X, Y, 0.0, penalty=penalty))
    seen = ~np.isnan(Y)
    np.testing.assert_allclose(fit.predict(X)[seen], Y[seen], atol=1e-8)
    paid, free = parts(features, penalty, X)
    total = 0.0
    for t in range(3):
        rows = seen[:, t]
        off = np.eye(rows.sum()) - free[rows] @ np.linalg.pinv(free[rows])
        total += 0.5 * np.sum((np.linalg.pinv(off @ paid[rows], rcond=1e-10) @ (off @ Y[rows, t])) ** 2)
    assert fit.objective == pytest.approx(total, rel=1e-8)
    with pytest.raises(ValueError, match="lam"):
        fit_random_features(random_features(2, 3, random_state=0), kw.Problem(X, Y, 0.0, penalty=penalty))


@pytest.mark.parametrize("space", ["weights", "kernel"])
@pytest.mark.parametrize("loss", ["logistic", "huber", "poisson", "multinomial"])
def test_other_losses_are_at_their_minimum(loss, space):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((12, 2))
    spec = ("huber", 1.0) if loss == "huber" else loss
    Y = random_labels(rng, spec, rng.standard_normal((12, 3)))
    features = random_features(2, 6, random_state=0)
    fit = fit_random_features(features, kw.Problem(X, Y, 0.3, loss, BIASES), space=space)
    D, _ = parts(features, BIASES, X)

    def objective(beta):
        beta = beta.reshape(-1, 3)
        return np.sum(loss_values(spec, Y, D @ beta)) + 0.15 * np.sum(beta**2)

    found = minimize(objective, np.zeros(21), method="BFGS", options={"gtol": 1e-5})
    assert fit.objective == pytest.approx(found.fun, rel=1e-6)
    assert fit.objective <= found.fun * (1.0 + 1e-9)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([4, 40]), st.sampled_from([0.0, 0.4]))
def test_all_tasks_as_one_least_squares_problem_have_the_same_solution(seed, width, gaps):
    """B, section 4: the squared norm of all output weights is a sum over tasks."""
    X, Y, _ = data(seed, gaps=gaps)
    features = random_features(2, width, random_state=seed)
    D, _ = parts(features, BIASES, X)
    seen = ~np.isnan(Y.T.ravel())
    every = np.kron(np.eye(3), D)[seen]
    stacked = np.vstack([every, np.sqrt(0.1) * np.eye(every.shape[1])])
    beta = np.linalg.lstsq(stacked, np.r_[Y.T.ravel()[seen], np.zeros(every.shape[1])], rcond=None)[0]
    joint = D @ beta.reshape(3, -1).T
    for t in range(3):
        alone = fit_random_features(features, kw.Problem(X, Y[:, t], 0.1, penalty=BIASES))
        assert np.abs(alone.predict(X)[:, 0] - joint[:, t]).max() <= 1e-10


@pytest.mark.parametrize(("x", "x_other"), [(0.3, 0.8), (-1.5, 0.4), (2.0, 2.0), (-0.7, -3.0)])
def test_in_one_input_the_norm_is_the_squared_bends_over_a_weight_of_the_first_layer(x, x_other):
    """B, Remark 3.4: the squared norm is the least sum over facings s of the integral of phi_s''^2 / g, whose
    kernel is that of relu(s (x - r)) weighed by g; g is the density of knots r = -b/w of facing s times
    E[w^2 | r], for standard normal w and b 1 / (pi (1 + r^2)^2). The weight of (7), (1 + r^2)^(-1/2),
    is another, and does not know how the first layer was drawn."""

    def bends(r, power):
        right = max(x - r, 0.0) * max(x_other - r, 0.0)
        return (right + max(r - x, 0.0) * max(r - x_other, 0.0)) / (np.pi * (1.0 + r * r) ** power)

    cuts = [-np.inf, *sorted({x, x_other}), np.inf]
    total = sum(quad(bends, a, b, args=(2.0,))[0] for a, b in pairwise(cuts))
    kernel = arc_cosine_kernel([x], [x_other], weight_variance=1.0)[0, 0]
    assert kernel == pytest.approx(total, rel=1e-7)
    other = sum(quad(bends, a, b, args=(2.5,))[0] for a, b in pairwise(cuts))
    assert abs(other / total - 1.0) > 0.05


def test_a_seed_gives_one_first_layer_with_the_stated_variances():
    first = random_features(3, 200_000, random_state=4, **VARIANCES)
    again = random_features(3, 200_000, random_state=4, **VARIANCES)
    np.testing.assert_array_equal(first.W, again.W)
    assert first.W.var() == pytest.approx(0.7, rel=0.01)
    assert first.b.var() == pytest.approx(0.4, rel=0.02)
    assert first.scale == pytest.approx(np.sqrt(1.5 / 200_000), rel=1e-15)
    assert not np.array_equal(first.W, random_features(3, 200_000, random_state=5, **VARIANCES).W)


def test_arguments_that_make_no_sense_are_named():
    X, Y, _ = data(6)
    features = random_features(2, 5, random_state=0)
    for call, match in (
        (lambda: random_features(0, 5), "n_inputs"),
        (lambda: random_features(2, 0), "n_neurons"),
        (lambda: random_features(2, 5, weight_variance=0.0), "weight_variance"),
        (lambda: random_features(2, 5, bias_variance=-1.0), "bias_variance"),
        (lambda: RandomFeatures(np.ones(3), np.ones(3), 1.0), "W"),
        (lambda: RandomFeatures(np.ones((3, 1)), np.ones(2), 1.0), "b"),
        (lambda: RandomFeatures(np.ones((3, 1)), np.ones(3), 0.0), "scale"),
        (lambda: features.features(np.ones((2, 3))), "X"),
        (lambda: fit_random_features(features, kw.Problem(X[:, 0], Y, 0.1)), "problem"),
        (lambda: fit_random_features(features, kw.Problem(X, Y, 0.1), space="dual"), "space"),
        (
            lambda: fit_random_features(features, kw.Problem(X, Y, 0.1, penalty=kw.Penalty(True, "nuclear"))),
            "nuclear",
        ),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(TypeError, match="features"):
        fit_random_features(features.W, kw.Problem(X, Y, 0.1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="problem"):
        fit_random_features(features, Y)  # type: ignore[arg-type]
