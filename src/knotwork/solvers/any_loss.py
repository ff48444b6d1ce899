"""Any loss, penalty and number of inputs but the plain squared problem of `one_input`: which method, and its
certificate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..certificate.labels import Judged, Labels, judge
from ..dual_norm.several import MAX_CELLS, UnitNeurons
from ..free_parts import affine_fit, recession
from ..losses import Loss, Multinomial, PerTask, Quantile, SmoothedQuantile, Squared
from ..network import ReLUNetwork
from ..points import Points
from ..problem import INTERPOLATION_TOLERANCE, Problem
from ..solution import Solution, Status
from . import several_inputs
from .conditional_gradient import Fit, minimise, start_atoms
from .dense import Squares
from .dictionary import Atoms
from .models import Knots, Neurons, Several
from .polish import polish
from .proximal_newton import Inner, Iterate, Smooth, newton
from .watch import Watch

Array = NDArray[np.float64]
_COARSE = 1 << 11
_FAR = 60.0
_MULTIPLIER_STEPS = 60
_TIGHTER = 0.2


def solve_any_loss(
    problem: Problem,
    watch: Watch,
    start: ReLUNetwork | None,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
) -> Solution:
    """The certified optimum."""
    if problem.n_inputs > 1:
        units = UnitNeurons(problem.X, problem.penalty, max_cells, random_state)
        return _several(problem, watch, start, units)
    free_knots = not problem.penalty.biases and problem.penalty.skip == "free"
    if isinstance(problem.loss, Squared) and problem.lam > 0:
        return _squared(problem, watch, start)
    if problem.lam > 0 and not problem.penalty.biases:
        aside = _set_aside(problem, free_knots)
        if aside is not None:
            return _without(problem, watch, start, *aside)
    inner: Inner
    if free_knots:
        inner = Knots(problem.lam, watch.out_of_time)
    else:
        inner = Neurons(problem.lam if problem.lam > 0 else 1.0, problem.penalty, watch.out_of_time)
    return _by_models(problem, Labels.of(problem), watch, start, inner, free_knots)


def _by_models(
    problem: Problem,
    labels: Labels,
    watch: Watch,
    start: ReLUNetwork | None,
    inner: Inner,
    free_knots: bool,
) -> Solution:
    if problem.lam == 0 or not labels.loss.smooth:
        return _multipliers(problem, labels, watch, start, inner)
    smooth = Smooth(labels.X, labels.y, labels.w, labels.loss, problem.lam, problem.penalty)
    lost = None
    if start is None:
        start = smooth.free_fit()
    if isinstance(problem.loss, Multinomial) and not problem.penalty.biases and problem.n_inputs == 1:
        lost = recession(labels.x, labels.y, labels.w, labels.loss, free_knots)
        if lost is not None:
            start = ReLUNetwork(start.W, start.b, start.V, _FAR * lost[0], _FAR * lost[1])
    judged: Judged | None = None
    network = start

    def step_done(now: Iterate) -> bool:
        nonlocal judged, network
        gap = max(now.promised, 0.0)
        near = gap <= 10.0 * watch.tol * abs(now.objective)
        if near or watch.out_of_time():
            here = judge(labels, now.network, now.fitted, labels.gradient_point(now.fitted))
            gap = here.certificate.gap
            if judged is None or gap < judged.certificate.gap:
                judged, network = here, now.network
        stop = watch.round_done(now.objective, gap, now.network.n_neurons)
        return stop or (judged is not None and judged.certificate.relative_gap <= watch.tol)

    last = newton(smooth, inner, start, watch.tol, step_done, polish)
    here = judge(labels, last.network, last.fitted, labels.gradient_point(last.fitted))
    if judged is None or here.certificate.gap < judged.certificate.gap:
        judged, network = here, last.network
    solution = watch.finish(problem, network, judged.certificate)
    return _unattained(solution) if lost is not None else solution


def _several(problem: Problem, watch: Watch, start: ReLUNetwork | None, units: UnitNeurons) -> Solution:
    labels = Labels.of(problem, units)
    if not (isinstance(problem.loss, Squared) and problem.lam > 0):
        lam = problem.lam if problem.lam > 0 else 1.0
        inner = Several(lam, problem.penalty, units, watch.out_of_time)
        return _by_models(problem, labels, watch, start, inner, False)
    shared = bool(np.all(labels.w == labels.w[:, :1]))
    plain = problem.sample_weight is None and not problem.has_gaps
    y, rotation = labels.y, None
    if shared and problem.n_tasks > len(labels.y):
        # squared loss sees the labels through their products only
        rotation, R = np.linalg.qr(labels.y.T)
        y = np.ascontiguousarray(R.T)
    squares = Squares(labels.X, y, None if plain else labels.w[:, :1] if shared else labels.w)
    penalty = problem.penalty
    atoms = several_inputs.Atoms.of(np.zeros((0, problem.n_inputs + 1)))
    if start is not None:
        atoms = several_inputs.start_atoms(start, penalty)
    best: tuple[Judged, ReLUNetwork] | None = None
    tol = 0.5 * watch.tol

    def round_done(fit: several_inputs.Fit) -> bool:
        return watch.round_done(fit.objective, fit.gap, fit.network.n_neurons)

    while True:
        fit = several_inputs.minimise(squares, problem.lam, penalty, units, atoms, tol, round_done)
        network = fit.network
        if rotation is not None:
            V, A, c = (part @ rotation.T for part in (network.V, network.A, network.c))
            network = ReLUNetwork(network.W, network.b, V, A, c)
        f = network.predict(labels.X)
        here = judge(labels, network, f, labels.gradient_point(f))
        if best is None or here.certificate.gap < best[0].certificate.gap:
            best = here, network
        certificate = best[0].certificate
        if certificate.relative_gap <= watch.tol or watch.status is not None or tol < 0.1 * watch.tol:
            return watch.finish(problem, best[1], certificate)
        tol, atoms = 0.03 * tol, fit.atoms


def _unattained(solution: Solution) -> Solution:
    ended_well = solution.status is Status.OPTIMAL
    return replace(solution, status=Status.UNATTAINED) if ended_well else solution


def _squared(problem: Problem, watch: Watch, start: ReLUNetwork | None) -> Solution:
    points, penalty = Points.from_problem(problem), problem.penalty
    atoms = Atoms.none() if start is None else start_atoms(start, penalty)
    labels = Labels.of(problem)
    if len(points.x) > 4 * _COARSE and start is None:
        # the best knots of averaged data are close to those of the data themselves
        rough = _averaged(points, len(points.x) // _COARSE)
        atoms = minimise(
            rough, problem.lam, penalty, atoms, 1e-7, lambda fit: watch.out_of_time(), watch.out_of_time
        ).atoms
    best: tuple[Judged, ReLUNetwork] | None = None
    tol = 0.5 * watch.tol

    def round_done(fit: Fit) -> bool:
        return watch.round_done(fit.objective, fit.gap, fit.network.n_neurons)

    while True:
        fit = minimise(points, problem.lam, penalty, atoms, tol, round_done, watch.out_of_time)
        f = fit.network.predict(labels.x)
        here = judge(labels, fit.network, f, labels.gradient_point(f))
        if best is None or here.certificate.gap < best[0].certificate.gap:
            best = here, fit.network
        certificate = best[0].certificate
        if certificate.relative_gap <= watch.tol or watch.status is not None or tol < 0.1 * watch.tol:
            return watch.finish(problem, best[1], certificate)
        tol, atoms = 0.03 * tol, fit.atoms


def _averaged(points: Points, size: int) -> Points:
    start = np.arange(0, len(points.x), size)
    w = points.weights()
    y = np.where(w > 0, points.y, 0.0)
    weight = np.add.reduceat(w, start, axis=0)
    mean = np.add.reduceat(w * y, start, axis=0) / np.where(weight > 0, weight, 1.0)
    count = np.diff(np.append(start, len(points.x)))
    shared = points.w is None or points.w.shape[1] == 1
    return Points(np.add.reduceat(points.x, start) / count, mean, weight[:, :1] if shared else weight)


def _set_aside(problem: Problem, free_knots: bool) -> tuple[NDArray[np.bool_], Array, Array, bool] | None:
    """Tasks that never bend: (which, their A (1, T), their c (T,), whether any is separable)."""
    loss, labels = problem.loss_function, Labels.of(problem)
    n_tasks = problem.n_tasks
    A, c = np.zeros((1, n_tasks)), np.zeros(n_tasks)
    few = np.zeros(n_tasks, dtype=bool)
    if free_knots:
        x = np.where(labels.w > 0, labels.x[:, None], np.nan)
        few = np.nanmax(x, axis=0) == np.nanmin(x, axis=0)
    if isinstance(loss, Multinomial):
        if not few.all():
            return None
        return _classes_at_one_input(labels)
    found = recession(labels.x, labels.y, labels.w, loss, free_knots)
    lost = np.zeros(n_tasks, dtype=bool)
    rest = labels.w
    if found is not None:
        lost = found[2].any(axis=0)
        rest = np.where(found[2], 0.0, labels.w)
    aside = few | lost
    if not aside.any():
        return None
    own = loss.of_tasks(aside)
    A_own, c_own = affine_fit(labels.x[:, None], labels.y[:, aside], rest[:, aside], own, linear=False)
    A[:, aside], c[aside] = A_own, c_own
    if found is not None:
        length = _FAR + np.abs(c)
        A, c = A + length * found[0], c + length * found[1]
    return aside, A, c, bool(lost.any())


def _classes_at_one_input(labels: Labels) -> tuple[NDArray[np.bool_], Array, Array, bool]:
    """Constants are all there is; those of classes never seen go far down."""
    n_tasks = labels.y.shape[1]
    found = recession(labels.x, labels.y, labels.w, labels.loss, False)
    far = np.zeros(n_tasks) if found is None else _FAR * found[1]
    _, c = affine_fit(
        labels.X, labels.y, labels.w, labels.loss, linear=False, offset=np.zeros_like(labels.y) + far
    )
    return np.ones(n_tasks, dtype=bool), np.zeros((1, n_tasks)), far + c, found is not None


def _without(
    problem: Problem,
    watch: Watch,
    start: ReLUNetwork | None,
    aside: NDArray[np.bool_],
    A: Array,
    c: Array,
    unattained: bool,
) -> Solution:
    """Solve for the other tasks, and put those that never bend beside them."""
    n_tasks, rest = problem.n_tasks, ~aside
    network = ReLUNetwork(np.zeros((0, 1)), np.zeros(0), np.zeros((0, n_tasks)), A, c)
    if rest.any():
        weight = problem.sample_weight
        small = Problem(
            problem.X,
            problem.Y[:, rest],
            problem.lam,
            problem.loss_function.of_tasks(rest),
            problem.penalty,
            weight if weight is None or weight.ndim == 1 else weight[:, rest],
        )
        if start is not None:
            start = ReLUNetwork(start.W, start.b, start.V[:, rest], start.A[:, rest], start.c[rest])
        found = solve_any_loss(small, watch, start).network
        V, A, c = np.zeros((found.n_neurons, n_tasks)), A.copy(), c.copy()
        V[:, rest], A[:, rest], c[rest] = found.V, found.A, found.c
        network = ReLUNetwork(found.W, found.b, V, A, c)
    labels = Labels.of(problem)
    f = network.predict(labels.x)
    judged = judge(labels, network, f, labels.gradient_point(f))
    if not watch.trace:
        watch.round_done(judged.certificate.primal, judged.certificate.gap, network.n_neurons)
    solution = watch.finish(problem, network, judged.certificate)
    return _unattained(solution) if unattained else solution


def _multipliers(
    problem: Problem, labels: Labels, watch: Watch, start: ReLUNetwork | None, inner: Inner
) -> Solution:
    """The method of multipliers: smooth problems on labels shifted by the dual estimate `a`.

    At lam = 0 labels must be met: the squared loss over mu. Else the quantile losses are
    replaced by their envelopes of width mu.
    """
    if problem.lam == 0:
        _require_consistent(labels)
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


def _require_consistent(labels: Labels) -> None:
    _, which = np.unique(labels.X, axis=0, return_inverse=True)
    which = which.ravel()
    high = np.full((int(which.max()) + 1, labels.y.shape[1]), -np.inf)
    low = -high
    np.maximum.at(high, which, np.where(labels.w > 0, labels.y, -np.inf))
    np.minimum.at(low, which, np.where(labels.w > 0, labels.y, np.inf))
    wrong = np.argwhere(high - low > INTERPOLATION_TOLERANCE * labels.problem.label_scale)
    if len(wrong):
        row = labels.order[int(np.flatnonzero(which == wrong[0, 0])[0])]
        raise ValueError(
            f"Y: task {int(wrong[0, 1])} has labels that differ at the inputs of row {int(row)}; no network "
            "interpolates them, use lam > 0"
        )


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
