"""The command that says whether tasks are better trained together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._shared import Data, Json, Series, Tasks, Value, app, as_names, print_json


@app.command()
def compare(
    data: Data,
    input: Annotated[
        str | None, typer.Option("--input", help="The input columns, as a,b,c; dates become days.")
    ] = None,
    tasks: Tasks = None,
    series: Series = None,
    value: Value = None,
    folds: Annotated[int, typer.Option("--folds", help="How many parts are held out in turn.")] = 5,
    repeats: Annotated[int, typer.Option("--repeats", help="How often, in new random parts.")] = 5,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            help="What is held out: rows (random inputs), labels (single labels), blocks (runs of inputs) or "
            "gaps (runs of each task).",
        ),
    ] = "rows",
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Compared beside together and apart: linear,kernel,boosting; none for neither.",
            show_default="all",
        ),
    ] = None,
    lam: Annotated[
        float | None,
        typer.Option("--lam", help="Strength of weight decay.", show_default="chosen on the training part"),
    ] = None,
    loss: Annotated[str, typer.Option("--loss", help="squared, huber or quantile.")] = "squared",
    scale: Annotated[str, typer.Option("--scale", help="task (standardise each task) or none.")] = "task",
    level: Annotated[float, typer.Option("--level", help="Of the intervals.")] = 0.95,
    margin: Annotated[
        float, typer.Option("--margin", help="Errors within this share of each other are no difference.")
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", help="Of the random parts.")] = 0,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Processes for the folds.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop then, with the folds that are done.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The page to write.", show_default="NAME-compare.html")
    ] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no page.")] = False,
    as_json: Json = False,
) -> None:
    """Train the tasks together, apart, or does it make no difference? By errors at held-out labels.

    Also against plain linear regression, a Gaussian process with a ReLU kernel and gradient boosting.
    """
    from .._files import require_writable
    from ..comparing import compare as compare_tasks
    from ..comparing.case import read_case
    from ..report.compare_display import Folds, show_comparison

    case = read_case(
        data,
        inputs=as_names(input, "input", "input"),
        tasks=as_names(tasks),
        series=series,
        value=value,
    )
    place = None if no_page else (out or Path(f"{case.data}-compare.html"))
    if place is not None:
        require_writable(place.parent)
    named = as_names(methods, "methods", "method")
    with Folds() as shown:
        found = compare_tasks(
            case.X,
            case.Y,
            lam=lam,
            folds=folds,
            repeats=repeats,
            methods=() if named == ["none"] else named,
            loss=loss,
            scale=scale,
            scheme=scheme,  # pyright: ignore[reportArgumentType]
            level=level,
            margin=margin,
            random_state=seed,
            n_jobs=jobs,
            max_seconds=max_seconds,
            progress=shown.fold_done,
        )
    files: list[Path] = []
    if place is not None:
        from ..report.compare_page import compare_page
        from ..report.page import write_page

        place.parent.mkdir(parents=True, exist_ok=True)
        write_page(compare_page(found, case), place)
        files.append(place)
    if as_json:
        print_json({"data": case.data, "inputs": list(case.input_names), **found.record(case.task_names)})
    else:
        show_comparison(found, case, files)
