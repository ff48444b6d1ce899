"""How far from the global optimum any network can still be: a bound over all networks of any width."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._validate import as_count, as_float_array, as_generator
from ..losses import Squared
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem
from .labels import certify_labels
from .moments import certify_interpolation, certify_on
from .record import Certificate

__all__ = [
    "Certificate",
    "certify",
    "certify_interpolation",
    "certify_on",
    "sees_moments",
]


def sees_moments(problem: Problem) -> bool:
    """Whether the moments of the data are all that enters: squared loss (at lam = 0 any loss that
    interpolates), biases and skip connection free."""
    free = problem.n_inputs == 1 and not problem.penalty.biases and problem.penalty.skip == "free"
    return free and (problem.lam == 0 or isinstance(problem.loss, Squared))


def certify(
    problem: Problem,
    network: ReLUNetwork,
    dual_point: ArrayLike | None = None,
    *,
    max_cells: int = 2_000_000,
    random_state: int | np.random.Generator | None = 0,
) -> Certificate:
    """Bound the distance of `network` from the global optimum of `problem`.

    The dual of F is D(alpha) = - sum w l*(y, -alpha / w) - (|sum alpha|^2 + |sum alpha x|^2) / (2 lam),
    l* the conjugate of the loss: for squared loss <alpha, y> - sum alpha^2 / (2 w) - ... The
    second term is there for the penalised parts c and (Frobenius) A; where they are free their sums
    vanish, and a nuclear norm asks for |sum alpha x|_op <= lam. Feasible is alpha with
    |sum_i alpha_i relu(w x_i + b)| <= lam for every unit neuron. At lam = 0 it is <alpha, y> with 1
    for lam.

    The constraint is checked over all neurons (rigour EXACT) in one and two inputs, and in more where
    that many cells can be looked at; else by a search: then `dual` and `gap` are HEURISTIC and `bound`
    is what the spectral norm proves; where that suffices the rigour is BOUNDED.

    Parameters
    ----------
    problem : every loss, penalty and number of inputs.
    network : any network of as many inputs and tasks, solved here or not.
    dual_point : (N, T) where to evaluate the dual after projection to the free parts'
        constraints and scaling to feasibility. When None, minus the gradient of the loss at
        `network`, its free parts fitted anew; at lam = 0 the bends of `network` (without gaps, and
        with biases and skip connection free: the exact optimum of the dual).

    Raises
    ------
    TypeError, ValueError : for a network or dual point that does not fit the problem, or arguments of
        the wrong kind.
    """
    problem.check_network(network)
    max_cells, rng = as_count(max_cells, "max_cells"), as_generator(random_state, "random_state")
    alpha = None
    if dual_point is not None:
        alpha = as_float_array(dual_point, "dual_point")
        alpha = alpha[:, None] if alpha.ndim == 1 else alpha
        if alpha.shape != problem.Y.shape:
            raise ValueError(f"dual_point: must have shape {problem.Y.shape}, got {alpha.shape}")
    if sees_moments(problem):
        return certify_on(Points.from_problem(problem), problem, network, alpha)[0]
    return certify_labels(problem, network, alpha, max_cells, rng)
