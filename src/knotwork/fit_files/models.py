"""Models that a fit wrote, read back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..certificate import Certificate, certify
from ..datasets.columns import Columns
from ..losses import Loss, Squared
from ..network import ReLUNetwork
from ..penalty import PENALTIES, Penalty
from ..problem import Problem
from ..scaling import TaskScaling
from ..solution import Solution
from ..stacked import StackedNetwork
from ..storage import load, loss_of_record, read_metadata
from ..tables import Table
from ..workflow import Extrapolation, InputBox, Scale, Units, check_extrapolation, responses
from ..workflow.units import require_tasks, units_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """A network read from a file, and what was noted beside it.

    Where nothing was noted (a network saved from Python) names are None, the units those of the data, loss
    and penalty the first ones of `Problem`, and the box is None.

    network : in units of the data.
    input_names : d columns.  origins : the ISO date of 0 of each, None where it is a number.
    task_names : T columns.
    units : of the problem that was solved.
    loss, penalty : of that problem.
    box : of the inputs of the fit.  extrapolation : what `predict` does outside of it.
    """

    network: ReLUNetwork
    input_names: tuple[str, ...] | None
    origins: tuple[str | None, ...]
    task_names: tuple[str, ...] | None
    units: Units
    loss: Loss
    penalty: Penalty
    box: InputBox | None
    extrapolation: Extrapolation

    @property
    def input_name(self) -> str | None:
        """The first input."""
        return None if self.input_names is None else self.input_names[0]

    @property
    def origin(self) -> str | None:
        """The ISO date of 0 of the first input."""
        return self.origins[0]

    @property
    def scaling(self) -> TaskScaling:
        """Of the tasks."""
        return self.units.tasks

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the tasks, or numbers from 1 where there are none."""
        return self.task_names or tuple(f"task {t + 1}" for t in range(self.network.n_tasks))

    def predict(self, X: ArrayLike, extrapolation: Extrapolation | None = None) -> Array:
        """As `FitResult.predict`; of a model without a box everything is inside.

        Raises
        ------
        ValueError : naming the argument; under "raise" the input that is outside.
        """
        X = as_float_array(X, "X")
        X = X[:, None] if X.ndim == 1 else X
        policy = extrapolation or self.extrapolation
        if self.box is not None and X.shape[1:] == self.box.low.shape:
            X = self.box.apply(X, policy, self.input_names)
        elif policy != "linear":
            raise ValueError(
                f"extrapolation: {policy!r} needs the range of the fit's inputs, which this model file "
                "does not hold; use 'linear'"
            )
        return responses(self.loss, self.network.predict(X))


def read_model(path: str | os.PathLike[str]) -> Model:
    """The network of a model file, with what `write_fit` noted beside it.

    Raises
    ------
    ValueError, OSError : as `load`; ValueError when the notes do not fit the network.
    """
    loaded = load(path)
    if isinstance(loaded, StackedNetwork):
        raise ValueError(f"{path}: holds a stacked network, which is no fit of a table; use knotwork.load")
    network = loaded.network if isinstance(loaded, Solution) else loaded
    try:
        return _model(network, read_metadata(path))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: its metadata do not fit its network ({error}); save it anew") from None


def _model(network: ReLUNetwork, notes: Mapping[str, Any]) -> Model:
    d, n_tasks = network.n_inputs, network.n_tasks
    task_names = None if "tasks" not in notes else tuple(str(name) for name in notes["tasks"])
    # models of before there were several inputs name the one alone
    names = notes.get("inputs", [notes["input"]] if "input" in notes else None)
    origins = notes.get("input_origins", [notes.get("date_origin")] + [None] * (d - 1))
    known = all(text is None or isinstance(text, str) for text in [*origins, *(names or [])])
    tasks = _scaling(notes, "task", n_tasks)
    inputs = _scaling(notes, "input", d)
    box = (
        InputBox(np.array(notes["input_low"]), np.array(notes["input_high"]))
        if "input_low" in notes
        else None
    )
    sizes = (
        {tasks.n_tasks, len(task_names or tasks.scale)},
        {inputs.n_tasks, len(names or origins), len(origins)},
    )
    if not known or sizes != ({n_tasks}, {d}) or (box is not None and box.low.shape != (d,)):
        raise ValueError("names and scales of other tasks or inputs")
    extrapolation = notes.get("extrapolation", "linear")
    check_extrapolation(extrapolation)
    return Model(
        network,
        None if names is None else tuple(names),
        tuple(origins),
        task_names,
        Units(tasks, inputs),
        loss_of_record(notes["loss"]) if "loss" in notes else Squared(),
        PENALTIES[notes["penalty_name"]] if "penalty_name" in notes else Penalty(),
        box,
        extrapolation,
    )


def _scaling(notes: Mapping[str, Any], what: str, n: int) -> TaskScaling:
    if f"{what}_scale" not in notes:
        return TaskScaling.none(n)
    return TaskScaling(np.array(notes[f"{what}_centre"]), np.array(notes[f"{what}_scale"]))


def certify_model(
    model: Model, table: Table | Columns, lam: float, scale: Scale | None = None
) -> Certificate:
    """The certificate of a model at lam, on the problem that `fit` would make of `table`.

    Loss and penalty are the model's. Labels and inputs are scaled as the model's were when `scale` is
    None, anew for "task", not for "none"; objective and gap are in the units so made.

    Raises
    ------
    ValueError, TypeError : when the table does not fit the model, or for lam.
    """
    columns = Columns.of(table) if isinstance(table, Table) else table
    if columns.table.n_tasks != model.network.n_tasks:
        raise ValueError(
            f"tasks: the table has {columns.table.n_tasks} but the model {model.network.n_tasks}; "
            "name the model's tasks"
        )
    if columns.n_inputs != model.network.n_inputs:
        raise ValueError(
            f"input: the table has {columns.n_inputs} but the model {model.network.n_inputs}; "
            "name the model's inputs"
        )
    require_tasks(columns.table)
    Y = columns.table.Y
    units = model.units if scale is None else units_of(columns.X, Y, scale, model.loss, model.penalty)
    X, Y = units.inputs.apply(columns.X), units.tasks.apply(Y)
    problem = Problem(X, Y, lam, model.loss, model.penalty)
    return certify(problem, units.to_fit_units(model.network))
