from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references import second_differences

import knotwork as kw
from knotwork.theory.independence import neurons_independent

FREE = kw.Penalty()
NO_SKIP = kw.Penalty(skip="none")
DECAYED = kw.Penalty(biases=True, skip="none")
FROBENIUS = kw.Penalty(biases=True, skip="frobenius")
NUCLEAR = kw.Penalty(biases=True, skip="nuclear")


def free_columns(X, penalty):
    if penalty.biases:
        return np.zeros((len(X), 0))
    one = np.ones((len(X), 1))
    return np.column_stack([one, X]) if penalty.skip == "free" else one


def off_free(v, rows, X, penalty):
    """v (N,) on `rows`, less its least-squares fit by the free functions there; 0 elsewhere."""
    out = np.zeros(len(v))
    B = free_columns(X[rows], penalty)
    out[rows] = v[rows] - (B @ np.linalg.lstsq(B, v[rows], rcond=None)[0] if B.shape[1] else 0.0)
    return out


def dense_matrix(X, neurons, alpha, penalty, mask):
    """(N T, M): phi_k g_k' on the labels, neuron by neuron and task by task, unit columns."""
    columns = []
    for unit in neurons:
        phi = np.maximum(X @ unit[:-1] + unit[-1], 0.0)
        parts = [off_free(phi, mask[:, t], X, penalty) for t in range(alpha.shape[1])]
        g = np.array([alpha[mask[:, t], t] @ part[mask[:, t]] for t, part in enumerate(parts)])
        column = np.concatenate([part * gt for part, gt in zip(parts, g / np.linalg.norm(g), strict=True)])
        columns.append(column / np.linalg.norm(column))
    return np.stack(columns, axis=1)


def dual_point(rng, X, n_tasks, penalty, mask):
    alpha = np.where(mask, rng.standard_normal((len(X), n_tasks)), 0.0)
    return np.stack([off_free(alpha[:, t], mask[:, t], X, penalty) for t in range(n_tasks)], axis=1)


@settings(max_examples=150)
@given(
    st.integers(0, 10**6),
    st.sampled_from([FREE, NO_SKIP, DECAYED, FROBENIUS]),
    st.integers(2, 7),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 12),
    st.booleans(),
)
def test_rank_and_singular_value_are_those_of_the_dense_matrix(seed, penalty, n, d, n_tasks, M, gaps):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    mask = rng.uniform(size=(n, n_tasks)) < (0.7 if gaps else 2.0)
    neurons = np.column_stack([rng.standard_normal((M, d)), 0.5 * rng.standard_normal(M)])
    alpha = dual_point(rng, X, n_tasks, penalty, mask)
    hidden = np.maximum(X @ neurons[:, :-1].T + neurons[:, -1], 0.0)
    # a neuron of no response is refused, one active on all data is a linear part: other tests
    assume(not np.any(np.all(hidden[mask.any(axis=1)] > 0, axis=0)))
    neurons = neurons[np.linalg.norm(hidden.T @ alpha, axis=1) > 1e-6]
    assume(len(neurons) > 0)
    found = neurons_independent(X, neurons, alpha, penalty, mask)
    dense = dense_matrix(X, neurons, alpha, penalty, mask)
    s = np.linalg.svd(dense, compute_uv=False)
    assert found.n_neurons == len(neurons)
    assert found.rank == np.linalg.matrix_rank(dense, tol=1e-7 * s[0])
    smallest = s[-1] / s[0] if len(neurons) <= dense.shape[0] else 0.0
    assert found.smallest_singular_value == pytest.approx(smallest, abs=1e-12)
    assert found.independent == (found.rank == len(neurons))


def two_squares():
    """A, Figure 5: squares of side 2 and 1, with the dual point of the optimum of one task."""
    outer = np.array(list(itertools.product([-1.0, 1.0], repeat=2)))
    return np.vstack([outer, 0.5 * outer]), np.repeat([1.0, -1.0], 4)


def test_the_two_squares_have_eight_maximisers_of_rank_five():
    X, alpha = two_squares()
    kinks = [(*w, b) for w in (*np.eye(2), *-np.eye(2)) for b in (-0.5, 0.5)]
    response = np.abs(np.maximum(X @ np.array(kinks)[:, :2].T + np.array(kinks)[:, 2], 0.0).T @ alpha)
    np.testing.assert_allclose(response, 1.0)
    # a fine sweep of directions at every datum: no neuron responds more, and none else as much
    angle = np.linspace(0, 2 * np.pi, 3600, endpoint=False)
    units = np.column_stack([np.cos(angle), np.sin(angle)])
    swept = np.array([np.maximum((X - x) @ units.T, 0.0).T @ alpha for x in X])
    assert np.abs(swept).max() <= 1 + 1e-12
    assert {k % 900 for k in np.argwhere(np.abs(swept) > 1 - 1e-9)[:, 1]} == {0}
    found = neurons_independent(X, kinks, alpha, NO_SKIP)
    assert (found.independent, found.rank, found.n_neurons) == (False, 5, 8)
    assert found.smallest_singular_value < 1e-12


def on_sphere(rng, n, n_tasks, knots, twins):
    """p (n - 2, T) of norm 1 at `knots`, less elsewhere, the same at j and j + 1 for j in `twins`."""
    p = rng.standard_normal((n - 2, n_tasks))
    p *= rng.uniform(0.2, 0.8, (n - 2, 1)) / np.linalg.norm(p, axis=1, keepdims=True)
    p[knots] /= np.linalg.norm(p[knots], axis=1, keepdims=True)
    for j in twins:
        p[j + 1] = p[j]
    return p


@pytest.mark.parametrize("turn", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(5))
def test_one_input_agrees_with_theorem_3_1(seed, turn):
    rng = np.random.default_rng(seed)
    n = 10
    x = np.cumsum(rng.uniform(0.5, 1.0, n))
    for twins in ([], [3]):
        knots = np.array([0, 2, 3, 4, 6])
        p = on_sphere(rng, n, 2, knots, twins)
        alpha = second_differences(x).T @ p
        places = [x[1 + j] for j in knots]
        # between twins |p| = 1 too: every knot there is a maximiser
        places += [0.5 * (x[1 + j] + x[2 + j]) for j in twins]
        at = turn * np.array(places)
        neurons = np.column_stack([np.full(len(at), turn), -at])
        found = neurons_independent(x, neurons, alpha)
        # the labels of which f with all these knots is the fit at lam = 1
        bends = np.zeros((n - 2, 1))
        bends[knots] = rng.uniform(0.5, 1.0, (5, 1))
        fitted = np.maximum(x[:, None] - x[1:-1], 0.0) @ (bends * p)
        solution = kw.solve(kw.Problem(x, fitted + alpha, 1.0), tol=1e-12)
        assert found.independent is kw.uniqueness(solution).unique is (not twins)


def test_a_neuron_given_twice_or_turned_counts_once_where_turning_is_free():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 2))
    mask = np.ones((8, 2), dtype=bool)
    neurons = rng.standard_normal((3, 3)) * [1.0, 1.0, 0.1]
    for penalty, n_turned in ((FREE, 3), (NO_SKIP, 6), (FROBENIUS, 6)):
        alpha = dual_point(rng, X, 2, penalty, mask)
        once = neurons_independent(X, neurons, alpha, penalty)
        twice = neurons_independent(X, np.vstack([neurons, 3.0 * neurons]), alpha, penalty)
        assert once.independent
        assert (twice.n_neurons, twice.rank) == (once.n_neurons, once.rank) == (3, 3)
        assert twice.smallest_singular_value == pytest.approx(once.smallest_singular_value, rel=1e-9)
        turned = neurons_independent(X, np.vstack([neurons, -neurons]), alpha, penalty)
        assert turned.n_neurons == n_turned


def test_tiny_dependence_is_decided_by_the_tolerance():
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    alpha = second_differences(x).T @ np.array([[1.0], [1.0], [1.0]])
    neurons = [[1.0, -1.0], [1.0, -2.0], [1.0, -1.5 - 1e-9]]
    assert not neurons_independent(x, neurons, alpha).independent
    neurons[2] = [1.0, -3.0]
    sharp = neurons_independent(x, neurons, alpha)
    assert sharp.independent
    assert not neurons_independent(x, neurons, alpha, tol=2 * sharp.smallest_singular_value).independent


def test_labels_that_are_missing_leave_neurons_free():
    # every datum is the only one that its neuron is active on
    X, alpha = np.eye(4), np.ones((4, 2))
    neurons = np.column_stack([np.eye(4), np.full(4, -0.5)])
    neurons = np.vstack([neurons, [1.0, 1.0, 1.0, 1.0, 0.0]])
    assert neurons_independent(X, neurons[:4], alpha, DECAYED).rank == 4
    assert not neurons_independent(X, neurons, alpha, DECAYED).independent
    # G of the fifth points along task 1 alone where task 2 has one label, of the others it does not
    mask = np.array([[True, True], [True, False], [True, False], [True, False]])
    found = neurons_independent(X, neurons, alpha, DECAYED, mask)
    assert (found.independent, found.n_neurons, found.rank) == (True, 5, 5)
    # alpha where there is no label is not looked at
    again = neurons_independent(X, neurons, np.where(mask, alpha, 9.0), DECAYED, mask)
    assert again.smallest_singular_value == found.smallest_singular_value
    lost = neurons_independent(X, neurons[:2], alpha, DECAYED, np.array([True, True, False, False]))
    assert lost.independent
    with pytest.raises(ValueError, match="row 2 responds"):
        neurons_independent(X, neurons[:3], alpha, DECAYED, np.array([True, True, False, False]))


def simplex():
    basis = np.linalg.qr(np.column_stack([np.ones(6), np.eye(6)[:, :5]]))[0][:, 1:]
    return np.sqrt(6.0) * basis


def test_nine_pairs_of_the_simplex_are_independent_and_all_maximisers_are_not():
    X, rng = simplex(), np.random.default_rng(0)
    pairs = np.array([np.eye(6)[i] + np.eye(6)[j] for i in range(3) for j in range(3, 6)])
    # [X, 1] is sqrt(6) times a rotation: every phi >= 0 of norm sqrt(6) is a maximiser, and the
    # phi phi' span the symmetric matrices, of dimension 21
    units = pairs @ np.column_stack([X, np.ones(6)])
    more = np.abs(rng.standard_normal((30, 6))) @ np.column_stack([X, np.ones(6)])
    assert neurons_independent(X, units, np.eye(6), DECAYED).independent
    everything = neurons_independent(X, np.vstack([units, more]), np.eye(6), DECAYED)
    assert (everything.independent, everything.rank) == (False, 21)


def test_a_nuclear_skip_connection_adds_what_it_may_be_made_of():
    # on positive inputs the neuron (1, 0) is the line itself; (3/5, 4/5) is another one
    x, alpha = np.array([1.0, 2.0, 3.0]), np.array([1.0, -2.0, 2.0])
    line, other = [1.0, 0.0], [0.6, 0.8]
    assert neurons_independent(x, [line], alpha, FROBENIUS).independent
    both = neurons_independent(x, [line], alpha, NUCLEAR)
    assert (both.independent, both.n_neurons, both.rank) == (False, 2, 1)
    # |x' alpha| = 3: the line is a maximiser beside neurons that respond as much, and no more
    response = np.maximum(np.column_stack([x, 0.6 * x + 0.8]), 0.0).T @ alpha
    assert response[1] < response[0] == 3.0
    np.testing.assert_allclose(0.6 * 3.0 + 0.8 * alpha.sum(), response[1])
    shifted = alpha + 0.5
    assert neurons_independent(x, [other], shifted, NUCLEAR).n_neurons == 2
    assert neurons_independent(x, [other], np.array([3.5, -0.5, 1.5]), NUCLEAR).n_neurons == 1


def test_equal_singular_values_leave_a_symmetric_matrix_of_lines():
    rng = np.random.default_rng(3)
    X = np.linalg.qr(rng.standard_normal((7, 2)))[0]
    alpha = X @ np.linalg.qr(rng.standard_normal((3, 2)))[0].T
    nothing = np.zeros((0, 3))
    # X' alpha has two singular values 1: A = U M U' X' alpha with M symmetric (2, 2)
    assert neurons_independent(X, nothing, alpha, NUCLEAR).n_neurons == 3
    assert neurons_independent(X, nothing, alpha, NUCLEAR).independent
    # two data cannot tell three numbers, with one task
    few = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    assert not neurons_independent(few, nothing, few @ np.eye(2)[:, :1], NUCLEAR).rank > 2
    assert neurons_independent(X, nothing, alpha, FROBENIUS).n_neurons == 0
    assert neurons_independent(X, nothing, alpha, FROBENIUS).independent


def test_neurons_active_on_all_data_are_one_linear_part():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((9, 2))
    X -= X.mean(axis=0)
    X = np.linalg.qr(X)[0]
    X -= X.mean(axis=0)
    alpha = X @ np.linalg.qr(rng.standard_normal((3, 2)))[0].T
    angle = np.array([0.0, 0.4, 1.3, 2.0, 2.9])
    lines = np.column_stack([np.cos(angle), np.sin(angle), np.full(5, 3.0)])
    found = neurons_independent(X, lines, alpha, NO_SKIP)
    # five of a continuum of maximisers; the linear part is a symmetric (2, 2) matrix, and determined
    assert (found.independent, found.n_neurons) == (True, 3)


def test_bad_arguments_are_named():
    X, neurons, alpha = np.arange(4.0), [[1.0, -1.0]], np.array([1.0, -1.0, -1.0, 1.0])
    assert neurons_independent(X, neurons, alpha).independent
    with pytest.raises(TypeError, match="penalty: must be"):
        neurons_independent(X, neurons, alpha, "free")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tol: must be"):
        neurons_independent(X, neurons, alpha, tol=0.0)
    with pytest.raises(ValueError, match="neurons: must have shape"):
        neurons_independent(X, [1.0, 2.0], alpha)
    with pytest.raises(ValueError, match="X: must have shape"):
        neurons_independent(np.ones((4, 2)), neurons, alpha)
    with pytest.raises(ValueError, match="alpha: must have shape"):
        neurons_independent(X, neurons, alpha[:3])
    with pytest.raises(TypeError, match="mask: must be"):
        neurons_independent(X, neurons, alpha, mask=[1.0, 1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="mask: must have shape"):
        neurons_independent(X, neurons, alpha, mask=[True, False])
    with pytest.raises(ValueError, match="neurons: row 1 responds"):
        neurons_independent(X, [[1.0, -1.0], [1.0, -9.0]], alpha)
    with pytest.raises(ValueError, match="neurons: row 0 has no weight"):
        neurons_independent(X, [[0.0, 1.0]], alpha)
