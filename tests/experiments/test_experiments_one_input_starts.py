from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

from knotwork.experiments.catalogue import chosen
from knotwork.experiments.experiment import Plan, Verdict
from knotwork.experiments.one_input_starts import STARTS, main_pair


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("jax")
    return quick_result("a-figure-4")


def spreads(result):
    return [one for one in result.claims if one.says.startswith("trained on two tasks")]


def test_two_tasks_end_in_one_function_and_one_task_does_not(result):
    for one in spreads(result):
        assert one.verdict is Verdict.HOLDS
        assert one.values["ratio"] <= 1.0 / 100.0
        assert one.values["ratio converged"] <= 1e-4
        assert one.values["one task"] > 0.02
        assert one.values["off connect the dots"] < 1e-3
    assert len(spreads(result)) == 2


def test_the_spread_is_the_mean_l2_distance_to_the_mean_function(result):
    single, _ = main_pair(result.records, "all")
    values, grid = single.all("values"), single.records[0]["grid"]
    away = values - values.mean(axis=0)
    by_hand = np.sqrt(np.mean(away**2, axis=1) * (grid[-1] - grid[0]))
    np.testing.assert_allclose(single.spread, by_hand, rtol=0.02)
    corners = single.records[0]["corner x"], single.records[0]["corner y"]
    for row, (x, y) in enumerate(zip(*corners, strict=True)):
        np.testing.assert_allclose(np.interp(grid, x, y), values[row], atol=1e-9)


def test_learned_functions_are_solutions_of_one_cost(result):
    different = claim(result, "different interpolants")
    assert different.verdict is Verdict.HOLDS
    assert different.values["least apart"] > 0.01
    assert different.values["outside"] <= 1e-5
    cost = claim(result, "representational cost")
    assert cost.verdict is Verdict.HOLDS
    assert cost.values["all"] <= 1e-6
    single, double = main_pair(result.records, "all")
    assert max(single.all("gap").max(), double.all("gap").max()) <= 1e-5
    assert len(single.all("gap")) >= STARTS


def test_a_large_learning_rate_ends_in_the_fewest_knots(result):
    bias = claim(result, "no bias")
    assert bias.verdict is Verdict.CORRECTED
    assert bias.values["fewest knots, kaiming_uniform at rate 0.1"] == 1.0
    assert bias.values["fewest knots, kaiming_uniform at rate 0.03"] <= 0.5
    assert claim(tampered(result, knots=lambda knots: knots + 5), "no bias").verdict is Verdict.HOLDS


def test_verdicts_follow_the_numbers(result):
    # every start ends in the same function
    same = tampered(result, values=lambda values: values[:1] + 0.0 * values)
    assert claim(same, "different interpolants").verdict is Verdict.FAILS
    assert {one.verdict for one in same if one.says.startswith("trained on two tasks")} == {Verdict.FAILS}
    rng = np.random.default_rng(0)
    apart = tampered(result, values=lambda values: values + 0.1 * rng.standard_normal((len(values), 1)))
    assert claim(apart, "different interpolants").verdict is Verdict.FAILS
    assert {one.verdict for one in apart if one.says.startswith("trained on two tasks")} == {Verdict.FAILS}
    assert claim(apart, "whatever the random labels").verdict is Verdict.CORRECTED
    several = tampered(result, unique=lambda unique: unique & False)
    assert claim(several, "whatever the random labels").verdict is Verdict.FAILS
    dearer = tampered(result, cost=lambda cost: cost * (1.0 + 1e-3 * np.arange(len(cost))))
    assert claim(dearer, "representational cost").verdict is Verdict.FAILS


def test_pieces_cover_the_seeds_once():
    (experiment,) = chosen(["a-figure-4"])
    for plan, n in ((Plan(), 100), (Plan(seeds=60), 60), (Plan(quick=True), 4), (Plan(seeds=1), STARTS)):
        for tasks in (1, 2):
            seeds = [
                seed
                for piece in experiment.pieces(plan)
                if (piece["tasks"], piece["reading"], piece["rate"], piece["initialisation"], piece["second"])
                == (tasks, "all", 0.03, "kaiming_uniform", 0)
                for seed in range(*piece["seeds"])
            ]
            assert seeds == list(range(n))


def test_pictures(result, tmp_path):
    check_drawings(result, ["A 4"], tmp_path)
