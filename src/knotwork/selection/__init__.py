"""How much weight decay: the path of all lams, its degrees of freedom, refits, and cross-validation."""

from .cross_validation import CrossValidation, cross_validate
from .path import Path, path
from .refit import Refit, refit

__all__ = ["CrossValidation", "Path", "Refit", "cross_validate", "path", "refit"]
