from __future__ import annotations

import numpy as np
import pytest
from streams import kinked, reader_of, write_npy

from knotwork.scaling import TaskScaling
from knotwork.streaming.survey import survey
from knotwork.tables import TableError


def survey_of(tmp_path, X, Y, piece=64):
    return survey(reader_of(write_npy(tmp_path / "t.npy", X, Y), piece, input=0))


@pytest.mark.parametrize("piece", [1, 64, 10_000])
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_the_scale_of_the_tasks_is_that_of_the_whole_table(tmp_path, piece, offset):
    X, Y = kinked(np.random.default_rng(0), 700, 3, gaps=0.2)
    Y = Y + offset
    Y[:, 2] = 4.0
    found, whole = survey_of(tmp_path, X, Y, piece).scaling, TaskScaling.of(Y)
    np.testing.assert_allclose(found.centre, whole.centre, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(found.scale, whole.scale, rtol=1e-9 if offset else 1e-13)
    assert found.centre[2] == 4.0
    assert found.scale[2] == 1.0


def test_order_and_gaps_are_seen(tmp_path):
    X, Y = kinked(np.random.default_rng(1), 300, digits=2)
    plain = survey_of(tmp_path, X, Y)
    assert plain.in_order
    assert not plain.partial
    assert plain.n_distinct == len(np.unique(X))
    swapped = X.copy()
    swapped[[127, 128]] = 0.9, 0.1
    assert not survey_of(tmp_path, swapped, Y).in_order
    # 63 and 64 are in different pieces
    swapped = np.arange(300.0)
    swapped[[63, 64]] = 64.0, 63.0
    assert not survey_of(tmp_path, swapped, Y).in_order
    Y[10] = np.nan
    assert not survey_of(tmp_path, X, Y).partial
    Y[200, 1] = np.nan
    found = survey_of(tmp_path, X, Y)
    assert found.partial
    assert found.n_labels.tolist() == [299, 298]


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (70, 0, np.nan, "input: column '0' is empty in row 71"),
        (70, 0, np.inf, "input: column '0' holds inf in row 71"),
        (3, 2, -np.inf, "tasks: column '2' holds -inf in row 4"),
        (3, 2, 1e60, r"tasks: column '2' holds 1e\+60 in row 4"),
    ],
)
def test_values_that_are_no_data_are_named(tmp_path, row, column, value, message):
    X, Y = kinked(np.random.default_rng(2), 100)
    table = np.column_stack([X, Y])
    table[row, column] = value
    with pytest.raises(TableError, match=message):
        survey_of(tmp_path, table[:, 0], table[:, 1:])


def test_empty_tables_and_tasks_are_refused(tmp_path):
    with pytest.raises(TableError, match="no rows"):
        survey_of(tmp_path, np.zeros(0), np.zeros((0, 2)))
    with pytest.raises(TableError, match="column '1' holds no number"):
        survey_of(tmp_path, np.arange(3.0), np.array([[np.nan, 1.0]] * 3))
