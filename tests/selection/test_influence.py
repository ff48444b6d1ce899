import numpy as np
import pytest
from influence_problems import CASES, NUCLEAR, PAPER_B, Case

import knotwork as kw
from knotwork.selection.influence import influence


def solved(case, tol=1e-12):
    return kw.solve(case.problem(), tol=tol)


def by_differences(solution, row, task, step=1e-4):
    """(N, T) the central difference of fitted values in one label, by solving again."""
    problem, fits = solution.problem, []
    for sign in (1.0, -1.0):
        Y = problem.Y.copy()
        Y[row, task] += sign * step
        moved = kw.Problem(problem.X, Y, problem.lam, problem.loss, problem.penalty, problem.sample_weight)
        fits.append(kw.solve(moved, tol=1e-12, start=solution.network).network.predict(problem.X))
    return (fits[0] - fits[1]) / (2.0 * step)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_influence_is_the_derivative_of_the_refit(case):
    solution = solved(case)
    found = influence(solution)
    labels = np.argwhere(solution.problem.label_weight() > 0)
    for row, task in labels[:: len(labels) // 4].tolist():
        expected = by_differences(solution, row, task)
        np.testing.assert_allclose(found.of(row, task), expected, atol=1e-6)
        assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.name)
def test_rows_columns_and_sums_are_those_of_the_whole_array(case):
    solution = solved(case, 1e-10)
    found = influence(solution)
    whole = found.array()
    np.testing.assert_allclose(found.on(3, 0), whole[3, 0], atol=1e-12)
    np.testing.assert_allclose(found.of(3, 0), whole[:, :, 3, 0], atol=1e-12)
    np.testing.assert_allclose(found.at(solution.problem.X[5:9]), whole[5:9], atol=1e-12)
    np.testing.assert_allclose(found.tasks, np.einsum("isjt,isjt->st", whole, whole), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.degrees_of_freedom, np.einsum("isis->", whole), rtol=1e-10)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0)
    missing = np.isnan(solution.problem.Y)
    assert not np.any(whole[:, :, missing])


@pytest.mark.parametrize(
    "case", [CASES[0], CASES[5], CASES[6], CASES[7], CASES[8]], ids=lambda case: case.name
)
def test_degrees_of_freedom_are_those_of_the_path(case):
    problem = case.problem()
    path = kw.path(problem, lams=[problem.lam], tol=1e-10)
    assert path.df is not None
    found = influence(path.solutions[0])
    np.testing.assert_allclose(found.degrees_of_freedom, path.df[0], rtol=1e-6)


def test_influence_at_other_inputs_is_the_derivative_of_predictions_there():
    solution = solved(CASES[11])
    at, step = np.array([-2.0, 0.123, 1.7]), 1e-4
    found = influence(solution).at(at)
    problem, fits = solution.problem, []
    for sign in (1.0, -1.0):
        Y = problem.Y.copy()
        Y[4, 1] += sign * step
        moved = kw.Problem(problem.X, Y, problem.lam, penalty=problem.penalty)
        fits.append(kw.solve(moved, tol=1e-12).network.predict(at))
    np.testing.assert_allclose(found[:, :, 4, 1], (fits[0] - fits[1]) / (2.0 * step), atol=1e-6)


@pytest.mark.parametrize("case", [CASES[0], CASES[6], CASES[11], CASES[18]], ids=lambda case: case.name)
def test_with_the_learned_kernel_held_fixed_no_task_teaches_another(case):
    """Ridge with the kernel of all tasks returns the same fit; its influence is the first term alone."""
    solution = solved(case)
    problem, found = solution.problem, influence(solution)
    kernel = kw.learned_kernel(found.network, penalty=problem.penalty)

    def ridge(Y):
        again = kw.Problem(problem.X, Y, problem.lam, penalty=problem.penalty)
        return kw.kernel_ridge(kernel, again).predict(problem.X)

    np.testing.assert_allclose(ridge(problem.Y), found.network.predict(problem.X), atol=1e-8)
    own = np.zeros(problem.n_tasks)
    for row, task in np.argwhere(~np.isnan(problem.Y)).tolist():
        Y = problem.Y.copy()
        Y[row, task] += 1.0
        moved = ridge(Y) - ridge(problem.Y)
        own[task] += float(np.sum(moved[:, task] ** 2))
        others = np.delete(np.arange(problem.n_tasks), task)
        assert not np.any(moved[:, others])
    np.testing.assert_allclose(found.kernel_tasks, own, rtol=1e-6)
    between = found.tasks[~np.eye(problem.n_tasks, dtype=bool)]
    assert between.min() > 1e-8


def test_an_affine_task_teaches_nobody_and_learns_from_nobody():
    """Its residual is zero, so that it has no say in the neurons; it would follow them if it bent."""
    x = np.linspace(-1.0, 1.0, 21)
    Y = np.column_stack([np.abs(x - 0.13), 2.0 - 3.0 * x, np.abs(x + 0.4)])
    found = influence(kw.solve(kw.Problem(x, Y, 0.05), tol=1e-12))
    np.testing.assert_allclose(found.tasks[1, [0, 2]], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.tasks[[0, 2], 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.tasks[1, 1], found.kernel_tasks[1])
    assert found.tasks[1, 1] > 2.1
    assert found.tasks[0, 2] > 1e-4


def test_symmetric_without_weights_and_never_more_than_one():
    found = influence(solved(CASES[0])).array()
    n = found.shape[0] * found.shape[1]
    matrix = found.reshape(n, n)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    values = np.linalg.eigvalsh(matrix)
    # lines are kept as they are
    assert values.min() > -1e-12
    np.testing.assert_allclose(values[-6:], 1.0, atol=1e-10)


def test_a_fit_without_neurons_is_the_line_through_the_labels():
    x = np.linspace(0.0, 1.0, 7)
    solution = kw.solve(kw.Problem(x, np.column_stack([x**2, x]), 10.0))
    found = influence(solution)
    assert solution.network.n_neurons == 0
    Q, _ = np.linalg.qr(np.column_stack([np.ones(7), x]))
    np.testing.assert_allclose(found.on(2, 1)[:, 1], (Q @ Q.T)[2], atol=1e-12)
    np.testing.assert_allclose(found.tasks, np.diag([2.0, 2.0]), atol=1e-12)
    np.testing.assert_allclose(found.kernel_tasks, 2.0, atol=1e-12)


def test_a_skip_connection_of_rank_two_is_differentiated():
    """Two terms of one nuclear norm may be turned into each other: a null direction that moves nothing."""
    case = Case("rank two", NUCLEAR, n_inputs=3, n_rows=16, share=0.3, seed=2)
    problem = case.problem()
    Y = problem.Y + 60.0 * problem.X @ np.array([[1.0, 0.0, 0.4], [0.0, 1.0, 0.0], [0.3, 0.0, 0.0]])
    solution = kw.solve(kw.Problem(problem.X, Y, problem.lam, penalty=NUCLEAR), tol=1e-12)
    assert np.linalg.matrix_rank(solution.network.A, tol=1e-6) >= 2
    np.testing.assert_allclose(influence(solution).of(3, 1), by_differences(solution, 3, 1), atol=1e-6)


def test_a_rough_solution_is_brought_to_the_optimum_first():
    rough, fine = solved(CASES[11], 1e-7), solved(CASES[11])
    np.testing.assert_allclose(influence(rough).array(), influence(fine).array(), atol=1e-6)
    gap = kw.certify(rough.problem, influence(rough).network).relative_gap
    assert gap < 1e-13


def test_errors_name_the_argument():
    solution = solved(CASES[0])
    found = influence(solution)
    with pytest.raises(TypeError, match="solution: must be"):
        influence(solution.network)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="row: must be from 0 to 23, got 24"):
        found.of(24, 0)
    with pytest.raises(TypeError, match="task: must be an integer"):
        found.on(0, True)
    with pytest.raises(ValueError, match=r"X: must have shape \(n, 1\)"):
        found.at(np.zeros((3, 2)))
    x = np.linspace(0.0, 1.0, 9)
    with pytest.raises(NotImplementedError, match="squared loss"):
        influence(kw.solve(kw.Problem(x, (x > 0.4).astype(float), 0.1, "logistic")))
    with pytest.raises(NotImplementedError, match="lam > 0"):
        influence(kw.solve(kw.Problem(x, x**2, 0.0)))
    problem = Case("coarse", PAPER_B).problem()
    with pytest.raises(ValueError, match="relative gap"):
        influence(kw.solve(problem, max_rounds=1))


def test_what_does_not_fit_in_memory_is_refused_with_the_remedy():
    x = np.linspace(0.0, 1.0, 3000)
    problem = kw.Problem(x, np.abs(x[:, None] - [0.2, 0.3, 0.6, 0.7]), 20.0)
    found = influence(kw.solve(problem))
    with pytest.raises(ValueError, match="1 GiB"):
        found.array()
    assert found.of(5, 1).shape == (3000, 4)
    assert found.at(x[:2]).shape == (2, 4, 3000, 4)
