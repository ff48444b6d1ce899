"""R(f) of a function: against conic solvers, closed forms, and what any such cost must satisfy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import dense_predict
from references_cost import bent, conic_cost_of_neurons, conic_cost_of_splits

import knotwork as kw
from knotwork.theory._splitting import lens_support

FREE = kw.Penalty(biases=False, skip="free")
NO_SKIP = kw.Penalty(biases=False, skip="none")
BIASES = kw.Penalty(biases=True, skip="none")
FROBENIUS = kw.Penalty(biases=True, skip="frobenius")
NUCLEAR = kw.Penalty(biases=True, skip="nuclear")
PENALTIES = [FREE, NO_SKIP, BIASES, FROBENIUS, NUCLEAR]
every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=str)
every_hard_penalty = pytest.mark.parametrize("penalty", PENALTIES[1:], ids=str)
homogeneous = pytest.mark.parametrize("penalty", [FREE, NO_SKIP], ids=str)
seeds = st.integers(0, 10**6)


def random_network(rng, n_neurons=None, n_tasks=None, affine=True):
    """Neurons of both facings and all sizes; some share a place, some cancel, some are constant."""
    K = int(rng.integers(0, 8)) if n_neurons is None else n_neurons
    T = int(rng.integers(1, 5)) if n_tasks is None else n_tasks
    w, b = rng.standard_normal((K, 1)) * np.exp(rng.standard_normal((K, 1))), rng.standard_normal(K)
    V = rng.standard_normal((K, T)) * np.exp(rng.standard_normal((K, 1)))
    if K >= 6:
        w[0] = 0.0
        w[2], b[2] = -2.0 * w[1], -2.0 * b[1]
        w[4], b[4], V[4] = 0.5 * w[3], 0.5 * b[3], -2.0 * V[3]
    A, c = rng.standard_normal((1, T)), rng.standard_normal(T) * np.exp(rng.standard_normal())
    return kw.ReLUNetwork(w, b, V, A if affine else None, c)


def rewritten(network, **changes):
    arrays = {name: getattr(network, name) for name in "WbVAc"}
    return kw.ReLUNetwork(**{**arrays, **changes})


def summed(f, g, s=1.0, t=1.0):
    """s f + t g."""
    return kw.ReLUNetwork(
        np.vstack([f.W, g.W]),
        np.concatenate([f.b, g.b]),
        np.vstack([s * f.V, t * g.V]),
        s * f.A + t * g.A,
        s * f.c + t * g.c,
    )


def check(network, penalty):
    """What holds of every result; R."""
    result = kw.representational_cost(network, penalty)
    assert float(result) == result.value
    assert result.network.cost(penalty) == pytest.approx(result.value, rel=1e-14, abs=0)
    assert result.lower_bound <= result.value
    assert result.lower_bound >= result.value * (1 - 1e-9)
    if penalty.skip != "none" or not network.A.any():
        assert result.value <= network.cost(penalty) * (1 + 1e-14)
    x = np.concatenate([[-50.0, 50.0], np.linspace(-3, 3, 21)])
    # neurons are compared with what is summed: terms may cancel
    size = np.abs(network.c).sum() + 50.0 * (
        np.abs(network.A).sum() + rewritten(network, A=0 * network.A).cost(BIASES)
    )
    here, there = dense_predict(network, x), dense_predict(result.network, x)
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-12 * size)
    return result.value


@every_penalty
@settings(max_examples=40)
@given(seeds)
def test_the_network_is_the_function_at_its_least_cost(penalty, seed):
    check(random_network(np.random.default_rng(seed)), penalty)


@every_penalty
@settings(max_examples=20)
@given(seeds)
def test_no_network_of_the_function_costs_less(penalty, seed):
    """Pairs that cancel, parts of neurons and other scales change the network, not the function."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, affine=penalty.skip != "none")
    value = check(network, penalty)
    share = rng.uniform(size=network.n_neurons)[:, None]
    scale = 2.0 ** rng.integers(-3, 4, network.n_neurons)
    w, b = rng.standard_normal((3, 1)), rng.standard_normal(3)
    u = rng.standard_normal((3, network.n_tasks))
    # relu(z) - relu(-z) - z = 0
    other = kw.ReLUNetwork(
        np.vstack([network.W * scale[:, None], network.W, w, -w]),
        np.concatenate([network.b * scale, network.b, b, -b]),
        np.vstack([share * network.V / scale[:, None], (1 - share) * network.V, u, -u]),
        network.A - w.T @ u,
        network.c - b @ u,
    )
    assert kw.representational_cost(other, penalty).value == pytest.approx(value, rel=1e-9, abs=1e-12)
    if penalty.skip != "none":
        assert value <= other.cost(penalty) * (1 + 1e-9)


@every_penalty
@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_optimum_of_conic_programmes(penalty, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, n_neurons=seed % 8, n_tasks=1 + seed % 3)
    value, f = check(network, penalty), bent(network)
    assert value == pytest.approx(conic_cost_of_splits(f, penalty.biases, penalty.skip), rel=1e-8, abs=1e-12)
    if penalty.skip == "free":
        # nothing but the jumps: no place is better than those of the bends
        return
    # only places on a grid: never less, and as little as the grid is fine
    neurons = conic_cost_of_neurons(f, penalty.biases, penalty.skip, np.linspace(-0.8, 0.8, 33))
    assert -1e-7 <= neurons / value - 1 <= 1e-3


def test_a_free_skip_connection_leaves_the_jumps():
    network = random_network(np.random.default_rng(0), 7, 3)
    expected = np.linalg.norm(network.knots.jump, axis=1).sum()
    assert check(network, FREE) == pytest.approx(expected, rel=1e-13)
    assert expected < 0.99 * network.cost()


def test_opposite_neurons_at_one_place_are_a_line():
    network = kw.ReLUNetwork([[1.0], [-3.0]], [-0.5, 1.5], [[3.0], [-1.0]])
    assert check(network, FREE) == 0.0
    assert kw.representational_cost(network, FREE).network.n_neurons == 0
    assert check(network, NO_SKIP) == pytest.approx(6.0, rel=1e-9)
    # 3 (x - 1/2): the two together cost 2 |(-1/2, 1)| 3, a skip connection less
    assert check(network, NUCLEAR) == pytest.approx(3.0 + 1.0, rel=1e-9)


@settings(max_examples=40)
@given(seeds)
def test_the_lens_is_supported_where_its_points_say(seed):
    """max <P, W> over |P + q| <= 1, |P - q| <= 1, by brute force in the plane."""
    rng = np.random.default_rng(seed)
    W, direction = rng.standard_normal((2, 2))
    q = direction / np.linalg.norm(direction) * rng.uniform() ** 0.5
    angle = np.linspace(0, 2 * np.pi, 20_001)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    rim = np.concatenate([circle - q, circle + q])
    inside = np.maximum(np.linalg.norm(rim + q, axis=1), np.linalg.norm(rim - q, axis=1)) <= 1 + 1e-12
    expected = (rim[inside] @ W).max()
    assert lens_support(q[None], W[None])[0] == pytest.approx(expected, abs=1e-3 * np.linalg.norm(W))
    # where facing both ways is no better than one way, the split r + l = W proves the value
    assert lens_support(q[None], W[None])[0] <= np.linalg.norm(W) - abs(q @ W) + 1e-12
    assert lens_support(0 * q[None], W[None])[0] == pytest.approx(np.linalg.norm(W), rel=1e-14)


# ------------------------------------------------------------------ biases free, no skip connection


@settings(max_examples=60)
@given(seeds)
def test_one_output_is_the_larger_of_two(seed):
    """B (10): max(int |f''|, |f'(-inf) + f'(+inf)|)."""
    network = random_network(np.random.default_rng(seed), n_tasks=1)
    f = bent(network)
    left = f.affine[1, 0]
    expected = max(np.abs(f.jump).sum(), abs(2 * left + f.jump.sum()))
    assert check(network, NO_SKIP) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_several_outputs_are_not_the_larger_of_two():
    """Erratum to B (10) for vectors: the jump e_1 and f'(-inf) + f'(+inf) = e_2 cost sqrt 2."""
    network = kw.ReLUNetwork([[1.0]], [0.0], [[1.0, 0.0]], [[-0.5, 0.5]])
    low, high = network.predict([-1.0, 0.0]), network.predict([0.0, 1.0])
    np.testing.assert_allclose(np.diff(low, axis=0) + np.diff(high, axis=0), [[0.0, 1.0]])
    assert check(network, NO_SKIP) == pytest.approx(np.sqrt(2.0), rel=1e-9)


@settings(max_examples=40)
@given(seeds)
def test_slopes_that_jumps_can_make_cost_nothing_more(seed):
    """R = int |f''| if and only if f'(-inf) + f'(+inf) = int t dw with |t| <= 1."""
    rng = np.random.default_rng(seed)
    J, T = int(rng.integers(1, 6)), int(rng.integers(2, 5))
    place, w, t = rng.standard_normal(J), rng.standard_normal((J, T)), rng.uniform(-1, 1, (J, 1))
    f = kw.ReLUNetwork(
        np.repeat([[1.0], [-1.0]], J, axis=0),
        np.concatenate([-place, place]),
        np.vstack([(1 + t) * w / 2, (1 - t) * w / 2]),
    )
    total = np.linalg.norm(w, axis=1).sum()
    assert check(f, NO_SKIP) == pytest.approx(total, rel=1e-9)
    # a slope outside the span of the jumps, or larger than they are, costs more
    outside = rewritten(f, A=f.A + 10 * total * rng.standard_normal((1, T)))
    assert check(outside, NO_SKIP) > total * (1 + 1e-3)


@pytest.mark.parametrize("T", [1, 3])
def test_a_line_on_the_whole_axis_is_paid_twice(T):
    slope = np.arange(1.0, T + 1)
    line = kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, T)), slope[None], np.ones(T))
    result = kw.representational_cost(line, NO_SKIP)
    assert check(line, NO_SKIP) == pytest.approx(2 * np.linalg.norm(slope), rel=1e-9)
    assert result.network.n_neurons == 2


# --------------------------------------------------------------------------------- biases penalised


@pytest.mark.parametrize("size", [1e-6, 0.3, 1.0, 2.0, 1e6])
def test_a_constant_is_charged_as_huber_does(size):
    """min |v|, |c|: |v| + |c|^2 / 2 with v + c = f. The bias takes at most 1."""
    f = kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 2)), None, size * np.array([0.6, 0.8]))
    expected = size**2 / 2 if size <= 1 else size - 0.5
    for penalty in (BIASES, FROBENIUS, NUCLEAR):
        assert check(f, penalty) == pytest.approx(expected, rel=1e-9)
    assert check(f, FREE) == check(f, NO_SKIP) == 0.0


@pytest.mark.parametrize("size", [1e-6, 0.3, 1.9, 3.0, 1e6])
def test_a_line_through_the_origin(size):
    f = kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 2)), [[0.6 * size, 0.8 * size]])
    assert check(f, BIASES) == pytest.approx(2 * size, rel=1e-9)
    assert check(f, NUCLEAR) == pytest.approx(size, rel=1e-9)
    assert check(f, FROBENIUS) == pytest.approx(size**2 / 2 if size <= 2 else 2 * size - 2, rel=1e-9)


def test_the_constant_neuron_is_one_sided_and_costs_half_a_pair():
    # without the bias a large constant is one neuron relu(1), not the pair 2 |B|_*
    f = kw.ReLUNetwork([[0.0]], [2.0], [[3.0]])
    result = kw.representational_cost(f, BIASES)
    assert check(f, BIASES) == pytest.approx(5.5, rel=1e-9)
    assert result.network.n_neurons == 1
    assert not result.network.W.any()


def test_a_steep_line_off_the_origin_needs_a_pair_at_a_new_place():
    """No place is given: the pair is found, and with c it beats the pair at the root of the line."""
    m, k = 30.0, 20.0
    f = kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 1)), [[m]], [k])
    # T = 1: 2 |(b, m)| + |k - b| - 1/2 once |c| = 1, least where 2 b / |(b, m)| = 1
    b = m / np.sqrt(3.0)
    assert check(f, BIASES) == pytest.approx(2 * np.hypot(b, m) + (k - b) - 0.5, rel=1e-9)
    assert check(f, BIASES) < 2 * np.hypot(k, m) - 0.05


def test_a_bend_far_away_is_priced_by_its_distance():
    place = 1e150
    f = kw.ReLUNetwork([[1.0]], [-place], [[2.0, 1.0]])
    for penalty in (BIASES, FROBENIUS, NUCLEAR):
        result = kw.representational_cost(f, penalty)
        assert result.value == pytest.approx(np.sqrt(5.0) * place, rel=1e-9)
        assert result.lower_bound >= result.value * (1 - 1e-9)


# ------------------------------------------------------------------------------ laws, other shapes


@homogeneous
@settings(max_examples=30)
@given(seeds)
def test_norms(penalty, seed):
    rng = np.random.default_rng(seed)
    T = int(rng.integers(1, 4))
    f, g = random_network(rng, n_tasks=T), random_network(rng, n_tasks=T)
    s = float(np.exp(3 * rng.standard_normal()))
    R_f, R_g = check(f, penalty), check(g, penalty)
    assert check(rewritten(f, V=-s * f.V, A=-s * f.A, c=-s * f.c), penalty) == pytest.approx(
        s * R_f, rel=1e-9, abs=1e-12 * s
    )
    assert check(summed(f, g), penalty) <= (R_f + R_g) * (1 + 1e-9)
    moved = rewritten(f, b=f.b - 0.75 * f.W[:, 0], c=f.c - 0.75 * f.A[0])
    assert check(moved, penalty) == pytest.approx(R_f, rel=1e-9, abs=1e-12)


@every_penalty
@settings(max_examples=12)
@given(seeds)
def test_convexity_and_rotations_of_the_outputs(penalty, seed):
    rng = np.random.default_rng(seed)
    T = int(rng.integers(1, 4))
    f, g = random_network(rng, n_tasks=T), random_network(rng, n_tasks=T)
    R_f = check(f, penalty)
    between = check(summed(f, g, 0.3, 0.7), penalty)
    assert between <= (0.3 * R_f + 0.7 * check(g, penalty)) * (1 + 1e-9)
    turn = np.linalg.qr(rng.standard_normal((T + 2, T)))[0].T
    turned = rewritten(f, V=f.V @ turn, A=f.A @ turn, c=f.c @ turn)
    assert check(turned, penalty) == pytest.approx(R_f, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("penalty", [BIASES, FROBENIUS, NUCLEAR], ids=str)
def test_reflection_changes_nothing_but_translation_does(penalty):
    f = random_network(np.random.default_rng(4), 5, 2)
    value = check(f, penalty)
    assert check(rewritten(f, W=-f.W, A=-f.A), penalty) == pytest.approx(value, rel=1e-9)
    moved = rewritten(f, b=f.b - 5.0 * f.W[:, 0], c=f.c - 5.0 * f.A[0])
    assert check(moved, penalty) > 1.1 * value


@every_penalty
def test_nothing_costs_nothing(penalty):
    for network in (
        kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 3))),
        kw.ReLUNetwork([[1.0], [1.0]], [1.0, 1.0], [[2.0], [-2.0]]),
    ):
        result = kw.representational_cost(network, penalty)
        assert result.value == result.lower_bound == 0.0
        assert result.network.n_neurons == 0


@every_hard_penalty
@pytest.mark.parametrize("spread", [0.0, 8.0])
def test_many_bends_of_all_sizes(penalty, spread):
    rng = np.random.default_rng(1)
    K, T = 600, 4
    w = rng.choice([-1.0, 1.0], (K, 1))
    V = rng.standard_normal((K, T)) * np.exp(spread * rng.standard_normal((K, 1)))
    check(kw.ReLUNetwork(w, 3 * rng.standard_normal(K), V, None, rng.standard_normal(T)), penalty)


@every_hard_penalty
@pytest.mark.parametrize("size", [1e-13, 1e13])
def test_functions_of_any_size(penalty, size):
    """The squares of c and A set a scale: far below it they bear all, far above it nothing."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        f = random_network(rng)
        check(rewritten(f, V=size * f.V, A=size * f.A, c=size * f.c), penalty)


@every_hard_penalty
@pytest.mark.parametrize("share", [0.999, 1.0, 1.001])
def test_jumps_along_the_slope_they_have_to_make(penalty, share):
    """Where one facing is just enough the multiplier reaches the end of the lens."""
    rng = np.random.default_rng(6)
    a, weight = rng.standard_normal(3), rng.uniform(0.1, 1.0, (12, 1))
    total = weight.sum()
    f = kw.ReLUNetwork(
        np.ones((12, 1)), rng.standard_normal(12), weight * a, (share - 1) * total / 2 * a[None]
    )
    value = check(f, penalty)
    if penalty == NO_SKIP:
        assert value == pytest.approx(max(share, 1.0) * total * np.linalg.norm(a), rel=1e-9)


@pytest.mark.slow
@every_hard_penalty
@pytest.mark.parametrize("T", [1, 20])
def test_ten_thousand_bends(penalty, T):
    rng = np.random.default_rng(2)
    w, V = rng.choice([-1.0, 1.0], (10_000, 1)), rng.standard_normal((10_000, T))
    result = kw.representational_cost(
        kw.ReLUNetwork(w, 3 * rng.standard_normal(10_000), V, None, rng.standard_normal(T)), penalty
    )
    assert result.lower_bound >= result.value * (1 - 1e-9)


@every_hard_penalty
def test_places_over_the_whole_of_float64(penalty):
    rng = np.random.default_rng(3)
    place = np.sign(rng.standard_normal(200)) * np.exp(rng.uniform(-300, 300, 200))
    V = rng.standard_normal((200, 2)) / np.hypot(1.0, place)[:, None]
    result = kw.representational_cost(kw.ReLUNetwork(np.ones((200, 1)), -place, V), penalty)
    assert result.lower_bound >= result.value * (1 - 1e-9)


def test_a_bend_beyond_float64_is_none():
    f = kw.ReLUNetwork([[1e-200], [1e-200]], [1e200, -1e200], [[1e-200], [1e-200]])
    assert kw.representational_cost(f, FREE).value == 0.0
    assert kw.representational_cost(f, BIASES).value == pytest.approx(0.5, rel=1e-9)
    np.testing.assert_allclose(kw.representational_cost(f, NO_SKIP).network.predict([0.0]), 1.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0],), TypeError, "^network: must be a knotwork.ReLUNetwork, got list"),
        (
            (kw.ReLUNetwork(np.ones((1, 2)), [0.0], [[1.0]]),),
            ValueError,
            "^network: must have one input, got 2",
        ),
        (
            (kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), "free"),
            TypeError,
            "^penalty: must be a knotwork.Penalty",
        ),
        ((kw.ReLUNetwork([[1e200]], [0.0], [[1e200]]), NO_SKIP), ValueError, "^network: its cost is beyond"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        kw.representational_cost(*arguments)
