"""Simulated tasks whose kinks are shared or their own, and what the error of a method is on them in truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from knotwork.comparing.fits import Setting
from knotwork.comparing.running import predictions
from knotwork.losses import Squared
from knotwork.selection.held_out import Scheme

Array = NDArray[np.float64]
N_FRESH = 4_000
METHODS = ("together", "apart")


@dataclass(frozen=True, eq=False)
class Case:
    """Labels to learn from, and what is held out: at X_new in expectation Y_new with variance noise (T,).

    counted : (n, T), which of Y_new count.
    """

    X: Array
    Y: Array
    X_new: Array
    Y_new: Array
    noise: Array
    counted: NDArray[np.bool_]


@dataclass(frozen=True)
class Simulation:
    """Kinked tasks on [0, 1]^d, fixed by `seed`; `draw` gives inputs, noise and gaps.

    What is not affine in a task has variance 1 (kinks of no task: it is affine).

    shared : the same kinks, own jumps; else each task has its own.
    n, n_tasks, d : sizes.
    kinks, noise : of the tasks in turn (kinks: one number where they are shared).
    missing : share of the labels.
    """

    shared: bool
    n: int
    n_tasks: int
    kinks: tuple[int, ...]
    noise: tuple[float, ...]
    missing: float = 0.0
    d: int = 1
    scheme: Scheme = "rows"
    seed: int = 0

    def draw(self, rng: np.random.Generator) -> Case:
        """One data set."""
        functions, noise = self._functions(), self._noise()
        X, X_new = rng.uniform(size=(self.n, self.d)), rng.uniform(size=(N_FRESH, self.d))
        F = functions(X)
        Y = F + noise * rng.standard_normal(F.shape)
        gone = rng.uniform(size=F.shape) < self.missing
        Y[gone] = np.nan
        if self.scheme == "labels":
            return Case(X, Y, X, F, noise**2, gone)
        return Case(X, Y, X_new, functions(X_new), noise**2, np.ones((N_FRESH, self.n_tasks), dtype=bool))

    def _noise(self) -> Array:
        return np.array(list(islice(cycle(self.noise), self.n_tasks)))

    def _functions(self) -> Callable[[Array], Array]:
        rng = np.random.default_rng([7, self.seed])
        counts = list(islice(cycle(self.kinks), self.n_tasks))
        shared, parts = self._kinks(rng, counts[0]), []
        for count in counts:
            W, b = shared if self.shared else self._kinks(rng, count)
            parts.append((W, b, rng.standard_normal(count)))
        X = rng.uniform(size=(N_FRESH, self.d))
        bent = np.column_stack([np.maximum(X @ W.T + b, 0.0) @ v for W, b, v in parts])
        lines = np.column_stack([np.ones(N_FRESH), X])
        line, *_ = np.linalg.lstsq(lines, bent, rcond=None)
        spread = (bent - lines @ line).std(axis=0)
        scale = np.where(np.array(counts) > 0, spread, 1.0)
        slope = rng.standard_normal((self.d, self.n_tasks))

        def values(X: Array) -> Array:
            bent = np.column_stack([np.maximum(X @ W.T + b, 0.0) @ v for W, b, v in parts])
            return (bent - line[0] - X @ line[1:]) / scale + X @ slope

        return values

    def _kinks(self, rng: np.random.Generator, count: int) -> tuple[Array, Array]:
        W = rng.standard_normal((count, self.d))
        W /= np.linalg.norm(W, axis=1)[:, None]
        return W, -np.sum(W * rng.uniform(0.1, 0.9, W.shape), axis=1)


def halves(X: Array, Y: Array) -> Callable[[np.random.Generator], Case]:
    """Draws a random half to learn from; the other is held out."""
    X = X[:, None] if X.ndim == 1 else X

    def draw(rng: np.random.Generator) -> Case:
        order = rng.permutation(len(X))
        mine, other = order[: len(X) // 2], order[len(X) // 2 :]
        return Case(X[mine], Y[mine], X[other], Y[other], np.zeros(Y.shape[1]), ~np.isnan(Y[other]))

    return draw


def held_out_errors(case: Case, scheme: Scheme, seed: int, inner_folds: int = 5) -> Array:
    """(2, T) mean squared error of each task at what is held out, learned together and apart from all
    labels of the case, lam chosen as `compare` does."""
    setting = Setting(Squared(), None, scheme, inner_folds, False, seed)
    rows, errors = ~np.isnan(case.Y).all(axis=1), []
    for name in METHODS:
        f, _ = predictions(name, case.X[rows], case.Y[rows], case.X_new, setting)
        square = np.where(case.counted, (case.Y_new - f) ** 2 + case.noise, 0.0)
        errors.append(square.sum(axis=0) / case.counted.sum(axis=0))
    return np.array(errors)
