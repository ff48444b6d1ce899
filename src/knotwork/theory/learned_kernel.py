"""The kernel that a many-task network learns for each task, and ridge regression with it (A, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ..problem import Problem
from ._ridge import ridge_fit

Array = NDArray[np.float64]
Space = Literal["auto", "weights", "kernel"]
_SPACES = ("auto", "weights", "kernel")
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class LearnedKernel:
    """kappa(x, x') = sum_k phi_k(x) phi_k(x') / gamma_k,    gamma_k = 1 / |v_{k without s}|   (A (18)).

    phi_k(x) = relu(w_k . x + b_k) are the neurons at unit input norm, v_{k without s} the output
    weights of neuron k without those of task s. The norm of its Hilbert space is

        |f|^2 = min { sum_k gamma_k v_k^2 : f = sum_k v_k phi_k },

    so that (lam/2) |f|^2 is the regulariser of (18). A's (24) is twice this kernel and its norm
    (23), with Q = diag(gamma_k / 2), half of |f|^2: (27) is the same problem. The minimum is
    needed where neurons are linearly dependent functions (A (23) leaves it out).

    network : the network with neurons of unit input norm, merged where equal, and sorted; every
        array over neurons is in its order.
    task : s; None for a task that the network has not seen (every task counts, A (21)).
        At an optimum of all tasks `kernel_ridge` with this one returns the network itself, for
        every T, loss and penalty, since |v| = min over eta of (|v|^2 / eta + eta) / 2; what many
        tasks bring is that leaving one out changes nothing.
    penalty : says what "input norm" and the free parts are.
    strength : (K,) |v_{k without s}| = 1 / gamma_k. A neuron that task s has for itself (to
        1e-12 of |v_k|) has strength 0 and adds nothing to the kernel.
    skip : (d, r) S such that a linear part a = S theta costs |theta|^2 / 2, as the skip
        connection is penalised: the identity under "frobenius"; under "nuclear"
        S S' = (A A')^(1/2) over the other tasks, by the same expansion of |A|_*; else r = 0.
    """

    network: ReLUNetwork
    task: int | None
    penalty: Penalty
    strength: Array
    skip: Array

    @property
    def gamma(self) -> Array:
        """(K,) 1 / |v_{k without s}|, infinite where only task s uses the neuron."""
        with np.errstate(divide="ignore"):
            return 1.0 / self.strength

    def features(self, X: ArrayLike) -> Array:
        """phi_k(x), (n, K); X is (n, d), or (n,) when d = 1."""
        X = self._as_inputs(X, "X")
        return np.maximum(X @ self.network.W.T + self.network.b, 0.0)

    def __call__(self, X: ArrayLike, X_other: ArrayLike | None = None) -> Array:
        """kappa of all pairs, (n, m); X_other = X when left out."""
        left = self.features(X) * self.strength
        return left @ (self.features(X) if X_other is None else self.features(X_other)).T

    def penalised_features(self, X: Array) -> Array:
        """(n, K + ...) features in which (18) is plain ridge: sqrt(strength) phi, and what of the
        constant and the linear part costs."""
        parts = [self.features(X) * np.sqrt(self.strength)]
        if self.penalty.biases:
            parts.append(np.ones((len(X), 1)))
        return np.hstack([*parts, X @ self.skip])

    def free_features(self, X: Array) -> Array:
        """(n, 0 to 1 + d) the constant and the inputs, where they cost nothing."""
        parts = [] if self.penalty.biases else [np.ones((len(X), 1))]
        if self.penalty.skip == "free":
            parts.append(X)
        return np.hstack([np.zeros((len(X), 0)), *parts])

    def _as_inputs(self, X: ArrayLike, name: str) -> Array:
        X = as_float_array(X, name)
        d = self.network.n_inputs
        if X.ndim == 1 and d == 1:
            X = X[:, None]
        if X.ndim != 2 or X.shape[1] != d:
            raise ValueError(f"{name}: must have shape (n, {d}), got {X.shape}")
        return X


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """The solution of A (27) = (18): f(x) = sum_i alpha_i kappa(x, x_i) + x A + c.

    network : the same function as a network on the kernel's neurons, with its A and c.
    coefficients : (N, T) alpha, in units of label per squared unit of f, 0 at missing labels.
    objective : sum w l + (lam/2) (|f|^2 + what the constant and the linear part cost); at
        lam = 0 half that norm.
    space : "weights" or "kernel", where it was solved.
    """

    kernel: LearnedKernel
    network: ReLUNetwork
    coefficients: Array
    objective: float
    space: str

    def predict(self, X: ArrayLike) -> Array:
        """f(X), (n, T)."""
        return self.network.predict(X)


def learned_kernel(
    network: ReLUNetwork, task: int | None = None, *, penalty: Penalty | None = None
) -> LearnedKernel:
    """The kernel that the other tasks of `network` make for task `task` (A (18)-(24)).

    Parameters
    ----------
    network : any number of inputs and tasks; the theory is about optima (`solve`), the kernel is
        defined for any network.
    task : s, counted from 0; None for a task that the network has not seen.
    penalty : under which it was trained, `Penalty()` by default.

    Raises
    ------
    TypeError, ValueError : for what is no network, and for a task that it does not have.
    """
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
    penalty = penalty or Penalty()
    if penalty.skip == "none" and np.any(network.A):
        raise ValueError("network: A must be zero under skip='none'; give the penalty it was trained with")
    network = network.canonicalise(penalty)
    others = np.ones(network.n_tasks, dtype=bool)
    if task is not None:
        task = check_task(task, network.n_tasks)
        others[task] = False
    strength = safe_row_norms(network.V[:, others])
    strength[strength <= _ROUNDING * safe_row_norms(network.V)] = 0.0
    skip = np.zeros((network.n_inputs, 0))
    if penalty.skip == "frobenius":
        skip = np.eye(network.n_inputs)
    elif penalty.skip == "nuclear":
        axes, sigma, _ = np.linalg.svd(network.A[:, others], full_matrices=False)
        kept = sigma > _ROUNDING * np.linalg.norm(network.A)
        skip = axes[:, kept] * np.sqrt(sigma[kept])
    return LearnedKernel(network, task, penalty, read_only(strength), read_only(skip))


def kernel_ridge(kernel: LearnedKernel, problem: Problem, *, space: Space = "auto") -> KernelRidge:
    """Minimise sum w l(y, f) + (lam/2) |f|^2 over the kernel's space and the free parts (A (18), (27)).

    Every loss; tasks decouple (but under multinomial loss). At lam = 0 the interpolant of least
    norm. The constant and the linear part cost what `problem.penalty` says.

    Parameters
    ----------
    kernel : see `learned_kernel`.
    problem : any number of tasks, each fitted with this kernel; for task s of a network
        `single_task(problem, s)`.
    space : "weights" solves for v, "kernel" for alpha (from kernel values alone), "auto" in the
        smaller of the two.

    Raises
    ------
    TypeError, ValueError : for arguments that do not fit each other; at lam = 0 for labels that
        the neurons cannot meet.
    """
    if not isinstance(kernel, LearnedKernel):
        raise TypeError(f"kernel: must come from learned_kernel, got {type(kernel).__name__}")
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    if problem.n_inputs != kernel.network.n_inputs:
        raise ValueError(
            f"problem: has {problem.n_inputs} inputs, but the kernel has {kernel.network.n_inputs}"
        )
    if problem.penalty != kernel.penalty:
        raise ValueError(
            f"problem: has {problem.penalty}, but the kernel was learned under {kernel.penalty}; "
            "give learned_kernel the same penalty"
        )
    if space not in _SPACES:
        raise ValueError(f"space: must be one of {', '.join(_SPACES)}, got {space!r}")
    B, U = kernel.penalised_features(problem.X), kernel.free_features(problem.X)
    weight, loss = problem.label_weight(), problem.loss_function
    if space == "auto":
        space = "weights" if B.shape[1] <= len(B) else "kernel"
    if space == "weights":
        Z, Theta, alpha = ridge_fit(B, U, problem.Y, weight, loss, problem.lam)
    else:
        gram = kernel(problem.X) + problem.X @ kernel.skip @ kernel.skip.T @ problem.X.T
        gram += 1.0 if kernel.penalty.biases else 0.0
        size, axes = np.linalg.eigh(gram)
        kept = size > len(size) * np.finfo(float).eps * size.max(initial=0.0)
        root = np.sqrt(size[kept])
        z, Theta, alpha = ridge_fit(axes[:, kept] * root, U, problem.Y, weight, loss, problem.lam)
        Z = B.T @ (axes[:, kept] @ (z / root[:, None]))
    network = _as_network(kernel, Z, Theta)
    objective = 0.5 * float(np.sum(Z * Z)) * (problem.lam if problem.lam > 0 else 1.0)
    if problem.lam > 0:
        objective += problem.loss_value(network)
    return KernelRidge(kernel, network, read_only(alpha), objective, space)


def check_task(task: object, n_tasks: int) -> int:
    """`task` as an index, or an error that names it."""
    if isinstance(task, bool) or not isinstance(task, int | np.integer):
        raise TypeError(f"task: must be an integer, got {task!r}")
    if not 0 <= task < n_tasks:
        raise ValueError(f"task: must be one of 0 to {n_tasks - 1}, got {task!r}")
    return int(task)


def _as_network(kernel: LearnedKernel, Z: Array, Theta: Array) -> ReLUNetwork:
    """The network whose weights in the penalised and free features are Z and Theta."""
    own = kernel.network
    V = np.sqrt(kernel.strength)[:, None] * Z[: own.n_neurons]
    rest = Z[own.n_neurons :]
    if kernel.penalty.biases:
        c, rest = rest[0], rest[1:]
    else:
        c = Theta[0]
    A = Theta[1:] if kernel.penalty.skip == "free" else kernel.skip @ rest
    return ReLUNetwork(own.W, own.b, V, A, c)
