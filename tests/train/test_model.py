"""What is trained is what is certified: objective and gradient against the library and differences."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_problems import MIXED, loss_of, name_of
from references_losses import PENALTIES, SPECS, random_labels, with_gaps

import knotwork as kw
from knotwork.train._jax import precision
from knotwork.train._model import Data, Model, data_of, to_network
from knotwork.train._proximal import AdaptivePathProx
from knotwork.train._steps import Adam
from knotwork.train.initialisation import parameters_of

F64 = np.dtype(np.float64)
GRADIENT = jax.jit(Model.loss_and_gradient, static_argnums=0)
CASES = [(spec, (False, "free"), 1) for spec in [*SPECS, MIXED]]
CASES += [("squared", penalty, 2) for penalty in PENALTIES]
CASES += [("multinomial", (True, "nuclear"), 2), (MIXED, (True, "frobenius"), 2)]


def random_problem(rng, spec, penalty, d, n=9, T=3, gaps=0.3, weighted=True):
    X = rng.standard_normal((n, d))
    Y = random_labels(rng, spec, rng.standard_normal((n, T)))
    Y = with_gaps(rng, spec, Y, gaps) if gaps else Y
    weight = rng.uniform(0.5, 2.0, n) if weighted else None
    return kw.Problem(X, Y, 0.3, loss_of(spec), kw.Penalty(*penalty), weight)


def random_network(rng, problem, K=4):
    d, T = problem.n_inputs, problem.n_tasks
    A = rng.standard_normal((d, T)) if problem.penalty.skip != "none" else None
    shapes = ((K, d), (K,), (K, T))
    return kw.ReLUNetwork(*(rng.standard_normal(shape) for shape in shapes), A, rng.standard_normal(T))


@pytest.mark.parametrize(("spec", "penalty", "d"), CASES, ids=lambda value: str(value))
def test_objective_and_gradient_are_the_librarys(spec, penalty, d):
    rng = np.random.default_rng(len(name_of(spec)) + d)
    problem = random_problem(rng, spec, penalty, d)
    network = random_network(rng, problem)
    p = parameters_of(network, problem, network.n_neurons)
    with precision("float64"):
        model, data = Model(problem.loss_function, problem.penalty), data_of(problem, F64)
        objective = float(model.objective(p, data))
        loss, gradient = GRADIENT(model, p, data)
        decay = model.decay(p, data.lam)
        squares = jax.jit(model.squares)
        assert objective == pytest.approx(problem.objective(to_network(p)), rel=1e-11)
        assert float(loss + data.constant) == pytest.approx(problem.loss_value(network), rel=1e-11)
        for _ in range(3):
            way = {name: rng.standard_normal(part.shape) for name, part in p.items()}
            there, back = ({k: p[k] + h * way[k] for k in p} for h in (1e-6, -1e-6))
            slope = (problem.loss_value(to_network(there)) - problem.loss_value(to_network(back))) / 2e-6
            told = sum(float(np.sum(gradient[k] * way[k])) for k in p)
            assert told == pytest.approx(slope, rel=1e-6, abs=1e-6)
            slope = 0.3 * float(squares(there) - squares(back)) / 2e-6
            assert sum(float(np.sum(decay[k] * way[k])) for k in p) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_balance_keeps_the_function_and_makes_the_squares_the_cost(penalty):
    rng = np.random.default_rng(0)
    problem = random_problem(rng, "squared", penalty, 2)
    p = parameters_of(random_network(rng, problem), problem, 5)
    with precision("float64"):
        model = Model(problem.loss_function, problem.penalty)
        s = model.balancing(p)
        q = {name: np.asarray(p[name] * s[name]) for name in p}
        assert float(model.squares(q)) == pytest.approx(float(model.cost(p)), rel=1e-12)
        assert float(model.squares(p)) > 1.01 * float(model.cost(p))
    X = rng.standard_normal((20, 2))
    np.testing.assert_allclose(to_network(q).predict(X), to_network(p).predict(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("penalty", [(False, "free"), (True, "nuclear")])
def test_averages_go_along_when_neurons_are_rescaled(penalty):
    rng = np.random.default_rng(0)
    problem = random_problem(rng, "squared", penalty, 2)
    p = parameters_of(random_network(rng, problem), problem, 4)
    with precision("float64"):
        model, data = Model(problem.loss_function, problem.penalty), data_of(problem, F64)
        g = GRADIENT(model, p, data)[1]
        for method in (Adam, AdaptivePathProx):
            squares = {name: part**2 for name, part in g.items()}
            before = {"p": p, "mean": g, "square": squares, "seed": 0}
            after = method(model, "constant", None, 1).rescale(before)
            there = GRADIENT(model, after["p"], data)[1]
            for name in p:
                np.testing.assert_allclose(after["mean"][name], there[name], rtol=1e-9, atol=1e-12)
                np.testing.assert_allclose(after["square"][name], there[name] ** 2, rtol=1e-9, atol=1e-12)
            assert not np.allclose(after["mean"]["V"], g["V"])


def test_batches_are_random_rows_with_their_labels():
    X = np.arange(100.0)
    weight = 1.0 + X
    problem = kw.Problem(X, 2.0 * X, 1.0, sample_weight=weight)
    with precision("float64"):
        model, data = Model(problem.loss_function, problem.penalty), data_of(problem, F64)
        method = Adam(model, "constant", 8, 0)
        drawn = [method.batch(i, {"seed": seed}, data) for seed in (0, 1) for i in range(50)]
        drawn = [(Data(*(np.asarray(part) for part in batch)), share) for batch, share in drawn]
    rows = np.array([batch.X[:, 0] for batch, _ in drawn])
    assert all(share == 100 / 8 for _, share in drawn)
    for batch, _ in drawn:
        np.testing.assert_array_equal(batch.y, 2.0 * batch.X)
        np.testing.assert_array_equal(batch.w, 1.0 + batch.X)
    assert len({tuple(row) for row in rows}) == len(rows)
    assert len(np.unique(rows)) == 100
    assert rows.mean() == pytest.approx(49.5, abs=4.0)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_sums_over_first_and_last_rows_are_the_gradient(seed):
    rng = np.random.default_rng(seed)
    # equal inputs, kinks at data points, neurons that face left and right, or nowhere
    X = rng.integers(-3, 4, 9).astype(float)
    problem = kw.Problem(X, rng.standard_normal((9, 3)), 0.3)
    w = rng.choice([-2.0, -1.0, 0.0, 1.0], 5)
    b = rng.integers(-3, 4, 5).astype(float)
    network = kw.ReLUNetwork(w[:, None], b, rng.standard_normal((5, 3)))
    p = parameters_of(network, problem, 5)
    with precision("float64"):
        data = data_of(problem, F64)
        plain, fast = (
            GRADIENT(Model(problem.loss_function, problem.penalty, flag), p, data)[1]
            for flag in (False, True)
        )
    for name in plain:
        np.testing.assert_allclose(fast[name], plain[name], rtol=1e-12, atol=1e-12)


def test_long_columns_take_cumulative_sums():
    rng = np.random.default_rng(0)
    problem = kw.Problem(rng.standard_normal(300), rng.standard_normal((300, 2)), 0.3)
    assert Model.of(problem, 20, None).by_prefixes
    assert not Model.of(problem, 20, 10).by_prefixes
    p = parameters_of(random_network(rng, problem), problem, 4)
    with precision("float64"):
        data = data_of(problem, F64)
        plain = GRADIENT(Model(problem.loss_function, problem.penalty), p, data)[1]
        fast = GRADIENT(Model.of(problem, 20, None), p, data)[1]
    for name in plain:
        np.testing.assert_allclose(fast[name], plain[name], rtol=1e-11, atol=1e-11)
