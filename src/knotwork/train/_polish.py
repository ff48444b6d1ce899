"""The last digits: L-BFGS from where training ended."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from ..problem import Problem
from ._model import Data, Model, Parameters, data_of


def polish(
    problem: Problem, model: Model, parameters: dict[str, np.ndarray], iterations: int
) -> dict[str, np.ndarray]:
    """At most `iterations` steps of L-BFGS on sum w l + lam/2 sum of squares, from balance.

    Where F does not fall (it has kinks) the parameters come back as they were.
    """
    data = data_of(problem, np.dtype(np.float64))
    start, value = _compiled(model)
    p, before = start(parameters, data)
    names = sorted(p)
    shapes = [p[name].shape for name in names]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def unpack(flat: np.ndarray) -> dict[str, np.ndarray]:
        parts = np.split(flat, ends)
        return {name: part.reshape(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}

    def pack(parts: Any) -> np.ndarray:
        return np.concatenate([np.asarray(parts[name]).ravel() for name in names])

    def both(flat: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient, _ = value(unpack(flat), data)
        return float(total), pack(gradient)

    options = {"maxiter": iterations, "maxfun": 4 * iterations, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 30}
    found = minimize(both, pack(p), jac=True, method="L-BFGS-B", options=options)
    end = unpack(found.x)
    after = float(value(end, data)[2])
    return end if np.isfinite(found.x).all() and after < float(before) else parameters


@lru_cache(maxsize=32)
def _compiled(model: Model) -> tuple[Any, Any]:
    def start(p: Parameters, data: Data) -> tuple[Parameters, jax.Array]:
        s = model.balancing(p)
        return {name: jnp.asarray(part) * s[name] for name, part in p.items()}, model.objective(p, data)

    def value(p: Parameters, data: Data) -> tuple[jax.Array, Parameters, jax.Array]:
        loss, g = model.loss_and_gradient(p, data)
        decay = model.decay(p, data.lam)
        total = loss + data.constant + data.lam * model.squares(p)
        return total, {name: g[name] + decay[name] for name in p}, model.objective(p, data)

    return jax.jit(start), jax.jit(value)
