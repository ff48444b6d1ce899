"""Proofs of what was solved: they are accepted, and say what the certificate says."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_proofs import reference

import knotwork as kw
from knotwork.datasets import list_datasets, read_data
from knotwork.datasets.columns import read_task_columns
from knotwork.fit_files import write_rows
from knotwork.proofs import proof_record, verify_proof, write_proof
from knotwork.scaling import TaskScaling
from knotwork.solution import Status
from knotwork.workflow import fit_table


def as_lists(Y):
    return [[None if np.isnan(y) else y for y in row] for row in np.asarray(Y).tolist()]


def proven(solution, folder, weight=None):
    """The check of the proof of a solution, its JSON and its reference."""
    problem = solution.problem
    names = [f"task {t}" for t in range(problem.n_tasks)]
    X, Y = problem.X.tolist(), as_lists(problem.Y)
    inputs = ["x", "z"][: problem.n_inputs]
    header = [*inputs, *names, *([] if weight is None else ["w"])]
    extra = [[] for _ in X] if weight is None else [[w] for w in weight]
    cells = [["" if y is None else y for y in row] for row in Y]
    rows = [[*x, *row, *w] for x, row, w in zip(X, cells, extra, strict=True)]
    write_rows(folder / "data.csv", header, rows)
    column = None if weight is None else "w"
    written = write_proof(
        solution, folder / "proof.json", folder / "data.csv", input=inputs, tasks=names, weight=column
    )
    found = verify_proof(folder / "proof.json", folder / "data.csv")
    assert found.accepted, found.reason
    assert found == written
    proof = json.loads((folder / "proof.json").read_text(encoding="utf-8"))
    return found, proof, reference(proof, X, Y, weight)


def random_problem(seed, n, n_tasks, share, missing, weighted):
    rng = np.random.default_rng(seed)
    # ties, and inputs that no short fraction writes
    x = rng.choice(np.cumsum(rng.exponential(size=max(1, n - n // 4))), n)
    Y = np.cumsum(rng.standard_normal((n, n_tasks)), axis=0) * rng.choice([1e-3, 1.0, 40.0])
    Y[rng.uniform(size=Y.shape) < missing] = np.nan
    Y[rng.integers(n)] = rng.standard_normal(n_tasks)
    weight = rng.choice([0.25, 1.0, 3.3], n) if weighted else None
    problem = kw.Problem(x, Y, 1.0, sample_weight=weight)
    return problem.with_lam(share * max(kw.lam_max(problem), 1e-3)), weight


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 14),
    n_tasks=st.integers(1, 3),
    share=st.sampled_from([1e-3, 0.03, 0.3, 1.5]),
    missing=st.sampled_from([0.0, 0.3]),
    weighted=st.booleans(),
)
def test_the_exact_gap_is_that_of_the_certificate(
    tmp_path_factory, seed, n, n_tasks, share, missing, weighted
):
    problem, weight = random_problem(seed, n, n_tasks, share, missing, weighted)
    solution = kw.solve(problem)
    found, proof, expected = proven(solution, tmp_path_factory.mktemp("any"), weight)
    assert found.dual == expected.dual
    assert Fraction(proof["lam"]) ** 2 >= expected.response
    assert float(expected.primal) == pytest.approx(float(found.primal[1]), rel=1e-15)
    certificate = solution.certificate
    scale = problem.objective(problem.free_fit()) + 1e-15 * float(np.nansum(problem.Y**2))
    assert float(found.primal[1]) == pytest.approx(certificate.primal, rel=1e-12, abs=1e-12 * scale)
    assert float(found.gap) == pytest.approx(certificate.gap, rel=1e-6, abs=1e-12 * scale)


def test_a_far_network_has_the_gap_of_its_certificate(tmp_path):
    rng = np.random.default_rng(3)
    problem = kw.Problem(np.sort(rng.uniform(size=12)), rng.standard_normal((12, 2)), 0.05)
    # neurons of both facings, and a constant one
    network = kw.ReLUNetwork(
        [[-1.0], [2.0], [0.0]],
        [0.5, -0.6, 0.7],
        [[0.1, 0.2], [-0.3, 0.05], [1.0, 0.0]],
        [[0.2, 0.1]],
        [0.3, -0.1],
    )
    certificate = kw.certify(problem, network)
    solution = replace(kw.solve(problem), network=network, certificate=certificate, status=Status.STALLED)
    found, proof, _ = proven(solution, tmp_path)
    assert float(found.gap) == pytest.approx(certificate.gap, rel=1e-9)
    assert float(found.dual) == pytest.approx(certificate.dual, rel=1e-9)
    # the network of the proof is this one, to the last digit
    for name in ("W", "b", "V", "A", "c"):
        np.testing.assert_array_equal(proof[name], getattr(network, name))


@pytest.mark.parametrize(
    ("seed", "n", "n_tasks", "ratio", "missing"),
    [
        (0, 8, 1, 0.3, 0.0),
        (1, 14, 2, 0.03, 0.0),
        (2, 20, 3, 0.1, 0.2),
        (3, 12, 1, 1.2, 0.0),
        (4, 25, 2, 0.01, 0.1),
    ],
)
def test_two_inputs_are_proven_too(tmp_path, seed, n, n_tasks, ratio, missing):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 5, (n, 2)) / 3 if seed % 2 else rng.uniform(size=(n, 2))
    Y = np.abs(X @ rng.standard_normal((2, n_tasks)) - 0.2) + 0.1 * rng.standard_normal((n, n_tasks))
    Y[rng.uniform(size=Y.shape) < missing] = np.nan
    weight = rng.choice([0.5, 2.0], n) if seed > 2 else None
    problem = kw.Problem(X, Y, 1.0, sample_weight=weight)
    solution = kw.solve(problem.with_lam(ratio * kw.lam_max(problem)))
    found, _, expected = proven(solution, tmp_path, weight)
    assert found.dual == expected.dual
    certificate = solution.certificate
    assert float(found.primal[1]) == pytest.approx(certificate.primal, rel=1e-13)
    assert float(found.gap) == pytest.approx(certificate.gap, rel=1e-5, abs=1e-12 * certificate.primal)


def test_a_table_of_two_inputs_is_proven_in_the_units_of_its_fit(tmp_path):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(0, 300, 25), rng.integers(0, 400, 25)])
    Y = np.abs(X @ [0.01, 0.02] - 4.0)[:, None] * [1.0, -200.0] + 0.1 * rng.standard_normal((25, 2))
    days = [f"2020-{1 + int(day) // 36:02d}-{1 + int(day) % 28:02d}" for day in X[:, 1]]
    rows = [[x, day, *y] for x, day, y in zip(X[:, 0], days, Y, strict=True)]
    write_rows(tmp_path / "data.csv", ["x", "day", "a", "b"], rows)
    columns = read_task_columns(tmp_path / "data.csv", ["x", "day"], ["a", "b"])
    result = fit_table(columns, lam_ratio=0.1)
    written = write_proof(result, tmp_path / "proof.json", tmp_path / "data.csv")
    assert verify_proof(tmp_path / "proof.json", tmp_path / "data.csv") == written
    proof = json.loads((tmp_path / "proof.json").read_text(encoding="utf-8"))
    assert min(proof["input_scale"]) > 10
    certificate = result.solution.certificate
    assert float(written.primal[1]) == pytest.approx(certificate.primal, rel=1e-12)
    assert float(written.dual) == pytest.approx(certificate.dual, rel=1e-12)


def test_inputs_on_a_line_are_one_input(tmp_path):
    x = np.arange(6.0)
    solution = kw.solve(kw.Problem(np.column_stack([x, 2.0 * x]), np.abs(x - 2.2), 0.1))
    with pytest.raises(ValueError, match="on a line"):
        proven(solution, tmp_path)


def test_bundled_tables_are_proven_in_the_numbers_of_their_files(tmp_path):
    paths = {one.name: one.path for one in list_datasets()}
    for name, ratio in (("us-employment", 0.02), ("playfair-wheat", 0.1)):
        result = fit_table(read_data(name), lam_ratio=ratio)
        written = write_proof(result, tmp_path / "proof.json", paths[name])
        assert verify_proof(tmp_path / "proof.json", paths[name]) == written
        assert (written.n_rows, written.n_tasks) == (result.table.n_rows, result.table.n_tasks)
        assert float(written.gap) <= 2e-8 * result.solution.certificate.primal
        assert str(written).count("PROVEN") == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "x\ta\tb\n0\t1\t-3\n\n2.5\tNA\t4\n1\t1e-1\t+.5\n4\t 3\tnan\n5\t0\t7.\n"),
        ("t.csv", '\ufeffx, "a,b" ,c\n0,1,2\n1, 5,\n2,3,"1"\n3,3,0\n4,1,1\n'),
        ("t.csv", "when,a\n2020-01,1\n2020-02,3\n2020-04-15,2\n2021-01-01T06:30:00,2\n"),
    ],
)
def test_the_checker_reads_tables_as_the_reader_of_tables_does(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    result = fit_table(read_data(str(file)), lam_ratio=0.1)
    written = write_proof(result, tmp_path / "proof.json", file)
    assert verify_proof(tmp_path / "proof.json", file) == written


def test_the_record_rounds_against_the_proof(tmp_path):
    problem, _ = random_problem(5, 12, 2, 0.1, 0.0, False)
    found, proof, _ = proven(kw.solve(problem), tmp_path)
    record = proof_record(found)
    assert Fraction(record["primal"]) >= found.primal[1]
    assert Fraction(record["dual"]) <= found.dual
    assert Fraction(record["gap"]) >= found.gap
    for name in ("primal", "dual", "gap"):
        assert record[name] == proof[name]
    assert (record["accepted"], record["reason"], record["rows"]) == (True, "", 12)
    refused = proof_record(verify_proof(tmp_path / "data.csv", tmp_path / "data.csv"))
    assert refused["accepted"] is False
    assert {refused[name] for name in ("primal", "dual", "gap", "rows")} == {None}


# ---- what cannot be proven

X, Y = [0.0, 1.0, 2.0, 3.0], [[0.0], [1.0], [1.0], [3.0]]


SOLVED = kw.solve(kw.Problem(X, Y, 0.1))


def test_other_kinds_of_problems_are_refused(tmp_path):
    (tmp_path / "data.csv").write_text("x,y\n0,0\n1,1\n2,1\n3,3\n", encoding="utf-8")

    def write(problem):
        write_proof(
            replace(SOLVED, problem=problem),
            tmp_path / "proof.json",
            tmp_path / "data.csv",
            input="x",
            tasks=["y"],
        )

    with pytest.raises(ValueError, match="squared loss and at most two inputs, got 1 inputs and 'huber'"):
        write(kw.Problem(X, Y, 0.1, loss="huber"))
    with pytest.raises(ValueError, match="3 inputs"):
        write(kw.Problem(np.zeros((4, 3)), Y, 0.1))
    with pytest.raises(ValueError, match="free biases"):
        write(kw.Problem(X, Y, 0.1, penalty=kw.Penalty(biases=True, skip="none")))
    with pytest.raises(ValueError, match="lam = 0"):
        write(kw.Problem(X, Y, 0.0))
    assert not (tmp_path / "proof.json").exists()


@pytest.mark.parametrize(
    ("text", "arguments", "match"),
    [
        ("x,y\n0,0\n1,1\n2,1\n3,3.5\n", {}, "not the inputs, labels and weights"),
        ("x,y\n0,0\n1,1\n2,1\n", {}, "not the inputs, labels and weights"),
        ("x,y\n0,0\n1,1\n2,1\n3.5,3\n", {}, "not the inputs, labels and weights"),
        ("x,y\n0,0\n1,1\n2,1\n3,\n", {}, "not the inputs, labels and weights"),
        ("x,y,w\n0,0,1\n1,1,1\n2,1,1\n3,3,2\n", {"weight": "w"}, "not the inputs, labels and weights"),
        ("x,y\n0,0\n1,1\n2,1\n3,3\n", {"scaling": TaskScaling([0.0], [2.0])}, "not the inputs, labels"),
        ("x,y\n0,0\n1,1\n2,1\n3,a\n", {}, "cannot stand in a proof: the data: 'a' is no number"),
        ("x,y\n0,0\n1,1\n2,1\n3,3\n", {"tasks": ["z"]}, "each of"),
        ("x,y\n0,0\n1,1\n2,1\n3,3\n", {"tasks": None}, "input, tasks: name the columns"),
    ],
)
def test_data_of_another_problem_are_refused(tmp_path, text, arguments, match):
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    names = {"input": "x", "tasks": ["y"], **arguments}
    with pytest.raises(ValueError, match=match):
        write_proof(SOLVED, tmp_path / "proof.json", tmp_path / "data.csv", **names)
    assert not (tmp_path / "proof.json").exists()


def test_long_tables_and_wrong_arguments_are_refused(tmp_path):
    file = tmp_path / "long.csv"
    file.write_text("s,x,y\na,0,1\na,1,2\nb,0,3\nb,2,5\na,3,1\n", encoding="utf-8")
    result = fit_table(read_data(str(file), series="s", value="y", input="x"), lam=0.1)
    with pytest.raises(ValueError, match="cannot stand in a proof"):
        write_proof(result, tmp_path / "proof.json", file)
    with pytest.raises(ValueError, match="beside a Solution only"):
        write_proof(result, tmp_path / "proof.json", file, input="x")
    with pytest.raises(TypeError, match="FitResult or a Solution, got int"):
        write_proof(3, tmp_path / "proof.json", file)
    with pytest.raises(FileNotFoundError):
        write_proof(SOLVED, tmp_path / "proof.json", tmp_path / "no.csv", input="x", tasks=["y"])


@pytest.mark.parametrize("excess", [1e-12, 1e-3])
def test_a_dual_point_that_is_not_quite_feasible_is_shrunk(tmp_path, excess):
    (tmp_path / "data.csv").write_text("x,y\n0,0\n1,1\n2,1\n3,3\n", encoding="utf-8")
    point = (1.0 + excess) * SOLVED.certificate.dual_point
    longer = replace(SOLVED, certificate=replace(SOLVED.certificate, _make_dual_point=lambda: point))
    found = write_proof(longer, tmp_path / "proof.json", tmp_path / "data.csv", input="x", tasks=["y"])
    # shrunk by no more than eight times what it takes
    assert float(found.dual) == pytest.approx(SOLVED.certificate.dual, rel=1e-12 + 8 * excess)
    assert verify_proof(tmp_path / "proof.json", tmp_path / "data.csv") == found
