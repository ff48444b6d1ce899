from __future__ import annotations

import numpy as np
import pytest
from references import conic_optimum, dense_potential, random_data, second_differences

from knotwork.dual_norm.knots import dual_point_of, keep_to_labels
from knotwork.solvers.interior_point import interior_point


def solve(x, y, weight, lam, gap=1e-10):
    states = []

    def done(state):
        states.append(state)
        fit = (
            np.where((weight > 0) & np.isfinite(weight), weight, 0.0) * (np.nan_to_num(y) - state.values) ** 2
        )
        objective = 0.5 * fit.sum() + lam * np.linalg.norm(state.bends, axis=1).sum()
        return state.complementarity <= gap * objective and state.settled

    return interior_point(x, y, weight, lam, done), states


@pytest.mark.parametrize("n_tasks", [1, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("lam", [1e-4, 1e-2, 1.0])
def test_the_conic_optimum_is_found(n_tasks, gaps, lam):
    data = random_data(np.random.default_rng(3), 25, n_tasks, gaps=gaps)
    order = np.argsort(data.X)
    x, y = data.X[order], data.Y[order]
    weight = np.where(np.isnan(y), 0.0, 1.0)
    seen = weight.any(axis=1)
    x, y, weight = x[seen], y[seen], weight[seen]
    state, _ = solve(x, y, weight, lam)
    error = np.where(weight > 0, np.nan_to_num(y) - state.values, 0.0)
    cost = np.linalg.norm(second_differences(x) @ state.values, axis=1).sum()
    objective = 0.5 * np.sum(error**2) + lam * cost
    best = conic_optimum(data.X, data.Y, lam)
    assert best.dual * (1 - 1e-8) <= objective <= best.primal * (1 + 1e-8)


def test_every_iterate_is_inside_the_dual_ball_and_the_gap_falls():
    rng = np.random.default_rng(0)
    x, y = np.linspace(0, 1, 30), rng.standard_normal((30, 2))
    _, states = solve(x, y, np.ones_like(y), 1e-3)
    gaps = [state.complementarity for state in states]
    assert all(np.linalg.norm(state.p, axis=1).max() < 1e-3 for state in states)
    assert gaps[-1] < 1e-6 * gaps[0]


def test_infinite_weights_interpolate_and_gaps_take_the_cheapest_values():
    # y = (0, ., 0, 1): any value v of the gap costs |v| + ... ; least at v = 0, cost 1
    x = np.array([0.0, 1.0, 2.0, 3.0])
    y = np.array([[0.0], [np.nan], [0.0], [1.0]])
    weight = np.where(np.isnan(y), 0.0, np.inf)
    state, _ = solve(x, y, weight, 1.0)
    assert state.values[[0, 2, 3], 0] == pytest.approx([0.0, 0.0, 1.0], abs=1e-14)
    assert np.abs(state.bends).sum() == pytest.approx(1.0, rel=1e-8)


def test_the_dual_point_vanishes_where_labels_are_missing():
    rng = np.random.default_rng(5)
    x, y = np.sort(rng.uniform(0, 1, 20)), rng.standard_normal((20, 2))
    y[rng.uniform(size=y.shape) < 0.3] = np.nan
    y[[0, 7, 19]] = 1.0
    seen = ~np.isnan(y)
    p = rng.standard_normal((18, 2))
    kept = keep_to_labels(x, p, seen)
    alpha = dual_point_of(x, kept)
    assert np.abs(alpha[~seen]).max() <= 1e-11 * np.abs(alpha).max()
    np.testing.assert_allclose(dense_potential(x, alpha, x[1:-1]), kept, atol=1e-9)


def test_close_inputs_do_not_break_the_factorisation():
    rng = np.random.default_rng(0)
    x = np.sort(np.concatenate([np.linspace(0, 1, 200), np.linspace(0, 1, 200)[1:-1] + 1e-9]))
    y = np.sin(8 * x)[:, None] + 0.1 * rng.standard_normal((len(x), 2))
    state, states = solve(x, y, np.ones_like(y), 1e-6)
    assert state.complementarity < 1e-4 * states[0].complementarity
