"""Processes whose kernel the marginal likelihood chooses, against the library's own and by hand."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest

import knotwork as kw
from knotwork.deep.baselines import arc_cosine_baseline, rbf_baseline
from knotwork.deep.periodic import compare_on_periodic, periodic_tasks
from knotwork.theory.arc_cosine import arc_cosine_kernel
from knotwork.theory.gaussian_process import fit_gaussian_process, gaussian_process, rbf_kernel

AT = np.linspace(-1.5, 1.5, 60)[:, None]


def smooth_tasks(seed=0, n=25):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.5, 1.5, (n, 1))
    Y = np.hstack([np.sin(2 * X), np.cos(3 * X), X**2]) + 0.1 * rng.standard_normal((n, 3))
    return X, Y


def by_the_library(X, Y):
    start = {"variance": 1.0, "length_scale": 1.0, "noise_variance": 0.1}
    return fit_gaussian_process(X, Y, rbf_kernel, start).process.predict(AT)


def test_scikit_learn_and_the_library_choose_the_same_rbf_process():
    X, Y = smooth_tasks()
    predicted = rbf_baseline(X, Y)(AT)
    np.testing.assert_allclose(predicted, by_the_library(X, Y), atol=2e-4)
    # with parameters of its own a task is fitted otherwise
    assert np.abs(predicted[:, :1] - by_the_library(X, Y[:, :1])).max() > 1e-2


def test_tasks_share_parameters_where_they_have_the_same_rows():
    X, Y = smooth_tasks(1)
    Y[:12, 1] = np.nan
    predicted = rbf_baseline(X, Y)(AT)
    np.testing.assert_allclose(predicted[:, [0, 2]], by_the_library(X, Y[:, [0, 2]]), atol=2e-4)
    np.testing.assert_allclose(predicted[:, [1]], by_the_library(X[12:], Y[12:, [1]]), atol=2e-4)


def test_no_arc_cosine_kernel_of_a_grid_is_more_likely():
    X, Y = smooth_tasks(2)
    noise = 0.01
    predicted = arc_cosine_baseline(X, Y, noise)(AT)
    grid = [
        gaussian_process(
            X,
            Y,
            partial(arc_cosine_kernel, depth=depth, input_variance=weights, bias_variance=biases),
            noise,
        )
        for depth in (1, 2, 3)
        for weights in 10.0 ** np.arange(-1, 6, 0.5)
        for biases in 10.0 ** np.arange(-1, 6, 0.5)
    ]
    best = max(grid, key=lambda process: process.log_marginal_likelihood.sum())
    worst = min(grid, key=lambda process: process.log_marginal_likelihood.sum())
    # half a decade from the best of the grid is not far
    assert np.abs(predicted - best.predict(AT)).max() < 0.05
    assert np.abs(predicted - worst.predict(AT)).max() > 0.15


@pytest.mark.parametrize(("period", "deepest"), [(8.0, False), (1.0, True)])
def test_the_depth_is_the_most_likely(period, deepest):
    x = np.linspace(-1.5, 1.5, 25)[:, None]
    Y = np.sin(2 * np.pi * x / period) + 0.1 * np.random.default_rng(3).standard_normal((25, 1))
    start, fits = {"input_variance": 3.0, "bias_variance": 3.0}, {}
    for depth in (1, 2, 3):
        kernel = partial(arc_cosine_kernel, depth=depth)
        fits[depth] = fit_gaussian_process(x, Y, kernel, start, noise_variance=0.01)
    likely = max(fits, key=lambda depth: fits[depth].log_marginal_likelihood)
    assert (likely == 3) == deepest
    predicted = arc_cosine_baseline(x, Y, 0.01)(AT)
    apart = {depth: np.abs(predicted - fit.process.predict(AT)).max() for depth, fit in fits.items()}
    assert min(apart, key=lambda depth: apart[depth]) == likely


def test_without_scikit_learn_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.gaussian_process", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn .*pip install 'knotwork\[sklearn\]'"):
        rbf_baseline(*smooth_tasks())
    # before anything is trained
    monkeypatch.setattr(kw.Problem, "__init__", None)
    with pytest.raises(ImportError, match="needs scikit-learn"):
        compare_on_periodic(periodic_tasks(0))
