from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered
from hypothesis import given
from hypothesis import strategies as st

import knotwork as kw
from knotwork.experiments import one_input
from knotwork.experiments.experiment import Verdict
from knotwork.experiments.piecewise import FIVE_X, FIVE_Y, angles, bent_between, from_slopes, mixture


def test_both_functions_of_figure_1_are_certified_and_every_change_of_gap_is_seen():
    result = quick_result("a-figure-1")
    five = result.records[0]
    assert [one.verdict for one in result.claims[:3]] == [Verdict.HOLDS] * 3
    # by hand: slope changes -1.4, -1, -1.2
    np.testing.assert_allclose(five["cost"], 3.6, rtol=1e-12)
    assert claim(result, "both functions").values["apart"] == pytest.approx(0.29, abs=0.01)
    for one, says in zip(
        tampered(result, gap=lambda gap: gap + 1e-6), ("both", "all convex", "infinitely"), strict=False
    ):
        assert one.verdict is Verdict.FAILS
        assert says in one.says
    assert (
        claim(tampered(result, exact=lambda exact: exact & False), "both functions").verdict is Verdict.FAILS
    )


def test_robustness_is_better_in_some_measures_only():
    result = quick_result("a-figure-1")
    robust = claim(result, "stays closer")
    assert robust.verdict is Verdict.CORRECTED
    numbers = robust.values
    assert numbers["dots in the worst input perturbation"] == pytest.approx(0.5)
    assert numbers["fewest knots in the worst input perturbation"] == pytest.approx(0.5)
    # straight lines move with their labels, no more
    assert numbers["dots under the worst label noise"] == pytest.approx(1.0)
    assert numbers["fewest knots under the worst label noise"] > 2.0
    assert numbers["dots beyond the range of the labels"] <= 1e-12
    assert numbers["fewest knots beyond the range of the labels"] > 0.1

    def all_but_the_first_worse(worst):
        return np.concatenate([worst[:1], 2.0 * worst[1:]])

    worse = tampered(result, worst=all_but_the_first_worse)
    assert claim(worse, "stays closer").verdict is Verdict.HOLDS
    nothing = dict.fromkeys(("worst", "mean", "beyond", "noise"), np.ones_like)
    assert claim(tampered(result, **nothing), "stays closer").verdict is Verdict.FAILS


def test_the_worst_input_is_as_bad_for_every_solution():
    result = quick_result("a-figure-1")
    tie = claim(result, "worst case over inputs")
    assert tie.verdict is Verdict.FAILS
    assert tie.values["ties"] == tie.values["data sets"] > 5
    apart = tampered(
        result, worst=lambda worst: worst * np.array([1.0, 1.1, 1.1]) if worst.ndim == 2 else worst
    )
    assert claim(apart, "worst case over inputs").verdict is Verdict.HOLDS
    some = tampered(
        result, worst=lambda worst: worst * (1.0 + np.eye(*worst.shape, k=1)) if worst.ndim == 2 else worst
    )
    assert claim(some, "worst case over inputs").verdict is Verdict.OPEN


@given(st.integers(0, 10**6), st.floats(0.01, 0.5))
def test_the_worst_perturbation_is_that_of_a_fine_grid(seed, share):
    rng = np.random.default_rng(seed)
    x, y = np.arange(6.0), rng.standard_normal(6)
    member = kw.uniqueness(x, y).solution_set.sample(seed)
    found = one_input._worst(member, x, y, share)
    delta = np.linspace(-share, share, 801)
    brute = np.abs(member.predict((x[:, None] + delta).ravel())[:, 0].reshape(6, -1) - y[:, None]).max(axis=1)
    assert np.all(found >= brute - 1e-12)
    np.testing.assert_allclose(found, brute, atol=share / 400 * 20)


def test_connect_the_dots_is_the_kernel_interpolant_inside_and_not_outside():
    result = quick_result("a-figure-2")
    assert [one.verdict for one in result.claims] == [Verdict.HOLDS, Verdict.HOLDS, Verdict.CORRECTED]
    assert result.claims[2].values["inside"] <= 1e-12
    assert result.claims[2].values["outside"] > 0.1
    bent = tampered(result, kernel=lambda kernel: kernel + 1e-3)
    assert [one.verdict for one in bent[1:]] == [Verdict.FAILS, Verdict.FAILS]
    assert tampered(result, dots=lambda dots: dots + 1e-6)[0].verdict is Verdict.FAILS
    same = tampered(result, kernel=lambda kernel: result.records[0]["dots"])
    assert same[2].verdict is Verdict.HOLDS


def test_lemma_3_2_holds_strictly_where_it_says_so():
    result = quick_result("a-figure-3")
    assert [one.verdict for one in result.claims] == [Verdict.HOLDS, Verdict.HOLDS, Verdict.CORRECTED]
    strict = result.claims[1].values
    assert strict["aligned"] <= 1e-14
    assert min(strict["not aligned"], strict["beyond the bound"]) > 1e-6
    slip = result.claims[2].values
    assert slip["missed"] == pytest.approx(0.5)
    assert slip["mended"] <= 1e-12
    assert (slip["before"], slip["after"]) == (pytest.approx(4.0), pytest.approx(1.0))
    dearer = tampered(result, after=lambda after: after * (1.0 + 1e-6))
    assert [one.verdict for one in dearer[:2]] == [Verdict.FAILS, Verdict.FAILS]
    assert tampered(result, moved=lambda moved: moved + 1.0)[0].verdict is Verdict.FAILS
    assert tampered(result, missed=lambda missed: 0.0 * missed)[2].verdict is Verdict.HOLDS


def test_no_knot_before_the_second_point():
    (edge,) = quick_result("a-figure-6").claims
    assert edge.verdict is Verdict.HOLDS
    # the triangle inequality gives |delta|, attained along the slope change at x_2
    assert edge.values["least excess over |delta|"] == pytest.approx(1.0, abs=1e-9)
    level = tampered(quick_result("a-figure-6"), excess=lambda excess: 0.0 * excess)
    assert level[0].verdict is Verdict.FAILS


@pytest.mark.parametrize(
    ("name", "figures"),
    [("a-figure-1", ["A 1"]), ("a-figure-2", ["A 2"]), ("a-figure-3", ["A 3"]), ("a-figure-6", ["A 6"])],
)
def test_pictures(name, figures, tmp_path):
    check_drawings(quick_result(name), figures, tmp_path)


@given(st.integers(0, 10**6), st.integers(1, 3), st.floats(0.1, 0.9))
def test_networks_by_their_slopes(seed, n_tasks, share):
    rng = np.random.default_rng(seed)
    x, Y = np.cumsum(rng.uniform(0.3, 1.0, 5)), rng.standard_normal((5, n_tasks))
    slopes = np.diff(Y, axis=0) / np.diff(x)[:, None]
    f = from_slopes(x[1:-1], slopes, x[0], Y[0])
    np.testing.assert_allclose(f.predict(x), Y, atol=1e-12)
    delta = rng.standard_normal(n_tasks)
    g = bent_between(x, Y, 1, share, delta)
    np.testing.assert_allclose(g.predict(x), Y, atol=1e-12)
    step = 1e-3 * (x[2] - x[1])
    before = (g.predict([x[1] + step]) - g.predict([x[1]]))[0] / step
    np.testing.assert_allclose(before, slopes[1] + delta, atol=1e-8)
    places = rng.uniform(x[0] - 1, x[-1] + 1, 20)
    both = mixture([f, g], [0.3, 0.7]).predict(places)
    np.testing.assert_allclose(both, 0.3 * f.predict(places) + 0.7 * g.predict(places), atol=1e-12)


def test_angles_to_the_last_digit():
    small = 1e-9
    u, v = (
        np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]]),
        np.array([[3.0, 3.0 * small], [-1.0, 0.0], [1.0, 0.0]]),
    )
    found = angles(u, v)
    assert found[0] == pytest.approx(small, rel=1e-9)
    assert found[1] == pytest.approx(np.pi)
    assert np.isnan(found[2])


def test_all_bends_of_the_five_points_are_aligned():
    change = np.diff(np.diff(FIVE_Y) / np.diff(FIVE_X))
    assert (change < -0.1).all()
