"""The method of multipliers: losses with kinks, and labels that must be met (lam = 0)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..certificate.labels import Judged, Labels, judge
from ..losses import Loss, PerTask, Quantile, SmoothedQuantile, Squared
from ..network import ReLUNetwork
from ..problem import INTERPOLATION_TOLERANCE, Problem
from ..solution import Solution
from .consistent import require_consistent
from .proximal_newton import Inner, Iterate, Smooth, newton
from .watch import Watch

Array = NDArray[np.float64]
_MULTIPLIER_STEPS = 60
_TIGHTER = 0.2


def multipliers(
    problem: Problem, labels: Labels, watch: Watch, start: ReLUNetwork | None, inner: Inner
) -> Solution:
    """The method of multipliers: smooth problems on labels shifted by the dual estimate `a`.

    At lam = 0 labels must be met: the squared loss over mu. Else the quantile losses are
    replaced by their envelopes of width mu.
    """
    if problem.lam == 0:
        require_consistent(problem)
    lam = problem.lam if problem.lam > 0 else 1.0
    seen = labels.w > 0
    spread = float(np.std(labels.y[seen])) or 1.0
    mu, least = 0.1 * spread, 1e-3 if problem.lam > 0 else 1e-8
    a = np.zeros_like(labels.y)
    steep = (
        _quantiles(labels.loss, problem.n_tasks) if problem.lam > 0 else np.ones(problem.n_tasks, dtype=bool)
    )
    network = start
    best: tuple[Judged, ReLUNetwork] | None = None
    wanted, violation = 1e-4, 0.0
    for _ in range(_MULTIPLIER_STEPS):
        shifted = labels.y + mu * np.where(steep, a, 0.0)
        if problem.lam > 0:
            w, loss = labels.w, _smoothed(labels.loss, problem.n_tasks, mu)
        else:
            w, loss = np.where(seen, 1.0 / mu, 0.0), Squared()
        smooth = Smooth(labels.X, shifted, w, loss, lam, problem.penalty)
        if network is None:
            network = smooth.free_fit()
        now = newton(smooth, inner, network, wanted, _Twice(wanted))
        network = now.network
        gradient = -loss.gradient(shifted, now.fitted) * (1.0 / mu if problem.lam == 0 else 1.0)
        a = np.where(seen, gradient, 0.0)
        met = _met(problem, labels, network, now.fitted)
        alpha = labels.feasible(a * (labels.w if problem.lam > 0 else 1.0))
        here = judge(labels, met, met.predict(labels.X), alpha)
        if (
            best is None
            or here.certificate.gap < best[0].certificate.gap
            or not np.isfinite(best[0].certificate.gap)
        ):
            best = here, met
        certificate = best[0].certificate
        if watch.round_done(certificate.primal, certificate.gap, met.n_neurons):
            break
        if certificate.relative_gap <= watch.tol:
            break
        missed = float(np.abs(np.where(seen, labels.y - now.fitted, 0.0)).max())
        if problem.lam > 0 or missed > 0.3 * violation:
            mu = max(_TIGHTER * mu, least * spread)
        violation, wanted = missed, max(0.1 * wanted, 1e-4 * watch.tol)
    assert best is not None
    return watch.finish(problem, best[1], best[0].certificate)


class _Twice:
    """Stop a Newton iteration at the second step in a row that promises at most `share` of the
    objective: the first of them leaves the dual point its square root, the second mends that."""

    def __init__(self, share: float) -> None:
        self.share, self.before = share, False

    def __call__(self, now: Iterate) -> bool:
        small = now.promised <= self.share * now.objective
        done, self.before = small and self.before, small
        return done


def _met(problem: Problem, labels: Labels, network: ReLUNetwork, f: Array) -> ReLUNetwork:
    """At lam = 0 the network whose output weights meet the labels, changed least."""
    if problem.lam > 0 or problem.misfit(network) <= 0.1 * INTERPOLATION_TOLERANCE * problem.label_scale:
        return network
    hidden = np.maximum(labels.X @ network.W.T + network.b, 0.0)
    features = np.column_stack([hidden, np.ones(len(labels.X))])
    if problem.penalty.skip != "none":
        features = np.column_stack([features, labels.X])
    V, A, c = network.V.copy(), network.A.copy(), network.c.copy()
    for t in range(problem.n_tasks):
        rows = labels.w[:, t] > 0
        change = np.linalg.lstsq(features[rows], (labels.y - f)[rows, t], rcond=1e-13)[0]
        V[:, t] += change[: network.n_neurons]
        c[t] += change[network.n_neurons]
        if problem.penalty.skip != "none":
            A[:, t] += change[network.n_neurons + 1 :]
    return ReLUNetwork(network.W, network.b, V, A, c)


def _quantiles(loss: Loss, n_tasks: int) -> NDArray[np.bool_]:
    losses = loss.losses if isinstance(loss, PerTask) else (loss,) * n_tasks
    return np.array([isinstance(one, Quantile) for one in losses])


def _smoothed(loss: Loss, n_tasks: int, mu: float) -> Loss:
    losses = loss.losses if isinstance(loss, PerTask) else (loss,) * n_tasks
    return PerTask(
        tuple(SmoothedQuantile(one.tau, mu) if isinstance(one, Quantile) else one for one in losses)
    )
