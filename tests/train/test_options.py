"""Bad input is named before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import knotwork as kw


@pytest.fixture
def problem():
    return kw.Problem([0.0, 1.0, 2.0], [0.0, 3.0, 0.0], 0.4)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"width": 0}, ValueError, "width"),
        ({"width": 2.0}, TypeError, "width"),
        ({"steps": 0}, ValueError, "steps"),
        ({"seeds": 0}, ValueError, "seeds"),
        ({"seeds": [1, 1]}, ValueError, "stand twice"),
        ({"seeds": [-1]}, ValueError, "seeds"),
        ({"seeds": [2**31]}, ValueError, "below 2"),
        ({"seeds": "three"}, TypeError, "seeds"),
        ({"seeds": True}, TypeError, "seeds"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate"),
        ({"schedule": "step"}, ValueError, "schedule"),
        ({"schedule": 3}, TypeError, "schedule"),
        ({"initialisation": "zeros"}, ValueError, "initialisation"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"check_every": 0}, ValueError, "check_every"),
        ({"rebalance_every": -5}, ValueError, "rebalance_every"),
        ({"check_every": 50, "rebalance_every": 20}, ValueError, "check_every"),
        ({"tol": 0.0}, ValueError, "tol"),
        ({"tol": "small"}, TypeError, "tol"),
        ({"lower_bound": float("nan")}, ValueError, "lower_bound"),
        ({"lower_bound": "none"}, TypeError, "lower_bound"),
        ({"polish": -1}, ValueError, "polish"),
        ({"prune": -1.0}, ValueError, "prune"),
        ({"prune": float("nan")}, ValueError, "prune"),
        ({"batching": "pmap"}, ValueError, "batching"),
        ({"dtype": "float16"}, ValueError, "dtype"),
        ({"beta1": 1.0}, ValueError, "beta1"),
        ({"eps": 0.0}, ValueError, "eps"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every"),
        ({"progress": 3}, TypeError, "progress"),
    ],
)
def test_arguments_that_make_no_sense_are_named(problem, change, error, match):
    with pytest.raises(error, match=match):
        kw.train.adam(problem, **({"width": 4} | change))


def test_what_cannot_be_trained_is_named(problem):
    with pytest.raises(ValueError, match=r"lam = 0.*solve"):
        kw.train.adam(problem.with_lam(0.0), 4)
    with pytest.raises(TypeError, match="problem"):
        kw.train.adam(np.ones(3), 4)  # type: ignore[arg-type]


def test_the_solution_of_another_problem_bounds_nothing(problem):
    for other in (problem.with_lam(0.5), kw.Problem([0.0, 1.0, 2.0], [0.0, 3.0, 0.1], 0.4)):
        with pytest.raises(ValueError, match="another problem"):
            kw.train.adam(problem, 4, lower_bound=kw.solve(other))
    same = kw.solve(kw.Problem([0.0, 1.0, 2.0], [0.0, 3.0, 0.0], 0.4))
    training = kw.train.adam(problem, 4, seeds=1, steps=10, lower_bound=same)
    # F = 2 a lam - 3 lam^2 of tests/problems.py, a = 3
    assert training.lower_bound == pytest.approx(2.4 - 0.48, rel=1e-8)


def test_what_rests_on_a_search_is_no_proof(problem):
    solved = kw.solve(problem)
    searched = replace(solved, certificate=replace(solved.certificate, rigour=kw.Rigour.HEURISTIC))
    options = {"seeds": 1, "steps": 10, "initialisation": solved.network, "learning_rate": 1e-12, "tol": 1e-6}
    for bound, status in ((solved, kw.Status.OPTIMAL), (searched, kw.Status.SEARCHED)):
        assert kw.train.adam(problem, 4, lower_bound=bound, **options)[0].status is status


def test_a_training_is_a_sequence_of_solutions(problem):
    training = kw.train.adam(problem, 4, seeds=[5, 7], steps=10)
    assert training.seeds == (5, 7)
    assert len(training) == 2
    assert list(training) == [training[0], training[1]]
    assert training[0:2] == training.solutions
    assert training.best in training
    assert training.objectives.shape == training.relative_gaps.shape == (2,)
    assert training.success_rate(10.0) == 1.0
    with pytest.raises(ValueError, match="rel"):
        training.success_rate(0.0)


def test_without_a_certificate_the_bound_is_zero(problem):
    training = kw.train.adam(problem, 4, seeds=1, steps=10, certify=False)
    certificate = training[0].certificate
    assert certificate.dual == certificate.bound == training.lower_bound == 0.0
    assert certificate.gap == certificate.primal == training.objectives[0]
    assert not certificate.dual_point.any()


def test_a_schedule_of_ones_own(problem):
    options = {"seeds": 1, "steps": 30, "check_every": 10, "certify": False}
    linear = kw.train.adam(problem, 4, schedule="linear", **options)
    own = kw.train.adam(problem, 4, schedule=lambda i: 1.0 - i / 30.0, **options)
    np.testing.assert_allclose(own.objectives, linear.objectives, rtol=1e-12)
