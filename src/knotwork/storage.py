"""Networks and solutions in safetensors files: plain arrays and text, nothing that could run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._files import replacing
from ._validate import read_only
from .certificate import Certificate, certify, sees_moments
from .dual_norm import Rigour
from .losses import Loss, PerTask, resolve_loss
from .network import ReLUNetwork
from .penalty import Penalty
from .problem import Problem
from .solution import Solution, Status, TraceEntry
from .stacked import StackedNetwork

Array = NDArray[np.float64]

FORMAT_VERSION = 1
_OWN = "knotwork."
_NETWORK = ("W", "b", "V", "A", "c")
_TYPES = ("ReLUNetwork", "StackedNetwork", "Solution")
_NUMBERS = ("primal", "dual", "gap", "relative_gap", "bound", "slack")


def save(
    obj: ReLUNetwork | StackedNetwork | Solution,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network, a stacked network or a solution to a safetensors file, every number as it is.

    A solution carries its data, certificate, status and trace. Its dual point is stored at
    lam = 0 only; elsewhere it is computed anew from the network when asked for.

    Parameters
    ----------
    obj : what to write.
    path : the file; one that exists is replaced when the new one is complete, and not before.
    metadata : names to anything JSON can hold (NumPy numbers and arrays too), read back by
        `read_metadata`. Names starting with "knotwork." are taken.

    Raises
    ------
    TypeError, ValueError : for another object, an activation that is a function (a file holds none), or
        metadata that JSON cannot hold.
    OSError : when the file cannot be written.
    """
    from safetensors.numpy import save_file

    text = {name: _to_json(name, value) for name, value in (metadata or {}).items()}
    if isinstance(obj, ReLUNetwork):
        tensors = _network_tensors(obj)
    elif isinstance(obj, StackedNetwork):
        if not isinstance(obj.activation, str):
            raise ValueError("obj: its activation is a function, which no file can hold; use one with a name")
        tensors = {f"{j}.{name}": getattr(one, name) for j, one in enumerate(obj.stacks) for name in _NETWORK}
        record = {"n_stacks": len(obj.stacks), "activation": obj.activation, "link": obj.link}
        text[_OWN + "stacked"] = json.dumps(record)
    elif isinstance(obj, Solution):
        tensors = _solution_tensors(obj)
        text[_OWN + "solution"] = json.dumps(_solution_record(obj))
    else:
        raise TypeError(
            f"obj: must be a ReLUNetwork, a StackedNetwork or a Solution, got {type(obj).__name__}"
        )
    text[_OWN + "type"] = json.dumps(type(obj).__name__)
    text[_OWN + "format_version"] = json.dumps(FORMAT_VERSION)
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with replacing(path) as beside:
        save_file(tensors, beside, metadata=text)


def load(path: str | os.PathLike[str]) -> ReLUNetwork | StackedNetwork | Solution:
    """What `save` wrote, of the type that was saved.

    The certificate of a solution is the one that was saved; `certify(solution.problem,
    solution.network)` proves it anew.

    Raises
    ------
    ValueError : for a file that is damaged or was not written by `save`.
    OSError : when there is no such file or it cannot be read.
    """
    text, tensors = _read(path)
    try:
        if _own(text, "type") == "ReLUNetwork":
            return _take_network(tensors, set(_NETWORK))
        if _own(text, "type") == "StackedNetwork":
            return _take_stacked(tensors, _own(text, "stacked"))
        return _take_solution(tensors, _own(text, "solution"))
    except (KeyError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise ValueError(
            f"{path}: the contents of this model file do not fit together ({error}); save it anew"
        ) from None


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The `metadata` given to `save`.

    Raises
    ------
    ValueError, OSError : as `load`.
    """
    text, _ = _read(path, arrays=False)
    try:
        return {name: json.loads(value) for name, value in text.items() if not name.startswith(_OWN)}
    except ValueError as error:
        raise ValueError(f"{path}: its metadata cannot be read ({error}); save it anew") from None


def _read(path: str | os.PathLike[str], arrays: bool = True) -> tuple[dict[str, str], dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{path}: there is no such file; check the path")
    if not file.is_file():
        raise IsADirectoryError(f"{path}: is not a file; name the model file in it")
    try:
        with safe_open(file, framework="numpy") as handle:
            text = handle.metadata() or {}
            # safetensors itself fails on data types that NumPy lacks, with a TypeError
            names = handle.keys() if arrays else []
            tensors = {name: handle.get_tensor(name) for name in names}
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}: is no whole safetensors file ({error}); nothing of it was used. Give a file "
            "written by knotwork.save"
        ) from None
    if _OWN + "type" not in text or _own(text, "type") not in _TYPES:
        raise ValueError(f"{path}: was not written by knotwork.save; give a file that was")
    if _own(text, "format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: has format version {text.get(_OWN + 'format_version')}, this knotwork reads "
            f"version {FORMAT_VERSION}; use the knotwork that wrote it"
        )
    wrong = [name for name, array in tensors.items() if array.dtype != np.float64]
    if wrong:
        raise ValueError(f"{path}: array {wrong[0]!r} is not float64; save the model anew")
    return text, tensors


def _own(text: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(text.get(_OWN + name, "null"))
    except ValueError:
        return None


def _network_tensors(network: ReLUNetwork) -> dict[str, Array]:
    return {name: getattr(network, name) for name in _NETWORK}


def _solution_tensors(solution: Solution) -> dict[str, Array]:
    problem, certificate = solution.problem, solution.certificate
    tensors = _network_tensors(solution.network)
    tensors["X"], tensors["Y"] = problem.X, problem.Y
    if problem.sample_weight is not None:
        tensors["sample_weight"] = problem.sample_weight
    # as arrays, since JSON has no infinity
    tensors["certificate"] = np.array([getattr(certificate, name) for name in _NUMBERS], dtype=float)
    if certificate.worst_neuron is not None:
        tensors["worst_neuron"] = certificate.worst_neuron
    if problem.lam == 0 or not sees_moments(problem):
        tensors["dual_point"] = certificate.dual_point
    tensors["trace"] = np.array([astuple(entry) for entry in solution.trace], dtype=float).reshape(-1, 5)
    return tensors


def _solution_record(solution: Solution) -> dict[str, Any]:
    problem = solution.problem
    return {
        "lam": problem.lam,
        "loss": loss_record(problem.loss_function),
        "penalty": {"biases": problem.penalty.biases, "skip": problem.penalty.skip},
        "status": solution.status.name,
        "rigour": solution.certificate.rigour.name,
    }


def loss_record(loss: Loss) -> Any:
    """A loss as JSON holds it: its name, with numbers a dictionary, or a list of one for each task."""
    if isinstance(loss, PerTask):
        return [loss_record(one) for one in loss.losses]
    numbers = {item.name: getattr(loss, item.name) for item in fields(loss)}
    return {"name": loss.name, **numbers} if numbers else loss.name


def loss_of_record(record: Any) -> Loss:
    """The loss that `loss_record` wrote; TypeError, KeyError or ValueError for what it did not."""
    if isinstance(record, list):
        return resolve_loss([loss_of_record(one) for one in record])
    if isinstance(record, str):
        return resolve_loss(record)
    numbers = {name: value for name, value in record.items() if name != "name"}
    return type(resolve_loss(record["name"]))(**numbers)


def _take_network(tensors: Mapping[str, Array], names: set[str]) -> ReLUNetwork:
    if set(tensors) != names:
        raise ValueError(f"arrays {sorted(tensors)} instead of {sorted(names)}")
    return ReLUNetwork(*(tensors[name] for name in _NETWORK))


def _take_stacked(tensors: Mapping[str, Array], record: Mapping[str, Any]) -> StackedNetwork:
    names = [[f"{j}.{name}" for name in _NETWORK] for j in range(record["n_stacks"])]
    if set(tensors) != {name for one in names for name in one}:
        raise ValueError(f"arrays {sorted(tensors)} instead of those of {len(names)} stacks")
    stacks = tuple(ReLUNetwork(*(tensors[name] for name in one)) for one in names)
    return StackedNetwork(stacks, record["activation"], record["link"])


def _take_solution(tensors: dict[str, Array], record: Mapping[str, Any]) -> Solution:
    optional = {"sample_weight", "worst_neuron", "dual_point"} & set(tensors)
    expected = {*_NETWORK, "X", "Y", "certificate", "trace", *optional}
    network = _take_network(tensors, expected)
    problem = Problem(
        tensors["X"],
        tensors["Y"],
        record["lam"],
        loss_of_record(record["loss"]),
        Penalty(**record["penalty"]),
        tensors.get("sample_weight"),
        copy=False,
    )
    problem.check_network(network)

    def dual_point() -> Array:
        if "dual_point" in tensors:
            return tensors["dual_point"]
        return certify(problem, network).dual_point

    if tensors["certificate"].shape != (len(_NUMBERS),):
        raise ValueError(f"certificate: {tensors['certificate'].shape} instead of {len(_NUMBERS)} numbers")
    worst = tensors.get("worst_neuron")
    for name, shape in (("worst_neuron", (problem.n_inputs + 1,)), ("dual_point", problem.Y.shape)):
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(f"{name}: shape {tensors[name].shape} instead of {shape}")
    certificate = Certificate(
        **dict(zip(_NUMBERS, tensors["certificate"].tolist(), strict=True)),
        rigour=Rigour[record["rigour"]],
        worst_neuron=None if worst is None else read_only(worst),
        _make_dual_point=dual_point,
    )
    trace = tuple(
        TraceEntry(int(round_), seconds, objective, gap, int(knots))
        for round_, seconds, objective, gap, knots in tensors["trace"].tolist()
    )
    return Solution(problem, network, certificate, Status[record["status"]], trace)


def _to_json(name: object, value: Any) -> str:
    if not isinstance(name, str) or name.startswith(_OWN):
        raise ValueError(f"metadata: {name!r} cannot be a name; use text that does not start with {_OWN!r}")
    try:
        return json.dumps(value, default=_plain)
    except (TypeError, ValueError):
        raise TypeError(
            f"metadata: {name!r} holds a {type(value).__name__} that JSON cannot hold; use text, "
            "numbers, lists and dictionaries"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError
