"""Which neurons of a network to keep: a path of the multi-task lasso on their features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..free_parts import least_squares
from ..network import ReLUNetwork
from ..solvers.corrective import Reduced, correct
from ._own_neurons import free_basis, off, predictions

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_FACTOR = 0.7
_LEAST = 1e-8
_BISECTIONS = 12
_ROUNDS = 100
_BATCH = 32
_PRICE = 1e-4
_TOL = 1e-8
_AFFINE = 1e-14
_RIDGE = 1e-12
_WIDER = 3


class Choice(NamedTuple):
    """A network of some of the neurons, and the lam that chose them."""

    network: ReLUNetwork
    lam: float


class _Refit(NamedTuple):
    kept: Index
    V: Array
    error: float
    lam: float


def choose(unit: ReLUNetwork, X: Array, linear: bool, n_neurons: int | None, error: float | None) -> Choice:
    """The best of a path of lam: the least error with `n_neurons`, or the fewest neurons with `error`."""
    X, counts = np.unique(X, axis=0, return_counts=True)
    root = np.sqrt(counts)[:, None]
    values, hidden = predictions(unit, X), np.maximum(X @ unit.W.T + unit.b, 0.0)
    free = np.linalg.qr(root * free_basis(X, linear))[0]
    features, C = off(free, root * hidden), off(free, root * values)
    if features.shape[1] < len(features):
        Q, features = np.linalg.qr(features)
        C = Q.T @ C
    path = _Path(features, C, float(np.linalg.norm(root * values)))
    best = path.search(n_neurons, error)
    small = ReLUNetwork(unit.W[best.kept], unit.b[best.kept], best.V, unit.A, unit.c)
    A, c = least_squares(X, values - predictions(small, X), counts.astype(np.float64), linear)
    return Choice(ReLUNetwork(small.W, small.b, small.V, unit.A + A, unit.c + c), best.lam)


class _Path:
    """min |C - Phi V|_F^2 / 2 + lam sum_k |v_k| for falling lam, each from the masses of the last."""

    def __init__(self, Phi: Array, C: Array, size: float) -> None:
        self.Phi, self.C, self.size = Phi, C, size
        self.eta = np.zeros(Phi.shape[1])
        basis = np.linalg.svd(C, full_matrices=False)[2].T
        self.reduced = C @ basis

    def search(self, n_neurons: int | None, error: float | None) -> _Refit:
        empty = np.zeros(0, dtype=np.intp)
        best = self._refit(empty, np.inf)
        every = np.arange(self.Phi.shape[1])
        most = len(every) if n_neurons is None else min(n_neurons, len(every))
        if best.error <= (_AFFINE if error is None else error) or most == 0:
            return best
        if error is None and most == len(every):
            return self._refit(every, 0.0)
        high = float(np.linalg.norm(self.Phi.T @ self.C, axis=1).max(initial=0.0))
        above, low, end = high, high, False
        while not end and low > _LEAST * high:
            above, low = low, _FACTOR * low
            best, end = self._try(low, best, most, error)
        if not end:
            return best if error is None else self._refit(every, 0.0)
        for _ in range(_BISECTIONS):
            middle = float(np.sqrt(above * low))
            best, end = self._try(middle, best, most, error)
            above, low = (above, middle) if end else (middle, low)
        return best

    def _try(self, lam: float, best: _Refit, most: int, error: float | None) -> tuple[_Refit, bool]:
        """The better of `best` and the choice at lam, and whether a smaller lam is no use."""
        support = self._support(lam)
        now = self._refit(support, lam)
        if error is None:
            wide = len(support) > _WIDER * most
            if len(support) > most:
                now = self._refit(self._nested(support)[:most], lam)
            return (now if now.error < best.error else best), wide
        if now.error > error:
            return best, False
        nested, low, high = self._nested(support), 0, len(support)
        while low < high:
            middle = (low + high) // 2
            trial = self._refit(nested[:middle], lam)
            if trial.error <= error:
                now, high = trial, middle
            else:
                low = middle + 1
        better = best.error > error or (len(now.kept), now.error) < (len(best.kept), best.error)
        return (now if better else best), True

    def _nested(self, support: Index) -> Index:
        """The neurons ordered by backward elimination, the last one to go first: each time the neuron
        goes that least squares misses the least, |v_k|^2 / [(Phi' Phi)^-1]_kk."""
        Phi = self.Phi[:, support]
        gram = Phi.T @ Phi
        inverse = np.linalg.inv(gram + _RIDGE * np.diag(np.diag(gram)))
        V = inverse @ (Phi.T @ self.reduced)
        left, gone = np.ones(len(support), dtype=bool), []
        for _ in support:
            loss = np.where(left, np.sum(V * V, axis=1) / np.where(left, np.diag(inverse), 1.0), np.inf)
            k = int(np.argmin(loss))
            row = inverse[k] / inverse[k, k]
            V = V - np.outer(row, V[k])
            inverse = inverse - np.outer(row, inverse[k])
            left[k] = False
            gone.append(k)
        return support[gone[::-1]]

    def _refit(self, kept: Index, lam: float) -> _Refit:
        V = np.asarray(np.linalg.lstsq(self.Phi[:, kept], self.C, rcond=1e-12)[0], dtype=np.float64)
        missed = float(np.linalg.norm(self.C - self.Phi[:, kept] @ V))
        return _Refit(kept, V, missed / self.size if self.size > 0 else 0.0, lam)

    def _support(self, lam: float) -> Index:
        eta, tol = self.eta, 0.5 * _TOL * float(np.sum(self.C**2))
        active = np.flatnonzero(eta)
        V = np.zeros((len(eta), self.reduced.shape[1]))
        for _ in range(_ROUNDS):
            part = self.Phi[:, active]
            masses, weights = correct(Reduced(part[None], self.reduced[None]), lam, eta[active], tol)
            eta[:], V[:] = 0.0, 0.0
            eta[active], V[active] = masses, weights
            price = np.linalg.norm(self.Phi.T @ (self.reduced - self.Phi @ V), axis=1)
            price[active] = 0.0
            steep = np.flatnonzero(price > (1.0 + _PRICE) * lam)
            if not len(steep):
                break
            steep = steep[np.argsort(price[steep])[-_BATCH:]]
            eta[steep] = np.where(eta[steep] > 0, eta[steep], 1e-9 * max(float(eta.max()), 1e-300))
            active = np.union1d(np.flatnonzero(eta), steep)
        return np.flatnonzero(eta)
