"""scikit-learn's own checks, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from knotwork.estimators import (
    MultiTaskReLUClassifier,
    MultiTaskReLURegressor,
    SharedKnotTransformer,
    StackedReLURegressor,
)

# checks that fit untidy data on purpose, and scikit-learn's own warnings, are not what is tested here
pytestmark = pytest.mark.filterwarnings("default")


@parametrize_with_checks(
    [
        MultiTaskReLURegressor(10.0, tol=1e-2, max_cells=0),
        MultiTaskReLUClassifier(10.0, tol=1e-2, max_cells=0),
        SharedKnotTransformer(1.0, tol=1e-2, max_cells=0),
    ]
)
def test_checks_at_a_given_lam(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [MultiTaskReLURegressor(), MultiTaskReLUClassifier(), SharedKnotTransformer(), StackedReLURegressor()]
)
def test_checks_of_default_parameters(estimator, check):
    check(estimator)
