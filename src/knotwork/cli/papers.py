"""The command that computes the figures and claims of both papers."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from ._shared import Json, app, print_json


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAMES...]",
            help="Experiments, beginnings of their names (a, b-figure) or figures ('A 4').",
            show_default="all",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes, the same claims.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", help="Random draws of each experiment.", show_default="its own number"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", help="Processes; -1 for one a core. Records do not depend on it."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of records, page and claims; a run goes on where it was.")
    ] = Path("reproduction"),
    interactive: Annotated[
        bool,
        typer.Option("--interactive", help="Also surfaces to turn and points to drag, in the same page."),
    ] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="Also every figure as a PNG file.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the experiments and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Compute every figure and claim of both papers, and one page of them."""
    from ..experiments.catalogue import chosen
    from ..experiments.experiment import Plan
    from ..report.paper_display import Pieces, show_claims, show_experiments

    experiments = chosen(names or [])
    if listed:
        show_experiments(experiments)
        return
    from .._files import replacing, require_writable
    from ..experiments.running import run
    from ..report.page import write_page
    from ..report.paper_page import paper_page, require_interactive

    if interactive:
        require_interactive()
    require_writable(out)
    began = time.perf_counter()
    with Pieces() as pieces:
        results = run(experiments, out / "records", plan=Plan(quick, seeds), n_jobs=jobs, progress=pieces)
    page, claims = out / "index.html", out / "claims.json"
    options = [*(["--quick"] if quick else []), *(["--seeds", str(seeds)] if seeds else [])]
    options += ["--interactive"] if interactive else []
    command = shlex.join(["knotwork", "reproduce", *(names or []), *options])
    write_page(paper_page(results, command=command, interactive=interactive), page)
    files = [page, claims, out / "records"]
    if pictures:
        from ..report.gallery import gallery

        gallery(results, out / "pictures")
        files.append(out / "pictures")
    record = {"command": command, "experiments": [result.summary() for result in results]}
    with replacing(claims) as beside:
        beside.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if as_json:
        print_json(record)
    else:
        show_claims(results, files, time.perf_counter() - began)
