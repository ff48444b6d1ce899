"""Labels drawn anew: the fit, and residuals of other rows in place of a row's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bins import Bins
from ..network import ReLUNetwork
from ..points import Points
from ..problem import Problem
from ..solution import Solution
from .features import features_of
from .freedom import degrees_of_freedom

Array = NDArray[np.float64]
_MOST_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Resampling:
    """y*_it = f_t(x_i) + e*_it / sqrt(w_it), e* drawn from the standardised residuals in blocks of rows.

    problem : the data.
    fitted : (N, T) f at the inputs.
    residuals : (N, T) s_t (sqrt(w_it) (y_it - f_t(x_i)) - their mean m_t), NaN where no label is.
    rows : the labelled rows by increasing input.
    block : how many consecutive rows are drawn together.
    """

    problem: Problem
    fitted: Array
    residuals: Array
    rows: NDArray[np.intp]
    block: int

    @classmethod
    def around(cls, network: ReLUNetwork, problem: Problem, inflation: Array, block: int) -> Resampling:
        weight = problem.label_weight()
        seen = weight > 0
        fitted = network.predict(problem.X)
        e = np.where(seen, np.sqrt(weight) * (problem.Y - fitted), np.nan)
        e = inflation * (e - np.nanmean(e, axis=0))
        order = np.argsort(problem.X[:, 0], kind="stable")
        return cls(problem, fitted, e, order[np.any(seen[order], axis=1)], block)

    def draw(self, rng: np.random.Generator) -> Problem:
        """The problem with labels drawn anew; missing labels stay missing.

        Blocks that start at random rows, the last row followed by the first, are laid one after another
        over the rows. All tasks of a row take the residuals of one other row. Where that has no label of
        a task, further blocks are laid over what is left; what no 50 of them reach is drawn by itself.
        """
        e = self.residuals[self.rows]
        drawn, wanted = np.full(e.shape, np.nan), ~np.isnan(e)
        for _ in range(_MOST_ROUNDS):
            found = e[self._donors(rng)]
            take = wanted & ~np.isnan(found)
            drawn[take] = found[take]
            wanted &= ~take
            if not wanted.any():
                break
        for t in np.flatnonzero(wanted.any(axis=0)):
            pool = e[~np.isnan(e[:, t]), t]
            drawn[wanted[:, t], t] = rng.choice(pool, size=int(wanted[:, t].sum()))
        problem, Y = self.problem, self.problem.Y.copy()
        weight = problem.label_weight()[self.rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            labels = self.fitted[self.rows] + drawn / np.sqrt(weight)
        Y[self.rows] = np.where(weight > 0, labels, Y[self.rows])
        return Problem(
            problem.X,
            Y,
            problem.lam,
            sample_weight=problem.sample_weight,
            penalty=problem.penalty,
            copy=False,
        )

    def _donors(self, rng: np.random.Generator) -> NDArray[np.intp]:
        n = len(self.rows)
        start = rng.integers(n, size=-(-n // self.block))
        return ((start[:, None] + np.arange(self.block)).ravel()[:n] % n).astype(np.intp)


def residual_inflation(solution: Solution, refitted: bool) -> Array:
    """(T,) s_t = sqrt(n_t / (n_t - df_t)): by how much residuals of n_t labels are smaller than errors.

    After a refit df_t is the number of parameters of task t that its labels determine; before it their
    share in the degrees of freedom of the whole fit.

    Raises
    ------
    ValueError : where a task has too few labels to tell errors from the fit.
    """
    problem = solution.problem
    bins = Bins(Points.from_problem(problem))
    features = features_of(solution.network, bins)
    rank = np.array([np.linalg.matrix_rank(R) if R.size else 0 for R in features.R])
    df = rank + features.free_rank.astype(np.float64)
    if not refitted:
        df *= degrees_of_freedom(solution.network, problem.lam, bins) / df.sum()
    left = problem.n_labels - df
    if left.min() < 1.0:
        t = int(np.argmin(left))
        raise ValueError(
            f"solution: task {t} has {problem.n_labels[t]} labels for {df[t]:.1f} degrees of freedom, and "
            "its residuals tell nothing of the errors; use a larger lam, or drop that task"
        )
    return np.sqrt(problem.n_labels / left)
