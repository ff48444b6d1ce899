"""Anderson acceleration of a fixed-point iteration (type II, with restarts)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_MEMORY, _RIDGE, _WORSE = 10, 1e-10, 2.0


class Anderson:
    """Where to go on from x -> g(x): the combination of the last images whose residuals combine to
    least. Back to the plain image, and without memory, where that made the residual larger."""

    def __init__(self, size: int) -> None:
        self._images, self._residuals = np.zeros((_MEMORY, size)), np.zeros((_MEMORY, size))
        self._gram = np.zeros((_MEMORY, _MEMORY))
        self.forget()

    def forget(self) -> None:
        self._known = 0
        self._last: tuple[Array, Array] | None = None
        self._before = np.inf

    def next(self, x: Array, image: Array) -> Array:
        residual = image - x
        size = float(np.linalg.norm(residual))
        if self._last is not None and size > _WORSE * self._before:
            back = self._last[0]
            self.forget()
            return back
        if self._last is not None:
            k = self._known % _MEMORY
            self._images[k] = image - self._last[0]
            self._residuals[k] = residual - self._last[1]
            self._known += 1
            m = min(self._known, _MEMORY)
            self._gram[k, :m] = self._gram[:m, k] = self._residuals[:m] @ self._residuals[k]
        self._last, self._before = (image, residual), size
        m = min(self._known, _MEMORY)
        if m < 2:
            return image
        gram = self._gram[:m, :m]
        ridge = _RIDGE * np.trace(gram) * np.eye(m)
        if not np.any(ridge):
            return image
        return image - np.linalg.solve(gram + ridge, self._residuals[:m] @ residual) @ self._images[:m]
