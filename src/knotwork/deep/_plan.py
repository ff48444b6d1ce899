"""What `train_stacked` was asked for, checked before JAX is touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..losses import Squared
from ..network import ReLUNetwork
from ..penalty import Penalty, Skip
from ..problem import Problem
from ..solvers.watch import Progress
from ..stacked import Activation, Link, StackedNetwork
from ..train._options import Batching, positive
from .initial import SCHEMES
from .tasks import stack_tasks


@dataclass(frozen=True, eq=False)
class Plan:
    """See `train_stacked`; dims are d_0, ..., d_S."""

    problem: Problem
    dims: tuple[int, ...]
    widths: tuple[int, ...]
    activation: Activation
    link: Link
    initialisation: str
    seeds: tuple[int, ...]
    steps: int
    learning_rate: float
    rebalance_every: int
    check_every: int
    rounds: int
    round_steps: int
    round_learning_rate: float
    n_interpolated: int
    batching: Batching
    dtype: str
    checkpoint: str | os.PathLike[str] | None
    progress: bool | Progress | None

    def check(self) -> None:
        """Raise TypeError or ValueError, naming what makes no sense and the remedy."""
        none = np.zeros((0, 1))
        # its own checks of activation and link
        StackedNetwork((ReLUNetwork(none, np.zeros(0), none),), self.activation, self.link)
        if len(self.widths) != len(self.dims) - 1:
            raise ValueError(
                f"widths: must be one number or {len(self.dims) - 1}, one for each stack, got {self.widths}"
            )
        lows = {"steps": 1, "rebalance_every": 0, "check_every": 1, "rounds": 0, "round_steps": 1}
        for name, low in (lows | {"n_interpolated": 0}).items():
            whole(getattr(self, name), name, low)
        for name in ("learning_rate", "round_learning_rate"):
            positive(getattr(self, name), name)
        if self.rebalance_every and self.check_every % self.rebalance_every:
            raise ValueError(
                f"check_every: must be a multiple of rebalance_every = {self.rebalance_every}, "
                f"got {self.check_every}"
            )
        for name, allowed in (
            ("initialisation", SCHEMES),
            ("batching", ("auto", "vmap", "map", "serial")),
            ("dtype", ("float64", "float32")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not (self.progress is None or isinstance(self.progress, bool) or callable(self.progress)):
            raise TypeError(f"progress: must be True or a function of a TraceEntry, got {self.progress!r}")
        if self.link != "identity" and not isinstance(self.problem.loss_function, Squared):
            raise ValueError(
                f"link: {self.link!r} is for the squared loss; loss={self.problem.loss_function.name!r} has "
                "a link of its own, use link='identity'"
            )


def as_problem(
    problem: Problem | Sequence[tuple[ArrayLike, ArrayLike]], lam: float | None, skip: Skip | None
) -> Problem:
    """The problem itself, or that of tasks with inputs of their own; refused where none can be trained."""
    if not isinstance(problem, Problem):
        if isinstance(problem, str) or not isinstance(problem, Sequence):
            raise TypeError(
                f"problem: must be a knotwork.Problem or pairs (x, y), one each task, got {problem!r}"
            )
        if lam is None:
            raise TypeError("lam: must be given with tasks")
        X, Y = stack_tasks(problem)
        problem = Problem(X, Y, lam, penalty=Penalty(True, skip or "none"))
    elif lam is not None or skip is not None:
        raise TypeError("lam, skip: are those of the problem; give them with tasks only")
    if not problem.penalty.biases:
        raise ValueError(
            "problem: weight decay on a stacked network acts on all parameters (B (4)); give it "
            "penalty=Penalty(biases=True, skip='none', 'frobenius' or 'nuclear')"
        )
    if problem.lam == 0:
        raise ValueError("problem: at lam = 0 labels are constraints, which training cannot meet; raise lam")
    return problem


def seed_numbers(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        return tuple(range(whole(seeds, "seeds", 1)))
    if isinstance(seeds, str | bool) or not isinstance(seeds, Sequence | np.ndarray) or not len(seeds):
        raise TypeError(f"seeds: must be how many or which, got {seeds!r}")
    found = tuple(whole(seed, "seeds", 0) for seed in seeds)
    if max(found) >= 2**31:
        raise ValueError(f"seeds: must be below 2**31, got {max(found)}")
    if len(set(found)) < len(found):
        raise ValueError(f"seeds: some stand twice in {list(found)}; give each once")
    return found


def whole(value: object, name: str, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: must be an integer >= {low}, got {value!r}")
    if value < low:
        raise ValueError(f"{name}: must be an integer >= {low}, got {value!r}")
    return int(value)
