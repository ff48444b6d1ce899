"""How often the bootstrap's intervals hold the truth, on simulated data, and its seconds on real data.

    python benchmarks/bootstrap.py [--sets 100] [--replicates 200] [--level 0.9] [--jobs 1]

3 tasks that share 3 kinks on 200 inputs, each with jumps of its own, the errors of tasks correlated by
one half: independent from input to input, or correlated by 0.6 from neighbour to neighbour. lam is chosen
anew on every set as `knotwork fit` does, by 10 blocked folds and the rule of one standard error; the
replicates keep it.

points    share of tasks and inputs where the band holds the truth.
everywhere  share of tasks where the simultaneous band holds it at all inputs.
places    share of true kinks that lie in the interval of the bend nearest to them.
strengths  share of true kinks whose |jump| lies in the interval of that bend.
missed    share of true kinks farther from every bend than a twentieth of the inputs' range.
bends     how many bends the fit has.

A share of 100 sets has a standard error of 0.03 where everything in a set stands or falls together.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

import knotwork as kw
from knotwork.selection.bootstrap import bootstrap
from knotwork.selection.bootstrap_result import Bootstrap

Array = NDArray[np.float64]
N, T, KINKS = 200, 3, 3
ASKED: list[dict[str, Any]] = [
    {"scheme": scheme, "refit": refit} for scheme in ("residual", "block") for refit in (False, True)
]
NAMES = (
    "points percentile",
    "points basic",
    "everywhere percentile",
    "everywhere basic",
    "places",
    "strengths",
    "missed",
    "bends",
)
NOISE, ACROSS_TASKS, ALONG_INPUTS = 0.3, 0.5, 0.6


@dataclass(frozen=True, eq=False)
class Truth:
    """Labels (N, T) at x (N,), the functions f (N, T) they scatter about, and the kinks (K,), (K, T)."""

    x: Array
    Y: Array
    f: Array
    place: Array
    jump: Array


def draw(seed: int, along: float) -> Truth:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(size=N))
    place = (np.arange(KINKS) + rng.uniform(0.3, 0.7, KINKS)) / KINKS
    jump = rng.choice([-1.0, 1.0], (KINKS, T)) * rng.uniform(8.0, 16.0, (KINKS, T))
    f = np.maximum(x[:, None] - place, 0.0) @ jump + rng.standard_normal(T) * x[:, None]
    shared = np.full((T, T), ACROSS_TASKS) + (1.0 - ACROSS_TASKS) * np.eye(T)
    new = rng.standard_normal((N, T)) @ np.linalg.cholesky(shared).T
    error = new.copy()
    for i in range(1, N):
        error[i] = along * error[i - 1] + np.sqrt(1.0 - along**2) * new[i]
    return Truth(x, f + NOISE * error, f, place, jump)


def measured(seed: int, along: float, replicates: int, level: float) -> list[dict[str, float]]:
    """What holds on one set, for each of ASKED."""
    truth = draw(seed, along)
    problem = kw.Problem(truth.x, truth.Y, 1.0)
    solution = kw.cross_validate(problem, 10, scheme="blocked", rule="1se", n_lams=50).solution
    return [
        shares(bootstrap(solution, replicates=replicates, random_state=seed, **asked), truth, level)
        for asked in ASKED
    ]


def shares(found: Bootstrap, truth: Truth, level: float) -> dict[str, float]:
    """How much of the truth the intervals hold."""
    held: dict[str, Any] = {}
    for kind in ("percentile", "basic"):
        for name, simultaneous in (("points", False), ("everywhere", True)):
            band = found.band(truth.x, level=level, kind=kind, simultaneous=simultaneous)
            inside = (band.low <= truth.f) & (truth.f <= band.high)
            held[f"{name} {kind}"] = inside.all(axis=0) if simultaneous else inside
    bends = found.bends(level=level)
    apart = np.array(
        [[abs(bend.place - place) for place in truth.place] for bend in bends] or [[np.inf] * KINKS]
    )
    missed = apart.min(axis=0) > 0.05 * np.ptp(truth.x)
    places, strengths = ~missed, ~missed
    for k in np.flatnonzero(~missed):
        own = bends[int(apart[:, k].argmin())]
        places[k] = own.place_low <= truth.place[k] <= own.place_high
        strengths[k] = own.strength_low <= np.linalg.norm(truth.jump[k]) <= own.strength_high
    held |= {"places": places, "strengths": strengths, "missed": missed, "bends": np.array(len(bends))}
    return {name: float(one.mean()) for name, one in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=100, help="simulated sets a row")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    table = kw.load_dataset("us-employment")
    solution = kw.fit_table(table).solution
    for asked in ASKED:
        began = time.process_time()
        found = bootstrap(solution, **asked)
        took = time.process_time() - began
        print(
            f"{found.n_replicates} replicates of us-employment, {table.n_rows} rows, {table.n_tasks} tasks, "
            f"{found.scheme}{', refit' if found.refit else ''}: {took:.2f} s of one core"
        )
    print(f"\n| errors | scheme | estimator | {' | '.join(NAMES)} |")
    print("|---" * (len(NAMES) + 3) + "|")
    for along in (0.0, ALONG_INPUTS):
        sets: Any = Parallel(n_jobs=options.jobs)(
            delayed(measured)(seed, along, options.replicates, options.level) for seed in range(options.sets)
        )
        for k, asked in enumerate(ASKED):
            means = [f"{np.mean([one[k][name] for one in sets]):.3g}" for name in NAMES]
            errors = "neighbours alike" if along else "independent"
            estimator = "refit" if asked["refit"] else "penalised"
            print(f"| {errors} | {asked['scheme']} | {estimator} | {' | '.join(means)} |", flush=True)


if __name__ == "__main__":
    main()
