from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loss_problems import inner_of, name_of, random_case, random_network, smooth_of
from references_losses import PENALTIES

import knotwork as kw
from knotwork.penalty import Penalty
from knotwork.solvers.proximal_newton import mixture, newton

SMOOTH = [("huber", 0.4), "logistic", "poisson", ["squared", "logistic"]]
KINDS = [(False, "free"), (False, "none"), (True, "nuclear")]


@pytest.mark.parametrize("penalty", KINDS)
@pytest.mark.parametrize("spec", ["logistic", "poisson", ["squared", ("huber", 0.4)]], ids=name_of)
def test_every_step_descends_to_the_optimum(spec, penalty):
    case = random_case(20, spec, penalty, 16, 0.1, 0.2)
    best, seen = kw.solve(case.problem).certificate, []

    def step_done(now):
        seen.append(now)
        return now.promised <= 1e-10 * now.objective

    smooth = smooth_of(case)
    last = newton(smooth, inner_of(case), smooth.free_fit(), 1e-10, step_done)
    values = np.array([one.objective for one in seen])
    assert np.all(np.diff(values) <= 1e-12 * values[:-1])
    for one in seen:
        assert one.objective == pytest.approx(case.objective(one.network), rel=1e-10)
        np.testing.assert_allclose(one.fitted, one.network.predict(smooth.X), atol=1e-9)
    assert last.objective == pytest.approx(best.primal, rel=1e-7)
    # quadratic in the end: few steps
    assert len(seen) <= 40


@pytest.mark.parametrize("penalty", KINDS)
def test_a_squared_loss_is_its_own_model(penalty):
    case = random_case(21, ("huber", 1e6), penalty, 16, 0.1)
    smooth, seen = smooth_of(case), []
    last = newton(
        smooth, inner_of(case), smooth.free_fit(), 1e-9, lambda now: seen.append(now) or len(seen) == 4
    )
    assert last.objective == pytest.approx(kw.solve(case.problem).certificate.primal, rel=1e-6)


@pytest.mark.parametrize("spec", SMOOTH, ids=name_of)
def test_the_loss_is_the_textbook_one(spec):
    case = random_case(22, spec, (True, "none"), gaps=0.2, weights="labels")
    smooth = smooth_of(case)
    network = random_network(np.random.default_rng(0), case)
    value = smooth.loss_at(network.predict(smooth.X)) + case.lam * network.cost(smooth.penalty)
    assert value == pytest.approx(case.objective(network), rel=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(PENALTIES), st.floats(0.0, 1.0))
def test_a_mixture_is_between_its_parts(seed, penalty, share):
    rng = np.random.default_rng(seed)
    case = random_case(23, "squared", penalty)
    one, other = random_network(rng, case, 3), random_network(rng, case, 2)
    # a neuron in common
    other = kw.ReLUNetwork(
        np.concatenate([one.W[:1], other.W]),
        np.concatenate([one.b[:1], other.b]),
        np.concatenate([one.V[:1] * 2.0, other.V]),
        other.A,
        other.c,
    )
    mixed = mixture(one, other, share, Penalty(*penalty))
    x = np.linspace(-3.0, 3.0, 41)
    expected = (1 - share) * one.predict(x) + share * other.predict(x)
    np.testing.assert_allclose(mixed.predict(x), expected, atol=1e-11)
    a, b = one.cost(Penalty(*penalty)), other.cost(Penalty(*penalty))
    assert mixed.cost(Penalty(*penalty)) <= (1 - share) * a + share * b + 1e-11
    assert mixed.n_neurons <= 5


def test_no_step_is_taken_from_the_optimum():
    case = random_case(24, "logistic", (False, "free"), 20)
    solution, seen = kw.solve(case.problem, tol=1e-10), []
    last = newton(
        smooth_of(case),
        inner_of(case),
        solution.network,
        1e-10,
        lambda now: bool(seen.append(now)) or len(seen) > 5,
    )
    assert last.objective == pytest.approx(solution.certificate.primal, rel=1e-9)
