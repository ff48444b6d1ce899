from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

import knotwork as kw
from knotwork.experiments.experiment import Plan, Verdict
from knotwork.experiments.squares_data import LINE, RECIPE, farthest, spread, surface, two_squares
from knotwork.experiments.two_squares import EXPERIMENTS
from knotwork.experiments.two_squares_claims import of_part

pytest.importorskip("jax")
pytest.importorskip("optax")


def test_the_data_are_the_papers():
    X, Y = two_squares(101, 4)
    assert np.abs(X[:4]).max() == np.abs(X[:4]).min() == 1.0
    assert np.abs(X[4:]).max() == np.abs(X[4:]).min() == 0.5
    assert len(np.unique(X, axis=0)) == 8
    np.testing.assert_array_equal(Y[:, 0], [0, 0, 0, 0, 1, 1, 1, 1])
    assert set(np.unique(Y)) == {0.0, 1.0}
    assert 0.4 < Y[:, 1:].mean() < 0.6
    assert not np.array_equal(Y, two_squares(101, 5)[1])
    np.testing.assert_array_equal(two_squares(1, 4)[1], Y[:, :1])


def test_surfaces_have_the_first_input_along_their_columns():
    network = kw.ReLUNetwork(np.array([[1.0, 0.0]]), np.zeros(1), np.array([[2.0]]))
    np.testing.assert_allclose(surface(network), np.tile(2.0 * np.maximum(LINE, 0.0), (41, 1)))
    flat = np.array([np.full((41, 41), value) for value in (-1.0, 1.0, 0.0)])
    assert spread(flat) == pytest.approx(np.sqrt(2.0 / 3.0))
    assert farthest(flat, 2) == [0, 1]
    assert farthest(flat, 3) == [0, 1, 2]


def test_figure_5_has_all_its_claims():
    result = quick_result("a-figure-5")
    verdicts = {one.where: one.verdict for one in result.claims}
    assert len(verdicts) == len(result.claims) == 7
    assert verdicts.pop("A, Figure 5 and Appendix B") is Verdict.CORRECTED
    assert verdicts.pop("A, section 5") in (Verdict.CORRECTED, Verdict.OPEN)
    assert set(verdicts.values()) == {Verdict.HOLDS}


def test_one_task_has_several_optima():
    result = quick_result("a-figure-5")
    numbers = claim(result, "several solutions").values
    assert (numbers["maximisers"], numbers["rank"]) == (8, 5)
    assert max(numbers["closed_form"], numbers["gap"]) < 1e-9
    assert numbers["apart"] == pytest.approx(1.0, abs=0.01)
    assert (
        claim(tampered(result, **{"across.gap": lambda gap: gap + 1e-6}), "several").verdict is Verdict.FAILS
    )
    assert (
        claim(tampered(result, **{"alone.rank": lambda rank: rank + 3}), "several").verdict is Verdict.FAILS
    )
    # the two closed forms, priced here
    one = of_part(result.records, "optimum", "all")[0]
    lam = one.number("alone.lam")
    assert lam == pytest.approx(0.004)
    for name in ("alone", "across", "along"):
        assert one.number(f"{name}.objective") == pytest.approx(4.0 * lam - 4.0 * lam**2, rel=1e-9)
    np.testing.assert_allclose(one["surface.across"], one["surface.along"].T, atol=1e-12)


def test_starts_differ_alone_and_agree_together():
    result = quick_result("a-figure-5")
    assert claim(result, "different random starts").values["apart"] > 0.2
    alike = claim(result, "nearly the same from every start")
    assert alike.values["ratio all"] < 0.05
    moved = tampered(result, **{"surface.network": lambda values: values + np.random.default_rng(
        int(1e9 * abs(values[0, 0]))).normal(size=values.shape)})  # fmt: skip
    assert claim(moved, "nearly the same from every start").verdict is Verdict.FAILS
    same = tampered(result, apart=lambda apart: 0.0 * apart)
    assert claim(same, "different random starts").verdict is Verdict.FAILS
    worse = tampered(result, excess=lambda excess: excess + 0.1)
    assert claim(worse, "different random starts").verdict is Verdict.FAILS
    assert claim(worse, "nearly the same from every start").verdict is Verdict.OPEN
    assert claim(worse, "gradient-based training").verdict is Verdict.OPEN


def test_readings_of_lambda_decide_whether_it_interpolates():
    result = quick_result("a-figure-5")
    numbers = claim(result, "interpolates").values
    assert 0.05 < numbers["all"] < 0.07
    assert numbers["(3)"] < 1e-3
    near = tampered(result, **{"together.fit": lambda fit: np.round(fit)})
    assert claim(near, "interpolates").verdict is Verdict.HOLDS
    far = tampered(result, **{"together.fit": lambda fit: 0.5 + 0.0 * fit})
    assert claim(far, "interpolates").verdict is Verdict.FAILS
    found = of_part(result.records, "optimum")
    assert [one.number("together.lam") for one in found] == pytest.approx([0.404, 0.001])
    lost = tampered(result, **{"together.unique": lambda unique: unique & False})
    assert claim(lost, "the solution is one").verdict is Verdict.OPEN


def test_the_kernel_fit_is_that_of_the_library():
    result = quick_result("a-figure-5")
    numbers = claim(result, "(27)").values
    assert max(numbers["own"], numbers["others"]) < 0.01
    assert claim(tampered(result, **{"surface.ridge": np.zeros_like}), "(27)").verdict is Verdict.FAILS
    one = of_part(result.records, "optimum", "all")[0]
    problem = RECIPE.problem(*two_squares(101, 0), "all")
    network = kw.solve(problem, tol=1e-10).network
    ridge = kw.kernel_approximation(problem, network, 0).ridge
    np.testing.assert_allclose(one["surface.ridge"], surface(ridge.network), atol=1e-8)
    np.testing.assert_allclose(one["surface.together"], surface(network), atol=1e-8)


def test_figure_7_is_consistent_over_trials():
    result = quick_result("a-figure-7")
    assert [one.verdict for one in result.claims] == [Verdict.HOLDS] * 2
    assert result.claims[0].values["unique"] == 1.0
    assert 0.0 < result.claims[0].values["spread"] < 0.05
    assert 0.0 < result.claims[1].values["certified"] < 0.05
    wide = tampered(result, spread=lambda value: value + 1.0)
    assert [one.verdict for one in wide] == [Verdict.FAILS, Verdict.HOLDS]
    off = tampered(result, **{"ridge.off": lambda value: value + 1.0})
    assert [one.verdict for one in off] == [Verdict.HOLDS, Verdict.FAILS]


@pytest.mark.parametrize(("name", "figures"), [("a-figure-5", ["A 5"]), ("a-figure-7", ["A 7"])])
def test_it_is_drawn(name, figures, tmp_path):
    check_drawings(quick_result(name), figures, tmp_path)


def test_every_surface_has_its_grid():
    for name in ("a-figure-5", "a-figure-7"):
        for record in quick_result(name).records:
            np.testing.assert_array_equal(record["grid"], LINE)
            for part, values in record.arrays.items():
                if part.startswith("surface."):
                    assert values.shape == (41, 41)
                    assert np.isfinite(values).all()


def test_more_seeds_are_more_starts():
    figure_5, figure_7 = EXPERIMENTS
    for plan, starts in ((Plan(), 12), (Plan(seeds=5), 5), (Plan(quick=True), 2)):
        singles = [piece for piece in figure_5.pieces(plan) if piece["part"] == "single"]
        assert [piece["starts"] for piece in singles] == [starts] * 2
    assert figure_7.pieces(Plan(seeds=7))[0]["trials"] == 7


def test_a_piece_is_the_same_again():
    result = quick_result("a-figure-5")
    one = of_part(result.records, "optimum", "(3)")[0]
    again = result.experiment.compute(**one.settings)
    assert dataclasses.replace(one, arrays={k: np.asarray(v) for k, v in again.items()}).digest == one.digest
