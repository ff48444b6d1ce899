"""The Sobolev kernel (A (6)) and its interpolant, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.solvers.spline import connect_the_dots


def written_kernel(x, x_other, first):
    """A (6), term by term."""
    x, x_other = np.asarray(x)[:, None], np.asarray(x_other)[None, :]
    return 1 - np.maximum(x - x_other, 0) + np.maximum(x - first, 0) + np.maximum(first - x_other, 0)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_the_kernel_is_the_formula_and_positive_definite_on_the_whole_line(seed, n):
    rng = np.random.default_rng(seed)
    first, x = rng.standard_normal(), np.unique(rng.standard_normal(n))
    x_other = rng.standard_normal(n)
    np.testing.assert_allclose(
        kw.sobolev_kernel(x, x_other, first), written_kernel(x, x_other, first), atol=1e-14
    )
    K = kw.sobolev_kernel(x, x, first)
    np.testing.assert_array_equal(K, K.T)
    assert np.linalg.eigvalsh(K).min() > 0
    # to the left of x_1 it is not the kernel of one Brownian path: the two sides are tied by f(x_1)
    np.testing.assert_array_equal(kw.sobolev_kernel([first - 1.0], [first + 1.0], first), [[1.0]])


def test_the_kernel_keeps_its_digits_far_from_the_origin_of_its_terms():
    first = 2.0**60
    np.testing.assert_array_equal(kw.sobolev_kernel([first], [first, first + 512.0], first), [[1.0, 1.0]])
    np.testing.assert_array_equal(kw.sobolev_kernel([3.0], [5.0], -4e15), [[4e15 + 4.0]])


def dense_interpolant(x, y, first, at):
    """Coefficients and values of the minimum-norm interpolant of one task, by a dense solve."""
    coefficients = np.linalg.solve(written_kernel(x, x, first), y)
    return coefficients, written_kernel(at, x, first) @ coefficients


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 10), st.integers(1, 3), st.booleans())
def test_the_interpolant_is_the_dense_solution(seed, n, n_tasks, gaps):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal(n), rng.standard_normal((n, n_tasks))
    if gaps:
        Y[rng.uniform(size=Y.shape) < 0.4] = np.nan
        Y[rng.integers(n)] = rng.standard_normal(n_tasks)
    f = kw.sobolev_interpolant(X, Y)
    at = np.concatenate([X, rng.uniform(-4, 4, 9)])
    rows = ~np.isnan(Y).all(axis=1)
    np.testing.assert_array_equal(f.inputs, np.sort(X[rows]))
    assert f.first == X[rows].min()
    for t in range(n_tasks):
        seen = ~np.isnan(Y[:, t])
        coefficients, values = dense_interpolant(X[seen], Y[seen, t], f.first, at)
        expected = np.zeros(len(f.inputs))
        expected[np.searchsorted(f.inputs, X[seen])] = coefficients
        scale = 1 + np.abs(coefficients).max()
        np.testing.assert_allclose(f.coefficients[:, t], expected, atol=1e-8 * scale)
        np.testing.assert_allclose(f.predict(at)[:, t], values, atol=1e-9 * scale)


@pytest.mark.parametrize("n_tasks", [1, 4])
@pytest.mark.parametrize("n", [2, 3, 50, 400])
def test_it_is_connect_the_dots_between_the_data_and_not_outside(n, n_tasks):
    rng = np.random.default_rng(n)
    x, Y = np.sort(rng.uniform(-1, 2, n)), rng.standard_normal((n, n_tasks))
    f, dots = kw.sobolev_interpolant(x, Y), connect_the_dots(x, Y)
    inside = np.concatenate([x, rng.uniform(x[0], x[-1], 200)])
    difference = f.predict(inside) - dots.predict(inside)
    assert np.abs(difference).max() <= 1e-10 * np.abs(Y).max()
    outside = np.array([x[0] - 1.0, x[-1] + 1.0])
    np.testing.assert_array_equal(f.predict(outside), Y[[0, -1]])
    slopes = (Y[[1, -1]] - Y[[0, -2]]) / (x[[1, -1]] - x[[0, -2]])[:, None]
    np.testing.assert_allclose(
        dots.predict(outside) - f.predict(outside), slopes * [[-1.0], [1.0]], rtol=1e-6, atol=1e-8
    )


def test_no_interpolant_has_a_smaller_norm():
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.uniform(0, 1, 8)), rng.standard_normal(8)
    f = kw.sobolev_interpolant(x, y)
    a = f.coefficients[:, 0]
    norm = a @ kw.sobolev_kernel(x, x, x[0]) @ a
    # f(x_1)^2 + int f'^2 of the broken line
    assert norm == pytest.approx(y[0] ** 2 + np.sum(np.diff(y) ** 2 / np.diff(x)), rel=1e-10)
    # two more centres, interpolation kept: the norm can only rise
    centres = np.concatenate([x, [0.3, 0.77]])
    K = kw.sobolev_kernel(centres, centres, x[0])
    for _ in range(20):
        other = np.zeros(10)
        other[8:] = 0.1 * rng.standard_normal(2)
        other[:8] = np.linalg.solve(K[:8, :8], y - K[:8, 8:] @ other[8:])
        assert other @ K @ other > norm


def test_many_and_close_inputs():
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.choice([1e-9, 1e-3, 1.0], 100_000))
    Y = rng.standard_normal((100_000, 2))
    order = rng.permutation(100_000)
    f = kw.sobolev_interpolant(x[order], Y[order])
    np.testing.assert_array_equal(f.predict(x), Y)
    middle = 0.5 * (x[1:] + x[:-1])
    share = ((middle - x[:-1]) / np.diff(x))[:, None]
    np.testing.assert_allclose(f.predict(middle), (1 - share) * Y[:-1] + share * Y[1:], atol=1e-9)
    # f(x_1) = sum_j alpha_j
    np.testing.assert_allclose(f.coefficients.sum(axis=0), Y[0], atol=1e-13 * np.abs(f.coefficients).max())


def test_equal_labels_at_equal_inputs_count_once():
    f = kw.sobolev_interpolant([1.0, 0.0, 1.0], [[2.0, np.nan], [5.0, 1.0], [2.0, 7.0]])
    np.testing.assert_array_equal(f.inputs, [0.0, 1.0])
    np.testing.assert_array_equal(f.predict([0.0, 0.5, 1.0]), [[5.0, 1.0], [3.5, 4.0], [2.0, 7.0]])


def test_a_task_that_starts_late_shrinks_towards_the_first_input():
    f = kw.sobolev_interpolant([0.0, 3.0], [[1.0, np.nan], [1.0, 8.0]])
    # min f(0)^2 + (8 - f(0))^2 / 3
    np.testing.assert_allclose(f.predict([-5.0, 0.0, 3.0, 9.0])[:, 1], [2.0, 2.0, 8.0, 8.0], rtol=1e-15)


def test_results_are_read_only():
    f = kw.sobolev_interpolant([0.0, 1.0], [0.0, 1.0])
    for array in (f.inputs, f.labels, f.coefficients):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0.0


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([0.0, 0.0], [1.0, 2.0], "^Y: labels of column 0 differ at X = 0.0"),
        ([0.0, 0.0, 1.0], [[1.0, 1.0], [1.0, 2.0], [1.0, 1.0]], "^Y: labels of column 1 differ at X = 0.0"),
        ([0.0, 1.0], [[1.0, np.nan], [2.0, np.nan]], "^Y: column 1 has no label"),
        ([0.0, np.nan], [1.0, 2.0], "^X: NaN at index"),
        ([0.0, 1.0], [1.0, np.inf], "^Y: infinite value"),
        ([0.0, 1.0], [1.0, 2.0, 3.0], r"^Y: must have shape \(2, T\)"),
        ([], [], "^Y: column 0 has no label"),
        ([[0.0, 1.0]], [1.0], r"^X: must have shape \(n,\) or \(n, 1\)"),
    ],
)
def test_data_that_nothing_interpolates_are_refused(X, Y, message):
    with pytest.raises(ValueError, match=message):
        kw.sobolev_interpolant(X, Y)


def test_bad_kernel_arguments_are_named():
    with pytest.raises(ValueError, match=r"^first: must be one number"):
        kw.sobolev_kernel([0.0], [1.0], [0.0, 1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^x_other: got an array of text"):
        kw.sobolev_kernel([0.0], ["a"], 0.0)  # type: ignore[list-item]
