"""Stacked networks: their function, its invariances, and their files."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import knotwork as kw
from knotwork.fit_files import read_model

ACTS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "tanh": np.tanh,
}


def random_stacks(rng, dims, skip=True):
    def one(d, n_out):
        K = int(rng.integers(0, 6))
        A = rng.standard_normal((d, n_out)) if skip else None
        return kw.ReLUNetwork(
            rng.standard_normal((K, d)),
            rng.standard_normal(K),
            rng.standard_normal((K, n_out)),
            A,
            rng.standard_normal(n_out),
        )

    return tuple(one(a, b) for a, b in itertools.pairwise(dims))


@given(st.integers(0, 10**6), st.sampled_from(sorted(ACTS)), st.integers(1, 4))
def test_the_function_is_the_composition(seed, activation, n_stacks):
    rng = np.random.default_rng(seed)
    stacks = random_stacks(rng, rng.integers(1, 4, n_stacks + 1).tolist())
    X = rng.standard_normal((7, stacks[0].n_inputs))
    z = X
    for j, one in enumerate(stacks):
        z = z if j == 0 else ACTS[activation](z)
        z = np.maximum(z @ one.W.T + one.b, 0) @ one.V + z @ one.A + one.c
    network = kw.StackedNetwork(stacks, activation)
    np.testing.assert_allclose(network.predict(X), z, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(kw.StackedNetwork(stacks, ACTS[activation]).predict(X), network.predict(X))
    assert network.widths == tuple(one.n_neurons for one in stacks)
    assert network.bottlenecks == tuple(one.n_tasks for one in stacks[:-1])
    for one, inputs, outputs in zip(stacks, network.inputs(X), network.outputs(X), strict=True):
        np.testing.assert_array_equal(one.predict(inputs), outputs)


@given(st.integers(0, 10**6), st.sampled_from(["identity", "relu", "leaky_relu"]))
def test_balancing_neurons_and_scaling_stacks_keep_the_function(seed, activation):
    rng = np.random.default_rng(seed)
    network = kw.StackedNetwork(random_stacks(rng, [2, 3, 1, 2]), activation)
    X = rng.standard_normal((9, 2))
    f = network.predict(X)
    np.testing.assert_allclose(network.balance().predict(X), f, rtol=1e-10, atol=1e-10)
    scales = [rng.lognormal(0, 2, 3), rng.lognormal(0, 2, 1)]
    np.testing.assert_allclose(network.rescaled(scales).predict(X), f, rtol=1e-9, atol=1e-9)
    balanced = [
        float(np.sum(one.W**2 + 0) + np.sum(one.b**2) + np.sum(one.V**2)) / 2
        for one in network.balance().stacks
    ]
    neurons = [float(one.neuron_costs(kw.Penalty(True, "none")).sum()) for one in network.stacks]
    np.testing.assert_allclose(balanced, neurons, rtol=1e-10)


def test_links():
    (last,) = random_stacks(np.random.default_rng(0), [2, 3])
    X = 500.0 * np.random.default_rng(1).standard_normal((6, 2))
    z = last.predict(X)
    shares = kw.StackedNetwork((last,), link="softmax").predict(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    near = z / 100.0
    small = kw.StackedNetwork(
        (kw.ReLUNetwork(last.W, last.b, last.V / 100, last.A / 100, last.c / 100),), link="softmax"
    )
    np.testing.assert_allclose(small.predict(X), np.exp(near) / np.exp(near).sum(axis=1, keepdims=True))
    odds = kw.StackedNetwork((last,), link="sigmoid").predict(X)
    assert np.all((odds >= 0) & (odds <= 1))
    np.testing.assert_allclose(
        np.log(odds[np.abs(z) < 20] / (1 - odds[np.abs(z) < 20])), z[np.abs(z) < 20], rtol=1e-6
    )


def test_costs_are_those_of_the_stacks():
    rng = np.random.default_rng(2)
    straight = kw.StackedNetwork(random_stacks(rng, [1, 2, 3], skip=False))
    decay = kw.Penalty(True, "none")
    np.testing.assert_allclose(straight.costs(), [one.cost(decay) for one in straight.stacks])
    skips = kw.StackedNetwork(random_stacks(rng, [1, 2, 3]))
    both = [kw.Penalty(True, "nuclear"), kw.Penalty(True, "frobenius")]
    np.testing.assert_allclose(
        skips.costs(both), [one.cost(p) for one, p in zip(skips.stacks, both, strict=True)]
    )
    assert skips.penalties() == (kw.Penalty(True, "frobenius"),) * 2


def test_a_file_gives_the_network_back_bit_by_bit(tmp_path):
    network = kw.StackedNetwork(random_stacks(np.random.default_rng(3), [2, 1, 3]), "tanh", "sigmoid")
    kw.save(network, tmp_path / "m.safetensors", metadata={"note": 1})
    again = kw.load(tmp_path / "m.safetensors")
    assert isinstance(again, kw.StackedNetwork)
    assert (again.activation, again.link) == ("tanh", "sigmoid")
    for one, other in zip(network.stacks, again.stacks, strict=True):
        for name in "WbVAc":
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert kw.read_metadata(tmp_path / "m.safetensors") == {"note": 1}
    for reader in (kw.load_network, read_model):
        with pytest.raises(ValueError, match="holds a stacked network"):
            reader(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="activation is a function"):
        kw.save(kw.StackedNetwork(network.stacks, np.sin), tmp_path / "n.safetensors")
    assert not (tmp_path / "n.safetensors").exists()


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(4)
    stacks = random_stacks(rng, [2, 3, 1])
    with pytest.raises(TypeError, match="stacks: must be a sequence"):
        kw.StackedNetwork(stacks[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stacks: there must be at least one"):
        kw.StackedNetwork(())
    with pytest.raises(TypeError, match="stacks: number 2 must be a ReLUNetwork"):
        kw.StackedNetwork((stacks[0], 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="number 1 has 1 outputs, number 2 takes 2"):
        kw.StackedNetwork(stacks[::-1])
    with pytest.raises(ValueError, match="activation: must be one of"):
        kw.StackedNetwork(stacks, "gelu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="link: must be one of"):
        kw.StackedNetwork(stacks, link="probit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="activation: made"):
        kw.StackedNetwork(stacks, np.sum).predict(np.zeros((3, 2)))
    network = kw.StackedNetwork(stacks, "tanh")
    with pytest.raises(ValueError, match="does not commute with a scale"):
        network.rescaled([np.ones(3)])
    with pytest.raises(ValueError, match="number 1 must be 3 finite numbers > 0"):
        kw.StackedNetwork(stacks).rescaled([[1.0, -1.0, 1.0]])
    with pytest.raises(ValueError, match="scales: must be 1 arrays"):
        kw.StackedNetwork(stacks).rescaled([])
    with pytest.raises(ValueError, match="penalties: must be a Penalty or one for each of the 2"):
        network.costs([kw.Penalty()])
