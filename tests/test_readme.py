"""The README's example runs, and what it says beside it is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import knotwork as kw

README = Path(__file__).parents[1] / "README.md"


def test_the_python_example_runs_and_prints_what_it_says(capsys):
    if not README.exists():
        pytest.skip("no README beside the tests")
    block = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    namespace: dict = {}
    exec(compile(block[1], "README.md", "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == kw.Status.OPTIMAL.value
    assert float(printed[1]) < 1e-8
    assert namespace["solution"].network.predict([0.25, 0.75]).shape == (2, 2)
    assert (
        namespace["solution"].certificate.dual
        <= kw.certify(namespace["problem"], namespace["network"]).primal
    )
