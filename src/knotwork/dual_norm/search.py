"""Several inputs, beyond exact reach: climb along great circles from many starts.

A step sweeps the whole circle through a neuron and its gradient, so that it crosses cells and never
goes down. What is found is attained, nothing is proven: rigour HEURISTIC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrangement import circle_candidates

Array = NDArray[np.float64]
_WORK = 1 << 23
_STEPS = 25
_ENOUGH = 1e-12
_POLISHED = 40


@dataclass(frozen=True, eq=False)
class Climb:
    """Neurons (S, d + 1), rows (w, b), and the responses (S,) that they attain."""

    neurons: Array
    values: Array


def climb(
    X: Array,
    alpha: Array,
    starts: Array,
    biases: bool,
    steps: int = _STEPS,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Climb:
    """Climb from every start (S, d + 1) to a local maximum of |sum_i alpha_i relu(w.x_i + b)| over unit
    neurons, |(w, b)| = 1 where `biases`, else |w| = 1 with the kink at a data point; one step is made
    whatever the clock says."""
    if biases:
        return _climb_sphere(np.column_stack([X, np.ones(len(X))]), alpha, starts, steps, out_of_time)
    neurons = best_biases(X, alpha, starts[:, :-1])
    values = np.full(len(neurons), -np.inf)
    alive = np.arange(len(neurons))
    for _ in range(steps):
        w, b = neurons[alive, :-1], neurons[alive, -1]
        anchor = np.argmin(np.abs(X @ w.T + b), axis=0)
        turned = _turn(X, alpha, w, X[anchor])
        moved = best_biases(X, alpha, turned)
        new = response(X, alpha, moved)
        better = new > values[alive] * (1.0 + _ENOUGH)
        neurons[alive[better]], values[alive[better]] = moved[better], new[better]
        alive = alive[better]
        if len(alive) == 0 or out_of_time():
            break
    top = np.argsort(-values, kind="stable")[:_POLISHED]
    for k in top.tolist():
        if out_of_time():
            break
        neurons[k], values[k] = _along_ridges(X, alpha, neurons[k], float(values[k]), steps)
    return Climb(neurons, values)


def _along_ridges(X: Array, alpha: Array, neuron: Array, value: float, steps: int) -> tuple[Array, float]:
    """Climb on while more data than the anchor stay on the kink: across it the response falls."""
    for _ in range(steps):
        w, b = neuron[:-1], neuron[-1]
        z = X @ w + b
        scale = np.abs(X) @ np.abs(w) + abs(b)
        kink = np.flatnonzero(np.abs(z) <= 1e-10 * scale)
        if len(kink) < 2:
            break
        anchor = X[kink[0]]
        still = np.where(np.abs(z) <= 1e-10 * scale, 0.0, z)
        tangent = _kept(np.vstack([X[kink[1:]] - anchor, w]), still, alpha, X, w, anchor)
        if tangent is None:
            break
        shift = X - anchor
        turned = _best_on_circle(w[None], tangent[None], (shift @ w)[None], (shift @ tangent)[None], alpha)
        moved = best_biases(X, alpha, turned)
        new = float(response(X, alpha, moved)[0])
        if not new > value * (1.0 + _ENOUGH):
            break
        neuron, value = moved[0], new
    return neuron, value


def response(X: Array, alpha: Array, neurons: Array) -> Array:
    """(S,) |sum_i alpha_i relu(w.x_i + b)|."""
    out = np.empty(len(neurons))
    step = max(1, _WORK // len(X))
    for low in range(0, len(neurons), step):
        part = neurons[low : low + step]
        hidden = np.maximum(X @ part[:, :-1].T + part[:, -1], 0.0)
        out[low : low + step] = np.sqrt(np.sum((hidden.T @ alpha) ** 2, axis=1))
    return out


def best_biases(X: Array, alpha: Array, W: Array) -> Array:
    """(S, d + 1) the unit directions W (S, d), each with the bias at which it responds most: between
    data points the response is convex in the bias, so that one of the N kinks there is best."""
    out = np.empty((len(W), X.shape[1] + 1))
    step = max(1, _WORK // (len(X) * (alpha.shape[1] + 2)))
    for low in range(0, len(W), step):
        w = W[low : low + step]
        z = (X @ w.T).T
        order = np.argsort(-z, axis=1, kind="stable")
        z = np.take_along_axis(z, order, axis=1)
        sums = np.cumsum(alpha[order], axis=1)
        fall = np.zeros_like(sums)
        fall[:, 1:] = np.cumsum(sums[:, :-1] * (z[:, :-1] - z[:, 1:])[..., None], axis=1)
        best = np.argmax(np.einsum("snt,snt->sn", fall, fall), axis=1)
        out[low : low + step, :-1] = w
        out[low : low + step, -1] = -z[np.arange(len(w)), best]
    return out


def _turn(X: Array, alpha: Array, w: Array, anchors: Array) -> Array:
    """The best of the circle through each w (S, d) and its gradient, the kink staying at its anchor."""
    out = np.empty_like(w)
    step = max(1, _WORK // (len(X) * 4 * (alpha.shape[1] + 1)))
    for low in range(0, len(w), step):
        part, at = w[low : low + step], anchors[low : low + step]
        shift = np.einsum("sd,sd->s", part, at)
        z = (X @ part.T - shift).T
        tangent = _tangent(part, z, alpha, X, at)
        other = (X @ tangent.T - np.einsum("sd,sd->s", tangent, at)).T
        out[low : low + step] = _best_on_circle(part, tangent, z, other, alpha)
    return out


def _climb_sphere(
    X: Array, alpha: Array, starts: Array, steps: int, out_of_time: Callable[[], bool]
) -> Climb:
    neurons = starts / np.linalg.norm(starts, axis=1)[:, None]
    nothing = np.zeros((len(neurons), X.shape[1]))
    values = np.full(len(neurons), -np.inf)
    alive = np.arange(len(neurons))
    chunk = max(1, _WORK // (len(X) * 4 * (alpha.shape[1] + 1)))
    for _ in range(steps):
        moved = np.empty((len(alive), X.shape[1]))
        for low in range(0, len(alive), chunk):
            part = neurons[alive[low : low + chunk]]
            z = (X @ part.T).T
            tangent = _tangent(part, z, alpha, X, nothing[: len(part)])
            moved[low : low + chunk] = _best_on_circle(part, tangent, z, (X @ tangent.T).T, alpha)
        new = response(X[:, :-1], alpha, moved)
        better = new > values[alive] * (1.0 + _ENOUGH)
        neurons[alive[better]], values[alive[better]] = moved[better], new[better]
        alive = alive[better]
        if len(alive) == 0 or out_of_time():
            break
    # inside its cell the best neuron is an eigenvector
    top = np.argsort(-values, kind="stable")[:_POLISHED]
    for k in top.tolist():
        if out_of_time():
            break
        for _ in range(3):
            on = X @ neurons[k] > 0.0
            pull = X[on].T @ alpha[on]
            vector = np.linalg.eigh(pull @ pull.T)[1][:, -1]
            both = np.stack([vector, -vector])
            new = response(X[:, :-1], alpha, both)
            if not new.max() > values[k] * (1.0 + _ENOUGH):
                break
            neurons[k], values[k] = both[np.argmax(new)], new.max()
        neurons[k], values[k] = _along_edges(X, alpha, neurons[k], float(values[k]), steps)
    return Climb(neurons, values)


def _along_edges(X: Array, alpha: Array, u: Array, value: float, steps: int) -> tuple[Array, float]:
    """`_along_ridges` for penalised biases: X (N, d + 1) has ones beside the inputs."""
    for _ in range(steps):
        z = X @ u
        kink = np.abs(z) <= 1e-10 * (np.abs(X) @ np.abs(u))
        if not kink.any():
            break
        tangent = _kept(np.vstack([X[kink], u]), np.where(kink, 0.0, z), alpha, X, u, np.zeros_like(u))
        if tangent is None:
            break
        moved = _best_on_circle(u[None], tangent[None], z[None], (X @ tangent)[None], alpha)
        new = float(response(X[:, :-1], alpha, moved)[0])
        if not new > value * (1.0 + _ENOUGH):
            break
        u, value = moved[0], new
    return u, value


def _kept(across: Array, z: Array, alpha: Array, X: Array, u: Array, anchor: Array) -> Array | None:
    """The unit gradient within the directions that keep `across` on the kink; None where none is left."""
    _, s, Vt = np.linalg.svd(across, full_matrices=True)
    along = Vt[int(np.sum(s > 1e-9 * s[0])) :]
    if len(along) == 0:
        return None
    gradient = _tangent(u[None], z[None], alpha, X, anchor[None])[0]
    tangent = along.T @ (along @ gradient)
    size = float(np.linalg.norm(tangent))
    return None if size <= 1e-14 else tangent / size


def _tangent(w: Array, z: Array, alpha: Array, X: Array, at: Array) -> Array:
    """Unit gradients of the squared response, across w."""
    on = (z > 0.0).astype(np.float64)
    pull = (on * z) @ alpha @ alpha.T * on
    gradient = pull @ X - pull.sum(axis=1)[:, None] * at
    gradient -= np.einsum("sd,sd->s", gradient, w)[:, None] * w
    size = np.linalg.norm(gradient, axis=1)
    still = size <= 1e-300
    axis = np.zeros_like(w)
    axis[np.arange(len(w)), np.argmin(np.abs(w), axis=1)] = 1.0
    axis -= np.einsum("sd,sd->s", axis, w)[:, None] * w
    gradient = np.where(still[:, None], axis, gradient)
    return gradient / np.linalg.norm(gradient, axis=1)[:, None]


def _best_on_circle(u: Array, tangent: Array, z: Array, other: Array, alpha: Array) -> Array:
    Z = np.stack([z, other], axis=-1)
    linear = np.zeros((len(u), 2, alpha.shape[1]))
    turns, values = circle_candidates(Z, alpha, linear)
    best = turns[np.arange(len(u)), np.argmax(values, axis=1)]
    new = best[:, :1] * u + best[:, 1:] * tangent
    return new / np.linalg.norm(new, axis=1)[:, None]
