from __future__ import annotations

import io

import numpy as np
import pytest
from browser import Shown, chromium
from paper_results import some_drawings, some_results
from PIL import Image
from test_svg import written

from knotwork import uniqueness
from knotwork.experiments.catalogue import chosen
from knotwork.experiments.experiment import Plan
from knotwork.experiments.running import run
from knotwork.report import paper_page as page_file
from knotwork.report.page import write_page
from knotwork.report.paper_page import paper_page
from knotwork.report.svg import data_address, smaller

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 700}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_file, "drawings", some_drawings)
        for name, interactive in (("plain", False), ("interactive", True)):
            if interactive:
                pytest.importorskip("plotly")
            page = paper_page(some_results(), command="knotwork reproduce", interactive=interactive)
            write_page(page, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in ("plain", "interactive")}


@pytest.fixture
def show(browser, files):
    opened = []

    def shown(name="plain", **options):
        opened.append(Shown(browser, files[name], **{"viewport": WIDE, **options}))
        return opened[-1]

    yield shown
    for one in opened:
        one.context.close()
        assert one.said == []
        assert one.outside() == []


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_every_figure_is_seen_and_nothing_overflows(show, viewport):
    shown = show(viewport=viewport)
    images = shown.run(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, "
        "i.getBoundingClientRect().width, i.getBoundingClientRect().height])"
    )
    assert len(images) == 5
    for complete, *sizes in images:
        assert complete
        assert min(sizes) > 100
    assert shown.run("document.scrollingElement.scrollWidth") == viewport["width"]
    # what is wider than the screen scrolls inside its own card
    wider = shown.run(
        "() => { const out = e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wide'); "
        "return [...document.querySelectorAll('main *')].filter(out).map(e => e.outerHTML.slice(0, 80)); }"
    )
    assert wider == []


def test_the_sidebar_leads_everywhere(show):
    shown = show()
    links = shown.page.locator("nav a")
    assert links.count() > 15
    for k in range(links.count()):
        link = links.nth(k)
        link.click()
        target = link.get_attribute("href")
        assert shown.page.url.endswith(target)
        top = shown.run("t => document.querySelector(t).getBoundingClientRect().top", target)
        assert -1 <= top < WIDE["height"]
    assert shown.run("getComputedStyle(document.querySelector('nav')).position") == "sticky"


def test_the_sidebar_opens_on_a_phone(show):
    shown = show(viewport=PHONE)
    link = shown.page.locator("nav a").first
    assert not link.is_visible()
    shown.page.locator("nav summary").click()
    assert link.is_visible()
    link.click()
    assert shown.page.url.endswith("#claims-a")
    shown.page.locator(".back a").click()
    shown.page.wait_for_function("scrollY < 20")
    # the table is cards, each cell with the name of its column
    row = shown.page.locator("table.claims tbody tr").first
    assert row.evaluate("e => getComputedStyle(e).display") == "block"
    named = row.locator("td").first.evaluate("e => getComputedStyle(e, '::before').content")
    assert named == '"where: "'


def luminance(colour):
    values = np.array([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(show, scheme):
    shown = show(color_scheme=scheme)
    ground = shown.run("getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) > 0.5) == (scheme == "light")
    for selector in ("main p", "a", "caption", ".verdict", "nav .mark", "figcaption", ".numbers", "summary"):
        colours = shown.run(
            "s => [...document.querySelectorAll(s)].map(e => getComputedStyle(e).color)", selector
        )
        assert colours
        for colour in set(colours):
            low, high = sorted((luminance(colour), luminance(ground)))
            assert (high + 0.05) / (low + 0.05) > 4.5, (selector, colour)
    card = shown.run("getComputedStyle(document.querySelector('figure .wide')).backgroundColor")
    assert luminance(card) == pytest.approx(1.0)


def test_paper_shows_the_text_alone(show):
    shown = show(color_scheme="dark")
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.page.locator("nav").is_hidden()
    assert shown.page.locator("details.records").first.is_hidden()
    assert shown.page.locator("figure img").first.is_visible()
    assert luminance(shown.run("getComputedStyle(document.body).backgroundColor")) > 0.9
    assert luminance(shown.run("getComputedStyle(document.querySelector('main p')).color")) < 0.1
    assert shown.page.pdf(format="A4").startswith(b"%PDF")


def test_a_smaller_picture_looks_the_same(browser):
    page = browser.new_page(viewport={"width": 700, "height": 500})
    seen = []
    for svg in (written(), smaller(written())):
        page.goto("about:blank")
        page.set_content('<body style="margin:0"><img></body>')
        page.evaluate(
            "async (src) => { const i = document.images[0]; i.src = src; await i.decode(); }",
            data_address(svg),
        )
        with Image.open(io.BytesIO(page.locator("img").screenshot())) as image:
            seen.append(np.asarray(image.convert("RGB"), dtype=float))
    page.close()
    assert seen[0].shape == seen[1].shape
    assert np.ptp(seen[0]) > 200
    # edges that lie between two pixels differ by a part of 255
    assert np.abs(seen[0] - seen[1]).mean() < 0.3
    assert np.abs(seen[0] - seen[1]).max() < 130


def test_surfaces_are_drawn_and_can_be_changed(show):
    shown = show("interactive")
    place = shown.page.locator("[data-surface]")
    place.scroll_into_view_if_needed()
    shown.page.locator(".surface canvas").first.wait_for()
    assert place.locator("option").all_text_contents() == ["one", "two <3>"]
    heights = "document.querySelector('.surface').data[0].z[0][0]"
    assert shown.run(heights) == pytest.approx(0.5)
    place.locator("select").select_option("1")
    shown.page.wait_for_function(f"Math.abs({heights} - 0.25) < 1e-6")
    assert "two <3>" in shown.page.locator(".surface").get_attribute("aria-label")


def data_sets(count):
    """Generic ones, and ones that come near every rule: aligned, opposed, straight, small, rounded."""
    rng = np.random.default_rng(7)
    for k in range(count):
        n, T = int(rng.integers(3, 12)), int(rng.integers(1, 4))
        x = np.sort(rng.uniform(-2.0, 3.0, n)) + 0.01 * np.arange(n)
        kind = k % 7
        lines = np.outer(x, rng.standard_normal(T)) + rng.standard_normal(T)
        bowl = np.outer(x**2, np.ones(T))
        if kind == 0:
            Y = rng.standard_normal((n, T))
        elif kind == 1:
            # whole numbers on a grid: many slope changes are equal, opposed or none
            x, Y = np.arange(float(n)) / 4.0, rng.integers(-1, 3, (n, T)) / 2.0
        elif kind == 2:
            # every slope change along one line
            Y = np.outer(rng.standard_normal(n), rng.standard_normal(T)) + lines
        elif kind == 3:
            # convex in each task, turned a little from aligned
            Y = bowl + 10.0 ** rng.uniform(-9, -3) * rng.standard_normal((n, T))
        elif kind == 4:
            # bends by rounding alone
            Y = 10.0 ** rng.uniform(0, 6) * lines
        elif kind == 5:
            # one large bend, and small ones about the share that counts as none
            Y = np.abs(lines - lines[n // 2]) + 10.0 ** rng.uniform(-12, -7) * bowl
        else:
            # so far from 0 that the rounding of the labels hides angles
            x, Y = x[:4], bowl[:4] + 10.0 ** rng.uniform(8, 13) * rng.standard_normal(T)
        yield x, Y


def test_the_playground_is_the_same_mathematics(show):
    shown = show("interactive")
    verdicts = {True: 0, False: 0, None: 0}
    n_intervals = 0
    sets = [(x, Y, tol) for x, Y in data_sets(105) for tol in (1e-5, 0.2)]
    at = [np.sort(np.concatenate([np.linspace(x[0], x[-1], 97), x])) for x, _, _ in sets]
    told = shown.run(
        "sets => sets.map(([x, Y, tol, at]) => { const f = knotworkPlayground.analyse(x, Y, tol); return ["
        "f.unique, f.intervals, at.map(a => Y[0].map((_, t) => knotworkPlayground.envelope(f, t, a)))]; })",
        [[x.tolist(), Y.tolist(), tol, a.tolist()] for (x, Y, tol), a in zip(sets, at, strict=True)],
    )
    for (x, Y, tol), places, (unique, intervals, between) in zip(sets, at, told, strict=True):
        found = uniqueness(x, Y, tol=tol)
        assert unique is found.unique
        verdicts[unique] += 1
        if unique is None:
            continue
        np.testing.assert_array_equal(np.reshape(intervals, (-1, 2)), found.intervals)
        n_intervals += len(intervals)
        assert found.solution_set is not None
        lower, upper = found.solution_set.envelopes(places)
        exact = {"rtol": 0.0, "atol": 1e-9 * max(1.0, float(np.abs(Y).max()))}
        np.testing.assert_allclose(np.array(between)[:, :, 0], lower, **exact)
        np.testing.assert_allclose(np.array(between)[:, :, 1], upper, **exact)
    assert min(verdicts[True], verdicts[False]) > 30
    assert verdicts[None] >= 5
    assert n_intervals > 100


def verdicts_of(shown):
    return shown.page.locator(".told li").all_text_contents()


def test_points_follow_keys_and_pointer(show):
    shown = show("interactive")
    before = verdicts_of(shown)
    assert before[2] == "Both together: one solution"
    assert before[0].startswith("Task 1 alone: many solutions, which differ on 4 intervals")
    bands = "document.querySelectorAll('.joint')[0].getAttribute('d')"
    assert shown.run(bands) == ""
    shown.page.get_by_role("button", name="several together").click()
    assert verdicts_of(shown)[2].startswith("Both together: many solutions")
    assert shown.run(bands).count("M") == 4
    # by keys: one label up until its task is no longer convex
    grip = shown.page.locator(".grip").nth(3)
    grip.focus()
    height = float(grip.get_attribute("cy"))
    for _ in range(8):
        shown.page.keyboard.press("ArrowUp")
    assert float(grip.get_attribute("cy")) < height
    assert "y -0.100" in grip.get_attribute("aria-label")
    assert shown.run(bands).count("M") < 4
    # by pointer: across, but not past its neighbours
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x + 500, y + 20, steps=5)
    shown.page.mouse.up()
    assert "x 0.630" in grip.get_attribute("aria-label")
    after = verdicts_of(shown)
    shown.page.mouse.move(x, y + 60)
    assert verdicts_of(shown) == after


def test_the_angle_that_counts_as_aligned_is_the_readers(show):
    shown = show("interactive")
    shown.page.locator("input[type=range]").evaluate(
        "e => { e.value = -0.5; e.dispatchEvent(new Event('input')); }"
    )
    assert "0.32 rad" in shown.page.locator(".controls label").text_content()
    assert verdicts_of(shown)[2].startswith("Both together: many solutions")


def test_touch_moves_a_point(browser, files):
    shown = Shown(browser, files["interactive"], viewport=PHONE, has_touch=True, is_mobile=True)
    grip = shown.page.locator(".grip").nth(2)
    grip.scroll_into_view_if_needed()
    assert shown.run("getComputedStyle(document.querySelectorAll('.grip')[2]).touchAction") == "none"
    box = grip.bounding_box()
    # a finger needs some 7 mm
    assert min(box["width"], box["height"]) > 24
    session = shown.context.new_cdp_session(shown.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x, "y": y - 40}]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert grip.bounding_box()["y"] < box["y"] - 20
    assert shown.run("document.scrollingElement.scrollWidth") == PHONE["width"]
    shown.context.close()


@pytest.mark.slow
def test_the_page_of_all_experiments(browser, tmp_path):
    pytest.importorskip("jax")
    results = run(chosen([]), tmp_path / "records", plan=Plan(quick=True), n_jobs=2)
    file = tmp_path / "index.html"
    write_page(paper_page(results, command="knotwork reproduce --quick"), file)
    assert file.stat().st_size < 3_000_000
    for viewport in (WIDE, PHONE):
        shown = Shown(browser, file, viewport=viewport)
        figures = {f"figure-{p}-{k}" for p, n in (("a", 10), ("b", 8)) for k in range(1, n + 1)}
        sizes = dict(
            shown.run(
                "[...document.querySelectorAll('figure')].map(f => { const i = f.querySelector('img'); "
                "return [f.id, [i.naturalWidth, i.naturalHeight, i.getBoundingClientRect().width]]; })"
            )
        )
        assert figures <= set(sizes)
        assert min(min(size) for size in sizes.values()) > 100
        assert shown.run("document.scrollingElement.scrollWidth") == viewport["width"]
        lost = shown.run(
            "[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
            ".filter(h => !document.getElementById(h.slice(1)))"
        )
        assert lost == []
        assert shown.run("document.querySelectorAll('.claims tbody tr').length") == sum(
            len(result.claims) for result in results
        )
        assert (shown.said, shown.outside()) == ([], [])
        shown.context.close()
