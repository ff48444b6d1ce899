"""Claims as a page shows them: one table a paper, the errata, and each where it was measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..experiments.experiment import Claim, Experiment, Result, Verdict
from .page import Html, link, text_of
from .text import count

PAPERS = {
    "A": ("The Effects of Multi-Task Learning on ReLU Neural Network Functions", "arXiv 2410.21696v4"),
    "B": (
        "Infinite width (finite depth) neural networks benefit from multi-task learning unlike shallow "
        "Gaussian processes",
        "arXiv 2112.15577",
    ),
}
# told by mark and word; the class gives a colour besides
_MARK = {Verdict.HOLDS: "✓", Verdict.CORRECTED: "◐", Verdict.FAILS: "✗", Verdict.OPEN: "?"}
_CLASS = {
    Verdict.HOLDS: "holds",
    Verdict.CORRECTED: "corrected",
    Verdict.FAILS: "fails",
    Verdict.OPEN: "open",
}
_COLUMNS = ("claim", "where", "measured", "verdict", "records")


@dataclass(frozen=True)
class Placed:
    """A claim, the experiment that measured it, and the place of both in the page."""

    claim: Claim
    experiment: Experiment
    anchor: str

    @property
    def paper(self) -> str:
        """ "A", "B", or "" for a claim of ours."""
        found = re.match(r"[AB](?![A-Za-z])", self.claim.where)
        return found[0] if found else ""

    @property
    def place(self) -> str:
        """Where in its paper."""
        return self.claim.where.removeprefix(f"{self.paper}, ") or "ours"


def placed(results: Sequence[Result]) -> list[Placed]:
    """All claims in order, each with a place of its own."""
    return [
        Placed(claim, result.experiment, f"claim-{slug(result.experiment.name)}-{k}")
        for result in results
        for k, claim in enumerate(result.claims, 1)
    ]


def slug(name: str) -> str:
    """A name as part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def section_of(experiment: Experiment) -> str:
    """The anchor of an experiment's section."""
    return f"experiment-{slug(experiment.name)}"


def tally(claims: Sequence[Placed]) -> str:
    """How many claims there are, and of which verdict."""
    seen = Counter(one.claim.verdict for one in claims)
    verbs = {
        Verdict.HOLDS: ("holds", "hold"),
        Verdict.CORRECTED: ("holds with a correction", "hold with a correction"),
        Verdict.FAILS: ("does not hold", "do not hold"),
        Verdict.OPEN: ("is not decidable here", "are not decidable here"),
    }
    parts = [f"{seen[verdict]} {verbs[verdict][seen[verdict] != 1]}" for verdict in Verdict if seen[verdict]]
    return f"{count(len(claims), 'claim')} measured: {', '.join(parts) or 'none'}"


def verdict_of(claim: Claim) -> Html:
    """Mark and word."""
    return Html(f'<span class="verdict">{_MARK[claim.verdict]} {text_of(claim.verdict.value)}</span>')


def mark_of(claim: Claim) -> Html:
    """The mark alone, read out as the word."""
    word = text_of(claim.verdict.value)
    return Html(
        f'<span class="mark {_CLASS[claim.verdict]}" role="img" aria-label="{word}" title="{word}">'
        f"{_MARK[claim.verdict]}</span>"
    )


def claims_table(claims: Sequence[Placed], *, caption: object) -> Html:
    """A row each, of one paper; cards one below another where the page is narrow."""
    head = "".join(f'<th scope="col" role="columnheader" class="of-{name}">{name}</th>' for name in _COLUMNS)
    rows = []
    for one in claims:
        claim = one.claim
        cells = (
            link(one.anchor, one.place),
            text_of(claim.measured),
            Html(f"{verdict_of(claim)}{f'<p>{text_of(claim.correction)}</p>' if claim.correction else ''}"),
            link(section_of(one.experiment), one.experiment.name),
        )
        said = "".join(
            f'<td role="cell" data-name="{name}">{cell}</td>'
            for name, cell in zip(_COLUMNS[1:], cells, strict=True)
        )
        first = f'<th scope="row" role="rowheader">{text_of(claim.says)}</th>'
        rows.append(f'<tr role="row" class="{_CLASS[claim.verdict]}">{first}{said}</tr>')
    return Html(
        f'<table class="claims" role="table"><caption>{text_of(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>'
    )


def claim_card(one: Placed, *, anchor: str = "", back: bool = False) -> Html:
    """A claim with all its numbers; `back` links to where it was measured."""
    claim = one.claim
    place = link(one.anchor, claim.where or "ours") if back else text_of(claim.where or "ours")
    parts = [f"<h3>{place}: {verdict_of(claim)}</h3>", f"<p>{text_of(claim.says)}</p>"]
    parts.append(f"<p><strong>Measured:</strong> {text_of(claim.measured)}</p>")
    if claim.correction:
        parts.append(f"<p><strong>Instead:</strong> {text_of(claim.correction)}</p>")
    if claim.values:
        numbers = "".join(
            f"<span>{text_of(name)} = {text_of(f'{value:.4g}')}</span> "
            for name, value in claim.values.items()
        )
        parts.append(f'<p class="numbers">{numbers}</p>')
    place = f' id="{escape(anchor)}"' if anchor else ""
    return Html(f'<article class="claim {_CLASS[claim.verdict]}"{place}>{"".join(parts)}</article>')
