"""Results of experiments that were never run, for pages."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from knotwork.experiments.experiment import Claim, Experiment, Result, Verdict
from knotwork.experiments.records import Record
from knotwork.report.drawing import Drawing

VERSIONS = {"python": "3.11.7", "knotwork": "0.0", "numpy": "2.0"}


def _nothing(*_, **__):
    raise AssertionError("a page computes nothing")


def result(name, *claims, figures=(), title="a title", shows="this is seen", ours="", records=1, arrays=None):
    """A result whose experiment cannot be run."""
    experiment = Experiment(name, title, figures, shows, ours, _nothing, _nothing, _nothing)
    made = [
        Record(name, {"seed": seed}, {"x": np.arange(3.0), **(arrays or {})}, 0.25 * (seed + 1), VERSIONS)
        for seed in range(records)
    ]
    return Result(experiment, made, claims)


def some_results():
    """Two papers, every verdict, a surface, an experiment without a figure and one of no paper."""
    grid = np.linspace(-1.0, 1.0, 9)
    wave = np.add.outer(np.abs(grid), 0.5 * grid)
    return [
        result(
            "a-figure-4",
            Claim(
                "the minimum is unique",
                "A, Theorem 3.1",
                "31 of 31 sets",
                Verdict.HOLDS,
                {"sets of at least three points and at most twelve that were drawn": 31.0},
            ),
            Claim(
                "the rate is 1/T",
                "A, Theorem 4.1",
                "0.123 is more than 0.1",
                Verdict.CORRECTED,
                {"slope": 0.123456, "bound": 0.1},
                "the rate is 2/T",
            ),
            figures=("A 4",),
            title="Three random starts",
            ours="Seeds are ours.",
            records=3,
        ),
        result(
            "a-figures-5-6",
            Claim("no equality", "A, (12)", "off by 1.5", Verdict.FAILS, {"off": 1.5}, "less or equal"),
            figures=("A 5", "A 6"),
            arrays={"grid": grid, "surface.one": wave, "surface.two <3>": wave**2},
        ),
        result(
            "b-remark",
            Claim("in the limit", "B, Remark 3.3", "cannot be measured", Verdict.OPEN),
            Claim("linear parts cost", "B, Appendix A", "equal to 1e-12", Verdict.HOLDS),
        ),
        result("timing", Claim("it is fast", "", "3 s", Verdict.HOLDS)),
    ]


def some_drawings(of):
    """Two pictures of A's Fig. 4, one of each other figure, and one without a number."""
    pictures = {
        "a-figure-4": ("A 4", "A 4", ""),
        "a-figures-5-6": ("A 5", "A 6"),
    }.get(of.experiment.name, ())
    return [
        Drawing(_curve(k), f"curve {k}", f"A curve of {k} bends.", name) for k, name in enumerate(pictures)
    ]


def _curve(k):
    figure = Figure(figsize=(8.0, 3.0))
    panel = figure.subplots()
    x = np.linspace(0.0, 1.0, 50)
    panel.plot(x, np.abs(x - 0.1 * (k + 3)), "o-", ms=3, label=r"$f_{\lambda}(x)$")
    panel.plot(x, x**2, label="data, 'so' & \"so\"")
    panel.set_xlabel("x <m>")
    panel.set_title(f"panel {k}: 50 % --> #1")
    panel.legend()
    return figure
