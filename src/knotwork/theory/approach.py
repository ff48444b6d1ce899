"""Optima of infinitely many neurons, and networks of n neurons that approach them (B (8))."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_count, as_float_array
from ..network import ReLUNetwork, safe_row_norms
from ..penalty import Penalty
from .solution_set import SolutionSet, as_tolerance, network_of

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Approach:
    """A network of at most n neurons near a function of many, as good on the data and as dear.

    network : its neurons, at unit input weight.
    n_neurons_before, n_neurons : of the function (neurons at one place count once) and of `network`.
    value_error : sup over all x of |f(x) - g(x)|, in units of the label; it is reached between inputs,
        f and g being equal at the data and outside all knots.
    slope_error : sup over almost all x of |f'(x) - g'(x)|, in units of label per input.

    |.| is the Euclidean norm over the tasks; the larger of both errors is the norm of W^{1,inf}(R).
    """

    network: ReLUNetwork
    n_neurons_before: int
    n_neurons: int
    value_error: float
    slope_error: float


def approach_optimum(
    network: ReLUNetwork,
    X: ArrayLike,
    n_neurons: int,
    *,
    penalty: Penalty | None = None,
    tol: float = 1e-9,
) -> Approach:
    """g of at most n neurons with g = f on the data and outside it, R(g) = R(f), and g near f (B (8)).

    Bends m_k u at xi_k in one [x_i, x_{i+1}], along one direction u, become one bend:

        m = sum_k m_k,    xi = sum_k m_k xi_k / m.

    At the data f stays as it is, and so does its cost, sum |m_k|, where biases are free. So an optimum
    stays one, whatever the loss. f' moves by the mass on one side of xi. Neighbours are put together
    such that this is about as small as it can be, which makes the slope error O(1/n) and the value
    error O(1/n^2) where f has no knots of mass of their own but few. Applies to any network; at an
    optimum all bends inside one interval are aligned, as straight lines would cost less otherwise
    (A, Lemma 3.2). Without a skip connection, only neurons of one facing are put together.

    Where biases are penalised a bend costs sqrt(1 + xi^2) |m_k|, strictly convex in xi: bends of one
    direction u and facing in one interval are one at every optimum, so that one task has optima of finitely
    many neurons, K, which are networks of any n >= K (a neuron is two of half its output weights). Several
    tasks may have an arc of neurons that turn u as they go (`uniqueness`); those are not put together here.

    Parameters
    ----------
    network : one input, any number of tasks.
    X : (N,) or (N, 1) inputs, in any order.
    n_neurons : the most neurons of g. Where fewer are enough for f itself, f is returned.
    penalty : `Penalty()` or `Penalty(False, "none")`.
    tol : the angle, in radians, up to which bends are aligned; predictions and cost are kept up to it.

    Raises
    ------
    TypeError : for what is not a network or a penalty, and for arrays that are not numbers.
    ValueError : for several inputs, for penalised biases, for a skip connection under skip="none", and
        where fewer neurons than are needed to keep the data are asked for, saying how many are.
    """
    penalty = penalty or Penalty()
    x = _inputs(network, X)
    n_neurons, tol = as_count(n_neurons, "n_neurons"), as_tolerance(tol, "tol")
    if not isinstance(penalty, Penalty):
        raise TypeError(f"penalty: must be a knotwork.Penalty, got {penalty!r}")
    if penalty.biases:
        raise ValueError(
            "penalty: where biases are penalised aligned bends in one interval cost less as one, so that an "
            "optimum has none to put together: it is a network of every n >= its n_neurons as it is"
        )
    network.cost(penalty)
    f = network.canonicalise(penalty)
    facing = f.W[:, 0]
    place, jump = 0.0 - f.b * facing, f.V
    order = np.lexsort((place, facing))
    place, jump, facing = place[order], jump[order], facing[order]
    groups = _Groups(x, place, jump, facing, tol)
    starts = groups.fewest()
    if len(starts) > n_neurons:
        raise ValueError(
            f"n_neurons: at least {len(starts)} keep the data at the same cost beside the function's bends "
            f"(one in every interval and direction that it bends in), got {n_neurons}"
        )
    if len(place) <= n_neurons:
        return Approach(f, f.n_neurons, f.n_neurons, 0.0, 0.0)
    place, jump, facing = groups.merged(groups.at_most(n_neurons))
    g = ReLUNetwork(facing[:, None], 0.0 - facing * place, jump, f.A, f.c)
    value_error, slope_error = _distance(f, g)
    return Approach(g, f.n_neurons, g.n_neurons, value_error, slope_error)


def smooth_optimum(solutions: SolutionSet, n_pieces: int) -> ReLUNetwork:
    """The member of `solutions` whose runs are C^1 on the data, its curvature cut into `n_pieces` bends.

    Every inner knot of a run gives half of its mass to either side, the first and the last give all to
    the inside. Between knots l and r that give masses a and b, f'' u has the total a + b and the mean
    place c = (a l + b r) / (a + b); here it is constant on [l, c] and on [c, r]. As n_pieces grows the
    member tends to one with a continuous slope along every run, an optimum of infinitely many neurons;
    where nothing is aligned it is connect the dots.

    Parameters
    ----------
    solutions : `kw.uniqueness(solution).solution_set`, or `kw.uniqueness(X, Y).solution_set` for
        minimum-norm interpolation (A (3)).
    n_pieces : >= 2, the bends between two neighbouring aligned knots.

    Raises
    ------
    TypeError, ValueError : for what is no `SolutionSet`, and for fewer than two pieces.
    """
    if not isinstance(solutions, SolutionSet):
        raise TypeError(
            f"solutions: must be a knotwork.SolutionSet, got {type(solutions).__name__}; "
            "knotwork.uniqueness makes one"
        )
    if as_count(n_pieces, "n_pieces") < 2:
        raise ValueError(f"n_pieces: must be >= 2, got {n_pieces!r}")
    x, values, knot = solutions.x, solutions.values, solutions.knot
    if len(x) == 1:
        return network_of(x, values, np.zeros_like(values))
    mass = safe_row_norms(solutions.jump)
    unit = solutions.jump / mass[:, None]
    sides = np.concatenate([[0], solutions.flat, [0]])
    give = mass / np.maximum(sides[:-1] + sides[1:], 1)
    left = solutions.jump.copy()
    ends = np.array([0, len(x) - 1])
    places, heights, jumps = [x[ends]], [values[ends]], [np.zeros((2, values.shape[1]))]
    for k in np.flatnonzero(solutions.flat):
        u = unit[k] + unit[k + 1]
        u /= np.sqrt(u @ u)
        low, high = float(x[knot[k]]), float(x[knot[k + 1]])
        place, weight = _spread(low, high, give[k], give[k + 1], n_pieces)
        left[k] -= give[k] * u
        left[k + 1] -= give[k + 1] * u
        # below the chord by what the bends before and after pull down
        before, after = np.minimum(place[:, None], place), np.maximum(place[:, None], place)
        sag = -((before - low) * (high - after)) @ weight / (high - low)
        share = ((place - low) / (high - low))[:, None]
        chord = values[knot[k]] + share * (values[knot[k + 1]] - values[knot[k]])
        places.append(place)
        heights.append(chord + sag[:, None] * u)
        jumps.append(weight[:, None] * u)
    kept = safe_row_norms(left) > _ROUNDING * mass
    places.append(x[knot[kept]])
    heights.append(values[knot[kept]])
    jumps.append(left[kept])
    place, height, jump = (np.concatenate(part) for part in (places, heights, jumps))
    order = np.argsort(place)
    return network_of(place[order], height[order], jump[order])


def _spread(low: float, high: float, a: float, b: float, n_pieces: int) -> tuple[Array, Array]:
    """Places and masses of equal pieces of a curvature of total a + b and mean place c, constant on
    [low, c] and on [c, high]: each piece at its middle."""
    c = low + (high - low) * (b / (a + b))
    first = min(max(round(n_pieces * a / (a + b)), 1), n_pieces - 1)
    counts = first, n_pieces - first
    steps = [(np.arange(count) + 0.5) / count for count in counts]
    place = np.concatenate([low + (c - low) * steps[0], c + (high - c) * steps[1]])
    # a on the left and b on the right: the middles (low + c) / 2 and (c + high) / 2 then balance at c
    return place, np.repeat([a / counts[0], b / counts[1]], counts)


@dataclass(frozen=True, eq=False)
class _Groups:
    """Bends in order of facing and place; a group is consecutive ones that may become one."""

    x: Array
    place: Array
    jump: Array
    facing: Array
    tol: float

    @cached_property
    def mass(self) -> Array:
        return safe_row_norms(self.jump)

    @cached_property
    def reach(self) -> Index:
        """(K,) the end (exclusive) of the longest group that begins at each bend."""
        unit, K = self.jump / self.mass[:, None], len(self.place)
        right = np.searchsorted(self.x, self.place, side="right")
        bound = np.append(self.x, np.inf)[right]
        reach = np.empty(K, dtype=np.intp)
        for k in range(K):
            near = (self.facing[k:] == self.facing[k]) & (self.place[k:] <= bound[k])
            end = K if near.all() else k + int(np.argmin(near))
            aligned = safe_row_norms(unit[k:end] - unit[k]) <= self.tol
            reach[k] = end if aligned.all() else k + int(np.argmin(aligned))
        return reach

    def fewest(self, most: float = np.inf) -> Index:
        """Where few groups begin that each move f' by at most `most`; the fewest where that is infinite."""
        starts, k, K = [], 0, len(self.place)
        while k < K:
            starts.append(k)
            k = int(self.reach[k]) if most == np.inf else self._last(k, most)
        return np.array(starts, dtype=np.intp)

    def _last(self, k: int, most: float) -> int:
        """The end of the longest group from k on that moves f' by at most `most`: by the mass on one
        side of its mean place, and so by half of its mass at the least."""
        end = min(int(np.searchsorted(self._total, self._total[k] + 2.0 * most, side="right")), self.reach[k])
        mass = np.cumsum(self.mass[k:end])
        mean = self.place[k] + np.cumsum(self.mass[k:end] * (self.place[k:end] - self.place[k])) / mass
        before = np.append(0.0, mass)[np.searchsorted(self.place[k:end], mean, side="left")]
        kept = np.maximum(before, mass - before) <= most
        kept[:1] = True
        return k + 1 + int(np.flatnonzero(kept)[-1])

    def at_most(self, n: int) -> Index:
        """Groups, at most n, the largest move of f' being about as small as it can be."""
        low, high = 0.0, 2.0 * float(self.mass.sum())
        while high - low > 1e-6 * high:
            middle = 0.5 * (low + high)
            if len(self.fewest(middle)) <= n:
                high = middle
            else:
                low = middle
        return self.fewest(high)

    @cached_property
    def _total(self) -> Array:
        return np.concatenate([[0.0], np.cumsum(self.mass)])

    def merged(self, starts: Index) -> tuple[Array, Array, Array]:
        """Place, jump and facing of the groups, each with the total jump and its mean place."""
        jump = np.add.reduceat(self.jump, starts, axis=0)
        origin = self.place[starts]
        counts = np.diff(np.append(starts, len(self.mass)))
        lever = self.mass * (self.place - np.repeat(origin, counts))
        mass = np.add.reduceat(self.mass, starts)
        return origin + np.add.reduceat(lever, starts) / mass, jump, self.facing[starts]


def _inputs(network: object, X: ArrayLike) -> Array:
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
    if network.n_inputs != 1:
        raise ValueError(f"network: must have one input, got {network.n_inputs}")
    x = as_float_array(X, "X")
    if x.ndim == 2 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(f"X: must have shape (N,) or (N, 1) with N >= 1, got {x.shape}")
    return np.unique(x)


def _distance(f: ReLUNetwork, g: ReLUNetwork) -> tuple[float, float]:
    """sup |f - g| and sup |f' - g'| where the two differ by neurons only, whose sums agree outside."""
    place = np.concatenate([-f.b * f.W[:, 0], -g.b * g.W[:, 0]])
    if len(place) == 0:
        return 0.0, 0.0
    order = np.argsort(place, kind="stable")
    place, jump = place[order], np.concatenate([f.V, -g.V])[order]
    last = np.append(place[1:] > place[:-1], True)
    slope = np.cumsum(jump, axis=0)[last]
    place = place[last]
    value = np.cumsum(slope[:-1] * np.diff(place)[:, None], axis=0)
    return float(safe_row_norms(value).max(initial=0.0)), float(safe_row_norms(slope).max(initial=0.0))
