"""Shallow vector-valued ReLU networks and what weight decay charges for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validate import as_float_array, read_only
from .penalty import Penalty

Array = NDArray[np.float64]
_CHUNK = 1 << 18
_MANY_NEURONS = 32


class Knots(NamedTuple):
    """Where a univariate network bends: f' jumps by `jump[k]` at `location[k]`.

    location : (K,), sorted and distinct, in units of the input.
    jump : (K, T), in units of label per input.
    """

    location: Array
    jump: Array


@dataclass(frozen=True, eq=False)
class ReLUNetwork:
    """f(X) = relu(X W^T + b) V + X A + c, row k of W, b, V being neuron k (A (1)).

    Parameters
    ----------
    W : (K, d) input weights w_k.
    b : (K,) biases.
    V : (K, T) output weights v_k.
    A : (d, T) skip connection; the transpose of A's (1). Zero when left out.
    c : (T,) output bias. Zero when left out.

    Raises
    ------
    TypeError, ValueError : naming the array whose type, shape or value is wrong.
    """

    W: Array
    b: Array
    V: Array
    A: Array = None  # type: ignore[assignment]
    c: Array = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        W = as_float_array(self.W, "W", copy=True)
        b = as_float_array(self.b, "b", copy=True)
        V = as_float_array(self.V, "V", copy=True)
        if W.ndim != 2 or W.shape[1] == 0:
            raise ValueError(f"W: must have shape (K, d) with d >= 1, got {W.shape}")
        if V.ndim != 2 or V.shape[1] == 0:
            raise ValueError(f"V: must have shape (K, T) with T >= 1, got {V.shape}")
        d, n_tasks = W.shape[1], V.shape[1]
        A = np.zeros((d, n_tasks)) if self.A is None else as_float_array(self.A, "A", copy=True)
        c = np.zeros(n_tasks) if self.c is None else as_float_array(self.c, "c", copy=True)
        expected = {
            "b": (b, (len(W),)),
            "V": (V, (len(W), n_tasks)),
            "A": (A, (d, n_tasks)),
            "c": (c, (n_tasks,)),
        }
        for name, (array, shape) in expected.items():
            if array.shape != shape:
                raise ValueError(
                    f"{name}: must have shape {shape} beside W {W.shape} and V {V.shape}, got {array.shape}"
                )
        for name, array in (("W", W), ("b", b), ("V", V), ("A", A), ("c", c)):
            object.__setattr__(self, name, read_only(array))

    @property
    def n_neurons(self) -> int:
        return len(self.b)

    @property
    def n_inputs(self) -> int:
        return self.W.shape[1]

    @property
    def n_tasks(self) -> int:
        return self.V.shape[1]

    def predict(self, X: ArrayLike) -> Array:
        """f(X), always of shape (n, T); X is (n, d), or (n,) when d = 1."""
        X = as_float_array(X, "X")
        if X.ndim == 1 and self.n_inputs == 1:
            X = X[:, None]
        if X.ndim != 2 or X.shape[1] != self.n_inputs:
            raise ValueError(f"X: must have shape (n, {self.n_inputs}), got {X.shape}")
        if self.n_inputs == 1 and self.n_neurons > _MANY_NEURONS:
            return self._predict_by_segments(X[:, 0])
        out = np.empty((len(X), self.n_tasks))
        step = max(1, _CHUNK // max(1, self.n_neurons))
        for low in range(0, len(X), step):
            rows = X[low : low + step]
            hidden = rows @ self.W.T
            hidden += self.b
            np.maximum(hidden, 0.0, out=hidden)
            part = out[low : low + step]
            np.matmul(hidden, self.V, out=part)
            part += rows @ self.A
            part += self.c
        return out

    def cost(self, penalty: Penalty | None = None) -> float:
        """R of the table in `Penalty`, of these parameters, at any scaling of the neurons.

        Raises
        ------
        ValueError : when `penalty` allows no skip connection and A is not zero.
        """
        penalty = penalty or Penalty()
        total = float(self.neuron_costs(penalty).sum())
        if penalty.skip == "none" and np.any(self.A):
            raise ValueError(
                "A: must be zero under skip='none'; express the linear part by neurons, "
                "or price the network with another penalty"
            )
        if penalty.biases:
            total += 0.5 * float(self.c @ self.c)
        if penalty.skip == "frobenius":
            total += 0.5 * float(np.sum(self.A * self.A))
        elif penalty.skip == "nuclear":
            total += float(np.linalg.svd(self.A, compute_uv=False).sum())
        return total

    def balance(self, penalty: Penalty | None = None) -> ReLUNetwork:
        """The same function with |v_k| equal to the penalised input norm of each neuron.

        There half the sum of squares of the neurons' penalised parameters is their cost.
        Neurons without effect (v_k = 0, or nothing penalised and w_k = 0) become constants
        of c or vanish.
        """
        penalty = penalty or Penalty()
        network = self if penalty.biases else self._without_constant_neurons()
        norms_in, norms_out = network._input_norms(penalty), safe_row_norms(network.V)
        keep = (norms_in > 0) & (norms_out > 0)
        # sqrt before dividing: the ratio of the norms may overflow where its root does not
        scale = np.sqrt(norms_out[keep]) / np.sqrt(norms_in[keep])
        return ReLUNetwork(
            network.W[keep] * scale[:, None],
            network.b[keep] * scale,
            network.V[keep] / scale[:, None],
            network.A,
            network.c,
        )

    def canonicalise(self, penalty: Penalty | None = None) -> ReLUNetwork:
        """The same function, its neurons of unit input norm, merged where equal, and sorted.

        With a free skip connection relu(-z) = relu(z) - z turns every neuron so that the
        first nonzero entry of w_k is positive. The cost never rises.
        """
        penalty = penalty or Penalty()
        network = self if penalty.biases else self._without_constant_neurons()
        norms = network._input_norms(penalty)
        keep = (norms > 0) & (safe_row_norms(network.V) > 0)
        W = network.W[keep] / norms[keep, None]
        b = network.b[keep] / norms[keep]
        V = network.V[keep] * norms[keep, None]
        A, c = network.A.copy(), network.c.copy()
        if penalty.skip == "free":
            first = W[np.arange(len(W)), np.argmax(W != 0, axis=1)] if len(W) else np.zeros(0)
            flip = first < 0
            A += W[flip].T @ V[flip]
            c += b[flip] @ V[flip]
            W[flip] *= -1.0
            b[flip] *= -1.0
        unit, which = np.unique(np.column_stack([W, -b]), axis=0, return_inverse=True)
        merged = np.zeros((len(unit), self.n_tasks))
        np.add.at(merged, which.ravel(), V)
        alive = safe_row_norms(merged) > 0
        return ReLUNetwork(unit[alive, :-1], -unit[alive, -1], merged[alive], A, c)

    def prune(self, threshold: float = 0.0) -> ReLUNetwork:
        """Without the neurons whose |v_k| |w_k| is at most `threshold`.

        Constant neurons (w_k = 0) move into c, so that `prune(0.0)` changes no prediction.
        """
        if not threshold >= 0:
            raise ValueError(f"threshold: must be >= 0, got {threshold!r}")
        network = self._without_constant_neurons()
        keep = network.neuron_costs(Penalty()) > threshold
        return ReLUNetwork(network.W[keep], network.b[keep], network.V[keep], network.A, network.c)

    @property
    def knots(self) -> Knots:
        """Where f' jumps and by how much (d = 1): at -b/w, by |w| v."""
        if self.n_inputs != 1:
            raise ValueError(f"knots: only a network of one input has knots; this one has {self.n_inputs}")
        w = self.W[:, 0]
        bends = w != 0
        with np.errstate(over="ignore"):
            place = -self.b[bends] / w[bends] + 0.0
        location, which = np.unique(place, return_inverse=True)
        jump = np.zeros((len(location), self.n_tasks))
        np.add.at(jump, which, np.abs(w[bends, None]) * self.V[bends])
        # a knot beyond float64 bends by less than rounding wherever its neuron's values fit
        alive = np.any(jump != 0, axis=1) & np.isfinite(location)
        return Knots(location[alive], jump[alive])

    def _predict_by_segments(self, x: Array) -> Array:
        """f(x) for x (n,) in O((n + K) log K), accumulated outwards from the widest gap between
        knots: steep bends among close knots are never summed across it."""
        network = self._without_constant_neurons()
        location, jump = network.knots
        if len(location) < 2:
            return (
                np.maximum(x[:, None] @ network.W.T + network.b, 0.0) @ network.V
                + x[:, None] * self.A
                + network.c
            )
        gap = int(np.argmax(np.diff(location)))
        # the end of the gap among the many knots: an outlier may lie far from all data
        start = gap + 1 if gap + 1 <= len(location) // 2 else gap
        w = network.W[:, 0]
        middle = 0.5 * (location[gap] + location[gap + 1])
        slope_in_gap = network.A[0] + w[middle * w + network.b > 0] @ network.V[middle * w + network.b > 0]
        value_at_start = (
            np.maximum(location[start] * w + network.b, 0.0) @ network.V
            + location[start] * network.A[0]
            + network.c
        )
        slope = np.empty((len(location) + 1, self.n_tasks))
        slope[gap + 1] = slope_in_gap
        slope[gap + 2 :] = slope_in_gap + np.cumsum(jump[gap + 1 :], axis=0)
        slope[: gap + 1] = slope_in_gap - np.cumsum(jump[gap::-1], axis=0)[::-1]
        steps = slope[1:-1] * np.diff(location)[:, None]
        value = np.empty_like(jump)
        value[start] = value_at_start
        value[start + 1 :] = value_at_start + np.cumsum(steps[start:], axis=0)
        value[:start] = value_at_start - np.cumsum(steps[start - 1 :: -1], axis=0)[::-1] if start else 0.0
        segment = np.searchsorted(location, x, side="right")
        knot = np.clip(segment - 1, 0, None)
        return value[knot] + slope[segment] * (x - location[knot])[:, None]

    def _input_norms(self, penalty: Penalty) -> Array:
        return safe_row_norms(np.column_stack([self.W, self.b]) if penalty.biases else self.W)

    def neuron_costs(self, penalty: Penalty) -> Array:
        """(K,) what `penalty` charges for each neuron: |v_k| |w_k| or |v_k| |(w_k, b_k)|."""
        return safe_row_norms(self.V) * self._input_norms(penalty)

    def _without_constant_neurons(self) -> ReLUNetwork:
        bends = np.any(self.W != 0, axis=1)
        if bends.all():
            return self
        c = self.c + np.maximum(self.b[~bends], 0.0) @ self.V[~bends]
        return ReLUNetwork(self.W[bends], self.b[bends], self.V[bends], self.A, c)


def safe_row_norms(M: Array) -> Array:
    """Euclidean norms of the rows, without overflow of the squares."""
    largest = np.abs(M).max(axis=1, initial=0.0)
    safe = np.where(largest > 0, largest, 1.0)
    return np.linalg.norm(M / safe[:, None], axis=1) * largest
