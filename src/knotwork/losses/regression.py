"""Losses of labels that are quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import Loss, number

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Squared(Loss):
    """l(y, f) = (y - f)^2 / 2, in squared units of the label."""

    name: ClassVar[str] = "squared"
    interpolates: ClassVar[bool] = True
    strictly_convex: ClassVar[bool] = True

    def value(self, y: Array, f: Array) -> Array:
        residual = y - f
        return 0.5 * residual * residual

    def gradient(self, y: Array, f: Array) -> Array:
        return f - y

    def curvature(self, y: Array, f: Array) -> Array:
        return np.ones_like(f)

    def conjugate(self, y: Array, g: Array) -> Array:
        return g * y + 0.5 * g * g

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        return self.value(f - y, g)


@dataclass(frozen=True)
class Huber(Loss):
    """l(y, f) = r^2 / 2 where |r| <= delta, delta (|r| - delta / 2) beyond; r = f - y.

    Parameters
    ----------
    delta : > 0, in units of the label.
    """

    delta: float = 1.0
    name: ClassVar[str] = "huber"
    interpolates: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", number(self.delta, "delta", 0.0, np.inf))

    def value(self, y: Array, f: Array) -> Array:
        size = np.abs(f - y)
        inside = np.minimum(size, self.delta)
        return inside * (size - 0.5 * inside)

    def gradient(self, y: Array, f: Array) -> Array:
        return np.clip(f - y, -self.delta, self.delta)

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        return -self.delta, self.delta

    def curvature(self, y: Array, f: Array) -> Array:
        return (np.abs(f - y) <= self.delta).astype(np.float64)

    def curvature_bound(self, y: Array, f: Array) -> Array:
        return self.delta / np.maximum(np.abs(f - y), self.delta)

    def conjugate(self, y: Array, g: Array) -> Array:
        return g * y + 0.5 * g * g

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        r = f - y
        near = np.clip(r, -self.delta, self.delta)
        gap = 0.5 * (near - g) ** 2 + (near - g) * (r - near)
        return np.where(np.abs(g) <= self.delta, gap, np.inf)


@dataclass(frozen=True)
class Quantile(Loss):
    """l(y, f) = tau r where r = y - f > 0, (tau - 1) r below: f estimates the tau-quantile of y.

    Parameters
    ----------
    tau : in (0, 1); 0.5 is half the absolute error.
    """

    tau: float = 0.5
    name: ClassVar[str] = "quantile"
    interpolates: ClassVar[bool] = True
    smooth: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", number(self.tau, "tau", 0.0, 1.0))

    def value(self, y: Array, f: Array) -> Array:
        r = y - f
        return np.where(r > 0.0, self.tau * r, (self.tau - 1.0) * r)

    def gradient(self, y: Array, f: Array) -> Array:
        return np.where(y > f, -self.tau, np.where(y < f, 1.0 - self.tau, 0.0))

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        return -self.tau, 1.0 - self.tau

    def curvature(self, y: Array, f: Array) -> Array:
        return np.zeros_like(f)

    def conjugate(self, y: Array, g: Array) -> Array:
        return g * y

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        r = y - f
        gap = np.maximum(r, 0.0) * (self.tau + g) + np.maximum(-r, 0.0) * (1.0 - self.tau - g)
        return np.where((g >= -self.tau) & (g <= 1.0 - self.tau), gap, np.inf)


@dataclass(frozen=True)
class SmoothedQuantile(Loss):
    """min over o of rho(o) + (y - f - o)^2 / (2 mu), rho the quantile loss: its Moreau envelope.

    Its gradient is in the domain of rho's conjugate, so that labels shifted by mu times a dual
    estimate make the method of multipliers (Rockafellar 1976) of it.
    """

    tau: float
    mu: float
    name: ClassVar[str] = "smoothed quantile"
    interpolates: ClassVar[bool] = True

    def value(self, y: Array, f: Array) -> Array:
        a = -self.gradient(y, f)
        return a * (y - f) - 0.5 * self.mu * a * a

    def gradient(self, y: Array, f: Array) -> Array:
        return -np.clip((y - f) / self.mu, self.tau - 1.0, self.tau)

    def curvature(self, y: Array, f: Array) -> Array:
        r = (y - f) / self.mu
        return ((r >= self.tau - 1.0) & (r <= self.tau)) / self.mu

    def curvature_bound(self, y: Array, f: Array) -> Array:
        return 1.0 / np.maximum(np.abs(y - f), self.mu)

    def conjugate(self, y: Array, g: Array) -> Array:
        return g * y + 0.5 * self.mu * g * g

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        return self.value(y, f) + 0.5 * self.mu * g * g - g * (f - y)

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        return -self.tau, 1.0 - self.tau
