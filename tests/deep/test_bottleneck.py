"""Narrower bottlenecks, the same predictions, no more cost (B, Corollary 3.2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stacked import random_stacks

import knotwork as kw
from knotwork.deep.bottleneck import reduce_bottleneck
from knotwork.deep.stack_costs import raw_cost

PENALTIES = [
    kw.Penalty(True, "none"),
    kw.Penalty(True, "frobenius"),
    kw.Penalty(True, "nuclear"),
    kw.Penalty(False, "none"),
    kw.Penalty(),
]
N = 4


def by_hand(network, X):
    """f(X) of identity between stacks, in plain sums."""
    z = X
    for h in network.stacks:
        z = np.maximum(z @ h.W.T + h.b, 0.0) @ h.V + z @ h.A + h.c
    return z


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.integers(1, 3),
    st.sampled_from(PENALTIES),
)
def test_predictions_stay_no_cost_rises_and_no_bottleneck_is_wider_than_the_data(seed, between, d, penalty):
    rng = np.random.default_rng(seed)
    network = kw.StackedNetwork(random_stacks(rng, [d, *between, 2], penalty.skip != "none"))
    X = rng.standard_normal((N, d))
    found = reduce_bottleneck(network, X, penalty)
    wanted = by_hand(network, X)
    size = max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(by_hand(found.network, X), wanted, atol=1e-12 * size, rtol=0)
    assert found.largest_change <= 1e-12 * size
    assert found.before == tuple(between)
    assert found.after == found.network.bottlenecks
    assert all(after <= min(before, N) for before, after in zip(between, found.after, strict=True))
    for old, new in zip(network.stacks, found.network.stacks, strict=True):
        assert new.cost(penalty) <= old.cost(penalty) * (1 + 1e-13)
        assert raw_cost(new, penalty) <= raw_cost(old, penalty) * (1 + 1e-13)
        assert new.n_neurons == old.n_neurons
    np.testing.assert_allclose(found.cost_before, network.costs(penalty), rtol=1e-15)
    np.testing.assert_allclose(found.cost, found.network.costs(penalty), rtol=1e-15)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_network_that_uses_more_dimensions_pays_less_and_changes_off_the_data(penalty):
    rng = np.random.default_rng(7)
    h1 = kw.ReLUNetwork(*(rng.standard_normal(shape) for shape in ((12, 2), 12, (12, 9))))
    h2 = kw.ReLUNetwork(*(rng.standard_normal(shape) for shape in ((12, 9), 12, (12, 2))))
    network = kw.StackedNetwork((h1, h2))
    found = reduce_bottleneck(network, rng.standard_normal((N, 2)), penalty)
    assert (found.before, found.after) == ((9,), (N,))
    assert (found.cost < 0.95 * found.cost_before).all()
    elsewhere = rng.standard_normal((5, 2))
    assert np.abs(by_hand(found.network, elsewhere) - by_hand(network, elsewhere)).max() > 0.1


@pytest.mark.parametrize("seed", range(6))
def test_dimensions_that_no_output_uses_go_without_a_trace(seed):
    """As at an optimum: no norm falls, and the function is the same everywhere."""
    rng = np.random.default_rng(seed)
    h1, h2 = random_stacks(rng, [2, 3, 2], skip=True)
    Q = np.linalg.qr(rng.standard_normal((9, 3)))[0]
    wide = kw.StackedNetwork(
        (
            kw.ReLUNetwork(h1.W, h1.b, h1.V @ Q.T, h1.A @ Q.T, h1.c @ Q.T),
            kw.ReLUNetwork(h2.W @ Q.T, h2.b, h2.V, Q @ h2.A, h2.c),
        )
    )
    X, elsewhere = rng.standard_normal((5, 2)), 3 * rng.standard_normal((50, 2))
    for skip in ("frobenius", "nuclear"):
        found = reduce_bottleneck(wide, X, kw.Penalty(True, skip))
        assert (found.before, found.after) == ((9,), (3,))
        np.testing.assert_allclose(found.cost, found.cost_before, rtol=1e-13)
        np.testing.assert_allclose(by_hand(found.network, elsewhere), by_hand(wide, elsewhere), atol=1e-11)
        np.testing.assert_allclose(
            found.network.predict(elsewhere), kw.StackedNetwork((h1, h2)).predict(elsewhere), atol=1e-11
        )


def test_as_many_dimensions_as_data_are_needed():
    """h_1 sends the data to the corners e_1, ..., e_N of a simplex: no N - 1 directions hold them."""
    X = np.eye(N)
    h1 = kw.ReLUNetwork(np.eye(N, 6).T, np.zeros(6), np.eye(6, 8))
    h2 = kw.ReLUNetwork(np.eye(8), np.zeros(8), np.random.default_rng(0).standard_normal((8, 3)))
    network = kw.StackedNetwork((h1, h2))
    found = reduce_bottleneck(network, X)
    assert found.after == (N,)
    outputs = network.outputs(X)[0]
    assert np.linalg.matrix_rank(outputs) == N
    rng = np.random.default_rng(1)
    for _ in range(200):
        U = np.linalg.qr(rng.standard_normal((8, N - 1)))[0]
        assert np.abs(outputs @ U @ U.T - outputs).max() > 0.1
    # the closest N - 1 dimensions still miss it by 1, in the Frobenius norm
    assert np.linalg.svd(outputs, compute_uv=False)[N - 1] == pytest.approx(1.0)


def test_data_of_lower_rank_need_less_and_rows_count_once():
    rng = np.random.default_rng(3)
    network = kw.StackedNetwork(random_stacks(rng, [1, 7, 2]))
    X = np.repeat(rng.standard_normal(3), 5)
    assert reduce_bottleneck(network, X).after == (3,)
    silent = kw.ReLUNetwork([[1.0]], [-10.0], [[1.0, 2.0, 3.0]])
    following = random_stacks(rng, [3, 1])[0]
    found = reduce_bottleneck(kw.StackedNetwork((silent, following)), [0.0, 1.0])
    assert found.after == (1,)
    assert found.largest_change == 0.0


def test_what_needs_nothing_is_left_as_it_is():
    rng = np.random.default_rng(4)
    network = kw.StackedNetwork(random_stacks(rng, [2, 3, 2]), link="softmax")
    X = rng.standard_normal((6, 2))
    found = reduce_bottleneck(network, X)
    assert found.network.stacks == network.stacks
    assert found.largest_change == 0.0
    alone = kw.StackedNetwork(network.stacks[:1])
    assert reduce_bottleneck(alone, X).after == ()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", np.sin])
def test_other_functions_between_stacks_are_refused_with_the_reason(activation):
    network = kw.StackedNetwork(random_stacks(np.random.default_rng(0), [1, 7, 2]), activation)
    with pytest.raises(ValueError, match="does not commute with the projection"):
        reduce_bottleneck(network, [0.0, 1.0])


def test_the_projection_would_move_predictions_through_relu():
    """Why it is refused: the same U, with ReLU between the stacks."""
    rng = np.random.default_rng(0)
    stacks = random_stacks(rng, [1, 7, 2])
    X = rng.standard_normal(3)
    reduced = reduce_bottleneck(kw.StackedNetwork(stacks), X).network
    before, after = kw.StackedNetwork(stacks, "relu"), kw.StackedNetwork(reduced.stacks, "relu")
    assert np.abs(before.predict(X) - after.predict(X)).max() > 0.1


def test_bad_arguments_are_named():
    rng = np.random.default_rng(0)
    network = kw.StackedNetwork(random_stacks(rng, [1, 7, 2], skip=True))
    with pytest.raises(TypeError, match="network"):
        reduce_bottleneck(network.stacks[0], [0.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X"):
        reduce_bottleneck(network, rng.standard_normal((3, 2)))
    with pytest.raises(ValueError, match="A: must be zero"):
        reduce_bottleneck(network, [0.0, 1.0], kw.Penalty(True, "none"))
