"""A model file and a table, made the problem that the model was trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..conversions import LossMean, lam_from_weight_decay
from ..datasets.columns import read_columns
from ..interchange import load_network
from ..losses import Multinomial, PerTask, Squared
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..storage import read_metadata

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """What an audit is about, with the names that its reader knows.

    model, data : the names of the two files.
    input_names : d of them, a date as "days since ...".
    task_names : T of them.
    how : sentences that say how the problem was made.
    notices : what the reader of the table chose by itself.
    """

    network: ReLUNetwork
    problem: Problem
    model: str
    data: str
    input_names: tuple[str, ...]
    task_names: tuple[str, ...]
    how: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """The names as plain text, beside `Audit.record`."""
        return {
            "knotwork": __version__,
            "model": self.model,
            "data": self.data,
            "input_names": list(self.input_names),
            "task_names": list(self.task_names),
            "how": list(self.how),
        }


def read_case(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    inputs: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    series: str | None = None,
    value: str | None = None,
    lam: float | None = None,
    weight_decay: float | None = None,
    loss_mean: LossMean | None = None,
    losses: Sequence[str] = ("squared",),
    penalty: str | None = None,
    layers: Mapping[str, str] | None = None,
) -> Case:
    """The problem min sum l + lam R on a table, with the labels in the units that they have there.

    Parameters
    ----------
    model : a file that `load_network` reads.
    data, series, value : as in `read_data`.
    inputs, tasks : columns, in the order of the model's inputs and outputs; as the model's file
        names them, or the reader chooses, when None.
    lam, weight_decay, loss_mean : lam itself, or PyTorch's weight decay and what its loss was averaged
        over ("all" when None), see `lam_from_weight_decay`.
    losses : a name, see `Problem`, for all tasks, or one for each.
    penalty : what is decayed: "all" parameters, as PyTorch does, or the "weights" (biases free). Both
        take a skip connection where the model has one; "all-skip", "all-nuclear" and
        "weights-free-skip" allow one to every network. When None, "all" for a weight decay, "weights"
        for lam.
    layers : which layer of a state dict is "hidden", "output" and "skip", where its shapes leave it open.

    Raises
    ------
    ValueError, TypeError, OSError : naming the argument or the file.
    """
    if (lam is None) == (weight_decay is None):
        raise ValueError("lam: give either lam or weight_decay, the strength that the model was trained with")
    if lam is not None and loss_mean is not None:
        raise ValueError("loss_mean: cannot be given beside lam, which no mean changes; leave it out")
    network = load_network(model, names=layers)
    notes = _notes(model, network)
    table, X, input_names = read_columns(
        data, inputs or notes.get("inputs"), tasks or notes.get("tasks"), series, value, notes.get("origin")
    )
    if X.shape[1] != network.n_inputs:
        raise ValueError(
            f"input: {', '.join(input_names)} is {X.shape[1]} of the model's {network.n_inputs} inputs; "
            "name them all, in the model's order"
        )
    if table.n_tasks != network.n_tasks:
        raise ValueError(
            f"tasks: the table has {table.n_tasks} but the model {network.n_tasks}; name the model's tasks"
        )
    decay = _penalty(penalty or ("weights" if weight_decay is None else "all"), network)
    # lam = 1 until the conversion has counted the labels
    loss = losses[0] if len(losses) == 1 else losses
    problem = Problem(X, table.Y, 1.0 if lam is None else lam, loss, decay)
    if weight_decay is None:
        how = f"lam = {problem.lam:.6g}, as given"
    else:
        mean = loss_mean or "all"
        problem = problem.with_lam(lam_from_weight_decay(weight_decay, problem, loss_mean=mean))
        how = _conversion(weight_decay, mean, problem)
    return Case(
        network,
        problem,
        Path(model).name,
        table.name,
        input_names,
        table.task_names,
        (how, "inputs and labels in their own units: nothing is scaled", *_about_biases(network, decay)),
        table.notices,
    )


def _notes(model: str | os.PathLike[str], network: ReLUNetwork) -> dict[str, Any]:
    """The columns that `knotwork fit` noted in a model file, where it wrote it."""
    if Path(model).suffix.lower() != ".safetensors":
        return {}
    try:
        notes = read_metadata(model)
    except ValueError:
        # another program's safetensors file
        return {}
    name, tasks, origin = notes.get("input"), notes.get("tasks"), notes.get("date_origin")
    found: dict[str, Any] = {}
    if isinstance(name, str):
        found["inputs"] = [name]
    if isinstance(tasks, list) and len(tasks) == network.n_tasks:
        found["tasks"] = [str(task) for task in tasks]
    if isinstance(origin, str):
        found["origin"] = origin
    return found


def _penalty(name: str, network: ReLUNetwork) -> Penalty:
    has_skip = bool(np.any(network.A))
    known = {
        "all": Penalty(True, "frobenius" if has_skip else "none"),
        "all-skip": Penalty(True, "frobenius"),
        "all-nuclear": Penalty(True, "nuclear"),
        "weights": Penalty(False, "free" if has_skip else "none"),
        "weights-free-skip": Penalty(False, "free"),
    }
    if name not in known:
        raise ValueError(f"penalty: must be one of {', '.join(known)}, got {name!r}")
    return known[name]


def _about_biases(network: ReLUNetwork, penalty: Penalty) -> list[str]:
    if not penalty.biases or not np.any(network.A):
        return []
    return ["one output bias is decayed; a skip connection's own bias is added to it"]


def _conversion(weight_decay: float, mean: str, problem: Problem) -> str:
    loss, seen = problem.loss_function, problem.label_weight() > 0
    squared = isinstance(loss.losses[0] if isinstance(loss, PerTask) else loss, Squared)
    rows = int(seen.any(axis=1).sum())
    what = {
        "all": f"mean over all {rows if isinstance(loss, Multinomial) else int(seen.sum())} labels",
        "rows": f"mean over {rows} rows",
        "none": "plain sum",
    }[mean]
    half = ", halved as PyTorch's squared error is twice ours" if squared else ""
    return (
        f"lam = {problem.lam:.6g} from PyTorch's weight decay {weight_decay:g} (of Adam or SGD, not AdamW) "
        f"and a loss that is a {what}{half}"
    )
