from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from joblib import parallel_config

import knotwork as kw
from knotwork.comparing import Comparison, compare, fits, peers, running
from knotwork.comparing.fits import Choice, Setting
from knotwork.losses import Huber, Squared
from knotwork.theory.arc_cosine import arc_cosine_kernel


def kinked(n, n_tasks, *, shared, noise, n_kinks=2, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=n)
    kinks = rng.uniform(0.15, 0.85, (n_kinks, 1 if shared else n_tasks))
    signs = rng.choice([-1.0, 1.0], (n_kinks, n_tasks)) * rng.uniform(0.7, 1.3, (n_kinks, n_tasks))
    F = np.einsum("nkt,kt->nt", np.maximum(x[:, None, None] - kinks, 0.0), signs)
    F = (F - F.mean(axis=0)) / F.std(axis=0)
    Y = F + noise * rng.standard_normal(F.shape)
    Y[rng.uniform(size=Y.shape) < missing] = np.nan
    return x, Y


def comparison(together, apart, *more, names=(), margin=0.02, level=0.95):
    """Errors (N, T) or (N,) of every label by each method, in ten folds of equal size."""
    labels = np.stack([one.reshape(len(one), -1) for one in (together, apart, *more)])
    errors = np.stack([labels[:, j::10].mean(axis=1) for j in range(10)], axis=2)
    shape = errors.shape[1:]
    choice = {name: ((Choice(0.1, True), Choice(0.2, False)),) for name in ("together", "apart")}
    return Comparison(
        ("together", "apart", *names),
        errors,
        labels,
        np.arange(labels.shape[1]),
        np.full(shape, 0.9 * labels.shape[1]),
        np.full(shape, 0.1 * labels.shape[1]),
        10,
        1,
        "rows",
        level,
        margin,
        choice,
        1.0,
    )


def around(center, n=50, spread=0.1):
    return center * (1.0 + spread * np.linspace(-1.0, 1.0, n))


def test_tasks_that_share_kinks_are_better_trained_together():
    x, Y = kinked(40, 10, shared=True, noise=0.3, n_kinks=3, missing=0.6, seed=1)
    found = compare(x, Y, repeats=1, folds=4, methods=("linear",), inner_folds=3)
    assert found.verdict == "together"
    assert found.sentence.startswith("Train the 10 tasks together: the held-out error together is ")
    assert found.mean_errors[0] < 0.9 * found.mean_errors[1]
    assert found.ratio("linear").low > 1.0
    assert found.chances().together > 0.95


def test_one_lam_for_tasks_unlike_is_worse_than_their_own():
    rng = np.random.default_rng(2)
    x = rng.uniform(size=50)
    Y = np.column_stack([x, np.abs(np.mod(6.0 * x, 2.0) - 1.0)]) + [2.0, 0.02] * rng.standard_normal((50, 2))
    found = compare(x, Y, repeats=1, methods=(), inner_folds=3, refit=False)
    assert found.verdict == "apart"
    assert found.chances().apart > 0.95


def test_lines_make_no_difference():
    rng = np.random.default_rng(3)
    x = rng.uniform(size=40)
    Y = x[:, None] * [1.0, -2.0, 3.0] + rng.standard_normal((40, 3))
    # no neuron is worth so large a lam: both are least squares
    found = compare(x, Y, lam=100.0, folds=4, repeats=1, methods=("linear",))
    assert found.verdict == "no difference"
    assert found.chances().no_difference > 0.999
    assert found.sentence.startswith("It makes no difference whether the 3 tasks are trained together")
    np.testing.assert_allclose(found.label_errors[0], found.label_errors[2], rtol=1e-6)


def blind(X, Y, test, setting, names):
    """Whether what each method predicts in a fold stays the same when the held-out labels change."""
    seen = []
    real = running.predictions

    def noted(*arguments, **options):
        found = real(*arguments, **options)
        seen.append(found[0])
        return found

    running.predictions = noted
    try:
        for labels in (Y, np.where(test, 100.0 - 3.0 * Y, Y)):
            running._fold(X, labels, names, {}, setting, "task", test, 7)
    finally:
        running.predictions = real
    before, after = seen[: len(names)], seen[len(names) :]
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("name", ["together", "apart", "linear", "kernel", "boosting"])
def test_no_method_sees_the_labels_held_out(monkeypatch, name, leaky):
    if name == "boosting":
        pytest.importorskip("sklearn")
    x, Y = kinked(40, 2, shared=True, noise=0.3, missing=0.1)
    X, test = x[:, None], np.zeros(Y.shape, dtype=bool)
    test[::4] = ~np.isnan(Y[::4])
    setting = Setting(Squared(), None, "rows", 3, True, 0)
    if leaky:
        # an inner cross-validation on all rows, the held-out ones among them, and then an honest fit
        real = running.predictions
        whole = {}

        def fold(X, labels, *others, original=running._fold):
            whole["X"], whole["Y"] = X, labels
            return original(X, labels, *others)

        def predictions(name, X, Y, X_new, setting, *others):
            if name in ("together", "apart"):
                _, chosen = real(name, whole["X"], whole["Y"], X_new, setting, *others)
                scale = float(np.nanstd(whole["Y"]))
                return real(name, X, Y, X_new, replace(setting, lam=chosen[0].lam_ratio * scale), *others)
            return real(name, whole["X"], whole["Y"], X_new, setting, *others)

        monkeypatch.setattr(running, "_fold", fold)
        monkeypatch.setattr(running, "predictions", predictions)
    assert blind(X, Y, test, setting, (name,)) is not leaky


@pytest.mark.parametrize("scheme", ["rows", "labels", "gaps"])
def test_errors_are_of_what_was_held_out_over_the_variance(scheme):
    x, Y = kinked(30, 3, shared=True, noise=0.3, missing=0.3)
    Y = Y * [1.0, 50.0, 1e-3] + [0.0, 1e3, 5.0]
    told = []

    def mean(X, Y_train, X_new):
        told.append((X[:, 0], Y_train, X_new[:, 0]))
        return np.broadcast_to(np.nanmean(Y_train, axis=0), (len(X_new), 3))

    found = compare(
        x, Y, lam=1.0, folds=3, repeats=2, methods=(), others={"mean": mean}, scheme=scheme, inner_folds=2
    )
    assert found.methods == ("together", "apart", "mean")
    seen, expected = ~np.isnan(Y), np.full((3, 6), np.nan)
    held = np.zeros(Y.shape)
    for j, (x_train, Y_train, x_new) in enumerate(told):
        known = np.full(Y.shape, np.nan)
        known[[int(np.flatnonzero(x == one)[0]) for one in x_train]] = Y_train
        test = seen & np.isnan(known)
        held += test
        assert set(x[test.any(axis=1)]) == set(x_new)
        if scheme == "rows":
            assert not set(x_train) & set(x_new)
        for t in range(3):
            miss = Y[test[:, t], t] - np.nanmean(known[:, t])
            expected[t, j] = np.mean(miss**2) / np.nanvar(Y[:, t])
    np.testing.assert_array_equal(held, 2.0 * seen)
    np.testing.assert_allclose(found.errors[2], expected, rtol=1e-10)
    np.testing.assert_array_equal(found.n_test.sum(axis=1), 2 * seen.sum(axis=0))
    np.testing.assert_array_equal((found.n_train + found.n_test)[:, 0], seen.sum(axis=0))
    # each label once, by its mean over the repeats
    assert np.array_equal(np.isnan(found.label_errors[2]), ~seen)
    pooled = np.nansum(expected * found.n_test, axis=1) / found.n_test.sum(axis=1)
    np.testing.assert_allclose(found.task_errors[2], pooled, rtol=1e-10)
    if scheme != "gaps":
        # a task's unit changes nothing: 1 is what its mean does
        np.testing.assert_allclose(found.mean_errors[2], 1.0, atol=0.4)


def test_units_of_inputs_and_labels_change_no_ratio():
    x, Y = kinked(30, 2, shared=True, noise=0.3)
    plain = compare(x, Y, folds=3, repeats=1, methods=())
    other = compare(1e3 * x + 7e4, Y * [1e4, 1e-3] - 5.0, folds=3, repeats=1, methods=())
    np.testing.assert_allclose(other.errors, plain.errors, rtol=1e-3)


def test_the_result_depends_on_the_seed_and_not_on_the_workers():
    x, Y = kinked(30, 2, shared=True, noise=0.3)
    options = {"folds": 3, "repeats": 1, "methods": ("kernel",)}
    one = compare(x, Y, **options)
    with parallel_config(backend="threading"):
        np.testing.assert_array_equal(compare(x, Y, n_jobs=2, **options).errors, one.errors)
    assert not np.array_equal(compare(x, Y, random_state=1, **options).errors, one.errors)


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "blocks"},
        {"scheme": "gaps"},
        {"loss": Huber(0.5)},
        {"loss": "quantile", "lam": 0.5},
        {"scale": "none", "refit": False},
        {"lam": 0.5},
    ],
)
def test_what_may_be_asked_for(options):
    x, Y = kinked(30, 2, shared=True, noise=0.2, missing=0.1)
    found = compare(x, Y, folds=2, repeats=1, inner_folds=2, **options)
    assert np.isfinite(found.errors).all()
    assert (found.mean_errors > 0).all()
    assert "linear" in found.methods
    squared = isinstance(kw.Problem(x, Y, 1.0, options.get("loss", "squared")).loss, Squared)
    assert ("kernel" in found.methods) is squared
    assert bool(found.notices) is not squared
    if squared and found.scheme == "rows":
        assert found.mean_errors[0] < found.mean_errors[found.methods.index("linear")]
    json.dumps(found.record(), allow_nan=False)


def test_two_inputs():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (36, 2))
    Y = np.abs(X @ [1.0, 0.5])[:, None] * [1.0, -1.0] + 0.1 * rng.standard_normal((36, 2))
    found = compare(X, Y, folds=2, repeats=1, inner_folds=2, methods=("linear", "kernel"))
    assert found.mean_errors[0] < 0.5 * found.mean_errors[2]
    assert found.refitted("together") == 0.0


def test_a_refit_is_chosen_where_shrinkage_hurts():
    x = np.linspace(0.0, 1.0, 60)
    rng = np.random.default_rng(0)
    Y = np.maximum(x - 0.5, 0.0)[:, None] * [1.0, 2.0, -1.0] + 0.02 * rng.standard_normal((60, 3))
    options = {"folds": 3, "repeats": 1, "methods": (), "inner_folds": 3}
    with_refit, without = compare(x, Y, refit=True, **options), compare(x, Y, **options)
    assert with_refit.refitted("together") > 0
    assert without.refitted("together") == 0
    assert with_refit.mean_errors[0] < without.mean_errors[0]


def test_a_stop_keeps_the_folds_that_are_done():
    x, Y = kinked(20, 2, shared=True, noise=0.2)
    told = []

    def stop_at(n):
        def progress(done, of):
            told.append((done, of))
            return done >= n

        return progress

    found = compare(x, Y, lam=1.0, repeats=2, methods=(), progress=stop_at(3))
    assert found.errors.shape == (2, 2, 3)
    assert told == [(1, 10), (2, 10), (3, 10)]
    assert found.notices == ("stopped early: 3 of 10 folds were done",)
    with pytest.raises(ValueError, match=r"max_seconds: 1 of 10 folds"):
        compare(x, Y, lam=1.0, repeats=2, methods=(), progress=stop_at(1))
    with pytest.raises(ValueError, match=r"max_seconds: 0 of 25 folds"):
        compare(x, Y, max_seconds=1e-9, methods=())


class Clock:
    """Stands in for the system's clock."""

    def __init__(self):
        self.now = 1e9

    def time(self):
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(fits, "time", clock)
    monkeypatch.setattr(running, "time", clock)
    return clock


@pytest.mark.parametrize(("seconds", "kept"), [(250.0, 2), (550.0, 5), (650.0, 6)])
def test_a_fold_that_outlasts_the_seconds_is_not_counted(clock, seconds, kept):
    x, Y = kinked(20, 2, shared=True, noise=0.2)

    def slow(X, Y, X_new):
        clock.now += 100.0
        return np.zeros((len(X_new), 2))

    found = compare(x, Y, lam=1.0, folds=3, repeats=2, methods=(), others={"slow": slow}, max_seconds=seconds)
    assert found.errors.shape[2] == kept
    assert found.notices == (() if kept == 6 else (f"stopped early: {kept} of 6 folds were done",))
    # what was not held out in time is no label of error 0
    assert np.isnan(found.label_errors).any() == (kept < 3)
    assert np.isfinite(found.ratio("together")).all()


@pytest.mark.parametrize(("seconds", "calls"), [(35.0, 4), (75.0, 8)])
def test_a_slow_fold_is_left_in_its_midst(monkeypatch, clock, seconds, calls):
    x, Y = kinked(20, 2, shared=True, noise=0.2)
    real, asked = fits.solve_path, []

    def slow(problem, lams, tol, max_seconds, progress):
        asked.append(max_seconds)
        clock.now += 10.0
        return real(problem, lams, tol, None, progress)

    monkeypatch.setattr(fits, "solve_path", slow)
    with pytest.raises(ValueError, match=r"max_seconds: 0 of 2 folds"):
        compare(x, Y, folds=2, repeats=1, methods=(), max_seconds=seconds)
    # each was told what is left, and none begun after that
    assert asked == [pytest.approx(seconds - 10.0 * k) for k in range(calls)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_finds_the_same():
    distributed = pytest.importorskip("dask.distributed")
    x, Y = kinked(30, 2, shared=True, noise=0.3, missing=0.1)
    options = {"folds": 3, "repeats": 2, "inner_folds": 3, "methods": ("linear", "kernel")}
    alone = compare(x, Y, **options)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
        parallel_config("dask"),
    ):
        spread = compare(x, Y, **options)
    np.testing.assert_array_equal(spread.errors, alone.errors)
    np.testing.assert_array_equal(spread.label_errors, alone.label_errors)
    assert spread.choices == alone.choices
    assert spread.sentence == alone.sentence


def test_boosting_is_left_out_without_scikit_learn(monkeypatch):
    def absent():
        raise ImportError("no")

    monkeypatch.setattr(peers, "boosted_trees", absent)
    x, Y = kinked(20, 2, shared=True, noise=0.2)
    found = compare(x, Y, lam=1.0, folds=2, repeats=1)
    assert found.methods == ("together", "apart", "linear", "kernel")
    assert any("pip install 'knotwork[sklearn]'" in notice for notice in found.notices)
    with pytest.raises(ImportError, match="scikit-learn"):
        compare(x, Y, lam=1.0, methods=("boosting",))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"Y": np.zeros(9)}, ValueError, "Y: must be"),
        ({"Y": np.zeros((9, 1))}, ValueError, "one task has no other"),
        ({"Y": np.full((9, 2), np.nan)}, ValueError, "column 0 has no label"),
        ({"Y": np.where(np.arange(18).reshape(9, 2) > 4, np.nan, 1.0)}, ValueError, "folds: .* task 1"),
        ({"X": np.zeros(9)}, ValueError, "folds: "),
        ({"folds": 1}, ValueError, "folds: must be"),
        ({"folds": 2.5}, ValueError, "folds: must be"),
        ({"repeats": 0}, ValueError, "repeats: must be"),
        ({"inner_folds": 1}, ValueError, "inner_folds: must be"),
        ({"scheme": "random"}, ValueError, "scheme: must be"),
        ({"scheme": "blocks", "X": np.zeros((9, 2))}, ValueError, "scheme: 2 inputs"),
        ({"scale": "unit"}, ValueError, "scale: must be"),
        ({"scale": "none", "loss": "huber"}, ValueError, "scale: only squared"),
        ({"loss": "logistic", "Y": np.ones((9, 2))}, ValueError, "loss: must be"),
        ({"lam": 0.0}, ValueError, "lam: must be"),
        ({"lam": "1"}, TypeError, "lam: must be"),
        ({"level": 1.0}, ValueError, "level: must be"),
        ({"margin": -0.1}, ValueError, "margin: must be"),
        ({"methods": "linear"}, TypeError, "methods: must be"),
        ({"methods": ("forest",)}, ValueError, "methods: must be of"),
        ({"methods": ("kernel",), "loss": "huber"}, ValueError, "kernel is for squared"),
        ({"others": {"apart": len}}, ValueError, "others: 'apart'"),
        ({"others": {"mine": 3}}, TypeError, "others: 'mine'"),
        ({"others": {"mine": lambda X, Y, new: np.zeros(3)}, "lam": 1.0}, ValueError, "'mine' must return"),
        ({"max_seconds": 0}, ValueError, "max_seconds: must be"),
        ({"progress": 3}, TypeError, "progress: must be"),
    ],
)
def test_bad_arguments_are_named(options, error, match):
    X, Y = np.linspace(0.0, 1.0, 9), np.random.default_rng(0).standard_normal((9, 2))
    given = {"X": X, "Y": Y} | options
    with pytest.raises(error, match=match):
        compare(given.pop("X"), given.pop("Y"), **given)


def test_the_verdict_is_of_the_interval_and_the_margin():
    apart = around(1.0)
    assert comparison(around(0.9)[::-1], apart).verdict == "together"
    assert comparison(around(1.1)[::-1], apart).verdict == "apart"
    # sure, but not worth it
    within = comparison(0.985 * apart, apart)
    assert within.ratio("together").high < 1.0
    assert within.verdict == "no difference"
    assert replace(within, margin=0.01).verdict == "together"
    # large, but not sure
    wide = comparison(0.8 * around(1.0, spread=0.9)[::-1], around(1.0, spread=0.9))
    assert wide.ratio("together").high > 1.0
    assert wide.verdict == "no difference"
    assert replace(wide, level=0.5).verdict == "together"
    assert "no difference that these data can show" in wide.sentence
    assert "no difference whether" in comparison(1.001 * apart, apart).sentence


def test_how_sure_a_verdict_is():
    apart = around(1.0, spread=0.9)
    found = comparison(around(0.8, spread=0.9)[::-1], apart)
    chances = found.chances()
    assert sum(chances) == pytest.approx(1.0)
    # the interval that ends at the margin is as sure as the chance says
    ends = replace(found, level=2.0 * chances.together - 1.0).ratio("together")
    assert ends.high == pytest.approx(1.0 / 1.02)
    turned = comparison(apart, around(0.8, spread=0.9)[::-1]).chances()
    assert (turned.apart, turned.together) == pytest.approx((chances.together, chances.apart))
    assert f"More than 2 % less together is {100 * chances.together:.0f} % sure, more" in found.sentence
    sure = comparison(around(0.7)[::-1], around(1.0))
    assert sure.sentence.endswith("More than 2 % less together is over 99 % sure.")
    assert comparison(around(1.4)[::-1], around(1.0)).sentence.endswith("less apart is over 99 % sure.")


def test_a_ratio_is_the_geometric_mean_of_the_tasks():
    rng = np.random.default_rng(0)
    together, apart = np.exp(rng.standard_normal((2, 40, 3)))
    together[5, 1] = apart[5, 1] = np.nan
    found = comparison(together, apart)
    totals = np.nanmean(together, axis=0) / np.nanmean(apart, axis=0)
    over = found.ratio("together")
    assert over.ratio == pytest.approx(np.prod(totals) ** (1 / 3))
    assert found.ratio("together", "apart", 1).ratio == pytest.approx(totals[1])
    np.testing.assert_allclose(found.task_errors, [np.nanmean(e, axis=0) for e in (together, apart)])
    np.testing.assert_allclose(found.mean_errors, found.task_errors.mean(axis=1))
    flipped = found.ratio("apart", "together")
    assert flipped.ratio == pytest.approx(1.0 / over.ratio)
    assert flipped.low == pytest.approx(1.0 / over.high)
    for bad in ({"method": "none"}, {"method": "apart", "to": "x"}, {"method": "apart", "task": 3}):
        with pytest.raises(ValueError, match="must be"):
            found.ratio(**bad)


def test_an_interval_from_next_to_nothing_is_wide_and_finite():
    found = comparison(np.array([1.0, 0.0] + 18 * [np.nan]), np.array([1e-6, 1e3] + 18 * [np.nan]))
    wide = replace(found, level=0.9999).ratio("together")
    assert wide.low < 1e-100
    assert 1e100 < wide.high < np.inf
    assert found.verdict == "no difference"


def test_labels_met_exactly_are_no_difference():
    assert comparison(np.zeros(20), np.zeros(20)).verdict == "no difference"


def test_a_better_rival_is_told():
    apart, rival = around(1.0), around(0.5)[::-1]
    said = comparison(around(0.9)[::-1], apart, rival, names=("kernel",)).sentence
    assert "But the Gaussian process with a ReLU kernel does better than training together" in said
    said = comparison(around(0.9)[::-1], apart, around(1.5)[::-1], names=("boosting",)).sentence
    assert "No other method compared does as well; next is gradient boosting" in said


def test_the_kernel_process_is_the_one_of_largest_likelihood_on_the_grid():
    rng = np.random.default_rng(0)
    X, X_new = rng.standard_normal((14, 2)), rng.standard_normal((5, 2))
    Y = np.column_stack([np.abs(X[:, 0]), X[:, 1]]) + 0.2 * rng.standard_normal((14, 2))
    Y[3, 0] = np.nan
    found = peers.kernel_process(X, Y, X_new)
    for t in range(2):
        rows = ~np.isnan(Y[:, t])
        y, best = Y[rows, [t]], (-np.inf, None)
        for bias in peers._BIASES:
            scale = np.mean(np.diag(arc_cosine_kernel(X, input_variance=0.5, bias_variance=bias)))
            for r in peers._NOISES:
                C = arc_cosine_kernel(X[rows], input_variance=0.5, bias_variance=bias) / scale
                s = float(y @ np.linalg.solve(C + r * np.eye(len(y)), y)) / len(y)

                def kernel(a, b, factor=s / scale, bias=bias):
                    return factor * arc_cosine_kernel(a, b, input_variance=0.5, bias_variance=bias)

                process = kw.gaussian_process(X[rows], y, kernel, r * s)
                likelihood = float(process.log_marginal_likelihood.sum())
                if likelihood > best[0] + 1e-9:
                    best = likelihood, process.predict(X_new)[:, 0]
        np.testing.assert_allclose(found[:, t], best[1], rtol=1e-5, atol=1e-7)


def test_a_task_apart_is_the_task_alone():
    x, Y = kinked(30, 3, shared=True, noise=0.2, missing=0.2)
    setting = Setting(Squared(), 0.5, "rows", 3, False, 0, 0.8)
    networks, _ = fits.fit_apart(x[:, None], Y, setting)
    for t, network in enumerate(networks):
        rows = ~np.isnan(Y[:, t])
        alone = kw.solve(kw.Problem(x[rows], Y[rows, t], 0.4), tol=1e-9).network
        np.testing.assert_allclose(network.predict(x[:, None]), alone.predict(x[:, None]), atol=1e-4)
