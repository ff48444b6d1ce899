"""What paper B claims of the number of neurons, in one dimension with penalised biases."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw

LAM = 0.01
BIASES = kw.Penalty(biases=True, skip="none")


def gaussian_data(seed, n, n_tasks):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal((n, n_tasks))


def response(angles, x, alpha):
    """(len(angles), T) sum_i alpha_i relu(cos t x_i + sin t) of the unit neurons at angles t."""
    return np.maximum(np.cos(angles)[:, None] * x + np.sin(angles)[:, None], 0.0) @ alpha


def maximisers(x, alpha, share):
    """Angles of the local maxima of |response| that reach `share` of the largest; and the largest.

    A grid over the circle, each local maximum then halved to a width of 1e-12.
    """
    grid = np.linspace(-np.pi, np.pi, 40_001)[:-1]
    norms = np.linalg.norm(response(grid, x, alpha), axis=1)
    peaks = (norms >= np.roll(norms, 1)) & (norms > np.roll(norms, -1)) & (norms > 0.999 * norms.max())
    found, width = grid[peaks], grid[1] - grid[0]
    while width > 1e-12:
        around = found[:, None] + width * np.linspace(-1.0, 1.0, 9)
        values = np.linalg.norm(response(around.ravel(), x, alpha), axis=1).reshape(around.shape)
        found, width = around[np.arange(len(found)), values.argmax(axis=1)], width / 4.0
    norms = np.linalg.norm(response(found, x, alpha), axis=1)
    return found[norms >= share * norms.max()], norms.max()


def most_neurons(n, n_tasks):
    """N r - r (r - 1) / 2, r = min(N, T): as many are always enough."""
    r = min(n, n_tasks)
    return n * r - r * (r - 1) // 2


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_seven_neurons_are_needed_for_five_points(seed):
    """Erratum to B, Theorem 3.1 ("n > N"): N + 1 = 6 neurons do not reach the optimum.

    Every optimal network has its neurons among the maximisers of |response| at the dual point
    alpha = y - f, which is unique, and output weights eta_k g_k, g_k the unit response there.
    Where the matrices phi_k g_k' of all maximisers are independent, sum_k eta_k phi_k g_k' = f - c
    leaves one eta >= 0: as many neurons as it has positive entries are needed.
    """
    n = n_tasks = 5
    x, Y = gaussian_data(seed, n, n_tasks)
    solution = kw.solve(kw.Problem(x, Y, LAM, penalty=BIASES), tol=1e-10)
    network = solution.network
    f = network.predict(x)
    alpha = Y - f
    angles, largest = maximisers(x, alpha, 1 - 1e-5)

    # optimal, by dense formulas: weak duality at the residual, scaled to |response| <= lam
    assert network.cost(BIASES) == pytest.approx(
        np.sum(np.linalg.norm(network.V, axis=1) * np.hypot(network.W[:, 0], network.b))
        + network.c @ network.c / 2
    )
    primal = np.sum(alpha**2) / 2 + LAM * network.cost(BIASES)
    beta = alpha * min(1.0, LAM / largest)
    dual = np.sum(beta * Y) - np.sum(beta**2) / 2 - np.sum(beta.sum(axis=0) ** 2) / (2 * LAM)
    assert dual <= primal
    assert primal - dual <= 1e-8 * primal

    # the maximisers are the seven neurons, and no other representation exists
    assert len(angles) == 7
    phi = np.maximum(np.cos(angles)[:, None] * x + np.sin(angles)[:, None], 0.0)
    g = response(angles, x, alpha)
    g /= np.linalg.norm(g, axis=1)[:, None]
    atoms = np.einsum("ki,kt->kit", phi, g).reshape(7, -1)
    size = np.linalg.norm(atoms, axis=1)
    assert np.linalg.svd(atoms / size[:, None], compute_uv=False)[-1] > 1e-3
    eta, *_ = np.linalg.lstsq(atoms.T, (f - alpha.sum(axis=0) / LAM).ravel(), rcond=None)
    np.testing.assert_allclose(eta @ atoms, (f - alpha.sum(axis=0) / LAM).ravel(), atol=1e-4)
    assert eta.min() > 1e-2 * eta.max()
    assert most_neurons(n, n_tasks) == 15


@pytest.mark.parametrize(("n", "n_tasks"), [(4, 1), (6, 1), (5, 2), (6, 3), (4, 6), (5, 5)])
def test_no_optimum_needs_more_than_the_bound(n, n_tasks):
    for seed in range(100, 112):
        x, Y = gaussian_data(seed, n, n_tasks)
        solution = kw.solve(kw.Problem(x, Y, LAM, penalty=BIASES), tol=1e-9)
        assert solution.certificate.relative_gap <= 1e-8
        angles = np.sort(np.arctan2(solution.network.b, solution.network.W[:, 0]))
        # neurons a hair apart are one
        assert 1 + np.sum(np.diff(angles) > 1e-4) <= most_neurons(n, n_tasks)
