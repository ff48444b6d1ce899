"""Initialisations do what their names say, seed by seed."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.train._model import to_network
from knotwork.train.initialisation import SCHEMES, initial_parameters

D, T, K = 3, 2, 400


def problem_of(skip="free", biases=False):
    rng = np.random.default_rng(0)
    return kw.Problem(
        rng.standard_normal((10, D)), rng.standard_normal((10, T)), 0.1, penalty=kw.Penalty(biases, skip)
    )


def of(name, problem, seeds=(0,)):
    return initial_parameters(problem, K, list(seeds), name)


def test_kaiming_uniform_has_the_ranges_of_nn_linear():
    p = of("kaiming_uniform", problem_of(), range(50))
    for name, bound in (("W", D), ("b", D), ("V", K), ("c", K), ("A", D)):
        part, bound = np.abs(p[name]), 1 / np.sqrt(bound)
        assert part.max() <= bound
        assert part.max() > 0.9 * bound
        assert part.mean() == pytest.approx(bound / 2, rel=0.1)


@pytest.mark.parametrize(
    ("name", "first", "second", "skip"),
    [("kaiming_normal", 2 / D, 2 / K, 2 / D), ("xavier_normal", 2 / (D + K), 2 / (K + T), 2 / (D + T))],
)
def test_normal_schemes_have_their_variances(name, first, second, skip):
    p = of(name, problem_of(), range(100))
    for part, variance in (("W", first), ("V", second), ("A", skip)):
        assert np.mean(p[part] ** 2) == pytest.approx(variance, rel=0.15)
    assert not p["b"].any()
    assert not p["c"].any()


@pytest.mark.parametrize("biases", [False, True])
def test_data_kinks_pass_through_data_in_balance(biases):
    problem = problem_of("none", biases)
    network = to_network({name: part[0] for name, part in of("data_kinks", problem).items()})
    kinks = np.abs(network.W @ problem.X.T + network.b[:, None]).min(axis=1)
    assert kinks.max() < 1e-12
    ins = np.column_stack([network.W, network.b]) if biases else network.W
    np.testing.assert_allclose(np.linalg.norm(ins, axis=1), np.linalg.norm(network.V, axis=1), rtol=1e-12)
    np.testing.assert_allclose(network.c, problem.free_fit().c, rtol=1e-12)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_seed_depends_on_no_other_seed(name):
    problem = problem_of()
    three, one = of(name, problem, (4, 5, 6)), of(name, problem, (6,))
    for part in one:
        np.testing.assert_array_equal(three[part][2], one[part][0])
        if part in ("W", "V"):
            assert not np.array_equal(three[part][0], three[part][1])


@pytest.mark.parametrize("skip", ["free", "none", "frobenius", "nuclear"])
def test_a_network_is_padded_and_comes_back(skip):
    rng = np.random.default_rng(0)
    problem = problem_of(skip, skip in ("frobenius", "nuclear"))
    A = None if skip == "none" else rng.standard_normal((D, T))
    network = kw.ReLUNetwork(
        rng.standard_normal((4, D)), rng.standard_normal(4), rng.standard_normal((4, T)), A, [1.0, 2.0]
    )
    p = initial_parameters(problem, 6, [0, 1], network)
    back = to_network({name: part[1] for name, part in p.items()})
    assert p["W"].shape == (2, 6, D)
    np.testing.assert_allclose(back.predict(problem.X), network.predict(problem.X), rtol=1e-12)
    assert back.cost(problem.penalty) == pytest.approx(network.cost(problem.penalty), rel=1e-12)


def test_what_cannot_start_is_named():
    problem = problem_of("none")
    small = kw.ReLUNetwork(np.ones((2, D)), np.zeros(2), np.ones((2, T)))
    linear = kw.ReLUNetwork(np.ones((2, D)), np.zeros(2), np.ones((2, T)), np.ones((D, T)))
    for start, error, match in (
        ("zeros", ValueError, "choose one of kaiming_uniform"),
        ([small], TypeError, "2 networks"),
        (3.0, TypeError, "2 networks"),
        (linear, ValueError, "A must be zero"),
        (kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), ValueError, "inputs"),
    ):
        with pytest.raises(error, match=match):
            initial_parameters(problem, 3, [0, 1], start)
    with pytest.raises(ValueError, match="more than width = 1"):
        initial_parameters(problem, 1, [0], small)
