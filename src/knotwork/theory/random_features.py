"""Networks whose first layer is drawn and stays: ridge regression on fixed features (B, Remark 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, as_float_array, as_generator, read_only
from ..network import ReLUNetwork
from ..problem import Problem
from ._inputs import as_number, as_rows
from ._ridge import ridge_fit

Array = NDArray[np.float64]
Space = Literal["auto", "weights", "kernel"]
_SPACES = ("auto", "weights", "kernel")


@dataclass(frozen=True, eq=False)
class RandomFeatures:
    """phi_k(x) = scale relu(w_k . x + b_k) of a first layer that is not trained.

    W : (K, d) input weights.
    b : (K,) biases.
    scale : > 0; sqrt(weight_variance / K) in `random_features`.
    """

    W: Array
    b: Array
    scale: float

    def __post_init__(self) -> None:
        W, b = as_float_array(self.W, "W", copy=True), as_float_array(self.b, "b", copy=True)
        if W.ndim != 2 or W.shape[1] == 0:
            raise ValueError(f"W: must have shape (K, d) with d >= 1, got {W.shape}")
        if b.shape != (len(W),):
            raise ValueError(f"b: must have shape ({len(W)},) beside W {W.shape}, got {b.shape}")
        object.__setattr__(self, "W", read_only(W))
        object.__setattr__(self, "b", read_only(b))
        object.__setattr__(self, "scale", as_number(self.scale, "scale", positive=True))

    @property
    def n_neurons(self) -> int:
        return len(self.b)

    @property
    def n_inputs(self) -> int:
        return self.W.shape[1]

    def features(self, X: ArrayLike) -> Array:
        """phi_k(x), (n, K); X is (n, d), or (n,) when d = 1."""
        hidden = as_rows(X, "X", self.n_inputs) @ self.W.T
        hidden += self.b
        np.maximum(hidden, 0.0, out=hidden)
        hidden *= self.scale
        return hidden

    def __call__(self, X: ArrayLike, X_other: ArrayLike | None = None) -> Array:
        """k(x, x') = sum_k phi_k(x) phi_k(x') of all pairs, (n, m); X_other = X when left out."""
        left = self.features(X)
        return left @ (left if X_other is None else self.features(X_other)).T


@dataclass(frozen=True, eq=False)
class RandomFeatureFit:
    """The network with the best output weights for a given first layer.

    features : the first layer.
    network : phi(x) V + x A + c as a network; its V is `scale` times that of the objective.
    coefficients : (N, T) alpha, with V = phi(X)' alpha; 0 at missing labels.
    objective : sum w l + (lam/2) (|V|^2 + what of c and A is penalised); at lam = 0 half those
        squares.
    space : "weights" or "kernel", where it was solved.
    """

    features: RandomFeatures
    network: ReLUNetwork
    coefficients: Array
    objective: float
    space: str

    def predict(self, X: ArrayLike) -> Array:
        """f(X), (n, T)."""
        return self.network.predict(X)


def random_features(
    n_inputs: int,
    n_neurons: int,
    *,
    input_variance: float = 1.0,
    bias_variance: float = 1.0,
    weight_variance: float = 2.0,
    random_state: int | np.random.Generator | None = None,
) -> RandomFeatures:
    """w_k ~ N(0, input_variance I), b_k ~ N(0, bias_variance), scale = sqrt(weight_variance / K).

    Their kernel has mean `arc_cosine_kernel` of the same variances (and depth 1), and goes there as
    K grows: the standard error is of order 1 / sqrt(K).

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    for name, value in (("n_inputs", n_inputs), ("n_neurons", n_neurons)):
        if as_count(value, name) < 1:
            raise ValueError(f"{name}: must be an integer >= 1, got {value!r}")
    rng = as_generator(random_state, "random_state")
    W = np.sqrt(as_number(input_variance, "input_variance")) * rng.standard_normal((n_neurons, n_inputs))
    b = np.sqrt(as_number(bias_variance, "bias_variance")) * rng.standard_normal(n_neurons)
    total = as_number(weight_variance, "weight_variance", positive=True)
    return RandomFeatures(W, b, float(np.sqrt(total / n_neurons)))


def fit_random_features(
    features: RandomFeatures, problem: Problem, *, space: Space = "auto"
) -> RandomFeatureFit:
    """Minimise sum_it w_it l(y_it, f_t(x_i)) + (lam/2) (|V|_F^2 + ...) over V, A, c in f = phi V + x A + c.

    What the constant c and the linear part A cost is as `problem.penalty` says: free under
    biases=False and skip="free", half their squares under biases=True and skip="frobenius", no A
    under skip="none". |V|_F^2 is a sum over tasks, where the norm of a trained network is
    sum_k |v_k| |(w_k, b_k)|: nothing connects the tasks (B, Remark 3.4 and section 4), but under
    multinomial loss, which does so itself. At lam = 0 the interpolant of least norm.

    With squared loss and nothing free this is the posterior mean of the Gaussian process with
    kernel phi phi' (+ 1 under biases=True) and noise variance lam.

    Parameters
    ----------
    features : see `random_features`; any number of neurons.
    problem : any loss, missing labels and weights.
    space : "weights" solves for the K weights, "kernel" for N coefficients, by an orthogonal basis
        of the N rows of phi (no condition number is squared); "auto" for the fewer. The same fit.

    Raises
    ------
    TypeError, ValueError : for arguments that do not fit each other, for skip="nuclear" (its norm
        connects the tasks), and at lam = 0 for labels that the features cannot meet.
    """
    if not isinstance(features, RandomFeatures):
        raise TypeError(f"features: must be RandomFeatures, got {type(features).__name__}")
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    if problem.n_inputs != features.n_inputs:
        raise ValueError(f"problem: has {problem.n_inputs} inputs, but the features have {features.n_inputs}")
    if space not in _SPACES:
        raise ValueError(f"space: must be one of {', '.join(_SPACES)}, got {space!r}")
    penalty, X = problem.penalty, problem.X
    if penalty.skip == "nuclear":
        raise ValueError("problem: the nuclear norm of A is no ridge; take skip='frobenius' or 'none'")
    one = np.ones((len(X), 1))
    B = [
        features.features(X),
        *([one] if penalty.biases else []),
        *([X] if penalty.skip == "frobenius" else []),
    ]
    U = [*([] if penalty.biases else [one]), *([X] if penalty.skip == "free" else [])]
    paid, free = np.hstack(B), np.hstack([np.zeros((len(X), 0)), *U])
    if space == "auto":
        space = "weights" if paid.shape[1] <= len(X) else "kernel"
    arguments = problem.Y, problem.label_weight(), problem.loss_function, problem.lam
    if space == "weights":
        Z, Theta, alpha = ridge_fit(paid, free, *arguments)
    else:
        basis, R = np.linalg.qr(paid.T)
        z, Theta, alpha = ridge_fit(R.T, free, *arguments)
        Z = basis @ z
    network = _as_network(features, problem, Z, Theta)
    objective = 0.5 * float(np.sum(Z * Z)) * (problem.lam if problem.lam > 0 else 1.0)
    if problem.lam > 0:
        objective += problem.loss_value(network)
    return RandomFeatureFit(features, network, read_only(alpha), objective, space)


def _as_network(features: RandomFeatures, problem: Problem, Z: Array, Theta: Array) -> ReLUNetwork:
    """The network of weights Z in what costs, (phi, 1 or not, x or not), and Theta in what is free."""
    K, penalty = features.n_neurons, problem.penalty
    c = Z[K] if penalty.biases else Theta[0]
    A = np.zeros((features.n_inputs, problem.n_tasks))
    if penalty.skip == "frobenius":
        A = Z[K + 1 :]
    elif penalty.skip == "free":
        A = Theta[1:]
    return ReLUNetwork(features.W, features.b, features.scale * Z[:K], A, c)
