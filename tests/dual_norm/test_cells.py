"""Faces against counts known in closed form, maxima against every pattern of activity in every flat."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.dual_norm.cells import AnchoredFaces, Faces, NotEnumerable


def response(Z, A, u):
    """(K,) |sum_j a_j (z_j . u)_+| of rows u."""
    return np.linalg.norm(np.maximum(u @ Z.T, 0.0) @ A, axis=1)


def exhaustive_candidates(Z, A):
    """The leading eigenvectors of every set of active rows in every flat, either way round, and their
    true responses: every maximiser is one of them, unless eigenvalues are repeated."""
    M, m = Z.shape
    active = np.array(list(product([0.0, 1.0], repeat=M)))
    maps = np.einsum("pj,jm,jr->pmr", active, Z, A)
    found = []
    for size in range(m):
        for zero in combinations(range(M), size):
            _, s, Vt = np.linalg.svd(Z[list(zero)].reshape(size, m))
            basis = Vt[int(np.sum(s > 1e-9)) :].T
            inside = basis.T @ maps
            found.append(np.linalg.eigh(inside @ inside.transpose(0, 2, 1))[1][:, :, -1] @ basis.T)
    u = np.concatenate(found)
    u = np.concatenate([u, -u])
    return u, response(Z, A, u)


def exhaustive_maximum(Z, A):
    return exhaustive_candidates(Z @ np.linalg.svd(Z)[2][: np.linalg.matrix_rank(Z)].T, A)[1].max()


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


def centred(alpha, *columns):
    """`alpha` made orthogonal to 1 and the columns."""
    C = np.column_stack([np.ones(len(alpha)), *columns])
    return alpha - C @ np.linalg.lstsq(C, alpha, rcond=None)[0]


def grid(*sides):
    return np.array(list(product(*map(range, sides))), dtype=float)


def counts(faces):
    return [len(level) for level in faces._arrangement.levels]


def check_exact(found, Z, A, maximum, rel=1e-11):
    """Attained, and no less and no more than the maximum."""
    assert found.upper_bound == pytest.approx(maximum, rel=rel)
    assert found.values[0] == pytest.approx(maximum, rel=rel)
    np.testing.assert_allclose(response(Z, A, found.neurons), found.values, rtol=1e-12)
    assert np.all(np.diff(found.values) <= 0)


DEGENERATE = {
    "repeated": np.array([[0, 0], [0, 0], [1, 2], [1, 2], [3, 1], [-1, 2], [4, 4]], dtype=float),
    "collinear": np.outer([0.0, 0.1, 0.2, 0.7, 1.0, 1.5], [1.0, 2.0, -0.3]),
    "three of a line": np.array([[0.0, 0], [0.1, 0.3], [0.2, 0.6], [1.0, -1], [0.3, 0.3], [0.7, 0.1]]),
    "grid": grid(3, 3) * 0.1,
    "cube": grid(2, 2, 2),
    "coplanar": np.column_stack([grid(3, 2), grid(3, 2) @ [0.3, -0.7]]),
    "coplanar but one": np.vstack([np.column_stack([grid(3, 2), np.zeros(6)]), [[0.4, 0.3, 1.0]]]),
    "far off": grid(3, 2) * 0.1 + 1e4,
    "one point": np.ones((3, 2)),
}


@pytest.mark.parametrize(("M", "m"), [(1, 1), (2, 2), (5, 2), (3, 3), (7, 3), (9, 4), (10, 5), (8, 6)])
@pytest.mark.parametrize("symmetric", [False, True])
def test_general_position_has_as_many_faces_as_the_formula(M, m, symmetric):
    faces = Faces.of(np.random.default_rng(M).standard_normal((M, m)), symmetric=symmetric)

    def cells(n, k):
        return 2 * sum(comb(n - 1, i) for i in range(k))

    expected = [comb(M, rank) * (cells(M - rank, m - rank) if rank < M else 1) for rank in range(m)]
    assert counts(faces) == [n // 2 if symmetric else n for n in expected]
    assert faces.n_faces == sum(counts(faces))


@pytest.mark.parametrize(("d", "threshold_functions"), [(1, 4), (2, 14), (3, 104), (4, 1882)])
def test_the_cells_of_the_cube_are_the_threshold_functions(d, threshold_functions):
    assert counts(Faces.of(with_ones(grid(*[2] * d))))[0] == threshold_functions


@pytest.mark.parametrize("X", [grid(3, 3), grid(2, 2, 2), grid(3, 2, 2) * [1.0, 1e-6, 1e5]])
def test_every_cell_that_sampling_finds_is_held_and_no_other(X):
    Z = with_ones(X)
    faces = Faces.of(Z)
    u = np.random.default_rng(0).standard_normal((300_000, Z.shape[1])) @ np.linalg.inv(np.linalg.qr(Z)[1]).T
    seen = np.unique(u @ Z.T > 0, axis=0)
    # small cells escape the sample
    assert 0.9 * counts(faces)[0] < len(seen) <= counts(faces)[0]
    held = {int(mask) for mask in faces._arrangement.levels[0].active}
    order = faces._arrangement.which
    assert all(sum(1 << int(j) for j in order[row]) in held for row in seen)


@pytest.mark.parametrize(("M", "m", "r"), [(5, 1, 2), (8, 2, 1), (8, 3, 2), (8, 4, 3), (8, 5, 1), (7, 6, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_the_maximum_is_that_over_all_patterns_and_flats(M, m, r, seed):
    rng = np.random.default_rng(seed)
    Z, A = rng.standard_normal((M, m)), rng.standard_normal((M, r))
    check_exact(Faces.of(Z).maximise(A), Z, A, exhaustive_maximum(Z, A))


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("seed", range(2))
def test_the_maximum_is_exact_on_degenerate_inputs(case, seed):
    X = DEGENERATE[case]
    rng = np.random.default_rng(seed)
    Z, A = with_ones(X), rng.standard_normal((len(X), 2))
    check_exact(Faces.of(Z).maximise(A), Z, A, exhaustive_maximum(Z, A))


@given(st.data(), st.integers(2, 4), st.integers(1, 3), st.integers(0, 10**6))
def test_the_maximum_is_exact_on_small_integers(data, m, r, seed):
    # zero, parallel, opposite and dependent rows, and ties between eigenvalues
    entry = st.integers(-2, 2)
    Z = np.array(data.draw(st.lists(st.tuples(*[entry] * m), min_size=1, max_size=7)), dtype=float)
    A = np.random.default_rng(seed).integers(-2, 3, size=(len(Z), r)).astype(float)
    found = Faces.of(Z).maximise(A)
    maximum = exhaustive_maximum(Z, A) if Z.any() else 0.0
    for value in (found.upper_bound, found.values.max(initial=0.0)):
        assert value == pytest.approx(maximum, rel=1e-11, abs=1e-11)
    np.testing.assert_allclose(response(Z, A, found.neurons), found.values, rtol=1e-12)


def test_a_simplex_with_its_ties_is_exact():
    # |x|^2 = 5, x_i . x_j = -1, alpha = I: every eigenvalue of a cell but one is repeated
    U, s, _ = np.linalg.svd(6.0 * np.eye(6) - 1.0)
    Z = with_ones(U[:, :5] * np.sqrt(s[:5]))
    check_exact(Faces.of(Z).maximise(np.eye(6)), Z, np.eye(6), exhaustive_maximum(Z, np.eye(6)))


@pytest.mark.parametrize("seed", range(10))
def test_one_input_agrees_with_the_arcs(seed):
    rng = np.random.default_rng(seed)
    x, alpha = rng.standard_normal(30).round(1), rng.standard_normal((30, 3))
    found = Faces.of(with_ones(x)).maximise(alpha)
    assert found.upper_bound == pytest.approx(kw.arcs_dual_norm(x, alpha).upper_bound, rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("symmetric", [False, True])
def test_one_input_with_free_biases_agrees_with_the_knots(seed, symmetric):
    rng = np.random.default_rng(seed)
    x, alpha = rng.standard_normal(30).round(1), rng.standard_normal((30, 3))
    alpha = centred(alpha, x)
    found = AnchoredFaces.of(x[:, None], symmetric=symmetric).maximise(alpha)
    assert found.upper_bound == pytest.approx(kw.knots_dual_norm(x, alpha).upper_bound, rel=1e-11)


@pytest.mark.parametrize("case", [*DEGENERATE, 0, 1, 2])
def test_free_biases_are_exact_over_all_anchors(case):
    rng = np.random.default_rng(5)
    X = DEGENERATE[case] if isinstance(case, str) else rng.standard_normal((7, 2 + case))
    alpha = centred(rng.standard_normal((len(X), 2)))
    anchored = [exhaustive_maximum(X - anchor, alpha) if np.ptp(X, axis=0).any() else 0.0 for anchor in X]
    found = AnchoredFaces.of(X).maximise(alpha)
    if max(anchored) == 0:
        assert found.upper_bound == len(found.values) == 0
        return
    rel = 1e-9 if case == "far off" else 1e-11
    check_exact(found, with_ones(X), alpha, max(anchored), rel)
    np.testing.assert_allclose(np.linalg.norm(found.neurons[:, :-1], axis=1), 1.0)
    # no offset of the same direction does better
    u = found.neurons[:1] + np.linspace(-3, 3, 2001)[:, None] * np.eye(X.shape[1] + 1)[-1]
    assert response(with_ones(X), alpha, u).max() <= found.upper_bound * (1 + 1e-12)


@pytest.mark.parametrize("case", ["grid", "cube", "coplanar", "repeated"])
def test_with_a_free_skip_half_of_the_faces_are_enough(case):
    X = DEGENERATE[case]
    alpha = centred(np.random.default_rng(3).standard_normal((len(X), 2)), X)
    for kind, inputs in ((AnchoredFaces, X), (Faces, with_ones(X))):
        half, full = kind.of(inputs, symmetric=True), kind.of(inputs)
        assert 2 * half.n_faces == full.n_faces
        one, both = half.maximise(alpha), full.maximise(alpha, n_best=200)
        assert one.upper_bound == pytest.approx(both.upper_bound, rel=1e-12)
        np.testing.assert_allclose(np.repeat(one.values, 2), both.values, rtol=1e-10)


def test_what_half_of_the_faces_cannot_see_is_in_the_bound():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((7, 2))
    for seed in range(10):
        small = 1e-10 * np.random.default_rng(seed).standard_normal((7, 1))
        alpha = centred(rng.standard_normal((7, 1)), X) + centred(small)
        for kind, inputs in ((AnchoredFaces, X), (Faces, with_ones(X))):
            full = kind.of(inputs).maximise(alpha)
            half = kind.of(inputs, symmetric=True).maximise(alpha)
            assert full.values[0] <= half.upper_bound <= full.values[0] + 1e-8


def test_a_maximiser_between_cells_is_returned_once():
    # (u_1)_+ is largest at (1, 0), where the other normal vanishes: both cells and the ray have it
    found = Faces.of(np.eye(2)).maximise([[1.0], [0.0]])
    np.testing.assert_allclose(found.neurons, [[1.0, 0.0]], atol=1e-15)
    assert found.values == pytest.approx([1.0])


def test_what_the_free_parts_respond_to_is_refused():
    rng = np.random.default_rng(0)
    X, alpha = rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    for symmetric, a in ((False, alpha), (True, alpha), (True, centred(alpha))):
        found = AnchoredFaces.of(X, symmetric=symmetric).maximise(a)
        assert found.upper_bound == np.inf
        assert len(found.neurons) == len(found.values) == 0
    with pytest.raises(ValueError, match="symmetric=False"):
        Faces.of(X, symmetric=True).maximise(alpha)


@pytest.mark.parametrize("seed", range(5))
def test_the_local_maximisers_of_a_circle_are_all_found(seed):
    rng = np.random.default_rng(seed)
    Z, A = rng.standard_normal((9, 2)), rng.standard_normal((9, 2))
    angle = np.linspace(-np.pi, np.pi, 400_001)[:-1]
    h = response(Z, A, np.column_stack([np.cos(angle), np.sin(angle)]))
    peaks = np.sort(h[(h > np.roll(h, 1)) & (h > np.roll(h, -1))])[::-1]
    found = Faces.of(Z).maximise(A)
    np.testing.assert_allclose(found.values, peaks, rtol=1e-4)
    np.testing.assert_allclose(Faces.of(Z).maximise(A, n_best=2).values, peaks[:2], rtol=1e-4)


@pytest.mark.parametrize("case", [0, 1, "three of a line", "coplanar", "coplanar but one", "cube"])
def test_the_local_maximisers_are_those_that_no_small_step_improves(case):
    rng = np.random.default_rng(1)
    X = DEGENERATE[case] if isinstance(case, str) else rng.standard_normal((7, 2 + case))
    Z, A = with_ones(X), rng.standard_normal((len(X), 2))
    Z = Z @ np.linalg.svd(Z)[2][: np.linalg.matrix_rank(Z)].T
    found = Faces.of(Z).maximise(A, n_best=1000)
    u, h = exhaustive_candidates(Z, A)
    for size, tries in ((1e-2, 50), (1e-3, 500), (1e-4, 5000)):
        steps = size * rng.standard_normal((tries, Z.shape[1]))
        for step in steps:
            v = u + step
            keep = response(Z, A, v / np.linalg.norm(v, axis=1)[:, None]) <= h * (1 + 1e-12)
            # a long step can pass over a maximum: those found are held to the short ones alone
            u, h = u[keep], h[keep]
        if size == 1e-2:
            u, h = np.vstack([u, found.neurons]), np.concatenate([h, found.values])
    u, h = u[h > 1e-12], h[h > 1e-12]
    _, index = np.unique(np.round(u, 6) + 0.0, axis=0, return_index=True)
    np.testing.assert_allclose(np.sort(h[index])[::-1], found.values, rtol=1e-10)


@given(st.integers(0, 10**6), st.floats(0.05, 1.3))
def test_nothing_above_the_floor_is_missed_and_nothing_below_is_returned(seed, share):
    rng = np.random.default_rng(seed)
    Z, A = rng.standard_normal((9, 4)), rng.standard_normal((9, 2))
    faces = Faces.of(Z)
    free = faces.maximise(A, n_best=1000)
    floor = share * free.upper_bound
    found = faces.maximise(A, floor, n_best=1000)
    np.testing.assert_allclose(found.values, free.values[free.values > floor], rtol=1e-12)
    assert found.upper_bound == pytest.approx(max(free.upper_bound, floor), rel=1e-12)
    assert found.upper_bound >= floor
    few = faces.maximise(A, floor, n_best=2)
    np.testing.assert_allclose(few.values, found.values[:2], rtol=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_rotations_scale_and_shift_change_nothing(seed):
    rng = np.random.default_rng(seed)
    X, alpha = rng.standard_normal((8, 3)), centred(rng.standard_normal((8, 3)))
    X[3] = 0.5 * (X[1] + X[2])
    Q, R = np.linalg.qr(rng.standard_normal((3, 3)))[0], np.linalg.qr(rng.standard_normal((3, 3)))[0]
    free, penalised = AnchoredFaces.of(X).maximise(alpha), Faces.of(with_ones(X)).maximise(alpha)
    turned, shift = X @ Q, rng.standard_normal(3)
    moved = AnchoredFaces.of(1e-4 * turned + shift).maximise(1e6 * alpha @ R)
    np.testing.assert_allclose(moved.values, 1e2 * free.values, rtol=1e-9)
    np.testing.assert_allclose(Faces.of(with_ones(turned)).maximise(alpha @ R).values, penalised.values)
    again = np.concatenate([np.arange(8), [2, 5]])
    share = alpha[again] * np.array([1, 1, 0.3, 1, 1, -2, 1, 1, 0.7, 3])[:, None]
    np.testing.assert_allclose(AnchoredFaces.of(X[again]).maximise(share).values, free.values, rtol=1e-10)


@pytest.mark.parametrize("size", [1e-15, 1e-13, 1e-11, 1e-10, 1e-9, 1e-8, 1e-6])
def test_nearly_degenerate_inputs_are_bounded_by_what_they_are_near(size):
    rng = np.random.default_rng(1)
    near = np.array([[0, 0], [0, 0], [1, 0], [2, 0], [0, 1], [1, 1]], dtype=float)
    X = near + size * rng.standard_normal(near.shape)
    limits, faces = AnchoredFaces.of(near), AnchoredFaces.of(X)
    for _ in range(20):
        alpha = centred(rng.standard_normal((6, 1)))
        exact = max(exhaustive_maximum(X - anchor, alpha) for anchor in X)
        found = faces.maximise(alpha)
        assert exact * (1 - 1e-13) <= found.upper_bound
        assert found.values[0] <= exact * (1 + 1e-13)
        # a response moves by no more than |alpha_i| times the move of x_i, summed
        move = 10.0 * np.abs(alpha).sum() * size
        assert found.upper_bound - found.values[0] <= min(100.0 * move, 1e-6) + 1e-13
        assert abs(found.upper_bound - limits.maximise(alpha).upper_bound) <= 100.0 * move + 1e-13


@pytest.mark.parametrize("scale", [1e-60, 1e50])
def test_the_ends_of_the_float_range_are_exact(scale):
    rng = np.random.default_rng(0)
    X, alpha = rng.standard_normal((7, 2)), centred(rng.standard_normal((7, 2)))
    expected = AnchoredFaces.of(X).maximise(alpha).values
    np.testing.assert_allclose(
        AnchoredFaces.of(scale * X).maximise(alpha).values, scale * expected, rtol=1e-10
    )
    np.testing.assert_allclose(
        AnchoredFaces.of(X).maximise(scale * alpha).values, scale * expected, rtol=1e-10
    )


def test_inputs_of_very_different_scales_are_exact():
    rng = np.random.default_rng(4)
    X, alpha = rng.standard_normal((7, 3)), centred(rng.standard_normal((7, 2)))
    X = X * [1.0, 1e-6, 1e3]
    found = AnchoredFaces.of(X).maximise(alpha)
    check_exact(found, with_ones(X), alpha, max(exhaustive_maximum(X - anchor, alpha) for anchor in X))


def test_no_weights_and_no_inputs_respond_to_nothing():
    X = np.random.default_rng(0).standard_normal((6, 2))
    for faces in (Faces.of(X), AnchoredFaces.of(X), Faces.of(np.zeros((6, 2)))):
        found = faces.maximise(np.zeros((6, 3)), floor=0.5)
        assert found.upper_bound == 0.5
        assert len(found.neurons) == len(found.values) == 0
    assert Faces.of(np.zeros((6, 2))).n_faces == 0


def test_too_many_faces_are_refused_by_their_count():
    X = np.random.default_rng(0).standard_normal((12, 3))
    for kind in (Faces, AnchoredFaces):
        n = kind.of(X).n_faces
        assert kind.of(X, max_faces=n).n_faces == n
        with pytest.raises(NotEnumerable, match="max_faces"):
            kind.of(X, max_faces=n - 1)
    with pytest.raises(NotEnumerable, match="max_faces"):
        Faces.of(np.random.default_rng(0).standard_normal((60, 12)))
    rows = np.random.default_rng(0).standard_normal((64, 2))
    assert Faces.of(np.vstack([rows[:63], -2.0 * rows[:63]])).n_faces == 4 * 63
    with pytest.raises(NotEnumerable, match="63"):
        Faces.of(rows)


def test_bad_input_is_named():
    faces = Faces.of(np.eye(3))
    for kind, name in ((Faces, "Z"), (AnchoredFaces, "X")):
        for bad in (np.zeros(3), np.zeros((0, 3)), np.zeros((3, 0)), [[np.nan]]):
            with pytest.raises(ValueError, match=f"^{name}: "):
                kind.of(bad)
        with pytest.raises(TypeError, match=f"^{name}: "):
            kind.of([["a"]])
        with pytest.raises(ValueError, match=r"^max_faces: "):
            kind.of(np.eye(3), max_faces=0)
    with pytest.raises(ValueError, match=r"^A: must have shape"):
        faces.maximise(np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"^alpha: must have shape"):
        AnchoredFaces.of(np.eye(3)).maximise(np.zeros((2, 1)))
    for floor in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=r"^floor: "):
            faces.maximise(np.eye(3), floor=floor)
    with pytest.raises(ValueError, match=r"^n_best: "):
        faces.maximise(np.eye(3), n_best=0)


def test_the_inputs_are_copied():
    faces = Faces.of(Z := np.eye(3))
    before = faces.maximise(np.eye(3)).upper_bound
    Z[:] = 7.0
    assert faces.maximise(np.eye(3)).upper_bound == before


@pytest.mark.slow
def test_twenty_points_in_five_inputs():
    rng = np.random.default_rng(0)
    X, alpha = rng.standard_normal((20, 5)), centred(rng.standard_normal((20, 25)))
    faces = AnchoredFaces.of(X)
    # the cells at each anchor, then the faces through 2, 3, 4 and 5 points
    assert counts(faces) == [161_920, 316_920, 312_360, 155_040, 31_008]
    found = faces.maximise(alpha)
    check_exact(found, with_ones(X), alpha, found.upper_bound)
    w = rng.standard_normal((200_000, 5))
    w /= np.linalg.norm(w, axis=1)[:, None]
    for anchor in X:
        u = np.column_stack([w, -w @ anchor])
        assert response(with_ones(X), alpha, u).max() <= found.upper_bound
