import numpy as np
import pytest
from influence_problems import CASES, PAPER_B, Case

import knotwork as kw
from knotwork.selection.influence_cross_validation import influence_cross_validate
from knotwork.selection.leave_one_out import leave_one_out


def held_out_losses(problem, lams):
    """(m,) mean losses at every row by the path of the others, the plain way."""
    losses, rows = np.zeros(len(lams)), np.arange(problem.n_rows)
    weight = problem.sample_weight
    for row in rows:
        keep = rows != row
        others = kw.Problem(
            problem.X[keep],
            problem.Y[keep],
            1.0,
            penalty=problem.penalty,
            sample_weight=None if weight is None else weight[keep],
        )
        one = np.ones(1) if weight is None else weight[[row]]
        for k, solution in enumerate(kw.path(others, lams=lams, tol=1e-8).solutions):
            error = solution.network.predict(problem.X[[row]])[0] - problem.Y[row]
            losses[k] += 0.5 * float(np.nansum(one * error * error))
    return losses / problem.label_weight().sum()


@pytest.mark.parametrize(
    "case",
    [
        Case("noisy", n_rows=40, seed=40),
        Case("one task, weights", n_tasks=1, n_rows=30, weights="rows", seed=41),
        Case("gaps", missing=0.2, n_rows=30, seed=42),
    ],
    ids=lambda case: case.name,
)
def test_the_lam_chosen_is_that_of_refits(case):
    problem = case.problem()
    found = influence_cross_validate(problem, n_lams=20, lam_ratio=1e-3)
    expected = held_out_losses(problem, found.lams)
    best = int(np.argmin(expected))
    assert found.lam_min == found.lams[best]
    np.testing.assert_allclose(found.mean_loss[best], expected[best], rtol=1e-4)
    beside = slice(max(best - 1, 0), best + 2)
    np.testing.assert_allclose(found.mean_loss[beside], expected[beside], rtol=1e-4)
    assert expected.max() > 1.01 * expected.min()
    assert found.solution.problem.lam == found.lam == found.lam_min
    assert found.solution.status is found.status is kw.Status.OPTIMAL


def test_exact_beside_the_least_and_first_order_elsewhere():
    problem = Case("noisy", n_rows=40, seed=40).problem()
    found = influence_cross_validate(problem, n_lams=20, lam_ratio=1e-3)
    rough = influence_cross_validate(problem, n_lams=20, lam_ratio=1e-3, exact=False)
    best = int(np.argmin(found.mean_loss))
    assert found.exact[max(best - 3, 0) : best + 4].all()
    assert not rough.exact.any()
    assert 0 < np.count_nonzero(~found.exact) < 20
    np.testing.assert_array_equal(found.mean_loss[~found.exact], rough.mean_loss[~found.exact])
    assert np.all(found.mean_loss[found.exact] != rough.mean_loss[found.exact])
    for k in (best, int(np.flatnonzero(~found.exact)[0])):
        solution = kw.solve(problem.with_lam(float(found.lams[k])))
        again = leave_one_out(solution, exact=bool(found.exact[k]))
        assert found.mean_loss[k] == pytest.approx(again.loss, rel=1e-3)
        assert found.standard_error[k] == pytest.approx(again.standard_error, rel=1e-2)


@pytest.mark.slow
def test_the_lam_chosen_is_that_of_refits_on_many_data_sets():
    """Where the held-out loss has one minimum or several; a lam as good to 1e-3 is as good."""
    others = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n_tasks, x = int(rng.integers(1, 6)), np.sort(rng.uniform(0.0, 1.0, int(rng.integers(25, 50))))
        Y = np.sin(x[:, None] * rng.uniform(3.0, 15.0, n_tasks) + rng.uniform(0.0, 6.0, n_tasks))
        Y += rng.choice([0.05, 0.2, 0.5]) * rng.normal(size=Y.shape)
        found = influence_cross_validate(kw.Problem(x, Y, 1.0), n_lams=40, lam_ratio=1e-3)
        expected = held_out_losses(kw.Problem(x, Y, 1.0), found.lams)
        np.testing.assert_allclose(found.mean_loss[found.exact], expected[found.exact], rtol=1e-4)
        chosen = int(np.argmin(found.mean_loss))
        others += expected[chosen] > (1.0 + 1e-3) * expected.min()
    assert others <= 1


def test_a_stop_leaves_lams_of_the_grid():
    problem = Case("noisy", n_rows=30, seed=44).problem()
    whole = influence_cross_validate(problem, n_lams=30, lam_ratio=1e-3)
    found = influence_cross_validate(problem, n_lams=30, lam_ratio=1e-3, progress=lambda entry: True)
    assert found.status is kw.Status.STOPPED
    assert 1 < len(found.lams) < 30
    assert np.isin(found.lams, whole.lams).all()
    assert found.fold_losses.shape == (30, len(found.lams))


def test_labels_on_a_line_need_no_knot():
    x = np.linspace(0.0, 1.0, 8)
    found = influence_cross_validate(kw.Problem(x, np.column_stack([1.0 + x, -2.0 * x]), 1.0))
    np.testing.assert_array_equal(found.lams, [1.0])
    assert found.solution.network.n_neurons == 0
    np.testing.assert_allclose(found.mean_loss, 0.0, atol=1e-12)


def test_penalised_biases_and_the_rule_of_one_standard_error():
    problem = Case("penalised", PAPER_B, n_rows=20, n_tasks=2, seed=43).problem()
    found = influence_cross_validate(problem, rule="1se", n_lams=8, lam_ratio=1e-2)
    assert found.rule == "1se"
    assert found.lam == found.lam_1se >= found.lam_min
    best = int(np.argmin(found.mean_loss))
    expected = held_out_losses(problem, found.lams[[best]])
    np.testing.assert_allclose(found.mean_loss[best], expected[0], rtol=1e-4)


def test_folds_are_single_rows_with_labels():
    x = np.linspace(0.0, 1.0, 12)
    Y = np.column_stack([np.abs(x - 0.4), np.abs(x - 0.7)])
    Y += 0.05 * np.random.default_rng(0).normal(size=Y.shape)
    Y[3] = np.nan
    found = influence_cross_validate(kw.Problem(x, Y, 1.0), n_lams=6, lam_ratio=1e-2)
    assert len(found.folds) == 11
    assert [test.tolist() for _, test in found.folds] == [[i] for i in range(12) if i != 3]
    assert found.fold_losses.shape == (11, 6)
    assert np.all(np.isfinite(found.fold_losses))


def test_where_a_row_has_no_first_order_it_is_refitted():
    """One task, next to no weight decay: a label alone decides its fitted value."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(-1.0, 1.0, 15))
    problem = kw.Problem(x, np.abs(x) + 0.3 * rng.normal(size=15), 1.0)
    found = influence_cross_validate(problem, n_lams=5, lam_ratio=1e-6, exact=False)
    last = kw.solve(problem.with_lam(float(found.lams[-1])))
    assert np.isnan(leave_one_out(last, exact=False).first_order).any()
    assert np.all(np.isfinite(found.mean_loss))


def test_errors_name_the_argument():
    problem = CASES[0].problem()
    with pytest.raises(TypeError, match="problem: must be"):
        influence_cross_validate(problem.X)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rule: must be"):
        influence_cross_validate(problem, rule="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_lams: must be"):
        influence_cross_validate(problem, n_lams=0)
    x = np.linspace(0.0, 1.0, 6)
    with pytest.raises(NotImplementedError, match="squared loss"):
        influence_cross_validate(kw.Problem(x, (x > 0.5).astype(float), 0.1, "logistic"))
    alone = np.column_stack([x, np.full(6, np.nan)])
    alone[2, 1] = 1.0
    with pytest.raises(ValueError, match="task 1 has one label"):
        influence_cross_validate(kw.Problem(x, alone, 0.1))
