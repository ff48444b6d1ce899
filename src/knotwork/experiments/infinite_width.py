"""Paper B, sections 1, 2.1, Remark 3.4: limits of infinite width that are fixed before labels are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..theory.arc_cosine import arc_cosine_kernel, neural_tangent_kernel
from ..theory.bayesian import lam_from_layer_variances, lam_from_variances, log_posterior, variances_from_lam
from ..theory.gaussian_process import gaussian_process
from ..theory.random_features import fit_random_features, random_features
from .experiment import Claim, Experiment, Plan, Verdict
from .records import Record, Settings

Array = NDArray[np.float64]
_VARIANCES = {
    "input_variance": 0.7,
    "bias_variance": 0.4,
    "weight_variance": 1.5,
    "output_bias_variance": 0.3,
}
_WRONG = ({"bias_variance": 0.0}, {"output_bias_variance": 0.0})
_BIASES = Penalty(True, "none")
_NOISE = 0.05
_MOST_ERRORS = 5.0
_ROUNDING = 1e-12


# kernels


def _kernel_pieces(plan: Plan) -> list[Settings]:
    width = 10**5 if plan.quick else 10**6
    seeds = plan.draws(2, 1)
    return [{"depth": depth, "seed": seed, "width": width} for depth in (1, 2, 3) for seed in range(seeds)]


def _kernels(depth: int, seed: int, width: int) -> Mapping[str, ArrayLike]:
    """Both kernels against `width` last-layer neurons, in standard errors; and wrong kernels."""
    rng = np.random.default_rng([depth, seed])
    points = rng.standard_normal((6, 2))
    draws = _last_layer(rng, points, depth, width)
    squared = rng.standard_normal(width) ** 2
    within = _VARIANCES | {"output_bias_variance": _VARIANCES["bias_variance"]}
    tangent = _VARIANCES["input_variance"] * points @ points.T + _VARIANCES["bias_variance"]
    if depth > 1:
        tangent = neural_tangent_kernel(points, depth=depth - 1, **within)
    rows, columns = np.tril_indices(len(points))
    off, wrong = np.zeros((2, len(rows))), np.zeros((2, 1 + len(_WRONG), len(rows)))
    for number, kernel in enumerate((arc_cosine_kernel, neural_tangent_kernel)):
        expected = kernel(points, depth=depth, **_VARIANCES)
        others = [2.0 * expected, *(kernel(points, depth=depth, **(_VARIANCES | one)) for one in _WRONG)]
        for pair, (i, j) in enumerate(zip(rows, columns, strict=True)):
            a, b = draws[i], draws[j]
            added = np.maximum(a, 0.0) * np.maximum(b, 0.0)
            if number:
                added += squared * (a > 0) * (b > 0) * tangent[i, j]
            mean = _VARIANCES["weight_variance"] * added.mean() + _VARIANCES["output_bias_variance"]
            error = _VARIANCES["weight_variance"] * added.std(ddof=1) / np.sqrt(width)
            off[number, pair] = abs(mean - expected[i, j]) / error
            wrong[number, :, pair] = [abs(mean - other[i, j]) / error for other in others]
    return {"off": off, "wrong": wrong}


def _last_layer(rng: np.random.Generator, points: Array, depth: int, width: int) -> Array:
    """(n, width) of what enters the last activation: a first layer's own, or the law of a later one."""
    if depth == 1:
        W = np.sqrt(_VARIANCES["input_variance"]) * rng.standard_normal((width, points.shape[1]))
        return points @ W.T + np.sqrt(_VARIANCES["bias_variance"]) * rng.standard_normal(width)
    inner = _VARIANCES | {"output_bias_variance": _VARIANCES["bias_variance"]}
    K = arc_cosine_kernel(points, depth=depth - 1, **inner)
    return np.linalg.cholesky(K) @ rng.standard_normal((len(points), width))


def _judge_kernels(records: Sequence[Record]) -> list[Claim]:
    off = max(float(one["off"].max()) for one in records)
    # of every wrong kernel its worst pair counts
    wrong = min(float(one["wrong"].max(axis=2).min()) for one in records)
    width = int(records[0].settings["width"])
    count = sum(one["off"].size for one in records)
    return [
        Claim(
            "networks of infinite width whose hidden layers are not learned have the arc-cosine kernels "
            "NNGP and NTK, whatever the labels are",
            "B, section 1",
            f"{count} values of both kernels at depths 1 to 3 against {width:,} sampled neurons: within "
            f"{off:.1f} standard errors, where the nearest wrong kernel is {wrong:.0f} away",
            Verdict.HOLDS if off <= _MOST_ERRORS < wrong else Verdict.FAILS,
            {"off": off, "wrong": wrong},
        )
    ]


# Remark 3.4


def _feature_pieces(plan: Plan) -> list[Settings]:
    widths = [100, 1000, 10_000] if plan.quick else [100, 1000, 10_000, 100_000]
    return [{"seed": seed, "widths": widths} for seed in range(plan.draws(4, 2))]


def _features(seed: int, widths: Sequence[int]) -> Mapping[str, ArrayLike]:
    X, Y, grid = _data(seed)
    problem = Problem(X, Y, _NOISE, penalty=_BIASES)
    limit = gaussian_process(X, Y, partial(arc_cosine_kernel, output_bias_variance=1.0), _NOISE).predict(grid)
    trained = solve(problem, tol=1e-8).network.predict(grid)
    rng = np.random.default_rng([1, seed])
    distance = []
    for width in widths:
        fit = fit_random_features(random_features(1, width, random_state=rng), problem)
        distance.append(float(np.sqrt(np.mean((fit.predict(grid) - limit) ** 2))))
    return {"distance": distance, "trained": float(np.sqrt(np.mean((trained - limit) ** 2)))}


def _judge_features(records: Sequence[Record]) -> list[Claim]:
    widths = np.array(records[0].settings["widths"], dtype=float)
    distance = np.sqrt(np.mean([one["distance"] ** 2 for one in records], axis=0))
    slope = float(np.polyfit(np.log(widths), np.log(distance), 1)[0])
    trained = float(np.mean([one.number("trained") for one in records]))
    goes = slope < -0.25 and distance[-1] < 0.5 * trained
    return [
        Claim(
            "with a random first layer and only the outputs trained, weight decay is ridge regression: "
            "another functional, with the square of the norm in place of the norm",
            "B, Remark 3.4",
            f"the fits go to the Gaussian process with the NNGP kernel like width^{slope:.2f}: root mean "
            f"square {distance[0]:.2g} off at {widths[0]:,.0f} neurons, {distance[-1]:.1g} at "
            f"{widths[-1]:,.0f}; the trained network of any width is {trained:.2g} off",
            Verdict.HOLDS if goes else Verdict.FAILS,
            {"slope": slope, "first": float(distance[0]), "last": float(distance[-1]), "trained": trained},
        )
    ]


def _data(seed: int, n: int = 24) -> tuple[Array, Array, Array]:
    """X (n, 1), a smooth task with noise of variance .05, and a grid."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-2.0, 2.0, n))
    y = np.sin(2.5 * x + rng.uniform(0.0, 2.0 * np.pi)) + np.sqrt(_NOISE) * rng.standard_normal(n)
    return x[:, None], y[:, None], np.linspace(-2.5, 2.5, 201)[:, None]


# section 2.1


def _mode_pieces(plan: Plan) -> list[Settings]:
    widths = [10**k for k in (range(1, 6) if plan.quick else range(1, 8))]
    return [{"seed": seed, "widths": widths, "sampled": [16, 64, 256]} for seed in range(plan.draws(4, 2))]


def _modes(seed: int, widths: Sequence[int], sampled: Sequence[int]) -> Mapping[str, ArrayLike]:
    X, Y, grid = _data(seed)
    prior = 1.0
    problem = Problem(X, Y, lam_from_variances(_NOISE, prior), penalty=_BIASES)
    variances = variances_from_lam(problem.lam, noise_variance=_NOISE)
    rng = np.random.default_rng([1, seed])
    values, objectives = [], []
    for _ in range(20):
        parts = (rng.standard_normal(shape) for shape in ((7, 1), (7,), (7, 1)))
        network = ReLUNetwork(*parts, c=rng.standard_normal(1)).balance(_BIASES)
        values.append(log_posterior(problem, network, variances))
        objectives.append(problem.objective(network) / _NOISE)
    objective = np.array(objectives)
    # the variance of f(1) under the prior of (4), which no width is in
    spread = []
    for n in sampled:
        w, b, v = rng.standard_normal((3, 4000, n))
        spread.append(float(np.var(np.sum(v * np.maximum(w + b, 0.0), axis=1))))
    process = gaussian_process(X, Y, arc_cosine_kernel, _NOISE).predict(grid)
    fits, neurons = [], []
    for n in widths:
        # the prior that has a Gaussian process as its limit: output weights of variance 2 / n
        lam = lam_from_layer_variances(_NOISE, 1.0, 2.0 / n)
        found = solve(problem.with_lam(lam), tol=1e-8).network
        fits.append(found.predict(grid)[:, 0])
        neurons.append(found.n_neurons)
    return {
        "spread": np.ptp(np.array(values) + objective) / objective.max(),
        "variance": spread,
        "X": X,
        "Y": Y,
        "grid": grid[:, 0],
        "mode": solve(problem, tol=1e-8).network.predict(grid)[:, 0],
        "process": process[:, 0],
        "scaled": np.array(fits),
        "neurons": neurons,
    }


def _judge_modes(records: Sequence[Record]) -> list[Claim]:
    spread = max(one.number("spread") for one in records)
    apart = [_off(one["mode"], one) for one in records]
    variance = np.mean([one["variance"] for one in records], axis=0)
    sampled = np.array(records[0].settings["sampled"], dtype=float)
    growth = float(np.polyfit(np.log(sampled), np.log(variance), 1)[0])
    widths = records[0].settings["widths"]
    none = [int(np.argmax(one["neurons"] == 0)) if (one["neurons"] == 0).any() else -1 for one in records]
    gone = max(widths[k] for k in none) if min(none) >= 0 else 0
    last = float(np.mean([_off(one["scaled"][-1], one) for one in records]))
    is_mode, differ = spread <= _ROUNDING, min(apart) > 0.05
    two_priors = abs(growth - 1.0) < 0.2 and gone > 0
    said: dict[str, Any] = {"apart": min(apart), "growth": growth, "last": last, "gone": float(gone)}
    return [
        Claim(
            "(4) is the maximum a posteriori of the parameters, lambda being the variance of the noise over "
            "that of the prior",
            "B, section 2.1",
            f"log posterior + F / noise variance is the same number for {20 * len(records)} random balanced "
            f"networks, to {spread:.0e} of F / noise variance",
            Verdict.HOLDS if is_mode else Verdict.FAILS,
            {"spread": spread},
        ),
        Claim(
            "mode and limit of infinite width do not exchange: the mode of wide networks is not close to "
            "the mode of the Gaussian process they tend to",
            "B, section 2.1",
            f"the mode is {min(apart):.2f} to {max(apart):.2f} (root mean square, labels of size .7) from "
            f"the Gaussian process. But under its prior the variance of f grows like n^{growth:.2f}, and no "
            "process is the limit; under the prior that has one (output weights of variance 2 / n) the mode "
            "has "
            + (f"no neurons from n = {gone:,} on" if gone else "neurons at every n tried")
            + f", {last:.2f} from the process",
            Verdict.CORRECTED if differ and two_priors else Verdict.HOLDS if differ else Verdict.FAILS,
            said,
            "the two are modes of different priors: (4) needs one that does not depend on the width, the "
            "process one that falls with it; in parameters the latter's mode tends to a constant",
        ),
    ]


def _off(f: Array, record: Record) -> float:
    return float(np.sqrt(np.mean((f - record["process"]) ** 2)))


EXPERIMENTS = (
    Experiment(
        name="b-kernels",
        title="Kernels of infinitely wide networks",
        figures=(),
        shows="Limits in the literature in which wide networks are Gaussian processes with a fixed kernel.",
        ours="Six points in the plane, variances .7 (input), .4 (bias), 1.5 (weight), .3 (output bias); "
        "deeper kernels are sampled layer by layer.",
        pieces=_kernel_pieces,
        compute=_kernels,
        judge=_judge_kernels,
        effort=2.0,
    ),
    Experiment(
        name="b-remark-3-4",
        title="A random first layer",
        figures=(),
        shows="Where only the outputs are trained, weight decay penalises the squared second derivative.",
        ours="24 labels of a sine, noise variance = lam = .05.",
        pieces=_feature_pieces,
        compute=_features,
        judge=_judge_features,
        effort=1.0,
    ),
    Experiment(
        name="b-section-2-1",
        title="Mode and limit",
        figures=(),
        shows="Networks trained with weight decay are a posterior mode, another than that of the Gaussian "
        "process.",
        ours="24 labels of a sine, noise variance .05, prior variance 1.",
        pieces=_mode_pieces,
        compute=_modes,
        judge=_judge_modes,
        effort=1.0,
    ),
)
