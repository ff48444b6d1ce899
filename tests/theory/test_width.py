"""Training at growing width against the certified optimum over all widths (B, Theorem 3.1)."""

from __future__ import annotations

import numpy as np
import pytest
from test_theorems_b import gaussian_data

import knotwork as kw
from knotwork.theory.width import merge_closest, width_experiment

BIASES = kw.Penalty(biases=True, skip="none")


def five_points(seed):
    return kw.Problem(*gaussian_data(seed, 5, 5), 0.01, penalty=BIASES)


def squares(network):
    """B (4) in our scaling: half the squares of all parameters."""
    return 0.5 * sum(float(np.sum(getattr(network, name) ** 2)) for name in "WbVc")


def check(found, problem):
    """Never below the proven bound, and what is reported is what the networks have."""
    dual = found.optimum.certificate.dual
    assert found.optimum.certificate.relative_gap <= 1e-10
    assert list(found.best) == sorted(found.best)
    for n, random, finished, best, network in zip(
        found.widths, found.random, found.finished, found.best, found.networks, strict=True
    ):
        assert network.n_neurons <= n
        residual = problem.Y - np.maximum(problem.X @ network.W.T + network.b, 0) @ network.V - network.c
        objective = 0.5 * np.sum(residual**2) + problem.lam * squares(network.balance(BIASES))
        assert best == pytest.approx(objective, rel=1e-12)
        assert min(random.min(), finished.min()) >= dual * (1 - 1e-12)
        # what goes on only falls
        assert finished.min() <= random.min() * (1 + 1e-12)


@pytest.mark.parametrize(
    ("seed", "sizes", "least_excess"),
    [
        (5, {"seeds": 64, "finish": 6000, "finalists": 4}, 3e-4),
        pytest.param(0, {"seeds": 512}, 5e-4, marks=pytest.mark.slow),
        pytest.param(3, {"seeds": 512}, 5e-4, marks=pytest.mark.slow),
    ],
)
def test_seven_neurons_reach_the_optimum_and_six_do_not(seed, sizes, least_excess):
    """N = 5: "n > N" is 6, but 7 neurons are needed, and enough."""
    problem = five_points(seed)
    widths = (20, 7, 6) if seed == 5 else (20, 8, 7, 6, 5)
    found = width_experiment(problem, widths, **sizes)
    check(found, problem)
    assert found.bound == 15
    excess = dict(zip(found.widths, found.excess, strict=True))
    assert found.reached() == tuple(n for n in sorted(widths) if n >= 7)
    assert excess[7] <= 1e-6
    assert excess[6] >= least_excess


def test_one_task_needs_no_more_neurons_than_data():
    problem = kw.Problem(*gaussian_data(4, 5, 1), 0.01, penalty=BIASES)
    found = width_experiment(problem, (5, 2, 5), seeds=32, finish=10_000, finalists=4)
    check(found, problem)
    assert found.bound == 5
    assert found.widths == (5, 2)
    assert found.reached() == (5,)
    assert found.excess[1] > 1e-2
    assert [len(part) for part in found.random] == [32, 32]
    assert [len(part) for part in found.finished] == [4, 6]


def test_the_closest_neurons_become_one():
    """Two at .1 rad of masses 1 and 3, and one apart; of unit norm their mean is the weighted one."""
    angle = np.array([0.0, 0.1, 2.0])
    mass = np.array([1.0, 3.0, 5.0])
    f = kw.ReLUNetwork(2 * np.cos(angle)[:, None], 2 * np.sin(angle), mass[:, None] / 2)
    g = merge_closest(f, 2, BIASES)
    assert g.n_neurons == 2
    near = np.argmax(g.W[:, 0])
    u = (np.array([1.0, 0.0]) + 3 * np.array([np.cos(0.1), np.sin(0.1)])) / 4
    np.testing.assert_allclose(g.b[near] / g.W[near, 0], u[1] / u[0], rtol=1e-12)
    size = np.hypot(g.W[near, 0], g.b[near]) * g.V[near, 0]
    assert size == pytest.approx(4 * np.linalg.norm(u), rel=1e-12)
    same = merge_closest(f, 3, BIASES)
    np.testing.assert_allclose(same.predict([0.3, -2.0]), f.predict([0.3, -2.0]), atol=1e-14)


def test_bad_arguments_are_named():
    problem = five_points(0)
    with pytest.raises(ValueError, match="widths"):
        width_experiment(problem, ())
    with pytest.raises(ValueError, match="width"):
        width_experiment(problem, (0,))
    with pytest.raises(ValueError, match="finalists"):
        width_experiment(problem, (3,), finalists=0)
    with pytest.raises(TypeError, match="problem"):
        width_experiment("problem", (3,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lam = 0"):
        width_experiment(problem.with_lam(0.0), (3,))
