"""How curved a loss is between a fit and the optimum: what a certified gap says of values and dual point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem

Array = NDArray[np.float64]
_LEAST_STEP = 1e-14
_DOUBLINGS = 60


def curvature_weights(
    problem: Problem, network: ReLUNetwork, gap: float, points: Points
) -> tuple[Array, Array]:
    """(n, T) least and greatest weights m, M at the distinct inputs: with f*, alpha* the optimum and f, alpha
    those of a gap e, sum m (f - f*)^2 <= 2 e and sum (alpha - alpha*)^2 / M <= 2 e.

    The gap is at least w (l(f) - l(t) - l'(t) (f - t)) for t = f* and for the t whose gradient alpha is,
    which holds both in an interval about f; the loss is curved between m / w and M / w there. One
    input; losses that are strictly convex in every label, with a curvature that has no minimum inside.
    """
    weight = points.weights()
    if isinstance(problem.loss, Squared):
        return weight, weight
    loss, w = problem.loss_function, problem.label_weight()
    seen = w > 0
    y, f = np.where(seen, problem.Y, 0.0), network.predict(problem.X)
    ends = []
    for side in (-1.0, 1.0):
        step = np.full(f.shape, _LEAST_STEP) * np.maximum(np.abs(f), 1.0)
        for _ in range(_DOUBLINGS):
            inside = w * loss.fenchel_gap(y, f, loss.gradient(y, f + side * step)) <= gap
            if not np.any(inside & seen):
                break
            step = np.where(inside, 2.0 * step, step)
        ends.append(f + side * step)
    low, high = ends
    at_ends = loss.curvature(y, low), loss.curvature(y, high)
    # the only maximum is at 0
    top = loss.curvature(y, np.clip(0.0, low, high))
    which = np.searchsorted(points.x, problem.X[:, 0])
    sums = np.zeros(weight.shape), np.zeros(weight.shape)
    rows = seen.any(axis=1)
    for total, curved in zip(
        sums, (np.minimum(*at_ends), np.maximum(np.maximum(*at_ends), top)), strict=True
    ):
        np.add.at(total, which[rows], np.where(seen, w * curved, 0.0)[rows])
    return sums
