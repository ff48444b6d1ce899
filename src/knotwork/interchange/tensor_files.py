"""Arrays from safetensors and NumPy archives: nothing in either can run."""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_HEADER = 100_000_000
# read here and not by the safetensors package, whose NumPy door knows no bfloat16
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of a safetensors file, bfloat16 as float32, and its metadata.

    The file is 8 bytes for the length of a JSON header, that header, and the bytes of the arrays one
    after the other (https://huggingface.co/docs/safetensors).

    Raises
    ------
    ValueError : for a damaged file, or arrays that are no real numbers.
    """
    content = Path(path).read_bytes()
    try:
        return _parsed(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: is no whole safetensors file ({error}); write it anew") from None


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins so is one: a length, then JSON."""
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LARGEST_HEADER


def _parsed(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_LARGEST_HEADER, len(content) - 8):
        raise ValueError("it ends before its header does")
    header = json.loads(content[8 : 8 + length].decode("utf-8"))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ValueError("its metadata are no names and texts")
    body = memoryview(content)[8 + length :]
    arrays, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        (start, stop), shape = entry["data_offsets"], tuple(entry["shape"])
        if entry["dtype"] not in _TYPES:
            raise ValueError(f"array {name!r} has type {entry['dtype']}; supported are {', '.join(_TYPES)}")
        dtype = np.dtype(_TYPES[entry["dtype"]])
        if not all(isinstance(size, int) and size >= 0 for size in (*shape, start, stop)):
            raise ValueError(f"array {name!r} has shape {shape} at {start} to {stop}")
        if start != end or stop > len(body) or stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"array {name!r} of shape {shape} does not fill bytes {start} to {stop}")
        array = np.frombuffer(body[start:stop], dtype).reshape(shape)
        if entry["dtype"] == "BF16":
            # bfloat16 is the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name], end = array, stop
    if end != len(body):
        raise ValueError(f"{len(body) - end} bytes belong to no array")
    return arrays, metadata


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays of a NumPy archive; arrays of Python objects are refused, not unpickled.

    Raises
    ------
    ValueError : for a damaged file, or one with objects in it.
    """
    try:
        # opened here: numpy.load leaves a damaged file open
        with Path(path).open("rb") as handle:
            archive: Any = np.load(handle, allow_pickle=False)
            arrays = {name: archive[name] for name in getattr(archive, "files", ())}
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        objects = isinstance(error, ValueError) and "pickle" in str(error)
        reason = "it holds Python objects, which are never loaded" if objects else error
        raise ValueError(
            f"{path}: is no whole NumPy archive of plain arrays ({reason}); write it anew"
        ) from None
    # a member without NumPy's header comes as bytes
    if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError(f"{path}: is no NumPy archive of arrays; write it by numpy.savez")
    return arrays
