"""Squared loss under penalised biases, or without a skip connection: closed forms, CVXPY, the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import Case, assert_sound, random_case, random_network
from references_losses import PENALTIES, brute_force_response, conic_loss_optimum

import knotwork as kw
from knotwork.penalty import Penalty
from knotwork.points import Points
from knotwork.solvers.conditional_gradient import arc_ends, minimise, start_atoms
from knotwork.solvers.dictionary import Atoms

OTHERS = PENALTIES[1:]
BIASED = PENALTIES[2:]


def solve(x, y, lam, penalty, **options):
    return kw.solve(kw.Problem(x, y, lam, penalty=kw.Penalty(*penalty)), **options)


# ------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("penalty", BIASED)
@pytest.mark.parametrize(
    ("y", "c", "f"), [(3.0, 1.0, 2.9), (-3.0, -1.0, -2.9), (0.05, 0.05 / 1.1, 0.05 / 1.1)]
)
def test_one_datum_at_zero(penalty, y, c, f):
    # a constant costs c^2 / 2 up to 1 and the pole neuron (0, 1) its size: f = y - lam beyond, y / (1 + lam)
    solution = solve([0.0], [y], 0.1, penalty)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.network.c[0] == pytest.approx(c, rel=1e-7)
    assert solution.network.predict([0.0])[0, 0] == pytest.approx(f, rel=1e-7)
    if abs(y) > 1.0:
        expected = 0.1**2 / 2 + 0.1 * (0.5 + 1.9)
    else:
        expected = y * y * 0.1 / (2 * 1.1)
    assert solution.certificate.primal == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("x", [0.5, -2.0])
def test_one_datum_elsewhere(x):
    # the best unit neuron responds r = sqrt(1 + x^2): f = y - lam (r^-1 of it), c = alpha / lam
    y, lam, r = 4.0, 0.1, np.hypot(1.0, x)
    solution = solve([x], [y], lam, (True, "none"))
    alpha = lam / r
    assert solution.network.predict([x])[0, 0] == pytest.approx(y - alpha, rel=1e-9)
    assert solution.network.c[0] == pytest.approx(alpha / lam, rel=1e-6)
    worth = alpha * y - alpha**2 / 2 - alpha**2 / (2 * lam)
    assert solution.certificate.primal == pytest.approx(worth, rel=1e-8)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(-3.0, 1.0), st.sampled_from(BIASED))
def test_the_constant_is_at_most_one_whatever_lam(seed, log_lam, penalty):
    rng = np.random.default_rng(seed)
    solution = solve(rng.uniform(-1, 1, 6), 5.0 + rng.standard_normal((6, 2)), 10.0**log_lam, penalty)
    # a neuron far away makes a constant at linear cost
    assert np.linalg.norm(solution.network.c) <= 1.0 + 1e-3
    assert solution.certificate.relative_gap <= 1e-7


THREE = ([1.938, 3.837, 3.800], [1.200, 0.439, 1.414])


@pytest.mark.parametrize(
    ("lam", "bends"), [(0.11, False), (0.13, True), (1.0, True), (6.7, True), (6.8, False)]
)
def test_the_neuron_free_lams_are_no_half_line(lam, bends):
    solution = solve(*THREE, lam, (True, "none"))
    assert solution.certificate.relative_gap <= 1e-8
    free = kw.Problem(*THREE, lam, penalty=kw.Penalty(True, "none"))
    at_none = free.objective(free.free_fit())
    assert (solution.network.n_neurons > 0) == bends
    assert (solution.certificate.primal < at_none * (1 - 1e-7)) == bends


def test_lam_max_where_the_response_hardly_changes_with_lam():
    # centred labels: c is 0 at every lam, and the response the same but for rounding
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, Y = rng.uniform(-1.0, 1.0, 30), rng.standard_normal((30, 2))
        problem = kw.Problem(x, Y - Y.mean(axis=0), 1.0, penalty=kw.Penalty(True, "none"))
        largest = kw.lam_max(problem)
        assert kw.solve(problem.with_lam(1.0001 * largest)).network.n_neurons == 0
        assert kw.solve(problem.with_lam(0.999 * largest)).network.n_neurons > 0


def test_lam_max_is_the_upper_end_of_them():
    problem = kw.Problem(*THREE, 1.0, penalty=kw.Penalty(True, "none"))
    assert kw.lam_max(problem) == pytest.approx(6.714, abs=1e-3)
    for penalty in BIASED:
        problem = kw.Problem(*THREE, 1.0, penalty=kw.Penalty(*penalty))
        largest = kw.lam_max(problem)
        assert kw.solve(problem.with_lam(1.001 * largest)).network.n_neurons == 0
        below = problem.with_lam(0.99 * largest)
        assert kw.solve(below).certificate.primal < below.objective(below.free_fit())


def test_without_a_skip_connection_a_line_costs_its_slope():
    # one fully active neuron with its kink at the outermost datum: y = 2 x costs 2 lam, less its shrinkage
    x = np.array([-1.0, 0.0, 1.0])
    solution = solve(x, 2.0 * x, 0.1, (False, "none"))
    # f = s x: 2 (2 - s)^2 / 2 + lam s is least at s = 2 - lam / 2
    assert solution.certificate.primal == pytest.approx(0.05**2 + 0.1 * 1.95, rel=1e-9)
    np.testing.assert_allclose(solution.network.predict(x)[:, 0], 1.95 * x, atol=1e-5)
    assert not solution.network.A.any()


@pytest.mark.parametrize("penalty", OTHERS)
def test_constant_labels_need_no_neuron_where_the_constant_is_free(penalty):
    solution = solve([0.0, 1.0, 2.0], [0.5, 0.5, 0.5], 0.3, penalty)
    if not penalty[0]:
        assert solution.network.n_neurons == 0
        assert solution.certificate.primal == pytest.approx(0.0, abs=1e-15)
    else:
        # 3 (y - c)^2 / 2 + lam c^2 / 2 bounds it above
        assert solution.certificate.primal <= 0.5 * 0.25 * 3 * 0.3 / 3.3 * (1 + 1e-9)


# ----------------------------------------------------------------------------- against CVXPY, sizes


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, "labels"), (0.0, "rows")])
@pytest.mark.parametrize("lam", [1e-3, 0.03, 1.0])
@pytest.mark.parametrize("penalty", OTHERS)
def test_small_gaps_at_every_strength(penalty, lam, gaps, weights):
    case = random_case(7, "squared", penalty, 25, lam, gaps, weights, n_tasks=3)
    solution = kw.solve(case.problem)
    assert solution.certificate.relative_gap <= 1e-8
    assert_sound(solution.certificate, case, case.objective(solution.network))


@pytest.mark.parametrize("penalty", OTHERS)
@pytest.mark.parametrize("spacing", ["regular", "clustered", "repeated", "log-normal"])
def test_spacings(penalty, spacing):
    case = random_case(8, "squared", penalty, 16, 0.05, spacing=spacing)
    solution = kw.solve(case.problem)
    assert solution.status is kw.Status.OPTIMAL
    assert_sound(solution.certificate, case, case.objective(solution.network))
    best = conic_loss_optimum("squared", penalty, case.X, case.Y, case.lam).primal
    assert solution.certificate.dual <= best * (1 + 1e-7)
    assert solution.certificate.primal <= best * (1 + 1e-6)


@pytest.mark.parametrize("n", [300, 10_000])
@pytest.mark.parametrize("penalty", [(True, "none"), (False, "none")])
def test_many_data(penalty, n):
    rng = np.random.default_rng(9)
    x = rng.uniform(0.0, 1.0, n)
    Y = np.column_stack([np.sin(7 * x), np.abs(x - 0.4)]) + 0.1 * rng.standard_normal((n, 2))
    solution = solve(x, Y, 1e-3 * n, penalty)
    assert solution.status is kw.Status.OPTIMAL
    case = Case("squared", penalty, x, Y, 1e-3 * n)
    assert_sound(
        solution.certificate, case, case.objective(solution.network), n_grid=201
    ) if n < 1000 else None
    assert 0 < solution.network.n_neurons < 30


# ------------------------------------------------------------------------------------- the pieces


@pytest.mark.parametrize("penalty", OTHERS)
def test_the_gap_of_a_fit_covers_its_distance(penalty):
    case = random_case(10, "squared", penalty, 20, 0.05, 0.2, "labels")
    best = kw.solve(case.problem).certificate
    seen = []
    fit = minimise(
        Points.from_problem(case.problem),
        case.lam,
        Penalty(*penalty),
        Atoms.none(),
        1e-9,
        lambda f: seen.append(f),
    )
    assert len(seen) > 2
    for one in seen:
        assert one.gap >= one.objective - best.primal - 1e-12 * best.primal
        assert one.objective == pytest.approx(case.objective(one.network), rel=1e-9)
        np.testing.assert_allclose(
            one.fitted, one.network.predict(np.unique(case.X))[: len(one.fitted)], rtol=1e-9
        )
    assert fit.gap == min(one.gap for one in seen)
    assert fit.gap <= 1e-9 * fit.objective


@pytest.mark.parametrize("penalty", OTHERS)
def test_the_optimal_neurons_respond_with_lam_along_their_weights(penalty):
    case = random_case(12, "squared", penalty, 20, 0.05)
    solution = kw.solve(case.problem, tol=1e-11)
    net = solution.network.canonicalise(case.problem.penalty)
    alpha = case.Y - solution.network.predict(case.X)
    answer = np.maximum(case.X * net.W + net.b[:, None], 0.0) @ alpha
    size = np.linalg.norm(net.V, axis=1)
    heavy = size > 1e-3 * size.max()
    expected = case.lam * net.V / size[:, None]
    np.testing.assert_allclose(answer[heavy], expected[heavy], atol=2e-3 * case.lam)
    assert brute_force_response(case.X, alpha, penalty[0]) == pytest.approx(case.lam, rel=1e-4)
    if penalty[0]:
        np.testing.assert_allclose(case.lam * solution.network.c, alpha.sum(axis=0), atol=1e-4 * case.lam)
    else:
        np.testing.assert_allclose(alpha.sum(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize("penalty", OTHERS)
def test_a_network_as_atoms_has_its_costs(penalty):
    case = random_case(13, "squared", penalty)
    network = random_network(np.random.default_rng(0), case, 5)
    atoms = start_atoms(network, Penalty(*penalty))
    charged = network.neuron_costs(Penalty(*penalty)).sum()
    assert atoms.mass[~atoms.linear].sum() == pytest.approx(charged, rel=1e-12)
    assert atoms.linear.any() == (penalty[1] == "nuclear")
    if penalty[1] == "nuclear":
        assert atoms.mass[atoms.linear] == pytest.approx([np.linalg.norm(network.A)])


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_arcs_have_the_same_active_data_all_along(seed, n):
    rng = np.random.default_rng(seed)
    x = np.unique(rng.integers(-5, 5, n)).astype(float)
    turn = rng.uniform(-np.pi, np.pi, 6)
    atoms = Atoms(np.cos(turn), np.sin(turn), np.ones(6), np.zeros(6, dtype=bool))
    first, last = arc_ends(atoms, x)
    low, high = atoms.active(x)
    begin, end = np.arctan2(first[:, 1], first[:, 0]), np.arctan2(last[:, 1], last[:, 0])
    width = np.mod(end - begin, 2 * np.pi)
    inside = np.mod(turn - begin, 2 * np.pi)
    silent = low >= high
    assert np.all((inside <= width + 1e-9) | silent)
    for share in (1e-3, 0.3, 0.999):
        at = begin + share * width
        moved = Atoms(np.cos(at), np.sin(at), np.ones(6), np.zeros(6, dtype=bool))
        moved_low, moved_high = moved.active(x)
        assert np.array_equal(moved_low[~silent], low[~silent])
        assert np.array_equal(moved_high[~silent], high[~silent])
    # and no further: beyond either end another datum joins or leaves
    for at in (begin - 1e-3, end + 1e-3):
        moved = Atoms(np.cos(at), np.sin(at), np.ones(6), np.zeros(6, dtype=bool))
        moved_low, moved_high = moved.active(x)
        assert np.all(((moved_low != low) | (moved_high != high))[~silent])
