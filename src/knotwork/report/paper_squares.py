"""Paper A's Figs. 5 and 7: functions on the two squares, as surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import NDArray

from ..experiments.experiment import Result
from ..experiments.records import Record
from ..experiments.squares_data import two_squares
from ..experiments.two_squares_claims import of_part, reached
from .drawing import Drawing
from .pictures import _DPI, _KNOT, _TEXT

Array = NDArray[np.float64]
_LOW, _HIGH = -0.35, 1.35
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
    figure = _surfaces(rows, [names, [""] * 5], titles)
    runs = of_part(result.records, "single")
    apart = min(one.number("apart") for one in runs)
    return [
        Drawing(
            figure,
            "Ten surfaces over the square, two rows of five. The first three of each row, trained on one task, "
            "differ; the last two, the first of 101 tasks and its kernel fit, are alike.",
            "A, Figure 5, in two readings of lambda. (a)-(c): networks of 800 neurons trained on one task from "
            f"three random starts, all of one cost, and at least {apart:.2f} apart somewhere. (d): the first output "
            "of a network of 101 tasks, trained from a random start. (e): the solution of (27) with the neurons that "
            "the hundred random tasks learn without it. Orange dots: the labels, 0 at the outer corners and 1 at "
            "the inner ones.",
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
    figure = _surfaces(rows, [names, below], ["", ""], width=3.0)
    return [
        Drawing(
            figure,
            "Six surfaces over the square, three above and three below, all nearly the same.",
            "A, Figure 7: three more draws of the other hundred tasks, each from a start of its own. Above: the "
            f"first output of the trained network of 101 tasks (objective within {excess:.1e} of the certified "
            "optimum). Below: the solution of (27) with that network's neurons. Orange dots: the labels.",
            "A 7",
        )
    ]


def _surfaces(
    rows: Sequence[Sequence[Array]], names: Sequence[Sequence[str]], titles: Sequence[str], width: float = 2.3
) -> Figure:
    """Rows of surfaces over [-1, 1]^2, pixels inside a vector frame."""
    columns = len(rows[0])
    extra = 0.28 if any(titles) else 0.05
    height = len(rows) * (width * 0.92 + extra)
    figure = Figure(figsize=(columns * width, height), dpi=_DPI)
    X, y = two_squares(1, 0)
    share = 1.0 / len(rows)
    for i, (row, named, title) in enumerate(zip(rows, names, titles, strict=True)):
        top = 1.0 - i * share
        if title:
            figure.text(0.008, top - 0.01, title, va="top", fontsize=9.5, color=_TEXT, parse_math=False)
        for j, (surface, name) in enumerate(zip(row, named, strict=True)):
            clear = extra / height
            box = (j / columns, top - share, 1.0 / columns, share - clear)
            panel = figure.add_axes(box, projection="3d", computed_zorder=False)
            assert isinstance(panel, Axes3D)
            _surface(panel, surface, X, y[:, 0])
            panel.set_title(name, fontsize=9, color=_TEXT, y=0.97)
    return figure


def _surface(panel: Axes3D, surface: Array, X: Array, y: Array) -> None:
    line = np.linspace(-1.0, 1.0, surface.shape[0])
    first, second = np.meshgrid(line, line)
    style: dict[str, Any] = {"cmap": "Blues", "vmin": -1.0, "vmax": 1.3, "rcount": 21, "ccount": 21}
    panel.plot_surface(
        first, second, surface, lw=0.15, edgecolor="#33669955", antialiased=True, rasterized=True, zorder=1, **style
    )
    panel.scatter(X[:, 0], X[:, 1], y, s=14, color=_KNOT, depthshade=False, zorder=3, lw=0)  # type: ignore[arg-type]
    panel.set_xlim(-1.05, 1.05)
    panel.set_ylim(-1.05, 1.05)
    panel.set_zlim(min(_LOW, float(surface.min())), max(_HIGH, float(surface.max())))
    panel.set_xticks([-1, 0, 1])
    panel.set_yticks([-1, 0, 1])
    panel.set_zticks([0, 1])
    panel.tick_params(labelsize=7, labelcolor=_TEXT, pad=-3)
    panel.set_xlabel("x₁", fontsize=8, color=_TEXT, labelpad=-8)
    panel.set_ylabel("x₂", fontsize=8, color=_TEXT, labelpad=-8)
    panel.view_init(elev=28, azim=-58)
    panel.set_box_aspect((1, 1, 0.75), zoom=0.98)
    panel.patch.set_alpha(0.0)
    for axis in (panel.xaxis, panel.yaxis, panel.zaxis):
        axis.pane.set_alpha(0.0)  # type: ignore[attr-defined]
