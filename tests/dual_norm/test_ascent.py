"""Neurons that climb together: attained, near the exact maximum of many data, whatever origin and units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_several import project_free, respond

from knotwork.dual_norm import ascent as module
from knotwork.dual_norm.ascent import Rows, ascend
from knotwork.dual_norm.search import best_biases, climb
from knotwork.dual_norm.several import UnitNeurons
from knotwork.penalty import Penalty

PENALTIES = [Penalty(), Penalty(False, "none"), Penalty(True, "none")]
penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p.biases}-{p.skip}")


def draw(seed, n, d, r, penalty):
    """A dual point with a bend in it, so that there is something to find."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    bend = np.maximum(X @ rng.standard_normal((d, 2)) - 0.3, 0.0) @ rng.standard_normal((2, r))
    alpha = bend + rng.standard_normal((n, r))
    return X, alpha if penalty.biases else project_free(X, alpha, penalty.skip)


def starts_at(seed, S, X, biases):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((S, X.shape[1]))
    rows = np.column_stack([w, -np.einsum("kd,kd->k", w, X[rng.integers(len(X), size=S)])])
    return rows / np.linalg.norm(rows if biases else w, axis=1)[:, None]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(2, 6), st.integers(1, 3), st.integers(0, 2))
def test_what_is_found_is_attained_and_no_worse_than_the_starts(seed, n, d, r, which):
    penalty = PENALTIES[which]
    X, alpha = draw(seed, n, d, r, penalty)
    starts = starts_at(seed, 20, X, penalty.biases)
    found = ascend(X, alpha, starts, penalty.biases)
    size = np.abs(alpha).sum()
    np.testing.assert_allclose(respond(X, alpha, found.neurons), found.values, rtol=1e-9, atol=1e-12 * size)
    assert found.values.max() >= respond(X, alpha, starts).max() * (1.0 - 1e-4) - 1e-6 * size
    rows = found.neurons if penalty.biases else found.neurons[:, :d]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-12)


@penalties
@pytest.mark.parametrize("seed", range(3))
def test_many_data_in_the_plane_have_their_exact_maximum_found(penalty, seed):
    X, alpha = draw(seed, 120 if penalty.biases else 400, 2, 2, penalty)
    units = UnitNeurons(X, penalty)
    assert units.is_exact
    exact = units.maximise(alpha).proven
    found = ascend(X, alpha, starts_at(0, 100, X, penalty.biases), penalty.biases)
    assert exact * 0.9999 <= found.values.max() <= exact * (1.0 + 1e-9)


@penalties
def test_few_data_in_five_inputs_come_near(penalty):
    for seed in range(3):
        X, alpha = draw(seed, 12, 5, 2, penalty)
        exact = UnitNeurons(X, penalty).maximise(alpha).proven
        found = ascend(X, alpha, starts_at(0, 300, X, penalty.biases), penalty.biases)
        assert 0.97 * exact <= found.values.max() <= exact * (1.0 + 1e-9)


def test_no_direction_of_a_fine_grid_is_better():
    penalty = PENALTIES[1]
    X, alpha = draw(5, 1500, 2, 3, penalty)
    angle = np.linspace(0.0, 2.0 * np.pi, 1500, endpoint=False)
    grid = best_biases(X, alpha, np.column_stack([np.cos(angle), np.sin(angle)]))
    found = ascend(X, alpha, starts_at(0, 100, X, False), False)
    assert found.values.max() >= respond(X, alpha, grid).max() * (1.0 - 1e-6)


def test_great_circles_from_other_starts_find_no_more():
    penalty = PENALTIES[1]
    X, alpha = draw(6, 600, 6, 3, penalty)
    found = ascend(X, alpha, starts_at(0, 256, X, False), False)
    others = climb(X, alpha, starts_at(1, 60, X, False), False)
    assert others.values.max() <= found.values.max() * (1.0 + 1e-4)
    assert others.values.max() >= 0.9 * found.values.max()


@pytest.mark.parametrize(("far", "unit", "size"), [(1e6, 1.0, 1.0), (0.0, 1e-12, 1e12), (0.0, 1e9, 1e-20)])
def test_origin_and_units_do_not_matter(far, unit, size):
    penalty = PENALTIES[1]
    X, alpha = draw(7, 300, 3, 2, penalty)
    starts = starts_at(0, 100, X, False)
    here = ascend(X, alpha, starts, False).values.max()
    moved = unit * X + far
    there = np.column_stack([starts[:, :3], unit * starts[:, 3] - far * starts[:, :3].sum(axis=1)])
    found = ascend(moved, size * alpha, there, False).values.max()
    assert found == pytest.approx(unit * size * here, rel=1e-4)


def test_far_inputs_with_penalised_biases_are_told_apart():
    X, alpha = draw(8, 100, 2, 2, PENALTIES[2])
    X = X + 3e4
    exact = UnitNeurons(X, PENALTIES[2]).maximise(alpha).proven
    found = ascend(X, alpha, starts_at(0, 200, X, True), True)
    assert 0.99 * exact <= found.values.max() <= exact * (1.0 + 1e-9)
    assert Rows.of(X, True).X.dtype == np.float64
    assert Rows.of(X, False).X.dtype == np.float32


@penalties
def test_gradients_are_differences(penalty, monkeypatch):
    monkeypatch.setattr(module, "_FAR", -1.0)
    X, alpha = draw(9, 40, 3, 2, penalty)
    walk = module._Walk(X, alpha, penalty.biases)
    u = walk._on_sphere(walk.rows.moved(starts_at(0, 4, X, penalty.biases)) + 0.01)
    gradient = walk._at(u)[1]
    rng = np.random.default_rng(0)
    for _ in range(5):
        step = 1e-6 * rng.standard_normal(u.shape)
        own = u if penalty.biases else u * [1.0, 1.0, 1.0, 0.0]
        step -= np.sum(step * own, axis=1)[:, None] * own
        ahead, behind = (walk._at(walk._on_sphere(u + s * step))[0] for s in (1.0, -1.0))
        slope = (np.log(ahead) - np.log(behind)) / 2.0
        np.testing.assert_allclose(np.sum(gradient * step, axis=1), slope, rtol=1e-4, atol=1e-11)


def test_neurons_move_to_other_rows_and_back():
    X, alpha = draw(10, 30, 4, 2, PENALTIES[1])
    neurons = starts_at(1, 6, X, False)
    rows = Rows.of(X + 5.0, False)
    moved = rows.moved(neurons)
    np.testing.assert_allclose(rows.back(moved), neurons, rtol=1e-12, atol=1e-12)
    hidden = np.maximum(rows.X @ moved.T, 0.0).T @ alpha
    answer = np.linalg.norm(hidden, axis=1) * rows.reach
    np.testing.assert_allclose(answer, respond(X + 5.0, alpha, neurons), rtol=1e-4)


@pytest.mark.parametrize("biases", [False, True])
def test_time_is_heeded_after_two_steps(biases, monkeypatch):
    X, alpha = draw(11, 300, 4, 2, PENALTIES[2 if biases else 1])
    starts = starts_at(0, 10, X, biases)
    counts = []
    own = module._Walk._at

    def counted(self, u):
        counts.append(len(u))
        return own(self, u)

    monkeypatch.setattr(module._Walk, "_at", counted)
    short = ascend(X, alpha, starts, biases, out_of_time=lambda: True)
    few = len(counts)
    full = ascend(X, alpha, starts, biases)
    assert few == 3
    assert len(counts) - few > 10
    assert 0.0 < short.values.max() <= full.values.max() * (1.0 + 1e-9)
    assert short.values.max() >= respond(X, alpha, starts).max() * (1.0 - 1e-6)


@penalties
def test_a_dual_point_of_zero_and_equal_inputs_stay_finite(penalty):
    X, _ = draw(12, 30, 3, 1, penalty)
    for inputs in (X, np.ones_like(X)):
        found = ascend(inputs, np.zeros((30, 2)), starts_at(0, 5, X, penalty.biases), penalty.biases)
        np.testing.assert_array_equal(found.values, 0.0)
        assert np.all(np.isfinite(found.neurons))
