"""What a sparse-group certificate proves, of any network: against dense formulas and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import random_data
from sparse_group_problems import dense_objective, problem_of, proven_bound

import knotwork as kw
from knotwork.certificate.knot_penalty import KnotPenalty
from knotwork.certificate.sparse_group import certify_sparse_group
from knotwork.solvers.sparse_group import solve_sparse_group


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    lam=st.floats(0.01, 2.0),
    lam_private=st.floats(0.0, 2.0),
    gaps=st.sampled_from([0.0, 0.4]),
    weights=st.sampled_from([None, "rows", "labels"]),
    n_neurons=st.integers(0, 6),
)
def test_no_network_is_certified_below_what_it_proves(seed, lam, lam_private, gaps, weights, n_neurons):
    rng = np.random.default_rng(seed)
    data = random_data(rng, n=15, n_tasks=2, gaps=gaps, weights=weights)
    W = rng.standard_normal((n_neurons, 1)) + 0.1
    network = kw.ReLUNetwork(
        W,
        -W[:, 0] * rng.uniform(-0.3, 1.3, n_neurons),
        rng.standard_normal((n_neurons, 2)) * (rng.uniform(size=(n_neurons, 2)) < 0.7),
        rng.standard_normal((1, 2)),
        rng.standard_normal(2),
    )
    certificate = certify_sparse_group(problem_of(data, lam), network, lam_private)
    value = dense_objective(data, lam, lam_private, network)
    np.testing.assert_allclose(certificate.primal, value, rtol=1e-10)
    bound = proven_bound(data, lam, lam_private, certificate.dual_point)
    np.testing.assert_allclose(bound, certificate.dual, rtol=1e-8, atol=1e-9 * value)
    best = solve_sparse_group(problem_of(data, lam), lam_private).certificate
    assert certificate.dual <= best.primal * (1 + 1e-12)
    assert best.dual <= certificate.primal * (1 + 1e-12)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), lam_private=st.floats(0.0, 1.5), sign=st.sampled_from([None, 0, 1]))
def test_scale_is_the_largest_that_is_feasible(seed, lam_private, sign):
    p = np.random.default_rng(seed).standard_normal((30, 3))
    up, down = np.ones(3, dtype=bool), np.ones(3, dtype=bool)
    if sign is not None:
        (up, down)[sign][1] = False
    penalty = KnotPenalty(0.3, lam_private, up, down, np.zeros(len(up)))
    s = float(penalty.scale(p)[0])
    assert 0 < s <= 1
    assert penalty.response(s * p).max() <= 0.3 * (1 + 1e-14)
    assert s == 1 or penalty.response(s * (1 + 1e-12) * p).max() > 0.3
    apart = KnotPenalty(0.0, lam_private + 0.1, up, down, np.zeros(len(up)))
    scale = apart.scale(p)
    assert apart.response(scale * (1 - 1e-14) * p).max() == 0
    for t in np.flatnonzero(scale < 1):
        bumped = scale * (1 + 1e-12 * (np.arange(3) == t))
        assert apart.response(bumped * p).max() > 0


def test_neurons_that_pull_against_each_other_cost_what_they_cost():
    data = random_data(np.random.default_rng(13), n=40, n_tasks=2)
    problem = problem_of(data, 0.3)
    best = solve_sparse_group(problem, 0.2, tol=1e-11)
    net = best.network
    b = np.append(net.b, [-0.5, -1.0])
    V = np.vstack([net.V, [[1.0, 2.0], [-0.5, -1.0]]])
    wasteful = kw.ReLUNetwork(np.append(net.W, [[1.0], [2.0]], axis=0), b, V, net.A, net.c)
    certificate = certify_sparse_group(problem, wasteful, 0.2)
    np.testing.assert_allclose(certificate.primal, dense_objective(data, 0.3, 0.2, wasteful), rtol=1e-12)
    np.testing.assert_allclose(certificate.dual, best.certificate.dual, rtol=1e-8)
    waste = 2 * (0.3 * np.sqrt(5.0) + 0.2 * 3.0)
    np.testing.assert_allclose(certificate.gap, waste, rtol=1e-6)


def test_a_network_that_leaves_float64_is_refused():
    data = random_data(np.random.default_rng(12), n=20, n_tasks=1)
    huge = kw.ReLUNetwork([[1.0]], [-0.5], [[1e200]])
    with pytest.raises(ValueError, match="network: predicts values up to"):
        certify_sparse_group(problem_of(data, 0.1), huge, 0.1)


def test_a_wrong_network_keeps_its_gap():
    data = random_data(np.random.default_rng(6), n=60, n_tasks=3)
    problem = problem_of(data, 0.3)
    solution = solve_sparse_group(problem, 0.2, tol=1e-11)
    network, best = solution.network, solution.certificate.primal
    for size in (1e-4, 1e-2, 1.0):
        wrong = kw.ReLUNetwork(network.W, network.b, (1 + size) * network.V, network.A, network.c)
        certificate = certify_sparse_group(problem, wrong, 0.2)
        excess = dense_objective(data, 0.3, 0.2, wrong) - best
        assert certificate.gap >= excess * (1 - 1e-6) > 0
    plain = kw.solve(problem).network
    assert certify_sparse_group(problem, plain, 0.2).relative_gap > 1e-4
