"""lam by leave-one-out, at about the cost of one path."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from ..losses import Squared
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution, Status
from ..solvers.blas import one_blas_thread
from ..solvers.path import solve_path
from ..solvers.solve import lam_max, solve
from ..solvers.watch import Progress, Watch
from ._lams import FitsAtLams
from .cross_validation import CrossValidation, Rule, chosen
from .influence import influence
from .leave_one_out import check_labels, completed, first_order, held_out, losses_of, removals_of
from .path import check_grid, lam_grid

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ROUGH_TOL, _REFIT_TOL = 1e-6, 1e-8
_NEAR, _APART, _LOW = 3, 10, 1.1


@dataclass(frozen=True, eq=False)
class InfluenceCrossValidation(CrossValidation):
    """As `CrossValidation`, every row a fold.

    exact : (m,) whether the losses at a lam are those of refits; elsewhere they are of first order.
    """

    exact: Mask


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
) -> InfluenceCrossValidation:
    """Choose lam by leave-one-out: one path, and what its fits say of their own held-out rows.

    Every row is a fold. At all lams its loss is that of the first order (`leave_one_out(exact=False)`).
    Where that dips (least within 10 steps of the grid, and at most 10 % above the least of all) it is
    replaced by that of the refits, and on from the best of those until it is no worse than all within 3
    steps, nor any first-order loss elsewhere lower. `exact` of the result says which lams those are:
    `lam_min` and those about it. Far away the first order, which knows nothing of knots that come and go,
    may hide another minimum. A fold is solved at the same lam as the whole (`cross_validate` solves it at
    the share of the label weight that it has, 1 - 1/N here).
    In one input with free biases and skip connection all lams are solved together, and all refits of some
    lams; elsewhere refits are solved one by one, at 10 lams or so, and that is what takes the time.

    Parameters
    ----------
    problem : squared loss; its lam is not used.
    rule, n_lams, lam_ratio : as in `cross_validate`.
    exact : False takes the first order everywhere.
    tol : the relative gap of the last solution; the path is solved to 1e-6, refits to 1e-8.
    max_seconds, progress : as in `path`, for the path; what follows takes about as long again. Where lams
        are solved together it goes by halves of the grid, and a stop leaves the lams solved so far.

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
    with one_blas_thread():
        fits, status = _fits(problem, lams, max_seconds, progress)
        losses, mended = _mended(fits) if exact else (fits.first_order, np.zeros(len(fits.lams), dtype=bool))
    weight = problem.label_weight()
    rows = np.flatnonzero((weight > 0).any(axis=1))
    folds = [(rows[rows != row], np.array([row])) for row in rows.tolist()]

    def solve_at(lam: float) -> Solution:
        left = None if max_seconds is None else max(max_seconds - (time.monotonic() - began), 1e-3)
        start = fits.network(int(np.flatnonzero(fits.lams == lam)[0]))
        return solve(problem.with_lam(lam), tol=tol, start=start, max_seconds=left, progress=progress)

    by_fold = losses[:, rows].transpose(1, 0, 2)
    found = chosen(fits.lams, by_fold, weight[rows], folds, rule, status, solve_at)
    parts = {field.name: getattr(found, field.name) for field in fields(found)}
    return InfluenceCrossValidation(**parts, exact=mended)


class _Fits(Protocol):
    """Fits at lams (m,), and the losses (m, N, T) at the held-out labels of first order."""

    lams: Array
    first_order: Array

    def exact(self, which: list[int]) -> Array:
        """(len(which), N, T) the losses of refits at those lams."""
        ...

    def network(self, k: int) -> ReLUNetwork:
        """For a solver to start from at lam k."""
        ...


class _OneByOne:
    """Any penalty and number of inputs: from solutions at lams (m,)."""

    def __init__(self, problem: Problem, solutions: list[Solution]) -> None:
        self.problem, self.solutions = problem, solutions
        self.lams = np.array([one.problem.lam for one in solutions])
        first = (completed(one, first_order(influence(one), "row"), "row", _ROUGH_TOL) for one in solutions)
        self.first_order = np.stack([losses_of(problem, one.predictions) for one in first])

    def exact(self, which: list[int]) -> Array:
        refits = (held_out(self.solutions[k], "row", _REFIT_TOL).predictions for k in which)
        return np.stack([losses_of(self.problem, one) for one in refits])

    def network(self, k: int) -> ReLUNetwork:
        return self.solutions[k].network


def _fits(
    problem: Problem, lams: Array, max_seconds: float | None, progress: Progress | None
) -> tuple[_Fits, Status]:
    data = removals_of(problem, "row")
    if data is None:
        solutions, status = solve_path(problem, lams, _ROUGH_TOL, max_seconds, progress)
        return _OneByOne(problem, solutions), status
    fits = FitsAtLams(problem, data, lams, Watch(_ROUGH_TOL, None, max_seconds, progress))
    return fits, fits.status


def _mended(fits: _Fits) -> tuple[Array, Mask]:
    """Losses (m, N, T), and at which lams (m,) they are those of refits: about the least of them."""
    losses, m = fits.first_order.copy(), len(fits.lams)
    known = np.zeros(m, dtype=bool)

    def total() -> Array:
        return losses.sum(axis=(1, 2))

    def best() -> int:
        return int(np.argmin(np.where(known, total(), np.inf)))

    def refit(which: Iterable[int]) -> bool:
        """Whether any of them was not known."""
        new = [k for k in which if 0 <= k < m and not known[k]]
        if new:
            losses[new], known[new] = fits.exact(new), True
        return bool(new)

    rough = total()
    dips = (rough == minimum_filter1d(rough, 2 * _APART + 1, mode="nearest")) & (rough <= _LOW * rough.min())
    going = refit(np.flatnonzero(dips).tolist())
    while going:
        while refit([best() - _NEAR, best() + _NEAR]):
            pass
        while refit(range(best() - _NEAR, best() + _NEAR + 1)):
            pass
        going = refit([int(np.argmin(total()))])
    return losses, known
