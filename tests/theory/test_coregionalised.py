"""Correlated tasks: against conditional normals and Kronecker products; where correlation is of no use."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from knotwork.theory import coregionalised as module
from knotwork.theory.arc_cosine import arc_cosine_kernel
from knotwork.theory.coregionalised import coregionalised, fit_coregionalised
from knotwork.theory.gaussian_process import fit_gaussian_process, gaussian_process, maximise, rbf_kernel

KERNEL = partial(rbf_kernel, length_scale=0.7)


def data(seed, n=9, T=3, gaps=0.0):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, 2)), rng.standard_normal((n, T))
    Y[1:][rng.uniform(size=(n - 1, T)) < gaps] = np.nan
    A = rng.standard_normal((T, T))
    return X, Y, A @ A.T, rng.standard_normal((6, 2))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.4]), st.sampled_from([KERNEL, arc_cosine_kernel]))
def test_it_is_the_conditional_normal_of_all_labels(seed, gaps, kernel):
    X, Y, B, at = data(seed, gaps=gaps)
    noise = np.random.default_rng(seed).uniform(0.05, 0.5, 3)
    process = coregionalised(X, Y, kernel, noise, B)
    # all labels of task 0, then of task 1, ...
    seen = ~np.isnan(Y.T.ravel())
    C = (np.kron(B, kernel(X)) + np.diag(np.repeat(noise, len(X))))[np.ix_(seen, seen)]
    cross = np.kron(B, kernel(at, X))[:, seen]
    y = Y.T.ravel()[seen]
    mean = (cross @ np.linalg.solve(C, y)).reshape(3, -1).T
    np.testing.assert_allclose(process.predict(at), mean, atol=1e-9)
    variance = np.diag(np.kron(B, kernel(at)) - cross @ np.linalg.solve(C, cross.T)).reshape(3, -1).T
    np.testing.assert_allclose(process.variance(at), variance, atol=1e-9)
    assert process.log_marginal_likelihood == pytest.approx(multivariate_normal(cov=C).logpdf(y), rel=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.4]))
def test_uncorrelated_tasks_are_separate_processes(seed, gaps):
    X, Y, _, at = data(seed, gaps=gaps)
    own = np.random.default_rng(seed).uniform(0.3, 3.0, 3)
    joint = coregionalised(X, Y, KERNEL, 0.1, np.diag(own))
    total = 0.0
    for t in range(3):
        separate = gaussian_process(X, Y[:, t], partial(KERNEL, variance=own[t]), 0.1)
        np.testing.assert_allclose(joint.predict(at)[:, [t]], separate.predict(at), atol=1e-11)
        np.testing.assert_allclose(joint.variance(at)[:, [t]], separate.variance(at), atol=1e-11)
        total += separate.log_marginal_likelihood[0]
    assert joint.log_marginal_likelihood == pytest.approx(total, rel=1e-11)


def test_without_noise_and_gaps_correlation_cancels():
    """Bonilla, Chai, Williams (2008), section 2.3: B is of no use for the mean where every task has the
    same inputs and no noise; noise or a gap brings it back."""
    X, Y, B, at = data(0)
    separate = gaussian_process(X, Y, KERNEL, 0.0).predict(at)
    np.testing.assert_allclose(coregionalised(X, Y, KERNEL, 0.0, B).predict(at), separate, atol=1e-8)
    noisy = coregionalised(X, Y, KERNEL, 0.2, B).predict(at)
    assert np.abs(noisy - gaussian_process(X, Y, KERNEL, 0.2).predict(at)).max() > 1e-2
    Y[3, 1] = np.nan
    separate = gaussian_process(X, Y, KERNEL, 0.0).predict(at)
    assert np.abs(coregionalised(X, Y, KERNEL, 0.0, B).predict(at) - separate).max() > 1e-2


def test_tasks_correlated_wholly_are_one_function_and_its_sign_matters():
    X, Y, _, at = data(1, T=2)
    Y[:4, 0], Y[4:, 1] = np.nan, np.nan
    pooled = np.where(np.isnan(Y[:, 0]), Y[:, 1], Y[:, 0])
    together = gaussian_process(X, pooled, KERNEL, 0.1)
    same = coregionalised(X, Y, KERNEL, 0.1, np.ones((2, 2)))
    np.testing.assert_allclose(same.predict(at), np.repeat(together.predict(at), 2, axis=1), atol=1e-11)
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])
    turned = coregionalised(X, Y * [1.0, -1.0], KERNEL, 0.1, opposite)
    np.testing.assert_allclose(turned.predict(at), same.predict(at) * [1.0, -1.0], atol=1e-11)
    assert np.abs(coregionalised(X, Y, KERNEL, 0.1, opposite).predict(at) - same.predict(at)).max() > 0.1


def test_a_task_without_labels_follows_the_others():
    X, Y, B, at = data(2)
    Y[:, 2] = np.nan
    process = coregionalised(X, Y, KERNEL, 0.1, B)
    rest = coregionalised(X, Y[:, :2], KERNEL, 0.1, B[:2, :2]).predict(at)
    np.testing.assert_allclose(process.predict(at)[:, :2], rest, atol=1e-11)
    # E[f_2 | f_0, f_1] at each input
    np.testing.assert_allclose(
        process.predict(at)[:, 2], rest @ np.linalg.solve(B[:2, :2], B[:2, 2]), atol=1e-10
    )


def correlated(seed, n=25, gaps=0.3):
    """Labels of four tasks, correlated .9 in size, and their truth."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 3, n)
    sign = np.array([1.0, -1.0, 1.0, 1.0])
    B = 0.1 * np.eye(4) + 0.9 * np.outer(sign, sign)
    f = np.linalg.cholesky(KERNEL(x) + 1e-10 * np.eye(n)) @ rng.standard_normal((n, 4))
    Y = f @ np.linalg.cholesky(B).T + 0.1 * rng.standard_normal((n, 4))
    Y[1:][rng.uniform(size=(n - 1, 4)) < gaps] = np.nan
    return x, Y, B


@pytest.mark.parametrize("rank", [1, 2])
def test_the_fit_is_a_maximum_and_finds_the_correlations_with_their_signs(rank):
    x, Y, B = correlated(0)
    start = {"length_scale": 1.0, "noise_variance": 0.05}
    fit = fit_coregionalised(x, Y, rbf_kernel, start, rank=rank, n_restarts=6)

    def likelihood(A, own, length, noise):
        kernel = partial(rbf_kernel, length_scale=length)
        return coregionalised(x, Y, kernel, noise, A @ A.T + np.diag(own)).log_marginal_likelihood

    at = (fit.loadings, fit.own, *(fit.parameters[name] for name in start))
    best = likelihood(*at)
    assert best == pytest.approx(fit.log_marginal_likelihood, rel=1e-12)
    assert best == fit.restarts.max()
    assert best > coregionalised(x, Y, KERNEL, 0.01, B).log_marginal_likelihood
    rng = np.random.default_rng(1)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(20):
            A = at[0] * (1.0 + size * rng.standard_normal(at[0].shape))
            own = np.maximum(at[1] * np.exp(size * rng.standard_normal(4)), 1e-8 * np.nanmean(Y**2))
            length, noise = np.array(at[2:]) * np.exp(size * rng.standard_normal(2))
            assert likelihood(A, own, length, noise) <= best + 1e-7
    found = fit.process.task_covariance
    correlation = found / np.sqrt(np.outer(np.diag(found), np.diag(found)))
    np.testing.assert_array_equal(np.sign(correlation), np.sign(B))
    assert np.abs(correlation).min() > 0.5
    assert fit.parameters["length_scale"] == pytest.approx(0.7, rel=0.3)
    assert fit.parameters["noise_variance"] == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("noise", [None, 0.2])
def test_the_slopes_of_the_likelihood_are_its_differences(monkeypatch, noise):
    x, Y, _ = correlated(5, n=10)
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
    start = {"length_scale": 1.0} | ({} if noise else {"noise_variance": 0.2})
    fit_coregionalised(x, Y, rbf_kernel, start, rank=2, noise_variance=noise, n_restarts=2)
    assert seen == [2]


def test_the_fit_prefers_no_sign():
    x, Y, _ = correlated(2)
    turned = np.array([1.0, 1.0, -1.0, 1.0])
    fits = [
        fit_coregionalised(x, labels, KERNEL, noise_variance=0.01, n_restarts=6) for labels in (Y, Y * turned)
    ]
    values = [fit.log_marginal_likelihood for fit in fits]
    assert values[0] == pytest.approx(values[1], abs=1e-6)
    expected = fits[0].process.task_covariance * np.outer(turned, turned)
    np.testing.assert_allclose(fits[1].process.task_covariance, expected, atol=1e-3)


def test_rank_zero_fits_separate_variances():
    x, Y, _ = correlated(3)
    fit = fit_coregionalised(x, Y, KERNEL, rank=0, noise_variance=0.02, n_restarts=2)
    assert fit.loadings.shape == (4, 0)
    for t in range(4):
        alone = fit_gaussian_process(x, Y[:, t], KERNEL, {"variance": 1.0}, noise_variance=0.02)
        assert fit.own[t] == pytest.approx(alone.parameters["variance"], rel=1e-3)


def test_arguments_that_make_no_sense_are_named():
    X, Y, B, _ = data(4)
    for call, match in (
        (lambda: coregionalised(X, Y, KERNEL, 0.1, B[:2]), "task_covariance: must have shape"),
        (lambda: coregionalised(X, Y, KERNEL, 0.1, B + np.triu(np.ones((3, 3)))), "task_covariance: is not"),
        (lambda: coregionalised(X, Y, KERNEL, 0.1, B - 50 * np.eye(3)), "task_covariance: has a negative"),
        (lambda: coregionalised(X, Y, KERNEL, 0.0, np.ones((3, 3))), "noise_variance"),
        (lambda: coregionalised(X, Y, KERNEL, 0.1, B).predict(np.ones(3)), "X"),
        (lambda: fit_coregionalised(X, Y, KERNEL, rank=4, noise_variance=0.1), "rank"),
        (lambda: fit_coregionalised(X, Y, KERNEL), "noise_variance"),
        (lambda: fit_coregionalised(X, Y, KERNEL, noise_variance=0.1, n_restarts=0), "n_restarts"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
