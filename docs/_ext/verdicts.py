"""`{verdicts}` lists the claims of claims.json, which `knotwork reproduce` wrote, that need a correction."""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from knotwork.experiments.experiment import Claim, Verdict

CLAIMS = Path(__file__).parents[1] / "claims.json"
WRONG = (Verdict.CORRECTED, Verdict.FAILS)


def claims() -> list[tuple[str, Claim]]:
    """Every claim, beside the name of its experiment."""
    told = json.loads(CLAIMS.read_text(encoding="utf-8"))["experiments"]
    return [
        (one["experiment"], Claim(**{**claim, "verdict": Verdict(claim["verdict"])}))
        for one in told
        for claim in one["claims"]
    ]


class Verdicts(SphinxDirective):
    """How many claims there are of each verdict; then those of the papers that need a correction."""

    def run(self):
        self.env.note_dependency(str(CLAIMS))
        known = claims()
        count = {one: sum(claim.verdict is one for _, claim in known) for one in Verdict}
        said = ", ".join(f"{count[one]} {one.value}" for one in Verdict)
        found: list[nodes.Node] = [nodes.paragraph("", f"{len(known)} claims: {said}.")]
        for experiment, claim in known:
            if claim.verdict in WRONG:
                found.append(_card(experiment, claim))
        return found


def _card(experiment: str, claim: Claim) -> nodes.Node:
    card = nodes.admonition(classes=["admonition", claim.verdict.name.lower()])
    card += nodes.title("", f"{claim.where}: {claim.verdict.value}")
    card += nodes.paragraph("", claim.says)
    for name, text in (("Measured", claim.measured), ("Instead", claim.correction)):
        if text:
            card += nodes.paragraph("", "", nodes.strong("", f"{name}: "), nodes.Text(text))
    command = nodes.literal("", f"knotwork reproduce {experiment}")
    card += nodes.paragraph("", "", command)
    return card


def setup(app):
    app.add_directive("verdicts", Verdicts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
