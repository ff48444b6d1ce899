"""Dual norms of several inputs: which method, and what it proves, against exhaustion and sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_several import (
    DEGENERATE,
    exhaustive_dual_norm,
    project_free,
    respond,
    sampled_dual_norm,
)

import knotwork as kw
from knotwork.dual_norm.several import UnitNeurons, dual_norm
from knotwork.penalty import Penalty

FREE, PLAIN, BIASES = Penalty(), Penalty(False, "none"), Penalty(True, "none")
PENALTIES = [FREE, PLAIN, BIASES]
EXACT, HEURISTIC = kw.Rigour.EXACT, kw.Rigour.HEURISTIC


def name(penalty):
    return f"{penalty.biases}-{penalty.skip}"


penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=name)


def dual_point(seed, X, penalty, r=2):
    alpha = np.random.default_rng(seed).standard_normal((len(X), r))
    return alpha if penalty.biases else project_free(X, alpha, penalty.skip)


def draw(seed, n, d, penalty, r=2):
    X = np.random.default_rng(1000 + seed).standard_normal((n, d))
    return X, dual_point(seed, X, penalty, r)


def check(found, X, alpha, penalty, exact, rel=1e-9):
    size = np.abs(alpha).sum() * (np.abs(X - X.mean(axis=0)).max() + 1.0)
    assert found.rigour is EXACT
    assert found.upper_bound == pytest.approx(exact, rel=rel, abs=1e-13 * size)
    assert found.values.max(initial=0.0) == pytest.approx(exact, rel=rel, abs=1e-13 * size)
    assert np.all(np.diff(found.values) <= 0.0)
    if exact <= 1e-12 * size:
        return
    attained = respond(X, alpha, found.neurons)
    np.testing.assert_allclose(attained, found.values, rtol=1e-7, atol=1e-7 * exact)
    rows = found.neurons if penalty.biases else found.neurons[:, :-1]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-9)


# ---------------------------------------------------------------------------------------- exactness


@penalties
@pytest.mark.parametrize(("n", "d"), [(1, 2), (2, 2), (3, 2), (8, 2), (4, 3), (7, 3), (6, 4)])
def test_the_maximum_is_that_over_all_patterns(penalty, n, d):
    X, alpha = draw(n, n, d, penalty)
    found = dual_norm(X, alpha, penalty)
    check(found, X, alpha, penalty, exhaustive_dual_norm(X, alpha, penalty.biases))


@penalties
@pytest.mark.parametrize("case", list(DEGENERATE))
def test_degenerate_data_are_exact(penalty, case):
    X = DEGENERATE[case]
    alpha = dual_point(0, X, penalty)
    far = np.abs(X).max() > 100.0
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    check(dual_norm(X, alpha, penalty), X, alpha, penalty, exact, rel=1e-5 if far else 1e-9)


@penalties
@pytest.mark.parametrize(("n", "d"), [(60, 2), (25, 3)])
def test_sampling_finds_the_maximum_of_more_data_and_no_more(penalty, n, d):
    X, alpha = draw(0, n, d, penalty, 3)
    if penalty.biases and d == 3:
        X, alpha = X[:12], alpha[:12]
    found = dual_norm(X, alpha, penalty)
    sampled = sampled_dual_norm(X, alpha, penalty.biases)
    assert found.rigour is EXACT
    assert sampled <= found.upper_bound * (1.0 + 1e-9)
    assert sampled >= found.upper_bound * (1.0 - 1e-3)


@pytest.mark.parametrize("skip", ["free", "none"])
def test_data_on_a_line_are_those_of_one_input(skip):
    rng = np.random.default_rng(0)
    t = rng.standard_normal(9)
    for d in (2, 3, 4):
        u = rng.standard_normal(d)
        u /= np.linalg.norm(u)
        X = rng.standard_normal(d) + np.outer(t, u)
        alpha = project_free(X, rng.standard_normal((9, 2)), skip)
        one = sampled_dual_norm(t[:, None], alpha, False) if skip == "none" else None
        if skip == "free":
            one = kw.knots_dual_norm(t, alpha).upper_bound
        found = dual_norm(X, alpha, Penalty(False, skip))
        assert found.upper_bound == pytest.approx(one, rel=1e-9)


def test_data_on_a_line_through_the_origin_are_those_of_one_input_with_biases():
    rng = np.random.default_rng(0)
    t, alpha = rng.standard_normal(9), rng.standard_normal((9, 2))
    for d in (2, 3, 4):
        u = rng.standard_normal(d)
        u /= np.linalg.norm(u)
        found = dual_norm(np.outer(t, u), alpha, BIASES)
        assert found.upper_bound == pytest.approx(kw.arcs_dual_norm(t, alpha).upper_bound, rel=1e-10)


@pytest.mark.parametrize("d", [2, 3])
def test_a_neuron_and_its_opposite_respond_alike_under_a_free_skip_connection(d):
    X, alpha = draw(3, 8, d, FREE)
    found = dual_norm(X, alpha, FREE)
    np.testing.assert_allclose(respond(X, alpha, -found.neurons), found.values, rtol=1e-7, atol=1e-9)
    # one of each pair is enough, and one is what there is
    both = np.concatenate([found.neurons, -found.neurons])
    assert len(np.unique(np.round(both, 6), axis=0)) == 2 * len(found.neurons)
    assert found.upper_bound == pytest.approx(dual_norm(X, alpha, PLAIN).upper_bound, rel=1e-10)


# ------------------------------------------------------------------------------------ invariances


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 3), st.integers(0, 2))
def test_what_must_not_matter_does_not(seed, n, d, which):
    penalty = PENALTIES[which]
    n = min(n, 8) if d == 3 else n
    X, alpha = draw(seed, n, d, penalty, 3)
    rng = np.random.default_rng(seed)
    norm = dual_norm(X, alpha, penalty).upper_bound
    order = rng.permutation(n)
    Q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    P, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    split = rng.uniform(size=(n, 1))
    shift = 0.0 if penalty.biases else 3.0
    others = [
        (X[order], alpha[order], 1.0),
        (X @ Q, alpha, 1.0),
        (X, alpha @ P, 1.0),
        (X, np.column_stack([alpha, np.zeros((n, 4))]), 1.0),
        (X, -2.5 * alpha, 2.5),
        (X + shift, alpha, 1.0),
        (np.concatenate([X, X]), np.concatenate([split * alpha, (1 - split) * alpha]), 1.0),
    ]
    if not penalty.biases:
        others.append((1e3 * X, alpha, 1e3))
    for Z, a, factor in others:
        assert dual_norm(Z, a, penalty).upper_bound == pytest.approx(factor * norm, rel=1e-9, abs=1e-12)


# --------------------------------------------------------------------------------- which method


@pytest.mark.parametrize(
    ("n", "d", "penalty", "method"),
    [
        (30, 2, FREE, "circles"),
        (30, 2, PLAIN, "circles"),
        (30, 2, BIASES, "sphere"),
        (12, 3, FREE, "spheres"),
        (7, 3, BIASES, "faces"),
        (8, 4, FREE, "faces"),
        (80, 8, FREE, "search"),
        (80, 8, BIASES, "search"),
    ],
)
def test_the_method_follows_from_the_data(n, d, penalty, method):
    X, alpha = draw(0, n, d, penalty)
    units = UnitNeurons(X, penalty)
    assert units.method == method
    assert units.is_exact == (method != "search")
    assert dual_norm(X, alpha, penalty).rigour is (HEURISTIC if method == "search" else EXACT)


@penalties
@pytest.mark.parametrize("d", [2, 3, 4])
def test_few_cells_leave_a_search_and_its_proven_bound(penalty, d):
    X, alpha = draw(1, 9, d, penalty)
    exact = dual_norm(X, alpha, penalty)
    found = dual_norm(X, alpha, penalty, max_cells=1)
    assert exact.rigour is EXACT
    assert found.rigour is HEURISTIC
    assert 0.95 * exact.upper_bound <= found.values[0] <= exact.upper_bound * (1.0 + 1e-9)
    np.testing.assert_allclose(respond(X, alpha, found.neurons), found.values, rtol=1e-9)
    assert found.upper_bound >= exact.upper_bound


def test_the_count_of_cells_is_no_less_than_what_is_enumerated():
    from knotwork.dual_norm.cells import AnchoredFaces, Faces

    X, _ = draw(0, 8, 3, FREE)
    cells = len(Faces.of(np.column_stack([X, np.ones(8)]))._arrangement.levels[0])
    assert UnitNeurons(X, BIASES).n_cells == cells
    assert UnitNeurons(X, PLAIN).n_cells >= len(AnchoredFaces.of(X)._arrangement.levels[0])


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 10), st.integers(2, 3), st.integers(1, 3), st.integers(0, 2))
def test_the_spectral_bound_is_never_below(seed, n, d, r, which):
    penalty = PENALTIES[which]
    n = min(n, 7) if d == 3 else n
    X, alpha = draw(seed, n, d, penalty, r)
    units = UnitNeurons(X, penalty)
    assert units.maximise(alpha).largest <= units.spectral_bound(alpha) * (1.0 + 1e-12) + 1e-13


def test_the_spectral_bound_can_be_attained():
    # one point under penalised biases; two points and opposite labels without a skip connection
    X, a = np.array([[0.6, -0.3]]), np.array([[2.0, 1.0]])
    units = UnitNeurons(X, BIASES)
    size = np.linalg.norm([2.0, 1.0]) * np.linalg.norm([0.6, -0.3, 1.0])
    assert units.spectral_bound(a) == pytest.approx(size, rel=1e-12)
    assert units.maximise(a).largest == pytest.approx(size, rel=1e-12)
    X = np.array([[0.0, 0.0], [3.0, 4.0]])
    units = UnitNeurons(X, PLAIN)
    assert units.maximise([[-1.0], [1.0]] @ np.eye(1)).largest == pytest.approx(5.0, rel=1e-12)
    assert units.spectral_bound([[-1.0], [1.0]] @ np.eye(1)) == pytest.approx(5.0, rel=1e-12)


# -------------------------------------------------------------------------------------- the floor


@penalties
@pytest.mark.parametrize(("n", "d"), [(20, 2), (9, 3), (6, 4)])
def test_a_floor_hides_only_what_is_below_it(penalty, n, d):
    X, alpha = draw(2, n, d, penalty)
    units = UnitNeurons(X, penalty)
    top = units.maximise(alpha)
    assert units.is_exact
    for share in (0.3, 0.9, 0.9999):
        found = units.maximise(alpha, share * top.largest)
        assert found.largest == pytest.approx(top.largest, rel=1e-10)
        assert found.values[0] == pytest.approx(top.largest, rel=1e-9)
    for share in (1.0001, 2.0):
        found = units.maximise(alpha, share * top.largest)
        assert top.largest <= found.largest <= share * top.largest * (1.0 + 1e-12)
        assert np.all(found.values <= top.largest * (1.0 + 1e-9))


@penalties
def test_a_dual_point_of_zero_has_no_response(penalty):
    for d in (2, 3, 4):
        X, _ = draw(0, 6, d, penalty)
        found = dual_norm(X, np.zeros((6, 2)), penalty)
        assert found.upper_bound == 0.0
        assert np.all(found.values == 0.0)


# -------------------------------------------------------------------------------------- bad input


def test_points_off_the_free_parts_have_no_maximum():
    X, alpha = draw(0, 6, 2, FREE)
    assert dual_norm(X, alpha + 1e-3, FREE).upper_bound == np.inf
    assert dual_norm(X, alpha + 1e-3, PLAIN).upper_bound == np.inf
    plain = project_free(X, np.random.default_rng(0).standard_normal((6, 2)), "none")
    assert dual_norm(X, plain, FREE).upper_bound == np.inf
    assert np.isfinite(dual_norm(X, plain, PLAIN).upper_bound)
    assert np.isfinite(dual_norm(X, alpha + 1e-3, BIASES).upper_bound)


@pytest.mark.parametrize(
    ("X", "alpha", "message"),
    [
        (np.ones((3, 1)), np.ones((3, 1)), "X: .*d >= 2"),
        (np.ones(3), np.ones((3, 1)), "X: "),
        (np.ones((0, 2)), np.ones((0, 1)), "X: "),
        (np.ones((3, 2)), np.ones((2, 1)), r"alpha: .*\(3, T\)"),
        (np.ones((3, 2)), np.ones((3, 1, 1)), "alpha: "),
        ([[1.0, np.nan]], [[1.0]], "X: NaN"),
        ([[1.0, 2.0]], [[np.inf]], "alpha: infinite"),
    ],
)
def test_arrays_that_make_no_sense_are_named(X, alpha, message):
    with pytest.raises(ValueError, match=message):
        dual_norm(X, alpha, BIASES)


def test_text_is_no_array():
    with pytest.raises(TypeError, match="X: "):
        dual_norm([["a", "b"]], [[1.0]])
    with pytest.raises(TypeError, match="alpha: "):
        dual_norm([[1.0, 2.0]], [["a"]])


def test_a_sphere_for_every_row_is_exact_for_as_many_cells_as_asked_for_and_no_more():
    X = np.random.default_rng(0).standard_normal((40, 3))
    few, many = (UnitNeurons(X, kw.Penalty(False, "none"), max_cells=m) for m in (5_000, 2_000_000))
    assert few.n_cells == many.n_cells > 5_000
    assert (few.is_exact, many.is_exact) == (False, True)
