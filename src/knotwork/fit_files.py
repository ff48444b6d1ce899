"""The files that a fit writes, and reading them back."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from . import __version__
from ._files import replacing
from .certificate import Certificate, certify
from .network import ReLUNetwork
from .problem import Problem
from .scaling import TaskScaling
from .solution import Solution
from .stacked import StackedNetwork
from .storage import load, read_metadata, save
from .tables import Table
from .workflow import FitResult, Scale, table_scaling


def fit_record(result: FitResult) -> dict[str, Any]:
    """What `result.json` holds: plain numbers and text, None for what is not finite."""
    table, solution = result.table, result.solution
    certificate = solution.certificate
    record = {
        "knotwork": __version__,
        "data": {
            "name": table.name,
            "rows": table.n_rows,
            "missing_labels": table.n_missing,
            "input": table.input_name,
            "input_unit": "" if table.origin is None else f"days since {table.origin}",
            "date_origin": table.origin,
            "tasks": list(table.task_names),
            "task_units": list(table.task_units),
        },
        "problem": {
            "loss": "squared",
            "penalty": solution.problem.penalty.formula,
            "lam": solution.problem.lam,
            "lam_max": result.lam_max,
            "lam_ratio": result.lam_ratio,
            "scale": result.scale,
            "task_centre": result.scaling.centre.tolist(),
            "task_scale": result.scaling.scale.tolist(),
        },
        "cross_validation": _validation_record(result),
        "outcome": {
            "status": solution.status.name,
            "message": solution.status.value,
            **certificate_record(certificate),
            "rounds": len(solution.trace),
            "seconds": result.seconds,
        },
        "knots": [
            {
                "place": knot.label,
                "input": knot.place,
                "strength": knot.strength,
                "most": list(knot.leaders),
                "jumps": dict(zip(table.task_names, knot.jumps, strict=True)),
            }
            for knot in result.knots()
        ],
        "apart": [
            {
                "task": table.task_names[t],
                "places": table.input_labels(one.network.knots.location),
                "objective": one.certificate.primal,
                "gap": one.certificate.gap,
                "status": one.status.name,
            }
            for t, one in zip(result.shown, result.apart, strict=False)
        ],
        "refit": None
        if result.refit is None
        else {
            "residual_sum_of_squares": result.refit.residual_sum_of_squares,
            "free_parameters": result.refit.df,
        },
        "notices": list(result.notices),
    }
    return _finite(record)


def _validation_record(result: FitResult) -> dict[str, Any] | None:
    """How held-out data chose lam; None where they did not."""
    found = result.cross_validation
    if found is None:
        return None
    return {
        "folds": len(found.folds),
        "scheme": result.scheme,
        "rule": found.rule,
        "lam_min": found.lam_min,
        "lam_1se": found.lam_1se,
        "lams": found.lams.tolist(),
        "mean_loss": found.mean_loss.tolist(),
        "standard_error": found.standard_error.tolist(),
        "status": found.status.name,
    }


def certificate_record(certificate: Certificate) -> dict[str, Any]:
    """The numbers of a certificate under the names that files and machines read."""
    return _finite(
        {
            "objective": certificate.primal,
            "dual": certificate.dual,
            "bound": certificate.bound,
            "gap": certificate.gap,
            "relative_gap": certificate.relative_gap,
            "rigour": certificate.rigour.name,
        }
    )


def write_fit(result: FitResult, folder: str | os.PathLike[str]) -> list[Path]:
    """Write model.safetensors, knots.csv, fitted.csv and result.json to a folder, made when missing.

    With a refit also refit.safetensors, and fitted.csv holds its values. Each file is complete or
    is not touched. Returns their paths.

    Raises
    ------
    OSError : when a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table, names = result.table, result.table.task_names
    record = fit_record(result)
    model, knots, fitted, summary = (
        folder / name for name in ("model.safetensors", "knots.csv", "fitted.csv", "result.json")
    )
    metadata = {
        **{name: value for name, value in record["data"].items() if name != "rows"},
        **record["problem"],
        **{name: value for name, value in record["outcome"].items() if name != "seconds"},
    }
    save(result.network, model, metadata=metadata)
    write_rows(
        knots,
        ["place", "input", "strength", *(f"jump of {name}" for name in names)],
        [[knot.label, knot.place, knot.strength, *knot.jumps] for knot in result.knots()],
    )
    files = [model, knots, fitted, summary]
    if result.refit is not None:
        files.insert(1, folder / "refit.safetensors")
        save(result.fitted_network, files[1], metadata=record["data"] | record["problem"] | record["refit"])
    write_rows(fitted, [table.input_name, *names], prediction_rows(table, result.fitted_network))
    with replacing(summary) as beside:
        beside.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return files


def prediction_rows(table: Table, network: ReLUNetwork) -> list[list[Any]]:
    """One row per row of `table`: the input as the table writes it, then f of each task."""
    fitted = network.predict(table.X).tolist()
    return [[label, *row] for label, row in zip(table.input_labels(table.X), fitted, strict=True)]


def write_rows(path: str | os.PathLike[str], header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file, whole or not at all; every number with the digits that restore it.

    Raises
    ------
    OSError : when it cannot be written.
    """
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as handle:
        _csv_rows(handle, header, rows)


def print_rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print what `write_rows` writes."""
    _csv_rows(sys.stdout, header, rows)


def _csv_rows(handle: TextIO, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


@dataclass(frozen=True, eq=False)
class Model:
    """A network read from a file, and what was noted beside it.

    Where nothing was noted (a network saved from Python) names are None and the scaling is none.
    """

    network: ReLUNetwork
    input_name: str | None
    task_names: tuple[str, ...] | None
    origin: str | None
    scaling: TaskScaling

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the tasks, or numbers from 1 where there are none."""
        return self.task_names or tuple(f"task {t + 1}" for t in range(self.network.n_tasks))


def read_model(path: str | os.PathLike[str]) -> Model:
    """The network of a model file, with the names, date origin and scales that `write_fit` noted.

    Raises
    ------
    ValueError, OSError : as `load`; ValueError when the notes do not fit the network.
    """
    loaded = load(path)
    if isinstance(loaded, StackedNetwork):
        raise ValueError(f"{path}: holds a stacked network, which is no fit of a table; use knotwork.load")
    network = loaded.network if isinstance(loaded, Solution) else loaded
    notes = read_metadata(path)
    try:
        names = None if "tasks" not in notes else tuple(str(name) for name in notes["tasks"])
        origin, input_name = notes.get("date_origin"), notes.get("input")
        if "task_scale" in notes:
            scaling = TaskScaling(np.array(notes["task_centre"]), np.array(notes["task_scale"]))
        else:
            scaling = TaskScaling.none(network.n_tasks)
        known = all(text is None or isinstance(text, str) for text in (origin, input_name))
        if not known or {network.n_tasks, scaling.n_tasks, len(names or scaling.scale)} != {network.n_tasks}:
            raise ValueError("names and scales of other tasks")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: its metadata do not fit its network ({error}); save it anew") from None
    return Model(network, input_name, names, origin, scaling)


def certify_model(model: Model, table: Table, lam: float, scale: Scale | None = None) -> Certificate:
    """The certificate of a model at lam, on the problem that `fit` would make of `table`.

    The labels are scaled as the model's were when `scale` is None, anew for "task", not for
    "none"; objective and gap are in the units so made.

    Raises
    ------
    ValueError, TypeError : when the table does not fit the model, or for lam.
    """
    if table.n_tasks != model.network.n_tasks:
        raise ValueError(
            f"tasks: the table has {table.n_tasks} but the model {model.network.n_tasks}; "
            "name the model's tasks"
        )
    scaling = model.scaling if scale is None else table_scaling(table, scale)
    problem = Problem(table.X, scaling.apply(table.Y), lam)
    return certify(problem, scaling.to_task_units(model.network))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
