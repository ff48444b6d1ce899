"""What a fit of a table holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..datasets.columns import Columns
from ..losses import Loss
from ..network import ReLUNetwork
from ..scaling import TaskScaling
from ..selection import CrossValidation, Refit
from ..selection.folds import Scheme
from ..solution import Solution
from ..tables import Table
from .extrapolation import Extrapolation, InputBox
from .units import Scale, Units, responses

Array = NDArray[np.float64]
_LEADERS = 3


@dataclass(frozen=True)
class Knot:
    """One place where the joint fit of one input bends.

    place : in units of the input (days since the origin, where inputs are dates).
    label : the place as the table writes inputs.
    strength : |jump of the slope|, in task units (labels over their scale) per input.
    jumps : (T,) jump of each task's slope, in data units per input.
    leaders : the tasks that bend there most, in task units, strongest first.
    """

    place: float
    label: Any
    strength: float
    jumps: tuple[float, ...]
    leaders: tuple[str, ...]


@dataclass(frozen=True)
class Neuron:
    """One neuron of a joint fit of several inputs: sum_t jump_t relu(weights . x + bias).

    cost : what the penalty charges for it in the problem solved.
    weights : (d,) of the inputs, and bias, in units of the data; of norm 1 in those of the problem.
    jumps : (T,) slope of each task on the active side, in its data units.
    leaders : the tasks that use it most, in task units, strongest first.
    """

    cost: float
    weights: tuple[float, ...]
    bias: float
    jumps: tuple[float, ...]
    leaders: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FitResult:
    """A table, the problem made of it, and its solution.

    columns : the table and its inputs, in data units.
    units : of the problem solved, in units of the data.
    scale : "task" or "none", what was asked for.
    solution : in task units: its lam, objective and gap are of the problem solved.
    lam_max : the least lam without a neuron; 0 where the data are affine.
    network : the solution's, in data units.
    shown : the tasks (at most 16, the first) that were also fitted alone.
    apart : their single-task solutions at the same lam, in task units; shorter than `shown`, or
        empty, when the time ran out or the user stopped, and in several inputs.
    seconds : spent on all of this.
    notices : what was chosen without being asked.
    cross_validation : how lam was chosen, where it was by held-out data; losses and lams are of the
        scaled problem.
    scheme : how its folds were made, "blocked", "interleaved", "random", "labels" or "gaps".
    refit : least squares on the knots, in task units, where it was asked for.
    extrapolation : what `predict` does outside of the box of the inputs.
    alternative : the solution at the lam that rule "min" would have taken, where "1se" took another and
        a path made it cheap.
    """

    columns: Columns
    units: Units
    scale: Scale
    solution: Solution
    lam_max: float
    network: ReLUNetwork
    shown: tuple[int, ...]
    apart: tuple[Solution, ...]
    seconds: float
    notices: tuple[str, ...] = ()
    cross_validation: CrossValidation | None = None
    scheme: Scheme = "blocked"
    refit: Refit | None = None
    extrapolation: Extrapolation = "linear"
    alternative: Solution | None = None

    @property
    def table(self) -> Table:
        return self.columns.table

    @property
    def scaling(self) -> TaskScaling:
        """Y = scale * Y_task + centre; the problem solved has Y_task."""
        return self.units.tasks

    @property
    def input_scaling(self) -> TaskScaling:
        """X = scale * X_fit + centre; centre 0 and scale 1 where inputs were taken as they are."""
        return self.units.inputs

    @property
    def loss(self) -> Loss:
        return self.solution.problem.loss_function

    @property
    def fitted_network(self) -> ReLUNetwork:
        """In data units: the refit where it was asked for, else `network`."""
        return self.network if self.refit is None else self.units.to_data_units(self.refit.network)

    @property
    def lam_ratio(self) -> float | None:
        """lam / lam_max, None where lam_max is 0."""
        return self.solution.problem.lam / self.lam_max if self.lam_max > 0 else None

    @property
    def box(self) -> InputBox:
        """The smallest box with all inputs in it."""
        return InputBox.of(self.columns.X)

    def predict(self, X: ArrayLike, extrapolation: Extrapolation | None = None) -> Array:
        """(n, T) predictions at inputs (n, d), or (n,) of one, in units of the data: f, rates under Poisson
        loss, probabilities under the logistic and multinomial ones.

        Parameters
        ----------
        extrapolation : outside of the box of the fit's inputs; that of the fit when None. "linear" goes on
            as the network does, "constant" predicts at the nearest point of the box, "raise" refuses.

        Raises
        ------
        ValueError : naming the argument; under "raise" the input that is outside.
        """
        X = as_float_array(X, "X")
        X = X[:, None] if X.ndim == 1 else X
        if X.ndim != 2 or X.shape[1] != self.columns.n_inputs:
            raise ValueError(f"X: must have shape (n, {self.columns.n_inputs}), got {X.shape}")
        X = self.box.apply(X, extrapolation or self.extrapolation, self.columns.labels)
        return responses(self.loss, self.fitted_network.predict(X))

    def apart_networks(self) -> tuple[ReLUNetwork, ...]:
        """The single-task networks in data units."""
        alone = [
            Units(TaskScaling(self.scaling.centre[[t]], self.scaling.scale[[t]]), self.units.inputs)
            for t in self.shown
        ]
        return tuple(units.to_data_units(one.network) for units, one in zip(alone, self.apart, strict=False))

    def knots(self) -> list[Knot]:
        """The bends of a joint fit of one input, from left to right; none of several."""
        if self.columns.n_inputs > 1:
            return []
        return knots_of(self.solution.network, self.units, self.table)

    def neurons(self) -> list[Neuron]:
        """The neurons of a joint fit of several inputs, the costliest first; none of one."""
        if self.columns.n_inputs == 1:
            return []
        penalty = self.solution.problem.penalty
        network = self.solution.network.canonicalise(penalty)
        size = np.linalg.norm(network.W, axis=1)
        cost = network.neuron_costs(penalty)
        found = []
        for k in np.argsort(-cost, kind="stable").tolist():
            if size[k] == 0.0 or cost[k] == 0.0:
                continue
            w = network.W[k] / size[k] / self.input_scaling.scale
            bias = network.b[k] / size[k] - w @ self.input_scaling.centre
            row = network.V[k] * size[k]
            jumps = tuple((row * self.scaling.scale).tolist())
            leaders = _leaders(row, self.table.task_names)
            found.append(Neuron(float(cost[k]), tuple(w.tolist()), float(bias), jumps, leaders))
        return found


def knots_of(network: ReLUNetwork, units: Units, table: Table) -> list[Knot]:
    """The bends of a network of one input in fit units, as the table writes them."""
    location, jump = network.knots
    location = location * units.inputs.scale + units.inputs.centre
    jump = jump / units.inputs.scale
    found = []
    for place, label, row in zip(location.tolist(), table.input_labels(location), jump, strict=True):
        jumps = tuple((row * units.tasks.scale).tolist())
        leaders = _leaders(row, table.task_names)
        found.append(Knot(place, label, float(np.linalg.norm(row)), jumps, leaders))
    return found


def _leaders(row: Array, names: tuple[str, ...]) -> tuple[str, ...]:
    order = np.argsort(-np.abs(row), kind="stable")[:_LEADERS]
    return tuple(names[t] for t in order if row[t] != 0)
