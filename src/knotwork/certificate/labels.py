"""Any loss, penalty and number of inputs: the certificate from every label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ..dual_norm import Rigour
from ..dual_norm.arcs import response_of, responses
from ..free_parts import affine_fit
from ..losses import Loss, Multinomial, Squared
from ..network import ReLUNetwork
from ..problem import Problem
from .record import Certificate, assemble

if TYPE_CHECKING:
    from ..dual_norm.several import UnitNeurons

Array = NDArray[np.float64]
_COARSE = 1e-3


@dataclass(frozen=True, eq=False)
class Response:
    """The largest response of a unit neuron: as a search or a proof has it, what is proven, which."""

    largest: float
    proven: float
    rigour: Rigour
    neuron: Array | None


@dataclass(frozen=True, eq=False)
class Labels:
    """The data of a problem in the terms of its dual; those of one input sorted by it.

    order : (N,) rows of the problem.  X : (N, d).  y, w : (N, T) labels and weights, both 0 at gaps
    (rows of multinomial labels: uniform at gaps).  units : all unit neurons; None for one input.
    """

    problem: Problem
    order: NDArray[np.intp]
    X: Array
    y: Array
    w: Array
    units: UnitNeurons | None = None

    @classmethod
    def of(
        cls,
        problem: Problem,
        units: UnitNeurons | None = None,
        *,
        max_cells: int | None = None,
        random_state: int | np.random.Generator | None = 0,
    ) -> Labels:
        """In several inputs with `units`, or with those of the other two arguments (see `certify`)."""
        one = problem.n_inputs == 1
        order = np.argsort(problem.X[:, 0], kind="stable") if one else np.arange(problem.n_rows)
        w = problem.label_weight()[order]
        filler = 1.0 / problem.n_tasks if isinstance(problem.loss, Multinomial) else 0.0
        y = np.where(w > 0, problem.Y[order], filler)
        if not one and units is None:
            from ..dual_norm.several import MAX_CELLS, UnitNeurons

            cells = MAX_CELLS if max_cells is None else max_cells
            units = UnitNeurons(problem.X, problem.penalty, cells, random_state)
        return cls(problem, order, problem.X[order], y, w, units)

    @property
    def x(self) -> Array:
        """(N,) the inputs, where there is one."""
        return self.X[:, 0]

    def largest_response(self, alpha: Array) -> Response:
        """Over all unit neurons, of a dual point in these rows."""
        if self.units is None:
            found = responses(self.x, alpha, self.problem.penalty.biases)
            top = found.neurons[int(np.argmax(found.values))] if found.largest > 0 else None
            return Response(found.largest, found.largest, Rigour.EXACT, top)
        best = self.units.maximise(alpha)
        top = best.neurons[0] if len(best.neurons) else None
        return Response(best.largest, best.proven, best.rigour, top)

    def answers(self, alpha: Array, network: ReLUNetwork) -> Array:
        """(K, T) what each neuron of a network responds to a dual point."""
        if self.units is None:
            return response_of(self.x, alpha, network.W[:, 0], network.b)
        return np.maximum(self.X @ network.W.T + network.b, 0.0).T @ alpha

    @property
    def loss(self) -> Loss:
        # at lam = 0 labels are constraints, whatever missing them would cost
        return self.problem.loss_function if self.problem.lam > 0 else Squared()

    @cached_property
    def no_gap(self) -> float:
        """1e-14 of the free fit's objective; of the loss at f = 0 where labels are separable."""
        problem = self.problem
        if problem.lam == 0:
            return 4.0 * np.finfo(float).eps * problem.label_scale
        zero = float(np.sum(self.w * self.loss.value(self.y, np.zeros_like(self.y))))
        free = problem.objective(problem.free_fit())
        return 1e-14 * (free if free > 1e-9 * zero else zero)

    @property
    def linear_free(self) -> bool:
        return self.problem.penalty.skip == "free"

    def in_rows(self, alpha: Array) -> Array:
        out = np.empty_like(alpha)
        out[self.order] = alpha
        return out

    def gradient_point(self, f: Array) -> Array:
        """(N, T) minus the gradient of the loss at `f` (N, T), orthogonal to the free parts: taken
        where these are fitted anew, which no domain of a conjugate forbids."""
        if not self.problem.penalty.biases and self.loss.smooth:
            A, c = affine_fit(self.X, self.y, self.w, self.loss, linear=self.linear_free, offset=f)
            f = f + self.X @ A + c
        if not self.loss.smooth:
            # at a kink any subgradient will do: `feasible` moves those to where the sums vanish
            close = np.abs(self.y - f) <= 1e-9 * np.maximum(np.abs(self.y), np.abs(f))
            f = np.where(close, self.y, f)
        return self.feasible(-self.w * self.loss.gradient(self.y, f))

    def feasible(self, alpha: Array) -> Array:
        """`alpha` inside the conjugate's domain, its sums with the free parts zero to rounding."""
        alpha = np.where(self.w > 0, alpha, 0.0)
        safe = np.where(self.w > 0, self.w, 1.0)
        g = self.loss.to_domain(self.y, -alpha / safe)
        if self.problem.penalty.biases:
            return -self.w * g
        Z = np.ones((len(self.X), 1))
        if self.linear_free:
            low, high = self.X.min(axis=0), self.X.max(axis=0)
            Z = np.column_stack([Z, (self.X - 0.5 * (low + high)) / np.maximum(high - low, 1e-300)])
        leak = size = np.zeros(g.shape[1])
        for _ in range(4):
            # labels move in proportion to their distance from the ends of the domain
            g = self.loss.to_domain(self.y, g + self.loss.move(self.y, g, Z, self.w))
            leak, size = np.abs(Z.T @ (self.w * g)).max(axis=0), np.sum(np.abs(self.w * g), axis=0)
            if np.all(leak <= 1e-15 * size):
                break
        bad = leak > 1e-11 * size
        if bad.any():
            g = np.zeros_like(g) if isinstance(self.loss, Multinomial) else np.where(bad, 0.0, g)
        return -self.w * g


@dataclass(frozen=True, eq=False)
class Judged:
    """A certificate, and its dual point in sorted rows."""

    certificate: Certificate
    alpha: Array


def certify_labels(
    problem: Problem,
    network: ReLUNetwork,
    dual_point: Array | None = None,
    max_cells: int | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> Certificate:
    """`certify` for any loss, penalty and number of inputs."""
    labels = Labels.of(problem, max_cells=max_cells, random_state=random_state)
    f = network.predict(labels.X)
    if dual_point is not None:
        alpha = labels.feasible(dual_point[labels.order])
    elif problem.lam == 0:
        alpha = np.zeros_like(labels.y)
    else:
        alpha = labels.gradient_point(f)
    return judge(labels, network, f, alpha).certificate


def judge(labels: Labels, network: ReLUNetwork, f: Array, alpha: Array) -> Judged:
    """The certificate of a network with predictions `f` (N, T) from a dual point in sorted rows
    whose sums with the free parts vanish; it is scaled here to satisfy the other constraints."""
    problem, loss, w = labels.problem, labels.loss, labels.w
    penalty = problem.penalty
    lam = problem.lam if problem.lam > 0 else 1.0
    found = labels.largest_response(alpha)
    sums, moments = alpha.sum(axis=0), labels.X.T @ alpha
    along = float(np.linalg.norm(moments, 2)) if penalty.skip == "nuclear" else 0.0
    largest, proven = max(found.largest, along), max(found.proven, along)
    reach = lam / largest if largest > 0 else np.inf
    fitted = np.sum(network.V * labels.answers(alpha, network), axis=1)
    charges = lam * network.neuron_costs(penalty)
    primal = problem.objective(network)
    linear = float(np.sum(alpha * labels.y))

    def gap_at(scale: float) -> float:
        gap = float(np.sum(np.maximum(charges - scale * fitted, 0.0)))
        if penalty.biases:
            gap += float(np.sum((lam * network.c - scale * sums) ** 2)) / (2.0 * lam)
        if penalty.skip == "frobenius":
            gap += float(np.sum((lam * network.A - scale * moments) ** 2)) / (2.0 * lam)
        elif penalty.skip == "nuclear":
            product = float(np.sum(network.A * moments))
            gap += max(lam * float(np.linalg.svd(network.A, compute_uv=False).sum()) - scale * product, 0.0)
        if problem.lam > 0:
            # the quotient may leave the domain by its own rounding
            g = loss.to_domain(labels.y, -scale * alpha / np.where(w > 0, w, 1.0))
            gap += float(np.sum(w * np.where(w > 0, loss.fenchel_gap(labels.y, f, g), 0.0)))
        return gap

    scale = min(1.0, reach)
    slack = 0.0
    if problem.lam > 0:
        gap = gap_at(scale)
        if gap > _COARSE * abs(primal) and reach > 0:
            # far from the optimum another length of the dual point proves more
            high = min(reach, 1e3 if isinstance(loss, Squared) else 1.0)
            options = {"xatol": 1e-6 * high}
            trial = minimize_scalar(gap_at, bounds=(0.0, high), method="bounded", options=options)
            if float(trial.fun) < gap:
                scale, gap = float(trial.x), float(trial.fun)
    else:
        scale, dual = _interpolation_dual(penalty, lam, reach, linear, sums, moments)
        slack = scale * float(np.sum(alpha * (labels.y - np.where(w > 0, f, labels.y))))
        gap = max(primal - dual, 0.0)
    if gap > _COARSE * abs(primal) and problem.lam > 0:
        # far from the optimum the rounding of the primal is too large beside the dual
        dual = _dual_value(labels, scale * alpha, scale * sums, scale * moments)
        if np.isfinite(primal - gap):
            dual = min(primal - gap, dual)
        gap = primal - dual
    else:
        dual = primal - gap
    if not dual >= 0.0:
        # no loss and no cost is below 0: alpha = 0 proves that much
        scale, dual, gap, alpha = 0.0, 0.0, primal, np.zeros_like(alpha)
    floor = 0.0
    if gap <= 1e-10 * (abs(primal) + float(np.sum(w))):
        floor = labels.no_gap
    scaled = scale * alpha
    certificate = assemble(primal, dual, gap, floor, None, lambda: labels.in_rows(scaled))
    bound, rigour = dual, found.rigour
    if rigour is not Rigour.EXACT:
        # what was found by search may be too small; this much is proven
        share = min(1.0, lam / proven / scale) if scale * proven > 0 else 1.0
        if share == 1.0:
            rigour = Rigour.BOUNDED
        else:
            bound = _proven_dual(labels, share * scaled) if problem.lam > 0 else share * dual
    certificate = replace(
        certificate, worst_neuron=found.neuron, slack=slack, rigour=rigour, bound=max(bound, 0.0)
    )
    return Judged(certificate, scaled)


def _proven_dual(labels: Labels, alpha: Array) -> float:
    return _dual_value(labels, alpha, alpha.sum(axis=0), labels.X.T @ alpha)


def _dual_value(labels: Labels, alpha: Array, sums: Array, moments: Array) -> float:
    problem, w = labels.problem, labels.w
    g = labels.loss.to_domain(labels.y, -alpha / np.where(w > 0, w, 1.0))
    value = -float(np.sum(np.where(w > 0, w * labels.loss.conjugate(labels.y, g), 0.0)))
    if problem.penalty.biases:
        value -= float(np.sum(sums * sums)) / (2.0 * problem.lam)
    if problem.penalty.skip == "frobenius":
        value -= float(np.sum(moments * moments)) / (2.0 * problem.lam)
    return value


def _interpolation_dual(
    penalty: object, lam: float, reach: float, linear: float, sums: Array, moments: Array
) -> tuple[float, float]:
    """The best scale at lam = 0, and the dual value there."""
    square = 0.0
    if getattr(penalty, "biases", False):
        square += float(np.sum(sums * sums))
    if getattr(penalty, "skip", "") == "frobenius":
        square += float(np.sum(moments * moments))
    best = linear / square if square > 0 else np.inf
    scale = max(min(reach, best), 0.0) if linear > 0 else 0.0
    if not np.isfinite(scale):
        scale = 0.0
    return scale, scale * linear - 0.5 * scale * scale * square / lam
