"""The network that is trained: its parameters, its predictions, gradients and objective in JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..losses import Loss
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from . import _losses

# W (K, d), b (K,), V (K, T), c (T,); A (d, T), or under a nuclear skip connection A = L'S with
# linear neurons L (r, d), S (r, T)
Parameters = dict[str, Any]
_WORTH_PREFIXES, _SMALL = 8000, 128
_FEW_TASKS, _FEW_PRODUCTS = 3, 4000


class Data(NamedTuple):
    """What a step sees; w is None where every weight is 1, y and w are 0 at gaps."""

    X: jax.Array
    y: jax.Array
    w: jax.Array | None
    lam: jax.Array
    constant: jax.Array


@dataclass(frozen=True)
class Model:
    """What is compiled for: loss and penalty; shapes come with the arrays.

    by_prefixes : one input, whose rows are sorted: gradients from sums over the first and last rows.
    """

    loss: Loss
    penalty: Penalty
    by_prefixes: bool = False

    @classmethod
    def of(cls, problem: Problem, width: int, batch_size: int | None) -> Model:
        work = problem.n_rows * width * problem.n_tasks
        sums = problem.n_inputs == 1 and batch_size is None and work >= _WORTH_PREFIXES
        return cls(problem.loss_function, problem.penalty, sums)

    @property
    def decayed(self) -> tuple[str, ...]:
        """The parameters whose half sum of squares is the penalty at balance."""
        names = ("W", "V")
        if self.penalty.biases:
            names += ("b", "c")
        if self.penalty.skip == "frobenius":
            names += ("A",)
        if self.penalty.skip == "nuclear":
            names += ("L", "S")
        return names

    def predict(self, p: Parameters, X: jax.Array) -> tuple[jax.Array, jax.Array]:
        """f (n, T), and the neurons before they are rectified (n, K)."""
        z = _times(X, p["W"].T) + p["b"]
        f = _mix(jnp.maximum(z, 0.0), p["V"]) + p["c"]
        if "A" in p:
            f = f + _times(X, p["A"])
        elif "L" in p:
            f = f + _times(_times(X, p["L"].T), p["S"])
        return f, z

    def loss_value(self, p: Parameters, data: Data) -> jax.Array:
        """sum w l."""
        f, _ = self.predict(p, data.X)
        return self._sum(f, data)

    def loss_and_gradient(self, p: Parameters, data: Data) -> tuple[jax.Array, Parameters]:
        """sum w l and its gradient; written out, which is twice as fast as tracing backwards."""
        f, z = self.predict(p, data.X)
        g = _losses.gradient(self.loss, data.y, f)
        if data.w is not None:
            g = g * data.w
        out = self._by_prefixes(p, data.X, z, g) if self.by_prefixes else self._by_products(p, data.X, z, g)
        out["c"] = g.sum(axis=0)
        if "A" in p:
            out["A"] = _cross(data.X, g)
        elif "L" in p:
            out["L"] = _cross(_times(g, p["S"].T), data.X)
            out["S"] = _cross(_times(data.X, p["L"].T), g)
        return self._sum(f, data), out

    def _by_products(self, p: Parameters, X: jax.Array, z: jax.Array, g: jax.Array) -> Parameters:
        h, V = jnp.maximum(z, 0.0), p["V"]
        if _few(len(X), V):
            back, outer = jnp.sum(g[:, None, :] * V, axis=2), jnp.sum(h[:, :, None] * g[:, None, :], axis=0)
        else:
            back, outer = g @ V.T, h.T @ g
        back = jnp.where(z > 0.0, back, 0.0)
        return {"W": _cross(back, X), "b": back.sum(axis=0), "V": outer}

    def _by_prefixes(self, p: Parameters, X: jax.Array, z: jax.Array, g: jax.Array) -> Parameters:
        """The same where x is sorted: a neuron is active on the first rows or the last, so that
        sum_active x g and sum_active g are all it needs, N sums of T numbers for all neurons."""
        n, w = len(X), p["W"][:, 0]
        count = jnp.sum(z > 0.0, axis=0)
        at = jnp.where(w > 0.0, n + 1 + count, count)
        moment, total = _prefixes(X * g)[at], _prefixes(g)[at]
        return {
            "W": jnp.sum(p["V"] * moment, axis=1)[:, None],
            "b": jnp.sum(p["V"] * total, axis=1),
            "V": w[:, None] * moment + p["b"][:, None] * total,
        }

    def decay(self, p: Parameters, lam: jax.Array) -> Parameters:
        """The gradient of lam/2 sum of squares."""
        decayed = self.decayed
        return {name: lam * part if name in decayed else jnp.zeros_like(part) for name, part in p.items()}

    def squares(self, p: Parameters) -> jax.Array:
        """Half the sum of squares of the decayed parameters."""
        return 0.5 * sum((jnp.sum(p[name] ** 2) for name in self.decayed), start=jnp.zeros((), p["b"].dtype))

    def cost(self, p: Parameters) -> jax.Array:
        """R: `squares` once every neuron is balanced."""
        total = jnp.sum(self.neuron_costs(p))
        if self.penalty.biases:
            total += 0.5 * jnp.sum(p["c"] ** 2)
        if self.penalty.skip == "frobenius":
            total += 0.5 * jnp.sum(p["A"] ** 2)
        elif self.penalty.skip == "nuclear":
            total += jnp.sum(norms(p["L"]) * norms(p["S"]))
        return total

    def neuron_costs(self, p: Parameters) -> jax.Array:
        return norms(p["V"]) * self.input_norms(p)

    def input_norms(self, p: Parameters) -> jax.Array:
        if self.penalty.biases:
            return jnp.sqrt(jnp.sum(p["W"] ** 2, axis=1) + p["b"] ** 2)
        return norms(p["W"])

    def objective(self, p: Parameters, data: Data) -> jax.Array:
        """F = sum w l + lam R."""
        return self.loss_value(p, data) + data.constant + data.lam * self.cost(p)

    def balancing(self, p: Parameters) -> Parameters:
        """The factors, one per parameter, that make |v_k| = |w_k| ((w_k, b_k) where biases are
        penalised) and leave the function as it is; 1 for neurons without effect."""
        factor = _root_ratio(norms(p["V"]), self.input_norms(p))
        out = {name: jnp.ones((), part.dtype) for name, part in p.items()}
        out |= {"W": factor[:, None], "b": factor, "V": 1.0 / factor[:, None]}
        if "L" in p:
            ratio = _root_ratio(norms(p["S"]), norms(p["L"]))[:, None]
            out |= {"L": ratio, "S": 1.0 / ratio}
        return out

    def _sum(self, f: jax.Array, data: Data) -> jax.Array:
        parts = _losses.value(self.loss, data.y, f)
        return jnp.sum(parts if data.w is None else parts * data.w)


def norms(M: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(M * M, axis=1))


def _root_ratio(over: jax.Array, under: jax.Array) -> jax.Array:
    both = (over > 0.0) & (under > 0.0)
    return jnp.where(both, jnp.sqrt(jnp.where(both, over, 1.0)) / jnp.sqrt(jnp.where(both, under, 1.0)), 1.0)


def _times(M: jax.Array, B: jax.Array) -> jax.Array:
    # a product over one column is elementwise, which fuses with its neighbours
    return M * B if M.shape[1] == 1 else M @ B


def _few(n: int, V: jax.Array) -> bool:
    """Whether sums of products, fused with what is around them, are faster than a call of a product."""
    return V.shape[1] <= _FEW_TASKS and n * V.size <= _FEW_PRODUCTS


def _mix(h: jax.Array, V: jax.Array) -> jax.Array:
    return jnp.sum(h[:, :, None] * V, axis=1) if _few(len(h), V) else h @ V


def _cross(M: jax.Array, B: jax.Array) -> jax.Array:
    """M'B."""
    if B.shape[1] == 1:
        return jnp.sum(M * B, axis=0)[:, None]
    return jnp.sum(M * B, axis=0)[None] if M.shape[1] == 1 else M.T @ B


def _prefixes(q: jax.Array) -> jax.Array:
    """(2n + 2, T) sums of the first 0 ... n rows of q (n, T), then of the last 0 ... n."""
    n = len(q)
    # below this a product is faster than a cumulative sum, which XLA makes log n passes of
    ones = jnp.tril(jnp.ones((n, n), q.dtype)) if n <= _SMALL else None
    first = jnp.cumsum(q, axis=0) if ones is None else ones @ q
    last = jnp.cumsum(q[::-1], axis=0) if ones is None else ones @ q[::-1]
    zero = jnp.zeros((1, q.shape[1]), q.dtype)
    return jnp.concatenate([zero, first, zero, last])


def data_of(problem: Problem, dtype: np.dtype) -> Data:
    """The data on the device; rows of one input are sorted."""
    one = problem.n_inputs == 1
    order = np.argsort(problem.X[:, 0], kind="stable") if one else np.arange(problem.n_rows)
    weight = problem.label_weight()[order]
    plain = bool(np.all(weight == 1.0))
    return Data(
        jnp.asarray(problem.X[order], dtype),
        jnp.asarray(np.where(weight > 0, problem.Y[order], 0.0), dtype),
        None if plain else jnp.asarray(weight, dtype),
        jnp.asarray(problem.lam, dtype),
        jnp.asarray(_losses.constant(problem), dtype),
    )


def to_network(p: Parameters) -> ReLUNetwork:
    """A network of float64 NumPy arrays, with A = L'S."""
    parts = {name: np.asarray(part, dtype=np.float64) for name, part in p.items()}
    skip = parts["L"].T @ parts["S"] if "L" in parts else parts.get("A")
    A: Any = skip  # None is zero
    return ReLUNetwork(parts["W"], parts["b"], parts["V"], A, parts["c"])
