"""Commands that fit a table, and use a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._shared import Data, Input, Json, Model, Series, Tasks, Value, app, as_names, print_json


@app.command()
def fit(
    data: Data,
    input: Input = None,
    tasks: Tasks = None,
    series: Series = None,
    value: Value = None,
    lam: Annotated[
        float | None, typer.Option("--lam", help="Strength of weight decay; 0 interpolates.")
    ] = None,
    lam_ratio: Annotated[
        float | None,
        typer.Option("--lam-ratio", help="lam over the least one without knots."),
    ] = None,
    n_knots: Annotated[
        int | None, typer.Option("--n-knots", help="Take the largest lam with at least so many knots.")
    ] = None,
    cv: Annotated[
        bool, typer.Option("--cv", help="Choose lam by cross-validation, as when nothing else is given.")
    ] = False,
    folds: Annotated[
        int | None, typer.Option("--folds", help="How many parts are held out in turn.", show_default="10")
    ] = None,
    blocked: Annotated[
        bool | None,
        typer.Option(
            "--blocked/--interleaved",
            help="Hold out runs of inputs, or every k-th one.",
            show_default="blocked",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule", help="min (least loss) or 1se (largest lam within one error).", show_default="1se"
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Processes for the folds.")] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Also fit the knots without shrinkage; fitted.csv is of that.")
    ] = False,
    scale: Annotated[str, typer.Option("--scale", help="task (standardise each task) or none.")] = "task",
    tol: Annotated[float, typer.Option("--tol", help="Stop at this relative gap.")] = 1e-8,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop then, with the best fit so far.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to.", show_default="NAME-fit")
    ] = None,
    as_json: Json = False,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no picture.")] = False,
) -> None:
    """Fit all tasks with shared knots, to a certified gap; write model, tables and a picture."""
    from .._files import require_writable
    from ..datasets import read_data
    from ..fit_files import fit_record, write_fit
    from ..report.displays import Rounds, show_fit
    from ..workflow import DEFAULT_FOLDS, fit_table

    table = read_data(data, input=input, tasks=as_names(tasks), series=series, value=value)
    folder = out or Path(f"{table.name}-fit")
    require_writable(folder)
    asked = cv or any(one is not None for one in (blocked, rule, jobs))
    with Rounds() as rounds:
        result = fit_table(
            table,
            lam=lam,
            lam_ratio=lam_ratio,
            n_knots=n_knots,
            cv=DEFAULT_FOLDS if asked and folds is None else folds,
            scheme="interleaved" if blocked is False else "blocked",
            rule=rule or "1se",  # pyright: ignore[reportArgumentType]
            n_jobs=jobs,
            refit=refit,
            scale=scale,  # pyright: ignore[reportArgumentType]
            tol=tol,
            max_seconds=max_seconds,
            progress=rounds,
        )
    files = write_fit(result, folder)
    if not no_picture:
        from ..report.figures import fit_figure

        files.append(folder / "fit.png")
        fit_figure(table, result.network, result.apart_networks(), files[-1], shown=result.shown)
    if as_json:
        print_json(fit_record(result))
    else:
        show_fit(result, files)


@app.command()
def predict(
    model: Model,
    data: Data,
    input: Input = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file to write.", show_default="print")
    ] = None,
) -> None:
    """Predict every task at the inputs of a table."""
    from ..datasets import read_data
    from ..fit_files import prediction_rows, print_rows, read_model, write_rows

    known = read_model(model)
    table = read_data(data, input=input or known.input_name, tasks=(), origin=known.origin)
    header, rows = [table.input_name, *known.output_names], prediction_rows(table, known.network)
    if out is None:
        print_rows(header, rows)
    else:
        write_rows(out, header, rows)


@app.command()
def certify(
    model: Model,
    data: Data,
    lam: Annotated[float, typer.Option("--lam", help="Strength of weight decay.")],
    input: Input = None,
    tasks: Tasks = None,
    series: Series = None,
    value: Value = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="task or none.", show_default="the scales of the model")
    ] = None,
    as_json: Json = False,
) -> None:
    """How far a model is, at most, from the best network of any width on a table."""
    from ..datasets import read_data
    from ..fit_files import certificate_record, certify_model, read_model
    from ..report.displays import show_certificate

    known = read_model(model)
    table = read_data(
        data,
        input=input or known.input_name,
        tasks=as_names(tasks) or known.task_names,
        series=series,
        value=value,
        origin=known.origin,
    )
    certificate = certify_model(known, table, lam, scale)  # pyright: ignore[reportArgumentType]
    if as_json:
        print_json({"lam": lam, **certificate_record(certificate)})
    else:
        show_certificate(certificate, lam)


@app.command()
def datasets() -> None:
    """List the bundled tables."""
    from ..datasets import list_datasets
    from ..report.displays import show_datasets

    show_datasets(list_datasets())
