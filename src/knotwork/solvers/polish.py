"""Newton's method on the weights of the neurons at hand, where |v_k| is smooth, for losses that join tasks.

The models of `proximal_newton` see no curvature between classes; these steps do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..losses import Multinomial
from ..network import ReLUNetwork
from .proximal_newton import Smooth

Array = NDArray[np.float64]
_MAX_STEPS = 10
_MOST_WEIGHTS = 3000


def polish(smooth: Smooth, network: ReLUNetwork) -> ReLUNetwork:
    """A network with the same neurons and a lower objective, or the network itself."""
    penalty, lam = smooth.penalty, smooth.lam
    canonical = network.canonicalise(penalty)
    K, n_tasks = canonical.V.shape
    linear = penalty.skip != "none"
    d = smooth.X.shape[1]
    n_free = 1 + d if linear else 1
    if not isinstance(smooth.loss, Multinomial) or (K + n_free) * n_tasks > _MOST_WEIGHTS:
        return network
    # in several inputs a nuclear norm is not smooth where A loses rank: it stays as it is
    nuclear = penalty.skip == "nuclear" and smooth.X.shape[1] == 1 and bool(np.any(canonical.A))
    if penalty.skip == "nuclear" and not nuclear:
        linear, n_free = False, 1
    hidden = np.maximum(smooth.X @ canonical.W.T + canonical.b, 0.0)
    parts = [np.ones((len(smooth.X), 1)), *([smooth.X] if linear else []), hidden]
    features = np.concatenate(parts, axis=1)
    ridge = np.zeros(n_free)
    ridge[0] = lam if penalty.biases else 0.0
    if linear and penalty.skip == "frobenius":
        ridge[1:] = lam
    # under a nuclear norm the linear part is charged like a neuron's weights
    first = 1 if nuclear else n_free
    beta = np.vstack([canonical.c, *([canonical.A] if linear else []), canonical.V])

    def value(b: Array) -> tuple[float, Array]:
        f = features @ b
        charge = lam * float(np.sqrt(np.sum(b[first:] ** 2, axis=1)).sum())
        return smooth.loss_at(f) + charge + 0.5 * float(np.sum(ridge[:, None] * b[:n_free] ** 2)), f

    now, f = value(beta)
    for _ in range(_MAX_STEPS):
        gradient, H = _system(smooth, features, f, beta, first, ridge[:first])
        # all classes shifted alike cost nothing: a little more on the diagonal settles that
        H[np.diag_indices(len(H))] *= 1.0 + 1e-11
        H[np.diag_indices(len(H))] += 1e-12 * float(np.trace(H)) / len(H)
        try:
            step = -cho_solve(cho_factor(H), gradient.ravel()).reshape(beta.shape)
        except np.linalg.LinAlgError:
            break
        decrease = -float(np.sum(step * gradient))
        length = 1.0
        trial, moved = value(beta + step)
        while not trial <= now - 1e-4 * length * decrease and length > 1e-4:
            length *= 0.5
            trial, moved = value(beta + length * step)
        if not trial < now:
            break
        beta, now, f = beta + length * step, trial, moved
        if decrease <= 1e-14 * abs(now):
            break
    A = beta[1 : 1 + d] if linear else canonical.A
    return ReLUNetwork(canonical.W, canonical.b, beta[n_free:], A, beta[0])


def _system(
    smooth: Smooth, features: Array, f: Array, beta: Array, first: int, ridge: Array
) -> tuple[Array, Array]:
    """Gradient (n, T) and Hessian (n T, n T) of the objective in the weights (n, T)."""
    n, n_tasks = beta.shape
    w, lam = smooth.w, smooth.lam
    g = smooth.loss.gradient(smooth.y, f)
    p = smooth.y + g
    gradient = features.T @ (w * g)
    gradient[:first] += ridge[:, None] * beta[:first]
    H = np.zeros((n, n_tasks, n, n_tasks))
    for t in range(n_tasks):
        for s in range(t, n_tasks):
            h = w[:, t] * p[:, t] * ((1.0 if t == s else 0.0) - p[:, s])
            H[:, t, :, s] = (features * h[:, None]).T @ features
            H[:, s, :, t] = H[:, t, :, s]
    own = np.arange(first)
    for t in range(n_tasks):
        H[own, t, own, t] += ridge
    for k in range(first, n):
        size = float(np.linalg.norm(beta[k]))
        unit = beta[k] / size
        gradient[k] += lam * unit
        H[k, :, k, :] += lam / size * (np.eye(n_tasks) - np.outer(unit, unit))
    return gradient, H.reshape(n * n_tasks, n * n_tasks)
