"""The files that a fit writes."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from .._files import replacing
from ..datasets.columns import Columns
from ..dates import dates_of
from ..network import ReLUNetwork
from ..storage import save
from ..workflow import FileFitResult, FitResult, Knot, PredictionBand
from .records import file_fit_record, fit_record

Array = NDArray[np.float64]


def write_fit(
    result: FitResult, folder: str | os.PathLike[str], band: PredictionBand | None = None
) -> list[Path]:
    """Write model.safetensors, knots.csv, fitted.csv and result.json to a folder, made when missing.

    In several inputs neurons.csv stands for knots.csv. With a refit also refit.safetensors, and fitted.csv
    holds its values; with a band also band.csv, at each place the least and the greatest prediction of
    every task. Each file is complete or is not touched. Returns their paths.

    Raises
    ------
    OSError : when a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns, names = result.columns, result.table.task_names
    record = fit_record(result, band)
    several = columns.n_inputs > 1
    model, bends, fitted = (
        folder / name
        for name in ("model.safetensors", "neurons.csv" if several else "knots.csv", "fitted.csv")
    )
    save_model(result.network, model, record)
    if several:
        write_rows(
            bends,
            [
                "cost",
                *(f"weight of {name}" for name in columns.names),
                "bias",
                *(f"jump of {name}" for name in names),
            ],
            [[one.cost, *one.weights, one.bias, *one.jumps] for one in result.neurons()],
        )
    else:
        write_knots(bends, result.knots(), names)
    files = [model, bends, fitted]
    if result.refit is not None:
        files.insert(1, folder / "refit.safetensors")
        save(result.fitted_network, files[1], metadata=record["data"] | record["problem"] | record["refit"])
    header = [*columns.names, *names]
    write_rows(fitted, header, prediction_rows(columns, result.predict(columns.X, "linear")))
    if band is not None:
        files.append(folder / "band.csv")
        _write_band(result, band, files[-1])
    return [*files, write_record(record, folder)]


def _write_band(result: FitResult, band: PredictionBand, path: Path) -> None:
    names = result.table.task_names
    ends = [(f"low of {name}", f"high of {name}") for name in names]
    values = np.stack([band.low, band.high], axis=2).reshape(len(band.x), -1)
    places = result.table.input_labels(band.x)
    write_rows(
        path,
        [result.table.input_name, *(end for pair in ends for end in pair)],
        [[place, *row] for place, row in zip(places, values.tolist(), strict=True)],
    )


def write_file_fit(result: FileFitResult, folder: str | os.PathLike[str]) -> list[Path]:
    """Write model.safetensors, knots.csv and result.json; of so many rows no fitted values.

    Raises
    ------
    OSError : when a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = file_fit_record(result)
    model, knots = folder / "model.safetensors", folder / "knots.csv"
    save_model(result.fit.network, model, record)
    write_knots(knots, result.knots(), result.fit.task_names)
    return [model, knots, write_record(record, folder)]


def save_model(network: ReLUNetwork, path: Path, record: dict[str, Any]) -> None:
    """A network in data units, with what a record says of it."""
    left_out = ("rows", "seconds")
    parts = (record["data"], record["problem"], record["outcome"])
    notes = {name: value for part in parts for name, value in part.items() if name not in left_out}
    save(network, path, metadata=notes)


def write_knots(path: Path, knots: Sequence[Knot], task_names: Sequence[str]) -> None:
    """knots.csv: a row for each, from left to right."""
    write_rows(
        path,
        ["place", "input", "strength", *(f"jump of {name}" for name in task_names)],
        [[knot.label, knot.place, knot.strength, *knot.jumps] for knot in knots],
    )


def write_record(record: dict[str, Any], folder: Path) -> Path:
    """result.json, and its path."""
    path = folder / "result.json"
    with replacing(path) as beside:
        beside.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def prediction_rows(columns: Columns, predicted: Array) -> list[list[Any]]:
    """One row per row of the table: the inputs as the table writes them, then what was predicted (N, T)."""
    inputs = [
        x.tolist() if origin is None else dates_of(x, origin)
        for x, origin in zip(columns.X.T, columns.origins, strict=True)
    ]
    return [[*x, *row] for *x, row in zip(*inputs, predicted.tolist(), strict=True)]


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
