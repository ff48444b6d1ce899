"""SVG as Matplotlib writes it, made smaller for a page, and put into an address."""

from __future__ import annotations

import re

_HEAD = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")
_OUTLINE = re.compile(r' d="([^"]*)"')
_PLACE = re.compile(r' (x|y)="(-?[0-9.]+)"|(translate)\(([^)]*)\)')
_NUMBER = re.compile(r"-?[0-9]*\.[0-9]+(?![0-9.e])")
_NAMED = re.compile(r' id="([^"]*)"')
_ASKED = re.compile(r"#([^\"')]+)")
_STEP = re.compile(r"\s*([A-Za-z])\s*")
# what ends an address or its attribute, or is read as something else in one
_NOT_IN_ADDRESS = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "%#<>\"\n\r\t"})


def smaller(svg: str) -> str:
    """The same picture with what no reader sees left out; places are kept to 1/100 pt."""
    svg = _HEAD.sub("", svg)
    svg = _OUTLINE.sub(lambda found: f' d="{_shorter_outline(found[1])}"', svg)
    svg = _PLACE.sub(_shorter_place, svg)
    asked = set(_ASKED.findall(svg))
    svg = _NAMED.sub(lambda found: found[0] if found[1] in asked else "", svg)
    return _BETWEEN.sub("><", svg).strip()


def data_address(svg: str) -> str:
    """The address that is the picture itself, its letters as they are where they may be."""
    return "data:image/svg+xml," + svg.replace('"', "'").translate(_NOT_IN_ADDRESS)


def _shorter_outline(outline: str) -> str:
    outline = _NUMBER.sub(_rounded, outline.strip())
    outline = re.sub(r"\s+", " ", _STEP.sub(r"\1", outline))
    # a line goes on as it is until another letter
    return re.sub(r"(?<=L)([^A-Za-z]*)(?:L([^A-Za-z]*))+", lambda found: found[0].replace("L", " "), outline)


def _shorter_place(found: re.Match[str]) -> str:
    if found[1]:
        return f' {found[1]}="{_NUMBER.sub(_rounded, found[2])}"'
    return f"translate({_NUMBER.sub(_rounded, found[4])})"


def _rounded(found: re.Match[str]) -> str:
    short = f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short
