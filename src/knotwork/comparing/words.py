"""A verdict in words."""

from __future__ import annotations

import math

_Interval = tuple[float, float, float]
NAMES = {
    "linear": "plain linear regression",
    "kernel": "the Gaussian process with a ReLU kernel",
    "boosting": "gradient boosting",
}


_MOST = 100.0


def change(ratio: float) -> str:
    """A ratio of errors in words: "18 % less", "5.0 % more", "3.2 times as much"."""
    if not math.isfinite(ratio):
        return "unknown"
    if ratio > _MOST:
        return f"over {_MOST:g} times as much"
    if ratio >= 2.0:
        return f"{ratio:.2g} times as much"
    size, share = _share(ratio)
    return "the same" if size is None else f"{size} % {'less' if share < 0 else 'more'}"


def signed(ratio: float) -> str:
    """The same for a table: "-18 %", "+5.0 %", "x 3.2"."""
    if not math.isfinite(ratio):
        return ""
    if ratio > _MOST:
        return f"> x {_MOST:g}"
    if ratio >= 2.0:
        return f"x {ratio:.2g}"
    size, share = _share(ratio)
    return "0 %" if size is None else f"{'-' if share < 0 else '+'}{size} %"


def _share(ratio: float) -> tuple[str | None, float]:
    """The size of ratio - 1 in per cent, to two digits, and ratio - 1; None where that rounds to 0."""
    share = 100.0 * (ratio - 1.0)
    size = abs(share)
    text = f"{size:.1f}" if size < 9.95 else f"{size:.0f}"
    return (None if float(text) == 0 else text), share


def interval(found: _Interval, level: float) -> str:
    """ "95 % interval: 9.1 % less to 26 % less"."""
    low, high = found[1:]
    if not math.isfinite(low):
        return "no interval from so few rows"
    return f"{100.0 * level:g} % interval: {change(low)} to {change(high)}"


def sentence(
    verdict: str,
    found: _Interval,
    chances: tuple[float, float, float],
    n_tasks: int,
    level: float,
    margin: float,
    chosen: str,
    rival: tuple[str, _Interval] | None,
) -> str:
    """What to do, by how much it matters, how sure that is, and whether another method does better.

    found : error together over apart.  chances : how sure it is to be below 1 / (1 + margin), above
        1 + margin, and between.  rival : the best other method, its error over that of `chosen`.
    """
    tasks = f"the {n_tasks} tasks"
    said = f"the held-out error together is {change(found[0])} than apart ({interval(found, level)})"
    said = said.replace("the same than", "the same as").replace("as much than", "as much as")
    if verdict == "together":
        lead = f"Train {tasks} together: {said}."
    elif verdict == "apart":
        lead = f"Train {tasks} apart: {said}."
    elif math.isfinite(found[1]) and 1.0 / (1.0 + margin) <= found[1] and found[2] <= 1.0 + margin:
        lead = f"It makes no difference whether {tasks} are trained together: {said}."
    elif math.isfinite(found[1]) and (found[1] > 1.0 or found[2] < 1.0):
        lead = f"It makes no difference of more than {100.0 * margin:g} % for {tasks}: {said}."
    else:
        lead = f"It makes no difference that these data can show for {tasks}: {said}."
    lead = f"{lead} {_how_sure(verdict, chances, margin)}"
    return lead if rival is None else f"{lead} {_rival(chosen, rival, level)}"


def _how_sure(verdict: str, chances: tuple[float, float, float], margin: float) -> str:
    together, apart, neither = (percent(chance) for chance in chances)
    more = f"More than {100.0 * margin:g} % less"
    if verdict != "no difference":
        return f"{more} {verdict} is {together if verdict == 'together' else apart} sure."
    return f"{more} together is {together} sure, {more.lower()} apart {apart}, neither {neither}."


def percent(chance: float) -> str:
    """A chance in words: "97 %", "over 99 %", "under 1 %"."""
    if not math.isfinite(chance):
        return "unknown"
    share = round(100.0 * chance)
    return "over 99 %" if share > 99 else "under 1 %" if share < 1 else f"{share} %"


def _rival(chosen: str, rival: tuple[str, _Interval], level: float) -> str:
    name, found = rival
    what, error = NAMES.get(name, name), f"{change(found[0])} error ({interval(found, level)})"
    error = error.replace("the same error", "the same error as it")
    if found[2] < 1.0:
        return f"But {what} does better than training {chosen}: {error}."
    if found[1] > 1.0:
        return f"No other method compared does as well; next is {what}: {error}."
    return f"Of the other methods {what} comes nearest, and which is better is open: {error}."
