"""SVG as Matplotlib writes it, made smaller for a page, and put into an address."""

from __future__ import annotations

import re

_UNSEEN = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_BETWEEN_TAGS = re.compile(r">\s+<")
_OUTLINE = re.compile(r' d="([^"]*)"')
_LOOKS = re.compile(r' style="([^"]*)"')
_PLACE = re.compile(r' ([xy])="(-?[0-9.]+)"')
_MOVED = re.compile(r"translate\(([^)]*)\)")
_GLYPH = re.compile(r'(<use href="[^"]*") transform="translate\((\S+) (\S+)\)"/>')
_NUMBER = re.compile(r"-?[0-9]*\.[0-9]+(?![0-9.e])")
_NAME = re.compile(r' id="([^"]*)"')
_NAMED = re.compile(r'(href="#|url\(#)([^")]+)')
_ALONE = re.compile(r"<g>(<[^<>]*/>)</g>")
_STEP = re.compile(r"\s*([A-Za-z])\s*")
_LINES = re.compile(r"(?<=L)[^A-Za-z]*(?:L[^A-Za-z]*)+")
# what ends an address or its attribute, or is read as something else in one
_NOT_IN_ADDRESS = str.maketrans(
    {"%": "%25", "#": "%23", "<": "%3C", ">": "%3E", '"': "%22", "\n": " ", "\r": " ", "\t": " "}
)


def smaller(svg: str) -> str:
    """The same picture with what no reader sees left out; places are kept to 1/100 pt."""
    svg = _UNSEEN.sub("", svg).replace("xlink:href=", "href=")
    svg = _OUTLINE.sub(lambda found: f' d="{_shorter_outline(found[1])}"', svg)
    svg = _LOOKS.sub(lambda found: f' style="{found[1].replace(": ", ":").replace("; ", ";")}"', svg)
    svg = _PLACE.sub(lambda found: f' {found[1]}="{_NUMBER.sub(_rounded, found[2])}"', svg)
    svg = _MOVED.sub(lambda found: f"translate({_NUMBER.sub(_rounded, found[1])})", svg)
    svg = _GLYPH.sub(_shorter_glyph, svg)
    svg = _BETWEEN_TAGS.sub("><", _shorter_names(svg)).strip()
    return _ALONE.sub(r"\1", svg)


def data_address(svg: str) -> str:
    """The address that is the picture itself, its letters as they are where they may be."""
    if "'" not in svg:
        svg = svg.replace('"', "'")
    return "data:image/svg+xml," + svg.translate(_NOT_IN_ADDRESS)


def _shorter_outline(outline: str) -> str:
    outline = _STEP.sub(r"\1", _NUMBER.sub(_rounded, outline.strip()))
    # lines go on as they are until another letter
    return _LINES.sub(lambda found: found[0].replace("L", " "), re.sub(r"\s+", " ", outline))


def _shorter_glyph(found: re.Match[str]) -> str:
    x, y = ("" if found[k] == "0" else f' {name}="{found[k]}"' for k, name in enumerate("xy", 2))
    return f"{found[1]}{x}{y}/>"


def _shorter_names(svg: str) -> str:
    """Short names for what is asked for, none for the rest."""
    asked = dict.fromkeys(name for _, name in _NAMED.findall(svg))
    short = {name: f"n{k}" for k, name in enumerate(asked)}
    svg = _NAME.sub(lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", svg)
    return _NAMED.sub(lambda found: found[1] + short[found[2]], svg)


def _rounded(found: re.Match[str]) -> str:
    short = f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if short in ("-0", "") else short
