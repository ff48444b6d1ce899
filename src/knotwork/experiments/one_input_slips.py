"""What paper A's one-input part gets wrong in passing, each with a counterexample that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..certificate import certify
from ..network import ReLUNetwork
from ..penalty import Penalty
from ..problem import Problem
from ..solvers.solve import solve
from ..solvers.spline import connect_the_dots
from .experiment import Claim, Experiment, Plan, Verdict
from .records import Record, Settings

Array = NDArray[np.float64]

_ROUNDING, _VISIBLE, _FEW = 1e-9, 1e-3, 20
_FAR = 10.0 ** np.arange(0, 9, 2)
_GRID = np.linspace(-2.0, 2.0, 81)


def _pieces(plan: Plan) -> list[Settings]:
    return [{"draws": max(plan.draws(200, 20), _FEW), "seed": 0}]


def _compute(draws: int, seed: int) -> Mapping[str, ArrayLike]:
    rng = np.random.default_rng(seed)
    parts = (_decay, _neurons, _determinants, _coercive, _merged, _slope_as_printed)
    return {name: value for part in parts for name, value in part(rng, draws).items()}


def _network(rng: np.random.Generator) -> ReLUNetwork:
    K, T = int(rng.integers(1, 8)), int(rng.integers(1, 5))
    W, b, V = rng.standard_normal((K, 1)), rng.standard_normal(K), rng.standard_normal((K, T))
    return ReLUNetwork(W, b, V, rng.standard_normal((1, T)), rng.standard_normal(T))


def _decay(rng: np.random.Generator, draws: int) -> dict[str, Array]:
    """Sum of squares over path norm: at balance, and after random rescalings of its neurons."""
    balanced, rescaled = [], []
    for _ in range(draws):
        network = _network(rng)
        path = network.cost(Penalty())
        even = network.balance()
        balanced.append((np.sum(even.V**2) + np.sum(even.W**2)) / path)
        scale = np.exp(rng.standard_normal(even.n_neurons))[:, None]
        rescaled.append((np.sum((even.V / scale) ** 2) + np.sum((even.W * scale) ** 2)) / path)
    return {"balanced": np.array(balanced), "rescaled": np.array(rescaled)}


def _neurons(rng: np.random.Generator, draws: int) -> dict[str, Array]:
    """Neurons of f_D less those of the claim, and the error of any network that lacks one of them."""
    more, gap = [], []
    for _ in range(draws):
        n, n_tasks = int(rng.integers(4, 13)), int(rng.integers(2, 5))
        x, Y = np.cumsum(rng.uniform(0.2, 1.0, n)), rng.standard_normal((n, n_tasks))
        solution = solve(Problem(x, Y, 0.0))
        more.append(solution.network.n_neurons - (n - 1))
        gap.append(solution.certificate.relative_gap)
    return {"neurons less N - 1": np.array(more), "neurons gap": np.array(gap)}


def _determinants(rng: np.random.Generator, draws: int) -> dict[str, Array]:
    """U (T, 2), two neighbouring slope changes of random labels: det(U U') and det(U'U), over the scale
    |U|^2T and |U|^4."""
    wide, narrow, tasks = [], [], []
    for _ in range(draws):
        n_tasks = int(rng.integers(2, 6))
        x, Y = np.cumsum(rng.uniform(0.3, 1.0, 4)), rng.standard_normal((4, n_tasks))
        U = np.diff(np.diff(Y, axis=0) / np.diff(x)[:, None], axis=0).T
        size = np.linalg.norm(U)
        wide.append(abs(np.linalg.det(U @ U.T)) / size ** (2 * n_tasks))
        narrow.append(np.linalg.det(U.T @ U) / size**4)
        tasks.append(n_tasks)
    return {"det UUt": np.array(wide), "det UtU": np.array(narrow), "det tasks": np.array(tasks)}


def _coercive(rng: np.random.Generator, draws: int) -> dict[str, Array]:
    """Connect the dots plus a neuron that is active on all of the data, taken back by A and c: parameters
    that grow without bound under one objective of (3)."""
    x, Y = np.arange(5.0), rng.standard_normal((5, 2))
    dots = solve(Problem(x, Y, 0.0))
    v = rng.standard_normal(2)
    norms, costs, missed = [], [], []
    for far in _FAR:
        one = dots.network.canonicalise()
        network = ReLUNetwork(
            np.vstack([one.W, [[1.0]]]),
            np.append(one.b, far),
            np.vstack([one.V, v]),
            one.A - v,
            one.c - far * v,
        )
        parts = (network.W, network.b, network.V, network.A, network.c)
        norms.append(np.sqrt(sum(float(np.sum(part**2)) for part in parts)))
        costs.append(float(np.sum(np.sqrt(np.sum(network.V**2, axis=1)))))
        missed.append(np.abs(network.predict(x) - Y).max() / far)
    gap = certify(Problem(x, Y, 0.0), dots.network).relative_gap
    return {
        "norms": np.array(norms),
        "costs": np.array(costs),
        "missed": np.array(missed),
        "dots gap": np.array(gap),
    }


def _merged(rng: np.random.Generator, draws: int) -> dict[str, Array]:
    """Two neurons of one (w, b), |w| = 1: as A merges them, and as their sum is."""
    off, right, saved = [], [], []
    for k in range(draws):
        w, b = np.array([[np.sign(rng.standard_normal())]]), rng.uniform(-1.0, 1.0, 1)
        V = rng.standard_normal((2, 1 + k % 3))
        v = V.sum(axis=0, keepdims=True)
        both = ReLUNetwork(np.repeat(w, 2, axis=0), np.repeat(b, 2), V).predict(_GRID)
        size = np.abs(both).max()
        off.append(np.abs(ReLUNetwork(2.0 * w, 2.0 * b, v).predict(_GRID) - both).max() / size)
        right.append(np.abs(ReLUNetwork(w, b, v).predict(_GRID) - both).max() / size)
        saved.append(1.0 - np.linalg.norm(v) / np.linalg.norm(V, axis=1).sum())
    return {"merged off": np.array(off), "merged right": np.array(right), "saved": np.array(saved)}


def _slope_as_printed(rng: np.random.Generator, draws: int) -> dict[str, Array]:
    """The second solution of A.1, slope delta before the knot as printed and b + delta, on aligned data."""
    printed, mended, cost = [], [], []
    for _ in range(draws):
        x, u, tau = np.arange(4.0), rng.standard_normal(2), float(rng.uniform(0.2, 0.8))
        slopes = rng.standard_normal(2) + np.outer(np.cumsum([0.0, *rng.uniform(0.3, 1.0, 2)]), u)
        Y = np.vstack([np.zeros(2), np.cumsum(slopes, axis=0)])
        _, b, _ = slopes
        a_b, b_c = slopes[0] - b, (1.0 - tau) / tau * (b - slopes[2])
        delta = 0.5 * min((a_b, b_c), key=lambda d: float(np.linalg.norm(d)))
        after = b - tau / (1.0 - tau) * delta
        ends = [Y[1] + tau * first + (1.0 - tau) * after for first in (delta, b + delta)]
        size = np.abs(Y).max()
        printed.append(np.abs(ends[0] - Y[2]).max() / size)
        mended.append(np.abs(ends[1] - Y[2]).max() / size)
        height = Y[1] + tau * (b + delta)
        second = connect_the_dots(np.insert(x, 2, 1.0 + tau), np.insert(Y, 2, height, axis=0))
        cost.append(second.cost() / connect_the_dots(x, Y).cost() - 1.0)
    return {"printed": np.array(printed), "mended": np.array(mended), "second cost": np.abs(cost)}


def _judge(records: Sequence[Record]) -> list[Claim]:
    (one,) = records
    return [
        _factor_two(one),
        _fewer_neurons(one),
        _gram(one),
        _not_coercive(one),
        _merging(one),
        _printed(one),
    ]


def _mended(wrong: bool, right: bool) -> Verdict:
    """Of a statement that is wrong as written, and right once mended."""
    return Verdict.HOLDS if not wrong else Verdict.CORRECTED if right else Verdict.FAILS


def _factor_two(one: Record) -> Claim:
    even, least = float(np.abs(one["balanced"] - 2.0).max()), float(one["rescaled"].min())
    return Claim(
        "(2) and (3) have the same minimal objective values",
        "A, section 1, (2) and (3)",
        f"sum of squares over path norm in {len(one['balanced'])} networks: 2 to {even:.1g} at balance, at "
        f"least {least:.4g} after random rescalings of neurons",
        _mended(even <= _ROUNDING, even <= _ROUNDING and least >= 2.0 - _ROUNDING),
        {"off two": even, "least rescaled": least},
        "(2) is twice (3): the minimisers are the same, and lambda in (2) counts double",
    )


def _fewer_neurons(one: Record) -> Claim:
    less, gap = one["neurons less N - 1"], float(one["neurons gap"].max())
    fewer = bool((less == -1).all())
    return Claim(
        "connect the dots needs N - 1 neurons",
        "A, after Remark 1",
        f"N - {1 - int(less.max())} in all of {len(less)} random data sets" if less.max() == less.min() else
        f"from N - {1 - int(less.min())} to N - {1 - int(less.max())} in {len(less)} random data sets",
        _mended(bool((less < 0).any()), fewer and gap <= _ROUNDING),
        {"least": int(less.min()) - 1, "most": int(less.max()) - 1, "data sets": len(less)},
        "N - 2: it bends at inner data points only, as the skip connection is free",
    )  # fmt: skip


def _gram(one: Record) -> Claim:
    three = one["det tasks"] >= 3
    wide, narrow = float(one["det UUt"][three].max()), float(one["det UtU"].min())
    two = one["det UUt"][~three]
    return Claim(
        "det(U U') is a non-trivial function of the data, whose zeros are the aligned data",
        "A, section A.1, measure zero",
        f"random data, relative to |U|: at T >= 3 it is at most {wide:.1g} ({three.sum()} draws), at T = 2 "
        f"at least {two.min():.1g}; det(U'U) is at least {narrow:.1g} for all T",
        _mended(wide <= _ROUNDING, narrow > _ROUNDING),
        {"det UUt from 3 tasks": wide, "det UtU": narrow, "draws": len(three)},
        "U is T x 2, so that U U' is singular for all data at T >= 3: det(U'U), 2 x 2, is meant",
    )


def _not_coercive(one: Record) -> Claim:
    norms, costs = one["norms"], one["costs"]
    change, missed = float(np.ptp(costs)), float(one["missed"].max())
    gap = one.number("dots gap")
    flat = change <= _ROUNDING and missed <= _ROUNDING and norms[-1] > 1e3 * norms[0]
    return Claim(
        "the objective of (3) is coercive, so that a solution exists",
        "A, section A.1",
        f"interpolating networks with parameters of norm {norms[0]:.2g} to {norms[-1]:.2g} have objectives "
        f"within {change:.1g} of each other (labels kept to {missed:.1g} of that norm); connect the dots "
        f"attains the minimum, relative gap {gap:.1g}",
        _mended(flat, gap <= _ROUNDING),
        {"change": change, "largest norm": float(norms[-1]), "gap": gap},
        "b, A and c are free and can grow together: it is not coercive; a solution exists since no "
        "interpolant costs less than connect the dots",
    )


def _merging(one: Record) -> Claim:
    off, right, saved = float(one["merged off"].min()), float(one["merged right"].max()), one["saved"]
    wrong = off > _VISIBLE or float(saved.max()) > _VISIBLE
    return Claim(
        "two neurons that bend in one place and face one way merge into (w_1 + w_2, b_1 + b_2, v_1 + v_2) "
        "at the same cost",
        "A, section A.1",
        f"{len(saved)} random pairs: that neuron is off by at least {off:.2g} of the function, (w, b, v_1 + "
        f"v_2) by {right:.1g} at most; it costs up to {saved.max():.2g} less, and never more",
        _mended(wrong, right <= _ROUNDING and float(saved.min()) >= -_ROUNDING),
        {"off": off, "mended off": right, "most saved": float(saved.max())},
        "(w, b, v_1 + v_2), whose cost |v_1 + v_2| is lower unless v_1 and v_2 are aligned",
    )


def _printed(one: Record) -> Claim:
    printed, mended, cost = (
        float(f(one[k])) for f, k in ((np.min, "printed"), (np.max, "mended"), (np.max, "second cost"))
    )
    return Claim(
        "where slope changes are aligned, the function of slope delta before the knot and b - tau delta / "
        "(1 - tau) after it is another solution",
        "A, section A.1, condition for non-unique solutions",
        f"{len(one['printed'])} aligned data sets: it misses the next label by at least {printed:.2g} of "
        f"the largest; with slope b + delta it keeps it to {mended:.1g} and R to {cost:.1g}",
        _mended(printed > _VISIBLE, mended <= _ROUNDING and cost <= _ROUNDING),
        {"missed": printed, "mended missed": mended, "cost": cost},
        "slope b + delta before the knot, as in Fig. 3",
    )


EXPERIMENTS = (
    Experiment(
        name="a-one-input-slips",
        title="Slips in the one-input part",
        figures=(),
        shows="Statements of A, sections 1, 3 and A.1, that need mending, none of which the results depend "
        "on.",
        ours="Networks and data are drawn by us.",
        pieces=_pieces,
        compute=_compute,
        judge=_judge,
        effort=1.0,
    ),
)
