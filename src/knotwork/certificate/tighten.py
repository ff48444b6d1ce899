"""Several inputs beyond exact reach: what the doubly non-negative relaxation proves of the optimum."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._validate import as_count, as_generator
from ..dual_norm import Rigour
from ..dual_norm._branching import Branching
from ..dual_norm._splitting import Quadratic
from ..dual_norm.relaxation import lift_of
from ..dual_norm.several import MAX_CELLS, Best, UnitNeurons
from ..losses import Squared
from ..network import ReLUNetwork
from ..problem import Problem
from . import certify
from .labels import Labels, judge
from .record import Certificate

Array = NDArray[np.float64]
# steps until what is proven is looked at, growing by a factor, and the most before lifts are told apart
_CHECK, _MORE, _LONGEST = 100, 1.3, 3000
_GAIN, _IDLE, _MODEL_EVERY = 1e-3, 4, 20
_FLAT = 1e-2


class _Bounded(UnitNeurons):
    """Unit neurons of which nothing is known but that none responds more than `proven`."""

    proven: float = float("inf")

    def maximise(self, alpha: Array, floor: float = 0.0, n_best: int = 200) -> Best:
        proven = min(self.proven, self.spectral_bound(alpha))
        return Best(np.zeros((0, self.X.shape[1] + 1)), np.zeros(0), proven, Rigour.BOUNDED)


def tighten(
    problem: Problem,
    network: ReLUNetwork,
    *,
    max_seconds: float | None = 10.0,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
) -> Certificate:
    """A proven lower bound of the optimum where `certify` has but a search: rigour BOUNDED.

    The dual point maximises the dual objective where the doubly non-negative relaxation of the dual norm
    is at most lam; then it is scaled by a bound of the dual norm that is proven whatever the relaxation's
    solver left undone (`dual_norm.relaxation.proven_square`). Where there is time, neurons are told apart
    by the signs that they see at more and more of the data, which is tighter. For small N: a step costs an
    eigenvalue problem of N + d + T for every choice of signs that carries neurons. Until every sign is
    told the relaxation is not exact: the gap that remains says little of the network.

    Parameters
    ----------
    problem : every loss and number of inputs; every penalty but a nuclear skip connection.
    network : near the optimum, as from `solve`; it is what the gap is about.
    max_seconds : when to stop; None is when nothing more is gained.
    max_cells, random_state : as in `certify`, whose certificate is returned where it is EXACT and that
        many cells are enumerated in half the time.

    Raises
    ------
    TypeError, ValueError : for a network that does not fit the problem, a nuclear skip connection in
        several inputs, or arguments of the wrong kind.
    """
    problem.check_network(network)
    cells, rng = as_count(max_cells, "max_cells"), as_generator(random_state, "random_state")
    clock = _Clock(max_seconds)
    units = None
    if problem.n_inputs > 1:
        half = 0.5 * clock.left()
        units = UnitNeurons(problem.X, problem.penalty, cells, rng, lambda: clock.left() < half)
    if units is None or units.is_exact:
        return certify(problem, network, max_cells=cells, random_state=rng)
    if problem.penalty.skip == "nuclear":
        raise ValueError(
            "problem: penalty.skip must not be 'nuclear', of which no relaxation is known here; use certify"
        )
    tightening = _Tightening(problem, network)
    tightening.improve(clock)
    best = tightening.best
    top = units.search(best.dual_point).neurons
    return replace(best, worst_neuron=top[0] if len(top) else None)


class _Clock:
    def __init__(self, max_seconds: object) -> None:
        seconds = np.inf if max_seconds is None else max_seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f"max_seconds: must be a number > 0 or None, got {max_seconds!r}")
        if not seconds > 0:
            raise ValueError(f"max_seconds: must be > 0, got {max_seconds!r}; None sets no limit")
        self.ends = time.monotonic() + seconds

    def left(self) -> float:
        return self.ends - time.monotonic()


class _Tightening:
    """The best certificate so far: at first that of the network's own dual point and the spectral bound."""

    def __init__(self, problem: Problem, network: ReLUNetwork) -> None:
        self.network, self.bounded = network, _Bounded(problem.X, problem.penalty)
        self.labels = Labels.of(problem, self.bounded)
        self.f = network.predict(problem.X)
        alpha = self.labels.gradient_point(self.f)
        self.quadratic = _model(self.labels, self.f)
        self.best = judge(self.labels, network, self.f, alpha).certificate
        self.quadratic_loss = problem.lam == 0 or isinstance(problem.loss_function, Squared)

    def improve(self, clock: _Clock) -> None:
        """Until nothing more is gained, or time is up."""
        problem = self.labels.problem
        canonical = self.network.canonicalise(problem.penalty)
        seen = canonical.W @ problem.X.T + canonical.b[:, None]
        lam = problem.lam if problem.lam > 0 else 1.0
        lift = lift_of(problem.X, problem.penalty)
        branching = Branching(lift, self.quadratic, lam, seen, canonical.V)
        splitting = branching.splitting
        wait, check, grown, idle, known = _CHECK, _CHECK, 0, 0, 0.0
        enough = self.best.primal / (1.0 + _GAIN)
        while clock.left() > 0 and idle < _IDLE and self.best.bound < enough:
            splitting.advance()
            if splitting.steps % _MODEL_EVERY == 0 and not self.quadratic_loss:
                splitting.change(_model(self.labels, splitting.predictions))
            if splitting.steps < check and clock.left() > 0:
                continue
            settled = self._judged(branching, clock) or splitting.steps - grown >= _LONGEST
            wait = _CHECK if settled else int(_MORE * wait)
            check = splitting.steps + wait
            if settled and clock.left() > 0:
                idle = idle + 1 if self.best.bound <= known * (1.0 + _GAIN) else 0
                known, grown = max(known, self.best.bound), splitting.steps
                branching.grow()

    def _judged(self, branching: Branching, clock: _Clock) -> bool:
        """Keep what is proven now, where it is the best. Whether less is lost by what the relaxation's
        solver left undone than by the relaxation."""
        alpha, lam = self.labels.feasible(branching.splitting.alpha), branching.splitting.lam
        norm = branching.norm_here(alpha)
        here, hoped = self._certificate(alpha, norm).bound, self._certificate(alpha, min(norm, lam)).bound
        settled = hoped - here <= self.best.primal - hoped
        if settled or here > self.best.bound:
            elsewhere = branching.norm_elsewhere(alpha, lambda: clock.left() <= 0)
            proven = self._certificate(alpha, max(norm, elsewhere))
            if proven.bound > self.best.bound:
                self.best = proven
        return settled

    def _certificate(self, alpha: Array, norm: float) -> Certificate:
        """If no unit neuron responds more to `alpha` than `norm`."""
        self.bounded.proven = norm
        return judge(self.labels, self.network, self.f, alpha).certificate


def _model(labels: Labels, f: Array) -> Quadratic:
    """The dual objective, or where the loss is not squared its model at the predictions f (N, T)."""
    problem, w = labels.problem, labels.w
    penalty = problem.penalty
    Z = np.ones((len(labels.X), 1))
    if penalty.skip != "none":
        X = labels.X if penalty.biases else labels.X - labels.X.mean(axis=0)
        Z = np.column_stack([Z, X])
    seen = w > 0
    if problem.lam > 0:
        h = w * np.maximum(labels.loss.curvature_bound(labels.y, f), _FLAT)
        e = 1.0 / np.where(seen, h, 1.0)
        y = np.where(seen, f - e * w * labels.loss.gradient(labels.y, f), 0.0)
        ridge = problem.lam
    else:
        e, y, ridge = np.zeros_like(w), labels.y, 1.0
    return Quadratic(y, np.where(seen, e, np.inf), Z, ridge if penalty.biases else 0.0)
