"""Conversions: rescaled to balance, a network has one objective in two conventions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references_losses import loss_values, random_labels

import knotwork as kw
from knotwork import conversions

seeds = st.integers(0, 2**32 - 1)


def random_network(rng, d=2, T=3, K=4, skip=False):
    A = rng.standard_normal((d, T)) if skip else None
    parts = [rng.standard_normal(shape) for shape in ((K, d), (K,), (K, T))]
    return kw.ReLUNetwork(*parts, A, rng.standard_normal(T))


def random_labels_with_gaps(rng, n=7, T=3, gaps=0.0):
    Y = rng.standard_normal((n, T))
    Y[1:][rng.uniform(size=(n - 1, T)) < gaps] = np.nan
    return rng.standard_normal((n, 2)), Y


def squares(*parts):
    return sum(float(np.sum(part**2)) for part in parts)


@given(seeds, st.sampled_from(["all", "rows", "none"]), st.sampled_from([0.0, 0.4]))
def test_torch_weight_decay_is_ours_at_balance(seed, loss_mean, gaps):
    rng = np.random.default_rng(seed)
    X, Y = random_labels_with_gaps(rng, gaps=gaps)
    weight_decay = 10.0 ** rng.uniform(-4, 0)
    lam = kw.lam_from_weight_decay(weight_decay, Y, loss_mean=loss_mean)
    problem = kw.Problem(X, Y, lam, penalty=kw.Penalty(False, "none"))
    network = random_network(rng).balance(problem.penalty)
    error = (network.predict(X) - Y) ** 2
    n = {"all": np.sum(~np.isnan(Y)), "rows": np.sum(~np.isnan(Y).all(axis=1)), "none": 1}[loss_mean]
    theirs = np.nansum(error) / n + 0.5 * weight_decay * squares(network.W, network.V)
    assert problem.objective(network) == pytest.approx(0.5 * n * theirs, rel=1e-12)
    back = kw.weight_decay_from_lam(lam, problem, loss_mean=loss_mean)
    assert back == pytest.approx(weight_decay, rel=1e-14)


@given(seeds, st.sampled_from(["logistic", "poisson", "multinomial", "huber"]))
def test_other_losses_have_no_factor_one_half(seed, loss):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((7, 2))
    spec = ("huber", 1.0) if loss == "huber" else loss
    Y = random_labels(rng, spec, rng.standard_normal((7, 3)))
    lam = kw.lam_from_weight_decay(0.01, Y, loss=loss)
    problem = kw.Problem(X, Y, lam, loss, kw.Penalty(False, "none"))
    network = random_network(rng).balance(problem.penalty)
    n = 7 if loss == "multinomial" else 21
    total = float(np.sum(loss_values(spec, Y, network.predict(X))))
    theirs = total / n + 0.5 * 0.01 * squares(network.W, network.V)
    assert problem.objective(network) == pytest.approx(n * theirs, rel=1e-9)


@pytest.mark.parametrize("squared_error", ["whole", "half"])
@given(seed=seeds)
def test_lambdas_of_paper_a_are_ours_at_balance(squared_error, seed):
    rng = np.random.default_rng(seed)
    X, Y = random_labels_with_gaps(rng)
    network, penalty, lam = random_network(rng, skip=True), kw.Penalty(), 10.0 ** rng.uniform(-3, 1)
    factor = 1.0 if squared_error == "whole" else 0.5
    loss = factor * float(np.sum((network.predict(X) - Y) ** 2))
    balanced, unit = network.balance(penalty), network.canonicalise(penalty)
    in_two = loss + lam * squares(balanced.W, balanced.V)
    ours = kw.Problem(X, Y, conversions.lam_from_a2(lam, squared_error=squared_error))
    assert ours.objective(balanced) == pytest.approx(0.5 / factor * in_two, rel=1e-12)
    in_three = loss + lam * float(np.linalg.norm(unit.V, axis=1).sum())
    ours = kw.Problem(X, Y, conversions.lam_from_a3(lam, squared_error=squared_error))
    assert ours.objective(unit) == pytest.approx(0.5 / factor * in_three, rel=1e-9)


@given(seeds)
def test_lambda_of_paper_b_is_ours_at_balance(seed):
    rng = np.random.default_rng(seed)
    X, Y = random_labels_with_gaps(rng)
    penalty, lam = kw.Penalty(True, "none"), 10.0 ** rng.uniform(-3, 1)
    network = random_network(rng).balance(penalty)
    parameters = squares(network.W, network.b, network.V, network.c)
    theirs = float(np.sum((network.predict(X) - Y) ** 2)) + lam * parameters
    ours = kw.Problem(X, Y, conversions.lam_from_b(lam), penalty=penalty)
    assert ours.objective(network) == pytest.approx(0.5 * theirs, rel=1e-12)


def test_away_from_balance_squared_norms_charge_more():
    rng = np.random.default_rng(0)
    network = random_network(rng)
    stretched = kw.ReLUNetwork(3.0 * network.W, 3.0 * network.b, network.V / 3.0, network.A, network.c)
    for one in (network, stretched):
        assert 0.5 * squares(one.W, one.V) > one.cost(kw.Penalty(False, "none")) * 1.01


def test_labels_of_weight_zero_do_not_count():
    X, Y = np.arange(4.0), np.ones((4, 2))
    weight = np.array([2.0, 0.0, 1.0, 1.0])
    problem = kw.Problem(X, Y, 1.0, sample_weight=weight)
    assert kw.lam_from_weight_decay(1.0, problem) == 3.0
    assert kw.lam_from_weight_decay(1.0, problem, loss_mean="rows") == 1.5
    assert kw.lam_from_weight_decay(1.0, Y[:, 0]) == 2.0


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda Y: kw.lam_from_weight_decay(-1.0, Y), ValueError, "weight_decay"),
        (lambda Y: kw.lam_from_weight_decay(True, Y), TypeError, "weight_decay"),
        (lambda Y: kw.weight_decay_from_lam(float("nan"), Y), ValueError, "lam"),
        (lambda Y: kw.lam_from_weight_decay(1.0, Y, loss_mean="mean"), ValueError, "loss_mean"),
        (lambda Y: kw.lam_from_weight_decay(1.0, Y[None]), ValueError, "labels"),
        (lambda Y: kw.lam_from_weight_decay(1.0, Y * np.nan), ValueError, "labels"),
        (lambda Y: kw.lam_from_weight_decay(1.0, Y, loss=["squared", "huber"]), ValueError, "factor"),
        (lambda Y: conversions.lam_from_a3(1.0, squared_error="double"), ValueError, "squared_error"),
    ],
)
def test_arguments_that_make_no_sense_are_named(call, error, match):
    with pytest.raises(error, match=match):
        call(np.ones((3, 2)))
