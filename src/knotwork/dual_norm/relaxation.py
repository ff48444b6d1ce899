"""Several inputs: proven bounds of the dual norm from the doubly non-negative relaxation.

A neuron sees the data as t = F u, u = (w, b), with z = relu(t) >= 0, s = relu(-t) >= 0, z_i s_i = 0 and
s = z - F u. So for any N (2n, 2n) with entries >= 0, those of z_i s_i of any sign, (z, s)' N (z, s) >= 0,
and where

    mu |w|^2 - |alpha' z|^2 - (z, s)' N (z, s) >= 0     for all u and z,

a positive semidefinite matrix, no unit neuron responds more than sqrt(mu). The best N is dual to the
doubly non-negative relaxation (the completely positive programme of Prakhya, Birdal and Yurtsever,
arXiv 2410.22311, without its last constraint). `proven_square` makes a bound of any N at all: how N was
found proves nothing and need not be exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ..penalty import Penalty

Array = NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)
_FIRST_SHARE, _SHARES, _TURNS = -4.0, (-12.0, -0.1), 2


@dataclass(frozen=True, eq=False)
class Lift:
    """Neurons whose t = F u has given signs at some of the data.

    F : (n, p).  signs : (n,) 1 where t >= 0, -1 where t <= 0, 0 where it may be either.
    reach : where biases are free the last entry of u is the bias about the data's mean, which costs
    nothing and is at most this at |w| = 1; None where all of u counts.
    size : |t| is at most this, over unit neurons.
    even : t and -t respond alike.
    """

    F: Array
    signs: NDArray[np.int8]
    reach: float | None
    size: float
    even: bool = False

    @cached_property
    def open(self) -> NDArray[np.intp]:
        """Which signs are not given."""
        return np.flatnonzero(self.signs == 0)

    def halves(self, datum: int) -> list[Lift]:
        """Lifts that together stand for this one, told apart by the sign at an open datum: one is enough
        where the other is its mirror image."""
        sides = (1,) if self.even and not self.signs.any() else (1, -1)
        signs = np.repeat(self.signs[None], len(sides), axis=0)
        signs[:, datum] = sides
        return [replace(self, signs=row) for row in signs]

    def map(self, F: Array) -> Array:
        """(2n, p + open) to (z, s) from u, with t = F u, and from z where the sign is not given."""
        n, p = F.shape
        J = np.zeros((2 * n, p + len(self.open)))
        on, off, k = self.signs > 0, self.signs <= 0, np.arange(len(self.open))
        J[:n, :p][on] = F[on]
        J[n:, :p][off] = -F[off]
        J[self.open, p + k] = J[n + self.open, p + k] = 1.0
        return J


def lift_of(X: Array, penalty: Penalty) -> Lift:
    """Of all unit neurons, or of those of which one responds most."""
    signs, even = np.zeros(len(X), dtype=np.int8), penalty.skip == "free"
    if penalty.biases:
        F = np.column_stack([X, np.ones(len(X))])
        return Lift(F, signs, None, _norm(F), even)
    # some best kink passes through one of the data
    centred = X - X.mean(axis=0)
    F, reach = np.column_stack([centred, np.ones(len(X))]), float(np.linalg.norm(centred, axis=1).max())
    return Lift(F, signs, reach, max(_norm(X - at) for at in X), even)


def _norm(F: Array) -> float:
    return float(np.linalg.norm(F, 2)) * (1.0 + 1e-12)


def proven_square(lift: Lift, alpha: Array, multipliers: Array) -> float:
    """An upper bound of max |sum_i alpha_i relu(t_i)|^2 over the unit neurons of a lift, whatever
    `multipliers` (2n, 2n) are: those of the wrong sign are clipped, and a matrix that is not positive
    semidefinite, float64's error in it included, is made so at the cost of its trace."""
    if lift.size == 0.0 or lift.reach == 0.0:
        return 0.0
    n = len(alpha)
    N = _admissible(multipliers, n)
    J = lift.map(lift.F)
    response = alpha.T @ J[:n]
    found = _least_mu(lift, J.T @ N @ J + response.T @ response)
    if found is None:
        return float("inf")
    mu, eta, share = found
    # z_i s_i = 0: this much of it makes the matrix definite in z
    N[lift.open, n + lift.open] -= 0.5 * eta
    N[n + lift.open, lift.open] -= 0.5 * eta
    return _repaired(lift, J, alpha, N, mu, share)


def _admissible(multipliers: Array, n: int) -> Array:
    N = np.nan_to_num(0.5 * (multipliers + multipliers.T), nan=0.0, posinf=0.0, neginf=0.0)
    i = np.arange(n)
    free = N[i, n + i]
    N = np.maximum(N, 0.0)
    N[i, n + i] = N[n + i, i] = free
    return N


def _least_mu(lift: Lift, A: Array) -> tuple[float, float, float] | None:
    """(mu, eta, share) such that mu is least: eta of sum z_i s_i is added, and `share` of mu is charged
    to a free bias, |b| <= reach |w|. The u-block decides, after the z-block is eliminated."""
    p = lift.F.shape[1]
    values, E = np.linalg.eigh(A[p:, p:])
    scale = float(np.abs(A).max())
    if not np.isfinite(scale):
        return None
    if scale == 0.0:
        return 0.0, 0.0, 0.0
    low, C = float(values[-1]) if len(values) else 0.0, A[:p, p:] @ E
    slope = 0.5 * lift.F[lift.open].T @ E

    def least(eta: float, share: float) -> float:
        rows = C + eta * slope
        weight = np.ones(p)
        if lift.reach is not None:
            weight[:-1], weight[-1] = 1.0 - share, share / lift.reach**2
        root = 1.0 / np.sqrt(weight)
        S = (A[:p, :p] + (rows / (eta - values)) @ rows.T) * root * root[:, None]
        return max(float(np.linalg.eigvalsh(S)[-1]), 0.0)

    # by turns, from the logarithms; eta is above `low`, which makes the z-block definite
    share, mu = _FIRST_SHARE if lift.reach is not None else -np.inf, np.inf
    etas = float(np.log(1e-9 * scale)), float(np.log(1e2 * scale))
    above = etas[0]
    for _ in range(1 if lift.reach is None else _TURNS):
        above, mu = _minimum(lambda v, share=share: least(low + np.exp(v), np.exp(share)), etas)
        if lift.reach is not None:
            share, mu = _minimum(lambda v, above=above: least(low + np.exp(above), np.exp(v)), _SHARES)
    return mu, low + float(np.exp(above)), float(np.exp(share))


def _minimum(of: Callable[[float], float], bounds: tuple[float, float]) -> tuple[float, float]:
    found: Any = minimize_scalar(of, bounds=bounds, method="bounded", options={"xatol": 0.1})
    return float(found.x), float(found.fun)


def _repaired(lift: Lift, J: Array, alpha: Array, N: Array, mu: float, share: float) -> float:
    """mu, and what the least eigenvalue of the matrix that it should make positive lacks of 0."""
    n, p = lift.F.shape
    size = J.shape[1]
    mu *= 1.0 + 1e-10
    charge, unit = np.zeros(size), np.ones(size)
    charge[:p], unit[p:] = mu, lift.size
    if lift.reach is not None:
        charge[: p - 1], charge[p - 1] = mu * (1.0 - share), mu * share / lift.reach**2
        unit[p - 1] = lift.reach
    response, largest = alpha.T @ J[:n], np.abs(alpha).T @ np.abs(J[:n])
    M = np.diag(charge) - J.T @ N @ J - response.T @ response
    parts = np.diag(charge) + np.abs(J).T @ np.abs(N) @ np.abs(J) + largest.T @ largest
    outer = unit[:, None] * unit
    # of sums of that many products and of the eigenvalue, with room to spare
    error = 8.0 * _EPS * (2 * n + size + alpha.shape[1]) * float(np.abs(parts * outer).sum(axis=1).max())
    lacking = error - float(np.linalg.eigvalsh(M * outer)[0])
    # in these units (u, z) has a square of at most 1 for w, 1 for z and 1 for a free bias
    most = 2.0 if lift.reach is None else 3.0
    return (mu + most * max(lacking, 0.0)) * (1.0 + 1e-14)


def proven_norms(lifts: Sequence[Lift], alpha: Array, multipliers: Sequence[Array] | Array) -> Array:
    """(L,) of each lift: no unit neuron of it responds more to `alpha` (N, T), whatever the multipliers
    (L, 2N, 2N) are."""
    squares = [proven_square(lift, alpha, N) for lift, N in zip(lifts, multipliers, strict=True)]
    return np.sqrt(np.array(squares))
