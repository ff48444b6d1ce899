import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from knotwork.selection._masses import Grams, least


def grams(seed, n=6, K=5, n_tasks=2, per_task=False, near=0.0):
    """(n, P, m, K) columns, (n, P, m, T / P) labels, and their Gram matrices; `near` makes columns alike."""
    rng = np.random.default_rng(seed)
    P = n_tasks if per_task else 1
    H = rng.normal(size=(n, P, 12, K))
    if near:
        H[..., 1] = H[..., 0] + near * H[..., 1]
    y = rng.normal(size=(n, P, 12, n_tasks // P))
    known = np.ones((n, K), dtype=bool)
    known[0, -2:] = False
    H = H * known[:, None, None]
    Ht = H.swapaxes(2, 3)
    lam = rng.uniform(0.3, 3.0, n)
    return H, y, Grams(Ht @ H, Ht @ y, known, 0.5 * np.sum(y * y, axis=(1, 2, 3)), lam)


def settled(all_of, eta):
    """What some calls lead to: one takes a few steps only."""
    for _ in range(5):
        eta, V, response = least(all_of, eta, np.full(len(eta), 1e-14))
    return eta, V, response


def objective(H, y, V, lam):
    left = y - H @ V
    return 0.5 * np.sum(left * left) + lam * np.sqrt(np.einsum("pkt,pkt->k", V, V)).sum()


@pytest.mark.parametrize("per_task", [False, True])
@pytest.mark.parametrize("near", [0.0, 1e-3])
def test_masses_meet_the_conditions_of_the_group_lasso(per_task, near):
    H, y, all_of = grams(3, per_task=per_task, near=near)
    eta, V, response = settled(all_of, np.zeros((6, 5)))
    bends = np.sqrt(np.einsum("npkt,npkt->nk", V, V))
    p = H.swapaxes(2, 3) @ (y - H @ V)
    np.testing.assert_allclose(response, p, atol=1e-8)
    np.testing.assert_allclose(eta, bends, atol=1e-6)
    for k in range(6):
        lam, on = all_of.lam[k], bends[k] > 0
        size = np.sqrt(np.einsum("pkt,pkt->k", p[k], p[k]))
        assert size.max() <= lam * (1.0 + 1e-6)
        np.testing.assert_allclose(p[k][:, on], lam * V[k][:, on] / bends[k, on][:, None], rtol=1e-5)
    assert 0 < np.count_nonzero(bends) < bends.size - 2
    assert not V[0][:, -2:].any()


@pytest.mark.parametrize("start", [0.0, 5.0])
def test_no_other_weights_do_better(start):
    H, y, all_of = grams(5)
    eta, V, _ = settled(all_of, np.full((6, 5), start) * all_of.known)
    values = np.array([objective(*one) for one in zip(H, y, V, all_of.lam, strict=True)])
    np.testing.assert_allclose(all_of.at(eta).value, values)
    for k in range(6):
        at = V[k].ravel()
        found = minimize(
            lambda v, k=k: objective(H[k], y[k], v.reshape(V[k].shape), all_of.lam[k]), at + 0.05
        )
        assert values[k] <= found.fun + 1e-7
        moved = objective(H[k], y[k], V[k] + 0.05, all_of.lam[k])
        assert moved > values[k] + 1e-3


def test_the_quadratic_model_is_minimised_over_masses_that_are_not_negative():
    """Against non-negative least squares on a root of the same Hessian."""
    exchanged = 0
    for seed in range(20):
        _, _, all_of = grams(seed, n=4, K=8, near=1e-2)
        eta = np.random.default_rng(seed).uniform(0.0, 1.0, (4, 8)) * all_of.known
        state = all_of.at(eta)
        target, H = all_of.target(eta, state), all_of.hessian(state)
        for k in range(4):
            on = all_of.known[k]
            root = np.linalg.cholesky(H[k][np.ix_(on, on)]).T
            linear = state.slope[k, on] - H[k][np.ix_(on, on)] @ eta[k, on]
            expected, _ = nnls(root, -np.linalg.solve(root.T, linear))
            np.testing.assert_allclose(target[k, on], expected, atol=1e-6 * max(1.0, expected.max()))
            exchanged += np.count_nonzero(expected == 0)
    assert exchanged > 20


def test_the_slope_is_that_of_the_objective():
    _, _, all_of = grams(7, per_task=True)
    eta, step = np.full((6, 5), 0.7) * all_of.known, 1e-5
    state = all_of.at(eta)
    for k in range(3):
        move = step * np.eye(5)[k]
        difference = (all_of.at(eta + move).value - all_of.at(eta - move).value) / (2.0 * step)
        np.testing.assert_allclose(state.slope[:, k], difference, atol=1e-6)
        slopes = (all_of.at(eta + move).slope - all_of.at(eta - move).slope) / (2.0 * step)
        np.testing.assert_allclose(all_of.hessian(state)[:, k, :3], slopes[:, :3], atol=1e-5)
