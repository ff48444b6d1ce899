"""The features of a fit, [1, x, hinges at its knots], from moments of the segments between knots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, feature_factor
from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem

Array = NDArray[np.float64]


def has_features(problem: Problem) -> bool:
    """Whether a fit of `problem` is least squares on free features and hinges at data points."""
    free = not problem.penalty.biases and problem.penalty.skip == "free"
    return problem.n_inputs == 1 and free and isinstance(problem.loss, Squared)


def require_features(problem: Problem, what: str) -> None:
    """Raise NotImplementedError, naming loss or penalty, where there are none for `what`."""
    if not has_features(problem):
        name = "penalty" if isinstance(problem.loss, Squared) else "loss"
        raise NotImplementedError(
            f"{name}: {what} takes squared loss, one input, free biases and skip connection for now"
        )


@dataclass(frozen=True, eq=False)
class Features:
    """Least squares in rotated coordinates; P is 1 where all tasks share their weights, else T.

    R : (P, K, K) the factor of the hinges, weighted and projected off 1 and x: their Gram is R'R.
    C : (P, K, T / P) the labels in the same coordinates.
    free_rank : (T,) 2, or 1 where a task has labels at one input only.
    location, jump : (K,), (K, T) the knots.
    """

    R: Array
    C: Array
    free_rank: NDArray[np.intp]
    location: Array
    jump: Array


def features_of(network: ReLUNetwork, bins: Bins) -> Features:
    """The features at the knots of `network`; refines `bins` around them.

    Raises
    ------
    ValueError : for a knot that is at no data point, or not strictly inside the data.
    """
    location, jump = network.knots
    points = bins.points
    at = np.minimum(np.searchsorted(points.x, location), len(points.x) - 1)
    stray = (points.x[at] != location) | (at == 0) | (at == len(points.x) - 1)
    if stray.any():
        raise ValueError(
            f"solution: has a knot at {location[stray][0]:g}, where no data point inside the data is; "
            "give a solution of knotwork.solve"
        )
    bins.refine_around(location)
    n_knots = len(location)
    table = feature_factor(bins, np.searchsorted(bins.x, location))
    return Features(
        table[:, 2:, 2 : n_knots + 2],
        table[:, 2:, n_knots + 2 :],
        _free_rank(points),
        location,
        jump,
    )


def _free_rank(points: Points) -> NDArray[np.intp]:
    if points.w is None or points.w.shape[1] == 1:
        return np.full(points.n_tasks, min(2, len(points.x)), dtype=np.intp)
    return np.minimum(np.count_nonzero(points.w > 0, axis=0), 2).astype(np.intp)
