from __future__ import annotations

import json
import os

import numpy as np
import pytest

import knotwork as kw
from knotwork.fit_files import file_fit_record, fit_record, read_model, write_file_fit
from knotwork.report.figures import draw_result
from knotwork.streaming.reading import Reading, ReadingStopped
from knotwork.tables import Table
from knotwork.workflow import fit_file, fit_table, is_large


def write_parquet(path, n=20_000, sort=True):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 100, n)
    x = np.sort(x) if sort else x
    bends = np.stack([np.maximum(x - 30, 0), np.maximum(x - 70, 0)])
    Y = np.stack([bends[0], 5 * (2 * bends[1] - bends[0])], axis=1) + rng.standard_normal((n, 2))
    Y[::50, 1] = np.nan
    columns = {"t": x, "u": Y[:, 0], "v": Y[:, 1]}
    pq.write_table(
        pa.table({k: pa.array(v, from_pandas=True) for k, v in columns.items()}), path, row_group_size=2_000
    )
    return Table(path.stem, "t", ("u", "v"), x, Y)


@pytest.mark.parametrize("sort", [True, False], ids=["sorted", "shuffled"])
def test_a_file_in_pieces_is_fitted_as_the_table_in_memory(tmp_path, sort):
    table = write_parquet(tmp_path / "long.parquet", sort=sort)
    # so little memory that the moments of blocks stand for the rows
    pieces = fit_file(tmp_path / "long.parquet", input="t", lam_ratio=0.02, memory=1 << 18)
    whole = fit_table(table, lam_ratio=0.02)
    assert pieces.fit.sorted_rows is not sort
    assert pieces.fit.status is kw.Status.OPTIMAL
    assert pieces.fit.primal == pytest.approx(whole.solution.certificate.primal, rel=1e-8)
    assert pieces.fit.lam_max == pytest.approx(whole.lam_max, rel=1e-9)
    grid = np.linspace(0, 100, 200)
    np.testing.assert_allclose(pieces.fit.network.predict(grid), whole.predict(grid), atol=2e-3)
    strong = [[one.place for one in result.knots() if one.strength > 0.01] for result in (pieces, whole)]
    np.testing.assert_allclose(strong[0], strong[1], atol=0.05)

    one, other = file_fit_record(pieces), fit_record(whole)
    assert set(one) == set(other)
    assert set(one["problem"]) == set(other["problem"])
    assert set(other["outcome"]) < set(one["outcome"])
    assert one["data"] == other["data"]
    np.testing.assert_array_equal(one["problem"]["input_low"], other["problem"]["input_low"])
    np.testing.assert_array_equal(one["problem"]["input_high"], other["problem"]["input_high"])


def test_its_files_and_picture(tmp_path):
    table = write_parquet(tmp_path / "long.parquet")
    result = fit_file(tmp_path / "long.parquet", input="t", lam_ratio=0.02, extrapolation="raise")
    files = write_file_fit(result, tmp_path / "out")
    # of so many rows no fitted values
    assert sorted(os.listdir(tmp_path / "out")) == ["knots.csv", "model.safetensors", "result.json"]
    assert [file.name for file in files] == ["model.safetensors", "knots.csv", "result.json"]
    record = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert record == file_fit_record(result)
    assert (record["data"]["rows"], record["data"]["missing_labels"]) == (20_000, 400)
    model = read_model(tmp_path / "out" / "model.safetensors")
    np.testing.assert_array_equal(model.predict([10.0, 90.0]), result.fit.network.predict([10.0, 90.0]))
    with pytest.raises(ValueError, match="extrapolation: t is 101"):
        model.predict([101.0])
    # the picture shows rows of the file, and says how many there are
    assert 1_000 < result.sample.n_rows <= 6_000
    assert np.isin(result.sample.X, table.X).all()
    figure = draw_result(result)
    assert figure.get_suptitle() == "long: 20000 rows, 2 tasks"


def test_what_was_chosen_is_told(tmp_path):
    write_parquet(tmp_path / "long.parquet", 3_000)
    result = fit_file(tmp_path / "long.parquet", input="t")
    assert result.fit.lam == pytest.approx(0.01 * result.fit.lam_max)
    assert any("not cross-validated" in one for one in result.notices)
    given = fit_file(tmp_path / "long.parquet", input="t", lam=3.0)
    assert given.fit.lam == 3.0
    assert not any("cross-validated" in one for one in given.notices)


def test_arrays_name_their_columns_by_number(tmp_path):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 500)
    np.save(tmp_path / "a.npy", np.column_stack([x, np.abs(x - 0.3) + 0.01 * rng.standard_normal(500)]))
    result = fit_file(tmp_path / "a.npy", input="0", lam_ratio=0.05)
    assert result.fit.task_names == ("1",)
    assert result.knots()[0].place == pytest.approx(0.3, abs=0.05)
    with pytest.raises(ValueError, match="input: there is no column 'x'"):
        fit_file(tmp_path / "a.npy", input="x")


def test_progress_is_told_and_stops(tmp_path):
    write_parquet(tmp_path / "long.parquet", 4_000)
    seen = []
    fit_file(tmp_path / "long.parquet", input="t", lam_ratio=0.1, progress=seen.append)
    stages = {entry.stage for entry in seen if isinstance(entry, Reading)}
    assert {"picture", "survey"} <= stages
    assert any(isinstance(entry, kw.TraceEntry) for entry in seen)
    with pytest.raises(ReadingStopped, match="stopped on request while reading the file \\(picture"):
        fit_file(tmp_path / "long.parquet", input="t", progress=lambda entry: True)


def test_bad_files_are_named_as_by_the_reader_of_pieces(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"t": [0.0, float("nan"), 2.0], "u": [1.0, 2.0, 3.0]}), tmp_path / "g.parquet")
    with pytest.raises(ValueError, match="input: column 't' is empty in row 2"):
        fit_file(tmp_path / "g.parquet", input="t")
    with pytest.raises(ValueError, match="input: a file that is read in pieces is not searched"):
        fit_file(tmp_path / "g.parquet", input=None)
    with pytest.raises(ValueError, match="extrapolation: must be"):
        fit_file(tmp_path / "g.parquet", input="t", extrapolation="flat")  # type: ignore[arg-type]


def test_large_is_a_tenth_of_the_memory(tmp_path, monkeypatch):
    for name in ("a.parquet", "a.csv"):
        (tmp_path / name).write_bytes(b"x" * 1_000)
    pages = {"SC_PAGE_SIZE": 10, "SC_PHYS_PAGES": 1_001}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__, raising=False)
    assert not is_large(tmp_path / "a.parquet")
    pages["SC_PHYS_PAGES"] = 999
    assert is_large(tmp_path / "a.parquet")
    assert not is_large(tmp_path / "a.csv")
    assert not is_large(tmp_path / "absent.parquet")
