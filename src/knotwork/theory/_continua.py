"""Is a maximiser of the dual norm alone, or one of a continuum?

Within a cell of the arrangement the response is |M'u|, and where M has its largest singular value twice
(two tasks are enough) it is the same along a whole arc. No list of maximisers holds all of those.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog

Array = NDArray[np.float64]
_ON_KINK = 1e-8
_MOST_ON_KINK = 8
_ONLY_ZERO = 0.1


def may_go_on(X: Array, alpha: Array, neuron: Array, penalised: bool, tol: float) -> bool:
    """Whether other neurons, next to `neuron` (d + 1,), may respond as much: False is proven up to `tol`.

    With K = M M' and P the square of the unit norm, |M'u|^2 - s^2 u'Pu is 0 at the neuron and at most 0
    near it. It stays 0 along e only if e is orthogonal to (K - s^2 P) u, and e'(K - s^2 P) e = 0.
    """
    rows = np.any(alpha != 0, axis=1)
    X, alpha = X[rows], alpha[rows]
    w, b = neuron[:-1], float(neuron[-1])
    if not penalised:
        # biases in units of the inputs' spread, about their middle
        middle = X.mean(axis=0)
        spread = float(np.abs(X - middle).max(initial=0.0)) or 1.0
        X, b = (X - middle) / spread, (b + float(w @ middle)) / spread
    u = np.append(w, b)
    Z = np.column_stack([X, np.ones(len(X))])
    P = np.diag(np.append(np.ones(len(w)), float(penalised)))
    z = Z @ u
    kink = np.abs(z) <= _ON_KINK * (np.abs(Z) @ np.abs(u))
    on = (z > 0) & ~kink
    if not penalised and np.all(on | kink):
        # active on all data: a linear part, which is told from others as a whole
        return False
    points, which = np.unique(Z[kink], axis=0, return_inverse=True)
    if len(points) > _MOST_ON_KINK:
        return True
    steps = np.zeros((len(points), alpha.shape[1]))
    np.add.at(steps, which.ravel(), alpha[kink])
    inside = Z[on].T @ alpha[on]
    square = float(np.sum((inside.T @ u) ** 2) / (u @ P @ u))
    for side in product([1.0, -1.0], repeat=len(points)):
        turned = np.array(side)
        M = inside + points[turned > 0].T @ steps[turned > 0]
        Q = M @ M.T / square - P
        slope = Q @ u
        flat = np.vstack([u, slope]) if np.linalg.norm(slope) > tol else u[None]
        ways = null_space(flat)
        if ways.shape[1] == 0 or np.linalg.eigvalsh(ways.T @ Q @ ways)[-1] < -tol:
            continue
        if len(points) == 0 or _has_way(turned[:, None] * points, slope, u, tol):
            return True
    return False


def _has_way(cone: Array, slope: Array, u: Array, tol: float) -> bool:
    """Whether some e orthogonal to u has cone e >= 0 and slope e >= 0, but for `tol`."""
    basis = null_space(u[None])
    limits = -np.vstack([cone, slope]) @ basis
    bounds = [(-1.0, 1.0)] * basis.shape[1]
    allowed = np.append(np.zeros(len(cone)), tol)
    for goal in np.vstack([np.eye(basis.shape[1]), -np.eye(basis.shape[1])]):
        found = linprog(-goal, A_ub=limits, b_ub=allowed, bounds=bounds, method="highs")
        if found.status != 0 or -found.fun > _ONLY_ZERO:
            return True
    return False
