"""The compiled loops against the same sums in NumPy, and against the bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_several import respond

from knotwork import _kernels
from knotwork.bins import Bins, feature_factor, moments_factor, segment_moments
from knotwork.dual_norm.arrangement import circle_candidates
from knotwork.dual_norm.search import best_biases
from knotwork.points import Points


def case(seed, n, n_tasks, patterns, n_knots):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.lognormal(0.0, 1.5, n))
    w = np.ones((n, 1)) if patterns == "none" else rng.random((n, 1 if patterns == "rows" else n_tasks))
    if patterns == "gaps":
        w[rng.random(w.shape) < 0.3] = 0.0
    start = np.concatenate([[0], np.sort(rng.choice(np.arange(1, n), n_knots, replace=False))])
    return x, rng.standard_normal((n, n_tasks)), w, start, rng


PATTERNS = st.sampled_from(["none", "rows", "labels", "gaps"])


@given(st.integers(0, 10**6), st.integers(5, 40), st.integers(1, 4), PATTERNS, st.integers(0, 4))
@settings(max_examples=60)
def test_potential_is_the_sum_over_earlier_points(seed, n, n_tasks, patterns, n_knots):
    x, y, w, start, rng = case(seed, n, n_tasks, patterns, n_knots)
    value, slope = rng.standard_normal((2, n_knots + 1, n_tasks))
    p, norms = np.empty((n, n_tasks)), np.empty(n)
    square, total, rise = _kernels.potential(x, y, w, start, value, slope, p, norms)
    which = np.searchsorted(start, np.arange(n), side="right") - 1
    error = y - value[which] - slope[which] * (x - x[start[which]])[:, None]
    alpha = w * error
    expected = np.array([((x[j] - x[:j])[:, None] * alpha[:j]).sum(axis=0) for j in range(n)])
    size = np.abs(alpha).sum() * x[-1]
    np.testing.assert_allclose(p, expected, atol=1e-13 * size)
    np.testing.assert_allclose(norms, np.linalg.norm(p, axis=1), rtol=1e-13)
    assert square == pytest.approx(float(np.sum(alpha * error)), rel=1e-12)
    np.testing.assert_allclose(total, alpha.sum(axis=0), atol=1e-13 * size)
    np.testing.assert_allclose(rise, expected[-1], atol=1e-13 * size)


@given(
    st.integers(0, 10**6),
    st.integers(5, 40),
    st.integers(1, 4),
    PATTERNS,
    st.integers(0, 4),
    st.integers(1, 9),
)
@settings(max_examples=80)
def test_segment_moments_are_those_of_the_bins(seed, n, n_tasks, patterns, n_knots, size):
    x, y, w, start, _ = case(seed, n, n_tasks, patterns, n_knots)
    points = Points(x, y, None if patterns == "none" else w)
    if not np.all(w.sum(axis=0) > 0):
        return
    blocks = _kernels.block_moments(x, y, w, size)
    ours = _kernels.segment_moments(x, y, w, start, size, blocks)
    theirs = segment_moments(Bins(points, n), start, float(x[0]))
    weight = np.broadcast_to(ours[0], ours[1].shape)
    for mine, other, name in zip(ours, theirs, ["weight", "mean_x", "mean_y", "sxx", "sxy"], strict=True):
        if name == "mean_x":
            # of no data there is no mean
            mine, other = mine[weight > 0], other[weight > 0]
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-12 * max(1.0, np.abs(other).max()))
    # and so is the factor that a fit is made from, up to a rotation
    place = x[start[1:]] - x[0]
    R, S = moments_factor(place, *ours), feature_factor(Bins(points, n), start[1:])
    n_features = n_knots + 2
    gram = R[:, :, :n_features].transpose(0, 2, 1) @ R
    other = S[:, :, :n_features].transpose(0, 2, 1) @ S
    np.testing.assert_allclose(gram, other, atol=1e-10 * np.abs(other).max())


def test_extended_norms():
    now, before = np.random.default_rng(0).standard_normal((2, 7, 3))
    norms = np.empty(7)
    _kernels.extended_norms(now, before, 0.7, norms)
    np.testing.assert_allclose(norms, np.linalg.norm(now + 0.7 * (now - before), axis=1), rtol=1e-14)


def rows_of(seed, n, d, n_tasks, degenerate):
    rng = np.random.default_rng(seed)
    X, alpha = rng.standard_normal((n, d)), rng.standard_normal((n, n_tasks))
    if degenerate:
        # points that meet, lie on lines through others, or at 0
        X = rng.integers(-1, 2, (n, d)).astype(np.float64)
    return rng, X, alpha


SIZES = st.sampled_from([1, 2, 3, 9, 31, 32, 33, 65, 150])


@given(st.integers(0, 10**6), SIZES, st.integers(0, 3))
@settings(max_examples=60)
def test_sort_puts_any_order_right(seed, n, ties):
    rng = np.random.default_rng(seed)
    key = rng.integers(0, 5, n).astype(np.float64) if ties == 0 else rng.standard_normal(n)
    order = rng.permutation(n)
    _kernels._sort(key, order)
    np.testing.assert_array_equal(key[order], np.sort(key))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@given(st.integers(0, 10**6), SIZES, st.integers(1, 4), st.booleans(), st.booleans())
@settings(max_examples=80)
def test_no_turn_is_better_than_the_best_turn(seed, n, n_tasks, degenerate, even):
    rng, Z, alpha = rows_of(seed, n, 2, n_tasks, degenerate)
    size = np.abs(alpha).sum() * max(np.abs(Z).max(), 1.0)
    if even:
        Q = np.linalg.svd(Z, full_matrices=False)[0][:, : np.linalg.matrix_rank(Z)]
        alpha -= Q @ (Q.T @ alpha)
    z, other = np.ascontiguousarray(Z.T)
    c, s = _kernels._best_turn(z, other, np.ascontiguousarray(alpha.T), rng.permutation(n), even)
    assert c * c + s * s == pytest.approx(1.0, rel=1e-12)
    angle = np.linspace(0.0, 2.0 * np.pi, 400)
    neurons = np.column_stack([np.append(c, np.cos(angle)), np.append(s, np.sin(angle)), np.zeros(401)])
    found, *others = respond(Z, alpha, neurons)
    assert found >= max(others) - 1e-13 * size
    _, values = circle_candidates(Z[None], alpha, np.zeros((1, 2, n_tasks)))
    assert found == pytest.approx(values.max(), rel=1e-9, abs=1e-13 * size)


@given(st.integers(0, 10**6), SIZES, st.integers(1, 4), st.booleans())
@settings(max_examples=60)
def test_the_best_anchor_is_the_best_bias(seed, n, n_tasks, degenerate):
    rng, X, alpha = rows_of(seed, n, 3, n_tasks, degenerate)
    alpha -= alpha.mean(axis=0)
    w = rng.standard_normal(3)
    w /= np.linalg.norm(w)
    columns, by_task = np.ascontiguousarray(X.T), np.ascontiguousarray(alpha.T)
    at = X[_kernels._best_anchor(columns, by_task, w, np.empty(n), rng.permutation(n))]
    here = respond(X, alpha, np.append(w, -w @ at)[None])[0]
    best = respond(X, alpha, best_biases(X, alpha, w[None]))[0]
    assert here == pytest.approx(best, rel=1e-12, abs=1e-13 * np.abs(alpha).sum())
