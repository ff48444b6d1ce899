"""Docstrings of this library as reStructuredText.

They are plain text: paragraphs, indented formulas, and lists of `name : what it is`, under the headings of
NumPy's style or without one. In NumPy's own style the text after the colon would be a type; here types stand
in the signature.
"""

from __future__ import annotations

import re

from sphinx.util.inspect import TypeAliasForwardRef

_ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*) : (?P<text>.*)")
_SECOND_ENTRY = re.compile(r"\.  (?=\w+ : )")
_UNDERLINE = re.compile(r"-{3,}")


def plain_to_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, without its indentation, as reStructuredText."""
    out: list[str] = []
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line.rstrip())
        elif block:
            out += [*_block(block), ""]
            block = []
    return out


def _block(block: list[str]) -> list[str]:
    if re.fullmatch(r"=+( +=+)+", block[0]):
        return _table(block)
    if len(block) > 1 and _UNDERLINE.fullmatch(block[1]):
        head = [f".. rubric:: {block[0]}", ""]
        return head + (_block(block[2:]) if block[2:] else [])
    if _ENTRY.fullmatch(block[0]):
        return _entries(block)
    if re.match(r"(-|\d+\.) ", block[0]):
        return [_escape(line) for line in block]
    if all(line.startswith(" ") for line in block):
        return [".. code-block:: text", "", *(f"    {line}" for line in block)]
    return [_escape(line) for line in block]


def _entries(block: list[str]) -> list[str]:
    lines = [part for line in block for part in _SECOND_ENTRY.sub(".\n", line).split("\n")]
    out = []
    for line in lines:
        if found := _ENTRY.fullmatch(line):
            names = ", ".join(f"``{name}``" for name in found["names"].split(", "))
            out += [names, f"    {_escape(found['text'])}"]
        else:
            out.append(f"    {_escape(line.strip())}")
    return out


def _table(block: list[str]) -> list[str]:
    """A simple table as a list of cells, whose text may grow by being escaped."""
    starts = [found.start() for found in re.finditer("=+", block[0])]
    ends = [*starts[1:], None]
    rulers = [k for k, line in enumerate(block) if set(line) <= set("= ")]
    out = [".. list-table::", f"   :header-rows: {rulers[1] - 1 if len(rulers) > 2 else 0}", ""]
    for line in block:
        if not set(line) <= set("= "):
            cells = [_escape(line[start:end].strip()) for start, end in zip(starts, ends, strict=True)]
            out += [f"   {'  ' if k else '* '}- {cell}" for k, cell in enumerate(cells)]
    return out


def _escape(text: str) -> str:
    """Marks of reStructuredText as the characters they are, but for literals."""
    parts = re.split(r"(`+)(.+?)\1", text)
    found = []
    for plain, literal in zip(parts[0::3], [*parts[2::3], None], strict=True):
        found.append(re.sub(r"([\\*|`])|(?<=\w)(_)(?!\w)", r"\\\g<0>", plain))
        if literal is not None:
            # the spaces that reStructuredText wants about a literal, without width
            found.append(rf"\ ``{literal}``\ ")
    return "".join(found)


def _process(app, what, name, obj, options, lines):
    # the docstring of a value is that of its type
    lines[:] = [] if what == "data" else plain_to_rst(lines)


def _skip(app, what, name, obj, skip, options):
    """What is written by Python, the fields of a NamedTuple, or by scikit-learn, requests of metadata."""
    documented = getattr(obj, "__doc__", None) or ""
    made = documented.startswith("Alias for field number") or re.fullmatch(r"set_\w+_request", name)
    return True if made else None


def setup(app):
    app.connect("autodoc-process-docstring", _process)
    # else a union with an alias is shown as TypeAliasForwardRef('ArrayLike') | None
    TypeAliasForwardRef.__repr__ = lambda self: self.name
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
