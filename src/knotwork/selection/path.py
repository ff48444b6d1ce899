"""The fits at all lams, from none to many knots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..bins import Bins
from ..points import Points
from ..problem import Problem
from ..solution import Solution, Status
from ..solvers.blas import one_blas_thread
from ..solvers.path import solve_path
from ..solvers.solve import lam_max
from ..solvers.watch import Progress
from .features import has_features
from .freedom import degrees_of_freedom

Array = NDArray[np.float64]
Criterion = Literal["aic", "bic"]


@dataclass(frozen=True, eq=False)
class Path:
    """The optima of one problem at decreasing lams, each with its certificate.

    problem : the data, loss and penalty; its own lam is not used.
    lam_max : the least lam without a neuron; 0 for affine data.
    lams : (m,) decreasing; after a stop those that were finished.
    solutions : one for every lam.
    status : OPTIMAL when every gap is within tol; STOPPED or MAX_SECONDS when lams are missing;
        otherwise the status of the first solution that did not reach tol.
    """

    problem: Problem
    lam_max: float
    lams: Array
    solutions: tuple[Solution, ...]
    status: Status

    @property
    def n_knots(self) -> NDArray[np.intp]:
        """(m,) neurons of each solution."""
        return np.array([one.network.n_neurons for one in self.solutions], dtype=np.intp)

    @property
    def gaps(self) -> Array:
        """(m,) certified relative gaps."""
        return np.array([one.certificate.relative_gap for one in self.solutions])

    @cached_property
    def df(self) -> Array | None:
        """(m,) degrees of freedom, tr[(G'G + lam D)^-1 G'G] of each solution.

        G = I_T (x) [1, x, hinges at the knots], D = (I - v v'/|v|^2)/|v| at each knot and 0 at the
        free parts; missing labels and weights are in G'G. It is the divergence of the fitted
        values in the labels. None unless the loss is squared, biases and skip connection free.
        """
        if not has_features(self.problem):
            return None
        bins = Bins(Points.from_problem(self.problem))
        pairs = zip(self.solutions, self.lams.tolist(), strict=True)
        with one_blas_thread():
            return read_only(np.array([degrees_of_freedom(one.network, lam, bins) for one, lam in pairs]))

    @property
    def aic(self) -> Array | None:
        """(m,) n log(RSS / n) + 2 df, for labels with normal errors of one unknown variance.

        n counts the labels of positive weight and RSS = sum w (y - f)^2, both over all tasks: scale
        tasks of different noise first. -inf where the labels are interpolated. None where df is.
        """
        return self._criterion(2.0)

    @property
    def bic(self) -> Array | None:
        """(m,) n log(RSS / n) + log(n) df; n and RSS as in `aic`."""
        return self._criterion(math.log(int(self.problem.n_labels.sum())))

    def best(self, criterion: Criterion) -> Solution:
        """The solution of least `aic` or `bic`.

        Raises
        ------
        ValueError : for another criterion, or where the problem has none.
        """
        if criterion not in ("aic", "bic"):
            raise ValueError(f"criterion: must be 'aic' or 'bic', got {criterion!r}")
        values = self.aic if criterion == "aic" else self.bic
        if values is None:
            raise ValueError(
                f"criterion: {criterion!r} is for squared loss with free biases and skip connection; "
                "use knotwork.cross_validate"
            )
        return self.solutions[int(np.argmin(values))]

    @cached_property
    def _squares(self) -> Array:
        return np.array([2.0 * self.problem.loss_value(one.network) for one in self.solutions])

    def _criterion(self, price: float) -> Array | None:
        if self.df is None:
            return None
        n = int(self.problem.n_labels.sum())
        with np.errstate(divide="ignore"):
            return n * np.log(self._squares / n) + price * self.df


def path(
    problem: Problem,
    n_lams: int = 100,
    lam_ratio: float = 1e-4,
    *,
    lams: ArrayLike | None = None,
    tol: float = 1e-6,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> Path:
    """The optima of `problem` at `n_lams` lams from lam_max down to lam_ratio lam_max.

    Every solution starts from its neighbours and is certified on its own.

    Parameters
    ----------
    problem : see `Problem`; its lam is not used.
    n_lams, lam_ratio : how many lams, in geometric progression, and the last one over the first.
        For affine data, where lam_max is 0 and every lam > 0 gives the same line, the only lam is 1.
    lams : any lams > 0 instead; they are sorted.
    tol : the relative gap of every solution. Coarser than `solve`'s by default: 1e-6 of the
        objective moves no knot that an eye would see, and costs half.
    max_seconds, progress : for all lams together, as in `solve`; a stop keeps the finished lams.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    given = None if lams is None else _as_lams(lams)
    check_grid(n_lams, lam_ratio)
    largest = lam_max(problem)
    grid = lam_grid(largest, n_lams, lam_ratio) if given is None else given
    solutions, status = solve_path(problem, grid, tol, max_seconds, progress)
    done = np.array([one.problem.lam for one in solutions])
    return Path(problem, largest, read_only(done), tuple(solutions), status)


def check_grid(n_lams: int, lam_ratio: float) -> None:
    """Raise where the arguments describe no grid of lams."""
    if isinstance(n_lams, bool) or not isinstance(n_lams, int | np.integer) or n_lams < 1:
        raise ValueError(f"n_lams: must be an integer >= 1, got {n_lams!r}")
    if isinstance(lam_ratio, bool) or not isinstance(lam_ratio, int | float) or not 0 < lam_ratio < 1:
        raise ValueError(f"lam_ratio: must be a number between 0 and 1, got {lam_ratio!r}")


def lam_grid(largest: float, n_lams: int, lam_ratio: float) -> Array:
    """(n_lams,) lams in geometric progression from `largest`; 1 alone where that is 0."""
    if largest == 0:
        return np.ones(1)
    return largest * np.geomspace(1.0, lam_ratio, n_lams) if n_lams > 1 else np.array([largest])


def _as_lams(lams: ArrayLike | Sequence[float]) -> Array:
    grid = as_float_array(lams, "lams")
    if grid.ndim != 1 or len(grid) == 0:
        raise ValueError(f"lams: must be one row of numbers > 0, got shape {grid.shape}")
    if not grid.min() > 0:
        raise ValueError(f"lams: must be > 0, got {grid.min()!r}; at lam = 0 use knotwork.solve")
    return np.unique(grid)[::-1]
