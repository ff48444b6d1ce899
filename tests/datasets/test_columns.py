from __future__ import annotations

import numpy as np
import pytest

from knotwork.datasets.columns import read_columns, read_inputs, read_task_columns


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "a,day,y,z\n1.5,2020-01-03,4,7\n2.5,2020-01-01,5,8\n0.5,2020-01-02,6,9\n", encoding="utf-8"
    )
    return path


def test_several_inputs_keep_names_and_origins(file):
    found = read_task_columns(file, ["a", "day"], None)
    assert (found.names, found.origins) == (("a", "day"), (None, "2020-01-01"))
    assert found.labels == ("a", "day (days since 2020-01-01)")
    assert found.table.task_names == ("y", "z")
    np.testing.assert_array_equal(found.X, [[1.5, 2.0], [2.5, 0.0], [0.5, 1.0]])
    table, X, labels = read_columns(file, ["a", "day"], None)
    assert (table.task_names, labels) == (("y", "z"), found.labels)
    np.testing.assert_array_equal(X, found.X)


def test_dates_are_counted_from_the_origins_given(file):
    for found in (
        read_task_columns(file, ["a", "day"], ["y"], origins=(None, "2019-12-31")),
        read_inputs(file, ["a", "day"], (None, "2019-12-31")),
    ):
        np.testing.assert_array_equal(found.X[:, 1], [3.0, 1.0, 2.0])
    first = read_inputs(file, ["day", "a"], ("2019-12-30",))
    np.testing.assert_array_equal(first.X[:, 0], [4.0, 2.0, 3.0])
    assert first.table.n_tasks == 0


def test_one_input_is_as_the_reader_has_it(file):
    found = read_task_columns(file, ["a"], ["z"])
    assert (found.n_inputs, found.names, found.table.task_names) == (1, ("a",), ("z",))
    np.testing.assert_array_equal(found.X[:, 0], found.table.X)


@pytest.mark.parametrize(
    ("inputs", "tasks", "message"),
    [
        (["a", "a"], None, "input: 'a' occurs twice"),
        (["a", "y"], ["y"], "tasks: 'y' is an input column"),
        (["a", "y", "z"], None, "tasks: no column beside the inputs"),
        (["a", "b"], None, "input: there is no column 'b'"),
    ],
)
def test_columns_that_cannot_be_are_named(file, inputs, tasks, message):
    with pytest.raises(ValueError, match=message):
        read_task_columns(file, inputs, tasks)
