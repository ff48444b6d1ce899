from __future__ import annotations

import base64
import hashlib
from urllib.parse import unquote

import pytest
from html_reader import Reader
from matplotlib.figure import Figure

from knotwork.report.page import Html, items, link, page, paragraph, picture, section, table, write_page

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


def policy_of(found):
    (policy,) = (attrs["content"] for attrs in found.all("meta") if "http-equiv" in attrs)
    return policy


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
        assert attrs["src"].startswith("data:image/svg+xml,")
    (style,) = found.said("style")
    assert "url(" not in style
    assert "@import" not in style
    assert policy_of(found).startswith("default-src 'none'")
    assert "script-src" not in policy_of(found)


def test_a_page_can_be_read_on_a_phone_and_by_ear():
    found = Reader(whole())
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.all("meta")
    assert found.all("html") == [{"lang": "en"}]
    assert found.all("meta")[0] == {"charset": "utf-8"}
    assert [attrs.get("scope") for attrs in found.all("th")] == ["col", "col", "row", "row"]


def test_pictures_are_whole_and_the_same_each_time():
    one, two = (Reader(picture(drawn(), alt="a")).all("img")[0]["src"] for _ in range(2))
    assert one == two
    drawing = unquote(one.partition(",")[2])
    assert drawing.startswith("<svg")
    assert drawing.endswith("</svg>")


def test_numbers_stand_to_the_right_and_text_does_not():
    found = Reader(table(["name", "a", "b"], [["x", 1.0 / 3.0, "1"], ["y", 2, "z"]]))
    assert [attrs.get("class") for attrs in found.all("td")] == ["number", None] * 2
    assert found.said("td") == ["0.3333333333", "1", "2", "z"]


def test_html_is_not_escaped_twice():
    assert paragraph(paragraph("a < b")) == "<p><p>a &lt; b</p></p>"


def test_links_lead_to_places_of_the_page():
    text = page(
        "a", section("b", picture(drawn(), alt="c", anchor="d"), anchor="e"), sidebar=link("d", NASTY)
    )
    found = Reader(text)
    assert found.all("a") == [{"href": "#d"}]
    assert found.said("a") == [SAID]
    assert {attrs["id"] for _, attrs in found.tags if "id" in attrs} == {"d", "e"}
    assert text.index("<nav ") < text.index("<main>")


def test_the_browser_runs_the_given_scripts_and_no_other():
    scripts = ["one('é < 1');", "two()\n"]
    text = page("a", style="p { color: red }", scripts=scripts)
    policy = policy_of(Reader(text))
    found = [part.split("</script>")[0] for part in text.split("<script>")[1:]]
    assert found == scripts
    asked = policy.split("script-src ")[1].split()
    for script, source in zip(found, asked, strict=True):
        digest = base64.b64decode(source.removeprefix("'sha256-").removesuffix("'"))
        assert digest == hashlib.sha256(script.encode()).digest()
    assert "p { color: red }" in text.split("<style>")[1].split("</style>")[0]
    assert "unsafe" not in policy.split("script-src")[1]
    for broken in ("'</SCRIPT>'", "'<!--'"):
        with pytest.raises(ValueError, match="scripts: holds"):
            page("a", scripts=[broken])


def test_writing(tmp_path):
    write_page(page("a"), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == page("a").encode()
    with pytest.raises(TypeError, match="content: must be made by"):
        write_page("<p>not escaped</p>", tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()
    assert isinstance(page("a"), Html)
