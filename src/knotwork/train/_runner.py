"""All seeds side by side: what is compiled, and how seeds share the machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._model import Data, Parameters
from ._steps import Method, Numbers

Carry = dict[str, Any]
_LARGE = 1 << 26


def choose_batching(asked: str, work: int) -> str:
    """`asked`, or for "auto" the faster way; `work` is rows times neurons times tasks.

    On a CPU one seed after the other in one loop ("map") keeps a seed's arrays in the cache: measured from
    20 neurons to 800, it takes between half and nine tenths of the time of "vmap", and its numbers are those
    of "serial" to the last bit. A GPU is left idle by small networks, which "vmap" runs together.
    """
    if asked != "auto":
        return asked
    return "map" if jax.default_backend() == "cpu" or work > _LARGE else "vmap"


@dataclass(frozen=True)
class Runner:
    """Starts and advances the state of S seeds, stacked along the first axis of every array.

    In "serial" every seed has a call of its own, in "map" one compiled loop goes over them, in "vmap" every
    operation is on all of them, which may sum in another order.
    """

    method: Method
    batching: str

    def start(self, p: Parameters, seeds: jax.Array, data: Data, numbers: Numbers) -> Carry:
        """Before the first step, checked."""
        n = len(seeds)
        infinite = jnp.full(n, jnp.inf, p["b"].dtype)
        carry = {
            "state": self.method.start(p, seeds, numbers),
            "best": p,
            "best_objective": infinite,
            "objective": infinite,
            "n_neurons": jnp.zeros(n, jnp.int32),
        }
        return self.advance(carry, np.ones(n, bool), 0, 0, data, numbers)

    def advance(
        self, carry: Carry, active: np.ndarray, at: int, n: int, data: Data, numbers: Numbers
    ) -> Carry:
        """`n` steps of the active seeds, from step `at` on, and then the check."""
        further = _compiled(self.method, self.batching == "vmap")
        where = jnp.asarray(at, jnp.int32), jnp.asarray(n, jnp.int32)
        if self.batching != "serial":
            return further(carry, jnp.asarray(active), *where, data, numbers)
        return _one_by_one(lambda part: further(*part, *where, data, numbers), (carry, jnp.asarray(active)))


@lru_cache(maxsize=32)
def _compiled(method: Method, together: bool) -> Any:
    model = method.model

    def check(carry: Carry, data: Data) -> Carry:
        p = carry["state"]["p"]
        objective = model.objective(p, data)
        better = objective < carry["best_objective"]
        best = {name: jnp.where(better, part, carry["best"][name]) for name, part in p.items()}
        return carry | {
            "objective": objective,
            "best": best,
            "best_objective": jnp.where(better, objective, carry["best_objective"]),
            "n_neurons": jnp.sum(model.neuron_costs(p) > 0.0, dtype=jnp.int32),
        }

    def go(carry: Carry, active: Any, at: Any, n: Any, data: Data, numbers: Numbers) -> Carry:
        def steps(first: Any, count: Any, state: Any) -> Any:
            return lax.fori_loop(0, count, lambda i, one: method.step(first + i, one, data, numbers), state)

        def move(carry: Carry) -> Carry:
            state, every = carry["state"], method.rescale_every
            if every:
                blocks = n // every

                def block(j: Any, one: Any) -> Any:
                    return method.rescale(steps(at + j * every, every, one))

                state = lax.fori_loop(0, blocks, block, state)
                state = steps(at + blocks * every, n - blocks * every, state)
            else:
                state = steps(at, n, state)
            return check(carry | {"state": state}, data)

        return lax.cond(active, move, lambda same: same, carry)

    if together:
        return jax.jit(jax.vmap(go, in_axes=(0, 0, None, None, None, None)))

    def each(carry: Carry, active: Any, at: Any, n: Any, data: Data, numbers: Numbers) -> Carry:
        return lax.map(lambda one: go(one[0], one[1], at, n, data, numbers), (carry, active))

    return jax.jit(each)


def _one_by_one(call: Any, parts: Any) -> Any:
    n = len(jax.tree_util.tree_leaves(parts)[0])
    each = [call(jax.tree_util.tree_map(lambda part, k=k: part[k : k + 1], parts)) for k in range(n)]
    return jax.tree_util.tree_map(lambda *ones: jnp.concatenate(ones), *each)
