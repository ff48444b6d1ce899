from __future__ import annotations

import numpy as np
import pytest

from knotwork.bins import Bins
from knotwork.penalty import Penalty
from knotwork.points import Points
from knotwork.solvers.spline import Spline, connect_the_dots


def test_the_curve_on_bins_is_the_network():
    rng = np.random.default_rng(0)
    spline = Spline(
        0.5, rng.standard_normal(2), rng.standard_normal(2), np.array([1.0, 3.0]), rng.standard_normal((2, 2))
    )
    x = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    line = spline.on(Bins(Points(x, np.zeros((5, 2)), None)))
    network = spline.network()
    np.testing.assert_allclose(line.value, network.predict(x), atol=1e-14)
    np.testing.assert_allclose(line.slope, network.predict(x + 0.5) * 2 - network.predict(x) * 2, atol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 50, 400])
def test_connect_the_dots_meets_every_dot_at_the_cost_of_its_bends(n):
    rng = np.random.default_rng(n)
    x, values = np.sort(rng.uniform(0, 1, n)), rng.standard_normal((n, 3))
    network = connect_the_dots(x, values)
    np.testing.assert_allclose(network.predict(x), values, atol=1e-10)
    slopes = np.diff(values, axis=0) / np.diff(x)[:, None]
    cost = np.linalg.norm(np.diff(slopes, axis=0), axis=1).sum()
    assert network.cost(Penalty()) == pytest.approx(cost, rel=1e-10)


def test_steep_bends_among_close_inputs_do_not_reach_across_the_widest_gap():
    rng = np.random.default_rng(0)
    x = np.exp(np.sort(rng.uniform(-10, 10, 150)))
    values = rng.standard_normal((150, 2))
    np.testing.assert_allclose(connect_the_dots(x, values).predict(x), values, atol=1e-8)
