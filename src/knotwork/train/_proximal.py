"""Proximal steps on the path norm: plain and monotone, or with steps of its own for every neuron."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ._model import Data, Model, Parameters, norms
from ._steps import Method, Numbers, State, factor


@dataclass(frozen=True)
class PathProx(Method):
    """Gradient step on the loss, then the proximal map of lam R.

    With all rows: step sizes by backtracking, Nesterov's momentum dropped whenever F would rise. With
    mini-batches the plain step at the learning rate.
    """

    def start(self, p: Parameters, seeds: jax.Array, numbers: Numbers) -> State:
        one = jnp.ones(seeds.shape, p["b"].dtype)
        size, infinite = numbers.rate * one, jnp.inf * one
        return {"p": p, "last": p, "age": one, "step_size": size, "objective": infinite, "seed": seeds}

    def step(self, i: jax.Array, state: State, data: Data, numbers: Numbers) -> State:
        if self.batch_size is not None:
            p = state["p"]
            rows, share = self.batch(i, state, data)
            _, g = self.model.loss_and_gradient(p, rows)
            size = numbers.rate * factor(self.schedule, i, numbers.steps)
            moved = {name: part - size * share * g[name] for name, part in p.items()}
            return state | {"p": prox(self.model, moved, _everywhere(p, size), data.lam)}
        return self._monotone_step(state, data)

    def _monotone_step(self, state: State, data: Data) -> State:
        model, size, p = self.model, state["step_size"], state["p"]
        age = 0.5 * (1.0 + jnp.sqrt(1.0 + 4.0 * state["age"] ** 2))
        push = (state["age"] - 1.0) / age
        ahead = {name: part + push * (part - state["last"][name]) for name, part in p.items()}
        loss, g = model.loss_and_gradient(ahead, data)
        moved = {name: part - size * g[name] for name, part in ahead.items()}
        new = prox(model, moved, _everywhere(p, size), data.lam)
        new_loss = model.loss_value(new, data)
        change = {name: part - ahead[name] for name, part in new.items()}
        inner = sum(jnp.sum(g[name] * change[name]) for name in p)
        square = sum(jnp.sum(change[name] ** 2) for name in p)
        rounding = 10.0 * jnp.finfo(loss.dtype).eps * jnp.abs(loss)
        # the quadratic model bounds the loss: then, without momentum, F cannot rise
        bounded = new_loss <= loss + inner + 0.5 * square / size + rounding
        objective = new_loss + data.lam * model.cost(new)
        lower = objective <= state["objective"]
        plain = state["age"] == 1.0
        take = bounded & (lower | plain)

        def choose(yes: jax.Array, no: jax.Array) -> jax.Array:
            return jnp.where(take, yes, no)

        return {
            "p": {name: choose(new[name], p[name]) for name in p},
            "last": p,
            "age": choose(age, jnp.ones_like(age)),
            "step_size": jnp.where(bounded, 1.05 * size, 0.5 * size),
            "objective": choose(objective, state["objective"]),
            "seed": state["seed"],
        }

    def rescale(self, state: State) -> State:
        s = self.model.balancing(state["p"])
        return state | {
            name: {key: part * s[key] for key, part in state[name].items()} for name in ("p", "last")
        }


@dataclass(frozen=True)
class AdaptivePathProx(Method):
    """The same with Adam's averages, one of squares for the input and one for the output weights of every
    neuron: the proximal map stays exact under steps that differ between groups only."""

    def start(self, p: Parameters, seeds: jax.Array, numbers: Numbers) -> State:
        mean = {name: jnp.zeros_like(part) for name, part in p.items()}
        return {"p": p, "mean": mean, "square": self._group_means(mean), "seed": seeds}

    def step(self, i: jax.Array, state: State, data: Data, numbers: Numbers) -> State:
        p, dtype = state["p"], state["p"]["b"].dtype
        rows, share = self.batch(i, state, data)
        _, g = self.model.loss_and_gradient(p, rows)
        old, new = numbers.beta1, numbers.beta2
        mean = {name: old * state["mean"][name] + (1.0 - old) * share * g[name] for name in p}
        now = self._group_means({name: (share * part) ** 2 for name, part in g.items()})
        square = {name: new * state["square"][name] + (1.0 - new) * now[name] for name in p}
        count = jnp.asarray(i + 1, dtype)
        rate = numbers.rate * factor(self.schedule, i, numbers.steps)
        unbiased = 1.0 - new**count
        size = {
            name: jnp.asarray(rate / (jnp.sqrt(part / unbiased) + numbers.eps), dtype)
            for name, part in square.items()
        }
        scale = 1.0 / (1.0 - old**count)
        moved = {name: p[name] - size[name] * (scale * mean[name]) for name in p}
        return {
            "p": prox(self.model, moved, size, data.lam),
            "mean": mean,
            "square": square,
            "seed": state["seed"],
        }

    def rescale(self, state: State) -> State:
        s = self.model.balancing(state["p"])
        return {
            "p": {name: part * s[name] for name, part in state["p"].items()},
            "mean": {name: part / s[name] for name, part in state["mean"].items()},
            "square": {name: part / s[name] ** 2 for name, part in state["square"].items()},
            "seed": state["seed"],
        }

    def _group_means(self, parts: Parameters) -> Parameters:
        """Over the weights that share a norm, of the same number of axes as the parameter."""
        out = dict(parts)
        for name in {"V", "L", "S"} & set(parts):
            out[name] = jnp.mean(parts[name], axis=-1, keepdims=True)
        if self.model.penalty.biases:
            total = jnp.sum(parts["W"], axis=-1) + parts["b"]
            out["b"] = total / (parts["W"].shape[-1] + 1)
            out["W"] = out["b"][..., None]
        else:
            out["W"] = jnp.mean(parts["W"], axis=-1, keepdims=True)
        return out


def prox(model: Model, p: Parameters, size: Parameters, lam: jax.Array) -> Parameters:
    """argmin over q of sum |q - p|^2 / (2 size) + lam R(q), exactly; sizes (K, 1) of W, V, L and S, and of
    the shape of the parameter elsewhere (of b that of W, where biases are penalised)."""
    out = dict(p)
    share_in, share_out = prox_product(
        model.input_norms(p), norms(p["V"]), size["W"][..., 0], size["V"][..., 0], lam
    )
    out["W"], out["V"] = p["W"] * share_in[:, None], p["V"] * share_out[:, None]
    if model.penalty.biases:
        out["b"], out["c"] = p["b"] * share_in, p["c"] / (1.0 + lam * size["c"])
    if model.penalty.skip == "frobenius":
        out["A"] = p["A"] / (1.0 + lam * size["A"])
    elif model.penalty.skip == "nuclear":
        share_in, share_out = prox_product(
            norms(p["L"]), norms(p["S"]), size["L"][..., 0], size["S"][..., 0], lam
        )
        out["L"], out["S"] = p["L"] * share_in[:, None], p["S"] * share_out[:, None]
    return out


def prox_product(
    a: jax.Array, b: jax.Array, s: jax.Array, t: jax.Array, lam: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The factors (q/a, r/b) of the least (q - a)^2/(2s) + (r - b)^2/(2t) + lam q r over q, r >= 0.

    It is the proximal map of lam |w| |v| at |w| = a, |v| = b: directions stay. Where lam^2 s t < 1 the
    function is strictly convex, with q = (a - lam s b)/(1 - lam^2 s t) and r alike; where one of them is
    negative it is 0 and the other stays. Else one of them is 0: the one whose loss costs less.
    """
    convex = lam * lam * s * t < 1.0
    below = jnp.where(convex, 1.0 - lam * lam * s * t, 1.0)
    q, r = (a - lam * s * b) / below, (b - lam * t * a) / below
    both = convex & (q > 0.0) & (r > 0.0)
    only_a = ~both & jnp.where(convex, r <= 0.0, a * jnp.sqrt(t) >= b * jnp.sqrt(s))
    only_b = ~both & ~only_a
    share_a = jnp.where(both, q / jnp.where(a > 0.0, a, 1.0), jnp.where(only_b, 0.0, 1.0))
    share_b = jnp.where(both, r / jnp.where(b > 0.0, b, 1.0), jnp.where(only_b, 1.0, 0.0))
    return share_a, share_b


def _everywhere(p: Parameters, size: jax.Array) -> Parameters:
    return {name: jnp.broadcast_to(jnp.asarray(size, part.dtype), part.shape) for name, part in p.items()}
