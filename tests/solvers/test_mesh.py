"""A mesh of few places, and the interior point on it: against dense sums and a conic programme."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from references import dense_loss, label_weights, random_data, second_differences
from sparse_group_problems import problem_of

from knotwork.certificate.knot_penalty import knot_penalty, knot_places
from knotwork.solvers.mesh import Mesh
from knotwork.solvers.shaped_interior_point import interior_point
from knotwork.solvers.shaped_polish import Pattern, polish


def problem_on_places(seed, shape=None, monotone=None, gaps=0.3, weights="labels", lam_private=0.05):
    data = random_data(np.random.default_rng(seed), n=40, n_tasks=3, gaps=gaps, weights=weights)
    data = data._replace(Y=data.Y + 3.0 * np.sin(9.0 * data.X[:, None]))
    problem = problem_of(data, 0.1)
    return (
        data,
        knot_penalty(problem, lam_private, shape, monotone),
        knot_places(problem, shape, None, None, None),
    )


def test_its_loss_is_that_of_all_data_for_straight_lines_between_its_places():
    data, _, places = problem_on_places(0)
    at = np.array([0, 3, 10, 11, 25, len(places.x) - 1])
    mesh = Mesh.of(places, at)
    f = np.random.default_rng(1).standard_normal((6, 3))
    values = np.column_stack([np.interp(data.X, mesh.x, column) for column in f.T])
    np.testing.assert_allclose(mesh.loss(f) + places.points.scatter, dense_loss(data.Y, values, data.weight))
    step = 1e-6 * np.random.default_rng(2).standard_normal(f.shape)
    slope = (mesh.loss(f + step) - mesh.loss(f - step)) / 2.0
    np.testing.assert_allclose(slope, np.sum(mesh.gradient(f) * step), rtol=1e-6)
    w = label_weights(data.Y, data.weight)
    lines = mesh.lines()
    for t in range(3):
        seen = w[:, t] > 0
        line = np.polyfit(data.X[seen], data.Y[seen, t], 1, w=np.sqrt(w[seen, t]))
        np.testing.assert_allclose(lines[:, t], np.polyval(line, mesh.x), atol=1e-9)


def pattern_of(mesh, penalty, iterate):
    """What is not tiny beside the steepest slope."""
    slopes = np.abs(np.diff(iterate.f, axis=0)) / np.diff(mesh.x)[:, None]
    users = np.zeros(mesh.pull.shape, dtype=bool)
    users[mesh.charged] = np.abs(iterate.u) > 1e-5 * slopes.max()
    return Pattern(users, (slopes < 1e-5 * slopes.max()) & (penalty.direction != 0))


def conic(mesh, penalty):
    """The optimum over values at the mesh."""
    m, n_tasks = mesh.pull.shape
    f = cp.Variable((m, n_tasks))
    cost = mesh.squares
    for t in range(n_tasks):
        M = np.diag(mesh.diagonal[:, t]) + np.diag(mesh.beside[:, t], 1) + np.diag(mesh.beside[:, t], -1)
        cost = cost + 0.5 * cp.quad_form(f[:, t], cp.psd_wrap(M)) - mesh.pull[:, t] @ f[:, t]
    bends = second_differences(mesh.x) @ f
    cost += penalty.lam * cp.sum(cp.norm(bends, 2, axis=1)) + penalty.lam_private * cp.sum(cp.abs(bends))
    rules = [bends[:, t] <= 0 for t in np.flatnonzero(~penalty.up)]
    rules += [bends[:, t] >= 0 for t in np.flatnonzero(~penalty.down)]
    rules += [penalty.direction[t] * cp.diff(f[:, t]) >= 0 for t in np.flatnonzero(penalty.direction)]
    problem = cp.Problem(cp.Minimize(cost), rules)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return float(problem.value)


@pytest.mark.parametrize("monotone", [None, "increasing", ["decreasing", None, "increasing"]], ids=str)
@pytest.mark.parametrize("shape", [None, "concave", ["convex", None, "concave"]], ids=str)
@pytest.mark.parametrize("lam_private", [0.0, 0.05])
def test_the_interior_point_ends_at_the_optimum_and_the_polish_too(monotone, shape, lam_private):
    _, penalty, places = problem_on_places(3, shape, monotone, lam_private=lam_private)
    mesh = Mesh.of(places, np.unique([*range(0, len(places.x), 3), len(places.x) - 1]))
    gaps = []

    def objective(iterate):
        return mesh.loss(iterate.f) + float(penalty.cost(iterate.u).sum())

    def done(iterate):
        gaps.append(iterate.gap / objective(iterate))
        return gaps[-1] <= 1e-9 and iterate.settled

    iterate = interior_point(mesh, penalty, done)
    optimum = conic(mesh, penalty)
    assert gaps[-1] <= 1e-9 < gaps[0]
    np.testing.assert_allclose(objective(iterate), optimum, rtol=1e-7)
    # the multipliers and the dual point are those of the optimum: inside their sets
    assert iterate.multipliers.min(initial=0.0) >= 0
    assert penalty.response(-iterate.z).max() <= penalty.lam * (1 + 1e-9)
    network = polish(mesh, penalty, pattern_of(mesh, penalty, iterate), iterate.f)
    jump = network.knots.jump
    np.testing.assert_allclose(
        mesh.loss(network.predict(mesh.x)) + penalty.cost(jump).sum(), optimum, rtol=1e-8
    )
    assert penalty.allows(jump)


def test_a_polish_drops_what_does_not_belong():
    _, penalty, places = problem_on_places(5, None, "increasing", gaps=0.0, weights=None)
    mesh = Mesh.of(places, np.arange(len(places.x)))
    iterate = interior_point(mesh, penalty, lambda one: one.gap <= 1e-10)
    pattern = pattern_of(mesh, penalty, iterate)
    exact = polish(mesh, penalty, pattern, iterate.f)
    more = pattern.users.copy()
    more[np.flatnonzero(~more.any(axis=1) & mesh.charged)[::7]] = True
    assert more.sum() > pattern.users.sum()
    polished = polish(mesh, penalty, Pattern(more, pattern.still), iterate.f)
    np.testing.assert_array_equal(polished.knots.location, exact.knots.location)
    np.testing.assert_allclose(polished.V, exact.V, atol=1e-9 * np.abs(exact.V).max())
