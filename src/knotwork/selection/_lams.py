"""One input, free biases and skip connection: the fits at many lams, and each of them without each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Status
from ..solvers.solve import solve
from ..solvers.watch import Watch
from ._blocks import held_out_residuals
from ._removal import Left, Removals, alike, listed
from .leave_one_out import losses_of, refit_alone

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
_ROUGH_TOL, _REFIT_TOL = 1e-6, 1e-8
_COARSE = 8


class FitsAtLams:
    """The fits at lams (m,), decreasing: those of a grid that were finished before `watch` ended it.

    masses : (m, J) of the knots at the places of `data`.
    status : OPTIMAL, why lams are missing, or how the first fit ended that is not within its gap.
    first_order : (m, N, T) losses at the held-out labels, of first order; where that is none, of a refit.
    """

    def __init__(self, problem: Problem, data: Removals, lams: Array, watch: Watch) -> None:
        self.problem, self.data = problem, data
        weight = problem.label_weight()[data.order]
        self.gone, self.root = weight > 0, np.sqrt(weight)
        self.status = Status.OPTIMAL
        self._solve(lams, watch)
        self.status = watch.status or self.status
        self.refits: dict[int, Array] = {}
        predictions = self._first_order()
        k, row = np.nonzero(np.any(np.isnan(predictions) & self.gone, axis=2))
        if len(k):
            predictions[k, row] = self._refitted(k, row, self.masses[k], _ROUGH_TOL)[0]
        self.first_order = self._losses(predictions)

    def exact(self, which: list[int]) -> Array:
        """(len(which), N, T) losses at the held-out labels of refits at those lams."""
        n, at = len(self.gone), np.array(which)
        starts = np.concatenate([self._start(k) for k in which])
        fitted, masses = self._refitted(np.repeat(at, n), np.tile(np.arange(n), len(at)), starts, _REFIT_TOL)
        self.refits.update(zip(which, np.split(masses, len(at)), strict=True))
        return self._losses(fitted.reshape(len(at), n, -1))

    def network(self, k: int) -> ReLUNetwork:
        """One with the knots and masses at lam k, for a solver to start from."""
        mass = self.masses[k]
        knots, free = np.flatnonzero(mass), np.zeros((1, self.data.n_tasks))
        V = np.pad(mass[knots, None], ((0, 0), (0, self.data.n_tasks - 1)))
        return ReLUNetwork(np.ones((len(knots), 1)), -self.data.x[knots + 1], V, free, free[0])

    def _start(self, k: int) -> Array:
        """(N, J) masses at lam k, changed by what removing each row changes at the nearest lams known."""
        start = np.tile(self.masses[k], (len(self.gone), 1))
        below = max((other for other in self.refits if other < k), default=-1)
        above = min((other for other in self.refits if other > k), default=below)
        below = above if below < 0 else below
        if below < 0:
            return start
        share = (k - below) / (above - below) if above > below else 1.0
        for other, part in (below, 1.0 - share), (above, share):
            start += part * (self.refits[other] - self.masses[other])
        return np.maximum(start, 0.0)

    def _losses(self, predictions: Array) -> Array:
        out = np.full((len(predictions), *self.problem.Y.shape), np.nan)
        out[:, self.data.order] = predictions
        return losses_of(self.problem, out)

    def _solve(self, lams: Array, watch: Watch) -> None:
        """At every few lams from nothing, then by halves from those beside; where `watch` ends it, `lams` are
        those that were finished."""
        m = len(lams)
        masses, known = np.zeros((m, self.data.n_places)), np.zeros(m, dtype=bool)
        new = np.union1d(np.arange(0, m, _COARSE), m - 1)
        start = np.zeros((len(new), self.data.n_places))
        while len(new):
            masses[new] = self._solved(lams[new], start, watch)
            known[new] = True
            if watch.status is not None:
                break
            done = np.flatnonzero(known)
            low, high = done[:-1], done[1:]
            low, high = low[high - low > 1], high[high - low > 1]
            new = (low + high) // 2
            share = ((new - low) / (high - low))[:, None]
            start = (1.0 - share) * masses[low] + share * masses[high]
        self.lams, self.masses = lams[known], masses[known]

    def _solved(self, lams: Array, start: Array, watch: Watch) -> Array:
        """(n, J) masses at lams (n,) from masses (n, J)."""
        data, n = self.data, len(lams)
        whole = Left(np.zeros(n, dtype=np.intp), np.zeros((n, data.n_tasks), dtype=bool))
        found = data.refitted(lams, start, whole, _ROUGH_TOL)
        for k, lam in enumerate(lams.tolist()):
            if found.done[k]:
                objective, gap = float(found.objective[k]), float(found.gap[k])
            else:
                alone = solve(self.problem.with_lam(lam), tol=_ROUGH_TOL, max_seconds=watch.seconds_left())
                location, jump = alone.network.knots
                found.masses[k] = data.masses(location, np.linalg.norm(jump, axis=1))
                objective, gap = alone.certificate.primal, alone.certificate.gap
                self.status = alone.status if self.status is Status.OPTIMAL else self.status
            if watch.status is None:
                watch.round_done(objective, gap, int(np.count_nonzero(found.masses[k])))
        return found.masses

    def _first_order(self) -> Array:
        """(m, N, T) predictions without each row, y - (I - H)^-1 (y - f) as in `first_order`."""
        N, T = self.gone.shape
        out = np.empty((len(self.lams), N, T))
        for block in alike(np.count_nonzero(self.masses, axis=1), N * T):
            out[block] = self._first_order_at(block)
        return out

    def _first_order_at(self, which: Index) -> Array:
        data, n_tasks = self.data, self.data.n_tasks
        chosen = listed(self.masses[which] > 0)
        at = np.maximum(chosen, 0)
        grams, _ = data.grams(self.lams[which], chosen)
        eta = np.take_along_axis(self.masses[which], at, axis=1) * grams.known
        state = grams.at(eta)
        columns = data.columns[:, :, at].transpose(2, 0, 1, 3)
        root = np.sqrt(eta)[:, None, None]
        ridge = ((columns * root) @ state.inverse) * root
        own = data.leverage + np.einsum("mpnk,mpnk->mpn", ridge, columns)
        response = np.concatenate(list(state.response.transpose(1, 0, 3, 2)), axis=1)
        over = np.divide(1.0, eta, out=np.zeros_like(eta), where=eta > 0)
        # d f / d eta of every knot, and by the Hessian in eta how the masses follow a label
        grow = (ridge * over[:, None, None]).swapaxes(1, 2) * response[:, None]
        m, N, T, K = grow.shape
        follow = grow.reshape(m, N * T, K) @ np.linalg.inv(grams.hessian(state))
        H = grow @ follow.reshape(grow.shape).swapaxes(2, 3)
        t = np.arange(n_tasks)
        H[:, :, t, t] += own.swapaxes(1, 2)
        left = data.targets - columns @ state.V
        residual = np.concatenate(list(left.swapaxes(0, 1)), axis=2)
        held = held_out_residuals(H.reshape(-1, T, T), residual.reshape(-1, T)).reshape(m, N, T)
        return np.where(self.gone, data.y - held / np.where(self.gone, self.root, 1.0), np.nan)

    def _refitted(self, k: Index, row: Index, masses: Array, tol: float) -> tuple[Array, Array]:
        """Predictions (n, T) and masses (n, J) without `row` (n,) at lams k (n,), from masses (n, J)."""
        gone = self.gone[row]
        found = self.data.refitted(self.lams[k], masses, Left(row, gone), tol)
        fitted = np.where(gone, found.fitted, np.nan)
        for i in np.flatnonzero(~found.done).tolist():
            problem = self.problem.with_lam(float(self.lams[k[i]]))
            place = int(self.data.order[row[i]])
            again = refit_alone(problem, place, gone[i], tol)
            fitted[i, gone[i]] = again.network.predict(problem.X[[place]])[0, gone[i]]
        return fitted, found.masses
