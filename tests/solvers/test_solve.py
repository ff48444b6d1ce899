from __future__ import annotations

import numpy as np
import pytest
from problems import CATALOGUE
from references import conic_optimum, dense_loss, dense_predict, random_data

import knotwork as kw


def problem_of(data, lam):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


@pytest.mark.parametrize(
    "known", [known for known in CATALOGUE if known.lam > 0], ids=lambda known: known.name
)
def test_hand_solved_lam_max(known):
    problem = kw.Problem(known.X, known.Y, known.lam, sample_weight=known.weight)
    assert kw.lam_max(problem) == pytest.approx(known.lam_max, rel=1e-13, abs=0)


# ------------------------------------------------------------------------------- how a solve ends


def test_trace_and_progress_tell_the_same_story():
    data, seen = random_data(np.random.default_rng(20), 200, 2), []
    solution = kw.solve(problem_of(data, 0.1), progress=seen.append)
    assert solution.trace == tuple(seen)
    assert [entry.round for entry in seen] == list(range(len(seen)))
    assert np.all(np.diff([entry.seconds for entry in seen]) >= 0)
    assert all(entry.gap >= 0 for entry in seen)
    best = conic_optimum(data.X, data.Y, 0.1)
    assert all(entry.objective >= best.dual * (1 - 1e-9) for entry in seen)
    assert seen[-1].objective == pytest.approx(solution.certificate.primal, rel=1e-9)


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"max_rounds": 1}, "MAX_ROUNDS"),
        ({"max_seconds": 1e-9}, "MAX_SECONDS"),
        ({"progress": lambda entry: True}, "STOPPED"),
    ],
)
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_stopped_early_the_certificate_is_honest(limits, status, gaps):
    data = random_data(np.random.default_rng(21), 300, 2, gaps=gaps)
    solution = kw.solve(problem_of(data, 0.01), tol=1e-13, **limits)
    assert solution.status.name == status
    best = conic_optimum(data.X, data.Y, 0.01)
    assert solution.certificate.relative_gap > 1e-13
    assert solution.certificate.dual <= best.primal * (1 + 1e-9)
    assert solution.certificate.primal >= best.dual * (1 - 1e-9)


def test_a_tolerance_float64_cannot_reach_is_said_so():
    data = random_data(np.random.default_rng(22), 100, 2)
    solution = kw.solve(problem_of(data, 0.01), tol=1e-17)
    assert solution.status is kw.Status.STALLED or solution.certificate.relative_gap == 0.0
    assert solution.certificate.relative_gap <= 1e-11


def test_the_same_call_gives_the_same_answer():
    data = random_data(np.random.default_rng(23), 200, 3, gaps=0.1)
    one, other = kw.solve(problem_of(data, 0.1)), kw.solve(problem_of(data, 0.1))
    for name in "WbVAc":
        assert np.array_equal(getattr(one.network, name), getattr(other.network, name))


def test_solve_leaves_the_problem_as_it_was():
    data = random_data(np.random.default_rng(24), 50, 2, gaps=0.2)
    problem = problem_of(data, 0.1)
    solution = kw.solve(problem)
    assert solution.problem is problem
    assert np.array_equal(problem.Y, data.Y, equal_nan=True)
    expected = dense_loss(data.Y, dense_predict(solution.network, data.X)) + 0.1 * solution.network.cost()
    assert solution.certificate.primal == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("n_knots", [0, 1, 3, 10])
def test_solve_n_knots_has_at_least_that_many(n_knots):
    data = random_data(np.random.default_rng(25), 100, 2)
    solution = kw.solve_n_knots(problem_of(data, 1.0), n_knots)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.network.n_neurons >= n_knots
    fewer = kw.solve(problem_of(data, 1.05 * solution.problem.lam))
    assert fewer.network.n_neurons <= max(n_knots - 1, solution.network.n_neurons)


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tol": 0.0}, ValueError, r"^tol: "),
        ({"tol": -1.0}, ValueError, r"^tol: "),
        ({"tol": np.nan}, ValueError, r"^tol: "),
        ({"tol": "small"}, TypeError, r"^tol: "),
        ({"max_rounds": 0}, ValueError, r"^max_rounds: "),
        ({"max_rounds": 2.5}, (TypeError, ValueError), r"^max_rounds: "),
        ({"max_seconds": -1.0}, ValueError, r"^max_seconds: "),
        ({"max_seconds": np.nan}, ValueError, r"^max_seconds: "),
        ({"start": "warm"}, TypeError, r"^network|^start: "),
        ({"start": kw.ReLUNetwork([[1.0]], [0.0], [[1.0]])}, ValueError, r"^network|^start: "),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        kw.solve(kw.Problem(np.arange(4.0), np.ones((4, 2)), 0.1), **options)
