from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from knotwork.cli import main
from knotwork.experiments import running
from knotwork.experiments.catalogue import catalogue, chosen
from knotwork.experiments.experiment import Plan
from knotwork.experiments.running import run

SMALL = ["b-figures-1-6"]


def digests(results):
    return {record.key: record.digest for result in results for record in result.records}


def test_names_beginnings_and_figures_choose():
    everything = list(catalogue().values())
    assert chosen([]) == everything
    assert [one.name for one in chosen(["b-figures-1-6"])] == ["b-figures-1-6"]
    assert [one.name for one in chosen(["B 3"])] == ["b-figures-1-6"]
    assert chosen(["b"]) == [one for one in everything if one.name.startswith("b-")]
    with pytest.raises(ValueError, match=r"'b-figure-1-6' is no experiment; is 'b-figures-1-6' meant"):
        chosen(["b-figure-1-6"])


def test_names_are_of_one_kind_and_no_figure_stands_twice():
    figures = [figure for one in catalogue().values() for figure in one.figures]
    assert len(figures) == len(set(figures))
    for one in catalogue().values():
        assert one.name.split("-")[0] in ("a", "b")
        assert one.shows.endswith(".")
        assert one.title[0].isupper()


def test_what_a_folder_has_is_not_computed_again(tmp_path):
    told = []
    first = run(chosen(SMALL), tmp_path, progress=told.append)
    assert [done.pieces for done in told] == list(range(1, len(told) + 1))
    assert {done.of for done in told} == {len(told)}
    files = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert len(files) == len(told)
    told.clear()
    again = run(chosen(SMALL), tmp_path, progress=told.append)
    assert [(done.pieces, done.read) for done in told] == [(len(files), len(files))]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == files
    assert digests(again) == digests(first)
    assert [claim.measured for claim in again[0].claims] == [claim.measured for claim in first[0].claims]
    next(iter(files)).write_bytes(b"damaged")
    assert digests(run(chosen(SMALL), tmp_path)) == digests(first)


def test_processes_change_no_record(tmp_path):
    serial = run(chosen(SMALL), tmp_path / "one")
    several = run(chosen(SMALL), tmp_path / "two", n_jobs=2)
    assert digests(several) == digests(serial)


def test_a_dask_cluster_serves_it_unchanged(tmp_path):
    joblib = pytest.importorskip("joblib")
    distributed = pytest.importorskip("dask.distributed")
    serial = run(chosen(SMALL), tmp_path / "one")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        served = run(chosen(SMALL), tmp_path / "two", n_jobs=2)
    assert digests(served) == digests(serial)


def test_a_killed_run_goes_on_to_the_same_records(tmp_path):
    whole = digests(run(chosen(SMALL), tmp_path / "whole"))
    place = tmp_path / "killed"
    code = (
        "import sys, time\n"
        "from knotwork.experiments.catalogue import chosen\n"
        "from knotwork.experiments.running import run\n"
        "wait = lambda done: (print('piece', flush=True), time.sleep(60))\n"
        f"run(chosen({SMALL!r}), sys.argv[1], progress=wait)\n"
    )
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "piece\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    kept = {file.name: file.stat().st_mtime_ns for file in place.glob("*.safetensors")}
    assert 0 < len(kept) < len(whole)
    assert digests(run(chosen(SMALL), place)) == whole
    assert {name: (place / name).stat().st_mtime_ns for name in kept} == kept


def test_more_seeds_and_wrong_arguments(tmp_path):
    assert Plan(seeds=7).draws(3, 1) == 7
    assert (Plan().draws(3, 1), Plan(quick=True).draws(3, 1)) == (3, 1)
    with pytest.raises(ValueError, match=r"seeds: must be an integer >= 1, got 0"):
        run(chosen(SMALL), tmp_path, plan=Plan(seeds=0))


def test_a_missing_library_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(running.importlib.util, "find_spec", lambda name: None)
    needy = [one for one in catalogue().values() if one.needs]
    if not needy:
        pytest.skip("no experiment needs an optional library")
    with pytest.raises(ImportError, match="python -m pip install"):
        run(needy, tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_the_command_lists_computes_and_writes(tmp_path, capsys):
    assert main(["reproduce", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in catalogue())
    place = tmp_path / "out"
    assert main(["reproduce", *SMALL, "--quick", "--out", str(place)]) == 0
    out, err = capsys.readouterr()
    assert "1 claim: 1 holds" in out
    assert err.count(" took ") == 6
    record = json.loads((place / "claims.json").read_text(encoding="utf-8"))
    assert record["command"] == "knotwork reproduce b-figures-1-6 --quick"
    assert [claim["verdict"] for one in record["experiments"] for claim in one["claims"]] == ["holds"]
    assert (place / "index.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    began = time.time_ns()
    assert main(["reproduce", "B 2", "--quick", "--out", str(place), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["experiments"][0]["experiment"] == "b-figures-1-6"
    assert all(file.stat().st_mtime_ns < began for file in (place / "records").iterdir())


def test_the_command_complains_of_what_it_cannot_do(tmp_path, capsys):
    assert main(["reproduce", "a-figure-99"]) == 2
    assert "is no experiment" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["reproduce", *SMALL, "--out", str(tmp_path / "file")]) == 2
    assert "no file can be written there" in capsys.readouterr().err
