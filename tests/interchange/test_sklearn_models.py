from __future__ import annotations

import warnings

import numpy as np
import pytest
from example_networks import assert_predicts

import knotwork as kw

pytest.importorskip("sklearn")
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, StandardScaler

rng = np.random.default_rng(0)
X = rng.standard_normal((80, 3)) * [1.0, 10.0, 0.1] + [0.0, 100.0, 5.0]
Y = np.column_stack([np.sin(X[:, 0]), np.abs(X[:, 0]) + X[:, 2]])


def fitted(estimator, y=Y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


def mlp(kind=MLPRegressor, hidden=(6,), **more):
    return kind(hidden_layer_sizes=hidden, max_iter=20, random_state=0, **more)


@pytest.mark.parametrize(
    "make",
    [
        mlp,
        lambda: mlp(hidden=7),
        lambda: mlp(hidden=()),
        lambda: make_pipeline(StandardScaler(), mlp()),
        lambda: make_pipeline(StandardScaler(with_mean=False), mlp()),
        lambda: make_pipeline(StandardScaler(with_std=False), StandardScaler(), mlp()),
        lambda: Pipeline([("scale", StandardScaler()), ("none", "passthrough"), ("mlp", mlp())]),
        lambda: TransformedTargetRegressor(mlp(), transformer=StandardScaler()),
        lambda: TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp())),
        lambda: TransformedTargetRegressor(
            make_pipeline(StandardScaler(), mlp(hidden=())), transformer=StandardScaler()
        ),
    ],
)
@pytest.mark.parametrize("n_tasks", [1, 2])
def test_predictions_are_the_estimators(make, n_tasks):
    labels = 1e3 + 50.0 * Y if n_tasks == 2 else Y[:, 0]
    estimator = fitted(make(), labels)
    net = kw.from_sklearn(estimator)
    assert (net.n_inputs, net.n_tasks) == (3, n_tasks)
    assert_predicts(net.predict(X), estimator.predict(X).reshape(-1, n_tasks))


def test_float32_weights_are_widened():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = mlp().fit(X.astype(np.float32), Y.astype(np.float32))
    assert estimator.coefs_[0].dtype == np.float32
    net = kw.from_sklearn(estimator)
    np.testing.assert_array_equal(net.W, estimator.coefs_[0].T)
    assert_predicts(estimator.predict(X.astype(np.float32)), net.predict(X.astype(np.float32)), 1e-4)


@pytest.mark.parametrize("classes", ["two", "three", "labels"])
def test_classifiers_give_the_log_odds(classes):
    labels = {"two": Y[:, 0] > 0, "three": np.digitize(Y[:, 0], [-0.5, 0.5]), "labels": (Y > 0.3).astype(int)}
    estimator = fitted(mlp(MLPClassifier), labels[classes])
    f, given = kw.from_sklearn(estimator).predict(X), estimator.predict_proba(X)
    if classes == "three":
        assert_predicts(np.exp(f) / np.exp(f).sum(axis=1, keepdims=True), given)
    else:
        assert_predicts(1 / (1 + np.exp(-f)), given[:, 1:] if classes == "two" else given)


def test_poisson_loss_gives_the_log_of_the_rate():
    try:
        estimator = fitted(mlp(loss="poisson"), np.exp(Y[:, 0]))
    except TypeError:
        pytest.skip("this scikit-learn has no loss= of MLPRegressor")
    assert_predicts(np.exp(kw.from_sklearn(estimator).predict(X))[:, 0], estimator.predict(X))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fitted(mlp(activation="tanh")), "activation='tanh'; supported are MLPRegressor"),
        (lambda: fitted(mlp(activation="identity")), "activation='identity'"),
        (lambda: fitted(mlp(hidden=(4, 4))), "has 2 hidden layers"),
        (mlp, "MLPRegressor is not fitted"),
        (lambda: make_pipeline(StandardScaler(), mlp()), "MLPRegressor is not fitted"),
        (lambda: TransformedTargetRegressor(mlp()), "TransformedTargetRegressor is not fitted"),
        (lambda: fitted(make_pipeline(MinMaxScaler(), mlp())), "step 'minmaxscaler' is a MinMaxScaler"),
        (
            lambda: fitted(TransformedTargetRegressor(mlp(), func=np.arcsinh, inverse_func=np.sinh)),
            "the transformer of labels is a FunctionTransformer",
        ),
        (
            lambda: fitted(TransformedTargetRegressor(mlp(), transformer=PowerTransformer())),
            "the transformer of labels is a PowerTransformer",
        ),
    ],
)
def test_other_networks_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=f"^estimator: .*{message}"):
        kw.from_sklearn(make())


@pytest.mark.parametrize("other", [Ridge, RandomForestRegressor, lambda: make_pipeline(Ridge()), dict])
def test_other_estimators_are_refused(other):
    with pytest.raises(TypeError, match=r"^estimator: got (Ridge|RandomForestRegressor|dict); supported are"):
        kw.from_sklearn(other())


def test_weights_that_are_not_finite_are_named():
    estimator = fitted(mlp())
    estimator.coefs_[1][2, 0] = np.nan
    with pytest.raises(ValueError, match=r"coefs_\[1\]: NaN at index \(2, 0\)"):
        kw.from_sklearn(estimator)
    estimator = fitted(mlp())
    estimator.intercepts_[0] = np.ones(4)
    with pytest.raises(ValueError, match=r"b: must have shape \(6,\)"):
        kw.from_sklearn(estimator)
