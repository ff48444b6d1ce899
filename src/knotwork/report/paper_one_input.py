"""Paper A, Figs. 1, 2, 3 and 6, and what Theorem 3.1 was measured against, from records."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..experiments.experiment import Result
from ..experiments.records import Record
from ..network import ReLUNetwork
from .drawing import Drawing
from .pictures import _DATA, _FIT, _KNOT, _MIN, _OTHER, _TEXT, _draw_member, _frame, _legend, _panels, _title

Array = NDArray[np.float64]

_DOTS: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgewidth": 0}
_MOST = 150
_FEWEST, _CONNECT = "fewest knots", "connect the dots"


def draw_two_solutions(result: Result) -> list[Drawing]:
    """A 1: the two, what lies between and about them, and how robust they are."""
    five = result.records[0]
    figure, panels = _panels(None, 4, (9.4, 6.6), 2)
    for panel, name, title in zip(
        panels, ("peaked", "dots"), (f"left: {_FEWEST}", f"right: {_CONNECT}"), strict=False
    ):
        _draw_set(panel, five)
        network = five.network(name)
        _draw_member(panel, network, 0, five["grid"][[0, -1]], color=_FIT, lw=1.6, label="solution")
        _draw_knots(panel, network)
        _draw_labels(panel, five["x"], five["y"])
        _title(panel, f"{title}, relative gap {five['gap'][0 if name == 'dots' else 1]:.1g}")
    panel = panels[2]
    _draw_set(panel, five)
    ends = five["grid"][[0, -1]]
    for kind, colour, dash, label in (
        ("member", _MIN, "-", "drawn at random"),
        ("mixture", _KNOT, (0, (4, 2)), "convex combinations"),
    ):
        names = sorted(name for name in five.arrays if name.startswith(kind) and name.endswith(".W"))
        for k, name in enumerate(names):
            style: dict[str, Any] = {"color": colour, "lw": 0.8, "ls": dash, "label": None if k else label}
            _draw_member(panel, five.network(name.removesuffix(".W")), 0, ends, **style)
    _draw_labels(panel, five["x"], five["y"])
    _title(panel, f"others, relative gaps up to {five['gap'][2:].max():.1g}")
    for panel in panels[:3]:
        panel.set_xlabel("x")
        panel.set_ylabel("label, f(x)")
        _frame(panel)
    _draw_robustness(panels[3], five)
    handles = dict(
        pair for one in panels[:3] for pair in zip(*reversed(one.get_legend_handles_labels()), strict=True)
    )
    style: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": _TEXT}
    figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=6, **style)
    caption = (
        "A, Figure 1. Top: two solutions of one problem (blue, knots orange) within the envelopes of all "
        "its solutions (shaded). Bottom left: their convex combinations (dashed) and solutions drawn at "
        "random. Bottom right: how far each is off the labels when inputs or labels are perturbed; the bar "
        "is the range of random solutions. The worst case over inputs is the same for all."
    )
    alt = (
        "Five points on an arch. One solution has a peak between the second and third point, one connects "
        "the dots; a shaded region of all solutions lies above the lines between the three inner points."
    )
    return [Drawing(figure, alt, caption, "A 1")]


def _draw_set(panel: Axes, five: Record) -> None:
    style: dict[str, Any] = {"color": _OTHER, "alpha": 0.35, "lw": 0}
    panel.fill_between(
        five["grid"][::2], five["lower"][::2], five["upper"][::2], label="all solutions", **style
    )


def _draw_knots(panel: Axes, network: ReLUNetwork) -> None:
    places = network.knots.location
    panel.plot(
        places, network.predict(places)[:, 0], color=_KNOT, ms=5.5, zorder=4, label="its knots", **_DOTS
    )


def _draw_labels(panel: Axes, x: Array, y: Array) -> None:
    panel.plot(x, y, color=_TEXT, ms=3.4, zorder=5, label="labels", **_DOTS)


def _draw_robustness(panel: Axes, five: Record) -> None:
    rows = {
        "worst input,\nall points": five["worst"][:, -1].max(axis=1),
        "worst input,\nmean of points": five["worst"][:, -1].mean(axis=1),
        "mean input": five["mean"][:, -1].mean(axis=1),
        "beyond the\nlabels' range": five["beyond"],
        "worst label noise\n(per unit of noise)": five["noise"],
    }
    for k, size in enumerate(rows.values()):
        panel.plot(
            [size[2:].min(), size[2:].max()], [k, k], color=_MIN, lw=4, alpha=0.45, solid_capstyle="butt"
        )
        panel.plot(size[1], k - 0.12, color=_KNOT, ms=6, label=_FEWEST if k == 0 else None, **_DOTS)
        panel.plot(size[0], k + 0.12, color=_FIT, ms=6, label=_CONNECT if k == 0 else None, **_DOTS)
    panel.set_yticks(range(len(rows)), list(rows))
    panel.invert_yaxis()
    panel.set_xlim(left=-0.05)
    panel.set_xlabel("off the labels, in their units (smaller is more robust)")
    _title(panel, "robustness")
    _frame(panel)
    panel.tick_params(axis="y", labelsize=8.5)
    panel.legend(frameon=False, fontsize=9, labelcolor=_TEXT, loc="upper right")


def draw_connect_the_dots(result: Result) -> list[Drawing]:
    """A 2: a panel for each data set."""
    (one,) = result.records
    n_tasks = one["Y"].shape[1]
    figure, panels = _panels(None, n_tasks, (9.4, 3.3), n_tasks)
    for t, panel in enumerate(panels):
        panel.axvspan(one["x"][0], one["x"][-1], color=_DATA, alpha=0.12, lw=0)
        panel.plot(
            one["grid"], one["kernel"][:, t], color=_KNOT, lw=1.6, ls=(0, (4, 2)), label="Sobolev kernel (6)"
        )
        panel.plot(one["grid"], one["dots"][:, t], color=_FIT, lw=1.3, label="certified optimum at lam = 0")
        _draw_labels(panel, one["x"], one["Y"][:, t])
        _title(panel, f"data set {t + 1}")
        panel.set_xlabel("x")
        _frame(panel)
    panels[0].set_ylabel("label, f(x)")
    _legend(figure, panels[0], True)
    caption = (
        "A, Figure 2. The optimum at lam = 0 (blue) of three data sets in one network connects the dots, "
        "and goes on as a line beyond the data (unshaded). The minimum-norm interpolant of the Sobolev "
        "kernel (dashed) is the same on the data, and constant beyond."
    )
    alt = "Three panels of six points joined by straight lines; beyond the data a dashed line stays level."
    return [Drawing(figure, alt, caption, "A 2")]


def draw_lemma(result: Result) -> list[Drawing]:
    """A 3: the letters, what the draws cost, and the knots that are not data."""
    (one,) = result.records
    figure, (letters, draws, mended) = _panels(None, 3, (9.8, 3.7), 3)
    _draw_letters(letters, one)
    drop = (one["before"] - one["after"]) / one["before"]
    marks = (("any slopes", _FIT, 2.6), ("aligned", _KNOT, 5.0), ("aligned, δ too large", _MIN, 2.6))
    for kind, (name, colour, size) in enumerate(marks):
        here = np.flatnonzero(one["kind"] == kind)[:_MOST]
        angle = np.degrees(one["angle"][here])
        draws.plot(angle, drop[here], color=colour, ms=size, alpha=0.7, label=name, **_DOTS)
    draws.set_xlim(-8, 188)
    draws.set_xticks([0, 45, 90, 135, 180])
    draws.set_ylim(-0.04, 1.42)
    draws.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    draws.set_xlabel("angle between b - a and c - b [degrees]")
    draws.set_ylabel("share of R that the straight line saves")
    draws.legend(frameon=False, fontsize=8.5, labelcolor=_TEXT, loc="upper right")
    _title(draws, "random draws, 1 to 4 outputs")
    x = one["example x"]
    grid = np.linspace(x[0], x[-1], 121)
    shapes = (
        ("example", _FIT, "-", "f"),
        ("as written", _KNOT, (0, (4, 2)), "between knots"),
        ("mended", _MIN, "-", "between data"),
    )
    for name, colour, dash, label in shapes:
        values = one.network(name).predict(grid)[:, 0]
        mended.plot(grid, values, color=colour, lw=1.5, ls=dash, label=label)
    _draw_labels(mended, x, one["example y"])
    mended.set_xlabel("x")
    mended.legend(frameon=False, fontsize=8.5, labelcolor=_TEXT, loc="upper right")
    mended.set_ylim(top=1.35)
    _title(mended, f"the closest knots miss by {one.number('missed'):.2g}")
    for panel in (letters, draws, mended):
        _frame(panel)
    caption = (
        "A, Figure 3. Left: the lemma's letters; the straight line (dashed) takes the place of the knot "
        "between two others. Middle: what it saves in random draws: always something, nothing only where "
        "slope changes are aligned and delta is small. Right: the line between the closest knots (orange) "
        "misses labels (black); between the closest data (green) it keeps them."
    )
    alt = (
        "A bent line with four slopes and its chord; a cloud of savings that touches zero at angle zero "
        "only; a trapezium whose plateau misses two labels."
    )
    return [Drawing(figure, alt, caption, "A 3")]


def _draw_letters(panel: Axes, one: Record) -> None:
    before, knot, after = one["drawn knots"]
    f, straight = one.network("drawn"), one.network("straight")
    ends = np.array([before - 0.5, before, knot, after, after + 0.5])
    heights = f.predict(ends)[:, 0]
    panel.plot(ends, heights, color=_FIT, lw=1.6)
    panel.plot(ends[[1, 3]], straight.predict(ends[[1, 3]])[:, 0], color=_KNOT, lw=1.6, ls=(0, (4, 2)))
    panel.plot(ends[1:-1], heights[1:-1], color=_FIT, ms=5, **_DOTS)
    said = ("a", "b + δ", "b − τδ/(1 − τ)", "c")
    shift = ((-4, 6, "right"), (-4, 6, "right"), (6, 6, "left"), (5, 5, "left"))
    for k, (text, (right, up, side)) in enumerate(zip(said, shift, strict=True)):
        middle = 0.5 * (ends[k] + ends[k + 1]), 0.5 * (heights[k] + heights[k + 1])
        panel.annotate(
            text, middle, (right, up), ha=side, textcoords="offset points", fontsize=9.5, color=_TEXT
        )
    chord = 0.5 * (before + after), float(straight.predict([0.5 * (before + after)])[0, 0])
    panel.annotate("b", chord, (2, -13), textcoords="offset points", fontsize=9.5, color=_KNOT)
    panel.set_xticks([before, knot, after], ["x̃₁", "x̃", "x̃₂"])
    panel.set_yticks([])
    panel.set_ylim(heights.min() - 0.12, heights.max() + 0.22)
    panel.set_xlim(ends[0] - 0.1, ends[-1] + 0.25)
    costs = one["drawn costs"]
    _title(panel, f"R = {costs[0]:.3g}, without the knot {costs[1]:.3g}")


def draw_edge(result: Result) -> list[Drawing]:
    """A 6: with a knot before the second data point, without, and what it costs."""
    (one,) = result.records
    figure, (with_knot, without, costs) = _panels(None, 3, (9.8, 3.3), 3)
    x = one["x"]
    grid = np.linspace(x[0] - 0.5, x[-1] + 0.2, 289)
    names = ("g", "f")
    heights = np.concatenate([one.network(name).predict(grid) for name in names])
    for panel, name, cost in zip((with_knot, without), names, one["costs"], strict=True):
        network = one.network(name)
        for t, colour in enumerate((_FIT, _MIN)):
            panel.plot(grid, network.predict(grid)[:, t], color=colour, lw=1.4, label=f"output {t + 1}")
            panel.plot(x, one["Y"][:, t], color=_TEXT, ms=3.6, zorder=4, **_DOTS)
        panel.set_ylim(heights.min() - 0.1, heights.max() + 0.1)
        panel.set_xlabel("x")
        if name == "g":
            panel.axvline(
                x[0] + 0.5 * (x[1] - x[0]), color=_KNOT, lw=1.0, ls=(0, (3, 2)), label="knot between"
            )
            panel.legend(frameon=False, fontsize=8.5, labelcolor=_TEXT, loc="lower right")
        said = "g, a knot in (x₁, x₂)" if name == "g" else "connect the dots"
        _title(panel, f"{said}: R = {cost:.3g}")
    ratio = one["excess"] / one["size"]
    costs.hist(np.minimum(ratio, 6.0), bins=40, range=(1.0 - 1e-6, 6.0), color=_FIT)
    costs.set_xlim(0.0, 6.1)
    costs.axvline(1.0, color=_KNOT, lw=1.2, ls=(0, (3, 2)), label="|δ|")
    costs.set_xlabel("extra cost / |δ| (last bar: ≥ 6)")
    costs.set_ylabel("random draws")
    costs.legend(frameon=False, fontsize=9, labelcolor=_TEXT)
    _title(costs, f"random draws: at least {ratio.min():.3g} |δ| more")
    for panel in (with_knot, without, costs):
        _frame(panel)
    caption = (
        "A, Figure 6. A function with a knot between the first two data points (left) costs more than "
        "connect the dots (middle). Right: the difference in random draws, over the change of slope |δ| "
        "that the knot makes: never below 1."
    )
    alt = "Two outputs with a bend before the second point, the same without, and a histogram from one on."
    return [Drawing(figure, alt, caption, "A 6")]


def draw_uniqueness(result: Result) -> list[Drawing]:
    """Ranges of f by linear programmes against the theorem's verdict, and two tasks at an angle."""
    figure, (ranges, turned) = _panels(None, 2, (9.4, 3.6), 2)
    single = [record for record in result.records if record.settings["part"] == "one task"]
    width = np.concatenate([record["width"] for record in single])
    said = np.concatenate([record["said open"] for record in single]).astype(bool)
    order = np.argsort(width)
    place = np.arange(len(width))
    for kind, colour, label in (
        (False, _FIT, "determined, by the theorem"),
        (True, _KNOT, "open, by the theorem"),
    ):
        here = said[order] == kind
        ranges.plot(
            place[here], np.maximum(width[order][here], 1e-10), color=colour, ms=3, label=label, **_DOTS
        )
    ranges.set_yscale("log")
    ranges.set_xlabel("interval between data, by range")
    ranges.set_ylabel("range of f in its middle / labels")
    ranges.legend(frameon=False, fontsize=9, labelcolor=_TEXT, loc="center left")
    _title(ranges, "one task: all solutions by linear programmes")
    (one,) = (record for record in result.records if record.settings["part"] == "turned")
    angle, rise = one["angle"], np.maximum(one["rise"], 1e-17)
    unique = one["unique"].astype(bool)
    curve = angle > 0
    turned.plot(
        angle[curve], 2.0 - 2.0 * np.cos(0.5 * angle[curve]), color=_DATA, lw=1.0, label="2 − |u + v|"
    )
    for kind, colour, label in ((True, _FIT, "said unique"), (False, _KNOT, "said not unique")):
        here = curve & (unique == kind)
        turned.plot(angle[here], rise[here], color=colour, ms=3.4, label=label, **_DOTS)
    turned.set_xscale("log")
    turned.set_yscale("log")
    turned.set_ylim(1e-17, 10.0)
    turned.set_xlabel("angle between two slope changes u, v [radians]")
    turned.set_ylabel("what a knot between costs / |δ|")
    turned.legend(frameon=False, fontsize=9, labelcolor=_TEXT, loc="upper left")
    _title(turned, "two tasks: any angle makes it unique")
    for panel in (ranges, turned):
        _frame(panel)
    caption = (
        "A, Theorem 3.1. Left: for random data of one task, how far f can vary in the middle of each "
        "interval over all solutions; colours are the theorem's verdict. Right: two tasks whose slope "
        "changes meet at an angle: a further knot between them costs more the larger the angle; below 1e-5 "
        "slope changes count as aligned."
    )
    alt = "Ranges fall into two groups, near zero and large, as the theorem says; a rising curve of costs."
    return [Drawing(figure, alt, caption)]
