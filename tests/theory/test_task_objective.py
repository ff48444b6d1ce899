from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_dictionary import conic_many_tasks, conic_task_view, random_neurons
from references_losses import PENALTIES, loss_values, random_labels

import knotwork as kw
from knotwork.theory.learned_kernel import kernel_ridge
from knotwork.theory.task_objective import task_objective


def random_network(rng, K, d, n_tasks, penalty):
    W, b = random_neurons(rng, K, d, penalty[0])
    A = rng.standard_normal((d, n_tasks)) if penalty[1] != "none" else np.zeros((d, n_tasks))
    # turned where a free skip connection turns them, so that V keeps its order and meaning
    net = kw.ReLUNetwork(W, b, rng.standard_normal((K, n_tasks)), A, rng.standard_normal(n_tasks))
    return net.canonicalise(kw.Penalty(*penalty))


def random_problem(rng, N, d, n_tasks, penalty, lam, spec="squared"):
    X = rng.standard_normal((N, d))
    Y = random_labels(rng, spec, np.sin(2.0 * X @ rng.standard_normal((d, n_tasks))))
    Y[1, 1] = np.nan
    return kw.Problem(X, Y, lam, loss=spec, penalty=kw.Penalty(*penalty))


def linear_cost(penalty, A, c):
    out = 0.5 * float(c @ c) if penalty[0] else 0.0
    if penalty[1] == "frobenius":
        out += 0.5 * float(np.sum(A * A))
    elif penalty[1] == "nuclear":
        out += float(np.linalg.svd(A, compute_uv=False).sum())
    return out


def textbook_J(problem, penalty, net, s, v, a, c):
    """F of the network with task s replaced, less what the other tasks' losses, c and A cost."""
    V, A, own = net.V.copy(), net.A.copy(), net.c.copy()
    V[:, s], A[:, s], own[s] = v, a, c
    f = np.maximum(problem.X @ net.W.T + net.b, 0.0) @ v + problem.X @ a + c
    y = problem.Y[:, s]
    seen = ~np.isnan(y)
    loss = loss_values("squared", y[seen, None], f[seen, None]).sum()
    rest = np.delete(net.c, s)
    price = np.linalg.norm(V, axis=1).sum() + linear_cost(penalty, A, own)
    price -= 0.5 * float(rest @ rest) if penalty[0] else 0.0
    if penalty[1] == "frobenius":
        price -= 0.5 * float(np.sum(np.delete(A, s, axis=1) ** 2))
    return loss + problem.lam * price


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("d", [1, 3])
def test_J_is_the_objective_seen_from_one_task(penalty, d):
    rng = np.random.default_rng(d)
    problem = random_problem(rng, 9, d, 4, penalty, 0.3)
    net = random_network(rng, 6, d, 4, penalty)
    for s in range(4):
        view = task_objective(problem, net, s)
        expected = textbook_J(problem, penalty, net, s, net.V[:, s], net.A[:, s], net.c[s])
        assert view.exact() == pytest.approx(expected, rel=1e-12)
        v, a, c = rng.standard_normal(6), rng.standard_normal(d), 0.7
        a = a if penalty[1] != "none" else 0.0 * a
        expected = textbook_J(problem, penalty, net, s, v, a, c)
        assert view.exact(v, a, c) == pytest.approx(expected, rel=1e-12)


def test_H_is_the_papers_15():
    rng = np.random.default_rng(1)
    problem = random_problem(rng, 9, 2, 3, (False, "none"), 0.3)
    net = random_network(rng, 5, 2, 3, (False, "none"))
    view = task_objective(problem, net, 1)
    v = rng.standard_normal(5)
    loss = view.problem.loss_value(kw.ReLUNetwork(net.W, net.b, v[:, None], c=net.c[[1]]))
    rest = np.hypot(net.V[:, 0], net.V[:, 2])
    assert view.quadratic(v) == pytest.approx(loss + 0.3 * np.sum(rest + v**2 / (2.0 * rest)), rel=1e-13)
    assert view.own_regulariser(v) == pytest.approx(0.3 * np.sum(v**2 / (2.0 * rest)), rel=1e-13)


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.sampled_from(PENALTIES),
    st.sampled_from([1, 2, 3]),
    st.integers(2, 8),
    st.floats(1e-3, 1e3),
)
def test_J_is_below_H_by_no_more_than_the_bound(seed, penalty, d, n_tasks, size):
    rng = np.random.default_rng(seed)
    lam = float(rng.choice([0.05, 1.0, 7.0]))
    problem = random_problem(rng, 5, d, n_tasks, penalty, lam)
    net = random_network(rng, 6, d, n_tasks, penalty)
    view = task_objective(problem, net, int(rng.integers(n_tasks)))
    v, a = size * rng.standard_normal(6), size * rng.standard_normal(d)
    if penalty[1] == "none":
        a = np.zeros(d)
    elif penalty[1] == "nuclear":
        # off the range of the other tasks' A there is no expansion
        a = np.delete(net.A, view.kernel.task, axis=1) @ rng.standard_normal(n_tasks - 1) * size
    exact, quadratic = view.exact(v, a), view.quadratic(v, a)
    rounding = 1e-13 * abs(quadratic)
    assert exact <= quadratic + rounding
    assert view.difference(v, a) == pytest.approx(quadratic - exact, abs=10 * rounding, rel=1e-9)
    assert view.difference(v, a) <= view.bound(v, a) * (1.0 + 1e-12) + rounding
    # A (55), (61) leave lam out: it multiplies the difference
    double = task_objective(problem.with_lam(2.0 * lam), net, view.kernel.task)
    assert double.difference(v, a) == pytest.approx(2.0 * view.difference(v, a), rel=1e-12)


def test_the_bound_is_the_leading_term():
    # so no smaller constant than 1/8 will do; at equal sizes it is loose
    rng = np.random.default_rng(2)
    for penalty in PENALTIES:
        problem = random_problem(rng, 5, 3, 6, penalty, 0.3)
        net = random_network(rng, 6, 3, 6, penalty)
        view = task_objective(problem, net, 0)
        v, a = 1e-2 * rng.standard_normal(6), 0.3 * net.A[:, 1] + 0.1 * net.A[:, 2]
        if penalty[1] == "nuclear":
            v = 0.0 * v
        for t, near in ((1e-1, 2e-2), (3e-2, 2e-3)):
            ratio = view.difference(v * t, a * t) / view.bound(v * t, a * t)
            # singular values leave four digits of it
            assert 1.0 - near < ratio <= 1.0 + (1e-4 if penalty[1] == "nuclear" else 1e-12)


def test_the_difference_has_its_digits_where_J_and_H_cancel():
    net = kw.ReLUNetwork(np.ones((1, 1)), np.zeros(1), np.array([[1e-5, 0.6, 0.8]]))
    problem = kw.Problem([0.0, 1.0], np.zeros((2, 3)), 1.0)
    view = task_objective(problem, net, 0)
    # s + v^2/2s - sqrt(s^2 + v^2) at s = 1 with 60 digits
    v, digits = Fraction(1e-5), 10**60
    root = Fraction(isqrt(int((1 + v * v) * digits**2)), digits)
    assert view.difference() == pytest.approx(float(1 + v * v / 2 - root), rel=1e-12)


def test_a_neuron_of_this_task_alone_makes_H_infinite_but_at_zero():
    net = kw.ReLUNetwork(np.ones((2, 1)), np.array([0.0, -1.0]), np.array([[2.0, 0.0], [1.0, 3.0]]))
    view = task_objective(kw.Problem([0.0, 1.0, 2.0], np.zeros((3, 2)), 1.0), net, 0)
    assert np.isinf([view.quadratic(), view.difference(), view.bound(), view.own_regulariser()]).all()
    alone = int(np.argmin(view.kernel.strength))
    v = np.where(np.arange(2) == alone, 0.0, 1.0)
    assert np.isfinite([view.quadratic(v), view.difference(v), view.bound(v), view.exact()]).all()
    # H - J is v^2 / 2s where v is huge
    assert view.difference(1e100 * v) == pytest.approx(1e200 / 6.0)
    assert np.isinf(view.bound(1e100 * v))


def test_a_linear_part_off_the_others_range_makes_H_infinite_under_a_nuclear_skip():
    rng = np.random.default_rng(3)
    W, b = random_neurons(rng, 2, 3, True)
    A = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    net = kw.ReLUNetwork(W, b, rng.standard_normal((2, 2)), A)
    problem = random_problem(rng, 5, 3, 2, (True, "nuclear"), 0.3)
    view = task_objective(problem, net, 0)
    assert np.isinf([view.quadratic(), view.difference(), view.bound()]).all()
    assert np.isfinite(view.quadratic(a=3.0 * A[:, 1]))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("spec", ["squared", "logistic"])
def test_the_optimum_of_all_tasks_minimises_each_tasks_J(penalty, spec):
    # A, after (14); on neurons that are given, in two inputs
    rng = np.random.default_rng(4)
    problem = random_problem(rng, 20, 2, 4, penalty, 0.25, spec)
    W, b = random_neurons(rng, 12, 2, penalty[0])
    W = np.where(W[:, :1] < 0, -W, W) if penalty[1] == "free" else W
    found = conic_many_tasks(spec, penalty, W, b, problem.X, problem.Y, problem.lam)
    net = kw.ReLUNetwork(W, b, found.V, found.A if penalty[1] != "none" else np.zeros((2, 4)), found.c)
    for s in (0, 1):
        view = task_objective(problem, net, s)
        own = view.kernel.network
        least = conic_task_view(
            spec,
            penalty,
            own.W,
            own.b,
            problem.X,
            problem.Y[:, [s]],
            problem.lam,
            view.kernel.strength,
            A_others=np.delete(net.A, s, axis=1),
        )
        assert view.exact() == pytest.approx(least.objective, rel=1e-6)
        # and the minimiser of H is not far: J(v') - J(v*) <= H(v*) - J(v*)
        fit = kernel_ridge(view.kernel, view.problem)
        excess = view.exact(fit.network.V[:, 0], fit.network.A[:, 0], fit.network.c[0]) - view.exact()
        assert -1e-6 * least.objective <= excess <= view.difference() + 1e-6 * least.objective
        if s == 0 and penalty[0] is False:
            assert excess > 1e-6


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(False, "free"), (False, "none"), (True, "frobenius"), (True, "nuclear")]),
    st.sampled_from(["squared", "logistic", "poisson"]),
)
def test_the_minimiser_of_H_is_nearly_one_of_J(seed, penalty, spec):
    # A (17) with its constant: on certified optima of one input
    rng = np.random.default_rng(seed)
    n_tasks = int(rng.integers(2, 12))
    problem = random_problem(rng, 9, 1, n_tasks, penalty, float(rng.uniform(0.05, 0.6)), spec)
    solution = kw.solve(problem)
    view = task_objective(problem, solution.network, int(rng.integers(n_tasks)))
    fit = kernel_ridge(view.kernel, view.problem)
    v, a, c = fit.network.V[:, 0], fit.network.A[:, 0], float(fit.network.c[0])
    excess, slack = view.exact(v, a, c) - view.exact(), solution.certificate.gap + 1e-9
    assert -slack <= excess <= view.difference() + slack
    assert np.isinf(view.difference()) or view.quadratic(v, a, c) <= view.quadratic() + 1e-9


def test_at_lam_zero_both_are_the_regulariser():
    rng = np.random.default_rng(5)
    problem = kw.Problem(np.arange(6.0), rng.standard_normal((6, 5)), 0.0)
    network = kw.solve(problem).network
    view = task_objective(problem, network, 2)
    lam_one = task_objective(problem.with_lam(1.0), network, 2)
    assert view.exact() == pytest.approx(lam_one.exact(), rel=1e-12)
    assert view.quadratic() == pytest.approx(lam_one.quadratic(), rel=1e-12)
    assert view.difference() == lam_one.difference() > 0
    assert np.isinf([view.exact(view.v + 0.1), view.quadratic(view.v + 0.1)]).all()


def test_bad_arguments_are_named():
    rng = np.random.default_rng(6)
    problem = random_problem(rng, 5, 2, 3, (False, "none"), 0.3)
    net = random_network(rng, 4, 2, 3, (False, "none"))
    view = task_objective(problem, net, 0)
    with pytest.raises(ValueError, match=r"v: must have shape \(4,\), got \(3,\)"):
        view.exact(np.zeros(3))
    with pytest.raises(ValueError, match=r"a: must have shape \(2,\), got \(1,\)"):
        view.quadratic(a=np.zeros(1))
    with pytest.raises(ValueError, match="a: must be zero under skip='none'"):
        view.exact(a=np.ones(2))
    with pytest.raises(ValueError, match="v: NaN"):
        view.difference(np.full(4, np.nan))
    with pytest.raises(ValueError, match="task: must be one of 0 to 2, got 3"):
        task_objective(problem, net, 3)
    with pytest.raises(ValueError, match="network: maps 2 inputs to 3 tasks"):
        task_objective(random_problem(rng, 5, 2, 4, (False, "none"), 0.3), net, 0)
    rows = np.eye(3)[rng.integers(0, 3, 5)]
    with pytest.raises(ValueError, match="'multinomial' joins all tasks"):
        task_objective(kw.Problem(rng.standard_normal((5, 2)), rows, 0.1, loss="multinomial",
                                  penalty=kw.Penalty(skip="none")), net, 0)  # fmt: skip
