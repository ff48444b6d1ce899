import numpy as np
import pytest

from knotwork.selection._blocks import held_out_residuals


@pytest.mark.parametrize("n_tasks", [1, 2, 5, 9])
def test_residuals_are_those_of_an_eigendecomposition(n_tasks):
    rng = np.random.default_rng(n_tasks)
    root = rng.normal(size=(300, n_tasks, n_tasks + 1)) * rng.uniform(
        0.0, 1.2 / np.sqrt(n_tasks + 1), (300, 1, 1)
    )
    H, residual = root @ root.transpose(0, 2, 1), rng.normal(size=(300, n_tasks))
    values, vectors = np.linalg.eigh(H)
    some = values[:, -1] < 0.99
    assert 10 < np.count_nonzero(some) < 290
    found = held_out_residuals(H, residual)
    np.testing.assert_array_equal(np.isnan(found), np.repeat(~some[:, None], n_tasks, axis=1))
    along = np.einsum("nab,na->nb", vectors, residual) / (1.0 - values)
    expected = np.einsum("nab,nb->na", vectors, along)
    np.testing.assert_allclose(found[some], expected[some], rtol=1e-8, atol=1e-8)


def test_the_bound_is_an_eigenvalue_of_one_hundredth():
    """The product of all may be far below it, and none of them."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    for least, known in ((0.0101, True), (0.0099, False)):
        H = (np.eye(4) - turn @ np.diag([0.05, 0.04, 0.03, least]) @ turn.T)[None]
        found = held_out_residuals(H, np.ones((1, 4)))
        assert np.isfinite(found).all() == known
        if known:
            np.testing.assert_allclose((np.eye(4) - H[0]) @ found[0], np.ones(4), atol=1e-9)
