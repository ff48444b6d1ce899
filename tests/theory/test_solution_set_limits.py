"""Solution sets where numbers are large, small, close, missing, or wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_objective
from references_ranges import runs, with_missing

import knotwork as kw

nan = float("nan")


def set_of(x, Y, lam=0.0, tol=1e-10):
    found = kw.uniqueness(kw.solve(kw.Problem(x, Y, lam), tol=tol))
    assert found.solution_set is not None, found.reason
    return found.solution_set


@pytest.mark.parametrize("lam", [1e-3, 0.1, 10.0])
@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 4), st.sampled_from([0.0, 0.3, 0.6]))
def test_any_small_problem_has_a_set_of_optimal_members(lam, seed, n, n_tasks, missing):
    """Equal inputs, whole-number labels, tasks of one or two labels, weights of 0: all at once."""
    rng = np.random.default_rng(seed)
    x = rng.choice(np.linspace(0, 1, 7), n)
    Y = rng.integers(-3, 4, (n, n_tasks)) * 1.0
    Y[rng.uniform(size=Y.shape) < missing] = nan
    Y[0] = np.where(np.isnan(Y[0]), 1.0, Y[0])
    weight = rng.integers(0, 3, Y.shape) * 1.0
    weight[0] = 1.0
    problem = kw.Problem(x, Y, lam, sample_weight=weight)
    solution = kw.solve(problem)
    found = kw.uniqueness(solution)
    if found.unique is None:
        return
    solutions = found.solution_set
    assert found.unique is solutions.is_single
    places = np.linspace(-0.2, 1.2, 7)
    lower, upper = solutions.envelopes(places)
    for network in (solutions.sample(rng), solutions.sparsest()):
        assert dense_objective(x[:, None], Y, lam, network, weight) == pytest.approx(
            solution.certificate.primal, rel=1e-7, abs=1e-12
        )
        assert solutions.contains(network)
        assert (network.predict(places) >= lower - 1e-9).all()
        assert (network.predict(places) <= upper + 1e-9).all()


@pytest.mark.parametrize("scale", [1e-12, 1e9])
@pytest.mark.parametrize("gaps", [False, True])
def test_units_change_nothing(scale, gaps):
    rng = np.random.default_rng(4)
    x, Y = runs(rng, 2, [4, 2])
    if gaps:
        Y = with_missing(np.random.default_rng(5), x, Y)
    plain, scaled = set_of(x, Y), set_of(1e3 * x, scale * Y)
    assert plain.n_knots_min == scaled.n_knots_min
    at = np.linspace(x[0], x[-1], 21)
    for one, other in zip(plain.envelopes(at), scaled.envelopes(1e3 * at), strict=True):
        np.testing.assert_allclose(scale * one, other, atol=1e-8 * scale * np.nanmax(np.abs(Y)))
    assert scaled.contains(scaled.sample(0))


def test_close_inputs():
    x = np.array([0.0, 1.0, 1.0 + 1e-8, 2.0, 3.0])
    Y = np.array([0.0, 0.0, 1e-8, 2.0, 5.0])
    found = kw.uniqueness(x, Y)
    assert found.unique is False
    solutions = found.solution_set
    for network in [solutions.sample(seed) for seed in range(5)] + [solutions.sparsest()]:
        assert np.abs(network.predict(x)[:, 0] - Y).max() < 1e-9
        assert network.cost() == pytest.approx(solutions.cost, rel=1e-7)


def with_holes(rng, x):
    """Two noisy broken lines at x, a tenth of their labels missing."""
    Y = np.abs(x[:, None] - [0.3, 0.6]) * 10 + 0.3 * rng.standard_normal((len(x), 2))
    Y[rng.uniform(size=Y.shape) < 0.1] = nan
    return Y


def test_large_data_are_no_burden():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 1, 20_000))
    found = kw.uniqueness(x, rng.standard_normal((len(x), 2)))
    assert found.unique is True
    found = kw.uniqueness(kw.solve(gappy := kw.Problem(x[::20], with_holes(rng, x[::20]), 3.0)))
    assert found.unique is True
    assert gappy.objective(found.solution_set.sample(0)) == pytest.approx(
        kw.solve(gappy).certificate.primal, rel=1e-8
    )
    convex = kw.uniqueness(np.arange(2001.0), np.outer(np.arange(2001.0) ** 2, [1.0, -1.0]))
    assert convex.unique is False
    assert convex.solution_set.n_knots_min == 1000
    assert convex.solution_set.contains(convex.solution_set.sample(0))


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.sample("seed"), TypeError, "rng: must be"),
        (lambda s: s.sample(True), TypeError, "rng: must be"),
        (lambda s: s.envelopes([nan]), ValueError, "x: NaN"),
        (lambda s: s.envelopes(np.zeros((2, 2))), ValueError, "x: must have shape"),
        (lambda s: s.envelopes(["a"]), TypeError, "x: got an array of text"),
        (lambda s: s.contains(3), TypeError, "network: must be"),
        (lambda s: s.contains(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]])), ValueError, "network: maps 1 inputs"),
        (lambda s: s.contains(s.sample(0), tol=0), ValueError, "tol: must be"),
        (lambda s: s.contains(s.sample(0), tol="a"), TypeError, "tol: must be"),
    ],
)
def test_bad_arguments(call, error, message):
    solutions = set_of(*runs(np.random.default_rng(0), 2, [3]))
    with pytest.raises(error, match=message):
        call(solutions)


def test_the_set_is_read_only():
    solutions = set_of(*runs(np.random.default_rng(0), 2, [3]))
    for name in ("x", "values", "jump", "moves"):
        assert not getattr(solutions, name).flags.writeable
    with pytest.raises(AttributeError):
        solutions.x = np.zeros(3)
