import numpy as np
import pytest
from influence_problems import Case

import knotwork as kw
from knotwork.selection._lams import FitsAtLams
from knotwork.selection.leave_one_out import leave_one_out, losses_of, removals_of
from knotwork.selection.path import lam_grid
from knotwork.solvers.watch import Watch

CASES = [
    Case("shared weights", n_rows=30, seed=50),
    Case("one task, ties", n_tasks=1, n_rows=30, ties=True, seed=51),
    Case("gaps and weights", n_rows=30, missing=0.2, weights="rows", seed=52),
    Case("weights of labels", n_rows=24, weights="labels", seed=53),
]


def fits_of(problem, n_lams=20, progress=None):
    lams = lam_grid(kw.lam_max(problem), n_lams, 1e-3)
    return lams, FitsAtLams(problem, removals_of(problem, "row"), lams, Watch(1e-6, None, None, progress))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_masses_are_those_of_solutions_at_every_lam(case):
    problem = case.problem()
    lams, fits = fits_of(problem)
    assert fits.status is kw.Status.OPTIMAL
    np.testing.assert_array_equal(fits.lams, lams)
    for k, lam in enumerate(lams.tolist()):
        expected = kw.solve(problem.with_lam(lam), tol=1e-10)
        cost = float(np.linalg.norm(expected.network.V, axis=1).sum())
        assert fits.masses[k].sum() == pytest.approx(cost, rel=2e-3, abs=1e-9)
        warm = kw.solve(problem.with_lam(lam), tol=1e-6, start=fits.network(k), max_rounds=1)
        assert warm.certificate.relative_gap <= 1e-6
    assert np.count_nonzero(fits.masses[-1]) > np.count_nonzero(fits.masses[5]) > 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_losses_are_those_of_leave_one_out_lam_by_lam(case):
    problem = case.problem()
    lams, fits = fits_of(problem)
    which = [9, 3, 12, 6]
    exact = dict(zip(which, fits.exact(which[:1]), strict=False))
    exact.update(zip(which[1:], fits.exact(which[1:]), strict=True))
    apart = 0.0
    for k in which:
        solution = kw.solve(problem.with_lam(float(lams[k])), tol=1e-10)
        refits = losses_of(problem, leave_one_out(solution).predictions)
        np.testing.assert_allclose(exact[k], refits, atol=1e-4 * refits.max())
        first = losses_of(problem, leave_one_out(solution, exact=False).predictions)
        np.testing.assert_allclose(fits.first_order[k], first, atol=1e-3 * first.max())
        apart = max(apart, float(np.abs(refits - first).max() / refits.max()))
    assert apart > 0.02


def test_a_start_from_other_lams_does_not_change_what_is_found():
    problem = CASES[0].problem()
    _, fits = fits_of(problem)
    _, fresh = fits_of(problem)
    fits.exact([6, 10])
    np.testing.assert_allclose(fits.exact([8]), fresh.exact([8]), atol=1e-6)


def test_a_stop_leaves_the_lams_that_are_solved():
    seen = []

    def stop(entry):
        seen.append(entry)
        return len(seen) == 5

    lams, fits = fits_of(CASES[0].problem(), n_lams=40, progress=stop)
    assert len(seen) == 5
    assert fits.status is kw.Status.STOPPED
    assert 5 <= len(fits.lams) < 40
    assert np.isin(fits.lams, lams).all()
    assert fits.first_order.shape[0] == len(fits.masses) == len(fits.lams)
    assert all(entry.gap <= 1e-6 * entry.objective for entry in seen)


def test_fits_next_to_interpolation_are_found_without_a_solver(monkeypatch):
    """At lams that leave the Gram matrix few digits."""
    monkeypatch.setattr("knotwork.selection._lams.solve", None)
    monkeypatch.setattr("knotwork.selection._lams.refit_alone", None)
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(size=30))
    problem = kw.Problem(x, 4.0 * np.abs(x - 0.4) + np.sin(8.0 * x) + 0.3 * rng.normal(size=30), 1.0)
    lams = lam_grid(kw.lam_max(problem), 30, 1e-4)
    fits = FitsAtLams(problem, removals_of(problem, "row"), lams, Watch(1e-6, None, None, None))
    assert np.isfinite(fits.exact([25, 29])).all()
