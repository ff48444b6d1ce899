"""The command that judges a network trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._shared import Data, Json, Series, Tasks, Value, app, as_names, as_pairs, print_json


@app.command()
def audit(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .pt, .pth, .safetensors, .onnx or .npz file.")
    ],
    data: Data,
    lam: Annotated[float | None, typer.Option("--lam", help="Strength of weight decay.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option("--weight-decay", help="PyTorch's (Adam or SGD), in place of --lam.")
    ] = None,
    loss_mean: Annotated[
        str | None,
        typer.Option(
            "--loss-mean",
            help="What PyTorch's loss was averaged over: all (labels), rows or none (a sum).",
            show_default="all",
        ),
    ] = None,
    loss: Annotated[
        str, typer.Option("--loss", help="squared, huber, logistic, ..., or one for each task, as a,b.")
    ] = "squared",
    penalty: Annotated[
        str | None,
        typer.Option(
            "--penalty",
            help="What is decayed: all or weights, with a skip connection where the model has one; or "
            "all-skip, all-nuclear, weights-free-skip.",
            show_default="all, weights with --lam",
        ),
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", help="The input columns in the model's order, as a,b,c.")
    ] = None,
    tasks: Tasks = None,
    series: Series = None,
    value: Value = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="Where the file leaves it open: hidden=NAME,output=NAME,skip=NAME."),
    ] = None,
    improve: Annotated[
        Path | None,
        typer.Option("--improve", help="Write the better network: .safetensors, .npz or .onnx."),
    ] = None,
    tol: Annotated[float, typer.Option("--tol", help="The solver stops at this relative gap.")] = 1e-8,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop the solver then; the bound so far is valid.")
    ] = None,
    max_cells: Annotated[
        int,
        typer.Option("--max-cells", help="In three inputs and more: enumerate no more cells, else search."),
    ] = 2_000_000,
    out: Annotated[
        Path | None, typer.Option("--out", help="The page to write.", show_default="MODEL-audit.html")
    ] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no page.")] = False,
    as_json: Json = False,
) -> None:
    """How far a trained network is from the global optimum, what in it is idle, and a better one.

    Inputs and labels are taken in the units of the table, those that the network was trained in: nothing
    is scaled.
    """
    from .._files import require_writable
    from ..auditing import audit as audit_network
    from ..auditing.case import read_case
    from ..auditing.writing import check_ending, write_network
    from ..report.displays import Rounds

    case = read_case(
        model,
        data,
        inputs=as_names(input, "input", "input"),
        tasks=as_names(tasks),
        series=series,
        value=value,
        lam=lam,
        weight_decay=weight_decay,
        loss_mean=loss_mean,  # pyright: ignore[reportArgumentType]
        losses=as_names(loss, "loss", "loss") or (),
        penalty=penalty,
        layers=as_pairs(layers),
    )
    place = None if no_page else (out or Path(f"{model.stem}-audit.html"))
    if improve is not None:
        check_ending(improve)
    for file in filter(None, (place, improve)):
        require_writable(file.parent)
    with Rounds() as rounds:
        found = audit_network(
            case.network,
            case.problem,
            tol=tol,
            max_seconds=max_seconds,
            max_cells=max_cells,
            progress=rounds,
        )
    files: list[Path] = []
    if improve is not None:
        write_network(found.improved, improve, metadata=case.record())
        files.append(improve)
    if place is not None:
        from ..report.audit_page import audit_page
        from ..report.page import write_page

        write_page(audit_page(found, case), place)
        files.append(place)
    if as_json:
        print_json(case.record() | found.record())
    else:
        from ..report.audit_display import show_audit

        show_audit(found, case, files)
