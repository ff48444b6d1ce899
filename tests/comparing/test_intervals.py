from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from knotwork.comparing.intervals import LogRatio, log_ratio, units_of


def errors_of(seed, n=40, n_tasks=3, missing=0.2):
    rng = np.random.default_rng(seed)
    one, other = np.exp(rng.standard_normal((2, n, n_tasks)))
    gone = rng.uniform(size=one.shape) < missing
    gone[:2] = False
    one[gone] = other[gone] = np.nan
    return one, other


def test_small_differences_have_the_interval_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    other = np.ones((30, 1))
    one = other + 1e-6 * rng.standard_normal((30, 1))
    found = log_ratio(one, other, np.arange(30))
    expected = ttest_1samp((one - other)[:, 0], 0.0).confidence_interval(0.9)
    assert found.ends(0.9) == pytest.approx((expected.low, expected.high), rel=1e-4)


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_the_standard_error_is_the_jackknife_of_rows(n_tasks):
    one, other = errors_of(1, n=400, n_tasks=n_tasks)
    found = log_ratio(one, other, np.arange(400))
    left = [np.delete(np.arange(400), i) for i in range(400)]
    logs = np.array([np.mean(np.log(np.nansum(one[k], axis=0) / np.nansum(other[k], axis=0))) for k in left])
    jackknife = math.sqrt(399 / 400 * np.sum((logs - logs.mean()) ** 2))
    assert found.mean == pytest.approx(
        np.mean(np.log(np.nansum(one, axis=0) / np.nansum(other, axis=0))), rel=1e-12
    )
    assert found.error == pytest.approx(jackknife, rel=0.02)


@given(st.integers(0, 10**6), st.floats(0.1, 10.0))
def test_it_is_the_same_in_any_unit_and_turns_over(seed, factor):
    one, other = errors_of(seed)
    units = np.random.default_rng(seed).integers(0, 12, 40)
    found = log_ratio(one, other, units)
    scaled = log_ratio(factor * one * [1.0, 10.0, 0.1], other * [1.0, 10.0, 0.1], units)
    assert scaled.mean == pytest.approx(found.mean + math.log(factor), abs=1e-9)
    assert scaled.error == pytest.approx(found.error, rel=1e-9)
    turned = log_ratio(other, one, units)
    assert turned.mean == pytest.approx(-found.mean, abs=1e-12)
    assert turned.error == pytest.approx(found.error, rel=1e-9)


def test_copies_of_rows_are_no_evidence():
    one, other = errors_of(2)
    found = log_ratio(one, other, np.arange(40))
    twice = np.tile(one, (2, 1)), np.tile(other, (2, 1))
    same = log_ratio(*twice, np.tile(np.arange(40), 2))
    assert (same.error, same.dof) == pytest.approx((found.error, found.dof))
    assert log_ratio(*twice, np.arange(80)).error < 0.8 * found.error


def test_tasks_that_err_together_count_as_one():
    one, other = errors_of(3, n_tasks=1, missing=0.0)
    alone = log_ratio(one, other, np.arange(40))
    alike = log_ratio(np.tile(one, (1, 5)), np.tile(other, (1, 5)), np.arange(40))
    assert alike.error == pytest.approx(alone.error)
    apart = log_ratio(*errors_of(3, n_tasks=5, missing=0.0), np.arange(40))
    assert apart.error < 0.7 * alone.error


def test_chances_are_students():
    found = LogRatio(-0.1, 0.05, 7)
    assert found.chance_below(0.02) == pytest.approx(student(7, -0.1, 0.05).cdf(0.02))
    low, high = found.ends(0.95)
    assert found.chance_below(low) == pytest.approx(0.025)
    assert found.chance_below(high) == pytest.approx(0.975)
    assert LogRatio(0.0, 0.0, 5).chance_below(0.01) == 1.0
    assert LogRatio(0.0, 0.0, 5).chance_below(-0.01) == 0.0
    unknown = log_ratio(*(one[:1] for one in errors_of(0)), np.zeros(1, dtype=int))
    assert np.isnan([*unknown.ends(0.95), unknown.chance_below(0.0)]).all()


def test_an_interval_holds_the_true_ratio_as_often_as_it_says():
    """Rows are independent here; with folds that share what they learn from see benchmarks."""
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        row = rng.chisquare(1, (50, 1))
        one, other = row + 0.5 * rng.chisquare(1, (50, 3)), row + rng.chisquare(1, (50, 3))
        low, high = log_ratio(one, other, np.arange(50)).ends(0.9)
        held.append(low <= math.log(1.5 / 2.0) <= high)
    assert 0.86 <= np.mean(held) <= 0.94


def test_what_counts_as_one_piece_of_evidence():
    X = np.array([3.0, 1.0, 3.0, 2.0, 0.0, 5.0, 4.0])[:, None]
    seen = np.ones((7, 2), dtype=bool)
    np.testing.assert_array_equal(units_of(X, seen, "rows", 3), [3, 1, 3, 2, 0, 5, 4])
    np.testing.assert_array_equal(units_of(X, seen, "blocks", 3), [1, 0, 1, 1, 0, 2, 2])
    seen[4] = False
    assert len(np.unique(units_of(X, seen, "gaps", 5)[seen.any(axis=1)])) == 5
