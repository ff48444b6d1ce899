"""P of each stack of one input against conic programmes, and the chain on many networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from references_cost import bent, conic_cost_of_splits
from test_stack_costs import PENALTIES, holds_chain
from test_stacked import random_stacks

import knotwork as kw
from knotwork.deep.periodic import periodic_tasks

every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p.biases}-{p.skip}")


@every_penalty
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_the_function_s_cost_is_that_of_a_conic_programme(penalty, n_tasks):
    """Stacks of one input, of one output and of several; 1e-8."""
    for seed, activation in enumerate(("identity", "relu", "tanh")):
        rng = np.random.default_rng([seed, n_tasks])
        stacks = random_stacks(rng, [1, 1, 1, n_tasks], penalty.skip != "none")
        network = kw.StackedNetwork(stacks, activation)
        costs = kw.stack_costs(network, rng.standard_normal(4), penalty, tol=1e-3)
        for one, stack in zip(costs, stacks, strict=True):
            conic = conic_cost_of_splits(bent(stack), penalty.biases, penalty.skip)
            assert one.function == pytest.approx(conic, rel=1e-8, abs=1e-12)
            bound = kw.representational_cost(stack, penalty).lower_bound
            assert one.function * (1 - 1e-9) <= bound <= one.function * (1 + 1e-12)


def test_neurons_that_only_rounding_keeps_apart_are_one():
    penalty, split = kw.Penalty(True, "none"), 0
    for seed in range(20):
        w, b, v, u = np.random.default_rng(seed).standard_normal(4)
        stack = kw.ReLUNetwork([[w], [3 * w]], [b, 3 * b], [[v], [u]])
        split += stack.canonicalise(penalty).n_neurons - 1
        (one,) = kw.stack_costs(kw.StackedNetwork((stack,)), [-1.0, 0.2, 1.0], penalty)
        assert one.merged == pytest.approx(abs(v + 3 * u) * np.hypot(w, b), rel=1e-12)
        assert holds_chain(one)
    # the case is met
    assert split > 5
    # those that are truly apart stay two
    stack = kw.ReLUNetwork([[1.0], [1.0]], [0.5, 0.5 + 1e-9], [[1.0], [-1.0]])
    (one,) = kw.stack_costs(kw.StackedNetwork((stack,)), [-1.0, 0.2, 1.0], penalty)
    assert one.merged == pytest.approx(2 * np.hypot(1, 0.5), rel=1e-8)


@pytest.mark.parametrize(("penalty", "n_inputs"), [(kw.Penalty(), 1), (kw.Penalty(True, "nuclear"), 2)])
def test_inputs_a_rounding_apart_do_not_raise_the_data_bound(penalty, n_inputs):
    """Across such a step the rounding of two outputs is a slope of any size."""
    for seed in range(9):
        rng = np.random.default_rng(seed)
        stack = kw.ReLUNetwork(*(rng.standard_normal(shape) for shape in ((4, n_inputs), 4, (4, 2))))
        X = rng.standard_normal((4, n_inputs))
        X = np.vstack([X] + [X + 10.0 ** -(8 + seed % 9) * rng.standard_normal(X.shape) for _ in range(2)])
        (one,) = kw.stack_costs(kw.StackedNetwork((stack,)), X, penalty, tol=1e-6)
        assert holds_chain(one)
        (few,) = kw.stack_costs(kw.StackedNetwork((stack,)), X[:4], penalty, tol=1e-6)
        assert one.data_bound == pytest.approx(few.data_bound, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("slope", [1.0, 1e4 / 3, 1e8 / 3])
def test_what_rounding_of_the_outputs_adds_is_no_bend(slope):
    """A steep line costs nothing under a free skip connection, but its values are rounded."""
    x = np.random.default_rng(0).standard_normal(12)
    stack = kw.ReLUNetwork([[1.0]], [0.0], [[1e-3, 2e-3]], [[slope, -7 * slope]], [0.1, 2.0])
    (one,) = kw.stack_costs(kw.StackedNetwork((stack,)), x, kw.Penalty())
    assert one.function == pytest.approx(1e-3 * np.sqrt(5.0), rel=1e-12)
    assert one.data_bound <= one.function
    if slope < 1e8 / 3:
        assert one.data_bound == pytest.approx(one.function, rel=1e-4)


def random_network(seed):
    """(network, inputs, penalty): 1 to 3 stacks, bottlenecks from 1 to 3, every penalty and activation."""
    rng = np.random.default_rng(seed)
    penalty, n_stacks = PENALTIES[seed % 5], 1 + seed // 5 % 3
    dims = [1 if seed % 2 else int(rng.integers(2, 4)), *rng.integers(1, 4, n_stacks).tolist()]
    activation = ("identity", "relu", "tanh")[seed % 3]
    network = kw.StackedNetwork(random_stacks(rng, dims, penalty.skip != "none"), activation)
    return network, rng.standard_normal((8, dims[0])), penalty


def trained_networks(seeds, steps):
    """Of small widths, on the periodic tasks and on two inputs; (network, inputs, penalty)."""
    skips = itertools.cycle(("none", "frobenius", "nuclear"))
    for seed, skip in zip(range(seeds), skips, strict=False):
        penalty = kw.Penalty(True, skip)
        data = periodic_tasks(seed, n_rows=10, n_tasks=2)
        X = data.X if seed % 2 else np.random.default_rng(seed).standard_normal((10, 2))
        training = kw.train_stacked(
            kw.Problem(X, data.Y, 0.1, penalty=penalty),
            (1 + seed % 2,),
            8,
            seeds=[seed],
            steps=steps,
            check_every=50,
            rounds=0,
        )
        yield training.best, X, penalty


def broken(network, X, penalty):
    costs = kw.stack_costs(network, X, penalty, tol=1e-3)
    assert len(costs) == len(network.stacks)
    return [one for one in costs if not holds_chain(one)]


def test_the_chain_descends_on_networks_of_every_shape_and_on_trained_ones():
    assert [broken(*random_network(seed)) for seed in range(15)] == [[]] * 15
    assert [broken(*one) for one in trained_networks(2, 200)] == [[]] * 2


@pytest.mark.slow
def test_the_chain_descends_on_200_random_and_20_trained_networks():
    assert [broken(*random_network(seed)) for seed in range(200)] == [[]] * 200
    assert [broken(*one) for one in trained_networks(20, 500)] == [[]] * 20
