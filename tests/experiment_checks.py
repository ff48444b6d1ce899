"""What tests of the papers' experiments share: results without a folder, tampered records, drawings."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from knotwork.experiments.catalogue import chosen
from knotwork.experiments.experiment import Plan
from knotwork.experiments.records import Record
from knotwork.experiments.running import judged
from knotwork.report.drawing import drawings
from knotwork.report.svg import smaller

MOST_SVG = 120_000
_EDGE = 0.02  # inches


@cache
def quick_result(name, seeds=None):
    """An experiment in its quick sizes, in this process."""
    (experiment,) = chosen([name])
    pieces = experiment.pieces(Plan(quick=True, seeds=seeds))
    records = [
        Record(name, piece, {part: np.asarray(value) for part, value in experiment.compute(**piece).items()})
        for piece in pieces
    ]
    return judged(experiment, records)


def tampered(result, **arrays):
    """The claims when arrays of every record that has them are something else: name=function of the array."""
    records = [
        dataclasses.replace(
            record,
            arrays=dict(record.arrays)
            | {name: change(record[name]) for name, change in arrays.items() if name in record.arrays},
        )
        for record in result.records
    ]
    return result.experiment.judge(records)


def claim(result, part):
    """The one claim that says this."""
    claims = result if isinstance(result, list) else result.claims
    (found,) = (one for one in claims if part in one.says)
    return found


def check_drawings(result, figures, tmp_path):
    """Every figure once, with alt text and caption, small enough, and no text beyond its edges."""
    found = drawings(result)
    assert [one.of for one in found] == figures
    for one in found:
        assert one.alt.endswith(".")
        assert one.caption.endswith(".")
        canvas = FigureCanvasAgg(one.figure)
        canvas.draw()
        box, (width, height) = one.figure.get_tightbbox(), one.figure.get_size_inches()
        assert min(box.x0, box.y0) >= -_EDGE, one.caption
        assert box.x1 <= width + _EDGE, one.caption
        assert box.y1 <= height + _EDGE, one.caption
        path = tmp_path / "figure.svg"
        one.figure.savefig(path)
        assert len(smaller(path.read_text())) <= MOST_SVG
