from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import claim, quick_result, tampered

import knotwork as kw
from knotwork.deep.periodic import periodic_tasks
from knotwork.experiments.catalogue import chosen
from knotwork.experiments.experiment import Plan, Verdict
from knotwork.experiments.periodic import _kinks, best_joint, data_of, single_error, stacks_of
from knotwork.report.drawing import drawings
from knotwork.report.svg import smaller


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("jax")
    pytest.importorskip("sklearn")
    return quick_result("b-figures-7-8")


def test_a_period_is_found_and_a_shift_that_is_none_is_seen(result):
    found = claim(result, "finds a periodic representation")
    assert found.verdict is Verdict.HOLDS
    assert found.values["share"] >= 0.75
    assert found.values["worst"] <= 0.15
    assert claim(tampered(result, shift_error=lambda e: e + 0.2), "finds a periodic").verdict is Verdict.FAILS


def test_the_joint_network_is_far_below_what_has_no_representation(result):
    helps = claim(result, "helps all seven")
    assert helps.verdict is Verdict.HOLDS
    assert helps.values["ratio"] <= 0.1
    record = best_joint(result.records, 0)
    data, network = data_of(record), stacks_of(record)
    # by hand, on other inputs
    x = np.linspace(*data.hull, 777)[:, None]
    by_hand = np.mean((network.predict(x) - data.truth(x)) ** 2)
    assert helps.values["error"] == pytest.approx(by_hand, rel=0.05)
    np.testing.assert_array_equal(data.Y, periodic_tasks(0).Y)
    worse = tampered(result, error=lambda e: 20.0 * e if len(e) == 4 else e)
    assert claim(worse, "helps all seven").verdict is Verdict.FAILS


def test_the_others_make_a_task_better(result):
    better = claim(result, "learns a task better")
    assert better.verdict is Verdict.HOLDS
    task_error = best_joint(result.records, 0)["task_error"]
    assert better.values["ratio"] == pytest.approx(task_error[0] / single_error(result.records, 0))
    assert claim(tampered(result, task_error=lambda e: 9.0 * e), "learns a task").verdict is Verdict.FAILS


def test_what_is_not_so_is_said(result):
    beyond = claim(result, "goes on where there are no data")
    assert beyond.verdict is Verdict.FAILS
    assert beyond.values["beyond"] > 10.0 * beyond.values["inside"]
    assert claim(tampered(result, beyond=np.zeros_like), "goes on").verdict is Verdict.HOLDS
    best = claim(result, "best predictor")
    assert best.verdict is Verdict.FAILS
    assert best.values["most"] > 1.0
    same = tampered(result, objective=lambda o: np.sort(o), error=np.sort)
    assert claim(same, "best predictor").verdict is Verdict.HOLDS


def test_the_mass_of_a_kink_is_that_of_the_slope(result):
    mass = claim(result, "second derivative")
    assert mass.verdict is Verdict.CORRECTED
    assert mass.values["off"] <= 1e-6
    assert mass.values["wrong"] == mass.values["left"] > 0
    # one neuron facing left and one right
    stack = kw.ReLUNetwork([[-2.0], [3.0]], [1.0, 3.0], [[0.5], [1.0]])
    rows = _kinks(stack)
    np.testing.assert_allclose(rows[:, :2], [[3.0, 3.0], [1.0, 1.0]], rtol=1e-9)
    np.testing.assert_allclose(rows[:, 2:], [[3.0, 0.0], [-1.0, 1.0]], rtol=1e-12)
    right = tampered(result, kinks=lambda k: k[:, [0, 1, 1, 3]])
    assert claim(right, "second derivative").verdict is Verdict.HOLDS


def test_the_chain_of_trained_stacks_descends(result):
    chain = claim(result, "half the squares")
    assert chain.verdict is Verdict.HOLDS
    assert 0.3 < chain.values["bound"] < chain.values["function"] <= 1.0
    assert claim(tampered(result, chain=lambda c: c[:, ::-1]), "half the squares").verdict is Verdict.FAILS


def test_figures_7_and_8_are_drawn(result, tmp_path):
    found = drawings(result)
    assert [one.of for one in found] == ["B 7", "B 8", ""]
    for one in found:
        place = tmp_path / "figure.svg"
        one.figure.savefig(place)
        assert len(smaller(place.read_text())) <= 120_000
    # seven tasks and the third stack
    assert sum(panel.get_title(loc="left").startswith("task") for panel in found[1].figure.axes) == 7


def test_a_full_run_trains_forty_starts_in_blocks():
    (experiment,) = chosen(["b-figures-7-8"])
    pieces = experiment.pieces(Plan())
    joint = [one for one in pieces if one["part"] == "joint" and one["period"] == 1.0]
    assert [start for one in joint if one["data"] == 0 for start in one["starts"]] == list(range(40))
    assert sum(one["chain"] for one in pieces if one["part"] == "joint") == 2
    assert sum(one["part"] == "single" for one in pieces) == 14
    assert len(experiment.pieces(Plan(seeds=3))) == 39
    quick = [one["part"] for one in experiment.pieces(Plan(quick=True))]
    assert quick == ["joint", "single", "others", "joint"]
