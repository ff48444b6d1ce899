from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pytest

import knotwork as kw
from knotwork.report.bands import MOST_TASKS, draw_bands
from knotwork.report.pictures import save_figure
from knotwork.scaling import TaskScaling
from knotwork.selection.bootstrap import bootstrap


def found(n_tasks=2, **options):
    rng = np.random.default_rng(0)
    x = np.linspace(10.0, 50.0, 40)
    Y = np.abs(x - 30.0)[:, None] * np.resize([1.0, -0.5], n_tasks) + rng.standard_normal((40, n_tasks))
    Y[:6, 0] = np.nan
    return bootstrap(kw.solve(kw.Problem(x, Y, 20.0)), replicates=12, **options)


def line(panel, label):
    return next(one for one in panel.lines if one.get_label() == label)


def filled(panel):
    """(n, 2) the lower and upper edge of what is shaded."""
    vertices = panel.collections[0].get_paths()[0].vertices
    x = np.unique(vertices[:, 0])
    return x, np.array([[f(vertices[vertices[:, 0] == at, 1]) for f in (min, max)] for at in x])


@pytest.mark.parametrize("simultaneous", [False, True])
def test_the_band_is_drawn_in_data_units(simultaneous):
    boot = found()
    scaling = TaskScaling(np.array([5.0, -3.0]), np.array([2.0, 10.0]))
    options = {"level": 0.8, "kind": "basic", "simultaneous": simultaneous}
    figure = draw_bands(boot, scaling=scaling, task_names=["a", "$b"], input_name="when", **options)
    below, *panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["a", "$b"]
    assert below.get_xlabel() == "when"
    band = boot.band(**options)
    for t, panel in enumerate(panels):
        x, edges = filled(panel)
        np.testing.assert_array_equal(x, band.x)
        expected = np.column_stack([band.low[:, t], band.high[:, t]]) * scaling.scale[t] + scaling.centre[t]
        np.testing.assert_allclose(edges, expected)
        labels = boot.solution.problem.Y[:, t]
        labels = labels[~np.isnan(labels)] * scaling.scale[t] + scaling.centre[t]
        np.testing.assert_allclose(line(panel, "data").get_ydata(), labels)
        fit = band.fit[:, t] * scaling.scale[t] + scaling.centre[t]
        np.testing.assert_allclose(line(panel, "fit").get_ydata(), fit)
    said = figure.get_suptitle()
    assert said.startswith("80 % bands")
    assert ("everywhere" in said) is simultaneous
    assert "12 replicates of the penalised fit" in said


def test_bends_are_drawn_where_they_are_and_as_often_as_they_come():
    boot = found(refit=True)
    figure = draw_bands(boot, level=0.5)
    assert "least squares on the knots" in figure.get_suptitle()
    below = figure.axes[0]
    bends = boot.bends(level=0.5)
    *bars, dots = below.lines
    assert len(bars) == len(bends) > 0
    for bar, bend in zip(bars, bends, strict=True):
        np.testing.assert_allclose(bar.get_xdata(), [bend.place_low, bend.place_high])
        np.testing.assert_allclose(bar.get_ydata(), bend.share)
    np.testing.assert_allclose(dots.get_xdata(), [bend.place for bend in bends])
    edges = filled(below)[1]
    density = boot.density().density
    np.testing.assert_allclose(edges[:, 1], density / density.max())


def test_days_are_dates_and_no_more_than_six_tasks_are_drawn(tmp_path):
    figure = draw_bands(found(n_tasks=MOST_TASKS + 1), origin="2020-01-01")
    below, *panels = figure.axes
    assert len(panels) == MOST_TASKS
    assert "6 of 7 tasks drawn" in figure.get_suptitle()
    np.testing.assert_allclose(filled(panels[0])[0][0], mdates.date2num(np.datetime64("2020-01-11")))
    assert isinstance(below.xaxis.get_major_formatter(), mdates.ConciseDateFormatter)
    save_figure(figure, tmp_path / "bands.svg")
    assert "fit" in (tmp_path / "bands.svg").read_text(encoding="utf-8")


def test_a_fit_without_bends_is_drawn_too(tmp_path):
    x = np.linspace(0.0, 1.0, 20)
    y = np.random.default_rng(0).standard_normal(20)
    figure = draw_bands(bootstrap(kw.solve(kw.Problem(x, y, 1e3)), replicates=3))
    assert figure.axes[0].get_title(loc="left").startswith("0 bends")
    save_figure(figure, tmp_path / "none.png")


@pytest.mark.parametrize("wrong", [{"task_names": ["a"]}, {"scaling": TaskScaling.none(3)}])
def test_other_tasks_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: must be of 2 tasks"):
        draw_bands(found(), **wrong)
