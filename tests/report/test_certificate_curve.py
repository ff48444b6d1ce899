from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

import knotwork as kw
from knotwork.report.certificate_curve import active_neurons, response_curves
from knotwork.report.pictures import draw_certificate

PENALTIES = [
    kw.Penalty(False, "free"),
    kw.Penalty(False, "none"),
    kw.Penalty(True, "none"),
    kw.Penalty(True, "frobenius"),
    kw.Penalty(True, "nuclear"),
]
FIT = "#0072b2"


def noisy_kinks(n_rows=40, n_tasks=2, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 2.0, n_rows)
    Y = np.abs(x[:, None] - 0.4) * rng.standard_normal(n_tasks) + 0.3 * rng.standard_normal((n_rows, n_tasks))
    Y[rng.uniform(size=Y.shape) < missing] = np.nan
    return x, Y


def solved(penalty=None, n_tasks=2, lam=0.3, missing=0.0, loss="squared"):
    x, Y = noisy_kinks(n_tasks=n_tasks, missing=missing)
    if loss == "logistic":
        Y = np.where(np.isnan(Y), np.nan, (np.nanmedian(Y, axis=0) < Y).astype(float))
    return kw.solve(kw.Problem(x, Y, lam, loss=loss, penalty=penalty or kw.Penalty()), tol=1e-12)


def response(solution, w, b):
    """(m,) |sum_i alpha_i relu(w x_i + b)|, by its definition."""
    x, alpha = solution.problem.X[:, 0], solution.certificate.dual_point
    return np.linalg.norm(np.maximum(np.outer(w, x) + b[:, None], 0.0) @ alpha, axis=1)


def drawn(axes, colour):
    return [line for line in axes.lines if to_hex(line.get_color()) == colour]


def dots_of(axes):
    (dots,) = axes.collections
    return np.asarray(dots.get_offsets())


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("n_tasks", [1, 2])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_responses_stay_below_the_bound_and_neurons_touch_it(penalty, n_tasks, loss):
    solution = solved(penalty, n_tasks, missing=0.2, loss=loss)
    lam = solution.problem.lam
    axes = draw_certificate(solution).axes[0]
    (curve,) = drawn(axes, FIT)
    at, value = (np.asarray(part) for part in curve.get_data())
    assert np.all(np.diff(at) >= 0)
    assert value.max() <= 1 + 1e-9
    dots = dots_of(axes)
    canonical = solution.network.canonicalise(penalty)
    assert len(dots) == canonical.n_neurons > 0
    # a neuron that costs next to nothing may stay behind, and the gap allows it
    cost = canonical.neuron_costs(penalty)
    heavy = cost > 1e-9 * cost.sum()
    assert heavy.any()
    np.testing.assert_allclose(dots[heavy, 1], 1.0, atol=1e-6)
    assert value.max() > 1 - 1e-6
    if penalty.biases:
        w, b = np.cos(at), np.sin(at)
        np.testing.assert_allclose([at[0], at[-1]], [-np.pi / 2, 3 * np.pi / 2], atol=1e-12)
        ours = np.column_stack([np.cos(dots[:, 0]), np.sin(dots[:, 0])])
        np.testing.assert_allclose(ours, np.column_stack([canonical.W[:, 0], canonical.b]), atol=1e-12)
        largest = kw.arcs_dual_norm(solution.problem.X, solution.certificate.dual_point).upper_bound
        np.testing.assert_allclose(value.max(), largest / lam, rtol=1e-12)
    else:
        w, b = np.ones_like(at), -at
        np.testing.assert_allclose(np.unique(dots[:, 0]), np.unique(-canonical.b / canonical.W[:, 0]))
    np.testing.assert_allclose(value, response(solution, w, b) / lam, atol=1e-9)


def test_free_biases_without_skip_show_both_sides():
    solution = solved(kw.Penalty(False, "none"), n_tasks=3, lam=0.5)
    right, left = response_curves(solution)
    np.testing.assert_allclose(right.value, response(solution, np.ones_like(right.at), -right.at), atol=1e-12)
    np.testing.assert_allclose(left.value, response(solution, -np.ones_like(left.at), left.at), atol=1e-12)
    assert np.abs(right.value - left.value).max() > 1e-6
    lines = draw_certificate(solution).axes[0].lines
    assert [line.get_label() for line in lines] == ["facing right", "facing left", "bound"]
    (free,) = response_curves(solved())
    assert free.name == "any neuron"


@pytest.mark.parametrize("penalty", [PENALTIES[0], PENALTIES[2]], ids=str)
def test_no_peak_is_lost(penalty):
    # far inputs close together: their arcs are much shorter than any step of a grid
    rng = np.random.default_rng(3)
    x = 50.0 + 1e-3 * rng.uniform(size=30)
    Y = rng.standard_normal((30, 2))
    problem = kw.Problem(x, Y, 0.1, penalty=penalty)
    lam = 0.01 * kw.lam_max(problem) if not penalty.biases else 0.1
    solution = kw.solve(problem.with_lam(lam))
    norm = kw.arcs_dual_norm if penalty.biases else kw.knots_dual_norm
    largest = norm(x, solution.certificate.dual_point).upper_bound
    curve = response_curves(solution)[0]
    np.testing.assert_allclose(curve.largest, largest, rtol=1e-9)
    (line,) = drawn(draw_certificate(solution).axes[0], FIT)
    np.testing.assert_allclose(np.max(line.get_ydata()), largest / lam, rtol=1e-9)


def test_a_long_curve_is_thinned_and_keeps_its_peak():
    x = np.linspace(0.0, 1.0, 20_000)
    # rough on the scale of a column
    Y = np.cos(3.0 * x) + np.sin(9000.0 * x)
    solution = kw.solve(kw.Problem(x, Y, 0.05))
    (line,) = drawn(draw_certificate(solution).axes[0], FIT)
    at, value = (np.asarray(part) for part in line.get_data())
    assert len(at) < 5_000
    assert np.all(np.diff(at) >= 0)
    (full,) = response_curves(solution)
    # wherever a stretch of a thousandth of the picture is cut out, its highest point is drawn
    for low, high in np.linspace(full.at[0], full.at[-1], 41)[:, None] + [0.0, 1e-3 * np.ptp(full.at)]:
        highest = full.value[(full.at >= low) & (full.at <= high)].max(initial=0.0) / 0.05
        near = (at >= low - (high - low)) & (at <= high + (high - low))
        assert value[near].max(initial=0.0) >= highest
    assert value.max() == full.largest / 0.05
    np.testing.assert_allclose(value.max(), 1.0, atol=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_poor_network_is_seen_to_be_poor(penalty):
    good = solved(penalty)
    network = kw.ReLUNetwork([[1.0]], [-1.5], [[1.0, 1.0]])
    poor = kw.Solution(good.problem, network, kw.certify(good.problem, network), good.status)
    (_, value) = dots_of(draw_certificate(poor).axes[0])[0]
    assert value < 0.99
    assert response_curves(poor)[0].largest <= good.problem.lam * (1 + 1e-9)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_no_neurons_and_nothing_to_respond_to(penalty):
    for Y in (np.zeros((5, 2)), np.array([[0.0], [1e-3], [0.0], [1e-3], [0.0]])):
        solution = kw.solve(kw.Problem(np.arange(5.0), Y, 10.0, penalty=penalty))
        assert solution.network.n_neurons == 0
        axes = draw_certificate(solution).axes[0]
        assert len(axes.collections) == 0
        assert axes.get_title(loc="left").startswith("0 neurons")
        assert axes.get_ylim()[1] >= 1.0
    at, value, cost = active_neurons(solution)
    assert len(at) == len(value) == len(cost) == 0


def test_one_row_and_interpolation():
    one = kw.solve(kw.Problem([1.0], [[2.0]], 0.1, penalty=kw.Penalty(True, "none")))
    assert draw_certificate(one).axes
    assert draw_certificate(kw.solve(kw.Problem([1.0], [[2.0]], 0.1))).axes
    exact = kw.solve(kw.Problem([0.0, 1.0, 3.0, 4.0], [[0, 0], [1, 0], [0, 4], [0, 4]], 0.0))
    axes = draw_certificate(exact).axes[0]
    np.testing.assert_allclose(dots_of(axes), [[1.0, 1.0], [3.0, 1.0]])
    assert axes.get_ylabel() == "response"


def test_the_angle_axis_tells_the_knots():
    solution = solved(kw.Penalty(True, "none"))
    figure = draw_certificate(solution)
    figure.draw_without_rendering()
    (above,) = figure.axes[0].child_axes
    ticks = [(text.get_position()[0], text.get_text()) for text in above.get_xticklabels()]
    assert len(ticks) >= 6
    for angle, text in ticks:
        np.testing.assert_allclose(-np.tan(angle), float(text.replace("−", "-")), atol=1e-9)
