"""The command line: parses arguments, calls, asks report to draw, prints."""

from __future__ import annotations

import csv
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .report.text import one_line

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Certified fits of many series with shared knots.",
)

_Data = Annotated[str, typer.Argument(metavar="DATA", help="A CSV or Parquet file, or a bundled table.")]
_Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model.safetensors file.")]
_Input = Annotated[str | None, typer.Option("--input", help="The input column; dates become days.")]
_Tasks = Annotated[str | None, typer.Option("--tasks", help="Columns (or series) to fit, as a,b,c.")]
_Series = Annotated[str | None, typer.Option("--series", help="Long table: the column of series names.")]
_Value = Annotated[str | None, typer.Option("--value", help="Long table: the column of labels.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def _version(asked: bool) -> None:
    if asked:
        from . import __version__

        typer.echo(f"knotwork {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def fit(
    data: _Data,
    input: _Input = None,
    tasks: _Tasks = None,
    series: _Series = None,
    value: _Value = None,
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
    as_json: _Json = False,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no picture.")] = False,
) -> None:
    """Fit all tasks with shared knots, to a certified gap; write model, tables and a picture."""
    from ._files import require_writable
    from .datasets import read_data
    from .fit_files import fit_record, write_fit
    from .report.displays import Rounds, show_fit
    from .workflow import DEFAULT_FOLDS, fit_table

    table = read_data(data, input=input, tasks=_names(tasks), series=series, value=value)
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
        from .report.figures import fit_figure

        files.append(folder / "fit.png")
        fit_figure(table, result.network, result.apart_networks(), files[-1], shown=result.shown)
    if as_json:
        _print_json(fit_record(result))
    else:
        show_fit(result, files)


@app.command()
def predict(
    model: _Model,
    data: _Data,
    input: _Input = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file to write.", show_default="print")
    ] = None,
) -> None:
    """Predict every task at the inputs of a table."""
    from .datasets import read_data
    from .fit_files import prediction_rows, print_rows, read_model, write_rows

    known = read_model(model)
    table = read_data(data, input=input or known.input_name, tasks=(), origin=known.origin)
    header, rows = [table.input_name, *known.output_names], prediction_rows(table, known.network)
    if out is None:
        print_rows(header, rows)
    else:
        write_rows(out, header, rows)


@app.command()
def certify(
    model: _Model,
    data: _Data,
    lam: Annotated[float, typer.Option("--lam", help="Strength of weight decay.")],
    input: _Input = None,
    tasks: _Tasks = None,
    series: _Series = None,
    value: _Value = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="task or none.", show_default="the scales of the model")
    ] = None,
    as_json: _Json = False,
) -> None:
    """How far a model is, at most, from the best network of any width on a table."""
    from .datasets import read_data
    from .fit_files import certificate_record, certify_model, read_model
    from .report.displays import show_certificate

    known = read_model(model)
    table = read_data(
        data,
        input=input or known.input_name,
        tasks=_names(tasks) or known.task_names,
        series=series,
        value=value,
        origin=known.origin,
    )
    certificate = certify_model(known, table, lam, scale)  # pyright: ignore[reportArgumentType]
    if as_json:
        _print_json({"lam": lam, **certificate_record(certificate)})
    else:
        show_certificate(certificate, lam)


@app.command()
def audit(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .pt, .pth, .safetensors, .onnx or .npz file.")
    ],
    data: _Data,
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
    tasks: _Tasks = None,
    series: _Series = None,
    value: _Value = None,
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
    as_json: _Json = False,
) -> None:
    """How far a trained network is from the global optimum, what in it is idle, and a better one.

    Inputs and labels are taken in the units of the table, those that the network was trained in: nothing
    is scaled.
    """
    from ._files import require_writable
    from .auditing import audit as audit_network
    from .auditing.case import read_case
    from .auditing.writing import check_ending, write_network
    from .report.displays import Rounds

    case = read_case(
        model,
        data,
        inputs=_names(input, "input", "input"),
        tasks=_names(tasks),
        series=series,
        value=value,
        lam=lam,
        weight_decay=weight_decay,
        loss_mean=loss_mean,  # pyright: ignore[reportArgumentType]
        losses=_names(loss, "loss", "loss") or (),
        penalty=penalty,
        layers=_pairs(layers),
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
        from .report.audit_page import audit_page
        from .report.page import write_page

        write_page(audit_page(found, case), place)
        files.append(place)
    if as_json:
        _print_json(case.record() | found.record())
    else:
        from .report.audit_display import show_audit

        show_audit(found, case, files)


@app.command()
def datasets() -> None:
    """List the bundled tables."""
    from .datasets import list_datasets
    from .report.displays import show_datasets

    show_datasets(list_datasets())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 after an error of the user's."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    often = gc.get_threshold()
    # what the imports make lives on: looking through it again and again costs a sixth of a small fit
    gc.set_threshold(100_000, 20, 20)
    try:
        code = app(args=arguments, prog_name="knotwork", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read our output (head, say) has gone; the exit would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (typer.Abort, KeyboardInterrupt):
        print("knotwork: aborted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, NotImplementedError, ImportError, OSError) as error:
        return _complain(str(error))
    except Exception as error:
        # typer has no public name for the base of its complaints about arguments
        if not hasattr(error, "format_message"):
            raise
        return _complain(error.format_message())  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        gc.set_threshold(*often)
    return code if isinstance(code, int) else 0


def _complain(message: str) -> int:
    print(f"knotwork: error: {one_line(message)}", file=sys.stderr)
    return 2


def _names(text: str | None, role: str = "tasks", one: str = "task") -> list[str] | None:
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


def _pairs(text: str | None) -> dict[str, str] | None:
    """hidden=a,output=b as a dictionary."""
    names = _names(text, "layers", "layer")
    if names is None:
        return None
    pairs = [name.partition("=") for name in names]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ValueError(f"layers: {wrong[0]!r} names no layer; write --layers hidden=NAME,output=NAME")
    return {role.strip(): layer.strip() for role, _, layer in pairs}


def _print_json(record: dict[str, Any]) -> None:
    typer.echo(json.dumps(record, indent=2, allow_nan=False))
