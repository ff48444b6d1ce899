"""How many neurons does training need to reach the optimum over all widths? (B, Theorem 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._validate import as_count, read_only
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solution import Solution
from ..solvers.solve import solve
from ..train import adam
from .compression import most_neurons

Array = NDArray[np.float64]
_TOL = 1e-12


@dataclass(frozen=True, eq=False)
class WidthExperiment:
    """Objectives of networks trained at each width, beside the certified optimum over all widths.

    widths : (m,) numbers of neurons, decreasing.
    random : for each width, (seeds,) F of every random start after Adam.
    finished : for each width, F of the starts that were trained on to the end: the best random ones, then
        networks of the widths before whose closest neurons were made one.
    best : (m,) the least F seen at each width or at a narrower one, whose networks are of this width too.
    networks : (m,) the networks that have it.
    optimum : the solution over all widths; `optimum.certificate.dual` bounds every F from below.
    bound : so many neurons are always enough, see `compress`.
    """

    widths: tuple[int, ...]
    random: tuple[Array, ...]
    finished: tuple[Array, ...]
    best: Array
    networks: tuple[ReLUNetwork, ...]
    optimum: Solution
    bound: int

    @property
    def excess(self) -> Array:
        """(m,) (F - D) / D of the best network of each width, D the proven lower bound."""
        return self.best / self.optimum.certificate.dual - 1.0

    def reached(self, rel: float = 1e-6) -> tuple[int, ...]:
        """The widths whose best network is within `rel` of the bound, increasing."""
        return tuple(sorted(n for n, e in zip(self.widths, self.excess, strict=True) if e <= rel))


def width_experiment(
    problem: Problem,
    widths: Sequence[int],
    *,
    seeds: int = 128,
    steps: int = 4000,
    finalists: int = 8,
    finish: int = 20_000,
    learning_rate: float = 3e-2,
    random_state: int = 0,
) -> WidthExperiment:
    """min over networks of n neurons of sum w l + (lam/2) |theta|^2 by training, against min over all n.

    B's Theorem 3.1 says that with n > N neurons every minimiser of (4) is one of (5), the optimum over
    all widths; for vector outputs N + 1 neurons can be too few (docs/theorems.md), and `bound` are always
    enough. Training proves no lower bound at a width: a network that reaches the certified optimum shows
    that n neurons are enough; that none does says so of the starts tried only.

    From the widest to the narrowest: Adam from `seeds` random starts, at a cosine schedule. Of these the
    `finalists` best go on, at a tenth of the rate and then by L-BFGS, beside as many networks made of
    the best at wider widths: the two neurons that are closest, in the angle of their (w, b) (of w and the
    kink where biases are free) and by Ward's criterion, become one until n are left.

    Where optimal kinks sit at data, as most do for one task or free biases, F is not smooth there, and the
    last digits come slowly.

    Parameters
    ----------
    problem : lam > 0; any loss, penalty and number of inputs.
    widths : numbers of neurons.
    seeds, steps, learning_rate : of the random starts, see `kw.train.adam`.
    finalists, finish : how many of them go on, and for how many steps.
    random_state : the first seed.

    Raises
    ------
    ImportError : without JAX and Optax; pip install 'knotwork[train]'.
    TypeError, ValueError : as `kw.train.adam`; for no widths and no finalists.
    """
    widths = tuple(sorted({as_count(n, "widths") for n in widths}, reverse=True))
    if not widths:
        raise ValueError("widths: there are none; give at least one number of neurons")
    if as_count(finalists, "finalists") < 1:
        raise ValueError(f"finalists: must be >= 1, got {finalists!r}")
    first, seeds = as_count(random_state, "random_state"), as_count(seeds, "seeds")
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    optimum = solve(problem, tol=_TOL)
    wider: list[ReLUNetwork] = []
    random, finished, networks = [], [], []
    for n in widths:
        runs = adam(
            problem,
            n,
            seeds=range(first, first + seeds),
            steps=steps,
            learning_rate=learning_rate,
            check_every=max(1, steps // 2),
            lower_bound=optimum,
        )
        order = np.argsort(runs.objectives, kind="stable")
        starts = [runs[int(k)].network for k in order[:finalists]]
        starts += [merge_closest(one, n, problem.penalty) for one in wider[-finalists:]]
        ends = adam(
            problem,
            n,
            seeds=len(starts),
            steps=finish,
            learning_rate=0.1 * learning_rate,
            check_every=max(1, finish // 4),
            initialisation=starts,
            polish=finish,
            lower_bound=optimum,
        )
        order = np.argsort(ends.objectives, kind="stable")
        wider += [ends[int(k)].network for k in order[: max(1, finalists // 2)]]
        random.append(read_only(runs.objectives))
        finished.append(read_only(ends.objectives))
        networks.append(ends.best.network)
    best = np.array([one.min() for one in finished])
    # a network of fewer neurons is one of more
    for j in reversed(range(len(widths) - 1)):
        if best[j + 1] < best[j]:
            best[j], networks[j] = best[j + 1], networks[j + 1]
    return WidthExperiment(
        widths,
        tuple(random),
        tuple(finished),
        read_only(best),
        tuple(networks),
        optimum,
        _enough(problem),
    )


def merge_closest(network: ReLUNetwork, n_neurons: int, penalty: Penalty) -> ReLUNetwork:
    """At most `n_neurons` neurons: the pair of least m m' / (m + m') |u - u'|^2 becomes one, again and again.

    u = (w, b) at unit penalised norm, m = |v| there; the pair becomes v + v' at the mean of u weighted by m.
    """
    plain = network.canonicalise(penalty)
    u, V = np.column_stack([plain.W, plain.b]), plain.V.copy()
    while len(u) > n_neurons:
        m = np.linalg.norm(V, axis=1)
        pair = m[:, None] * m / np.maximum(m[:, None] + m, np.finfo(float).tiny)
        cost = pair * np.sum((u[:, None] - u) ** 2, axis=2)
        cost[np.tril_indices(len(u))] = np.inf
        i, j = np.unravel_index(int(np.argmin(cost)), cost.shape)
        u[i] = (m[i] * u[i] + m[j] * u[j]) / max(m[i] + m[j], np.finfo(float).tiny)
        V[i] += V[j]
        u, V = np.delete(u, j, axis=0), np.delete(V, j, axis=0)
    merged = ReLUNetwork(u[:, :-1], u[:, -1], V, plain.A, plain.c)
    return merged.balance(penalty)


def _enough(problem: Problem) -> int:
    """N r - r (r - 1) / 2 of `compress`, N less the rank of the free parts."""
    rows = np.unique(problem.X, axis=0)
    free = 0
    if not problem.penalty.biases:
        linear = rows if problem.penalty.skip == "free" else rows[:, :0]
        free = int(np.linalg.matrix_rank(np.column_stack([np.ones(len(rows)), linear - linear.mean(axis=0)])))
    return most_neurons(len(rows) - free, problem.n_tasks)
