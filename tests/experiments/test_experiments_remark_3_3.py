from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

from knotwork.experiments.experiment import Verdict
from knotwork.experiments.remark_3_3 import scalings_of, small_of

pytest.importorskip("jax")


def test_small_starts_come_near_the_least_cost_with_biases_penalised():
    result = quick_result("b-remark-3-3")
    biases = claim(result, "small initial values")
    assert biases.verdict is Verdict.HOLDS
    assert biases.values["first"] > 5.0 > 1.3 > biases.values["last"] > 1.0 - 2e-3
    # |x - 1| beside connect the dots: (1 + sqrt(5)) / 2
    assert biases.values["dots"] == pytest.approx((1.0 + np.sqrt(5.0)) / 2.0, abs=1e-6)
    assert biases.values["gap"] < 1.1
    # the measures are those of the record
    found = small_of(result.records[0])
    met = found.reached[0]
    assert biases.values["first"] == pytest.approx(np.median(found.cost_ratio[0][met]))
    flat = tampered(result, cost_ratio=lambda c: np.broadcast_to(c[:1], c.shape))
    assert claim(flat, "small initial values").verdict is Verdict.FAILS


def test_they_do_not_end_at_the_minimum():
    result = quick_result("b-remark-3-3")
    exact = claim(result, "the minimum of (7)")
    assert exact.verdict is Verdict.FAILS
    assert exact.values["within"] < 0.6
    assert exact.values["followed"] < 0.5
    there = {"cost_ratio": np.ones_like, "moved": lambda m: 0.0 * m}
    record = result.records[0]
    there["moved"] = lambda m: np.broadcast_to(record["penalised_moved"][:, None], m.shape)
    assert claim(tampered(result, **there), "the minimum of (7)").verdict is Verdict.HOLDS


def test_the_ntk_scaling_decouples_tasks_and_the_other_does_not():
    result = quick_result("b-section-1-scalings")
    (one,) = result.claims
    assert one.verdict is Verdict.HOLDS
    assert one.values["ntk"] == pytest.approx(0.5, abs=0.2)
    assert abs(one.values["mean_field"]) < 0.3
    assert one.values["ratio"] > 2.0
    found = scalings_of(result.records[0])
    assert found.mean_field_label_error.max() < 0.1
    same = tampered(result, ntk_joint_minus_separate=np.ones_like)
    assert same[0].verdict is Verdict.FAILS
    falling = tampered(result, mean_field_joint_minus_separate=lambda m: m * np.array([[1.0], [1e-2]]))
    assert falling[0].verdict is Verdict.FAILS


@pytest.mark.parametrize("name", ["b-remark-3-3", "b-section-1-scalings"])
def test_drawings(name, tmp_path):
    check_drawings(quick_result(name), [""], tmp_path)
