"""The proximal gradient method on the path norm, on many seeds at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ..problem import Problem
from ..solution import Solution
from ..solvers.watch import Progress
from ._jax import require_jax
from ._options import Batching, Options, below_one, positive
from .initialisation import Initialisation
from .training import Training


def pathprox(
    problem: Problem,
    width: int,
    *,
    seeds: int | Sequence[int] = 32,
    steps: int = 20_000,
    adaptive: bool = True,
    learning_rate: float | None = None,
    schedule: str | Callable[[Any], Any] = "cosine",
    initialisation: Initialisation = "kaiming_uniform",
    batch_size: int | None = None,
    rebalance_every: int | None = None,
    check_every: int = 500,
    tol: float | None = None,
    lower_bound: float | Solution | None = None,
    polish: int = 0,
    prune: float = 0.0,
    batching: Batching = "auto",
    dtype: Literal["float64", "float32"] = "float64",
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    progress: bool | Progress | None = None,
    certify: bool = True,
) -> Training:
    """F = sum w l + lam R itself, by gradient steps on the loss and the proximal map of lam R.

    theta <- prox(theta - s g), g the gradient of sum w l and prox the minimiser over q of
    |q - theta|^2 / (2 s) + lam R(q). It is exact: neuron by neuron |v| |w| (or |v| |(w, b)|) shrinks both
    norms by a closed form, and sets the smaller one to 0 where it is at most s lam times the other. So
    neurons vanish, which weight decay only makes small (Yang et al. 2022, "PathProx", A's reference; b, c
    and A are added, and penalised c and A shrink alike).

    Parameters
    ----------
    adaptive : True for g and s as in Adam, with one average of squares for the input weights and one for
        the output weights of every neuron: the proximal map is exact for these, too. False for one s: with
        all rows found by backtracking (there is no schedule), with Nesterov's momentum dropped whenever F
        would rise (O'Donoghue, Candès 2015), so that F never rises, though it may stall where kinks meet
        data; with mini-batches `learning_rate` times the schedule.
    learning_rate : 1e-2 where adaptive; else, with `batch_size`, s, which must be given; else the first s
        that is tried (1).
    rebalance_every : as in `adam`. It undoes the imbalance by which neurons vanish.

    All others are those of `knotwork.train.adam`, and so are the errors.
    """
    options = Options(
        width, seeds, steps, schedule, initialisation, batch_size, rebalance_every or 0, check_every, tol,
        lower_bound, polish, prune, batching, dtype, checkpoint, checkpoint_every, progress, certify,
    )  # fmt: skip
    options.check(problem)
    if not isinstance(adaptive, bool):
        raise TypeError(f"adaptive: must be True or False, got {adaptive!r}")
    if not adaptive and batch_size is not None and learning_rate is None:
        raise ValueError("learning_rate: must be given with batch_size and adaptive=False")
    if not adaptive and batch_size is None and not problem.loss_function.smooth:
        raise ValueError(
            f"problem: loss={problem.loss_function.name!r} has no gradient to backtrack on; use adaptive=True"
        )
    start = 1e-2 if adaptive else 1.0
    numbers = {
        "rate": start if learning_rate is None else positive(learning_rate, "learning_rate"),
        "steps": float(steps),
        "beta1": below_one(beta1, "beta1"),
        "beta2": below_one(beta2, "beta2"),
        "eps": positive(eps, "eps"),
    }
    require_jax()
    from ._loop import train
    from ._model import Model
    from ._proximal import AdaptivePathProx, PathProx

    model = Model.of(problem, width, batch_size)
    steps_of = AdaptivePathProx if adaptive else PathProx
    return train(problem, options, steps_of(model, schedule, batch_size, options.rescale_every), numbers)
