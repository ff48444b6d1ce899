from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from html_reader import Reader

from knotwork.cli import main
from knotwork.comparing import compare

QUICK = ("--folds", "2", "--repeats", "1", "--lam", "0.5", "--methods", "linear")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_table(columns="x,z,a,b,<c>", n=30):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 4, (n, 2))
    Y = np.abs(X[:, :1] - 1.7) * [1.0, 50.0, -2.0] + 0.1 * rng.standard_normal((n, 3))
    Y[3, 1] = np.nan
    rows = [",".join("" if np.isnan(v) else repr(v) for v in row) for row in np.hstack([X, Y]).tolist()]
    Path("t.csv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return X, Y


def error_of(capsys, *arguments):
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("knotwork: error: ")
    assert err.count("\n") == 1
    return err


def test_a_comparison_says_what_how_and_where(capsys):
    write_table()
    assert main(["compare", "t.csv", "--input", "x", "--tasks", "a,b,<c>", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("verdict  ")
    assert "1 label missing, neither learned from nor counted; inputs x; tasks a, b, <c>" in out
    assert sorted(os.listdir(".")) == ["t-compare.html", "t.csv"]
    page = Reader(Path("t-compare.html").read_text(encoding="utf-8"))
    assert page.said("p")[0] in out


def test_json_is_what_compare_finds(capsys):
    X, Y = write_table()
    asked = ["compare", "t.csv", "--input", "x,z", "--tasks", "a,b,<c>", *QUICK, "--seed", "3", "--json"]
    assert main([*asked, "--out", "in/here.html"]) == 0
    record = json.loads(capsys.readouterr().out)
    found = compare(X, Y, folds=2, repeats=1, lam=0.5, methods=("linear",), random_state=3)
    assert record["inputs"] == ["x", "z"]
    assert record["labels"] == 89
    assert record["sentence"] == found.sentence
    np.testing.assert_allclose(record["errors"], found.errors, rtol=1e-6)
    assert Path("in/here.html").exists()
    assert main([*asked, "--no-page", "--methods", "none"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["method"] for one in record["methods"]] == ["together", "apart"]
    assert sorted(os.listdir(".")) == ["in", "t.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("t.csv", "--input", "x", "--tasks", "a"), "Y: must be (N, T) with T >= 2"),
        (("t.csv", "--input", "x,x"), "'x' occurs twice"),
        (("t.csv", "--input", "x,a", "--tasks", "a,b"), "'a' is an input column"),
        (("t.csv", "--input", "y"), "there is no column 'y'"),
        (("t.csv", "--folds", "1"), "folds: must be"),
        (("t.csv", "--scheme", "random"), "scheme: must be one of rows, labels, blocks, gaps"),
        (("t.csv", "--input", "x,z", "--scheme", "blocks"), "2 inputs have no order"),
        (("t.csv", "--methods", "forest"), "methods: must be of"),
        (("none.csv",), "none.csv"),
        (("t.csv", "--out", "t.csv/page.html"), "t.csv"),
    ],
)
def test_errors_are_one_line(capsys, arguments, said):
    write_table()
    assert said in error_of(capsys, *arguments)
    assert os.listdir(".") == ["t.csv"]
