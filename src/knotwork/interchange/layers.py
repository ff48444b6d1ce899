"""Which linear layer is which: named weight matrices and biases to a network, by shape and by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validate import as_float_array
from ..network import ReLUNetwork

Array = NDArray[np.float64]

ROLES = ("hidden", "output", "skip")
_OWN = ("W", "b", "V", "A", "c")
_SUPPORTED = (
    "a hidden layer (K, d) and an output layer (T, K), with or without a skip connection (T, d), or one "
    "linear layer (T, d)"
)


@dataclass(frozen=True, eq=False)
class Layer:
    """z -> z weight^T + bias. name : as in `name + ".weight"`. weight : (m, n). bias : (m,)."""

    name: str
    weight: Array
    bias: Array

    def __str__(self) -> str:
        return f"{self.name or 'weight'} {self.weight.shape}"


@dataclass(frozen=True, eq=False)
class Roles:
    """The layers of relu(hidden(x)) through output, plus skip(x); no hidden layer: skip alone."""

    hidden: Layer | None
    output: Layer | None
    skip: Layer | None

    @property
    def fit(self) -> bool:
        """Whether the shapes do: (K, d), (T, K), (T, d)."""
        if self.hidden is None or self.output is None:
            return self.skip is not None
        (K, d), (T, features) = self.hidden.weight.shape, self.output.weight.shape
        return features == K and (self.skip is None or self.skip.weight.shape == (T, d))

    def network(self) -> ReLUNetwork:
        if self.hidden is None or self.output is None:
            assert self.skip is not None
            n_tasks, n_inputs = self.skip.weight.shape
            none = np.zeros((0, n_inputs)), np.zeros(0), np.zeros((0, n_tasks))
            return ReLUNetwork(*none, self.skip.weight.T, self.skip.bias)
        A = None if self.skip is None else self.skip.weight.T
        c = self.output.bias if self.skip is None else self.output.bias + self.skip.bias
        return ReLUNetwork(self.hidden.weight, self.hidden.bias, self.output.weight.T, A, c)  # type: ignore[arg-type]


def network_of_arrays(arrays: Mapping[str, Any], names: Mapping[str, str] | None = None) -> ReLUNetwork:
    """The network of arrays named W, b, V (and A, c), or of a PyTorch state dict.

    Raises
    ------
    TypeError, ValueError : naming the array that is wrong; for shapes that leave the roles open.
    """
    if names is None and {"W", "b", "V"} <= set(arrays) <= set(_OWN):
        return ReLUNetwork(**{name: np.asarray(arrays[name]) for name in arrays})
    return roles_of(layers_of(arrays), names)[0].network()


def layers_of(arrays: Mapping[str, Any]) -> list[Layer]:
    """The linear layers of a state dict, in its order.

    Raises
    ------
    TypeError, ValueError : naming the array that is not finite, or belongs to no linear layer.
    """
    checked = {name: as_float_array(array, name) for name, array in arrays.items()}
    layers, used = [], set()
    for name, weight in checked.items():
        owner, _, kind = name.rpartition(".")
        if kind != "weight" or weight.ndim != 2:
            continue
        beside = f"{owner}.bias" if owner else "bias"
        bias = checked.get(beside, np.zeros(len(weight)))
        if bias.shape != (len(weight),):
            raise ValueError(
                f"{beside}: must have shape {(len(weight),)} beside {name} {weight.shape}, got {bias.shape}"
            )
        layers.append(Layer(owner, weight, bias))
        used |= {name, beside}
    for name, array in checked.items():
        if name not in used:
            raise ValueError(
                f"{name}: of shape {array.shape} is no weight matrix or bias of a linear layer; "
                f"supported are {_SUPPORTED}, named as in PyTorch's state dicts, or arrays W, b, V, A, c"
            )
    if not 1 <= len(layers) <= len(ROLES):
        raise ValueError(f"{len(layers)} linear layers ({_listed(layers)}); supported are {_SUPPORTED}")
    return layers


def roles_of(layers: list[Layer], names: Mapping[str, str] | None = None) -> list[Roles]:
    """The one role of each layer, by `names`, or by shape and by the numbers of an nn.Sequential.

    Raises
    ------
    ValueError : when no roles fit, or more than one choice does.
    """
    if names is not None:
        return [_named_roles(layers, names)]
    candidates = fitting_roles(layers)
    if len(candidates) > 1:
        raise ValueError(
            f"the shapes of {_listed(layers)} leave open which layer is which; pass {_example(layers)}"
        )
    return candidates


def fitting_roles(layers: list[Layer]) -> list[Roles]:
    """Every assignment of roles that the shapes allow; at least one.

    Raises
    ------
    ValueError : when there is none.
    """
    if len(layers) == 1:
        return [Roles(None, None, layers[0])]
    by_name = {layer.name: layer for layer in layers}
    if set(by_name) == set(ROLES[: len(layers)]):
        candidates = [Roles(by_name["hidden"], by_name["output"], by_name.get("skip"))]
    else:
        candidates = [
            Roles(order[0], order[1], order[2] if len(order) > 2 else None)
            for order in permutations(layers)
            if not _runs_before(order[1], order[0])
        ]
    fitting = [roles for roles in candidates if roles.fit]
    if not fitting:
        raise ValueError(f"the shapes of {_listed(layers)} do not fit together; supported are {_SUPPORTED}")
    return fitting


def _runs_before(one: Layer, other: Layer) -> bool:
    """Whether `one` has the lower number of two children of an nn.Sequential, which run in order."""
    (parent, _, number), (parent_, _, number_) = one.name.rpartition("."), other.name.rpartition(".")
    return parent == parent_ and number.isdecimal() and number_.isdecimal() and int(number) < int(number_)


def _named_roles(layers: list[Layer], names: Mapping[str, str]) -> Roles:
    wanted = ROLES[: len(layers)] if len(layers) > 1 else ROLES[2:]
    by_name = {layer.name: layer for layer in layers}
    by_weight = {f"{name}.weight" if name else "weight": name for name in by_name}
    given = {role: by_weight.get(name, name) for role, name in names.items()}
    if set(given) != set(wanted) or set(given.values()) != set(by_name):
        raise ValueError(
            f"names: must give each of the layers {_listed(layers)} one of the roles {list(wanted)}, "
            f"got {dict(names)!r}; pass for example {_example(layers)}"
        )
    roles = Roles(*(by_name[given[role]] if role in given else None for role in ROLES))
    if not roles.fit:
        raise ValueError(
            f"names: the shapes of {_listed(layers)} do not fit the roles {dict(names)!r}; "
            f"supported are {_SUPPORTED}"
        )
    return roles


def _listed(layers: list[Layer]) -> str:
    return ", ".join(str(layer) for layer in layers) or "none"


def _example(layers: list[Layer]) -> str:
    wanted = ROLES[: len(layers)] if len(layers) > 1 else ROLES[2:]
    pairs = (f'"{role}": "{layer.name}"' for role, layer in zip(wanted, layers, strict=True))
    return f"names={{{', '.join(pairs)}}}"
