"""Pictures of what was proven and chosen: certificates, solution sets, paths."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from .._files import replacing
from .._validate import as_float_array
from ..network import ReLUNetwork
from ..selection.cross_validation import CrossValidation
from ..selection.path import Path
from ..solution import Solution
from ..theory.solution_set import SolutionSet
from .certificate_curve import active_neurons, response_curves
from .text import count, one_line

Array = NDArray[np.float64]

# of the palette of Okabe and Ito, told apart by every kind of sight
_FIT, _KNOT, _OTHER, _MIN, _ONE_SE = "#0072b2", "#d55e00", "#56b4e9", "#009e73", "#cc79a7"
_DATA, _TEXT = "#9a9a9a", "#333333"
_DPI = 100
_LONGEST_NAME = 36
_MOST_PANELS = 6
_MOST_POINTS = 1500
_FORMATS = ("png", "svg", "pdf")


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, whole or not at all; the name's ending is the format.

    Raises
    ------
    ValueError : for a name that ends neither in .png, .svg nor .pdf.
    OSError : when it cannot be written.
    """
    ending = FilePath(path).suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        raise ValueError(f"path: must end in .{', .'.join(_FORMATS)}; got {os.fspath(path)!r}")
    with warnings.catch_warnings(), replacing(path) as beside:
        # a name in a script that the font lacks shows as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(beside, format=ending)


def draw_certificate(solution: Solution, *, input_name: str = "x", axes: Axes | None = None) -> Figure:
    """|sum_i alpha_i relu(w x_i + b)| / lam over all unit neurons (w, b): why no network is better.

    A network is optimal where no unit neuron responds more than lam to the dual point alpha, and
    each of its own, drawn as dots, responds lam. Where weight decay acts on biases the unit neurons
    are a circle, (w, b) = (cos theta, sin theta), and the axis above tells the knot -tan theta; else
    they are knots on the line. At lam = 0 the bound is 1.

    Parameters
    ----------
    solution : of one input.
    input_name : of the data; shown as it is.
    axes : where to draw; a new figure when None.
    """
    figure, (panel,) = _panels(None if axes is None else [axes], 1, (7.5, 4.0))
    problem, certificate = solution.problem, solution.certificate
    bound = problem.lam if problem.lam > 0 else 1.0
    curves = response_curves(solution)
    for curve, colour in zip(curves, (_FIT, _OTHER), strict=False):
        at, value = _thinned(curve.at, curve.value / bound)
        panel.plot(at, value, color=colour, lw=1.3, zorder=3, label=curve.name)
    panel.axhline(1.0, color=_TEXT, lw=0.9, ls=(0, (5, 3)), zorder=2, label="bound")
    at, value, cost = active_neurons(solution)
    if len(at):
        area = 10.0 + 40.0 * cost / cost.max()
        label = "neuron of the network (larger: costs more)"
        panel.scatter(at, value / bound, s=area, color=_KNOT, lw=0, zorder=4, label=label)
    highest = max(curve.largest for curve in curves) / bound
    panel.set_ylim(0.0, 1.1 * max(highest, 1.0))
    panel.set_ylabel("response" if problem.lam == 0 else "response / lam")
    said = f"{count(len(at), 'neuron')}; largest response {highest:.8f}"
    if problem.penalty.skip == "nuclear":
        moment = float(np.linalg.norm(problem.X[:, 0] @ certificate.dual_point)) / bound
        said += f", of the skip connection {moment:.8f}"
    _title(panel, f"{said}; relative gap {certificate.relative_gap:.1g}")
    name = one_line(input_name, _LONGEST_NAME)
    if problem.penalty.biases:
        _label_angles(panel, problem.X[:, 0], name)
    else:
        panel.set_xlim(curves[0].at[0], curves[0].at[-1])
        panel.set_xlabel(f"knot at {name}", parse_math=False)
    _frame(panel)
    _legend(figure, panel, axes is None)
    return figure


def draw_solution_set(
    solution_set: SolutionSet,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    task_names: Sequence[str] | None = None,
    input_name: str = "x",
    shown: Sequence[int] | None = None,
    n_samples: int = 5,
    random_state: int | np.random.Generator | None = 0,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """All solutions between their envelopes, a few at random, and one with the fewest knots.

    Parameters
    ----------
    solution_set : of `knotwork.uniqueness`.
    X : (N,) or (N, 1) inputs.
    Y : (N, T) or (N,) labels, NaN where missing.
    task_names, input_name : T names ("task 0", ... when None) and one; shown as they are.
    shown : the tasks to draw, a panel each, at most 6; the first ones when None.
    n_samples, random_state : how many random members, and their seed.
    axes : one for each task shown; a new figure when None.

    Raises
    ------
    TypeError, ValueError : naming the argument that does not fit.
    """
    x, labels = as_float_array(X, "X").reshape(-1), as_float_array(Y, "Y", allow_nan=True)
    labels = labels[:, None] if labels.ndim == 1 else labels
    n_tasks = solution_set.values.shape[1]
    if labels.shape != (len(x), n_tasks):
        raise ValueError(f"Y: must have shape ({len(x)}, {n_tasks}), got {labels.shape}")
    names = [f"task {t}" for t in range(n_tasks)] if task_names is None else list(task_names)
    if len(names) != n_tasks:
        raise ValueError(f"task_names: must be {n_tasks} names, got {len(names)}")
    tasks = list(range(min(n_tasks, _MOST_PANELS))) if shown is None else list(shown)
    if not 1 <= len(tasks) <= _MOST_PANELS or not set(tasks) <= set(range(n_tasks)):
        raise ValueError(f"shown: must be 1 to {_MOST_PANELS} of the {n_tasks} tasks, got {tasks}")
    columns = {1: 1, 2: 2, 4: 2}.get(len(tasks), 3)
    rows = -(-len(tasks) // columns)
    figure, panels = _panels(axes, len(tasks), (1.5 + 3.3 * columns, 1.2 + 2.5 * rows), columns)
    rng = np.random.default_rng(random_state)
    sparsest, members = solution_set.sparsest(), [solution_set.sample(rng) for _ in range(n_samples)]
    margin = 0.05 * float(np.ptp(x)) or 1.0
    ends = np.array([x.min() - margin, x.max() + margin])
    grid = _refined(np.concatenate([ends, solution_set.x]))
    lower, upper = solution_set.envelopes(grid)
    name = one_line(input_name, _LONGEST_NAME)
    for panel, t in zip(panels, tasks, strict=True):
        seen = np.flatnonzero(~np.isnan(labels[:, t]))
        seen = seen[:: max(1, -(-len(seen) // _MOST_POINTS))]
        finite = np.isfinite(lower[:, t])
        heights = np.concatenate([labels[seen, t], lower[finite, t], upper[finite, t]])
        low, high = float(heights.min()), float(heights.max())
        pad = 0.06 * (high - low) or 1.0
        panel.set_xlim(*ends)
        panel.set_ylim(low - pad, high + pad)
        # envelopes are infinite where a single label leaves the slope open
        below, above = (np.clip(side[:, t], low - pad, high + pad) for side in (lower, upper))
        panel.fill_between(grid, below, above, color=_OTHER, alpha=0.35, lw=0, label="all solutions")
        for k, member in enumerate(members):
            label = "some of them" if k == 0 else None
            _draw_member(panel, member, t, ends, color=_FIT, lw=0.6, alpha=0.55, zorder=2, label=label)
        _draw_member(panel, sparsest, t, ends, color=_FIT, lw=1.6, zorder=3, label="fewest knots")
        bends = sparsest.knots.location[sparsest.knots.jump[:, t] != 0]
        dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgewidth": 0}
        panel.plot(x[seen], labels[seen, t], color=_DATA, ms=3.4, zorder=4, label="labels", **dots)
        heights = sparsest.predict(bends)[:, t]
        panel.plot(bends, heights, color=_KNOT, ms=4.4, zorder=5, label="its knots", **dots)
        _title(panel, one_line(names[t], _LONGEST_NAME))
        panel.set_xlabel(name, parse_math=False)
        _frame(panel)
    if axes is None:
        what = "one solution, with" if solution_set.is_single else "solutions with at least"
        some = "" if len(tasks) == n_tasks else f"; {len(tasks)} of {n_tasks} tasks drawn"
        said = f"{what} {count(solution_set.n_knots_min, 'knot')}, cost {solution_set.cost:.6g}{some}"
        figure.suptitle(said, x=0.01, ha="left", fontsize=11, color=_TEXT)
    _legend(figure, panels[0], axes is None)
    return figure


def draw_path(
    path: Path,
    cross_validation: CrossValidation | None = None,
    *,
    input_name: str = "x",
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Knots against lam, which falls to the right: where they are, how many, and which lam to take.

    Above, a bar at every knot inside the data of every solution, wider where |slope jump| is larger.
    Below, the held-out loss in a band of one standard error, or AIC and BIC where there are any,
    and everywhere the lams that they choose.

    Parameters
    ----------
    path : of `knotwork.path`.
    cross_validation : of `knotwork.cross_validate`, on the same data.
    input_name : of the data; shown as it is.
    axes : three, or two where there is neither cross-validation nor a criterion; a new figure
        when None.

    Raises
    ------
    ValueError : for another number of axes.
    """
    judged = cross_validation is not None or path.bic is not None
    size, ratios = ((7.5, 7.2), (2.4, 1.0, 1.4)) if judged else ((7.5, 5.0), (2.4, 1.0))
    figure, panels = _panels(axes, len(ratios), size, ratios=ratios)
    edges = _edges(path.lams)
    hidden = _draw_knots(panels[0], path, edges)
    panels[0].set_ylabel(f"knot at {one_line(input_name, _LONGEST_NAME)}", parse_math=False)
    note = f"; {hidden} outside the data not drawn" if hidden else ""
    _title(
        panels[0], f"{count(len(path.lams), 'lam')}, up to {count(int(path.n_knots.max()), 'neuron')}{note}"
    )
    panels[1].plot(path.lams, path.n_knots, color=_FIT, lw=1.3, drawstyle="steps-mid")
    panels[1].yaxis.set_major_locator(MaxNLocator(integer=True))
    panels[1].set_ylim(bottom=0)
    panels[1].set_ylabel("neurons")
    chosen: list[tuple[float, str, str]] = []
    if cross_validation is not None:
        chosen = _draw_held_out_loss(panels[2], cross_validation)
        edges = np.union1d(edges, _edges(cross_validation.lams))
    elif judged:
        chosen = _draw_criteria(panels[2], path)
    for panel in panels:
        for lam, colour, label in chosen:
            panel.axvline(lam, color=colour, lw=1.1, ls=(0, (4, 2)), zorder=1, label=label)
        panel.set_xscale("log")
        panel.set_xlim(edges.max(), edges.min())
        _frame(panel)
    panels[-1].set_xlabel("lam")
    if judged:
        _legend(figure, panels[2], axes is None)
    return figure


def _draw_knots(panel: Axes, path: Path, edges: Array) -> int:
    """Bars from edge to edge; the number of knots that are outside the data, and not drawn."""
    x = path.problem.X[:, 0]
    low, high = float(x.min()), float(x.max())
    bars, sizes, hidden = [], [], 0
    for i, solution in enumerate(path.solutions):
        location, jump = solution.network.knots
        inside = (location >= low) & (location <= high)
        hidden += int(np.count_nonzero(~inside))
        for place, bend in zip(location[inside], jump[inside], strict=True):
            bars.append([(edges[i], place), (edges[i + 1], place)])
            sizes.append(float(np.linalg.norm(bend)))
    widths = 0.4 + 3.6 * np.sqrt(np.array(sizes) / max(sizes, default=1.0))
    panel.add_collection(LineCollection(bars, linewidths=widths, colors=_KNOT, capstyle="butt"))
    margin = 0.03 * (high - low) or 1.0
    panel.set_ylim(low - margin, high + margin)
    return hidden


def _draw_held_out_loss(panel: Axes, found: CrossValidation) -> list[tuple[float, str, str]]:
    mean, error = found.mean_loss, found.standard_error
    panel.fill_between(found.lams, mean - error, mean + error, color=_OTHER, alpha=0.35, lw=0)
    panel.plot(found.lams, mean, color=_FIT, lw=1.3, label="held-out loss")
    if 0 < 4.0 * mean.min() < mean.max():
        panel.set_yscale("log")
    panel.set_ylabel("loss per label")
    chosen = [(found.lam_min, _MIN, f"least, lam = {found.lam_min:.3g}")]
    if np.isfinite(found.lam_1se):
        chosen.append((found.lam_1se, _ONE_SE, f"one standard error, lam = {found.lam_1se:.3g}"))
    return chosen


def _draw_criteria(panel: Axes, path: Path) -> list[tuple[float, str, str]]:
    chosen = []
    for name, colour, values in (("BIC", _MIN, path.bic), ("AIC", _ONE_SE, path.aic)):
        assert values is not None
        # interpolated labels have -inf
        panel.plot(path.lams, np.where(np.isfinite(values), values, np.nan), color=colour, lw=1.3, label=name)
        lam = float(path.lams[int(np.argmin(values))])
        chosen.append((lam, colour, f"least {name}, lam = {lam:.3g}"))
    panel.set_ylabel("criterion")
    return chosen


def _draw_member(panel: Axes, member: ReLUNetwork, t: int, ends: Array, **style: Any) -> None:
    location = member.knots.location
    inside = location[(location > ends[0]) & (location < ends[1])]
    x = np.concatenate([ends[:1], inside, ends[1:]])
    panel.plot(x, member.predict(x)[:, t], solid_joinstyle="round", **style)


def _label_angles(panel: Axes, x: Array, name: str) -> None:
    """Angles below; above, the knots of both halves of the circle at round numbers of the input."""
    turn = 0.5 * np.pi
    panel.set_xlim(-turn, 3 * turn)
    panel.set_xticks(turn * np.arange(-1, 4), ["−π/2", "0", "π/2", "π", "3π/2"])
    panel.set_xlabel("angle of (w, b): facing right up to π/2, then facing left")
    places = MaxNLocator(6).tick_values(float(x.min()), float(x.max()))
    if np.abs(x).max() > 3.0:
        # far knots crowd at the poles
        near = np.outer([1.0, 2.0, 5.0], 10.0 ** np.arange(-1.0, np.log10(np.abs(x).max()))).ravel()
        places = np.unique(np.concatenate([-near, places, near]))
    places = places[(places >= x.min()) & (places <= x.max())]
    at, labels = [], []
    for half in (0.0, np.pi):
        last = -np.inf
        for place in places[::-1]:
            angle = half - np.arctan(place)
            if angle - last > 0.15:
                at.append(angle)
                labels.append(f"{place:g}".replace("-", "−"))
                last = angle
    above = panel.secondary_xaxis("top")
    above.xaxis.set_major_locator(FixedLocator(at))
    above.set_xticklabels(labels)
    above.set_xlabel(f"knot at {name}", color=_TEXT, fontsize=9, parse_math=False)
    above.tick_params(labelsize=8, labelcolor=_TEXT, color=_TEXT)
    above.spines["top"].set_visible(False)


def _edges(lams: Array) -> Array:
    """(m + 1,) between neighbouring lams, and half a step beyond the outer ones."""
    if len(lams) == 1:
        return lams[0] * np.array([1.1, 1.0 / 1.1])
    middle = np.sqrt(lams[:-1] * lams[1:])
    return np.concatenate([lams[:1] ** 2 / middle[:1], middle, lams[-1:] ** 2 / middle[-1:]])


def _refined(places: Array) -> Array:
    """The places, and up to 16 more in every interval between them, some 600 in all."""
    places = np.unique(places)
    pieces = max(1, min(16, 600 // len(places)))
    share = np.arange(pieces) / pieces
    inner = places[:-1, None] + share * np.diff(places)[:, None]
    return np.append(inner.reshape(-1), places[-1])


def _thinned(at: Array, value: Array) -> tuple[Array, Array]:
    """What shows of a long curve: the least and the greatest value in each of many columns."""
    if len(at) <= 4 * _MOST_POINTS:
        return at, value
    column = np.searchsorted(np.linspace(at[0], at[-1], _MOST_POINTS + 1)[1:-1], at, side="right")
    order = np.lexsort((value, column))
    first = np.flatnonzero(np.diff(column[order], prepend=-1))
    last = np.append(first[1:], len(at)) - 1
    kept = np.unique(np.concatenate([order[first], order[last], [0, len(at) - 1]]))
    return at[kept], value[kept]


def _panels(
    axes: Sequence[Axes] | None,
    wanted: int,
    size: tuple[float, float],
    columns: int = 1,
    ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """The figure of `axes`, or a new one of that size, and its panels."""
    if axes is not None:
        panels = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(panels) != wanted or not all(isinstance(panel, Axes) for panel in panels):
            raise ValueError(f"axes: must be {wanted} matplotlib axes, got {len(panels)}: {axes!r}")
        parent = panels[0].figure
        return parent if isinstance(parent, Figure) else parent.figure, panels
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    rows = -(-wanted // columns)
    grid = figure.subplots(rows, columns, sharex=ratios is not None, squeeze=False, height_ratios=ratios)
    panels = list(grid.ravel())
    for spare in panels[wanted:]:
        spare.remove()
    return figure, panels[:wanted]


def _title(panel: Axes, text: str) -> None:
    panel.set_title(text, loc="left", fontsize=10, color=_TEXT, parse_math=False)


def _frame(panel: Axes) -> None:
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.tick_params(labelsize=9, labelcolor=_TEXT, color=_TEXT)
    for axis in (panel.xaxis, panel.yaxis):
        axis.label.set(color=_TEXT, fontsize=9.5)


def _legend(figure: Figure, panel: Axes, own: bool) -> None:
    style: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": _TEXT}
    if own:
        handles, labels = panel.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=min(len(labels), 5), **style)
    else:
        panel.legend(**style)
