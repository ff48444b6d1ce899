"""Every loss under every penalty: against CVXPY, by equivalences, and how a solve ends."""

from __future__ import annotations

import numpy as np
import pytest
from loss_problems import MIXED, PAIRS, SMOOTH_MIXED, Case, assert_sound, name_of, random_case
from references import conic_optimum
from references_losses import PENALTIES, SPECS, conic_interpolation, conic_loss_optimum

import knotwork as kw

EVERY = [*PAIRS, *((mix, penalty) for mix in (MIXED, SMOOTH_MIXED) for penalty in PENALTIES)]
FEW = [*PAIRS, (MIXED, (False, "none")), (MIXED, (True, "frobenius")), (SMOOTH_MIXED, (False, "free"))]


def assert_optimal(case, tol=1e-8, oracle=True):
    solution = kw.solve(case.problem, tol=tol)
    best = case.objective(solution.network)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.relative_gap <= tol
    assert solution.certificate.primal == pytest.approx(best, rel=1e-10)
    assert_sound(solution.certificate, case, best)
    if oracle:
        conic = conic_loss_optimum(case.spec, case.penalty, case.X, case.Y, case.lam, case.weight).primal
        assert best <= conic * (1.0 + 1e-6)
        # with penalised biases the oracle's neurons are on a grid: an upper bound
        assert best >= conic * (1.0 - (1e-3 if case.penalty[0] else 1e-6))
        assert solution.certificate.dual <= conic * (1.0 + 1e-7)
    return solution


# ---------------------------------------------------------------------------------- against CVXPY


@pytest.mark.parametrize(("k", "spec", "penalty"), [(k, *pair) for k, pair in enumerate(FEW)], ids=name_of)
def test_the_optimum_is_that_of_a_conic_solver(k, spec, penalty):
    gaps, weights = [(0.0, None), (0.3, "rows"), (0.3, "labels")][k % 3]
    assert_optimal(
        random_case(150 + k, spec, penalty, n=15, gaps=gaps, weights=weights, lam=[0.03, 0.3][k % 2])
    )


@pytest.mark.slow
@pytest.mark.parametrize("lam", [0.01, 0.3])
@pytest.mark.parametrize("form", [(0.4, None), (0.3, "labels")], ids=str)
@pytest.mark.parametrize(("spec", "penalty"), EVERY, ids=name_of)
def test_the_optimum_is_that_of_a_conic_solver_whatever_the_data(spec, penalty, form, lam):
    case = random_case(70, spec, penalty, 18, lam, *form, spacing="repeated" if form[1] else "random")
    if kw.solve(case.problem).status is not kw.Status.UNATTAINED:
        assert_optimal(case)


@pytest.mark.parametrize(("spec", "penalty"), [pair for pair in EVERY if not pair[1][0]], ids=name_of)
def test_above_lam_max_the_fit_without_neurons_is_optimal(spec, penalty):
    case = random_case(80, spec, penalty, n=16, lam=1e3)
    solution = assert_optimal(case, oracle=False)
    assert solution.network.n_neurons == 0
    assert case.objective(solution.network) <= case.objective(case.problem.free_fit()) * (1 + 1e-8)


@pytest.mark.parametrize("spec", ["logistic", "poisson", ("huber", 0.4), "multinomial", ("quantile", 0.3)])
@pytest.mark.parametrize("skip", ["free", "none"])
def test_lam_max_parts_networks_from_lines(spec, skip):
    case = random_case(85, spec, (False, skip), n=16)
    largest = kw.lam_max(case.problem)
    above, below = (
        kw.solve(case.problem.with_lam(1.01 * largest)),
        kw.solve(case.problem.with_lam(0.98 * largest)),
    )
    assert above.network.n_neurons == 0
    assert below.network.n_neurons > 0
    for solution in (above, below):
        assert solution.certificate.relative_gap <= 1e-8


# ----------------------------------------------------------------------------------- equivalences


def assert_same(one, other, rel=1e-6):
    """One optimum; two certificates of 1e-8 allow no more."""
    a, b = kw.solve(one), kw.solve(other)
    for solution in (a, b):
        assert solution.status is kw.Status.OPTIMAL
    assert a.certificate.primal == pytest.approx(b.certificate.primal, rel=rel)
    return a, b


@pytest.mark.parametrize("penalty", PENALTIES[1:])
def test_squared_loss_sees_no_rotation_of_tasks(penalty):
    case = random_case(90, "squared", penalty, n_tasks=3)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    turned = Case("squared", penalty, case.X, case.Y @ turn, case.lam)
    a, b = assert_same(case.problem, turned.problem, rel=2e-8)
    f, g = a.network.predict(case.X), b.network.predict(case.X)
    np.testing.assert_allclose(f @ turn, g, atol=2e-3)


@pytest.mark.parametrize("penalty", [(False, "none"), (True, "frobenius")])
@pytest.mark.parametrize("spec", SPECS[1:], ids=name_of)
def test_weights_are_repeated_rows_and_weight_zero_a_missing_label(spec, penalty):
    case = random_case(91, spec, penalty, n=12)
    times = np.random.default_rng(1).integers(0, 3, 12)
    times[0] = 1
    weighted = Case(spec, penalty, case.X, case.Y, case.lam, times.astype(float))
    repeated = Case(spec, penalty, np.repeat(case.X, times), np.repeat(case.Y, times, axis=0), case.lam)
    assert_same(weighted.problem, repeated.problem, rel=2e-8)
    gone = np.where(times[:, None] > 0, case.Y, np.nan)
    missing = Case(spec, penalty, case.X, gone, case.lam, np.maximum(times, 1).astype(float))
    assert_same(weighted.problem, missing.problem, rel=2e-8)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_wide_huber_loss_is_squared(penalty):
    case = random_case(92, "squared", penalty, gaps=0.2)
    huber = Case(("huber", 1e6), penalty, case.X, case.Y, case.lam)
    a, b = assert_same(case.problem, huber.problem, rel=2e-8)
    np.testing.assert_allclose(a.network.predict(case.X), b.network.predict(case.X), atol=2e-3)


@pytest.mark.parametrize("penalty", PENALTIES[:2])
def test_two_classes_are_one_binary_label(penalty):
    # f = (-u, u)/2 costs |u|/sqrt 2
    case = random_case(93, "logistic", penalty, n=18, n_tasks=1, lam=0.2 / np.sqrt(2.0))
    classes = Case("multinomial", penalty, case.X, np.hstack([1.0 - case.Y, case.Y]), 0.2)
    a, b = assert_same(case.problem, classes.problem, rel=2e-8)
    f = b.network.predict(case.X)
    np.testing.assert_allclose(f[:, 1] - f[:, 0], a.network.predict(case.X)[:, 0], atol=2e-3)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("spec", ["squared", "logistic", ("quantile", 0.3)], ids=name_of)
def test_mirrored_inputs_and_exchanged_tasks_change_nothing(spec, penalty):
    case = random_case(94, spec, penalty, n=16)
    mirrored = Case(spec, penalty, -case.X[::-1], case.Y[::-1, ::-1], case.lam)
    assert_same(case.problem, mirrored.problem, rel=2e-8)


def test_tasks_that_share_nothing_and_one_alone():
    # a second task of constant labels is met by c for nothing
    case = random_case(95, ("huber", 0.4), (False, "none"), n_tasks=1)
    both = Case(
        ["squared", ("huber", 0.4)], (False, "none"), case.X, np.hstack([0 * case.Y + 3.0, case.Y]), case.lam
    )
    assert_same(case.problem, both.problem, rel=2e-8)


def test_half_the_absolute_error_is_the_median():
    x, y = np.zeros(5), np.array([1.0, 9.0, 2.0, 4.0, -50.0])
    solution = kw.solve(kw.Problem(x, y, 0.1, "quantile"))
    assert solution.network.predict([0.0])[0, 0] == pytest.approx(2.0, abs=1e-6)
    assert solution.certificate.primal == pytest.approx(0.5 * (1 + 7 + 0 + 2 + 52), rel=1e-9)


# ----------------------------------------------------------------------------------- interpolation


@pytest.mark.parametrize("gaps", [0.0, 0.25])
@pytest.mark.parametrize("penalty", PENALTIES[1:])
def test_at_lam_zero_the_cost_is_that_of_a_conic_solver(penalty, gaps):
    case = random_case(96, "squared", penalty, n=8, gaps=gaps)
    problem = kw.Problem(case.X, case.Y, 0.0, penalty=kw.Penalty(*penalty))
    solution = kw.solve(problem, tol=1e-6)
    assert solution.status is kw.Status.OPTIMAL
    best = conic_interpolation(penalty, case.X, case.Y, 300)
    cost = solution.network.cost(problem.penalty)
    assert problem.misfit(solution.network) <= 1e-9 * problem.label_scale
    assert cost <= best * (1.0 + 1e-6)
    assert cost >= best * (1.0 - (1e-3 if penalty[0] else 1e-6))
    assert solution.certificate.dual <= best * (1.0 + 1e-8)


def test_at_lam_zero_a_free_skip_connects_the_dots_under_any_loss_of_quantities():
    case = random_case(97, "squared", (False, "free"), n=9)
    best = conic_optimum(case.X, case.Y, 0.0)
    for loss in ("squared", "huber", "quantile", ["squared", "quantile"]):
        solution = kw.solve(kw.Problem(case.X, case.Y, 0.0, loss))
        assert solution.certificate.primal == pytest.approx(best.primal, rel=1e-7)


# ------------------------------------------------------------------------------- how a solve ends

HARD = [("logistic", (False, "free")), ("squared", (True, "none")), ("multinomial", (True, "nuclear"))]
HARD += [(("quantile", 0.3), (False, "none"))]


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"max_rounds": 1}, "MAX_ROUNDS"),
        ({"max_rounds": 2}, "MAX_ROUNDS"),
        ({"max_seconds": 1e-9}, "MAX_SECONDS"),
        ({"progress": lambda entry: True}, "STOPPED"),
    ],
)
@pytest.mark.parametrize(("spec", "penalty"), HARD, ids=name_of)
def test_stopped_early_the_certificate_is_honest(spec, penalty, limits, status):
    case = random_case(98, spec, penalty, n=40, lam=0.02)
    best = kw.solve(case.problem)
    solution = kw.solve(case.problem, tol=1e-12, **limits)
    assert solution.status.name == status
    assert len(solution.trace) >= 1
    assert solution.certificate.relative_gap > 1e-12
    assert solution.certificate.primal == pytest.approx(case.objective(solution.network), rel=1e-10)
    assert solution.certificate.primal >= best.certificate.dual
    assert_sound(solution.certificate, case, case.objective(best.network))


@pytest.mark.parametrize(("spec", "penalty"), HARD, ids=name_of)
def test_trace_and_progress_tell_the_same_story(spec, penalty):
    case, seen = random_case(99, spec, penalty, n=30), []
    solution = kw.solve(case.problem, progress=seen.append)
    assert solution.trace == tuple(seen)
    assert [entry.round for entry in seen] == list(range(len(seen)))
    assert all(entry.gap >= 0 for entry in seen)
    assert min(entry.objective for entry in seen) >= solution.certificate.dual * (1 - 1e-9)


@pytest.mark.parametrize(("spec", "penalty"), HARD, ids=name_of)
def test_from_the_solution_it_takes_few_rounds(spec, penalty):
    case = random_case(100, spec, penalty, n=30)
    cold = kw.solve(case.problem)
    warm = kw.solve(case.problem, start=cold.network)
    assert warm.status is kw.Status.OPTIMAL
    assert len(warm.trace) <= len(cold.trace)
    assert warm.certificate.primal == pytest.approx(cold.certificate.primal, rel=2e-8)
    # a start that knows nothing does no harm
    rng = np.random.default_rng(0)
    T = case.Y.shape[1]
    odd = kw.ReLUNetwork(rng.standard_normal((4, 1)), rng.standard_normal(4), rng.standard_normal((4, T)))
    assert kw.solve(case.problem, start=odd).certificate.primal == pytest.approx(
        cold.certificate.primal, rel=2e-8
    )


@pytest.mark.parametrize(("spec", "penalty"), HARD, ids=name_of)
def test_the_same_call_gives_the_same_answer(spec, penalty):
    case = random_case(101, spec, penalty)
    one, other = kw.solve(case.problem), kw.solve(case.problem)
    for name in "WbVAc":
        assert np.array_equal(getattr(one.network, name), getattr(other.network, name))
