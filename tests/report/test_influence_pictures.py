"""The picture of influence shows what the object holds."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import knotwork as kw
from knotwork.report.influence_pictures import draw_influence
from knotwork.report.pictures import save_figure
from knotwork.selection.influence import influence


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    x = np.linspace(-1.0, 1.0, 30)
    Y = np.column_stack([np.abs(x), 2.0 * np.abs(x), 1.0 - 3.0 * x])
    Y[:, :2] += 0.05 * rng.normal(size=(30, 2))
    return influence(kw.solve(kw.Problem(x, Y, 0.1), tol=1e-10))


def test_cells_are_the_shares(found, tmp_path):
    figure = draw_influence(found)
    panel = figure.axes[0]
    (image,) = panel.images
    np.testing.assert_allclose(image.get_array(), np.maximum(found.shares, 1e-4))
    written = [text.get_text() for text in panel.texts]
    assert len(written) == 9
    for text, share in zip(written, found.shares.ravel(), strict=True):
        assert float(text) == pytest.approx(100.0 * share, rel=0.06, abs=1e-9)
    # the affine task teaches nobody
    assert written[2] == written[5] == written[6] == written[7] == "0"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["task 0", "task 1", "task 2"]
    save_figure(figure, tmp_path / "influence.png")
    assert (tmp_path / "influence.png").stat().st_size > 5000


def test_names_are_shown_as_they_are_and_shortened(found, tmp_path):
    names = ["$x^2$ & <b>", "a very long name of a task that goes on and on", "line\nbreak"]
    figure = draw_influence(found, task_names=names)
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown[0] == "$x^2$ & <b>"
    assert len(shown[1]) <= 24
    assert "…" in shown[1]
    assert shown[2] == "line break"
    assert not figure.axes[0].get_xticklabels()[0].get_parse_math()
    save_figure(figure, tmp_path / "influence.svg")


def test_many_tasks_have_no_numbers_and_fewer_names():
    rng = np.random.default_rng(1)
    x = np.linspace(-1.0, 1.0, 12)
    Y = np.abs(x[:, None] - 0.2) * rng.normal(size=50) + 0.05 * rng.normal(size=(12, 50))
    panel = draw_influence(influence(kw.solve(kw.Problem(x, Y, 0.5), tol=1e-10))).axes[0]
    assert not panel.texts
    assert len(panel.get_yticklabels()) == 25


def test_it_draws_into_given_axes_and_names_wrong_arguments(found):
    figure = Figure()
    axes = figure.subplots()
    assert draw_influence(found, axes=axes) is figure
    with pytest.raises(ValueError, match="task_names: must be 3 names, got 2"):
        draw_influence(found, task_names=["a", "b"])
    with pytest.raises(TypeError, match="influence: must come from"):
        draw_influence(found.tasks)
