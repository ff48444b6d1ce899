"""`knotwork fit --band`: the band of all nearly optimal networks in the units of the data."""

import json

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.cli import main
from knotwork.report.figures import draw_result
from knotwork.tables import Table
from knotwork.workflow import fit_table, prediction_band


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 9.0, 30)
    Y = np.abs(x - 4.0)[:, None] * [10.0, -0.1] + [50.0, 3.0] + [[1.0, 0.01]] * rng.standard_normal((30, 2))
    Y[20:25, 1] = np.nan
    result = fit_table(Table("bent", "x", ("a", "b"), x, Y, None), lam_ratio=0.02)
    return result, prediction_band(result, 0.05, n_places=6)


def test_the_band_is_ambiguity_in_the_units_of_the_data(fitted):
    result, band = fitted
    np.testing.assert_allclose(band.x, np.linspace(0.0, 9.0, 6))
    found = kw.ambiguity(result.solution, band.x, 0.05)
    scaling = result.scaling
    for ends, exact in ((band.low, found.low), (band.high, found.high)):
        np.testing.assert_allclose((ends - scaling.centre) / scaling.scale, exact, atol=2e-3)
    fit = result.predict(band.x[:, None])
    assert np.all(band.low < fit)
    assert np.all(fit < band.high)


def test_the_picture_has_a_band_for_every_task(fitted):
    result, band = fitted
    shades = [len(axes.collections) for axes in draw_result(result).axes]
    banded = [len(axes.collections) for axes in draw_result(result, band).axes]
    assert banded[-1] == shades[-1] + 2
    assert banded[0] == shades[0]


def test_the_command_writes_the_band(fitted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = fitted[0].table
    pd.DataFrame({"x": table.X, "a": table.Y[:, 0]}).to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", "--lam-ratio", "0.02", "--band", "0.05", "--out", "fit", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["band"]
    assert told["eps"] == 0.05
    assert told["rigour"] == "EXACT"
    written = pd.read_csv("fit/band.csv")
    assert list(written.columns) == ["x", "low of a", "high of a"]
    assert len(written) == told["places"]
    assert (written["low of a"] < written["high of a"]).all()
    assert main(["fit", "data.csv", "--lam-ratio", "0.02", "--band", "0.05", "--out", "fit"]) == 0
    assert "within 5 % of the optimum, by proof" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--band", "-1"), "band: must be a share"),
        (("--band", "0.1", "--input", "x,z"), "band: is drawn over one"),
    ],
    ids=["negative", "several"],
)
def test_bands_that_cannot_be_are_refused_before_the_fit(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"x": [0, 1, 2], "z": [1, 0, 1], "a": [0.0, 1.0, 0.5]}).to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", "--lam", "1", *options]) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data-fit" / "result.json").exists()
