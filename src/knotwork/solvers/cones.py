"""Second-order cones |u_j|_2 <= t_j, with dual points |z_j|_2 <= lam, for the interior-point methods
(Nesterov-Todd scaling, Vandenberghe 2010)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..dual_norm.knots import row_norms

Array = NDArray[np.float64]


class ConeScaling:
    """W with W z = W^-1 s for s = (t, u) and the dual point (lam, z); `point` (m,), (m, T) is both."""

    def __init__(self, t: Array, u: Array, lam: float, z: Array) -> None:
        s_size, z_size = _cone_size(t, u), _cone_size(np.full(len(t), lam), z)
        s0, s1 = t / s_size, u / s_size[:, None]
        z0, z1 = lam / z_size, z / z_size[:, None]
        gamma = np.sqrt(0.5 * (1.0 + s0 * z0 + np.einsum("ij,ij->i", s1, z1)))
        self.w0 = (s0 + z0) / (2.0 * gamma)
        self.w1 = (s1 - z1) / (2.0 * gamma)[:, None]
        self.eta = np.sqrt(s_size / z_size)
        self.point = self.times(np.full(len(t), lam), z)

    def times(self, r0: Array, r1: Array) -> tuple[Array, Array]:
        """W r."""
        inner = np.einsum("ij,ij->i", self.w1, r1)
        first = self.eta * (self.w0 * r0 + inner)
        second = r1 + (r0 + inner / (1.0 + self.w0))[:, None] * self.w1
        return first, self.eta[:, None] * second

    def inverse_times(self, r0: Array, r1: Array) -> tuple[Array, Array]:
        """W^-1 r."""
        inner = np.einsum("ij,ij->i", self.w1, r1)
        first = (self.w0 * r0 - inner) / self.eta
        second = r1 + (inner / (1.0 + self.w0) - r0)[:, None] * self.w1
        return first, second / self.eta[:, None]

    def square_times(self, r1: Array) -> tuple[Array, Array]:
        """W^2 (0, r1)."""
        inner = 2.0 * np.einsum("ij,ij->i", self.w1, r1)
        square = self.eta * self.eta
        return square * inner * self.w0, square[:, None] * (r1 + inner[:, None] * self.w1)


def _cone_size(t: Array, u: Array) -> Array:
    size = row_norms(u)
    return np.sqrt((t - size) * (t + size))


def divide(l0: Array, l1: Array, r0: Array, r1: Array) -> tuple[Array, Array]:
    """The q with l o q = r in the cones' Jordan algebra."""
    inner = np.einsum("ij,ij->i", l1, r1)
    size = row_norms(l1)
    q0 = (l0 * r0 - inner) / ((l0 - size) * (l0 + size))
    return q0, (r1 - q0[:, None] * l1) / l0[:, None]


def cone_reach(t: Array, u: Array, dt: Array, du: Array) -> float:
    """The longest step that keeps |u| <= t."""
    size = row_norms(u)
    a = dt * dt - np.einsum("ij,ij->i", du, du)
    b = t * dt - np.einsum("ij,ij->i", u, du)
    c = (t - size) * (t + size)
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    denominator = root - b
    with np.errstate(over="ignore"):
        step = np.where(denominator > 0, c / np.where(denominator > 0, denominator, 1.0), np.inf)
    return float(step.min(initial=np.inf))


def dual_reach(lam: float, z: Array, dz: Array) -> float:
    return cone_reach(np.full(len(z), lam), z, np.zeros(len(z)), dz)
