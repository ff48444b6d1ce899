"""Fits of several inputs, and of other losses and penalties: the result, its files, and back."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import knotwork as kw
from knotwork.datasets.columns import Columns
from knotwork.fit_files import certify_model, fit_record, read_model, write_fit
from knotwork.tables import Table
from knotwork.workflow import fit_table, responses

NAMES = ("wear", "noise")


def plant(n=36, counts=False):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(0, 10, n), rng.uniform(100, 400, n)])
    bend = np.maximum(0.3 * X[:, 0] + 0.01 * X[:, 1] - 3.5, 0)
    Y = np.column_stack([bend, 50.0 - 30.0 * bend]) + rng.standard_normal((n, 2)) * [0.1, 2.0]
    if counts:
        Y[:, 1] = rng.poisson(np.exp(0.4 * bend))
    Y[2, 0] = np.nan
    table = Table("plant", "age", NAMES, X[:, 0], Y)
    return Columns(table, X, ("age", "load"), (None, None))


@pytest.fixture(scope="module")
def fitted():
    return fit_table(plant(), lam_ratio=0.1, extrapolation="constant")


def test_the_standardised_problem_is_solved_and_mapped_back(fitted):
    columns = plant()
    X = (columns.X - columns.X.mean(axis=0)) / columns.X.std(axis=0)
    Y = columns.table.Y
    Z = (Y - np.nanmean(Y, axis=0)) / np.nanstd(Y, axis=0)
    problem = kw.Problem(X, Z, 1.0)
    largest = kw.lam_max(problem)
    assert fitted.lam_max == pytest.approx(largest, rel=1e-6)
    expected = kw.solve(problem.with_lam(0.1 * largest))
    assert fitted.solution.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-7)
    assert fitted.solution.status is kw.Status.OPTIMAL
    predicted = expected.network.predict(X) * np.nanstd(Y, axis=0) + np.nanmean(Y, axis=0)
    np.testing.assert_allclose(fitted.network.predict(columns.X), predicted, atol=0.02)


def test_units_of_the_inputs_change_nothing(fitted):
    columns = plant()
    scaled = columns.X * [1e3, 1e-2] + [5.0, -7.0]
    other = fit_table(Columns(columns.table, scaled, columns.names, columns.origins), lam_ratio=0.1)
    assert other.solution.certificate.primal == pytest.approx(fitted.solution.certificate.primal, rel=1e-7)
    np.testing.assert_allclose(
        other.network.predict(scaled), fitted.network.predict(columns.X), rtol=1e-4, atol=1e-3
    )


def test_scale_none_takes_inputs_as_they_are():
    columns = plant()
    result = fit_table(columns, lam=50.0, scale="none")
    assert result.solution.problem.lam == 50.0
    np.testing.assert_array_equal(result.solution.problem.X, columns.X)
    np.testing.assert_array_equal(result.network.W, result.solution.network.W)


def test_units_go_there_and_back(fitted):
    back = fitted.units.to_fit_units(fitted.network)
    X = fitted.solution.problem.X
    np.testing.assert_allclose(back.predict(X), fitted.solution.network.predict(X), atol=1e-10)


def test_neurons_are_those_of_the_network(fitted):
    neurons = fitted.neurons()
    assert fitted.knots() == []
    assert len(neurons) >= 1
    X = fitted.columns.X
    total = sum(np.outer(np.maximum(X @ one.weights + one.bias, 0.0), np.array(one.jumps)) for one in neurons)
    rest = fitted.network.predict(X) - total
    # what is left is linear
    design = np.column_stack([np.ones(len(X)), X])
    left = rest - design @ np.linalg.lstsq(design, rest, rcond=None)[0]
    np.testing.assert_allclose(left, 0.0, atol=1e-8)
    cost = fitted.solution.network.cost(fitted.solution.problem.penalty)
    assert sum(one.cost for one in neurons) == pytest.approx(cost, rel=1e-9)
    assert [one.cost for one in neurons] == sorted((one.cost for one in neurons), reverse=True)
    assert all(set(one.leaders) <= set(NAMES) for one in neurons)


def test_lam_by_cross_validation_on_rows_at_random():
    result = fit_table(plant(24), cv=3, rule="min", tol=1e-5)
    found = result.cross_validation
    assert found is not None
    assert result.scheme == "random"
    assert len(found.folds) == 3
    assert result.solution.problem.lam == found.lam_min
    assert found.lams[0] == pytest.approx(result.lam_max)


def test_predictions_outside_follow_the_policy(fitted):
    inside = np.array([[5.0, 200.0]])
    low, high = fitted.columns.X.min(axis=0), fitted.columns.X.max(axis=0)
    far = np.array([[99.0, -500.0]])
    np.testing.assert_array_equal(fitted.predict(inside), fitted.network.predict(inside))
    corner = np.array([[high[0], low[1]]])
    np.testing.assert_array_equal(fitted.predict(far), fitted.network.predict(corner))
    np.testing.assert_array_equal(fitted.predict(far, "linear"), fitted.network.predict(far))
    with pytest.raises(ValueError, match=r"extrapolation: age is 99 in row 1, outside of the fit's .* to"):
        fitted.predict(far, "raise")
    np.testing.assert_array_equal(fitted.predict(corner, "raise"), fitted.network.predict(corner))
    with pytest.raises(ValueError, match="extrapolation: must be 'linear'"):
        fitted.predict(far, "flat")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"X: must have shape \(n, 2\)"):
        fitted.predict([1.0, 2.0])


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


def test_files_and_back(fitted, tmp_path):
    files = write_fit(fitted, tmp_path)
    assert sorted(file.name for file in files) == [
        "fitted.csv",
        "model.safetensors",
        "neurons.csv",
        "result.json",
    ]
    record = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert record == fit_record(fitted)
    assert record["data"]["inputs"] == ["age", "load"]
    assert record["data"]["input"] is None
    assert record["problem"]["penalty_name"] == "weights-free-skip"
    assert record["problem"]["extrapolation"] == "constant"
    assert record["knots"] == record["apart"] == []
    assert len(record["neurons"]) == len(fitted.neurons())

    header, *rows = rows_of(tmp_path / "neurons.csv")
    assert header == [
        "cost",
        "weight of age",
        "weight of load",
        "bias",
        "jump of wear",
        "jump of noise",
    ]
    first = fitted.neurons()[0]
    assert [float(cell) for cell in rows[0]] == [first.cost, *first.weights, first.bias, *first.jumps]
    header, *rows = rows_of(tmp_path / "fitted.csv")
    assert header == ["age", "load", *NAMES]
    np.testing.assert_array_equal(
        np.array(rows, dtype=float), np.column_stack([fitted.columns.X, fitted.predict(fitted.columns.X)])
    )

    model = read_model(tmp_path / "model.safetensors")
    assert (model.input_names, model.task_names, model.extrapolation) == (("age", "load"), NAMES, "constant")
    far = [[99.0, -500.0]]
    np.testing.assert_array_equal(model.predict(far), fitted.predict(far))
    np.testing.assert_array_equal(model.predict(far, "linear"), fitted.predict(far, "linear"))
    with pytest.raises(ValueError, match="extrapolation: age is 99"):
        model.predict(far, "raise")
    certificate = certify_model(model, fitted.columns, fitted.solution.problem.lam)
    assert certificate.primal == pytest.approx(fitted.solution.certificate.primal, rel=1e-9)
    assert certificate.relative_gap <= 1e-6
    with pytest.raises(ValueError, match="input: the table has 1 but the model 2"):
        certify_model(model, fitted.table, 1.0)


def test_a_network_saved_from_python_knows_no_range(fitted, tmp_path):
    kw.save(fitted.network, tmp_path / "bare.safetensors")
    model = read_model(tmp_path / "bare.safetensors")
    np.testing.assert_array_equal(model.predict([[1.0, 2.0]]), fitted.network.predict([[1.0, 2.0]]))
    with pytest.raises(ValueError, match="extrapolation: 'raise' needs the range"):
        model.predict([[1.0, 2.0]], "raise")


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ({"inputs": ["a"]}, "of other tasks or inputs"),
        ({"input_low": [0.0], "input_high": [1.0]}, "of other tasks or inputs"),
        ({"input_low": [1.0, 1.0], "input_high": [0.0, 2.0]}, "nowhere above high"),
        ({"extrapolation": "sideways"}, "extrapolation: must be"),
        ({"loss": "cubic"}, "not a loss"),
        ({"penalty_name": "none"}, "none"),
    ],
)
def test_notes_that_do_not_fit_are_refused(fitted, tmp_path, notes, message):
    kw.save(fitted.network, tmp_path / "odd.safetensors", metadata=notes)
    with pytest.raises(ValueError, match=rf"its metadata do not fit its network .*{message}"):
        read_model(tmp_path / "odd.safetensors")


def test_losses_of_their_own_scales_and_predictions():
    columns = plant(counts=True)
    result = fit_table(columns, loss=["huber:0.5", "poisson"], penalty="all-skip", lam_ratio=0.1, tol=1e-5)
    # counts are never scaled
    assert result.scaling.scale[1] == 1.0
    assert result.scaling.centre[1] == 0.0
    assert result.scaling.scale[0] == pytest.approx(np.nanstd(columns.table.Y[:, 0]))
    X = (columns.X - columns.X.mean(axis=0)) / columns.X.std(axis=0)
    problem = kw.Problem(
        X,
        result.scaling.apply(columns.table.Y),
        result.solution.problem.lam,
        [kw.Huber(0.5), "poisson"],
        kw.Penalty(True, "frobenius"),
    )
    expected = kw.solve(problem, tol=1e-6).certificate
    assert result.solution.certificate.primal == pytest.approx(expected.primal, rel=1e-4)
    f = result.network.predict(columns.X)
    np.testing.assert_allclose(result.predict(columns.X), np.column_stack([f[:, 0], np.exp(f[:, 1])]))


def test_one_input_with_decayed_biases_does_not_depend_on_its_origin(tmp_path):
    x = np.linspace(0, 8, 30)
    y = np.maximum(x - 3, 0)[:, None] + 0.05 * np.random.default_rng(0).standard_normal((30, 1))
    near = fit_table(Table("t", "x", ("a",), x, y), penalty="all-skip", lam_ratio=0.05)
    far = fit_table(Table("t", "x", ("a",), 100 * x + 5e4, y), penalty="all-skip", lam_ratio=0.05)
    assert near.solution.certificate.primal == pytest.approx(far.solution.certificate.primal, rel=1e-6)
    np.testing.assert_allclose(near.predict(x), far.predict(100 * x + 5e4), atol=1e-4)
    # places and slopes are those of the data
    for result, unit, origin in ((near, 1.0, 0.0), (far, 100.0, 5e4)):
        location, jump = result.network.knots
        np.testing.assert_allclose([one.place for one in result.knots()], location, rtol=1e-9)
        np.testing.assert_allclose([one.jumps[0] for one in result.knots()], jump[:, 0], rtol=1e-6)
        strongest = max(result.knots(), key=lambda one: one.strength)
        assert (strongest.place - origin) / unit == pytest.approx(3.0, abs=0.5)
    write_fit(far, tmp_path)
    model = read_model(tmp_path / "model.safetensors")
    certificate = certify_model(model, far.table, far.solution.problem.lam)
    assert certificate.primal == pytest.approx(far.solution.certificate.primal, rel=1e-9)


def test_the_1se_rule_says_what_min_would_have_taken():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 8, 60)
    y = (np.maximum(x - 2, 0) - np.maximum(x - 5, 0))[:, None] + 0.3 * rng.standard_normal((60, 1))
    table = Table("t", "x", ("a",), x, y)
    result = fit_table(table, cv=6)
    found = result.cross_validation
    assert found is not None
    assert found.lam == found.lam_1se > found.lam_min
    assert result.alternative is not None
    assert result.alternative.problem.lam == found.lam_min
    record = fit_record(result)["cross_validation"]
    assert record["n_knots"] == result.solution.network.n_neurons
    assert record["n_knots_min"] == result.alternative.network.n_neurons > record["n_knots"]
    least = fit_table(table, cv=6, rule="min")
    assert least.alternative is None
    assert record["n_knots_min"] == pytest.approx(least.solution.network.n_neurons, abs=1)


def test_responses_are_probabilities_and_rates():
    f = np.array([[0.0, 1.0], [2.0, -1.0]])
    both = responses(kw.losses.resolve_loss(["logistic", "poisson"]), f)
    np.testing.assert_allclose(both, np.column_stack([1 / (1 + np.exp(-f[:, 0])), np.exp(f[:, 1])]))
    classes = responses(kw.losses.resolve_loss("multinomial"), f)
    np.testing.assert_allclose(classes, np.exp(f) / np.exp(f).sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(responses(kw.losses.resolve_loss("huber"), f), f)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_knots": 3}, "n_knots: knots are counted in one input; give lam, lam_ratio or cv"),
        ({"refit": True, "lam": 1.0}, "refit: takes one input, squared loss"),
        ({"lam": 1.0, "penalty": "l2"}, "penalty: must be .*weights-free-skip"),
        ({"lam": 1.0, "loss": "huber:x"}, "loss: 'x' in 'huber:x' is no number"),
        ({"lam": 1.0, "loss": "poisson:2"}, "loss: 'poisson' takes no number"),
        ({"lam": 1.0, "loss": ["squared"] * 3}, "loss: has 3 entries but Y has 2"),
        ({"lam": 1.0, "loss": "logistic"}, "Y: "),
        ({"lam": 1.0, "extrapolation": "flat"}, "extrapolation: must be"),
        ({"cv": 3, "scheme": "blocked"}, "cv: 2 inputs have no order"),
        ({"lam": 1.0, "max_cells": -2}, "max_cells: must be"),
    ],
)
def test_combinations_that_make_no_sense_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fit_table(plant(), **options)
