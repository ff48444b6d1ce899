"""One input, free biases and skip connection: many refits at once, each without some of the labels.

In the hinges at the data points, weighted and off the free parts, a fit is a small problem in its knots'
Gram matrix G and products b with the labels. Taking a row h of leverage l in the free parts, with label y
off them, is of rank one: G - h h'/(1 - l), b - h y'/(1 - l). Newton's method on the masses runs over all
refits together, each with its own knots and lam; the potential p of each residual then says which knots are
missing, and the duality gap when it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..problem import Problem
from ..solvers.dense import Dense, Squares
from ._masses import Grams, least

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
_ROUNDS = 15
_MOST_NEW = 12
_BLOCK, _TABLE = 1 << 21, 1 << 23
_LEVERAGE, _NOTHING = 1e-9, 1e-10
_ENOUGH, _FINER, _EARLY = 0.3, 0.01, 0.1
_ALIKE, _TOGETHER = 1.1, 12


@dataclass(frozen=True, eq=False)
class Left:
    """Which labels a refit does without: `gone` (n, T) of the places `rows` (n,) in `Removals.order`."""

    rows: Index
    gone: Mask

    def __getitem__(self, part: slice | Index) -> Left:
        return Left(self.rows[part], self.gone[part])


@dataclass(frozen=True, eq=False)
class Refits:
    """Fitted values (n, T) at the row of each (of the removed labels only), masses (n, J) of the knots,
    objectives and gaps (n,), which refits came to the gap asked for, and which have other knots than they
    started from."""

    fitted: Array
    masses: Array
    objective: Array
    gap: Array
    done: Mask
    changed: Mask

    def put(self, rows: Index, other: Refits) -> None:
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)


class Removals:
    """Refits of one problem without some of its labels; `per_label` where those of a row may differ.

    x : (m,) distinct inputs with a label, increasing; knots are the J between the first and the last.
    order : (N,) the rows that have a label, by their inputs.
    gram, products : (P, J, J), (P, J, T / P) of the hinges, weighted and off the free parts, with one another
        and the labels; P is 1 where tasks share their weights, else T.
    columns, targets : (P, N, J), (P, N, T / P) these, and the labels so.
    leverage : (P, N) of the free parts.
    """

    def __init__(self, problem: Problem, per_label: bool) -> None:
        weight = problem.label_weight()
        order = np.argsort(problem.X[:, 0], kind="stable")
        order = order[(weight[order] > 0).any(axis=1)]
        w, self.order = weight[order], order
        shared = not per_label and bool(np.all(w == w[:, :1]))
        column = problem.X[order, 0]
        self.x = np.unique(column)
        self.place = np.searchsorted(self.x, column)
        self.y = np.where(w > 0, problem.Y[order], 0.0)
        dense = Dense(Squares(column[:, None], self.y, w[:, :1] if shared else w), 1.0, problem.penalty)
        self.targets, self.root = dense.targets, dense.squares.root
        self.columns = dense.off_free(dense.weighted(np.maximum(column[:, None] - self.x[1:-1], 0.0)))
        self.gram = self.columns.swapaxes(1, 2) @ self.columns
        self.products = self.columns.swapaxes(1, 2) @ self.targets
        self.leverage = np.einsum("pnf,pnf->pn", dense.basis, dense.basis)
        self.labels_at = np.bincount(self.place, weights=(w > 0).sum(axis=1))
        self.energy = 0.5 * float(np.sum(self.targets * self.targets))
        self.n_tasks = problem.n_tasks

    @staticmethod
    def fits_in_memory(problem: Problem, per_label: bool) -> bool:
        patterns = (
            problem.n_tasks if per_label or problem.sample_weight is not None or problem.has_gaps else 1
        )
        return patterns * problem.n_rows**2 <= _TABLE

    @property
    def n_places(self) -> int:
        return self.gram.shape[1]

    def masses(self, location: Array, mass: Array) -> Array:
        """(J,) of knots at `location` (K,)."""
        out = np.zeros(self.n_places)
        out[np.searchsorted(self.x, location) - 1] = mass
        return out

    def refitted(self, lam: Array, masses: Array, left: Left, tol: float) -> Refits:
        """Refits at lam (n,) from masses (n, J), until their gaps are `tol` of their objectives."""
        n = len(lam)
        done, changed = np.empty(n, dtype=bool), np.empty(n, dtype=bool)
        objective, gap = np.empty(n), np.empty(n)
        out = Refits(np.empty((n, self.n_tasks)), np.empty_like(masses), objective, gap, done, changed)
        for block in alike(np.count_nonzero(masses, axis=1), len(self.gram) * self.n_places):
            out.put(block, _Block(self, lam[block], left[block]).solved(masses[block], tol))
        return out

    def grams(self, lam: Array, chosen: Index) -> tuple[Grams, Array]:
        """The problems of all labels at lam (n,) in the knots `chosen` (n, K), -1 beyond those of each, and
        the rows (P, n, K, J) of the Gram matrix there."""
        known, k = chosen >= 0, np.maximum(chosen, 0)
        table = self.gram[:, k]
        G = np.take_along_axis(table, k[None, :, None, :], axis=3)
        G *= known[:, :, None] & known[:, None, :]
        b = self.products[:, k] * known[:, :, None]
        return Grams(G.swapaxes(0, 1), b.swapaxes(0, 1), known, np.full(len(lam), self.energy), lam), table


class _Block:
    """Some of the refits."""

    def __init__(self, data: Removals, lam: Array, left: Left) -> None:
        self.data, self.lam, self.rows = data, lam, left.rows
        gone = left.gone.any(axis=1, keepdims=True) if len(data.root) == 1 else left.gone
        room = 1.0 - data.leverage[:, self.rows].T
        self.possible = np.all((room > _LEVERAGE) | ~gone, axis=1)
        self.scale = np.where(gone & (room > _LEVERAGE), 1.0 / np.maximum(room, _LEVERAGE), 0.0)
        # at an input that has lost all its labels the potential is straight: a knot there is never needed,
        # and what a fit does between its neighbours may be open. One at the last label left bends nothing
        at = data.place[self.rows]
        others = data.labels_at[at] - left.gone.sum(axis=1)
        lost = (np.arange(data.n_places) == at[:, None] - 1) & (others == 0)[:, None]
        bend = np.einsum("pjj->j", data.gram)
        taken = np.einsum("np,pnj->nj", self.scale, data.columns[:, self.rows] ** 2)
        self.barred = lost | (bend - taken <= _NOTHING * bend)
        own = np.einsum("pnt,pnt->np", data.targets[:, self.rows], data.targets[:, self.rows])
        self.energy = data.energy - 0.5 * np.sum(self.scale * own, axis=1)

    def solved(self, masses: Array, tol: float) -> Refits:
        n = len(self.rows)
        first = masses > 0
        masses = np.where(self.barred, 0.0, masses)
        member = masses > 0
        fitted = np.full((n, self.data.n_tasks), np.nan)
        objective, gap = np.full(n, np.inf), np.full(n, np.inf)
        done, last, enough = np.zeros(n, dtype=bool), np.full(n, np.inf), np.full(n, _ENOUGH * tol)
        at = np.flatnonzero(self.possible)
        for _ in range(_ROUNDS):
            if len(at) == 0:
                break
            chosen = listed(member[at])
            grams, table = self._grams(at, chosen)
            eta, V, response = least(
                grams, np.take_along_axis(masses[at], chosen, axis=1) * grams.known, enough[at]
            )
            masses[at] = 0.0
            refit = np.broadcast_to(at[:, None], chosen.shape)[grams.known]
            masses[refit, chosen[grams.known]] = eta[grams.known]
            fitted[at], objective[at], gap[at], norms = self._priced(at, chosen, grams, table, V, response)
            relative = gap[at] / np.maximum(objective[at], 1e-300)
            done[at] = relative <= tol
            new = _peaks(np.where(self.barred[at], 0.0, norms), self.lam[at], member[at])
            grew = new.any(axis=1)
            # rounding, or a few exchanges too few for its masses: not for this method
            stuck = ~grew & (relative > 0.9 * last[at]) & (enough[at] < _ENOUGH * tol)
            last[at] = relative
            # no digit is wasted while knots are still missing
            sooner = np.maximum(_ENOUGH * tol, _EARLY * relative**2)
            enough[at] = np.where(grew, sooner, _FINER * enough[at])
            member[at] = (masses[at] > 0) | new
            at = at[~done[at] & ~stuck]
        return Refits(fitted, masses, objective, gap, done, np.any((masses > 0) != first, axis=1))

    def _grams(self, at: Index, chosen: Index) -> tuple[Grams, Array]:
        """As `Removals.grams`, but without the labels that are gone."""
        rows = self.rows[at]
        grams, table = self.data.grams(self.lam[at], chosen)
        h = self.data.columns[:, rows[:, None], np.maximum(chosen, 0)] * grams.known
        less = h * self.scale[at].T[:, :, None]
        G = grams.G - (less[..., None] * h[:, :, None, :]).swapaxes(0, 1)
        b = grams.b - (less[..., None] * self.data.targets[:, rows, None]).swapaxes(0, 1)
        return Grams(G, b, grams.known, self.energy[at], grams.lam), table

    def _priced(
        self, at: Index, chosen: Index, grams: Grams, table: Array, V: Array, response: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Fitted values (n, T) of the labels that are gone, objectives and gaps (n,), and |p| (n, J)."""
        data, lam, rows, scale = self.data, grams.lam, self.rows[at], self.scale[at].T
        answer = np.einsum("npkt,npkt->nk", V, response)
        misfit = 2.0 * grams.energy - np.einsum("npkt,npkt->n", V, grams.b) - answer.sum(axis=1)
        V, misfit = V.swapaxes(0, 1), np.maximum(misfit, 0.0)
        h = data.columns[:, rows]
        seen = np.take_along_axis(h, np.maximum(chosen, 0)[None], axis=2)
        own = data.targets[:, rows] - (seen[:, :, None, :] @ V)[:, :, 0]
        # without its label a row is fitted as if its label were what the others predict there
        missed = scale[..., None] * own
        p = data.products.swapaxes(1, 2)[:, None] - V.swapaxes(2, 3) @ table
        p -= missed[..., None] * h[:, :, None, :]
        norms = np.sqrt(np.einsum("pntj,pntj->nj", p, p))
        cost = np.sqrt(np.einsum("pnkt,pnkt->nk", V, V))
        share = np.minimum(1.0, lam / np.maximum(norms.max(axis=1, initial=0.0), 1e-300))
        gap = np.maximum(lam[:, None] * cost - share[:, None] * answer, 0.0).sum(axis=1)
        gap += 0.5 * (1.0 - share) ** 2 * misfit
        primal = 0.5 * misfit + lam * cost.sum(axis=1)
        root = np.where(data.root > 0, data.root, 1.0)[:, rows]
        fitted = data.y[rows] - np.concatenate(list(missed / root), axis=1)
        return fitted, primal, gap, norms


def alike(size: Index, each: int) -> Iterator[Index]:
    """Blocks of problems with about as many knots `size` (n,): what is solved together takes as long as if
    all had as many as the one that has most. A problem takes `each` numbers for every knot."""
    order = np.argsort(size, kind="stable")
    while len(order):
        least = int(size[order[0]])
        n = max(int(np.searchsorted(size[order], _ALIKE * least + 2, side="right")), _TOGETHER)
        wide = int(size[order[:n][-1]]) + _MOST_NEW
        block = order[: min(n, max(1, _BLOCK // (each * wide)))]
        order = order[len(block) :]
        yield block


def listed(member: Mask) -> Index:
    """(n, K) the members of each row, then -1."""
    K = max(int(member.sum(axis=1).max(initial=0)), 1)
    order = np.argsort(~member, axis=1, kind="stable")[:, :K]
    return np.where(np.take_along_axis(member, order, axis=1), order, -1)


def _peaks(norms: Array, lam: Array, member: Mask) -> Mask:
    """(n, J) the highest peaks of |p| above lam (n,) that are no members."""
    padded = np.pad(norms, ((0, 0), (1, 1)))
    peak = (norms > lam[:, None] * (1.0 + 1e-13)) & ~member
    peak &= (norms >= padded[:, :-2]) & (norms > padded[:, 2:])
    if norms.shape[1] > _MOST_NEW:
        heights = np.where(peak, norms, 0.0)
        peak &= heights >= -np.partition(-heights, _MOST_NEW - 1, axis=1)[:, _MOST_NEW - 1 : _MOST_NEW]
    return peak
