"""`{shown}` puts rows of theorems.md on a page, with links to functions and the code of the tests they name.

Its lines are first cells of rows. What is a result, what a paper gets wrong and what it does not say follows
from the table a row is in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "docs" / "theorems.md"
_KINDS = {"result": "result", "where": "erratum", "of": "fact"}
_TEST = re.compile(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`")


@dataclass(frozen=True)
class Row:
    """kind : "result", "erratum" or "fact". cells : by the heads of its table, in Markdown."""

    kind: str
    cells: dict[str, str]

    @property
    def name(self) -> str:
        return next(iter(self.cells.values()))

    @property
    def tests(self) -> list[tuple[str, str]]:
        """(file, function); a lone `::function` is of the file before."""
        file, found = "", []
        for path, function in _TEST.findall(" ".join(self.cells.values())):
            file = path or file
            if function:
                found.append((file, function))
        return found


def rows(text: str) -> list[Row]:
    """All rows of all tables."""
    return list(_rows(text))


def _rows(text: str) -> Iterator[Row]:
    heads: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = _cells(line)
        elif not set(line) <= set("|- "):
            yield Row(_KINDS[heads[0]], dict(zip(heads, _cells(line), strict=True)))


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@cache
def _functions(file: str) -> dict[str, str]:
    """The source of every function of a test file, decorators included."""
    text = (ROOT / file).read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def as_markdown(row: Row, head: str = "") -> str:
    """A row as a field list or, where a paper is put right or added to, a box under `head`."""
    fields = [f":{name.capitalize()}: {text}" for name, text in list(row.cells.items())[1:] if text]
    if row.kind == "result":
        return "\n".join([f":Result: {row.name}", *fields, ""])
    return "\n".join([f":::{{admonition}} {head}{row.name}", f":class: {row.kind}", "", *fields, ":::", ""])


class Shown(SphinxDirective):
    """The rows of these names, then the tests they name."""

    has_content = True

    def run(self):
        self.env.note_dependency(str(TABLES))
        table = rows(TABLES.read_text(encoding="utf-8"))
        found: list[Row] = []
        for name in self.content:
            own = [row for row in table if row.name == name]
            if not own:
                raise self.error(f"docs/theorems.md has no row {name!r}")
            found += own
        order = {"result": "", "erratum": "What the paper gets wrong: ", "fact": "What it does not say: "}
        text = "\n".join(
            as_markdown(row, head) for kind, head in order.items() for row in found if row.kind == kind
        )
        made = self.parse_text_to_nodes(text)
        tests = list(dict.fromkeys(test for row in found for test in row.tests))
        return [*made, nodes.rubric("", "The tests"), *self._sources(tests, made)]

    def _sources(self, tests: Sequence[tuple[str, str]], made: Sequence[nodes.Node]) -> Iterator[nodes.Node]:
        for file, function in tests:
            self.env.note_dependency(str(ROOT / file))
            source = _functions(file).get(function)
            if source is None:
                raise self.error(f"{file} has no function {function}")
            place = nodes.make_id(function)
            for top in made:
                for literal in list(top.findall(nodes.literal)):
                    if literal.astext() in (f"::{function}", f"{file}::{function}"):
                        literal.replace_self(nodes.reference("", "", literal.deepcopy(), refid=place))
            code = nodes.literal_block(source, source, language="python")
            yield nodes.raw("", f"<details><summary>{file}::{function}</summary>", format="html")
            yield nodes.container("", code, ids=[place])
            yield nodes.raw("", "</details>", format="html")


class AllOf(SphinxDirective):
    """Every row of one kind: `{all-of} erratum`."""

    required_arguments = 1

    def run(self):
        self.env.note_dependency(str(TABLES))
        table = rows(TABLES.read_text(encoding="utf-8"))
        return self.parse_text_to_nodes(
            "\n".join(as_markdown(row) for row in table if row.kind == self.arguments[0])
        )


def setup(app):
    app.add_directive("shown", Shown)
    app.add_directive("all-of", AllOf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
