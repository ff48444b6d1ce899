"""The README's examples run, and what it says beside them is so."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import knotwork as kw

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def text():
    if not README.exists():
        pytest.skip("no README beside the tests")
    return README.read_text(encoding="utf-8")


def test_the_python_examples_run_and_print_what_they_say(text, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 11
    names: dict = {}
    printed = []
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
        printed.append(capsys.readouterr().out.splitlines())
    first, lams, unique, others, private, several, elsewhere, sure, taught, pictures, estimator = printed

    assert first[0] == kw.Status.OPTIMAL.value
    assert float(first[1]) < 1e-8
    assert names["solution"].network.predict([0.25, 0.75]).shape == (2, 2)
    assert names["solution"].certificate.dual <= kw.certify(names["problem"], names["network"]).primal

    assert len(names["path"].lams) == len(names["path"].df) == len(names["path"].aic) == 100
    assert lams[0] == f"{names['path'].best('bic').network.n_neurons} {names['found'].lam}"

    assert unique[0] == "False [[1. 2.]]"
    lower, upper = names["answer"].solution_set.envelopes([1.5])
    np.testing.assert_allclose([lower[0, 0], upper[0, 0]], [0.0, 0.5], atol=1e-12)
    assert unique[2] == "[1.5 3. ]"
    assert float(unique[3]) == pytest.approx(4.0, rel=1e-12)

    x = names["x"]
    decayed = kw.solve(kw.Problem(x, names["Y"], lam=0.1, penalty=names["decay"])).network
    assert not np.isin(decayed.knots.location, x).all()
    both, value, straight = others[-3:]
    assert float(both) < 1e-8
    # |x - 0.3|: two neurons of sqrt(1 + 0.3^2), facing apart; and the bias of the other task
    assert float(value) == pytest.approx(2 * np.hypot(1, 0.3) + 0.1**2 / 2, rel=1e-9)
    assert straight == "True"
    assert float(private[0]) < 1e-8
    users, slopes = names["own"].users, np.diff(names["own"].network.predict(x)[:, 1])
    assert users.any(axis=0).all()
    assert not users.all()
    assert slopes.min() >= -1e-12
    assert several == ["EXACT 7", "True"]
    gaps = names["trained"].relative_gaps
    assert gaps.shape == (4,)
    assert np.all(gaps > 0)
    given, improved = names["judged"].objectives.given, names["judged"].objectives.improved
    assert improved <= names["plane"].certificate.primal * (1 + 1e-9) < given
    assert elsewhere[-1].startswith(f"{given} {improved} [")
    np.testing.assert_allclose(
        kw.load_network("better.onnx").predict(names["X"]),
        names["judged"].improved.predict(names["X"]),
        atol=1e-12,
    )
    band = names["band"]
    assert band.rigour is kw.Rigour.EXACT
    assert np.all(band.low < band.high)
    assert band.low.shape == (2, 2)
    assert len(sure) >= 2
    np.testing.assert_allclose(names["taught"].shares.sum(axis=1), 1.0)
    assert float(taught[-1]) > 0
    assert pictures == []
    table = kw.Table("t", "x", ("a", "b"), names["x"], names["Y"])
    alone = kw.fit_table(table, lam_ratio=0.01)
    assert estimator == [f"{alone.network.n_neurons} EXACT True"]
    assert (tmp_path / "path.png").stat().st_size > 1000


def test_the_first_picture_is_of_the_first_command(text):
    apart, together = re.search(r"apart, with (\d+) knots, and together, with (\d+) shared", text).groups()
    result = kw.fit_table(kw.load_dataset("us-employment"))
    assert len(result.knots()) == int(together)
    assert sum(one.network.n_neurons for one in result.apart) == int(apart)
    assert f"held-out loss that chose {together} of them" in text


def test_every_option_named_is_one_of_the_command(text, capsys):
    from knotwork.cli import main

    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text[: text.index("## In Python")]))
    for command in ("fit", "audit", "bootstrap"):
        assert main([command, "--help"]) == 0
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert len(named) > 10
    assert named <= known


def test_the_other_pictures_are_of_the_example(text, capsys, monkeypatch, tmp_path):
    script = README.parent / "examples" / "one_input.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    for name in ("certificate", "solution-set", "path"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
        assert f"docs/{name}.png" in text
    assert "4 neurons, relative gap 0\n" in printed
    assert "equal to lam at the four of the network" in text
    assert "open in [[1.0, 2.0], [2.0, 3.0], [5.0, 6.0], [6.0, 7.0]]" in printed
    assert re.search(r": 27 knots$", printed, re.MULTILINE)
