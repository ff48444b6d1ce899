from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knotwork.selection.held_out import held_out


@given(
    st.integers(0, 10**6),
    st.integers(2, 5),
    st.sampled_from(["rows", "labels", "blocks", "gaps"]),
    st.integers(1, 4),
)
def test_every_label_is_held_out_once_and_equal_inputs_together(seed, n_folds, scheme, n_tasks):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 25, (60, 1)).astype(float)
    seen = rng.uniform(size=(60, n_tasks)) < 0.8
    tests = held_out(X, seen, n_folds, scheme, rng)
    assert len(tests) == n_folds
    np.testing.assert_array_equal(np.sum(tests, axis=0), seen)
    for test in tests:
        for t in range(n_tasks):
            known = set(X[seen[:, t] & ~test[:, t], 0])
            assert len(known) >= 1
            if scheme in ("labels", "gaps"):
                assert not known & set(X[test[:, t], 0])
        if scheme in ("rows", "blocks"):
            # a row is held out with all it has
            assert not set(X[test.any(axis=1), 0]) & set(X[(seen & ~test).any(axis=1), 0])
        for t in range(n_tasks if scheme in ("blocks", "gaps") else 0):
            # on a circle of inputs a run begins once
            known, held = (seen[:, [t]], test[:, [t]]) if scheme == "gaps" else (seen, test)
            inputs = np.unique(X[known.any(axis=1), 0])
            inside = np.isin(inputs, X[held.any(axis=1), 0])
            assert np.sum(inside & ~np.roll(inside, 1)) == 1


def test_folds_are_of_equal_size_and_random():
    X, seen = np.arange(20.0)[:, None], np.ones((20, 2), dtype=bool)
    rng = np.random.default_rng(0)
    for scheme in ("rows", "labels", "blocks", "gaps"):
        first, second = (held_out(X, seen, 4, scheme, rng) for _ in range(2))
        assert all(test.sum() == 10 for test in (*first, *second))
        assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    for scheme, same in (("rows", True), ("blocks", True), ("labels", False), ("gaps", False)):
        test = held_out(X, seen, 4, scheme, rng)[0]
        assert np.array_equal(test[:, 0], test[:, 1]) is same


def test_too_few_labels_are_named():
    X, seen = np.arange(12.0)[:, None], np.ones((12, 3), dtype=bool)
    seen[2:, 1] = False
    with pytest.raises(ValueError, match="task 1, which has 2 labels"):
        held_out(X, seen, 3, "rows", np.random.default_rng(0))
