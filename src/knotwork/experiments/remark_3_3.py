"""Paper B, end of Remark 3.3 and section 1: what gradient descent does without weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..theory.implicit import SmallStartExperiment, small_start_data, small_start_experiment
from ..theory.scalings import ScalingExperiment, scaling_experiment
from .experiment import Claim, Experiment, Plan, Verdict
from .records import Record, Settings

Array = NDArray[np.float64]
_SMALL = (
    "scales", "X", "Y", "label_error", "cost_ratio", "free_cost_ratio", "dots_ratio", "to_penalised",
    "to_dots", "imbalance", "weight_imbalance", "moved", "penalised_moved", "moved_cost_ratio",
    "brought_back", "taken_there",
)  # fmt: skip
_SCALINGS = (
    "widths", "ntk_joint_minus_separate", "mean_field_joint_minus_separate", "ntk_to_kernel",
    "mean_field_to_kernel", "ntk_label_error", "mean_field_label_error",
)  # fmt: skip


# small initial values


def _small_pieces(plan: Plan) -> list[Settings]:
    if plan.quick:
        draws = plan.draws(16, 5)
        return [{"draws": draws, "scales": [1.0, 0.1, 0.03], "starts": 1, "width": 60, "steps": 10_000}]
    scales = [1.0, 0.3, 0.1, 0.03, 0.01]
    return [{"draws": plan.draws(16, 5), "scales": scales, "starts": 2, "width": 100, "steps": 20_000}]


def _small(
    draws: int, scales: Sequence[float], starts: int, width: int, steps: int
) -> Mapping[str, ArrayLike]:
    found = small_start_experiment(
        small_start_data(draws), scales=scales, n_seeds=starts, width=width, steps=steps
    )
    return {name: getattr(found, name) for name in (*_SMALL, "offset")}


def small_of(record: Record) -> SmallStartExperiment:
    """What `_small` measured, with the medians that it derives."""
    return SmallStartExperiment(**{name: record[name] for name in _SMALL}, offset=record.number("offset"))


def _judge_small(records: Sequence[Record]) -> list[Claim]:
    found = small_of(records[0])
    ratio, scales = found.median_cost_ratio, found.scales
    # the smallest start of which enough runs end
    usable = np.flatnonzero(found.share_reached >= 0.5)
    last = int(usable[-1]) if len(usable) else 0
    near, kept = float(ratio[last]), float(found.median_imbalance[last])
    weights = float(found.median_weight_imbalance[last])
    gap = float(np.nanmedian(np.where(found.reached, found.cost_ratio, np.nan)[last, 0]))
    dots = float(found.dots_ratio[0])
    followed, within = float(found.move_followed[last]), float(found.share_within(0.01)[last])
    some = near < 1.5 and near < 0.25 * float(ratio[0])
    exact = within > 0.9 and abs(followed - 1.0) < 0.1
    said = f"where the inputs are moved by {found.offset:g}, "
    if np.isfinite(followed):
        said += (
            f"the functions change by {followed:.2f} of what the minimum does (1 would follow it, 0 is "
            "free biases)"
        )
    else:
        said += "the minima of these data hardly change"
    return [
        Claim(
            "gradient descent from small initial values penalises biases too: functions have qualitative "
            "aspects of (7) though nothing is decayed",
            "B, Remark 3.3",
            "cost with biases penalised over the least that meets the labels, medians of "
            f"{found.label_error[0].size} runs: "
            + ", ".join(f"{value:.3g} from {scale:g}" for scale, value in zip(scales, ratio, strict=True))
            + f". On x = (-2, -1, 3, 4), y = |x - 1|, where free biases allow {dots:.2f}: {gap:.3f}. "
            f"The balance |v|^2 = |(w, b)|^2 is kept to {kept:.2g}, without b to {weights:.2g}",
            Verdict.HOLDS if some else Verdict.FAILS,
            {"first": float(ratio[0]), "last": near, "gap": gap, "dots": dots, "balance": kept},
        ),
        Claim(
            "what is learned from there is the minimum of (7) (which the paper does not say)",
            "B, Remark 3.3",
            f"{within:.0%} of the runs from {scales[last]:g} are within 1 % of the least cost; {said}",
            Verdict.HOLDS if exact else Verdict.FAILS,
            {"within": within} | ({"followed": followed} if np.isfinite(followed) else {}),
            "aspects only, as the paper says: costs come near the least, the functions are others",
        ),
    ]


# scalings


def _scaling_pieces(plan: Plan) -> list[Settings]:
    if plan.quick:
        widths, tasks, steps = [64, 1024], 2, 1500
    else:
        widths, tasks, steps = [64, 256, 1024], 3, 3000
    return [{"widths": widths, "starts": plan.draws(3, 2), "tasks": tasks, "steps": steps, "points": 8}]


def _scalings(
    widths: Sequence[int], starts: int, tasks: int, steps: int, points: int
) -> Mapping[str, ArrayLike]:
    found = scaling_experiment(widths=widths, n_seeds=starts, n_tasks=tasks, steps=steps, n_points=points)
    return {name: getattr(found, name) for name in (*_SCALINGS, "kernel_label_error", "small")}


def scalings_of(record: Record) -> ScalingExperiment:
    """What `_scalings` measured, with its rates."""
    parts: dict[str, Any] = {name: record[name] for name in _SCALINGS}
    parts |= {name: record.number(name) for name in ("kernel_label_error", "small")}
    return ScalingExperiment(**parts)


def _judge_scalings(records: Sequence[Record]) -> list[Claim]:
    found = scalings_of(records[0])
    ntk, mean_field = found.ntk_rate, found.mean_field_rate
    least = float(found.mean_field_joint_minus_separate[-1].min())
    widest = int(found.widths[-1])
    decouples, learns = ntk > 0.4, mean_field < 0.3 and found.ratio_at_widest > 2.0
    return [
        Claim(
            "without weight decay wide networks learn from other tasks too, if the scaling is not that of "
            "NTK theory",
            "B, sections 1 and 4",
            f"joint minus separate predictions fall like n^-{ntk:.2f} in the NTK scaling, like "
            f"n^{-mean_field:.2f} in the mean-field one, where neurons must move: at n = {widest:,} the "
            f"latter are {found.ratio_at_widest:.1f} times as large, at least {least:.2g} (labels of size 1)",
            Verdict.HOLDS if decouples and learns else Verdict.FAILS,
            {"ntk": ntk, "mean_field": mean_field, "ratio": found.ratio_at_widest, "least": least},
        )
    ]


EXPERIMENTS = (
    Experiment(
        name="b-remark-3-3",
        title="Small starts instead of weight decay",
        figures=(),
        shows="Gradient descent started close to zero is said to regularise biases although nothing is "
        "decayed.",
        ours="Four labels of one task: |x - 1| at -2, -1, 3, 4, and random ones; all parameters normal of "
        "one scale, full-batch descent, no output bias.",
        pieces=_small_pieces,
        compute=_small,
        judge=_judge_small,
        effort=30.0,
        needs=("jax",),
    ),
    Experiment(
        name="b-section-1-scalings",
        title="Two scalings of one network",
        figures=(),
        shows="In the scaling of NTK theory wide networks lose what they learn from other tasks; in others "
        "they do not.",
        ours="Eight points in the plane, tasks |u_t . x|; full-batch descent from the same start under both "
        "scalings.",
        pieces=_scaling_pieces,
        compute=_scalings,
        judge=_judge_scalings,
        effort=15.0,
        needs=("jax",),
    ),
)
