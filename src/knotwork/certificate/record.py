"""What a certificate says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._validate import read_only
from ..dual_norm import Rigour

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Weak duality at a network: `dual` <= F* <= `primal`, F* over all networks of any width.

    primal : the objective F of the network.
    dual : a proven lower bound of F*, from a feasible dual point.
    gap : primal - dual >= 0, summed from nonnegative terms, so free of cancellation.
    relative_gap : gap / max(|primal|, |dual|); 0 when the gap is at most 1e-14 of the objective
        of the fit without neurons.
    rigour : what is proven of the dual constraint.
    bound : the proven lower bound of F*; differs from `dual` only where rigour is HEURISTIC.
    worst_neuron : (d + 1,) the unit neuron (w, b) that responds most to the dual point; None
        where no neuron responds.
    slack : at lam = 0, <alpha, y - f>: what missing the labels by a rounding error may hide.
    """

    primal: float
    dual: float
    gap: float
    relative_gap: float
    rigour: Rigour
    bound: float
    worst_neuron: Array | None
    slack: float = 0.0
    _make_dual_point: Callable[[], Array] = field(default=None, repr=False)  # type: ignore[assignment]

    @cached_property
    def dual_point(self) -> Array:
        """(N, T) the feasible dual point alpha, in the rows of the problem; 0 at missing labels.

        Computed when first asked for.
        """
        return read_only(self._make_dual_point())


def assemble(
    primal: float,
    dual: float,
    gap: float,
    floor: float,
    worst: float | None,
    make_dual_point: Callable[[], Array],
) -> Certificate:
    if gap <= floor:
        relative = 0.0
    else:
        relative = gap / max(abs(primal), abs(dual)) if np.isfinite(primal) else float("inf")
    neuron = None if worst is None else np.array([1.0, -worst])
    return Certificate(primal, dual, gap, relative, Rigour.EXACT, dual, neuron, 0.0, make_dual_point)
