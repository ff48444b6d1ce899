"""What all nearly optimal networks predict over the range of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._validate import read_only
from ..theory.ambiguity import Ambiguity, ambiguity
from .result import FitResult
from .units import responses

Array = NDArray[np.float64]
_PLACES, _TOL = 25, 1e-3


@dataclass(frozen=True, eq=False)
class PredictionBand:
    """What every network within a relative `eps` of a fit's objective predicts.

    x : (n,) in units of the input (days since the origin, where inputs are dates).
    low, high : (n, T) in data units, proven over all networks; of rates and probabilities where the loss
        is of such.
    ambiguity : the same in task units, with its rigour.
    """

    x: Array
    low: Array
    high: Array
    ambiguity: Ambiguity


def check_band(eps: float | None, n_inputs: int) -> None:
    """Raise ValueError for a band that cannot be drawn."""
    if eps is not None and not 0 <= eps < np.inf:
        raise ValueError(f"band: must be a share >= 0 of the objective, as 0.01, got {eps!r}")
    if eps is not None and n_inputs > 1:
        raise ValueError(
            "band: is drawn over one input; call knotwork.ambiguity(result.solution, x) at places of your own"
        )


def prediction_band(
    result: FitResult, eps: float = 0.01, *, n_places: int = _PLACES, max_seconds: float | None = None
) -> PredictionBand:
    """`knotwork.ambiguity` at evenly spaced places over the range of the inputs, in data units.

    Parameters
    ----------
    result : a fit of one input.
    eps, max_seconds : as in `knotwork.ambiguity`.
    n_places : at how many, >= 2.

    Raises
    ------
    ValueError : for several inputs, or arguments out of range.
    """
    check_band(eps, result.columns.n_inputs)
    if n_places < 2:
        raise ValueError(f"n_places: must be at least 2, got {n_places!r}")
    X = result.columns.X[:, 0]
    x = np.linspace(X.min(), X.max(), n_places)
    inputs, tasks = result.units.inputs, result.units.tasks
    found = ambiguity(result.solution, inputs.apply(x[:, None]), eps, tol=_TOL, max_seconds=max_seconds)
    low, high = (
        responses(result.loss, tasks.scale * ends + tasks.centre) for ends in (found.low, found.high)
    )
    return PredictionBand(read_only(x), read_only(low), read_only(high), found)
