"""Many data in several inputs: the same optimum as by the methods for few, and no contradiction."""

from __future__ import annotations

import numpy as np
import pytest
from references_losses import PENALTIES
from references_several import assert_sound, objective, random_data, sampled_dual_norm

import knotwork as kw
from knotwork.dual_norm import several
from knotwork.dual_norm.search import climb
from knotwork.solvers import several_inputs
from knotwork.solvers.dense import Atoms, Dense, Squares
from knotwork.solvers.descent import Weights

penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p[0]}-{p[1]}")
SEARCHED, OPTIMAL = kw.Status.SEARCHED, kw.Status.OPTIMAL


def problem_of(data):
    return kw.Problem(data.X, data.Y, data.lam, penalty=kw.Penalty(*data.penalty), sample_weight=data.weight)


def few(monkeypatch):
    for module in (several, several_inputs):
        monkeypatch.setattr(module, "MANY", 10**9)


@penalties
def test_both_ways_end_at_the_certified_optimum(penalty, monkeypatch):
    n = 60 if penalty[0] else 220
    for module in (several, several_inputs):
        monkeypatch.setattr(module, "MANY", 50)
    data = random_data(0, "squared", penalty, n, 2, 2, 0.5, gaps=0.1, weights="rows")
    many = kw.solve(problem_of(data), tol=1e-7)
    few(monkeypatch)
    other = kw.solve(problem_of(data), tol=1e-7)
    assert many.status is other.status is OPTIMAL
    assert many.certificate.primal == pytest.approx(other.certificate.primal, rel=2e-7)
    assert objective(data, many.network) == pytest.approx(many.certificate.primal, rel=1e-9)


@penalties
def test_independent_searches_do_not_contradict(penalty):
    data = random_data(1, "squared", penalty, 250, 5, 3, 3.0)
    problem = problem_of(data)
    solution = kw.solve(problem, tol=1e-4)
    assert solution.status is SEARCHED
    assert solution.certificate.rigour is kw.Rigour.HEURISTIC
    alpha = solution.certificate.dual_point
    rng = np.random.default_rng(7)
    w = rng.standard_normal((60, 5))
    w /= np.linalg.norm(w, axis=1)[:, None]
    rows = np.column_stack([w, -np.einsum("kd,kd->k", w, data.X[rng.integers(250, size=60)])])
    found = climb(data.X, alpha, rows, penalty[0]).values.max()
    assert 0.5 * data.lam < found <= data.lam * (1.0 + 1e-3)
    best = objective(data, solution.network)
    assert_sound(solution.certificate, data, best, dual_norm=sampled_dual_norm, feasible=False)
    assert best <= problem.objective(problem.free_fit())


def test_descents_end_below_conditional_gradient_alone(monkeypatch):
    data = random_data(2, "squared", (False, "none"), 220, 5, 2, 3.0)
    many = kw.solve(problem_of(data), tol=1e-5, max_rounds=8).certificate.primal
    few(monkeypatch)
    alone = kw.solve(problem_of(data), tol=1e-5, max_rounds=8).certificate.primal
    assert many <= alone * (1.0 + 1e-5)


@pytest.mark.parametrize("spec", ["logistic", ("huber", 0.4)])
def test_other_losses_take_the_same_way(spec):
    data = random_data(3, spec, (False, "none"), 250, 3, 2, 4.0)
    name = kw.Huber(0.4) if spec != "logistic" else spec
    problem = kw.Problem(data.X, data.Y, data.lam, loss=name, penalty=kw.Penalty(False, "none"))
    solution = kw.solve(problem, tol=1e-3, max_cells=1)
    assert solution.status is SEARCHED
    best = objective(data, solution.network)
    assert_sound(solution.certificate, data, best, dual_norm=sampled_dual_norm, feasible=False)


@penalties
def test_a_round_of_descents_gains_and_never_loses(penalty, monkeypatch):
    data = random_data(8, "squared", penalty, 100, 3, 2, 0.5)
    squares = Squares(data.X, data.Y, None)
    dense = Dense(squares, data.lam, kw.Penalty(*penalty))
    rng = np.random.default_rng(0)
    w = rng.standard_normal((10, 3))
    rows = np.column_stack([w, -np.einsum("kd,kd->k", w, data.X[:10])])
    rows /= np.linalg.norm(rows if penalty[0] else w, axis=1)[:, None]
    state = dense.corrected(Atoms.of(rows), 1e-9)
    value = dense.objective(state)
    assert dense.objective(several_inputs._descended(dense, state, 0.0)) < 0.98 * value
    # a step for the worse is not taken
    monkeypatch.setattr(several_inputs, "descended", lambda problem, atoms, *rest: atoms.take(atoms.mass < 0))
    assert several_inputs._descended(dense, state, 0.0) is state


def test_a_seed_makes_it_repeatable():
    problem = problem_of(random_data(4, "squared", (False, "none"), 250, 4, 2, 3.0))
    one, same, other = (kw.solve(problem, random_state=seed, max_rounds=2) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.network.W, same.network.W)
    assert one.network.W.shape != other.network.W.shape or not np.array_equal(one.network.W, other.network.W)


def test_no_descent_begins_when_time_is_up(monkeypatch):
    calls = []
    own = Weights.__call__

    def counted(self, theta):
        calls.append(1)
        return own(self, theta)

    monkeypatch.setattr(Weights, "__call__", counted)
    problem = problem_of(random_data(5, "squared", (False, "none"), 250, 4, 2, 3.0))
    solution = kw.solve(problem, max_seconds=1e-6)
    assert solution.status is kw.Status.MAX_SECONDS
    assert solution.certificate.rigour is kw.Rigour.HEURISTIC
    assert len(solution.trace) == 1
    assert calls == []
    assert solution.certificate.primal <= problem.objective(problem.free_fit()) * (1.0 + 1e-9)
    kw.solve(problem, max_rounds=1)
    assert len(calls) > 50


def test_time_that_runs_out_in_an_exact_pass_leaves_a_search():
    problem = problem_of(random_data(6, "squared", (False, "none"), 25, 3, 2, 0.3))
    exact = kw.solve(problem, tol=1e-6)
    assert exact.certificate.rigour is kw.Rigour.EXACT
    cut = kw.solve(problem, tol=1e-6, max_seconds=1e-6)
    assert cut.certificate.rigour is kw.Rigour.HEURISTIC
    assert cut.status is kw.Status.MAX_SECONDS
    assert len(cut.trace) == 1
    assert cut.certificate.bound <= exact.certificate.primal
