from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.solvers.solve import solve_n_knots

FREE, ALL_SKIP = kw.Penalty(), kw.Penalty(True, "frobenius")


def bent(d, n=24, n_tasks=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Y = np.maximum(X @ rng.standard_normal((d, n_tasks)), 0.0) + 0.1 * rng.standard_normal((n, n_tasks))
    return X, Y


def largest_of_many(problem, n=4000):
    """The largest response of random unit neurons with a knot plane through a data point."""
    rng = np.random.default_rng(1)
    w = rng.standard_normal((n, problem.n_inputs))
    w /= np.linalg.norm(w, axis=1)[:, None]
    b = -np.einsum("kd,kd->k", w, problem.X[rng.integers(problem.n_rows, size=n)])
    alpha = problem.Y - problem.free_fit().predict(problem.X)
    return np.linalg.norm(np.maximum(problem.X @ w.T + b, 0.0).T @ alpha, axis=1).max()


@pytest.mark.parametrize("limits", [{"max_cells": 1}, {"max_seconds": 1e-9}], ids=["cells", "seconds"])
def test_a_search_takes_over_where_nothing_may_be_enumerated(limits):
    X, Y = bent(4)
    problem = kw.Problem(X, Y, 1.0)
    exact = kw.lam_max(problem)
    found = kw.lam_max(problem, **limits)
    assert found <= exact * (1.0 + 1e-9)
    assert found >= 0.9 * largest_of_many(problem)


def test_a_search_that_has_time_finds_the_exact_value():
    X, Y = bent(3)
    problem = kw.Problem(X, Y, 1.0)
    assert kw.lam_max(problem, max_cells=1) == pytest.approx(kw.lam_max(problem), rel=1e-6)


def test_with_penalised_biases_time_cuts_the_descent_short_from_above():
    X, Y = bent(2)
    problem = kw.Problem(X, Y, 1.0, penalty=ALL_SKIP)
    exact = kw.lam_max(problem)
    early = kw.lam_max(problem, max_seconds=1e-9)
    assert early >= 0.99 * exact
    assert kw.solve(problem.with_lam(1.01 * exact), tol=1e-6).network.n_neurons == 0
    assert kw.solve(problem.with_lam(0.9 * exact), tol=1e-6).network.n_neurons > 0


def test_where_the_loss_is_not_smooth_time_leaves_a_lam_without_neurons():
    X, Y = bent(2, n=12, n_tasks=1)
    problem = kw.Problem(X, Y, 1.0, "quantile")
    early = kw.lam_max(problem, max_seconds=1e-9)
    assert early >= kw.lam_max(problem)


def test_all_ways_agree_with_one_another_over_the_seeds():
    X, Y = bent(3)
    problem = kw.Problem(X, Y, 1.0)
    values = [kw.lam_max(problem, max_cells=1, random_state=seed) for seed in (0, 1)]
    assert values == pytest.approx([kw.lam_max(problem)] * 2, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_cells": -1}, ValueError, "max_cells: must be"),
        ({"max_cells": 2.5}, (TypeError, ValueError), "max_cells: must be"),
        ({"max_seconds": 0.0}, ValueError, "max_seconds: must be"),
        ({"random_state": "a"}, TypeError, "random_state: must be"),
    ],
)
def test_limits_that_make_no_sense_are_named(options, error, message):
    X, Y = bent(2)
    with pytest.raises(error, match=message):
        kw.lam_max(kw.Problem(X, Y, 1.0), **options)


def test_n_knots_in_several_inputs_takes_the_same_limits():
    X, Y = bent(3)
    problem = kw.Problem(X, Y, 1.0)
    found = solve_n_knots(problem, 1, tol=1e-5, max_cells=1)
    assert found.network.n_neurons >= 1
    assert found.certificate.rigour is kw.Rigour.HEURISTIC
    # no lam much larger has a neuron
    assert found.problem.lam == pytest.approx(kw.lam_max(problem), rel=0.03)


def test_a_stall_is_told_as_it_is_in_one_input_and_in_several():
    message = kw.Status.STALLED.value
    for word in ("float64", "one input", "several inputs", "search", "tol", "max_cells"):
        assert word in message
