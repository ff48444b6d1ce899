"""Training of stacked networks: Adam on many seeds, rebalanced, and convex steps where there are some.

Needs JAX and Optax (pip install 'knotwork[train]'), which are imported when training starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import read_only
from ..penalty import Skip
from ..problem import Problem
from ..solvers.watch import Progress
from ..stacked import Activation, Link, StackedNetwork
from ..train._jax import precision, require_jax
from ..train._options import Batching
from ._plan import Plan, as_problem, seed_numbers, whole
from .refinement import rebalance, stacked_objective

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StackedTraining(Sequence[StackedNetwork]):
    """The networks of all seeds, in their order; `training[k]` is that of `training.seeds[k]`.

    problem : its penalty is that of every stack.
    networks : every seed's best.
    objectives : (S,) sum w l + lam sum_j R(stack j) of each. No bound from below is known: the problem is
        not convex, and the best seed is only the best seen.
    seeds : the seeds.
    finite : (S,) False for a seed that left float64; its network is the best before that.
    seconds : what all of it took.
    stopped : whether `progress` stopped it early.
    """

    problem: Problem
    networks: tuple[StackedNetwork, ...]
    objectives: Array
    seeds: tuple[int, ...]
    finite: tuple[bool, ...]
    seconds: float
    stopped: bool

    @overload
    def __getitem__(self, index: int) -> StackedNetwork: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[StackedNetwork, ...]: ...
    def __getitem__(self, index: int | slice) -> StackedNetwork | tuple[StackedNetwork, ...]:
        return self.networks[index]

    def __len__(self) -> int:
        return len(self.networks)

    def __iter__(self) -> Iterator[StackedNetwork]:
        return iter(self.networks)

    @property
    def best(self) -> StackedNetwork:
        """The network of least objective."""
        return self.networks[int(np.argmin(self.objectives))]


def train_stacked(
    problem: Problem | Sequence[tuple[ArrayLike, ArrayLike]],
    bottlenecks: Sequence[int] = (1, 1),
    widths: int | Sequence[int] = 40,
    *,
    lam: float | None = None,
    skip: Skip | None = None,
    activation: Activation = "identity",
    link: Link = "identity",
    initialisation: Literal["fold", "default"] = "fold",
    seeds: int | Sequence[int] = 40,
    steps: int = 3000,
    learning_rate: float = 5e-3,
    rebalance_every: int = 50,
    check_every: int = 500,
    rounds: int = 1,
    round_steps: int = 500,
    round_learning_rate: float = 1e-3,
    n_interpolated: int = 2,
    batching: Batching = "auto",
    dtype: Literal["float64", "float32"] = "float64",
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | Progress | None = None,
) -> StackedTraining:
    """min over stacked networks of sum w l(y, f) + (lam/2) sum of squares of ALL parameters: B (4).

    f = link(h_S(act( ... act(h_1(x))))). Biases and c are decayed, and of a skip connection A its entries
    ("frobenius", B Figs. 3, 5) or both factors of linear neurons A = L'S ("nuclear", Figs. 4, 6). The
    problem is not convex. Adam (cosine rate) runs from many seeds; then, `rounds` times, the last stack is
    solved to its global optimum on what the others put out, the inner stacks of the best seeds are replaced
    by the least-cost networks of the same outputs on the data, and Adam goes on at a low rate. None of
    these steps raises the objective.

    Parameters
    ----------
    problem : with a penalty of biases=True, that of every stack, and lam > 0; or T pairs (x_t, y_t) of
        tasks with inputs of their own, and then `lam` and `skip` ("none" when left out).
    bottlenecks : d_1, ..., d_{S-1}; () for a shallow network.
    widths : neurons of every stack, or n_1, ..., n_S.
    activation, link : of `StackedNetwork`; a function must be one that JAX can trace (one of JAX's own
        predicts in float32, unless JAX is in its 64-bit mode). With a link the loss is squared, and the
        last stack is trained by Adam alone.
    initialisation : "fold" (the first two stacks zigzags, see `knotwork.deep.initial`) or "default".
    seeds : how many (0, 1, ...), or which. What a seed does depends on no other, but for `n_interpolated`.
    steps, learning_rate : of Adam.
    rebalance_every : neurons and stacks are rescaled after so many steps: the function stays, the decay
        does not rise, Adam's moments go along. 0 never.
    check_every : a multiple of it; steps between the checks, of which the best network is kept.
    rounds, round_steps, round_learning_rate : of the convex steps, and of Adam after each.
    n_interpolated : how many seeds, of least objective, have their inner stacks interpolated.
    batching, dtype : as in `knotwork.train.adam`.
    checkpoint : a safetensors file; where it exists the run goes on from it, to the same end. That of
        another run is refused.
    progress : True for a bar, or a function called with a `TraceEntry` of the best seed; True stops.

    Raises
    ------
    ImportError : without JAX and Optax; pip install 'knotwork[train]'.
    TypeError, ValueError : naming the argument, what was given and what to do.
    """
    began = time.monotonic()
    problem = as_problem(problem, lam, skip)
    dims = (problem.n_inputs, *(whole(d, "bottlenecks", 1) for d in bottlenecks), problem.n_tasks)
    each = [widths] * (len(dims) - 1) if isinstance(widths, int | np.integer) else list(widths)
    plan = Plan(
        problem, dims, tuple(whole(width, "widths", 1) for width in each), activation, link, initialisation,
        seed_numbers(seeds), steps, learning_rate, rebalance_every, check_every, rounds, round_steps,
        round_learning_rate, n_interpolated, batching, dtype, checkpoint, progress,
    )  # fmt: skip
    plan.check()
    require_jax()
    from ._run import Run

    with precision(dtype):
        run = Run(plan, began)
        run.go()
    with precision("float64"):
        # an activation of JAX computes in float64 here
        networks = [rebalance(network, problem.penalty) for network in run.networks()]
        objectives = np.array([stacked_objective(problem, network) for network in networks])
    return StackedTraining(
        problem,
        tuple(networks),
        read_only(objectives),
        plan.seeds,
        tuple(bool(finite) for finite in run.finite),
        time.monotonic() - began,
        run.stopped,
    )
