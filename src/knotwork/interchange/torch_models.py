"""Networks from and to PyTorch."""

# PyTorch is not in every environment that is checked
# pyright: reportMissingImports=false
from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ._shared import checked_network, needing, weights_in
from .layers import Layer, Roles, fitting_roles, layers_of, network_of_arrays, roles_of

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float64]

_SUPPORTED = (
    "supported are Linear; Linear, ReLU, Linear; and these with one more Linear from the input to the "
    "output as a skip connection"
)
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")


def from_torch(obj: Any, *, names: Mapping[str, str] | None = None) -> ReLUNetwork:
    """The network f(X) = relu(X W^T + b) V + X A + c of a PyTorch module or state dict, in float64.

    Of a module the layers are read and then its own forward is run in float64 on the CPU, at random
    inputs and around every neuron's kink: a module that computes anything else is refused. A state dict
    does not show what happens between its layers; ReLU is taken for granted there.

    Parameters
    ----------
    obj : an `nn.Sequential` of Linear, ReLU, Linear (Identity, Flatten, and Dropout that does not
        drop may stand between them) or of one Linear; a module with these layers as children, and with
        one more Linear from input to output if it has a skip connection; or the state dict of such a
        module (a checkpoint's "state_dict" entry is found). Any floating type; with or without biases.
    names : which layer is "hidden" (K, d), "output" (T, K) and "skip" (T, d), for example
        `{"hidden": "fc1", "output": "fc2"}`. Needed only where a state dict leaves it open: equal
        shapes, or as many inputs as tasks, and layers that are not numbered by an nn.Sequential.

    Raises
    ------
    ImportError : without PyTorch.
    TypeError : for another object.
    ValueError : naming the layer that is not supported, the tensor that is not finite, the shapes that
        do not fit or leave the roles open, or the difference to the module's own forward.
    """
    with needing("torch"):
        from torch import nn
    if isinstance(obj, nn.Module):
        return _from_module(getattr(obj, "_orig_mod", obj), names)
    if not isinstance(obj, Mapping):
        raise TypeError(
            f"obj: must be a PyTorch module or state dict, got {type(obj).__name__}; "
            "of a file use kw.load_network"
        )
    for key in _CHECKPOINT_KEYS:
        if isinstance(obj.get(key), Mapping):
            return from_torch(obj[key], names=names)
    return network_of_arrays(_arrays(obj), names)


def to_torch(network: ReLUNetwork, dtype: str = "float64") -> nn.Module:
    """A PyTorch module that computes f(x) = relu(x W^T + b) V + x A + c, of x (n, d) to (n, T).

    Its sum over neurons is that of the formula: where large terms cancel, as they do in a network that
    goes through noisy labels, `predict` is the more accurate of the two in one dimension.

    Without a skip connection an `nn.Sequential` of Linear, ReLU, Linear (of one Linear when there is no
    neuron); else a module of layers `hidden`, `output` and `skip`. `from_torch` reads it back.

    Parameters
    ----------
    network : what to convert.
    dtype : "float64" or "float32", of its parameters, inputs and outputs.

    Raises
    ------
    ImportError : without PyTorch.
    TypeError, ValueError : for another object or dtype, or weights beyond the range of float32.
    """
    weights = weights_in(checked_network(network), dtype)
    with needing("torch"):
        import torch
        from torch import nn

        from .skip_module import SkipNetwork

    def linear(weight: NDArray[Any], bias: NDArray[Any] | None = None) -> nn.Linear:
        outputs, inputs = weight.shape
        # without nn.Linear's own initialisation, which would draw from PyTorch's random numbers
        layer = torch.nn.utils.skip_init(
            nn.Linear, inputs, outputs, bias=bias is not None, dtype=getattr(torch, dtype)
        )
        assert isinstance(layer, nn.Linear)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weight))
            if bias is not None:
                layer.bias.copy_(torch.tensor(bias))
        return layer

    W, b, V, A, c = weights.values()
    if network.n_neurons == 0:
        return nn.Sequential(linear(A.T, c))
    hidden, output = linear(W, b), linear(V.T, c)
    if not np.any(A):
        return nn.Sequential(hidden, nn.ReLU(), output)
    return SkipNetwork(hidden, output, linear(A.T))


def _arrays(state: Mapping[str, Any]) -> dict[str, Array]:
    """The tensors of a state dict as float64 arrays."""
    import torch

    arrays: dict[str, Array] = {}
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor | np.ndarray):
            raise TypeError(
                f"state dict: {name!r} holds a {type(value).__name__}, not a tensor; pass model.state_dict()"
            )
        if "complex" in str(value.dtype):
            raise TypeError(f"{name}: holds complex numbers; supported are real floating types")
        try:
            tensor = torch.as_tensor(value).detach()
            arrays[name] = tensor.to("cpu").to(torch.float64).numpy()
        except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise ValueError(f"{name}: cannot be read as an array of numbers ({reason})") from None
    return arrays


def _from_module(module: nn.Module, names: Mapping[str, str] | None) -> ReLUNetwork:
    _check_children(module)
    layers = layers_of(_arrays(module.state_dict()))
    ordered = _sequence(module)
    if names is not None:
        candidates = roles_of(layers, names)
    elif ordered is not None:
        candidates = [_sequential_roles(ordered, layers)]
    else:
        # the shapes may leave the roles open: then the module's own forward decides
        candidates = fitting_roles(layers)
    failures = []
    for roles in candidates:
        network = roles.network()
        try:
            if _agree(module, network):
                return network
        except Exception as error:
            failures.append(error)
    if len(failures) == len(candidates):
        reason = str(failures[0]).split("\n")[0]
        raise ValueError(
            f"{type(module).__name__}: could not be run in float64 on inputs of shape "
            f"(n, {candidates[0].network().n_inputs}) ({reason}); pass module.state_dict() if it is made of "
            "Linear, ReLU, Linear all the same"
        )
    raise ValueError(
        f"{type(module).__name__}: its own forward is not the network of its layers "
        f"{', '.join(map(str, layers))}: at random inputs they differ by more than rounding; {_SUPPORTED}"
    )


def _check_children(module: nn.Module) -> None:
    """Every module without children must be one that a network can hold."""
    from torch import nn

    for name, child in module.named_modules():
        if next(child.children(), None) is not None:
            continue
        if isinstance(child, nn.Dropout) and child.training and child.p > 0:
            raise ValueError(f"layer {name!r}: Dropout in training mode is random; call module.eval() first")
        if not isinstance(child, nn.Linear | nn.ReLU | nn.Identity | nn.Flatten | nn.Dropout):
            where = f"layer {name!r}" if name else "module"
            raise ValueError(f"{where}: {type(child).__name__} is not supported; {_SUPPORTED}")


def _sequence(module: nn.Module, name: str = "") -> list[tuple[str, nn.Module]] | None:
    """Names and layers of an nn.Sequential in the order they run; None for other modules."""
    from torch import nn

    if not isinstance(module, nn.Sequential):
        return [(name, module)] if isinstance(module, nn.Linear | nn.ReLU) else None
    steps: list[tuple[str, nn.Module]] = []
    for key, child in module._modules.items():
        if isinstance(child, nn.Identity | nn.Flatten | nn.Dropout):
            continue
        inner = _sequence(child, f"{name}.{key}" if name else key)
        if inner is None:
            return None
        steps += inner
    return steps


def _sequential_roles(steps: list[tuple[str, nn.Module]], layers: list[Layer]) -> Roles:
    from torch import nn

    kinds = ["Linear" if isinstance(step, nn.Linear) else type(step).__name__ for _, step in steps]
    by_name = {layer.name: layer for layer in layers}
    if kinds == ["Linear"]:
        return Roles(None, None, by_name[steps[0][0]])
    if kinds != ["Linear", "ReLU", "Linear"]:
        listed = ", ".join(f"{name}: {kind}" for (name, _), kind in zip(steps, kinds, strict=True))
        raise ValueError(f"layers {listed}: are not one hidden layer; {_SUPPORTED}")
    roles = Roles(by_name[steps[0][0]], by_name[steps[2][0]], None)
    if not roles.fit:
        raise ValueError(f"layers {roles.hidden} and {roles.output}: their shapes do not fit together")
    return roles


def _agree(module: nn.Module, network: ReLUNetwork) -> bool:
    """Whether the module's own forward, in float64, is f but for rounding; errors of its own pass through."""
    import torch

    X = _probes(network)
    with np.errstate(over="ignore", invalid="ignore"):
        hidden = np.maximum(X @ network.W.T + network.b, 0.0)
        ours = hidden @ network.V + X @ network.A + network.c
        size = (np.abs(X) @ np.abs(network.W).T + np.abs(network.b)) @ np.abs(network.V)
        size += np.abs(X) @ np.abs(network.A) + np.abs(network.c)
    with torch.no_grad():
        theirs: Any = copy.deepcopy(module).to("cpu", torch.float64)(torch.tensor(X))
    if not isinstance(theirs, torch.Tensor) or theirs.numel() != ours.size:
        return False
    allowed = 64 * np.finfo(float).eps * (network.n_neurons + network.n_inputs) * size + np.finfo(float).tiny
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.all(np.abs(theirs.to(torch.float64).numpy().reshape(ours.shape) - ours) <= allowed))


def _probes(network: ReLUNetwork) -> Array:
    """Inputs of several scales, and on both sides of the kinks of up to 256 neurons."""
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((64, network.n_inputs)) * np.logspace(-2, 3, 64)[:, None]
    picked = rng.permutation(network.n_neurons)[:256]
    W, b = network.W[picked], network.b[picked]
    squares = np.sum(W * W, axis=1)
    bends = squares > 0
    # where w x + b is a tenth of |b|, or of 1, above and below 0
    steps = 0.1 * np.maximum(np.abs(b[bends]), 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        near = [(level - b[bends])[:, None] / squares[bends, None] * W[bends] for level in (steps, -steps)]
    X = np.concatenate([spread, *near])
    return X[np.isfinite(X).all(axis=1)]
