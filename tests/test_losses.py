from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loss_problems import loss_of, name_of
from references_losses import conjugate_values, loss_values, random_labels
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, softmax

from knotwork.losses import (
    Huber,
    Logistic,
    Multinomial,
    PerTask,
    Poisson,
    Quantile,
    SmoothedQuantile,
    Squared,
    resolve_loss,
)

SCALAR = ["squared", ("huber", 0.4), ("huber", 2.0), "logistic", "poisson", ("quantile", 0.3)]
SMOOTH = [*SCALAR[:-1], "multinomial"]
MIXED = ["squared", "logistic", ("quantile", 0.3), ("huber", 0.4), "poisson", "logistic"]
ALL = [*SCALAR, "multinomial", MIXED]


def generic(spec, seed=0, n=40):
    """(labels, predictions, a loss): predictions not at a kink, labels of all kinds, 0 and soft ones too."""
    rng = np.random.default_rng(seed)
    T = len(spec) if isinstance(spec, list) else 3
    F = 2.0 * rng.standard_normal((n, T))
    Y = random_labels(rng, spec, rng.standard_normal((n, T)))
    if spec == "multinomial":
        Y[: n // 2] = rng.dirichlet(np.ones(T), n // 2)
    return Y, F, resolve_loss(loss_of(spec))


def rows(parts, spec):
    """What a value is per label; of classes per row."""
    return parts.sum(axis=1, keepdims=True) if spec == "multinomial" else parts


def inside(rng, spec, Y):
    """Random points inside the conjugate's domain."""
    share = rng.uniform(0.05, 0.95, Y.shape)
    if isinstance(spec, list):
        return np.hstack([inside(rng, one, Y[:, [t]]) for t, one in enumerate(spec)])
    name, parameter = spec if isinstance(spec, tuple) else (spec, None)
    if name == "multinomial":
        return rng.dirichlet(np.ones(Y.shape[1]), len(Y)) - Y
    if name == "huber":
        return parameter * (2.0 * share - 1.0)
    if name == "quantile":
        return share - parameter
    if name == "squared":
        return 4.0 * share - 2.0
    return (share if name == "logistic" else 5.0 * share) - Y


@pytest.mark.parametrize("spec", ALL, ids=name_of)
def test_values_are_the_textbook_ones(spec):
    Y, F, loss = generic(spec)
    parts = loss.value(Y, F)
    assert np.all(rows(parts, spec) >= 0.0)
    expected = rows(loss_values(spec, Y, F), spec)
    np.testing.assert_allclose(rows(parts, spec), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("spec", ALL, ids=name_of)
def test_gradients_are_finite_differences(spec):
    Y, F, loss = generic(spec)
    h = 1e-5
    for t in range(Y.shape[1]):
        step = np.zeros_like(F)
        step[:, t] = h
        slope = (loss_values(spec, Y, F + step) - loss_values(spec, Y, F - step)).sum(axis=1) / (2.0 * h)
        np.testing.assert_allclose(loss.gradient(Y, F)[:, t], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("spec", ["squared", ("huber", 0.4), "logistic", "poisson"], ids=name_of)
def test_curvatures_are_finite_differences_of_gradients(spec):
    Y, F, loss = generic(spec)
    h = 1e-5
    slope = (loss.gradient(Y, F + h) - loss.gradient(Y, F - h)) / (2.0 * h)
    np.testing.assert_allclose(loss.curvature(Y, F), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("spec", [("huber", 0.4), "logistic"], ids=name_of)
def test_the_curvature_bound_makes_a_parabola_above_the_loss(spec):
    Y, F, loss = generic(spec)
    bound, g = loss.curvature_bound(Y, F), loss.gradient(Y, F)
    assert np.all(bound >= loss.curvature(Y, F) * (1.0 - 1e-12))
    above = np.inf
    for d in np.linspace(-8.0, 8.0, 81):
        room = loss.value(Y, F) + g * d + 0.5 * bound * d * d - loss_values(spec, Y, F + d)
        above = min(above, float(room.min()))
    assert above >= -1e-12


LEAST = [
    (Squared(), 1.7, 1.7),
    (Huber(0.3), -2.0, -2.0),
    (Quantile(0.2), 0.4, 0.4),
    (Poisson(), 5.0, np.log(5.0)),
    (Poisson(), 0.0, -50.0),
    (Logistic(), 0.0, -50.0),
    (Logistic(), 1.0, 50.0),
]


@pytest.mark.parametrize(("loss", "y", "f"), LEAST, ids=lambda part: str(part))
def test_the_least_loss_is_zero(loss, y, f):
    y, f = np.array([[y]]), np.array([[f]])
    assert loss.value(y, f)[0, 0] == pytest.approx(0.0, abs=1e-15)
    for d in (-0.5, 0.5):
        assert loss.value(y, f + d)[0, 0] > 0.0


def test_the_least_loss_of_classes_is_zero_at_their_own_probabilities():
    y = np.array([[0.2, 0.5, 0.3]])
    assert rows(Multinomial().value(y, np.log(y) + 3.0), "multinomial")[0, 0] == pytest.approx(0.0, abs=1e-15)
    one_hot = np.array([[1.0, 0.0, 0.0]])
    far = np.array([[60.0, -1.0, 2.0]])
    assert rows(Multinomial().value(one_hot, far), "multinomial")[0, 0] == pytest.approx(0.0, abs=1e-20)


# -------------------------------------------------------------------------------------- conjugates


@pytest.mark.parametrize("spec", SCALAR, ids=name_of)
def test_conjugates_are_suprema(spec):
    Y, _, loss = generic(spec, n=6)
    G = inside(np.random.default_rng(1), spec, Y)
    found = loss.conjugate(Y, G)
    for i, t in np.ndindex(Y.shape):
        y, g = Y[i : i + 1, t : t + 1], G[i, t]

        def down(f, y=y, g=g):
            return float(loss_values(spec, y, np.full((1, 1), f))[0, 0]) - g * f

        best = minimize_scalar(down, bounds=(-30.0, 30.0), method="bounded", options={"xatol": 1e-10})
        least = min(float(best.fun), down(y[0, 0]))
        assert found[i, t] == pytest.approx(-least, abs=1e-9)


def test_conjugates_of_classes_are_suprema():
    Y, _, loss = generic("multinomial", n=8)
    G = inside(np.random.default_rng(1), "multinomial", Y)
    found = rows(loss.conjugate(Y, G), "multinomial")[:, 0]
    for i in range(len(Y)):

        def down(f, i=i):
            return float(loss_values("multinomial", Y[[i]], f[None]).sum()) - G[i] @ f

        best = minimize(down, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
        assert found[i] == pytest.approx(-best.fun, abs=1e-8)


@pytest.mark.parametrize("spec", ALL, ids=name_of)
def test_fenchel_gaps_are_what_the_inequality_leaves(spec):
    Y, F, loss = generic(spec)
    G = inside(np.random.default_rng(2), spec, Y)
    parts = loss.fenchel_gap(Y, F, G)
    assert np.all(parts >= 0.0)
    # the textbook's three terms, in extended precision
    y, f, g = (a.astype(np.longdouble) for a in (Y, F, G))
    expected = rows(loss_values(spec, y, f) + conjugate_values(spec, y, g) - g * f, spec)
    np.testing.assert_allclose(rows(parts, spec), expected.astype(float), rtol=1e-12, atol=1e-13)
    conjugate = rows(loss.conjugate(Y, G), spec)
    np.testing.assert_allclose(conjugate, rows(conjugate_values(spec, Y, G), spec), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("spec", ALL, ids=name_of)
def test_the_gap_vanishes_at_the_gradient_and_nowhere_else(spec):
    Y, F, loss = generic(spec)
    g = loss.gradient(Y, F)
    here, size = loss.fenchel_gap(Y, F, g), np.abs(F * g) + loss.value(Y, F)
    assert np.all(here <= 1e-15 * (1.0 + size))
    away = loss.to_domain(Y, g + 0.05 * np.where(g > 0, -1.0, 1.0))
    moved = np.any(np.abs(away - g) > 1e-3, axis=1)
    assert moved.sum() > 30
    assert np.all(loss.fenchel_gap(Y, F, away)[moved].max(axis=1) > 1e-6)


@pytest.mark.parametrize(
    "spec", ["squared", ("huber", 2.0), "logistic", "poisson", "multinomial"], ids=name_of
)
def test_small_gaps_keep_their_digits(spec):
    # gaps of 1e-11 between terms of size 1: the difference of the terms in extended precision shows
    # them; rows of probabilities sum to 1 only up to 1e-16
    Y, F, loss = generic(spec)
    G = loss.gradient(Y, F + 1e-5 * np.random.default_rng(3).standard_normal(F.shape))
    y, f, g = (a.astype(np.longdouble) for a in (Y, F, G))
    expected = rows(loss_values(spec, y, f) + conjugate_values(spec, y, g) - g * f, spec).astype(float)
    found = rows(loss.fenchel_gap(Y, F, G), spec)
    assert np.median(expected) < 1e-10
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-15)


ENDS = [
    (Huber(0.4), 1.0, -0.4, 0.4),
    (Logistic(), 0.0, 0.0, 1.0),
    (Logistic(), 1.0, -1.0, 0.0),
    (Poisson(), 3.0, -3.0, np.inf),
    (Poisson(), 0.0, 0.0, np.inf),
    (Quantile(0.3), 1.0, -0.3, 0.7),
    (Squared(), 1.0, -np.inf, np.inf),
]


@pytest.mark.parametrize(("loss", "y", "low", "high"), ENDS, ids=lambda part: str(part))
def test_outside_the_domain_the_gap_is_infinite(loss, y, low, high):
    y, f = np.array([[y]]), np.array([[0.7]])
    assert tuple(float(np.max(end)) for end in loss.domain(y)) == pytest.approx((low, high))
    for end, out in ((low, -1.0), (high, 1.0)):
        if np.isinf(end):
            continue
        at = np.array([[end]])
        assert np.isfinite(loss.fenchel_gap(y, f, at)[0, 0])
        assert np.isfinite(loss.conjugate(y, at)[0, 0])
        assert loss.fenchel_gap(y, f, at + 1e-3 * out)[0, 0] == np.inf
        assert loss.to_domain(y, at + 1e-3 * out)[0, 0] == pytest.approx(end, abs=1e-15)


def test_outside_the_simplex_the_gap_of_classes_is_infinite():
    y, f = np.eye(3), np.zeros((3, 3))
    for g in (np.full((3, 3), 0.1), np.array([[0.2, -0.2, 0.0]] * 3)):
        bad = np.isinf(Multinomial().fenchel_gap(y, f, g)).any(axis=1)
        # the second is fine for the class that gives some away
        assert bad.tolist() == ([True] * 3 if g[0, 2] else [True, False, True])
    q = y + Multinomial().to_domain(y, np.array([[0.4, 0.1, 0.1], [0.3, -9.0, 0.0], [-1.0, -1.0, -2.0]]))
    assert np.all(q >= 0.0)
    np.testing.assert_allclose(q.sum(axis=1), 1.0, rtol=1e-15)


@pytest.mark.parametrize("spec", ALL, ids=name_of)
@pytest.mark.parametrize("n_free", [1, 2])
def test_a_move_makes_the_sums_with_the_free_parts_vanish(spec, n_free):
    rng = np.random.default_rng(4)
    Y, _, loss = generic(spec)
    G = inside(rng, spec, Y)
    w = rng.uniform(0.3, 3.0, (len(Y), 1 if spec == "multinomial" else Y.shape[1])) * np.ones(Y.shape)
    if spec != "multinomial":
        w[rng.uniform(size=Y.shape) < 0.2] = 0.0
    Z = np.column_stack([np.ones(len(Y)), rng.uniform(-1.0, 1.0, len(Y))])[:, :n_free]
    step = loss.move(Y, G, Z, w)
    assert np.abs(Z.T @ (w * G)).max() > 0.1
    np.testing.assert_allclose(Z.T @ (w * (G + step)), 0.0, atol=1e-11)
    assert np.all(step[w == 0.0] == 0.0)
    if spec == "multinomial":
        np.testing.assert_allclose(step.sum(axis=1), 0.0, atol=1e-14)


# ----------------------------------------------------------------------------------------- extremes


@pytest.mark.parametrize("f", [-1e8, -1e4, -800.0, -40.0, 40.0, 300.0, 800.0, 1e4, 1e8])
def test_far_predictions_keep_their_limits(f):
    y, F = np.array([[0.0], [1.0]]), np.full((2, 1), f)
    assert Logistic().value(y, F)[:, 0] == pytest.approx([max(f, 0.0), max(-f, 0.0)], abs=1e-17)
    assert Logistic().gradient(y, F)[:, 0] == pytest.approx([expit(f), expit(f) - 1.0], abs=1e-17)
    gap = Logistic().fenchel_gap(y, F, np.array([[0.25], [-0.75]]))
    entropy = 0.25 * np.log(0.25) + 0.75 * np.log(0.75)
    assert gap[:, 0] == pytest.approx(max(f, 0.0) + entropy - 0.25 * f, rel=1e-14)
    classes = np.array([[1.0, 0.0, 0.0]])
    wide = np.array([[0.0, f, 0.0]])
    total = float(Multinomial().value(classes, wide).sum())
    assert total == pytest.approx(f if f > 0.0 else np.log(2.0), rel=1e-15)
    np.testing.assert_allclose(Multinomial().gradient(classes, wide), softmax(wide) - classes, atol=1e-16)
    inner = np.array([[-0.5, 0.5, 0.0]])
    left = float(Multinomial().fenchel_gap(classes, wide, inner).sum())
    assert left == pytest.approx(total + np.log(0.5) - 0.5 * f, rel=1e-12)


@pytest.mark.parametrize("f", [-1e8, -1e4, -745.0, -700.0, -1.0, 1.0, 299.0, 400.0, 700.0])
def test_far_rates_keep_their_limits(f):
    y = np.array([[0.0], [1.0], [7.0]])
    shift = np.array([0.0, -1.0, 7.0 * np.log(7.0) - 7.0])
    F = np.full((3, 1), f)
    expected = np.exp(f) - y[:, 0] * f + shift
    np.testing.assert_allclose(Poisson().value(y, F)[:, 0], expected, rtol=1e-13)
    gap = Poisson().fenchel_gap(y, F, 0.5 - y)[:, 0]
    np.testing.assert_allclose(gap, np.exp(f) + 0.5 * np.log(0.5) - 0.5 - 0.5 * f, rtol=1e-13)


def test_a_rate_beyond_float64_is_an_infinite_loss_with_a_finite_gradient():
    y, F = np.array([[0.0], [3.0]]), np.full((2, 1), 1e4)
    assert np.all(Poisson().value(y, F) == np.inf)
    assert np.all(Poisson().fenchel_gap(y, F, 0.5 - y) == np.inf)
    g = Poisson().gradient(y, F)
    assert np.all(np.isfinite(g * g))
    assert np.all(g > 1e100)


@pytest.mark.parametrize("loss", [Huber(0.4), Quantile(0.3)])
def test_far_quantities_cost_in_proportion(loss):
    y, F = np.zeros((2, 1)), np.array([[1e45], [-1e45]])
    low, high = loss.domain(y)
    assert loss.value(y, F)[:, 0] == pytest.approx([1e45 * high, -1e45 * low], rel=1e-15)
    assert np.all(loss.fenchel_gap(y, F, np.zeros((2, 1))) == loss.value(y, F))


# --------------------------------------------------------------------------------- smoothed quantile


@given(st.floats(0.05, 0.95), st.floats(1e-3, 3.0), st.floats(-5.0, 5.0))
def test_the_smoothed_quantile_is_an_envelope(tau, mu, r):
    y, f = np.array([[r]]), np.zeros((1, 1))
    smooth, plain = SmoothedQuantile(tau, mu), Quantile(tau)
    # the best offset is a soft threshold; a grid beside it must not do better
    best = max(r - mu * tau, 0.0) + min(r + mu * (1.0 - tau), 0.0)
    offsets = np.concatenate([[best], best + np.linspace(-2.0, 2.0, 401)])
    costs = np.maximum(tau * offsets, (tau - 1.0) * offsets) + (r - offsets) ** 2 / (2.0 * mu)
    value = smooth.value(y, f)[0, 0]
    assert value == pytest.approx(float(costs.min()), rel=1e-9, abs=1e-12)
    g = smooth.gradient(y, f)
    assert np.isfinite(plain.fenchel_gap(y, f, g)[0, 0])
    assert plain.value(y, f)[0, 0] - value >= -1e-15
    assert plain.value(y, f)[0, 0] - value <= 0.5 * mu * max(tau, 1.0 - tau) ** 2 + 1e-12
    assert smooth.fenchel_gap(y, f, g)[0, 0] == pytest.approx(0.0, abs=1e-13)
    assert value + smooth.conjugate(y, g)[0, 0] == pytest.approx(float(g[0, 0] * f[0, 0]), abs=1e-13)
    h = 1e-6
    slope = (smooth.value(y, f + h) - smooth.value(y, f - h))[0, 0] / (2.0 * h)
    assert g[0, 0] == pytest.approx(slope, abs=1e-3 if abs(r) < 3.0 * mu else 1e-7)


def test_tasks_keep_their_own_losses():
    Y, F, loss = generic(MIXED)
    G = inside(np.random.default_rng(5), MIXED, Y)
    low, high = loss.domain(Y)
    for t, spec in enumerate(MIXED):
        one, at = resolve_loss(loss_of(spec)), [t]
        for verb in ("value", "gradient", "curvature", "curvature_bound"):
            own = getattr(one, verb)(Y[:, at], F[:, at])
            assert np.array_equal(getattr(loss, verb)(Y, F)[:, at], own)
        assert np.array_equal(loss.fenchel_gap(Y, F, G)[:, at], one.fenchel_gap(Y[:, at], F[:, at], G[:, at]))
        own_low, own_high = one.domain(Y[:, at])
        assert np.array_equal(low[:, at], np.broadcast_to(own_low, (len(Y), 1)))
        assert np.array_equal(high[:, at], np.broadcast_to(own_high, (len(Y), 1)))
    chosen = np.array([True, False, False, True, False, False])
    assert loss.of_tasks(chosen) == PerTask((Squared(), Huber(0.4)))
    assert (loss.smooth, loss.interpolates, loss.strictly_convex) == (False, False, False)
    smooth = resolve_loss(["squared", "huber"])
    assert (smooth.smooth, smooth.interpolates, smooth.strictly_convex) == (True, True, False)
