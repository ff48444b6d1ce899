"""One step of a method, as functions of its state; `_loop.py` repeats them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ._model import Data, Model, Parameters

State = dict[str, Any]
Schedule = str | Callable[[Any], Any]


class Numbers(NamedTuple):
    """What may change without compiling anew; `steps` is where a schedule ends."""

    rate: jax.Array
    steps: jax.Array
    beta1: jax.Array
    beta2: jax.Array
    eps: jax.Array


def factor(schedule: Schedule, i: jax.Array, steps: jax.Array) -> Any:
    """The share of the learning rate at step i."""
    if not isinstance(schedule, str):
        return schedule(i)
    done = i / steps
    if schedule == "cosine":
        return 0.5 * (1.0 + jnp.cos(jnp.pi * done))
    if schedule == "linear":
        return 1.0 - done
    return 1.0


@dataclass(frozen=True)
class Method(ABC):
    """What all methods share.

    batch_size : rows of a mini-batch, drawn with replacement; None for all rows.
    rescale_every : steps between rescalings of the neurons, which leave the function as it is; 0 never.
    """

    model: Model
    schedule: Schedule
    batch_size: int | None
    rescale_every: int

    @abstractmethod
    def start(self, p: Parameters, seeds: jax.Array, numbers: Numbers) -> State:
        """Of all seeds, stacked along the first axis of every array."""

    @abstractmethod
    def step(self, i: jax.Array, state: State, data: Data, numbers: Numbers) -> State: ...

    @abstractmethod
    def rescale(self, state: State) -> State: ...

    def batch(self, i: jax.Array, state: State, data: Data) -> tuple[Data, float]:
        """The rows of step i, and what their loss is to be multiplied by."""
        if self.batch_size is None:
            return data, 1.0
        n = data.X.shape[0]
        key = jax.random.fold_in(jax.random.fold_in(jax.random.PRNGKey(0), state["seed"]), i)
        rows = jax.random.randint(key, (self.batch_size,), 0, n)
        w = None if data.w is None else data.w[rows]
        return data._replace(X=data.X[rows], y=data.y[rows], w=w), n / self.batch_size


@dataclass(frozen=True)
class Adam(Method):
    """Adam (Kingma, Ba 2015) on sum w l + lam/2 sum of squares of the decayed parameters."""

    def start(self, p: Parameters, seeds: jax.Array, numbers: Numbers) -> State:
        nothing = {name: jnp.zeros_like(part) for name, part in p.items()}
        return {"p": p, "mean": nothing, "square": nothing, "seed": seeds}

    def step(self, i: jax.Array, state: State, data: Data, numbers: Numbers) -> State:
        p = state["p"]
        rows, share = self.batch(i, state, data)
        _, g = self.model.loss_and_gradient(p, rows)
        decay = self.model.decay(p, data.lam)
        g = {name: share * g[name] + decay[name] for name in p}
        rule: Any = optax.scale_by_adam(numbers.beta1, numbers.beta2, numbers.eps)
        before: Any = optax.ScaleByAdamState(jnp.asarray(i, jnp.int32), state["mean"], state["square"])
        move, after = rule.update(g, before)
        rate = numbers.rate * factor(self.schedule, i, numbers.steps)
        p = {name: part - jnp.asarray(rate * move[name], part.dtype) for name, part in p.items()}
        return {"p": p, "mean": after.mu, "square": after.nu, "seed": state["seed"]}

    def rescale(self, state: State) -> State:
        # a parameter times s has the gradient divided by s: so have its moments
        s = self.model.balancing(state["p"])
        return {
            "p": {name: part * s[name] for name, part in state["p"].items()},
            "mean": {name: part / s[name] for name, part in state["mean"].items()},
            "square": {name: part / s[name] ** 2 for name, part in state["square"].items()},
            "seed": state["seed"],
        }
