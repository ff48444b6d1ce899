"""The finite problem of given neurons against conic programmes, and slides that never lose."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import _solve, label_weights
from references_losses import PENALTIES
from references_several import dictionary_optimum, objective, random_data

import knotwork as kw
from knotwork.solvers.dense import Atoms, Corrected, Dense, Squares

FORMS = [(0.0, None), (0.3, None), (0.0, "rows"), (0.3, "labels")]
penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p[0]}-{p[1]}")


def squares_of(data):
    if data.weight is None and not np.isnan(data.Y).any():
        return Squares(data.X, data.Y, None)
    w = label_weights(data.Y, data.weight)
    return Squares(data.X, np.where(w > 0, data.Y, 0.0), w)


def dense_of(data):
    return Dense(squares_of(data), data.lam, kw.Penalty(*data.penalty))


def some_neurons(seed, data, K=12):
    """Unit neurons, their kinks at data where biases are free."""
    rng = np.random.default_rng(seed)
    n, d = data.X.shape
    w = rng.standard_normal((K, d))
    b = -np.einsum("kd,kd->k", w, data.X[rng.integers(n, size=K)]) + 0.2 * data.penalty[0]
    rows = np.column_stack([w, b])
    return rows / np.linalg.norm(rows if data.penalty[0] else w, axis=1)[:, None]


def draw(seed, penalty, form, n=8, n_tasks=2):
    gaps, weights = form
    return random_data(seed, "squared", penalty, n, 2, n_tasks, 0.1, gaps, weights)


@penalties
@pytest.mark.parametrize("form", FORMS)
def test_the_masses_are_those_of_a_conic_programme(penalty, form):
    data = draw(1, penalty, form)
    neurons = some_neurons(0, data)
    dense = dense_of(data)
    if penalty[1] == "nuclear":
        # linear atoms stand for the skip connection: any orthonormal pair prices its own rows
        linear = Atoms.of(np.eye(3)[:2], linear=True)
        state = dense.corrected(Atoms.of(neurons).joined(linear), 1e-12)
        best = _rows_priced(data, neurons)
    else:
        state = dense.corrected(Atoms.of(neurons), 1e-12)
        best = dictionary_optimum(data, neurons).primal
    assert dense.objective(state) == pytest.approx(best, rel=1e-8)
    network = state.network(kw.Penalty(*penalty))
    if penalty[1] == "nuclear":
        # the nuclear norm is at most that of any terms
        assert objective(data, network) <= dense.objective(state) * (1.0 + 1e-12)
    else:
        assert objective(data, network) == pytest.approx(best, rel=1e-8)
    assert np.all(state.atoms.mass > 0)
    np.testing.assert_allclose(np.linalg.norm(state.V, axis=1), state.atoms.mass, rtol=1e-4, atol=1e-9)


def _rows_priced(data, neurons):
    w = label_weights(data.Y, data.weight)
    hidden = np.column_stack([np.maximum(data.X @ neurons[:, :2].T + neurons[:, 2], 0.0), data.X])
    V, c = cp.Variable((hidden.shape[1], data.Y.shape[1])), cp.Variable((1, data.Y.shape[1]))
    f = hidden @ V + np.ones((len(data.X), 1)) @ c
    left = cp.multiply(np.sqrt(w), np.where(w > 0, data.Y, 0.0) - f)
    price = cp.sum(cp.norm(V, 2, axis=1)) + 0.5 * cp.sum_squares(c)
    return float(_solve(0.5 * cp.sum_squares(left) + data.lam * price, []).value)


@penalties
def test_without_atoms_the_free_parts_fit_alone(penalty):
    for form in FORMS:
        data = draw(2, penalty, form)
        dense = dense_of(data)
        state = dense.corrected(Atoms.of(np.zeros((0, 3))), 1e-12)
        network = state.network(kw.Penalty(*penalty))
        own = kw.Penalty(*penalty)
        problem = kw.Problem(data.X, data.Y, data.lam, penalty=own, sample_weight=data.weight)
        assert dense.objective(state) == pytest.approx(objective(data, network), rel=1e-12)
        if penalty[1] != "nuclear":
            assert objective(data, network) == pytest.approx(objective(data, problem.free_fit()), rel=1e-10)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 3), st.integers(1, 10))
def test_slides_never_lose_and_keep_units(seed, which, form, K):
    penalty = PENALTIES[which]
    data = draw(seed, penalty, FORMS[form], n=7)
    dense = dense_of(data)
    state = dense.corrected(Atoms.of(some_neurons(seed, data, K)), 1e-10)
    moved = dense.slid(state.atoms, 8)
    norms = np.linalg.norm(moved.neurons if penalty[0] else moved.neurons[:, :2], axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-12)
    assert np.all(moved.mass >= 0.0)
    after = dense.corrected(moved, 1e-10)
    assert dense.objective(after) <= dense.objective(state) * (1.0 + 1e-8)
    # no neuron leaves its cell
    seen = np.column_stack([data.X, np.ones(len(data.X))])
    before, then = seen @ state.atoms.neurons.T, seen @ moved.neurons.T
    assert np.all((np.sign(before) * then >= -1e-8) | (np.abs(before) < 1e-8))


@pytest.mark.parametrize("penalty", [(True, "none"), (True, "frobenius"), (False, "none")])
def test_slides_gain(penalty):
    data = draw(3, penalty, FORMS[0], n=9)
    dense = dense_of(data)
    state = dense.corrected(Atoms.of(some_neurons(1, data, 6)), 1e-10)
    after = dense.corrected(dense.slid(state.atoms, 20), 1e-10)
    assert dense.objective(after) < 0.995 * dense.objective(state)


def test_residuals_are_weighted_and_end_at_gaps():
    data = draw(4, (True, "none"), (0.3, "labels"))
    f = np.random.default_rng(0).standard_normal(data.Y.shape)
    w = label_weights(data.Y, data.weight)
    alpha, misfit = squares_of(data).residual(f)
    expected = np.where(w > 0, w * (np.nan_to_num(data.Y) - f), 0.0)
    np.testing.assert_allclose(alpha, expected, rtol=1e-14)
    assert misfit == pytest.approx(np.nansum(w * (data.Y - f) ** 2), rel=1e-13)
    plain, square = Squares(data.X, f, None).residual(np.zeros_like(f))
    np.testing.assert_array_equal(plain, f)
    assert square == pytest.approx(np.sum(f * f), rel=1e-14)


def test_atoms_join_and_part():
    bends, lines = Atoms.of(np.eye(3)), Atoms.of(np.eye(3)[:1], linear=True)
    both = bends.joined(lines)
    assert len(both) == 4
    X = np.array([[-2.0, 0.5], [1.0, -3.0]])
    np.testing.assert_array_equal(both.features(X), [[0, 0.5, 1, -2], [1, 0, 1, 1]])
    np.testing.assert_array_equal(both.take(both.linear).neurons, lines.neurons)


def test_linear_atoms_become_the_skip_connection():
    atoms = Atoms.of(np.array([[0.6, 0.8, 0.1]])).joined(Atoms.of(np.array([[1.0, 0.0, 0.0]]), linear=True))
    V = np.array([[1.0, 2.0], [3.0, -1.0]])
    state = Corrected(Atoms(atoms.neurons, np.ones(2), atoms.linear), V, np.array([[0.5, 0.25]]))
    network = state.network(kw.Penalty(True, "nuclear"))
    assert network.n_neurons == 1
    np.testing.assert_array_equal(network.A, [[3.0, -1.0], [0.0, 0.0]])
    X = np.random.default_rng(0).standard_normal((5, 2))
    np.testing.assert_allclose(network.predict(X), atoms.features(X) @ V + [0.5, 0.25], rtol=1e-13)
