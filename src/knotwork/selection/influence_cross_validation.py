"""lam by leave-one-out, at about the cost of one path."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ..losses import Squared
from ..problem import Problem
from ..solution import Solution
from ..solvers.blas import one_blas_thread
from ..solvers.path import solve_path
from ..solvers.solve import lam_max, solve
from ..solvers.watch import Progress, Watch
from .cross_validation import CrossValidation, Rule, chosen
from .influence import influence
from .leave_one_out import check_labels, completed, first_order, held_out, losses_of, removals_of
from .path import check_grid, lam_grid

Array = NDArray[np.float64]
_ROUGH_TOL, _REFIT_TOL = 1e-6, 1e-8
_NEAR = 4


def influence_cross_validate(
    problem: Problem,
    *,
    rule: Rule = "min",
    n_lams: int = 100,
    lam_ratio: float = 1e-4,
    exact: bool = True,
    tol: float = 1e-8,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> CrossValidation:
    """Choose lam by leave-one-out: one path, and what its fits say of their own held-out rows.

    Every row is a fold. At all lams its loss is that of the first order (`leave_one_out(exact=False)`);
    about the least of them it is that of the refits, solved on from the full fit, until the best lam is no
    worse than all within 4 steps of the grid, nor any first-order loss elsewhere lower. So `mean_loss` is
    exact at `lam_min` and about it, and of first order far away. A fold is solved at the same lam as
    the whole (`cross_validate` solves it at the share of the label weight that it has, 1 - 1/N here).
    In one input with free biases and skip connection all refits run together; elsewhere they are solved
    one by one, at 9 lams or so, and that is what takes the time.

    Parameters
    ----------
    problem : squared loss; its lam is not used.
    rule, n_lams, lam_ratio : as in `cross_validate`.
    exact : False takes the first order everywhere.
    tol : the relative gap of the last solution; the path is solved to 1e-6, refits to 1e-8.
    max_seconds, progress : as in `path`, for the path; what follows takes about as long again.

    Raises
    ------
    TypeError, ValueError, NotImplementedError : naming the argument; as `leave_one_out`.
    """
    began = time.monotonic()
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    if not isinstance(problem.loss, Squared):
        raise NotImplementedError(
            f"loss: influence_cross_validate takes squared loss, got {problem.loss_function.name!r}; use "
            "knotwork.cross_validate"
        )
    if rule not in ("min", "1se"):
        raise ValueError(f"rule: must be 'min' or '1se', got {rule!r}")
    check_grid(n_lams, lam_ratio)
    check_labels(problem)
    Watch(tol, None, max_seconds, progress)
    lams = lam_grid(lam_max(problem), n_lams, lam_ratio)
    solutions, status = solve_path(problem, lams, _ROUGH_TOL, max_seconds, progress)
    with one_blas_thread():
        losses = _held_out_losses(problem, solutions, exact)
    weight = problem.label_weight()
    rows = np.flatnonzero((weight > 0).any(axis=1))
    folds = [(rows[rows != row], np.array([row])) for row in rows.tolist()]

    def solve_at(lam: float) -> Solution:
        left = None if max_seconds is None else max(max_seconds - (time.monotonic() - began), 1e-3)
        return solve(problem.with_lam(lam), tol=tol, max_seconds=left, progress=progress)

    done = np.array([one.problem.lam for one in solutions])
    return chosen(done, losses[:, rows].transpose(1, 0, 2), weight[rows], folds, rule, status, solve_at)


def _held_out_losses(problem: Problem, solutions: list[Solution], exact: bool) -> Array:
    """(m, N, T) losses at the held-out labels of every row."""
    removals = removals_of(problem, "row")
    first = [
        completed(one, first_order(influence(one), "row"), "row", _ROUGH_TOL, removals) for one in solutions
    ]
    losses = np.stack([losses_of(problem, one.predictions) for one in first])
    known = np.zeros(len(losses), dtype=bool)

    def refit(which: set[int]) -> bool:
        """Whether any of them was not known."""
        new = [k for k in which if 0 <= k < len(losses) and not known[k]]
        for k in new:
            held = held_out(solutions[k], "row", _REFIT_TOL, removals)
            losses[k], known[k] = losses_of(problem, held.predictions), True
        return bool(new)

    while exact and refit({int(np.argmin(losses.sum(axis=(1, 2))))}):
        going = True
        while going:
            best = int(np.argmin(np.where(known, losses.sum(axis=(1, 2)), np.inf)))
            going = refit(set(range(best - _NEAR, best + _NEAR + 1)))
    return losses
