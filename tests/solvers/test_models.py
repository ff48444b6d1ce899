from __future__ import annotations

import numpy as np
import pytest
from loss_problems import Case, inner_of, random_case, random_network
from references import conic_optimum
from references_losses import PENALTIES, conic_loss_optimum

import knotwork as kw
from knotwork.certificate.labels import Labels

FORMS = [(0.0, None), (0.3, None), (0.3, "labels")]


def solve_model(case, start, gap, out_of_time=lambda: False):
    """The squared problem as the inner solver is given it: sorted rows, weights 0 at gaps."""
    labels = Labels.of(case.problem)
    return inner_of(case, out_of_time)(labels.X, labels.y, labels.w, start, gap)


def nothing(case):
    """The network of no neurons at 0."""
    T = case.Y.shape[1]
    return kw.ReLUNetwork(np.zeros((0, 1)), np.zeros(0), np.zeros((0, T)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_model_is_solved_to_the_gap_asked_for(penalty, form):
    case = random_case(60, "squared", penalty, 14, 0.1, *form)
    if penalty == (False, "free"):
        best = conic_optimum(case.X, case.Y, case.lam, case.weight).dual
    else:
        best = kw.solve(case.problem, tol=1e-11).certificate.dual
    for gap in (1e-2, 1e-6):
        found = case.objective(solve_model(case, nothing(case), gap))
        assert best * (1 - 1e-7) <= found <= best + gap + 1e-7 * best
    warm = random_network(np.random.default_rng(0), case, 4)
    assert case.objective(solve_model(case, warm, 1e-6)) <= best + 1e-6 + 1e-7 * best


@pytest.mark.parametrize("penalty", [(False, "none"), (True, "frobenius")])
def test_the_oracle_agrees(penalty):
    case = random_case(61, "squared", penalty, 12, 0.1, 0.2)
    best = conic_loss_optimum("squared", penalty, case.X, case.Y, case.lam).primal
    found = case.objective(solve_model(case, nothing(case), 1e-8))
    assert found == pytest.approx(best, rel=1e-3 if penalty[0] else 1e-6)
    assert found <= best * (1 + 1e-6)


@pytest.mark.parametrize("penalty", [(False, "free"), (True, "none")])
def test_out_of_time_a_network_comes_back_all_the_same(penalty):
    case = random_case(62, "squared", penalty, 30, 0.01)
    network = solve_model(case, nothing(case), 1e-12, lambda: True)
    assert np.all(np.isfinite(network.predict(case.X)))


@pytest.mark.parametrize("penalty", [(False, "free"), (True, "none")])
def test_weights_of_very_different_size(penalty):
    # as the curvatures of far labels: 1e-12 beside 1
    rng = np.random.default_rng(63)
    x, Y = np.sort(rng.uniform(-1.0, 1.0, 20)), rng.standard_normal((20, 2))
    w = 10.0 ** rng.uniform(-12.0, 0.0, (20, 2))
    case = Case("squared", penalty, x, Y, 0.01, w)
    certificate = kw.solve(case.problem, tol=1e-9).certificate
    found = case.objective(solve_model(case, nothing(case), 1e-8))
    assert found <= certificate.dual + 2e-8 + 1e-8 * certificate.primal
