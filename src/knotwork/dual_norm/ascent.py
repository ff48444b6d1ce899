"""Several inputs, many data: many neurons climb at once, every step a few matrix products.

The response of a unit neuron is nearly smooth where the data are many. Every neuron goes along its
own gradient, by steps of Barzilai and Borwein that the response is checked after: what counts is the best
place seen. What is found is attained, nothing is proven: rigour HEURISTIC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .search import Climb, best_biases, response

Array = NDArray[np.float64]
Real = NDArray[np.floating]
_BLOCK = 1 << 18
_COARSE, _FINE = 30, 60
_BEST = 48
_PLACED = 8
_NEAR, _SAME = 0.98, 1.0 - 1e-6
_FIRST, _LONGEST = 0.1, 0.3
_FALLEN = 0.05
_FLAT = 1e-6
_FAR = 100.0


def ascend(
    X: Array,
    alpha: Array,
    starts: Array,
    biases: bool,
    fine: int = _FINE,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Climb:
    """From every start (S, d + 1) towards a local maximum of |sum_i alpha_i relu(w.x_i + b)| over unit
    neurons, |(w, b)| = 1 where `biases`, else |w| = 1; the best of them go on for `fine` steps.

    Two steps are made whatever the clock says. Where biases are free the best end at the data.
    """
    walk = _Walk(X, alpha, biases)
    neurons, values = walk.climb(starts, _COARSE, out_of_time)
    top = walk.apart(neurons, values, _BEST, _NEAR)
    neurons, values = neurons[top], values[top]
    if fine and not out_of_time():
        neurons, values = walk.climb(neurons, fine, out_of_time)
    values = response(X, alpha, neurons)
    top = walk.apart(neurons, values, _BEST, _SAME)
    neurons, values = neurons[top], values[top]
    if not biases:
        top = np.arange(min(_PLACED, len(neurons)))
        placed = best_biases(X, alpha, neurons[top, :-1])
        there = response(X, alpha, placed)
        better = there > values[top]
        neurons[top[better]], values[top[better]] = placed[better], there[better]
    return Climb(neurons, values)


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs as matrix products like them: (X - centre) / reach beside a column of ones, in single
    precision where that can tell them apart. Penalised biases are felt, so that there nothing moves."""

    X: Real
    centre: Array
    reach: float

    @classmethod
    def of(cls, X: Array, biases: bool) -> Rows:
        mean = X.mean(axis=0)
        spread = np.sqrt(np.mean((X - mean) ** 2, axis=0))
        centre, reach = np.zeros_like(mean), 1.0
        if not biases:
            centre, reach = mean, float(np.sqrt(np.mean(spread**2))) or 1.0
        far = bool(np.any(np.abs(mean - centre) > _FAR * spread))
        rows = np.column_stack([(X - centre) / reach, np.ones(len(X))])
        return cls(rows.astype(np.float64 if far else np.float32), centre, reach)

    def moved(self, neurons: Array) -> Array:
        """(S, d + 1) the same neurons (w, b) over these rows, their responses divided by `reach`."""
        w, b = neurons[:, :-1], neurons[:, -1]
        return np.column_stack([w, (b + w @ self.centre) / self.reach])

    def back(self, moved: Array) -> Array:
        """`moved` undone."""
        w = moved[:, :-1]
        return np.column_stack([w, self.reach * moved[:, -1] - w @ self.centre])


class _Walk:
    """Responses and their gradients, by blocks of rows that stay in the cache."""

    def __init__(self, X: Array, alpha: Array, biases: bool) -> None:
        self.biases, self.rows = biases, Rows.of(X, biases)
        # a common factor changes nothing, and keeps single precision from overflowing
        unit = float(np.abs(alpha).max(initial=0.0)) or 1.0
        self.alpha = (alpha / unit).astype(self.rows.X.dtype)

    def climb(self, starts: Array, steps: int, out_of_time: Callable[[], bool]) -> tuple[Array, Array]:
        """The best places seen, and their responses but for a common factor."""
        u = self._on_sphere(self.rows.moved(starts))
        place, value = u.copy(), np.full(len(u), -np.inf)
        slope, length = np.zeros_like(u), np.full(len(u), _FIRST)
        before, slope_before = u, slope
        mark = value.copy()
        for step in range(steps):
            here, gradient = self._at(u)
            if step:
                length = _steps(u - before, slope_before - gradient, length, step % 2 == 1)
            better = here > value
            place[better], slope[better], value[better] = u[better], gradient[better], here[better]
            if step >= 2 and out_of_time():
                break
            if step % 10 == 9:
                if not np.any(value > mark * (1.0 + _FLAT)):
                    break
                mark = value.copy()
            fallen = here < (1.0 - _FALLEN) * value
            length[fallen] *= 0.25
            before = np.where(fallen[:, None], place, u)
            slope_before = np.where(fallen[:, None], slope, gradient)
            size = np.linalg.norm(slope_before, axis=1)
            far = np.minimum(length * size, np.where(fallen, 0.2, 1.0) * _LONGEST)
            u = self._on_sphere(before + (far / np.maximum(size, 1e-30))[:, None] * slope_before)
        return self.rows.back(place), value

    def apart(self, neurons: Array, values: Array, most: int, cosine: float) -> NDArray[np.intp]:
        """The best, and of those that are closer than an angle the best only."""
        u = self.rows.moved(neurons)
        u /= np.linalg.norm(u, axis=1)[:, None]
        left = np.argsort(-values, kind="stable")
        chosen: list[int] = []
        while len(left) and len(chosen) < most:
            chosen.append(int(left[0]))
            left = left[1:][u[left[1:]] @ u[left[0]] < cosine]
        return np.array(chosen, dtype=np.intp)

    def _on_sphere(self, u: Array) -> Array:
        return u / np.linalg.norm(u if self.biases else u[:, :-1], axis=1)[:, None]

    def _at(self, u: Array) -> tuple[Array, Array]:
        """Responses (S,) and the gradients (S, d + 1) of their logarithms, along the sphere."""
        data = self.rows.X
        columns = u.astype(data.dtype).T
        block = max(64, _BLOCK // max(1, len(u)))
        answer = np.zeros((len(u), self.alpha.shape[1]))
        for low in range(0, len(data), block):
            hidden = data[low : low + block] @ columns
            np.maximum(hidden, 0.0, out=hidden)
            answer += hidden.T @ self.alpha[low : low + block]
        value = np.linalg.norm(answer, axis=1)
        along = (answer / np.maximum(value, 1e-30)[:, None]).T.astype(data.dtype)
        gradient = np.zeros_like(u)
        for low in range(0, len(data), block):
            X = data[low : low + block]
            pull = self.alpha[low : low + block] @ along
            pull *= (X @ columns) > 0
            gradient += pull.T @ X
        free = u if self.biases else np.column_stack([u[:, :-1], np.zeros(len(u))])
        gradient -= np.einsum("sd,sd->s", gradient, free)[:, None] * free
        return value, gradient / np.maximum(value, 1e-30)[:, None]


def _steps(moved: Array, turned: Array, length: Array, long: bool) -> Array:
    """The steps of Barzilai and Borwein, the long or the short one; twice the last where none is."""
    cross = np.einsum("sd,sd->s", moved, turned)
    if long:
        found = np.einsum("sd,sd->s", moved, moved) / np.where(cross > 0, cross, 1.0)
    else:
        size = np.einsum("sd,sd->s", turned, turned)
        found = cross / np.where(size > 0, size, 1.0)
    return np.clip(np.where(cross > 0, found, 2.0 * length), 1e-4, 1e3)
