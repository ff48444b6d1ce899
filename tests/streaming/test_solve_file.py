from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CATALOGUE
from references import conic_optimum
from streams import kinked, write_npy, write_parquet

import knotwork as kw
from knotwork.scaling import TaskScaling
from knotwork.solvers.centred import moved
from knotwork.streaming.reading import Reading, ReadingStopped
from knotwork.streaming.solve_file import solve_file
from knotwork.tables import TableError

TINY = 1 << 14


def assert_optimal(fit, X, Y, tol, scaling=None):
    """Both ways: the network's own objective on the whole table is the primal, and it is within tol of an
    optimum bounded from both sides by the in-memory solver."""
    scaling = scaling or TaskScaling.none(Y.shape[1])
    origin = fit_origin(X)
    problem = kw.Problem(X - origin, scaling.apply(Y), fit.lam)
    solution = kw.solve(problem, tol=1e-10)
    assert solution.certificate.relative_gap <= 1e-10
    best, slack = solution.certificate, 2e-10 * solution.certificate.primal
    network = moved(scaling.to_task_units(fit.network), np.array([-origin]))
    assert problem.objective(network) == pytest.approx(fit.primal, rel=1e-9)
    assert fit.primal >= best.dual - slack
    assert fit.dual <= best.primal + slack
    assert fit.gap == pytest.approx(fit.primal - fit.dual, abs=1e-14 * fit.primal)
    assert fit.relative_gap <= tol
    assert fit.status is kw.Status.OPTIMAL
    assert fit.rigour is kw.Rigour.EXACT
    assert fit.lam_max == pytest.approx(kw.lam_max(problem), rel=1e-9)
    return solution


def fit_origin(X):
    """Far from 0 the solver in memory, our oracle, is given the exact differences."""
    return float(X.min()) if min(abs(X.min()), abs(X.max())) > 1e3 * np.ptp(X) else 0.0


@pytest.mark.parametrize("memory", [1, 1 << 26])
@pytest.mark.parametrize(
    "known", [k for k in CATALOGUE if k.weight is None and k.lam > 0], ids=lambda known: known.name
)
def test_problems_solved_by_hand(tmp_path, known, memory):
    path = write_parquet(tmp_path / "t", known.X, known.Y, group=2)

    def solved():
        return solve_file(path, input="x", lam=known.lam, scale="none", tol=1e-9, memory=memory)

    if memory == 1 and any(len(np.unique(known.X[~np.isnan(y)])) == 1 for y in known.Y.T):
        with pytest.raises(TableError, match="t: tasks: column 'y0' has labels at one input only"):
            solved()
        return
    fit = solved()
    assert fit.primal == pytest.approx(known.optimum, rel=1e-8, abs=1e-12)
    assert fit.lam_max == pytest.approx(known.lam_max, rel=1e-10, abs=1e-12)
    if known.fitted is not None:
        np.testing.assert_allclose(fit.network.predict(known.X), known.fitted, atol=1e-4)


@pytest.mark.parametrize(
    ("n", "group", "memory", "gaps", "digits", "rows"),
    [
        (1000, 10, TINY, 0.0, None, False),
        (1000, 1, 1, 0.2, None, False),
        (3000, 333, TINY, 0.0, 3, False),
        (3000, 333, TINY, 0.3, 3, False),
        (20_000, 1000, 1 << 16, 0.4, None, True),
        (100_000, 4096, 1 << 18, 0.0, None, False),
        (100_000, 4096, 1 << 18, 0.1, 4, False),
    ],
)
@pytest.mark.parametrize("shuffled", [False, True])
def test_the_optimum_is_that_of_the_table_in_memory(tmp_path, n, group, memory, gaps, digits, rows, shuffled):
    rng = np.random.default_rng(n)
    X, Y = kinked(rng, n, 3, gaps, digits, rows)
    order = rng.permutation(n) if shuffled else np.arange(n)
    path = write_parquet(tmp_path / "t", X[order], Y[order], group)
    fit = solve_file(path, input="x", lam_ratio=0.01, scale="none", memory=memory, tol=1e-8, scratch=tmp_path)
    assert_optimal(fit, X, Y, 1e-8)
    assert (fit.n_rows, fit.sorted_rows) == (n, shuffled)
    assert fit.n_points == len(np.unique(X[~np.isnan(Y).all(axis=1)]))
    assert fit.n_labels.tolist() == np.count_nonzero(~np.isnan(Y), axis=0).tolist()
    assert fit.lam == pytest.approx(0.01 * fit.lam_max)
    assert fit.passes >= 2.0
    # the sorted copy is gone
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    digits=st.sampled_from([None, 2]),
    gaps=st.sampled_from([0.0, 0.3]),
    ratio=st.sampled_from([0.02, 0.1, 0.6, 1.2]),
    memory=st.sampled_from([1, TINY, 1 << 20]),
    scale=st.sampled_from(["task", "none"]),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_any_small_table(tmp_path_factory, seed, digits, gaps, ratio, memory, scale, offset):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 400))
    X, Y = kinked(rng, n, int(rng.integers(1, 4)), gaps, digits)
    X = (X if rng.uniform() < 0.5 else rng.permutation(X)) + offset
    path = write_npy(tmp_path_factory.mktemp("t") / "t.npy", X, Y)
    fit = solve_file(path, input=0, lam_ratio=ratio, memory=memory, scale=scale, tol=1e-7)
    scaling = TaskScaling.of(Y) if scale == "task" else TaskScaling.none(Y.shape[1])
    np.testing.assert_allclose(fit.scaling.centre, scaling.centre, atol=1e-13)
    assert_optimal(fit, X, Y, 1e-7, fit.scaling)
    if ratio > 1:
        assert fit.network.n_neurons == 0


def test_a_conic_solver_agrees(tmp_path):
    X, Y = kinked(np.random.default_rng(8), 120, 2, 0.2, digits=2)
    path = write_parquet(tmp_path / "t", X, Y, 17)
    fit = solve_file(path, input="x", lam=0.3, scale="none", memory=1, tol=1e-8)
    assert fit.primal == pytest.approx(conic_optimum(X, Y, 0.3)[0], rel=1e-6)


@pytest.mark.parametrize("type", [pa.float32(), pa.int16(), pa.decimal128(12, 6), pa.float16()])
def test_types_of_numbers(tmp_path, type):
    X, Y = kinked(np.random.default_rng(9), 500, 1)
    Y = np.round(100.0 * Y) / (1.0 if pa.types.is_integer(type) else 128.0)
    column = pa.array(Y[:, 0].astype(np.float16)) if type == pa.float16() else pa.array(Y[:, 0]).cast(type)
    pq.write_table(pa.table({"y": column, "x": X}), tmp_path / "t", row_group_size=50)
    fit = solve_file(tmp_path / "t", input="x", tasks=["y"], lam_ratio=0.05, scale="none", memory=TINY)
    assert_optimal(fit, X, np.array([float(v) for v in column.to_pylist()])[:, None], 1e-6)


def test_an_early_stop_has_an_honest_gap(tmp_path):
    X, Y = kinked(np.random.default_rng(10), 5000, 3)
    path = write_parquet(tmp_path / "t", X, Y, 1000)
    whole = solve_file(path, input="x", lam_ratio=0.01, memory=TINY, tol=1e-9)
    for rounds in (1, 2, 4):
        fit = solve_file(path, input="x", lam_ratio=0.01, memory=TINY, max_rounds=rounds)
        assert fit.status is kw.Status.MAX_ROUNDS
        assert len(fit.trace) == rounds
        assert fit.primal - whole.primal >= -1e-9 * whole.primal
        assert fit.primal - fit.gap <= whole.primal
        assert fit.relative_gap > 1e-6


def stops_at(stage):
    return lambda one: getattr(one, "stage", "round") == stage


def test_the_user_can_stop_at_any_time(tmp_path):
    X, Y = kinked(np.random.default_rng(11), 5000, 2)
    path = write_parquet(tmp_path / "t", X, Y, 500)
    seen = []
    solve_file(path, input="x", lam_ratio=0.01, memory=TINY, progress=lambda one: seen.append(one))
    stages = [one.stage for one in seen if isinstance(one, Reading)]
    assert sorted(set(stages)) == ["moments", "survey"]
    assert max(one.rows for one in seen if isinstance(one, Reading)) == 5000
    assert any(isinstance(one, kw.TraceEntry) for one in seen)
    for stage in ("survey", "moments"):
        with pytest.raises(ReadingStopped, match=f"stopped on request while reading the file .{stage}"):
            solve_file(path, input="x", lam=1.0, memory=TINY, progress=stops_at(stage))
    for memory in (TINY, 1 << 26):
        fit = solve_file(path, input="x", lam_ratio=0.01, memory=memory, progress=stops_at("round"))
        assert fit.status is kw.Status.STOPPED
        assert len(fit.trace) == 1
    with pytest.raises(ReadingStopped, match="max_seconds=1e-09 passed"):
        solve_file(path, input="x", lam=1.0, memory=TINY, max_seconds=1e-9)


def test_a_stop_while_sorting_leaves_nothing_behind(tmp_path):
    X, Y = kinked(np.random.default_rng(12), 2000)
    path = write_parquet(tmp_path / "t", X[::-1], Y[::-1])
    with pytest.raises(ReadingStopped, match="sort"):
        solve_file(path, input="x", lam=1.0, memory=TINY, scratch=tmp_path, progress=stops_at("sort"))
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "lam: give one of lam and lam_ratio, got neither"),
        ({"lam": 1.0, "lam_ratio": 0.1}, ValueError, "got both"),
        ({"lam": 0.0}, ValueError, "lam: must be a finite number > 0, got 0.0"),
        ({"lam_ratio": np.nan}, ValueError, "lam_ratio: must be a finite number"),
        ({"lam": True}, ValueError, "lam: must be"),
        ({"lam": 1.0, "memory": 0}, ValueError, "memory: must be a number of bytes > 0, got 0"),
        ({"lam": 1.0, "scale": "labels"}, ValueError, "scale: must be 'task' or 'none'"),
        ({"lam": 1.0, "tol": 0.0}, ValueError, "tol: must be finite and > 0"),
    ],
)
def test_arguments_without_sense_are_refused(tmp_path, options, error, message):
    path = write_parquet(tmp_path / "t", np.arange(3.0), np.eye(3))
    with pytest.raises(error, match=message):
        solve_file(path, input="x", **options)


def test_a_task_with_labels_at_one_input_is_named(tmp_path):
    Y = np.array([[1.0, np.nan], [2.0, 4.0], [3.0, 5.0], [5.0, np.nan]])
    path = write_parquet(tmp_path / "t", np.array([0.0, 1.0, 1.0, 3.0]), Y)
    with pytest.raises(TableError, match="t: tasks: column 'y1' has labels at one input only"):
        solve_file(path, input="x", lam=1.0, memory=1)
    assert solve_file(path, input="x", lam=1.0).status is kw.Status.OPTIMAL


def test_labels_on_lines_need_no_neuron(tmp_path):
    X = np.linspace(-1.0, 2.0, 1000)
    Y = np.column_stack([3.0 * X + 1.0, -X])
    fit = solve_file(write_parquet(tmp_path / "t", X, Y), input="x", lam_ratio=0.5, memory=TINY)
    assert fit.lam_max == 0.0
    assert fit.network.n_neurons == 0
    np.testing.assert_allclose(fit.network.predict(X), Y, atol=1e-12)


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for n in (50_000, 400_000):
        X, Y = kinked(np.random.default_rng(13), n, 3)
        path = write_npy(tmp_path / "t.npy", X, Y)
        size = X.nbytes + Y.nbytes
        del X, Y
        tracemalloc.start()
        fit = solve_file(path, input=0, lam_ratio=0.05, memory=1 << 18)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert fit.status is kw.Status.OPTIMAL
    # blocks have a power of 2 of points
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 0.1 * size


def test_reading_imports_no_pandas(tmp_path):
    path = write_parquet(tmp_path / "t", np.arange(9.0), np.arange(9.0)[:, None] ** 2)
    code = (
        "import sys; from knotwork.streaming.solve_file import solve_file; "
        f"solve_file({str(path)!r}, input='x', lam=1.0); print('pandas' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"
