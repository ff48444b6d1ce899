"""`knotwork reproduce`: seconds, records that do not depend on kills or processes, the page, Figure A 4.

    python benchmarks/reproduce.py [--quick] [--only NAME ...]

full, quick  seconds of the whole command in two processes, from an empty folder.
figures      figures of the papers that have a record and a picture, of 10 of A and 8 of B.
claims       claims with a measured number and a verdict.
killed       `--quick` killed at five random moments and started again: digests of all records against those
             of a run that was not.
processes    `--quick` in one process, in two, and on a Dask cluster of two workers: the same.
page         the page's size without `--interactive`.
spread       Figure A 4: mean L2 distance to the mean function, two tasks over one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from one_input import HEADER, Row
from safetensors import safe_open

FIGURES = [f"A {k}" for k in range(1, 11)] + [f"B {k}" for k in range(1, 9)]
KILLS = 5


def command(out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "knotwork", "reproduce", "--out", str(out), *options]


def seconds_of(out: Path, *options: str) -> float:
    began = time.perf_counter()
    subprocess.run(command(out, *options), check=True, capture_output=True)
    return time.perf_counter() - began


def digests(out: Path) -> dict[str, str]:
    """What each record measured, by its file."""
    found = {}
    for file in sorted((out / "records").glob("*.safetensors")):
        with safe_open(file, framework="np") as opened:
            found[file.name] = json.loads(opened.metadata()["knotwork.record"])["digest"]
    return found


def whole(folder: Path, quick: bool) -> Iterator[Row]:
    out = folder / ("quick" if quick else "full")
    took = seconds_of(out, "--jobs", "2", *(["--quick"] if quick else []))
    floor, moonshot = (120, 45) if quick else (1800, 600)
    name = "quick" if quick else "full"
    reached = f"≤ {floor} s", f"≤ {moonshot} s"
    yield Row(name, "all, 2 processes", f"{took:.0f} s", *reached, took <= floor, ours=took)
    record = json.loads((out / "claims.json").read_text(encoding="utf-8"))["experiments"]
    page = (out / "index.html").read_text(encoding="utf-8")
    drawn = {figure for one in record if one["records"] for figure in one["figures"]}
    seen = [
        figure
        for figure in FIGURES
        if figure in drawn and f'<figure id="figure-{figure.lower().replace(" ", "-")}"' in page
    ]
    yield Row("figures", "record and picture", f"{len(seen)} of 18", "18 of 18", "", len(seen) == 18)
    claims = [claim for one in record for claim in one["claims"]]
    told = [claim for claim in claims if claim["values"] and claim["verdict"]]
    verdicts = {claim["verdict"]: 0 for claim in claims}
    for claim in claims:
        verdicts[claim["verdict"]] += 1
    said = ", ".join(f"{many} {verdict}" for verdict, many in verdicts.items())
    yield Row("claims", said, f"{len(told)} of {len(claims)}", "all", "", len(told) == len(claims))
    size = (out / "index.html").stat().st_size / 2**20
    yield Row("page", "without --interactive", f"{size:.2f} MiB", "≤ 3 MB", "", size * 1.048576 <= 3)
    for claim in claims:
        if {"ratio", "one task", "two tasks"} <= set(claim["values"]):
            ratio = claim["values"]["ratio"]
            yield Row(
                "spread", claim["measured"][:40], f"1/{1 / ratio:.0f}", "≤ 1/20", "≤ 1/100", ratio <= 1 / 20
            )


def killed(folder: Path, quick: bool) -> Iterator[Row]:
    once = folder / "quick"
    took = seconds_of(once, "--quick", "--jobs", "2")
    out = folder / "killed"
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(out, "--quick", "--jobs", "2"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.communicate(timeout=float(rng.uniform(0.05, 0.5) * max(took, 10.0)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        kept.append(len(digests(out)) if (out / "records").exists() else 0)
    seconds_of(out, "--quick", "--jobs", "2")
    equal = digests(out) == digests(once)
    said = f"equal: {equal}; records after each kill: {kept}, in all {len(digests(once))}"
    yield Row("killed", f"{KILLS} kills", said, "equal", "", equal)


def processes(folder: Path, quick: bool) -> Iterator[Row]:
    import joblib
    from dask.distributed import Client, LocalCluster

    from knotwork.experiments.catalogue import chosen
    from knotwork.experiments.experiment import Plan
    from knotwork.experiments.running import run

    plan = Plan(quick=True)
    seconds_of(folder / "serial", "--quick")
    seconds_of(folder / "two", "--quick", "--jobs", "2")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        run(chosen([]), folder / "dask" / "records", plan=plan, n_jobs=2)
    one, two, dask = (digests(folder / name) for name in ("serial", "two", "dask"))
    said = f"{len(one)} records; two equal: {two == one}, Dask equal: {dask == one}"
    yield Row("processes", "--quick", said, "equal", "", one == two == dask)


BARS: dict[str, Callable[[Path, bool], Iterator[Row]]] = {
    "whole": whole,
    "killed": killed,
    "processes": processes,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS), help="bars to measure")
    parser.add_argument("--quick", action="store_true", help="the command's --quick in place of the full run")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}\n\n{HEADER}")
    began = time.perf_counter()
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            for row in BARS[name](Path(folder), options.quick):
                print(row, flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
