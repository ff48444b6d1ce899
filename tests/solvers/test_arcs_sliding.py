from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.solvers.arcs_sliding import slide


def objective(Z, C, lam, u):
    """(lam / 2) (tr C' S^-1 C + |u|^2), S = lam I + sum psi psi', pattern by pattern."""
    total = 0.5 * lam * float(np.sum(u * u))
    for Zp, Cp in zip(Z, C, strict=True):
        psi = np.einsum("nki,ki->nk", Zp, u)
        S = lam * np.eye(len(psi)) + psi @ psi.T
        total += 0.5 * lam * float(np.sum(Cp * np.linalg.solve(S, Cp)))
    return total


def random_problem(rng, K=4, n=9, P=1, T=2):
    """(Z, C, u, first, last): arcs of width 1 with u inside."""
    x = np.sort(rng.uniform(-1.0, 1.0, n))
    on = rng.uniform(size=(n, K)) < 0.7
    pair = np.stack([on * x[:, None], on.astype(float)], axis=2)
    Z = np.stack([rng.uniform(0.5, 2.0) * pair for _ in range(P)])
    C = 3.0 * rng.standard_normal((P, n, T // P))
    turn, size = rng.uniform(-np.pi, np.pi, K), rng.uniform(0.3, 1.5, K)
    u = size[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
    ends = [np.column_stack([np.cos(turn + d), np.sin(turn + d)]) for d in (-0.5, 0.5)]
    return Z, C, u, *ends


def cross(a, b):
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([1, 2]))
def test_a_slide_descends_and_stays_on_its_arcs(seed, K, P):
    rng = np.random.default_rng(seed)
    Z, C, u, first, last = random_problem(rng, K, P=P)
    moves = rng.uniform(size=K) < 0.8
    before = objective(Z, C, 0.2, u)
    new = slide(Z, C, 0.2, u, first, last, moves, 12)
    assert objective(Z, C, 0.2, new) <= before * (1.0 + 1e-13)
    assert np.all(cross(first, new) >= -1e-12)
    assert np.all(cross(new, last) >= -1e-12)
    unit = new / np.linalg.norm(new, axis=1)[:, None]
    held = u / np.linalg.norm(u, axis=1)[:, None]
    np.testing.assert_allclose(unit[~moves], held[~moves], atol=1e-12)


@pytest.mark.parametrize("P", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_many_steps_end_where_no_direction_descends(seed, P):
    rng = np.random.default_rng(seed)
    Z, C, u, first, last = random_problem(rng, 3, P=P)
    moves = np.ones(3, dtype=bool)
    new = slide(Z, C, 0.2, u, first, last, moves, 200)
    here = objective(Z, C, 0.2, new)
    inside = (cross(first, new) > 1e-6) & (cross(new, last) > 1e-6)
    h = 1e-5
    for k in range(3):
        along = new[k] / np.linalg.norm(new[k])
        directions = [along, np.array([-along[1], along[0]])] if inside[k] else [along]
        for direction in directions:
            step = np.zeros_like(new)
            step[k] = h * direction
            slope = (objective(Z, C, 0.2, new + step) - objective(Z, C, 0.2, new - step)) / (2 * h)
            # masses that vanish leave u = 0, a stationary point
            assert abs(slope) <= 1e-6 * max(here, 1.0)


def test_an_atom_at_the_end_of_its_arc_leaves_it_only_inwards():
    rng = np.random.default_rng(3)
    Z, C, u, first, last = random_problem(rng, 4)
    at_first = np.linalg.norm(u, axis=1)[:, None] * first
    new = slide(Z, C, 0.2, at_first, first, last, np.ones(4, dtype=bool), 30)
    assert np.all(cross(first, new) >= -1e-12)
    assert np.all(cross(new, last) >= -1e-12)
    assert objective(Z, C, 0.2, new) < objective(Z, C, 0.2, at_first)


def test_one_neuron_finds_its_angle():
    # two rows that see x and 1 alone: the best direction of u is along C, eta = |C| - lam
    Z = np.eye(2)[None, :, None, :]
    C = np.array([[[3.0], [4.0]]])
    u = np.array([[0.5, 0.2]])
    wide = [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])]
    new = slide(Z, C, 1.0, u, *wide, np.ones(1, dtype=bool), 60)
    np.testing.assert_allclose(new[0] / np.linalg.norm(new[0]), [0.6, 0.8], atol=1e-7)
    # f = eta / (lam + eta) C; |C - f| = lam: lam |C| / (lam + eta) = lam
    assert float(np.sum(new**2)) == pytest.approx(4.0, rel=1e-7)
