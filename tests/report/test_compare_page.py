from __future__ import annotations

import io
import json
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from html_reader import Reader

from knotwork.comparing import Comparison
from knotwork.comparing.case import Case
from knotwork.comparing.fits import Choice
from knotwork.comparing.words import change, signed
from knotwork.report import compare_display, displays
from knotwork.report.compare_page import compare_page
from knotwork.report.compare_pictures import draw_comparison

NASTY = ("<b>bold</b>", "a & $b$", 'quote "q"')
METHODS = ("together", "apart", "linear", "kernel", "<i>mine</i>")


def found_of(n_tasks=3, n_folds=10, together=0.8, methods=METHODS):
    rng = np.random.default_rng(0)
    base = np.exp(0.1 * rng.standard_normal((100, n_tasks)))
    factors = [together, 1.0, 1.7, 0.99, 3.4][: len(methods)]
    labels = np.stack([f * base * np.exp(0.02 * rng.standard_normal(base.shape)) for f in factors])
    errors = np.stack([labels[:, j::n_folds].mean(axis=1) for j in range(n_folds)], axis=2)
    shape = errors.shape[1:]
    choice = ((Choice(0.1, True), Choice(0.2, False)),)
    return Comparison(
        methods,
        errors,
        labels,
        np.arange(100),
        np.full(shape, 80.0),
        np.full(shape, 20.0),
        5,
        n_folds // 5,
        "rows",
        0.95,
        0.02,
        {"together": choice, "apart": choice},
        1.25,
        ("left out: <boosting> needs more",),
    )


def case_of(found):
    n_tasks = found.n_tasks
    Y = np.zeros((100, n_tasks))
    Y[:4, 0] = np.nan
    found = replace(found, n_train=found.n_train - np.eye(n_tasks)[0][:, None] * 4)
    names = tuple(NASTY[t % 3] + str(t) for t in range(n_tasks))
    return found, Case(np.zeros((100, 2)), Y, "t<br>", ("x<0>", "x<1>"), names, ("chose <x>",))


@pytest.mark.parametrize("together", [0.8, 1.0, 1.3, 5.0])
@pytest.mark.parametrize(("n_tasks", "n_folds", "methods"), [(3, 10, METHODS), (45, 5, METHODS[:2])])
def test_a_page_says_the_verdict_first_and_then_why(together, n_tasks, n_folds, methods):
    found, case = case_of(found_of(n_tasks, n_folds, together, methods))
    text = compare_page(found, case)
    page = Reader(text)
    assert page.said("p")[0] == found.sentence
    assert page.said("h1") == ["Together or apart? t<br>"]
    assert page.said("h2") == ["All methods", "Each task", "How it was measured", "Versions"]
    for name in (*NASTY[:1], "t<br>", "x<0>", "<i>mine</i>", "left out: <boosting>", "chose <x>"):
        if name in "".join((*case.task_names, *methods, *found.notices, *case.notices, case.data, "x<0>")):
            assert escape(name) in text
            assert name not in text
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    (image,) = page.all("img")
    assert image["src"].startswith("data:image/svg+xml,")
    assert f"{found.ratio('together').ratio:.4g}" in image["alt"]
    assert any("4 labels missing, neither learned from nor counted" in one for one in page.said("li"))
    cells = page.said("td")
    assert cells.count(found.verdict_of(0)) >= 1
    for t in range(n_tasks):
        assert f"{found.task_errors[0, t]:.4g}" in cells


def test_methods_are_in_the_order_of_their_errors():
    found, case = case_of(found_of())
    page = Reader(compare_page(found, case))
    names = page.said("th")
    order = [names.index(name) for name in ("together", "ReLU kernel (GP)", "apart", "linear", "<i>mine</i>")]
    assert order == sorted(order)


def test_the_picture_shows_ratios_and_intervals():
    found, case = case_of(found_of())
    figure = draw_comparison(found, case.task_names)
    tasks, others = figure.axes
    assert [tick.get_text() for tick in tasks.get_yticklabels()] == ["all tasks", *case.task_names]
    assert len(others.get_yticks()) == 3
    drawn = [line for line in tasks.lines if line.get_linewidth() == 2.4]
    over = found.ratio("together")
    np.testing.assert_allclose(drawn[0].get_xdata(), [over.low, over.high])
    for t, line in enumerate(drawn[1:]):
        one = found.ratio("together", "apart", t)
        np.testing.assert_allclose(line.get_xdata(), [one.low, one.high])
        assert set(line.get_ydata()) == {t + 1}
    low, high = tasks.get_xlim()
    assert low < over.low
    assert high > 1.0
    figure.draw_without_rendering()
    assert any(tick.get_text() in ("-20 %", "equal") for tick in tasks.get_xticklabels())


def test_the_console_says_what_the_page_says(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(
        compare_display,
        "console",
        lambda: displays.Console(file=out, width=100, markup=False, emoji=False, highlight=False),
    )
    found, case = case_of(found_of())
    compare_display.show_comparison(found, case, [])
    said = out.getvalue()
    assert said.startswith(f"verdict  {found.sentence}")
    for text in (
        "together",
        "-20 %",
        "95 % interval",
        *case.task_names,
        "each label counted once",
        "1.2 s in all",
    ):
        assert text in said
    assert "wrote" not in said
    assert "…" not in said


def test_a_record_is_plain():
    found, case = case_of(found_of())
    record = json.loads(json.dumps(found.record(case.task_names), allow_nan=False))
    assert record["verdict"] == "together"
    assert record["task_verdicts"] == dict.fromkeys(case.task_names, "together")
    assert [one["method"] for one in record["methods"]] == list(METHODS)
    over = record["methods"][0]["over_apart"]
    assert over["low"] < over["ratio"] < over["high"] < 1.0
    assert record["chances"]["together"] > 0.99
    assert record["refitted"] == {"together": 0.5, "apart": 0.5}


@pytest.mark.parametrize(
    ("ratio", "said", "short"),
    [
        (0.82, "18 % less", "-18 %"),
        (1.05, "5.0 % more", "+5.0 %"),
        (0.99996, "the same", "0 %"),
        (1.0004, "the same", "0 %"),
        (1.0996, "10 % more", "+10 %"),
        (3.21, "3.2 times as much", "x 3.2"),
        (400.0, "over 100 times as much", "> x 100"),
        (float("nan"), "unknown", ""),
    ],
)
def test_ratios_in_words(ratio, said, short):
    assert change(ratio) == said
    assert signed(ratio) == short
