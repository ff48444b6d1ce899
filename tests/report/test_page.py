from __future__ import annotations

import base64

import pytest
from html_reader import Reader
from matplotlib.figure import Figure

from knotwork.report.page import Html, items, page, paragraph, picture, section, table, write_page

NASTY = "<script>alert('1')</script> & \"q\" \x1b[31m\n$x$"
# what of it may be read: one line, no control characters
SAID = "<script>alert('1')</script> & \"q\" [31m $x$"


def drawn():
    figure = Figure()
    figure.subplots().plot([0, 1], [1, 0])
    return figure


def whole():
    return page(
        NASTY,
        paragraph(NASTY, lead=True),
        section(
            NASTY,
            items([NASTY, "two"]),
            table([NASTY, "value"], [[NASTY, 1.5], ["b", 2]], caption=NASTY),
            picture(drawn(), alt=NASTY, caption=NASTY),
        ),
    )


def test_every_text_is_escaped_and_on_one_line():
    found = Reader(whole())
    for tag, times in (
        ("title", 1),
        ("h1", 1),
        ("p", 1),
        ("h2", 1),
        ("li", 1),
        ("caption", 1),
        ("figcaption", 1),
    ):
        assert found.said(tag).count(SAID) == times
    assert found.said("th") == [SAID, "value", SAID, "b"]
    assert [attrs["alt"] for attrs in found.all("img")] == [SAID]
    assert found.all("script") == []


def test_nothing_is_fetched():
    text = whole()
    found = Reader(text)
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "p",
        "section",
        "h2",
        "ul",
        "li",
    }
    allowed |= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "img", "figcaption"}
    assert {tag for tag, _ in found.tags} <= allowed
    for _, attrs in found.tags:
        assert not {"href", "srcset", "style", "onload", "onclick", "background"} & set(attrs)
    for attrs in found.all("img"):
        assert attrs["src"].startswith("data:image/svg+xml;base64,")
    (style,) = found.said("style")
    assert "url(" not in style
    assert "@import" not in style
    policy = {attrs.get("http-equiv"): attrs["content"] for attrs in found.all("meta") if "content" in attrs}
    assert policy["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_page_can_be_read_on_a_phone_and_by_ear():
    found = Reader(whole())
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.all("meta")
    assert found.all("html") == [{"lang": "en"}]
    assert found.all("meta")[0] == {"charset": "utf-8"}
    assert [attrs.get("scope") for attrs in found.all("th")] == ["col", "col", "row", "row"]


def test_pictures_are_whole_and_the_same_each_time():
    one, two = (Reader(picture(drawn(), alt="a")).all("img")[0]["src"] for _ in range(2))
    assert one == two
    drawing = base64.b64decode(one.partition(",")[2]).decode()
    assert drawing.rstrip().endswith("</svg>")


def test_numbers_stand_to_the_right_and_text_does_not():
    found = Reader(table(["name", "a", "b"], [["x", 1.0 / 3.0, "1"], ["y", 2, "z"]]))
    assert [attrs.get("class") for attrs in found.all("td")] == ["number", None] * 2
    assert found.said("td") == ["0.3333333333", "1", "2", "z"]


def test_html_is_not_escaped_twice():
    assert paragraph(paragraph("a < b")) == "<p><p>a &lt; b</p></p>"


def test_writing(tmp_path):
    write_page(page("a"), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == page("a")
    with pytest.raises(TypeError, match="content: must be made by"):
        write_page("<p>not escaped</p>", tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()
    assert isinstance(page("a"), Html)
