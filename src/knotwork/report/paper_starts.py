"""Paper A, Fig. 4: trained networks before the certified optimum and the set of all solutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..experiments.experiment import Result
from ..experiments.one_input_starts import STARTS, Group, main_pair
from .drawing import Drawing
from .pictures import _FIT, _KNOT, _OTHER, _TEXT, _draw_member, _frame, _panels, _title


def draw_starts(result: Result) -> list[Drawing]:
    """A 4: rows one task and two tasks, three starts each, and all starts in the last column."""
    pair = main_pair(result.records, "all")
    figure, panels = _panels(None, 2 * (STARTS + 1), (11.0, 6.2), STARTS + 1)
    for row, group in enumerate(pair):
        one = group.records[0]
        gaps = group.all("gap")
        name = "one task" if row == 0 else "first of two tasks"
        for k in range(STARTS):
            panel = panels[row * (STARTS + 1) + k]
            _draw_optimum(panel, group)
            panel.plot(one["corner x"][k], one["corner y"][k], color=_FIT, lw=1.5, label="trained")
            _title(panel, f"{name}, start {k + 1}:\ngap {gaps[k]:.1g}, R = {group.all('cost')[k]:.5g}")
        panel = panels[row * (STARTS + 1) + STARTS]
        _draw_optimum(panel, group)
        for at, heights in zip(one["corner x"], one["corner y"], strict=True):
            panel.plot(at, heights, color=_FIT, lw=0.5, alpha=0.6)
        _title(panel, f"{len(one['corner x'])} of {len(gaps)} starts:\nspread {group.spread.mean():.2g}")
    low = min(
        float(min(group.records[0]["corner y"].min(), group.records[0]["wide lower"].min())) for group in pair
    )
    high = max(
        float(max(group.records[0]["corner y"].max(), group.records[0]["wide upper"].max())) for group in pair
    )
    pad = 0.06 * (high - low)
    for k, panel in enumerate(panels):
        panel.set_ylim(low - pad, high + pad)
        panel.set_xlabel("x" if k > STARTS else "")
        panel.set_ylabel("" if k % (STARTS + 1) else "label, f(x)")
        _frame(panel)
    handles, labels = panels[0].get_legend_handles_labels()
    style: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": _TEXT}
    figure.legend(handles, labels, loc="outside lower left", ncols=4, **style)
    single, double = (float(group.spread.mean()) for group in pair)
    caption = (
        "A, Figure 4. Networks trained by Adam (blue) before a certified optimum (orange, dashed) and the "
        "envelopes of all solutions (shaded). Top: one task; every start ends in another solution of the "
        "same cost R. Bottom: the same labels beside a second task of random labels; all end in connect "
        f"the dots. Gap: certified, relative. Spread: mean L2 distance to the mean function, {single:.2g} "
        f"and {double:.2g}."
    )
    alt = (
        "Two rows of four panels over five points. In the upper row learned functions differ within a "
        "shaded region; in the lower row all lie on the straight lines between the points."
    )
    return [Drawing(figure, alt, caption, "A 4")]


def _draw_optimum(panel: Axes, group: Group) -> None:
    one = group.records[0]
    wide = one["wide"]
    if np.any(one["upper"] > one["lower"]) or group.settings["tasks"] == 1:
        shade: dict[str, Any] = {"color": _OTHER, "alpha": 0.35, "lw": 0}
        panel.fill_between(
            wide[::4], one["wide lower"][::4], one["wide upper"][::4], label="all solutions", **shade
        )
    style: dict[str, Any] = {
        "color": _KNOT,
        "lw": 1.2,
        "ls": (0, (4, 2)),
        "zorder": 3,
        "label": "certified optimum",
    }
    _draw_member(panel, one.network("optimum"), 0, wide[[0, -1]], **style)
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgewidth": 0}
    panel.plot(one["x"], one["Y"][:, 0], color=_TEXT, ms=3.6, zorder=4, label="labels", **dots)
