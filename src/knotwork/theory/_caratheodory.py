"""Fewer masses that make the same sum at no more cost: Caratheodory's theorem for cones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

Array = NDArray[np.float64]
_RANK = 1e-12
_NOTHING = 1e-15
_LEAST_BLOCK = 64
_REACHABLE = 1e-3
_STILL = 1e-13
_LEVEL = 1e-14


def thin(Phi: Array, response: Array, eta: Array, most: int) -> Array:
    """(K,) masses >= 0, at most `most` of them positive, with the same sum_k eta_k phi_k g_k' and at
    most the same sum_k eta_k |g_k|, g_k = response_k.

    A null direction of the matrices phi_k g_k' is followed downhill until a mass is 0, until none
    is left: the matrices of the neurons that stay are linearly independent.

    Phi : (n, K).  response : (K, r).  eta : (K,).
    most : the dimension of the span of all these matrices, or more.
    """
    length, size = np.linalg.norm(Phi, axis=0), np.linalg.norm(response, axis=1)
    norm = length * size
    amount = eta * norm
    amount[amount <= _NOTHING * amount.max(initial=0.0)] = 0.0
    block = most + max(_LEAST_BLOCK, most // 4)
    while amount.any():
        alive = np.flatnonzero(amount)
        price = 1.0 / length[alive]
        # neurons of little cost go first
        order = np.argsort(price * amount[alive], kind="stable")[:block]
        part, price = alive[order], price[order]
        unit = (Phi[:, part] * price)[:, None] * (response[part] / size[part, None]).T
        amount[part] = _follow(_null_space(unit.reshape(-1, len(part)), most), price, amount[part])
        if len(part) == len(alive):
            break
    return np.divide(amount, norm, out=np.zeros_like(eta), where=amount > 0)


def _null_space(M: Array, most: int) -> Array:
    """(k, p) an orthonormal basis of what M (m, k), of unit columns and rank at most `most`, maps to 0."""
    k = M.shape[1]
    if len(M) > k:
        M = np.asarray(np.linalg.qr(M, mode="r"))
    found: Any = qr(M, mode="r", pivoting=True)
    R, order = found
    size = np.abs(np.diag(R))
    rank = min(int(np.sum(size > _RANK * size.max(initial=0.0))), most)
    Z = np.empty((k, k - rank))
    Z[order[:rank]] = -solve_triangular(R[:rank, :rank], R[:rank, rank:])
    Z[order[rank:]] = np.eye(k - rank)
    return np.linalg.qr(Z)[0]


def _follow(Z: Array, price: Array, amount: Array) -> Array:
    """(k,) amount + Z y >= 0 for some y, of no larger <price, amount> and as many 0 as Z has columns."""
    alive = np.ones(len(Z), dtype=bool)
    while Z.shape[1]:
        size = np.linalg.norm(Z, axis=1)
        reachable = np.flatnonzero(alive & (size >= _REACHABLE * size[alive].max()))
        lightest = reachable[np.argmin((price * amount)[reachable])]
        z = -(Z @ Z[lightest])
        # what rounding left of directions that do not move a neuron
        z[~alive | (np.abs(z) <= _STILL * np.abs(z).max())] = 0.0
        if float(price @ z) > _LEVEL * float(price @ np.abs(z)):
            z = -z
        falling = np.flatnonzero(z < 0)
        steps = amount[falling] / -z[falling]
        gone = falling[np.argmin(steps)]
        amount = np.maximum(amount + steps.min() * z, 0.0)
        # a reflection makes the row of `gone` a multiple of the first unit vector
        h = Z[gone].copy()
        h[0] += np.copysign(np.linalg.norm(h), h[0])
        Z = (Z - np.outer(Z @ h, h) * (2.0 / (h @ h)))[:, 1:]
        alive[gone] = False
        amount[gone] = 0.0
    return amount
