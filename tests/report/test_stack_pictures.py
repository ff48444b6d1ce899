"""Pictures of stacked networks show what the objects hold."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.deep.periodic import representation
from knotwork.report.pictures import save_figure
from knotwork.report.stack_pictures import draw_architecture, draw_stacks


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def wave(skip=True):
    bends = np.array([-1.0, 0.0, 1.0])
    first = kw.ReLUNetwork(np.ones((3, 1)), -bends, [[2.0], [-4.0], [4.0]], [[0.5 * skip]], [0.1])
    last = kw.ReLUNetwork([[1.0], [-2.0]], [0.5, 0.2], [[1.0, -1.0, 2.0], [0.5, 0.0, 1.0]])
    return kw.StackedNetwork((first, last))


def some_data():
    x = np.linspace(-2.0, 2.0, 9)
    Y = wave().predict(x) + 0.1
    Y[3, 1] = np.nan
    return x, Y


def test_an_architecture_names_its_layers():
    network = wave()
    figure = draw_architecture(network)
    (axes,) = figure.axes
    said = texts_of(axes)
    wanted = ["d0 = 1\ninput", "n1 = 3\nReLU", "d1 = 1\nidentity", "n2 = 2\nReLU", "d2 = 3\nlink identity"]
    assert [text for text in said if "=" in text] == wanted
    assert "A of stack 1" in said
    assert len(axes.patches) == 1
    # an edge for each pair of neighbouring nodes
    assert len(axes.lines) == 1 * 3 + 3 * 1 + 1 * 2 + 2 * 3
    linear = draw_architecture(network, kw.Penalty(True, "nuclear")).axes[0]
    assert "n1 = 3\nReLU\n+ 1 linear" in texts_of(linear)
    assert not linear.patches
    assert len(linear.lines) == 1 * 4 + 4 * 1 + 1 * 2 + 2 * 3
    plain = draw_architecture(wave(skip=False)).axes[0]
    assert not plain.patches


def test_wide_layers_and_empty_ones_are_drawn():
    rng = np.random.default_rng(0)
    wide = kw.ReLUNetwork(rng.standard_normal((40, 2)), np.zeros(40), rng.standard_normal((40, 3)))
    none = kw.ReLUNetwork(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 1)))
    axes = draw_architecture(kw.StackedNetwork((wide, none), "relu", "sigmoid")).axes[0]
    assert {"n1 = 40\nReLU", "n2 = 0\nReLU", "d1 = 3\nrelu", "d2 = 1\nlink sigmoid"} <= set(texts_of(axes))
    assert texts_of(axes).count("⋮") == 1


def test_the_panels_hold_functions_knots_representation_and_tasks(tmp_path):
    network, (x, Y) = wave(), some_data()
    figure = draw_stacks(network, x, Y, truth=lambda X: network.predict(X) + 0.2, period=1.5)
    main = [axes for axes in figure.axes if axes.get_title(loc="left")]
    titles = [axes.get_title(loc="left") for axes in main]
    assert titles[0].startswith("stack 1: 3 of 3 knots inside")
    assert titles[1].startswith("stack 2: 2 of 2 knots inside")
    assert titles[2].startswith("H, period 1.5, shift error")
    assert titles[3:] == ["task 0", "task 1", "task 2"]
    at, height = main[0].lines[0].get_data()
    np.testing.assert_allclose(height, network.stacks[0].predict(np.asarray(at))[:, 0])
    at, height = main[2].lines[0].get_data()
    np.testing.assert_allclose(height, representation(network, np.asarray(at))[:, 0])
    for t, panel in enumerate(main[3:]):
        truth, fit, data = panel.lines
        grid = np.asarray(fit.get_xdata())
        np.testing.assert_allclose(fit.get_ydata(), network.predict(grid)[:, t])
        np.testing.assert_allclose(truth.get_ydata(), network.predict(grid)[:, t] + 0.2)
        seen = ~np.isnan(Y[:, t])
        np.testing.assert_allclose(data.get_ydata(), Y[seen, t])
        assert grid[0] < -2.0
        assert grid[-1] > 2.0
        (hull,) = panel.patches
        assert (hull.get_x(), hull.get_x() + hull.get_width()) == (-2.0, 2.0)
    stems = [axes for axes in figure.axes if "|v| w" in axes.get_ylabel()]
    assert len(stems) == 2
    location, jump = stems[0].lines[1 - 1].get_data()
    np.testing.assert_allclose(location, [-1.0, 0.0, 1.0])
    np.testing.assert_allclose(jump, [2.0, -4.0, 4.0])
    save_figure(figure, tmp_path / "stacks.png")
    assert (tmp_path / "stacks.png").stat().st_size > 10_000


def test_the_smoothed_line_has_the_mass_of_the_jumps():
    # one bend in the middle: a Gaussian of the bandwidth told, its peak the mass over sqrt(2 pi) h
    stack = kw.ReLUNetwork([[1.0]], [0.0], [[3.0]])
    x = np.linspace(-1.0, 1.0, 5)
    figure = draw_stacks(kw.StackedNetwork((stack,)), x, stack.predict(x), bandwidth=0.05)
    title = figure.axes[0].get_title(loc="left")
    width = 0.05 * 2.2
    assert f"smoothed over {width:.2g}, peak {3.0 / (width * np.sqrt(2 * np.pi)):.3g}" in title
    (right,) = [axes for axes in figure.axes if axes.get_ylabel() == "|v| w"]
    at, curve = (np.asarray(part) for part in right.lines[1].get_data())
    deviation = np.sqrt(np.sum(curve * at**2) / np.sum(curve))
    assert deviation == pytest.approx(width, rel=1e-3)


def test_what_cannot_be_drawn_is_refused():
    network, (x, Y) = wave(), some_data()
    two = kw.StackedNetwork((kw.ReLUNetwork([[1.0, 1.0]], [0.0], [[1.0]]),))
    with pytest.raises(ValueError, match="network: must have one input"):
        draw_stacks(two, np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match="bandwidth: must be finite and > 0"):
        draw_stacks(network, x, Y, bandwidth=0.0)
    with pytest.raises(ValueError, match=r"Y: must have shape \(9, 3\)"):
        draw_stacks(network, x, Y[:, :2])
    with pytest.raises(ValueError, match="shown: must be 1 to 8 of the 3 tasks"):
        draw_stacks(network, x, Y, shown=[3])
    with pytest.raises(ValueError, match="task_names: must be 3 names"):
        draw_stacks(network, x, Y, task_names=["a"])
