from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import random_case
from references import label_weights
from references_losses import PENALTIES

from knotwork.penalty import Penalty
from knotwork.points import Points
from knotwork.solvers.dictionary import Atoms, Dictionary, rotated

FORMS = [(0.0, None), (0.0, "rows"), (0.3, None), (0.3, "labels")]


def random_atoms(rng, x, K, nuclear=False):
    """Both facings, knots at data and between, a pole, and the one that stands for x itself."""
    turn = rng.uniform(-np.pi, np.pi, K)
    w, b = np.cos(turn), np.sin(turn)
    b[: K // 3] = -w[: K // 3] * rng.choice(x, K // 3)
    w[K // 2], b[K // 2] = 0.0, 1.0
    linear = np.zeros(K, dtype=bool)
    if nuclear:
        w[-1], b[-1], linear[-1] = 1.0, 0.0, True
    return Atoms(w, b, rng.uniform(size=K), linear)


def dense_hidden(atoms, x):
    """(N, K) what each atom gives at x."""
    relu = np.maximum(atoms.w * x[:, None] + atoms.b, 0.0)
    return np.where(atoms.linear, x[:, None], relu)


def per_pattern(M, n_patterns):
    return M[None] if n_patterns == 1 else M.T[:, :, None]


def row_loss(rows, atoms, V, free):
    """Half the squared error of the rows."""
    features = rows.pairs[..., 0] * atoms.w + rows.pairs[..., 1] * atoms.b
    P = len(features)
    error = rows.labels - rows.free @ per_pattern(free, P) - features @ per_pattern(V, P)
    return 0.5 * float(np.sum(error**2))


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.sampled_from(PENALTIES[1:]),
    st.sampled_from(FORMS),
    st.sampled_from(["random", "repeated"]),
)
def test_rows_tell_weights_apart_as_the_data_do(seed, penalty, form, spacing):
    # what rows leave out of the loss is the same for all weights
    case = random_case(seed, "squared", penalty, 17, 0.3, *form, spacing=spacing)
    rng = np.random.default_rng(seed)
    dictionary = Dictionary(Points.from_problem(case.problem), case.lam, Penalty(*penalty))
    atoms = random_atoms(rng, case.X, 6, penalty[1] == "nuclear")
    rows, w = dictionary.rows(atoms), label_weights(case.Y, case.weight)
    n_free = rows.free.shape[2]
    differences = []
    for _ in range(3):
        V, free = rng.standard_normal((6, 2)), rng.standard_normal((n_free, 2))
        f = dense_hidden(atoms, case.X) @ V + free[0]
        ridge = 0.5 * case.lam * float(np.sum(free[0] ** 2)) if penalty[0] else 0.0
        if n_free == 2:
            f = f + case.X[:, None] * free[1]
            ridge += 0.5 * case.lam * float(np.sum(free[1] ** 2))
        error = np.where(w > 0, case.Y - f, 0.0)
        dense = 0.5 * float(np.sum(w * error**2)) + ridge
        differences.append(dense - row_loss(rows, atoms, V, free))
        network = dictionary.network(atoms, V, free)
        np.testing.assert_allclose(network.predict(case.X), f, atol=1e-12)
    assert differences[0] >= -1e-9
    np.testing.assert_allclose(differences, differences[0], atol=1e-9)


def test_rows_are_few_whatever_the_data():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=30_000)
    points = Points(np.sort(x), rng.standard_normal((30_000, 2)), None)
    dictionary = Dictionary(points, 0.1, Penalty(True, "none"))
    atoms = random_atoms(rng, points.x, 6)
    assert dictionary.rows(atoms).pairs.shape[1] <= 2 * (len(atoms) + 1) + 1


@pytest.mark.parametrize("P", [1, 2])
def test_rotated_keeps_every_inner_product(P):
    rng = np.random.default_rng(1)
    free, features = rng.standard_normal((P, 12, 2)), rng.standard_normal((P, 12, 4))
    labels = rng.standard_normal((P, 12, 3))
    R, C = rotated(free, features, labels)
    both = np.concatenate([free, features], axis=2)
    np.testing.assert_allclose(R.transpose(0, 2, 1) @ R, both.transpose(0, 2, 1) @ both, atol=1e-12)
    np.testing.assert_allclose(R.transpose(0, 2, 1) @ C, both.transpose(0, 2, 1) @ labels, atol=1e-12)
    assert np.all(np.tril(R, -1) == 0.0)


def test_atoms_join_and_part():
    rng = np.random.default_rng(2)
    one, other = random_atoms(rng, np.arange(4.0), 5), random_atoms(rng, np.arange(4.0), 3, nuclear=True)
    both = one.joined(other)
    assert (len(Atoms.none()), len(both)) == (0, 8)
    back = both.take(np.arange(8) >= 5)
    for name in ("w", "b", "mass", "linear"):
        assert np.array_equal(getattr(back, name), getattr(other, name))
    low, high = other.active(np.arange(4.0))
    assert (low[-1], high[-1]) == (0, 4)
