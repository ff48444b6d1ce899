"""One input, squared loss, biases and skip connection free: the certificate from the data's moments."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..bins import Affine, Bins, Line, feature_factor
from ..dual_norm.knots import Maximum, dual_point_of, keep_to_labels, maximise, row_norms, slope_changes
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ..points import Points
from ..problem import Problem
from .record import Certificate, assemble

Array = NDArray[np.float64]
_ROUNDING = 1e-13
_POLISH = 3
_HIGHEST = 1e100
_MOST_KNOTS = 1500
_COARSE = 1e-3


def certify_on(
    points: Points,
    problem: Problem,
    network: ReLUNetwork,
    dual_point: Array | None = None,
    bins: Bins | None = None,
    polish: bool = True,
) -> tuple[Certificate, Maximum]:
    """`certify` for one who has sorted the data of `problem` to `points` and binned them before;
    and where the dual point is largest. `polish` corrects the residual for rounding."""
    if dual_point is not None:
        return _certify_with(points, problem, network, dual_point)
    if problem.lam == 0:
        return certify_interpolation(points, problem, network, _bend_directions(points, network))
    bins = Bins(points) if bins is None else copy(bins)
    return _certify_residual(points, bins, problem, network, polish)


def _line(network: ReLUNetwork, bins: Bins) -> Line:
    """The network as a curve on bins that have no knot strictly inside."""
    location, jump = network.knots
    left = network.A[0] + np.minimum(network.W[:, 0], 0.0) @ network.V
    slopes = np.vstack([left, left + np.cumsum(jump, axis=0)])
    return Line(network.predict(bins.x), slopes[np.searchsorted(location, bins.x, side="right")])


@dataclass(frozen=True, eq=False)
class ResidualBound:
    """What the dual point `scale` w (y - f - shift - hinges of jumps `correction` at the knots) proves.

    floor : the gap that counts as none.
    worst : the knot that responds most; None where none does.
    peak : where the dual point, before it was scaled, is largest.
    """

    primal: float
    gap: float
    floor: float
    worst: float | None
    peak: Maximum
    scale: float
    shift: Affine
    correction: Array


def bound_residual(
    bins: Bins, network: ReLUNetwork, lam: float, penalty: Penalty, polish: bool
) -> ResidualBound:
    """The gap of `network` at its own residual, from the moments of the data in `bins`, which are
    refined about its knots; lam > 0. `polish` corrects the residual for rounding."""
    location, jump = network.knots
    scatter = bins.points.scatter
    bins.refine_around(location)
    line = _line(network, bins)
    highest = float(np.abs(line.value).max())
    if not highest <= _HIGHEST:
        raise ValueError(
            f"network: predicts values up to {highest:.3g} at the data, which overflow when squared; "
            "rescale its output weights"
        )
    norms, cost = safe_row_norms(jump), network.cost(penalty)
    labels, free_objective = _label_sums(bins)
    primal = scatter + 0.5 * float(bins.residual_sums(line)[2].sum()) + lam * cost
    merged = lam * max(cost - float(norms.sum()), 0.0)

    def at(correction: Array) -> tuple[float, Array, Affine, float, Maximum]:
        """The gap at the dual point w (y - f - correction - its best line), `correction` (K, T)
        being jumps at the knots: gap, |p| at the knots, that line, the scale, the maximum."""
        small = (_hinges(location, correction, bins),) if correction.any() else ()
        # the dual point must be orthogonal to the free parts: take the best line off the residual
        shift = bins.affine_part(*bins.residual_sums(line, *small)[:2])
        peak = maximise(bins, line, *small, shift, floor=lam)
        square = float(bins.residual_sums(line, *small, shift)[2].sum())
        response = _interpolate(bins, peak.p, location)
        fit, cross = float(np.sum(jump * response)), float(np.sum(correction * response))
        scale = lam / peak.largest if peak.largest > 0 else np.inf
        if square > _ROUNDING**2 * labels:
            scale = min(scale, max((fit + cross + square) / square, 0.0))
        else:
            # what is left of such residuals is rounding: it must not be blown up into a bound
            scale = min(scale, 1.0)
        terms = lam * norms - scale * np.sum(jump * response, axis=1)
        rest = (1.0 - scale) ** 2 * square + 2.0 * (1.0 - scale) * cross + bins.energy(*small, shift)
        gap = merged + float(np.maximum(terms, 0.0).sum()) + 0.5 * max(rest, 0.0)
        return gap, response, shift, scale, peak

    correction = np.zeros_like(jump)
    gap, response, shift, scale, peak = at(correction)
    for _ in range(_POLISH if polish else 0):
        step = _dual_correction(bins, location, response - lam * (jump / norms[:, None]), lam)
        if step is None:
            break
        trial = at(correction + step)
        if not trial[0] < gap:
            break
        correction = correction + step
        gap, response, shift, scale, peak = trial

    floor = _no_gap(labels, scatter + free_objective)
    return ResidualBound(primal, gap, floor, _worst(bins, peak), peak, scale, shift, correction)


def _certify_residual(
    points: Points, bins: Bins, problem: Problem, network: ReLUNetwork, polish: bool
) -> tuple[Certificate, Maximum]:
    bound = bound_residual(bins, network, problem.lam, problem.penalty, polish)
    scale, correction, location = bound.scale, bound.correction, network.knots.location

    def make_dual_point() -> Array:
        residual = problem.Y - network.predict(problem.X) - bound.shift.at(problem.X)
        if correction.any():
            ones = np.ones((len(location), 1))
            residual -= ReLUNetwork(ones, -location, correction).predict(problem.X)
        weight = problem.label_weight()
        alpha = _orthogonal(problem.X[:, 0], np.where(weight > 0, scale * weight * residual, 0.0), weight)
        # the spread of labels at equal inputs bends nothing, so it need not be scaled
        return alpha + (1.0 - scale) * points.spread_in_rows(problem)

    if bound.gap > _COARSE * bound.primal:
        # far from the optimum the rounding of the primal is too large beside the dual
        return _certify_with(points, problem, network, make_dual_point())
    primal, gap = bound.primal, bound.gap
    return assemble(primal, primal - gap, gap, bound.floor, bound.worst, make_dual_point), bound.peak


def _hinges(location: Array, jump: Array, bins: Bins) -> Line:
    """sum_k jump_k (x - location_k)_+ on bins that have no knot strictly inside."""
    right = bins.x[:, None] - location
    return Line(np.maximum(right, 0.0) @ jump, (right >= 0.0).astype(np.float64) @ jump)


def _dual_correction(bins: Bins, location: Array, excess: Array, lam: float) -> Array | None:
    """The jumps at the knots whose taking off the residual brings p to lam V / |V| there.

    Near the optimum the network's own rounding, not its distance, keeps its residual from being
    feasible: the correction is too small to be added to its weights, but not to the residual.
    None where the network is far from the optimum or its knots are not at data points. Any
    correction makes a valid dual point; the caller keeps the one that proves more.
    """
    at = np.minimum(np.searchsorted(bins.x, location), len(bins) - 1)
    inner = np.all((at > 0) & (at < len(bins) - 1)) and np.array_equal(bins.x[at], location)
    near = len(location) > 0 and float(row_norms(excess).max(initial=0.0)) <= lam
    if not (inner and near and len(location) <= _MOST_KNOTS):
        return None
    R = feature_factor(bins, at)[:, 2:, 2 : len(at) + 2]
    if len(R) == 1:
        try:
            return np.asarray(np.linalg.solve(R[0], np.linalg.solve(R[0].T, excess)))
        except np.linalg.LinAlgError:
            return None
    # a task may have no label between two knots: least norm settles what its labels leave open
    inverse = np.linalg.pinv(R, rcond=1e-11)
    step = inverse @ (inverse.transpose(0, 2, 1) @ excess.T[:, :, None])
    return np.asarray(step[:, :, 0].T)


def _certify_with(
    points: Points, problem: Problem, network: ReLUNetwork, alpha: Array
) -> tuple[Certificate, Maximum]:
    """The certificate at a given dual point, in the rows of the problem."""
    lam = problem.lam if problem.lam > 0 else 1.0
    weight = problem.label_weight()
    seen = weight > 0
    x = problem.X[:, 0]
    alpha = _orthogonal(x, np.where(seen, alpha, 0.0), weight)
    order = np.argsort(x, kind="stable")
    start = np.flatnonzero(np.concatenate([[True], np.diff(x[order]) > 0]))
    bins = Bins(Points(x[order][start], np.add.reduceat(alpha[order], start, axis=0), None))
    # alpha sees no line in the labels; without it their rounding is smaller
    labels = np.where(seen, problem.Y, 0.0)
    labels -= np.where(seen, _weighted_line(x, weight * labels, weight), 0.0)
    linear = float(np.sum(alpha * labels))
    peak = maximise(bins)
    scale = lam / peak.largest if peak.largest > 0 else 1.0
    primal, slack = problem.objective(network), 0.0
    if problem.lam > 0:
        square = float(np.sum(np.divide(alpha * alpha, weight, out=np.zeros_like(alpha), where=seen)))
        if square > 0:
            scale = min(scale, max(linear / square, 0.0))
        dual = scale * linear - 0.5 * scale * scale * square
    else:
        scale = scale if linear > 0 else 0.0
        dual = scale * linear
        error = np.where(seen, problem.Y - network.predict(problem.X), 0.0)
        slack = scale * float(np.sum(alpha * error))
    alpha = scale * alpha
    # rounding of the primal and dual sums can leave the dual a hair above
    dual = min(dual, primal)
    sums, free_objective = _label_sums(Bins(points))
    floor = _no_gap(sums, points.scatter + free_objective) if problem.lam > 0 else 0.0
    certificate = assemble(primal, dual, primal - dual, floor, _worst(bins, peak), lambda: alpha)
    return replace(certificate, slack=slack), peak


def _worst(bins: Bins, peak: Maximum) -> float | None:
    """The knot that responds most; None where none does."""
    norms = row_norms(peak.p)
    if not peak.largest > 0:
        return None
    if len(peak.hidden) and peak.hidden_norms.max() > norms.max():
        return float(bins.points.x[peak.hidden[np.argmax(peak.hidden_norms)]])
    return float(bins.x[np.argmax(norms)])


def _label_sums(bins: Bins) -> tuple[float, float]:
    """sum w y^2, and the objective of the fit without neurons but for the labels' scatter."""
    total, moment, square = bins.residual_sums()
    labels = float(square.sum())
    explained = float(bins.affine_part(total, moment).square.sum())
    return labels, 0.5 * max(labels - explained, 0.0)


def _no_gap(labels: float, free_objective: float) -> float:
    """The gap that counts as none: 1e-14 of the free fit's objective, and the labels' rounding."""
    return max(1e-14 * free_objective, 1e-28 * labels)


def _orthogonal(x: Array, alpha: Array, weight: Array) -> Array:
    """alpha (N, T) less w (a + b x), so that it sums to zero against 1 and x; twice, for the
    second pass removes the rounding of the first."""
    for _ in range(2):
        alpha = alpha - weight * _weighted_line(x, alpha, weight)
    return alpha


def _interpolate(bins: Bins, p: Array, location: Array) -> Array:
    """p at any place: linear between neighbouring data, 0 outside them."""
    place = np.clip(np.searchsorted(bins.x, location, side="right") - 1, 0, max(len(bins) - 2, 0))
    if len(bins) == 1:
        return np.zeros((len(location), p.shape[1]))
    share = (location - bins.x[place]) / (bins.x[place + 1] - bins.x[place])
    out = p[place] + (p[place + 1] - p[place]) * share[:, None]
    out[(location <= bins.x[0]) | (location >= bins.points.x[-1])] = 0.0
    return out


def _weighted_line(x: Array, alpha: Array, weight: Array) -> Array:
    """a + b x per task with sum (alpha - w (a + b x)) (1, x) = 0."""
    total = weight.sum(axis=0)
    centre = np.sum(weight * x[:, None], axis=0) / total
    d = x[:, None] - centre
    spread = np.sum(weight * d * d, axis=0)
    # inputs that are all one have a spread of rounding, and no slope
    noise = total * (16.0 * np.finfo(float).eps * float(np.abs(x).max(initial=0.0))) ** 2
    slope = np.divide(np.sum(alpha * d, axis=0), spread, out=np.zeros_like(spread), where=spread > noise)
    return alpha.sum(axis=0) / total + slope * d


def certify_interpolation(
    points: Points, problem: Problem, network: ReLUNetwork, p: Array
) -> tuple[Certificate, Maximum]:
    """The certificate at lam = 0 from a potential p (n - 2, T) at the inner points.

    Its dual point D'p is made 0 where labels are missing, so <D'p, y> = <p, D y> whatever is put
    there; no sum runs over the steep slopes between close inputs.
    """
    seen = points.weights() > 0
    values = np.where(seen, points.y, network.predict(points.x))
    p = keep_to_labels(points.x, p, seen)
    norms = np.zeros(len(points.x))
    norms[1:-1] = row_norms(p)
    largest = float(norms.max(initial=0.0))
    linear = float(np.sum(p * slope_changes(points.x, values)))
    scale = 1.0 / largest if largest > 0 and linear > 0 else 0.0
    primal = problem.objective(network)
    dual = min(scale * linear, primal)

    def make_dual_point() -> Array:
        return points.to_rows(scale * dual_point_of(points.x, p), problem)

    # what rounding makes of labels on a line is no cost
    h = np.diff(points.x)
    steep = float((1.0 / h).sum()) if len(h) else 0.0
    floor = 4.0 * np.finfo(float).eps * problem.label_scale * steep
    worst = float(points.x[np.argmax(norms)]) if largest > 0 else None
    certificate = assemble(primal, dual, primal - dual, floor, worst, make_dual_point)
    error = values - network.predict(points.x)
    slack = float(np.sum(scale * p * slope_changes(points.x, error)))
    padded = np.zeros_like(values)
    padded[1:-1] = p
    nowhere = np.zeros(0, dtype=np.intp)
    return replace(certificate, slack=slack), Maximum(padded, largest, nowhere, np.zeros(0))


def _bend_directions(points: Points, network: ReLUNetwork) -> Array:
    """p = u / |u| at the bends u of the interpolant of the labels, gaps filled by the network."""
    seen = points.weights() > 0
    bends = slope_changes(points.x, np.where(seen, points.y, network.predict(points.x)))
    size = row_norms(bends)[:, None]
    return np.divide(bends, size, out=np.zeros_like(bends), where=size > 0)
