"""Paper B's constants and its number of neurons, shown on fits (docs/theorems.md)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_losses import conic_loss_optimum
from scipy.optimize import minimize
from test_theorems_b import gaussian_data, maximisers, response
from threadpoolctl import threadpool_limits

import knotwork as kw

BIASES = kw.Penalty(biases=True, skip="none")
PENALISED = [kw.Penalty(biases=True, skip=skip) for skip in ("none", "frobenius", "nuclear")]


def trained(x, Y, decay, n_neurons, rng, last_bias=True):
    """B (4) as written: the least |f - Y|^2 + decay (|W|^2 + |b|^2 + |V|^2 + |c|^2) over 5 starts."""
    K, T = n_neurons, Y.shape[1]

    def objective(theta):
        w, b, V, c = theta[:K], theta[K : 2 * K], theta[2 * K : -T].reshape(K, T), theta[-T:] * last_bias
        active = np.maximum(np.outer(x, w) + b, 0.0)
        residual = active @ V + c - Y
        back = 2.0 * (residual @ V.T) * (active > 0)
        gradient = [x @ back, back.sum(axis=0), (2.0 * active.T @ residual).ravel()]
        gradient.append(2.0 * residual.sum(axis=0) * last_bias)
        value = np.sum(residual**2) + decay * np.sum(theta**2)
        return value, np.concatenate(gradient) + 2.0 * decay * theta

    starts = (rng.standard_normal(2 * K + K * T + T) for _ in range(5))
    how = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-10}
    with threadpool_limits(1, user_api="blas"):
        runs = [minimize(objective, start, jac=True, method="L-BFGS-B", options=how) for start in starts]
    best = min(runs, key=lambda run: run.fun)
    return best.fun, best.x[-T:]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [kw.Penalty(False, "none"), *PENALISED], ids=str)
def test_the_optimum_is_that_of_a_conic_solver(penalty, seed):
    """B (9), (4), (11), (12); penalised biases on a grid of angles, refined: an upper bound close by."""
    x, Y = gaussian_data(seed, 10, 2)
    lam = (0.03, 0.1, 1.0)[seed]
    certificate = kw.solve(kw.Problem(x, Y, lam, penalty=penalty), tol=1e-10).certificate
    best = conic_loss_optimum("squared", (penalty.biases, penalty.skip), x, Y, lam).primal
    assert certificate.relative_gap <= 1e-10
    assert certificate.primal <= best * (1 + 1e-7)
    assert certificate.dual >= best * (1 - 1e-5)


def test_training_as_in_equation_4_ends_at_twice_the_objective():
    """B (4) in its own scaling is 2 F at the same lam: so (7) needs a 2 before its integral."""
    rng = np.random.default_rng(0)
    x, Y = np.array([-1.0, -0.2, 0.7, 1.5]), rng.standard_normal((4, 2))
    solution = kw.solve(kw.Problem(x, Y, 0.1, penalty=BIASES), tol=1e-10)
    value, _ = trained(x, Y, 0.1, 12, rng)
    # never below the bound, and some start comes close
    assert 2.0 * solution.certificate.dual <= value * (1 + 1e-9)
    assert value <= 2.0 * solution.certificate.primal * (1 + 1e-2)


def test_the_output_bias_is_one_where_the_literal_equation_7_has_a_half():
    """x = 0, y = 3, lam = .1: f = c + |v|, c takes what costs c^2 / 2 until neurons, at |v|, are cheaper.

    With int |v| in place of 2 int |v| beside c^2, the optimum would be c = 1/2.
    """
    solution = kw.solve(kw.Problem([0.0], [3.0], 0.1, penalty=BIASES), tol=1e-12)
    assert solution.network.c == pytest.approx([1.0], abs=1e-6)
    assert solution.network.predict([0.0]) == pytest.approx(2.9, abs=1e-6)
    assert solution.certificate.primal == pytest.approx(0.1**2 / 2 + 0.1 * (1.9 + 0.5), rel=1e-9)
    value, c = trained(np.zeros(1), np.array([[3.0]]), 0.1, 3, np.random.default_rng(1))
    assert c == pytest.approx([1.0], abs=1e-3)
    assert value == pytest.approx(2.0 * solution.certificate.primal, rel=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(PENALISED), st.floats(-3, 0))
def test_no_optimum_has_an_output_bias_above_one(seed, penalty, log_lam):
    rng = np.random.default_rng(seed)
    x, Y = rng.uniform(-2, 2, 8), rng.standard_normal((8, 2)) + rng.choice([-20.0, 0.0, 20.0], 2)
    solution = kw.solve(kw.Problem(x, Y, 10.0**log_lam, penalty=penalty), tol=1e-10)
    assert solution.status is kw.Status.OPTIMAL
    assert np.linalg.norm(solution.network.c) <= 1 + 1e-4


def test_the_last_bias_matters():
    """Erratum to B, footnote 4: x = 0, y = .05, lam = .1 gives f = .0455 with c, and 0 without."""
    x, Y = np.zeros(1), np.array([[0.05]])
    solution = kw.solve(kw.Problem(x, Y, 0.1, penalty=BIASES), tol=1e-12)
    assert solution.network.predict(x) == pytest.approx(0.05 / 1.1, rel=1e-9)
    assert round(float(solution.network.predict(x)[0, 0]), 4) == 0.0455
    rng = np.random.default_rng(0)
    with_c, without = trained(x, Y, 0.1, 3, rng)[0], trained(x, Y, 0.1, 3, rng, last_bias=False)[0]
    assert with_c == pytest.approx(2.0 * solution.certificate.primal, rel=1e-9)
    # the loss of f = 0: soft thresholding at lam
    assert without == pytest.approx(0.05**2, rel=1e-9)
    assert with_c < 0.1 * without


def test_lams_without_neurons_are_no_half_line():
    x, y = np.array([1.938, 3.837, 3.800]), np.array([1.200, 0.439, 1.414])
    problem = kw.Problem(x, y, 1.0, penalty=BIASES)
    needed = {}
    for lam in (0.11, 0.13, 0.5, 2.0, 6.7, 7.0):
        at = problem.with_lam(lam)
        solution = kw.solve(at, tol=1e-10)
        # ridge on the constant: the best fit without neurons
        c = y.sum() / (3 + lam)
        alone = np.sum((y - c) ** 2) / 2 + lam * c**2 / 2
        needed[lam] = alone - solution.certificate.primal > 1e-7 * alone
        if not needed[lam]:
            assert solution.certificate.dual == pytest.approx(alone, rel=1e-7)
    assert needed == {0.11: False, 0.13: True, 0.5: True, 2.0: True, 6.7: True, 7.0: False}
    assert 6.7 < kw.lam_max(problem) < 7.0


def neurons_needed(x, Y, lam):
    """How many neurons every optimal network has; None where more than one set of them is optimal.

    As in test_theorems_b. A peak too thin for the grid is at a knot at a datum, or a neuron found.
    """
    network = kw.solve(kw.Problem(x, Y, lam, penalty=BIASES), tol=1e-12).network
    f = network.predict(x)
    alpha = Y - f
    ours = np.arctan2(network.b, network.W[:, 0])
    angles = np.concatenate([-np.arctan(x), np.pi - np.arctan(x), ours, maximisers(x, alpha, 0.5)[0]])
    angles = np.sort(np.mod(angles, 2 * np.pi))
    size = np.linalg.norm(response(angles, x, alpha), axis=1)
    angles = angles[size >= (1 - 1e-6) * size.max()]
    angles = angles[np.diff(angles, prepend=-1.0) > 1e-5]
    phi, g = (
        np.maximum(np.cos(angles)[:, None] * x + np.sin(angles)[:, None], 0.0),
        response(angles, x, alpha),
    )
    atoms = np.einsum("ki,kt->kit", phi, g / np.linalg.norm(g, axis=1)[:, None]).reshape(len(angles), -1)
    sizes = np.linalg.norm(atoms, axis=1)
    if np.linalg.svd(atoms / sizes[:, None], compute_uv=False)[-1] < 1e-4:
        return None
    values = (f - alpha.sum(axis=0) / lam).ravel()
    eta, *_ = np.linalg.lstsq(atoms.T, values, rcond=None)
    assert np.abs(eta @ atoms - values).max() <= 1e-4
    return int(np.count_nonzero(eta > 1e-6 * eta.max()))


@pytest.mark.parametrize(("draws", "least"), [(30, 13), pytest.param(200, 90, marks=pytest.mark.slow)])
def test_seven_neurons_for_five_points_are_no_rarity(draws, least):
    """Erratum to B, Theorem 3.1: N = T = 5, lam = .01, Gaussian inputs and labels of seeds 0, 1, ..."""
    needed = [neurons_needed(*gaussian_data(seed, 5, 5), 0.01) for seed in range(draws)]
    assert needed[0] == needed[3] == needed[5] == 7
    assert needed.count(7) >= least
    assert max(n for n in needed if n is not None) <= 15
