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
from PIL import Image

from .._files import replacing
from ..losses import Loss, Squared
from ..network import ReLUNetwork
from ..tables import Table
from ..workflow import FileFitResult, FitResult, PredictionBand, is_straight, loss_of, responses
from .text import count, one_line

Array = NDArray[np.float64]

# of the palette of Okabe and Ito, told apart by every kind of sight
_FIT, _KNOT, _DATA, _TEXT = "#0072b2", "#d55e00", "#9a9a9a", "#333333"
_MOST_POINTS = 1500
_LONGEST_NAME = 36
_LANE = 0.8
_DPI = 100
_COLOURS = 64
_STEPS = 200


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
    palette_png(draw_fit(table, network, apart, shown=shown), path)


def result_figure(
    result: FitResult | FileFitResult, path: str | os.PathLike[str], band: PredictionBand | None = None
) -> None:
    """Draw `draw_result` to a PNG file, whole or not at all.

    Raises
    ------
    OSError : when it cannot be written.
    """
    several = isinstance(result, FitResult) and result.columns.n_inputs > 1
    # shades and lines of many colours need all of a palette
    palette_png(draw_result(result, band), path, colours=256 if several else _COLOURS)


def draw_result(result: FitResult | FileFitResult, band: PredictionBand | None = None) -> Figure:
    """The picture of a fit, of whatever kind it is; in one input with a band about it, where there is one."""
    if isinstance(result, FileFitResult):
        return draw_fit(result.sample, result.fit.network, [], n_rows=result.fit.n_rows)
    if result.columns.n_inputs > 1:
        from .several_figure import draw_several

        return draw_several(result)
    return draw_fit(
        result.table,
        result.network,
        result.apart_networks(),
        shown=result.shown,
        loss=result.loss,
        band=band,
    )


def palette_png(figure: Figure, path: str | os.PathLike[str], *, colours: int = _COLOURS) -> None:
    """Write a figure as a PNG file of few colours, whole or not at all.

    Raises
    ------
    OSError : when it cannot be written.
    """
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # a name in a script that the font lacks shows as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    with replacing(path) as beside:
        # a palette is a third of the size, and the few colours here lose nothing by it
        small = picture.quantize(colours, dither=Image.Dither.NONE)
        small.save(beside, format="png", optimize=True)


def draw_fit(
    table: Table,
    network: ReLUNetwork,
    apart: Sequence[ReLUNetwork],
    *,
    shown: Sequence[int] | None = None,
    loss: Loss | None = None,
    n_rows: int | None = None,
    band: PredictionBand | None = None,
) -> Figure:
    """Data, fits and knots, a lane for each task: each alone on the left, all together on the right.

    Parameters
    ----------
    table : the data.
    network : the joint fit, in data units.
    apart : the single-task fits of the tasks `shown`, in data units. With one task, or fits
        missing, the joint fit is drawn alone.
    shown : the tasks to draw; the first 16 when None.
    loss : what was fitted: rates and probabilities are drawn where it is of such; squared when None.
    n_rows : of the data, where the table holds some of them only.
    band : drawn about the joint fit.
    """
    tasks = list(range(min(table.n_tasks, 16))) if shown is None else list(shown)
    both = len(tasks) > 1 and len(apart) == len(tasks)
    height = 1.7 + max(0.46 * len(tasks), 2.2)
    figure = Figure(figsize=(11.5 if both else 7.5, height), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, 2 if both else 1, sharex=True, sharey=True, squeeze=False)[0]
    lanes = _Lanes(table, network, tasks, loss or Squared(), band)
    if both:
        places = lanes.draw_apart(panels[0], apart)
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
    size = f"{count(n_rows or table.n_rows, 'row')}, {count(table.n_tasks, 'task')}{some}"
    what = f"{one_line(table.name, _LONGEST_NAME)}: {size}"
    figure.suptitle(what, x=0.01, ha="left", color=_TEXT, fontsize=12, weight="bold", parse_math=False)
    _legend(figure)
    return figure


class _Lanes:
    """Each task in a lane of its own, over its own range."""

    def __init__(
        self,
        table: Table,
        network: ReLUNetwork,
        tasks: Sequence[int],
        loss: Loss,
        band: PredictionBand | None = None,
    ) -> None:
        self.table = table
        self.tasks = tasks
        self.loss = loss
        self.base = np.arange(len(tasks), dtype=float)[::-1]
        self.edges = np.array([table.X.min(), table.X.max()])
        self.offset = 0.0
        if table.origin is not None:
            self.offset = float(mdates.date2num(np.datetime64(table.origin)))
        values = table.Y[:, tasks]
        fitted = responses(loss, network.predict(self._vertices(network)))[:, tasks]
        self.low = np.minimum(np.nanmin(values, axis=0), fitted.min(axis=0))
        high = np.maximum(np.nanmax(values, axis=0), fitted.max(axis=0))
        self.band = band
        if band is not None:
            ends = np.stack([band.low[:, tasks], band.high[:, tasks]])
            ends[~np.isfinite(ends)] = np.nan
            self.low = np.fmin(self.low, np.nanmin(ends, axis=(0, 1), initial=np.inf))
            high = np.fmax(high, np.nanmax(ends, axis=(0, 1), initial=-np.inf))
        self.span = np.where(high > self.low, high - self.low, 1.0)

    def draw_apart(self, axes: Axes, apart: Sequence[ReLUNetwork]) -> list[Array]:
        """Data, and a fit with knots of its own in every lane; the places of the knots inside the data."""
        self._draw_data(axes)
        marks = []
        for lane, network in enumerate(apart):
            location, jump = self._knots(network)
            self._draw_line(axes, lane, network, 0)
            marks.append(self._marks(lane, network, 0, location, np.abs(jump[:, 0])))
        self._draw_marks(axes, marks)
        return [self._knots(network)[0] for network in apart]

    def draw_joint(self, axes: Axes, network: ReLUNetwork) -> int:
        """Data, and the fits and knots of all lanes; the number of knots inside the data."""
        self._draw_data(axes)
        location, jump = self._knots(network)
        sizes = np.abs(jump[:, self.tasks]) / self.span
        strength = np.linalg.norm(sizes, axis=1)
        width = 0.4 + 1.8 * strength / strength.max(initial=1e-300)
        bottom, top = self._edges()
        axes.vlines(location + self.offset, bottom, top, color=_KNOT, lw=width, alpha=0.35, zorder=1)
        marks = []
        for lane, t in enumerate(self.tasks):
            if self.band is not None:
                self._draw_band(axes, lane, t, self.band)
            self._draw_line(axes, lane, network, t)
            marks.append(self._marks(lane, network, t, location, sizes[:, lane]))
        self._draw_marks(axes, marks)
        return len(location)

    def finish(self, axes: Axes) -> None:
        """Frame, ticks and limits."""
        floors = self.base - 0.5 * (1 - _LANE)
        axes.hlines(floors, *(self.edges + self.offset), color="#dddddd", lw=0.6, zorder=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0, labelsize=9, labelcolor=_TEXT)
        axes.tick_params(axis="x", labelsize=9, labelcolor=_TEXT, color=_TEXT)
        axes.set_ylim(*self._edges())
        axes.set_xlabel(
            one_line(self.table.input_name, _LONGEST_NAME), color=_TEXT, fontsize=10, parse_math=False
        )
        if self.table.origin is not None:
            locator = mdates.AutoDateLocator(minticks=4, maxticks=9)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))

    def _vertices(self, network: ReLUNetwork) -> Array:
        knots = self._knots(network)[0]
        if not is_straight(self.loss):
            # curved between the knots
            knots = np.union1d(knots, np.linspace(self.edges[0], self.edges[1], _STEPS)[1:-1])
        return np.concatenate([self.edges[:1], knots, self.edges[1:]])

    def _knots(self, network: ReLUNetwork) -> tuple[Array, Array]:
        location, jump = network.knots
        inside = (location > self.edges[0]) & (location < self.edges[1])
        return location[inside], jump[inside]

    def _predicted(self, lane: int, network: ReLUNetwork, output: int, x: Array) -> Array:
        """(n,) one task of the network of all, or that of its own."""
        alone = network.n_tasks < self.table.n_tasks
        loss = loss_of(self.loss, self.tasks[lane]) if alone else self.loss
        return responses(loss, network.predict(x))[:, output]

    def _heights(self, lane: int, values: Array) -> Array:
        return self.base[lane] + _LANE * (values - self.low[lane]) / self.span[lane]

    def _edges(self) -> tuple[float, float]:
        return -0.5 * (1 - _LANE), len(self.tasks) - 0.5 * (1 - _LANE)

    def _draw_data(self, axes: Axes) -> None:
        x, height = [], []
        for lane, t in enumerate(self.tasks):
            y = self.table.Y[:, t]
            seen = np.flatnonzero(~np.isnan(y))
            seen = seen[:: -(-len(seen) // _MOST_POINTS)]
            x.append(self.table.X[seen] + self.offset)
            height.append(self._heights(lane, y[seen]))
        axes.plot(
            np.concatenate(x),
            np.concatenate(height),
            linestyle="none",
            marker="o",
            markersize=3.4 if max(map(len, x)) < 80 else 2.6,
            markeredgewidth=0,
            color=_DATA,
            alpha=0.75,
            zorder=2,
        )

    def _draw_line(self, axes: Axes, lane: int, network: ReLUNetwork, output: int) -> None:
        x = self._vertices(network)
        height = self._heights(lane, self._predicted(lane, network, output, x))
        axes.plot(x + self.offset, height, color=_FIT, lw=1.4, zorder=3, solid_joinstyle="round")

    def _draw_band(self, axes: Axes, lane: int, t: int, band: PredictionBand) -> None:
        ends = np.stack([band.low[:, t], band.high[:, t]])
        low, high = self._heights(lane, np.where(np.isfinite(ends), ends, np.nan))
        axes.fill_between(band.x + self.offset, low, high, color=_FIT, alpha=0.18, lw=0, zorder=1)

    def _marks(self, lane: int, network: ReLUNetwork, output: int, location: Array, size: Array) -> Array:
        """(3, K) where to put dots on a curve, and their area: as the bend, over the lane's largest."""
        height = self._heights(lane, self._predicted(lane, network, output, location))
        return np.stack([location + self.offset, height, 3 + 26 * size / size.max(initial=1e-300)])

    def _draw_marks(self, axes: Axes, marks: Sequence[Array]) -> None:
        x, height, area = np.concatenate(marks, axis=1)
        axes.scatter(x, height, s=area, color=_KNOT, lw=0, zorder=4)


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
