"""More of what paper B says, and what holds, on examples that can be done by hand (docs/theorems.md)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import knotwork as kw

BIASES = kw.Penalty(biases=True, skip="none")


@pytest.mark.parametrize("n", [4, 6, 8, 12])
def test_the_neurons_needed_grow_like_the_square_of_the_data(n):
    """Erratum to B, Theorem 3.1: |x_i|^2 = n - 1, x_i . x_j = -1 and n tasks need n^2/4.

    The fit is sum (e_i + e_j)(e_i + e_j)' over i <= n/2 < j, plus c. As [X, 1] is sqrt(n) times a rotation,
    alpha = lam/sqrt(n) I responds to a unit neuron by lam |relu(u)| <= lam, so that every optimal network
    is sum_k m_k phi_k phi_k' with phi_k >= 0: a neuron that is positive at two data makes the entry of
    this pair positive, and no neuron serves two of the n^2/4 pairs.
    """
    lam, half = 0.1, n // 2
    basis = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, : n - 1]]))[0][:, 1:]
    X = np.sqrt(n) * basis
    np.testing.assert_allclose(X @ X.T + 1.0, n * np.eye(n), atol=1e-12)
    pairs = list(itertools.product(range(half), range(half, n)))
    sums = np.array([np.eye(n)[i] + np.eye(n)[j] for i, j in pairs])
    alpha, c = lam / np.sqrt(n) * np.eye(n), np.full(n, n**-0.5)
    Y = sums.T @ sums + c + alpha
    # unit neurons along z_i + z_j, of value sqrt(n / 2) at both and 0 elsewhere
    u = sums @ np.column_stack([X, np.ones(n)]) / np.sqrt(2.0 * n)
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1.0, atol=1e-12)
    network = kw.ReLUNetwork(u[:, :-1], u[:, -1], sums * np.sqrt(2.0 / n), c=c)
    np.testing.assert_allclose(network.predict(X), Y - alpha, atol=1e-12)

    # optimal: the objective is the dual value of alpha, which is feasible
    primal = 0.5 * np.sum(alpha**2) + lam * (np.linalg.norm(network.V, axis=1).sum() + c @ c / 2)
    dual = np.sum(alpha * Y) - 0.5 * np.sum(alpha**2) - 0.5 * np.sum(alpha.sum(axis=0) ** 2) / lam
    assert primal == pytest.approx(dual, rel=1e-12)
    assert kw.Problem(X, Y, lam, penalty=BIASES).objective(network) == pytest.approx(primal, rel=1e-12)

    # which data a neuron may be positive at: all of its pairs must be positive in the fit
    fit = Y - alpha - c
    allowed = fit > 1e-12
    cliques = [
        support
        for size in (2, 3)
        for support in itertools.combinations(range(n), size)
        if all(allowed[i, j] for i, j in itertools.combinations(support, 2))
    ]
    assert cliques == pairs
    assert len(pairs) == n * n // 4
    # more than the paper's n from 6 on, and half of the proven bound in the limit
    assert (len(pairs) > n) == (n > 4)
    assert len(pairs) <= n * (n + 1) // 2


def test_bends_do_not_sit_at_data_where_biases_are_penalised():
    """One datum x = 2, y = 3, lam = .1: the neuron is along (2, 1), with its knot at -1/2."""
    lam, x, y = 0.1, 2.0, 3.0
    solution = kw.solve(kw.Problem([x], [y], lam, penalty=BIASES), tol=1e-12)
    # alpha sqrt(5) = lam for the neuron, alpha = lam c for the output bias
    alpha = lam / np.sqrt(5.0)
    c = alpha / lam
    mass = (y - alpha - c) / np.sqrt(5.0)
    network = solution.network
    assert solution.certificate.primal == pytest.approx(alpha**2 / 2 + lam * (mass + c**2 / 2), rel=1e-10)
    assert network.c == pytest.approx([c], rel=1e-5)
    assert network.knots.location == pytest.approx([-0.5], abs=1e-5)
    # with the knot at the datum the neuron does nothing there, and c alone costs more
    alone = kw.Problem([x], [y], lam, penalty=BIASES).objective(
        kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 1)), c=[y / (1 + lam)])
    )
    assert solution.certificate.primal < 0.8 * alone


def test_the_slope_jumps_by_the_size_of_the_input_weight_times_the_output_weight():
    """B, Figs 7 and 8 show v w: for a neuron that faces left the sign of its bend is the other one."""
    for w, v in itertools.product([-2.0, 0.5], [-1.5, 3.0]):
        f = kw.ReLUNetwork([[w]], [0.3], [[v]])
        at, step = -0.3 / w, 1e-3
        left, middle, right = f.predict([at - step, at, at + step])[:, 0]
        jump = (right - 2 * middle + left) / step
        assert jump == pytest.approx(abs(w) * v, rel=1e-9)
        assert f.knots.jump[0, 0] == pytest.approx(jump, rel=1e-9)
        assert (np.sign(w * v) == np.sign(jump)) == (w > 0)
