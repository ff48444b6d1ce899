"""Labels that jump between neighbours: the steep pair of knots costs the weights their digits, and
the certificate must not depend on them."""

from __future__ import annotations

import numpy as np
import pytest
from references import dense_dual_value, dense_potential, random_data

import knotwork as kw


def step_problem(n, n_tasks, spacing, gaps, ratio):
    rng = np.random.default_rng(n + n_tasks)
    data = random_data(rng, n, n_tasks, spacing, gaps)
    jump = (data.X > 0.5)[:, None] + np.arange(n_tasks)
    labels = np.where(np.isnan(data.Y), np.nan, jump + 0.01 * data.Y)
    return kw.Problem(data.X, labels, ratio * kw.lam_max(kw.Problem(data.X, labels, 1.0)))


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal"])
@pytest.mark.parametrize(("n_tasks", "gaps"), [(1, 0.0), (1, 0.3), (5, 0.0), (5, 0.3)])
@pytest.mark.parametrize("ratio", [1e-3, 1e-5])
def test_a_step_is_solved_to_the_tolerance(spacing, n_tasks, gaps, ratio):
    solution = kw.solve(step_problem(3000, n_tasks, spacing, gaps, ratio))
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.primal == pytest.approx(
        solution.problem.objective(solution.network), rel=1e-11
    )


@pytest.mark.parametrize(("n_tasks", "gaps"), [(1, 0.0), (3, 0.3)])
def test_the_corrected_dual_point_is_what_it_claims(n_tasks, gaps):
    problem = step_problem(3000, n_tasks, "random", gaps, 1e-5)
    certificate = kw.solve(problem).certificate
    alpha, lam = certificate.dual_point, problem.lam
    norms = np.linalg.norm(dense_potential(problem.X[:, 0], alpha, problem.X[:, 0]), axis=1)
    # rounding of the rows' sums, relative to what is summed
    rounding = 1e-13 * np.abs(alpha).sum()
    assert norms.max() <= lam * (1 + 1e-9) + rounding
    value = dense_dual_value(problem.Y, alpha, lam)
    assert value == pytest.approx(certificate.dual, rel=1e-10)
    assert certificate.dual <= certificate.primal


@pytest.mark.parametrize("kind", ["uniform", "exponential"])
def test_connect_the_dots_is_exact_among_very_close_inputs(kind):
    # slopes up to 1e9 and more: their rounding must not be carried along the curve
    rng = np.random.default_rng(0)
    n = 20_000
    x = np.sort(rng.uniform(0, 1, n)) if kind == "uniform" else np.exp(np.sort(rng.uniform(-9, 9, n)))
    labels = rng.standard_normal((n, 2))
    solution = kw.solve(kw.Problem(x, labels, 0.0))
    bends = np.diff(np.diff(labels, axis=0) / np.diff(x)[:, None], axis=0)
    assert solution.status is kw.Status.OPTIMAL
    assert solution.problem.misfit(solution.network) <= 1e-9 * np.abs(labels).max()
    assert solution.certificate.primal == pytest.approx(np.linalg.norm(bends, axis=1).sum(), rel=1e-11)
    assert solution.certificate.dual == pytest.approx(solution.certificate.primal, rel=1e-11)
