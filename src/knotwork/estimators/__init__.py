"""Estimators for scikit-learn; all their work is done in the rooms above."""

try:
    from .classifier import MultiTaskReLUClassifier
    from .regressor import MultiTaskReLURegressor
    from .stacked import StackedReLURegressor
    from .transformer import SharedKnotTransformer
except ImportError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise ImportError(
        f"knotwork's estimators need scikit-learn 1.6 or later ({error}); pip install 'knotwork[sklearn]'"
    ) from None

__all__ = [
    "MultiTaskReLUClassifier",
    "MultiTaskReLURegressor",
    "SharedKnotTransformer",
    "StackedReLURegressor",
]
