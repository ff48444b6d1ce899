from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import kinked, points_of, reader_of, write_parquet

from knotwork.scaling import TaskScaling
from knotwork.streaming.blocks import Frame, Merger, PointStore, gather_blocks

NONE = TaskScaling.none(2)


def merged(X, Y, pieces, own, scaling=NONE):
    """x, y, w of the points that a merger makes of the rows in `pieces`, and where they begin."""
    merger, parts, row = Merger(Frame(scaling, own)), [], 0
    for n in pieces:
        parts.append(merger.feed(row, X[row : row + n], Y[row : row + n].copy()))
        row += n
    parts.append(merger.last())
    parts = [part for part in parts if part is not None]
    columns = zip(*((p.points.x, p.points.y, p.points.w, p.rows) for p in parts), strict=True)
    return *(np.concatenate(column) for column in columns), merger.scatter


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), digits=st.sampled_from([None, 2, 1]), gaps=st.sampled_from([0.0, 0.3]))
def test_pieces_of_any_length_make_the_points_of_the_whole(seed, digits, gaps):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 80))
    X, Y = kinked(rng, n, gaps=gaps, digits=digits)
    Y[0] = 1.0
    cuts = np.sort(rng.integers(0, n + 1, rng.integers(0, 10)))
    pieces = [int(m) for m in np.diff(np.concatenate([[0], cuts, [n]])) if m]
    own = bool(np.isnan(Y).any())
    x, y, w, rows, scatter = merged(X, Y, pieces, own)
    whole = points_of(X, Y)
    np.testing.assert_array_equal(x, whole.x)
    np.testing.assert_array_equal(X[rows], x)
    assert np.all(np.diff(rows) > 0)
    np.testing.assert_allclose(w, np.broadcast_to(whole.weights()[:, : w.shape[1]], w.shape))
    seen = whole.weights() > 0
    np.testing.assert_allclose(y[seen], whole.y[seen], atol=1e-14)
    np.testing.assert_allclose(scatter, whole.scatter, rtol=1e-12, atol=1e-14)


def test_labels_are_scaled_before_they_are_merged():
    X, Y = kinked(np.random.default_rng(3), 50, digits=1)
    scaling = TaskScaling(np.array([3.0, -1.0]), np.array([2.0, 0.5]))
    x, y, _, _, scatter = merged(X, Y, [50], False, scaling)
    whole = points_of(X, scaling.apply(Y))
    np.testing.assert_array_equal(x, whole.x)
    np.testing.assert_allclose(y, whole.y, atol=1e-13)
    np.testing.assert_allclose(scatter, whole.scatter)


def store_of(path, size, room, piece=50, own=False, n=600):
    reader = reader_of(path, piece)
    frame = Frame(NONE, own)
    return PointStore(reader, gather_blocks(reader, frame, size, n), frame, room)


@pytest.mark.parametrize("digits", [None, 2])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("room", [1, 1 << 20])
def test_blocks_are_read_again_as_they_were(tmp_path, digits, own, room):
    rng = np.random.default_rng(4)
    X, Y = kinked(rng, 600, gaps=0.3, digits=digits, rows=not own)
    whole = points_of(X, Y)
    store = store_of(write_parquet(tmp_path / "t", X, Y), 8, room, own=own)
    blocks = store.blocks
    n = len(whole.x)
    assert (len(store), blocks.last_x) == (n, whole.x[-1])
    np.testing.assert_array_equal(blocks.x, whole.x[::8])
    np.testing.assert_allclose(blocks.scatter, whole.scatter, rtol=1e-12)
    for _ in range(20):
        few = min(store.capacity, 5, len(blocks))
        wanted = np.sort(rng.choice(len(blocks), few, replace=False))
        for b, points in zip(wanted, store.load(wanted), strict=True):
            here = slice(8 * b, min(8 * b + 8, n))
            seen = whole.weights()[here] > 0
            np.testing.assert_array_equal(points.x, whole.x[here])
            np.testing.assert_allclose(points.y[seen], whole.y[here][seen], atol=1e-14)
        assert len(store._kept) <= store.capacity
    index = rng.integers(0, n, 100)
    np.testing.assert_array_equal(store.inputs(index), whole.x[index])


def test_what_was_read_last_is_kept(tmp_path):
    X, Y = kinked(np.random.default_rng(5), 600)
    store = store_of(write_parquet(tmp_path / "t", X, Y, group=50), 8, 1 << 20)
    store.load(np.array([3, 40]))
    before = store.reader.source.rows_read
    store.load(np.array([2, 3, 4, 39, 40, 41]))
    assert store.reader.source.rows_read == before
    store.load(np.array([60]))
    assert store.reader.source.rows_read > before
