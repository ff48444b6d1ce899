"""How nearly quadratic the view of one of many exchangeable tasks is: A, Theorem 4.1 and Lemma 4.2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..losses import Loss
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from .learned_kernel import KernelRidge, kernel_ridge
from .task_objective import task_objective

Array = NDArray[np.float64]
Kind = Literal["coins", "uniform", "hinges", "waves"]
Growth = Literal["fixed", "sqrt", "linear"]
_KINDS = ("coins", "uniform", "hinges", "waves")
_GROWTH: dict[str, float] = {"fixed": 0.0, "sqrt": 0.5, "linear": 1.0}
_NEIGHBOURHOOD = 1.0 / 16.0


class Solved(Protocol):
    """Whatever a solver returns: it holds a network."""

    @property
    def network(self) -> ReLUNetwork: ...


Solver = Callable[[Problem], Solved]


@dataclass(frozen=True, eq=False)
class TaskShares:
    """share_kt = v_kt^2 / |v_k|^2 of every neuron: Lemma A.1, Lemma 4.2 of paper A.

    For a task s drawn uniformly E[share_ks] = 1/T, exactly and for every network, so that

        P(|v_{k without s}|^2 < (1 - T^(beta - 1)) |v_k|^2) <= T^(-beta)     (A (20))

    holds as a count: no more than T^(1 - beta) of the T tasks are exceptions.

    share : (K, T), rows sum to 1.
    """

    share: Array

    def exceptions(self, beta: float) -> Array:
        """(K,) the fraction of tasks for which the lower bound of (20) fails."""
        return np.mean(self.share > self.share.shape[1] ** (_check_beta(beta) - 1.0), axis=1)

    def bound(self, beta: float) -> float:
        """T^(-beta), the most that the lemma allows."""
        return float(self.share.shape[1] ** -_check_beta(beta))


@dataclass(frozen=True, eq=False)
class KernelApproximation:
    """One task's network beside its kernel fit; J and H are those of `TaskObjective`.

    task, n_tasks, n_neurons : s, T, and the neurons in use.
    well_defined : whether H is, that is whether other tasks use every neuron that s uses.
    left : sup |J - H| over |v_k| <= T^(1/16) |v_k*|, the left side of (16); reached at its corner.
    right : lam sum_k v_k^4 / (8 |v_{k without s}|^3) there, a bound with its constant; the
        proof of (16) has four times that (A (53), with the lam that (55) leaves out).
    difference : H(v*) - J(v*).
    excess : J(v') - J(v*), v' the minimiser of H: the left side of (17), at most `difference`.
    own_regulariser : (lam/2) sum_k gamma_k v_k*^2, what the relative figures are relative to.
    objective : J(v*).
    network : the network of all tasks.
    ridge : the minimiser of H.
    """

    task: int
    n_tasks: int
    n_neurons: int
    well_defined: bool
    left: float
    right: float
    difference: float
    excess: float
    own_regulariser: float
    objective: float
    network: ReLUNetwork
    ridge: KernelRidge

    @property
    def relative_left(self) -> float:
        return _relative(self.left, self.own_regulariser)

    @property
    def relative_right(self) -> float:
        return _relative(self.right, self.own_regulariser)

    @property
    def relative_excess(self) -> float:
        return _relative(self.excess, self.own_regulariser)

    def predict(self, X: ArrayLike) -> Array:
        """(n, 2) the task by the network of all tasks, and by its kernel."""
        return np.column_stack([self.network.predict(X)[:, self.task], self.ridge.predict(X)[:, 0]])


@dataclass(frozen=True, eq=False)
class TheoremRate:
    """Theorem 4.1 over T: each array has one row for each T and one column for each task measured.

    n_tasks : (m,) T.
    lam : (m,) the strength at each.
    left, right, difference, excess, own_regulariser : (m, n), see `KernelApproximation`. Infinite
        where H is not defined.
    """

    n_tasks: NDArray[np.intp]
    lam: Array
    left: Array
    right: Array
    difference: Array
    excess: Array
    own_regulariser: Array

    @property
    def well_defined(self) -> Array:
        """(m,) the share of tasks for which H is defined; the theorem promises 1 - O(T^(-1/3))."""
        return np.mean(np.isfinite(self.left), axis=1)

    def quantile(self, what: str = "left", level: float | None = None) -> Array:
        """(m,) `what` is "left", "right", "difference", "excess" or "own_regulariser", or one of
        the first four as "relative_left" and so on; at `level`, or at the theorem's 1 - T^(-1/3)."""
        levels = 1.0 - self.n_tasks ** (-1.0 / 3.0) if level is None else np.full(len(self.n_tasks), level)
        rows = zip(self._values(what), levels, strict=True)
        # an observed value, not one between a finite and an infinite one
        return np.array([np.quantile(row, q, method="higher") for row, q in rows])

    def exponent(self, what: str = "left", level: float | None = None) -> float:
        """The slope of log quantile over log T by least squares over the T where it is positive and
        finite; NaN where those are fewer than two."""
        values = self.quantile(what, level)
        good = np.isfinite(values) & (values > 0)
        if good.sum() < 2:
            return float("nan")
        return float(np.polyfit(np.log(self.n_tasks[good]), np.log(values[good]), 1)[0])

    def _values(self, what: str) -> Array:
        plain = what.removeprefix("relative_")
        known = ("left", "right", "difference", "excess", "own_regulariser")
        if plain not in known or (what != plain and plain == "own_regulariser"):
            raise ValueError(
                f"what: must be one of {', '.join(known)}, or relative_left and so on, got {what!r}"
            )
        values = getattr(self, plain)
        if what == plain:
            return values
        return np.vectorize(_relative, otypes=[float])(values, self.own_regulariser)


def task_shares(network: ReLUNetwork, *, penalty: Penalty | None = None) -> TaskShares:
    """Each task's share of every neuron in use (A, Lemma 4.2).

    Raises
    ------
    TypeError : for what is no network.
    """
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
    V = network.canonicalise(penalty).V
    return TaskShares(read_only((V / safe_row_norms(V)[:, None]) ** 2))


def kernel_approximation(problem: Problem, network: ReLUNetwork, task: int) -> KernelApproximation:
    """Both sides of Theorem 4.1 for one task of a solved network, and the kernel fit beside it.

    Any inputs, loss (but multinomial) and penalty. The theorem is about a task drawn at random from
    exchangeable ones; for a designated task the figures are still right, the rate is not promised.

    Raises
    ------
    TypeError, ValueError : for a network or task that does not fit the problem; at lam = 0 where
        the other tasks' neurons cannot meet the labels.
    """
    view = task_objective(problem, network, task)
    fit = kernel_ridge(view.kernel, view.problem)
    reach = float(problem.n_tasks**_NEIGHBOURHOOD)
    own = view.own_regulariser()
    at = fit.network.V[:, 0], fit.network.A[:, 0], float(fit.network.c[0])
    return KernelApproximation(
        task=int(task),
        n_tasks=problem.n_tasks,
        n_neurons=view.kernel.network.n_neurons,
        well_defined=bool(np.isfinite(own)),
        left=view.difference(reach * view.v, reach * view.a),
        right=view.bound(reach * view.v, reach * view.a),
        difference=view.difference(),
        excess=view.exact(*at) - view.exact(),
        own_regulariser=own,
        objective=view.exact(),
        network=network,
        ridge=fit,
    )


def theorem_rate(
    rng: np.random.Generator,
    X: ArrayLike,
    n_tasks: Sequence[int],
    *,
    lam: float,
    growth: Growth = "sqrt",
    kind: Kind = "coins",
    n_draws: int = 3,
    tasks_per_draw: int = 16,
    loss: str | Loss = "squared",
    penalty: Penalty | None = None,
    solver: Solver = solve,
) -> TheoremRate:
    """Theorem 4.1 measured: draw T exchangeable tasks, solve, look at random ones; for each T.

    Parameters
    ----------
    rng : tasks and the choice of those looked at.
    X : (N, d) or (N,) inputs, the same for every T.
    n_tasks : the T, each at least 2.
    lam, growth : the strength at T tasks is lam ("fixed": tends to interpolation), lam sqrt(T)
        ("sqrt": the networks converge) or lam T ("linear", a loss averaged over tasks: ends in a
        network without neurons, where all figures are 0).
    kind : see `exchangeable_tasks`.
    n_draws, tasks_per_draw : task sets for each T, and how many tasks of each are measured.
    loss, penalty : as in `Problem`.
    solver : a Problem to whatever holds its optimum as `.network`.

    Raises
    ------
    TypeError, ValueError : for arguments out of range.
    """
    if growth not in _GROWTH:
        raise ValueError(f"growth: must be one of {', '.join(_GROWTH)}, got {growth!r}")
    counts = [_check_count(T, "n_tasks", 2) for T in n_tasks]
    _check_count(n_draws, "n_draws", 1)
    _check_count(tasks_per_draw, "tasks_per_draw", 1)
    X = _as_inputs(X)
    strengths, rows = [], []
    for T in counts:
        strengths.append(lam * T ** _GROWTH[growth])
        found = []
        for _ in range(n_draws):
            Y = exchangeable_tasks(rng, X, T, kind)
            problem = Problem(X, Y, strengths[-1], loss, penalty or Penalty())
            network = solver(problem).network
            # each row of figures needs the same number of tasks
            chosen = rng.choice(T, tasks_per_draw, replace=tasks_per_draw > T)
            found += [kernel_approximation(problem, network, int(s)) for s in chosen]
        rows.append([(a.left, a.right, a.difference, a.excess, a.own_regulariser) for a in found])
    figures = [read_only(np.array(part)) for part in np.moveaxis(np.array(rows), 2, 0)]
    return TheoremRate(np.array(counts, dtype=np.intp), np.array(strengths), *figures)


def exchangeable_tasks(rng: np.random.Generator, X: ArrayLike, n_tasks: int, kind: Kind = "coins") -> Array:
    """(N, T) labels of T tasks drawn independently from one law, within [-1, 1] (A, section 4).

    X : (N, d) or (N,) inputs.
    kind : "coins" 0 or 1 with equal probability at each input (A, Figure 5); "uniform" labels
        in [-1, 1]; "hinges" one random ReLU neuron through the data (A, B.2), "waves" a cosine
        of random direction, frequency and phase, both of amplitude at most 1.

    Raises
    ------
    TypeError, ValueError : for arguments out of range.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: must be a numpy.random.Generator, got {type(rng).__name__}")
    if kind not in _KINDS:
        raise ValueError(f"kind: must be one of {', '.join(_KINDS)}, got {kind!r}")
    n_tasks = _check_count(n_tasks, "n_tasks", 1)
    X = _as_inputs(X)
    if kind == "coins":
        return rng.integers(0, 2, (len(X), n_tasks)).astype(np.float64)
    if kind == "uniform":
        return rng.uniform(-1.0, 1.0, (len(X), n_tasks))
    direction = rng.standard_normal((n_tasks, X.shape[1]))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    along = (X - X.mean(axis=0)) @ direction.T
    span = np.maximum(np.abs(along).max(axis=0), np.finfo(float).tiny)
    along /= span
    if kind == "waves":
        return np.cos(np.pi * rng.uniform(0.5, 3.0, n_tasks) * along + rng.uniform(0.0, 2.0 * np.pi, n_tasks))
    place = rng.uniform(-1.0, 1.0, n_tasks)
    return rng.choice([-1.0, 1.0], n_tasks) * np.maximum(along - place, 0.0) / (1.0 - place)


def infinite_task_problem(
    X: ArrayLike, covariance: ArrayLike, lam: float, *, penalty: Penalty | None = None
) -> Problem:
    """The limit T -> infinity of T i.i.d. tasks at strength lam sqrt(T), as a problem of N pseudo-tasks.

    Squared loss sees labels through Y Y' alone and Y Y' / T tends to the law's second moment
    C = E[y y'], so the pseudo-tasks C^(1/2) have the same neurons with masses over sqrt(T).
    `kernel_ridge(learned_kernel(network), Problem(X, y, lam))` with the network solved here is
    the limit's prediction for a task of labels y. Penalised constants grow faster than neurons'
    costs and have no such limit.

    Parameters
    ----------
    X : (N, d) or (N,) inputs.
    covariance : (N, N) C, symmetric and positive semidefinite (to rounding).
    lam : the strength at one task.

    Raises
    ------
    TypeError, ValueError : for a matrix that is no second moment of labels at X, and for
        penalised biases.
    """
    penalty = penalty or Penalty()
    if penalty.biases:
        raise ValueError("penalty: must have biases=False; |c|^2 has another limit than the neurons' cost")
    X = _as_inputs(X)
    C = as_float_array(covariance, "covariance")
    if C.shape != (len(X), len(X)):
        raise ValueError(f"covariance: must have shape ({len(X)}, {len(X)}), got {C.shape}")
    largest = float(np.abs(C).max())
    size, axes = np.linalg.eigh(0.5 * (C + C.T))
    if np.abs(C - C.T).max() > 1e-10 * largest or size.min() < -1e-10 * largest:
        raise ValueError("covariance: must be symmetric and positive semidefinite")
    root = axes * np.sqrt(np.maximum(size, 0.0)) @ axes.T
    return Problem(X, root, lam, penalty=penalty)


def _relative(value: float, scale: float) -> float:
    """value / scale, 0 where the value is, infinite where H is not defined."""
    if value == 0 or not np.isfinite(value):
        return float(value)
    return float("inf") if scale == 0 else float(value / scale)


def _as_inputs(X: ArrayLike) -> Array:
    X = as_float_array(X, "X")
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2 or X.size == 0:
        raise ValueError(f"X: must have shape (N, d) or (N,) with N >= 1, got {X.shape}")
    return X


def _check_beta(beta: float) -> float:
    if not 0.0 < beta < 1.0:
        raise ValueError(f"beta: must be above 0 and below 1, got {beta!r}")
    return float(beta)


def _check_count(value: object, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}: must be an integer >= {least}, got {value!r}")
    return int(value)
