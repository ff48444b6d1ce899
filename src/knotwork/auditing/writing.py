"""The better network, to a file of the kind that its name ends in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._files import replacing
from ..interchange import to_onnx
from ..network import ReLUNetwork
from ..storage import save

_ENDINGS = (".safetensors", ".npz", ".onnx")


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending that says which kind of file to write.

    Raises
    ------
    ValueError : for another one.
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise ValueError(
            f"improve: must end in {', '.join(_ENDINGS)}, got {os.fspath(path)!r}; for PyTorch write "
            "improved.npz and call knotwork.to_torch(knotwork.load_network('improved.npz'))"
        )
    return ending


def write_network(
    network: ReLUNetwork, path: str | os.PathLike[str], *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a network in float64 to .safetensors (`save`), .npz (arrays W, b, V, A, c) or .onnx; only the
    first holds `metadata`.

    Raises
    ------
    ValueError : for another ending.
    ImportError : for .onnx without the onnx package.
    OSError : when it cannot be written.
    """
    ending = check_ending(path)
    if ending == ".safetensors":
        save(network, path, metadata=metadata)
    elif ending == ".onnx":
        to_onnx(network, path)
    else:
        with replacing(path) as beside, beside.open("wb") as handle:
            np.savez(handle, W=network.W, b=network.b, V=network.V, A=network.A, c=network.c)
