from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CATALOGUE
from references import (
    conic_optimum,
    dense_dual_value,
    dense_objective,
    dense_potential,
    dense_predict,
    label_weights,
    random_data,
    second_differences,
)

import knotwork as kw

TOL = 1e-10


def problem_of(data, lam):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


def assert_optimal(solution, best, data, tol=TOL):
    """Two-sided: the network costs what the oracle's optimum costs, and its own dual says so."""
    problem, certificate = solution.problem, solution.certificate
    rounding = 1e-13 * np.nansum(label_weights(data.Y, data.weight) * data.Y**2)
    assert solution.status is kw.Status.OPTIMAL
    assert certificate.relative_gap <= tol
    assert certificate.rigour is kw.Rigour.EXACT
    assert certificate.primal == pytest.approx(problem.objective(solution.network), rel=1e-12, abs=rounding)
    assert certificate.primal <= best.primal * (1 + 2 * tol) + rounding
    assert certificate.primal >= best.dual * (1 - 1e-11) - rounding
    assert certificate.dual <= best.primal * (1 + 1e-10) + rounding


# ------------------------------------------------------------------------------ the conic solver


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal", "repeated"])
@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, None), (0.3, "labels"), (0.0, "rows")])
@pytest.mark.parametrize("n_tasks", [1, 2, 5, 10])
def test_solve_finds_the_conic_optimum(spacing, gaps, weights, n_tasks):
    rng = np.random.default_rng(n_tasks)
    data = random_data(rng, 30, n_tasks, spacing, gaps, weights)
    top = kw.lam_max(problem_of(data, 1.0))
    for ratio in (1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.5, 0.99):
        solution = kw.solve(problem_of(data, ratio * top), tol=TOL)
        assert_optimal(solution, conic_optimum(data.X, data.Y, ratio * top, data.weight), data)
        objective = dense_objective(data.X, data.Y, ratio * top, solution.network, data.weight)
        assert solution.certificate.primal == pytest.approx(objective, rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 25),
    st.integers(1, 5),
    st.sampled_from(["regular", "random", "log-normal", "repeated"]),
    st.sampled_from([0.0, 0.2, 0.6]),
    st.sampled_from([None, "rows", "labels"]),
    st.floats(-5, 1),
)
def test_solve_finds_the_conic_optimum_of_anything(seed, n, n_tasks, spacing, gaps, weights, log_lam):
    rng = np.random.default_rng(seed)
    data = random_data(rng, n, n_tasks, spacing, gaps, weights)
    lam = 10.0**log_lam
    solution = kw.solve(problem_of(data, lam), tol=1e-9)
    assert_optimal(solution, conic_optimum(data.X, data.Y, lam, data.weight), data, 1e-9)


@pytest.mark.parametrize(("spacing", "gaps"), [("regular", 0.0), ("log-normal", 0.3), ("regular", 0.3)])
def test_solve_through_bins_finds_the_conic_optimum(spacing, gaps):
    rng = np.random.default_rng(1)
    data = random_data(rng, 4000, 2, spacing, gaps)
    solution = kw.solve(problem_of(data, 2.0), tol=1e-9)
    best = conic_optimum(data.X, data.Y, 2.0)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(best.primal, rel=1e-6)
    assert solution.certificate.primal <= best.primal * (1 + 1e-8)
    assert solution.certificate.dual >= best.dual * (1 - 1e-8)


@pytest.mark.parametrize("weights", [None, "labels"])
def test_solve_through_bins_is_optimal_by_the_dense_formulas(weights):
    """Where the conic solver fails: a feasible dual point as good as the network proves both."""
    data = random_data(np.random.default_rng(1), 4000, 2, "random", weights=weights)
    solution = kw.solve(problem_of(data, 2.0), tol=1e-9)
    alpha = solution.certificate.dual_point
    size = np.abs(alpha).sum(axis=0)
    assert np.all(np.abs(alpha.sum(axis=0)) <= 1e-12 * size)
    assert np.all(np.abs(data.X @ alpha) <= 1e-12 * size)
    assert np.linalg.norm(dense_potential(data.X, alpha, data.X), axis=1).max() <= 2.0 * (1 + 1e-12)
    dual = dense_dual_value(data.Y, alpha, 2.0, data.weight)
    primal = dense_objective(data.X, data.Y, 2.0, solution.network, data.weight)
    assert primal == pytest.approx(dual, rel=1.1e-9)
    assert primal >= dual * (1 - 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal"])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_solve_finds_the_conic_optimum_of_larger_data(spacing, gaps):
    for seed, n_tasks in itertools.product(range(5), (1, 4, 10)):
        data = random_data(np.random.default_rng(seed), 300, n_tasks, spacing, gaps)
        top = kw.lam_max(problem_of(data, 1.0))
        for ratio in (1e-6, 1e-3, 0.03, 0.3):
            solution = kw.solve(problem_of(data, ratio * top))
            best = conic_optimum(data.X, data.Y, ratio * top)
            assert solution.status is kw.Status.OPTIMAL
            assert solution.certificate.primal == pytest.approx(best.primal, rel=3e-8)


@pytest.mark.parametrize("kind", ["step", "outlier", "constant task", "far origin", "noiseless"])
@pytest.mark.parametrize("ratio", [1e-2, 1e-4, 1e-6])
def test_awkward_data_are_solved_to_the_tolerance(kind, ratio):
    data = random_data(np.random.default_rng(26), 1000, 2)
    X, Y = data.X.copy(), data.Y.copy()
    if kind == "step":
        Y = np.where(X[:, None] > 0.5, [1.0, 2.0], [0.0, 1.0])
    elif kind == "outlier":
        Y[500] += 1e4
    elif kind == "constant task":
        Y[:, 0] = 7.0
    elif kind == "far origin":
        X, Y = X + 2000.0, Y + 1000.0
    else:
        Y = np.maximum(X - 0.3, 0.0)[:, None] * [1.0, -2.0]
    problem = kw.Problem(X, Y, ratio * kw.lam_max(kw.Problem(X, Y, 1.0)))
    solution = kw.solve(problem)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.relative_gap <= 1e-8
    objective = dense_objective(X, Y, problem.lam, solution.network)
    assert solution.certificate.primal == pytest.approx(objective, rel=1e-7)
    assert solution.certificate.dual <= objective * (1 + 1e-9)


# ---------------------------------------------------------------------------------- solved by hand


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_hand_solved_problems(known):
    problem = kw.Problem(known.X, known.Y, known.lam, sample_weight=known.weight)
    solution = kw.solve(problem, tol=1e-11)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(known.optimum, rel=1e-10, abs=1e-13)
    assert solution.certificate.dual == pytest.approx(known.optimum, rel=1e-10, abs=1e-13)
    if known.fitted is not None:
        assert np.allclose(solution.network.predict(known.X), known.fitted, rtol=1e-5, atol=1e-5)
    if known.lam > 0:
        assert np.allclose(solution.certificate.dual_point, known.alpha, rtol=1e-5, atol=1e-5)


# -------------------------------------------------------------------------------------- properties


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, "labels"), (0.0, "rows")])
@pytest.mark.parametrize("factor", [1.0 + 1e-12, 1.5, 1e6])
def test_at_lam_max_the_affine_fit_is_found_in_one_round(gaps, weights, factor):
    data = random_data(np.random.default_rng(2), 40, 3, "random", gaps, weights)
    top = kw.lam_max(problem_of(data, 1.0))
    solution = kw.solve(problem_of(data, factor * top))
    assert len(solution.trace) == 1
    assert solution.network.n_neurons == 0
    assert solution.certificate.relative_gap <= 1e-11
    free = problem_of(data, 1.0).free_fit()
    assert np.allclose(solution.network.predict(data.X), free.predict(data.X), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, "labels")])
def test_just_below_lam_max_a_neuron_helps(gaps, weights):
    data = random_data(np.random.default_rng(3), 40, 3, "random", gaps, weights)
    top = kw.lam_max(problem_of(data, 1.0))
    problem = problem_of(data, 0.99 * top)
    solution = kw.solve(problem, tol=1e-12)
    assert solution.network.n_neurons >= 1
    assert solution.certificate.primal < problem.objective(problem.free_fit()) * (1 - 1e-9)


@pytest.mark.parametrize("lam", [0.02, 0.5])
def test_weights_are_repeated_rows(lam):
    rng = np.random.default_rng(4)
    data, times = random_data(rng, 30, 2), rng.integers(1, 5, 30)
    weighted = kw.solve(kw.Problem(data.X, data.Y, lam, sample_weight=times.astype(float)), tol=TOL)
    repeated = kw.solve(kw.Problem(np.repeat(data.X, times), np.repeat(data.Y, times, axis=0), lam), tol=TOL)
    assert repeated.certificate.primal == pytest.approx(weighted.certificate.primal, rel=3 * TOL)
    assert np.allclose(repeated.network.predict(data.X), weighted.network.predict(data.X), atol=1e-4)


@pytest.mark.parametrize("lam", [0.0, 0.02, 0.5])
def test_a_row_without_labels_is_no_row(lam):
    data = random_data(np.random.default_rng(5), 30, 3)
    X = np.insert(data.X, [0, 10, 30], [0.5, 2.0, -1.0])
    with_gap = np.insert(data.Y, [0, 10, 30], np.nan, axis=0)
    ignored = np.insert(data.Y, [0, 10, 30], 100.0, axis=0)
    weight = np.insert(np.ones(30), [0, 10, 30], 0.0)
    plain = kw.solve(kw.Problem(data.X, data.Y, lam), tol=TOL)
    for problem in (kw.Problem(X, with_gap, lam), kw.Problem(X, ignored, lam, sample_weight=weight)):
        other = kw.solve(problem, tol=TOL)
        assert other.status is kw.Status.OPTIMAL
        assert other.certificate.primal == pytest.approx(plain.certificate.primal, rel=3 * TOL)
        assert np.allclose(other.network.predict(X), plain.network.predict(X), atol=1e-4)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_permuting_tasks_permutes_the_answer(gaps):
    rng = np.random.default_rng(6)
    data, order = random_data(rng, 40, 5, gaps=gaps), rng.permutation(5)
    one = kw.solve(problem_of(data, 0.3), tol=1e-12)
    other = kw.solve(kw.Problem(data.X, data.Y[:, order], 0.3), tol=1e-12)
    assert other.certificate.primal == pytest.approx(one.certificate.primal, rel=1e-11)
    seen = ~np.isnan(data.Y[:, order])
    assert np.allclose(
        other.network.predict(data.X)[seen], one.network.predict(data.X)[:, order][seen], atol=1e-5
    )


@pytest.mark.parametrize("weights", [None, "rows"])
def test_rotating_tasks_rotates_the_answer(weights):
    rng = np.random.default_rng(7)
    data = random_data(rng, 40, 4, weights=weights)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    one = kw.solve(problem_of(data, 0.3), tol=1e-12)
    other = kw.solve(problem_of(data._replace(Y=data.Y @ Q), 0.3), tol=1e-12)
    assert other.certificate.primal == pytest.approx(one.certificate.primal, rel=1e-11)
    seen = np.any(label_weights(data.Y, data.weight) > 0, axis=1)
    assert np.allclose(other.network.predict(data.X)[seen], one.network.predict(data.X)[seen] @ Q, atol=1e-5)


def test_many_tasks_on_few_points_are_few_tasks():
    rng = np.random.default_rng(8)
    data = random_data(rng, 8, 101)
    solution = kw.solve(problem_of(data, 0.2), tol=TOL)
    assert_optimal(solution, conic_optimum(data.X, data.Y, 0.2), data)
    assert solution.network.n_tasks == 101


def test_copies_of_a_task_cost_their_root():
    data = random_data(np.random.default_rng(9), 30, 1)
    single = kw.solve(problem_of(data, 0.1), tol=TOL)
    # four copies: the loss is 4 times that of one, and the norm of four equal jumps twice theirs
    copies = kw.solve(kw.Problem(data.X, np.repeat(data.Y, 4, axis=1), 0.2), tol=TOL)
    assert copies.certificate.primal == pytest.approx(4 * single.certificate.primal, rel=3 * TOL)
    assert np.allclose(copies.network.predict(data.X), single.network.predict(data.X), atol=1e-4)


@pytest.mark.parametrize("lam", [0.0, 1e-6, 0.1])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_affine_data_cost_nothing(lam, gaps):
    rng = np.random.default_rng(10)
    data = random_data(rng, 30, 3, gaps=gaps)
    lines = np.array([2.0, -1.0, 0.0]) * data.X[:, None] + [1.0, 0.0, -3.0]
    problem = kw.Problem(data.X, np.where(np.isnan(data.Y), np.nan, lines), lam)
    solution = kw.solve(problem)
    assert kw.lam_max(problem) == 0.0
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal <= 1e-10
    assert np.allclose(solution.network.predict(data.X), lines, atol=1e-10)


def test_adding_lines_to_the_labels_adds_them_to_the_answer():
    rng = np.random.default_rng(11)
    data = random_data(rng, 40, 2)
    lines = np.column_stack([np.ones(40), data.X]) @ rng.standard_normal((2, 2))
    one = kw.solve(problem_of(data, 0.3), tol=1e-11)
    other = kw.solve(kw.Problem(data.X, data.Y + lines, 0.3), tol=1e-11)
    assert other.certificate.primal == pytest.approx(one.certificate.primal, rel=1e-10)
    assert np.allclose(other.network.predict(data.X), one.network.predict(data.X) + lines, atol=1e-4)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize(("a", "s"), [(1e6, 1.0), (1.0, 1e-9), (1e-12, 1e12), (7.0, 1e-20)])
def test_scaling_x_y_and_lam_together(a, s, gaps):
    """x -> a x, y -> s y, lam -> a s lam: predictions times s, the objective times s^2."""
    data = random_data(np.random.default_rng(12), 40, 2, gaps=gaps)
    one = kw.solve(problem_of(data, 0.3), tol=1e-11)
    other = kw.solve(kw.Problem(a * data.X, s * data.Y, 0.3 * a * s), tol=1e-11)
    assert other.status is kw.Status.OPTIMAL
    assert other.certificate.primal == pytest.approx(s**2 * one.certificate.primal, rel=1e-10)
    seen = ~np.isnan(data.Y)
    predicted = other.network.predict(a * data.X) / s
    assert np.allclose(predicted[seen], one.network.predict(data.X)[seen], atol=1e-4)


@pytest.mark.parametrize("origin", [1e3, -1e6])
def test_moving_the_origin_of_x(origin):
    data = random_data(np.random.default_rng(13), 40, 2, "regular")
    one = kw.solve(problem_of(data, 0.3))
    other = kw.solve(kw.Problem(data.X + origin, data.Y, 0.3))
    assert other.certificate.primal == pytest.approx(one.certificate.primal, rel=1e-7)


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(14)
    data, order = random_data(rng, 40, 2, "repeated", 0.2, "labels"), rng.permutation(40)
    one = kw.solve(problem_of(data, 0.3), tol=TOL)
    other = kw.solve(kw.Problem(data.X[order], data.Y[order], 0.3, sample_weight=data.weight[order]), tol=TOL)
    assert other.certificate.primal == pytest.approx(one.certificate.primal, rel=3 * TOL)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("ratio", [1e-3, 0.05, 0.5])
def test_a_warm_start_from_the_optimum_takes_at_most_two_rounds(gaps, ratio):
    data = random_data(np.random.default_rng(15), 3000, 3, "random", gaps)
    problem = problem_of(data, ratio * kw.lam_max(problem_of(data, 1.0)))
    cold = kw.solve(problem)
    warm = kw.solve(problem, start=cold.network)
    assert warm.status is kw.Status.OPTIMAL
    assert len(warm.trace) <= 2
    assert warm.certificate.primal == pytest.approx(cold.certificate.primal, rel=2e-8)


def test_any_network_may_be_a_start():
    rng = np.random.default_rng(16)
    data = random_data(rng, 40, 2)
    cold = kw.solve(problem_of(data, 0.3), tol=TOL)
    for K in (0, 1, 60):
        start = kw.ReLUNetwork(
            rng.standard_normal((K, 1)), rng.standard_normal(K), rng.standard_normal((K, 2))
        )
        warm = kw.solve(problem_of(data, 0.3), tol=TOL, start=start)
        assert warm.certificate.primal == pytest.approx(cold.certificate.primal, rel=3 * TOL)


def test_knots_are_at_data_points_and_neurons_canonical():
    data = random_data(np.random.default_rng(17), 60, 2)
    network = kw.solve(problem_of(data, 0.1)).network
    assert network.n_neurons == len(network.knots.location) > 0
    assert np.all(np.isin(network.knots.location, data.X))
    assert np.array_equal(network.W, np.ones_like(network.W))
    assert network.cost() == pytest.approx(np.linalg.norm(network.knots.jump, axis=1).sum(), rel=1e-14)


# ----------------------------------------------------------------------------------------- lam = 0


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal"])
@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_without_gaps_lam_zero_connects_the_dots(spacing, n):
    data = random_data(np.random.default_rng(18), n, 3, spacing)
    solution = kw.solve(problem_of(data, 0.0))
    order = np.argsort(data.X)
    bends = second_differences(data.X[order]) @ data.Y[order]
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(np.linalg.norm(bends, axis=1).sum(), rel=1e-12)
    assert np.allclose(solution.network.predict(data.X), data.Y, atol=1e-11)


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal"])
@pytest.mark.parametrize(("seed", "gaps"), [(0, 0.1), (1, 0.5), (2, 0.3)])
def test_with_gaps_lam_zero_is_the_conic_optimum(spacing, seed, gaps):
    data = random_data(np.random.default_rng(seed), 25, 3, spacing, gaps)
    solution, best = kw.solve(problem_of(data, 0.0), tol=1e-9), conic_optimum(data.X, data.Y, 0.0)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(best.primal, rel=3e-9)
    assert solution.certificate.dual == pytest.approx(best.primal, rel=3e-9)
    seen = ~np.isnan(data.Y)
    assert np.abs(dense_predict(solution.network, data.X) - data.Y)[seen].max() <= 1e-9 * np.nanmax(
        np.abs(data.Y)
    )


def test_lam_zero_is_the_limit_of_small_lam():
    data = random_data(np.random.default_rng(19), 25, 2, gaps=0.2)
    exact = kw.solve(problem_of(data, 0.0))
    near = kw.solve(problem_of(data, 1e-7))
    assert near.certificate.primal / 1e-7 == pytest.approx(exact.certificate.primal, rel=1e-3)
    assert near.certificate.primal / 1e-7 <= exact.certificate.primal * (1 + 1e-6)


def test_equal_labels_at_equal_inputs_interpolate():
    solution = kw.solve(kw.Problem([1.0, 0.0, 1.0, 2.0], [1.0, 0.0, 1.0, 0.0], 0.0))
    assert solution.certificate.primal == pytest.approx(2.0, rel=1e-14)


@pytest.mark.parametrize("third", [0.0, np.nan])
def test_conflicting_labels_are_infeasible_at_lam_zero(third):
    Y = [[0.0, 0.0], [1.0, 1.0], [1.0, 2.0], [0.0, third]]
    with pytest.raises(ValueError, match=r"^Y: .*lam"):
        kw.solve(kw.Problem([0.0, 1.0, 1.0, 2.0], Y, 0.0))
    assert kw.solve(kw.Problem([0.0, 1.0, 1.0, 2.0], Y, 0.1)).status is kw.Status.OPTIMAL
