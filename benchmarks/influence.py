"""Influence against finite differences, leave-one-out against refits, and lam by both, in one run.

    python benchmarks/influence.py [--quick] [--only influence leave-one-out cross-validation]

influence         d f_s(x_i) / d y_jt against central differences (step 1e-4) of solutions to a gap of 1e-12,
                  at six labels of each of 20 data sets: every penalty, gaps, ties, weights, one input and
                  two. The largest error over all fitted values.
leave-one-out     predictions at every row left out against solutions of the rest from nothing to a gap of
                  1e-12, in standard deviations of the labels; beside it the error of the first order.
                  The optimum need not be unique at an input that it has not seen: rows where a second
                  solution, from the full fit's neurons, predicts otherwise are counted apart.
cross-validation  lam of 100 by leave-one-out: CPU seconds of `influence_cross_validate`, of one warm-started
                  path for every row left out (gaps of 1e-6), and of a cold solve at every lam and row,
                  from three rows and counted N times. "excess" is by how much the held-out loss at the
                  lam chosen is above the least, by the refits.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator

import numpy as np
from data import shared_kinks
from numpy.typing import NDArray
from one_input import HEADER, Row
from threadpoolctl import threadpool_limits

import knotwork as kw
from knotwork.selection.influence import influence
from knotwork.selection.influence_cross_validation import influence_cross_validate
from knotwork.selection.leave_one_out import leave_one_out

Array = NDArray[np.float64]
FREE, NO_SKIP = kw.Penalty(), kw.Penalty(False, "none")
PENALISED, FROBENIUS = kw.Penalty(True, "none"), kw.Penalty(True, "frobenius")
NUCLEAR = kw.Penalty(True, "nuclear")
# penalty, inputs, rows, tasks, lam / lam_max, missing, ties, weights
DATA_SETS = {
    "plain": (FREE, 1, 40, 3, 0.02, 0.0, False, False),
    "one task": (FREE, 1, 40, 1, 0.02, 0.0, False, False),
    "ten tasks": (FREE, 1, 40, 10, 0.02, 0.0, False, False),
    "large lam": (FREE, 1, 40, 3, 0.3, 0.0, False, False),
    "small lam": (FREE, 1, 40, 3, 0.001, 0.0, False, False),
    "ties": (FREE, 1, 40, 3, 0.02, 0.0, True, False),
    "gaps": (FREE, 1, 40, 3, 0.02, 0.3, False, False),
    "gaps, ties, weights": (FREE, 1, 40, 3, 0.02, 0.3, True, True),
    "weights": (FREE, 1, 40, 3, 0.02, 0.0, False, True),
    "no skip": (NO_SKIP, 1, 30, 3, 0.02, 0.0, False, False),
    "no skip, gaps, ties": (NO_SKIP, 1, 30, 3, 0.02, 0.2, True, False),
    "penalised": (PENALISED, 1, 30, 3, 0.02, 0.0, False, False),
    "penalised, gaps, ties": (PENALISED, 1, 30, 3, 0.02, 0.2, True, False),
    "frobenius, weights": (FROBENIUS, 1, 30, 3, 0.02, 0.0, False, True),
    "nuclear": (NUCLEAR, 1, 30, 3, 0.02, 0.0, False, False),
    "two inputs": (FREE, 2, 24, 3, 0.05, 0.0, False, False),
    "two inputs, gaps": (FREE, 2, 24, 3, 0.05, 0.2, False, False),
    "two inputs, no skip": (NO_SKIP, 2, 24, 3, 0.05, 0.0, False, False),
    "two inputs, penalised": (PENALISED, 2, 24, 3, 0.05, 0.0, False, False),
    "two inputs, nuclear, weights": (NUCLEAR, 2, 24, 3, 0.05, 0.0, False, True),
}
# rows, tasks, missing
CROSS_VALIDATED = [
    (60, 5, 0.0),
    (60, 3, 0.0),
    (100, 1, 0.0),
    (100, 3, 0.0),
    (80, 8, 0.0),
    (100, 3, 0.2),
    (150, 2, 0.0),
    (150, 3, 0.0),
    (200, 1, 0.0),
    (200, 3, 0.0),
]
N_LAMS = 100


def data_set(name: str) -> kw.Problem:
    penalty, d, n, n_tasks, share, missing, ties, weights = DATA_SETS[name]
    rng = np.random.default_rng(list(DATA_SETS).index(name))
    X = rng.uniform(-1.0, 1.0, (n, d))
    X = np.round(X, 1) if ties else X
    bends = rng.normal(size=(6, d + 1))
    Y = np.maximum(X @ bends[:, :-1].T + 0.5 * bends[:, -1], 0.0) @ rng.normal(size=(6, n_tasks))
    Y = Y / Y.std() + 0.15 * rng.normal(size=Y.shape)
    Y[rng.uniform(size=Y.shape) < missing] = np.nan
    weight = rng.uniform(0.5, 2.0, n) if weights else None
    problem = kw.Problem(X, Y, 1.0, penalty=penalty, sample_weight=weight)
    return problem.with_lam(share * kw.lam_max(problem))


def with_labels(problem: kw.Problem, Y: Array) -> kw.Problem:
    return kw.Problem(problem.X, Y, problem.lam, penalty=problem.penalty, sample_weight=problem.sample_weight)


def without(problem: kw.Problem, row: int) -> kw.Problem:
    keep = np.arange(problem.n_rows) != row
    weight = None if problem.sample_weight is None else problem.sample_weight[keep]
    return kw.Problem(
        problem.X[keep], problem.Y[keep], problem.lam, penalty=problem.penalty, sample_weight=weight
    )


def differences(names: list[str]) -> Iterator[Row]:
    for name in names:
        problem = data_set(name)
        solution = kw.solve(problem, tol=1e-12)
        began = time.process_time()
        found = influence(solution)
        _ = found.tasks
        seconds, worst = time.process_time() - began, 0.0
        labels = np.argwhere(~np.isnan(problem.Y))
        for row, task in labels[:: len(labels) // 6][:6].tolist():
            fits = []
            for step in (1e-4, -1e-4):
                Y = problem.Y.copy()
                Y[row, task] += step
                again = kw.solve(with_labels(problem, Y), tol=1e-12, start=solution.network)
                fits.append(again.network.predict(problem.X))
            worst = max(worst, float(np.abs(found.of(row, task) - (fits[0] - fits[1]) / 2e-4).max()))
        said = f"{solution.network.n_neurons} neurons, df {found.degrees_of_freedom:.1f}"
        yield Row("influence", name, f"{worst:.1e}", "1e-6", "", worst <= 1e-6, ours=seconds, other=said)


def held_out(names: list[str]) -> Iterator[Row]:
    for name in names:
        problem = data_set(name)
        solution = kw.solve(problem)
        began = time.process_time()
        found = leave_one_out(solution)
        seconds, size = time.process_time() - began, float(np.nanstd(problem.Y))
        worst, first, several, refits = 0.0, 0.0, 0, 0.0
        for row in np.flatnonzero((~np.isnan(problem.Y)).any(axis=1)).tolist():
            seen, rest = ~np.isnan(problem.Y[row]), without(problem, row)
            began = time.process_time()
            expected = kw.solve(rest, tol=1e-12).network.predict(problem.X[[row]])[0, seen]
            refits += time.process_time() - began
            again = kw.solve(rest, tol=1e-12, start=solution.network)
            other = again.network.predict(problem.X[[row]])[0, seen]
            if np.abs(other - expected).max() > 1e-6 * size:
                several += 1
                continue
            worst = max(worst, float(np.abs(found.predictions[row, seen] - expected).max()) / size)
            error = np.abs(found.first_order[row, seen] - expected)
            first = max(first, float(np.nanmax(error, initial=0.0)) / size)
        changed = int(found.refitted.any(axis=1).sum())
        said = f"refits {refits:.2f} s; first order {first:.1e}; {changed} rows with other neurons"
        said += f"; {several} rows not unique" if several else ""
        yield Row("leave-one-out", name, f"{worst:.1e}", "1e-4", "", worst <= 1e-4, ours=seconds, other=said)


def cross_validated(names: list[str]) -> Iterator[Row]:
    same, ratios = [], []
    for seed, (n, n_tasks, missing) in enumerate(CROSS_VALIDATED[: len(names)]):
        problem = kw.Problem(*shared_kinks(n, n_tasks, seed, missing=missing), 1.0)
        began = time.process_time()
        found = influence_cross_validate(problem, n_lams=N_LAMS)
        ours = time.process_time() - began
        began = time.process_time()
        rough = influence_cross_validate(problem, n_lams=N_LAMS, exact=False)
        first = time.process_time() - began
        losses = np.zeros(len(found.lams))
        began = time.process_time()
        for row in range(n):
            path = kw.path(without(problem, row), lams=found.lams, tol=1e-6)
            f = np.stack([one.network.predict(problem.X[[row]])[0] for one in path.solutions])
            losses += 0.5 * np.nansum((f - problem.Y[row]) ** 2, axis=1)
        refits = time.process_time() - began
        began = time.process_time()
        for row in (0, n // 3, n // 2):
            rest = without(problem, row)
            for lam in found.lams.tolist():
                kw.solve(rest.with_lam(lam), tol=1e-6)
        cold = n / 3 * (time.process_time() - began)
        best, mine = int(np.argmin(losses)), int(np.argmin(found.mean_loss))
        same.append(mine == best)
        ratios.append(refits / ours)
        excess = losses[mine] / losses[best] - 1.0
        said = (
            f"refits {refits:.1f} s, cold {cold:.0f} s ({cold / ours:.0f}×); "
            f"lam {mine} and {best} of {N_LAMS}, excess {excess:.1e}; "
            f"first order alone {first:.2f} s ({refits / first:.0f}×), lam {int(np.argmin(rough.mean_loss))}"
        )
        setting = f"N={n} T={n_tasks}" + (f", {missing:.0%} missing" if missing else "")
        met = ratios[-1] >= 10.0
        yield Row("cross-validation", setting, f"{ratios[-1]:.0f}×", "10×", "50×", met, ours=ours, other=said)
    met = min(ratios) >= 10.0 and sum(same) >= 0.9 * len(same)
    measured = f"{min(ratios):.0f}-{max(ratios):.0f}×, same lam on {sum(same)} of {len(same)}"
    yield Row("cross-validation", "all", measured, "10×, 9 of 10", "50×", met)


BARS: dict[str, tuple[Callable[[list[str]], Iterator[Row]], int]] = {
    "influence": (differences, 20),
    "leave-one-out": (held_out, 20),
    "cross-validation": (cross_validated, 10),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three data sets of each")
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS))
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread; CPU seconds")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}\n\n{HEADER}")
    kw.path(kw.Problem(*shared_kinks(50, 2, 0), 1.0), 5)
    with threadpool_limits(1):
        for bar in options.only:
            rows, count = BARS[bar]
            for row in rows(list(DATA_SETS)[: 3 if options.quick else count]):
                print(row, flush=True)


if __name__ == "__main__":
    main()
