"""What a fit says where there were no data: beyond the box of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only

Array = NDArray[np.float64]
Extrapolation = Literal["linear", "constant", "raise"]


def check_extrapolation(policy: object) -> None:
    """Raise ValueError for a policy that is none."""
    if policy not in get_args(Extrapolation):
        raise ValueError(f"extrapolation: must be 'linear', 'constant' or 'raise', got {policy!r}")


@dataclass(frozen=True, eq=False)
class InputBox:
    """The smallest box with all inputs of a fit in it.

    low, high : (d,) in units of the data.

    Raises
    ------
    ValueError : for corners that make no box.
    """

    low: Array
    high: Array

    def __post_init__(self) -> None:
        low, high = (as_float_array(getattr(self, name), name, copy=True) for name in ("low", "high"))
        if low.ndim != 1 or low.shape != high.shape or not (low <= high).all():
            raise ValueError(f"low: must be (d,) and nowhere above high, got {low} and {high}")
        object.__setattr__(self, "low", read_only(low))
        object.__setattr__(self, "high", read_only(high))

    @classmethod
    def of(cls, X: ArrayLike) -> InputBox:
        """Of inputs (N, d)."""
        X = as_float_array(X, "X")
        return cls(X.min(axis=0), X.max(axis=0))

    def apply(self, X: ArrayLike, policy: Extrapolation, names: Sequence[str] | None = None) -> Array:
        """Inputs (n, d) as the policy wants them predicted.

        Parameters
        ----------
        policy : "linear" goes on as the network does, straight on every side of its outermost bends;
            "constant" predicts at the nearest point of the box; "raise" refuses.
        names : (d,) of the inputs, for the error.

        Raises
        ------
        ValueError : for another policy; under "raise" for the first input outside.
        """
        check_extrapolation(policy)
        X = as_float_array(X, "X")
        if policy == "linear":
            return X
        if policy == "constant":
            return np.clip(X, self.low, self.high)
        outside = np.clip(X, self.low, self.high) != X
        if outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            name = f"input {column}" if names is None else names[column]
            raise ValueError(
                f"extrapolation: {name} is {X[row, column]:.10g} in row {row + 1}, outside of the fit's "
                f"{self.low[column]:.10g} to {self.high[column]:.10g}; use 'linear' or 'constant'"
            )
        return X
