"""Shared and private knots: what a knot costs, and where it may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..dual_norm.knots import row_norms
from ..losses import Squared
from ..network import safe_row_norms
from ..penalty import Penalty
from ..points import Index, Mask, Points
from ..problem import Problem

Array = NDArray[np.float64]
Shape = str | None
Monotone = str | None
_ROUNDING = 4.0 * float(np.finfo(float).eps)
_INDEPENDENT = 1e-12
_LEAK = 1e-11
_MAX_STEPS = 100


@dataclass(frozen=True, eq=False)
class KnotPenalty:
    """lam |v|_2 + lam_private |v|_1 of a knot's jumps v (T,); infinite where a sign is not allowed.

    up, down : (T,) whether the slope of a task may jump up, or down.
    direction : (T,) 1 where a task may not fall, -1 where it may not rise, 0 where it is free.
    """

    lam: float
    lam_private: float
    up: Mask
    down: Mask
    direction: Array

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """(T,) how far p_t may rise, and fall, before the task asks for a jump."""
        return np.where(self.up, self.lam_private, np.inf), np.where(self.down, self.lam_private, np.inf)

    def shrink(self, p: Array) -> Array:
        """q(p) for p (n, T): each entry moved by lam_private towards 0, 0 where its sign is not allowed."""
        high, low = self.bounds
        return p - np.clip(p, -low, high)

    def response(self, p: Array) -> Array:
        """(n,) |q(p)|_2 of p (n, T); the dual point is feasible where it is at most lam."""
        return row_norms(self.shrink(p))

    def cost(self, V: Array) -> Array:
        """(K,) of jumps V (K, T) of allowed signs."""
        return self.lam * safe_row_norms(V) + self.lam_private * np.abs(V).sum(axis=1)

    def allows(self, V: Array) -> bool:
        """Whether jumps V (K, T) have allowed signs."""
        return not (np.any(V[:, ~self.up] > 0) or np.any(V[:, ~self.down] < 0))

    def marginal(self, V: Array) -> Array:
        """(K, T) the gradient of the cost at jumps V, 0 where a task does not jump."""
        size = safe_row_norms(V)[:, None]
        unit = np.divide(V, size, out=np.zeros_like(V), where=size > 0)
        return self.lam * unit + self.lam_private * np.sign(V)

    def scale(self, p: Array) -> Array:
        """(T,) the largest s <= 1, one for all tasks, with |q(s p)|_2 <= lam at every row of p (n, T).

        At lam = 0 the tasks are apart, and each has its own. Newton's method from s = 1 on the convex
        |q(s p)|, which comes down to its root from above.
        """
        if self.lam == 0:
            high, low = self.bounds
            ratio = np.maximum(p.max(axis=0, initial=0.0) / high, -p.min(axis=0, initial=0.0) / low)
            return 1.0 / np.maximum(ratio, 1.0)
        s, rounding = 1.0, _ROUNDING * (self.lam + self.lam_private)
        for _ in range(_MAX_STEPS):
            q = self.shrink(s * p)
            norms = row_norms(q)
            above = norms > self.lam + rounding
            if not above.any():
                return np.full(p.shape[1], s)
            p, q, norms = p[above], q[above], norms[above]
            lower = float(np.min(s - (norms - self.lam) * (norms / np.einsum("nt,nt->n", q, p))))
            # where a step is lost to rounding, a hair below is on the safe side
            s = lower if lower < s else s * (1.0 - _ROUNDING)
        # p has left float64; 0 is always feasible
        return np.zeros(p.shape[1])


@dataclass(frozen=True, eq=False)
class Places:
    """Where knots may be: the data, more places without labels, and which of them are open.

    points : the labelled data at distinct inputs.
    x : (n,) the inputs of `points`, and the ends of allowed intervals and forced knots among them.
    y, root : (n, T) labels and (n, P) square roots of weights, 0 where there is no label.
    open : (n,) whether a penalised knot may be there.
    forced : places in `x` of the knots that cost nothing.
    allowed : (m, 2) closed intervals, sorted and apart.
    """

    points: Points
    x: Array
    y: Array
    root: Array
    open: Mask
    forced: Index
    allowed: Array

    @classmethod
    def of(cls, problem: Problem, allowed: Array, forced: Array) -> Places:
        points = Points.from_problem(problem)
        first, last = points.x[0], points.x[-1]
        outside = forced[(forced <= first) | (forced >= last)]
        if len(outside):
            raise ValueError(
                f"forced: {outside[0]:g} is not strictly between the first and the last labelled input, "
                f"{first:g} and {last:g}, so that no label sees it; leave it out"
            )
        more = np.concatenate([allowed.ravel(), forced])
        more = more[(more > first) & (more < last)]
        x, which = np.unique(np.concatenate([points.x, more]), return_index=True)
        real = which < len(points.x)
        w = np.ones((len(points.x), 1)) if points.w is None else points.w.astype(np.float64)
        root, y = np.zeros((len(x), w.shape[1])), np.zeros((len(x), points.n_tasks))
        root[real] = np.sqrt(w)
        y[real] = np.where(w > 0, points.y, 0.0)
        at = np.searchsorted(x, forced)
        is_open = inside(x, allowed) & (x > first) & (x < last)
        is_open[at] = False
        return cls(points, x, y, root, is_open, at, allowed)

    @cached_property
    def _features(self) -> Array:
        """(n, f) 1, x and the forced hinges."""
        hinges = np.maximum(self.x[:, None] - self.x[self.forced], 0.0)
        span = max(float(self.x[-1] - self.x[0]), 1e-300)
        return np.column_stack([np.ones_like(self.x), (self.x - self.x.mean()) / span, hinges / span])

    @cached_property
    def _free_basis(self) -> tuple[Array, Array]:
        """(P, n, f) orthonormal: root times the features, columns of 0 where a task's labels cannot tell
        them apart; and (P, f, f) what makes it of them."""
        return column_space(self.root.T[:, :, None] * self._features)

    def off_free_parts(self, e: Array, pull: Array | None = None) -> Array:
        """e (n, T) in units of root times label less its least-squares fit by the free parts; twice, for
        the second pass removes the rounding of the first.

        With `pull` (n - 1, T) on the slopes: the nearest whose products with the free parts cancel it, as
        far as labels tell them apart.
        """
        basis, inverse = self._free_basis
        stack = e[None] if len(basis) == 1 else e.T[:, :, None]
        across = basis.transpose(0, 2, 1)
        goal = np.zeros(1)
        if pull is not None:
            slopes = np.diff(self._features, axis=0) / np.diff(self.x)[:, None]
            wanted = -slopes.T @ pull
            goal = inverse.transpose(0, 2, 1) @ (wanted[None] if len(basis) == 1 else wanted.T[:, :, None])
        for _ in range(2):
            stack = stack - basis @ (across @ stack - goal)
        return stack[0] if len(basis) == 1 else stack[:, :, 0].T

    def leaks(self, rest: Array, pull: Array) -> Mask:
        """(T,) where products with the free parts are more than rounding: `rest` (n, T) and `pull` on the
        slopes do not cancel."""
        slopes = np.diff(self._features, axis=0) / np.diff(self.x)[:, None]
        alpha = self.root * rest
        left = np.abs(self._features.T @ alpha + slopes.T @ pull).max(axis=0)
        size = np.abs(self._features).T @ np.abs(alpha) + np.abs(slopes).T @ np.abs(pull)
        return left > _LEAK * size.max(axis=0)

    def potential(self, alpha: Array, pull: Array | None = None) -> Array:
        """p (n, T) with p_j = sum over i < j of alpha_i (x_j - x_i) less `pull` (n - 1, T) on the slopes
        there; off the free parts the same as over what lies right of x_j, with the other sign of pull."""
        p, h = np.zeros_like(alpha), np.diff(self.x)
        # a column at a time: NumPy sums those fastest
        for t in range(alpha.shape[1]):
            steps = np.cumsum(alpha[:-1, t]) * h
            np.cumsum(steps if pull is None else steps - pull[:, t], out=p[1:, t])
        return p

    def at(self, p: Array, location: Array) -> Array:
        """p (n, T) at any place: affine between neighbours, 0 outside them."""
        return np.column_stack([np.interp(location, self.x, column, 0.0, 0.0) for column in p.T])


def column_space(M: Array) -> tuple[Array, Array]:
    """Orthonormal bases (P, n, f) of the columns of M (P, n, f), with columns of 0 beyond their rank,
    and C (P, f, f) with M C the basis."""
    size = np.sqrt(np.einsum("pnf,pnf->pf", M, M))[:, None, :]
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    Q, R = np.linalg.qr(M * scale)
    U, s, Vt = np.linalg.svd(R)
    keep = (s > _INDEPENDENT * s[:, :1])[:, None, :]
    inverse = np.divide(1.0, s[:, None, :], out=np.zeros_like(s[:, None, :]), where=keep)
    return Q @ np.where(keep, U, 0.0), scale.transpose(0, 2, 1) * Vt.transpose(0, 2, 1) * inverse


def inside(x: Array, allowed: Array) -> Mask:
    """(n,) whether each x is in one of the closed intervals `allowed` (m, 2), sorted and apart."""
    if len(allowed) == 0:
        return np.zeros(len(x), dtype=bool)
    at = np.searchsorted(allowed[:, 0], x, side="right") - 1
    return (at >= 0) & (x <= allowed[at, 1])


def knot_penalty(
    problem: Problem,
    lam_private: float,
    shape: Shape | Sequence[Shape],
    monotone: Monotone | Sequence[Monotone] = None,
) -> KnotPenalty:
    """The penalty that the arguments of `solve_sparse_group` describe."""
    if problem.n_inputs != 1 or not isinstance(problem.loss, Squared) or problem.penalty != Penalty():
        raise ValueError(
            "problem: shared and private knots need one input, squared loss, and biases and skip connection "
            f"free; got {problem.n_inputs} inputs, loss={problem.loss_function.name!r}, {problem.penalty}"
        )
    if isinstance(lam_private, bool) or not isinstance(lam_private, int | float | np.number):
        raise TypeError(f"lam_private: must be a number >= 0, got {lam_private!r}")
    if not 0 <= lam_private < float("inf"):
        raise ValueError(f"lam_private: must be finite and >= 0, got {lam_private!r}")
    if problem.lam == 0 and lam_private == 0:
        raise ValueError("lam_private: must be > 0 where lam is 0; knotwork.solve interpolates at lam = 0")
    shapes = _each(problem, shape, "shape", ("convex", "concave"))
    up = np.array([one != "concave" for one in shapes])
    down = np.array([one != "convex" for one in shapes])
    ways = _each(problem, monotone, "monotone", ("increasing", "decreasing"))
    direction = np.array([float(way == "increasing") - float(way == "decreasing") for way in ways])
    return KnotPenalty(problem.lam, float(lam_private), up, down, direction)


def knot_places(
    problem: Problem,
    shape: Shape | Sequence[Shape],
    allowed: ArrayLike | None,
    forbidden: ArrayLike | None,
    forced: ArrayLike | None,
) -> Places:
    """The places that the arguments of `solve_sparse_group` describe."""
    if allowed is not None and forbidden is not None:
        raise ValueError("forbidden: give allowed or forbidden, not both")
    intervals = np.array([[-np.inf, np.inf]])
    if allowed is not None:
        given = as_float_array(allowed, "allowed")
        given = np.column_stack([given, given]) if given.ndim == 1 else given
        intervals = _apart(_intervals(given, "allowed"))
    if forbidden is not None:
        shut = _intervals(as_float_array(forbidden, "forbidden"), "forbidden")
        intervals = _between(shut[np.argsort(shut[:, 0])])
    at = np.zeros(0) if forced is None else as_float_array(forced, "forced")
    if at.ndim != 1 or (len(at) and any(_each(problem, shape, "shape", ("convex", "concave")))):
        raise ValueError(
            "forced: must be (m,) places of knots, and none where shape is given: a forced knot may bend "
            f"either way; got {forced!r}"
        )
    return Places.of(problem, intervals, np.unique(at))


def _each(
    problem: Problem, given: str | Sequence[str | None] | None, name: str, known: tuple[str, str]
) -> list[str | None]:
    """One for each task."""
    if given is not None and not isinstance(given, Iterable):
        raise TypeError(f"{name}: must be None, text or a sequence of these, got {given!r}")
    each = [given] * problem.n_tasks if given is None or isinstance(given, str) else list(given)
    if len(each) != problem.n_tasks or any(one not in (None, *known) for one in each):
        raise ValueError(
            f"{name}: must be None, {known[0]!r}, {known[1]!r}, or a sequence of these, one for each of the "
            f"{problem.n_tasks} tasks; got {given!r}"
        )
    return each


def _intervals(given: Array, name: str) -> Array:
    if given.ndim != 2 or given.shape[1] != 2 or np.any(given[:, 0] > given[:, 1]):
        also = " or places (m,)" if name == "allowed" else ""
        raise ValueError(f"{name}: must be intervals (m, 2) with low <= high{also}, got {given!r}")
    return given


def _apart(given: Array) -> Array:
    """The union of closed intervals as intervals that do not meet, sorted."""
    if len(given) == 0:
        return given
    given = given[np.argsort(given[:, 0])]
    reach = np.maximum.accumulate(given[:, 1])
    starts = np.flatnonzero(np.concatenate([[True], given[1:, 0] > reach[:-1]]))
    return np.column_stack([given[starts, 0], reach[np.append(starts[1:], len(given)) - 1]])


def _between(shut: Array) -> Array:
    """The closed intervals that the open ones `shut` (m, 2), sorted by their lower ends, leave."""
    reach = np.maximum.accumulate(np.concatenate([[-np.inf], shut[:, 1]]))
    ends = np.append(shut[:, 0], np.inf)
    return np.column_stack([reach, ends])[reach <= ends]
