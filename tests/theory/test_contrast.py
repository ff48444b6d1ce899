"""What tasks learn from each other: nothing with a fixed kernel, but in trained networks (B, section 4)."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import knotwork as kw
from knotwork.theory.arc_cosine import arc_cosine_kernel, neural_tangent_kernel
from knotwork.theory.contrast import coregionalisation_experiment, joint_minus_separate
from knotwork.theory.coregionalised import coregionalised
from knotwork.theory.gaussian_process import gaussian_process, rbf_kernel
from knotwork.theory.random_features import fit_random_features, random_features

LAM = 0.05
BIASES = kw.Penalty(biases=True, skip="none")
AT = np.linspace(-2.5, 2.5, 101)


def data(gaps):
    """Two tasks that bend at 0 and -1 with noise, a third that bends weakly in the same places."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-2, 2, 14))
    bends = np.maximum(np.column_stack([x, x + 1.0]), 0.0)
    Y = bends @ np.array([[2.0, -1.0, 0.4], [-1.0, 2.0, 0.3]]) + 0.1 * rng.standard_normal((14, 3))
    if gaps:
        Y[3:][rng.uniform(size=(11, 3)) < 0.3] = np.nan
    return x, Y


FIXED = {
    "NNGP, joint": lambda X, Y: coregionalised(
        X, Y, partial(arc_cosine_kernel, output_bias_variance=1.0), LAM, np.eye(Y.shape[1])
    ),
    "NNGP": lambda X, Y: gaussian_process(X, Y, partial(arc_cosine_kernel, depth=3), LAM),
    "NTK": lambda X, Y: gaussian_process(X, Y, partial(neural_tangent_kernel, depth=2), LAM),
    "RBF": lambda X, Y: coregionalised(X, Y, rbf_kernel, LAM, np.eye(Y.shape[1])),
    "narrow random features": lambda X, Y: fit_random_features(
        random_features(1, 6, random_state=0), kw.Problem(X, Y, LAM)
    ),
    "wide random features": lambda X, Y: fit_random_features(
        random_features(1, 500, random_state=0), kw.Problem(X, Y, LAM, penalty=BIASES)
    ),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("name", FIXED)
def test_with_a_fixed_kernel_joint_is_separate(name, gaps):
    assert joint_minus_separate(FIXED[name], *data(gaps), AT) <= 1e-10


@pytest.mark.parametrize("penalty", [BIASES, kw.Penalty()])
@pytest.mark.parametrize("gaps", [False, True])
def test_trained_together_networks_differ(penalty, gaps):
    def fit(X, Y):
        return kw.solve(kw.Problem(X, Y, LAM, penalty=penalty), tol=1e-10).network

    assert joint_minus_separate(fit, *data(gaps), AT) > 1e-2


def test_correlated_a_priori_processes_differ_too():
    """B, footnote 1: the claim is of independent outputs only."""

    def fit(X, Y):
        T = Y.shape[1]
        return coregionalised(X, Y, arc_cosine_kernel, LAM, 0.5 * np.eye(T) + 0.5 * np.ones((T, T)))

    assert joint_minus_separate(fit, *data(True), AT) > 1e-2


def test_the_largest_difference_is_found_in_whatever_task_and_place_it_is():
    class Shifted:
        def __init__(self, n_tasks):
            self.n_tasks = n_tasks

        def predict(self, X):
            out = np.zeros((len(X), self.n_tasks))
            if self.n_tasks > 1:
                out[7, -1] = -3.0
            return out

    x, Y = data(False)
    assert joint_minus_separate(lambda X, Y: Shifted(Y.shape[1]), x, Y, AT) == 3.0
    with pytest.raises(ValueError, match="fit: must predict shape"):
        joint_minus_separate(lambda X, Y: Shifted(2), x, Y, AT)
    Y[:, 1] = np.nan
    with pytest.raises(ValueError, match="Y: column 1"):
        joint_minus_separate(lambda X, Y: Shifted(Y.shape[1]), x, Y, AT)
    with pytest.raises(ValueError, match="at"):
        joint_minus_separate(FIXED["RBF"], x, Y[:, :1], np.ones((3, 2)))


def test_a_data_poor_task_gains_by_correlations_told_or_fitted_and_by_nothing_else():
    found = coregionalisation_experiment(n_draws=20)
    np.testing.assert_allclose(found.uncorrelated, found.alone, atol=1e-10)
    assert found.told.mean() < 0.2 * found.alone.mean()
    assert np.median(found.fitted) < 0.25 * np.median(found.alone)
    assert np.mean(found.fitted < found.alone) >= 0.75
    # a sign told wrong does harm: the prior belief that footnote 1 calls asymmetric
    assert np.median(found.told_wrong_sign) > 2.0 * np.median(found.alone)
    assert not found.told.flags.writeable


def test_without_correlation_there_is_nothing_to_gain():
    found = coregionalisation_experiment(correlation=0.0, n_draws=4, n_restarts=1)
    for told in (found.told, found.told_wrong_sign):
        np.testing.assert_allclose(told, found.alone, atol=1e-10)
    assert found.fitted.shape == (4,)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"correlation": 1.0}, ValueError, "correlation"),
        ({"correlation": -0.5}, ValueError, "correlation"),
        ({"n_poor": 0}, ValueError, "n_poor"),
        ({"n_rich_tasks": 0}, ValueError, "n_rich_tasks"),
        ({"noise": 0.0}, ValueError, "noise"),
        ({"length_scale": -1.0}, ValueError, "length_scale"),
        ({"n_draws": 1.5}, ValueError, "n_draws"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"n_restarts": 0}, ValueError, "n_restarts"),
        ({"noise": "0.1"}, TypeError, "noise"),
    ],
)
def test_arguments_that_make_no_sense_are_named(change, error, match):
    with pytest.raises(error, match=match):
        coregionalisation_experiment(**change)
