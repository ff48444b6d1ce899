from __future__ import annotations

import itertools

import numpy as np
import pytest

import knotwork as kw
from knotwork.scaling import TaskScaling
from knotwork.tables import Table
from knotwork.workflow import MOST_SHOWN, fit_table


def bent_table(n_tasks=3, gaps=False, origin=None):
    """Tasks that bend at 2 and 5, in units that differ by factors of ten."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 8.0, 41)
    hinges = np.stack([np.maximum(x - 2, 0), np.maximum(x - 5, 0)])
    Y = hinges.T @ rng.standard_normal((2, n_tasks)) + 0.05 * rng.standard_normal((41, n_tasks))
    Y = Y * 10.0 ** np.arange(n_tasks) + 7.0
    if gaps:
        Y[rng.random(Y.shape) < 0.2] = np.nan
    return Table("bent", "x", tuple(f"t{t}" for t in range(n_tasks)), x, Y, origin)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_standardised_problem_is_solved_and_mapped_back(gaps):
    table = bent_table(gaps=gaps)
    result = fit_table(table, lam_ratio=0.05)
    scaling = TaskScaling.of(table.Y)
    problem = kw.Problem(table.X, scaling.apply(table.Y), 1.0)
    largest = kw.lam_max(problem)
    assert result.lam_max == pytest.approx(largest, rel=1e-12)
    assert result.lam_ratio == pytest.approx(0.05, rel=1e-12)
    expected = kw.solve(problem.with_lam(0.05 * largest))
    assert result.solution.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-7)
    assert result.solution.status is kw.Status.OPTIMAL
    predicted = expected.network.predict(table.X) * scaling.scale + scaling.centre
    np.testing.assert_allclose(result.network.predict(table.X), predicted, rtol=1e-5, atol=1e-3)


def test_units_of_a_task_change_nothing_under_scale_task():
    table = bent_table()
    other = Table("bent", "x", table.task_names, table.X, table.Y * [1e4, 1.0, 1e-5] + [0.0, 3.0, 9.0])
    one, two = fit_table(table, lam_ratio=0.01), fit_table(other, lam_ratio=0.01)
    assert one.solution.certificate.primal == pytest.approx(two.solution.certificate.primal, rel=1e-7)
    assert [knot.place for knot in one.knots()] == [knot.place for knot in two.knots()]


def test_scale_none_solves_the_labels_as_they_are():
    table = bent_table()
    result = fit_table(table, lam=0.7, scale="none")
    expected = kw.solve(kw.Problem(table.X, table.Y, 0.7))
    assert result.solution.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-7)
    np.testing.assert_array_equal(result.network.predict(table.X), result.solution.network.predict(table.X))


def test_lam_is_used_as_given_and_the_ratio_is_of_lam_max():
    result = fit_table(bent_table(), lam=0.25)
    assert result.solution.problem.lam == 0.25
    assert result.lam_ratio == pytest.approx(0.25 / result.lam_max)
    assert fit_table(bent_table(), lam_ratio=0.03).lam_ratio == pytest.approx(0.03)


def test_held_out_blocks_choose_lam_when_nothing_is_given():
    table = bent_table(gaps=True)
    result = fit_table(table)
    problem = kw.Problem(table.X, TaskScaling.of(table.Y).apply(table.Y), 1.0)
    expected = kw.cross_validate(problem, 10, scheme="blocked", rule="1se", n_lams=50)
    assert result.cross_validation is not None
    assert result.solution.problem.lam == expected.lam == result.cross_validation.lam
    np.testing.assert_array_equal(result.cross_validation.mean_loss, expected.mean_loss)
    assert result.solution.certificate.relative_gap <= 1e-8
    # the data bend at 2 and 5
    assert 2 <= len(result.knots()) <= 8


def test_cross_validation_takes_its_options():
    table = bent_table()
    result = fit_table(table, cv=4, scheme="interleaved", rule="min")
    found = result.cross_validation
    assert found is not None
    assert (len(found.folds), found.rule, result.scheme) == (4, "min", "interleaved")
    assert found.lam == found.lam_min
    places = np.sort(table.X[found.folds[1][1]])
    np.testing.assert_array_equal(places, table.X[1::4])


def test_no_cross_validation_beside_a_lam_of_ones_own():
    for options in ({"lam": 0.3}, {"lam_ratio": 0.1}, {"n_knots": 2}):
        assert fit_table(bent_table(), **options).cross_validation is None


def test_where_the_data_make_no_folds():
    # each task has its own half of the inputs: a block holds all labels of one out
    x = np.arange(4.0)
    Y = np.array([[0.0, np.nan], [np.nan, 1.0], [np.nan, 4.0], [np.nan, 2.0]])
    table = Table("halves", "x", ("a", "b"), x, Y)
    result = fit_table(table)
    assert result.cross_validation is None
    assert result.lam_ratio == pytest.approx(0.01)
    assert any(
        "without cross-validation (cv: fold 0 leaves no label of task 0" in one for one in result.notices
    )
    with pytest.raises(ValueError, match="cv: fold 0 leaves no label of task 0"):
        fit_table(table, cv=4)


def test_data_without_noise_are_told_so():
    x = np.linspace(0, 1, 40)
    result = fit_table(Table("bend", "x", ("a",), x, np.maximum(x - 0.4, 0)[:, None]), cv=5, rule="min")
    assert any("smallest of the lams compared" in notice for notice in result.notices)


def test_refit_takes_the_shrinkage_off_in_data_units():
    table = bent_table()
    result = fit_table(table, lam_ratio=0.05, refit=True)
    assert result.refit is not None
    assert result.refit.solution is result.solution
    np.testing.assert_array_equal(
        result.fitted_network.knots.location, result.solution.network.knots.location
    )
    error = np.sum(((table.Y - result.fitted_network.predict(table.X)) / result.scaling.scale) ** 2)
    assert error == pytest.approx(result.refit.residual_sum_of_squares, rel=1e-8)
    shrunk = np.sum(((table.Y - result.network.predict(table.X)) / result.scaling.scale) ** 2)
    assert error < 0.999 * shrunk
    plain = fit_table(table, lam_ratio=0.05)
    assert plain.refit is None
    assert plain.fitted_network is plain.network


def test_lam_zero_interpolates():
    table = bent_table()
    result = fit_table(table, lam=0.0)
    np.testing.assert_allclose(result.network.predict(table.X), table.Y, rtol=1e-9, atol=1e-9)


def test_n_knots_takes_the_largest_lam_with_as_many():
    table = bent_table()
    result = fit_table(table, n_knots=4)
    assert result.solution.network.n_neurons >= 4
    fewer = fit_table(table, lam=1.02 * result.solution.problem.lam)
    assert fewer.solution.network.n_neurons < 4


def test_each_task_alone_at_the_same_lam():
    table = bent_table(gaps=True)
    result = fit_table(table, lam_ratio=0.01)
    assert result.shown == (0, 1, 2)
    labels = TaskScaling.of(table.Y).apply(table.Y)
    for t, one in enumerate(result.apart):
        expected = kw.solve(kw.Problem(table.X, labels[:, t], result.solution.problem.lam))
        assert one.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-7)
    for t, network in enumerate(result.apart_networks()):
        assert network.n_tasks == 1
        np.testing.assert_allclose(
            network.predict(table.X)[:, 0],
            result.apart[t].network.predict(table.X)[:, 0] * result.scaling.scale[t]
            + result.scaling.centre[t],
            rtol=1e-12,
        )


def test_sharing_costs_no_more_than_apart():
    # at one lam the group norm is at most the sum of the absolute values
    result = fit_table(bent_table(), lam_ratio=0.01)
    apart = sum(one.certificate.primal for one in result.apart)
    assert result.solution.certificate.primal <= apart * (1 + 1e-7)


def test_only_some_of_many_tasks_are_fitted_alone():
    result = fit_table(bent_table(n_tasks=20), lam_ratio=0.01)
    assert result.shown == tuple(range(MOST_SHOWN))
    assert len(result.apart) == MOST_SHOWN
    assert result.network.n_tasks == 20


def test_knots_say_where_how_strong_and_who():
    table = bent_table(origin="2006-01-01")
    result = fit_table(table, lam_ratio=0.01)
    location, jump = result.network.knots
    knots = result.knots()
    np.testing.assert_array_equal([knot.place for knot in knots], location)
    np.testing.assert_allclose([knot.jumps for knot in knots], jump, rtol=1e-12)
    scaled = jump / result.scaling.scale
    np.testing.assert_allclose([knot.strength for knot in knots], np.linalg.norm(scaled, axis=1), rtol=1e-12)
    for knot, row in zip(knots, np.abs(scaled), strict=True):
        order = [table.task_names.index(name) for name in knot.leaders]
        assert all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        assert row[order[0]] == row.max()
    assert knots[0].label.startswith("2006-01-0")


def test_one_task_is_its_own_comparison():
    result = fit_table(bent_table(n_tasks=1), lam_ratio=0.01)
    assert result.apart == (result.solution,)


def test_labels_on_a_line_need_no_knot():
    x = np.linspace(0, 1, 9)
    table = Table("line", "x", ("a", "b"), x, np.column_stack([2 * x, 3 - x]))
    result = fit_table(table)
    assert (result.lam_max, result.lam_ratio, len(result.knots())) == (0.0, None, 0)
    np.testing.assert_allclose(result.network.predict(x), table.Y, atol=1e-12)
    assert any("straight lines" in notice for notice in result.notices)


@pytest.mark.parametrize("rows", [1, 2])
def test_very_few_rows(rows):
    table = Table("few", "x", ("a",), np.arange(float(rows)), np.arange(float(rows))[:, None] * 3)
    np.testing.assert_allclose(fit_table(table).network.predict(table.X), table.Y, atol=1e-12)


def test_a_stop_returns_what_there_is():
    seen = []

    def stop(entry):
        seen.append(entry)
        return True

    result = fit_table(bent_table(), lam_ratio=0.01, progress=stop)
    assert len(seen) == 1
    assert result.solution.status is kw.Status.STOPPED
    assert result.apart == ()
    assert any("0 of 3 tasks were fitted alone" in notice for notice in result.notices)
    problem = kw.Problem(result.table.X, result.scaling.apply(result.table.Y), result.solution.problem.lam)
    assert result.solution.certificate.primal == pytest.approx(problem.objective(result.solution.network))


def test_a_stop_while_lam_is_chosen():
    seen = []

    def stop(entry):
        seen.append(entry)
        return len(seen) > 5

    result = fit_table(bent_table(), progress=stop)
    assert len(seen) == 6
    assert result.cross_validation is not None
    assert result.cross_validation.status is kw.Status.STOPPED
    assert result.apart == ()
    assert any("stopped early: lam is the best of" in notice for notice in result.notices)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lam": 1.0, "lam_ratio": 0.1}, "lam_ratio: cannot be given beside lam"),
        ({"lam_ratio": 0.1, "n_knots": 3}, "n_knots: cannot be given beside lam_ratio"),
        ({"cv": 5, "lam": 0.1}, "cv: cannot be given beside lam"),
        ({"cv": 5, "n_knots": 3}, "cv: cannot be given beside n_knots"),
        ({"cv": 1}, "cv: must be from 2 to 41"),
        ({"rule": "2se"}, "rule: must be 'min' or '1se'"),
        ({"scheme": "shuffled"}, "scheme: must be .*got 'shuffled'"),
        ({"lam": -1.0}, "lam: must be finite and >= 0, got -1.0"),
        ({"lam": float("nan")}, "lam: must be finite"),
        ({"lam_ratio": 0.0}, "lam_ratio: must be a number > 0, got 0.0"),
        ({"lam_ratio": float("nan")}, "lam_ratio: must be"),
        ({"lam_ratio": float("inf")}, "lam_ratio: must be"),
        ({"scale": "row"}, "scale: must be 'task' or 'none', got 'row'"),
        ({"n_knots": -1}, "n_knots: must be an integer >= 0"),
        ({"n_knots": 10**6}, "n_knots: no lam"),
        ({"tol": 0.0}, "tol: must be finite and > 0"),
        ({"max_seconds": -1.0}, "max_seconds: must be finite and > 0"),
    ],
)
def test_refusals(options, reason):
    with pytest.raises(ValueError, match=reason):
        fit_table(bent_table(), **options)


def test_no_tasks():
    table = Table("none", "x", (), np.arange(3.0), np.empty((3, 0)))
    with pytest.raises(ValueError, match="tasks: none was chosen"):
        fit_table(table)


@pytest.mark.parametrize("scheme", ["labels", "gaps"])
def test_labels_held_out_task_by_task_and_every_task_counted_alike(scheme):
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 1.0, 40)
    Y = np.column_stack([np.abs(x - 0.4), 30.0 * rng.standard_normal(40)]) + 0.02 * rng.standard_normal(
        (40, 2)
    )
    table = Table("two", "x", ("a", "b"), x, Y, None)
    found = {}
    for criterion in ("mean", "log"):
        result = fit_table(table, cv=5, scheme=scheme, rule="min", criterion=criterion, scale="none")
        validation = result.cross_validation
        assert validation is not None
        assert validation.criterion == criterion
        expected = kw.cross_validate(
            kw.Problem(x, Y, 1.0), 5, scheme=scheme, rule="min", criterion=criterion, n_lams=50
        )
        assert validation.lam == pytest.approx(expected.lam)
        found[criterion] = validation.lam
    # the noise of the second task wants no knot, and is all that the mean sees
    assert found["log"] < found["mean"]
