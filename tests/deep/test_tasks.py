"""Tasks with inputs of their own, as one table with gaps."""

from __future__ import annotations

import numpy as np
import pytest

from knotwork.deep.tasks import stack_tasks


def test_every_label_is_at_its_input_and_nowhere_else():
    rng = np.random.default_rng(0)
    pool = rng.standard_normal((8, 2))
    tasks = []
    for n in (5, 3, 8):
        rows = rng.permutation(8)[:n]
        tasks.append((pool[rows], rng.standard_normal(n)))
    X, Y = stack_tasks(tasks)
    assert X.shape == (8, 2)
    assert Y.shape == (8, 3)
    assert int(np.sum(~np.isnan(Y))) == 5 + 3 + 8
    for t, (x, y) in enumerate(tasks):
        for at, label in zip(x, y, strict=True):
            (row,) = np.flatnonzero(np.all(at == X, axis=1))
            assert Y[row, t] == label


def test_one_input_may_come_as_a_vector():
    X, Y = stack_tasks([([2.0, 1.0], [20.0, 10.0]), ([2.0, 3.0], [5.0, np.nan])])
    np.testing.assert_array_equal(X[:, 0], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(Y, [[10.0, np.nan], [20.0, 5.0], [np.nan, np.nan]])


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError, match="tasks: must be a sequence of pairs"):
        stack_tasks([])
    with pytest.raises(TypeError, match="tasks: number 0 must be a pair"):
        stack_tasks([([1.0], [1.0], [1.0])])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="tasks: number 1 has inputs"):
        stack_tasks([([1.0], [1.0]), ([1.0, 2.0], [1.0])])
    with pytest.raises(ValueError, match="tasks: number 1 has 2 inputs, number 0 1"):
        stack_tasks([([1.0], [1.0]), ([[1.0, 2.0]], [1.0])])
    with pytest.raises(ValueError, match="tasks: number 0 has two labels at one input"):
        stack_tasks([([1.0, 1.0], [1.0, 2.0])])
