"""Is the verdict of `knotwork compare` right? On 20 data sets, against labels that it never saw.

    python benchmarks/compare.py [--repeats 5] [--jobs 1] [--only NAME,NAME] [--level 0.95]

10 simulated sets whose tasks share their kinks, 5 whose tasks do not, 5 real ones. The truth of a
simulated set is the error of the very fits that the verdict is about (on all its labels, together and
apart) at 10^4 fresh inputs, or at the labels missing, exact over the noise; of a real one, learned from a
random half, the squared error on the other half. Together over apart below 1 / 1.02 makes "together"
right, above 1.02 "apart", else "no difference".
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

import knotwork as kw
from knotwork.comparing import Comparison, compare
from knotwork.comparing.fits import Setting
from knotwork.comparing.running import predictions
from knotwork.losses import Squared

Array = NDArray[np.float64]
MARGIN = 0.02
N_FRESH = 10_000


@dataclass(frozen=True, eq=False)
class Case:
    """Labels to compare on, and the held-out ones: at X_new in expectation Y_new with variance noise (T,).

    counted : (n, T), which of Y_new count.
    """

    X: Array
    Y: Array
    X_new: Array
    Y_new: Array
    noise: Array
    counted: NDArray[np.bool_]
    scheme: str = "rows"


@dataclass(frozen=True)
class Simulation:
    """Kinked tasks on [0, 1]^d of signal variance 1; `shared`: the same kinks, own jumps."""

    shared: bool
    d: int
    n: int
    n_tasks: int
    n_kinks: int
    noise: float
    missing: float = 0.0
    scheme: str = "rows"

    def draw(self, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        X, X_new = rng.uniform(size=(self.n, self.d)), rng.uniform(size=(N_FRESH, self.d))
        F, F_new = np.empty((self.n, self.n_tasks)), np.empty((N_FRESH, self.n_tasks))
        kinks = self._kinks(rng)
        for t in range(self.n_tasks):
            W, b = kinks if self.shared or t == 0 else (kinks := self._kinks(rng))
            jumps, slope = rng.standard_normal(self.n_kinks), rng.standard_normal(self.d)
            f, f_new = (np.maximum(x @ W.T + b, 0.0) @ jumps + x @ slope for x in (X, X_new))
            F[:, t], F_new[:, t] = (f - f_new.mean()) / f_new.std(), (f_new - f_new.mean()) / f_new.std()
        Y = F + self.noise * rng.standard_normal(F.shape)
        gone = rng.uniform(size=F.shape) < self.missing
        Y[gone] = np.nan
        variance = np.full(self.n_tasks, self.noise**2)
        if self.scheme == "labels":
            return Case(X, Y, X, F, variance, gone, self.scheme)
        return Case(X, Y, X_new, F_new, variance, np.ones_like(F_new, dtype=bool), self.scheme)

    def _kinks(self, rng: np.random.Generator) -> tuple[Array, Array]:
        W = rng.standard_normal((self.n_kinks, self.d))
        W /= np.linalg.norm(W, axis=1)[:, None]
        return W, -np.sum(W * rng.uniform(0.1, 0.9, W.shape), axis=1)


def halved(X: Array, Y: Array, seed: int) -> Case:
    """A random half to learn from, the other to be judged by."""
    X = X[:, None] if X.ndim == 1 else X
    order = np.random.default_rng(seed).permutation(len(X))
    mine, other = order[: len(X) // 2], order[len(X) // 2 :]
    return Case(X[mine], Y[mine], X[other], Y[other], np.zeros(Y.shape[1]), ~np.isnan(Y[other]))


def employment(*sectors: str) -> Callable[[int], Case]:
    """Months of some sectors."""

    def draw(seed: int) -> Case:
        table = kw.load_dataset("us-employment", tasks=sectors)
        return halved(table.X, table.Y, seed)

    return draw


def wheat(seed: int) -> Case:
    """Prices and wages over years."""
    table = kw.load_dataset("playfair-wheat")
    return halved(table.X, table.Y, seed)


def diabetes(seed: int) -> Case:
    """Six blood measurements from body mass index and blood pressure."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False).data
    return halved(data[:, [2, 3]], data[:, 4:10], seed)


def iris(seed: int) -> Case:
    """Length and width of petals from those of sepals."""
    from sklearn.datasets import load_iris

    data = load_iris().data
    return halved(data[:, :2], data[:, 2:], seed)


CASES: dict[str, Callable[[int], Case]] = {
    "shared 30x8": Simulation(True, 1, 30, 8, 3, 0.2).draw,
    "shared 40x12": Simulation(True, 1, 40, 12, 4, 0.3).draw,
    "shared 25x16": Simulation(True, 1, 25, 16, 3, 0.3).draw,
    "shared 60x12, 60 % gaps": Simulation(True, 1, 60, 12, 4, 0.2, 0.6).draw,
    "shared 60x20, 60 % gaps, labels": Simulation(True, 1, 60, 20, 5, 0.3, 0.6, "labels").draw,
    "shared 80x16, 70 % gaps": Simulation(True, 1, 80, 16, 4, 0.5, 0.7).draw,
    "shared 40x10": Simulation(True, 1, 40, 10, 6, 0.1).draw,
    "shared 50x24, 30 % gaps": Simulation(True, 1, 50, 24, 3, 0.5, 0.3).draw,
    "shared 40x6 d=2": Simulation(True, 2, 40, 6, 2, 0.1).draw,
    "shared 60x8 d=2, 40 % gaps": Simulation(True, 2, 60, 8, 3, 0.2, 0.4).draw,
    "own 40x6": Simulation(False, 1, 40, 6, 2, 0.1).draw,
    "own 60x8": Simulation(False, 1, 60, 8, 3, 0.2).draw,
    "own 100x4": Simulation(False, 1, 100, 4, 2, 0.1).draw,
    "own lines 80x5": Simulation(False, 1, 80, 5, 0, 0.5).draw,
    "own 60x4 d=2": Simulation(False, 2, 60, 4, 1, 0.1).draw,
    "employment goods": employment("mining_and_logging", "construction", "durable_goods", "nondurable_goods"),
    "employment services": employment(
        "retail_trade",
        "financial_activities",
        "professional_and_business_services",
        "education_and_health_services",
        "leisure_and_hospitality",
        "government",
    ),
    "wheat and wages": wheat,
    "diabetes d=2": diabetes,
    "iris d=2": iris,
}


def truth(case: Case, seed: int) -> tuple[float, float]:
    """Error together over apart at the held-out labels, geometric mean over the tasks, and its standard
    error over the inputs."""
    setting = Setting(Squared(), None, case.scheme, 5, case.X.shape[1] == 1, seed)
    rows = ~np.isnan(case.Y).all(axis=1)
    squares = []
    for name in ("together", "apart"):
        f, _ = predictions(name, case.X[rows], case.Y[rows], case.X_new, setting)
        squares.append(np.where(case.counted, (case.Y_new - f) ** 2 + case.noise, 0.0))
    together, apart = (square / square.sum(axis=0) for square in squares)
    total = [square.sum(axis=0) for square in squares]
    ratio = float(np.exp(np.mean(np.log(total[0]) - np.log(total[1]))))
    return ratio, ratio * float(np.linalg.norm((together - apart).mean(axis=1)))


def verdict_of(ratio: float) -> str:
    """What would have been right."""
    if ratio < 1.0 / (1.0 + MARGIN):
        return "together"
    return "apart" if ratio > 1.0 + MARGIN else "no difference"


@dataclass
class Row:
    """One data set: what was said, what is true."""

    name: str
    found: Comparison
    ratio: float
    error: float
    seconds: float
    right: bool = field(init=False)

    def __post_init__(self) -> None:
        self.right = self.found.verdict == verdict_of(self.ratio)

    def __str__(self) -> str:
        said = self.found.ratio("together")
        interval = f"{said.ratio:.3f} [{said.low:.3f}, {said.high:.3f}]"
        true = f"{self.ratio:.3f} ± {self.error:.3f}"
        return (
            f"| {self.name} | {interval} | {self.found.verdict} | {true} | {verdict_of(self.ratio)} | "
            f"{'yes' if self.right else 'no'} | {self.seconds:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", help="names of data sets, as a,b,c; or numbers")
    parser.add_argument("--level", type=float, default=0.95)
    options = parser.parse_args()
    names = list(CASES)
    if options.only:
        names = [names[int(one)] if one.isdigit() else one for one in options.only.split(",")]
    print("| data | together over apart | verdict | held-out ratio | right answer | right | seconds |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for name in names:
        seed = 100 + list(CASES).index(name)
        case, began = CASES[name](seed), time.perf_counter()
        found = compare(
            case.X,
            case.Y,
            repeats=options.repeats,
            methods=(),
            scheme=case.scheme,  # pyright: ignore[reportArgumentType]
            level=options.level,
            margin=MARGIN,
            random_state=seed,
            n_jobs=options.jobs,
        )
        seconds = time.perf_counter() - began
        rows.append(Row(name, found, *truth(case, seed), seconds))
        print(rows[-1], flush=True)
    right = sum(row.right for row in rows)
    print(f"\nright: {right} of {len(rows)} (floor 16 of 20, moonshot 20 of 20)")
    for level in (0.8, 0.5, 1e-6):
        said = [replace(row.found, level=level).verdict for row in rows]
        right = sum(one == verdict_of(row.ratio) for one, row in zip(said, rows, strict=True))
        print(f"with intervals of {100 * level:.0f} %: {right} of {len(rows)}")


if __name__ == "__main__":
    main()
