"""What tasks learn from each other (B, sections 2.1, 4): fixed kernels, trained networks, correlated tasks.

    python benchmarks/contrast.py [--quick] [--only NAME ...]

separate   joint minus separate, the largest difference of any prediction in units of the labels' standard
           deviation: all tasks as one Gaussian system or one least-squares problem against one task at a
           time; N = 60, d = 3, T = 5, complete and with 30 % of the labels missing. The trained network,
           certified to a gap of 1e-8, is in one input (N = 60) beside the same methods.
width      NNGP and NTK kernels against sampled networks, 10^6 neurons, in standard errors: the worst of
           all pairs of 6 points and all seeds. Beside it the least that a wrong kernel deviates at its
           worst pair: twice the kernel, no bias, no output bias. Deeper kernels are sampled layer by layer.
published  both kernels against the recursion as printed, by arccos, at generic points.
prior      log posterior + F / noise variance: its spread over random balanced networks of one width.
correlated mean squared error of a task of 4 labels beside three of 20, correlated .95 with random signs:
           alone, told B, told B with the task's sign wrong, B fitted; medians over draws.

Every figure is the worst of five seeds, or as said. The last column has seconds of one thread.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from one_input import HEADER, Row
from threadpoolctl import threadpool_limits

import knotwork as kw
from knotwork.experiments.contrast import OneLeastSquares
from knotwork.theory.arc_cosine import arc_cosine_kernel, neural_tangent_kernel
from knotwork.theory.bayesian import log_posterior, variances_from_lam
from knotwork.theory.contrast import coregionalisation_experiment, joint_minus_separate
from knotwork.theory.coregionalised import coregionalised
from knotwork.theory.gaussian_process import gaussian_process, rbf_kernel
from knotwork.theory.random_features import fit_random_features, random_features

Array = NDArray[np.float64]
BIASES = kw.Penalty(biases=True, skip="none")
WIDTH, LAM = 1_000_000, 0.05
VARIANCES = {"input_variance": 0.7, "bias_variance": 0.4, "weight_variance": 1.5, "output_bias_variance": 0.3}
KERNELS = {
    "NNGP depth 1": partial(arc_cosine_kernel, output_bias_variance=1.0),
    "NNGP depth 3": partial(arc_cosine_kernel, depth=3),
    "NTK depth 1": neural_tangent_kernel,
    "NTK depth 3": partial(neural_tangent_kernel, depth=3),
    "RBF": rbf_kernel,
}


def tasks(seed: int, d: int, missing: float, n: int = 60, n_tasks: int = 5) -> tuple[Array, Array, Array]:
    """X (n, d), Y (n, T) of unit variance, NaN where missing, and 200 other inputs."""
    rng = np.random.default_rng(seed)
    X, at = rng.standard_normal((n, d)), rng.standard_normal((200, d))
    bends = random_features(d, 8, random_state=rng).features(X)
    Y = bends @ rng.standard_normal((8, n_tasks))
    Y = (Y - Y.mean(axis=0)) / Y.std(axis=0) + 0.1 * rng.standard_normal(Y.shape)
    Y[3:][rng.uniform(size=(n - 3, n_tasks)) < missing] = np.nan
    return X, Y / np.nanstd(Y), at


def one_system(kernel: Callable[..., Array], X: Array, Y: Array):
    return coregionalised(X, Y, kernel, LAM, np.eye(Y.shape[1]))


def one_least_squares(width: int, X: Array, Y: Array):
    return OneLeastSquares(random_features(X.shape[1], width, random_state=0), X, Y, LAM)


def one_task_at_a_time(width: int, X: Array, Y: Array):
    problem = kw.Problem(X, Y, LAM, penalty=BIASES)
    return fit_random_features(random_features(X.shape[1], width, random_state=0), problem)


def trained(X: Array, Y: Array):
    return kw.solve(kw.Problem(X, Y, LAM, penalty=BIASES), tol=1e-8).network


def separate(seeds: int) -> Iterator[Row]:
    methods: dict[str, tuple] = {
        name: (partial(one_system, kernel), lambda X, Y, k=kernel: gaussian_process(X, Y, k, LAM))
        for name, kernel in KERNELS.items()
    }
    for width in (20, 200):
        methods[f"random features K={width}"] = (
            partial(one_least_squares, width),
            partial(one_task_at_a_time, width),
        )
    for name, (joint, alone) in methods.items():
        for missing in (0.0, 0.3):
            began, worst = time.perf_counter(), 0.0
            for seed in range(seeds):
                X, Y, at = tasks(seed, 3, missing)

                def fit(X: Array, Y: Array, joint=joint, alone=alone):
                    return joint(X, Y) if Y.shape[1] > 1 else alone(X, Y)

                worst = max(worst, joint_minus_separate(fit, X, Y, at))
            yield Row(
                "separate",
                f"{name}, {missing:.0%} missing",
                f"{worst:.0e}",
                "≤ 1e-10",
                "≤ 1e-12",
                worst <= 1e-10,
                ours=(time.perf_counter() - began) / seeds,
            )
    began = time.perf_counter()
    differences = [joint_minus_separate(trained, *tasks(seed, 1, 0.0)) for seed in range(seeds)]
    yield Row(
        "separate",
        "trained network, one input",
        f"{min(differences):.1e} to {max(differences):.1e}",
        "> 1e-3",
        "",
        min(differences) > 1e-3,
        ours=(time.perf_counter() - began) / seeds,
        other="must differ: the contrast",
    )


def layer_draws(rng: np.random.Generator, points: Array, depth: int, shared: dict[str, float]) -> Array:
    """(WIDTH, n) of what enters the last activation: a network's own first layer, or a later one's law."""
    if depth == 1:
        W = np.sqrt(shared["input_variance"]) * rng.standard_normal((WIDTH, points.shape[1]))
        return W @ points.T + np.sqrt(shared["bias_variance"]) * rng.standard_normal((WIDTH, 1))
    inner = shared | {"output_bias_variance": shared["bias_variance"]}
    K = arc_cosine_kernel(points, depth=depth - 1, **inner)
    return rng.standard_normal((WIDTH, len(points))) @ np.linalg.cholesky(K).T


def width(seeds: int) -> Iterator[Row]:
    changes = ({"bias_variance": 0.0}, {"output_bias_variance": 0.0})
    for depth in (1, 2, 3):
        for name, kernel in (("NNGP", arc_cosine_kernel), ("NTK", neural_tangent_kernel)):
            began, right, wrong = time.perf_counter(), 0.0, np.inf
            for seed in range(seeds):
                rng = np.random.default_rng([depth, seed])
                points = rng.standard_normal((6, 2))
                expected = kernel(points, depth=depth, **VARIANCES)
                others = [2.0 * expected]
                others += [kernel(points, depth=depth, **(VARIANCES | change)) for change in changes]
                inner = VARIANCES["input_variance"] * points @ points.T + VARIANCES["bias_variance"]
                if depth > 1:
                    shared = VARIANCES | {"output_bias_variance": VARIANCES["bias_variance"]}
                    inner = neural_tangent_kernel(points, depth=depth - 1, **shared)
                draws = layer_draws(rng, points, depth, VARIANCES)
                squared = rng.standard_normal(WIDTH) ** 2
                apart = np.zeros(len(others))
                for i, j in zip(*np.tril_indices(len(points)), strict=True):
                    a, b = draws[:, i], draws[:, j]
                    added = np.maximum(a, 0.0) * np.maximum(b, 0.0)
                    if name == "NTK":
                        added += squared * (a > 0) * (b > 0) * inner[i, j]
                    added = VARIANCES["weight_variance"] * added + VARIANCES["output_bias_variance"]
                    mean, error = added.mean(), added.std(ddof=1) / np.sqrt(WIDTH)
                    right = max(right, abs(mean - expected[i, j]) / error)
                    apart = np.maximum(apart, [abs(mean - other[i, j]) / error for other in others])
                wrong = min(wrong, float(apart.min()))
            yield Row(
                "width",
                f"{name} depth {depth}, 10^6 neurons",
                f"{right:.1f} standard errors",
                "≤ 4",
                "",
                right <= 4 and wrong > 4,
                ours=(time.perf_counter() - began) / seeds,
                other=f"the nearest wrong kernel {wrong:.0f}",
            )


def published(seeds: int) -> Iterator[Row]:
    for depth in (1, 2, 5):
        worst = 0.0
        for seed in range(seeds):
            X = np.random.default_rng(seed).standard_normal((20, 3))
            v = VARIANCES
            own = v["input_variance"] * np.sum(X * X, axis=1) + v["bias_variance"]
            K = Theta = v["input_variance"] * X @ X.T + v["bias_variance"]
            for layer in range(depth):
                shift = v["output_bias_variance" if layer == depth - 1 else "bias_variance"]
                size = np.sqrt(np.outer(own, own))
                t = np.arccos(np.clip(K / size, -1.0, 1.0))
                K = v["weight_variance"] * size * (np.sin(t) + (np.pi - t) * np.cos(t)) / (2 * np.pi) + shift
                Theta = K + v["weight_variance"] * (np.pi - t) / (2 * np.pi) * Theta
                own = 0.5 * v["weight_variance"] * own + shift
            # on the diagonal arccos has half its digits; the kernels' own are checked in the tests
            apart = ~np.eye(len(X), dtype=bool)
            for kernel, printed in ((arc_cosine_kernel, K), (neural_tangent_kernel, Theta)):
                difference = np.abs(kernel(X, depth=depth, **v) - printed) / np.abs(printed)
                worst = max(worst, float(difference[apart].max()))
        yield Row("published", f"NNGP and NTK depth {depth}", f"{worst:.0e}", "≤ 1e-10", "", worst <= 1e-10)


def prior(seeds: int) -> Iterator[Row]:
    for penalty in (BIASES, kw.Penalty(True, "frobenius"), kw.Penalty(False, "none")):
        worst, noise = 0.0, 0.01
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            X, Y, _ = tasks(seed, 2, 0.3)
            problem = kw.Problem(X, Y, LAM, penalty=penalty)
            variances = variances_from_lam(LAM, noise_variance=noise)
            constants, size = [], 0.0
            for _ in range(20):
                W, b, V = (rng.standard_normal(shape) for shape in ((7, 2), (7,), (7, 5)))
                A = np.zeros((2, 5)) if penalty.skip == "none" else rng.standard_normal((2, 5))
                network = kw.ReLUNetwork(W, b, V, A, rng.standard_normal(5)).balance(penalty)
                value = problem.objective(network) / noise
                constants.append(log_posterior(problem, network, variances) + value)
                size = max(size, value)
            worst = max(worst, float(np.ptp(constants)) / size)
        yield Row(
            "prior",
            f"biases={penalty.biases}, skip={penalty.skip}",
            f"{worst:.0e} of F / noise variance",
            "≤ 1e-12",
            "",
            worst <= 1e-12,
        )


def correlated(seeds: int) -> Iterator[Row]:
    began = time.perf_counter()
    found = coregionalisation_experiment(n_draws=20 * seeds)
    alone, told, wrong, fitted = (
        float(np.median(part)) for part in (found.alone, found.told, found.told_wrong_sign, found.fitted)
    )
    unmoved = float(np.abs(found.uncorrelated - found.alone).max())
    yield Row(
        "correlated",
        f"4 labels beside 3 x 20, {20 * seeds} draws",
        f"told {told:.3f}, fitted {fitted:.3f}, alone {alone:.3f}, told the wrong sign {wrong:.2f}",
        "told, fitted < alone/2; alone < wrong",
        "",
        max(told, fitted) < 0.5 * alone < alone < wrong and unmoved <= 1e-10,
        ours=time.perf_counter() - began,
        other=f"B = I: {unmoved:.0e} from alone; fitted better than alone in "
        f"{np.mean(found.fitted < found.alone):.0%} of draws",
    )


BARS: dict[str, Callable[[int], Iterator[Row]]] = {
    "separate": separate,
    "width": width,
    "published": published,
    "prior": prior,
    "correlated": correlated,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="one seed where five are meant")
    options = parser.parse_args()
    seeds = 1 if options.quick else 5
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one BLAS thread")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, seeds: {seeds}\n\n{HEADER}")
    began = time.perf_counter()
    with threadpool_limits(1, user_api="blas"):
        for name in options.only:
            for row in BARS[name](seeds):
                print(row, flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
