"""Labels that free parts without bound fit perfectly: the infimum is certified, and attained nowhere."""

from __future__ import annotations

import numpy as np
import pytest
from loss_problems import Case, assert_sound
from references_losses import conic_loss_optimum

import knotwork as kw

FREE = [(False, "free"), (False, "none")]


def assert_unattained(case, infimum, abs_tol=1e-9):
    solution = kw.solve(case.problem)
    certificate = solution.certificate
    assert solution.status is kw.Status.UNATTAINED
    assert certificate.relative_gap <= 1e-8
    assert certificate.dual <= infimum * (1 + 1e-9) + 1e-12
    assert certificate.primal == pytest.approx(infimum, rel=1e-7, abs=abs_tol)
    assert np.all(np.isfinite(solution.network.predict(case.X)))
    assert_sound(certificate, case, case.objective(solution.network) + 1e-300)
    return solution


@pytest.mark.parametrize("lam", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("y", [[0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1] * 6, [0] * 6])
def test_a_threshold_or_one_label_alone(y, lam):
    case = Case("logistic", (False, "free"), np.arange(6.0), np.array([y], dtype=float).T, lam)
    solution = assert_unattained(case, 0.0)
    assert solution.network.n_neurons == 0


@pytest.mark.parametrize("penalty", FREE)
def test_no_events_at_all(penalty):
    assert_unattained(Case("poisson", penalty, np.arange(5.0), np.zeros((5, 1)), 0.1), 0.0)


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("penalty", FREE)
def test_one_class_alone(penalty, n):
    case = Case("multinomial", penalty, np.arange(float(n)), np.eye(3)[np.ones(n, dtype=int)], 0.1)
    assert_unattained(case, 0.0)


def test_classes_in_order_along_the_line():
    # three classes, each on its own interval: slopes -s, 0, s separate them
    case = Case("multinomial", (False, "free"), np.arange(9.0), np.eye(3)[np.repeat([0, 1, 2], 3)], 0.1)
    assert_unattained(case, 0.0)


def test_labels_that_meet_at_the_threshold_keep_their_own_loss():
    # quasi-separable: both labels at x = 1, whose best is log 2 each
    case = Case(
        "logistic", (False, "free"), np.array([0, 0.5, 1, 1, 2, 3.0]), np.array([[0, 0, 0, 1, 1, 1.0]]).T, 0.1
    )
    assert_unattained(case, 2.0 * np.log(2.0))


@pytest.mark.parametrize("penalty", FREE)
def test_a_class_never_seen_leaves_the_others_their_loss(penalty):
    x = np.arange(8.0) / 4.0
    two = np.eye(2)[[0, 1, 0, 0, 1, 1, 0, 1]]
    pair = Case("multinomial", penalty, x, two, 0.1)
    best = kw.solve(pair.problem)
    assert best.status is kw.Status.OPTIMAL
    solution = assert_unattained(
        Case("multinomial", penalty, x, np.hstack([two, np.zeros((8, 1))]), 0.1), best.certificate.primal
    )
    np.testing.assert_allclose(
        np.diff(solution.network.predict(x)[:, :2]), np.diff(best.network.predict(x)), atol=1e-3
    )


@pytest.mark.parametrize("penalty", FREE)
def test_a_separable_task_leaves_the_others_alone(penalty):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, 16)
    y = (np.sin(5 * x) + 0.3 * rng.standard_normal(16))[:, None]
    alone = kw.solve(kw.Problem(x, y, 0.1, "squared", kw.Penalty(*penalty)))
    case = Case(["squared", "logistic"], penalty, x, np.hstack([y, np.ones((16, 1))]), 0.1)
    solution = assert_unattained(case, alone.certificate.primal)
    np.testing.assert_allclose(solution.network.predict(x)[:, 0], alone.network.predict(x)[:, 0], atol=1e-3)


def test_gaps_and_weights_decide_what_is_separable():
    x, y = np.arange(6.0), np.array([0, 0, 1, 0, 1, 1.0])[:, None]
    plain = kw.solve(kw.Problem(x, y, 0.1, "logistic"))
    assert plain.status is kw.Status.OPTIMAL
    weight = np.array([1, 1, 0, 1, 1, 1.0])
    assert_unattained(Case("logistic", (False, "free"), x, y, 0.1, weight), 0.0)
    gap = np.where(weight[:, None] > 0, y, np.nan)
    assert_unattained(Case("logistic", (False, "free"), x, gap, 0.1), 0.0)


@pytest.mark.parametrize("spec", ["logistic", "poisson", "multinomial"])
@pytest.mark.parametrize("skip", ["none", "frobenius", "nuclear"])
def test_penalised_biases_attain_their_optimum(spec, skip):
    x = np.linspace(-1.0, 1.0, 8)
    Y = {
        "logistic": x[:, None] > 0,
        "poisson": np.zeros((8, 1)),
        "multinomial": np.eye(2)[(x > 0).astype(int)],
    }[spec]
    case = Case(spec, (True, skip), x, Y.astype(float), 0.05)
    solution = kw.solve(case.problem)
    assert solution.status is kw.Status.OPTIMAL
    best = case.objective(solution.network)
    assert_sound(solution.certificate, case, best)
    oracle = conic_loss_optimum(spec, case.penalty, x, case.Y, 0.05).primal
    assert best <= oracle * (1 + 1e-6)
    assert best >= oracle * (1 - 1e-3)


@pytest.mark.parametrize("skip", ["none", "frobenius", "nuclear"])
@pytest.mark.parametrize("T", [1, 2])
@pytest.mark.parametrize("lam", [0.0166, 1e-3])
def test_a_count_of_zero_at_zero_in_closed_form(lam, T, skip):
    # the pole neuron (0, 1) lowers f = -t (1, .., 1): T e^-t + lam (sqrt T t - 1/2), |c| = 1
    case = Case("poisson", (True, skip), np.zeros(1), np.zeros((1, T)), lam)
    t = -np.log(lam / np.sqrt(T))
    solution = kw.solve(case.problem)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(
        np.sqrt(T) * lam + lam * (np.sqrt(T) * t - 0.5), rel=1e-8
    )
    assert np.linalg.norm(solution.network.c) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("penalty", FREE)
def test_one_or_two_rows(penalty, n):
    x = np.arange(float(n))
    y = np.array([[1.0, 0.0]] * n)
    assert_unattained(Case("logistic", penalty, x, y, 0.1), 0.0)
    counts = kw.solve(kw.Problem(x, 3.0 * np.ones((n, 1)), 0.1, "poisson", kw.Penalty(*penalty)))
    assert counts.status is kw.Status.OPTIMAL
    assert counts.certificate.primal == pytest.approx(0.0, abs=1e-12)


def test_the_path_to_the_infimum_is_long_but_finite():
    solution = kw.solve(kw.Problem([0.0, 1.0], [0.0, 1.0], 0.1, "logistic"))
    f = solution.network.predict([0.0, 1.0])[:, 0]
    assert f[0] < -20.0 < 20.0 < f[1]
    assert np.abs(f).max() < 1e4
    assert "separable" in solution.status.value
