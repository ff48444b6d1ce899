"""A comparison as one page."""

from __future__ import annotations

from ..comparing import Comparison
from ..comparing.case import Case
from .audit_page import _versions
from .compare_pictures import MOST_TASKS, draw_comparison
from .compare_words import METHODS, how_sentences, interval_of, method_rows, task_rows
from .page import Html, items, page, paragraph, picture, section, table


def compare_page(found: Comparison, case: Case) -> Html:
    """The page of a comparison: what to do first, then what that rests on.

    Parameters
    ----------
    found : of `case.X` and `case.Y`.
    case : the names of data, inputs and tasks.
    """
    return page(
        f"Together or apart? {case.data}",
        paragraph(found.sentence, lead=True),
        _picture(found, case),
        _methods(found),
        _tasks(found, case),
        section("How it was measured", items(how_sentences(found, case))),
        section("Versions", paragraph(_versions())),
    )


def _picture(found: Comparison, case: Case) -> Html:
    over = found.ratio("together")
    some = f"; the first {MOST_TASKS} of {found.n_tasks} tasks" if found.n_tasks > MOST_TASKS else ""
    alt = "Ratios of held-out errors with their intervals, a line for all tasks, each task and each other "
    alt += f"method; together over apart, all tasks: {over.ratio:.4g}, {interval_of(found, over)}"
    caption = (
        "Dots: ratios of mean errors (of all tasks: geometric mean); bars: intervals; ticks: single folds. "
        f"Left of the line is less error than apart; in the grey band, within {100.0 * found.margin:g} %, "
        f"there is no difference to speak of{some}."
    )
    return picture(draw_comparison(found, case.task_names), alt=alt, caption=caption)


def _methods(found: Comparison) -> Html:
    header = ("method", "error", "against apart", f"{100.0 * found.level:g} % interval", "what it is")
    note = "Errors: mean over labels and tasks. Against apart: geometric mean over tasks, the best first."
    return section("All methods", table(header, method_rows(found), caption=note))


def _tasks(found: Comparison, case: Case) -> Html:
    others = [k for k, name in enumerate(found.methods) if name not in ("together", "apart")]
    header = ["task", "together", "apart", "together is", f"{100.0 * found.level:g} % interval", "train"]
    header += [METHODS.get(found.methods[k], found.methods[k]) for k in others]
    rows = [
        (
            name,
            f"{together:.4g}",
            f"{apart:.4g}",
            *said,
            *(f"{found.task_errors[k, t]:.4g}" for k in others),
        )
        for t, (name, together, apart, *said) in enumerate(task_rows(found, case))
    ]
    note = (
        "Errors of each task; 1 is what its mean does. The verdict of one task is less sure than that of all."
    )
    return section("Each task", table(header, rows, caption=note))
