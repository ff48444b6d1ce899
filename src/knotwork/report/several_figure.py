"""The picture of a fit of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..workflow import FitResult
from .pictures import _DATA, _DPI, _FIT, _KNOT, _LONGEST_NAME, _MOST_PANELS, _TEXT, _frame, _title
from .sklearn_displays import SharingDisplay
from .text import count, one_line

Array = NDArray[np.float64]
_MOST_POINTS, _AVERAGED, _STEPS = 1500, 200, 60
_COLUMNS = 3
# after Okabe and Ito: told apart by every kind of sight, and by their dashes
_LINES = [(_FIT, "-"), (_KNOT, "--"), ("#009e73", "-."), ("#cc79a7", ":"), ("#56b4e9", "-"), (_DATA, "--")]


def draw_several(result: FitResult) -> Figure:
    """Labels against what is fitted, a panel for each of the first 6 tasks; what each of the first 6 inputs
    does to the mean prediction (partial dependence, in task units); the share of every task in every
    neuron."""
    tasks = range(min(result.table.n_tasks, _MOST_PANELS))
    inputs = range(min(result.columns.n_inputs, _MOST_PANELS))
    rows = [-(-len(tasks) // _COLUMNS), -(-len(inputs) // _COLUMNS)]
    heights = [3.0 * rows[0], 2.6 * rows[1]]
    shares = result.table.n_tasks > 1
    if shares:
        heights.append(1.3 + max(1.0, 0.22 * min(result.table.n_tasks, 40)))
    figure = Figure(figsize=(10.5, 0.5 + sum(heights)), dpi=_DPI, layout="constrained")
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    _draw_fitted(_grid(parts[0], len(tasks)), result, tasks)
    _draw_inputs(_grid(parts[1], len(inputs)), result, inputs, tasks)
    if shares:
        panel = parts[2].subplots()
        SharingDisplay.from_solution(result.solution, ax=panel, task_names=list(result.table.task_names))
    size = f"{count(result.table.n_rows, 'row')}, {count(result.columns.n_inputs, 'input')}, "
    size += f"{count(result.table.n_tasks, 'task')}, {count(len(result.neurons()), 'shared neuron')}"
    what = f"{one_line(result.table.name, _LONGEST_NAME)}: {size}"
    figure.suptitle(what, x=0.01, ha="left", color=_TEXT, fontsize=12, weight="bold", parse_math=False)
    return figure


def partial_dependence(result: FitResult, column: int) -> tuple[Array, Array]:
    """Places (n,) over the range of an input, and the mean prediction (n, T) of (at most 200 of) the rows
    with the input moved there, in task units."""
    X = result.columns.X
    rows = X[:: -(-len(X) // _AVERAGED)]
    places = np.linspace(X[:, column].min(), X[:, column].max(), _STEPS)
    moved = np.tile(rows, (_STEPS, 1))
    moved[:, column] = np.repeat(places, len(rows))
    mean = result.predict(moved, "linear").reshape(_STEPS, len(rows), -1).mean(axis=1)
    return places, (mean - result.scaling.centre) / result.scaling.scale


def _grid(part: Any, n: int) -> list[Axes]:
    columns = min(n, _COLUMNS)
    panels = list(part.subplots(-(-n // columns), columns, squeeze=False).ravel())
    for extra in panels[n:]:
        extra.set_visible(False)
    return panels[:n]


def _draw_fitted(panels: Sequence[Axes], result: FitResult, tasks: Sequence[int]) -> None:
    fitted = result.predict(result.columns.X, "linear")
    for panel, t in zip(panels, tasks, strict=True):
        seen = np.flatnonzero(~np.isnan(result.table.Y[:, t]))
        seen = seen[:: -(-len(seen) // _MOST_POINTS)]
        y, f = result.table.Y[seen, t], fitted[seen, t]
        ends = [min(y.min(), f.min()), max(y.max(), f.max())]
        panel.plot(ends, ends, color=_DATA, lw=1.0, zorder=1)
        panel.plot(f, y, ls="none", marker="o", ms=3.4, mew=0, color=_FIT, alpha=0.6, zorder=2)
        _title(panel, one_line(result.table.task_names[t], _LONGEST_NAME))
        panel.set_xlabel("fitted")
        panel.set_ylabel("observed")
        _frame(panel)


def _draw_inputs(
    panels: Sequence[Axes], result: FitResult, inputs: Sequence[int], tasks: Sequence[int]
) -> None:
    for panel, j in zip(panels, inputs, strict=True):
        places, mean = partial_dependence(result, j)
        for (colour, dashes), t in zip(_LINES, tasks, strict=False):
            panel.plot(places, mean[:, t], color=colour, ls=dashes, lw=1.5)
        ends = np.quantile(result.columns.X[:, j], np.linspace(0, 1, 11))
        panel.plot(ends, np.zeros(11), "|", color=_TEXT, ms=6, transform=panel.get_xaxis_transform())
        panel.set_xlabel(one_line(result.columns.labels[j], _LONGEST_NAME), parse_math=False)
        _frame(panel)
    _title(panels[0], "mean prediction as one input moves (ticks: tenths of the rows)")
    for (colour, dashes), t in zip(_LINES, tasks, strict=False):
        panels[0].plot([], [], color=colour, ls=dashes, label=one_line(result.table.task_names[t], 18))
    if len(tasks) > 1:
        legend = panels[0].legend(frameon=False, fontsize=8, labelcolor=_TEXT)
        for text in legend.get_texts():
            text.set_parse_math(False)
