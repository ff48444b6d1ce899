from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CATALOGUE
from references import (
    conic_optimum,
    dense_dual_value,
    dense_potential,
    label_weights,
    random_data,
    second_differences,
)

import knotwork as kw

SPACINGS = ["regular", "random", "log-normal", "repeated"]
TASKS, SEEDS = st.integers(1, 4), st.integers(0, 10**6)


def problem_of(data, lam):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


def random_network(rng, data, K):
    """Knots at the data, between and outside them, both facings, a constant neuron among them."""
    n_tasks = data.Y.shape[1]
    location = np.concatenate([rng.choice(data.X, K), rng.uniform(-1.0, 2.0, K)])
    W = rng.standard_normal((2 * K, 1))
    b = -W[:, 0] * location
    W[0] = 0.0
    V = rng.choice([0.1, 1.0, 10.0]) * rng.standard_normal((2 * K, n_tasks))
    return kw.ReLUNetwork(W, b, V, rng.standard_normal((1, n_tasks)), rng.standard_normal(n_tasks))


def connect(x, values):
    """The network through `values` (n, T) at sorted distinct x, its knots there."""
    slopes = np.diff(values, axis=0) / np.diff(x)[:, None]
    left = slopes[:1] if len(slopes) else np.zeros((1, values.shape[1]))
    bends = np.diff(slopes, axis=0) if len(slopes) else np.zeros((0, values.shape[1]))
    return kw.ReLUNetwork(
        np.ones((len(bends), 1)), -x[1:-1][: len(bends)], bends, left, values[0] - left[0] * x[0]
    )


def label_energy(data):
    """sum w y^2: the size of the numbers that every objective is made of."""
    return np.nansum(label_weights(data.Y, data.weight) * data.Y**2)


def check(problem, network, certificate, data):
    """Everything a certificate says of itself, by dense formulas."""
    lam, alpha = problem.lam, certificate.dual_point
    weight = label_weights(data.Y, data.weight)
    energy, largest_label = label_energy(data), np.nanmax(np.abs(data.Y))
    assert certificate.rigour is kw.Rigour.EXACT
    assert certificate.bound == certificate.dual
    assert certificate.primal == pytest.approx(problem.objective(network), rel=1e-12, abs=1e-14 * energy)
    assert certificate.gap >= 0
    scale = max(abs(certificate.primal), abs(certificate.dual))
    assert certificate.gap == pytest.approx(certificate.primal - certificate.dual, abs=1e-12 * scale)
    assert certificate.relative_gap in (
        0.0,
        pytest.approx(certificate.gap / scale if scale else 0.0, rel=1e-12),
    )
    assert alpha.shape == data.Y.shape
    assert not alpha.flags.writeable
    assert np.all(alpha[weight == 0] == 0)
    # what a leak into the free parts can do to the bound is its product with the labels
    span = max(np.ptp(data.X), 1e-9)
    size = np.abs(alpha).sum(axis=0)
    assert np.all(np.abs(alpha.sum(axis=0)) * largest_label <= 1e-12 * (energy + size * largest_label))
    moment = np.abs((data.X - data.X[0]) @ alpha) / span
    assert np.all(moment * largest_label <= 1e-12 * (energy + size * largest_label))
    largest = np.linalg.norm(dense_potential(data.X, alpha, data.X), axis=1).max()
    radius = lam if lam > 0 else 1.0
    assert largest <= radius * (1 + 1e-9) + 1e-13 * size.max() * span
    value = dense_dual_value(data.Y, alpha, lam, data.weight)
    rounding = 1e-12 * (scale + np.nansum(np.abs(data.Y) * np.abs(alpha))) + 1e-14 * energy
    assert value == pytest.approx(certificate.dual, abs=rounding)


# ------------------------------------------------------------------------------------ weak duality


@settings(max_examples=120, deadline=None)
@given(
    SEEDS,
    st.integers(1, 14),
    TASKS,
    st.sampled_from(SPACINGS),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([None, "rows", "labels"]),
    st.sampled_from([1e-4, 0.03, 0.5, 20.0]),
)
def test_no_random_network_beats_its_dual_and_no_dual_beats_the_optimum(
    seed, n, n_tasks, spacing, gaps, weights, lam
):
    rng = np.random.default_rng(seed)
    data = random_data(rng, n, n_tasks, spacing, gaps, weights)
    problem, network = problem_of(data, lam), random_network(rng, data, int(rng.integers(1, 6)))
    certificate = kw.certify(problem, network)
    check(problem, network, certificate, data)
    best = conic_optimum(data.X, data.Y, lam, data.weight)
    slack = 1e-10 * best.primal + 1e-13 * label_energy(data)
    assert certificate.dual <= best.primal + slack
    assert certificate.primal >= best.dual - slack


@settings(max_examples=80, deadline=None)
@given(
    SEEDS,
    st.integers(1, 14),
    TASKS,
    st.sampled_from(SPACINGS),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([None, "labels"]),
    st.sampled_from([0.0, 0.03, 0.5]),
)
def test_an_explicit_dual_point_is_made_feasible_whatever_it_is(
    seed, n, n_tasks, spacing, gaps, weights, lam
):
    rng = np.random.default_rng(seed)
    data = random_data(rng, n, n_tasks, spacing, gaps, weights)
    if lam == 0 and spacing == "repeated":
        data = data._replace(Y=np.where(np.isnan(data.Y), np.nan, np.sin(5 * data.X)[:, None]))
    problem, network = problem_of(data, lam), random_network(rng, data, 2)
    dual_point = rng.choice([1e-3, 1.0, 1e3]) * rng.standard_normal(data.Y.shape)
    given_point = dual_point.copy()
    certificate = kw.certify(problem, network, dual_point=dual_point)
    assert np.array_equal(dual_point, given_point)
    best = conic_optimum(data.X, data.Y, lam, data.weight)
    assert certificate.dual <= best.primal * (1 + 1e-10) + 1e-12 * label_energy(data)
    if np.isfinite(certificate.primal):
        check(problem, network, certificate, data)


@settings(max_examples=80, deadline=None)
@given(
    SEEDS,
    st.integers(2, 14),
    TASKS,
    st.sampled_from([1e-6, 1e-3, 0.1]),
    st.sampled_from([0.0, 1.0, 1e4, 1e8]),
)
def test_residuals_of_rounding_size_prove_nothing_that_is_false(seed, n, n_tasks, lam, offset):
    rng = np.random.default_rng(seed)
    data = random_data(rng, n, n_tasks)
    order = np.argsort(data.X)
    data = data._replace(X=data.X[order], Y=data.Y[order])
    best = conic_optimum(data.X, data.Y, lam)
    lifted = data._replace(Y=data.Y + offset * (1.0 + data.X[:, None]))
    problem, network = problem_of(lifted, lam), connect(lifted.X, lifted.Y)
    certificate = kw.certify(problem, network)
    rounding = 1e-13 * label_energy(data) + 1e-15 * offset * np.sqrt(label_energy(data) * data.Y.size)
    assert certificate.dual <= best.primal * (1 + 1e-9) + rounding
    assert certificate.primal >= best.dual * (1 - 1e-9) - rounding


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal", "repeated"])
@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, None), (0.3, "labels"), (0.0, "rows")])
@pytest.mark.parametrize("lam", [0.01, 0.2, 3.0])
def test_the_conic_optimum_and_its_neighbours_are_certified(spacing, gaps, weights, lam):
    rng = np.random.default_rng(7)
    data = random_data(rng, 18, 3, spacing, gaps, weights)
    problem, best = problem_of(data, lam), conic_optimum(data.X, data.Y, lam, data.weight)
    network = connect(best.x, best.fitted)
    certificate = kw.certify(problem, network)
    check(problem, network, certificate, data)
    assert certificate.dual == pytest.approx(best.primal, rel=1e-4)
    given_point = kw.certify(problem, network, dual_point=best.alpha)
    check(problem, network, given_point, data)
    assert given_point.relative_gap <= 1e-9
    moved = connect(best.x, best.fitted + 1e-3 * rng.standard_normal(best.fitted.shape))
    near = kw.certify(problem, moved)
    check(problem, moved, near, data)
    assert near.dual <= best.primal * (1 + 1e-10)
    assert near.gap > certificate.gap


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_hand_solved_dual_points_certify_hand_solved_fits(known):
    fitted = known.fitted
    if fitted is None:
        fitted = conic_optimum(known.X, known.Y, known.lam).fitted[
            np.searchsorted(np.unique(known.X), known.X)
        ]
    x, first = np.unique(known.X, return_index=True)
    network = connect(x, fitted[first])
    problem = kw.Problem(known.X, known.Y, known.lam, sample_weight=known.weight)
    certificate = kw.certify(problem, network, dual_point=known.alpha)
    assert certificate.primal == pytest.approx(known.optimum, rel=1e-9, abs=1e-9)
    assert certificate.dual == pytest.approx(known.optimum, rel=1e-9, abs=1e-9)
    if known.fitted is not None:
        alone = kw.certify(problem, network)
        assert alone.dual == pytest.approx(known.optimum, rel=1e-12, abs=1e-12)
        assert alone.relative_gap <= 1e-12
        assert np.allclose(alone.dual_point, known.alpha, rtol=1e-10, atol=1e-10) or known.lam == 0


@pytest.mark.parametrize("lam", [0.5, 1e-3])
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_wrong_network_has_a_gap_that_is_the_truth_and_more(lam, scale):
    rng = np.random.default_rng(8)
    data = random_data(rng, 20, 2)
    problem, best = problem_of(data, lam), conic_optimum(data.X, data.Y, lam)
    network = connect(best.x, best.fitted + scale * rng.standard_normal(best.fitted.shape))
    certificate = kw.certify(problem, network)
    assert certificate.gap >= (problem.objective(network) - best.primal) * (1 - 1e-9) > 0
    assert certificate.relative_gap > 0


# -------------------------------------------------------------------------------------- many bins


@pytest.mark.parametrize("spacing", [*SPACINGS, "clustered"])
@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, "labels")])
def test_certificates_through_bins_are_the_dense_ones(spacing, gaps, weights):
    rng = np.random.default_rng(9)
    data = random_data(rng, 5000, 2, spacing, gaps, weights)
    for lam, K in ((0.3, 3), (5.0, 40)):
        problem, network = problem_of(data, lam), random_network(rng, data, K)
        certificate = kw.certify(problem, network)
        check(problem, network, certificate, data)


@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_labels_far_from_zero_keep_their_certificate(offset, gaps):
    """Adding a constant to labels and network changes neither side of the gap."""
    rng = np.random.default_rng(16)
    data = random_data(rng, 5000, 2, gaps=gaps)
    network = kw.solve(problem_of(data, 2.0), tol=1e-3).network
    lifted = kw.ReLUNetwork(network.W, network.b, network.V, network.A, network.c + offset)
    one = kw.certify(problem_of(data, 2.0), network)
    other = kw.certify(problem_of(data._replace(Y=data.Y + offset), 2.0), lifted)
    rounding = 1e-14 * offset * 5000
    assert other.primal == pytest.approx(one.primal, abs=rounding)
    assert other.dual == pytest.approx(one.dual, abs=rounding)


def test_worst_neuron_responds_most():
    rng = np.random.default_rng(10)
    data = random_data(rng, 40, 2)
    certificate = kw.certify(problem_of(data, 0.1), random_network(rng, data, 3))
    w, b = certificate.worst_neuron
    response = np.linalg.norm(np.maximum(w * data.X + b, 0.0) @ certificate.dual_point)
    everywhere = np.linalg.norm(dense_potential(data.X, certificate.dual_point, data.X), axis=1).max()
    assert abs(w) == 1.0
    assert response == pytest.approx(everywhere, rel=1e-10)


# ----------------------------------------------------------------------------------------- lam = 0


@pytest.mark.parametrize("spacing", ["regular", "random", "log-normal"])
@pytest.mark.parametrize("seed", range(3))
def test_connect_the_dots_is_certified_at_lam_zero(spacing, seed):
    rng = np.random.default_rng(seed)
    data = random_data(rng, 25, 3, spacing)
    order = np.argsort(data.X)
    network, problem = connect(data.X[order], data.Y[order]), problem_of(data, 0.0)
    certificate = kw.certify(problem, network)
    check(problem, network, certificate, data)
    assert certificate.relative_gap <= 1e-12
    D = second_differences(data.X[order])
    assert certificate.dual == pytest.approx(np.linalg.norm(D @ data.Y[order], axis=1).sum(), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_interpolation_with_gaps_at_lam_zero(seed):
    rng = np.random.default_rng(seed)
    data = random_data(rng, 15, 3, "random", gaps=0.3)
    problem, best = problem_of(data, 0.0), conic_optimum(data.X, data.Y, 0.0)
    network = connect(best.x, best.fitted)
    assert problem.objective(network) == pytest.approx(best.primal, rel=1e-9)
    alone, with_point = kw.certify(problem, network), kw.certify(problem, network, dual_point=best.alpha)
    check(problem, network, with_point, data)
    assert alone.dual <= best.primal * (1 + 1e-9)
    assert with_point.relative_gap <= 1e-8


def test_a_network_that_misses_a_label_is_infinite_at_lam_zero_and_its_dual_is_not():
    problem = kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.0)
    certificate = kw.certify(problem, connect(np.array([0.0, 1.0, 2.0]), np.array([[0.0], [1.5], [0.0]])))
    assert certificate.primal == np.inf
    assert certificate.gap == np.inf
    assert certificate.dual <= 2.0 + 1e-12
    point = kw.certify(problem, problem.free_fit(), dual_point=[1.0, -2.0, 1.0])
    assert point.dual <= 2.0 + 1e-12


def test_slack_says_what_missing_a_label_hides_at_lam_zero():
    problem = kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.0)
    near = connect(np.array([0.0, 1.0, 2.0]), np.array([[0.0], [1.0 - 5e-10], [0.0]]))
    certificate = kw.certify(problem, near)
    assert certificate.slack == pytest.approx(1e-9, rel=1e-6)
    assert certificate.dual == pytest.approx(2.0, rel=1e-9)


# -------------------------------------------------------------------------------------- invariance


@pytest.mark.parametrize(("gaps", "weights"), [(0.0, None), (0.3, "labels")])
def test_order_of_rows_does_not_matter(gaps, weights):
    rng = np.random.default_rng(11)
    data = random_data(rng, 30, 2, "repeated", gaps, weights)
    network, order = random_network(rng, data, 3), rng.permutation(30)
    weight = None if data.weight is None else data.weight[order]
    one = kw.certify(problem_of(data, 0.2), network)
    other = kw.certify(kw.Problem(data.X[order], data.Y[order], 0.2, sample_weight=weight), network)
    assert other.dual == pytest.approx(one.dual, rel=1e-12)
    assert np.allclose(other.dual_point, one.dual_point[order], atol=1e-12)


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(12)
    data = random_data(rng, 20, 2)
    times = rng.integers(1, 4, 20)
    network = random_network(rng, data, 3)
    weighted = kw.certify(kw.Problem(data.X, data.Y, 0.2, sample_weight=times.astype(float)), network)
    repeated = kw.certify(
        kw.Problem(np.repeat(data.X, times), np.repeat(data.Y, times, axis=0), 0.2), network
    )
    assert repeated.primal == pytest.approx(weighted.primal, rel=1e-12)
    assert repeated.dual == pytest.approx(weighted.dual, rel=1e-11)


def test_rows_of_weight_zero_and_rows_without_labels_do_not_exist():
    rng = np.random.default_rng(13)
    data = random_data(rng, 20, 2)
    network = random_network(rng, data, 3)
    plain = kw.certify(problem_of(data, 0.2), network)
    X, Y = np.append(data.X, [3.0, -1.0]), np.vstack([data.Y, [[5.0, 5.0], [9.0, 9.0]]])
    ignored = kw.certify(kw.Problem(X, Y, 0.2, sample_weight=np.append(np.ones(20), [0.0, 0.0])), network)
    missing = kw.certify(kw.Problem(X, np.vstack([data.Y, np.full((2, 2), np.nan)]), 0.2), network)
    for other in (ignored, missing):
        assert other.primal == pytest.approx(plain.primal, rel=1e-13)
        assert other.dual == pytest.approx(plain.dual, rel=1e-12)
        assert np.all(other.dual_point[20:] == 0)


@pytest.mark.parametrize(("a", "s"), [(1e6, 1.0), (1e-6, 1e-8), (3.0, 1e12), (1e-20, 1e20)])
def test_units_of_x_and_y_do_not_matter(a, s):
    """x -> a x and y -> s y with lam -> a s lam multiply the objective by s^2."""
    rng = np.random.default_rng(14)
    data = random_data(rng, 20, 2, gaps=0.2)
    network = random_network(rng, data, 3)
    scaled = kw.ReLUNetwork(network.W / a, network.b, s * network.V, s * network.A / a, s * network.c)
    one = kw.certify(problem_of(data, 0.2), network)
    other = kw.certify(kw.Problem(a * data.X, s * data.Y, 0.2 * a * s), scaled)
    assert other.primal == pytest.approx(s**2 * one.primal, rel=1e-11)
    assert other.gap == pytest.approx(s**2 * one.gap, rel=1e-9)
    assert other.relative_gap == pytest.approx(one.relative_gap, rel=1e-9)


def test_affine_parts_of_the_data_do_not_matter():
    rng = np.random.default_rng(15)
    data = random_data(rng, 20, 2)
    network, shift = random_network(rng, data, 3), np.array([[1.0, 5.0], [2.0, -3.0]])
    lifted = kw.ReLUNetwork(network.W, network.b, network.V, network.A + shift[1:], network.c + shift[0])
    one = kw.certify(problem_of(data, 0.2), network)
    labels = data.Y + np.column_stack([np.ones(20), data.X]) @ shift
    other = kw.certify(kw.Problem(data.X, labels, 0.2), lifted)
    assert other.gap == pytest.approx(one.gap, rel=1e-10)
