from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.selection.features import has_features
from knotwork.selection.folds import make_folds
from knotwork.selection.rows import merged_rows
from knotwork.selection.walk import Limits, choose, largest_lam
from knotwork.solution import Status

LIMITS = Limits(1e-6, None, 20_000, 0)


def plane(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    Y = np.stack([np.maximum(X[:, 0] - 0.1, 0), np.maximum(X[:, 0] - 0.1, 0) + X[:, 1]], axis=1)
    return X, Y + 0.05 * rng.standard_normal(Y.shape)


def test_random_folds_hold_every_row_out_once_and_equal_inputs_together():
    X, Y = plane(30)
    X = np.concatenate([X, X[:6]])
    Y = np.concatenate([Y, Y[:6]])
    problem = kw.Problem(X, Y, 1.0)
    folds = make_folds(problem, 5, "random")
    tests = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(tests), np.arange(36))
    for train, test in folds:
        assert not set(train) & set(test)
        assert not {tuple(x) for x in X[train]} & {tuple(x) for x in X[test]}
    # not the order of the rows
    assert sorted(folds[0][1]) != list(range(len(folds[0][1])))
    again = make_folds(problem, 5, "random")
    np.testing.assert_array_equal(folds[2][1], again[2][1])


def test_the_walk_takes_the_lam_of_least_held_out_loss():
    X, Y = plane()
    problem = kw.Problem(X, Y, 1.0)
    folds = make_folds(problem, 4, "random")
    found = choose(problem, folds, LIMITS, rule="min")
    assert not has_features(problem)
    assert 2 <= len(found.lams) <= 10
    for lam, loss in zip(found.lams.tolist(), found.mean_loss.tolist(), strict=True):
        total = 0.0
        for train, test in folds:
            # the loss is a sum: a part of the rows takes that share of lam
            part = kw.Problem(X[train], Y[train], lam * len(train) / len(X))
            error = Y[test] - kw.solve(part, tol=1e-4).network.predict(X[test])
            total += 0.5 * float(np.sum(error**2))
        assert loss == pytest.approx(total / Y.size, rel=0.05)
    assert found.lam == found.lam_min == found.lams[np.argmin(found.mean_loss)]
    assert found.solution.problem.lam == found.lam
    assert found.solution.certificate.relative_gap <= 1e-6
    one_se = choose(problem, folds, LIMITS, rule="1se")
    assert one_se.lam == one_se.lam_1se >= found.lam


def test_a_known_first_lam_is_taken_and_every_lam_is_told():
    X, Y = plane()
    problem = kw.Problem(X, Y, 1.0)
    told = []
    found = choose(
        problem,
        make_folds(problem, 3, "random"),
        LIMITS,
        rule="min",
        lam_done=lambda lam, loss: told.append((lam, loss)),
        largest=0.5,
    )
    assert found.lams[0] == 0.5
    np.testing.assert_allclose(told, np.column_stack([found.lams, found.mean_loss]), rtol=1e-12)


def test_progress_stops_the_walk():
    X, Y = plane()
    problem = kw.Problem(X, Y, 1.0)
    limits = Limits(1e-6, None, 20_000, 0, progress=lambda entry: True)
    found = choose(problem, make_folds(problem, 3, "random"), limits, rule="min", largest=0.1)
    assert found.status is Status.STOPPED
    assert len(found.lams) == 1


@pytest.mark.parametrize("penalty", [kw.Penalty(), kw.Penalty(True, "frobenius")], ids=["free", "decayed"])
def test_the_first_lam_of_a_walk_is_lam_max(penalty):
    X, Y = plane()
    problem = kw.Problem(X, Y, 1.0, penalty=penalty)
    assert largest_lam(problem, LIMITS) == pytest.approx(kw.lam_max(problem), rel=5e-3)


def test_merged_rows_weigh_what_they_were():
    X, Y = plane(12)
    Y[3, 1] = np.nan
    twice = kw.Problem(np.concatenate([X, X[:5]]), np.concatenate([Y, Y[:5]]), 0.1)
    merged = merged_rows(twice)
    assert merged.n_rows == 12
    assert merged.sample_weight is not None
    network = kw.solve(kw.Problem(X, Y, 0.1), tol=1e-4).network
    assert merged.objective(network) == pytest.approx(twice.objective(network), rel=1e-12)
    np.testing.assert_allclose(merged.label_weight().sum(axis=0), twice.label_weight().sum(axis=0))
    plain = kw.Problem(X, Y, 0.1)
    assert merged_rows(plain) is plain


def test_rows_without_weight_vanish():
    X, Y = plane(8)
    weight = np.ones(8)
    weight[[1, 4]] = 0.0
    merged = merged_rows(kw.Problem(X, Y, 0.1, sample_weight=weight))
    assert merged.n_rows == 6
    assert not (merged.X[:, None] == X[[1, 4]]).all(axis=2).any()


def test_single_labels_can_be_held_out_too():
    X, Y = plane()
    problem = kw.Problem(X, Y, 1.0)
    folds = make_folds(problem, 3, "labels")
    found = choose(problem, folds, LIMITS, rule="min", n_lams=2, largest=0.5)
    total = 0.0
    for train, test in folds:
        part = kw.Problem(X, np.where(train, Y, np.nan), 0.5 * train.sum() / Y.size)
        error = np.where(test, Y - kw.solve(part, tol=1e-4).network.predict(X), 0.0)
        total += 0.5 * float(np.sum(error**2))
    assert found.mean_loss[0] == pytest.approx(total / Y.size, rel=0.02)


def test_a_first_lam_far_above_lam_max_ends_no_walk():
    X, Y = plane()
    problem = kw.Problem(X, Y, 1.0)
    folds = make_folds(problem, 3, "random")
    near = choose(problem, folds, LIMITS, rule="min")
    far = choose(problem, folds, LIMITS, rule="min", largest=30.0 * float(near.lams[0]))
    assert len(far.lams) > len(near.lams)
    assert far.mean_loss.min() < 1.3 * near.mean_loss.min()
    assert near.mean_loss[0] > 2.0 * near.mean_loss.min()


def test_a_walk_chooses_by_the_log_of_each_task_too():
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (40, 2))
    bent, noise = np.abs(X[:, 0]), 30.0 * rng.standard_normal(40)
    problem = kw.Problem(X, np.column_stack([bent, noise]), 1.0)
    folds = make_folds(problem, 3, "labels")
    found = {
        criterion: choose(problem, folds, LIMITS, rule="min", criterion=criterion)
        for criterion in ("mean", "log")
    }
    assert found["log"].lam < found["mean"].lam
    log = found["log"]
    np.testing.assert_allclose(log.score, np.log(log.task_losses).mean(axis=1))
    assert log.lam == log.lams[np.argmin(log.score)]
