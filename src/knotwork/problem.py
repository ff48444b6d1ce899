"""What is to be solved: data, loss, penalty and the strength of weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._validate import as_float_array, read_only
from .free_parts import affine_fit, least_squares
from .losses import Loss, Multinomial, PerTask, Squared, resolve_loss
from .network import ReLUNetwork
from .penalty import Penalty

Array = NDArray[np.float64]
_CHUNK = 1 << 15
# products of input, label and weight, squared and summed, must stay inside float64
_DATA_LIMIT, _WEIGHT_LIMIT = 1e50, 1e40
INTERPOLATION_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Problem:
    """F(f) = sum_it w_it l(y_it, f_t(x_i)) + lam R(network); l is half the squared error by default.

    At `lam = 0` it is minimum-norm interpolation: R subject to f(x_i) = y_i (A (3)).
    There is no 1/N and no 1/T in the loss (docs/notation.md has the conversions).

    Parameters
    ----------
    X : (N, d) or (N,) inputs, finite; rows in any order, equal rows allowed.
    Y : (N, T) or (N,) labels; NaN is a missing label.
    lam : the strength of weight decay, >= 0, in units of label x input.
    loss : "squared", "huber" (delta = 1), "logistic" (labels 0 and 1), "multinomial" (tasks are
        classes), "poisson" (f is the log of the rate), "quantile" (tau = 0.5), an object such as
        `Huber(delta)` or `Quantile(tau)`, or a sequence of T of them, one for each task.
    penalty : which parameters are decayed, see `Penalty`.
    sample_weight : (N,) or (N, T) weights w >= 0; 0 is as good as a missing label.
    copy : False keeps views of float64, C-contiguous arrays instead of copies (memory for
        safety: changing them afterwards changes the problem).

    Raises
    ------
    TypeError, ValueError : naming the argument, what was given and what to do.
    """

    X: Array
    Y: Array
    lam: float
    loss: str | Loss | Sequence[str | Loss] = "squared"
    penalty: Penalty = field(default_factory=Penalty)
    sample_weight: Array | None = None
    copy: InitVar[bool] = True

    def __post_init__(self, copy: bool) -> None:
        X = as_float_array(self.X, "X", copy=copy)
        Y = as_float_array(self.Y, "Y", allow_nan=True, copy=copy)
        X, Y = _as_columns(X, "X"), _as_columns(Y, "Y")
        if len(X) != len(Y):
            raise ValueError(f"Y: has {len(Y)} rows but X has {len(X)}; they must match")
        if len(X) == 0:
            raise ValueError("X: holds no rows; a fit needs at least one")
        if X.shape[1] == 0 or Y.shape[1] == 0:
            raise ValueError(f"{'X' if X.shape[1] == 0 else 'Y'}: holds no columns")
        _check_scale(X, "X", _DATA_LIMIT)
        _check_scale(Y, "Y", _DATA_LIMIT)
        object.__setattr__(self, "X", read_only(X))
        object.__setattr__(self, "Y", read_only(Y))
        object.__setattr__(self, "lam", _as_lam(self.lam))
        object.__setattr__(self, "loss", resolve_loss(self.loss))
        if not isinstance(self.penalty, Penalty):
            raise TypeError(f"penalty: must be a knotwork.Penalty, got {self.penalty!r}")
        if self.sample_weight is not None:
            weight = _as_weight(self.sample_weight, Y.shape, copy)
            object.__setattr__(self, "sample_weight", read_only(weight))
        empty = np.flatnonzero(self.n_labels == 0)
        if len(empty):
            raise ValueError(f"Y: column {int(empty[0])} has no label (of positive weight); drop that task")
        self._check_loss()

    def _check_loss(self) -> None:
        loss = self.loss_function
        if not isinstance(loss, Squared):
            loss.check_labels(self.Y)
        if isinstance(loss, PerTask) and len(set(loss.losses)) == 1:
            object.__setattr__(self, "loss", loss.losses[0])
        if self.lam == 0 and not loss.interpolates:
            raise ValueError(
                f"lam: must be > 0 under loss={loss.name!r}, whose least value no finite prediction "
                "reaches; got 0"
            )
        weight = self.sample_weight
        per_label = weight is not None and weight.ndim == 2 and bool(np.any(weight != weight[:, :1]))
        if isinstance(loss, Multinomial) and per_label:
            raise ValueError("sample_weight: must be (N,) under loss='multinomial': a row counts as a whole")

    @property
    def loss_function(self) -> Loss:
        """The loss as an object."""
        return resolve_loss(self.loss)

    @property
    def n_rows(self) -> int:
        return len(self.X)

    @property
    def n_inputs(self) -> int:
        return self.X.shape[1]

    @property
    def n_tasks(self) -> int:
        return self.Y.shape[1]

    @cached_property
    def has_gaps(self) -> bool:
        """Whether any label is missing."""
        return bool(np.isnan(self.Y.sum())) and bool(np.isnan(self.Y).any())

    @cached_property
    def n_labels(self) -> NDArray[np.intp]:
        """(T,) labels of positive weight per task."""
        if self.sample_weight is None and not self.has_gaps:
            return np.full(self.n_tasks, self.n_rows)
        counts = np.zeros(self.n_tasks, dtype=np.intp)
        for rows in self._chunks():
            counts += np.count_nonzero(self.label_weight(rows), axis=0)
        return counts

    def label_weight(self, rows: slice = slice(None)) -> Array:
        """w_it of the rows, (n, T): the sample weight, and 0 where the label is missing."""
        Y = self.Y[rows]
        if self.sample_weight is None:
            weight = np.ones(Y.shape)
        else:
            weight = self.sample_weight[rows]
            weight = np.array(np.broadcast_to(weight if weight.ndim == 2 else weight[:, None], Y.shape))
        if self.has_gaps:
            weight[np.isnan(Y)] = 0.0
        return weight

    def with_lam(self, lam: float) -> Problem:
        """The same data under another strength of weight decay."""
        return Problem(self.X, self.Y, lam, self.loss, self.penalty, self.sample_weight, copy=False)

    def loss_value(self, network: ReLUNetwork) -> float:
        """sum_it w_it l(y_it, f_t(x_i))."""
        self.check_network(network)
        plain = self.sample_weight is None and not self.has_gaps
        loss, total = self.loss_function, 0.0
        for rows in self._chunks():
            Y, f = self.Y[rows], network.predict(self.X[rows])
            weight = None if plain else self.label_weight(rows)
            with np.errstate(over="ignore"):
                if isinstance(loss, Squared):
                    residual = Y - f
                    if weight is not None:
                        residual = np.where(weight > 0, residual * np.sqrt(weight), 0.0)
                    flat = residual.ravel()
                    total += 0.5 * float(flat @ flat)
                elif weight is None:
                    total += float(np.sum(loss.value(Y, f)))
                else:
                    seen = weight > 0
                    part = loss.value(np.where(seen, Y, 0.0), f)
                    total += float(np.sum(weight * np.where(seen, part, 0.0)))
        return total

    def misfit(self, network: ReLUNetwork) -> float:
        """max |y_it - f_t(x_i)| over the labels of positive weight."""
        self.check_network(network)
        worst = 0.0
        for rows in self._chunks():
            error = np.abs(self.Y[rows] - network.predict(self.X[rows]))
            worst = max(worst, float(error[self.label_weight(rows) > 0].max(initial=0.0)))
        return worst

    @cached_property
    def label_scale(self) -> float:
        """max |y_it| over the labels."""
        return max(float(np.nanmax(np.abs(self.Y[rows]), initial=0.0)) for rows in self._chunks())

    def objective(self, network: ReLUNetwork) -> float:
        """F(network); at lam = 0 R(network), infinite where a label is missed by more than
        1e-9 of the largest label.
        """
        if self.lam > 0:
            return self.loss_value(network) + self.lam * network.cost(self.penalty)
        if self.misfit(network) > INTERPOLATION_TOLERANCE * self.label_scale:
            return float("inf")
        return network.cost(self.penalty)

    def free_fit(self) -> ReLUNetwork:
        """The best network without neurons: weighted least squares on the free parts.

        What the labels leave open of A and c takes minimum norm. Separable labels (logistic,
        multinomial, Poisson) have none: then a point far on the way to it.
        """
        if isinstance(self.loss, Squared) and not self.penalty.biases:
            A, c = self._least_squares_fit()
        else:
            A, c = self._general_free_fit()
        d = self.n_inputs
        return ReLUNetwork(np.zeros((0, d)), np.zeros(0), np.zeros((0, self.n_tasks)), A, c)

    def _least_squares_fit(self) -> tuple[Array, Array]:
        linear = self.penalty.skip == "free"
        shared = not self.has_gaps and (self.sample_weight is None or self.sample_weight.ndim == 1)
        if shared:
            return least_squares(self.X, self.Y, self.sample_weight, linear)
        A, c = np.zeros((self.n_inputs, self.n_tasks)), np.zeros(self.n_tasks)
        for t in range(self.n_tasks):
            y = self.Y[:, t]
            keep = ~np.isnan(y)
            weight = None
            if self.sample_weight is not None:
                weight = self.sample_weight if self.sample_weight.ndim == 1 else self.sample_weight[:, t]
                weight = weight[keep]
            A_t, c_t = least_squares(self.X[keep], y[keep, None], weight, linear)
            A[:, t], c[t] = A_t[:, 0], c_t[0]
        return A, c

    def _general_free_fit(self) -> tuple[Array, Array]:
        lam, penalty = self.lam, self.penalty
        return affine_fit(
            self.X,
            self.Y,
            self.label_weight(),
            self.loss_function,
            linear=penalty.skip != "none",
            ridge_c=lam if penalty.biases else 0.0,
            ridge_A=lam if penalty.skip == "frobenius" else 0.0,
            nuclear=lam if penalty.skip == "nuclear" else 0.0,
        )

    def _chunks(self):
        step = max(1, _CHUNK // self.n_tasks)
        return (slice(low, low + step) for low in range(0, self.n_rows, step))

    def check_network(self, network: ReLUNetwork) -> None:
        """Raise TypeError or ValueError where `network` does not fit the data's inputs and tasks."""
        if not isinstance(network, ReLUNetwork):
            raise TypeError(f"network: must be a knotwork.ReLUNetwork, got {type(network).__name__}")
        if (network.n_inputs, network.n_tasks) != (self.n_inputs, self.n_tasks):
            raise ValueError(
                f"network: maps {network.n_inputs} inputs to {network.n_tasks} tasks, but the "
                f"problem has {self.n_inputs} inputs and {self.n_tasks} tasks"
            )


def _as_columns(array: Array, name: str) -> Array:
    if array.ndim == 1:
        return array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name}: must have one or two dimensions, got shape {array.shape}")
    return array


def _as_lam(lam: object) -> float:
    try:
        value = float(lam)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"lam: must be a number >= 0, got {lam!r}") from None
    except OverflowError:
        value = float("inf")
    if not 0 <= value < float("inf"):
        raise ValueError(f"lam: must be finite and >= 0, got {lam!r}")
    return value


def _as_weight(value: object, shape: tuple[int, ...], copy: bool) -> Array:
    weight = as_float_array(value, "sample_weight", copy=copy)
    if weight.shape not in ((shape[0],), shape):
        raise ValueError(f"sample_weight: must have shape ({shape[0]},) or {shape}, got {weight.shape}")
    if weight.min() < 0:
        raise ValueError("sample_weight: has a negative entry; weights must be >= 0")
    _check_scale(weight, "sample_weight", _WEIGHT_LIMIT)
    return weight


def _check_scale(array: Array, name: str, limit: float) -> None:
    """Refuse magnitudes whose products leave float64: no rescaling happens silently."""
    high = 0.0
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        high = max(high, float(np.fmax.reduce(part)), -float(np.fmin.reduce(part)))
    if high > limit:
        raise ValueError(f"{name}: values up to {high:.3g} lead out of float64; divide {name} by a constant")
    if 0 < high < 1 / limit:
        raise ValueError(
            f"{name}: values of at most {high:.3g} lead out of float64; multiply {name} by a constant"
        )
