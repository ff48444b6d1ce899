"""What the commands share: the application, arguments with one meaning everywhere, how they are read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Certified fits of many series with shared knots.",
)

Data = Annotated[str, typer.Argument(metavar="DATA", help="A CSV or Parquet file, or a bundled table.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model.safetensors file.")]
Input = Annotated[str | None, typer.Option("--input", help="The input column; dates become days.")]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Columns (or series) to fit, as a,b,c.")]
Series = Annotated[str | None, typer.Option("--series", help="Long table: the column of series names.")]
Value = Annotated[str | None, typer.Option("--value", help="Long table: the column of labels.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def as_names(text: str | None, role: str = "tasks", one: str = "task") -> list[str] | None:
    """a,b,c as names; one with a comma in it stands in double quotes."""
    if text is None:
        return None
    try:
        names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    except csv.Error:
        raise ValueError(f"{role}: {text!r} is no list of names; write --{role} a,b,c") from None
    if not any(names):
        raise ValueError(f"{role}: names no {one}; write --{role} a,b,c")
    return names


def as_pairs(text: str | None) -> dict[str, str] | None:
    """hidden=a,output=b as a dictionary."""
    names = as_names(text, "layers", "layer")
    if names is None:
        return None
    pairs = [name.partition("=") for name in names]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ValueError(f"layers: {wrong[0]!r} names no layer; write --layers hidden=NAME,output=NAME")
    return {role.strip(): layer.strip() for role, _, layer in pairs}


def print_json(record: dict[str, Any]) -> None:
    typer.echo(json.dumps(record, indent=2, allow_nan=False))
