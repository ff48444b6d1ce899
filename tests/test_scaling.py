from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.scaling import TaskScaling


def labels(rng):
    Y = rng.standard_normal((40, 3)) * [1e-3, 1.0, 1e6] + [5.0, 0.0, -1e7]
    Y[3, 0] = Y[7:20, 2] = np.nan
    return Y


def network(rng):
    return kw.ReLUNetwork(
        rng.standard_normal((4, 1)),
        rng.standard_normal(4),
        rng.standard_normal((4, 3)),
        rng.standard_normal((1, 3)),
        rng.standard_normal(3),
    )


def test_mean_and_population_deviation_without_the_missing():
    Y = labels(np.random.default_rng(0))
    scaling = TaskScaling.of(Y)
    np.testing.assert_allclose(scaling.centre, np.nanmean(Y, axis=0), rtol=1e-13)
    np.testing.assert_allclose(scaling.scale, np.nanstd(Y, axis=0), rtol=1e-9)


def test_applied_labels_are_standard_and_stay_missing():
    Y = labels(np.random.default_rng(1))
    scaled = TaskScaling.of(Y).apply(Y)
    assert np.array_equal(np.isnan(scaled), np.isnan(Y))
    np.testing.assert_allclose(np.nanmean(scaled, axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.nanstd(scaled, axis=0), 1.0, rtol=1e-9)


@pytest.mark.parametrize("value", [0.1, -3e7, 1e-300, 0.0])
def test_constant_labels_have_scale_one(value):
    # the mean of equal numbers can miss them by a rounding error
    scaling = TaskScaling.of(np.full((3, 1), value))
    assert scaling.centre[0] == value
    assert scaling.scale[0] == 1.0


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_extreme_labels(size):
    Y = np.array([-1.0, 0.5, 1.7])[:, None]
    scaling = TaskScaling.of(Y * size)
    np.testing.assert_allclose(scaling.scale, Y.std() * size, rtol=1e-13)
    np.testing.assert_allclose(scaling.apply(Y * size), (Y - Y.mean()) / Y.std(), rtol=1e-12)


def test_a_network_goes_to_data_units_and_back():
    rng = np.random.default_rng(2)
    net, x = network(rng), rng.standard_normal(50)
    scaling = TaskScaling([5.0, 0.0, -1e3], [1e-3, 1.0, 1e4])
    there = scaling.to_data_units(net)
    np.testing.assert_allclose(there.predict(x), net.predict(x) * scaling.scale + scaling.centre, rtol=1e-12)
    np.testing.assert_allclose(scaling.to_task_units(there).predict(x), net.predict(x), atol=1e-11)


def test_the_objective_moves_with_the_labels():
    rng = np.random.default_rng(3)
    x, Y, net = rng.standard_normal(40), labels(rng), network(rng)
    scaling = TaskScaling.of(Y)
    residual = (Y - scaling.to_data_units(net).predict(x)) / scaling.scale
    problem = kw.Problem(x, scaling.apply(Y), 0.3)
    expected = 0.5 * np.nansum(residual**2) + 0.3 * net.cost()
    np.testing.assert_allclose(problem.objective(net), expected, rtol=1e-9)


def test_none_changes_nothing():
    Y = labels(np.random.default_rng(4))
    np.testing.assert_array_equal(TaskScaling.none(3).apply(Y), Y)


def test_refusals():
    with pytest.raises(ValueError, match="column 1 has no label"):
        TaskScaling.of([[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(ValueError, match="must be positive"):
        TaskScaling([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        TaskScaling([0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="infinite"):
        TaskScaling.of([[1.0], [np.inf]])
    with pytest.raises(ValueError, match="Y: has 2 tasks"):
        TaskScaling.none(3).apply(np.ones((4, 2)))
    with pytest.raises(ValueError, match="network: has 3 tasks"):
        TaskScaling.none(2).to_data_units(network(np.random.default_rng(5)))
