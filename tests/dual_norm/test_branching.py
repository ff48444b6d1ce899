"""Lifts told apart adaptively: together they miss no neuron, and what each of them proves holds."""

from __future__ import annotations

import numpy as np
import pytest
from references_several import exhaustive_dual_norm, project_free

import knotwork as kw
from knotwork.dual_norm._branching import Branching
from knotwork.dual_norm._splitting import Quadratic
from knotwork.dual_norm.relaxation import lift_of, proven_norms
from knotwork.dual_norm.search import response

FREE, PLAIN, BIASES = kw.Penalty(), kw.Penalty(False, "none"), kw.Penalty(True, "none")
penalties = pytest.mark.parametrize("penalty", [FREE, PLAIN, BIASES], ids=["free skip", "no skip", "biases"])


def grown(seed, n, d, penalty, rounds, steps=80, last=1000, T=2):
    """After rounds of steps towards the dual point nearest to random labels, and `last` steps more."""
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), 3.0 * rng.standard_normal((n, T))
    Z = np.ones((n, 1))
    if penalty.skip == "free":
        Z = np.column_stack([Z, X - X.mean(axis=0)])
    quadratic = Quadratic(Y, np.ones_like(Y), Z, 1e300 if penalty.biases else 0.0)
    branching = Branching(lift_of(X, penalty), quadratic, 1.0, np.zeros((0, n)), np.zeros((0, T)))
    for k in range(rounds + 1):
        for _ in range(steps if k < rounds else last):
            branching.splitting.advance()
        alpha = branching.splitting.alpha
        alpha = alpha if penalty.biases else project_free(X, alpha, penalty.skip)
        norm = max(branching.norm_here(alpha), branching.norm_elsewhere(alpha, lambda: False))
        if k < rounds:
            branching.grow()
    return X, Y, alpha, branching, norm


def dual_value(alpha, Y):
    return np.sum(alpha * Y) - 0.5 * np.sum(alpha**2)


def all_lifts(branching):
    return branching.splitting.lifts + [part.lift for part in branching.waiting]


def unit_neurons(X, penalty, count):
    """With kinks anywhere among the data, so that no datum lies on one."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((count, X.shape[1]))
    w /= np.linalg.norm(w, axis=1)[:, None]
    at = w @ X.T
    neurons = np.column_stack([w, -rng.uniform(at.min(axis=1), at.max(axis=1))])
    return neurons / np.linalg.norm(neurons, axis=1)[:, None] if penalty.biases else neurons


@penalties
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_neuron_is_in_one_of_the_lifts(penalty, seed):
    X, _, alpha, branching, _ = grown(seed, 8, 3, penalty, rounds=8, steps=30, last=30)
    neurons = unit_neurons(X, penalty, 1000)
    seen = neurons[:, :-1] @ X.T + neurons[:, -1:]
    values = response(X, alpha, neurons)
    lifts = all_lifts(branching)
    assert len(lifts) > 4
    multipliers = [part.multipliers for part in branching.splitting.apart() + branching.waiting]
    norms = proven_norms(lifts, alpha, multipliers)
    covered = np.zeros(len(neurons), dtype=int)
    for lift, norm in zip(lifts, norms, strict=True):
        inside = np.all(seen * lift.signs >= 0.0, axis=1)
        if penalty.skip == "free":
            inside |= np.all(-seen * lift.signs >= 0.0, axis=1)
        assert np.all(values[inside] <= norm * (1 + 1e-12))
        covered += inside
    assert np.all(covered == 1)


@penalties
def test_norms_are_never_too_small_and_come_close(penalty):
    X, Y, alpha, branching, norm = grown(1, 7, 2, penalty, rounds=8)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    assert exact * (1 - 1e-12) <= norm <= 1.05 * exact
    assert branching.waiting
    # and what is proven of the labels' own problem is more than one lift alone can prove
    _, _, alone, _, norm_alone = grown(1, 7, 2, penalty, rounds=0)
    assert dual_value(alpha / norm, Y) > dual_value(alone / norm_alone, Y)


@penalties
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_dual_point_is_bounded_by_those_that_go_on_and_those_that_wait(penalty, seed):
    X, _, alpha, branching, _ = grown(seed, 7, 2, penalty, rounds=8, last=80)
    other = alpha + 0.3 * np.abs(alpha).max() * np.random.default_rng(seed).standard_normal(alpha.shape)
    other = other if penalty.biases else project_free(X, other, penalty.skip)
    before = branching.splitting.alpha.copy()
    norm = max(branching.norm_here(other), branching.norm_elsewhere(other, lambda: False))
    assert norm >= exhaustive_dual_norm(X, other, penalty.biases) * (1 - 1e-12)
    np.testing.assert_array_equal(branching.splitting.alpha, before)


def test_those_that_wait_are_called_when_they_are_needed():
    _, _, alpha, branching, _ = grown(1, 8, 2, BIASES, rounds=10, last=200)
    assert branching.waiting
    waiting = {tuple(part.lift.signs) for part in branching.waiting}
    far = 3.0 * alpha
    branching.norm_here(far)
    assert branching.norm_elsewhere(far, lambda: False) > 1.0
    branching.grow()
    going = {tuple(lift.signs) for lift in branching.splitting.lifts}
    assert waiting & going


def test_halves_share_the_products_by_sides():
    branching = grown(0, 6, 2, PLAIN, rounds=0)[3]
    part = branching.splitting.apart()[0]
    on, off = part.halves(2)
    assert on.lift.signs[2] == 1
    assert off.lift.signs[2] == -1
    share = part.C[2, 2] / (part.C[2, 2] + part.C[8, 8])
    np.testing.assert_allclose(on.V, share * part.V)
    np.testing.assert_allclose(on.V + off.V, part.V)
    assert not on.C[8].any()
    assert not on.C[:, 8].any()
    assert not off.C[2].any()
    np.testing.assert_allclose(on.C[2, 2], share * part.C[2, 2])
    np.testing.assert_array_equal(on.multipliers[:8, :8], part.multipliers[:8, :8])


def test_of_two_sides_that_respond_alike_one_is_enough():
    X = np.random.default_rng(0).standard_normal((5, 2))
    first = lift_of(X, FREE).halves(3)
    assert [lift.signs.tolist() for lift in first] == [[0, 0, 0, 1, 0]]
    second = first[0].halves(0)
    assert [lift.signs.tolist() for lift in second] == [[1, 0, 0, 1, 0], [-1, 0, 0, 1, 0]]
    assert len(lift_of(X, PLAIN).halves(3)) == 2
