from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_objective, dense_predict, second_differences
from references_ranges import Ranges, bent, fewest_knots, runs, with_missing

import knotwork as kw
from knotwork.theory._hats import response

nan = float("nan")
GAP = np.array([0.0, 1.0, 2.5, 4.0, 5.0]), np.array([[1, 0], [3, 0], [6, nan], [9, 6], [11, 10.0]])


def set_of(x, Y, lam=0.0, tol=1e-10):
    found = kw.uniqueness(kw.solve(kw.Problem(x, Y, lam), tol=tol))
    assert found.solution_set is not None, found.reason
    return found.solution_set


def cost(network):
    """sum |v_k| |w_k|, term by term."""
    return sum(np.linalg.norm(v) * np.linalg.norm(w) for w, v in zip(network.W, network.V, strict=True))


def mixture(networks, shares):
    """The network of sum_i share_i f_i."""
    return kw.ReLUNetwork(
        np.vstack([f.W for f in networks]),
        np.concatenate([f.b for f in networks]),
        np.vstack([s * f.V for f, s in zip(networks, shares, strict=True)]),
        sum(s * f.A for f, s in zip(networks, shares, strict=True)),
        sum(s * f.c for f, s in zip(networks, shares, strict=True)),
    )


# ------------------------------------------------------------------------------------- members


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.booleans(),
)
def test_samples_keep_the_labels_at_the_optimal_cost(seed, n_tasks, lengths, gaps):
    rng = np.random.default_rng(seed)
    x, Y = runs(rng, n_tasks, lengths)
    optimum = np.linalg.norm(second_differences(x) @ Y, axis=1).sum()
    labels = with_missing(rng, x, Y) if gaps else Y
    solutions = set_of(x, labels)
    seen = ~np.isnan(labels)
    places = np.linspace(x[0] - 1, x[-1] + 1, 60)
    lower, upper = solutions.envelopes(places)
    members = [solutions.sample(rng) for _ in range(4)]
    for network in (*members, solutions.sparsest()):
        np.testing.assert_allclose(
            dense_predict(network, x)[seen], Y[seen], atol=1e-10 * np.abs(Y).max(), rtol=0
        )
        assert cost(network) == pytest.approx(optimum, rel=1e-10)
        assert solutions.contains(network)
        curve = dense_predict(network, places)
        assert (curve >= lower - 1e-9 * np.abs(Y).max()).all()
        assert (curve <= upper + 1e-9 * np.abs(Y).max()).all()
    share = rng.dirichlet(np.ones(4))
    assert solutions.contains(mixture(members, share))
    if max(lengths) > 1:
        # the members of a set that is not a point differ
        assert not np.allclose(members[0].predict(places), members[1].predict(places), atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_samples_at_positive_lam_have_the_optimal_objective(seed):
    rng = np.random.default_rng(seed)
    n_tasks = 1 + seed % 3
    x = np.cumsum(rng.uniform(0.3, 1.0, 7))
    u = rng.standard_normal(n_tasks)
    p = np.tile(u / np.linalg.norm(u), (5, 1))
    lam = rng.uniform(0.05, 0.5)
    Y = bent(x, rng.uniform(0.2, 2.0, (5, 1)) * p, rng) + lam * second_differences(x).T @ p
    if seed >= 6:
        Y[3, rng.integers(n_tasks)] = nan
    solution = kw.solve(kw.Problem(x, Y, lam), tol=1e-10)
    found = kw.uniqueness(solution)
    assert found.unique is False, found.reason
    # one task without a label at an input has no such input
    assert len(found.intervals) == (3 if seed >= 6 and n_tasks == 1 else 4)
    solutions, seen = found.solution_set, ~np.isnan(Y)
    optimum = dense_objective(x[:, None], Y, lam, solution.network)
    for network in [solutions.sample(rng) for _ in range(4)] + [solutions.sparsest()]:
        assert dense_objective(x[:, None], Y, lam, network) == pytest.approx(optimum, rel=1e-10)
        fitted, at = solution.network.predict(x)[seen], solutions.x
        np.testing.assert_allclose(network.predict(x)[seen], fitted, atol=1e-5 * np.abs(fitted).max())
        np.testing.assert_allclose(
            network.predict(at)[solutions.seen],
            solutions.values[solutions.seen],
            atol=1e-10 * np.abs(fitted).max(),
        )
        assert solutions.contains(network)


def test_a_sample_is_generic():
    """No free value sits on an envelope, and knots are more than the data's."""
    x, Y = runs(np.random.default_rng(0), 2, [4])
    solutions = set_of(x, Y)
    middle = 0.5 * (x[1:4] + x[2:5])
    lower, upper = solutions.envelopes(middle)
    members = [solutions.sample(seed) for seed in range(40)]
    inside = np.array([(f.predict(middle) - lower) / (upper - lower) for f in members])
    assert inside.min() > 0
    assert inside.max() < 1
    assert inside.std(axis=0).min() > 0.1
    assert len({f.n_neurons for f in members}) > 5


def test_a_seed_makes_a_sample_reproducible():
    x, Y = runs(np.random.default_rng(0), 2, [3, 2])
    solutions = set_of(x, Y)
    np.testing.assert_array_equal(solutions.sample(7).V, solutions.sample(np.random.default_rng(7)).V)
    assert not np.array_equal(solutions.sample(7).b[:3], solutions.sample(8).b[:3])


def test_a_unique_solution_is_connect_the_dots():
    rng = np.random.default_rng(1)
    x, Y = np.sort(rng.uniform(0, 3, 8)), rng.standard_normal((8, 2))
    solutions = set_of(x, Y)
    assert solutions.is_single
    at = np.linspace(x[0], x[-1], 50)
    dots = np.column_stack([np.interp(at, x, y) for y in Y.T])
    for curve in (
        *solutions.envelopes(at),
        solutions.sample(rng).predict(at),
        solutions.sparsest().predict(at),
    ):
        np.testing.assert_allclose(curve, dots, atol=1e-12)
    assert solutions.n_knots_min == 6
    lower, upper = solutions.envelopes([x[0] - 2, x[-1] + 2])
    slope = np.diff(Y, axis=0) / np.diff(x)[:, None]
    np.testing.assert_allclose(lower, [Y[0] - 2 * slope[0], Y[-1] + 2 * slope[-1]], atol=1e-12)
    np.testing.assert_array_equal(lower, upper)


# ------------------------------------------------------------------------------------ envelopes


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(2, 5))
def test_envelopes_are_attained_and_are_the_lines_beside(seed, n_tasks, length):
    """The chord on one side, the neighbouring lines on the other, swapped where u_t < 0."""
    rng = np.random.default_rng(seed)
    x, Y = runs(rng, n_tasks, [length])
    solutions = set_of(x, Y)
    j = int(rng.integers(1, length))
    place = rng.uniform(x[j], x[j + 1])
    slope = np.diff(Y, axis=0) / np.diff(x)[:, None]
    chord = Y[j] + slope[j] * (place - x[j])
    left, right = Y[j] + slope[j - 1] * (place - x[j]), Y[j + 1] - slope[j + 1] * (x[j + 1] - place)
    up = slope[j + 1] > slope[j - 1]
    beside = np.where(up, np.maximum(left, right), np.minimum(left, right))
    lower, upper = solutions.envelopes([[place]])
    size = np.abs(Y).max()
    np.testing.assert_allclose(lower[0], np.where(up, beside, chord), atol=1e-9 * size)
    np.testing.assert_allclose(upper[0], np.where(up, chord, beside), atol=1e-9 * size)
    # through the far values of all tasks at once, by connect the dots: a member
    member = kw.solve(kw.Problem(np.append(x, place), np.vstack([Y, beside]), 0.0)).network
    assert solutions.contains(member)
    beyond = beside + 1e-3 * (beside - chord)
    assert not solutions.contains(
        kw.solve(kw.Problem(np.append(x, place), np.vstack([Y, beyond]), 0.0)).network
    )


def test_envelopes_with_missing_labels_are_the_range_of_a_conic_solver():
    x, Y = GAP
    solutions = set_of(x, Y)
    ranges = Ranges(x, Y, 0.0)
    places = np.array([0.3, 1.4, 2.0, 2.5, 3.1, 4.5, 5.5])
    lower, upper = solutions.envelopes(places)
    for i, place in enumerate(places[:-1]):
        least, greatest, *_ = ranges.at(place, 1, 1e-9)
        assert lower[i, 1] == pytest.approx(least, abs=1e-6)
        assert upper[i, 1] == pytest.approx(greatest, abs=1e-6)
    np.testing.assert_allclose(lower[:, 0], 2 * places + 1, atol=1e-9)
    np.testing.assert_allclose(upper[:, 0], 2 * places + 1, atol=1e-9)
    assert upper[3, 1] - lower[3, 1] == pytest.approx(3.0)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_a_knot_adds_what_the_hinge_does_less_its_own_values_at_the_labels(seed, m):
    rng = np.random.default_rng(seed)
    grid, s = np.cumsum(rng.uniform(0.1, 1.0, m)), rng.uniform(0.0, 4.0)
    at = np.append(np.linspace(-1, 6, 40), grid)

    def hinge(x):
        return np.maximum(x - s, 0.0)

    slope = np.diff(hinge(grid)) / np.diff(grid)
    cell = np.clip(np.searchsorted(grid, at) - 1, 0, m - 2)
    through_labels = hinge(grid[cell]) + slope[cell] * (at - grid[cell])
    expected = hinge(at) - through_labels
    if not grid[0] < s < grid[-1]:
        # there no knot of the task can be: the dual point is 0
        expected = np.zeros_like(at)
    np.testing.assert_allclose(response(grid, at, np.array([s]))[:, 0], expected, atol=1e-12)


# -------------------------------------------------------------------------------------- sparsest


@pytest.mark.parametrize("n_tasks", [1, 2, 4])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_a_run_of_m_aligned_intervals_needs_half_as_many_knots(m, n_tasks):
    """Debarre et al. 2022 for one task: ceil((m + 1) / 2); the same for aligned data of several."""
    x, Y = runs(np.random.default_rng(m), n_tasks, [m + 1])
    solutions = set_of(x, Y)
    assert solutions.n_knots_min == math.ceil((m + 1) / 2)
    assert solutions.sparsest().n_neurons == solutions.n_knots_min
    assert solutions.contains(solutions.sparsest())


@pytest.mark.parametrize("seed", range(12))
def test_no_placement_of_fewer_knots_interpolates_at_the_optimal_cost(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 7))
    x, y = np.sort(rng.uniform(0, 3, n)), rng.standard_normal(n)
    if seed % 2:
        y = bent(x, rng.uniform(0.2, 1.0, (n - 2, 1)) * rng.choice([1, 1, 1, -1], (n - 2, 1)))[:, 0]
    solutions = set_of(x, y)
    assert solutions.n_knots_min == fewest_knots(x, y, n - 2)
    assert solutions.sparsest().n_neurons == solutions.n_knots_min


def test_with_missing_labels_masses_move_to_fewer_knots():
    x, Y = GAP
    solutions = set_of(x, Y)
    assert solutions.n_knots_min == 1
    sparsest = solutions.sparsest()
    assert sparsest.n_neurons == 1
    np.testing.assert_allclose(sparsest.knots.location, [2.5], atol=1e-9)
    np.testing.assert_allclose(sparsest.knots.jump, [[0, 4]], atol=1e-9)
    assert solutions.contains(sparsest)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 3))
def test_missing_labels_never_ask_for_more_knots(seed, n_tasks):
    rng = np.random.default_rng(seed)
    x, Y = runs(rng, n_tasks, [4, 3])
    labels = with_missing(rng, x, Y)
    full, less = set_of(x, Y), set_of(x, labels)
    assert less.n_knots_min <= full.n_knots_min == 4
    assert less.sparsest().n_neurons == less.n_knots_min
    assert less.cost == pytest.approx(full.cost, rel=1e-10)
    assert less.contains(full.sample(rng))


# -------------------------------------------------------------------------------------- contains


def test_networks_outside_the_set_are_told_apart():
    x = np.arange(6.0)
    Y = bent(x, np.array([[1.0, 2], [0.5, 1], [2, 4], [-1, 1]]))
    solutions = set_of(x, Y)
    inside = solutions.sample(0)
    assert solutions.contains(inside)
    # right values, wrong shape: a ripple between data points, and one outside them
    for low, high in ((0.0, 1.0), (1.0, 2.0), (3.0, 4.0)):
        ripple = kw.solve(
            kw.Problem([low - 9, low, 0.5 * (low + high), high, high + 9], [0, 0, 1e-3, 0, 0], 0.0)
        )
        ripple = ripple.network
        V = ripple.V @ np.array([[1.0, 0.0]])
        lifted = kw.ReLUNetwork(ripple.W, ripple.b, V, ripple.A @ [[1.0, 0]], ripple.c @ [[1.0, 0]])
        wrong = mixture([inside, lifted], (1.0, 1.0))
        np.testing.assert_allclose(wrong.predict(x), Y, atol=1e-9)
        assert not solutions.contains(wrong)
    late = kw.ReLUNetwork([[1.0]], [-5.5], [[1e-3, 0.0]])
    assert not solutions.contains(mixture([inside, late], (1.0, 1.0)))
    # right cost, wrong values
    shifted = kw.ReLUNetwork(inside.W, inside.b, inside.V, inside.A, inside.c + np.array([0.0, 1e-3]))
    assert shifted.cost() == inside.cost()
    assert not solutions.contains(shifted)
    assert solutions.contains(shifted, tol=1e-2)


def test_membership_is_of_the_function_not_of_its_neurons():
    x, Y = runs(np.random.default_rng(2), 2, [3])
    solutions = set_of(x, Y)
    inside = solutions.sample(0)
    # relu(z) - relu(-z) = z: neurons that cancel bend nothing
    twins = kw.ReLUNetwork(
        np.vstack([inside.W, [[1.0], [-1.0]]]),
        np.append(inside.b, [-x[2], x[2]]),
        np.vstack([inside.V, [[1.0, 1.0], [-1.0, -1.0]]]),
        inside.A - 1.0,
        inside.c + x[2],
    )
    assert twins.cost() > solutions.cost + 1
    assert solutions.contains(twins)
