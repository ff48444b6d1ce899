from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_predict

import knotwork as kw

PENALTIES = [
    kw.Penalty(biases=False, skip="free"),
    kw.Penalty(biases=False, skip="none"),
    kw.Penalty(biases=True, skip="none"),
    kw.Penalty(biases=True, skip="frobenius"),
    kw.Penalty(biases=True, skip="nuclear"),
]
every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=str)


def random_network(rng, K=7, d=2, T=3, skip=True):
    """Neurons of both signs and all sizes, some without effect, some equal up to scale."""
    W, b, V = rng.standard_normal((K, d)), rng.standard_normal(K), rng.standard_normal((K, T))
    W *= np.exp(rng.standard_normal((K, 1)))
    if K >= 5:
        W[0] = 0.0
        V[1] = 0.0
        W[3], b[3] = 2.5 * W[2], 2.5 * b[2]
        W[4], b[4] = -0.5 * W[2], -0.5 * b[2]
    A = rng.standard_normal((d, T)) if skip else None
    return kw.ReLUNetwork(W, b, V, A, rng.standard_normal(T))


def written_cost(network, penalty):
    """R of mathematics.md section 1, row by row."""
    total = 0.0
    for w, b, v in zip(network.W, network.b, network.V, strict=True):
        total += np.sqrt(v @ v) * np.sqrt(w @ w + (b * b if penalty.biases else 0.0))
    if penalty.biases:
        total += 0.5 * network.c @ network.c
    if penalty.skip == "frobenius":
        total += 0.5 * np.sum(network.A**2)
    if penalty.skip == "nuclear":
        total += np.sqrt(np.maximum(np.linalg.eigvalsh(network.A @ network.A.T), 0)).sum()
    return total


def squares(network, penalty):
    """Half the sum of squares that weight decay sees in the neurons."""
    total = np.sum(network.W**2) + np.sum(network.V**2)
    return 0.5 * (total + (np.sum(network.b**2) if penalty.biases else 0.0))


@pytest.mark.parametrize(
    ("K", "d", "T"), [(7, 2, 3), (1, 1, 1), (0, 3, 2), (9, 5, 1), (300, 1, 2), (300, 3, 2)]
)
def test_predict_is_the_formula(K, d, T):
    rng = np.random.default_rng(K)
    network = random_network(rng, K, d, T)
    X = 3.0 * rng.standard_normal((50, d))
    assert network.predict(X).shape == (50, T)
    assert np.allclose(network.predict(X), dense_predict(network, X), rtol=1e-12, atol=1e-11)


def test_predict_with_many_neurons_far_from_and_at_the_knots():
    rng = np.random.default_rng(1)
    network = random_network(rng, 1000, 1, 2)
    x = np.concatenate([network.knots.location, rng.uniform(-1e4, 1e4, 200), [0.0]])
    size = np.abs(network.V).sum() * np.abs(network.W).max() * (1 + np.abs(x))[:, None]
    assert np.all(np.abs(network.predict(x) - dense_predict(network, x[:, None])) <= 1e-13 * size)


def test_predict_with_many_neurons_that_are_all_constant_or_share_one_knot():
    V, x = np.arange(600.0).reshape(300, 2), np.array([-2.0, 0.25, 3.0])
    for W in (np.zeros((300, 1)), np.full((300, 1), -2.0)):
        network = kw.ReLUNetwork(W, np.full(300, 0.5), V, [[1.0, -1.0]], [0.0, 3.0])
        assert np.allclose(network.predict(x), dense_predict(network, x[:, None]), rtol=1e-13)


def test_predict_takes_a_flat_input_when_there_is_one_input():
    network = random_network(np.random.default_rng(2), 4, 1, 2)
    x = np.array([0.3, -1.0, 2.0])
    assert np.array_equal(network.predict(x), network.predict(x[:, None]))
    assert network.predict(np.zeros((0, 1))).shape == (0, 2)


@pytest.mark.parametrize("X", [np.zeros((4, 3)), np.zeros(4), np.zeros((2, 2, 2))])
def test_predict_refuses_a_wrong_shape(X):
    with pytest.raises(ValueError, match=r"^X: must have shape \(n, 2\)"):
        random_network(np.random.default_rng(3)).predict(X)


@every_penalty
def test_cost_is_the_table(penalty):
    network = random_network(np.random.default_rng(4), skip=penalty.skip != "none")
    assert network.cost(penalty) == pytest.approx(written_cost(network, penalty), rel=1e-13)


def test_cost_by_hand():
    network = kw.ReLUNetwork([[3.0, 4.0]], [12.0], [[0.0, 2.0]], [[3.0, 0.0], [0.0, -4.0]], [1.0, 2.0])
    assert network.cost() == pytest.approx(10.0, rel=1e-15)
    assert network.cost(kw.Penalty(True, "frobenius")) == pytest.approx(26 + 2.5 + 12.5, rel=1e-15)
    assert network.cost(kw.Penalty(True, "nuclear")) == pytest.approx(26 + 2.5 + 7, rel=1e-15)
    without = kw.ReLUNetwork(network.W, network.b, network.V, None, network.c)
    assert without.cost(kw.Penalty(False, "none")) == pytest.approx(10.0, rel=1e-15)
    assert without.cost(kw.Penalty(True, "none")) == pytest.approx(28.5, rel=1e-15)


@pytest.mark.parametrize("biases", [False, True])
def test_cost_refuses_a_skip_connection_that_may_not_be(biases):
    with pytest.raises(ValueError, match=r"^A: must be zero under skip='none'"):
        random_network(np.random.default_rng(5)).cost(kw.Penalty(biases, "none"))


def test_cost_survives_huge_and_tiny_weights():
    network = kw.ReLUNetwork([[1e200]], [0.0], [[3e-200, 4e-200]])
    assert network.cost() == pytest.approx(5.0, rel=1e-14)
    assert network.balance().cost() == pytest.approx(5.0, rel=1e-14)


@every_penalty
@pytest.mark.parametrize("seed", range(5))
def test_balance_keeps_the_function_and_halves_the_squares(penalty, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, skip=penalty.skip != "none")
    balanced = network.balance(penalty)
    X = 3.0 * rng.standard_normal((40, 2))
    assert np.allclose(balanced.predict(X), network.predict(X), rtol=1e-12, atol=1e-12)
    neurons = kw.ReLUNetwork(balanced.W, balanced.b, balanced.V)
    priced = kw.Penalty(penalty.biases, "none")
    assert squares(balanced, penalty) == pytest.approx(neurons.cost(priced), rel=1e-13)
    again = balanced.balance(penalty)
    for name in "WbVAc":
        assert np.allclose(getattr(again, name), getattr(balanced, name), rtol=1e-14, atol=0)


@every_penalty
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_canonicalise_keeps_the_function_and_never_costs_more(penalty, d, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, 9, d, skip=penalty.skip != "none")
    canonical = network.canonicalise(penalty)
    X = 3.0 * rng.standard_normal((40, d))
    assert np.allclose(canonical.predict(X), network.predict(X), rtol=1e-12, atol=1e-11)
    assert canonical.cost(penalty) <= network.cost(penalty) * (1 + 1e-14)
    assert canonical.n_neurons < network.n_neurons
    inputs = np.column_stack([canonical.W, canonical.b]) if penalty.biases else canonical.W
    assert np.allclose(np.linalg.norm(inputs, axis=1), 1.0, rtol=1e-14)


def test_canonicalise_turns_neurons_only_under_a_free_skip():
    network = kw.ReLUNetwork([[-2.0], [1.0]], [1.0, -0.5], [[3.0], [1.0]])
    free = network.canonicalise()
    assert np.array_equal(free.W, [[1.0]])
    assert np.array_equal(free.knots.location, [0.5])
    assert free.cost() == 7.0
    bound = network.canonicalise(kw.Penalty(False, "none"))
    assert np.array_equal(bound.W, [[-1.0], [1.0]])
    assert not np.any(bound.A)


def test_canonicalise_cancels_opposite_neurons():
    network = kw.ReLUNetwork([[1.0], [2.0]], [-1.0, -2.0], [[2.0], [-1.0]])
    assert network.canonicalise().n_neurons == 0
    assert network.cost() == 4.0


def test_canonical_form_does_not_depend_on_order_or_scale():
    rng = np.random.default_rng(6)
    network = random_network(rng, 9, 1)
    order, scale = rng.permutation(9), np.exp(rng.standard_normal(9))
    other = kw.ReLUNetwork(
        (network.W * scale[:, None])[order],
        (network.b * scale)[order],
        (network.V / scale[:, None])[order],
        network.A,
        network.c,
    )
    x = rng.uniform(-3, 3, 30)
    assert np.allclose(
        other.canonicalise().predict(x), network.canonicalise().predict(x), rtol=1e-12, atol=1e-12
    )
    assert other.canonicalise().cost() <= network.cost()


def test_prune_drops_small_neurons_and_keeps_constants():
    network = kw.ReLUNetwork([[1.0], [0.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 0.0], [[1.0], [5.0], [2.0], [0.0]])
    x = np.array([-3.0, 0.4, 2.0])
    assert network.prune().n_neurons == 2
    assert np.array_equal(network.prune().predict(x), network.predict(x))
    assert network.prune(1.0).n_neurons == 1
    assert network.prune(4.0).n_neurons == 0
    assert np.array_equal(network.prune(4.0).predict(x), np.full((3, 1), 10.0))


@pytest.mark.parametrize("threshold", [-1.0, float("nan")])
def test_prune_refuses_a_threshold_that_is_none(threshold):
    with pytest.raises(ValueError, match=r"^threshold: must be >= 0"):
        random_network(np.random.default_rng(7)).prune(threshold)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_knots_are_the_jumps_of_the_slope(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, 6, 1, 2)
    location, jump = network.knots
    assert np.all(np.diff(location) > 0)
    near = np.diff(location, prepend=location[0] - 1, append=location[-1] + 1).min() / 4
    values = dense_predict(network, (location[:, None] + [-near, 0.0, near]).reshape(-1, 1))
    measured = np.diff(values.reshape(len(location), 3, 2), n=2, axis=1)[:, 0] / near
    assert np.allclose(jump, measured, atol=1e-9 * (1 + np.abs(values).max()) / near)


def test_knots_merge_equal_places_and_drop_those_that_cancel():
    network = kw.ReLUNetwork(
        [[1.0], [-2.0], [1.0], [4.0]], [-1.0, 2.0, -3.0, -12.0], [[1.0], [1.0], [4.0], [-1.0]]
    )
    assert np.array_equal(network.knots.location, [1.0])
    assert np.array_equal(network.knots.jump, [[3.0]])


def test_knots_need_one_input():
    with pytest.raises(ValueError, match=r"^knots: only a network of one input"):
        random_network(np.random.default_rng(8)).knots  # noqa: B018


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("W", np.zeros(3), r"^W: must have shape \(K, d\)"),
        ("W", np.zeros((3, 0)), r"^W: must have shape \(K, d\)"),
        ("V", np.zeros(3), r"^V: must have shape \(K, T\)"),
        ("V", np.zeros((2, 2)), r"^V: must have shape \(3, 2\)"),
        ("b", np.zeros((3, 1)), r"^b: must have shape \(3,\)"),
        ("A", np.zeros((2, 1)), r"^A: must have shape \(1, 2\)"),
        ("c", np.zeros(1), r"^c: must have shape \(2,\)"),
        ("c", [np.nan, 0.0], "^c: NaN at index"),
        ("b", [0.0, np.inf, 0.0], "^b: infinite value at index"),
    ],
)
def test_bad_arrays_are_named(name, value, message):
    arrays = {
        "W": np.ones((3, 1)),
        "b": np.zeros(3),
        "V": np.ones((3, 2)),
        "A": np.zeros((1, 2)),
        "c": np.zeros(2),
    }
    with pytest.raises(ValueError, match=message):
        kw.ReLUNetwork(**{**arrays, name: value})


def test_arrays_are_read_only_copies():
    W, b, V = np.ones((3, 1)), np.zeros(3), np.ones((3, 2))
    network = kw.ReLUNetwork(W, b, V)
    W[:], b[:], V[:] = 9.0, 9.0, 9.0
    assert np.array_equal(network.predict([2.0]), [[6.0, 6.0]])
    for name in "WbVAc":
        with pytest.raises(ValueError, match="read-only"):
            getattr(network, name)[:] = 0.0
    with pytest.raises(AttributeError):
        network.W = W
