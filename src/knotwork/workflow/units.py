"""Between the units of the data and those of the problem that is solved; between f and what is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from ..losses import Huber, Logistic, Loss, Multinomial, PerTask, Poisson, Quantile, Squared
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..scaling import TaskScaling
from ..tables import Table

Array = NDArray[np.float64]
Scale = Literal["task", "none"]
_SCALABLE = (Squared, Huber, Quantile)


@dataclass(frozen=True, eq=False)
class Units:
    """x = inputs.scale * x_fit + inputs.centre, y = tasks.scale * y_fit + tasks.centre.

    tasks : of T tasks.
    inputs : of d inputs.
    """

    tasks: TaskScaling
    inputs: TaskScaling

    def to_data_units(self, network: ReLUNetwork) -> ReLUNetwork:
        """A network fitted in these units, in units of the data."""
        centre, scale = self.inputs.centre, self.inputs.scale
        if self._inputs_as_they_are:
            return self.tasks.to_data_units(network)
        W, A = network.W / scale, network.A / scale[:, None]
        moved = ReLUNetwork(W, network.b - W @ centre, network.V, A, network.c - centre @ A)
        return self.tasks.to_data_units(moved)

    def to_fit_units(self, network: ReLUNetwork) -> ReLUNetwork:
        """Inverse of `to_data_units`."""
        network = self.tasks.to_task_units(network)
        if self._inputs_as_they_are:
            return network
        centre, scale = self.inputs.centre, self.inputs.scale
        b, c = network.b + network.W @ centre, network.c + centre @ network.A
        return ReLUNetwork(network.W * scale, b, network.V, network.A * scale[:, None], c)

    @property
    def _inputs_as_they_are(self) -> bool:
        return not np.any(self.inputs.centre) and bool(np.all(self.inputs.scale == 1.0))


def units_of(X: Array, Y: Array, scale: str, loss: Loss, penalty: Penalty) -> Units:
    """The units that `scale` names.

    "task" centres every task and divides it by its standard deviation, where its loss allows it; and every
    input likewise where the penalty depends on its unit or its origin: where there are several, or biases
    cost. "none" takes all as it is.

    Raises
    ------
    ValueError : for another name.
    """
    if scale not in ("task", "none"):
        raise ValueError(f"scale: must be 'task' or 'none', got {scale!r}")
    d, n_tasks = X.shape[1], Y.shape[1]
    tasks, inputs = TaskScaling.none(n_tasks), TaskScaling.none(d)
    if scale == "task":
        tasks = where_scalable(TaskScaling.of(Y), loss)
        if d > 1 or penalty.biases:
            inputs = TaskScaling.of(X)
    return Units(tasks, inputs)


def where_scalable(scaling: TaskScaling, loss: Loss) -> TaskScaling:
    """`scaling` of the tasks whose loss is of labels in any unit; counts and classes stay as they are."""
    scalable = np.array([isinstance(loss_of(loss, t), _SCALABLE) for t in range(scaling.n_tasks)])
    return TaskScaling(np.where(scalable, scaling.centre, 0.0), np.where(scalable, scaling.scale, 1.0))


def table_scaling(table: Table, scale: str) -> TaskScaling:
    """The scaling of the tasks that `scale` ("task" or "none") names, under squared loss.

    Raises
    ------
    ValueError : for another name, or a table without tasks.
    """
    require_tasks(table)
    return units_of(table.X[:, None], table.Y, scale, Squared(), Penalty()).tasks


def require_tasks(table: Table) -> None:
    """Raise ValueError for a table without tasks."""
    if table.n_tasks == 0:
        raise ValueError("tasks: none was chosen; a fit needs at least one")


def loss_of(loss: Loss, t: int) -> Loss:
    """The loss of one task; of a list that is too short for it the last one, for `Problem` to refuse."""
    return loss.losses[min(t, len(loss.losses) - 1)] if isinstance(loss, PerTask) else loss


def responses(loss: Loss, f: ArrayLike) -> Array:
    """What is predicted of labels, (n, T), where a network says f: rates under Poisson loss, probabilities
    under the logistic and multinomial ones, else f itself."""
    f = np.array(f, dtype=np.float64)
    if isinstance(loss, Multinomial):
        return softmax(f, axis=1)
    for t in range(f.shape[1]):
        one = loss_of(loss, t)
        if isinstance(one, Poisson):
            f[:, t] = np.exp(f[:, t])
        elif isinstance(one, Logistic):
            f[:, t] = expit(f[:, t])
    return f


def is_straight(loss: Loss) -> bool:
    """Whether what is predicted is f itself, for every task."""
    each = loss.losses if isinstance(loss, PerTask) else (loss,)
    return not any(isinstance(one, Poisson | Logistic | Multinomial) for one in each)
