"""What weight decay charges for a univariate function, whichever network writes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from ..solvers.blas import one_blas_thread
from ._splitting import Split, Splitting, split

Array = NDArray[np.float64]
_TOL = 1e-11
_LIGHT = 1e-10
_MOST_PAIRS = 40


@dataclass(frozen=True, eq=False)
class RepresentationalCost:
    """lower_bound <= R(f) <= value, equal to 1e-9 of the value; `float()` is the value.

    value : the cost of `network`.
    lower_bound : proven by weak duality, up to float64 rounding.
    network : a network of the same function, on all of R, at the least cost.
    """

    value: float
    lower_bound: float
    network: ReLUNetwork

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, eq=False)
class _Bends:
    """f(x) = sum_j R_j relu(z_j) + L_j relu(-z_j) + affine, z_j = unit_j . (1, x).

    unit : (J, 2) bias and weight, the weight positive; of norm 1 in what is penalised.
    R, L : (J, T) masses of the neurons facing right and left.
    affine : (2, T) intercept and slope.
    """

    unit: Array
    R: Array
    L: Array
    affine: Array


def representational_cost(network: ReLUNetwork, penalty: Penalty | None = None) -> RepresentationalCost:
    """R(f) = min of `cost(penalty)` over all networks of any width that equal f on all of R.

    With w_j the jumps of f' at xi_j, and T outputs (A (4); B (7), (9)-(12) in the scaling of
    `Penalty`):

    - biases=False, skip="free": sum_j |w_j|.
    - biases=False, skip="none": sum_j (|w_j + z_j| + |w_j - z_j|) / 2 + |z_0|, least over z with
      z_0 + sum_j z_j = f'(-inf) + f'(+inf). One output: the larger of sum_j |w_j| and
      |f'(-inf) + f'(+inf)|, which is B (10).
    - biases=True: sum_j sqrt(1 + xi_j^2) (|r_j| + |l_j|) + 2 |B|_* + |v_0| + |c|^2 / 2, plus
      |A|_F^2 / 2 or |A|_* where there is a skip connection, least over r_j + l_j = w_j (bends of
      neurons that face right and left), B (T, 2) (pairs of neurons that make an affine
      function), v_0 (neurons that are constant), c and A that make up f.

    The minimum is attained under each of the five. It is never above `network.cost(penalty)`.
    Neurons bend at one place when their -b/w are the same float64; one whose -b/w is beyond
    float64 is affine.

    Parameters
    ----------
    network : any network of one input; a skip connection is part of f under skip="none" too.
    penalty : `Penalty()` when None.

    Raises
    ------
    TypeError : for what is not a network or a penalty.
    ValueError : for a network of several inputs, or whose cost is not a finite float64.
    """
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
    penalty = Penalty() if penalty is None else penalty
    if not isinstance(penalty, Penalty):
        raise TypeError(f"penalty: must be a knotwork.Penalty, got {penalty!r}")
    if network.n_inputs != 1:
        raise ValueError(
            f"network: must have one input, got {network.n_inputs}; the cost of a function of several "
            "inputs is not known in closed form, network.cost(penalty) is that of the parameters"
        )
    bends = _bends_of(network, penalty.biases)
    if penalty.skip == "free":
        best = _face_one_way(bends)
        value = bound = best.cost(penalty)
    else:
        # the products are tall and thin: BLAS threads would only wait for each other
        with one_blas_thread():
            best, bound = _split_bends(bends, penalty)
        value = best.cost(penalty)
        if (penalty.skip != "none" or not network.A.any()) and network.cost(penalty) < value:
            best, value = network, network.cost(penalty)
    return RepresentationalCost(value, min(bound, value), best)


def _bends_of(network: ReLUNetwork, biases: bool) -> _Bends:
    with np.errstate(over="ignore", invalid="ignore"):
        size = safe_row_norms(np.column_stack([network.b, network.W])) if biases else np.abs(network.W[:, 0])
        mass = network.V * size[:, None]
        total = np.abs(mass).sum() + np.abs(network.A).sum() + np.abs(network.c).sum()
        constant = network.W[:, 0] == 0
        level = network.c + np.maximum(network.b[constant], 0.0) @ network.V[constant]
        affine = np.vstack([level, network.A])
        if not (np.isfinite(total) and np.isfinite(affine).all() and np.isfinite(size).all()):
            raise ValueError("network: its cost is beyond float64; rescale its weights, see network.balance")
        place = -network.b / np.where(constant, 1.0, network.W[:, 0]) + 0.0
    # a bend beyond float64: the neuron is affine, or zero, wherever it can be evaluated
    alive = ~constant & np.isfinite(place) & (safe_row_norms(mass) > 0)
    on = ~constant & ~alive & (network.b > 0)
    affine = affine + np.vstack([network.b[on], network.W[on, 0]]) @ network.V[on]
    w, b, mass, size, place = network.W[alive, 0], network.b[alive], mass[alive], size[alive], place[alive]
    _, first, which = np.unique(place, return_index=True, return_inverse=True)
    right = w > 0
    R, L = np.zeros((2, len(first), network.n_tasks))
    np.add.at(R, which[right], mass[right])
    np.add.at(L, which[~right], mass[~right])
    if biases:
        facing = np.where(right, 1.0, -1.0) / size
        unit = (facing[:, None] * np.column_stack([b, w]))[first]
    else:
        unit = np.column_stack([0.0 - place[first], np.ones(len(first))])
    straight = ~np.any(R + L != 0, axis=1)
    affine = affine + unit[straight].T @ R[straight]
    return _Bends(unit[~straight], R[~straight], L[~straight], affine)


def _face_one_way(bends: _Bends) -> ReLUNetwork:
    """One neuron per bend, facing as most of its mass does; the skip connection takes the rest."""
    right = safe_row_norms(bends.R) >= safe_row_norms(bends.L)
    W = bends.R + bends.L
    turned = np.where(right[:, None], -bends.L, bends.R)
    affine = bends.affine + bends.unit.T @ turned
    unit = np.where(right, 1.0, -1.0)[:, None] * bends.unit
    return ReLUNetwork(unit[:, 1:], unit[:, 0], W, affine[1:], affine[0])


def _split_bends(bends: _Bends, penalty: Penalty) -> tuple[ReLUNetwork, float]:
    """The best network under a penalty without a free skip connection, and a lower bound of R."""
    rows = slice(0 if penalty.biases else 1, 2)
    unit, W = bends.unit[:, rows], bends.R + bends.L
    M = bends.affine[rows] + 0.5 * unit.T @ (bends.R - bends.L)
    scale = float(safe_row_norms(np.vstack([W, M])).sum())
    if scale == 0:
        return ReLUNetwork(
            np.zeros((0, 1)), np.zeros(0), W, np.zeros_like(bends.affine[1:]), bends.affine[0]
        ), 0.0
    # a rotation of the outputs costs nothing: as many are enough as there are rows
    basis = np.linalg.qr(np.vstack([W, M]).T / scale)[0]
    W, M = (W / scale) @ basis, (M / scale) @ basis
    # unit affine functions to be had from a pair of neurons, and from one parameter or neuron
    pairs, single, square = np.array([[0.0, 1.0]])[:, rows], np.zeros((0, len(M))), np.zeros(len(M))
    if penalty.biases:
        single = np.array([[1.0, 0.0]])
        square[: 2 if penalty.skip == "frobenius" else 1] = 1.0 / scale
    if penalty.skip == "nuclear":
        pairs, single = np.zeros((0, 2)), np.eye(2)
    best, bound = None, 0.0
    while True:
        problem = Splitting(
            np.vstack([W, np.zeros((len(pairs), len(basis.T)))]),
            0.5 * np.vstack([unit, pairs]),
            single,
            square,
            M,
        )
        found = split(problem, _TOL)
        network = _Parts(bends, found, pairs, square, scale, basis, penalty).network()
        if best is None or network.cost(penalty) < best.cost(penalty):
            best = network
        direction, sizes, _ = np.linalg.svd(found.Q)
        # a pair's bound |unit . Q| <= 2 must hold in every direction, not in those tried
        bound = max(bound, scale * problem.dual_value(found.Q * min(1.0, 2.0 / max(sizes[0], 1.0))))
        cost = best.cost(penalty)
        if cost - bound <= 10.0 * _TOL * cost or sizes[0] <= 2.0 or len(pairs) == _MOST_PAIRS:
            return best, bound
        pairs = np.vstack([pairs, direction[:, 0] * (1.0 if direction[-1, 0] >= 0 else -1.0)])


class _Parts:
    """The neurons of a split, in the units of f, rid of those that are only rounding."""

    def __init__(
        self,
        bends: _Bends,
        found: Split,
        pairs: Array,
        square: Array,
        scale: float,
        basis: Array,
        penalty: Penalty,
    ) -> None:
        J = len(bends.unit)
        R, L, v, made = (
            (scale * part) @ basis.T for part in (found.R, found.L, found.v, square[:, None] * found.Q)
        )
        self.bends, self.W, self.penalty = bends, bends.R + bends.L, penalty
        self.R, self.u = R[:J], 0.5 * (R[J:] - L[J:])
        self.pairs = np.column_stack([np.zeros((len(pairs), 2 - pairs.shape[1])), pairs])
        self.constant, self.c, self.A = np.zeros((3, len(basis)))
        if penalty.biases:
            self.constant, self.c = v[0], made[0]
            self.A = v[1] if penalty.skip == "nuclear" else made[1]
        elif J:
            self.u = np.zeros_like(self.u)
        self._drop_light(L[:J])
        self._complete()

    def _drop_light(self, L: Array) -> None:
        """Without the lightest neurons, as long as all of them together weigh next to nothing."""
        J = len(L)
        parts = self.R, L, 2.0 * self.u, self.constant[None]
        mass = np.concatenate([safe_row_norms(part) for part in parts])
        order = np.argsort(mass)
        light = np.zeros(len(mass), dtype=bool)
        light[order] = np.cumsum(mass[order]) <= _LIGHT * mass.sum()
        left = light[:J] & (mass[:J] <= mass[J : 2 * J])
        right = light[J : 2 * J] & ~left
        self.R = np.where(left[:, None], 0.0, np.where(right[:, None], self.W, self.R))
        kept = ~light[2 * J : -1]
        self.u, self.pairs = self.u[kept], self.pairs[kept]
        self.constant = np.where(light[-1], 0.0, self.constant)

    def _missing(self) -> Array:
        """(2, T) the affine part that the neurons do not make yet."""
        made = self.pairs.T @ self.u + np.vstack([self.constant + self.c, self.A])
        return self.bends.affine + self.bends.unit.T @ (self.bends.R - self.R) - made

    def _complete(self) -> None:
        """Bear what is still missing where it costs least."""
        slope = self._missing()[1]
        if self.penalty.skip == "nuclear" or (
            self.penalty.skip == "frobenius" and _by_square(self.A, slope, 2.0)
        ):
            self.A = self.A + slope
        else:
            for _ in range(2):
                self._turn(self._missing()[1])
        level = self._missing()[0]
        if not self.penalty.biases or _by_square(self.c, level, 1.0):
            self.c = self.c + level
        else:
            self.constant = self.constant + level

    def _turn(self, slope: Array) -> None:
        """Add `slope`, by turning bends that face both ways already, or by pairs."""
        bears = np.minimum(safe_row_norms(self.R), safe_row_norms(self.W - self.R))
        if not self.penalty.biases and len(bears):
            bears[np.argmax(safe_row_norms(self.W))] = 1.0
        bears = np.concatenate([bears, safe_row_norms(self.u)])
        tilt = np.concatenate([self.bends.unit[:, 1], self.pairs[:, 1]])
        strength = float(bears @ (tilt * tilt))
        size = float(np.linalg.norm(slope))
        if strength > 0 and (not self.penalty.biases or size * np.abs(tilt).max() <= 0.1 * strength):
            more = (bears * tilt / strength)[:, None] * slope
            self.R, self.u = self.R + more[: len(self.R)], self.u + more[len(self.R) :]
        elif size > 8.0 * np.finfo(np.float64).eps * float(np.abs(self.W).sum() + np.abs(self.u).sum()):
            self.u, self.pairs = np.vstack([self.u, slope]), np.vstack([self.pairs, [[0.0, 1.0]]])

    def network(self) -> ReLUNetwork:
        L = self.W - self.R
        u, pairs = self.u, self.pairs
        if len(u) > 2:
            # the least cost of the affine function that they make is its nuclear norm
            left, size, right = np.linalg.svd(pairs.T @ u, full_matrices=False)
            u, pairs = size[:, None] * right, left.T
        unit = np.vstack([self.bends.unit, -self.bends.unit, pairs, -pairs, [[1.0, 0.0]]])
        V = np.vstack([self.R, L, u, -u, self.constant[None]])
        used = np.any(V != 0, axis=1)
        return ReLUNetwork(unit[used, 1:], unit[used, 0], V[used], self.A[None], self.c)


def _by_square(parameter: Array, more: Array, price: float) -> bool:
    """Whether `more` costs less as part of a parameter p, |p|^2 / 2, than in neurons."""
    moved = parameter + more
    return 0.5 * float(moved @ moved - parameter @ parameter) <= price * float(np.linalg.norm(more))
