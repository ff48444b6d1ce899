"""The certificate from every label: any loss and penalty of one input."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import MIXED, PAIRS, Case, assert_sound, name_of, random_case, random_network
from references import label_weights
from references_losses import brute_force_response, conic_loss_optimum

import knotwork as kw

FORMS = [(0.0, None), (0.3, None), (0.0, "rows"), (0.3, "labels")]
CASES = [(spec, penalty, k) for k, (spec, penalty) in enumerate([*PAIRS, (MIXED, (True, "none"))])]


@cache
def solved(k):
    """A case with gaps and weights in turn, its solution, and the objective of that network."""
    spec, penalty, _ = CASES[k]
    gaps, weights = FORMS[k % len(FORMS)]
    case = random_case(k, spec, penalty, n=18, gaps=gaps, weights=weights, lam=[0.02, 0.1, 0.5][k % 3])
    solution = kw.solve(case.problem)
    return case, solution, case.objective(solution.network)


cases = pytest.mark.parametrize("k", range(len(CASES)), ids=lambda k: f"{name_of(CASES[k][0])}-{CASES[k][1]}")


@cases
def test_the_solution_is_certified_by_brute_force(k):
    case, solution, best = solved(k)
    certificate = solution.certificate
    assert solution.status is kw.Status.OPTIMAL
    assert certificate.primal == pytest.approx(best, rel=1e-11)
    assert certificate.relative_gap <= 1e-8
    assert certificate.gap == pytest.approx(certificate.primal - certificate.dual, abs=1e-14 * best)
    assert certificate.rigour is kw.Rigour.EXACT
    assert_sound(certificate, case, best, n_grid=8001)


@cases
def test_any_network_bounds_the_optimum_from_below(k):
    case, _, best = solved(k)
    rng = np.random.default_rng(100 + k)
    for size in (0.1, 1.0, 3.0):
        network = random_network(rng, case, int(rng.integers(0, 5)), size)
        certificate = kw.certify(case.problem, network)
        assert certificate.primal == pytest.approx(case.objective(network), rel=1e-11)
        assert certificate.gap == pytest.approx(certificate.primal - certificate.dual, rel=1e-9)
        assert_sound(certificate, case, best)


@cases
def test_given_dual_points_are_made_feasible(k):
    case, solution, best = solved(k)
    rng, T = np.random.default_rng(200 + k), case.Y.shape[1]
    own = solution.certificate.dual_point
    network = random_network(rng, case, 2)
    points = [
        own,
        own + 1e-3 * rng.standard_normal(own.shape),
        rng.standard_normal(own.shape),
        1e3 * rng.standard_normal(own.shape),
        np.full(own.shape, -5.0),
        own + 1e3 * rng.standard_normal(T),
        -1e12 + rng.standard_normal(own.shape),
        np.zeros(own.shape),
        case.X[:, None] * np.ones(T),
    ]
    for point in points:
        assert_sound(kw.certify(case.problem, network, dual_point=point), case, best)
    # the optimal one proves the optimum beside any network, the scale being searched to 1e-3
    at_optimum = kw.certify(case.problem, solution.network, dual_point=own)
    assert at_optimum.dual >= best * (1.0 - 1e-7)
    assert kw.certify(case.problem, network, dual_point=own).dual >= best * (1.0 - 1e-3)


BAD = {
    "constant": ([], [], [], 1e4),
    "huge constant": ([], [], [], -1e9),
    "large output": ([[1.0]], [0.3], [30.0], 0.0),
    "huge output": ([[1.0]], [0.3], [1e6], 0.0),
    "cancelling": ([[1.0], [1.0]], [0.3, 0.3 + 1e-9], [1e6, -1e6], 0.0),
    "far knot": ([[1.0]], [1e8], [1e-3], 0.0),
    "constant neuron": ([[0.0]], [1e3], [1.0], 0.0),
    "tiny": ([[1e-300]], [1.0], [1e-200], 0.0),
}


@pytest.mark.parametrize("bad", list(BAD))
@cases
def test_bad_networks_prove_no_more_than_the_optimum(k, bad):
    case, solution, best = solved(k)
    W, b, V, c = BAD[bad]
    T = case.Y.shape[1]
    V = np.outer(V, np.linspace(1.0, 0.5, T)) if V else np.zeros((0, T))
    network = kw.ReLUNetwork(np.reshape(W, (len(b), 1)), b, V, None, np.full(T, c))
    far = float(np.abs(network.predict(case.X)).max())
    if "poisson" in case.spec and far > 300.0:
        # e^f leaves float64: tested apart
        return
    rounding = 1e-15 * far * float(label_weights(case.Y, case.weight).sum())
    for point in (None, solution.certificate.dual_point):
        certificate = kw.certify(case.problem, network, dual_point=point)
        assert certificate.dual >= 0.0
        assert certificate.primal == pytest.approx(case.objective(network), rel=1e-9, abs=rounding)
        assert_sound(certificate, case, best)


@pytest.mark.parametrize("c", [50.0, 310.0, 700.0, -50.0, -800.0, -1e6])
@pytest.mark.parametrize("penalty", [(False, "none"), (False, "free"), (True, "none")])
def test_rates_far_from_the_counts_prove_no_more_than_the_optimum(penalty, c):
    case = random_case(3, "poisson", penalty)
    solution = kw.solve(case.problem)
    best = case.objective(solution.network)
    network = kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 2)), None, [c, 0.1])
    for point in (None, solution.certificate.dual_point):
        assert_sound(kw.certify(case.problem, network, dual_point=point), case, best)


@cases
def test_a_near_optimum_has_a_small_gap_that_covers_its_distance(k):
    case, solution, best = solved(k)
    net, rng = solution.network, np.random.default_rng(300 + k)
    before, smooth = None, case.problem.loss_function.smooth
    turn = rng.standard_normal(net.V.shape)
    for size in (1e-5, 1e-7):
        c = net.c + size * np.arange(1.0, len(net.c) + 1.0)
        near = kw.ReLUNetwork(net.W, net.b, net.V * (1.0 + size * turn), net.A, c)
        certificate = kw.certify(case.problem, near)
        worse = case.objective(near) - best
        assert worse > -1e-9 * best
        assert certificate.gap >= worse - 1e-9 * best
        assert_sound(certificate, case, best)
        # at most in proportion to the distance from the optimum; quantile gradients jump
        if smooth and before is not None:
            assert certificate.gap <= 0.03 * before + 1e-8 * best
        before = certificate.gap
    assert not smooth or before <= 0.02 * best


# --------------------------------------------------------------------------------------- properties


@settings(max_examples=60)
@given(st.integers(0, len(CASES) - 1), st.integers(0, 10**6), st.integers(0, 6), st.floats(-3, 2))
def test_weak_duality(k, seed, n_neurons, log_size):
    case, _, best = solved(k)
    network = random_network(np.random.default_rng(seed), case, n_neurons, 10.0**log_size)
    if case.spec == "poisson" and np.abs(network.predict(case.X)).max() > 300.0:
        return
    certificate = kw.certify(case.problem, network)
    assert 0.0 <= certificate.dual <= best * (1.0 + 1e-10)
    assert certificate.primal == pytest.approx(case.objective(network), rel=1e-10)


@pytest.mark.parametrize("penalty", [(False, "none"), (True, "none"), (True, "nuclear")])
@pytest.mark.parametrize("spec", ["logistic", "squared"])
def test_the_optimum_of_a_conic_solver_lies_between(spec, penalty):
    case = random_case(11, spec, penalty, n=10, gaps=0.2)
    best = conic_loss_optimum(spec, penalty, case.X, case.Y, case.lam)
    rng = np.random.default_rng(0)
    for size in (0.1, 1.0):
        certificate = kw.certify(case.problem, random_network(rng, case, 3, size))
        assert certificate.dual <= best.primal * (1.0 + 1e-9)
        assert certificate.primal >= best.primal * (1.0 - 1e-6)


@cases
def test_rows_in_any_order_have_the_same_certificate(k):
    case, solution, best = solved(k)
    order = np.random.default_rng(k).permutation(len(case.X))
    weight = None if case.weight is None else case.weight[order]
    shuffled = Case(case.spec, case.penalty, case.X[order], case.Y[order], case.lam, weight)
    network = random_network(np.random.default_rng(k), case, 3)
    one, other = kw.certify(case.problem, network), kw.certify(shuffled.problem, network)
    assert other.dual == pytest.approx(one.dual, rel=1e-6, abs=1e-9 * best)
    at = kw.certify(shuffled.problem, solution.network).dual_point
    own = solution.certificate.dual_point
    if case.problem.loss_function.smooth:
        np.testing.assert_allclose(at, own[order], atol=1e-3 * np.abs(own).max())


# -------------------------------------------------------------------------------------- conventions


@cases
def test_the_worst_neuron_responds_most(k):
    case, solution, _ = solved(k)
    certificate = solution.certificate
    if certificate.worst_neuron is None:
        return
    w, b = certificate.worst_neuron
    biases, skip = case.penalty
    assert (np.hypot(w, b) if biases else abs(w)) == pytest.approx(1.0, rel=1e-12)
    answer = np.linalg.norm(np.maximum(w * case.X + b, 0.0) @ certificate.dual_point)
    assert answer == pytest.approx(brute_force_response(case.X, certificate.dual_point, biases), rel=1e-6)
    if solution.network.n_neurons and skip != "nuclear":
        assert answer == pytest.approx(case.lam, rel=1e-6)


@cases
def test_relative_gap_is_of_the_larger_end(k):
    case, _, _ = solved(k)
    certificate = kw.certify(case.problem, random_network(np.random.default_rng(k), case, 3))
    assert certificate.relative_gap == pytest.approx(certificate.gap / certificate.primal, rel=1e-12)


def test_a_gap_of_rounding_is_none():
    # labels met by a line but for 1e-9: F* is below 1e-14 of the fit without neurons
    x = np.linspace(0.0, 1.0, 9)
    y = np.where(x > 0.5, x - 0.5, 0.0)
    problem = kw.Problem(x, y, 1e-17, "huber")
    network = kw.ReLUNetwork([[1.0]], [-0.5], [[1.0]])
    assert problem.objective(network) == pytest.approx(1e-17)
    certificate = kw.certify(problem, network)
    assert certificate.gap <= 1e-14 * problem.objective(problem.free_fit())
    assert certificate.relative_gap == 0.0


def test_a_loss_beyond_float64_is_an_infinite_gap():
    case = random_case(3, "poisson", (True, "none"))
    case = Case(case.spec, case.penalty, case.X, np.maximum(case.Y, 1.0), case.lam)
    certificate = kw.certify(
        case.problem, kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 2)), None, [1e4, 0])
    )
    assert certificate.primal == certificate.gap == certificate.relative_gap == np.inf
    assert 0.0 <= certificate.dual <= case.objective(kw.solve(case.problem).network)


@pytest.mark.parametrize("penalty", [(True, "none"), (True, "frobenius"), (True, "nuclear"), (False, "none")])
def test_at_lam_zero_a_dual_point_bounds_the_cost(penalty):
    rng = np.random.default_rng(5)
    x, Y = rng.uniform(-1.0, 2.0, 8), rng.standard_normal((8, 2))
    Y[0, 1] = np.nan
    problem = kw.Problem(x, Y, 0.0, penalty=kw.Penalty(*penalty))
    solution = kw.solve(problem)
    best = solution.network.cost(problem.penalty)
    assert solution.certificate.primal == best
    network = random_network(rng, Case("squared", penalty, x, Y, 0.0), 3)
    none = kw.certify(problem, network)
    assert (none.primal, none.dual, none.gap) == (np.inf, 0.0, np.inf)
    for point in (solution.certificate.dual_point, rng.standard_normal(Y.shape)):
        certificate = kw.certify(problem, network, dual_point=np.where(np.isnan(Y), 0.0, point))
        alpha = certificate.dual_point
        assert 0.0 <= certificate.dual <= best * (1.0 + 1e-9)
        assert brute_force_response(x, alpha, penalty[0]) <= 1.0 + 1e-9
        worth = np.nansum(alpha * Y) - 0.5 * float(penalty[0]) * np.sum(alpha.sum(axis=0) ** 2)
        worth -= 0.5 * float(penalty[1] == "frobenius") * np.sum((x @ alpha) ** 2)
        assert certificate.dual == pytest.approx(worth, rel=1e-9, abs=1e-12)
        assert np.all(alpha[label_weights(Y) == 0.0] == 0.0)
    # the solution's own is tight, and what missing the labels hides is said
    again = kw.certify(problem, solution.network, dual_point=solution.certificate.dual_point)
    assert again.dual >= best * (1.0 - 1e-7)
    assert abs(again.slack) <= 1e-8 * best
