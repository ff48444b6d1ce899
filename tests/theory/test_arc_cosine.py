"""Kernels of infinitely wide networks: against sampled networks, the published recursion, and limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.theory.arc_cosine import arc_cosine_kernel, neural_tangent_kernel

WIDTH = 1_000_000
VARIANCES = {"input_variance": 0.7, "bias_variance": 0.4, "weight_variance": 1.5, "output_bias_variance": 0.3}
POINTS = np.array([[0.8, -0.3], [-1.1, 0.4], [0.2, 1.7]])
PAIRS = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
WRONG = {
    "twice the kernel": {"weight_variance": 3.0},
    "no bias": {"bias_variance": 0.0},
    "no output bias": {"output_bias_variance": 0.0},
    "a standard deviation for a variance": {"input_variance": np.sqrt(0.7)},
    "inputs' variance over d": {"input_variance": 0.35},
}


def published(X, X_other, depth, first, bias, weight, last):
    """(K, Theta) by the recursion as it is printed (Cho and Saul; Jacot et al.; neural-tangents), arccos
    and all."""
    K, own, other = (first * np.atleast_1d(part) + bias for part in (
        X @ X_other.T, np.sum(X * X, axis=1), np.sum(X_other * X_other, axis=1)))  # fmt: skip
    Theta = K
    for layer in range(depth):
        shift = bias if layer < depth - 1 else last
        size = np.sqrt(np.outer(own, other))
        t = np.arccos(np.clip(K / size, -1.0, 1.0))
        K = weight * size * (np.sin(t) + (np.pi - t) * np.cos(t)) / (2.0 * np.pi) + shift
        Theta = K + weight * (np.pi - t) / (2.0 * np.pi) * Theta
        own, other = (0.5 * weight * part + shift for part in (own, other))
    return K, Theta


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4))
def test_both_kernels_are_the_published_recursion(seed, depth, d):
    rng = np.random.default_rng(seed)
    X, X_other = rng.standard_normal((5, d)), rng.standard_normal((4, d))
    first, bias, weight, last = 10.0 ** rng.uniform(-1, 1, 4)
    variances = dict(zip(VARIANCES, (first, bias, weight, last), strict=True))
    K, Theta = published(X, X_other, depth, first, bias, weight, last)
    np.testing.assert_allclose(arc_cosine_kernel(X, X_other, depth=depth, **variances), K, rtol=1e-7)
    np.testing.assert_allclose(neural_tangent_kernel(X, X_other, depth=depth, **variances), Theta, rtol=1e-6)


def test_without_biases_it_is_the_arc_cosine_kernel_of_order_one():
    x, y = np.array([3.0, 0.0]), np.array([1.0, 1.0])
    # |x| |y| (sin t + (pi - t) cos t) / pi at t = pi / 4
    by_hand = 3.0 * np.sqrt(2.0) * (np.sqrt(0.5) * (1.0 + 0.75 * np.pi)) / np.pi
    got = arc_cosine_kernel(x[None], y[None], bias_variance=0.0)
    np.testing.assert_allclose(got, [[by_hand]], rtol=1e-14)
    # opposite inputs share no active neuron, perpendicular ones 1 / pi
    np.testing.assert_allclose(arc_cosine_kernel(x[None], -x[None], bias_variance=0.0), 0.0, atol=1e-15)
    right = arc_cosine_kernel([[3.0, 0.0]], [[0.0, 2.0]], bias_variance=0.0)
    np.testing.assert_allclose(right, 6.0 / np.pi, rtol=1e-14)


def deviations(samples, expected):
    """|mean - expected| in standard errors."""
    error = samples.std(ddof=1) / np.sqrt(len(samples))
    return abs(samples.mean() - expected) / error


def shallow_samples(kind):
    """For each pair, 10^6 draws of what a neuron adds to the kernel times the width, and the output bias."""
    rng = np.random.default_rng(0)
    W = np.sqrt(0.7) * rng.standard_normal((WIDTH, 2))
    h = W @ POINTS.T + np.sqrt(0.4) * rng.standard_normal((WIDTH, 1))
    square = rng.standard_normal(WIDTH) ** 2
    for i, j in PAIRS:
        samples = 1.5 * np.maximum(h[:, i], 0.0) * np.maximum(h[:, j], 0.0) + 0.3
        if kind == "tangent":
            # the derivatives in W and b, of v^2 times both slopes
            inner = 0.7 * POINTS[i] @ POINTS[j] + 0.4
            samples = samples + 1.5 * square * (h[:, i] > 0) * (h[:, j] > 0) * inner
        yield i, j, samples


@pytest.mark.parametrize(
    ("kind", "kernel"), [("process", arc_cosine_kernel), ("tangent", neural_tangent_kernel)]
)
def test_a_network_of_a_million_neurons_is_within_four_standard_errors(kind, kernel):
    right = kernel(POINTS, **VARIANCES)
    wrong = {name: kernel(POINTS, **(VARIANCES | change)) for name, change in WRONG.items()}
    other = (neural_tangent_kernel if kind == "process" else arc_cosine_kernel)(POINTS, **VARIANCES)
    told_apart = dict.fromkeys(wrong, 0.0)
    for i, j, samples in shallow_samples(kind):
        assert deviations(samples, right[i, j]) <= 4.0
        assert deviations(samples, other[i, j]) > 20.0
        for name, K in wrong.items():
            told_apart[name] = max(told_apart[name], deviations(samples, K[i, j]))
    assert min(told_apart.values()) > 20.0, told_apart


def test_every_layer_of_deep_kernels_is_within_four_standard_errors():
    # one layer of infinite width is a Gaussian pair; the next is its mean over a million draws
    rng = np.random.default_rng(1)
    # up to a layer, the last bias is an ordinary one
    as_inner = VARIANCES | {"output_bias_variance": VARIANCES["bias_variance"]}
    for depth in (2, 3, 4):
        K = arc_cosine_kernel(POINTS, depth=depth - 1, **as_inner)
        Theta = neural_tangent_kernel(POINTS, depth=depth - 1, **as_inner)
        next_K = arc_cosine_kernel(POINTS, depth=depth, **VARIANCES)
        next_Theta = neural_tangent_kernel(POINTS, depth=depth, **VARIANCES)
        draws = rng.standard_normal((WIDTH, 3)) @ np.linalg.cholesky(K).T
        for i, j in PAIRS:
            a, b = draws[:, i], draws[:, j]
            samples = 1.5 * np.maximum(a, 0.0) * np.maximum(b, 0.0) + 0.3
            assert deviations(samples, next_K[i, j]) <= 4.0
            assert deviations(samples, next_K[i, j] - 0.3) > 20.0
            samples = samples + 1.5 * (a > 0) * (b > 0) * Theta[i, j]
            assert deviations(samples, next_Theta[i, j]) <= 4.0
            assert deviations(samples, next_Theta[i, j] + Theta[i, j]) > 20.0


def finite_tangent(rng, x, width):
    """df df' of one network of two hidden layers in the stated parametrisation, by hand."""
    W1, b1 = rng.standard_normal((width, 2)), rng.standard_normal(width)
    W2, b2 = rng.standard_normal((width, width)), rng.standard_normal(width)
    V = rng.standard_normal(width)
    share = np.sqrt(1.5 / width)
    h1 = np.sqrt(0.7) * x @ W1.T + np.sqrt(0.4) * b1
    a1 = np.maximum(h1, 0.0)
    h2 = share * a1 @ W2.T + np.sqrt(0.4) * b2
    a2 = np.maximum(h2, 0.0)
    d2 = share * V * (h2 > 0)
    d1 = (share * d2 @ W2) * (h1 > 0)
    return (
        share**2 * a2 @ a2.T
        + 0.3
        + (d2 @ d2.T) * (share**2 * a1 @ a1.T + 0.4)
        + (d1 @ d1.T) * (0.7 * x @ x.T + 0.4)
    )


def test_the_gradients_of_finite_networks_of_two_layers_agree():
    rng = np.random.default_rng(2)
    draws = np.array([finite_tangent(rng, POINTS, 800) for _ in range(40)])
    right = neural_tangent_kernel(POINTS, depth=2, **VARIANCES)
    others = (
        neural_tangent_kernel(POINTS, depth=1, **VARIANCES),
        neural_tangent_kernel(POINTS, depth=3, **VARIANCES),
        arc_cosine_kernel(POINTS, depth=2, **VARIANCES),
    )
    for i, j in PAIRS:
        assert deviations(draws[:, i, j], right[i, j]) <= 4.0
        assert min(deviations(draws[:, i, j], other[i, j]) for other in others) > 8.0


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_coinciding_and_close_inputs_keep_their_digits(depth):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 3))
    size = tangent = 0.7 * np.sum(X * X, axis=1) + 0.4
    for layer in range(depth):
        size = 0.75 * size + (0.3 if layer == depth - 1 else 0.4)
        tangent = size + 0.75 * tangent
    got = neural_tangent_kernel(X, X.copy(), depth=depth, **VARIANCES)
    np.testing.assert_allclose(np.diag(got), tangent, rtol=1e-14)
    np.testing.assert_allclose(np.diag(arc_cosine_kernel(X, depth=depth, **VARIANCES)), size, rtol=1e-14)


def test_the_slope_of_the_tangent_kernel_at_coinciding_inputs_is_right():
    # unit vectors at angle t, no biases: series of the angle of the next layer, 1 - cos t' = 1 - J(t) / pi
    t = 1e-6
    X = np.array([[1.0, 0.0], [np.cos(t), np.sin(t)]])
    first = 1.0 - t**2 / 2 + t**3 / (3 * np.pi) + (1.0 - t / np.pi) * (1.0 - t**2 / 2)
    np.testing.assert_allclose(neural_tangent_kernel(X, bias_variance=0.0)[0, 1], first, rtol=0, atol=2e-15)
    later = np.sqrt(t**2 - 2 * t**3 / (3 * np.pi))
    second = 1.0 - later**2 / 2 + later**3 / (3 * np.pi) + (1.0 - later / np.pi) * first
    got = neural_tangent_kernel(X, depth=2, bias_variance=0.0)[0, 1]
    np.testing.assert_allclose(got, second, rtol=0, atol=2e-15)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([arc_cosine_kernel, neural_tangent_kernel]))
def test_the_kernels_are_symmetric_and_positive_semi_definite(seed, depth, kernel):
    X = np.random.default_rng(seed).standard_normal((8, 2))
    K = kernel(X, depth=depth, output_bias_variance=0.2)
    np.testing.assert_allclose(K, K.T, rtol=1e-14)
    assert np.linalg.eigvalsh(K)[0] >= -1e-13 * np.trace(K)
    np.testing.assert_array_equal(kernel(X[:, 0]), kernel(X[:, :1], X[:, 0]))


@pytest.mark.parametrize("depth", [1, 3])
def test_the_origin_without_biases_has_the_value_zero(depth):
    X = np.array([[0.0, 0.0], [1.0, 2.0]])
    for kernel in (arc_cosine_kernel, neural_tangent_kernel):
        K = kernel(X, depth=depth, bias_variance=0.0)
        np.testing.assert_array_equal(K[0], [0.0, 0.0])
        assert K[1, 1] > 0


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"depth": 0}, ValueError, "depth"),
        ({"depth": 1.0}, ValueError, "depth"),
        ({"bias_variance": -1.0}, ValueError, "bias_variance"),
        ({"weight_variance": float("nan")}, ValueError, "weight_variance"),
        ({"input_variance": "1"}, TypeError, "input_variance"),
        ({"output_bias_variance": True}, TypeError, "output_bias_variance"),
        ({"X_other": np.ones((2, 3))}, ValueError, "X_other"),
    ],
)
@pytest.mark.parametrize("kernel", [arc_cosine_kernel, neural_tangent_kernel])
def test_arguments_that_make_no_sense_are_named(kernel, change, error, match):
    with pytest.raises(error, match=match):
        kernel(POINTS, **change)
