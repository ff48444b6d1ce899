"""Paper A, Figs. 3 and 6: what it costs to take a knot away between data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork
from ..problem import Problem
from ..solvers.solve import solve
from ..solvers.spline import connect_the_dots
from ..theory.straightening import straighten
from .experiment import Claim, Experiment, Plan, Verdict
from .piecewise import angles, from_slopes
from .records import Record, Settings, network_arrays

Array = NDArray[np.float64]

_ROUNDING, _VISIBLE = 1e-12, 1e-3
_KINDS = ("free", "aligned", "aligned, too far", "straight on one side")
_DATA = np.array([-1.0, 0.0, 1.0, 2.0])
_MISSED, _FEW = 1e-9, 8


def _lemma_pieces(plan: Plan) -> list[Settings]:
    return [{"draws": max(plan.draws(1000, 60), _FEW), "seed": 0}]


def _lemma(draws: int, seed: int) -> Mapping[str, ArrayLike]:
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {
        "before": [],
        "after": [],
        "angle": [],
        "size": [],
        "kind": [],
        "moved": [],
    }
    for kind in range(len(_KINDS)):
        for _ in range(draws):
            _draw(rng, kind, found)
    example = _two_knots_off_the_data()
    return {name: np.array(values) for name, values in found.items()} | example | _as_drawn()


def _as_drawn() -> dict[str, ArrayLike]:
    """One output with the letters of Fig. 3: slopes a, b + delta, b - tau delta / (1 - tau), c; delta is too
    large for a - b."""
    a, b, c, delta, tau = 1.2, 0.5, -0.7, 0.9, 0.45
    f = from_slopes([0.0, tau, 1.0], [[a], [b + delta], [b - tau / (1.0 - tau) * delta], [c]], 0.0, [0.0])
    straight = straighten(f, _DATA)
    costs = np.array([f.canonicalise().cost(), straight.canonicalise().cost()])
    return {
        "drawn knots": np.array([0.0, tau, 1.0]),
        "drawn costs": costs,
        **network_arrays("drawn", f),
        **network_arrays("straight", straight),
    }


def _draw(rng: np.random.Generator, kind: int, found: dict[str, list[float]]) -> None:
    """A function as in Fig. 3 between data at 0 and 1, and what straight lines in its place cost."""
    n_tasks, tau = int(rng.integers(1, 5)), float(rng.uniform(0.1, 0.9))
    b, in_, out, delta = rng.standard_normal((4, n_tasks))
    if _KINDS[kind] == "straight on one side":
        in_ = np.zeros(n_tasks)
    elif kind:
        # in_ = b - a and out = c - b along one direction, delta against it
        u = rng.standard_normal(n_tasks)
        in_, out = rng.uniform(0.2, 2.0) * u, rng.uniform(0.2, 2.0) * u
        most = min(np.linalg.norm(in_), (1.0 - tau) / tau * np.linalg.norm(out)) / np.linalg.norm(u)
        delta = -(rng.uniform(0.1, 0.99) if _KINDS[kind] == "aligned" else rng.uniform(1.01, 2.0)) * most * u
    a, c = b - in_, b + out
    slopes = np.stack([a, b + delta, b - tau / (1.0 - tau) * delta, c])
    f = from_slopes([0.0, tau, 1.0], slopes, 0.0, rng.standard_normal(n_tasks))
    straight = straighten(f, _DATA)
    found["before"].append(f.canonicalise().cost())
    found["after"].append(straight.canonicalise().cost())
    found["angle"].append(float(angles(in_[None], out[None])[0]))
    found["size"].append(float(np.linalg.norm(delta)))
    found["kind"].append(kind)
    found["moved"].append(float(np.abs(straight.predict(_DATA) - f.predict(_DATA)).max()))


def _two_knots_off_the_data() -> dict[str, ArrayLike]:
    """f through (0, 0), (1, .5), (2, .5), (3, 0) with knots at .5, 1.5, 2.5: the nearest knots of the one at
    1.5 are not the nearest data."""
    x = np.array([0.0, 1.0, 2.0, 3.0])
    f = from_slopes([0.5, 1.5, 2.5], [[0.0], [1.0], [-1.0], [0.0]], 0.0, [0.0])
    places = np.array([0.0, 0.5, 2.5, 3.0])
    as_written = connect_the_dots(places, f.predict(places))
    mended = straighten(f, x)
    return {
        "example x": x,
        "example y": f.predict(x)[:, 0],
        "missed": np.abs(as_written.predict(x) - f.predict(x)).max(),
        "mended missed": np.abs(mended.predict(x) - f.predict(x)).max(),
        "example costs": np.array([f.cost(), mended.cost()]),
        **network_arrays("example", f),
        **network_arrays("as written", as_written),
        **network_arrays("mended", mended),
    }


def _judge_lemma(records: Sequence[Record]) -> list[Claim]:
    (one,) = records
    drop = (one["before"] - one["after"]) / one["before"]
    kinds = [drop[one["kind"] == k] for k in range(len(_KINDS))]
    _, aligned, too_far, one_side = kinds
    angle = np.degrees(one["angle"])
    apart = (one["kind"] == 0) & (angle > _VISIBLE)
    least, moved = float(drop[apart].min()), float(one["moved"].max())
    never = float(drop.min()) >= -_ROUNDING and moved <= _MISSED
    strict = least > _ROUNDING and float(one_side.min()) > _ROUNDING
    level = float(np.abs(aligned).max())
    missed, mended = one.number("missed"), one.number("mended missed")
    before, after = one["example costs"]
    return [
        Claim(
            "removing a knot between data points and joining its neighbours by a straight line does not "
            "raise R",
            "A, Lemma 3.2 and Figure 3",
            f"R fell by {drop.min():.1g} to {drop.max():.3g} of itself in {len(drop)} random draws of 1 to "
            f"4 outputs, labels kept to {moved:.1g}",
            Verdict.HOLDS if never else Verdict.FAILS,
            {"least drop": float(drop.min()), "draws": len(drop), "labels moved": moved},
        ),
        Claim(
            "it strictly lowers R if a - b and b - c are not aligned, and can leave it only if they are",
            "A, Lemma 3.2",
            f"not aligned: R fell by {least:.2g} of itself at least ({apart.sum()} draws; one of the two "
            f"zero: {one_side.min():.2g}); aligned, delta within the lemma's bound: unchanged to "
            f"{level:.1g}; beyond the bound: by {too_far.min():.2g} at least",
            Verdict.HOLDS
            if strict and level <= _ROUNDING and float(too_far.min()) > _ROUNDING
            else Verdict.FAILS,
            {"not aligned": least, "aligned": level, "beyond the bound": float(too_far.min())},
        ),
        Claim(
            "the line that replaces the knot goes between the closest knots before and after it",
            "A, Lemma 3.2",
            "x = (0, 1, 2, 3), knots at .5, 1.5, 2.5: the line between the closest knots misses a label by "
            f"{missed:.3g}; between the closest data it keeps all to {mended:.1g}, and R falls from "
            f"{before:.3g} to {after:.3g}",
            (Verdict.CORRECTED if missed > _VISIBLE else Verdict.HOLDS)
            if mended <= _MISSED and after < before
            else Verdict.FAILS,
            {"missed": missed, "mended": mended, "before": float(before), "after": float(after)},
            "the closest of knots and data points" if missed > _VISIBLE else "",
        ),
    ]


def _edge_pieces(plan: Plan) -> list[Settings]:
    return [{"draws": max(plan.draws(1000, 60), _FEW), "rows": 5, "seed": 0}]


def _edge(draws: int, rows: int, seed: int) -> Mapping[str, ArrayLike]:
    rng = np.random.default_rng(seed)
    x = np.arange(rows, dtype=float)
    found: dict[str, list[float]] = {"excess": [], "size": [], "moved": []}
    for k in range(draws):
        n_tasks = int(rng.integers(1, 5))
        Y = rng.standard_normal((rows, n_tasks))
        delta = rng.standard_normal(n_tasks) * (rng.uniform(size=n_tasks) < 0.7)
        delta[0] += float(not delta.any())
        if k % 2:
            # the harder half: along the slope change at x_2
            delta = -float(rng.uniform(0.01, 1.0)) * (Y[2] - 2.0 * Y[1] + Y[0])
        # a third with any slope before x_1, so with a knot there
        before = rng.standard_normal(n_tasks) if k % 3 == 0 else None
        g = _edge_bend(x, Y, float(rng.uniform(0.1, 0.9)), delta, before)
        least = solve(Problem(x, Y, 0.0)).network.cost()
        found["excess"].append(g.canonicalise().cost() - least)
        found["size"].append(float(np.linalg.norm(delta)))
        found["moved"].append(float(np.abs(g.predict(x) - Y).max()))
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    Y = np.array([[0.2, 1.0], [1.0, 0.6], [0.9, 1.0], [1.4, 0.4], [1.2, 0.9]])
    g = _edge_bend(x, Y, 0.5, np.array([1.2, -0.5]), None)
    f = solve(Problem(x, Y, 0.0)).network
    return {
        **{name: np.array(values) for name, values in found.items()},
        "x": x,
        "Y": Y,
        "costs": np.array([g.canonicalise().cost(), f.cost()]),
        **network_arrays("g", g),
        **network_arrays("f", f),
    }


def _edge_bend(x: Array, Y: Array, tau: float, delta: Array, before: Array | None) -> ReLUNetwork:
    """g of Fig. 6: connect the dots from x_2 on, a knot in (x_1, x_2), slope `before` before x_1; when None
    that which leaves x_1 without a knot."""
    slopes = np.diff(Y, axis=0) / np.diff(x)[:, None]
    first, second = slopes[0] + delta, slopes[0] - tau / (1.0 - tau) * delta
    places = np.concatenate([[x[0], x[0] + tau * (x[1] - x[0])], x[1:-1]])
    steps = [first if before is None else before, first, second, *slopes[1:]]
    return from_slopes(places, np.array(steps), x[0], Y[0])


def _judge_edge(records: Sequence[Record]) -> list[Claim]:
    (one,) = records
    ratio = one["excess"] / one["size"]
    moved = float(one["moved"].max())
    least = float(ratio.min())
    return [
        Claim(
            "an interpolant with a knot between the first two data points costs strictly more than connect "
            "the dots",
            "A, section A.1 and Figure 6",
            f"{len(ratio)} random draws of 1 to 4 outputs: R is higher by at least {least:.3g} times the "
            "change of slope that the knot makes before it, |delta|",
            Verdict.HOLDS if least > _VISIBLE and moved <= _MISSED else Verdict.FAILS,
            {"least excess over |delta|": least, "draws": len(ratio), "labels moved": moved},
        )
    ]


EXPERIMENTS = (
    Experiment(
        name="a-figure-3",
        title="Taking a knot away",
        figures=("A 3",),
        shows="A function with a knot between two others, its slopes a, b + delta, b - tau delta / (1 - "
        "tau), c, and the straight line of slope b in its place, which costs no more (Lemma 3.2).",
        ours="Slopes, delta, tau and the number of outputs are drawn by us; costs are those of the networks.",
        pieces=_lemma_pieces,
        compute=_lemma,
        judge=_judge_lemma,
        effort=2.0,
    ),
    Experiment(
        name="a-figure-6",
        title="No knot before the second data point",
        figures=("A 6",),
        shows="A function with a knot between the first two data points, and connect the dots, which costs "
        "less.",
        ours="Data and knots are drawn by us: in half of the draws along the slope change at x_2, where "
        "least is lost, in a third with a knot at x_1, too.",
        pieces=_edge_pieces,
        compute=_edge,
        judge=_judge_edge,
        effort=1.0,
    ),
)
