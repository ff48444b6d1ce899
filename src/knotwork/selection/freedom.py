"""Degrees of freedom of a fit: how much its fitted values follow the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins
from ..network import ReLUNetwork
from .features import features_of

Array = NDArray[np.float64]


def degrees_of_freedom(network: ReLUNetwork, lam: float, bins: Bins) -> float:
    """tr[(G'G + lam D)^-1 G'G], the divergence sum_it df_t(x_i)/dy_it of the fitted values.

    G = I_T (x) [1, x, hinges at the knots], rows weighted; D = (I - v v'/|v|^2)/|v| at each knot,
    the curvature of its |v|, and 0 at the free parts. With E = diag(|v|/lam)^(1/2) and the hat
    matrices H_t = E R_t'R_t E (I + E R_t'R_t E)^-1 of ridge, Woodbury's formula leaves K x K matrices:

        2 T + sum_t tr H_t + tr[(sum_t H_t o u_t u_t')^-1 sum_t (H_t - H_t^2) o u_t u_t'],

    u_t the tasks' parts of v / |v|, o the entrywise product, 2 for the free parts of each task (1
    where its labels are at one input).
    """
    features = features_of(network, bins)
    free = float(features.free_rank.sum())
    size = np.linalg.norm(features.jump, axis=1)
    n_knots, n_tasks = features.jump.shape
    if n_knots == 0:
        return free
    unit = features.jump / size[:, None]
    _, s, Qt = np.linalg.svd(features.R * np.sqrt(size / lam))
    hat = s * s / (1.0 + s * s)
    ridge = Qt.transpose(0, 2, 1) @ (hat[:, :, None] * Qt)
    curved = Qt.transpose(0, 2, 1) @ ((hat * (1.0 - hat))[:, :, None] * Qt)
    shared = len(ridge) == 1
    along = (unit @ unit.T)[None] if shared else unit.T[:, :, None] * unit.T[:, None, :]
    inner, outer = np.sum(ridge * along, axis=0), np.sum(curved * along, axis=0)
    trace = float(hat.sum()) * (n_tasks if shared else 1)
    # the jumps' lengths, which are not shrunk by curvature; what no label sees counts for nothing
    values, vectors = np.linalg.eigh(inner)
    seen = values > 8.0 * np.finfo(float).eps * n_knots * values.max(initial=0.0)
    quadratic = np.einsum("km,kl,lm->m", vectors, outer, vectors)
    return free + trace + float(np.sum(quadratic[seen] / values[seen]))
