"""What training returns: one solution a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..problem import Problem
from ..solution import Solution

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Training(Sequence[Solution]):
    """The solutions of all seeds, in their order; `training[k]` is that of `training.seeds[k]`.

    problem : what was trained.
    solutions : every seed's network (the best of those seen at the checks), its certificate, why it
        stopped, and its trace, whose `round` counts steps and whose last gap may be infinite where no
        lower bound was known by then.
    seeds : the seeds.
    steps : (S,) how many each took.
    lower_bound : the best proven lower bound of the optimum that the certificates hold.
    seconds : what all of it took.
    batching : how seeds were run side by side.
    """

    problem: Problem
    solutions: tuple[Solution, ...]
    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    lower_bound: float
    seconds: float
    batching: str

    @overload
    def __getitem__(self, index: int) -> Solution: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Solution, ...]: ...
    def __getitem__(self, index: int | slice) -> Solution | tuple[Solution, ...]:
        return self.solutions[index]

    def __len__(self) -> int:
        return len(self.solutions)

    def __iter__(self) -> Iterator[Solution]:
        return iter(self.solutions)

    @property
    def objectives(self) -> Array:
        """(S,) F of every seed's network."""
        return np.array([solution.certificate.primal for solution in self.solutions])

    @property
    def relative_gaps(self) -> Array:
        """(S,) how far above the lower bound each seed ended, relative to the larger of both."""
        return np.array([solution.certificate.relative_gap for solution in self.solutions])

    @property
    def best(self) -> Solution:
        """The solution of least objective."""
        return self.solutions[int(np.argmin(self.objectives))]

    def success_rate(self, rel: float) -> float:
        """The share of seeds that ended within `rel` of the optimum, as certified."""
        if not rel > 0:
            raise ValueError(f"rel: must be > 0, got {rel!r}")
        return float(np.mean(self.relative_gaps <= rel))
