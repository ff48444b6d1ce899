"""Weight decay as a Gaussian prior (B, section 2.1): log densities, and what the mode is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

import knotwork as kw
from knotwork import conversions
from knotwork.theory.bayesian import (
    Variances,
    lam_from_layer_variances,
    lam_from_variances,
    log_posterior,
    variances_from_lam,
)

BIASES = kw.Penalty(biases=True, skip="none")
PENALTIES = [BIASES, kw.Penalty(True, "frobenius"), kw.Penalty(False, "none"), kw.Penalty()]
seeds = st.integers(0, 2**32 - 1)


def data(rng, n=7, T=3, gaps=False):
    X, Y = rng.standard_normal((n, 2)), rng.standard_normal((n, T))
    if gaps:
        Y[1:][rng.uniform(size=(n - 1, T)) < 0.3] = np.nan
    return X, Y


def random_network(rng, penalty, K=4, T=3):
    """Parameters normal about 0; A = 0 without a skip connection, A and c the same for free ones."""
    A = None if penalty.skip == "none" else rng.standard_normal((2, T))
    parts = [rng.standard_normal(shape) for shape in ((K, 2), (K,), (K, T))]
    return kw.ReLUNetwork(*parts, A, rng.standard_normal(T))


def written(problem, network, noise, prior):
    """log p(labels | parameters) + log p(parameters), density by density."""
    weight = problem.label_weight()
    seen = weight > 0
    spread = np.sqrt(noise / weight[seen])
    total = norm.logpdf(problem.Y[seen], network.predict(problem.X)[seen], spread).sum()
    parts = [network.W, network.V]
    if problem.penalty.biases:
        parts += [network.b, network.c]
    if problem.penalty.skip == "frobenius":
        parts.append(network.A)
    return total + sum(norm.logpdf(part, scale=np.sqrt(prior)).sum() for part in parts)


@pytest.mark.parametrize("penalty", PENALTIES)
@settings(max_examples=25)
@given(seed=seeds, gaps=st.booleans(), weighted=st.booleans())
def test_it_is_minus_the_objective_over_the_noise_at_balance(penalty, seed, gaps, weighted):
    rng = np.random.default_rng(seed)
    X, Y = data(rng, gaps=gaps)
    noise, prior = 10.0 ** rng.uniform(-2, 1, 2)
    weight = rng.uniform(0.2, 3.0, Y.shape) if weighted else None
    problem = kw.Problem(X, Y, lam_from_variances(noise, prior), penalty=penalty, sample_weight=weight)
    constants = []
    for _ in range(3):
        network = random_network(rng, penalty)
        raw = log_posterior(problem, network, (noise, prior))
        assert raw == pytest.approx(written(problem, network, noise, prior), rel=1e-9)
        balanced = network.balance(penalty)
        there = log_posterior(problem, balanced, (noise, prior))
        constants.append(there + problem.objective(balanced) / noise)
        # away from balance the same function is less probable
        assert there > raw
        stretched = kw.ReLUNetwork(
            2.0 * balanced.W, 2.0 * balanced.b, balanced.V / 2.0, balanced.A, balanced.c
        )
        assert log_posterior(problem, stretched, (noise, prior)) < there
    np.testing.assert_allclose(constants, constants[0], rtol=1e-9)


def padded(network, width):
    """Neurons of zero weights added: the same function as a point of a larger space."""
    more = width - network.n_neurons
    return kw.ReLUNetwork(
        np.vstack([network.W, np.zeros((more, network.n_inputs))]),
        np.append(network.b, np.zeros(more)),
        np.vstack([network.V, np.zeros((more, network.n_tasks))]),
        network.A,
        network.c,
    )


def test_the_mode_over_all_parameters_is_the_library_s_solution_at_every_width():
    rng = np.random.default_rng(0)
    x, Y = rng.uniform(-2, 2, 6), rng.standard_normal((6, 2))
    variances = variances_from_lam(0.2, noise_variance=0.05)
    problem = kw.Problem(x, Y, 0.2, penalty=BIASES)
    solution = kw.solve(problem, tol=1e-11)
    mode = solution.network.balance(BIASES)
    for width in (mode.n_neurons + 2, 30):
        best = log_posterior(problem, padded(mode, width), variances)

        def loss(theta, width=width):
            W, b, V, c = np.split(theta, [width, 2 * width, 4 * width])
            network = kw.ReLUNetwork(W[:, None], b, V.reshape(width, 2), c=c)
            return -log_posterior(problem, network, variances)

        def slope(theta, width=width):
            W, b, V, c = np.split(theta, [width, 2 * width, 4 * width])
            hidden = np.outer(x, W) + b
            residual = np.maximum(hidden, 0.0) @ V.reshape(width, 2) + c - Y
            back = (residual @ V.reshape(width, 2).T) * (hidden > 0)
            parts = (x @ back, back.sum(axis=0), np.maximum(hidden, 0.0).T @ residual, residual.sum(axis=0))
            return (np.concatenate([part.ravel() for part in parts]) + 0.2 * theta) / 0.05

        ends = [
            -minimize(loss, rng.standard_normal(4 * width + 2), jac=slope, method="L-BFGS-B").fun
            for _ in range(5)
        ]
        assert max(ends) <= best + 1e-6
        # some start comes near: the bound is the mode, not merely above it
        assert max(ends) >= best - 0.05 * solution.certificate.primal / 0.05


def test_the_certificate_bounds_the_log_posterior_of_every_network():
    rng = np.random.default_rng(1)
    X, Y = data(rng, T=2)
    problem = kw.Problem(X[:, 0], Y, 0.3, penalty=BIASES)
    solution = kw.solve(problem, tol=1e-10)
    variances = variances_from_lam(0.3, prior_variance=2.0)
    mode = padded(solution.network.balance(BIASES), 12)
    constant = log_posterior(problem, mode, variances) + problem.objective(mode) / variances.noise_variance
    bound = constant - solution.certificate.dual / variances.noise_variance
    for scale in (0.0, 0.01, 0.1, 1.0):
        parts = [part + scale * rng.standard_normal(part.shape) for part in (mode.W, mode.b, mode.V)]
        value = log_posterior(problem, kw.ReLUNetwork(*parts, c=mode.c), variances)
        assert value <= bound + 1e-9
        assert scale > 0 or value >= bound - 1e-6


def test_a_prior_scaled_by_the_width_has_a_mode_without_neurons():
    """B, section 2.1, mode and limit exchanged: under the scaling of Gaussian processes lam grows like
    sqrt(width), and the wide network's mode is the fit of c alone."""
    rng = np.random.default_rng(2)
    x, Y = rng.uniform(-2, 2, 8), rng.standard_normal((8, 2))
    lams = [lam_from_layer_variances(0.01, 1.0, 2.0 / n) for n in (10, 1000, 100_000)]
    np.testing.assert_allclose(np.diff(np.log(lams)), np.log(10.0), rtol=1e-12)
    neurons = [kw.solve(kw.Problem(x, Y, lam, penalty=BIASES)).network.n_neurons for lam in (*lams, 1e3)]
    assert neurons[0] > 0
    assert neurons[-1] == 0
    assert lam_from_layer_variances(0.01, 1.0, 2.0 / 10**12) > 1e3
    # unscaled, lam does not know the width
    assert lam_from_layer_variances(0.01, 0.5, 0.5) == pytest.approx(lam_from_variances(0.01, 0.5))


def test_the_prior_that_is_not_scaled_has_no_limit_in_width():
    """B, section 2.1: the prior whose mode is (4) is not the one that becomes a Gaussian process."""
    rng = np.random.default_rng(4)
    tau, x, spread = 0.5, np.array([0.6, -1.2]), {}
    for width in (10, 1000):
        W, b, V = (
            tau * rng.standard_normal(shape) for shape in ((2000, width, 2), (2000, width), (2000, width))
        )
        f = np.sum(V * np.maximum(W @ x + b, 0.0), axis=1)
        spread[width] = f.var()
        # tau^2 for an output weight, times E relu^2 = tau^2 (|x|^2 + 1) / 2, for each neuron
        assert f.var() == pytest.approx(width * tau**4 * (x @ x + 1.0) / 2.0, rel=0.15)
    assert spread[1000] > 70.0 * spread[10]


@given(seeds)
def test_variances_of_each_layer_meet_in_their_geometric_mean(seed):
    rng = np.random.default_rng(seed)
    noise, input_variance, output_variance = 10.0 ** rng.uniform(-2, 2, 3)
    w, v = 10.0 ** rng.uniform(-1, 1, 2)
    # the exponents of all rescalings (t w, v / t), on a fine grid around the best
    t = np.exp(np.linspace(-15, 15, 60_001))
    least = np.min(0.5 * noise * ((t * w) ** 2 / input_variance + (v / t) ** 2 / output_variance))
    lam = lam_from_layer_variances(noise, input_variance, output_variance)
    assert lam * w * v == pytest.approx(least, rel=1e-6)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_the_conversions_invert_each_other(noise, prior):
    lam = lam_from_variances(noise, prior)
    assert isinstance(variances_from_lam(lam, noise_variance=noise), Variances)
    assert variances_from_lam(lam, noise_variance=noise) == pytest.approx((noise, prior), rel=1e-14)
    assert variances_from_lam(lam, prior_variance=prior) == pytest.approx((noise, prior), rel=1e-14)
    # B's lambda is the same ratio
    assert conversions.lam_from_b(lam) == lam


def test_arguments_that_make_no_sense_are_named():
    rng = np.random.default_rng(3)
    X, Y = data(rng)
    problem, network = kw.Problem(X, Y, 0.5, penalty=BIASES), random_network(rng, BIASES)
    for call, match in (
        (lambda: lam_from_variances(1.0, 0.0), "prior_variance"),
        (lambda: lam_from_variances(-1.0, 1.0), "noise_variance"),
        (lambda: lam_from_layer_variances(1.0, 0.0, 1.0), "input_variance"),
        (lambda: variances_from_lam(1.0), "noise_variance"),
        (lambda: variances_from_lam(1.0, noise_variance=1.0, prior_variance=1.0), "noise_variance"),
        (lambda: variances_from_lam(0.0, noise_variance=1.0), "lam"),
        (lambda: log_posterior(problem, network, (1.0, 1.0)), "variances"),
        (lambda: log_posterior(problem, network, (0.5,)), "variances"),
        (
            lambda: log_posterior(problem, random_network(rng, kw.Penalty()), (0.5, 1.0)),
            "network: A must be zero",
        ),
        (
            lambda: log_posterior(kw.Problem(X, Y, 0.5, "huber", BIASES), network, (0.5, 1.0)),
            "squared",
        ),
        (
            lambda: log_posterior(
                kw.Problem(X, Y, 0.5, penalty=kw.Penalty(True, "nuclear")), network, (0.5, 1.0)
            ),
            "nuclear",
        ),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(TypeError, match="problem"):
        log_posterior(X, network, (0.5, 1.0))  # type: ignore[arg-type]
