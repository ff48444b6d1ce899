"""A fit as plain numbers and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import __version__
from .._files import finite
from ..certificate import Certificate
from ..datasets.columns import Columns
from ..losses import Loss, Squared
from ..penalty import PENALTIES, Penalty
from ..storage import loss_record
from ..workflow import Extrapolation, FileFitResult, FitResult, InputBox, Knot, PredictionBand, Units


def fit_record(result: FitResult, band: PredictionBand | None = None) -> dict[str, Any]:
    """What `result.json` holds: plain numbers and text, None for what is not finite."""
    table, solution = result.table, result.solution
    problem, inputs = solution.problem, result.units.inputs
    record = {
        "knotwork": __version__,
        "data": data_record(result.columns, table.n_rows, table.n_missing),
        "problem": {
            **problem_record(problem.loss_function, problem.penalty, problem.lam, result.lam_max),
            "scale": result.scale,
            **units_record(result.units, result.box, result.extrapolation),
        },
        "cross_validation": _validation_record(result),
        "band": None if band is None else _band_record(band),
        "outcome": {
            "status": solution.status.name,
            "message": solution.status.value,
            **certificate_record(solution.certificate),
            "rounds": len(solution.trace),
            "seconds": result.seconds,
        },
        "knots": knot_records(result.knots(), table.task_names),
        "neurons": [
            {
                "cost": neuron.cost,
                "weights": dict(zip(result.columns.names, neuron.weights, strict=True)),
                "bias": neuron.bias,
                "most": list(neuron.leaders),
                "jumps": dict(zip(table.task_names, neuron.jumps, strict=True)),
            }
            for neuron in result.neurons()
        ],
        "apart": [
            {
                "task": table.task_names[t],
                "places": table.input_labels(one.network.knots.location * inputs.scale + inputs.centre),
                "objective": one.certificate.primal,
                "gap": one.certificate.gap,
                "status": one.status.name,
            }
            for t, one in zip(result.shown, result.apart, strict=False)
        ],
        "refit": None
        if result.refit is None
        else {
            "residual_sum_of_squares": result.refit.residual_sum_of_squares,
            "free_parameters": result.refit.df,
        },
        "notices": list(result.notices),
    }
    return finite(record)


def file_fit_record(result: FileFitResult) -> dict[str, Any]:
    """What `result.json` holds of a file that was read in pieces: as `fit_record`, and how it was read."""
    fit = result.fit
    record = {
        "knotwork": __version__,
        "data": data_record(result.columns, fit.n_rows, result.n_missing),
        "problem": {
            **problem_record(Squared(), Penalty(), fit.lam, fit.lam_max),
            "scale": result.scale,
            **units_record(result.units, result.box, result.extrapolation),
        },
        "cross_validation": None,
        "band": None,
        "outcome": {
            "status": fit.status.name,
            "message": fit.status.value,
            "objective": fit.primal,
            "dual": fit.dual,
            "bound": fit.dual,
            "gap": fit.gap,
            "relative_gap": fit.relative_gap,
            "rigour": fit.rigour.name,
            "rounds": len(fit.trace),
            "seconds": result.seconds,
            "passes": fit.passes,
            "sorted_rows": fit.sorted_rows,
        },
        "knots": knot_records(result.knots(), fit.task_names),
        "neurons": [],
        "apart": [],
        "refit": None,
        "notices": list(result.notices),
    }
    return finite(record)


def data_record(columns: Columns, n_rows: int, n_missing: int | None) -> dict[str, Any]:
    """Where a fit came from; `input` and what belongs to it are of the one input, None of several."""
    table, one = columns.table, columns.n_inputs == 1
    origin = table.origin if one else None
    return {
        "name": table.name,
        "rows": n_rows,
        "missing_labels": n_missing,
        "input": table.input_name if one else None,
        "input_unit": "" if origin is None else f"days since {origin}",
        "date_origin": origin,
        "inputs": list(columns.names),
        "input_origins": list(columns.origins),
        "tasks": list(table.task_names),
        "task_units": list(table.task_units),
    }


def problem_record(loss: Loss, penalty: Penalty, lam: float, lam_max: float) -> dict[str, Any]:
    """What was solved, under the names that `Problem` and the command line give it."""
    return {
        "loss": loss_record(loss),
        "penalty": penalty.formula,
        "penalty_name": next(name for name, one in PENALTIES.items() if one == penalty),
        "lam": lam,
        "lam_max": lam_max,
        "lam_ratio": lam / lam_max if lam_max > 0 else None,
    }


def units_record(units: Units, box: InputBox, extrapolation: Extrapolation) -> dict[str, Any]:
    """Between data and problem: what was subtracted and divided by, and where predictions end."""
    return {
        "task_centre": units.tasks.centre.tolist(),
        "task_scale": units.tasks.scale.tolist(),
        "input_centre": units.inputs.centre.tolist(),
        "input_scale": units.inputs.scale.tolist(),
        "input_low": box.low.tolist(),
        "input_high": box.high.tolist(),
        "extrapolation": extrapolation,
    }


def knot_records(knots: Sequence[Knot], task_names: Sequence[str]) -> list[dict[str, Any]]:
    """Knots under the names that files and machines read."""
    return [
        {
            "place": knot.label,
            "input": knot.place,
            "strength": knot.strength,
            "most": list(knot.leaders),
            "jumps": dict(zip(task_names, knot.jumps, strict=True)),
        }
        for knot in knots
    ]


def certificate_record(certificate: Certificate) -> dict[str, Any]:
    """The numbers of a certificate under the names that files and machines read."""
    return finite(
        {
            "objective": certificate.primal,
            "dual": certificate.dual,
            "bound": certificate.bound,
            "gap": certificate.gap,
            "relative_gap": certificate.relative_gap,
            "rigour": certificate.rigour.name,
        }
    )


def _band_record(band: PredictionBand) -> dict[str, Any]:
    found = band.ambiguity
    return {
        "eps": found.eps,
        "rigour": found.rigour.name,
        "finished": found.finished,
        "places": len(band.x),
        "problems_solved": found.n_solves,
    }


def _validation_record(result: FitResult) -> dict[str, Any] | None:
    """How held-out data chose lam; None where they did not."""
    found = result.cross_validation
    if found is None:
        return None
    other = result.alternative
    return {
        "folds": len(found.folds),
        "scheme": result.scheme,
        "rule": found.rule,
        "criterion": found.criterion,
        "lam_min": found.lam_min,
        "lam_1se": found.lam_1se,
        "n_knots": result.solution.network.n_neurons,
        "n_knots_min": other.network.n_neurons
        if other is not None
        else (result.solution.network.n_neurons if found.lam == found.lam_min else None),
        "lams": found.lams.tolist(),
        "mean_loss": found.mean_loss.tolist(),
        "standard_error": found.standard_error.tolist(),
        "status": found.status.name,
    }
