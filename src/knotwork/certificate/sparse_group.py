"""Shared and private knots: what a sparse-group penalty proves of a network of one input.

F(f) = sum w (y - f)^2 / 2 + sum_k (lam |v_k|_2 + lam_private |v_k|_1), unit input weights, biases and
skip connection free. Its dual is sup <alpha, y> - sum alpha^2 / (2 w) over alpha orthogonal to 1, x and
the forced hinges, with |q(p(b))|_2 <= lam for every place b that may be a knot; q moves each p_t(b) by
lam_private towards 0. Between neighbouring inputs p is affine in b and |q(p)| convex in p, so the places
that decide are data points and ends of allowed intervals (A, Lemma 3.2, for this penalty).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork
from ..problem import Problem
from .knot_penalty import (
    KnotPenalty,
    Monotone,
    Places,
    Shape,
    inside,
    knot_penalty,
    knot_places,
)
from .record import Certificate, assemble
from .slopes import slope_multipliers, slopes_of

Array = NDArray[np.float64]
_HIGHEST = 1e100


def certify_sparse_group(
    problem: Problem,
    network: ReLUNetwork,
    lam_private: float,
    *,
    shape: Shape | Sequence[Shape] = None,
    monotone: Monotone | Sequence[Monotone] = None,
    allowed: ArrayLike | None = None,
    forbidden: ArrayLike | None = None,
    forced: ArrayLike | None = None,
) -> Certificate:
    """Bound the distance of `network` from the optimum of `solve_sparse_group`, arguments as there.

    The dual point is the residual with its free parts fitted anew, scaled to |q(s p)| <= lam at all data
    points and ends of intervals, which proves it everywhere (rigour EXACT). With `monotone` it has
    multipliers >= 0 of the slopes between neighbouring inputs too, where a task stands still
    (`slopes.slope_multipliers`): what they add to p falls along x, so that data points still decide.

    Raises
    ------
    TypeError, ValueError : naming the argument; for a network with a knot that is not allowed, or that
        bends against `shape` or runs against `monotone`.
    """
    penalty = knot_penalty(problem, lam_private, shape, monotone)
    places = knot_places(problem, shape, allowed, forbidden, forced)
    problem.check_network(network)
    return certify_at(places, penalty, problem, network)


def certify_at(places: Places, penalty: KnotPenalty, problem: Problem, network: ReLUNetwork) -> Certificate:
    """`certify_sparse_group` for one who has the places and the penalty."""
    fitted = network.predict(places.x)
    highest = float(np.abs(fitted).max())
    if not highest <= _HIGHEST:
        raise ValueError(
            f"network: predicts values up to {highest:.3g} at the data, which overflow when squared; "
            "rescale its output weights"
        )
    location, jump, cost, merged = _charges(places, penalty, network)
    e = places.root * (places.y - fitted)
    rest, multipliers, p, response = _dual_point(places, penalty, network, e)
    scale = penalty.scale(p[response > penalty.lam])

    # term by term, each of them >= 0: the penalty, the slopes and the residual
    fit = np.sum(scale * jump * places.at(p, location), axis=1)
    off = e - scale * rest
    gap = merged + float(np.maximum(cost - fit, 0.0).sum()) + 0.5 * float(np.vdot(off, off))
    gap += float(np.sum(scale * multipliers * np.abs(np.diff(fitted, axis=0)) / np.diff(places.x)[:, None]))
    primal = places.points.scatter + 0.5 * float(np.vdot(e, e)) + merged + float(cost.sum())

    labels = places.root * places.y
    off_line = places.off_free_parts(labels)
    free_objective = places.points.scatter + 0.5 * float(np.vdot(off_line, off_line))
    floor = max(1e-14 * free_objective, 1e-28 * float(np.vdot(labels, labels)))
    worst = float(places.x[np.argmax(response)]) if response.max() > 0 else None

    def make_dual_point() -> Array:
        at_data = np.isin(places.x, places.points.x)
        alpha = (scale * places.root * rest)[at_data]
        return places.points.to_rows(alpha, problem) + places.points.spread_in_rows(problem)

    return assemble(primal, primal - gap, gap, floor, worst, make_dual_point)


def response_at(places: Places, penalty: KnotPenalty, network: ReLUNetwork) -> Array:
    """(n,) |q(p)| of the dual point of `certify_at` before it is scaled; 0 where no knot may be."""
    e = places.root * (places.y - network.predict(places.x))
    return _dual_point(places, penalty, network, e)[3]


def _dual_point(
    places: Places, penalty: KnotPenalty, network: ReLUNetwork, e: Array
) -> tuple[Array, Array, Array, Array]:
    """The residual off the free parts (n, T), the multipliers of slopes (n - 1, T), the potential p (n, T)
    of both, and |q(p)| (n,)."""
    multipliers = slope_multipliers(places, penalty, network, e)
    pull, rest = None, places.off_free_parts(e)
    if multipliers.any():
        pull = penalty.direction * multipliers
        held = places.off_free_parts(e, pull)
        # where labels do not tell the free parts apart no residual may pay for the slopes
        leaking = places.leaks(held, pull)
        multipliers[:, leaking] = pull[:, leaking] = 0.0
        rest = np.where(leaking, rest, held)
    p = places.potential(places.root * rest, pull)
    return rest, multipliers, p, np.where(places.open, penalty.response(p), 0.0)


def _charges(places: Places, penalty: KnotPenalty, network: ReLUNetwork) -> tuple[Array, Array, Array, float]:
    """Places (K,), jumps (K, T) and costs (K,) of the knots that are charged for, and what the neurons
    cost beyond that because those of one place pull against each other."""
    location, jump = network.knots
    forced = places.x[places.forced]
    charged = ~np.isin(location, forced)
    location, jump = location[charged], jump[charged]
    shut = location[~inside(location, places.allowed)]
    if len(shut):
        raise ValueError(
            f"network: has a knot at {shut[0]:g}, which is not allowed; solve with the same arguments"
        )
    if not penalty.allows(jump):
        raise ValueError("network: bends against shape, so that its objective is infinite")
    slopes, rounding = slopes_of(network)
    if np.any(-penalty.direction * slopes > rounding):
        raise ValueError("network: runs against monotone, so that its objective is infinite")
    cost = penalty.cost(jump)
    w = network.W[:, 0]
    place = np.divide(-network.b, w, out=np.full_like(w, np.nan), where=w != 0)
    each = np.where(np.isin(place, forced), 0.0, penalty.cost(network.V) * np.abs(w))
    return location, jump, cost, max(float(each.sum()) - float(cost.sum()), 0.0)
