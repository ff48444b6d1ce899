"""Descent without weight decay: the steps, their length, and what is subtracted."""

from __future__ import annotations

import numpy as np
import pytest

from knotwork.train.descent import descend

RUNS, K, D, T, N = 2, 5, 2, 3, 6


def setting(seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    shapes = ((RUNS, K, D), (RUNS, K), (RUNS, K, T), (RUNS, N, D), (RUNS, N, T))
    W, b, V, X, Y = (rng.standard_normal(shape) for shape in shapes)
    return size * W, size * b, size * V, X, Y


def function(p, X, output, start):
    W, b, V = p[: K * D].reshape(K, D), p[K * D : K * D + K], p[K * D + K :].reshape(K, T)
    f = output * np.maximum(X @ W.T + b, 0.0) @ V
    return f if start is None else f - function(start, X, output, None)


def loss(p, X, Y, output, start):
    return 0.5 * np.sum((function(p, X, output, start) - Y) ** 2)


def numeric_gradient(p, *arguments, h=1e-6):
    E = h * np.eye(len(p))
    return np.array([(loss(p + e, *arguments) - loss(p - e, *arguments)) / (2 * h) for e in E])


def flat(W, b, V, run):
    return np.concatenate([W[run].ravel(), b[run], V[run].ravel()])


@pytest.mark.parametrize("from_zero", [False, True])
@pytest.mark.parametrize("rate", [0.02, None])
def test_a_step_goes_down_the_gradient(from_zero, rate):
    W, b, V, X, Y = setting()
    first = descend(W, b, V, X, Y, steps=3, rate=rate, output=0.7, from_zero=from_zero)
    second = descend(W, b, V, X, Y, steps=4, rate=rate, output=0.7, from_zero=from_zero)
    for run in range(RUNS):
        start = flat(W, b, V, run) if from_zero else None
        p, q = (flat(end.W, end.b, end.V, run) for end in (first, second))
        gradient = numeric_gradient(p, X[run], Y[run], 0.7, start)
        length = np.linalg.norm(p - q) / np.linalg.norm(gradient)
        np.testing.assert_allclose(p - q, length * gradient, atol=1e-8)
        if rate is not None:
            assert length == pytest.approx(rate, rel=1e-6)
        f = function(q, X[run], 0.7, start)
        np.testing.assert_allclose(second.predict(X)[run], f, atol=1e-12)
        assert second.label_error[run] == pytest.approx(np.abs(f - Y[run]).max())


@pytest.mark.parametrize("size", [1e-2, 1.0])
def test_the_length_is_below_one_over_the_curvature_and_not_far_below(size):
    # small parameters: the errors bend the loss; large ones: the neurons do
    shares = []
    for seed in range(6):
        W, b, V, X, Y = setting(seed, size)
        end = descend(W, b, V, X, Y, steps=1)
        for run in range(RUNS):
            p, q = flat(W, b, V, run), flat(end.W, end.b, end.V, run)
            arguments, h = (X[run], Y[run], 1.0, None), 1e-7
            gradient = numeric_gradient(p, *arguments, h=h)
            length = np.linalg.norm(p - q) / np.linalg.norm(gradient)
            E = 1e-5 * np.eye(len(p))
            rows = [numeric_gradient(p + e, *arguments) - numeric_gradient(p - e, *arguments) for e in E]
            hessian = np.array(rows) / 2e-5
            shares.append(length * np.abs(np.linalg.eigvalsh(0.5 * (hessian + hessian.T))).max())
    assert max(shares) <= 1.0 + 1e-3
    assert np.median(shares) >= 0.1


def test_runs_do_not_see_each_other_and_zero_steps_are_the_start():
    W, b, V, X, Y = setting()
    both = descend(W, b, V, X, Y, steps=20)
    one = descend(W[1:], b[1:], V[1:], X[1:], Y[1:], steps=20)
    np.testing.assert_allclose(both.W[1], one.W[0], atol=1e-12)
    rest = descend(W, b, V, X, Y, steps=0, from_zero=True)
    np.testing.assert_array_equal(rest.V, V)
    np.testing.assert_array_equal(rest.predict(X), 0.0)
    np.testing.assert_allclose(rest.label_error, np.abs(Y).max(axis=(1, 2)))


def test_a_neuron_without_effect_stays_and_gives_no_nan():
    W, b, V, X, Y = setting()
    end = descend(0 * W, 0 * b, 0 * V, X, 0 * Y, steps=5)
    assert not end.W.any()
    assert not end.label_error.any()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("b", {"b": np.zeros((RUNS, K + 1))}),
        ("W", {"W": np.zeros((K, D))}),
        ("Y", {"Y": np.zeros((RUNS, N, T + 1))}),
        ("X", {"X": np.full((RUNS, N, D), np.nan)}),
        ("rate", {"rate": 0.0}),
        ("output", {"output": -1.0}),
        ("steps", {"steps": -1}),
        ("rate", {"rate": 1e3, "steps": 200}),
    ],
)
def test_errors_name_the_argument(name, change):
    given = dict(zip(("W", "b", "V", "X", "Y"), setting(), strict=True)) | {"steps": 1} | change
    with pytest.raises(ValueError, match=f"^{name}: "):
        descend(**given)
