"""All experiments as one page: the claims first, then each experiment with pictures and records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..experiments.experiment import Experiment, Result, Verdict
from .drawing import Drawing, drawings
from .interactive import page_scripts, playground, require_interactive, surfaces
from .page import Html, items, link, page, paragraph, picture, section, table, text_of
from .paper_claims import (
    PAPERS,
    Placed,
    claim_card,
    claims_table,
    mark_of,
    placed,
    section_of,
    slug,
    tally,
)
from .text import count, one_line

__all__ = ["paper_page", "require_interactive"]

# of A ten, of B eight
_N_FIGURES = 18
_WRONG = (Verdict.CORRECTED, Verdict.FAILS)
_LONGEST_SETTINGS = 200


@dataclass(frozen=True, eq=False)
class _Part:
    """An experiment with its pictures, each with a place in the page, and its claims."""

    result: Result
    pictures: Sequence[tuple[str, Drawing]]
    claims: Sequence[Placed]


def paper_page(results: Sequence[Result], *, command: str, interactive: bool = False) -> Html:
    """The page of `knotwork reproduce`: what holds, what does not, and every figure.

    Parameters
    ----------
    results : of `knotwork.experiments.running.run`.
    command : what made them, shown as it is.
    interactive : with surfaces to turn and points to drag. The page then runs JavaScript that it holds
        itself; otherwise it runs none. Either way it fetches nothing.

    Raises
    ------
    ImportError : for an interactive page without Plotly.
    """
    claims = placed(results)
    parts = _parts(results, claims)
    wrong = [one for one in claims if one.claim.verdict in _WRONG]
    turned = [surfaces(result) if interactive else None for result in results]
    scripts = page_scripts(any(turned)) if interactive else ()
    return page(
        "Figures and claims of two papers on multi-task ReLU networks, measured",
        paragraph(f"{tally(claims)}. {_figures_sentence(parts)}", lead=True),
        _about(results, command),
        *_claim_sections(claims),
        *([_errata(wrong)] if wrong else []),
        *([playground()] if interactive else []),
        *(_experiment(part, own) for part, own in zip(parts, turned, strict=True)),
        Html(f'<p class="back">{link("contents", "↑ Contents")}</p>'),
        style=(Path(__file__).parent / "paper.css").read_text(encoding="utf-8"),
        sidebar=_sidebar(parts, claims, bool(wrong), interactive),
        scripts=scripts,
    )


def _parts(results: Sequence[Result], claims: Sequence[Placed]) -> list[_Part]:
    seen: Counter[str] = Counter()
    found = []
    for result in results:
        pictures = []
        for drawing in drawings(result):
            kind, of = ("figure", drawing.of) if drawing.of else ("picture", result.experiment.name)
            name = f"{kind}-{slug(of)}"
            seen[name] += 1
            # a figure may have several pictures
            pictures.append((name if seen[name] == 1 else f"{name}-{seen[name]}", drawing))
        found.append(_Part(result, pictures, [one for one in claims if one.experiment is result.experiment]))
    return found


def _figures_sentence(parts: Sequence[_Part]) -> str:
    drawn = {drawing.of for part in parts for _, drawing in part.pictures} - {""}
    said = f"Drawn from their records: {len(drawn)} of the papers' {_N_FIGURES} figures"
    missing = [of for part in parts for of in part.result.experiment.figures if of not in drawn]
    return f"{said}; not drawn: {', '.join(missing)}." if missing else f"{said}."


def _about(results: Sequence[Result], command: str) -> Html:
    seconds = sum(record.seconds for result in results for record in result.records)
    n_records = sum(len(result.records) for result in results)
    said = [Html(f"Paper {paper}: <cite>{title}</cite>, {of}") for paper, (title, of) in PAPERS.items()]
    made = Html(
        f"Made by <code>{text_of(command)}</code>, knotwork {text_of(__version__)}: "
        f"{count(n_records, 'record')}, computed in {_seconds(seconds)} in all. Verdicts follow from the "
        "numbers in the records; what the papers leave out is named as ours."
    )
    return Html(items([*said, made]))


def _claim_sections(claims: Sequence[Placed]) -> list[Html]:
    found = []
    for paper in (*PAPERS, ""):
        own = [one for one in claims if one.paper == paper]
        if own:
            name = f"Claims of paper {paper}" if paper else "Claims of ours"
            found.append(section(name, claims_table(own, caption=f"{tally(own)}."), anchor=_claims_of(paper)))
    return found


def _errata(wrong: Sequence[Placed]) -> Html:
    said = "What the papers state otherwise than it is, with the numbers that tell."
    cards = [claim_card(one, back=True) for one in wrong]
    return section("Errata", paragraph(f"{said} {count(len(wrong), 'claim')}."), *cards, anchor="errata")


def _experiment(part: _Part, turned: Html | None) -> Html:
    experiment = part.result.experiment
    said = [_titled("What the paper shows", experiment.shows)]
    if experiment.ours:
        said.append(_titled("Settings that are ours", experiment.ours))
    pictures = [
        picture(drawing.figure, alt=drawing.alt, caption=drawing.caption, anchor=anchor)
        for anchor, drawing in part.pictures
    ]
    cards = [claim_card(one, anchor=one.anchor) for one in part.claims]
    body = [*said, *pictures, *([turned] if turned else []), *cards, _records(part.result)]
    return section(_heading(part), *body, anchor=section_of(experiment))


def _titled(title: str, text: str) -> Html:
    return Html(f"<p><strong>{text_of(title)}.</strong> {text_of(text)}</p>")


def _heading(part: _Part) -> str:
    experiment = part.result.experiment
    said = _figure_names(experiment.figures)
    return f"{said}: {experiment.title}" if said else experiment.title


def _paper_of(experiment: Experiment) -> str:
    """ "A" or "B", as the name of an experiment begins; "" for one of ours."""
    paper = experiment.name.partition("-")[0].upper()
    return paper if paper in PAPERS else ""


def _figure_names(figures: Sequence[str]) -> str:
    """ "A, Figure 4"; "B, Figures 1-6"."""
    found = []
    for paper in dict.fromkeys(of.partition(" ")[0] for of in figures):
        numbers = [of.partition(" ")[2] for of in figures if of.partition(" ")[0] == paper]
        if len(numbers) > 2 and all(number.isdigit() for number in numbers):
            first, last = int(numbers[0]), int(numbers[-1])
            if [int(number) for number in numbers] == list(range(first, last + 1)):
                numbers = [f"{first}-{last}"]
        one = len(numbers) == 1 and "-" not in numbers[0]
        found.append(f"{paper}, Figure{'' if one else 's'} {', '.join(numbers)}")
    return "; ".join(found)


def _records(result: Result) -> Html:
    rows = [
        [
            record.file_name,
            f"{record.seconds:.2f}",
            one_line(json.dumps(dict(record.settings)), _LONGEST_SETTINGS),
            record.key,
        ]
        for record in result.records
    ]
    made = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in record.versions.items())
        for record in result.records
    )
    seconds = sum(record.seconds for record in result.records)
    shown = [
        table(["file", "seconds", "settings", "key"], rows, caption="in the folder records"),
        *(paragraph(f"Computed with {versions}.") for versions in made),
    ]
    summary = f"{count(len(rows), 'record')}, {_seconds(seconds)}"
    return Html(f'<details class="records"><summary>{summary}</summary>{"".join(shown)}</details>')


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _claims_of(paper: str) -> str:
    return f"claims-{slug(paper) or 'ours'}"


def _sidebar(parts: Sequence[_Part], claims: Sequence[Placed], wrong: bool, interactive: bool) -> Html:
    found = {one.paper for one in claims}
    top = [
        link(_claims_of(paper), f"Claims of paper {paper}" if paper else "Claims of ours")
        for paper in (*PAPERS, "")
        if paper in found
    ]
    top += [link("errata", "Errata")] if wrong else []
    top += [link("playground", "Playground")] if interactive else []
    lists = [items(top)]
    for paper in (*PAPERS, ""):
        own = [_entry(part) for part in parts if _paper_of(part.result.experiment) == paper]
        if own:
            lists.append(Html(f"<h2>{f'Paper {paper}' if paper else 'More'}</h2>{items(own)}"))
    inside = "\n".join(lists)
    return Html(f'<details id="contents"><summary>Contents</summary><div>{inside}</div></details>')


def _entry(part: _Part) -> Html:
    """An experiment, its pictures where there are several, and its claims."""
    experiment = part.result.experiment
    paper = f"{_paper_of(experiment)}, "
    below = []
    first = {drawing.of: anchor for anchor, drawing in reversed(part.pictures) if drawing.of}
    if len(first) > 1:
        below += [
            link(anchor, _figure_names([of]).removeprefix(paper)) for of, anchor in reversed(first.items())
        ]
    for one in part.claims:
        below.append(link(one.anchor, Html(f"{mark_of(one.claim)}{text_of(one.place)}")))
    head = link(section_of(experiment), _heading(part).removeprefix(paper))
    return Html(f"{head}{items(below)}") if below else head
