from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from example_networks import same_arrays
from hypothesis import given
from hypothesis import strategies as st

import knotwork as kw
from knotwork.interchange.layers import network_of_arrays

rng = np.random.default_rng(0)
W, b, V = rng.standard_normal((5, 3)), rng.standard_normal(5), rng.standard_normal((5, 2))
A, c = rng.standard_normal((3, 2)), rng.standard_normal(2)
STATE = {"fc.weight": W, "fc.bias": b, "head.weight": V.T, "head.bias": c, "direct.weight": A.T}


def test_shapes_decide_in_any_order():
    expected = kw.ReLUNetwork(W, b, V, A, c)
    for order in permutations(STATE):
        same_arrays(network_of_arrays({name: STATE[name] for name in order}), expected)


def test_biases_that_are_left_out_are_zero_and_two_of_the_output_add_up():
    without = network_of_arrays({"fc.weight": W, "head.weight": V.T})
    same_arrays(without, kw.ReLUNetwork(W, np.zeros(5), V))
    both = network_of_arrays(STATE | {"direct.bias": np.array([10.0, 20.0])})
    same_arrays(both, kw.ReLUNetwork(W, b, V, A, c + np.array([10.0, 20.0])))


def test_one_layer_is_a_network_without_neurons():
    expected = kw.ReLUNetwork(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2)), A, c)
    for name in ("", "linear.", "0."):
        same_arrays(network_of_arrays({f"{name}weight": A.T, f"{name}bias": c}), expected)
    same_arrays(network_of_arrays({"a.weight": A.T, "a.bias": c}, {"skip": "a"}), expected)


def test_arrays_under_our_own_names():
    same_arrays(network_of_arrays({"W": W, "b": b, "V": V}), kw.ReLUNetwork(W, b, V))
    same_arrays(network_of_arrays({"c": c, "A": A, "V": V, "b": b, "W": W}), kw.ReLUNetwork(W, b, V, A, c))


def square(n=4):
    return {f"{name}.weight": rng.standard_normal((n, n)) for name in ("one", "two", "three")}


def test_roles_that_the_shapes_leave_open_are_asked_for():
    state = square()
    with pytest.raises(ValueError, match=r'names=\{"hidden": "one", "output": "two", "skip": "three"\}'):
        network_of_arrays(state)
    for order in permutations(("one", "two", "three")):
        names = dict(zip(("hidden", "output", "skip"), order, strict=True))
        net = network_of_arrays(state, names)
        np.testing.assert_array_equal(net.W, state[f"{order[0]}.weight"])
        np.testing.assert_array_equal(net.V, state[f"{order[1]}.weight"].T)
        np.testing.assert_array_equal(net.A, state[f"{order[2]}.weight"].T)


def test_as_many_inputs_as_tasks_leave_two_layers_open():
    # (K, 1) and (1, K): K neurons of one input, or one neuron of K inputs
    state = {"a.weight": W[:, :1], "b.weight": V[:, :1].T}
    with pytest.raises(ValueError, match="leave open which layer is which"):
        network_of_arrays(state)
    assert network_of_arrays(state, {"hidden": "a", "output": "b"}).n_neurons == 5
    assert network_of_arrays(state, {"hidden": "b.weight", "output": "a.weight"}).n_neurons == 1


def test_children_of_a_sequential_run_in_the_order_of_their_numbers():
    for prefix in ("", "net.", "module.net."):
        state = {f"{prefix}10.weight": V[:, :1].T, f"{prefix}9.weight": W[:, :1]}
        np.testing.assert_array_equal(network_of_arrays(state).W, W[:, :1])
    with pytest.raises(ValueError, match="leave open"):
        network_of_arrays({"a.0.weight": W[:, :1], "b.2.weight": V[:, :1].T})
    with pytest.raises(ValueError, match="leave open"):
        network_of_arrays({"fc1.weight": W[:, :1], "fc2.weight": V[:, :1].T})


def test_layers_named_by_their_roles_need_no_shapes():
    M = [rng.standard_normal((2, 2)) for _ in range(3)]
    net = network_of_arrays({"skip.weight": M[0], "output.weight": M[1], "hidden.weight": M[2]})
    same_arrays(net, kw.ReLUNetwork(M[2], np.zeros(2), M[1].T, M[0].T))


@given(st.tuples(*[st.integers(1, 3)] * 3), st.booleans(), st.randoms())
def test_what_shapes_decide_is_decided_rightly_and_the_rest_refused(sizes, skip, random):
    d, K, T = sizes
    draw = np.random.default_rng(0)
    weights = [draw.standard_normal(shape) for shape in ((K, d), (T, K), (T, d))[: 3 if skip else 2]]
    order = list(range(len(weights)))
    random.shuffle(order)
    state = {f"{'xyz'[i]}.weight": weights[i] for i in order}
    products = [
        (second @ first).shape
        for first, second, *_ in permutations(weights)
        if second.shape[1] == first.shape[0] and (not skip or _[0].shape == (second @ first).shape)
    ]
    if len(products) == 1:
        expected = kw.ReLUNetwork(weights[0], np.zeros(K), weights[1].T, weights[2].T if skip else None)
        same_arrays(network_of_arrays(state), expected)
    else:
        with pytest.raises(ValueError, match="leave open"):
            network_of_arrays(state)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, r"0 linear layers \(none\)"),
        ({"a.weight": W, "b.weight": np.ones((2, 4))}, r"a \(5, 3\), b \(2, 4\) do not fit together"),
        ({"0.weight": W, "2.weight": np.ones((6, 5)), "4.weight": np.ones((2, 6))}, "do not fit together"),
        ({f"{i}.weight": np.ones((3, 3)) for i in range(4)}, "4 linear layers"),
        (
            STATE | {"fc.bias": np.ones(4)},
            r"fc\.bias: must have shape \(5,\) beside fc\.weight \(5, 3\), got \(4,\)",
        ),
        (STATE | {"norm.weight": np.ones(5)}, r"norm\.weight: of shape \(5,\) is no weight matrix"),
        (STATE | {"norm.running_mean": np.ones(5)}, r"norm\.running_mean"),
        (STATE | {"conv.weight": np.ones((5, 3, 3))}, r"conv\.weight: of shape \(5, 3, 3\)"),
        (STATE | {"scale": np.ones((3, 3))}, r"scale: of shape"),
        (STATE | {"fc.weight": np.where(W > 2, W, np.nan)}, r"fc\.weight: NaN at index \(0, 0\)"),
        (STATE | {"head.bias": np.array([0.0, np.inf])}, r"head\.bias: infinite value at index \(1,\)"),
        ({"W": W, "b": np.ones(4), "V": V}, r"b: must have shape \(5,\)"),
        ({"W": W, "b": b, "V": V, "extra": b}, "W: of shape"),
    ],
)
def test_what_is_no_network_is_refused_by_name(state, message):
    with pytest.raises(ValueError, match=message):
        network_of_arrays(state)


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"hidden": "fc", "output": "head"},
        {"hidden": "fc", "output": "head", "skip": "skip"},
        {"hidden": "head", "output": "fc", "skip": "direct"},
        {"inner": "fc", "output": "head", "skip": "direct"},
        {"hidden": "fc", "output": "fc", "skip": "direct"},
    ],
)
def test_names_that_do_not_fit_are_refused(names):
    with pytest.raises(ValueError, match=r"^names: .*fc \(5, 3\), head \(2, 5\), direct \(2, 3\)"):
        network_of_arrays(STATE, names)
