"""Networks of fewer neurons with the same predictions on data, or nearly the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from ..solvers.blas import one_blas_thread
from ._caratheodory import thin
from ._lasso import Choice, choose
from ._least_masses import Masses, least_masses
from ._own_neurons import OwnNeurons, as_rows, own_neurons, predictions

Array = NDArray[np.float64]
_GAP = 1e-11
_LIGHT = 1e-2
_ROUNDING = 1e-13
_MOST_ROUNDS = 30
_STEEPER = 1e-9


@dataclass(frozen=True, eq=False)
class Compression:
    """A network with few neurons, and what became of the one that it stands for.

    network : at most `bound` neurons.
    n_neurons_before, n_neurons : before and after.
    bound : how many neurons are enough for any network on these inputs, see `compress`.
    cost_before, cost : R of both, see `Penalty`; in units of label per input.
    largest_change : the largest |f_t(x_i) - g_t(x_i)| on the data, in the unit of the labels.
    """

    network: ReLUNetwork
    n_neurons_before: int
    n_neurons: int
    bound: int
    cost_before: float
    cost: float
    largest_change: float


def compress(
    network: ReLUNetwork, X: ArrayLike, penalty: Penalty | None = None, *, tol: float = 1e-9
) -> Compression:
    """g with g(x_i) = f(x_i) on all data, R(g) <= R(f), and at most n r - r (r - 1) / 2 neurons.

    With N the number of distinct rows of X, n is N less the rank of the free parts on them, and
    r = min(n, T):

        biases=False, skip="free"    n = N - rank [1, X]    (N - 2 in one input)
        biases=False, skip="none"    n = N - 1
        biases=True                  n = N

    So n neurons are enough for one task, and n (n + 1) / 2 for any number. (B, Theorem 3.1 says N
    for any number of tasks, which is false: docs/theorems.md.) Two steps:

    1. The least R of a network with the neurons of f and the same predictions, a convex problem.
       (The directions of a nuclear skip connection are improved by turns, and need not be best.)
       Its output weights are v_k = eta_k alpha' phi_k with one dual point alpha (N, T) for all
       neurons, whose rank is at most r; phi_k (N,) are the values of neuron k of unit penalised
       norm, and eta_k >= 0.
    2. So sum_k phi_k v_k' = S alpha with S = sum_k eta_k phi_k phi_k' symmetric: the predictions
       lie in the cone of the matrices phi_k phi_k' alpha, in a space of dimension
       n r - r (r - 1) / 2, on which the cost is linear. By Caratheodory's theorem as many of them
       are enough; neurons are removed one by one along null directions, downhill.

    Works on networks trained elsewhere, by any loss. What f does away from the data is not kept.

    Parameters
    ----------
    network : any number of inputs, tasks and neurons; time grows with the cube of the neurons,
        memory with their square (2,000 neurons: seconds, some 200 MB).
    X : (N, d), or (N,) when d = 1: where predictions are kept. Equal rows count once.
    penalty : what costs; `Penalty()` when left out.
    tol : the largest change of a prediction, relative to the largest prediction.

    Raises
    ------
    TypeError : for what is not a network or a penalty, and for arrays that are not numbers.
    ValueError : for inputs of another dimension, no or infinite inputs, a tol outside (0, 1), and a
        skip connection that the penalty does not allow.
    ArithmeticError : where rounding keeps the predictions from within `tol`.
    """
    penalty = _check(network, penalty)
    rows = as_rows(X, network.n_inputs)
    if isinstance(tol, bool) or not isinstance(tol, int | float):
        raise TypeError(f"tol: must be a number between 0 and 1, got {tol!r}")
    if not 0 < tol < 1:
        raise ValueError(f"tol: must be between 0 and 1, got {tol!r}")
    cost_before = network.cost(penalty)
    with one_blas_thread():
        own, least = _least(network.canonicalise(penalty), np.unique(rows, axis=0), penalty)
        n = len(own.X) - own.n_free
        small = _smallest(own, least, tol)
    wanted = predictions(network, rows)
    change = float(np.abs(predictions(small, rows) - wanted).max())
    if change > tol * float(np.abs(wanted).max()):
        raise ArithmeticError(
            f"tol: rounding moved a prediction by {change:.1g}, of {np.abs(wanted).max():.1g} at most; "
            "loosen tol, or scale X to a range near 1"
        )
    return Compression(
        small,
        network.n_neurons,
        small.n_neurons,
        most_neurons(n, network.n_tasks),
        cost_before,
        small.cost(penalty),
        change,
    )


@dataclass(frozen=True, eq=False)
class Pruning:
    """A network with fewer neurons, whose predictions are nearly those of another.

    network : a choice of the neurons of the other, with output weights fitted anew.
    n_neurons_before, n_neurons : before and after.
    error : sqrt(sum_it (f_t(x_i) - g_t(x_i))^2 / sum_it f_t(x_i)^2), measured on the data.
    cost_before, cost : R of both, see `Penalty`.
    lam : the strength of the multi-task lasso that chose the neurons; 0 where all were kept.
    """

    network: ReLUNetwork
    n_neurons_before: int
    n_neurons: int
    error: float
    cost_before: float
    cost: float
    lam: float


def prune_to(
    network: ReLUNetwork,
    X: ArrayLike,
    penalty: Penalty | None = None,
    *,
    n_neurons: int | None = None,
    error: float | None = None,
) -> Pruning:
    """g of few neurons of f, by min over g of sum_it (f_t(x_i) - g_t(x_i))^2 / 2 + lam sum_k |v_k|.

    A multi-task lasso on the values that the neurons of f, of unit penalised norm, have on the data;
    c is free, and so is A where the penalty allows one. The lasso chooses neurons, of which those that
    least squares misses least are left out one by one; least squares takes off the shrinkage. Give one of

    - `error`: of the choices along a path of lam, refined by bisection, the one of fewest neurons
      whose error, relative in the Frobenius norm on X, is at most this; or
    - `n_neurons`: the choice of least error with at most so many.

    These are a path of choices, not all choices: fewer neurons may do. The cost is reported, not bounded.

    Parameters
    ----------
    network, X, penalty : as for `compress`; rows of X that are repeated count as often.
    n_neurons : >= 0.
    error : between 0 and 1.

    Raises
    ------
    TypeError, ValueError : as `compress` does, and unless one of `n_neurons` and `error` is given.
    """
    penalty = _check(network, penalty)
    rows = as_rows(X, network.n_inputs)
    if (n_neurons is None) == (error is None):
        raise ValueError("n_neurons: give either n_neurons or error, the one that is to be met")
    if n_neurons is not None and (isinstance(n_neurons, bool) or not isinstance(n_neurons, int | np.integer)):
        raise TypeError(f"n_neurons: must be a whole number >= 0, got {n_neurons!r}")
    if n_neurons is not None and n_neurons < 0:
        raise ValueError(f"n_neurons: must be >= 0, got {n_neurons!r}")
    if error is not None and (isinstance(error, bool) or not isinstance(error, int | float)):
        raise TypeError(f"error: must be a number between 0 and 1, got {error!r}")
    if error is not None and not 0 < error < 1:
        raise ValueError(f"error: must be between 0 and 1, got {error!r}; compress keeps predictions")
    cost_before = network.cost(penalty)
    with one_blas_thread():
        choice = choose(network.canonicalise(penalty), rows, penalty.skip != "none", n_neurons, error)
    return _judged(network, choice, rows, penalty, cost_before)


def _judged(network: ReLUNetwork, choice: Choice, X: Array, penalty: Penalty, cost_before: float) -> Pruning:
    wanted, small = predictions(network, X), choice.network
    size = float(np.linalg.norm(wanted))
    off = float(np.linalg.norm(wanted - predictions(small, X)))
    return Pruning(
        small,
        network.n_neurons,
        small.n_neurons,
        off / size if size > 0 else 0.0,
        cost_before,
        small.cost(penalty),
        choice.lam,
    )


def most_neurons(n: int, n_tasks: int) -> int:
    """n r - r (r - 1) / 2 with r = min(n, n_tasks): the dimension of {S alpha : S symmetric (n, n)}
    for alpha (n, n_tasks) of full rank."""
    r = min(n, n_tasks)
    return n * r - r * (r - 1) // 2


def _check(network: object, penalty: object) -> Penalty:
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
    if penalty is None:
        return Penalty()
    if not isinstance(penalty, Penalty):
        raise TypeError(f"penalty: must be a knotwork.Penalty, got {penalty!r}")
    return penalty


def _smallest(own: OwnNeurons, least: Masses, tol: float) -> ReLUNetwork:
    n, r = own.C.shape
    K = own.network.n_neurons
    least = _without_light(own, least, tol)
    eta = least.eta.copy()
    eta[:K] = thin(own.Phi[:, :K], least.response[:K], eta[:K], most_neurons(n, r))
    V, u = eta[:, None] * least.response, own.dictionary.fixed.T @ least.alpha
    return own.rebuilt(_corrected(own, eta, V, u), u)


def _least(unit: ReLUNetwork, X: Array, penalty: Penalty) -> tuple[OwnNeurons, Masses]:
    """Masses of the least cost; the network's own where these are as good.

    A nuclear skip connection is made of linear neurons. Their best directions are found by turns:
    those in which A could cost less, then the singular vectors of the A that they make.
    """
    own = own_neurons(unit, X, penalty)
    used = np.linalg.norm(own.Phi, axis=0) > 0
    mine = own.dictionary.at(np.where(used, own.masses, 0.0))
    best = own, mine
    if mine.cost - mine.bound <= _GAP * mine.cost and not own.steeper_lines(mine.alpha, _STEEPER).shape[1]:
        return best
    for _ in range(_MOST_ROUNDS):
        found = _over_all_masses(own)
        if found.cost < best[1].cost * (1.0 - _GAP):
            best = own, found
        steeper = own.steeper_lines(found.alpha, _STEEPER)
        if not steeper.shape[1]:
            break
        unit = own.rebuilt(found.eta[:, None] * found.response, own.dictionary.fixed.T @ found.alpha)
        own = own_neurons(unit, X, penalty, np.hstack([own.lines[:, -3 * min(unit.A.shape) :], steeper]))
    return best


def _over_all_masses(own: OwnNeurons) -> Masses:
    used = np.linalg.norm(own.Phi, axis=0) > 0
    dictionary = own.dictionary
    found = least_masses(dictionary.of(used), _GAP)
    eta = np.zeros(len(used))
    eta[used] = found.eta
    return dictionary.judge(eta, found.alpha)


def _without_light(own: OwnNeurons, least: Masses, tol: float) -> Masses:
    """Without the lightest neurons, as many as matter to no prediction and no cost."""
    K, dictionary = own.network.n_neurons, own.dictionary
    weight = least.eta[:K] * np.linalg.norm(least.response[:K], axis=1)
    order = np.argsort(weight, kind="stable")
    missed = max(_LIGHT * tol * own.scale, 4.0 * _miss(own, least))
    dearest = least.cost * (1.0 + _ROUNDING)

    def without(count: int) -> Masses | None:
        eta = least.eta.copy()
        eta[order[:count]] = 0.0
        rest = dictionary.at(eta)
        return rest if rest.cost <= dearest and _miss(own, rest) <= missed else None

    low, high, best = 0, K, least
    while low < high:
        middle = (low + high + 1) // 2
        rest = without(middle)
        if rest is None:
            high = middle - 1
        else:
            low, best = middle, rest
    return best


def _miss(own: OwnNeurons, masses: Masses) -> float:
    u = own.dictionary.fixed.T @ masses.alpha
    return float(np.linalg.norm(own.error(masses.eta[:, None] * masses.response, u)))


def _corrected(own: OwnNeurons, eta: Array, V: Array, u: Array) -> Array:
    """V changed least, heavy neurons first, to take up the rounding of the predictions."""
    K = own.network.n_neurons
    root = np.sqrt(eta[:K])
    best, miss = V, np.linalg.norm(own.error(V, u))
    for _ in range(2):
        change = np.linalg.lstsq(own.Phi[:, :K] * root, own.error(best, u), rcond=1e-10)[0]
        V = best.copy()
        V[:K] += root[:, None] * change
        now = np.linalg.norm(own.error(V, u))
        if not now < 0.5 * miss:
            break
        best, miss = V, now
    return best
