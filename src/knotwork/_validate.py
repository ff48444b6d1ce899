"""One door for arrays: float64, C-contiguous, real and finite, or an error that names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EXACT_INTEGER = 2**53
_KINDS = {"c": "complex", "O": "object", "U": "text", "S": "text", "M": "date", "m": "time"}


def as_float_array(
    value: Any, name: str, *, allow_nan: bool = False, copy: bool = False
) -> NDArray[np.float64]:
    """`value` as a C-contiguous float64 array.

    Raises
    ------
    TypeError : for masked, complex, object, text and date arrays.
    ValueError : for infinities, NaN where none is allowed, and integers above 2**53.
    """
    if np.ma.isMaskedArray(value):
        raise TypeError(
            f"{name}: masked arrays lose their mask in NumPy functions; mark missing labels "
            f"with NaN, as {name}.astype(float).filled(numpy.nan) does"
        )
    if hasattr(value, "to_numpy") and hasattr(value, "iloc"):
        value = _from_pandas(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: rows of different lengths do not make an array; {error}") from None
    kind = array.dtype.kind
    if kind not in "fiub":
        raise TypeError(
            f"{name}: got an array of {_KINDS.get(kind, 'unsupported')} values "
            f"(dtype {array.dtype}); pass real numbers, for example {name}.astype(float)"
        )
    if kind in "iu" and array.size and max(-int(array.min()), int(array.max())) > _EXACT_INTEGER:
        raise ValueError(f"{name}: integers above 2**53 are not exact in float64; subtract an origin first")
    # NumPy warns where a longer float overflows; the check below is the answer to that.
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.array(array, dtype=np.float64, order="C", copy=True if copy else None)
    _check_finite(result, name, allow_nan)
    return result


def _from_pandas(value: Any, name: str) -> Any:
    """The values of a table or column; only columns of numbers become floats, gaps NaN."""
    dtypes: Any = getattr(value, "dtypes", None)
    columns = list(dtypes) if hasattr(dtypes, "__iter__") else [getattr(value, "dtype", None)]
    kinds = {getattr(dtype, "kind", "O") for dtype in columns}
    if len(kinds - set("fiub")) > 0:
        bad = next(dtype for dtype in columns if getattr(dtype, "kind", "O") not in "fiub")
        what = _KINDS.get(getattr(bad, "kind", "O"), "unsupported")
        raise TypeError(f"{name}: got an array of {what} values (dtype {bad}); pass columns of real numbers")
    if kinds & set("iu"):
        _check_exact(value.to_numpy(dtype=object, na_value=0), name)
    return value.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_exact(integers: NDArray[Any], name: str) -> None:
    if integers.size and max(-int(integers.min()), int(integers.max())) > _EXACT_INTEGER:
        raise ValueError(f"{name}: integers above 2**53 are not exact in float64; subtract an origin first")


def _check_finite(array: NDArray[np.float64], name: str, allow_nan: bool) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if np.isfinite(total):
        return
    if np.isinf(array).any():
        where = tuple(int(i) for i in np.argwhere(np.isinf(array))[0])
        raise ValueError(f"{name}: infinite value at index {where}; remove it or mark it missing")
    if not allow_nan and np.isnan(array).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise ValueError(f"{name}: NaN at index {where}; every entry must be a finite number")


def read_only(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """A view of `array` that refuses assignment."""
    view = array.view()
    view.setflags(write=False)
    return view


def as_count(value: Any, name: str) -> int:
    """`value` as an integer >= 0; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{name}: must be an integer >= 0, got {value!r}")
    return int(value)


def as_generator(value: Any, name: str) -> np.random.Generator:
    """`value` as a random generator; TypeError or ValueError for what is neither a seed nor one."""
    if isinstance(value, np.random.Generator):
        return value
    wanted = f"{name}: must be an integer >= 0, None or a numpy.random.Generator, got {value!r}"
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer)):
        raise TypeError(wanted)
    if value is not None and value < 0:
        raise ValueError(wanted)
    return np.random.default_rng(value)
