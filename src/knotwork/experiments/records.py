"""What an experiment computed, on disk: arrays beside all that made them, under a hash of it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import __version__
from .._files import replacing
from .._validate import read_only
from ..network import ReLUNetwork

Array = NDArray[Any]
Settings = Mapping[str, Any]

_KINDS = "fiub"
_NETWORK = ("W", "b", "V", "A", "c")
_ENDING = ".safetensors"
# no experiment imports these: no number depends on them
_ASIDE = ("report", "cli", "comparing", "estimators", "auditing", "interchange", "streaming")


@dataclass(frozen=True, eq=False)
class Record:
    """One piece of an experiment.

    experiment : its name.
    settings : all that the piece was told, as JSON holds it; seeds are among them.
    arrays : what it measured, by name; a single number is an array of one.
    seconds : how long that took.
    versions : of Python, Knotwork and the libraries that compute.

    Two records of one `key` have equal arrays, wherever and with how many processes they were made.
    """

    experiment: str
    settings: Settings
    arrays: Mapping[str, Array]
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def __post_init__(self) -> None:
        arrays = {}
        for name, value in self.arrays.items():
            array = np.atleast_1d(np.array(value))
            if array.dtype.kind not in _KINDS:
                raise TypeError(
                    f"arrays: {name!r} holds {array.dtype}; an experiment returns numbers and truth values"
                )
            arrays[name] = read_only(array)
        object.__setattr__(self, "arrays", arrays)

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def number(self, name: str) -> float:
        """An array of one entry as a float."""
        return float(self.arrays[name].item())

    def network(self, prefix: str) -> ReLUNetwork:
        """The network that `network_arrays` took apart."""
        return ReLUNetwork(**{part: self.arrays[f"{prefix}.{part}"] for part in _NETWORK})

    @cached_property
    def key(self) -> str:
        """A hash of experiment, settings and the code that computes: where the record is looked for."""
        return record_key(self.experiment, self.settings)

    @cached_property
    def digest(self) -> str:
        """A hash of what was measured, every bit of it."""
        seen = hashlib.sha256()
        for name in sorted(self.arrays):
            array = self.arrays[name]
            seen.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            seen.update(np.ascontiguousarray(array).tobytes())
        return seen.hexdigest()

    @property
    def file_name(self) -> str:
        """Of the record's file, within the folder of records."""
        return f"{self.experiment}-{self.key[:16]}{_ENDING}"


def network_arrays(prefix: str, network: ReLUNetwork) -> dict[str, ArrayLike]:
    """The parts of a network, to go into a record."""
    return {f"{prefix}.{part}": getattr(network, part) for part in _NETWORK}


def record_key(experiment: str, settings: Settings) -> str:
    """The hash that `Record.key` is."""
    told = {"experiment": experiment, "settings": dict(settings), "code": code_hash()}
    try:
        text = json.dumps(told, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"settings of {experiment}: must be what JSON holds, got {settings!r} ({error})"
        ) from None
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_hash() -> str:
    """Of every line of Knotwork that computes: records made by other code are not taken for today's."""
    root = Path(__file__).parent.parent
    seen = hashlib.sha256(__version__.encode())
    for file in sorted(root.rglob("*.py")):
        inside = file.relative_to(root)
        if inside.parts[0] not in _ASIDE:
            seen.update(inside.as_posix().encode() + b"\n" + file.read_bytes())
    return seen.hexdigest()


@cache
def versions() -> Mapping[str, str]:
    """Of what computes here; libraries that are not installed are left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "knotwork": __version__}
    for name in ("numpy", "scipy", "numba", "jax", "optax", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_record(record: Record, folder: str | os.PathLike[str]) -> Path:
    """Write it under its key, whole or not at all."""
    from safetensors.numpy import save_file

    told = {
        "experiment": record.experiment,
        "settings": dict(record.settings),
        "key": record.key,
        "digest": record.digest,
        "seconds": record.seconds,
        "versions": dict(record.versions),
    }
    place = Path(folder) / record.file_name
    arrays = {name: np.ascontiguousarray(array) for name, array in record.arrays.items()}
    with replacing(place) as beside:
        save_file(arrays, os.fspath(beside), metadata={"knotwork.record": json.dumps(told, sort_keys=True)})
    return place


def find_record(experiment: str, settings: Settings, folder: str | os.PathLike[str]) -> Record | None:
    """The record of these settings in a folder; None where it is missing, damaged or of other code."""
    from safetensors import SafetensorError, safe_open

    key = record_key(experiment, settings)
    place = Path(folder) / f"{experiment}-{key[:16]}{_ENDING}"
    try:
        with safe_open(os.fspath(place), framework="np") as file:
            told = json.loads((file.metadata() or {})["knotwork.record"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record = Record(told["experiment"], told["settings"], arrays, told["seconds"], told["versions"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    return record if (record.key, record.digest) == (key, told["digest"]) else None
