"""One input, free biases, free skip connection, squared loss: the exact solution (A (9), Lemma 3.2).

The optimum is piecewise linear with knots at data points: minimise over fitted values
sum w (y - f)^2 / 2 + lam sum_j |change of slope at x_j|_2, group l1 trend filtering on an
irregular grid. A working set of knots is solved from the moments of the bins; the dual potential
then shows where knots are missing and which bins must be looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins, feature_factor
from ..dual_norm.knots import Maximum, hidden_bound, row_norms
from ..points import Index, Points
from .corrective import Reduced, correct
from .spline import Spline

Array = NDArray[np.float64]
_ROUNDING = 1e-13
_MOST_NEW = 300


class WorkingSet:
    """Knots under consideration, their masses, and the bins that show the data to them."""

    def __init__(
        self,
        points: Points,
        lam: float,
        out_of_time: Callable[[], bool] = lambda: False,
        bins: Bins | None = None,
    ) -> None:
        self.lam = lam
        self.out_of_time = out_of_time
        self.points = points
        self.bins = Bins(points) if bins is None else bins
        self.knots: Index = np.zeros(0, dtype=np.intp)
        self.masses: Array = np.zeros(0)
        self.objective = float("inf")
        self.gap = self.proven_gap = float("inf")
        self.grew = False

    def start_from(self, location: Array, size: Array) -> None:
        """Warm start: knots at `location` (K,) of cost `size` (K,), moved to the data around them."""
        x = self.points.x
        inside = (location > x[0]) & (location < x[-1])
        if not inside.any():
            return
        location, size = location[inside], size[inside]
        left = np.searchsorted(x, location, side="right") - 1
        share = (location - x[left]) / (x[left + 1] - x[left])
        mass = np.zeros(len(x))
        np.add.at(mass, left, (1.0 - share) * size)
        np.add.at(mass, left + 1, share * size)
        wanted = np.flatnonzero(mass[1:-1]) + 1
        self.bins.refine_around(x[wanted])
        self.knots, self.masses = np.searchsorted(self.bins.start, wanted), mass[wanted]

    @property
    def points_of_knots(self) -> Index:
        """(K,) the knots as indices of the points."""
        return self.bins.start[self.knots]

    def fit(self, tol: float) -> Spline:
        """Solve for the present knots, finely enough for a relative gap of `tol` in the end;
        those of zero mass leave the set."""
        bins, started = self.bins, np.isfinite(self.gap)
        # no digit is wasted while knots are still missing
        fine = 0.05 * tol * self.objective if started else 0.0
        loose = 0.01 * self.gap if self.grew and started else 0.0
        table = feature_factor(bins, self.knots)
        self.masses, V, free = fit_masses(table, self.lam, self.masses, fine, loose, self.out_of_time)
        alive = self.masses > 0
        self.knots, self.masses = self.knots[alive], self.masses[alive]
        return Spline(bins.x[0], free[0], free[1], bins.x[self.knots], V[alive])

    def price(self, spline: Spline, tol: float) -> None:
        """Update objective and gaps for `spline`; while its gap is above `tol` of the objective,
        add the knots whose potential is too large. `grew` says whether any were added.

        Bins beside knots are split where what they hide, rather than what is seen, decides the
        gap. What the other bins hide is for the certificate to find (`add_hidden`).
        """
        cost = row_norms(spline.V)
        while True:
            bins = self.bins
            total, moment, square = bins.residual_sums(spline.on(bins))
            p, _ = bins.potential(total, moment)
            norms = row_norms(p)
            bound = hidden_bound(norms, bins.slack(square))
            misfit = float(square.sum())
            response = np.einsum("kt,kt->k", spline.V, p[self.knots])

            gap_at = partial(_gap_at, self.lam, cost, response, misfit)
            self.objective = self.points.scatter + 0.5 * misfit + self.lam * float(cost.sum())
            target = tol * self.objective
            beside = np.zeros(len(bins), dtype=bool)
            beside[self.knots] = beside[self.knots - 1] = True
            seen = float(norms.max(initial=0.0))
            worst = max(seen, float(bound[beside].max(initial=0.0)))
            self.gap, self.proven_gap = gap_at(worst), gap_at(float(bound.max(initial=0.0)))
            if self.gap <= target or gap_at(seen) > 0.3 * self.gap:
                break
            hides = beside & (bins.size > 1) & (bound > self.lam + 0.1 * (worst - self.lam))
            if not hides.any():
                break
            self.knots = bins.refine(hides)[self.knots]
        self.grew = self.gap > target and self.add_peaks(norms)

    def add_hidden(self, best: Maximum) -> None:
        """Add the knots that a certificate found inside bins; `grew` says whether there were any."""
        self.grew = self.add_peaks(self._show(best))

    def _show(self, best: Maximum) -> Array:
        """Make the hidden peaks anchors; |p| there, 0 at the other anchors."""
        old = self.bins.start[self.knots]
        self.bins.refine_around(self.points.x[best.hidden])
        self.knots = np.searchsorted(self.bins.start, old)
        shown = np.zeros(len(self.bins))
        shown[np.searchsorted(self.bins.start, best.hidden)] = best.hidden_norms
        return shown

    def add_peaks(self, norms: Array, sides: bool = False) -> bool:
        """Add the anchors where |p| (m,) peaks above lam, with `sides` those too where it has come
        down halfway to lam; whether there were any but knots."""
        new = new_peaks(norms, self.lam, self.knots, sides)
        if len(new) == 0:
            return False
        knots = np.concatenate([self.knots, new])
        order = np.argsort(knots)
        self.knots = knots[order]
        self.masses = np.concatenate([self.masses, np.zeros(len(new))])[order]
        return True


def fit_masses(
    table: Array, lam: float, masses: Array, fine: float, loose: float, out_of_time: Callable[[], bool]
) -> tuple[Array, Array, Array]:
    """Masses (K,), jumps V (K, T) and the line (2, T) of the best fit with the knots of `table`, a
    `moments_factor`; from `masses`, as far as `correct` goes."""
    n_knots = len(masses)
    R, C = table[:, :, : n_knots + 2], table[:, :, n_knots + 2 :]
    if n_knots:
        masses, V = correct(Reduced(R[:, 2:, 2:], C[:, 2:]), lam, masses, fine, loose, out_of_time)
    else:
        V = np.zeros((0, len(C) * C.shape[2]))
    per_pattern = V[None] if len(R) == 1 else V.T[:, :, None]
    free = np.linalg.solve(R[:, :2, :2], C[:, :2] - R[:, :2, 2:] @ per_pattern)
    return masses, V, np.asarray(free[0] if len(R) == 1 else free[:, :, 0].T, dtype=np.float64)


def _gap_at(lam: float, cost: Array, response: Array, misfit: float, largest: float) -> float:
    """Objective less the dual value at the residual, scaled so that `largest` |p| becomes lam."""
    scale = min(1.0, lam / largest) if largest > 0 else 1.0
    terms = np.maximum(lam * cost - scale * response, 0.0)
    return float(terms.sum()) + 0.5 * (1.0 - scale) ** 2 * misfit


def peaks_above(norms: Array, lam: float) -> NDArray[np.bool_]:
    """Local maxima of |p| above lam, but for the outermost data."""
    edge = np.concatenate([[0.0], norms, [0.0]])
    peak = (norms > lam * (1.0 + _ROUNDING)) & (norms >= edge[:-2]) & (norms > edge[2:])
    peak[0] = peak[-1] = False
    return peak


def new_peaks(norms: Array, lam: float, knots: Index, sides: bool) -> Index:
    """(h,) the highest peaks of |p| (m,) above lam that are no knots, with `sides` the places beside
    them too where |p| has come down halfway to lam."""
    peak = peaks_above(norms, lam)
    peak[knots] = False
    new = np.flatnonzero(peak)
    most = max(30, min(2 * len(knots), _MOST_NEW))
    new = new[np.argsort(-norms[new], kind="stable")[:most]]
    return np.setdiff1d(_with_sides(norms, new, lam), knots) if sides and len(new) else np.sort(new)


def _with_sides(norms: Array, peaks: Index, lam: float) -> Index:
    """The peaks, and to either side of each where |p| has come down halfway to lam."""
    sides = [peaks]
    for peak in peaks.tolist():
        low = norms < 0.5 * (norms[peak] + lam)
        left, right = low[peak::-1], low[peak:]
        sides.append(np.array([peak - int(np.argmax(left)), peak + int(np.argmax(right))]))
    return np.unique(np.clip(np.concatenate(sides), 1, len(norms) - 1))
