"""Paper B's regularisers, widths and contrasts: pictures of claims that have no figure in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..experiments.contrast import CORRELATED, FIXED, METHODS
from ..experiments.experiment import Result
from ..experiments.remark_3_3 import scalings_of, small_of
from .drawing import Drawing
from .pictures import _DATA, _FIT, _KNOT, _MIN, _ONE_SE, _OTHER, _TEXT, _frame, _panels, _title

_DASHED: Any = (0, (4, 2))
_LEAST = 1e-16
_DOT: dict[str, Any] = {"lw": 0, "zorder": 3}


def _name(figure: Figure, panel: Axes, columns: int = 3) -> None:
    handles, told = panel.get_legend_handles_labels()
    figure.legend(
        handles, told, loc="outside lower left", ncols=columns, frameon=False, fontsize=9, labelcolor=_TEXT
    )


def draw_factor(result: Result) -> list[Drawing]:
    """c over one label y: as certified, and as (7) says with and without the factor."""
    (one,) = result.records
    figure, (panel,) = _panels(None, 1, (6.2, 3.6))
    y = one["y"]
    panel.plot(y, one["with_2"], color=_FIT, lw=1.3, label="(7) with twice the integral")
    panel.plot(y, one["as_printed"], color=_KNOT, lw=1.3, ls=_DASHED, label="(7) as printed")
    shown = slice(None, None, max(1, len(y) // 20))
    for c, mark, name in zip(one["c"], "os^", ("no skip", "Frobenius", "nuclear"), strict=True):
        label = f"certified optimum, {name}"
        panel.plot(y[shown], c[shown], mark, ms=4.5, mew=0.8, mfc="none", color=_TEXT, label=label)
    panel.set_xlabel("label y at x = 0")
    panel.set_ylabel("output bias c, label")
    _title(panel, "one label, lam = .1")
    _frame(panel)
    _name(figure, panel, 2)
    return [
        Drawing(
            figure,
            "The output bias of the optimum rises with the label and stays at 1 from there on, as the "
            "corrected formula says; as printed it would stay at one half.",
            "The output bias c of the best network for one label y at x = 0. It takes what costs half its "
            "square until neurons, at a cost of their size, are cheaper: at 1 (certified optima, marks), "
            "and not at 1/2, where (7) as printed has it.",
        )
    ]


def draw_ten(result: Result) -> list[Drawing]:
    """The cost of one jump over the angle of the sum of slopes."""
    (one,) = result.records
    figure, (panel,) = _panels(None, 1, (6.2, 3.6))
    turn = np.degrees(one["turn"])
    rows = zip(one["sums"], one["measured"], one["mended"], (_FIT, _KNOT, _MIN), strict=True)
    for size, measured, mended, colour in rows:
        panel.plot(turn, mended, color=colour, lw=1.2, label=f"mended, sum of size {size:g}")
        panel.plot(turn[::4], measured[::4], "o", ms=4, mew=0, color=colour)
        panel.axhline(max(1.0, float(size)), color=colour, lw=1.0, ls=_DASHED)
    panel.set_xlabel("angle between the jump e1 and f′(−∞) + f′(+∞), degrees")
    panel.set_ylabel("cost, label / input")
    panel.set_xlim(0.0, 180.0)
    panel.set_xticks(np.arange(0, 181, 45))
    _title(panel, "two outputs, one kink")
    _frame(panel)
    _name(figure, panel, 2)
    return [
        Drawing(
            figure,
            "Three humps over the angle, highest at 90 degrees, above three dashed horizontals.",
            "What a function of two outputs with one jump e1 of its slope costs where biases are free, over "
            "the angle and size of the sum of its slopes at both ends. Dots: least cost, certified; lines: "
            "the mended form of (10); dashed: the larger of the two norms, which is right for one output, "
            "that is at 0 and 180 degrees.",
        )
    ]


def draw_chain(result: Result) -> list[Drawing]:
    """Every stack's chain of costs over its first."""
    chain = np.concatenate([record["chain"] for record in result.records])
    figure, (panel,) = _panels(None, 1, (6.2, 3.6))
    share = chain / chain[:, :1]
    for row in share:
        at = np.flatnonzero(~np.isnan(row))
        panel.plot(at, row[at], color=_DATA, lw=0.7, alpha=0.6)
    panel.plot(
        np.arange(5), np.nanmedian(share, axis=0), "o-", ms=5, mew=0, color=_FIT, lw=1.6, label="median"
    )
    panel.set_xticks(np.arange(5), ["raw", "balanced", "merged", "P of the\nfunction", "data bound"])
    panel.set_ylabel("cost / raw")
    panel.set_ylim(0.0, 1.05)
    _title(panel, f"{len(chain)} random stacks")
    _frame(panel)
    return [
        Drawing(
            figure,
            "Falling grey lines from 1 at the left to between 0 and 1 at the right.",
            "Each line is a stack: half the squares of its parameters as they are, balanced, with neurons "
            "of one direction merged, the least for the same function, and a bound by its outputs on the "
            "data alone. None rises. Blue: the median.",
        )
    ]


def draw_widths(result: Result) -> list[Drawing]:
    """The excess over the certified optimum, width by width."""
    figure, panels = _panels(None, 2, (8.6, 3.4), 2)
    for panel, one in zip(panels, result.records[:2], strict=True):
        widths = one["widths"]
        panel.plot(
            widths, np.maximum(one["random"], _LEAST), "s:", ms=4, mew=0, color=_OTHER, label="random starts"
        )
        panel.plot(
            widths, np.maximum(one["excess"], _LEAST), "o-", ms=5, mew=0, color=_FIT, label="best found"
        )
        panel.axvline(5, color=_KNOT, lw=1.0, ls=_DASHED, label="N")
        panel.axvline(one.number("bound"), color=_MIN, lw=1.0, ls=_DASHED, label="N r − r (r − 1) / 2")
        panel.set_yscale("log")
        panel.set_xlim(1.5, max(float(widths[0]), one.number("bound")) + 0.5)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("neurons n")
        panel.set_ylabel("(F − bound) / bound")
        tasks = int(one.settings["tasks"])
        _title(panel, f"N = 5, {'one output' if tasks == 1 else f'{tasks} outputs'}")
        _frame(panel)
    _name(figure, panels[0], 4)
    return [
        Drawing(
            figure,
            "Two panels of falling curves over the number of neurons. With five outputs the curve falls to "
            "rounding at seven neurons, to the right of the line at N = 5; with one output at five or fewer.",
            "The best objective that training found with n neurons, above the certified optimum of all "
            "widths. One output: N neurons are enough. Five outputs: six are not, seven are; green, how "
            "many always are. Random starts alone (squares) end above what networks with neurons put "
            "together reach (dots).",
        )
    ]


def draw_approach(result: Result) -> list[Drawing]:
    """An optimal curve and one of few neurons; the errors over n."""
    figure, panels = _panels(None, 2, (8.6, 3.4), 2)
    one = result.records[0]
    left, right = panels
    grid = one["grid"]
    middle, step = 0.5 * (grid[1:] + grid[:-1]), np.diff(grid)
    for t, colour in enumerate((_FIT, _MIN)):
        for name, style, said in (("f", "-", "many neurons"), ("g", _DASHED, f"{one.settings['widths'][0]}")):
            slope = np.diff(one[name][:, t]) / step
            left.plot(middle, slope, color=colour, lw=1.2, ls=style, label=f"task {t + 1}, {said}")
    for x in one["x"]:
        left.axvline(x, color=_DATA, lw=0.7, alpha=0.6)
    left.set_xlabel("x (data: vertical lines)")
    left.set_ylabel("slope, label / input")
    _title(left, "two optima of one problem")
    _frame(left)
    left.legend(frameon=False, fontsize=8, labelcolor=_TEXT, title="neurons", loc="lower left")
    widths = np.array(one.settings["widths"], dtype=float)
    for k, record in enumerate(result.records):
        names = ("slope", "value") if k == 0 else (None, None)
        right.plot(widths, record["slope_error"], "o-", ms=4, mew=0, color=_KNOT, lw=1.0, label=names[0])
        right.plot(widths, record["value_error"], "s-", ms=4, mew=0, color=_FIT, lw=1.0, label=names[1])
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("neurons n")
    right.set_ylabel("largest difference")
    right.legend(frameon=False, fontsize=9, labelcolor=_TEXT)
    _title(right, "falling like 1/n and 1/n²")
    _frame(right)
    return [
        Drawing(
            figure,
            "Left: a curve and a polygon through the same points. Right: two sets of falling straight lines "
            "on logarithmic scales.",
            "Left: an optimum with a continuous slope, of thousands of neurons, and one of few; both meet "
            "the labels at the same cost. Right: how far the nearest found optimum of n neurons is from the "
            "former, in slope (label per input, circles) and value (label, squares), for each data set.",
        )
    ]


def draw_small(result: Result) -> list[Drawing]:
    """Costs of networks trained without decay over the scale of their start."""
    found = small_of(result.records[0])
    figure, (panel,) = _panels(None, 1, (6.2, 3.6))
    for scale, ratios, met in zip(found.scales, found.cost_ratio, found.reached, strict=True):
        values = ratios[met]
        panel.scatter(np.full(len(values), scale), values, s=14, color=_DATA, **_DOT)
    panel.plot(
        found.scales, found.median_cost_ratio, "o-", ms=6, mew=0, color=_FIT, lw=1.4, zorder=4, label="median"
    )
    gap = np.where(found.reached[:, 0], found.cost_ratio[:, 0], np.nan)
    panel.plot(
        found.scales, np.nanmean(gap, axis=1), "s--", ms=5, mew=0, color=_KNOT, lw=1.2, label="y = |x − 1|"
    )
    panel.axhline(
        float(found.dots_ratio[0]), color=_KNOT, lw=0.9, ls=":", label="what free biases allow there"
    )
    panel.axhline(1.0, color=_TEXT, lw=0.9)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("standard deviation of all parameters at the start")
    panel.set_ylabel("cost / least cost, biases penalised")
    _title(panel, "gradient descent, nothing decayed")
    _frame(panel)
    _name(figure, panel)
    return [
        Drawing(
            figure,
            "Costs over the scale of the start: more than ten times the least at scale 1, falling to just "
            "above the least at the smallest scales.",
            "What networks trained without weight decay cost in (7), over the least that meets the labels "
            "(certified), by the scale of their start; a grey dot a run that met its labels. Small starts "
            "end near the least, below what interpolants of least cost with free biases may have.",
        )
    ]


def draw_scalings(result: Result) -> list[Drawing]:
    """Joint minus separate over the width, in both scalings."""
    found = scalings_of(result.records[0])
    figure, (panel,) = _panels(None, 1, (6.2, 3.4))
    pairs = (
        ("NTK scaling", found.ntk_joint_minus_separate, _KNOT, "s"),
        ("mean-field scaling", found.mean_field_joint_minus_separate, _FIT, "o"),
    )
    for name, values, colour, mark in pairs:
        panel.plot(found.widths, np.exp(np.log(values).mean(axis=1)), color=colour, lw=1.3, label=name)
        panel.plot(found.widths, values, mark, ms=4.5, mew=0, color=colour)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("neurons n")
    panel.set_ylabel("|joint − separate|, label")
    _title(panel, "without weight decay")
    _frame(panel)
    _name(figure, panel)
    return [
        Drawing(
            figure,
            "Two curves over the width: that of the NTK scaling falls, that of the mean-field scaling stays.",
            "The largest difference between predictions of tasks trained together and alone, over the "
            "width: one start under two scalings, a mark a start, lines their geometric means.",
        )
    ]


def draw_separate(result: Result) -> list[Drawing]:
    """Joint minus separate of every method; and fits of two tasks."""
    records = result.records
    figure, (left, middle, right) = _panels(None, 3, (12.5, 4.0), 3)
    every = np.array([record["difference"] for record in records])
    places = np.arange(len(METHODS))[::-1]
    for name, place, values in zip(METHODS, places, every.T, strict=True):
        colour = _KNOT if name in FIXED else _ONE_SE if name == CORRELATED else _FIT
        left.scatter(np.maximum(values, _LEAST), np.full(len(values), place), s=26, color=colour, **_DOT)
    left.axvline(1e-10, color=_TEXT, lw=0.9, ls=_DASHED)
    left.set_xscale("log")
    left.set_yticks(places, METHODS)
    left.grid(axis="x", lw=0.4, alpha=0.6)
    left.set_xlabel("|joint − separate|, standard deviations of the labels")
    _title(left, "all tasks at once, or one at a time")
    _frame(left)
    _draw_fits(middle, right, records)
    return [
        Drawing(
            figure,
            "Left: rows of dots by method; fixed kernels and random features lie near 1e-14, trained "
            "networks near 1. Middle and right: a network fitted to all tasks differs from those fitted to "
            "each, a Gaussian process does not.",
            "Left: the largest difference between predictions of all tasks fitted at once and each alone, a "
            "dot a data set; orange, fixed kernels and random features; blue, certified networks; violet, a "
            "Gaussian process told that tasks are correlated. Middle: the task that moves most, with the "
            "others and alone. Right: what all tasks of these data move by; the process's lines are 0.",
        )
    ]


def _draw_fits(panel: Axes, beside: Axes, records: Sequence[Any]) -> None:
    """The task that moves most for its size within its data, and what it and the other tasks move by."""
    most, one, t = -1.0, records[0], 0
    for record in records:
        apart = np.abs(record["network_joint"] - record["network_alone"])
        for k in range(apart.shape[1]):
            seen = ~np.isnan(record["Y"][:, k])
            x, y = record["X"][seen, 0], record["Y"][seen, k]
            within = (record["grid"] >= x.min()) & (record["grid"] <= x.max())
            moved = float(apart[within, k].max() / np.ptp(y))
            if moved > most:
                most, one, t = moved, record, k
    grid, seen = one["grid"], ~np.isnan(one["Y"][:, t])
    x, y = one["X"][seen, 0], one["Y"][seen, t]
    panel.plot(x, y, "o", ms=3.5, mew=0, color=_DATA, label="data")
    panel.plot(grid, one["network_joint"][:, t], color=_FIT, lw=1.3, label="network, joint")
    panel.plot(grid, one["network_alone"][:, t], color=_FIT, lw=1.3, ls=_DASHED, label="network, alone")
    panel.plot(grid, one["process_joint"][:, t], color=_KNOT, lw=1.3, label="process, joint")
    panel.plot(grid, one["process_alone"][:, t], color=_TEXT, lw=1.0, ls=":", label="process, alone")
    pad = 0.1 * float(np.ptp(y))
    panel.set_ylim(y.min() - pad, y.max() + pad)
    panel.set_ylabel("label, standard deviations")
    _title(panel, f"fits of task {t + 1}")
    panel.legend(frameon=False, fontsize=8, labelcolor=_TEXT)
    for k in range(one["Y"].shape[1]):
        names = ("network", "process") if k == 0 else (None, None)
        for name, colour, said in zip(("network", "process"), (_FIT, _KNOT), names, strict=True):
            moved = one[f"{name}_joint"][:, k] - one[f"{name}_alone"][:, k]
            beside.plot(grid, moved, color=colour, lw=1.1, label=said)
    beside.set_ylabel("joint − alone, standard deviations")
    _title(beside, "all five tasks")
    beside.legend(frameon=False, fontsize=8, labelcolor=_TEXT)
    for each in (panel, beside):
        each.set_xlim(x.min(), x.max())
        each.set_xlabel("x")
        _frame(each)


def draw_modes(result: Result) -> list[Drawing]:
    """Modes under both priors beside the process."""
    one = result.records[0]
    figure, (panel,) = _panels(None, 1, (6.8, 3.8))
    panel.plot(one["X"][:, 0], one["Y"][:, 0], "o", ms=4, mew=0, color=_DATA, label="data")
    panel.plot(one["grid"], one["process"], color=_KNOT, lw=1.5, label="Gaussian process, the limit")
    panel.plot(one["grid"], one["mode"], color=_FIT, lw=1.5, label="mode, prior of one variance (4)")
    widths = one.settings["widths"]
    shown = [0, len(widths) // 2, len(widths) - 1]
    for k, style in zip(shown, (":", _DASHED, "-"), strict=True):
        label = f"mode, prior with a limit, n = {widths[k]:,}"
        panel.plot(one["grid"], one["scaled"][k], color=_MIN, lw=1.0, ls=style, label=label)
    panel.set_xlabel("x")
    panel.set_ylabel("label")
    _title(panel, "modes in the space of parameters, and the limit")
    _frame(panel)
    _name(figure, panel, 2)
    return [
        Drawing(
            figure,
            "Data of a sine. The mode under (4) and the Gaussian process both follow it, apart from each "
            "other; the modes under the prior that has a limit grow flat with the width.",
            "Blue: the network of (4), whose prior does not depend on the width. Orange: the posterior mean "
            "of the Gaussian process of infinite width. Green: modes of networks under that process's own "
            "prior, whose output weights have variance 2 / n: with more neurons they shrink to a constant.",
        )
    ]


def draw_footnote(result: Result) -> list[Drawing]:
    """Errors of the data-poor task, draw by draw."""
    names = ("told", "fitted", "alone", "told_wrong_sign")
    values = [np.concatenate([one[name] for one in result.records]) for name in names]
    figure, (panel,) = _panels(None, 1, (6.2, 2.9))
    places = np.arange(len(names))[::-1]
    rng = np.random.default_rng(0)
    for place, part, colour in zip(places, values, (_MIN, _FIT, _DATA, _KNOT), strict=True):
        aside = place + rng.uniform(-0.18, 0.18, len(part))
        panel.scatter(part, aside, s=14, color=colour, alpha=0.8, **_DOT)
        panel.plot(np.full(2, np.median(part)), [place - 0.32, place + 0.32], color=_TEXT, lw=1.6, zorder=4)
    panel.set_xscale("log")
    panel.set_yticks(places, ["told", "fitted to the labels", "alone", "told the wrong sign"])
    panel.set_xlabel("mean squared error of the task with 4 labels, label²")
    _title(panel, "correlated Gaussian processes")
    _frame(panel)
    return [
        Drawing(
            figure,
            "Four rows of dots: told and fitted correlations have small errors, alone larger ones, the "
            "wrong sign the largest.",
            "A task with 4 labels beside three of 20, correlated .95 with random signs: a dot a draw, bars "
            "medians. Green: the prior is told the correlations; blue: it fits them by marginal likelihood; "
            "grey: the task alone; orange: told the wrong sign.",
        )
    ]
