"""What each stack of a deep network costs: the chain of costs, and P against a conic solver.

    python benchmarks/stacks.py [--quick] [--only NAME ...]

chain      raw >= balanced >= merged >= P (one input) >= data bound of every stack, to a relative 1e-9: 200
           random networks of 1 to 3 stacks, 1 to 3 inputs and outputs, bottlenecks of 1 to 3, all five
           penalties and three activations; 20 trained ones (B (4), 500 steps, 8 neurons a stack).
conic      P of 200 functions of one input, all five penalties in turn, 1 to 3 outputs, against the conic
           programme of tests/references_cost.py (CVXPY, Clarabel at 1e-10): the worst difference, relative
           to P (to 1e-4 where P is less), and how far the proven lower bound is below. Beside it P over what
           the parameters cost, and the seconds of CPU of both.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from one_input import HEADER, Row
from threadpoolctl import threadpool_limits

import knotwork as kw
from knotwork.deep.periodic import periodic_tasks

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from references_cost import bent, conic_cost_of_splits

Array = NDArray[np.float64]
Case = tuple[kw.StackedNetwork, Array, kw.Penalty]
PENALTIES = (
    kw.Penalty(True, "none"),
    kw.Penalty(True, "frobenius"),
    kw.Penalty(True, "nuclear"),
    kw.Penalty(False, "none"),
    kw.Penalty(),
)
ROUNDING, CONIC = 1e-9, 1e-8


def random_stack(rng: np.random.Generator, n_inputs: int, n_outputs: int, penalty: kw.Penalty):
    K = int(rng.integers(0, 7))
    W, b, V = (rng.standard_normal(shape) for shape in ((K, n_inputs), (K,), (K, n_outputs)))
    if K > 3:
        # two of one direction, two opposite
        W[1], b[1], W[3], b[3] = 3.0 * W[0], 3.0 * b[0], -W[2], -b[2]
    A = np.zeros((n_inputs, n_outputs))
    if penalty.skip != "none":
        A = rng.standard_normal(A.shape)
    return kw.ReLUNetwork(W, b, V, A, rng.standard_normal(n_outputs))


def random_cases(number: int) -> Iterator[Case]:
    for seed in range(number):
        rng = np.random.default_rng(seed)
        penalty, n_stacks = PENALTIES[seed % 5], 1 + seed // 5 % 3
        dims = [1 if seed % 2 else int(rng.integers(2, 4)), *rng.integers(1, 4, n_stacks).tolist()]
        stacks = tuple(random_stack(rng, d, T, penalty) for d, T in itertools.pairwise(dims))
        activation = ("identity", "relu", "tanh")[seed % 3]
        yield kw.StackedNetwork(stacks, activation), rng.standard_normal((8, dims[0])), penalty


def trained_cases(number: int) -> Iterator[Case]:
    for seed in range(number):
        penalty = kw.Penalty(True, ("none", "frobenius", "nuclear")[seed % 3])
        data = periodic_tasks(seed, n_rows=10, n_tasks=2)
        X = data.X if seed % 2 else np.random.default_rng(seed).standard_normal((10, 2))
        training = kw.train_stacked(
            kw.Problem(X, data.Y, 0.1, penalty=penalty),
            (1 + seed % 2,),
            8,
            seeds=[seed],
            steps=500,
            rounds=0,
        )
        yield training.best, X, penalty


def chain_of(cost: kw.StackCost) -> list[float]:
    function = [] if cost.function is None else [cost.function]
    return [cost.raw, cost.balanced, cost.merged, *function, cost.data_bound]


def chain(share: float) -> Iterator[Row]:
    for name, cases in (
        ("random", random_cases(round(200 * share))),
        ("trained", trained_cases(round(20 * share))),
    ):
        began, hold, networks, heuristic, ratios = time.perf_counter(), 0, 0, 0, []
        for network, X, penalty in cases:
            costs = kw.stack_costs(network, X, penalty, tol=1e-4)
            steps = [pair for one in costs for pair in itertools.pairwise(chain_of(one))]
            networks += 1
            hold += all(low <= high * (1.0 + ROUNDING) for high, low in steps)
            ratios += [np.divide(chain_of(one), one.raw) for one in costs if one.raw > 0]
            heuristic += sum(one.rigour is kw.Rigour.HEURISTIC for one in costs)
        medians = ", ".join(f"{np.median([ratio[place] for ratio in ratios]):.2f}" for place in (1, 2, -1))
        yield Row(
            "chain",
            f"{networks} {name} networks, {len(ratios)} stacks",
            f"holds on {hold} of {networks}",
            "all",
            "",
            hold == networks,
            ours=time.perf_counter() - began,
            other=f"medians of balanced, merged, data bound over raw: {medians}; {heuristic} heuristic",
        )


def conic(share: float) -> Iterator[Row]:
    number, worst, below, saved = round(200 * share), {}, 0.0, []
    seconds, theirs = 0.0, 0.0
    for seed in range(number):
        rng, penalty = np.random.default_rng(1000 + seed), PENALTIES[seed % 5]
        stack = random_stack(rng, 1, 1 + seed // 5 % 3, penalty)
        began = time.process_time()
        found = kw.representational_cost(stack, penalty)
        seconds += time.process_time() - began
        began = time.process_time()
        expected = conic_cost_of_splits(bent(stack), penalty.biases, penalty.skip)
        theirs += time.process_time() - began
        size = max(abs(expected), 1e-4)
        key = f"biases={penalty.biases}, skip={penalty.skip}"
        worst[key] = max(worst.get(key, 0.0), abs(found.value - expected) / size)
        below = max(below, (found.value - found.lower_bound) / size)
        saved.append(found.value / stack.cost(penalty) if stack.cost(penalty) > 0 else 1.0)
    for key, difference in worst.items():
        yield Row("", key, f"{difference:.0e}")
    largest = max(worst.values())
    yield Row(
        "conic",
        f"P of {number} functions",
        f"{largest:.0e}; lower bound within {below:.0e}",
        "1e-8",
        "",
        largest <= CONIC,
        ours=seconds / number,
        other=f"{theirs / number:.4f} s of the conic solver; median P / cost of the parameters "
        f"{np.median(saved):.2f}",
    )


BARS: dict[str, Callable[[float], Iterator[Row]]] = {"conic": conic, "chain": chain}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="a tenth of the networks")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one BLAS thread")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}\n\n{HEADER}")
    began = time.perf_counter()
    with threadpool_limits(1, user_api="blas"):
        for name in options.only:
            for row in BARS[name](0.1 if options.quick else 1.0):
                print(row, flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
