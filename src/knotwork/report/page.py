"""Pages of one HTML file: text, tables and pictures, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .._files import replacing
from .svg import data_address, smaller
from .text import one_line

# a browser that honours this asks the network for nothing, whatever the page holds
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light; --ink: #333333; --ground: #ffffff; --quiet: #666666; --rule: #9a9a9a;
  --accent: #0072b2; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--ground);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
.lead { font-size: 1.15rem; border-left: .3rem solid var(--accent); padding-left: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption, figcaption { text-align: left; color: var(--quiet); font-size: .9rem; padding: .3rem 0; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; overflow-wrap: normal; }
thead th { border-bottom: 1px solid var(--rule); }
td.number, th.number { text-align: right; }
tbody th { font-weight: normal; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; }
"""


class Html(str):
    """Text that is HTML already; any other text is escaped where it enters a page."""

    __slots__ = ()


def text_of(text: object) -> Html:
    """`text` on one line, without control characters, escaped; HTML as it is."""
    return text if isinstance(text, Html) else Html(escape(one_line(str(text))))


def paragraph(text: object, *, lead: bool = False) -> Html:
    """A paragraph; the one that matters most is the lead."""
    kind = ' class="lead"' if lead else ""
    return Html(f"<p{kind}>{text_of(text)}</p>")


def items(texts: Sequence[object]) -> Html:
    """A list of sentences."""
    return Html("<ul>" + "".join(f"<li>{text_of(text)}</li>" for text in texts) + "</ul>")


def table(header: Sequence[object], rows: Sequence[Sequence[object]], *, caption: object = "") -> Html:
    """A table; the first cell of every row names it, and columns of numbers stand to the right.

    Numbers (int, float) are shown with up to 10 digits; give text for another form.
    """
    numbers = [
        bool(rows) and all(isinstance(row[k], int | float) for row in rows) for k in range(len(header))
    ]
    kinds = [' class="number"' if number else "" for number in numbers]
    parts = ['<div class="wide"><table>']
    if caption:
        parts.append(f"<caption>{text_of(caption)}</caption>")
    head = "".join(
        f'<th scope="col"{kind}>{text_of(name)}</th>' for name, kind in zip(header, kinds, strict=True)
    )
    parts.append(f"<thead><tr>{head}</tr></thead><tbody>")
    for row in rows:
        cells = [text_of(f"{cell:.10g}" if isinstance(cell, int | float) else cell) for cell in row]
        first, *rest = zip(cells, kinds, strict=True)
        parts.append(f'<tr><th scope="row"{first[1]}>{first[0]}</th>')
        parts.extend(f"<td{kind}>{cell}</td>" for cell, kind in rest)
        parts.append("</tr>")
    parts.append("</tbody></table></div>")
    return Html("".join(parts))


def picture(figure: Figure, *, alt: str, caption: object = "", anchor: str = "") -> Html:
    """A figure, drawn into the page; `alt` says what is to be seen to who cannot see it."""
    written = io.StringIO()
    # the salt and no date: the same figure is the same text
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "knotwork"}):
        # a name in a script that the font lacks shows as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # savefig draws twice
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    said = f"<figcaption>{text_of(caption)}</figcaption>" if caption else ""
    source = escape(data_address(smaller(written.getvalue())), quote=False)
    image = f'<div class="wide"><img alt="{escape(one_line(alt))}" src="{source}"></div>'
    return Html(f"<figure{_id(anchor)}>{image}{said}</figure>")


def section(title: object, *parts: Html, anchor: str = "") -> Html:
    """A part of the page under a heading; links of the page lead to its `anchor`."""
    return Html(f"<section{_id(anchor)}><h2>{text_of(title)}</h2>\n" + "\n".join(parts) + "\n</section>")


def link(anchor: str, text: object) -> Html:
    """A way to another place of the same page."""
    return Html(f'<a href="#{escape(anchor)}">{text_of(text)}</a>')


def page(
    title: object, *parts: Html, style: str = "", sidebar: Html | None = None, scripts: Sequence[str] = ()
) -> Html:
    """The whole file: `title` above, then paragraphs and sections in order.

    Parameters
    ----------
    style : more CSS, after that of every page.
    sidebar : what stands beside the text, before it in the file.
    scripts : JavaScript that runs when all else is there. The browser runs these, told apart by their
        hash, and no other; without any it runs none.

    Raises
    ------
    ValueError : for a script that the file cannot hold.
    """
    policy = _POLICY
    for script in scripts:
        if "</script" in script.lower() or "<!--" in script:
            raise ValueError("scripts: holds </script or <!--, where a browser would stop reading it")
    if scripts:
        digests = [hashlib.sha256(script.encode("utf-8")).digest() for script in scripts]
        hashes = [f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests]
        policy = f"{_POLICY}; script-src {' '.join(hashes)}"
    name = text_of(title)
    beside = "" if sidebar is None else f'<nav aria-label="Contents">{sidebar}</nav>\n'
    last = "".join(f"<script>{script}</script>\n" for script in scripts)
    return Html(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{name}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n{beside}<main>\n"
        f"<h1>{name}</h1>\n" + "\n".join(parts) + f"\n</main>\n{last}</body>\n</html>\n"
    )


def write_page(content: Html, path: str | os.PathLike[str]) -> None:
    """Write a page to a file, whole or not at all.

    Raises
    ------
    TypeError : for text that is no page, which would not have been escaped.
    OSError : when it cannot be written.
    """
    if not isinstance(content, Html):
        raise TypeError(f"content: must be made by knotwork.report.page, got {type(content).__name__}")
    with replacing(path) as beside:
        # as it is, to the letter: the hashes of scripts are of these bytes
        beside.write_bytes(content.encode("utf-8"))


def _id(anchor: str) -> str:
    return f' id="{escape(anchor)}"' if anchor else ""
