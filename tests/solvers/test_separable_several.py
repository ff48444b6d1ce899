"""Separable labels in several inputs: the infimum is that of the labels not lost, attained nowhere."""

from __future__ import annotations

import numpy as np
import pytest
from references_several import Data, assert_sound, ergen_pilanci_optimum, objective, random_data

import knotwork as kw

FREE, NO_SKIP = (False, "free"), (False, "none")
UNATTAINED = kw.Status.UNATTAINED


def problem_of(data):
    return kw.Problem(data.X, data.Y, data.lam, data.spec, kw.Penalty(*data.penalty), data.weight)


def assert_unattained(data, infimum, **options):
    solution = kw.solve(problem_of(data), **options)
    assert solution.status is UNATTAINED
    certificate = solution.certificate
    assert certificate.relative_gap <= 1e-8
    assert certificate.primal == pytest.approx(infimum, rel=1e-7, abs=1e-12)
    assert certificate.dual <= infimum * (1.0 + 1e-7) + 1e-20
    assert_sound(certificate, data, objective(data, solution.network) + 1e-20)
    return solution


def cloud(d, n=10, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def on_a_plane(d):
    """Six labels in turn at x_1 = 0, three on either side of it, those of their side."""
    X = cloud(d, 12, 1)
    X[:6, 0] = 0.0
    X[6:9, 0], X[9:, 0] = np.abs(X[6:9, 0]) + 0.1, -np.abs(X[9:, 0]) - 0.1
    Y = np.repeat([0.0, 1.0, 0.0], [6, 3, 3])
    Y[np.argsort(X[:6, 1])] = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    return X, Y[:, None]


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("lam", [1e-3, 10.0])
def test_labels_on_either_side_of_a_plane(d, lam):
    X = cloud(d)
    Y = (X @ np.arange(1.0, d + 1.0) > 0.3)[:, None].astype(float)
    solution = assert_unattained(Data("logistic", FREE, X, Y, lam), 0.0)
    assert solution.network.n_neurons == 0
    f = solution.network.predict(X)
    assert np.where(Y > 0, f, -f).min() > 30.0
    assert np.abs(f).max() < 1e6


@pytest.mark.parametrize("penalty", [FREE, NO_SKIP])
@pytest.mark.parametrize(("spec", "y"), [("logistic", 1.0), ("logistic", 0.0), ("poisson", 0.0)])
def test_one_label_alone(penalty, spec, y):
    assert_unattained(Data(spec, penalty, cloud(2), np.full((10, 1), y), 0.1), 0.0)


@pytest.mark.parametrize("spec", ["logistic", "multinomial"])
def test_without_a_skip_connection_a_plane_does_not_separate(spec):
    X = cloud(2, 7)
    up = X[:, 0] > 0
    Y = up[:, None] if spec == "logistic" else np.column_stack([up, ~up])
    solution = kw.solve(kw.Problem(X, Y.astype(float), 0.05, spec, kw.Penalty(*NO_SKIP)))
    assert solution.status is kw.Status.OPTIMAL
    # two classes are a binary label f with half of |f - f'| each: sqrt 2 dearer by class
    price = 0.05 if spec == "logistic" else 0.05 / np.sqrt(2.0)
    binary = Data("logistic", NO_SKIP, X, up[:, None].astype(float), price)
    assert solution.certificate.primal == pytest.approx(ergen_pilanci_optimum(binary), rel=1e-5)
    assert solution.certificate.primal > 0.1


@pytest.mark.parametrize("d", [2, 3])
def test_labels_on_the_plane_keep_their_loss(d):
    X, Y = on_a_plane(d)
    six = Data("logistic", FREE, X[:6], Y[:6], 0.02)
    infimum = ergen_pilanci_optimum(six)
    assert 0.1 < infimum < 6.0 * np.log(2.0) - 0.01
    solution = assert_unattained(Data("logistic", FREE, X, Y, 0.02), infimum)
    # one of the plane's labels moved over to the wrong side: nothing separates any more
    X[np.flatnonzero(Y[:6, 0] == 1.0)[0], 0] = -0.05
    mixed = kw.solve(kw.Problem(X, Y, 0.02, "logistic"))
    assert mixed.status is kw.Status.OPTIMAL
    assert mixed.certificate.primal > solution.certificate.primal + 1e-3


def test_counts_of_zero_on_one_side_of_the_others():
    X, _ = on_a_plane(2)
    Y = np.repeat([2.0, 0.0, 0.0], [6, 3, 3])[:, None]
    Y[:6, 0] += np.arange(6.0)
    six = Data("poisson", FREE, X[:6], Y[:6], 0.1)
    upper = X[:, 0] >= 0.0
    assert_unattained(Data("poisson", FREE, X[upper], Y[upper], 0.1), ergen_pilanci_optimum(six))
    both = kw.solve(kw.Problem(X, Y, 0.1, "poisson"))
    assert both.status is kw.Status.OPTIMAL


@pytest.mark.parametrize("d", [2, 3])
def test_classes_in_cones(d):
    X = cloud(d)
    corners = np.column_stack([np.zeros(d), np.eye(d)[:, :2]])
    which = np.argmax(X @ corners, axis=1)
    assert len(set(which)) == 3
    assert_unattained(Data("multinomial", FREE, X, np.eye(3)[which], 0.1), 0.0)


def test_a_class_apart_leaves_two_that_overlap():
    X = cloud(2, 12, 5)
    X[:8, 0], X[8:, 0] = -np.abs(X[:8, 0]), np.abs(X[8:, 0]) + 0.1
    X[4:8] = X[:4]
    which = np.concatenate([[0, 1, 0, 1], [1, 0, 1, 0], [2, 2, 2, 2]])
    two = kw.solve(kw.Problem(X[:8], np.eye(2)[which[:8]], 0.05, "multinomial"))
    assert two.status is kw.Status.OPTIMAL
    solution = assert_unattained(Data("multinomial", FREE, X, np.eye(3)[which], 0.05), two.certificate.primal)
    f = solution.network.predict(X)
    # the third class is nowhere in doubt
    assert np.all(f[8:, 2] - f[8:, :2].max(axis=1) > 30.0)
    assert np.all(f[:8, :2].max(axis=1) - f[:8, 2] > 30.0)


@pytest.mark.parametrize("penalty", [FREE, NO_SKIP])
def test_separable_tasks_leave_the_others_alone(penalty):
    data = random_data(6, "logistic", penalty, 10, 2, 1, 0.05)
    alone = kw.solve(problem_of(data))
    assert alone.status is kw.Status.OPTIMAL
    ones = data._replace(Y=np.column_stack([np.ones(10), data.Y, np.zeros(10)]))
    solution = assert_unattained(ones, alone.certificate.primal)
    np.testing.assert_allclose(
        solution.network.predict(data.X)[:, 1], alone.network.predict(data.X)[:, 0], atol=1e-3
    )
    # with other losses beside, and a start whose neurons are of all tasks
    mixed = kw.Problem(
        data.X,
        np.column_stack([data.Y[:, 0], np.ones(10)]),
        0.05,
        ["squared", "logistic"],
        problem_of(data).penalty,
    )
    squared = kw.solve(kw.Problem(data.X, data.Y, 0.05, penalty=problem_of(data).penalty))
    for start in (None, kw.ReLUNetwork([[1.0, 0.5]], [0.1], [[1.0, -2.0]])):
        found = kw.solve(mixed, start=start)
        assert found.status is UNATTAINED
        assert found.certificate.primal == pytest.approx(squared.certificate.primal, rel=1e-7)


def test_gaps_and_weights_decide_what_is_separable():
    X, Y = on_a_plane(2)
    wrong = int(np.flatnonzero(Y[:6, 0] == 1.0)[0])
    X[wrong, 0] = -0.05
    Y[6, 0] = 0.0
    data = Data("logistic", FREE, X, Y, 0.02)
    assert kw.solve(problem_of(data)).status is kw.Status.OPTIMAL
    weight = np.ones(12)
    weight[[6, *range(6)]] = 0.0
    assert_unattained(data._replace(weight=weight), 0.0)
    gap = np.where(weight[:, None] > 0, Y, np.nan)
    assert_unattained(data._replace(Y=gap), 0.0)


@pytest.mark.parametrize("skip", ["none", "frobenius", "nuclear"])
@pytest.mark.parametrize("spec", ["logistic", "poisson"])
def test_penalised_biases_attain_their_optimum(spec, skip):
    X = cloud(2, 7)
    Y = (X[:, :1] > 0).astype(float) if spec == "logistic" else np.zeros((7, 1))
    data = Data(spec, (True, skip), X, Y, 0.05)
    solution = kw.solve(problem_of(data))
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(ergen_pilanci_optimum(data), rel=1e-6)


def test_where_neurons_are_only_searched_the_infimum_is_proven():
    # the dual point of lost labels is so short that the spectral norm proves it feasible
    X = cloud(3, 30)
    problem = kw.Problem(X, (X[:, :1] > 0).astype(float), 0.1, "logistic")
    solution = kw.solve(problem, max_cells=0)
    assert solution.status is UNATTAINED
    assert solution.certificate.rigour is kw.Rigour.BOUNDED
