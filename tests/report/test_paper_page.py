from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest
from html_reader import Reader
from paper_results import result, some_drawings, some_results
from PIL import Image

from knotwork.experiments.experiment import Claim, Verdict
from knotwork.report import gallery as gallery_file
from knotwork.report import interactive as interactive_file
from knotwork.report import paper_page as page_file
from knotwork.report.gallery import gallery
from knotwork.report.paper_page import paper_page, require_interactive

COMMAND = "knotwork reproduce --quick"
NASTY = "<script>alert(1)</script> & \"q\" 'r' \x07\n</style> ]]>"
SAID = "<script>alert(1)</script> & \"q\" 'r' </style> ]]>"


@pytest.fixture(autouse=True)
def _own_drawings(monkeypatch):
    monkeypatch.setattr(page_file, "drawings", some_drawings)
    monkeypatch.setattr(gallery_file, "drawings", some_drawings)


def read(results, **options):
    return Reader(paper_page(results, command=COMMAND, **options))


@pytest.fixture(scope="module")
def plain():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_file, "drawings", some_drawings)
        return paper_page(some_results(), command=COMMAND)


def test_the_lead_counts_verdicts_and_figures(plain):
    lead = Reader(plain).said("p")[0]
    assert lead == (
        "6 claims measured: 3 hold, 1 holds with a correction, 1 does not hold, 1 is not decidable here. "
        "Drawn from their records: 3 of the papers' 18 figures."
    )
    undrawn = read([result("b-figure-7", figures=("B 7", "B 8"))]).said("p")[0]
    assert undrawn == (
        "0 claims measured: none. Drawn from their records: 0 of the papers' 18 figures; not drawn: B 7, B 8."
    )


def test_every_claim_stands_in_the_table_of_its_paper(plain):
    tables = {}
    for part in plain.split('<section id="claims-')[1:]:
        body = part.split("<tbody")[1].split("</tbody>")[0]
        rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]]
        tables[part.split('"')[0]] = [[re.sub("<[^>]*>", "", cell) for cell in row] for row in rows]
    assert list(tables) == ["a", "b", "ours"]
    assert [len(rows) for rows in tables.values()] == [3, 2, 1]
    assert tables["a"][1] == [
        "the rate is 1/T",
        "Theorem 4.1",
        "0.123 is more than 0.1",
        "◐ holds with a correctionthe rate is 2/T",
        "a-figure-4",
    ]
    assert [row[3] for row in tables["b"]] == ["? not decidable here", "✓ holds"]
    assert tables["ours"][0][1] == "ours"


def test_a_changed_verdict_changes_the_page(plain):
    changed = some_results()
    first = changed[0]
    failed = replace(first.claims[0], verdict=Verdict.FAILS, correction="never")
    changed[0] = replace(first, claims=[failed, *first.claims[1:]])
    found = read(changed)
    assert "2 hold, 1 holds with a correction, 2 do not hold" in found.said("p")[0]
    before, after = (
        len([attrs for attrs in one.all("article") if attrs["class"] == "claim fails"])
        for one in (Reader(plain), found)
    )
    # among the errata and in its own section
    assert (before, after) == (2, 4)


def test_errata_have_their_numbers_and_what_is_right(plain):
    errata = plain.split('<section id="errata">')[1].split("</section>")[0]
    assert errata.count("<article") == 2
    for said in ("slope = 0.1235", "bound = 0.1", "the rate is 2/T", "off = 1.5", "less or equal"):
        assert said in errata
    held = [r for r in some_results() if all(c.verdict is Verdict.HOLDS for c in r.claims)]
    assert "errata" not in paper_page(held, command=COMMAND)


def test_links_lead_to_places_that_are_there_once(plain):
    found = Reader(plain)
    places = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(places) == len(set(places))
    assert {"figure-a-4", "figure-a-4-2", "figure-a-5", "picture-a-figure-4", "claim-a-figure-4-2"} <= set(
        places
    )
    hrefs = [attrs["href"] for attrs in found.all("a")]
    assert all(href[0] == "#" and href[1:] in places for href in hrefs)
    # every section, every claim and every figure of several can be reached
    reached = {href[1:] for href in hrefs}
    assert {name for name in places if name.startswith(("claim", "experiment", "errata"))} <= reached
    assert {"figure-a-5", "figure-a-6"} <= reached


def test_a_section_has_all_of_its_experiment(plain):
    part = plain.split('<section id="experiment-a-figure-4">')[1].split("</section>")[0]
    found = Reader(part)
    assert found.said("h2") == ["A, Figure 4: Three random starts"]
    assert found.said("strong")[:2] == ["What the paper shows.", "Settings that are ours."]
    assert [attrs["alt"] for attrs in found.all("img")] == ["curve 0", "curve 1", "curve 2"]
    assert found.said("figcaption") == [f"A curve of {k} bends." for k in range(3)]
    records = some_results()[0].records
    body = part.split("<details")[1]
    for record in records:
        assert record.file_name in body
        assert record.key in body
        assert f">{record.seconds:.2f}<" in body
    assert found.said("summary") == ["3 records, 1.5 s"]
    assert "python 3.11.7, knotwork 0.0, numpy 2.0" in body
    assert plain.index('id="experiment-a-figure-4"') < plain.index('id="experiment-b-remark"')


def test_nothing_can_break_out_of_its_place():
    claim = Claim(NASTY, NASTY, NASTY, Verdict.FAILS, {NASTY: 1.0}, NASTY)
    heights = {"grid": np.arange(2.0), f"surface.{NASTY}": np.zeros((2, 2))}
    hostile = [
        result(NASTY, claim, title=NASTY, shows=NASTY, ours=NASTY, arrays=heights, figures=(f"A {NASTY}",))
    ]
    for shown in (False, True):
        found = Reader(paper_page(hostile, command=NASTY, interactive=shown))
        assert found.said("code") == [SAID]
        assert {"h3", "p"} <= {tag for tag, text in found.texts if SAID in text}
        # the scripts are those of the page, and the names of a surface are data
        kinds = [attrs.get("type") for attrs in found.all("script")]
        assert kinds == (["application/json", None, None, None] if shown else [])
        for _, attrs in found.tags:
            assert not {name for name in attrs if name.startswith("on")}
    (data,) = [text for text in found.said("script") if text.startswith("[{")]
    assert json.loads(data)[0]["name"] == SAID


def test_a_plain_page_runs_and_fetches_nothing(plain):
    found = Reader(plain)
    assert found.all("script") == []
    assert found.all("link") == []
    for attrs in found.all("img"):
        picture = unquote(attrs["src"].removeprefix("data:image/svg+xml,"))
        assert picture.startswith("<svg")
        assert not re.findall(r"(?:href|src)=.(?!#|data:image/png)", picture)
    (style,) = found.said("style")
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [attrs["content"] for attrs in found.all("meta") if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_the_same_results_are_the_same_page(plain):
    assert paper_page(some_results(), command=COMMAND) == plain


def test_an_empty_page_is_a_page():
    assert read([]).said("h1") != []


def test_plotly_is_there_only_for_surfaces():
    pytest.importorskip("plotly")
    with_surfaces, without = (
        paper_page(chosen, command=COMMAND, interactive=True)
        for chosen in (some_results(), some_results()[:1])
    )
    assert len(with_surfaces) - len(without) > 3_000_000
    assert len(without) < 500_000
    for text in (with_surfaces, without):
        assert "knotworkPlayground" in text
        assert 'data-playground="two tasks"' in text


def test_surfaces_are_told_apart_by_what_differs():
    grid = np.linspace(0.0, 1.0, 3)
    heights = np.arange(9.0).reshape(3, 3) / 7.0
    of = result("a-figure-5", records=2, arrays={"grid": grid, "surface.one": heights})
    found = Reader(interactive_file.surfaces(of))
    told = json.loads(found.said("script")[0])
    assert [one["name"] for one in told] == ["one, seed 0", "one, seed 1"]
    for one in told:
        np.testing.assert_allclose(one["heights"], heights, rtol=1e-3)
        np.testing.assert_array_equal(one["grid"], grid)
    # one of a kind needs no more than its name
    (single,) = result("a-figure-7", arrays={"grid": grid, "surface.two": heights}).records
    both = Reader(interactive_file.surfaces(replace(of, records=[*of.records, single])))
    assert [one["name"] for one in json.loads(both.said("script")[0])][2:] == ["two"]
    assert interactive_file.surfaces(result("b-remark")) is None


def test_without_plotly_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(interactive_file.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'knotwork\[interactive\]'"):
        require_interactive()
    with pytest.raises(ImportError, match="interactive"):
        paper_page(some_results(), command=COMMAND, interactive=True)
    assert paper_page(some_results(), command=COMMAND)


def test_a_gallery_has_the_figures_asked_for(tmp_path):
    written = gallery(some_results(), tmp_path / "new")
    names = ["figure-a-4.png", "figure-a-4-2.png", "figure-a-5.png", "figure-a-6.png"]
    assert [path.name for path in written] == names
    for path in written:
        with Image.open(path) as image:
            assert image.mode == "P"
            assert image.size == (800, 300)
        assert path.stat().st_size < 60_000
    assert [path.name for path in gallery(some_results(), tmp_path / "one", ["A 6"])] == ["figure-a-6.png"]
    with pytest.raises(ValueError, match="no picture of B 9; there are A 4, A 5, A 6"):
        gallery(some_results(), tmp_path / "none", ["A 4", "B 9"])
    assert not (tmp_path / "none").exists()
