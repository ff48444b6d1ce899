"""The losses of the library in JAX: their sum over the labels, and the gradient by prediction."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import xlogy

from ..losses import Huber, Logistic, Loss, Multinomial, PerTask, Poisson, Quantile, Squared
from ..problem import Problem


def value(loss: Loss, y: jax.Array, f: jax.Array) -> jax.Array:
    """(n, T) l(y, f), but for what f does not change (`constant`)."""
    if isinstance(loss, Squared):
        return 0.5 * (f - y) ** 2
    if isinstance(loss, Huber):
        size = jnp.abs(f - y)
        inside = jnp.minimum(size, loss.delta)
        return inside * (size - 0.5 * inside)
    if isinstance(loss, Logistic):
        return jax.nn.softplus(jnp.where(y > 0.5, -f, f))
    if isinstance(loss, Multinomial):
        return -y * jax.nn.log_softmax(f, axis=1)
    if isinstance(loss, Poisson):
        return jnp.exp(f) - y * f
    if isinstance(loss, Quantile):
        r = y - f
        return jnp.where(r > 0.0, loss.tau * r, (loss.tau - 1.0) * r)
    if isinstance(loss, PerTask):
        return _by_column(value, loss, y, f)
    raise TypeError(f"loss: {loss!r} cannot be trained; choose a loss of the library")


def gradient(loss: Loss, y: jax.Array, f: jax.Array) -> jax.Array:
    """(n, T) dl/df; for quantile loss one of the subgradients."""
    if isinstance(loss, Squared):
        return f - y
    if isinstance(loss, Huber):
        return jnp.clip(f - y, -loss.delta, loss.delta)
    if isinstance(loss, Logistic):
        return jax.nn.sigmoid(f) - y
    if isinstance(loss, Multinomial):
        return jax.nn.softmax(f, axis=1) - y
    if isinstance(loss, Poisson):
        return jnp.exp(f) - y
    if isinstance(loss, Quantile):
        return jnp.where(y > f, -loss.tau, jnp.where(y < f, 1.0 - loss.tau, 0.0))
    assert isinstance(loss, PerTask)
    return _by_column(gradient, loss, y, f)


def constant(problem: Problem) -> float:
    """What `value` leaves out: sum w (y log y - y) for counts, sum w y log y for classes."""
    loss, weight = problem.loss_function, problem.label_weight()
    Y = np.where(weight > 0, problem.Y, 0.0)
    losses = loss.losses if isinstance(loss, PerTask) else (loss,) * problem.n_tasks
    total = 0.0
    for t, one in enumerate(losses):
        if isinstance(one, Poisson):
            total += float(weight[:, t] @ (xlogy(Y[:, t], Y[:, t]) - Y[:, t]))
        elif isinstance(one, Multinomial):
            total += float(weight[:, t] @ xlogy(Y[:, t], Y[:, t]))
    return total


def _by_column(verb, loss: PerTask, y: jax.Array, f: jax.Array) -> jax.Array:
    out = jnp.zeros_like(f)
    for one in dict.fromkeys(loss.losses):
        at = np.array([other == one for other in loss.losses])
        out = jnp.where(at, verb(one, y, f), out)
    return out
