"""The same objective in other conventions: PyTorch's weight decay, paper A's and paper B's lambda.

Ours is F = sum w l + lam R with l = (y - f)^2 / 2 for squared loss, R the path norm of `Penalty`, whose
squared-norm form (1/2) sum |theta|^2 over the penalised parameters is R at balance
(`ReLUNetwork.balance`). Nothing here trains: a conversion holds for every balanced network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ._validate import as_float_array
from .losses import Loss, Multinomial, PerTask, Squared, resolve_loss
from .problem import Problem

LossMean = Literal["all", "rows", "none"]
SquaredError = Literal["whole", "half"]


def lam_from_weight_decay(
    weight_decay: float,
    labels: Problem | ArrayLike,
    *,
    loss_mean: LossMean = "all",
    loss: str | Loss | Sequence[str | Loss] = "squared",
) -> float:
    """lam = weight_decay n / 2 for the mean of n squared errors, weight_decay n for other losses.

    PyTorch's optimisers add `weight_decay` theta to the gradient, which is (weight_decay / 2) |theta|^2
    in the objective; `MSELoss` has no factor 1/2, the other losses are ours. (`L1Loss` is twice the
    quantile loss of tau = 0.5.) It decays all parameters it is given, biases, c and A too, unless they
    stand in a parameter group of their own. AdamW's decoupled decay is another problem.

    Parameters
    ----------
    weight_decay : >= 0, as given to `torch.optim.Adam` or `SGD`.
    labels : the problem, or its labels (N, T) or (N,), NaN where missing. Only their number enters:
        labels of weight 0 count as missing, other weights as 1.
    loss_mean : what the loss was averaged over: "all" labels ("mean" in PyTorch: n = N T without
        gaps, else the labels that are there), the "rows" that have a label (n = N), or "none" (a sum:
        n = 1). Classes (multinomial) are one term a row, so that "all" is "rows".
    loss : the loss, where `labels` is not a problem, which knows its own.

    Raises
    ------
    TypeError, ValueError : naming the argument; also for tasks that mix squared loss with others,
        which have no one factor.
    """
    return _number(weight_decay, "weight_decay") * _factor(labels, loss_mean, loss)


def weight_decay_from_lam(
    lam: float,
    labels: Problem | ArrayLike,
    *,
    loss_mean: LossMean = "all",
    loss: str | Loss | Sequence[str | Loss] = "squared",
) -> float:
    """weight_decay = 2 lam / n: the inverse of `lam_from_weight_decay`, with the same arguments."""
    return _number(lam, "lam") / _factor(labels, loss_mean, loss)


def lam_from_a2(lam: float, *, squared_error: SquaredError = "half") -> float:
    """lam of A's (2) with a data term: sum l + lam_A sum_k (|v_k|^2 + |w_k|^2), 2 |v_k| |w_k| at balance.

    2 lam_A where l = (y - f)^2 / 2, lam_A where l = (y - f)^2 ("whole"): then all is halved. The
    least (2) alone is twice the least (3), whose values the paper calls the same.
    """
    return 2.0 * lam_from_a3(lam, squared_error=squared_error)


def lam_from_a3(lam: float, *, squared_error: SquaredError = "half") -> float:
    """lam of A's (3), (9), (12): sum l + lam_A sum_k |v_k| over unit neurons.

    lam_A where l = (y - f)^2 / 2, lam_A / 2 where l = (y - f)^2 ("whole").
    """
    if squared_error not in ("whole", "half"):
        raise ValueError(f"squared_error: must be 'whole' or 'half', got {squared_error!r}")
    return _number(lam, "lam") * (1.0 if squared_error == "half" else 0.5)


def lam_from_b(lam: float) -> float:
    """lam of B's (4): sum |f - y|^2 + lam_B |theta|^2 over all parameters of one stack.

    It is lam_B itself: |w|^2 + b^2 + |v|^2 is 2 |v| |(w, b)| at balance, and all is halved. The
    penalty is `Penalty(biases=True, skip="none")`, or "frobenius" with linear neurons of their own.
    """
    return _number(lam, "lam")


def _factor(
    labels: Problem | ArrayLike, loss_mean: LossMean, loss: str | Loss | Sequence[str | Loss]
) -> float:
    if loss_mean not in ("all", "rows", "none"):
        raise ValueError(f"loss_mean: must be 'all', 'rows' or 'none', got {loss_mean!r}")
    if isinstance(labels, Problem):
        which, seen = labels.loss_function, labels.label_weight() > 0
    else:
        Y = as_float_array(labels, "labels", allow_nan=True)
        if Y.ndim not in (1, 2):
            raise ValueError(f"labels: must be a Problem or of shape (N, T) or (N,), got shape {Y.shape}")
        which, seen = resolve_loss(loss), ~np.isnan(Y if Y.ndim == 2 else Y[:, None])
    if not seen.any():
        raise ValueError("labels: none is there; a mean over no labels has no lam")
    losses = which.losses if isinstance(which, PerTask) else (which,)
    squared = {isinstance(one, Squared) for one in losses}
    if len(squared) == 2:
        raise ValueError(
            "loss: squared loss beside others has no one factor, since PyTorch's MSELoss is twice ours; "
            "convert each objective by hand"
        )
    n_rows = int(seen.any(axis=1).sum())
    n_all = n_rows if isinstance(which, Multinomial) else int(seen.sum())
    n = {"all": n_all, "rows": n_rows, "none": 1}[loss_mean]
    return 0.5 * n if squared == {True} else float(n)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: must be a number >= 0, got {value!r}")
    if not 0 <= float(value) < float("inf"):
        raise ValueError(f"{name}: must be finite and >= 0, got {value!r}")
    return float(value)
