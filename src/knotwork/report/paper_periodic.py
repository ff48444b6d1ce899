"""Paper B's Figs. 7 and 8: what a stacked network learned of seven tasks of one period."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..experiments.experiment import Result
from ..experiments.periodic import OTHERS, best_joint, data_of, single_error, stacks_of
from .drawing import Drawing
from .pictures import _FIT, _KNOT, _OTHER, _frame, _panels, _title
from .stack_pictures import draw_one_stack, draw_representation, draw_task, name_marks

_SHARE, _GRID, _PAD = 0.02, 261, 0.5


def draw_periodic(result: Result) -> list[Drawing]:
    """Fig. 7: stacks 1 and 2 and H; Fig. 8: stack 3 and every task; and the errors beside others'."""
    record = best_joint(result.records, min(int(one.settings["data"]) for one in result.records))
    network, data = stacks_of(record), data_of(record)
    x, (low, high) = data.X[:, 0], data.hull
    grid = np.linspace(low - _PAD, high + _PAD, _GRID)
    figure, panels = _panels(None, 3, (11.5, 3.3), 3)
    inside = network.inputs(data.X)
    for j in (0, 1):
        ends = float(inside[j].min()), float(inside[j].max())
        draw_one_stack(panels[j], network.stacks[j], j + 1, *ends, _SHARE)
    draw_representation(panels[2], network, grid, (low, high), data.period)
    marks = (
        "Blue: the stack's function over the inputs it gets (left axis). Orange stems at the kinks: the "
        "jumps |v| w of its slope (right axis); the faint line is these smoothed by a Gaussian kernel of "
        "the width told, at a scale of its own. Light blue diamonds: output weights w of balanced neurons."
    )
    shift = float(record["shift_error"][np.argmin(record["objective"])])
    seventh = Drawing(
        figure,
        "Three panels. The first two stacks fold the line into zigzags; their composition H repeats itself "
        "six times over the shaded range of the data.",
        "B, Figure 7: the start of least objective. Stacks 1 and 2, and H, what stack 3 reads, with its "
        f"measured shift error at the period, {shift:.2f}; the hull of the data is shaded. {marks}",
        "B 7",
    )
    figure, panels = _panels(None, 8, (11.5, 8.4), 3)
    draw_one_stack(panels[0], network.stacks[2], 3, float(inside[2].min()), float(inside[2].max()), _SHARE)
    f, truth = network.predict(grid[:, None]), data.truth(grid)
    for t, panel in enumerate(panels[1:]):
        draw_task(panel, grid, f[:, t], x, data.Y[:, t], truth[:, t])
        _title(panel, f"task {t + 1}: error {record['task_error'][t]:.4f}")
        panel.set_xticks([-3, 0, 3])
        if t < 4:
            panel.set_xlabel("")
    name_marks(figure, panels[1])
    eighth = Drawing(
        figure,
        "Eight panels. The third stack has seven outputs; seven periodic curves follow the dots within the "
        "shaded range and leave the dashed truth beyond it.",
        "B, Figure 8: stack 3, all seven outputs as functions of H, with the norms of their jumps; then "
        "each task's data, fit and truth. Mean squared errors are those against the truth inside the hull "
        "of the data, shaded: beyond it nothing holds the network to the period.",
        "B 8",
    )
    return [seventh, eighth, Drawing(_errors(result), *_SAID_OF_ERRORS)]


_SAID_OF_ERRORS = (
    "Dots of held-out errors on a logarithmic scale: the stacked network of all tasks lies far to the left "
    "of all others, the one of single tasks next to it.",
    "Mean squared error against the truth inside the hull of the data, labels of variance 1, one dot a data "
    "set. Shallow networks are certified optima whose lam, and the first Gaussian processes those whose "
    "kernel, the truth chose, in their favour; the last two chose theirs by the likelihood.",
)


def _errors(result: Result) -> Figure:
    records = result.records
    seeds = sorted({int(one.settings["data"]) for one in records})
    names = ["stacked joint", "stacked single", *OTHERS]
    figure, (panel,) = _panels(None, 1, (7.5, 3.2))
    style: dict[str, Any] = {"s": 42, "lw": 0, "zorder": 3}
    for seed in seeds:
        best = best_joint(records, seed)
        others = next(
            one for one in records if one.settings["part"] == "others" and one.settings["data"] == seed
        )
        joint = float(best["error"][np.argmin(best["objective"])])
        values = [joint, single_error(records, seed), *others["error"]]
        colours = [_FIT, _OTHER, *[_KNOT] * len(OTHERS)]
        panel.scatter(values, np.arange(len(names))[::-1], color=colours, **style)
    panel.set_xscale("log")
    panel.set_yticks(np.arange(len(names))[::-1], names)
    panel.grid(axis="x", lw=0.4, alpha=0.6)
    panel.set_xlabel("mean squared error inside the hull, label²")
    _title(panel, "held-out error")
    _frame(panel)
    return figure
