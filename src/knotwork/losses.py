"""What a missed label costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PLANNED = ("huber", "logistic", "multinomial", "poisson", "quantile")


@dataclass(frozen=True)
class Squared:
    """l(y, f) = (y - f)^2 / 2, in squared units of the label; its minimum over f is 0."""

    name: str = "squared"

    def value(self, y: NDArray[np.float64], f: NDArray[np.float64]) -> NDArray[np.float64]:
        """Elementwise loss, the shape of `y`."""
        residual = y - f
        return 0.5 * residual * residual


Loss = Squared


def resolve_loss(loss: str | Loss) -> Loss:
    """The loss object that `loss` names.

    Raises
    ------
    NotImplementedError : for a loss of the papers that no solver takes yet.
    ValueError : for an unknown name.
    """
    if isinstance(loss, Squared) or loss == "squared":
        return Squared()
    if isinstance(loss, str) and loss in _PLANNED:
        raise NotImplementedError(f"loss: {loss!r} is not implemented yet; use loss='squared'")
    raise ValueError(f"loss: got {loss!r}, which is not a loss; use loss='squared'")
