"""Inputs far from the origin: where biases and constants are free the problem moves with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..problem import Problem

Array = NDArray[np.float64]
_FAR = 10.0


def far_origin(problem: Problem) -> Array | None:
    """(d,) what to subtract from inputs that lie many times their spread away from 0, or None. So far
    away the subtraction is exact (Sterbenz)."""
    if problem.penalty.biases:
        return None
    origin = problem.X.mean(axis=0)
    spread = np.abs(problem.X - origin).max(axis=0)
    origin = np.where(np.abs(origin) > _FAR * spread, origin, 0.0)
    return origin if origin.any() else None


def about(problem: Problem, origin: Array) -> Problem:
    """The same problem with `origin` for 0."""
    X, Y, weight = problem.X - origin, problem.Y, problem.sample_weight
    return Problem(X, Y, problem.lam, problem.loss, problem.penalty, weight, copy=False)


def moved(network: ReLUNetwork, origin: Array) -> ReLUNetwork:
    """x -> f(x - origin)."""
    b = network.b - network.W @ origin
    return ReLUNetwork(network.W, b, network.V, network.A, network.c - origin @ network.A)
