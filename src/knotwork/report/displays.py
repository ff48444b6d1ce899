"""What the command line shows: the outcome of a fit, a certificate, and rounds while they run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table as Grid
from rich.text import Text

from ..certificate import Certificate
from ..datasets import Dataset
from ..solution import Status, TraceEntry
from ..workflow import FitResult, Knot
from .text import count, one_line

_MOST_KNOTS = 40


def console(*, stderr: bool = False) -> Console:
    """A terminal that takes every text literally: no markup, no emoji names, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


class Rounds:
    """Called every round: shows it on stderr, and stops the solver after the first Ctrl-C.

    A second Ctrl-C interrupts as usual. Nothing is shown where stderr is no terminal.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._previous: Any = None
        terminal = console(stderr=True)
        self._spinner = Spinner("reading", console=terminal) if terminal.is_terminal else None

    def __enter__(self) -> Rounds:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._interrupted)
        if self._spinner is not None:
            self._spinner.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def __call__(self, entry: TraceEntry) -> bool:
        if self._spinner is not None:
            what = "stopping after this round (Ctrl-C again aborts)" if self.stopping else "solving"
            self._spinner.update(
                f"{what}: round {entry.round}, {count(entry.n_knots, 'knot')}, "
                f"objective {entry.objective:.6g}, gap {entry.gap:.2g}"
            )
        return self.stopping

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def show_fit(result: FitResult, files: Sequence[Path]) -> None:
    """Print what was solved, how it ended, and what it means."""
    terminal = console()
    table, solution = result.table, result.solution
    missing = count(table.n_missing, "label") if table.n_missing else "no label"
    since = "" if table.origin is None else f" in days since {table.origin}"
    _line(
        terminal,
        "data",
        f"{table.name}: {count(table.n_rows, 'row')}, {count(table.n_tasks, 'task')}, {missing} missing; "
        f"input {table.input_name}{since}",
    )
    for notice in result.notices:
        _line(terminal, "note", notice)
    _show_choice(terminal, result)
    share = "" if result.lam_ratio is None else f" = {result.lam_ratio:.4g} lam_max"
    lam = solution.problem.lam
    loss = f"squared error / 2 + lam {solution.problem.penalty.formula}" if lam > 0 else "interpolation"
    _line(terminal, "problem", f"{loss}; lam = {lam:.6g}{share}")
    if result.scale == "task":
        _line(terminal, "", "every task standardised first; lam, objective and gap are of that problem")
    if solution.status is not Status.OPTIMAL:
        terminal.print(Text(f"warning  {solution.status.value}", style="bold yellow"), soft_wrap=True)
    else:
        _line(terminal, "outcome", solution.status.value)
    _show_numbers(terminal, solution.certificate)
    _line(terminal, "", f"{count(len(solution.trace), 'round')}, {result.seconds:.2f} s in all")
    _show_knots(terminal, result)
    if result.refit is not None:
        left = result.refit.residual_sum_of_squares
        shrunk = 2.0 * solution.problem.loss_value(solution.network)
        _line(
            terminal,
            "refit",
            f"without shrinkage, {count(result.refit.df, 'free parameter')}: residual sum of squares "
            f"{left:.6g} instead of {shrunk:.6g}; fitted.csv is of the refit",
        )
    _line(terminal, "wrote", ", ".join(str(file) for file in files))


def show_certificate(certificate: Certificate, lam: float) -> None:
    """Print the numbers of a certificate."""
    terminal = console()
    _line(terminal, "problem", f"lam = {lam:.6g}")
    _show_numbers(terminal, certificate)


def show_datasets(bundled: Sequence[Dataset]) -> None:
    """Print the bundled tables, their sources and licences."""
    terminal = console()
    for dataset in bundled:
        _line(terminal, dataset.name, dataset.title)
        _line(terminal, "", f"source: {dataset.source}")
        _line(terminal, "", f"licence: {dataset.licence}")


def _show_choice(terminal: Console, result: FitResult) -> None:
    """How held-out data chose lam."""
    found = result.cross_validation
    if found is None:
        return
    how = "runs of inputs" if result.scheme == "blocked" else "every k-th input"
    _line(terminal, "chosen", f"lam by {len(found.folds)}-fold cross-validation, {how} held out")
    per = 1.0 if result.lam_max == 0 else result.lam_max
    for name, lam in (("min", found.lam_min), ("1se", found.lam_1se)):
        at = np.flatnonzero(found.lams == lam)
        if len(at):
            i = int(at[0])
            what = "least" if name == "min" else "largest lam within one error of it"
            mark = " <- used" if name == found.rule else ""
            _line(
                terminal,
                "",
                f"{name}: {lam / per:.4g} lam_max, held-out loss {found.mean_loss[i]:.4g} "
                f"± {found.standard_error[i]:.2g} per label ({what}){mark}",
            )


def _show_numbers(terminal: Console, certificate: Certificate) -> None:
    _line(
        terminal,
        "",
        f"objective {certificate.primal:.10g}, at least {certificate.dual:.10g} for any network of any width",
    )
    _line(terminal, "", f"gap {certificate.gap:.3g}, relative gap {certificate.relative_gap:.3g}")
    _line(terminal, "rigour", certificate.rigour.value)


def _show_knots(terminal: Console, result: FitResult) -> None:
    knots = result.knots()
    alone = sum(one.network.n_neurons for one in result.apart)
    apart = f"; each task alone: {alone} in all" if len(result.apart) == result.table.n_tasks > 1 else ""
    _line(terminal, "knots", f"{len(knots)} shared by {count(result.table.n_tasks, 'task')}{apart}")
    if not knots:
        return
    shown: list[Knot] = knots
    if len(knots) > _MOST_KNOTS:
        weakest = sorted(knot.strength for knot in knots)[-_MOST_KNOTS]
        shown = [knot for knot in knots if knot.strength >= weakest]
        _line(terminal, "", f"the {len(shown)} strongest are shown; all are in knots.csv")
    largest = max(knot.strength for knot in knots)
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    grid.add_column(Text(f"  {one_line(result.table.input_name, 30)}"), justify="right", no_wrap=True)
    grid.add_column("strength", justify="right", no_wrap=True)
    grid.add_column("", no_wrap=True)
    grid.add_column("tasks that bend most")
    for knot in shown:
        place = knot.label if isinstance(knot.label, str) else f"{knot.label:.8g}"
        bar = "▪" * max(1, round(10 * knot.strength / largest))
        leaders = ", ".join(one_line(name, 36) for name in knot.leaders)
        grid.add_row(Text(place), f"{knot.strength:.3g}", Text(bar, style="blue"), Text(leaders))
    terminal.print(grid)


def _line(terminal: Console, label: str, text: str) -> None:
    line = Text(f"{label:<9}" if len(label) < 9 else f"{label}  ", style="bold")
    line.append(one_line(text), style="not bold")
    terminal.print(line, soft_wrap=True)
