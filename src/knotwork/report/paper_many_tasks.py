"""Pictures of paper A, Theorem 4.1, its lemmas, the learned kernel's limit and the width bound."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..experiments.experiment import Result
from ..experiments.many_tasks_claims import of_part
from .drawing import Drawing
from .pictures import _DATA, _FIT, _KNOT, _MIN, _ONE_SE, _OTHER, _TEXT, _frame, _panels, _title

Array = NDArray[np.float64]
_COLOURS = (_FIT, _KNOT, _MIN, _OTHER, _ONE_SE, _TEXT)
_GROWTH = {"fixed": "lam fixed", "sqrt": "lam ∝ √T", "linear": "lam ∝ T"}
_WHERE = {"squares": "squares, coins", "line": "one input, waves", "space": "three inputs, ReLUs"}


def draw_theorem(result: Result) -> list[Drawing]:
    """(16) and (17) over T, over lam and relative to the regulariser."""
    figure, panels = _panels(None, 3, (10.2, 3.9), 3)
    shown = (
        ("left", "(16): |J − H| / lam", True),
        ("excess", "(17): (J(v′) − J(v*)) / lam", True),
        ("relative_left", "(16) over the task's regulariser", False),
    )
    runs = of_part(result.records, "rate")
    counts = runs[0]["n_tasks"]
    for panel, (what, name, absolute) in zip(panels, shown, strict=True):
        for one, colour in zip(runs, _COLOURS, strict=False):
            values = one[what] / (one["lam"] if absolute else 1.0)
            label = f"{_WHERE[one.settings['data']]}, {_GROWTH[one.settings['growth']]}"
            dash = {"fixed": "-", "sqrt": (0, (4, 1.5)), "linear": (0, (1, 1.2))}[one.settings["growth"]]
            panel.plot(counts, values, color=colour, lw=1.3, ls=dash, marker="o", ms=2.6, label=label)
        # the height is ours: the theorem has no constant
        power = -0.25 if absolute else -5 / 12
        line = 0.5 * panel.get_ylim()[1] * (counts / counts[0]) ** power
        panel.plot(
            counts, line, color=_DATA, lw=2.2, zorder=1, label="promised slope: T^(−1/4), right T^(−5/12)"
        )
        _title(panel, name)
        _logs(panel)
    _below(figure, panels[0], 3)
    return [
        Drawing(
            figure,
            "Three panels of curves that fall with the number of tasks, steeper than the grey line of the "
            "theorem.",
            "A, Theorem 4.1: both sides at the level 1 − T^(−1/3) over tasks drawn at random, both axes "
            "logarithmic; over lam, as the proof's bound is, and on the right relative to the task's own "
            "regulariser, which falls too. Colours: data and how lam grows with T. Grey: the slope that is "
            "promised (its height is ours).",
        )
    ]


def draw_lemmas(result: Result) -> list[Drawing]:
    """Exceptions of Lemma 4.2 beside what it allows; growth of the output weights."""
    figure, panels = _panels(None, 2, (8.2, 3.9), 2)
    runs = of_part(result.records, "shares")
    counts = runs[0]["n_tasks"]
    worst = np.max([one["worst"] for one in runs], axis=0)
    for k, (beta, colour) in enumerate(zip((0.25, 0.5, 0.75), _COLOURS, strict=False)):
        panels[0].plot(counts, counts ** (-beta), color=colour, lw=1.1, ls=(0, (4, 2)))
        seen = np.where(worst[:, k] > 0, worst[:, k], np.nan)
        panels[0].plot(counts, seen, color=colour, lw=1.3, marker="o", ms=3, label=f"seen, β = {beta:g}")
    panels[0].plot([], [], color=_TEXT, lw=1.1, ls=(0, (4, 2)), label="allowed, T^(−β)")
    _title(panels[0], "Lemma 4.2: share of tasks that are exceptions")
    one = of_part(result.records, "weights")[0]
    counts = one["n_tasks"]
    panels[1].plot(counts, one["cost"], color=_FIT, lw=1.3, marker="o", ms=3, label="Σ|v_k|")
    panels[1].plot(counts, one["largest"], color=_KNOT, lw=1.3, marker="o", ms=3, label="largest |v_kt|")
    panels[1].plot(counts, one["price"], color=_DATA, lw=2.2, label="bound by one dictionary, ∝ √T")
    _title(panels[1], "Lemma A.4: output weights of interpolants")
    for panel in panels:
        _logs(panel)
        panel.legend(frameon=False, fontsize=8.5, labelcolor=_TEXT)
    return [
        Drawing(
            figure,
            "Left: shares of exceptional tasks, below dashed lines. Right: output weights that grow as a "
            "line parallel to the bound or slower.",
            "A, Lemmas 4.2 and A.4, both axes logarithmic. Left: of the worst neuron of certified optima, "
            "the share of tasks that have more than T^(β − 1) of its squared weights (dots; none where a "
            "dot is missing), beside the share allowed (dashes). Right: labels in [−1, 1], interpolated at "
            "least cost.",
        )
    ]


def draw_limit(result: Result) -> list[Drawing]:
    """Fitted values and functions on the squares as the tasks become many."""
    one = next(record for record in result.records if record.settings["part"] == "limit")
    counts, fits, limit, off = (one[name] for name in ("n_tasks", "fits", "limit", "off"))
    figure, panels = _panels(None, 3, (9.6, 3.4), 3)
    for panel, rows, name in (
        (panels[0], slice(4), "outer points"),
        (panels[1], slice(4, 8), "inner points"),
    ):
        values = fits[:, :, rows].reshape(len(counts), -1)
        panel.fill_between(counts, values.min(axis=1), values.max(axis=1), color=_OTHER, alpha=0.4, lw=0)
        panel.plot(
            counts, values.mean(axis=1), color=_FIT, lw=1.3, marker="o", ms=3, label="mean of the draws"
        )
        level = float(limit[rows].mean())
        panel.axhline(level, color=_KNOT, lw=1.1, ls=(0, (4, 2)), label="infinitely many")
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_xlabel("tasks T")
        panel.set_ylabel("value of task 1")
        _title(panel, f"{name}: limit {level:.4f}")
        _frame(panel)
    panels[0].legend(frameon=False, fontsize=8.5, labelcolor=_TEXT)
    panels[2].plot(counts, off, color=_OTHER, lw=0, marker="o", ms=2.5)
    panels[2].plot(counts, off.mean(axis=1), color=_FIT, lw=1.3)
    _title(panels[2], "largest distance on the square")
    _logs(panels[2])
    return [
        Drawing(
            figure,
            "Values of the first task at the outer and inner points close in on the limit as tasks become "
            "many; the largest distance of functions falls as a power.",
            "The first task among T coin-flip tasks on the two squares at lam = .0402 √T. Shaded: the "
            "range over points and draws of the tasks; dashed: what the network of infinitely many tasks "
            "predicts, solved once with eight pseudo-tasks. Right: how far the function is from that "
            "prediction (dots: draws).",
        )
    ]


def draw_width(result: Result) -> list[Drawing]:
    """Neurons that are needed, found and asked for."""
    figure, (panel,) = _panels(None, 1, (6.4, 3.6))
    counts = result.records[0]["n_tasks"]
    n = int(result.records[0].number("n_data"))
    panel.axhline(n * n, color=_DATA, lw=1.6, label="N² of footnote 1")
    panel.plot(counts, result.records[0]["bound"], color=_TEXT, lw=1.4, label="n r − r(r − 1)/2, n = N − 1")
    for name, colour, label in (
        ("compressed", _KNOT, "300 random neurons, compressed"),
        ("optimum", _FIT, "certified optima, compressed"),
    ):
        values = np.array([one[name] for one in result.records])
        panel.plot(counts, values.T, color=colour, lw=0, marker="o", ms=3, alpha=0.6)
        panel.plot(counts, values.max(axis=0), color=colour, lw=1.2, label=label)
    panel.set_xscale("log", base=2)
    panel.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
    panel.set_ylim(0, 1.05 * n * n)
    panel.set_xlabel("tasks T")
    panel.set_ylabel("neurons")
    _title(panel, f"N = {n} points in two inputs")
    _frame(panel)
    _below(figure, panel, 2)
    return [
        Drawing(
            figure,
            "Neurons against tasks: compressed networks and optima below the bound, which ends at less "
            "than half of N squared.",
            "How many neurons are enough for T tasks on eight points: A's N² (grey), the bound that "
            "compression attains (dark), and what it came to for networks of 300 random neurons and for "
            "certified optima (dots: draws; lines: the most).",
        )
    ]


def _below(figure: Figure, panel: Axes, columns: int) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=columns, frameon=False, fontsize=9, labelcolor=_TEXT
    )


def _logs(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.minorticks_off()
    panel.set_xlabel("tasks T")
    _frame(panel)
