"""The files that tables come in: their header first, then the columns that are wanted."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

MANY_COLUMNS = 20_000
_LONGEST_LINE = 1 << 26
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")

# pandas annotates a column of a frame as a Series, a frame or unknown: no type to work with
Frame = Any
Read = Callable[[Sequence[str], int | None], Frame]


class TableError(ValueError):
    """A file that is no table, or not the one that was described."""


def existing_table(path: str | os.PathLike[str]) -> Path:
    """`path`, when it is a file that holds anything."""
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a CSV or Parquet file in it")
    if not file.exists():
        raise FileNotFoundError(f"{path}: there is no such file; check the path")
    if file.is_file() and file.stat().st_size == 0:
        raise TableError(f"{path}: is empty; give a table with a header and rows")
    return file


def open_table(file: Path) -> tuple[list[str], Read]:
    """The header of a file, and a function that reads some of its columns (and first rows)."""
    with file.open("rb") as handle:
        parquet = handle.read(4) == b"PAR1"
    return _open_parquet(file) if parquet or file.suffix.lower() in (".parquet", ".pq") else _open_csv(file)


def _open_csv(file: Path) -> tuple[list[str], Read]:
    separator = "\t" if file.suffix.lower() == ".tsv" else ","

    def lines(handle: Any) -> Iterable[str]:
        while line := handle.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise TableError(f"has a line of over {_LONGEST_LINE} characters; is it a CSV file?")
            yield line

    with file.open(encoding="utf-8-sig", newline="") as handle:
        try:
            header = next(csv.reader(lines(handle), delimiter=separator, skipinitialspace=True), [])
        except csv.Error as error:
            raise TableError(f"its header cannot be read ({error}); is it a CSV file?") from None
    header = [name.strip() for name in header]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise TableError(f"has one column, {header[0]!r}; separate columns by commas")

    def read(columns: Sequence[str], n_rows: int | None) -> Frame:
        import pandas as pd

        # from 3.1 on every number is read exactly, and the argument is deprecated
        exact = tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1)
        precision = None if exact else "round_trip"
        try:
            with warnings.catch_warnings():
                # a longer row than the header loses its end with no more than this warning
                warnings.simplefilter("error", pd.errors.ParserWarning)
                # with usecols it does so without; then only where all columns are too many to read
                few = list(columns) if len(header) > MANY_COLUMNS else None
                frame: Frame = pd.read_csv(
                    file,
                    sep=separator,
                    header=0,
                    names=header,
                    usecols=few,
                    index_col=False,
                    nrows=n_rows,
                    encoding="utf-8-sig",
                    skipinitialspace=True,
                    float_precision=precision,
                    low_memory=False,
                )
            return frame[list(columns)]
        except pd.errors.EmptyDataError:
            raise TableError("has no columns; give a table with a header and rows") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            reason = str(error).strip().replace("\n", " ")
            raise TableError(f"has rows that do not match its header ({reason}); repair it") from None

    return header, read


def _open_parquet(file: Path) -> tuple[list[str], Read]:
    try:
        import pyarrow.parquet as pq
        from pyarrow import ArrowException
    except ImportError:
        raise TableError("Parquet needs the pyarrow package; run: pip install 'knotwork[parquet]'") from None
    try:
        names = [str(name) for name in pq.read_schema(file).names]
    except (ArrowException, OSError, ValueError) as error:
        raise TableError(f"is no whole Parquet file ({error}); write it anew") from None
    header = ["" if _PANDAS_INDEX.fullmatch(name) else name for name in names]

    def read(columns: Sequence[str], n_rows: int | None) -> Frame:
        try:
            # an index that pandas noted in the file would not come back as a column
            frame: Frame = pq.read_table(file, columns=list(columns)).to_pandas(ignore_metadata=True)
        except (ArrowException, OSError, ValueError) as error:
            raise TableError(f"cannot be read ({error}); write it anew") from None
        frame = frame[list(columns)]
        return frame if n_rows is None else frame.head(n_rows)

    return header, read
