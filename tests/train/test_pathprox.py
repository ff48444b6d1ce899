"""PathProx: neurons vanish exactly, the plain method never rises, and both end near the optimum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import knotwork as kw
from knotwork.train.initialisation import initial_parameters

WIDTH = 8


def problem_of(penalty=(False, "free"), lam=0.3, loss="squared"):
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-1, 1, 12))
    return kw.Problem(x, np.column_stack([np.abs(x - 0.2), np.sin(4 * x)]), lam, loss, kw.Penalty(*penalty))


def gradient(problem, p):
    """Of the squared loss."""
    z = problem.X @ p["W"].T + p["b"]
    h = np.maximum(z, 0)
    e = h @ p["V"] + problem.X @ p["A"] + p["c"] - problem.Y
    back = (e @ p["V"].T) * (z > 0)
    X = problem.X
    return {"W": back.T @ X, "b": back.sum(0), "V": h.T @ e, "A": X.T @ e, "c": e.sum(0)}


def textbook_prox(problem, p, size_in, size_out):
    """At free biases, neuron by neuron, with sizes (K,)."""
    p = {name: part.copy() for name, part in p.items()}
    for k in range(len(p["b"])):
        a, v = np.linalg.norm(p["W"][k]), np.linalg.norm(p["V"][k])
        s, t = problem.lam * size_in[k], problem.lam * size_out[k]
        if s * t >= 1:
            # not convex: one of them goes, W where its loss costs less
            p["W" if a**2 / s < v**2 / t else "V"][k] = 0.0
        elif v <= t * a:
            p["V"][k] = 0.0
        elif a <= s * v:
            p["W"][k] = 0.0
        else:
            p["W"][k] *= (a - s * v) / (1 - s * t) / a
            p["V"][k] *= (v - t * a) / (1 - s * t) / v
    return p


def textbook_step(problem, p, size):
    """One size for all."""
    g = gradient(problem, p)
    moved = {name: p[name] - size * g[name] for name in p}
    return textbook_prox(problem, moved, np.full(WIDTH, size), np.full(WIDTH, size))


def test_plain_steps_are_the_textbooks():
    # equal rows make every batch the whole
    problem = kw.Problem(np.full(12, 0.7), np.full((12, 2), [1.0, -1.0]), 2.0)
    p = {name: part[0] for name, part in initial_parameters(problem, WIDTH, [0], "kaiming_uniform").items()}
    for t in range(30):
        p = textbook_step(problem, p, 0.02 * 0.5 * (1 + np.cos(np.pi * t / 30)))
    ours = kw.train.pathprox(
        problem, WIDTH, seeds=1, steps=30, adaptive=False, batch_size=4, learning_rate=0.02, check_every=30,
        certify=False,
    )[0].network  # fmt: skip
    theirs = kw.ReLUNetwork(p["W"], p["b"], p["V"], p["A"], p["c"]).prune()
    assert 0 < ours.n_neurons == theirs.n_neurons < WIDTH
    for name in ("W", "b", "V", "A", "c"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-11)


def test_adaptive_steps_are_the_textbooks():
    problem, steps = problem_of(lam=0.02), 40
    p = {name: part[0] for name, part in initial_parameters(problem, WIDTH, [0], "kaiming_uniform").items()}
    mean = {name: np.zeros_like(part) for name, part in p.items()}
    square = dict.fromkeys(p, 0.0)
    for t in range(1, steps + 1):
        g = gradient(problem, p)
        size = {}
        for name in p:
            mean[name] = 0.9 * mean[name] + 0.1 * g[name]
            now = g[name] ** 2
            now = now.mean(axis=1, keepdims=True) if name in ("W", "V") else now
            square[name] = 0.999 * square[name] + 0.001 * now
            rate = 1e-2 * 0.5 * (1 + np.cos(np.pi * (t - 1) / steps))
            size[name] = rate / (np.sqrt(square[name] / (1 - 0.999**t)) + 1e-8)
        moved = {name: p[name] - size[name] * mean[name] / (1 - 0.9**t) for name in p}
        p = textbook_prox(problem, moved, size["W"][:, 0], size["V"][:, 0])
    ours = kw.train.pathprox(problem, WIDTH, seeds=1, steps=steps, check_every=steps, certify=False)[
        0
    ].network
    theirs = kw.ReLUNetwork(p["W"], p["b"], p["V"], p["A"], p["c"]).prune()
    for name in ("W", "b", "V", "A", "c"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-11)


def test_the_plain_method_never_rises_and_never_falls_below_the_bound():
    problem = problem_of()
    training = kw.train.pathprox(
        problem, WIDTH, seeds=4, steps=2000, check_every=20, adaptive=False, lower_bound=kw.solve(problem)
    )
    for solution in training:
        objective = [entry.objective for entry in solution.trace]
        assert all(after <= before * (1 + 1e-12) for before, after in pairwise(objective))
        assert solution.certificate.gap >= 0.0
        assert objective[0] > 1.01 * objective[-1]


@pytest.mark.parametrize("adaptive", [True, False])
def test_neurons_vanish_exactly(adaptive):
    problem = problem_of(lam=0.6)
    training = kw.train.pathprox(
        problem, WIDTH, seeds=4, steps=2000, adaptive=adaptive, check_every=20, lower_bound=kw.solve(problem)
    )
    n_neurons = [solution.network.n_neurons for solution in training]
    assert min(n_neurons) < WIDTH
    for solution in training:
        assert solution.trace[-1].n_knots < WIDTH or solution.network.n_neurons == WIDTH
        assert np.all(solution.network.neuron_costs(problem.penalty) > 0)
    assert training.best.certificate.relative_gap < 0.05
    adam = kw.train.adam(problem, WIDTH, seeds=4, steps=2000, check_every=20)
    assert {solution.network.n_neurons for solution in adam} == {WIDTH}


def test_above_lam_max_no_neuron_is_left():
    problem = problem_of()
    problem = problem.with_lam(1.5 * kw.lam_max(problem))
    solved = kw.solve(problem)
    training = kw.train.pathprox(problem, WIDTH, seeds=4, steps=4000, check_every=20, lower_bound=solved)
    assert all(solution.network.n_neurons == 0 for solution in training)
    np.testing.assert_allclose(training.objectives, solved.certificate.primal, rtol=1e-6)


@pytest.mark.parametrize("penalty", [(True, "frobenius"), (True, "nuclear")])
def test_penalised_biases_and_skip_connections_near_the_optimum(penalty):
    problem = problem_of(penalty, lam=0.5)
    solved = kw.solve(problem)
    training = kw.train.pathprox(problem, WIDTH, seeds=4, steps=4000, lower_bound=solved, tol=1e-3)
    assert training.best.status is kw.Status.OPTIMAL
    assert np.all(training.objectives >= solved.certificate.dual)


def test_losses_without_a_gradient_take_adaptive_steps():
    problem = problem_of(loss="quantile")
    with pytest.raises(ValueError, match="adaptive=True"):
        kw.train.pathprox(problem, WIDTH, adaptive=False)
    solved = kw.solve(problem, tol=1e-6)
    training = kw.train.pathprox(problem, WIDTH, seeds=4, steps=4000, lower_bound=solved)
    assert training.relative_gaps.min() < 0.02


def test_serial_and_side_by_side_agree():
    problem = problem_of()
    runs = [
        kw.train.pathprox(
            problem, WIDTH, seeds=4, steps=200, check_every=200, batching=batching, certify=False
        )
        for batching in ("serial", "map", "vmap")
    ]
    np.testing.assert_array_equal(runs[1].objectives, runs[0].objectives)
    np.testing.assert_allclose(runs[2].objectives, runs[0].objectives, rtol=1e-10)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="learning_rate"):
        kw.train.pathprox(problem_of(), WIDTH, adaptive=False, batch_size=3)
    with pytest.raises(TypeError, match="adaptive"):
        kw.train.pathprox(problem_of(), WIDTH, adaptive="yes")
