"""Multipliers of held slopes: valid whatever the network, and enough where it is the optimum."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import dense_predict, label_weights, random_data
from sparse_group_problems import conic_sparse_group, problem_of

import knotwork as kw
from knotwork.certificate.knot_penalty import knot_penalty, knot_places
from knotwork.certificate.slopes import _evenest, slope_multipliers, slopes_of
from knotwork.certificate.sparse_group import certify_sparse_group


def test_slopes_are_those_of_the_network_whichever_way_its_neurons_face():
    network = kw.ReLUNetwork(
        [[-2.0], [1.0], [0.5]], [1.0, -0.25, -0.4], [[1.0, 0.0], [2.0, -1.0], [1.0, 3.0]], [[0.5, -1.0]]
    )
    slopes, rounding = slopes_of(network)
    x = np.array([-1.0, 0.4, 0.6, 2.0])
    np.testing.assert_array_equal(network.knots.location, [0.25, 0.5, 0.8])
    step = 1e-3
    found = (dense_predict(network, x + step) - dense_predict(network, x - step)) / (2 * step)
    np.testing.assert_allclose(slopes, found, atol=1e-10)
    assert np.all((rounding > 0) & (rounding < 1e-12))


@given(st.integers(0, 10**6))
def test_the_certificate_never_exceeds_the_optimum(seed):
    rng = np.random.default_rng(seed)
    data = random_data(rng, n=12, n_tasks=2, gaps=0.2)
    # a monotone network of no merit, still in places
    bends = np.sort(rng.uniform(0.1, 0.9, 3))
    slopes = rng.uniform(0.0, 3.0, (4, 2)) * (rng.uniform(size=(4, 2)) < 0.6)
    network = kw.ReLUNetwork(np.ones((3, 1)), -bends, np.diff(slopes, axis=0), slopes[:1], rng.normal(size=2))
    optimum = conic_sparse_group(data, 0.1, 0.02, direction=np.ones(2))[0]
    certificate = certify_sparse_group(problem_of(data, 0.1), network, 0.02, monotone="increasing")
    assert certificate.dual <= optimum * (1 + 1e-7)
    assert certificate.primal >= optimum * (1 - 1e-7)


def test_multipliers_are_of_still_slopes_only_and_prove_the_optimum():
    x = np.linspace(0.0, 1.0, 30)
    Y = np.column_stack([np.sin(7 * x), np.cos(5 * x) + x])
    problem = kw.Problem(x, Y, 0.01)
    solution = kw.solve_sparse_group(problem, 0.0, monotone="increasing", tol=1e-10)
    penalty = knot_penalty(problem, 0.0, None, "increasing")
    places = knot_places(problem, None, None, None, None)
    e = places.root * (places.y - solution.network.predict(x))
    multipliers = slope_multipliers(places, penalty, solution.network, e)
    slopes = np.diff(solution.network.predict(x), axis=0) / np.diff(x)[:, None]
    assert multipliers.min() >= 0
    assert multipliers.max() > 0
    assert np.abs(multipliers * slopes).max() <= 1e-12 * np.abs(slopes).max() * multipliers.max()
    # without them the dual point proves little
    plain = places.potential(places.root * places.off_free_parts(e))
    assert penalty.response(plain).max() > 1.5 * problem.lam
    held = places.potential(e, multipliers)
    assert penalty.response(held).max() <= problem.lam * (1 + 1e-8)
    # and the stationarity that they repair holds against 1 and x
    np.testing.assert_allclose(e.sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(x @ e + multipliers.sum(axis=0), 0.0, atol=1e-10)


def test_the_evenest_curve_is_the_best_of_a_linear_programme():
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = int(rng.integers(3, 15))
        rise = np.cumsum(rng.normal(size=n))
        rise -= rise[0]
        total = max(rise[-1], 0.0) + 0.5
        above, below = rng.uniform(0.2, 2.0, (2, n))
        # wider than all where the ends are given
        above[[0, -1]] = below[[0, -1]] = np.ptp(rise) + total
        curve, s = cp.Variable(n), cp.Variable()
        rules = [cp.diff(curve) >= 0, curve[0] == 0, curve[-1] == total]
        rules += [rise - curve <= s * above, curve - rise <= s * below]
        cp.Problem(cp.Minimize(s), rules).solve(solver=cp.CLARABEL)
        steps = _evenest(rise, total, above, below)
        assert steps.min() >= 0
        found = np.concatenate([[0.0], np.cumsum(steps)])
        np.testing.assert_allclose(found[-1], total, atol=1e-12)
        size = np.maximum((rise - found) / above, (found - rise) / below).max()
        np.testing.assert_allclose(size, s.value, rtol=1e-5, atol=1e-6)


def test_a_task_seen_at_one_input_has_no_multipliers():
    data = random_data(np.random.default_rng(1), n=20, n_tasks=2)
    Y = data.Y.copy()
    Y[1:, 0] = np.nan
    problem = kw.Problem(data.X, Y, 0.1)
    # a constant, off its label: no dual point pays for the slope that the label does not see
    network = kw.ReLUNetwork(np.zeros((0, 1)), np.zeros(0), np.zeros((0, 2)), np.zeros((1, 2)), [0.0, 0.0])
    certificate = certify_sparse_group(problem, network, 0.0, monotone="increasing")
    weight = label_weights(Y)
    assert certificate.dual <= 0.5 * np.sum(weight * np.where(weight > 0, Y, 0.0) ** 2)
    solution = kw.solve_sparse_group(problem, 0.0, monotone="increasing")
    assert certificate.dual <= solution.certificate.primal
    assert solution.status is kw.Status.OPTIMAL


@pytest.mark.parametrize("slope", [-1e-6, 0.0, 1e-6])
def test_a_network_that_falls_is_refused(slope):
    problem = kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.5], 0.1)
    network = kw.ReLUNetwork([[1.0]], [-1.0], [[slope - 1.0]], [[1.0]])
    if slope < 0:
        with pytest.raises(ValueError, match="network: runs against monotone"):
            certify_sparse_group(problem, network, 0.0, monotone="increasing")
    else:
        assert certify_sparse_group(problem, network, 0.0, monotone="increasing").gap >= 0
