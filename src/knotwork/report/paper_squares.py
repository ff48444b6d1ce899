"""Paper A's Figs. 5 and 7: functions on the two squares, as surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import NDArray

from ..experiments.experiment import Result
from ..experiments.squares_data import two_squares
from ..experiments.two_squares_claims import of_part, reached
from .drawing import Drawing
from .pictures import _DATA, _KNOT, _TEXT

Array = NDArray[np.float64]
_LOW, _HIGH = -0.35, 1.35
# of the surfaces, an inch: all else are vectors
_PIXELS = 84
# inches for what the scale needs below its panel
_FOOT = 0.12
_SAID = {"all": "PyTorch's weight_decay 1e-3", "(3)": "lambda 1e-3 in (3)"}


def draw_figure_5(result: Result) -> list[Drawing]:
    """Panels (a) to (e), a row for each reading of lambda."""
    rows, titles = [], []
    for reading in ("(3)", "all"):
        single = of_part(result.records, "single", reading)[0]
        runs = reached(result.records, reading)
        optimum = of_part(result.records, "optimum", reading)[0]
        rows.append(
            [single[f"surface.{name}"] for name in "abc"]
            + [runs[0]["surface.network"], optimum["surface.ridge_of_others"]]
        )
        alone, together = (optimum.number(f"{name}.lam") for name in ("alone", "together"))
        titles.append(f"{_SAID[reading]}: lam = {alone:.3g} for one task, {together:.3g} for 101")
    names = ["(a) one task", "(b) one task", "(c) one task", "(d) first of 101 tasks", "(e) kernel fit (27)"]
    figure = _surfaces(rows, [names, names], titles)
    runs = of_part(result.records, "single")
    apart = min(one.number("apart") for one in runs)
    return [
        Drawing(
            figure,
            "Ten surfaces over the square, two rows of five. The first three of each row, trained on one "
            "task, differ; the last two, the first of 101 tasks and its kernel fit, are alike.",
            "A, Figure 5, in two readings of lambda. (a)-(c): networks of 800 neurons trained on one task "
            f"from three random starts, all of one cost, and at least {apart:.2f} apart somewhere. (d): the "
            "first output of a network of 101 tasks, trained from a random start. (e): the solution of "
            "(27) with the neurons that the hundred random tasks learn without it. Orange dots: the "
            "labels, 0 at the outer corners and 1 at the inner ones.",
            "A 5",
        )
    ]


def draw_figure_7(result: Result) -> list[Drawing]:
    """Three trials: the network above, its kernel fit below."""
    runs = of_part(result.records, "multi")
    rows = [[one[f"surface.{name}"] for one in runs] for name in ("network", "ridge")]
    names = [f"({letter}) network, trial {k}" for letter, k in zip("abc", (1, 2, 3), strict=True)]
    below = [f"({letter}) kernel fit, trial {k}" for letter, k in zip("def", (1, 2, 3), strict=True)]
    excess = max(one.number("excess") for one in runs)
    figure = _surfaces(rows, [names, below], ["", ""])
    return [
        Drawing(
            figure,
            "Six surfaces over the square, three above and three below, all nearly the same.",
            "A, Figure 7: three more draws of the other hundred tasks, each from a start of its own. "
            f"Above: the first output of the trained network of 101 tasks (objective within {excess:.1e} of "
            "the certified optimum). Below: the solution of (27) with that network's neurons. Orange dots: "
            "the labels.",
            "A 7",
        )
    ]


def _surfaces(
    rows: Sequence[Sequence[Array]], names: Sequence[Sequence[str]], titles: Sequence[str], width: float = 2.2
) -> Figure:
    """Rows of surfaces over [-1, 1]^2, pixels inside a vector frame; the first of each row has the scale."""
    columns, count = len(rows[0]), len(rows)
    above = [0.22 * bool(title) + 0.2 * any(named) for title, named in zip(titles, names, strict=True)]
    tall = 0.86 * width
    height = sum(above) + (tall + _FOOT) * count
    figure = Figure(figsize=(columns * width, height), dpi=_PIXELS)
    X, y = two_squares(1, 0)
    top = height
    for row, named, title, room in zip(rows, names, titles, above, strict=True):
        if title:
            figure.text(0.008, top / height - 0.01, title, va="top", fontsize=9.5, color=_TEXT)
        top -= room
        for j, (surface, name) in enumerate(zip(row, named, strict=True)):
            box = (j / columns, (top - tall) / height, 1.0 / columns, tall / height)
            panel = figure.add_axes(box, projection="3d", computed_zorder=False)
            assert isinstance(panel, Axes3D)
            _surface(panel, surface, X, y[:, 0], j == 0)
            figure.text((j + 0.5) / columns, top / height, name, ha="center", fontsize=9, color=_TEXT)
        top -= tall + _FOOT
    return figure


def _surface(panel: Axes3D, surface: Array, X: Array, y: Array, scale: bool) -> None:
    line = np.linspace(-1.0, 1.0, surface.shape[0])
    first, second = np.meshgrid(line, line)
    style: dict[str, Any] = {"cmap": "Blues", "vmin": -1.0, "vmax": 1.3, "rcount": 21, "ccount": 21}
    style |= {"lw": 0.3, "edgecolor": "#4a86b8", "antialiased": False, "rasterized": True, "zorder": 1}
    panel.plot_surface(first, second, surface, **style)
    panel.plot(X[:, 0], X[:, 1], y, color=_KNOT, ls="none", marker="o", ms=3.2, mew=0, zorder=3)
    panel.set_xlim(-1.05, 1.05)
    panel.set_ylim(-1.05, 1.05)
    panel.set_zlim3d(min(_LOW, float(surface.min())), max(_HIGH, float(surface.max())))
    axes: tuple[Any, ...] = (panel.xaxis, panel.yaxis, panel.zaxis)
    for axis, ticks, name in zip(axes, ((-1, 0, 1), (-1, 0, 1), (0, 1)), ("x₁", "x₂", ""), strict=True):
        axis.set_ticks(ticks if scale else [])
        axis.set_label_text(name if scale else "", fontsize=8, color=_TEXT)
        axis.labelpad = -9
        axis.pane.set_visible(False)
        axis.line.set(color=_DATA, linewidth=0.6)
    panel.grid(False)
    panel.tick_params(labelsize=7, labelcolor=_TEXT, pad=-4)
    panel.view_init(elev=28, azim=-58)
    panel.set_box_aspect((1, 1, 0.75))
    panel.patch.set_visible(False)
