"""The command that says how sure a fit is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from ._shared import Data, Input, Json, Series, Tasks, Value, app, as_names, print_json


@app.command()
def bootstrap(
    data: Data,
    input: Input = None,
    tasks: Tasks = None,
    series: Series = None,
    value: Value = None,
    lam: Annotated[
        float | None,
        typer.Option("--lam", help="Strength of weight decay.", show_default="cross-validated, as by fit"),
    ] = None,
    lam_ratio: Annotated[
        float | None, typer.Option("--lam-ratio", help="lam over the least one without knots.")
    ] = None,
    replicates: Annotated[
        int, typer.Option("--replicates", help="How many fits to labels drawn anew.")
    ] = 200,
    scheme: Annotated[
        str,
        typer.Option("--scheme", help="What is drawn: residual (single rows) or block (consecutive rows)."),
    ] = "residual",
    block: Annotated[
        int | None,
        typer.Option("--block", help="Rows of a block; implies --scheme block.", show_default="N^(1/3)"),
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Bootstrap least squares on the knots, without shrinkage.")
    ] = False,
    level: Annotated[float, typer.Option("--level", help="Of the intervals.")] = 0.9,
    simultaneous: Annotated[
        bool, typer.Option("--simultaneous", help="Bands that hold at all inputs at once.")
    ] = False,
    scale: Annotated[str, typer.Option("--scale", help="task (standardise each task) or none.")] = "task",
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Processes for folds and replicates.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop then, with the replicates that are done.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to.", show_default="NAME-bootstrap")
    ] = None,
    as_json: Json = False,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no picture.")] = False,
) -> None:
    """How sure are the knots and predictions of a fit? Fits to labels drawn anew, at the same lam."""
    from .._files import replacing, require_writable
    from ..datasets import read_data
    from ..fit_files import write_rows
    from ..report.bootstrap_display import Replicates, show_bootstrap
    from ..report.bootstrap_words import BEND_COLUMNS, band_rows, bend_rows, bootstrap_record
    from ..selection.bootstrap import bootstrap as draw_replicates
    from ..selection.bootstrap_result import interval_ends
    from ..workflow import fit_table

    began = time.monotonic()
    interval_ends(level)
    table = read_data(data, input=input, tasks=as_names(tasks), series=series, value=value)
    folder = out or Path(f"{table.name}-bootstrap")
    require_writable(folder)
    with Replicates() as shown:
        result = fit_table(
            table,
            lam=lam,
            lam_ratio=lam_ratio,
            n_jobs=jobs,
            scale=scale,  # pyright: ignore[reportArgumentType]
            max_seconds=max_seconds,
            progress=shown,
        )
        found = draw_replicates(
            result.solution,
            replicates=replicates,
            scheme=scheme if block is None else "block",  # pyright: ignore[reportArgumentType]
            block=block,
            refit=refit,
            random_state=seed,
            n_jobs=jobs,
            max_seconds=None if max_seconds is None else max(max_seconds - (time.monotonic() - began), 1e-3),
            progress=shown.replicate_done,
        )
    record = bootstrap_record(result, found, level, simultaneous)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("bands.csv", "bends.csv", "bootstrap.json")]
    write_rows(files[0], *band_rows(result, found, level, simultaneous))
    write_rows(files[1], list(BEND_COLUMNS), bend_rows(result, found, level))
    with replacing(files[2]) as beside:
        beside.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if not no_picture:
        from ..report.bands import draw_bands
        from ..report.figures import palette_png

        files.append(folder / "bootstrap.png")
        figure = draw_bands(
            found,
            level=level,
            simultaneous=simultaneous,
            scaling=result.scaling,
            task_names=table.task_names,
            input_name=table.input_name,
            origin=table.origin,
        )
        palette_png(figure, files[-1])
    if as_json:
        print_json(record)
    else:
        show_bootstrap(result, found, level, files)
