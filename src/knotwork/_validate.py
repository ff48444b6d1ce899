"""One door for arrays: float64, C-contiguous, real and finite, or an error that names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EXACT_INTEGER = 2**53


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
    if hasattr(value, "to_numpy"):
        value = _from_pandas(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: rows of different lengths do not make an array; {error}") from None
    kind = array.dtype.kind
    if kind not in "fiub":
        what = {"c": "complex", "O": "object", "U": "text", "S": "text", "M": "date", "m": "time"}
        raise TypeError(
            f"{name}: got an array of {what.get(kind, 'unsupported')} values "
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
    try:
        return value.to_numpy(dtype=np.float64, na_value=np.nan)
    except TypeError:
        pass
    except ValueError:
        raise TypeError(
            f"{name}: holds values that are not numbers; select numeric columns or convert them"
        ) from None
    return value.to_numpy()


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
