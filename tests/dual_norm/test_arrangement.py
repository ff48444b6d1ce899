"""Sweeps of the circle and the sphere against every activation pattern in every flat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_several import candidates

from knotwork.dual_norm.arrangement import circle, circle_candidates, merge_parallel, response, sphere


def responses(Z, A, u):
    """|sum_j a_j (z_j . u)_+|, row by row."""
    return np.array([np.linalg.norm(np.maximum(Z @ row, 0.0) @ A) for row in u])


def exhaustive(Z, A):
    return float(responses(Z, A, candidates(Z, A)).max())


def swept(Z, A):
    return circle(Z, A) if Z.shape[1] == 2 else sphere(Z, A)


def check(found, Z, A, maximum, rel=1e-11):
    assert found.largest == pytest.approx(maximum, rel=rel, abs=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found.u, axis=1), 1.0, rtol=1e-12)
    # values come from their squares, so that small ones keep half the digits
    np.testing.assert_allclose(responses(Z, A, found.u), found.values, rtol=1e-9, atol=1e-7 * maximum)


@pytest.mark.parametrize(("m", "M"), [(2, 1), (2, 2), (2, 9), (3, 1), (3, 2), (3, 3), (3, 9)])
@pytest.mark.parametrize("r", [1, 3])
def test_the_maximum_is_that_over_all_patterns_and_flats(m, M, r):
    for seed in range(3):
        rng = np.random.default_rng(100 * M + seed)
        Z, A = rng.standard_normal((M, m)), rng.standard_normal((M, r))
        check(swept(Z, A), Z, A, exhaustive(Z, A))


@settings(max_examples=30)
@given(st.data(), st.integers(2, 3), st.integers(1, 3), st.integers(0, 10**6))
def test_small_integers_are_exact(data, m, r, seed):
    # zero, parallel, opposite and dependent rows, and vertices where many planes meet
    entry = st.integers(-2, 2)
    Z = np.array(data.draw(st.lists(st.tuples(*[entry] * m), min_size=1, max_size=7)), dtype=float)
    A = np.random.default_rng(seed).integers(-2, 3, size=(len(Z), r)).astype(float)
    check(swept(Z, A), Z, A, exhaustive(Z, A) if Z.any() else 0.0)


@pytest.mark.parametrize("m", [2, 3])
def test_nearly_parallel_rows_are_exact(m):
    rng = np.random.default_rng(0)
    base = rng.standard_normal((4, m))
    for size in (1e-7, 1e-11, 1e-12, 1e-13, 1e-15):
        Z = np.concatenate([base, base + size * rng.standard_normal(base.shape), -base])
        A = rng.standard_normal((12, 2))
        check(swept(Z, A), Z, A, exhaustive(Z, A), rel=1e-9)


@pytest.mark.parametrize("m", [2, 3])
def test_rows_without_length_respond_to_nothing(m):
    found = swept(np.zeros((3, m)), np.ones((3, 2)))
    assert (len(found.u), found.largest) == (0, 0.0)


def test_arcs_of_many_circles_cover_each_of_them():
    rng = np.random.default_rng(1)
    Z, A = rng.standard_normal((5, 6, 2)), rng.standard_normal((6, 2))
    linear = rng.standard_normal((5, 2, 2))
    u, values = circle_candidates(Z, A, linear)
    assert u.shape == (5, 12, 2)
    assert values.shape == (5, 12)
    angles = np.linspace(-np.pi, np.pi, 20001)
    around = np.column_stack([np.cos(angles), np.sin(angles)])
    for k in range(5):
        here = [np.linalg.norm(np.maximum(Z[k] @ v, 0.0) @ A + v @ linear[k]) for v in u[k]]
        np.testing.assert_allclose(here, values[k], rtol=1e-11)
        sampled = np.linalg.norm(np.maximum(around @ Z[k].T, 0.0) @ A + around @ linear[k], axis=1).max()
        assert sampled <= values[k].max() * (1.0 + 1e-12)
        assert sampled >= values[k].max() * (1.0 - 1e-6)


@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 8))
def test_parallel_rows_merge_to_the_same_response(seed, m, M):
    rng = np.random.default_rng(seed)
    Z = rng.integers(-1, 2, (M, m)) * rng.uniform(0.1, 3.0, (M, 1))
    A, u = rng.standard_normal((M, 2)), rng.standard_normal((20, m))
    normals, weights, linear = merge_parallel(Z, A)
    merged = np.maximum(u @ normals.T, 0.0) @ weights + u @ linear
    np.testing.assert_allclose(merged, np.maximum(u @ Z.T, 0.0) @ A, atol=1e-12)
    cosines = np.abs(normals @ normals.T) - np.eye(len(normals))
    assert np.all(cosines < 1.0 - 1e-9)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999, 1.001])
def test_a_floor_hides_only_what_is_below_it(share):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        Z, A = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
        top = sphere(Z, A).largest
        found = sphere(Z, A, share * top)
        assert found.largest <= top * (1.0 + 1e-12)
        if share < 1.0:
            assert found.largest == pytest.approx(top, rel=1e-12)


def test_responses_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    Z, A, u = rng.standard_normal((7, 3)), rng.standard_normal((7, 2)), rng.standard_normal((9, 3))
    np.testing.assert_allclose(response(Z, A, u), responses(Z, A, u), rtol=1e-13)


def test_the_best_are_sorted_and_above_the_floor():
    rng = np.random.default_rng(0)
    found = sphere(rng.standard_normal((8, 3)), rng.standard_normal((8, 2)))
    floor = 0.7 * found.largest
    best = found.best(floor, 5)
    assert 0 < len(best.values) <= 5
    assert best.largest == found.largest
    assert np.all(np.diff(best.values) <= 0)
    assert np.all(best.values > floor)
