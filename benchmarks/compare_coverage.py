"""How often does the interval of `knotwork.compare` hold the true ratio?

    python benchmarks/compare_coverage.py [--sets 40] [--repeats 1] [--only 0,1] [--save FILE]

Data sets drawn from tasks of which none is in compare.py. Truth: the expected error together over that apart,
each learned from all rows of a data set, the geometric mean over the tasks; expected over the sets drawn.
"rows": the interval of `Comparison.ratio`, over rows. "folds": its rival, Student's for the mean over folds
of the log ratio of their errors, the variance corrected for what folds share (Nadeau and Bengio 2003).
Held: the share of the sets whose 95 % interval holds the true ratio; width: the median, of the log ratio.
"""

from __future__ import annotations

import argparse
import pickle
import time
from typing import Any

import numpy as np
from compare_data import Simulation, held_out_errors
from numpy.typing import NDArray
from scipy.special import stdtrit

from knotwork.comparing import Comparison, compare
from knotwork.comparing.intervals import log_ratio

Array = NDArray[np.float64]
INNER = 3
DESIGNS = {
    "shared 30 x 4": Simulation(True, 30, 4, (2,), (0.3,), seed=11),
    "shared 40 x 3, 30 % gaps": Simulation(True, 40, 3, (3,), (0.4,), 0.3, seed=12),
    "own 40 x 2": Simulation(False, 40, 2, (2,), (0.2,), seed=13),
    "own, unlike 40 x 2": Simulation(False, 40, 2, (0, 4), (1.0, 0.1), seed=14),
    "lines 30 x 3": Simulation(True, 30, 3, (0,), (0.5,), seed=15),
}


def nadeau_bengio(found: Comparison) -> tuple[float, float]:
    """Ends of the interval of the log ratio by folds, t of n - 1 degrees and (1 / n + test / train) s^2."""
    logs = np.log(found.fold_ratios("together"))
    n, over = len(logs), float(found.n_test.sum() / found.n_train.sum())
    reach = float(stdtrit(n - 1, 0.975)) * np.sqrt((1.0 / n + over) * logs.var(ddof=1))
    return float(logs.mean() - reach), float(logs.mean() + reach)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", help="numbers of designs, as 0,1")
    parser.add_argument("--save")
    options = parser.parse_args()
    names = list(DESIGNS)
    if options.only:
        names = [names[int(one)] for one in options.only.split(",")]
    kept = {}
    print("| tasks | true ratio | mean | sd / s.e. | rows: held, width | folds: held, width | CPU s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in names:
        began = time.process_time()
        errors, found = drawn(DESIGNS[name], options.sets, options.repeats)
        print(f"| {name} | {line(errors, found)} | {time.process_time() - began:.0f} |", flush=True)
        kept[name] = errors, found
    if options.save:
        with open(options.save, "wb") as file:
            pickle.dump(kept, file)


def drawn(design: Simulation, n_sets: int, repeats: int) -> tuple[Array, list[Comparison]]:
    """(R, 2, T) true errors of what each of R data sets teaches, and the comparisons of these sets."""
    errors, found = [], []
    for k in range(n_sets):
        case = design.draw(np.random.default_rng([1, design.seed, k]))
        errors.append(held_out_errors(case, design.scheme, k, INNER))
        options: dict[str, Any] = {"repeats": repeats, "inner_folds": INNER, "random_state": k}
        found.append(compare(case.X, case.Y, methods=(), scheme=design.scheme, **options))
    return np.stack(errors), found


def line(errors: Array, found: list[Comparison]) -> str:
    """What is printed of one design."""
    true = log_ratio(errors[:, 0], errors[:, 1], np.arange(len(errors)))
    said = [one.ratio("together") for one in found]
    logs, ends = np.log([one.ratio for one in said]), np.log([(one.low, one.high) for one in said])
    reach = [stdtrit(len(np.unique(one.units)) - 1, 0.5 + 0.5 * one.level) for one in found]
    standard = np.sqrt(np.mean((0.5 * (ends[:, 1] - ends[:, 0]) / reach) ** 2))
    rivals = np.array([nadeau_bengio(one) for one in found])
    held = [
        f"{np.mean((e[:, 0] <= true.mean) & (true.mean <= e[:, 1])):.2f}, {np.median(e[:, 1] - e[:, 0]):.2f}"
        for e in (ends, rivals)
    ]
    return (
        f"{np.exp(true.mean):.3f} ± {np.exp(true.mean) * true.error:.3f} | {np.exp(logs.mean()):.3f} | "
        f"{logs.std(ddof=1) / standard:.2f} | {held[0]} | {held[1]}"
    )


if __name__ == "__main__":
    main()
