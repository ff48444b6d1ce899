"""An audit as one page."""

from __future__ import annotations

import platform

import matplotlib as mpl
import numpy as np
import scipy

from .. import __version__
from ..auditing import Audit
from ..auditing.case import Case
from .audit_pictures import draw_audit_fits, draw_sharing
from .audit_words import (
    bound_meaning,
    bound_sentences,
    improvement,
    neuron_sentences,
    objective_rows,
    uniqueness_sentence,
    verdict,
)
from .page import Html, items, page, paragraph, picture, section, table
from .text import count

_MOST_ROWS = 40


def audit_page(audit: Audit, case: Case) -> Html:
    """The page of an audit: the verdict first, then what it rests on.

    Parameters
    ----------
    audit : of `case.network` on `case.problem`.
    case : the names of model, table, inputs and tasks, and how lam came about.
    """
    return page(
        f"Audit of {case.model} on {case.data}",
        paragraph(verdict(audit), lead=True),
        paragraph(improvement(audit)),
        _objectives(audit),
        _fits(audit, case),
        _sharing(audit, case),
        _neurons(audit, case),
        section("Is there one solution only?", paragraph(uniqueness_sentence(audit))),
        _measured(audit, case),
        section("Versions", paragraph(_versions())),
    )


def _objectives(audit: Audit) -> Html:
    header = ("network", "objective", "neurons", "above the bound", "what it is")
    rows: list[tuple[object, ...]] = list(objective_rows(audit))
    note = "From above to below no prediction on the data changes, but for the solver's."
    return section("Objectives", table(header, rows, caption=note), items(bound_sentences(audit)))


def _fits(audit: Audit, case: Case) -> Html:
    figure = draw_audit_fits(audit, case.input_names, case.task_names)
    drawn, n_tasks = len(figure.axes), len(case.task_names)
    some = f"; the first {drawn} of {n_tasks} tasks" if drawn < n_tasks else ""
    if audit.problem.n_inputs == 1:
        alt = f"Labels and fits over {case.input_names[0]}, a panel for each task: "
        alt += "the network as given, dashed, and the improved one, each with its knots"
    else:
        alt = (
            "Predictions against labels, a panel for each task: of the network as given and the improved one"
        )
    return section("Fits", picture(figure, alt=alt, caption=f"As given and improved{some}."))


def _sharing(audit: Audit, case: Case) -> Html:
    if audit.problem.n_tasks == 1:
        return section("Sharing", paragraph("One task has nobody to share neurons with."))
    alt = "Two heat maps, tasks by neurons, of the share of each task in the cost of each neuron: "
    alt += "the network as given above, the improved one below"
    caption = "v_kt² / |v_k|²: a column with one dark cell is a neuron of one task, a pale one is shared."
    return section("Sharing", picture(draw_sharing(audit, case.task_names), alt=alt, caption=caption))


def _neurons(audit: Audit, case: Case) -> Html:
    neurons, network = audit.neurons, audit.network
    kind = dict.fromkeys(neurons.dead.tolist(), "dead")
    pairs = zip(neurons.duplicate.tolist(), neurons.duplicate_of.tolist(), strict=True)
    kind |= {k: f"the same as {first}" for k, first in pairs}
    kind |= {k: "shared" for k in neurons.shared.tolist() if k not in kind}
    total = float(neurons.cost.sum())
    order = np.argsort(-neurons.cost, kind="stable")[:_MOST_ROWS].tolist()
    rows = []
    for k in order:
        share = 100.0 * float(neurons.cost[k]) / total if total > 0 else 0.0
        leader = case.task_names[int(np.argmax(neurons.sharing[:, k]))] if network.V[k].any() else ""
        row = [k, f"{share:.3g} %", f"{100.0 * float(neurons.active[k]):.3g} %", leader, kind.get(k, "")]
        if network.n_inputs == 1:
            w = float(network.W[k, 0])
            row.insert(1, f"{-float(network.b[k]) / w:.6g}" if w else "none")
        rows.append(row)
    header = ["neuron", "share of the cost", "active on", "task that uses it most", "remark"]
    if network.n_inputs == 1:
        header.insert(1, f"knot at {case.input_names[0]}")
    some = f"the {_MOST_ROWS} costliest of {network.n_neurons} " if network.n_neurons > _MOST_ROWS else ""
    caption = f"{some}neurons, counted from 0 in the order of the model file"
    return section("Neurons", items(neuron_sentences(audit)), table(header, rows, caption=caption))


def _measured(audit: Audit, case: Case) -> Html:
    problem = audit.problem
    labels = int(problem.n_labels.sum())
    said = [
        f"{case.data}: {count(problem.n_rows, 'row')}, {count(labels, 'label')}; "
        f"inputs {', '.join(case.input_names)}; tasks {', '.join(case.task_names)}",
        f"loss: {problem.loss_function.name}; penalty: {problem.penalty.formula}",
        *case.how,
        *case.notices,
        *audit.notices,
        bound_meaning(audit),
    ]
    return section("How it was measured", items(said))


def _versions() -> str:
    return (
        f"knotwork {__version__}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"SciPy {scipy.__version__}, Matplotlib {mpl.__version__}"
    )
