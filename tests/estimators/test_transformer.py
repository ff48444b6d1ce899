import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import NotFittedError

import knotwork as kw
from knotwork.estimators import MultiTaskReLURegressor, SharedKnotTransformer


def data(n=60, d=2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, np.column_stack([np.abs(X[:, 0]), X[:, -1] - np.abs(X[:, 0])]) + 0.05 * rng.standard_normal(
        (n, 2)
    )


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("penalty", ["weights-free-skip", "all"])
def test_the_features_reproduce_the_prediction_linearly(d, penalty):
    X, Y = data(d=d)
    transformer = SharedKnotTransformer(lam_ratio=0.05, penalty=penalty).fit(X, Y)
    f = MultiTaskReLURegressor(lam_ratio=0.05, penalty=penalty).fit(X, Y).predict(X)
    features = transformer.transform(X)
    K = len(transformer.neurons_)
    assert features.shape == (60, d + K)
    assert 1 <= K <= 20
    np.testing.assert_array_equal(features[:, :d], X)
    assert np.abs(LinearRegression().fit(features, f).predict(features) - f).max() < 1e-8
    # and the inputs alone do not
    assert np.abs(LinearRegression().fit(X, f).predict(X) - f).max() > 0.1
    sizes = transformer.neurons_ if penalty == "all" else transformer.neurons_[:, :-1]
    np.testing.assert_allclose(np.linalg.norm(sizes, axis=1), 1.0)


def test_names_and_tables():
    X, Y = data()
    frame = pd.DataFrame(X, columns=["age", "dose"])
    transformer = SharedKnotTransformer(lam_ratio=0.2).fit(frame, Y)
    names = transformer.get_feature_names_out()
    K = len(transformer.neurons_)
    assert list(names) == ["age", "dose", *(f"neuron{k}" for k in range(K))]
    table = transformer.set_output(transform="pandas").transform(frame)
    assert list(table.columns) == list(names)
    hinge = np.maximum(X @ transformer.neurons_[0, :2] + transformer.neurons_[0, 2], 0)
    np.testing.assert_allclose(table["neuron0"], hinge)
    bare = SharedKnotTransformer(lam_ratio=0.2, include_inputs=False).fit(frame, Y)
    assert list(bare.get_feature_names_out()) == list(names[2:])
    np.testing.assert_array_equal(bare.transform(frame), table.to_numpy()[:, 2:])


def test_a_linear_model_on_the_features_knows_the_bends():
    X, Y = data()
    gaps = np.where(np.random.default_rng(1).random(Y.shape) < 0.3, np.nan, Y)
    model = make_pipeline(SharedKnotTransformer(lam_ratio=0.1), LinearRegression())
    assert model.fit(X, Y).score(X, Y) > 0.98 > LinearRegression().fit(X, Y).score(X, Y) + 0.2
    transformer = SharedKnotTransformer(lam_ratio=0.1).fit(X, gaps)
    assert isinstance(transformer.regressor_.solution_, kw.Solution)
    again = pickle.loads(pickle.dumps(transformer))
    np.testing.assert_array_equal(again.transform(X), transformer.transform(X))


def test_labels_are_needed_and_it_must_be_fitted():
    X, Y = data()
    with pytest.raises(ValueError, match="requires y"):
        SharedKnotTransformer().fit(X, None)
    with pytest.raises(NotFittedError):
        SharedKnotTransformer().transform(X)
    with pytest.raises(ValueError, match="lam_ratio: must be"):
        SharedKnotTransformer(lam_ratio=-1).fit(X, Y)
