"""Where the training of a stacked network starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..train.initialisation import kaiming_uniform, parameters_of

Array = NDArray[np.float64]
Parts = dict[str, Array]
SCHEMES = ("default", "fold")
_FEWEST, _MOST = 2, 5
_STRETCH, _JITTER, _REST = 0.2, 0.02, 0.3
_DRAWS, _BENDS = 400, 6


def starting_point(
    problem: Problem, dims: Sequence[int], widths: Sequence[int], scheme: str, seed: int
) -> Parts:
    """The parameters of one seed, W1, b1, V1, c1, ..., those of stack j with j behind.

    "default" draws every stack like PyTorch's `nn.Linear`. "fold" makes the first two stacks, but not the
    last one, zigzags (`zigzag`): the pair, of 400 drawn, on whose outputs a ridge regression on 6 bends
    fits the labels best; where the last stack reads them it starts there. No period is given: what
    H = h_2(h_1) goes up and down is between 4 and 25 pieces.
    """
    rng = np.random.default_rng(seed)
    out: Parts = {}
    folds: list[ReLUNetwork] = []
    if scheme == "fold":
        stacks = min(2, len(widths) - 1)
        trials = [_folds(problem, dims, widths, stacks, rng) for _ in range(_DRAWS if stacks else 0)]
        folds = min(trials, key=lambda trial: _ridge(problem, trial, widths[-1])[0], default=[])
        if stacks == len(widths) - 1:
            folds = [*folds, _ridge(problem, folds, widths[-1])[1]]
    for j, (d, n_out, width) in enumerate(zip(dims[:-1], dims[1:], widths, strict=True), 1):
        shape = Problem(np.zeros((1, d)), np.zeros((1, n_out)), 1.0, penalty=problem.penalty)
        parts = kaiming_uniform(shape, width, rng)
        if j <= len(folds):
            fold = folds[j - 1]
            parts = _with_rest(parameters_of(fold, shape, width), parts, fold.n_neurons)
        out |= {f"{name}{j}": part for name, part in parts.items()}
    return out


def zigzag(
    X: Array, n_out: int, width: int, penalty: Penalty, rng: np.random.Generator, whole: bool
) -> ReLUNetwork:
    """Every output goes up and down between -1 and 1 along a direction of its own, balanced.

    Pieces are equal: the range of X over 2 to 5. With `whole` they fill it; else their length is
    stretched or shrunk by up to a fifth and the first bend lies anywhere within the first piece.

    An output has its share of the `width` neurons; what more bends than those would make is straight.

    Raises
    ------
    ValueError : where that share makes no bend.
    """
    d = X.shape[1]
    room = width // n_out - (penalty.skip == "none")
    if room < 1:
        raise ValueError(
            f"widths: a fold of {n_out} outputs needs {n_out * (1 + (penalty.skip == 'none'))} neurons, got "
            f"{width}; widen the stack or use initialisation='default'"
        )
    A, c = np.zeros((d, n_out)), np.zeros(n_out)
    W, b, V = [], [], []
    for t in range(n_out):
        u = rng.standard_normal(d)
        u = np.sign(u) if d == 1 else u / np.linalg.norm(u)
        low, high = float((X @ u).min()), float((X @ u).max())
        pieces = int(rng.integers(_FEWEST, _MOST + 1))
        length, first = (high - low) / pieces or 1.0, 1.0
        if not whole:
            length *= float(np.exp(rng.uniform(-_STRETCH, _STRETCH)))
            first = float(rng.uniform(0.05, 1.0))
        bends = np.arange(low + first * length, high - 1e-9 * length, length)[:room]
        slope = 2.0 / length
        # at the first bend, 1
        start = 1.0 - slope * first * length
        bends = bends + _JITTER * length * rng.standard_normal(len(bends))
        jumps = 2.0 * slope * (-1.0) ** np.arange(1, len(bends) + 1)
        if penalty.skip == "none":
            bends, jumps = np.append(low, bends), np.append(slope, jumps)
            c[t] = start
        else:
            A[:, t] = slope * u
            c[t] = start - slope * low
        W.append(np.tile(u, (len(bends), 1)))
        b.append(-bends)
        V.append(np.outer(jumps, np.arange(n_out) == t))
    return ReLUNetwork(np.vstack(W), np.concatenate(b), np.vstack(V), A, c).balance(penalty)


def _folds(
    problem: Problem, dims: Sequence[int], widths: Sequence[int], stacks: int, rng: np.random.Generator
) -> list[ReLUNetwork]:
    inputs, out = problem.X, []
    for j in range(stacks):
        out.append(zigzag(inputs, dims[j + 1], widths[j], problem.penalty, rng, whole=j > 0))
        inputs = out[-1].predict(inputs)
    return out


def _ridge(problem: Problem, folds: list[ReLUNetwork], width: int) -> tuple[float, ReLUNetwork]:
    """sum w (y - f)^2 + lam |B|^2 at the best f = relu(H(x) - quantiles) B + c, and that f of H."""
    H = problem.X
    for fold in folds:
        H = fold.predict(H)
    d = H.shape[1]
    n_bends = max(1, min(_BENDS, width // d))
    at = np.quantile(H, np.linspace(0.0, 1.0, n_bends, endpoint=False), axis=0)
    features = np.column_stack([np.ones(len(H)), np.maximum(H[:, None, :] - at, 0.0).reshape(len(H), -1)])
    weight, ridge = problem.label_weight(), problem.lam * np.eye(features.shape[1])
    Y = np.where(weight > 0, problem.Y, 0.0)
    if np.all(weight == 1.0):
        B = np.linalg.solve(features.T @ features + ridge, features.T @ Y)
    else:
        gram = (features.T[None] * weight.T[:, None]) @ features + ridge
        B = np.linalg.solve(gram, (features.T @ (weight * Y)).T[:, :, None])[:, :, 0].T
    residual = Y - features @ B
    W, used = np.tile(np.eye(d), (n_bends, 1)), slice(0, min(width, n_bends * d))
    V = np.array(B[1:][used], dtype=np.float64)
    last = ReLUNetwork(W[used], -at.ravel()[used], V, np.zeros((d, Y.shape[1])), B[0])
    return float(np.sum(weight * residual**2) + problem.lam * np.sum(B * B)), last.balance(problem.penalty)


def _with_rest(parts: Parts, rest: Parts, used: int) -> Parts:
    """The neurons that a fold does not need start small, as drawn by default."""
    out = dict(parts)
    for name in ("W", "b", "V"):
        out[name] = np.concatenate([parts[name][:used], _REST * rest[name][used:]])
    return out
