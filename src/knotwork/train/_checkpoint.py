"""A run on disk: every array of it, and what it was a run of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._files import replacing

_KIND = "knotwork training"
_VERSION = 1


def digest(*parts: Any) -> str:
    """Of arrays by their bytes, of all else by what it prints."""
    out = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            out.update(str((part.shape, part.dtype.str)).encode())
            out.update(np.ascontiguousarray(part).tobytes())
        else:
            out.update(repr(part).encode())
    return out.hexdigest()


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], identity: Mapping[str, str]
) -> None:
    """The whole file, or the one that was there before."""
    from safetensors.numpy import save_file

    metadata = {"kind": _KIND, "version": str(_VERSION), "identity": json.dumps(dict(identity))}
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as beside:
        save_file(tensors, beside, metadata=metadata)


def read(path: str | os.PathLike[str], identity: Mapping[str, str]) -> dict[str, np.ndarray] | None:
    """What `write` wrote of the same run; None where there is no file.

    Raises
    ------
    ValueError : for a damaged file, and for a run of something else, naming what differs.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="numpy") as handle:
            metadata = handle.metadata() or {}
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"checkpoint: {path} is no whole checkpoint ({error}); delete it or name another file"
        ) from None
    if metadata.get("kind") != _KIND or metadata.get("version") != str(_VERSION):
        raise ValueError(
            f"checkpoint: {path} was not written by this version of knotwork.train; name another file"
        )
    found = json.loads(metadata["identity"])
    names = [name for name in identity if found.get(name) != identity[name]]
    if names:
        raise ValueError(
            f"checkpoint: {path} is of another run, which differs in its {', '.join(names)}; delete it, name "
            "another file, or repeat the call that wrote it"
        )
    return arrays
