"""The stacked network that is trained: predictions, gradient, objective and rebalancing in JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..losses import Loss
from ..penalty import Penalty
from ..stacked import Activation, Link, StackedNetwork
from ..train import _losses
from ..train._model import Data, Model, Parameters, to_network
from .refinement import HOMOGENEOUS

_ACTIVATIONS: dict[str, Any] = {
    "identity": lambda z: z,
    "relu": lambda z: jnp.maximum(z, 0.0),
    "leaky_relu": lambda z: jnp.where(z > 0, z, 0.01 * z),
    "tanh": jnp.tanh,
}
_LINKS: dict[str, Any] = {
    "identity": lambda z: z,
    "softmax": lambda z: jax.nn.softmax(z, axis=1),
    "sigmoid": jax.nn.sigmoid,
}
_SWEEPS = 2


@dataclass(frozen=True)
class StackModel:
    """What is compiled for; parameters are those of `Model` with the stack's number behind, W1, b1, ...

    The penalty is that of every stack; all parameters are decayed.
    """

    loss: Loss
    penalty: Penalty
    activation: Activation
    link: Link
    n_stacks: int

    @property
    def one(self) -> Model:
        return Model(self.loss, self.penalty)

    def predict(self, p: Parameters, X: jax.Array) -> jax.Array:
        """f (n, T)."""
        act = self.activation if callable(self.activation) else _ACTIVATIONS[self.activation]
        z = X
        for j in range(1, self.n_stacks + 1):
            z, _ = self.one.predict(stack(p, j), z if j == 1 else act(z))
        return _LINKS[self.link](z)

    def loss_value(self, p: Parameters, data: Data) -> jax.Array:
        """sum w l."""
        return self._sum(self.predict(p, data.X), data)

    def loss_and_gradient(self, p: Parameters, data: Data) -> tuple[jax.Array, Parameters]:
        """sum w l and its gradient in the parameters."""
        f, back = jax.vjp(lambda q: self.predict(q, data.X), p)
        g = _losses.gradient(self.loss, data.y, f)
        if data.w is not None:
            g = g * data.w
        return self._sum(f, data), back(g)[0]

    def decay(self, p: Parameters, lam: jax.Array) -> Parameters:
        """The gradient of lam/2 sum of squares."""
        return {name: lam * part for name, part in p.items()}

    def squares(self, p: Parameters) -> jax.Array:
        """Half the sum of squares of all parameters."""
        return 0.5 * sum((jnp.sum(part**2) for part in p.values()), start=jnp.zeros(()))

    def objective(self, p: Parameters, data: Data) -> jax.Array:
        """sum w l + lam sum_j R(stack j), R that of balanced neurons."""
        costs = [self.one.cost(stack(p, j)) for j in range(1, self.n_stacks + 1)]
        return self.loss_value(p, data) + data.constant + data.lam * sum(costs[1:], start=costs[0])

    def neuron_costs(self, p: Parameters) -> jax.Array:
        each = [self.one.neuron_costs(stack(p, j)) for j in range(1, self.n_stacks + 1)]
        return jnp.concatenate(each)

    def balancing(self, p: Parameters) -> Parameters:
        """The factors, for each parameter, that leave the function as it is and lower the decay.

        Neurons are balanced in their stacks; then, where act commutes with scales, every output of a stack
        against the input weights of the next one that read it. Each is the minimum over its own scale.
        """
        factor = {name: jnp.ones_like(part) for name, part in p.items()}
        factor = self._balance_neurons(p, factor)
        if self.activation in HOMOGENEOUS:
            for _ in range(_SWEEPS):
                for j in range(1, self.n_stacks):
                    factor = _balance_outputs(p, factor, j)
                factor = self._balance_neurons(p, factor)
        return factor

    def _balance_neurons(self, p: Parameters, factor: Parameters) -> Parameters:
        now, out = scaled(p, factor), {}
        for j in range(1, self.n_stacks + 1):
            found = self.one.balancing(stack(now, j))
            out |= {f"{name}{j}": factor[f"{name}{j}"] * more for name, more in found.items()}
        return out

    def _sum(self, f: jax.Array, data: Data) -> jax.Array:
        parts = _losses.value(self.loss, data.y, f)
        return jnp.sum(parts if data.w is None else parts * data.w)


def stack(p: Parameters, j: int) -> Parameters:
    """The parameters of stack j = 1, ..., without its number."""
    return {name[: -len(str(j))]: part for name, part in p.items() if name.lstrip("WbVcALS") == str(j)}


def scaled(p: Parameters, factor: Parameters) -> Parameters:
    return {name: part * factor[name] for name, part in p.items()}


def to_stacked(p: Parameters, model: StackModel) -> StackedNetwork:
    """A network of float64 NumPy arrays."""
    stacks = tuple(to_network(stack(p, j)) for j in range(1, model.n_stacks + 1))
    return StackedNetwork(stacks, model.activation, model.link)


def _balance_outputs(p: Parameters, factor: Parameters, j: int) -> Parameters:
    """Output t of stack j times s_t, and what reads it divided by s_t: s_t^4 is the ratio of squares."""
    now = scaled(p, factor)
    one, after = stack(now, j), stack(now, j + 1)
    made = jnp.sum(one["V"] ** 2, axis=0) + one["c"] ** 2
    read = jnp.sum(after["W"] ** 2, axis=0)
    if "A" in one:
        made, read = made + jnp.sum(one["A"] ** 2, axis=0), read + jnp.sum(after["A"] ** 2, axis=1)
    elif "L" in one:
        made, read = made + jnp.sum(one["S"] ** 2, axis=0), read + jnp.sum(after["L"] ** 2, axis=0)
    both = (made > 0.0) & (read > 0.0)
    s = jnp.where(both, (jnp.where(both, read, 1.0) / jnp.where(both, made, 1.0)) ** 0.25, 1.0)
    change = {f"V{j}": s, f"c{j}": s, f"A{j}": s, f"S{j}": s}
    change |= {f"W{j + 1}": 1.0 / s, f"L{j + 1}": 1.0 / s, f"A{j + 1}": 1.0 / s[:, None]}
    return {name: part * change[name] if name in change else part for name, part in factor.items()}


def numpy_of(p: Parameters, k: int) -> dict[str, np.ndarray]:
    """The parameters of seed k as float64 arrays."""
    return {name: np.asarray(part[k], dtype=np.float64) for name, part in p.items()}
