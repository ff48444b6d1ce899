"""The fit without neurons under a nuclear norm: Newton's method along a path of smoothed norms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..losses import Loss, Multinomial, PerTask, Squared

Array = NDArray[np.float64]
_MOST_STEPS = 40
_LAST_STEPS = 5
_SHRINK = 0.1
_TOLD = 1e-9
_LEAST = 1e-14
_IN_THE_NORM = 0.9


def nuclear_fit(
    X: Array, y: Array, weight: Array, loss: Loss, f0: Array, ridge_c: float, nuclear: float, c: Array
) -> tuple[Array, Array]:
    """(A, c) of least sum w l(y, f0 + c + x A) + ridge_c |c|^2 / 2 + nuclear |A|_*; smooth losses.

    X : (N, d).  y, weight, f0 : (N, T).  c : (T,) the best constants at A = 0.
    """
    d, n_tasks = X.shape[1], y.shape[1]
    pull = X.T @ (weight * loss.gradient(y, f0 + c))
    if np.linalg.norm(pull, 2) <= nuclear * (1.0 + 1e-12):
        return np.zeros((d, n_tasks)), c
    # only what the data see of A is not 0, and turning it costs nothing
    _, s, Vt = np.linalg.svd(X, full_matrices=False)
    onto = Vt[s > np.finfo(float).eps * max(X.shape) * s[0]].T
    Z = np.column_stack([np.ones(len(X)), X @ onto])
    back = np.eye(n_tasks)
    if _is_squared(loss) and bool(np.all(weight == weight[:, :1])):
        Z, y, back = _compressed(Z, y - f0, weight[:, :1])
        weight, f0, loss, c = np.ones(y.shape), np.zeros(y.shape), Squared(), c @ back
    smooth = _Smoothed(Z, y, weight, loss, f0, ridge_c, nuclear)
    beta = smooth.followed(np.vstack([c, np.zeros((Z.shape[1] - 1, len(c)))]))
    return onto @ beta[1:] @ back.T, back @ beta[0]


def _is_squared(loss: Loss) -> bool:
    losses = loss.losses if isinstance(loss, PerTask) else (loss,)
    return all(isinstance(one, Squared) for one in losses)


def _compressed(Z: Array, y: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Fewer rows and tasks with the same squared problem, and the orthonormal columns (T, t) that turn
    tasks back."""
    root = np.sqrt(weight)
    Q, R = np.linalg.qr(root * Z)
    seen = Q.T @ (root * y)
    if len(seen) >= seen.shape[1]:
        return R, seen, np.eye(seen.shape[1])
    back = np.asarray(np.linalg.qr(seen.T)[0])
    return R, seen @ back, back


class _Smoothed:
    """sum w l(y, f0 + Z beta) + ridge |beta_0|^2 / 2 + nuclear sum_i phi(s_i), s the singular values of
    the other rows of beta, phi of `smoothed_norm`: its slopes are below 1, so that its minimisers are dual
    feasible, with a gap of at most nuclear mu a singular value.
    """

    def __init__(
        self, Z: Array, y: Array, weight: Array, loss: Loss, f0: Array, ridge: float, nuclear: float
    ) -> None:
        self.Z, self.y, self.weight, self.loss, self.f0 = Z, y, weight, loss, f0
        self.ridge, self.nuclear = ridge, nuclear

    def followed(self, beta: Array) -> Array:
        """The minimiser for mu -> 0, its singular values that go there set to 0."""
        start = self.value(beta, 0.0)
        mu, rank = start / self.nuclear, min(len(beta) - 1, beta.shape[1])
        now = start
        while True:
            for _ in range(_MOST_STEPS):
                beta, decrease = self.step(beta, mu)
                if decrease <= 0.01 * self.nuclear * mu:
                    break
            now = self.value(beta, 0.0)
            if self.nuclear * mu * rank <= _LEAST * max(now, 1e-8 * start):
                for _ in range(_LAST_STEPS):
                    beta, _ = self.step(beta, mu)
                break
            mu *= _SHRINK
        return np.vstack([beta[:1], without_small(beta[1:], mu)])

    def value(self, beta: Array, mu: float) -> float:
        f = self.f0 + self.Z @ beta
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(np.sum(self.weight * np.where(self.weight > 0, self.loss.value(self.y, f), 0.0)))
        ridge = 0.5 * self.ridge * float(beta[0] @ beta[0])
        return total + ridge + self.nuclear * smoothed_norm(beta[1:], mu)

    def step(self, beta: Array, mu: float) -> tuple[Array, float]:
        """After one of Newton's steps, and by how much it promised to lower the value."""
        gradient, solve = self.gradient(beta, mu), self.inverse(beta, mu)
        move = -solve(gradient)
        decrease = -float(np.sum(move * gradient))
        now, length = self.value(beta, mu), 1.0
        told = decrease > _TOLD * abs(now)
        while decrease > 0 and length > 1e-12:
            trial = beta + length * move
            if told:
                better = self.value(trial, mu) <= now - 1e-4 * length * decrease
            else:
                # the value drowns in rounding; the gradient does not
                left = self.gradient(trial, mu)
                better = float(np.sum(left * solve(left))) <= (1.0 - 0.1 * length) * decrease
            if better:
                return trial, decrease
            length *= 0.5
        return beta, 0.0

    def gradient(self, beta: Array, mu: float) -> Array:
        gradient = self.Z.T @ (self.weight * self.loss.gradient(self.y, self.f0 + self.Z @ beta))
        gradient[0] += self.ridge * beta[0]
        gradient[1:] += self.nuclear * norm_gradient(beta[1:], mu)
        return gradient

    def inverse(self, beta: Array, mu: float) -> Callable[[Array], Array]:
        """What the inverse of the Hessian makes of (p, T)."""
        H = hessian(self.Z, self.weight, self.loss, self.y, self.f0 + self.Z @ beta)
        H[0, :, 0, :] += self.ridge * np.eye(beta.shape[1])
        H[1:, :, 1:, :] += self.nuclear * norm_hessian(beta[1:], mu)
        H = H.reshape(beta.size, beta.size)
        try:
            factor = cho_factor(H)
        except np.linalg.LinAlgError:
            inverse = np.linalg.pinv(H, rcond=1e-15, hermitian=True)
            return lambda g: (inverse @ g.ravel()).reshape(beta.shape)
        return lambda g: cho_solve(factor, g.ravel()).reshape(beta.shape)


def hessian(Z: Array, weight: Array, loss: Loss, y: Array, f: Array) -> Array:
    """(p, T, p, T) second derivatives of sum w l(y, f) in the weights of Z (N, p), classes joined."""
    p, n_tasks = Z.shape[1], y.shape[1]
    H = np.zeros((p, n_tasks, p, n_tasks))
    if not isinstance(loss, Multinomial):
        h = weight * loss.curvature(y, f)
        for t in range(n_tasks):
            H[:, t, :, t] = (Z * h[:, t, None]).T @ Z
        return H
    share = y + loss.gradient(y, f)
    for t in range(n_tasks):
        for r in range(t, n_tasks):
            h = weight[:, t] * share[:, t] * ((1.0 if t == r else 0.0) - share[:, r])
            H[:, t, :, r] = (Z * h[:, None]).T @ Z
            H[:, r, :, t] = H[:, t, :, r]
    return H


def _root(s: Array, mu: float) -> Array:
    return mu + np.sqrt(mu * mu + s * s)


def smoothed_norm(M: Array, mu: float) -> float:
    """sum phi(s_i) over the singular values of M, phi(s) = min over t of t - mu log(t^2 - s^2); |M|_* at 0.

    The barrier of the nuclear norm's semidefinite programme, its matrices eliminated: phi' = s / t with
    t = mu + sqrt(mu^2 + s^2).
    """
    s = np.asarray(np.linalg.svd(M, compute_uv=False), dtype=np.float64)
    if mu == 0:
        return float(np.sum(s))
    t = _root(s, mu)
    return float(np.sum(t - mu * np.log(2.0 * mu * t)))


def norm_gradient(M: Array, mu: float) -> Array:
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    return (U * (s / _root(s, mu))) @ Vt


def without_small(M: Array, mu: float) -> Array:
    """M without the singular values that only the smoothing by mu keeps from 0."""
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    s[s / _root(s, mu) < _IN_THE_NORM] = 0.0
    return (U * s) @ Vt


def norm_hessian(M: Array, mu: float) -> Array:
    """(d, T, d, T) of `smoothed_norm` at M (d, T)."""
    U, s, Vt = np.linalg.svd(M, full_matrices=True)
    d, n_tasks = len(U), len(Vt)
    size = max(d, n_tasks)
    s = np.concatenate([s, np.zeros(size - len(s))])
    q, t = np.sqrt(mu * mu + s * s), _root(s, mu)
    # divided differences of phi' and of its odd half, free of cancellation
    both = s[:, None] + s[None]
    cross = s[:, None] * q[None] + s[None] * q[:, None]
    ratio = np.divide(both, cross, out=np.full_like(both, 1.0 / mu), where=cross > 0)
    even = (mu + mu * mu * ratio) / (t[:, None] * t[None])
    parts = (s / t)[:, None] + (s / t)[None]
    odd = np.divide(parts, both, out=np.full_like(both, 0.5 / mu), where=both > 0)
    own, swapped = 0.5 * (even + odd), 0.5 * (even - odd)
    basis = np.einsum("ai,jt->atij", U, Vt)
    # the entries (i, j) and (j, i) of U' H V act on each other where both are there
    out = basis * own[:d, :n_tasks]
    m = min(d, n_tasks)
    out[:, :, :m, :m] += basis[:, :, :m, :m].transpose(0, 1, 3, 2) * swapped[:m, :m]
    flat = d * n_tasks
    full = out.reshape(flat, flat) @ basis.reshape(flat, flat).T
    return full.reshape(d, n_tasks, d, n_tasks)
