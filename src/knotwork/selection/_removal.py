"""One input, free biases and skip connection: many refits at once, each without some of the labels.

In the hinges at the data points, weighted and off the free parts, a fit is a small problem in its knots'
Gram matrix G and products b with the labels. Taking a row h of leverage l in the free parts, with label y
off them, is of rank one: G - h h'/(1 - l), b - h y'/(1 - l). Newton's method on the masses runs over all
refits together, each with its own knots; the potential p of each residual then says which knots are missing,
and the duality gap when it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..problem import Problem
from ..solvers.dense import Dense, Squares

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
_ROUNDS, _STEPS, _HALVINGS, _PIVOTS = 15, 8, 8, 6
_MOST_NEW = 6
_BLOCK, _TABLE = 1 << 21, 1 << 23
_LEVERAGE, _NOTHING = 1e-9, 1e-10
_FLAT = 1e-13


@dataclass(frozen=True, eq=False)
class Refits:
    """Refits without one row each: fitted values (n, T) at that row (of the removed labels only), which
    of them came to the gap asked for, and which have other knots than the fit they started from."""

    fitted: Array
    done: Mask
    changed: Mask


@dataclass(frozen=True, eq=False)
class _Gram:
    """Refits in their knots: G (n, P, K, K), b (n, P, K, T / P), 0 beyond the `known` (n, K) of each."""

    G: Array
    b: Array
    known: Mask
    lam: float

    def take(self, rows: Index) -> _Gram:
        return _Gram(self.G[rows], self.b[rows], self.known[rows], self.lam)

    def at(self, eta: Array) -> _State:
        root = np.sqrt(eta)[:, None, :]
        S = self.G * root[..., None] * root[..., None, :]
        k = np.arange(S.shape[-1])
        S[..., k, k] += self.lam
        inner = np.asarray(np.linalg.inv(S), dtype=np.float64) * root[..., None] * root[..., None, :]
        V = inner @ self.b
        response = self.b - self.G @ V
        value = 0.5 * (self.lam * eta.sum(axis=1) - np.einsum("npkt,npkt->n", self.b, V))
        norms = np.sqrt(np.einsum("npkt,npkt->nk", response, response))
        return _State(value, V, response, np.where(self.known, norms, 0.0), inner)

    def target(self, eta: Array, state: _State, slope: Array) -> Array:
        """(n, K) the masses >= 0 of least quadratic model, as far as a few exchanges find them."""
        Q = self.G - self.G @ state.inner @ self.G
        H = np.sum(Q * (state.response @ state.response.swapaxes(-1, -2)), axis=1) / self.lam**2
        k = np.arange(H.shape[-1])
        H[:, k, k] += 1e-13 * np.abs(H[:, k, k]) + np.where(self.known, 1e-300, 1.0)
        passive = self.known & ((eta > 0) | (slope < 0))
        goal = eta
        for _ in range(_PIVOTS):
            both = passive[:, :, None] & passive[:, None, :]
            kept = np.where(both, H, 0.0)
            kept[:, k, k] = np.where(passive, H[:, k, k], 1.0)
            pull = np.where(passive, -slope + (H @ np.where(passive, 0.0, eta)[..., None])[..., 0], 0.0)
            goal = np.where(passive, eta + np.linalg.solve(kept, pull[..., None])[..., 0], 0.0)
            if not np.any(goal < 0):
                break
            passive &= goal >= 0
        return np.maximum(goal, 0.0)


@dataclass(frozen=True, eq=False)
class _State:
    value: Array
    V: Array
    response: Array
    norms: Array
    inner: Array

    def take(self, rows: Index) -> _State:
        return _State(*(part[rows] for part in (self.value, self.V, self.response, self.norms, self.inner)))


class Removals:
    """Refits of one problem without some of its labels; `per_label` where those of a row may differ.

    x : (m,) distinct inputs with a label, increasing; knots are those between the first and the last.
    """

    def __init__(self, problem: Problem, per_label: bool) -> None:
        weight = problem.label_weight()
        order = np.argsort(problem.X[:, 0], kind="stable")
        order = order[(weight[order] > 0).any(axis=1)]
        w, self.order = weight[order], order
        shared = not per_label and bool(np.all(w == w[:, :1]))
        column = problem.X[order, 0]
        self.x, self.start = np.unique(column, return_index=True)
        self.place = np.searchsorted(self.x, column)
        y = np.where(w > 0, problem.Y[order], 0.0)
        dense = Dense(Squares(column[:, None], y, w[:, :1] if shared else w), 1.0, problem.penalty)
        self.basis, self.targets, self.root = dense.basis, dense.targets, dense.squares.root
        hinges = np.maximum(column[:, None] - self.x[1:-1], 0.0)
        self.columns = self._off_free(self.root * hinges)
        self.gram = self.columns.transpose(0, 2, 1) @ self.columns
        self.products = self.columns.transpose(0, 2, 1) @ self.targets
        self.leverage = np.einsum("pnf,pnf->pn", self.basis, self.basis)
        self.labels_at = np.bincount(self.place, weights=(w > 0).sum(axis=1))
        self.n_tasks, self.y = problem.n_tasks, y

    @staticmethod
    def fits_in_memory(problem: Problem, per_label: bool) -> bool:
        patterns = (
            problem.n_tasks if per_label or problem.sample_weight is not None or problem.has_gaps else 1
        )
        return patterns * problem.n_rows**2 <= _TABLE

    def _off_free(self, rows: Array) -> Array:
        for _ in range(2):
            rows = rows - self.basis @ (self.basis.transpose(0, 2, 1) @ rows)
        return rows

    def without(
        self, lam: float, location: Array, mass: Array, rows: Index, gone: Mask, tol: float
    ) -> Refits:
        """Refits from the knots at `location` (K,), each without the labels `gone` (n, T) of one of `rows`
        (n,), which are places in `order`."""
        size = max(1, _BLOCK // (len(self.order) * self.n_tasks))
        blocks = [slice(low, low + size) for low in range(0, len(rows), size)]
        knots = np.searchsorted(self.x, location) - 1
        parts = [_Block(self, lam, rows[block], gone[block]).solved(knots, mass, tol) for block in blocks]
        columns = ([getattr(part, name) for part in parts] for name in ("fitted", "done", "changed"))
        return Refits(*(np.concatenate(column) for column in columns))


class _Block:
    """Some of the refits: masses `eta` (n, J) and knots under consideration over all places."""

    def __init__(self, data: Removals, lam: float, rows: Index, gone: Mask) -> None:
        self.data, self.lam, self.rows = data, lam, rows
        shared = len(data.root) == 1
        self.gone = gone.any(axis=1, keepdims=True) if shared else gone
        room = 1.0 - data.leverage[:, rows].T
        self.possible = np.all((room > _LEVERAGE) | ~self.gone, axis=1)
        self.scale = np.where(self.gone & (room > _LEVERAGE), 1.0 / np.maximum(room, _LEVERAGE), 0.0)
        # at an input that has lost all its labels the potential is straight: a knot there is never needed,
        # and what a fit does between its neighbours may be open. One at the last label left bends nothing
        others = data.labels_at[data.place[rows]] - gone.sum(axis=1)
        places = np.arange(data.gram.shape[1])
        lost = (places == data.place[rows][:, None] - 1) & (others == 0)[:, None]
        square = np.einsum("pjj->pj", data.gram)
        left = square - self.scale[..., None] * data.columns[:, rows].transpose(1, 0, 2) ** 2
        self.barred = lost | (left.sum(axis=1) <= _NOTHING * square.sum(axis=0))

    def solved(self, knots: Index, mass: Array, tol: float) -> Refits:
        data = self.data
        n, J = len(self.rows), data.gram.shape[1]
        eta = np.zeros((n, J))
        eta[:, knots] = mass
        first = eta > 0
        eta[self.barred] = 0.0
        member = eta > 0
        fitted = np.full((n, data.n_tasks), np.nan)
        done, last = np.zeros(n, dtype=bool), np.full(n, np.inf)
        at = np.flatnonzero(self.possible)
        for _ in range(_ROUNDS):
            if len(at) == 0:
                break
            chosen = _listed(member[at])
            gram = self._gram(at, chosen)
            masses, V = _newton(gram, np.take_along_axis(eta[at], chosen, axis=1) * gram.known)
            eta[at] = 0.0
            rows = np.broadcast_to(at[:, None], chosen.shape)[gram.known]
            eta[rows, chosen[gram.known]] = masses[gram.known]
            fitted[at], gap, norms = self._priced(at, chosen, gram.known, V)
            done[at] = gap <= tol
            new = _peaks(np.where(self.barred[at], 0.0, norms), self.lam, member[at])
            # rounding, or a few exchanges too few for its masses: not for this method
            stuck = (gap > 0.5 * last[at]) & ~new.any(axis=1)
            last[at] = gap
            member[at] = (eta[at] > 0) | new
            at = at[~done[at] & ~stuck]
        return Refits(fitted, done, np.any((eta > 0) != first, axis=1))

    def _gram(self, at: Index, chosen: Index) -> _Gram:
        data = self.data
        known = chosen >= 0
        k = np.where(known, chosen, 0)
        G = data.gram[:, k[:, :, None], k[:, None, :]].transpose(1, 0, 2, 3)
        b = data.products[:, k].transpose(1, 0, 2, 3)
        rows, scale = self.rows[at], self.scale[at][:, :, None, None]
        h = data.columns[:, rows[:, None], k].transpose(1, 0, 2)
        G = G - scale * h[..., :, None] * h[..., None, :]
        b = b - scale * h[..., None] * data.targets[:, rows].transpose(1, 0, 2)[:, :, None, :]
        mask = known[:, None, :, None]
        return _Gram(
            np.where(mask & known[:, None, None, :], G, 0.0), np.where(mask, b, 0.0), known, self.lam
        )

    def _priced(self, at: Index, chosen: Index, known: Mask, V: Array) -> tuple[Array, Array, Array]:
        """Fitted values (n, T) of the labels that are gone, relative gaps (n,), and |p| (n, J)."""
        data, lam = self.data, self.lam
        jumps = np.zeros((len(at), len(data.x), data.n_tasks))
        refit = np.broadcast_to(np.arange(len(at))[:, None], chosen.shape)[known]
        jumps[refit, chosen[known] + 1] = _per_task(V)[known]
        left, missed = self._residual(at, jumps)
        p = self._potential(_per_task(left * data.root))
        norms, cost = np.sqrt(np.sum(p * p, axis=2)), np.sqrt(np.sum(jumps * jumps, axis=2))[:, 1:-1]
        scale = np.minimum(1.0, lam / np.maximum(norms.max(axis=1, initial=0.0), 1e-300))
        answer = np.einsum("njt,njt->nj", jumps[:, 1:-1], p)
        misfit = np.einsum("npit,npit->n", left, left)
        gap = np.maximum(lam * cost - scale[:, None] * answer, 0.0).sum(axis=1)
        gap += 0.5 * (1.0 - scale) ** 2 * misfit
        primal = 0.5 * misfit + lam * cost.sum(axis=1)
        return data.y[self.rows[at]] - missed, gap / np.maximum(primal, 1e-300), norms

    def _residual(self, at: Index, jumps: Array) -> tuple[Array, Array]:
        """Weighted residuals (n, P, N, T / P) of the refits with jumps (n, m, T), and by how much (n, T)
        they miss the labels that are gone."""
        data, rows, each = self.data, self.rows[at], np.arange(len(at))
        hinges = np.zeros_like(jumps)
        slope = np.cumsum(jumps, axis=1)[:, :-1]
        hinges[:, 1:] = np.cumsum(slope * np.diff(data.x)[:, None], axis=1)
        left = data.y - hinges[:, data.place]
        left = left[:, None] if len(data.root) == 1 else left.transpose(0, 2, 1)[..., None]
        left = data._off_free(left * data.root)
        # without its label a row is fitted as if its label were what the others predict there
        own = left[each, :, rows] * self.scale[at][..., None]
        left = left + (data.basis @ data.basis[:, rows].transpose(1, 0, 2)[..., None]) * own[:, :, None]
        left[each, :, rows] -= own
        root = np.where(data.root > 0, data.root, 1.0)[:, rows].transpose(1, 0, 2)
        return left, _per_task((own / root)[:, :, None])[:, 0]

    def _potential(self, alpha: Array) -> Array:
        """(n, J, T) p of the dual points (n, N, T)."""
        at_inputs = np.add.reduceat(alpha, self.data.start, axis=1)
        tail = np.cumsum(at_inputs[:, ::-1], axis=1)[:, ::-1][:, 1:]
        return np.cumsum((tail * np.diff(self.data.x)[:, None])[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _per_task(M: Array) -> Array:
    """(n, m, T) from (n, P, m, T / P)."""
    return np.concatenate(list(M.swapaxes(0, 1)), axis=2)


def _listed(member: Mask) -> Index:
    """(n, K) the members of each row, then -1."""
    K = max(int(member.sum(axis=1).max(initial=0)), 1)
    order = np.argsort(~member, axis=1, kind="stable")[:, :K]
    return np.where(np.take_along_axis(member, order, axis=1), order, -1)


def _peaks(norms: Array, lam: float, member: Mask) -> Mask:
    """(n, J) the highest peaks of |p| above lam that are no members."""
    padded = np.pad(norms, ((0, 0), (1, 1)))
    peak = (norms > lam * (1.0 + 1e-13)) & (norms >= padded[:, :-2]) & (norms > padded[:, 2:]) & ~member
    if norms.shape[1] > _MOST_NEW:
        heights = np.where(peak, norms, 0.0)
        peak &= heights >= -np.partition(-heights, _MOST_NEW - 1, axis=1)[:, _MOST_NEW - 1 : _MOST_NEW]
    return peak


def _newton(gram: _Gram, eta: Array) -> tuple[Array, Array]:
    """Masses (n, K) and output weights (n, P, K, T / P) of least objective, or near it, from masses `eta`."""
    state = gram.at(eta)
    eta, V, at = eta.copy(), state.V.copy(), np.arange(len(eta))
    for _ in range(_STEPS):
        here, now = gram.take(at), eta[at]
        slope = 0.5 * gram.lam * (1.0 - (state.norms / gram.lam) ** 2)
        step = here.target(now, state, slope) - now
        decrease = -np.einsum("nk,nk->n", slope, step)
        rounding = _FLAT * np.abs(state.value)
        length, bad = np.ones(len(at)), np.ones(len(at), dtype=bool)
        trial, there = now, state
        for _ in range(_HALVINGS):
            trial = np.maximum(now + length[:, None] * step, 0.0)
            there = here.at(trial)
            bad = there.value > state.value - 1e-4 * length * decrease + rounding
            if not bad.any():
                break
            length = np.where(bad, 0.5 * length, length)
        good = ~bad
        eta[at[good]], V[at[good]] = trial[good], there.V[good]
        # near the optimum the objective no longer tells steps apart: the last one is taken on trust
        going = np.flatnonzero(good & (decrease > rounding))
        if len(going) == 0:
            break
        at, state = at[going], there.take(going)
    return eta, V
