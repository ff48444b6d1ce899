"""What every way in or out needs: libraries that may be missing, weights in a narrower type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork

_INSTALL = {
    "onnx": "pip install 'knotwork[onnx]'",
    "scikit-learn": "pip install scikit-learn",
    "torch": "pip install torch",
}


@contextmanager
def needing(library: str) -> Iterator[None]:
    """Around the import of an optional library: one that is missing is told how to install."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"this needs {library} ({error}); {_INSTALL[library]}") from None


def existing_file(path: str | os.PathLike[str]) -> Path:
    """`path`, when it is a file.

    Raises
    ------
    OSError : when there is none, or it is a folder.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{path}: there is no such file; check the path")
    if not file.is_file():
        raise IsADirectoryError(f"{path}: is not a file; name the model file in it")
    return file


def checked_network(network: object) -> ReLUNetwork:
    """`network`, when it is one.

    Raises
    ------
    TypeError : otherwise.
    """
    if not isinstance(network, ReLUNetwork):
        raise TypeError(
            f"network: must be a ReLUNetwork, got {type(network).__name__}; "
            "of a Solution pass solution.network"
        )
    return network


def weights_in(network: ReLUNetwork, dtype: str) -> dict[str, NDArray[Any]]:
    """W, b, V, A, c in `dtype`, "float64" or "float32".

    Raises
    ------
    ValueError : for another dtype, or a weight beyond the range of float32.
    """
    if dtype not in ("float64", "float32"):
        raise ValueError(f"dtype: must be 'float64' or 'float32', got {dtype!r}")
    weights: dict[str, NDArray[Any]] = {}
    for name in ("W", "b", "V", "A", "c"):
        with np.errstate(over="ignore"):
            weights[name] = getattr(network, name).astype(dtype)
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name}: has entries beyond the range of {dtype}; write it in float64")
    return weights
