from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import knotwork as kw
from knotwork.cli import main
from knotwork.datasets import list_datasets

FILES = ["fit.png", "fitted.csv", "knots.csv", "model.safetensors", "result.json"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_table(name="bends.csv", columns="x,a,b", n=40, gap=False):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, n)
    Y = np.column_stack([np.abs(x - 1.7), 50 * np.maximum(x - 2.3, 0)]) + 0.02 * rng.standard_normal((n, 2))
    rows = [f"{x_i!r},{a!r},{b!r}" for x_i, (a, b) in zip(x.tolist(), Y.tolist(), strict=True)]
    if gap:
        rows[3] = rows[3].rsplit(",", 1)[0] + ","
    with open(name, "w", encoding="utf-8") as handle:
        handle.write("\n".join([columns, *rows]) + "\n")
    return name


def error_of(capsys, *arguments):
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("knotwork: error: ")
    assert err.count("\n") == 1
    return err


def text_of(path):
    return Path(path).read_text(encoding="utf-8")


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def test_fit_says_what_how_and_where(capsys):
    assert main(["fit", write_table(gap=True), "--lam-ratio", "0.05"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "bends: 40 rows, 2 tasks, 1 label missing; input x" in out
    assert "= 0.05 lam_max" in out
    assert "every task standardised first" in out
    assert "the certified gap is within tol" in out
    assert "exact: " in out
    assert sorted(os.listdir("bends-fit")) == FILES
    record = json.loads(text_of("bends-fit/result.json"))
    for knot in record["knots"]:
        assert f"{knot['place']:.8g}" in out


def test_json_prints_the_record_and_nothing_else(capsys):
    assert main(["fit", write_table(), "--json", "--no-picture", "--out", "here"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == json.loads(text_of("here/result.json"))
    assert sorted(os.listdir("here")) == FILES[1:]


def test_fit_a_bundled_table_and_read_it_back(capsys):
    assert main(["fit", "us-employment", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["outcome"]["status"] == "OPTIMAL"
    assert record["outcome"]["relative_gap"] <= 1e-8
    assert record["cross_validation"]["folds"] == 10
    assert record["problem"]["lam"] == record["cross_validation"]["lam_1se"]
    # bends enough for a recession and a recovery, few enough to be read
    assert 5 <= len(record["knots"]) <= 40
    assert len(record["data"]["tasks"]) == 15
    assert all(knot["place"].endswith("-01") for knot in record["knots"])

    assert main(["predict", "us-employment-fit/model.safetensors", "us-employment"]) == 0
    printed = capsys.readouterr().out
    assert printed == text_of("us-employment-fit/fitted.csv")

    lam = record["problem"]["lam"]
    assert (
        main(
            ["certify", "us-employment-fit/model.safetensors", "us-employment", "--lam", repr(lam), "--json"]
        )
        == 0
    )
    certificate = json.loads(capsys.readouterr().out)
    assert certificate["objective"] == pytest.approx(record["outcome"]["objective"], rel=1e-9)
    assert certificate["relative_gap"] <= 1e-7
    assert certificate["rigour"] == "EXACT"


def test_predict_counts_days_from_the_dates_of_the_fit(capsys):
    assert main(["fit", "us-employment", "--no-picture", "--tasks", "construction, utilities"]) == 0
    with open("later.csv", "w", encoding="utf-8") as handle:
        handle.write("when,remark\n2006-02-01,\n2012-01-01,free text\n")
    capsys.readouterr()
    model = "us-employment-fit/model.safetensors"
    assert main(["predict", model, "later.csv", "--input", "when", "--out", "out.csv"]) == 0
    assert capsys.readouterr().out == ""
    header, first, second = rows_of(text_of("out.csv"))
    assert header == ["when", "construction", "utilities"]
    fitted = {row[0]: row[1:] for row in rows_of(text_of("us-employment-fit/fitted.csv"))}
    assert first[1:] == fitted["2006-02-01"]
    assert second[1:] == fitted["2012-01-01"]
    with open("numbers.csv", "w", encoding="utf-8") as handle:
        handle.write("month\n31\n")
    assert "must hold dates" in error_of(capsys, "predict", model, "numbers.csv")


def test_certify_prints_the_numbers(capsys):
    main(["fit", write_table(), "--lam", "0.3", "--scale", "none", "--no-picture"])
    capsys.readouterr()
    assert main(["certify", "bends-fit/model.safetensors", "bends.csv", "--lam", "0.3"]) == 0
    out = capsys.readouterr().out
    record = json.loads(text_of("bends-fit/result.json"))
    assert f"objective {record['outcome']['objective']:.10g}" in out
    # another lam: the model is no longer the best
    assert main(["certify", "bends-fit/model.safetensors", "bends.csv", "--lam", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["relative_gap"] > 0.01


def test_a_long_table(capsys):
    with open("long.csv", "w", encoding="utf-8") as handle:
        handle.write("who,t,y\n")
        for i in range(20):
            handle.write(f"A,{i},{abs(i - 9)}\nB,{i + 0.5},{min(i, 9)}\n")
    assert main(["fit", "long.csv", "--series", "who", "--value", "y", "--input", "t", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["data"]["tasks"] == ["A", "B"]
    assert (record["data"]["rows"], record["data"]["missing_labels"]) == (40, 40)
    lam = repr(record["problem"]["lam"])
    arguments = ["--lam", lam, "--series", "who", "--value", "y", "--json"]
    assert main(["certify", "long-fit/model.safetensors", "long.csv", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["relative_gap"] <= 1e-7


def test_cross_validation_says_what_it_chose(capsys):
    arguments = ["--cv", "--folds", "4", "--scheme", "interleaved", "--rule", "min", "--no-picture"]
    assert main(["fit", write_table(gap=True), *arguments]) == 0
    out = capsys.readouterr().out
    assert "lam by 4-fold cross-validation, every k-th input held out" in out
    found = json.loads(text_of("bends-fit/result.json"))["cross_validation"]
    assert (found["folds"], found["scheme"], found["rule"]) == (4, "interleaved", "min")
    least, other = out.splitlines()[
        out.splitlines().index(next(s for s in out.splitlines() if "min: " in s)) :
    ][:2]
    assert least.endswith("(least) <- used")
    assert "1se: " in other
    assert "used" not in other
    assert f"{min(found['mean_loss']):.4g} ±" in least


def test_two_processes_choose_the_same_lam(capsys):
    main(["fit", write_table(), "--no-picture", "--json", "--folds", "3"])
    alone = json.loads(capsys.readouterr().out)
    main(["fit", "bends.csv", "--no-picture", "--json", "--folds", "3", "--jobs", "2"])
    assert json.loads(capsys.readouterr().out)["cross_validation"] == alone["cross_validation"]


def test_refit(capsys):
    assert main(["fit", write_table(), "--lam-ratio", "0.1", "--refit", "--no-picture"]) == 0
    out = capsys.readouterr().out
    assert "fitted.csv is of the refit" in out
    assert "bends-fit/refit.safetensors" in out
    assert main(["predict", "bends-fit/refit.safetensors", "bends.csv"]) == 0
    assert capsys.readouterr().out == text_of("bends-fit/fitted.csv")


def test_n_knots(capsys):
    assert main(["fit", write_table(), "--n-knots", "2", "--json", "--no-picture"]) == 0
    assert len(json.loads(capsys.readouterr().out)["knots"]) >= 2


def test_a_fit_that_ran_out_of_time_is_written_and_said(capsys):
    assert main(["fit", write_table(), "--max-seconds", "1e-9", "--lam-ratio", "1e-4"]) == 0
    out = capsys.readouterr().out
    assert f"warning  {kw.Status.MAX_SECONDS.value}" in out
    assert sorted(os.listdir("bends-fit")) == FILES
    record = json.loads(text_of("bends-fit/result.json"))
    assert record["outcome"]["status"] == "MAX_SECONDS"
    assert record["outcome"]["relative_gap"] > 1e-8


@pytest.mark.parametrize("name", ["<script>", "../../x", "$a$", "[red]x[/red]", ":smile:", "$\\frac{$", "数"])
def test_any_column_name_is_text(capsys, name):
    write_table(columns=f"x,{name},b")
    assert main(["fit", "bends.csv"]) == 0
    assert name in capsys.readouterr().out
    assert sorted(os.listdir(".")) == ["bends-fit", "bends.csv"]
    assert sorted(os.listdir("bends-fit")) == FILES
    assert main(["predict", "bends-fit/model.safetensors", "bends.csv"]) == 0
    assert rows_of(capsys.readouterr().out)[0] == ["x", name, "b"]


def test_tasks_with_a_comma_in_their_name(capsys):
    write_table(columns='x,"a, per head",b')
    assert main(["fit", "bends.csv", "--tasks", '"a, per head"', "--json", "--no-picture"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["tasks"] == ["a, per head"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--lam", "-1"], "lam: must be finite and >= 0"),
        (["--lam", "nan"], "lam: must be finite"),
        (["--lam", "word"], "--lam"),
        (["--lam", "1", "--lam-ratio", "0.1"], "lam_ratio: cannot be given beside lam"),
        (["--lam", "1", "--n-knots", "3"], "n_knots: cannot be given beside lam"),
        (["--lam-ratio", "0"], "lam_ratio: must be"),
        (["--lam", "1", "--cv"], "cv: cannot be given beside lam"),
        (["--lam-ratio", "0.1", "--folds", "5"], "cv: cannot be given beside lam_ratio"),
        (["--n-knots", "3", "--rule", "min"], "cv: cannot be given beside n_knots"),
        (["--lam", "1", "--scheme", "blocked"], "cv: cannot be given beside lam"),
        (["--folds", "1"], "cv: must be from 2 to 40"),
        (["--rule", "best"], "rule: must be 'min' or '1se'"),
        (["--tol", "0"], "tol: must be"),
        (["--scale", "both"], "scale: must be 'task' or 'none'"),
        (["--tasks", "c"], "there is no column 'c'"),
        (["--tasks", " , "], "names no task"),
        (["--input", "a", "--tasks", "a"], "'a' is the input column"),
        (["--series", "a"], "value: a long table"),
        (["--max-seconds", "-3"], "max_seconds: must be"),
        (["--colour"], "--colour"),
    ],
)
def test_refused_options(capsys, options, reason):
    write_table()
    assert reason in error_of(capsys, "fit", "bends.csv", *options)
    assert os.listdir(".") == ["bends.csv"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("x,a,a\n1,2,3\n", "'a' occurs twice"),
        ("x,a\n1,inf\n", "infinite"),
        ("x,a\n1,1e300\n2,1\n", "divide Y by a constant"),
        ("x,a\n1,\n2,\n", "no column beside the input holds numbers"),
        ("x,a\n1,\x1b[31mred\n", "no column beside the input holds numbers"),
    ],
)
def test_refused_tables(capsys, text, reason):
    with open("bad.csv", "w", encoding="utf-8") as handle:
        handle.write(text)
    assert reason in error_of(capsys, "fit", "bad.csv", "--scale", "none")
    assert os.listdir(".") == ["bad.csv"]


def test_text_of_the_user_cannot_write_to_the_terminal(capsys):
    write_table()
    for name in ("a\x1b[31mb", "a\nb", '"a\n\x1b[31mb"'):
        assert "\x1b" not in error_of(capsys, "fit", "bends.csv", "--tasks", name)


def test_other_complaints(capsys):
    write_table()
    assert "no such file" in error_of(capsys, "fit", "missing.csv")
    assert "did you mean us-employment" in error_of(capsys, "fit", "us-employmnt")
    assert "is a folder" in error_of(capsys, "fit", ".")
    assert "No such command" in error_of(capsys, "fold", "bends.csv")
    assert "MODEL" in error_of(capsys, "predict")
    assert "safetensors file" in error_of(capsys, "predict", "bends.csv", "bends.csv")
    assert "no such file" in error_of(capsys, "certify", "none.safetensors", "bends.csv", "--lam", "1")


def test_a_place_that_takes_no_files_is_refused_before_the_work(capsys, monkeypatch):
    write_table()
    monkeypatch.setattr(
        "knotwork.workflow.fitting.lam_max", lambda *rest, **more: pytest.fail("solved for nothing")
    )
    assert "choose another folder" in error_of(capsys, "fit", "bends.csv", "--out", "bends.csv/below")
    assert "choose another folder" in error_of(capsys, "fit", "bends.csv", "--out", "bends.csv")


def test_a_truncated_model(capsys):
    main(["fit", write_table(), "--no-picture"])
    capsys.readouterr()
    with open("bends-fit/model.safetensors", "rb+") as handle:
        handle.truncate(200)
    assert "no whole safetensors file" in error_of(
        capsys, "predict", "bends-fit/model.safetensors", "bends.csv"
    )


def test_certify_another_table(capsys):
    main(["fit", write_table(), "--no-picture"])
    capsys.readouterr()
    model = "bends-fit/model.safetensors"
    assert "there is no column 'a'" in error_of(
        capsys, "certify", model, "playfair-wheat", "--lam", "1", "--input", "year"
    )
    assert "1 but the model 2" in error_of(
        capsys, "certify", model, "bends.csv", "--lam", "1", "--tasks", "a"
    )
    assert "lam: must be" in error_of(capsys, "certify", model, "bends.csv", "--lam", "nan")


def test_datasets_are_listed_with_their_licence(capsys):
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    for dataset in list_datasets():
        assert dataset.name in out
        assert dataset.title in out
        assert dataset.licence in out


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "fit" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"knotwork {kw.__version__}\n"


def test_the_garbage_collector_is_left_as_it_was():
    import gc

    before = gc.get_threshold()
    main(["datasets"])
    assert gc.get_threshold() == before


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", "import sys; from knotwork.cli import main; sys.exit(main())", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_exit_codes_of_the_process():
    write_table()
    done = run("fit", "bends.csv", "--lam", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    failed = run("fit", "bends.csv", "--lam", "-1")
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("knotwork: error: lam: ")


def test_help_loads_none_of_the_heavy_packages():
    code = (
        "import sys; from knotwork.cli import main; main(['--help']);"
        "print([name for name in ('numpy', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
