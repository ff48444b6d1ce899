"""Branch and bound over bins against the potential at every point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import dense_potential, label_weights, random_data

import knotwork as kw
from knotwork.bins import Bins, Line
from knotwork.dual_norm.knots import maximise
from knotwork.points import Points

CASES = [("random", 0.0, None), ("random", 0.3, None), ("regular", 0.0, "rows"), ("repeated", 0.3, "labels")]


def residual_case(seed, case, n, coarse):
    """Bins, a line, its best shift, and |p| at every point by the dense formula."""
    rng = np.random.default_rng(seed)
    data = random_data(rng, n, 2, *case)
    points = Points.from_problem(kw.Problem(data.X, data.Y, 1.0, sample_weight=data.weight))
    bins = Bins(points, coarse=coarse)
    slope, start = rng.standard_normal(2), rng.standard_normal(2)
    line = Line(start + slope * bins.x[:, None], np.broadcast_to(slope, (len(bins), 2)))
    shift = bins.affine_part(*bins.residual_sums(line)[:2])
    weight = points.weights()
    error = np.where(weight > 0, np.nan_to_num(points.y), 0.0) - start - slope * points.x[:, None]
    alpha = weight * (error - shift.at(points.x[:, None]))
    return bins, line, shift, np.linalg.norm(dense_potential(points.x, alpha, points.x), axis=1)


@given(st.integers(0, 10**6), st.sampled_from(CASES), st.sampled_from([3, 7, 20]))
def test_the_maximum_over_bins_is_that_over_points(seed, case, coarse):
    bins, line, shift, norms = residual_case(seed, case, 300, coarse)
    before = bins.start.copy()
    best = maximise(bins, line, shift)
    assert best.largest == pytest.approx(norms.max(), rel=1e-10)
    assert np.array_equal(bins.start, before)
    np.testing.assert_allclose(np.linalg.norm(best.p, axis=1), norms[bins.start], atol=1e-10 * norms.max())


# at a floor of the maximum itself, rounding decides
SHARES = st.floats(0.3, 1.5).filter(lambda share: abs(share - 1.0) > 1e-9)


@given(st.integers(0, 10**6), st.sampled_from(CASES), SHARES)
def test_below_the_floor_nothing_is_claimed_and_above_it_nothing_is_missed(seed, case, share):
    bins, line, shift, norms = residual_case(seed, case, 300, 5)
    floor = share * norms.max()
    best = maximise(bins, line, shift, floor=floor)
    if norms.max() > floor:
        assert best.largest == pytest.approx(norms.max(), rel=1e-10)
    else:
        assert norms.max() * (1 - 1e-12) <= best.largest <= floor
    np.testing.assert_allclose(best.hidden_norms, norms[best.hidden], rtol=1e-9)
    assert np.all(best.hidden_norms > floor)
    # one place a bin at most, and the largest of all is an anchor or among them
    assert len(np.unique(np.searchsorted(bins.start, best.hidden, side="right"))) == len(best.hidden)
    found = max(norms[bins.start].max(), best.hidden_norms.max(initial=0.0))
    if norms.max() > floor:
        assert found == pytest.approx(norms.max(), rel=1e-10)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_a_hidden_peak_of_one_point_is_found(gaps):
    # residuals (1, -2, 1) at neighbours deep inside a bin: |p| is not zero at one point only
    rng = np.random.default_rng(0)
    n, at = 4096, 1234
    x, y = np.linspace(0.0, 1.0, n), np.zeros((n, 2))
    y[at - 1 : at + 2] = np.array([[1.0], [-2.0], [1.0]]) * np.array([3.0, 4.0])
    y[rng.uniform(size=y.shape) < gaps] = 0.0
    y[at - 1 : at + 2] = np.array([[1.0], [-2.0], [1.0]]) * np.array([3.0, 4.0])
    points = Points(x, y, None)
    bins = Bins(points, coarse=16)
    best = maximise(bins)
    assert best.hidden.tolist() == [at]
    assert best.largest == pytest.approx(5.0 / (n - 1), rel=1e-9)


def test_labels_weights_of_the_case_are_those_of_the_reference():
    data = random_data(np.random.default_rng(0), 50, 2, "random", 0.3, "labels")
    points = Points.from_problem(kw.Problem(data.X, data.Y, 1.0, sample_weight=data.weight))
    weight = label_weights(data.Y, data.weight)
    order = np.argsort(data.X)
    kept = order[weight[order].any(axis=1)]
    np.testing.assert_allclose(points.weights(), weight[kept])
