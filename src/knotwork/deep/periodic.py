"""Paper B's Appendix B: tasks of one period, from which a stacked network may learn a periodic H.

    y_k(x) = sum_{h <= 3} a_kh cos(2 pi h (x - x0) / period),  scaled to unit variance, k = 1..7.

The paper gives no formula, no data and no numbers; these are the library's own choices. Held-out error is
measured against the truth inside the data hull only. Outside it nothing holds a network to the period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, as_generator, read_only
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..stacked import StackedNetwork
from ..theory.arc_cosine import arc_cosine_kernel
from ..theory.gaussian_process import gaussian_process
from .baselines import arc_cosine_baseline, rbf_baseline, require_sklearn
from .training import StackedTraining, train_stacked

Array = NDArray[np.float64]
NUCLEAR = Penalty(True, "nuclear")
_SHALLOW_LAMS = tuple(10.0 ** np.arange(-4.0, 1.01, 0.5))
_GRID = 2001
_PERIODIC = 0.15
_VARIANCES = tuple(10.0 ** np.arange(-1.0, 7.01, 0.5))
_DEPTHS = (1, 2, 3)


@dataclass(frozen=True, eq=False)
class PeriodicTasks:
    """Labels of tasks that have one period.

    X : (N, 1) sorted inputs.
    Y : (N, T) labels with noise, NaN where a task has none.
    amplitudes : (3, T) of the harmonics, scaled so that every task has unit variance over a period.
    period : common to all tasks.
    origins : (T,) x0 of each task.
    noise : standard deviation of the labels' noise.
    """

    X: Array
    Y: Array
    amplitudes: Array
    period: float
    origins: Array
    noise: float

    def truth(self, X: ArrayLike) -> Array:
        """(n, T) what the labels are without noise."""
        x = as_float_array(X, "X").reshape(-1, 1)
        turns = 2.0 * np.pi * (x - self.origins) / self.period
        harmonics = np.arange(1, len(self.amplitudes) + 1)[:, None, None]
        return np.sum(self.amplitudes[:, None, :] * np.cos(harmonics * turns), axis=0)

    @property
    def hull(self) -> tuple[float, float]:
        """The least and largest input."""
        return float(self.X.min()), float(self.X.max())

    def held_out_error(self, predict: Any) -> float:
        """mean (f - truth)^2 over 2001 equally spaced inputs of the hull and all tasks."""
        x = np.linspace(*self.hull, _GRID)
        return float(np.mean((predict(x[:, None]) - self.truth(x)) ** 2))


def periodic_tasks(
    random_state: int | np.random.Generator = 0,
    *,
    n_rows: int = 48,
    n_tasks: int = 7,
    period: float = 1.0,
    x0: float | None = 0.17,
    own_phases: bool = False,
    own_inputs: int | None = None,
    noise: float = 0.1,
) -> PeriodicTasks:
    """x ~ U[-3, 3]; amplitudes of the three harmonics standard normal, then scaled to unit variance.

    Parameters
    ----------
    x0 : the origin of all tasks; None draws it within the period.
    own_phases : every task draws its own origin instead.
    own_inputs : every task has labels at so many inputs of its own instead of at n_rows common ones.
    noise : standard deviation of the labels' noise.
    """
    rng = as_generator(random_state, "random_state")
    n = n_rows if own_inputs is None else own_inputs * n_tasks
    x = rng.uniform(-3.0, 3.0, n)
    amplitudes = rng.standard_normal((3, n_tasks))
    amplitudes /= np.sqrt(0.5 * np.sum(amplitudes**2, axis=0))
    origins = np.full(n_tasks, rng.uniform(0.0, period) if x0 is None else x0)
    if own_phases:
        origins = rng.uniform(0.0, period, n_tasks)
    data = PeriodicTasks(x[:, None], np.zeros((n, n_tasks)), amplitudes, period, origins, noise)
    Y = data.truth(x) + noise * rng.standard_normal((n, n_tasks))
    if own_inputs is not None:
        owner = np.repeat(np.arange(n_tasks), own_inputs)
        Y[owner[:, None] != np.arange(n_tasks)] = np.nan
    order = np.argsort(x)
    X, Y = read_only(x[order, None]), read_only(Y[order])
    return PeriodicTasks(X, Y, read_only(amplitudes), period, read_only(origins), noise)


def representation(network: StackedNetwork, X: ArrayLike) -> Array:
    """H(x) (n, d_{S-1}), what the last stack reads before act: h_{S-1} o ... o h_1."""
    outputs = network.outputs(X)
    if len(outputs) < 2:
        raise ValueError("network: has one stack, and so no representation; train at least two")
    return outputs[-2]


def shift_error(network: StackedNetwork, low: float, high: float, shift: float = 1.0) -> float:
    """rms(H(x + shift) - H(x)) / std(H), x and x + shift inside [low, high]; 0 for that period.

    Over all components of H; infinite where H is constant.
    """
    if not 0 < shift < high - low:
        raise ValueError(f"shift: must be between 0 and {high - low}, got {shift!r}")
    x = np.linspace(low, high - shift, _GRID)
    here, there = representation(network, x[:, None]), representation(network, x[:, None] + shift)
    spread = float(np.sum(np.var(here, axis=0)))
    moved = float(np.sum(np.mean((there - here) ** 2, axis=0)))
    return float(np.sqrt(moved / spread)) if spread > 0 else float("inf")


class Period(NamedTuple):
    """A shift of H, and how far H is from having it as its period (`shift_error`)."""

    length: float
    error: float


def measured_period(network: StackedNetwork, low: float, high: float) -> Period:
    """The shortest shift, up to half the range, whose error is near the least: its multiples do as well."""
    shifts = np.linspace(0.0, 0.5 * (high - low), 601)[12:]
    errors = np.array([shift_error(network, low, high, float(shift)) for shift in shifts])
    dips = np.flatnonzero((errors[1:-1] <= errors[:-2]) & (errors[1:-1] <= errors[2:])) + 1
    if not len(dips):
        dips = np.array([int(np.argmin(errors))])
    near = dips[errors[dips] <= errors[dips].min() + _PERIODIC]
    return Period(float(shifts[near[0]]), float(errors[near[0]]))


@dataclass(frozen=True, eq=False)
class PeriodicComparison:
    """Held-out mean squared error of what learns from the other tasks and what does not.

    data : the labels.
    joint : the stacked network of all tasks; `joint.best` is the one compared.
    errors : by name: "stacked joint", "stacked single" where asked for, "shallow joint", "shallow single",
        "GP", "RBF", "GP by likelihood". Shallow fits are global optima whose lam is the one of least
        held-out error among 10^-4, ..., 10 in half decades: chosen by the truth, in their favour. The GP has
        an arc-cosine kernel and knows the noise; depth 1, 2 or 3 and the variance of weights and biases,
        10^-1, ..., 10^7, are chosen likewise. The last two have a marginal likelihood to choose
        (`knotwork.deep.baselines`): scikit-learn's with an RBF kernel, and the arc-cosine kernel's.
    shift_errors : (S,) of every seed of `joint`, at the data's period.
    """

    data: PeriodicTasks
    joint: StackedTraining
    errors: dict[str, float]
    shift_errors: Array

    @property
    def ratio(self) -> float:
        """The error of the stacked network over the least of the shallow ones and the GP's.

        "RBF" and "GP by likelihood" are reported beside; `ratio_all` has them too.
        """
        return self._ratio("shallow joint", "shallow single", "GP")

    @property
    def ratio_all(self) -> float:
        """The same over the least of all five that are not stacked."""
        return self._ratio("shallow joint", "shallow single", "GP", "RBF", "GP by likelihood")

    def _ratio(self, *others: str) -> float:
        return self.errors["stacked joint"] / min(self.errors[name] for name in others)

    @property
    def share_periodic(self) -> float:
        """The share of seeds whose H has the data's period, to a shift error of .15."""
        return float(np.mean(self.shift_errors <= _PERIODIC))


def compare_on_periodic(
    data: PeriodicTasks,
    *,
    bottlenecks: Sequence[int] = (1, 1),
    lam: float = 0.02,
    seeds: int | Sequence[int] = 40,
    single_seeds: int | Sequence[int] | None = None,
    **options: Any,
) -> PeriodicComparison:
    """Train, fit and measure all of them; `options` go to `train_stacked`.

    Parameters
    ----------
    lam : of the stacked networks.
    single_seeds : those of a stacked network for each task alone; None leaves these out.

    Raises
    ------
    ImportError : without scikit-learn (pip install 'knotwork[sklearn]'), or JAX and Optax
        (pip install 'knotwork[train]').
    """
    require_sklearn()
    training = train_stacked(
        Problem(data.X, data.Y, lam, penalty=NUCLEAR), bottlenecks, seeds=seeds, **options
    )
    errors = {"stacked joint": data.held_out_error(training.best.predict)}
    columns = [[t] for t in range(data.Y.shape[1])]
    if single_seeds is not None:
        alone = []
        for column in columns:
            problem = Problem(*labels_of(data, column), lam, penalty=NUCLEAR)
            alone.append(train_stacked(problem, bottlenecks, seeds=single_seeds, **options).best)
        errors["stacked single"] = data.held_out_error(_side_by_side(alone))
    errors["shallow joint"] = shallow_error(data, [list(range(len(columns)))])
    errors["shallow single"] = shallow_error(data, columns)
    errors["GP"] = process_error(data)
    errors["RBF"] = data.held_out_error(rbf_baseline(data.X, data.Y))
    errors["GP by likelihood"] = data.held_out_error(arc_cosine_baseline(data.X, data.Y, data.noise**2))
    low, high = data.hull
    shifts = np.array([shift_error(network, low, high, data.period) for network in training])
    return PeriodicComparison(data, training, errors, read_only(shifts))


def shallow_error(
    data: PeriodicTasks, groups: Sequence[Sequence[int]], lams: Sequence[float] | None = None
) -> float:
    """The least held-out error of shallow networks over lam, one lam for all tasks.

    groups : tasks that are fitted together; all of them, in their order.
    lams : to choose from; those of `PeriodicComparison` when None.
    """
    errors = []
    for lam in _SHALLOW_LAMS if lams is None else lams:
        networks = [
            solve(Problem(*labels_of(data, group), lam, penalty=NUCLEAR), tol=1e-6).network
            for group in groups
        ]
        errors.append(data.held_out_error(_side_by_side(networks)))
    return min(errors)


def process_error(data: PeriodicTasks) -> float:
    """The least held-out error of Gaussian processes over the arc-cosine kernels of `PeriodicComparison`."""
    errors = []
    for depth in _DEPTHS:
        for variance in _VARIANCES:
            kernel = partial(arc_cosine_kernel, depth=depth, input_variance=variance, bias_variance=variance)
            process = gaussian_process(data.X, data.Y, kernel, data.noise**2)
            errors.append(data.held_out_error(process.predict))
    return min(errors)


def labels_of(data: PeriodicTasks, tasks: Sequence[int]) -> tuple[Array, Array]:
    """X and Y of these tasks, without the rows where all of them miss."""
    Y = data.Y[:, list(tasks)]
    seen = ~np.isnan(Y).all(axis=1)
    return data.X[seen], Y[seen]


def _side_by_side(networks: Sequence[Any]) -> Any:
    return lambda X: np.hstack([network.predict(X) for network in networks])
