"""A network from a model file of any kind that is supported."""

# PyTorch is not in every environment that is checked
# pyright: reportMissingImports=false
from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..network import ReLUNetwork
from ..solution import Solution
from ..stacked import StackedNetwork
from ..storage import load
from ._shared import existing_file, needing
from .layers import network_of_arrays
from .onnx_reader import from_onnx
from .tensor_files import is_safetensors, read_npz, read_safetensors
from .torch_models import from_torch

_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")
# in earlier releases a hostile file gets past weights_only=True (CVE-2025-32434, CVE-2026-24747)
_SAFE_TORCH = (2, 10)


def load_network(path: str | os.PathLike[str], *, names: Mapping[str, str] | None = None) -> ReLUNetwork:
    """The network in a model file. No code in a file is ever run, and no pickle loaded.

    =============== ===================================================================================
    `.safetensors`  written by `knotwork.save` (of a Solution its network), or a PyTorch state dict
    `.pt`, `.pth`   a state dict by `torch.save`, read with `weights_only=True`; needs PyTorch 2.10
    `.onnx`         see `from_onnx`; needs the onnx package
    `.npz`          arrays W (K, d), b (K,), V (K, T), and A (d, T), c (T,) unless zero; or a state dict
    =============== ===================================================================================

    The content decides which of them it is, the suffix where that leaves it open.

    Parameters
    ----------
    path : the file.
    names : which layer of a state dict is "hidden", "output" and "skip", where its shapes leave it
        open; see `from_torch`.

    Raises
    ------
    ImportError : when the file needs a package that is missing.
    TypeError, ValueError : for a damaged file, another kind of file (`.pkl` and `.joblib` among them), or
        a model that is not one hidden ReLU layer.
    OSError : when there is no such file or it cannot be read.
    """
    file = existing_file(path)
    kind = _kind(file)
    if kind == "onnx":
        return from_onnx(file)
    try:
        if kind == "torch":
            return from_torch(_torch_load(file), names=names)
        if kind == "npz":
            return network_of_arrays(read_npz(file), names)
        arrays, metadata = read_safetensors(file)
        if "knotwork.type" not in metadata:
            return network_of_arrays(arrays, names)
        stored = load(file)
        if isinstance(stored, StackedNetwork):
            raise ValueError("holds a stacked network; knotwork.load reads it")
        return stored.network if isinstance(stored, Solution) else stored
    except (TypeError, ValueError) as error:
        text = str(error)
        raise type(error)(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _kind(file: Path) -> str:
    suffix = file.suffix.lower()
    with file.open("rb") as handle:
        start = handle.read(16)
    if is_safetensors(start):
        return "safetensors"
    if start.startswith(b"PK\x03\x04"):
        archive = _kind_of_archive(file)
        if archive:
            return archive
    for kind, suffixes in (
        ("torch", _TORCH_SUFFIXES),
        ("onnx", (".onnx",)),
        ("npz", (".npz",)),
        ("safetensors", (".safetensors",)),
    ):
        if suffix in suffixes:
            return kind
    # pickles of protocol 2 and later begin so
    if suffix in _PICKLE_SUFFIXES or start.startswith(b"\x80"):
        raise ValueError(
            f"{file}: no pickle is ever loaded; load it yourself if you trust it, and pass the fitted "
            "estimator to kw.from_sklearn or the module to kw.from_torch"
        )
    raise ValueError(
        f"{file}: is no model file that is known; supported are .safetensors, .pt, .pth, .onnx and .npz"
    )


def _kind_of_archive(file: Path) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if any(name.endswith("/data.pkl") for name in members):
        return "torch"
    return "npz" if members and all(name.endswith(".npy") for name in members) else None


def _torch_load(file: Path) -> Any:
    with needing("torch"):
        import torch

    release = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if release < _SAFE_TORCH:
        raise ValueError(
            f"PyTorch {torch.__version__} cannot read untrusted files safely; install torch>=2.10, or load "
            "the file yourself if you trust it and pass the state dict to kw.from_torch"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own text advises to load without the check
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({found[1]})" if found else ""
        raise ValueError(
            f"holds more than tensors{what}, or is damaged; nothing of it was run. Write the weights alone: "
            "torch.save(model.state_dict(), path)"
        ) from None
    except Exception as error:
        # the first sentence: those after it advise to load without the check
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise ValueError(
            f"is no whole PyTorch file of weights ({reason}); write it anew by "
            "torch.save(model.state_dict(), path)"
        ) from None
