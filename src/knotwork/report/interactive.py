"""What a page lets its reader turn and drag: surfaces, by Plotly, and the playground."""

from __future__ import annotations

import importlib.util
import json
from html import escape
from pathlib import Path

from ..experiments.experiment import Result
from ..experiments.records import Array, Record
from .page import Html, paragraph, section
from .paper_claims import slug
from .text import one_line

_HERE = Path(__file__).parent
_GRID, _SURFACE = "grid", "surface."


def require_interactive() -> None:
    """Raise now what an interactive page would raise after everything has run.

    Raises
    ------
    ImportError : where Plotly is not installed, with the remedy.
    """
    if importlib.util.find_spec("plotly") is None:
        raise ImportError(
            "interactive: needs plotly; python -m pip install 'knotwork[interactive]', or leave it out"
        )


def page_scripts(any_surfaces: bool) -> tuple[str, ...]:
    """The scripts of an interactive page; Plotly, which is 5 MB, only where a surface is drawn.

    Raises
    ------
    ImportError : as `require_interactive`.
    """
    require_interactive()
    own = _script("playground.js")
    if not any_surfaces:
        return (own,)
    from plotly.offline import get_plotlyjs

    return own, get_plotlyjs(), _script("surfaces.js")


def playground() -> Html:
    """Two tasks whose points can be moved."""
    return section(
        "Playground",
        paragraph(
            "Move the points of two tasks that share one input, with a pointer or with Tab and the arrow "
            "keys (Shift for small steps). Blue: all solutions of each task alone. Line: connect the dots, a "
            "solution always. Orange: all solutions of both tasks together, where there is more than one; "
            "that takes two neighbouring slope changes of one direction (A, Theorem 3.1), the arrows below."
        ),
        Html('<div data-playground="two tasks"></div>'),
        anchor="playground",
    )


def surfaces(result: Result) -> Html | None:
    """The surfaces that the records of an experiment hold, one at a time; None where there is none.

    A record holds `grid`, the (G,) places on both axes, and `surface.NAME`, (G, G) heights: rows are the
    second input, columns the first.
    """
    found = [record for record in result.records if _GRID in record.arrays and _names(record)]
    if not found:
        return None
    told = []
    for record in found:
        for name in _names(record):
            alike = [other for other in found if name in other.arrays]
            varied = [
                f"{key} {value}"
                for key, value in record.settings.items()
                if any(other.settings.get(key) != value for other in alike)
            ]
            label = ", ".join([name.removeprefix(_SURFACE), *varied])
            heights = [_short(row) for row in record[name]]
            told.append({"name": one_line(label), "grid": _short(record[_GRID]), "heights": heights})
    # no sign that HTML reads within a script
    data = json.dumps(told, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    anchor = f"surface-{slug(result.experiment.name)}"
    return Html(
        f'<div class="turn" data-surface="{escape(anchor)}"></div>'
        f'<script type="application/json" id="{escape(anchor)}">{data}</script>'
    )


def _names(record: Record) -> list[str]:
    return [name for name in record.arrays if name.startswith(_SURFACE)]


def _short(values: Array) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _script(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
