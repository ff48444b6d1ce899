"""From a table to a fit, in memory or read in pieces."""

from .bands import PredictionBand, check_band, prediction_band
from .extrapolation import Extrapolation, InputBox, check_extrapolation
from .fitting import DEFAULT_FOLDS, MAX_CELLS, MOST_SHOWN, fit_table
from .result import FitResult, Knot, Neuron
from .streamed import FileFitResult, fit_file, is_large
from .units import Scale, Units, is_straight, loss_of, responses, table_scaling

__all__ = [
    "DEFAULT_FOLDS",
    "MAX_CELLS",
    "MOST_SHOWN",
    "Extrapolation",
    "FileFitResult",
    "FitResult",
    "InputBox",
    "Knot",
    "Neuron",
    "PredictionBand",
    "Scale",
    "Units",
    "check_band",
    "check_extrapolation",
    "fit_file",
    "fit_table",
    "is_large",
    "is_straight",
    "loss_of",
    "prediction_band",
    "responses",
    "table_scaling",
]
