"""Fits of a given shape, certified: an interior point on few places, exact zeros, more places.

Between neighbouring places of the mesh the fit is a straight line; where the potential of its residual
exceeds lam inside, the mesh gets more of them, so that N enters through sums over the data alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..certificate import Certificate
from ..certificate.knot_penalty import KnotPenalty, Places
from ..certificate.sparse_group import certify_at, response_at
from ..dual_norm.knots import row_norms
from ..network import Knots, ReLUNetwork
from ..points import Index
from ..problem import Problem
from .mesh import Mesh
from .shaped_interior_point import Iterate, interior_point
from .shaped_polish import Pattern, polish
from .watch import Watch
from .working_set import new_peaks

Array = NDArray[np.float64]
# that many places are taken at once; of more these, and so many a cell where they are missing
_ALL, _COARSE, _FAN = 1024, 256, 8
_ROUGHLY, _ACCURACY = 1e-5, 1e-11
_MAX_ROUNDS = 12
_CLOSEST = 1e-7
_DENSE = 0.2
_FLAT = 1e-9
_LEAST = 1e-16
_NOTHING = 1e-100


def solve_shaped(
    places: Places, penalty: KnotPenalty, problem: Problem, watch: Watch, begin: Knots | None
) -> ReLUNetwork:
    """The best network found."""
    x = places.x
    if len(x) == 1:
        none = np.zeros((0, places.points.n_tasks))
        return ReLUNetwork(none[:, :1], none[:, 0], none, none.sum(axis=0, keepdims=True), places.y[0])
    candidates = _candidates(places)
    at = candidates
    if len(candidates) > _ALL:
        at = candidates[np.linspace(0, len(candidates) - 1, _COARSE).round().astype(np.intp)]
    at = np.union1d(at, places.forced)
    if begin is not None:
        near = np.clip(np.searchsorted(x[candidates], begin.location), 0, len(candidates) - 1)
        at = np.union1d(at, candidates[near])
    search = _Search(places, penalty, problem, watch)
    mesh, iterate = search.located(at, candidates)
    few = mesh
    for _ in range(_MAX_ROUNDS):
        pattern = _pattern(few, penalty, iterate)
        network = search.polished(few, pattern, iterate)
        if search.done():
            break
        if few is mesh:
            if network.n_neurons > _DENSE * len(candidates):
                break
            more = _gathered(places, mesh, pattern, iterate, candidates)
        else:
            knots = np.searchsorted(x, network.knots.location)
            kept = np.union1d(few.at[[0, -1]], np.union1d(places.forced, knots))
            seen = np.zeros_like(x)
            seen[candidates] = response_at(places, penalty, network)[candidates]
            new = new_peaks(seen, penalty.lam, kept, False)
            if len(new) == 0:
                break
            more = np.union1d(kept, new)
        few = Mesh.of(places, more)
        iterate = search.inner(few, _ACCURACY)
    assert search.best is not None
    return search.best[0]


class _Search:
    """The limits, and the best network so far with its certificate."""

    def __init__(self, places: Places, penalty: KnotPenalty, problem: Problem, watch: Watch) -> None:
        self.places, self.penalty, self.problem, self.watch = places, penalty, problem, watch
        self.best: tuple[ReLUNetwork, Certificate] | None = None
        self.stop = False

    def done(self) -> bool:
        assert self.best is not None
        return self.stop or self.best[1].relative_gap <= self.watch.tol

    def inner(self, mesh: Mesh, tol: float) -> Iterate:
        def done(iterate: Iterate) -> bool:
            objective = mesh.loss(iterate.f) + float(self.penalty.cost(iterate.u).sum())
            small = iterate.gap <= max(tol * max(objective, _LEAST * mesh.squares), _NOTHING)
            return (small and iterate.settled) or self.watch.out_of_time()

        return interior_point(mesh, self.penalty, done)

    def located(self, at: Index, candidates: Index) -> tuple[Mesh, Iterate]:
        """A mesh between whose places the dual point is small enough, and the optimum there."""
        places, penalty = self.places, self.penalty
        tol = _ROUGHLY if len(at) < len(candidates) else _ACCURACY
        while True:
            mesh = Mesh.of(places, at)
            iterate = self.inner(mesh, tol)
            response = _response(places, penalty, mesh, iterate)
            most = penalty.lam * (1.0 + 0.1 * self.watch.tol)
            at = np.union1d(at, _missing(response, most, at, candidates))
            if self.watch.out_of_time() or (len(at) == len(mesh.at) and tol == _ACCURACY):
                return mesh, iterate
            if len(at) == len(mesh.at):
                tol = _ACCURACY

    def polished(self, mesh: Mesh, pattern: Pattern, iterate: Iterate) -> ReLUNetwork:
        """The network with exact zeros that `iterate` tends to, recorded."""
        network = polish(mesh, self.penalty, pattern, iterate.f)
        certificate = certify_at(self.places, self.penalty, self.problem, network)
        if self.best is None or certificate.gap < self.best[1].gap:
            self.best = network, certificate
        best = self.best[1]
        self.stop = self.watch.round_done(best.primal, best.gap, self.best[0].n_neurons)
        return network


def _candidates(places: Places) -> Index:
    """Ends, free knots, and places that may be knots, but for those so close to another that slopes between
    them are lost to rounding."""
    x = places.x
    kept = np.union1d([0, len(x) - 1], places.forced)
    least = _CLOSEST * (x[-1] - x[0])
    after = np.searchsorted(kept, np.arange(len(x)))
    near = np.minimum(x - x[kept[np.maximum(after - 1, 0)]], x[kept[after]] - x) <= least
    chosen, last = [], -np.inf
    for one in np.flatnonzero(places.open & ~near):
        if x[one] - last > least:
            chosen.append(one)
            last = x[one]
    return np.union1d(kept, np.array(chosen, dtype=np.intp))


def _response(places: Places, penalty: KnotPenalty, mesh: Mesh, iterate: Iterate) -> Array:
    """(n,) |q(p)| of the residual of the iterate and its multipliers, each spread evenly between the places
    of the mesh; 0 where no knot may be."""
    cell = np.minimum(np.searchsorted(mesh.at, np.arange(len(places.x)), side="right") - 1, len(mesh.x) - 2)
    share = ((places.x - mesh.x[cell]) / np.diff(mesh.x)[cell])[:, None]
    f = (1.0 - share) * iterate.f[cell] + share * iterate.f[cell + 1]
    pull = np.zeros((len(places.x) - 1, f.shape[1]))
    held = np.flatnonzero(penalty.direction)
    evenly = np.diff(places.x) / np.diff(mesh.x)[cell[:-1]]
    pull[:, held] = penalty.direction[held] * iterate.multipliers[cell[:-1]] * evenly[:, None]
    p = places.potential(places.root**2 * (places.y - f), pull)
    return np.where(places.open, penalty.response(p), 0.0)


def _pattern(mesh: Mesh, penalty: KnotPenalty, iterate: Iterate) -> Pattern:
    """Of two things whose product tends to 0, that which is smaller on the scale of its kind is 0."""
    lam, total = penalty.lam, penalty.lam + penalty.lam_private
    p, size = -iterate.z[mesh.charged[1:-1]], row_norms(iterate.u)
    steepest = float(np.abs(np.diff(iterate.f, axis=0) / np.diff(mesh.x)[:, None]).max())
    typical = max(float(size.mean()) if len(size) else 0.0, _FLAT * steepest)
    bent = size * lam > (lam - penalty.response(p)) * typical
    high, low = penalty.bounds
    idle = np.minimum(high - p, p + low) / total
    users = np.zeros(mesh.pull.shape, dtype=bool)
    users[mesh.charged] = bent[:, None] & (np.abs(iterate.u) > np.maximum(idle, 0.0) * size[:, None])
    held = np.flatnonzero(penalty.direction)
    slopes = penalty.direction[held] * np.diff(iterate.f[:, held], axis=0) / np.diff(mesh.x)[:, None]
    still = np.zeros((len(mesh.x) - 1, len(penalty.direction)), dtype=bool)
    still[:, held] = slopes * total < iterate.multipliers * steepest
    return Pattern(users, still)


def _gathered(places: Places, mesh: Mesh, pattern: Pattern, iterate: Iterate, candidates: Index) -> Index:
    """Ends, free knots, and the two candidates around the centre of each run of neighbours that bend: where
    places are close the interior point cannot tell one knot from many."""
    size = np.zeros(len(mesh.x))
    size[mesh.charged] = row_norms(iterate.u)
    size[~np.any(pattern.users, axis=1)] = 0.0
    x, few = places.x[candidates], [np.array([0, len(places.x) - 1]), places.forced]
    for first, last in np.flatnonzero(np.diff(size > 0, prepend=False, append=False)).reshape(-1, 2):
        centre = float(size[first:last] @ mesh.x[first:last] / size[first:last].sum())
        right = int(np.searchsorted(x, centre))
        few.append(candidates[max(right - 1, 0) : right + 1])
    return np.unique(np.concatenate(few))


def _missing(response: Array, most: float, at: Index, candidates: Index) -> Index:
    """Candidates for the mesh in the cells where the dual point is too large: the worst, and some evenly."""
    cell = np.searchsorted(at, candidates, side="right") - 1
    excess = response[candidates] - most
    excess[np.isin(candidates, at)] = 0.0
    new: list[Index] = []
    for one in np.unique(cell[excess > 0]):
        inside = np.flatnonzero(cell == one)
        evenly = np.linspace(0, len(inside) - 1, min(_FAN + 1, len(inside))).round().astype(np.intp)
        new.append(candidates[inside[np.append(evenly, np.argmax(excess[inside]))]])
    return np.setdiff1d(np.concatenate(new), at) if new else np.zeros(0, dtype=np.intp)
