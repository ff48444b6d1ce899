"""The limit of many tasks against networks of finitely many, whose labels have just the limit's moments."""

import numpy as np
import pytest

import knotwork as kw
from knotwork.experiments.squares_data import two_squares
from knotwork.theory.infinite_tasks import infinite_tasks

FREE, NONE = kw.Penalty(), kw.Penalty(False, "none")


def covariance(rng, n, rank):
    root = rng.standard_normal((n, rank))
    return root @ root.T / rank


def labels_with_exactly(C, n_tasks, rng):
    """(N, T) Y with Y Y' = T C."""
    values, axes = np.linalg.eigh(C)
    turned, _ = np.linalg.qr(rng.standard_normal((n_tasks, len(C))))
    return np.sqrt(n_tasks) * axes * np.sqrt(np.maximum(values, 0.0)) @ turned.T


@pytest.mark.parametrize("penalty", [FREE, NONE], ids=["free", "none"])
@pytest.mark.parametrize("d", [1, 2])
def test_tasks_of_exactly_these_moments_are_at_the_limit_already(d, penalty):
    rng = np.random.default_rng(d)
    X, C, mu, n_tasks = rng.uniform(-1, 1, (9, d)), covariance(rng, 9, 12), 0.05, 30
    limit = infinite_tasks(X, C, mu, penalty)
    assert limit.solution.certificate.relative_gap <= 1e-10
    Y = labels_with_exactly(C, n_tasks, rng)
    network = kw.solve(kw.Problem(X, Y, mu * np.sqrt(n_tasks), penalty=penalty), tol=1e-12).network
    x_new = rng.uniform(-1, 1, (40, d))
    found = limit.fit(Y).predict(x_new)
    np.testing.assert_allclose(found, network.predict(x_new), atol=2e-5)
    assert np.abs(found).max() > 0.1
    strengths = np.linalg.norm(network.canonicalise(penalty).V, axis=1) / np.sqrt(n_tasks)
    assert limit.masses.sum() == pytest.approx(strengths.sum(), rel=1e-5)


def test_a_task_that_is_always_the_same_up_to_its_size_is_a_single_task():
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 1, 12))
    y = np.abs(x - 0.4) + 0.1 * rng.standard_normal(12)
    alone = kw.solve(kw.Problem(x, y, 0.02), tol=1e-12)
    limit = infinite_tasks(x, np.outer(y, y), 0.02)
    np.testing.assert_allclose(limit.masses, np.abs(alone.network.canonicalise().V[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(limit.fit(y).predict(x), alone.network.predict(x), atol=1e-7)


def test_the_two_squares_with_coins_for_tasks():
    X, first = two_squares(1, 0)
    limit = infinite_tasks(X, 0.25 * np.eye(8) + 0.25, 0.0402, NONE)
    found = limit.fit(first).predict(X)[:, 0]
    np.testing.assert_allclose(found, np.repeat([0.0563, 0.9437], 4), atol=1e-4)
    distance = []
    for n_tasks in (20, 2_000):
        draws = [two_squares(n_tasks, seed)[1] for seed in range(4)]
        fits = [kw.solve(kw.Problem(X, Y, 0.0402 * np.sqrt(n_tasks), penalty=NONE)) for Y in draws]
        distance.append(np.mean([np.abs(one.network.predict(X)[:, 0] - found).max() for one in fits]))
    # a factor of 10 by 1 / sqrt(T)
    assert distance[1] < distance[0] / 4
    assert distance[1] < 0.005


def test_a_kernel_that_one_task_cannot_change_keeps_tasks_apart():
    rng = np.random.default_rng(4)
    X, C = rng.uniform(-1, 1, (8, 2)), np.eye(8)
    limit = infinite_tasks(X, C, 0.1)
    Y = rng.standard_normal((8, 3))
    Y[2, 1] = np.nan
    together = limit.fit(Y).predict(X)
    alone = np.column_stack([limit.fit(Y[:, t]).predict(X)[:, 0] for t in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-12)


def test_the_constant_of_tasks_is_taken_up_where_it_costs_nothing():
    rng = np.random.default_rng(5)
    x, C = rng.uniform(0, 1, 10), covariance(rng, 10, 10)
    moved = infinite_tasks(x, C + 4.0 * np.outer(1 + x, 1 + x), 0.1)
    assert moved.masses.sum() == pytest.approx(infinite_tasks(x, C, 0.1).masses.sum(), rel=1e-6)


def test_no_variance_no_neurons():
    limit = infinite_tasks([0.0, 1.0, 2.0], np.zeros((3, 3)), 0.1)
    assert limit.masses.shape == (0,)
    np.testing.assert_allclose(limit.fit([1.0, 2.0, 3.0]).predict([4.0]), [[5.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance": np.ones((3, 2))}, "covariance: must have shape"),
        ({"covariance": np.eye(2)}, "covariance: must have shape"),
        ({"covariance": np.diag([1.0, 1.0, -1.0])}, "positive semidefinite"),
        ({"covariance": np.triu(np.ones((3, 3)))}, "symmetric"),
        ({"covariance": np.full((3, 3), np.nan)}, "covariance"),
        ({"mu": 0.0}, "mu: must be finite"),
        ({"mu": -1.0}, "mu: must be"),
        ({"penalty": kw.Penalty(True, "none")}, "penalty: must have"),
    ],
    ids=["shape", "rows", "indefinite", "asymmetric", "nan", "zero", "negative", "penalised"],
)
def test_bad_arguments_are_named(change, message):
    given = {"X": [0.0, 1.0, 2.0], "covariance": np.eye(3), "mu": 0.1, "penalty": None} | change
    with pytest.raises(ValueError, match=message):
        infinite_tasks(given["X"], given["covariance"], given["mu"], given["penalty"])
