"""Several inputs: optima against convex programmes over every pattern, closed forms and symmetry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from loss_problems import MIXED, loss_of, name_of
from references_losses import PENALTIES, SPECS
from references_several import (
    DEGENERATE,
    Data,
    assert_sound,
    column_generation,
    ergen_pilanci_optimum,
    objective,
    random_data,
    two_squares,
)

import knotwork as kw
from knotwork.dual_norm.several import UnitNeurons
from knotwork.solvers import several_inputs
from knotwork.solvers.dense import Squares

OPTIMAL = kw.Status.OPTIMAL
penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p[0]}-{p[1]}")


def problem_of(data, **changes):
    arguments = {"loss": loss_of(data.spec), "penalty": kw.Penalty(*data.penalty)}
    return kw.Problem(data.X, data.Y, data.lam, sample_weight=data.weight, **{**arguments, **changes})


def solved(data, **options):
    solution = kw.solve(problem_of(data), **options)
    assert solution.status is OPTIMAL
    assert solution.certificate.rigour is kw.Rigour.EXACT
    return solution


# ------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("skip", ["free", "none"])
@pytest.mark.parametrize("lam", [1e-3, 0.05, 0.404, 0.49])
def test_two_squares_have_a_closed_form(skip, lam):
    # f shrinks from the labels by lam at every point, and costs 4 (1 - 2 lam); with c free both labellings
    X, Y = two_squares()
    for labels in (Y, 1.0 - Y):
        solution = solved(Data("squared", (False, skip), X, labels, lam), tol=1e-10)
        assert solution.certificate.primal == pytest.approx(4.0 * lam - 4.0 * lam**2, rel=1e-9)
        np.testing.assert_allclose(np.abs(labels - solution.network.predict(X)), lam, rtol=1e-4)


@pytest.mark.parametrize("skip", ["free", "none"])
def test_two_squares_bend_below_a_half(skip):
    X, Y = two_squares()
    problem = kw.Problem(X, Y, 1.0, penalty=kw.Penalty(False, skip))
    assert kw.lam_max(problem) == pytest.approx(0.5, rel=1e-12)
    interpolation = kw.solve(problem.with_lam(0.0))
    assert interpolation.status is OPTIMAL
    assert interpolation.certificate.primal == pytest.approx(4.0, rel=1e-7)


def test_two_squares_with_penalised_biases():
    X, Y = two_squares()
    data = Data("squared", (True, "none"), X, Y, 1e-3)
    best = solved(data, tol=1e-10).certificate.primal
    assert best == pytest.approx(ergen_pilanci_optimum(data), rel=1e-8)
    # without c the constant is a neuron's: 0.005465892921, and c spares at most lam / 2 of it
    assert 0.005465892921 - 0.5e-3 < best < 0.005465892921 - 0.499e-3


@pytest.mark.parametrize("penalty", [(False, "none"), (True, "none")])
@pytest.mark.parametrize("lam", [1e-3, 4e-3, 0.404])
def test_a_hundred_tasks_on_two_squares(penalty, lam):
    X, Y = two_squares(100)
    data = Data("squared", penalty, X, Y, lam)
    solution = solved(data)
    assert_sound(solution.certificate, data, objective(data, solution.network))
    # squared loss sees the labels through their products only
    U, s, _ = np.linalg.svd(Y, full_matrices=False)
    fewer = solved(Data("squared", penalty, X, U * s, lam))
    assert fewer.certificate.primal == pytest.approx(solution.certificate.primal, rel=1e-7)


# ------------------------------------------------------------------------------------------ oracles


@penalties
@pytest.mark.parametrize(("n", "d"), [(7, 2), (6, 3)])
def test_one_task_is_ergen_and_pilancis_programme(penalty, n, d):
    data = random_data(n, "squared", penalty, n, d, 1, 0.1)
    assert solved(data).certificate.primal == pytest.approx(ergen_pilanci_optimum(data), rel=1e-7)


ONE_TASK = [(spec, PENALTIES[(2 * k + 1) % 5]) for k, spec in enumerate(SPECS) if spec != "multinomial"]


@pytest.mark.parametrize(("spec", "penalty"), ONE_TASK, ids=lambda p: name_of(p))
def test_one_task_of_any_loss_with_weights_is_ergen_and_pilancis_programme(spec, penalty):
    data = random_data(3, spec, penalty, 6, 2, 1, 0.1, weights="labels")
    assert solved(data).certificate.primal == pytest.approx(ergen_pilanci_optimum(data), rel=1e-6)


@pytest.mark.parametrize("case", ["repeated", "collinear", "grid", "two squares", "cube", "line in space"])
def test_degenerate_data_are_solved(case):
    X = DEGENERATE[case]
    Y = np.random.default_rng(0).standard_normal((len(X), 1))
    for penalty in [(False, "free"), (True, "frobenius")]:
        data = Data("squared", penalty, X, Y, 0.02)
        assert solved(data).certificate.primal == pytest.approx(ergen_pilanci_optimum(data), rel=1e-7)


@penalties
def test_many_tasks_are_no_worse_than_columns_generated(penalty):
    data = random_data(1, "squared", penalty, 7, 2, 2, 0.1, gaps=0.2, weights="labels")
    solution = solved(data)
    upper = column_generation(data, rounds=5)
    assert_sound(solution.certificate, data, min(upper.primal, objective(data, solution.network)))
    assert solution.certificate.primal == pytest.approx(upper.primal, rel=1e-3)
    assert solution.certificate.primal <= upper.primal * (1.0 + 1e-8)


@pytest.mark.slow
@penalties
@pytest.mark.parametrize("spec", [*SPECS, MIXED], ids=name_of)
def test_any_loss_is_no_worse_than_columns_generated(spec, penalty):
    data = random_data(2, spec, penalty, 8, 2, 2, 0.1, gaps=0.2, weights="rows")
    solution = kw.solve(problem_of(data))
    # what gaps leave of binary labels may be separable
    assert solution.status in (OPTIMAL, kw.Status.UNATTAINED)
    upper = column_generation(data)
    assert_sound(solution.certificate, data, min(upper.primal, objective(data, solution.network)))
    assert solution.certificate.primal == pytest.approx(upper.primal, rel=1e-3)


@penalties
def test_lam_zero_interpolates_at_the_least_cost(penalty):
    data = random_data(4, "squared", penalty, 6, 2, 1, 0.0)
    problem = problem_of(data)
    solution = kw.solve(problem)
    assert solution.status is OPTIMAL
    assert problem.misfit(solution.network) <= 1e-9 * problem.label_scale
    assert solution.certificate.primal == pytest.approx(ergen_pilanci_optimum(data), rel=1e-6)
    assert_sound(solution.certificate, data, objective(data, solution.network))


def test_lam_zero_is_the_limit_of_small_lam():
    data = random_data(5, "squared", (False, "free"), 8, 2, 3, 0.0, gaps=0.2)
    least = kw.solve(problem_of(data))
    small = kw.solve(problem_of(data).with_lam(1e-6), tol=1e-10)
    assert least.certificate.primal == pytest.approx(small.certificate.primal / 1e-6, rel=1e-4)
    assert least.certificate.primal >= small.certificate.dual / 1e-6


# -------------------------------------------------------------------------------------- invariances


@penalties
def test_what_must_not_matter_does_not(penalty):
    data = random_data(6, "squared", penalty, 9, 2, 3, 0.05)
    best = solved(data).certificate.primal
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((2, 2)))
    P, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    order = rng.permutation(9)
    same = [
        data._replace(X=data.X[order], Y=data.Y[order]),
        data._replace(X=data.X @ Q),
        data._replace(Y=data.Y @ P),
        data._replace(X=np.column_stack([data.X, np.zeros(9)])),
        data._replace(weight=np.ones((9, 3))),
    ]
    if not penalty[0]:
        same.append(data._replace(X=data.X + np.array([30.0, -10.0])))
    for other in same:
        assert solved(other).certificate.primal == pytest.approx(best, rel=1e-7)
    # F(k Y, k lam) = k^2 F(Y, lam) where no free part is penalised by its square
    if not penalty[0]:
        scaled = data._replace(Y=100.0 * data.Y, lam=100.0 * data.lam)
        assert solved(scaled).certificate.primal == pytest.approx(1e4 * best, rel=1e-7)


@penalties
def test_weights_are_repeated_rows_and_no_weight_is_no_label(penalty):
    data = random_data(7, "squared", penalty, 7, 2, 2, 0.1)
    twice = np.array([1, 2, 1, 3, 1, 1, 2])
    repeated = data._replace(X=np.repeat(data.X, twice, axis=0), Y=np.repeat(data.Y, twice, axis=0))
    weighted = data._replace(weight=twice.astype(float))
    assert solved(repeated).certificate.primal == pytest.approx(solved(weighted).certificate.primal, rel=1e-7)
    Y, weight = data.Y.copy(), np.ones(data.Y.shape)
    Y[2, 0], weight[2, 0] = np.nan, 0.0
    one, other = solved(data._replace(Y=Y)), solved(data._replace(weight=weight))
    assert one.certificate.primal == pytest.approx(other.certificate.primal, rel=1e-7)


@penalties
@pytest.mark.parametrize("spec", ["squared", "logistic"])
def test_data_on_a_line_are_those_of_one_input(spec, penalty):
    """x = t u with |u| = 1: only w . u and u' A count, so one input has the same optimum; with biases
    free the line may lie anywhere."""
    rng = np.random.default_rng(8)
    t, u = rng.standard_normal(10), np.array([0.6, -0.8])
    if spec == "logistic":
        t[5:] = t[:5]
    Y = np.where(np.arange(10) < 5, 0.0, 1.0) if spec == "logistic" else np.abs(t) + 0.1 * t**2
    shift = 0.0 if penalty[0] else np.array([2.0, 1.0])
    data = Data(spec, penalty, np.outer(t, u) + shift, Y[:, None], 0.05)
    one = kw.solve(kw.Problem(t, Y, 0.05, spec, kw.Penalty(*penalty)))
    assert solved(data).certificate.primal == pytest.approx(one.certificate.primal, rel=1e-7)


def test_more_tasks_than_rows_are_reduced():
    rng = np.random.default_rng(9)
    X, Y = rng.standard_normal((7, 2)), rng.standard_normal((7, 40))
    data = Data("squared", (False, "free"), X, Y, 0.3)
    solution = solved(data)
    assert_sound(solution.certificate, data, objective(data, solution.network))
    # weights that tasks share leave the reduction, gaps do not
    weight = rng.uniform(0.5, 2.0, 7)
    shared = solved(data._replace(weight=weight))
    slightly = weight[:, None] * (1.0 + 1e-12 * rng.uniform(size=(7, 40)))
    each = solved(data._replace(weight=slightly))
    assert shared.certificate.primal == pytest.approx(each.certificate.primal, rel=1e-7)


# ----------------------------------------------------------------------------------------- lam_max


@penalties
@pytest.mark.parametrize("spec", ["squared", "logistic"])
def test_neurons_are_needed_just_below_lam_max(spec, penalty):
    data = random_data(10, spec, penalty, 10, 2, 2, 0.1)
    problem = problem_of(data)
    largest = kw.lam_max(problem)
    above, below = kw.solve(problem.with_lam(1.01 * largest)), kw.solve(problem.with_lam(0.97 * largest))
    assert above.status is below.status is OPTIMAL
    assert above.network.n_neurons == 0
    assert below.network.n_neurons > 0


@pytest.mark.parametrize("skip", ["free", "none"])
def test_affine_labels_need_no_neuron(skip):
    X = np.random.default_rng(0).standard_normal((8, 2))
    Y = X @ [[1.0, 2.0], [0.5, -1.0]] + 3.0 if skip == "free" else np.full((8, 2), 3.0)
    problem = kw.Problem(X, Y, 0.1, penalty=kw.Penalty(False, skip))
    assert kw.lam_max(problem) == 0.0
    solution = kw.solve(problem)
    assert solution.status is OPTIMAL
    assert solution.network.n_neurons == 0


# --------------------------------------------------------------------------------- the user's limits


@pytest.fixture(scope="module")
def long():
    """A problem of several rounds."""
    return problem_of(random_data(11, "squared", (True, "none"), 40, 2, 3, 0.01))


def test_a_start_changes_the_way_but_not_the_optimum(long):
    cold = kw.solve(long)
    warm = kw.solve(long, start=cold.network)
    assert cold.status is warm.status is OPTIMAL
    assert len(warm.trace) <= 2 < len(cold.trace)
    rng = np.random.default_rng(0)
    W, b, V = rng.standard_normal((30, 2)), rng.standard_normal(30), 1e3 * rng.standard_normal((30, 3))
    for start in (
        kw.ReLUNetwork(W, b, V),
        kw.ReLUNetwork(np.zeros((1, 2)), [1.0], np.ones((1, 3))),
        kw.ReLUNetwork([[1.0, 0.0]], [-1e9], np.ones((1, 3)), None, [1e9, 0.0, 0.0]),
    ):
        again = kw.solve(long, start=start)
        assert again.status is OPTIMAL
        assert again.certificate.primal == pytest.approx(cold.certificate.primal, rel=1e-7)


@penalties
def test_a_start_with_every_part_is_taken_under_every_penalty(penalty):
    data = random_data(12, "squared", penalty, 8, 2, 2, 0.05)
    rng = np.random.default_rng(0)
    A = rng.standard_normal((2, 2)) * (penalty[1] != "none")
    start = kw.ReLUNetwork(
        rng.standard_normal((5, 2)), rng.standard_normal(5), rng.standard_normal((5, 2)), A, [1.0, 2.0]
    )
    best = solved(data).certificate.primal
    assert solved(data, start=start).certificate.primal == pytest.approx(best, rel=1e-7)


def test_rounds_are_counted(long):
    for rounds in (1, 2):
        solution = kw.solve(long, max_rounds=rounds)
        assert solution.status is kw.Status.MAX_ROUNDS
        assert len(solution.trace) == rounds
        assert solution.certificate.relative_gap > 1e-8
        assert solution.certificate.primal == pytest.approx(long.objective(solution.network), rel=1e-12)


def test_time_is_heeded():
    data = random_data(13, "squared", (False, "none"), 200, 3, 4, 1e-3)
    solution = kw.solve(problem_of(data), max_seconds=1e-3, max_cells=1)
    assert solution.status is kw.Status.MAX_SECONDS
    assert len(solution.trace) == 1
    assert np.isfinite(solution.certificate.primal)


def test_progress_sees_every_round_and_stops(long):
    seen = []

    def watch(entry):
        seen.append(entry)
        return len(seen) == 2

    solution = kw.solve(long, progress=watch)
    assert solution.status is kw.Status.STOPPED
    assert solution.trace == tuple(seen)
    assert [entry.round for entry in seen] == [0, 1]
    assert all(entry.gap >= 0.0 for entry in seen)


@penalties
def test_a_search_says_so_and_finds_the_optimum_of_small_data(penalty):
    data = random_data(14, "squared", penalty, 12, 3, 2, 0.1)
    exact = solved(data) if not penalty[0] else None
    solution = kw.solve(problem_of(data), max_cells=1, tol=1e-5)
    assert solution.status is kw.Status.SEARCHED
    assert solution.certificate.rigour is kw.Rigour.HEURISTIC
    best = objective(data, solution.network)
    assert 0.0 < solution.certificate.bound <= best
    assert_sound(solution.certificate, data, best, feasible=False)
    if exact is not None:
        assert best == pytest.approx(exact.certificate.primal, rel=1e-4)
        assert best >= exact.certificate.dual


def test_a_seed_makes_a_search_repeatable():
    problem = problem_of(random_data(15, "squared", (False, "none"), 30, 4, 2, 0.3))
    one, other = (kw.solve(problem, max_cells=1, random_state=3, max_rounds=3) for _ in range(2))
    np.testing.assert_array_equal(one.network.W, other.network.W)
    assert one.certificate.primal == other.certificate.primal


def test_a_solution_is_stored_and_loaded(tmp_path):
    data = random_data(16, ("huber", 0.4), (True, "frobenius"), 8, 2, 2, 0.05, 0.2, "labels")
    solution = solved(data)
    path = tmp_path / "fit.safetensors"
    kw.save(solution, path)
    again = kw.load(path)
    for part in ("W", "b", "V", "A", "c"):
        np.testing.assert_array_equal(getattr(again.network, part), getattr(solution.network, part))
    assert again.status is solution.status
    assert again.certificate.rigour is solution.certificate.rigour
    assert again.certificate.dual == solution.certificate.dual
    assert again.certificate.bound == solution.certificate.bound
    np.testing.assert_array_equal(again.certificate.worst_neuron, solution.certificate.worst_neuron)
    fresh = kw.certify(again.problem, again.network)
    assert fresh.dual == pytest.approx(solution.certificate.dual, rel=1e-7)


def test_a_searched_solution_keeps_its_bound_in_store(tmp_path):
    data = random_data(16, "squared", (False, "none"), 9, 3, 2, 0.3)
    solution = kw.solve(problem_of(data), max_cells=1)
    path = tmp_path / "fit.safetensors"
    kw.save(solution, path)
    again = kw.load(path)
    assert again.certificate.rigour is kw.Rigour.HEURISTIC
    assert again.certificate.bound == solution.certificate.bound < again.certificate.dual


# ---------------------------------------------------------------------------------------- bad input


def test_bad_arguments_are_named(long):
    with pytest.raises(ValueError, match="network: maps 3 inputs"):
        kw.solve(long, start=kw.ReLUNetwork(np.zeros((0, 3)), [], np.zeros((0, 3))))
    with pytest.raises(ValueError, match="tol: "):
        kw.solve(long, tol=0.0)
    with pytest.raises(ValueError, match="max_rounds: "):
        kw.solve(long, max_rounds=0)
    with pytest.raises(ValueError, match="max_seconds: "):
        kw.solve(long, max_seconds=-1.0)
    with pytest.raises(TypeError, match="progress: "):
        kw.solve(long, progress=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Y: has 4 rows but X has 5"):
        kw.Problem(np.ones((5, 2)), np.ones((4, 1)), 0.1)
    with pytest.raises(ValueError, match="X: NaN"):
        kw.Problem([[1.0, np.nan]], [1.0], 0.1)


def test_the_certificate_is_of_the_network_returned():
    for k, penalty in enumerate(PENALTIES):
        data = random_data(20 + k, "squared", penalty, 9, 2, 2, 0.05, 0.2)
        solution = solved(data)
        again = kw.certify(problem_of(data), solution.network)
        assert again.primal == solution.certificate.primal
        assert again.dual == pytest.approx(solution.certificate.dual, rel=1e-9)
        with pytest.raises(ValueError, match="read-only"):
            replace(solution).network.W[...] = 0.0


@pytest.mark.parametrize("seed", range(3))
def test_a_small_lam_is_reached_from_larger_ones(seed):
    # one task of a teacher: from nothing, at once, this lam ends several per cent above the optimum
    rng = np.random.default_rng(seed)
    w, X = rng.standard_normal(5), rng.standard_normal((20, 5))
    y = np.maximum(X @ (w / np.linalg.norm(w)), 0.0)
    problem = kw.Problem(X, y, 1e-4, penalty=kw.Penalty(False, "none"))
    solution = kw.solve(problem, max_cells=1000)
    assert solution.certificate.relative_gap <= 1e-5
    # the teacher alone interpolates at cost 1
    assert solution.certificate.primal <= 1e-4


def test_a_gap_that_a_lower_objective_refutes_is_not_the_answer(monkeypatch):
    data = random_data(3, "squared", (False, "none"), 20, 3, 2, 0.5)
    squares, penalty = Squares(data.X, data.Y, None), kw.Penalty(False, "none")
    none = several_inputs.Atoms.of(np.zeros((0, 4)))
    own, searches = UnitNeurons.search, []

    def blind_at_first(self, *arguments, **options):
        found = own(self, *arguments, **options)
        searches.append(found)
        return found if len(searches) > 1 else replace(found, values=np.append(0.55, 0.0 * found.values[1:]))

    def minimum():
        units = UnitNeurons(data.X, penalty, max_cells=1)
        return several_inputs.minimise(squares, 0.5, penalty, units, none, 1e-6, lambda fit: False)

    expected = minimum()
    monkeypatch.setattr(several_inputs, "_IDLE_ROUNDS", 1)
    monkeypatch.setattr(UnitNeurons, "search", blind_at_first)
    fit = minimum()
    assert searches[0].largest > 1.0
    assert fit.objective == pytest.approx(expected.objective, rel=1e-5)
