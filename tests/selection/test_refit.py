from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from references import dense_loss, label_weights, random_data

import knotwork as kw


def problem_of(data, lam=1.0):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, None), (0.0, "rows"), (0.2, "labels")])
def test_refit_is_least_squares_on_the_knots(gaps, weights):
    data = random_data(np.random.default_rng(1), 60, 3, gaps=gaps, weights=weights)
    solution = kw.path(problem_of(data), lams=[0.02 * kw.lam_max(problem_of(data))]).solutions[0]
    fit = kw.refit(solution)
    location = solution.network.knots.location
    assert len(location) >= 2
    np.testing.assert_array_equal(fit.network.knots.location, location)
    weight = label_weights(data.Y, data.weight)
    features = np.column_stack([np.ones(len(data.X)), data.X, np.maximum(data.X[:, None] - location, 0.0)])
    squares = 0.0
    for t in range(3):
        root = np.sqrt(weight[:, t])
        y = np.where(root > 0, data.Y[:, t], 0.0)
        coefficients = np.linalg.lstsq(root[:, None] * features, root * y, rcond=None)[0]
        seen = root > 0
        np.testing.assert_allclose(
            fit.network.predict(data.X)[seen, t], (features @ coefficients)[seen], atol=1e-9
        )
        squares += float(np.sum(weight[:, t] * (y - features @ coefficients) ** 2))
    assert fit.residual_sum_of_squares == pytest.approx(squares, rel=1e-10)
    assert fit.df == 3 * (len(location) + 2)


def test_refit_takes_shrinkage_off_and_keeps_the_certificate():
    data = random_data(np.random.default_rng(2), 200, 2)
    solution = kw.solve(problem_of(data, 0.3))
    fit = kw.refit(solution)
    assert fit.solution is solution
    shrunk = 2 * dense_loss(data.Y, solution.network.predict(data.X))
    assert fit.residual_sum_of_squares < 0.999 * shrunk
    # no network with these knots is better: orthogonal residual
    residual = data.Y - fit.network.predict(data.X)
    for feature in (np.ones(200), data.X, *np.maximum(solution.network.knots.location[:, None], data.X)):
        assert np.abs(feature @ residual).max() <= 1e-8


def test_without_knots_it_is_the_line():
    data = random_data(np.random.default_rng(3), 50, 2, gaps=0.2)
    problem = problem_of(data)
    fit = kw.refit(kw.solve(problem.with_lam(2 * kw.lam_max(problem))))
    np.testing.assert_allclose(fit.network.predict(data.X), problem.free_fit().predict(data.X), rtol=1e-10)
    assert fit.df == 4


def test_jumps_that_no_label_sees_take_minimum_norm():
    # task 2 has labels at 0 and 1 only: no knot beyond matters to it
    Y = np.array([[0, 0], [0, 1], [0, np.nan], [3, np.nan], [6, np.nan]], dtype=float)
    solution = kw.solve(kw.Problem(np.arange(5.0), Y, 0.1))
    fit = kw.refit(solution)
    location, jump = fit.network.knots
    assert location.tolist() == [2.0]
    np.testing.assert_allclose(jump, [[3.0, 0.0]], atol=1e-12)
    assert fit.residual_sum_of_squares == pytest.approx(0.0, abs=1e-20)
    assert fit.df == 3 + 2


def test_a_task_seen_at_one_input():
    rng = np.random.default_rng(4)
    x = np.linspace(0, 1, 30)
    Y = np.column_stack([np.abs(x - 0.5) + 0.01 * rng.standard_normal(30), np.full(30, np.nan)])
    Y[3, 1] = 2.0
    fit = kw.refit(kw.solve(kw.Problem(x, Y, 0.01)))
    assert fit.network.predict(x[[3]])[0, 1] == pytest.approx(2.0)
    assert fit.df == 2 + fit.network.n_neurons + 1


def test_what_cannot_be_refitted():
    solution = kw.solve(kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.1))
    with pytest.raises(TypeError, match=r"^solution: must be a knotwork.Solution, got ReLUNetwork"):
        kw.refit(solution.network)  # type: ignore[arg-type]
    for place in (0.5, 0.0, 7.0):
        stray = kw.ReLUNetwork([[1.0]], [-place], [[1.0]])
        with pytest.raises(ValueError, match=f"solution: has a knot at {place:g}"):
            kw.refit(replace(solution, network=stray))
    other = kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.1, penalty=kw.Penalty(False, "none"))
    with pytest.raises(NotImplementedError, match=r"^penalty: "):
        kw.refit(replace(solution, problem=other))
