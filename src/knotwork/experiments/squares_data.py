"""The two squares of paper A, Figs. 5 and 7, and how networks on them are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..theory.exchangeability import exchangeable_tasks
from ..train.presets import RECIPES, Reading

Array = NDArray[np.float64]

RECIPE = RECIPES["multivariate"]
READINGS: tuple[Reading, ...] = ("all", "(3)")
N_TASKS = 101
SIDE = 41
# the square of the data
LINE = np.linspace(-1.0, 1.0, SIDE)
_GRID = np.stack(np.meshgrid(LINE, LINE), axis=-1).reshape(-1, 2)


def two_squares(n_tasks: int, seed: int) -> tuple[Array, Array]:
    """A Fig. 5: corners of squares of side 2 (label 0) and 1 (label 1); the other tasks are fair coins."""
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    X, first = np.concatenate([corners, 0.5 * corners]), np.repeat([0.0, 1.0], 4)
    if n_tasks == 1:
        return X, first[:, None]
    return X, np.column_stack([first, exchangeable_tasks(np.random.default_rng(seed), X, n_tasks - 1)])


def surface(network: ReLUNetwork) -> Array:
    """(SIDE, SIDE) the first output; rows are the second input, columns the first, both along `LINE`."""
    return network.predict(_GRID)[:, 0].reshape(SIDE, SIDE)


def spread(surfaces: Array) -> float:
    """Root mean square, over the square and over networks, of the distance to their mean function."""
    return float(np.sqrt(np.mean((surfaces - surfaces.mean(axis=0)) ** 2)))


def farthest(surfaces: Array, count: int) -> list[int]:
    """`count` of the networks: the two farthest apart, then each time the one farthest from those."""
    flat = surfaces.reshape(len(surfaces), -1)
    apart = np.sqrt(np.mean((flat[:, None] - flat) ** 2, axis=2))
    chosen = [int(k) for k in np.unravel_index(np.argmax(apart), apart.shape)]
    while len(chosen) < count:
        chosen.append(int(np.argmax(apart[:, chosen].min(axis=1))))
    return sorted(chosen[:count])
