"""`knotwork fit` of several inputs, other losses and penalties, and files in pieces, as typed."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from knotwork.cli import main


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_plant(n=30, dates=False):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 10, n), rng.uniform(100, 400, n)
    bend = np.maximum(0.3 * a + 0.01 * b - 3.5, 0)
    Y = np.column_stack([bend, 50 - 30 * bend]) + rng.standard_normal((n, 2)) * [0.1, 2.0]
    days = np.datetime64("2020-01-01") + np.arange(n)
    with open("plant.csv", "w", encoding="utf-8") as handle:
        handle.write("age,load,wear,noise,jobs\n")
        for i in range(n):
            load = str(days[i]) if dates else repr(float(b[i]))
            noise = "" if i == 4 else repr(float(Y[i, 1]))
            handle.write(f"{float(a[i])!r},{load},{float(Y[i, 0])!r},{noise},{rng.poisson(bend[i])}\n")


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def error_of(capsys, *arguments):
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


FIT = ("fit", "plant.csv", "--input", "age,load", "--tasks", "wear,noise", "--lam-ratio", "0.1")


def test_two_inputs_are_fitted_told_and_drawn(capsys):
    write_plant()
    out = printed(capsys, *FIT)
    assert "plant: 30 rows, 2 tasks, 1 label missing; inputs age, load" in out
    assert "every task, every input standardised first" in out
    assert "the certified gap is within tol" in out
    assert "exact: " in out
    assert sorted(os.listdir("plant-fit")) == [
        "fit.png",
        "fitted.csv",
        "model.safetensors",
        "neurons.csv",
        "result.json",
    ]
    record = json.loads(Path("plant-fit/result.json").read_text(encoding="utf-8"))
    assert f"neurons  {len(record['neurons'])} shared by 2 tasks" in out
    first = record["neurons"][0]
    assert f"> {-first['bias']:.4g}" in out
    assert f"{abs(first['weights']['age']):.3g} age" in out


def test_predict_and_certify_read_several_inputs_back(capsys):
    write_plant()
    record = json.loads(printed(capsys, *FIT, "--json", "--no-picture", "--extrapolation", "constant"))
    model = "plant-fit/model.safetensors"
    assert printed(capsys, "predict", model, "plant.csv") == Path("plant-fit/fitted.csv").read_text("utf-8")
    lam = repr(record["problem"]["lam"])
    found = json.loads(printed(capsys, "certify", model, "plant.csv", "--lam", lam, "--json"))
    assert found["objective"] == pytest.approx(record["outcome"]["objective"], rel=1e-9)
    assert found["relative_gap"] <= 1e-6

    low = record["problem"]["input_low"]
    with open("far.csv", "w", encoding="utf-8") as handle:
        handle.write(f"load,age\n{low[1]!r},-90\n{low[1]!r},{low[0]!r}\n")
    header, outside, edge = csv.reader(io.StringIO(printed(capsys, "predict", model, "far.csv")))
    assert header == ["age", "load", "wear", "noise"]
    assert outside[2:] == edge[2:]
    straight = printed(capsys, "predict", model, "far.csv", "--extrapolation", "linear").splitlines()
    assert straight[1].split(",")[2:] != edge[2:]
    assert "extrapolation: age is -90 in row 1" in error_of(
        capsys, "predict", model, "far.csv", "--extrapolation", "raise"
    )
    assert "extrapolation: must be" in error_of(capsys, "predict", model, "far.csv", "--extrapolation", "no")


def test_dates_among_several_inputs_are_counted_from_the_same_day(capsys):
    write_plant(dates=True)
    out = printed(capsys, *FIT, "--no-picture")
    assert "inputs age, load (days since 2020-01-01)" in out
    lines = Path("plant.csv").read_text(encoding="utf-8").splitlines()
    # the file begins with another day now
    Path("late.csv").write_text("\n".join([lines[0], *lines[11:]]) + "\n", encoding="utf-8")
    predicted = printed(capsys, "predict", "plant-fit/model.safetensors", "late.csv").splitlines()
    fitted = Path("plant-fit/fitted.csv").read_text(encoding="utf-8").splitlines()
    assert predicted == [fitted[0], *fitted[11:]]
    assert predicted[1].split(",")[1] == "2020-01-11"


def test_losses_and_penalties_are_told_and_used(capsys):
    write_plant()
    out = printed(
        capsys,
        *("fit", "plant.csv", "--input", "age", "--tasks", "wear,jobs", "--loss", "huber:0.5,poisson"),
        *("--penalty", "all-skip", "--lam-ratio", "0.2", "--tol", "1e-5"),
    )
    assert "(huber loss (delta = 0.5), poisson loss) + lam sum_k |v_k| |(w_k, b_k)|" in out
    assert "every task but counts and classes, every input standardised first" in out
    problem = json.loads(Path("plant-fit/result.json").read_text(encoding="utf-8"))["problem"]
    assert problem["loss"] == [{"name": "huber", "delta": 0.5}, "poisson"]
    assert problem["penalty_name"] == "all-skip"
    with open("plant-fit/fitted.csv", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert all(float(row["jobs"]) > 0 for row in rows)
    lam = repr(problem["lam"])
    found = json.loads(
        printed(capsys, "certify", "plant-fit/model.safetensors", "plant.csv", "--lam", lam, "--json")
    )
    assert found["relative_gap"] <= 1e-4


def test_a_search_is_told_from_a_proof(capsys):
    write_plant()
    out = printed(capsys, *FIT, "--no-picture", "--max-cells", "1", "--json")
    record = json.loads(out)["outcome"]
    assert record["rigour"] == "HEURISTIC"
    assert record["bound"] < record["objective"]
    out = printed(capsys, *FIT, "--no-picture", "--max-cells", "1")
    assert "as far as a search can tell" in out
    assert f"proven: at least {record['bound']:.5g}"[:24] in out
    assert "heuristic: only a search ran" in out


def test_a_parquet_file_in_pieces_and_whole(capsys):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    x = np.linspace(0, 10, 2_000)
    y = np.abs(x - 4) + 0.1 * rng.standard_normal(2_000)
    pq.write_table(pa.table({"x": x, "y": y}), "long.parquet")
    out = printed(capsys, "fit", "long.parquet", "--input", "x", "--stream", "--lam-ratio", "0.05")
    assert "read in pieces" in out
    assert "the file read" in out
    assert sorted(os.listdir("long-fit")) == ["fit.png", "knots.csv", "model.safetensors", "result.json"]
    whole = json.loads(
        printed(capsys, "fit", "long.parquet", "--lam-ratio", "0.05", "--json", "--out", "whole")
    )
    pieces = json.loads(Path("long-fit/result.json").read_text(encoding="utf-8"))
    assert pieces["outcome"]["objective"] == pytest.approx(whole["outcome"]["objective"], rel=1e-8)
    assert [one["place"] for one in pieces["knots"]] == pytest.approx(
        [one["place"] for one in whole["knots"]]
    )
    assert "input: a file that is read in pieces" in error_of(capsys, "fit", "long.parquet", "--stream")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--n-knots", "3"), "n_knots: knots are counted in one input"),
        (("--lam", "1", "--refit"), "refit: takes one input"),
        (("--lam", "1", "--loss", "cubic"), "loss: got 'cubic', which is not a loss; choose one of squared"),
        (("--lam", "1", "--loss", "quantile:2"), "tau: must be"),
        (("--lam", "1", "--penalty", "none"), "penalty: must be a knotwork.Penalty, or one of weights-free"),
        (("--scheme", "interleaved"), "cv: 2 inputs have no order"),
        (("--lam", "1", "--series", "wear", "--value", "noise"), "input: a long table has one input"),
        (("--lam", "1", "--extrapolation", "flat"), "extrapolation: must be"),
        (("--stream", "--cv"), "cv: is not for a file that is read in pieces"),
        (("--stream", "--loss", "huber"), "loss: is not for a file that is read in pieces"),
        (("--stream", "--lam", "1"), "input: a file that is read in pieces has one"),
    ],
)
def test_combinations_that_make_no_sense_are_named(capsys, options, message):
    write_plant()
    assert message in error_of(
        capsys, "fit", "plant.csv", "--input", "age,load", "--tasks", "wear,noise", *options
    )


def test_inputs_named_twice_or_as_tasks_are_refused(capsys):
    write_plant()
    assert "input: 'age' occurs twice" in error_of(capsys, "fit", "plant.csv", "--input", "age,age")
    assert "tasks: 'load' is an input column" in error_of(
        capsys, "fit", "plant.csv", "--input", "age,load", "--tasks", "load"
    )
