from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streams import write_npy, write_parquet

from knotwork.streaming.sources import open_source
from knotwork.tables import TableError


def all_of(source, ranges, most):
    """The rows of `ranges` one after another, and the row numbers that the pieces claim."""
    rows, X, Y = [], [], []
    for row, x, y in source.read(ranges, most):
        assert 0 < len(x) <= most
        rows.extend(range(row, row + len(x)))
        X.append(x)
        Y.append(y)
    return rows, np.concatenate(X), np.concatenate(Y)


@pytest.mark.parametrize("kind", ["parquet", "npy"])
@pytest.mark.parametrize("ranges", [[(0, 500)], [(0, 1), (3, 97), (97, 99), (250, 420), (499, 500)]])
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_ranges_are_read_row_by_row(tmp_path, kind, ranges, most):
    rng = np.random.default_rng(0)
    X, Y = rng.uniform(size=500), rng.standard_normal((500, 3))
    Y[rng.uniform(size=Y.shape) < 0.2] = np.nan
    if kind == "parquet":
        source = open_source(write_parquet(tmp_path / "t", X, Y, group=60), "x", ["y2", "y0"])
    else:
        source = open_source(write_npy(tmp_path / "t.npy", X, Y), 0, [3, 1])
    rows, x, y = all_of(source, ranges, most)
    wanted = [row for a, b in ranges for row in range(a, b)]
    assert rows == wanted
    np.testing.assert_array_equal(x, X[wanted])
    np.testing.assert_array_equal(y, Y[wanted][:, [2, 0]])
    assert source.n_rows == 500
    assert source.rows_read >= len(wanted)


def test_row_groups_that_are_not_asked_for_are_not_read(tmp_path):
    X, Y = np.arange(1000.0), np.zeros((1000, 1))
    source = open_source(write_parquet(tmp_path / "t", X, Y, group=100), "x", None)
    all_of(source, [(150, 160), (910, 911)], 20)
    assert source.rows_read <= 200


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, -3], pa.int64()),
        pa.array([1, None, 3], pa.uint8()),
        pa.array([1.5, None, -3.0], pa.float32()),
        pa.array(np.array([1.5, np.nan, -3.0], np.float16)),
        pa.array([1.5, float("nan"), None], pa.float64()),
        pa.array([decimal.Decimal("1.5"), None, decimal.Decimal("2")], pa.decimal128(5, 2)),
        pa.array([True, None, False]),
        pa.array([None, None, None], pa.float64()),
    ],
)
def test_every_type_of_number_is_read_and_nulls_are_missing(tmp_path, column):
    pq.write_table(pa.table({"x": pa.array([0, 1, 2], pa.int32()), "y": column}), tmp_path / "t")
    _, x, y = all_of(open_source(tmp_path / "t", "x", ["y"]), [(0, 3)], 10)
    expected = [np.nan if v is None else float(v) for v in column.to_pylist()]
    np.testing.assert_array_equal(x, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(y[:, 0], expected)


def test_tasks_are_all_other_columns_of_numbers(tmp_path):
    table = {"a": [1.0], "x": [2.0], "name": ["b"], "flag": [True], "n": [3]}
    pq.write_table(pa.table(table), tmp_path / "t")
    assert open_source(tmp_path / "t", "x", None).task_names == ("a", "n")


@pytest.mark.parametrize(
    ("input", "tasks", "message"),
    [
        ("z", ["y0"], "input: there is no column 'z'"),
        ("x", ["y9"], "tasks: there is no column 'y9'; there are 'x', 'y0'"),
        ("x", ["x"], "is the input"),
        ("x", ["y0", "y0"], "named twice"),
        ("x", [], "none was chosen"),
        ("x", ["text"], "column 'text' holds string, no numbers"),
        ("day", ["y0"], "write dates as a number of days"),
    ],
)
def test_columns_that_cannot_be_used_are_named(tmp_path, input, tasks, message):
    day = pa.array([0], pa.timestamp("s"))
    table = pa.table({"x": [0.0], "y0": [1.0], "y1": [1.0], "text": ["a"], "day": day})
    pq.write_table(table, tmp_path / "t")
    with pytest.raises(TableError, match=message):
        open_source(tmp_path / "t", input, tasks)


def test_integers_that_float64_does_not_hold_are_refused(tmp_path):
    pq.write_table(pa.table({"x": [0.0, 1.0], "y": [1, 2**53 + 1]}), tmp_path / "t")
    with pytest.raises(TableError, match="column 'y' does not fit float64"):
        list(open_source(tmp_path / "t", "x", ["y"]).read([(0, 2)], 10))


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    table = pa.table([pa.array([0.0]), pa.array([1.0]), pa.array([1.0])], names=["x", "y", "y"])
    pq.write_table(table, tmp_path / "t")
    with pytest.raises(TableError, match="'y' occurs twice"):
        open_source(tmp_path / "t", "x", ["y"])


def test_files_of_another_kind_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n0,1\n")
    with pytest.raises(TableError, match=r"neither Parquet nor \.npy"):
        open_source(tmp_path / "t.csv", "x", ["y"])
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(TableError, match="no whole Parquet file"):
        open_source(tmp_path / "t.parquet", "x", ["y"])
    np.save(tmp_path / "f.npy", np.asfortranarray(np.zeros((3, 2))))
    with pytest.raises(TableError, match="Fortran"):
        open_source(tmp_path / "f.npy", 0, [1])
    np.save(tmp_path / "o.npy", np.zeros(3))
    with pytest.raises(TableError, match="shape"):
        open_source(tmp_path / "o.npy", 0, [1])
    with pytest.raises(TypeError, match="tasks: must be a sequence"):
        open_source(tmp_path / "o.npy", "0", "1")
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none", 0, None)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<i4", "<u2"])
def test_npy_arrays_of_any_number(tmp_path, dtype):
    rows = np.arange(12).reshape(4, 3).astype(dtype)
    np.save(tmp_path / "t.npy", rows)
    _, x, y = all_of(open_source(tmp_path / "t.npy", 1, None), [(1, 4)], 2)
    np.testing.assert_array_equal(x, rows[1:, 1])
    np.testing.assert_array_equal(y, rows[1:, [0, 2]])
