"""One input, squared loss: every bar that the certified solver is held to, in one table.

    python benchmarks/one_input.py [--quick] [--only NAME ...]

Ratios are of medians measured in one run, the worst over seeds. "gap" is the worst relative duality
gap, as certified; a peer's gap is how far its objective lies above our certified dual bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from data import LAM_FACTORS, SPACINGS, lam_of, shared_kinks
from peers import PeerResult, banded_interior_point, cvxpy_clarabel
from threadpoolctl import threadpool_info

import knotwork as kw


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` is None where there is nothing to reach."""

    bar: str
    setting: str
    measured: str
    floor: str = ""
    moonshot: str = ""
    met: bool | None = None
    gap: float = float("nan")
    ours: float = float("nan")
    other: str = ""

    def __str__(self) -> str:
        reached = {True: "yes", False: "NO", None: ""}[self.met]
        cells = (
            self.bar,
            self.setting,
            self.measured,
            self.floor,
            self.moonshot,
            reached,
            "" if np.isnan(self.gap) else f"{self.gap:.1e}",
            "" if np.isnan(self.ours) else f"{self.ours:.4f}",
            self.other,
        )
        return "| " + " | ".join(cells) + " |"


HEADER = (
    "| bar | setting | measured | floor | moonshot | floor met | gap | our s | other side |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def median_seconds(call: Callable[[], object], repeats: int) -> tuple[float, object]:
    """Median wall seconds of `repeats` calls, and what the last one returned."""
    seconds, out = [], None
    for _ in range(repeats):
        out = None
        began = time.perf_counter()
        out = call()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)), out


def solve_timed(X, Y, lam, repeats: int, tol: float = 1e-8) -> tuple[float, float, kw.Solution]:
    """Median seconds of `solve`, the same with building the `Problem`, and the solution."""
    built, _ = median_seconds(lambda: kw.Problem(X, Y, lam), repeats)
    problem = kw.Problem(X, Y, lam)
    seconds, solution = median_seconds(lambda: kw.solve(problem, tol=tol), repeats)
    return seconds, seconds + built, solution


def relative_gap(solution: kw.Solution) -> float:
    """gap / max(|primal|, |dual|), without the floor below which a certificate calls it 0."""
    certificate = solution.certificate
    return certificate.gap / max(abs(certificate.primal), abs(certificate.dual))


def compare(
    peers: list[PeerResult], ours: list[float], duals: list[float], attribute: str
) -> tuple[float, str]:
    """The worst ratio of a peer's seconds to ours where the peer came within 1e-6 of the optimum,
    and what to say of the peer."""
    solved = [peer.excess(dual) <= 1e-6 for peer, dual in zip(peers, duals, strict=True)]
    seconds = np.array([getattr(peer, attribute) for peer in peers])
    said = f"{np.median(seconds):.2f} s"
    if any(solved):
        excess = max(p.excess(d) for p, d, good in zip(peers, duals, solved, strict=True) if good)
        said += f", excess {excess:.0e}"
    if not all(solved):
        said += f", failed {len(solved) - sum(solved)} of {len(solved)}"
    ratios = (seconds / np.array(ours))[solved]
    return float(ratios.min(initial=np.inf)), said


def against_conic(seeds: int, quick: bool) -> Iterator[Row]:
    """N = 10^4, T = 10: CVXPY with Clarabel, and the banded interior-point method."""
    n, n_tasks = 10_000, 10
    for spacing, factor in ((s, f) for s in ("random", "regular") for f in LAM_FACTORS):
        ours, gaps, duals, conic, banded = [], [], [], [], []
        for seed in range(seeds):
            X, Y = shared_kinks(n, n_tasks, seed, spacing)
            lam = lam_of(factor, n)
            seconds, _, solution = solve_timed(X, Y, lam, 3)
            conic.append(cvxpy_clarabel(X, Y, lam))
            banded.append(banded_interior_point(X, Y, lam))
            ours.append(seconds)
            gaps.append(relative_gap(solution))
            duals.append(solution.certificate.dual)
        worst, said = compare(conic, ours, duals, "seconds")
        alone, said_alone = compare(conic, ours, duals, "solve_seconds")
        plain, said_plain = compare(banded, ours, duals, "seconds")
        setting = f"N=1e4 T=10 {spacing} lam={factor}√N"
        fast = worst >= 100 and max(gaps) <= 1e-8
        yield Row(
            "conic",
            setting,
            f"{worst:.0f}× CVXPY+Clarabel",
            "100×",
            "500×",
            fast,
            max(gaps),
            max(ours),
            f"CVXPY+Clarabel {said}; Clarabel alone {said_alone}",
        )
        measured = f"{alone:.0f}× Clarabel alone, {plain:.0f}× banded interior point"
        yield Row("conic", setting, measured, gap=max(gaps), ours=max(ours), other=f"banded {said_plain}")


def beyond_conic(seeds: int, quick: bool) -> Iterator[Row]:
    """N = 3 10^4, T = 10, irregular x, where Clarabel fails."""
    n, n_tasks = 30_000, 10
    for factor in LAM_FACTORS:
        gaps, tight, ours = [], [], []
        for seed in range(seeds):
            X, Y = shared_kinks(n, n_tasks, seed, "random")
            seconds, _, solution = solve_timed(X, Y, lam_of(factor, n), 3)
            ours.append(seconds)
            gaps.append(relative_gap(solution))
            tight.append(relative_gap(solve_timed(X, Y, lam_of(factor, n), 1, tol=1e-12)[2]))
        other = ""
        if factor == LAM_FACTORS[1] and not quick:
            X, Y = shared_kinks(n, n_tasks, 0, "random")
            peer = cvxpy_clarabel(X, Y, lam_of(factor, n))
            plain = banded_interior_point(X, Y, lam_of(factor, n))
            other = (
                f"Clarabel {peer.status} in {peer.seconds:.1f} s, "
                f"banded {plain.status} in {plain.seconds:.1f} s"
            )
        yield Row(
            "irregular",
            f"N=3e4 T=10 random lam={factor}√N",
            f"gap {max(gaps):.0e}; asked for 1e-12: {max(tight):.0e}",
            "1e-8",
            "1e-12",
            max(gaps) <= 1e-8,
            max(gaps),
            max(ours),
            other,
        )


def over_cumsum(name: str, n: int, n_tasks: int, floor: float, seeds: int, quick: bool) -> Iterator[Row]:
    """Time to gap 1e-8 over the time of `np.cumsum(Y, axis=0)`."""
    for factor in LAM_FACTORS:
        ratios, with_problem, gaps, ours, passes = [], [], [], [], []
        for seed in range(seeds):
            X, Y = shared_kinks(n, n_tasks, seed, "random")
            cumsum, _ = median_seconds(lambda Y=Y: np.cumsum(Y, axis=0), 7)
            seconds, total, solution = solve_timed(X, Y, lam_of(factor, n), 3 if quick else 5)
            ratios.append(seconds / cumsum)
            with_problem.append(total / cumsum)
            gaps.append(relative_gap(solution))
            ours.append(seconds)
            passes.append(cumsum)
        yield Row(
            name,
            f"N={n:.0e} T={n_tasks} random lam={factor}√N",
            f"{max(ratios):.1f} cumsums ({max(with_problem):.1f} with building Problem)",
            f"≤ {floor:g}",
            "≤ 2",
            max(ratios) <= floor and max(gaps) <= 1e-8,
            max(gaps),
            max(ours),
            f"cumsum {np.median(passes):.4f} s",
        )


def with_gaps(seeds: int, quick: bool) -> Iterator[Row]:
    """30 % of the labels missing, over the same without gaps."""
    n, n_tasks = 100_000, 10
    for factor in LAM_FACTORS:
        ratios, gaps, ours, plain = [], [], [], []
        for seed in range(seeds):
            lam = lam_of(factor, n)
            X, Y = shared_kinks(n, n_tasks, seed, "random")
            full, _, _ = solve_timed(X, Y, lam, 3)
            X, Y = shared_kinks(n, n_tasks, seed, "random", missing=0.3)
            seconds, _, solution = solve_timed(X, Y, lam, 3)
            ratios.append(seconds / full)
            gaps.append(relative_gap(solution))
            ours.append(seconds)
            plain.append(full)
        yield Row(
            "missing",
            f"N=1e5 T=10 30 % missing lam={factor}√N",
            f"{max(ratios):.1f}× without gaps",
            "≤ 5×",
            "≤ 1.5×",
            max(ratios) <= 5 and max(gaps) <= 1e-8,
            max(gaps),
            max(ours),
            f"without gaps {np.median(plain):.3f} s",
        )


def memory(seeds: int, quick: bool) -> Iterator[Row]:
    """Peak resident memory above that just before `solve`, over the size of Y."""
    for missing in (0.0, 0.3):
        out = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("memory.py")), str(missing)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        solve_only, with_problem, gap = (float(word) for word in out)
        yield Row(
            "memory",
            f"N=1e6 T=10 random lam=.06√N, {missing:.0%} missing",
            f"{solve_only:.2f} Y ({with_problem:.2f} with building Problem)",
            "≤ 3",
            "≤ 1",
            solve_only <= 3 if missing == 0 else None,
            gap,
        )


def every_lam(seeds: int, quick: bool) -> Iterator[Row]:
    """Gaps over five orders of magnitude of lam and three spacings."""
    n, n_tasks = 20_000, 10
    for spacing in SPACINGS:
        for ratio in (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5):
            gaps, tight, ours, knots = [], [], [], []
            for seed in range(2 if quick else 10):
                X, Y = shared_kinks(n, n_tasks, seed, spacing)
                lam = ratio * kw.lam_max(kw.Problem(X, Y, 1.0))
                seconds, _, solution = solve_timed(X, Y, lam, 1)
                ours.append(seconds)
                gaps.append(relative_gap(solution))
                knots.append(solution.network.n_neurons)
                tight.append(relative_gap(solve_timed(X, Y, lam, 1, tol=1e-11)[2]))
            yield Row(
                "lam range",
                f"N=2e4 T=10 {spacing} lam/lam_max={ratio:g}",
                f"gap {max(gaps):.0e}; asked for 1e-11: {max(tight):.0e}",
                "1e-8",
                "1e-11",
                max(gaps) <= 1e-8,
                max(gaps),
                max(ours),
                f"{min(knots)}-{max(knots)} knots",
            )


def dense(seeds: int, quick: bool) -> Iterator[Row]:
    """Half of all points are knots."""
    n = 2000
    for n_tasks, ratio, spacing in (
        (t, r, s) for t in (1, 10) for r in (1e-6, 1e-7, 1e-8) for s in ("regular", "random")
    ):
        ours, gaps, duals, conic, banded, knots = [], [], [], [], [], []
        for seed in range(seeds):
            X, Y = shared_kinks(n, n_tasks, seed, spacing)
            lam = ratio * kw.lam_max(kw.Problem(X, Y, 1.0))
            seconds, _, solution = solve_timed(X, Y, lam, 3)
            conic.append(cvxpy_clarabel(X, Y, lam))
            banded.append(banded_interior_point(X, Y, lam))
            ours.append(seconds)
            gaps.append(relative_gap(solution))
            knots.append(solution.network.n_neurons)
            duals.append(solution.certificate.dual)
        worst, said = compare(conic, ours, duals, "seconds")
        plain, said_plain = compare(banded, ours, duals, "seconds")
        yield Row(
            "dense",
            f"N=2000 T={n_tasks} {spacing} lam/lam_max={ratio:g}",
            f"{worst:.1f}× CVXPY+Clarabel, {plain:.1f}× banded interior point",
            "1×, 1e-8",
            "10×",
            worst >= 1 and max(gaps) <= 1e-8,
            max(gaps),
            max(ours),
            f"CVXPY {said}; banded {said_plain}; {min(knots)}-{max(knots)} knots",
        )


def growth(seeds: int, quick: bool) -> Iterator[Row]:
    """Seconds from N = 10^4 to 10^6 with the same kinks."""
    sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000]
    for factor in LAM_FACTORS:
        seconds, gaps, knots = [], [], []
        for n in sizes:
            of_n = []
            for seed in range(1 if quick else 3):
                X, Y = shared_kinks(n, 10, seed, "random")
                took, _, solution = solve_timed(X, Y, lam_of(factor, n), 3)
                of_n.append(took)
                gaps.append(relative_gap(solution))
                knots.append(solution.network.n_neurons)
            seconds.append(float(np.median(of_n)))
        exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        yield Row(
            "growth",
            f"N=1e4..1e6 T=10 random lam={factor}√N",
            f"{exponent:.2f}, the exponent of N in the seconds",
            "linear",
            "",
            exponent <= 1.1 and max(gaps) <= 1e-8,
            max(gaps),
            seconds[-1],
            " ".join(f"{s:.3f}" for s in seconds) + f" s; {min(knots)}-{max(knots)} knots",
        )


def command_line(seeds: int, quick: bool) -> Iterator[Row]:
    """`knotwork fit us-employment`, second run, whole process."""
    command = shutil.which("knotwork", path=str(Path(sys.executable).parent))
    if command is None:
        yield Row("command", "knotwork fit us-employment", "no knotwork command beside this Python")
        return
    with tempfile.TemporaryDirectory() as folder:
        call = [command, "fit", "us-employment", "--out", str(Path(folder) / "out")]
        first = subprocess.run(call, capture_output=True, text=True)
        if first.returncode:
            yield Row("command", "knotwork fit us-employment", f"exit code {first.returncode}", met=False)
            return
        seconds, _ = median_seconds(lambda: subprocess.run(call, capture_output=True, check=True), 3)
    yield Row(
        "command",
        "knotwork fit us-employment",
        f"{seconds:.2f} s",
        "≤ 3 s",
        "≤ 1.5 s",
        seconds <= 3,
        ours=seconds,
    )


BARS: dict[str, Callable[[int, bool], Iterator[Row]]] = {
    "conic": against_conic,
    "irregular": beyond_conic,
    "cumsum": partial(over_cumsum, "cumsum", 1_000_000, 10, 12),
    "wide": partial(over_cumsum, "wide", 100_000, 100, 10),
    "missing": with_gaps,
    "memory": memory,
    "lam-range": every_lam,
    "dense": dense,
    "growth": growth,
    "command": command_line,
}


def worst_rows(rows: list[Row]) -> Iterator[Row]:
    """Of every bar with a floor, the row that is furthest from it: what docs/benchmarks.md quotes."""

    def measured(row: Row) -> float:
        number = re.search(r"\d[\d.]*(?:e[-+]?\d+)?", row.measured)
        assert number is not None
        return float(number[0]) * (-1 if row.bar in ("conic", "dense") else 1)

    for bar in dict.fromkeys(row.bar for row in rows):
        held = [row for row in rows if row.bar == bar and row.met is not None]
        if held:
            yield max(held, key=measured)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="one seed where five are meant")
    options = parser.parse_args()
    seeds = 1 if options.quick else 5
    threads = ", ".join(f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info())
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, threads: {threads}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, seeds: {seeds}\n\n{HEADER}")
    X, Y = shared_kinks(2000, 3, 0)
    for warm_up in (partial(kw.solve, kw.Problem(X, Y, 1.0)), partial(cvxpy_clarabel, X, Y, 1.0)):
        warm_up()
    began = time.perf_counter()
    rows: list[Row] = []
    for name in options.only:
        for row in BARS[name](seeds, options.quick):
            rows.append(row)
            print(row, flush=True)
    print(f"\nThe worst of every bar:\n\n{HEADER}")
    for row in worst_rows(rows):
        print(row)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
