"""Shared and private knots: `kw.solve_sparse_group` against CVXPY + Clarabel, and what it recovers.

    python benchmarks/sparse_group.py [--quick] [--seeds 3] [--only speed|recovery|monotone]

speed     min sum (y - f)^2 / 2 + lam sum_k |v_k|_2 + lam_private sum_kt |v_kt|, N = 10^4, T = 10, to a
          certified relative gap of 1e-8; the data of the other benchmarks. Ours is the median of 5, the
          peer runs once; ratios are of wall seconds of one run, and of CPU seconds beside them. The peer
          is stated over fitted values with the slope changes as variables of their own (as an expression
          Clarabel fails on it); its excess is how far its objective lies above our certified bound.
monotone  the same data and peer, tasks increasing and decreasing in turn: most stand still for long, for
          the data do neither. Run once each.
recovery  N = 400, T = 5, 3 knots that all tasks share and 5 that one task has alone, noise. lam, and
          lam_private / lam where it is not 0, are chosen on a second sample of the labels: of the least
          squared error ("best"), or of the fewest nonzero jumps within one standard error of that
          ("1 s.e."). A knot counts as recovered where the knots within 0.03 of it are used by exactly the
          tasks that have it. "rounded": entries below 10 % of their knot's norm count as 0, which the
          plain penalty needs, for it has no exact zeros.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import NamedTuple

import cvxpy as cp
import numpy as np
from data import LAM_FACTORS, lam_of, shared_kinks
from numpy.typing import NDArray
from peers import second_differences

import knotwork as kw
from knotwork.solvers.sparse_group import solve_sparse_group

Array = NDArray[np.float64]
RATIOS = (0.3, 1.0)


class Timed(NamedTuple):
    """Wall and CPU seconds of a fit, and its objective; NaN where it failed."""

    wall: float
    cpu: float
    primal: float


def conic(x: Array, Y: Array, lam: float, lam_private: float, direction: Array | None = None) -> Timed:
    """CVXPY with Clarabel at its default tolerances (1e-8); slopes of the signs of `direction` (T,)."""
    wall, cpu = time.perf_counter(), time.process_time()
    D = second_differences(x)
    F, bends = cp.Variable(Y.shape), cp.Variable((len(x) - 2, Y.shape[1]))
    cost = 0.5 * cp.sum_squares(Y - F) + lam * cp.sum(cp.norm(bends, 2, axis=1))
    cost += lam_private * cp.sum(cp.abs(bends))
    rules = [bends == D @ F]
    if direction is not None:
        rules.append(cp.multiply(np.ones((len(x) - 1, 1)) * direction, cp.diff(F, axis=0)) >= 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cp.Problem(cp.Minimize(cost), rules).solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return Timed(time.perf_counter() - wall, time.process_time() - cpu, float("nan"))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    jumps = D @ F.value
    primal = 0.5 * float(np.sum((Y - F.value) ** 2)) + lam * float(np.linalg.norm(jumps, axis=1).sum())
    return Timed(wall, cpu, primal + lam_private * float(np.abs(jumps).sum()))


def ours(
    problem: kw.Problem, lam_private: float, repeats: int, monotone: list[str] | None = None
) -> tuple[float, float, kw.Solution]:
    """Median wall and CPU seconds, and the solution."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        solution = solve_sparse_group(problem, lam_private, monotone=monotone)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return float(np.median(walls)), float(np.median(cpus)), solution


def speed(seeds: int, quick: bool) -> None:
    n, n_tasks = (2_000 if quick else 10_000), 10
    print(f"\nN = {n:,}, T = {n_tasks}; bar 20x, moonshot 200x, gap <= 1e-8\n")
    print(
        "| spacing | lam | lam_private | ratio (CPU) | our s (CPU) | our gap | knots | zeros "
        "| peer s (CPU) | excess |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    worst, worst_gap = np.inf, 0.0
    for spacing in ("random", "regular"):
        for factor in LAM_FACTORS:
            for ratio in RATIOS:
                for seed in range(seeds):
                    x, Y = shared_kinks(n, n_tasks, seed, spacing)
                    lam = lam_of(factor, n)
                    wall, cpu, solution = ours(kw.Problem(x, Y, lam), ratio * lam, 5)
                    certificate = solution.certificate
                    gap = certificate.gap / certificate.primal
                    peer = conic(x, Y, lam, ratio * lam)
                    excess = peer.primal / certificate.dual - 1.0
                    solved = excess <= 1e-6
                    said = f"{peer.wall / wall:.0f}x ({peer.cpu / cpu:.0f}x)" if solved else "failed"
                    if solved:
                        worst = min(worst, peer.wall / wall)
                    worst_gap = max(worst_gap, gap)
                    V = solution.network.V
                    zeros = float(np.mean(V == 0)) if len(V) else 1.0
                    print(
                        f"| {spacing} | {factor}√N | {ratio} lam | {said} | {wall:.3f} ({cpu:.3f}) "
                        f"| {gap:.0e} | {len(V)} | {zeros:.0%} | {peer.wall:.1f} ({peer.cpu:.1f}) "
                        f"| {excess:.0e} |",
                        flush=True,
                    )
    print(f"\nworst ratio where the peer solves it: {worst:.0f}x; worst gap: {worst_gap:.0e}")


def monotone(quick: bool) -> None:
    n_tasks = 10
    ways = ["increasing", "decreasing"] * (n_tasks // 2)
    print(f"\nmonotone, T = {n_tasks}, gap <= 1e-8\n")
    print("| N | lam | lam_private | ratio (CPU) | our s (CPU) | our gap | knots | peer s (CPU) | excess |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n in (300, 2_000) if quick else (300, 2_000, 10_000):
        x, Y = shared_kinks(n, n_tasks, 0, "random")
        for factor, ratio in ((0.02, 0.3), (0.2, 0.0)):
            lam = lam_of(factor, n)
            wall, cpu, solution = ours(kw.Problem(x, Y, lam), ratio * lam, 1, ways)
            certificate = solution.certificate
            peer = conic(x, Y, lam, ratio * lam, np.where(np.arange(n_tasks) % 2, -1.0, 1.0))
            excess = peer.primal / certificate.dual - 1.0
            said = f"{peer.wall / wall:.0f}x ({peer.cpu / cpu:.0f}x)" if excess <= 1e-6 else "failed"
            print(
                f"| {n:,} | {factor}√N | {ratio} lam | {said} | {wall:.2f} ({cpu:.2f}) "
                f"| {certificate.relative_gap:.0e} | {solution.network.n_neurons} "
                f"| {peer.wall:.1f} ({peer.cpu:.1f}) | {excess:.0e} |",
                flush=True,
            )


def knots_of_tasks(rng: np.random.Generator) -> tuple[Array, Array]:
    """(8,) places at least 0.08 apart and (8, 5) jumps: 3 of all tasks, one of each task alone."""
    places = (rng.permutation(8) + 1.0) / 9.0 + rng.uniform(-0.015, 0.015, 8)
    jumps = np.vstack([np.ones((3, 5)), np.eye(5)])
    return places, jumps * rng.choice([-1.0, 1.0], (8, 5)) * rng.uniform(10.0, 30.0, (8, 5))


def recovered(network: kw.ReLUNetwork, places: Array, jumps: Array, rounded: bool) -> NDArray[np.bool_]:
    """(8,) whether the knots near each place are used by exactly the tasks that bend there."""
    location, jump = network.knots
    least = 0.1 * np.linalg.norm(jump, axis=1, keepdims=True) if rounded else 0.0
    users = np.abs(jump) > least
    near = np.abs(location[:, None] - places) <= 0.03
    used = np.array([users[one].any(axis=0) if one.any() else np.zeros(5, dtype=bool) for one in near.T])
    return np.all(used == (jumps != 0), axis=1)


def recovery(seeds: int) -> None:
    print(f"\n{seeds} draws of 3 shared and 5 private knots, N = 400, T = 5, noise 0.3\n")
    print(
        "| penalty | shared as shared | private as private | rounded: shared | private | rms error "
        "| nonzero jumps |"
    )
    print("|---|---|---|---|---|---|---|")
    found: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        places, jumps = knots_of_tasks(rng)
        x = np.sort(rng.uniform(0.0, 1.0, 400))
        truth = np.maximum(x[:, None] - places, 0.0) @ jumps
        Y, other = truth + 0.3 * rng.standard_normal((2, *truth.shape))
        grid = kw.lam_max(kw.Problem(x, Y, 0.0)) * 10.0 ** np.linspace(-3.5, -0.5, 10)
        choices = {
            "plain": [(lam, 0.0) for lam in grid],
            "sparse group": [
                (lam / (1 + r), r * lam / (1 + r)) for r in (0.0, 0.2, 0.5, 1.0, 3.0) for lam in grid
            ],
            "lam = 0, apart": [(0.0, lam) for lam in grid],
        }
        for name, pairs in choices.items():
            networks = [
                solve_sparse_group(kw.Problem(x, Y, lam), private, tol=1e-7).network for lam, private in pairs
            ]
            errors = np.array([np.sum((other - one.predict(x)) ** 2, axis=1) for one in networks])
            best = int(np.argmin(errors.mean(axis=1)))
            within = errors[best].mean() + errors[best].std() / np.sqrt(len(x))
            sizes = [
                np.count_nonzero(one.V) if error.mean() <= within else np.inf
                for one, error in zip(networks, errors, strict=True)
            ]
            for rule, chosen in (("best", best), ("1 s.e.", int(np.argmin(sizes)))):
                network = networks[chosen]
                exact, rounded = (recovered(network, places, jumps, flag) for flag in (False, True))
                rms = float(np.sqrt(np.mean((network.predict(x) - truth) ** 2)))
                row = [exact[:3].mean(), exact[3:].mean(), rounded[:3].mean(), rounded[3:].mean()]
                found.setdefault(f"{name}, {rule}", []).append(
                    [*map(float, row), rms, float(np.count_nonzero(network.V))]
                )
    for name, rows in found.items():
        mean = np.mean(rows, axis=0)
        shares = " | ".join(f"{share:.0%}" for share in mean[:4])
        print(f"| {name} | {shares} | {mean[4]:.4f} | {mean[5]:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2,000 rows, 5 draws")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("speed", "recovery", "monotone"))
    options = parser.parse_args()
    if options.only in (None, "speed"):
        speed(1 if options.quick else options.seeds, options.quick)
    if options.only in (None, "monotone"):
        monotone(options.quick)
    if options.only in (None, "recovery"):
        recovery(5 if options.quick else 20)
