"""Certificates of several inputs: weak duality, feasibility by exhaustion, and what rigour means."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import MIXED, loss_of, name_of
from references_losses import PENALTIES, SPECS
from references_several import Data, assert_sound, column_generation, dual_value, objective, random_data

import knotwork as kw
from knotwork.certificate.labels import Labels, judge
from knotwork.dual_norm.several import UnitNeurons

FORMS = [(0.0, None), (0.3, None), (0.0, "rows"), (0.3, "labels")]
# every loss under two penalties, every penalty under the squared loss
PAIRS = [("squared", penalty) for penalty in PENALTIES]
PAIRS += [(spec, PENALTIES[(k + s) % 5]) for k, spec in enumerate([*SPECS[1:], MIXED]) for s in (0, 3)]


def problem_of(data):
    return kw.Problem(data.X, data.Y, data.lam, loss_of(data.spec), kw.Penalty(*data.penalty), data.weight)


@cache
def solved(k):
    """Data with gaps and weights in turn, their solution, and the objective of that network."""
    spec, penalty = PAIRS[k]
    gaps, weights = FORMS[k % len(FORMS)]
    data = random_data(k, spec, penalty, 9, 2, 2, [0.03, 0.1, 0.3][k % 3], gaps, weights)
    solution = kw.solve(problem_of(data))
    return data, solution, objective(data, solution.network)


cases = pytest.mark.parametrize("k", range(len(PAIRS)), ids=lambda k: f"{name_of(PAIRS[k][0])}-{PAIRS[k][1]}")


def random_network(rng, data, n_neurons=3, size=1.0):
    T, d = data.Y.shape[1], data.X.shape[1]
    linear = data.penalty[1] != "none"
    return kw.ReLUNetwork(
        rng.standard_normal((n_neurons, d)),
        rng.standard_normal(n_neurons),
        size * rng.standard_normal((n_neurons, T)),
        size * rng.standard_normal((d, T)) * linear,
        size * rng.standard_normal(T),
    )


def near(rng, network, size):
    """The network, every parameter moved by about `size` of itself."""
    W, b, V, c = (
        part + size * rng.standard_normal(part.shape) * (np.abs(part) + 0.01)
        for part in (network.W, network.b, network.V, network.c)
    )
    A = network.A * (1.0 + size * rng.standard_normal(network.A.shape))
    return kw.ReLUNetwork(W, b, V, A, c)


def judged(data, network, max_cells):
    """The certificate where that many cells may be looked at."""
    problem = problem_of(data)
    labels = Labels.of(problem, UnitNeurons(problem.X, problem.penalty, max_cells))
    f = network.predict(labels.X)
    return judge(labels, network, f, labels.gradient_point(f)).certificate


def spectral_bound(data, alpha):
    """What no neuron, and no direction of a nuclear skip connection, can respond more than."""
    (biases, skip), X = data.penalty, data.X
    Z = np.column_stack([X, np.ones(len(X))]) if biases else X - X.mean(axis=0)
    bound = np.linalg.norm(Z, 2) * np.linalg.norm(alpha, 2) * (0.5 if skip == "free" else 1.0)
    return max(bound, np.linalg.norm(X.T @ alpha, 2)) if skip == "nuclear" else bound


@cases
def test_the_solution_is_certified_by_exhaustion(k):
    data, solution, best = solved(k)
    certificate = solution.certificate
    assert solution.status is kw.Status.OPTIMAL
    assert certificate.rigour is kw.Rigour.EXACT
    assert certificate.primal == pytest.approx(best, rel=1e-11)
    assert certificate.relative_gap <= 1e-8
    assert certificate.bound == certificate.dual
    assert certificate.gap == pytest.approx(certificate.primal - certificate.dual, abs=1e-13 * best)
    assert_sound(certificate, data, best)


@cases
def test_any_network_bounds_the_optimum_from_below(k):
    data, solution, best = solved(k)
    rng = np.random.default_rng(100 + k)
    for size in (0.1, 1.0, 3.0):
        network = random_network(rng, data, int(rng.integers(0, 5)), size)
        certificate = kw.certify(problem_of(data), network)
        assert certificate.primal == pytest.approx(objective(data, network), rel=1e-10)
        assert certificate.primal >= best * (1.0 - 1e-9)
        assert_sound(certificate, data, best)
    for size in (1e-2, 1e-5):
        network = near(rng, solution.network, size)
        certificate = kw.certify(problem_of(data), network)
        assert certificate.gap >= objective(data, network) - best - 1e-9 * best
        assert_sound(certificate, data, best)


@cases
def test_given_dual_points_are_made_feasible(k):
    data, solution, best = solved(k)
    rng = np.random.default_rng(200 + k)
    own = solution.certificate.dual_point
    network = random_network(rng, data, 2)
    points = [
        own + 1e-3 * rng.standard_normal(own.shape),
        1e3 * rng.standard_normal(own.shape),
        np.full(own.shape, -5.0),
        np.zeros(own.shape),
    ]
    for point in points:
        assert_sound(kw.certify(problem_of(data), network, dual_point=point), data, best)
    # the optimal one proves the optimum beside any network, its length being searched to 1e-3
    assert kw.certify(problem_of(data), solution.network, dual_point=own).dual >= best * (1.0 - 1e-7)
    assert kw.certify(problem_of(data), network, dual_point=own).dual >= best * (1.0 - 1e-3)


@cases
def test_a_search_proves_less_than_it_says(k):
    data, solution, best = solved(k)
    for network in (solution.network, near(np.random.default_rng(k), solution.network, 1e-3)):
        certificate = judged(data, network, max_cells=1)
        assert certificate.rigour is kw.Rigour.HEURISTIC
        assert_sound(certificate, data, best, feasible=False)
        assert certificate.primal == pytest.approx(objective(data, network), rel=1e-10)
        assert certificate.bound <= certificate.dual + 1e-12 * best
        alpha = certificate.dual_point
        share = min(1.0, data.lam / spectral_bound(data, alpha)) if alpha.any() else 0.0
        assert certificate.bound == pytest.approx(max(dual_value(data, share * alpha), 0.0), abs=1e-9 * best)
    # at the optimum the search finds what there is, and says so
    if problem_of(data).loss_function.smooth:
        certificate = judged(data, solution.network, max_cells=1)
        assert certificate.dual == pytest.approx(best, rel=1e-2)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_spectral_bound_proves_something(penalty):
    data = random_data(0, "squared", penalty, 12, 3, 2, lam=1.0)
    problem = problem_of(data)
    solution = kw.solve(problem, max_cells=1)
    assert solution.certificate.rigour is kw.Rigour.HEURISTIC
    assert 0.0 < solution.certificate.bound < solution.certificate.primal


@cases
def test_the_worst_neuron_responds_most(k):
    data, solution, _ = solved(k)
    certificate = solution.certificate
    if certificate.worst_neuron is None:
        assert not certificate.dual_point.any()
        return
    w, b = certificate.worst_neuron[:-1], certificate.worst_neuron[-1]
    unit = certificate.worst_neuron if data.penalty[0] else w
    assert np.linalg.norm(unit) == pytest.approx(1.0, rel=1e-9)
    answer = np.linalg.norm(np.maximum(data.X @ w + b, 0.0) @ certificate.dual_point)
    assert answer <= data.lam * (1.0 + 1e-8)
    if solution.network.n_neurons:
        assert answer == pytest.approx(data.lam, rel=1e-6)


BAD = {
    "nothing": ([], [], [], 0.0),
    "huge constant": ([], [], [], -1e9),
    "huge output": ([[1.0, -0.5]], [0.3], [1e6], 0.0),
    "cancelling": ([[1.0, 0.5], [1.0, 0.5]], [0.3, 0.3 + 1e-9], [1e6, -1e6], 0.0),
    "far kink": ([[1.0, 1.0]], [1e8], [1e-3], 0.0),
    "constant neuron": ([[0.0, 0.0]], [1e3], [1.0], 0.0),
    "tiny": ([[1e-300, 0.0]], [1.0], [1e-200], 0.0),
}


@pytest.mark.parametrize("bad", list(BAD))
@pytest.mark.parametrize("k", range(5))
def test_bad_networks_prove_no_more_than_the_optimum(k, bad):
    data, solution, best = solved(k)
    W, b, V, c = BAD[bad]
    T = data.Y.shape[1]
    V = np.outer(V, np.linspace(1.0, 0.5, T)) if V else np.zeros((0, T))
    network = kw.ReLUNetwork(np.reshape(W, (len(b), 2)), b, V, None, np.full(T, c))
    for point in (None, solution.certificate.dual_point):
        certificate = kw.certify(problem_of(data), network, dual_point=point)
        assert certificate.primal == pytest.approx(objective(data, network), rel=1e-9)
        assert_sound(certificate, data, best)


def check_weak_duality(seed, n_random, n_near):
    rng = np.random.default_rng(seed)
    data, solution, best = solved(seed % len(PAIRS))
    upper = best
    networks = [
        random_network(rng, data, int(rng.integers(0, 6)), 10.0 ** rng.uniform(-2, 1))
        for _ in range(n_random)
    ]
    networks += [near(rng, solution.network, 10.0 ** rng.uniform(-8, -1)) for _ in range(n_near)]
    for network in networks:
        if "poisson" in data.spec and np.abs(network.predict(data.X)).max() > 300.0:
            # e^f leaves float64
            continue
        certificate = kw.certify(problem_of(data), network)
        upper = min(upper, objective(data, network))
        assert 0.0 <= certificate.dual <= upper * (1.0 + 1e-9)
        assert certificate.primal >= certificate.dual


@pytest.mark.parametrize("seed", range(20))
def test_weak_duality_on_random_and_near_optimal_networks(seed):
    check_weak_duality(seed, 2, 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(PAIRS)))
def test_weak_duality_on_five_hundred_networks_each(seed):
    n = -(-500 // len(PAIRS))
    check_weak_duality(seed, n, n)


@pytest.mark.slow
@cases
def test_column_generation_lies_above(k):
    data, solution, best = solved(k)
    upper = column_generation(data)
    assert solution.certificate.dual <= upper.primal * (1.0 + 1e-8)
    assert best <= upper.primal * (1.0 + 1e-7)
    assert best >= upper.primal * (1.0 - 1e-3)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(2, 4), st.integers(0, 4))
def test_weak_duality_on_random_problems(seed, n, d, which):
    """Two networks of one problem: no bound from either is above the other's objective."""
    n = min(n, 7) if d > 2 else n
    data = random_data(seed, "squared", PENALTIES[which], n, d, 1 + seed % 3, 10.0 ** (seed % 4 - 2))
    rng = np.random.default_rng(seed)
    one, other = (random_network(rng, data, 2, size) for size in (0.3, 1.0))
    problem = problem_of(data)
    least = min(objective(data, one), objective(data, other), problem.objective(one))
    for network in (one, other):
        certificate = kw.certify(problem, network)
        assert certificate.rigour is kw.Rigour.EXACT
        assert 0.0 <= certificate.bound <= least * (1.0 + 1e-9)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_at_lam_zero_a_dual_point_bounds_the_cost(penalty):
    data = random_data(5, "squared", penalty, 7, 2, 2, 0.0)
    data.Y[0, 1] = np.nan
    problem = problem_of(data)
    solution = kw.solve(problem)
    best = solution.network.cost(problem.penalty)
    assert solution.certificate.primal == best
    network = random_network(np.random.default_rng(0), data, 3)
    none = kw.certify(problem, network)
    assert (none.primal, none.dual, none.gap) == (np.inf, 0.0, np.inf)
    for point in (solution.certificate.dual_point, np.random.default_rng(1).standard_normal(data.Y.shape)):
        assert_sound(kw.certify(problem, network, dual_point=point), data, best)
    again = kw.certify(problem, solution.network, dual_point=solution.certificate.dual_point)
    assert again.dual >= best * (1.0 - 1e-7)


def test_bad_arguments_are_named():
    data, solution, _ = solved(0)
    problem = problem_of(data)
    with pytest.raises(TypeError, match=r"network: must be a knotwork\.ReLUNetwork"):
        kw.certify(problem, "network")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="network: maps 3 inputs"):
        kw.certify(problem, kw.ReLUNetwork(np.zeros((0, 3)), [], np.zeros((0, 2))))
    with pytest.raises(ValueError, match="network: maps 2 inputs to 1 tasks"):
        kw.certify(problem, kw.ReLUNetwork(np.zeros((0, 2)), [], np.zeros((0, 1))))
    with pytest.raises(ValueError, match=r"dual_point: must have shape \(9, 2\)"):
        kw.certify(problem, solution.network, dual_point=np.zeros((8, 2)))
    with pytest.raises(ValueError, match="dual_point: NaN"):
        kw.certify(problem, solution.network, dual_point=np.full((9, 2), np.nan))


def test_a_problem_of_one_point_is_certified():
    for penalty in PENALTIES:
        data = Data("squared", penalty, np.array([[0.4, 1.0]]), np.array([[2.0, -1.0]]), 0.1)
        solution = kw.solve(problem_of(data))
        assert solution.status is kw.Status.OPTIMAL
        assert_sound(solution.certificate, data, objective(data, solution.network) + 1e-12)
