"""Labels held out in turn, at random: whole rows, single labels, or runs of inputs of all tasks or one."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Scheme = Literal["rows", "labels", "blocks", "gaps"]
SCHEMES = get_args(Scheme)

_LEAST = 2
_DRAWS = 50


def held_out(
    X: Array,
    seen: Mask,
    n_folds: int,
    scheme: Scheme,
    rng: np.random.Generator,
    name: str = "folds",
) -> list[Mask]:
    """`n_folds` masks (N, T) that part the labels `seen`: each is held out once.

    Equal inputs stay together, for a copy of a row would tell its label.

    Parameters
    ----------
    X : (N, d) inputs.
    seen : (N, T), where there is a label.
    scheme : "rows": of the distinct inputs each is held out with all its labels, in random order.
        "labels": each task's labels by themselves, so that others may be known at the same input.
        "blocks": runs of consecutive inputs (d = 1), beginning anywhere; the run that reaches one end goes
        on at the other. "gaps": such runs of each task's labels by themselves.
    name : of the argument that an error is about.

    Raises
    ------
    ValueError : where some part leaves a task fewer than 2 labels to learn from.
    """
    _, group = np.unique(X, axis=0, return_inverse=True)
    group = group.ravel()
    left = np.zeros(0)
    for _ in range(_DRAWS):
        fold = _folds_of_labels(group, seen, n_folds, scheme, rng)
        tests = [seen & (fold == k) for k in range(n_folds)]
        left = np.array([(seen & ~test).sum(axis=0) for test in tests])
        if left.min() >= _LEAST and all(test.any() for test in tests):
            return tests
    t = int(np.argmin(left.min(axis=0)))
    parts = "runs of inputs" if scheme in ("blocks", "gaps") else "parts"
    raise ValueError(
        f"{name}: {n_folds} {parts} of {len(X)} rows leave task {t}, which has {int(seen[:, t].sum())} "
        "labels, too few to learn from; drop that task, give more rows, or other folds"
    )


def _folds_of_labels(
    group: NDArray[np.intp], seen: Mask, n_folds: int, scheme: Scheme, rng: np.random.Generator
) -> NDArray[np.intp]:
    """(N, T) the fold of every label, whatever it is where there is none."""
    deal = _in_runs if scheme in ("blocks", "gaps") else _dealt
    if scheme in ("labels", "gaps"):
        columns = [deal(group, seen[:, t], n_folds, rng) for t in range(seen.shape[1])]
        return np.column_stack(columns)
    some: Mask = np.any(seen, axis=1)  # pyright: ignore[reportAssignmentType]
    return np.repeat(deal(group, some, n_folds, rng)[:, None], seen.shape[1], axis=1)


def _dealt(group: NDArray[np.intp], some: Mask, n_folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N,) folds of the rows in `some`, their groups shuffled and dealt like cards."""
    known, place = np.unique(group[some], return_inverse=True)
    first = int(rng.integers(n_folds))
    fold = np.zeros(len(group), dtype=np.intp)
    fold[some] = ((rng.permutation(len(known)) + first) % n_folds)[place.ravel()]
    return fold


def _in_runs(group: NDArray[np.intp], some: Mask, n_folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N,) folds of the rows in `some`: runs of consecutive groups, which are numbered by their inputs."""
    known, place = np.unique(group[some], return_inverse=True)
    fold = np.zeros(len(group), dtype=np.intp)
    turned = (place.ravel() + int(rng.integers(len(known)))) % len(known)
    fold[some] = turned * n_folds // len(known)
    return fold
