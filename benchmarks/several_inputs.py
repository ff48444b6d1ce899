"""Several inputs: every bar that the certified global solver is held to, in one table.

    python benchmarks/several_inputs.py [--quick] [--only NAME ...] [--cpu-time]

squares  the two squares of A Fig. 5, T in {1, 101}, lam in {1e-3, 4e-3, .404}, where 1e-12 is asked for.
plane    `bends(300, 2, 20)`, lam = .02 lam_max, where 1e-9 is asked for.
teachers A B.2: `teachers()`, N = 20, d = 5, T = 25, lam = .025, where 1e-9 is asked for.
large    `bends(10^4, 10, T)`, lam = .02 lam_max: seconds to 1e-3 above the best known (the least objective of
         all runs of that seed), against Adam by the schedule that is there first. `LIMIT` seconds a run,
         half with --quick; then great circles from up to 2,000 starts of another seed, as many as that
         time allows, at the dual point of our end: more than 1 lam contradicts the HEURISTIC gap.
search   search over exact dual norm, 15 points in d = 5, T = 3, half of the draws Gaussian dual points, half
         residuals of poor networks.
random   500 random and 500 near-optimal networks: the certified lower bound is at most the best objective.
growth   exponents of the seconds in N, T and d where the dual norm is exact.
peers    Adam, MLPRegressor and pyscnn on the same objective: how far they end above our lower bound.

Seeds are 0, 1, 2; the worst is reported. The gap printed is gap / max(|primal|, |dual|), without the floor
below which a certificate calls it 0. Everything runs on one thread; `--cpu-time` counts processor seconds,
for a machine with other work.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import time
from collections.abc import Iterator
from itertools import product

import numpy as np
import several_peers as peers
from one_input import HEADER, Row, relative_gap
from several_peers import adam, bends, mlp_regressor, scnn_network, teachers, two_squares
from threadpoolctl import threadpool_limits

import knotwork as kw
from knotwork.dual_norm.search import climb
from knotwork.dual_norm.several import UnitNeurons

NONE, FREE = kw.Penalty(False, "none"), kw.Penalty(False, "free")
PENALISED = tuple(kw.Penalty(True, skip) for skip in ("none", "frobenius", "nuclear"))
LIMIT = 120.0
SCHEDULES = ((1000, 1e-2), (1000, 2e-2), (2000, 1e-2))
LONG = (4000, 1e-2)
STARTS, SMALL_STEPS = 2000, 40_000


def name_of(penalty: kw.Penalty) -> str:
    return f"biases {'penalised' if penalty.biases else 'free'}, skip {penalty.skip}"


def timed(problem: kw.Problem, tol: float, limit: float = LIMIT) -> tuple[float, kw.Solution]:
    began = peers.clock()
    solution = kw.solve(problem, tol=tol, max_seconds=limit)
    return peers.clock() - began, solution


def held(bar: str, setting: str, problems, tol: float, gap: float, floor: float, moonshot: str) -> Row:
    """The worst of `problems`, one for each seed, against a gap in `floor` seconds, EXACT."""
    seconds, solutions = zip(*[timed(problem, tol) for problem in problems], strict=True)
    worst, longest = max(map(relative_gap, solutions)), max(seconds)
    rigour = sorted({one.certificate.rigour.name for one in solutions})
    neurons = [one.network.n_neurons for one in solutions]
    said = [f"F = {solutions[0].certificate.primal:.10g} at seed 0", f"{min(neurons)}-{max(neurons)} neurons"]
    said += sorted({one.status.name for one in solutions} - {"OPTIMAL"})
    return Row(
        bar,
        setting,
        f"gap {worst:.0e} {'/'.join(rigour)} in {longest:.2f} s",
        f"{gap:.0e} in {floor:g} s",
        moonshot,
        worst <= gap and longest <= floor and rigour == ["EXACT"],
        worst,
        longest,
        ", ".join(said),
    )


def squares(seeds: int, quick: bool) -> Iterator[Row]:
    for penalty, n_tasks, lam in product((NONE, *PENALISED), (1, 101), (1e-3, 4e-3, 0.404)):
        problems = [
            kw.Problem(*two_squares(n_tasks, s), lam, penalty=penalty)
            for s in range(1 if n_tasks == 1 else seeds)
        ]
        setting = f"{name_of(penalty)}, T={n_tasks} lam={lam:g}"
        yield held("squares", setting, problems, 1e-12, 1e-9, 2.0, "1e-12 in .1 s")


def plane(seeds: int, quick: bool) -> Iterator[Row]:
    for penalty in (FREE, NONE, PENALISED[0]) if quick else (FREE, NONE, *PENALISED[:2]):
        problems = []
        for seed in range(seeds):
            problem = kw.Problem(*bends(300, 2, 20, seed), 1.0, penalty=penalty)
            problems.append(problem.with_lam(0.02 * kw.lam_max(problem)))
        setting = f"{name_of(penalty)}, N=300 T=20 lam=.02lam_max"
        yield held("plane", setting, problems, 1e-9, 1e-6, 60.0, "1e-9 in 10 s")


def of_teachers(seeds: int, quick: bool) -> Iterator[Row]:
    problems = [kw.Problem(*teachers(seed), 0.025, penalty=NONE) for seed in range(seeds)]
    setting = f"{name_of(NONE)}, d=5 N=20 T=25 lam=.025"
    yield held("teachers", setting, problems, 1e-9, 1e-6, 120.0, "1e-9 in 20 s")


def large(seeds: int, quick: bool) -> Iterator[Row]:
    limit = 0.5 * LIMIT if quick else LIMIT
    for n_tasks in (5, 50):
        ratios, said, gaps, above, ours = [], [], [], [], []
        for seed in range(seeds):
            problem = kw.Problem(*bends(10_000, 10, n_tasks, seed), 1.0, penalty=NONE)
            problem = problem.with_lam(0.02 * kw.lam_max(problem))
            seen: list[tuple[float, float]] = []
            began = peers.clock()

            def note(entry: kw.TraceEntry, seen=seen, began=began) -> bool:
                seen.append((peers.clock() - began, entry.objective))
                return peers.clock() - began > limit

            solution = kw.solve(problem, tol=5e-4, max_seconds=limit, progress=note)
            total, certificate = peers.clock() - began, solution.certificate
            runs = [adam(problem, steps, rate, seed, limit) for steps, rate in SCHEDULES]
            long = adam(problem, *LONG, seed, limit)
            best = min(certificate.primal, long.best, *(run.best for run in runs))
            target = best * (1.0 + 1e-3)
            theirs = min(run.seconds_to(target) for run in (*runs, long))
            reached = [s for s, objective in seen if objective <= target]
            reached += [total] if certificate.primal <= target else []
            mine = min(reached, default=np.inf)
            ratios.append(mine / theirs)
            gaps.append(relative_gap(solution))
            ours.append(total)
            found, starts = great_circles(problem, certificate.dual_point, 1_000 + seed, limit)
            above.append(found)
            said.append(
                f"Adam {theirs:.1f} s, ours {mine:.1f} s ({len(seen)} rounds in {total:.0f} s); best known "
                f"{best:.6g}, ours {certificate.primal / best - 1.0:.1e} above, {certificate.rigour.name} "
                f"dual {certificate.dual:.6g}, proven {certificate.bound:.4g}; {starts} starts find "
                f"{found:.6f} lam"
            )
        good = max(ratios) <= 2.0 and max(gaps) <= 1e-3 and max(above) <= 1.0 + 1e-3
        yield Row(
            "large",
            f"{name_of(NONE)}, d=10 N=1e4 T={n_tasks} lam=.02lam_max",
            f"{max(ratios):.2f}× Adam's seconds ({'JAX' if peers.jax else 'NumPy'}), gap {max(gaps):.0e}",
            "2×, gap 1e-3",
            "1×",
            good,
            max(gaps),
            max(ours),
            "; ".join(said),
        )


def great_circles(problem: kw.Problem, alpha, seed: int, limit: float) -> tuple[float, int]:
    """The largest response to a feasible dual point over lam, and from how many starts."""
    rng = np.random.default_rng(seed)
    X, done, best = problem.X, 0, 0.0
    began = peers.clock()
    while done < STARTS and peers.clock() - began < limit:
        w = rng.standard_normal((50, X.shape[1]))
        w /= np.linalg.norm(w, axis=1)[:, None]
        b = -np.einsum("kd,kd->k", w, X[rng.integers(len(X), size=50)])
        found = climb(X, alpha, np.column_stack([w, b]), problem.penalty.biases)
        best, done = max(best, float(found.values.max())), done + 50
    return best / problem.lam, done


def searches(seeds: int, quick: bool) -> Iterator[Row]:
    for penalty in (FREE, NONE, PENALISED[0]):
        shares, spent, spent_exact = [], 0.0, 0.0
        for draw in range(20 if quick else 50):
            X, Y = bends(15 if penalty is not PENALISED[0] else 12, 5, 3, draw)
            units = UnitNeurons(X, penalty, random_state=draw)
            rng = np.random.default_rng(draw)
            alpha = rng.standard_normal(Y.shape)
            if draw % 2:
                alpha = kw.solve(kw.Problem(X, Y, 0.3, penalty=penalty), max_rounds=2).certificate.dual_point
            free = np.column_stack([np.ones(len(X)), X]) if penalty.skip == "free" else np.ones((len(X), 1))
            if not penalty.biases:
                Q = np.linalg.qr(free)[0]
                alpha = alpha - Q @ (Q.T @ alpha)
                alpha = alpha - Q @ (Q.T @ alpha)
            began = peers.clock()
            found = units.search(alpha).largest
            spent += peers.clock() - began
            began = peers.clock()
            shares.append(found / units.maximise(alpha).largest)
            spent_exact += peers.clock() - began
        share = float(np.mean(np.array(shares) >= 0.999))
        yield Row(
            "search",
            f"{name_of(penalty)}, d=5, {len(shares)} draws",
            f"{share:.0%} of draws within .999 of exact, the worst {min(shares):.6f}",
            "95 %",
            "100 %",
            share >= 0.95,
            other=f"search {spent / len(shares):.3f} s, exact {spent_exact / len(shares):.2f} s a draw",
        )


def networks(seeds: int, quick: bool) -> Iterator[Row]:
    each = 10 if quick else 50
    worst, held_up, slack, count, began = {}, True, [], 0, peers.clock()
    for seed in range(10):
        penalty = (FREE, NONE, *PENALISED)[seed % 5]
        X, Y = bends(12, 2 if seed < 5 else 3, 3, seed)
        problem = kw.Problem(X, Y, 0.3, penalty=penalty)
        solution = kw.solve(problem, tol=1e-11)
        rng = np.random.default_rng(seed)
        certificates = []
        for k in range(2 * each):
            near = k >= each
            network = _shaken(solution.network, rng) if near else _random(problem, rng)
            certificates.append((near, kw.certify(problem, network)))
        best = min(solution.certificate.primal, *(c.primal for _, c in certificates))
        for near, c in certificates:
            share = max(c.dual, c.bound) / best
            worst[near] = max(worst.get(near, 0.0), share)
            held_up &= share <= 1.0 + 1e-12
            slack.append(c.gap >= 0.0)
            count += 1
    yield Row(
        "random",
        f"{count // 2} random and {count // 2} near-optimal networks, d = 2 and 3, every penalty",
        f"{'all' if held_up and all(slack) else 'NOT all'} lower bounds at most the best objective",
        "all",
        "",
        held_up and all(slack),
        ours=(peers.clock() - began) / count,
        other=f"bound over best up to {worst[False]:.6f} (random), 1 - {1 - worst[True]:.1e} (near-optimal)",
    )


def _random(problem: kw.Problem, rng: np.random.Generator) -> kw.ReLUNetwork:
    k, d, n_tasks = int(rng.integers(1, 12)), problem.n_inputs, problem.n_tasks
    A = rng.standard_normal((d, n_tasks)) * (problem.penalty.skip != "none")
    W, b, V = rng.standard_normal((k, d)), rng.standard_normal(k), rng.standard_normal((k, n_tasks))
    return kw.ReLUNetwork(W, b, V, A, rng.standard_normal(n_tasks))


def _shaken(network: kw.ReLUNetwork, rng: np.random.Generator) -> kw.ReLUNetwork:
    much = 10.0 ** -rng.uniform(1.0, 8.0)

    def near(part):
        return part * (1.0 + much * rng.standard_normal(part.shape))

    return kw.ReLUNetwork(near(network.W), near(network.b), near(network.V), near(network.A), near(network.c))


def growth(seeds: int, quick: bool) -> Iterator[Row]:
    def row(penalty: kw.Penalty, what: str, sizes, shape) -> Row:
        seconds, gaps = [], []
        for size in sizes:
            n, d, n_tasks = shape(size)
            of_size = []
            for seed in range(seeds):
                problem = kw.Problem(*bends(n, d, n_tasks, seed), 1.0, penalty=penalty)
                took, solution = timed(problem.with_lam(0.05 * kw.lam_max(problem)), 1e-6)
                of_size.append(took)
                gaps.append(relative_gap(solution))
            seconds.append(float(np.median(of_size)))
        exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        return Row(
            "growth",
            f"{name_of(penalty)}, {what}, lam=.05lam_max to 1e-6",
            f"{exponent:.2f}, the exponent of the seconds",
            met=max(gaps) <= 1e-6,
            gap=max(gaps),
            ours=seconds[-1],
            other=" ".join(f"{s:.2f}" for s in seconds) + " s",
        )

    for penalty in (NONE, PENALISED[0]):
        rows = (50, 100, 200) if penalty.biases else (50, 100, 200, 400)
        yield row(penalty, f"N={rows} d=2 T=5", rows, lambda n: (n, 2, 5))
        yield row(penalty, "T=(1, 4, 16, 64) N=60 d=2", (1, 4, 16, 64), lambda t: (60, 2, t))
        inputs = (2, 3, 4) if penalty.biases else (2, 3, 4, 5)
        yield row(penalty, f"d={inputs} N=16 T=5", inputs, lambda d: (16, d, 5))


def against_peers(seeds: int, quick: bool) -> Iterator[Row]:
    settings = {
        "squares T=1 lam=1e-3": lambda s: kw.Problem(*two_squares(1, s), 1e-3, penalty=NONE),
        "squares T=101 lam=.404": lambda s: kw.Problem(*two_squares(101, s), 0.404, penalty=NONE),
        "teachers": lambda s: kw.Problem(*teachers(s), 0.025, penalty=NONE),
        "plane N=300 T=20 lam=5": lambda s: kw.Problem(*bends(300, 2, 20, s), 5.0, penalty=NONE),
    }
    for setting, make in settings.items():
        ours, above, seconds = [], {}, {}
        for seed in range(seeds):
            problem = make(seed)
            took, solution = timed(problem, 1e-9)
            ours.append((took, relative_gap(solution), solution.network.n_neurons))
            dual = solution.certificate.dual
            long = adam(problem, SMALL_STEPS, 1e-2, seed)
            results = {f"Adam ({SMALL_STEPS} steps)": (long.best, float(long.seconds[-1]))}
            if importlib.util.find_spec("sklearn"):
                for solver in ("lbfgs", "adam"):
                    network, spent, _ = mlp_regressor(problem, solver, seed)
                    results[f"MLPRegressor {solver}"] = problem.objective(network), spent
            for name, (objective, spent) in results.items():
                above.setdefault(name, []).append(objective / dual - 1.0)
                seconds.setdefault(name, []).append(spent)
        least = min(min(values) for values in above.values())
        yield Row(
            "peers",
            f"{name_of(NONE)}, {setting}",
            f"ours to {max(one[1] for one in ours):.0e} with {max(one[2] for one in ours)} neurons",
            "below every peer",
            "",
            least > max(one[1] for one in ours),
            max(one[1] for one in ours),
            max(one[0] for one in ours),
            "; ".join(f"{name} {max(above[name]):.1e} above in {max(seconds[name]):.1f} s" for name in above),
        )
    if importlib.util.find_spec("sklearn"):
        errors = [peers.conversion_error(make(0), 0) for make in settings.values()]
        said = f"off by {max(errors):.0e} at most"
        yield Row("peers", "MLPRegressor's alpha is lam", said, met=max(errors) < 1e-9)
    yield from _against_scnn(seeds)


def _against_scnn(seeds: int) -> Iterator[Row]:
    penalty, lam = PENALISED[0], 4e-3
    setting = f"{name_of(penalty)}, squares T=5 lam={lam:g}"
    if not importlib.util.find_spec("scnn"):
        yield Row("peers", setting, "pyscnn not available")
        return
    excess, spent, ours, neurons = [], [], [], []
    for seed in range(seeds):
        problem = kw.Problem(*two_squares(5, seed), lam, penalty=penalty)
        took, solution = timed(problem, 1e-9)
        ours.append(took)
        network, seconds = scnn_network(problem, 100, seed)
        excess.append(problem.objective(network) / solution.certificate.dual - 1.0)
        spent.append(seconds)
        neurons.append(network.n_neurons)
    yield Row(
        "peers",
        setting,
        "ours below pyscnn's" if min(excess) > 0 else "pyscnn is below ours",
        "below",
        "",
        min(excess) > 0,
        ours=max(ours),
        other=f"pyscnn {min(excess):.1e}-{max(excess):.1e} above, {max(spent):.1f} s, {max(neurons)} neurons",
    )


BARS = {
    "squares": squares,
    "plane": plane,
    "teachers": of_teachers,
    "large": large,
    "search": searches,
    "random": networks,
    "growth": growth,
    "peers": against_peers,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="one seed where three are meant")
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds instead of the wall's")
    options = parser.parse_args()
    if options.cpu_time:
        peers.clock = time.process_time
    seeds = 1 if options.quick else 3
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one thread")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, seeds: {seeds}\n\n{HEADER}")
    kw.solve(kw.Problem(*two_squares(2, 0), 0.1, penalty=NONE))
    began = time.perf_counter()
    with threadpool_limits(1, user_api="blas"):
        for name in options.only:
            for row in BARS[name](seeds, options.quick):
                print(row, flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
