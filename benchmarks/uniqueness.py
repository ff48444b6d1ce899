"""Verdicts on uniqueness and sampled solution sets against a conic solver's range of f.

    python benchmarks/uniqueness.py [--n 1000] [--processes 2] [--seed 0]

Random data sets, one per seed: 4 to 9 rows, 1 to 3 tasks; half of them aligned by construction, a third with
missing labels, half with lam = 0 and half with lam > 0. At 5 points of every interval between
inputs, and for every task, Clarabel traces the least and the greatest f_t(x) over
{ F <= F* (1 + s) } for s <= 1e-6 (tests/references_ranges.py says how), F* being Clarabel's own optimum.

Both sides are compared fairly only in the limit: a determined value still has a range of order
sqrt(s) (or s, where the cost has a corner), which is large where slope changes are nearly
aligned. So a data set agrees when

1. the verdict is True or False, not None;
2. every sample and the sparsest member have F <= F* (1 + 1e-8), by a dense formula, and no sample
   crosses an envelope;
3. the envelopes lie in the range (up to 1e-6 of the labels' size and Clarabel's own error, which
   must stay below 1e-4 of it), and what the range exceeds them by vanishes with s: it is no more than
   that, or shrinks to a quarter or less as the Lagrangian's delta (like sqrt(s)) is divided by 10, or
   then again. A free value that the set misses keeps its excess; a determined one that the set lets
   vary is outside the range;
4. the verdict is True exactly where the envelopes coincide, and `intervals` are those where they do
   not.

The last line is "agree: n of n"; data sets that do not agree are listed with what failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import knotwork as kw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from references import dense_objective, dense_predict
from references_ranges import Ranges

Array = NDArray[np.float64]
POINTS, SAMPLES = 5, 10
CLOSE, SLACK, REDUCTIONS = 1e-6, 1e-6, (1.0, 0.1, 0.01, 0.001)


class DataSet(NamedTuple):
    """Inputs (N,), labels (N, T) with NaN where missing, and lam."""

    x: Array
    Y: Array
    lam: float
    kind: str


class Outcome(NamedTuple):
    """A data set's kind and verdict, and what did not agree ("" where all did)."""

    seed: int
    kind: str
    unique: bool | None
    failure: str


def data_set(seed: int) -> DataSet:
    """Data set `seed`: its residues choose the kind, the rest is random."""
    rng = np.random.default_rng([7, seed])
    n, n_tasks = int(rng.integers(4, 10)), int(rng.integers(1, 4))
    x = np.cumsum(rng.uniform(0.1, 1.0, n))
    aligned, gaps, penalised = seed % 2 == 0, seed % 3 == 0, (seed // 6) % 2 == 1
    lam = float(rng.uniform(0.02, 0.3)) if penalised else 0.0
    make = _aligned if aligned else _generic
    kind = f"{'aligned' if aligned else 'generic'}{', gaps' if gaps else ''}, lam {'> 0' if lam else '= 0'}"
    return DataSet(x, make(rng, x, n_tasks, lam, gaps), lam, kind)


def _generic(rng: np.random.Generator, x: Array, n_tasks: int, lam: float, gaps: bool) -> Array:
    Y = rng.standard_normal((len(x), n_tasks))
    for t in range(n_tasks):
        if gaps:
            missing = rng.uniform(size=len(x)) < 0.3
            missing[rng.choice(len(x), 2, replace=False)] = False
            Y[missing, t] = np.nan
    return Y


def _aligned(rng: np.random.Generator, x: Array, n_tasks: int, lam: float, gaps: bool) -> Array:
    """Labels whose optimum is known by its dual: p is constant on runs, |p| = lam at every inner
    input; f bends along p, and y = f + lam D'p. Labels where D'p = 0 may be missing.

    At lam > 0 every knot has mass: a knot of none with |p| = lam is unique by nothing but the last
    digit of the labels, and None is the answer there."""
    n = len(x)
    p, f = np.zeros((n, n_tasks)), rng.standard_normal(n_tasks) + np.outer(x, rng.standard_normal(n_tasks))
    inside = np.zeros(n, dtype=bool)
    start = 1
    while start < n - 1:
        size = int(rng.integers(2, n))
        stop = min(start + size, n - 1)
        u = rng.choice((-1.0, 1.0), n_tasks) * rng.uniform(0.1, 1.0, n_tasks)
        p[start:stop] = u / np.linalg.norm(u)
        inside[start + 1 : stop - 1] = True
        start = stop
    mass = rng.uniform(0.1, 2.0, n)
    if lam == 0:
        mass *= rng.uniform(size=n) > 0.15
    f = f + np.maximum(x[:, None] - x, 0.0) @ (mass[:, None] * p)
    alpha = np.diff(np.diff(p, axis=0) / np.diff(x)[:, None], axis=0, prepend=0.0, append=0.0)
    Y = f + lam * alpha
    if gaps:
        Y[inside[:, None] & (rng.uniform(size=Y.shape) < 0.6)] = np.nan
    return Y


def check(seed: int) -> Outcome:
    """Compare the verdict and the solution set of data set `seed` with the conic ranges."""
    data = data_set(seed)
    found = kw.uniqueness(kw.solve(kw.Problem(data.x, data.Y, data.lam), tol=1e-12))
    solutions = found.solution_set
    if solutions is None:
        return Outcome(seed, data.kind, found.unique, f"undecided: {found.reason}")
    return Outcome(seed, data.kind, found.unique, _compare(data, found, solutions, seed) or "")


def _compare(data: DataSet, found: kw.Uniqueness, solutions: kw.SolutionSet, seed: int) -> str | None:
    ranges = Ranges(data.x, data.Y, data.lam)
    size = float(np.nanmax(np.abs(data.Y)))
    # rows without any label are no data; the knots are between those that are
    x = data.x[~np.isnan(data.Y).all(axis=1)]
    share = (np.arange(POINTS) + 0.5) / POINTS
    places = (x[:-1, None] + share * np.diff(x)[:, None]).ravel()
    lower, upper = solutions.envelopes(places)
    rng = np.random.default_rng(seed)
    members = [solutions.sample(rng) for _ in range(SAMPLES)] + [solutions.sparsest()]
    curves = np.array([network.predict(places) for network in members])
    if max((lower - curves).max(), (curves - upper).max()) > 1e-9 * size:
        return "a member crosses an envelope"
    if max(dense_excess(data, network, ranges.optimum) for network in members) > 1e-8:
        return "a member is not optimal"
    if not all(solutions.contains(network) for network in members):
        return "a member is not contained"
    varies = (upper - lower).max(axis=1).reshape(len(x) - 1, POINTS).max(axis=1) > 1e-9 * size
    if found.unique is not bool(not varies.any()):
        return f"unique is {found.unique}, but the envelopes differ at {int(varies.sum())} intervals"
    if not np.array_equal(found.intervals, np.column_stack([x[:-1], x[1:]])[varies]):
        return "intervals are not those where the envelopes differ"
    for i, t in np.ndindex(lower.shape):
        excess: list[float] = []
        for reduction in REDUCTIONS:
            least, greatest, _, error = ranges.at(places[i], t, SLACK, reduction)
            here = f"task {t} at {places[i]:.4g}: envelopes {lower[i, t]:.8g}, {upper[i, t]:.8g}; conic range"
            close = CLOSE * size + error
            if close > 100 * CLOSE * size:
                return f"{here} was found to {error:.1g} only"
            if max(least - lower[i, t], upper[i, t] - greatest) > close:
                return f"{here} {least:.8g}, {greatest:.8g}"
            excess.append(max(lower[i, t] - least, greatest - upper[i, t]))
            if excess[-1] <= close or (len(excess) > 1 and excess[-1] <= 0.25 * excess[-2]):
                break
        else:
            return f"{here} larger by {excess} at deltas {REDUCTIONS}"
    return None


def dense_excess(data: DataSet, network: kw.ReLUNetwork, optimum: float) -> float:
    """F(network) / F* - 1, neuron by neuron; infinite where lam = 0 and a label is missed."""
    fitted = dense_predict(network, data.x)
    if data.lam > 0:
        value = dense_objective(data.x[:, None], data.Y, data.lam, network)
    else:
        size = np.nanmax(np.abs(data.Y))
        if np.nanmax(np.abs(data.Y - fitted)) > 1e-10 * size:
            return float("inf")
        value = dense_objective(data.x[:, None], np.full_like(data.Y, np.nan), 1.0, network)
    return (value - optimum) / max(optimum, 1e-6)


def run(seeds: range, processes: int) -> list[Outcome]:
    """`check` of every seed, in that order."""
    if processes == 1:
        return [check(seed) for seed in seeds]
    with Pool(processes) as pool:
        return list(pool.imap(check, seeds, chunksize=4))


def main() -> None:
    parser = argparse.ArgumentParser(description="Uniqueness against conic ranges.")
    parser.add_argument("--n", type=int, default=1000, help="data sets")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    began = time.perf_counter()
    outcomes = run(range(arguments.seed, arguments.seed + arguments.n), arguments.processes)
    counts = Counter((outcome.kind, str(outcome.unique)) for outcome in outcomes)
    for (kind, unique), count in sorted(counts.items()):
        print(f"{kind:28} unique {unique:6} {count:5}")
    for outcome in outcomes:
        if outcome.failure:
            print(f"seed {outcome.seed} ({outcome.kind}): {outcome.failure}")
    agree = sum(not outcome.failure for outcome in outcomes)
    print(f"{time.perf_counter() - began:.0f} s")
    print(f"agree: {agree} of {len(outcomes)}")


if __name__ == "__main__":
    main()
