"""A bootstrap of a table's fit as rows and a record, in units of the data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..selection.bootstrap_result import Bootstrap
from ..workflow import FitResult

BEND_COLUMNS = ("place", "low", "high", "share", "strength", "strength low", "strength high")


def bend_rows(result: FitResult, found: Bootstrap, level: float) -> list[list[Any]]:
    """A row for each bend: places as the table writes inputs, strengths in task units per input."""
    table, rows = result.table, []
    for bend in found.bends(level=level):
        place = (bend.place, bend.place_low, bend.place_high)
        labels: list[Any] = [""] * 3
        for k, one in enumerate(place):
            if math.isfinite(one):
                # whole days where inputs are dates
                labels[k] = table.input_labels([one if table.origin is None else round(one)])[0]
        rows.append([*labels, bend.share, bend.strength, bend.strength_low, bend.strength_high])
    return rows


def band_rows(
    result: FitResult, found: Bootstrap, level: float, simultaneous: bool
) -> tuple[list[str], list[list[Any]]]:
    """Header and a row for each input: fit, low and high of every task, in data units."""
    table, scaling = result.table, result.scaling
    band = found.band(level=level, simultaneous=simultaneous)
    parts = [part * scaling.scale + scaling.centre for part in (band.fit, band.low, band.high)]
    values = np.stack(parts, axis=2).reshape(len(band.x), -1).tolist()
    header = [table.input_name]
    for name in table.task_names:
        header += [name, f"low of {name}", f"high of {name}"]
    return header, [[x, *row] for x, row in zip(table.input_labels(band.x), values, strict=True)]


def bootstrap_record(result: FitResult, found: Bootstrap, level: float, simultaneous: bool) -> dict[str, Any]:
    """What --json prints: plain numbers and text."""
    table = result.table
    header, rows = band_rows(result, found, level, simultaneous)
    return {
        "data": table.name,
        "input": table.input_name,
        "tasks": list(table.task_names),
        "lam": found.solution.problem.lam,
        "lam_ratio": result.lam_ratio,
        "replicates": found.n_replicates,
        "scheme": found.scheme,
        "block": found.block,
        "refit": found.refit,
        "level": level,
        "simultaneous": simultaneous,
        "inflation": dict(zip(table.task_names, found.inflation.tolist(), strict=True)),
        "largest_relative_gap": float(found.relative_gaps.max()),
        "bends": [
            dict(zip(BEND_COLUMNS, (None if one == "" else one for one in row), strict=True))
            for row in bend_rows(result, found, level)
        ],
        "band": {name: [row[k] for row in rows] for k, name in enumerate(header)},
        "seconds": found.seconds,
        "notices": [*result.notices, *found.notices],
    }
