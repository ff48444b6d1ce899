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
