from __future__ import annotations

import numpy as np
import pytest
from loss_problems import few_neurons, random_case, random_network, smooth_of
from references_losses import PENALTIES

import knotwork as kw
from knotwork.penalty import Penalty
from knotwork.solvers.polish import polish


@pytest.mark.parametrize("weights", [None, "rows"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_same_neurons_and_no_direction_of_their_weights_descends(penalty, weights):
    case = random_case(44, "multinomial", penalty, 30, 0.02, 0.2, weights)
    smooth = smooth_of(case)
    network = few_neurons(case)
    before, polished = case.objective(network), network
    for _ in range(6):
        polished = polish(smooth, polished)
    after = case.objective(polished)
    assert after < before
    start = network.canonicalise(Penalty(*penalty))
    assert np.array_equal(polished.W, start.W)
    assert np.array_equal(polished.b, start.b)
    # finite differences of the textbook's objective in every weight
    h, parts = 1e-5, {"V": polished.V, "c": polished.c[None]}
    if penalty[1] != "none":
        parts["A"] = polished.A
    # a neuron may vanish, where its norm has a kink
    alive = np.linalg.norm(polished.V, axis=1) > 0.01
    assert alive.sum() >= 2
    for name, array in parts.items():
        for i, t in np.ndindex(array.shape):
            if name == "V" and not alive[i]:
                continue
            moved = []
            for sign in (1.0, -1.0):
                new = {key: value.copy() for key, value in parts.items()}
                new[name][i, t] += sign * h
                V, c = new["V"], new["c"][0]
                moved.append(
                    case.objective(kw.ReLUNetwork(polished.W, polished.b, V, new.get("A", polished.A), c))
                )
            assert abs(moved[0] - moved[1]) / (2 * h) <= 1e-3 * after


@pytest.mark.parametrize("penalty", [(False, "free"), (True, "none")])
def test_never_worse(penalty):
    case = random_case(41, "multinomial", penalty, 20, 0.1)
    smooth, rng = smooth_of(case), np.random.default_rng(1)
    for size in (1e-3, 1.0, 30.0):
        network = random_network(rng, case, 4, size)
        assert case.objective(polish(smooth, network)) <= case.objective(network) * (1 + 1e-12)
    best = kw.solve(case.problem)
    assert case.objective(polish(smooth, best.network)) <= best.certificate.primal * (1 + 1e-12)


@pytest.mark.parametrize("spec", ["logistic", "poisson"])
def test_losses_that_join_no_tasks_need_none(spec):
    case = random_case(42, spec, (False, "none"))
    network = random_network(np.random.default_rng(2), case)
    assert polish(smooth_of(case), network) is network


def test_a_skip_connection_of_zero_stays_zero_under_a_nuclear_norm():
    case = random_case(43, "multinomial", (True, "nuclear"), 20, 0.05)
    network = few_neurons(case)
    network = kw.ReLUNetwork(network.W, network.b, network.V, None, network.c)
    polished = polish(smooth_of(case), network)
    assert not polished.A.any()
    assert case.objective(polished) < case.objective(network)
