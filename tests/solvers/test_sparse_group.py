"""Shared and private knots: against conic programmes over all knots, limits, and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from references import dense_potential, random_data
from sparse_group_problems import conic_sparse_group, dense_objective, problem_of, proven_bound

import knotwork as kw
from knotwork.certificate.sparse_group import certify_sparse_group
from knotwork.solvers.sparse_group import solve_sparse_group


def jumps_at(network, knots):
    """(K, T) the network's jumps at `knots`, and that it has no others."""
    location, jump = network.knots
    at = np.searchsorted(knots, location)
    np.testing.assert_array_equal(np.asarray(knots)[at], location)
    out = np.zeros((len(knots), network.n_tasks))
    out[at] = jump
    return out


def check(data, lam, lam_private, solution, optimum, forced=()):
    """The solution against a conic optimum, and its own certificate."""
    certificate = solution.certificate
    value = dense_objective(data, lam, lam_private, solution.network, forced)
    np.testing.assert_allclose(certificate.primal, value, rtol=1e-10)
    np.testing.assert_allclose(value, optimum, rtol=1e-8)
    assert solution.status is kw.Status.OPTIMAL
    assert certificate.rigour is kw.Rigour.EXACT
    assert 0 <= certificate.gap <= 1e-9 * value


@pytest.mark.parametrize("weights", [None, "rows", "labels"])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("lam_private", [0.02, 0.15])
def test_equals_a_conic_programme_over_all_knots(weights, gaps, lam_private):
    for seed in range(3):
        data = random_data(np.random.default_rng(seed), n=25, n_tasks=3, gaps=gaps, weights=weights)
        optimum, knots, V = conic_sparse_group(data, 0.1, lam_private)
        solution = solve_sparse_group(problem_of(data, 0.1), lam_private, tol=1e-10)
        check(data, 0.1, lam_private, solution, optimum)
        if not gaps and weights is None:
            # with labels everywhere these data have one optimum
            np.testing.assert_allclose(
                jumps_at(solution.network, knots), V, atol=1e-5 * np.abs(V).max(initial=1.0)
            )


@pytest.mark.parametrize("spacing", ["regular", "log-normal", "clustered", "repeated"])
def test_any_spacing_of_the_inputs_is_solved(spacing):
    for seed in range(3):
        data = random_data(np.random.default_rng(seed), n=40, n_tasks=3, spacing=spacing, gaps=0.2)
        solution = solve_sparse_group(problem_of(data, 0.1), 0.05, tol=1e-9)
        assert solution.status is kw.Status.OPTIMAL
        assert proven_bound(data, 0.1, 0.05, solution.certificate.dual_point) >= (1 - 2e-9) * dense_objective(
            data, 0.1, 0.05, solution.network
        )


def test_without_private_penalty_it_is_the_plain_problem():
    for seed, gaps in ((0, 0.0), (1, 0.3)):
        data = random_data(np.random.default_rng(seed), n=200, n_tasks=4, gaps=gaps)
        problem = problem_of(data, 0.5)
        plain = kw.solve(problem, tol=1e-11)
        solution = solve_sparse_group(problem, 0.0, tol=1e-11)
        np.testing.assert_allclose(solution.certificate.primal, plain.certificate.primal, rtol=1e-10)
        np.testing.assert_allclose(solution.network.predict(data.X), plain.network.predict(data.X), atol=1e-4)
        ours = certify_sparse_group(problem, plain.network, 0.0)
        np.testing.assert_allclose(ours.primal, plain.certificate.primal, rtol=1e-12)
        assert ours.relative_gap <= 1e-8


def test_without_shared_penalty_the_tasks_are_apart():
    data = random_data(np.random.default_rng(3), n=150, n_tasks=3, gaps=0.3, weights="labels")
    solution = solve_sparse_group(problem_of(data, 0.0), 0.4, tol=1e-10)
    alone = [
        kw.solve(kw.Problem(data.X, data.Y[:, t], 0.4, sample_weight=data.weight[:, t]), tol=1e-10)
        for t in range(3)
    ]
    assert solution.status is kw.Status.OPTIMAL
    total = sum(one.certificate.primal for one in alone)
    np.testing.assert_allclose(solution.certificate.primal, total, rtol=1e-9)
    apart = np.hstack([one.network.predict(data.X) for one in alone])
    np.testing.assert_allclose(solution.network.predict(data.X), apart, atol=1e-4)
    assert proven_bound(data, 1e-12, 0.4, solution.certificate.dual_point) >= (1 - 1e-9) * total


def test_for_one_task_only_the_sum_of_both_counts():
    data = random_data(np.random.default_rng(4), n=100, n_tasks=1)
    plain = kw.solve(problem_of(data, 0.7), tol=1e-11).certificate
    for lam, lam_private in ((0.7, 0.0), (0.5, 0.2), (0.0, 0.7)):
        solution = solve_sparse_group(problem_of(data, lam), lam_private, tol=1e-11)
        np.testing.assert_allclose(solution.certificate.primal, plain.primal, rtol=1e-10)


@pytest.mark.parametrize("shape", ["convex", "concave", ("convex", None, "concave")])
@pytest.mark.parametrize("lam_private", [0.0, 0.1])
def test_shapes_are_kept_and_certified(shape, lam_private):
    shapes = (shape,) * 3 if isinstance(shape, str) else shape
    up, down = [one != "concave" for one in shapes], [one != "convex" for one in shapes]
    for seed in range(3):
        data = random_data(np.random.default_rng(seed), n=30, n_tasks=3, gaps=0.2)
        optimum, _, _ = conic_sparse_group(data, 0.1, lam_private, up=up, down=down)
        solution = solve_sparse_group(problem_of(data, 0.1), lam_private, shape=shape, tol=1e-10)
        check(data, 0.1, lam_private, solution, optimum)
        jump = solution.network.knots.jump
        assert not np.any(jump[:, ~np.array(up)] > 0)
        assert not np.any(jump[:, ~np.array(down)] < 0)
        free = solve_sparse_group(problem_of(data, 0.1), lam_private)
        assert free.certificate.primal < solution.certificate.dual


def test_a_convex_fit_alone_is_that_of_every_task():
    data = random_data(np.random.default_rng(8), n=60, n_tasks=2)
    both = solve_sparse_group(problem_of(data, 0.0), 0.2, shape=("convex", None), tol=1e-10)
    one = kw.Problem(data.X, data.Y[:, :1], 0.2)
    alone = solve_sparse_group(one, 0.0, shape="convex", tol=1e-10).certificate.primal
    alone += kw.solve(kw.Problem(data.X, data.Y[:, 1:], 0.2), tol=1e-10).certificate.primal
    np.testing.assert_allclose(both.certificate.primal, alone, rtol=1e-9)


@pytest.mark.parametrize("lam_private", [0.0, 0.1])
def test_knots_may_be_forced(lam_private):
    for seed in range(3):
        data = random_data(np.random.default_rng(seed), n=30, n_tasks=3, gaps=0.3)
        x = np.sort(data.X)
        forced = np.array([x[9], 0.5 * (x[19] + x[20])])
        optimum, _, _ = conic_sparse_group(data, 0.15, lam_private, forced=forced)
        solution = solve_sparse_group(problem_of(data, 0.15), lam_private, forced=forced, tol=1e-10)
        check(data, 0.15, lam_private, solution, optimum, forced)
        response = dense_potential(data.X, solution.certificate.dual_point, forced)
        np.testing.assert_allclose(response, 0.0, atol=1e-10)
        assert optimum < conic_sparse_group(data, 0.15, lam_private)[0] * (1 - 1e-6)


def test_knots_stay_at_the_places_that_are_allowed():
    for seed in range(3):
        data = random_data(np.random.default_rng(seed), n=30, n_tasks=3)
        x = np.sort(data.X)
        places = np.array([x[3] + 1e-3, x[12], 0.3 * x[20] + 0.7 * x[21]])
        optimum, _, _ = conic_sparse_group(data, 0.05, 0.05, knots=places)
        solution = solve_sparse_group(problem_of(data, 0.05), 0.05, allowed=places, tol=1e-10)
        check(data, 0.05, 0.05, solution, optimum)
        jumps_at(solution.network, places)
        assert proven_bound(data, 0.05, 0.05, solution.certificate.dual_point, places) >= (1 - 1e-9) * optimum


@pytest.mark.parametrize("lam_private", [0.0, 0.08])
def test_intervals_may_be_forbidden_and_their_ends_are_enough(lam_private):
    ends_used = 0
    for seed in range(4):
        data = random_data(np.random.default_rng(seed), n=24, n_tasks=2)
        x = np.sort(data.X)
        shut = np.array([[0.4 * x[5] + 0.6 * x[6], 0.5 * (x[11] + x[12])], [x[15], x[18]]])
        open_x = x[[not any(low < one < high for low, high in shut) for one in x]]
        knots = np.unique(np.concatenate([open_x[1:-1], shut.ravel()]))
        optimum, _, _ = conic_sparse_group(data, 0.05, lam_private, knots=knots)
        solution = solve_sparse_group(problem_of(data, 0.05), lam_private, forbidden=shut[::-1], tol=1e-10)
        check(data, 0.05, lam_private, solution, optimum)
        location = solution.network.knots.location
        ends_used += np.isin(location, shut[0]).sum()
        grid = np.concatenate([np.linspace(-0.2, 1.2, 20001), open_x, shut.ravel()])
        grid = grid[[not any(low < one < high for low, high in shut) for one in grid]]
        bound = proven_bound(data, 0.05, lam_private, solution.certificate.dual_point, grid)
        assert bound >= (1 - 1e-9) * optimum
        same = np.array([[-9.0, shut[0, 0]], [shut[0, 1], shut[1, 0]], [shut[1, 1], 9.0]])
        again = solve_sparse_group(problem_of(data, 0.05), lam_private, allowed=same, tol=1e-10)
        np.testing.assert_array_equal(again.network.V, solution.network.V)
    assert ends_used > 0


def test_where_no_knot_is_allowed_the_fit_is_a_line():
    data = random_data(np.random.default_rng(5), n=40, n_tasks=3, gaps=0.2)
    for solution in (
        solve_sparse_group(problem_of(data, 1e3), 0.1),
        solve_sparse_group(problem_of(data, 0.1), 1e3),
        solve_sparse_group(problem_of(data, 0.0), 1e3),
        solve_sparse_group(problem_of(data, 0.1), 0.1, forbidden=[[-1.0, 2.0]]),
        solve_sparse_group(problem_of(data, 0.1), 0.1, allowed=np.zeros(0)),
    ):
        assert solution.status is kw.Status.OPTIMAL
        assert solution.network.n_neurons == 0
        line = problem_of(data, 1.0).free_fit()
        np.testing.assert_allclose(solution.network.predict(data.X), line.predict(data.X), atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_data(n):
    X = np.arange(n, dtype=float)
    Y = np.column_stack([[0.0, 3.0, 0.0][:n], [1.0, 0.0, 2.0][:n]])
    data = random_data(np.random.default_rng(0))._replace(X=X, Y=Y)
    solution = solve_sparse_group(problem_of(data, 0.2), 0.1)
    assert solution.status is kw.Status.OPTIMAL
    if n == 3:
        optimum = conic_sparse_group(data, 0.2, 0.1)[0]
        np.testing.assert_allclose(solution.certificate.primal, optimum, rtol=1e-8)
    else:
        np.testing.assert_allclose(solution.network.predict(X), Y, atol=1e-12)


def test_labels_that_do_not_tell_the_free_parts_apart():
    data = random_data(np.random.default_rng(11), n=30, n_tasks=4)
    Y, inputs, x = data.Y.copy(), data.X, np.sort(data.X)
    Y[inputs > x[14], 0] = np.nan
    Y[inputs != x[3], 1] = np.nan
    Y[(inputs != x[3]) & (inputs != x[20]), 2] = np.nan
    data = data._replace(Y=Y)
    forced = np.array([x[18], x[22]])
    optimum, _, _ = conic_sparse_group(data, 0.1, 0.05, forced=forced)
    solution = solve_sparse_group(problem_of(data, 0.1), 0.05, forced=forced, tol=1e-10)
    check(data, 0.1, 0.05, solution, optimum, forced)
    optimum, _, _ = conic_sparse_group(data, 0.1, 0.05)
    check(data, 0.1, 0.05, solve_sparse_group(problem_of(data, 0.1), 0.05, tol=1e-10), optimum)


def test_zeros_are_exact_and_say_who_uses_a_knot():
    rng = np.random.default_rng(7)
    x = np.linspace(0.0, 1.0, 400)
    jumps = np.array([[20.0, -20.0, 20.0], [0.0, 25.0, 0.0]])
    Y = np.maximum(x[:, None] - [0.3, 0.7], 0.0) @ jumps + 0.01 * rng.standard_normal((400, 3))
    solution = solve_sparse_group(kw.Problem(x, Y, 0.2), 0.2)
    location = solution.network.knots.location
    assert np.abs(location[:, None] - [0.3, 0.7]).min(axis=1).max() < 0.02
    private = np.abs(location - 0.7) < 0.02
    assert private.any()
    assert (~private).any()
    np.testing.assert_array_equal(solution.users[private], [[False, True, False]] * int(private.sum()))
    assert solution.users[~private].all()
    plain = kw.solve(kw.Problem(x, Y, 0.2)).network.knots
    assert np.all(plain.jump[np.abs(plain.location - 0.7) < 0.02] != 0)


def test_start_limits_and_progress():
    data = random_data(np.random.default_rng(9), n=300, n_tasks=3)
    problem = problem_of(data, 0.3)
    solution = solve_sparse_group(problem, 0.1, tol=1e-10)
    assert solution.lam_private == 0.1
    again = solve_sparse_group(problem, 0.1, tol=1e-10, start=solution.network)
    assert len(again.trace) <= 2 < len(solution.trace)
    cut = solve_sparse_group(problem, 0.1, max_rounds=1)
    assert cut.status is kw.Status.MAX_ROUNDS
    assert len(cut.trace) == 1
    bound = certify_sparse_group(problem, cut.network, 0.1)
    assert (bound.primal, bound.dual) == (cut.certificate.primal, cut.certificate.dual)
    assert bound.dual <= solution.certificate.primal <= bound.primal
    stopped = solve_sparse_group(problem_of(data, 0.0), 0.1, progress=lambda entry: True)
    assert stopped.status is kw.Status.STOPPED
    late = solve_sparse_group(problem, 0.1, max_seconds=1e-9)
    assert late.status is kw.Status.MAX_SECONDS
    apart = solve_sparse_group(problem_of(data, 0.0), 0.1, start=solution.network, tol=1e-10)
    plain = solve_sparse_group(problem_of(data, 0.0), 0.1, tol=1e-10)
    np.testing.assert_allclose(apart.certificate.primal, plain.certificate.primal, rtol=1e-9)


def test_bad_arguments_are_named():
    data = random_data(np.random.default_rng(10), n=20, n_tasks=2)
    problem = problem_of(data, 0.3)
    for error, match, call in (
        (TypeError, "lam_private: must be a number", {"lam_private": "much"}),
        (ValueError, "lam_private: must be finite", {"lam_private": -1.0}),
        (ValueError, "lam_private: must be finite", {"lam_private": float("nan")}),
        (ValueError, "shape: must be", {"shape": "monotone"}),
        (ValueError, "shape: must be", {"shape": ("convex",)}),
        (ValueError, "forbidden: give allowed or forbidden", {"allowed": [0.5], "forbidden": [[0.0, 0.1]]}),
        (ValueError, "forbidden: must be intervals", {"forbidden": [[0.4, 0.1]]}),
        (ValueError, "forbidden: must be intervals", {"forbidden": [0.4, 0.1]}),
        (ValueError, "allowed: must be intervals", {"allowed": [[0.4, 0.1]]}),
        (ValueError, "forced: must be", {"forced": [[0.4, 0.1]]}),
        (ValueError, "forced: must be", {"forced": [0.5], "shape": "convex"}),
        (ValueError, "forced: 7 is not strictly between", {"forced": [7.0]}),
        (ValueError, "tol: must be", {"tol": 0.0}),
    ):
        with pytest.raises(error, match=match):
            solve_sparse_group(problem, **({"lam_private": 0.1} | call))
    with pytest.raises(ValueError, match="lam_private: must be > 0 where lam is 0"):
        solve_sparse_group(problem_of(data, 0.0), 0.0)
    for other in (
        kw.Problem(np.ones((4, 2)), np.ones(4), 0.1),
        kw.Problem(data.X, data.Y, 0.1, loss="huber"),
        kw.Problem(data.X, data.Y, 0.1, penalty=kw.Penalty(biases=True, skip="none")),
    ):
        with pytest.raises(ValueError, match="problem: shared and private knots need one input"):
            solve_sparse_group(other, 0.1)
    bent = kw.ReLUNetwork([[1.0]], [-0.5], [[1.0, -1.0]])
    with pytest.raises(ValueError, match="network: bends against shape"):
        certify_sparse_group(problem, bent, 0.1, shape="convex")
    with pytest.raises(ValueError, match=r"network: has a knot at 0\.5, which is not allowed"):
        certify_sparse_group(problem, bent, 0.1, forbidden=[[0.4, 0.6]])
