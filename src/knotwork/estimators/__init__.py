"""Estimators for scikit-learn; all their work is done in the rooms above."""

from .regressor import MultiTaskReLURegressor

__all__ = ["MultiTaskReLURegressor"]
