"""Pictures of fits: what was computed elsewhere, drawn."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .._files import replacing
from ..network import ReLUNetwork
from ..tables import Table
from .text import count, one_line

Array = NDArray[np.float64]

# of the palette of Okabe and Ito, told apart by every kind of sight
_FIT, _KNOT, _DATA, _TEXT = "#0072b2", "#d55e00", "#9a9a9a", "#333333"
_MOST_POINTS = 1500
_LONGEST_NAME = 36
_LANE = 0.8


def fit_figure(
    table: Table,
    network: ReLUNetwork,
    apart: Sequence[ReLUNetwork],
    path: str | os.PathLike[str],
    *,
    shown: Sequence[int] | None = None,
) -> None:
    """Draw `draw_fit` to a PNG file, whole or not at all.

    Raises
    ------
    OSError : when it cannot be written.
    """
    figure = draw_fit(table, network, apart, shown=shown)
    with replacing(path) as beside, warnings.catch_warnings():
        # a name in a script that the font lacks shows as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(beside, format="png", dpi=96)


def draw_fit(
    table: Table, network: ReLUNetwork, apart: Sequence[ReLUNetwork], *, shown: Sequence[int] | None = None
) -> Figure:
    """Data, fits and knots, a lane for each task: each alone on the left, all together on the right.

    Parameters
    ----------
    table : the data.
    network : the joint fit, in data units.
    apart : the single-task fits of the tasks `shown`, in data units. With one task, or fits
        missing, the joint fit is drawn alone.
    shown : the tasks to draw; the first 16 when None.
    """
    tasks = list(range(min(table.n_tasks, 16))) if shown is None else list(shown)
    both = len(tasks) > 1 and len(apart) == len(tasks)
    height = 1.7 + max(0.46 * len(tasks), 2.2)
    figure = Figure(figsize=(11.5 if both else 7.5, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if both else 1, sharex=True, sharey=True, squeeze=False)[0]
    lanes = _Lanes(table, network, tasks)
    if both:
        places = [lanes.draw_alone(panels[0], lane, one) for lane, one in enumerate(apart)]
        total, distinct = sum(map(len, places)), len(np.unique(np.concatenate(places)))
        _title(panels[0], f"each task alone: {count(total, 'knot')} at {count(distinct, 'place')}")
    n_joint = lanes.draw_joint(panels[-1], network)
    _title(panels[-1], f"together: {count(n_joint, 'shared knot')}" if both else count(n_joint, "knot"))
    for panel in panels:
        lanes.finish(panel)
    panels[0].set_yticks(
        lanes.base + 0.5 * _LANE,
        [one_line(table.task_names[t], _LONGEST_NAME) for t in tasks],
        parse_math=False,
    )
    some = "" if len(tasks) == table.n_tasks else f", {len(tasks)} of them drawn"
    what = f"{one_line(table.name, _LONGEST_NAME)}: {count(table.n_rows, 'row')}, {count(table.n_tasks, 'task')}{some}"
    figure.suptitle(what, x=0.01, ha="left", color=_TEXT, fontsize=12, weight="bold", parse_math=False)
    _legend(figure)
    return figure


class _Lanes:
    """Each task in a lane of its own, over its own range."""

    def __init__(self, table: Table, network: ReLUNetwork, tasks: Sequence[int]) -> None:
        self.table = table
        self.tasks = tasks
        self.base = np.arange(len(tasks), dtype=float)[::-1]
        self.edges = np.array([table.X.min(), table.X.max()])
        self.offset = 0.0
        if table.origin is not None:
            self.offset = float(mdates.date2num(np.datetime64(table.origin)))
        values = table.Y[:, tasks]
        fitted = network.predict(self._vertices(network))[:, tasks]
        self.low = np.minimum(np.nanmin(values, axis=0), fitted.min(axis=0))
        high = np.maximum(np.nanmax(values, axis=0), fitted.max(axis=0))
        self.span = np.where(high > self.low, high - self.low, 1.0)

    def draw_alone(self, axes: Axes, lane: int, network: ReLUNetwork) -> Array:
        """Data, fit and knots of one task; returns the places of the knots inside the data."""
        self._draw_data(axes, lane)
        self._draw_line(axes, lane, network, 0)
        location, jump = self._knots(network)
        if len(location):
            sizes = np.abs(jump[:, 0]) / self.span[lane]
            self._draw_marks(axes, lane, network, 0, location, sizes / sizes.max())
        return location

    def draw_joint(self, axes: Axes, network: ReLUNetwork) -> int:
        """Data, fits and knots of all tasks; returns the number of knots inside the data."""
        location, jump = self._knots(network)
        sizes = np.abs(jump[:, self.tasks]) / self.span
        strength = np.linalg.norm(sizes, axis=1)
        largest = strength.max(initial=0.0)
        for place, share in zip(location, strength / largest if largest > 0 else strength, strict=True):
            axes.axvline(place + self.offset, color=_KNOT, lw=0.4 + 1.8 * share, alpha=0.35, zorder=1)
        for lane, t in enumerate(self.tasks):
            self._draw_data(axes, lane)
            self._draw_line(axes, lane, network, t)
            top = sizes[:, lane].max(initial=0.0)
            if top > 0:
                self._draw_marks(axes, lane, network, t, location, sizes[:, lane] / top)
        return len(location)

    def finish(self, axes: Axes) -> None:
        """Frame, ticks and limits."""
        for lane in self.base:
            axes.axhline(lane - 0.5 * (1 - _LANE), color="#dddddd", lw=0.6, zorder=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0, labelsize=9, labelcolor=_TEXT)
        axes.tick_params(axis="x", labelsize=9, labelcolor=_TEXT, color=_TEXT)
        axes.set_ylim(-0.5 * (1 - _LANE), len(self.tasks) - 0.5 * (1 - _LANE))
        axes.set_xlabel(
            one_line(self.table.input_name, _LONGEST_NAME), color=_TEXT, fontsize=10, parse_math=False
        )
        if self.table.origin is not None:
            locator = mdates.AutoDateLocator(minticks=4, maxticks=9)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))

    def _vertices(self, network: ReLUNetwork) -> Array:
        return np.concatenate([self.edges[:1], self._knots(network)[0], self.edges[1:]])

    def _knots(self, network: ReLUNetwork) -> tuple[Array, Array]:
        location, jump = network.knots
        inside = (location > self.edges[0]) & (location < self.edges[1])
        return location[inside], jump[inside]

    def _heights(self, lane: int, values: Array) -> Array:
        return self.base[lane] + _LANE * (values - self.low[lane]) / self.span[lane]

    def _draw_data(self, axes: Axes, lane: int) -> None:
        y = self.table.Y[:, self.tasks[lane]]
        seen = np.flatnonzero(~np.isnan(y))
        seen = seen[:: -(-len(seen) // _MOST_POINTS)]
        axes.plot(
            self.table.X[seen] + self.offset,
            self._heights(lane, y[seen]),
            linestyle="none",
            marker="o",
            markersize=3.4 if len(seen) < 80 else 2.6,
            markeredgewidth=0,
            color=_DATA,
            alpha=0.75,
            zorder=2,
        )

    def _draw_line(self, axes: Axes, lane: int, network: ReLUNetwork, output: int) -> None:
        x = self._vertices(network)
        height = self._heights(lane, network.predict(x)[:, output])
        axes.plot(x + self.offset, height, color=_FIT, lw=1.4, zorder=3, solid_joinstyle="round")

    def _draw_marks(
        self, axes: Axes, lane: int, network: ReLUNetwork, output: int, location: Array, share: Array
    ) -> None:
        """Dots where the curve bends, their area as the bend."""
        height = self._heights(lane, network.predict(location)[:, output])
        axes.scatter(location + self.offset, height, s=3 + 26 * share, color=_KNOT, lw=0, zorder=4)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10.5, color=_TEXT)


def _legend(figure: Figure) -> None:
    marks = [
        Line2D([], [], ls="none", marker="o", ms=4, mew=0, color=_DATA, label="data"),
        Line2D([], [], color=_FIT, lw=1.4, label="fit"),
        Line2D([], [], ls="none", marker="o", ms=5, mew=0, color=_KNOT, label="knot (larger: bends more)"),
    ]
    figure.legend(
        handles=marks,
        loc="outside upper right",
        ncols=3,
        frameon=False,
        fontsize=9,
        labelcolor=_TEXT,
        handletextpad=0.4,
        columnspacing=1.4,
    )
