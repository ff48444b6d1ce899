"""Paper A, Corollary 1 and Remark 1: random labels, and losses in place of constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import safe_row_norms
from ..problem import Problem
from ..solution import Status
from ..solvers.solve import lam_max, solve
from ..theory.uniqueness import uniqueness
from .experiment import Claim, Experiment, Plan, Verdict
from .piecewise import SHARES, angles, bent_labels, joined, least_rise, same_by_set
from .records import Record, Settings

Array = NDArray[np.float64]

_ROUNDING, _FEW = 1e-9, 30
_LAM, _SAME_WAY = 0.05, 1e-7
_LOSSES = ("squared", "huber", "quantile", "logistic", "poisson")
_SLOW = "quantile"


def _corollary_pieces(plan: Plan) -> list[Settings]:
    return [{"draws": max(plan.draws(500, 30), _FEW), "seed": 0}]


def _corollary(draws: int, seed: int) -> Mapping[str, ArrayLike]:
    """Random labels, T = 1 ... 4; and aligned data of two tasks before and after a small change."""
    rng = np.random.default_rng(seed)
    unique, n_tasks, rows = [], [], []
    for k in range(draws):
        n, T = int(rng.integers(4, 20)), 1 + k % 4
        labels = rng.standard_normal((n, T)) if k % 2 else rng.standard_exponential((n, T))
        unique.append(uniqueness(np.sort(rng.standard_normal(n)), labels).unique is True)
        n_tasks.append(T)
        rows.append(n)
    before, after = [], []
    for _ in range(draws // 4):
        n = int(rng.integers(4, 20))
        x = np.cumsum(rng.uniform(0.3, 1.0, n))
        jumps = rng.uniform(0.2, 2.0, (n - 2, 1)) * rng.standard_normal(2)
        Y = bent_labels(x, jumps, rng)
        before.append(uniqueness(x, Y).unique is False)
        after.append(uniqueness(x, Y + 1e-3 * rng.standard_normal(Y.shape)).unique is True)
    return {
        "unique": np.array(unique),
        "tasks": np.array(n_tasks),
        "rows": np.array(rows),
        "aligned not unique": np.array(before),
        "moved unique": np.array(after),
    }


def _judge_corollary(records: Sequence[Record]) -> list[Claim]:
    (one,) = records
    several = one["tasks"] > 1
    unique, n = int(one["unique"][several].sum()), int(several.sum())
    alone, of = int(one["unique"][~several].sum()), int((~several).sum())
    before, after, pairs = (
        int(f(one[k]))
        for f, k in ((np.sum, "aligned not unique"), (np.sum, "moved unique"), (len, "moved unique"))
    )
    return [
        Claim(
            "labels of two tasks and more drawn from a density have one solution with probability one",
            "A, Corollary 1",
            f"unique in {unique} of {n} draws of 2 to 4 tasks, 4 to 19 rows, and in {alone} of {of} of one "
            "task",
            Verdict.HOLDS if unique == n and alone < of else Verdict.FAILS,
            {"unique": unique, "draws": n, "unique of one task": alone, "draws of one task": of},
        ),
        Claim(
            "data of more than one solution have measure zero for two tasks and more",
            "A, Theorem 3.1",
            f"{before} of {pairs} data sets of two aligned tasks have more than one solution, and {after} "
            f"of {pairs} one only once their labels move by .001 at random",
            Verdict.HOLDS if before == after == pairs else Verdict.FAILS,
            {"not unique": before, "unique once moved": after, "data sets": pairs},
        ),
    ]


def _remark_pieces(plan: Plan) -> list[Settings]:
    return [
        {"loss": loss, "draws": max(plan.draws(20, 4), 4) // (2 if loss == _SLOW else 1)} for loss in _LOSSES
    ]


def _remark(loss: str, draws: int) -> Mapping[str, ArrayLike]:
    """lam > 0: bends of solutions, and functions of the same fitted values with one knot more. Rows:
    intervals between data, the first and the last among them."""
    found: dict[str, list[float]] = {"rise": [], "aligned": [], "data set": [], "gap": [], "said": []}
    off = 0.0
    for seed in range(draws):
        rng = np.random.default_rng([33, seed])
        x, Y = _labels(loss, rng, 1 + seed % 2)
        largest = lam_max(Problem(x, Y, 1.0, loss))
        if not 0 < largest < np.inf:
            continue
        solution = solve(Problem(x, Y, _LAM * largest, loss))
        if solution.status is not Status.OPTIMAL:
            continue
        knots = solution.network.knots
        place = np.searchsorted(x, knots.location).clip(0, len(x) - 1)
        off = max(off, float(np.abs(x[place] - knots.location).max(initial=0.0)))
        bends = np.zeros_like(Y)
        bends[place] = knots.jump
        bends = bends[1:-1]
        size = safe_row_norms(bends)
        both = (size[:-1] > 0) & (size[1:] > 0) & (angles(bends[:-1], bends[1:]) <= _SAME_WAY)
        fitted = bent_labels(x, bends, None)
        rise = [min(least_rise(x, fitted, i, share, rng) for share in SHARES) for i in range(len(x) - 1)]
        said = uniqueness(solution).unique
        n = len(rise)
        found["rise"] += rise
        found["aligned"] += [False, *both.tolist(), False]
        found["data set"] += [seed] * n
        found["gap"] += [solution.certificate.relative_gap] * n
        found["said"] += [-1.0 if said is None else float(said)] * n
    return {name: np.array(values, dtype=float) for name, values in found.items()} | {"off": np.array([off])}


def _labels(loss: str, rng: np.random.Generator, n_tasks: int) -> tuple[Array, Array]:
    n = int(rng.integers(6, 11))
    x, mean = np.cumsum(rng.uniform(0.3, 1.0, n)), 1.5 * rng.standard_normal((n, n_tasks))
    if loss == "logistic":
        return x, (rng.uniform(size=mean.shape) < 1.0 / (1.0 + np.exp(-mean))).astype(float)
    return x, rng.poisson(np.exp(mean)).astype(float) if loss == "poisson" else mean


def _judge_remark(records: Sequence[Record]) -> list[Claim]:
    all_ = joined(records)
    aligned = all_["aligned"] > 0
    level, dearer = float(np.abs(all_["rise"][aligned]).max()), float(all_["rise"][~aligned].min())
    said = all_["said"] >= 0
    key = np.concatenate([1e6 * k + record["data set"] for k, record in enumerate(records)])
    agree = same_by_set(key[said], aligned[said], all_["said"][said] == 0)
    sets, gap = len(np.unique(key)), float(all_["gap"].max())
    on_data = float(all_["off"].max()) <= _ROUNDING
    return [
        Claim(
            "at lam > 0 and for any loss a solution is linear between data, unless the slope changes of "
            "its fitted values there are nonzero and aligned",
            "A, Remark 1",
            f"{sets} certified solutions of one and two tasks under {', '.join(_LOSSES)} loss (relative "
            f"gaps at most {gap:.1g}): knots at data {'only' if on_data else 'and elsewhere'}; at the same "
            f"fitted values a knot more costs the same to {level:.1g} in {aligned.sum()} aligned intervals, "
            f"and at least {dearer:.2g} lam |delta| more in the {(~aligned).sum()} others, the outer ones "
            f"among them; where the loss is strictly convex the verdicts {'agree' if agree else 'disagree'}",
            Verdict.HOLDS if on_data and agree and level <= _ROUNDING < dearer else Verdict.FAILS,
            {"solutions": sets, "rise aligned": level, "rise elsewhere": dearer, "gap": gap},
        )
    ]


EXPERIMENTS = (
    Experiment(
        name="a-corollary-1",
        title="Random labels have one solution",
        figures=(),
        shows="For two tasks and more almost all data have one solution.",
        ours="Gaussian and exponential labels at Gaussian inputs.",
        pieces=_corollary_pieces,
        compute=_corollary,
        judge=_judge_corollary,
        effort=2.0,
    ),
    Experiment(
        name="a-remark-1",
        title="The same at lam > 0, for any loss",
        figures=(),
        shows="With a loss in place of the constraints the theorem speaks of the fitted values.",
        ours=f"lam = {_LAM} lam_max; random labels of ours; data whose optimum is not attained are left out.",
        pieces=_remark_pieces,
        compute=_remark,
        judge=_judge_remark,
        effort=8.0,
    ),
)
