from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references_losses import brute_force_response

import knotwork as kw
from knotwork.dual_norm.arcs import active_range, response_of, responses

inputs = st.lists(
    st.one_of(st.integers(-4, 4).map(float), st.floats(-3, 3), st.sampled_from([0.0, 1.0, -1.0])),
    min_size=1,
    max_size=12,
)


def exact_response(x, alpha, neurons):
    """(K, T) sum_i alpha_i relu(w x_i + b), in extended precision."""
    wide = np.asarray(neurons, dtype=np.longdouble)
    x, alpha = np.asarray(x, dtype=np.longdouble), np.asarray(alpha, dtype=np.longdouble)
    return np.maximum(wide[:, :1] * x + wide[:, 1:], 0.0) @ alpha


def size_of(x, alpha):
    """No unit neuron responds more."""
    return float(np.sum(np.linalg.norm(alpha, axis=1) * np.hypot(1.0, x)))


def assert_exact(x, alpha, rel=1e-12):
    """Reached by the first neuron, exceeded by none of brute force's."""
    found = kw.arcs_dual_norm(x, alpha)
    noise = 1e-14 * size_of(x, alpha)
    assert found.rigour is kw.Rigour.EXACT
    assert brute_force_response(x, alpha, True, 3001) <= found.upper_bound * (1.0 + rel) + noise
    if len(found.neurons):
        reached = np.linalg.norm(exact_response(x, alpha, found.neurons).astype(float), axis=1)
        assert found.values[0] == pytest.approx(found.upper_bound, rel=1e-14, abs=noise)
        np.testing.assert_allclose(found.values, reached, rtol=rel, atol=noise)
        np.testing.assert_allclose(np.hypot(*found.neurons.T), 1.0, rtol=1e-14)
        assert np.all(np.diff(found.values) <= 0.0)
    else:
        assert found.upper_bound == 0.0
    return found


# --------------------------------------------------------------------------------- against brute force


@given(st.integers(0, 10**6), inputs, st.integers(1, 3))
def test_nothing_responds_more_and_something_as_much(seed, x, n_tasks):
    rng = np.random.default_rng(seed)
    alpha = rng.standard_normal((len(x), n_tasks)) * (rng.uniform(size=(len(x), 1)) > 0.2)
    assert_exact(np.array(x), alpha)


@given(st.integers(0, 10**6), inputs)
def test_sums_that_vanish_leave_small_responses_exact(seed, x):
    # as at an optimum: alpha orthogonal to the constant, and nearly to x
    rng = np.random.default_rng(seed)
    x = np.array(x)
    alpha = rng.standard_normal((len(x), 2))
    basis = np.linalg.qr(np.column_stack([np.ones(len(x)), x]))[0]
    assert_exact(x, alpha - basis @ (basis.T @ alpha) * (1.0 - 1e-6), rel=1e-9)


@pytest.mark.parametrize("shift", [1e2, 1e4, 1e6])
def test_inputs_far_from_zero_keep_their_digits(shift):
    rng = np.random.default_rng(1)
    x = shift + rng.uniform(size=40)
    x = np.concatenate([x, x[:5] + 1e-7])
    alpha = rng.standard_normal((45, 2))
    basis = np.linalg.qr(np.column_stack([np.ones(45), x - shift]))[0]
    for _ in range(2):
        alpha -= basis @ (basis.T @ alpha)
    found = kw.arcs_dual_norm(x, alpha)
    # the knots at the data, of both facings, and the peaks found: 1e-16 of |x| moves a knot
    root = np.hypot(1.0, x)
    knots = np.concatenate([np.column_stack([1 / root, -x / root]), np.column_stack([-1 / root, x / root])])
    brute = np.linalg.norm(exact_response(x, alpha, knots).astype(float), axis=1).max()
    rounding = 1e-15 * np.abs(alpha).sum()
    assert brute <= found.upper_bound + rounding
    reached = np.linalg.norm(exact_response(x, alpha, found.neurons).astype(float), axis=1)
    np.testing.assert_allclose(found.values, reached, atol=rounding, rtol=1e-12)


@pytest.mark.parametrize("x", [1e6, -1e8, 1e-8])
def test_inputs_of_any_size(x):
    rng = np.random.default_rng(2)
    assert_exact(x * rng.uniform(0.5, 1.5, 7), rng.standard_normal((7, 2)))


@pytest.mark.parametrize("seed", range(4))
def test_every_peak_is_a_local_maximum(seed):
    rng = np.random.default_rng(seed)
    x, alpha = rng.standard_normal(9), rng.standard_normal((9, 2))
    alpha -= alpha.mean(axis=0)
    found = assert_exact(x, alpha)
    angle = np.arctan2(found.neurons[:, 1], found.neurons[:, 0])
    for turn in (1e-5, -1e-5):
        beside = np.column_stack([np.cos(angle + turn), np.sin(angle + turn)])
        moved = np.linalg.norm(exact_response(x, alpha, beside).astype(float), axis=1)
        assert np.all(moved <= found.values * (1.0 + 1e-12))


# -------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("x", [0.0, 1.5, -3.0, 1e4])
def test_one_datum(x):
    # |alpha| max (cos t x + sin t) = |alpha| sqrt(1 + x^2)
    found = assert_exact(np.array([x]), np.array([[3.0, -4.0]]))
    assert found.upper_bound == pytest.approx(5.0 * np.hypot(1.0, x), rel=1e-14)
    np.testing.assert_allclose(found.neurons[0], np.array([x, 1.0]) / np.hypot(1.0, x), atol=1e-14)


def test_equal_inputs_are_one():
    found = assert_exact(np.full(3, 2.0), np.array([[1.0], [2.0], [-0.5]]))
    assert found.upper_bound == pytest.approx(2.5 * np.sqrt(5.0), rel=1e-14)
    cancelled = kw.arcs_dual_norm(np.full(2, 2.0), np.array([1.0, -1.0]))
    assert cancelled.upper_bound == pytest.approx(0.0, abs=1e-15)


def test_equal_signs_make_the_best_neuron_a_constant():
    # x = -1, 1 and alpha = a, a: everywhere 2 a sin t + ..., and 2 a at the pole
    found = assert_exact(np.array([-1.0, 1.0]), np.array([[1.5], [1.5]]))
    assert found.upper_bound == pytest.approx(3.0, rel=1e-14)
    np.testing.assert_allclose(found.neurons[0], [0.0, 1.0], atol=1e-12)


def test_opposite_signs_put_the_knot_at_a_datum():
    # facing right x = 1 alone responds w + b with b <= 0, both together w; facing left x = 0 alone
    # responds -b, knot at most at 1: the best are 1, 1 and 1 / sqrt 2
    found = assert_exact(np.array([0.0, 1.0]), np.array([[-1.0], [1.0]]))
    assert found.upper_bound == pytest.approx(1.0, rel=1e-14)
    np.testing.assert_allclose(found.neurons[0], [1.0, 0.0], atol=1e-12)


def test_an_eigenvector_inside_an_arc():
    # one active datum at x = 1 gives (1, 1)/sqrt 2, knot at -1: inside the arc from -2 to 1
    found = assert_exact(np.array([-2.0, 1.0]), np.array([[0.0], [2.0]]))
    assert found.upper_bound == pytest.approx(2.0 * np.sqrt(2.0), rel=1e-14)
    np.testing.assert_allclose(found.neurons[0], np.full(2, np.sqrt(0.5)), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_zeros_respond_nothing(n):
    found = kw.arcs_dual_norm(np.arange(n), np.zeros((n, 2)))
    assert found.upper_bound == 0.0
    assert found.neurons.shape == (0, 2)
    assert found.values.shape == (0,)


@given(st.integers(0, 10**6), inputs)
def test_symmetries(seed, x):
    rng = np.random.default_rng(seed)
    x = np.array(x)
    alpha = rng.standard_normal((len(x), 2))
    value = kw.arcs_dual_norm(x, alpha).upper_bound
    order, turn = rng.permutation(len(x)), np.linalg.qr(rng.standard_normal((2, 2)))[0]
    same = pytest.approx(value, rel=1e-12)
    assert kw.arcs_dual_norm(x[order], alpha[order]).upper_bound == same
    assert kw.arcs_dual_norm(x[:, None], alpha).upper_bound == value
    assert kw.arcs_dual_norm(-x, alpha).upper_bound == same
    assert kw.arcs_dual_norm(x, alpha @ turn).upper_bound == same
    assert kw.arcs_dual_norm(x, -3.0 * alpha).upper_bound == pytest.approx(3.0 * value, rel=1e-12)
    halved = kw.arcs_dual_norm(np.repeat(x, 2), np.repeat(alpha, 2, axis=0) / 2.0)
    assert halved.upper_bound == same


@pytest.mark.parametrize(
    ("X", "alpha", "error", "message"),
    [
        ([0.0, 1.0], [1.0], ValueError, r"^alpha: must have shape \(2, T\)"),
        ([0.0, 1.0], np.zeros((1, 2)), ValueError, r"^alpha: must have shape \(2, T\)"),
        ([0.0], np.zeros((1, 1, 1)), ValueError, r"^alpha: must have shape"),
        ([], [], ValueError, r"^alpha: must have shape"),
        ([np.nan], [1.0], ValueError, r"^X: NaN"),
        ([0.0], [np.inf], ValueError, r"^alpha: infinite"),
        (["a"], [1.0], TypeError, r"^X: got an array of text"),
    ],
)
def test_bad_input_is_named(X, alpha, error, message):
    with pytest.raises(error, match=message):
        kw.arcs_dual_norm(X, alpha)


# --------------------------------------------------------------------- free biases, and given neurons


@given(st.integers(0, 10**6), inputs, st.integers(1, 3))
def test_with_free_biases_knots_at_data_are_enough(seed, x, n_tasks):
    rng = np.random.default_rng(seed)
    x = np.sort(x)
    alpha = rng.standard_normal((len(x), n_tasks))
    alpha -= alpha.mean(axis=0)
    found = responses(x, alpha, biases=False)
    np.testing.assert_array_equal(np.abs(found.neurons[:, 0]), 1.0)
    reached = np.linalg.norm(exact_response(x, alpha, found.neurons).astype(float), axis=1)
    noise = 1e-14 * size_of(x, alpha)
    np.testing.assert_allclose(found.values, reached, rtol=1e-12, atol=noise)
    assert brute_force_response(x, alpha, False, 1001) <= found.largest * (1.0 + 1e-12) + noise


@given(st.integers(0, 10**6), inputs)
def test_given_neurons_respond_as_the_sum_says(seed, x):
    rng = np.random.default_rng(seed)
    x = np.sort(x)
    alpha = rng.standard_normal((len(x), 2))
    place = rng.choice(x, 8)
    w = rng.choice([-2.0, -1.0, 0.5, 1.0, 0.0], 8)
    b = np.where(rng.uniform(size=8) < 0.5, -w * place, rng.standard_normal(8))
    b[w == 0] = rng.choice([-1.0, 0.0, 2.0], int(np.sum(w == 0)))
    expected = exact_response(x, alpha, np.column_stack([w, b])).astype(float)
    noise = 1e-13 * np.sum(np.abs(alpha)) * 10.0
    np.testing.assert_allclose(response_of(x, alpha, w, b), expected, atol=noise)
    low, high = active_range(x, w, b)
    for k in range(8):
        value = w[k] * x + b[k]
        on = np.zeros(len(x), dtype=bool)
        on[low[k] : high[k]] = True
        # at its knot a datum may count or not, up to the rounding of -b / w
        assert np.all(on[value > 1e-12])
        assert not np.any(on[value < -1e-12])


@pytest.mark.parametrize(("w", "b"), [(5e-324, 1.0), (-5e-324, 1.0), (1e-300, -1.0), (1e300, -5e299)])
def test_neurons_with_knots_at_the_ends_of_float64(w, b):
    x, alpha = np.array([0.0, 0.25, 1.0]), np.array([[1.0], [2.0], [-4.0]])
    expected = exact_response(x, alpha, np.array([[w, b]])).astype(float)
    found = response_of(x, alpha, np.array([w]), np.array([b]))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14 * abs(w))
