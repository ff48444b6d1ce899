"""Paper A, section B.2: what the records of `teachers` say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .experiment import Claim, Verdict
from .records import Record

Array = NDArray[np.float64]
# a cost that rounding and the interpolation tolerance cannot tell from a teacher's, which is 1
_SAME_COST = 1e-6
_NEAR = 0.1


def of_part(records: Sequence[Record], part: str, reading: str | None = None) -> list[Record]:
    """Those of one part, and of one reading where it is given."""
    return [
        one for one in records if one.settings["part"] == part and reading in (None, one.settings["reading"])
    ]


def by_task(records: Sequence[Record], name: str, axis: int = 0) -> Array:
    """An array of all single tasks, in their order."""
    order = np.argsort(np.concatenate([one["tasks"] for one in records]))
    return np.take(np.concatenate([one[name] for one in records], axis=axis), order, axis=axis)


def judge_teachers(records: Sequence[Record]) -> list[Claim]:
    """The claims of section B.2."""
    return [
        _few_alone(records),
        _many_together(records),
        _all_or_none(records),
        _recovered(records),
        _not_recovered(records),
        _interpolating(records),
        _global(records),
    ]


def _rigour(records: Sequence[Record]) -> str:
    exact = all(bool(one["exact"]) for one in records)
    return "EXACT" if exact else "HEURISTIC: neurons were searched, not enumerated"


def _readings(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(one.settings["reading"] for one in records))


def _few_alone(records: Sequence[Record]) -> Claim:
    runs = of_part(records, "single")
    neurons = {
        reading: float(by_task(runs, name).mean())
        for reading, name in (("all", "neurons"), ("(3)", "(3).neurons"))
    }
    trained = by_task(runs, "trained.active").mean(axis=0)
    gaps = [max(float(one[name].max()) for one in runs) for name in ("gap", "(3).gap")]
    said = " and ".join(f"{value:.1f} in reading {reading}" for reading, value in neurons.items())
    return Claim(
        "the students of one task have five active neurons on average",
        "A, B.2 and Figure 10",
        f"certified optima of {len(by_task(runs, 'neurons'))} tasks have {said} (gaps at most {gaps[0]:.0e} "
        f"and {gaps[1]:.0e}, {_rigour(runs)}); trained ones {trained[0]:.1f}, {trained[1]:.1f} and "
        f"{trained[2]:.1f}, counting neurons above 1e-2, 1e-3 and 1e-4 of the costliest",
        Verdict.HOLDS if all(2.5 <= value <= 7.5 for value in neurons.values()) else Verdict.FAILS,
        {f"certified {reading}": value for reading, value in neurons.items()} | {"trained": trained[1]},
    )


def _many_together(records: Sequence[Record]) -> Claim:
    runs = of_part(records, "multi")
    neurons = {one.settings["reading"]: one.number("neurons") for one in runs}
    trained = np.mean([one["active"] for one in of_part(records, "trained", "all")], axis=0)
    said = " and ".join(f"{value:.0f} in reading {reading}" for reading, value in neurons.items())
    gap, enough = max(one.number("gap") for one in runs), runs[0].number("enough")
    near = [value for value in (*neurons.values(), *trained) if 75 <= value <= 300]
    return Claim(
        "roughly 150 neurons of the student of all tasks are active",
        "A, B.2 and Figure 8",
        f"the certified optimum has {said} (gap at most {gap:.0e}, {_rigour(runs)}), and {enough:.0f} are "
        f"enough for any data; trained ones {trained[0]:.0f}, {trained[1]:.0f} and {trained[2]:.0f}, "
        "counting neurons above 1e-2, 1e-3 and 1e-4 of the costliest of 800",
        Verdict.HOLDS if near else Verdict.FAILS,
        {f"certified {reading}": value for reading, value in neurons.items()} | {"trained": trained[1]},
    )


def _all_or_none(records: Sequence[Record]) -> Claim:
    certified, trained = of_part(records, "multi"), of_part(records, "trained", "all")
    n_tasks = certified[0]["pattern"].shape[1]
    share, least = [], []
    for runs in (certified, trained):
        users = np.concatenate([one["users"] for one in runs])
        share.append(float(users.mean()) / n_tasks)
        least.append(int(users.min()))
    return Claim(
        "each neuron contributes to all tasks or to none",
        "A, Figure 8",
        f"of active neurons' weights v_kt {100 * share[0]:.1f} % (certified) and {100 * share[1]:.1f} % "
        f"(trained) are above 1e-3 |v_k|; every neuron serves at least {least[0]} and {least[1]} of the "
        f"{n_tasks} tasks",
        Verdict.HOLDS if min(share) >= 0.97 and min(least) >= 0.8 * n_tasks else Verdict.FAILS,
        {"certified": share[0], "trained": share[1], "least": min(least)},
    )


def _ratios(error: Array, size: Array) -> Array:
    """(T,) root mean square error on all lines, over that of the teacher."""
    return np.sqrt(np.mean(error**2, axis=0) / np.mean(size**2, axis=0))


def _recovered(records: Sequence[Record]) -> Claim:
    runs = of_part(records, "single")
    cost = by_task(runs, "least_cost")
    cheaper = cost < 1.0 - _SAME_COST
    certified = _ratios(by_task(runs, "error", 1), by_task(runs, "size", 1))
    trained = _ratios(by_task(runs, "trained.error", 1), by_task(runs, "trained.size", 1))
    bends = by_task(runs, "bends", 1)
    near, count = float(np.mean(certified <= _NEAR)), len(cost)
    all_of_them = near == 1.0 and not cheaper.any()
    verdict = Verdict.FAILS if near < 0.5 else Verdict.HOLDS if all_of_them else Verdict.CORRECTED
    return Claim(
        "the students of one task recover their teacher, a single ReLU, along every line",
        "A, B.2 and Figure 10",
        f"on {len(bends)} lines {100 * near:.0f} % of {count} certified students are within a tenth of the "
        f"teacher's size (median {np.median(certified):.3f}, trained {np.median(trained):.3f}), and 90 % of "
        f"the change of slope is in {np.median(bends):.0f} of 60 pieces at the median; {int(cheaper.sum())} "
        f"of {count} tasks have an interpolant of less than the teacher's cost 1, down to {cost.min():.3f}",
        verdict,
        {"near": near, "cheaper": float(cheaper.sum()), "least_cost": float(cost.min()), "tasks": count},
        "where 20 points leave an interpolant cheaper than the teacher, as they do for some tasks, the "
        "optimum is that one and not the teacher",
    )


def _not_recovered(records: Sequence[Record]) -> Claim:
    together, alone = of_part(records, "multi", "all")[0], of_part(records, "single")
    certified = together["error"] / np.sqrt(np.mean(together["size"] ** 2, axis=0))
    one = by_task(alone, "error", 1) / np.sqrt(np.mean(by_task(alone, "size", 1) ** 2, axis=0))
    tasks = np.sort(np.concatenate([record["tasks"] for record in alone]))
    worse = float(np.mean(certified[:, tasks] > one))
    bends = [float(np.median(part)) for part in (together["bends"], by_task(alone, "bends", 1))]
    lines = np.median(certified, axis=1)
    return Claim(
        "the outputs of the student of all tasks look very different from a ReLU, along every line",
        "A, B.2, Figures 9 and 10",
        f"on {len(lines)} lines the median over tasks of its distance to the teacher is {lines.min():.2f} "
        f"to {lines.max():.2f} of the teacher's size; 90 % of its change of slope is in {bends[0]:.0f} of "
        f"60 pieces at the median, beside {bends[1]:.0f} for one task; it is farther from the teacher than "
        f"the student of the task alone in {100 * worse:.1f} % of lines and tasks",
        Verdict.HOLDS if bends[0] >= 5 and bends[0] > bends[1] and lines.min() > _NEAR else Verdict.FAILS,
        {"least": float(lines.min()), "bends": bends[0], "bends_alone": bends[1], "worse": worse},
    )


def _interpolating(records: Sequence[Record]) -> Claim:
    certified = max(
        *(one.number("mse") for one in of_part(records, "multi")),
        *(float(one["mse"].max()) for one in of_part(records, "single")),
    )
    together = max(one.number("mse") for one in of_part(records, "trained"))
    alone = max(float(one["trained.mse"].max()) for one in of_part(records, "single"))
    verdict = Verdict.HOLDS if max(certified, together, alone) < 1e-4 else Verdict.FAILS
    return Claim(
        "all networks nearly interpolate, with a mean squared error below 1e-4",
        "A, B.2",
        f"largest mean squared error: certified {certified:.1e}, trained on all tasks {together:.1e}, on "
        f"one {alone:.1e}",
        verdict,
        {"certified": certified, "together": together, "alone": alone},
    )


def _global(records: Sequence[Record]) -> Claim:
    excess = {}
    for reading in _readings(records):
        best = of_part(records, "multi", reading)[0].number("objective")
        runs = of_part(records, "trained", reading)
        excess[reading] = max(one.number("objective") for one in runs) / best - 1.0
    runs = of_part(records, "single")
    alone = by_task(runs, "trained.objective") / by_task(runs, "objective") - 1.0
    steps = of_part(records, "trained", "all")[0].settings["steps"]
    said = " and ".join(f"{value:.1e} in reading {reading}" for reading, value in excess.items())
    near = [value <= 1e-2 for value in (*excess.values(), float(np.median(alone)))]
    verdict = Verdict.HOLDS if all(near) else Verdict.CORRECTED if any(near) else Verdict.OPEN
    return Claim(
        "gradient-based training comes to the global optimum in these experiments",
        "A, section 5, of B.2",
        f"Adam ends above the certified optimum: all tasks, {steps:,} steps, by {said}; one task by "
        f"{np.median(alone):.1e} at the median and {alone.max():.1e} at worst",
        verdict,
        {f"together {reading}": value for reading, value in excess.items()} | {"alone": float(alone.max())},
        "within a hundredth where lam is not too small for the steps that are taken; alone some starts end "
        "farther",
    )
