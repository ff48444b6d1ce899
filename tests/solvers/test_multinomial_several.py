"""Classes in several inputs under every penalty: solved to the gap, and no worse than columns generated."""

from __future__ import annotations

import numpy as np
import pytest
from references_losses import PENALTIES
from references_several import Data, assert_sound, column_generation, objective, random_data

import knotwork as kw
from knotwork.network import ReLUNetwork
from knotwork.solvers.polish import polish
from knotwork.solvers.proximal_newton import Smooth

NUCLEAR = (True, "nuclear")


def drawn(seed, penalty=NUCLEAR):
    """Inputs, gaps, weights and lam of several sizes."""
    rng = np.random.default_rng(seed)
    n, lam = int(rng.integers(6, 13)), 10.0 ** rng.uniform(-2.5, 0.0)
    return random_data(
        seed, "multinomial", penalty, n, 2 + seed % 2, 3, lam, 0.2 * (seed % 2), [None, "rows"][seed % 4 // 2]
    )


def problem_of(data):
    return kw.Problem(data.X, data.Y, data.lam, "multinomial", kw.Penalty(*data.penalty), data.weight)


@pytest.mark.parametrize("seed", range(20))
def test_twenty_draws_under_a_nuclear_norm(seed):
    data = drawn(seed)
    solution = kw.solve(problem_of(data))
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.relative_gap <= 1e-8
    assert solution.certificate.primal == pytest.approx(objective(data, solution.network), rel=1e-12)
    if len(data.X) <= 9 and data.X.shape[1] == 2:
        assert_sound(solution.certificate, data, objective(data, solution.network))


@pytest.mark.parametrize("penalty", [p for p in PENALTIES if p != NUCLEAR], ids=lambda p: f"{p[0]}-{p[1]}")
def test_the_other_penalties(penalty):
    for seed in (30, 31, 32):
        solution = kw.solve(problem_of(drawn(seed, penalty)))
        assert solution.status is kw.Status.OPTIMAL


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_worse_than_columns_generated(seed):
    data = random_data(seed, "multinomial", NUCLEAR, 8, 2, 3, 0.1)
    solution = kw.solve(problem_of(data))
    upper = column_generation(data)
    assert solution.certificate.primal <= upper.primal * (1.0 + 1e-8)
    assert solution.certificate.primal >= upper.primal * (1.0 - 1e-3)


def test_two_separable_classes_of_two_inputs():
    X = np.random.default_rng(0).standard_normal((9, 2))
    up = (X[:, 0] > 0).astype(float)
    data = Data("multinomial", NUCLEAR, X, np.column_stack([up, 1.0 - up]), 0.1)
    solution = kw.solve(problem_of(data))
    assert solution.status is kw.Status.OPTIMAL
    assert_sound(solution.certificate, data, objective(data, solution.network))
    # what all classes share costs and tells nothing
    np.testing.assert_allclose(solution.network.predict(X).sum(axis=1), 0.0, atol=1e-6)


# -------------------------------------------------------------------------------------------- polish


def network_near(data, seed, n_neurons=3):
    rng = np.random.default_rng(seed)
    d, n_tasks = data.X.shape[1], data.Y.shape[1]
    return ReLUNetwork(
        rng.standard_normal((n_neurons, d)),
        rng.standard_normal(n_neurons),
        rng.standard_normal((n_neurons, n_tasks)),
        rng.standard_normal((d, n_tasks)) * (data.penalty[1] != "none"),
        rng.standard_normal(n_tasks),
    )


def smooth_problem(data):
    problem = problem_of(data)
    w = problem.label_weight()
    y = np.where(w > 0, problem.Y, 1.0 / problem.n_tasks)
    return Smooth(problem.X, y, w, problem.loss_function, problem.lam, problem.penalty)


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p[0]}-{p[1]}")
@pytest.mark.parametrize("seed", range(4))
def test_polishing_never_raises_the_objective(penalty, seed):
    data = drawn(seed, penalty)
    for network in (network_near(data, seed), kw.solve(problem_of(data), tol=1e-4).network):
        better = polish(smooth_problem(data), network)
        assert objective(data, better) <= objective(data, network) * (1.0 + 1e-12)


def test_a_linear_part_of_nothing_but_rounding_is_dropped():
    data = drawn(0)
    network = network_near(data, 0)
    n_tasks = data.Y.shape[1]
    faint = ReLUNetwork(
        np.vstack([network.W, [[1.0] * data.X.shape[1]]]),
        np.append(network.b, 0.2),
        np.vstack([network.V, np.full((1, n_tasks), 1e-60)]),
        np.full(network.A.shape, 1e-50),
        network.c,
    )
    better = polish(smooth_problem(data), faint)
    assert objective(data, better) < objective(data, faint)
    assert not better.A.any()
