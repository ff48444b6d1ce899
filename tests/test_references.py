"""The oracles agree with each other and with what was solved by hand, without the library."""

from __future__ import annotations

import numpy as np
import pytest
from problems import CATALOGUE
from references import (
    conic_dictionary_optimum,
    conic_optimum,
    dense_dual_value,
    dense_loss,
    dense_potential,
    label_weights,
    random_data,
    second_differences,
)


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_hand_solved_dual_points_are_feasible_and_optimal(known):
    x, radius = known.X, known.lam if known.lam > 0 else 1.0
    assert np.allclose(known.alpha.sum(axis=0), 0, atol=1e-12)
    assert np.allclose(x @ known.alpha, 0, atol=1e-12)
    assert np.all(known.alpha[label_weights(known.Y, known.weight) == 0] == 0)
    assert np.linalg.norm(dense_potential(x, known.alpha, x), axis=1).max() <= radius + 1e-12
    dual = dense_dual_value(known.Y, known.alpha, known.lam, known.weight)
    assert dual == pytest.approx(known.optimum, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(
    "known", [known for known in CATALOGUE if known.fitted is not None], ids=lambda known: known.name
)
def test_hand_solved_fits_cost_the_optimum(known):
    x, first = np.unique(known.X, return_index=True)
    bends = np.linalg.norm(second_differences(x) @ known.fitted[first], axis=1).sum()
    value = bends
    if known.lam > 0:
        value = known.lam * bends + dense_loss(known.Y, known.fitted, known.weight)
    assert value == pytest.approx(known.optimum, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_conic_optimum_finds_the_hand_solved_optimum(known):
    found = conic_optimum(known.X, known.Y, known.lam, known.weight)
    assert found.primal == pytest.approx(known.optimum, rel=1e-9, abs=1e-9)
    assert found.dual == pytest.approx(known.optimum, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_further_knot_or_left_facing_neuron_helps(seed):
    rng = np.random.default_rng(seed)
    data = random_data(
        rng, 15, 2, ["random", "log-normal"][seed % 2], gaps=0.2 * (seed // 2), weights="labels"
    )
    inputs = np.unique(data.X)
    knots = np.concatenate([inputs, rng.uniform(-0.5, 1.5, 10)])
    values = conic_optimum(data.X, data.Y, 0.3, data.weight)
    network = conic_dictionary_optimum(data.X, data.Y, 0.3, knots, data.weight)
    assert network == pytest.approx(values.primal, rel=1e-9)
