"""What the command line shows of a bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from ..selection.bootstrap_result import Bootstrap
from ..workflow import FitResult
from .bootstrap_words import bend_rows
from .compare_display import _grid
from .displays import Rounds, _line, console
from .text import count

_MOST_BENDS = 40


class Replicates(Rounds):
    """Shows the replicates on stderr, and stops the bootstrap after the first Ctrl-C."""

    def __enter__(self) -> Replicates:
        super().__enter__()
        return self

    def replicate_done(self, done: int, of: int) -> bool:
        """To be called after every replicate."""
        if self._spinner is not None:
            what = "; stopping after this one (Ctrl-C again aborts)" if self.stopping else ""
            self._spinner.update(f"{done} of {of} replicates done{what}")
        return self.stopping


def show_bootstrap(result: FitResult, found: Bootstrap, level: float, files: Sequence[Path]) -> None:
    """Print how it was done, each bend with its intervals, and what was written."""
    terminal, table = console(), result.table
    rows, tasks = count(table.n_rows, "row"), count(table.n_tasks, "task")
    _line(terminal, "data", f"{table.name}: {rows}, {tasks}; input {table.input_name}")
    for notice in (*result.notices, *found.notices):
        _line(terminal, "note", notice)
    share = "" if result.lam_ratio is None else f" = {result.lam_ratio:.4g} lam_max"
    _line(terminal, "problem", f"lam = {found.solution.problem.lam:.6g}{share}, the same in every replicate")
    drawn = "single rows" if found.scheme == "residual" else f"blocks of {count(found.block, 'row')}"
    _line(
        terminal,
        "drawn",
        f"{count(found.n_replicates, 'replicate')} in {found.seconds:.2f} s: residuals of {drawn}, centred, "
        f"times {found.inflation.min():.3g} to {found.inflation.max():.3g} for degrees of freedom",
    )
    around = (
        "around least squares on the knots, chosen anew in every replicate"
        if found.refit
        else "around the penalised fit, which weight decay shrinks; --refit takes that off"
    )
    _line(terminal, "", f"intervals of {100.0 * level:g} % {around}")
    bends = bend_rows(result, found, level)
    _line(terminal, "bends", f"{len(bends)}; strengths in task units per {table.input_name}")
    if bends:
        grid = _grid("  place", "interval", "share", "strength", "interval")
        least = sorted(row[4] for row in bends)[-_MOST_BENDS:][0]
        for place, low, high, often, strength, weak, strong in bends:
            if strength < least:
                continue
            ends = "" if low == "" else f"{_place(low)} to {_place(high)}"
            sizes = f"{weak:.3g} to {strong:.3g}"
            grid.add_row(Text(f"  {_place(place)}"), Text(ends), f"{often:.0%}", f"{strength:.3g}", sizes)
        terminal.print(grid)
    _line(terminal, "wrote", ", ".join(str(file) for file in files))


def _place(label: object) -> str:
    return f"{label:.6g}" if isinstance(label, float) else str(label)
