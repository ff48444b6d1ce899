"""What the command line shows: the outcome of a fit, a certificate, and rounds while they run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table as Grid
from rich.text import Text

from ..certificate import Certificate
from ..datasets import Dataset
from ..datasets.columns import Columns
from ..dual_norm import Rigour
from ..losses import Loss, PerTask, Squared
from ..penalty import Penalty
from ..solution import Status, TraceEntry
from ..storage import loss_record
from ..streaming.reading import Reading
from ..workflow import FileFitResult, FitResult, Knot, Neuron, PredictionBand, is_straight
from .text import count, one_line

_MOST_KNOTS = 40
_MOST_WEIGHTS = 3
_HELD_OUT = {
    "blocked": "runs of inputs",
    "interleaved": "every k-th input",
    "random": "rows at random",
    "labels": "single labels at random",
    "gaps": "runs of labels of each task",
}


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

    def __call__(self, entry: TraceEntry | Reading) -> bool:
        if self._spinner is not None:
            if isinstance(entry, Reading):
                said = f"reading for the {entry.stage}: row {entry.rows:,} of {entry.n_rows:,}"
            else:
                said = (
                    f"solving: round {entry.round}, {count(entry.n_knots, 'knot')}, "
                    f"objective {entry.objective:.6g}, gap {entry.gap:.2g}"
                )
            if self.stopping:
                said = f"stopping after this (Ctrl-C again aborts); {said}"
            self._spinner.update(said)
        return self.stopping

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def show_fit(result: FitResult, files: Sequence[Path], band: PredictionBand | None = None) -> None:
    """Print what was solved, how it ended, and what it means."""
    terminal = console()
    solution = result.solution
    _show_data(terminal, result.columns, result.table.n_rows, result.table.n_missing, result.notices)
    _show_choice(terminal, result)
    problem = solution.problem
    loss, lam = _loss_text(problem.loss_function), problem.lam
    _show_problem(terminal, f"{loss} + lam {problem.penalty.formula}", lam, result.lam_ratio)
    if standardised := _standardised(result):
        _line(terminal, "", f"{standardised} standardised first; lam, objective and gap are of that problem")
    _show_status(terminal, solution.status)
    _show_numbers(terminal, solution.certificate)
    _line(terminal, "", f"{count(len(solution.trace), 'round')}, {result.seconds:.2f} s in all")
    if result.columns.n_inputs > 1:
        _show_neurons(terminal, result)
    else:
        alone = sum(one.network.n_neurons for one in result.apart)
        apart = f"; each task alone: {alone} in all" if len(result.apart) == result.table.n_tasks > 1 else ""
        _show_knots(terminal, result.knots(), result.columns, apart)
    if result.refit is not None:
        left = result.refit.residual_sum_of_squares
        shrunk = 2.0 * solution.problem.loss_value(solution.network)
        _line(
            terminal,
            "refit",
            f"without shrinkage, {count(result.refit.df, 'free parameter')}: residual sum of squares "
            f"{left:.6g} instead of {shrunk:.6g}; fitted.csv is of the refit",
        )
    if band is not None:
        found = band.ambiguity
        proven = "a search" if found.rigour is Rigour.HEURISTIC else "proof"
        width = np.nanmean(np.where(np.isfinite(found.high - found.low), found.high - found.low, np.nan))
        some = "" if found.finished else "; stopped early: some ends are wider than need be"
        _line(
            terminal,
            "band",
            f"of all networks within {100.0 * found.eps:g} % of the optimum, by {proven}: on average "
            f"{width:.3g} wide in units of the fit{some}",
        )
    _line(terminal, "wrote", ", ".join(str(file) for file in files))


def show_file_fit(result: FileFitResult, files: Sequence[Path]) -> None:
    """Print the same of a file that was read in pieces."""
    terminal = console()
    fit = result.fit
    _show_data(terminal, result.columns, fit.n_rows, result.n_missing, result.notices)
    ratio = fit.lam / fit.lam_max if fit.lam_max > 0 else None
    _show_problem(terminal, f"squared error / 2 + lam {Penalty().formula}", fit.lam, ratio)
    if result.scale == "task":
        _line(terminal, "", "every task standardised first; lam, objective and gap are of that problem")
    _show_status(terminal, fit.status)
    _show_gap(terminal, fit.primal, fit.dual, fit.gap, fit.relative_gap)
    _line(terminal, "rigour", fit.rigour.value)
    order = ", sorted first" if fit.sorted_rows else ""
    _line(
        terminal,
        "",
        f"{count(len(fit.trace), 'round')}, the file read {fit.passes:.2g} times{order}, "
        f"{result.seconds:.2f} s in all",
    )
    _show_knots(terminal, result.knots(), result.columns, "")
    _line(terminal, "wrote", ", ".join(str(file) for file in files))


def _show_data(
    terminal: Console, columns: Columns, n_rows: int, n_missing: int, notices: Sequence[str]
) -> None:
    table = columns.table
    missing = count(n_missing, "label") if n_missing else "no label"
    if columns.n_inputs > 1:
        inputs = f"inputs {', '.join(columns.labels)}"
    else:
        since = "" if table.origin is None else f" in days since {table.origin}"
        inputs = f"input {table.input_name}{since}"
    _line(
        terminal,
        "data",
        f"{table.name}: {count(n_rows, 'row')}, {count(table.n_tasks, 'task')}, {missing} missing; {inputs}",
    )
    for notice in notices:
        _line(terminal, "note", notice)


def _show_problem(terminal: Console, objective: str, lam: float, ratio: float | None) -> None:
    share = "" if ratio is None else f" = {ratio:.4g} lam_max"
    _line(terminal, "problem", f"{objective if lam > 0 else 'interpolation'}; lam = {lam:.6g}{share}")


def _show_status(terminal: Console, status: Status) -> None:
    if status is Status.OPTIMAL:
        _line(terminal, "outcome", status.value)
    else:
        terminal.print(Text(f"warning  {status.value}", style="bold yellow"), soft_wrap=True)


def _standardised(result: FitResult) -> str:
    """What of the data was: "" where nothing was."""
    if result.scale == "none":
        return ""
    tasks = "every task" if is_straight(result.loss) else "every task but counts and classes"
    each = [result.loss] if not isinstance(result.loss, PerTask) else result.loss.losses
    inputs = result.columns.n_inputs > 1 or result.solution.problem.penalty.biases
    said = [tasks] if any(is_straight(one) for one in each) else []
    return ", ".join([*said, "every input"] if inputs else said)


def _loss_text(loss: Loss) -> str:
    if isinstance(loss, PerTask):
        return f"({', '.join(_loss_text(one) for one in loss.losses)})"
    if isinstance(loss, Squared):
        return "squared error / 2"
    record = loss_record(loss)
    if isinstance(record, str):
        return f"{record} loss"
    numbers = ", ".join(f"{name} = {value:g}" for name, value in record.items() if name != "name")
    return f"{loss.name} loss ({numbers})"


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
    how = _HELD_OUT[result.scheme]
    _line(terminal, "chosen", f"lam by {len(found.folds)}-fold cross-validation, {how} held out")
    if found.criterion == "log":
        loss, error = np.exp(found.score), np.exp(found.score) * found.score_error
        what_loss = "held-out loss, geometric mean over tasks,"
    else:
        loss, error, what_loss = found.mean_loss, found.standard_error, "held-out loss"
    per = 1.0 if result.lam_max == 0 else result.lam_max
    for name, lam in (("min", found.lam_min), ("1se", found.lam_1se)):
        at = np.flatnonzero(found.lams == lam)
        if len(at):
            i = int(at[0])
            what = "least" if name == "min" else "largest lam within one error of it"
            mark = " <- used" if name == found.rule else ""
            fit = result.solution if lam == found.lam else result.alternative if name == "min" else None
            bends = "" if fit is None else f"{count(fit.network.n_neurons, 'neuron')}, "
            _line(
                terminal,
                "",
                f"{name}: {lam / per:.4g} lam_max, {bends}{what_loss} {loss[i]:.4g} "
                f"± {error[i]:.2g} per label ({what}){mark}",
            )


def _show_numbers(terminal: Console, certificate: Certificate) -> None:
    searched = certificate.rigour is Rigour.HEURISTIC
    _show_gap(
        terminal,
        certificate.primal,
        certificate.dual,
        certificate.gap,
        certificate.relative_gap,
        "as far as a search can tell" if searched else "for any network of any width",
    )
    if searched:
        _line(terminal, "", f"proven: at least {certificate.bound:.10g}")
    _line(terminal, "rigour", certificate.rigour.value)


def _show_gap(
    terminal: Console,
    primal: float,
    dual: float,
    gap: float,
    relative_gap: float,
    whose: str = "for any network of any width",
) -> None:
    _line(terminal, "", f"objective {primal:.10g}, at least {dual:.10g} {whose}")
    _line(terminal, "", f"gap {gap:.3g}, relative gap {relative_gap:.3g}")


def _show_knots(terminal: Console, knots: Sequence[Knot], columns: Columns, apart: str) -> None:
    table = columns.table
    _line(terminal, "knots", f"{len(knots)} shared by {count(table.n_tasks, 'task')}{apart}")
    strengths = [knot.strength for knot in knots]
    rows = [
        (
            knot.label if isinstance(knot.label, str) else f"{knot.label:.8g}",
            knot.strength,
            knot.leaders,
        )
        for knot in knots
    ]
    _show_bends(terminal, one_line(table.input_name, 30), "strength", rows, strengths, "knots.csv")


def _show_neurons(terminal: Console, result: FitResult) -> None:
    """The costliest neurons, by the condition under which they are active."""
    neurons = result.neurons()
    n_tasks = count(result.table.n_tasks, "task")
    _line(
        terminal,
        "neurons",
        f"{len(neurons)} shared by {n_tasks}; each bends where the sum crosses the number",
    )
    rows = [
        (_condition(one, result.columns.names, result.input_scaling.scale), one.cost, one.leaders)
        for one in neurons
    ]
    _show_bends(terminal, "active where", "cost", rows, [one.cost for one in neurons], "neurons.csv")


def _condition(neuron: Neuron, names: Sequence[str], scale: NDArray[np.float64]) -> str:
    """w . x > -b with the weights that matter most, in units of the data."""
    weights = np.array(neuron.weights)
    order = np.argsort(-np.abs(weights * scale), kind="stable")
    kept = sorted(int(j) for j in order[:_MOST_WEIGHTS] if weights[j] != 0)
    terms = [f"{'-' if weights[j] < 0 else '+'} {abs(weights[j]):.3g} {one_line(names[j], 16)}" for j in kept]
    more = " + ..." if np.count_nonzero(weights) > len(kept) else ""
    return f"{' '.join(terms).removeprefix('+ ')}{more} > {-neuron.bias:.4g}"


def _show_bends(
    terminal: Console,
    where: str,
    size: str,
    rows: Sequence[tuple[str, float, Sequence[str]]],
    sizes: Sequence[float],
    file: str,
) -> None:
    """A table of what bends: where, how much, and the tasks that bend most."""
    if not rows:
        return
    if len(rows) > _MOST_KNOTS:
        weakest = sorted(sizes)[-_MOST_KNOTS]
        rows = [row for row in rows if row[1] >= weakest]
        _line(terminal, "", f"the {len(rows)} strongest are shown; all are in {file}")
    largest = max(sizes)
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    grid.add_column(Text(f"  {where}"), justify="right", no_wrap=True)
    grid.add_column(size, justify="right", no_wrap=True)
    grid.add_column("", no_wrap=True)
    grid.add_column("tasks that bend most")
    for place, value, leaders in rows:
        bar = "▪" * max(1, round(10 * value / largest))
        named = ", ".join(one_line(name, 36) for name in leaders)
        grid.add_row(Text(place), f"{value:.3g}", Text(bar, style="blue"), Text(named))
    terminal.print(grid)


def _line(terminal: Console, label: str, text: str) -> None:
    line = Text(f"{label:<9}" if len(label) < 9 else f"{label}  ", style="bold")
    line.append(one_line(text), style="not bold")
    terminal.print(line, soft_wrap=True)
