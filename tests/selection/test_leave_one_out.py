import numpy as np
import pytest
from influence_problems import CASES, PAPER_B, Case

import knotwork as kw
from knotwork.selection.influence import influence
from knotwork.selection.leave_one_out import leave_one_out


def refit(problem, row, tasks, start=None):
    """(T,) predictions at the row by the problem without its labels `tasks`, solved from nothing."""
    Y = problem.Y.copy()
    Y[row, tasks] = np.nan
    keep = ~np.isnan(Y).all(axis=1)
    weight = problem.sample_weight
    reduced = kw.Problem(
        problem.X[keep],
        Y[keep],
        problem.lam,
        penalty=problem.penalty,
        sample_weight=None if weight is None else weight[keep],
    )
    return kw.solve(reduced, tol=1e-12, start=start).network.predict(problem.X[row : row + 1])[0]


def groups_of(problem, leave):
    seen = ~np.isnan(problem.Y)
    if leave == "row":
        return [(row, seen[row]) for row in np.flatnonzero(seen.any(axis=1))]
    return [(row, np.arange(problem.n_tasks) == task) for row, task in np.argwhere(seen)]


def slow_unless(quick, case, leave):
    marks = () if quick else (pytest.mark.slow,)
    return pytest.param(case, leave, marks=marks, id=f"{case.name}, {leave}")


@pytest.mark.parametrize(
    ("case", "leave"),
    [slow_unless(case.n_inputs == 1 or case.seed in (15, 17), case, "row") for case in CASES]
    + [slow_unless(case.n_inputs == 1 and not case.penalty.biases, case, "label") for case in CASES],
)
def test_predictions_are_those_of_refits(case, leave):
    solution = kw.solve(case.problem(), tol=1e-9)
    problem = solution.problem
    found = leave_one_out(solution, leave)
    assert found.status is kw.Status.OPTIMAL
    compared = 0
    for row, tasks in groups_of(problem, leave)[3::6]:
        expected = refit(problem, row, tasks)
        again = refit(problem, row, tasks, solution.network) if problem.n_inputs > 1 else expected
        if np.abs(again - expected).max() < 1e-6:
            # elsewhere the reduced problem has several optima, which differ at the input left out
            np.testing.assert_allclose(found.predictions[row, tasks], expected[tasks], atol=1e-4)
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("case", [CASES[0], CASES[5], CASES[6], CASES[8]], ids=lambda case: case.name)
def test_all_at_once_is_one_by_one(case, monkeypatch):
    solution = kw.solve(case.problem(), tol=1e-10)
    together = {leave: leave_one_out(solution, leave, tol=1e-10) for leave in ("row", "label")}
    monkeypatch.setattr("knotwork.selection.leave_one_out.removals_of", lambda problem, leave: None)
    for leave, found in together.items():
        alone = leave_one_out(solution, leave, tol=1e-10)
        np.testing.assert_allclose(found.predictions, alone.predictions, atol=1e-6)
        # which knots a fit has is unsure where a mass is next to nothing
        assert np.mean(found.refitted == alone.refitted) > 0.9


def test_hardly_any_refit_is_left_to_be_solved_alone(monkeypatch):
    alone = []

    def counted(problem, **options):
        alone.append(problem)
        return kw.solve(problem, **options)

    monkeypatch.setattr("knotwork.selection.leave_one_out.solve", counted)
    for case in (CASES[0], CASES[4], CASES[5], CASES[7], CASES[8]):
        leave_one_out(kw.solve(case.problem(), tol=1e-10))
    assert len(alone) <= 3


def test_a_row_left_out_of_a_smooth_bend_is_on_the_line_between_its_neighbours():
    """One task that bends everywhere: any convex curve between the neighbours is as good, and a network
    with its knots at the data left is straight there."""
    x = np.linspace(0.0, 1.0, 12)
    solution = kw.solve(kw.Problem(x, x**2, 1e-4), tol=1e-12)
    found = leave_one_out(solution)
    for row in range(2, 10):
        keep = np.arange(12) != row
        rest = kw.solve(kw.Problem(x[keep], x[keep] ** 2, 1e-4), tol=1e-12).network
        between = rest.predict(x[[row - 1, row + 1]]).mean()
        np.testing.assert_allclose(found.predictions[row, 0], between, atol=1e-6)
        assert between > rest.predict(x[[row - 1]])[0, 0] + 1e-3


def test_first_order_is_close_where_the_neurons_stay():
    """And only there: that is what `refitted` says."""
    solution = kw.solve(Case("large", share=0.5, n_rows=60, seed=3).problem(), tol=1e-12)
    found = leave_one_out(solution, "label")
    error = np.abs(found.first_order - found.predictions)
    moved = np.abs(found.predictions - solution.network.predict(solution.problem.X))
    assert 0.05 < np.mean(found.refitted) < 0.5
    assert error[~found.refitted].max() < 0.01 * moved.max() < error[found.refitted].max()


def test_first_order_is_the_leverage_formula_of_least_squares():
    """Without neurons H is the hat matrix of a line, and the first order is exact."""
    rng = np.random.default_rng(0)
    x, Y = rng.uniform(size=12), rng.normal(size=(12, 2))
    problem = kw.Problem(x, Y, 100.0)
    found = leave_one_out(kw.solve(problem), exact=False)
    for i in range(12):
        keep = np.arange(12) != i
        line = np.polynomial.polynomial.polyfit(x[keep], Y[keep], 1)
        np.testing.assert_allclose(found.predictions[i], line[0] + line[1] * x[i], atol=1e-10)
    np.testing.assert_array_equal(found.predictions, found.first_order)
    assert not found.refitted.any()


def test_first_order_by_the_blocks_of_influence():
    solution = kw.solve(CASES[11].problem(), tol=1e-10)
    problem, found = solution.problem, influence(solution)
    H, residual = found.array(), problem.Y - found.network.predict(problem.X)
    rows, labels = leave_one_out(solution, exact=False), leave_one_out(solution, "label", exact=False)
    for i in (0, 7, 15):
        block = np.eye(problem.n_tasks) - H[i, :, i]
        expected = problem.Y[i] - np.linalg.solve(block, residual[i])
        np.testing.assert_allclose(rows.predictions[i], expected, atol=1e-10)
        np.testing.assert_allclose(
            labels.predictions[i], problem.Y[i] - residual[i] / block.diagonal(), atol=1e-10
        )


@pytest.mark.parametrize("leave", ["row", "label"])
def test_losses_are_means_over_weights(leave):
    solution = kw.solve(CASES[8].problem(), tol=1e-9)
    problem, found = solution.problem, leave_one_out(solution, leave)
    weight = problem.label_weight()
    loss = 0.5 * (problem.Y - found.predictions) ** 2
    assert found.loss == pytest.approx(np.average(loss, weights=weight))
    np.testing.assert_allclose(found.task_losses, np.average(loss, axis=0, weights=weight))
    if leave == "row":
        loss, weight = np.average(loss, axis=1, weights=weight), weight.sum(axis=1)
    variance = np.average((loss - found.loss) ** 2, weights=weight)
    assert found.standard_error == pytest.approx(np.sqrt(variance / (loss.size - 1)))


def test_missing_labels_have_no_prediction():
    solution = kw.solve(CASES[6].problem())
    found = leave_one_out(solution)
    missing = np.isnan(solution.problem.Y)
    np.testing.assert_array_equal(np.isnan(found.predictions), missing)
    np.testing.assert_array_equal(np.isnan(found.first_order), missing)
    assert not found.refitted[missing].any()


def test_a_row_that_alone_says_where_a_line_goes():
    """Two labels of a task: without one the other is all that is known, and slopes take least norm."""
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    Y = np.column_stack([np.abs(x - 2.2), np.full(6, np.nan)])
    Y[[1, 4], 1] = 1.0, 3.0
    solution = kw.solve(kw.Problem(x, Y, 0.1), tol=1e-10)
    found = leave_one_out(solution)
    assert np.isnan(found.first_order[1, 1])
    np.testing.assert_allclose(found.predictions[1, 1], refit(solution.problem, 1, [0, 1])[1], atol=1e-6)


def test_small_problems_with_every_row_at_an_end():
    for x in ([0.0, 1.0, 3.0], [0.0, 1.0, 3.0, 3.5], [0.0, 0.0, 1.0, 1.0]):
        Y = np.array([[0.0, 1.0], [2.0, 0.5], [0.3, 0.1], [1.0, 1.0]])[: len(x)]
        solution = kw.solve(kw.Problem(np.array(x), Y, 0.05), tol=1e-12)
        found = leave_one_out(solution)
        for row in range(len(x)):
            expected = refit(solution.problem, row, [0, 1])
            np.testing.assert_allclose(found.predictions[row], expected, atol=1e-6)


def test_errors_name_the_argument():
    solution = kw.solve(CASES[0].problem())
    with pytest.raises(ValueError, match="leave: must be 'row' or 'label', got 'fold'"):
        leave_one_out(solution, "fold")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tol: must be a number between 0 and 1"):
        leave_one_out(solution, tol=0.0)
    with pytest.raises(TypeError, match="solution: must be"):
        leave_one_out(solution.problem)  # type: ignore[arg-type]
    x = np.linspace(0.0, 1.0, 6)
    Y = np.column_stack([np.abs(x - 0.5), np.full(6, np.nan)])
    Y[2, 1] = 1.0
    with pytest.raises(ValueError, match="task 1 has one label"):
        leave_one_out(kw.solve(kw.Problem(x, Y, 0.01)))
    with pytest.raises(NotImplementedError, match="squared loss"):
        leave_one_out(kw.solve(kw.Problem(x, np.abs(x - 0.5), 0.1, "huber")))


@pytest.mark.slow
def test_many_random_data_sets():
    rng = np.random.default_rng(1)
    for seed in range(40):
        case = Case(
            "random",
            n_rows=int(rng.integers(8, 60)),
            n_tasks=int(rng.integers(1, 6)),
            share=float(10 ** rng.uniform(-3.5, -0.3)),
            missing=float(rng.choice([0.0, 0.3])),
            ties=bool(rng.integers(2)),
            weights=str(rng.choice(["", "rows", "labels"])),
            seed=seed,
        )
        solution = kw.solve(case.problem(), tol=1e-9)
        found = leave_one_out(solution)
        for row, tasks in groups_of(solution.problem, "row"):
            expected = refit(solution.problem, row, tasks)[tasks]
            np.testing.assert_allclose(found.predictions[row, tasks], expected, atol=1e-4, err_msg=str(case))


@pytest.mark.slow
def test_penalised_biases_row_by_row():
    solution = kw.solve(Case("penalised", PAPER_B, n_rows=40, seed=30).problem(), tol=1e-9)
    found = leave_one_out(solution)
    for row, tasks in groups_of(solution.problem, "row"):
        np.testing.assert_allclose(found.predictions[row], refit(solution.problem, row, tasks), atol=1e-4)
