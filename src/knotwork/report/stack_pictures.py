"""Pictures of stacked networks: their layers, as in paper B's Figs. 1-6, and what they learned, Figs. 7-8."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..deep.periodic import measured_period, representation, shift_error
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..stacked import StackedNetwork
from .pictures import _DATA, _FIT, _KNOT, _MIN, _OTHER, _TEXT, _frame, _panels, _title
from .text import count, one_line

Array = NDArray[np.float64]
_MOST_NODES, _MOST_TASKS = 5, 8
_GRID = 2001
_COLUMNS = 3
_LINES = (_FIT, _KNOT, _MIN, _OTHER)


def draw_architecture(
    network: StackedNetwork,
    penalties: Penalty | Sequence[Penalty] | None = None,
    *,
    axes: Axes | None = None,
) -> Figure:
    """Layers d_0, n_1, d_1, n_2, ..., d_S, five nodes of each at most, and what connects them.

    A stack with a skip connection has an arrow past its neurons (B, Figs. 3 and 5) or, under a nuclear
    norm, linear neurons, as many as A has rank, beside them (Figs. 4 and 6).

    Parameters
    ----------
    penalties : as in `StackedNetwork.costs`; they say what a skip connection is.
    axes : where to draw; a new figure when None.
    """
    each, S = network.penalties(penalties), len(network.stacks)
    figure, (panel,) = _panels(None if axes is None else [axes], 1, (2.4 + 2.3 * S, 3.6))
    act = network.activation if isinstance(network.activation, str) else "act"
    layers = [(network.n_inputs, 0, "d0")]
    for j, (stack, penalty) in enumerate(zip(network.stacks, each, strict=True), 1):
        nuclear = penalty.skip == "nuclear" and bool(np.any(stack.A))
        rank = int(np.linalg.matrix_rank(stack.A)) if nuclear else 0
        layers += [(stack.n_neurons, rank, f"n{j}"), (stack.n_tasks, 0, f"d{j}")]
    heights = [_nodes(n, rank) for n, rank, _ in layers]
    for at, (here, there) in enumerate(itertools.pairwise(heights)):
        for a in np.concatenate(here):
            for b in np.concatenate(there):
                panel.plot([at, at + 1], [a, b], color=_DATA, lw=0.4, alpha=0.6, zorder=1)
    for at, ((n, rank, name), (relu, linear)) in enumerate(zip(layers, heights, strict=True)):
        inner = at % 2 == 1
        colour = _FIT if inner else _TEXT
        panel.scatter(np.full(len(relu), at), relu, s=70, color=colour, zorder=3, lw=0)
        if n > len(relu):
            between = float(relu[1:3].mean())
            panel.text(at, between, "⋮", ha="center", va="center", color=colour, zorder=3)
        panel.scatter(np.full(len(linear), at), linear, s=70, marker="s", color=_KNOT, zorder=3, lw=0)
        said = [f"{name} = {n}"]
        if inner:
            said.append("ReLU")
            said += [f"+ {rank} linear"] if rank else []
        elif at == len(layers) - 1:
            said.append(f"link {network.link}")
        elif at:
            said.append(str(act))
        else:
            said.append("input")
        panel.text(at, -1.25, "\n".join(said), ha="center", va="top", fontsize=9, color=_TEXT)
    for j, (stack, penalty) in enumerate(zip(network.stacks, each, strict=True)):
        if penalty.skip != "nuclear" and np.any(stack.A):
            ends = ((2 * j, 1.05), (2 * j + 2, 1.05))
            style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 12, "color": _KNOT, "lw": 1.3}
            panel.add_patch(FancyArrowPatch(*ends, connectionstyle="arc3,rad=-0.3", **style))
            panel.text(2 * j + 1, 1.72, f"A of stack {j + 1}", ha="center", fontsize=9, color=_KNOT)
    panel.set_xlim(-0.5, len(layers) - 0.5)
    panel.set_ylim(-2.1, 2.0)
    panel.set_axis_off()
    _title(panel, f"{count(S, 'stack')}, {sum(network.widths)} neurons")
    return figure


def _nodes(n: int, rank: int) -> tuple[Array, Array]:
    """Heights between -1 and 1 of the nodes drawn of n, and of `rank` linear ones, below them."""
    drawn, linear = min(n, _MOST_NODES), min(rank, 2)
    heights = np.linspace(1.0, -1.0, drawn + linear) if drawn + linear > 1 else np.zeros(drawn + linear)
    return heights[:drawn], heights[drawn:]


def draw_stacks(
    network: StackedNetwork,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    truth: Callable[[Array], Array] | None = None,
    bandwidth: float = 0.02,
    period: float | None = None,
    shown: Sequence[int] | None = None,
    task_names: Sequence[str] | None = None,
    margin: float = 0.15,
) -> Figure:
    """What each stack learned, the representation H, and each task: B's Figs. 7 and 8.

    A stack of one input has a panel: its outputs, the jumps |v_k| w_k of its slope as stems at the knots
    xi_k inside, these smoothed by a Gaussian kernel, a density of the second derivative, and the output
    weights of balanced neurons as diamonds (v_k is an input and w_k an output weight, as in B). The hull of
    the data is shaded; beyond it nothing holds the network to them, and what leaves the panel is cut off.

    Parameters
    ----------
    X, Y : (N,) or (N, 1) inputs and (N, T) labels, NaN where missing.
    truth : (n, 1) -> (n, T), drawn where it is given.
    bandwidth : standard deviation of the kernel, as a share of each panel's range; told in the title.
    period : at which the shift error of H is measured; the shortest that is found when None.
    shown : the tasks to draw, at most 8; the first ones when None.
    margin : how far beyond the hull to draw, as a share of its width.

    Raises
    ------
    ValueError : for a network of several inputs, labels or tasks that do not fit, a bandwidth <= 0.
    """
    if network.n_inputs != 1:
        raise ValueError(f"network: must have one input to be drawn over, got {network.n_inputs}")
    if not 0 < bandwidth < float("inf"):
        raise ValueError(f"bandwidth: must be finite and > 0, got {bandwidth!r}")
    x, labels = as_float_array(X, "X").reshape(-1), as_float_array(Y, "Y", allow_nan=True)
    labels = labels[:, None] if labels.ndim == 1 else labels
    T = network.n_tasks
    if labels.shape != (len(x), T):
        raise ValueError(f"Y: must have shape ({len(x)}, {T}), got {labels.shape}")
    tasks = list(range(min(T, _MOST_TASKS))) if shown is None else list(shown)
    if not 1 <= len(tasks) <= _MOST_TASKS or not set(tasks) <= set(range(T)):
        raise ValueError(f"shown: must be 1 to {_MOST_TASKS} of the {T} tasks, got {tasks}")
    names = [f"task {t}" for t in range(T)] if task_names is None else list(task_names)
    if len(names) != T:
        raise ValueError(f"task_names: must be {T} names, got {len(names)}")
    hull = float(x.min()), float(x.max())
    pad = margin * (hull[1] - hull[0])
    grid = np.linspace(hull[0] - pad, hull[1] + pad, _GRID)
    drawn = [j for j, stack in enumerate(network.stacks) if stack.n_inputs == 1]
    deep = len(network.stacks) > 1
    wanted = len(drawn) + deep + len(tasks)
    rows = -(-wanted // _COLUMNS)
    figure, panels = _panels(None, wanted, (4.1 * _COLUMNS, 0.4 + 2.9 * rows), _COLUMNS)
    spare = iter(panels)
    inside = network.inputs(x[:, None])
    for j in drawn:
        low, high = float(inside[j].min()), float(inside[j].max())
        draw_one_stack(next(spare), network.stacks[j], j + 1, low, high, bandwidth)
    if deep:
        draw_representation(next(spare), network, grid, hull, period)
    f = network.predict(grid[:, None])
    true = None if truth is None else truth(grid[:, None])
    for t in tasks:
        panel = next(spare)
        draw_task(panel, grid, f[:, t], x, labels[:, t], None if true is None else true[:, t])
        _title(panel, one_line(names[t], 36))
    name_marks(figure, panels[-1])
    return figure


def draw_task(panel: Axes, grid: Array, f: Array, x: Array, y: Array, truth: Array | None = None) -> None:
    """Data, fit and truth of one task; the hull of x shaded, and the heights those inside it.

    Parameters
    ----------
    grid, f, truth : (n,) inputs and what is drawn there.
    x, y : (N,) data, NaN where missing.
    """
    hull, seen = (float(x.min()), float(x.max())), ~np.isnan(y)
    panel.axvspan(*hull, color=_DATA, alpha=0.12, lw=0)
    if truth is not None:
        panel.plot(grid, truth, color=_MIN, lw=1.0, ls=(0, (4, 2)), label="truth")
    panel.plot(grid, f, color=_FIT, lw=1.3, label="fit")
    panel.plot(x[seen], y[seen], "o", ms=3.5, mew=0, color=_TEXT, label="data")
    within = (grid >= hull[0]) & (grid <= hull[1])
    _frame_heights(panel, np.concatenate([f[within], y[seen]]))
    panel.set_xlabel("x")
    _frame(panel)


def name_marks(figure: Figure, panel: Axes) -> None:
    """The legend of tasks, from one of their panels."""
    handles, told = panel.get_legend_handles_labels()
    style: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": _TEXT}
    figure.legend(handles, told, loc="outside lower left", ncols=3, title="tasks; hull shaded", **style)


def draw_one_stack(
    panel: Axes, stack: ReLUNetwork, number: int, low: float, high: float, share: float
) -> None:
    """The outputs on the left scale; on the right one jumps, their density, balanced output weights.

    A neuron is balanced where |v| = |(w, b)|: the root of its jump times sqrt(1 + xi^2).
    """
    pad = 0.05 * (high - low) or 1.0
    grid = np.linspace(low - pad, high + pad, _GRID)
    outputs = stack.predict(grid[:, None])
    for t in range(outputs.shape[1]):
        panel.plot(grid, outputs[:, t], color=_LINES[t % len(_LINES)], lw=1.3, zorder=3)
    location, jump = stack.knots
    near = (location >= grid[0]) & (location <= grid[-1])
    size = jump[:, 0] if stack.n_tasks == 1 else np.linalg.norm(jump, axis=1)
    width = share * float(grid[-1] - grid[0])
    kernel = np.exp(-0.5 * ((grid[:, None] - location) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
    smooth = kernel @ size
    right = panel.twinx()
    if np.any(near):
        right.vlines(location[near], 0.0, size[near], color=_KNOT, lw=0.9, alpha=0.8)
        right.plot(location[near], size[near], "o", ms=3.5, mew=0, color=_KNOT)
    weights = np.sqrt(np.abs(size[near]) * np.sqrt(1.0 + location[near] ** 2)) * np.sign(size[near])
    reach = 1.1 * float(np.abs(np.append(size[near], weights)).max(initial=0.0)) or 1.0
    peak = float(np.abs(smooth).max(initial=0.0))
    # drawn on the stems' scale: only where it is large matters
    if peak > 0:
        right.plot(grid, smooth * (0.9 * reach / peak), color=_KNOT, lw=1.0, alpha=0.45)
    right.plot(location[near], weights, "d", ms=3.5, mew=0.8, mfc="none", color=_OTHER)
    right.set_ylim(-reach, reach)
    right.tick_params(labelsize=8, labelcolor=_KNOT, color=_KNOT)
    right.spines["top"].set_visible(False)
    jumps = "|v| w" if stack.n_tasks == 1 else "norm of |v| w"
    right.set_ylabel(jumps, color=_KNOT, fontsize=9)
    _title(
        panel,
        f"stack {number}: {int(near.sum())} of {count(len(location), 'knot')} inside,\n"
        f"line smoothed over {width:.2g}, peak {peak:.3g}",
    )
    panel.set_xlabel("x" if number == 1 else f"input of stack {number}")
    _frame(panel)


def draw_representation(
    panel: Axes, network: StackedNetwork, grid: Array, hull: tuple[float, float], period: float | None
) -> None:
    """H over the grid; its shift error at the period, or at that measured, in the title."""
    H = representation(network, grid[:, None])
    panel.axvspan(*hull, color=_DATA, alpha=0.12, lw=0)
    for t in range(H.shape[1]):
        panel.plot(grid, H[:, t], color=_LINES[t % len(_LINES)], lw=1.3)
    _frame_heights(panel, H[(grid >= hull[0]) & (grid <= hull[1])])
    if period is None:
        length, error = measured_period(network, *hull)
        said = f"measured period {length:.3g}"
    else:
        error, said = shift_error(network, *hull, period), f"period {period:.3g}"
    _title(panel, f"H, {said}, shift error {error:.2g}")
    panel.set_xlabel("x")
    _frame(panel)


def _frame_heights(panel: Axes, values: Array) -> None:
    """What lies inside the hull fills the panel; what leaves it beyond is cut off."""
    low, high = float(values.min()), float(values.max())
    pad = 0.1 * (high - low) or 1.0
    panel.set_ylim(low - pad, high + pad)
