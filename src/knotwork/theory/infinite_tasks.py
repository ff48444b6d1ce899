"""The network of infinitely many tasks: the limit that A's section 5 asks for, for squared loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..dual_norm.several import MAX_CELLS
from ..penalty import Penalty
from ..problem import Problem
from ..solution import Solution
from ..solvers.solve import solve
from .exchangeability import infinite_task_problem
from .learned_kernel import KernelRidge, LearnedKernel, kernel_ridge, learned_kernel

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InfiniteTasks:
    """What T tasks of independent, equally distributed labels share as T grows, lam = mu sqrt(T).

    X : (N, d).
    covariance : (N, N) C = E[y y'].
    mu : lam / sqrt(T).
    solution : of the pseudo-tasks S with S S' = C at lam = mu (`infinite_task_problem`): its
        certificate bounds how far its neurons are from the limit's, in units of the objective over T.
    kernel : sum_k m_k phi_k(x) phi_k(x') of the limit, where m_k = |v_k| / sqrt(T) is the mass of
        neuron k.
    """

    X: Array
    covariance: Array
    mu: float
    solution: Solution
    kernel: LearnedKernel

    @property
    def masses(self) -> Array:
        """(K,) m_k, the limits of |v_k| / sqrt(T), in the order of `kernel.network`."""
        return self.kernel.strength

    def fit(self, Y: ArrayLike) -> KernelRidge:
        """What a task among infinitely many becomes, given its labels: ridge with the kernel.

            min over v, a, c of  1/2 sum_i (y_i - f(x_i))^2 + (mu / 2) sum_k v_k^2 / m_k

        Parameters
        ----------
        Y : (N,) or (N, n), NaN where a label is missing. Any labels: one task changes nothing.

        Raises
        ------
        TypeError, ValueError : naming Y.
        """
        problem = Problem(
            self.X, as_float_array(Y, "Y", allow_nan=True), self.mu, penalty=self.kernel.penalty
        )
        return kernel_ridge(self.kernel, problem)


def infinite_tasks(
    X: ArrayLike,
    covariance: ArrayLike,
    mu: float,
    penalty: Penalty | None = None,
    *,
    tol: float = 1e-10,
    max_seconds: float | None = None,
    max_cells: int = MAX_CELLS,
    random_state: int | np.random.Generator | None = 0,
) -> InfiniteTasks:
    """The limit of networks trained on T independent tasks, as T grows and lam = mu sqrt(T).

    Squared loss without gaps sees the labels through Y Y' alone, and Y Y' / T tends to C = E[y y'].
    So with Y = sqrt(T) S, S S' = C, and V = sqrt(T) V', the objective over T is

        1/2 |S - F'|_F^2 + mu sum_k |v'_k| |w_k|,

    which N pseudo-tasks solve once (`infinite_task_problem`). Its neurons are those of the limit, and
    what is left of each task is ridge regression with their kernel (A (18) without the
    approximation). At another order of lam there is nothing to learn: below sqrt(T) the network tends
    to interpolation, above to its free parts.

    Parameters
    ----------
    X : (N, d) or (N,) inputs.
    covariance : (N, N) E[y y'] of a task's labels, about 0 (about the mean where that is an affine
        function of x and the free parts cost nothing: they take it up).
    mu : > 0, lam / sqrt(T).
    penalty : `Penalty()` by default; biases must be free. (Penalised ones come with |c|^2 / 2 and
        |A|^2 / 2, which cost sqrt(T) times as much as neurons do, and vanish in the limit.)
    tol, max_seconds, max_cells, random_state : as in `solve`.

    Raises
    ------
    TypeError, ValueError : naming the argument; for a covariance that is not symmetric or has a
        negative eigenvalue.

    Source: an answer, for squared loss, to the question that ends A, section 5.
    """
    if isinstance(mu, bool) or not isinstance(mu, int | float | np.number):
        raise TypeError(f"mu: must be a number > 0, got {mu!r}")
    if not 0 < mu < np.inf:
        raise ValueError(f"mu: must be finite and > 0, got {mu!r}")
    problem = infinite_task_problem(X, covariance, float(mu), penalty=penalty)
    found = solve(problem, tol=tol, max_seconds=max_seconds, max_cells=max_cells, random_state=random_state)
    C = np.array(covariance, dtype=np.float64)
    return InfiniteTasks(
        problem.X, read_only(C), problem.lam, found, learned_kernel(found.network, penalty=problem.penalty)
    )
