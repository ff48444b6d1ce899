from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.solvers.sliding import Moves, descend


def objective(moves, u):
    """(lam / 2) (tr C' S^-1 C + |u|^2), S = lam I + sum psi psi', pattern by pattern."""
    lam, total = moves.lam, 0.5 * moves.lam * float(u @ u)
    for Z, C in zip(moves.Z, moves.C, strict=True):
        psi = np.column_stack([Z[:, moves.owner == k] @ u[moves.owner == k] for k in range(moves.n_neurons)])
        total += 0.5 * lam * float(np.sum(C * np.linalg.solve(lam * np.eye(len(psi)) + psi @ psi.T, C)))
    return total


def random_moves(rng, sizes, P=1, n=7, T=2):
    """Neurons of `sizes` coordinates each, and where they are."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    Z = rng.standard_normal((P, n, len(owner)))
    return Moves(Z, 2.0 * rng.standard_normal((P, n, T // P)), owner, 0.3), rng.standard_normal(len(owner))


sizes = st.lists(st.integers(1, 3), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.integers(0, 10**6), sizes, st.sampled_from([1, 2]))
def test_gradient_and_hessian_are_finite_differences(seed, sizes, P):
    moves, u = random_moves(np.random.default_rng(seed), sizes, P)
    here = moves.at(u)
    assert here.value == pytest.approx(objective(moves, u), rel=1e-12)
    H, h = moves.hessian(u, here), 1e-5
    np.testing.assert_allclose(H, H.T, atol=1e-9 * np.abs(H).max())
    for q, step in enumerate(h * np.eye(len(u))):
        slope = (objective(moves, u + step) - objective(moves, u - step)) / (2.0 * h)
        assert here.gradient[q] == pytest.approx(slope, rel=1e-6, abs=1e-7)
        bend = (moves.at(u + step).gradient - moves.at(u - step).gradient) / (2.0 * h)
        np.testing.assert_allclose(H[q], bend, rtol=1e-6, atol=1e-6)


def test_sums_by_neuron():
    moves, _ = random_moves(np.random.default_rng(0), [2, 1, 3])
    assert moves.n_neurons == 3
    np.testing.assert_array_equal(moves.per_neuron(np.arange(6.0)[None]), [[1.0, 2.0, 12.0]])


@settings(max_examples=25)
@given(st.integers(0, 10**6), sizes)
def test_descent_ends_at_a_stationary_point(seed, sizes):
    moves, u = random_moves(np.random.default_rng(seed), sizes)
    Q = len(u)
    new = descend(moves, u, 100, lambda at, gradient: np.eye(Q), lambda at, trial: trial)
    assert objective(moves, new) <= objective(moves, u) * (1.0 + 1e-13)
    assert np.abs(moves.at(new).gradient).max() <= 1e-5 * max(objective(moves, u), 1.0)


def test_only_open_directions_are_taken():
    moves, u = random_moves(np.random.default_rng(1), [2, 2])
    basis = np.eye(4)[:, [0, 3]]
    new = descend(moves, u, 50, lambda at, gradient: basis, lambda at, trial: trial)
    np.testing.assert_array_equal(new[[1, 2]], u[[1, 2]])
    assert objective(moves, new) < objective(moves, u)
    np.testing.assert_allclose(moves.at(new).gradient[[0, 3]], 0.0, atol=1e-6)


def test_trials_are_kept_where_the_caller_says():
    moves, u = random_moves(np.random.default_rng(2), [1, 1])
    u = np.clip(u, 0.2, 0.5)
    inside = []

    def keep(at, trial):
        inside.append(np.clip(trial, 0.2, 0.5))
        return inside[-1]

    new = descend(moves, u, 20, lambda at, gradient: np.eye(2), keep)
    assert np.all((new >= 0.2) & (new <= 0.5))
    assert len(inside) > 0
    assert objective(moves, new) <= objective(moves, u)


def test_time_is_heeded_at_every_step():
    moves, u = random_moves(np.random.default_rng(3), [2, 3])
    free = (lambda at, gradient: np.eye(5)), (lambda at, trial: trial)
    np.testing.assert_array_equal(descend(moves, u, 20, *free, out_of_time=lambda: True), u)
    asked = []

    def after_one():
        asked.append(1)
        return len(asked) > 1

    one = descend(moves, u, 20, *free, out_of_time=after_one)
    np.testing.assert_array_equal(one, descend(moves, u, 1, *free))
    assert len(asked) == 2
    assert objective(moves, descend(moves, u, 20, *free)) < objective(moves, one) < objective(moves, u)
