from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CATALOGUE
from references import second_differences
from references_ranges import Ranges

import knotwork as kw

nan = float("nan")

# the labels of task 2 at 2.5 may be anything in [0, 3]: Theorem 3.1, on any of them, says unique
GAP = np.array([0.0, 1.0, 2.5, 4.0, 5.0]), np.array([[1, 0], [3, 0], [6, nan], [9, 6], [11, 10.0]])


def bent(x, start, jumps):
    """Values at x (n,) of a line from `start` that bends by `jumps` (n - 2, T) at the inner points."""
    return start + np.maximum(x[:, None] - x[1:-1], 0.0) @ np.atleast_2d(jumps)


def aligned_data(rng, n, n_tasks, first, m):
    """Labels whose slope changes are aligned on m intervals from input `first` on, and nowhere else."""
    x = np.cumsum(rng.uniform(0.2, 1.0, n))
    jumps = rng.standard_normal((n - 2, n_tasks))
    jumps *= np.where(np.arange(n - 2) % 2, 1.0, -1.0)[:, None] * np.sign(jumps[:, :1])
    u = rng.standard_normal(n_tasks)
    inside = slice(first - 1, first + m)
    jumps[inside] = rng.uniform(0.3, 2.0, (m + 1, 1)) * u * np.sign(jumps[first - 1, 0] * u[0])
    flip = np.sign(jumps[first + m - 1, 0]) * -1.0
    for j in range(first + m, n - 2):
        jumps[j] *= flip * np.sign(jumps[j, 0])
        flip = -flip
    if first > 1:
        back = -np.sign(jumps[first - 1, 0])
        for j in range(first - 2, -1, -1):
            jumps[j] *= back * np.sign(jumps[j, 0])
            back = -back
    return x, bent(x, rng.standard_normal(n_tasks), jumps)


def penalised_labels(x, p, mass, lam):
    """(labels, fitted) of which f = bent by mass p is the fit at lam: |p| = 1 where there is mass."""
    padded = np.zeros((len(x), p.shape[1]))
    padded[1:-1] = p
    fitted = bent(x, 0.0, mass[:, None] * p)
    return fitted + lam * second_differences(x).T @ p, fitted


# ------------------------------------------------------------------------------------- verdicts


KNOWN = {
    "hat": True,
    "hat above lam_max": True,
    "three points, weighted": True,
    "two tasks": True,
    "V": True,
    "two knots, opposed": True,
    "two knots, aligned": False,
    "conflicting labels": True,
    "gap beside a line": True,
    # the knots of each task lie where the other has no labels: a mass may sit anywhere there
    "hats apart": True,
    "connect the dots": True,
    "interpolation with a gap": True,
    "interpolation, not unique": False,
    "line": True,
    "constant labels": True,
    "two rows": True,
    "one row": False,
    "equal inputs": False,
}


@pytest.mark.parametrize("known", [k for k in CATALOGUE if k.name in KNOWN], ids=lambda k: k.name)
def test_problems_solved_by_hand(known):
    problem = kw.Problem(known.X, known.Y, known.lam, sample_weight=known.weight)
    found = kw.uniqueness(kw.solve(problem))
    assert found.unique is KNOWN[known.name], found.reason
    assert found.solution_set is not None
    assert found.solution_set.is_single is found.unique


def test_where_labels_are_missing_theorem_3_1_may_say_unique_and_be_wrong():
    x, Y = GAP
    for value in (0.0, 1.0, 2.9, 3.0):
        filled = Y.copy()
        filled[2, 1] = value
        jumps = second_differences(x) @ filled
        assert np.abs(jumps).sum() == pytest.approx(4.0)
    filled[2, 1] = 0.0
    assert kw.uniqueness(x, filled).unique is True
    found = kw.uniqueness(x, Y)
    assert found.unique is False
    np.testing.assert_array_equal(found.intervals, [[1.0, 2.5], [2.5, 4.0]])
    lower, upper = found.solution_set.envelopes([2.5])
    np.testing.assert_allclose(lower, [[6.0, 0.0]], atol=1e-9)
    np.testing.assert_allclose(upper, [[6.0, 3.0]], atol=1e-9)
    assert kw.uniqueness(kw.solve(kw.Problem(x, Y, 0.3))).unique is False


def test_a_label_of_weight_zero_is_missing():
    x, Y = GAP
    weight = np.where(np.isnan(Y), 0.0, 2.0)
    filled = np.where(np.isnan(Y), -7.0, Y)
    found = kw.uniqueness(kw.solve(kw.Problem(x, filled, 0.2, sample_weight=weight)))
    assert found.unique is False
    assert len(found.intervals) == 2


@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_random_labels_of_several_tasks_are_unique(n_tasks):
    """A, Corollary 1, by Monte Carlo."""
    rng = np.random.default_rng(n_tasks)
    for _ in range(60):
        n = int(rng.integers(4, 15))
        found = kw.uniqueness(rng.uniform(0, 1, n), rng.standard_normal((n, n_tasks)))
        assert found.unique is True
        assert len(found.intervals) == 0


def test_random_labels_of_one_task_are_unique_as_often_as_signs_alternate():
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(150):
        x, y = np.sort(rng.uniform(0, 1, 6)), rng.standard_normal(6)
        sign = np.sign(second_differences(x) @ y)
        found = kw.uniqueness(x, y)
        assert found.unique is bool(np.all(sign[1:] != sign[:-1]))
        np.testing.assert_array_equal(found.intervals[:, 0], x[1:-2][sign[1:] == sign[:-1]])
        verdicts.append(found.unique)
    assert 0.1 < np.mean(verdicts) < 0.6


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(4, 9))
def test_aligned_data_are_not_unique_and_a_perturbation_of_two_tasks_makes_them_so(seed, n_tasks, n):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, n - 2))
    first = int(rng.integers(1, n - 1 - m))
    x, Y = aligned_data(rng, n, n_tasks, first, m)
    found = kw.uniqueness(x, Y)
    assert found.unique is False
    np.testing.assert_array_equal(found.intervals[:, 0], x[first : first + m])
    np.testing.assert_array_equal(found.intervals[:, 1], x[first + 1 : first + m + 1])
    moved = kw.uniqueness(x, Y + 1e-2 * rng.standard_normal(Y.shape))
    if n_tasks > 1:
        assert moved.unique is True


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans())
def test_fitted_values_at_positive_lam(seed, n_tasks, aligned):
    """Labels made from a dual point: two runs of three knots, or six knots of six directions."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.uniform(0.3, 1.0, 8))
    u = rng.standard_normal((6, n_tasks))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    if aligned:
        u[1] = u[2] = u[0]
        u[3] = u[4] = u[5] = u[0] if n_tasks == 1 else u[5]
        u[3:] *= -np.sign(u[0, 0] * u[3, 0])
    elif n_tasks == 1:
        u = np.array([[1.0], [-1.0]] * 3)
    lam = rng.uniform(0.05, 0.5)
    Y, fitted = penalised_labels(x, u, rng.uniform(0.2, 2.0, 6), lam)
    solution = kw.solve(kw.Problem(x, Y, lam))
    found = kw.uniqueness(solution)
    assert found.unique is (not aligned), found.reason
    assert len(found.intervals) == (4 if aligned else 0)
    np.testing.assert_allclose(found.solution_set.values, fitted, atol=1e-4)
    np.testing.assert_allclose(
        solution.network.predict(x), found.solution_set.sample(1).predict(x), atol=1e-4
    )


def test_a_loose_gap_is_never_a_wrong_verdict():
    """A fit with masses off by up to a tenth, or without one of its knots: what its gap leaves open is
    None with a remedy."""
    rng = np.random.default_rng(5)
    n_open = n_decided = 0
    for _ in range(25):
        n, n_tasks = int(rng.integers(5, 9)), int(rng.integers(1, 3))
        problem = kw.Problem(
            np.sort(rng.uniform(0, 3, n)), rng.standard_normal((n, n_tasks)), rng.uniform(0.01, 0.2)
        )
        fit = kw.solve(problem, tol=1e-12).network
        exact = kw.uniqueness(kw.solve(problem, tol=1e-12))
        assert exact.unique is not None
        for noise, dropped in ((1e-1, 0), (1e-2, 0), (1e-4, 0), (0.0, 1)):
            V = fit.V * (1 + noise * rng.standard_normal((fit.n_neurons, 1)))
            off = kw.ReLUNetwork(fit.W[dropped:], fit.b[dropped:], V[dropped:], fit.A, fit.c)
            found = kw.uniqueness(kw.Solution(problem, off, kw.certify(problem, off), kw.Status.OPTIMAL))
            assert found.unique in (None, exact.unique)
            if found.unique is None:
                n_open += 1
                assert found.solution_set is None
                assert "smaller tol" in found.reason
                assert len(found.intervals) == 0
            else:
                n_decided += 1
                assert set(found.intervals[:, 0]) <= set(exact.intervals[:, 0])
    assert n_open > 5
    assert n_decided > 50


def test_tolerances_are_an_angle_and_a_relative_size():
    x = np.arange(5.0)
    for angle, unique in ((1e-3, True), (1e-7, False)):
        u = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)], [-1.0, 1.0]])
        found = kw.uniqueness(x, bent(x, 0.0, u))
        assert found.unique is unique
        assert (found.tol, found.size_tol) == (1e-5, 1e-9)
    u = np.array([[1.0, 0.0], [np.cos(1e-3), np.sin(1e-3)], [-1.0, 1.0]])
    found = kw.uniqueness(x, bent(x, 0.0, u), tol=1e-2)
    assert found.unique is False
    assert found.tol == 1e-2
    for size, unique in ((1e-6, False), (1e-11, True)):
        Y = bent(x, 0.0, np.array([[1.0], [size], [-1.0]]))
        assert kw.uniqueness(x, Y).unique is unique
        assert kw.uniqueness(x, Y, size_tol=1e-5).unique is True


def test_repeated_rows_are_merged_and_order_does_not_matter():
    rng = np.random.default_rng(3)
    x, Y = aligned_data(rng, 7, 2, 2, 2)
    order = rng.permutation(np.concatenate([np.arange(7), [0, 3, 3]]))
    plain, shuffled = kw.uniqueness(x, Y), kw.uniqueness(x[order], Y[order])
    assert plain.unique is shuffled.unique is False
    np.testing.assert_array_equal(plain.intervals, shuffled.intervals)
    np.testing.assert_array_equal(kw.uniqueness(kw.solve(kw.Problem(x, Y, 0.0))).intervals, plain.intervals)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("x_shift", "y_shift"), [(1e6, 0.0), (0.0, 1e6)])
def test_an_origin_far_away_changes_no_verdict(gaps, x_shift, y_shift):
    rng = np.random.default_rng(8)
    for n_tasks in (1, 2):
        x, Y = aligned_data(rng, 8, n_tasks, 2, 3)
        generic = rng.standard_normal(Y.shape)
        if gaps:
            Y[4, 0] = generic[4, 0] = nan
        assert kw.uniqueness(x + x_shift, Y + y_shift, tol=1e-4).unique is False
        plain = kw.uniqueness(x, generic, tol=1e-4)
        moved = kw.uniqueness(x + x_shift, generic + y_shift, tol=1e-4)
        assert moved.unique is plain.unique is not None
        assert len(moved.intervals) == len(plain.intervals)


def test_a_task_of_one_label_may_have_any_slope():
    found = kw.uniqueness([0, 1, 2, 3], [[0, nan], [0, 5], [1, nan], [0, nan]])
    assert found.unique is False
    assert "task 1" in found.reason
    assert len(found.intervals) == 3
    lower, upper = found.solution_set.envelopes([0.5, 1.0, 2.5])
    np.testing.assert_array_equal(lower[:, 1], [-np.inf, 5.0, -np.inf])
    np.testing.assert_array_equal(upper[:, 1], [np.inf, 5.0, np.inf])
    np.testing.assert_allclose(lower[:, 0], upper[:, 0], atol=1e-12)
    members = [found.solution_set.sample(seed) for seed in range(3)]
    assert len({float(f.predict([2.5])[0, 1]) for f in members}) == 3
    assert all(found.solution_set.contains(f) for f in members)


# ------------------------------------------------------------------------------ conic ranges


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "uniqueness.py"
    spec = importlib.util.spec_from_file_location("benchmark_uniqueness", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(15))
def test_verdict_and_set_agree_with_conic_ranges(seed):
    outcome = load_benchmark().check(seed)
    assert outcome.failure == ""


@pytest.mark.parametrize(("lam", "first"), [(0.0, 1.0), (0.0, 3.0), (0.2, 1.0)])
def test_the_conic_range_is_wide_exactly_inside_the_intervals(lam, first):
    x = np.arange(6.0)
    Y = bent(x, 0.0, np.array([[1.0], [1.0], [-2.0], [1.0]]) @ [[1.0, -0.5]])
    Y[:, 1] += np.maximum(x - 3, 0)
    found = kw.uniqueness(kw.solve(kw.Problem(x, Y, lam)))
    ranges = Ranges(x, Y, lam)
    for low in x[:-1]:
        widths = [ranges.at(low + 0.5, 0, 1e-6, reduction) for reduction in (1.0, 0.1)]
        width = widths[-1].greatest - widths[-1].least
        assert (low in found.intervals[:, 0]) is bool(width > 0.01)


# --------------------------------------------------------------------------------- invariances


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans(), st.booleans())
def test_verdicts_do_not_depend_on_units_lines_or_rotations(seed, n_tasks, aligned, gaps):
    rng = np.random.default_rng(seed)
    x, Y = aligned_data(rng, 7, n_tasks, 2, 3)
    if not aligned:
        Y = rng.standard_normal(Y.shape)
    if gaps:
        Y[3] = nan
        Y[4, 0] = nan
    rotation = np.linalg.qr(rng.standard_normal((n_tasks, n_tasks)))[0]
    if gaps:
        # a missing label of one task is none of the rotated ones
        rotation = np.eye(n_tasks)[rng.permutation(n_tasks)]
        moved = Y[:, rotation.argmax(axis=0)]
    else:
        moved = Y @ rotation
    moved = 30.0 * moved + rng.standard_normal(n_tasks) + np.outer(x, rng.standard_normal(n_tasks))
    plain, other = kw.uniqueness(x, Y), kw.uniqueness(-5.0 * x + 2.0, moved)
    assert plain.unique is other.unique is not None
    np.testing.assert_allclose(
        np.sort(-5.0 * plain.intervals + 2.0, axis=None), other.intervals.ravel(), atol=1e-12
    )
    if aligned:
        assert plain.unique is False


# ---------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((4, 2)), np.zeros(4)), NotImplementedError, "X: 2 inputs"),
        (([0, 1, 1, 2], [0, 1, 2, 3]), ValueError, "Y: row"),
        (([0, 1, nan], [0, 1, 2]), ValueError, "X: NaN"),
        (([0, 1, 2], [0, 1]), ValueError, "Y: has 2 rows"),
        (([0, 1, 2], [nan, nan, nan]), ValueError, "Y: column 0"),
        ((["a", "b"], [0, 1]), TypeError, "X: got an array of text"),
        (([0, 1, 2],), TypeError, "solution: must be a knotwork.Solution"),
        ((None,), TypeError, "solution: must be a knotwork.Solution"),
    ],
)
def test_bad_data(arguments, error, message):
    with pytest.raises(error, match=message):
        kw.uniqueness(*arguments)


@pytest.mark.parametrize("name", ["tol", "size_tol"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1.0, ValueError), (nan, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_bad_tolerances(name, value, error):
    with pytest.raises(error, match=f"{name}: must be"):
        kw.uniqueness([0, 1, 2], [0, 1, 2], **{name: value})


def test_a_solution_and_labels_is_a_misuse():
    solution = kw.solve(kw.Problem([0, 1, 2], [0, 1, 0], 0.1))
    with pytest.raises(TypeError, match=r"uniqueness\(solution\)"):
        kw.uniqueness(solution, [0, 1, 0])


def test_what_is_not_solved_or_not_the_theorems_problem_is_left_open():
    rng = np.random.default_rng(0)
    problem = kw.Problem(rng.uniform(0, 1, 40), rng.standard_normal((40, 2)), 0.01)
    stopped = kw.solve(problem, max_rounds=1)
    found = kw.uniqueness(stopped)
    assert found.unique is None
    assert found.solution_set is None
    assert "max_rounds" in found.reason
    other = kw.Problem([0, 1, 2], [0, 1, 0], 0.1, penalty=kw.Penalty(biases=False, skip="none"))
    fit = kw.solve(kw.Problem([0, 1, 2], [0, 1, 0], 0.1))
    found = kw.uniqueness(kw.Solution(other, fit.network, fit.certificate, kw.Status.OPTIMAL))
    assert found.unique is None
    assert "penalty" in found.reason
