"""Separable labels in several inputs: every label that can be lost, by a linear programme for each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from knotwork.free_parts import recession
from knotwork.losses import resolve_loss

LOGISTIC, POISSON, CLASSES = (resolve_loss(name) for name in ("logistic", "poisson", "multinomial"))


def conditions(spec, Z, Y, w):
    """Rows (i, t, a, held) over coefficients (T p): label (i, t) is lost where a . beta > 0, which is
    never below 0, and 0 where held."""
    n, T, p = len(Z), Y.shape[1], Z.shape[1]

    def row(i, entries):
        a = np.zeros((T, p))
        for t, sign in entries:
            a[t] += sign * Z[i]
        return a.ravel()

    out = []
    for i in range(n):
        for t in range(T):
            if w[i, t] == 0:
                continue
            if spec == "multinomial":
                if Y[i, t] > 0:
                    out += [(i, s, row(i, [(t, 1.0), (s, -1.0)]), False) for s in range(T) if s != t]
            elif spec == "logistic":
                out.append((i, t, row(i, [(t, 1.0 if Y[i, t] > 0 else -1.0)]), False))
            else:
                out.append((i, t, row(i, [(t, -1.0)]), Y[i, t] > 0))
    return out


def can_be_lost(spec, X, Y, w, linear):
    """(N, T): one linear programme for each label."""
    Z = np.column_stack([np.ones(len(X)), X]) if linear else np.ones((len(X), 1))
    rows = conditions(spec, Z, Y, w)
    M = np.array([a for _, _, a, _ in rows])
    held = np.array([h for *_, h in rows])
    lost = np.zeros(Y.shape, dtype=bool)
    for i, t, a, is_held in rows:
        if is_held:
            continue
        found = linprog(
            -a,
            A_ub=-M[~held],
            b_ub=np.zeros(int((~held).sum())),
            A_eq=M[held] if held.any() else None,
            b_eq=np.zeros(int(held.sum())) if held.any() else None,
            bounds=[(-1.0, 1.0)] * M.shape[1],
        )
        lost[i, t] |= -found.fun > 1e-7
    return lost


def random_labels(rng, spec, X, n_tasks):
    """Half of the time separable by a plane through data, up to labels on it."""
    n, d = X.shape
    if spec == "multinomial":
        scores = X @ rng.integers(-2, 3, (d, n_tasks)) + rng.integers(-1, 2, n_tasks)
        which = np.argmax(scores, axis=1) if rng.uniform() < 0.6 else rng.integers(0, n_tasks, n)
        Y = np.eye(n_tasks)[which]
        if rng.uniform() < 0.3:
            Y[rng.integers(n)] = np.eye(n_tasks)[:2].mean(axis=0)
        return Y
    Y = rng.integers(0, 2, (n, n_tasks)).astype(float)
    for t in range(n_tasks):
        if rng.uniform() < 0.7:
            side = (X - X[rng.integers(n)]) @ rng.integers(-2, 3, d)
            if spec == "logistic":
                Y[:, t] = np.where(side == 0, Y[:, t], side > 0)
            else:
                Y[:, t] = (side == 0) * rng.integers(0, 3, n)
    return Y


def check(spec, X, Y, w, linear):
    loss = {"logistic": LOGISTIC, "poisson": POISSON, "multinomial": CLASSES}[spec]
    expected = can_be_lost(spec, X, Y, w, linear)
    found = recession(X, Y, w, loss, linear)
    if found is None:
        assert not expected.any()
        return
    A, c, lost = found
    np.testing.assert_array_equal(lost, expected)
    assert linear or not A.any()
    z = X @ A + c
    size = (np.abs(X) @ np.abs(A) + np.abs(c)).max()
    if spec == "multinomial":
        behind = z.max(axis=1, keepdims=True) - z
        stays = (w > 0) & ~lost
        assert behind[lost].min() >= 1.0 - 1e-9
        assert np.all(behind[stays] <= 1e-10 * size)
        return
    gain = np.where(Y > 0, z, -z)
    assert gain[lost].min() >= 1.0 - 1e-9
    assert np.all(np.abs(z[(w > 0) & ~lost]) <= 1e-10 * size)


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.integers(2, 3),
    st.sampled_from(["logistic", "poisson", "multinomial"]),
    st.booleans(),
)
def test_every_label_that_can_be_lost_is(seed, n, d, spec, linear):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n, d)).astype(float)
    Y = random_labels(rng, spec, X, 2 + seed % 2)
    shape = (n, 1) if spec == "multinomial" else Y.shape
    w = np.broadcast_to((rng.uniform(size=shape) > 0.2).astype(float), Y.shape).copy()
    w[0] = 1.0
    check(spec, X, Y, w, linear)


@pytest.mark.parametrize("spec", ["logistic", "multinomial"])
@pytest.mark.parametrize("margin", [1e-6, 0.0, -1e-6])
def test_a_hair_decides(spec, margin):
    # two clouds on either side of a line; one label on it, a little to its own or the wrong side
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 2))
    X[:, 0] += np.where(np.arange(30) < 15, -4.0, 4.0)
    X[0], X[29] = [margin, 0.0], [0.0, 0.0]
    # the line cannot turn: labels on both sides of it, far up and down
    X[1:3], X[3:5] = [[0.0, 9.0], [0.0, -9.0]], [[1e-9, 9.0], [1e-9, -9.0]]
    up = X[:, 0] > 0
    up[0] = True
    Y = np.column_stack([up, ~up]).astype(float)
    w = np.ones(Y.shape)
    found = recession(X, Y, w, LOGISTIC if spec == "logistic" else CLASSES, True)
    assert (found is not None) == (margin >= 0.0)


def test_far_from_the_origin_nothing_changes():
    rng = np.random.default_rng(1)
    X = rng.integers(-64, 64, (20, 3)) / 64.0
    Y = (X @ [1.0, -2.0, 0.5] > 0.1)[:, None].astype(float)
    for origin in (0.0, 1e4, -1e6):
        found = recession(X + origin, Y, np.ones(Y.shape), LOGISTIC, True)
        assert found is not None
        assert found[2].all()
        z = (X + origin) @ found[0] + found[1]
        assert np.where(Y > 0, z, -z).min() > 0.99


@pytest.mark.parametrize("spec", ["squared", "huber", "quantile"])
def test_quantities_are_never_separable(spec):
    X = np.random.default_rng(2).standard_normal((6, 2))
    assert recession(X, np.ones((6, 2)), np.ones((6, 2)), resolve_loss(spec), True) is None
