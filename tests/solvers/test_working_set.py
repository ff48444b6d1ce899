from __future__ import annotations

import numpy as np
import pytest
from references import conic_dictionary_optimum, dense_loss, random_data

import knotwork as kw
from knotwork.points import Points
from knotwork.solvers.working_set import WorkingSet


def working_set(data, lam):
    return WorkingSet(Points.from_problem(kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)), lam)


def exact_objective(data, lam, spline):
    fitted = spline.network().predict(data.X)
    return dense_loss(data.Y, fitted, data.weight) + lam * np.linalg.norm(spline.V, axis=1).sum()


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, None), (0.0, "rows"), (0.2, "labels")])
def test_fit_solves_for_the_knots_it_was_given(gaps, weights):
    data = random_data(np.random.default_rng(1), 40, 3, gaps=gaps, weights=weights)
    lam = 0.05
    working = working_set(data, lam)
    knots = working.points.x[[5, 6, 17, 30]]
    working.start_from(knots, np.ones(4))
    spline = working.fit(1e-12)
    best = conic_dictionary_optimum(data.X, data.Y, lam, knots, data.weight)
    assert exact_objective(data, lam, spline) == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_objective_and_gap_of_a_round_are_those_of_its_network(gaps):
    data = random_data(np.random.default_rng(2), 3000, 2, gaps=gaps)
    lam = 0.5
    working = working_set(data, lam)
    problem = kw.Problem(data.X, data.Y, lam)
    assert len(working.bins) < len(working.points.x)
    for _ in range(6):
        spline = working.fit(1e-10)
        working.price(spline, 1e-10)
        assert working.objective == pytest.approx(exact_objective(data, lam, spline), rel=1e-11)
        # what a bin hides may only add to the gap
        assert working.proven_gap >= kw.certify(problem, spline.network()).gap * (1 - 1e-9) - 1e-12


def test_bins_are_split_only_where_it_matters():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 200_000)
    y = np.abs(x - 0.3)[:, None] + 0.1 * rng.standard_normal((len(x), 1))
    working = WorkingSet(Points(x, y, None), 50.0)
    for _ in range(30):
        working.price(working.fit(1e-9), 1e-9)
        if working.gap <= 1e-9 * working.objective:
            break
    assert working.gap <= 1e-9 * working.objective
    assert len(working.bins) < 10_000


def test_warm_start_places_knots_at_the_data_around_them():
    x = np.arange(6.0)
    working = WorkingSet(Points(x, x[:, None], None), 1.0)
    working.start_from(np.array([-1.0, 1.0, 2.25, 9.0]), np.array([5.0, 2.0, 4.0, 5.0]))
    assert working.bins.x[working.knots] == pytest.approx([1.0, 2.0, 3.0])
    assert working.masses == pytest.approx([2.0, 3.0, 1.0])
