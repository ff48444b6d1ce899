"""What a stack costs, from its parameters down to a bound by its data: paper B, (6) and (7)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..deep.stack_costs import StackCost, stack_costs
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..stacked import StackedNetwork
from .experiment import Claim, Experiment, Plan, Verdict
from .records import Record, Settings
from .regularisers import PENALISED, normal_network

_ROUNDING = 1e-8


def _chain_pieces(plan: Plan) -> list[Settings]:
    draws = plan.draws(40, 8)
    return [{"first": k, "networks": min(20, draws - k)} for k in range(0, draws, 20)]


def _chain(first: int, networks: int) -> Mapping[str, ArrayLike]:
    """Random stacks, every third neuron double."""
    costs = []
    for seed in range(first, first + networks):
        rng = np.random.default_rng(seed)
        penalty = PENALISED[seed % 3]
        dims = [1, *([1] * (1 + seed % 2) if seed % 4 else [2]), 3]
        stacks = []
        for d, T in itertools.pairwise(dims):
            net = normal_network(rng, 6, d, T, penalty.skip)
            W, b = np.vstack([net.W, 2.0 * net.W[::3]]), np.append(net.b, 2.0 * net.b[::3])
            V = np.vstack([net.V, rng.standard_normal((2, T))])
            stacks.append(ReLUNetwork(W, b, V, net.A, net.c))
        costs += stack_costs(StackedNetwork(tuple(stacks)), rng.standard_normal((8, 1)), penalty, tol=1e-4)
    return chain_arrays(costs)


def chain_arrays(costs: Sequence[StackCost]) -> dict[str, ArrayLike]:
    """(n, 5) raw, balanced, merged, function (NaN where it is not known), data bound; for `chain_claim`."""
    function = [np.nan if one.function is None else one.function for one in costs]
    rows = [
        [one.raw, one.balanced, one.merged, f, one.data_bound] for one, f in zip(costs, function, strict=True)
    ]
    return {
        "chain": np.array(rows).reshape(-1, 5),
        "heuristic": [one.rigour is Rigour.HEURISTIC for one in costs],
    }


def _judge_chain(records: Sequence[Record]) -> list[Claim]:
    return [chain_claim(records, "random stacks")]


def chain_claim(records: Sequence[Record], of: str) -> Claim:
    """Whether all chains of the records descend."""
    chain = np.concatenate([record["chain"] for record in records])
    heuristic = int(sum(record["heuristic"].sum() for record in records))
    filled = chain.copy()
    unknown = np.isnan(chain[:, 3])
    filled[unknown, 3] = filled[unknown, 2]
    step = np.diff(filled, axis=1) / filled[:, :1]
    worst = float(step.max())
    share = np.median(filled[:, 1:] / filled[:, :1], axis=0)
    said = f"; {heuristic} bounds are heuristic" if heuristic else ""
    return Claim(
        "half the squares of a stack's parameters are at least P of its function, and P at least what any "
        "function of the same outputs on the data costs",
        "B, (6), (7)",
        f"{len(chain)} {of}: raw >= balanced >= merged >= P >= data bound, the largest rise {worst:.0e} of "
        f"raw; medians 1, {share[0]:.2f}, {share[1]:.2f}, {share[2]:.2f}, {share[3]:.2f} (P is known for "
        f"one input: {int((~unknown).sum())} stacks){said}",
        Verdict.HOLDS if worst <= _ROUNDING else Verdict.FAILS,
        {"rise": worst, "balanced": share[0], "merged": share[1], "function": share[2], "bound": share[3]},
    )


EXPERIMENTS = (
    Experiment(
        name="b-p-chain",
        title="From parameters down to a bound by the data",
        figures=(),
        shows="P is what is left of the squares of the parameters when only the function is kept.",
        ours="Two or three stacks, bottlenecks of 1 (of 2 in a quarter), 8 neurons of which 2 repeat "
        "others; 8 inputs.",
        pieces=_chain_pieces,
        compute=_chain,
        judge=_judge_chain,
        effort=8.0,
    ),
)
