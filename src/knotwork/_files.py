"""Outputs are written beside their place and then moved, so that an existing file is never lost."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    except OSError as error:
        raise type(error)(
            f"{path}: cannot be written ({error.strerror}); name a folder that exists and is writable"
        ) from None
    try:
        yield beside
        # on the disk before the move, so that a power cut leaves the old file or the new one
        with beside.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder `path`, made when missing, after a trial that it takes new files.

    Raises
    ------
    OSError : naming the path and the remedy.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".knotwork-{secrets.token_hex(8)}.tmp"
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        trial.unlink()
    except OSError as error:
        raise type(error)(
            f"{path}: no file can be written there ({error.strerror}); choose another folder"
        ) from None
    return folder
