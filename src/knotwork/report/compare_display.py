"""What the command line shows of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table as Grid
from rich.text import Text

from ..comparing import Comparison
from ..comparing.case import Case
from .audit_display import _lines
from .compare_words import how_sentences, method_rows, task_rows
from .displays import Rounds, console
from .text import one_line

_MOST_TASKS = 40
_LONGEST_NAME = 36


class Folds(Rounds):
    """Shows the folds on stderr, and stops the comparison after the first Ctrl-C."""

    def __enter__(self) -> Folds:
        super().__enter__()
        return self

    def fold_done(self, done: int, of: int) -> bool:
        """To be called after every fold."""
        if self._spinner is not None:
            what = "; stopping after this one (Ctrl-C again aborts)" if self.stopping else ""
            self._spinner.update(f"{done} of {of} folds done{what}")
        return self.stopping


def show_comparison(found: Comparison, case: Case, files: Sequence[Path]) -> None:
    """Print the verdict, the errors it rests on, and what was written."""
    terminal = console()
    _lines(terminal, "verdict", [found.sentence], style="bold")
    grid = _grid("  method", "error", "against apart", f"{100.0 * found.level:g} % interval")
    for name, error, over, ends, _ in method_rows(found):
        grid.add_row(Text(f"  {one_line(name, _LONGEST_NAME)}"), f"{error:.4g}", over, ends)
    terminal.print(grid)
    grid = _grid("  task", "together", "apart", "together is", f"{100.0 * found.level:g} % interval", "train")
    rows = task_rows(found, case)
    for name, together, apart, over, ends, verdict in rows[:_MOST_TASKS]:
        label = Text(f"  {one_line(name, _LONGEST_NAME)}")
        grid.add_row(label, f"{together:.4g}", f"{apart:.4g}", over, ends, verdict)
    terminal.print(grid)
    if len(rows) > _MOST_TASKS:
        _lines(
            terminal, "", [f"the first {_MOST_TASKS} of {len(rows)} tasks; all are in the page and --json"]
        )
    _lines(terminal, "how", [*how_sentences(found, case), f"{found.seconds:.1f} s in all"])
    _lines(terminal, "wrote", [", ".join(str(file) for file in files)] if files else [])


def _grid(*columns: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    first, *others = columns
    grid.add_column(first, no_wrap=True)
    for name in others:
        grid.add_column(name, justify="right", no_wrap=True)
    return grid
