from __future__ import annotations

import csv
import json
import os
from dataclasses import replace

import numpy as np
import pytest

import knotwork as kw
from knotwork.fit_files import certify_model, fit_record, read_model, write_fit
from knotwork.tables import Table
from knotwork.workflow import fit_table

NAMES = ("<script>", "../../x", "$a$, b")


def odd_table(origin="2006-01-01"):
    rng = np.random.default_rng(0)
    x = np.arange(30.0)
    Y = np.cumsum(np.cumsum(rng.standard_normal((30, 3)), axis=0), axis=0) * [1.0, 1e3, 1e-3]
    Y[4, 1] = np.nan
    return Table("odd", "day", NAMES, x, Y, origin, ("a", "b", "c"), ("chose something",))


@pytest.fixture
def written(tmp_path):
    result = fit_table(odd_table(), lam_ratio=0.01)
    return result, tmp_path / "out", write_fit(result, tmp_path / "out")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


def test_four_files_and_no_more(written):
    _, folder, files = written
    assert sorted(os.listdir(folder)) == ["fitted.csv", "knots.csv", "model.safetensors", "result.json"]
    assert sorted(file.name for file in files) == sorted(os.listdir(folder))


def test_the_model_is_in_data_units_with_its_names(written):
    result, folder, _ = written
    model = read_model(folder / "model.safetensors")
    np.testing.assert_array_equal(
        model.network.predict(result.table.X), result.network.predict(result.table.X)
    )
    assert (model.task_names, model.input_name, model.origin) == (NAMES, "day", "2006-01-01")
    np.testing.assert_array_equal(model.scaling.scale, result.scaling.scale)
    np.testing.assert_array_equal(model.scaling.centre, result.scaling.centre)
    notes = kw.read_metadata(folder / "model.safetensors")
    assert notes["lam"] == result.solution.problem.lam
    assert notes["status"] == "OPTIMAL"
    assert notes["rigour"] == "EXACT"
    assert notes["gap"] == result.solution.certificate.gap
    assert notes["task_units"] == ["a", "b", "c"]


def test_knots_come_back_as_dates_and_numbers(written):
    result, folder, _ = written
    header, *rows = rows_of(folder / "knots.csv")
    assert header == ["place", "input", "strength", *(f"jump of {name}" for name in NAMES)]
    location, jump = result.network.knots
    np.testing.assert_array_equal([float(row[1]) for row in rows], location)
    np.testing.assert_allclose(np.array([row[3:] for row in rows], dtype=float), jump, rtol=1e-12)
    assert [row[0] for row in rows] == [f"2006-01-{int(place) + 1:02d}" for place in location]


def test_fitted_values_are_those_of_the_model(written):
    result, folder, _ = written
    header, *rows = rows_of(folder / "fitted.csv")
    assert header == ["day", *NAMES]
    assert [row[0] for row in rows] == result.table.input_labels(result.table.X)
    fitted = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_array_equal(fitted, result.network.predict(result.table.X))


def test_the_record_is_strict_json(written):
    result, folder, _ = written
    text = (folder / "result.json").read_text(encoding="utf-8")
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record == fit_record(result)
    assert record["data"]["missing_labels"] == 1
    assert record["outcome"]["objective"] == result.solution.certificate.primal
    assert record["notices"] == ["chose something"]
    assert len(record["knots"]) == len(result.knots())
    assert [one["task"] for one in record["apart"]] == list(NAMES)


def test_the_record_says_how_lam_was_chosen(written, tmp_path):
    assert fit_record(written[0])["cross_validation"] is None
    result = fit_table(odd_table(), cv=4, rule="min")
    found = fit_record(result)["cross_validation"]
    validation = result.cross_validation
    assert validation is not None
    assert (found["folds"], found["scheme"], found["rule"], found["status"]) == (
        4,
        "blocked",
        "min",
        "OPTIMAL",
    )
    assert found["lam_min"] == result.solution.problem.lam
    assert found["lam_1se"] == validation.lam_1se >= found["lam_min"]
    assert found["lams"][int(np.argmin(found["mean_loss"]))] == found["lam_min"]
    assert len(found["lams"]) == len(found["mean_loss"]) == len(found["standard_error"]) == 50
    write_fit(result, tmp_path)
    record = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert record["cross_validation"] == found


def test_a_refit_has_its_own_model_and_gives_the_fitted_values(tmp_path):
    result = fit_table(odd_table(), lam_ratio=0.01, refit=True)
    write_fit(result, tmp_path)
    assert "refit.safetensors" in os.listdir(tmp_path)
    model, plain = read_model(tmp_path / "refit.safetensors"), read_model(tmp_path / "model.safetensors")
    assert model.task_names == NAMES
    fitted = np.array([row[1:] for row in rows_of(tmp_path / "fitted.csv")[1:]], dtype=float)
    np.testing.assert_array_equal(fitted, model.network.predict(result.table.X))
    assert not np.allclose(fitted, plain.network.predict(result.table.X))
    record = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert record["refit"]["free_parameters"] == 3 * (len(record["knots"]) + 2)
    assert (
        kw.read_metadata(tmp_path / "refit.safetensors")["free_parameters"]
        == record["refit"]["free_parameters"]
    )


def test_what_is_not_finite_is_null(tmp_path):
    # at lam = 0 the first iterate may miss a label: infinite objective
    result = fit_table(odd_table(), lam_ratio=0.01)
    certificate = replace(result.solution.certificate, primal=np.inf, gap=np.inf)
    worse = replace(result.solution, certificate=certificate)
    odd = replace(result, solution=worse, apart=(worse,))
    assert fit_record(odd)["outcome"]["objective"] is None
    assert fit_record(odd)["apart"][0]["gap"] is None
    write_fit(odd, tmp_path)
    assert kw.read_metadata(tmp_path / "model.safetensors")["gap"] is None


def test_a_fit_is_certified_again_from_its_file(written):
    result, folder, _ = written
    model = read_model(folder / "model.safetensors")
    lam = result.solution.problem.lam
    certificate = certify_model(model, result.table, lam)
    assert certificate.primal == pytest.approx(result.solution.certificate.primal, rel=1e-9)
    assert certificate.relative_gap <= 1e-7
    # the table is the one that was fitted, so that scaling anew is the same
    again = certify_model(model, result.table, lam, "task")
    assert again.primal == pytest.approx(certificate.primal, rel=1e-9)
    plain = certify_model(model, result.table, lam, "none")
    problem = kw.Problem(result.table.X, result.table.Y, lam)
    assert plain.primal == pytest.approx(problem.objective(model.network))
    assert plain.dual <= plain.primal


def test_a_network_from_python_has_no_notes(tmp_path):
    kw.save(kw.ReLUNetwork([[1.0]], [0.0], [[1.0, 2.0]]), tmp_path / "a")
    model = read_model(tmp_path / "a")
    assert (model.task_names, model.input_name, model.origin) == (None, None, None)
    assert model.output_names == ("task 1", "task 2")
    with pytest.raises(ValueError, match="the table has 3 but the model 2"):
        certify_model(model, odd_table(None), 1.0)


def test_a_solution_file_is_a_model_too(tmp_path):
    solution = kw.solve(kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.1))
    kw.save(solution, tmp_path / "a")
    np.testing.assert_array_equal(read_model(tmp_path / "a").network.V, solution.network.V)


@pytest.mark.parametrize(
    "notes",
    [
        {"tasks": ["only one"]},
        {"tasks": 3},
        {"date_origin": 3},
        {"input": ["x"]},
        {"task_scale": [1.0, 1.0]},
        {"task_scale": [1.0], "task_centre": [0.0]},
        {"task_scale": [1.0, -1.0], "task_centre": [0.0, 0.0]},
    ],
)
def test_notes_that_do_not_fit(tmp_path, notes):
    kw.save(kw.ReLUNetwork([[1.0]], [0.0], [[1.0, 2.0]]), tmp_path / "a", metadata=notes)
    with pytest.raises(ValueError, match="metadata do not fit its network"):
        read_model(tmp_path / "a")


def test_an_old_fit_survives_a_failed_write(written, monkeypatch):
    result, folder, files = written
    before = {file: file.read_bytes() for file in files}
    real = os.replace
    moved = []

    def second_fails(source, target):
        if moved:
            raise OSError(28, "No space left on device")
        moved.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="No space"):
        write_fit(fit_table(result.table, lam_ratio=0.5), folder)
    assert sorted(os.listdir(folder)) == sorted(file.name for file in files)
    assert [file.name for file in files if file.read_bytes() != before[file]] == ["model.safetensors"]
