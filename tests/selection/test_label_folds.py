from __future__ import annotations

import numpy as np
import pytest
from references import random_data

import knotwork as kw
from knotwork.selection.cross_validation import chosen
from knotwork.selection.folds import make_folds

CRITERIA = ("log", "mean")


def problem_of(data, lam=1.0):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


def small(n=60, n_tasks=2, **options):
    return problem_of(random_data(np.random.default_rng(1), n, n_tasks, **options))


# --------------------------------------------------------- labels of each task held out by themselves


@pytest.mark.parametrize("scheme", ["labels", "gaps"])
@pytest.mark.parametrize("weights", [None, "labels"])
def test_masks_hold_every_label_out_once(scheme, weights):
    data = random_data(np.random.default_rng(6), 50, 3, "repeated", gaps=0.3, weights=weights)
    problem = problem_of(data)
    seen = problem.label_weight() > 0
    folds = make_folds(problem, 4, scheme)
    np.testing.assert_array_equal(np.sum([test for _, test in folds], axis=0), seen)
    for train, test in folds:
        np.testing.assert_array_equal(train | test, seen)
        assert not (train & test).any()
        for t in range(3):
            assert not set(data.X[train[:, t]].tolist()) & set(data.X[test[:, t]].tolist())
    # each task has runs, or labels, of its own
    assert any(not np.array_equal(test[:, 0] & seen[:, 1], test[:, 1] & seen[:, 0]) for _, test in folds)


def test_gaps_are_runs_and_follow_the_seed():
    problem = kw.Problem(np.arange(60.0)[::-1], np.ones((60, 2)), 1.0)
    first, again, other = (make_folds(problem, 4, "gaps", seed) for seed in (0, 0, 1))
    for _, test in first:
        for t in range(2):
            held = test[::-1, t]
            assert held.sum() == 15
            assert np.sum(held & ~np.roll(held, 1)) == 1
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_labels_of_several_inputs_are_held_out_by_themselves():
    X = np.random.default_rng(0).normal(size=(20, 2))
    problem = kw.Problem(X, np.ones((20, 2)), 1.0)
    np.testing.assert_array_equal(
        np.sum([test for _, test in make_folds(problem, 5, "labels")], axis=0), np.ones((20, 2))
    )
    with pytest.raises(ValueError, match="cv: 2 inputs have no order"):
        make_folds(problem, 5, "gaps")


@pytest.mark.parametrize(("weights", "loss"), [(None, "squared"), ("labels", "squared"), (None, "huber")])
def test_losses_at_masked_labels_are_those_of_fits_to_the_others(weights, loss):
    data = random_data(np.random.default_rng(7), 40, 2, gaps=0.2, weights=weights)
    problem = kw.Problem(data.X, data.Y, 1.0, loss, sample_weight=data.weight)
    found = kw.cross_validate(problem, 3, scheme="gaps", n_lams=3, lam_ratio=1e-2, random_state=5)
    weight = problem.label_weight()
    total = np.zeros((3, 2))
    for k, (train, test) in enumerate(found.folds):
        share = weight[train].sum() / weight.sum()
        assert 0.5 < share < 0.9
        held = np.zeros((3, 2))
        for m, lam in enumerate(found.lams.tolist()):
            known = np.where(train, data.Y, np.nan)
            seen = kw.Problem(data.X, known, lam * share, loss, sample_weight=data.weight)
            r = np.abs(data.Y - kw.solve(seen).network.predict(data.X))
            miss = 0.5 * r**2 if loss == "squared" else np.where(r <= 1, 0.5 * r**2, r - 0.5)
            held[m] = np.where(test, weight * miss, 0.0).sum(axis=0)
        np.testing.assert_allclose(found.fold_losses[k], held.sum(axis=1) / weight[test].sum(), rtol=2e-3)
        total += held
    np.testing.assert_allclose(found.task_losses, total / weight.sum(axis=0), rtol=2e-3)


def test_masks_of_whole_rows_are_rows():
    problem = small()
    rows = make_folds(problem, 3, "interleaved")
    masks = [
        tuple(np.repeat(np.isin(np.arange(60), part)[:, None], 2, axis=1) for part in fold) for fold in rows
    ]
    by_rows, by_masks = (kw.cross_validate(problem, folds, n_lams=4) for folds in (rows, masks))
    np.testing.assert_allclose(by_rows.fold_losses, by_masks.fold_losses, rtol=1e-6)
    assert by_rows.lam == by_masks.lam


def test_a_gap_of_one_task_is_bridged_by_bends_of_the_others():
    rng = np.random.default_rng(8)
    x = np.linspace(0, 1, 80)
    bends = np.maximum(x[:, None] - np.linspace(0.1, 0.9, 8), 0.0) @ rng.normal(0, 20, (8, 6))
    problem = kw.Problem(x, bends + 0.05 * rng.standard_normal((80, 6)), 1.0)
    gaps, blocks = (kw.cross_validate(problem, 6, scheme=one, n_lams=30) for one in ("gaps", "blocked"))
    assert gaps.mean_loss.min() < 0.6 * blocks.mean_loss.min()


# ----------------------------------------------------------------------------------- the criterion


def test_log_is_the_likelihood_of_errors_with_variances_of_their_own():
    problem = small(gaps=0.2, weights="labels")
    found = kw.cross_validate(problem, 4, scheme="labels", criterion="log", n_lams=12)
    assert found.criterion == "log"
    np.testing.assert_allclose(found.score, np.log(found.task_losses).mean(axis=1), rtol=1e-12)
    assert found.lam == found.lams[np.argmin(found.score)]
    plain = kw.cross_validate(problem, 4, scheme="labels", n_lams=12)
    np.testing.assert_array_equal(plain.score, plain.mean_loss)
    np.testing.assert_array_equal(plain.score_error, plain.standard_error)
    np.testing.assert_array_equal(plain.task_losses, found.task_losses)


def test_log_does_not_change_with_the_units_of_held_out_losses_and_the_mean_does():
    rng = np.random.default_rng(9)
    lams, weights = np.array([2.0, 1.0, 0.5]), np.ones((4, 2))
    losses = rng.uniform(1, 1.2, (4, 3, 2)) * np.array([[4.0, 1.0], [2.0, 2.0], [1.0, 1.5]])
    solution = kw.solve(small())

    def found(units, criterion):
        return chosen(
            lams, losses * units, weights, [], "1se", kw.Status.OPTIMAL, lambda _: solution, criterion
        )

    by_log = [found(np.array(units), "log") for units in ([1.0, 1.0], [1.0, 1e4])]
    np.testing.assert_allclose(np.diff(by_log[0].score), np.diff(by_log[1].score))
    np.testing.assert_allclose(by_log[0].score_error, by_log[1].score_error)
    assert by_log[0].lam_min == by_log[1].lam_min == 0.5


def test_the_error_of_one_tasks_log_is_the_relative_error_of_its_mean():
    problem = kw.Problem(np.linspace(0, 1, 40), np.random.default_rng(3).normal(size=40), 1.0)
    found = kw.cross_validate(problem, 4, criterion="log", rule="1se", n_lams=8)
    np.testing.assert_allclose(found.score, np.log(found.mean_loss))
    np.testing.assert_allclose(found.score_error, found.standard_error / found.mean_loss)
    i = int(np.argmin(found.score))
    assert found.lam_1se == found.lams[found.score <= found.score[i] + found.score_error[i]].max()


def test_a_noisy_task_does_not_choose_for_all_by_the_log():
    rng = np.random.default_rng(10)
    x = np.linspace(0, 1, 90)
    bends = np.maximum(x[:, None] - np.linspace(0.05, 0.95, 12), 0.0) @ rng.normal(0, 10, (12, 5))
    Y = np.column_stack([bends + 0.02 * rng.standard_normal((90, 5)), 3.0 * rng.standard_normal(90)])
    by_log, by_mean = (kw.cross_validate(kw.Problem(x, Y, 1.0), n_lams=30, criterion=one) for one in CRITERIA)
    assert by_log.lam < by_mean.lam
    at_log, at_mean = (one.task_losses[one.lams == one.lam][0] for one in (by_log, by_mean))
    assert np.all(at_log[:5] < 0.8 * at_mean[:5])


def test_labels_on_lines_are_no_worse_than_rounding():
    x = np.linspace(0, 1, 40)
    noisy = np.abs(x - 0.4) + 0.1 * np.random.default_rng(0).standard_normal(40)
    alone = kw.cross_validate(kw.Problem(x, noisy, 1.0), criterion="log", n_lams=20)
    beside = kw.cross_validate(
        kw.Problem(x, np.column_stack([noisy, 2 * x]), 1.0), criterion="log", n_lams=20
    )
    assert beside.lam == pytest.approx(alone.lam, rel=1e-6)
    flat = kw.cross_validate(kw.Problem(x, 2 * x, 1.0), criterion="log")
    assert np.isfinite(flat.score).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"criterion": "median"}, ValueError, "criterion: must be 'mean' or 'log', got 'median'"),
        ({"cv": 1, "scheme": "gaps"}, ValueError, "cv: must be from 2 to 6, the labels of a task, got 1"),
        ({"cv": 7, "scheme": "labels"}, ValueError, "cv: must be from 2 to 6, the labels of a task, got 7"),
        ({"cv": 2, "scheme": "gaps", "random_state": -1}, ValueError, "random_state: must be"),
        ({"cv": [(np.ones((6, 1), bool), np.ones((6, 1), bool))]}, ValueError, "must have shape .6, 2."),
        ({"cv": [(np.ones((6, 2), bool), np.ones((6, 2), bool))]}, ValueError, "row 0 both in train and"),
        ({"cv": [(np.zeros((6, 2), bool), np.ones((6, 2), bool))]}, ValueError, "no label of task 0"),
        ({"cv": [(np.ones((6, 2), bool), np.zeros((6, 2), bool))]}, ValueError, "holds out no label"),
        ({"cv": [(np.ones((6, 2), bool), [3])]}, ValueError, "train rows must be a list of row numbers"),
    ],
)
def test_bad_folds_of_labels_are_named(options, error, message):
    with pytest.raises(error, match=message):
        kw.cross_validate(kw.Problem(np.arange(6.0), np.ones((6, 2)), 1.0), **options)


def test_too_few_labels_for_gaps_are_named():
    Y = np.ones((12, 2))
    Y[2:, 1] = np.nan
    with pytest.raises(ValueError, match=r"^cv: 3 runs of inputs of 12 rows leave task 1, "):
        kw.cross_validate(kw.Problem(np.arange(12.0), Y, 1.0), 3, scheme="gaps")


def test_classes_are_held_out_as_rows():
    problem = kw.Problem(np.arange(6.0), np.eye(2)[[0, 1, 0, 1, 0, 1]], 1.0, "multinomial")
    with pytest.raises(ValueError, match="a row of classes is held out as a whole"):
        kw.cross_validate(problem, 2, scheme="labels")
