"""Optima of many neurons and the networks of few that approach them (B (8))."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_predict
from references_ranges import bent, runs

import knotwork as kw
from knotwork.theory.approach import approach_optimum, smooth_optimum

NONE = kw.Penalty(False, "none")


def smooth(x, Y, n_pieces):
    solutions = kw.uniqueness(x, Y).solution_set
    return solutions, smooth_optimum(solutions, n_pieces)


def parabola(n_tasks=2):
    """One aligned interval: f'' u constant on [1, 2], |u| = 5."""
    x = np.array([0.0, 1.0, 2.0, 3.0])
    u = np.array([3.0, -4.0])[:n_tasks]
    return x, bent(x, np.outer([1.0, 1.0], u))


def dense_errors(f, g, low, high):
    """sup |f - g| and sup |f' - g'| on a fine grid, by values and finite differences."""
    at = np.linspace(low, high, 200_001)
    difference = dense_predict(f, at) - dense_predict(g, at)
    slope = np.diff(difference, axis=0) / (at[1] - at[0])
    return np.linalg.norm(difference, axis=1).max(), np.linalg.norm(slope, axis=1).max()


def test_the_smooth_member_of_one_interval_is_a_parabola():
    x, Y = parabola()
    solutions, f = smooth(x, Y, 500)
    at = np.linspace(1, 2, 101)[:-1] + 0.001
    u = np.array([3.0, -4.0])
    # slope 0 before 1 and 2 u after 2: u (x - 1)^2 in between
    np.testing.assert_allclose(f.predict(at), np.outer((at - 1) ** 2, u), atol=2e-5)
    assert np.abs(f.predict(at) - np.outer((at - 1) ** 2, u)).max() > 1e-8
    assert solutions.contains(f, 1e-12)
    assert f.n_neurons == 500


@settings(max_examples=30)
@given(
    st.integers(0, 10**6), st.integers(1, 3), st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(2, 60),
)  # fmt: skip
def test_smooth_members_are_members_without_knots_at_the_data_of_a_run(seed, n_tasks, lengths, n_pieces):
    x, Y = runs(np.random.default_rng(seed), n_tasks, lengths)
    solutions, f = smooth(x, Y, n_pieces)
    assert solutions.contains(f, 1e-11)
    np.testing.assert_allclose(dense_predict(f, x), Y, atol=1e-11 * np.abs(Y).max(), rtol=0)
    aligned = int(solutions.flat.sum())
    alone = len(lengths) if aligned == 0 else sum(length == 1 for length in lengths)
    assert f.n_neurons == n_pieces * aligned + alone
    lower, upper = solutions.envelopes(np.linspace(x[0], x[-1], 40))
    curve = f.predict(np.linspace(x[0], x[-1], 40))
    assert ((curve >= lower - 1e-9) & (curve <= upper + 1e-9)).all()


@pytest.mark.parametrize(("n_tasks", "length"), [(1, 2), (2, 3), (3, 5)])
def test_optima_are_approached_by_optimal_networks_of_growing_n(n_tasks, length):
    """B (8): the slope error falls like 1/n and the value error like 1/n^2, and neither is 0."""
    x, Y = runs(np.random.default_rng(length), n_tasks, [length])
    solutions, f = smooth(x, Y, 4096 // (length - 1))
    total = solutions.cost
    widths = [n for n in (2, 4, 8, 16, 32, 64, 128, 256) if n >= length - 1]
    found = [approach_optimum(f, x, n) for n in widths]
    for n, one in zip(widths, found, strict=True):
        g = one.network
        assert one.n_neurons == g.n_neurons <= n
        assert one.n_neurons_before == f.n_neurons
        assert g.cost() == pytest.approx(total, rel=1e-12)
        assert np.abs(dense_predict(g, x) - Y).max() <= 1e-12 * np.abs(Y).max()
        assert solutions.contains(g, 1e-11)
        outside = np.array([x[0] - 5, x[0], x[-1], x[-1] + 5])
        np.testing.assert_allclose(g.predict(outside), f.predict(outside), atol=1e-11 * np.abs(Y).max())
    slope, value = (
        np.array([getattr(one, name) for one in found]) for name in ("slope_error", "value_error")
    )
    # n groups in the intervals of the run: none moves f' by less than half of its mass, nor by more than all
    intervals = length - 1
    share = total / np.array(widths)
    assert (slope >= 0.4 * share).all()
    assert (slope[2:] <= 0.75 * total / (np.array(widths)[2:] - intervals)).all()
    assert (np.log2(slope[2:-1] / slope[3:]) > 0.7).all()
    assert np.log2(slope[-4] / slope[-1]) == pytest.approx(3, abs=0.5)
    assert np.log2(value[-4] / value[-1]) == pytest.approx(6, abs=1)
    assert value[-1] > 0


def test_both_errors_of_a_parabola_have_a_closed_form():
    """n bends of 10/n each in the middle of [k, k + 1]/n: |f' - g'| = 5/n, |f - g| = 5/(4 n^2)."""
    x, Y = parabola()
    _, f = smooth(x, Y, 4096)
    for n in (1, 2, 4, 16, 64):
        one = approach_optimum(f, x, n)
        assert one.slope_error == pytest.approx(5 / n, rel=1e-9)
        assert one.value_error == pytest.approx(1.25 / n**2, rel=1e-3)
        np.testing.assert_allclose(
            np.sort(one.network.knots.location), 1 + (np.arange(n) + 0.5) / n, atol=1e-9
        )


@pytest.mark.parametrize("seed", range(6))
def test_the_errors_are_those_on_a_fine_grid(seed):
    rng = np.random.default_rng(seed)
    x, Y = runs(rng, 2, [2, 3])
    solutions, f = smooth(x, Y, 12)
    if seed % 2:
        f = solutions.sample(rng)
    least = approach_optimum(f, x, f.n_neurons)
    assert (least.value_error, least.slope_error) == (0.0, 0.0)
    one = approach_optimum(f, x, max(f.n_neurons - 4, 4))
    value, slope = dense_errors(f, one.network, x[0] - 1, x[-1] + 1)
    assert one.value_error == pytest.approx(value, rel=1e-3)
    assert one.slope_error == pytest.approx(slope, rel=1e-3)


def test_a_knot_of_its_own_mass_is_kept_and_heavy_ones_are_left_alone():
    """Nine light bends and a heavy one: at n = 4 the heavy one is none of the groups of several."""
    x = np.array([0.0, 1.0, 2.0])
    place = np.linspace(1.05, 1.95, 10)
    mass = np.where(np.arange(10) == 4, 50.0, 1.0)
    f = kw.ReLUNetwork(np.ones((10, 1)), -place, mass[:, None])
    one = approach_optimum(f, x, 4)
    assert one.network.n_neurons == 4
    assert one.slope_error < 2.5
    assert place[4] in one.network.knots.location


@pytest.mark.parametrize("turned", [False, True])
def test_neurons_of_either_facing_are_one_bend_where_lines_are_free(turned):
    rng = np.random.default_rng(0)
    place = np.sort(rng.uniform(0, 1, 20))
    facing = np.where(rng.uniform(size=20) < 0.5, 1.0, -1.0)
    u = np.array([0.6, 0.8]) * (-1.0 if turned else 1.0)
    f = kw.ReLUNetwork(facing[:, None], -facing * place, np.outer(rng.uniform(1, 2, 20), u))
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    free, none = approach_optimum(f, x, 5), approach_optimum(f, x, 5, penalty=NONE)
    for one, penalty in ((free, kw.Penalty()), (none, NONE)):
        assert one.network.n_neurons == 5
        assert one.network.cost(penalty) == pytest.approx(f.cost(penalty), rel=1e-13)
        np.testing.assert_allclose(one.network.predict(x), f.predict(x), atol=1e-13)
        value, slope = dense_errors(f, one.network, -1, 2)
        assert one.value_error == pytest.approx(value, rel=1e-3)
        assert one.slope_error == pytest.approx(slope, rel=1e-3)
    assert approach_optimum(f, x, 1).network.n_neurons == 1
    with pytest.raises(ValueError, match="at least 2 keep the data"):
        approach_optimum(f, x, 1, penalty=NONE)
    # without a skip connection the function's own facings stay, and no line is left over
    assert not none.network.A.any()
    assert none.network.cost(NONE) == pytest.approx(f.cost(NONE), rel=1e-13)


def fewest_groups(f, x):
    """By dynamic programming over all cuts of the bends into groups that may become one."""
    place, unit = -f.b * f.W[:, 0], f.V / np.linalg.norm(f.V, axis=1)[:, None]
    order = np.lexsort((place, f.W[:, 0]))
    place, unit, facing = place[order], unit[order], f.W[order, 0]
    ends = np.concatenate([[-np.inf], x, [np.inf]])

    def one_group(i, j):
        in_one = any(low <= place[i] and place[j] <= high for low, high in itertools.pairwise(ends))
        aligned = np.abs(unit[i : j + 1] - unit[i]).max() < 1e-9
        return in_one and aligned and facing[i] == facing[j]

    best = [0]
    for j in range(len(place)):
        best.append(min(best[i] + 1 for i in range(j + 1) if one_group(i, j)))
    return best[-1]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 20), st.sampled_from([kw.Penalty(), NONE]))
def test_any_network_keeps_its_data_and_its_cost(seed, n_tasks, n_neurons, penalty):
    """Bends of a few directions, at the data, between and beyond them: no fewer neurons than are needed."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-1, 1, 5))
    place = np.where(
        rng.uniform(size=n_neurons) < 0.3, rng.choice(x, n_neurons), rng.uniform(-2, 2, n_neurons)
    )
    u = rng.standard_normal((2, n_tasks))
    facing = rng.choice([-1.0, 1.0], n_neurons)
    V = rng.uniform(0.1, 1, (n_neurons, 1)) * u[rng.integers(2, size=n_neurons)]
    f = kw.ReLUNetwork(facing[:, None], -facing * place, V)
    plain = f.canonicalise(penalty)
    least = fewest_groups(plain, x)
    for n in range(1, plain.n_neurons + 1):
        if n < least:
            with pytest.raises(ValueError, match=f"at least {least} keep the data"):
                approach_optimum(f, x, n, penalty=penalty)
            continue
        one = approach_optimum(f, x, n, penalty=penalty)
        assert one.network.n_neurons <= n
        np.testing.assert_allclose(one.network.predict(x), f.predict(x), atol=1e-12)
        assert one.network.cost(penalty) == pytest.approx(plain.cost(penalty), rel=1e-12)
        assert (one.slope_error > 0) == (one.network.n_neurons < plain.n_neurons)


def test_too_few_neurons_are_refused_with_the_least_number():
    x, Y = runs(np.random.default_rng(1), 2, [4])
    _, f = smooth(x, Y, 30)
    with pytest.raises(ValueError, match="at least 3 keep the data"):
        approach_optimum(f, x, 2)
    assert approach_optimum(f, x, 3).network.n_neurons == 3


def test_penalised_biases_are_refused_as_one_bend_would_cost_less():
    """Jensen: sqrt(1 + xi^2) of the mean place is below the mean of it."""
    x, Y = parabola()
    _, f = smooth(x, Y, 30)
    decay = kw.Penalty(True, "frobenius")
    with pytest.raises(ValueError, match="cost less as one"):
        approach_optimum(f, x, 4, penalty=decay)
    few = approach_optimum(f, x, 4).network
    assert few.cost(decay) < f.cost(decay) - 1e-3


def test_bad_arguments_are_named():
    x, Y = parabola()
    solutions, f = smooth(x, Y, 4)
    with pytest.raises(TypeError, match="network"):
        approach_optimum("f", x, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one input"):
        approach_optimum(kw.ReLUNetwork([[1.0, 1.0]], [0.0], [[1.0]]), x, 3)
    with pytest.raises(ValueError, match="n_neurons"):
        approach_optimum(f, x, -1)
    with pytest.raises(ValueError, match="A: must be zero"):
        approach_optimum(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]], [[2.0]]), x, 3, penalty=NONE)
    with pytest.raises(ValueError, match="n_pieces"):
        smooth_optimum(solutions, 1)
    with pytest.raises(TypeError, match="SolutionSet"):
        smooth_optimum((x, Y), 10)  # type: ignore[arg-type]
