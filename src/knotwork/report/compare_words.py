"""What a comparison found and how, in sentences and rows that the page and the console share."""

from __future__ import annotations

import math

from ..comparing import Comparison, Ratio
from ..comparing.case import Case
from ..comparing.words import interval, signed
from .text import count

METHODS = {
    "together": "together",
    "apart": "apart",
    "linear": "linear",
    "kernel": "ReLU kernel (GP)",
    "boosting": "gradient boosting",
}
_WHAT = {
    "together": "one network of all tasks, shared neurons",
    "apart": "a network for each task",
    "linear": "least squares on the inputs, each task",
    "kernel": "Gaussian process with the kernel of wide ReLU networks, each task",
    "boosting": "scikit-learn's gradient-boosted trees, each task",
}
_HELD_OUT = {
    "rows": "all labels at random inputs were held out, equal inputs together",
    "labels": "single labels at random were held out, others known at the same inputs",
    "blocks": "runs of consecutive inputs were held out, equal inputs together",
    "gaps": "runs of consecutive labels of single tasks were held out, others known at the same inputs",
}

_UNITS = {
    "rows": "rows, equal inputs together",
    "labels": "rows, equal inputs together",
    "blocks": "as many runs of inputs as folds",
    "gaps": "as many runs of inputs as folds",
}


def method_rows(found: Comparison) -> list[tuple[str, float, str, str, str]]:
    """Name, mean error, error over apart with its interval, and what it is, the best first."""
    errors, rows = dict(zip(found.methods, found.mean_errors.tolist(), strict=True)), []
    overs = {name: found.ratio(name) for name in found.methods}
    for name in sorted(found.methods, key=lambda name: overs[name].ratio):
        over = overs[name]
        said = ("", "") if name == "apart" else (signed(over.ratio), _ends(over))
        rows.append((METHODS.get(name, name), errors[name], *said, _WHAT.get(name, "given by the user")))
    return rows


def task_rows(found: Comparison, case: Case) -> list[tuple[str, float, float, str, str, str]]:
    """Task, errors together and apart, their ratio with its interval, and the verdict."""
    rows = []
    for t, name in enumerate(case.task_names):
        over = found.ratio("together", "apart", t)
        together, apart = (float(found.task_errors[k, t]) for k in (0, 1))
        rows.append((name, together, apart, signed(over.ratio), _ends(over), found.verdict_of(t)))
    return rows


def how_sentences(found: Comparison, case: Case) -> list[str]:
    """What was held out, how errors and intervals are to be read, what was chosen on the way."""
    n_rows, n_tasks = case.Y.shape
    labels = int((found.n_train + found.n_test)[:, 0].sum())
    gaps = n_rows * n_tasks - labels
    missing = f"; {count(gaps, 'label')} missing, neither learned from nor counted" if gaps else ""
    said = [
        f"{case.data}: {count(n_rows, 'row')}, {count(labels, 'label')}{missing}; "
        f"inputs {', '.join(case.input_names)}; tasks {', '.join(case.task_names)}",
        f"{found.folds} folds, repeated {count(found.repeats, 'time')}: {_HELD_OUT[found.scheme]}; every "
        "method learned from the same labels, and chose all it chooses on those alone",
        "errors: mean over the held-out labels of a task, over the variance of its labels, so that 1 is "
        "what predicting its mean does; overall, each task counts the same",
        "against apart: the ratio of these errors, overall their geometric mean, so that each task has the "
        f"same say; intervals: {100.0 * found.level:g} %, of Student's t, for the log of the ratio, from its "
        f"spread over {_UNITS[found.scheme]}, each label counted once by its mean over the repeats",
        "the verdict is no difference where the interval holds the same error or the difference is within "
        f"{100.0 * found.margin:g} %: at most {50.0 * (1.0 - found.level):.2g} % of such data are said "
        "to be better together, and as many apart, as far as the rows are independent",
    ]
    shares = {name: found.refitted(name) for name in ("together", "apart")}
    if any(shares.values()):
        said.append(
            f"least squares on the knots was chosen in {100.0 * shares['together']:.0f} % of the fits "
            f"together and {100.0 * shares['apart']:.0f} % of those apart"
        )
    return [*said, *case.notices, *found.notices]


def interval_of(found: Comparison, over: Ratio) -> str:
    """The interval in words."""
    return interval(over, found.level)


def _ends(over: Ratio) -> str:
    if not math.isfinite(over.low):
        return "unknown"
    return f"{signed(over.low)} to {signed(over.high)}"
