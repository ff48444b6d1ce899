"""`knotwork verify`: what it prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knotwork.cli import main
from knotwork.datasets import list_datasets, read_data
from knotwork.proofs import proof_record, verify_proof, write_proof
from knotwork.workflow import fit_table

DATA = "playfair-wheat"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table():
    """The file of a bundled table, which proof.json in the working folder is about."""
    path = next(one.path for one in list_datasets() if one.name == DATA)
    write_proof(fit_table(read_data(DATA), lam_ratio=0.1), "proof.json", path)
    return str(path)


def test_an_accepted_proof_is_said_to_be(capsys, table):
    found = verify_proof("proof.json", table)
    assert found.accepted
    for data in (DATA, table):
        assert main(["verify", "proof.json", data]) == 0
        assert capsys.readouterr() == (f"{found}\n", "")


def test_json_is_the_record(capsys, table):
    assert main(["verify", "proof.json", DATA, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == proof_record(verify_proof("proof.json", table))


def test_a_refused_proof_ends_with_1_and_its_reason(capsys, table):
    proof = json.loads(Path("proof.json").read_text(encoding="utf-8"))
    Path("proof.json").write_text(json.dumps({**proof, "gap": 0.0}), encoding="utf-8")
    assert main(["verify", "proof.json", DATA]) == 1
    assert capsys.readouterr().out == "REFUSED: was changed after it was written: its checksum differs\n"
    assert main(["verify", "proof.json", "us-employment", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["accepted"] is False


def test_a_file_that_is_not_there_ends_with_2(capsys, table):
    for arguments in (["no.json", DATA], ["proof.json", "no.csv"]):
        assert main(["verify", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("knotwork: error: ")


def test_fit_writes_a_proof_of_the_network_it_writes(capsys):
    assert main(["fit", DATA, "--lam-ratio", "0.1", "--proof", "--no-picture", "--out", "here"]) == 0
    assert "proof.json" in capsys.readouterr().out
    assert main(["verify", "here/proof.json", DATA]) == 0
    capsys.readouterr()
    proof = json.loads(Path("here/proof.json").read_text(encoding="utf-8"))
    record = json.loads(Path("here/result.json").read_text(encoding="utf-8"))
    assert proof["lam"] == record["problem"]["lam"]
    assert proof["primal"] == pytest.approx(record["outcome"]["objective"], rel=1e-12)
    assert [-b / w for (w,), b in zip(proof["W"], proof["b"], strict=True)] == [
        knot["input"] for knot in record["knots"]
    ]


@pytest.mark.parametrize(
    "wrong", [["--loss", "huber"], ["--penalty", "all"], ["--lam", "0"], ["--series", "a", "--value", "b"]]
)
def test_what_cannot_be_proven_is_refused_before_the_fit(capsys, wrong):
    assert main(["fit", DATA, "--proof", "--out", "here", *wrong]) == 2
    assert capsys.readouterr().err.startswith("knotwork: error: proof: is of a CSV file")
    assert not Path("here").exists()
