"""What the checker wants: a network and a dual point that is feasible in exact arithmetic."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._files import replacing
from ..losses import Squared
from ..problem import Problem
from ..scaling import TaskScaling
from ..solution import Solution
from ..workflow import FitResult, Units
from . import checker
from .checker import ProofCheck

Array = NDArray[np.float64]
Index = NDArray[np.intp]
# residuals are written as multiples of 2^-52 of the largest
_BITS = 52


def write_proof(
    fit: FitResult | Solution,
    path: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    input: str | Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    weight: str | None = None,
    scaling: TaskScaling | None = None,
) -> ProofCheck:
    """Write a proof that F(network) - min F is at most a gap, for `verify_proof` and for its one file.

    F is of the problem solved, which the proof states from the numbers in the CSV file `data`: its
    scales, lam, the network in task units, and the dual point in integers times a power of two. The dual
    point is made feasible in exact arithmetic before it is written, so that the gap proven is that of
    `fit.certificate` but for rounding. Squared loss, one or two inputs, biases and skip connection free,
    lam > 0.

    Parameters
    ----------
    fit : what `fit_table` returns (then the keywords are known), or a solved problem. Of a fit with a
        refit the proof is about the network before it.
    path : the proof to write, in JSON.
    data : the CSV file (.tsv: separated by tabs) that the problem came from, a column per task.
    input, tasks, weight : its columns: of the input, or both inputs; of the labels of each task; of the
        rows' weights where there are any.
    scaling : the problem's labels are (labels in `data` - centre) / scale; as they are when None.

    Returns
    -------
    What the checker finds in it.

    Raises
    ------
    TypeError, ValueError : for a problem of another kind, or not of the numbers in `data`.
    OSError : when a file cannot be read or written.
    """
    if isinstance(fit, FitResult):
        if any(one is not None for one in (input, tasks, weight, scaling)):
            raise ValueError("fit: knows its columns and its scaling; give them beside a Solution only")
        columns, units, tasks, solution = fit.columns, fit.units, fit.table.task_names, fit.solution
        inputs, origins, X = columns.names, columns.origins, columns.X
    elif isinstance(fit, Solution):
        if input is None or tasks is None:
            raise ValueError("input, tasks: name the columns of the data that a Solution came from")
        solution, inputs = fit, (input,) if isinstance(input, str) else tuple(input)
        origins, X = (None,) * len(inputs), solution.problem.X
        scaling = TaskScaling.none(solution.problem.n_tasks) if scaling is None else scaling
        units = Units(scaling, TaskScaling.none(solution.problem.n_inputs))
    else:
        raise TypeError(f"fit: must be a FitResult or a Solution, got {type(fit).__name__}")
    problem = solution.problem
    _check_kind(problem)
    # the inputs in the units of the data, the tasks in those of the problem
    network = Units(TaskScaling.none(problem.n_tasks), units.inputs).to_data_units(solution.network)
    proof = {
        "format": checker.FORMAT,
        "inputs": list(inputs),
        "origins": list(origins),
        "tasks": list(tasks),
        "weight": weight,
        "lam": problem.lam,
        "centre": units.tasks.centre.tolist(),
        "scale": units.tasks.scale.tolist(),
        "input_scale": units.inputs.scale.tolist(),
        **{name: getattr(network, name).tolist() for name in ("W", "b", "V", "A", "c")},
    }
    try:
        read = checker.read_data(data, proof)
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"data: {os.fspath(data)} cannot stand in a proof: {error}") from None
    order = np.lexsort(X.T[::-1])
    _check_same(problem, X, order, units, read)
    proof["data_sha256"] = read.sha256
    dual = _add_dual_point(proof, read, problem, order, solution.certificate.dual_point)
    primal = checker.primal(proof, read)
    gap = primal[1] - dual
    proof |= {"primal": _above(primal[1]), "dual": -_above(-dual), "gap": _above(gap)}
    proof["checksum"] = checker.checksum(proof)
    with replacing(path) as beside:
        beside.write_text(json.dumps(proof, allow_nan=False) + "\n", encoding="utf-8")
    counts = len(read.x), len(read.labels), network.n_neurons
    return ProofCheck(True, "", primal, dual, gap, problem.lam, *counts)


def _check_kind(problem: Problem) -> None:
    penalty = problem.penalty
    if problem.n_inputs > 2 or not isinstance(problem.loss, Squared):
        raise ValueError(
            f"fit: a proof is of squared loss and at most two inputs, got {problem.n_inputs} inputs and "
            f"{problem.loss_function.name!r} loss; its certificate is in float64"
        )
    if penalty.biases or penalty.skip != "free":
        raise ValueError("fit: a proof is of free biases and a free skip connection, Penalty()")
    if problem.lam == 0:
        raise ValueError("fit: at lam = 0 labels are constraints, which no network of floats meets exactly")


def _check_same(problem: Problem, X: Array, order: Index, units: Units, read: checker.Data) -> None:
    """Raise ValueError where the numbers of the problem are not those that the checker reads."""
    Y = np.array(read.labels, dtype=np.float64).T
    expected = np.where(np.isnan(Y), 0.0, np.array(read.weight)[:, None])
    same = Y.shape == problem.Y.shape and np.array_equal(read.x, X[order])
    if same:
        seen = expected > 0
        same = (
            np.array_equal(expected, problem.label_weight()[order])
            and np.array_equal(units.tasks.apply(Y)[seen], problem.Y[order][seen])
            and np.array_equal(units.inputs.apply(X), problem.X)
        )
    if not same:
        raise ValueError(
            "data: its columns are not the inputs, labels and weights of the problem; name the wide CSV "
            "file (a column per task, one of weights if there are any) and the scaling it was made with"
        )


def _add_dual_point(
    proof: dict[str, Any], read: checker.Data, problem: Problem, order: Index, alpha: Array
) -> Fraction:
    """Put `alpha` (N, T) into the proof, shrunk until the checker finds it feasible; the dual there."""
    weight = problem.label_weight()[order]
    seen = weight > 0
    residual = np.divide(alpha[order], weight, out=np.zeros_like(weight), where=seen)
    exponent = math.frexp(float(np.abs(residual).max()))[1] - _BITS
    proof["exponent"] = exponent
    for shrink in (0.0, *2.0 ** np.arange(-46, 0, 3)):
        whole = np.rint(np.ldexp((1.0 - shrink) * residual, -exponent)).astype(np.int64)
        proof["residuals"] = [one[there].tolist() for one, there in zip(whole.T, seen.T, strict=True)]
        dual, feasible = checker.dual(proof, read)
        if feasible:
            return dual
    raise ValueError(
        "fit: its dual point cannot be made feasible in exact arithmetic; solve it to a smaller tol"
    )


def proof_record(check: ProofCheck) -> dict[str, Any]:
    """A check for machines to read: bounds as floats, rounded against the proof, None where refused."""
    primal, dual, gap = check.primal, check.dual, check.gap
    return {
        "accepted": check.accepted,
        "reason": check.reason,
        "primal": None if primal is None else _above(primal[1]),
        "dual": None if dual is None else -_above(-dual),
        "gap": None if gap is None else _above(gap),
        "lam": check.lam,
        "rows": check.n_rows,
        "tasks": check.n_tasks,
        "neurons": check.n_neurons,
    }


def _above(value: Fraction) -> float:
    """The least float >= value, or the next."""
    nearest = float(value)
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)
