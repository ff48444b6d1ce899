"""Peak resident memory of one solve, in a process of its own (Linux): run by one_input.py.

    python benchmarks/memory.py MISSING

prints three numbers: the peak above what was resident just before `solve`, over the size of Y; the
same from just before `Problem` was built; the relative gap.
"""

from __future__ import annotations

import sys
from pathlib import Path

from data import lam_of, shared_kinks

import knotwork as kw


def status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{field} is not in /proc/self/status")


def reset_peak() -> int:
    """Bytes resident now; the high-water mark starts again from there."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def main(missing: float) -> None:
    kw.solve(kw.Problem(*shared_kinks(1000, 2, 0, missing=missing), 1.0))
    X, Y = shared_kinks(1_000_000, 10, 0, "random", missing)
    before = reset_peak()
    problem = kw.Problem(X, Y, lam_of(0.06, len(X)))
    building = status("VmHWM")
    held = reset_peak()
    certificate = kw.solve(problem).certificate
    peak = status("VmHWM")
    print((peak - held) / Y.nbytes, (max(peak, building) - before) / Y.nbytes, certificate.relative_gap)


if __name__ == "__main__":
    main(float(sys.argv[1]))
