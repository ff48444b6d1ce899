from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw


@pytest.mark.parametrize(
    ("dual_point", "error", "message"),
    [
        (np.zeros(3), ValueError, r"^dual_point: must have shape \(4, 2\)"),
        (np.zeros((2, 4)), ValueError, r"^dual_point: must have shape \(4, 2\)"),
        (np.full((4, 2), np.nan), ValueError, r"^dual_point: NaN"),
        (np.zeros((4, 2), dtype=complex), TypeError, r"^dual_point: got an array of complex"),
    ],
)
def test_bad_dual_points_are_named(dual_point, error, message):
    problem = kw.Problem(np.arange(4.0), np.ones((4, 2)), 0.1)
    with pytest.raises(error, match=message):
        kw.certify(problem, problem.free_fit(), dual_point=dual_point)


def test_a_network_of_another_shape_is_named():
    problem = kw.Problem(np.arange(4.0), np.ones((4, 2)), 0.1)
    with pytest.raises(ValueError, match=r"^network: maps 1 inputs to 1 tasks"):
        kw.certify(problem, kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]))
    with pytest.raises(TypeError, match=r"^network: must be a knotwork\.ReLUNetwork"):
        kw.certify(problem, None)


EXTREME = {
    "tiny output": ([[1.0]], [-0.5], [[1e-200, 0.0]]),
    "subnormal output": ([[1.0]], [-0.5], [[5e-324, 0.0]]),
    "tiny input weight": ([[1e-300]], [1.0], [[1.0, 0.0]]),
    "knot beyond float64": ([[5e-324]], [1.0], [[1.0, 0.0]]),
    "huge input weight": ([[1e300]], [-5e299], [[1e-300, 0.0]]),
}


@pytest.mark.parametrize("lam", [0.0, 0.1])
@pytest.mark.parametrize("name", list(EXTREME))
def test_extreme_weights_are_certified_all_the_same(name, lam):
    rng = np.random.default_rng(0)
    problem = kw.Problem(rng.uniform(size=30), rng.standard_normal((30, 2)), lam)
    certificate = kw.certify(problem, kw.ReLUNetwork(*EXTREME[name]))
    best = kw.solve(problem).certificate
    assert 0 < certificate.dual <= best.primal * (1 + 1e-9)
    assert certificate.primal >= best.dual * (1 - 1e-9)


def test_predictions_that_overflow_when_squared_are_named():
    problem = kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.1)
    with pytest.raises(ValueError, match=r"^network: predicts values up to 1e\+200"):
        kw.certify(problem, kw.ReLUNetwork([[1.0]], [-1.0], [[1e200]]))
