"""Gradient training on many seeds: speed of a step, success, what Adam and PathProx reach, and when.

    python benchmarks/training.py [--quick] [--only NAME ...] [--cpu-time]

step     seconds of one full-batch Adam step on one seed, float64: PyTorch eager over ours, which runs its
         steps in one compiled loop; compilation, paid once for a shape, is not counted.
recipe   32 seeds of A's univariate recipe (20 neurons, 1e-5) until within 1e-3 of the certified optimum, or
         200,000 steps: the whole command, from starting Python to the certificates.
reach    the least objective of all seeds over the certified optimum, and the seconds of one seed until it is
         within 1e-2, 1e-3 and 1e-4 (median over the seeds that are): the squares of A Fig. 5 with T = 101
         and lambda read in two ways, A B.2, and the five points in one input with two tasks.
same     32 seeds one by one, in one compiled loop ("map", the choice on a CPU) and all at once ("vmap"): the
         largest difference of predictions after 200 steps, and the median one of objectives after 20,000: at
         a kink rounding decides which way a seed goes.
resume   a run killed (SIGKILL) and taken up again from its checkpoint, against one never killed.

"gap" is the relative gap of the best seed, as certified. Everything runs on one thread, PyTorch and XLA too;
`--cpu-time` counts processor seconds, for a machine with other work.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import several_peers as peers
from one_input import HEADER, Row
from several_peers import teachers, two_squares

import knotwork as kw

CAP = 200_000
NAMES = ("W", "b", "V", "A", "c")


def five_points(n_tasks: int) -> tuple[np.ndarray, np.ndarray]:
    """A section 3.2: five points; the labels of further tasks are N(0, 1)."""
    more = np.random.default_rng(0).standard_normal((5, n_tasks - 1))
    return np.linspace(-1.0, 1.0, 5), np.column_stack([[0.0, 1.0, 0.2, 0.8, 0.0], more])


def recipe_problem(n_tasks: int, reading: str) -> kw.Problem:
    return kw.train.RECIPES["univariate"].problem(*five_points(n_tasks), reading)  # type: ignore[arg-type]


def run_recipe(n_tasks: int, reading: str) -> None:
    """In a process of its own: what it printed is read by `recipe`."""
    problem = recipe_problem(n_tasks, reading)
    training = kw.train.adam(
        problem, kw.train.RECIPES["univariate"].width, seeds=32, steps=CAP, learning_rate=3e-2,
        check_every=1000, tol=1e-3, lower_bound=kw.solve(problem),
    )  # fmt: skip
    told = {
        "success": training.success_rate(1e-3),
        "best": float(training.relative_gaps.min()),
        "worst": float(training.relative_gaps.max()),
        "steps": float(np.median(training.steps)),
        "processor": time.process_time(),
    }
    print(json.dumps(told))


def recipe(seeds: int, quick: bool) -> Iterator[Row]:
    for n_tasks, reading in ((1, "all"), (2, "all"), (1, "(3)"), (2, "(3)")):
        code = f"import training; training.run_recipe({n_tasks}, {reading!r})"
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - began
        told = json.loads(done.stdout.splitlines()[-1])
        if peers.clock is time.process_time:
            seconds = told["processor"]
        yield Row(
            "recipe",
            f"32 seeds, K=20 T={n_tasks} reading {reading}",
            f"{seconds:.1f} s, success {told['success']:.0%}",
            "≤ 60 s",
            "≤ 10 s",
            seconds <= 60,
            told["best"],
            seconds,
            f"median {told['steps']:.0f} steps, worst seed {told['worst']:.1e} above",
        )


def seconds_of(problem: kw.Problem, width: int, steps: int) -> float:
    """Of one step: what more steps take, by the call without compilation."""
    spent = []
    for count in (steps, 3 * steps):
        each = []
        for _ in range(5):
            began = peers.clock()
            kw.train.adam(problem, width, seeds=1, steps=count, check_every=count, certify=False)
            each.append(peers.clock() - began)
        spent.append(min(each))
    return (spent[1] - spent[0]) / (2 * steps)


def torch_seconds_of(problem: kw.Problem, width: int, steps: int) -> float:
    """The same network, objective and optimiser, eager."""
    import torch

    torch.set_num_threads(1)
    X, Y = torch.tensor(problem.X), torch.tensor(problem.Y)
    d, n_tasks, f64 = problem.n_inputs, problem.n_tasks, torch.float64
    first, second = torch.nn.Linear(d, width, dtype=f64), torch.nn.Linear(width, n_tasks, dtype=f64)
    skip, loss = torch.nn.Linear(d, n_tasks, bias=False, dtype=f64), torch.nn.MSELoss()
    decay = kw.weight_decay_from_lam(problem.lam, problem)
    groups = [
        {"params": [first.weight, second.weight], "weight_decay": decay},
        {"params": [first.bias, second.bias, skip.weight], "weight_decay": 0.0},
    ]
    optimiser, each = torch.optim.Adam(groups, lr=1e-2), []
    for _ in range(5):
        began = peers.clock()
        for _ in range(steps):
            optimiser.zero_grad()
            loss(second(torch.relu(first(X))) + skip(X), Y).backward()
            optimiser.step()
        each.append((peers.clock() - began) / steps)
    return min(each[1:])


def step(seeds: int, quick: bool) -> Iterator[Row]:
    cases = ((20, 20, 1, 100_000, 1000, 100, 200), (50, 800, 101, 400, 100, 2.5, 4))
    for n, width, n_tasks, ours_steps, theirs_steps, floor, moonshot in cases:
        rng = np.random.default_rng(0)
        problem = kw.Problem(rng.uniform(-1, 1, n), rng.standard_normal((n, n_tasks)), 1e-3)
        ours = seconds_of(problem, width, ours_steps)
        setting = f"N={n} d=1 K={width} T={n_tasks}"
        if importlib.util.find_spec("torch") is None:
            yield Row("step", setting, f"{1e6 * ours:.2f} µs", other="no PyTorch here")
            continue
        theirs = torch_seconds_of(problem, width, theirs_steps)
        yield Row(
            "step",
            setting,
            f"{theirs / ours:.1f}×",
            f"{floor}×",
            f"{moonshot}×",
            theirs / ours >= floor,
            ours=ours,
            other=f"ours {1e6 * ours:.2f} µs, PyTorch {1e6 * theirs:.1f} µs",
        )


def reach_cases() -> Iterator[tuple[str, kw.Problem, int, int]]:
    """Name, problem, width, steps."""
    squares, squares_name = kw.train.RECIPES["multivariate"], "squares T=101 K=800"
    for reading, steps in (("all", 20_000), ("(3)", 60_000)):
        problem = squares.problem(*two_squares(101, 0), reading)
        yield f"{squares_name} reading {reading}", problem, squares.width, steps
    plan = kw.train.RECIPES["teachers"]
    yield "B.2 T=25 K=800 reading all", plan.problem(*teachers(0)), plan.width, 60_000
    yield "five points T=2 K=20 reading all", recipe_problem(2, "all"), 20, CAP


def reach(seeds: int, quick: bool) -> Iterator[Row]:
    for name, problem, width, steps in reach_cases():
        # the optimum only has to be finer than the finest column
        began = peers.clock()
        solved = kw.solve(problem, tol=1e-6)
        told = f"certified {solved.certificate.primal:.6g} in {peers.clock() - began:.1f} s"
        steps = steps // 4 if quick else steps
        count = 8 * seeds if width < 100 else seeds
        for method, options in (
            ("adam", {}),
            ("adam, data kinks", {"initialisation": "data_kinks"}),
            ("pathprox", {}),
            ("pathprox, data kinks", {"initialisation": "data_kinks"}),
        ):
            call = getattr(kw.train, method.split(",")[0])
            options = {"seeds": count, "check_every": steps // 100, "lower_bound": solved, **options}
            call(problem, width, **(options | {"steps": steps // 100, "schedule": "constant"}))
            call(problem, width, **(options | {"steps": steps // 100}))
            began = peers.clock()
            training = call(problem, width, steps=steps, **options)
            seconds = (peers.clock() - began) / count
            bound = training.lower_bound
            there = []
            for rel in (1e-2, 1e-3, 1e-4):
                steps_to = [
                    next((e.round for e in s.trace if e.objective <= bound * (1 + rel)), np.inf)
                    for s in training
                ]
                found = np.array([s for s in steps_to if s < np.inf])
                share = f"{len(found)}/{count}"
                there.append(f"{np.median(found) / steps * seconds:.2f} s ({share})" if len(found) else "-")
            excess = training.objectives.min() / bound - 1.0
            yield Row(
                "reach",
                f"{name}, {method}",
                f"best {excess:.1e} above",
                gap=float(training.relative_gaps.min()),
                ours=seconds,
                other=f"1e-2, 1e-3, 1e-4: {', '.join(there)}; "
                f"{training.best.network.n_neurons} neurons; {told}",
            )


def same(seeds: int, quick: bool) -> Iterator[Row]:
    for method, lam in (("adam", 0.05), ("pathprox", 0.05), ("adam", None)):
        problem = recipe_problem(2, "all")
        problem = problem if lam is None else problem.with_lam(lam)
        call = getattr(kw.train, method)
        short, final = (
            {
                how: call(problem, 20, seeds=32, steps=steps, check_every=steps, batching=how, certify=False)
                for how in ("serial", "map", "vmap")
            }
            for steps in (200, 20_000)
        )
        for how in ("map", "vmap"):
            apart = max(
                float(np.abs(a.network.predict(problem.X) - b.network.predict(problem.X)).max())
                for a, b in zip(short["serial"], short[how], strict=True)
            )
            off = np.abs(final[how].objectives / final["serial"].objectives - 1.0)
            yield Row(
                "same",
                f"{method}, 32 seeds, lam={problem.lam:.0e}, {how} against serial",
                f"{apart:.0e} after 200 steps, median {np.median(off):.0e} after 20,000",
                "1e-10, 1e-6",
                "",
                apart <= 1e-10 and float(np.median(off)) <= 1e-6,
                other=f"{np.mean(off <= 1e-6):.0%} of the seeds within 1e-6, worst {off.max():.0e}",
            )


def long_run(path: str | None) -> kw.train.Training:
    return kw.train.adam(
        recipe_problem(2, "all"), 20, seeds=8, steps=100_000, checkpoint=path, checkpoint_every=500
    )


def resume(seeds: int, quick: bool) -> Iterator[Row]:
    whole = long_run(None)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "run.safetensors")
        code = f"import training; training.long_run({path!r})"
        process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)
        while not Path(path).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        ended = process.wait()
        seen: list[int] = []
        again = kw.train.adam(
            recipe_problem(2, "all"), 20, seeds=8, steps=100_000, checkpoint=path, checkpoint_every=500,
            progress=lambda entry: seen.append(entry.round),
        )  # fmt: skip
    equal = all(
        np.array_equal(getattr(a.network, name), getattr(b.network, name))
        for a, b in zip(whole, again, strict=True)
        for name in NAMES
    )
    equal = equal and np.array_equal(whole.objectives, again.objectives)
    yield Row(
        "resume",
        "8 seeds, 100,000 steps",
        "bitwise the same" if equal else "DIFFERENT",
        "bitwise",
        "",
        equal,
        other=f"killed by signal {-ended}, gone on from step {seen[0] - 500 if seen else 'the end'}",
    )


BARS = {"step": step, "recipe": recipe, "reach": reach, "same": same, "resume": resume}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="one seed where three are meant, fewer steps")
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds instead of the wall's")
    options = parser.parse_args()
    if options.cpu_time:
        peers.clock = time.process_time
    seeds = 1 if options.quick else 3
    version = f"JAX {peers.jax.__version__}" if peers.jax else "no JAX"
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one thread, {version}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, seeds: {seeds}\n\n{HEADER}")
    began = time.perf_counter()
    for name in options.only:
        for row in BARS[name](seeds, options.quick):
            print(row, flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
