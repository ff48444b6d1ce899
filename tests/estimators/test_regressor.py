import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knotwork as kw
from knotwork.dual_norm import Rigour
from knotwork.estimators import MultiTaskReLURegressor


def bends(n=60, seed=0, noise=0.05):
    """One input, three tasks of very different units that bend at 0.3 and 0.7."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random(n))
    a, b = np.maximum(x - 0.3, 0), np.maximum(x - 0.7, 0)
    Y = np.column_stack([a - 2 * b, 2 * a + b, x - 3 * a]) + noise * rng.standard_normal((n, 3))
    return x[:, None], Y * np.array([1.0, 100.0, 0.01])


def ridges(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    return X, np.column_stack([np.abs(X[:, 0]), X[:, 1] - np.abs(X[:, 0])]) + 0.05 * rng.standard_normal(
        (n, 2)
    )


def with_gaps(Y, share=0.25, seed=1):
    return np.where(np.random.default_rng(seed).random(Y.shape) < share, np.nan, Y)


@pytest.mark.parametrize(("data", "lam"), [(bends, 0.05), (ridges, 2.0)])
def test_it_is_solve_on_the_scaled_problem(data, lam):
    X, Y = data()
    model = MultiTaskReLURegressor(lam).fit(X, Y)
    mean, deviation = Y.mean(axis=0), Y.std(axis=0)
    solution = kw.solve(kw.Problem(X, (Y - mean) / deviation, lam), tol=1e-8)
    assert model.n_knots_ == model.solution_.network.n_neurons > 0
    wanted = solution.network.predict(X) * deviation + mean
    assert np.abs((model.predict(X) - wanted) / deviation).max() < 2e-3
    reached, best = model.solution_.certificate.primal, solution.certificate.primal
    assert best * (1 - 1e-8) <= reached <= best * (1 + 2e-6)
    # the whole account of the certificate
    assert (model.lam_, model.rigour_) == (lam, Rigour.EXACT)
    assert 0 <= model.duality_gap_ <= 1e-6
    assert model.n_iter_ >= 1


def test_labels_as_they_are_with_scale_none():
    X, Y = bends()
    plain = MultiTaskReLURegressor(0.05, scale="none").fit(X, Y)
    wanted = kw.solve(kw.Problem(X, Y, 0.05), tol=1e-6).network.predict(X)
    np.testing.assert_allclose(plain.predict(X), wanted, atol=1e-3)
    scaled = MultiTaskReLURegressor(0.05).fit(X, Y)
    assert np.abs(scaled.predict(X) - plain.predict(X)).max() > 0.1


def test_units_of_the_labels_change_nothing():
    X, Y = bends()
    f = MultiTaskReLURegressor(0.05).fit(X, Y).predict(X)
    unit, origin = np.array([2.0, 0.5, 1e3]), np.array([1.0, -7.0, 0.0])
    np.testing.assert_allclose(
        MultiTaskReLURegressor(0.05).fit(X, Y * unit + origin).predict(X),
        f * unit + origin,
        rtol=1e-6,
        atol=1e-9,
    )


def test_a_share_of_lam_max():
    X, Y = bends()
    largest = kw.lam_max(kw.Problem(X, (Y - Y.mean(axis=0)) / Y.std(axis=0), 1.0))
    assert MultiTaskReLURegressor(lam_ratio=0.1).fit(X, Y).lam_ == pytest.approx(0.1 * largest)
    X, Y = ridges()
    for penalty, name in ((kw.Penalty(), "auto"), (kw.Penalty(True, "frobenius"), "all-skip")):
        largest = kw.lam_max(kw.Problem(X, (Y - Y.mean(axis=0)) / Y.std(axis=0), 1.0, penalty=penalty))
        found = MultiTaskReLURegressor(lam_ratio=1.01, penalty=name, max_cells=10**6).fit(X, Y)
        assert found.lam_ == pytest.approx(1.01 * largest, rel=5e-3)
        assert found.n_knots_ == 0
        assert MultiTaskReLURegressor(lam_ratio=0.95, penalty=name).fit(X, Y).n_knots_ > 0


def test_straight_labels_need_no_neuron():
    x = np.linspace(0, 1, 12)[:, None]
    for X in (x, np.column_stack([x, x**2])):
        model = MultiTaskReLURegressor(cv=3).fit(X, 2 * X.sum(axis=1) + 1)
        assert model.n_knots_ == 0
        np.testing.assert_allclose(model.predict(X), 2 * X.sum(axis=1) + 1, atol=1e-9)


def test_one_column_in_one_column_out():
    X, Y = bends()
    model = MultiTaskReLURegressor(0.1).fit(X, Y[:, 0])
    assert model.predict(X).shape == (60,)
    assert MultiTaskReLURegressor(0.1).fit(X, Y[:, :1]).predict(X).shape == (60, 1)
    assert model.n_tasks_ == 1


def test_cross_validation_is_that_of_the_library_in_one_input():
    X, Y = bends()
    Y = with_gaps(Y)
    folds = list(KFold(4, shuffle=True, random_state=0).split(X))
    model = MultiTaskReLURegressor(cv=KFold(4, shuffle=True, random_state=0), n_lams=20).fit(X, Y)
    scaled = (Y - np.nanmean(Y, axis=0)) / np.nanstd(Y, axis=0)
    wanted = kw.cross_validate(kw.Problem(X, scaled, 1.0), folds, n_lams=20, tol=1e-6)
    assert model.lam_ == pytest.approx(wanted.lam)
    np.testing.assert_allclose(model.cross_validation_.mean_loss, wanted.mean_loss, rtol=1e-6)
    assert 2 <= model.n_knots_ <= 20


def test_folds_of_several_inputs_choose_about_the_least_held_out_loss():
    X, Y = ridges()
    splitter = KFold(3, shuffle=True, random_state=1)
    model = MultiTaskReLURegressor(cv=splitter).fit(X, Y)
    scaled = kw.Problem(X, (Y - Y.mean(axis=0)) / Y.std(axis=0), 1.0)
    wanted = kw.cross_validate(scaled, list(splitter.split(X)), n_lams=10, lam_ratio=1e-3, tol=1e-4)
    found = model.cross_validation_
    assert found.lams[0] == pytest.approx(wanted.lams[0], rel=1e-6)
    same = wanted.mean_loss[: len(found.lams)]
    np.testing.assert_allclose(found.mean_loss, same, rtol=0.1)
    assert found.mean_loss.min() <= 1.1 * wanted.mean_loss.min()
    assert wanted.mean_loss[0] > 2 * wanted.mean_loss.min()
    assert model.score(X, Y) > 0.95
    careful = MultiTaskReLURegressor(cv=splitter, rule="1se").fit(X, Y)
    assert careful.lam_ == careful.cross_validation_.lam_1se >= model.lam_


def test_workers_change_nothing():
    X, Y = ridges(40)
    one, two = (MultiTaskReLURegressor(cv=2, n_lams=4, n_jobs=n).fit(X, Y) for n in (1, 2))
    np.testing.assert_array_equal(one.cross_validation_.mean_loss, two.cross_validation_.mean_loss)
    assert one.lam_ == two.lam_


def test_the_score_is_of_the_labels_that_are_there():
    X, Y = bends()
    gaps = with_gaps(Y)
    model = MultiTaskReLURegressor(0.1).fit(X, gaps)
    f = model.predict(X)
    each = []
    for t in range(3):
        seen = ~np.isnan(gaps[:, t])
        y = gaps[seen, t]
        each.append(1 - np.sum((y - f[seen, t]) ** 2) / np.sum((y - y.mean()) ** 2))
    assert model.score(X, gaps) == pytest.approx(np.mean(each))
    # without gaps it is scikit-learn's
    assert model.score(X, Y) == pytest.approx(sklearn.metrics.r2_score(Y, f))
    # a task without labels is left out, not counted as 0 or 1
    alone = np.where(np.arange(3) == 1, gaps, np.nan)
    assert model.score(X, alone) == pytest.approx(each[1])
    assert np.isnan(model.score(X, np.full_like(Y, np.nan)))
    with pytest.raises(ValueError, match="2 columns but the fit has 3 tasks"):
        model.score(X, Y[:, :2])


def test_missing_labels_carry_no_weight():
    X, Y = bends()
    gaps = with_gaps(Y)
    f = MultiTaskReLURegressor(0.1, scale="none").fit(X, gaps).predict(X)
    # what stands at a missing label must not matter, and dropping it must
    wrong = np.where(np.isnan(gaps), 1e3, gaps)
    weight = np.where(np.isnan(gaps), 0.0, 1.0)
    np.testing.assert_allclose(
        MultiTaskReLURegressor(0.1, scale="none").fit(X, wrong, weight).predict(X), f, atol=1e-2
    )
    filled = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), gaps)
    assert np.abs(MultiTaskReLURegressor(0.1, scale="none").fit(X, filled).predict(X) - f).max() > 1.0


def test_grid_search_with_missing_labels_takes_the_lam_that_predicts_best():
    X, Y = bends(noise=0.1)
    gaps = with_gaps(Y)
    ratios = [0.5, 0.05, 0.005, 1e-7]
    folds = KFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(MultiTaskReLURegressor(), {"lam_ratio": ratios}, cv=folds, error_score="raise").fit(
        X, gaps
    )
    # the same by hand
    wanted = []
    for ratio in ratios:
        scores = []
        for train, test in folds.split(X):
            f = MultiTaskReLURegressor(lam_ratio=ratio).fit(X[train], gaps[train]).predict(X[test])
            seen = ~np.isnan(gaps[test])
            each = []
            for t in range(3):
                y, p = gaps[test][seen[:, t], t], f[seen[:, t], t]
                each.append(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))
            scores.append(np.mean(each))
        wanted.append(np.mean(scores))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], wanted, rtol=1e-9)
    assert search.best_params_["lam_ratio"] in (0.05, 0.005)
    assert search.best_score_ == max(wanted) > wanted[-1]


def test_masked_labels_are_missing_and_masked_inputs_refused():
    X, Y = bends()
    gaps = with_gaps(Y)
    masked = np.ma.masked_array(np.where(np.isnan(gaps), 1e3, gaps), np.isnan(gaps))
    model = MultiTaskReLURegressor(0.1).fit(X, masked)
    np.testing.assert_array_equal(model.predict(X), MultiTaskReLURegressor(0.1).fit(X, gaps).predict(X))
    assert model.score(X, masked) == model.score(X, gaps)
    hidden = np.ma.masked_array(X, np.arange(60)[:, None] == 3)
    with pytest.raises(TypeError, match="X: masked entries"):
        MultiTaskReLURegressor(0.1).fit(hidden, Y)
    np.testing.assert_array_equal(model.predict(np.ma.asarray(X)), model.predict(X))


def test_tasks_without_labels_are_named():
    X, Y = bends()
    none = Y.copy()
    none[:, 2] = np.nan
    with pytest.raises(ValueError, match="y: column 2 has no label"):
        MultiTaskReLURegressor(0.1).fit(X, none)
    few = Y.copy()
    few[12:, 1] = np.nan
    with pytest.raises(ValueError, match=r"cv: fold 0 leaves no label of task 1 .* KFold\(shuffle=True\)"):
        MultiTaskReLURegressor(cv=5).fit(X, few)
    assert MultiTaskReLURegressor(cv=KFold(5, shuffle=True, random_state=0)).fit(X, few).n_tasks_ == 3
    late = Y.copy()
    late[:12] = np.nan
    with pytest.raises(ValueError, match="cv: fold 0 holds out no label"):
        MultiTaskReLURegressor(cv=KFold(5)).fit(X, late)
    # a number splits the rows that have labels
    assert len(MultiTaskReLURegressor(cv=5, n_lams=5).fit(X, late).cross_validation_.folds) == 5


def test_weights_count_rows():
    X, Y = ridges(30)
    weight = np.random.default_rng(0).integers(0, 3, 30)
    repeated = MultiTaskReLURegressor(1.0).fit(X.repeat(weight, axis=0), Y.repeat(weight, axis=0))
    weighted = MultiTaskReLURegressor(1.0).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)
    assert np.abs(weighted.predict(X) - MultiTaskReLURegressor(1.0).fit(X, Y).predict(X)).max() > 1e-3
    rows, labels = X.repeat(weight, axis=0), Y.repeat(weight, axis=0)
    wanted = kw.solve(kw.Problem(rows, labels, 1.0), tol=1e-8).network.predict(X)
    found = MultiTaskReLURegressor(1.0, scale="none").fit(X, Y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(found, wanted, atol=5e-3)
    assert weighted.score(X, Y, weight) == pytest.approx(
        weighted.score(X.repeat(weight, axis=0), Y.repeat(weight, axis=0))
    )
    with pytest.raises(ValueError, match="sample_weight: must have shape"):
        MultiTaskReLURegressor(1.0).fit(X, Y, np.ones((30, 3)))


def test_weights_are_routed():
    X, Y = bends(40)
    weight = np.linspace(0.0, 1.0, 40)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = MultiTaskReLURegressor(0.1).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        scores = cross_val_score(asking, X, Y, cv=KFold(2), params={"sample_weight": weight})
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asking)
        in_pipeline = pipeline.fit(X, Y, sample_weight=weight).predict(X)
    wanted = []
    for train, test in KFold(2).split(X):
        model = MultiTaskReLURegressor(0.1).fit(X[train], Y[train], weight[train])
        wanted.append(model.score(X[test], Y[test], weight[test]))
    np.testing.assert_allclose(scores, wanted)
    Z = StandardScaler().fit_transform(X)
    by_hand = MultiTaskReLURegressor(0.1).fit(Z, Y, weight).predict(Z)
    np.testing.assert_allclose(in_pipeline, by_hand)
    assert np.abs(by_hand - MultiTaskReLURegressor(0.1).fit(Z, Y).predict(Z)).max() > 1e-3


def test_tables_come_with_names_and_gaps():
    X, Y = bends()
    frame = pd.DataFrame(X, columns=["day"])
    labels = pd.DataFrame(with_gaps(Y), columns=list("abc")).astype("Float64")
    assert labels.isna().any(axis=None)
    model = MultiTaskReLURegressor(0.1).fit(frame, labels)
    assert list(model.feature_names_in_) == ["day"]
    assert model.n_features_in_ == 1
    np.testing.assert_array_equal(
        model.predict(frame), MultiTaskReLURegressor(0.1).fit(X, with_gaps(Y)).predict(X)
    )
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"day": "week"}))


@pytest.mark.parametrize(("data", "arguments"), [(bends, {"n_lams": 8}), (ridges, {"lam": 2.0})])
def test_it_can_be_copied_cloned_and_pickled(data, arguments):
    X, Y = data()
    model = MultiTaskReLURegressor(**arguments).fit(X, with_gaps(Y))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(
        again.solution_.certificate.dual_point, model.solution_.certificate.dual_point
    )
    assert pickle.loads(pickle.dumps(again)).duality_gap_ == model.duality_gap_
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    assert not hasattr(fresh, "solution_")


def test_a_gap_above_tol_is_told():
    X, Y = ridges()
    with pytest.warns(
        ConvergenceWarning, match=r"gap .* is above tol=1e-06: stopped at max_seconds.*increase"
    ):
        model = MultiTaskReLURegressor(0.5, max_seconds=1e-4).fit(X, Y)
    assert model.duality_gap_ > 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiTaskReLURegressor(0.5, max_seconds=1e-4, tol=0.99).fit(X, Y)


def test_the_diagram_shows_the_certificate():
    X, Y = bends()
    model = MultiTaskReLURegressor(0.1)
    assert "duality_gap_" not in model._repr_html_()
    model.fit(X, Y)
    for shown in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert f"n_knots_ = {model.n_knots_} " in shown
        assert f"duality_gap_ = {model.duality_gap_:.2g}" in shown
        assert "rigour_ = exact" in shown


@pytest.mark.parametrize("data", [bends, ridges])
def test_refit_is_least_squares_on_the_neurons(data):
    X, Y = data()
    gaps = with_gaps(Y)
    shrunk = MultiTaskReLURegressor(lam_ratio=0.05).fit(X, gaps)
    model = MultiTaskReLURegressor(lam_ratio=0.05, refit=True).fit(X, gaps)
    network = model.solution_.network
    hinges = np.maximum(X @ network.W.T + network.b, 0)
    for t in range(Y.shape[1]):
        seen = ~np.isnan(gaps[:, t])
        features = np.column_stack([hinges, X])
        wanted = LinearRegression().fit(features[seen], gaps[seen, t]).predict(features)
        np.testing.assert_allclose(
            model.predict(X)[:, t], wanted, rtol=1e-6, atol=1e-8 * np.nanstd(gaps[:, t])
        )
    assert model.score(X, gaps) > shrunk.score(X, gaps)


def test_losses():
    rng = np.random.default_rng(0)
    X = np.linspace(0, 1, 40)[:, None]
    counts = rng.poisson(np.exp(1 + 2 * X[:, 0])).astype(float)
    model = MultiTaskReLURegressor(0.5, loss="poisson").fit(X, counts)
    wanted = kw.solve(kw.Problem(X, counts, 0.5, "poisson"), tol=1e-6).network.predict(X)[:, 0]
    np.testing.assert_allclose(model.predict(X), np.exp(wanted), rtol=1e-3)
    # the sum of rates is the sum of counts where c costs nothing
    assert model.predict(X).sum() == pytest.approx(counts.sum(), rel=1e-3)
    both = np.column_stack([counts, 5 + 100 * X[:, 0]])
    mixed = MultiTaskReLURegressor(0.1, loss=["poisson", kw.Quantile(0.5)]).fit(X, both)
    assert mixed.scaling_.scale[0] == 1.0
    assert mixed.scaling_.scale[1] == pytest.approx(both[:, 1].std())
    np.testing.assert_allclose(mixed.predict(X)[:, 1], both[:, 1], rtol=1e-3)
    with pytest.raises(ValueError, match="MultiTaskReLUClassifier"):
        MultiTaskReLURegressor(0.1, loss="logistic").fit(X, counts > 5)
    with pytest.raises(ValueError, match="refit: takes squared loss"):
        MultiTaskReLURegressor(0.1, loss="huber", refit=True).fit(X, counts)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"lam": "auto"}, "lam: must be 'cv' or a number"),
        ({"lam": -1.0}, "lam: must be finite and >= 0"),
        ({"lam": 1.0, "lam_ratio": 0.1}, "lam_ratio: cannot be given beside lam=1.0"),
        ({"lam_ratio": 0}, "lam_ratio: must be a number > 0"),
        ({"lam": 1.0, "penalty": "l2"}, "penalty: must be .* 'auto', or one of"),
        ({"lam": 1.0, "scale": "std"}, "scale: must be 'task' or 'none'"),
        ({"lam": 1.0, "max_cells": -1}, "max_cells: must be an integer"),
        ({"rule": "best"}, "rule: must be"),
    ],
)
@pytest.mark.parametrize("data", [bends, ridges])
def test_arguments_that_make_no_sense(data, arguments, match):
    X, Y = data(24)
    with pytest.raises(ValueError, match=match):
        MultiTaskReLURegressor(**arguments).fit(X, Y)
