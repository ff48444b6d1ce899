"""What comes in: tables, columns, masked arrays and weights, as float64; NaN where a label is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn.utils.validation
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length

from ..scaling import TaskScaling

Array = NDArray[np.float64]
# their types are not declared
check_array: Any = sklearn.utils.validation.check_array
validate_data: Any = sklearn.utils.validation.validate_data


def as_inputs(estimator: Any, X: Any, *, reset: bool) -> Array:
    """(n, d) finite inputs; feature names and their number are noted, or compared.

    Raises
    ------
    TypeError : for a masked array, whose masked entries no prediction can do without.
    ValueError : for what is not a finite table of numbers.
    """
    if np.ma.isMaskedArray(X) and np.ma.getmaskarray(X).any():
        raise TypeError(
            "X: masked entries have no value to predict from; impute them or drop their rows "
            "(masked labels are fine: they are missing)"
        )
    return validate_data(estimator, X, reset=reset, dtype=np.float64, order="C")


def as_labels(estimator: Any, X: Array, Y: Any) -> Array:
    """(n, T) or (n,) labels, NaN where missing: NaN itself, pandas' NA, or masked.

    Raises
    ------
    ValueError : without labels, for infinite ones, or as many as there are no rows of X for.
    """
    if Y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    if np.ma.isMaskedArray(Y):
        # NumPy functions drop masks without a word
        masked: Any = np.ma.asarray(Y).astype(np.float64)
        Y = masked.filled(np.nan)
    checked = check_array(
        Y,
        dtype=np.float64,
        ensure_2d=False,
        ensure_all_finite="allow-nan",
        input_name="y",
        estimator=estimator,
    )
    if checked.ndim > 2 or checked.ndim == 0 or checked.size == 0:
        raise ValueError(f"y: must be (n,) or (n, T) with T >= 1, got shape {checked.shape}")
    check_consistent_length(X, checked)
    return checked


def as_weight(sample_weight: Any, Y: Array) -> Array | None:
    """(n,) or (n, T) weights >= 0 of the labels Y (n, T); a number stands for all rows.

    Raises
    ------
    ValueError : for another shape, negative or infinite entries, or a task whose labels all weigh zero.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, int | float | np.number):
        sample_weight = np.full(len(Y), sample_weight)
    weight = check_array(
        sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight", order="C"
    )
    if weight.shape not in ((len(Y),), Y.shape):
        raise ValueError(f"sample_weight: must have shape ({len(Y)},) or {Y.shape}, got {weight.shape}")
    if weight.min() < 0:
        raise ValueError(f"sample_weight: must be >= 0, got {weight.min()}")
    if not weight.max() > 0:
        raise ValueError("sample_weight: all weights are zero; at least one must not be")
    return weight


def label_weight(Y: Array, weight: Array | None) -> Array:
    """(n, T) the weight of every label, 0 where it is missing."""
    full = np.ones(Y.shape) if weight is None else weight if weight.ndim == 2 else weight[:, None]
    return np.where(np.isnan(Y), 0.0, np.broadcast_to(full, Y.shape))


def require_tasks(Y: Array, weight: Array | None) -> None:
    """Raise ValueError where a task has no label."""
    empty = np.flatnonzero(~(label_weight(Y, weight) > 0).any(axis=0))
    if len(empty):
        raise ValueError(f"y: column {int(empty[0])} has no label (of positive weight); drop that task")


def weighted_scaling(Y: Array, weight: Array | None) -> TaskScaling:
    """Mean and standard deviation of every task's labels, weighted: a row of weight 2 is two rows."""
    if weight is None:
        return TaskScaling.of(Y)
    w = label_weight(Y, weight)
    # of the labels that count, so that what weighs nothing changes nothing
    rough = TaskScaling.of(np.where(w > 0, Y, np.nan))
    unit = np.where(w > 0, rough.apply(Y), 0.0)
    total = w.sum(axis=0)
    mean = (w * unit).sum(axis=0) / total
    deviation = np.sqrt((w * (unit - mean) ** 2).sum(axis=0) / total)
    varies = deviation > 0
    return TaskScaling(
        rough.centre + rough.scale * np.where(varies, mean, 0.0),
        np.where(varies, rough.scale * np.where(varies, deviation, 1.0), rough.scale),
    )
