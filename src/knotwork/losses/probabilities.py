"""Losses of labels that are events, classes or counts: minus log likelihoods, shifted to have minimum 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from .base import Loss, divergence, refuse

Array = NDArray[np.float64]
_LARGEST_EXPONENT = 300.0
_NEVER = 1e-20


@dataclass(frozen=True)
class Logistic(Loss):
    """l(y, f) = log(1 + exp f) - y f, y in {0, 1}: every task is a binary label, f its log odds."""

    name: ClassVar[str] = "logistic"
    strictly_convex: ClassVar[bool] = True

    def value(self, y: Array, f: Array) -> Array:
        z = np.where(y > 0.5, -f, f)
        # NumPy's own logaddexp is ten times slower
        return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))

    def gradient(self, y: Array, f: Array) -> Array:
        small, large = _odds(f)
        up, down = np.where(f > 0, large, small), np.where(f > 0, small, large)
        return np.where(y > 0.5, -down, up)

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        return -y, 1.0 - y

    def curvature(self, y: Array, f: Array) -> Array:
        small, large = _odds(f)
        return small * large

    def curvature_bound(self, y: Array, f: Array) -> Array:
        # the parabola that touches at f and -f (Jaakkola and Jordan 2000)
        size = np.maximum(np.abs(f), 1e-3)
        return np.tanh(0.5 * size) / (2.0 * size)

    def conjugate(self, y: Array, g: Array) -> Array:
        q = np.where(y > 0.5, -g, g)
        return xlogy(q, q) + xlogy(1.0 - q, 1.0 - q)

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        # the divergence of the probabilities q = y + g from those of f
        small = np.where(y > 0.5, -g, g)
        signed = np.where(y > 0.5, -f, f)
        less, more = _odds(signed)
        up, down = np.where(signed > 0, more, less), np.where(signed > 0, less, more)
        tail = np.log1p(np.exp(-np.abs(f)))
        log_up, log_down = np.minimum(signed, 0.0) - tail, np.minimum(-signed, 0.0) - tail
        gap = divergence(small, up, log_up) + divergence(1.0 - small, down, log_down)
        return np.where((small >= 0.0) & (small <= 1.0), gap, np.inf)

    def check_labels(self, Y: Array) -> None:
        wrong = ~(np.isnan(Y) | (Y == 0.0) | (Y == 1.0))
        refuse(wrong, Y, "logistic labels are 0 or 1")


@dataclass(frozen=True)
class Multinomial(Loss):
    """l(y, f) = log sum_t exp f_t - sum_t y_t f_t: the tasks are classes, softmax(f) their
    probabilities; every row of labels is >= 0 and sums to 1, or is missing as a whole."""

    name: ClassVar[str] = "multinomial"

    def value(self, y: Array, f: Array) -> Array:
        log_p = _log_softmax(f)
        return divergence(y, np.exp(log_p), log_p)

    def gradient(self, y: Array, f: Array) -> Array:
        return np.exp(_log_softmax(f)) - y

    def curvature(self, y: Array, f: Array) -> Array:
        # seen from p (1 - p) the true curvatures lie between 1 and 2 (but for the constant, which
        # costs nothing): 1.5 makes the error of a step a third
        p = np.exp(_log_softmax(f))
        return 1.5 * p * (1.0 - p)

    def curvature_bound(self, y: Array, f: Array) -> Array:
        return np.full_like(f, 0.5)

    def conjugate(self, y: Array, g: Array) -> Array:
        q = np.maximum(y + g, 0.0)
        return xlogy(q, q) - xlogy(y, y)

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        q = y + g
        astray = np.any(q < 0.0, axis=1) | (np.abs(g.sum(axis=1)) > 1e-9)
        log_p = _log_softmax(f)
        gap = divergence(np.maximum(q, 0.0), np.exp(log_p), log_p)
        return np.where(astray[:, None], np.inf, gap)

    def to_domain(self, y: Array, g: Array) -> Array:
        q = y + g
        # a class that rounding alone keeps from probability 0 would leave sums that cannot vanish
        q = np.where(q > _NEVER, q, 0.0)
        total = q.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, q / np.where(total > 0.0, total, 1.0), y) - y

    def move(self, y: Array, g: Array, Z: Array, w: Array) -> Array:
        # along the derivative of the softmax with probabilities y + g, which keeps rows' sums
        q, share = y + g, w[:, :1]
        n_tasks, p = y.shape[1], Z.shape[1]
        square = np.einsum("np,nq->npq", Z, Z)
        diagonal = np.einsum("nt,npq->tpq", share * q, square)
        cross = np.einsum("nt,ns,npq->tpsq", share * q, q, square, optimize=True)
        gram = -cross
        gram[np.arange(n_tasks), :, np.arange(n_tasks)] += diagonal
        gram = gram.reshape(n_tasks * p, n_tasks * p)
        leak = (Z.T @ (w * g)).T.ravel()
        line = (np.linalg.pinv(gram, rcond=1e-13, hermitian=True) @ leak).reshape(n_tasks, p)
        push = Z @ line.T
        return -q * (push - np.sum(q * push, axis=1, keepdims=True))

    def check_labels(self, Y: Array) -> None:
        if Y.shape[1] < 2:
            raise ValueError(
                "Y: has one column, but under loss='multinomial' every class is one; use 'logistic'"
            )
        missing = np.isnan(Y)
        partly = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
        if len(partly):
            raise ValueError(
                f"Y: row {int(partly[0])} is missing in part; under loss='multinomial' a row of classes "
                "is known as a whole or not at all"
            )
        with np.errstate(invalid="ignore"):
            wrong = (Y < 0.0) | ((np.abs(Y.sum(axis=1)) - 1.0 > 1e-12) | (Y.sum(axis=1) < 1.0 - 1e-12))[
                :, None
            ]
        refuse(
            wrong, Y, "rows of multinomial labels are probabilities of the classes (one-hot, or summing to 1)"
        )

    def of_tasks(self, chosen: NDArray[np.bool_]) -> Loss:
        assert chosen.all(), "classes stand and fall together"
        return self


@dataclass(frozen=True)
class Poisson(Loss):
    """l(y, f) = exp f - y f + y log y - y, y >= 0: every task is a count, f the log of its rate."""

    name: ClassVar[str] = "poisson"
    strictly_convex: ClassVar[bool] = True

    def value(self, y: Array, f: Array) -> Array:
        with np.errstate(over="ignore"):
            return divergence(y, np.exp(f), f)

    def gradient(self, y: Array, f: Array) -> Array:
        return _exp(f) - y

    def domain(self, y: Array) -> tuple[Array | float, Array | float]:
        return -y, np.inf

    def curvature(self, y: Array, f: Array) -> Array:
        return _exp(f)

    def conjugate(self, y: Array, g: Array) -> Array:
        rate = np.maximum(y + g, 0.0)
        return xlogy(rate, rate) - rate - xlogy(y, y) + y

    def fenchel_gap(self, y: Array, f: Array, g: Array) -> Array:
        rate = y + g
        with np.errstate(over="ignore"):
            gap = divergence(np.maximum(rate, 0.0), np.exp(f), f)
        return np.where(rate >= 0.0, gap, np.inf)

    def check_labels(self, Y: Array) -> None:
        with np.errstate(invalid="ignore"):
            refuse(Y < 0.0, Y, "Poisson labels are counts >= 0")


def _odds(f: Array) -> tuple[Array, Array]:
    """The smaller and the larger of the two probabilities that log odds f give."""
    e = np.exp(-np.abs(f))
    large = 1.0 / (1.0 + e)
    return e * large, large


def _log_softmax(f: Array) -> Array:
    shifted = f - f.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _exp(f: Array) -> Array:
    # beyond this the loss is so large that no step is taken there, and its square must stay finite
    return np.exp(np.minimum(f, _LARGEST_EXPONENT))
