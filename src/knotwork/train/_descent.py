"""The steps of `descend` in JAX."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Parameters = tuple[jax.Array, jax.Array, jax.Array]


def run(
    W: np.ndarray,
    b: np.ndarray,
    V: np.ndarray,
    X: np.ndarray,
    Y: np.ndarray,
    steps: int,
    rate: float | None,
    output: float,
    from_zero: bool,
) -> Any:
    """W, b, V of all runs after `steps` steps."""
    # the numbers are arguments, so that one compilation serves all of them
    chosen = 0.0 if rate is None else rate
    return _run((W, b, V), X, Y, steps, chosen, output, rate is None, from_zero)


@partial(jax.jit, static_argnums=(6, 7))
def _run(
    p: Any, X: Any, Y: Any, steps: Any, rate: Any, output: Any, by_curvature: bool, from_zero: bool
) -> Parameters:
    one = partial(_one, steps=steps, rate=rate, output=output, by_curvature=by_curvature, from_zero=from_zero)
    return jax.vmap(one)(p, jnp.asarray(X), jnp.asarray(Y))


def _one(
    p: Parameters,
    X: jax.Array,
    Y: jax.Array,
    *,
    steps: Any,
    rate: Any,
    output: Any,
    by_curvature: bool,
    from_zero: bool,
) -> Parameters:
    size = jnp.sqrt(1.0 + jnp.sum(X * X, axis=1))

    def hidden(p: Parameters) -> jax.Array:
        return X @ p[0].T + p[1]

    target = Y + output * jnp.maximum(hidden(p), 0.0) @ p[2] if from_zero else Y

    def step(_: Any, p: Parameters) -> Parameters:
        W, b, V = p
        z = hidden(p)
        h, active = jnp.maximum(z, 0.0), z > 0.0
        e = output * (h @ V) - target
        back = jnp.where(active, e @ V.T, 0.0) * output
        length = rate
        if by_curvature:
            steep = jnp.sum(h * h) + jnp.sum(active * (size * size)[:, None] * jnp.sum(V * V, axis=1))
            bent = jnp.sum(size * jnp.sqrt(jnp.sum(e * e, axis=1)))
            bound = output * output * steep + output * bent
            length = jnp.where(bound > 0.0, 1.0 / jnp.where(bound > 0.0, bound, 1.0), 0.0)
        return W - length * (back.T @ X), b - length * jnp.sum(back, axis=0), V - length * output * (h.T @ e)

    return jax.lax.fori_loop(0, steps, step, p)
