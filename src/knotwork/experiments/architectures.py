"""Paper B, Figs. 1-6: the architectures as objects, and what weight decay charges for their linear part."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..network import ReLUNetwork
from ..penalty import Penalty, Skip
from ..stacked import StackedNetwork
from .experiment import Claim, Experiment, Plan, Verdict
from .records import Record, Settings, network_arrays

_INPUTS, _BOTTLENECKS, _OUTPUTS, _WIDTH = 3, (2, 2), 4, 8
# Fig. 2, 5 and 6 are 1, 3 and 4 with fewer arrows
SKIPS: tuple[Skip, ...] = ("none", "none", "frobenius", "nuclear", "frobenius", "nuclear")
_TOLERANCE = 1e-10


def _pieces(plan: Plan) -> list[Settings]:
    return [{"figure": k, "skip": skip, "seed": k} for k, skip in enumerate(SKIPS, 1)]


def _compute(figure: int, skip: Skip, seed: int) -> Mapping[str, ArrayLike]:
    rng = np.random.default_rng(seed)
    dims = (_INPUTS, *_BOTTLENECKS, _OUTPUTS)
    stacks = []
    for d_in, d_out in itertools.pairwise(dims):
        A = (skip != "none") * rng.standard_normal((d_in, d_out))
        W, V = rng.standard_normal((_WIDTH, d_in)), rng.standard_normal((_WIDTH, d_out))
        b, c = rng.standard_normal(_WIDTH), rng.standard_normal(d_out)
        stacks.append(ReLUNetwork(W, b, V, A, c))
    network = StackedNetwork(tuple(stacks))
    penalty = Penalty(True, skip)
    charged, least, other = [], [], []
    for stack in stacks:
        without = ReLUNetwork(stack.W, stack.b, stack.V, c=stack.c)
        charged.append(stack.cost(penalty) - without.cost(penalty))
        # A = U S' of linear neurons: the balanced factors cost least, and any others more
        left, size, right = np.linalg.svd(stack.A, full_matrices=False)
        root = np.sqrt(size)
        mixed = rng.standard_normal((len(size), len(size)))
        U, S = left * root, root[:, None] * right
        least.append(0.5 * (np.sum(U**2) + np.sum(S**2)))
        other.append(0.5 * (np.sum((U @ mixed) ** 2) + np.sum(np.linalg.solve(mixed, S) ** 2)))
    found = {
        "charged": np.array(charged),
        "factors": np.array(least),
        "other_factors": np.array(other),
        "frobenius": np.array([0.5 * np.sum(stack.A**2) for stack in stacks]),
        "nuclear": np.array([np.linalg.norm(stack.A, "nuc") for stack in stacks]),
        "shape": np.array([network.n_inputs, *network.bottlenecks, network.n_tasks]),
    }
    for j, stack in enumerate(stacks):
        found |= network_arrays(f"stack{j}", stack)
    return found


def _judge(records: Sequence[Record]) -> list[Claim]:
    frobenius = [record for record in records if record.settings["skip"] == "frobenius"]
    nuclear = [record for record in records if record.settings["skip"] == "nuclear"]
    direct = max(float(np.abs(one["charged"] - one["frobenius"]).max()) for one in frobenius)
    linear = max(float(np.abs(one["charged"] - one["factors"]).max()) for one in nuclear)
    more = min(float((one["other_factors"] - one["nuclear"]).min()) for one in nuclear)
    return [
        Claim(
            "a direct linear map in every stack (Figs. 3, 5) adds |A|_F^2 / 2 to its cost, linear neurons "
            "(Figs. 4, 6) the nuclear norm |A|_*",
            "B, Appendix A, (11) and (12)",
            f"charged for A is |A|_F^2 / 2 to {direct:.1e}, and the squares of balanced linear neurons to "
            f"{linear:.1e}; other factors of the same A cost at least {more:.2g} more",
            Verdict.HOLDS if max(direct, linear) <= _TOLERANCE < more else Verdict.FAILS,
            {"frobenius": direct, "nuclear": linear, "others": more},
        )
    ]


EXPERIMENTS = (
    Experiment(
        name="b-figures-1-6",
        title="Stacked networks, without and with a linear part",
        figures=tuple(f"B {k}" for k in range(1, 7)),
        shows="Three shallow ReLU networks one after another, with bottlenecks between them; in Figs. 3 and "
        "5 a linear map past the neurons of each stack, in Figs. 4 and 6 linear neurons beside them.",
        ours="Sizes and weights are ours: the paper draws layers without numbers.",
        pieces=_pieces,
        compute=_compute,
        judge=_judge,
        effort=0.1,
    ),
)
