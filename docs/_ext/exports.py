"""`{exports}` documents the public names of modules; `kw.name` in any page links to them."""

from __future__ import annotations

import importlib
import inspect
import re
from enum import Enum

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

import knotwork

# kw.solve, kw.solve(problem), kw.train.adam, Path.df, CrossValidation.lam_min
_NAMED = re.compile(r"(?:(?:kw|knotwork)\.(?P<public>[\w.]+)|(?P<bare>[A-Z]\w+(?:\.\w+)?))(?:\(.*\))?")


def public_names(module: str) -> list[str]:
    """What `knotwork` exports from a module, or a room of functions that one enters by name, in order."""
    if module in knotwork._ROOMS:
        return [f"{module}.{name}" for name in importlib.import_module(f"knotwork.{module}").__all__]
    return [name for name, home in knotwork._EXPORTS.items() if home == module]


def _documented(name: str) -> list[str]:
    of = knotwork
    for part in name.split("."):
        of = getattr(of, part)
    if not inspect.isclass(of):
        return [f".. {'autofunction' if callable(of) else 'autodata'}:: knotwork.{name}", ""]
    # the members of an enumeration have no docstring, but a value that says what they mean
    options = ["   :members:"] + ["   :undoc-members:"] * issubclass(of, Enum)
    return [f".. autoclass:: knotwork.{name}", *options, ""]


class Exports(SphinxDirective):
    """A table of the names that the modules in it have, then each in full."""

    has_content = True

    def run(self):
        names = []
        for module in " ".join(self.content).split():
            found = public_names(module)
            if not found:
                raise self.error(f"knotwork exports nothing from {module}")
            names += found
        lines = [".. autosummary::", "", *(f"   knotwork.{name}" for name in names), ""]
        for name in names:
            lines += _documented(name)
        text = "\n".join(["````{eval-rst}", *lines, "````"])
        return self.parse_text_to_nodes(text)


def _link_literals(app, doctree, docname):
    objects = app.env.domains["py"].objects
    for node in list(doctree.findall(nodes.literal)):
        found = _NAMED.fullmatch(node.astext())
        if found is None or isinstance(node.parent, nodes.reference):
            continue
        name = f"knotwork.{found['public'] or found['bare']}"
        # an attribute has no entry of its own: its class has
        target = next((one for one in (name, name.rpartition(".")[0]) if one in objects), None)
        if target is not None:
            entry = objects[target]
            link = make_refnode(app.builder, docname, entry.docname, entry.node_id, node.deepcopy(), target)
            node.replace_self(link)


def setup(app):
    app.add_directive("exports", Exports)
    app.connect("doctree-resolved", _link_literals)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
