"""The pictures of an audit: what the network and the better one predict, and which tasks share neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..auditing import Audit
from ..auditing.neurons import look_at
from ..losses import Logistic, Loss, Multinomial, PerTask, Poisson
from ..network import ReLUNetwork
from .pictures import _DATA, _FIT, _KNOT, _TEXT, _frame, _legend, _panels, _refined, _title
from .text import count, one_line

Array = NDArray[np.float64]
_MOST_PANELS = 6
_MOST_POINTS = 1500
_MOST_COLUMNS = 120
_MOST_NAMES = 40
_LONGEST_NAME = 30


def draw_audit_fits(audit: Audit, input_names: Sequence[str], task_names: Sequence[str]) -> Figure:
    """The network as given and the improved one, a panel for each of the first 6 tasks: over the one input,
    with data and knots; of several inputs, predictions against labels. Predictions under logistic,
    multinomial and Poisson loss are drawn as the probabilities or rates they stand for."""
    problem = audit.problem
    tasks = range(min(problem.n_tasks, _MOST_PANELS))
    columns = {1: 1, 2: 2, 4: 2}.get(len(tasks), 3)
    rows = -(-len(tasks) // columns)
    figure, panels = _panels(None, len(tasks), (1.5 + 3.3 * columns, 1.2 + 2.7 * rows), columns)
    for panel, t in zip(panels, tasks, strict=True):
        seen = np.flatnonzero(problem.label_weight()[:, t] > 0)
        seen = seen[:: -(-len(seen) // _MOST_POINTS)]
        if problem.n_inputs == 1:
            _draw_curves(panel, audit, t, seen)
            panel.set_xlabel(one_line(input_names[0], _LONGEST_NAME), parse_math=False)
        else:
            _draw_scatter(panel, audit, t, seen)
        _title(panel, one_line(task_names[t], _LONGEST_NAME))
        _frame(panel)
    _legend(figure, panels[0], True)
    return figure


def draw_sharing(audit: Audit, task_names: Sequence[str]) -> Figure:
    """The share of each task in the cost of each neuron, the costliest neurons first, of both networks."""
    improved = look_at(audit.improved, audit.problem)
    pairs = [("as given", audit.neurons), ("improved", improved)]
    n_tasks = audit.problem.n_tasks
    height = 1.2 + 2 * max(1.2, 0.22 * min(n_tasks, _MOST_NAMES))
    figure, panels = _panels(None, 2, (7.5, height))
    shades = LinearSegmentedColormap.from_list("share", ["#ffffff", _FIT])
    image = None
    for panel, (name, neurons) in zip(panels, pairs, strict=True):
        alive = np.setdiff1d(np.arange(len(neurons.cost)), neurons.dead)
        order = alive[np.argsort(-neurons.cost[alive], kind="stable")][:_MOST_COLUMNS]
        _title(panel, f"{name}: {_some(len(order), len(alive))}")
        if len(order):
            share = neurons.sharing[:, order]
            image = panel.imshow(share, cmap=shades, vmin=0.0, vmax=1.0, aspect="auto", interpolation="none")
        if n_tasks <= _MOST_NAMES:
            names = [one_line(task, _LONGEST_NAME) for task in task_names]
            panel.set_yticks(np.arange(n_tasks), names, parse_math=False)
        else:
            panel.set_ylabel("task")
        named = len(order) if len(order) <= _MOST_NAMES else 0
        panel.set_xticks(np.arange(named), order[:named])
        _frame(panel)
        panel.tick_params(labelsize=7, length=0)
    panels[1].set_xlabel("neuron, the costliest first")
    if image is not None:
        bar = figure.colorbar(image, ax=panels, label="share of the neuron's cost", fraction=0.03)
        bar.ax.tick_params(labelsize=8, labelcolor=_TEXT, color=_TEXT)
    return figure


def _some(drawn: int, alive: int) -> str:
    return count(alive, "neuron") if drawn == alive else f"the first {drawn} of {alive} neurons"


def _draw_curves(panel: Axes, audit: Audit, t: int, seen: NDArray[np.intp]) -> None:
    problem = audit.problem
    x = problem.X[:, 0]
    low, high = float(x.min()), float(x.max())
    margin = 0.05 * (high - low) or 1.0
    ends = np.array([low - margin, high + margin])
    panel.plot(x[seen], problem.Y[seen, t], color=_DATA, ms=3.4, mew=0, ls="none", marker="o", label="labels")
    styles: tuple[tuple[ReLUNetwork, str, dict[str, Any], str], ...] = (
        (audit.network, _KNOT, {"ls": (0, (4, 2)), "lw": 1.2, "zorder": 3}, "as given"),
        (audit.improved, _FIT, {"lw": 1.6}, "improved"),
    )
    for network, colour, style, name in styles:
        bends = network.knots.location
        bends = bends[(bends > ends[0]) & (bends < ends[1])]
        grid = _refined(np.concatenate([ends, bends]))
        panel.plot(
            grid, _expected(problem.loss_function, network, grid)[:, t], color=colour, label=name, **style
        )
        marks: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4.2, "color": colour}
        hollow: dict[str, Any] = {"mfc": "#ffffff"} if network is audit.network else {"mew": 0}
        height = _expected(problem.loss_function, network, bends)[:, t]
        panel.plot(bends, height, label=f"its knots, {name}", zorder=4, **marks, **hollow)
    panel.set_xlim(*ends)


def _draw_scatter(panel: Axes, audit: Audit, t: int, seen: NDArray[np.intp]) -> None:
    problem = audit.problem
    y = problem.Y[seen, t]
    ends = [float(y.min()), float(y.max())]
    panel.plot(ends, ends, color=_DATA, lw=1.0, label="label = prediction")
    marks: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4.2}
    loss, X = problem.loss_function, problem.X[seen]
    given, improved = (_expected(loss, network, X)[:, t] for network in (audit.network, audit.improved))
    panel.plot(y, given, color=_KNOT, mfc="none", label="as given", **marks)
    panel.plot(y, improved, color=_FIT, mew=0, alpha=0.75, label="improved", **marks)
    panel.set_xlabel("label")
    panel.set_ylabel("prediction")


def _expected(loss: Loss, network: ReLUNetwork, X: Array) -> Array:
    """(n, T) predictions on the scale of the labels: probabilities and rates where f is their logarithm."""
    f = network.predict(X)
    losses = loss.losses if isinstance(loss, PerTask) else (loss,)
    if isinstance(loss, Multinomial):
        return loss.gradient(np.zeros_like(f), f)
    for t in range(f.shape[1]):
        one = losses[t] if isinstance(loss, PerTask) else loss
        if isinstance(one, Logistic | Poisson):
            # the gradient is the expected label less the label
            f[:, [t]] = one.gradient(np.zeros((len(f), 1)), f[:, [t]])
    return f
