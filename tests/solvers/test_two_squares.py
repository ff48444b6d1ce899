"""The two squares of A, Figure 5: one task, a hundred beside it, and what c spares under penalised biases."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from references import _solve
from references_several import patterns, two_squares

import knotwork as kw

NO_SKIP = kw.Penalty(skip="none")


def programme(X, y, lam, with_c):
    """The optimum over every activation pattern of the data (Ergen and Pilanci 2021), with c or without:
    sum |f - y|^2 / 2 + lam (sum |(w, b)| |v| + |c|^2 / 2)."""
    Z = np.column_stack([X, np.ones(len(X))])
    c = cp.Variable()
    f, price, held = c * np.ones(len(X)), 0.5 * cp.square(c), [] if with_c else [c == 0]
    for on in patterns(Z):
        for way in (1.0, -1.0):
            u = cp.Variable(Z.shape[1])
            held.append(np.where(on, 1.0, -1.0)[:, None] * Z @ u >= 0)
            f = f + way * (on[:, None] * Z) @ u
            price = price + cp.norm(u, 2)
    problem = _solve(0.5 * cp.sum_squares(f - y) + lam * price, held)
    return float(problem.value), float(c.value)


def test_the_optimum_with_penalised_biases_has_a_c():
    X, Y = two_squares()
    penalty = kw.Penalty(biases=True, skip="none")
    without, _ = programme(X, Y[:, 0], 1e-3, False)
    best, c = programme(X, Y[:, 0], 1e-3, True)
    assert without == pytest.approx(0.005465892921, abs=1e-11)
    assert best == pytest.approx(0.004965893857, abs=1e-11)
    solution = kw.solve(kw.Problem(X, Y, 1e-3, penalty=penalty), tol=1e-11)
    assert solution.certificate.rigour is kw.Rigour.EXACT
    assert solution.certificate.primal == pytest.approx(best, abs=1e-11)
    assert solution.certificate.dual == pytest.approx(best, abs=1e-11)
    assert solution.network.c[0] == pytest.approx(c, abs=1e-4)
    # a neuron (0, 1) does what c does for |c| instead of c^2 / 2: that is at most 1 / 2 more
    constant = kw.ReLUNetwork([[0.0, 0.0]], [1.0], np.abs(solution.network.c)[None])
    parts = [
        np.concatenate([getattr(one, part) for one in (solution.network, constant)])
        for part in ("W", "b", "V")
    ]
    parts[2][-1] = solution.network.c
    moved = kw.ReLUNetwork(*parts)
    np.testing.assert_allclose(moved.predict(X), solution.network.predict(X), atol=1e-14)
    assert without <= kw.Problem(X, Y, 1e-3, penalty=penalty).objective(moved) <= best + 0.5e-3 + 1e-11


@pytest.mark.parametrize("lam", [0.01, 0.1, 0.4])
def test_c_spares_no_more_than_half_of_lam(lam):
    X, Y = two_squares()
    without, best = (programme(X, Y[:, 0], lam, with_c)[0] for with_c in (False, True))
    assert without - 0.5 * lam - 1e-10 <= best < without - 0.05 * lam
    solution = kw.solve(kw.Problem(X, Y, lam, penalty=kw.Penalty(biases=True, skip="none")))
    assert solution.certificate.primal == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("lam", [1e-3, 0.05, 0.3])
def test_one_task_has_optima_of_two_neurons_that_bend_across_each_other(lam):
    # f = 1 - lam - 2 (1 - 2 lam) ((x_1 - 1/2)_+ + (-x_1 - 1/2)_+), the same in x_2, and all between
    X, Y = two_squares()
    problem = kw.Problem(X, Y, lam, penalty=NO_SKIP)
    size = np.full((2, 1), -2.0 * (1.0 - 2.0 * lam))
    across, along = (
        kw.ReLUNetwork([w, np.negative(w)], [-0.5, -0.5], size, None, [1.0 - lam]) for w in np.eye(2)
    )
    half = kw.ReLUNetwork(
        np.vstack([across.W, along.W]), np.tile(across.b, 2), 0.5 * np.vstack([size, size]), None, across.c
    )
    dual = kw.solve(problem, tol=1e-10).certificate.dual_point
    for network in (across, along, half):
        assert problem.objective(network) == pytest.approx(4.0 * lam - 4.0 * lam**2, rel=1e-12)
        certificate = kw.certify(problem, network, dual)
        assert certificate.rigour is kw.Rigour.EXACT
        assert certificate.relative_gap < 1e-9
    at = [[1.0, 0.0]]
    assert along.predict(at) - across.predict(at) == pytest.approx(1.0 - 2.0 * lam)


@pytest.mark.parametrize("seed", range(3))
def test_among_a_hundred_tasks_it_is_unique_and_nearly_its_kernel_fit(seed):
    X, Y = two_squares(100, seed)
    problem = kw.Problem(X, Y, 0.404, penalty=NO_SKIP)
    solution = kw.solve(problem, tol=1e-10)
    assert solution.certificate.rigour is kw.Rigour.EXACT
    assert kw.uniqueness(solution).unique is True
    view = kw.kernel_approximation(problem, solution.network, 0)
    assert view.well_defined
    assert 0.0 < view.excess <= view.difference <= view.left < 0.01 * view.own_regulariser
    grid = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.0, 21)] * 2), axis=-1).reshape(-1, 2)
    network, ridge = view.predict(grid).T
    assert np.abs(network - ridge).max() < 1e-3 * np.ptp(network)
    # the network of infinitely many coins says .944 and .056
    np.testing.assert_allclose(solution.network.predict(X)[:, 0], 0.056 + 0.888 * Y[:, 0], atol=0.015)


def test_the_network_of_infinitely_many_coins():
    X, Y = two_squares()
    limit = kw.solve(kw.infinite_task_problem(X, 0.25 * (1.0 + np.eye(8)), 0.0402, penalty=NO_SKIP))
    assert limit.certificate.rigour is kw.Rigour.EXACT
    kernel = kw.learned_kernel(limit.network, penalty=NO_SKIP)
    fit = kw.kernel_ridge(kernel, kw.Problem(X, Y, 0.0402, penalty=NO_SKIP))
    np.testing.assert_allclose(fit.predict(X), 0.0563 + 0.8873 * Y, atol=1e-4)
