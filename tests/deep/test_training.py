"""Training of stacked networks: its objective, its invariances, its convex steps."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.deep import initial
from knotwork.deep._stack_model import StackModel, scaled, to_stacked
from knotwork.deep.initial import starting_point, zigzag
from knotwork.deep.refinement import interpolate_inner, rebalance, solve_last, stacked_objective
from knotwork.deep.stack_costs import raw_cost
from knotwork.deep.tasks import stack_tasks
from knotwork.deep.training import train_stacked
from knotwork.train._jax import precision
from knotwork.train._model import data_of

F64 = np.dtype(np.float64)
SKIPS = ("none", "frobenius", "nuclear")
SMALL = {
    "widths": 6,
    "steps": 60,
    "check_every": 20,
    "rebalance_every": 10,
    "round_steps": 20,
    "n_interpolated": 0,
}
MODELS = [
    ("none", "identity", "identity"),
    ("frobenius", "relu", "softmax"),
    ("nuclear", "leaky_relu", "identity"),
    ("nuclear", "tanh", "sigmoid"),
    ("none", jnp.sin, "identity"),
]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(initial, "_DRAWS", 20)


def some_problem(seed=0, skip="nuclear", d=1, n=9, gaps=True, lam=0.1):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), rng.uniform(0.0, 1.0, (n, 3))
    if gaps:
        Y[rng.uniform(size=Y.shape) < 0.3] = np.nan
        Y[0] = 0.5
    weight = rng.uniform(0.5, 2.0, n)
    return kw.Problem(X, Y, lam, penalty=kw.Penalty(True, skip), sample_weight=weight)


def some_parameters(problem, bottlenecks=(2, 2), width=5, seed=1, scheme="default"):
    dims = (problem.n_inputs, *bottlenecks, problem.n_tasks)
    p = starting_point(problem, dims, (width,) * (len(dims) - 1), scheme, seed)
    rng = np.random.default_rng(seed)
    return {name: part + 0.3 * rng.standard_normal(part.shape) for name, part in p.items()}


def loss_by_hand(problem, network):
    each = 0.5 * (problem.Y - network.predict(problem.X)) ** 2
    return float(np.nansum(problem.sample_weight[:, None] * each))


@pytest.mark.parametrize(
    ("skip", "activation", "link"), MODELS, ids=lambda one: getattr(one, "__name__", one)
)
def test_objective_and_gradient_against_numpy_and_differences(skip, activation, link):
    problem = some_problem(skip=skip, d=2)
    p = some_parameters(problem)
    model = StackModel(problem.loss_function, problem.penalty, activation, link, 3)
    with precision("float64"):
        data = data_of(problem, F64)

        def total(q):
            return model.loss_value(q, data) + data.lam * model.squares(q)

        network = to_stacked(p, model)
        loss, gradient = jax.jit(model.loss_and_gradient)(p, data)
        assert float(loss) == pytest.approx(loss_by_hand(problem, network), rel=1e-10)
        assert float(model.objective(p, data)) >= stacked_objective(problem, network) * (1 - 1e-12)
        squares = float(model.squares(p))
        if skip == "nuclear":
            assert squares == pytest.approx(sum(0.5 * float(np.sum(part**2)) for part in p.values()))
        else:
            raw = sum(raw_cost(one, problem.penalty) for one in network.stacks)
            assert squares == pytest.approx(raw, rel=1e-12)
        decay = model.decay(p, data.lam)
        value, rng = jax.jit(total), np.random.default_rng(2)
        for _ in range(3):
            way = {name: rng.standard_normal(part.shape) for name, part in p.items()}
            there, back = ({k: p[k] + h * way[k] for k in p} for h in (1e-6, -1e-6))
            slope = float(value(there) - value(back)) / 2e-6
            told = sum(float(np.sum((gradient[k] + decay[k]) * way[k])) for k in p)
            assert told == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("skip", SKIPS)
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), activation=st.sampled_from(["identity", "relu", "leaky_relu", "tanh"]))
def test_rebalancing_keeps_the_function_and_never_raises_the_decay(skip, seed, activation):
    problem = some_problem(skip=skip, d=2)
    rng = np.random.default_rng(seed)
    p = some_parameters(problem, seed=seed)
    # far from balance, with a neuron without effect
    p = {name: part * rng.lognormal(0.0, 1.5) for name, part in p.items()}
    p["V1"][0] = 0.0
    model = StackModel(problem.loss_function, problem.penalty, activation, "identity", 3)
    with precision("float64"):
        q = {name: np.asarray(part) for name, part in scaled(p, model.balancing(p)).items()}
        before, after = float(model.squares(p)), float(model.squares(q))
    assert after <= before * (1 + 1e-12)
    X = rng.standard_normal((20, 2))
    network, balanced = to_stacked(p, model), to_stacked(q, model)
    f = network.predict(X)
    np.testing.assert_allclose(balanced.predict(X), f, rtol=1e-9, atol=1e-9 * np.abs(f).max())
    again = rebalance(network, problem.penalty)
    np.testing.assert_allclose(again.predict(X), f, rtol=1e-9, atol=1e-9 * np.abs(f).max())
    costs = [float(one.costs(problem.penalty).sum()) for one in (network, balanced, again)]
    assert costs[2] <= costs[0] * (1 + 1e-12)
    if activation != "tanh":
        assert after < 0.9 * before
        # at balance half the squares are the costs; |A|_* is below them until its factors are balanced
        assert after >= costs[1] * (1 - 1e-12)


def test_scaling_stacks_against_each_other_reaches_the_least_cost():
    # one neuron each: sum of squares least over the scale s between stacks, by brute force
    one = kw.ReLUNetwork([[3.0]], [0.5], [[2.0]], None, [0.7])
    two = kw.ReLUNetwork([[0.2]], [0.1], [[0.4]], None, [0.3])
    penalty = kw.Penalty(True, "none")
    network = kw.StackedNetwork((one, two))

    def cost(s):
        return float(network.rescaled([[s]]).costs(penalty).sum())

    least = min(cost(s) for s in np.geomspace(1e-2, 1e2, 2001))
    found = float(rebalance(network, penalty).costs(penalty).sum())
    assert least < 0.9 * cost(1.0)
    assert found <= least + 0.02 * (cost(1.0) - least)
    # and what is decayed is least there as it stands, neurons not balanced anew
    at, scales = rebalance(network, penalty), np.geomspace(0.5, 2.0, 401)
    raw = [sum(raw_cost(one, penalty) for one in at.rescaled([[s]]).stacks) for s in scales]
    assert scales[int(np.argmin(raw))] == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("skip", SKIPS)
def test_convex_steps_never_raise_the_objective(skip):
    problem = some_problem(skip=skip, n=8, lam=0.005)
    for seed in range(3):
        parameters = some_parameters(problem, (1, 1), seed=seed)
        model = StackModel(problem.loss_function, problem.penalty, "identity", "identity", 3)
        network = to_stacked(parameters, model)
        start = stacked_objective(problem, network)
        solved = solve_last(problem, network)
        assert stacked_objective(problem, solved) < 0.999 * start
        for one, other in zip(solved.stacks[:-1], network.stacks[:-1], strict=True):
            assert one is other
        # nothing better is left: the certified optimum of the last stack
        X = solved.inputs(problem.X)[-1]
        best = kw.solve(
            kw.Problem(X, problem.Y, 0.005, penalty=problem.penalty, sample_weight=problem.sample_weight)
        )
        inner = sum(network.costs(problem.penalty)[:-1])
        expected = best.certificate.primal + 0.005 * inner
        assert stacked_objective(problem, solved) == pytest.approx(expected, rel=1e-5)
        least = interpolate_inner(problem, solved)
        assert stacked_objective(problem, least) <= stacked_objective(problem, solved)
        np.testing.assert_allclose(least.predict(problem.X), solved.predict(problem.X), rtol=1e-6, atol=1e-6)
        assert solve_last(problem, network, width=0) is network
    assert sum(least.costs(problem.penalty)[:-1]) < 0.99 * sum(solved.costs(problem.penalty)[:-1])


def test_a_link_leaves_the_last_stack_to_adam():
    problem = some_problem(skip="none")
    model = StackModel(problem.loss_function, problem.penalty, "identity", "sigmoid", 3)
    network = to_stacked(some_parameters(problem), model)
    assert solve_last(problem, network) is network


def test_serial_is_batched():
    problem = some_problem()

    def run(batching, seeds=(3, 8), rounds=1):
        return train_stacked(problem, seeds=seeds, **SMALL | {"batching": batching, "rounds": rounds})

    serial = run("serial")
    np.testing.assert_array_equal(serial.objectives, run("map").objectives)
    assert run("map", [8]).objectives[0] == serial.objectives[1]
    # in another order of the sums; beyond a convex step a last digit may choose another knot
    together, alone = (run(batching, rounds=0).objectives for batching in ("vmap", "serial"))
    np.testing.assert_allclose(together, alone, rtol=1e-8)
    for network, objective in zip(serial, serial.objectives, strict=True):
        assert stacked_objective(problem, network) == objective
    assert serial.best is serial.networks[int(np.argmin(serial.objectives))]


def test_checks_change_nothing():
    problem = some_problem()
    options = SMALL | {"seeds": 2, "rounds": 0, "learning_rate": 1e-3}
    often, once = (train_stacked(problem, **options | {"check_every": n}) for n in (20, 60))
    np.testing.assert_array_equal(often.objectives, once.objectives)
    # the last check has the best network, so that these are the ends of both runs
    told = []
    train_stacked(problem, progress=lambda e: told.append(e.objective), **options)
    assert np.all(np.diff(told) < 0)


def test_every_phase_lowers_the_objective():
    problem = some_problem()
    told = []
    train_stacked(problem, seeds=2, rounds=2, progress=lambda e: told.append((e.round, e.objective)), **SMALL)
    assert [step for step, _ in told] == [20, 40, 60, 80, 100]
    assert all(after <= before * (1 + 1e-9) for (_, before), (_, after) in itertools.pairwise(told))
    assert told[-1][1] < 0.9 * told[0][1]
    short = train_stacked(problem, seeds=2, rounds=0, **SMALL)
    longer = train_stacked(problem, seeds=2, rounds=1, **SMALL | {"n_interpolated": 1})
    assert np.all(longer.objectives < short.objectives)


def test_labels_that_are_missing_do_not_matter():
    problem = some_problem(gaps=True)
    shown = np.where(np.isnan(problem.Y), 77.0, problem.Y)
    weight = np.where(np.isnan(problem.Y), 0.0, problem.sample_weight[:, None])
    hidden = kw.Problem(problem.X, shown, 0.1, penalty=problem.penalty, sample_weight=weight)
    one, other = (train_stacked(p, seeds=2, **SMALL) for p in (problem, hidden))
    np.testing.assert_allclose(one.objectives, other.objectives, rtol=1e-9)
    moved = kw.Problem(problem.X, problem.Y + 0.1, 0.1, penalty=problem.penalty, sample_weight=weight)
    assert not np.allclose(train_stacked(moved, seeds=2, **SMALL).objectives, one.objectives, rtol=1e-4)


def test_tasks_of_their_own_are_one_problem_with_gaps():
    rng = np.random.default_rng(4)
    tasks = [(rng.standard_normal(4), rng.standard_normal(4)) for _ in range(2)]
    X, Y = stack_tasks(tasks)
    direct = kw.Problem(X, Y, 0.1, penalty=kw.Penalty(True, "none"))
    one = train_stacked(tasks, lam=0.1, seeds=1, rounds=0, **SMALL)
    np.testing.assert_array_equal(
        one.objectives, train_stacked(direct, seeds=1, rounds=0, **SMALL).objectives
    )


@pytest.mark.slow  # a compilation each
def test_activations_links_and_float32_are_trained():
    problem = some_problem(gaps=False)
    options = SMALL | {"seeds": 2, "rounds": 0}
    named = train_stacked(problem, activation="tanh", **options)
    function = train_stacked(problem, activation=jnp.tanh, **options)
    np.testing.assert_allclose(function.objectives, named.objectives, rtol=1e-9)
    assert abs(train_stacked(problem, **options).objectives[0] / named.objectives[0] - 1) > 1e-6
    short = train_stacked(problem, activation="tanh", dtype="float32", **options)
    np.testing.assert_allclose(short.objectives, named.objectives, rtol=1e-3)
    assert short.objectives[0] != named.objectives[0]
    shares = train_stacked(problem, link="softmax", **options)
    np.testing.assert_allclose(shares.best.predict(problem.X).sum(axis=1), 1.0)
    plain = train_stacked(problem, initialisation="default", **options)
    assert np.all(plain.objectives != train_stacked(problem, **options).objectives)
    start = starting_point(problem, (1, 1, 1, 3), (6, 6, 6), "fold", 0)
    model = StackModel(problem.loss_function, problem.penalty, "identity", "softmax", 3)
    assert shares.objectives[0] < 0.9 * stacked_objective(problem, to_stacked(start, model))


def test_a_run_that_was_stopped_goes_on_to_the_same_end(tmp_path):
    problem, path = some_problem(), tmp_path / "run.safetensors"
    whole = train_stacked(problem, seeds=2, **SMALL)
    for stop in (40, 80):
        part = train_stacked(
            problem, seeds=2, checkpoint=path, progress=lambda e, stop=stop: e.round == stop, **SMALL
        )
        assert part.stopped
    rest = []
    again = train_stacked(problem, seeds=2, checkpoint=path, progress=lambda e: rest.append(e.round), **SMALL)
    assert not rest
    np.testing.assert_array_equal(again.objectives, whole.objectives)
    with pytest.raises(ValueError, match="is of another run, which differs in its steps"):
        train_stacked(problem, seeds=2, checkpoint=path, learning_rate=0.3, **SMALL)


def test_a_zigzag_goes_up_and_down_between_its_ends():
    X = np.linspace(-2.0, 5.0, 4001)[:, None]
    for skip in SKIPS:
        for whole in (False, True):
            rng = np.random.default_rng(6)
            for _ in range(10):
                fold = zigzag(X, 2, 20, kw.Penalty(True, skip), rng, whole)
                H = fold.predict(X)
                slopes = np.diff(H, axis=0) / np.diff(X, axis=0)
                # one slope up to its sign in every piece
                for t in range(2):
                    size = np.abs(slopes[:, t])
                    np.testing.assert_allclose(np.median(size), np.quantile(size, [0.1, 0.9]), rtol=1e-6)
                    turns = int(np.sum(np.diff(np.sign(slopes[:, t])) != 0))
                    assert 1 <= turns <= 7
                assert np.abs(H).max() < 1.7


def test_a_narrow_stack_has_a_narrow_fold():
    X = np.linspace(0.0, 1.0, 50)[:, None]
    fold = zigzag(X, 2, 5, kw.Penalty(True, "none"), np.random.default_rng(0), True)
    assert 2 <= fold.n_neurons <= 4
    with pytest.raises(ValueError, match="widths: a fold of 3 outputs needs 6 neurons, got 5"):
        zigzag(X, 3, 5, kw.Penalty(True, "none"), np.random.default_rng(0), True)


def test_a_fold_starts_nearer_to_the_labels_than_the_default():
    x = np.linspace(-3.0, 3.0, 40)
    Y = np.abs(((x + 0.3) % 1.0) - 0.5)[:, None] * [1.0, -2.0]
    Y[::7, 0] = np.nan
    problem = kw.Problem(x, Y, 0.01, penalty=kw.Penalty(True, "nuclear"))
    model = StackModel(problem.loss_function, problem.penalty, "identity", "identity", 3)
    losses = {
        scheme: [
            stacked_objective(
                problem, to_stacked(starting_point(problem, (1, 1, 1, 2), (20,) * 3, scheme, seed), model)
            )
            for seed in range(5)
        ]
        for scheme in ("fold", "default")
    }
    assert max(losses["fold"]) < min(losses["default"])


def test_what_makes_no_sense_is_refused():
    problem = some_problem()
    cases = [
        ({"widths": (3, 3)}, ValueError, "widths: must be one number or 3"),
        ({"widths": 0}, ValueError, "widths: must be an integer >= 1"),
        ({"bottlenecks": (0,)}, ValueError, "bottlenecks: must be an integer >= 1"),
        ({"lam": 0.1}, TypeError, "lam, skip: are those of the problem"),
        ({"activation": "gelu"}, ValueError, "activation: must be one of"),
        ({"link": "probit"}, ValueError, "link: must be one of"),
        ({"initialisation": "zeros"}, ValueError, "initialisation: must be one of default, fold"),
        ({"seeds": []}, TypeError, "seeds: must be how many or which"),
        ({"seeds": [1, 1]}, ValueError, "seeds: some stand twice"),
        ({"check_every": 70}, ValueError, "check_every: must be a multiple"),
        ({"batching": "pmap"}, ValueError, "batching: must be one of"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate: must be finite and > 0"),
        ({"steps": 1.5}, TypeError, "steps: must be an integer"),
        ({"progress": 3}, TypeError, "progress: must be True or a function"),
    ]
    for options, error, message in cases:
        with pytest.raises(error, match=message):
            train_stacked(problem, **options)
    with pytest.raises(TypeError, match=r"problem: must be a knotwork\.Problem or pairs"):
        train_stacked(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seeds: must be below"):
        train_stacked(problem, seeds=[2**31])
    with pytest.raises(TypeError, match="lam: must be given with tasks"):
        train_stacked([([0.0, 1.0], [1.0, 2.0])])
    with pytest.raises(ValueError, match="acts on all parameters"):
        train_stacked(kw.Problem([0.0, 1.0], [1.0, 2.0], 0.1))
    with pytest.raises(ValueError, match="at lam = 0"):
        train_stacked(problem.with_lam(0.0))
    logistic = kw.Problem([0.0, 1.0], [1.0, 0.0], 0.1, "logistic", kw.Penalty(True, "none"))
    with pytest.raises(ValueError, match="link: 'sigmoid' is for the squared loss"):
        train_stacked(logistic, link="sigmoid")
    with pytest.raises(ValueError, match="network: maps"):
        stacked_objective(logistic, kw.StackedNetwork((kw.ReLUNetwork([[1.0, 1.0]], [0.0], [[1.0]]),)))
