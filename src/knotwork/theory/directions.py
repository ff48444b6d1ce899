"""Does a task with few labels gain from tasks with many? Only where they bend alike (B, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from .._validate import read_only
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from .exchangeability import Solver

Array = NDArray[np.float64]
Bends = Literal["shared", "directions", "private"]
_BENDS = ("shared", "directions", "private")
_LAMS = tuple(float(lam) for lam in np.geomspace(1e-3, 3.0, 10))
_HELD_OUT, _TEST = 100, 500
_INSIDE, _APART, _TRIES = 0.7, 0.2, 1000


@dataclass(frozen=True, eq=False)
class DirectionsExperiment:
    """Errors of the task with few labels, fitted with the others and alone, draw by draw.

    bends : how the tasks with many labels bend: "shared", "directions" or "private".
    joint, separate : (n,) mean squared errors against the noiseless task at fresh inputs, in
        squared units of the label.
    lam_joint, lam_separate : (n,) the strengths that the held-out labels chose.
    """

    bends: str
    joint: Array
    separate: Array
    lam_joint: Array
    lam_separate: Array

    @property
    def gain(self) -> Array:
        """(n,) separate - joint, paired: positive where fitting jointly is better."""
        return self.separate - self.joint

    @property
    def mean_gain(self) -> float:
        return float(self.gain.mean())

    @property
    def standard_error(self) -> float:
        """Of `mean_gain`; NaN for one draw."""
        n = len(self.gain)
        return float(self.gain.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")


def directions_experiment(
    bends: Bends,
    *,
    n_draws: int = 50,
    random_state: int = 0,
    n_inputs: int = 1,
    n_rich_tasks: int = 6,
    n_rich: int = 60,
    n_poor: int = 10,
    n_bends: int = 2,
    noise: float = 0.1,
    lams: Sequence[float] = _LAMS,
    penalty: Penalty | None = None,
    solver: Solver = solve,
) -> DirectionsExperiment:
    """Joint against separate fits of a task with `n_poor` labels beside tasks with `n_rich` each.

    Every task is a line plus `n_bends` neurons a_j relu(w_j . x - t_j), |w_j| = 1, |a_j| in
    [2, 4], |t_j| <= 0.7, on inputs in [-1, 1]^d, its labels with Gaussian noise. The others bend as
    the first task does ("shared": same w_j and t_j, own a_j), in its directions but elsewhere
    ("directions": same w_j, t_j at least 0.2 from its own), or elsewhere in any direction
    ("private"). In one input the last two are the same. Weight decay couples tasks by |v_k| of a
    neuron, so it is neurons that must be shared: direction and place. (Bends of other tasks that
    are merely drawn from the same law do help a little: they say where bends are likely.)

    Both fits choose lam from `lams` by the same 100 labels of the first task that neither sees.
    The first task's data depend on `random_state` and the draw alone, so that kinds of bends are
    compared on the same data.

    Raises
    ------
    ValueError : for an argument out of range.
    """
    if bends not in _BENDS:
        raise ValueError(f"bends: must be one of {', '.join(_BENDS)}, got {bends!r}")
    counts = {"n_draws": n_draws, "n_inputs": n_inputs, "n_rich_tasks": n_rich_tasks, "n_rich": n_rich}
    for name, value in {**counts, "n_poor": n_poor, "n_bends": n_bends}.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name}: must be an integer >= 1, got {value!r}")
    if not 0.0 <= noise < np.inf:
        raise ValueError(f"noise: must be finite and >= 0, got {noise!r}")
    if len(lams) == 0:
        raise ValueError("lams: must hold at least one strength")
    penalty = penalty or Penalty()
    rows = []
    for draw in range(n_draws):
        rng = np.random.default_rng([random_state, draw])
        shape = n_bends, n_inputs
        W = _unit_rows(rng.standard_normal(shape))
        place = rng.uniform(-_INSIDE, _INSIDE, n_bends)
        task = _task(rng, W, place)
        # few inputs are spread out: holes at the ends would decide the error
        few = 2.0 * qmc.LatinHypercube(n_inputs, rng=rng).random(n_poor) - 1.0
        X = np.vstack([few, rng.uniform(-1.0, 1.0, (_HELD_OUT + _TEST, n_inputs))])
        y = task.predict(X) + noise * rng.standard_normal((len(X), 1))
        y[n_poor + _HELD_OUT :] = task.predict(X[n_poor + _HELD_OUT :])
        poor, held_out, test = np.split(np.arange(len(X)), [n_poor, n_poor + _HELD_OUT])
        X_rich = rng.uniform(-1.0, 1.0, (n_rich, n_inputs))
        Y_rich = np.empty((n_rich, n_rich_tasks))
        for t in range(n_rich_tasks):
            own = (W, place) if bends == "shared" else _elsewhere(rng, W, place, bends == "directions")
            Y_rich[:, [t]] = _task(rng, *own).predict(X_rich)
        Y_rich += noise * rng.standard_normal(Y_rich.shape)
        Y = np.full((n_poor + n_rich, 1 + n_rich_tasks), np.nan)
        Y[:n_poor, :1], Y[n_poor:, 1:] = y[poor], Y_rich
        both = Problem(np.vstack([X[poor], X_rich]), Y, lams[0], penalty=penalty)
        alone = Problem(X[poor], y[poor], lams[0], penalty=penalty)
        figures = []
        for problem in (both, alone):
            fits = [solver(problem.with_lam(lam)).network.predict(X)[:, 0] for lam in lams]
            misses = [(fit - y[:, 0]) ** 2 for fit in fits]
            best = int(np.argmin([miss[held_out].mean() for miss in misses]))
            figures += [float(misses[best][test].mean()), float(lams[best])]
        rows.append(figures)
    joint, lam_joint, separate, lam_separate = (read_only(np.array(part)) for part in zip(*rows, strict=True))
    return DirectionsExperiment(bends, joint, separate, lam_joint, lam_separate)


def _unit_rows(W: Array) -> Array:
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def _elsewhere(
    rng: np.random.Generator, W: Array, place: Array, same_directions: bool
) -> tuple[Array, Array]:
    """Directions (m, d) and places (m,) of bends apart from those given."""
    bend = place[:, None] * W
    directions, places = [], []
    for direction in W:
        for _ in range(_TRIES):
            w = direction if same_directions else _unit_rows(rng.standard_normal((1, W.shape[1])))[0]
            t = rng.uniform(-_INSIDE, _INSIDE)
            if np.linalg.norm(t * w - bend, axis=1).min() >= _APART:
                directions.append(w)
                places.append(t)
                break
        else:
            raise ValueError(f"n_bends: {len(W)} bends leave no place {_APART} apart from all; take fewer")
    return np.array(directions), np.array(places)


def _task(rng: np.random.Generator, W: Array, place: Array) -> ReLUNetwork:
    size = rng.choice([-1.0, 1.0], len(W)) * rng.uniform(2.0, 4.0, len(W))
    A, c = rng.standard_normal((W.shape[1], 1)), rng.standard_normal(1)
    return ReLUNetwork(W, -place, size[:, None], A, c)
