"""What both methods take beside their own numbers, checked before JAX is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..problem import Problem
from ..solution import Solution
from ..solvers.watch import Progress
from .initialisation import Initialisation

Batching = Literal["auto", "vmap", "map", "serial"]
SCHEDULES = ("constant", "cosine", "linear")


@dataclass(frozen=True, eq=False)
class Options:
    """See `adam` for what they mean."""

    width: int
    seeds: int | Sequence[int]
    steps: int
    schedule: str | Callable[[Any], Any]
    initialisation: Initialisation
    batch_size: int | None
    rescale_every: int
    check_every: int
    tol: float | None
    lower_bound: float | Solution | None
    polish: int
    prune: float
    batching: Batching
    dtype: Literal["float64", "float32"]
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int | None
    progress: bool | Progress | None
    certify: bool

    def check(self, problem: Problem) -> None:
        """Raise TypeError or ValueError, naming what makes no sense and the remedy."""
        if not isinstance(problem, Problem):
            raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
        if problem.lam == 0:
            raise ValueError(
                "problem: at lam = 0 labels are constraints, which training cannot meet; train at a small "
                "lam, or use knotwork.solve"
            )
        for name, low in (("width", 1), ("steps", 1), ("check_every", 1), ("polish", 0)):
            _integer(getattr(self, name), name, low)
        _integer(self.rescale_every, "rebalance_every", 0)
        for name, low in (("batch_size", 1), ("checkpoint_every", 1)):
            if getattr(self, name) is not None:
                _integer(getattr(self, name), name, low)
        if self.rescale_every and self.check_every % self.rescale_every:
            raise ValueError(
                f"check_every: must be a multiple of the {self.rescale_every} steps between rescalings, "
                f"got {self.check_every}"
            )
        if isinstance(self.schedule, str) and self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule: must be one of {', '.join(SCHEDULES)} or a function of the step, "
                f"got {self.schedule!r}"
            )
        if not isinstance(self.schedule, str) and not callable(self.schedule):
            raise TypeError(f"schedule: must be a name or a function of the step, got {self.schedule!r}")
        if self.tol is not None:
            positive(self.tol, "tol")
        if not _number(self.prune, "prune") >= 0:
            raise ValueError(f"prune: must be >= 0, got {self.prune!r}")
        for name, allowed in (
            ("batching", ("auto", "vmap", "map", "serial")),
            ("dtype", ("float64", "float32")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not (self.progress is None or isinstance(self.progress, bool) or callable(self.progress)):
            raise TypeError(f"progress: must be True or a function of a TraceEntry, got {self.progress!r}")
        self._check_lower_bound(problem)
        if not self.seed_numbers:
            raise ValueError("seeds: there are none; give a number >= 1 or a list of seeds")
        if len(set(self.seed_numbers)) < len(self.seed_numbers):
            raise ValueError(f"seeds: some stand twice in {list(self.seed_numbers)}; give each once")

    def _check_lower_bound(self, problem: Problem) -> None:
        bound = self.lower_bound
        if isinstance(bound, Solution):
            if not same_problem(bound.problem, problem):
                raise ValueError("lower_bound: is the solution of another problem; solve this one")
        elif bound is not None and not np.isfinite(_number(bound, "lower_bound")):
            raise ValueError(f"lower_bound: must be finite, got {bound!r}")

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        if isinstance(self.seeds, int | np.integer) and not isinstance(self.seeds, bool):
            return tuple(range(int(self.seeds)))
        if isinstance(self.seeds, str | bool) or not isinstance(self.seeds, Sequence | np.ndarray):
            raise TypeError(f"seeds: must be how many or which, got {self.seeds!r}")
        for seed in self.seeds:
            _integer(seed, "seeds", 0)
            if seed >= 2**31:
                raise ValueError(f"seeds: must be below 2**31, got {seed!r}")
        return tuple(int(seed) for seed in self.seeds)

    @property
    def known_bound(self) -> float:
        """What of a lower bound is known before training; minus infinity for nothing."""
        if self.lower_bound is None:
            return -np.inf
        if isinstance(self.lower_bound, Solution):
            return self.lower_bound.certificate.dual
        return float(self.lower_bound)


def same_problem(one: Problem, other: Problem) -> bool:
    """Whether two problems have the same data, loss, penalty and lam."""
    if one is other:
        return True
    plain = (one.lam, one.loss_function, one.penalty) == (other.lam, other.loss_function, other.penalty)
    return (
        plain
        and np.array_equal(one.X, other.X)
        and np.array_equal(one.Y, other.Y, equal_nan=True)
        and np.array_equal(one.label_weight(), other.label_weight())
    )


def positive(value: object, name: str) -> float:
    """`value` as a finite float above 0."""
    number = _number(value, name)
    if not 0 < number < float("inf"):
        raise ValueError(f"{name}: must be finite and > 0, got {value!r}")
    return number


def below_one(value: object, name: str) -> float:
    """`value` as a float in [0, 1)."""
    number = _number(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"{name}: must be >= 0 and below 1, got {value!r}")
    return number


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: must be a number, got {value!r}")
    return float(value)


def _integer(value: object, name: str, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: must be an integer >= {low}, got {value!r}")
    if value < low:
        raise ValueError(f"{name}: must be an integer >= {low}, got {value!r}")
