"""Uniqueness at lam > 0 under other losses: problems made to order from a fit and its dual point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import second_differences
from references_several import random_data
from scipy.optimize import linprog
from scipy.special import expit

import knotwork as kw
from knotwork.points import Points
from knotwork.theory._curvature import curvature_weights


def made_to_order(rng, spec, n, n_tasks, knots, twins, lam=0.7):
    """A problem with a known optimum: (problem, slope changes (n - 2, T) of its fit).

    p is a potential of norm lam at `knots`, less elsewhere, the same at j and j + 1 for j in `twins`; the
    fit bends at the knots, along p. Labels and weights are those whose gradient is -alpha at that fit.
    """
    x = np.cumsum(rng.uniform(0.5, 1.0, n))
    p = rng.standard_normal((n - 2, n_tasks))
    p *= rng.uniform(0.2, 0.8, (n - 2, 1)) / np.linalg.norm(p, axis=1, keepdims=True)
    p[knots] /= np.linalg.norm(p[knots], axis=1, keepdims=True)
    for j in twins:
        p[j + 1] = p[j]
    jump = np.zeros((n - 2, n_tasks))
    jump[knots] = rng.uniform(0.3, 1.0, (len(knots), 1)) * p[knots]
    D = second_differences(x)
    alpha = lam * D.T @ p
    f = np.linalg.lstsq(D, jump, rcond=None)[0]
    f = f - f.mean(axis=0)
    scale = 1.0 / max(np.abs(f).max(), 1.0)
    f, jump = scale * f, scale * jump
    if spec == "logistic":
        Y = (alpha > 0).astype(float)
        weight = alpha / (Y - expit(f))
    elif spec == "poisson":
        # weights that keep the counts e^f + alpha / w above 0
        weight = 2.0 * np.abs(alpha) * np.exp(-f) + 0.5
        Y = np.exp(f) + alpha / weight
    else:
        weight, Y = np.ones(f.shape), f + alpha
    return kw.Problem(x, Y, lam, spec, sample_weight=weight), jump, f


@pytest.mark.parametrize("spec", ["logistic", "poisson", "squared"])
@pytest.mark.parametrize("n_tasks", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_theorem_3_1_holds_for_every_strictly_convex_loss(spec, n_tasks, seed):
    rng = np.random.default_rng(seed)
    # of one task three aligned neighbours would leave the one between without a label
    knots = np.array([0, 2, 3, 6] if n_tasks == 1 else [0, 2, 3, 4, 6])
    for twins in ([], [2] if n_tasks == 1 else [3]):
        problem, jump, f = made_to_order(rng, spec, 10, n_tasks, knots, twins)
        solution = kw.solve(problem, tol=1e-12)
        assert solution.status is kw.Status.OPTIMAL
        np.testing.assert_allclose(solution.network.predict(problem.X), f, atol=1e-4)
        size = np.linalg.norm(jump, axis=1)
        cosine = np.sum(jump[1:] * jump[:-1], axis=1) / np.maximum(size[1:] * size[:-1], 1e-300)
        expected = not np.any(cosine > 1.0 - 1e-9)
        found = kw.uniqueness(solution)
        assert found.unique is expected, found.reason
        assert found.solution_set is not None
        np.testing.assert_allclose(found.solution_set.cost, size.sum(), rtol=1e-4)
        if expected:
            assert len(found.intervals) == 0
        else:
            x = problem.X[:, 0]
            flat = np.flatnonzero(cosine > 1.0 - 1e-9) + 1
            np.testing.assert_array_equal(found.intervals, np.column_stack([x[flat], x[flat + 1]]))
            # members other than the network returned are as good
            other = found.solution_set.sample(seed)
            best = problem.objective(solution.network)
            assert problem.objective(other) == pytest.approx(best, rel=1e-9)
            between = np.linspace(x[flat[0]], x[flat[0] + 1], 9)[1:-1]
            assert (
                np.abs(other.predict(between) - found.solution_set.sparsest().predict(between)).max() > 1e-4
            )


def test_a_loose_gap_leaves_it_open():
    problem, _, _ = made_to_order(np.random.default_rng(0), "logistic", 10, 2, np.array([2, 3]), [2])
    loose = kw.solve(problem, tol=0.3)
    found = kw.uniqueness(loose)
    assert found.unique is not True


@pytest.mark.parametrize("spec", ["logistic", "poisson"])
def test_repeated_inputs_are_one_place(spec):
    rng = np.random.default_rng(5)
    problem, _, _ = made_to_order(rng, spec, 10, 2, np.array([1, 3, 4, 6]), [3])
    # every label twice, at half the weight, in another order
    order = rng.permutation(20) % 10
    again = kw.Problem(
        problem.X[order],
        problem.Y[order],
        problem.lam,
        spec,
        sample_weight=0.5 * problem.sample_weight[order],
    )
    one, two = (kw.uniqueness(kw.solve(p, tol=1e-12)) for p in (problem, again))
    assert one.unique is two.unique is False
    np.testing.assert_array_equal(one.intervals, two.intervals)


@pytest.mark.parametrize("spec", ["logistic", "poisson"])
def test_missing_labels_let_masses_move(spec):
    # one task, p = lam at three neighbours: the middle label may go, and then two knots do for three
    problem, _, _ = made_to_order(np.random.default_rng(1), spec, 9, 1, np.array([1, 2, 3]), [1, 2])
    weight = problem.sample_weight.copy()
    weight[3] = 0.0
    gap = kw.Problem(problem.X, problem.Y, problem.lam, spec, sample_weight=weight)
    solution = kw.solve(gap, tol=1e-12)
    found = kw.uniqueness(solution)
    assert found.unique is False
    best, x = gap.objective(solution.network), np.linspace(0.0, 7.0, 60)
    members = [found.solution_set.sample(seed) for seed in range(4)]
    for member in members:
        assert gap.objective(member) == pytest.approx(best, rel=1e-8)
    assert max(np.abs(one.predict(x) - members[0].predict(x)).max() for one in members) > 1e-4


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["logistic", "poisson", "mixed"]), st.floats(-12.0, -2.0))
def test_the_weights_bound_what_a_gap_leaves_open(seed, spec, log_gap):
    """Whatever f* and alpha* a gap e allows label by label, they satisfy both inequalities."""
    rng = np.random.default_rng(seed)
    loss = ["logistic", "poisson"] if spec == "mixed" else spec
    n, e = 8, 10.0**log_gap
    x = np.sort(rng.standard_normal(n))
    Y = rng.integers(0, 2, (n, 2)).astype(float)
    problem = kw.Problem(x, Y, 0.1, loss, sample_weight=rng.uniform(0.2, 3.0, (n, 2)))
    network = kw.ReLUNetwork(
        [[1.0], [-1.0]], [0.3, 0.2], rng.standard_normal((2, 2)), [[0.5, -1.0]], [0.1, 0.2]
    )
    least, greatest = curvature_weights(problem, network, e, Points.from_problem(problem))
    kind, w = problem.loss_function, problem.label_weight()
    f = network.predict(problem.X)
    assert np.all(least <= greatest)
    # random optima, the loss of each share of the gap at most
    for _ in range(5):
        t = f + rng.standard_normal(f.shape) * np.sqrt(2.0 * e / (w * kind.curvature(Y, f)))
        t = f + (t - f) * 10.0 ** rng.uniform(-2.0, 1.0, f.shape)
        bregman = w * kind.fenchel_gap(Y, f, kind.gradient(Y, t))
        back = w * kind.fenchel_gap(Y, t, kind.gradient(Y, f))
        near = bregman <= e
        assert np.all((least * (f - t) ** 2 <= 2.0 * bregman * (1.0 + 1e-6) + 1e-18)[near])
        change = w * (kind.gradient(Y, f) - kind.gradient(Y, t))
        assert np.all((change**2 / greatest <= 2.0 * np.minimum(bregman, back) * (1.0 + 1e-6) + 1e-18)[near])


def test_at_least_some_of_it_is_sharp():
    problem, _, _ = made_to_order(np.random.default_rng(2), "logistic", 8, 2, np.array([2]), [])
    network = kw.solve(problem, tol=1e-10).network
    least, greatest = curvature_weights(problem, network, 1e-14, Points.from_problem(problem))
    exact = problem.label_weight() * problem.loss_function.curvature(problem.Y, network.predict(problem.X))
    np.testing.assert_allclose(least, exact, rtol=1e-5)
    np.testing.assert_allclose(greatest, exact, rtol=1e-5)


# --------------------------------------------------------------------------------- other answers


def test_what_is_not_decided_says_why():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal(9), rng.standard_normal(9)
    for loss in ("huber", "quantile"):
        found = kw.uniqueness(kw.solve(kw.Problem(x, y, 0.1, loss)))
        assert found.unique is None
        assert "strictly convex" in found.reason
    lost = kw.uniqueness(kw.solve(kw.Problem(x, np.ones(9), 0.1, "logistic")))
    assert lost.unique is None
    assert "no solution" in lost.reason
    plane = kw.uniqueness(kw.solve(kw.Problem(rng.standard_normal((9, 2)), np.ones(9), 0.1, "logistic")))
    assert plane.unique is None
    assert "no solution" in plane.reason


@pytest.mark.parametrize("d", [1, 2])
def test_classes_with_free_biases_share_a_constant(d):
    data = random_data(4, "multinomial", (False, "free"), 9, d, 3, 0.05)
    problem = kw.Problem(data.X, data.Y, 0.05, "multinomial")
    solution = kw.solve(problem)
    found = kw.uniqueness(solution)
    assert found.unique is False
    net = solution.network
    moved = kw.ReLUNetwork(net.W, net.b, net.V, net.A, net.c + 3.0)
    assert problem.objective(moved) == pytest.approx(problem.objective(net), rel=1e-12)


@pytest.mark.parametrize("spec", ["logistic", "poisson", "multinomial"])
def test_several_inputs_under_other_losses(spec):
    """True where the columns phi_k g_k' are independent: then no other masses of theirs give the same fit."""
    skip = (True, "none")
    decided = 0
    for seed in range(4):
        data = random_data(seed, spec, skip, 9, 2, 2, 0.1)
        problem = kw.Problem(data.X, data.Y, 0.1, spec, kw.Penalty(*skip))
        solution = kw.solve(problem, tol=1e-11)
        found = kw.uniqueness(solution)
        assert found.unique in (True, None)
        if found.unique is None:
            continue
        decided += 1
        network = solution.network
        hidden = np.maximum(data.X @ network.W.T + network.b, 0.0)
        size = np.linalg.norm(network.V, axis=1)
        columns = np.stack(
            [np.outer(hidden[:, k], network.V[k] / size[k]).ravel() for k in range(network.n_neurons)], axis=1
        )
        # the mass of each neuron, at the same fit: least and greatest
        for k in range(network.n_neurons):
            for way in (1.0, -1.0):
                cost = way * np.eye(network.n_neurons)[k]
                least = linprog(cost, A_eq=columns, b_eq=columns @ size, bounds=[(0, None)] * len(size))
                assert abs(least.x[k] - size[k]) <= 1e-5 * size.max()
        # the same from another start
        again = kw.solve(
            problem, tol=1e-11, start=kw.ReLUNetwork([[1.0, -2.0]], [0.5], np.ones((1, problem.n_tasks)))
        )
        grid = np.random.default_rng(0).uniform(-2.0, 2.0, (50, 2))
        np.testing.assert_allclose(again.network.predict(grid), network.predict(grid), atol=1e-3)
    assert decided >= 2
