"""Pictures of chosen figures as files, small enough for a repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..experiments.experiment import Result
from .drawing import drawings
from .figures import palette_png
from .paper_claims import slug

_COLOURS = 128


def gallery(
    results: Sequence[Result], folder: str | os.PathLike[str], figures: Sequence[str] | None = None
) -> list[Path]:
    """Write the pictures of these figures as figure-a-4.png, figure-a-4-2.png, ...

    Parameters
    ----------
    folder : made where it is not.
    figures : of the papers, as "A 4"; all that the results have when None.

    Raises
    ------
    ValueError : for a figure that no result has a picture of; nothing is written then.
    OSError : when a file cannot be written.
    """
    found: dict[str, list[Figure]] = {}
    for result in results:
        for drawing in drawings(result):
            if drawing.of:
                found.setdefault(drawing.of, []).append(drawing.figure)
    wanted = list(found) if figures is None else list(figures)
    if missing := [of for of in wanted if of not in found]:
        raise ValueError(
            f"figures: no picture of {', '.join(missing)}; there are {', '.join(found) or 'none'}"
        )
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for of in wanted:
        for k, figure in enumerate(found[of], 1):
            path = place / f"figure-{slug(of)}{f'-{k}' if k > 1 else ''}.png"
            palette_png(figure, path, colours=_COLOURS)
            written.append(path)
    return written
