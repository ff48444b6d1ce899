"""What the papers prove, and where their statements need mending (docs/theorems.md)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import knotwork as kw
from knotwork.solvers.spline import connect_the_dots


def random_network(rng, n_neurons, n_tasks):
    return kw.ReLUNetwork(
        rng.standard_normal((n_neurons, 1)),
        rng.standard_normal(n_neurons),
        rng.standard_normal((n_neurons, n_tasks)),
        rng.standard_normal((1, n_tasks)),
        rng.standard_normal(n_tasks),
    )


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 4), st.integers(2, 9))
def test_straight_lines_between_data_never_cost_more(seed, n_neurons, n_tasks, n):
    """A, Lemma 3.2, applied to every interval."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, n_neurons, n_tasks)
    x = np.sort(rng.uniform(-2, 2, n))
    straight = connect_the_dots(x, network.predict(x))
    np.testing.assert_allclose(straight.predict(x), network.predict(x), atol=1e-9)
    assert straight.cost() <= network.cost() * (1 + 1e-9) + 1e-9


def test_straight_lines_cost_less_where_slope_changes_are_not_aligned():
    # up at 1, down at 2: a bend between them costs, as A - B and B - C point apart
    x = np.array([0.0, 1.0, 2.0, 3.0])
    bent = kw.ReLUNetwork([[1.0]] * 3, [-1.0, -1.5, -2.0], [[1.0], [0.5], [-2.0]])
    straight = connect_the_dots(x, bent.predict(x))
    assert straight.cost() < bent.cost() - 0.4


def test_the_line_between_the_closest_knots_may_miss_a_label():
    """Erratum to A, Lemma 3.2: the closest of knots and data points is meant."""
    x = np.array([0.0, 1.0, 2.0, 3.0])
    f = kw.ReLUNetwork([[1.0]] * 3, [-0.5, -1.5, -2.5], [[1.0], [-2.0], [1.0]])
    before, after = 0.5, 2.5
    between_knots = connect_the_dots(
        np.array([0.0, before, after, 3.0]), f.predict([0.0, before, after, 3.0])
    )
    assert np.abs(between_knots.predict(x) - f.predict(x)).max() == pytest.approx(0.5)
    between_data = connect_the_dots(x, f.predict(x))
    np.testing.assert_allclose(between_data.predict(x), f.predict(x), atol=1e-12)
    assert between_data.cost() <= f.cost()


@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(1, 5))
def test_connect_the_dots_needs_two_neurons_less_than_it_has_data(seed, n, n_tasks):
    """Erratum to A, after Remark 1 (N - 1): generic labels need N - 2, and no fewer."""
    rng = np.random.default_rng(seed)
    solution = kw.solve(kw.Problem(np.arange(n), rng.standard_normal((n, n_tasks)), 0.0))
    assert solution.status is kw.Status.OPTIMAL
    assert solution.network.n_neurons == n - 2


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4))
def test_no_rescaling_of_neurons_decays_less_than_the_path_norm(seed, n_neurons, n_tasks):
    """A (2)-(3): half the squares are least, and the path norm, where every neuron is balanced."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, n_neurons, n_tasks)

    def half_squares(net):
        return 0.5 * (np.sum(net.V**2) + np.sum(net.W**2))

    balanced = network.balance()
    assert half_squares(balanced) == pytest.approx(network.cost(), rel=1e-12)
    factors = np.exp(rng.standard_normal(balanced.n_neurons))[:, None]
    rescaled = kw.ReLUNetwork(
        balanced.W * factors, balanced.b * factors[:, 0], balanced.V / factors, balanced.A, balanced.c
    )
    np.testing.assert_allclose(rescaled.predict([0.3, -1.0]), network.predict([0.3, -1.0]), atol=1e-10)
    assert half_squares(rescaled) >= network.cost() * (1 - 1e-12)
