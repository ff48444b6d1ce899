"""Newton's method on the weights of the neurons at hand, where |v_k| is smooth, for losses that join tasks.

The models of `proximal_newton` see no curvature between classes; these steps do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..free_parts.nuclear import hessian, norm_gradient, norm_hessian, smoothed_norm, without_small
from ..losses import Multinomial
from ..network import ReLUNetwork
from .proximal_newton import Smooth

Array = NDArray[np.float64]
_MAX_STEPS = 10
_MOST_WEIGHTS = 3000
_LITTLE = 1e-12
_NOTHING = 1e-14
_TOLD, _DONE = 1e-9, 1e-24


def polish(smooth: Smooth, network: ReLUNetwork) -> ReLUNetwork:
    """A network with the same neurons and a lower objective, or the network itself."""
    penalty, lam = smooth.penalty, smooth.lam
    canonical = _substance(network.canonicalise(penalty))
    K, n_tasks = canonical.V.shape
    linear = penalty.skip != "none"
    d = smooth.X.shape[1]
    n_free = 1 + d if linear else 1
    if not isinstance(smooth.loss, Multinomial) or (K + n_free) * n_tasks > _MOST_WEIGHTS:
        return network
    nuclear = penalty.skip == "nuclear" and bool(np.any(canonical.A))
    if penalty.skip == "nuclear" and not nuclear:
        linear, n_free = False, 1
    hidden = np.maximum(smooth.X @ canonical.W.T + canonical.b, 0.0)
    parts = [np.ones((len(smooth.X), 1)), *([smooth.X] if linear else []), hidden]
    features = np.concatenate(parts, axis=1)
    ridge = np.zeros(n_free)
    ridge[0] = lam if penalty.biases else 0.0
    if linear and penalty.skip == "frobenius":
        ridge[1:] = lam
    # so little that only singular values of 0 see it: these stay there
    mu = _LITTLE * float(np.linalg.norm(canonical.A, 2)) if nuclear else 0.0
    beta = np.vstack([canonical.c, *([canonical.A] if linear else []), canonical.V])

    def value(b: Array) -> tuple[float, Array]:
        f = features @ b
        charge = float(np.linalg.norm(b[n_free:], axis=1).sum())
        charge += smoothed_norm(b[1:n_free], mu) if nuclear else 0.0
        return smooth.loss_at(f) + lam * charge + 0.5 * float(np.sum(ridge[:, None] * b[:n_free] ** 2)), f

    now, f = value(beta)
    for _ in range(_MAX_STEPS):
        if np.any(np.linalg.norm(beta[n_free:], axis=1) <= _NOTHING * np.linalg.norm(beta)):
            break
        gradient, H = _system(smooth, features, f, beta, ridge, mu)
        # all classes shifted alike cost nothing: a little more on the diagonal settles that
        H[np.diag_indices(len(H))] *= 1.0 + 1e-11
        H[np.diag_indices(len(H))] += 1e-12 * float(np.median(np.diag(H)))
        try:
            factor = cho_factor(H)
        except np.linalg.LinAlgError:
            break
        step = -cho_solve(factor, gradient.ravel()).reshape(beta.shape)
        decrease = -float(np.sum(step * gradient))
        length = 1.0
        trial, moved = value(beta + step)
        if decrease <= _TOLD * abs(now):
            # the value drowns in rounding; the gradient does not
            left = _gradient(smooth, features, moved, beta + step, ridge, mu).ravel()
            if not float(left @ cho_solve(factor, left)) < 0.25 * decrease:
                break
        else:
            while not trial <= now - 1e-4 * length * decrease and length > 1e-4:
                length *= 0.5
                trial, moved = value(beta + length * step)
            if not trial < now:
                break
        beta, now, f = beta + length * step, trial, moved
        if decrease <= _DONE * abs(now):
            break
    A = beta[1 : 1 + d] if linear else canonical.A
    if nuclear:
        A = without_small(A, mu)
    polished = ReLUNetwork(canonical.W, canonical.b, beta[n_free:], A, beta[0])
    before = smooth.objective(network)
    return polished if smooth.objective(polished) <= before + 1e-14 * abs(before) else network


def _substance(network: ReLUNetwork) -> ReLUNetwork:
    """Without neurons, or a skip connection, that rounding alone keeps from 0."""
    size = float(np.linalg.norm(network.V)) + float(np.linalg.norm(network.A))
    keep = np.linalg.norm(network.V, axis=1) > _NOTHING * size
    A = network.A if np.linalg.norm(network.A) > _NOTHING * size else np.zeros_like(network.A)
    return ReLUNetwork(network.W[keep], network.b[keep], network.V[keep], A, network.c)


def _system(
    smooth: Smooth, features: Array, f: Array, beta: Array, ridge: Array, mu: float
) -> tuple[Array, Array]:
    """Gradient (n, T) and Hessian (n T, n T) of the objective in the weights (n, T)."""
    (n, n_tasks), n_free, lam = beta.shape, len(ridge), smooth.lam
    H = hessian(features, smooth.w, smooth.loss, smooth.y, f)
    own = np.arange(n_free)
    for t in range(n_tasks):
        H[own, t, own, t] += ridge
    if mu > 0:
        H[1:n_free, :, 1:n_free] += lam * norm_hessian(beta[1:n_free], mu)
    for k in range(n_free, n):
        size = float(np.linalg.norm(beta[k]))
        unit = beta[k] / size
        H[k, :, k, :] += lam / size * (np.eye(n_tasks) - np.outer(unit, unit))
    return _gradient(smooth, features, f, beta, ridge, mu), H.reshape(n * n_tasks, n * n_tasks)


def _gradient(smooth: Smooth, features: Array, f: Array, beta: Array, ridge: Array, mu: float) -> Array:
    n_free, lam = len(ridge), smooth.lam
    gradient = features.T @ (smooth.w * smooth.loss.gradient(smooth.y, f))
    gradient[:n_free] += ridge[:, None] * beta[:n_free]
    if mu > 0:
        gradient[1:n_free] += lam * norm_gradient(beta[1:n_free], mu)
    gradient[n_free:] += lam * beta[n_free:] / np.linalg.norm(beta[n_free:], axis=1)[:, None]
    return gradient
