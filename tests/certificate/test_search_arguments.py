"""`certify` chooses between enumeration and search as `solve` does, and no bound is above the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from loss_problems import loss_of
from references_losses import PENALTIES
from references_several import ergen_pilanci_optimum, random_data

import knotwork as kw


def problem_of(data):
    return kw.Problem(data.X, data.Y, data.lam, loss_of(data.spec), kw.Penalty(*data.penalty), data.weight)


@pytest.fixture(scope="module")
def small():
    data = random_data(1, "squared", (True, "none"), 12, 3, 2, 0.1)
    return problem_of(data), kw.solve(problem_of(data))


def test_cells_decide_between_enumeration_and_search(small):
    problem, solution = small
    assert kw.certify(problem, solution.network).rigour is kw.Rigour.EXACT
    searched = kw.certify(problem, solution.network, max_cells=0)
    assert searched.rigour is kw.Rigour.HEURISTIC
    assert searched.bound < searched.dual
    assert solution.certificate.dual == pytest.approx(searched.dual, rel=1e-6)
    # the same limit, the same rigour as in `solve`
    for cells in (10, 10**3, 10**6):
        rigour = kw.solve(problem, max_cells=cells, max_rounds=2).certificate.rigour
        assert kw.certify(problem, solution.network, max_cells=cells).rigour is rigour


def test_a_seed_makes_the_search_repeatable(small):
    problem, solution = small
    point = np.random.default_rng(0).standard_normal(problem.Y.shape)
    one, two = (
        kw.certify(problem, solution.network, point, max_cells=0, random_state=seed)
        for seed in (3, np.random.default_rng(3))
    )
    assert one.dual == two.dual
    assert np.array_equal(one.worst_neuron, two.worst_neuron)


@pytest.mark.parametrize("d", [1, 3])
def test_bad_arguments_are_named_in_any_number_of_inputs(d):
    data = random_data(0, "squared", (False, "free"), 6, d, 1, 0.1)
    problem = problem_of(data)
    network = problem.free_fit()
    for verb in (lambda **k: kw.solve(problem, **k), lambda **k: kw.certify(problem, network, **k)):
        for bad in (-1, 1.5, True, "a", None):
            with pytest.raises(ValueError, match="max_cells: must be an integer >= 0"):
                verb(max_cells=bad)
        with pytest.raises(ValueError, match="random_state: must be an integer >= 0"):
            verb(random_state=-1)
        for bad in ("a", 1.5, True):
            with pytest.raises(TypeError, match="random_state: must be an integer >= 0"):
                verb(random_state=bad)
        for good in (None, 3, np.int64(3), np.random.default_rng(0)):
            verb(random_state=good)


def test_where_the_spectral_norm_suffices_the_rigour_is_bounded():
    data = random_data(2, "squared", (False, "free"), 30, 3, 2, 0.1)
    problem = problem_of(data)
    above = problem.with_lam(20.0 * kw.lam_max(problem))
    solution = kw.solve(above, max_cells=0)
    assert solution.certificate.rigour is kw.Rigour.BOUNDED
    assert solution.status is kw.Status.OPTIMAL
    assert solution.certificate.bound == solution.certificate.dual
    # Frobenius norms bound spectral ones: so far above, they prove it again
    alpha = solution.certificate.dual_point
    spread = np.linalg.norm(data.X - data.X.mean(axis=0))
    assert 0.5 * np.linalg.norm(alpha) * spread <= above.lam
    below = kw.solve(problem.with_lam(0.9 * kw.lam_max(problem)), max_cells=0)
    assert below.certificate.rigour is kw.Rigour.HEURISTIC


def check_bounds(seed):
    """Every bound of every certificate of a problem of three inputs, beside the optimum over all patterns."""
    rng = np.random.default_rng(1000 + seed)
    penalty, spec = PENALTIES[seed % 5], ["squared", "squared", ("huber", 0.4)][seed // 5 % 3]
    data = random_data(
        seed, spec, penalty, 8, 3, 1, 10.0 ** rng.uniform(-2.0, 0.3), 0.0, [None, "labels"][seed % 2]
    )
    if seed % 7 == 0:
        # on a lattice neurons meet many data at once
        data = data._replace(X=np.round(data.X))
    best, problem = ergen_pilanci_optimum(data), problem_of(data)
    network = kw.ReLUNetwork(
        rng.standard_normal((2, 3)), rng.standard_normal(2), 0.3 * rng.standard_normal((2, 1))
    )
    for options in ({}, {"max_cells": 0}):
        solution = kw.solve(problem, tol=1e-7, **options)
        certificates = [
            solution.certificate,
            kw.certify(problem, solution.network, **options),
            kw.certify(problem, network, **options),
            kw.certify(problem, network, solution.certificate.dual_point, **options),
        ]
        assert max(certificate.bound for certificate in certificates) <= best * (1.0 + 1e-8)
        if not options:
            assert solution.certificate.bound == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_no_bound_is_above_the_optimum(seed):
    check_bounds(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5, 100))
def test_no_bound_is_above_the_optimum_of_a_hundred(seed):
    check_bounds(seed)
