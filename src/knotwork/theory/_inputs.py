"""Arguments that the kernel files share: rows of inputs, pairs of them, and single numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array

Array = NDArray[np.float64]


def as_rows(value: ArrayLike, name: str, n_inputs: int | None = None) -> Array:
    """(n, d) float64 inputs; (n,) is one input. ValueError where d is not `n_inputs`."""
    X = as_float_array(value, name)
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2 or X.shape[1] == 0 or n_inputs not in (None, X.shape[1]):
        wanted = "(n, d) or (n,)" if n_inputs is None else f"(n, {n_inputs})"
        raise ValueError(f"{name}: must have shape {wanted}, got {np.shape(value)}")
    return X


def as_pair(X: ArrayLike, X_other: ArrayLike | None) -> tuple[Array, Array]:
    """Both as rows of equally many inputs; X_other = X when left out."""
    left = as_rows(X, "X")
    return left, left if X_other is None else as_rows(X_other, "X_other", left.shape[1])


def as_number(value: object, name: str, *, positive: bool = False) -> float:
    """`value` as a finite number >= 0, or > 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: must be a number, got {value!r}")
    number = float(value)
    if not 0 <= number < np.inf or (positive and number == 0):
        raise ValueError(f"{name}: must be finite and {'>' if positive else '>='} 0, got {value!r}")
    return number
