"""A table larger than memory: peak memory of `solve_file` over the size of its Parquet file (Linux).

    python benchmarks/large_file.py [--rows N] [--tasks T] [--memory MIB] [--group ROWS] [--shuffled]
                                    [--missing SHARE] [--tol TOL] [--folder FOLDER]

Writes N rows with 10 kinks shared by the tasks in a temporary folder, chunk by chunk, then fits them in a
process of its own at lam = .06 sqrt(N), labels as they are, and prints the seconds, the passes, the gap
and the peak resident memory (ru_maxrss). Two baselines are printed beside it, each of a process of its
own: `import knotwork`, and the same call on a file of 1,000 rows, that is all libraries loaded.

N = 10^8, T = 4, on paper: a pass reads 40 bytes a row, 4 GB; at the 2.5 to 4.4 s that N = 10^7 takes (two
passes, and single row groups in the rounds) 25 to 44 s. The moments of a block take 15 numbers (T = 4), a
quarter of memory=64 MiB holds 1.4 10^5 blocks, so a block has 1,024 points and an eighth of the memory
keeps 146 of them. Rows out of order add a pass and a sorted copy of 4 GB, twice that while some 370 sorted
runs are merged: 3 to 6 minutes. Done, on two shared cores, `--rows 100000000 --memory 64`: 41.8 s, 2.01
passes, relative gap 3.1e-7, peak 189 MB, .047 of the file of 4.03 GB with all libraries counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_CHUNK = 1 << 18


def write(path: str, n_rows: int, n_tasks: int, group: int, shuffled: bool, missing: float) -> None:
    """Rows in order of x, or, shuffled, drawn independently."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    kinks = np.sort(rng.uniform(0.0, 1.0, 10))
    jumps = 10.0 * rng.standard_normal((10, n_tasks))
    names = ["x", *(f"y{t}" for t in range(n_tasks))]
    writer, held = None, []

    def flush() -> None:
        nonlocal writer, held
        table = pa.concat_tables(held)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=group)
        held = []

    for low in range(0, n_rows, _CHUNK):
        n = min(_CHUNK, n_rows - low)
        x = rng.uniform(size=n)
        if not shuffled:
            x = (low + n * np.sort(x)) / n_rows
        Y = 0.3 * rng.standard_normal((n, n_tasks)) + np.maximum(x[:, None] - kinks, 0.0) @ jumps
        if missing > 0:
            Y[rng.uniform(size=Y.shape) < missing] = np.nan
        columns = [pa.array(x), *(pa.array(y, from_pandas=True) for y in Y.T)]
        held.append(pa.table(columns, names=names))
        if sum(map(len, held)) >= group:
            flush()
    if held:
        flush()
    if writer is not None:
        writer.close()


def fit(path: str, n_rows: int, memory: int, tol: float, scratch: str) -> None:
    from knotwork.streaming.solve_file import solve_file

    lam = 0.06 * n_rows**0.5
    found = solve_file(path, input="x", lam=lam, tol=tol, memory=memory << 20, scale="none", scratch=scratch)
    print(
        json.dumps(
            {
                "seconds": found.seconds,
                "passes": found.passes,
                "rounds": len(found.trace),
                "knots": found.network.n_neurons,
                "gap": found.relative_gap,
                "rigour": found.rigour.name,
                "status": found.status.name,
            }
        )
    )


def in_a_process(code: str) -> tuple[str, int]:
    """What Python `code` prints, and its peak resident bytes. This process holds next to nothing, for
    its own peak would be inherited."""
    report = "; import resource; print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    setup = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    run = subprocess.run([sys.executable, "-c", setup + code + report], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit(run.returncode)
    *printed, peak = run.stdout.strip().splitlines()
    return "\n".join(printed), int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--memory", type=int, default=16, help="MiB that solve_file may hold, about")
    parser.add_argument("--group", type=int, default=1 << 20, help="rows of a row group")
    parser.add_argument("--shuffled", action="store_true", help="rows not in order of the input")
    parser.add_argument("--missing", type=float, default=0.0, help="share of labels that are null")
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--folder", help="where the temporary folder is made")
    given: Any = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        large, small = f"{folder}/large.parquet", f"{folder}/small.parquet"
        for path, rows in ((large, given.rows), (small, 1000)):
            arguments = (path, rows, given.tasks, given.group, given.shuffled, given.missing)
            in_a_process(f"import large_file; large_file.write(*{arguments!r})")
        size = Path(large).stat().st_size
        _, bare = in_a_process("import knotwork")
        arguments = (given.memory, given.tol, folder)
        _, loaded = in_a_process(f"import large_file; large_file.fit({small!r}, 1000, *{arguments!r})")
        printed, peak = in_a_process(
            f"import large_file; large_file.fit({large!r}, {given.rows}, *{arguments!r})"
        )
    found = json.loads(printed)
    print(
        f"{given.rows:,} rows, {given.tasks} tasks, row groups of {given.group:,}, "
        f"{'shuffled, ' if given.shuffled else ''}{given.missing:.0%} missing, memory={given.memory} MiB"
    )
    print(
        f"file {size / 1e6:.1f} MB; peak {peak / 1e6:.1f} MB; bare import {bare / 1e6:.1f} MB; "
        f"libraries loaded {loaded / 1e6:.1f} MB"
    )
    print(
        f"peak over file: {peak / size:.3f} in all, {(peak - bare) / size:.3f} above a bare import, "
        f"{(peak - loaded) / size:.3f} above the libraries"
    )
    print(
        f"{found['seconds']:.1f} s, {found['passes']:.2f} passes, {found['rounds']} rounds, "
        f"{found['knots']} knots, relative gap {found['gap']:.2e} ({found['rigour']}, {found['status']})"
    )


if __name__ == "__main__":
    main()
