from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

import knotwork as kw
from knotwork.cli import main
from knotwork.selection.bootstrap import bootstrap

QUICK = ("--lam-ratio", "0.05", "--replicates", "12")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_table(n=40, dates=False):
    rng = np.random.default_rng(0)
    x = np.arange(n, dtype=float)
    Y = np.abs(x - 17.0)[:, None] * [1.0, 50.0] + rng.standard_normal((n, 2)) * [1.0, 50.0]
    Y[3, 1] = np.nan
    start = np.datetime64("2020-01-01")
    first = [str(start + int(one)) for one in x] if dates else [repr(one) for one in x.tolist()]
    rows = [
        ",".join([at, *("" if np.isnan(v) else repr(v) for v in row)])
        for at, row in zip(first, Y.tolist(), strict=True)
    ]
    Path("t.csv").write_text("\n".join(["x,a,<b>", *rows]) + "\n", encoding="utf-8")
    return kw.read_table("t.csv")


def expected(table, **options):
    result = kw.fit_table(table, lam_ratio=0.05)
    return result, bootstrap(result.solution, replicates=12, **options)


def read(path):
    with Path(path).open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


def test_it_writes_bands_bends_a_record_and_a_picture(capsys):
    table = write_table()
    assert main(["bootstrap", "t.csv", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12 replicates" in out
    assert "intervals of 90 % around the penalised fit, which weight decay shrinks; --refit" in out
    names = ["bands.csv", "bends.csv", "bootstrap.json", "bootstrap.png"]
    assert sorted(os.listdir("t-bootstrap")) == names
    result, found = expected(table)
    header, *rows = read("t-bootstrap/bands.csv")
    assert header == ["x", "a", "low of a", "high of a", "<b>", "low of <b>", "high of <b>"]
    band, values = found.band(), np.array(rows, dtype=float)
    np.testing.assert_array_equal(values[:, 0], table.X)
    np.testing.assert_allclose(values[:, 4:], np.stack(
        [part[:, 1] * result.scaling.scale[1] + result.scaling.centre[1]
         for part in (band.fit, band.low, band.high)], axis=1), rtol=1e-6)  # fmt: skip
    # in data units: the fit is near the labels
    assert np.nanmax(np.abs(values[:, 4] - table.Y[:, 1])) < 0.3 * np.nanmax(table.Y[:, 1])
    header, *rows = read("t-bootstrap/bends.csv")
    assert header == ["place", "low", "high", "share", "strength", "strength low", "strength high"]
    bends = found.bends()
    np.testing.assert_allclose([float(row[0]) for row in rows], [bend.place for bend in bends])
    np.testing.assert_allclose([float(row[6]) for row in rows], [bend.strength_high for bend in bends])


def test_json_is_what_bootstrap_finds(capsys):
    table = write_table()
    asked = ["bootstrap", "t.csv", *QUICK, "--out", "here", "--json", "--no-picture"]
    options = ["--block", "4", "--refit", "--seed", "3", "--level", "0.5", "--simultaneous", "--jobs", "1"]
    assert main([*asked, *options]) == 0
    out = capsys.readouterr().out
    record = json.loads(out)
    assert json.loads(Path("here/bootstrap.json").read_text(encoding="utf-8")) == record
    assert sorted(os.listdir("here")) == ["bands.csv", "bends.csv", "bootstrap.json"]
    result, found = expected(table, scheme="block", block=4, refit=True, random_state=3)
    assert (record["scheme"], record["block"], record["refit"]) == ("block", 4, True)
    assert (record["replicates"], record["level"], record["simultaneous"]) == (12, 0.5, True)
    assert record["lam"] == pytest.approx(result.solution.problem.lam)
    assert list(record["inflation"].values()) == pytest.approx(found.inflation.tolist())
    band = found.band(level=0.5, simultaneous=True)
    low = band.low[:, 0] * result.scaling.scale[0] + result.scaling.centre[0]
    np.testing.assert_allclose(record["band"]["low of a"], low, rtol=1e-6)
    bends = found.bends(level=0.5)
    assert [one["share"] for one in record["bends"]] == [bend.share for bend in bends]
    assert [one["low"] for one in record["bends"]] == pytest.approx([bend.place_low for bend in bends])


def test_places_of_dates_are_dates(capsys):
    write_table(dates=True)
    assert main(["bootstrap", "t.csv", *QUICK]) == 0
    strongest = max(read("t-bootstrap/bends.csv")[1:], key=lambda row: float(row[4]))
    places = np.array(strongest[:3], dtype="datetime64[D]")
    assert np.abs(places - np.datetime64("2020-01-18")).max() < np.timedelta64(5, "D")
    assert strongest[0] in capsys.readouterr().out


def test_lam_is_cross_validated_unless_it_is_given(capsys):
    table = write_table()
    assert main(["bootstrap", "t.csv", "--replicates", "3", "--json", "--no-picture"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["lam"] == pytest.approx(kw.fit_table(table).solution.problem.lam)
    assert main(["bootstrap", "t.csv", "--lam", "7", "--replicates", "3", "--json", "--no-picture"]) == 0
    assert json.loads(capsys.readouterr().out)["lam"] == 7.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("t.csv", *QUICK, "--level", "2"), "level: must be between 0 and 1"),
        (("t.csv", *QUICK, "--scheme", "wild"), "scheme: must be 'residual' or 'block'"),
        (("t.csv", *QUICK, "--block", "0"), "block: must be"),
        (("t.csv", "--lam-ratio", "0.05", "--replicates", "1"), "replicates: must be"),
        (("t.csv", "--lam", "0"), "solution: interpolates its labels"),
        (("t.csv", "--lam", "1", "--lam-ratio", "0.5"), "cannot be given beside"),
        (("none.csv",), "none.csv"),
        (("t.csv", *QUICK, "--out", "t.csv/here"), "t.csv"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(capsys, arguments, said):
    write_table()
    assert main(["bootstrap", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("knotwork: error: ")
    assert err.count("\n") == 1
    assert said in err
    assert os.listdir(".") == ["t.csv"]
