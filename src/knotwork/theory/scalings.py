"""One network under two scalings: do tasks trained together differ from each trained alone (B, 4)?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._validate import as_count, read_only
from ..train.descent import Descent, descend
from ._inputs import as_number
from .arc_cosine import neural_tangent_kernel

Array = NDArray[np.float64]
_N_TEST = 64


@dataclass(frozen=True, eq=False)
class ScalingExperiment:
    """Networks of growing width without weight decay; the axes are M widths and n seeds.

    Every array is in units of label, and about one of two scalings of the same start: `ntk_...` of
    f = sqrt(2 / K) relu(x W' + b) V, `mean_field_...` of f = (s / K) relu(x W' + b) V, s = `small`, with
    steps K / s times as long: that is relu(x W' + b) V with steps as long as the former's and all parameters
    N(0, s / K) at the start, so small that neurons must move to fit anything.

    widths : (M,) K.
    ntk_joint_minus_separate, mean_field_joint_minus_separate : (M, n) max over test inputs and tasks of
        |joint - separate|: all tasks in one network, and each alone from the same W, b and its own column
        of V.
    ntk_to_kernel, mean_field_to_kernel : (M, n) max |joint - f|, f the same steps of descent with the
        kernel of infinite width, `neural_tangent_kernel`.
    ntk_label_error, mean_field_label_error : (M, n) max |f - y| of the joint fit on the data.
    kernel_label_error : the same of f.
    small : s.
    """

    widths: NDArray[np.int64]
    ntk_joint_minus_separate: Array
    mean_field_joint_minus_separate: Array
    ntk_to_kernel: Array
    mean_field_to_kernel: Array
    ntk_label_error: Array
    mean_field_label_error: Array
    kernel_label_error: float
    small: float

    @property
    def ntk_rate(self) -> float:
        """p of joint - separate ~ K^-p, from the seeds' geometric means: about 1/2."""
        return self.rate(self.ntk_joint_minus_separate)

    @property
    def mean_field_rate(self) -> float:
        """The same under the mean-field scaling: about 0."""
        return self.rate(self.mean_field_joint_minus_separate)

    @property
    def ntk_to_kernel_rate(self) -> float:
        """p of the distance to the kernel's fit: about 1/2."""
        return self.rate(self.ntk_to_kernel)

    @property
    def ratio_at_widest(self) -> float:
        """joint - separate, mean-field over NTK: the seeds' geometric means at the largest width."""
        here, there = self.mean_field_joint_minus_separate[-1], self.ntk_joint_minus_separate[-1]
        return float(np.exp(np.log(here).mean() - np.log(there).mean()))

    def rate(self, values: Array) -> float:
        """p of values (M, n) ~ K^-p: least squares on the logarithms of the seeds' geometric means."""
        return -float(np.polyfit(np.log(self.widths), np.log(values).mean(axis=1), 1)[0])


def scaling_experiment(
    *,
    widths: Sequence[int] = (64, 256, 1024),
    n_seeds: int = 3,
    n_points: int = 8,
    n_tasks: int = 3,
    n_inputs: int = 2,
    steps: int = 3_000,
    small: float = 0.2,
    random_state: int = 0,
) -> ScalingExperiment:
    """Whether infinitely wide networks without weight decay "benefit from multi-task learning ... when one
    does not use the scaling suggested by NTK" (B, section 1, of Jacot, Gabriel, Hongler 2018), in numbers.

    W, b and V start standard normal and are all trained, by full-batch gradient descent on the squared loss
    with steps of a fixed length, half of 1 / the largest eigenvalue of the kernel on the data; the function
    at the start is subtracted. Inputs are standard normal, and task t is |u_t . x|, u_t a random unit vector.

    Parameters
    ----------
    widths : K, at least two of them, growing.
    n_seeds : starts of every width.
    n_points, n_tasks, n_inputs : N, T >= 2, d.
    steps : of descent.
    small : s > 0 of the mean-field scaling. As it grows the neurons move less, and joint - separate falls.
    random_state : seed of the data, >= 0.

    Raises
    ------
    ImportError : without JAX; pip install 'knotwork[train]'.
    TypeError, ValueError : naming the argument.
    """
    sizes = [as_count(width, "widths") for width in widths]
    if len(sizes) < 2 or sizes[0] < 1 or any(np.diff(sizes) <= 0):
        raise ValueError(f"widths: must be at least two growing integers >= 1, got {widths!r}")
    least = {"n_seeds": 1, "n_points": 1, "n_tasks": 2, "n_inputs": 1}
    given = {"n_seeds": n_seeds, "n_points": n_points, "n_tasks": n_tasks, "n_inputs": n_inputs}
    for name, value in given.items():
        if as_count(value, name) < least[name]:
            raise ValueError(f"{name}: must be an integer >= {least[name]}, got {value!r}")
    small = as_number(small, "small", positive=True)
    rng = np.random.default_rng(as_count(random_state, "random_state"))
    X = rng.standard_normal((n_points, n_inputs))
    U = rng.standard_normal((n_inputs, n_tasks))
    Y = np.abs(X @ (U / np.linalg.norm(U, axis=0)))
    at = rng.standard_normal((_N_TEST, n_inputs))
    kernel = neural_tangent_kernel(X)
    # half the longest stable step of the limit: kernels of finite width are larger by chance
    length = 0.5 / float(np.linalg.eigvalsh(kernel)[-1])
    fit = _kernel_descent(kernel, Y, length, as_count(steps, "steps"))
    limit = neural_tangent_kernel(at, X) @ fit
    rows: dict[str, list[list[float]]] = {name: [] for name in _MEASURED}
    for width in sizes:
        start = _starts(n_seeds, width, n_inputs, n_tasks)
        for name, output, rate in (
            ("ntk", np.sqrt(2.0 / width), length),
            ("mean_field", small / width, width / small * length),
        ):
            joint = _train(start, X, Y, float(output), float(rate), steps)
            alone = [
                _train((*start[:2], start[2][:, :, [t]]), X, Y[:, [t]], float(output), float(rate), steps)
                for t in range(n_tasks)
            ]
            f = joint.predict(at)
            apart = np.concatenate([one.predict(at) for one in alone], axis=2)
            rows[f"{name}_joint_minus_separate"].append(_largest(f - apart))
            rows[f"{name}_to_kernel"].append(_largest(f - limit))
            rows[f"{name}_label_error"].append(list(joint.label_error))
    return ScalingExperiment(
        widths=np.array(sizes),
        kernel_label_error=float(np.abs(kernel @ fit - Y).max()),
        small=small,
        **{name: read_only(np.array(values)) for name, values in rows.items()},
    )


_MEASURED = (
    "ntk_joint_minus_separate", "mean_field_joint_minus_separate", "ntk_to_kernel", "mean_field_to_kernel",
    "ntk_label_error", "mean_field_label_error",
)  # fmt: skip


def _kernel_descent(kernel: Array, Y: Array, length: float, steps: int) -> Array:
    """(N, T) alpha with f = k(., X) alpha after `steps` of f <- f - length K (f - Y) from 0."""
    size, axes = np.linalg.eigh(kernel)
    left = np.clip(1.0 - length * size, 0.0, 1.0) ** steps
    share = np.divide(1.0 - left, size, out=np.zeros_like(size), where=size > 0)
    return axes @ (share[:, None] * (axes.T @ Y))


def _starts(n_seeds: int, width: int, d: int, T: int) -> tuple[Array, Array, Array]:
    drawn = [
        np.random.default_rng([seed, width]).standard_normal((width, d + 1 + T)) for seed in range(n_seeds)
    ]
    W, b, V = np.split(np.array(drawn), [d, d + 1], axis=2)
    return W, b[:, :, 0], V


def _train(
    start: tuple[Array, Array, Array], X: Array, Y: Array, output: float, rate: float, steps: int
) -> Descent:
    n = len(start[1])
    X, Y = (np.repeat(part[None], n, axis=0) for part in (X, Y))
    return descend(*start, X, Y, steps=steps, rate=rate, output=output, from_zero=True)


def _largest(values: Array) -> list[float]:
    """(n,) of (n, points, T)."""
    return list(np.abs(values).max(axis=(1, 2)))
