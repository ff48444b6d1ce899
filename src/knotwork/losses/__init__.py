"""What a missed label costs: convex losses, their gradients, and how far a dual point is from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import Loss
from .probabilities import Logistic, Multinomial, Poisson
from .regression import Huber, Quantile, SmoothedQuantile, Squared

__all__ = [
    "Huber",
    "Logistic",
    "Loss",
    "Multinomial",
    "PerTask",
    "Poisson",
    "Quantile",
    "SmoothedQuantile",
    "Squared",
    "resolve_loss",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PerTask(Loss):
    """One loss for each task.

    losses : T losses, none of which joins tasks (multinomial does).
    """

    losses: tuple[Loss, ...]
    name: ClassVar[str] = "per task"

    def __post_init__(self) -> None:
        for what in ("interpolates", "smooth", "strictly_convex"):
            object.__setattr__(self, what, all(getattr(loss, what) for loss in self.losses))

    def value(self, y: Array, f: Array) -> Array:
        return self._by_column("value", y, f)

    def gradient(self, y: Array, f: Array) -> Array:
        return self._by_column("gradient", y, f)

    def curvature(self, y: Array, f: Array) -> Array:
        return self._by_column("curvature", y, f)

    def curvature_bound(self, y: Array, f: Array) -> Array:
        return self._by_column("curvature_bound", y, f)

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        return self._by_column("fenchel_gap", y, f, g)

    def conjugate(self, y: Array, g: Array) -> Array:
        return self._by_column("conjugate", y, g)

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        low, high = np.empty_like(y), np.empty_like(y)
        for loss in set(self.losses):
            at = np.array([one == loss for one in self.losses])
            low[:, at], high[:, at] = loss.domain(y[:, at])
        return low, high

    def check_labels(self, Y: Array) -> None:
        if len(self.losses) != Y.shape[1]:
            raise ValueError(
                f"loss: has {len(self.losses)} entries but Y has {Y.shape[1]} tasks; give one for each"
            )
        for t, loss in enumerate(self.losses):
            try:
                loss.check_labels(Y[:, [t]])
            except ValueError as error:
                raise ValueError(f"{error} (task {t})") from None

    def of_tasks(self, chosen: NDArray[np.bool_]) -> Loss:
        return PerTask(tuple(loss for loss, one in zip(self.losses, chosen, strict=True) if one))

    def _by_column(self, verb: str, *arrays: Array) -> Array:
        out = np.empty_like(arrays[1])
        for loss in set(self.losses):
            at = np.array([one == loss for one in self.losses])
            out[:, at] = getattr(loss, verb)(*(array[:, at] for array in arrays))
        return out


_NAMED: dict[str, type[Loss]] = {
    "squared": Squared,
    "huber": Huber,
    "logistic": Logistic,
    "multinomial": Multinomial,
    "poisson": Poisson,
    "quantile": Quantile,
}


def resolve_loss(loss: str | Loss | Sequence[str | Loss]) -> Loss:
    """The loss that `loss` names, "huber:0.5" and "quantile:0.9" with its number; a sequence gives one for
    each task.

    Raises
    ------
    TypeError, ValueError : for what is not a loss.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        name, colon, number = loss.partition(":")
        if name not in _NAMED:
            raise ValueError(f"loss: got {loss!r}, which is not a loss; choose one of {', '.join(_NAMED)}")
        return _with_number(_NAMED[name], number, loss) if colon else _NAMED[name]()
    if not isinstance(loss, Sequence) or len(loss) == 0:
        raise TypeError(f"loss: must be a name, a loss or a sequence of T of them, got {loss!r}")
    losses = tuple(resolve_loss(one) for one in loss)
    if any(isinstance(one, PerTask | Multinomial) for one in losses):
        raise ValueError("loss: 'multinomial' joins all tasks and cannot stand in a sequence")
    return PerTask(losses)


def _with_number(kind: type[Loss], number: str, given: str) -> Loss:
    """The loss with its one parameter read from text."""
    parameters = fields(kind)
    if not parameters:
        raise ValueError(f"loss: {kind.name!r} takes no number, got {given!r}; write {kind.name!r}")
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"loss: {number!r} in {given!r} is no number; write {kind.name}:0.5, say") from None
    return kind(**{parameters[0].name: value})
