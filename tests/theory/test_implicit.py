"""Small starts without weight decay: what of "penalises biases too" holds, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.theory.implicit import _shifted, small_start_data, small_start_experiment

# the first is gap
GAP = 0


@pytest.fixture(scope="module")
def experiment():
    return small_start_experiment(small_start_data(8), scales=(1.0, 0.1, 0.01), n_seeds=1)


def test_the_oracles_of_gap_are_its_closed_forms(experiment):
    # |x - 1| by two neurons of norm sqrt(2); kinks at -1 and 3 cost sqrt(2) + sqrt(10)
    assert experiment.dots_ratio[GAP] == pytest.approx((1 + np.sqrt(5)) / 2, abs=1e-6)
    # both are least at every origin, so that moving the inputs moves them along
    assert experiment.penalised_moved[GAP] < 1e-6


def test_where_labels_are_met_no_network_is_cheaper_than_the_least(experiment):
    met = experiment.reached
    assert met.mean() > 0.7
    assert experiment.cost_ratio[met].min() > 1 - 2e-3
    assert experiment.free_cost_ratio[met].min() > 1 - 2e-3
    assert experiment.dots_ratio.min() > 1 - 1e-5


def test_on_gap_the_small_start_ends_at_the_penalised_interpolant_and_the_large_one_does_not(experiment):
    large, _, small = experiment.cost_ratio[:, GAP, 0]
    assert small < 1.01
    assert large > 10
    # an interpolant of least cost at free biases would be allowed this much
    assert experiment.dots_ratio[GAP] > 1.6
    assert experiment.free_cost_ratio[-1, GAP, 0] < 1.01
    assert experiment.to_penalised[-1, GAP, 0] < 0.1 < 0.5 < experiment.to_penalised[0, GAP, 0]
    assert experiment.to_dots[-1, GAP, 0] > 1.8


def test_on_random_data_the_cost_comes_near_the_least_but_the_function_is_another(experiment):
    ratio = experiment.median_cost_ratio
    assert ratio[0] > 10 > 1.5 > ratio[1] > ratio[2]
    assert ratio[2] < 1.1
    # not the optimum of B (7): most stay above it, and inputs moved do not move f as they move f_pen
    assert experiment.share_within(0.01)[-1] < 0.6
    assert experiment.share_within(0.1)[-1] > 0.6
    assert experiment.share_within(0.1)[0] == 0.0
    assert (experiment.penalised_moved > 0.05).sum() >= 2
    assert experiment.move_followed[-1] < 0.5


def test_what_descent_keeps_has_the_biases_in_it(experiment):
    with_biases, without = experiment.median_imbalance, experiment.median_weight_imbalance
    assert with_biases[-1] < 0.02 < 0.1 < without[-1]
    assert with_biases[0] > 0.3


def test_a_network_is_shifted_by_its_biases():
    network = kw.ReLUNetwork([[2.0], [-1.0]], [0.5, 1.0], [[1.0], [3.0]])
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(_shifted(network, 1.5).predict(x + 1.5), network.predict(x), atol=1e-14)


def test_moving_inputs_by_nothing_changes_nothing():
    data = small_start_data(0)
    rest = small_start_experiment(data, scales=(0.1,), n_seeds=2, steps=12_000, offset=0.0)
    assert rest.reached.all()
    assert not rest.moved.any()
    for name in ("moved_cost_ratio", "brought_back", "taken_there"):
        np.testing.assert_allclose(getattr(rest, name), rest.cost_ratio, rtol=1e-12)
    assert not rest.own_origin_cheaper.any()
    # what is moved there and back is what starts there
    aside = small_start_experiment(data, scales=(0.1,), n_seeds=2, steps=12_000, offset=1.0)
    turned = small_start_experiment(
        [(data[0][0] + 1.0, data[0][1])], scales=(0.1,), n_seeds=2, steps=12_000, offset=-1.0
    )
    assert not np.isnan(aside.moved).any()
    np.testing.assert_allclose(aside.brought_back, turned.taken_there, rtol=1e-9)
    np.testing.assert_allclose(aside.moved_cost_ratio, turned.cost_ratio, rtol=1e-9)
    assert not np.allclose(aside.brought_back, aside.moved_cost_ratio, rtol=0.05)


def test_runs_that_miss_their_labels_are_left_out():
    short = small_start_experiment(small_start_data(1), scales=(0.1,), n_seeds=1, steps=2)
    assert short.share_reached == [0.0]
    for name in ("median_cost_ratio", "moved", "own_origin_cheaper", "move_followed"):
        assert np.isnan(getattr(short, name)).all()
    assert short.share_within(10.0) == [0.0]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("scales", {"scales": ()}),
        ("scales", {"scales": (0.0,)}),
        ("n_seeds", {"n_seeds": 0}),
        ("width", {"width": 0}),
        ("steps", {"steps": -1}),
        ("offset", {"offset": np.inf}),
        ("data", {"data": []}),
        ("data", {"data": [([0.0, 1.0], [1.0, 1.0])]}),
        ("data", {"data": [([0.0, 1.0], [1.0, 2.0, 3.0])]}),
    ],
)
def test_errors_name_the_argument(name, change):
    given = {"data": small_start_data(0), "scales": (0.1,), "n_seeds": 1, "steps": 1} | change
    with pytest.raises(ValueError, match=f"^{name}: "):
        small_start_experiment(**given)
