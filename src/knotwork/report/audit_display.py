"""What the command line shows of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..auditing import Audit
from ..auditing.case import Case
from .audit_words import (
    bound_sentences,
    improvement,
    neuron_sentences,
    objective_rows,
    uniqueness_sentence,
    verdict,
)
from .displays import console
from .text import count, one_line


def show_audit(audit: Audit, case: Case, files: Sequence[Path]) -> None:
    """Print the verdict, what it rests on, and what was written."""
    terminal = console()
    problem = audit.problem
    _lines(terminal, "verdict", [verdict(audit)], style="bold")
    labels = count(int(problem.n_labels.sum()), "label")
    data = f"{case.data}: {count(problem.n_rows, 'row')}, {count(problem.n_tasks, 'task')}, {labels}"
    _lines(terminal, "data", [f"{data}; inputs {', '.join(case.input_names)}"])
    _lines(terminal, "note", [*case.notices, *audit.notices])
    formula = f"{problem.loss_function.name} loss + lam ({problem.penalty.formula})"
    _lines(terminal, "problem", [formula, *case.how])
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    grid.add_column("  network", no_wrap=True)
    for name in ("objective", "neurons", "above the bound"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name, value, n_neurons, above, _ in objective_rows(audit):
        grid.add_row(Text(f"  {name}"), f"{value:.10g}", str(n_neurons), above)
    terminal.print(grid)
    _lines(terminal, "bound", bound_sentences(audit))
    _lines(terminal, "neurons", neuron_sentences(audit))
    _lines(terminal, "unique", [uniqueness_sentence(audit)])
    _lines(terminal, "better", [improvement(audit)])
    _lines(terminal, "wrote", [", ".join(str(file) for file in files)] if files else [])


def _lines(terminal: Console, label: str, texts: Sequence[str], style: str = "not bold") -> None:
    """A label and its sentences, one below the other."""
    for k, text in enumerate(texts):
        line = Text(f"{'' if k else label:<9}", style="bold")
        line.append(one_line(text), style=style)
        terminal.print(line, soft_wrap=True)
