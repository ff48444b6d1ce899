"""A, Lemma 3.2: straight lines between data in place of any network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_predict

import knotwork as kw
from knotwork.solvers.spline import connect_the_dots


def random_network(rng, n_neurons, n_tasks):
    w = rng.standard_normal((n_neurons, 1))
    w[rng.uniform(size=n_neurons) < 0.1] = 0.0
    return kw.ReLUNetwork(
        w,
        rng.standard_normal(n_neurons),
        rng.standard_normal((n_neurons, n_tasks)),
        rng.standard_normal((1, n_tasks)),
        rng.standard_normal(n_tasks),
    )


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 4), st.integers(1, 10))
def test_values_stay_the_cost_does_not_rise_and_it_is_connect_the_dots(seed, n_neurons, n_tasks, n):
    rng = np.random.default_rng(seed)
    f, x = random_network(rng, n_neurons, n_tasks), rng.uniform(-2, 2, n)
    straight = kw.straighten(f, x)
    np.testing.assert_allclose(dense_predict(straight, x), dense_predict(f, x), rtol=0, atol=1e-12)
    assert straight.cost() <= f.cost() * (1 + 1e-14)
    assert straight.n_neurons <= max(n - 2, 0)
    assert set(straight.knots.location) <= set(np.sort(x)[1:-1])
    if n > 1:
        at = np.concatenate([rng.uniform(-2, 2, 20), [-9.0, 9.0]])
        dots = connect_the_dots(np.sort(x), f.predict(np.sort(x)))
        steepest = np.abs(np.diff(f.predict(np.sort(x)), axis=0)).max() / np.diff(np.sort(x)).min()
        np.testing.assert_allclose(straight.predict(at), dots.predict(at), atol=1e-12 * (1 + steepest))


def test_the_cost_falls_strictly_where_bends_are_not_aligned_and_stays_where_they_are():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    # slopes 0, 1, 3/2, -1/2: between 1 and 2 it bends up, at 2 down
    bent = kw.ReLUNetwork([[1.0]] * 3, [-1.0, -1.5, -2.0], [[1.0], [0.5], [-2.0]])
    assert bent.cost() == 3.5
    assert kw.straighten(bent, x).cost() == pytest.approx(1.25 + 1.75, rel=1e-14)
    aligned = kw.ReLUNetwork([[1.0]] * 3, [-1.0, -1.5, -2.0], [[1.0, 2.0], [0.5, 1.0], [2.0, 4.0]])
    assert kw.straighten(aligned, x).cost() == pytest.approx(aligned.cost(), rel=1e-14)


def test_nothing_bends_outside_the_data():
    x = np.array([0.0, 1.0, 2.0])
    outside = kw.ReLUNetwork(
        [[1.0], [-1.0], [1.0], [1.0]], [0.5, -0.5, -3.0, 0.0], [[1.0], [2.0], [4.0], [8.0]]
    )
    straight = kw.straighten(outside, x)
    assert straight.n_neurons == 0
    np.testing.assert_array_equal(straight.predict(x), outside.predict(x))
    assert outside.cost() == 15.0


def test_knots_at_the_data_are_kept_exactly():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 1, 40))
    facing = rng.choice([-1.0, 1.0], 38)
    f = kw.ReLUNetwork(facing[:, None], -facing * x[1:-1], rng.standard_normal((38, 2)), [[1.0, 2.0]])
    straight = kw.straighten(f, rng.permutation(x)[:, None])
    for name in "WbVAc":
        np.testing.assert_array_equal(getattr(straight, name), getattr(f, name))


def test_knots_that_vanish_are_dropped():
    x = np.arange(6.0)
    f = kw.ReLUNetwork([[1.0], [-2.0], [1.0]], [-2.0, 4.0, -3.5], [[1.0], [-0.5], [3.0]])
    straight = kw.straighten(f, x)
    np.testing.assert_array_equal(straight.knots.location, [3.0, 4.0])
    np.testing.assert_allclose(straight.predict(x), f.predict(x), atol=1e-14)


def test_one_input_gives_a_constant_and_two_a_line():
    f = random_network(np.random.default_rng(3), 9, 2)
    constant = kw.straighten(f, [0.3, 0.3])
    assert constant.n_neurons == 0
    assert not constant.A.any()
    np.testing.assert_allclose(constant.predict([-7.0, 0.3]), f.predict([0.3, 0.3]), atol=1e-14)
    line = kw.straighten(f, [0.3, -1.0, 0.3])
    assert line.n_neurons == 0
    np.testing.assert_allclose(line.predict([-1.0, 0.3]), f.predict([-1.0, 0.3]), atol=1e-13)


def test_steep_bends_among_close_inputs_keep_their_values():
    rng = np.random.default_rng(1)
    x = np.exp(np.sort(rng.uniform(-10, 10, 150)))
    Y = rng.standard_normal((150, 2))
    dots = connect_the_dots(x, Y)
    again = kw.straighten(dots, x)
    np.testing.assert_allclose(again.predict(x), Y, atol=1e-8)
    assert again.cost() <= dots.cost() * (1 + 1e-14)


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_a_second_time_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, 8)
    once = kw.straighten(random_network(rng, 10, 2), x)
    twice = kw.straighten(once, x)
    np.testing.assert_array_equal(np.sort(twice.b), np.sort(once.b))
    assert twice.cost() == pytest.approx(once.cost(), rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0], [0.0]), TypeError, "^network: must be a knotwork.ReLUNetwork, got list"),
        (
            (kw.ReLUNetwork(np.ones((1, 2)), [0.0], [[1.0]]), [0.0]),
            ValueError,
            "^network: must have one input",
        ),
        ((kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), []), ValueError, r"^X: must have shape \(N,\)"),
        ((kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), [[1.0, 2.0]]), ValueError, r"^X: must have shape \(N,\)"),
        ((kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), [np.nan]), ValueError, "^X: NaN at index"),
        ((kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), ["a"]), TypeError, "^X: got an array of text"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        kw.straighten(*arguments)
