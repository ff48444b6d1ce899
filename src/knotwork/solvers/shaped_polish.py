"""Fits of a given shape: exact zeros, once it is known which tasks bend at which places.

With the users of each knot and the runs where a task stands still given, what is left is smooth but for the
knots' norms, which are not 0: Newton's method over the values at each task's own knots, one value for a run.
What would change its sign on the way leaves the set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ..certificate.knot_penalty import KnotPenalty
from ..certificate.slopes import slopes_of
from ..network import ReLUNetwork
from ..points import Mask
from .mesh import Mesh
from .spline import Spline, connect_the_dots

Array = NDArray[np.float64]
_MAX_STEPS = 60
_SETTLED = 1e-13
_RIDGE = 1e-14
_ROUNDING = 1e-14
_SHORTEST = 1e-6
_NOTHING = 1e-9
_NEARLY_ALL = 0.999


@dataclass(frozen=True, eq=False)
class Pattern:
    """users (m, T): which task bends at which charged place of a mesh. still (m - 1, T): where a task is
    constant."""

    users: Mask
    still: Mask


class _Levels:
    """What a pattern leaves: theta (p,), the values of each task at its own knots, those of a run as one.

    up (m T, p) : to the values on the mesh, task by task.
    slope (S, p) : to the slopes of all tasks between own knots; `left`, `owner` (S,) their places and tasks.
    bend (B, p) : to the jumps of the users; `place`, `task` (B,).
    alone, signed (B,) : whether a jump is the only one at its knot; and whether its sign matters, for it
        is so or is charged for its own sake.
    """

    def __init__(self, mesh: Mesh, penalty: KnotPenalty, pattern: Pattern, f: Array) -> None:
        m, n_tasks = f.shape
        ends = mesh.forced.copy()
        ends[[0, -1]] = True
        self.users, self.still = pattern.users, pattern.still
        theta, up, slope, bend, left, place = [], [], [], [], [], []
        for t in range(n_tasks):
            knots = np.flatnonzero(ends | pattern.users[:, t])
            still = np.logical_or.reduceat(pattern.still[:, t], knots[:-1])
            level = np.concatenate([[0], np.cumsum(~still)])
            merge = sparse.csr_array((np.ones(len(knots)), (np.arange(len(knots)), level)))
            theta.append(merge.T @ f[knots, t] / np.bincount(level))
            h = np.diff(mesh.x[knots])
            at = np.minimum(np.searchsorted(knots, np.arange(m), side="right") - 1, len(h) - 1)
            share = (mesh.x - mesh.x[knots[at]]) / h[at]
            hats = sparse.csr_array(
                (
                    np.concatenate([1.0 - share, share]),
                    (np.tile(np.arange(m), 2), np.concatenate([at, at + 1])),
                )
            )
            up.append(hats @ merge)
            pieces = np.arange(len(h))
            entries = np.concatenate([-1.0 / h, 1.0 / h]), (np.tile(pieces, 2), np.append(pieces, pieces + 1))
            steep = sparse.csr_array(entries) @ merge
            slope.append(steep)
            # between two runs nothing bends
            used = np.flatnonzero(pattern.users[knots[1:-1], t] & ~(still[1:] & still[:-1]))
            bend.append(steep[1:][used] - steep[:-1][used])
            left.append(knots[:-1])
            place.append(knots[1:-1][used])
        self.theta = np.concatenate(theta)
        self.up, self.slope, self.bend = (sparse.block_diag(part, format="csr") for part in (up, slope, bend))
        self.left, self.place = np.concatenate(left), np.concatenate(place)
        tasks = np.arange(n_tasks)
        self.owner, self.task = (np.repeat(tasks, [len(one) for one in part]) for part in (left, place))
        self.alone = np.bincount(self.place, minlength=m)[self.place] == 1
        one_sided = ~(penalty.up & penalty.down) | (penalty.lam_private > 0)
        self.signed = self.alone | one_sided[self.task]

    def values(self, n_tasks: int) -> Array:
        """(m, T)."""
        return (self.up @ self.theta).reshape(n_tasks, -1).T

    def sizes(self) -> Array:
        """(B,) the norm of all jumps at each user's knot."""
        v = self.bend @ self.theta
        return np.sqrt(np.bincount(self.place, v * v, minlength=1))[self.place]

    def objective(self, mesh: Mesh, penalty: KnotPenalty) -> float:
        v = self.bend @ self.theta
        size = np.sqrt(np.bincount(self.place, v * v))
        cost = penalty.lam * float(size.sum()) + penalty.lam_private * float(np.abs(v).sum())
        return mesh.loss(self.values(len(penalty.direction))) + cost

    def network(self, mesh: Mesh, penalty: KnotPenalty) -> ReLUNetwork:
        n_tasks = len(penalty.direction)
        f, jumps = self.values(n_tasks), np.zeros((len(mesh.x), n_tasks))
        slopes = self.slope @ self.theta
        later = self.left > 0
        jumps[self.left[later], self.owner[later]] = slopes[later] - slopes[np.flatnonzero(later) - 1]
        jumps = np.clip(jumps, np.where(penalty.down, -np.inf, 0.0), np.where(penalty.up, np.inf, 0.0))
        bent = np.any(jumps != 0, axis=1)
        if not penalty.direction.any():
            at = np.flatnonzero(bent | np.isin(np.arange(len(bent)), [0, len(bent) - 1]))
            aimed = connect_the_dots(mesh.x[at], f[at], jumps[at[1:-1]] != 0)
            if penalty.allows(aimed.V):
                return aimed
        network = Spline(mesh.x[0], f[0], slopes[~later], mesh.x[bent], jumps[bent]).network()
        # what rounding took slopes beyond 0
        past = np.maximum(-penalty.direction * slopes_of(network)[0], 0.0).max(axis=0)
        return ReLUNetwork(network.W, network.b, network.V, network.A + penalty.direction * past, network.c)


def _bending(mesh: Mesh, penalty: KnotPenalty, levels: _Levels) -> _Levels:
    """Without users whose jump, or knot, has come down to nothing, or whose jump is not allowed."""
    while True:
        v, knot = levels.bend @ levels.theta, levels.sizes()
        lost = np.where(v > 0, ~penalty.up[levels.task], ~penalty.down[levels.task])
        lost |= np.abs(v) <= _SETTLED * np.abs(v).max(initial=0.0)
        lost |= knot <= _NOTHING * knot.max(initial=0.0)
        if not lost.any():
            return levels
        users = levels.users.copy()
        users[levels.place[lost], levels.task[lost]] = False
        levels = _Levels(mesh, penalty, Pattern(users, levels.still), levels.values(len(penalty.direction)))


def polish(mesh: Mesh, penalty: KnotPenalty, pattern: Pattern, f: Array) -> ReLUNetwork:
    """From values f (m, T) to the optimum of the pattern, which loses what does not keep its sign."""
    n_tasks = f.shape[1]
    beside = np.pad(mesh.beside, ((0, 1), (0, 0))).T.ravel()[:-1]
    upper = sparse.csr_array(sparse.diags(beside, 1))
    curvature = sparse.csr_array(sparse.diags(mesh.diagonal.T.ravel())) + upper + upper.T
    levels = _Levels(mesh, penalty, pattern, f)
    for _ in range(_MAX_STEPS):
        levels = _bending(mesh, penalty, levels)
        step, reach, blocked = _newton(levels, penalty, curvature, mesh)
        start, value = levels.theta, levels.objective(mesh, penalty)
        levels.theta = start + reach * step
        while levels.objective(mesh, penalty) > value + _ROUNDING * mesh.squares and reach > _SHORTEST:
            reach, blocked = 0.5 * reach, None
            levels.theta = start + reach * step
        if blocked is None:
            if np.abs(step).max() <= _SETTLED * np.abs(levels.theta).max():
                break
            continue
        users, still = levels.users.copy(), levels.still.copy()
        kind, index = blocked
        if kind == "slope":
            still[levels.left[index], levels.owner[index]] = True
        else:
            users[levels.place[index], levels.task[index]] = False
        levels = _Levels(mesh, penalty, Pattern(users, still), levels.values(n_tasks))
    return _bending(mesh, penalty, levels).network(mesh, penalty)


def _newton(
    levels: _Levels, penalty: KnotPenalty, curvature: sparse.csr_array, mesh: Mesh
) -> tuple[Array, float, tuple[str, int] | None]:
    """The Newton step, how far of it no sign changes, and what changes there."""
    theta, bend = levels.theta, levels.bend
    v, size = bend @ theta, levels.sizes()
    unit = v / size
    gram = levels.up.T @ (curvature @ levels.up)
    gradient = gram @ theta - levels.up.T @ mesh.pull.T.ravel()
    gradient += bend.T @ (penalty.lam * unit + penalty.lam_private * np.sign(v))
    # the norm of a jump of one task is straight
    weight = np.where(levels.alone, 0.0, penalty.lam / size)
    along = sparse.csr_array(
        (np.sqrt(weight) * unit, (np.arange(len(v)), levels.place)), (len(v), len(mesh.x))
    )
    across = bend.T @ along
    stiff = gram + bend.T @ sparse.diags_array(weight) @ bend
    ridge = _RIDGE * float(stiff.diagonal().max())
    step = -splu((stiff - across @ across.T + ridge * sparse.eye_array(len(theta))).tocsc()).solve(gradient)
    moved, slope, slope_moved = bend @ step, levels.slope @ theta, levels.slope @ step
    held = penalty.direction[levels.owner]
    reach, blocked = 1.0, None
    # a knot whose jump turns round on the way is on its own way to 0
    turned = np.bincount(levels.place, unit * moved, minlength=len(mesh.x))[levels.place]
    for kind, value, change in (
        ("knot", np.where(levels.alone, 0.0, size), turned),
        ("jump", np.where(levels.signed, np.abs(v), 0.0), np.sign(v) * moved),
        ("slope", held * slope, held * slope_moved),
    ):
        falling = np.flatnonzero((value > 0) & (value + change < 0))
        if len(falling):
            shares = -value[falling] / change[falling]
            if shares.min() < reach:
                reach, blocked = float(shares.min()), (kind, int(falling[np.argmin(shares)]))
                if kind == "knot":
                    reach, blocked = _NEARLY_ALL * reach, None
    return step, reach, blocked
