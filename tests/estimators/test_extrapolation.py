from __future__ import annotations

import html

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.estimators import MultiTaskReLUClassifier, MultiTaskReLURegressor, StackedReLURegressor


def data(d=2, n=25):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (n, d))
    return X, np.abs(X[:, 0] - 0.2) + 0.05 * rng.standard_normal(n)


def make(kind, extrapolation):
    if kind == "regressor":
        return MultiTaskReLURegressor(lam_ratio=0.1, extrapolation=extrapolation)
    if kind == "classifier":
        return MultiTaskReLUClassifier(lam_ratio=0.1, extrapolation=extrapolation)
    pytest.importorskip("jax")
    return StackedReLURegressor((1,), widths=4, n_seeds=1, steps=20, extrapolation=extrapolation)


def said(estimator, X):
    decide = getattr(estimator, "decision_function", estimator.predict)
    return decide(X)


@pytest.mark.parametrize("kind", ["regressor", "classifier", "stacked"])
def test_outside_of_the_box_the_policy_decides(kind):
    X, y = data()
    y = y > 0.6 if kind == "classifier" else y
    fits = {name: make(kind, name).fit(X, y) for name in ("linear", "constant", "raise")}
    low, high = X.min(axis=0), X.max(axis=0)
    np.testing.assert_array_equal(fits["raise"].input_box_.low, low)
    np.testing.assert_array_equal(fits["raise"].input_box_.high, high)
    inside = 0.5 * X
    for name in ("constant", "raise"):
        np.testing.assert_allclose(said(fits[name], inside), said(fits["linear"], inside))
    far = np.array([[5.0, 0.0], [0.0, -7.0], [9.0, 9.0]])
    nearest = np.array([[high[0], 0.0], [0.0, low[1]], high])
    np.testing.assert_allclose(said(fits["constant"], far), said(fits["linear"], nearest))
    assert not np.allclose(said(fits["linear"], far), said(fits["linear"], nearest))
    with pytest.raises(ValueError, match="extrapolation: input 0 is 5 in row 1, outside of the fit's"):
        said(fits["raise"], far)


def test_the_default_is_what_the_network_says():
    X, y = data()
    fit = MultiTaskReLURegressor(lam_ratio=0.1).fit(X, y)
    far = 10.0 * X
    np.testing.assert_array_equal(fit.predict(far), fit.network_.predict(far)[:, 0])


def test_columns_are_named_in_the_refusal():
    X, y = data()
    table = pd.DataFrame(X, columns=["age", "load"])
    fit = MultiTaskReLURegressor(lam_ratio=0.1, extrapolation="raise").fit(table, y)
    with pytest.raises(ValueError, match="extrapolation: load is 3"):
        fit.predict(pd.DataFrame({"age": [0.0], "load": [3.0]}))


def test_rows_that_weigh_nothing_are_no_data():
    X, y = data(1)
    X[3], weight = 40.0, np.ones(len(X))
    weight[3] = 0.0
    fit = MultiTaskReLURegressor(lam_ratio=0.1, extrapolation="constant").fit(X, y, weight)
    assert fit.input_box_.high[0] <= 1.0
    Y = np.column_stack([y, y])
    Y[3] = np.nan
    assert MultiTaskReLURegressor(lam_ratio=0.1).fit(X, Y).input_box_.high[0] <= 1.0


@pytest.mark.parametrize("kind", ["regressor", "classifier", "stacked"])
def test_another_policy_is_refused(kind):
    X, y = data()
    with pytest.raises(ValueError, match="extrapolation: must be 'linear', 'constant' or 'raise', got 'up'"):
        make(kind, "up").fit(X, y > 0.6 if kind == "classifier" else y)


def test_the_1se_rule_says_what_min_would_have_taken():
    rng = np.random.default_rng(1)
    x = np.linspace(0, 8, 80)[:, None]
    y = np.maximum(x[:, 0] - 3, 0) + 0.4 * rng.standard_normal(80)
    order = rng.permutation(80)
    fit = MultiTaskReLURegressor(rule="1se").fit(x[order], y[order])
    least = MultiTaskReLURegressor(rule="min").fit(x[order], y[order])
    found = fit.cross_validation_
    assert fit.lam_ == found.lam_1se > found.lam_min == least.lam_
    assert fit.n_knots_ <= least.n_knots_
    assert html.escape(f"by rule '1se', 'min' has {found.lam_min:.4g}") in fit._repr_html_()
    assert "by rule" not in least._repr_html_()


def test_losses_have_their_numbers_in_their_names():
    X, y = data(1)
    named = MultiTaskReLURegressor(lam_ratio=0.05, loss="quantile:0.9", tol=1e-4).fit(X, y)
    given = MultiTaskReLURegressor(lam_ratio=0.05, loss=kw.Quantile(0.9), tol=1e-4).fit(X, y)
    np.testing.assert_array_equal(named.predict(X), given.predict(X))
