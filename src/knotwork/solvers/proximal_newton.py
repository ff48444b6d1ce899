"""Losses beyond the squared one: Newton's method whose steps are weighted squared problems.

At predictions f the loss is modelled label by label as h (z - f)^2 / 2 with h its curvature and
z = f - gradient / h; the model keeps the penalty as it is, so its solution is a network again. A line
search makes every step one of descent. Losses with kinks (quantile), and labels that must be met
(lam = 0), go through the method of multipliers: the same steps on shifted labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..free_parts import affine_fit
from ..losses import Loss
from ..network import ReLUNetwork
from ..penalty import Penalty

Array = NDArray[np.float64]
_LEAST_DAMPING = 1e-5
_MOST_DAMPING = 1.0
_MAX_STEPS = 200
_PATIENCE = 4


class Inner(Protocol):
    """The solver of the models: a network of least model objective, to an absolute gap."""

    def __call__(self, X: Array, y: Array, w: Array, start: ReLUNetwork, gap: float) -> ReLUNetwork: ...


@dataclass(frozen=True, eq=False)
class Smooth:
    """sum w l(y, f) + lam R over networks; X (N, d), sorted where d = 1, y and w (N, T), w = 0 at gaps."""

    X: Array
    y: Array
    w: Array
    loss: Loss
    lam: float
    penalty: Penalty

    def loss_at(self, f: Array) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sum(self.w * np.where(self.w > 0, self.loss.value(self.y, f), 0.0)))

    def objective(self, network: ReLUNetwork) -> float:
        return self.loss_at(network.predict(self.X)) + self.lam * network.cost(self.penalty)

    def free_fit(self) -> ReLUNetwork:
        """The start: no neurons, free parts fitted as if they were all free."""
        A, c = affine_fit(
            self.X,
            self.y,
            self.w,
            self.loss,
            linear=self.penalty.skip == "free",
            ridge_c=self.lam if self.penalty.biases else 0.0,
        )
        d = self.X.shape[1]
        return ReLUNetwork(np.zeros((0, d)), np.zeros(0), np.zeros((0, self.y.shape[1])), A, c)


@dataclass(frozen=True, eq=False)
class Iterate:
    """A network, its predictions (N, T), its objective, and by how much the last model promised to
    lower it: a measure of how far the optimum still is."""

    network: ReLUNetwork
    fitted: Array
    objective: float
    promised: float


def newton(
    smooth: Smooth,
    inner: Inner,
    start: ReLUNetwork,
    tol: float,
    step_done: Callable[[Iterate], bool],
    polish: Callable[[Smooth, ReLUNetwork], ReLUNetwork] | None = None,
) -> Iterate:
    """Iterate until `step_done`, or until no step lowers the objective any more."""
    network = start
    f, cost = network.predict(smooth.X), network.cost(smooth.penalty)
    loss = smooth.loss_at(f)
    here = Iterate(network, f, loss + smooth.lam * cost, np.inf)
    damping, idle = _LEAST_DAMPING, 0
    for _ in range(_MAX_STEPS):
        g = smooth.loss.gradient(smooth.y, f)
        h = smooth.loss.curvature(smooth.y, f) + damping * smooth.loss.curvature_bound(smooth.y, f)
        h = np.maximum(h, 1e-12 * float(h[smooth.w > 0].max()))
        goal = tol * abs(here.objective)
        wanted = max(0.02 * goal, min(1e-3 * here.promised, 0.1 * abs(here.objective)))
        new = inner(smooth.X, f - g / h, smooth.w * h, network, wanted)
        f_new, cost_new = new.predict(smooth.X), new.cost(smooth.penalty)
        d = f_new - f
        slope = float(np.sum(smooth.w * g * d)) + smooth.lam * (cost_new - cost)
        promised = -slope - 0.5 * float(np.sum(smooth.w * h * d * d))
        length = _step_length(smooth, here.objective, f, d, cost, cost_new, slope)
        if length is None:
            if damping < _MOST_DAMPING and promised > 1e-13 * abs(here.objective):
                damping = min(100.0 * damping, _MOST_DAMPING)
                continue
            # what the model still promises is below the rounding of the objective
            length = (
                1.0 if smooth.loss_at(f_new) + smooth.lam * cost_new <= here.objective * (1 + 1e-12) else 0.0
            )
        if length == 1.0:
            network, f = new, f_new
        elif length > 0:
            network = mixture(network, new, length, smooth.penalty)
            f = network.predict(smooth.X)
        if polish is not None and length > 0:
            network = polish(smooth, network)
            f = network.predict(smooth.X)
        damping = max(0.1 * damping, _LEAST_DAMPING) if length == 1.0 else min(10.0 * damping, _MOST_DAMPING)
        cost = network.cost(smooth.penalty)
        objective = smooth.loss_at(f) + smooth.lam * cost
        idle = idle + 1 if objective >= here.objective * (1.0 - 1e-15) else 0
        here = Iterate(network, f, objective, max(promised, 0.0))
        if step_done(here) or idle >= _PATIENCE:
            break
    return here


def _step_length(
    smooth: Smooth, objective: float, f: Array, d: Array, cost: float, cost_new: float, slope: float
) -> float | None:
    """The longest of 1, 1/2, 1/4 ... that lowers the objective as a convex function should."""
    length = 1.0
    while length > 1e-9:
        value = smooth.loss_at(f + length * d) + smooth.lam * (cost + length * (cost_new - cost))
        if slope < 0 and value <= objective + 1e-4 * length * slope:
            return length
        length *= 0.5
    return None


def mixture(one: ReLUNetwork, other: ReLUNetwork, share: float, penalty: Penalty) -> ReLUNetwork:
    """(1 - share) one + share other, neurons at one place merged."""
    return ReLUNetwork(
        np.concatenate([one.W, other.W]),
        np.concatenate([one.b, other.b]),
        np.concatenate([(1.0 - share) * one.V, share * other.V]),
        (1.0 - share) * one.A + share * other.A,
        (1.0 - share) * one.c + share * other.c,
    ).canonicalise(penalty)
