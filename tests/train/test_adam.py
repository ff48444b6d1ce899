"""Adam on many seeds: the steps of the textbook, the same in every order, honest about where it ends."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from references_losses import PENALTIES

import knotwork as kw
from knotwork.train.initialisation import initial_parameters

WIDTH = 8


def problem_of(penalty=(False, "free"), loss="squared", lam=0.05, d=1, n=12, T=2):
    rng = np.random.default_rng(1)
    X = np.sort(rng.uniform(-1, 1, (n, d)), axis=0)
    Y = np.column_stack([np.abs(X[:, 0] - 0.2), np.sin(4 * X[:, 0])])[:, :T]
    if loss == "poisson":
        Y = np.round(np.exp(2 * Y))
    return kw.Problem(X, Y, lam, loss, kw.Penalty(*penalty))


def same_network(one, other, **tolerance):
    for name in ("W", "b", "V", "A", "c"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), **tolerance)


def textbook_adam(problem, seed, steps, rate):
    """Squared loss, sums, in NumPy; the parameters at the end."""
    p = {
        name: part[0] for name, part in initial_parameters(problem, WIDTH, [seed], "kaiming_uniform").items()
    }
    X, Y, lam, penalty = problem.X, problem.Y, problem.lam, problem.penalty
    m, v = ({name: np.zeros_like(part) for name, part in p.items()} for _ in range(2))
    for t in range(1, steps + 1):
        z = X @ p["W"].T + p["b"]
        h = np.maximum(z, 0)
        A = p["L"].T @ p["S"] if "L" in p else p.get("A", np.zeros((X.shape[1], Y.shape[1])))
        e = h @ p["V"] + X @ A + p["c"] - Y
        back = (e @ p["V"].T) * (z > 0)
        g = {"W": back.T @ X + lam * p["W"], "b": back.sum(0), "V": h.T @ e + lam * p["V"], "c": e.sum(0)}
        if penalty.biases:
            g["b"], g["c"] = g["b"] + lam * p["b"], g["c"] + lam * p["c"]
        if penalty.skip == "free":
            g["A"] = X.T @ e
        if penalty.skip == "frobenius":
            g["A"] = X.T @ e + lam * p["A"]
        if penalty.skip == "nuclear":
            g["L"] = (X.T @ e @ p["S"].T).T + lam * p["L"]
            g["S"] = p["L"] @ X.T @ e + lam * p["S"]
        for name in p:
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.999 * v[name] + 0.001 * g[name] ** 2
            step = m[name] / (1 - 0.9**t) / (np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8)
            p[name] = p[name] - rate * 0.5 * (1 + np.cos(np.pi * (t - 1) / steps)) * step
    return p


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_steps_are_the_textbooks(penalty):
    problem = problem_of(penalty)
    training = kw.train.adam(problem, WIDTH, seeds=[3], steps=40, check_every=40, certify=False)
    p = textbook_adam(problem, 3, 40, 1e-2)
    A = p["L"].T @ p["S"] if "L" in p else p.get("A")
    same_network(training[0].network, kw.ReLUNetwork(p["W"], p["b"], p["V"], A, p["c"]), rtol=0, atol=1e-12)
    assert training[0].certificate.primal == problem.objective(training[0].network)


def test_torch_takes_the_same_steps():
    torch = pytest.importorskip("torch")
    problem = problem_of((False, "free"))
    decay = kw.weight_decay_from_lam(problem.lam, problem)
    start = {k: part[0] for k, part in initial_parameters(problem, WIDTH, [0], "kaiming_uniform").items()}
    p = {name: torch.tensor(part, requires_grad=True) for name, part in start.items()}
    X, Y = torch.tensor(problem.X), torch.tensor(problem.Y)
    groups = [
        {"params": [p["W"], p["V"]], "weight_decay": decay},
        {"params": [p["b"], p["A"], p["c"]], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.Adam(groups, lr=1e-2, eps=1e-8)
    for _ in range(60):
        optimiser.zero_grad()
        f = torch.relu(X @ p["W"].T + p["b"]) @ p["V"] + X @ p["A"] + p["c"]
        torch.nn.MSELoss()(f, Y).backward()
        optimiser.step()
    theirs = kw.ReLUNetwork(*(p[name].detach().numpy() for name in ("W", "b", "V", "A", "c")))
    ours = kw.train.adam(
        problem, WIDTH, seeds=1, steps=60, schedule="constant", eps=1e-8 * Y.numel() / 2, check_every=60,
        certify=False,
    )  # fmt: skip
    same_network(ours[0].network, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_seeds_have_the_same_numbers_side_by_side_and_alone(batch_size):
    problem = problem_of()
    runs = {
        batching: kw.train.adam(
            problem, WIDTH, seeds=4, steps=200, batching=batching, batch_size=batch_size, check_every=200
        )
        for batching in (("serial", "map", "vmap") if batch_size is None else ("serial", "vmap"))
    }
    alone = kw.train.adam(problem, WIDTH, seeds=[2], steps=200, batch_size=batch_size, check_every=200)
    for k in range(4):
        for batching in runs:
            same_network(runs[batching][k].network, runs["serial"][k].network, rtol=0, atol=1e-10)
    same_network(alone[0].network, runs["serial"][2].network, rtol=0, atol=1e-10)
    assert len({float(objective) for objective in runs["vmap"].objectives}) == 4
    assert runs["vmap"].batching == "vmap"


@pytest.mark.slow
def test_final_objectives_agree_side_by_side_and_alone():
    problem = problem_of()
    runs = [kw.train.adam(problem, WIDTH, seeds=8, steps=20_000, batching=b) for b in ("serial", "vmap")]
    np.testing.assert_allclose(runs[0].objectives, runs[1].objectives, rtol=1e-6)


def test_a_seed_stops_at_the_certified_gap_and_others_go_on():
    problem = problem_of(lam=0.5)
    solved = kw.solve(problem)
    training = kw.train.adam(
        problem, WIDTH, seeds=4, steps=2000, check_every=100, tol=0.01, lower_bound=solved
    )
    stopped = np.array(training.steps) < 2000
    assert stopped.any()
    for steps, solution in zip(training.steps, training, strict=True):
        assert solution.certificate.primal == pytest.approx(problem.objective(solution.network), rel=1e-12)
        assert solution.certificate.dual == solved.certificate.dual
        gap = solution.certificate.primal - solved.certificate.dual
        assert solution.certificate.gap == pytest.approx(gap, rel=1e-9)
        assert solution.certificate.relative_gap == pytest.approx(gap / solution.certificate.primal, rel=1e-9)
        assert solution.trace[-1].round == steps
        if solution.certificate.relative_gap <= 0.01:
            assert solution.status is kw.Status.OPTIMAL
            # and not before it was there
            assert all(entry.gap > 0.01 * entry.objective for entry in solution.trace[:-1])
        else:
            assert solution.status is kw.Status.MAX_STEPS
            assert steps == 2000
    assert training.success_rate(0.01) == np.mean(training.relative_gaps <= 0.01) >= stopped.mean()
    assert training.best.certificate.primal == training.objectives.min()


def test_without_a_bound_the_networks_certify_each_other():
    problem = problem_of(lam=0.5)
    training = kw.train.adam(problem, WIDTH, seeds=4, steps=2000, check_every=100, tol=0.05)
    optimum = kw.solve(problem).certificate.primal
    assert training.lower_bound <= optimum * (1 + 1e-9)
    assert training.best.status is kw.Status.OPTIMAL
    assert min(training.steps) < 2000
    assert training.best.certificate.primal <= 1.06 * optimum
    assert all(solution.certificate.dual == training.lower_bound for solution in training)


def test_a_number_as_bound_only_stops():
    problem = problem_of(lam=0.5)
    high = 2.0 * kw.solve(problem).certificate.primal
    training = kw.train.adam(problem, WIDTH, seeds=4, steps=500, check_every=100, tol=0.01, lower_bound=high)
    assert all(steps < 500 for steps in training.steps)
    assert all(solution.status is kw.Status.STOPPED for solution in training)
    assert training.lower_bound < high


def test_a_trained_network_as_start_ends_certified():
    problem = problem_of()
    trained = kw.train.adam(problem, WIDTH, seeds=4, steps=500).best
    solved = kw.solve(problem, start=trained.network)
    assert trained.certificate.relative_gap > 1e-3
    assert solved.status is kw.Status.OPTIMAL
    assert solved.certificate.primal <= trained.certificate.primal
    assert solved.certificate.primal == pytest.approx(kw.solve(problem).certificate.primal, rel=1e-8)


def test_the_network_returned_is_the_best_of_the_start_and_the_checks():
    problem, options = problem_of(), {"seeds": 1, "steps": 200, "check_every": 10, "schedule": "constant"}
    wild = kw.train.adam(problem, WIDTH, learning_rate=0.5, **options)[0]
    objectives = [entry.objective for entry in wild.trace]
    assert wild.certificate.primal == pytest.approx(min(objectives), rel=1e-10)
    assert objectives[-1] > 1.001 * min(objectives)
    lost = kw.train.adam(problem, WIDTH, learning_rate=10.0, **options)[0]
    start = {k: part[0] for k, part in initial_parameters(problem, WIDTH, [0], "kaiming_uniform").items()}
    assert min(entry.objective for entry in lost.trace) > 10 * lost.certificate.primal
    np.testing.assert_array_equal(lost.network.W, start["W"])


@pytest.mark.parametrize("penalty", [(False, "free"), (True, "nuclear")])
def test_rebalancing_changes_the_course_and_not_the_function(penalty):
    problem = problem_of(penalty)
    start = kw.train.adam(problem, WIDTH, seeds=1, steps=200, check_every=200).best.network
    factor = np.geomspace(0.2, 5.0, WIDTH)
    skewed = kw.ReLUNetwork(
        start.W * factor[:, None], start.b * factor, start.V / factor[:, None], start.A, start.c
    )
    one, other = (
        kw.train.adam(
            problem, WIDTH, seeds=1, steps=1, learning_rate=1e-12, initialisation=network, check_every=1,
            rebalance_every=1,
        )[0].network
        for network in (start, skewed)
    )  # fmt: skip
    same_network(one, start.balance(problem.penalty), rtol=1e-6, atol=1e-6)
    same_network(one, other, rtol=1e-6, atol=1e-6)
    X = np.linspace(-2, 2, 30)
    np.testing.assert_allclose(one.predict(X), start.predict(X), rtol=1e-9, atol=1e-9)


def test_a_batch_of_equal_rows_is_the_whole():
    problem = kw.Problem(np.full(12, 0.7), np.full((12, 2), [1.0, -1.0]), 0.1)
    options = {"seeds": 1, "steps": 50, "check_every": 50, "certify": False}
    whole = kw.train.adam(problem, WIDTH, **options)
    batches = kw.train.adam(problem, WIDTH, batch_size=4, **options)
    for one, other in zip(whole, batches, strict=True):
        same_network(one.network, other.network, rtol=0, atol=1e-10)


def test_batches_lead_near_the_optimum():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 400)
    problem = kw.Problem(x, np.abs(x)[:, None] + 0.1 * rng.standard_normal((400, 1)), 1.0)
    training = kw.train.adam(
        problem, WIDTH, seeds=1, steps=2000, batch_size=40, lower_bound=kw.solve(problem), check_every=1000
    )
    assert training.success_rate(0.02) > 0


def test_polish_takes_the_last_digits():
    problem = problem_of((True, "frobenius"), lam=0.5)
    solved = kw.solve(problem)
    options = {"seeds": [3], "steps": 100, "lower_bound": solved, "tol": 1e-6}
    plain = kw.train.adam(problem, WIDTH, **options)
    fine = kw.train.adam(problem, WIDTH, polish=500, **options)
    assert fine.objectives[0] == pytest.approx(problem.objective(fine[0].network), rel=1e-12)
    assert fine.relative_gaps[0] < 0.1 * plain.relative_gaps[0]


def test_pruning_by_a_threshold_is_priced():
    problem = problem_of()
    plain = kw.train.adam(problem, WIDTH, seeds=1, steps=200)[0]
    costs = plain.network.neuron_costs(problem.penalty)
    threshold = float(np.median(costs))
    pruned = kw.train.adam(problem, WIDTH, seeds=1, steps=200, prune=threshold)[0]
    assert pruned.network.n_neurons == np.sum(costs > threshold) < plain.network.n_neurons
    assert pruned.certificate.primal == pytest.approx(problem.objective(pruned.network), rel=1e-12)


def test_a_run_that_leaves_float64_returns_the_best_before():
    problem = problem_of(loss="poisson")
    training = kw.train.adam(problem, WIDTH, seeds=1, steps=300, learning_rate=1e4, check_every=50)
    assert all(solution.status is kw.Status.DIVERGED for solution in training)
    assert all(np.isfinite(training.objectives))
    assert max(training.steps) < 300
    assert "learning rate" in kw.Status.DIVERGED.value


def test_single_precision_is_close_to_double():
    problem = problem_of()
    single, double = (
        kw.train.adam(problem, WIDTH, seeds=1, steps=200, dtype=dtype) for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(single.objectives, double.objectives, rtol=1e-3)
    assert not np.array_equal(single.objectives, double.objectives)
    assert single[0].network.W.dtype == np.float64


def test_jax_is_left_as_it_was_and_threads_may_train():
    import jax.numpy as jnp

    problem = problem_of()
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(kw.train.adam, problem, WIDTH, seeds=4, steps=200, check_every=200).result()
    here = kw.train.adam(problem, WIDTH, seeds=4, steps=200, check_every=200)
    np.testing.assert_array_equal(there.objectives, here.objectives)
    assert jnp.zeros(1).dtype == jnp.float32


def test_progress_sees_the_checks_and_can_stop(capsys):
    problem, seen = problem_of(), []
    training = kw.train.adam(
        problem,
        WIDTH,
        seeds=4,
        steps=200,
        check_every=50,
        progress=lambda e: seen.append(e) or len(seen) == 3,
    )
    assert [entry.round for entry in seen] == [50, 100, 150]
    assert training.steps == (150,) * 4
    assert training[0].status is kw.Status.STOPPED
    assert seen[-1].objective == pytest.approx(training.objectives.min(), rel=1e-12)
    kw.train.adam(problem, WIDTH, seeds=4, steps=200, check_every=50, progress=True)
    told = capsys.readouterr()
    assert "objective" in told.err
    assert told.out == ""


def test_importing_the_room_leaves_jax_alone_and_its_absence_names_the_remedy(monkeypatch):
    code = "import sys, knotwork as kw; kw.train.adam; print(sorted({'jax', 'optax'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'knotwork\[train\]'"):
        kw.train.adam(problem_of(), WIDTH)
