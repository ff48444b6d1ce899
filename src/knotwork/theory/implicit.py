"""Gradient descent without weight decay, from small initial values: what of it is B (7) (B, Remark 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, as_float_array, read_only
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..train.descent import Descent, descend
from ._inputs import as_number
from .representational_cost import representational_cost

Array = NDArray[np.float64]
PENALISED, FREE = Penalty(True, "none"), Penalty(False, "none")
# labels this large make the cost of c, |c|^2 / 2, so steep beside that of neurons that c is 0
_NO_CONSTANT = 1e6
_GRID = 401
_REACHED = 1e-3


@dataclass(frozen=True, eq=False)
class SmallStartExperiment:
    """Networks trained without weight decay, beside the interpolants of least cost; one input, one task.

    Axes: S scales of the start, D data sets, n seeds. f_pen is the interpolant of least R_pen, the cost with
    biases penalised and without output bias, B (7); f_dots connects the dots, one interpolant of least
    R_free, the cost with free biases, B (9). R of a trained network is that of its parameters.

    scales : (S,) standard deviation of every parameter at the start.
    X, Y : (D, N) the data sets.
    label_error : (S, D, n) max |f(x_i) - y_i| at the end, in units of label.
    cost_ratio : (S, D, n) R_pen / R_pen(f_pen): >= 1 where the labels are met.
    free_cost_ratio : (S, D, n) R_free / R_free(f_dots): the same.
    dots_ratio : (D,) R_pen(f_dots) / R_pen(f_pen): what an interpolant of least R_free may have.
    to_penalised, to_dots : (S, D, n) max |f - f_pen| and max |f - f_dots| between the outermost inputs, over
        the range of the labels.
    imbalance : (S, D, n) sum_k ||v_k|^2 - |(w_k, b_k)|^2| over the sum of all squares. Gradient flow keeps
        every |v_k|^2 - |(w_k, b_k)|^2 as it is.
    weight_imbalance : (S, D, n) the same of |v_k|^2 - |w_k|^2: no such thing holds without the biases.
    offset : in units of input. Below, g is trained on X + offset from the same start as f on X; all are NaN
        where one of both misses labels.
    moved : (S, D, n) max over the hull of |g(x + offset) - f(x)|, over the range of the labels.
    penalised_moved : (D,) the same of f_pen. Where biases cost nothing it would be 0.
    moved_cost_ratio : (S, D, n) `cost_ratio` of g about its own data.
    brought_back : (S, D, n) `cost_ratio` of g(x + offset) about X, its biases changed to b + w offset.
    taken_there : (S, D, n) of f(x - offset) about X + offset. If descent did not see where the origin
        is, these two would be as small as the ratios of the networks trained there.
    """

    scales: Array
    X: Array
    Y: Array
    label_error: Array
    cost_ratio: Array
    free_cost_ratio: Array
    dots_ratio: Array
    to_penalised: Array
    to_dots: Array
    imbalance: Array
    weight_imbalance: Array
    offset: float
    moved: Array
    penalised_moved: Array
    moved_cost_ratio: Array
    brought_back: Array
    taken_there: Array

    @property
    def reached(self) -> NDArray[np.bool_]:
        """(S, D, n) whether all labels are met to a thousandth of their range."""
        return self.label_error <= _REACHED * np.ptp(self.Y, axis=1)[:, None]

    @property
    def share_reached(self) -> Array:
        """(S,) the share of runs that met their labels: descent from small values may get stuck."""
        return self.reached.mean(axis=(1, 2))

    @property
    def median_cost_ratio(self) -> Array:
        """(S,) median of `cost_ratio` over the runs that met their labels; NaN where none did."""
        return self.median(self.cost_ratio)

    @property
    def median_imbalance(self) -> Array:
        """(S,) median of `imbalance`."""
        return np.median(self.imbalance, axis=(1, 2))

    @property
    def median_weight_imbalance(self) -> Array:
        """(S,) median of `weight_imbalance`."""
        return np.median(self.weight_imbalance, axis=(1, 2))

    @property
    def move_followed(self) -> Array:
        """(S,) median of moved / penalised_moved over data whose f_pen moves by a twentieth of the labels'
        range or more: 1 if descent followed f_pen, 0 if it had free biases; NaN where none were met."""
        far = np.where(self.penalised_moved >= 0.05, self.penalised_moved, np.nan)
        return self.median(self.moved / far[:, None])

    @property
    def own_origin_cheaper(self) -> Array:
        """(S, 2) the share of runs whose network costs less about the origin it was trained about than the
        one trained about the other: f against g on X, and g against f on X + offset."""
        met = ~np.isnan(self.moved)
        pairs = ((self.cost_ratio, self.brought_back), (self.moved_cost_ratio, self.taken_there))
        wins = [
            [np.mean(a[m] < b[m]) if m.any() else np.nan for a, b, m in zip(*p, met, strict=True)]
            for p in pairs
        ]
        return np.array(wins).T

    def share_within(self, rel: float) -> Array:
        """(S,) the share, of the runs that met their labels, whose cost is within `rel` of the least."""
        near = self.reached & (self.cost_ratio <= 1.0 + as_number(rel, "rel"))
        return near.sum(axis=(1, 2)) / np.maximum(self.reached.sum(axis=(1, 2)), 1)

    def median(self, values: Array) -> Array:
        """(S,) the median of (S, D, n) values over the runs that met their labels, NaN left out."""
        use = self.reached & ~np.isnan(values)
        return np.array([np.median(v[u]) if u.any() else np.nan for v, u in zip(values, use, strict=True)])


def small_start_data(n_draws: int = 16, random_state: int = 0) -> list[tuple[Array, Array]]:
    """Data sets of four points: first `gap`, then draws.

    gap : x = (-2, -1, 3, 4), y = |x - 1|. Every convex interpolant has the least R_free = 2, from |x - 1|,
        which is f_pen, to the one that is 2 between -1 and 3, which connects the dots.
    draws : x evenly spaced on [-2, 2], moved by up to .3; y standard normal.
    """
    as_count(random_state, "random_state")
    gap = np.array([-2.0, -1.0, 3.0, 4.0])
    sets = [(gap, np.abs(gap - 1.0))]
    for draw in range(as_count(n_draws, "n_draws")):
        rng = np.random.default_rng([random_state, draw])
        sets.append((np.linspace(-2.0, 2.0, 4) + rng.uniform(-0.3, 0.3, 4), rng.standard_normal(4)))
    return sets


def small_start_experiment(
    data: Sequence[tuple[ArrayLike, ArrayLike]] | None = None,
    *,
    scales: Sequence[float] = (1.0, 0.3, 0.1, 0.03, 0.01),
    n_seeds: int = 2,
    width: int = 100,
    steps: int = 20_000,
    offset: float = 2.0,
) -> SmallStartExperiment:
    """Whether descent from small values "implicitly regularizes the bias too" (B, Remark 3.3), in numbers.

    relu(x w' + b) v of one input and task, weights and biases all drawn N(0, scale^2) and all trained, by
    `knotwork.train.descent.descend` without weight decay. B says that the functions "will in practice
    have some qualitative aspects of" (7), no more: the numbers are how near they come to f_pen, which is
    solved for to a proven gap. There is no output bias here (B, footnote 4 leaves it open): descent
    fits one before the neurons have grown, whatever the scale, so that nothing holds it back.

    From the smallest scales some runs get stuck before they meet their labels (`share_reached`); the medians
    and shares leave them out.

    Parameters
    ----------
    data : pairs of x (N,) and y (N,), N the same for all, not constant; `small_start_data()` when left out.
    scales : > 0.
    n_seeds : starts for each data set; seed s draws the same numbers at every scale.
    width : neurons.
    steps : of descent.
    offset : by which inputs are moved for `moved`.

    Raises
    ------
    ImportError : without JAX; pip install 'knotwork[train]'.
    TypeError, ValueError : naming the argument.
    """
    X, Y = _stacked(small_start_data() if data is None else data)
    sizes = [as_number(scale, "scales", positive=True) for scale in scales]
    if not sizes:
        raise ValueError("scales: must name at least one")
    for name, value in (("n_seeds", n_seeds), ("width", width)):
        if as_count(value, name) < 1:
            raise ValueError(f"{name}: must be an integer >= 1, got {value!r}")
    offset = float(as_float_array(offset, "offset"))
    here = [_Oracle.of(x, y) for x, y in zip(X, Y, strict=True)]
    there = [_Oracle.of(x + offset, y) for x, y in zip(X, Y, strict=True)]
    start = _starts(len(X), n_seeds, width)
    rows: dict[str, list[Array]] = {name: [] for name in _MEASURED}
    for size in sizes:
        at_rest, aside = (_train(start, size, X + by, Y, steps) for by in (0.0, offset))
        for name, value in _measure(at_rest, aside, offset, here, there).items():
            rows[name].append(value)
    return SmallStartExperiment(
        scales=read_only(np.array(sizes)),
        X=read_only(X),
        Y=read_only(Y),
        dots_ratio=read_only(np.array([one.dots_cost / one.cost for one in here])),
        offset=offset,
        penalised_moved=read_only(
            np.array([np.abs(a.f - b.f).max() / a.span for a, b in zip(here, there, strict=True)])
        ),
        **{name: read_only(np.array(values)) for name, values in rows.items()},
    )


_MEASURED = (
    "label_error", "cost_ratio", "free_cost_ratio", "to_penalised", "to_dots", "imbalance",
    "weight_imbalance", "moved", "moved_cost_ratio", "brought_back", "taken_there",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Oracle:
    """The interpolants of least cost of one data set, by certified solves.

    grid : (n, 1) inputs of the hull; f, dots : (n,) f_pen and f_dots there.
    """

    grid: Array
    f: Array
    dots: Array
    cost: float
    dots_cost: float
    free_cost: float
    span: float

    @classmethod
    def of(cls, x: Array, y: Array) -> _Oracle:
        grid = np.linspace(x.min(), x.max(), _GRID)
        penalised = solve(Problem(x, _NO_CONSTANT * y, 0.0, penalty=PENALISED))
        free = solve(Problem(x, _NO_CONSTANT * y, 0.0, penalty=FREE))
        return cls(
            grid[:, None],
            penalised.network.predict(grid)[:, 0] / _NO_CONSTANT,
            free.network.predict(grid)[:, 0] / _NO_CONSTANT,
            penalised.certificate.primal / _NO_CONSTANT,
            representational_cost(free.network, PENALISED).value / _NO_CONSTANT,
            free.certificate.primal / _NO_CONSTANT,
            float(np.ptp(y)),
        )


def _stacked(data: Sequence[tuple[ArrayLike, ArrayLike]]) -> tuple[Array, Array]:
    pairs = [(as_float_array(x, "data"), as_float_array(y, "data")) for x, y in data]
    shapes = {part.shape for pair in pairs for part in pair}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(f"data: must be pairs of x (N,) and y (N,), N the same for all, got {shapes}")
    X, Y = (np.array(part) for part in zip(*pairs, strict=True))
    if np.any(np.ptp(Y, axis=1) == 0.0):
        raise ValueError("data: constant labels have no range to measure distances by; leave them out")
    return X, Y


def _starts(n_sets: int, n_seeds: int, width: int) -> tuple[Array, Array, Array]:
    """W, b, V of unit scale for all runs, the seeds of one data set after another."""
    drawn = [np.random.default_rng(seed).standard_normal((3, width)) for seed in range(n_seeds)]
    W, b, V = np.tile(np.array(drawn), (n_sets, 1, 1)).transpose(1, 0, 2)
    return W[:, :, None], b, V[:, :, None]


def _train(start: tuple[Array, Array, Array], size: float, X: Array, Y: Array, steps: int) -> Descent:
    n_seeds = len(start[1]) // len(X)
    X, Y = (np.repeat(part, n_seeds, axis=0)[:, :, None] for part in (X, Y))
    W, b, V = start
    return descend(size * W, size * b, size * V, X, Y, steps=steps)


def _measure(
    at_rest: Descent, aside: Descent, offset: float, here: list[_Oracle], there: list[_Oracle]
) -> dict[str, Array]:
    """Every measured number as (D, n)."""
    values, n_seeds = [], len(at_rest.b) // len(here)
    for run in range(len(at_rest.b)):
        one, other = here[run // n_seeds], there[run // n_seeds]
        f, g = (ReLUNetwork(end.W[run], end.b[run], end.V[run]) for end in (at_rest, aside))
        value = f.predict(one.grid)[:, 0]
        w, b, v = (part.ravel() ** 2 for part in (f.W, f.b, f.V))
        moved = np.array(
            [
                np.abs(g.predict(other.grid)[:, 0] - value).max() / one.span,
                g.cost(PENALISED) / other.cost,
                _shifted(g, -offset).cost(PENALISED) / one.cost,
                _shifted(f, offset).cost(PENALISED) / other.cost,
            ]
        )
        met = max(at_rest.label_error[run], aside.label_error[run]) <= _REACHED * one.span
        values.append(
            [
                at_rest.label_error[run],
                f.cost(PENALISED) / one.cost,
                f.cost(FREE) / one.free_cost,
                np.abs(value - one.f).max() / one.span,
                np.abs(value - one.dots).max() / one.span,
                np.abs(v - w - b).sum() / (v + w + b).sum(),
                np.abs(v - w).sum() / (v + w + b).sum(),
                *np.where(met, moved, np.nan),
            ]
        )
    columns = np.array(values).T.reshape(len(_MEASURED), len(here), n_seeds)
    return dict(zip(_MEASURED, columns, strict=True))


def _shifted(network: ReLUNetwork, by: float) -> ReLUNetwork:
    """x -> f(x - by)."""
    return ReLUNetwork(network.W, network.b - by * network.W[:, 0], network.V)
