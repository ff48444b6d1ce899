"""Climbs: attained, never falling, never above the exact maximum, and near it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_several import exhaustive_dual_norm, project_free, respond

from knotwork.dual_norm import search as module
from knotwork.dual_norm.search import best_biases, climb, response
from knotwork.dual_norm.several import UnitNeurons
from knotwork.penalty import Penalty

PENALTIES = [Penalty(), Penalty(False, "none"), Penalty(True, "none")]


def draw(seed, n, d, r, penalty):
    rng = np.random.default_rng(seed)
    X, alpha = rng.standard_normal((n, d)), rng.standard_normal((n, r))
    return X, alpha if penalty.biases else project_free(X, alpha, penalty.skip)


def unit_starts(seed, S, d, biases):
    rows = np.random.default_rng(seed).standard_normal((S, d + 1))
    return rows / np.linalg.norm(rows if biases else rows[:, :d], axis=1)[:, None]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(2, 6), st.integers(1, 3))
def test_no_bias_is_better_than_the_best_bias(seed, n, d, r):
    X, alpha = draw(seed, n, d, r, PENALTIES[1])
    W = unit_starts(seed, 5, d, False)[:, :d]
    found = best_biases(X, alpha, W)
    np.testing.assert_array_equal(found[:, :d], W)
    z = X @ W.T
    for k in range(5):
        biases = np.concatenate([-z[:, k], np.linspace(-z[:, k].max() - 1.0, -z[:, k].min() + 1.0, 200)])
        rows = np.column_stack([np.tile(W[k], (len(biases), 1)), biases])
        assert respond(X, alpha, found[k : k + 1])[0] >= respond(X, alpha, rows).max() * (1 - 1e-9) - 1e-12


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(8, 15), st.integers(2, 6), st.integers(1, 3), st.integers(0, 2))
def test_a_climb_never_falls_and_says_what_it_attains(seed, n, d, r, which):
    penalty = PENALTIES[which]
    X, alpha = draw(seed, n, d, r, penalty)
    starts = unit_starts(seed, 6, d, penalty.biases)
    before = respond(X, alpha, starts)
    found = climb(X, alpha, starts.copy(), penalty.biases)
    size = np.abs(alpha).sum()
    np.testing.assert_allclose(respond(X, alpha, found.neurons), found.values, rtol=1e-10, atol=1e-13 * size)
    # with biases free a kink moves to the data first, where the response is no smaller
    assert np.all(found.values >= before * (1.0 - 1e-9) - 1e-12 * size)
    norms = np.linalg.norm(found.neurons if penalty.biases else found.neurons[:, :d], axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-12)
    if not penalty.biases:
        kink = np.abs(found.neurons[:, :d] @ X.T + found.neurons[:, d:]).min(axis=1)
        assert np.all(kink <= 1e-12 * np.abs(X).max())
    again = climb(X, alpha, found.neurons, penalty.biases)
    assert np.all(again.values >= found.values * (1.0 - 1e-12) - 1e-13 * size)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_few_starts_find_the_maximum_of_small_data(penalty):
    for seed in range(3):
        X, alpha = draw(seed, 7, 2 + seed % 2, 2, penalty)
        found = climb(X, alpha, unit_starts(seed, 100, X.shape[1], penalty.biases), penalty.biases)
        exact = exhaustive_dual_norm(X, alpha, penalty.biases)
        assert exact * 0.999 <= found.values.max() <= exact * (1.0 + 1e-9)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_climb_ends_where_nothing_is_gained_along_the_kink(which):
    # across a kink that other data share the response may fall on both sides, and yet rise along it
    d, penalty, n, r = 5, PENALTIES[which], (20, 20, 60)[which], (1, 2, 1)[which]
    X, alpha = draw(7, n, d, r, penalty)
    found = climb(X, alpha, unit_starts(8, 60, d, penalty.biases), penalty.biases, moves=500)
    rng, held = np.random.default_rng(9), 0
    for neuron, value in zip(found.neurons, found.values, strict=True):
        kink = np.abs(X @ neuron[:d] + neuron[d]) <= 1e-9
        across = np.column_stack([X[kink], np.ones(kink.sum())])
        across = np.vstack([across, neuron if penalty.biases else np.append(neuron[:d], 0.0)])
        along = np.linalg.svd(across)[2][len(across) :]
        held += len(along) > 0 and kink.sum() > (0 if penalty.biases else 1)
        steps = 1e-5 * rng.standard_normal((20, len(along))) @ along
        near = neuron + steps
        near /= np.linalg.norm(near if penalty.biases else near[:, :d], axis=1)[:, None]
        assert respond(X, alpha, near).max() <= value + 1e-8 * np.abs(alpha).sum()
    assert held > 5


def test_climbs_in_turn_are_those_side_by_side(monkeypatch):
    for penalty in PENALTIES:
        X, alpha = draw(0, 12, 4, 2, penalty)
        starts = unit_starts(2, 30, 4, penalty.biases)
        whole = climb(X, alpha, starts, penalty.biases)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_TOGETHER", 7)
            parts = climb(X, alpha, starts, penalty.biases)
        np.testing.assert_array_equal(parts.values, whole.values)


def test_opposite_neurons_are_told_apart_where_they_respond_differently():
    X, alpha = draw(0, 12, 4, 2, PENALTIES[0])
    assert module._respond_alike(X, alpha)
    assert module._respond_alike(1e3 + X, alpha - alpha.mean(axis=0))
    assert not module._respond_alike(X, alpha + 1e-9)
    assert not module._respond_alike(X, draw(0, 12, 4, 2, PENALTIES[1])[1])


def test_chunks_change_nothing(monkeypatch):
    X, alpha = draw(0, 9, 4, 2, PENALTIES[1])
    W, rows = unit_starts(0, 30, 4, False)[:, :4], unit_starts(1, 30, 4, True)
    whole, answers = best_biases(X, alpha, W), response(X, alpha, rows)
    monkeypatch.setattr(module, "_WORK", 200)
    np.testing.assert_allclose(best_biases(X, alpha, W), whole, rtol=1e-12)
    np.testing.assert_allclose(response(X, alpha, rows), answers, rtol=1e-12)
    found = climb(X, alpha, unit_starts(2, 30, 4, False), False)
    np.testing.assert_allclose(respond(X, alpha, found.neurons), found.values, rtol=1e-10)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_climb_without_slope_stays_where_it_is(penalty):
    X, starts = np.ones((3, 2)), unit_starts(0, 4, 2, penalty.biases)
    found = climb(X, np.zeros((3, 1)), starts.copy(), penalty.biases)
    np.testing.assert_array_equal(found.values, 0.0)
    assert np.all(np.isfinite(found.neurons))


def test_responses_are_those_of_the_definition():
    X, alpha = draw(0, 6, 3, 2, PENALTIES[2])
    rows = unit_starts(1, 5, 3, True)
    np.testing.assert_allclose(response(X, alpha, rows), respond(X, alpha, rows), rtol=1e-13)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_starts_are_climbed_beside_random_ones(penalty):
    X, alpha = draw(3, 12, 4, 2, penalty)
    units = UnitNeurons(X, penalty)
    best = units.search(alpha, n_starts=200)
    # a start at the best neuron makes up for few random ones
    again = UnitNeurons(X, penalty).search(alpha, best.neurons[:1], n_starts=2)
    assert again.largest >= best.largest * (1.0 - 1e-9)


def share_found(seed, penalty):
    X, alpha = draw(seed, 14, 5, 1 + seed % 4, penalty)
    units = UnitNeurons(X, penalty)
    assert units.is_exact
    return units.search(alpha).largest / units.maximise(alpha).largest


@pytest.mark.parametrize("penalty", PENALTIES)
def test_search_is_near_the_exact_maximum_in_five_inputs(penalty):
    shares = np.array([share_found(seed, penalty) for seed in range(2)])
    assert np.all(shares <= 1.0 + 1e-9)
    assert shares.min() >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
def test_search_finds_the_exact_maximum_in_nineteen_draws_of_twenty(penalty):
    shares = np.array([share_found(1000 + seed, penalty) for seed in range(50)])
    assert np.all(shares <= 1.0 + 1e-9)
    assert np.mean(shares >= 0.999) >= 0.95


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_climb_makes_one_step_when_time_is_up(penalty):
    X, alpha = draw(4, 30, 4, 2, penalty)
    starts = unit_starts(5, 10, 4, penalty.biases)
    one = climb(X, alpha, starts.copy(), penalty.biases, out_of_time=lambda: True)
    full = climb(X, alpha, starts.copy(), penalty.biases)
    assert np.all(one.values >= respond(X, alpha, starts) * (1.0 - 1e-9))
    np.testing.assert_allclose(respond(X, alpha, one.neurons), one.values, rtol=1e-10)
    assert one.values.max() < full.values.max()
