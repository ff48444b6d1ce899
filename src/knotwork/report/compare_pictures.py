"""The picture of a comparison: paired differences of errors, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from ..comparing import Comparison, Ratio
from .compare_words import METHODS
from .pictures import _DATA, _FIT, _KNOT, _OTHER, _TEXT, _frame, _panels, _title
from .text import one_line

Array = NDArray[np.float64]
MOST_TASKS = 40
_LONGEST_NAME = 30
# ticks, by how far the ends of an axis are from each other
_COARSE = (0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)
_MIDDLE = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
_FINE = (0.95, 0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03, 1.05)


def draw_comparison(found: Comparison, task_names: Sequence[str]) -> Figure:
    """Error together over error apart, of all tasks and each, above; other methods over apart, below.

    Dots are folds, bars the intervals; left of the line is less error than apart.
    """
    shown = range(min(found.n_tasks, MOST_TASKS))
    rows = [("all tasks", found.ratio("together"), found.fold_ratios("together"))]
    for t in shown:
        name = one_line(task_names[t], _LONGEST_NAME)
        rows.append((name, found.ratio("together", "apart", t), found.fold_ratios("together", "apart", t)))
    others = [name for name in found.methods if name not in ("together", "apart")]
    height = 1.6 + 0.27 * (len(rows) + len(others)) + (0.8 if others else 0.0)
    figure, panels = _panels(None, 2 if others else 1, (7.5, height))
    _draw(panels[0], rows, found.margin)
    _title(panels[0], "Error together over error apart")
    if others:
        more = [
            (one_line(METHODS.get(n, n), _LONGEST_NAME), found.ratio(n), found.fold_ratios(n)) for n in others
        ]
        _draw(panels[1], more, found.margin)
        _title(panels[1], "Error of other methods over error apart, all tasks")
        grid = panels[0].get_gridspec()
        if grid is not None:
            grid.set_height_ratios([len(rows) + 1, len(more) + 1])
    return figure


def _draw(panel: Axes, rows: list[tuple[str, Ratio, Array]], margin: float) -> None:
    panel.axvspan(1.0 / (1.0 + margin), 1.0 + margin, color=_DATA, alpha=0.25, lw=0)
    panel.axvline(1.0, color=_TEXT, lw=0.8)
    reached: list[float] = []
    for k, (_, over, folds) in enumerate(rows):
        known = folds[~np.isnan(folds)]
        panel.plot(known, np.full(len(known), k), ls="none", marker="|", ms=5, color=_OTHER, alpha=0.7)
        colour = _KNOT if over.low > 1.0 else _FIT
        if np.isfinite(over.low):
            panel.plot([over.low, over.high], [k, k], color=colour, lw=2.4, solid_capstyle="butt")
            reached += [over.low, over.high]
        panel.plot([over.ratio], [k], ls="none", marker="o", ms=5, color=colour, mew=0)
        reached.append(over.ratio)
    panel.set_xscale("log")
    # intervals are shown whole unless they say next to nothing; single folds may lie outside
    low, high = max(min(*reached, 1.0), 0.02), min(max(*reached, 1.0), 50.0)
    pad = max(1.08 * (high / low) ** 0.06, 1.02 + margin)
    panel.set_xlim(low / pad, high * pad)
    _percent_ticks(panel, low / pad, high * pad)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_yticks(range(len(rows)), [name for name, _, _ in rows], parse_math=False)
    _frame(panel)


def _percent_ticks(panel: Axes, low: float, high: float) -> None:
    reach = high / low
    ticks = [
        tick for tick in (_COARSE if reach > 3 else _MIDDLE if reach > 1.25 else _FINE) if low <= tick <= high
    ]
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_minor_formatter(NullFormatter())
    said: Callable[[float, int | None], str] = lambda ratio, _: _percent(ratio)  # noqa: E731
    panel.xaxis.set_major_formatter(FuncFormatter(said))
    if ticks:
        panel.set_xticks(ticks)
    else:
        panel.xaxis.set_major_locator(LogLocator())


def _percent(ratio: float) -> str:
    if ratio >= 2.0:
        return f"× {ratio:g}"
    return "equal" if abs(ratio - 1.0) < 1e-9 else f"{100.0 * (ratio - 1.0):+.0f} %"
