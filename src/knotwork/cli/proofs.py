"""The command that checks a proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._shared import Data, Json, app, print_json


def table_file(data: str) -> Path:
    """The file of a bundled table when `data` is the name of one, else that of this path."""
    from ..datasets import list_datasets

    return {one.name: one.path for one in list_datasets()}.get(data, Path(data))


def check_provable(data: str, series: str | None, loss: str, penalty: str, lam: float | None) -> None:
    """Raise ValueError, before any work is done, where no proof of a fit can be written."""
    wide = series is None and table_file(data).suffix.lower() not in (".parquet", ".pq")
    if not wide or (loss, penalty) != ("squared", "weights-free-skip") or lam == 0:
        raise ValueError(
            "proof: is of a CSV file with a column per task, squared loss, the penalty weights-free-skip and "
            "lam > 0; leave out --proof, or what differs from these"
        )


@app.command()
def verify(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="A proof that fit --proof wrote.")],
    data: Data,
    as_json: Json = False,
) -> None:
    """Check in exact arithmetic that a fit is as near the best one possible as its proof says.

    The exit code is 1 where the proof is refused. The file proofs/checker.py of this package does the same
    by Python's standard library alone: read it, and nothing else need be trusted.
    """
    from ..proofs import proof_record, verify_proof

    found = verify_proof(proof, table_file(data))
    if as_json:
        print_json(proof_record(found))
    else:
        typer.echo(str(found))
    if not found.accepted:
        raise typer.Exit(1)
