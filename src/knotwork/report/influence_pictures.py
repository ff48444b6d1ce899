"""Which task taught which: a picture of `Influence`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..selection.influence import Influence
from .pictures import _TEXT, _panels, _title
from .text import one_line

_LONGEST_NAME, _MOST_NUMBERS, _MOST_NAMES = 24, 12, 40
_LEAST, _ROUNDING = 1e-4, 1e-12


def draw_influence(
    influence: Influence, *, task_names: Sequence[str] | None = None, axes: Axes | None = None
) -> Figure:
    """`influence.shares`, task by task: of the variance that errors of the labels, alike in all tasks,
    give to the fit of the task in a row, the share from the labels of the task in a column.

    Colours are on a log scale from 1e-4. For up to 12 tasks the shares are written in per cent, as 0 only
    what is below 1e-12. A fixed kernel would have 100 on the diagonal, and 0 elsewhere.

    Parameters
    ----------
    task_names : T names ("task 0", ... when None); shown as they are, shortened in the middle.
    axes : where to draw; a new figure when None.

    Raises
    ------
    TypeError, ValueError : for what is no influence, and names that are not T.
    """
    if not isinstance(influence, Influence):
        raise TypeError(f"influence: must come from knotwork.influence, got {type(influence).__name__}")
    shares = influence.shares
    n_tasks = len(shares)
    names = [f"task {t}" for t in range(n_tasks)] if task_names is None else list(task_names)
    if len(names) != n_tasks:
        raise ValueError(f"task_names: must be {n_tasks} names, got {len(names)}")
    names = [one_line(str(name), _LONGEST_NAME) for name in names]
    side = 2.2 + 0.5 * min(n_tasks, 16)
    figure, (panel,) = _panels(None if axes is None else [axes], 1, (side + 1.0, side))
    image = panel.imshow(np.maximum(shares, _LEAST), norm=LogNorm(_LEAST, 1.0), cmap="Blues")
    every = -(-n_tasks // _MOST_NAMES)
    ticks = np.arange(0, n_tasks, every)
    style = {"parse_math": False, "fontsize": 9, "color": _TEXT}
    panel.set_xticks(
        ticks, [names[t] for t in ticks], rotation=45, ha="right", rotation_mode="anchor", **style
    )
    panel.set_yticks(ticks, [names[t] for t in ticks], **style)
    panel.set_xlabel("labels of", color=_TEXT, fontsize=9.5)
    panel.set_ylabel("fit of", color=_TEXT, fontsize=9.5)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    if n_tasks <= _MOST_NUMBERS:
        for (s, t), share in np.ndenumerate(shares):
            shade = "white" if share > 0.05 else _TEXT
            panel.text(t, s, _per_cent(share), ha="center", va="center", fontsize=8, color=shade)
    _title(panel, "Which task taught which: shares of the fit's variance")
    bar = figure.colorbar(image, ax=panel, fraction=0.05, ticks=[1.0, 0.1, 0.01, 1e-3, _LEAST])
    bar.ax.set_yticklabels(["100 %", "10 %", "1 %", "0.1 %", "≤ 0.01 %"], fontsize=8, color=_TEXT)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def _per_cent(share: float) -> str:
    value = 100.0 * share
    if value < 0.005:
        return "0" if share < _ROUNDING else "<.01"
    return f"{value:.2f}" if value < 0.095 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
