"""Several inputs: the data of `several_inputs.py`, and what others train on them, priced by our objective.

Adam       200 neurons, the objective |relu(X W' + b) V + c - Y|^2 / 2 + lam / 2 (|W|^2 + |V|^2) (with |b|^2
           and |c|^2 where biases are penalised), whose minimum over rescaling is ours: full batch, float32,
           the rate falling to 0 by a cosine. JAX where it can be imported, else NumPy.
MLPRegressor (scikit-learn) minimises |f - Y|^2 / (2 N T) + alpha / (2 N) (|W|^2 + |V|^2); its gradient is
           that of the same without 1 / T. So lam = alpha for the gradient's reading (Adam; any method at
           T = 1), and for T > 1 its L-BFGS searches along lines of another function than its gradient's.
pyscnn     |f - Y|^2 / (2 N T) + lam' sum of the norms of every neuron's part in every task, over hand-made
           gates: lam' = lam / (N T), and its penalty is at least ours, equal where no tasks share a neuron.
"""

from __future__ import annotations

import importlib
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import knotwork as kw

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
try:
    jax: Any = importlib.import_module("jax")
except ImportError:
    jax = None

Array = NDArray[np.float64]
WIDTH = 200
EVERY = 20
clock: Callable[[], float] = time.perf_counter


def two_squares(n_tasks: int, seed: int) -> tuple[Array, Array]:
    """A Fig. 5: corners of the squares of side 2 (label 0) and 1 (label 1); the labels of the other tasks
    are fair coins."""
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    X, first = np.concatenate([corners, 0.5 * corners]), np.repeat([0.0, 1.0], 4)
    coins = np.random.default_rng(seed).integers(0, 2, (8, n_tasks - 1)).astype(float)
    return X, np.column_stack([first, coins])


def bends(n: int, d: int, n_tasks: int, seed: int) -> tuple[Array, Array]:
    """20 bends shared by the tasks: X ~ N(0, I), directions uniform, biases N(0, 1/4), output weights
    N(0, 1/20), noise N(0, .1^2)."""
    rng = np.random.default_rng(seed)
    X, W = rng.standard_normal((n, d)), rng.standard_normal((d, 20))
    W /= np.linalg.norm(W, axis=0)
    hidden = np.maximum(X @ W + 0.5 * rng.standard_normal(20), 0.0)
    Y = hidden @ rng.standard_normal((20, n_tasks)) / np.sqrt(20.0)
    return X, Y + 0.1 * rng.standard_normal((n, n_tasks))


def teachers(seed: int, n: int = 20, d: int = 5, n_tasks: int = 25) -> tuple[Array, Array]:
    """A B.2: every task is one ReLU of unit weights, X ~ N(0, I), no noise."""
    rng = np.random.default_rng(seed)
    W, X = rng.standard_normal((n_tasks, d)), rng.standard_normal((n, d))
    return X, np.maximum(X @ (W / np.linalg.norm(W, axis=1)[:, None]).T, 0.0)


@dataclass(frozen=True, eq=False)
class Run:
    """The objective (m,) at every `EVERY` steps, the seconds (m,) until then, and the network at the end."""

    objective: Array
    seconds: Array
    network: kw.ReLUNetwork

    @property
    def best(self) -> float:
        return float(self.objective.min())

    def seconds_to(self, objective: float) -> float:
        """Infinite where it was not reached."""
        there = self.objective <= objective
        return float(self.seconds[np.argmax(there)]) if there.any() else np.inf


def adam(problem: kw.Problem, steps: int, rate: float, seed: int, limit: float = np.inf) -> Run:
    """Adam from balanced random neurons; the objective is measured outside the clock, in float64."""
    rng = np.random.default_rng(seed)
    d, n_tasks = problem.n_inputs, problem.n_tasks
    W, V = rng.standard_normal((WIDTH, d)), rng.standard_normal((WIDTH, n_tasks))
    W *= 1.0 / np.linalg.norm(W, axis=1)[:, None]
    V *= 0.1 / np.linalg.norm(V, axis=1)[:, None]
    b = -np.einsum("kd,kd->k", W, problem.X[rng.integers(problem.n_rows, size=WIDTH)])
    parameters = [W, b, V, problem.Y.mean(axis=0)]
    advance = (_adam_numpy if jax is None else _adam_jax)(problem, parameters, steps, rate)
    objective, seconds, spent = [], [], 0.0
    network = _network(parameters)
    for first in range(0, steps, EVERY):
        began = clock()
        parameters = advance(first)
        spent += clock() - began
        network = _network(parameters)
        objective.append(problem.objective(network))
        seconds.append(spent)
        if spent > limit:
            break
    return Run(np.array(objective), np.array(seconds), network)


def _network(parameters: list[Array]) -> kw.ReLUNetwork:
    W, b, V, c = (np.asarray(part, dtype=float) for part in parameters)
    return _without_skip(W, b, V, c)


def _without_skip(W: Array, b: Array, V: Array, c: Array) -> kw.ReLUNetwork:
    return kw.ReLUNetwork(W, b, V, np.zeros((W.shape[1], V.shape[1])), c)


def _decay(problem: kw.Problem) -> tuple[float, float, float, float]:
    """What weight decay charges for W, b, V and c."""
    own = problem.lam if problem.penalty.biases else 0.0
    return problem.lam, own, problem.lam, own


def _adam_jax(
    problem: kw.Problem, parameters: list[Array], steps: int, rate: float
) -> Callable[[int], list[Array]]:
    jnp = jax.numpy
    X, Y = jnp.asarray(problem.X, dtype=jnp.float32), jnp.asarray(problem.Y, dtype=jnp.float32)
    decay = _decay(problem)

    def value(theta):
        W, b, V, c = theta
        error = jnp.maximum(X @ W.T + b, 0.0) @ V + c - Y
        return 0.5 * jnp.sum(error**2) + sum(
            0.5 * much * jnp.sum(part**2) for much, part in zip(decay, theta, strict=True)
        )

    def step(i, state):
        theta, mean, square = state
        gradient = jax.grad(value)(theta)
        now = rate * 0.5 * (1.0 + jnp.cos(jnp.pi * i / steps))
        mean = [0.9 * m + 0.1 * g for m, g in zip(mean, gradient, strict=True)]
        square = [0.999 * s + 0.001 * g * g for s, g in zip(square, gradient, strict=True)]
        m_scale, s_scale = 1.0 - 0.9 ** (i + 1.0), 1.0 - 0.999 ** (i + 1.0)
        theta = [
            p - now * (m / m_scale) / (jnp.sqrt(s / s_scale) + 1e-8)
            for p, m, s in zip(theta, mean, square, strict=True)
        ]
        return theta, mean, square

    @jax.jit
    def block(first, state):
        return jax.lax.fori_loop(first, first + EVERY, step, state)

    theta = [jnp.asarray(part, dtype=jnp.float32) for part in parameters]
    nothing = [jnp.zeros_like(part) for part in theta]
    state = (theta, nothing, nothing)
    jax.block_until_ready(block(0, state))

    def advance(first: int) -> list[Array]:
        nonlocal state
        state = jax.block_until_ready(block(first, state))
        return state[0]

    return advance


def _adam_numpy(
    problem: kw.Problem, parameters: list[Array], steps: int, rate: float
) -> Callable[[int], list[Array]]:
    X, Y = problem.X.astype(np.float32), problem.Y.astype(np.float32)
    decay = [np.float32(much) for much in _decay(problem)]
    theta = [np.asarray(part, dtype=np.float32) for part in parameters]
    mean, square = [np.zeros_like(p) for p in theta], [np.zeros_like(p) for p in theta]

    def advance(first: int) -> list[Array]:
        for i in range(first, first + EVERY):
            W, b, V, c = theta
            hidden = np.maximum(X @ W.T + b, 0.0)
            error = hidden @ V + c - Y
            back = (error @ V.T) * (hidden > 0.0)
            gradient = [back.T @ X, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
            now = rate * 0.5 * (1.0 + np.cos(np.pi * i / steps))
            for p, g, much, m, s in zip(theta, gradient, decay, mean, square, strict=True):
                g += much * p
                m += np.float32(0.1) * (g - m)
                s += np.float32(0.001) * (g * g - s)
                size = np.sqrt(s / np.float32(1.0 - 0.999 ** (i + 1))) + np.float32(1e-8)
                p -= np.float32(now / (1.0 - 0.9 ** (i + 1))) * m / size
        return [np.asarray(part, dtype=float) for part in theta]

    return advance


def mlp_regressor(problem: kw.Problem, solver: str, seed: int) -> tuple[kw.ReLUNetwork, float, float]:
    """Its network, its seconds and its `loss_`; biases free, no skip connection, alpha = lam."""
    from sklearn.neural_network import MLPRegressor

    if problem.penalty != kw.Penalty(False, "none"):
        raise ValueError(f"problem: MLPRegressor decays weights only, got {problem.penalty}")
    options = {"max_iter": 2000, "max_fun": 4000, "tol": 1e-12, "n_iter_no_change": 2000}
    if solver == "adam":
        options |= {"batch_size": problem.n_rows, "learning_rate_init": 1e-2}
    peer = MLPRegressor(
        hidden_layer_sizes=(WIDTH,), solver=solver, alpha=problem.lam, random_state=seed, **options
    )
    labels = problem.Y if problem.n_tasks > 1 else problem.Y[:, 0]
    began = clock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(problem.X, labels)
    seconds = clock() - began
    W, V = peer.coefs_[0].T, peer.coefs_[1]
    network = _without_skip(W, peer.intercepts_[0], V, peer.intercepts_[1])
    return network, seconds, float(peer.loss_)


def conversion_error(problem: kw.Problem, seed: int) -> float:
    """How far N loss_ + |e|^2 (1 - 1/T) / 2 is from |e|^2 / 2 + lam / 2 (|W|^2 + |V|^2), relatively, at the
    network where MLPRegressor ended: what shows that alpha is lam."""
    network, _, loss = mlp_regressor(problem, "lbfgs", seed)
    misfit = problem.loss_value(network)
    ours = misfit + 0.5 * problem.lam * float(np.sum(network.W**2) + np.sum(network.V**2))
    theirs = problem.n_rows * loss + misfit * (1.0 - 1.0 / problem.n_tasks)
    return abs(ours - theirs) / ours


def scnn_network(problem: kw.Problem, gates: int, seed: int) -> tuple[kw.ReLUNetwork, float]:
    """pyscnn's ReLU network by its augmented Lagrangian, and its seconds. Its biases are one input more,
    so that they are penalised and its gates can be biased; it has no output bias."""
    from scnn.metrics import Metrics
    from scnn.models import ConvexReLU
    from scnn.optimize import optimize_model
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import AL

    rows = np.column_stack([problem.X, np.ones(problem.n_rows)])
    model = ConvexReLU(np.random.default_rng(seed).standard_normal((rows.shape[1], gates)), c=problem.n_tasks)
    lam = problem.lam / problem.Y.size
    began = clock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, _ = optimize_model(
            model, AL(model), Metrics(), rows, problem.Y,
            regularizer=NeuronGL1(lam), unitize_data=False, dtype="float64",
        )  # fmt: skip
    W, V = (np.asarray(part, dtype=float) for part in network.parameters)
    return kw.ReLUNetwork(W[:, :-1], W[:, -1], V.T), clock() - began
