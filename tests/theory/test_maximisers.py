from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import knotwork as kw

SQUARE = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
X = np.vstack([SQUARE, 0.5 * SQUARE])
FIRST = np.r_[np.zeros(4), np.ones(4)][:, None]
NO_SKIP = kw.Penalty(skip="none")


def two_squares(n_tasks, lam):
    """A, Figure 5: the inner square is 1, the outer 0; the other tasks' labels are random."""
    Y = np.hstack([FIRST, np.random.default_rng(0).normal(size=(8, n_tasks - 1))])
    return kw.solve(kw.Problem(X, Y, lam, penalty=NO_SKIP), tol=1e-11)


def test_one_task_on_the_two_squares_has_eight_neurons_of_rank_five():
    lam = 1e-3
    solution = two_squares(1, lam)
    assert solution.certificate.rigour is kw.Rigour.EXACT
    assert solution.certificate.primal == pytest.approx(4 * lam - 4 * lam**2, rel=1e-10)
    verdict = kw.uniqueness(solution)
    assert verdict.unique is None
    assert "8 neurons" in verdict.reason
    assert "rank 5" in verdict.reason


def test_a_quarter_turn_gives_another_optimal_network_for_one_task():
    solution = two_squares(1, 1e-3)
    network = solution.network
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    turned = kw.ReLUNetwork(network.W @ turn.T, network.b, network.V, network.A, network.c)
    # the data and labels are symmetric, so the turned network is optimal too
    assert kw.certify(solution.problem, turned, solution.certificate.dual_point).relative_gap < 1e-9


def test_many_tasks_make_the_network_unique():
    verdict = kw.uniqueness(two_squares(101, 0.404))
    assert verdict.unique is True
    assert verdict.solution_set is None


def test_a_fit_without_neurons_is_unique():
    problem = kw.Problem(X, FIRST, 10.0)
    solution = kw.solve(problem)
    assert solution.network.n_neurons == 0
    assert kw.uniqueness(solution).unique is True


def test_a_search_leaves_the_question_open():
    solution = two_squares(3, 0.1)
    searched = kw.solve(solution.problem, max_cells=1)
    if searched.certificate.rigour is kw.Rigour.EXACT:
        certificate = dataclasses.replace(searched.certificate, rigour=kw.Rigour.HEURISTIC)
        searched = dataclasses.replace(searched, certificate=certificate)
    assert kw.uniqueness(searched).unique is None


def test_interpolation_of_several_inputs_is_not_taken_yet():
    with pytest.raises(NotImplementedError, match=r"^X: 2 inputs"):
        kw.uniqueness(X, FIRST)
