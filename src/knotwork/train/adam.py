"""Adam on many seeds at once."""

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


def adam(
    problem: Problem,
    width: int,
    *,
    seeds: int | Sequence[int] = 32,
    steps: int = 20_000,
    learning_rate: float = 1e-2,
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
    """min over networks of `width` neurons of sum w l + (lam/2) sum of squares of the decayed parameters.

    Decayed are W and V, b and c too where the penalty has biases, A under a Frobenius norm; under a nuclear
    norm A is a sum of min(d, T) linear neurons u s', of which u and s are decayed. The minimum over
    rescalings is F of `Problem`: that is what is reported. Loss and decay are sums, so that a run of
    PyTorch's Adam on the mean of n squared errors has the same steps with eps (n / 2) for eps
    (`knotwork.lam_from_weight_decay`). Runs on a GPU where JAX finds one.

    Parameters
    ----------
    problem : any loss and penalty, gaps and weights; lam > 0.
    width : how many neurons.
    seeds : how many (0, 1, ...), or which. What a seed does depends on no other seed.
    steps, learning_rate : how many steps, and how long: a number times the schedule.
    schedule : "constant", "cosine" or "linear" (to 0 at the last step), or a function of the step, such as
        Optax's, that JAX can trace and that returns a factor.
    initialisation : "kaiming_uniform" (PyTorch's `nn.Linear`), "kaiming_normal", "xavier_normal",
        "data_kinks" (see `knotwork.train.initialisation`), a network to go on from, or one for each seed.
    batch_size : rows drawn at random, with replacement, for every step; None for all of them.
    rebalance_every : rescale every neuron to |v| = |w| after so many steps (the function stays, and Adam's
        moments go along); None never.
    check_every : steps between the checks, at which F is measured and a seed may stop. The network returned
        is the best of those seen at the start and the checks.
    tol : a seed stops once (F - L) / max(|F|, |L|) is at most this, L the lower bound; None never.
    lower_bound : L, from `knotwork.solve` on the same problem (then it proves the result too), or a number,
        which only stops. When None and `tol` is given, the best network is certified at checks 1, 2, 4, ...
    polish : at most so many steps of L-BFGS at the end.
    prune : leave out the neurons that cost at most this; 0 changes no prediction.
    batching : how seeds run: "serial" (a call each), "map" (one compiled loop, the same to the last bit),
        "vmap" (all at once, the same up to rounding), or "auto": "map" on a CPU, "vmap" on a GPU.
    dtype : of the training; results are float64.
    beta1, beta2, eps : Adam's own.
    checkpoint : a safetensors file. Where it exists the run goes on from it, to the same end, bit by bit;
        that of another run is refused.
    checkpoint_every : steps between its writing; None every 10 seconds.
    progress : True for a bar on standard error, or a function called at every check with a `TraceEntry` of
        the best seed, whose `round` counts steps; returning True stops.
    certify : False leaves out the certificate at the end, where `lower_bound` has none: the bound is 0.

    Raises
    ------
    ImportError : without JAX and Optax; pip install 'knotwork[train]'.
    TypeError, ValueError : naming the argument, what was given and what to do.
    """
    options = Options(
        width, seeds, steps, schedule, initialisation, batch_size, rebalance_every or 0, check_every, tol,
        lower_bound, polish, prune, batching, dtype, checkpoint, checkpoint_every, progress, certify,
    )  # fmt: skip
    options.check(problem)
    numbers = {
        "rate": positive(learning_rate, "learning_rate"),
        "steps": float(steps),
        "beta1": below_one(beta1, "beta1"),
        "beta2": below_one(beta2, "beta2"),
        "eps": positive(eps, "eps"),
    }
    require_jax()
    from ._loop import train
    from ._model import Model
    from ._steps import Adam

    model = Model.of(problem, width, batch_size)
    return train(problem, options, Adam(model, schedule, batch_size, options.rescale_every), numbers)
