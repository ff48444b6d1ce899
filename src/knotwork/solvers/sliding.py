"""Neurons that move: Newton's method on masses and directions together.

With psi_k = Z_k u_k, Z_k the data where neuron k is active in an orthonormal basis of the face on
which it may move, and u_k = sqrt(eta_k) times its unit weights there, the objective is
g(u) = (lam/2) (tr C' S^-1 C + sum |u_k|^2), S = lam I + sum psi_k psi_k': smooth as long as every
neuron stays on its face. The caller says what leaving a face means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

from .corrective import cholesky

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_LEAST = 1e-12
_FLAT = 1e-13
(_trtrs,) = get_lapack_funcs(("trtrs",), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Point:
    """g and its derivatives' parts at some u (Q,)."""

    value: float
    root: Array
    pull: Array
    gradient: Array


@dataclass(frozen=True, eq=False)
class Moves:
    """The faces of all neurons, Q coordinates in all.

    Z : (P, n, Q), C : (P, n, T / P) with the free parts rotated away.  owner : (Q,) the neuron of
    each coordinate, in order.
    """

    Z: Array
    C: Array
    owner: Index
    lam: float

    @property
    def n_neurons(self) -> int:
        return int(self.owner[-1]) + 1

    def per_neuron(self, values: Array) -> Array:
        """Sums over each neuron's coordinates: (..., Q) to (..., K)."""
        start = np.searchsorted(self.owner, np.arange(self.n_neurons))
        return np.add.reduceat(values, start, axis=-1)

    def at(self, u: Array) -> Point:
        lam = self.lam
        psi = self.per_neuron(self.Z * u)
        S = psi @ psi.transpose(0, 2, 1)
        n = np.arange(S.shape[1])
        S[:, n, n] += lam
        root = cholesky(S)
        half = _solve(root, self.C)
        alpha = lam * _solve(root, half, trans=1)
        pull = self.Z.transpose(0, 2, 1) @ alpha
        along = self._along(u, pull)
        gradient = lam * u - np.einsum("pqt,pqt->q", pull, along[:, self.owner]) / lam
        value = 0.5 * lam * (float(np.sum(half * half)) + float(u @ u))
        return Point(value, root, pull, gradient)

    def _along(self, u: Array, pull: Array) -> Array:
        """(P, K, T / P) psi_k' alpha."""
        return self.per_neuron((u[:, None] * pull).transpose(0, 2, 1)).transpose(0, 2, 1)

    def hessian(self, u: Array, here: Point) -> Array:
        """(Q, Q)."""
        own, lam, B = self.owner, self.lam, here.pull
        root = _solve(here.root, self.Z)
        psi = self.per_neuron(root * u)
        g = self._along(u, B)
        flat = root.transpose(0, 2, 1)
        cross, slant = flat @ psi, B @ g.transpose(0, 2, 1)
        mixed = cross[:, :, own] * slant[:, :, own].transpose(0, 2, 1)
        H = (flat @ root) * (g @ g.transpose(0, 2, 1))[:, own][:, :, own]
        H += mixed + mixed.transpose(0, 2, 1)
        pulls = B @ B.transpose(0, 2, 1)
        H += pulls * (psi.transpose(0, 2, 1) @ psi)[:, own][:, :, own]
        total = H.sum(axis=0) / lam
        same = own[:, None] == own
        total -= np.where(same, pulls.sum(axis=0), 0.0) / lam
        total[np.diag_indices(len(own))] += lam
        return total


def _solve(root: Array, B: Array, trans: int = 0) -> Array:
    """L^-1 B, or with `trans` L'^-1 B, pattern by pattern."""
    return np.stack([_trtrs(L, b, lower=1, trans=trans)[0] for L, b in zip(root, B, strict=True)])


def descend(
    moves: Moves,
    u: Array,
    steps: int,
    directions: Callable[[Array, Array], Array],
    keep: Callable[[Array, Array], Array],
    reshape: Callable[[Array], Moves] | None = None,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Array:
    """u (Q,) of lower objective by damped Newton steps, as many as time allows.

    directions : (u, gradient) to an orthonormal basis (Q, m) of the open directions.
    keep : (u, trial) to the trial made to stay on the faces.
    reshape : u to the problem there, where moving changes which data a neuron sees.
    """
    here = moves.at(u)
    for _ in range(steps):
        if out_of_time():
            break
        basis = directions(u, here.gradient)
        slope = basis.T @ here.gradient
        error = float(np.abs(slope).max(initial=0.0))
        if error <= _LEAST * moves.lam * float(np.abs(u).max()):
            break
        H = basis.T @ moves.hessian(u, here) @ basis
        values, vectors = np.linalg.eigh(0.5 * (H + H.T))
        values = np.maximum(np.abs(values), 1e-10 * float(np.abs(values).max()))
        step = -(basis @ (vectors @ ((vectors.T @ slope) / values)))
        decrease = -float(step @ here.gradient)
        # near the optimum the objective no longer tells steps apart, but its gradient does
        flat = decrease <= _FLAT * abs(here.value)
        length, moved = 1.0, False
        trial, there, new = u, here, moves
        while length > 1e-6:
            trial = keep(u, u + length * step)
            new = moves if reshape is None else reshape(trial)
            there = new.at(trial)
            if flat:
                left = directions(trial, there.gradient).T @ there.gradient
                moved = float(np.abs(left).max(initial=0.0)) < 0.5 * error
                break
            if there.value <= here.value - 1e-4 * length * decrease:
                moved = True
                break
            length *= 0.5
        if not moved:
            break
        u, here, moves = trial, there, new
    return u
