from __future__ import annotations

import numpy as np
import pytest
from streams import kinked, points_of, reader_of, write_parquet

from knotwork.bins import Bins
from knotwork.dual_norm.knots import maximise
from knotwork.scaling import TaskScaling
from knotwork.streaming.blocks import Frame, PointStore, gather_blocks
from knotwork.streaming.streamed_bins import StreamedBins

FIELDS = ("x", "next_x", "weight", "mean_x", "mean_y", "sxx", "sxy", "syy")
CASES = [(None, 0.0, True), (2, 0.0, True), (None, 0.3, False), (2, 0.3, False), (3, 0.5, True)]
every_case = pytest.mark.parametrize(("digits", "gaps", "rows"), CASES)


def streamed(path, X, Y, size, room=1, coarse=4):
    write_parquet(path, X, Y)
    reader = reader_of(path)
    own = bool((np.isnan(Y).any(axis=1) & ~np.isnan(Y).all(axis=1)).any())
    frame = Frame(TaskScaling.none(Y.shape[1]), own)
    blocks = gather_blocks(reader, frame, size, len(X))
    return StreamedBins(PointStore(reader, blocks, frame, room), coarse)


def moments_of(points, start, size):
    """The columns of bins from `start` on, from single points: sums that cancel nothing here."""
    out = {name: [] for name in FIELDS[2:]}
    shared = points.w is None or points.w.shape[1] == 1
    for a, n in zip(start, size, strict=True):
        here = slice(a, a + n)
        x, y, w = points.x[here, None], points.y[here], points.weights()[here]
        y = np.where(w > 0, y, 0.0)
        total = w.sum(axis=0)
        safe = np.where(total > 0, total, 1.0)
        mean_x, mean_y = (w * x).sum(axis=0) / safe, (w * y).sum(axis=0) / safe
        dx, dy = x - mean_x, y - mean_y
        rows = (total, mean_x, mean_y, *((w * one).sum(axis=0) for one in (dx * dx, dx * dy, dy * dy)))
        for name, row in zip(out, rows, strict=True):
            if shared and name == "syy":
                row = row.sum(keepdims=True)
            out[name].append(row[:1] if shared and name in ("weight", "mean_x", "sxx") else row)
    return {name: np.array(column) for name, column in out.items()}


def assert_moments_of(bins, points):
    ends = np.append(bins.start[1:], len(points.x))
    np.testing.assert_array_equal(bins.size, ends - bins.start)
    np.testing.assert_array_equal(bins.x, points.x[bins.start])
    np.testing.assert_array_equal(bins.next_x, np.append(points.x[bins.start][1:], points.x[-1]))
    for name, expected in moments_of(points, bins.start, bins.size).items():
        found = (
            np.where(bins.weight > 0, getattr(bins, name), 0.0) if name == "mean_x" else getattr(bins, name)
        )
        expected = np.where(bins.weight > 0, expected, 0.0) if name == "mean_x" else expected
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=name)


@every_case
@pytest.mark.parametrize("size", [1, 4, 16, 1024])
def test_bins_have_the_moments_of_their_points_however_they_are_split(tmp_path, digits, gaps, rows, size):
    rng = np.random.default_rng(0)
    X, Y = kinked(rng, 777, 3, gaps, digits, rows)
    bins, points = streamed(tmp_path / "t", X, Y, size), points_of(X, Y)
    assert_moments_of(bins, points)
    for _ in range(4):
        old = bins.start
        moved = bins.refine(rng.uniform(size=len(bins)) < 0.4)
        np.testing.assert_array_equal(bins.start[moved], old)
        assert_moments_of(bins, points)
    places = rng.choice(points.x, 5)
    bins.refine_around(places)
    assert_moments_of(bins, points)
    at = np.searchsorted(bins.x, places)
    assert np.all((bins.x[np.minimum(at, len(bins) - 1)] == places) | (at == len(bins)))


@every_case
def test_the_maximum_is_that_of_bins_in_memory(tmp_path, digits, gaps, rows):
    X, Y = kinked(np.random.default_rng(1), 900, 2, gaps, digits, rows)
    bins, whole = streamed(tmp_path / "t", X, Y, 16), Bins(points_of(X, Y))
    lines = [b.affine_part(*b.residual_sums()[:2]) for b in (bins, whole)]
    ours, theirs = maximise(bins, lines[0]), maximise(whole, lines[1])
    assert ours.largest == pytest.approx(theirs.largest, rel=1e-11)
    # whichever bins hide it, the place is the same
    places = []
    for b, best in ((bins, ours), (whole, theirs)):
        norms = np.linalg.norm(best.p, axis=1)
        hidden = len(best.hidden) > 0 and best.hidden_norms.max() > norms.max()
        at = best.hidden[np.argmax(best.hidden_norms)] if hidden else b.start[np.argmax(norms)]
        places.append(float(b.points.x[at]))
    assert places[0] == places[1]


def test_one_bin_is_looked_into_by_reading_its_blocks_alone(tmp_path):
    X, Y = kinked(np.random.default_rng(2), 1000)
    bins = streamed(tmp_path / "t", X, Y, 8, room=1 << 16)
    source = bins.store.reader.source
    before = source.rows_read
    bins.refine(np.arange(len(bins)) == 1)
    assert source.rows_read == before
    assert len(bins) > 5
    bins.refine_around(bins.points.x[np.array([500])])
    # row groups of 97 rows, and the blocks beside
    assert 0 < source.rows_read - before <= 3 * 97
