"""Check a proof that a network is within a stated gap of the best one possible, in exact arithmetic.

    python checker.py PROOF.json DATA.csv

This file needs Python's standard library only. It may be copied anywhere and trusts nothing but itself: the
proof holds numbers, and everything claimed of them is computed anew. A decimal in either file stands for
the nearest float64 (dates for their days since the origin, in float64), as it did for the solver; from
there on all arithmetic is exact, in integers and fractions. Only square roots are enclosed in bounds.

The statement. Of labels y_it of weight w_i at inputs x_i, task t centred at m_t and in units of s_t, over
all networks f(x) = c + A x + sum_k v_k relu(w_k x + b_k) of any width, of one or two inputs,

    F(f) = 1/2 sum_it w_i ((y_it - m_t) / s_t - f_t(x_i))^2 + lam sum_k |v_k| |w_k|,

is at least D, and F(the network of the proof) <= D + gap. Norms are Euclidean, |w| that of w times the unit
of each input.

Why. Let alpha_it be 0 at missing labels, with sum_i alpha_i = 0 and sum_i alpha_i x_i = 0, and let
p(w, b) = sum_i alpha_i relu(w x_i + b). For each label w e^2 / 2 >= alpha e - alpha^2 / (2 w). Summed over
the errors e of f, that is a bound on its loss, in which c and A drop out and neuron k is seen as
<v_k, p(w_k, b_k)>. Where |p(w, b)| <= lam |w| that is at most lam |v_k| |w_k|, so that, for every f,

    F(f) >= D = sum_it alpha_it y_it / s_t - sum_it alpha_it^2 / (2 w_i).

The proof holds alpha / w, task by task in the order of inputs, in units of 2^exponent and rounded; a few are
changed here so that both sums are 0. |p(w, b)| is to be looked at for finitely many neurons: see `feasible`.
"""

import csv
import hashlib
import json
import math
import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import cmp_to_key
from operator import mul
from typing import Any

FORMAT = "knotwork proof 1"
# the fields of a proof of d inputs, T tasks and K neurons, with the shapes of numbers
TEXTS = {"format", "checksum", "inputs", "origins", "tasks", "weight", "data_sha256"}
PROBLEM = {"lam": "", "centre": "T", "scale": "T", "input_scale": "d"}
NETWORK = {"W": "Kd", "b": "K", "V": "KT", "A": "dT", "c": "T"}
CLAIMS = {"primal": "", "dual": "", "gap": ""}
INTEGERS = {"exponent", "residuals"}
MISSING = {"", "na", "nan", "n/a", "null", "none", "<na>", "#n/a"}
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
ROOT_BITS = 64


class Refused(ValueError):
    """Why a proof is not accepted."""


@dataclass(frozen=True)
class ProofCheck:
    """What the check of a proof found, in exact numbers; None where it was refused.

    accepted : whether all that is claimed holds.  reason : why not, "" where it does.
    primal : lower and upper bound of the objective of the network.
    dual : a lower bound of the objective of every network.  gap : upper bound of primal - dual.
    """

    accepted: bool
    reason: str = ""
    primal: tuple[Fraction, Fraction] | None = None
    dual: Fraction | None = None
    gap: Fraction | None = None
    lam: float | None = None
    n_rows: int | None = None
    n_tasks: int | None = None
    n_neurons: int | None = None

    def __str__(self) -> str:
        if self.primal is None or self.dual is None or self.gap is None:
            return f"REFUSED: {self.reason}"
        relative = f" (relative {rounded(self.gap / self.dual, 3):e})" if self.dual > 0 else ""
        return (
            f"{self.n_rows} rows, {self.n_tasks} tasks, {self.n_neurons} neurons, lam = {self.lam!r}\n"
            f"primal <= {rounded(self.primal[1], 15)}, dual >= {rounded(self.dual, 15, ROUND_FLOOR)}\n"
            f"PROVEN in exact arithmetic: the objective of this network is within "
            f"{rounded(self.gap, 3):e}{relative} of the least possible"
        )


@dataclass(frozen=True)
class Data:
    """Columns of a CSV file, rows sorted by their inputs; the labels of each task are None where missing."""

    x: list[list[float]]
    weight: list[float]
    labels: list[list[float | None]]
    sha256: str


def verify(proof: str | os.PathLike[str], data: str | os.PathLike[str]) -> ProofCheck:
    """Check the proof in one file against the table in another; OSError where one cannot be opened."""
    try:
        known = read_proof(proof)
        numbers = read_data(data, known)
        if numbers.sha256 != known["data_sha256"]:
            raise Refused("the data are not those of the proof: a number in its columns differs")
        (low, high), value = measure(known, numbers)
        for name, found, sign in (("primal", high, 1), ("dual", value, -1), ("gap", high - value, 1)):
            if sign * found > sign * Fraction(known[name]):
                raise Refused(f"{name}: {known[name]!r} is claimed, but {float(found)!r} is what is proven")
        counts = len(numbers.x), len(numbers.labels), len(known["b"])
        return ProofCheck(True, "", (low, high), value, high - value, known["lam"], *counts)
    except Refused as error:
        return ProofCheck(False, str(error))
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, csv.Error) as error:
        return ProofCheck(False, f"cannot be read: {error!r}")


def measure(proof: dict, data: Data) -> tuple[tuple[Fraction, Fraction], Fraction]:
    """What a proof proves, whatever it claims: bounds of F of the network, and D."""
    value, proven = dual(proof, data)
    if not proven:
        raise Refused("the dual point is not feasible: some neuron responds to it by more than lam")
    return primal(proof, data), value


def primal(proof: dict, data: Data) -> tuple[Fraction, Fraction]:
    """Lower and upper bound of F of the network."""
    (x, ex), (y, ey), (weight, ew) = table(data.x), table(data.labels), integers(data.weight)
    neurons, en = table([[b, *w] for b, w in zip(proof["b"], proof["W"], strict=True)])
    # the network in the units of the labels: f_t = <coefficients_t, (1, x, relu(W x + b))>
    coefficients = []
    for t, (scale, centre) in enumerate(zip(proof["scale"], proof["centre"], strict=True)):
        c, *others = (Fraction(row[t]) * Fraction(scale) for row in [proof["c"], *proof["A"], *proof["V"]])
        coefficients.append([c + Fraction(centre), *others])
    coefficients, ef = table(coefficients)
    squares = [0] * len(y)
    for i, (x_i, w_i) in enumerate(zip(x, weight, strict=True)):
        hidden = [max((b << ex) + sum(map(mul, w, x_i)), 0) for b, *w in neurons]
        features = [1 << en + ex, *(part << en for part in x_i), *hidden]
        for t, labels in enumerate(y):
            if labels[i] is not None:
                f = sum(map(mul, coefficients[t], features))
                squares[t] += w_i * ((labels[i] << ef + en + ex) - (f << ey)) ** 2
    unit = 1 << 2 * (ef + en + ex + ey) + ew
    low = high = sum(
        (Fraction(s, 2 * unit) / Fraction(t) ** 2 for s, t in zip(squares, proof["scale"], strict=True)),
        start=Fraction(0),
    )
    for w, v in zip(proof["W"], proof["V"], strict=True):
        w = [Fraction(part) * Fraction(unit) for part, unit in zip(w, proof["input_scale"], strict=True)]
        (w, ew), (v, ev) = integers(w), integers(v)
        square = sum(map(mul, w, w)) * sum(map(mul, v, v)) << 2 * ROOT_BITS
        root, lam = math.isqrt(square), Fraction(proof["lam"]) / (1 << ew + ev + ROOT_BITS)
        low += lam * root
        high += lam * (root + (root * root < square))
    return low, high


def dual(proof: dict, data: Data) -> tuple[Fraction, bool]:
    """D at the dual point, and whether |p(w, b)| <= lam |w| for all neurons."""
    (x, ex), (weight, ew) = table(data.x), integers(data.weight)
    unit = Fraction(2) ** proof["exponent"] / (1 << ew)
    value, alphas = Fraction(0), []
    for labels, residuals, scale in zip(data.labels, proof["residuals"], proof["scale"], strict=True):
        y, ey = integers(labels)
        seen = [i for i, y_i in enumerate(y) if y_i is not None]
        alpha: list = [0] * len(x)
        for i, residual in zip(seen, residuals, strict=True):
            alpha[i] = weight[i] * residual
        linear = Fraction(sum(alpha[i] * y[i] for i in seen))
        squares = Fraction(sum(alpha[i] * residual for i, residual in zip(seen, residuals, strict=True)))
        for i, change in balance(x, alpha, seen):
            linear += change * y[i]
            squares += change * (2 * alpha[i] + change) / weight[i]
            alpha[i] += change
        if sum(alpha) or any(sum(map(mul, alpha, column)) for column in zip(*x, strict=True)):
            raise Refused("the dual point is not orthogonal to the free parts")
        value += unit * (linear / (1 << ey) / Fraction(scale) - unit * squares * (1 << ew) / 2)
        alphas.append(alpha)
    # alpha in integers: over one denominator
    over = math.lcm(*{a.denominator for alpha in alphas for a in alpha})
    rows = [[a.numerator * (over // a.denominator) for a in row] for row in zip(*alphas, strict=True)]
    scales = (Fraction(scale) * Fraction(proof["lam"]) for scale in proof["input_scale"])
    return value, feasible(x, rows, [math.floor((scale * over * (1 << ex) / unit) ** 2) for scale in scales])


def balance(x: list, alpha: list, seen: list) -> list[tuple[int, Fraction]]:
    """What to add to a few entries of alpha that are `seen`, so that sum alpha and sum alpha x are 0."""
    first, last = x[seen[0]], x[seen[-1]]
    span = (last[0] - first[0], last[-1] - first[-1])
    third = max(seen, key=lambda i: abs(span[0] * (x[i][-1] - first[-1]) - span[1] * (x[i][0] - first[0])))
    places = list(dict.fromkeys((seen[0], seen[-1], third)))
    # an equation for each sum, its right side last, brought to reduced echelon form
    equations = [[Fraction(1)] * len(places) + [Fraction(-sum(alpha))]]
    for j in range(len(first)):
        moment = sum(alpha[i] * x[i][j] for i in seen)
        equations.append([Fraction(x[i][j]) for i in places] + [Fraction(-moment)])
    free, solved = list(range(len(equations))), []
    for column, i in enumerate(places):
        k = next((k for k in free if equations[k][column]), None)
        if k is not None:
            free.remove(k)
            solved.append((i, k))
            pivot = [entry / equations[k][column] for entry in equations[k]]
            equations = [[a - row[column] * b for a, b in zip(row, pivot, strict=True)] for row in equations]
            equations[k] = pivot
    return [(i, equations[k][-1]) for i, k in solved]


def feasible(x: list, alpha: list, limits: list) -> bool:
    """Whether |sum_i alpha_i relu(w x_i + b)|^2 <= sum_j limits_j w_j^2 for all w and b; all are integers.

    For fixed w the sum is straight in b between two breaks, and 0 beyond them all: one has to look at neurons
    that break at a datum only; and at those facing one way, for relu(-z) = relu(z) - z.
    """
    if len(x[0]) == 2:
        return all(feasible_at(x_j, x, alpha, limits) for x_j in x)
    total, moment = [0] * len(alpha[0]), [0] * len(alpha[0])
    for (x_i,), row in zip(x, alpha, strict=True):
        # the sum at x_i, of the data to its left
        if sum((a * x_i - m) ** 2 for a, m in zip(total, moment, strict=True)) > limits[0]:
            return False
        for t, a in enumerate(row):
            total[t] += a
            moment[t] += a * x_i
    return True


def feasible_at(x_j: list, x: list, alpha: list, limits: list) -> bool:
    """`feasible` for the neurons relu(w (x - x_j)) of two inputs.

    While w turns, the active data change where w is at right angles to some u = x_i - x_j. In between, the
    sum is M w, and the limit less |M w|^2 a quadratic form that must be >= 0 on the cone of both ends.
    """
    # half a turn is enough: every u is turned to the upper half plane, and they are sorted by angle
    turned = []
    for x_i, row in zip(x, alpha, strict=True):
        u, v = x_i[0] - x_j[0], x_i[1] - x_j[1]
        if u or v:
            upper = (v, u) > (0, 0)
            turned.append((u, v, row, True) if upper else (-u, -v, row, False))
    turned.sort(key=cmp_to_key(lambda one, two: one[1] * two[0] - one[0] * two[1]))
    if not turned or turned[0][0] * turned[-1][1] == turned[0][1] * turned[-1][0]:
        raise Refused("the inputs lie on a line; a proof in two inputs needs a plane")
    M = [[sum(one[k] * one[2][t] for one in turned if one[3]) for k in (0, 1)] for t in range(len(alpha[0]))]
    w, z = turned[-1][1], -turned[-1][0]
    for u, v, row, _ in turned:
        p, q = limits[0] - sum(m * m for m, _ in M), limits[1] - sum(n * n for _, n in M)
        r = -sum(m * n for m, n in M)
        # the form p, r, q at (w, z), at (-v, u), and between the two
        start, end = p * w * w + 2 * r * w * z + q * z * z, p * v * v - 2 * r * v * u + q * u * u
        both = -p * w * v + r * (w * u - z * v) + q * z * u
        if start < 0 or end < 0 or (both < 0 and both * both > start * end):
            return False
        # beyond, those with u are active no more, and those with -u become so
        M = [[m - a * u, n - a * v] for (m, n), a in zip(M, row, strict=True)]
        w, z = -v, u
    return True


def table(rows: list) -> tuple[list, int]:
    """`integers` of a list of lists."""
    flat, e = integers([value for row in rows for value in row])
    values = iter(flat)
    return [[next(values) for _ in row] for row in rows], e


def integers(values: list) -> tuple[list, int]:
    """Floats, or other fractions over powers of two, as integers over one 2^e, and e; None stays None."""
    ratios = [value if value is None else value.as_integer_ratio() for value in values]
    e = max((ratio[1].bit_length() for ratio in ratios if ratio), default=1) - 1
    return [ratio and ratio[0] << e + 1 - ratio[1].bit_length() for ratio in ratios], e


def read_proof(path: str | os.PathLike[str]) -> dict:
    """The proof in a file, once its form is right: nothing but finite floats, integers and names."""
    with open(path, encoding="utf-8") as handle:
        proof = json.load(handle)
    if type(proof) is not dict or proof.get("format") != FORMAT:
        raise Refused(f"is not of the format {FORMAT!r}")
    if proof.keys() != {*TEXTS, *PROBLEM, *NETWORK, *CLAIMS, *INTEGERS}:
        raise Refused("lacks a field, or has one that a proof does not have")
    if proof["checksum"] != checksum(proof):
        raise Refused("was changed after it was written: its checksum differs")
    inputs, tasks, origins = proof["inputs"], proof["tasks"], proof["origins"]
    if not all(type(names) is list and names for names in (inputs, tasks, origins)):
        raise Refused("inputs, tasks, origins: must be lists of names")
    if len(inputs) > 2 or len(origins) != len(inputs):
        raise Refused("inputs, origins: must be of one or two inputs")
    optional = [name for name in [*origins, proof["weight"]] if name is not None]
    if not all(type(name) is str and name for name in [*inputs, *tasks, *optional]):
        raise Refused("inputs, tasks, weight, origins: must be names")
    size = {"d": len(inputs), "T": len(tasks), "K": len(proof["b"])}
    for name, shape in {**PROBLEM, **NETWORK, **CLAIMS}.items():
        proof[name] = floats(proof[name], name, [size[axis] for axis in shape])
    if min(proof["lam"], *proof["scale"], *proof["input_scale"]) <= 0:
        raise Refused("lam, scale, input_scale: must be positive")
    if len(proof["residuals"]) != len(tasks):
        raise Refused("residuals: must be a list for each task")
    for number in [proof["exponent"], *(r for one in proof["residuals"] for r in one)]:
        if type(number) is not int or abs(number) >> 64:
            raise Refused("exponent, residuals: must be integers of at most 64 bits")
    if abs(proof["exponent"]) > 1100:
        raise Refused("exponent: must be that of a float64")
    return proof


def floats(value: Any, name: str, shape: list[int]) -> Any:
    """`value` with every number a float, if it is a list of lists of finite numbers of that shape."""
    if shape:
        if type(value) is not list or len(value) != shape[0]:
            raise Refused(f"{name}: must be a list of {shape[0]} entries")
        return [floats(one, name, shape[1:]) for one in value]
    if type(value) not in (int, float) or not math.isfinite(value := float(value)):
        raise Refused(f"{name}: {value!r} is no finite number")
    return value


def checksum(proof: dict) -> str:
    """Of all else in the proof. It tells of accidents; a forger can make it anew, but not the arithmetic."""
    rest = {name: value for name, value in proof.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_data(path: str | os.PathLike[str], proof: dict) -> Data:
    """The columns of a CSV file (.tsv: separated by tabs) that a proof names."""
    d = len(proof["inputs"])
    wanted = [*proof["inputs"], *proof["tasks"], *filter(None, [proof["weight"]])]
    rows, digest = [], hashlib.sha256()
    with open(path, encoding="utf-8-sig", newline="") as handle:
        separator = "\t" if str(path).lower().endswith(".tsv") else ","
        reader = csv.reader(handle, delimiter=separator, skipinitialspace=True)
        header = [name.strip() for name in next(reader, [])]
        if any(header.count(name) != 1 for name in wanted) or len(set(wanted)) < len(wanted):
            raise Refused(f"the data: {header} are not columns that hold each of {wanted} once")
        places = [header.index(name) for name in wanted]
        for cells in filter(None, reader):
            if len(cells) != len(header):
                raise Refused(f"the data: line {reader.line_num} has {len(cells)} cells, not {len(header)}")
            texts = [cells[place].strip() for place in places]
            dated = zip(texts[:d], proof["origins"], strict=True)
            x = [days(text, origin) if origin else number(text) for text, origin in dated]
            y = [number(text) for text in texts[d:]]
            w = y.pop() if proof["weight"] else 1.0
            if None in x or w is None or w < 0:
                raise Refused(f"the data: line {reader.line_num} lacks an input, or a weight >= 0")
            digest.update(repr((x, w, y)).encode())
            rows.append((x, w, y if w > 0 else [None] * len(y)))
    rows.sort(key=lambda row: row[0])
    labels = [[y[t] for _, _, y in rows] for t in range(len(proof["tasks"]))]
    if not all(any(y is not None for y in one) for one in labels):
        raise Refused("the data: a task has no label")
    return Data([row[0] for row in rows], [row[1] for row in rows], labels, digest.hexdigest())


def number(text: str) -> float | None:
    """A cell's float64; None where it is missing."""
    if text.lower() in MISSING:
        return None
    if not DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        raise Refused(f"the data: {text!r} is no number")
    return float(text)


def days(text: str, origin: str) -> float:
    """Days from the origin to a date: YYYY-MM-DD, YYYY-MM, or with a time of day; in UTC."""
    dates = [datetime.fromisoformat(date + "-01" * (len(date) == 7)) for date in (text, origin)]
    then, start = (d.replace(tzinfo=d.tzinfo or UTC) for d in dates)
    return ((then - start) // timedelta(microseconds=1)) / 86_400e6


def rounded(value: Fraction, digits: int, way: str = ROUND_CEILING) -> Decimal:
    return Context(digits, way).divide(Decimal(value.numerator), Decimal(value.denominator))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python checker.py PROOF.json DATA.csv")
    result = verify(*sys.argv[1:])
    print(result)
    sys.exit(not result.accepted)
