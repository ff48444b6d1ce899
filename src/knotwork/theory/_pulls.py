"""One more row, whose label pulls one task's prediction, and what its dual point proves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..losses import Huber, Loss, PerTask, Poisson, Quantile, Squared
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution

Array = NDArray[np.float64]
_FAR = 1e3


@dataclass(frozen=True)
class Pulled:
    """A network with a larger (or smaller) f_t(x), its objective, and a tangent of the least objective:
    F(f) >= dual + theta s f_t(x) for all networks, s = 1 or -1 the direction pulled."""

    network: ReLUNetwork
    value: float
    primal: float
    theta: float
    dual: float


@dataclass(frozen=True, eq=False)
class Pull:
    """A task's loss at x, of a label beyond its prediction there.

    Its strength is the distance of the label under squared loss, whose weight is fixed (at lam = 0 the label
    is met), and the weight under other losses, whose label is fixed.

    data : the problem without the row.
    origin : the prediction from which it pulls.
    spread : of the task's labels.
    unit : strength as large as the labels' spread, or one label's weight.
    fixed : whether nothing moves (at lam = 0 a labelled place).
    """

    data: Problem
    x: Array
    task: int
    sign: int
    loss: Loss
    origin: float
    spread: float
    weight: float
    fixed: bool

    @classmethod
    def of(cls, problem: Problem, network: ReLUNetwork, x: Array, task: int, sign: int) -> Pull:
        loss = problem.loss_function
        if isinstance(loss, PerTask):
            loss = loss.losses[task]
        weights = problem.label_weight()[:, task]
        seen = weights > 0
        labels = problem.Y[seen, task]
        spread = float(labels.std()) or float(np.abs(labels).max(initial=0.0)) or 1.0
        origin = float(network.predict(x[None])[0, task])
        fixed = problem.lam == 0 and bool(np.any(seen & np.equal(problem.X, x).all(axis=1)))
        return cls(problem, x, task, sign, loss, origin, spread, float(weights[seen].mean()), fixed)

    @property
    def by_label(self) -> bool:
        return isinstance(self.loss, Squared) or self.data.lam == 0

    @property
    def unit(self) -> float:
        return self.spread if self.by_label else self.weight

    def first(self, excess: float) -> float:
        """A strength that may raise the objective by `excess`."""
        if self.data.lam == 0:
            return 0.1 * self.spread
        if self.by_label:
            return float(np.sqrt(2.0 * excess / self.weight)) or self.spread
        return 0.1 * self.weight

    def problem(self, strength: float) -> Problem:
        """The data and the row."""
        data, label = self.data, np.full((1, self.data.n_tasks), np.nan)
        label[0, self.task] = self._label(strength)
        weight = np.ones((len(data.X) + 1, data.n_tasks))
        if data.sample_weight is not None:
            own = data.sample_weight
            weight[:-1] = own if own.ndim == 2 else own[:, None]
        weight[-1] = self._weight(strength)
        return Problem(
            np.vstack([data.X, self.x]),
            np.vstack([data.Y, label]),
            data.lam,
            data.loss,
            data.penalty,
            weight,
            copy=False,
        )

    def judge(self, solved: Solution, strength: float) -> Pulled:
        """What the network does to the data alone, and what its dual point proves of all."""
        alpha = float(solved.certificate.dual_point[-1, self.task])
        label = self._label(strength)
        # F(f) + l(f_t(x)) has the dual value; without the row's part that bounds F(f) - alpha f_t(x)
        if self.data.lam == 0:
            row = alpha * label
        else:
            weight = self._weight(strength)
            slope = np.clip(-alpha / weight, *self.loss.domain(np.array(label)))
            row = -weight * float(self.loss.conjugate(np.array(label), slope))
        network = solved.network
        primal = network.cost(self.data.penalty) if self.data.lam == 0 else self.data.objective(network)
        return Pulled(
            network,
            float(network.predict(self.x[None])[0, self.task]),
            primal,
            self.sign * alpha,
            solved.certificate.bound - row,
        )

    def _label(self, strength: float) -> float:
        up = self.sign > 0
        if self.by_label:
            return self.origin + self.sign * strength
        if isinstance(self.loss, Huber | Quantile):
            return self.origin + self.sign * _FAR * self.spread
        if isinstance(self.loss, Poisson):
            return 10.0 * (1.0 + float(np.exp(self.origin))) if up else 0.0
        return 1.0 if up else 0.0

    def _weight(self, strength: float) -> float:
        return self.weight if self.by_label else strength
