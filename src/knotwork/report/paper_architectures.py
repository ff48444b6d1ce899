"""Paper B's Figs. 1-6 from the networks that an experiment made."""

from __future__ import annotations

from ..experiments.experiment import Result
from ..penalty import Penalty
from ..stacked import StackedNetwork
from .drawing import Drawing
from .stack_pictures import draw_architecture

_SAID = {
    "none": "stacks of ReLU neurons (blue) with bottlenecks (dark) between them",
    "frobenius": "the same, with a linear map past the neurons of every stack (arrows)",
    "nuclear": "the same, with linear neurons (squares) beside the ReLU neurons of every stack",
}


def draw_architectures(result: Result) -> list[Drawing]:
    """One picture a figure."""
    found = []
    for record in result.records:
        skip, k = record.settings["skip"], record.settings["figure"]
        stacks = tuple(record.network(f"stack{j}") for j in range(len(record["shape"]) - 1))
        figure = draw_architecture(StackedNetwork(stacks), Penalty(True, skip))
        said = f"B, Figure {k}: {_SAID[skip]}"
        found.append(Drawing(figure, f"Layers of a network of three stacks. {said}.", f"{said}.", f"B {k}"))
    return found
