from __future__ import annotations

import io
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from knotwork.report.svg import data_address, smaller

SVG = "{http://www.w3.org/2000/svg}"
PAIR = re.compile(r"(-?[0-9.]+(?:e[-+]?[0-9]+)?)[ ,]+(-?[0-9.]+(?:e[-+]?[0-9]+)?)")


def drawn():
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    panels = figure.subplots(1, 2)
    x = np.linspace(-1.0, 1.0, 40)
    panels[0].plot(x, np.sin(9 * x), "o-", label=r"$f_\lambda(x) = \sum_k v_k$")
    panels[0].fill_between(x, x, np.abs(x) + 1e-7, hatch="//", alpha=0.3)
    panels[0].set_title("50 % --> #1 'so' \"so\" <b> &")
    panels[0].legend()
    panels[1].scatter(x, x**2, s=20 + 5 * x, c=x)
    panels[1].imshow(np.outer(x, x), extent=(-0.5, 0.5, 0.2, 0.8))
    panels[1].plot(x, np.sin(5 * x), rasterized=True)
    return figure


def written():
    buffer = io.BytesIO()
    drawn().savefig(buffer, format="svg")
    return buffer.getvalue().decode()


def numbers(element):
    """The places in an outline, in order."""
    return np.array([[float(part) for part in pair] for pair in PAIR.findall(element.get("d", ""))])


def test_the_same_outlines_to_a_hundredth_of_a_point():
    before, after = (ElementTree.fromstring(text) for text in (written(), smaller(written())))
    paths, shorter = ([*tree.iter(f"{SVG}path")] for tree in (before, after))
    assert len(paths) == len(shorter) > 80
    for one, two in zip(paths, shorter, strict=True):
        np.testing.assert_allclose(numbers(two), numbers(one), atol=0.00501)
        letters = [re.findall("[A-Za-z]", re.sub(r"(?<=\d)e", "", path.get("d", ""))) for path in (one, two)]
        # only a line after a line goes without its letter
        assert [letter for letter in letters[0] if letter != "L"] == [x for x in letters[1] if x != "L"]
        looks = [re.sub(r" |(?<=url\(#)\w*", "", path.get("style", "")) for path in (one, two)]
        assert looks[0] == looks[1]
        assert ("clip-path" in one.attrib) == ("clip-path" in two.attrib)


def test_every_name_asked_for_is_there_once():
    text = smaller(written())
    names = re.findall(' id="([^"]*)"', text)
    asked = set(re.findall(r'href="#([^"]*)"', text)) | set(re.findall(r"url\(#([^)]*)\)", text))
    assert len(names) == len(set(names))
    assert set(names) == asked
    before = written()
    uses = [len(re.findall("<use ", one)) for one in (before, text)]
    assert uses[0] == uses[1] > 50
    assert len(re.findall(r"url\(#", text)) == len(re.findall(r"url\(#", before))


def test_glyphs_stand_where_they_stood():
    def places(tree, href):
        found = []
        for use in tree.iter(f"{SVG}use"):
            moved = re.match(r"translate\((\S+) (\S+)\)$", use.get("transform", ""))
            x, y = moved.groups() if moved else (use.get("x", 0), use.get("y", 0))
            if "scale" not in use.get("transform", ""):
                found.append((float(x), float(y)))
            assert use.get(href).startswith("#")
        return np.array(found)

    before, after = (ElementTree.fromstring(text) for text in (written(), smaller(written())))
    href = "{http://www.w3.org/1999/xlink}href"
    np.testing.assert_allclose(places(after, "href"), places(before, href), atol=0.00501)


def test_pictures_inside_are_kept_and_the_rest_shrinks():
    before, after = written(), smaller(written())
    inside = [re.findall(r'href="(data:[^"]*)"', text) for text in (before, after)]
    assert inside[0] == inside[1] != []
    assert "<metadata" not in after
    assert "<!--" not in after
    assert len(after) < 0.75 * len(before)


@pytest.mark.parametrize("text", ["<a b=\"1\">50 % #\n'é'</a>", '<a b="1">\t%22</a>'])
def test_an_address_holds_the_text(text):
    address = data_address(text)
    assert not set('"#<>\n\r\t') & set(address)
    held = unquote(address.removeprefix("data:image/svg+xml,"))
    assert ElementTree.fromstring(held).attrib == {"b": "1"}
    assert " ".join(ElementTree.fromstring(held).text.split()) == " ".join(
        ElementTree.fromstring(text).text.split()
    )


def test_numbers_that_are_no_places_stay():
    group = '<g transform="matrix(0.12345 0 0 0.6789 1 2)" style="stroke-width:0.12345">'
    kept = f'<svg>{group}<path d="M1e-05 1.23456e-07"/><path d="M0 0"/></g></svg>'
    assert smaller(kept) == kept
