import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score

import knotwork as kw
from knotwork.estimators import StackedReLURegressor


def data(n=40):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (n, 2)) * [1.0, 100.0] + [0.0, 500.0]
    bend = np.abs(X[:, 0] + 0.2)
    return X, np.column_stack([bend, 10 - 50 * bend])


@pytest.fixture(scope="module")
def fitted():
    X, Y = data()
    gaps = np.where(np.random.default_rng(1).random(Y.shape) < 0.2, np.nan, Y)
    return X, Y, gaps, StackedReLURegressor(steps=300, n_seeds=2).fit(X, gaps)


def test_it_is_the_best_of_train_stacked_on_the_scaled_problem(fitted):
    X, Y, gaps, model = fitted
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    mean, deviation = np.nanmean(gaps, axis=0), np.nanstd(gaps, axis=0)
    penalty = kw.Penalty(True, "frobenius")
    problem = kw.Problem(Z, (gaps - mean) / deviation, 0.05, penalty=penalty)
    training = kw.train_stacked(
        problem, (2,), 20, seeds=2, steps=300, learning_rate=1e-2, rounds=0, check_every=500
    )
    np.testing.assert_allclose(model.predict(X), training.best.predict(Z) * deviation + mean, rtol=1e-6)
    np.testing.assert_allclose(model.training_objectives_, training.objectives, rtol=1e-6)
    assert model.network_.bottlenecks == (2,)
    # labels that were missing are predicted, for both tasks bend at one place
    missing = np.isnan(gaps)
    for t in range(2):
        assert r2_score(Y[missing[:, t], t], model.predict(X)[missing[:, t], t]) > 0.9


def test_score_pickle_and_clone(fitted):
    X, _, gaps, model = fitted
    each = [r2_score(gaps[s, t], model.predict(X)[s, t]) for t, s in enumerate((~np.isnan(gaps)).T)]
    assert model.score(X, gaps) == pytest.approx(np.mean(each))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"penalty": "weights"}, "penalty: a stack decays its biases"),
        ({"scale": "std"}, "scale: must be"),
        ({"lam": 0.0}, "lam"),
        ({"bottlenecks": (0,)}, "bottlenecks"),
        ({"n_seeds": 0}, "seeds"),
    ],
)
def test_arguments_that_make_no_sense(arguments, match):
    X, Y = data(10)
    with pytest.raises(ValueError, match=match):
        StackedReLURegressor(**arguments).fit(X, Y)
