from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_dictionary import conic_ridge, random_neurons
from references_losses import PENALTIES, SPECS, loss_values, random_labels

import knotwork as kw
from knotwork.theory.learned_kernel import kernel_ridge, learned_kernel
from knotwork.theory.task_objective import single_task, task_objective

NAMED = {
    "squared": "squared",
    ("huber", 0.4): kw.Huber(0.4),
    "logistic": "logistic",
    "multinomial": "multinomial",
    "poisson": "poisson",
    ("quantile", 0.3): kw.Quantile(0.3),
}


def random_network(rng, K=7, d=2, n_tasks=4, penalty=(False, "free")):
    """Neurons of any input norm; no skip connection where there is none."""
    W, b = random_neurons(rng, K, d, penalty[0])
    size = rng.uniform(0.3, 3.0, K)
    A = rng.standard_normal((d, n_tasks)) if penalty[1] != "none" else np.zeros((d, n_tasks))
    V = rng.standard_normal((K, n_tasks)) * rng.uniform(0.2, 1.5, (K, 1))
    return kw.ReLUNetwork(W * size[:, None], b * size, V, A, rng.standard_normal(n_tasks))


def some_problem(rng, spec="squared", penalty=(False, "free"), N=14, d=2, n_tasks=4, lam=0.3, gaps=0.0):
    X = rng.standard_normal((N, d))
    Y = random_labels(rng, spec, 1.5 * np.sin(2.0 * X @ rng.standard_normal((d, n_tasks))))
    if gaps:
        missing = rng.uniform(size=(N, 1 if spec == "multinomial" else n_tasks)) < gaps
        missing[:3] = False
        Y = np.where(np.broadcast_to(missing, Y.shape), np.nan, Y)
    return kw.Problem(X, Y, lam, loss=NAMED[spec], penalty=kw.Penalty(*penalty))


# -------------------------------------------------------------------------------------- kernel


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("d", [1, 3])
def test_the_kernel_is_the_sum_over_neurons(penalty, d):
    rng = np.random.default_rng(d)
    network = random_network(rng, d=d, penalty=penalty)
    if penalty[1] == "free":
        # turned neurons are other functions, by a linear part that costs nothing
        network = network.canonicalise(kw.Penalty(*penalty))
    X, Z = rng.standard_normal((5, d)), rng.standard_normal((4, d))
    expected = np.zeros((5, 4))
    for w, b, v in zip(network.W, network.b, network.V, strict=True):
        norm = np.hypot(np.linalg.norm(w), b if penalty[0] else 0.0)
        weight = np.linalg.norm(np.delete(norm * v, 2))
        expected += weight * np.outer(np.maximum(X @ w + b, 0) / norm, np.maximum(Z @ w + b, 0) / norm)
    kernel = learned_kernel(network, 2, penalty=kw.Penalty(*penalty))
    np.testing.assert_allclose(kernel(X, Z), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(kernel(X), kernel(X, X), rtol=1e-15)
    np.testing.assert_allclose(kernel.gamma * kernel.strength, 1.0, rtol=1e-15)
    unseen = learned_kernel(network, penalty=kw.Penalty(*penalty))
    np.testing.assert_allclose(unseen.strength, np.linalg.norm(unseen.network.V, axis=1), rtol=1e-14)
    assert np.all(unseen.strength > kernel.strength)


def test_rescaled_and_split_neurons_give_the_same_kernel():
    rng = np.random.default_rng(1)
    network = random_network(rng, penalty=(False, "none"))
    share = rng.uniform(0.1, 0.9, network.n_neurons)
    size = rng.uniform(0.1, 9.0, 2 * network.n_neurons)
    split = kw.ReLUNetwork(
        np.tile(network.W, (2, 1)) * size[:, None],
        np.tile(network.b, 2) * size,
        np.vstack([share[:, None] * network.V, (1.0 - share)[:, None] * network.V]) / size[:, None],
        network.A,
        network.c,
    )
    X = rng.standard_normal((6, 2))
    penalty = kw.Penalty(skip="none")
    one, other = (learned_kernel(n, 0, penalty=penalty)(X) for n in (network, split))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_neuron_that_only_this_task_uses_adds_nothing():
    V = np.array([[2.0, 0.0], [1.0, 3.0]])
    network = kw.ReLUNetwork(np.ones((2, 1)), np.array([0.0, -1.0]), V)
    kernel = learned_kernel(network, 0)
    assert sorted(kernel.strength) == [0.0, 3.0]
    assert np.isinf(kernel.gamma).sum() == 1
    np.testing.assert_allclose(kernel([2.0]), 3.0)


def test_the_kernel_reproduces_and_the_papers_is_twice_it():
    # A (23)-(26) with Q = diag(gamma / 2): <kappa_A(., x), f>_Q = f(x), kappa_A = 2 kappa
    rng = np.random.default_rng(2)
    kernel = learned_kernel(random_network(rng), 1)
    v, x = rng.standard_normal(len(kernel.strength)), rng.standard_normal((1, 2))
    Q = np.diag(kernel.gamma / 2.0)
    u = np.linalg.solve(Q, kernel.features(x)[0])
    np.testing.assert_allclose(u @ Q @ v, kernel.features(x)[0] @ v, rtol=1e-12)
    X = rng.standard_normal((4, 2))
    np.testing.assert_allclose(2.0 * kernel(x, X)[0], kernel.features(X) @ u, rtol=1e-12)


def test_neurons_may_be_dependent_functions_so_the_norm_is_a_minimum():
    # relu(z) - relu(-z) = z at three knots: six neurons, and v'Qv of A (23) depends on v, not on f
    places = np.array([-1.0, 0.0, 1.0])
    W, b = np.repeat([1.0, -1.0], 3)[:, None], np.concatenate([-places, places])
    rng = np.random.default_rng(3)
    network = kw.ReLUNetwork(W, b, rng.uniform(0.5, 2.0, (6, 3)))
    kernel = learned_kernel(network, 0, penalty=kw.Penalty(skip="none"))
    own = kernel.network
    null = np.where(own.W[:, 0] > 0, 1.0, -1.0) * np.where(own.b == 0, -2.0, 1.0)
    X = np.linspace(-3.0, 3.0, 41)
    np.testing.assert_allclose(kernel.features(X) @ null, 0.0, atol=1e-14)
    v = rng.standard_normal(6)
    values = np.array([np.sum(kernel.gamma * u * u) for u in (v, v + null)])
    assert abs(values[0] - values[1]) > 0.1
    # alpha' K alpha over enough points is the least v' diag(gamma) v of the same function
    f, K = kernel.features(X) @ v, kernel(X)
    norm = f @ np.linalg.pinv(K, rcond=1e-11, hermitian=True) @ f
    along = -np.sum(kernel.gamma * v * null) / np.sum(kernel.gamma * null**2)
    least = v + along * null
    np.testing.assert_allclose(norm, np.sum(kernel.gamma * least**2), rtol=1e-9)
    assert norm < values.min() - 1e-3


# --------------------------------------------------------------------------------------- ridge


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_ridge_against_a_conic_solver(spec, penalty):
    # more features than rows and fewer, gaps in the labels
    for seed, K in ((4, 5), (5, 30)):
        rng = np.random.default_rng(seed)
        problem = some_problem(rng, spec, penalty, N=26, n_tasks=3, gaps=0.2)
        network = random_network(rng, K, n_tasks=3, penalty=penalty)
        kernel = learned_kernel(network, penalty=kw.Penalty(*penalty))
        own = kernel.network
        oracle = conic_ridge(
            spec, penalty, own.W, own.b, problem.X, problem.Y, problem.lam, kernel.gamma, S=kernel.skip
        )
        fits = {space: kernel_ridge(kernel, problem, space=space) for space in ("weights", "kernel")}
        for fit in fits.values():
            assert fit.objective == pytest.approx(oracle.objective, rel=1e-7)
            assert fit.objective <= oracle.objective * (1.0 + 1e-9)
        one, other = (fit.predict(problem.X) for fit in fits.values())
        exact = 1e-5 if spec[0] == "quantile" else 1e-9
        shift = one - other if spec != "multinomial" else (one - other) - (one - other)[:, :1]
        np.testing.assert_allclose(shift, 0.0, atol=exact * np.abs(one).max())
        assert kernel_ridge(kernel, problem).space == ("weights" if K == 5 else "kernel")


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("space", ["weights", "kernel"])
def test_the_objective_is_the_textbooks_and_the_representer_holds(penalty, space):
    rng = np.random.default_rng(6)
    for spec in ("squared", "logistic"):
        problem = some_problem(rng, spec, penalty, d=1, gaps=0.3)
        kernel = learned_kernel(random_network(rng, 20, d=1, penalty=penalty), 0, penalty=problem.penalty)
        fit = kernel_ridge(kernel, problem, space=space)
        net, seen = fit.network, ~np.isnan(problem.Y)
        values = loss_values(spec, np.where(seen, problem.Y, 0.0), fit.predict(problem.X))
        price = 0.5 * np.sum(kernel.gamma[:, None] * net.V**2)
        price += 0.5 * net.c @ net.c if penalty[0] else 0.0
        if penalty[1] == "frobenius":
            price += 0.5 * np.sum(net.A**2)
        elif penalty[1] == "nuclear":
            # d = 1: a^2 / (2 |A without the task|)
            price += 0.5 * np.sum(net.A**2) / kernel.skip[0, 0] ** 2
        assert fit.objective == pytest.approx(np.sum(values[seen]) + 0.3 * price, rel=1e-12)
        Z = rng.standard_normal((9, 1))
        by_kernel = kernel(Z, problem.X) @ fit.coefficients + Z @ net.A + net.c
        np.testing.assert_allclose(by_kernel, fit.predict(Z), atol=1e-10)
        assert np.all(fit.coefficients[~seen] == 0.0)


def test_ridge_in_closed_form():
    # one free constant: f = K alpha + c, (K + lam I) alpha + c = y, sum alpha = 0
    rng = np.random.default_rng(7)
    problem = some_problem(rng, penalty=(False, "none"))
    kernel = learned_kernel(random_network(rng, penalty=(False, "none")), 3, penalty=problem.penalty)
    n = problem.n_rows
    K = kernel(problem.X) + problem.lam * np.eye(n)
    system = np.block([[K, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    found = np.linalg.solve(system, np.vstack([problem.Y, np.zeros((1, problem.n_tasks))]))
    for space in ("weights", "kernel"):
        fit = kernel_ridge(kernel, problem, space=space)
        np.testing.assert_allclose(fit.coefficients, found[:-1], atol=1e-11)
        np.testing.assert_allclose(fit.network.c, found[-1], atol=1e-11)


@pytest.mark.parametrize("spec", ["squared", "logistic", ("quantile", 0.3)])
def test_tasks_decouple_under_a_fixed_kernel(spec):
    rng = np.random.default_rng(8)
    problem = some_problem(rng, spec, gaps=0.2)
    kernel = learned_kernel(random_network(rng), penalty=problem.penalty)
    joint = kernel_ridge(kernel, problem).predict(problem.X)
    for t in range(problem.n_tasks):
        alone = kernel_ridge(kernel, single_task(problem, t)).predict(problem.X)
        np.testing.assert_allclose(joint[:, [t]], alone, atol=1e-13)


@pytest.mark.parametrize("spec", ["poisson", "multinomial", ("quantile", 0.3)])
def test_a_weight_is_a_number_of_rows(spec):
    rng = np.random.default_rng(9)
    plain = some_problem(rng, spec, N=30, n_tasks=3)
    count = rng.integers(0, 4, plain.n_rows).astype(float)
    count[:3] = 1.0
    rows = np.repeat(np.arange(plain.n_rows), count.astype(int))
    kernel = learned_kernel(random_network(rng), 0)
    weighted = kw.Problem(plain.X, plain.Y, plain.lam, plain.loss, sample_weight=count)
    repeated = kw.Problem(plain.X[rows], plain.Y[rows], plain.lam, plain.loss)
    one, other = (kernel_ridge(kernel, p) for p in (weighted, repeated))
    assert one.objective == pytest.approx(other.objective, rel=1e-10)
    np.testing.assert_allclose(one.predict(plain.X), other.predict(plain.X), atol=1e-6)
    Z = rng.standard_normal((5, 2))
    by_kernel = kernel(Z, plain.X) @ one.coefficients + Z @ one.network.A + one.network.c
    np.testing.assert_allclose(by_kernel, one.predict(Z), atol=1e-8)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_interpolation_has_least_norm(penalty):
    rng = np.random.default_rng(10)
    ridge = some_problem(rng, penalty=penalty, N=8, lam=1e-7, gaps=0.2)
    problem = ridge.with_lam(0.0)
    kernel = learned_kernel(random_network(rng, 40, penalty=penalty), penalty=problem.penalty)
    own, seen = kernel.network, ~np.isnan(problem.Y)
    oracle = conic_ridge(
        "squared", penalty, own.W, own.b, problem.X, problem.Y, 0.0, kernel.gamma, S=kernel.skip
    )
    for space in ("weights", "kernel"):
        fit = kernel_ridge(kernel, problem, space=space)
        np.testing.assert_allclose(fit.predict(problem.X)[seen], problem.Y[seen], atol=1e-9)
        assert fit.objective == pytest.approx(oracle.objective, rel=1e-7)
    near = kernel_ridge(kernel, ridge).predict(problem.X)
    np.testing.assert_allclose(near, fit.predict(problem.X), atol=1e-4)


def test_labels_out_of_the_neurons_reach_raise():
    rng = np.random.default_rng(11)
    problem = some_problem(rng, lam=0.0)
    kernel = learned_kernel(random_network(rng, 3))
    for space in ("weights", "kernel"):
        with pytest.raises(ValueError, match="lam: is 0, but the neurons at hand miss"):
            kernel_ridge(kernel, problem, space=space)


def test_without_neurons_ridge_is_the_free_fit():
    rng = np.random.default_rng(12)
    problem = some_problem(rng, gaps=0.2)
    nothing = kw.ReLUNetwork(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 4)))
    for space in ("weights", "kernel"):
        fit = kernel_ridge(learned_kernel(nothing, 0), problem, space=space)
        np.testing.assert_allclose(fit.predict(problem.X), problem.free_fit().predict(problem.X), atol=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["squared", "huber", "logistic", "poisson"]))
def test_no_other_function_of_the_space_is_better(seed, name):
    rng = np.random.default_rng(seed)
    spec = (name, 0.4) if name == "huber" else name
    problem = some_problem(rng, spec, n_tasks=2, lam=float(rng.uniform(0.01, 1.0)))
    network = random_network(rng, int(rng.integers(1, 25)), n_tasks=2)
    view = task_objective(problem, network, 0)
    fit = kernel_ridge(view.kernel, view.problem)
    v, a, c = fit.network.V[:, 0], fit.network.A[:, 0], float(fit.network.c[0])
    least = view.quadratic(v, a, c)
    # (18) is (15) without its constant
    constant = problem.lam * float(view.kernel.strength.sum())
    assert least == pytest.approx(fit.objective + constant, rel=1e-12)
    for size in (1.0, 1e-2, 1e-4):
        other = view.quadratic(
            v + size * rng.standard_normal(v.shape),
            a + size * rng.standard_normal(a.shape),
            c + size * rng.standard_normal(),
        )
        assert other >= least - 1e-12 * abs(least)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_with_every_task_counted_ridge_returns_the_network_itself(spec, penalty):
    # A (21) is no approximation then: two tasks are enough
    rng = np.random.default_rng(14)
    problem = some_problem(rng, spec, penalty, d=1, N=16, n_tasks=3, lam=0.2)
    network = kw.solve(problem, tol=1e-8 if spec[0] == "quantile" else 1e-12).network

    def values(net):
        # what is common to all classes changes no probability
        f = net.predict(problem.X)
        return f - f.mean(axis=1, keepdims=True) if spec == "multinomial" else f

    fit = kernel_ridge(learned_kernel(network, penalty=problem.penalty), problem)
    assert problem.objective(fit.network) <= problem.objective(network) * (1.0 + 1e-8)
    assert np.abs(values(fit.network) - values(network)).max() < (1e-3 if spec[0] == "quantile" else 1e-5)
    # and without the task itself it is not
    other = kernel_ridge(learned_kernel(network, 0, penalty=problem.penalty), problem)
    assert np.abs(values(other.network) - values(network)).max() > 1e-2


# -------------------------------------------------------------------------------------- errors


def test_bad_arguments_are_named():
    rng = np.random.default_rng(13)
    network, problem = random_network(rng), some_problem(rng)
    kernel = learned_kernel(network, 0)
    with pytest.raises(TypeError, match=r"network: must be a knotwork.ReLUNetwork, got str"):
        learned_kernel("network", 0)  # type: ignore[arg-type]
    for task in (4, -1):
        with pytest.raises(ValueError, match=f"task: must be one of 0 to 3, got {task}"):
            learned_kernel(network, task)
    with pytest.raises(TypeError, match=r"task: must be an integer, got 1.0"):
        learned_kernel(network, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="network: A must be zero under skip='none'"):
        learned_kernel(network, 0, penalty=kw.Penalty(skip="none"))
    with pytest.raises(ValueError, match=r"X: must have shape \(n, 2\), got \(3,\)"):
        kernel(np.zeros(3))
    with pytest.raises(ValueError, match="X: NaN"):
        kernel(np.full((3, 2), np.nan))
    with pytest.raises(TypeError, match="kernel: must come from learned_kernel"):
        kernel_ridge(network, problem)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"problem: must be a knotwork.Problem"):
        kernel_ridge(kernel, network)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="problem: has 1 inputs, but the kernel has 2"):
        kernel_ridge(kernel, some_problem(rng, d=1))
    with pytest.raises(ValueError, match="but the kernel was learned under"):
        kernel_ridge(kernel, some_problem(rng, penalty=(True, "frobenius")))
    with pytest.raises(ValueError, match="space: must be one of auto, weights, kernel, got 'dual'"):
        kernel_ridge(kernel, problem, space="dual")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'multinomial' joins all tasks"):
        single_task(some_problem(rng, "multinomial"), 0)
    with pytest.raises(ValueError, match="read-only"):
        kernel.strength[0] = 1.0
