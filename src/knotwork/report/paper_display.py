"""What `knotwork reproduce` shows: pieces as they are done, and the claims with their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid
from rich.text import Text

from ..experiments.experiment import Claim, Experiment, Result, Verdict
from ..experiments.running import Done
from .displays import console
from .text import count, one_line

_STYLE = {
    Verdict.HOLDS: "green",
    Verdict.CORRECTED: "yellow",
    Verdict.FAILS: "red",
    Verdict.OPEN: "blue",
}


class Pieces:
    """A bar on stderr of pieces done and left; lines where stderr is no terminal."""

    def __init__(self) -> None:
        self._terminal = console(stderr=True)
        columns = (
            TextColumn("pieces"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._bar = Progress(*columns, console=self._terminal)
        self._task = self._bar.add_task("", total=None, told="starting")

    def __enter__(self) -> Pieces:
        if self._terminal.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, done: Done) -> None:
        told = (
            f"{done.experiment} took {done.seconds:.1f} s" if done.experiment else "read from an earlier run"
        )
        if self._terminal.is_terminal:
            self._bar.update(self._task, total=done.of, completed=done.pieces, told=told)
        else:
            self._terminal.print(f"{done.pieces} of {done.of}: {told}", soft_wrap=True)


def show_experiments(experiments: Sequence[Experiment]) -> None:
    """Print the names that `reproduce` takes."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    grid.add_column("name", no_wrap=True)
    grid.add_column("figures", no_wrap=True)
    grid.add_column("what")
    for one in experiments:
        grid.add_row(Text(one.name), Text(_ranges(one.figures)), Text(one.title))
    console().print(grid)


def show_claims(results: Sequence[Result], files: Sequence[Path], seconds: float) -> None:
    """Print every claim with what was measured, how many hold, and where the page is."""
    terminal = console()
    claims = [claim for result in results for claim in result.claims]
    for claim in claims:
        _show_claim(terminal, claim)
    terminal.print(Text(tally(claims), style="bold"), soft_wrap=True)
    computed = sum(record.seconds for result in results for record in result.records)
    said = f"{seconds:.0f} s; the records took {computed:.0f} s when they were made"
    terminal.print(Text(said), soft_wrap=True)
    terminal.print(Text("wrote    " + ", ".join(str(file) for file in files)), soft_wrap=True)


def tally(claims: Sequence[Claim]) -> str:
    """How many claims there are, and of which verdict."""
    seen = Counter(claim.verdict for claim in claims)
    parts = [f"{seen[verdict]} {verdict.value}" for verdict in Verdict if seen[verdict]]
    return f"{count(len(claims), 'claim')}: {', '.join(parts) or 'none'}"


def _show_claim(terminal: Console, claim: Claim) -> None:
    head = Text(f"{claim.verdict.value}: ", style=f"bold {_STYLE[claim.verdict]}")
    head.append(f"{claim.where}: {one_line(claim.says)}", style="not bold default")
    terminal.print(head, soft_wrap=True)
    terminal.print(Text(f"  measured: {one_line(claim.measured)}"), soft_wrap=True)
    if claim.correction:
        terminal.print(Text(f"  instead: {one_line(claim.correction)}"), soft_wrap=True)


def _ranges(figures: Sequence[str]) -> str:
    """B 1, B 2, B 3 as B 1-3."""
    if len(figures) < 3:
        return ", ".join(figures)
    return f"{figures[0]}-{figures[-1].split()[-1]}"
