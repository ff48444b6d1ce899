"""The squared problems inside other methods: one door to the working set and to conditional gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dual_norm.knots import maximise, row_norms
from ..dual_norm.several import UnitNeurons
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..points import Points
from . import several_inputs
from .conditional_gradient import Fit, minimise, start_atoms
from .dense import Squares
from .spline import Spline
from .working_set import WorkingSet

Array = NDArray[np.float64]
_MAX_ROUNDS = 60
_IDLE_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Knots:
    """Biases and skip connection free: the working set of knots at data points."""

    lam: float
    out_of_time: Callable[[], bool]

    def __call__(self, X: Array, y: Array, w: Array, start: ReLUNetwork, gap: float) -> ReLUNetwork:
        working = WorkingSet(Points.merged(X[:, 0], y, w), self.lam, self.out_of_time)
        location, jump = start.knots
        working.start_from(location, row_norms(jump))
        best: tuple[float, Spline] | None = None
        tol, idle = 1e-15, 0
        for _ in range(_MAX_ROUNDS):
            # labels of little curvature inflate the model's gap: only its absolute size counts
            working.grew = False
            spline = working.fit(tol)
            working.price(spline, tol)
            tol = gap / max(working.objective, 1e-300)
            if best is None or working.gap < best[0]:
                idle = 0 if best is None or working.gap < 0.9 * best[0] else idle + 1
                best = working.gap, spline
            else:
                idle += 1
            if working.gap <= gap or not working.grew:
                # nothing is left to do beside the knots: look everywhere
                working.add_hidden(maximise(working.bins, spline.on(working.bins), floor=self.lam))
                if not working.grew:
                    break
                # its gap did not know of what was hidden
                best = np.inf, spline
            if idle > _IDLE_ROUNDS or self.out_of_time():
                break
        assert best is not None
        return best[1].network()


@dataclass(frozen=True, eq=False)
class Neurons:
    """Penalised biases, or no skip connection: conditional gradient over all neurons."""

    lam: float
    penalty: Penalty
    out_of_time: Callable[[], bool]

    def __call__(self, X: Array, y: Array, w: Array, start: ReLUNetwork, gap: float) -> ReLUNetwork:
        points = Points.merged(X[:, 0], y, w)

        def round_done(fit: Fit) -> bool:
            return fit.gap <= gap or self.out_of_time()

        atoms = start_atoms(start, self.penalty)
        # labels of little curvature inflate the model's gap: only its absolute size counts
        fit = minimise(points, self.lam, self.penalty, atoms, 1e-15, round_done, self.out_of_time, exact=True)
        return fit.network


@dataclass(frozen=True, eq=False)
class Several:
    """Several inputs: conditional gradient by whichever dual norm is in reach."""

    lam: float
    penalty: Penalty
    units: UnitNeurons
    out_of_time: Callable[[], bool]

    def __call__(self, X: Array, y: Array, w: Array, start: ReLUNetwork, gap: float) -> ReLUNetwork:
        def round_done(fit: several_inputs.Fit) -> bool:
            return fit.gap <= gap or self.out_of_time()

        atoms = several_inputs.start_atoms(start, self.penalty)
        shared = bool(np.all(w == w[:, :1]))
        squares = Squares(X, y, w[:, :1] if shared else w)
        fit = several_inputs.minimise(
            squares, self.lam, self.penalty, self.units, atoms, 1e-15, round_done, exact=True
        )
        return fit.network
