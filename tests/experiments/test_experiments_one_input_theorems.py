from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.experiments import one_input_theorems
from knotwork.experiments.experiment import Verdict
from knotwork.experiments.piecewise import bent_labels, least_rise


def test_theorem_3_1_agrees_with_linear_programmes():
    result = quick_result("a-theorem-3-1")
    assert [one.verdict for one in result.claims] == [Verdict.HOLDS] * 3
    one = claim(result, "one task")
    assert min(one.values["open"], one.values["determined"]) >= 5
    assert one.values["widest determined"] < 1e-7 < 1e-3 < one.values["narrowest open"]
    assert one.values["off the set"] < 1e-7
    for name, change in (
        ("said open", lambda said: ~said),
        ("not unique", lambda said: ~said),
        ("off", lambda off: off + 1e-3),
    ):
        assert claim(tampered(result, **{name: change}), "one task").verdict is Verdict.FAILS


def test_theorem_3_1_for_several_tasks_and_at_every_angle():
    result = quick_result("a-theorem-3-1")
    several = claim(result, "several tasks")
    assert min(several.values["aligned"], several.values["not aligned"]) >= 5
    assert several.values["rise aligned"] <= 1e-12
    assert several.values["rise not aligned"] > 1e-6
    for name, change in (("rise", lambda rise: rise + 1e-6), ("said open", lambda said: ~said)):
        assert claim(tampered(result, **{name: change}), "several tasks").verdict is Verdict.FAILS
    angle = claim(result, "any angle")
    assert angle.values["over the formula"] == pytest.approx(1.0, abs=0.01)
    assert 1e-5 < angle.values["least angle called unique"] < 2e-5
    assert claim(tampered(result, rise=lambda rise: 0.5 * rise), "any angle").verdict is Verdict.FAILS


def test_the_linear_programmes_find_the_triangle_above_a_plateau():
    x, y = np.arange(4.0), np.array([0.0, 1.0, 1.0, 0.0])
    least, greatest = one_input_theorems._extremes(x, y, np.array([0.5, 1.5, 2.5]))
    np.testing.assert_allclose(least, [0.5, 1.0, 0.5], atol=1e-7)
    np.testing.assert_allclose(greatest, [0.5, 1.5, 0.5], atol=1e-7)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([0.2, 0.5, 0.8]))
def test_the_least_rise_is_the_closed_form_to_first_order(seed, n_tasks, share):
    """1/(1 - s) (1 - |(1 - s) p + s q|), p and q the directions of the bends."""
    rng = np.random.default_rng(seed)
    x, jumps = np.arange(4.0), rng.standard_normal((2, n_tasks))
    p, q = jumps / np.linalg.norm(jumps, axis=1)[:, None]
    bound = (1.0 - np.linalg.norm((1.0 - share) * p + share * q)) / (1.0 - share)
    rise = least_rise(x, bent_labels(x, jumps, rng), 1, share, rng)
    # R is convex in delta
    assert rise >= bound - 1e-10
    # and never more than both bends moved apart by |delta|
    assert rise <= 1.0 / (1.0 - share) + 1.0 + share / (1.0 - share)


def test_random_labels_of_several_tasks_are_unique_and_aligned_ones_are_not():
    result = quick_result("a-corollary-1")
    assert [one.verdict for one in result.claims] == [Verdict.HOLDS, Verdict.HOLDS]
    assert result.claims[0].values["unique of one task"] < result.claims[0].values["draws of one task"]
    flipped = tampered(
        result, unique=lambda unique: ~unique, **{"moved unique": lambda unique: unique & False}
    )
    assert [one.verdict for one in flipped] == [Verdict.FAILS, Verdict.FAILS]


def test_remark_1_for_five_losses():
    result = quick_result("a-remark-1")
    (remark,) = result.claims
    assert remark.verdict is Verdict.HOLDS
    assert remark.values["solutions"] >= 15
    assert remark.values["rise aligned"] <= 1e-11
    assert remark.values["rise elsewhere"] > 1e-8
    assert sum(record["aligned"].sum() for record in result.records) >= 5
    for name, change in (
        ("rise", lambda rise: rise + 1e-6),
        ("aligned", lambda aligned: 1.0 - aligned),
        ("said", lambda said: np.where(said >= 0, 1.0 - said, said)),
        ("off", lambda off: off + 1.0),
    ):
        assert tampered(result, **{name: change})[0].verdict is Verdict.FAILS


def test_every_slip_is_measured_and_would_be_taken_back():
    result = quick_result("a-one-input-slips")
    assert [one.verdict for one in result.claims] == [Verdict.CORRECTED] * 6
    assert all(one.correction for one in result.claims)
    as_the_paper_says = {
        "balanced": lambda ratio: ratio - 1.0,
        "neurons less N - 1": lambda more: more * 0,
        "det UUt": lambda det: det + 1.0,
        "norms": lambda norms: norms * 0.0 + 1.0,
        "merged off": lambda off: off * 0.0,
        "saved": lambda saved: saved * 0.0,
        "printed": lambda printed: printed * 0.0,
    }
    assert [one.verdict for one in tampered(result, **as_the_paper_says)] == [Verdict.HOLDS] * 6
    mended_wrong = {
        "rescaled": lambda ratio: ratio - 1.0,
        "neurons gap": lambda gap: gap + 1.0,
        "det UtU": lambda det: det * 0.0,
        "dots gap": lambda gap: gap + 1.0,
        "merged right": lambda off: off + 1.0,
        "mended": lambda missed: missed + 1.0,
    }
    assert [one.verdict for one in tampered(result, **mended_wrong)] == [Verdict.FAILS] * 6


def test_numbers_of_the_slips():
    values = [one.values for one in quick_result("a-one-input-slips").claims]
    assert values[0]["least rescaled"] >= 2.0
    assert values[1]["least"] == values[1]["most"] == -2
    assert values[2]["det UUt from 3 tasks"] < 1e-14 < values[2]["det UtU"]
    assert values[3]["largest norm"] > 1e7
    # 2 (v_1 + v_2) for v_1 + v_2
    assert values[4]["off"] == pytest.approx(1.0)
    assert values[5]["missed"] > 1e-3


@pytest.mark.parametrize(
    "name", ["a-figure-1", "a-figure-3", "a-figure-6", "a-corollary-1", "a-one-input-slips", "a-theorem-3-1"]
)
def test_one_seed_is_enough_to_judge(name):
    with_one, with_more = quick_result(name, 1), quick_result(name)
    assert [one.verdict for one in with_one.claims] == [one.verdict for one in with_more.claims]


def test_pictures(tmp_path):
    check_drawings(quick_result("a-theorem-3-1"), [""], tmp_path)
