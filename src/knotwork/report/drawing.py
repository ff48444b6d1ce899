"""Which pictures belong to which experiment."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from ..experiments.experiment import Result

# experiment: (file, function); the function takes a Result
_DRAWN_BY = {
    "a-figure-1": ("paper_one_input", "draw_two_solutions"),
    "a-figure-2": ("paper_one_input", "draw_connect_the_dots"),
    "a-figure-3": ("paper_one_input", "draw_lemma"),
    "a-figure-6": ("paper_one_input", "draw_edge"),
    "a-figure-4": ("paper_starts", "draw_starts"),
    "a-theorem-3-1": ("paper_one_input", "draw_uniqueness"),
    "a-figure-5": ("paper_squares", "draw_figure_5"),
    "a-figure-7": ("paper_squares", "draw_figure_7"),
    "a-figures-8-10": ("paper_teachers", "draw_teachers"),
    "a-theorem-4-1": ("paper_many_tasks", "draw_theorem"),
    "a-lemma-4-2": ("paper_many_tasks", "draw_lemmas"),
    "a-learned-kernel": ("paper_many_tasks", "draw_limit"),
    "a-width": ("paper_many_tasks", "draw_width"),
    "b-figures-1-6": ("paper_architectures", "draw_architectures"),
    "b-figures-7-8": ("paper_periodic", "draw_periodic"),
    "b-theorem-3-1": ("paper_contrast", "draw_widths"),
    "b-equation-8": ("paper_contrast", "draw_approach"),
    "b-equation-7": ("paper_contrast", "draw_factor"),
    "b-equation-10": ("paper_contrast", "draw_ten"),
    "b-p-chain": ("paper_contrast", "draw_chain"),
    "b-remark-3-3": ("paper_contrast", "draw_small"),
    "b-section-1-scalings": ("paper_contrast", "draw_scalings"),
    "b-section-2-1": ("paper_contrast", "draw_modes"),
    "b-section-4": ("paper_contrast", "draw_separate"),
    "b-footnote-1": ("paper_contrast", "draw_footnote"),
}


@dataclass(frozen=True, eq=False)
class Drawing:
    """One picture of a page.

    figure : drawn from records, nothing computed.
    alt : what is to be seen, for who cannot see it.
    caption : what it shows and how to read it; colours and marks named.
    of : the figure of a paper it stands for, as "A 4"; "" for one of ours.
    """

    figure: Figure
    alt: str
    caption: str
    of: str = ""


def drawings(result: Result) -> list[Drawing]:
    """The pictures of an experiment; some have none."""
    if (place := _DRAWN_BY.get(result.experiment.name)) is None:
        return []
    draw: Callable[[Result], list[Drawing]]
    draw = getattr(importlib.import_module(f".{place[0]}", __package__), place[1])
    return draw(result)
