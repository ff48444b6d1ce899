"""Proven bounds by relaxation: no neuron ever exceeds them, whatever the multipliers; and they are tight
where a conic solver says how tight they can be."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_several import DEGENERATE, exhaustive_dual_norm, project_free

import knotwork as kw
from knotwork.certificate.tighten import tighten
from knotwork.dual_norm import relaxation
from knotwork.dual_norm._splitting import Quadratic, Splitting
from knotwork.dual_norm.relaxation import lift_of, proven_norms
from knotwork.dual_norm.search import best_biases, response
from knotwork.dual_norm.several import UnitNeurons

FREE, PLAIN, BIASES = kw.Penalty(), kw.Penalty(False, "none"), kw.Penalty(True, "none")
FROBENIUS, NUCLEAR = kw.Penalty(True, "frobenius"), kw.Penalty(True, "nuclear")
BOUNDED, EXACT = kw.Rigour.BOUNDED, kw.Rigour.EXACT


def name(penalty):
    return f"{penalty.biases}-{penalty.skip}"


penalties = pytest.mark.parametrize("penalty", [FREE, PLAIN, BIASES], ids=name)


def draw(seed, n, d, penalty, T=2):
    rng = np.random.default_rng(seed)
    X, alpha = rng.standard_normal((n, d)), rng.standard_normal((n, T))
    return X, alpha if penalty.biases else project_free(X, alpha, penalty.skip)


def told_apart(X, penalty, data=()):
    lifts = [lift_of(X, penalty)]
    for datum in data:
        lifts = [half for lift in lifts for half in lift.halves(datum)]
    return lifts


def all_lifts(X, penalty):
    return [told_apart(X, penalty), told_apart(X, penalty, np.arange(len(X))[-2:])]


def proven_norm(lifts, alpha, multipliers):
    return proven_norms(lifts, alpha, multipliers).max()


def multipliers_like(lifts, seed, scale):
    n = len(lifts[0].F)
    return scale * np.random.default_rng(seed).standard_normal((len(lifts), 2 * n, 2 * n))


def relaxed(lifts, X, alpha, penalty, steps):
    """Multipliers for `alpha`: of its projection onto where the relaxed norm is at most 1."""
    Z = np.ones((len(X), 1))
    if penalty.skip == "free":
        Z = np.column_stack([Z, X - X.mean(axis=0)])
    quadratic = Quadratic(alpha, np.ones_like(alpha), Z, 1e300 if penalty.biases else 0.0)
    nobody = np.zeros((0, len(X))), np.zeros((0, alpha.shape[1]))
    splitting = Splitting(lifts, quadratic, 1.0, *nobody)
    for _ in range(steps):
        splitting.advance()
    return splitting


def conic_norm(X, alpha, penalty, signs, reach=True):
    """The doubly non-negative relaxation of the dual norm over neurons of given signs, as products of
    (u, z), by a conic solver; free biases within reach of the data, or not."""
    n, either = len(X), np.flatnonzero(signs == 0)
    F = np.column_stack([X if penalty.biases else X - X.mean(axis=0), np.ones(n)])
    p, k = F.shape[1], np.arange(len(either))
    charged = p if penalty.biases else p - 1
    products = cp.Variable((p + len(k), p + len(k)), PSD=True)
    z, s = np.zeros((2, n, p + len(k)))
    z[signs > 0, :p], s[signs < 0, :p] = F[signs > 0], -F[signs < 0]
    z[either, p + k] = s[either, p + k] = 1.0
    s[either, :p] = -F[either]
    rows = np.concatenate([z[signs >= 0], s[signs <= 0]])
    datum = np.concatenate([np.flatnonzero(signs >= 0), np.flatnonzero(signs <= 0)])
    norm = cp.trace(products[:charged, :charged])
    i, j = np.triu_indices(len(rows))
    of_one = (i != j) & (datum[i] == datum[j])
    pairs = cp.sum(cp.multiply(rows[i] @ products, rows[j]), axis=1)
    constraints = [norm == 1, pairs[~of_one] >= 0]
    if of_one.any():
        constraints.append(pairs[of_one] == 0)
    if reach and not penalty.biases:
        constraints.append(products[p - 1, p - 1] <= np.max(np.sum(F[:, :-1] ** 2, axis=1)))
    answer = z.T @ alpha
    value = cp.trace(answer @ answer.T @ products)
    return np.sqrt(cp.Problem(cp.Maximize(value), constraints).solve(solver="CLARABEL"))


# --------------------------------------------------------------------------------- never too small


@penalties
@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 1e3, 1e12]),
    d=st.sampled_from([2, 3]),
)
def test_any_multipliers_prove_a_bound(penalty, seed, scale, d):
    X, alpha = draw(seed, 6, d, penalty)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    for lifts in all_lifts(X, penalty):
        assert proven_norm(lifts, alpha, multipliers_like(lifts, seed, scale)) >= exact * (1 - 1e-12)


@penalties
@settings(max_examples=6)
@given(
    seed=st.integers(0, 10_000), noise=st.sampled_from([0.0, 1e-6, 1e-3, 0.1]), sign=st.sampled_from([1, -1])
)
def test_multipliers_nearly_right_prove_a_bound(penalty, seed, noise, sign):
    X, alpha = draw(seed, 6, 2, penalty)
    for lifts in all_lifts(X, penalty):
        splitting = relaxed(lifts, X, 10.0 * alpha, penalty, 60)
        found = splitting.alpha if penalty.biases else project_free(X, splitting.alpha, penalty.skip)
        exact = exhaustive_dual_norm(X, found, penalty.biases)
        N = splitting.multipliers()
        N = sign * N + multipliers_like(lifts, seed, noise * np.abs(N).max())
        assert proven_norm(lifts, found, N) >= exact * (1 - 1e-12)


@penalties
def test_values_that_are_no_numbers_prove_a_bound(penalty):
    X, alpha = draw(0, 7, 2, penalty)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    for lifts in all_lifts(X, penalty):
        N = multipliers_like(lifts, 0, 1.0)
        N[:, ::2, 1::3], N[:, 0], N[:, 3, 2] = np.nan, np.inf, -np.inf
        assert proven_norm(lifts, alpha, N) >= exact


@penalties
def test_multipliers_of_the_wrong_sign_are_clipped(penalty):
    X, alpha = draw(0, 6, 2, penalty)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    for lifts in all_lifts(X, penalty):
        N = np.zeros((len(lifts), 12, 12))
        # taken at its word this says that no neuron responds at all
        N[:, :6, :6] = -alpha @ alpha.T
        assert proven_norm(lifts, alpha, N) >= exact * (1 - 1e-12)


@penalties
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_claim_that_is_too_small_is_repaired(penalty, share, monkeypatch):
    X, alpha = draw(0, 6, 2, penalty)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    found = relaxation._least_mu

    def too_small(lift, A):
        mu, eta, charged = found(lift, A)
        return share * min(mu, exact**2), eta, charged

    monkeypatch.setattr(relaxation, "_least_mu", too_small)
    for lifts in all_lifts(X, penalty):
        N = relaxed(lifts, X, 10.0 * alpha, penalty, 60).multipliers()
        assert proven_norm(lifts, alpha, N) >= exact * (1 - 1e-12)


@penalties
def test_ten_thousand_neurons_stay_below_in_ten_inputs(penalty):
    X, alpha = draw(1, 16, 10, penalty, T=5)
    splitting = relaxed(told_apart(X, penalty), X, alpha, penalty, 300)
    found = splitting.alpha if penalty.biases else project_free(X, splitting.alpha, penalty.skip)
    proven = proven_norm(told_apart(X, penalty), found, splitting.multipliers())
    units = UnitNeurons(X, penalty, max_cells=1)
    assert units.search(found, n_starts=300).values.max() <= proven
    W = np.random.default_rng(2).standard_normal((10_000, 10))
    neurons = best_biases(X, found, W / np.linalg.norm(W, axis=1)[:, None])
    if penalty.biases:
        neurons /= np.linalg.norm(neurons, axis=1)[:, None]
    assert response(X, found, neurons).max() <= proven
    assert proven <= 0.75 * units.spectral_bound(found)


@pytest.mark.parametrize("data", sorted(DEGENERATE))
@penalties
def test_degenerate_data(penalty, data):
    X = DEGENERATE[data]
    alpha = np.random.default_rng(0).standard_normal((len(X), 2))
    alpha = alpha if penalty.biases else project_free(X, alpha, penalty.skip)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    size = np.abs(alpha).sum() * (np.abs(X - X.mean(axis=0)).max() + 1.0)
    for lifts in all_lifts(X, penalty):
        N = multipliers_like(lifts, 0, 1.0)
        if lifts[0].size > 0.0:
            N = relaxed(lifts, X, alpha, penalty, 30).multipliers()
        assert exact - 1e-11 * size <= proven_norm(lifts, alpha, N) < np.inf


# ---------------------------------------------------------------------------------- and no larger


@penalties
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("data", [(), (2, 5)], ids=["one lift", "told apart"])
def test_the_bound_is_that_of_a_conic_solver(penalty, data):
    X, alpha = draw(3, 8, 3, penalty)
    lifts = told_apart(X, penalty, data)
    splitting = relaxed(lifts, X, 10.0 * alpha, penalty, 5000)
    found = splitting.alpha
    conic, beyond = (
        np.array([conic_norm(X, found, penalty, lift.signs, reach) for lift in lifts])
        for reach in (True, False)
    )
    proven = proven_norms(lifts, found, splitting.multipliers())
    assert np.all(conic * (1 - 1e-5) <= proven)
    assert proven.max() <= beyond.max() * 1.005
    # the dual point is on the boundary of what the relaxation allows
    assert beyond.max() == pytest.approx(1.0, abs=1e-2)


@penalties
def test_signs_given_at_every_datum_leave_little(penalty):
    X, alpha = draw(5, 5, 2, penalty)
    exact = exhaustive_dual_norm(X, alpha, penalty.biases)
    lifts = told_apart(X, penalty, range(5))
    assert len(lifts) == (16 if penalty.skip == "free" else 32)
    proven = []
    for some in (told_apart(X, penalty), lifts):
        # of all dual points within the relaxation the one furthest along alpha
        splitting = relaxed(some, X, 10.0 * alpha / exact, penalty, 800)
        found = splitting.alpha if penalty.biases else project_free(X, splitting.alpha, penalty.skip)
        proven.append(
            proven_norm(some, found, splitting.multipliers()) / exhaustive_dual_norm(X, found, penalty.biases)
        )
    assert 1.0 - 1e-12 <= proven[1] <= 1.02


# ------------------------------------------------------------------------------------- certificates


def fitted(seed, n, d, T, penalty, share=0.1, max_cells=2_000_000, **more):
    rng = np.random.default_rng(seed)
    X, W = rng.standard_normal((n, d)), rng.standard_normal((d, T))
    Y = np.maximum(X @ W / np.linalg.norm(W, axis=0), 0.0) + 0.1 * rng.standard_normal((n, T))
    if more.get("loss") == "logistic":
        Y = rng.integers(0, 2, Y.shape).astype(float)
    if more.pop("gaps", False):
        Y[rng.random(Y.shape) < 0.2] = np.nan
    problem = kw.Problem(X, Y, 1.0, penalty=penalty, **more)
    problem = problem.with_lam(share * kw.lam_max(problem, max_cells=max_cells))
    return problem, kw.solve(problem, tol=1e-6, max_cells=max_cells)


@pytest.mark.parametrize(
    ("penalty", "more"),
    [
        pytest.param(FREE, {}, id="free skip"),
        pytest.param(PLAIN, {}, id="no skip"),
        pytest.param(FROBENIUS, {}, id="frobenius skip"),
        pytest.param(FREE, {"gaps": True}, id="gaps"),
        pytest.param(BIASES, {"sample_weight": np.linspace(0.0, 2.0, 11)}, id="weights"),
        pytest.param(PLAIN, {"loss": "logistic"}, id="logistic"),
        pytest.param(BIASES, {"loss": "huber"}, id="huber"),
    ],
)
def test_certificates_are_below_the_optimum_and_not_far(penalty, more, monkeypatch):
    monkeypatch.setattr("knotwork.certificate.tighten._IDLE", 1)
    problem, solution = fitted(0, 11, 2, 2, penalty, **more)
    assert solution.certificate.rigour is EXACT
    found = tighten(problem, solution.network, max_cells=1, max_seconds=None)
    assert found.rigour is BOUNDED
    assert found.bound == found.dual
    assert found.dual <= solution.certificate.primal * (1 + 1e-12)
    assert found.gap == pytest.approx(found.primal - found.dual, rel=1e-9)
    loose = kw.certify(problem, solution.network, max_cells=1)
    assert found.bound >= loose.bound
    assert found.gap <= 0.7 * (loose.primal - loose.bound)


@pytest.mark.parametrize("penalty", [FREE, PLAIN, BIASES], ids=name)
def test_interpolation(penalty, monkeypatch):
    problem, _ = fitted(0, 7, 2, 2, penalty)
    monkeypatch.setattr("knotwork.certificate.tighten._IDLE", 1)
    problem = problem.with_lam(0.0)
    solution = kw.solve(problem, tol=1e-6)
    found = tighten(problem, solution.network, max_cells=1, max_seconds=None)
    assert 0.8 * solution.certificate.dual <= found.bound <= solution.certificate.primal * (1 + 1e-9)


def test_ten_inputs(monkeypatch):
    monkeypatch.setattr("knotwork.certificate.tighten._IDLE", 1)
    problem, solution = fitted(0, 20, 10, 5, BIASES, max_cells=1)
    assert solution.certificate.rigour is kw.Rigour.HEURISTIC
    found = tighten(problem, solution.network, max_cells=1, max_seconds=None)
    assert found.rigour is BOUNDED
    assert found.relative_gap <= 0.08
    assert found.bound > 1.5 * solution.certificate.bound
    assert found.worst_neuron.shape == (11,)
    again = kw.certify(problem, solution.network, found.dual_point, max_cells=1)
    assert again.dual >= found.dual * (1 - 1e-9)


def test_no_time_leaves_the_spectral_bound():
    problem, solution = fitted(0, 20, 10, 5, PLAIN)
    found = tighten(problem, solution.network, max_seconds=1e-9)
    assert found.rigour is BOUNDED
    assert found.bound >= solution.certificate.bound * (1 - 1e-6)


def test_where_all_neurons_can_be_looked_at_nothing_is_relaxed():
    problem, solution = fitted(0, 9, 2, 2, FREE)
    assert tighten(problem, solution.network).rigour is EXACT
    x = kw.Problem([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0], 0.1)
    assert tighten(x, kw.solve(x).network).rigour is EXACT


def test_what_is_refused():
    problem, solution = fitted(0, 9, 2, 2, NUCLEAR)
    with pytest.raises(ValueError, match=r"penalty.skip must not be 'nuclear'.*use certify"):
        tighten(problem, solution.network, max_cells=1)
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="max_seconds: must be > 0"):
            tighten(problem, solution.network, max_seconds=wrong)
    with pytest.raises(TypeError, match="max_seconds: must be a number"):
        tighten(problem, solution.network, max_seconds="long")
    with pytest.raises(TypeError, match="network: must be"):
        tighten(problem, None)
