from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

import knotwork as kw
from knotwork.experiments import kernel_view, many_tasks
from knotwork.experiments.experiment import Plan, Verdict
from knotwork.experiments.many_tasks_claims import of_part


def test_the_theorem_holds_with_what_it_leaves_out():
    result = quick_result("a-theorem-4-1")
    kinds = [*[Verdict.HOLDS] * 5, Verdict.CORRECTED, *[Verdict.HOLDS] * 2]
    assert [one.verdict for one in result.claims] == kinds
    # lam multiplies both sides: exponents are of (J - H) / lam
    sixteen = claim(result, "|J - H|").values
    assert len(sixteen) == 5
    rates = of_part(result.records, "rate")
    for one, slope in zip(rates, sixteen.values(), strict=True):
        power = {"fixed": 0.0, "sqrt": 0.5, "linear": 1.0}[one.settings["growth"]]
        np.testing.assert_allclose(one["lam"], one.settings["lam"] * one["n_tasks"] ** power)
        fit = np.polyfit(np.log(one["n_tasks"]), np.log(one["left"] / one["lam"]), 1)[0]
        assert slope == pytest.approx(fit, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "says", "verdict"),
    [
        ({"exponent.left": lambda slope: slope + 2.0}, "|J - H|", Verdict.FAILS),
        ({"well_defined": lambda share: share - 0.9}, "|J - H|", Verdict.FAILS),
        ({"exponent.excess": lambda slope: slope + 3.0}, "minimiser v'", Verdict.FAILS),
        ({"above": lambda above: above + 1.0}, "minimiser v'", Verdict.FAILS),
        ({"exponent.relative_left": lambda slope: slope + 1.0}, "nearly quadratic", Verdict.FAILS),
        ({"below": lambda below: below - 1.0}, "J <= H", Verdict.FAILS),
        ({"within": lambda within: 1.1 * within}, "the remainder", Verdict.FAILS),
        ({"doubled": lambda ratio: 0.0 * ratio + 2.1}, "differ by the sum", Verdict.HOLDS),
        ({"neurons": lambda neurons: neurons + 1}, "end without neurons", Verdict.FAILS),
        ({"alone.defined": lambda defined: defined | True}, "pointed at", Verdict.FAILS),
    ],
)
def test_numbers_decide_the_theorem(change, says, verdict):
    assert claim(tampered(quick_result("a-theorem-4-1"), **change), says).verdict is verdict


def test_networks_end_without_neurons_where_lam_grows_as_T():
    one = of_part(quick_result("a-theorem-4-1").records, "collapse")[0]
    lam = 0.004 * one["n_tasks"]
    np.testing.assert_array_equal(one["neurons"] == 0, lam >= one["lam_max"])
    assert 70_000 < claim(quick_result("a-theorem-4-1"), "end without neurons").values["ends"] < 90_000


def test_the_lemmas_hold_and_a_proof_is_mended():
    result = quick_result("a-lemma-4-2")
    assert [one.verdict for one in result.claims] == [*[Verdict.HOLDS] * 5, Verdict.CORRECTED]
    assert result.claims[0].values["spread"] > 0.3
    values = result.claims[-1].values
    assert (values["square"], values["proof"]) == (pytest.approx(40_000.0), pytest.approx(400.0))
    for change, says in (
        ({"means": lambda means: means + 0.01}, "exchangeable"),
        ({"worst": lambda worst: worst + 1.0}, "with probability at least"),
        ({"ratio": lambda ratio: ratio + 1.0}, "with probability at least"),
        ({"second": lambda second: second + 1.0}, "(T^beta + 1) / T"),
        ({"seven": lambda seven: 0.5 * seven}, "fewer exceptions"),
        ({"cost": lambda cost: cost * np.arange(1, len(cost) + 1) ** 2}, "bounded labels"),
    ):
        assert claim(tampered(result, **change), says).verdict is Verdict.FAILS
    assert tampered(result, square=np.zeros_like)[-1].verdict is Verdict.HOLDS


def test_shares_are_counted_over_the_tasks():
    one = of_part(quick_result("a-lemma-4-2").records, "shares")[0]
    np.testing.assert_allclose(
        one["bound"], [[T**-beta for beta in many_tasks.BETAS] for T in one["n_tasks"]]
    )
    # exceptions are whole tasks
    np.testing.assert_allclose(one["worst"] * one["n_tasks"][:, None] % 1.0, 0.0, atol=1e-9)


def test_the_kernels_formulas():
    result = quick_result("a-learned-kernel")
    kinds = [Verdict.HOLDS, *[Verdict.CORRECTED] * 3, *[Verdict.HOLDS] * 2]
    assert [one.verdict for one in result.claims] == kinds
    found = result.records[0]
    assert found.number("twice") == pytest.approx(2.0)
    half, square = found["readings"]
    assert half < 1e-10 < 0.01 < square
    numbers = claim(result, "inner product").values
    assert numbers["norm"] <= min(numbers["first"], numbers["second"])
    for change, says, verdict in (
        ({"readings": lambda off: off[::-1]}, "ridge regression", Verdict.FAILS),
        ({"norms": lambda off: 0.0 * off}, "the sum over t", Verdict.HOLDS),
        ({"values": lambda values: 0.0 * values}, "inner product", Verdict.HOLDS),
        ({"alone.strength": lambda size: size + 1.0}, "all K neurons", Verdict.HOLDS),
        ({"itself": lambda off: off + 1.0}, "every task counted", Verdict.FAILS),
        ({"moment": lambda off: off + 1.0}, "pseudo-tasks", Verdict.FAILS),
        ({"fits": lambda fits: fits + 0.5}, "pseudo-tasks", Verdict.FAILS),
    ):
        assert claim(tampered(result, **change), says).verdict is verdict, says


def test_many_tasks_come_to_the_limit():
    numbers = claim(quick_result("a-learned-kernel"), "pseudo-tasks").values
    assert numbers["outer"] == pytest.approx(0.0563, abs=1e-4)
    assert numbers["inner"] == pytest.approx(0.9436, abs=2e-4)
    assert numbers["last"] < 0.003


def test_fewer_neurons_than_footnote_1_asks_for_are_enough():
    result = quick_result("a-width")
    (told,) = result.claims
    assert told.verdict is Verdict.HOLDS
    assert told.values["bound"] == 28
    # one task: N - 1; any number: (N - 1) N / 2
    np.testing.assert_array_equal(result.records[0]["bound"][[0, -1]], [7, 28])
    assert tampered(result, compressed=lambda count: count + 30)[0].verdict is Verdict.FAILS
    assert tampered(result, change=lambda change: change + 1.0)[0].verdict is Verdict.FAILS
    one = result.records[0]
    X = many_tasks._inputs("squares")
    network = kernel_view._random_network(np.random.default_rng(one.settings["seed"]), 300, 1)
    assert kw.compress(network, X, kw.Penalty(False, "none")).n_neurons == one["compressed"][0]


@pytest.mark.parametrize("name", ["a-theorem-4-1", "a-lemma-4-2", "a-learned-kernel", "a-width"])
def test_they_are_drawn(name, tmp_path):
    check_drawings(quick_result(name), [""], tmp_path)


def test_full_sizes_go_over_T_from_2_to_1000():
    pieces = many_tasks.EXPERIMENTS[0].pieces(Plan())
    rates = [piece for piece in pieces if piece["part"] == "rate"]
    assert all((min(piece["n_tasks"]), max(piece["n_tasks"])) == (2, 1000) for piece in rates)
    assert {piece["growth"] for piece in rates} == {"fixed", "sqrt", "linear"}
    assert [piece["draws"] for piece in many_tasks.EXPERIMENTS[0].pieces(Plan(seeds=2))[:3]] == [2] * 3
