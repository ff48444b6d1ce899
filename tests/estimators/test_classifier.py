import pickle

import numpy as np
import pandas as pd
import pytest
from references_losses import conic_loss_optimum
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knotwork as kw
from knotwork.estimators import MultiTaskReLUClassifier

ALL_SKIP = (True, "frobenius")


def labels(n=24, n_tasks=2, seed=0):
    """One input; the odds of each label go down and up again."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-2, 2, n))
    odds = 3 * np.abs(x)[:, None] - 2.5 + 0.5 * np.arange(n_tasks) * x[:, None]
    return x[:, None], (rng.random((n, n_tasks)) < expit(odds)).astype(int)


def classes(n=30, seed=0):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-2, 2, n))
    scores = np.column_stack([2 * x, 3 * np.abs(x) - 2, -2 * x])
    return x[:, None], np.array(["fall", "turn", "rise"])[np.argmax(scores + rng.gumbel(size=(n, 3)), axis=1)]


def test_binary_classes_are_at_the_independent_optimum():
    X, Y = labels(n_tasks=1)
    y = np.array(["no", "yes"])[Y[:, 0]]
    model = MultiTaskReLUClassifier(0.3).fit(X, y)
    wanted = conic_loss_optimum("logistic", ALL_SKIP, X, Y.astype(float), 0.3)
    assert model.solution_.certificate.primal == pytest.approx(wanted.primal, rel=1e-5)
    np.testing.assert_allclose(model.decision_function(X), wanted.fitted[:, 0], atol=2e-2)
    assert model.n_knots_ >= 1
    assert list(model.classes_) == ["no", "yes"]
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba[:, 1], expit(model.decision_function(X)))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.predict(X) == "yes", proba[:, 1] > 0.5)
    assert model.score(X, y) == np.mean(model.predict(X) == y) > 0.6


def test_many_labels_with_gaps_are_at_the_independent_optimum():
    X, Y = labels(n_tasks=3)
    gaps = np.where(np.random.default_rng(5).random(Y.shape) < 0.25, np.nan, Y)
    model = MultiTaskReLUClassifier(0.3).fit(X, gaps)
    wanted = conic_loss_optimum("logistic", ALL_SKIP, X, gaps, 0.3)
    assert model.solution_.certificate.primal == pytest.approx(wanted.primal, rel=1e-5)
    np.testing.assert_allclose(model.decision_function(X), wanted.fitted, atol=2e-2)
    np.testing.assert_allclose(model.predict_proba(X), expit(model.decision_function(X)))
    seen = ~np.isnan(gaps)
    assert model.score(X, gaps) == pytest.approx(np.mean(model.predict(X)[seen] == gaps[seen]))
    # zeros are not the same as gaps
    filled = MultiTaskReLUClassifier(0.3).fit(X, np.nan_to_num(gaps)).predict_proba(X)
    assert np.abs(filled - model.predict_proba(X)).max() > 0.05
    masked = np.ma.masked_array(np.where(seen, gaps, 1), ~seen)
    np.testing.assert_array_equal(
        MultiTaskReLUClassifier(0.3).fit(X, masked).predict_proba(X), model.predict_proba(X)
    )
    table = pd.DataFrame(gaps, columns=list("abc")).astype("Int64")
    np.testing.assert_array_equal(
        MultiTaskReLUClassifier(0.3).fit(X, table).predict_proba(X), model.predict_proba(X)
    )


def test_classes_are_at_the_independent_optimum():
    X, y = classes()
    model = MultiTaskReLUClassifier(0.4).fit(X, y)
    assert list(model.classes_) == ["fall", "rise", "turn"]
    one_hot = (y[:, None] == model.classes_).astype(float)
    wanted = conic_loss_optimum("multinomial", ALL_SKIP, X, one_hot, 0.4)
    assert model.solution_.certificate.primal == pytest.approx(wanted.primal, rel=1e-5)
    np.testing.assert_allclose(model.predict_proba(X), softmax(wanted.fitted, axis=1), atol=5e-3)
    np.testing.assert_array_equal(model.predict(X), model.classes_[np.argmax(wanted.fitted, axis=1)])
    assert model.decision_function(X).shape == (30, 3)


def test_cross_validation_is_stratified_and_by_likelihood():
    X, y = classes(60)
    model = MultiTaskReLUClassifier(cv=3).fit(X, y)
    found = model.cross_validation_
    for fold, wanted in zip(found.folds, StratifiedKFold(3).split(X, y), strict=True):
        np.testing.assert_array_equal(fold[1], wanted[1])
    losses = []
    for train, test in found.folds:
        share = len(train) / len(X)
        lam = float(found.lam * share)
        proba = MultiTaskReLUClassifier(lam).fit(X[train], y[train]).predict_proba(X[test])
        losses.append(log_loss(y[test], proba, labels=model.classes_))
    at = int(np.argmin(found.mean_loss))
    assert found.lams[at] == model.lam_
    # a row is three labels, one for each class
    np.testing.assert_allclose(3 * found.fold_losses[:, at], losses, rtol=0.02)


def test_grid_search_over_labels_with_gaps():
    X, Y = labels(40, 2, seed=3)
    gaps = np.where(np.random.default_rng(5).random(Y.shape) < 0.2, np.nan, Y)
    lams = [100.0, 0.3]
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(MultiTaskReLUClassifier(), {"lam": lams}, cv=folds, error_score="raise").fit(
        X, gaps
    )
    wanted = []
    for lam in lams:
        scores = []
        for train, test in folds.split(X):
            answer = MultiTaskReLUClassifier(lam).fit(X[train], gaps[train]).predict(X[test])
            seen = ~np.isnan(gaps[test])
            scores.append(np.mean(answer[seen] == gaps[test][seen]))
        wanted.append(np.mean(scores))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], wanted)
    assert wanted[0] != wanted[1]


def test_separable_labels_are_told_where_they_have_no_optimum():
    X = np.linspace(-1, 1, 12)[:, None]
    y = X[:, 0] > 0.1
    with pytest.warns(ConvergenceWarning, match="separable.*all-skip"):
        model = MultiTaskReLUClassifier(0.1, penalty="weights-free-skip").fit(X, y)
    assert model.solution_.status is kw.Status.UNATTAINED
    assert model.score(X, y) == 1.0
    assert np.isfinite(model.decision_function(X)).all()
    decayed = MultiTaskReLUClassifier(0.1).fit(X, y)
    assert decayed.solution_.status is kw.Status.OPTIMAL
    assert 0.5 < decayed.predict_proba(X).max() < 1 - 1e-6


def test_weights_count_rows():
    X, y = classes()
    weight = np.random.default_rng(0).integers(1, 4, 30)
    weighted = MultiTaskReLUClassifier(0.4).fit(X, y, weight).predict_proba(X)
    repeated = MultiTaskReLUClassifier(0.4).fit(X.repeat(weight, axis=0), y.repeat(weight)).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-3)
    assert np.abs(weighted - MultiTaskReLUClassifier(0.4).fit(X, y).predict_proba(X)).max() > 1e-2


def test_it_lives_in_a_pipeline_and_can_be_pickled():
    X, y = classes()
    model = make_pipeline(StandardScaler(), MultiTaskReLUClassifier(0.4)).fit(1e4 * X + 1e5, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(1e4 * X + 1e5), model.predict_proba(1e4 * X + 1e5))
    assert model.score(1e4 * X + 1e5, y) > 0.6
    assert "rigour_ = exact" in model[-1]._repr_html_()
    assert clone(model[-1]).get_params() == model[-1].get_params()


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.ones(24), "one class only"),
        (np.full((24, 2), 2.0), "columns are labels 0 or 1"),
        (np.column_stack([np.arange(24) % 2, np.full(24, np.nan)]), "column 1 has no label"),
        (np.linspace(0, 1, 24), "Unknown label type"),
        (np.arange(23) % 2, "y: has 23 entries but X has 24 rows"),
    ],
)
def test_labels_that_make_no_sense(y, match):
    X, _ = labels()
    with pytest.raises(ValueError, match=match):
        MultiTaskReLUClassifier(0.3).fit(X, y)
