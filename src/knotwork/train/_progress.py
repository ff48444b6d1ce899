"""A progress bar on the console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..solution import TraceEntry
from ..solvers.watch import Progress


@contextmanager
def bar(steps: int, done: int) -> Iterator[Progress]:
    """Steps done and left, the least objective of all seeds and its gap, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("steps"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task("train", total=steps, completed=done, told="")

        def report(entry: TraceEntry) -> None:
            told = f"objective {entry.objective:.6g}"
            if entry.gap < float("inf"):
                told += f", gap {entry.gap:.2g}"
            shown.update(task, completed=entry.round, told=told)

        yield report
