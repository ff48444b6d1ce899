from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 1, 400))
    return kw.Problem(x, np.sin(9 * x)[:, None] + 0.1 * rng.standard_normal((400, 2)), 0.02)


def test_max_rounds_returns_the_best_so_far_with_an_honest_certificate(problem):
    best = kw.solve(problem).certificate.primal
    gaps = []
    for rounds in (1, 2, 4):
        solution = kw.solve(problem, max_rounds=rounds)
        assert solution.status is kw.Status.MAX_ROUNDS
        assert len(solution.trace) == rounds
        assert solution.certificate.dual <= best <= solution.certificate.primal
        gaps.append(solution.certificate.gap)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 1e-3 * best


def test_max_seconds_stops_with_its_own_status(problem):
    solution = kw.solve(problem, max_seconds=1e-9)
    assert solution.status is kw.Status.MAX_SECONDS
    assert solution.certificate.dual <= solution.certificate.primal


def test_progress_sees_every_round_and_can_stop(problem):
    seen = []
    solution = kw.solve(problem, progress=seen.append)
    assert tuple(seen) == solution.trace
    assert [entry.round for entry in seen] == list(range(len(seen)))
    stopped = kw.solve(problem, progress=lambda entry: entry.round == 1)
    assert stopped.status is kw.Status.STOPPED
    assert len(stopped.trace) == 2


def test_a_limit_that_is_reached_with_the_optimum_is_no_failure(problem):
    rounds = len(kw.solve(problem).trace)
    assert kw.solve(problem, max_rounds=rounds).status is kw.Status.OPTIMAL


def test_status_messages_hold_the_remedy():
    for status, word in (
        (kw.Status.MAX_ROUNDS, "max_rounds"),
        (kw.Status.MAX_SECONDS, "max_seconds"),
        (kw.Status.STALLED, "tol"),
        (kw.Status.STOPPED, "start="),
    ):
        assert word in status.value


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("tol", 0.0, ValueError),
        ("tol", -1e-8, ValueError),
        ("tol", float("nan"), ValueError),
        ("tol", float("inf"), ValueError),
        ("tol", "small", TypeError),
        ("tol", True, TypeError),
        ("max_rounds", 0, ValueError),
        ("max_rounds", 2.5, ValueError),
        ("max_seconds", 0.0, ValueError),
        ("max_seconds", -1.0, ValueError),
        ("progress", 3, TypeError),
    ],
)
def test_limits_that_make_no_sense_are_named(problem, argument, value, error):
    with pytest.raises(error, match=argument):
        kw.solve(problem, **{argument: value})
