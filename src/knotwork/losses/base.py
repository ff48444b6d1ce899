"""What every loss can say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

Array = NDArray[np.float64]
_LEAST = 1e-290


@dataclass(frozen=True)
class Loss(ABC):
    """A convex loss l(y, f) with min over f equal to 0, applied label by label.

    The dual point of a label of weight w is alpha = -w g, g in the domain of the conjugate
    l*(y, .); 0 is always in its closure, so that dual points may be scaled down.
    """

    name: ClassVar[str]
    # whether the least loss is reached at f = y: only then lam = 0 makes sense
    interpolates: ClassVar[bool] = False
    # whether the gradient exists and is continuous
    smooth: ClassVar[bool] = True
    strictly_convex: ClassVar[bool] = False

    @abstractmethod
    def value(self, y: Array, f: Array) -> Array:
        """(n, T) nonnegative parts that sum to the loss."""

    @abstractmethod
    def gradient(self, y: Array, f: Array) -> Array:
        """(n, T) dl/df; where `smooth` is False one of the subgradients."""

    @abstractmethod
    def curvature(self, y: Array, f: Array) -> Array:
        """(n, T) the diagonal by which Newton's method scales its steps, >= 0."""

    def curvature_bound(self, y: Array, f: Array) -> Array:
        """(n, T) what is added, in a small share, where the curvature alone leads too far."""
        return self.curvature(y, f)

    @abstractmethod
    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        """(n, T) nonnegative parts that sum to l(y, f) + l*(y, g) - g f; infinite for g outside
        the domain of l*. They vanish where g is a (sub)gradient at f."""

    @abstractmethod
    def conjugate(self, y: Array, g: Array) -> Array:
        """(n, T) parts that sum to l*(y, g), for g in its domain."""

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        """The ends of the domain of l*(y, .), between which 0 lies."""
        return -np.inf, np.inf

    def to_domain(self, y: Array, g: Array) -> Array:
        """(n, T) the nearest point of the domain of l*."""
        return np.clip(g, *self.domain(y))

    def move(self, y: Array, g: Array, Z: Array, w: Array) -> Array:
        """(n, T) by what to change g so that Z' (w g) vanishes, Z (n, p): in proportion to how far
        each label is from the ends of its domain."""
        low, high = self.domain(y)
        metric = w * np.minimum(np.minimum(g - low, high - g), 1.0)
        largest = metric.max(axis=0, initial=0.0)
        metric = metric / np.where(largest > 0, largest, 1.0)
        gram = np.einsum("np,nt,nq->tpq", Z, metric, Z, optimize=True)
        leak = Z.T @ (w * g)
        line = np.einsum("tpq,qt->pt", np.linalg.pinv(gram, rcond=1e-13, hermitian=True), leak)
        return -np.where(w > 0, metric / np.where(w > 0, w, 1.0), 0.0) * (Z @ line)

    def check_labels(self, Y: Array) -> None:
        """Raise ValueError for labels that the loss does not know; NaN is a missing one."""
        return

    def of_tasks(self, chosen: NDArray[np.bool_]) -> Loss:
        """The loss of the chosen columns."""
        return self


def number(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: must be a number, got {value!r}")
    if not low < float(value) < high:
        raise ValueError(f"{name}: must be above {low:g} and below {high:g}, got {value!r}")
    return float(value)


def refuse(wrong: NDArray[np.bool_], Y: Array, rule: str) -> None:
    if wrong.any():
        i, t = (int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(f"Y: {rule}, got {float(Y[i, t])!r} at row {i}, column {t}")


def divergence(q: Array, p: Array, log_p: Array) -> Array:
    """q log(q / p) - q + p >= 0 for q >= 0, from p and its logarithm (p itself may underflow); without
    cancellation where q and p are close."""
    fine = (p > _LEAST) & np.isfinite(p)
    d = np.divide(q - p, p, out=np.ones_like(p), where=fine)
    small = np.abs(d) < 1e-2
    d = np.where(small, d, 0.0)
    # (1 + d) log(1 + d) - d by its series
    tail = 1 / 20 - d * (1 / 30 - d * (1 / 42 - d / 56))
    series = d * d * (1 / 2 - d * (1 / 6 - d * (1 / 12 - d * tail)))
    plain = xlogy(q, q) - np.where(q > 0.0, q * log_p, 0.0) - q + p
    return np.where(small, np.where(fine, p, 0.0) * series, np.maximum(plain, 0.0))
