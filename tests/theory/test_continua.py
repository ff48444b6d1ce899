"""Maximisers that are not alone: found by walking along the directions in which the response may stay."""

from __future__ import annotations

import numpy as np
import pytest
from references_several import objective, random_data

import knotwork as kw
from knotwork.theory._continua import may_go_on


def respond(X, alpha, neurons, penalised):
    size = np.linalg.norm(neurons if penalised else neurons[:, :-1], axis=1)
    hidden = np.maximum(X @ neurons[:, :-1].T + neurons[:, -1], 0.0)
    return np.linalg.norm(hidden.T @ alpha, axis=1) / size


def stays_nearby(X, alpha, neuron, penalised, n=4000):
    """Whether some neuron at a distance of about 0.01 responds as much, to second order: by sampling and
    ever smaller steps."""
    rng = np.random.default_rng(0)
    top = respond(X, alpha, neuron[None], penalised)[0]
    tangent = neuron / np.linalg.norm(neuron)
    far = 0.01

    def project(rows):
        rows = rows - np.outer(rows @ tangent, tangent)
        return far * rows / np.linalg.norm(rows, axis=1)[:, None]

    moves = project(rng.standard_normal((n, len(neuron))))
    size = 0.3
    for _ in range(60):
        values = respond(X, alpha, neuron + moves, penalised)
        best = moves[np.argsort(-values)[:20]]
        moves = project(
            np.concatenate(
                [best, np.repeat(best, 20, axis=0) + size * far * rng.standard_normal((400, len(neuron)))]
            )
        )
        size *= 0.75
    return respond(X, alpha, neuron + moves, penalised).max() >= top * (1.0 - 1e-7)


def local_maximum(X, alpha, penalised, seed):
    """A neuron that no small step improves: at the top of a search."""
    rng = np.random.default_rng(seed)
    d = X.shape[1]
    neuron = rng.standard_normal(d + 1)
    size = 1.0
    for _ in range(400):
        trial = neuron + size * rng.standard_normal((60, d + 1))
        trial /= np.linalg.norm(trial if penalised else trial[:, :-1], axis=1)[:, None]
        values = respond(X, alpha, trial, penalised)
        if values.max() > respond(X, alpha, neuron[None], penalised)[0]:
            neuron = trial[np.argmax(values)]
        else:
            size *= 0.9
    return neuron


@pytest.mark.parametrize("n_tasks", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_a_peak_is_alone(n_tasks, seed):
    rng = np.random.default_rng(seed)
    X, alpha = rng.standard_normal((8, 2)), rng.standard_normal((8, n_tasks))
    neuron = local_maximum(X, alpha, True, seed)
    if respond(X, alpha, neuron[None], True)[0] > 1e-3:
        # the search stops at 1e-15 of the value, at 1e-7 of the place
        assert not may_go_on(X, alpha, neuron, True, 1e-5)
        assert not stays_nearby(X, alpha, neuron, True)


@pytest.mark.parametrize("seed", range(4))
def test_two_equal_singular_values_make_an_arc(seed):
    """M = Z' alpha over the active data has its largest singular value twice, inside the cell."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((9, 2))
    Z = np.column_stack([X, np.ones(9)])
    u = rng.standard_normal(3)
    u /= np.linalg.norm(u)
    on = Z @ u > 0
    if on.sum() < 3:
        u, on = -u, ~on
    e = np.cross(u, rng.standard_normal(3))
    e /= np.linalg.norm(e)
    M = np.outer(u, [1.0, 0.0]) + np.outer(e, [0.0, 1.0])
    alpha = np.zeros((9, 2))
    alpha[on] = np.linalg.lstsq(Z[on].T, M, rcond=None)[0]
    assert stays_nearby(X, alpha, u, True)
    assert may_go_on(X, alpha, u, True, 1e-6)
    # the second one less by a thousandth: a peak again
    M = np.outer(u, [1.0, 0.0]) + 0.999 * np.outer(e, [0.0, 1.0])
    alpha[on] = np.linalg.lstsq(Z[on].T, M, rcond=None)[0]
    assert not may_go_on(X, alpha, u, True, 1e-4)


def test_the_end_of_an_arc_is_not_alone_and_what_ends_beside_it_is():
    X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.3], [0.2, -1.0]])
    Z = np.column_stack([X, np.ones(4)])
    # one datum on the kink: the arc lies on its active or its inactive side
    u = np.cross(Z[2], [0.3, 0.2, 0.4])
    u /= np.linalg.norm(u)
    on = Z @ u > 1e-9
    u, on = (u, on) if on.sum() >= 2 else (-u, -Z @ u > 1e-9)
    side = Z[2] - (Z[2] @ u) * u
    e = side / np.linalg.norm(side)
    M = np.outer(u, [1.0, 0.0]) + np.outer(e, [0.0, 1.0])
    alpha = np.zeros((4, 2))
    rows = [*np.flatnonzero(on), 2]
    alpha[rows] = np.linalg.lstsq(Z[rows].T, M, rcond=None)[0]
    assert np.abs(Z[rows].T @ alpha[rows] - M).max() < 1e-9
    assert may_go_on(X, alpha, u, True, 1e-6)
    # where the datum on the kink turns the arc's far side down, the neuron is an end; shorter, it is a peak
    alpha[rows] = np.linalg.lstsq(Z[rows].T, M * [1.0, 0.99], rcond=None)[0]
    assert not may_go_on(X, alpha, u, True, 1e-4)


def test_one_input_between_two_neighbours():
    # p is the same at x = 1 and x = 2: every knot between responds as much; at x = 3.5 it is a peak
    x = np.array([0.0, 1.0, 2.0, 3.5, 5.0])
    p = np.array([0.0, 1.0, 1.0, -1.0, 0.0])
    slopes = np.diff(p) / np.diff(x)
    alpha = np.zeros(5)
    alpha[0], alpha[1:-1], alpha[-1] = slopes[0], np.diff(slopes), -slopes[-1]
    X, alpha = x[:, None], alpha[:, None]
    for origin in (0.0, 1e4):
        for place, goes_on in ((1.0, True), (1.5, True), (2.0, True), (3.5, False)):
            neuron = np.array([1.0, -(place + origin)])
            assert may_go_on(X + origin, alpha, neuron, False, 1e-6) is goes_on


def test_two_neurons_of_one_cell_are_one_matrix():
    """Two tasks whose best neurons share a cell: one of several decompositions comes back."""
    data = random_data(0, "poisson", (True, "none"), 9, 2, 2, 0.1)
    problem = kw.Problem(data.X, data.Y, 0.1, "poisson", kw.Penalty(True, "none"))
    one = kw.solve(problem, tol=1e-11)
    other = kw.solve(problem, tol=1e-11, start=kw.ReLUNetwork([[1.0, -2.0]], [0.5], np.ones((1, 2))))
    np.testing.assert_allclose(one.network.predict(data.X), other.network.predict(data.X), atol=1e-6)
    assert objective(data, one.network) == pytest.approx(objective(data, other.network), rel=1e-10)
    grid = np.random.default_rng(0).uniform(-2.0, 2.0, (50, 2))
    assert np.abs(one.network.predict(grid) - other.network.predict(grid)).max() > 0.05
    for solution in (one, other):
        found = kw.uniqueness(solution)
        assert found.unique is None
        assert "continuum" in found.reason


@pytest.mark.parametrize("penalty", [(False, "free"), (False, "none"), (True, "frobenius")])
def test_where_it_says_unique_other_ways_lead_to_the_same_network(penalty):
    decided = 0
    for seed in range(5):
        data = random_data(seed, "squared", penalty, 8, 2, 2, 0.1)
        problem = kw.Problem(data.X, data.Y, 0.1, penalty=kw.Penalty(*penalty))
        one = kw.solve(problem, tol=1e-12)
        if kw.uniqueness(one).unique is not True:
            continue
        decided += 1
        rng = np.random.default_rng(seed)
        start = kw.ReLUNetwork(
            rng.standard_normal((9, 2)), rng.standard_normal(9), rng.standard_normal((9, 2))
        )
        other = kw.solve(problem, tol=1e-12, start=start)
        inside = rng.dirichlet(np.ones(8), 50) @ data.X
        np.testing.assert_allclose(one.network.predict(inside), other.network.predict(inside), atol=1e-4)
    assert decided >= 1
