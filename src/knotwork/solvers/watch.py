"""When to stop, and the account of the rounds so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..certificate import Certificate
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution, Status, TraceEntry

Progress = Callable[[TraceEntry], bool | None]


@dataclass
class Watch:
    """The user's limits on a solve.

    Raises
    ------
    TypeError, ValueError : naming the limit that makes no sense.
    """

    tol: float
    max_rounds: int | None
    max_seconds: float | None
    progress: Progress | None
    began: float = field(default_factory=time.monotonic)
    trace: list[TraceEntry] = field(default_factory=list)
    status: Status | None = None

    def __post_init__(self) -> None:
        for name, value in (("tol", self.tol), ("max_seconds", self.max_seconds)):
            if name == "max_seconds" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name}: must be a number > 0, got {value!r}")
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: must be finite and > 0, got {value!r}")
        if self.max_rounds is not None and (
            isinstance(self.max_rounds, bool) or not isinstance(self.max_rounds, int) or self.max_rounds < 1
        ):
            raise ValueError(f"max_rounds: must be an integer >= 1 or None, got {self.max_rounds!r}")
        if self.progress is not None and not callable(self.progress):
            raise TypeError(f"progress: must be a function of a TraceEntry, got {self.progress!r}")

    def out_of_time(self) -> bool:
        """Whether `max_seconds` have passed."""
        return self.max_seconds is not None and time.monotonic() - self.began >= self.max_seconds

    def seconds_left(self) -> float | None:
        """Until `max_seconds` have passed, as a limit for what is still to be done: never 0."""
        if self.max_seconds is None:
            return None
        return max(self.max_seconds - (time.monotonic() - self.began), 1e-3)

    def round_done(self, objective: float, gap: float, n_knots: int) -> bool:
        """Record a round; True when the solver must stop before it is done."""
        seconds = time.monotonic() - self.began
        entry = TraceEntry(len(self.trace), seconds, float(objective), float(gap), int(n_knots))
        self.trace.append(entry)
        if self.progress is not None and self.progress(entry) is True:
            self.status = Status.STOPPED
        elif self.out_of_time():
            self.status = Status.MAX_SECONDS
        elif self.max_rounds is not None and len(self.trace) >= self.max_rounds:
            self.status = Status.MAX_ROUNDS
        return self.status is not None

    def finish(self, problem: Problem, network: ReLUNetwork, certificate: Certificate) -> Solution:
        """The solution, and why the solver stopped with it."""
        if certificate.relative_gap <= self.tol:
            proven = certificate.rigour is not Rigour.HEURISTIC
            status = Status.OPTIMAL if proven else Status.SEARCHED
        else:
            status = self.status or Status.STALLED
        return Solution(problem, network, certificate, status, tuple(self.trace))
