"""Runs experiments: what a folder has is read, the rest computed piece by piece and written at once."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._validate import as_count
from ..solvers.blas import one_blas_thread
from .catalogue import catalogue
from .experiment import Experiment, Plan, Result
from .records import Record, Settings, find_record, record_key, write_record

_PIP = {"jax": "knotwork[train]", "optax": "knotwork[train]", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Done:
    """Told after every piece: the experiment it belongs to, how many are done of all, how many were read."""

    experiment: str
    pieces: int
    of: int
    read: int
    seconds: float


Progress = Callable[[Done], object]


def run(
    experiments: Sequence[Experiment],
    folder: str | os.PathLike[str],
    *,
    plan: Plan | None = None,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Compute every piece that `folder` has no record of, and judge the claims.

    A piece runs in one process, with one BLAS thread, so that a record does not depend on `n_jobs`. Records
    are written as they come: a run that is killed goes on where it was.

    Parameters
    ----------
    folder : of records; made where it is not.
    plan : how much to compute; in full when None.
    n_jobs : as in joblib.Parallel; its backend is whichever joblib is set to, a Dask cluster too.
    progress : called with a `Done` after every piece, in this process.

    Raises
    ------
    ImportError : naming the library that an experiment needs and how to install it; before anything runs.
    TypeError, ValueError, OSError : naming the argument.
    """
    from joblib import Parallel, delayed

    plan = Plan() if plan is None else plan
    if plan.seeds is not None and as_count(plan.seeds, "seeds") < 1:
        raise ValueError(f"seeds: must be an integer >= 1, got {plan.seeds!r}")
    require(experiments)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    wanted = {one.name: [dict(piece) for piece in one.pieces(plan)] for one in experiments}
    records: dict[str, Record] = {}
    open_pieces: dict[str, tuple[str, Settings]] = {}
    for one in sorted(experiments, key=lambda one: -one.effort):
        for settings in wanted[one.name]:
            key = record_key(one.name, settings)
            if (record := find_record(one.name, settings, place)) is not None:
                records[key] = record
            else:
                open_pieces[key] = (one.name, settings)
    read, total = len(records), len(records) + len(open_pieces)
    if progress is not None and read:
        progress(Done("", read, total, read, 0.0))
    calls = [delayed(_compute)(name, settings) for name, settings in open_pieces.values()]
    found: Iterable[Record]
    found = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls)  # type: ignore[assignment]
    for record in found:
        write_record(record, place)
        records[record.key] = record
        if progress is not None:
            progress(Done(record.experiment, len(records), total, read, record.seconds))
    return [
        judged(one, [records[record_key(one.name, piece)] for piece in wanted[one.name]])
        for one in experiments
    ]


def judged(experiment: Experiment, records: Sequence[Record]) -> Result:
    """The claims of an experiment from its records."""
    return Result(experiment, records, experiment.judge(records))


def require(experiments: Sequence[Experiment]) -> None:
    """Raise now what an experiment would raise after others have run."""
    for one in experiments:
        for library in one.needs:
            if importlib.util.find_spec(library) is None:
                pip = _PIP.get(library, library)
                raise ImportError(f"{one.name} needs {library}; python -m pip install '{pip}'")


def _compute(name: str, settings: Settings) -> Record:
    """A piece, in whichever process."""
    began = time.perf_counter()
    with one_blas_thread():
        arrays = catalogue()[name].compute(**settings)
    arrays = {part: np.asarray(value) for part, value in arrays.items()}
    return Record(name, settings, arrays, time.perf_counter() - began)
