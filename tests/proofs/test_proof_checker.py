"""The checker against sums in fractions, and against forgers."""

from __future__ import annotations

import ast
import json
import math
import random
import shutil
import subprocess
import sys
from copy import deepcopy
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references_proofs import reference

import knotwork as kw
from knotwork.dual_norm.several import dual_norm
from knotwork.proofs import checker, verify_proof, write_proof

X = [[0.1], [0.3], [0.3], [0.5], [0.9], [1.3], [1.4], [1.8], [2.5]]
W = [1.0, 0.5, 2.0, 1.0, 0.7, 1.0, 3.0, 1.0, 0.1]
Y = [
    [0.0, 1.0],
    [0.4, None],
    [0.2, 1.5],
    [1.1, 0.3],
    [None, -0.9],
    [2.2, -1.3],
    [1.2, -2.0],
    [0.1, None],
    [-1.7, 3.3],
]
LAM = 0.1


def write_csv(path, X, Y, weight=None):
    lines = [",".join(["x", "z"][: len(X[0])] + [f"t{t}" for t in range(len(Y[0]))] + ["w"])]
    for i, row in enumerate(Y):
        cells = ["" if y is None else repr(y) for y in row]
        lines.append(",".join([*map(repr, X[i]), *cells, repr(1.0 if weight is None else weight[i])]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def as_array(Y):
    return np.array([[np.nan if y is None else y for y in row] for row in Y])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with proof.json and data.csv of ties, gaps and weights, two knots or more."""
    folder = tmp_path_factory.mktemp("proof")
    data = write_csv(folder / "data.csv", X, Y, W)
    solution = kw.solve(kw.Problem(X, as_array(Y), LAM, sample_weight=W))
    write_proof(solution, folder / "proof.json", data, input="x", tasks=["t0", "t1"], weight="w")
    assert solution.network.n_neurons >= 2
    return folder


def proof_of(folder):
    return json.loads((folder / "proof.json").read_text(encoding="utf-8"))


def check(proof, folder, tmp_path, *, sealed=True, data=None):
    """Whether a changed proof is accepted; `sealed`: with its checksum made anew."""
    if sealed:
        proof["checksum"] = checker.checksum(proof)
    place = tmp_path / "changed.json"
    place.write_text(json.dumps(proof), encoding="utf-8")
    return verify_proof(place, data or folder / "data.csv")


# ---- the arithmetic


def raw_proof(X, Y, rng, n_neurons, exponent):
    """A proof of any network and any dual point."""
    d, T = len(X[0]), len(Y[0])

    def draw(*shape):
        return [draw(*shape[1:]) for _ in range(shape[0])] if shape else rng.gauss(0, 1)

    counts = [sum(row[t] is not None for row in Y) for t in range(T)]
    return {
        "inputs": ["x", "z"][:d],
        "origins": [None] * d,
        "tasks": [f"t{t}" for t in range(T)],
        "weight": "w",
        "lam": 0.25,
        "centre": draw(T),
        "scale": [0.5 + abs(scale) for scale in draw(T)],
        "input_scale": [0.5 + abs(scale) for scale in draw(d)],
        "W": draw(n_neurons, d),
        "b": draw(n_neurons),
        "V": draw(n_neurons, T),
        "A": draw(d, T),
        "c": draw(T),
        "exponent": exponent,
        "residuals": [[round(r * 2**20) for r in draw(n)] for n in counts],
    }


def raw_labels(rng, n, n_tasks, n_full):
    """Labels with gaps, but `n_full` rows have all."""
    Y = [[None if rng.random() < 0.2 else rng.gauss(0, 1) for _ in range(n_tasks)] for _ in range(n)]
    for i in rng.sample(range(n), n_full):
        Y[i] = [rng.gauss(0, 1) for _ in range(n_tasks)]
    return Y


def agrees(proof, data, X, Y, weight):
    """Whether the checker and the definition find the same; the definition's findings."""
    expected = reference(proof, X, Y, weight)
    low, high = checker.primal(proof, data)
    assert checker.dual(proof, data)[0] == expected.dual
    assert low <= high <= low * (1 + Fraction(1, 2**60))
    assert as_decimal(low) <= expected.primal * (1 + Decimal("1e-25"))
    assert expected.primal <= as_decimal(high) * (1 + Decimal("1e-25"))
    return expected


@settings(max_examples=80)
@given(
    x=st.lists(st.sampled_from([-1.5, 0.0, 0.1, 0.3, 1e-7, 2.0, 1e6]), min_size=1, max_size=7),
    n_tasks=st.integers(1, 3),
    n_neurons=st.integers(0, 3),
    exponent=st.integers(-30, 3),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_one_input_is_summed_as_defined(tmp_path_factory, x, n_tasks, n_neurons, exponent, weighted, seed):
    rng = random.Random(seed)
    X, Y = [[x_i] for x_i in x], raw_labels(rng, len(x), n_tasks, 1)
    weight = [rng.choice([0.3, 1.0, 7.0]) if weighted else 1.0 for _ in x]
    proof = raw_proof(X, Y, rng, n_neurons, exponent)
    data = checker.read_data(str(write_csv(tmp_path_factory.mktemp("any") / "data.csv", X, Y, weight)), proof)
    expected = agrees(proof, data, X, Y, weight)
    # the dual point is feasible down to the largest response, and no further
    lam = math.sqrt(expected.response) / proof["input_scale"][0]
    for factor in (1 + 1e-14, 1 - 1e-14):
        _, feasible = checker.dual({**proof, "lam": max(factor * lam, 1e-300)}, data)
        assert feasible == (factor > 1 or lam == 0)


PLACES = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [-0.3, 2.1], [1e-6, 1.0], [-1.0, -1.0], [3.3, 0.1]]


@settings(max_examples=60)
@given(
    places=st.lists(st.sampled_from(PLACES), max_size=6),
    n_tasks=st.integers(1, 3),
    n_neurons=st.integers(0, 3),
    exponent=st.integers(-30, 3),
    seed=st.integers(0, 2**32),
)
def test_two_inputs_are_summed_as_defined(tmp_path_factory, places, n_tasks, n_neurons, exponent, seed):
    rng = random.Random(seed)
    # three corners that have all labels, so that every task spans the plane
    X = [[0.0, 0.0], [2.0, 0.3], [0.1, 1.7], *places]
    Y = [[rng.gauss(0, 1) for _ in range(n_tasks)] for _ in range(3)]
    Y += raw_labels(rng, len(places), n_tasks, 0)
    weight = [rng.choice([0.3, 1.0, 7.0]) for _ in X]
    proof = raw_proof(X, Y, rng, n_neurons, exponent)
    data = checker.read_data(str(write_csv(tmp_path_factory.mktemp("any") / "data.csv", X, Y, weight)), proof)
    alphas = agrees(proof, data, X, Y, weight).alphas
    alpha = np.array([[float(one[i]) for one in alphas] for i in range(len(X))])
    # in float64, by the sweep that certificates use
    lam = dual_norm(np.array(data.x) / proof["input_scale"], alpha, kw.Penalty()).upper_bound
    if lam <= 1e-5 * np.abs(alpha).sum():
        # all but cancelled: float64 does not know the maximum to nine digits
        return
    for factor in (1 + 1e-9, 1 - 1e-9):
        _, feasible = checker.dual({**proof, "lam": factor * lam}, data)
        assert feasible == (factor > 1)


def as_decimal(value):
    return Decimal(value.numerator) / Decimal(value.denominator)


def test_a_proof_by_hand(tmp_path):
    # the hat x = 0, 1, 2, y = 0, 3, 0 at lam = 1/2: F = 2 y lam - 3 lam^2 (tests/problems.py)
    proof = {
        "format": checker.FORMAT,
        "inputs": ["x"],
        "origins": [None],
        "tasks": ["y"],
        "weight": None,
        "lam": 0.5,
        "centre": [0.0],
        "scale": [1.0],
        "input_scale": [1.0],
        "W": [[1.0]],
        "b": [-1.0],
        "V": [[-3.0]],
        "A": [[1.5]],
        "c": [0.5],
        "exponent": 0,
        "residuals": [[0, 1, 0]],
        "primal": 2.25,
        "dual": 2.25,
        "gap": 0.0,
    }
    # alpha = lam (-1, 2, -1); f = y - alpha = (.5, 2, .5), of slopes 1.5 and -1.5
    data = tmp_path / "data.csv"
    data.write_text("x,y\n2,0\n0,0\n1,3\n", encoding="utf-8")
    proof["data_sha256"] = checker.read_data(data, proof).sha256
    found = check(proof, tmp_path, tmp_path)
    assert found.accepted, found
    assert found.primal == (Fraction(9, 4), Fraction(9, 4))
    assert (found.dual, found.gap) == (Fraction(9, 4), 0)
    assert (found.n_rows, found.n_tasks, found.n_neurons, found.lam) == (3, 1, 1, 0.5)
    for name, better in (("primal", -1), ("dual", 1), ("gap", -1)):
        forged = {**proof, name: proof[name] + better * 2.0**-40}
        assert check(forged, tmp_path, tmp_path).reason.startswith(name)
    # a response above lam by one unit of the last place
    forged = {**proof, "lam": math.nextafter(0.5, 0.0)}
    assert "not feasible" in check(forged, tmp_path, tmp_path).reason


def test_roots_are_enclosed(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("x,y,z\n0,0,0\n", encoding="utf-8")
    proof = {
        "inputs": ["x"],
        "origins": [None],
        "tasks": ["y", "z"],
        "weight": None,
        "lam": 1.0,
        "centre": [0.0, 0.0],
        "scale": [1.0, 1.0],
        "input_scale": [1.0],
        "A": [[0.0, 0.0]],
        "c": [0.0, 0.0],
        "W": [[3.0]],
        "b": [-3.0],
        "V": [[0.5, 0.5]],
    }
    low, high = checker.primal(proof, checker.read_data(data, proof))
    # 3 / sqrt(2)
    assert low**2 < Fraction(9, 2) < high**2
    assert high - low <= Fraction(1, 2**60)


# ---- forgeries


def numbers_in(proof):
    """The places of all numbers of a proof, as paths of keys."""

    def walk(value, path):
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, one in items:
                yield from walk(one, (*path, key))
        elif isinstance(value, int | float):
            yield path

    return list(walk(proof, ()))


def change(proof, rng):
    """A copy of a proof with one entry changed, and where."""
    proof = deepcopy(proof)
    path = rng.choice(
        [*numbers_in(proof), ("inputs", 0), ("tasks", 0), ("weight",), ("data_sha256",), ("format",)]
    )
    owner = proof
    for key in path[:-1]:
        owner = owner[key]
    old = owner[path[-1]]
    if isinstance(old, str):
        new = old[:-1] + ("0" if old[-1] != "0" else "1")
    elif isinstance(old, int):
        new = rng.choice([old + 1, old - 1, 2 * old + 1, -old - 1, float(old), str(old), True, None, 2**70])
    else:
        beside = [
            math.nextafter(old, math.inf),
            math.nextafter(old, -math.inf),
            1.01 * old + 0.01,
            -old - 1.0,
        ]
        new = rng.choice([*beside, repr(old), None, [old], False])
    owner[path[-1]] = new
    return proof, path


@pytest.mark.parametrize("seed", range(100))
def test_every_changed_entry_is_refused(made, tmp_path, seed):
    changed, path = change(proof_of(made), random.Random(seed))
    assert not check(changed, made, tmp_path, sealed=False).accepted, path


def holds(proof, x, Y, weight):
    """Whether all that a proof claims is so, by the definition."""
    found = reference(proof, x, Y, weight)
    primal, digits = Fraction(found.primal), Fraction(1, 10**50)
    return (
        found.response <= Fraction(proof["lam"]) ** 2
        and primal <= Fraction(proof["primal"]) + digits
        and found.dual >= Fraction(proof["dual"])
        and primal - found.dual <= Fraction(proof["gap"]) + digits
    )


def test_a_forger_who_seals_anew_is_refused_or_says_the_truth(made, tmp_path):
    """Harmless is a change after which every claim still holds, by sums that know no checker."""
    proof, refused = proof_of(made), 0
    assert holds(proof, X, Y, W)
    for seed in range(300):
        changed, path = change(proof, random.Random(seed))
        if check(changed, made, tmp_path).accepted:
            assert holds(changed, X, Y, W), path
        else:
            refused += 1
    assert refused >= 250


@pytest.mark.parametrize("name", ["c", "b", "centre"])
def test_another_network_is_refused_by_arithmetic(made, tmp_path, name):
    proof = proof_of(made)
    proof[name][0] += 1e-3
    assert check(proof, made, tmp_path).reason.startswith("primal")


def test_another_problem_or_dual_point_is_refused_by_arithmetic(made, tmp_path):
    proof = proof_of(made)
    assert "not feasible" in check({**proof, "lam": 0.999 * LAM}, made, tmp_path).reason
    assert check({**proof, "lam": 1.001 * LAM}, made, tmp_path).reason.startswith("primal")
    assert not check({**proof, "scale": [0.999, 1.0]}, made, tmp_path).accepted
    assert not check({**proof, "scale": [1.001, 1.0]}, made, tmp_path).accepted
    larger = [[2 * r for r in one] for one in proof["residuals"]]
    assert "not feasible" in check({**proof, "residuals": larger}, made, tmp_path).reason
    none = [[0] * len(one) for one in proof["residuals"]]
    assert check({**proof, "residuals": none}, made, tmp_path).reason.startswith("dual")
    assert check({**proof, "residuals": none, "dual": 0.0}, made, tmp_path).reason.startswith("gap")
    swapped = {**proof, "residuals": proof["residuals"][::-1]}
    assert not check(swapped, made, tmp_path).accepted


def test_a_weaker_claim_is_accepted(made, tmp_path):
    proof = proof_of(made)
    weaker = {**proof, "primal": proof["primal"] + 1.0, "dual": proof["dual"] - 1.0, "gap": 2.0}
    found = check(weaker, made, tmp_path)
    assert found.accepted
    assert found.gap <= Fraction(proof["gap"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.4,", "0.41,"),
        ("0.9,,", "0.9,0.0,"),
        ("x,t0,t1,w", "x,t1,t0,w"),
        ("\n2.5,", "\n2.6,"),
        (",7", ",8"),
    ],
)
def test_other_data_are_refused(made, tmp_path, old, new):
    text = (made / "data.csv").read_text(encoding="utf-8").replace("0.7\n", ".7\n").replace(".7\n", "7e-1\n")
    assert text.count(old) >= 1
    other = tmp_path / "other.csv"
    other.write_text(text, encoding="utf-8")
    assert check(proof_of(made), made, tmp_path, data=other).accepted
    other.write_text(text.replace(old, new, 1), encoding="utf-8")
    proof = proof_of(made)
    assert "data are not those" in check(proof, made, tmp_path, data=other).reason
    # a forger writes the hash of the new data: their numbers tell
    proof["data_sha256"] = checker.read_data(other, proof).sha256
    assert not check(proof, made, tmp_path, data=other).accepted


def test_rows_may_not_be_left_out_or_repeated(made, tmp_path):
    lines = (made / "data.csv").read_text(encoding="utf-8").splitlines()
    other = tmp_path / "other.csv"
    for rows in (lines[:-1], [*lines, lines[-1]], [lines[0], *lines[:0:-1]]):
        other.write_text("\n".join(rows) + "\n", encoding="utf-8")
        assert "data are not those" in check(proof_of(made), made, tmp_path, data=other).reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x,t0,w\n0,1,1\n", "each of"),
        ("x,t0,t0,t1,w\n0,1,1,1,1\n", "each of"),
        ("x,t0,t1,w\n0,1,1\n", "line 2 has 3 cells, not 4"),
        ("x,t0,t1,w\n0,1,one,1\n", "'one' is no number"),
        ("x,t0,t1,w\n0,1,1e999,1\n", "is no number"),
        ("x,t0,t1,w\n0,1,1_0,1\n", "is no number"),
        ("x,t0,t1,w\n,1,1,1\n", "lacks an input"),
        ("x,t0,t1,w\n0,1,1,-1\n", "weight >= 0"),
        ("x,t0,t1,w\n0,1,,1\n1,1,3,0\n", "a task has no label"),
        ("", "each of"),
        ('x,t0,t1,w\n0,1,"1,1\n', "line 2 has 3 cells, not 4"),
    ],
)
def test_a_broken_table_is_refused_with_its_reason(made, tmp_path, text, reason):
    other = tmp_path / "other.csv"
    other.write_text(text, encoding="utf-8")
    found = check(proof_of(made), made, tmp_path, data=other)
    assert not found.accepted
    assert reason in found.reason


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"format": "knotwork proof 2"}, "format"),
        ({"extra": 1}, "field"),
        ({"lam": 0.0}, "positive"),
        ({"scale": [1.0, -1.0]}, "positive"),
        ({"lam": "0.1"}, "finite number"),
        ({"lam": True}, "finite number"),
        ({"lam": 10**400}, "cannot be read"),
        ({"centre": [0.0]}, "list of 2"),
        ({"centre": {"0": 0.0, "1": 0.0}}, "list of 2"),
        ({"tasks": "ab"}, "names"),
        ({"tasks": []}, "names"),
        ({"inputs": [3]}, "names"),
        ({"inputs": "x"}, "names"),
        ({"inputs": ["x", "t0", "t1"]}, "one or two"),
        ({"origins": [None, None]}, "one or two"),
        ({"origins": [3]}, "names"),
        ({"input_scale": [0.0]}, "positive"),
        ({"V": [[1.0, 1.0]]}, "V: must be a list"),
        ({"W": [[1.0, 1.0]] * 9}, "W: must be a list"),
        ({"residuals": [[0] * 8, [0] * 6 + [2**64]]}, "64 bits"),
        ({"residuals": [[0] * 8]}, "list for each task"),
        ({"residuals": [[0] * 8, [0] * 6]}, "cannot be read"),
        ({"residuals": [[0.5] * 8, [0] * 7]}, "integers"),
        ({"exponent": 5000}, "exponent"),
        ({"exponent": -52.0}, "integers"),
    ],
)
def test_a_proof_of_another_form_is_refused_with_its_reason(made, tmp_path, entry, reason):
    found = check({**proof_of(made), **entry}, made, tmp_path)
    assert not found.accepted
    assert reason in found.reason
    assert str(found).startswith("REFUSED: ")


@pytest.mark.parametrize("keep", [0, 1, 100, 700, -2])
def test_a_truncated_proof_is_refused(made, tmp_path, keep):
    text = (made / "proof.json").read_text(encoding="utf-8")
    place = tmp_path / "cut.json"
    place.write_text(text[:keep], encoding="utf-8")
    assert not verify_proof(place, made / "data.csv").accepted


@pytest.mark.parametrize("text", ["[]", "null", "[" * 100_000, '{"format": NaN}', "\x00"])
def test_what_is_no_proof_is_refused(made, tmp_path, text):
    place = tmp_path / "no.json"
    place.write_text(text, encoding="utf-8")
    assert not verify_proof(place, made / "data.csv").accepted


# ---- the one file


def test_the_checker_needs_the_standard_library_only():
    tree = ast.parse(Path(checker.__file__).read_text(encoding="utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            roots.add(node.module.split(".")[0])
    assert roots <= set(sys.stdlib_module_names)


def test_a_copy_of_the_checker_does_the_same_alone(made, tmp_path):
    copy = tmp_path / "alone" / "checker.py"
    copy.parent.mkdir()
    shutil.copy(checker.__file__, copy)

    def run(*arguments):
        command = [sys.executable, "-I", "-S", str(copy), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=copy.parent)

    good = run(made / "proof.json", made / "data.csv")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout == f"{verify_proof(made / 'proof.json', made / 'data.csv')}\n"
    assert "PROVEN in exact arithmetic" in good.stdout
    changed = tmp_path / "changed.json"
    changed.write_text((made / "proof.json").read_text(encoding="utf-8").replace('"lam": 0.1', '"lam": 0.2'))
    bad = run(changed, made / "data.csv")
    assert (bad.returncode, bad.stdout.split(":")[0]) == (1, "REFUSED")
    assert run(changed).returncode == 1
