"""Outputs are written beside their place and then moved, so that an existing file is never lost."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new file to write to; it takes the place of `path` when the block ends without an error.

    Until then, and after an error, whatever was at `path` is untouched.

    Raises
    ------
    OSError : naming the path and the remedy, when the folder takes no new file or `path` is
        not an ordinary file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise IsADirectoryError(f"{path}: is not an ordinary file; name a file to write")
    beside = target.parent / f".knotwork-{secrets.token_hex(8)}.tmp"
    try:
        # made here, not by the writer, so that an unwritable folder has one kind of error
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = beside.stat().st_mode
    except OSError as error:
        raise type(error)(
            f"{path}: cannot be written ({error.strerror}); name a folder that exists and is writable"
        ) from None
    try:
        yield beside
        # a writer that makes the file anew may keep it from other users
        beside.chmod(mode)
        # on the disk before the move, so that a power cut leaves the old file or the new one
        with beside.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def require_writable(folder: str | os.PathLike[str]) -> None:
    """Raise now what writing to `folder` would raise after the work is done; leaves no trace.

    Raises
    ------
    OSError : naming the folder and the remedy. It need not exist; what it would be made in must.
    """
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    trial = place / f".knotwork-{secrets.token_hex(8)}.tmp"
    try:
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        trial.unlink()
    except OSError as error:
        raise type(error)(
            f"{folder}: no file can be written there ({error.strerror}); choose another folder"
        ) from None


def finite(value: Any) -> Any:
    """`value` with None for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
