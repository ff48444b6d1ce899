"""Held-out predictions of every row, or every label, from one fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._validate import read_only
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution, Status
from ..solvers.blas import one_blas_thread
from ..solvers.solve import solve
from ._blocks import held_out_residuals
from ._removal import Left, Removals
from .features import has_features
from .influence import Influence, check_solution, influence

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Leave = Literal["row", "label"]
_ENDED = (Status.OPTIMAL, Status.SEARCHED)


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """What a fit predicts for labels that it has not seen, at the same lam.

    leave : "row", all labels of a row left out together, or "label", each on its own.
    predictions : (N, T) f_t(x_i) without the row i, or without the label (i, t); NaN where there is no
        label.
    first_order : (N, T) the same by the influence of the full fit alone, y - (I - H)^-1 (y - f) with H
        the block of d f / d y at what is left out; NaN too where I - H has an eigenvalue below 0.01: f
        follows such a label all but wholly, and nothing is to be learned from what is left.
    refitted : (N, T) whether other neurons came in, or some left, so that the fit was solved on from
        them; where only the first order was asked for, those that have none and were solved for.
    loss : the mean of (y - prediction)^2 / 2 per unit of label weight (per label, without weights).
    standard_error : of `loss`, from the spread over rows (labels).
    task_losses : (T,) the same mean for each task.
    status : OPTIMAL, or how the first refit ended that is not within tol; OPTIMAL for the first order.
    """

    leave: Leave
    predictions: Array
    first_order: Array
    refitted: Mask
    loss: float
    standard_error: float
    task_losses: Array
    status: Status


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions (N, T) at labels left out, which took other neurons, and how the refits ended."""

    predictions: Array
    refitted: Mask
    status: Status


def leave_one_out(
    solution: Solution, leave: Leave = "row", *, exact: bool = True, tol: float = 1e-9
) -> LeaveOneOut:
    """Leave every row (or label) out in turn, and predict it by the fit to the others.

    For a loss whose least value is at f = y, the fit without a label is the fit in which that label is
    what the fit without it predicts; to first order that is y - (I - H)^-1 (y - f), H of `influence`.
    From the neurons of the full fit every refit is then solved on: Newton's method on the masses, a check
    of the dual constraint over all neurons, and, where some are missing, with them, until its duality gap
    is at most `tol` of its objective. In one input with free biases and skip connection all refits run
    together; elsewhere one after another by `solve`, from the full fit's neurons. Where the optimum is not
    unique at an input that it has not seen (a smooth bend of one task; often in several inputs), the
    prediction is that of one of them.

    Parameters
    ----------
    solution : of squared loss at lam > 0; lam stays what it is with fewer labels.
    leave : "row" or "label".
    exact : False stops at the first order where there is one, which is the cost of one fit. It knows
        nothing of neurons that come and go: on a fine grid a knot sits at a data point, and moves to
        the next only when a label has moved far enough.
    tol : the relative gap of the refits.

    Raises
    ------
    TypeError, ValueError, NotImplementedError : as `influence`; for a task that has one label only.
    """
    check_solution(solution, "leave_one_out")
    if leave not in ("row", "label"):
        raise ValueError(f"leave: must be 'row' or 'label', got {leave!r}")
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 0 < tol < 1:
        raise ValueError(f"tol: must be a number between 0 and 1, got {tol!r}")
    check_labels(solution.problem)
    with one_blas_thread():
        first = first_order(influence(solution), leave)
        held = held_out(solution, leave, tol) if exact else completed(solution, first, leave, tol)
    weight = solution.problem.label_weight()
    loss = losses_of(solution.problem, held.predictions)
    mean = float(loss.sum() / weight.sum())
    parts, weights = (
        (loss.sum(axis=1), weight.sum(axis=1)) if leave == "row" else (loss.ravel(), weight.ravel())
    )
    parts, weights = parts[weights > 0], weights[weights > 0]
    spread = float(np.sum(weights * (parts / weights - mean) ** 2) / weights.sum())
    return LeaveOneOut(
        leave,
        read_only(held.predictions),
        read_only(first),
        held.refitted,
        mean,
        float(np.sqrt(spread / (len(parts) - 1))),
        read_only(loss.sum(axis=0) / weight.sum(axis=0)),
        held.status,
    )


def check_labels(problem: Problem) -> None:
    """Raise where leaving a label out leaves a task without any."""
    alone = np.flatnonzero(problem.n_labels == 1)
    if len(alone):
        raise ValueError(
            f"solution: task {int(alone[0])} has one label, and none to learn from without it; drop that task"
        )


def losses_of(problem: Problem, predictions: Array) -> Array:
    """(N, T) w (y - prediction)^2 / 2, 0 where there is no label."""
    weight = problem.label_weight()
    error = np.where(weight > 0, problem.Y - predictions, 0.0)
    return 0.5 * weight * error * error


def first_order(found: Influence, leave: Leave) -> Array:
    """(N, T) y - (I - H)^-1 (y - f) at every row or label left out; NaN where I - H is next to singular."""
    problem = found.problem
    weight = problem.label_weight()
    root = np.sqrt(weight)
    residual = np.where(weight > 0, root * (problem.Y - found.network.predict(problem.X)), 0.0)
    own = np.einsum("pnf,pnf->np", found.own, found.own)
    if leave == "label":
        H = weight * (own + np.einsum("ntm,ntm->nt", found.through, found.through))
        each = held_out_residuals(H.reshape(-1, 1, 1), residual.reshape(-1, 1))
        shrunk = each.reshape(residual.shape)
    else:
        through = found.through * root[..., None]
        H = through @ through.transpose(0, 2, 1)
        t = np.arange(problem.n_tasks)
        H[:, t, t] += weight * own
        shrunk = held_out_residuals(H, residual)
    safe = np.where(weight > 0, root, 1.0)
    return np.where(weight > 0, problem.Y - shrunk / safe, np.nan)


def completed(
    solution: Solution, first: Array, leave: Leave, tol: float, removals: Removals | None = None
) -> HeldOut:
    """The first order (N, T), and refits where there is none."""
    none = np.isnan(first) & (solution.problem.label_weight() > 0)
    if not none.any():
        return HeldOut(first, none, Status.OPTIMAL)
    held = held_out(solution, leave, tol, removals, none)
    return HeldOut(np.where(none, held.predictions, first), none, held.status)


def held_out(
    solution: Solution,
    leave: Leave,
    tol: float,
    removals: Removals | None = None,
    wanted: Mask | None = None,
) -> HeldOut:
    """The refits without each row or label, or those of them that are `wanted` (N, T); `removals` of the
    problem, where there are any."""
    problem = solution.problem
    seen = problem.label_weight() > 0
    predictions = np.full(seen.shape, np.nan)
    refitted, status = np.zeros(seen.shape, dtype=bool), Status.OPTIMAL
    wanted = seen if wanted is None else wanted
    left = [(int(i), seen[i]) for i in np.flatnonzero(wanted.any(axis=1))]
    if leave == "label":
        each = np.eye(problem.n_tasks, dtype=bool)
        left = [(i, each[t]) for i, t in np.argwhere(wanted).tolist()]
    done = np.zeros(len(left), dtype=bool)
    if removals is None:
        removals = removals_of(problem, leave)
    if removals is not None:
        location, jump = solution.network.knots
        place = np.empty(problem.n_rows, dtype=np.intp)
        place[removals.order] = np.arange(len(removals.order))
        rows = np.array([i for i, _ in left], dtype=np.intp)
        gone = np.array([mask for _, mask in left])
        masses = removals.masses(location, np.linalg.norm(jump, axis=1))
        found = removals.refitted(
            np.full(len(rows), problem.lam), np.tile(masses, (len(rows), 1)), Left(place[rows], gone), tol
        )
        at, t = np.nonzero(gone)
        predictions[rows[at], t] = found.fitted[at, t]
        refitted[rows[at], t] = found.changed[at]
        done = found.done
    neurons = _seen_by(solution.network, problem)
    for k in np.flatnonzero(~done).tolist():
        row, mask = left[k]
        again = refit_alone(problem, row, mask, tol, solution.network)
        predictions[row, mask] = again.network.predict(problem.X[row : row + 1])[0, mask]
        refitted[row, mask] = _seen_by(again.network, problem) != neurons
        if status is Status.OPTIMAL and again.status not in _ENDED:
            status = again.status
    return HeldOut(predictions, refitted, status)


def refit_alone(
    problem: Problem, row: int, gone: Mask, tol: float, start: ReLUNetwork | None = None
) -> Solution:
    """The solution without the labels `gone` (T,) of one row."""
    Y = problem.Y.copy()
    Y[row, gone] = np.nan
    reduced = Problem(
        problem.X,
        Y,
        problem.lam,
        penalty=problem.penalty,
        sample_weight=problem.sample_weight,
        copy=False,
    )
    return solve(reduced, tol=tol, start=start)


def removals_of(problem: Problem, leave: Leave) -> Removals | None:
    """What makes all refits of the problem at once; None where it is not one input with free biases and
    skip connection, or has too many data for its tables."""
    per_label = leave == "label" and problem.n_tasks > 1
    inside = len(np.unique(problem.X[(problem.label_weight() > 0).any(axis=1), 0])) > 2
    if not (has_features(problem) and inside and Removals.fits_in_memory(problem, per_label)):
        return None
    return Removals(problem, per_label)


def _seen_by(network: ReLUNetwork, problem: Problem) -> frozenset[bytes]:
    """What data every neuron is active on, and has its kink at."""
    canonical = network.canonicalise(problem.penalty)
    z = problem.X @ canonical.W.T + canonical.b
    scale = np.abs(problem.X) @ np.abs(canonical.W.T) + np.abs(canonical.b)
    sign = np.where(np.abs(z) <= 1e-9 * scale, 0, np.sign(z)).astype(np.int8)
    return frozenset(column.tobytes() for column in sign.T)
