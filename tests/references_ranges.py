"""Independent oracles of step 2: what every near-optimal fit has in common, by conic programmes, and the
fewest knots, by brute force. Nothing here calls the library's own algorithms."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import clarabel
import numpy as np
from references import label_weights, second_differences
from scipy import sparse
from scipy.optimize import linprog

ENOUGH = 1e-7


def bent(x, jumps, rng=None):
    """Values at x (n,) that bend by `jumps` (n - 2, T) at the inner points, on a random line."""
    hinges = np.maximum(x[:, None] - x[1:-1], 0.0) @ jumps
    if rng is None:
        return hinges
    return hinges + rng.standard_normal(jumps.shape[1]) + np.outer(x, rng.standard_normal(jumps.shape[1]))


def runs(rng, n_tasks, lengths):
    """(x, Y): runs of the given numbers of aligned knots; neighbouring runs point well apart."""
    jumps, u = [], rng.standard_normal(n_tasks)
    for length in lengths:
        w = rng.standard_normal(n_tasks)
        u = -(u + 0.3 * w) if n_tasks > 1 else -u
        jumps.append(rng.uniform(0.2, 2.0, (length, 1)) * u)
    jumps = np.vstack(jumps)
    x = np.cumsum(rng.uniform(0.2, 1.5, len(jumps) + 2))
    return x, bent(x, jumps, rng)


def with_missing(rng, x, Y):
    """`Y` less some labels strictly inside runs, whose dual point is 0 there."""
    unit = second_differences(x) @ Y
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    still = np.linalg.norm(np.diff(unit, axis=0), axis=1) < 1e-6
    out = Y.copy()
    for j in range(1, len(unit) - 1):
        if still[j - 1] and still[j]:
            out[j + 1, rng.uniform(size=Y.shape[1]) < 0.7] = np.nan
    return out


class Range(NamedTuple):
    """The least and the greatest f_t(s) among all fits of objective at most F* (1 + slack), to about
    `error`: the duality gap at which Clarabel ended, over delta."""

    least: float
    greatest: float
    slack: float
    error: float


class Ranges:
    """The least and the greatest f_t(s) over { f : F(f) <= F* (1 + slack) } at a place s.

    Traced by its Lagrangian: a minimiser of F +- delta f_t(s) has the least or the greatest
    f_t(s) of all fits that cost no more than itself, and delta -> 0 brings its cost to F*. (The
    constraint F <= F* (1 + slack) itself leaves a cone solver a set too thin to work in.)

    Knots are allowed at the data and at s: mass anywhere else in an interval can be moved to its
    ends and s without changing f there or at the data, at no more cost.
    """

    def __init__(self, X, Y, lam, weight=None):
        X, Y = np.asarray(X, dtype=float).reshape(-1), np.asarray(Y, dtype=float).reshape(len(X), -1)
        w = label_weights(Y, weight)
        rows = np.any(w > 0, axis=1)
        # solved in units where the inputs span 1 and the labels are of size 1
        self.origin, self.span = X[rows].min(), np.ptp(X[rows]) or 1.0
        self.size = np.nanmax(np.abs(Y)) or 1.0
        self.X, self.w = (X[rows] - self.origin) / self.span, w[rows]
        self.Y = np.where(self.w > 0, Y[rows], 0.0) / self.size
        self.lam = lam / (self.span * self.size)
        x = np.unique(self.X)
        self.scaled_optimum = self._objective(x, self._solve(x, np.zeros((len(x), self.Y.shape[1])))[0])
        self.optimum = self.scaled_optimum * (self.size**2 if lam > 0 else self.size / self.span)

    def at(self, place, task, slack, reduction=1.0):
        """The `Range` of f_task at `place`, in units of the labels, at the first delta = 0.1,
        .01, ... for which F exceeds F* by at most `slack`; then at `reduction` delta."""
        s = (place - self.origin) / self.span
        x = np.unique(np.append(self.X, s))
        goal = np.zeros((len(x), self.Y.shape[1]))
        goal[np.searchsorted(x, s), task] = 1.0
        ends, worst, error = [], 0.0, 0.0
        for sign in (1.0, -1.0):
            delta = 0.1
            while True:
                f, gap = self._solve(x, sign * delta * goal)
                excess = self._objective(x, f) - self.scaled_optimum
                # where F* is 0, of the objective of a bend of 1e-3
                excess /= max(self.scaled_optimum, 1e-3)
                if excess <= slack:
                    break
                delta *= 0.1
                if delta < 1e-10:
                    raise RuntimeError(
                        f"no f at {place} is within {slack} of the optimum: is the range infinite?"
                    )
            delta *= reduction
            # Clarabel now and then breaks off early; a slightly smaller delta is another problem
            tries = []
            for part in (1.0, 0.9, 0.8, 0.6):
                tries.append((*self._solve(x, sign * part * delta * goal), part * delta))
                if tries[-1][1] <= ENOUGH * delta:
                    break
            f, gap, delta = min(tries, key=lambda found: found[1] / found[2])
            ends.append(float(np.sum(goal * f)) * self.size)
            worst, error = max(worst, excess), max(error, gap / delta)
        return Range(*ends, worst, error * self.size)

    def _objective(self, x, f):
        if not np.isfinite(f).all():
            return np.inf
        bends = np.linalg.norm(second_differences(x) @ f, axis=1).sum()
        if self.lam == 0:
            return bends
        error = self.Y - f[np.searchsorted(x, self.X)]
        return 0.5 * np.sum(self.w * error**2) + self.lam * bends

    def _solve(self, x, goal):
        """The f (n, T) that minimises F + <goal, f>, and its gap; variables are f and a bound of
        every bend."""
        n, n_tasks = len(x), self.Y.shape[1]
        D = second_differences(x)
        n_f, n_s = n * n_tasks, len(D)
        seen = np.argwhere(self.w > 0)
        labels = np.zeros((len(seen), n_f + n_s))
        for row, (i, t) in enumerate(seen):
            labels[row, np.searchsorted(x, self.X[i]) * n_tasks + t] = 1.0
        y, w = self.Y[seen[:, 0], seen[:, 1]], self.w[seen[:, 0], seen[:, 1]]
        # divided by lam, so that bends cost 1
        price = self.lam if self.lam > 0 else 1.0
        q = np.concatenate([goal.ravel() / price, np.ones(n_s)])
        P = np.zeros((n_f + n_s, n_f + n_s))
        A, b, cones = [np.zeros((0, n_f + n_s))], [np.zeros(0)], []
        if self.lam > 0:
            P = labels.T @ ((w / price)[:, None] * labels)
            q = q - labels.T @ (w * y / price)
        else:
            A.append(labels)
            b.append(y)
            cones.append(clarabel.ZeroConeT(len(y)))
        for j in range(n_s):
            block = np.zeros((n_tasks + 1, n_f + n_s))
            block[0, n_f + j] = -1.0
            for t in range(n_tasks):
                block[1 + t, t:n_f:n_tasks] = -D[j]
            A.append(block)
            b.append(np.zeros(n_tasks + 1))
            cones.append(clarabel.SecondOrderConeT(n_tasks + 1))
        matrices = sparse.csc_matrix(np.triu(P)), q, sparse.csc_matrix(np.vstack(A)), np.concatenate(b)
        best, best_gap = None, np.inf
        for tol in (1e-13, 1e-12, 1e-11, 1e-10):
            settings = clarabel.DefaultSettings()
            settings.verbose, settings.max_iter = False, 200
            settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tol
            found = clarabel.DefaultSolver(*matrices, cones, settings).solve()
            if "DualInfeasible" in str(found.status):
                # delta pays more than any bend costs
                return np.full((n, n_tasks), np.inf), np.inf
            # too small a tolerance can make it break off early
            gap = abs(found.obj_val - found.obj_val_dual)
            if gap < best_gap:
                best, best_gap = np.array(found.x)[:n_f], gap
            if gap <= 1e-11 * max(abs(found.obj_val), 1.0):
                break
        return best.reshape(n, n_tasks), best_gap * price


def fewest_knots(x, values, most):
    """The fewest knots of a minimum-norm interpolant of one task at all of `x`, none missing.

    Brute force: knots lie at data points or anywhere inside intervals, at most one of them in each
    interval (two in one interval act like its two ends); which places bend is tried exhaustively, by a
    feasibility programme in the masses and moments of the bends.
    """
    target = second_differences(x) @ values
    n = len(target)
    for count in range(most + 1):
        for places in itertools.combinations(range(2 * n - 1), count):
            if _can_bend_at(places, target):
                return count
    return None


def _can_bend_at(places, target):
    """Whether one bend at each of `places` makes the slope changes: place 2 j is the inner point j, place
    2 j + 1 the open interval to its right. A bend of mass m at the share s of an interval acts
    like m (1 - s) and m s at its ends, which are free but of one sign with m."""
    columns, n = [], len(target)
    for place in places:
        left = np.eye(n)[place // 2]
        columns.append(left)
        if place % 2:
            columns.append(np.eye(n)[place // 2 + 1])
    signs = []
    for place in places:
        signs.append([1] if place % 2 == 0 else [1, 1])
    if not columns:
        return not np.any(np.abs(target) > 1e-9)
    A = np.array(columns).T
    limit = np.abs(target).sum()
    for choice in itertools.product((1, -1), repeat=len(places)):
        sign = np.concatenate([np.array(s) * c for s, c in zip(signs, choice, strict=True)])
        found = linprog(np.ones(A.shape[1]), A_eq=A * sign, b_eq=target, bounds=(0.0, None), method="highs")
        if found.status == 0 and found.fun <= limit * (1 + 1e-9):
            return True
    return False
