"""The files that a fit writes, and reading them back."""

from .models import Model, certify_model, read_model
from .records import certificate_record, file_fit_record, fit_record
from .writing import prediction_rows, print_rows, write_file_fit, write_fit, write_rows

__all__ = [
    "Model",
    "certificate_record",
    "certify_model",
    "file_fit_record",
    "fit_record",
    "prediction_rows",
    "print_rows",
    "read_model",
    "write_file_fit",
    "write_fit",
    "write_rows",
]
