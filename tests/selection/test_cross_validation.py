from __future__ import annotations

import numpy as np
import pytest
from references import random_data

import knotwork as kw
from knotwork.selection.folds import make_folds


def problem_of(data, lam=1.0):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


def small(n=60, n_tasks=2, **options):
    return problem_of(random_data(np.random.default_rng(1), n, n_tasks, **options))


# ------------------------------------------------------------------------------------------- folds


@pytest.mark.parametrize("scheme", ["interleaved", "blocked"])
@pytest.mark.parametrize("spacing", ["random", "repeated"])
def test_folds_hold_every_labelled_row_out_once(scheme, spacing):
    data = random_data(np.random.default_rng(2), 50, 2, spacing, gaps=0.4)
    problem = problem_of(data)
    labelled = np.flatnonzero(~np.isnan(data.Y).all(axis=1))
    assert len(labelled) < 50
    folds = make_folds(problem, 4, scheme)
    assert len(folds) == 4
    held = np.sort(np.concatenate([test for _, test in folds]))
    np.testing.assert_array_equal(held, labelled)
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), labelled)
        # labels at one input stay together, or the fit would have seen the answer
        assert not set(data.X[train].tolist()) & set(data.X[test].tolist())


def test_interleaved_and_blocked_folds_by_hand():
    problem = kw.Problem([3.0, 0.0, 1.0, 2.0, 5.0, 4.0], np.arange(6.0), 1.0)
    tests = [sorted(problem.X[test, 0].tolist()) for _, test in make_folds(problem, 3, "interleaved")]
    assert tests == [[0, 3], [1, 4], [2, 5]]
    tests = [sorted(problem.X[test, 0].tolist()) for _, test in make_folds(problem, 3, "blocked")]
    assert tests == [[0, 1], [2, 3], [4, 5]]
    sizes = [len(test) for _, test in make_folds(problem, 4, "blocked")]
    assert sorted(sizes) == [1, 1, 2, 2]


# -------------------------------------------------------------------------------------- the losses


def test_held_out_losses_by_hand():
    # two folds of x = (0, 1, 2, 3) learn from two labels each: a line through them
    problem = kw.Problem([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 2.0], 1.0)
    found = kw.cross_validate(problem, 2, n_lams=1)
    # (0, 2) from the line y = (1 + x)/2: 1/2, 3/2; (1, 3) from y = 2 x: 2, 6
    expected = [0.5 * (0.5**2 + 2.5**2) / 2, 0.5 * (1.0**2 + 4.0**2) / 2]
    np.testing.assert_allclose(found.fold_losses[:, 0], expected, rtol=1e-9)
    assert found.mean_loss[0] == pytest.approx(np.mean(expected))
    assert found.standard_error[0] == pytest.approx(np.std(expected, ddof=1) / np.sqrt(2))
    assert found.lam == found.lams[0] == kw.lam_max(problem)


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, None), (0.0, "rows"), (0.2, "labels")])
def test_losses_are_those_of_fits_to_the_other_folds(gaps, weights):
    problem = small(gaps=gaps, weights=weights)
    found = kw.cross_validate(problem, 4, scheme="blocked", n_lams=6, lam_ratio=1e-2)
    weight = problem.label_weight()
    total, count = np.zeros((6, 2)), np.zeros(2)
    for k, (train, test) in enumerate(found.folds):
        labels = problem.Y[train]
        sample_weight = None if problem.sample_weight is None else problem.sample_weight[train]
        share = weight[train].sum() / weight.sum()
        held = np.zeros((6, 2))
        for m, lam in enumerate(found.lams.tolist()):
            seen = kw.Problem(problem.X[train], labels, lam * share, sample_weight=sample_weight)
            f = kw.solve(seen).network.predict(problem.X[test])
            miss = np.where(weight[test] > 0, 0.5 * (problem.Y[test] - f) ** 2, 0.0)
            held[m] = (weight[test] * miss).sum(axis=0)
        np.testing.assert_allclose(found.fold_losses[k], held.sum(axis=1) / weight[test].sum(), rtol=2e-3)
        total += held
        count += weight[test].sum(axis=0)
    np.testing.assert_allclose(found.mean_loss, total.sum(axis=1) / count.sum(), rtol=2e-3)
    np.testing.assert_allclose(found.task_losses, total / count, rtol=2e-3)


def test_the_rules():
    problem = small(200)
    least = kw.cross_validate(problem, n_lams=40)
    assert (least.rule, least.lam) == ("min", least.lam_min)
    i = int(np.argmin(least.mean_loss))
    assert least.lam_min == least.lams[i]
    bar = least.mean_loss[i] + least.standard_error[i]
    within = least.lams[least.mean_loss <= bar]
    assert least.lam_1se == within.max() > least.lam_min
    plain = kw.cross_validate(problem, n_lams=40, rule="1se")
    assert plain.lam == plain.lam_1se == least.lam_1se
    assert plain.solution.network.n_neurons <= least.solution.network.n_neurons
    for found in (least, plain):
        assert found.status is kw.Status.OPTIMAL
        assert found.solution.problem.lam == found.lam
        assert found.solution.certificate.relative_gap <= 1e-8
        assert np.array_equal(found.solution.problem.Y, problem.Y)


def test_noise_asks_for_a_larger_lam_than_none():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 120)
    bend = np.maximum(x - 0.4, 0.0)
    noisy = kw.cross_validate(kw.Problem(x, bend + 0.3 * rng.standard_normal(120), 1.0), n_lams=30)
    clean = kw.cross_validate(kw.Problem(x, bend, 1.0), n_lams=30)
    assert clean.lam == clean.lams[-1]
    assert noisy.lam > 3 * noisy.lams[-1]


def test_blocks_ask_for_fewer_knots_where_neighbours_err_alike():
    rng = np.random.default_rng(4)
    x = np.linspace(0, 1, 200)
    drift = np.convolve(rng.standard_normal(209), np.ones(10) / 10, "valid")
    problem = kw.Problem(x, 5 * np.abs(x - 0.5) + drift, 1.0)
    near = kw.cross_validate(problem, 10, n_lams=40)
    far = kw.cross_validate(problem, 10, scheme="blocked", n_lams=40)
    assert near.solution.network.n_neurons > 2 * far.solution.network.n_neurons


def test_folds_of_ones_own():
    problem = small(30)
    rows = np.arange(30)
    early = np.sort(problem.X[:, 0])[20]
    future = problem.X[:, 0] > early
    found = kw.cross_validate(problem, [(~future, future)], n_lams=5)
    assert np.isnan(found.standard_error).all()
    assert np.isnan(found.lam_1se)
    assert found.fold_losses.shape == (1, 5)
    np.testing.assert_array_equal(found.folds[0][1], rows[future])
    np.testing.assert_array_equal(found.mean_loss, found.fold_losses[0])


def test_a_task_that_is_never_held_out_has_no_loss():
    x = np.arange(10.0)
    Y = np.column_stack([np.abs(x - 4), x * 0])
    Y[5:, 1] = np.nan
    found = kw.cross_validate(kw.Problem(x, Y, 1.0), [(x < 6, x >= 6), (x < 8, x >= 8)], n_lams=3)
    assert np.isnan(found.task_losses[:, 1]).all()
    assert np.isfinite(found.task_losses[:, 0]).all()


def test_data_on_lines():
    x = np.linspace(0, 1, 20)
    found = kw.cross_validate(kw.Problem(x, 2 * x, 1.0))
    assert found.lams.tolist() == [1.0]
    assert found.solution.network.n_neurons == 0
    assert found.mean_loss[0] <= 1e-25


# -------------------------------------------------------------------------------- wherever it runs


def test_two_processes_find_the_same_as_one():
    problem = small(gaps=0.1)
    alone = kw.cross_validate(problem, n_lams=8)
    two = kw.cross_validate(problem, n_lams=8, n_jobs=2)
    np.testing.assert_array_equal(alone.fold_losses, two.fold_losses)
    np.testing.assert_array_equal(alone.task_losses, two.task_losses)
    assert alone.lam == two.lam
    np.testing.assert_array_equal(alone.solution.network.V, two.solution.network.V)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_finds_the_same():
    distributed = pytest.importorskip("dask.distributed")
    import joblib

    problem = small(gaps=0.1)
    alone = kw.cross_validate(problem, n_lams=8)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        spread = kw.cross_validate(problem, n_lams=8)
    np.testing.assert_array_equal(alone.fold_losses, spread.fold_losses)
    assert alone.lam == spread.lam


# -------------------------------------------------------------------------------- stops, bad input


def test_a_stop_uses_what_every_fold_finished():
    calls = []

    def stop(entry):
        calls.append(entry)
        return len(calls) > 30

    problem = small(200)
    found = kw.cross_validate(problem, 2, n_lams=40, progress=stop)
    assert found.status is kw.Status.STOPPED
    assert 1 <= len(found.lams) < 40
    assert found.fold_losses.shape == (2, len(found.lams))
    assert found.lam in found.lams


def test_out_of_time():
    found = kw.cross_validate(small(200), max_seconds=1e-6)
    assert found.status is kw.Status.MAX_SECONDS
    assert len(found.lams) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cv": 1}, ValueError, "cv: must be from 2 to 6, the number of distinct inputs with a label, got 1"),
        ({"cv": 7}, ValueError, "cv: must be from 2 to 6"),
        ({"cv": 2.5}, TypeError, "cv: must be a number of folds or pairs"),
        ({"cv": True}, TypeError, "cv: must be a number of folds or pairs"),
        ({"cv": "five"}, TypeError, "cv: must be a number of folds or pairs"),
        ({"cv": []}, ValueError, "cv: holds no fold"),
        ({"cv": [3]}, TypeError, r"cv: must hold pairs of \(train, test\) rows, got 3"),
        ({"cv": [([0, 1, 2], [])]}, ValueError, "cv: test rows must be a list of row numbers"),
        ({"cv": [([0, 1, 2], [9])]}, ValueError, "cv: test rows must be from 0 to 5, got 9"),
        ({"cv": [([0, 1, -2], [3])]}, ValueError, "cv: train rows must be from 0 to 5"),
        ({"cv": [([0, 1, 1], [3])]}, ValueError, "cv: train rows name a row twice"),
        ({"cv": [([0, 1, 2], [2, 3])]}, ValueError, "cv: fold 0 has row 2 both in train and in test"),
        ({"cv": [([0.5, 1.0], [2])]}, ValueError, "cv: train rows must be a list of row numbers"),
        ({"cv": [([0, 1, 2], [5])]}, ValueError, "cv: fold 0 holds out no label"),
        ({"cv": 3, "scheme": "blocked"}, ValueError, "cv: fold 1 leaves no label of task 1 to learn from"),
        ({"cv": 2, "scheme": "shuffled"}, ValueError, "scheme: must be 'interleaved' or 'blocked'"),
        ({"cv": 2, "rule": "2se"}, ValueError, "rule: must be 'min' or '1se', got '2se'"),
        ({"cv": [([0, 2, 4], [1, 3])], "rule": "1se"}, ValueError, "rule: '1se' needs the spread"),
        ({"cv": 2, "n_lams": 0}, ValueError, "n_lams: must be"),
        ({"cv": 2, "lam_ratio": 2.0}, ValueError, "lam_ratio: must be"),
        ({"cv": 2, "tol": -1.0}, ValueError, "tol: must be"),
        ({"cv": 2, "max_seconds": float("nan")}, ValueError, "max_seconds: must be"),
        ({"cv": 2, "progress": 1}, TypeError, "progress: must be"),
    ],
)
def test_bad_options_are_named(options, error, message):
    Y = np.full((7, 2), np.nan)
    Y[:5, 0] = Y[6, 0] = 1.0
    Y[2:4, 1] = 2.0
    problem = kw.Problem(np.arange(7.0)[:7], Y, 1.0)
    if isinstance(options["cv"], list) and "9" not in message and "-2" not in str(options["cv"]):
        problem = kw.Problem(np.arange(6.0), np.where(np.arange(6) == 5, np.nan, 1.0), 1.0)
    if "0 to 5" in message:
        problem = kw.Problem(np.arange(6.0), np.ones(6), 1.0)
    with pytest.raises(error, match=message):
        kw.cross_validate(problem, **options)


def test_no_problem():
    with pytest.raises(TypeError, match=r"^problem: must be a knotwork.Problem"):
        kw.cross_validate(np.arange(3.0))  # type: ignore[arg-type]


def test_the_loss_of_the_problem_is_held_out():
    rng = np.random.default_rng(5)
    x = np.linspace(0, 1, 60)
    y = (rng.uniform(size=60) < 1 / (1 + np.exp(-8 * (np.abs(x - 0.5) - 0.25)))).astype(float)
    problem = kw.Problem(x, y, 1.0, "logistic")
    found = kw.cross_validate(problem, 3, n_lams=3, lam_ratio=0.05)
    train, test = found.folds[0]
    share = len(train) / 60
    for m, lam in enumerate(found.lams.tolist()):
        f = kw.solve(kw.Problem(x[train], y[train], lam * share, "logistic")).network.predict(x[test])[:, 0]
        expected = np.mean(np.log1p(np.exp(f)) - y[test] * f)
        assert found.fold_losses[0, m] == pytest.approx(expected, rel=1e-3)
