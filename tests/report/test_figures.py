from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

import knotwork as kw
from knotwork.report.figures import draw_fit, fit_figure
from knotwork.tables import Table

PLACES = (2.0, 5.0)


def table_and_fits(n_tasks=3, origin=None, n_rows=50):
    x = np.linspace(0.0, 8.0, n_rows)
    names = tuple(f"task {t}" for t in range(n_tasks))
    Y = np.stack([t + 10.0**t * np.abs(x - PLACES[t % 2]) for t in range(n_tasks)], axis=1)
    Y[3:6, 0] = np.nan
    V = np.ones((2, n_tasks)) * 10.0 ** np.arange(n_tasks)
    joint = kw.ReLUNetwork(np.ones((2, 1)), -np.array(PLACES), V)
    apart = [
        kw.ReLUNetwork([[1.0], [1.0]], [-PLACES[t % 2], -9.0], [[2 * 10.0**t], [1.0]], [[-(10.0**t)]], [0.0])
        for t in range(n_tasks)
    ]
    return Table("made up", "x", names, x, Y, origin), joint, apart


def lines(axes, color):
    return [line for line in axes.lines if line.get_color() == color]


def test_both_panels_show_data_fits_and_knots():
    table, joint, apart = table_and_fits()
    left, right = draw_fit(table, joint, apart).axes
    assert left.get_title(loc="left") == "each task alone: 3 knots at 2 places"
    assert right.get_title(loc="left") == "together: 2 shared knots"
    assert [label.get_text() for label in left.get_yticklabels()] == list(table.task_names)
    n_labels = int((~np.isnan(table.Y)).sum())
    for axes in (left, right):
        (data,) = lines(axes, "#9a9a9a")
        assert len(data.get_xdata()) == n_labels
        fits = lines(axes, "#0072b2")
        assert len(fits) == 3
    # in every lane the joint fit bends at both places
    for fit in lines(right, "#0072b2"):
        np.testing.assert_allclose(fit.get_xdata(), [0, *PLACES, 8])
    # the knot beyond the data is not drawn
    for t, fit in enumerate(lines(left, "#0072b2")):
        np.testing.assert_allclose(fit.get_xdata(), [0, PLACES[t % 2], 8])


def test_lanes_are_linear_in_the_labels_and_do_not_overlap():
    table, joint, apart = table_and_fits()
    _, right = draw_fit(table, joint, apart).axes
    base = [2.0, 1.0, 0.0]
    x, height = lines(right, "#9a9a9a")[0].get_data()
    start = 0
    for t, low in enumerate(base):
        y = table.Y[:, t][~np.isnan(table.Y[:, t])]
        own = np.asarray(height)[start : start + len(y)]
        start += len(y)
        assert own.min() >= low - 1e-9
        assert own.max() <= low + 0.8 + 1e-9
        slope, intercept = np.polyfit(y, own, 1)
        assert slope > 0
        np.testing.assert_allclose(own, slope * y + intercept, atol=1e-9)
    assert len(x) == start


def test_one_task_or_no_comparison_is_one_panel():
    table, joint, apart = table_and_fits(n_tasks=1)
    (axes,) = draw_fit(table, joint, apart).axes
    assert axes.get_title(loc="left") == "2 knots"
    table, joint, apart = table_and_fits()
    (axes,) = draw_fit(table, joint, apart[:1]).axes
    assert axes.get_title(loc="left") == "2 knots"


def test_some_of_many_tasks_are_drawn_and_it_says_so():
    table, joint, _ = table_and_fits(n_tasks=20)
    figure = draw_fit(table, joint, [])
    assert len(lines(figure.axes[0], "#0072b2")) == 16
    assert "20 tasks, 16 of them drawn" in figure.get_suptitle()


def test_dates_are_on_the_axis():
    table, joint, apart = table_and_fits(origin="2006-01-01")
    left, _ = draw_fit(table, joint, apart).axes
    # days since 1970-01-01, as matplotlib counts
    assert lines(left, "#0072b2")[0].get_xdata()[0] == pytest.approx(13149)


@pytest.mark.parametrize("name", ["<script>", "$a$", "$\\frac{$", "数", "a\nb\x1b", "x" * 500])
def test_any_name_is_drawn_as_text(tmp_path, name):
    _, joint, apart = table_and_fits(n_tasks=2)
    x = np.linspace(0, 8, 20)
    table = Table(name, name, (name, "b"), x, np.column_stack([x, -x]))
    fit_figure(table, joint, apart, tmp_path / "fit.png")
    assert os.listdir(tmp_path) == ["fit.png"]


@pytest.mark.parametrize("case", ["one row", "constant", "no knots", "many rows"])
def test_unusual_tables(tmp_path, case):
    n_rows = {"one row": 1, "many rows": 40_000}.get(case, 10)
    x = np.linspace(0, 1, n_rows)
    Y = np.ones((n_rows, 2)) if case == "constant" else np.column_stack([x, x * x])
    joint = kw.ReLUNetwork(np.zeros((0, 1)), np.zeros(0), np.zeros((0, 2)), c=[1.0, 1.0])
    alone = kw.ReLUNetwork(np.zeros((0, 1)), np.zeros(0), np.zeros((0, 1)), c=[1.0])
    table = Table("t", "x", ("a", "b"), x, Y)
    fit_figure(table, joint, [alone, alone], tmp_path / "fit.png")
    with Image.open(tmp_path / "fit.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 3


def test_the_picture_is_small_and_white_behind(tmp_path):
    table, joint, apart = table_and_fits()
    fit_figure(table, joint, apart, tmp_path / "fit.png")
    assert (tmp_path / "fit.png").stat().st_size < 150_000
    with Image.open(tmp_path / "fit.png") as picture:
        assert picture.format == "PNG"
        assert picture.convert("RGB").getpixel((2, picture.height - 3)) == (255, 255, 255)


def test_an_old_picture_survives(tmp_path):
    table, joint, apart = table_and_fits()
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="cannot be written"):
        fit_figure(table, joint, apart, tmp_path / "file" / "fit.png")
    assert (tmp_path / "file").read_text() == "old"
