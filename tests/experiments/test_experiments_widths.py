from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

from knotwork.experiments.experiment import Verdict


@pytest.fixture(scope="module")
def theorem():
    pytest.importorskip("jax")
    return quick_result("b-theorem-3-1")


def test_one_output_needs_no_more_neurons_than_data(theorem):
    one = claim(theorem, "one output")
    assert one.verdict is Verdict.HOLDS
    assert 0 <= one.values["excess"] <= 1e-5
    assert claim(tampered(theorem, excess=lambda e: e + 1.0), "one output").verdict is Verdict.OPEN


def test_several_outputs_need_more(theorem):
    several = claim(theorem, "several outputs")
    assert several.verdict is Verdict.CORRECTED
    assert several.values["enough"] == 7
    assert several.values["at_six"] >= 3e-4
    # seeds 0, 3, 5 of the tests of the theorem among them
    assert several.values["more"] >= 3
    assert several.values["draws"] >= 10
    assert several.values["simplex"] == 9
    vector, _, draws, simplex = theorem.records
    assert vector.number("bound") == 15
    assert simplex.number("bound") == 21
    assert simplex.number("rank") == 9
    assert simplex.number("gap") <= 1e-12
    assert draws["neurons"][0] == draws["neurons"][5] == 7
    # as the paper says, if five or six were always enough
    few = tampered(theorem, excess=lambda e: 0.0 * e, neurons=lambda n: np.minimum(n, 6))
    assert claim(few, "several outputs").verdict is Verdict.HOLDS
    assert claim(tampered(theorem, bound=lambda b: 0 * b), "several").verdict is Verdict.FAILS


def test_optima_of_many_neurons_are_approached():
    result = quick_result("b-equation-8")
    (one,) = result.claims
    assert one.verdict is Verdict.HOLDS
    assert one.values["slope"] == pytest.approx(-1.0, abs=0.25)
    assert one.values["value"] == pytest.approx(-2.0, abs=0.4)
    assert one.values["cost"] <= 1e-12
    for record in result.records:
        # the curve and its approach meet the labels
        for name in "fg":
            at = np.interp(record["x"], record["grid"], record[name][:, 0])
            np.testing.assert_allclose(at, record["Y"][:, 0], atol=2e-2)
        assert np.abs(record["f"] - record["g"]).max() > 1e-2
    for name, change in (
        ("slope_error", np.ones_like),
        ("cost_change", lambda c: c + 1e-3),
        ("split", lambda s: s + 1e-3),
    ):
        assert tampered(result, **{name: change})[0].verdict is Verdict.FAILS


def test_bottlenecks_as_narrow_as_the_data_are_enough_for_linear_act():
    result = quick_result("b-corollary-3-2")
    linear, relu = claim(result, "linear act"), claim(result, "ReLU between")
    assert (linear.verdict, relu.verdict) == (Verdict.HOLDS, Verdict.OPEN)
    assert linear.values["widest"] == 6
    assert linear.values["change"] <= 1e-12
    assert linear.values["risen"] <= 1.0 + 1e-12
    assert relu.values["moved"] > 0.1
    assert claim(tampered(result, change=lambda c: c + 1e-3), "linear act").verdict is Verdict.FAILS
    assert claim(tampered(result, risen=lambda r: r + 1.0), "linear act").verdict is Verdict.FAILS
    assert claim(tampered(result, after=lambda a: a + 1), "linear act").verdict is Verdict.FAILS
    assert claim(tampered(result, relu=np.zeros_like), "ReLU between").verdict is Verdict.HOLDS


def test_drawings(theorem, tmp_path):
    check_drawings(theorem, [""], tmp_path)
    check_drawings(quick_result("b-equation-8"), [""], tmp_path)
