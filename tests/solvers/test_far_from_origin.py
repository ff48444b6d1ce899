"""Free biases: inputs moved by a constant are the same problem, also where they lie many spreads away."""

from __future__ import annotations

import numpy as np
import pytest
from loss_problems import loss_of
from references_several import DEGENERATE, random_data
from scipy.special import expit

import knotwork as kw
from knotwork.network import ReLUNetwork
from knotwork.solvers.centred import about, far_origin, moved

FREE, NO_SKIP = (False, "free"), (False, "none")


def problem_of(data, origin=0.0):
    # binary fractions: the moved inputs are exact
    X = np.round(data.X * 2.0**20) / 2.0**20 + origin
    return kw.Problem(X, data.Y, data.lam, loss_of(data.spec), kw.Penalty(*data.penalty), data.weight)


@pytest.mark.parametrize("penalty", [FREE, NO_SKIP])
@pytest.mark.parametrize(
    ("spec", "d"),
    [("squared", 2), ("squared", 3), ("logistic", 2), ("multinomial", 2), (("huber", 0.4), 1)],
    ids=str,
)
def test_the_optimum_is_that_at_the_origin(spec, d, penalty):
    data = random_data(3, spec, penalty, 9, d, 2, 0.1, 0.2, "rows")
    near = kw.solve(problem_of(data))
    for origin in (1e3, -1e6, np.array([1e6, 0.0, -30.0])[:d]):
        problem = problem_of(data, origin)
        far = kw.solve(problem)
        assert far.status is kw.Status.OPTIMAL
        assert far.certificate.rigour is kw.Rigour.EXACT
        assert far.certificate.primal == pytest.approx(near.certificate.primal, rel=2e-8)
        assert far.certificate.primal == problem.objective(far.network)
        assert kw.certify(problem, far.network).relative_gap <= 1e-7
        if spec == "squared":
            np.testing.assert_allclose(
                far.network.predict(problem.X), near.network.predict(problem.X - origin), atol=1e-4
            )


@pytest.mark.parametrize("penalty", [FREE, NO_SKIP])
def test_labels_are_interpolated_far_off(penalty):
    data = random_data(3, "squared", penalty, 8, 2, 2, 0.0)
    near, far = kw.solve(problem_of(data)), kw.solve(problem_of(data, 1e5))
    assert far.status is kw.Status.OPTIMAL
    assert far.certificate.primal == pytest.approx(near.certificate.primal, rel=2e-8)


def test_separable_labels_far_off():
    X = np.round(np.random.default_rng(0).standard_normal((9, 2)) * 2.0**20) / 2.0**20 + 1e6
    Y = (X[:, :1] > 1e6).astype(float)
    solution = kw.solve(kw.Problem(X, Y, 0.1, "logistic"))
    assert solution.status is kw.Status.UNATTAINED
    assert np.abs(expit(solution.network.predict(X)) - Y).max() < 1e-10


def test_a_start_moves_along():
    data = random_data(3, "squared", FREE, 9, 2, 2, 0.1)
    problem = problem_of(data, 1e6)
    cold = kw.solve(problem)
    warm = kw.solve(problem, start=cold.network)
    assert warm.status is kw.Status.OPTIMAL
    assert len(warm.trace) <= 2 < len(cold.trace)


def test_lam_max_far_off():
    data = random_data(3, "squared", FREE, 9, 2, 2, 0.1)
    assert kw.lam_max(problem_of(data, 1e6)) == pytest.approx(kw.lam_max(problem_of(data)), rel=1e-8)
    affine = np.round(data.X * 8.0) @ [[1.0], [2.0]]
    assert kw.lam_max(kw.Problem(np.round(data.X * 8.0) + 1e6, affine, 0.1)) == 0.0


def test_only_what_is_far_is_moved_and_only_where_biases_are_free():
    data = random_data(3, "squared", FREE, 9, 2, 2, 0.1)
    assert far_origin(problem_of(data)) is None
    assert far_origin(problem_of(data, 1.0)) is None
    origin = far_origin(problem_of(data, np.array([1e4, 1.0])))
    assert origin is not None
    assert abs(origin[0] - 1e4) < 2.0
    assert origin[1] == 0.0
    for penalty in [(True, "none"), (True, "frobenius"), (True, "nuclear")]:
        assert far_origin(problem_of(data._replace(penalty=penalty), 1e4)) is None
    alike = kw.Problem(DEGENERATE["one point twice"] * 1e6, [[1.0], [2.0]], 0.1)
    assert far_origin(alike) is not None
    assert kw.solve(alike).certificate.primal == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("origin", [[3.0, -5.0], [1e6, 1e-3]])
def test_moving_a_network_and_its_problem_keeps_its_objective(origin):
    rng = np.random.default_rng(1)
    origin = np.array(origin)
    data = random_data(3, "squared", FREE, 9, 2, 2, 0.1)
    network = ReLUNetwork(
        rng.standard_normal((4, 2)),
        rng.standard_normal(4),
        rng.standard_normal((4, 2)),
        rng.standard_normal((2, 2)),
        [1.0, 2.0],
    )
    problem = problem_of(data, origin)
    there = moved(network, origin)
    np.testing.assert_allclose(there.predict(problem.X), network.predict(problem.X - origin), atol=1e-8)
    assert about(problem, origin).objective(network) == pytest.approx(problem.objective(there), rel=1e-8)
    np.testing.assert_allclose(moved(there, -origin).b, network.b, atol=1e-9)
