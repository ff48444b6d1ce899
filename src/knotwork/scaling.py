"""Putting tasks on one scale before a fit, and the network back into the units of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validate import as_float_array, read_only
from .network import ReLUNetwork

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TaskScaling:
    """Y_task = (Y - centre) / scale, task by task.

    The penalty is not free of scale: unscaled, a task in large units owns every knot.

    centre : (T,) in units of the labels.
    scale : (T,) > 0, in units of the labels.

    Raises
    ------
    ValueError : when the two do not match, or a scale is not positive.
    """

    centre: Array
    scale: Array

    def __post_init__(self) -> None:
        centre = as_float_array(self.centre, "centre", copy=True)
        scale = as_float_array(self.scale, "scale", copy=True)
        if centre.ndim != 1 or centre.shape != scale.shape:
            raise ValueError(
                f"scale: must have the shape (T,) of centre, got {scale.shape} beside {centre.shape}"
            )
        if not (scale > 0).all():
            raise ValueError(f"scale: must be positive, got {scale.min()} for task {int(scale.argmin())}")
        object.__setattr__(self, "centre", read_only(centre))
        object.__setattr__(self, "scale", read_only(scale))

    @classmethod
    def of(cls, Y: ArrayLike) -> TaskScaling:
        """Mean and population standard deviation of the labels (N, T); scale 1 where all are equal.

        Raises
        ------
        ValueError : for a task without labels.
        """
        Y = _as_labels(Y)
        seen = ~np.isnan(Y)
        empty = np.flatnonzero(~seen.any(axis=0))
        if len(empty):
            raise ValueError(f"Y: column {int(empty[0])} has no label; drop that task")
        low, high = np.nanmin(Y, axis=0), np.nanmax(Y, axis=0)
        # about the middle and over the largest deviation, so that no square leaves float64
        middle = 0.5 * low + 0.5 * high
        half = np.maximum(high - middle, middle - low)
        half = np.where(half > 0, half, 1.0)
        unit = np.where(seen, (Y - middle) / half, 0.0)
        count = seen.sum(axis=0)
        mean = unit.sum(axis=0) / count
        deviation = np.sqrt(np.where(seen, (unit - mean) ** 2, 0.0).sum(axis=0) / count)
        varies = high > low
        return cls(np.where(varies, middle + half * mean, low), np.where(varies, half * deviation, 1.0))

    @classmethod
    def none(cls, n_tasks: int) -> TaskScaling:
        """Centre 0 and scale 1 for every task: labels as they are."""
        return cls(np.zeros(n_tasks), np.ones(n_tasks))

    @property
    def n_tasks(self) -> int:
        return len(self.scale)

    def apply(self, Y: ArrayLike) -> Array:
        """(Y - centre) / scale, (N, T); missing labels stay missing."""
        Y = _as_labels(Y)
        self._check(Y.shape[1], "Y")
        return (Y - self.centre) / self.scale

    def to_data_units(self, network: ReLUNetwork) -> ReLUNetwork:
        """The network of scale * f + centre: one fitted to scaled labels, in units of the data."""
        self._check(network.n_tasks, "network")
        return ReLUNetwork(
            network.W,
            network.b,
            network.V * self.scale,
            network.A * self.scale,
            network.c * self.scale + self.centre,
        )

    def to_task_units(self, network: ReLUNetwork) -> ReLUNetwork:
        """The network of (f - centre) / scale: inverse of `to_data_units`."""
        self._check(network.n_tasks, "network")
        return ReLUNetwork(
            network.W,
            network.b,
            network.V / self.scale,
            network.A / self.scale,
            (network.c - self.centre) / self.scale,
        )

    def _check(self, n_tasks: int, name: str) -> None:
        if n_tasks != self.n_tasks:
            raise ValueError(f"{name}: has {n_tasks} tasks but the scaling is of {self.n_tasks}")


def _as_labels(Y: ArrayLike) -> Array:
    array = as_float_array(Y, "Y", allow_nan=True)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"Y: must have shape (N, T) with N, T >= 1, got {array.shape}")
    return array
