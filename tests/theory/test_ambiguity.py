"""Bands over all near-optimal networks against conic programmes, the solution set, and networks in them."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.dual_norm import Rigour
from knotwork.theory.ambiguity import ambiguity

NONE = kw.Penalty(False, "none")
LOSSES = {
    "squared": lambda y, f: cp.sum_squares(f - y) / 2,
    "huber": lambda y, f: cp.sum(cp.huber(f - y, 0.1)) / 2,
    "logistic": lambda y, f: cp.sum(cp.logistic(f) - cp.multiply(y, f)),
    "quantile": lambda y, f: cp.sum(cp.maximum(0.3 * (y - f), -0.7 * (y - f))),
}
OBJECTS = {"huber": kw.Huber(0.1), "quantile": kw.Quantile(0.3)}


def bent_data(seed, n=16, gaps=0.0):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 1, n))
    Y = np.column_stack([np.abs(x - 0.4), np.maximum(x - 0.6, 0)]) + 0.05 * rng.standard_normal((n, 2))
    Y[rng.uniform(size=Y.shape) < gaps] = np.nan
    return x, Y


def conic_end(problem, neurons, at, task, sign, level, name="squared"):
    """The greatest sign f_t(at) over these unit neurons, F at most `level`."""
    X, Y, T = problem.X, problem.Y, problem.n_tasks
    W, b = neurons
    V, A, c = cp.Variable((len(W), T)), cp.Variable((X.shape[1], T)), cp.Variable((1, T))
    features, here = np.maximum(X @ W.T + b, 0), np.maximum(at @ W.T + b, 0)
    F = features @ V + X @ A + np.ones((len(X), 1)) @ c
    seen = ~np.isnan(Y)
    loss = sum(LOSSES[name](Y[seen[:, t], t], F[np.flatnonzero(seen[:, t]), t]) for t in range(T))
    bounds = [loss + problem.lam * cp.sum(cp.norm(V, 2, axis=1)) <= level]
    if problem.penalty.skip == "none":
        bounds.append(A == 0)
    end = cp.Problem(cp.Maximize(sign * (here @ V[:, task] + at @ A[:, task] + c[0, task])), bounds)
    end.solve(solver=cp.CLARABEL)
    return sign * float(end.value)


def hinges(x, at):
    knots = np.unique(np.append(x, at))
    return np.ones((len(knots), 1)), -knots


@pytest.mark.parametrize("seed", range(3))
def test_bands_against_a_conic_solver(seed):
    x, Y = bent_data(seed, gaps=0.2)
    solution = kw.solve(kw.Problem(x, Y, 0.02), tol=1e-12)
    places = np.array([-0.1, 0.3, 1.2, x[4]])
    found = ambiguity(solution, places)
    level = 1.01 * solution.certificate.primal
    for sign, band in ((-1, found.low), (1, found.high)):
        conic = [
            [conic_end(solution.problem, hinges(x, p), np.array([p]), t, sign, level) for t in range(2)]
            for p in places
        ]
        np.testing.assert_allclose(band, conic, atol=1e-6)
    assert found.rigour is Rigour.EXACT
    assert found.finished
    assert np.all(found.high - found.low > 0.01)
    np.testing.assert_allclose(found.found_high, found.high, atol=1e-6)
    np.testing.assert_allclose(found.found_low, found.low, atol=1e-6)


@pytest.mark.parametrize("name", ["huber", "logistic", "quantile"])
def test_other_losses_against_a_conic_solver(name):
    x, Y = bent_data(7, n=12)
    if name == "logistic":
        Y = np.greater(Y, Y.mean(axis=0)).astype(float)
        Y[[2, 9]] = 1.0 - Y[[2, 9]]
    solution = kw.solve(kw.Problem(x, Y, 0.1, OBJECTS.get(name, name)), tol=1e-11)
    found = ambiguity(solution, [0.5], 0.02, tasks=[1])
    level = 1.02 * solution.certificate.primal
    conic = [
        conic_end(solution.problem, hinges(x, 0.5), np.array([0.5]), 1, sign, level, name) for sign in (-1, 1)
    ]
    np.testing.assert_allclose([found.low[0, 0], found.high[0, 0]], conic, atol=2e-5)
    assert found.tasks == (1,)


@pytest.mark.parametrize("skip", ["free", "none"])
def test_two_inputs_hold_what_a_dictionary_of_neurons_reaches(skip):
    rng = np.random.default_rng(2)
    X = rng.uniform(-1, 1, (10, 2))
    Y = np.abs(X @ [1.0, 0.5])[:, None] + 0.1 * rng.standard_normal((10, 1))
    solution = kw.solve(kw.Problem(X, Y, 0.05, penalty=kw.Penalty(False, skip)), tol=1e-11)
    at = np.array([0.2, -0.3])
    found = ambiguity(solution, at[None], 0.05)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    W = np.repeat(np.column_stack([np.cos(angle), np.sin(angle)]), 11, axis=0)
    b = -np.sum(W * np.tile(np.vstack([X, at]), (60, 1)), axis=1)
    level = 1.05 * solution.certificate.primal
    low, high = (conic_end(solution.problem, (W, b), at, 0, sign, level) for sign in (-1, 1))
    width = found.high[0, 0] - found.low[0, 0]
    assert found.low[0, 0] <= low + 1e-7
    assert high <= found.high[0, 0] + 1e-7
    assert high - low >= 0.95 * width
    assert found.found_high[0, 0] - found.found_low[0, 0] >= (1 - 1e-4) * width


@pytest.mark.parametrize("lam", [0.0, 0.05])
@pytest.mark.parametrize("n_tasks", [1, 2])
def test_at_eps_zero_the_bands_are_the_envelopes_of_all_solutions(lam, n_tasks):
    x, size = np.arange(6.0), np.array([[1.0, 2.0]])[:, :n_tasks]
    bends = sum(jump * np.maximum(x - place, 0.0) for place, jump in ((1, 1.0), (2, 0.5), (4, -2.0)))
    solution = kw.solve(kw.Problem(x, bends[:, None] * size, lam), tol=1e-13)
    answer = kw.uniqueness(solution)
    assert answer.unique is False
    places = np.array([0.5, 1.5, 3.3])
    found = ambiguity(solution, places, 0.0, tol=1e-8)
    low, high = answer.solution_set.envelopes(places)
    np.testing.assert_allclose(found.low, low, atol=1e-6)
    np.testing.assert_allclose(found.high, high, atol=1e-6)
    assert np.max(high - low) > 0.1


@pytest.mark.parametrize(
    ("penalty", "lam"),
    [
        (kw.Penalty(True, "none"), 0.02),
        (kw.Penalty(True, "frobenius"), 0.02),
        (kw.Penalty(True, "nuclear"), 0.02),
        (NONE, 0.02),
        (kw.Penalty(), 0.0),
    ],
    ids=["all", "frobenius", "nuclear", "none", "interpolation"],
)
def test_what_is_proven_is_attained_under_every_penalty(penalty, lam):
    x, Y = bent_data(3, n=10)
    solution = kw.solve(kw.Problem(x, Y, lam, penalty=penalty), tol=1e-11)
    found = ambiguity(solution, [0.33, 1.1], 0.02)
    own = solution.network.predict([0.33, 1.1])
    assert np.all(found.low < own)
    assert np.all(own < found.high)
    width = np.max(found.high - found.low)
    np.testing.assert_allclose(found.found_low, found.low, atol=1e-5 * width)
    np.testing.assert_allclose(found.found_high, found.high, atol=1e-5 * width)
    # the networks of another strength that are just as near are inside
    for other in (0.9, 1.1):
        network = kw.solve(kw.Problem(x, Y, other * lam, penalty=penalty)).network
        if solution.problem.objective(network) <= 1.02 * solution.certificate.primal:
            f = network.predict([0.33, 1.1])
            assert np.all((found.low <= f) & (f <= found.high))


BAND_DATA = bent_data(11, gaps=0.1)
BAND_SOLUTION = kw.solve(kw.Problem(*BAND_DATA, 0.02), tol=1e-12)
BAND = ambiguity(BAND_SOLUTION, np.linspace(-0.2, 1.2, 5), 0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 10.0))
def test_no_network_within_eps_is_outside(seed, size):
    rng = np.random.default_rng(seed)
    best, problem = BAND_SOLUTION.network, BAND_SOLUTION.problem
    knots = rng.uniform(-0.3, 1.3, 3)
    V, A, c = size * rng.standard_normal((3, 2)), size * rng.standard_normal((1, 2)), rng.standard_normal(2)

    def moved(share):
        return kw.ReLUNetwork(
            np.vstack([best.W, np.ones((3, 1))]),
            np.concatenate([best.b, -knots]),
            np.vstack([best.V, share * V]),
            best.A + share * A,
            best.c + share * c,
        )

    level = 1.05 * BAND_SOLUTION.certificate.primal
    inside, outside = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (inside + outside)
        if problem.objective(moved(middle)) <= level:
            inside = middle
        else:
            outside = middle
    f = moved(inside).predict(BAND.x)
    assert np.all((BAND.low <= f + 1e-9) & (f - 1e-9 <= BAND.high))


def test_the_unit_of_labels_does_not_matter_and_more_eps_is_a_wider_band():
    x, Y = bent_data(5)
    one = ambiguity(kw.Problem(x, Y, 0.02), [0.5])
    ten = ambiguity(kw.Problem(x, 10.0 * Y, 0.2), [0.5])
    np.testing.assert_allclose(ten.high, 10.0 * one.high, rtol=1e-5)
    wide = ambiguity(one.solution, [0.5], 0.1)
    assert np.all(wide.low < one.low)
    assert np.all(one.high < wide.high)


def test_what_labels_leave_open_is_infinite():
    Y = np.array([[0.0, 1.0], [1.0, np.nan], [0.5, np.nan]])
    found = ambiguity(kw.Problem([0.0, 1.0, 2.0], Y, 0.1), [0.0, 1.5])
    assert np.isinf(found.high[1, 1])
    assert np.isinf(found.low[1, 1])
    assert np.isfinite(found.high[:, 0]).all()
    assert np.isfinite(found.high[0, 1])
    plane = np.column_stack([np.arange(5.0), np.arange(5.0)])
    found = ambiguity(kw.Problem(plane, np.arange(5.0) ** 2, 0.1), [[1.0, 1.0], [1.0, 2.0]])
    assert np.isfinite(found.high[0, 0])
    assert np.isinf(found.high[1, 0])


def test_a_label_that_must_be_met_has_no_band():
    found = ambiguity(kw.Problem([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 0.0, 2.0], 0.0), [1.0, 1.5])
    assert found.low[0, 0] == found.high[0, 0] == pytest.approx(1.0)
    assert found.low[1, 0] < found.high[1, 0]


def test_a_search_says_so_and_a_stop_leaves_valid_bands():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (12, 4))
    y = np.abs(X[:, 0]) + 0.1 * rng.standard_normal(12)
    found = ambiguity(kw.Problem(X, y, 0.1), X[:1] + 0.1, max_cells=0)
    assert found.rigour is Rigour.HEURISTIC
    assert found.low[0, 0] < found.high[0, 0]
    stopped = ambiguity(BAND_SOLUTION, BAND.x, 0.05, max_seconds=1e-9)
    assert not stopped.finished
    assert stopped.n_solves == 0
    assert np.all(np.isinf(stopped.high))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, [0.0]), TypeError, "solution: must be"),
        ((BAND_SOLUTION, [np.nan]), ValueError, "x"),
        ((BAND_SOLUTION, [[0.0, 1.0]]), ValueError, r"x: must have shape \(n, 1\)"),
        ((BAND_SOLUTION, [0.0], -0.1), ValueError, "eps: must be finite"),
        ((BAND_SOLUTION, [0.0], np.inf), ValueError, "eps: must be finite"),
        ((BAND_SOLUTION, [0.0], "a"), TypeError, "eps: must be a number"),
    ],
    ids=["solution", "nan", "shape", "negative", "infinite", "text"],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        ambiguity(*arguments)


def test_bad_tasks_and_classes_are_named():
    with pytest.raises(ValueError, match="tasks: must be of 0 to 1, got 2"):
        ambiguity(BAND_SOLUTION, [0.0], tasks=[2])
    classes = np.eye(3)[[0, 1, 2, 0, 1, 0]]
    with pytest.raises(ValueError, match="multinomial"):
        ambiguity(kw.Problem(np.arange(6.0), classes, 0.5, "multinomial"), [0.0])
