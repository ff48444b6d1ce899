from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from html_reader import Reader

import knotwork as kw
from knotwork.cli import main


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def network_of(d=1, n_tasks=2, K=6, skip=False, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((d, n_tasks)) if skip else None
    return kw.ReLUNetwork(
        rng.standard_normal((K, d)), rng.standard_normal(K), 0.5 * rng.standard_normal((K, n_tasks)), A
    )


def write_model(network=None, name="m.npz"):
    network = network or network_of()
    np.savez(name, W=network.W, b=network.b, V=network.V, A=network.A, c=network.c)
    return network


def write_table(d=1, n=30, columns="x,a,b", seed=0, missing=()):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 2, (n, d))
    Y = np.column_stack([np.abs(X[:, 0] - 0.3), np.maximum(X[:, -1], 0)]) + 0.1 * rng.standard_normal((n, 2))
    for i, t in missing:
        Y[i, t] = np.nan
    rows = [",".join("" if np.isnan(v) else repr(v) for v in row) for row in np.hstack([X, Y]).tolist()]
    Path("t.csv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return X, Y


def record_of(capsys, *arguments):
    assert main(["audit", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def error_of(capsys, *arguments):
    assert main(["audit", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("knotwork: error: ")
    assert err.count("\n") == 1
    return err


def test_an_audit_says_what_how_and_where(capsys):
    write_model()
    write_table()
    assert main(["audit", "m.npz", "t.csv", "--weight-decay", "0.01", "--improve", "better.safetensors"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("verdict  The network is at most")
    # 60 labels: lam = .01 * 60 / 2
    assert "lam = 0.3 from PyTorch's weight decay 0.01" in out
    assert "mean over all 60 labels, halved" in out
    assert "nothing is scaled" in out
    assert "|(w_k, b_k)|" in out
    assert sorted(os.listdir(".")) == ["better.safetensors", "m-audit.html", "m.npz", "t.csv"]
    page = Reader(Path("m-audit.html").read_text(encoding="utf-8"))
    assert page.said("p")[0] in out
    assert kw.read_metadata("better.safetensors")["task_names"] == ["a", "b"]


@pytest.mark.parametrize("ending", ["safetensors", "npz", "onnx"])
def test_the_improved_network_is_what_the_record_says(capsys, ending):
    if ending == "onnx":
        pytest.importorskip("onnx")
    write_model(network_of(skip=True))
    X, Y = write_table(missing=[(3, 1), (4, 0), (4, 1)])
    record = record_of(
        capsys, "m.npz", "t.csv", "--weight-decay", "0.02", "--improve", f"i.{ending}", "--no-page"
    )
    assert sorted(os.listdir(".")) == sorted([f"i.{ending}", "m.npz", "t.csv"])
    assert record["problem"]["lam"] == pytest.approx(0.02 * 57 / 2)
    better = kw.load_network(f"i.{ending}")
    squares = sum(float(np.sum(w * w)) for w in (better.W, better.b, better.V, better.A, better.c))
    by_hand = 0.5 * np.nansum((Y - better.predict(X)) ** 2) + 0.5 * record["problem"]["lam"] * squares
    assert by_hand == pytest.approx(record["objectives"]["improved"], rel=1e-9)
    assert record["certificate"]["dual"] <= by_hand <= record["objectives"]["given"]
    # a network with a skip connection is compared with others that have one
    assert "|A|_F^2" in record["problem"]["penalty"]
    assert record["knotwork"] == kw.__version__


@pytest.mark.parametrize(("mean", "n"), [("all", 60), ("rows", 30), ("none", 1)])
def test_what_the_loss_was_averaged_over(capsys, mean, n):
    write_model()
    write_table()
    arguments = ["m.npz", "t.csv", "--weight-decay", "0.01", "--loss-mean", mean, "--no-page"]
    assert record_of(capsys, *arguments)["problem"]["lam"] == pytest.approx(0.01 * n / 2)


@pytest.mark.parametrize(
    ("name", "skip", "formula"),
    [
        ("all", False, kw.Penalty(True, "none")),
        ("all", True, kw.Penalty(True, "frobenius")),
        ("all-skip", False, kw.Penalty(True, "frobenius")),
        ("all-nuclear", True, kw.Penalty(True, "nuclear")),
        ("weights", False, kw.Penalty(False, "none")),
        ("weights", True, kw.Penalty(False, "free")),
        ("weights-free-skip", False, kw.Penalty(False, "free")),
        (None, False, kw.Penalty(False, "none")),
    ],
)
def test_penalties(capsys, name, skip, formula):
    write_model(network_of(skip=skip))
    write_table()
    chosen = [] if name is None else ["--penalty", name]
    record = record_of(capsys, "m.npz", "t.csv", "--lam", "0.2", "--no-page", *chosen)
    assert record["problem"]["penalty"] == formula.formula
    assert record["problem"]["lam"] == 0.2
    assert "as given" in record["how"][0]


def test_several_inputs_in_the_order_of_the_model(capsys):
    network = network_of(d=2)
    write_model(network)
    X, Y = write_table(d=2, columns="u,v,a,b")
    record = record_of(
        capsys, "m.npz", "t.csv", "--input", "v,u", "--lam", "0.2", "--penalty", "all", "--no-page"
    )
    problem = kw.Problem(X[:, ::-1], Y, 0.2, penalty=kw.Penalty(True, "none"))
    assert record["objectives"]["balanced"] == pytest.approx(problem.objective(network), rel=1e-12)
    assert record["input_names"] == ["v", "u"]
    assert record["task_names"] == ["a", "b"]
    turned = record_of(
        capsys, "m.npz", "t.csv", "--input", "u,v", "--tasks", "b,a", "--lam", "0.2", "--no-page"
    )
    assert turned["task_names"] == ["b", "a"]
    assert turned["objectives"]["balanced"] != pytest.approx(record["objectives"]["balanced"])


def test_losses_of_the_tasks(capsys):
    write_model()
    X, _ = write_table()
    Y = np.column_stack([X[:, 0] > 0.4, np.abs(X[:, 0])]).astype(float)
    Y[:4, 0] = 1.0 - Y[:4, 0]
    rows = [f"{x!r},{a!r},{b!r}" for x, a, b in np.hstack([X, Y]).tolist()]
    Path("t.csv").write_text("\n".join(["x,a,b", *rows]), encoding="utf-8")
    record = record_of(capsys, "m.npz", "t.csv", "--lam", "0.5", "--loss", "logistic,huber", "--no-page")
    assert record["problem"]["loss"] == ["logistic", "huber"]
    # no factor 1/2 outside of squared loss
    decayed = record_of(
        capsys, "m.npz", "t.csv", "--weight-decay", "0.01", "--loss", "huber", "--tasks", "a,b", "--no-page"
    )
    assert decayed["problem"]["lam"] == pytest.approx(0.01 * 60)
    assert "halved" not in decayed["how"][0]


def test_a_model_of_our_own_knows_its_columns(capsys):
    Path("d.csv").write_text(
        "day,a,b,c\n" + "".join(f"2020-01-{k:02d},{k % 5},{abs(k - 9)},{k}\n" for k in range(1, 21)),
        encoding="utf-8",
    )
    assert main(["fit", "d.csv", "--tasks", "b,a", "--lam", "0.1", "--scale", "none", "--no-picture"]) == 0
    capsys.readouterr()
    record = record_of(capsys, "d-fit/model.safetensors", "d.csv", "--lam", "0.1", "--no-page")
    assert record["task_names"] == ["b", "a"]
    assert record["input_names"] == ["day (days since 2020-01-01)"]
    # the fit is optimal once its neurons are rescaled
    assert record["rescaled_excess"] <= 1e-7
    assert record["unique"] is not None


def test_a_long_table(capsys):
    write_model()
    rows = [f"{name},{x},{abs(x - 2)}" for name in ("p", "q") for x in range(5)]
    Path("t.csv").write_text("\n".join(["who,x,y", *rows]), encoding="utf-8")
    arguments = ["m.npz", "t.csv", "--series", "who", "--value", "y", "--lam", "0.1", "--no-page"]
    assert record_of(capsys, *arguments)["task_names"] == ["p", "q"]
    assert "a long table has one input" in error_of(capsys, *arguments, "--input", "x,y")


def test_a_pytorch_file_whose_layers_are_named(capsys):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    hidden, output = torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)
    state = {
        f"{name}.{key}": value
        for name, layer in (("up", hidden), ("down", output))
        for key, value in layer.state_dict().items()
    }
    torch.save(state, "m.pt")
    write_table(d=2, columns="u,v,a,b")
    arguments = ["m.pt", "t.csv", "--input", "u,v", "--weight-decay", "0.01", "--no-page"]
    assert "leave open which layer is which" in error_of(capsys, *arguments)
    record = record_of(capsys, *arguments, "--layers", "hidden=up,output=down")
    assert record["neurons"]["given"] == 3


def test_a_solver_that_is_stopped_still_bounds(capsys):
    write_model()
    write_table()
    record = record_of(
        capsys, "m.npz", "t.csv", "--weight-decay", "0.0001", "--max-seconds", "1e-9", "--no-page"
    )
    assert record["certificate"]["dual"] <= record["objectives"]["improved"] <= record["objectives"]["given"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "lam: give either lam or weight_decay"),
        (["--lam", "1", "--weight-decay", "1"], "lam: give either lam or weight_decay"),
        (["--lam", "1", "--loss-mean", "all"], "loss_mean: cannot be given beside lam"),
        (["--lam", "-1"], "lam: must be finite and >= 0"),
        (["--weight-decay", "-1"], "weight_decay: must be"),
        (["--weight-decay", "1", "--loss-mean", "columns"], "loss_mean: must be 'all', 'rows' or 'none'"),
        (["--lam", "1", "--loss", "cubic"], "which is not a loss"),
        (["--lam", "1", "--loss", "huber,squared,squared"], "has 3 entries but Y has 2 tasks"),
        (["--lam", "1", "--penalty", "none"], "penalty: must be one of all, all-skip"),
        (["--lam", "1", "--tasks", "a"], "tasks: the table has 1 but the model 2"),
        (["--lam", "1", "--input", "x,a", "--tasks", "a,b"], "tasks: 'a' is an input column"),
        (["--lam", "1", "--input", "x,x"], "input: 'x' occurs twice"),
        (["--lam", "1", "--input", "x,z"], "input: there is no column 'z'"),
        (["--lam", "1", "--input", "x,a"], "input: x, a is 2 of the model's 1 inputs"),
        (["--lam", "1", "--layers", "up"], "layers: 'up' names no layer"),
        (["--lam", "1", "--improve", "better.txt"], "improve: must end in .safetensors, .npz, .onnx"),
        (["--lam", "1", "--improve", "t.csv/better.npz"], "choose another folder"),
        (["--lam", "1", "--out", "t.csv/page.html"], "choose another folder"),
        (["--lam", "1", "--max-cells", "-2"], "max_cells: must be"),
        (["--lam", "1", "--tol", "0"], "tol: must be"),
    ],
)
def test_refused_options(capsys, options, reason):
    write_model()
    write_table()
    assert reason in error_of(capsys, "m.npz", "t.csv", *options)
    assert sorted(os.listdir(".")) == ["m.npz", "t.csv"]


def test_refused_files(capsys):
    write_table()
    assert "no such file" in error_of(capsys, "m.npz", "t.csv", "--lam", "1")
    Path("m.pkl").write_bytes(b"\x80\x04N.")
    assert "no pickle is ever loaded" in error_of(capsys, "m.pkl", "t.csv", "--lam", "1")
    write_model(network_of(skip=True), "s.npz")
    Path("m.txt").write_text("no model")
    assert "no model file" in error_of(capsys, "m.txt", "t.csv", "--lam", "1")
    assert "no such file" in error_of(capsys, "s.npz", "none.csv", "--lam", "1")


def test_help_tells_about_units(capsys):
    assert main(["audit", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "nothing is scaled" in out
    assert "--weight-decay" in out


def test_a_missing_package_is_named_with_its_remedy(capsys, monkeypatch):
    write_table()
    Path("m.pt").write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install torch" in error_of(capsys, "m.pt", "t.csv", "--lam", "1")
