"""lam_max in several inputs: at and above it no neuron, below it one, whatever loss and penalty."""

from __future__ import annotations

import numpy as np
import pytest
from loss_problems import SMOOTH_MIXED, loss_of, name_of
from references_losses import PENALTIES
from references_several import exhaustive_dual_norm, objective, random_data

import knotwork as kw
from knotwork.solvers.solve import _reach

NUCLEAR = (True, "nuclear")
SMOOTH = ["squared", ("huber", 0.4), "logistic", "multinomial", "poisson", SMOOTH_MIXED]


def problem_of(data, lam=None):
    return kw.Problem(
        data.X,
        data.Y,
        data.lam if lam is None else lam,
        loss_of(data.spec),
        kw.Penalty(*data.penalty),
        data.weight,
    )


def assert_parts(data, largest):
    """Neurons below, none above: by the solutions, and by the dual norm at the fit without any."""
    above, below = kw.solve(problem_of(data, 1.01 * largest)), kw.solve(problem_of(data, 0.97 * largest))
    assert above.status is below.status is kw.Status.OPTIMAL
    assert above.network.n_neurons == 0
    assert below.network.n_neurons > 0
    if not problem_of(data).loss_function.smooth:
        return
    for lam, needed in ((1.001 * largest, False), (0.999 * largest, True)):
        problem = problem_of(data, lam)
        fit = problem.free_fit()
        w = problem.label_weight()
        y = np.where(w > 0, data.Y, 0.5)
        alpha = -w * problem.loss_function.gradient(y, fit.predict(data.X))
        assert (exhaustive_dual_norm(data.X, alpha, data.penalty[0]) > lam) == needed


@pytest.mark.parametrize("spec", SMOOTH, ids=name_of)
def test_under_a_nuclear_norm(spec):
    data = random_data(11, spec, NUCLEAR, 9, 2, 2, 0.1)
    assert_parts(data, kw.lam_max(problem_of(data)))


@pytest.mark.parametrize(("gaps", "weights"), [(0.2, None), (0.0, "rows"), (0.2, "labels")])
def test_with_gaps_and_weights(gaps, weights):
    data = random_data(12, "squared", NUCLEAR, 9, 2, 3, 0.1, gaps, weights)
    assert_parts(data, kw.lam_max(problem_of(data)))


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p[0]}-{p[1]}")
@pytest.mark.parametrize("spec", [("quantile", 0.3), ["squared", ("quantile", 0.3)]], ids=name_of)
def test_losses_with_kinks(spec, penalty):
    # labels of 100 lead beyond the bound that a slope of 1 would give
    data = random_data(13, spec, penalty, 8, 2, 1, 0.1)
    data = data._replace(Y=100.0 * data.Y)
    largest = kw.lam_max(problem_of(data))
    above, below = kw.solve(problem_of(data, 1.01 * largest)), kw.solve(problem_of(data, 0.998 * largest))
    assert above.network.n_neurons == 0
    assert below.network.n_neurons > 0


@pytest.mark.parametrize("biases", [True, False])
def test_the_reach_is_that_of_rows(biases):
    # inputs on a diagonal: no entry is as large as a row
    X = np.full((4, 3), 2.0) * np.array([[1.0], [-1.0], [1.0], [-1.0]])
    problem = kw.Problem(X, np.zeros(4), 0.1, "quantile", kw.Penalty(biases, "none"))
    assert _reach(problem) == pytest.approx(2.0 * np.sqrt(3.0) + biases, rel=1e-15)
    moved = kw.Problem(X + 10.0, np.zeros(4), 0.1, "quantile", kw.Penalty(biases, "none"))
    assert _reach(moved) == pytest.approx(
        12.0 * np.sqrt(3.0) + 1.0 if biases else 2.0 * np.sqrt(3.0), rel=1e-15
    )


def test_nothing_to_bend():
    X = np.random.default_rng(0).standard_normal((7, 2))
    for loss in ("squared", "huber", "quantile"):
        assert kw.lam_max(kw.Problem(X, np.zeros((7, 2)), 0.1, loss, kw.Penalty(*NUCLEAR))) == 0.0


def test_the_fit_at_lam_max_is_that_without_neurons():
    data = random_data(14, "logistic", NUCLEAR, 9, 3, 2, 0.1)
    largest = kw.lam_max(problem_of(data))
    problem = problem_of(data, 1.0001 * largest)
    solution = kw.solve(problem)
    assert solution.network.n_neurons == 0
    fit = problem.free_fit()
    assert objective(data._replace(lam=problem.lam), fit) == pytest.approx(
        solution.certificate.primal, rel=1e-8
    )
