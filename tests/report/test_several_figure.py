from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from knotwork.datasets.columns import Columns
from knotwork.report.figures import draw_result, result_figure
from knotwork.report.several_figure import partial_dependence
from knotwork.tables import Table
from knotwork.workflow import fit_table


def fitted(n_tasks=2, **options):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (25, 2))
    Y = np.stack([(t + 1) * np.abs(X[:, 0] - 0.4) + X[:, 1] for t in range(n_tasks)], axis=1)
    Y += 0.02 * rng.standard_normal(Y.shape)
    Y[3, 0] = np.nan
    names = tuple(f"$task {t}" for t in range(n_tasks))
    columns = Columns(Table("t", "a", names, X[:, 0], Y), X, ("a", "b_$x"), (None, "2020-01-01"))
    return fit_table(columns, **{"lam_ratio": 0.1, **options})


def test_panels_show_labels_inputs_and_shares():
    result = fitted()
    figure = draw_result(result)
    assert figure.get_suptitle() == f"t: 25 rows, 2 inputs, 2 tasks, {len(result.neurons())} shared neurons"
    axes: list[Any] = [panel for panel in figure.findobj(Axes) if panel.get_visible()]
    labels = [panel.get_xlabel() for panel in axes]
    assert labels[:4] == ["fitted", "fitted", "a", "b_$x (days since 2020-01-01)"]
    assert "neuron, the costliest first" in labels
    _, dots = axes[0].lines
    seen = ~np.isnan(result.table.Y[:, 0])
    np.testing.assert_array_equal(np.asarray(dots.get_ydata()), result.table.Y[seen, 0])
    np.testing.assert_array_equal(np.asarray(dots.get_xdata()), result.predict(result.columns.X)[seen, 0])


def test_one_task_has_no_shares():
    axes: list[Any] = draw_result(fitted(1)).findobj(Axes)
    labels = [one.get_xlabel() for one in axes]
    assert "neuron, the costliest first" not in labels


def test_partial_dependence_is_the_mean_over_the_rows():
    result = fitted()
    places, mean = partial_dependence(result, 1)
    assert (places[0], places[-1]) == (result.columns.X[:, 1].min(), result.columns.X[:, 1].max())
    X = result.columns.X.copy()
    for k in (0, 17):
        X[:, 1] = places[k]
        expected = result.network.predict(X).mean(axis=0)
        got = mean[k] * result.scaling.scale + result.scaling.centre
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_lines_keep_their_colours(tmp_path):
    result_figure(fitted(), tmp_path / "fit.png")
    picture = np.asarray(Image.open(tmp_path / "fit.png").convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert np.abs(picture - colour).sum(axis=1).min() <= 12


@pytest.mark.parametrize("loss", ["poisson", "logistic"])
def test_rates_and_probabilities_are_drawn_as_such(loss):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 40)
    rate = np.exp(0.5 * np.maximum(x - 1, 0))
    y = rng.poisson(rate) if loss == "poisson" else rng.random(40) < rate / rate.max()
    y = np.asarray(y, dtype=float)
    table = Table("t", "x", ("a",), x, y[:, None])
    result = fit_table(table, loss=loss, lam_ratio=0.05, tol=1e-5)
    (panel,) = draw_result(result).axes
    line = next(one for one in panel.lines if one.get_linestyle() == "-")
    places = np.asarray(line.get_xdata(), dtype=float)
    low, high = min(y.min(), result.predict(x).min()), max(y.max(), result.predict(x).max())
    heights = 0.8 * (result.predict(places)[:, 0] - low) / (high - low)
    np.testing.assert_allclose(np.asarray(line.get_ydata()), heights, atol=1e-9)
    assert len(places) > 100
