"""Estimators for scikit-learn; all their work is done in the rooms above."""

from .classifier import MultiTaskReLUClassifier
from .regressor import MultiTaskReLURegressor
from .stacked import StackedReLURegressor
from .transformer import SharedKnotTransformer

__all__ = [
    "MultiTaskReLUClassifier",
    "MultiTaskReLURegressor",
    "SharedKnotTransformer",
    "StackedReLURegressor",
]
