"""Least squares on the knots that a penalised fit chose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem
from ..solution import Solution
from .features import Features, features_of, require_features

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Refit:
    """A fit without shrinkage, and the penalised one whose knots it has.

    network : minimises sum_it w_it (y_it - f_t(x_i))^2 over c, A and the jumps at the knots.
    solution : the penalised fit; its certificate is of its own network, not of this one.
    residual_sum_of_squares : sum_it w_it (y_it - f_t(x_i))^2.
    df : the number of free parameters that the labels determine.
    """

    network: ReLUNetwork
    solution: Solution
    residual_sum_of_squares: float
    df: int


def refit(solution: Solution) -> Refit:
    """Least squares on [1, x, hinges at the knots of `solution`], task by task, nothing penalised.

    Weight decay chooses the knots and shrinks the jumps; this takes the shrinkage off. Jumps
    that the labels leave open take minimum norm.

    Parameters
    ----------
    solution : of `solve`, `path` or `cross_validate`: one input, squared loss, free biases and skip.

    Raises
    ------
    TypeError : when `solution` is none.
    NotImplementedError : for other losses and penalties.
    ValueError : for a knot that is at no data point.
    """
    if not isinstance(solution, Solution):
        raise TypeError(f"solution: must be a knotwork.Solution, got {type(solution).__name__}")
    problem = solution.problem
    require_features(problem, "refit")
    features = features_of(solution.network, Bins(Points.from_problem(problem)))
    jump, rank = _least_squares(features)
    location, none = features.location, np.zeros((1, problem.n_tasks))
    hinges = ReLUNetwork(np.ones((len(location), 1)), 0.0 - location, jump, none, none[0])
    left = Problem(
        problem.X,
        problem.Y - hinges.predict(problem.X),
        problem.lam,
        sample_weight=problem.sample_weight,
        copy=False,
    )
    free = left.free_fit()
    network = ReLUNetwork(hinges.W, hinges.b, jump, free.A, free.c)
    squares = 2.0 * problem.loss_value(network)
    return Refit(network, solution, squares, rank + int(features.free_rank.sum()))


def _least_squares(features: Features) -> tuple[Array, int]:
    """The jumps (K, T) of least squares, of minimum norm where several are, and how many numbers
    the labels determine."""
    jumps, rank = [], 0
    for R, C in zip(features.R, features.C, strict=True):
        if R.shape[1] == 0:
            jumps.append(np.zeros((0, C.shape[1])))
            continue
        V, _, determined, _ = np.linalg.lstsq(R, C, rcond=None)
        jumps.append(V)
        rank += int(determined) * C.shape[1]
    return np.concatenate(jumps, axis=1), rank
