"""The picture of a bootstrap: bands around predictions, and the bends of the fit with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..scaling import TaskScaling
from ..selection.bootstrap_result import Bootstrap, Kind
from .pictures import _DATA, _DPI, _FIT, _KNOT, _LONGEST_NAME, _MOST_POINTS, _OTHER, _TEXT, _frame, _title
from .text import count, one_line

Array = NDArray[np.float64]
MOST_TASKS = 6


def draw_bands(
    found: Bootstrap,
    *,
    level: float = 0.9,
    kind: Kind = "percentile",
    simultaneous: bool = False,
    scaling: TaskScaling | None = None,
    task_names: Sequence[str] | None = None,
    input_name: str = "x",
    origin: str | None = None,
) -> Figure:
    """Data, fit and band of up to six tasks; below, how many of the replicates make each bend, and where.

    Every dot below is a bend of the fit, at the height of the share of replicates that have it, the bar
    through it the interval of its place. The shade is how strongly replicates bend there, over the most.

    Parameters
    ----------
    found : of `knotwork.bootstrap`.
    level, kind, simultaneous : of the intervals, as in `Bootstrap.band`.
    scaling : of the labels that were fitted, to draw them in data units; none when None.
    task_names, input_name : of the data; shown as they are.
    origin : the ISO date of x = 0, where inputs are days.

    Raises
    ------
    ValueError : for names or a scaling of other tasks.
    """
    problem = found.solution.problem
    n_tasks = problem.n_tasks
    scaling = TaskScaling.none(n_tasks) if scaling is None else scaling
    names = [f"task {t}" for t in range(n_tasks)] if task_names is None else list(task_names)
    for name, many in (("task_names", len(names)), ("scaling", scaling.n_tasks)):
        if many != n_tasks:
            raise ValueError(f"{name}: must be of {count(n_tasks, 'task')}, got {many}")
    band = found.band(level=level, kind=kind, simultaneous=simultaneous)
    offset = 0.0 if origin is None else float(mdates.date2num(np.datetime64(origin)))
    shown = min(n_tasks, MOST_TASKS)
    columns = 1 if shown == 1 else 2
    rows = -(-shown // columns)
    figure = Figure(figsize=(4.2 * columns + 2.0, 2.1 * rows + 3.0), dpi=_DPI, layout="constrained")
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1.0] * rows + [1.1])
    below = figure.add_subplot(grid[rows, :])
    panels = [figure.add_subplot(grid[t // columns, t % columns], sharex=below) for t in range(shown)]
    for t, panel in enumerate(panels):
        fit, low, high = (
            part[:, t] * scaling.scale[t] + scaling.centre[t] for part in (band.fit, band.low, band.high)
        )
        labels = problem.Y[:, t] * scaling.scale[t] + scaling.centre[t]
        _draw_band(panel, problem.X[:, 0] + offset, labels, band.x + offset, fit, low, high)
        _title(panel, one_line(names[t], _LONGEST_NAME))
        panel.tick_params(labelbottom=False)
        _frame(panel)
    _draw_bends(below, found, level, offset)
    below.set_xlabel(one_line(input_name, _LONGEST_NAME), parse_math=False)
    if origin is not None:
        locator = mdates.AutoDateLocator(minticks=4, maxticks=9)
        below.xaxis.set_major_locator(locator)
        below.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    _frame(below)
    _say(figure, panels[0], found, level, simultaneous, shown)
    return figure


def _draw_band(panel: Axes, x: Array, labels: Array, at: Array, fit: Array, low: Array, high: Array) -> None:
    seen = np.flatnonzero(~np.isnan(labels))
    seen = seen[:: max(1, -(-len(seen) // _MOST_POINTS))]
    panel.plot(
        x[seen], labels[seen], ls="none", marker="o", ms=2.6, mew=0, color=_DATA, label="data", zorder=2
    )
    panel.fill_between(at, low, high, color=_OTHER, alpha=0.45, lw=0, label="band", zorder=1)
    panel.plot(at, fit, color=_FIT, lw=1.3, label="fit", zorder=3)


def _draw_bends(panel: Axes, found: Bootstrap, level: float, offset: float) -> None:
    at = found.density()
    panel.fill_between(
        at.x + offset, at.density / at.density.max(initial=1e-300), color=_DATA, alpha=0.35, lw=0
    )
    bends = found.bends(level=level)
    for bend in bends:
        panel.plot([bend.place_low + offset, bend.place_high + offset], [bend.share] * 2, color=_KNOT, lw=1.6)
    places = [bend.place + offset for bend in bends]
    panel.plot(places, [bend.share for bend in bends], ls="none", marker="o", ms=4.5, mew=0, color=_KNOT)
    panel.set_ylim(0.0, 1.06)
    panel.set_ylabel("share of replicates")
    _title(panel, f"{count(len(bends), 'bend')}: how often they come back, and where")


def _say(figure: Figure, panel: Axes, found: Bootstrap, level: float, simultaneous: bool, shown: int) -> None:
    n_tasks = found.solution.problem.n_tasks
    some = "" if shown == n_tasks else f"; {shown} of {count(n_tasks, 'task')} drawn"
    where = "everywhere" if simultaneous else "at every input"
    fit = "least squares on the knots" if found.refit else "the penalised fit"
    said = f"{100.0 * level:g} % bands {where}, {count(found.n_replicates, 'replicate')} of {fit}{some}"
    figure.suptitle(said, x=0.01, ha="left", fontsize=11, color=_TEXT)
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=9, labelcolor=_TEXT
    )
