from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knotwork.solvers.corrective import Reduced, correct


def responses(reduced, V):
    """(K, T) of R' (C - R V), pattern by pattern."""
    tasks = V[None] if len(reduced.R) == 1 else V.T[:, :, None]
    G = reduced.R.transpose(0, 2, 1) @ (reduced.C - reduced.R @ tasks)
    return G[0] if len(reduced.R) == 1 else G[:, :, 0].T


def random_reduced(rng, n_knots, n_tasks, patterns):
    shape = (patterns, n_knots, n_tasks // patterns)
    return Reduced(
        np.eye(n_knots) + np.triu(rng.standard_normal((patterns, n_knots, n_knots))),
        rng.standard_normal(shape),
    )


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4), st.booleans(), st.floats(-3, 0.5))
def test_the_optimality_conditions_hold(seed, n_knots, n_tasks, shared, log_lam):
    # |G_k| <= lam, and G_k = lam V_k / |V_k| where V_k is not zero: necessary and sufficient
    rng = np.random.default_rng(seed)
    reduced, lam = random_reduced(rng, n_knots, n_tasks, 1 if shared else n_tasks), 10.0**log_lam
    eta, V = correct(reduced, lam, np.zeros(n_knots), 1e-15)
    G, size = responses(reduced, V), np.linalg.norm(V, axis=1)
    assert np.all(eta >= 0)
    assert np.linalg.norm(G, axis=1).max() <= lam * (1 + 1e-4)
    np.testing.assert_allclose(size[:, None] * G, lam * V, atol=1e-4 * lam * max(1.0, size.max()))


@pytest.mark.parametrize(("label", "expected"), [(3.0, 2.0), (-3.0, -2.0), (0.5, 0.0)])
def test_one_feature_is_soft_thresholding(label, expected):
    # min (label - v)^2 / 2 + |v| has v = sign(label) max(|label| - 1, 0)
    eta, V = correct(Reduced(np.ones((1, 1, 1)), np.full((1, 1, 1), label)), 1.0, np.zeros(1), 1e-14)
    assert V[0, 0] == pytest.approx(expected, abs=1e-10)
    assert eta[0] == pytest.approx(abs(expected), abs=1e-10)


def test_group_soft_thresholding_of_orthogonal_features():
    # orthonormal R: V_k = (1 - lam / |C_k|)_+ C_k
    rng = np.random.default_rng(0)
    C = rng.standard_normal((5, 3)) * np.array([[3.0], [2.0], [1.0], [0.3], [0.1]])
    _, V = correct(Reduced(np.eye(5)[None], C[None]), 0.7, np.zeros(5), 1e-14)
    size = np.linalg.norm(C, axis=1, keepdims=True)
    np.testing.assert_allclose(V, np.maximum(1 - 0.7 / size, 0) * C, atol=1e-9)


def test_equal_features_share_their_weight_without_harm():
    rng = np.random.default_rng(1)
    column = rng.standard_normal((6, 1))
    C = rng.standard_normal((1, 6, 2))
    _, alone = correct(Reduced(column[None], C), 0.1, np.zeros(1), 1e-13)
    _, pair = correct(Reduced(np.hstack([column, column])[None], C), 0.1, np.zeros(2), 1e-13)
    np.testing.assert_allclose(pair.sum(axis=0), alone[0], atol=1e-6)


def test_lam_far_below_rounding_fits_the_labels():
    rng = np.random.default_rng(2)
    reduced = random_reduced(rng, 4, 2, 1)
    _, V = correct(reduced, 1e-30, np.ones(4), 0.0)
    np.testing.assert_allclose(reduced.R[0] @ V, reduced.C[0], atol=1e-6)


def test_out_of_time_returns_masses_that_are_valid_and_no_worse():
    rng = np.random.default_rng(3)
    reduced = random_reduced(rng, 6, 2, 1)
    start = np.ones(6)
    eta, V = correct(reduced, 0.1, start, 0.0, out_of_time=lambda: True)
    assert np.array_equal(eta, start)
    np.testing.assert_allclose(V, start[:, None] * responses(reduced, V) / 0.1, atol=1e-10)
