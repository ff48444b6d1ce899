from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import loss_of, name_of
from problems import CATALOGUE
from references import dense_predict
from references_several import Data, objective, random_data

import knotwork as kw
from knotwork.auditing.measure import parameter_objective
from knotwork.dual_norm import Rigour
from knotwork.solution import Status

ALL = kw.Penalty(True, "none")
PENALTIES = [(False, "free"), (False, "none"), (True, "none"), (True, "frobenius"), (True, "nuclear")]
SPECS = ["squared", "logistic", "multinomial", "poisson", ("huber", 0.5), ("quantile", 0.3)]


def random_network(rng, d, n_tasks, skip, n_neurons=5, size=0.5):
    return kw.ReLUNetwork(
        rng.standard_normal((n_neurons, d)),
        rng.standard_normal(n_neurons),
        size * rng.standard_normal((n_neurons, n_tasks)),
        size * rng.standard_normal((d, n_tasks)) * (skip != "none"),
        size * rng.standard_normal(n_tasks),
    )


def problem_of(data):
    penalty = kw.Penalty(*data.penalty)
    return kw.Problem(data.X, data.Y, data.lam, loss_of(data.spec), penalty, data.weight)


def ridge(data, network):
    """Loss + lam (sum of squares of all that is decayed) / 2, by the dense loss of the references."""
    biases, skip = data.penalty
    without_cost = data._replace(lam=1e-300)
    decayed = [*network.W.ravel(), *network.V.ravel()]
    decayed += [*network.b, *network.c] if biases else []
    decayed += list(network.A.ravel()) if skip == "frobenius" else []
    cost = 0.5 * sum(value**2 for value in decayed)
    if skip == "nuclear":
        cost += np.linalg.svd(network.A, compute_uv=False).sum()
    return objective(without_cost, network) + data.lam * cost


def assert_sound(found, data):
    """Every function has the objective that is said, they fall in order, and the bound is below all."""
    values = found.objectives
    assert values.given == pytest.approx(ridge(data, found.network), rel=1e-9)
    assert values.improved == pytest.approx(ridge(data, found.improved), rel=1e-9)
    for network, value in (
        (found.balanced, values.balanced),
        (found.merged, values.merged),
        (found.compressed, values.compressed),
        (found.solution.network, values.solved),
        (found.improved, values.improved),
    ):
        assert objective(data, network) == pytest.approx(value, rel=1e-9)
    order = [values.given, values.balanced, values.merged, values.compressed]
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(order))
    assert values.improved <= min(*values) * (1 + 1e-12)
    assert values.improved <= values.given
    dual = found.certificate.dual
    assert 0.0 <= found.own_certificate.dual <= dual * (1 + 1e-12)
    assert dual <= min(values) * (1 + 1e-9)
    assert found.certificate.primal == values.balanced
    assert found.certificate.gap == pytest.approx(values.balanced - dual, abs=1e-12 * values.balanced)
    if dual > 0:
        assert found.excess == pytest.approx(values.given / dual - 1, abs=1e-12)
        assert found.rescaled_excess <= found.excess + 1e-12
    fitted = dense_predict(found.network, data.X)
    for network in (found.balanced, found.merged, found.compressed):
        np.testing.assert_allclose(dense_predict(network, data.X), fitted, atol=1e-8 * np.abs(fitted).max())


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("d", [1, 2])
def test_objectives_fall_to_the_bound(penalty, d):
    rng = np.random.default_rng(d)
    data = random_data(1, "squared", penalty, n=14, d=d, n_tasks=2, lam=0.3)
    found = kw.audit(random_network(rng, d, 2, penalty[1]), problem_of(data))
    assert_sound(found, data)
    # the solver reached the bound, so that nothing between it and the network is the solver's
    assert found.objectives.improved <= found.certificate.dual * (1 + 1e-7)
    assert found.certificate.rigour is Rigour.EXACT


@pytest.mark.parametrize("spec", SPECS[1:], ids=name_of)
def test_other_losses(spec):
    rng = np.random.default_rng(3)
    data = random_data(2, spec, (True, "none"), n=14, d=1, n_tasks=2, lam=0.4)
    network = random_network(rng, 1, data.Y.shape[1], "none")
    found = kw.audit(network, problem_of(data))
    assert_sound(found, data)
    assert found.objectives.improved <= found.certificate.dual * (1 + 1e-6)


@given(st.integers(0, 10**6), st.sampled_from(PENALTIES), st.booleans(), st.booleans())
@settings(max_examples=12)
def test_sound_with_gaps_and_weights(seed, penalty, gaps, weights):
    rng = np.random.default_rng(seed)
    data = random_data(
        seed,
        "squared",
        penalty,
        n=12,
        d=1,
        n_tasks=2,
        lam=float(10 ** rng.uniform(-2, 1)),
        gaps=0.3 if gaps else 0.0,
        weights="labels" if weights else None,
    )
    network = random_network(rng, 1, 2, penalty[1], int(rng.integers(0, 9)), float(10 ** rng.uniform(-2, 1)))
    assert_sound(kw.audit(network, problem_of(data)), data)


@pytest.mark.parametrize("known", [one for one in CATALOGUE if one.lam > 0], ids=lambda one: one.name)
def test_the_distance_is_that_to_the_optimum_solved_by_hand(known):
    problem = kw.Problem(known.X, known.Y, known.lam, sample_weight=known.weight)
    rng = np.random.default_rng(0)
    found = kw.audit(random_network(rng, 1, problem.n_tasks, "free"), problem)
    assert found.certificate.dual == pytest.approx(known.optimum, rel=1e-7, abs=1e-12)
    if known.optimum > 0:
        above = found.objectives.given / known.optimum - 1
        assert found.excess == pytest.approx(above, rel=1e-6)
    else:
        assert found.excess == np.inf
        assert found.certificate.gap == pytest.approx(found.objectives.balanced)


def test_one_datum_with_decayed_biases():
    # min (3 - c - s)^2 / 2 + lam (s + c^2 / 2), s = |v||(w, b)| relu(b): c = 1, s = 1.9, F = .245
    problem = kw.Problem([[0.0]], [[3.0]], 0.1, penalty=ALL)
    network = kw.ReLUNetwork([[0.0]], [2.0], [[1.0]], c=[0.0])
    found = kw.audit(network, problem)
    # (3 - 2)^2 / 2 + .1 (4 + 1) / 2, at balance .1 * 2
    assert found.objectives.given == pytest.approx(0.75)
    assert found.objectives.balanced == pytest.approx(0.7)
    assert found.objectives.improved == pytest.approx(0.245, rel=1e-7)
    assert found.excess == pytest.approx(0.75 / 0.245 - 1, rel=1e-6)
    assert found.rescaled_excess == pytest.approx(0.7 / 0.245 - 1, rel=1e-6)


@pytest.mark.parametrize(("loss_mean", "n"), [("all", 57), ("rows", 20), ("none", 1)])
def test_given_is_the_objective_that_pytorch_decays(loss_mean, n):
    rng = np.random.default_rng(5)
    x, Y = rng.uniform(-1, 1, (20, 2)), rng.standard_normal((20, 3))
    Y[0, 0] = Y[5, 1] = Y[5, 2] = np.nan
    network = random_network(rng, 2, 3, "frobenius")
    decay = 0.02
    squared = np.nansum((dense_predict(network, x) - Y) ** 2)
    weights = (network.W, network.b, network.V, network.A, network.c)
    pytorch = squared / n + 0.5 * decay * sum(float(np.sum(w * w)) for w in weights)
    problem = kw.Problem(x, Y, 1.0, penalty=kw.Penalty(True, "frobenius"))
    problem = problem.with_lam(kw.lam_from_weight_decay(decay, problem, loss_mean=loss_mean))
    assert parameter_objective(problem, network) == pytest.approx(0.5 * n * pytorch, rel=1e-12)


def test_an_optimal_network_is_told_so_and_kept():
    data = random_data(4, "squared", (True, "none"), n=15, d=1, n_tasks=2, lam=0.2)
    problem = problem_of(data)
    best = kw.solve(problem, tol=1e-10).network.balance(ALL)
    found = kw.audit(best, problem)
    assert found.excess <= 1e-7
    assert found.certificate.relative_gap <= 1e-7
    assert found.objectives.improved <= found.objectives.given
    # the same function at another scaling: further away, and only by its scaling
    scaled = kw.ReLUNetwork(best.W * 4, best.b * 4, best.V / 4, c=best.c)
    again = kw.audit(scaled, problem)
    assert again.excess > 0.1
    assert again.rescaled_excess <= 1e-7
    assert again.objectives.improved < again.objectives.given


def test_a_solver_stopped_at_once_leaves_a_valid_bound():
    data = random_data(6, "squared", (True, "none"), n=40, d=1, n_tasks=2, lam=1e-3)
    problem = problem_of(data)
    network = random_network(np.random.default_rng(0), 1, 2, "none")
    found = kw.audit(network, problem, progress=lambda entry: True)
    assert found.solution.status is Status.STOPPED
    optimum = kw.solve(problem, tol=1e-10).certificate
    assert found.certificate.dual <= optimum.primal
    assert found.excess >= found.objectives.given / optimum.primal - 1
    assert optimum.dual <= found.objectives.improved <= found.objectives.given


def test_a_solver_that_ends_worse_than_it_began_improves_nothing(monkeypatch):
    data = random_data(6, "squared", (True, "none"), n=20, d=1, n_tasks=2, lam=0.1)
    problem = problem_of(data)
    good = kw.solve(problem).network.balance(ALL)
    asked = {}

    def far_off(problem, **options):
        asked.update(options)
        poor = random_network(np.random.default_rng(0), 1, 2, "none")
        return kw.Solution(problem, poor, kw.certify(problem, poor), Status.MAX_ROUNDS)

    monkeypatch.setattr("knotwork.auditing.measure.solve", far_off)
    found = kw.audit(good, problem, tol=0.5)
    assert asked["start"] is good
    assert asked["tol"] == 0.5
    assert found.objectives.improved <= found.objectives.given < 0.9 * found.objectives.solved
    assert found.certificate.dual == found.own_certificate.dual
    assert_sound(found, data)


def test_networks_that_cannot_be_compressed(monkeypatch):
    data = random_data(1, "squared", (True, "none"), n=12, d=1, n_tasks=2, lam=0.3)
    network = random_network(np.random.default_rng(1), 1, 2, "none")

    def worse(network, X, penalty):
        return SimpleNamespace(network=kw.ReLUNetwork(2 * network.W, network.b, network.V, c=network.c))

    monkeypatch.setattr("knotwork.auditing.measure.compress", worse)
    found = kw.audit(network, problem_of(data))
    assert found.compressed is found.merged
    assert found.notices == ()

    def fails(network, X, penalty):
        raise ArithmeticError("tol: rounding moved a prediction")

    monkeypatch.setattr("knotwork.auditing.measure.compress", fails)
    found = kw.audit(network, problem_of(data))
    assert found.compressed is found.merged
    assert found.notices == ("not compressed (tol: rounding moved a prediction)",)
    assert_sound(found, data)


def test_a_search_proves_less_and_asks_no_uniqueness():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 4))
    data = Data("squared", (True, "none"), X, np.maximum(X[:, :1], 0.0) + 0.1, 0.5)
    network = random_network(rng, 4, 1, "none")
    found = kw.audit(network, problem_of(data), max_cells=0)
    assert found.certificate.rigour is Rigour.HEURISTIC
    assert found.uniqueness is None
    assert found.certificate.bound < found.certificate.dual
    assert found.proven_excess > found.excess
    assert found.proven_excess == pytest.approx(found.objectives.given / found.certificate.bound - 1)
    json.dumps(found.record(), allow_nan=False)


def test_interpolation():
    x, y = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 1.0, 0.0, 3.0])
    problem = kw.Problem(x, y, 0.0)
    far = kw.audit(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), problem)
    assert far.objectives.given == far.excess == np.inf
    # slope changes -2 and 2.5
    assert far.objectives.improved == pytest.approx(4.5)
    assert far.certificate.dual == pytest.approx(4.5)
    record = far.record()
    assert record["objectives"]["given"] is None
    assert record["excess"] is None
    # the same two bends, and one more that cancels
    W, b, V = [[2.0], [1.0], [1.0], [1.0]], [-2.0, -2.0, -3.0, -3.0], [[-1.0], [2.5], [1.0], [-1.0]]
    met = kw.audit(kw.ReLUNetwork(W, b, V, [[1.0]]), problem)
    assert met.objectives.balanced == pytest.approx(6.5)
    assert met.objectives.merged == pytest.approx(4.5)
    assert met.excess == pytest.approx((2.5 + 3.625 + 2) / 4.5 - 1)
    assert abs(met.certificate.slack) <= 1e-12


def neurons_of(W, b, V, penalty=None, x=(-1.0, 0.0, 2.0)):
    n_tasks = len(V[0])
    Y = np.zeros((len(x), n_tasks))
    Y[0] = 1.0
    network = kw.ReLUNetwork(W, b, V)
    return kw.audit(network, kw.Problem(np.reshape(x, (len(x), -1)), Y, 1.0, penalty=penalty or ALL)).neurons


def test_dead_neurons():
    found = neurons_of(
        [[1.0], [1.0], [-1.0], [1.0], [0.0], [0.0], [1e-20]],
        [-2.0, -1.9, -1.5, 0.0, 1.0, -1.0, 1e-20],
        [[1.0], [1.0], [1.0], [0.0], [1.0], [1.0], [1e-20]],
    )
    # the first ends at the last datum, the second is active there; -x - 1.5 never, 1 always
    assert found.dead.tolist() == [0, 2, 3, 5, 6]
    np.testing.assert_allclose(found.active, [0, 1 / 3, 0, 1 / 3, 1, 0, 2 / 3])
    np.testing.assert_allclose(found.cost[:2], [np.sqrt(5.0), np.hypot(1.0, 1.9)])


def test_rows_without_labels_keep_no_neuron_alive():
    problem = kw.Problem([0.0, 1.0, 5.0], [1.0, 2.0, np.nan], 1.0, penalty=ALL)
    network = kw.ReLUNetwork([[1.0], [1.0]], [-3.0, 0.0], [[1.0], [1.0]])
    assert kw.audit(network, problem).neurons.dead.tolist() == [0]


def test_duplicates_are_told_up_to_scale():
    W = [[1.0], [-3.0], [2.0], [-1.0], [1.0], [1.0]]
    b = [0.5, -1.5, 1.0, -0.5 + 1e-4, -9.0, 0.5 + 1e-9]
    V = [[1.0, 0.0]] * 6
    turned = neurons_of(W, b, V)
    assert turned.duplicate.tolist() == [2, 5]
    assert turned.duplicate_of.tolist() == [0, 0]
    free = neurons_of(W, b, V, kw.Penalty())
    # relu(-z) bends where relu(z) does
    assert free.duplicate.tolist() == [1, 2, 5]
    assert free.duplicate_of.tolist() == [0, 0, 0]
    # neuron 4 is dead, and no duplicate of another dead one
    assert 4 in free.dead


def test_duplicates_in_small_and_far_inputs():
    # knots at 1e6 + 0.5 and 1e6 + 0.6 are as far apart as 0.5 and 0.6 are
    x = 1e6 + np.array([-1.0, 0.0, 2.0])
    far = neurons_of([[1.0], [1.0]], [-1e6 - 0.5, -1e6 - 0.6], [[1.0], [1.0]], kw.Penalty(), tuple(x))
    assert far.duplicate.tolist() == []
    small = neurons_of([[1.0], [1.0]], [-5e-7, -6e-7], [[1.0], [1.0]], x=(-1e-6, 0.0, 2e-6))
    assert small.duplicate.tolist() == []


def test_sharing():
    found = neurons_of(
        [[1.0], [1.0], [1.0], [1.0]], [0.1, 0.2, 0.3, -7.0], [[3, 4], [2, 0], [1, 0.05], [1, 1]]
    )
    np.testing.assert_allclose(found.sharing[:, :2], [[0.36, 1.0], [0.64, 0.0]])
    np.testing.assert_allclose(found.sharing.sum(axis=0), 1.0)
    # 0.25 % is no use of a neuron, and a dead one is used by nobody
    assert found.shared.tolist() == [0]
    none = neurons_of([[1.0]], [0.1], [[0.0, 0.0]])
    np.testing.assert_array_equal(none.sharing, np.zeros((2, 1)))


def test_a_network_without_neurons():
    found = kw.audit(
        kw.ReLUNetwork(np.zeros((0, 1)), [], np.zeros((0, 1)), c=[1.0]),
        kw.Problem([0.0, 1.0, 2.0], [0.0, 5.0, 0.0], 0.1, penalty=ALL),
    )
    assert found.neurons.dead.size == found.neurons.duplicate.size == found.neurons.shared.size == 0
    assert found.objectives.improved < found.objectives.given


def test_the_record_is_json_and_says_what_the_audit_says():
    data = random_data(1, "squared", (False, "free"), n=12, d=1, n_tasks=2, lam=0.3)
    found = kw.audit(random_network(np.random.default_rng(2), 1, 2, "free"), problem_of(data))
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["objectives"] == found.objectives._asdict()
    assert record["certificate"]["dual"] == found.certificate.dual
    assert record["certificate"]["rigour"] == "EXACT"
    assert record["neurons"]["improved"] == found.improved.n_neurons
    assert record["problem"]["labels"] == int(np.isfinite(data.Y).sum())
    assert record["unique"] is found.uniqueness.unique
    assert np.shape(record["sharing"]) == (2, found.network.n_neurons)
    mixed = kw.Problem(data.X, np.abs(data.Y), 0.3, ["squared", "huber"])
    assert kw.audit(found.network, mixed).record()["problem"]["loss"] == ["squared", "huber"]


def test_refused_arguments():
    problem = kw.Problem([0.0, 1.0], [0.0, 1.0], 0.1, penalty=ALL)
    network = kw.ReLUNetwork([[1.0]], [0.0], [[1.0]])
    with pytest.raises(TypeError, match=r"network: must be a knotwork\.ReLUNetwork"):
        kw.audit(problem, problem)
    with pytest.raises(TypeError, match=r"problem: must be a knotwork\.Problem"):
        kw.audit(network, network)
    with pytest.raises(ValueError, match="A: must be zero under skip='none'"):
        kw.audit(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]], [[1.0]]), problem)
    with pytest.raises(ValueError, match="network: maps 1 inputs to 2 tasks"):
        kw.audit(kw.ReLUNetwork([[1.0]], [0.0], [[1.0, 2.0]]), problem)
    with pytest.raises(ValueError, match="tol: must be"):
        kw.audit(network, problem, tol=-1.0)
