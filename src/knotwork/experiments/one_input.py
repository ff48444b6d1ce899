"""Paper A, Figs. 1 and 2: many solutions of one problem, and connect the dots."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..certificate import certify
from ..dual_norm import Rigour
from ..network import ReLUNetwork
from ..problem import Problem
from ..solvers.solve import solve
from ..theory.kernels import sobolev_interpolant, sobolev_kernel
from ..theory.solution_set import SolutionSet
from ..theory.uniqueness import uniqueness
from .experiment import Claim, Experiment, Plan, Verdict
from .piecewise import FIVE_X, FIVE_Y, mixture
from .records import Record, Settings, network_arrays

Array = NDArray[np.float64]
Rule = Callable[[SolutionSet, Array, Array], ReLUNetwork]

_GRID, _FEW = 401, 8
_CERTIFIED, _DIFFERENT, _EQUAL = 1e-9, 1e-3, 1e-9
MIXED = (0.1, 0.25, 0.5, 0.75, 0.9)
_SHARES = (0.1, 0.25, 0.5)  # of the least spacing: how far inputs are perturbed
DRAWN = 5  # members in the picture


def _two_pieces(plan: Plan) -> list[Settings]:
    return [
        {"part": "five points", "members": max(plan.draws(50, 8), DRAWN), "noise": 0.02},
        {"part": "draws", "members": max(plan.draws(200, 20), _FEW), "noise": 0.0},
    ]


def _two_solutions(part: str, members: int, noise: float) -> Mapping[str, ArrayLike]:
    return _five_points(members, noise) if part == "five points" else _random_draws(members)


def _five_points(members: int, noise: float) -> Mapping[str, ArrayLike]:
    x, y = np.array(FIVE_X), np.array(FIVE_Y)
    problem = Problem(x, y, 0.0)
    dots = solve(problem)
    solutions = uniqueness(x, y).solution_set
    assert solutions is not None
    rules: list[Rule] = [_dots, _peaked, *(_sampled(seed) for seed in range(members))]
    networks = [rule(solutions, x, y) for rule in rules]
    pair = networks[1], networks[0]
    mixed = [mixture(pair, (share, 1.0 - share)) for share in MIXED]
    proven = [certify(problem, one, dots.certificate.dual_point) for one in (*networks, *mixed)]
    margin = 0.15 * (x[-1] - x[0])
    grid = np.unique(np.concatenate([np.linspace(x[0] - margin, x[-1] + margin, _GRID), x]))
    lower, upper = solutions.envelopes(grid)
    values = np.column_stack([one.predict(grid)[:, 0] for one in (*networks, *mixed)])
    inside = (grid >= x[0]) & (grid <= x[-1])
    h = float(np.diff(x).min())
    found: dict[str, ArrayLike] = {
        "x": x,
        "y": y,
        "grid": grid,
        "lower": lower[:, 0],
        "upper": upper[:, 0],
        "cost": np.array([one.primal for one in proven]),
        "gap": np.array([one.relative_gap for one in proven]),
        "exact": np.array([one.rigour is Rigour.EXACT for one in proven]),
        "apart": np.abs(values[inside, 1:] - values[inside, :1]).max(axis=0),
        # (members, shares, points)
        "worst": np.array([[_worst(one, x, y, share * h) for share in _SHARES] for one in networks]),
        "mean": np.array([[_mean(one, x, y, share * h) for share in _SHARES] for one in networks]),
        "beyond": _beyond(values[inside, : 2 + members], y),
        "noise": np.array([_noise_gain(rule, x, y, noise) for rule in rules]),
    }
    drawn = {"dots": networks[0], "peaked": networks[1]}
    drawn |= {f"member{k}": one for k, one in enumerate(networks[2 : 2 + DRAWN])}
    drawn |= {f"mixture{k}": one for k, one in enumerate(mixed)}
    for name, network in drawn.items():
        found |= network_arrays(name, network)
    return found


def _random_draws(members: int) -> Mapping[str, ArrayLike]:
    """Data of one task: the worst case over all points, of connect the dots and of others."""
    worst, apart = [], []
    for seed in range(members):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(5, 12))
        x, y = np.cumsum(rng.uniform(0.2, 1.0, n)), rng.standard_normal(n)
        solutions = uniqueness(x, y).solution_set
        assert solutions is not None
        eps = 0.5 * float(np.diff(x).min())
        grid = np.linspace(x[0], x[-1], _GRID)
        three = [rule(solutions, x, y) for rule in (_dots, _peaked, _sampled(seed))]
        worst.append([_worst(one, x, y, eps).max() for one in three])
        values = np.column_stack([one.predict(grid)[:, 0] for one in three])
        apart.append(np.abs(values[:, 1:] - values[:, :1]).max(axis=0))
    return {"worst": np.array(worst), "apart": np.array(apart)}


def _dots(solutions: SolutionSet, x: Array, y: Array) -> ReLUNetwork:
    return solve(Problem(x, y, 0.0)).network


def _peaked(solutions: SolutionSet, x: Array, y: Array) -> ReLUNetwork:
    return solutions.sparsest()


def _sampled(seed: int) -> Rule:
    return lambda solutions, x, y: solutions.sample(seed)


def _worst(network: ReLUNetwork, x: Array, y: Array, eps: float) -> Array:
    """(N,) sup over |delta| <= eps of |f(x_i + delta) - y_i|: at an end or at a knot."""
    knots = network.knots.location
    found = np.zeros(len(x))
    for i, centre in enumerate(x):
        near = knots[np.abs(knots - centre) < eps]
        at = np.concatenate([near, [centre - eps, centre + eps]])
        found[i] = np.abs(network.predict(at)[:, 0] - y[i]).max()
    return found


def _mean(network: ReLUNetwork, x: Array, y: Array, eps: float) -> Array:
    """(N,) the mean over |delta| <= eps of |f(x_i + delta) - y_i|, by the rule of midpoints."""
    n = 400
    delta = eps * ((np.arange(n) + 0.5) * 2.0 / n - 1.0)
    at = network.predict((x[:, None] + delta).ravel())[:, 0].reshape(len(x), n)
    return np.abs(at - y[:, None]).mean(axis=1)


def _beyond(values: Array, y: Array) -> Array:
    """How far functions (n, m) leave the range of the labels."""
    return np.maximum(values.max(axis=0) - y.max(), y.min() - values.min(axis=0)).clip(0.0)


def _noise_gain(rule: Rule, x: Array, y: Array, size: float) -> float:
    """sup |f_{y + e} - f_y| / size between the data, over the corners of |e_i| <= size."""
    grid = np.linspace(x[0], x[-1], _GRID)
    found = []
    for signs in itertools.product((0.0, -1.0, 1.0), repeat=len(x)):
        if 0.0 in signs and any(signs):
            continue
        labels = y + size * np.array(signs)
        solutions = uniqueness(x, labels).solution_set
        assert solutions is not None
        found.append(rule(solutions, x, labels).predict(grid)[:, 0])
    return float(max(np.abs(one - found[0]).max() for one in found[1:]) / size)


def _judge_two(records: Sequence[Record]) -> list[Claim]:
    five, draws = records
    members = len(five["worst"])
    gap, apart = five["gap"], five["apart"]
    exact = bool(five["exact"].all())
    two, mixed, others = gap[:2].max(), gap[members:].max(), gap[2:members].max()
    different = float(apart[0])
    return [
        Claim(
            "both functions of Fig. 1 interpolate the data and are global minimisers of (2) and (3)",
            "A, section 1 and Figure 1",
            f"relative gaps of connect the dots and of the solution of fewest knots at most {two:.1g}, "
            f"{'exact' if exact else 'not exact'}; they are up to {different:.3g} apart",
            Verdict.HOLDS if exact and two <= _CERTIFIED and different > _DIFFERENT else Verdict.FAILS,
            {"gap": float(two), "apart": different},
        ),
        Claim(
            "all convex combinations of the two are solutions, too",
            "A, Figure 1",
            f"{len(MIXED)} of them: relative gaps at most {mixed:.1g}",
            Verdict.HOLDS if exact and mixed <= _CERTIFIED else Verdict.FAILS,
            {"gap": float(mixed), "combinations": len(MIXED)},
        ),
        Claim(
            "one task can have infinitely many solutions",
            "A, section 1",
            f"{members - 2} members of the solution set drawn at random: relative gaps at most "
            f"{others:.1g}, from {apart[1 : members - 1].min():.2g} to {apart[1 : members - 1].max():.2g} "
            "off connect the dots",
            Verdict.HOLDS
            if exact and others <= _CERTIFIED and apart[1 : members - 1].max() > _DIFFERENT
            else Verdict.FAILS,
            {"gap": float(others), "members": members - 2},
        ),
        _robust(five),
        _worst_case_tie(draws),
    ]


def _robust(five: Record) -> Claim:
    """Connect the dots (row 0) against the solution of fewest knots (row 1) and the rest."""
    k = len(_SHARES) - 1
    measures = {
        "in the worst input perturbation": five["worst"][:, k].max(axis=1),
        "in that of every point, on average": five["worst"][:, k].mean(axis=1),
        "in the mean input perturbation": five["mean"][:, k].mean(axis=1),
        "beyond the range of the labels": five["beyond"],
        "under the worst label noise": five["noise"],
    }
    better = {what: bool(size[0] < size[1] * (1.0 - _EQUAL)) for what, size in measures.items()}
    yes, no = ([what for what in measures if better[what] is side] for side in (True, False))
    said = "; ".join(
        f"{what} {size[0]:.3g} for {size[1]:.3g} (others {size[2:].min():.3g}-{size[2:].max():.3g})"
        for what, size in measures.items()
    )
    eps = _SHARES[k] * float(np.diff(five["x"]).min())
    return Claim(
        "the solution on the right, connect the dots, is the more robust: it stays closer to the data",
        "A, section 1",
        f"how far f is off its labels, perturbations of inputs up to {eps:.3g}, connect the dots for fewest "
        f"knots: {said} (the last relative to the noise, a lower bound but for connect the dots)",
        Verdict.HOLDS if not no else Verdict.CORRECTED if yes else Verdict.FAILS,
        {
            f"{name} {what}": float(size[row])
            for what, size in measures.items()
            for row, name in enumerate(("dots", "fewest knots"))
        },
        "beside the solution of fewest knots it is the more robust "
        f"{'; '.join(yes) or 'in nothing measured'}; not {'; not '.join(no)}"
        if no
        else "",
    )


def _worst_case_tie(draws: Record) -> Claim:
    worst, apart = draws["worst"], draws["apart"].max(axis=1)
    several = apart > _DIFFERENT
    over = (worst[:, 1:] / worst[:, :1] - 1.0)[several]
    off = np.abs(over).max(axis=1)
    ties = int((off <= _EQUAL).sum())
    tie, better = ties == len(off), bool((over.min(axis=1) > _EQUAL).all())
    return Claim(
        "connect the dots is more adversarially robust than other solutions: by the worst case over inputs",
        "A, section 1",
        "worst case over points and perturbations up to half the least spacing: the same, to "
        f"{off.max():.1g}, for connect the dots, the solution of fewest knots and a random one in {ties} of "
        f"{len(off)} random data sets with more than one solution",
        Verdict.FAILS if tie else Verdict.HOLDS if better else Verdict.OPEN,
        {"ties": ties, "data sets": len(off), "largest difference": float(off.max())},
        "slopes of a solution lie between those of connect the dots beside, whose steepest piece all of "
        "them share: the worst case over all points is the same for all solutions"
        if tie
        else "",
    )


def _dots_pieces(plan: Plan) -> list[Settings]:
    return [{"rows": 6, "tasks": 3, "seed": 0}]


def _connect(rows: int, tasks: int, seed: int) -> Mapping[str, ArrayLike]:
    rng = np.random.default_rng(seed)
    x, Y = np.cumsum(rng.uniform(0.4, 1.2, rows)), rng.standard_normal((rows, tasks))
    solution = solve(Problem(x, Y, 0.0))
    span = x[-1] - x[0]
    grid = np.unique(np.concatenate([np.linspace(x[0] - 0.3 * span, x[-1] + 0.3 * span, _GRID), x]))
    # A (6) as written: the labels fix all coefficients
    kernel = sobolev_kernel(grid, x, x[0]) @ np.linalg.solve(sobolev_kernel(x, x, x[0]), Y)
    slopes = np.diff(Y, axis=0) / np.diff(x)[:, None]
    lines = np.column_stack([np.interp(grid, x, y) for y in Y.T])
    lines += (
        np.minimum(grid - x[0], 0.0)[:, None] * slopes[0]
        + np.maximum(grid - x[-1], 0.0)[:, None] * slopes[-1]
    )
    return {
        "x": x,
        "Y": Y,
        "grid": grid,
        "dots": solution.network.predict(grid),
        "lines": lines,
        "kernel": kernel,
        "closed": sobolev_interpolant(x, Y).predict(grid),
        "gap": solution.certificate.relative_gap,
        "exact": solution.certificate.rigour is Rigour.EXACT,
        "neurons": solution.network.n_neurons,
    }


def _judge_dots(records: Sequence[Record]) -> list[Claim]:
    (one,) = records
    inside = (one["grid"] >= one["x"][0]) & (one["grid"] <= one["x"][-1])
    size = float(np.abs(one["Y"]).max())
    lines = float(np.abs(one["dots"] - one["lines"]).max()) / size
    within = float(np.abs(one["dots"] - one["kernel"])[inside].max()) / size
    outside = float(np.abs(one["dots"] - one["kernel"])[~inside].max()) / size
    gap, exact = one.number("gap"), bool(one.number("exact"))
    same = within <= _EQUAL
    return [
        Claim(
            "the connect-the-dots function of several data sets is a solution of (3)",
            "A, Figure 2 and Theorem 3.1",
            f"the solver's network is straight lines through the labels to {lines:.1g} of their size, "
            f"outside the data too, relative gap {gap:.1g}",
            Verdict.HOLDS if lines <= _EQUAL and gap <= _CERTIFIED and exact else Verdict.FAILS,
            {"off": lines, "gap": gap},
        ),
        Claim(
            "on [x_1, x_N] it agrees with the minimum-norm interpolant of the Sobolev kernel (6)",
            "A, section 3, (6)",
            f"largest difference on [x_1, x_N] {within:.1g} of the labels' size",
            Verdict.HOLDS if same else Verdict.FAILS,
            {"inside": within},
        ),
        Claim(
            "multi-task solutions coincide with the minimum-norm interpolant of a Sobolev space",
            "A, abstract",
            f"the interpolant of (6) is {within:.1g} off on [x_1, x_N] and up to {outside:.3g} of the "
            "labels' size within 0.3 of their range beyond it",
            (Verdict.CORRECTED if outside > _DIFFERENT else Verdict.HOLDS) if same else Verdict.FAILS,
            {"inside": within, "outside": outside},
            "on [x_1, x_N] only: beyond it the interpolant of (6) is constant, connect the dots goes on as "
            "a line"
            if outside > _DIFFERENT
            else "",
        ),
    ]


EXPERIMENTS = (
    Experiment(
        name="a-figure-1",
        title="Two solutions of one problem, and all others",
        figures=("A 1",),
        shows="Two functions through the same five points, both of least weight decay: one with a peak "
        "between data (left), and connect the dots (right), which the paper calls the more robust one.",
        ours="The five points are ours (the paper prints none); left is the solution with the fewest "
        "knots. Robustness is measured: inputs perturbed by up to half a spacing, and labels by 0.02 each "
        "in the worst signs, every solution chosen anew by the same rule.",
        pieces=_two_pieces,
        compute=_two_solutions,
        judge=_judge_two,
        effort=5.0,
    ),
    Experiment(
        name="a-figure-2",
        title="Connect the dots",
        figures=("A 2",),
        shows="Straight lines between the points of three data sets, the outer ones going on.",
        ours="Inputs and Gaussian labels are drawn by us.",
        pieces=_dots_pieces,
        compute=_connect,
        judge=_judge_dots,
        effort=0.1,
    ),
)
