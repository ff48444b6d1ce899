"""Gaussian processes: against scikit-learn, dense formulas and SciPy's densities."""

from __future__ import annotations

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

import knotwork as kw
from knotwork.theory import gaussian_process as module
from knotwork.theory.arc_cosine import arc_cosine_kernel, neural_tangent_kernel
from knotwork.theory.gaussian_process import fit_gaussian_process, gaussian_process, maximise, rbf_kernel

KERNELS = [
    partial(rbf_kernel, variance=1.3, length_scale=0.6),
    partial(arc_cosine_kernel, depth=2, bias_variance=0.5),
    partial(neural_tangent_kernel, output_bias_variance=0.1),
]


def data(seed, n=12, d=2, T=3, gaps=0.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Y = np.sin(2.0 * X[:, [0]] + rng.uniform(0, 6, T)) + 0.1 * rng.standard_normal((n, T))
    Y[1:][rng.uniform(size=(n - 1, T)) < gaps] = np.nan
    return X, Y, rng.standard_normal((9, d))


def test_mean_deviation_and_likelihood_are_scikit_learn_s():
    X, Y, at = data(0, n=25)
    ours = gaussian_process(X, Y, partial(rbf_kernel, variance=1.7, length_scale=0.8), 0.05)
    kernel = ConstantKernel(1.7) * RBF(0.8)
    for t in range(3):
        theirs = GaussianProcessRegressor(kernel, alpha=0.05, optimizer=None).fit(X, Y[:, t])
        mean, deviation = theirs.predict(at, return_std=True)
        np.testing.assert_allclose(ours.predict(at)[:, t], mean, atol=1e-12)
        np.testing.assert_allclose(ours.variance(at)[:, t], deviation**2, atol=1e-12)
        value = theirs.log_marginal_likelihood_value_
        assert ours.log_marginal_likelihood[t] == pytest.approx(value, rel=1e-12)


def test_fitted_parameters_are_scikit_learn_s():
    X, Y, _ = data(1, n=40, d=1, T=1)
    start = {"variance": 1.0, "length_scale": 1.0, "noise_variance": 0.1}
    ours = fit_gaussian_process(X, Y, rbf_kernel, start, n_restarts=3)
    bounds = (1e-5, 1e5)
    kernel = ConstantKernel(1.0, bounds) * RBF(1.0, bounds) + WhiteKernel(0.1, bounds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GaussianProcessRegressor(kernel, alpha=0.0, n_restarts_optimizer=3, random_state=0)
        theirs.fit(X, Y[:, 0])
    value = theirs.log_marginal_likelihood_value_
    assert ours.log_marginal_likelihood == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(list(ours.parameters.values()), np.exp(theirs.kernel_.theta), rtol=1e-3)
    assert ours.log_marginal_likelihood == ours.restarts.max()


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), gaps=st.sampled_from([0.0, 0.4]), shape=st.sampled_from([0, 1, 2]))
def test_every_kernel_gap_and_noise_is_the_conditional_normal(kernel, seed, gaps, shape):
    X, Y, at = data(seed, gaps=gaps)
    rng = np.random.default_rng(seed)
    noise = 10.0 ** rng.uniform(-2, 0, [(), (3,), Y.shape][shape])
    process = gaussian_process(X, Y, kernel, noise)
    noise = np.broadcast_to(noise, Y.shape)
    for t in range(3):
        rows = ~np.isnan(Y[:, t])
        C = kernel(X[rows], X[rows]) + np.diag(noise[rows, t])
        cross = kernel(at, X[rows])
        mean = cross @ np.linalg.solve(C, Y[rows, t])
        np.testing.assert_allclose(process.predict(at)[:, t], mean, atol=1e-9)
        variance = np.diag(kernel(at, at) - cross @ np.linalg.solve(C, cross.T))
        np.testing.assert_allclose(process.variance(at)[:, t], variance, atol=1e-9)
        density = multivariate_normal(cov=C).logpdf(Y[rows, t])
        assert process.log_marginal_likelihood[t] == pytest.approx(density, rel=1e-9, abs=1e-9)
        assert not process.coefficients[~rows, t].any()


def test_noise_zero_interpolates_and_singular_covariances_are_refused():
    X, Y, _ = data(2, n=8)
    process = gaussian_process(X, Y, KERNELS[0], 0.0)
    np.testing.assert_allclose(process.predict(X), Y, atol=1e-8)
    np.testing.assert_allclose(process.variance(X), 0.0, atol=1e-8)
    far = np.full((1, 2), 100.0)
    np.testing.assert_allclose(process.predict(far), 0.0, atol=1e-12)
    np.testing.assert_allclose(process.variance(far), 1.3, rtol=1e-12)
    with pytest.raises(ValueError, match="noise_variance: the covariance"):
        gaussian_process(np.ones((3, 1)), Y[:3], KERNELS[0], 0.0)
    with pytest.raises(ValueError, match="positive semi-definite"):
        gaussian_process(X, Y, lambda a, b: -rbf_kernel(a, b), 0.1)


def test_with_the_sobolev_kernel_and_no_noise_it_is_the_interpolant_of_least_norm():
    rng = np.random.default_rng(3)
    x, Y = np.sort(rng.uniform(size=7)), rng.standard_normal((7, 2))
    process = gaussian_process(x, Y, lambda a, b: kw.sobolev_kernel(a, b, x[0]), 0.0)
    at = np.linspace(-0.2, 1.2, 30)
    np.testing.assert_allclose(process.predict(at), kw.sobolev_interpolant(x, Y).predict(at), atol=1e-10)


@pytest.mark.parametrize("kernel", [partial(arc_cosine_kernel, depth=2), neural_tangent_kernel])
def test_the_fitted_likelihood_is_the_maximum_that_a_search_without_gradients_finds(kernel):
    X, Y, _ = data(4, n=20, gaps=0.3)
    start = {"bias_variance": 1.0, "weight_variance": 1.0, "noise_variance": 0.1}
    ours = fit_gaussian_process(X, Y, kernel, start, n_restarts=2)

    def loss(logs):
        bias, weight, noise = np.exp(np.clip(logs, -10, 10))
        inside = partial(kernel, bias_variance=bias, weight_variance=weight)
        return -gaussian_process(X, Y, inside, noise).log_marginal_likelihood.sum()

    near = np.log(list(ours.parameters.values())) + 0.3
    search = minimize(
        loss, near, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 2000}
    )
    assert ours.log_marginal_likelihood >= -search.fun - 1e-6
    # and it is the likelihood of what is returned
    assert ours.process.log_marginal_likelihood.sum() == pytest.approx(
        ours.log_marginal_likelihood, rel=1e-12
    )
    assert -loss(np.log(list(ours.parameters.values())) + 0.05) < ours.log_marginal_likelihood


@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize("noise", [None, 0.2])
def test_the_slopes_of_the_likelihood_are_its_differences(monkeypatch, gaps, noise):
    X, Y, _ = data(7, gaps=gaps)
    seen = []

    def check(value_and_slope, starts, bounds):
        for start in starts:
            _, slope = value_and_slope(start)
            for i, step in enumerate(1e-5 * np.eye(len(start))):
                difference = value_and_slope(start + step)[0] - value_and_slope(start - step)[0]
                assert slope[i] == pytest.approx(difference / 2e-5, rel=1e-5, abs=1e-5)
        seen.append(len(starts))
        return maximise(value_and_slope, starts, bounds)

    monkeypatch.setattr(module, "maximise", check)
    start = {"length_scale": 1.0, "variance": 0.5} | ({} if noise else {"noise_variance": 0.2})
    fit_gaussian_process(X, Y, rbf_kernel, start, noise_variance=noise, n_restarts=3)
    assert seen == [3]


def test_a_seed_gives_one_answer_and_fixed_noise_stays():
    X, Y, at = data(5, n=15, gaps=0.2)
    noise = np.random.default_rng(0).uniform(0.05, 0.2, Y.shape)
    fits = [
        fit_gaussian_process(X, Y, rbf_kernel, {"length_scale": 0.01}, noise_variance=noise, random_state=7)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(fits[0].restarts, fits[1].restarts)
    np.testing.assert_array_equal(fits[0].process.predict(at), fits[1].process.predict(at))
    np.testing.assert_array_equal(fits[0].process.noise_variance, noise)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fits[0])).process.predict(at), fits[0].process.predict(at)
    )
    assert len(fits[0].restarts) == 4
    assert list(fits[0].parameters) == ["length_scale"]


def test_starts_at_singular_covariances_are_passed_over():
    # at length_scale 1 the rows coincide to rounding; around 1e-4 they do not
    x = 1e-4 * np.arange(12.0)
    Y = np.random.default_rng(0).standard_normal((12, 1))
    fit = partial(fit_gaussian_process, x, Y, rbf_kernel, noise_variance=0.0)
    with pytest.raises(ValueError, match="noise_variance: the covariance"):
        fit({"length_scale": 1.0}, n_restarts=1)
    found = fit({"length_scale": 0.02}, n_restarts=40)
    assert np.isneginf(found.restarts).any()
    assert found.parameters["length_scale"] < 1e-3
    assert np.isfinite(found.log_marginal_likelihood)


def test_arguments_that_make_no_sense_are_named():
    X, Y, _ = data(6)
    empty = np.where(np.arange(3) == 1, np.nan, Y)
    for call, match in (
        (lambda: gaussian_process(X, Y[:-1], rbf_kernel, 0.1), "Y: must have shape"),
        (lambda: gaussian_process(X, empty, rbf_kernel, 0.1), "Y: column 1"),
        (lambda: gaussian_process(X, Y * np.nan, rbf_kernel, 0.1), "Y: holds no label"),
        (lambda: gaussian_process(X, Y, rbf_kernel, -0.1), "noise_variance"),
        (lambda: gaussian_process(X, Y, rbf_kernel, np.ones(12)), "noise_variance"),
        (lambda: gaussian_process(X, Y, lambda a, b: np.ones(3), 0.1), "kernel"),
        (lambda: gaussian_process(X, Y, lambda a, b: np.full((len(a), len(b)), np.nan), 0.1), "kernel"),
        (lambda: gaussian_process(X, Y, rbf_kernel, 0.1).predict(np.ones((2, 3))), "X"),
        (lambda: gaussian_process(X, Y, rbf_kernel, 0.1).variance(np.ones((2, 3))), "X"),
        (lambda: fit_gaussian_process(X, Y, rbf_kernel, {"variance": 1.0}), "noise_variance"),
        (
            lambda: fit_gaussian_process(X, Y, rbf_kernel, {"noise_variance": 1.0}, noise_variance=1.0),
            "noise_variance",
        ),
        (lambda: fit_gaussian_process(X, Y, rbf_kernel, {"noise_variance": 0.0}), "start"),
        (
            lambda: fit_gaussian_process(X, Y, rbf_kernel, {"noise_variance": 1.0}, n_restarts=0),
            "n_restarts",
        ),
        (lambda: rbf_kernel(X, length_scale=0.0), "length_scale"),
        (lambda: rbf_kernel(X, variance=-1.0), "variance"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(TypeError, match="start"):
        fit_gaussian_process(X, Y, rbf_kernel, [1.0], noise_variance=0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kernel"):
        gaussian_process(X, Y, "rbf", 0.1)  # type: ignore[arg-type]
