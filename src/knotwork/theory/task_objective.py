"""A task's view of the objective of all tasks: J and its quadratic approximation H (A (14), (15))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..losses import Multinomial
from ..network import ReLUNetwork
from ..problem import INTERPOLATION_TOLERANCE, Problem
from .learned_kernel import LearnedKernel, check_task, learned_kernel

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TaskObjective:
    """A task's view of the objective of all: J (A (14)), its quadratic approximation H (A (15)).

        J(v) = sum_i w l(y_i, f(x_i)) + lam sum_k sqrt(v_k^2 + |v_{k without s}|^2)
        H(v) = sum_i w l(y_i, f(x_i)) + lam sum_k (|v_{k without s}| + gamma_k v_k^2 / 2)
        0 <= H - J <= lam sum_k v_k^4 / (8 |v_{k without s}|^3)

    with f(x) = sum_k v_k phi_k(x) + x a + c. Free parts cost the same in both; under
    skip = "nuclear" |A|_* is expanded in a as the neurons are in v. At lam = 0 both are the
    regulariser alone, infinite where a label is missed. H is infinite where v_k is not 0 for a
    neuron that no other task uses.

    problem : of task s alone.
    kernel : gamma and the neurons of the other tasks' network.
    v, a, c : (K,), (d,) and the task's own weights in the network.
    """

    problem: Problem
    kernel: LearnedKernel
    v: Array
    a: Array
    c: float

    def exact(self, v: ArrayLike | None = None, a: ArrayLike | None = None, c: float | None = None) -> float:
        """J; what is left out is the network's own."""
        v, a, c = self._weights(v, a, c)
        price = float(np.hypot(v, self.kernel.strength).sum())
        if self.kernel.penalty.skip == "nuclear":
            beside = np.column_stack([self._axes() * self._spectrum(), a])
            price += float(np.linalg.svd(beside, compute_uv=False).sum())
        return self._total(price, v, a, c)

    def quadratic(
        self, v: ArrayLike | None = None, a: ArrayLike | None = None, c: float | None = None
    ) -> float:
        """H; what is left out is the network's own."""
        v, a, c = self._weights(v, a, c)
        price = float(self.kernel.strength.sum()) + self._squares(v, a)
        if self.kernel.penalty.skip == "nuclear":
            price += float(self._spectrum().sum())
        return self._total(price, v, a, c)

    def difference(self, v: ArrayLike | None = None, a: ArrayLike | None = None) -> float:
        """H - J >= 0, of the neurons without the cancellation of the two; infinite where H is."""
        v, a, _ = self._weights(v, a, None)
        s = self.kernel.strength
        used = v != 0
        if np.any(used & (s == 0)):
            return float("inf")
        ratio = v[used] / s[used]
        # s + v^2/2s - hypot = (v^4/4s^2) / (s + v^2/2s + hypot)
        share = ratio**2 / (4.0 * (1.0 + 0.5 * ratio**2 + np.hypot(ratio, 1.0)))
        apart = s[used] * ratio**2 * share
        total = float(apart.sum())
        if self.kernel.penalty.skip == "nuclear" and np.any(a != 0):
            beside = np.column_stack([self._axes() * self._spectrum(), a])
            whole = float(np.linalg.svd(beside, compute_uv=False).sum())
            total += max(float(self._spectrum().sum()) + self._skip_square(a) - whole, 0.0)
        return self._strength_of_decay() * total

    def bound(self, v: ArrayLike | None = None, a: ArrayLike | None = None) -> float:
        """lam sum_k v_k^4 / (8 |v_{k without s}|^3) >= H - J; infinite where H is.

        Under skip = "nuclear" the same second-order term of tr (B + a a')^(1/2) is added.
        """
        v, a, _ = self._weights(v, a, None)
        s = self.kernel.strength
        used = v != 0
        if np.any(used & (s == 0)):
            return float("inf")
        with np.errstate(over="ignore"):
            total = float(np.sum(0.125 * (v[used] / s[used]) ** 3 * v[used]))
        if self.kernel.penalty.skip == "nuclear" and np.any(a != 0):
            if not np.isfinite(self._skip_square(a)):
                return float("inf")
            sigma, square = self._spectrum(), (self._axes().T @ a) ** 2
            sums = np.outer(sigma, sigma) * (sigma[:, None] + sigma)
            total += 0.25 * float(square @ (1.0 / sums) @ square)
        return self._strength_of_decay() * total

    def own_regulariser(self, v: ArrayLike | None = None, a: ArrayLike | None = None) -> float:
        """(lam/2) sum_k gamma_k v_k^2, the part of H's regulariser that depends on the task."""
        v, a, _ = self._weights(v, a, None)
        return self._strength_of_decay() * self._squares(v, a)

    def _squares(self, v: Array, a: Array) -> float:
        s = self.kernel.strength
        used = v != 0
        if np.any(used & (s == 0)):
            return float("inf")
        total = 0.5 * float(np.sum(v[used] / s[used] * v[used]))
        return total + (self._skip_square(a) if self.kernel.penalty.skip == "nuclear" else 0.0)

    def _skip_square(self, a: Array) -> float:
        """|theta|^2 / 2 with a = S theta; infinite off the range of S."""
        along = self._axes().T @ a
        if np.linalg.norm(a - self._axes() @ along) > 1e-9 * np.linalg.norm(a):
            return float("inf")
        return 0.5 * float(np.sum(along**2 / self._spectrum()))

    def _spectrum(self) -> Array:
        return np.sum(self.kernel.skip**2, axis=0)

    def _axes(self) -> Array:
        return self.kernel.skip / np.sqrt(self._spectrum())

    def _strength_of_decay(self) -> float:
        return self.problem.lam if self.problem.lam > 0 else 1.0

    def _total(self, price: float, v: Array, a: Array, c: float) -> float:
        penalty = self.kernel.penalty
        if penalty.skip == "none" and np.any(a):
            raise ValueError("a: must be zero under skip='none'")
        price += 0.5 * c * c if penalty.biases else 0.0
        price += 0.5 * float(a @ a) if penalty.skip == "frobenius" else 0.0
        own = ReLUNetwork(self.kernel.network.W, self.kernel.network.b, v[:, None], a[:, None], np.array([c]))
        if self.problem.lam > 0:
            return self.problem.loss_value(own) + self.problem.lam * price
        met = self.problem.misfit(own) <= INTERPOLATION_TOLERANCE * self.problem.label_scale
        return price if met else float("inf")

    def _weights(
        self, v: ArrayLike | None, a: ArrayLike | None, c: float | None
    ) -> tuple[Array, Array, float]:
        v = self.v if v is None else as_float_array(v, "v")
        a = self.a if a is None else as_float_array(a, "a")
        for name, given, own in (("v", v, self.v), ("a", a, self.a)):
            if given.shape != own.shape:
                raise ValueError(f"{name}: must have shape {own.shape}, got {given.shape}")
        return v, a, self.c if c is None else float(as_float_array(c, "c"))


def task_objective(problem: Problem, network: ReLUNetwork, task: int) -> TaskObjective:
    """J and H of one task of `network` on `problem` (A (14), (15)).

    Raises
    ------
    TypeError, ValueError : for a network or task that does not fit; for multinomial loss, which
        is no sum over tasks (A (12) asks for one).
    """
    problem.check_network(network)
    kernel = learned_kernel(network, check_task(task, problem.n_tasks), penalty=problem.penalty)
    own = kernel.network
    return TaskObjective(
        single_task(problem, task), kernel, own.V[:, task], own.A[:, task], float(own.c[task])
    )


def single_task(problem: Problem, task: int) -> Problem:
    """Task `task` of `problem` alone: its labels, weights and loss.

    Raises
    ------
    TypeError, ValueError : for a task that is not there, and for multinomial loss.
    """
    task = check_task(task, problem.n_tasks)
    if isinstance(problem.loss_function, Multinomial):
        raise ValueError("loss: 'multinomial' joins all tasks; the view of one task needs a loss for each")
    chosen = np.arange(problem.n_tasks) == task
    weight = problem.sample_weight
    return Problem(
        problem.X,
        problem.Y[:, chosen],
        problem.lam,
        problem.loss_function.of_tasks(chosen),
        problem.penalty,
        weight if weight is None or weight.ndim == 1 else weight[:, chosen],
    )
