from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from streams import reader_of, write_npy

from knotwork.streaming.sorting import sorted_rows


@pytest.mark.parametrize("memory", [1, 20_000, 1 << 30])
@pytest.mark.parametrize("kind", ["random", "falling", "few", "equal"])
def test_rows_come_out_in_order_and_whole(tmp_path, memory, kind):
    rng = np.random.default_rng(0)
    n = 3000
    X = {
        "random": rng.uniform(size=n),
        "falling": np.arange(n)[::-1] / 7,
        "few": rng.integers(0, 5, n) / 1.0,
        "equal": np.full(n, 2.0),
    }[kind]
    Y = np.column_stack([np.arange(n), np.where(rng.uniform(size=n) < 0.1, np.nan, X)])
    reader = reader_of(write_npy(tmp_path / "t.npy", X, Y), 100, input=0)
    rows, n_distinct = sorted_rows(reader, tmp_path, memory)
    assert (rows.n_rows, n_distinct) == (n, len(np.unique(X)))
    pieces = list(rows.read([(0, n)], 333))
    x, y = np.concatenate([p[1] for p in pieces]), np.concatenate([p[2] for p in pieces])
    assert np.all(np.diff(x) >= 0)
    back = np.argsort(y[:, 0])
    np.testing.assert_array_equal(x[back], X)
    np.testing.assert_array_equal(y[back], Y)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows", "t.npy"]


def test_a_folder_without_room_is_refused_at_once(tmp_path, monkeypatch):
    reader = reader_of(write_npy(tmp_path / "t.npy", np.arange(100.0)[::-1], np.zeros((100, 1))), input=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=3199))
    with pytest.raises(OSError, match="scratch: sorting needs"):
        sorted_rows(reader, tmp_path, 1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=3200))
    sorted_rows(reader, tmp_path, 1 << 20)
