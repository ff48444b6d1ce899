from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import (
    brute_force_dual_norm,
    dense_potential,
    project_off_lines,
    random_inputs,
    second_differences,
)

import knotwork as kw
from knotwork.dual_norm.knots import dual_point_of, keep_to_labels, slope_changes

SPACINGS = ["regular", "random", "log-normal", "repeated"]


def orthogonal(rng, x, n_tasks):
    """A random dual point orthogonal to 1 and x."""
    alpha = rng.standard_normal((len(x), n_tasks))
    return project_off_lines(x, alpha, np.ones(alpha.shape))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 40), st.integers(1, 4), st.sampled_from(SPACINGS))
def test_dual_norm_is_that_of_brute_force(seed, n, n_tasks, spacing):
    rng = np.random.default_rng(seed)
    x = random_inputs(rng, n, spacing)
    alpha = orthogonal(rng, x, n_tasks)
    found = kw.knots_dual_norm(x, alpha)
    expected = brute_force_dual_norm(x, alpha)
    assert found.rigour is kw.Rigour.EXACT
    assert found.upper_bound == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("n", [3000, 20_001])
def test_dual_norm_through_bins(spacing, n):
    rng = np.random.default_rng(n)
    x = random_inputs(rng, n, spacing)
    alpha = orthogonal(rng, x, 2)
    order = np.argsort(x)
    tail = alpha[order][::-1]
    # two cumulative sums over sorted rows
    step = np.cumsum(tail, axis=0)[:-1] * np.diff(x[order])[::-1, None]
    expected = np.linalg.norm(np.cumsum(step, axis=0), axis=1).max()
    assert kw.knots_dual_norm(x, alpha).upper_bound == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_neurons_reach_their_values_best_first(seed):
    rng = np.random.default_rng(seed)
    x = random_inputs(rng, 30, "random")
    alpha = orthogonal(rng, x, 3)
    found = kw.knots_dual_norm(x, alpha)
    assert len(found.neurons) == len(found.values) >= 1
    assert np.all(np.diff(found.values) <= 0)
    assert found.values[0] == pytest.approx(found.upper_bound, rel=1e-14)
    for (w, b), value in zip(found.neurons, found.values, strict=True):
        assert abs(w) == 1.0
        response = np.maximum(w * x + b, 0.0) @ alpha
        assert np.linalg.norm(response) == pytest.approx(value, rel=1e-11)


def test_dual_norm_by_hand():
    found = kw.knots_dual_norm([0.0, 1.0, 3.0], [[3.0, 4.0], [-4.5, -6.0], [1.5, 2.0]])
    assert found.upper_bound == pytest.approx(5.0, rel=1e-15)
    assert np.array_equal(found.neurons, [[1.0, -1.0]])


def test_two_peaks_are_two_neurons():
    # p = 1 at 1 and 4, 0 at 0, 2.5 and 5
    x = np.array([0.0, 1.0, 2.5, 4.0, 5.0])
    found = kw.knots_dual_norm(x, second_differences(x).T @ np.array([[1.0], [0.0], [0.9]]))
    assert np.allclose(found.neurons, [[1.0, -1.0], [1.0, -4.0]])
    assert np.allclose(found.values, [1.0, 0.9])


@pytest.mark.parametrize("alpha", [[1.0, 0.0, 0.0], [1.0, -1.0, 0.0], [1.0, -2.0, 1.0 + 1e-6]])
def test_a_dual_point_that_charges_the_free_parts_has_no_bound(alpha):
    assert kw.knots_dual_norm([0.0, 1.0, 2.0], alpha).upper_bound == np.inf


@pytest.mark.parametrize("n", [1, 2, 5])
def test_nothing_responds_to_zero(n):
    found = kw.knots_dual_norm(np.arange(float(n)), np.zeros((n, 2)))
    assert found.upper_bound == 0.0
    assert found.neurons.shape == (0, 2)


def test_equal_inputs_act_as_one():
    x, alpha = np.array([0.0, 1.0, 1.0, 2.0]), np.array([-1.0, 5.0, -3.0, -1.0])
    assert kw.knots_dual_norm(x, alpha).upper_bound == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize(
    ("X", "alpha", "message"),
    [
        ([0.0, 1.0], np.zeros((3, 1)), r"^alpha: must have shape \(2, T\)"),
        ([], [], r"^alpha: must have shape \(0, T\)"),
        ([0.0, 1.0], np.zeros((2, 1, 1)), r"^alpha: must have shape"),
        ([0.0, np.nan], np.zeros(2), r"^X: NaN"),
        ([0.0, 1.0], [0.0, np.inf], r"^alpha: infinite"),
    ],
)
def test_wrong_arrays_are_named(X, alpha, message):
    with pytest.raises(ValueError, match=message):
        kw.knots_dual_norm(X, alpha)


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal"])
def test_slope_changes_and_dual_points_are_adjoint_and_dense(spacing):
    rng = np.random.default_rng(1)
    x = np.sort(random_inputs(rng, 12, spacing))
    D, f, p = second_differences(x), rng.standard_normal((12, 3)), rng.standard_normal((10, 3))
    size = np.abs(D).max()
    assert np.allclose(slope_changes(x, f), D @ f, rtol=0, atol=1e-14 * size)
    assert np.allclose(dual_point_of(x, p), D.T @ p, rtol=0, atol=1e-14 * size)
    assert np.sum(slope_changes(x, f) * p) == pytest.approx(np.sum(f * dual_point_of(x, p)), abs=1e-12 * size)
    assert np.allclose(dense_potential(x, dual_point_of(x, p), x[1:-1]), p, atol=1e-14 * size)


@pytest.mark.parametrize("seed", range(6))
def test_kept_to_labels_a_dual_point_vanishes_at_missing_ones_and_stays_feasible(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(size=15))
    p = rng.standard_normal((13, 3))
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    seen = rng.uniform(size=(15, 3)) > 0.4
    seen[[2, 9]] = True
    alpha = dual_point_of(x, keep_to_labels(x, p, seen))
    assert np.abs(alpha[~seen]).max() <= 1e-12 * np.abs(alpha).max()
    assert np.allclose(alpha.sum(axis=0), 0, atol=1e-12 * np.abs(alpha).max())
    assert np.allclose(x @ alpha, 0, atol=1e-12 * np.abs(alpha).max())
    kept = keep_to_labels(x, p, seen)
    inner = np.flatnonzero(seen[1:-1].all(axis=1)) + 1
    inner = inner[(inner > seen.argmax(axis=0).max()) & (inner < 14 - seen[::-1].argmax(axis=0).max())]
    assert np.allclose(kept[inner - 1], p[inner - 1])
    assert keep_to_labels(x, p, np.ones((15, 3), dtype=bool)) is p
