"""What an experiment is: pieces of work that can run anywhere, and claims that their records decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from numpy.typing import ArrayLike

from .records import Record, Settings


class Verdict(Enum):
    """What was found of a claim. Its value is what a reader is told."""

    HOLDS = "holds"
    CORRECTED = "holds with a correction"
    FAILS = "does not hold"
    OPEN = "not decidable here"

    @classmethod
    def of(cls, truth: bool) -> Verdict:
        """HOLDS or FAILS."""
        return cls.HOLDS if truth else cls.FAILS


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, or one of its slips, and what was measured of it.

    says : the statement, in our words.
    where : paper and place, "A, Theorem 3.1".
    measured : one sentence with the numbers.
    verdict : found from the numbers, never written beside them.
    values : the numbers of that sentence, by name.
    correction : how it must be, where the verdict is CORRECTED or FAILS.
    """

    says: str
    where: str
    measured: str
    verdict: Verdict
    values: Mapping[str, float] = field(default_factory=dict)
    correction: str = ""


@dataclass(frozen=True)
class Plan:
    """How much to compute.

    quick : sizes for two minutes in all; the same experiments and claims.
    seeds : random draws of every experiment that draws; None leaves its own number.
    """

    quick: bool = False
    seeds: int | None = None

    def draws(self, full: int, quick: int) -> int:
        """How many random draws: `seeds` where it is given."""
        if self.seeds is not None:
            return self.seeds
        return quick if self.quick else full


@dataclass(frozen=True)
class Experiment:
    """A figure or a theorem of a paper.

    name : of the command line, as "a-figure-4".
    title : in a few words.
    figures : those of the papers that it stands for, as ("A 4",).
    shows : what the paper says is to be seen or holds, in our words.
    ours : settings that the paper leaves out, or states in two ways, and what we took.
    pieces : the settings of each independent piece of work. JSON values only; a random draw is a seed.
    compute : what a piece measures, called as compute(**settings), in any process. Arrays by name.
    judge : the claims that all records together decide, in the order of `pieces`.
    effort : a guess of its seconds in a full run: the longest start first.
    needs : optional libraries it imports, as ("jax",).
    """

    name: str
    title: str
    figures: tuple[str, ...]
    shows: str
    ours: str
    pieces: Callable[[Plan], Sequence[Settings]]
    compute: Callable[..., Mapping[str, ArrayLike]]
    judge: Callable[[Sequence[Record]], Sequence[Claim]]
    effort: float = 1.0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """An experiment, its records in the order of its pieces, and its claims."""

    experiment: Experiment
    records: Sequence[Record]
    claims: Sequence[Claim]

    def summary(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {
            "experiment": self.experiment.name,
            "title": self.experiment.title,
            "figures": list(self.experiment.figures),
            "records": [record.file_name for record in self.records],
            "seconds": sum(record.seconds for record in self.records),
            "claims": [
                {
                    "says": claim.says,
                    "where": claim.where,
                    "measured": claim.measured,
                    "verdict": claim.verdict.value,
                    "values": {name: float(value) for name, value in claim.values.items()},
                    "correction": claim.correction,
                }
                for claim in self.claims
            ],
        }
