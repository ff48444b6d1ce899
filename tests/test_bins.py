from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_potential, label_weights, random_data

import knotwork as kw
from knotwork.bins import Bins, Line
from knotwork.points import Points

CASES = [
    ("random", 0.0, None),
    ("regular", 0.0, "rows"),
    ("log-normal", 0.3, None),
    ("random", 0.3, "labels"),
    ("repeated", 0.0, None),
    ("repeated", 0.3, "labels"),
    ("repeated", 0.0, "rows"),
    ("clustered", 0.0, None),
    ("clustered", 0.5, None),
]
every_case = pytest.mark.parametrize(("spacing", "gaps", "weights"), CASES)


def points_of(data):
    return Points.from_problem(kw.Problem(data.X, data.Y, 1.0, sample_weight=data.weight))


def point_weights(points):
    w = np.ones((1, 1)) if points.w is None else points.w
    return np.broadcast_to(w, points.y.shape)


def straight_curve(rng, points):
    """A curve without knots, one line per task, on any bins, and its residuals at the points."""
    intercept, slope = rng.standard_normal((2, points.n_tasks))

    def on(bins):
        value = intercept + slope * bins.x[:, None]
        return Line(value, np.broadcast_to(slope, value.shape))

    w = point_weights(points)
    error = np.where(w > 0, points.y, 0.0) - intercept - slope * points.x[:, None]
    return on, np.where(w > 0, w * error, 0.0), np.where(w > 0, error, 0.0)


def refine_at_random(rng, bins, rounds=3):
    for _ in range(rounds):
        bins.refine(rng.uniform(size=len(bins)) < 0.5)


def segments(bins):
    return [slice(a, a + n) for a, n in zip(bins.start, bins.size, strict=True)]


@every_case
def test_points_keep_every_sum_of_the_rows(spacing, gaps, weights):
    rng = np.random.default_rng(0)
    data = random_data(rng, 60, 3, spacing, gaps, weights)
    points = points_of(data)
    assert np.all(np.diff(points.x) > 0)
    w, y = label_weights(data.Y, data.weight), np.where(np.isnan(data.Y), 0.0, data.Y)
    pw, py = point_weights(points), np.where(point_weights(points) > 0, points.y, 0.0)
    assert np.allclose(pw.sum(axis=0), w.sum(axis=0), rtol=1e-13)
    assert np.allclose((pw * py).sum(axis=0), (w * y).sum(axis=0), rtol=1e-12, atol=1e-11)
    assert np.allclose(points.x @ (pw * py), data.X @ (w * y), rtol=1e-12, atol=1e-11)
    for curve in (np.zeros_like(py), np.sin(points.x)[:, None] + py):
        fitted = np.array([np.interp(data.X, points.x, column) for column in curve.T]).T
        rows = 0.5 * np.sum(w * (y - fitted) ** 2)
        merged = 0.5 * np.sum(pw * (py - curve) ** 2) + points.scatter
        assert merged == pytest.approx(rows, rel=1e-12)


def test_points_without_repeats_are_the_rows_themselves():
    x, y = np.arange(5.0), np.ones((5, 2))
    problem = kw.Problem(x, y, 1.0)
    points = Points.from_problem(problem)
    assert points.w is None
    assert points.scatter == 0.0
    assert np.shares_memory(points.y, problem.Y)


def test_scatter_is_exact_for_labels_far_from_zero():
    x, y = np.zeros(4), 1e8 + np.array([1.0, 2.0, 3.0, 6.0])
    points = points_of(random_data(np.random.default_rng(0), 4, 1)._replace(X=x, Y=y[:, None]))
    assert points.scatter == pytest.approx(7.0, rel=1e-15)


@every_case
def test_to_rows_splits_a_dual_point_by_weight(spacing, gaps, weights):
    rng = np.random.default_rng(1)
    data = random_data(rng, 40, 2, spacing, gaps, weights)
    problem = kw.Problem(data.X, data.Y, 1.0, sample_weight=data.weight)
    points = Points.from_problem(problem)
    pw, w = point_weights(points), label_weights(data.Y, data.weight)
    alpha = np.where(pw > 0, rng.standard_normal(points.y.shape), 0.0)
    rows, spread = points.to_rows(alpha, problem), points.spread_in_rows(problem)
    for part in (rows, spread):
        assert part.shape == data.Y.shape
        assert np.all(part[w == 0] == 0)
    expected = dense_potential(points.x, alpha, points.x)
    assert np.allclose(dense_potential(data.X, rows, points.x), expected, atol=1e-12)
    assert np.allclose(dense_potential(data.X, spread, points.x), 0.0, atol=1e-12)
    square = np.sum(alpha[pw > 0] ** 2 / pw[pw > 0])
    assert np.sum(rows[w > 0] ** 2 / w[w > 0]) == pytest.approx(square, rel=1e-12)
    assert np.sum(spread[w > 0] ** 2 / w[w > 0]) == pytest.approx(2 * points.scatter, rel=1e-11)


@every_case
@pytest.mark.parametrize("refined", [False, True])
def test_bins_sum_what_their_points_sum(spacing, gaps, weights, refined):
    rng = np.random.default_rng(2)
    points = points_of(random_data(rng, 700, 3, spacing, gaps, weights))
    bins = Bins(points, coarse=8)
    if refined:
        refine_at_random(rng, bins)
    assert np.array_equal(bins.start, np.concatenate([[0], np.cumsum(bins.size)[:-1]]))
    assert bins.size.sum() == len(points.x)
    assert np.array_equal(bins.x, points.x[bins.start])
    on, alpha, error = straight_curve(rng, points)
    total, moment, square = bins.residual_sums(on(bins))
    size = np.abs(alpha).max() * bins.size.max()
    for i, rows in enumerate(segments(bins)):
        assert np.allclose(total[i], alpha[rows].sum(axis=0), atol=1e-13 * size)
        arm = points.x[rows, None] - bins.mean_x[i]
        assert np.allclose(moment[i], np.sum(arm * alpha[rows], axis=0), atol=1e-13 * size)
        squares = np.sum(alpha[rows] * error[rows], axis=0)
        # tasks that share their weights share one sum
        expected = squares if len(square[i]) > 1 else squares.sum()
        assert np.allclose(square[i], expected, atol=1e-11 * size)


@every_case
@pytest.mark.parametrize("refined", [False, True])
def test_potential_at_the_anchors_is_dense(spacing, gaps, weights, refined):
    rng = np.random.default_rng(3)
    points = points_of(random_data(rng, 500, 2, spacing, gaps, weights))
    bins = Bins(points, coarse=8)
    if refined:
        refine_at_random(rng, bins)
    on, alpha, _ = straight_curve(rng, points)
    total, moment, _ = bins.residual_sums(on(bins))
    expected = dense_potential(points.x, alpha, bins.x)
    p, later = bins.potential(total, moment)
    assert np.allclose(p, expected, atol=1e-13 * np.abs(alpha).sum())
    sums = [alpha[points.x > last].sum(axis=0) for last in points.x[bins.start + bins.size - 1]]
    assert np.allclose(later, sums, atol=1e-12 * np.abs(alpha).sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CASES), st.booleans())
def test_slack_bounds_what_a_bin_hides(seed, case, refined):
    rng = np.random.default_rng(seed)
    points = points_of(random_data(rng, 200, 2, *case))
    bins = Bins(points, coarse=4)
    if refined:
        refine_at_random(rng, bins, 1)
    on, alpha, _ = straight_curve(rng, points)
    norms = np.linalg.norm(dense_potential(points.x, alpha, points.x), axis=1)
    slack = bins.slack(bins.residual_sums(on(bins))[2])
    ends = np.append(norms[bins.start], norms[-1])
    for i, rows in enumerate(segments(bins)):
        allowed = max(ends[i], ends[i + 1]) + slack[i]
        assert norms[rows].max() <= allowed + 1e-12 * np.abs(alpha).sum()


@every_case
def test_affine_part_is_the_least_squares_line(spacing, gaps, weights):
    rng = np.random.default_rng(4)
    points = points_of(random_data(rng, 150, 3, spacing, gaps, weights))
    bins = Bins(points, coarse=8)
    on, _, error = straight_curve(rng, points)
    shift = bins.affine_part(*bins.residual_sums(on(bins))[:2])
    w = point_weights(points)
    for t in range(3):
        root = np.sqrt(w[:, t])
        features = np.column_stack([np.ones_like(points.x), points.x])
        fit = features @ np.linalg.lstsq(features * root[:, None], root * error[:, t], rcond=None)[0]
        assert np.allclose(shift.at(points.x[:, None])[:, t], fit, rtol=1e-9, atol=1e-10)
        assert shift.square[t] == pytest.approx(np.sum(w[:, t] * fit**2), rel=1e-10)
    total, moment, square = bins.residual_sums(on(bins), shift)
    again = bins.affine_part(total, moment)
    assert np.all(again.square <= 1e-25 * shift.square)
    plain = bins.residual_sums(on(bins))[2]
    assert square.sum() + shift.square.sum() == pytest.approx(plain.sum(), rel=1e-12)


@pytest.mark.parametrize("offset", [1e4, 1e7])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_bins_keep_their_digits_where_labels_are_far_from_zero(offset, gaps):
    rng = np.random.default_rng(8)
    data = random_data(rng, 700, 2, "random", gaps)
    near, far = Bins(points_of(data), coarse=8), Bins(points_of(data._replace(Y=data.Y + offset)), coarse=8)
    rounding = 1e-15 * offset * near.size.max()
    assert np.allclose(far.mean_y - offset, near.mean_y, atol=rounding)
    assert np.allclose(far.sxy, near.sxy, atol=rounding)
    assert np.allclose(far.syy, near.syy, atol=10 * rounding)


def test_refine_says_where_old_bins_stand():
    rng = np.random.default_rng(5)
    bins = Bins(points_of(random_data(rng, 700, 1)), coarse=8)
    for _ in range(4):
        old = bins.start
        moved = bins.refine(rng.uniform(size=len(bins)) < 0.4)
        assert np.array_equal(bins.start[moved], old)
    assert np.array_equal(bins.refine(np.zeros(len(bins), dtype=bool)), np.arange(len(bins)))


@pytest.mark.parametrize("n", [1, 2, 5, 17, 255, 700])
def test_refined_around_places_no_bin_of_several_points_has_one_inside(n):
    rng = np.random.default_rng(6)
    points = points_of(random_data(rng, n, 2, "random", 0.2, "labels"))
    bins = Bins(points, coarse=2)
    location = np.concatenate([rng.uniform(-0.5, 1.5, 20), rng.choice(points.x, 5)])
    bins.refine_around(location)
    inside = (location > bins.x[:, None]) & (location < bins.next_x[:, None])
    assert np.all(bins.size[inside.any(axis=1)] == 1)
    assert bins.size.sum() == len(points.x)


def test_refined_to_the_end_bins_are_the_data():
    points = points_of(random_data(np.random.default_rng(7), 700, 2, "random", 0.2, "labels"))
    bins = Bins(points, coarse=2)
    while np.any(bins.size > 1):
        bins.refine(np.ones(len(bins), dtype=bool))
    assert np.array_equal(bins.start, np.arange(len(points.x)))
    assert np.array_equal(np.broadcast_to(bins.weight, points.y.shape), point_weights(points))
    assert not bins.sxx.any()
