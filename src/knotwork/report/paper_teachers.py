"""Paper A's Figs. 8, 9 and 10: who uses which neuron, and the students along a line."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..experiments.experiment import Result
from ..experiments.records import Record
from ..experiments.teachers_claims import by_task, of_part
from .drawing import Drawing
from .pictures import _DATA, _FIT, _KNOT, _TEXT, _frame, _panels, _title

Array = NDArray[np.float64]
_COLUMNS = 5
_FLOOR = 1e-6


def draw_teachers(result: Result) -> list[Drawing]:
    """Figs. 8, 9 and 10."""
    multi = of_part(result.records, "multi", "all")[0]
    trained = of_part(result.records, "trained", "all")[0]
    single = of_part(result.records, "single")
    tasks = np.sort(np.concatenate([one["tasks"] for one in single]))
    return [
        _pattern(multi, trained),
        _along(
            multi, np.arange(len(multi["slices"])), multi["slices"], trained["slices"], "A 9",
            "the outputs of the network of all tasks bend in many places and are not their teachers",
        ),
        _along(
            multi, tasks, by_task(single, "slices"), by_task(single, "trained.slices"), "A 10",
            "the networks of one task each look like one ReLU, most of them like their teacher",
        ),
    ]  # fmt: skip


def _pattern(multi: Record, trained: Record) -> Drawing:
    figure, panels = _panels(None, 2, (8.6, 4.6))
    colours = colormaps["Blues"].resampled(12)
    shown = (("certified optimum", multi["pattern"], True), ("trained by Adam", trained["pattern"], False))
    for panel, (name, V, ordered) in zip(panels, shown, strict=True):
        size = np.linalg.norm(V, axis=1)
        V = V[np.argsort(-size)] if ordered else V
        share = np.log10(np.maximum(np.abs(V).T / size.max(), _FLOOR))
        panel.imshow(
            share, aspect="auto", interpolation="none", cmap=colours, vmin=-4.0, vmax=0.0,
            extent=(0.5, len(V) + 0.5, len(V.T) + 0.5, 0.5),
        )  # fmt: skip
        active = int(np.count_nonzero(size > 1e-3 * size.max()))
        _title(panel, f"{name}: {active} neurons above a thousandth of the largest, {len(V)} in all")
        panel.set_ylabel("task")
        panel.set_xlabel("neuron, costliest first" if ordered else "neuron, in the order of its start")
        _frame(panel)
    bar = figure.colorbar(panels[0].images[0], ax=panels, ticks=[-4, -3, -2, -1, 0], pad=0.02)
    bar.ax.set_yticklabels(["≤ 10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "1"], fontsize=8, color=_TEXT)
    bar.set_label("|v_kt| over the largest |v_k|", fontsize=9, color=_TEXT)
    return Drawing(
        figure,
        "Two matrices of output weights, tasks by neurons. Every column is dark in nearly all rows or pale "
        "in all.",
        "A, Figure 8: output weights of the student of all 25 tasks, a column for each neuron at unit "
        "input weight. Above the certified optimum, below a network of 800 neurons trained from a random "
        "start: a column is dark for all tasks or for none (neurons of weight 0 are left out).",
        "A 8",
    )


def _along(
    record: Record, tasks: NDArray[np.intp], certified: Array, trained: Array, of: str, said: str
) -> Drawing:
    rows = -(-len(tasks) // _COLUMNS)
    columns = min(_COLUMNS, len(tasks))
    figure = Figure(figsize=(0.6 + 1.75 * columns, 0.9 + 1.2 * rows), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    every: list[Axes] = list(panels.ravel()[: len(tasks)])
    t, teacher = record["along"], record["teacher"]
    for panel, task, optimum, learned in zip(every, tasks, certified, trained, strict=True):
        panel.plot(*_corners(t, teacher[task]), color=_DATA, lw=3.0, alpha=0.6, label="teacher", zorder=1)
        panel.plot(*_corners(t, learned), color=_KNOT, lw=1.0, label="trained", zorder=2)
        panel.plot(*_corners(t, optimum), color=_FIT, lw=1.1, ls=(0, (4, 1.5)), label="certified", zorder=3)
        panel.set_title(f"f{task + 1}", loc="left", fontsize=8.5, color=_TEXT, pad=2)
        panel.set_xticks([-3, 0, 3])
        panel.locator_params(axis="y", nbins=2)
        _frame(panel)
        panel.tick_params(labelsize=7.5)
    for spare in panels.ravel()[len(tasks) :]:
        spare.set_axis_off()
    for panel in panels[-1]:
        panel.set_xlabel("t", fontsize=8.5)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False,
        fontsize=9, labelcolor=_TEXT,
    )  # fmt: skip
    k = of.removeprefix("A ")
    return Drawing(
        figure,
        f"{len(tasks)} small panels, one for each task, of functions along one line: {said}.",
        f"A, Figure {k}: along the line t w, w a random unit vector, {said}. Wide grey: the teacher, one "
        "ReLU; orange: trained from a random start; blue, dashed: the certified optimum.",
        of,
    )


def _corners(x: Array, y: Array) -> tuple[Array, Array]:
    """The points of a curve that lines between the others would miss by more than 1/300 of its height."""
    allowed = float(np.ptp(y)) / 300.0
    kept, open_ends = {0, len(x) - 1}, [(0, len(x) - 1)]
    while open_ends:
        low, high = open_ends.pop()
        line = np.interp(x[low : high + 1], x[[low, high]], y[[low, high]])
        off = np.abs(y[low : high + 1] - line)
        worst = low + int(np.argmax(off))
        if off.max() > allowed:
            kept.add(worst)
            open_ends += [(low, worst), (worst, high)]
    index = sorted(kept)
    return x[index], y[index]
