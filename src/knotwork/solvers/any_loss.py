"""Any loss, penalty and number of inputs but the plain squared problem of `one_input`: which method, and its
certificate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..certificate.labels import Judged, Labels, judge
from ..dual_norm.several import MANY, MAX_CELLS, UnitNeurons
from ..free_parts import recession
from ..losses import Multinomial, Squared
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..points import Points
from ..problem import Problem
from ..solution import Solution, Status
from . import several_inputs
from .centred import about, far_origin, moved
from .conditional_gradient import Fit, minimise, start_atoms
from .dense import Squares
from .dictionary import Atoms
from .models import Knots, Neurons, Several
from .multipliers import multipliers
from .polish import polish
from .proximal_newton import Inner, Iterate, Smooth, newton
from .unattained import FAR, as_unattained, without_lost_labels, without_tasks_that_never_bend
from .watch import Watch

Array = NDArray[np.float64]
_COARSE = 1 << 11
_ROUGH = 1e-4


def solve_any_loss(
    problem: Problem,
    watch: Watch,
    start: ReLUNetwork | None,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
) -> Solution:
    """The certified optimum."""
    origin = far_origin(problem)
    if origin is not None:
        return _about(problem, origin, watch, start, max_cells, random_state)
    if problem.n_inputs > 1:
        units = UnitNeurons(problem.X, problem.penalty, max_cells, random_state, watch.out_of_time)
        return _several(problem, watch, start, units)
    free_knots = not problem.penalty.biases and problem.penalty.skip == "free"
    if isinstance(problem.loss, Squared) and problem.lam > 0:
        return _squared(problem, watch, start)
    if problem.lam > 0 and not problem.penalty.biases:

        def solve(small: Problem, its_start: ReLUNetwork | None) -> Solution:
            return solve_any_loss(small, watch, its_start)

        found = without_tasks_that_never_bend(problem, watch, start, free_knots, solve)
        if found is not None:
            return found
    inner: Inner
    if free_knots:
        inner = Knots(problem.lam, watch.out_of_time)
    else:
        inner = Neurons(problem.lam if problem.lam > 0 else 1.0, problem.penalty, watch.out_of_time)
    return _by_models(problem, Labels.of(problem), watch, start, inner)


def _about(
    problem: Problem,
    origin: Array,
    watch: Watch,
    start: ReLUNetwork | None,
    max_cells: int,
    random_state: int | np.random.Generator | None,
) -> Solution:
    """Solved with `origin` for 0 and moved back; the certificate is that of the network returned."""
    if start is not None:
        start = moved(start, -origin)
    solution = solve_any_loss(about(problem, origin), watch, start, max_cells, random_state)
    network = moved(solution.network, origin)
    labels = Labels.of(problem, max_cells=max_cells, random_state=random_state)
    alpha = labels.feasible(solution.certificate.dual_point[labels.order])
    judged = judge(labels, network, network.predict(labels.X), alpha)
    again = watch.finish(problem, network, judged.certificate)
    return as_unattained(again) if solution.status is Status.UNATTAINED else again


def _by_models(
    problem: Problem,
    labels: Labels,
    watch: Watch,
    start: ReLUNetwork | None,
    inner: Inner,
) -> Solution:
    if problem.lam == 0 or not labels.loss.smooth:
        return multipliers(problem, labels, watch, start, inner)
    smooth = Smooth(labels.X, labels.y, labels.w, labels.loss, problem.lam, problem.penalty)
    lost = None
    if start is None:
        start = smooth.free_fit()
    if isinstance(problem.loss, Multinomial) and not problem.penalty.biases:
        lost = recession(labels.X, labels.y, labels.w, labels.loss, labels.linear_free)
        if lost is not None:
            start = ReLUNetwork(start.W, start.b, start.V, FAR * lost[0], FAR * lost[1])
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
    return as_unattained(solution) if lost is not None else solution


def _several(problem: Problem, watch: Watch, start: ReLUNetwork | None, units: UnitNeurons) -> Solution:
    labels = Labels.of(problem, units)
    if not (isinstance(problem.loss, Squared) and problem.lam > 0):
        lam = problem.lam if problem.lam > 0 else 1.0
        if problem.lam > 0 and not problem.penalty.biases and not isinstance(problem.loss, Multinomial):

            def solve(small: Problem, its_start: ReLUNetwork | None) -> Solution:
                return _several(small, watch, its_start, units)

            found = without_lost_labels(problem, labels, watch, start, solve)
            if found is not None:
                return found
        inner = Several(lam, problem.penalty, units, watch.out_of_time)
        return _by_models(problem, labels, watch, start, inner)
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
    tol, led = 0.5 * watch.tol, False

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
        if certificate.relative_gap <= watch.tol or watch.status is not None:
            return watch.finish(problem, best[1], certificate)
        if tol >= 0.1 * watch.tol:
            tol, atoms = 0.03 * tol, fit.atoms
        elif start is None and not led and len(labels.X) < MANY:
            led, tol = True, 0.5 * watch.tol
            atoms = _from_above(squares, problem.lam, penalty, units, watch)
        else:
            return watch.finish(problem, best[1], certificate)


def _from_above(
    squares: Squares, lam: float, penalty: Penalty, units: UnitNeurons, watch: Watch
) -> several_inputs.Atoms:
    """Those of the optimum at 10 lam, reached from 100 and 1000 lam: fewer neurons, and none in the way."""
    atoms = several_inputs.Atoms.of(np.zeros((0, squares.X.shape[1] + 1)))
    for factor in (1000.0, 100.0, 10.0):
        fit = several_inputs.minimise(
            squares, factor * lam, penalty, units, atoms, _ROUGH, lambda fit: watch.out_of_time()
        )
        atoms = fit.atoms
    return atoms


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
