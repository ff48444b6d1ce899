"""The documents name tests, functions, rooms and pictures that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_architecture import ROOMS

import knotwork as kw

ROOT = Path(__file__).parents[1]
PAGES = [page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "docs").rglob("*.md"))]
NAMES = ["README.md", "CONTRIBUTING.md", *(page for page in PAGES if "/_build/" not in page)]


def read(name):
    if not (ROOT / name).exists():
        pytest.skip(f"no {name} beside the tests")
    return (ROOT / name).read_text(encoding="utf-8")


def named_tests(text):
    """(file, function or None) of `tests/file.py::function`; a lone `::function` is of the file before."""
    file, found = None, []
    for path, function in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", text):
        file = path or file
        if path or function:
            found.append((file, function or None))
    return found


def test_every_theorem_names_tests_that_exist():
    text = read("docs/theorems.md")
    found = named_tests(text)
    assert len(found) > 30
    for file, function in found:
        code = (ROOT / file).read_text(encoding="utf-8")
        assert function is None or f"\ndef {function}(" in code, f"{file}::{function}"
    for row in re.findall(r"^\| .*\|$", text, re.MULTILINE):
        if not row.startswith(("| result |", "| where |", "| of |")):
            assert any(function for _, function in named_tests(row)), f"names no test: {row[:60]}"


@pytest.mark.parametrize("name", NAMES)
def test_public_names_and_files_exist(name):
    text = read(name)
    for one in re.findall(r"\bkw\.(\w+)", text):
        assert one in kw.__all__, one
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert ((ROOT / name).parent / link).exists(), link
    for script in re.findall(r"python ((?:benchmarks|examples)/\w+\.py)", text):
        assert (ROOT / script).exists(), script


def test_the_rooms_are_those_of_the_architecture_in_its_order():
    table = re.search(r"^\| room \|.*?(?=\n\n)", read("docs/architecture.md"), re.MULTILINE | re.DOTALL)
    assert table is not None
    rows = [row.split("|")[1] for row in table[0].splitlines()[2:]]
    named = [re.sub(r"\.py$|/$", "", room) for row in rows for room in re.findall(r"`([^`]+)`", row)]
    assert named == [room for room in ROOMS if room in named]
    assert set(ROOMS) - set(named) <= {"_table_files"}
