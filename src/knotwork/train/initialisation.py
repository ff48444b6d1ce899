"""Where training starts: schemes by name, each a function of the problem, the width and the seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..problem import Problem

Array = NDArray[np.float64]
# (shape, inputs of the layer, outputs of the layer) -> weights
Layer = Callable[[tuple[int, ...], int, int], Array]
Initialisation = str | ReLUNetwork | Sequence[ReLUNetwork]
_SMALL = 0.1


def kaiming_uniform(problem: Problem, width: int, rng: np.random.Generator) -> dict[str, Array]:
    """U(-1/sqrt(n), 1/sqrt(n)) for all, n the number of inputs of the layer: PyTorch's `nn.Linear`.

    (There He et al. 2015 with a = sqrt(5), biases included.) A is a linear layer without bias.
    """

    def layer(shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        return rng.uniform(-1.0, 1.0, shape) / np.sqrt(fan_in)

    parts = _weights(problem, width, layer)
    d, T = problem.n_inputs, problem.n_tasks
    return parts | {"b": layer((width,), d, width), "c": layer((T,), width, T)}


def kaiming_normal(problem: Problem, width: int, rng: np.random.Generator) -> dict[str, Array]:
    """N(0, 2/n), n the number of inputs of the layer; biases and c 0 (He et al. 2015)."""
    return _normal(problem, width, rng, lambda fan_in, fan_out: 2.0 / fan_in)


def xavier_normal(problem: Problem, width: int, rng: np.random.Generator) -> dict[str, Array]:
    """N(0, 2/(n + m)), n inputs and m outputs of the layer; biases and c 0 (Glorot, Bengio 2010)."""
    return _normal(problem, width, rng, lambda fan_in, fan_out: 2.0 / (fan_in + fan_out))


def data_kinks(problem: Problem, width: int, rng: np.random.Generator) -> dict[str, Array]:
    """Directions uniform on the sphere, the kink of every neuron through a row of the data drawn at
    random, |v_k| small, of random direction and equal to the penalised input norm; c and A from the
    fit without neurons. At free biases optimal kinks pass through data (A, Lemma 3.2)."""
    d, T = problem.n_inputs, problem.n_tasks
    W, V = rng.standard_normal((width, d)), rng.standard_normal((width, T))
    W /= np.linalg.norm(W, axis=1)[:, None]
    V *= _SMALL / np.linalg.norm(V, axis=1)[:, None]
    b = -np.einsum("kd,kd->k", W, problem.X[rng.integers(problem.n_rows, size=width)])
    free = problem.free_fit()
    network = ReLUNetwork(W, b, V, free.A, free.c).balance(problem.penalty)
    return parameters_of(network, problem, width)


SCHEMES: dict[str, Callable[[Problem, int, np.random.Generator], dict[str, Array]]] = {
    "kaiming_uniform": kaiming_uniform,
    "kaiming_normal": kaiming_normal,
    "xavier_normal": xavier_normal,
    "data_kinks": data_kinks,
}


def initial_parameters(
    problem: Problem, width: int, seeds: Sequence[int], initialisation: Initialisation
) -> dict[str, Array]:
    """The parameters of all seeds, stacked: W (S, K, d), b (S, K), V (S, K, T), c (S, T), ...

    The numbers of a seed depend on nothing but the seed.

    Raises
    ------
    TypeError, ValueError : for a scheme without a name here, or networks that do not fit.
    """
    if isinstance(initialisation, str):
        names = ", ".join(SCHEMES)
        if initialisation not in SCHEMES:
            raise ValueError(
                f"initialisation: got {initialisation!r}; choose one of {names}, or give networks"
            )
        scheme = SCHEMES[initialisation]
        each = [scheme(problem, width, np.random.default_rng(seed)) for seed in seeds]
    else:
        networks = (
            [initialisation] * len(seeds) if isinstance(initialisation, ReLUNetwork) else initialisation
        )
        if not isinstance(networks, Sequence) or len(networks) != len(seeds):
            raise TypeError(
                f"initialisation: must be a name, a network or {len(seeds)} networks, got {initialisation!r}"
            )
        each = [parameters_of(network, problem, width) for network in networks]
    return {name: np.stack([one[name] for one in each]) for name in each[0]}


def parameters_of(network: ReLUNetwork, problem: Problem, width: int) -> dict[str, Array]:
    """The parameters of a network of at most `width` neurons; the rest are 0 and stay so under Adam."""
    problem.check_network(network)
    more = width - network.n_neurons
    if more < 0:
        raise ValueError(f"initialisation: has {network.n_neurons} neurons, more than width = {width}")
    parts: dict[str, Array] = {
        "W": np.vstack([network.W, np.zeros((more, problem.n_inputs))]),
        "b": np.concatenate([network.b, np.zeros(more)]),
        "V": np.vstack([network.V, np.zeros((more, problem.n_tasks))]),
        "c": np.array(network.c),
    }
    skip = problem.penalty.skip
    if skip == "none" and np.any(network.A):
        raise ValueError("initialisation: A must be zero under skip='none'; train with another penalty")
    if skip == "nuclear":
        left, size, right = np.linalg.svd(network.A, full_matrices=False)
        parts |= {"L": (left * np.sqrt(size)).T, "S": np.sqrt(size)[:, None] * right}
    elif skip != "none":
        parts["A"] = np.array(network.A)
    return parts


def _normal(
    problem: Problem, width: int, rng: np.random.Generator, variance: Callable[[int, int], float]
) -> dict[str, Array]:
    def layer(shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        return np.sqrt(variance(fan_in, fan_out)) * rng.standard_normal(shape)

    parts = _weights(problem, width, layer)
    return parts | {"b": np.zeros(width), "c": np.zeros(problem.n_tasks)}


def _weights(problem: Problem, width: int, layer: Layer) -> dict[str, Array]:
    d, T = problem.n_inputs, problem.n_tasks
    parts = {"W": layer((width, d), d, width), "V": layer((width, T), width, T)}
    if problem.penalty.skip == "nuclear":
        rank = min(d, T)
        return parts | {"L": layer((rank, d), d, rank), "S": layer((rank, T), rank, T)}
    return parts if problem.penalty.skip == "none" else parts | {"A": layer((d, T), d, T)}
