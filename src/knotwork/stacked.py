"""Deep stacked networks: shallow ReLU networks one after another, with bottlenecks between."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .network import ReLUNetwork
from .penalty import Penalty

Array = NDArray[np.float64]
Link = Literal["identity", "softmax", "sigmoid"]
ActivationName = Literal["identity", "relu", "leaky_relu", "tanh"]
Activation = ActivationName | Callable[[Any], Any]
_LEAK = 0.01
# those for which act(s z) = s act(z) at any s > 0
_HOMOGENEOUS = ("identity", "relu", "leaky_relu")


@dataclass(frozen=True, eq=False)
class StackedNetwork:
    """f = link(h_S(act(h_{S-1}( ... act(h_1(x)) ... )))), each h_j a `ReLUNetwork` (B (1), Definition 2.1).

    Parameters
    ----------
    stacks : h_1, ..., h_S; h_j has as many inputs as h_{j-1} has outputs, its bottleneck dimension d_j.
    activation : act, between stacks: "identity", "relu", "leaky_relu" (slope .01 below 0), "tanh", or any
        function of an array to one of its shape (B asks for a Lipschitz one).
    link : after the last stack: "identity", "softmax" over the outputs, or "sigmoid".

    Raises
    ------
    TypeError, ValueError : for what is no network, for widths that do not fit together, for other names.
    """

    stacks: tuple[ReLUNetwork, ...]
    activation: Activation = "identity"
    link: Link = "identity"

    def __post_init__(self) -> None:
        if isinstance(self.stacks, ReLUNetwork) or not isinstance(self.stacks, Sequence):
            raise TypeError(f"stacks: must be a sequence of ReLUNetwork, got {type(self.stacks).__name__}")
        stacks = tuple(self.stacks)
        if not stacks:
            raise ValueError("stacks: there must be at least one")
        for j, one in enumerate(stacks, 1):
            if not isinstance(one, ReLUNetwork):
                raise TypeError(f"stacks: number {j} must be a ReLUNetwork, got {type(one).__name__}")
        for j, (one, following) in enumerate(itertools.pairwise(stacks), 1):
            if one.n_tasks != following.n_inputs:
                raise ValueError(
                    f"stacks: number {j} has {one.n_tasks} outputs, "
                    f"number {j + 1} takes {following.n_inputs} inputs; they must be equal"
                )
        object.__setattr__(self, "stacks", stacks)
        if not callable(self.activation) and self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"activation: must be one of {', '.join(map(repr, _ACTIVATIONS))} or a function, "
                f"got {self.activation!r}"
            )
        if self.link not in _LINKS:
            raise ValueError(f"link: must be one of {', '.join(map(repr, _LINKS))}, got {self.link!r}")

    @property
    def n_inputs(self) -> int:
        return self.stacks[0].n_inputs

    @property
    def n_tasks(self) -> int:
        return self.stacks[-1].n_tasks

    @property
    def bottlenecks(self) -> tuple[int, ...]:
        """d_1, ..., d_{S-1}."""
        return tuple(one.n_tasks for one in self.stacks[:-1])

    @property
    def widths(self) -> tuple[int, ...]:
        """n_1, ..., n_S, the neurons of each stack."""
        return tuple(one.n_neurons for one in self.stacks)

    def predict(self, X: ArrayLike) -> Array:
        """f(X), always of shape (n, T); X is (n, d), or (n,) when d = 1."""
        return _LINKS[self.link](self.outputs(X)[-1])

    def outputs(self, X: ArrayLike) -> list[Array]:
        """h_1(x), h_2(act(h_1(x))), ...: what each stack puts out, (n, d_j), before act and link."""
        found: list[Array] = []
        for j, one in enumerate(self.stacks):
            found.append(one.predict(X if j == 0 else self.between(found[-1])))
        return found

    def inputs(self, X: ArrayLike) -> list[Array]:
        """What each stack takes in, (n, d_{j-1}): X, act(h_1(X)), ..."""
        from ._validate import as_float_array

        first = as_float_array(X, "X")
        outputs = self.outputs(X)
        return [first[:, None] if first.ndim == 1 else first, *(self.between(z) for z in outputs[:-1])]

    def between(self, z: Array) -> Array:
        """act(z) (n, d_j)."""
        if callable(self.activation):
            out = np.asarray(self.activation(z), dtype=np.float64)
            if out.shape != z.shape:
                raise ValueError(f"activation: made {out.shape} of {z.shape}; it must keep the shape")
            return out
        return _ACTIVATIONS[self.activation](z)

    def costs(self, penalties: Penalty | Sequence[Penalty] | None = None) -> Array:
        """(S,) R of each stack's parameters at their balance, `ReLUNetwork.cost`; biases and c cost too
        unless other penalties are given, and a skip connection its squared norm where there is one."""
        return np.array([one.cost(p) for one, p in zip(self.stacks, self.penalties(penalties), strict=True)])

    def penalties(self, penalties: Penalty | Sequence[Penalty] | None = None) -> tuple[Penalty, ...]:
        """One for each stack, from one for all, or from what the stacks have (B (4))."""
        if penalties is None:
            return tuple(Penalty(True, "frobenius" if np.any(one.A) else "none") for one in self.stacks)
        found = (penalties,) * len(self.stacks) if isinstance(penalties, Penalty) else tuple(penalties)
        if len(found) != len(self.stacks) or not all(isinstance(one, Penalty) for one in found):
            raise ValueError(f"penalties: must be a Penalty or one for each of the {len(self.stacks)} stacks")
        return found

    def balance(self, penalties: Penalty | Sequence[Penalty] | None = None) -> StackedNetwork:
        """The same function, every neuron balanced in its stack (`ReLUNetwork.balance`)."""
        each = zip(self.stacks, self.penalties(penalties), strict=True)
        return StackedNetwork(tuple(one.balance(p) for one, p in each), self.activation, self.link)

    def rescaled(self, scales: Sequence[ArrayLike]) -> StackedNetwork:
        """The same function with output t of stack j multiplied by scales[j - 1][t] > 0, and the next
        stack's input weights divided by it; only between stacks where act(s z) = s act(z)."""
        if self.activation not in _HOMOGENEOUS:
            raise ValueError(
                f"activation: {self.activation!r} does not commute with a scale; only "
                f"{', '.join(_HOMOGENEOUS)} do"
            )
        if len(scales) != len(self.stacks) - 1:
            raise ValueError(
                f"scales: must be {len(self.stacks) - 1} arrays, one after each stack but the last"
            )
        stacks = list(self.stacks)
        for j, given in enumerate(scales):
            s = np.asarray(given, dtype=np.float64)
            if s.shape != (stacks[j].n_tasks,) or not np.all((s > 0) & np.isfinite(s)):
                raise ValueError(
                    f"scales: number {j + 1} must be {stacks[j].n_tasks} finite numbers > 0, got {given!r}"
                )
            one, following = stacks[j], stacks[j + 1]
            stacks[j] = ReLUNetwork(one.W, one.b, one.V * s, one.A * s, one.c * s)
            stacks[j + 1] = ReLUNetwork(
                following.W / s, following.b, following.V, following.A / s[:, None], following.c
            )
        return StackedNetwork(tuple(stacks), self.activation, self.link)


def _leaky(z: Array) -> Array:
    return np.where(z > 0, z, _LEAK * z)


def _relu(z: Array) -> Array:
    return np.maximum(z, 0.0)


def _same(z: Array) -> Array:
    return z


def _softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _sigmoid(z: Array) -> Array:
    # exp of what is negative never overflows
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": _same,
    "relu": _relu,
    "leaky_relu": _leaky,
    "tanh": np.tanh,
}
_LINKS: dict[str, Callable[[Array], Array]] = {"identity": _same, "softmax": _softmax, "sigmoid": _sigmoid}
