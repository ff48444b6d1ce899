"""All solutions of a problem in one input dimension: what is fixed, and what is free in between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array, read_only
from ..dual_norm.knots import row_norms
from ..network import ReLUNetwork
from ..solvers.spline import connect_the_dots
from ._hats import response
from ._masses import extreme_masses, extreme_value, fewest_blocks

Array = NDArray[np.float64]
_MISSED = 1e-11


class _Inside(NamedTuple):
    """Knots between two neighbouring inputs, made of mass taken from the knots at both.

    place, weight : (q,) where, and how much slope.
    taken : (2,) mass taken from the knot on the left and on the right.
    """

    place: Array
    weight: Array
    taken: Array


@dataclass(frozen=True, eq=False)
class SolutionSet:
    """{ f : f keeps the fitted values, and sum_k |jump_k| = cost }: every solution, of any width.

    Without missing labels (A, section 3; Debarre et al. 2022 for one task): the data are cut into
    runs of knots whose slope changes point along one unit vector u. On a run the part of f
    orthogonal to u is that of connect the dots, and the part along u is any convex interpolant
    with the run's end slopes; elsewhere f is connect the dots. With missing labels the masses
    of the knots, too, may move, within a polytope that the labels and the dual optimum cut out.

    Made by `uniqueness`, which says with what tolerances slope changes count as aligned.

    x : (n,) the distinct labelled inputs, increasing.
    values : (n, T) the values of one member there, in units of the labels.
    seen : (n, T) where a label fixes the value for every member.
    knot : (k,) the places in `x` of the bends of that member.
    jump : (k, T) its slope changes there.
    flat : (k - 1,) whether the knots k and k + 1 are neighbours in `x` and aligned.
    moves : (k, r) directions in which the masses |jump| can move; r = 0 without missing labels.
    """

    x: Array
    values: Array
    seen: NDArray[np.bool_]
    knot: NDArray[np.intp]
    jump: Array
    flat: NDArray[np.bool_]
    moves: Array

    def __post_init__(self) -> None:
        for name in ("x", "values", "seen", "knot", "jump", "flat", "moves"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @cached_property
    def cost(self) -> float:
        """R of every member, in units of label per input."""
        return float(self._mass.sum())

    @property
    def is_single(self) -> bool:
        """Whether the set is one function."""
        return not (self.flat.any() or self.moves.shape[1] or len(self.undetermined_lines))

    @cached_property
    def n_knots_min(self) -> int:
        """The fewest knots of any member: a run of m aligned intervals needs ceil((m + 1) / 2)."""
        mass = self._sparsest_mass
        return sum(-(-size // 2) for _, size in self._chains(mass))

    def sample(self, rng: int | np.random.Generator | None = None) -> ReLUNetwork:
        """A member drawn at random, none of whose free parts is at an extreme but by chance.

        Masses first, if missing labels let them move: a random mixture of vertices of their
        polytope. Then every knot of a run gives random shares of its mass to the intervals beside
        it, where a random number of knots takes it up.

        Raises
        ------
        TypeError : for what is neither a seed, a Generator nor None.
        """
        if not isinstance(rng, int | np.integer | np.random.Generator | None) or isinstance(rng, bool):
            raise TypeError(f"rng: must be an integer, a numpy.random.Generator or None, got {rng!r}")
        rng = np.random.default_rng(rng)
        mass = self._mass
        r = self.moves.shape[1]
        if r:
            corners = [extreme_masses(mass, self.moves, rng.standard_normal(len(mass))) for _ in range(r + 2)]
            mass = rng.dirichlet(np.ones(r + 3)) @ np.vstack([mass, *corners])
        share = rng.dirichlet(np.ones(3), size=len(mass))
        inside = {
            int(k): self._scatter(int(k), mass, np.array([share[k, 2], share[k + 1, 0]]), rng)
            for k in np.flatnonzero(self.flat)
        }
        return self._network(mass, inside, rng)

    def sparsest(self) -> ReLUNetwork:
        """A member with `n_knots_min` knots: along each run two neighbouring knots become one.

        Where missing labels let masses move, an integer programme picks them.
        """
        mass = self._sparsest_mass
        inside: dict[int, _Inside] = {}
        for first, size in self._chains(mass):
            for k in range(first, first + size - 1, 2):
                taken = mass[k : k + 2]
                place = taken @ self.x[self.knot[k : k + 2]] / taken.sum()
                inside[k] = _Inside(np.array([place]), np.array([taken.sum()]), taken)
        return self._network(mass, inside, None)

    def envelopes(self, x: ArrayLike) -> tuple[Array, Array]:
        """The least and the greatest f_t(x) over all members, each (m, T), at x (m,) or (m, 1).

        Both are attained, by members that need not be the same for different x or t; infinite where
        a task has labels at one input only.

        Raises
        ------
        TypeError, ValueError : for places that are not finite numbers of one column.
        """
        at = as_float_array(x, "x")
        if at.ndim == 2 and at.shape[1] == 1:
            at = at[:, 0]
        if at.ndim != 1:
            raise ValueError(f"x: must have shape (m,) or (m, 1), got {at.shape}")
        base = self._member_at(at)
        lower, upper = base.copy(), base.copy()
        for t in self.undetermined_lines:
            open_at = at != self.x[self.seen[:, t]][0]
            lower[open_at, t], upper[open_at, t] = -np.inf, np.inf
        if self.moves.shape[1] == 0:
            sag = self._deepest_sag(at)
            return lower + np.minimum(sag, 0.0), upper + np.maximum(sag, 0.0)
        position = np.concatenate([self._cells(at), np.zeros(0, dtype=np.intp)])
        for t in np.setdiff1d(np.arange(base.shape[1]), self.undetermined_lines):
            goals = self._response(at, t)
            for i, k in enumerate(position):
                bend = self._bend_at(at[i], int(k), t)
                if bend is None and np.abs(goals[i] @ self.moves).max() <= 1e-12 * self._span:
                    continue
                lower[i, t] += extreme_value(self._mass, self.moves, goals[i], bend)
                other = None if bend is None else (bend[0], bend[1], -bend[2])
                upper[i, t] -= extreme_value(self._mass, self.moves, -goals[i], other)
        return lower, upper

    def contains(self, network: ReLUNetwork, tol: float = 1e-9) -> bool:
        """Whether `network` is a member: at every label within `tol` max|values| of the fitted
        value, and sum_k |jump_k| within `tol` of the cost.

        The cost is that of the function: neurons at one place count by the bend they make together.

        Raises
        ------
        TypeError, ValueError : for a network of other inputs or tasks, or a tol that is not > 0.
        """
        if not isinstance(network, ReLUNetwork):
            raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
        if (network.n_inputs, network.n_tasks) != (1, self.values.shape[1]):
            raise ValueError(
                f"network: maps {network.n_inputs} inputs to {network.n_tasks} tasks; the members map "
                f"1 to {self.values.shape[1]}"
            )
        tol = as_tolerance(tol, "tol")
        size = float(np.abs(self.values).max())
        error = np.abs(network.predict(self.x) - self.values)[self.seen]
        with np.errstate(over="ignore"):
            cost = float(row_norms(network.knots.jump).sum())
        allowed = self.cost + tol * (self.cost + size / self._span)
        return bool(error.max(initial=0.0) <= tol * size and cost <= allowed)

    def moving_values(self) -> NDArray[np.bool_]:
        """(n,) where members differ at the inputs themselves."""
        moved = np.zeros(len(self.x), dtype=bool)
        for t in range(self.values.shape[1]):
            change = np.abs(self._response(self.x, t) @ self.moves).max(axis=1, initial=0.0)
            moved |= change > 1e-9 * self._span
        return moved

    @cached_property
    def _mass(self) -> Array:
        return row_norms(self.jump)

    @cached_property
    def _direction(self) -> Array:
        return self.jump / self._mass[:, None]

    @cached_property
    def _span(self) -> float:
        return float(self.x[-1] - self.x[0]) or 1.0

    @cached_property
    def undetermined_lines(self) -> NDArray[np.intp]:
        """The tasks with labels at one input only: any line through it costs nothing."""
        return np.flatnonzero(np.count_nonzero(self.seen, axis=0) == 1)

    @cached_property
    def _sparsest_mass(self) -> Array:
        if self.moves.shape[1] == 0:
            return self._mass
        return fewest_blocks(self._mass, self.moves, self.flat)

    def _chains(self, mass: Array) -> list[tuple[int, int]]:
        """(first knot, number of knots) of the runs of knots with mass."""
        held = np.flatnonzero(mass > 0)
        chains: list[tuple[int, int]] = []
        for k in held:
            if chains and chains[-1][0] + chains[-1][1] == k and self.flat[k - 1]:
                chains[-1] = chains[-1][0], chains[-1][1] + 1
            else:
                chains.append((int(k), 1))
        return chains

    def _along(self, k: int) -> Array:
        """(T,) the direction of the run between the knots k and k + 1."""
        u = self._direction[k] + self._direction[k + 1]
        return u / np.sqrt(u @ u)

    def _scatter(self, k: int, mass: Array, share: Array, rng: np.random.Generator) -> _Inside:
        """Random knots between the knots k and k + 1 for the shares of mass that both give."""
        taken = share * mass[k : k + 2]
        low, high = self.x[self.knot[k : k + 2]]
        total = float(taken.sum())
        if not taken.min() > 1e-6 * taken.max():
            return _Inside(np.zeros(0), np.zeros(0), np.zeros(2))
        centre = float(taken @ (low, high)) / total
        pairs = int(rng.integers(0, 4))
        if pairs == 0:
            return _Inside(np.array([centre]), np.array([total]), taken)
        # pairs about the centre, each in a stratum of its own so that no two knots meet
        stratum = (np.arange(pairs) + rng.uniform(0.1, 0.9, (2, pairs))) / pairs
        left, right = centre - (centre - low) * stratum[0], centre + (high - centre) * stratum[1]
        weight = total * rng.dirichlet(np.ones(pairs))
        lever = weight / (right - left)
        return _Inside(
            np.concatenate([left, right]),
            np.concatenate([lever * (right - centre), lever * (centre - left)]),
            taken,
        )

    def _network(
        self, mass: Array, inside: dict[int, _Inside], rng: np.random.Generator | None
    ) -> ReLUNetwork:
        """The member with these masses at the knots, parts of them moved inside runs."""
        values = self.values
        if self.moves.shape[1]:
            values = values + np.column_stack(
                [self._response(self.x, t) @ (mass - self._mass) for t in range(values.shape[1])]
            )
        if len(self.x) == 1:
            places, heights, jumps = self.x, values, np.zeros_like(values)
        else:
            ends = np.array([0, len(self.x) - 1])
            none = np.zeros((2, values.shape[1]))
            jump = mass[:, None] * self._direction
            places, heights, jumps = [self.x[ends]], [values[ends]], [none]
            for k, knots in inside.items():
                u, two = self._along(k), self.knot[k : k + 2]
                sag = response(self.x[two], knots.place, knots.place) @ knots.weight
                share = (knots.place - self.x[two[0]]) / (self.x[two[1]] - self.x[two[0]])
                chord = values[two[0]] + share[:, None] * (values[two[1]] - values[two[0]])
                places.append(knots.place)
                heights.append(chord + sag[:, None] * u)
                jumps.append(knots.weight[:, None] * u)
                for side in range(2):
                    # a knot that gives all its mass is gone, not a rounding error
                    gone = knots.taken[side] >= mass[k + side]
                    jump[k + side] = 0.0 if gone else jump[k + side] - knots.taken[side] * u
            left = np.any(jump != 0.0, axis=1)
            places.append(self.x[self.knot[left]])
            heights.append(values[self.knot[left]])
            jumps.append(jump[left])
            places, heights, jumps = (np.concatenate(part) for part in (places, heights, jumps))
            order = np.argsort(places)
            places, heights, jumps = places[order], heights[order], jumps[order]
        network = network_of(places, heights, jumps)
        if rng is None or len(self.undetermined_lines) == 0:
            return network
        A, c = network.A.copy(), network.c.copy()
        for t in self.undetermined_lines:
            slope = rng.standard_normal() * (float(np.abs(self.values).max()) or 1.0) / self._span
            A[0, t] += slope
            c[t] -= slope * self.x[self.seen[:, t]][0]
        return ReLUNetwork(network.W, network.b, network.V, A, c)

    def _member_at(self, at: Array) -> Array:
        """(m, T) the member of `values` at any place."""
        if len(self.x) == 1:
            return np.repeat(self.values, len(at), axis=0)
        node = np.concatenate([[0], self.knot, [len(self.x) - 1]])
        x, values = self.x[node], self.values[node]
        cell = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
        share = ((at - x[cell]) / (x[cell + 1] - x[cell]))[:, None]
        return (1.0 - share) * values[cell] + share * values[cell + 1]

    def _cells(self, at: Array) -> NDArray[np.intp]:
        """(m,) the knot k with at strictly between the knots k and k + 1, if flat there, else -1."""
        if not self.flat.any():
            return np.full(len(at), -1)
        place = self.x[self.knot]
        k = np.searchsorted(place, at, side="right") - 1
        inner = (k >= 0) & (k < len(place) - 1)
        k = np.where(inner, k, 0)
        return np.where(inner & self.flat[k] & (at > place[k]), k, -1)

    def _deepest_sag(self, at: Array) -> Array:
        """(m, T) f - connect the dots where the part along u is lowest: on the neighbouring lines."""
        out = np.zeros((len(at), self.values.shape[1]))
        cell = self._cells(at)
        on = np.flatnonzero(cell >= 0)
        if len(on) == 0:
            return out
        k = cell[on]
        place = self.x[self.knot]
        depth = np.minimum(self._mass[k] * (at[on] - place[k]), self._mass[k + 1] * (place[k + 1] - at[on]))
        u = self._direction[k] + self._direction[k + 1]
        out[on] = -depth[:, None] * u / row_norms(u)[:, None]
        return out

    def _response(self, at: Array, t: int) -> Array:
        """(m, k) what a unit of mass at each knot adds to f_t at each place."""
        return response(self.x[self.seen[:, t]], at, self.x[self.knot]) * self._direction[:, t]

    def _bend_at(self, at: float, k: int, t: int) -> tuple[int, float, float] | None:
        """What mass moved to `at`, between the knots k and k + 1, adds to f_t there."""
        if k < 0:
            return None
        low, high = self.x[self.knot[k : k + 2]]
        share = (at - low) / (high - low)
        return k, share, -float(self._along(k)[t]) * share * (1.0 - share) * (high - low)


def network_of(places: Array, heights: Array, jumps: Array) -> ReLUNetwork:
    """The network through `heights` at increasing `places` that bends by `jumps` there.

    The jumps as given cost what they should to the last digit; those of connect the dots, from
    differences of heights, are the better ones where close knots make steep slopes that cancel.
    """
    if len(places) == 1:
        none = np.zeros((0, 1))
        return ReLUNetwork(none, none[:, 0], np.zeros((0, heights.shape[1])), None, heights[0])  # type: ignore[arg-type]
    widest = int(np.argmax(np.diff(places)))
    inner = places[1:-1]
    facing = np.where(np.arange(1, len(places) - 1) <= widest, -1.0, 1.0)
    slope = (heights[widest + 1] - heights[widest]) / (places[widest + 1] - places[widest])
    network = ReLUNetwork(
        facing[:, None],
        0.0 - facing * inner,
        jumps[1:-1],
        slope[None, :],
        heights[widest] - places[widest] * slope,
    )
    if np.abs(network.predict(places) - heights).max() <= _MISSED * np.abs(heights).max():
        return network
    return connect_the_dots(places, heights)


def as_tolerance(value: object, name: str) -> float:
    """A finite number > 0, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name}: must be a number > 0, got {value!r}")
    if not 0 < float(value) < float("inf"):
        raise ValueError(f"{name}: must be finite and > 0, got {value!r}")
    return float(value)
