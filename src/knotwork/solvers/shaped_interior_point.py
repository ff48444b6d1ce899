"""Fits of a given shape, few places: a convex programme over the values there, by an interior point.

minimise sum_t f_t' M_t f_t / 2 - r_t' f_t + sum_j c((D f)_j) over values f (m, T) at the places of a `Mesh`,
D their changes of slope, c a `KnotPenalty`, subject to slopes of given signs. Mehrotra's predictor and
corrector. The bends have two copies, one in the cone |u|_2 <= t (Nesterov-Todd scaling, `cones.py`) and
one u = u+ - u-, u+, u- >= 0, each with its share of the dual variable; both leave the Newton system, which
couples neighbouring places only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

from ..certificate.knot_penalty import KnotPenalty
from ..dual_norm.knots import dual_point_of, row_norms, slope_changes
from ..points import Index
from .cones import ConeScaling, cone_reach, divide, dual_reach
from .mesh import Mesh

Array = NDArray[np.float64]
_MAX_STEPS, _PATIENCE = 100, 8
_SHORTEST, _NEARLY_ALL = 1e-8, 0.99
# what M gets where labels leave values open
_RIDGE = 1e-10
# the start: the least loss as a share of the labels' squares, bends in units of the residual, and how far
# slopes are from 0, in units of the others and of the values
_LEAST, _BENT, _SLOPED, _VISIBLE = 1e-16, 4.0, 1e-3, 1e-6
_NOISE = 16.0 * float(np.finfo(float).eps)
_gbtrf, _gbtrs = get_lapack_funcs(("gbtrf", "gbtrs"), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Iterate:
    """Values f (m, T), the bends u (c, T) of the charged places, the dual point z (m - 2, T) of all inner
    ones, the multipliers (m - 1, H) of the held slopes, and the gap that complementarity leaves; `settled`
    says whether the dual point is stationary to rounding."""

    f: Array
    u: Array
    z: Array
    multipliers: Array
    gap: float
    settled: bool


@dataclass(frozen=True, eq=False)
class _State:
    """Primal and dual variables inside their cones, or a direction of them.

    t (c,), u2 (c, T), z2 (c, T) : the bends in the second-order cones.
    z1 (c, B), rise (c, P), fall (c, N) : the copy u+ - u- of the bends of boxed tasks.
    z (m - 2, T) : all of the dual variable of D f, of places that are not charged too.
    s, multipliers (m - 1, H) : held slopes.
    """

    f: Array
    t: Array
    u2: Array
    z2: Array
    z1: Array
    rise: Array
    fall: Array
    z: Array
    s: Array
    multipliers: Array

    def moved(self, step: float, by: _State) -> _State:
        return _State(*(getattr(self, one.name) + step * getattr(by, one.name) for one in fields(self)))


class _Programme:
    """The fixed part of a problem: which bends and slopes are there, and the Newton system's."""

    def __init__(self, mesh: Mesh, penalty: KnotPenalty) -> None:
        self.mesh, self.penalty = mesh, penalty
        self.charged = np.flatnonzero(mesh.charged[1:-1])
        self.forced = np.flatnonzero(mesh.forced[1:-1])
        self.held = np.flatnonzero(penalty.direction)
        self.sign = penalty.direction[self.held]
        self.boxed = np.flatnonzero((penalty.lam_private > 0) | ~(penalty.up & penalty.down))
        self.up = np.flatnonzero(penalty.up[self.boxed])
        self.down = np.flatnonzero(penalty.down[self.boxed])
        self.h = np.diff(mesh.x)[:, None]
        steep = 1.0 / self.h
        self.kappa = 1.0 / (steep[:-1] + steep[1:])
        self._lay_out()

    def slopes(self, f: Array) -> Array:
        """(m - 1, H) of the held tasks, times their signs."""
        return self.sign * np.diff(f[:, self.held], axis=0) / self.h

    def pulled(self, z: Array, multipliers: Array) -> Array:
        """(m, T) D' z + S' multipliers."""
        out = dual_point_of(self.mesh.x, z)
        steep = self.sign * multipliers / self.h
        out[1:, self.held] += steep
        out[:-1, self.held] -= steep
        return out

    def slack(self, z1: Array) -> tuple[Array, Array]:
        """What pairs with u+ and with u-."""
        lam_private = self.penalty.lam_private
        return lam_private + z1[:, self.up], lam_private - z1[:, self.down]

    def spread(self, boxed: Array) -> Array:
        """(c, T) of (c, B), 0 for the other tasks."""
        out = np.zeros((len(boxed), self.mesh.pull.shape[1]))
        out[:, self.boxed] = boxed
        return out

    def split(self, rise: Array, fall: Array) -> Array:
        """(c, B) u+ - u-."""
        out = np.zeros((len(rise), len(self.boxed)))
        out[:, self.up] += rise
        out[:, self.down] -= fall
        return out

    def _lay_out(self) -> None:
        """Bands of [[M, -D', -S'], [D, ., 0], [S, 0, .]], place by place, D and S scaled to entries of
        about 1."""
        mesh, (m, n_tasks), n_held = self.mesh, self.mesh.pull.shape, len(self.held)
        self.block = 2 * n_tasks + n_held
        self.width = self.block + n_tasks
        self.bands = np.zeros((3 * self.width + 1, m * self.block), order="F")
        place = self.block * np.arange(m)[:, None]
        self.values = place + np.arange(n_tasks)
        self.duals = place + n_tasks + np.arange(n_tasks)
        self.holds = place + 2 * n_tasks + np.arange(n_held)
        ridge = _RIDGE * mesh.diagonal.mean(axis=0) + np.finfo(float).tiny
        self.put(self.values, self.values, mesh.diagonal + ridge)
        self.put(self.values[1:], self.values[:-1], mesh.beside)
        self.put(self.values[:-1], self.values[1:], mesh.beside)
        for ends in (self.duals[[0, -1]], self.holds[-1:]):
            self.put(ends, ends, np.ones(ends.shape))
        inner = self.duals[1:-1]
        self.put(inner[self.forced], inner[self.forced], np.ones((len(self.forced), n_tasks)))
        bent = np.setdiff1d(np.arange(m - 2), self.forced)
        first, last = self.kappa / self.h[:-1], self.kappa / self.h[1:]
        for shift, coefficient in ((0, first), (1, -np.ones_like(first)), (2, last)):
            rows, columns = inner[bent], self.values[bent + shift]
            entries = np.broadcast_to(coefficient[bent], rows.shape)
            self.put(rows, columns, entries)
            self.put(columns, rows, -entries)
        rows = self.holds[:-1]
        for shift, sign in ((0, -self.sign), (1, self.sign)):
            columns = self.values[shift : m - 1 + shift][:, self.held]
            self.put(rows, columns, np.broadcast_to(sign, rows.shape))
            self.put(columns, rows, np.broadcast_to(-sign, rows.shape))

    def put(self, rows: Index, columns: Index, entries: Array, bands: Array | None = None) -> None:
        out = self.bands if bands is None else bands
        out[2 * self.width + rows - columns, columns] = entries

    def start(self) -> _State:
        """Least-squares lines, bent a little and turned where they must be, so that all constraints hold,
        and products of all pairs alike."""
        mesh, penalty, c = self.mesh, self.penalty, len(self.charged)
        x, f = mesh.x, mesh.lines()
        loss = max(mesh.loss(f), _LEAST * mesh.squares) or 1.0
        rms = np.sqrt(2.0 * loss / max(float(mesh.diagonal.sum()), np.finfo(float).tiny))
        bend = min(_BENT * rms / (x[-1] - x[0]), loss / penalty.lam) / max(c, 1)
        one_sided = penalty.up.astype(float) - penalty.down
        hinges = np.maximum(x[:, None] - x[1:-1][self.charged], 0.0).sum(axis=1)
        tilt = (hinges[-1] - hinges[0]) / (x[-1] - x[0])
        f = f + bend * (hinges - tilt * (x - x[0]))[:, None] * one_sided
        slopes = self.slopes(f)
        least = loss / (penalty.lam * max(c, 1)) + _SLOPED * np.abs(slopes).max(initial=0.0)
        least += _VISIBLE * float(np.abs(f).max()) / (x[-1] - x[0])
        f[:, self.held] += self.sign * np.maximum(least - slopes.min(axis=0), 0.0) * (x - x.mean())[:, None]
        each = (max(mesh.loss(f), _LEAST * mesh.squares) or 1.0) / max(c, 1)
        u = np.broadcast_to(bend * one_sided, (c, len(one_sided)))
        t = np.sqrt(np.einsum("ij,ij->i", u, u) + (each / penalty.lam) ** 2)
        # of a task that may bend both ways the dual variable starts at 0
        beyond = np.where(one_sided == 0, 0.0, each / bend - penalty.lam_private) * np.sign(one_sided)
        z1 = np.broadcast_to(beyond[self.boxed], (c, len(self.boxed)))
        above, below = self.slack(z1)
        z = np.zeros((len(x) - 2, len(one_sided)))
        z[self.charged] = self.spread(z1)
        s = self.slopes(f)
        return _State(f, t, u, 0.0 * u, z1, each / above, each / below, z, s, each / s)

    def infeasible(self, state: _State) -> tuple[Array, Array]:
        """D f less the bends, (m - 2, T), and the slopes of f less s: 0 where that is rounding of f, and
        at free knots."""
        off, slopes = slope_changes(self.mesh.x, state.f), self.slopes(state.f) - state.s
        off[self.charged] -= state.u2
        off[self.forced] = 0.0
        noise = _NOISE * float(np.abs(state.f).max())
        off[np.abs(off) * self.kappa <= noise] = 0.0
        slopes[np.abs(slopes) * self.h <= noise] = 0.0
        return off, slopes

    def unmet(self, state: _State) -> float:
        """How far the constraints are from holding, as a sum of slopes."""
        copies = self.split(state.rise, state.fall) - state.u2[:, self.boxed]
        return float(sum(np.abs(off).sum() for off in (*self.infeasible(state), copies)))


class _Newton:
    """One factorised Newton system at a state; its right-hand sides differ in complementarity alone."""

    def __init__(self, programme: _Programme, state: _State) -> None:
        self.programme, self.state = programme, state
        self.off, self.off_slopes = programme.infeasible(state)
        self.scaling = ConeScaling(state.t, state.u2, programme.penalty.lam, state.z2)
        self.above, self.below = programme.slack(state.z1)
        square = (self.scaling.eta * self.scaling.eta)[:, None]
        w1 = self.scaling.w1
        loose = programme.spread(programme.split(state.rise / self.above, -state.fall / self.below))
        # (H1 + H2)^-1 and the parallel sum of H1 = diag(loose) and H2 = square (1 + 2 w1 w1')
        shared = np.zeros_like(w1)
        shared[:, programme.boxed] = 1.0
        self.inverse = shared / (loose + square)
        self.share = square * self.inverse
        apart = np.where(shared > 0, loose * self.share, square)
        self.denominator = 1.0 + 2.0 * np.einsum("ij,ij->i", w1 * w1, self.share)
        self.pulled = apart * w1
        self.weight = (2.0 / square[:, 0] / self.denominator)[:, None]
        self.square = square
        self.residual = programme.mesh.gradient(state.f) - programme.pulled(state.z, state.multipliers)
        self._factorise(apart)

    def _factorise(self, apart: Array) -> None:
        programme = self.programme
        bands = programme.bands.copy(order="F")
        at, kappa = programme.duals[1:-1][programme.charged], programme.kappa[programme.charged]
        for k in range(at.shape[1]):
            entries = self.weight * self.pulled * np.roll(self.pulled, -k, axis=1)
            entries = (entries + apart if k == 0 else entries) * kappa * kappa
            programme.put(at, np.roll(at, -k, axis=1), entries, bands)
        holds = programme.holds[:-1]
        programme.put(holds, holds, programme.h**2 * self.state.s / self.state.multipliers, bands)
        self.lu, self.pivots, info = _gbtrf(bands, programme.width, programme.width, overwrite_ab=True)
        if info != 0:
            raise np.linalg.LinAlgError

    def direction(
        self, r0: Array, r1: Array, rise: Array, fall: Array, hold: Array
    ) -> tuple[_State, tuple[Array, Array]]:
        """The direction with W^-1 ds + W dz = r in the cones and v dw + w dv = rise, fall, hold for the
        pairs, and that part of it in the scaled cones: what its products are made of."""
        programme, state, scaling = self.programme, self.state, self.scaling
        x0, x1 = scaling.times(r0, r1)
        above, below, w1 = rise / self.above, fall / self.below, scaling.w1
        first = x1 - self.off[programme.charged]
        second = programme.split(above, below) - self.off[programme.charged][:, programme.boxed]
        second += programme.split(state.rise, state.fall) - state.u2[:, programme.boxed]
        between = programme.spread(second - first[:, programme.boxed])
        share = self.share * between
        # free knots have a dual variable of 0, places that are neither free nor charged a bend of 0
        target = -self.off
        inner = np.einsum("ij,ij->i", w1, share)[:, None]
        target[programme.charged] = first + share + self.weight * self.pulled * inner
        held = hold / state.multipliers

        right = np.zeros((len(state.f), programme.block))
        n_tasks = state.f.shape[1]
        right[:, :n_tasks] = -self.residual
        right[1:-1, n_tasks : 2 * n_tasks] = programme.kappa * target
        right[:-1, 2 * n_tasks :] = programme.h * (held - self.off_slopes)
        solved, _ = _gbtrs(self.lu, programme.width, programme.width, right.ravel(), self.pivots)
        solved = solved.reshape(right.shape)
        df = solved[:, :n_tasks]
        dz = programme.kappa * solved[1:-1, n_tasks : 2 * n_tasks]
        dm = programme.h * solved[:-1, 2 * n_tasks :]

        own = dz[programme.charged]
        seen = self.square * (own + 2.0 * w1 * np.einsum("ij,ij->i", w1, own)[:, None])
        part = self.inverse * (between + programme.spread(seen[:, programme.boxed]))
        across = np.einsum("ij,ij->i", w1, part)[:, None]
        part -= 2.0 * self.square * self.inverse * w1 * across / self.denominator[:, None]
        dz1, dz2 = part[:, programme.boxed], own - part
        q0, q1 = scaling.square_times(dz2)
        dt, du = x0 - q0, x1 - q1
        d_rise = above - state.rise / self.above * dz1[:, programme.up]
        d_fall = below + state.fall / self.below * dz1[:, programme.down]
        ds = held - state.s / state.multipliers * dm
        a0, a1 = scaling.inverse_times(dt, du)
        b0, b1 = scaling.times(np.zeros(len(dt)), dz2)
        product = a0 * b0 + np.einsum("ij,ij->i", a1, b1), b0[:, None] * a1 + a0[:, None] * b1
        return _State(df, dt, du, dz2, dz1, d_rise, d_fall, dz, ds, dm), product


def interior_point(mesh: Mesh, penalty: KnotPenalty, step_done: Callable[[Iterate], bool]) -> Iterate:
    """Iterate until `step_done`, or until float64 allows no further step."""
    programme = _Programme(mesh, penalty)
    state = programme.start()
    n_pairs = len(state.t) + state.rise.size + state.fall.size + state.s.size
    least, since = float("inf"), 0
    for step_number in range(_MAX_STEPS + 1):
        gap = _complementarity(programme, state)
        pulled = programme.pulled(state.z, state.multipliers)
        residual = mesh.gradient(state.f) - pulled
        rounding = _NOISE * np.abs(mesh.pull).max()
        settled = np.abs(residual).max() <= max(1e-9 * np.abs(pulled).max(), rounding)
        iterate = Iterate(state.f, state.u2, state.z, state.multipliers, gap, bool(settled))
        # while constraints are not met the gap may rise
        merit = gap + penalty.lam * programme.unmet(state)
        if merit < 0.5 * least:
            least, since = merit, step_number
        if step_done(iterate) or step_number == _MAX_STEPS or step_number - since > _PATIENCE:
            return iterate
        try:
            newton = _Newton(programme, state)
        except np.linalg.LinAlgError:
            return iterate
        l0, l1 = newton.scaling.point
        above, below = newton.above, newton.below
        pairs = -state.rise * above, -state.fall * below, -state.s * state.multipliers
        ahead, (c0, c1) = newton.direction(-l0, -l1, *pairs)
        step = min(1.0, _reach(programme, state, ahead))
        share = min(1.0, max(_complementarity(programme, state.moved(step, ahead)) / gap, 0.0))
        centring = share**3 * gap / n_pairs
        q0, q1 = divide(l0, l1, centring - c0, -c1)
        by, _ = newton.direction(
            q0 - l0,
            q1 - l1,
            centring + pairs[0] - ahead.rise * ahead.z1[:, programme.up],
            centring + pairs[1] + ahead.fall * ahead.z1[:, programme.down],
            centring + pairs[2] - ahead.s * ahead.multipliers,
        )
        step = min(1.0, _NEARLY_ALL * _reach(programme, state, by))
        moved = state.moved(step, by)
        if not (step > _SHORTEST and _inside(programme, moved)):
            return iterate
        state = moved
    raise AssertionError("unreachable: the last step returns")


def _complementarity(programme: _Programme, state: _State) -> float:
    above, below = programme.slack(state.z1)
    total = float(np.sum(state.t)) * programme.penalty.lam + float(np.vdot(state.u2, state.z2))
    total += float(np.vdot(state.rise, above)) + float(np.vdot(state.fall, below))
    return total + float(np.vdot(state.s, state.multipliers))


def _reach(programme: _Programme, state: _State, by: _State) -> float:
    """The longest step that stays inside."""
    longest = min(
        cone_reach(state.t, state.u2, by.t, by.u2),
        dual_reach(programme.penalty.lam, state.z2, by.z2),
    )
    above, below = programme.slack(state.z1)
    for value, change in (
        (state.rise, by.rise),
        (state.fall, by.fall),
        (above, by.z1[:, programme.up]),
        (below, -by.z1[:, programme.down]),
        (state.s, by.s),
        (state.multipliers, by.multipliers),
    ):
        falling = change < 0
        longest = min(longest, float(np.min(-value[falling] / change[falling], initial=np.inf)))
    return longest


def _inside(programme: _Programme, state: _State) -> bool:
    above, below = programme.slack(state.z1)
    positive = (state.rise, state.fall, above, below, state.s, state.multipliers)
    cones = np.all(state.t > row_norms(state.u2)) and np.all(row_norms(state.z2) < programme.penalty.lam)
    return bool(cones and all(np.all(one > 0) for one in positive) and np.isfinite(state.f).all())
