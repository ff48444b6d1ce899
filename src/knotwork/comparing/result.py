"""What a comparison found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._files import finite
from ..selection.held_out import Scheme
from .fits import Choice, task_means
from .intervals import LogRatio, log_ratio
from .words import sentence

Array = NDArray[np.float64]
Verdict = Literal["together", "apart", "no difference"]
TOGETHER, APART = "together", "apart"

# a smaller error, a share of the labels' variance, is none: ratios of rounding say nothing
_NO_ERROR = 1e-6
_MOST_LOG = 700.0


class Ratio(NamedTuple):
    """The error of one method over another's, a geometric mean over tasks, and the ends of its interval.

    Below 1 the first method is better; an interval that holds 1 leaves it open.
    """

    ratio: float
    low: float
    high: float


class Chances(NamedTuple):
    """How sure each answer is, in sum 1: the true ratio below 1 / (1 + margin), above 1 + margin, between."""

    together: float
    apart: float
    no_difference: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Held-out errors of tasks fitted together, apart, and by other methods, see `knotwork.compare`.

    methods : M names; "together" and "apart" first.
    errors : (M, T, J) mean error of each task at the labels that fold j held out, in units of that
        task's: for squared loss over the variance of all its labels, so that 1 is what its mean does.
        NaN where the fold held out none of its labels.
    label_errors : (M, N, T) error of each label in the same units, the mean over the repeats; NaN where
        there is none, or it was not held out before a stop.
    units : (N,) equal for rows that are one piece of evidence: equal inputs; for "blocks" and "gaps" as
        many runs of inputs as folds.
    n_train, n_test : (T, J) labels learned from and held out.
    folds, repeats, scheme : how; J = folds x repeats, or fewer after a stop.
    level : of the intervals.
    margin : two errors within this share of each other make no difference.
    choices : for "together" and "apart", of each fold the `Choice` of the inner cross-validation: one
        for all tasks together, one for each apart.
    seconds : spent on all of this.
    notices : what was left out or stopped.
    """

    methods: tuple[str, ...]
    errors: Array
    label_errors: Array
    units: NDArray[np.intp]
    n_train: Array
    n_test: Array
    folds: int
    repeats: int
    scheme: Scheme
    level: float
    margin: float
    choices: dict[str, tuple[tuple[Choice, ...], ...]]
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def n_tasks(self) -> int:
        return self.errors.shape[1]

    @property
    def mean_errors(self) -> Array:
        """(M,) mean over the tasks, each counting the same."""
        return np.nanmean(self.task_errors, axis=1)

    @property
    def task_errors(self) -> Array:
        """(M, T) mean over the labels; NaN for a task of which none was held out before a stop."""
        return np.stack([task_means(one, ~np.isnan(one)) for one in self.label_errors])

    def ratio(self, method: str, to: str = APART, task: int | None = None) -> Ratio:
        """Error of `method` over error of `to`, the geometric mean over the tasks, with its interval.

        The error of a task is the mean over all its labels, so the ratio estimates that of expected errors
        when learned from about so many labels; tasks have the same say, whatever their units and their
        noise. The interval is Student's for the log ratio, its standard error over rows, see
        `comparing.intervals.log_ratio`.

        Parameters
        ----------
        method, to : two of `methods`.
        task : of this task; of all tasks when None.

        Raises
        ------
        ValueError : for a name or a task that is not there.
        """
        found = self._log_ratio(method, to, task)
        return Ratio(*(math.exp(min(end, _MOST_LOG)) for end in (found.mean, *found.ends(self.level))))

    def fold_ratios(self, method: str, to: str = APART, task: int | None = None) -> Array:
        """(J,) error of `method` over error of `to` in every fold, of all tasks their geometric mean; NaN
        where the task had no label. Errors up to 1e-6 count as that."""
        one, other = (self.errors[k] for k in self._places(method, to, task))
        ratios = np.maximum(one, _NO_ERROR) / np.maximum(other, _NO_ERROR)
        return np.exp(np.nanmean(np.log(ratios), axis=0)) if task is None else ratios[task]

    @property
    def verdict(self) -> Verdict:
        """ "together" where the interval of together over apart lies below 1 and the ratio below
        1 / (1 + margin), "apart" where above 1 and above 1 + margin, else "no difference".

        Where there is no difference, each of the other two is said in at most (1 - level) / 2 of all cases,
        as far as the intervals keep their level; `chances` says how sure the answer is.
        """
        return self.verdict_of(None)

    def verdict_of(self, task: int | None) -> Verdict:
        """The same of one task alone."""
        found = self.ratio(TOGETHER, APART, task)
        if found.high < 1.0 and found.ratio < 1.0 / (1.0 + self.margin):
            return "together"
        if found.low > 1.0 and found.ratio > 1.0 + self.margin:
            return "apart"
        return "no difference"

    def chances(self, task: int | None = None) -> Chances:
        """How sure it is that training together has less error by more than the margin, that apart has,
        and that neither does: Student's t about the log ratio, as in `ratio`."""
        found, reach = self._log_ratio(TOGETHER, APART, task), math.log1p(self.margin)
        together, not_apart = found.chance_below(-reach), found.chance_below(reach)
        return Chances(together, 1.0 - not_apart, not_apart - together)

    @property
    def best(self) -> str:
        """The method of least `ratio`."""
        return min(self.methods, key=lambda name: self.ratio(name).ratio)

    @property
    def sentence(self) -> str:
        """The verdict in words, with its interval, and whether another method does better."""
        chosen = APART if self.verdict == "apart" else TOGETHER
        others = [name for name in self.methods if name not in (TOGETHER, APART)]
        rival = None
        if others:
            name = min(others, key=lambda name: self.ratio(name).ratio)
            rival = (name, self.ratio(name, chosen))
        return sentence(
            self.verdict,
            self.ratio(TOGETHER),
            self.chances(),
            self.n_tasks,
            self.level,
            self.margin,
            chosen,
            rival,
        )

    def record(self, task_names: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Plain numbers and text, None for what is not finite: what JSON can hold."""
        names = task_names or tuple(f"task {t}" for t in range(self.n_tasks))
        means, by_task = self.mean_errors, self.task_errors
        methods = []
        for k, name in enumerate(self.methods):
            tasks = [
                {"task": names[t], "error": finite(by_task[k, t]), "over_apart": self._record(name, t)}
                for t in range(self.n_tasks)
            ]
            overall = {
                "method": name,
                "error": finite(means[k]),
                "over_apart": self._record(name, None),
            }
            methods.append({**overall, "tasks": tasks})
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "together_over_apart": self._record(TOGETHER, None),
            "chances": {name: finite(chance) for name, chance in self.chances()._asdict().items()},
            "task_verdicts": {names[t]: self.verdict_of(t) for t in range(self.n_tasks)},
            "level": self.level,
            "margin": self.margin,
            "scheme": self.scheme,
            "folds": self.folds,
            "repeats": self.repeats,
            "folds_done": self.errors.shape[2],
            "labels": int((self.n_train + self.n_test)[:, 0].sum()),
            "methods": methods,
            "errors": [[[finite(e) for e in row] for row in one] for one in self.errors.tolist()],
            "refitted": {name: self.refitted(name) for name in self.choices},
            "seconds": self.seconds,
            "notices": list(self.notices),
        }

    def refitted(self, method: str) -> float:
        """The share of the fits of "together" or "apart" whose knots were refitted without shrinkage."""
        fits = [choice.refitted for fold in self.choices[method] for choice in fold]
        return sum(fits) / len(fits)

    def _record(self, method: str, task: int | None) -> dict[str, float | None]:
        found = self.ratio(method, APART, task)
        return {name: finite(value) for name, value in found._asdict().items()}

    def _log_ratio(self, method: str, to: str, task: int | None) -> LogRatio:
        errors, others = (np.maximum(self.label_errors[k], _NO_ERROR) for k in self._places(method, to, task))
        some = ~np.isnan(errors).all(axis=0)
        if task is not None:
            some &= np.arange(self.n_tasks) == task
        if not some.any():
            return LogRatio(math.nan, math.nan, 0)
        return log_ratio(errors[:, some], others[:, some], self.units)

    def _places(self, method: str, to: str, task: int | None) -> list[int]:
        """Where both methods are in `methods`."""
        for name, argument in ((method, "method"), (to, "to")):
            if name not in self.methods:
                raise ValueError(f"{argument}: must be one of {', '.join(self.methods)}, got {name!r}")
        if task is not None and not 0 <= task < self.n_tasks:
            raise ValueError(f"task: must be from 0 to {self.n_tasks - 1}, got {task!r}")
        return [self.methods.index(name) for name in (method, to)]
