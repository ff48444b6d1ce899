"""Are proofs of fits accepted, forged ones refused, and how long does it take?

    python benchmarks/proofs.py [--fits 100] [--large 100000] [--plane 1000]

Fits of 20 to 2,000 rows and 1 to 10 tasks: the benchmarks' kinked tasks, with gaps, repeated inputs and
weights in some, scaled task by task. Every proof is checked by a copy of the one file in an empty folder,
under `python -I -S`. Then, of each fit, two forgeries of random kind: one as it is, and one whose checksum
and data hash the forger has made anew, so that the arithmetic alone must refuse it. At last one large fit
of one input, and some of two.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data import SPACINGS, shared_kinks
from numpy.typing import NDArray

import knotwork as kw
from knotwork.fit_files import write_rows
from knotwork.proofs import checker, write_proof
from knotwork.scaling import TaskScaling

Array = NDArray[np.float64]
WEIGHTS = (0.5, 1.0, 3.0)
LAM_RATIOS = (0.003, 0.03, 0.3)


@dataclass(frozen=True)
class Fit:
    """A proof in `folder`, the gaps of its certificate and of itself over the objective, and the seconds
    that it took to write."""

    folder: Path
    n_rows: int
    float_gap: float
    exact_gap: float
    seconds: float


def draw(n: int, n_tasks: int, seed: int, plain: bool) -> tuple[kw.Problem, Array, TaskScaling]:
    """Kinked tasks of one input at a lam of 0.003 to 0.3 lam_max, with their labels in units of the data."""
    rng = np.random.default_rng(seed)
    missing = 0.0 if plain else float(rng.choice([0.0, 0.2]))
    x, Y = shared_kinks(n, n_tasks, seed, str(rng.choice(SPACINGS)), missing)
    if not plain and rng.integers(2):
        x = np.round(x, 2)
    weight = rng.choice(WEIGHTS, n) if not plain and rng.integers(2) else None
    Y[:2] = rng.standard_normal((2, n_tasks))
    scaling = TaskScaling.of(Y)
    problem = kw.Problem(x, scaling.apply(Y), 1.0, sample_weight=weight)
    return problem.with_lam(float(rng.choice(LAM_RATIOS)) * kw.lam_max(problem)), Y, scaling


def draw_plane(n: int, n_tasks: int) -> tuple[kw.Problem, Array, TaskScaling]:
    """Four neurons of two inputs and noise, at 0.03 lam_max."""
    rng = np.random.default_rng(n)
    X = rng.uniform(-1.0, 1.0, (n, 2))
    hidden = np.maximum(X @ rng.standard_normal((2, 4)) + 0.2, 0.0)
    Y = hidden @ rng.standard_normal((4, n_tasks)) + 0.1 * rng.standard_normal((n, n_tasks))
    problem = kw.Problem(X, Y, 1.0)
    return problem.with_lam(0.03 * kw.lam_max(problem)), Y, TaskScaling.none(n_tasks)


def fit(folder: Path, problem: kw.Problem, Y: Array, scaling: TaskScaling) -> Fit:
    """Solve, and write data.csv and proof.json."""
    folder.mkdir()
    solution = kw.solve(problem)
    inputs = ["x", "z"][: problem.n_inputs]
    tasks = [f"task {t}" for t in range(problem.n_tasks)]
    cells = [["" if np.isnan(y) else y for y in row] for row in Y.tolist()]
    weight = np.ones(len(Y)) if problem.sample_weight is None else problem.sample_weight
    rows = [[*x, *row, w] for x, row, w in zip(problem.X.tolist(), cells, weight.tolist(), strict=True)]
    proof, data = folder / "proof.json", folder / "data.csv"
    write_rows(data, [*inputs, *tasks, "weight"], rows)
    began = time.process_time()
    written = write_proof(solution, proof, data, input=inputs, tasks=tasks, weight="weight", scaling=scaling)
    seconds = time.process_time() - began
    assert written.gap is not None
    primal = solution.certificate.primal
    return Fit(folder, len(Y), solution.certificate.gap / primal, float(written.gap) / primal, seconds)


def check(alone: Path, proof: Path, data: Path) -> tuple[bool, float, str]:
    """Whether the copy of the checker accepts, its seconds with Python's start, and what it prints."""
    began = time.perf_counter()
    command = [sys.executable, "-I", "-S", str(alone), str(proof), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=alone.parent)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0, time.perf_counter() - began, done.stdout


def forge(one: Fit, kind: str, rng: np.random.Generator, seal: bool) -> None:
    """Write forged.json and forged.csv: another problem, network, dual point, claim or table."""
    text = (one.folder / "data.csv").read_text(encoding="utf-8")
    proof: dict[str, Any] = json.loads((one.folder / "proof.json").read_text(encoding="utf-8"))
    tasks = len(proof["tasks"])
    t, factor = int(rng.integers(tasks)), float(1 + rng.choice([-1, 1]) * 10.0 ** rng.uniform(-6, -1))
    if kind == "lam":
        proof["lam"] *= factor
    elif kind == "scale":
        proof["scale"][t] *= factor
    elif kind == "c":
        proof["c"][t] += factor - 1
    elif kind in ("A", "V"):
        row = proof[kind][int(rng.integers(len(proof[kind])))]
        row[t] = row[t] * factor + (factor - 1)
    elif kind == "dual point":
        proof["residuals"] = [[round(r * factor) for r in values] for values in proof["residuals"]]
    elif kind in ("primal", "dual", "gap"):
        better = abs(factor - 1)
        proof[kind] *= 1 + better if kind == "dual" else 1 - better
    else:
        lines = text.splitlines()
        at = 1 + int(rng.integers(one.n_rows))
        cells = lines[at].split(",")
        cells[1 + t] = repr(float(cells[1 + t] or 0.0) + 3.0 * (factor - 1))
        lines[at] = ",".join(cells)
        text = "\n".join(lines) + "\n"
    (one.folder / "forged.csv").write_text(text, encoding="utf-8")
    if seal:
        proof["data_sha256"] = checker.read_data(one.folder / "forged.csv", proof).sha256
        proof["checksum"] = checker.checksum(proof)
    (one.folder / "forged.json").write_text(json.dumps(proof), encoding="utf-8")


KINDS = ("lam", "scale", "A", "c", "V", "dual point", "primal", "dual", "gap", "label")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fits", type=int, default=100)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--plane", type=int, default=1000)
    arguments = parser.parse_args()
    sizes = np.geomspace(20, 2000, arguments.fits).round().astype(int).tolist()
    with tempfile.TemporaryDirectory() as place:
        alone = Path(place) / "alone" / "checker.py"
        alone.parent.mkdir()
        shutil.copy(checker.__file__, alone)
        fits = []
        for seed, n in enumerate(sizes):
            n_tasks = 10 if seed == len(sizes) - 1 else 1 + seed % 10
            case = draw(n, n_tasks, seed, plain=seed == len(sizes) - 1)
            fits.append(fit(Path(place) / str(seed), *case))
        checks = [check(alone, one.folder / "proof.json", one.folder / "data.csv") for one in fits]
        print(f"proofs accepted                    {sum(good for good, _, _ in checks)} of {len(fits)}")
        print(f"largest relative gap, float64      {max(one.float_gap for one in fits):.2e}")
        print(f"largest relative gap, exact        {max(one.exact_gap for one in fits):.2e}")
        print(f"largest difference of the two      {max(abs(f.exact_gap - f.float_gap) for f in fits):.2e}")
        print(f"seconds a check, most (with start) {max(seconds for _, seconds, _ in checks):.2f}")
        for seal in (False, True):
            rng = np.random.default_rng(int(seal))
            refused, missed = 0, Counter()
            for number, one in enumerate(fits):
                kind = KINDS[number % len(KINDS)]
                forge(one, kind, rng, seal)
                accepted, _, _ = check(alone, one.folder / "forged.json", one.folder / "forged.csv")
                refused += not accepted
                missed[kind] += accepted
            how = "checksums made anew" if seal else "as they are"
            accepted = "".join(f"; accepted: {count} of {kind}" for kind, count in missed.items() if count)
            print(f"forgeries refused, {how:<19} {refused} of {len(fits)}{accepted}")
        large = [("large", draw(arguments.large, 10, 0, plain=True))]
        large += [(str(n), draw_plane(n, 3)) for n in (60, 250, arguments.plane)]
        for name, case in large:
            one = fit(Path(place) / f"{name}-alone", *case)
            proof = one.folder / "proof.json"
            accepted, seconds, printed = check(alone, proof, one.folder / "data.csv")
            size = f"d = {case[0].n_inputs}, N = {one.n_rows}, T = {case[0].n_tasks}"
            written = f"{one.seconds:.1f} s ({proof.stat().st_size / 1e6:.1f} MB)"
            verdict = "accepted" if accepted else "REFUSED"
            print(f"{size}: written in {written}, {verdict} in {seconds:.1f} s")
            print(printed, end="")


if __name__ == "__main__":
    main()
