"""All experiments, in the order of the papers."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from functools import cache

from .experiment import Experiment

# each has EXPERIMENTS
_FILES = (
    "one_input",
    "one_input_lemma",
    "one_input_starts",
    "one_input_theorems",
    "one_input_losses",
    "one_input_slips",
    "two_squares",
    "teachers",
    "many_tasks",
    "kernel_view",
    "architectures",
    "periodic",
    "widths",
    "regularisers",
    "free_biases",
    "cost_chain",
    "remark_3_3",
    "infinite_width",
    "contrast",
)


@cache
def catalogue() -> Mapping[str, Experiment]:
    """Every experiment by its name."""
    found: dict[str, Experiment] = {}
    for file in _FILES:
        for experiment in importlib.import_module(f".{file}", __package__).EXPERIMENTS:
            if experiment.name in found:
                raise ValueError(f"two experiments have the name {experiment.name!r}")
            found[experiment.name] = experiment
    return found


def chosen(names: Sequence[str]) -> list[Experiment]:
    """The experiments of these names, in the order of the papers; all of them when there are none.

    A name is that of an experiment, the beginning of some ("a", "b-figure"), or a figure ("A 4").

    Raises
    ------
    ValueError : for a name that fits none, with the nearest that does.
    """
    known = catalogue()
    wanted: set[str] = set()
    for name in names:
        low = name.strip().lower()
        fits = {one for one in known if one == low or one.startswith(f"{low}-")} or {
            one.name for one in known.values() if low.upper() in one.figures
        }
        if not fits:
            near = difflib.get_close_matches(low, known, n=1, cutoff=0.0)
            raise ValueError(
                f"names: {name!r} is no experiment; is {near[0]!r} meant? "
                "`knotwork reproduce --list` shows all"
            )
        wanted |= fits
    return [one for one in known.values() if not names or one.name in wanted]
