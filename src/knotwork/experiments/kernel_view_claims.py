"""Paper A, section 4 and footnote 1: what the records of `kernel_view` say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .experiment import Claim, Verdict
from .records import Record


def _part(records: Sequence[Record], part: str) -> Record:
    return next(one for one in records if one.settings["part"] == part)


def judge_kernel(records: Sequence[Record]) -> list[Claim]:
    """(13) to (27), (21), and section 5's question."""
    formulas, dependent = _part(records, "formulas"), _part(records, "dependent")
    return [
        _ridge(formulas),
        _norms(formulas),
        _inner_product(dependent),
        _all_neurons(dependent),
        _every_task(formulas),
        _limit(_part(records, "limit")),
    ]


def _ridge(one: Record) -> Claim:
    half, square = one["readings"]
    spaces, twice = one.number("spaces"), one.number("twice")
    good = max(half, spaces) <= 1e-8 and abs(twice - 2.0) <= 1e-9
    return Claim(
        "minimising H is ridge regression with the reproducing kernel (24), over neurons or over kernel "
        "values",
        "A, (18) and (22)-(27)",
        f"solved in weights and in kernel values: the same to {spaces:.0e}; (27) is (18) for Q = "
        f"diag(gamma_k / 2), to {half:.0e}, and (24) is then {twice:.6f} times sum of phi_k phi_k' / "
        "gamma_k; Q = diag(gamma_k^2), as our text of (23) without its fraction bars reads, would be "
        f"{square:.2f} off",
        Verdict.of(good),
        {"spaces": spaces, "half": float(half), "squared": float(square)},
    )


def _norms(one: Record) -> Claim:
    right, written = one["norms"]
    return Claim(
        "|v_k without s|^2 is the sum over t other than s of (v_ks)^2",
        "A, the line below (13)",
        f"J's penalty is the sum of the roots of v_k^2 + |v_k without s|^2 to {right:.0e} with (v_kt)^2 "
        f"under that sum, and {100 * written:.0f} % off with (v_ks)^2, at random weights of five tasks",
        Verdict.CORRECTED if right <= 1e-12 and written > 1e-3 else Verdict.HOLDS,
        {"right": float(right), "written": float(written)},
        "(v_kt)^2 is meant",
    )


def _inner_product(one: Record) -> Claim:
    first, second = one["values"]
    norm, apart = one.number("norm"), one.number("apart")
    return Claim(
        "v'Qu is an inner product of the functions f_v and f_u",
        "A, (22)-(23)",
        f"relu(z) - relu(-z) = z in three places: weights of one function (the same to {apart:.0e}) have "
        f"v'diag(gamma)v {first:.2f} and {second:.2f}, and its norm in the kernel's space is {norm:.2f}",
        Verdict.CORRECTED
        if apart <= 1e-12 and abs(first - second) > 1e-3 > norm - min(first, second)
        else Verdict.HOLDS,
        {"first": float(first), "second": float(second), "norm": norm},
        "it is one of weights; a function's norm is the least over the weights that make it",
    )


def _all_neurons(one: Record) -> Claim:
    strength, kernel = one["alone.strength"], one.number("alone.kernel")
    return Claim(
        "the kernel is a sum over all K neurons",
        "A, (22)-(24)",
        "two neurons, one of them used by task s alone: the other tasks' |v_k without s| are "
        f"{strength[0]:.0f} and {strength[1]:.0f}, gamma is infinite for the first, and kappa(2, 2) = "
        f"{kernel:.0f} comes from the second",
        Verdict.CORRECTED if strength[0] == 0 and abs(kernel - 3.0) <= 1e-12 else Verdict.HOLDS,
        {"strength": float(strength[0]), "kernel": kernel},
        "over the neurons that other tasks use; the rest have gamma = infinity and add nothing",
    )


def _every_task(one: Record) -> Claim:
    itself, without = one["itself"], one["without"]
    return Claim(
        "for many tasks gamma_k is nearly 1 / |v_k|, every task counted",
        "A, (21)",
        f"at the optimum of 101 tasks the two differ by at most {one.number('gamma'):.1e}; but with 1 / "
        f"|v_k| ridge returns the network itself whatever T is: to {itself[0]:.0e} for 101 tasks and "
        f"{itself[1]:.0e} for two, where leaving the task out moves its values by {without[0]:.1e} and "
        f"{without[1]:.1e}",
        Verdict.of(one.number("gamma") <= 0.1 and itself.max() <= 1e-5 and without[0] < without[1]),
        {"gamma": one.number("gamma"), "itself": float(itself.max()), "without": float(without.max())},
    )


def _limit(one: Record) -> Claim:
    limit, counts = one["limit"], one["n_tasks"]
    fits, off = one["fits"], one["off"]
    outer, inner = float(limit[:4].mean()), float(limit[4:].mean())
    far = np.abs(fits - limit).max(axis=(1, 2))
    slope = float(np.polyfit(np.log(counts), np.log(off.mean(axis=1)), 1)[0])
    hundred = fits[int(np.argmin(np.abs(counts - 101)))]
    moment = abs(one.number("moment"))
    return Claim(
        "for squared loss the kernel of infinitely many tasks is that of N pseudo-tasks (ours: A leaves "
        "open what the kernel is)",
        "A, section 5",
        "squared loss, i.i.d. tasks, lam = mu root(T): the pseudo-tasks are C^(1/2), C = E[y y'] (with the "
        f"labels' own moment the optimum is the same to {moment:.0e}); for coins on the squares it predicts "
        f"{outer:.4f} and {inner:.4f}, where {len(hundred)} draws of 101 tasks have "
        f"{hundred[:, :4].min():.3f} to {hundred[:, :4].max():.3f} and {hundred[:, 4:].min():.3f} to "
        f"{hundred[:, 4:].max():.3f}; values are within {far[0]:.3f} at T = {counts[0]} and {far[-1]:.4f} "
        f"at T = {counts[-1]:,}, functions approach as T^{slope:.2f}",
        Verdict.of(moment <= 1e-8 and far[-1] < 0.1 * far[0] and slope < -0.3),
        {"outer": outer, "inner": inner, "slope": slope, "last": float(far[-1])},
    )


def judge_width(records: Sequence[Record]) -> list[Claim]:
    """Footnote 1."""
    counts, n = records[0]["n_tasks"], int(records[0].number("n_data"))
    bound = records[0]["bound"]
    compressed, optimum = (np.array([one[name] for one in records]) for name in ("compressed", "optimum"))
    change = max(float(one["change"].max()) for one in records)
    cost = max(float(one["cost"].max()) for one in records)
    within = bool(np.all(compressed <= bound) and np.all(optimum <= bound))
    return [
        Claim(
            "K >= N^2 neurons are enough, whatever the number of tasks",
            "A, footnote 1 and (12)",
            f"N = {n}, T = {counts.min()} to {counts.max()}, {len(records)} draws: networks of 300 neurons "
            f"come down to at most {compressed.max():.0f}, with predictions moved by at most {change:.0e} "
            f"of the largest and cost {cost:.2f} of theirs or less, certified optima to "
            f"{optimum.max():.0f}; N r - r (r - 1) / 2 with r = min(N, T), N less one for the constant, "
            f"allows {bound[0]:.0f} for one task and {bound.max():.0f} for any number, and N^2 is {n * n}",
            Verdict.of(within and change <= 1e-8 and cost <= 1.0 + 1e-9 and bound.max() <= n * n),
            {
                "compressed": float(compressed.max()),
                "optimum": float(optimum.max()),
                "bound": float(bound.max()),
            },
        )
    ]
