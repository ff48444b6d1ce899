"""Appendix B's tasks, and what is measured of a representation, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.deep import initial, periodic
from knotwork.deep.baselines import arc_cosine_baseline, rbf_baseline
from knotwork.deep.periodic import (
    compare_on_periodic,
    measured_period,
    periodic_tasks,
    representation,
    shift_error,
)


def triangle_wave(period, low=-3.0, high=3.0):
    """A network that is a triangle wave between 0 and 1 on [low, high]."""
    bends = np.arange(low, high, 0.5 * period)
    jumps = (4.0 / period) * (-1.0) ** np.arange(len(bends))
    jumps[0] /= 2.0
    return kw.ReLUNetwork(np.ones((len(bends), 1)), -bends, jumps[:, None])


def after(first):
    return kw.StackedNetwork((first, kw.ReLUNetwork([[1.0]], [0.0], [[2.0, 3.0]])))


def test_tasks_have_unit_variance_their_period_and_their_noise():
    data = periodic_tasks(3, n_rows=20_000)
    x = np.linspace(0.0, 1.0, 4000, endpoint=False)
    np.testing.assert_allclose(np.var(data.truth(x), axis=0), 1.0, rtol=1e-9)
    np.testing.assert_allclose(data.truth(x + 1.0), data.truth(x), atol=1e-12)
    np.testing.assert_allclose(data.truth(0.17 + x), data.truth(0.17 - x), atol=1e-12)
    assert np.abs(data.truth(x + 0.5) - data.truth(x)).max() > 0.5
    assert np.std(data.Y - data.truth(data.X)) == pytest.approx(0.1, rel=0.02)
    # by hand, one task
    a, at = data.amplitudes[:, 2], np.array([0.4, -1.3])
    by_hand = [sum(a[h - 1] * np.cos(2 * np.pi * h * (v - 0.17)) for h in (1, 2, 3)) for v in at]
    np.testing.assert_allclose(data.truth(at)[:, 2], by_hand)


def test_own_inputs_and_own_phases():
    masked = periodic_tasks(0, own_inputs=20)
    np.testing.assert_array_equal(np.sum(~np.isnan(masked.Y), axis=0), 20)
    np.testing.assert_array_equal(np.sum(~np.isnan(masked.Y), axis=1), 1)
    assert len(set(periodic_tasks(0, own_phases=True).origins)) == 7
    drawn = periodic_tasks(0, x0=None).origins
    assert len(set(drawn)) == 1
    assert drawn[0] != 0.17


def test_the_held_out_error_is_that_of_the_hull():
    data = periodic_tasks(1)
    low, high = data.hull

    def shifted(X):
        # right within the hull but for .3, wild outside
        return np.where((low <= X) & (high >= X), data.truth(X) + 0.3, 1e6)

    assert data.held_out_error(shifted) == pytest.approx(0.09)


def test_the_shift_error_of_waves_and_lines():
    wave = after(triangle_wave(1.0))
    assert shift_error(wave, -3.0, 3.0, 1.0) < 1e-9
    assert shift_error(wave, -3.0, 3.0, 2.0) < 1e-9
    # half a period turns H about its mean, so that it moves by twice its deviation
    assert shift_error(wave, -3.0, 3.0, 0.5) == pytest.approx(2.0, rel=1e-2)
    # a line of slope 1 moves by 1, and has the deviation of a uniform variable of length 5
    line = after(kw.ReLUNetwork([[1.0]], [10.0], [[1.0]]))
    assert shift_error(line, -3.0, 3.0, 1.0) == pytest.approx(np.sqrt(12.0) / 5.0, rel=2e-3)
    constant = after(kw.ReLUNetwork([[1.0]], [-10.0], [[1.0]]))
    assert shift_error(constant, -3.0, 3.0) == np.inf
    with pytest.raises(ValueError, match="shift: must be between 0 and"):
        shift_error(wave, -3.0, 3.0, 6.0)
    with pytest.raises(ValueError, match="network: has one stack"):
        representation(kw.StackedNetwork((triangle_wave(1.0),)), [0.0])


@pytest.mark.parametrize("period", [0.5, 1.0, 1.7])
def test_the_measured_period_is_the_shortest(period):
    found = measured_period(after(triangle_wave(period)), -3.0, 3.0)
    assert found.length == pytest.approx(period, abs=0.01)
    assert found.error < 0.1


def test_the_comparison_measures_what_it_names(monkeypatch):
    monkeypatch.setattr(initial, "_DRAWS", 20)
    monkeypatch.setattr(periodic, "_SHALLOW_LAMS", (0.1, 1.0))
    monkeypatch.setattr(periodic, "_VARIANCES", (1.0, 100.0))
    data = periodic_tasks(0, n_rows=10, n_tasks=2)
    small = {"widths": 12, "steps": 40, "check_every": 20, "rebalance_every": 20, "rounds": 0}
    found = compare_on_periodic(data, seeds=2, single_seeds=1, **small)
    names = ("shallow joint", "shallow single", "GP", "RBF", "GP by likelihood")
    assert set(found.errors) == {"stacked joint", "stacked single", *names}
    assert found.errors["stacked joint"] == data.held_out_error(found.joint.best.predict)
    others = [found.errors[name] for name in names]
    assert found.ratio == found.errors["stacked joint"] / min(others[:3])
    assert found.ratio_all == found.errors["stacked joint"] / min(others)
    assert found.errors["RBF"] == data.held_out_error(rbf_baseline(data.X, data.Y))
    assert found.errors["GP by likelihood"] == data.held_out_error(arc_cosine_baseline(data.X, data.Y, 0.01))
    # no fit with the lam chosen by the truth is worse than one of the lams tried
    problem = kw.Problem(data.X, data.Y, 0.1, penalty=kw.Penalty(True, "nuclear"))
    one = data.held_out_error(kw.solve(problem).network.predict)
    assert found.errors["shallow joint"] <= one * (1 + 1e-6)
    low, high = data.hull
    np.testing.assert_array_equal(found.shift_errors, [shift_error(n, low, high) for n in found.joint])
    assert found.share_periodic == np.mean(found.shift_errors <= 0.15)


@pytest.mark.slow
def test_a_stacked_network_finds_the_period():
    data = periodic_tasks(2)
    found = compare_on_periodic(data, seeds=6, rounds=0)
    assert found.share_periodic >= 0.5
    assert found.ratio <= 0.1
    period = measured_period(found.joint.best, *data.hull)
    assert period.length == pytest.approx(1.0, abs=0.03)
