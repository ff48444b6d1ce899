from __future__ import annotations

import itertools
import warnings

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_predict

import knotwork as kw
from knotwork.theory._caratheodory import thin
from knotwork.theory.compression import compress, prune_to

PENALTIES = [
    kw.Penalty(),
    kw.Penalty(skip="none"),
    kw.Penalty(biases=True, skip="none"),
    kw.Penalty(biases=True, skip="frobenius"),
    kw.Penalty(biases=True, skip="nuclear"),
]
CLARABEL = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11, "max_iter": 200}
each_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p.biases}-{p.skip}")


def random_network(rng, n_neurons, d, n_tasks, penalty):
    return kw.ReLUNetwork(
        rng.standard_normal((n_neurons, d)),
        0.7 * rng.standard_normal(n_neurons),
        rng.standard_normal((n_neurons, n_tasks)),
        None if penalty.skip == "none" else rng.standard_normal((d, n_tasks)),
        rng.standard_normal(n_tasks),
    )


def random_case(rng, penalty, most_neurons=60):
    n, n_tasks, d = rng.integers(1, 9), rng.integers(1, 6), rng.integers(1, 5)
    X = rng.standard_normal((n, d))
    if rng.uniform() < 0.3:
        X = np.round(X)
    return random_network(rng, rng.integers(0, most_neurons), d, n_tasks, penalty), X


def enough(X, n_tasks, penalty):
    """How many neurons are enough: n r - r (r - 1) / 2, written from the statement."""
    X = np.unique(X, axis=0)
    n = len(X)
    if not penalty.biases:
        free = np.column_stack([np.ones(n), X]) if penalty.skip == "free" else np.ones((n, 1))
        n -= np.linalg.matrix_rank(free)
    r = min(n, n_tasks)
    return n * r - r * (r - 1) // 2


def conic_cost(network, X, penalty):
    """The least R over output weights (and free parts) of the network's own neurons."""
    size = np.linalg.norm(np.column_stack([network.W, network.b]) if penalty.biases else network.W, axis=1)
    hidden = np.maximum(X @ network.W.T + network.b, 0.0) / size
    values = dense_predict(network, X)
    V, c = cp.Variable((len(size), network.n_tasks)), cp.Variable((1, network.n_tasks))
    made = hidden @ V + np.ones((len(X), 1)) @ c
    cost = cp.sum(cp.norm(V, 2, axis=1))
    if penalty.biases:
        cost += 0.5 * cp.sum_squares(c)
    if penalty.skip != "none":
        A = cp.Variable((X.shape[1], network.n_tasks))
        made += X @ A
        cost += {"free": 0.0, "frobenius": 0.5 * cp.sum_squares(A), "nuclear": cp.normNuc(A)}[penalty.skip]
    problem = cp.Problem(cp.Minimize(cost), [made == values])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL, **CLARABEL)
    return float(problem.value)


def change(f, g, X):
    wanted = dense_predict(f, X)
    return np.abs(dense_predict(g, X) - wanted).max() / np.abs(wanted).max()


# ------------------------------------------------------------------------------------- lossless


@each_penalty
@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_predictions_stay_the_cost_does_not_rise_and_the_bound_holds(penalty, seed):
    f, X = random_case(np.random.default_rng(seed), penalty)
    small = compress(f, X, penalty)
    assert change(f, small.network, X) <= 1e-9
    assert small.cost_before == f.cost(penalty)
    assert small.cost == small.network.cost(penalty) <= small.cost_before * (1 + 1e-12)
    assert small.n_neurons_before == f.n_neurons
    assert small.n_neurons == small.network.n_neurons <= min(small.bound, f.n_neurons)
    assert small.bound == enough(X, f.n_tasks, penalty)
    assert small.largest_change == pytest.approx(
        np.abs(dense_predict(f, X) - dense_predict(small.network, X)).max(), abs=1e-12
    )


@each_penalty
@pytest.mark.parametrize("seed", range(4))
def test_the_cost_is_the_least_of_the_networks_own_neurons(penalty, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6, 3))
    f = random_network(rng, 30, 3, 1 + seed, penalty)
    small = compress(f, X, penalty)
    assert small.cost == pytest.approx(conic_cost(f, X, penalty), rel=1e-7)
    assert small.cost < 0.9 * small.cost_before


@each_penalty
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_compressing_twice_changes_nothing(penalty, seed):
    f, X = random_case(np.random.default_rng(seed), penalty)
    once = compress(f, X, penalty)
    twice = compress(once.network, X, penalty)
    assert twice.n_neurons == once.n_neurons
    # the directions of a nuclear skip connection are not always the best
    assert twice.cost == pytest.approx(once.cost, rel=1e-5 if penalty.skip == "nuclear" else 1e-9, abs=1e-12)


@each_penalty
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_order_scale_and_copies_of_neurons_do_not_matter(penalty, seed):
    rng = np.random.default_rng(seed)
    f, X = random_case(rng, penalty, 25)
    K = f.n_neurons
    order, share = rng.permutation(2 * K), rng.uniform(0.1, 0.9, (K, 1))
    scale = np.exp(rng.standard_normal((2 * K, 1)))
    W, b = np.vstack([f.W, f.W])[order] * scale, np.concatenate([f.b, f.b])[order] * scale[:, 0]
    V = np.vstack([share * f.V, (1 - share) * f.V])[order] / scale
    rows = rng.integers(len(X), size=3)
    other = compress(kw.ReLUNetwork(W, b, V, f.A, f.c), np.vstack([X, X[rows]])[::-1], penalty)
    small = compress(f, X, penalty)
    assert other.bound == small.bound
    assert other.n_neurons <= min(small.bound, K)
    assert other.cost == pytest.approx(small.cost, rel=1e-5 if penalty.skip == "nuclear" else 1e-8, abs=1e-10)


@pytest.mark.parametrize("penalty", PENALTIES[:3], ids=lambda p: f"{p.biases}-{p.skip}")
def test_what_is_left_is_linearly_independent(penalty):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((7, 3))
    small = compress(random_network(rng, 200, 3, 3, penalty), X, penalty).network
    free = np.zeros((7, 1)) if penalty.biases else np.ones((7, 1))
    if penalty.skip == "free":
        free = np.column_stack([free, X])
    hidden = np.maximum(X @ small.W.T + small.b, 0.0)
    hidden -= free @ np.linalg.lstsq(free, hidden, rcond=None)[0]
    matrices = np.stack([np.outer(h, v).ravel() for h, v in zip(hidden.T, small.V, strict=True)])
    assert np.linalg.matrix_rank(matrices) == small.n_neurons


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p.biases}-{p.skip}")
def test_one_task_needs_at_most_as_many_neurons_as_data(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 4))
    small = compress(random_network(rng, 400, 4, 1, penalty), X, penalty)
    off = {"free": 5, "none": 0 if penalty.biases else 1}.get(penalty.skip, 0)
    assert small.bound == 12 - off
    assert 0 < small.n_neurons <= 12 - off


def test_a_network_that_costs_the_least_already_is_thinned_at_that_cost():
    # a convex function bends upwards only: 40 knots cost as much as the N - 2 of connect the dots
    rng = np.random.default_rng(0)
    x = np.arange(7.0)
    W = rng.choice([-1.0, 1.0], (40, 1))
    f = kw.ReLUNetwork(W, -W[:, 0] * rng.uniform(0.0, 6.0, 40), rng.uniform(0.1, 1.0, (40, 1)))
    bent = kw.straighten(f, x)
    outside = f.cost() - bent.cost()
    small = compress(f, x)
    assert small.n_neurons <= small.bound == 5
    assert small.cost <= small.cost_before
    assert small.cost >= bent.cost() * (1 - 1e-12)
    g = kw.ReLUNetwork(W, -W[:, 0] * rng.uniform(1.0, 5.0, 40), f.V)
    inner = compress(g, x)
    assert outside > 0
    # between the second and the last but one datum no bend can be saved
    assert inner.cost == pytest.approx(inner.cost_before, rel=1e-12)
    assert inner.n_neurons <= 5


def test_with_a_neuron_at_every_datum_it_reaches_the_global_optimum():
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 1, 9))
    places = np.concatenate([x, rng.uniform(0, 1, 30)])
    f = kw.ReLUNetwork(np.ones((39, 1)), -places, rng.standard_normal((39, 3)))
    small = compress(f, x)
    assert small.cost == pytest.approx(kw.solve(kw.Problem(x, f.predict(x), 0.0)).network.cost(), rel=1e-9)
    assert small.n_neurons == 7


def test_dead_copied_and_always_active_neurons_go():
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, (10, 3))
    f = random_network(rng, 4, 3, 2, kw.Penalty())
    dead = kw.ReLUNetwork(rng.uniform(-1, 1, (5, 3)), -9.0 * np.ones(5), np.ones((5, 2)))
    active = kw.ReLUNetwork(rng.uniform(-1, 1, (5, 3)), 9.0 * np.ones(5), np.ones((5, 2)))
    parts = [f, dead, active, f]
    whole = kw.ReLUNetwork(*(np.concatenate([getattr(p, a) for p in parts]) for a in "WbV"), f.A, f.c)
    small = compress(whole, X)
    assert change(whole, small.network, X) <= 1e-12
    assert small.n_neurons <= 4
    assert small.cost <= compress(f, X).cost * 2 * (1 + 1e-9)


def test_the_bias_of_a_neuron_active_on_all_data_costs_no_digits():
    rng = np.random.default_rng(4)
    X = rng.uniform(-1, 1, (10, 3))
    f = random_network(rng, 30, 3, 2, kw.Penalty(skip="none"))
    low = np.where(np.arange(30) < 10, 9.0, f.b)
    high = np.where(np.arange(30) < 10, 9e9, f.b)
    costs = [compress(kw.ReLUNetwork(f.W, b, f.V), X, kw.Penalty(skip="none")).cost for b in (low, high)]
    assert costs[1] == pytest.approx(costs[0], rel=1e-9)


def test_affine_functions_need_no_neuron():
    active = kw.ReLUNetwork(np.eye(2), [5.0, 5.0], [[1.0, 2.0], [3.0, -1.0]])
    X = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    assert compress(active, X).n_neurons == 0
    assert compress(active, X[:2]).bound == 0
    nothing = kw.ReLUNetwork(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 1)))
    assert all(compress(nothing, X, penalty).n_neurons == 0 for penalty in PENALTIES)


def test_wide_networks_of_all_scales():
    rng = np.random.default_rng(0)
    X = 100.0 + 1e-3 * rng.standard_normal((30, 4))
    f = random_network(rng, 500, 4, 5, kw.Penalty(skip="none"))
    scale = np.exp(3.0 * rng.standard_normal(500))
    b = -scale * (100.0 * f.W.sum(axis=1) + 2e-3 * f.b)
    f = kw.ReLUNetwork(f.W * scale[:, None], b, f.V / scale[:, None], None, f.c)
    small = compress(f, X, kw.Penalty(skip="none"))
    assert change(f, small.network, X) <= 1e-9
    assert small.n_neurons <= small.bound == enough(X, 5, kw.Penalty(skip="none"))
    assert small.cost < 0.5 * small.cost_before


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4), st.integers(1, 150))
def test_thinning_keeps_the_sum_and_goes_downhill(seed, n, r, K):
    # any dual point will do, not only one at which all neurons cost the same
    rng = np.random.default_rng(seed)
    r = min(n, r)
    Phi, alpha = rng.standard_normal((n, K)), rng.standard_normal((n, r))
    eta = np.exp(3.0 * rng.standard_normal(K))
    response, price = Phi.T @ alpha, np.linalg.norm(Phi.T @ alpha, axis=1)
    less = thin(Phi, response, eta, n * r - r * (r - 1) // 2)
    wanted = (Phi * eta) @ response
    np.testing.assert_allclose(
        (Phi * less) @ response, wanted, atol=1e-11 * (eta @ price) * np.abs(Phi).max()
    )
    assert np.all(less >= 0)
    assert less @ price <= eta @ price * (1 + 1e-12)
    kept = less > 0
    assert kept.sum() <= n * r - r * (r - 1) // 2
    matrices = np.einsum("ik,kt->kit", Phi[:, kept], response[kept]).reshape(kept.sum(), -1)
    matrices /= np.linalg.norm(matrices, axis=1, keepdims=True)
    assert np.linalg.svd(matrices, compute_uv=False)[-1] > 1e-13


# ------------------------------------------------------------------------------ the simplex example


def simplex_example(lam=0.1):
    """Six points, six tasks: (X, Y, alpha, an optimal network) under penalised biases, no skip."""
    basis = np.linalg.qr(np.column_stack([np.ones(6), np.eye(6)[:, :5]]))[0][:, 1:]
    X = np.sqrt(6.0) * basis
    pairs = list(itertools.product(range(3), range(3, 6)))
    alpha = lam / np.sqrt(6.0) * np.eye(6)
    sums = np.stack([np.eye(6)[i] + np.eye(6)[j] for i, j in pairs])
    Y = sums.T @ sums + np.ones((6, 6)) / np.sqrt(6.0) + alpha
    W = np.stack([X[i] + X[j] for i, j in pairs]) / np.sqrt(12.0)
    network = kw.ReLUNetwork(W, np.full(9, 2.0 / np.sqrt(12.0)), sums / np.sqrt(3.0), c=np.full(6, 6.0**-0.5))
    return X, Y, alpha, network


def test_the_simplex_example_is_optimal_with_nine_neurons():
    lam, penalty = 0.1, PENALTIES[2]
    X, Y, alpha, network = simplex_example(lam)
    np.testing.assert_allclose(X @ X.T, 6.0 * np.eye(6) - 1.0, atol=1e-12)
    problem = kw.Problem(X, Y, lam, penalty=penalty)
    # [X, 1] is sqrt(6) times a rotation: |G| = lam/sqrt(6) |relu([X, 1] u)| <= lam for all unit u
    np.testing.assert_allclose(X @ X.T + 1.0, 6.0 * np.eye(6), atol=1e-12)
    rng = np.random.default_rng(0)
    random = rng.standard_normal((20000, 6))
    structured = np.vstack([np.column_stack([network.W, network.b]), np.column_stack([X, np.ones(6)])])
    for units in (random, structured):
        units = units / np.linalg.norm(units, axis=1, keepdims=True)
        G = np.maximum(units[:, :5] @ X.T + units[:, 5:], 0.0) @ alpha
        assert np.linalg.norm(G, axis=1).max() <= lam * (1 + 1e-12)
    dual = np.sum(alpha * Y) - 0.5 * np.sum(alpha**2) - 0.5 * np.sum(alpha.sum(axis=0) ** 2) / lam
    assert problem.objective(network) == pytest.approx(dual, rel=1e-12)
    hidden = np.maximum(X @ network.W.T + network.b, 0.0)
    matrices = np.stack([np.outer(h, v).ravel() for h, v in zip(hidden.T, network.V, strict=True)])
    assert np.linalg.matrix_rank(matrices) == 9


def test_more_neurons_than_data_are_needed_for_vector_outputs():
    """B, Theorem 3.1 says that n > N = 6 neurons are enough; here 9 are needed."""
    X, _, _, network = simplex_example()
    small = compress(network, X, PENALTIES[2])
    assert (small.n_neurons, small.bound) == (9, 21)
    assert small.cost == pytest.approx(small.cost_before, rel=1e-12)
    # the neurons of a much wider network of the same cost and predictions
    shares = np.random.default_rng(0).dirichlet(np.ones(20), 9)
    V = (shares[:, :, None] * network.V[:, None]).reshape(-1, 6)
    rng = np.random.default_rng(1)
    wide = kw.ReLUNetwork(
        np.vstack([np.repeat(network.W, 20, axis=0), rng.standard_normal((300, 5))]),
        np.concatenate([np.repeat(network.b, 20), rng.standard_normal(300)]),
        np.vstack([V, np.zeros((300, 6))]),
        c=network.c,
    )
    small = compress(wide, X, PENALTIES[2])
    assert small.n_neurons == 9
    assert small.cost == pytest.approx(network.cost(PENALTIES[2]), rel=1e-12)


@pytest.mark.parametrize("n", [3, 6, 12])
def test_optimal_networks_of_any_width_come_down_to_the_bound(n):
    # [X, 1] is sqrt(n) times a rotation, so that every phi >= 0 of unit length is the response of a unit
    # neuron; with V = eta phi' all of them are at the maximum of the dual point 1: none can be saved
    rng = np.random.default_rng(n)
    Q = np.linalg.qr(np.column_stack([np.ones(n), rng.standard_normal((n, n - 1))]))[0]
    X = np.sqrt(n) * Q[:, 1:]
    phi = np.abs(rng.standard_normal((20 * n, n)))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    units = phi @ np.column_stack([X, np.ones(n)])
    mass = rng.uniform(size=(20 * n, 1))
    # the penalised c that goes with the dual point
    f = kw.ReLUNetwork(units[:, :-1], units[:, -1], mass * phi, c=np.full(n, np.sqrt(n)))
    penalty = PENALTIES[2]
    small = compress(f, X, penalty)
    assert change(f, small.network, X) <= 1e-12
    assert small.n_neurons <= small.bound == n * (n + 1) // 2
    assert small.cost <= small.cost_before * (1 + 1e-12)


# ---------------------------------------------------------------------------------------- lossy


def best_subset_error(f, X, count):
    """The least relative error of any `count` neurons, with c and A free, by trying them all."""
    values, hidden = dense_predict(f, X), np.maximum(X @ f.W.T + f.b, 0.0)
    errors = []
    for kept in itertools.combinations(range(f.n_neurons), count):
        features = np.column_stack([hidden[:, kept], np.ones(len(X)), X])
        left = values - features @ np.linalg.lstsq(features, values, rcond=None)[0]
        errors.append(np.linalg.norm(left) / np.linalg.norm(values))
    return min(errors)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 4))
def test_errors_are_measured_and_no_better_than_the_best_subset(seed, which):
    rng = np.random.default_rng(seed)
    X, f = rng.standard_normal((15, 2)), random_network(rng, 6, 2, 3, kw.Penalty())
    by_count = prune_to(f, X, n_neurons=which)
    assert by_count.n_neurons <= which
    wanted = dense_predict(f, X)
    off = np.linalg.norm(wanted - dense_predict(by_count.network, X)) / np.linalg.norm(wanted)
    assert by_count.error == pytest.approx(off, rel=1e-9, abs=1e-12)
    assert by_count.error >= best_subset_error(f, X, by_count.n_neurons) * (1 - 1e-9) - 1e-12
    by_error = prune_to(f, X, error=0.02 * (which + 1))
    assert by_error.error <= 0.02 * (which + 1)
    assert by_error.n_neurons == by_error.network.n_neurons
    assert by_error.error >= best_subset_error(f, X, by_error.n_neurons) * (1 - 1e-9) - 1e-12


@each_penalty
def test_few_strong_neurons_are_found_among_many_weak_ones(penalty):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 3))
    f = random_network(rng, 80, 3, 4, penalty)
    V = f.V * np.where(np.arange(80) < 3, 10.0, 1e-3)[:, None]
    f = kw.ReLUNetwork(f.W, f.b, V, f.A, f.c)
    for small in (prune_to(f, X, penalty, error=0.005), prune_to(f, X, penalty, n_neurons=3)):
        assert small.n_neurons == 3
        unit = f.W[:3] / np.linalg.norm(f.W[:3], axis=1, keepdims=True)
        found = small.network.W / np.linalg.norm(small.network.W, axis=1, keepdims=True)
        assert np.abs(found @ unit.T).max(axis=1).min() == pytest.approx(1.0, abs=1e-12)
        assert small.error <= 0.005
        assert small.lam > 0


@each_penalty
def test_the_more_neurons_the_less_error(penalty):
    rng = np.random.default_rng(6)
    X, f = rng.standard_normal((40, 3)), random_network(rng, 50, 3, 3, penalty)
    errors = [prune_to(f, X, penalty, n_neurons=k).error for k in (0, 2, 5, 10, 20, 50, 80)]
    assert np.all(np.diff(errors) <= 1e-12)
    assert errors[0] > 0.05
    assert errors[-1] <= 1e-12
    counts = [prune_to(f, X, penalty, error=e).n_neurons for e in (0.3, 0.1, 0.03, 1e-6)]
    assert np.all(np.diff(counts) >= 0)
    assert counts[-1] <= 40


def test_repeated_rows_weigh_more():
    rng = np.random.default_rng(7)
    X, f = rng.standard_normal((20, 2)), random_network(rng, 30, 2, 2, kw.Penalty())
    often = np.vstack([X, np.repeat(X[:3], 500, axis=0)])
    small = prune_to(f, often, n_neurons=4).network
    left = dense_predict(f, often) - dense_predict(small, often)
    hidden = np.maximum(often @ small.W.T + small.b, 0.0)
    # least squares over all rows: what is left is orthogonal to every feature
    for feature in (*hidden.T, *often.T, np.ones(len(often))):
        assert np.abs(feature @ left).max() <= 1e-9 * np.linalg.norm(feature) * np.linalg.norm(left)
    wanted = dense_predict(f, X[:3])

    def miss(rows):
        return np.linalg.norm(dense_predict(prune_to(f, rows, n_neurons=2).network, X[:3]) - wanted)

    assert miss(often) < 0.3 * miss(X)


# --------------------------------------------------------------------------------------- errors


def test_bad_arguments_are_named():
    f = random_network(np.random.default_rng(0), 3, 2, 2, kw.Penalty())
    X = np.ones((4, 2))
    with pytest.raises(TypeError, match="network: must be"):
        compress("network", X)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="penalty: must be"):
        compress(f, X, "free")  # type: ignore[arg-type]
    for bad in (np.ones((4, 3)), np.ones(4), np.ones((0, 2))):
        with pytest.raises(ValueError, match="X: must have shape"):
            compress(f, bad)
    with pytest.raises(ValueError, match="X: infinite"):
        compress(f, [[np.inf, 1.0]])
    for tol in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="tol: must be"):
            compress(f, X, tol=tol)
    with pytest.raises(TypeError, match="tol: must be"):
        compress(f, X, tol="small")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="A: must be zero"):
        compress(f, X, kw.Penalty(skip="none"))
    with pytest.raises(ValueError, match="n_neurons: give either"):
        prune_to(f, X)
    with pytest.raises(ValueError, match="n_neurons: give either"):
        prune_to(f, X, n_neurons=1, error=0.1)
    with pytest.raises(ValueError, match="n_neurons: must be >= 0"):
        prune_to(f, X, n_neurons=-1)
    with pytest.raises(TypeError, match="n_neurons: must be a whole"):
        prune_to(f, X, n_neurons=1.5)  # type: ignore[arg-type]
    for error in (0.0, 1.0):
        with pytest.raises(ValueError, match="error: must be between"):
            prune_to(f, X, error=error)
    with pytest.raises(TypeError, match="error: must be"):
        prune_to(f, X, error="small")  # type: ignore[arg-type]
