"""Files for the tests of streaming, and passes over them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from knotwork.points import Points
from knotwork.problem import Problem
from knotwork.streaming.reading import Reader
from knotwork.streaming.sources import open_source


def write_parquet(path, X, Y, group=97):
    """Columns x, y0, y1, ...; NaN is written as null."""
    columns = {"x": np.asarray(X)} | {f"y{t}": pa.array(y, from_pandas=True) for t, y in enumerate(Y.T)}
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def write_npy(path, X, Y):
    np.save(path, np.column_stack([X, Y]))
    return path


def reader_of(path, piece=64, input="x", tasks=None):
    """A reader in pieces of `piece` rows."""
    reader = Reader(open_source(path, input, tasks), 0, None, None)
    reader.most = piece
    return reader


def points_of(X, Y):
    return Points.from_problem(Problem(X, Y, 1.0))


def kinked(rng, n, n_tasks=2, gaps=0.0, digits=None, rows=False):
    """Sorted X in [0, 1], rounded to `digits`, and Y with two shared kinks and noise; a share `gaps` of
    the labels, or with `rows` of the rows, is missing."""
    X = np.sort(rng.uniform(size=n))
    X = X if digits is None else np.round(X, digits)
    Y = 0.2 * rng.standard_normal((n, n_tasks))
    for kink in (0.31, 0.72):
        Y += np.maximum(X - kink, 0.0)[:, None] * rng.normal(0.0, 5.0, n_tasks)
    missing = rng.uniform(size=(n, 1) if rows else Y.shape) < gaps
    return X, np.where(missing, np.nan, Y)
