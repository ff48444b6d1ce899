"""Which label moved which fitted value, and which task taught which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..losses import Squared
from ..network import ReLUNetwork
from ..problem import Problem
from ..solution import Solution
from ._local import Local, Point, View, inverse_root

Array = NDArray[np.float64]
_MOST = 1 << 27
_NEAR, _LOOSE = 1e-5, 1e-6


@dataclass(frozen=True, eq=False)
class Influence:
    """d f_s(x_i) / d y_jt = [s = t] B_t(x_i) B_t(x_j)' w_jt + E_s(x_i) g_uu^-1 E_t(x_j)' w_jt.

    The first term is ridge regression with the kernel that the fit has learned (`learned_kernel` of no
    task), held fixed: it is exactly zero between tasks, as for every fixed kernel. The second is how the
    labels move the kernel itself, the masses and places u of the neurons, through which one task
    teaches another; g is the objective with the output weights eliminated and E = df / du. By the
    implicit function theorem this is the derivative where the optimum keeps its neurons for labels
    close by; neurons stay on their faces: a knot that the optimum has at a data point stays there.

    solution : whose fit it is.
    network : that fit, its neurons brought to the optimum by Newton's method.
    degrees_of_freedom : sum_it d f_t(x_i) / d y_it, as `Path.df` where that is defined.
    tasks : (T, T), entry (s, t) is the sum over rows i, j of (d f_s(x_i) / d y_jt)^2: what independent
        errors of unit variance in the labels of task t add to the variance of the fit of task s,
        summed over its N fitted values. Rows sum to the whole variance of a task.
    kernel_tasks : (T,) the part of `tasks[t, t]` that would be there with the kernel held fixed.
    """

    solution: Solution
    network: ReLUNetwork
    _local: Local
    _here: Point
    _root: Array

    @property
    def problem(self) -> Problem:
        return self.solution.problem

    @cached_property
    def _view(self) -> View:
        return self._local.view(self.problem.X, self._here.u)

    @cached_property
    def own(self) -> Array:
        """(P, N, f + K) B, the features in which ridge with the kernel held fixed is a projection."""
        return self._local.own(self._view, self._here)

    @cached_property
    def through(self) -> Array:
        """(N, T, m) E g_uu^(-1/2), how each fitted value takes part in moving the kernel."""
        return self._local.moves(self._view, self._here) @ self._root

    @cached_property
    def degrees_of_freedom(self) -> float:
        weight = self._local.weight
        own = np.einsum("pnf,pnf->np", self.own, self.own)
        through = np.einsum("ntm,ntm->nt", self.through, self.through)
        return float(np.sum(weight * (own + through)))

    @cached_property
    def tasks(self) -> Array:
        weight, n_tasks = self._local.weight, self.problem.n_tasks
        out = np.empty((n_tasks, n_tasks))
        by_task = self.through.transpose(1, 0, 2)
        fitted = by_task.transpose(0, 2, 1) @ by_task
        weighted = by_task * weight.T[:, :, None]
        taught = weighted.transpose(0, 2, 1) @ weighted
        out[:] = np.einsum("sab,tba->st", fitted, taught)
        for t in range(n_tasks):
            own = self._own_of(t)
            joint = np.concatenate([own, by_task[t]], axis=1)
            scaled = joint * weight[:, t, None]
            out[t, t] = float(np.sum((joint.T @ joint) * (scaled.T @ scaled)))
        return read_only(out)

    @cached_property
    def kernel_tasks(self) -> Array:
        out = np.empty(self.problem.n_tasks)
        for t in range(len(out)):
            own = self._own_of(t)
            scaled = own * self._local.weight[:, t, None]
            out[t] = float(np.sum((own.T @ own) * (scaled.T @ scaled)))
        return read_only(out)

    @property
    def shares(self) -> Array:
        """(T, T) `tasks` over its row sums: of the variance that errors of the labels, alike in all tasks,
        give to the fit of task s, the share that comes from the labels of task t."""
        return self.tasks / self.tasks.sum(axis=1, keepdims=True)

    def of(self, row: int, task: int) -> Array:
        """(N, T) d f_s(x_i) / d y_jt, what the label of row j = `row` and task t = `task` moves.

        0 where that label is missing.

        Raises
        ------
        TypeError, ValueError : for a row or task that is not there.
        """
        j, t = _index(row, "row", self.problem.n_rows), _index(task, "task", self.problem.n_tasks)
        out = self.through @ self.through[j, t]
        out[:, t] += self._own_of(t) @ self._own_of(t)[j]
        return out * self._local.weight[j, t]

    def on(self, row: int, task: int) -> Array:
        """(N, T) d f_s(x_i) / d y_jt over all labels, what moves the fitted value of row i = `row`
        and task s = `task`; 0 at missing labels.

        Raises
        ------
        TypeError, ValueError : for a row or task that is not there.
        """
        i, s = _index(row, "row", self.problem.n_rows), _index(task, "task", self.problem.n_tasks)
        out = self.through @ self.through[i, s]
        out[:, s] += self._own_of(s) @ self._own_of(s)[i]
        return out * self._local.weight

    def array(self) -> Array:
        """(N, T, N, T) d f_s(x_i) / d y_jt at [i, s, j, t].

        Raises
        ------
        ValueError : where it has more than 2^27 entries (1 GiB); ask for parts by `of` and `on`.
        """
        return self._at(self._view)

    def at(self, X: ArrayLike) -> Array:
        """(n, T, N, T) d f_s(x) / d y_jt at other inputs X (n, d), or (n,) when d = 1.

        Raises
        ------
        TypeError, ValueError : for inputs of another shape, or as in `array`.
        """
        inputs, d = as_float_array(X, "X"), self.problem.n_inputs
        inputs = inputs[:, None] if inputs.ndim == 1 and d == 1 else inputs
        if inputs.ndim != 2 or inputs.shape[1] != d:
            raise ValueError(f"X: must have shape (n, {d}), got {inputs.shape}")
        return self._at(self._local.view(inputs, self._here.u))

    def _at(self, view: View) -> Array:
        n, (N, n_tasks) = view.columns.shape[1], self.problem.Y.shape
        if n * N * n_tasks**2 > _MOST:
            raise ValueError(
                f"X: {n} x {n_tasks} x {N} x {n_tasks} numbers take more than 1 GiB; ask for fewer inputs, "
                "or for the part of one label or fitted value by `of` or `on`"
            )
        own = self._local.own(view, self._here)
        through = self._local.moves(view, self._here) @ self._root
        out = np.tensordot(through, self.through, axes=(2, 2))
        for t in range(n_tasks):
            out[:, t, :, t] += own[t if len(own) > 1 else 0] @ self._own_of(t).T
        return out * self._local.weight

    def _own_of(self, t: int) -> Array:
        return self.own[t if len(self.own) > 1 else 0]


def influence(solution: Solution) -> Influence:
    """What every label does to every fitted value: d f_s(x_i) / d y_jt by implicit differentiation.

    The neurons of the solution are moved to the optimum of their faces by Newton's method; the derivative
    is of that fit. Rows or columns of it cost O(N T Q), Q coordinates of neurons; the (N T, N T)
    matrix is formed only when asked for.

    Parameters
    ----------
    solution : of squared loss at lam > 0: any penalty, number of inputs, weights and gaps.

    Raises
    ------
    TypeError : when `solution` is none.
    NotImplementedError : for other losses, and at lam = 0 (labels are constraints there).
    ValueError : where the solution is not near an optimum, or where it can move without loss (its
        neurons are not determined by the labels, nor are fitted values).
    """
    check_solution(solution, "influence")
    local = Local.of(solution.problem, solution.network)
    here = local.settled()
    root, loose = inverse_root(here.hessian)
    if loose.size:
        E = local.moves(local.view(solution.problem.X, here.u), here)
        if float(np.abs(E @ loose).max()) > _LOOSE * float(np.abs(E @ root).max(initial=0.0)):
            raise ValueError(
                "solution: its neurons can move without loss and take fitted values with them, which have no "
                "derivative then; see knotwork.uniqueness"
            )
    return Influence(solution, local.network(here), local, here, root)


def check_solution(solution: object, what: str) -> None:
    """Raise where there is no derivative in the labels to be had."""
    if not isinstance(solution, Solution):
        raise TypeError(f"solution: must be a knotwork.Solution, got {type(solution).__name__}")
    problem = solution.problem
    if not isinstance(problem.loss, Squared):
        raise NotImplementedError(f"loss: {what} takes squared loss, got {problem.loss_function.name!r}")
    if problem.lam == 0:
        raise NotImplementedError(f"lam: {what} takes lam > 0; at 0 the labels are constraints")
    gap = solution.certificate.relative_gap
    if not gap <= _NEAR:
        raise ValueError(
            f"solution: has a relative gap of {gap:.1g}, and {what} is about optima; solve to a gap of at "
            f"most {_NEAR:g}"
        )


def _index(value: object, name: str, n: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: must be an integer, got {value!r}")
    if not 0 <= value < n:
        raise ValueError(f"{name}: must be from 0 to {n - 1}, got {value!r}")
    return int(value)
