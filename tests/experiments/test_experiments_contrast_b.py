from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

import knotwork as kw
from knotwork.experiments.contrast import FIXED, KERNELS, METHODS, _fit, tasks
from knotwork.experiments.experiment import Plan, Verdict


def test_fixed_kernels_decouple_tasks_and_trained_networks_do_not():
    result = quick_result("b-section-4")
    fixed, trained = claim(result, "fixed kernel"), claim(result, "however wide")
    assert (fixed.verdict, trained.verdict) == (Verdict.HOLDS, Verdict.HOLDS)
    assert fixed.values["largest"] <= 1e-12
    assert trained.values["least"] > 0.1
    assert trained.values["correlated"] > 0.1
    # the two change places
    turned = tampered(result, difference=lambda d: d[::-1])
    assert claim(turned, "fixed kernel").verdict is Verdict.FAILS
    assert claim(turned, "however wide").verdict is Verdict.FAILS
    assert {record.settings["missing"] for record in result.records} == {0.0, 0.3}
    assert len(FIXED) == len(KERNELS) + 2


def test_all_tasks_at_once_is_what_the_library_fits_task_by_task():
    """Two routes to one posterior: one system of all labels, and one per pattern of gaps."""
    X, Y, at = tasks(3, 25, 0.3)
    assert np.isnan(Y).any()
    for name in ("GP, NTK depth 3", "GP, RBF"):
        apart = kw.gaussian_process(X, Y, KERNELS[name], 0.05).predict(at)
        np.testing.assert_allclose(_fit(name, X, Y).predict(at), apart, atol=1e-11)
    problem = kw.Problem(X, Y, 0.05, penalty=kw.Penalty(True, "none"))
    features = kw.random_features(1, 20, random_state=0)
    ridge = kw.fit_random_features(features, problem).predict(at)
    np.testing.assert_allclose(_fit("random features, 20", X, Y).predict(at), ridge, atol=1e-10)
    assert len(METHODS) == len(set(METHODS))


def test_shared_kinks_cost_less_than_their_sum():
    result = quick_result("b-section-4")
    sums = claim(result, "not the sum over tasks")
    assert sums.verdict is Verdict.HOLDS
    # five tasks of equal size: between 1 and sqrt(5) times
    assert 1.0 < sums.values["least"] <= sums.values["most"] <= np.sqrt(5.0)
    for record in result.records:
        assert record.network("joint").cost(kw.Penalty(True, "none")) >= record.number("cost_joint") * (
            1 - 1e-9
        )
    apart = tampered(result, cost_each=lambda c: c * 0.3)
    assert claim(apart, "not the sum over tasks").verdict is Verdict.FAILS
    places = claim(result, "where others bend")
    assert places.verdict is Verdict.HOLDS
    assert places.values["joint"] < places.values["separate"]
    many = tampered(result, knots_joint=lambda k: np.tile(k, 9))
    assert claim(many, "where others bend").verdict is Verdict.FAILS


def test_a_task_with_few_labels_gains_where_others_bend_alike():
    result = quick_result("b-where-to-bend")
    (one,) = result.claims
    assert one.verdict is Verdict.HOLDS
    assert one.values["shared"] < one.values["alone"]
    assert one.values["shared"] < one.values["elsewhere"]
    assert tampered(result, joint=lambda j: 9.0 * j)[0].verdict is Verdict.FAILS


def test_correlated_processes_need_no_sign_where_they_are_fitted():
    result = quick_result("b-footnote-1")
    (one,) = result.claims
    assert one.verdict is Verdict.CORRECTED
    values = one.values
    assert values["told"] < values["fitted"] < 0.5 * values["alone"] < values["told_wrong_sign"]
    assert values["same"] <= 1e-12
    assert tampered(result, fitted=lambda f: 99.0 * f)[0].verdict is Verdict.HOLDS
    assert tampered(result, uncorrelated=lambda u: u + 1e-3)[0].verdict is Verdict.FAILS
    pieces = result.experiment.pieces(Plan(seeds=50))
    assert sum(piece["draws"] for piece in pieces) == 50


def test_kernels_are_those_of_wide_networks():
    result = quick_result("b-kernels")
    (one,) = result.claims
    assert one.verdict is Verdict.HOLDS
    assert 0.5 < one.values["off"] < 4.5
    assert one.values["wrong"] > 10.0
    assert tampered(result, off=lambda o: o + 5.0)[0].verdict is Verdict.FAILS
    # a test that could not tell a wrong kernel says nothing
    assert tampered(result, wrong=np.zeros_like)[0].verdict is Verdict.FAILS


def test_random_features_go_to_the_process():
    result = quick_result("b-remark-3-4")
    (one,) = result.claims
    assert one.verdict is Verdict.HOLDS
    assert one.values["slope"] == pytest.approx(-0.5, abs=0.2)
    assert one.values["last"] < 0.2 * one.values["trained"]
    assert tampered(result, distance=np.ones_like)[0].verdict is Verdict.FAILS


def test_mode_and_limit_are_of_two_priors():
    result = quick_result("b-section-2-1")
    mode, limit = claim(result, "maximum a posteriori"), claim(result, "do not exchange")
    assert (mode.verdict, limit.verdict) == (Verdict.HOLDS, Verdict.CORRECTED)
    assert mode.values["spread"] <= 1e-13
    assert limit.values["apart"] > 0.1
    assert limit.values["growth"] == pytest.approx(1.0, abs=0.1)
    assert limit.values["gone"] > 100
    assert claim(tampered(result, spread=lambda s: s + 1e-3), "posteriori").verdict is Verdict.FAILS
    kept = tampered(result, neurons=lambda n: n + 1)
    assert claim(kept, "do not exchange").verdict is Verdict.HOLDS
    process = result.records[0]["process"]
    assert len(process) == len(result.records[0]["grid"])
    same = tampered(result, mode=np.zeros_like, process=np.zeros_like)
    assert claim(same, "do not exchange").verdict is Verdict.FAILS


@pytest.mark.parametrize("name", ["b-section-4", "b-section-2-1", "b-footnote-1"])
def test_drawings(name, tmp_path):
    check_drawings(quick_result(name), [""], tmp_path)
