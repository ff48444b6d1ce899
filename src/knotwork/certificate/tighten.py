"""Several inputs beyond exact reach: what the doubly non-negative relaxation proves of the optimum."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._validate import as_count, as_generator
from ..dual_norm import Rigour
from ..dual_norm._splitting import Quadratic, Splitting
from ..dual_norm.relaxation import Lift, lifts_of, proven_norm
from ..dual_norm.several import MAX_CELLS, Best, UnitNeurons
from ..losses import Squared
from ..network import ReLUNetwork
from ..problem import Problem
from . import certify
from .labels import Labels, judge
from .record import Certificate

Array = NDArray[np.float64]
_FIRST, _MORE, _GAIN, _IDLE = 60, 1.5, 1e-3, 2
_TIMED, _WORTH, _MODEL_EVERY, _MOST_BRANCHES = 10, 400, 20, 7
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
    solver left undone (`dual_norm.relaxation.proven_square`). Where there is time, the neurons are first
    told apart by the signs that they see at up to seven data, which is tighter. For small N: a step costs
    an eigenvalue problem of N + d + T for every choice of signs. The relaxation is not exact: the gap that
    remains says little of the network.

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
    tightening.improve(lifts_of(problem.X, problem.penalty), clock, share=0.2)
    branched = tightening.worth_branching(clock)
    if len(branched):
        tightening.improve(lifts_of(problem.X, problem.penalty, branched), clock)
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
        self.step_seconds = 0.0

    def improve(self, lifts: list[Lift], clock: _Clock, share: float = 1.0) -> None:
        """Until nothing more is gained, or time is up; or that share of it, if the rest is enough to tell
        neurons apart by a sign."""
        problem = self.labels.problem
        canonical = self.network.canonicalise(problem.penalty)
        seen = canonical.W @ problem.X.T + canonical.b[:, None]
        lam = problem.lam if problem.lam > 0 else 1.0
        splitting = Splitting(lifts, self.quadratic, lam, seen, canonical.V)
        began, limit, ends = time.monotonic(), clock.left(), 0.0
        check, idle, known = _FIRST, 0, 0.0
        while clock.left() > ends and idle < _IDLE:
            splitting.advance()
            if splitting.steps % _MODEL_EVERY == 0 and not self.quadratic_loss:
                splitting.change(_model(self.labels, splitting.predictions))
            if splitting.steps == _TIMED:
                self.step_seconds = (time.monotonic() - began) / _TIMED
                if 2 * _WORTH * self.step_seconds <= limit * (1.0 - share) < np.inf:
                    ends = limit * (1.0 - share)
            if splitting.steps >= check or clock.left() <= ends:
                check = int(_MORE * check)
                dual = self._judged(lifts, splitting)
                idle = idle + 1 if dual <= known * (1.0 + _GAIN) else 0
                known = max(known, dual)

    def worth_branching(self, clock: _Clock) -> NDArray[np.intp]:
        """The data that weigh most, as many as there is time for lifts of their signs."""
        X, penalty = self.labels.X, self.labels.problem.penalty
        steps = clock.left() / max(self.step_seconds, 1e-9) / _WORTH
        if penalty.skip == "free":
            steps *= 2.0
        most = int(np.clip(np.log2(max(steps, 1.0)), 0.0, min(_MOST_BRANCHES, len(X))))
        size = (
            np.linalg.norm(X, axis=1) + 1.0 if penalty.biases else np.linalg.norm(X - X.mean(axis=0), axis=1)
        )
        weight = np.linalg.norm(self.best.dual_point, axis=1) * size
        return np.argsort(-weight, kind="stable")[:most]

    def _judged(self, lifts: list[Lift], splitting: Splitting) -> float:
        """What is proven now, kept where it is the best."""
        alpha = self.labels.feasible(splitting.alpha)
        self.bounded.proven = proven_norm(lifts, alpha, splitting.multipliers())
        certificate = judge(self.labels, self.network, self.f, alpha).certificate
        if certificate.bound > self.best.bound:
            self.best = certificate
        return certificate.bound


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
