"""Small symmetric systems by the thousand, solved side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LEAST_ROOM = 1e-2


def held_out_residuals(H: Array, residual: Array) -> Array:
    """(n, T) (I - H)^-1 residual of every block H (n, T, T) >= 0; NaN where I - H has an eigenvalue of at
    most 0.01."""
    room = np.ascontiguousarray(-H.transpose(1, 2, 0))
    t = np.arange(len(room))
    room[t, t] += 1.0
    reduced, right = room.copy(), residual.T.copy()
    _eliminate(reduced, right)
    pivots = reduced[t, t]
    some = np.all(pivots > 0, axis=0)
    # all eigenvalues are at most 1, so that none is below their product
    unsure = np.flatnonzero(some & (np.prod(pivots, axis=0) <= _LEAST_ROOM))
    if len(unsure):
        least = room[:, :, unsure]
        least[t, t] -= _LEAST_ROOM
        _eliminate(least)
        some[unsure] = np.all(least[t, t] > 0, axis=0)
    reduced = np.where(some, reduced, 1.0)
    for j in range(len(t) - 1, -1, -1):
        right[j] = (right[j] - np.sum(reduced[j, j + 1 :] * right[j + 1 :], axis=0)) / reduced[j, j]
    return np.where(some, right, np.nan).T


def _eliminate(A: Array, right: Array | None = None) -> None:
    """Gauss's elimination of symmetric A (T, T, n), above its diagonal, and of `right` (T, n), in place: all
    pivots are > 0 where A is positive definite, and others are passed over."""
    for j in range(len(A) - 1):
        pivot = A[j, j]
        share = A[j, j + 1 :] / np.where(pivot > 0, pivot, np.inf)
        for i in range(j + 1, len(A)):
            A[i, i:] -= share[i - j - 1] * A[j, i:]
        if right is not None:
            right[j + 1 :] -= share * right[j]
