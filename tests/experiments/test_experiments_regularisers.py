from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

import knotwork as kw
from knotwork.experiments.cost_chain import chain_arrays
from knotwork.experiments.experiment import Verdict
from knotwork.experiments.free_biases import _faced
from knotwork.experiments.regularisers import normal_network


def test_the_integral_counts_twice():
    result = quick_result("b-equation-7")
    factor = claim(result, "weight decay on all parameters")
    assert factor.verdict is Verdict.CORRECTED
    assert factor.values["factor"] == pytest.approx(2.0, rel=1e-12)
    assert factor.values["linear"] == pytest.approx(2.0, rel=1e-12)
    # x = 0, y = 3, lam = .1: c = 1; (4) is .05^2 + .1 (2 * 2.45 + .25) where c = 1/2, .49 at c = 1
    assert factor.values["c"] == pytest.approx(1.0, abs=1e-6)
    assert factor.values["excess"] == pytest.approx(0.05**2 + 0.1 * (2 * 2.45 + 0.25) - 0.49, abs=1e-9)
    assert factor.values["printed"] == pytest.approx(0.5, abs=1e-4)
    once = {"ratio": lambda r: r / 2, "c": lambda c: np.minimum(c, 0.5)}
    assert claim(tampered(result, **once), "weight decay").verdict is Verdict.HOLDS
    assert claim(tampered(result, ratio=lambda r: 1.5 * r), "weight decay").verdict is Verdict.FAILS
    shape = claim(result, "the linear map")
    assert shape.verdict is Verdict.CORRECTED
    assert (shape.values["printed"], shape.values["turned"]) == (4, 16)
    assert claim(tampered(result, as_map=np.ones_like), "the linear map").verdict is Verdict.HOLDS


def test_the_last_bias_matters_under_4_and_is_at_most_one():
    result = quick_result("b-footnote-4")
    footnote = claim(result, "last layer's bias")
    assert footnote.verdict is Verdict.CORRECTED
    assert footnote.values["with_c"] == pytest.approx(0.05 / 1.1, rel=1e-9)
    assert footnote.values["response"] == pytest.approx(0.05, rel=1e-9)
    assert claim(tampered(result, f_with_c=np.zeros_like), "last layer").verdict is Verdict.HOLDS
    assert claim(tampered(result, far_cost=np.ones_like), "last layer").verdict is Verdict.FAILS
    size = claim(result, "|c| <= 1")
    assert size.verdict is Verdict.HOLDS
    assert size.values["largest"] == pytest.approx(1.0, abs=1e-4)
    assert claim(tampered(result, sizes=lambda c: 1.1 * c), "|c| <= 1").verdict is Verdict.FAILS


def test_lams_without_neurons_are_no_half_line():
    result = quick_result("b-footnote-4")
    line = claim(result, "at any larger lambda")
    assert line.verdict is Verdict.FAILS
    np.testing.assert_array_equal(result.records[0]["spared"] > 1e-7, [False, True, True, True, True, False])
    assert claim(tampered(result, spared=lambda s: np.sort(s)[::-1]), "larger").verdict is Verdict.HOLDS


def test_the_minimum_is_an_infimum_and_its_closure_is_local():
    result = quick_result("b-footnote-10")
    (one,) = result.records
    # |3 - c| twice, and c^2 / 2, at c = 2; by one neuron once, at c = 1
    np.testing.assert_allclose(one["pairs"], 2.0 + 2.0 * np.sqrt(1.0 + one["reach"] ** -2.0), rtol=1e-9)
    np.testing.assert_allclose(one["single"], 2.5, rtol=1e-12)
    assert one.number("bound") == pytest.approx(2.5, rel=1e-9)
    infimum, closure = claim(result, "minimum over"), claim(result, "W^{1,1}")
    assert infimum.verdict is closure.verdict is Verdict.CORRECTED
    assert infimum.values["last"] == pytest.approx(4.0, abs=1e-6)
    assert claim(tampered(result, pairs=np.ones_like), "minimum over").verdict is Verdict.HOLDS
    assert claim(tampered(result, far=lambda far: 0.0 * far), "W^{1,1}").verdict is Verdict.HOLDS


def test_10_is_for_one_output():
    result = quick_result("b-equation-10")
    one, several = claim(result, "one output"), claim(result, "several outputs")
    assert (one.verdict, several.verdict) == (Verdict.HOLDS, Verdict.CORRECTED)
    assert one.values["off"] <= 1e-9
    assert several.values["crossed"] == pytest.approx(np.sqrt(2.0), rel=1e-9)
    assert several.values["mended"] <= 1e-9
    assert several.values["outside"] > 1e-5
    assert claim(tampered(result, one_output=lambda o: o + 1e-3), "one output").verdict is Verdict.FAILS
    larger = np.maximum(1.0, result.records[0]["sums"])[:, None]
    as_printed = tampered(result, measured=lambda m: np.broadcast_to(larger, m.shape))
    assert claim(as_printed, "several outputs").verdict is Verdict.HOLDS
    assert claim(tampered(result, inside=lambda i: i + 1), "several outputs").verdict is Verdict.FAILS


def test_the_faced_function_has_the_slopes_asked_for():
    rng = np.random.default_rng(0)
    at, jump, slopes = rng.standard_normal(3), rng.standard_normal((3, 2)), rng.standard_normal(2)
    net = _faced(at, jump, slopes)
    far = np.array([-101.0, -100.0, 100.0, 101.0])
    f = net.predict(far)
    np.testing.assert_allclose(f[1] - f[0] + f[3] - f[2], slopes, atol=1e-9)
    # its linear part has no bend
    near = net.predict(np.array([-1e-3, 0.0, 1e-3]))
    assert np.abs(at).min() > 1e-3
    np.testing.assert_allclose(near[0] - 2 * near[1] + near[2], 0.0, atol=1e-12)


def test_the_chain_of_random_stacks_descends():
    result = quick_result("b-p-chain")
    (chain,) = result.claims
    assert chain.verdict is Verdict.HOLDS
    values = chain.values
    assert 1 > values["balanced"] > values["merged"] > values["function"] > values["bound"] > 0
    assert np.isnan(result.records[0]["chain"][:, 3]).any()
    for k in range(4):
        order = [*range(k), k + 1, k, *range(k + 2, 5)]
        assert tampered(result, chain=lambda c, o=order: c[:, o])[0].verdict is Verdict.FAILS
    net = normal_network(np.random.default_rng(0), 3, 2, 2, "none")
    assert not net.A.any()
    arrays = chain_arrays(kw.stack_costs(kw.StackedNetwork((net,)), np.eye(2)))
    assert np.shape(arrays["chain"]) == (1, 5)


@pytest.mark.parametrize("name", ["b-equation-7", "b-equation-10", "b-p-chain"])
def test_drawings(name, tmp_path):
    check_drawings(quick_result(name), [""], tmp_path)
