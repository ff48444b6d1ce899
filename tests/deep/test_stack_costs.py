"""The chain of costs of a stack, against its definition and against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from test_stacked import random_stacks

import knotwork as kw
from knotwork.deep.stack_costs import raw_cost

PENALTIES = [
    kw.Penalty(True, "none"),
    kw.Penalty(True, "frobenius"),
    kw.Penalty(True, "nuclear"),
    kw.Penalty(False, "none"),
    kw.Penalty(),
]


def holds_chain(cost):
    chain = [cost.raw, cost.balanced, cost.merged]
    chain += [] if cost.function is None else [cost.function]
    chain.append(cost.data_bound)
    return all(high >= low * (1 - 1e-9) - 1e-12 for high, low in itertools.pairwise(chain))


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"{p.biases}-{p.skip}")
def test_the_chain_descends_on_random_networks(penalty):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        network = kw.StackedNetwork(random_stacks(rng, [1, 2, 1, 2], penalty.skip != "none"), "relu")
        costs = kw.stack_costs(network, rng.standard_normal(6), penalty, tol=1e-6)
        assert [holds_chain(one) for one in costs] == [True] * 3
        assert [one.function is None for one in costs] == [False, True, False]


def test_each_step_of_the_chain_can_be_strict():
    # two equal neurons out of balance, and between the data a bend that the data do not see
    decay = kw.Penalty(True, "none")
    stack = kw.ReLUNetwork([[2.0], [1.0], [1.0]], [0.0, 0.0, -0.5], [[1.0], [1.0], [0.3]])
    (one,) = kw.stack_costs(kw.StackedNetwork((stack,)), [-1.0, 0.0, 1.0], decay)
    assert one.raw == pytest.approx((4 + 1 + 1 + 0.25 + 1 + 1 + 0.09) / 2)
    assert one.balanced == pytest.approx(2 + 1 + 0.3 * np.hypot(1, 0.5))
    assert one.merged == pytest.approx(one.balanced)
    # of opposite signs the two are one neuron of less
    opposed = kw.ReLUNetwork([[2.0], [1.0]], [0.0, 0.0], [[1.0], [-1.0]])
    (less,) = kw.stack_costs(kw.StackedNetwork((opposed,)), [-1.0, 0.0, 1.0], decay)
    assert (less.balanced, less.merged) == (pytest.approx(3.0), pytest.approx(1.0))
    assert less.function == pytest.approx(1.0)
    assert one.data_bound < 0.999 * one.function
    # the labels 0, 0, 3.15 are met by one bend at 0, which costs 3.15; a bend further right costs more
    assert one.data_bound == pytest.approx(3.15, rel=1e-6)


def test_the_raw_cost_is_what_weight_decay_charges():
    (stack,) = random_stacks(np.random.default_rng(5), [2, 3])
    squares = {name: float(np.sum(getattr(stack, name) ** 2)) for name in "WbVAc"}
    assert raw_cost(stack, kw.Penalty()) == pytest.approx((squares["W"] + squares["V"]) / 2)
    everything = sum(squares.values()) / 2
    assert raw_cost(stack, kw.Penalty(True, "frobenius")) == pytest.approx(everything)
    nuclear = np.linalg.norm(stack.A, "nuc")
    assert raw_cost(stack, kw.Penalty(True, "nuclear")) == pytest.approx(
        everything - squares["A"] / 2 + nuclear
    )
