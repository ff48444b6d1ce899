"""The data of every benchmark: kinks shared by the tasks, and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LAM_FACTORS = (0.02, 0.06, 0.2)
SPACINGS = ("regular", "random", "log-normal")


def inputs(n: int, spacing: str, rng: np.random.Generator) -> Array:
    """(n,) sorted inputs in [0, 1]: equally spaced, uniformly drawn, or log-normally spaced."""
    if spacing == "regular":
        return np.linspace(0.0, 1.0, n)
    if spacing == "random":
        return np.sort(rng.uniform(0.0, 1.0, n))
    if spacing == "log-normal":
        x = np.cumsum(np.exp(rng.standard_normal(n)))
        return (x - x[0]) / (x[-1] - x[0])
    raise ValueError(f"spacing: got {spacing!r}; choose one of {SPACINGS}")


def shared_kinks(
    n: int, n_tasks: int, seed: int, spacing: str = "random", missing: float = 0.0
) -> tuple[Array, Array]:
    """X (n,) and Y (n, T): 10 kinks shared by the tasks, slope jumps N(0, 10^2), noise N(0, .3^2);
    the share `missing` of the labels is NaN."""
    rng = np.random.default_rng(seed)
    x = inputs(n, spacing, rng)
    kinks = np.sort(rng.uniform(0.0, 1.0, 10))
    jumps = 10.0 * rng.standard_normal((10, n_tasks))
    Y = 0.3 * rng.standard_normal((n, n_tasks))
    for kink, jump in zip(kinks, jumps, strict=True):
        first = int(np.searchsorted(x, kink))
        Y[first:] += (x[first:, None] - kink) * jump
    if missing > 0:
        Y[rng.uniform(size=Y.shape) < missing] = np.nan
    return x, Y


def lam_of(factor: float, n: int) -> float:
    """lam = factor sqrt(n)."""
    return factor * float(np.sqrt(n))
