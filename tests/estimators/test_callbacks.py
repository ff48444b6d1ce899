from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from knotwork.estimators import MultiTaskReLUClassifier, MultiTaskReLURegressor, _callbacks
from knotwork.solution import Status

pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")


class Recorder:
    """Counts the tasks that end; asks to stop at the `stop`-th."""

    def __init__(self, stop=None):
        self.stop, self.ended, self.set_up = stop, [], 0

    def setup(self, estimator, context):
        self.set_up += 1

    def teardown(self, estimator, context):
        self.set_up -= 1

    def on_fit_task_begin(self, estimator, context):
        assert self.set_up == 1

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.ended.append((context.task_name, metadata))
        return self.stop is not None and len(self.ended) >= self.stop


class Propagated(Recorder):
    max_propagation_depth = None


def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 1))
    return X, np.abs(X[:, 0] - 0.2) + 0.05 * rng.standard_normal(40)


def test_every_round_is_a_task_of_the_fit():
    X, y = data()
    recorder = Recorder()
    fit = MultiTaskReLURegressor(lam_ratio=0.01).set_callbacks(recorder).fit(X, y)
    names = [name for name, _ in recorder.ended]
    assert names == ["round"] * fit.n_iter_ + ["fit"]
    told = [metadata["gap"] for _, metadata in recorder.ended[:-1]]
    assert told == [entry.gap for entry in fit.solution_.trace]
    assert recorder.set_up == 0


@pytest.mark.parametrize("estimator", [MultiTaskReLURegressor(), MultiTaskReLUClassifier()])
def test_folds_are_told_too(estimator):
    X, y = data()
    recorder = Recorder()
    labels = y > 0.5 if isinstance(estimator, MultiTaskReLUClassifier) else y
    copy: Any = clone(estimator)
    fit = copy.set_callbacks(recorder).fit(X, labels)
    assert len(recorder.ended) > fit.n_iter_ + 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_callback_stops_the_solver():
    X, y = data()
    recorder = Recorder(stop=2)
    fit = MultiTaskReLURegressor(lam_ratio=0.001, tol=1e-10).set_callbacks(recorder).fit(X, y)
    assert fit.solution_.status is Status.STOPPED
    assert fit.n_iter_ == 2
    assert recorder.set_up == 0


def test_callbacks_change_nothing_of_the_fit():
    X, y = data()
    plain = MultiTaskReLURegressor().fit(X, y)
    watched = MultiTaskReLURegressor().set_callbacks(Recorder()).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), watched.predict(X))


def test_a_search_hands_its_callbacks_down():
    X, y = data()
    recorder = Propagated()
    search = GridSearchCV(MultiTaskReLURegressor(), {"lam_ratio": [0.1, 0.01]}, cv=3)
    search.set_callbacks(recorder).fit(X, y)
    assert sum(name == "round" for name, _ in recorder.ended) > 6


def test_callbacks_are_put_away_where_the_fit_fails():
    X, y = data()
    recorder = Recorder()
    with pytest.raises(ValueError, match="lam: must be"):
        MultiTaskReLURegressor(lam=-1.0).set_callbacks(recorder).fit(X, y)
    assert recorder.set_up == 0


def test_without_callbacks_the_solver_calls_nothing():
    progress, done = _callbacks.watched(MultiTaskReLURegressor(), None, None)
    assert progress is None
    assert done() is None
