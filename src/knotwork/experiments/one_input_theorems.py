"""Paper A, Theorem 3.1, against measurements that know nothing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from ..theory.uniqueness import uniqueness
from .experiment import Claim, Experiment, Plan, Verdict
from .piecewise import SHARES, angles, bent_labels, joined, least_rise, same_by_set
from .records import Record, Settings

Array = NDArray[np.float64]
Measured = dict[str, NDArray[Any]]

_OPEN, _ROUNDING = 1e-5, 1e-9
_SLACK = 1e-9
_POINTS, _FEW = 4, 6


def _theorem_pieces(plan: Plan) -> list[Settings]:
    n = max(plan.draws(60, 6), _FEW)
    return [
        *({"part": "one task", "seeds": [first, min(first + 20, n)]} for first in range(0, n, 20)),
        {"part": "several tasks", "seeds": [0, max(plan.draws(200, 12), 2 * _FEW)]},
        {"part": "turned", "seeds": [0, 1]},
    ]


def _theorem(part: str, seeds: Sequence[int]) -> Mapping[str, ArrayLike]:
    each = {"one task": _ranges, "several tasks": _constructed}
    if part == "turned":
        return _turned()
    found: dict[str, list[NDArray[Any]]] = {}
    for seed in range(*seeds):
        for name, value in each[part](seed).items():
            found.setdefault(name, []).append(value)
    return {name: np.concatenate(values) for name, values in found.items()}


def _ranges(seed: int) -> Measured:
    """The least and the greatest f in the middle of every interval by linear programmes, with a knot
    allowed at any of many places, and what `uniqueness` says. Rows: intervals of one data set."""
    rng = np.random.default_rng([31, seed])
    n = int(rng.integers(4, 9))
    x = np.cumsum(rng.uniform(0.3, 1.0, n))
    y = bent_labels(x, rng.uniform(0.2, 1.0, (n - 2, 1)) * rng.choice((-1.0, 1.0), (n - 2, 1)), rng)
    verdict = uniqueness(x, y)
    assert verdict.solution_set is not None
    middle = 0.5 * (x[1:] + x[:-1])
    lower, upper = verdict.solution_set.envelopes(middle)
    least, greatest = _extremes(x, y[:, 0], middle)
    size = np.abs(y).max()
    return {
        "width": (greatest - least) / size,
        "off": np.maximum(np.abs(greatest - upper[:, 0]), np.abs(least - lower[:, 0])) / size,
        "said open": np.isin(x[:-1], verdict.intervals[:, 0]),
        "not unique": np.full(n - 1, verdict.unique is False),
        "data set": np.full(n - 1, seed),
    }


def _extremes(x: Array, y: Array, at: Array) -> tuple[Array, Array]:
    """min and max of f(at) over f = c0 + c1 x + sum_k m_k relu(x - xi_k), |m|_1 at its minimum."""
    share = np.arange(_POINTS) / _POINTS
    places = np.append((x[:-1, None] + share * np.diff(x)[:, None]).ravel(), x[-1])
    pad = float(x[-1] - x[0]) / 4.0
    places = np.concatenate([[x[0] - pad], places, [x[-1] + pad]])

    def rows(points: Array) -> Array:
        hinges = np.maximum(points[:, None] - places, 0.0)
        return np.column_stack([np.ones_like(points), points, hinges, -hinges])

    cost = np.concatenate([[0.0, 0.0], np.ones(2 * len(places))])
    bounds = [(None, None)] * 2 + [(0.0, None)] * (2 * len(places))
    fixed = {"A_eq": rows(x), "b_eq": y, "bounds": bounds, "method": "highs"}
    best = linprog(cost, **fixed).fun * (1.0 + _SLACK)
    limit = {"A_ub": cost[None, :], "b_ub": [best]}
    goals = rows(at)
    least = np.array([linprog(goal, **limit, **fixed).fun for goal in goals])
    greatest = np.array([-linprog(-goal, **limit, **fixed).fun for goal in goals])
    return least, greatest


def _constructed(seed: int) -> Measured:
    """Several tasks: in every inner interval, a function with one knot more. Where slope changes are aligned
    one of the same cost is known; elsewhere each costs more, whatever the knot. Rows: intervals."""
    rng = np.random.default_rng([32, seed])
    n, n_tasks = int(rng.integers(5, 11)), int(rng.integers(2, 6))
    x = np.cumsum(rng.uniform(0.3, 1.0, n))
    jumps = rng.standard_normal((n - 2, n_tasks))
    aligned = (rng.uniform(size=n - 3) < 0.3) if seed % 2 else np.zeros(n - 3, dtype=bool)
    for k in np.flatnonzero(aligned):
        jumps[k + 1] = rng.uniform(0.2, 2.0) * jumps[k]
    Y = bent_labels(x, jumps, rng)
    verdict = uniqueness(x, Y)
    rise = np.empty(n - 3)
    for k in range(n - 3):
        rise[k] = min(least_rise(x, Y, k + 1, share, rng) for share in SHARES)
    return {
        "rise": rise,
        "aligned": aligned,
        "angle": angles(jumps[:-1], jumps[1:]),
        "said open": np.isin(x[1:-2], verdict.intervals[:, 0]),
        "not unique": np.full(n - 3, verdict.unique is False),
        "data set": np.full(n - 3, seed),
    }


def _turned() -> Mapping[str, ArrayLike]:
    """Four points and two tasks whose slope changes meet at an angle: what a knot more between costs at
    least, to first order 2 - |u + v| in the middle of the interval, and what is said."""
    x = np.arange(4.0)
    angle = np.concatenate([[0.0], np.geomspace(1e-7, np.pi, 40)])
    rng = np.random.default_rng(0)
    rise, single = [], []
    for one in angle:
        jumps = np.array([[1.0, 0.0], [np.cos(one), np.sin(one)]])
        Y = bent_labels(x, jumps, None)
        rise.append(least_rise(x, Y, 1, 0.5, rng))
        single.append(uniqueness(x, Y).unique is True)
    return {"angle": angle, "rise": np.array(rise), "unique": np.array(single)}


def _judge_theorem(records: Sequence[Record]) -> list[Claim]:
    one = joined([record for record in records if record.settings["part"] == "one task"])
    several = joined([record for record in records if record.settings["part"] == "several tasks"])
    (turned,) = (record for record in records if record.settings["part"] == "turned")
    free = one["width"] > _OPEN
    sets = len(np.unique(one["data set"]))
    right = same_by_set(one["data set"], free, one["not unique"]) and bool((free == one["said open"]).all())
    narrow, wide = float(one["width"][~free].max()), float(one["width"][free].min())
    off = float(one["off"].max())
    aligned = several["aligned"].astype(bool)
    level, dearer = float(np.abs(several["rise"][aligned]).max()), float(several["rise"][~aligned].min())
    agree = same_by_set(several["data set"], aligned, several["not unique"]) and bool(
        (aligned == several["said open"]).all()
    )
    many = len(np.unique(several["data set"]))
    several_right = agree and level <= _ROUNDING < dearer
    formula = 2.0 - 2.0 * np.cos(0.5 * turned["angle"])
    seen = turned["angle"] > 1e-3
    above = float((turned["rise"] / np.where(seen, formula, 1.0))[seen].min())
    least = float(turned["rise"][seen].min())
    return [
        Claim(
            "one task: there is more than one solution if and only if two neighbouring slope changes point "
            "the same way",
            "A, Theorem 3.1",
            f"linear programmes for the range of f in the middle of {len(free)} intervals of {sets} random "
            f"data sets: {free.sum()} open (ranges of {wide:.2g} of the labels' size and more), "
            f"{(~free).sum()} determined (at most {narrow:.1g}), "
            f"{'the same as' if right else 'not those that'} the theorem says; the ranges are those of the "
            f"solution set to {off:.1g}",
            Verdict.HOLDS if right and off <= _OPEN else Verdict.FAILS,
            {"open": int(free.sum()), "determined": int((~free).sum()), "widest determined": narrow,
             "narrowest open": wide, "off the set": off},
        ),
        Claim(
            "several tasks: there is more than one solution if and only if two neighbouring slope changes "
            "are nonzero and aligned",
            "A, Theorem 3.1",
            f"{many} random data sets of 2 to 5 tasks: in {aligned.sum()} aligned intervals a function with "
            f"one knot more costs the same to {level:.1g}; in {(~aligned).sum()} others every one tried "
            f"costs more, by {dearer:.2g} |delta| at least; verdicts {'agree' if agree else 'disagree'} in "
            "all",
            Verdict.HOLDS if several_right else Verdict.FAILS,
            {"aligned": int(aligned.sum()), "rise aligned": level, "not aligned": int((~aligned).sum()),
             "rise not aligned": dearer},
        ),
        Claim(
            "any angle between slope changes makes the solution unique",
            "A, Theorem 3.1",
            f"two tasks, angles from {turned['angle'][seen][0]:.1g} to pi: in the middle of the interval a "
            f"knot more costs at least {above:.4g} times (2 - |u + v|) |delta| more, u and v along the "
            f"slope changes, so at least {least:.1g} |delta|; called unique from {_first(turned):.1g} "
            "radians on (below, slope changes count as aligned within tol = 1e-5)",
            Verdict.HOLDS if above > 1.0 - 1e-6 and least > _ROUNDING else Verdict.FAILS,
            {"least angle called unique": _first(turned), "least rise": least, "over the formula": above},
        ),
    ]  # fmt: skip


def _first(turned: Record) -> float:
    return float(turned["angle"][turned["unique"].astype(bool)].min())


EXPERIMENTS = (
    Experiment(
        name="a-theorem-3-1",
        title="One solution or more",
        figures=(),
        shows="Connect the dots solves (3), and is the only solution unless two neighbouring slope changes "
        "are nonzero and aligned.",
        ours="Random data of ours. One task: the range of f by linear programmes over networks with knots "
        "at data, three places between neighbours and beyond the data. Several tasks: functions with one "
        "knot more.",
        pieces=_theorem_pieces,
        compute=_theorem,
        judge=_judge_theorem,
        effort=20.0,
    ),
)
