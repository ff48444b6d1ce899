"""Commands that fit a table, and use a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._shared import Data, Json, Model, Series, Tasks, Value, app, as_names, print_json
from .proofs import check_provable, table_file

Inputs = Annotated[
    str | None, typer.Option("--input", help="The input columns, as a,b,c; dates become days.")
]
_EXTRAPOLATION = "Outside of the fit's inputs: linear, constant (as at the nearest one inside) or raise."


@app.command()
def fit(
    data: Data,
    input: Inputs = None,
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
        int | None,
        typer.Option(
            "--folds",
            help="How many parts are held out in turn.",
            show_default="10; 5 for several inputs, other losses and penalties",
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme",
            help="What is held out: blocked (runs of inputs), interleaved (every k-th one), random (inputs), "
            "or of each task by itself labels or gaps (runs of them).",
            show_default="blocked; random for several inputs",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule", help="min (least loss) or 1se (largest lam within one error).", show_default="1se"
        ),
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option(
            "--criterion",
            help="Of the held-out losses: mean (all labels alike) or log (of each task's, all tasks alike).",
            show_default="mean",
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Processes for the folds.")] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Also fit the knots without shrinkage; fitted.csv is of that.")
    ] = False,
    loss: Annotated[
        str,
        typer.Option(
            "--loss",
            help="squared, huber (huber:0.5), quantile:0.9, poisson, logistic, multinomial; or one for "
            "each task, as a,b.",
        ),
    ] = "squared",
    penalty: Annotated[
        str,
        typer.Option(
            "--penalty",
            help="What is decayed: weights-free-skip, weights (no linear part), or biases too: all, "
            "all-skip, all-nuclear.",
        ),
    ] = "weights-free-skip",
    scale: Annotated[
        str, typer.Option("--scale", help="task (standardise each task, and several inputs) or none.")
    ] = "task",
    extrapolation: Annotated[str, typer.Option("--extrapolation", help=_EXTRAPOLATION)] = "linear",
    tol: Annotated[float, typer.Option("--tol", help="Stop at this relative gap.")] = 1e-8,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop then, with the best fit so far.")
    ] = None,
    max_cells: Annotated[
        int | None,
        typer.Option(
            "--max-cells",
            help="Several inputs: prove by enumerating so many cells, else search.",
            show_default="50000",
        ),
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read a Parquet or .npy file in pieces.",
            show_default="where it is larger than a tenth of the memory",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to.", show_default="NAME-fit")
    ] = None,
    as_json: Json = False,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no picture.")] = False,
    band: Annotated[
        float | None,
        typer.Option(
            "--band",
            help="Also what all networks within this share of the optimum predict, as 0.01; one input.",
        ),
    ] = None,
    proof: Annotated[
        bool, typer.Option("--proof", help="Also write proof.json, for knotwork verify: the gap, exactly.")
    ] = False,
) -> None:
    """Fit all tasks with shared knots, to a certified gap; write model, tables and a picture."""
    from .._files import require_writable
    from ..datasets.columns import read_task_columns
    from ..fit_files import fit_record, write_fit
    from ..report.displays import Rounds, show_fit
    from ..workflow import MAX_CELLS, check_band, fit_table, is_large, prediction_band

    if proof:
        check_provable(data, series, loss, penalty, lam)
    if is_large(data) if stream is None else stream:
        _refuse_in_pieces(
            {
                "series": series,
                "value": value,
                "n-knots": n_knots,
                "cv": cv or None,
                "folds": folds,
                "scheme": scheme,
                "rule": rule,
                "criterion": criterion,
                "jobs": jobs,
                "refit": refit or None,
                "loss": None if loss == "squared" else loss,
                "penalty": None if penalty == "weights-free-skip" else penalty,
                "max-cells": max_cells,
                "proof": proof or None,
                "band": band,
            }
        )
        _fit_in_pieces(
            data,
            input,
            tasks,
            lam,
            lam_ratio,
            scale,
            extrapolation,
            tol,
            max_seconds,
            out,
            as_json,
            no_picture,
        )
        return
    columns = read_task_columns(data, as_names(input, "input", "input"), as_names(tasks), series, value)
    folder = out or Path(f"{columns.table.name}-fit")
    require_writable(folder)
    check_band(band, columns.n_inputs)
    asked = cv or any(one is not None for one in (scheme, rule, criterion, jobs))
    losses = as_names(loss, "loss", "loss") or []
    with Rounds() as rounds:
        result = fit_table(
            columns,
            lam=lam,
            lam_ratio=lam_ratio,
            n_knots=n_knots,
            cv=True if asked and folds is None else folds,
            scheme=scheme,  # pyright: ignore[reportArgumentType]
            rule=rule or "1se",  # pyright: ignore[reportArgumentType]
            criterion=criterion or "mean",  # pyright: ignore[reportArgumentType]
            n_jobs=jobs,
            refit=refit,
            scale=scale,  # pyright: ignore[reportArgumentType]
            loss=losses[0] if len(losses) == 1 else losses,
            penalty=penalty,
            extrapolation=extrapolation,  # pyright: ignore[reportArgumentType]
            tol=tol,
            max_seconds=max_seconds,
            max_cells=MAX_CELLS if max_cells is None else max_cells,
            progress=rounds,
        )
    left = None if max_seconds is None else max(max_seconds - result.seconds, 1e-3)
    ends = None if band is None else prediction_band(result, band, max_seconds=left)
    files = write_fit(result, folder, ends)
    if not no_picture:
        from ..report.figures import result_figure

        files.append(folder / "fit.png")
        result_figure(result, files[-1], ends)
    if proof:
        from ..proofs import write_proof

        files.append(folder / "proof.json")
        write_proof(result, files[-1], table_file(data))
    if as_json:
        print_json(fit_record(result, ends))
    else:
        show_fit(result, files, ends)


def _refuse_in_pieces(given: dict[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name}: is not for a file that is read in pieces, which takes one input, squared loss and "
                "--lam or --lam-ratio; leave it out, or read the file whole with --no-stream"
            )


def _fit_in_pieces(
    data: str,
    input: str | None,
    tasks: str | None,
    lam: float | None,
    lam_ratio: float | None,
    scale: str,
    extrapolation: str,
    tol: float,
    max_seconds: float | None,
    out: Path | None,
    as_json: bool,
    no_picture: bool,
) -> None:
    from .._files import require_writable
    from ..fit_files import file_fit_record, write_file_fit
    from ..report.displays import Rounds, show_file_fit
    from ..streaming.reading import ReadingStopped
    from ..workflow import fit_file

    names = as_names(input, "input", "input")
    if names is not None and len(names) > 1:
        raise ValueError("input: a file that is read in pieces has one; name one, or use --no-stream")
    folder = out or Path(f"{Path(data).stem}-fit")
    require_writable(folder)
    try:
        with Rounds() as rounds:
            result = fit_file(
                data,
                input=None if names is None else names[0],
                tasks=as_names(tasks),
                lam=lam,
                lam_ratio=lam_ratio,
                scale=scale,  # pyright: ignore[reportArgumentType]
                extrapolation=extrapolation,  # pyright: ignore[reportArgumentType]
                tol=tol,
                max_seconds=max_seconds,
                progress=rounds,
            )
    except ReadingStopped as stopped:
        raise ValueError(str(stopped)) from None
    files = write_file_fit(result, folder)
    if not no_picture:
        from ..report.figures import result_figure

        files.append(folder / "fit.png")
        result_figure(result, files[-1])
    if as_json:
        print_json(file_fit_record(result))
    else:
        show_file_fit(result, files)


@app.command()
def predict(
    model: Model,
    data: Data,
    input: Inputs = None,
    extrapolation: Annotated[
        str | None,
        typer.Option("--extrapolation", help=_EXTRAPOLATION, show_default="as the fit was told"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file to write.", show_default="print")
    ] = None,
) -> None:
    """Predict every task at the inputs of a table: f, rates under Poisson loss, probabilities of classes."""
    from ..datasets.columns import read_inputs
    from ..fit_files import prediction_rows, print_rows, read_model, write_rows
    from ..workflow import check_extrapolation

    if extrapolation is not None:
        check_extrapolation(extrapolation)
    known = read_model(model)
    columns = read_inputs(data, as_names(input, "input", "input") or known.input_names, known.origins)
    predicted = known.predict(columns.X, extrapolation)  # pyright: ignore[reportArgumentType]
    header, rows = [*columns.names, *known.output_names], prediction_rows(columns, predicted)
    if out is None:
        print_rows(header, rows)
    else:
        write_rows(out, header, rows)


@app.command()
def certify(
    model: Model,
    data: Data,
    lam: Annotated[float, typer.Option("--lam", help="Strength of weight decay.")],
    input: Inputs = None,
    tasks: Tasks = None,
    series: Series = None,
    value: Value = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="task or none.", show_default="the scales of the model")
    ] = None,
    as_json: Json = False,
) -> None:
    """How far a model is, at most, from the best network of any width on a table."""
    from ..datasets.columns import read_task_columns
    from ..fit_files import certificate_record, certify_model, read_model
    from ..report.displays import show_certificate

    known = read_model(model)
    columns = read_task_columns(
        data,
        as_names(input, "input", "input") or known.input_names,
        as_names(tasks) or known.task_names,
        series,
        value,
        known.origins,
    )
    certificate = certify_model(known, columns, lam, scale)  # pyright: ignore[reportArgumentType]
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
