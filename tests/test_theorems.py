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


def test_merging_two_neurons_of_one_place_and_facing_adds_their_output_weights_only():
    """Erratum to A, appendix A.1: at |w| = 1 the merged neuron is (w, b, v_1 + v_2), and may cost less."""
    x = np.linspace(-2.0, 2.0, 9)
    two = kw.ReLUNetwork([[1.0], [1.0]], [0.5, 0.5], [[1.0, 0.0], [0.0, 2.0]])
    one = kw.ReLUNetwork([[1.0]], [0.5], [[1.0, 2.0]])
    np.testing.assert_allclose(one.predict(x), two.predict(x), atol=1e-14)
    assert two.cost() == pytest.approx(3.0)
    assert one.cost() == pytest.approx(np.sqrt(5.0))
    # as printed, input weight and bias summed too: twice the function
    printed = kw.ReLUNetwork([[2.0]], [1.0], [[1.0, 2.0]])
    np.testing.assert_allclose(printed.predict(x), 2.0 * two.predict(x), atol=1e-14)
    # of opposite output weights the merged neuron is none
    cancelled = kw.ReLUNetwork([[1.0], [1.0]], [0.5, 0.5], [[1.0], [-1.0]])
    assert (cancelled.cost(), cancelled.canonicalise().n_neurons) == (pytest.approx(2.0), 0)
    # in general, of any scale: the norms of (w, b, v) multiply
    scaled = kw.ReLUNetwork([[3.0], [0.5]], [1.5, 0.25], [[1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(scaled.canonicalise().V, [[3.0, 1.0]], atol=1e-14)


def test_parameters_grow_without_bound_at_one_objective():
    """Erratum to A, appendix A.1 ("coercive"): b, A and c cost nothing. The minimum is attained still."""
    x, Y = np.array([0.0, 1.0, 2.5, 3.0]), np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0], [3.0, -2.0]])
    solution = kw.solve(kw.Problem(x, Y, 0.0))
    best = solution.network
    assert solution.status is kw.Status.OPTIMAL
    sizes = []
    for far in (1e1, 1e3, 1e5):
        # a neuron with its knot far to the left is a line on the data, which A and c take away
        v = np.array([[0.6, 0.8]])
        network = kw.ReLUNetwork(
            np.vstack([best.W, [[1.0]]]), np.append(best.b, far), np.vstack([best.V, v]), best.A - v,
            best.c - far * v[0],
        )  # fmt: skip
        np.testing.assert_allclose(network.predict(x), Y, atol=1e-9)
        assert network.cost() == pytest.approx(best.cost() + 1.0, rel=1e-12)
        # of output weight 0 it changes nothing at all: the minimisers are unbounded too
        idle = kw.ReLUNetwork(
            np.vstack([best.W, [[0.0]]]), np.append(best.b, far), np.vstack([best.V, [[0.0, 0.0]]]),
            best.A, best.c,
        )  # fmt: skip
        np.testing.assert_allclose(idle.predict(x), Y, atol=1e-9)
        assert idle.cost() == best.cost()
        sizes.append(np.abs(idle.b).max())
    assert sizes == [1e1, 1e3, 1e5]


def slope_changes(x, Y):
    """U (T, 2): the changes of slope of connect the dots at x_2 and x_3 of four points."""
    return np.diff(np.diff(Y, axis=0) / np.diff(x)[:, None], axis=0).T


@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_the_gram_determinant_of_corollary_1_is_of_the_two_slope_changes(n_tasks):
    """Erratum to A, (32) ff.: det(U U') is 0 on all data of three tasks and more; det(U'U) is meant."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, Y = np.cumsum(rng.uniform(0.2, 1.0, 4)), rng.standard_normal((4, n_tasks))
        U = slope_changes(x, Y)
        U /= np.linalg.norm(U)
        small = np.linalg.det(U.T @ U)
        assert small > 1e-6
        assert kw.uniqueness(x, Y).unique
        printed = np.linalg.det(U @ U.T)
        assert printed == pytest.approx(small if n_tasks == 2 else 0.0, abs=1e-12)
        # aligned changes: one function for all tasks
        aligned = np.outer([0.0, 0.0, 1.0, 4.0], rng.standard_normal(n_tasks))
        U = slope_changes(np.arange(4.0), aligned)
        assert np.linalg.det(U.T @ U / np.linalg.norm(U) ** 2) == pytest.approx(0.0, abs=1e-12)
        assert not kw.uniqueness(np.arange(4.0), aligned).unique
