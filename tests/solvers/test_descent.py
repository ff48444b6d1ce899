"""The weights of many data: gradients by differences, descents that gain, starts near the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import label_weights
from references_losses import PENALTIES
from references_several import random_data

import knotwork as kw
from knotwork.dual_norm import ascent
from knotwork.solvers import descent as module
from knotwork.solvers.dense import Atoms, Dense, Squares
from knotwork.solvers.descent import Weights, descended, first_atoms

FORMS = [(0.0, None), (0.3, None), (0.0, "rows"), (0.3, "labels")]
penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p[0]}-{p[1]}")


def never():
    return False


def squares_of(data):
    if data.weight is None and not np.isnan(data.Y).any():
        return Squares(data.X, data.Y, None)
    w = label_weights(data.Y, data.weight)
    return Squares(data.X, np.where(w > 0, data.Y, 0.0), w)


def dense_of(data):
    return Dense(squares_of(data), data.lam, kw.Penalty(*data.penalty))


def some_atoms(seed, data, K=6):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((K, data.X.shape[1]))
    b = -np.einsum("kd,kd->k", w, data.X[rng.integers(len(data.X), size=K)]) + 0.1
    rows = np.column_stack([w, b])
    atoms = Atoms.of(rows / np.linalg.norm(rows if data.penalty[0] else w, axis=1)[:, None])
    if data.penalty[1] == "nuclear":
        atoms = atoms.joined(Atoms.of(np.eye(data.X.shape[1], data.X.shape[1] + 1), linear=True))
    return atoms


def objective_of(dense, atoms, V):
    """|root (Y - features V - free parts)|^2 / 2 + lam sum |V_k|, the free parts fitted by lstsq."""
    squares, lam, penalty = dense.squares, dense.lam, dense.penalty
    X, n = squares.X, len(squares.X)
    w = np.ones_like(squares.y) if squares.w is None else np.broadcast_to(squares.w, squares.y.shape)
    free = np.column_stack([np.ones(n), X]) if penalty.skip in ("free", "frobenius") else np.ones((n, 1))
    hidden = np.maximum(X @ atoms.neurons[:, :-1].T + atoms.neurons[:, -1], 0.0)
    hidden[:, atoms.linear] = X @ atoms.neurons[atoms.linear, :-1].T
    total = lam * np.linalg.norm(V, axis=1).sum()
    for t in range(squares.y.shape[1]):
        root = np.sqrt(w[:, t])
        rows, left = root[:, None] * free, root * (squares.y[:, t] - hidden @ V[:, t])
        if penalty.biases:
            rows = np.vstack([rows, np.sqrt(lam) * np.eye(free.shape[1])])
            left = np.append(left, np.zeros(free.shape[1]))
        total += 0.5 * np.sum((left - rows @ np.linalg.lstsq(rows, left, rcond=None)[0]) ** 2)
    return total


@penalties
@pytest.mark.parametrize("form", FORMS)
def test_balanced_weights_cost_what_their_network_costs(penalty, form):
    data = random_data(1, "squared", penalty, 20, 3, 2, 0.2, *form)
    dense, atoms = dense_of(data), some_atoms(0, data)
    V = 100.0 * np.random.default_rng(2).standard_normal((len(atoms), 2))
    weights = Weights(dense, atoms.linear)
    theta = weights.pack(atoms, V)
    scale = weights.unit * weights.rows.reach
    assert weights(theta)[0] * scale**2 == pytest.approx(objective_of(dense, atoms, V), rel=1e-5)
    back = weights.atoms(theta)
    np.testing.assert_allclose(back.neurons, atoms.neurons, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(back.mass, np.linalg.norm(V, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(back.linear, atoms.linear)


@penalties
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_differences(penalty, form, monkeypatch):
    monkeypatch.setattr(ascent, "_FAR", -1.0)
    data = random_data(2, "squared", penalty, 20, 3, 2, 0.2, *form)
    dense, atoms = dense_of(data), some_atoms(1, data)
    weights = Weights(dense, atoms.linear)
    assert weights.X.dtype == np.float64
    theta = np.random.default_rng(3).standard_normal(len(atoms) * (weights.shape[1] + weights.shape[2]))
    _, slope = weights(theta)
    rng = np.random.default_rng(4)
    for _ in range(4):
        step = 1e-6 * rng.standard_normal(len(theta))
        change = (weights(theta + step)[0] - weights(theta - step)[0]) / 2.0
        assert float(slope @ step) == pytest.approx(change, rel=1e-5, abs=1e-12)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 3), st.integers(1, 8))
def test_descents_do_not_lose(seed, which, form, K):
    data = random_data(seed, "squared", PENALTIES[which], 12, 2, 2, 0.1, *FORMS[form])
    dense = dense_of(data)
    state = dense.corrected(some_atoms(seed, data, K), 1e-10)
    moved = descended(dense, state.atoms, state.V, 30, never)
    norms = np.linalg.norm(moved.neurons if data.penalty[0] else moved.neurons[:, :-1], axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-9)
    before, after = dense.objective(state), dense.objective(dense.corrected(moved, 1e-10))
    assert after <= before * (1.0 + 1e-5)


@penalties
def test_descents_gain(penalty):
    data = random_data(3, "squared", penalty, 60, 3, 2, 0.5)
    dense = dense_of(data)
    state = dense.corrected(some_atoms(1, data, 10), 1e-10)
    after = dense.corrected(descended(dense, state.atoms, state.V, 50, never), 1e-10)
    assert dense.objective(after) < 0.98 * dense.objective(state)


def test_time_that_is_up_moves_nothing_and_a_clock_ends_the_steps(monkeypatch):
    data = random_data(4, "squared", (False, "none"), 60, 3, 2, 0.5)
    dense = dense_of(data)
    state = dense.corrected(some_atoms(1, data, 10), 1e-10)
    assert descended(dense, state.atoms, state.V, 50, lambda: True) is state.atoms
    calls = []
    own = Weights.__call__

    def counted(self, theta):
        calls.append(1)
        return own(self, theta)

    monkeypatch.setattr(Weights, "__call__", counted)
    descended(dense, state.atoms, state.V, 50, lambda: len(calls) > 3)
    short = len(calls)
    descended(dense, state.atoms, state.V, 50, never)
    assert 3 < short < 12
    assert len(calls) - short > 20


@penalties
@pytest.mark.parametrize("rows", [30, 5000])
def test_the_first_atoms_are_near_the_optimum(penalty, rows, monkeypatch):
    """From a few of the rows, and from all at once; the optimum is the solver's, certified EXACT."""
    monkeypatch.setattr(module, "_ROWS", rows)
    monkeypatch.setattr(module, "_GROWTH", 2)
    data = random_data(5, "squared", penalty, 60, 2, 2, 0.3)
    problem = kw.Problem(data.X, data.Y, data.lam, penalty=kw.Penalty(*penalty))
    solution = kw.solve(problem, tol=1e-5)
    assert solution.status is kw.Status.OPTIMAL
    dense = dense_of(data)
    one, same, other = (
        first_atoms(squares_of(data), data.lam, kw.Penalty(*penalty), np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.neurons, same.neurons)
    assert one.neurons.shape != other.neurons.shape or not np.array_equal(one.neurons, other.neurons)
    for atoms in (one, other):
        reached = dense.objective(dense.corrected(atoms, 1e-8))
        best = solution.certificate.primal
        free = problem.objective(problem.free_fit())
        assert best * (1.0 - 1e-5) <= reached
        # of what neurons can gain beside the free fit, most is there
        assert reached - best <= 0.25 * (free - best)


def test_labels_of_nothing_need_no_neuron():
    squares = Squares(np.random.default_rng(0).standard_normal((30, 2)), np.zeros((30, 2)), None)
    atoms = first_atoms(squares, 0.1, kw.Penalty(), np.random.default_rng(0))
    assert len(Dense(squares, 0.1, kw.Penalty()).corrected(atoms, 1e-12).atoms) == 0
