from __future__ import annotations

import numpy as np
import pytest
from experiment_checks import check_drawings, claim, quick_result, tampered

import knotwork as kw
from knotwork.dual_norm.several import UnitNeurons
from knotwork.experiments.experiment import Plan, Verdict
from knotwork.experiments.teachers import ALONG, EXPERIMENTS, RECIPE, _gap, along_lines, lines, teachers
from knotwork.experiments.teachers_claims import by_task, of_part

pytest.importorskip("jax")
pytest.importorskip("optax")
NAME = "a-figures-8-10"


def test_the_data_are_those_of_section_b_2():
    X, Y, W = teachers(3)
    assert (X.shape, Y.shape, W.shape) == ((20, 5), (20, 25), (25, 5))
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1.0)
    for t in range(25):
        np.testing.assert_allclose(Y[:, t], np.maximum(X @ W[t], 0.0))
    np.testing.assert_allclose(np.linalg.norm(lines(3), axis=1), 1.0)
    assert not np.allclose(lines(3), lines(4))
    # the teacher is an interpolant of cost 1
    teacher = kw.ReLUNetwork(W[:1], np.zeros(1), np.ones((1, 1)))
    assert kw.Problem(X, Y[:, 0], 0.0, penalty=RECIPE.penalty).objective(teacher) == pytest.approx(1.0)


def test_the_readings_of_lambda():
    X, Y, _ = teachers(0)
    assert RECIPE.problem(X, Y, "all").lam == pytest.approx(0.025)
    assert RECIPE.problem(X, Y[:, 0], "all").lam == pytest.approx(0.001)
    assert RECIPE.problem(X, Y, "(3)").lam == pytest.approx(0.0001)


def test_a_teacher_is_one_bend_and_no_error_along_every_line():
    _, _, W = teachers(0)
    seen = along_lines(kw.ReLUNetwork(W, np.zeros(25), np.eye(25)), lines(0), W)
    np.testing.assert_allclose(seen["error"], 0.0, atol=1e-14)
    assert np.all(seen["bends"] == 1)
    assert seen["slices"].shape == (25, len(ALONG))
    # three bends of one size, far apart
    three = kw.ReLUNetwork(np.tile(W[:1], (3, 1)), np.array([-1.0, 0.0, 1.0]), np.full((3, 1), 1 / 3))
    u = W[:1]
    seen = along_lines(three, u, W[:1])
    assert seen["bends"] == 3
    values = three.predict(np.outer(ALONG, u[0]))[:, 0]
    gap = np.sqrt(np.mean((values - np.maximum(ALONG, 0.0)) ** 2))
    assert seen["error"] == pytest.approx(gap)
    # without a bend within reach there is nothing to count
    flat = kw.ReLUNetwork(W[:1], np.array([-50.0]), np.ones((1, 1)))
    assert along_lines(flat, u, W[:1])["bends"] == 0


def test_the_gap_is_that_of_the_certificate():
    # fewer data, so that the enumeration is quick
    X, Y, _ = teachers(0)
    X, Y = X[:8, :3], Y[:8, :1]
    problem = kw.Problem(X, Y, 0.01, penalty=RECIPE.penalty)
    network = kw.solve(problem, max_rounds=1).network
    gap = _gap(problem, network, UnitNeurons(X, RECIPE.penalty))
    best = kw.solve(problem, tol=1e-10)
    assert 0.0 <= _gap(problem, best.network, UnitNeurons(X, RECIPE.penalty)) < 1e-9
    objective = problem.objective(network)
    assert (1.0 - gap) * objective <= best.certificate.primal * (1.0 + 1e-12)
    assert kw.certify(problem, network).rigour is kw.Rigour.EXACT


def test_every_claim_has_its_verdict():
    result = quick_result(NAME)
    verdicts = [one.verdict for one in result.claims]
    assert verdicts[:3] == [Verdict.HOLDS] * 3
    # one of the tasks drawn has an interpolant cheaper than its teacher
    assert verdicts[3] is Verdict.CORRECTED
    assert verdicts[4:6] == [Verdict.HOLDS] * 2
    # quick training is short
    assert verdicts[6] in (Verdict.OPEN, Verdict.CORRECTED, Verdict.HOLDS)
    assert "HEURISTIC" in result.claims[0].measured


def test_counts_of_neurons_are_judged():
    result = quick_result(NAME)
    assert 2.5 <= claim(result, "five active").values["certified all"] <= 7.5
    many = tampered(result, neurons=lambda count: count + 100)
    assert claim(many, "five active").verdict is Verdict.FAILS
    few = tampered(result, neurons=lambda count: 0 * count + 9, active=lambda count: 0 * count + 9)
    assert claim(few, "roughly 150").verdict is Verdict.FAILS
    half = tampered(result, users=lambda users: users // 2)
    assert claim(half, "all tasks or to none").verdict is Verdict.FAILS
    multi = of_part(result.records, "multi")[0]
    assert multi.number("neurons") <= multi.number("enough") == 190
    assert multi["pattern"].shape == (multi.number("neurons"), 25)


def test_recovery_is_judged_along_lines_and_by_cost():
    result = quick_result(NAME)
    recovered = claim(result, "recover their teacher")
    assert recovered.values["near"] == 1.0
    assert recovered.values["least_cost"] == pytest.approx(0.9953, abs=1e-4)
    cheap = tampered(result, least_cost=np.ones_like)
    assert claim(cheap, "recover their teacher").verdict is Verdict.HOLDS
    far = tampered(result, error=lambda error: error + 5.0)
    assert claim(far, "recover their teacher").verdict is Verdict.FAILS
    straight = tampered(result, bends=np.ones_like)
    assert claim(straight, "very different from a ReLU").verdict is Verdict.FAILS
    rough = tampered(result, mse=lambda mse: mse + 1.0)
    assert claim(rough, "nearly interpolate").verdict is Verdict.FAILS
    singles = of_part(result.records, "single")
    # interpolants: what costs less than the teacher does not miss the labels
    assert by_task(singles, "misfit").max() < 1e-8
    assert by_task(singles, "least_cost").max() <= 1.0 + 1e-6


def test_training_is_judged_by_its_distance_to_the_optimum():
    result = quick_result(NAME)
    best = of_part(result.records, "multi")[0].number("objective")
    told = claim(result, "comes to the global optimum")
    trained = of_part(result.records, "trained")[0].number("objective")
    assert told.values["together all"] == pytest.approx(trained / best - 1.0)
    near = tampered(result, **{"trained.objective": lambda value: 0.0 * value}, objective=np.ones_like)
    assert claim(near, "comes to the global optimum").verdict is Verdict.HOLDS


def test_it_is_drawn(tmp_path):
    check_drawings(quick_result(NAME), ["A 8", "A 9", "A 10"], tmp_path)


def test_all_tasks_are_learned_in_full():
    (experiment,) = EXPERIMENTS
    pieces = experiment.pieces(Plan())
    tasks = sorted(t for piece in pieces if piece["part"] == "single" for t in piece["tasks"])
    assert tasks == list(range(25))
    assert all(piece["exact"] for piece in pieces if piece["part"] == "single")
    assert {piece["reading"] for piece in pieces if piece["part"] == "multi"} == {"all", "(3)"}
    trained = [piece for piece in experiment.pieces(Plan(seeds=5)) if piece["part"] == "trained"]
    assert sum(piece["reading"] == "all" for piece in trained) == 5
