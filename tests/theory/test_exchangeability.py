from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_dictionary import conic_many_tasks, random_neurons

import knotwork as kw
from knotwork.theory.exchangeability import (
    exchangeable_tasks,
    infinite_task_problem,
    kernel_approximation,
    task_shares,
    theorem_rate,
)
from knotwork.theory.learned_kernel import kernel_ridge, learned_kernel

NO_SKIP = kw.Penalty(skip="none")


def inputs(seed, n=9):
    return np.sort(np.random.default_rng(seed).uniform(0.0, 1.0, n))


# ----------------------------------------------------------------------------------- Lemma 4.2


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 60), st.floats(0.01, 0.99))
def test_lemma_4_2_holds_as_a_count_for_any_network(seed, n_tasks, beta):
    rng = np.random.default_rng(seed)
    W, b = random_neurons(rng, 5, 2)
    # heavy tails: some neurons all but belong to one task
    V = rng.standard_t(0.7, (5, n_tasks))
    shares = task_shares(kw.ReLUNetwork(W, b, V), penalty=NO_SKIP)
    np.testing.assert_allclose(shares.share.mean(axis=1), 1.0 / n_tasks, rtol=1e-12)
    failed = shares.exceptions(beta)
    assert np.all(failed <= shares.bound(beta) * (1.0 + 1e-12))
    # (20), the norms taken one by one
    V = kw.ReLUNetwork(W, b, V).canonicalise(NO_SKIP).V
    for k in range(5):
        rest = [np.sum(np.delete(V[k], s) ** 2) for s in range(n_tasks)]
        below = np.array(rest) < (1.0 - n_tasks ** (beta - 1.0)) * np.sum(V[k] ** 2)
        assert failed[k] == pytest.approx(below.mean(), abs=1e-12)


def test_lemma_4_2_is_sharp():
    # T^(1 - beta) tasks of equal share, the rest none: any fewer exceptions would be promised too much
    n_tasks, beta = 64, 0.5
    V = np.zeros((1, n_tasks))
    V[0, :7] = 1.0
    shares = task_shares(kw.ReLUNetwork(np.ones((1, 1)), np.zeros(1), V))
    assert shares.exceptions(beta)[0] == 7 / 64
    assert shares.bound(beta) == 8 / 64


def test_over_permutations_of_the_tasks_the_first_has_a_share_of_one_in_T():
    # Proposition 1 and Lemma A.1: each permuted problem is solved anew
    x, n_tasks = inputs(0, 8), 4
    Y = np.random.default_rng(1).standard_normal((8, n_tasks)) * [1.0, 0.3, 2.0, 1.0]
    first, orders = {}, list(permutations(range(n_tasks)))
    plain = kw.solve(kw.Problem(x, Y, 0.05), tol=1e-13).network
    for order in orders:
        network = kw.solve(kw.Problem(x, Y[:, order], 0.05), tol=1e-13).network
        np.testing.assert_allclose(network.predict(x), plain.predict(x)[:, order], atol=1e-7)
        knots = network.canonicalise().knots.location
        for place, share in zip(knots, task_shares(network).share, strict=True):
            first.setdefault(place, []).append(share[0])
    assert len(first) >= 3
    for shares in first.values():
        assert len(shares) == len(orders)
        assert np.mean(shares) == pytest.approx(1.0 / n_tasks, abs=1e-6)
        assert np.ptp(shares) > 0.05


def test_a_designated_task_need_not_have_a_small_share():
    # the paper's own Figure 5 has one: the theorem speaks of a task drawn at random
    x, rng = inputs(2, 10), np.random.default_rng(3)
    Y = exchangeable_tasks(rng, x, 50)
    Y[:, 0] = 20.0 * (np.arange(10) % 2)
    share = task_shares(kw.solve(kw.Problem(x, Y, 0.1)).network).share
    assert share[:, 0].min() > 0.5
    np.testing.assert_allclose(share.mean(axis=1), 1.0 / 50, rtol=1e-12)


# ----------------------------------------------------------------------------------- Lemma A.4


def test_weights_grow_like_the_root_of_T_and_no_faster():
    # any dictionary D that can interpolate serves all tasks at once: sum |v_k| <= sum_k |(D^+ Y)_k|
    x, rng = inputs(15), np.random.default_rng(16)
    D = np.column_stack([np.ones_like(x), np.maximum(x[:, None] - x[:-1], 0.0)])
    price = np.abs(np.linalg.pinv(D)[1:]).sum()
    cost = []
    for n_tasks in (4, 64, 1024):
        Y = exchangeable_tasks(rng, x, n_tasks, "uniform")
        network = kw.solve(kw.Problem(x, Y, 0.0, penalty=NO_SKIP)).network
        cost.append(network.cost(NO_SKIP))
        assert np.abs(network.canonicalise(NO_SKIP).V).max() <= cost[-1] <= price * np.sqrt(n_tasks)
    slope = np.polyfit(np.log([4, 64, 1024]), np.log(cost), 1)[0]
    assert 0.45 < slope < 0.6


def test_balanced_weights_bound_no_weights_beside_unit_neurons():
    # the proof of Lemma A.4 takes |v_k| = |w_k| and |w_k| = 1 together: |v_kt|^2 <= 2 sum |v_k| fails
    network = kw.solve(kw.Problem([0.0, 1.0, 2.0], [0.0, 100.0, 0.0], 0.0)).network.canonicalise()
    assert np.abs(network.V).max() ** 2 > 2.0 * network.cost()


# --------------------------------------------------------------------------------- Theorem 4.1


@pytest.mark.parametrize("penalty", [kw.Penalty(), NO_SKIP, kw.Penalty(True, "nuclear")])
def test_both_sides_of_the_theorem_for_one_task(penalty):
    x, rng = 5.0 * inputs(4) - 2.5, np.random.default_rng(5)
    Y = exchangeable_tasks(rng, x, 12, "waves") + 3.0 * np.outer(x, rng.standard_normal(12))
    problem = kw.Problem(x, Y, 0.05, penalty=penalty)
    network = kw.solve(problem).network
    seen = 0
    for task in range(4):
        found = kernel_approximation(problem, network, task)
        assert found.well_defined
        assert (found.task, found.n_tasks) == (task, 12)
        net = network.canonicalise(penalty)
        assert (penalty.skip == "none") == (not net.A.any())
        v, a = net.V[:, task], net.A[:, task]
        rest, rest_a = (np.linalg.norm(np.delete(M, task, axis=1), axis=1) for M in (net.V, net.A))
        if penalty.skip != "nuclear":
            rest_a, a = np.ones(1), np.zeros(1)

        def apart(v, a, rest=rest, rest_a=rest_a):
            s, z = np.append(rest, rest_a), np.append(v, a)
            return 0.05 * float(np.sum(s + z**2 / (2 * s) - np.hypot(s, z)))

        assert found.difference == pytest.approx(apart(v, a), rel=1e-6, abs=1e-14)
        assert found.left == pytest.approx(apart(12 ** (1 / 16) * v, 12 ** (1 / 16) * a), rel=1e-6)
        for _ in range(50):
            inside = 12 ** (1 / 16) * v * rng.uniform(-1.0, 1.0, v.shape)
            assert apart(inside, 12 ** (1 / 16) * a * rng.uniform(-1.0, 1.0)) <= found.left * (1 + 1e-9)
        assert found.difference <= found.left <= found.right
        assert -1e-9 <= found.excess <= found.difference + 1e-9
        own = 0.05 * np.sum(np.append(v, a) ** 2 / (2 * np.append(rest, rest_a)))
        assert found.own_regulariser == pytest.approx(own, rel=1e-9)
        assert found.relative_left == pytest.approx(found.left / own, rel=1e-9)
        assert found.relative_right >= found.relative_left >= found.relative_excess
        both = found.predict(x)
        np.testing.assert_array_equal(both[:, 0], network.predict(x)[:, task])
        np.testing.assert_array_equal(both[:, 1], found.ridge.predict(x)[:, 0])
        seen += 0.0 < np.abs(both[:, 0] - both[:, 1]).max() < 0.1
    assert seen == 4


def test_a_neuron_of_one_task_alone_is_not_approximated():
    # 9 inputs, and the second task bends nowhere
    x = inputs(6)
    problem = kw.Problem(x, np.column_stack([np.sin(9 * x), 2.0 * x]), 0.01)
    network = kw.solve(problem).network
    first, second = (kernel_approximation(problem, network, s) for s in (0, 1))
    assert not first.well_defined
    assert np.isinf([first.left, first.right, first.difference, first.relative_left]).all()
    assert second.well_defined
    assert max(second.left, second.relative_left, second.difference) < 1e-30


@pytest.mark.parametrize(("growth", "power"), [("fixed", 0.0), ("sqrt", 0.5)])
@pytest.mark.parametrize("kind", ["coins", "waves"])
def test_the_rates_are_no_slower_than_promised(growth, power, kind):
    x, counts = inputs(7), [4, 16, 64, 256]
    rate = theorem_rate(
        np.random.default_rng(8), x, counts, lam=0.02, growth=growth, kind=kind, n_draws=2, penalty=NO_SKIP
    )
    np.testing.assert_allclose(rate.lam, 0.02 * np.array(counts) ** power)
    assert rate.left.shape == (4, 32)
    assert np.all(rate.left <= rate.right)
    assert np.all(rate.difference <= rate.left)
    assert np.all(rate.excess <= rate.difference + 1e-9)
    assert np.all(1.0 - rate.well_defined <= np.array(counts) ** (-1.0 / 3.0))
    # lam multiplies both sides: the theorem's -1/4 and the sharper -7/12 are of J - H over lam
    assert rate.exponent("left") - power < -0.25
    assert rate.exponent("right") - power < -7 / 12
    assert rate.exponent("relative_left") < -13 / 24
    # at a fixed share of the tasks it falls like 1/T relative to the task's own regulariser
    assert -1.3 < rate.exponent("relative_left", 0.8) < -0.6
    assert rate.exponent("relative_difference", 0.5) < -0.6


def test_a_loss_averaged_over_tasks_ends_without_neurons():
    x = inputs(9)
    rate = theorem_rate(
        np.random.default_rng(0), x, [4, 4000], lam=0.002, growth="linear", n_draws=1, tasks_per_draw=4
    )
    assert rate.left[0].min() > 0.0
    assert rate.left[1].max() == rate.own_regulariser[1].max() == 0.0
    assert np.isnan(rate.exponent("left"))
    assert np.all(rate.quantile("relative_left")[1:] == 0.0)


def test_rates_take_any_solver_of_any_number_of_inputs():
    rng = np.random.default_rng(10)
    X = rng.standard_normal((10, 2))
    W, b = random_neurons(rng, 15, 2)
    asked = []

    def solver(problem):
        asked.append(problem.n_tasks)
        found = conic_many_tasks("squared", (False, "none"), W, b, problem.X, problem.Y, problem.lam)
        return SimpleNamespace(network=kw.ReLUNetwork(W, b, found.V, c=found.c))

    rate = theorem_rate(rng, X, [3, 48], lam=0.1, n_draws=2, tasks_per_draw=6, penalty=NO_SKIP, solver=solver)
    assert asked == [3, 3, 48, 48]
    assert np.all(rate.excess <= rate.difference + 1e-6)
    assert rate.exponent("relative_left", 0.5) < -0.5


def test_quantiles_and_exponents_in_closed_form():
    rate = theorem_rate(np.random.default_rng(1), inputs(1), [8, 27], lam=0.05, n_draws=1, tasks_per_draw=12)
    # 1 - T^(-1/3) = 1/2, 2/3: the 7th and 9th of 12, an observed value
    left = np.sort(rate.left, axis=1)
    np.testing.assert_array_equal(rate.quantile("left"), [left[0, 6], left[1, 8]])
    slope = np.log(left[1, 6] / left[0, 6]) / np.log(27 / 8)
    assert rate.exponent("left", 0.5) == pytest.approx(slope, rel=1e-10)
    ratio = np.sort(rate.left / rate.own_regulariser, axis=1)
    np.testing.assert_allclose(rate.quantile("relative_left", 1.0), ratio[:, -1], rtol=1e-14)


# --------------------------------------------------------------------- tasks, and infinitely many


@pytest.mark.parametrize("kind", ["coins", "uniform", "hinges", "waves"])
@pytest.mark.parametrize("d", [1, 3])
def test_drawn_tasks_are_bounded_and_of_one_law(kind, d):
    X = np.random.default_rng(d).standard_normal((7, d))
    X[6] = X[0]
    Y = exchangeable_tasks(np.random.default_rng(0), X, 4000, kind)
    assert Y.shape == (7, 4000)
    assert np.abs(Y).max() <= 1.0
    assert np.abs(Y).max() > 0.9
    # two tasks have the same law, and nothing in common: every fourth column against the next ones
    one, other = Y[:, ::2], Y[:, 1::2]
    spread = 3.5 * Y.std(axis=1) / np.sqrt(1000.0)
    assert np.all(np.abs(one.mean(axis=1) - other.mean(axis=1)) < spread)
    common = np.mean((one - one.mean(axis=1)[:, None]) * (other - other.mean(axis=1)[:, None]), axis=1)
    assert np.all(np.abs(common) < 3.5 * Y.var(axis=1) / np.sqrt(2000.0) + 1e-12)
    if kind in ("hinges", "waves"):
        np.testing.assert_array_equal(Y[0], Y[6])
    else:
        assert np.mean(Y[0] == Y[6]) < 0.6
    np.testing.assert_array_equal(Y, exchangeable_tasks(np.random.default_rng(0), X, 4000, kind))


@pytest.mark.parametrize("penalty", [kw.Penalty(), NO_SKIP])
def test_pseudo_tasks_of_the_empirical_moment_have_the_same_optimum(penalty):
    x, n_tasks, lam = inputs(11), 30, 0.03
    Y = exchangeable_tasks(np.random.default_rng(12), x, n_tasks, "uniform")
    full = kw.solve(kw.Problem(x, Y, lam * np.sqrt(n_tasks), penalty=penalty), tol=1e-12)
    pseudo = infinite_task_problem(x, Y @ Y.T / n_tasks, lam, penalty=penalty)
    few = kw.solve(pseudo, tol=1e-12)
    assert n_tasks * few.certificate.primal == pytest.approx(full.certificate.primal, rel=1e-9)
    kernel = learned_kernel(few.network, penalty=penalty)
    fit = kernel_ridge(kernel, kw.Problem(x, Y, lam, penalty=penalty))
    np.testing.assert_allclose(fit.predict(x), full.network.predict(x), atol=1e-5)


def test_many_tasks_approach_the_network_of_infinitely_many():
    x, lam, rng = inputs(13), 0.03, np.random.default_rng(14)
    # coins: E[y y'] = (11' + I) / 4
    limit = kw.solve(infinite_task_problem(x, 0.25 * (1.0 + np.eye(9)), lam)).network
    far = []
    for n_tasks in (20, 20_000):
        Y = exchangeable_tasks(rng, x, n_tasks)
        network = kw.solve(kw.Problem(x, Y, lam * np.sqrt(n_tasks))).network
        fit = kernel_ridge(learned_kernel(limit), kw.Problem(x, Y[:, :20], lam))
        far.append(np.abs(network.predict(x)[:, :20] - fit.predict(x)).max())
    assert far[1] < 0.01 < far[0]


def test_infinitely_many_coins_on_the_two_squares():
    # A, Figure 5, over neurons through its points: an earlier, separate computation has .056 and .944
    X = np.array([[s * a, t * a] for a in (1.0, 0.5) for s in (1, -1) for t in (1, -1)])
    turn = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
    W = np.repeat(np.column_stack([np.cos(turn), np.sin(turn)]), 8, axis=0)
    b = -np.sum(W * np.tile(X, (180, 1)), axis=1)
    _, first = np.unique(np.round(np.column_stack([W, b]), 9), axis=0, return_index=True)
    W, b = W[first], b[first]
    problem = infinite_task_problem(X, 0.25 * (1.0 + np.eye(8)), 0.0402, penalty=NO_SKIP)
    found = conic_many_tasks("squared", (False, "none"), W, b, X, problem.Y, problem.lam)
    kernel = learned_kernel(kw.ReLUNetwork(W, b, found.V, c=found.c), penalty=NO_SKIP)
    y = np.repeat([0.0, 1.0], 4)
    fit = kernel_ridge(kernel, kw.Problem(X, y, 0.0402, penalty=NO_SKIP))
    np.testing.assert_allclose(fit.predict(X)[:, 0], np.where(y > 0, 0.944, 0.056), atol=5e-4)


# -------------------------------------------------------------------------------------- errors


def test_bad_arguments_are_named():
    rng, x = np.random.default_rng(0), inputs(0)
    network = kw.ReLUNetwork(np.ones((1, 1)), np.zeros(1), np.ones((1, 2)))
    with pytest.raises(TypeError, match=r"network: must be a knotwork.ReLUNetwork, got int"):
        task_shares(3)  # type: ignore[arg-type]
    for beta in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="beta: must be above 0 and below 1"):
            task_shares(network).exceptions(beta)
    with pytest.raises(ValueError, match="growth: must be one of fixed, sqrt, linear, got 'log'"):
        theorem_rate(rng, x, [4], lam=0.1, growth="log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_tasks: must be an integer >= 2, got 1"):
        theorem_rate(rng, x, [4, 1], lam=0.1)
    with pytest.raises(ValueError, match="tasks_per_draw: must be an integer >= 1, got 0"):
        theorem_rate(rng, x, [4], lam=0.1, tasks_per_draw=0)
    with pytest.raises(ValueError, match="what: must be one of left"):
        theorem_rate(rng, x, [3], lam=0.1, n_draws=1).quantile("gap")
    with pytest.raises(TypeError, match=r"rng: must be a numpy.random.Generator, got int"):
        exchangeable_tasks(0, x, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind: must be one of coins"):
        exchangeable_tasks(rng, x, 3, "dice")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"X: must have shape \(N, d\) or \(N,\)"):
        exchangeable_tasks(rng, np.zeros((2, 2, 2)), 3)
    with pytest.raises(ValueError, match=r"covariance: must have shape \(9, 9\), got \(2, 2\)"):
        infinite_task_problem(x, np.eye(2), 0.1)
    for wrong in (-np.eye(9), np.eye(9) + np.diag(np.ones(8), 1)):
        with pytest.raises(ValueError, match="covariance: must be symmetric and positive semidefinite"):
            infinite_task_problem(x, wrong, 0.1)
    with pytest.raises(ValueError, match="penalty: must have biases=False"):
        infinite_task_problem(x, np.eye(9), 0.1, penalty=kw.Penalty(True, "none"))
